//! Devices as they come and go: presence, identity, values, and the answers to asks.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use coap::{Event as CoapEvent, Failure, RequestId, Response};
use fleet::{Answer, Ask};
use lwm2m::{Path, RegisterRequest, RegistrationId, ResponseError, request};
use model::{DeviceId, OperationId, Presence, ResourcePath, Time};

use crate::machine::{LastAddress, Pending, Purpose};
use crate::{AskToken, Engine, Event};

/// What a probe for a sign of life reads: every device has it (LwM2M 1.1 core, E.4).
const DEVICE_OBJECT: Path = Path::instance(3, 0);

/// Asks kept for one sleeping device.
const PARKED_MAX: usize = 32;

/// A registered device as the driver reaches it. Rebuilt from the registration, never stored.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) registration: RegistrationId,
    pub(crate) peer: SocketAddr,
    pub(crate) root: String,
    pub(crate) objects: Vec<Path>,
    pub(crate) queue_mode: bool,
    /// A queue-mode device listens until then.
    pub(crate) awake_until: Option<Time>,
    /// When it is asked again who it is.
    pub(crate) identify_at: Option<Time>,
    /// How often it was asked in vain.
    pub(crate) identify_failures: u32,
    /// What is asked of it and not answered yet.
    pub(crate) open: BTreeSet<RequestId>,
    /// What is asked of it when it wakes.
    pub(crate) parked: VecDeque<Pending>,
    /// Its running observations.
    pub(crate) observed: BTreeSet<RequestId>,
    /// Whether this process has heard it since it has this registration.
    pub(crate) heard: bool,
    /// An operator ordered something that may make it restart.
    pub(crate) may_restart: bool,
}

impl Live {
    pub(crate) fn new(
        registration: RegistrationId,
        request: &RegisterRequest,
        peer: SocketAddr,
    ) -> Self {
        Self {
            registration,
            peer,
            root: request.links.root.clone(),
            objects: request.links.objects.iter().map(|object| object.path).collect(),
            queue_mode: request.queue_mode,
            awake_until: None,
            identify_at: None,
            identify_failures: 0,
            open: BTreeSet::new(),
            parked: VecDeque::new(),
            observed: BTreeSet::new(),
            heard: false,
            may_restart: false,
        }
    }
}

impl Engine {
    /// Takes an event of the CoAP endpoint.
    pub(crate) fn handle_coap(&mut self, event: CoapEvent, now: Time) {
        match event {
            CoapEvent::Request { exchange, peer, request, .. } => {
                self.serve(exchange, peer, &request, now);
            }
            CoapEvent::Response { id, response, round_trip, .. } => {
                if let Some(pending) = self.take_ask(id) {
                    self.responded(id, pending, &response, round_trip, now);
                }
            }
            CoapEvent::Notification { id, response, .. } => self.notified(id, &response, now),
            CoapEvent::Failed { id, failure, .. } => self.ask_failed(id, failure, now),
            CoapEvent::Progress { id, bytes, .. } => self.push_moved(id, bytes, now),
            CoapEvent::ObserverLost { .. } => {}
        }
    }

    /// Lets an ask leave in this turn, after the answers to devices: a device that was not told
    /// yet that it is registered resets requests or drops them.
    pub(crate) fn ask(&mut self, pending: Pending) {
        self.to_ask.push_back(pending);
    }

    /// Sends an ask; one that cannot be sent is answered so in the same turn, and one of an
    /// attempt that was stopped meanwhile is dropped.
    pub(crate) fn send_ask(&mut self, pending: Pending, now: Time) {
        if let Purpose::Procedure { operation, attempt } = pending.purpose
            && !self.is_running(pending.device, operation, attempt)
        {
            return;
        }
        let presence = self.fleet.device(pending.device).map(|device| device.presence);
        // An order must not wait for hours: what led to it would be long over (I2).
        let may_wait = !pending.ask.changes_device();
        if presence == Some(Presence::Asleep) && may_wait {
            return self.park(pending);
        }
        let reachable = presence == Some(Presence::Online);
        let request = self.lives.get(&pending.device).filter(|_| reachable).and_then(|live| {
            let request = self.request_of(&pending.ask)?;
            Some((live.peer, request::under_root(&live.root, request)))
        });
        let sent = request.and_then(|(peer, request)| {
            self.endpoint.request(peer, request, now.since_origin()).ok()
        });
        match sent {
            Some(id) => {
                self.statistics.requests += 1;
                if let Some(live) = self.lives.get_mut(&pending.device) {
                    live.open.insert(id);
                }
                if let Purpose::Procedure { .. } = pending.purpose {
                    let ask = &pending.ask;
                    self.step(pending.device, now, |procedure| procedure.handle_sent(ask, now));
                }
                self.asks.insert(id, pending);
            }
            None => {
                let answer = if reachable { Answer::Silence } else { Answer::Unsent };
                self.unanswered.push_back((pending, answer));
            }
        }
    }

