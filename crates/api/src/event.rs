//! What happens in the server, as it happens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AttemptState, CountsView, DecisionView, DeviceRef, FaultView, OperationRef, OperationState,
    Phase, Presence, ReleaseRef, Share, Timestamp,
};

/// One event: the data of a server-sent event and one line of `--json` output.
///
/// The server-sent event's `id` field is `id` and its `event` field is the type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Grows from event to event, also over restarts; not dense. Send the last one seen as
    /// `Last-Event-ID` to go on from there.
    pub id: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. Programs should skip types that they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The server is ready.
    ServerReady {
        /// Its version.
        version: String,
        /// Address of the console and the HTTP interface, e.g. `http://127.0.0.1:8080/`.
        http: String,
        /// Address for devices, e.g. `coap://127.0.0.1:5683`.
        coap: String,
    },
    /// A device registered, or its identity was read for the first time.
    DeviceRegistered {
        /// Which.
        device: DeviceRef,
        /// `manufacturer / model`, once read.
        model: Option<String>,
        /// The version it runs, once read.
        version: Option<String>,
    },
    /// A device can be reached in another way than before.
    DevicePresence {
        /// Which.
        device: DeviceRef,
        /// How.
        presence: Presence,
    },
    /// A device reports another version than before.
    DeviceVersion {
        /// Which.
        device: DeviceRef,
        /// The version before, if known.
        before: Option<String>,
        /// The version now.
        after: String,
    },
    /// A device was held, quarantined or released.
    DeviceHold {
        /// Which.
        device: DeviceRef,
        /// Whether it is left alone from now on.
        held: bool,
        /// Why.
        reason: String,
    },
    /// The user or owner of a device consented to an operation, or took that back.
    DeviceConsent {
        /// Which.
        device: DeviceRef,
        /// The operation.
        operation: OperationRef,
        /// From when on it may change the device; none when it may not.
        from: Option<Timestamp>,
        /// Who said so.
        by: String,
        /// Their words; may be empty.
        reason: String,
    },
    /// A signal of the business about a device came in.
    DeviceSignal {
        /// Which.
        device: DeviceRef,
        /// What kind of signal, e.g. `hotline`.
        signal: String,
        /// More about it; may be empty.
        text: String,
        /// Who gave it.
        by: String,
    },
    /// A release was published.
    ReleasePublished {
        /// Which.
        release: ReleaseRef,
        /// By whom.
        by: String,
    },
    /// An operation was opened.
    OperationOpened {
        /// Which.
        operation: OperationRef,
        /// The release it brings.
        release: ReleaseRef,
        /// Its targets so far.
        targets: u64,
        /// Why it exists, in words.
        #[serde(default)]
        origin: String,
    },
    /// An element was granted.
    ElementGranted {
        /// The operation.
        operation: OperationRef,
        /// The element's number, from 1.
        element: u64,
        /// Its size in devices.
        devices: u64,
        /// Its phase.
        phase: Phase,
    },
    /// An attempt on a device moved on.
    DeviceProgress {
        /// The operation.
        operation: OperationRef,
        /// The device.
        device: DeviceRef,
        /// The try, from 1.
        attempt: u32,
        /// Where it stands.
        state: AttemptState,
    },
    /// An attempt on a device is over.
    DeviceSettled {
        /// The operation.
        operation: OperationRef,
        /// The device.
        device: DeviceRef,
        /// The try, from 1.
        attempt: u32,
        /// How it ended.
        state: AttemptState,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<FaultView>,
        /// Version before.
        version_before: Option<String>,
        /// Version after, if the device reported one.
        version_after: Option<String>,
    },
    /// Something about a device in an operation is a warning sign.
    DeviceWarned {
        /// The operation.
        operation: OperationRef,
        /// The device.
        device: DeviceRef,
        /// What, in words.
        words: String,
    },
    /// Regulation or an operator decided something.
    Decided {
        /// The decision.
        decision: Box<DecisionView>,
    },
    /// Where an operation stands; sent when its numbers changed, at most a few times a second.
    Progress {
        /// The operation.
        operation: OperationRef,
        /// Its state.
        state: OperationState,
        /// Its phase.
        phase: Phase,
        /// Size of the current or last element, in devices; none under the rule `evidence`.
        speed: Option<u32>,
        /// Its devices in numbers.
        counts: CountsView,
        /// Share of the targets whose attempt is over.
        progress: Share,
    },
    /// An operation ended.
    OperationEnded {
        /// Which.
        operation: OperationRef,
        /// How: `finished` or `aborted`.
        state: OperationState,
        /// Why.
        sentence: String,
        /// Its devices in numbers.
        counts: CountsView,
    },
    /// The listener was too slow or came too late; events are missing here. Ask for the current
    /// state again.
    Missed {
        /// How many, when that is known.
        events: Option<u64>,
    },
    /// A type that this version does not know.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// The names of all types.
    pub const NAMES: [&'static str; 17] = [
        "server_ready",
        "device_registered",
        "device_presence",
        "device_version",
        "device_hold",
        "device_consent",
        "device_signal",
        "release_published",
        "operation_opened",
        "element_granted",
        "device_progress",
        "device_settled",
        "device_warned",
        "decided",
        "progress",
        "operation_ended",
        "missed",
    ];

    /// The type's name, as in the field `type`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ServerReady { .. } => "server_ready",
            Self::DeviceRegistered { .. } => "device_registered",
            Self::DevicePresence { .. } => "device_presence",
            Self::DeviceVersion { .. } => "device_version",
            Self::DeviceHold { .. } => "device_hold",
            Self::DeviceConsent { .. } => "device_consent",
            Self::DeviceSignal { .. } => "device_signal",
            Self::ReleasePublished { .. } => "release_published",
            Self::OperationOpened { .. } => "operation_opened",
            Self::ElementGranted { .. } => "element_granted",
            Self::DeviceProgress { .. } => "device_progress",
            Self::DeviceSettled { .. } => "device_settled",
            Self::DeviceWarned { .. } => "device_warned",
            Self::Decided { .. } => "decided",
            Self::Progress { .. } => "progress",
            Self::OperationEnded { .. } => "operation_ended",
            Self::Missed { .. } => "missed",
            Self::Unknown => "unknown",
        }
    }

    /// The operation it belongs to, if any.
    #[must_use]
    pub fn operation(&self) -> Option<&OperationRef> {
        match self {
            Self::OperationOpened { operation, .. }
            | Self::ElementGranted { operation, .. }
            | Self::DeviceProgress { operation, .. }
            | Self::DeviceSettled { operation, .. }
            | Self::DeviceWarned { operation, .. }
            | Self::DeviceConsent { operation, .. }
            | Self::Progress { operation, .. }
            | Self::OperationEnded { operation, .. } => Some(operation),
            Self::Decided { decision } => Some(&decision.operation),
            _ => None,
        }
    }
}
