//! A world around the loops: a store that folds records, drivers, and devices with faults.
//!
//! Everything follows from the seed. Reports are lost, repeated and delayed; the server stops at
//! any step, before or after what it just decided became durable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{
    Assignment, AttemptState, Decision, Device, DeviceId, Fault, FaultKind, Fleet, Grant, Intent,
    Look, Operation, OperationId, Outcome, Presence, Progress, Record, Release, ReleaseId, Signal,
    Snapshot, Step, Time, Version,
};

use crate::mix::mix;
use crate::{Config, Dispatch, Loops, Output};

/// What is durable, folded from records as the store does.
#[derive(Debug, Clone, Default)]
pub(super) struct Durable {
    pub(super) releases: BTreeMap<ReleaseId, Release>,
    pub(super) operations: BTreeMap<OperationId, Operation>,
    pub(super) assignments: BTreeMap<(OperationId, DeviceId), Assignment>,
    pub(super) decisions: BTreeMap<OperationId, Vec<Decision>>,
    pub(super) grants: BTreeMap<(OperationId, u64), Grant>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) intents: Vec<Intent>,
    pub(super) looks: Vec<Look>,
    pub(super) signals: Vec<Signal>,
}

impl Durable {
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Release(release) => {
                assert!(self.releases.insert(release.id, release).is_none(), "release twice");
            }
            Record::Operation(operation) => {
                self.operations.insert(operation.id, *operation);
            }
            Record::Assignment(assignment) => {
                let key = (assignment.operation, assignment.device);
                self.assignments.insert(key, *assignment);
            }
            Record::Decision(decision) => {
                let list = self.decisions.entry(decision.operation).or_default();
                assert_eq!(decision.seq, list.len() as u64 + 1, "I3: decisions are dense");
                list.push(*decision);
            }
            Record::Grant(grant) => {
                let key = (grant.operation, grant.element);
                assert!(self.grants.insert(key, grant).is_none(), "element granted twice");
            }
            Record::Outcome(outcome) => self.outcomes.push(*outcome),
            Record::Intent(intent) => self.intents.push(intent),
            Record::Look(look) => self.looks.push(*look),
            Record::Signal(signal) => self.signals.push(*signal),
            other => panic!("the loops do not write {other:?}"),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            releases: self.releases.values().cloned().collect(),
            operations: self.operations.values().cloned().collect(),
            assignments: self.assignments.values().cloned().collect(),
            intents: self.intents.clone(),
            looks: self.looks.clone(),
            signals: self.signals.clone(),
            ..Snapshot::default()
        }
    }

    pub(super) fn last_speed(&self, operation: OperationId) -> u32 {
        let speed = |decision: &Decision| match decision.verdict {
            model::Verdict::Start { speed }
            | model::Verdict::Continue { speed, .. }
            | model::Verdict::Allow { speed, .. } => Some(speed),
            _ => None,
        };
        let list = self.decisions.get(&operation).map_or(&[][..], Vec::as_slice);
        list.iter().rev().find_map(speed).unwrap_or(0)
    }
}

/// How a device answers to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Good,
    /// Breaks off that many transfers, then works.
    Flaky(u32),
    /// Stops reporting in the middle of every transfer.
    Stalls,
    /// Falls silent when it installs.
    Bricks,
    /// Reports that the installation failed.
    Refuses,
    /// Claims success and runs the old version.
    Lies,
    /// Says the image is damaged.
    ImageFault,
}

/// A device as it really is, whatever the server knows of it.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) nature: Nature,
    pub(super) version: Version,
    pub(super) alive: bool,
    breaks: u32,
    pub(super) flashes: u32,
}