    /// Keeps an ask that has not been sent until the device wakes (LwM2M 1.1 core, 6.5); one too
    /// many is not kept.
    fn park(&mut self, pending: Pending) {
        match self.lives.get_mut(&pending.device) {
            Some(live) if live.parked.len() < PARKED_MAX => live.parked.push_back(pending),
            _ => self.unanswered.push_back((pending, Answer::Unsent)),
        }
    }

    /// A queue-mode device does not listen any more: repeating requests would only miss it. Reads
    /// are asked again when it wakes. Whether it took an order is unknown, so that one is not.
    fn fall_asleep(&mut self, device: DeviceId, now: Time) {
        self.set_presence(device, Presence::Asleep, now);
        let Some(live) = self.lives.get_mut(&device) else { return };
        for id in std::mem::take(&mut live.open) {
            self.endpoint.cancel(id, now.since_origin());
            let Some(pending) = self.asks.remove(&id) else { continue };
            match pending.purpose {
                Purpose::Order(_) => self.unanswered.push_back((pending, Answer::Silence)),
                _ if pending.ask.changes_device() => {
                    self.unanswered.push_back((pending, Answer::Silence));
                }
                _ => self.park(pending),
            }
        }
    }

    fn request_of(&self, ask: &Ask) -> Option<coap::Request> {
        Some(match ask {
            // No Accept: every device answers in a format of its own, and all are understood.
            Ask::Read(path) => request::read(*path, None),
            Ask::Observe(path) => request::observe(*path, None),
            Ask::Write(path, lwm2m::Value::Opaque(bytes)) => {
                request::write_opaque(*path, bytes.clone())
            }
            // Plain text is the one format for a single value that every version knows.
            Ask::Write(path, value) => {
                request::write_value(*path, value.clone(), lwm2m::ContentFormat::TEXT).ok()?
            }
            Ask::Package(sha256) => {
                let image = self.images.get(&fleet::firmware_path(sha256))?;
                request::write_opaque(lwm2m::firmware::PACKAGE, image.bytes.clone())
            }
            Ask::Execute(path, arguments) => request::execute(*path, arguments),
        })
    }

    fn responded(
        &mut self,
        id: RequestId,
        pending: Pending,
        response: &Response,
        round_trip: Duration,
        now: Time,
    ) {
        // Only single exchanges measure the server and the network; a push measures the image.
        if !matches!(pending.ask, Ask::Package(_)) {
            self.loops.response_time(round_trip, now);
        }
        let answer = self.answer_of(&pending.ask, response);
        if pending.purpose == Purpose::Sign && !self.lives.contains_key(&pending.device) {
            return self.sign_of_unregistered(pending.device, &answer, now);
        }
        if matches!(pending.ask, Ask::Observe(_)) && goes_on(response) {
            self.observe(id, pending.device, pending.ask.path(), now);
        }
        self.contact(pending.device, now);
        self.handle_answer(pending, &answer, now);
    }

    /// Keeps a new observation in the place of the one that the device had of the same path.
    fn observe(&mut self, id: RequestId, device: DeviceId, path: Path, now: Time) {
        let Some(live) = self.lives.get_mut(&device) else { return };
        let observations = &self.observations;
        let is_same = |old: &RequestId| observations.get(old) == Some(&(device, path));
        if let Some(old) = live.observed.iter().copied().find(is_same) {
            live.observed.remove(&old);
            self.observations.remove(&old);
            self.endpoint.cancel(old, now.since_origin());
        }
        live.observed.insert(id);
        self.observations.insert(id, (device, path));
    }

