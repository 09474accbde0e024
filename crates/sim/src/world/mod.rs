//! The whole system in virtual time: the production engine and store, simulated devices and a bad
//! network, with the server's process dying now and then, checked after every step.
//!
//! A run is decided by its [`Plan`], and a drawn plan by its seed, so every failure repeats with
//! the command that [`Violation`] prints. A crash drops the engine with all it has not committed;
//! a restart builds it from what the store loads, as the real process does.

mod ledger;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::{Batch, Engine};
use model::{
    AttemptState, Decision, EndpointName, Grant, Manifest, OperationId, OperationState, Origin,
    Presence, Rate, ReleaseId, Scope, Sha256, Time,
};
use store::{Faulty, Injection, Knowledge, SqliteStore, StoreError};

pub use self::plan::{Crash, Order, Plan, ServerDelay};

use self::ledger::{Broken, Ledger};
use crate::device::{Action, SimulatedDevice, Surroundings};
use crate::network::{Direction, Host, Network, Traffic};
use crate::random::{Random, mix};

/// What a run came to.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Its seed.
    pub seed: u64,
    /// Steps taken.
    pub steps: u64,
    /// Virtual time that passed.
    pub time: Duration,
    /// Devices.
    pub devices: usize,
    /// How often the server's process died.
    pub crashes: u64,
    /// Batches that became durable.
    pub commits: u64,
    /// Installations the devices carried out.
    pub installations: u64,
    /// How each operation ended.
    pub operations: Vec<OperationReport>,
    /// All elements in the order in which they were granted.
    pub elements: Vec<ElementReport>,
    /// Most devices that were being changed at the same time, over all operations.
    pub changed_at_once_max: usize,
    /// The version each device has in its flash at the end, by endpoint name.
    pub versions: BTreeMap<String, String>,
    /// All decisions, by operation and number.
    pub decisions: Vec<Decision>,
    /// What the network carried.
    pub traffic: Traffic,
}

/// What became of an operation.
#[derive(Debug, Clone)]
pub struct OperationReport {
    /// Its number.
    pub id: OperationId,
    /// How it ended.
    pub state: OperationState,
    /// Why it existed.
    pub origin: Origin,
    /// How the attempt on each of its devices ended, by endpoint name.
    pub attempts: BTreeMap<String, AttemptState>,
}

/// One iteration of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementReport {
    /// The operation.
    pub operation: OperationId,
    /// Its number, dense from 1.
    pub element: u64,
    /// When it was granted, from the start of the run.
    pub at: Duration,
    /// Share of the targets processed at that time.
    pub progress: Rate,
    /// The devices in it, by endpoint name.
    pub devices: Vec<String>,
    /// Number of the decision that gave it its size.
    pub decision: u64,
}

/// A run that broke an invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{invariant} broken after {steps} steps and {time:?}: {what}\nreplay: bellwether sim run --seed {seed}"
)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// The invariant, e.g. `I2`; `end` for what must hold when all is over.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// Steps taken until then.
    pub steps: u64,
    /// Virtual time since the start.
    pub time: Duration,
    /// What happened last, oldest first.
    pub story: Vec<String>,
}

/// Runs the drawn plan of a seed to its end.
///
/// # Errors
/// [`Violation`] when an invariant breaks, or the operations do not end in time.
pub fn run(seed: u64) -> Result<RunReport, Violation> {
    run_plan(Plan::drawn(seed))
}

/// Runs a plan to its end.
///
/// # Errors
/// As [`run`].
pub fn run_plan(plan: Plan) -> Result<RunReport, Violation> {
    let mut world = World::new(plan);
    match world.live() {
        Ok(()) => Ok(world.report()),
        Err(Broken { invariant, what }) => Err(Violation {
            seed: world.plan.seed,
            invariant,
            what,
            steps: world.steps,
            time: world.age(),
            story: world.story.into(),
        }),
    }
}

type Checked = Result<(), Broken>;

