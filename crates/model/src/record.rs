//! What is durable: the rows of knowledge, free of any database.

use serde::{Deserialize, Serialize};

use crate::{
    Assignment, Decision, Device, DeviceId, Grant, Intent, Look, Operation, OperationId, Outcome,
    Release, Signal, Time,
};

/// One durable fact. The store applies them in order and atomically by batch; what depends on
/// them happens only after the batch is committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A device as known now; replaces the last one of that number.
    Device(Box<Device>),
    /// How a device is reached; replaces the last one. Soft: lost at most costs a re-registration.
    Registration(Registration),
    /// A registration ended.
    Deregistration {
        /// Whose.
        device: DeviceId,
    },
    /// A new release; refused when the number exists.
    Release(Release),
    /// An operation as it stands now; replaces the last one of that number.
    Operation(Box<Operation>),
    /// A new grant; refused when (operation, element) exists.
    Grant(Grant),
    /// A device in an operation as it stands now; replaces the last one of that pair.
    Assignment(Box<Assignment>),
    /// A new intent.
    Intent(Intent),
    /// A new outcome.
    Outcome(Box<Outcome>),
    /// A new decision; refused when (operation, seq) exists (I3).
    Decision(Box<Decision>),
    /// A new look at an operation under evidence; refused when (operation, number) exists.
    Look(Box<Look>),
    /// A signal that an operation counts; changes nothing when (operation, device) exists.
    Signal(Box<Signal>),
    /// An order that was accepted under an idempotency key (I15).
    Accepted {
        /// The caller's key.
        key: String,
        /// The operation it made.
        operation: OperationId,
        /// When.
        at: Time,
    },
}

/// How a registered device is reached; enough to go on after a restart without waiting for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Whose.
    pub device: DeviceId,
    /// Protocol driver that owns it, e.g. `lwm2m`.
    pub driver: String,
    /// Its address, `host:port`.
    pub address: String,
    /// Location handed out; never reused for another endpoint (I11).
    pub location: String,
    /// The driver's own form of the rest.
    pub details: String,
    /// When it registered.
    pub at: Time,
}

/// Everything needed to go on after a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// All devices.
    pub devices: Vec<Device>,
    /// Their registrations.
    pub registrations: Vec<Registration>,
    /// All releases.
    pub releases: Vec<Release>,
    /// All operations.
    pub operations: Vec<Operation>,
    /// Assignments of all operations; those in final states are needed to exclude and to count.
    pub assignments: Vec<Assignment>,
    /// Intents of attempts that are still in flight.
    pub intents: Vec<Intent>,
    /// Looks at operations that have not ended, by operation and number.
    #[serde(default)]
    pub looks: Vec<Look>,
    /// Signals that operations count which have not ended, by operation and device; those that
    /// are in a look already included.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// Idempotency keys.
    pub accepted: Vec<(String, OperationId)>,
}