    /// Forgets an observation that ended.
    fn unobserve(&mut self, id: RequestId) {
        if let Some((device, _)) = self.observations.remove(&id)
            && let Some(live) = self.lives.get_mut(&device)
        {
            live.observed.remove(&id);
        }
    }

    fn is_observed(&self, device: DeviceId, path: Path) -> bool {
        let ids = self.lives.get(&device).into_iter().flat_map(|live| &live.observed);
        ids.filter_map(|id| self.observations.get(id)).any(|(_, observed)| *observed == path)
    }

    fn answer_of(&self, ask: &Ask, response: &Response) -> Answer {
        let checked = match ask {
            Ask::Read(path) | Ask::Observe(path) => {
                lwm2m::decode_response(*path, response, &self.definitions).map(Answer::Values)
            }
            Ask::Write(..) | Ask::Package(_) | Ask::Execute(..) => {
                lwm2m::check_response(response).map(|()| Answer::Done)
            }
        };
        checked.unwrap_or_else(|error| match error {
            ResponseError::Refused { code, .. } => Answer::Refused(code),
            error => Answer::Garbled(error.to_string()),
        })
    }

    fn notified(&mut self, id: RequestId, response: &Response, now: Time) {
        let Some((device, path)) = self.observations.get(&id).copied() else { return };
        let answer = self.answer_of(&Ask::Observe(path), response);
        if !goes_on(response) {
            self.unobserve(id);
        }
        self.contact(device, now);
        self.absorb(device, &answer, now);
        self.step(device, now, |procedure| procedure.handle_notification(path, &answer, now));
    }

    fn ask_failed(&mut self, id: RequestId, failure: Failure, now: Time) {
        let Some(pending) = self.take_ask(id) else { return self.unobserve(id) };
        self.statistics.requests_unanswered += 1;
        let seen = self.fleet.device(pending.device).map(|device| device.last_seen);
        let heard = seen.is_some_and(|seen| now.since(seen) < self.transmit_span());
        if failure == Failure::Timeout && !heard {
            // It does not listen: offline until it is heard again.
            self.set_presence(pending.device, Presence::Offline, now);
        }
        let answer = match failure {
            Failure::Timeout | Failure::NoResponse | Failure::Cancelled | Failure::Reset => {
                Answer::Silence
            }
            Failure::Block(_) | Failure::TooLarge | Failure::BadOption(_) => {
                Answer::Garbled(failure.to_string())
            }
        };
        self.handle_answer(pending, &answer, now);
    }

    /// Time over which a request is repeated (MAX_TRANSMIT_SPAN, RFC 7252 section 4.8.2). Who was
    /// heard within it is there, whatever became of one request.
    fn transmit_span(&self) -> Duration {
        let coap = &self.config.coap;
        coap.ack_timeout * ((1 << coap.retransmissions_max.min(20)) - 1)
    }

    /// Brings an answer to who asked.
    pub(crate) fn handle_answer(&mut self, pending: Pending, answer: &Answer, now: Time) {
        self.absorb(pending.device, answer, now);
        match pending.purpose {
            Purpose::Identity => self.identity_answered(&pending, answer, now),
            Purpose::Guards => self.guard_answered(pending.device, now),
            Purpose::Sign => self.sign_answered(pending.device, answer, now),
            // To who gave an order it is all the same why there is no answer.
            Purpose::Order(token) if *answer == Answer::Unsent => {
                self.order_answered(token, &pending, Answer::Silence, now);
            }
            Purpose::Order(token) => self.order_answered(token, &pending, answer.clone(), now),
            Purpose::Procedure { operation, attempt } => {
                let same = self
                    .running
                    .get(&pending.device)
                    .is_some_and(|run| run.operation == operation && run.attempt == attempt);
                if same {
                    let ask = &pending.ask;
                    self.step(pending.device, now, |procedure| {
                        procedure.handle_answer(ask, answer, now);
                    });
                }
            }
        }
    }

    /// Takes values into what is known of a device.
    pub(crate) fn absorb(&mut self, device: DeviceId, answer: &Answer, now: Time) {
        let Answer::Values(leaves) = answer else { return };
        let Some(known) = self.fleet.device_mut(device) else { return };
        let changed = fleet::absorb(known, leaves, now);
        if known.is_identified() {
            self.strangers.remove(&device);
        }
        self.mark(device, now);
        if changed {
            self.device_changed(device, now);
        } else if fleet::renews_required(leaves)
            && self.loops.values_renewed(device, &self.fleet, now)
        {
            self.must_activate = true;
        }
    }