struct World {
    plan: Plan,
    now: Duration,
    steps: u64,
    random: Random,
    network: Network,
    devices: Vec<Node>,
    /// When each device has something to do, the next one first.
    timers: BTreeSet<(Duration, usize)>,
    next_port: u16,
    store: Faulty<SqliteStore>,
    commits: u64,
    crashes: u64,
    server: Server,
    images: Vec<(Sha256, bytes::Bytes)>,
    orders: VecDeque<(Duration, Order)>,
    /// Orders given whose receipt is not durable yet.
    unconfirmed: Vec<(u64, Order)>,
    power_cuts: VecDeque<(Duration, usize, Duration)>,
    /// What the server adds to its response time, and how many changes of it have begun.
    server_delay: Duration,
    delays_begun: usize,
    elements: Vec<ElementReport>,
    ledger: Ledger,
    moved_at: Duration,
    story: VecDeque<String>,
}

/// The server's process.
enum Server {
    Up(Box<Process>),
    Down { until: Duration },
}

struct Process {
    engine: Engine,
    /// The batch being committed and when that is done.
    committing: Option<(Duration, Batch)>,
}

struct Node {
    device: SimulatedDevice,
    address: Option<SocketAddr>,
    name: EndpointName,
    /// Its entry in the timers.
    due: Option<Duration>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut network = Network::new(plan.to_server, plan.to_device, plan.seed);
        network.open(SERVER, Host::Server);
        let mut surroundings = Surroundings::new(SERVER, START, UNIX_S);
        surroundings.image_bytes_max = 1 << 20;
        let surroundings = Arc::new(surroundings);
        let node = |profile: &crate::device::Profile| Node {
            name: EndpointName::new(&profile.endpoint)
                .expect("invariant: scenarios give legal names"),
            device: SimulatedDevice::new(profile.clone(), Arc::clone(&surroundings), None),
            address: None,
            due: None,
        };
        let devices = plan.profiles.iter().map(node).collect();
        let store = SqliteStore::in_memory().expect("invariant: memory is a place to keep tables");
        let mut store = Faulty::new(store);
        for crash in &plan.crashes {
            match crash {
                Crash::BeforeCommit(nth) => store.plan(*nth, Injection::CrashBefore),
                Crash::AfterCommit(nth) => store.plan(*nth, Injection::CrashAfter),
                Crash::AtStep(_) => {}
            }
        }
        let orders = plan.orders.iter().map(|(at, order)| (START + *at, order.clone())).collect();
        let cuts = plan.power_cuts.iter();
        let power_cuts = cuts.map(|(at, device, time)| (START + *at, *device, *time)).collect();
        Self {
            random: Random::of(plan.seed, "world"),
            server_delay: plan.server_delay,
            delays_begun: 0,
            elements: Vec::new(),
            plan,
            now: START,
            steps: 0,
            network,
            devices,
            timers: BTreeSet::new(),
            next_port: 10_000,
            store,
            commits: 0,
            crashes: 0,
            server: Server::Down { until: START },
            images: Vec::new(),
            orders,
            unconfirmed: Vec::new(),
            power_cuts,
            ledger: Ledger::default(),
            moved_at: START,
            story: VecDeque::new(),
        }
    }

    /// Steps until everything is over.
    fn live(&mut self) -> Checked {
        self.delay_answers(self.server_delay);
        for at in 0..self.devices.len() {
            self.drain_device(at)?;
        }
        loop {
            self.steps += 1;
            if self.plan.crashes.contains(&Crash::AtStep(self.steps)) {
                self.crash();
            }
            let Some(next) = self.next_event() else { break };
            self.now = self.now.max(next);
            if self.now > START + self.plan.time_max {
                break;
            }
            self.step()?;
            if self.is_over() {
                break;
            }
        }
        self.check_end()
    }

    fn next_event(&self) -> Option<Duration> {
        let server = match &self.server {
            Server::Down { until } => Some(*until),
            Server::Up(process) => {
                let timer = process.engine.poll_timeout().map(Time::since_origin);
                let commit = process.committing.as_ref().map(|(at, _)| *at);
                timer.into_iter().chain(commit).min()
            }
        };
        let devices = self.timers.first().map(|(at, _)| *at);
        let order = self.orders.front().map(|(at, _)| *at);
        let cut = self.power_cuts.front().map(|(at, _, _)| *at);
        [server, devices, order, cut, self.network.poll_timeout()].into_iter().flatten().min()
    }

    /// Lets one thing happen that is due.
    fn step(&mut self) -> Checked {
        let now = self.now;
        if let Some(delivery) = self.network.poll_delivery(now) {
            return match delivery.host {
                Host::Device(at) => {
                    self.devices[at].device.handle_datagram(delivery.from, &delivery.datagram, now);
                    self.drain_device(at)
                }
                Host::Server => {
                    if let Server::Up(process) = &mut self.server {
                        let now = Time::from_since_origin(now);
                        process.engine.handle_datagram(delivery.from, &delivery.datagram, now);
                    }
                    self.drain_server()
                }
            };
        }
        if let Some((_, at)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.devices[at].device.handle_timeout(now);
            return self.drain_device(at);
        }
        if self.power_cuts.front().is_some_and(|(at, _, _)| *at <= now)
            && let Some((_, at, time)) = self.power_cuts.pop_front()
        {
            self.devices[at].device.cut_power(time, now);
            return self.drain_device(at);
        }
        self.step_server()
    }

    fn step_server(&mut self) -> Checked {
        let now = self.now;
        match &mut self.server {
            Server::Down { until } if *until <= now => self.start_server(),
            Server::Down { .. } => {
                // An operator whose server does not answer tries again later.
                self.put_orders_off();
                Ok(())
            }
            Server::Up(process) => {
                if process.committing.as_ref().is_some_and(|(at, _)| *at <= now)
                    && let Some((_, batch)) = process.committing.take()
                {
                    self.commit(batch)?;
                } else if self.orders.front().is_some_and(|(at, _)| *at <= now) {
                    if let Some((_, order)) = self.orders.pop_front() {
                        self.order(order);
                    }
                } else {
                    process.engine.handle_timeout(Time::from_since_origin(now));
                }
                self.drain_server()
            }
        }
    }

    fn put_orders_off(&mut self) {
        let now = self.now;
        for (at, _) in &mut self.orders {
            *at = (*at).max(now + Duration::from_secs(1));
        }
    }

    /// Lets what the engine has to say leave, once what it depends on is durable.
    fn drain_server(&mut self) -> Checked {
        let now = self.now;
        let commit_time = self.random.span(Duration::ZERO, self.plan.commit_time);
        let Server::Up(process) = &mut self.server else { return Ok(()) };
        while let Some(transmit) = process.engine.poll_transmit() {
            self.network.send(SERVER, transmit.peer, transmit.datagram, now);
        }
        while process.engine.poll_event().is_some() {}
        if process.committing.is_none()
            && let Some(batch) = process.engine.poll_batch()
        {
            process.committing = Some((now + commit_time, batch));
        }
        if process.committing.is_none() {
            // Everything is durable, so what is in memory must equal the recount.
            for id in self.ledger.operations.keys() {
                if let Some(counts) = process.engine.loops().counts(*id) {
                    self.ledger.check_counts(*id, &counts)?;
                }
            }
        }
        Ok(())
    }

    fn drain_device(&mut self, at: usize) -> Checked {
        let now = self.now;
        let node = &mut self.devices[at];
        loop {
            while let Some(transmit) = node.device.poll_transmit() {
                let Some(from) = node.address else { continue };
                self.network.send(from, transmit.peer, transmit.datagram, now);
            }
            match node.device.poll_action() {
                None => break,
                Some(Action::CloseSocket) => {
                    if let Some(address) = node.address.take() {
                        self.network.close(address);
                    }
                }
                Some(Action::OpenSocket) => {
                    // A port is not taken again soon, as with real ephemeral ports.
                    self.next_port = self.next_port.checked_add(1).unwrap_or(10_000);
                    let address = SocketAddr::new(DEVICES, self.next_port);
                    node.address = Some(address);
                    self.network.open(address, Host::Device(at));
                    node.device.handle_socket(address, now);
                }
            }
        }
        let due = node.device.poll_timeout();
        if due != node.due {
            if let Some(before) = std::mem::replace(&mut node.due, due) {
                self.timers.remove(&(before, at));
            }
            self.timers.extend(due.map(|due| (due, at)));
        }
        while let Some(entry) = self.devices[at].device.poll_log() {
            let line = format!("{} {:?}", entry.endpoint, entry.event);
            let checked = self.ledger.testify(&entry);
            self.tell(line);
            checked?;
        }
        Ok(())
    }

    /// Makes a batch durable, unless the process dies at it.
    fn commit(&mut self, batch: Batch) -> Checked {
        let nth = self.store.commits() + 1;
        match self.store.commit(&batch.records) {
            Ok(()) => {
                self.became_durable(&batch)?;
                if let Server::Up(process) = &mut self.server {
                    process.engine.handle_committed(batch.id, Time::from_since_origin(self.now));
                }
                self.confirm_orders(batch.id)
            }
            Err(StoreError::Crashed) => {
                // Of two plans for the same commit the later one is in force.
                let at_it = self.plan.crashes.iter().rev().find(|crash| {
                    matches!(crash, Crash::BeforeCommit(at) | Crash::AfterCommit(at) if *at == nth)
                });
                if at_it == Some(&Crash::AfterCommit(nth)) {
                    self.became_durable(&batch)?;
                }
                self.crash();
                Ok(())
            }
            Err(error) => Err(Broken { invariant: "I3", what: format!("refused: {error}") }),
        }
    }

    fn became_durable(&mut self, batch: &Batch) -> Checked {
        self.commits += 1;
        for record in &batch.records {
            match record {
                model::Record::Decision(decision) => {
                    self.moved_at = self.now;
                    self.tell(format!("{} #{} {decision}", decision.operation, decision.seq));
                }
                model::Record::Assignment(assignment) => {
                    self.moved_at = self.now;
                    self.tell(format!(
                        "{} {} element {} try {} {:?}",
                        assignment.operation,
                        assignment.device,
                        assignment.element,
                        assignment.attempt,
                        assignment.state
                    ));
                }
                model::Record::Intent(intent) => self.tell(format!(
                    "{} {} try {} intends {:?}",
                    intent.operation, intent.device, intent.attempt, intent.step
                )),
                _ => {}
            }
        }
        self.ledger.commit(&batch.records)?;
        for record in &batch.records {
            if let model::Record::Grant(grant) = record {
                self.note_element(grant);
                self.shape_response_time(grant);
            }
        }
        Ok(())
    }

    fn note_element(&mut self, grant: &Grant) {
        let names = grant.devices.iter().map(|id| self.ledger.name(*id).to_owned());
        let decision = self.ledger.decisions.get(&grant.operation).and_then(|all| all.last());
        self.elements.push(ElementReport {
            operation: grant.operation,
            element: grant.element,
            at: self.age(),
            progress: self.ledger.progress(grant.operation),
            devices: names.collect(),
            decision: decision.map_or(0, |decision| decision.seq),
        });
    }

    /// The process dies: everything that is not durable is gone.
    fn crash(&mut self) {
        if matches!(self.server, Server::Down { .. }) {
            return;
        }
        self.crashes += 1;
        self.tell("the server dies".to_owned());
        self.network.close(SERVER);
        let time = self.random.span(Duration::from_millis(100), Duration::from_secs(20));
        self.server = Server::Down { until: self.now + time };
        // Whoever ordered got no answer and orders again; what is durable must not be doubled.
        for (_, order) in std::mem::take(&mut self.unconfirmed).into_iter().rev() {
            self.orders.push_front((self.now, order));
        }
    }

    fn start_server(&mut self) -> Checked {
        self.tell("the server starts".to_owned());
        self.store.restart();
        let snapshot = self
            .store
            .load()
            .map_err(|error| Broken { invariant: "I15", what: error.to_string() })?;
        self.ledger.check_snapshot(&snapshot)?;
        let config = engine::Config {
            public_address: SERVER,
            operations: self.plan.operations.clone(),
            queue_awake: self.plan.queue_awake,
            ..engine::Config::default()
        };
        let seed = mix(self.plan.seed.wrapping_add(self.crashes));
        let mut engine = Engine::new(config, snapshot, seed, Time::from_since_origin(self.now));
        for (sha256, image) in &self.images {
            engine.add_image(*sha256, image.clone());
        }
        self.network.open(SERVER, Host::Server);
        self.server = Server::Up(Box::new(Process { engine, committing: None }));
        self.drain_server()
    }

    /// Gives an order. One that was refused is not repeated: the refusal says why.
    fn order(&mut self, order: Order) {
        self.tell(format!("an operator orders {}", name(&order)));
        let now = Time::from_since_origin(self.now);
        let Server::Up(process) = &mut self.server else { return };
        let engine = &mut process.engine;
        let open: Vec<OperationId> = engine
            .loops()
            .operations()
            .filter(|operation| !operation.state.is_final())
            .map(|operation| operation.id)
            .collect();
        let accepted = match &order {
            Order::Publish { manifest, image, start } => {
                let manifest = Manifest::from_toml(manifest)
                    .expect("invariant: plans hold manifests that are good");
                if let (Some(artifact), Some(image)) = (manifest.artifact.first(), image) {
                    self.images.push((artifact.sha256, image.clone()));
                    engine.add_image(artifact.sha256, image.clone());
                }
                let policy = start.as_deref().cloned();
                engine.publish(manifest, "simulator", policy, None, self.plan.seed, now).is_ok()
            }
            Order::Open { release, devices, policy } => {
                let devices = devices
                    .iter()
                    .filter_map(|at| engine.device_named(&self.devices[*at].name))
                    .collect();
                let request = operations::OpenRequest {
                    release: ReleaseId(*release),
                    scope: Scope::Picked { devices },
                    policy: policy.as_ref().clone(),
                    origin: Origin::Manual { by: "simulator".to_owned() },
                    agreement: None,
                };
                // The key makes a repeated order the same one (I15).
                let key = format!("open-{release}");
                engine.open_operation(request, Some(&key), self.plan.seed, now).is_ok()
            }
            Order::Pause => each(&open, |id| engine.pause(id, "simulator", "drawn", now).is_ok()),
            Order::Resume => each(&open, |id| engine.resume(id, "simulator", "drawn", now).is_ok()),
            Order::Abort => each(&open, |id| engine.abort(id, "simulator", "drawn", now).is_ok()),
            Order::Hold(at) => engine
                .device_named(&self.devices[*at].name)
                .is_some_and(|device| engine.hold(device, "drawn", now).is_ok()),
            Order::Release(at) => engine
                .device_named(&self.devices[*at].name)
                .is_some_and(|device| engine.release_hold(device, now).is_ok()),
        };
        if accepted {
            self.unconfirmed.push((engine.receipt(), order));
        }
    }

    /// I15: what is answered as accepted is durable.
    fn confirm_orders(&mut self, batch: u64) -> Checked {
        let (confirmed, left) = std::mem::take(&mut self.unconfirmed)
            .into_iter()
            .partition::<Vec<_>, _>(|(receipt, _)| *receipt <= batch);
        self.unconfirmed = left;
        for (_, order) in confirmed {
            let Order::Publish { manifest, .. } = &order else { continue };
            let durable = self.ledger.releases.values().any(|release| {
                Manifest::from_toml(manifest).is_ok_and(|manifest| manifest == *release.manifest)
            });
            if !durable {
                let what = format!("{} was accepted and is not durable", name(&order));
                return Err(Broken { invariant: "I15", what });
            }
        }
        Ok(())
    }

    /// Moves the server's response time when the first operation is granted an element.
    fn shape_response_time(&mut self, granted: &Grant) {
        if granted.operation != OperationId(1) {
            return;
        }
        let end = self.ledger.progress_after(granted);
        let mut spike = None;
        while let Some(change) = self.plan.server_delays.get(self.delays_begun) {
            if change.from >= end {
                break;
            }
            self.delays_begun += 1;
            if change.one_element {
                spike = Some(change.delay);
            } else {
                self.server_delay = change.delay;
            }
        }
        self.delay_answers(spike.unwrap_or(self.server_delay));
    }

    fn delay_answers(&mut self, delay: Duration) {
        let to_device =
            Direction { latency: self.plan.to_device.latency + delay, ..self.plan.to_device };
        self.network.change(self.plan.to_server, to_device);
    }

    /// Whether every operation has ended and nothing new is to be expected.
    fn is_over(&self) -> bool {
        let ended = !self.ledger.operations.is_empty()
            && self.ledger.operations.values().all(|operation| operation.state.is_final());
        let in_flight = self.ledger.assignments.values().any(|found| found.state.is_in_flight());
        let busy = match &self.server {
            Server::Up(process) => process.committing.is_some(),
            Server::Down { .. } => true,
        };
        ended
            && !in_flight
            && !busy
            && self.orders.is_empty()
            && self.power_cuts.is_empty()
            && self.now > self.moved_at + QUIET
            && self.now > START + EVERYBODY_IS_BACK
    }

    fn check_end(&mut self) -> Checked {
        self.ledger.check_end()?;
        let audit = self.store.audit();
        let audit = audit.map_err(|error| Broken { invariant: "end", what: error.to_string() })?;
        if let Some(violation) = audit.first() {
            return Err(Broken {
                invariant: violation.invariant.code(),
                what: format!("the store's audit says: {violation}"),
            });
        }
        let Server::Up(process) = &self.server else { return Ok(()) };
        for node in &self.devices {
            let device = process.engine.device_named(&node.name);
            let Some(device) = device.and_then(|id| process.engine.fleet().device(id)) else {
                continue;
            };
            let registered = node.device.client().is_some_and(lwm2m::client::Client::is_registered);
            if device.presence != Presence::Online || !registered {
                continue;
            }
            let runs = &node.device.flash().version;
            let known = device.version.as_ref().map(model::Version::as_str);
            if known != Some(runs) {
                let what = format!("{} runs {runs}, the server knows {known:?}", node.name);
                return Err(Broken { invariant: "end", what });
            }
        }
        Ok(())
    }

    fn report(&self) -> RunReport {
        let operations = self.ledger.operations.values();
        RunReport {
            seed: self.plan.seed,
            steps: self.steps,
            time: self.age(),
            devices: self.devices.len(),
            crashes: self.crashes,
            commits: self.commits,
            installations: self.ledger.flashes,
            operations: operations.map(|operation| self.ledger.report(operation)).collect(),
            elements: self.elements.clone(),
            changed_at_once_max: self.ledger.changed_at_once_max,
            versions: self
                .devices
                .iter()
                .map(|node| (node.name.to_string(), node.device.flash().version.clone()))
                .collect(),
            decisions: self.ledger.decisions.values().flatten().cloned().collect(),
            traffic: self.network.traffic(),
        }
    }

    fn age(&self) -> Duration {
        self.now - START
    }

    fn tell(&mut self, what: String) {
        if self.story.len() >= STORY_MAX {
            self.story.pop_front();
        }
        self.story.push_back(format!("{:>10.3} s  {what}", self.age().as_secs_f64()));
    }
}

