//! The engine itself: inputs, outputs and the turn between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use coap::{Endpoint, RequestId, Transmit};
use fleet::Ask;
use lwm2m::{Definitions, Path, Registry};
use model::{DeviceId, EndpointName, Fleet, Record, Sha256, Snapshot, Time};
use operations::{Dispatch, Loops};

use crate::devices::Live;
use crate::execution::{Effect, Intents, Running};
use crate::outbox::Outbox;
use crate::{Batch, Config, Event};

/// The manager of one fleet.
///
/// Inputs are `handle_*` and the orders in [`orders`](crate::Engine::open_operation); after each,
/// drain [`Engine::poll_batch`], [`Engine::poll_transmit`] and [`Engine::poll_event`] until they
/// return none, then ask [`Engine::poll_timeout`]. `now` never goes back.
#[derive(Debug)]
pub struct Engine {
    pub(crate) config: Config,
    pub(crate) endpoint: Endpoint,
    pub(crate) registry: Registry,
    pub(crate) definitions: Definitions,
    pub(crate) fleet: Fleet,
    pub(crate) names: BTreeMap<EndpointName, DeviceId>,
    pub(crate) lives: BTreeMap<DeviceId, Live>,
    /// Registered devices that have not said who they are.
    pub(crate) strangers: BTreeSet<DeviceId>,
    pub(crate) loops: Loops,
    pub(crate) running: BTreeMap<DeviceId, Running>,
    pub(crate) asks: BTreeMap<RequestId, Pending>,
    /// Whose observation it is, and of what.
    pub(crate) observations: BTreeMap<RequestId, (DeviceId, Path)>,
    /// Asks that leave in this turn.
    pub(crate) to_ask: VecDeque<Pending>,
    /// Asks that got no answer; those who asked are told in the next turn.
    pub(crate) unanswered: VecDeque<(Pending, fleet::Answer)>,
    /// Where devices were reached last whose registration has ended by itself.
    pub(crate) last_addresses: BTreeMap<DeviceId, LastAddress>,
    /// Control devices whose guarded values are being read, and how many reads are open.
    pub(crate) guard_reads: BTreeMap<DeviceId, usize>,
    pub(crate) next_ask: u64,
    /// Orders of operators that are not answered yet.
    pub(crate) orders_open: usize,
    /// Of those, how many change their device, for devices that have one.
    pub(crate) orders_changing: BTreeMap<DeviceId, usize>,
    /// Attempts that begin when such orders are answered.
    pub(crate) delayed: BTreeMap<DeviceId, Dispatch>,
    /// The one timer of each device that has something due, in both directions.
    pub(crate) timers: BTreeSet<(Time, DeviceId)>,
    pub(crate) due: BTreeMap<DeviceId, Time>,
    pub(crate) intents: Intents,
    pub(crate) outbox: Outbox<Effect>,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) dirty: BTreeSet<DeviceId>,
    /// When devices last restarted without an order, in the knowledge of this process.
    pub(crate) restarts: BTreeMap<DeviceId, Time>,
    pub(crate) flush_at: Option<Time>,
    pub(crate) must_activate: bool,
    pub(crate) accepted: BTreeMap<String, model::OperationId>,
    pub(crate) statistics: Statistics,
}

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) device: DeviceId,
    pub(crate) ask: Ask,
    pub(crate) purpose: Purpose,
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The engine, to know the device.
    Identity,
    /// The loops, to compare the guarded values of a device that is not changed.
    Guards,
    /// The loops, for a sign of life before a silence counts.
    Sign,
    /// The procedure of an attempt.
    Procedure { operation: model::OperationId, attempt: u32 },
    /// An operator.
    Order(crate::AskToken),
}

/// Where a device was reached under a registration that has ended.
#[derive(Debug, Clone)]
pub(crate) struct LastAddress {
    pub(crate) peer: SocketAddr,
    pub(crate) root: String,
}

/// An image that pulling devices fetch.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Bytes,
    pub(crate) tag: [u8; 8],
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Registrations taken.
    pub registrations: u64,
    /// Registrations renewed.
    pub updates: u64,
    /// Restarts of devices that nobody ordered, those left out of which a device makes a habit.
    pub restarts: u64,
    /// Registrations refused as malformed or over a limit.
    pub registrations_refused: u64,
    /// Registrations of devices that never said who they are, ended to make room for known ones.
    pub strangers_ended: u64,
    /// Image blocks served.
    pub image_blocks: u64,
    /// Devices probed for a sign of life before their silence counted.
    pub silences_probed: u64,
    /// Requests sent to devices.
    pub requests: u64,
    /// Of those, without an answer.
    pub requests_unanswered: u64,
}