    /// Asks a device who it is, and to say when what requirements depend on changes.
    pub(crate) fn identify(&mut self, device: DeviceId) {
        let Some(live) = self.lives.get_mut(&device) else { return };
        live.identify_at = None;
        let mut asks: Vec<Ask> = fleet::identity_reads(&live.objects).map(Ask::Read).collect();
        let standing: Vec<Path> = fleet::standing_observations(&live.objects).collect();
        let missing = standing.into_iter().filter(|path| !self.is_observed(device, *path));
        asks.extend(missing.map(Ask::Observe));
        for ask in asks {
            self.ask(Pending { device, ask, purpose: Purpose::Identity });
        }
    }

    /// Asks anew after a sign of life when nothing tells by itself what requirements depend on:
    /// the observations were lost with a restart or a move, or the device grants none; or when a
    /// value that did not change since is too old for an operation.
    pub(crate) fn refresh(&mut self, device: DeviceId) {
        let Some(live) = self.lives.get(&device) else { return };
        let told =
            fleet::standing_observations(&live.objects).any(|path| self.is_observed(device, path));
        let known = self.fleet.device(device).is_some_and(model::Device::is_identified);
        let may_ask = live.open.is_empty();
        if may_ask && (!(known && told) || self.loops.wants_values(device)) {
            self.identify(device);
        }
    }

    fn identity_answered(&mut self, pending: &Pending, answer: &Answer, now: Time) {
        let Ask::Read(path) = pending.ask else { return };
        let device = pending.device;
        if let Answer::Refused(_) = answer {
            // Some devices know single resources only.
            for resource in fleet::identity_resources(path) {
                let ask = Ask::Read(resource);
                self.ask(Pending { device, ask, purpose: Purpose::Identity });
            }
        }
        let unknown = self.fleet.device(device).is_some_and(|device| !device.is_identified());
        if unknown && matches!(answer, Answer::Silence | Answer::Unsent | Answer::Garbled(_)) {
            self.identify_later(device, now);
        }
    }

    fn identify_later(&mut self, device: DeviceId, now: Time) {
        let Some(live) = self.lives.get_mut(&device) else { return };
        if live.identify_at.is_none() {
            let doubled = self.config.identity_retry * (1 << live.identify_failures.min(16));
            live.identify_at = Some(now + doubled.min(self.config.identity_retry_max));
            live.identify_failures = live.identify_failures.saturating_add(1);
            self.schedule(device);
        }
    }

    /// A device was heard.
    pub(crate) fn contact(&mut self, device: DeviceId, now: Time) {
        let Some(known) = self.fleet.device_mut(device) else { return };
        let gap = now.since(known.last_seen);
        known.last_seen = now;
        let was_away = known.presence != Presence::Online;
        let live = self.lives.get_mut(&device);
        // Before, the server was away and not the device, or it has just registered.
        let heard = live.is_some_and(|live| std::mem::replace(&mut live.heard, true));
        self.keep_awake(device, now);
        let is_habit = self.loops.contact(device, heard.then_some(gap), &self.fleet, now);
        if is_habit
            && let Some(known) = self.fleet.device_mut(device)
            && known.habit.learn(gap.as_secs())
        {
            self.mark(device, now);
        }
        if was_away {
            self.set_presence(device, Presence::Online, now);
            let parked = self.lives.get_mut(&device).map(|live| std::mem::take(&mut live.parked));
            self.to_ask.extend(parked.into_iter().flatten());
            self.step(device, now, |procedure| procedure.handle_contact(now));
        }
    }

    /// Sets how a device can be reached and tells the loops.
    pub(crate) fn set_presence(&mut self, device: DeviceId, presence: Presence, now: Time) {
        let Some(known) = self.fleet.device_mut(device) else { return };
        if known.presence == presence {
            return;
        }
        known.presence = presence;
        self.mark(device, now);
        self.device_changed(device, now);
    }

    pub(crate) fn device_changed(&mut self, device: DeviceId, now: Time) {
        self.loops.device_changed(device, &self.fleet, now);
        self.must_activate = true;
        self.events.push_back(Event::DeviceChanged { device });
    }

