//! The Firmware Update object, `/5`: its resources, states and results, for both sides.
//!
//! Numbers are those of LwM2M 1.1 TS core, appendix E.6, and 1.2 for the later resources.

use std::fmt;

use crate::{Path, Value};

/// The Firmware Update object.
pub const OBJECT: Path = Path::object(5);
/// Its only instance.
pub const INSTANCE: Path = Path::instance(5, 0);
/// Package: the image itself, pushed by the server.
pub const PACKAGE: Path = Path::resource(5, 0, 0);
/// Package URI: where the device pulls the image from.
pub const PACKAGE_URI: Path = Path::resource(5, 0, 1);
/// Update: executed to install a downloaded image.
pub const UPDATE: Path = Path::resource(5, 0, 2);
/// State, see [`State`].
pub const STATE: Path = Path::resource(5, 0, 3);
/// Update Result, see [`UpdateResult`].
pub const RESULT: Path = Path::resource(5, 0, 5);
/// Name of the downloaded package.
pub const NAME: Path = Path::resource(5, 0, 6);
/// Version of the downloaded package.
pub const VERSION: Path = Path::resource(5, 0, 7);
/// Protocols the device can pull over, see [`Protocol`].
pub const PROTOCOLS: Path = Path::resource(5, 0, 8);
/// Delivery method, see [`Delivery`].
pub const DELIVERY_METHOD: Path = Path::resource(5, 0, 9);
/// Cancel: executed to give up a download or a downloaded image.
pub const CANCEL: Path = Path::resource(5, 0, 10);
/// Severity of the update.
pub const SEVERITY: Path = Path::resource(5, 0, 11);
/// Time of the last change of State.
pub const LAST_STATE_CHANGE: Path = Path::resource(5, 0, 12);
/// Longest time the device may defer the update, in seconds.
pub const MAXIMUM_DEFER_PERIOD: Path = Path::resource(5, 0, 13);
/// Firmware version that runs now, in the Device object.
pub const RUNNING_VERSION: Path = Path::resource(3, 0, 3);

/// Says where a device is in a firmware update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum State {
    /// No image, or the update is over.
    #[default]
    Idle = 0,
    /// An image is on its way.
    Downloading = 1,
    /// An image is complete and accepted.
    Downloaded = 2,
    /// The image is being installed.
    Updating = 3,
}

impl State {
    /// Reads the number a device reports.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Idle,
            1 => Self::Downloading,
            2 => Self::Downloaded,
            3 => Self::Updating,
            _ => return None,
        })
    }

    /// Returns the number the resource holds.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }
}

impl From<State> for Value {
    fn from(state: State) -> Self {
        Self::Integer(state.number())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Downloading => "downloading",
            Self::Downloaded => "downloaded",
            Self::Updating => "updating",
        })
    }
}

/// Says how the last download or update ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum UpdateResult {
    /// Nothing ended yet.
    #[default]
    Initial = 0,
    /// The new firmware runs.
    Success = 1,
    /// The flash memory is too small for the image.
    NotEnoughFlash = 2,
    /// The device ran out of memory during the download.
    OutOfRam = 3,
    /// The connection broke during the download.
    ConnectionLost = 4,
    /// The image does not match its own check.
    IntegrityFailure = 5,
    /// The image is of a type the device does not take.
    UnsupportedType = 6,
    /// The package URI is not valid or leads nowhere.
    InvalidUri = 7,
    /// The installation failed.
    UpdateFailed = 8,
    /// The package URI names a protocol the device does not speak.
    UnsupportedProtocol = 9,
    /// The server cancelled the update (from LwM2M 1.1).
    Cancelled = 10,
    /// The device put the update off (from LwM2M 1.1).
    Deferred = 11,
}

impl UpdateResult {
    /// Reads the number a device reports.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Initial,
            1 => Self::Success,
            2 => Self::NotEnoughFlash,
            3 => Self::OutOfRam,
            4 => Self::ConnectionLost,
            5 => Self::IntegrityFailure,
            6 => Self::UnsupportedType,
            7 => Self::InvalidUri,
            8 => Self::UpdateFailed,
            9 => Self::UnsupportedProtocol,
            10 => Self::Cancelled,
            11 => Self::Deferred,
            _ => return None,
        })
    }

    /// Returns the number the resource holds.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// Tells whether the result is a failure; a cancelled or deferred update is none.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Initial | Self::Success | Self::Cancelled | Self::Deferred)
    }
}

