//! Settings of one client.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;

use crate::{ContentFormat, Definitions, LwM2mVersion};

/// Settings of a [`Client`](super::Client); start from [`ClientConfig::new`] and change fields.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Endpoint client name sent as `ep`; 1 to 252 bytes, the room of one Uri-Query option.
    pub endpoint: String,
    /// Address of the LwM2M server. Requests from any other address are answered 4.01.
    pub server: SocketAddr,
    /// Version of LwM2M announced by the registration; 1.1 unless the server knows 1.0 alone, as
    /// old ones do that refuse any other. With 1.0 the firmware object has no Cancel.
    pub version: LwM2mVersion,
    /// Path of the registration resource at the server, `rd` unless the server says otherwise.
    pub registration_path: String,
    /// Registration lifetime in seconds; 0 stands for a registration that never expires.
    ///
    /// The value of `/1/0/1` when the tree has that resource. Shorter lifetimes notice a lost
    /// device sooner and cost an Update each.
    pub lifetime_s: u32,
    /// Announces queue mode: the client listens only for `awake_window_s` after it was last in
    /// contact and drops datagrams at other times, as a radio that is switched off does.
    pub queue_mode: bool,
    /// Time the client listens after the last contact in queue mode, in seconds. 93 s is
    /// MAX_TRANSMIT_WAIT, what servers assume (LwM2M Core 1.1, 6.5).
    pub awake_window_s: u32,
    /// Wait after a first failed registration, in seconds; doubled by each further failure.
    ///
    /// Half of it is random, so that devices that lost a server together do not return together.
    pub retry_delay_s: u32,
    /// Longest wait between two attempts to register, in seconds.
    pub retry_delay_s_max: u32,
    /// Content format announced as preferred by the registration, and used for objects, instances
    /// and multiple resources when a request has no Accept. `None` announces nothing and uses TLV:
    /// some old servers refuse a registration with formats they do not know.
    pub preferred_format: Option<ContentFormat>,
    /// Whether notifications are confirmable. A lost one is repeated and a server that is gone
    /// loses its observations, for one acknowledgement each.
    pub confirmable_notifications: bool,
    /// Observations kept at the same time, about 200 bytes each; further ones are answered as
    /// plain reads.
    pub observations_max: usize,
    /// Bytes of a request body other than a firmware image; longer ones are answered 4.13.
    pub request_bytes_max: usize,
    /// Descriptions of the objects, for formats without types. Share one between all clients of a
    /// process.
    pub definitions: Arc<Definitions>,
    /// Settings of the message layer. Limits on peers and bodies are set by the client itself.
    pub coap: coap::Config,
}

impl ClientConfig {
    /// Creates the settings of a device called `endpoint` that registers with `server`.
    #[must_use]
    pub fn new(endpoint: &str, server: SocketAddr, definitions: Arc<Definitions>) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            server,
            version: LwM2mVersion::V1_1,
            registration_path: "rd".to_owned(),
            lifetime_s: 86_400,
            queue_mode: false,
            awake_window_s: 93,
            retry_delay_s: 60,
            retry_delay_s_max: 3600,
            preferred_format: None,
            confirmable_notifications: true,
            observations_max: 32,
            request_bytes_max: 16 << 10,
            definitions,
            // A device has few peers and small tables; NSTART is 2 so that a registration update
            // does not wait for the end of a firmware download from the same server.
            coap: coap::Config { nstart: 2, peers_max: 8, ..coap::Config::default() },
        }
    }

    /// Checks the settings, see [`ConfigError`].
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.endpoint.is_empty() || self.endpoint.len() > ENDPOINT_BYTES_MAX {
            return Err(ConfigError::Endpoint(self.endpoint.len()));
        }
        Ok(())
    }

    /// Derives the settings of the message layer for a device that takes images of this size.
    pub(crate) fn coap(&self, image_bytes_max: usize) -> coap::Config {
        // TLV around an image costs some bytes.
        let body = self.request_bytes_max.max(image_bytes_max.saturating_add(256));
        coap::Config {
            body_bytes_max: self.request_bytes_max,
            block1_bytes_per_peer_max: body,
            block1_bytes_total_max: body,
            block2_bytes_total_max: body,
            ..self.coap.clone()
        }
    }
}

/// Why a client cannot be created; the fault is of whoever wrote the settings.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The endpoint client name does not fit into a Uri-Query option beside `ep=`.
    #[error("the endpoint name has {0} bytes; choose one of 1 to 252 bytes")]
    Endpoint(usize),
}

/// A Uri-Query option has at most 255 bytes (RFC 7252, 5.10), three of which are `ep=`.
const ENDPOINT_BYTES_MAX: usize = 252;
