//! Values of resources, and the leaves that carry them.

use std::fmt;

use bytes::Bytes;

use crate::Path;

/// Is the value of one resource or resource instance (LwM2M 1.1 TS core, appendix C).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A signed whole number.
    Integer(i64),
    /// A whole number that is never negative (from LwM2M 1.1).
    Unsigned(u64),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Text in UTF-8.
    String(String),
    /// Bytes without meaning to this protocol, such as a firmware image.
    Opaque(Bytes),
    /// A moment, in seconds since 1970-01-01 UTC.
    Time(i64),
    /// A reference to an object instance: object, then instance; 65535 twice means "none".
    ObjectLink(u16, u16),
    /// Links in the format of RFC 6690 (from LwM2M 1.1).
    CoreLink(String),
}

impl Value {
    /// Tells which kind of value this is.
    #[must_use]
    pub const fn kind(&self) -> ValueKind {
        match self {
            Self::Integer(_) => ValueKind::Integer,
            Self::Unsigned(_) => ValueKind::Unsigned,
            Self::Float(_) => ValueKind::Float,
            Self::Boolean(_) => ValueKind::Boolean,
            Self::String(_) => ValueKind::String,
            Self::Opaque(_) => ValueKind::Opaque,
            Self::Time(_) => ValueKind::Time,
            Self::ObjectLink(..) => ValueKind::ObjectLink,
            Self::CoreLink(_) => ValueKind::CoreLink,
        }
    }

    /// Returns a whole number, whichever of the numeric kinds holds it.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::Integer(number) | Self::Time(number) => Some(number),
            Self::Unsigned(number) => i64::try_from(number).ok(),
            Self::Float(number) => whole(number),
            Self::Boolean(_)
            | Self::String(_)
            | Self::Opaque(_)
            | Self::ObjectLink(..)
            | Self::CoreLink(_) => None,
        }
    }

    /// Returns a number, whichever of the numeric kinds holds it; large ones are rounded.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rounded measure is what the caller asks for")]
    pub const fn as_float(&self) -> Option<f64> {
        match *self {
            Self::Integer(number) | Self::Time(number) => Some(number as f64),
            Self::Unsigned(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            Self::Boolean(_)
            | Self::String(_)
            | Self::Opaque(_)
            | Self::ObjectLink(..)
            | Self::CoreLink(_) => None,
        }
    }

    /// Returns the text of a string or of core links.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::CoreLink(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the truth of a boolean.
    #[must_use]
    pub const fn as_boolean(&self) -> Option<bool> {
        match *self {
            Self::Boolean(truth) => Some(truth),
            _ => None,
        }
    }

    /// Returns the bytes of an opaque value.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Opaque(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Turns the value into another kind when nothing is lost, as formats that know only numbers,
    /// strings and bytes require.
    #[must_use]
    pub fn into_kind(self, kind: ValueKind) -> Option<Self> {
        if self.kind() == kind {
            return Some(self);
        }
        match kind {
            ValueKind::Integer => self.as_integer().map(Self::Integer),
            ValueKind::Time => self.as_integer().map(Self::Time),
            ValueKind::Unsigned => match self {
                Self::Integer(number) | Self::Time(number) => u64::try_from(number).ok(),
                Self::Float(number) => whole(number).and_then(|number| u64::try_from(number).ok()),
                _ => None,
            }
            .map(Self::Unsigned),
            ValueKind::Float => self.as_float().map(Self::Float),
            ValueKind::String => match self {
                Self::CoreLink(text) => Some(Self::String(text)),
                _ => None,
            },
            ValueKind::CoreLink => match self {
                Self::String(text) => Some(Self::CoreLink(text)),
                _ => None,
            },
            ValueKind::ObjectLink => match self {
                Self::String(text) => object_link(&text),
                _ => None,
            },
            ValueKind::Boolean | ValueKind::Opaque => None,
        }
    }
}

impl fmt::Display for Value {
    /// Writes the value as LwM2M's plain text does, except that opaque bytes appear as their count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) | Self::Time(number) => write!(f, "{number}"),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Boolean(truth) => write!(f, "{}", u8::from(*truth)),
            Self::String(text) | Self::CoreLink(text) => f.write_str(text),
            Self::Opaque(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::ObjectLink(object, instance) => write!(f, "{object}:{instance}"),
        }
    }
}