impl From<UpdateResult> for Value {
    fn from(result: UpdateResult) -> Self {
        Self::Integer(result.number())
    }
}

impl fmt::Display for UpdateResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initial => "no result yet",
            Self::Success => "updated",
            Self::NotEnoughFlash => "not enough flash memory for the image",
            Self::OutOfRam => "out of memory during the download",
            Self::ConnectionLost => "connection lost during the download",
            Self::IntegrityFailure => "image failed its integrity check",
            Self::UnsupportedType => "unsupported type of image",
            Self::InvalidUri => "invalid package URI",
            Self::UpdateFailed => "installation failed",
            Self::UnsupportedProtocol => "unsupported protocol in the package URI",
            Self::Cancelled => "cancelled",
            Self::Deferred => "deferred by the device",
        })
    }
}

/// Says how a device can get an image (resource 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// The device downloads from a URI.
    Pull = 0,
    /// The server writes the image.
    Push = 1,
    /// Either way.
    Both = 2,
}

impl Delivery {
    /// Reads the number a device reports.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Pull,
            1 => Self::Push,
            2 => Self::Both,
            _ => return None,
        })
    }

    /// Returns the number the resource holds.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// Tells whether the device can download from a URI.
    #[must_use]
    pub const fn allows_pull(self) -> bool {
        matches!(self, Self::Pull | Self::Both)
    }

    /// Tells whether the server can write the image.
    #[must_use]
    pub const fn allows_push(self) -> bool {
        matches!(self, Self::Push | Self::Both)
    }
}

impl From<Delivery> for Value {
    fn from(delivery: Delivery) -> Self {
        Self::Integer(delivery.number())
    }
}

/// Names a protocol a device can pull over (resource 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `coap://`.
    Coap = 0,
    /// `coaps://`.
    Coaps = 1,
    /// `http://`.
    Http = 2,
    /// `https://`.
    Https = 3,
    /// `coap+tcp://` (from LwM2M 1.1).
    CoapTcp = 4,
    /// `coaps+tcp://` (from LwM2M 1.1).
    CoapsTcp = 5,
}

impl Protocol {
    /// Reads the number a device reports.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Coap,
            1 => Self::Coaps,
            2 => Self::Http,
            3 => Self::Https,
            4 => Self::CoapTcp,
            5 => Self::CoapsTcp,
            _ => return None,
        })
    }

    /// Returns the number the resource holds.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// Recognises the protocol of a package URI; the scheme's case does not matter.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (scheme, _) = uri.split_once("://")?;
        ALL_PROTOCOLS.into_iter().find(|protocol| scheme.eq_ignore_ascii_case(protocol.scheme()))
    }

    /// Returns the scheme of the protocol's URIs.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Coap => "coap",
            Self::Coaps => "coaps",
            Self::Http => "http",
            Self::Https => "https",
            Self::CoapTcp => "coap+tcp",
            Self::CoapsTcp => "coaps+tcp",
        }
    }
}

impl From<Protocol> for Value {
    fn from(protocol: Protocol) -> Self {
        Self::Integer(protocol.number())
    }
}

const ALL_PROTOCOLS: [Protocol; 6] = [
    Protocol::Coap,
    Protocol::Coaps,
    Protocol::Http,
    Protocol::Https,
    Protocol::CoapTcp,
    Protocol::CoapsTcp,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for number in -1..20 {
            let round = [
                State::from_number(number).map(State::number),
                UpdateResult::from_number(number).map(UpdateResult::number),
                Delivery::from_number(number).map(Delivery::number),
                Protocol::from_number(number).map(Protocol::number),
            ];
            for (read, count) in round.into_iter().zip([4, 12, 3, 6]) {
                assert_eq!(read, (0..count).contains(&number).then_some(number));
            }
        }
    }

    #[test]
    fn protocols_of_uris() {
        let check = |uri: &str, expected: Option<Protocol>| {
            assert_eq!(Protocol::from_uri(uri), expected, "{uri}");
        };
        check("coap://host/fw", Some(Protocol::Coap));
        check("CoAPs://host/fw", Some(Protocol::Coaps));
        check("coaps+tcp://host/fw", Some(Protocol::CoapsTcp));
        check("https://host/fw", Some(Protocol::Https));
        check("ftp://host/fw", None);
        check("host/fw", None);
        check("", None);
    }
}
