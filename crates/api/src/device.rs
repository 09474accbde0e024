//! Devices and the fleet as a whole.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    AssignmentView, Count, DeviceRef, OperationRef, OperationSummary, ReleaseRef, Timestamp, Value,
};

/// The fleet in numbers, and what is going on in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct FleetSummary {
    /// All devices known.
    pub devices: u64,
    /// Devices by reachability; the three add up to `devices`.
    pub presence: PresenceCounts,
    /// Devices by state of their software; the seven add up to `devices`.
    pub compliance: ComplianceCounts,
    /// Devices by model, written `manufacturer / model`.
    pub models: Vec<Count>,
    /// Devices by hardware revision.
    pub hardware: Vec<Count>,
    /// Devices by model and version.
    pub versions: Vec<VersionCount>,
    /// Releases published.
    pub releases: u64,
    /// Operations that have not ended, then the last that did; at most 20.
    pub operations: Vec<OperationSummary>,
}

/// Devices by reachability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PresenceCounts {
    /// Registered and listening.
    pub online: u64,
    /// Registered in queue mode and asleep.
    pub asleep: u64,
    /// Registration ended or expired.
    pub offline: u64,
}

/// Devices by state of their software. Each device counts once, in the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ComplianceCounts {
    /// An operation is changing it.
    pub updating: u64,
    /// Held by an operator.
    pub held: u64,
    /// Quarantined by the system.
    pub quarantined: u64,
    /// Its identity was never read.
    pub unknown: u64,
    /// No release is for its kind.
    pub untargeted: u64,
    /// Runs the newest release for its kind, or a newer version.
    pub current: u64,
    /// A newer release exists for its kind.
    pub outdated: u64,
}

impl ComplianceCounts {
    /// Counts one more device.
    pub const fn add(&mut self, compliance: Compliance) {
        let count = match compliance {
            Compliance::Updating => &mut self.updating,
            Compliance::Held => &mut self.held,
            Compliance::Quarantined => &mut self.quarantined,
            Compliance::Unknown => &mut self.unknown,
            Compliance::Untargeted => &mut self.untargeted,
            Compliance::Current => &mut self.current,
            Compliance::Outdated => &mut self.outdated,
        };
        *count += 1;
    }
}

/// Devices of a model that run a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct VersionCount {
    /// `manufacturer / model`; empty when it was never read.
    pub model: String,
    /// The version; empty when it was never read.
    pub version: String,
    /// How many devices.
    pub devices: u64,
}

/// How a device can be reached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Registered and listening.
    Online,
    /// Registered in queue mode and asleep; it will call.
    Asleep,
    /// Its registration ended or expired.
    Offline,
}

impl Presence {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Asleep => "asleep",
            Self::Offline => "offline",
        }
    }
}

impl From<model::Presence> for Presence {
    fn from(presence: model::Presence) -> Self {
        match presence {
            model::Presence::Online => Self::Online,
            model::Presence::Asleep => Self::Asleep,
            model::Presence::Offline => Self::Offline,
        }
    }
}

/// State of a device's software; see [`ComplianceCounts`] for the order they are judged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compliance {
    /// An operation is changing it.
    Updating,
    /// Held by an operator.
    Held,
    /// Quarantined by the system.
    Quarantined,
    /// Its identity was never read.
    Unknown,
    /// No release is for its kind.
    Untargeted,
    /// Runs the newest release for its kind, or a newer version.
    Current,
    /// A newer release exists for its kind.
    Outdated,
}

impl Compliance {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updating => "updating",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Unknown => "unknown",
            Self::Untargeted => "untargeted",
            Self::Current => "current",
            Self::Outdated => "outdated",
        }
    }
}

/// Why a device is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldView {
    /// Whose decision it was.
    pub by: HoldKind,
    /// In their words.
    pub reason: String,
}

/// Whose decision a hold was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// An operator holds it.
    Operator,
    /// The system quarantined it.
    System,
}