#[derive(Debug, Clone, PartialEq)]
enum Happening {
    Report {
        operation: OperationId,
        device: DeviceId,
        attempt: u32,
        progress: Progress,
    },
    /// The driver tells the device to install.
    Install {
        operation: OperationId,
        device: DeviceId,
        attempt: u32,
        version: Version,
    },
    /// The device carries the change out by itself, server or not.
    Flash {
        operation: OperationId,
        device: DeviceId,
        version: Version,
    },
    Presence {
        device: DeviceId,
        presence: Presence,
    },
    Arrival,
}

/// What the loops were told, so that others can be told the same.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Known(Box<Device>),
    Report(OperationId, DeviceId, u32, Progress),
    Changed(DeviceId),
    Activate,
}

pub(super) struct World {
    pub(super) seed: u64,
    drawn: u64,
    pub(super) now: Time,
    pub(super) fleet: Fleet,
    pub(super) config: Config,
    pub(super) loops: Loops,
    pub(super) durable: Durable,
    pub(super) truths: BTreeMap<DeviceId, Truth>,
    agenda: BTreeMap<(Time, u64), Happening>,
    numbers: u64,
    pub(super) losses: u64,
    pub(super) restarts: u32,
    pub(super) newcomer_version: String,
    /// Everything since a fork: calls with their times, and the records that came of them.
    pub(super) calls: Vec<(Time, Call)>,
    pub(super) records: Vec<Record>,
    probed: BTreeSet<(OperationId, DeviceId)>,
}

