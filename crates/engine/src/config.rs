//! Limits and times of the engine.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fleet::Pace;

/// Limits and times, each with its unit and a safe default.
#[derive(Debug, Clone)]
pub struct Config {
    /// The CoAP endpoint's own.
    pub coap: coap::Config,
    /// The registration directory's own.
    pub registry: lwm2m::RegistryConfig,
    /// The loops' own.
    pub operations: operations::Config,
    /// Address under which devices reach this server; part of the URI that pulling devices are
    /// given. A wrong one makes every pull fail.
    pub public_address: SocketAddr,
    /// How often devices in an operation are looked at without a notification.
    pub pace: Pace,
    /// How long a queue-mode device listens after it was last heard. OMA suggests
    /// MAX_TRANSMIT_WAIT, 93 s (LwM2M 1.1 core, 6.5); too long only costs useless retransmissions.
    pub queue_awake: Duration,
    /// Longest time a changed device value stays in memory only. Lower costs more writes.
    pub device_flush: Duration,
    /// Wait before a device that did not say who it is is asked again; doubled each time. Some
    /// devices do not listen at once after they registered.
    pub identity_retry: Duration,
    /// Longest wait between two such questions.
    pub identity_retry_max: Duration,
    /// Devices ever known, registered or not; further ones are refused. Each costs one to two
    /// kilobytes, and whoever reaches the port can make one by a Register.
    pub devices_max: usize,
    /// Devices whose last address is kept after their registration has expired, so that they can be
    /// probed before their silence counts; about 100 bytes each. Further ones are not probed.
    pub last_addresses_max: usize,
    /// Orders of operators to devices that may be open at once.
    pub asks_open_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            coap: coap::Config::default(),
            registry: lwm2m::RegistryConfig::default(),
            operations: operations::Config::default(),
            public_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 5683)),
            pace: Pace::default(),
            queue_awake: Duration::from_secs(93),
            device_flush: Duration::from_secs(1),
            identity_retry: Duration::from_secs(2),
            identity_retry_max: Duration::from_secs(300),
            devices_max: 1_000_000,
            last_addresses_max: 100_000,
            asks_open_max: 10_000,
        }
    }
}
