//! The device side of LwM2M 1.1, without I/O.
//!
//! Owns the registration life cycle, the answers to a server's requests, observations and the
//! firmware update object of one device. It knows no socket, clock or random source, and nothing
//! of what a device measures or how it installs firmware: the owner sets values and answers
//! events. It trusts one server, by address; bootstrap and DTLS are outside.
//!
//! Start from [`Client`], [`ObjectTree`] and [`FirmwareObject`].

mod attributes;
mod config;
mod event;
mod firmware;
mod observe;
mod registration;
mod requests;
#[cfg(test)]
mod tests;
mod tree;
mod update;
mod uri;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use coap::{Endpoint, Transmit};

pub use self::attributes::{AttributeError, Attributes};
pub use self::config::{ClientConfig, ConfigError};
pub use self::event::{DownloadFailure, Event};
pub use self::firmware::{FirmwareEffect, FirmwareObject, FirmwareRefusal, ImageId};
pub use self::tree::{ObjectTree, TreeError};
pub use self::update::DownloadRefused;
pub use self::uri::{CoapUri, UriError};

use self::attributes::AttributeTable;
use self::observe::Observation;
use self::registration::{LIFETIME, Lifecycle};
use self::update::Download;
use crate::{Operations, Path, Value};

/// One LwM2M device.
///
/// Methods form four families: `handle_*` take in datagrams and the passing of time; `poll_*` give
/// out datagrams, events and the next deadline; the others read (`&self`) or command (`&mut self`).
/// After any `&mut` call drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event) until both are empty, then ask
/// [`poll_timeout`](Self::poll_timeout). `now` is the time since an origin of the caller's choice
/// and never goes back.
///
/// An idle registered client takes about 5 KiB besides its objects, most of it tables of the message
/// layer; thirty resources take another 2 KiB.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    coap: Endpoint,
    objects: ObjectTree,
    attributes: AttributeTable,
    observations: Vec<Observation>,
    lifecycle: Lifecycle,
    /// The objects changed since the server was last told.
    links_stale: bool,
    firmware: Option<Box<FirmwareObject>>,
    downloads: Vec<Download>,
    awake_until: Duration,
    random: u64,
    events: VecDeque<Event>,
}

impl Client {
    /// Creates a client that does nothing before [`start`](Self::start).
    ///
    /// The Server object `/1/0` is added unless the tree has one; with `firmware` the resources of
    /// `/5/0` are put into the tree and kept up to date. Clients with the same `seed` behave the
    /// same.
    pub fn new(
        config: ClientConfig,
        mut objects: ObjectTree,
        firmware: Option<FirmwareObject>,
        seed: u64,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        furnish_server(&mut objects, &config);
        if let Some(firmware) = &firmware {
            update::furnish(&mut objects, firmware, config.version);
        }
        objects.shrink();
        let image_bytes_max = firmware.as_ref().map_or(0, FirmwareObject::image_bytes_max);
        Ok(Self {
            coap: Endpoint::new(config.coap(image_bytes_max), seed),
            config,
            objects,
            attributes: AttributeTable::default(),
            observations: Vec::new(),
            lifecycle: Lifecycle::Stopped,
            links_stale: false,
            firmware: firmware.map(Box::new),
            downloads: Vec::new(),
            awake_until: Duration::ZERO,
            random: seed,
            events: VecDeque::new(),
        })
    }

    /// Takes in a datagram. In queue mode one that arrives while the client sleeps is lost.
    pub fn handle_datagram(&mut self, peer: SocketAddr, datagram: &[u8], now: Duration) {
        if !self.is_awake(now) {
            return;
        }
        if peer == self.config.server {
            self.contact(now);
        }
        self.coap.handle_datagram(peer, datagram, now);
        self.settle(now);
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.coap.handle_timeout(now);
        self.handle_lifecycle_timeout(now);
        self.settle(now);
    }

