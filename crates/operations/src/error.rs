//! Why an order was refused. Each says what would make it acceptable.

use model::{DeviceId, OperationId, OperationState, ReleaseId, ReleaseName, Version};

/// Why a release was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The same name and version exist; releases are immutable.
    #[error(
        "{name} {version} is already published as {release}; releases never change, so give the manifest a new version"
    )]
    Exists {
        /// Its name.
        name: ReleaseName,
        /// Its version.
        version: Version,
        /// The release that has them.
        release: ReleaseId,
    },
    /// The release is fine, but its operation cannot be opened; nothing was published.
    #[error(transparent)]
    Start(#[from] OpenError),
}

/// Why an operation was not opened, or not planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No such release.
    #[error("{0} does not exist; list the releases to find its number")]
    UnknownRelease(ReleaseId),
    /// The policy breaks a rule.
    #[error("the policy is not usable: {0}")]
    Policy(String),
    /// Too many operations are open.
    #[error(
        "{open} operations are open, the most allowed; wait for one to end, abort one, or raise `operations_open_max`"
    )]
    TooManyOpen {
        /// How many.
        open: usize,
    },
    /// An operation for the whole fleet is already open on the release.
    #[error(
        "{operation} already brings {release} to the fleet; follow that one, or abort it first"
    )]
    AlreadyOpen {
        /// The release.
        release: ReleaseId,
        /// The open operation.
        operation: OperationId,
    },
    /// No device was named.
    #[error("no device is named; name at least one, or start the operation for the whole fleet")]
    NoDevices,
    /// Too many devices were named.
    #[error(
        "{named} devices are named and {max} are allowed; name fewer, or start the operation for the whole fleet"
    )]
    TooManyDevices {
        /// How many.
        named: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A named device is not known.
    #[error("{0} is not known; list the devices to find its number")]
    UnknownDevice(DeviceId),
}

/// Why an order on an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No such operation.
    #[error("{0} does not exist; list the operations to find its number")]
    UnknownOperation(OperationId),
    /// It has ended; nothing follows (I5).
    #[error("{operation} is {state} and cannot be changed any more; start a new operation")]
    Ended {
        /// The operation.
        operation: OperationId,
        /// Its state.
        state: OperationState,
    },
    /// It is already paused.
    #[error("{0} is already paused; resume or abort it")]
    AlreadyPaused(OperationId),
    /// It is not paused.
    #[error("{0} is not paused; only a paused operation can be resumed")]
    NotPaused(OperationId),
}