impl From<&model::Hold> for HoldView {
    fn from(hold: &model::Hold) -> Self {
        let (by, reason) = match hold {
            model::Hold::Operator { reason } => (HoldKind::Operator, reason),
            model::Hold::System { reason } => (HoldKind::System, reason),
        };
        Self { by, reason: reason.clone() }
    }
}

/// A device in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceSummary {
    /// Its number.
    pub id: u64,
    /// Its number as text, e.g. `dev-7`.
    #[schema(example = "dev-7")]
    pub name: String,
    /// The name it registers with. It identifies, it proves nothing.
    pub endpoint: String,
    /// Manufacturer, once read.
    pub manufacturer: Option<String>,
    /// Model, once read.
    pub model: Option<String>,
    /// Hardware revision, once read.
    pub hardware: Option<String>,
    /// Firmware version, once read.
    pub version: Option<String>,
    /// Version of the newest release for its kind, if any.
    pub desired_version: Option<String>,
    /// Where it stands, when that is known.
    pub site: Option<String>,
    /// How it can be reached.
    pub presence: Presence,
    /// State of its software.
    pub compliance: Compliance,
    /// Set while it must be left alone.
    pub hold: Option<HoldView>,
    /// Charge in percent, once read.
    pub battery_percent: Option<i64>,
    /// Received signal strength in dBm, once read.
    pub signal_dbm: Option<i64>,
    /// Last message from it.
    pub last_seen: Timestamp,
    /// The operation that is changing it now.
    pub operation: Option<OperationRef>,
}

impl DeviceSummary {
    /// A device with what the rest of the server knows of it.
    #[must_use]
    pub fn new(
        device: &model::Device,
        compliance: Compliance,
        desired_version: Option<&model::Version>,
        operation: Option<model::OperationId>,
    ) -> Self {
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: device.id.0,
            name: device.id.to_string(),
            endpoint: device.endpoint.as_str().to_owned(),
            manufacturer: text(&device.manufacturer),
            model: text(&device.model),
            hardware: text(&device.hardware),
            version: device.version.as_ref().map(ToString::to_string),
            desired_version: desired_version.map(ToString::to_string),
            site: text(&device.site),
            presence: device.presence.into(),
            compliance,
            hold: device.hold.as_ref().map(Into::into),
            battery_percent: device.datamodel.battery_percent.map(|observed| observed.value),
            signal_dbm: device.datamodel.signal_dbm.map(|observed| observed.value),
            last_seen: device.last_seen.into(),
            operation: operation.map(Into::into),
        }
    }

    /// `manufacturer / model` with what is known of it; empty when nothing is.
    #[must_use]
    pub fn kind(&self) -> String {
        match (&self.manufacturer, &self.model) {
            (Some(manufacturer), Some(model)) => format!("{manufacturer} / {model}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => String::new(),
        }
    }

    /// The device's names alone.
    #[must_use]
    pub fn reference(&self) -> DeviceRef {
        DeviceRef { id: self.id, name: self.name.clone(), endpoint: self.endpoint.clone() }
    }
}

/// Everything known of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceDetail {
    /// As in lists.
    #[serde(flatten)]
    pub summary: DeviceSummary,
    /// First registration.
    pub first_seen: Timestamp,
    /// Registrations since the server knows it; many in a short time are a warning sign.
    pub registrations: u64,
    /// Time within which it must renew its registration, in seconds.
    pub lifetime_s: u64,
    /// How it is registered, while it is.
    pub registration: Option<RegistrationView>,
    /// Configuration releases it confirmed.
    pub configurations: Vec<ConfigurationView>,
    /// Its values as last read, by object instance.
    pub objects: Vec<ObjectView>,
    /// What it is to every open operation, and why.
    pub updates: Vec<WhyReport>,
    /// What happened to it, newest first; at most 100 entries, the rest by
    /// `GET /api/v1/devices/{device}/history`.
    pub history: Vec<HistoryEntry>,
}