    pub(crate) fn keep_awake(&mut self, device: DeviceId, now: Time) {
        let until = now + self.config.queue_awake;
        if let Some(live) = self.lives.get_mut(&device)
            && live.queue_mode
        {
            live.awake_until = Some(until);
            self.schedule(device);
        }
    }

    fn order_answered(&mut self, token: AskToken, order: &Pending, answer: Answer, now: Time) {
        self.orders_open = self.orders_open.saturating_sub(1);
        self.events.push_back(Event::Answered { token, answer });
        if let Some(open) = self.orders_changing.get_mut(&order.device)
            && order.ask.changes_device()
        {
            *open -= 1;
            if *open == 0 {
                self.orders_changing.remove(&order.device);
                if let Some(dispatch) = self.delayed.remove(&order.device) {
                    self.begin(dispatch, now);
                }
            }
        }
    }

    /// A device is at another address: what was asked at the old one brings no answer, and its
    /// observations are gone.
    pub(crate) fn leave_address(&mut self, device: DeviceId, now: Time) {
        let Some(live) = self.lives.get_mut(&device) else { return };
        let (open, observed) = (std::mem::take(&mut live.open), std::mem::take(&mut live.observed));
        for id in observed {
            self.observations.remove(&id);
            self.endpoint.cancel(id, now.since_origin());
        }
        for id in open {
            self.endpoint.cancel(id, now.since_origin());
            let pending = self.asks.remove(&id);
            self.unanswered.extend(pending.map(|pending| (pending, Answer::Silence)));
        }
    }

    /// Takes back what an attempt that is over still has under way to change its device.
    pub(crate) fn take_back(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        attempt: u32,
        now: Time,
    ) {
        let Some(live) = self.lives.get_mut(&device) else { return };
        let purpose = Purpose::Procedure { operation, attempt };
        live.parked.retain(|pending| pending.purpose != purpose);
        let asks = &self.asks;
        let is_vain = |id: &RequestId| {
            asks.get(id)
                .is_some_and(|pending| pending.purpose == purpose && pending.ask.changes_device())
        };
        let vain: Vec<RequestId> = live.open.iter().copied().filter(is_vain).collect();
        for id in vain {
            self.take_ask(id);
            self.endpoint.cancel(id, now.since_origin());
        }
    }

    /// Forgets how a device was reached; what was asked of it there is no longer answered.
    pub(crate) fn drop_live(&mut self, device: DeviceId, now: Time) {
        let Some(live) = self.lives.remove(&device) else { return };
        self.strangers.remove(&device);
        for id in live.observed {
            self.observations.remove(&id);
            self.endpoint.cancel(id, now.since_origin());
        }
        let mut lost: Vec<Pending> = live.parked.into();
        for id in live.open {
            self.endpoint.cancel(id, now.since_origin());
            lost.extend(self.asks.remove(&id));
        }
        for pending in lost {
            match pending.purpose {
                Purpose::Order(token) => {
                    self.order_answered(token, &pending, Answer::Silence, now);
                }
                Purpose::Guards => self.guard_answered(device, now),
                Purpose::Sign => self.loops.silent_probed(device, false, &self.fleet, now),
                Purpose::Identity | Purpose::Procedure { .. } => {}
            }
        }
    }

    /// Asks a device for a sign of life before its silence counts. One whose registration has
    /// expired is asked where it was last, unless somebody else is there by now.
    pub(crate) fn probe_silent(&mut self, device: DeviceId, now: Time) {
        let live = self.lives.get(&device).map(|live| (live.peer, live.root.clone()));
        let last = || {
            let LastAddress { peer, root } = self.last_addresses.get(&device)?;
            self.registry.by_peer(*peer).is_none().then(|| (*peer, root.clone()))
        };
        let request = live.or_else(last).and_then(|(peer, root)| {
            let request = request::under_root(&root, request::read(DEVICE_OBJECT, None));
            self.endpoint.request(peer, request, now.since_origin()).ok()
        });
        let Some(id) = request else {
            return self.loops.silent_probed(device, false, &self.fleet, now);
        };
        self.statistics.requests += 1;
        self.statistics.silences_probed += 1;
        if let Some(live) = self.lives.get_mut(&device) {
            live.open.insert(id);
        }
        let ask = Ask::Read(DEVICE_OBJECT);
        self.asks.insert(id, Pending { device, ask, purpose: Purpose::Sign });
    }

