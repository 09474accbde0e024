//! What SenML means (RFC 8428), apart from how JSON and CBOR write it: base fields and names.

use super::{CodecError, Sink};
use crate::{ContentFormat, Leaf, Path, Value};

/// Is one record as written, before base fields are resolved.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) base_name: Option<String>,
    pub(super) base_time_s: Option<f64>,
    pub(super) base_value: Option<Value>,
    pub(super) name: Option<String>,
    pub(super) time_s: Option<f64>,
    pub(super) value: Option<Value>,
}

impl Record {
    /// Sets the one value of the record (section 4.2: never several).
    pub(super) fn set_value(&mut self, value: Value) -> Result<(), &'static str> {
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err("a record has several values"),
        }
    }
}

/// Resolves records into leaves (section 4.6).
pub(super) fn resolve(records: Vec<Record>, sink: &mut Sink<'_>) -> Result<(), CodecError> {
    let mut names = Names::default();
    let mut base_time_s = None;
    let mut base_value = None;
    for record in records {
        base_time_s = record.base_time_s.or(base_time_s);
        base_value = record.base_value.or(base_value);
        names.base(record.base_name).map_err(|reason| sink.malformed(reason))?;
        // A record with only base fields, or with only a sum, has nothing to tell here.
        let Some(value) = record.value else { continue };
        let path = names.path(record.name.as_deref()).map_err(|reason| sink.malformed(reason))?;
        let value = add(base_value.as_ref(), value);
        let time_s = match (base_time_s, record.time_s) {
            (None, time_s) | (time_s, None) => time_s,
            (Some(base), Some(offset)) => Some(base + offset),
        };
        sink.push(path, value, time_s)?;
    }
    Ok(())
}

/// Resolves records that only name places, as composite reads do.
pub(super) fn paths(format: ContentFormat, records: &[Record]) -> Result<Vec<Path>, CodecError> {
    let mut names = Names::default();
    let malformed = |reason| CodecError::Malformed { format, reason };
    let mut paths = Vec::with_capacity(records.len());
    for record in records {
        names.base(record.base_name.clone()).map_err(malformed)?;
        paths.push(names.path(record.name.as_deref()).map_err(malformed)?);
    }
    Ok(paths)
}

/// Splits the names of leaves into a base name and what follows it; an empty base name is left
/// out when writing.
pub(super) fn base_name(base: Path, leaves: &[Leaf]) -> String {
    match leaves {
        [leaf] if leaf.path == base => base.to_string(),
        leaves if base.is_root() || leaves.iter().any(|leaf| leaf.path == base) => String::new(),
        _ => format!("{base}/"),
    }
}

/// Returns what follows the base name in a leaf's name.
pub(super) fn name_after(base_name: &str, path: Path) -> String {
    let name = path.to_string();
    match name.strip_prefix(base_name) {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

/// Returns the time that all leaves share, so that it is written once.
pub(super) fn shared_time_s(leaves: &[Leaf]) -> Option<f64> {
    let first = leaves.first()?.time_s?;
    let same = |leaf: &Leaf| leaf.time_s.is_some_and(|time| time.to_bits() == first.to_bits());
    leaves.iter().all(same).then_some(first)
}

/// Joins base names and names; a joined name that no path can be as long as is refused before it
/// is copied, or a long base name with many records would cost the product of both.
#[derive(Default)]
struct Names {
    base: String,
    joined: String,
}

impl Names {
    fn base(&mut self, base: Option<String>) -> Result<(), &'static str> {
        if let Some(base) = base {
            if base.len() > NAME_BYTES_MAX {
                return Err("a base name is too long for a path");
            }
            self.base = base;
        }
        Ok(())
    }

    fn path(&mut self, name: Option<&str>) -> Result<Path, &'static str> {
        let name = name.unwrap_or_default();
        if self.base.len() + name.len() > NAME_BYTES_MAX {
            return Err("a name is too long for a path");
        }
        self.joined.clear();
        self.joined.push_str(&self.base);
        self.joined.push_str(name);
        if self.joined.is_empty() {
            return Err("a record has no name");
        }
        self.joined.parse().map_err(|_| "a name is not a path")
    }
}

/// Adds a base value to a number; anything else stays as it is (section 4.1).
fn add(base: Option<&Value>, value: Value) -> Value {
    let Some(base) = base else { return value };
    match (base, &value) {
        (Value::Integer(base), Value::Integer(number)) if base.checked_add(*number).is_some() => {
            Value::Integer(base + number)
        }
        (base, Value::Integer(_) | Value::Unsigned(_) | Value::Float(_)) => {
            match (base.as_float(), value.as_float()) {
                (Some(base), Some(number)) => Value::Float(base + number),
                _ => value,
            }
        }
        _ => value,
    }
}

/// The version of SenML that RFC 8428 defines; higher ones are not understood.
pub(super) const VERSION_MAX: i64 = 10;
/// `/65534` four times is 24 bytes; the rest is tolerance.
const NAME_BYTES_MAX: usize = 64;
