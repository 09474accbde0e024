//! Content formats: payload bytes to leaves and back.
//!
//! Every decoder takes hostile bytes. Lengths in the input are never believed before the bytes
//! are there, nesting is bounded by the data model (four levels), and [`CodecLimits`] bounds the
//! rest. Every encoder writes what the decoder of the same format reads back.

use bytes::Bytes;
use thiserror::Error;

use crate::{ContentFormat, Definitions, Leaf, Path, ValueKind};

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
    let _ = (limits, base, payload, definitions);
    Err(CodecError::UnsupportedFormat(format))
}

/// Writes values as a payload for a request to `base`.
///
/// Leaves may come in any order; TLV and LwM2M CBOR group them by path and drop their times.
///
/// # Errors
/// See [`EncodeError`]: always the fault of the caller.
pub fn encode(format: ContentFormat, base: Path, leaves: &[Leaf]) -> Result<Bytes, EncodeError> {
    let _ = (base, leaves);
    Err(EncodeError::UnsupportedFormat(format))
}

/// Bounds what one payload may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecLimits {
    /// Longest payload, in bytes. A decoded payload costs at most about fifteen times its size.
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
