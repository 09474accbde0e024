//! What a client tells its owner.

use bytes::Bytes;
use coap::{Code, Failure, RequestId};

use super::firmware::ImageId;
use crate::Path;
use crate::firmware::{State, UpdateResult};

/// What happened in a [`Client`](super::Client), in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The server accepted the registration.
    Registered {
        /// Path of the registration at the server, such as `/rd/x1`.
        location: String,
    },
    /// The server accepted an Update of the registration.
    Updated,
    /// The server refused the registration; the client tries again by itself.
    RegistrationRefused {
        /// The server's answer.
        code: Code,
    },
    /// The server did not answer the registration; the client tries again by itself.
    RegistrationFailed {
        /// Why there was no answer.
        failure: Failure,
    },
    /// The server no longer knows the registration, or does not answer; the client registers
    /// again by itself.
    RegistrationLost,
    /// The client has left the server, whether or not the server confirmed it.
    Deregistered,
    /// The server executed a resource that the client does not handle itself.
    Executed {
        /// The resource.
        path: Path,
        /// The arguments as sent, for instance `0='a',1`.
        arguments: String,
    },
    /// The server wrote a resource or a resource instance; the tree has the new value.
    Written {
        /// The resource or resource instance.
        path: Path,
    },
    /// The server read.
    Read {
        /// What it read.
        path: Path,
    },
    /// The server created an object instance.
    Created {
        /// The new instance.
        path: Path,
    },
    /// The server deleted an object instance.
    Deleted {
        /// The instance that is gone.
        path: Path,
    },
    /// The server began to observe.
    ObservationStarted {
        /// What it observes.
        path: Path,
    },
    /// An observation ended, on either side's wish.
    ObservationEnded {
        /// What was observed.
        path: Path,
    },
    /// A notification was sent.
    Notified {
        /// What was reported.
        path: Path,
    },
    /// A firmware image is complete: judge it, then call
    /// [`accept_image`](super::Client::accept_image) or
    /// [`reject_image`](super::Client::reject_image), and keep the bytes for the installation.
    ImageReceived {
        /// The number to give back with the verdict.
        id: ImageId,
        /// The whole image.
        image: Bytes,
    },
    /// The server wants the accepted image installed; call
    /// [`install_succeeded`](super::Client::install_succeeded) or
    /// [`install_failed`](super::Client::install_failed), or start a new client with a
    /// [resumed](super::FirmwareObject::resume) object when the device restarts.
    InstallRequested,
    /// The state or the result of the firmware update changed.
    FirmwareChanged {
        /// The new value of `/5/0/3`.
        state: State,
        /// The new value of `/5/0/5`.
        result: UpdateResult,
    },
    /// A download goes on.
    Progress {
        /// The download; for firmware one that the owner did not start.
        request: RequestId,
        /// Bytes received so far.
        bytes: usize,
    },
    /// A download that the owner started is complete.
    Downloaded {
        /// The download.
        request: RequestId,
        /// What was fetched.
        content: Bytes,
    },
    /// A download that the owner started failed.
    DownloadFailed {
        /// The download.
        request: RequestId,
        /// Why.
        cause: DownloadFailure,
    },
}

/// Why a download failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadFailure {
    /// The other side answered with this code in place of the content.
    Refused(Code),
    /// No complete answer came.
    Failed(Failure),
}
