//! LwM2M JSON of version 1.0 (LwM2M 1.0 TS, section 6.4.4): one base name, an array of elements.

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use super::base64::{self, Alphabet};
use super::senml_json::{json_number, text, time};
use super::{CodecError, EncodeError, Sink};
use crate::value::object_link;
use crate::{ContentFormat, Leaf, Path, Value, ValueKind};

/// Reads the elements; without a base name, names are relative to the request's path.
pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let document: Json =
        serde_json::from_slice(payload).map_err(|_| sink.malformed("not valid JSON"))?;
    let Json::Object(mut document) = document else {
        return Err(sink.malformed("the document is an object"));
    };
    let base_name = document.remove("bn").map(text).transpose();
    let base_name = base_name
        .map_err(|reason| sink.malformed(reason))?
        .unwrap_or_else(|| sink.base.to_string());
    if base_name.len() > NAME_BYTES_MAX {
        return Err(sink.malformed("the base name is too long for a path"));
    }
    let base_time_s = document.get("bt").map(time).transpose();
    let base_time_s = base_time_s.map_err(|reason| sink.malformed(reason))?;
    let Some(Json::Array(elements)) = document.remove("e") else {
        return Err(sink.malformed("the array e of elements is missing"));
    };
    for element in elements {
        let Json::Object(element) = element else {
            return Err(sink.malformed("an element is an object"));
        };
        read(element, &base_name, base_time_s, sink)?;
    }
    Ok(())
}

/// Writes the document.
pub(super) fn encode(base: Path, leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let mut elements = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let mut element = Map::new();
        let name = leaf.path.to_string();
        let name = name.strip_prefix(&base.to_string()).unwrap_or(&name).trim_start_matches('/');
        if !name.is_empty() {
            element.insert("n".into(), name.into());
        }
        if let Some(time_s) = leaf.time_s {
            element.insert("t".into(), number(leaf.path, time_s)?);
        }
        let (label, value) = labelled(leaf)?;
        element.insert(label.into(), value);
        elements.push(Json::Object(element));
    }
    let alone = matches!(leaves, [leaf] if leaf.path == base);
    let base_name = if alone || base.is_root() { base.to_string() } else { format!("{base}/") };
    let mut document = Map::new();
    document.insert("bn".into(), base_name.into());
    document.insert("e".into(), elements.into());
    Ok(Json::Object(document).to_string().into())
}

fn read(
    element: Map<String, Json>,
    base_name: &str,
    base_time_s: Option<f64>,
    sink: &mut Sink<'_>,
) -> Result<(), CodecError> {
    let mut name = String::new();
    let mut time_s = base_time_s;
    let mut found = None;
    for (label, field) in element {
        let result = match label.as_str() {
            "n" => text(field).map(|text| name = text),
            "t" => time(&field).map(|time| time_s = Some(base_time_s.unwrap_or(0.0) + time)),
            "v" => json_number(&field).map(|value| _ = found.replace(value)),
            "sv" => text(field).map(|text| _ = found.replace(Value::String(text))),
            "bv" => field
                .as_bool()
                .map(|truth| _ = found.replace(Value::Boolean(truth)))
                .ok_or("not a boolean where one belongs"),
            "ov" => text(field)
                .and_then(|text| object_link(&text).ok_or("not an object link"))
                .map(|link| _ = found.replace(link)),
            _ => Ok(()),
        };
        result.map_err(|reason| sink.malformed(reason))?;
    }
    let path = join(base_name, &name).map_err(|reason| sink.malformed(reason))?;
    let value = found.ok_or_else(|| sink.malformed("an element has no value"))?;
    sink.push(path, opaque_from_text(path, value, sink)?, time_s)
}

/// Turns base64 text into bytes where the definition says opaque: JSON has no bytes.
fn opaque_from_text(path: Path, value: Value, sink: &Sink<'_>) -> Result<Value, CodecError> {
    match (value, sink.definitions.kind(path)) {
        (Value::String(text), Some(ValueKind::Opaque)) => {
            let bytes = base64::decode(&text).ok_or_else(|| sink.malformed("not base64"))?;
            Ok(Value::Opaque(bytes.into()))
        }
        (value, _) => Ok(value),
    }
}

/// Joins names; devices forget the slash between them, and no path needs it left out.
fn join(base_name: &str, name: &str) -> Result<Path, &'static str> {
    if name.len() > NAME_BYTES_MAX {
        return Err("a name is too long for a path");
    }
    let base = base_name.trim_end_matches('/');
    let rest = name.trim_start_matches('/');
    let joined = if rest.is_empty() { format!("{base}/") } else { format!("{base}/{rest}") };
    joined.parse().map_err(|_| "a name is not a path")
}

fn labelled(leaf: &Leaf) -> Result<(&'static str, Json), EncodeError> {
    Ok(match &leaf.value {
        Value::Integer(number) | Value::Time(number) => ("v", (*number).into()),
        Value::Unsigned(number) => ("v", (*number).into()),
        Value::Float(float) => ("v", number(leaf.path, *float)?),
        Value::Boolean(truth) => ("bv", (*truth).into()),
        Value::String(text) | Value::CoreLink(text) => ("sv", text.clone().into()),
        Value::Opaque(bytes) => ("sv", base64::encode(bytes, Alphabet::Standard).into()),
        link @ Value::ObjectLink(..) => ("ov", link.to_string().into()),
    })
}

fn number(path: Path, number: f64) -> Result<Json, EncodeError> {
    // JSON has no infinity and no NaN.
    let number = serde_json::Number::from_f64(number).map(Json::Number);
    number.ok_or(EncodeError::NotRepresentable { path, format: ContentFormat::LWM2M_JSON })
}

/// `/65534` four times is 24 bytes; the rest is tolerance.
const NAME_BYTES_MAX: usize = 64;
