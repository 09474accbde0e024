//! Content formats: payload bytes to leaves and back.
//!
//! Every decoder takes hostile bytes. Lengths in the input are never believed before the bytes
//! are there, nesting is bounded by the data model (four levels), and [`CodecLimits`] bounds the
//! rest. Every encoder writes what the decoder of the same format reads back.

mod base64;
mod cbor;
mod lwm2m_cbor;
mod lwm2m_json;
mod senml;
mod senml_cbor;
mod senml_json;
mod single;
mod tlv;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use thiserror::Error;

use crate::{ContentFormat, Definitions, Leaf, Path, Value, ValueKind};

/// Reads a payload as values at or below `base`, with the default [`CodecLimits`].
///
/// `base` is the path of the request that the payload belongs to; [`Path::ROOT`] for Send and
/// composite operations. Leaves keep the order of the payload.
///
/// # Errors
/// See [`CodecError`]: always the fault of whoever wrote the payload.
pub fn decode(
    format: ContentFormat,
    base: Path,
    payload: &[u8],
    definitions: &Definitions,
) -> Result<Vec<Leaf>, CodecError> {
    decode_within(&CodecLimits::default(), format, base, payload, definitions)
}

/// Reads a payload as [`decode`] does, with limits of the caller.
///
/// # Errors
/// See [`CodecError`].
pub fn decode_within(
    limits: &CodecLimits,
    format: ContentFormat,
    base: Path,
    payload: &[u8],
    definitions: &Definitions,
) -> Result<Vec<Leaf>, CodecError> {
    if payload.len() > limits.payload_bytes_max {
        return Err(CodecError::TooLong {
            bytes: payload.len(),
            bytes_max: limits.payload_bytes_max,
        });
    }
    let leaves_max = limits.leaves_max;
    let mut sink = Sink { format, base, definitions, leaves_max, leaves: Vec::new() };
    match format.registered() {
        ContentFormat::TEXT => single::decode_text(payload, &mut sink)?,
        ContentFormat::OPAQUE => single::decode_opaque(payload, &mut sink)?,
        ContentFormat::CBOR => single::decode_cbor(payload, &mut sink)?,
        ContentFormat::TLV => tlv::decode(payload, &mut sink)?,
        ContentFormat::SENML_JSON => senml_json::decode(payload, &mut sink)?,
        ContentFormat::SENML_CBOR => senml_cbor::decode(payload, &mut sink)?,
        ContentFormat::LWM2M_JSON => lwm2m_json::decode(payload, &mut sink)?,
        ContentFormat::LWM2M_CBOR => lwm2m_cbor::decode(payload, &mut sink)?,
        _ => return Err(CodecError::UnsupportedFormat(format)),
    }
    Ok(sink.leaves)
}

/// Writes values as a payload for a request to `base`.
///
/// Leaves may come in any order; TLV and LwM2M CBOR group them by path and drop their times.
///
/// # Errors
/// See [`EncodeError`]: always the fault of the caller.
pub fn encode(format: ContentFormat, base: Path, leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    if let Some(leaf) =
        leaves.iter().find(|leaf| leaf.path.depth() < 3 || !base.is_prefix_of(leaf.path))
    {
        return Err(EncodeError::OutOfTree { path: leaf.path, base });
    }
    match format.registered() {
        ContentFormat::TEXT => single::encode_text(leaves),
        ContentFormat::OPAQUE => single::encode_opaque(leaves),
        ContentFormat::CBOR => single::encode_cbor(leaves),
        ContentFormat::TLV => tlv::encode(base, leaves),
        ContentFormat::SENML_JSON => senml_json::encode(base, leaves),
        ContentFormat::SENML_CBOR => Ok(senml_cbor::encode(base, leaves)),
        ContentFormat::LWM2M_JSON => lwm2m_json::encode(base, leaves),
        ContentFormat::LWM2M_CBOR => lwm2m_cbor::encode(leaves),
        _ => Err(EncodeError::UnsupportedFormat(format)),
    }
}

/// Reads the paths that a Read-Composite or Observe-Composite asks for (LwM2M 1.1 TS core,
/// section 6.3.6); SenML-JSON and SenML-CBOR only.
///
/// # Errors
/// See [`CodecError`].
pub fn decode_paths(format: ContentFormat, payload: &[u8]) -> Result<Vec<Path>, CodecError> {
    let limits = CodecLimits::default();
    if payload.len() > limits.payload_bytes_max {
        return Err(CodecError::TooLong {
            bytes: payload.len(),
            bytes_max: limits.payload_bytes_max,
        });
    }
    let records = match format {
        ContentFormat::SENML_JSON => senml_json::records(payload, limits.leaves_max)?,
        ContentFormat::SENML_CBOR => senml_cbor::records(payload, limits.leaves_max)?,
        _ => return Err(CodecError::UnsupportedFormat(format)),
    };
    senml::paths(format, &records)
}

/// Writes the paths of a Read-Composite or Observe-Composite; SenML-JSON and SenML-CBOR only.
///
/// # Errors
/// [`EncodeError::UnsupportedFormat`] for any other format.
pub fn encode_paths(format: ContentFormat, paths: &[Path]) -> Result<Bytes, EncodeError> {
    match format {
        ContentFormat::SENML_JSON => Ok(senml_json::encode_paths(paths)),
        ContentFormat::SENML_CBOR => Ok(senml_cbor::encode_paths(paths)),
        _ => Err(EncodeError::UnsupportedFormat(format)),
    }
}

