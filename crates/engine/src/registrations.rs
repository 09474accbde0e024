//! Registrations: who is there, kept over a restart.

use std::net::SocketAddr;
use std::time::Duration;

use lwm2m::{RegisterRequest, RegistrationId, RegistryEvent, RegistryRefusal, UpdateRequest};
use model::{
    Datamodel, Device, DeviceId, EndpointName, HealthEventKind, Presence, Record, Registration,
    Time,
};
use serde::{Deserialize, Serialize};

use crate::devices::Live;
use crate::machine::LastAddress;
use crate::{Engine, Event};

/// Name of this driver in stored registrations.
const DRIVER: &str = "lwm2m";
/// Registration attribute that names the site of a device.
const SITE_ATTRIBUTE: &str = "site";
/// A device that restarts by itself twice within this time has the habit of doing so.
const RESTART_HABIT: Duration = Duration::from_secs(24 * 3_600);

/// What the driver keeps of a registration beside its address.
#[derive(Debug, Serialize, Deserialize)]
struct Details {
    queries: Vec<String>,
    links: String,
}

impl Engine {
    /// Takes a Register: a new device gets a number, a known one keeps it.
    pub(crate) fn register(
        &mut self,
        request: RegisterRequest,
        peer: SocketAddr,
        now: Time,
    ) -> Result<RegistrationId, RegistryRefusal> {
        let name = model_name(&request);
        let lifetime = Duration::from_secs(u64::from(request.lifetime_s));
        let site = request
            .attributes
            .iter()
            .find(|(name, value)| name == SITE_ATTRIBUTE && !value.is_empty())
            .map(|(_, value)| value.as_str().into());
        let known = self.names.get(&name).copied();
        let devices_max = self.config.devices_max;
        if known.is_none() && self.fleet.len() >= devices_max {
            return Err(RegistryRefusal::Full { registrations_max: devices_max });
        }
        if known.is_some_and(|id| self.fleet.device(id).is_some_and(Device::is_identified)) {
            self.make_room(now);
        }
        let unordered = known.is_some_and(|id| self.is_unordered_restart(id));
        let registered = self.registry.register(request, peer, now.since_origin())?;
        self.statistics.registrations += 1;
        let id = known.unwrap_or_else(|| self.fleet.next_id());
        if known.is_none() {
            self.names.insert(name.clone(), id);
            self.fleet.insert(new_device(id, name, now));
        }
        if let Some(device) = self.fleet.device_mut(id) {
            device.presence = Presence::Online;
            device.lifetime = lifetime;
            device.last_seen = now;
            device.registrations = device.registrations.saturating_add(1);
            device.site = site.or_else(|| device.site.take());
            // A registration may follow a boot: values that a boot can change are read anew.
            fleet::forget_values(device);
        }
        self.drop_live(id, now);
        self.last_addresses.remove(&id);
        if let Some(registration) = self.registry.by_id(registered.id) {
            let live = Live::new(registered.id, &registration.request, peer);
            self.lives.insert(id, Live { heard: true, ..live });
        }
        if self.fleet.device(id).is_some_and(|device| !device.is_identified()) {
            self.strangers.insert(id);
        }
        self.record_registration(id);
        if known.is_none() {
            // The number must survive a crash before anything refers to it.
            self.flush_device(id);
        } else {
            self.mark(id, now);
        }
        self.keep_awake(id, now);
        self.events.push_back(Event::DeviceRegistered { device: id, new: known.is_none() });
        self.identify(id);
        self.device_changed(id, now);
        // It may follow an update or a long absence, which is nobody's habit.
        self.loops.contact(id, None, &self.fleet, now);
        if unordered {
            self.restarted(id, now);
        }
        self.step(id, now, |procedure| procedure.handle_registered(now));
        Ok(registered.id)
    }

