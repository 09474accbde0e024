//! Releases, operations and what they did to each device.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Course, DeviceId, EvidencePlan, Manifest, OperationId, Policy, Rate, ReleaseId, ReportedRates,
    Scalar, Time, Version,
};

/// A published manifest. Immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Its number.
    pub id: ReleaseId,
    /// What was published.
    pub manifest: Arc<Manifest>,
    /// When.
    pub published: Time,
    /// By whom, in the words of the caller.
    pub by: String,
}

/// The whole change on its targets (paper A §III-E).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// The release it brings.
    pub release: ReleaseId,
    /// Why it exists.
    pub origin: Origin,
    /// Whom it is for.
    pub scope: Scope,
    /// How it is regulated.
    pub policy: Policy,
    /// Decides the order of the devices; drawn once when it is opened.
    pub seed: u64,
    /// When it was opened.
    pub opened: Time,
    /// Where it stands.
    pub state: OperationState,
    /// Its phase.
    pub phase: Phase,
    /// Number of its last decision; decisions are dense from 1 (I3).
    pub last_decision: u64,
    /// Size granted to the current element, in devices.
    pub speed: u32,
    /// Net favourable iterations (k of the strategies).
    pub favourable: i32,
    /// Measures of the last finished element, which the next is compared with.
    pub before: Option<ReportedRates>,
    /// The element in progress, if any.
    pub element: Option<u64>,
    /// The next element starts no earlier; used by fixed plans.
    pub not_before: Option<Time>,
    /// Where it stands under a rule of another system; none before its start and for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Box<Course>>,
    /// What it is held against under regulation by evidence; none before its start and under
    /// other rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<EvidencePlan>>,
    /// When a device last moved; the linger time counts from here.
    pub last_progress: Time,
    /// Set when it ended.
    pub ended: Option<Time>,
    /// Its counts when it ended: what was not reached then is no longer followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_at_end: Option<Counts>,
    /// The agreement it runs under, if any.
    pub agreement: Option<Agreement>,
    /// Set when evidence stopped what its release rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// A pause because evidence stopped the operation of a release that this one rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The operation that was stopped.
    pub by: OperationId,
    /// Whether an operator let it go on since: they have seen the reason, and are not asked
    /// again for the same stop.
    pub lifted: bool,
}

impl Operation {
    /// The stopped operation because of which this one is paused now, if it is.
    #[must_use]
    pub const fn frozen_by(&self) -> Option<OperationId> {
        match (self.state, self.freeze) {
            (OperationState::Paused, Some(Freeze { by, lifted: false })) => Some(by),
            _ => None,
        }
    }

    /// An operation on the whole fleet for a published release, just opened: nothing granted,
    /// nothing decided.
    #[must_use]
    pub const fn new(
        id: OperationId,
        release: ReleaseId,
        policy: Policy,
        seed: u64,
        opened: Time,
    ) -> Self {
        Self {
            id,
            release,
            origin: Origin::Release,
            scope: Scope::Fleet,
            policy,
            seed,
            opened,
            state: OperationState::Pending,
            phase: Phase::Test,
            last_decision: 0,
            speed: 0,
            favourable: 0,
            before: None,
            element: None,
            not_before: None,
            course: None,
            evidence: None,
            last_progress: opened,
            ended: None,
            counts_at_end: None,
            agreement: None,
            freeze: None,
        }
    }
}

/// What a tenant was promised; orders pending operations (paper A §III-D, Reordering).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Whose agreement.
    pub tenant: String,
    /// Share of attention relative to others; higher goes first.
    pub weight: u32,
    /// The operation should have ended by then.
    pub deadline: Option<Time>,
}

/// Why an operation exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A release was published.
    Release,
    /// An operator started it.
    Manual {
        /// Who.
        by: String,
    },
    /// Devices turned up after an operation on the same release had finished.
    Compliance {
        /// That operation.
        after: OperationId,
    },
    /// Evidence stopped an operation: its devices go back to the version before.
    Undo {
        /// That operation.
        reverts: OperationId,
    },
}

/// Whom an operation is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scope {
    /// Every device that the release's manifest fits, now or later.
    Fleet,
    /// Hand-picked devices (paper A §III-D, manually sent operations).
    Picked {
        /// Those devices, in the order of their numbers.
        devices: Vec<DeviceId>,
    },
}

impl Scope {
    /// Whether a device can be a target at all.
    #[must_use]
    pub fn includes(&self, device: DeviceId) -> bool {
        match self {
            Self::Fleet => true,
            Self::Picked { devices } => devices.binary_search(&device).is_ok(),
        }
    }
}

/// Paper A's states, and Paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Not started.
    Pending,
    /// Being processed.
    Ongoing,
    /// Stopped by an operator until resumed; devices in flight complete.
    Paused,
    /// Stopped for good; absorbing (I5).
    Aborted,
    /// Successfully executed.
    Finished,
}

impl OperationState {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Aborted | Self::Finished)
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Ongoing => "ongoing",
            Self::Paused => "paused",
            Self::Aborted => "aborted",
            Self::Finished => "finished",
        })
    }
}