/// Names the kinds of value a resource can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// See [`Value::Integer`].
    Integer,
    /// See [`Value::Unsigned`].
    Unsigned,
    /// See [`Value::Float`].
    Float,
    /// See [`Value::Boolean`].
    Boolean,
    /// See [`Value::String`].
    String,
    /// See [`Value::Opaque`].
    Opaque,
    /// See [`Value::Time`].
    Time,
    /// See [`Value::ObjectLink`].
    ObjectLink,
    /// See [`Value::CoreLink`].
    CoreLink,
}

impl fmt::Display for ValueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Unsigned => "unsigned integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Opaque => "opaque",
            Self::Time => "time",
            Self::ObjectLink => "object link",
            Self::CoreLink => "core link",
        })
    }
}

/// Is one value at its place: what every read, write, notification and Send consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The resource or resource instance.
    pub path: Path,
    /// Its value.
    pub value: Value,
    /// When the value was measured, in seconds, as the device wrote it: at least 2^28 counts from
    /// 1970-01-01 UTC, anything smaller is relative to now (RFC 8428, section 4.5.3). See
    /// [`Leaf::time_unix_s`].
    pub time_s: Option<f64>,
}

impl Leaf {
    /// Puts a value at a place, without a time.
    #[must_use]
    pub const fn new(path: Path, value: Value) -> Self {
        Self { path, value, time_s: None }
    }

    /// Resolves the time of measure against the present (RFC 8428, section 4.5.3), both in seconds
    /// since 1970-01-01 UTC.
    #[must_use]
    pub fn time_unix_s(&self, now_unix_s: f64) -> Option<f64> {
        self.time_s.map(|time| if time < ABSOLUTE_TIME_S_MIN { now_unix_s + time } else { time })
    }
}

/// Reads `object:instance`; both are at most 65535.
pub(crate) fn object_link(text: &str) -> Option<Value> {
    let (object, instance) = text.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(object) || !digits(instance) {
        return None;
    }
    Some(Value::ObjectLink(object.parse().ok()?, instance.parse().ok()?))
}

/// Returns a float as a whole number when it is exactly one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
#[expect(clippy::float_cmp, reason = "a whole number equals its truncation exactly")]
fn whole(number: f64) -> Option<i64> {
    let within = (-TWO_POW_63..TWO_POW_63).contains(&number);
    (within && number.trunc() == number).then_some(number as i64)
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
/// 2^28 s, about eight and a half years: smaller times are relative to now.
const ABSOLUTE_TIME_S_MIN: f64 = 268_435_456.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_change_only_without_loss() {
        let check = |value: Value, kind: ValueKind, expected: Option<Value>| {
            assert_eq!(value.clone().into_kind(kind), expected, "{value:?} as {kind}");
        };
        check(Value::Integer(7), ValueKind::Float, Some(Value::Float(7.0)));
        check(Value::Float(7.0), ValueKind::Integer, Some(Value::Integer(7)));
        check(Value::Float(7.5), ValueKind::Integer, None);
        check(Value::Float(f64::NAN), ValueKind::Integer, None);
        check(Value::Float(1e300), ValueKind::Integer, None);
        check(Value::Float(9.3e18), ValueKind::Integer, None);
        check(Value::Integer(-1), ValueKind::Unsigned, None);
        check(Value::Integer(1), ValueKind::Unsigned, Some(Value::Unsigned(1)));
        check(Value::Unsigned(u64::MAX), ValueKind::Integer, None);
        check(Value::Integer(9), ValueKind::Time, Some(Value::Time(9)));
        check(Value::String("3:0".into()), ValueKind::ObjectLink, Some(Value::ObjectLink(3, 0)));
        check(Value::String("65536:0".into()), ValueKind::ObjectLink, None);
        check(Value::String("+1:0".into()), ValueKind::ObjectLink, None);
        check(Value::String("1".into()), ValueKind::Integer, None);
        check(Value::Boolean(true), ValueKind::Integer, None);
    }

    /// RFC 8428, section 4.5.3.
    #[test]
    fn small_times_are_relative() {
        let check = |time_s: Option<f64>, expected: Option<f64>| {
            let leaf = Leaf { time_s, ..Leaf::new(Path::resource(3, 0, 9), Value::Integer(1)) };
            assert_eq!(leaf.time_unix_s(1.6e9), expected);
        };
        check(None, None);
        check(Some(0.0), Some(1.6e9));
        check(Some(-5.0), Some(1.6e9 - 5.0));
        check(Some(1.5e9), Some(1.5e9));
    }
}