    /// Whether a Register of that device shows a restart that nobody ordered: it has a registration
    /// that it could have renewed (LwM2M 1.1 core, 6.2.2), was heard under it by this process, and
    /// is neither being updated nor under an operator's order.
    ///
    /// A device whose network was away registers anew likewise; so would one that is not updated,
    /// and the two are compared.
    fn is_unordered_restart(&self, id: DeviceId) -> bool {
        let awaited = self.running.contains_key(&id)
            || self.delayed.contains_key(&id)
            || self.orders_changing.contains_key(&id);
        !awaited && self.lives.get(&id).is_some_and(|live| live.heard && !live.may_restart)
    }

    /// Tells the loops of a restart, unless restarts are what the device does anyway: some register
    /// anew at each contact, and a crash loop from before an update says nothing about the update.
    fn restarted(&mut self, id: DeviceId, now: Time) {
        let before = self.restarts.insert(id, now);
        if before.is_none_or(|at| now.since(at) > RESTART_HABIT) {
            self.statistics.restarts += 1;
            self.loops.signal(id, HealthEventKind::Crash, now);
        }
    }

    /// A device of the fleet is never kept out by registrations of which nobody knows what they
    /// are: when the directory is full, one of those ends (I19).
    fn make_room(&mut self, now: Time) {
        while self.registry.len() >= self.config.registry.registrations_max {
            let Some(stranger) = self.strangers.pop_first() else { return };
            let registration = self.lives.get(&stranger).map(|live| live.registration);
            if registration.is_some_and(|id| self.end_registration(id, now)) {
                self.statistics.strangers_ended += 1;
            }
        }
    }

    /// Takes an Update.
    pub(crate) fn update_registration(
        &mut self,
        id: RegistrationId,
        request: UpdateRequest,
        peer: SocketAddr,
        now: Time,
    ) -> Result<(), RegistryRefusal> {
        let updated = self.registry.update(id, request, peer, now.since_origin())?;
        self.statistics.updates += 1;
        let Some(registration) = self.registry.by_id(id) else { return Ok(()) };
        let name = model_name(&registration.request);
        let fresh = Live::new(id, &registration.request, peer);
        let Some(device) = self.names.get(&name).copied() else { return Ok(()) };
        if let Some(live) = self.lives.get_mut(&device) {
            live.peer = peer;
            live.objects = fresh.objects;
            live.queue_mode = fresh.queue_mode;
            // Who listens all the time from now on must not be put to sleep by an older timer.
            live.awake_until = live.awake_until.filter(|_| live.queue_mode);
        }
        if updated.moved_from.is_some() {
            self.leave_address(device, now);
        }
        if updated.moved_from.is_some() || updated.objects_changed {
            self.record_registration(device);
        }
        self.contact(device, now);
        self.refresh(device);
        Ok(())
    }

    /// Takes a De-register. Returns whether there was such a registration.
    pub(crate) fn end_registration(&mut self, id: RegistrationId, now: Time) -> bool {
        let Some(registration) = self.registry.deregister(id) else { return false };
        self.left(&registration, true, now);
        true
    }

    /// Ends the registrations whose lifetime is over.
    pub(crate) fn expire_registrations(&mut self, now: Time) {
        self.registry.handle_timeout(now.since_origin());
        while let Some(RegistryEvent::Expired(registration)) = self.registry.poll_event() {
            self.left(&registration, false, now);
        }
    }

    /// Brings back the registrations that were kept; devices need not notice the restart. Their
    /// lifetimes begin anew (I17).
    pub(crate) fn restore_registrations(&mut self, kept: &[Registration], now: Time) {
        let everyone: Vec<DeviceId> = self.fleet.iter().map(|device| device.id).collect();
        for id in everyone {
            if let Some(device) = self.fleet.device_mut(id) {
                device.presence = Presence::Offline;
            }
        }
        for registration in kept.iter().filter(|registration| registration.driver == DRIVER) {
            self.restore_registration(registration, now);
        }
    }