/// How a device is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegistrationView {
    /// Protocol driver that owns it, e.g. `lwm2m`.
    pub driver: String,
    /// Its address, `host:port`.
    pub address: String,
    /// The location handed out to it.
    pub location: String,
    /// When it registered.
    pub at: Timestamp,
}

impl From<&model::Registration> for RegistrationView {
    fn from(registration: &model::Registration) -> Self {
        Self {
            driver: registration.driver.clone(),
            address: registration.address.clone(),
            location: registration.location.clone(),
            at: registration.at.into(),
        }
    }
}

/// A configuration release that a device confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationView {
    /// The release's name.
    pub release: String,
    /// The version confirmed.
    pub version: String,
}

/// One instance of an object of a device's data model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ObjectView {
    /// The object's path, `/object/instance`.
    #[schema(example = "/3/0")]
    pub path: String,
    /// The object's name; empty when it is not known.
    pub name: String,
    /// Its values.
    pub values: Vec<ValueView>,
}

/// One value of a device's data model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueView {
    /// Its path, `/object/instance/resource` and one number more for one of several values.
    #[schema(example = "/3/0/9")]
    pub path: String,
    /// The resource's name; empty when it is not known.
    pub name: String,
    /// The value as last read; none for a resource that was never read or is executed.
    pub value: Option<Value>,
    /// What the value stands for, for numbers that name things, e.g. `downloaded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// Its unit; empty without one.
    pub units: String,
    /// Whether it can be read.
    pub readable: bool,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether it can be executed.
    pub executable: bool,
    /// When it was read.
    pub at: Option<Timestamp>,
}

/// Something that happened to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: HistoryKind,
    /// What happened, in one sentence.
    pub sentence: String,
    /// The operation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationRef>,
    /// The release that was being installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseRef>,
    /// The try, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_before: Option<String>,
    /// Version after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_after: Option<String>,
}

/// Kinds of things that happen to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// It registered, renewed or ended its registration.
    Registration,
    /// An element granted it.
    Granted,
    /// Something that changes it was about to be sent.
    Intent,
    /// An attempt succeeded.
    Succeeded,
    /// An attempt failed, or the device stayed silent.
    Failed,
    /// Anything else about an attempt.
    Attempt,
    /// It was held or released.
    Hold,
}

/// What a device is to an operation or a release, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyReport {
    /// The device.
    pub device: DeviceRef,
    /// The operation, unless a release alone was asked about.
    pub operation: Option<OperationRef>,
    /// The release it would bring.
    pub release: ReleaseRef,
    /// The answer.
    pub verdict: WhyVerdict,
    /// The stable code of the exclusion or, while it is being changed, the state of the attempt.
    pub code: String,
    /// The answer in one sentence.
    pub sentence: String,
    /// What would change it; empty when nothing needs to.
    pub remedy: String,
    /// What was observed, where the answer rests on a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// When it was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// What is required, where the answer rests on a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<String>,
    /// When it is looked at again at the latest, where that is a matter of time; otherwise `remedy`
    /// says what it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check: Option<Timestamp>,
    /// Releases it would go through, in order; the last is the goal.
    pub path: Vec<ReleaseRef>,
    /// The questions that were asked, in order.
    pub checks: Vec<CheckView>,
    /// Where it stands in the operation, once it was granted.
    pub assignment: Option<AssignmentView>,
}

/// What a device is to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhyVerdict {
    /// It can be updated now and comes in a next element.
    Eligible,
    /// It is a target, but not at this moment.
    Waiting,
    /// It is no target.
    Excluded,
    /// It was granted and is being changed.
    InProgress,
    /// It was proved updated.
    Succeeded,
    /// Its update failed or it fell silent.
    Failed,
}

