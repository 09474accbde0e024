//! LwM2M TLV (LwM2M 1.1 TS core, section 7.4.3; same bytes in 1.0 and 1.2).

use bytes::Bytes;

use super::{CodecError, EncodeError, Sink, grouped, sorted};
use crate::{ContentFormat, Leaf, Path, Value, ValueKind};

/// Reads entries at the level that the request's path expects.
///
/// Two liberties of version 1.0 are honoured: an answer to a read of an instance may repeat the
/// instance around its resources, and an answer to a read of an object may leave it out.
pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let mut rest = payload;
    while let Some(entry) = Entry::read(&mut rest).map_err(|reason| sink.malformed(reason))? {
        match entry.kind {
            EntryKind::ObjectInstance => object_instance(&entry, sink)?,
            EntryKind::Resource | EntryKind::MultipleResource => {
                let object = sink.base.object_id().ok_or_else(|| no_object(sink))?;
                let instance = sink.base.instance_id().unwrap_or(0);
                resource(&entry, Path::instance(object, instance), sink)?;
            }
            EntryKind::ResourceInstance => {
                let parent = sink.base.truncated(3);
                if parent.depth() < 3 {
                    return Err(sink.malformed("a resource instance stands outside its resource"));
                }
                value(&entry, parent, sink)?;
            }
        }
    }
    Ok(())
}

/// Writes leaves as entries below `base`; a root cannot be written, for TLV has no object entry.
pub(super) fn encode(base: Path, leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let format = ContentFormat::TLV;
    let sorted = sorted(leaves)?;
    let mut out = Vec::new();
    match base.depth() {
        0 => return Err(EncodeError::NotRepresentable { path: base, format }),
        1 => {
            for (instance, leaves) in grouped(&sorted, 1) {
                let mut inner = Vec::new();
                write_resources(leaves, &mut inner)?;
                let path = base.child(instance).unwrap_or(base);
                write_entry(EntryKind::ObjectInstance, path, instance, &inner, &mut out)?;
            }
        }
        4 => {
            for (id, leaves) in grouped(&sorted, 3) {
                write_values(EntryKind::ResourceInstance, id, leaves, &mut out)?;
            }
        }
        _ => write_resources(&sorted, &mut out)?,
    }
    Ok(out.into())
}

fn no_object(sink: &Sink<'_>) -> CodecError {
    sink.malformed("entries below the root do not say which object they belong to")
}

fn object_instance(entry: &Entry<'_>, sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let object = sink.base.object_id().ok_or_else(|| no_object(sink))?;
    let instance = Path::instance(object, entry.id);
    let mut rest = entry.value;
    while let Some(entry) = Entry::read(&mut rest).map_err(|reason| sink.malformed(reason))? {
        resource(&entry, instance, sink)?;
    }
    Ok(())
}

fn resource(entry: &Entry<'_>, instance: Path, sink: &mut Sink<'_>) -> Result<(), CodecError> {
    match entry.kind {
        EntryKind::Resource => value(entry, instance, sink),
        EntryKind::MultipleResource => {
            let resource = child(instance, entry, sink)?;
            let mut rest = entry.value;
            while let Some(inner) =
                Entry::read(&mut rest).map_err(|reason| sink.malformed(reason))?
            {
                if inner.kind != EntryKind::ResourceInstance {
                    return Err(sink.malformed("a resource contains something else than values"));
                }
                value(&inner, resource, sink)?;
            }
            Ok(())
        }
        EntryKind::ObjectInstance | EntryKind::ResourceInstance => {
            Err(sink.malformed("an instance contains something else than resources"))
        }
    }
}

fn value(entry: &Entry<'_>, parent: Path, sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let path = child(parent, entry, sink)?;
    let kind = sink.definitions.kind(path).unwrap_or(ValueKind::Opaque);
    let value =
        read_value(entry.value, kind).ok_or(CodecError::WrongKind { path, expected: kind })?;
    sink.push(path, value, None)
}

fn child(parent: Path, entry: &Entry<'_>, sink: &Sink<'_>) -> Result<Path, CodecError> {
    parent.child(entry.id).ok_or_else(|| sink.malformed("nested too deep"))
}