impl World {
    pub(super) fn new(seed: u64, config: Config, fleet: Fleet, natures: &[Nature]) -> Self {
        let mut world = Self {
            seed,
            drawn: 0,
            now: Time::from_secs(1_000),
            fleet,
            loops: Loops::new(config.clone()),
            config,
            durable: Durable::default(),
            truths: BTreeMap::new(),
            agenda: BTreeMap::new(),
            numbers: 0,
            losses: 0,
            restarts: 0,
            newcomer_version: "1.0.0".to_owned(),
            calls: Vec::new(),
            records: Vec::new(),
            probed: BTreeSet::new(),
        };
        let devices: Vec<(DeviceId, Version)> =
            world.fleet.iter().map(|d| (d.id, d.version.clone().unwrap())).collect();
        for (id, version) in devices {
            let nature = natures[world.below(natures.len() as u64) as usize];
            world.truths.insert(id, truth(nature, version));
        }
        world
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn) % limit.max(1)
    }

    fn at(&mut self, delay_ms: u64, happening: Happening) {
        self.numbers += 1;
        let at = self.now + Duration::from_millis(delay_ms);
        self.agenda.insert((at, self.numbers), happening);
    }

    pub(super) fn schedule_presence(&mut self, device: DeviceId, delay_s: u64, presence: Presence) {
        self.at(delay_s * 1_000, Happening::Presence { device, presence });
    }

    pub(super) fn schedule_arrival(&mut self, delay_s: u64) {
        self.at(delay_s * 1_000, Happening::Arrival);
    }

    /// Activates and makes what comes out durable, then does it; or loses all of it in a crash.
    pub(super) fn turn(&mut self, crash: bool) {
        self.calls.push((self.now, Call::Activate));
        self.loops.activate(&self.fleet, self.now);
        let mut outputs: Vec<Output> = std::iter::from_fn(|| self.loops.poll_output()).collect();
        if crash {
            self.restart();
            outputs = std::iter::from_fn(|| self.loops.poll_output()).collect();
        }
        for output in &outputs {
            if let Output::Record(record) = output {
                self.durable.apply(record.clone());
                self.records.push(record.clone());
            }
        }
        for output in outputs {
            self.perform(output);
        }
    }

    /// The server stops and starts again: what drivers were doing is forgotten, what devices do
    /// goes on.
    pub(super) fn restart(&mut self) {
        self.restarts += 1;
        self.agenda.retain(|_, happening| {
            !matches!(happening, Happening::Report { .. } | Happening::Install { .. })
        });
        let snapshot = self.durable.snapshot();
        self.loops = Loops::restore(self.config.clone(), &snapshot, &self.fleet, self.now);
        self.loops.activate(&self.fleet, self.now);
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dispatch(dispatch) => self.drive(&dispatch),
            Output::Probe { operation, device, attempt } => self.probe(operation, device, attempt),
            // What was told to install goes on; what was not told is not told any more.
            Output::Recall { operation, device, attempt } => {
                self.agenda.retain(|_, happening| {
                    !matches!(happening,
                        Happening::Report { operation: o, device: d, attempt: a, .. }
                        | Happening::Install { operation: o, device: d, attempt: a, .. }
                            if (*o, *d, *a) == (operation, device, attempt))
                });
            }
            Output::ProbeSilent { device } => {
                self.loops.silent_probed(device, false, &self.fleet, self.now);
            }
            Output::ReadGuards { device, .. } => {
                self.loops.guards_read(device, &self.fleet, self.now);
            }
            Output::Quarantine { device, reason } => {
                if let Some(known) = self.fleet.device_mut(device) {
                    known.hold.get_or_insert(model::Hold::System { reason });
                }
                self.loops.device_changed(device, &self.fleet, self.now);
            }
            Output::Record(_) | Output::Event(_) => {}
        }
    }

    fn say(&mut self, dispatch: &Dispatch, delay_ms: u64, progress: Progress) {
        let Dispatch { operation, device, attempt, .. } = *dispatch;
        let lossless = progress == Progress::Sent;
        let report = Happening::Report { operation, device, attempt, progress };
        if !lossless && self.losses > 0 && self.below(100) < self.losses {
            return;
        }
        let jitter = if lossless { 0 } else { self.below(1 + 40 * self.losses) };
        if !lossless && self.losses > 0 && self.below(100) < self.losses {
            self.at(delay_ms + 3_000, report.clone());
        }
        self.at(delay_ms + jitter, report);
    }

    fn drive(&mut self, dispatch: &Dispatch) {
        let release = &self.durable.releases[&dispatch.release];
        let goal = release.manifest.release.version.clone();
        let device = dispatch.device;
        let truth = self.truths[&device].clone();
        let online = self.fleet.device(device).is_some_and(|d| d.presence == Presence::Online);
        if !online || !truth.alive {
            let fault = Fault { kind: FaultKind::NoAnswer, detail: String::new() };
            return self.say(dispatch, 5_000, Progress::Failed(fault));
        }
        if truth.version == goal {
            return self.say(dispatch, 100, Progress::Unchanged);
        }
        let flashing = self.is_flashing(device);
        if flashing {
            // Read back: it is at it already.
            self.say(dispatch, 100, Progress::Claimed);
            self.say(dispatch, 30_000, Progress::Returned);
            self.read_back(dispatch, &goal, 30_100);
            return;
        }
        self.say(dispatch, 50, Progress::Sent);
        self.say(dispatch, 200, Progress::Accepted);
        self.say(dispatch, 1_000, Progress::Transferring { bytes: 500 });
        if let Some(kind) = self.transfer_fault(device) {
            let fault = Fault { kind, detail: String::new() };
            return self.say(dispatch, 2_000, Progress::Failed(fault));
        }
        if truth.nature == Nature::Stalls {
            return;
        }
        self.say(dispatch, 2_000, Progress::Transferred);
        let Dispatch { operation, attempt, .. } = *dispatch;
        let version = goal.clone();
        self.at(2_400, Happening::Install { operation, device, attempt, version });
        if truth.nature != Nature::Bricks {
            self.say(dispatch, 9_000, Progress::Returned);
            self.read_back(dispatch, &goal, 9_100);
        }
    }

    fn transfer_fault(&mut self, device: DeviceId) -> Option<FaultKind> {
        let truth = self.truths.get_mut(&device)?;
        match truth.nature {
            Nature::Flaky(times) if truth.breaks < times => {
                truth.breaks += 1;
                Some(FaultKind::ConnectionLost)
            }
            Nature::ImageFault => Some(FaultKind::Integrity),
            _ => None,
        }
    }

    fn read_back(&mut self, dispatch: &Dispatch, goal: &Version, delay_ms: u64) {
        let truth = &self.truths[&dispatch.device];
        let (version, claims) = match truth.nature {
            Nature::Refuses => (truth.version.clone(), Some(false)),
            Nature::Lies => (truth.version.clone(), Some(true)),
            _ => (goal.clone(), Some(true)),
        };
        let progress = Progress::Reported { version: Some(version), claims_success: claims };
        self.say(dispatch, delay_ms, progress);
    }

    fn probe(&mut self, operation: OperationId, device: DeviceId, attempt: u32) {
        self.probed.insert((operation, device));
        let truth = &self.truths[&device];
        let online = self.fleet.device(device).is_some_and(|d| d.presence == Presence::Online);
        let progress = if truth.alive && online {
            let version = Some(truth.version.clone());
            Progress::Reported { version, claims_success: None }
        } else {
            Progress::ProbeFailed
        };
        self.at(500, Happening::Report { operation, device, attempt, progress });
    }

    /// Whether anything is still to come.
    pub(super) fn next(&self) -> Option<Time> {
        let happening = self.agenda.first_key_value().map(|((at, _), _)| *at);
        [happening, self.loops.poll_timeout()].into_iter().flatten().min()
    }

    /// Goes on to the next moment and does what happens then. False when nothing is to come.
    pub(super) fn step(&mut self, crash: bool) -> bool {
        let Some(next) = self.next() else { return false };
        self.now = self.now.max(next);
        if let Some(((at, number), _)) = self.agenda.first_key_value()
            && *at <= self.now
        {
            let key = (*at, *number);
            let happening = self.agenda.remove(&key).unwrap();
            self.happen(happening);
        }
        self.turn(crash);
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Report { operation, device, attempt, progress } => {
                self.hear(operation, device, attempt, progress);
            }
            Happening::Install { operation, device, attempt, version } => {
                self.install(operation, device, attempt, version);
            }
            Happening::Flash { operation, device, version } => {
                self.flash(operation, device, version);
            }
            Happening::Presence { device, presence } => {
                if let Some(known) = self.fleet.device_mut(device) {
                    known.presence = presence;
                    known.last_seen = self.now;
                }
                self.changed(device);
            }
            Happening::Arrival => {
                let id = self.fleet.next_id();
                let newcomer = super::device(id.0, &self.newcomer_version);
                let version = newcomer.version.clone().unwrap();
                self.truths.insert(id, truth(Nature::Good, version));
                self.fleet.insert(newcomer);
                self.changed(id);
            }
        }
    }

    fn hear(&mut self, operation: OperationId, device: DeviceId, attempt: u32, progress: Progress) {
        // A device that is gone says nothing.
        let online = self.fleet.device(device).is_some_and(|d| d.presence == Presence::Online);
        let speaks = online && self.truths[&device].alive;
        let own = matches!(
            progress,
            Progress::Sent | Progress::Claimed | Progress::Failed(_) | Progress::ProbeFailed
        );
        if !speaks && !own {
            return;
        }
        if progress == Progress::Sent {
            let known = self.loops.assignment(operation, device);
            let Some(known) = known.filter(|known| known.attempt == attempt) else { return };
            if !known.state.is_in_flight() {
                return;
            }
            let release = known.path[0];
            let step = Step::Transfer;
            let intent = Intent { operation, device, attempt, release, step, at: self.now };
            self.durable.apply(Record::Intent(intent));
        }
        // Whatever a driver reads goes into the fleet before its report.
        if progress == Progress::Unchanged
            && let Some(known) = self.fleet.device_mut(device)
        {
            known.version = Some(self.truths[&device].version.clone());
        }
        if let Progress::Reported { version: Some(version), .. } = &progress
            && let Some(known) = self.fleet.device_mut(device)
        {
            // The device speaks the truth of now, not of when the report was planned.
            let nature = self.truths[&device].nature;
            if !matches!(nature, Nature::Refuses | Nature::Lies)
                && self.truths[&device].version != *version
            {
                return;
            }
            known.version = Some(version.clone());
        }
        self.know(device);
        self.calls.push((self.now, Call::Report(operation, device, attempt, progress.clone())));
        self.loops.report(operation, device, attempt, progress, &self.fleet, self.now);
        self.changed(device);
    }

    fn know(&mut self, device: DeviceId) {
        let known = self.fleet.device(device).unwrap().clone();
        self.calls.push((self.now, Call::Known(Box::new(known))));
    }

    fn changed(&mut self, device: DeviceId) {
        self.know(device);
        self.calls.push((self.now, Call::Changed(device)));
        self.loops.device_changed(device, &self.fleet, self.now);
    }

    /// Whether a probe waits for its answer; a restart would send it again.
    pub(super) fn is_probing(&self) -> bool {
        self.probed.iter().any(|(operation, device)| {
            self.loops.assignment(*operation, *device).is_some_and(|a| a.state.is_in_flight())
        })
    }

    /// Whether a transfer is under way: its time without progress begins again at a restart.
    pub(super) fn is_transferring(&self) -> bool {
        let mut all = self.durable.assignments.values();
        all.any(|assignment| {
            matches!(
                assignment.state,
                AttemptState::Granted
                    | AttemptState::Sent
                    | AttemptState::Accepted
                    | AttemptState::Transferred
            )
        })
    }

    /// I2: the order is given only for the attempt that is in flight, on the last look.
    fn install(
        &mut self,
        operation: OperationId,
        device: DeviceId,
        attempt: u32,
        version: Version,
    ) {
        let known = self.loops.assignment(operation, device);
        let granted = known.is_some_and(|known| {
            known.attempt == attempt
                && known.state.is_in_flight()
                && known.state != AttemptState::Granted
        });
        let online = self.fleet.device(device).is_some_and(|d| d.presence == Presence::Online);
        let flashing = self.is_flashing(device);
        if granted && online && !flashing && self.truths[&device].version != version {
            if self.loops.operation(operation).unwrap().state.is_final() {
                return self.loops.withdraw(operation, device, attempt, self.now);
            }
            let release = self.loops.assignment(operation, device).unwrap().path[0];
            let step = Step::Install;
            let intent = Intent { operation, device, attempt, release, step, at: self.now };
            self.durable.apply(Record::Intent(intent));
            // Said as the order leaves, whatever is heard of the device.
            self.hear(operation, device, attempt, Progress::Claimed);
            self.at(5_500, Happening::Flash { operation, device, version });
        }
    }

    fn is_flashing(&self, device: DeviceId) -> bool {
        self.agenda
            .values()
            .any(|h| matches!(h, Happening::Flash { device: d, .. } if *d == device))
    }

    fn flash(&mut self, operation: OperationId, device: DeviceId, version: Version) {
        let durable = self.durable.assignments.get(&(operation, device));
        let state = durable.map(|assignment| assignment.state.clone());
        assert!(
            !matches!(state, None | Some(AttemptState::Granted | AttemptState::Cancelled)),
            "device {device} is flashed by {operation} while {state:?}"
        );
        let truth = self.truths.get_mut(&device).unwrap();
        match truth.nature {
            Nature::Bricks => truth.alive = false,
            Nature::Refuses | Nature::Lies => {}
            _ => {
                assert_ne!(truth.version, version, "I2: device {device} is flashed twice");
                truth.version = version;
                truth.flashes += 1;
            }
        }
    }
}

fn truth(nature: Nature, version: Version) -> Truth {
    Truth { nature, version, alive: true, breaks: 0, flashes: 0 }
}