/// Paper A's phases, by share of the targets processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The beginning; strictest.
    Test,
    /// More devices, moderate speed.
    Cautious,
    /// As many as possible.
    Generalization,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Cautious => "cautious",
            Self::Generalization => "generalization",
        })
    }
}

/// One device in one operation, from its grant on. Devices without one wait or are excluded,
/// which identification computes afresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The operation.
    pub operation: OperationId,
    /// The device.
    pub device: DeviceId,
    /// The element that granted it.
    pub element: u64,
    /// Number of the try, from 1. Each hop of the path and each retry has its own, so that no
    /// late report is taken for another's.
    pub attempt: u32,
    /// Hops of the path that are proved.
    #[serde(default)]
    pub hops: u32,
    /// Grants given back because the device was away before anything was sent to it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_back: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// Releases still to be installed, first one next; the last is the goal.
    pub path: Vec<ReleaseId>,
    /// Version before the operation.
    pub version_before: Option<Version>,
    /// Values of the guards before the change, in the manifest's order.
    pub baseline: Vec<Option<i64>>,
    /// Warnings so far.
    pub warnings: u32,
    /// When the state was entered.
    pub since: Time,
    /// When the device was first told to install, in any try; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Time>,
    /// When the first order of this try was sent; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Time>,
}

impl Assignment {
    /// Tries that count for the retry policy, this one included: proved hops do not, nor do
    /// grants that were given back.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.attempt.saturating_sub(self.hops).saturating_sub(self.given_back)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Where an attempt stands (engine states from Granted on).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AttemptState {
    /// In a durable grant; nothing sent.
    Granted,
    /// A request that changes it has a committed intent.
    Sent,
    /// The device took the order; it transfers.
    Accepted,
    /// The image is on the device, unverified.
    Transferred,
    /// It was told to install, or claims to have.
    Claimed,
    /// It answers again; its version is being read.
    Verifying,
    /// The new version runs; soak time.
    Soaking,
    /// Proved by the device after its reboot (I9).
    Succeeded,
    /// It failed.
    Failed {
        /// Why.
        fault: Fault,
    },
    /// No answer after the change, and none to a probe (I8).
    Silent,
    /// Will be tried again.
    Deferred {
        /// When.
        until: Time,
        /// What happened.
        fault: Fault,
    },
    /// Taken back before it was told to install, or its next try was given up when the operation
    /// ended.
    Cancelled,
}

impl AttemptState {
    /// Whether the element need not wait for it any more.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::Failed { .. }
                | Self::Silent
                | Self::Deferred { .. }
                | Self::Cancelled
        )
    }

    /// Whether it counts as in flight: granted and unresolved (I4).
    #[must_use]
    pub const fn is_in_flight(&self) -> bool {
        !self.is_settled()
    }

    /// Whether it is reached only after the device was told to install.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        matches!(
            self,
            Self::Claimed | Self::Verifying | Self::Soaking | Self::Succeeded | Self::Silent
        )
    }

    /// Whether it is over for this operation.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.is_settled() && !matches!(self, Self::Deferred { .. })
    }

    /// The state's name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Transferred => "transferred",
            Self::Claimed => "claimed",
            Self::Verifying => "verifying",
            Self::Soaking => "soaking",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Silent => "silent",
            Self::Deferred { .. } => "deferred",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The device's or the protocol's own words.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.write_str(self.kind.as_str())
        } else {
            write!(f, "{} ({})", self.kind.as_str(), self.detail)
        }
    }
}

/// Kinds of faults over all protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The transfer broke off or made no progress.
    ConnectionLost,
    /// No room for the image.
    NotEnoughStorage,
    /// Out of memory during the transfer.
    OutOfMemory,
    /// The image arrived damaged.
    Integrity,
    /// The device does not take images of this type.
    UnsupportedType,
    /// The device cannot use the address it was given.
    InvalidAddress,
    /// The device cannot use the protocol it was given.
    UnsupportedProtocol,
    /// It put the installation off by itself; the image waits on it.
    Deferred,
    /// The installation failed; the old version runs.
    UpdateFailed,
    /// It runs a version that is neither the old nor the new one, or the old one with success
    /// claimed.
    WrongVersion,
    /// It refused the request.
    Rejected,
    /// It did not answer before anything was changed.
    NoAnswer,
    /// It was asleep or had left before anything was sent; does not count as a try.
    Away,
    /// It runs the new version and violates a guard of level error.
    GuardViolated,
}

impl FaultKind {
    /// What a retry can hope for.
    #[must_use]
    pub const fn class(self) -> FaultClass {
        match self {
            Self::ConnectionLost
            | Self::OutOfMemory
            | Self::NoAnswer
            | Self::Away
            | Self::Deferred
            | Self::NotEnoughStorage => FaultClass::Transient,
            Self::InvalidAddress | Self::UnsupportedProtocol | Self::Rejected => {
                FaultClass::PermanentForDevice
            }
            Self::UpdateFailed | Self::WrongVersion | Self::GuardViolated => {
                FaultClass::PermanentForDevice
            }
            Self::Integrity | Self::UnsupportedType => FaultClass::PermanentForArtifact,
        }
    }

