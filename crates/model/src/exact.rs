//! Floats that come back from storage with the same bits.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A float of which every bit counts: compared, stored and restored bit by bit.
///
/// Written as 16 hexadecimal digits of its IEEE 754 bits in readable formats and as a 64-bit
/// integer in binary ones, because decimal digits may come back one bit off and infinities not
/// at all. A replay then starts from exactly what the decision started from.
#[derive(Clone, Copy, Default)]
pub struct Exact(f64);

impl Exact {
    /// Wraps a value.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self(value)
    }

    /// Returns the value.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Exact {}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:016x}", self.0.to_bits()))
        } else {
            serializer.serialize_u64(self.0.to_bits())
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Digits)
        } else {
            u64::deserialize(deserializer).map(|bits| Self(f64::from_bits(bits)))
        }
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = Exact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("16 hexadecimal digits, the bits of a float")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Exact, E> {
        if text.len() != 16 {
            return Err(E::invalid_value(Unexpected::Str(text), &self));
        }
        u64::from_str_radix(text, 16)
            .map(|bits| Exact(f64::from_bits(bits)))
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
