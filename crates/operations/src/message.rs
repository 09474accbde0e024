//! What the loops say to each other, and to the world around them.
//!
//! Generation, enforcement and regulation never import one another; the values here and in
//! `model` are all that passes between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Agreement, AttemptState, Change, Decision, DeviceId, Manifest, OperationId, OperationState,
    Origin, Policy, Record, ReleaseId, ReportedRates, ResourcePath, Scope, StratumName, Version,
};

/// An order to open an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRequest {
    /// The release it brings.
    pub release: ReleaseId,
    /// Whom it is for.
    pub scope: Scope,
    /// How it is regulated.
    pub policy: Policy,
    /// Why it exists.
    pub origin: Origin,
    /// The agreement it runs under, if any.
    pub agreement: Option<Agreement>,
}

/// One thing the loops want done, in the order in which it must happen: records become durable
/// before any effect that comes after them.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Make this durable.
    Record(Record),
    /// Start the driver's procedure on a device.
    Dispatch(Dispatch),
    /// Read the device's version once, before it counts as silent (I8). The answer comes back as
    /// [`model::Progress::Reported`] or [`model::Progress::ProbeFailed`].
    Probe {
        /// The operation.
        operation: OperationId,
        /// The device.
        device: DeviceId,
        /// The try.
        attempt: u32,
    },
    /// Ask a device that is followed for a sign of life, once, before its silence counts; it may
    /// have no registration any more. [`crate::Loops::silent_probed`] takes what comes of it, and
    /// no later than after `probe_s` it has not answered.
    ProbeSilent {
        /// The device.
        device: DeviceId,
    },
    /// Read the guarded values of a device that is compared and not changed. When each read was
    /// answered in some way and the values are in the fleet, [`crate::Loops::guards_read`] goes on.
    ReadGuards {
        /// The device.
        device: DeviceId,
        /// Where the values are.
        guards: Arc<[ResourcePath]>,
    },
    /// The attempt is over here without the driver knowing: taken back by an abort, given up
    /// after a standstill, or silent. The driver stops it at the next point where stopping is
    /// safe; whatever it still reports of that try is ignored.
    Recall {
        /// The operation.
        operation: OperationId,
        /// The device.
        device: DeviceId,
        /// The try.
        attempt: u32,
    },
    /// Leave the device alone from now on: put it into quarantine, unless it is held already.
    Quarantine {
        /// The device.
        device: DeviceId,
        /// What happened.
        reason: String,
    },
    /// Something worth showing happened; loses nothing when it is dropped.
    Event(Event),
}

/// The order to change one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The operation.
    pub operation: OperationId,
    /// The device.
    pub device: DeviceId,
    /// The try, from 1; it goes into intents and comes back with every report.
    pub attempt: u32,
    /// The release of this hop of the migration path.
    pub release: ReleaseId,
    /// What to do.
    pub change: Arc<Change>,
    /// Values that guards of the release compare. The driver reads them before the change, after
    /// it, and at each look while the device soaks; those it cannot read are left out.
    pub guards: Arc<[ResourcePath]>,
    /// The version that is taken back, from which alone the device may go down (I20).
    pub undoes: Option<Version>,
    /// Something may have been sent before (an intent exists, or an earlier try was given up):
    /// the driver reads back where the device stands and never repeats blindly (I2).
    pub resume: bool,
}

/// Something worth showing.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A release was published.
    Published {
        /// The release.
        release: ReleaseId,
    },
    /// An operation was opened.
    OperationOpened {
        /// The operation.
        operation: OperationId,
        /// Its release.
        release: ReleaseId,
    },
    /// An element was granted.
    ElementGranted {
        /// The operation.
        operation: OperationId,
        /// Number of the element.
        element: u64,
        /// Devices in it.
        devices: u64,
    },
    /// A device's attempt moved to another state.
    DeviceMoved {
        /// The operation.
        operation: OperationId,
        /// The device.
        device: DeviceId,
        /// The try.
        attempt: u32,
        /// The new state; settled when [`AttemptState::is_settled`] says so.
        state: AttemptState,
    },
    /// Something about a device is a warning sign.
    DeviceWarned {
        /// The operation.
        operation: OperationId,
        /// The device.
        device: DeviceId,
        /// What, in words.
        words: String,
    },
    /// A decision was taken.
    Decided(Box<Decision>),
    /// An operation entered another state.
    OperationMoved {
        /// The operation.
        operation: OperationId,
        /// The new state.
        state: OperationState,
    },
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Planned<'a> {
    /// A published release.
    Release(ReleaseId),
    /// A manifest that is not published yet.
    Manifest(&'a Manifest),
}

/// What an operation would meet if it were opened now. Nothing is changed by asking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Devices that could be updated now.
    pub eligible: u64,
    /// Targets that wait.
    pub waiting: u64,
    /// Devices that are no target.
    pub excluded: u64,
    /// `waiting` by reason code.
    pub waiting_by: BTreeMap<&'static str, u64>,
    /// `excluded` by reason code.
    pub excluded_by: BTreeMap<&'static str, u64>,
    /// Migration paths of the eligible devices.
    pub paths: Vec<PlannedPath>,
    /// Open operations that stand in the way of some targets.
    pub conflicts: Vec<PlannedConflict>,
    /// Operations in which evidence stopped the release, the newest last.
    pub stopped_by: Vec<StoppedBy>,
    /// Devices granted first.
    pub first_speed: u32,
    /// Whether these are devices a minute.
    pub first_per_minute: bool,
    /// Most devices in an element, or under evidence at a time.
    pub speed_max: u32,
    /// Devices that may be harmed before a stop; none under other rules than evidence.
    pub budget: Option<u64>,
}

impl Plan {
    /// All devices that the operation would be for.
    #[must_use]
    pub const fn targets(&self) -> u64 {
        self.eligible + self.waiting
    }
}

/// Devices that share a migration path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPath {
    /// Version they run.
    pub from: Option<Version>,
    /// Versions they pass through; the last is the goal.
    pub through: Vec<Version>,
    /// How many.
    pub devices: u64,
}

/// An open operation that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedConflict {
    /// The operation.
    pub operation: OperationId,
    /// Targets it changes now or has next.
    pub devices: u64,
}

/// An operation in which evidence stopped a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedBy {
    /// The operation.
    pub operation: OperationId,
    /// The strata it stopped.
    pub strata: Vec<StratumName>,
}

/// From generation to enforcement: the devices to process in one iteration (paper A's DM
/// Operation Element).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// The operation.
    pub operation: OperationId,
    /// The devices, in the order in which they are processed.
    pub members: Vec<Member>,
}

/// One device of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The device.
    pub device: DeviceId,
    /// Releases to be installed, in order; the last is the goal.
    pub path: Vec<ReleaseId>,
}

/// From enforcement to regulation: what was tracked (paper A §III-C, Output).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tracking {
    /// Measures of the element that has ended since the last decision; none while it runs.
    pub after: Option<ReportedRates>,
    /// Measures of the newest elements joined until they hold enough devices to be judged.
    pub window: Option<ReportedRates>,
    /// Whether a device reported a fault that lies in the image itself.
    pub artifact_fault: bool,
}
