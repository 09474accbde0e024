//! Devices as the server knows them, free of any protocol.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DeviceId, EndpointName, Habit, OperationId, ResourcePath, Time, Version};

/// A value of a device's data model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
}

impl Scalar {
    /// The value as a whole number, decimals cut off; none for texts and non-finite numbers.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Boolean(value) => Some(i64::from(*value)),
            Self::Integer(value) => Some(*value),
            #[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
            Self::Float(value) => value.is_finite().then_some(*value as i64),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// A value and when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed<T> {
    /// The value.
    pub value: T,
    /// When the server received it.
    pub at: Time,
}

/// What a device exposes, as last read (paper A's datamodel). Absent values are unknown, which
/// is neither good nor bad.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Datamodel {
    /// Charge in percent, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<Observed<i64>>,
    /// Whether an external power source is present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_power: Option<Observed<bool>>,
    /// Free storage in KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_memory_kib: Option<Observed<i64>>,
    /// Received signal strength in dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_dbm: Option<Observed<i64>>,
    /// Minutes by which its clock is ahead of UTC, in effect when it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset_minutes: Option<Observed<i32>>,
    /// The device's own first error code; 0 is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Observed<i64>>,
    /// Every other value that was read, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<ResourcePath, Observed<Scalar>>,
}

/// How a device can be reached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Registered and listening.
    Online,
    /// Registered in queue mode and asleep; it will call.
    Asleep,
    /// Its registration ended or expired.
    Offline,
}

/// Why a device is left alone; the two are different people's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// An operator holds it.
    Operator {
        /// Their words.
        reason: String,
    },
    /// The system quarantined it after repeated failures.
    System {
        /// What happened.
        reason: String,
    },
}

/// That a device's user or owner lets an operation change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consented {
    /// From when on.
    pub from: Time,
    /// When they said so.
    pub at: Time,
    /// Who.
    pub by: String,
    /// Their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its number here.
    pub id: DeviceId,
    /// Its own name.
    pub endpoint: EndpointName,
    /// Manufacturer, once read.
    pub manufacturer: Option<Arc<str>>,
    /// Model, once read.
    pub model: Option<Arc<str>>,
    /// Hardware revision, once read.
    pub hardware: Option<Arc<str>>,
    /// Firmware version, once read.
    pub version: Option<Version>,
    /// Where it stands: site, gateway or zone, when it is known.
    pub site: Option<Arc<str>>,
    /// How it can be reached.
    pub presence: Presence,
    /// Time within which it must renew its registration.
    pub lifetime: Duration,
    /// First registration.
    pub first_seen: Time,
    /// Last message from it.
    pub last_seen: Time,
    /// Registrations since the server knows it; many in a short time are a warning sign.
    pub registrations: u32,
    /// Version of each configuration release it confirmed, by release name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configurations: BTreeMap<String, Version>,
    /// Set while it must be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// How long it is usually out of contact.
    #[serde(default, skip_serializing_if = "Habit::is_new")]
    pub habit: Habit,
    /// The operations that its user or owner lets change it; those that ended are forgotten.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consents: BTreeMap<OperationId, Consented>,
    /// Its values.
    #[serde(default)]
    pub datamodel: Datamodel,
}

impl Device {
    /// Whether its identity has been read: manufacturer, model and version.
    #[must_use]
    pub const fn is_identified(&self) -> bool {
        self.manufacturer.is_some() && self.model.is_some() && self.version.is_some()
    }
}

/// All devices known, by number. Cheap to look up, ordered by number.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    // Numbers are dense from 1, so a vector beats a map by far at a million devices.
    devices: Vec<Option<Arc<Device>>>,
    count: usize,
}

impl Fleet {
    /// No device.
    #[must_use]
    pub const fn new() -> Self {
        Self { devices: Vec::new(), count: 0 }
    }

    /// The device of that number.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(Self::index(id)?)?.as_deref()
    }

    /// Inserts or replaces a device.
    pub fn insert(&mut self, device: Device) {
        let Some(index) = Self::index(device.id) else { return };
        if self.devices.len() <= index {
            self.devices.resize(index + 1, None);
        }
        if self.devices[index].is_none() {
            self.count += 1;
        }
        self.devices[index] = Some(Arc::new(device));
    }

    /// Mutable access to the device of that number; copies it when a snapshot still shares it.
    pub fn device_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.devices.get_mut(Self::index(id)?)?.as_mut().map(Arc::make_mut)
    }

    /// All devices in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter_map(Option::as_deref)
    }

    /// How many devices there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number the next new device gets.
    #[must_use]
    pub fn next_id(&self) -> DeviceId {
        DeviceId(self.devices.len() as u64 + 1)
    }

    fn index(id: DeviceId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(1)?).ok()
    }
}