impl Engine {
    /// Builds the engine from what is durable. `seed` feeds message identifiers and tokens.
    #[must_use]
    pub fn new(config: Config, snapshot: Snapshot, seed: u64, now: Time) -> Self {
        let mut fleet = Fleet::new();
        let mut names = BTreeMap::new();
        for device in &snapshot.devices {
            names.insert(device.endpoint.clone(), device.id);
            fleet.insert(device.clone());
        }
        let mut engine = Self {
            endpoint: Endpoint::new(config.coap.clone(), seed),
            registry: Registry::new(config.registry, epoch(seed)),
            definitions: Definitions::core(),
            loops: Loops::new(config.operations.clone()),
            fleet,
            names,
            config,
            lives: BTreeMap::new(),
            strangers: BTreeSet::new(),
            running: BTreeMap::new(),
            asks: BTreeMap::new(),
            observations: BTreeMap::new(),
            to_ask: VecDeque::new(),
            unanswered: VecDeque::new(),
            last_addresses: BTreeMap::new(),
            guard_reads: BTreeMap::new(),
            next_ask: 1,
            orders_open: 0,
            orders_changing: BTreeMap::new(),
            delayed: BTreeMap::new(),
            timers: BTreeSet::new(),
            due: BTreeMap::new(),
            intents: Intents::new(),
            outbox: Outbox::default(),
            images: BTreeMap::new(),
            events: VecDeque::new(),
            dirty: BTreeSet::new(),
            restarts: BTreeMap::new(),
            flush_at: None,
            must_activate: true,
            accepted: snapshot.accepted.iter().cloned().collect(),
            statistics: Statistics::default(),
        };
        engine.restore_registrations(&snapshot.registrations, now);
        engine.loops =
            Loops::restore(engine.config.operations.clone(), &snapshot, &engine.fleet, now);
        engine.intents_of(&snapshot);
        engine.turn(now);
        engine
    }

    /// Takes a datagram from a device.
    pub fn handle_datagram(&mut self, peer: SocketAddr, datagram: &[u8], now: Time) {
        self.endpoint.handle_datagram(peer, datagram, now.since_origin());
        self.turn(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now.since_origin());
        self.expire_registrations(now);
        self.run_timers(now);
        if self.loops.poll_timeout().is_some_and(|at| at <= now) {
            self.must_activate = true;
        }
        self.turn(now);
    }

    /// The batch of that number is durable; what waited for it happens now.
    pub fn handle_committed(&mut self, batch: u64, now: Time) {
        self.outbox.commit(batch);
        self.turn(now);
    }

    /// Offers an image to pulling devices and for pushing. Its digest must have been checked.
    pub fn add_image(&mut self, sha256: Sha256, bytes: Bytes) {
        let mut tag = [0; 8];
        tag.copy_from_slice(&sha256.0[..8]);
        self.images.insert(fleet::firmware_path(&sha256), Image { bytes, tag });
    }

    /// The next records to commit; none while a batch is being committed.
    pub fn poll_batch(&mut self) -> Option<Batch> {
        self.outbox.take_batch()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [
            self.endpoint.poll_timeout().map(Time::from_since_origin),
            self.registry.poll_timeout().map(Time::from_since_origin),
            self.loops.poll_timeout(),
            self.timers.first().map(|(at, _)| *at),
            self.flush_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// All devices.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The device of that name.
    #[must_use]
    pub fn device_named(&self, endpoint: &EndpointName) -> Option<DeviceId> {
        self.names.get(endpoint).copied()
    }

    /// The three loops, to look at.
    #[must_use]
    pub const fn loops(&self) -> &Loops {
        &self.loops
    }

    /// Counters since the start.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Counters of the CoAP endpoint.
    #[must_use]
    pub const fn coap_statistics(&self) -> &coap::Statistics {
        self.endpoint.statistics()
    }

    /// Number of the batch after which everything ordered so far is durable (I15).
    #[must_use]
    pub const fn receipt(&self) -> u64 {
        self.outbox.receipt()
    }

    /// Turns until nothing changes any more. Each round consumes inputs that only effects of the
    /// round before can add to, so it ends.
    pub(crate) fn turn(&mut self, now: Time) {
        loop {
            let mut moved = false;
            while let Some(event) = self.endpoint.poll_event() {
                self.handle_coap(event, now);
                moved = true;
            }
            while let Some(pending) = self.to_ask.pop_front() {
                self.send_ask(pending, now);
                moved = true;
            }
            while let Some((pending, answer)) = self.unanswered.pop_front() {
                self.handle_answer(pending, &answer, now);
                moved = true;
            }
            while let Some(effect) = self.outbox.release() {
                self.perform(effect, now);
                moved = true;
            }
            if std::mem::take(&mut self.must_activate) {
                self.loops.activate(&self.fleet, now);
                moved = true;
            }
            while let Some(output) = self.loops.poll_output() {
                self.handle_output(output, now);
                moved = true;
            }
            if !moved {
                break;
            }
        }
        self.flush_devices(now);
    }

    /// Marks a device's row as changed; it becomes durable within `device_flush`.
    pub(crate) fn mark(&mut self, device: DeviceId, now: Time) {
        self.dirty.insert(device);
        self.flush_at.get_or_insert(now + self.config.device_flush);
    }

    /// Writes one device's row at once, before what depends on it.
    pub(crate) fn flush_device(&mut self, device: DeviceId) {
        self.dirty.remove(&device);
        if let Some(device) = self.fleet.device(device) {
            self.outbox.record(Record::Device(Box::new(device.clone())));
        }
    }

    /// Records every device whose row is older than what is known; for an orderly stop.
    pub fn flush(&mut self, now: Time) {
        self.flush_at = Some(now);
        self.flush_devices(now);
    }

    fn flush_devices(&mut self, now: Time) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush_at = None;
            for device in std::mem::take(&mut self.dirty) {
                self.flush_device(device);
            }
        }
    }
}

/// An epoch for registration names that differs between any two runs (I11): the seed does.
fn epoch(seed: u64) -> u32 {
    u32::try_from((seed ^ (seed >> 32)) & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