    /// The kind in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionLost => "connection lost",
            Self::NotEnoughStorage => "not enough storage",
            Self::OutOfMemory => "out of memory",
            Self::Integrity => "image damaged",
            Self::UnsupportedType => "image type unsupported",
            Self::InvalidAddress => "address unusable",
            Self::UnsupportedProtocol => "protocol unsupported",
            Self::Deferred => "installation deferred",
            Self::UpdateFailed => "installation failed",
            Self::WrongVersion => "wrong version",
            Self::Rejected => "request refused",
            Self::NoAnswer => "no answer",
            Self::Away => "away",
            Self::GuardViolated => "guard violated",
        }
    }
}

/// What a retry can hope for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// May pass; tried again with growing waits.
    Transient,
    /// Will not pass on this device.
    PermanentForDevice,
    /// Lies in the image: every device would fail.
    PermanentForArtifact,
}

/// Devices processed in one iteration (paper A's DM Operation Element), and the durable
/// permission to process them (I4): nothing is sent without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The operation.
    pub operation: OperationId,
    /// Number of the element, dense from 1.
    pub element: u64,
    /// The devices.
    pub devices: Vec<DeviceId>,
    /// When.
    pub at: Time,
}

/// Something that will be sent to a device and changes it; committed before the first datagram
/// leaves (I2). After a crash it means: read back, never repeat blindly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The operation.
    pub operation: OperationId,
    /// The device.
    pub device: DeviceId,
    /// The try.
    pub attempt: u32,
    /// The release being installed (one hop of the path).
    pub release: ReleaseId,
    /// What is sent.
    pub step: Step,
    /// When.
    pub at: Time,
}

/// A step that changes a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Tell it where the image is, or send the image.
    Transfer,
    /// Tell it to install.
    Install,
    /// Write configuration values.
    Configure,
    /// Put its update object back to its initial state.
    Reset,
}

/// The settled result of one attempt, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The operation.
    pub operation: OperationId,
    /// The device.
    pub device: DeviceId,
    /// The try.
    pub attempt: u32,
    /// The release that was being installed.
    pub release: ReleaseId,
    /// The result.
    pub state: AttemptState,
    /// Version before.
    pub version_before: Option<Version>,
    /// Version reported after, if any.
    pub version_after: Option<Version>,
    /// When.
    pub at: Time,
}

/// A change as the drivers carry it out.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Install an image.
    Firmware(FirmwareChange),
    /// Write values.
    Configuration {
        /// The writes, in order.
        writes: Vec<(crate::ResourcePath, Scalar)>,
        /// The configuration's version.
        version: Version,
    },
}

/// An image to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareChange {
    /// Version it brings.
    pub version: Version,
    /// Digest, which also names the image in the server's store.
    pub sha256: crate::Sha256,
    /// Length in bytes.
    pub size: u64,
    /// How the manifest wants it delivered.
    pub delivery: crate::Delivery,
}

/// Progress of an operation in numbers; every target is in exactly one of the first five (I7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Proved updated.
    pub succeeded: u64,
    /// Failed or silent.
    pub failed: u64,
    /// Granted and unresolved.
    pub in_flight: u64,
    /// Targets not granted yet: eligible, waiting or to be retried.
    pub waiting: u64,
    /// Targets taken back before they were told to install, or not tried again when it ended.
    pub cancelled: u64,
    /// Of `waiting`, how many could be granted now.
    pub eligible: u64,
    /// Devices that are no target.
    pub excluded: u64,
}

impl Counts {
    /// All targets.
    #[must_use]
    pub const fn targets(&self) -> u64 {
        self.succeeded + self.failed + self.in_flight + self.waiting + self.cancelled
    }

    /// Share of the targets whose attempt is over.
    #[must_use]
    pub fn progress(&self) -> Rate {
        Rate::of(self.succeeded + self.failed, self.targets())
    }
}

/// What a driver saw of one attempt; the engine carries it from the driver to enforcement.
///
/// The kinds come in this order. Late and repeated ones say nothing new and are ignored (I16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// A request that changes the device has left.
    Sent,
    /// The device took the order.
    Accepted,
    /// The device has received that many bytes of the image.
    Transferring {
        /// Bytes so far.
        bytes: u64,
    },
    /// The image is on the device.
    Transferred,
    /// It was told to install; whether it did is not known before it proves it.
    Claimed,
    /// It registered again after that.
    Returned,
    /// It was read back after the change.
    Reported {
        /// Version it runs, if it says so.
        version: Option<Version>,
        /// Whether it says that the installation worked; none when it says neither.
        claims_success: Option<bool>,
    },
    /// The goal was found reached before anything was sent.
    Unchanged,
    /// It failed, in the protocol's words.
    Failed(Fault),
    /// It did not answer the probe.
    ProbeFailed,
}