    /// A registered device answered its probe, or did not.
    fn sign_answered(&mut self, device: DeviceId, answer: &Answer, now: Time) {
        let answered = !matches!(answer, Answer::Silence | Answer::Unsent);
        self.loops.silent_probed(device, answered, &self.fleet, now);
        self.must_activate = true;
    }

    /// Somebody answered at the address of a device whose registration has expired. Addresses are
    /// given to others in time, so that only an answer that tells the device's own make and revision
    /// is its sign of life (I12); values of it wait for its next registration.
    fn sign_of_unregistered(&mut self, device: DeviceId, answer: &Answer, now: Time) {
        let leaves = match answer {
            Answer::Values(leaves) => leaves.as_slice(),
            _ => &[],
        };
        let is_it = self.fleet.device(device).is_some_and(|known| fleet::is_same(known, leaves));
        if is_it && let Some(known) = self.fleet.device_mut(device) {
            known.last_seen = now;
            self.loops.contact(device, None, &self.fleet, now);
        }
        self.loops.silent_probed(device, is_it, &self.fleet, now);
        self.must_activate = true;
    }

    /// Reads the guarded values of a device that is compared.
    pub(crate) fn read_guards(&mut self, device: DeviceId, guards: &[ResourcePath], now: Time) {
        let mut paths: Vec<Path> =
            guards.iter().filter_map(|guard| guard.as_str().parse().ok()).collect();
        paths.sort_unstable();
        paths.dedup();
        if paths.is_empty() {
            return self.loops.guards_read(device, &self.fleet, now);
        }
        self.guard_reads.insert(device, paths.len());
        for path in paths {
            self.ask(Pending { device, ask: Ask::Read(path), purpose: Purpose::Guards });
        }
    }

    /// One of those reads was answered in some way.
    fn guard_answered(&mut self, device: DeviceId, now: Time) {
        let Some(open) = self.guard_reads.get_mut(&device) else { return };
        *open = open.saturating_sub(1);
        if *open == 0 {
            self.guard_reads.remove(&device);
            self.loops.guards_read(device, &self.fleet, now);
        }
    }

    fn take_ask(&mut self, id: RequestId) -> Option<Pending> {
        let pending = self.asks.remove(&id)?;
        if let Some(live) = self.lives.get_mut(&pending.device) {
            live.open.remove(&id);
        }
        Some(pending)
    }

    /// Does what is due for devices.
    pub(crate) fn run_timers(&mut self, now: Time) {
        while let Some((at, device)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            self.due.remove(&device);
            self.run_timer(device, now);
            self.schedule(device);
        }
    }

    fn run_timer(&mut self, device: DeviceId, now: Time) {
        if let Some(live) = self.lives.get_mut(&device) {
            if live.awake_until.is_some_and(|at| at <= now) {
                live.awake_until = None;
                self.fall_asleep(device, now);
            } else if live.identify_at.is_some_and(|at| at <= now) {
                self.identify(device);
            }
        }
        let due = self
            .running
            .get(&device)
            .and_then(|run| run.procedure.poll_timeout())
            .is_some_and(|at| at <= now);
        if due {
            self.step(device, now, |procedure| procedure.handle_timeout(now));
        }
    }

    /// Sets the one timer of a device to the earliest thing that is due for it.
    pub(crate) fn schedule(&mut self, device: DeviceId) {
        let live = self.lives.get(&device);
        let next = [
            live.and_then(|live| live.awake_until),
            live.and_then(|live| live.identify_at),
            self.running.get(&device).and_then(|run| run.procedure.poll_timeout()),
        ]
        .into_iter()
        .flatten()
        .min();
        if let Some(old) = self.due.remove(&device) {
            self.timers.remove(&(old, device));
        }
        if let Some(at) = next {
            self.due.insert(device, at);
            self.timers.insert((at, device));
        }
    }
}

/// Whether an observation lives after this response (RFC 7641 section 3.2).
fn goes_on(response: &Response) -> bool {
    response.code.is_success() && response.options.observe().is_some()
}
