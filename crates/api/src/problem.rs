//! Refusals as RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was refused, sent as `application/problem+json` (RFC 9457).
///
/// The members `code`, `hint`, `field`, `line` and `column` extend the RFC's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI for the kind of problem, `urn:bellwether:problem:` and the code (RFC 9457 §3.1.1).
    #[serde(rename = "type")]
    #[schema(example = "urn:bellwether:problem:not_found")]
    pub uri: String,
    /// The kind in a few words (§3.1.3).
    pub title: String,
    /// The HTTP status (§3.1.2).
    pub status: u16,
    /// What is wrong with this request (§3.1.4).
    #[serde(rename = "detail")]
    pub message: String,
    /// The kind of problem, stable over versions.
    pub code: ProblemCode,
    /// What would make it work; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The line in the text that was sent, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column in that line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

impl Problem {
    /// Media type of a problem (RFC 9457 §6.1).
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// A problem of that kind.
    #[must_use]
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self {
            uri: format!("urn:bellwether:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            message: message.into(),
            code,
            hint: String::new(),
            field: None,
            line: None,
            column: None,
        }
    }

    /// Adds what would make the request work.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds the field at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds the place in the text that was sent.
    #[must_use]
    pub const fn at(mut self, line: u64, column: u64) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }
}

impl From<&model::ManifestError> for Problem {
    fn from(error: &model::ManifestError) -> Self {
        Self::new(ProblemCode::ManifestInvalid, error.message.as_str())
            .at(error.line as u64, error.column as u64)
            .hint("Correct the manifest; `bellwether release lint FILE` checks it without publishing.")
    }
}

impl fmt::Display for Problem {
    /// One clear sentence, with place and hint where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl std::error::Error for Problem {}

/// Kinds of problems. Stable: programs may branch on them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The request does not have the documented form.
    BadRequest,
    /// The form lacks the token that proves that it came from our own page.
    ForgeryToken,
    /// The name of the requested thing is not known.
    NotFound,
    /// The path is known but not with this method.
    MethodNotAllowed,
    /// The state of the thing does not allow the order.
    Conflict,
    /// The same name and version was published with another content.
    AlreadyPublished,
    /// The idempotency key was used for another request.
    KeyReused,
    /// The request is larger than the limit.
    TooLarge,
    /// The manifest has an error.
    ManifestInvalid,
    /// The policy has an error.
    PolicyInvalid,
    /// The bytes do not have the digest or the length they should have.
    DigestMismatch,
    /// The manifest names an image that was not uploaded.
    ArtifactMissing,
    /// The device cannot be reached now.
    DeviceUnreachable,
    /// The device answered with an error.
    DeviceRefused,
    /// The device did not answer in time.
    DeviceTimeout,
    /// There is more to do than the server accepts at a time.
    TooManyRequests,
    /// The server cannot write to its data folder.
    StorageFailed,
    /// The server is starting or ending.
    Unavailable,
    /// A fault in the server.
    Internal,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ProblemCode {
    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::ForgeryToken => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict | Self::AlreadyPublished | Self::DeviceUnreachable => 409,
            Self::TooLarge => 413,
            Self::KeyReused
            | Self::ManifestInvalid
            | Self::PolicyInvalid
            | Self::DigestMismatch
            | Self::ArtifactMissing => 422,
            Self::TooManyRequests => 429,
            Self::Internal | Self::Unknown => 500,
            Self::DeviceRefused => 502,
            Self::Unavailable => 503,
            Self::DeviceTimeout => 504,
            Self::StorageFailed => 507,
        }
    }

    /// The code as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ForgeryToken => "forgery_token",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::AlreadyPublished => "already_published",
            Self::KeyReused => "key_reused",
            Self::TooLarge => "too_large",
            Self::ManifestInvalid => "manifest_invalid",
            Self::PolicyInvalid => "policy_invalid",
            Self::DigestMismatch => "digest_mismatch",
            Self::ArtifactMissing => "artifact_missing",
            Self::DeviceUnreachable => "device_unreachable",
            Self::DeviceRefused => "device_refused",
            Self::DeviceTimeout => "device_timeout",
            Self::TooManyRequests => "too_many_requests",
            Self::StorageFailed => "storage_failed",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Unknown => "unknown",
        }
    }

    /// The code in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "Request not understood",
            Self::ForgeryToken => "Form not accepted",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "Not possible in this state",
            Self::AlreadyPublished => "Already published",
            Self::KeyReused => "Idempotency key used before",
            Self::TooLarge => "Too large",
            Self::ManifestInvalid => "Manifest not valid",
            Self::PolicyInvalid => "Policy not valid",
            Self::DigestMismatch => "Wrong digest",
            Self::ArtifactMissing => "Image missing",
            Self::DeviceUnreachable => "Device not reachable",
            Self::DeviceRefused => "Refused by the device",
            Self::DeviceTimeout => "No answer from the device",
            Self::TooManyRequests => "Too many requests",
            Self::StorageFailed => "Data folder not writable",
            Self::Unavailable => "Not available now",
            Self::Internal => "Fault in the server",
            Self::Unknown => "Unknown problem",
        }
    }
}
