//! The server's directory of registered devices.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Bound;
use std::str::FromStr;
use std::time::Duration;

use coap::{Code, Request};
use thiserror::Error;

use crate::endpoint::EndpointName;
use crate::registration::{RegisterRequest, UpdateRequest};

/// Knows which devices are registered, where they are, and until when.
///
/// After any call that changes something, drain [`Registry::poll_event`] and ask
/// [`Registry::poll_timeout`] anew. `now` is the time since an origin the caller fixes, and never
/// goes back.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    epoch: u32,
    next_serial: u64,
    registrations: BTreeMap<RegistrationId, Registration>,
    endpoints: HashMap<EndpointName, RegistrationId>,
    peers: HashMap<SocketAddr, RegistrationId>,
    deadlines: BTreeSet<(Duration, RegistrationId)>,
    events: VecDeque<RegistryEvent>,
}

/// Bounds and tunes a [`Registry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Most registrations; further devices are refused until one leaves. Each costs one to two
    /// kilobytes.
    pub registrations_max: usize,
    /// How long a registration stays after its lifetime, in seconds, for an update on its way.
    /// More hides devices that are gone for longer.
    pub lifetime_grace_s: u32,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { registrations_max: 250_000, lifetime_grace_s: 0 }
    }
}

/// Is what the server knows of one registered device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Names the registration, and its Location.
    pub id: RegistrationId,
    /// Where the device last sent a Register or Update from.
    pub peer: SocketAddr,
    /// The Register, with every later Update in it.
    pub request: RegisterRequest,
    /// When the device registered.
    pub registered_at: Duration,
    /// When the device last registered or updated.
    pub updated_at: Duration,
    /// When the registration ends without an update; never with a lifetime of 0.
    pub expires_at: Option<Duration>,
}

impl Registration {
    /// Returns the device's name.
    #[must_use]
    pub const fn endpoint(&self) -> &EndpointName {
        &self.request.endpoint
    }
}

/// Names a registration so that no other one, before or after a restart, has the same name: an
/// update that names a lost registration can never refresh somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId {
    epoch: u32,
    serial: u64,
}

impl RegistrationId {
    /// Reads the registration that an Update or De-register names by its path, `/rd/…`.
    #[must_use]
    pub fn of_request(request: &Request) -> Option<Self> {
        let mut segments = request.path();
        match (segments.next(), segments.next(), segments.next()) {
            (Some(DIRECTORY), Some(id), None) => id.parse().ok(),
            _ => None,
        }
    }

    /// Returns the segments of the Location-Path to answer a Register with.
    #[must_use]
    pub fn location(&self) -> [String; 2] {
        [DIRECTORY.to_owned(), self.to_string()]
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.epoch, self.serial)
    }
}

impl FromStr for RegistrationId {
    type Err = NotARegistrationId;

    fn from_str(text: &str) -> Result<Self, NotARegistrationId> {
        let (epoch, serial) = text.split_once('-').ok_or(NotARegistrationId)?;
        let id = Self {
            epoch: u32::from_str_radix(epoch, 16).map_err(|_| NotARegistrationId)?,
            serial: u64::from_str_radix(serial, 16).map_err(|_| NotARegistrationId)?,
        };
        // One name, one spelling: no signs, capitals or zeros in front.
        if id.to_string() == text { Ok(id) } else { Err(NotARegistrationId) }
    }
}

/// Says that a text names no registration; the fault is with whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the name of a registration")]
pub struct NotARegistrationId;

/// Tells what happened in a [`Registry`] without a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryEvent {
    /// A device did not update its registration in time, and is no longer registered.
    Expired(Box<Registration>),
}

/// Says what a Register did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The new registration.
    pub id: RegistrationId,
    /// The device's earlier registration, which is gone: the device restarted, or moved.
    pub replaced: Option<Box<Registration>>,
}

/// Says what an Update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    /// Where the device was before, when it moved.
    pub moved_from: Option<SocketAddr>,
    /// Whether objects or instances changed.
    pub objects_changed: bool,
}

/// Says why a Register or Update is refused although it is well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegistryRefusal {
    /// The limit of registrations is reached; the device may try later.
    #[error(
        "{registrations_max} devices are registered, which is the limit; raise it or add a server"
    )]
    Full {
        /// The limit.
        registrations_max: usize,
    },
    /// No registration has this name; the device must register anew.
    #[error("no registration {0}; the device must register anew")]
    Unknown(RegistrationId),
    /// The device registered anew before its kept registration was brought back.
    #[error("the device has a newer registration than {0}")]
    Superseded(RegistrationId),
}

impl RegistryRefusal {
    /// Returns the code to answer with (LwM2M 1.1 TS core, section 6.4.3).
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Full { .. } => Code::SERVICE_UNAVAILABLE,
            Self::Unknown(_) | Self::Superseded(_) => Code::NOT_FOUND,
        }
    }
}

impl Registry {
    /// Starts an empty directory.
    ///
    /// `epoch` must differ between any two runs of the same server, or an old Location could name
    /// a new registration; the start time in seconds will do.
    #[must_use]
    pub fn new(config: RegistryConfig, epoch: u32) -> Self {
        Self {
            config,
            epoch,
            next_serial: 1,
            registrations: BTreeMap::new(),
            endpoints: HashMap::new(),
            peers: HashMap::new(),
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
        }
    }

