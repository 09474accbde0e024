//! SenML in JSON (RFC 8428, section 5; LwM2M 1.1 TS core, section 7.4.5).

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::base64::{self, Alphabet};
use super::senml::{self, Record, VERSION_MAX};
use super::{CodecError, EncodeError, Sink};
use crate::value::object_link;
use crate::{ContentFormat, Leaf, Path, Value};

/// Reads a pack of records.
pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    senml::resolve(records(payload, sink.leaves_max)?, sink)
}

/// Writes a pack of records.
pub(super) fn encode(base: Path, leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let base_name = senml::base_name(base, leaves);
    let shared_time_s = senml::shared_time_s(leaves);
    let mut out = Vec::from(b"[");
    for (index, leaf) in leaves.iter().enumerate() {
        let mut record = Map::new();
        if index == 0 {
            if !base_name.is_empty() {
                record.insert("bn".into(), base_name.clone().into());
            }
            if let Some(time_s) = shared_time_s {
                record.insert("bt".into(), number(leaf.path, time_s)?);
            }
        }
        let name = senml::name_after(&base_name, leaf.path);
        if !name.is_empty() {
            record.insert("n".into(), name.into());
        }
        if let (None, Some(time_s)) = (shared_time_s, leaf.time_s) {
            record.insert("t".into(), number(leaf.path, time_s)?);
        }
        let (label, value) = labelled(leaf)?;
        record.insert(label.into(), value);
        if index > 0 {
            out.push(b',');
        }
        out.extend(Json::Object(record).to_string().bytes());
    }
    out.push(b']');
    Ok(out.into())
}

/// Writes records that only name places.
pub(super) fn encode_paths(paths: &[Path]) -> Bytes {
    let records: Vec<String> = paths.iter().map(|path| format!("{{\"n\":\"{path}\"}}")).collect();
    format!("[{}]", records.join(",")).into()
}

/// Reads the records of a pack without resolving them.
pub(super) fn records(payload: &[u8], records_max: usize) -> Result<Vec<Record>, CodecError> {
    // The parser refuses nesting beyond 128 levels, and a pack needs two.
    let pack: Json = serde_json::from_slice(payload).map_err(|_| malformed("not valid JSON"))?;
    let Json::Array(pack) = pack else { return Err(malformed("a pack is an array of records")) };
    if pack.len() > records_max {
        return Err(CodecError::TooManyLeaves { leaves_max: records_max });
    }
    pack.into_iter().map(|record| read(record).map_err(malformed)).collect()
}

fn read(record: Json) -> Result<Record, &'static str> {
    let Json::Object(fields) = record else { return Err("a record is an object") };
    let mut record = Record::default();
    for (label, field) in fields {
        match label.as_str() {
            "bn" => record.base_name = Some(text(field)?),
            "bt" => record.base_time_s = Some(time(&field)?),
            "bv" => record.base_value = Some(json_number(&field)?),
            "bver" if field.as_i64().is_none_or(|version| version > VERSION_MAX) => {
                return Err("a later version of SenML");
            }
            "n" => record.name = Some(text(field)?),
            "t" => record.time_s = Some(time(&field)?),
            "v" => record.set_value(json_number(&field)?)?,
            "vs" => record.set_value(Value::String(text(field)?))?,
            "vb" => {
                let truth = field.as_bool().ok_or("not a boolean where one belongs")?;
                record.set_value(Value::Boolean(truth))?;
            }
            "vd" => {
                let bytes = base64::decode(&text(field)?).ok_or("data is not base64")?;
                record.set_value(Value::Opaque(bytes.into()))?;
            }
            "vlo" => {
                let link = object_link(&text(field)?).ok_or("not an object link")?;
                record.set_value(link)?;
            }
            // RFC 8428, section 4.4: labels that end so must be understood or the pack refused.
            label if label.ends_with('_') => return Err("an extension that must be understood"),
            _ => {}
        }
    }
    Ok(record)
}

/// Reads a JSON number in the narrowest kind that holds it exactly.
pub(super) fn json_number(field: &Json) -> Result<Value, &'static str> {
    let whole = field.as_i64().map(Value::Integer);
    let number = whole.or_else(|| field.as_u64().map(Value::Unsigned));
    number.or_else(|| field.as_f64().map(Value::Float)).ok_or("not a number where one belongs")
}

/// Reads a time, which JSON cannot make infinite.
pub(super) fn time(field: &Json) -> Result<f64, &'static str> {
    field.as_f64().ok_or("a time is not a number")
}

pub(super) fn text(field: Json) -> Result<String, &'static str> {
    match field {
        Json::String(text) => Ok(text),
        _ => Err("not text where some belongs"),
    }
}

fn labelled(leaf: &Leaf) -> Result<(&'static str, Json), EncodeError> {
    Ok(match &leaf.value {
        Value::Integer(number) | Value::Time(number) => ("v", (*number).into()),
        Value::Unsigned(number) => ("v", (*number).into()),
        Value::Float(float) => ("v", number(leaf.path, *float)?),
        Value::Boolean(truth) => ("vb", (*truth).into()),
        Value::String(text) | Value::CoreLink(text) => ("vs", text.clone().into()),
        Value::Opaque(bytes) => ("vd", base64::encode(bytes, Alphabet::Url).into()),
        link @ Value::ObjectLink(..) => ("vlo", link.to_string().into()),
    })
}

fn number(path: Path, number: f64) -> Result<Json, EncodeError> {
    // JSON has no infinity and no NaN.
    let number = serde_json::Number::from_f64(number).map(Json::Number);
    number.ok_or(EncodeError::NotRepresentable { path, format: ContentFormat::SENML_JSON })
}

const fn malformed(reason: &'static str) -> CodecError {
    CodecError::Malformed { format: ContentFormat::SENML_JSON, reason }
}
