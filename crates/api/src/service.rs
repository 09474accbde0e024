//! The server about itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// Whether the server does its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether every check holds; `GET /health` answers 503 otherwise.
    pub ok: bool,
    /// Since when the server runs.
    pub started: Timestamp,
    /// How long it has run, in seconds.
    pub uptime_s: u64,
    /// Its parts.
    pub checks: Vec<HealthCheck>,
}

/// One part of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthCheck {
    /// The part, e.g. `store` or `coap`.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What was seen, in words.
    pub detail: String,
}

/// Which server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// The product, `bellwether`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// The version of the HTTP interface, `v1`.
    pub api: String,
}