/// Does something to each operation, also after one that refused; tells whether any accepted.
fn each(operations: &[OperationId], mut order: impl FnMut(OperationId) -> bool) -> bool {
    operations.iter().filter(|id| order(**id)).count() > 0
}

fn name(order: &Order) -> &'static str {
    match order {
        Order::Publish { start: Some(_), .. } => "a release and its operation",
        Order::Publish { start: None, .. } => "a release",
        Order::Open { .. } => "an operation on picked devices",
        Order::Pause => "a pause",
        Order::Resume => "a resumption",
        Order::Abort => "an abort",
        Order::Hold(_) => "a hold",
        Order::Release(_) => "the end of a hold",
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {} devices, {} crashes, {} commits, {} installations, {} datagrams ({} lost) \
             in {:.0} s of virtual time:",
            self.seed,
            self.devices,
            self.crashes,
            self.commits,
            self.installations,
            self.traffic.sent,
            self.traffic.lost,
            self.time.as_secs_f64()
        )?;
        for operation in &self.operations {
            write!(f, " {} {}", operation.id, operation.state)?;
        }
        Ok(())
    }
}

/// When every run starts; a real date, so that device clocks show one.
const START: Duration = Duration::from_secs(1_800_000_000);
const UNIX_S: i64 = 1_800_000_000;
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5683);
const DEVICES: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
/// Nothing follows when nothing moved for so long: longer than the wait before a follow-up
/// operation and than one exchange with all its repetitions.
const QUIET: Duration = Duration::from_secs(200);
/// The last device has arrived, returned and charged.
const EVERYBODY_IS_BACK: Duration = Duration::from_secs(180);
/// Lines kept of what happened.
const STORY_MAX: usize = 2_000;