/// Bounds what one payload may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecLimits {
    /// Longest payload, in bytes. While JSON is read it costs up to about forty
    /// times its size, other formats less.
    pub payload_bytes_max: usize,
    /// Most values in one payload; each costs about 80 bytes and its text.
    pub leaves_max: usize,
}

impl Default for CodecLimits {
    fn default() -> Self {
        Self { payload_bytes_max: 1 << 20, leaves_max: 8192 }
    }
}

/// Says why a payload cannot be read; the fault is with the peer that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The payload has a format that is not spoken here, or not for values.
    #[error("{0} is not a format for values that is supported here")]
    UnsupportedFormat(ContentFormat),
    /// The format carries one value, and the path names more than one.
    #[error("{format} carries a single value, and {path} is not a single resource")]
    NotSingle {
        /// The format of the payload.
        format: ContentFormat,
        /// The path of the request.
        path: Path,
    },
    /// The payload is longer than the limit.
    #[error("the payload has {bytes} bytes, and at most {bytes_max} are accepted")]
    TooLong {
        /// The payload's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The payload has more values than the limit.
    #[error("the payload has more than {leaves_max} values")]
    TooManyLeaves {
        /// The limit.
        leaves_max: usize,
    },
    /// The bytes break the rules of the format.
    #[error("not valid {format}: {reason}")]
    Malformed {
        /// The format of the payload.
        format: ContentFormat,
        /// What is wrong.
        reason: &'static str,
    },
    /// A value lies outside the path of the request.
    #[error("the payload names {path}, which is not inside {base}")]
    OutOfTree {
        /// The value's path.
        path: Path,
        /// The path of the request.
        base: Path,
    },
    /// A value is of another kind than the definition of its resource says.
    #[error("the value of {path} is not of kind {expected}")]
    WrongKind {
        /// The value's path.
        path: Path,
        /// The kind the definition gives.
        expected: ValueKind,
    },
}

/// Says why values cannot be written in a format; the fault is with the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The format is not spoken here, or not for values.
    #[error("{0} is not a format for values that is supported here")]
    UnsupportedFormat(ContentFormat),
    /// The format carries one value, and there are none or several.
    #[error("{0} carries exactly one value of a resource")]
    NotSingle(ContentFormat),
    /// A value lies outside the path of the request.
    #[error("{path} is not a resource inside {base}")]
    OutOfTree {
        /// The value's path.
        path: Path,
        /// The path of the request.
        base: Path,
    },
    /// The same place has two values, or both a value and instances.
    #[error("{0} is given twice")]
    Twice(Path),
    /// The format has no way to write the value.
    #[error("the value of {path} cannot be written as {format}")]
    NotRepresentable {
        /// The value's path.
        path: Path,
        /// The format asked for.
        format: ContentFormat,
    },
}

/// Collects leaves and holds them to the request's path, the definitions and the limits.
struct Sink<'a> {
    format: ContentFormat,
    base: Path,
    definitions: &'a Definitions,
    leaves_max: usize,
    leaves: Vec<Leaf>,
}

impl Sink<'_> {
    /// Takes a value in the kind the format wrote it, and keeps it in the kind of its definition.
    fn push(&mut self, path: Path, value: Value, time_s: Option<f64>) -> Result<(), CodecError> {
        if !self.base.is_prefix_of(path) {
            return Err(CodecError::OutOfTree { path, base: self.base });
        }
        if path.depth() < 3 {
            return Err(self.malformed("a value stands at an object or an instance"));
        }
        if self.leaves.len() >= self.leaves_max {
            return Err(CodecError::TooManyLeaves { leaves_max: self.leaves_max });
        }
        let value = match self.definitions.kind(path) {
            Some(expected) => {
                value.into_kind(expected).ok_or(CodecError::WrongKind { path, expected })?
            }
            None => value,
        };
        self.leaves.push(Leaf { path, value, time_s });
        Ok(())
    }

    fn malformed(&self, reason: &'static str) -> CodecError {
        CodecError::Malformed { format: self.format, reason }
    }
}

/// Puts leaves in the order of their paths, for formats that nest; each place occurs once.
fn sorted(leaves: &[Leaf]) -> Result<Vec<&Leaf>, EncodeError> {
    let mut sorted: Vec<&Leaf> = leaves.iter().collect();
    sorted.sort_by_key(|leaf| leaf.path);
    match sorted.windows(2).find(|pair| pair[0].path.is_prefix_of(pair[1].path)) {
        Some(pair) => Err(EncodeError::Twice(pair[1].path)),
        None => Ok(sorted),
    }
}

/// Splits sorted leaves into runs that share the identifier at `level` (0 for the object).
fn grouped<'a>(
    leaves: &'a [&'a Leaf],
    level: usize,
) -> impl Iterator<Item = (u16, &'a [&'a Leaf])> {
    // A leaf that ends above `level` stands alone at its place, see `sorted`.
    let id = move |leaf: &Leaf| leaf.path.ids().get(level).copied();
    leaves
        .chunk_by(move |a, b| id(a) == id(b))
        .filter_map(move |group| Some((id(group.first()?)?, group)))
}
