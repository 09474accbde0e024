//! Identifiers. They are given by the caller, never drawn here (rule 1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = UnknownId;

            fn from_str(text: &str) -> Result<Self, UnknownId> {
                text.strip_prefix($prefix).unwrap_or(text).parse().map(Self).map_err(|_| UnknownId {
                    text: text.to_owned(),
                    example: concat!($prefix, "1"),
                })
            }
        }
    };
}

id! {
    /// A device, numbered in the order of its first registration; dense from 1.
    DeviceId, "dev-"
}
id! {
    /// A release, numbered in the order of publication; dense from 1.
    ReleaseId, "rel-"
}
id! {
    /// An operation, numbered in the order of opening; dense from 1.
    OperationId, "op-"
}

/// A text that is no identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an identifier; write it like `{example}` or as a plain number")]
pub struct UnknownId {
    /// What was given.
    pub text: String,
    /// How one looks.
    pub example: &'static str,
}

/// The name a device registers with (LwM2M "endpoint client name"), 1 to 255 bytes.
///
/// It identifies, it does not authenticate: trust comes from the transport's credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointName(std::sync::Arc<str>);

impl EndpointName {
    /// Longest name accepted, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Takes a name of 1 to 255 bytes without control characters.
    ///
    /// # Errors
    /// [`BadEndpointName`] says which of the rules the text breaks.
    pub fn new(text: &str) -> Result<Self, BadEndpointName> {
        if text.is_empty() {
            return Err(BadEndpointName::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(BadEndpointName::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(BadEndpointName::ControlCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EndpointName {
    type Error = BadEndpointName;

    fn try_from(text: String) -> Result<Self, BadEndpointName> {
        Self::new(&text)
    }
}

impl From<EndpointName> for String {
    fn from(name: EndpointName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// Why a text cannot name an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpointName {
    /// No byte at all.
    #[error("the endpoint name is empty; give 1 to 255 bytes")]
    Empty,
    /// Over the limit; holds the length.
    #[error("the endpoint name has {0} bytes; at most 255 are allowed")]
    TooLong(usize),
    /// A control character, which would break logs and tables.
    #[error("the endpoint name holds a control character; use printable characters only")]
    ControlCharacter,
}
