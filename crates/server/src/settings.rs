//! The configuration file: one TOML file, none required.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Policy, Span};
use serde::{Deserialize, Serialize};

use crate::slowdown::Slowdown;

/// Settings of a server. Flags go before environment variables, those before the file, and that
/// before these defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder of everything durable; made when missing.
    pub data: PathBuf,
    /// Address of the console and the HTTP interface.
    pub http: SocketAddr,
    /// Address for devices (CoAP over UDP).
    pub coap: SocketAddr,
    /// Address under which devices reach `coap`, when that differs: behind address translation,
    /// or when `coap` listens on every interface.
    pub coap_public: Option<SocketAddr>,
    /// Receive buffers of all sockets on the CoAP port together, in bytes. A storm overflows small
    /// ones; the kernel doubles each and caps it at `net.core.rmem_max`.
    pub coap_receive_buffer_bytes: usize,
    /// Wait before a message to a device is sent again (ACK_TIMEOUT, RFC 7252 section 4.8), doubled
    /// each time. Shorter than the network's round trip burdens it with needless copies.
    pub coap_ack_timeout: Span,
    /// Devices registered at the same time; each costs one to two kilobytes.
    pub registrations_max: usize,
    /// Devices changed at the same time over all operations.
    pub parallel_max: u32,
    /// Longest image accepted, in bytes.
    pub artifact_bytes_max: u64,
    /// Open HTTP event streams; each costs a task and a buffer.
    pub event_streams_max: usize,
    /// How long an operator's order to a device waits for the answer.
    pub order_timeout: Span,
    /// How long a queue-mode device listens after it was heard.
    pub queue_awake: Span,
    /// How often a device that transfers is looked at without a notification.
    pub transfer_look: Span,
    /// How often a device that installs is looked at without a notification.
    pub install_look: Span,
    /// Time without progress after which a transfer is given up.
    pub transfer_stall: Span,
    /// Time a device has to answer the probe before it counts as silent.
    pub probe: Span,
    /// Devices probed at the same time before they count as silent after an update or as control.
    pub probes_max: usize,
    /// Control devices whose guarded values are read at the same time.
    pub control_reads_max: usize,
    /// Finished operations in a row that failed on a device after which it is quarantined; 0 for
    /// never.
    pub quarantine_after: u32,
    /// Time in which devices that turn up out of date are collected before an operation for them
    /// is opened.
    pub compliance_delay: Span,
    /// Policy of operations that are started without one.
    pub policy: Policy,
    /// Makes the server answer late on purpose, to see regulation react. For trials only.
    pub slowdown: Slowdown,
}

impl Default for Settings {
    fn default() -> Self {
        let loops = operations::Config::default();
        Self {
            data: PathBuf::from("bellwether-data"),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            coap: SocketAddr::from((Ipv4Addr::LOCALHOST, 5683)),
            coap_public: None,
            coap_receive_buffer_bytes: 8 << 20,
            coap_ack_timeout: Span::secs(2),
            registrations_max: 250_000,
            parallel_max: loops.parallel_max,
            artifact_bytes_max: 256 << 20,
            event_streams_max: 256,
            order_timeout: Span::secs(30),
            queue_awake: Span::secs(93),
            transfer_look: Span::secs(10),
            install_look: Span::secs(30),
            transfer_stall: Span::secs(loops.transfer_stall_s),
            probe: Span::secs(loops.probe_s),
            probes_max: loops.probes_max,
            control_reads_max: loops.control_reads_max,
            quarantine_after: loops.quarantine_after,
            compliance_delay: Span::secs(loops.compliance_delay_s),
            policy: Policy::default(),
            slowdown: Slowdown::default(),
        }
    }
}

impl Settings {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`SettingsError`] names the file, the line and what is allowed.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let wrong = |message: String| SettingsError { path: path.to_owned(), message };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(unreadable(&error)))?;
        let settings: Self = toml::from_str(&text).map_err(|error| wrong(format!("\n{error}")))?;
        settings.policy.clone().validated().map_err(wrong)?;
        Ok(settings)
    }

    /// The engine's part of the settings.
    pub(crate) fn engine(&self, coap: SocketAddr) -> engine::Config {
        let seconds = |span: Span| span.0.as_secs().max(1);
        engine::Config {
            coap: coap::Config {
                ack_timeout: self.coap_ack_timeout.0.max(ACK_TIMEOUT_MIN),
                ..coap::Config::default()
            },
            registry: lwm2m::RegistryConfig {
                registrations_max: self.registrations_max,
                ..lwm2m::RegistryConfig::default()
            },
            operations: operations::Config {
                parallel_max: self.parallel_max,
                transfer_stall_s: seconds(self.transfer_stall),
                probe_s: seconds(self.probe),
                probes_max: self.probes_max,
                control_reads_max: self.control_reads_max,
                quarantine_after: self.quarantine_after,
                compliance_delay_s: seconds(self.compliance_delay),
                ..operations::Config::default()
            },
            public_address: self.coap_public.unwrap_or(coap),
            pace: fleet::Pace { transfer: self.transfer_look.0, install: self.install_look.0 },
            queue_awake: self.queue_awake.0,
            ..engine::Config::default()
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; correct its name, or leave it out",
        io::ErrorKind::PermissionDenied => {
            "this user may not read it; change its owner or permissions"
        }
        io::ErrorKind::IsADirectory => "this is a folder; name a file in it",
        io::ErrorKind::InvalidData => "this is not text in UTF-8; save it as UTF-8",
        _ => return format!("cannot be read: {error}; correct its name, or leave it out"),
    };
    words.to_owned()
}

/// Shortest wait before a message is sent again; without one, a lost message would flood its peer.
const ACK_TIMEOUT_MIN: Duration = Duration::from_millis(50);

/// What is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration file {}: {message}", path.display())]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong and what is allowed.
    pub message: String,
}