    /// Returns the next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.coap.poll_transmit()
    }

    /// Returns the next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout); `None` when nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let own = [self.lifecycle_timeout(), self.notification_timeout()];
        own.into_iter().chain([self.coap.poll_timeout()]).flatten().min()
    }

    /// Returns the name the client registers with.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.config.endpoint
    }

    /// Returns the server's address.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.config.server
    }

    /// Returns the objects with their present values.
    #[must_use]
    pub fn objects(&self) -> &ObjectTree {
        &self.objects
    }

    /// Returns the counters of the message layer.
    #[must_use]
    pub fn statistics(&self) -> &coap::Statistics {
        self.coap.statistics()
    }

    /// Returns the value of a resource with one value, or of a resource instance.
    #[must_use]
    pub fn value(&self, path: Path) -> Option<&Value> {
        self.objects.value(path)
    }

    /// Sets a value and notifies the observers whose conditions it meets; tells whether it
    /// changed.
    pub fn set(&mut self, path: Path, value: Value, now: Duration) -> Result<bool, TreeError> {
        let changed = self.objects.set(path, value)?;
        if changed {
            self.touched(path);
            if path.object_id() == LIFETIME.object_id() {
                self.attributes_changed();
                self.lifetime_changed(now);
            }
        }
        self.settle(now);
        Ok(changed)
    }

    /// Changes the objects at will, then notifies observers of differing values once and updates
    /// the registration when objects or instances came or went.
    pub fn change_objects(&mut self, now: Duration, change: impl FnOnce(&mut ObjectTree)) {
        let links = self.objects.links(self.config.version);
        let before = self.observed_values();
        change(&mut self.objects);
        self.compare_observed(&before);
        if links != self.objects.links(self.config.version) {
            self.links_changed(now);
        }
        self.attributes_changed();
        self.lifetime_changed(now);
        self.settle(now);
    }

    /// Turns to another server and, unless stopped, registers there; the old one is not told, as
    /// when it is lost or its account was rewritten.
    pub fn change_server(&mut self, server: SocketAddr, now: Duration) {
        let stopped = matches!(self.lifecycle, Lifecycle::Stopped);
        // Stopped while the old server's requests fail, so that none of them is tried again.
        self.lifecycle = Lifecycle::Stopped;
        self.end_observations();
        self.coap.forget_peer(self.config.server, now);
        self.settle(now);
        self.config.server = server;
        if !stopped {
            self.register(0, now);
            self.settle(now);
        }
    }

    /// Handles what the message layer has to say, then sends the notifications that are due.
    fn settle(&mut self, now: Duration) {
        while let Some(event) = self.coap.poll_event() {
            self.handle_event(event, now);
        }
        self.notify_due(now);
    }

    fn handle_event(&mut self, event: coap::Event, now: Duration) {
        match event {
            coap::Event::Request { exchange, peer, request, token } => {
                let (response, consequences) = self.answer(peer, token, &request, now);
                self.coap.respond(exchange, response, now);
                self.carry_out(consequences, now);
                self.run_firmware(now);
            }
            coap::Event::Response { id, response, .. } => {
                if !self.registration_response(id, &response, now) {
                    self.download_response(id, response, now);
                }
            }
            coap::Event::Progress { id, bytes, .. } => self.download_progress(id, bytes),
            coap::Event::Failed { id, failure, .. } => {
                if !self.registration_failure(id, failure, now) {
                    self.download_failure(id, failure, now);
                }
            }
            coap::Event::ObserverLost { peer, token } => self.observer_lost(peer, token),
            // A device observes nothing.
            coap::Event::Notification { .. } => {}
        }
    }

    /// Notes a contact with the server, from which the listening time of queue mode counts.
    fn contact(&mut self, now: Duration) {
        self.awake_until = now + Duration::from_secs(u64::from(self.config.awake_window_s));
    }

    /// Returns a number below `bound`, which is not 0, from the seed (SplitMix64).
    fn random_below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Adds the account of the server (LwM2M Core 1.1, E.2), unless the owner has written one.
fn furnish_server(objects: &mut ObjectTree, config: &ClientConfig) {
    let resource = |id| Path::resource(1, 0, id);
    if objects.value(resource(0)).is_some() || objects.value(LIFETIME).is_some() {
        return;
    }
    let integer = |number: u32| Value::Integer(i64::from(number));
    let write = Operations::ReadWrite;
    objects
        .single(resource(0), Operations::Read, integer(1))
        .single(LIFETIME, write, integer(config.lifetime_s))
        .single(observe::DEFAULT_PMIN, write, integer(0))
        .single(observe::DEFAULT_PMAX, write, integer(0))
        .executable(resource(4))
        .single(resource(5), write, integer(86_400))
        .single(resource(6), write, Value::Boolean(false))
        .single(resource(7), write, Value::String("U".to_owned()))
        .executable(resource(8));
}