impl WhyVerdict {
    /// The words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::Waiting => "waiting",
            Self::Excluded => "excluded",
            Self::InProgress => "in progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    /// What is asked, e.g. `battery`.
    pub name: String,
    /// The answer.
    pub outcome: CheckOutcome,
    /// What was observed and what is required, in words.
    pub detail: String,
    /// How old the observed value is, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

impl From<&model::Check> for CheckView {
    fn from(check: &model::Check) -> Self {
        Self {
            name: check.name.clone(),
            outcome: match check.holds {
                Some(true) => CheckOutcome::Pass,
                Some(false) => CheckOutcome::Fail,
                None => CheckOutcome::Unknown,
            },
            detail: check.detail.clone(),
            age_s: check.age.map(|age| age.as_secs()),
        }
    }
}

/// The answer to a question. Unknown is neither yes nor no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// A value is unknown, or an earlier question already decided.
    Unknown,
}

/// What a list of devices is narrowed down to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct DeviceQuery {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Items on the page, 1 to 1000; 100 when absent.
    pub limit: Option<u32>,
    /// Part of the endpoint name, without regard to case.
    pub q: Option<String>,
    /// The model exactly, without regard to case; `manufacturer / model` names both.
    pub model: Option<String>,
    /// The version it runs.
    pub version: Option<String>,
    /// How it can be reached.
    pub presence: Option<Presence>,
    /// State of its software.
    pub compliance: Option<Compliance>,
    /// Together with `reason`: an operation, e.g. `op-1`.
    pub operation: Option<String>,
    /// Only devices that the operation leaves out or lets wait for this reason code.
    pub reason: Option<String>,
}

/// What a list of any other kind is narrowed down to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Items on the page, 1 to 1000; 100 when absent.
    pub limit: Option<u32>,
}

/// Which value of a device is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PathQuery {
    /// A path: `/3` an object, `/3/0` an instance, `/3/0/9` a resource.
    pub path: String,
}

/// Which operation or release an explanation is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct WhyQuery {
    /// The operation, e.g. `op-1`; when absent, every open operation and the newest release that
    /// is for the device.
    pub operation: Option<String>,
}

/// Values read from a device just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadResponse {
    /// The path that was read.
    pub path: String,
    /// The values found there.
    pub values: Vec<ValueView>,
    /// When the answer came.
    pub at: Timestamp,
    /// Time from the request to the answer, in milliseconds.
    pub round_trip_ms: u64,
}

/// A value to write to a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRequest {
    /// The value; it must fit the resource's type.
    pub value: Value,
}

/// A resource of a device to execute.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExecuteRequest {
    /// Arguments in the form of the protocol; empty without any (LwM2M core 1.1 §6.3.4).
    pub arguments: String,
}

/// The device's answer to a write or an execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceAnswer {
    /// The path.
    pub path: String,
    /// The protocol's answer code, e.g. `2.04`.
    pub code: String,
    /// When the answer came.
    pub at: Timestamp,
    /// Time from the request to the answer, in milliseconds.
    pub round_trip_ms: u64,
}

/// An order of an operator, to a device or an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrderRequest {
    /// Why; stored with the decision.
    pub reason: String,
    /// Who orders it; `api` when absent.
    pub by: Option<String>,
}

/// What the user or owner of a device says to an operation whose policy asks for consent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentRequest {
    /// The operation, e.g. `op-1`.
    pub operation: String,
    /// How long it is put off, e.g. `2d`, at most `366d`; the device may be changed at once when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer: Option<String>,
    /// Whether consent that was given is taken back instead.
    #[serde(default)]
    pub withdraw: bool,
    /// Their words, at most 1000 bytes; kept with the device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who consents, at most 255 bytes; `api` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A signal of the business about one device, such as a call to the hotline.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// The device: its endpoint name, `dev-7` or its number.
    pub device: String,
    /// What kind of signal, in a word of at most 64 bytes.
    #[schema(example = "hotline")]
    pub kind: String,
    /// More about it, at most 1000 bytes; it is shown and not looked into.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Who gives it; `api` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A signal that was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignalReceipt {
    /// The device it is about.
    pub device: DeviceRef,
    /// What kind.
    pub kind: String,
    /// When it was taken in.
    pub at: Timestamp,
    /// Open operations under the rule `evidence` that take it as evidence at their next look: those
    /// the device is compared in, updated or not, and has had no event in before.
    pub operations: u64,
}
