//! Small shared forms: times, shares, references, pages, counts.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A point in time as RFC 3339 text in UTC with milliseconds, e.g. `2026-11-22T09:00:00.000Z`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T09:00:00.000Z")]
pub struct Timestamp(pub String);

impl Timestamp {
    /// The text as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The day, `2026-11-22`; the whole text when it has another form.
    #[must_use]
    pub fn day(&self) -> &str {
        self.0.split_once('T').map_or(&self.0, |(day, _)| day)
    }

    /// The time of day down to seconds, `09:00:00`; the whole text when it has another form.
    #[must_use]
    pub fn time_of_day(&self) -> &str {
        self.0.split_once('T').and_then(|(_, time)| time.get(..8)).unwrap_or(&self.0)
    }
}

impl From<model::Time> for Timestamp {
    fn from(time: model::Time) -> Self {
        Self(time.to_string())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A share of a whole, for programs and for people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// In percent with at most two decimals; over 100 is possible for ratios.
    #[schema(example = 6.25)]
    pub percent: f64,
    /// The same as text.
    #[schema(example = "6.25 %")]
    pub text: String,
}

impl From<model::Rate> for Share {
    fn from(rate: model::Rate) -> Self {
        Self { percent: f64::from(rate.as_basis_points()) / 100.0, text: rate.to_string() }
    }
}

/// Names a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct DeviceRef {
    /// Its number.
    pub id: u64,
    /// Its number as text, e.g. `dev-7`.
    #[schema(example = "dev-7")]
    pub name: String,
    /// The name it registers with.
    pub endpoint: String,
}

impl From<&model::Device> for DeviceRef {
    fn from(device: &model::Device) -> Self {
        Self {
            id: device.id.0,
            name: device.id.to_string(),
            endpoint: device.endpoint.as_str().to_owned(),
        }
    }
}

/// Names a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct ReleaseRef {
    /// Its number.
    pub id: u64,
    /// Its number as text, e.g. `rel-2`.
    #[schema(example = "rel-2")]
    pub name: String,
    /// The release's name in its manifest, e.g. `ws200-firmware`.
    pub release: String,
    /// The version it brings.
    pub version: String,
}

impl ReleaseRef {
    /// Name and version for people, e.g. `ws200-firmware 1.1.0`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.release, self.version)
    }
}

impl From<&model::Release> for ReleaseRef {
    fn from(release: &model::Release) -> Self {
        let section = &release.manifest.release;
        Self {
            id: release.id.0,
            name: release.id.to_string(),
            release: section.name.to_string(),
            version: section.version.to_string(),
        }
    }
}

/// Names an operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct OperationRef {
    /// Its number.
    pub id: u64,
    /// Its number as text, e.g. `op-1`.
    #[schema(example = "op-1")]
    pub name: String,
}

impl From<model::OperationId> for OperationRef {
    fn from(id: model::OperationId) -> Self {
        Self { id: id.0, name: id.to_string() }
    }
}

/// One page of a list, in the order of a key that does not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to send as `after` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many items all pages hold, when that is cheap to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

// Derived, it would ask the items for a default that an empty page does not need.
impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None, total: None }
    }
}

/// Items on a page when the caller names no number.
pub const LIMIT_DEFAULT: u32 = 100;
/// Most items on a page; what is above is cut down to it.
pub const LIMIT_MAX: u32 = 1_000;

/// The number of items for a page, between 1 and [`LIMIT_MAX`].
#[must_use]
pub fn page_limit(asked: Option<u32>) -> usize {
    asked.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX) as usize
}

/// Devices that share a property.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// The property's value; empty when it was never read.
    pub key: String,
    /// How many devices.
    pub devices: u64,
}

/// A value of a device's data model: `true`/`false`, a whole or decimal number, or a text.
/// Bytes are written in lower-case hexadecimal digits, times as RFC 3339 text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal number.
    Float(f64),
    /// A text.
    Text(String),
}

impl From<&model::Scalar> for Value {
    fn from(scalar: &model::Scalar) -> Self {
        match scalar {
            model::Scalar::Boolean(value) => Self::Boolean(*value),
            model::Scalar::Integer(value) => Self::Integer(*value),
            model::Scalar::Float(value) => Self::Float(*value),
            model::Scalar::Text(value) => Self::Text(value.as_ref().to_owned()),
        }
    }
}

impl From<&Value> for model::Scalar {
    fn from(value: &Value) -> Self {
        match value {
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Integer(value) => Self::Integer(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(value) => Self::Text(value.as_str().into()),
        }
    }
}

impl Value {
    /// Reads a value as people type it: `true`, `42`, `2.5`; anything else is a text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "true" => return Self::Boolean(true),
            "false" => return Self::Boolean(false),
            _ => {}
        }
        let numeric = text.bytes().next_back().is_some_and(|b| b.is_ascii_digit());
        if let Ok(number) = text.parse() {
            Self::Integer(number)
        } else if let (true, Ok(number)) = (numeric, text.parse()) {
            Self::Float(number)
        } else {
            Self::Text(text.to_owned())
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}
