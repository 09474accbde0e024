//! Why a call brought no answer.

use crate::Problem;

/// Why a call brought no answer. Its text is one clear sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The caller's fault: no address of an HTTP server.
    #[error("`{address}` is no address of a server; write it like `http://127.0.0.1:8080`")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// Nobody listens there, or the way there is broken. Nothing was done.
    #[error(
        "no server answers at {address} ({detail}); start one with `bellwether serve` or \
         `bellwether dev`, or give the address of the one you mean"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the network said.
        detail: String,
    },
    /// The server took too long. Whether it did what was asked is unknown.
    #[error(
        "the server at {address} did not answer in time; it may still do what was asked, so look \
         before repeating it"
    )]
    TimedOut {
        /// Where.
        address: String,
    },
    /// The connection broke in the middle. Whether the server did what was asked is unknown.
    #[error(
        "the connection to {address} broke ({detail}); the server may still do what was asked, so \
         look before repeating it"
    )]
    Broken {
        /// Where.
        address: String,
        /// What the network said.
        detail: String,
    },
    /// Something answers there, but not in the way documented.
    #[error(
        "{address} gave an answer that was not understood ({detail}); check that it is a \
         bellwether server of this version"
    )]
    NotUnderstood {
        /// Where.
        address: String,
        /// What was odd.
        detail: String,
    },
    /// The server refused and says why.
    #[error("{0}")]
    Refused(Box<Problem>),
}

impl ClientError {
    /// The problem, when the server refused.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    pub(super) fn from_transport(address: &str, error: &ureq::Error) -> Self {
        let address = address.to_owned();
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                Self::Unreachable { address, detail: "no connection in time".to_owned() }
            }
            ureq::Error::Timeout(_) => Self::TimedOut { address },
            ureq::Error::HostNotFound => {
                Self::Unreachable { address, detail: "host not found".to_owned() }
            }
            ureq::Error::ConnectionFailed => {
                Self::Unreachable { address, detail: "connection failed".to_owned() }
            }
            ureq::Error::Io(io) => Self::from_io(address, io),
            ureq::Error::BodyExceedsLimit(limit) => Self::NotUnderstood {
                address,
                detail: format!("the answer is larger than {limit} bytes"),
            },
            other => Self::NotUnderstood { address, detail: other.to_string() },
        }
    }

    pub(super) fn from_io(address: String, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => {
                Self::Unreachable { address, detail: error.to_string() }
            }
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::TimedOut { address },
            _ => Self::Broken { address, detail: error.to_string() },
        }
    }
}
