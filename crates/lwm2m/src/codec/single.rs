//! Formats that carry one value: plain text, opaque and CBOR (LwM2M 1.1 TS core, sections 7.4.1,
//! 7.4.2 and 7.4.4).

use bytes::Bytes;

use super::base64::{self, Alphabet};
use super::cbor::{self, Reader};
use super::{CodecError, EncodeError, Sink};
use crate::value::object_link;
use crate::{ContentFormat, Leaf, Path, Value, ValueKind};

/// Reads plain text as the kind of the resource's definition, as a string without one.
pub(super) fn decode_text(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let path = single(sink)?;
    let text = str::from_utf8(payload).map_err(|_| sink.malformed("not UTF-8"))?;
    let kind = sink.definitions.kind(path).unwrap_or(ValueKind::String);
    let value = text_value(text, kind).ok_or(CodecError::WrongKind { path, expected: kind })?;
    sink.push(path, value, None)
}

/// Reads bytes as they are.
pub(super) fn decode_opaque(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let path = single(sink)?;
    sink.push(path, Value::Opaque(Bytes::copy_from_slice(payload)), None)
}

/// Reads one CBOR item.
pub(super) fn decode_cbor(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let path = single(sink)?;
    let mut reader = Reader::new(payload);
    let value = reader.value().map_err(|reason| sink.malformed(reason))?;
    if !reader.is_at_end() {
        return Err(sink.malformed("bytes follow the value"));
    }
    sink.push(path, value, None)
}

/// Writes the one value as plain text.
pub(super) fn encode_text(leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let leaf = only(leaves, ContentFormat::TEXT)?;
    let text = match &leaf.value {
        Value::Opaque(bytes) => base64::encode(bytes, Alphabet::Standard),
        Value::Float(number) if !number.is_finite() => {
            let format = ContentFormat::TEXT;
            return Err(EncodeError::NotRepresentable { path: leaf.path, format });
        }
        value => value.to_string(),
    };
    Ok(text.into())
}

/// Writes the one value, which must be opaque, without a copy.
pub(super) fn encode_opaque(leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let format = ContentFormat::OPAQUE;
    let leaf = only(leaves, format)?;
    let refused = EncodeError::NotRepresentable { path: leaf.path, format };
    leaf.value.as_bytes().cloned().ok_or(refused)
}

/// Writes the one value as a CBOR item.
pub(super) fn encode_cbor(leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let leaf = only(leaves, ContentFormat::CBOR)?;
    let mut out = Vec::new();
    cbor::write_value(&leaf.value, &mut out);
    Ok(out.into())
}

/// Reads a value from its text (LwM2M 1.1 TS core, appendix C): booleans are 0 and 1, opaque bytes
/// are base64. The words `true` and `false` are tolerated.
fn text_value(text: &str, kind: ValueKind) -> Option<Value> {
    Some(match kind {
        ValueKind::Integer => Value::Integer(text.parse().ok()?),
        ValueKind::Unsigned => Value::Unsigned(text.parse().ok()?),
        ValueKind::Time => Value::Time(text.parse().ok()?),
        ValueKind::Float => {
            Value::Float(text.parse().ok().filter(|number: &f64| number.is_finite())?)
        }
        ValueKind::Boolean => Value::Boolean(match text {
            "0" | "false" => false,
            "1" | "true" => true,
            _ => return None,
        }),
        ValueKind::String => Value::String(text.to_owned()),
        ValueKind::CoreLink => Value::CoreLink(text.to_owned()),
        ValueKind::Opaque => Value::Opaque(base64::decode(text)?.into()),
        ValueKind::ObjectLink => object_link(text)?,
    })
}

fn single(sink: &Sink<'_>) -> Result<Path, CodecError> {
    if sink.base.depth() < 3 {
        return Err(CodecError::NotSingle { format: sink.format, path: sink.base });
    }
    Ok(sink.base)
}

fn only(leaves: &[Leaf], format: ContentFormat) -> Result<&Leaf, EncodeError> {
    match leaves {
        [leaf] => Ok(leaf),
        _ => Err(EncodeError::NotSingle(format)),
    }
}