    /// Registers a device; an earlier registration of the same name ends
    /// (LwM2M 1.1 TS core, section 6.2.1).
    ///
    /// # Errors
    /// [`RegistryRefusal::Full`].
    pub fn register(
        &mut self,
        request: RegisterRequest,
        peer: SocketAddr,
        now: Duration,
    ) -> Result<Registered, RegistryRefusal> {
        let earlier = self.endpoints.get(&request.endpoint).copied();
        if earlier.is_none() {
            self.refuse_when_full()?;
        }
        let replaced = earlier.and_then(|id| self.take(id)).map(Box::new);
        let id = RegistrationId { epoch: self.epoch, serial: self.next_serial };
        self.next_serial += 1;
        self.insert(id, request, peer, now);
        Ok(Registered { id, replaced })
    }

    /// Brings back a registration kept over a restart; its lifetime begins anew, because nobody
    /// knows how long the server was away.
    ///
    /// # Errors
    /// [`RegistryRefusal::Full`], or [`RegistryRefusal::Superseded`] when the device has
    /// registered meanwhile, or the name is taken.
    pub fn restore(
        &mut self,
        id: RegistrationId,
        request: RegisterRequest,
        peer: SocketAddr,
        now: Duration,
    ) -> Result<(), RegistryRefusal> {
        if self.endpoints.contains_key(&request.endpoint) || self.registrations.contains_key(&id) {
            return Err(RegistryRefusal::Superseded(id));
        }
        self.refuse_when_full()?;
        if id.epoch == self.epoch {
            self.next_serial = self.next_serial.max(id.serial.saturating_add(1));
        }
        self.insert(id, request, peer, now);
        Ok(())
    }

    /// Renews a registration and takes over what changed, the device's address among it.
    ///
    /// # Errors
    /// [`RegistryRefusal::Unknown`].
    pub fn update(
        &mut self,
        id: RegistrationId,
        request: UpdateRequest,
        peer: SocketAddr,
        now: Duration,
    ) -> Result<Updated, RegistryRefusal> {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return Err(RegistryRefusal::Unknown(id));
        };
        let objects_changed = request.apply(&mut registration.request);
        let expires_at = expiry(self.config, registration.request.lifetime_s, now);
        if let Some(deadline) = std::mem::replace(&mut registration.expires_at, expires_at) {
            self.deadlines.remove(&(deadline, id));
        }
        self.deadlines.extend(expires_at.map(|deadline| (deadline, id)));
        registration.updated_at = now;
        let previous = std::mem::replace(&mut registration.peer, peer);
        if self.peers.get(&previous) == Some(&id) {
            self.peers.remove(&previous);
        }
        self.peers.insert(peer, id);
        Ok(Updated { moved_from: (previous != peer).then_some(previous), objects_changed })
    }

    /// Ends a registration; none when there is no such one.
    pub fn deregister(&mut self, id: RegistrationId) -> Option<Registration> {
        self.take(id)
    }

    /// Returns when [`Registry::handle_timeout`] is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends the registrations whose lifetime is over.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(&(deadline, id)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            let expired =
                self.take(id).map(|registration| RegistryEvent::Expired(Box::new(registration)));
            self.events.extend(expired);
        }
    }

    /// Returns what happened since, oldest first.
    pub fn poll_event(&mut self) -> Option<RegistryEvent> {
        self.events.pop_front()
    }

    /// Returns a registration.
    #[must_use]
    pub fn by_id(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.get(&id)
    }

    /// Returns the registration of a device.
    #[must_use]
    pub fn by_endpoint(&self, endpoint: &str) -> Option<&Registration> {
        self.by_id(*self.endpoints.get(endpoint)?)
    }

    /// Returns the registration at an address; the latest when several devices share one.
    #[must_use]
    pub fn by_peer(&self, peer: SocketAddr) -> Option<&Registration> {
        self.by_id(*self.peers.get(&peer)?)
    }

    /// Walks the registrations in the order of their names, from after `after` on when given:
    /// a page ends with the name that the next one starts after.
    pub fn iter(&self, after: Option<RegistrationId>) -> impl Iterator<Item = &Registration> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.registrations.range((start, Bound::Unbounded)).map(|(_, registration)| registration)
    }

    /// Counts the registrations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registrations.len()
    }

    /// Tells whether nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.registrations.is_empty()
    }

    fn refuse_when_full(&self) -> Result<(), RegistryRefusal> {
        let registrations_max = self.config.registrations_max;
        if self.registrations.len() < registrations_max {
            Ok(())
        } else {
            Err(RegistryRefusal::Full { registrations_max })
        }
    }

    fn insert(
        &mut self,
        id: RegistrationId,
        request: RegisterRequest,
        peer: SocketAddr,
        now: Duration,
    ) {
        let expires_at = expiry(self.config, request.lifetime_s, now);
        self.deadlines.extend(expires_at.map(|deadline| (deadline, id)));
        self.endpoints.insert(request.endpoint.clone(), id);
        self.peers.insert(peer, id);
        let registration =
            Registration { id, peer, request, registered_at: now, updated_at: now, expires_at };
        self.registrations.insert(id, registration);
    }

    fn take(&mut self, id: RegistrationId) -> Option<Registration> {
        let registration = self.registrations.remove(&id)?;
        self.endpoints.remove(&registration.request.endpoint);
        if self.peers.get(&registration.peer) == Some(&id) {
            self.peers.remove(&registration.peer);
        }
        if let Some(deadline) = registration.expires_at {
            self.deadlines.remove(&(deadline, id));
        }
        Some(registration)
    }
}

fn expiry(config: RegistryConfig, lifetime_s: u32, now: Duration) -> Option<Duration> {
    let seconds = u64::from(lifetime_s) + u64::from(config.lifetime_grace_s);
    (lifetime_s > 0).then(|| now.saturating_add(Duration::from_secs(seconds)))
}

/// The resource directory's path (LwM2M 1.1 TS core, section 6.2).
const DIRECTORY: &str = "rd";