/// Reads the bytes of a value; lengths are those of the TS, so a number without bytes is none.
fn read_value(bytes: &[u8], kind: ValueKind) -> Option<Value> {
    Some(match kind {
        ValueKind::Integer => Value::Integer(signed(bytes)?),
        ValueKind::Time => Value::Time(signed(bytes)?),
        ValueKind::Unsigned => Value::Unsigned(unsigned(bytes)?),
        ValueKind::Float => Value::Float(match bytes.len() {
            4 => f32::from_be_bytes(bytes.try_into().ok()?).into(),
            _ => f64::from_be_bytes(bytes.try_into().ok()?),
        }),
        ValueKind::Boolean => Value::Boolean(match bytes {
            [0] => false,
            [1] => true,
            _ => return None,
        }),
        ValueKind::String => Value::String(str::from_utf8(bytes).ok()?.to_owned()),
        ValueKind::CoreLink => Value::CoreLink(str::from_utf8(bytes).ok()?.to_owned()),
        ValueKind::Opaque => Value::Opaque(Bytes::copy_from_slice(bytes)),
        ValueKind::ObjectLink => {
            let &[a, b, c, d] = bytes else { return None };
            Value::ObjectLink(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        }
    })
}

fn unsigned(bytes: &[u8]) -> Option<u64> {
    let allowed = matches!(bytes.len(), 1 | 2 | 4 | 8);
    allowed.then(|| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn signed(bytes: &[u8]) -> Option<i64> {
    let number = unsigned(bytes)?;
    let unused_bits = 64 - 8 * bytes.len();
    // Shifting up and back down copies the sign into the bits the input does not have.
    Some((number << unused_bits).cast_signed() >> unused_bits)
}

fn write_resources(leaves: &[&Leaf], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    for (resource, leaves) in grouped(leaves, 2) {
        if leaves[0].path.depth() == 3 {
            write_values(EntryKind::Resource, resource, leaves, out)?;
            continue;
        }
        let mut inner = Vec::new();
        for (id, leaves) in grouped(leaves, 3) {
            write_values(EntryKind::ResourceInstance, id, leaves, &mut inner)?;
        }
        let path = leaves[0].path.truncated(3);
        write_entry(EntryKind::MultipleResource, path, resource, &inner, out)?;
    }
    Ok(())
}

fn write_values(
    kind: EntryKind,
    id: u16,
    leaves: &[&Leaf],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    for leaf in leaves {
        write_entry(kind, leaf.path, id, &value_bytes(&leaf.value), out)?;
    }
    Ok(())
}

fn value_bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Integer(number) | Value::Time(number) => {
            let bytes = number.to_be_bytes();
            let fits = |bytes: usize| {
                let unused_bits = 64 - 8 * bytes;
                number << unused_bits >> unused_bits == *number
            };
            bytes[8 - shortest(fits)..].to_vec()
        }
        Value::Unsigned(number) => {
            let fits = |bytes: usize| number.leading_zeros() as usize >= 64 - 8 * bytes;
            number.to_be_bytes()[8 - shortest(fits)..].to_vec()
        }
        Value::Float(number) => short_float(*number)
            .map_or_else(|| number.to_be_bytes().to_vec(), |short| short.to_be_bytes().to_vec()),
        Value::Boolean(truth) => vec![u8::from(*truth)],
        Value::String(text) | Value::CoreLink(text) => text.as_bytes().to_vec(),
        Value::Opaque(bytes) => bytes.to_vec(),
        Value::ObjectLink(object, instance) => {
            [object.to_be_bytes(), instance.to_be_bytes()].concat()
        }
    }
}

fn shortest(fits: impl Fn(usize) -> bool) -> usize {
    [1, 2, 4].into_iter().find(|&bytes| fits(bytes)).unwrap_or(8)
}

/// Returns the number in 32 bits when that loses nothing.
#[expect(clippy::cast_possible_truncation, reason = "the result is compared with the original")]
pub(super) fn short_float(number: f64) -> Option<f32> {
    let short = number as f32;
    (f64::from(short).to_bits() == number.to_bits()).then_some(short)
}

fn write_entry(
    kind: EntryKind,
    path: Path,
    id: u16,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let too_long = EncodeError::NotRepresentable { path, format: ContentFormat::TLV };
    let length = u32::try_from(value.len()).ok().filter(|&length| length < 1 << 24);
    let length = length.ok_or(too_long)?;
    let length_bytes = match length {
        0..=7 => 0,
        8..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 3,
    };
    let wide_id = u8::from(id > 0xff);
    let [_, high, middle, low] = length.to_be_bytes();
    let inline_length = if length_bytes == 0 { low } else { 0 };
    out.push((kind as u8) << 6 | wide_id << 5 | length_bytes << 3 | inline_length);
    out.extend(&id.to_be_bytes()[usize::from(1 - wide_id)..]);
    out.extend(&[high, middle, low][3 - usize::from(length_bytes)..]);
    out.extend(value);
    Ok(())
}

/// One type-length-value entry, borrowed from the payload.
struct Entry<'a> {
    kind: EntryKind,
    id: u16,
    value: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EntryKind {
    ObjectInstance = 0,
    ResourceInstance = 1,
    MultipleResource = 2,
    Resource = 3,
}

impl<'a> Entry<'a> {
    /// Takes the next entry off the input; none at its end.
    fn read(input: &mut &'a [u8]) -> Result<Option<Self>, &'static str> {
        let Some(head) = input.split_off_first() else { return Ok(None) };
        let kind = match head >> 6 {
            0 => EntryKind::ObjectInstance,
            1 => EntryKind::ResourceInstance,
            2 => EntryKind::MultipleResource,
            _ => EntryKind::Resource,
        };
        let mut number = |bytes: usize| {
            let taken = input.split_off(..bytes).ok_or("an entry ends in its header")?;
            Ok::<_, &'static str>(taken.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
        };
        let id = number(1 + usize::from(head >> 5 & 1))?;
        let length = match usize::from(head >> 3 & 3) {
            0 => usize::from(head & 7),
            length_bytes => number(length_bytes)?,
        };
        let value = input.split_off(..length).ok_or("an entry is longer than its container")?;
        // 65535 is reserved (section 7.2).
        let id = u16::try_from(id).ok().filter(|&id| id != u16::MAX);
        let id = id.ok_or("the identifier 65535 is reserved")?;
        Ok(Some(Self { kind, id, value }))
    }
}
