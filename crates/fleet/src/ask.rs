//! Requests to a device, before they are bytes.

use bytes::Bytes;
use lwm2m::{Leaf, Path, Value};
use model::Sha256;

/// Something to ask of a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Read an object, an instance or a resource.
    Read(Path),
    /// Read it and be told when it changes.
    Observe(Path),
    /// Write one resource.
    Write(Path, Value),
    /// Send an image to the package resource.
    Package(Sha256),
    /// Execute a resource, with arguments (may be empty).
    Execute(Path, String),
}

impl Ask {
    /// What is asked about.
    #[must_use]
    pub const fn path(&self) -> Path {
        match self {
            Self::Read(path)
            | Self::Observe(path)
            | Self::Write(path, _)
            | Self::Execute(path, _) => *path,
            Self::Package(_) => lwm2m::firmware::PACKAGE,
        }
    }

    /// Whether it changes the device, so that it needs a committed intent first (I2).
    #[must_use]
    pub const fn changes_device(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Observe(_))
    }
}

/// What came of an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Values that were read.
    Values(Vec<Leaf>),
    /// The order was taken.
    Done,
    /// The device refused, with a CoAP response code such as `4.05`.
    Refused(coap::Code),
    /// It answered what cannot be understood; the detail is for people.
    Garbled(String),
    /// It did not answer. Says nothing about whether it acted.
    Silence,
    /// It was away, so nothing was sent: it did not act.
    Unsent,
}

/// The path under which the server offers the image of that digest to pulling devices.
///
/// Sixteen hexadecimal digits name it: enough to be unique, short enough for every datagram.
#[must_use]
pub fn firmware_path(sha256: &Sha256) -> String {
    let digest = sha256.to_string();
    format!("/fw/{}", &digest[..16])
}

/// Values of an answer, or nothing.
pub(crate) fn values(answer: &Answer) -> &[Leaf] {
    match answer {
        Answer::Values(leaves) => leaves,
        _ => &[],
    }
}

/// A text as the empty package that resets a device without a package URI (E.6: a single `\0`).
pub(crate) fn empty_package() -> Value {
    Value::Opaque(Bytes::from_static(b"\0"))
}