    /// A row that cannot be read any more costs the device one registration, nothing else.
    fn restore_registration(&mut self, kept: &Registration, now: Time) -> Option<()> {
        let details: Details = serde_json::from_str(&kept.details).ok()?;
        let queries = details.queries.iter().map(String::as_str);
        let request = RegisterRequest::from_parts(queries, &details.links).ok()?;
        let peer = kept.address.parse().ok()?;
        let id: RegistrationId = kept.location.parse().ok()?;
        let live = Live::new(id, &request, peer);
        let asleep = request.queue_mode;
        self.registry.restore(id, request, peer, now.since_origin()).ok()?;
        self.lives.insert(kept.device, live);
        if self.fleet.device(kept.device).is_some_and(|device| !device.is_identified()) {
            self.strangers.insert(kept.device);
        }
        let device = self.fleet.device_mut(kept.device)?;
        device.presence = if asleep { Presence::Asleep } else { Presence::Online };
        // A registration may follow a boot: a row without a value read since then, lost in the
        // crash, may show the version before it.
        let read_since = device.datamodel.values.values().any(|value| value.at >= kept.at);
        if !read_since || !device.is_identified() {
            self.identify(kept.device);
        }
        Some(())
    }

    fn left(&mut self, registration: &lwm2m::Registration, deregistered: bool, now: Time) {
        let Some(id) = self.names.get(&model_name(&registration.request)).copied() else { return };
        if self.lives.get(&id).is_none_or(|live| live.registration != registration.id) {
            return;
        }
        // Who sleeps hears nothing, and who said good-bye need not be asked.
        let is_kept = !deregistered && self.last_addresses.len() < self.config.last_addresses_max;
        if let Some(live) = self.lives.get(&id).filter(|live| is_kept && !live.queue_mode) {
            let (peer, root) = (live.peer, live.root.clone());
            self.last_addresses.insert(id, LastAddress { peer, root });
        }
        self.drop_live(id, now);
        self.outbox.record(Record::Deregistration { device: id });
        self.set_presence(id, Presence::Offline, now);
        self.step(id, now, |procedure| procedure.handle_left(now));
        self.events.push_back(Event::DeviceLeft { device: id, deregistered });
    }

    fn record_registration(&mut self, device: DeviceId) {
        if let Some(registration) = self.registration(device) {
            self.outbox.record(Record::Registration(registration));
        }
    }

    /// How a device is reached; none while it is not registered.
    #[must_use]
    pub fn registration(&self, device: DeviceId) -> Option<Registration> {
        let live = self.lives.get(&device)?;
        let registration = self.registry.by_id(live.registration)?;
        let details = Details {
            queries: registration.request.queries(),
            links: registration.request.links.to_string(),
        };
        Some(Registration {
            device,
            driver: DRIVER.to_owned(),
            address: registration.peer.to_string(),
            location: registration.id.to_string(),
            details: serde_json::to_string(&details).unwrap_or_default(),
            at: Time::from_since_origin(registration.registered_at),
        })
    }
}

/// The name of a registering device in the model's form; both accept 1 to 255 bytes.
fn model_name(request: &RegisterRequest) -> EndpointName {
    let printable: String = request
        .endpoint
        .as_str()
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    let end = printable.floor_char_boundary(EndpointName::BYTES_MAX);
    EndpointName::new(&printable[..end]).expect("1 to 255 bytes without control characters")
}

fn new_device(id: DeviceId, endpoint: EndpointName, now: Time) -> Device {
    Device {
        id,
        endpoint,
        manufacturer: None,
        model: None,
        hardware: None,
        version: None,
        site: None,
        presence: Presence::Online,
        lifetime: Duration::ZERO,
        first_seen: now,
        last_seen: now,
        registrations: 0,
        configurations: std::collections::BTreeMap::new(),
        consents: std::collections::BTreeMap::new(),
        hold: None,
        habit: model::Habit::default(),
        datamodel: Datamodel::default(),
    }
}
