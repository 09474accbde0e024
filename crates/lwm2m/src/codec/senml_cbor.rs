//! SenML in CBOR (RFC 8428, section 6; LwM2M 1.1 TS core, section 7.4.6).

use bytes::Bytes;
use minicbor::data::Type;

use super::cbor::{self, Reader};
use super::senml::{self, Record, VERSION_MAX};
use super::{CodecError, Sink};
use crate::value::object_link;
use crate::{ContentFormat, Leaf, Path, Value};

/// Reads a pack of records.
pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    senml::resolve(records(payload, sink.leaves_max)?, sink)
}

/// Writes a pack of records.
pub(super) fn encode(base: Path, leaves: &[Leaf]) -> Bytes {
    let base_name = senml::base_name(base, leaves);
    let shared_time_s = senml::shared_time_s(leaves);
    let mut out = Vec::new();
    cbor::write_array(leaves.len(), &mut out);
    for (index, leaf) in leaves.iter().enumerate() {
        let base_name_here = (index == 0 && !base_name.is_empty()).then_some(&base_name);
        let base_time_s = shared_time_s.filter(|_| index == 0);
        let time_s = leaf.time_s.filter(|_| shared_time_s.is_none());
        let name = senml::name_after(&base_name, leaf.path);
        let fields = 1
            + usize::from(base_name_here.is_some())
            + usize::from(base_time_s.is_some())
            + usize::from(time_s.is_some())
            + usize::from(!name.is_empty());
        cbor::write_map(fields, &mut out);
        if let Some(base_name) = base_name_here {
            cbor::write_integer(BASE_NAME, &mut out);
            cbor::write_text(base_name, &mut out);
        }
        if let Some(time_s) = base_time_s {
            cbor::write_integer(BASE_TIME, &mut out);
            write_time(time_s, &mut out);
        }
        if !name.is_empty() {
            cbor::write_integer(NAME, &mut out);
            cbor::write_text(&name, &mut out);
        }
        if let Some(time_s) = time_s {
            cbor::write_integer(TIME, &mut out);
            write_time(time_s, &mut out);
        }
        write_value(&leaf.value, &mut out);
    }
    out.into()
}

/// Writes records that only name places.
pub(super) fn encode_paths(paths: &[Path]) -> Bytes {
    let mut out = Vec::new();
    cbor::write_array(paths.len(), &mut out);
    for path in paths {
        cbor::write_map(1, &mut out);
        cbor::write_integer(NAME, &mut out);
        cbor::write_text(&path.to_string(), &mut out);
    }
    out.into()
}

/// Reads the records of a pack without resolving them.
pub(super) fn records(payload: &[u8], records_max: usize) -> Result<Vec<Record>, CodecError> {
    let mut reader = Reader::new(payload);
    let mut items = reader.array().map_err(malformed)?;
    let mut records = Vec::new();
    while reader.next_of(&mut items).map_err(malformed)? {
        if records.len() >= records_max {
            return Err(CodecError::TooManyLeaves { leaves_max: records_max });
        }
        records.push(read(&mut reader).map_err(malformed)?);
    }
    if !reader.is_at_end() {
        return Err(malformed("bytes follow the pack"));
    }
    Ok(records)
}

fn read(reader: &mut Reader<'_>) -> Result<Record, &'static str> {
    let mut record = Record::default();
    let mut pairs = reader.map()?;
    while reader.next_of(&mut pairs)? {
        if matches!(reader.peek()?, Type::String | Type::StringIndef) {
            let label = reader.text()?;
            extension(&label, &mut record, reader)?;
            continue;
        }
        match reader.integer()? {
            BASE_VERSION if reader.integer()? > VERSION_MAX => {
                return Err("a later version of SenML");
            }
            BASE_VERSION => {}
            BASE_NAME => record.base_name = Some(reader.text()?),
            BASE_TIME => record.base_time_s = Some(reader.finite()?),
            BASE_VALUE => record.base_value = Some(reader.number()?),
            NAME => record.name = Some(reader.text()?),
            TIME => record.time_s = Some(reader.finite()?),
            VALUE => {
                let number = reader.number()?;
                record.set_value(number)?;
            }
            STRING_VALUE => {
                let text = reader.text()?;
                record.set_value(Value::String(text))?;
            }
            BOOLEAN_VALUE => {
                let truth = reader.boolean()?;
                record.set_value(Value::Boolean(truth))?;
            }
            DATA_VALUE => {
                let bytes = reader.bytes()?;
                record.set_value(Value::Opaque(bytes))?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(record)
}

/// Reads a field whose label is text: LwM2M's object link (LwM2M 1.1 TS core, table 7.4.5-1).
fn extension(
    label: &str,
    record: &mut Record,
    reader: &mut Reader<'_>,
) -> Result<(), &'static str> {
    if label == OBJECT_LINK {
        let link = object_link(&reader.text()?).ok_or("not an object link")?;
        return record.set_value(link);
    }
    // RFC 8428, section 4.4: labels that end so must be understood or the pack refused.
    if label.ends_with('_') {
        return Err("an extension that must be understood");
    }
    reader.skip()
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(_) | Value::Unsigned(_) | Value::Float(_) => {
            cbor::write_integer(VALUE, out);
            cbor::write_value(value, out);
        }
        // SenML knows no tag for a time; the resource's definition makes it one.
        Value::Time(seconds) => {
            cbor::write_integer(VALUE, out);
            cbor::write_integer(*seconds, out);
        }
        Value::Boolean(_) => {
            cbor::write_integer(BOOLEAN_VALUE, out);
            cbor::write_value(value, out);
        }
        Value::String(_) | Value::CoreLink(_) => {
            cbor::write_integer(STRING_VALUE, out);
            cbor::write_value(value, out);
        }
        Value::Opaque(_) => {
            cbor::write_integer(DATA_VALUE, out);
            cbor::write_value(value, out);
        }
        Value::ObjectLink(..) => {
            cbor::write_text(OBJECT_LINK, out);
            cbor::write_value(value, out);
        }
    }
}

/// Writes a whole number of seconds as an integer, which every reader takes and costs less.
fn write_time(time_s: f64, out: &mut Vec<u8>) {
    match Value::Float(time_s).as_integer() {
        Some(seconds) if seconds != 0 || time_s.is_sign_positive() => {
            cbor::write_integer(seconds, out);
        }
        _ => cbor::write_float(time_s, out),
    }
}

const fn malformed(reason: &'static str) -> CodecError {
    CodecError::Malformed { format: ContentFormat::SENML_CBOR, reason }
}

// Labels of RFC 8428, table 4.
const BASE_VERSION: i64 = -1;
const BASE_NAME: i64 = -2;
const BASE_TIME: i64 = -3;
const BASE_VALUE: i64 = -5;
const NAME: i64 = 0;
const VALUE: i64 = 2;
const STRING_VALUE: i64 = 3;
const BOOLEAN_VALUE: i64 = 4;
const TIME: i64 = 6;
const DATA_VALUE: i64 = 8;
const OBJECT_LINK: &str = "vlo";
