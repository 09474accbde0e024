//! What the engine tells the shell beside datagrams and records.

use fleet::Answer;
use model::DeviceId;

/// Something worth telling people.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A device registered, or registered again.
    DeviceRegistered {
        /// Which.
        device: DeviceId,
        /// Whether it was never seen before.
        new: bool,
    },
    /// A value, the version or the presence of a device changed.
    DeviceChanged {
        /// Which.
        device: DeviceId,
    },
    /// A device deregistered or its registration expired.
    DeviceLeft {
        /// Which.
        device: DeviceId,
        /// Whether it said so itself.
        deregistered: bool,
    },
    /// Something happened in an operation.
    Operation(operations::Event),
    /// An operator's order to a device ended.
    Answered {
        /// Which order.
        token: AskToken,
        /// What came of it.
        answer: Answer,
    },
}

/// Names an operator's order to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskToken(pub(crate) u64);

/// Why an order to a device was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No device of that number.
    #[error("{0} is not known; list the devices to see which are")]
    UnknownDevice(DeviceId),
    /// Not registered.
    #[error("{0} is offline; try again when it has registered")]
    Offline(DeviceId),
    /// In queue mode and asleep.
    #[error("{0} is asleep; try again when it has called")]
    Asleep(DeviceId),
    /// Too many orders are open, for the device or in all.
    #[error("too many orders are open ({0}); wait for some to end")]
    Busy(String),
    /// An operation is changing it now (I1).
    #[error("{device} is being changed by {operation}; wait for it, or pause the operation")]
    InOperation {
        /// The device.
        device: DeviceId,
        /// The operation.
        operation: model::OperationId,
    },
}
