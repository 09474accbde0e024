//! What a device says about itself in one word: its name, its version, its transports.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Is the Endpoint Client Name: how a device is known for all its life, whatever its address.
///
/// It has 1 to 255 bytes of UTF-8 without control characters, and is cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName(Arc<str>);

impl EndpointName {
    /// Takes a name.
    ///
    /// # Errors
    /// See [`EndpointNameError`].
    pub fn new(name: &str) -> Result<Self, EndpointNameError> {
        if name.is_empty() {
            return Err(EndpointNameError::Empty);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(EndpointNameError::TooLong);
        }
        // Names reach logs, pages and file exports.
        if name.chars().any(char::is_control) {
            return Err(EndpointNameError::Control);
        }
        Ok(Self(name.into()))
    }

    /// Returns the name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointName {
    type Err = EndpointNameError;

    fn from_str(name: &str) -> Result<Self, EndpointNameError> {
        Self::new(name)
    }
}

impl AsRef<str> for EndpointName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for EndpointName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Says why a text is not an endpoint name; the fault is with whoever chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EndpointNameError {
    /// The name is empty.
    #[error("the endpoint name is empty; give the device a name of 1 to 255 bytes")]
    Empty,
    /// The name has more than 255 bytes.
    #[error("the endpoint name is longer than 255 bytes; give the device a shorter one")]
    TooLong,
    /// The name has control characters.
    #[error("the endpoint name has control characters; use printable ones")]
    Control,
}

/// Is the version of the enabler a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LwM2mVersion {
    /// LwM2M 1.0; also assumed when a device does not say.
    #[default]
    V1_0,
    /// LwM2M 1.1.
    V1_1,
    /// LwM2M 1.2.
    V1_2,
}

impl FromStr for LwM2mVersion {
    type Err = UnsupportedVersion;

    /// Reads `1.1`; a third number, which some devices add, does not matter.
    fn from_str(text: &str) -> Result<Self, UnsupportedVersion> {
        let mut numbers = text.split('.');
        let version = match (numbers.next(), numbers.next()) {
            (Some("1"), None | Some("0")) => Self::V1_0,
            (Some("1"), Some("1")) => Self::V1_1,
            (Some("1"), Some("2")) => Self::V1_2,
            _ => return Err(UnsupportedVersion),
        };
        let patch = numbers.next().is_none_or(|patch| patch.parse::<u16>().is_ok());
        if patch && numbers.next().is_none() { Ok(version) } else { Err(UnsupportedVersion) }
    }
}

impl fmt::Display for LwM2mVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        })
    }
}

/// Says that a device speaks a version that is not spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the LwM2M version is not supported; versions 1.0, 1.1 and 1.2 are")]
pub struct UnsupportedVersion;

/// Is the set of transports a device can be reached over (LwM2M 1.1 TS core, section 6.2.1.2).
///
/// Whether the device sleeps is told apart, see `RegisterRequest::queue_mode`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BindingMode(u8);

impl BindingMode {
    /// UDP only: what a device means that does not say.
    pub const UDP: Self = Self(1);

    /// Reads letters such as `U` or `UT`, and `Q` of version 1.0 for queue mode beside them.
    pub(crate) fn parse(text: &str) -> Option<(Self, bool)> {
        let mut transports = 0;
        let mut queue_mode = false;
        for letter in text.chars() {
            if letter == 'Q' {
                queue_mode = true;
            } else {
                transports |= bit(letter)?;
            }
        }
        // `b=` and `b=Q` name no transport, and the device came over one.
        let transports = if transports == 0 { Self::UDP.0 } else { transports };
        Some((Self(transports), queue_mode))
    }

    /// Tells whether a transport is in the set: `U` UDP, `M` MQTT, `H` HTTP, `T` TCP, `S` SMS,
    /// `N` non-IP.
    #[must_use]
    pub fn contains(self, letter: char) -> bool {
        bit(letter).is_some_and(|bit| self.0 & bit != 0)
    }
}

impl Default for BindingMode {
    fn default() -> Self {
        Self::UDP
    }
}

impl fmt::Display for BindingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LETTERS
            .chars()
            .filter(|&letter| self.contains(letter))
            .try_for_each(|letter| fmt::Write::write_char(f, letter))
    }
}

impl fmt::Debug for BindingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn bit(letter: char) -> Option<u8> {
    LETTERS.find(letter).map(|position| 1 << position)
}

const LETTERS: &str = "UMHTSN";
const NAME_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |name: &str, expected: Option<EndpointNameError>| {
            assert_eq!(EndpointName::new(name).err(), expected, "{name:?}");
        };
        check("urn:imei:0123", None);
        check("Zähler 7", None);
        check(&"n".repeat(255), None);
        check("", Some(EndpointNameError::Empty));
        check(&"n".repeat(256), Some(EndpointNameError::TooLong));
        check("a\nb", Some(EndpointNameError::Control));
        check("a\0", Some(EndpointNameError::Control));
    }

    #[test]
    fn versions() {
        let check = |text: &str, expected: Option<LwM2mVersion>| {
            assert_eq!(text.parse().ok(), expected, "{text}");
        };
        check("1.0", Some(LwM2mVersion::V1_0));
        check("1.0.0", Some(LwM2mVersion::V1_0));
        check("1", Some(LwM2mVersion::V1_0));
        check("1.1", Some(LwM2mVersion::V1_1));
        check("1.1.1", Some(LwM2mVersion::V1_1));
        check("1.2.2", Some(LwM2mVersion::V1_2));
        check("1.3", None);
        check("2.0", None);
        check("9.9", None);
        check("1.1.x", None);
        check("1.1.1.1", None);
        check("", None);
    }

    #[test]
    fn bindings() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let read = BindingMode::parse(text);
            let read = read.map(|(binding, queue_mode)| (binding.to_string(), queue_mode));
            assert_eq!(read, expected.map(|(text, queue)| (text.to_owned(), queue)), "{text}");
        };
        check("U", Some(("U", false)));
        check("UQ", Some(("U", true)));
        check("UQS", Some(("US", true)));
        check("TU", Some(("UT", false)));
        check("", Some(("U", false)));
        check("Q", Some(("U", true)));
        check("X", None);
        check("u", None);
    }
}
