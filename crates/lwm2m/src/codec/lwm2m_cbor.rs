//! LwM2M CBOR (LwM2M 1.2 TS core, section 7.4.7): nested maps of identifiers.

use bytes::Bytes;
use minicbor::data::Type;

use super::cbor::{self, Reader};
use super::{CodecError, EncodeError, Sink, grouped, sorted};
use crate::{Leaf, Path};

/// Reads maps whose keys are identifiers, or arrays of them, from the root downwards.
pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let mut reader = Reader::new(payload);
    map(&mut reader, Path::ROOT, sink)?;
    if !reader.is_at_end() {
        return Err(sink.malformed("bytes follow the outermost map"));
    }
    Ok(())
}

/// Writes nested maps, one identifier for each key.
pub(super) fn encode(leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let sorted = sorted(leaves)?;
    let mut out = Vec::new();
    write_map(&sorted, 0, &mut out);
    Ok(out.into())
}

/// Every key goes at least one level down and a path has four, which bounds the recursion.
fn map(reader: &mut Reader<'_>, parent: Path, sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let mut pairs = reader.map().map_err(|reason| sink.malformed(reason))?;
    while reader.next_of(&mut pairs).map_err(|reason| sink.malformed(reason))? {
        let path = key(reader, parent).map_err(|reason| sink.malformed(reason))?;
        match reader.peek().map_err(|reason| sink.malformed(reason))? {
            Type::Map | Type::MapIndef => map(reader, path, sink)?,
            // A composite read names places without values.
            Type::Null => reader.skip().map_err(|reason| sink.malformed(reason))?,
            _ => {
                let value = reader.value().map_err(|reason| sink.malformed(reason))?;
                sink.push(path, value, None)?;
            }
        }
    }
    Ok(())
}

fn key(reader: &mut Reader<'_>, parent: Path) -> Result<Path, &'static str> {
    if !matches!(reader.peek()?, Type::Array | Type::ArrayIndef) {
        return identifier(reader, parent);
    }
    let mut path = parent;
    let mut items = reader.array()?;
    while reader.next_of(&mut items)? {
        path = identifier(reader, path)?;
    }
    if path == parent { Err("a key is empty") } else { Ok(path) }
}

fn identifier(reader: &mut Reader<'_>, parent: Path) -> Result<Path, &'static str> {
    let id = u16::try_from(reader.integer()?).ok().filter(|&id| id != u16::MAX);
    parent.child(id.ok_or("a key is not an identifier")?).ok_or("nested too deep")
}

fn write_map(leaves: &[&Leaf], level: usize, out: &mut Vec<u8>) {
    cbor::write_map(grouped(leaves, level).count(), out);
    for (id, group) in grouped(leaves, level) {
        cbor::write_integer(id.into(), out);
        match group {
            [leaf] if leaf.path.depth() == level + 1 => cbor::write_value(&leaf.value, out),
            _ => write_map(group, level + 1, out),
        }
    }
}
