//! Operations under evidence, device by device through the loops.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Arm, AttemptState, Criticality, Decision, DeviceId, Eligibility, Evidence, Fault, FaultKind,
    Fleet, Gate, HealthEventKind, Latency, Look, OperationId, OperationState, Origin, Policy,
    Presence, Progress, Rate, Reason, Record, Rule, Scope, Span, StratumScope, Time, Undo, Verdict,
    Version,
};

use super::followed::events;
use super::world::Durable;
use super::{config, device, firmware, policy};
use crate::{Dispatch, Loops, Output, Planned};

/// A fleet that calls every ten seconds, and what becomes of it.
pub(super) struct Field {
    pub(super) loops: Loops,
    pub(super) fleet: Fleet,
    pub(super) now: Time,
    /// Devices that went dead, and when.
    pub(super) dead: BTreeMap<DeviceId, Time>,
    pub(super) crashes: BTreeMap<DeviceId, Time>,
    /// When an order of that device is carried out.
    busy: BTreeMap<DeviceId, (Time, Dispatch)>,
    /// After how many seconds an order is given up that a dead device does not answer; never
    /// without.
    pub(super) gives_up_s: Option<u64>,
    fate: fn(&model::Device) -> Fate,
    /// What a device's sensor shows; absent without.
    pub(super) sensor: Option<fn(&model::Device, Time) -> i64>,
    /// Devices that were probed for a sign of life, one entry a time.
    pub(super) probed: Vec<DeviceId>,
    /// No device hears the server.
    pub(super) is_deaf: bool,
    /// Devices that do not call by themselves.
    pub(super) quiet: Vec<DeviceId>,
    /// Control devices that were read for their guarded values, one entry a time.
    pub(super) read: Vec<DeviceId>,
    pub(super) looks: Vec<Look>,
    pub(super) decisions: Vec<Decision>,
    pub(super) records: Vec<Record>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Well,
    Fails,
    /// Dies some seconds after the update.
    Dies(u64),
    /// Crashes some seconds after the update, and is reachable.
    Crashes(u64),
}

impl Field {
    pub(super) fn new(devices: u64, fate: fn(&model::Device) -> Fate) -> Self {
        Self::with(devices, fate, config())
    }

    pub(super) fn with(
        devices: u64,
        fate: fn(&model::Device) -> Fate,
        config: crate::Config,
    ) -> Self {
        let mut fleet = Fleet::new();
        for number in 1..=devices {
            let mut one = device(number, "1.0.0");
            one.hardware = Some(if number % 5 == 0 { "B" } else { "A" }.into());
            one.lifetime = Duration::from_secs(20);
            one.last_seen = Time::from_secs(1_000);
            fleet.insert(one);
        }
        Self {
            loops: Loops::new(config),
            fleet,
            now: Time::from_secs(1_000),
            dead: BTreeMap::new(),
            crashes: BTreeMap::new(),
            busy: BTreeMap::new(),
            gives_up_s: None,
            fate,
            sensor: None,
            probed: Vec::new(),
            is_deaf: false,
            quiet: Vec::new(),
            read: Vec::new(),
            looks: Vec::new(),
            decisions: Vec::new(),
            records: Vec::new(),
        }
    }

    pub(super) fn publish(&mut self, rule: Evidence) -> OperationId {
        self.publish_with(rule, "")
    }

    /// Publishes with more lines in the manifest.
    pub(super) fn publish_with(&mut self, rule: Evidence, extra: &str) -> OperationId {
        self.publish_version("2.0.0", rule, extra)
    }

    fn publish_version(&mut self, version: &str, rule: Evidence, extra: &str) -> OperationId {
        let policy = Policy { rule: Rule::Evidence(rule), ..policy() };
        let release = firmware("sensor", version, extra);
        let published = self.loops.publish(release, "test", Some(policy), &self.fleet, 7, self.now);
        published.unwrap().1.unwrap()
    }

    /// Publishes a later version for whoever runs the one that the field publishes first.
    fn publish_later(&mut self, version: &str) -> OperationId {
        let policy = Policy { rule: Rule::Evidence(quick()), ..policy() };
        let mut release = firmware("sensor", version, "[[upgrade]]\nfrom = \">=2.0.0\"");
        // Less urgent, so that the first keeps its own targets.
        release.release.class = Criticality::Hotfix;
        let published = self.loops.publish(release, "test", Some(policy), &self.fleet, 7, self.now);
        published.unwrap().1.unwrap()
    }

    pub(super) fn turn(&mut self) {
        self.loops.activate(&self.fleet, self.now);
        self.drain();
    }

    /// The server stops and starts again from what is durable.
    pub(super) fn restart(&mut self) {
        let mut durable = Durable::default();
        self.records.iter().cloned().for_each(|record| durable.apply(record));
        self.busy.clear();
        self.loops = Loops::restore(config(), &durable.snapshot(), &self.fleet, self.now);
        self.turn();
    }

    /// Does what the loops want done.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.loops.poll_output() {
            match output {
                Output::Dispatch(order) => {
                    let Dispatch { operation, device, attempt, .. } = order;
                    self.busy.insert(device, (self.now + Duration::from_secs(4), order));
                    self.read_sensor(device);
                    let sent = Progress::Sent;
                    self.loops.report(operation, device, attempt, sent, &self.fleet, self.now);
                }
                Output::Record(record) => {
                    match &record {
                        Record::Look(look) => self.looks.push((**look).clone()),
                        Record::Decision(decision) => self.decisions.push((**decision).clone()),
                        _ => {}
                    }
                    self.records.push(record);
                }
                Output::Probe { operation, device, attempt } => {
                    self.read_sensor(device);
                    let dead = self.dead.contains_key(&device);
                    let version = self.fleet.device(device).unwrap().version.clone();
                    let answer = if dead {
                        Progress::ProbeFailed
                    } else {
                        Progress::Reported { version, claims_success: None }
                    };
                    self.loops.report(operation, device, attempt, answer, &self.fleet, self.now);
                }
                Output::ProbeSilent { device } => {
                    self.probed.push(device);
                    let dead = self.dead.get(&device).is_some_and(|at| *at <= self.now);
                    if !dead && !self.is_deaf {
                        self.hear(device);
                        self.loops.silent_probed(device, true, &self.fleet, self.now);
                    }
                }
                Output::ReadGuards { device, .. } => {
                    self.read.push(device);
                    self.read_sensor(device);
                    self.loops.guards_read(device, &self.fleet, self.now);
                }
                Output::Quarantine { device, reason } => {
                    let known = self.fleet.device_mut(device).unwrap();
                    known.hold.get_or_insert(model::Hold::System { reason });
                    self.loops.device_changed(device, &self.fleet, self.now);
                }
                Output::Recall { .. } | Output::Event(_) => {}
            }
        }
    }

    /// The value of a device's sensor is read, as procedures do with what guards compare.
    fn read_sensor(&mut self, device: DeviceId) {
        let (Some(sensor), Some(known)) = (self.sensor, self.fleet.device_mut(device)) else {
            return;
        };
        let value = model::Scalar::Integer(sensor(known, self.now));
        let path = model::ResourcePath::try_from("/3303/0/5700".to_owned()).unwrap();
        known.datamodel.values.insert(path, model::Observed { value, at: self.now });
    }

    /// One second passes.
    pub(super) fn tick(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        let second = self.now.as_micros() / 1_000_000;
        let done: Vec<Dispatch> = self
            .busy
            .iter()
            .filter(|(_, (at, _))| *at <= self.now)
            .map(|(_, (_, order))| order.clone())
            .collect();
        for order in done {
            let (began, _) = self.busy[&order.device];
            let dead = self.dead.get(&order.device).is_some_and(|at| *at <= self.now);
            if dead && let Some(seconds) = self.gives_up_s {
                if self.now < began + Duration::from_secs(seconds) {
                    continue;
                }
                let Dispatch { operation, device, attempt, .. } = order;
                let fault = Fault { kind: FaultKind::NoAnswer, detail: String::new() };
                let failed = Progress::Failed(fault);
                self.loops.report(operation, device, attempt, failed, &self.fleet, self.now);
            } else {
                self.carry_out(&order);
            }
            self.busy.remove(&order.device);
        }
        let crashed = self.crashes.extract_if(.., |_, at| *at <= self.now);
        for (device, _) in crashed {
            self.loops.signal(device, HealthEventKind::Crash, self.now);
        }
        for number in 1..=self.fleet.len() as u64 {
            let id = DeviceId(number);
            let silent = self.dead.get(&id).is_some_and(|at| *at <= self.now);
            let known = self.fleet.device_mut(id).unwrap();
            if silent {
                let expired = self.now.since(known.last_seen) > known.lifetime;
                if expired && known.presence == Presence::Online {
                    known.presence = Presence::Offline;
                    self.loops.device_changed(id, &self.fleet, self.now);
                }
            } else if (second + number).is_multiple_of(10) && !self.quiet.contains(&id) {
                self.hear(id);
            }
        }
        self.turn();
    }

    /// A device is heard.
    pub(super) fn hear(&mut self, device: DeviceId) {
        let known = self.fleet.device_mut(device).unwrap();
        let gap = self.now.since(known.last_seen);
        known.last_seen = self.now;
        if self.loops.contact(device, Some(gap), &self.fleet, self.now) {
            self.fleet.device_mut(device).unwrap().habit.learn(gap.as_secs());
        }
    }

    fn carry_out(&mut self, order: &Dispatch) {
        let Dispatch { operation, device, attempt, .. } = *order;
        if self.dead.get(&device).is_some_and(|at| *at <= self.now) {
            return;
        }
        let fate = (self.fate)(self.fleet.device(device).unwrap());
        let mut report = |progress| {
            self.loops.report(operation, device, attempt, progress, &self.fleet, self.now);
        };
        report(Progress::Claimed);
        if fate == Fate::Fails {
            let fault = Fault { kind: FaultKind::UpdateFailed, detail: String::new() };
            return report(Progress::Failed(fault));
        }
        report(Progress::Returned);
        let model::Change::Firmware(change) = &*order.change else { panic!("{order:?}") };
        let version = change.version.clone();
        let known = self.fleet.device_mut(device).unwrap();
        known.version = Some(version.clone());
        known.last_seen = self.now;
        self.read_sensor(device);
        self.loops.contact(device, None, &self.fleet, self.now);
        let proof = Progress::Reported { version: Some(version), claims_success: Some(true) };
        self.loops.report(operation, device, attempt, proof, &self.fleet, self.now);
        match fate {
            Fate::Dies(after_s) => {
                self.dead.insert(device, self.now + Duration::from_secs(after_s));
            }
            Fate::Crashes(after_s) => {
                self.crashes.insert(device, self.now + Duration::from_secs(after_s));
            }
            Fate::Well | Fate::Fails => {}
        }
    }

    pub(super) fn run(&mut self, operation: OperationId, seconds: u64) -> OperationState {
        for _ in 0..seconds {
            self.tick();
            let state = self.state(operation);
            if state.is_final() {
                break;
            }
        }
        self.state(operation)
    }

    pub(super) fn state(&self, operation: OperationId) -> OperationState {
        self.loops.operation(operation).unwrap().state
    }

    /// Devices with that verdict of an operation.
    fn verdicts(&self, operation: OperationId, code: &str) -> usize {
        let verdicts = self.fleet.iter().map(|one| self.loops.identify(operation, one, self.now));
        let of = |verdict: &Eligibility| match verdict {
            Eligibility::Eligible { .. } => code == "eligible",
            Eligibility::Waiting { exclusion } | Eligibility::Excluded { exclusion } => {
                code == exclusion.code()
            }
        };
        verdicts.filter(of).count()
    }

    pub(super) fn updated(&self, hardware: &str) -> usize {
        let new = Version::new("2.0.0");
        let of = |one: &&model::Device| {
            one.hardware.as_deref() == Some(hardware) && one.version.as_ref() == Some(&new)
        };
        self.fleet.iter().filter(of).count()
    }

    pub(super) fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<&str> = self.decisions.iter().map(|one| one.reason.code()).collect();
        codes.dedup();
        codes
    }
}

/// A fleet that talks every ten seconds is judged in minutes.
pub(super) fn quick() -> Evidence {
    let mean = |mean, share| Latency { mean: Span::secs(mean), share: Rate::percent(share) };
    Evidence {
        look: Span::secs(5),
        silence_min: Span::secs(10),
        watch: Span::secs(120),
        ages: vec![Span::secs(60), Span::secs(300)],
        latencies: vec![mean(10, 60), mean(30, 40)],
        budget: Some(20),
        undo: Undo::Off,
        ..Evidence::default()
    }
}

#[test]
fn a_good_release_reaches_everyone_and_the_holdback_last() {
    let mut field = Field::new(500, |_| Fate::Well);
    let id = field.publish(quick());
    assert_eq!(field.run(id, 3_000), OperationState::Finished);
    assert_eq!(field.updated("A") + field.updated("B"), 500);
    let codes = field.codes();
    assert_eq!(codes.first(), Some(&"start.targets"), "{codes:?}");
    assert_eq!(
        &codes[codes.len() - 3..],
        ["evidence.watch", "evidence.release", "finish.complete"]
    );
    let watching = field.decisions.iter().find(|one| one.reason.code() == "evidence.watch");
    let judged = watching.unwrap().judged.as_deref().unwrap();
    let left: u64 = judged.strata.iter().map(|one| one.targets - one.granted).sum();
    assert_eq!(left, 4 + 1, "one in a hundred of 400 and of 100");
}

/// A dry run shows what the budget allows at first, not how many may be changed at a time.
#[test]
fn the_plan_says_how_many_the_first_look_grants() {
    let mut field = Field::new(500, |_| Fate::Well);
    let policy = Policy { rule: Rule::Evidence(quick()), ..policy() };
    let manifest = firmware("sensor", "2.0.0", "");
    let planned = Planned::Manifest(&manifest);
    let plan = field.loops.plan(planned, &Scope::Fleet, &policy, &field.fleet, field.now).unwrap();
    assert_eq!(plan.budget, Some(20));
    let id = field.publish(quick());
    field.turn();
    let granted = field.loops.assignments(id).count();
    assert_eq!(u64::from(plan.first_speed), granted as u64);
    assert!((1..100).contains(&granted), "{granted}");
}

/// What fails in one operation after the other, while nothing is wrong with the changes, is at
/// fault itself.
#[test]
fn a_device_that_fails_again_and_again_is_quarantined() {
    let mut field = Field::new(200, |device| match device.id.0 {
        7 => Fate::Fails,
        _ => Fate::Well,
    });
    let hold = |field: &Field| field.fleet.device(DeviceId(7)).unwrap().hold.clone();
    for version in ["2.0.0", "3.0.0", "4.0.0"] {
        assert_eq!(hold(&field), None, "before {version}");
        let id = field.publish_version(version, quick(), "");
        assert_eq!(field.run(id, 3_000), OperationState::Finished, "{:?}", field.codes());
    }
    let reason = "the last 3 operations failed on it".to_owned();
    assert_eq!(hold(&field), Some(model::Hold::System { reason }));
    let held = field.fleet.iter().filter(|device| device.hold.is_some()).count();
    assert_eq!(held, 1);
    let id = field.publish_version("5.0.0", quick(), "");
    for _ in 0..60 {
        field.tick();
    }
    assert!(field.loops.assignment(id, DeviceId(7)).is_none(), "it is left alone");
}

#[test]
fn a_fault_in_one_revision_stops_that_revision_alone() {
    let mut field = Field::new(500, |device| {
        if device.hardware.as_deref() == Some("B") { Fate::Fails } else { Fate::Well }
    });
    let id = field.publish(quick());
    assert_eq!(field.run(id, 3_000), OperationState::Finished, "{:?}", field.codes());
    assert_eq!(field.updated("A"), 400);
    let stop = field.decisions.iter().find(|one| one.reason.code() == "evidence.stratum").unwrap();
    let judged = stop.judged.as_deref().unwrap();
    let stopped: Vec<_> =
        judged.strata.iter().filter(|one| one.scope == StratumScope::Stopped).collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].name.hardware, "B");
    assert!(stopped[0].granted <= 20, "{stopped:?}");
    let last = field.decisions.last().unwrap();
    assert!(matches!(last.reason, Reason::Partial { .. }), "{last}");
    let left = field.fleet.iter().filter(|one| field.loops.assignment(id, one.id).is_none());
    for device in left {
        let exclusion = model::Exclusion::StratumStopped { by: id };
        let verdict = field.loops.identify(id, device, field.now);
        assert_eq!(verdict, Eligibility::Excluded { exclusion }, "{}", device.id);
    }
}

#[test]
fn devices_that_die_later_stop_the_operation() {
    let mut field = Field::new(500, |_| Fate::Dies(15));
    let id = field.publish(quick());
    assert_eq!(field.run(id, 3_000), OperationState::Aborted, "{:?}", field.codes());
    assert_eq!(field.codes().last(), Some(&"abort.evidence"));
    assert!(field.dead.len() <= 60, "{} of 500 died", field.dead.len());
}

/// What was stopped goes back to the version before, and what rests on it waits.
#[test]
fn what_evidence_stopped_is_undone() {
    for (undo, proposed) in [(Undo::Automatic, false), (Undo::Propose, true)] {
        let mut field = Field::new(500, |device| {
            let bad = device.hardware.as_deref() == Some("B");
            let updates = device.version.as_ref().is_some_and(|version| version.as_str() < "2");
            if bad && updates { Fate::Crashes(20) } else { Fate::Well }
        });
        let before = firmware("sensor", "1.0.0", "");
        field.loops.publish(before, "test", None, &field.fleet, 7, field.now).unwrap();
        let id = field.publish(Evidence { undo, ..quick() });
        field.run(id, 3_000);
        assert!(field.codes().contains(&"evidence.stratum"), "{:?}", field.codes());
        for _ in 0..60 {
            field.tick();
        }
        let undoing =
            field.loops.operations().find(|one| one.origin == Origin::Undo { reverts: id });
        let undoing = undoing.expect("an operation that undoes").id;
        if proposed {
            assert_eq!(field.state(undoing), OperationState::Paused);
            let waits = Reason::Approval { gate: Gate::Undo };
            assert!(
                field.decisions.iter().any(|one| one.operation == undoing && one.reason == waits)
            );
            field.loops.resume(undoing, "me", "", field.now).unwrap();
        }
        assert_eq!(field.run(undoing, 2_000), OperationState::Finished);
        assert_eq!((field.updated("A"), field.updated("B")), (400, 0));
        let release = field.loops.operation(id).unwrap().release;
        let (planned, scope) = (Planned::Release(release), Scope::Fleet);
        let plan =
            field.loops.plan(planned, &scope, &Policy::default(), &field.fleet, field.now).unwrap();
        let stopped: Vec<&str> =
            plan.stopped_by.iter().flat_map(|it| &it.strata).map(|it| &*it.hardware).collect();
        assert_eq!((plan.stopped_by[0].operation, stopped), (id, vec!["B"]));
        for _ in 0..100 {
            field.tick();
        }
        assert_eq!(field.updated("B"), 0, "nobody brings it back");
    }
}

/// A later release of the same name waits for an operator's word when the one before is stopped,
/// whatever it was doing; what is opened after the stop may be the correction, and goes on.
#[test]
fn what_rests_on_a_stopped_release_is_frozen_once() {
    for (ordered_to_pause, restarts) in [(false, false), (false, true), (true, false)] {
        let mut field = Field::new(500, |device| {
            let old = device.version.as_ref().is_some_and(|version| version.as_str() < "2");
            if old { Fate::Crashes(60) } else { Fate::Well }
        });
        let id = field.publish(Evidence { watch: Span::secs(600), ..quick() });
        while field.updated("A") < 5 {
            field.tick();
        }
        let later = field.publish_later("3.0.0");
        if ordered_to_pause {
            field.loops.pause(later, "me", "", field.now).unwrap();
        }
        field.turn();
        assert_eq!(field.run(id, 3_000), OperationState::Aborted, "{:?}", field.codes());
        let frozen = Reason::Frozen { by: id };
        let stop = field.decisions.iter().position(|one| one.verdict == Verdict::Abort).unwrap();
        let next = &field.decisions[stop + 1];
        assert_eq!((next.operation, &next.reason), (later, &frozen), "at once");
        assert_eq!(field.state(later), OperationState::Paused);
        field.tick();
        assert!(field.verdicts(later, "operation.frozen") > 0);
        let after = field.publish_later("4.0.0");
        field.turn();
        if restarts {
            field.restart();
        }
        for _ in 0..30 {
            field.tick();
        }
        // The only way leads over what was stopped: nobody takes it.
        let blocked = field.verdicts(after, "path.blocked_edge");
        assert!(blocked >= 5, "at least the holdback: {blocked}");
        assert_ne!(field.state(after), OperationState::Paused, "it knew of the stop");
        if ordered_to_pause {
            field.loops.abort(later, "me", "", field.now).unwrap();
            assert_eq!(field.state(later), OperationState::Aborted);
            continue;
        }
        field.loops.resume(later, "me", "it is sound", field.now).unwrap();
        field.turn();
        field.restart();
        for _ in 0..30 {
            field.tick();
        }
        assert_ne!(field.state(later), OperationState::Paused, "its operator has seen the reason");
        let reasons = field.decisions.iter().filter(|one| one.reason == frozen).count();
        assert_eq!(reasons, 1);
        assert_eq!(field.verdicts(later, "path.blocked_edge"), blocked);
    }
}

/// What hits both arms alike is no evidence.
#[test]
fn an_outage_of_the_network_stops_nothing() {
    // In the middle, and when only the holdback is left as control.
    outage_after(40);
    outage_after(200);
}

fn outage_after(seconds: u64) {
    let mut field = Field::new(500, |_| Fate::Well);
    let id = field.publish(Evidence { watch: Span::secs(600), ..quick() });
    for _ in 0..seconds {
        field.tick();
    }
    assert!(field.updated("A") > 10);
    // Every seventh device falls silent for good.
    let now = field.now;
    field.dead.extend((1..=500).step_by(7).map(|number| (DeviceId(number), now)));
    let state = field.run(id, 2_000);
    let stops = ["abort.evidence", "evidence.stratum", "evidence.alarm"];
    let stopped = field.codes().into_iter().find(|code| stops.contains(code));
    assert_eq!(stopped, None, "{:?}", field.codes());
    let lost: usize = field.looks.iter().map(|look| look.left.len()).sum();
    assert!(lost >= 60, "the silence of both arms was seen: {lost}");
    assert_ne!(state, OperationState::Aborted);
}

/// Who is dead cannot be told to install. Were it control no longer once it is granted, the
/// faster an operation goes, the more silence would be missing in the control.
#[test]
fn a_granted_device_is_control_until_it_is_told_to_install() {
    let mut field = Field::new(500, |_| Fate::Well);
    field.publish(quick());
    for _ in 0..30 {
        field.tick();
    }
    while field.busy.is_empty() {
        field.tick();
    }
    let granted: Vec<DeviceId> = field.busy.keys().copied().collect();
    let now = field.now;
    field.dead.extend(granted.iter().map(|device| (*device, now)));
    for _ in 0..120 {
        field.tick();
    }
    let events = || field.looks.iter().flat_map(|look| &look.strata).flat_map(|one| &one.events);
    let of = |arm| events().filter(|one| one.arm == arm).map(|one| one.devices).sum::<u64>();
    assert_eq!([of(Arm::Control), of(Arm::Updated)], [granted.len() as u64, 0]);
}

/// The looks are all that is needed to know what was known.
#[test]
fn a_restart_goes_on_from_the_looks() {
    let mut field = Field::new(200, |_| Fate::Well);
    let id = field.publish(quick());
    for _ in 0..60 {
        field.tick();
    }
    let course = field.loops.operation(id).unwrap().course.clone();
    let before = course.unwrap().evidence.unwrap().judged;
    assert!(before.look > 5);
    let mut snapshot = Durable::default();
    std::mem::take(&mut field.records).into_iter().for_each(|record| snapshot.apply(record));
    let snapshot = snapshot.snapshot();
    assert_eq!(snapshot.looks, field.looks);
    field.loops = Loops::restore(config(), &snapshot, &field.fleet, field.now);
    field.turn();
    for _ in 0..20 {
        field.tick();
    }
    let course = field.loops.operation(id).unwrap().course.clone();
    let after = course.unwrap().evidence.unwrap().judged;
    assert!(after.look > before.look);
    let updated = |judged: &model::Judged| judged.strata.iter().map(|one| one.updated).sum::<u64>();
    assert!(updated(&after) >= updated(&before), "{after:?}");
    assert_eq!(field.run(id, 3_000), OperationState::Finished);
    let numbers: Vec<u64> = field.looks.iter().map(|look| look.number).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
}

#[test]
fn gates_wait_for_an_operator() {
    let mut rule = quick();
    rule.approval.phases = vec![model::Phase::Cautious];
    let mut field = Field::new(200, |_| Fate::Well);
    let id = field.publish(rule);
    field.run(id, 300);
    assert_eq!(field.state(id), OperationState::Paused);
    let last = field.decisions.last().unwrap();
    assert_eq!(last.verdict, Verdict::Pause);
    assert_eq!(last.reason, Reason::Approval { gate: Gate::Phase(model::Phase::Cautious) });
    field.loops.resume(id, "me", "go", field.now).unwrap();
    assert_eq!(field.run(id, 3_000), OperationState::Finished);
}

/// One failure of a device is an anecdote: the operation learns the fleet's usual rate.
#[test]
fn the_next_operation_tolerates_what_the_last_one_showed() {
    let mut field =
        Field::new(500, |device| if device.id.0 % 40 == 0 { Fate::Fails } else { Fate::Well });
    let id = field.publish(Evidence { tolerated_min: Rate::percent(10), ..quick() });
    assert_eq!(field.run(id, 3_000), OperationState::Finished, "{:?}", field.codes());
    let failed = |state: &AttemptState| matches!(state, AttemptState::Failed { .. });
    let assignments = (1..=500).filter_map(|n| field.loops.assignment(id, DeviceId(n)));
    assert_eq!(assignments.filter(|one| failed(&one.state)).count(), 12);
    let policy = Policy { rule: Rule::Evidence(quick()), ..policy() };
    let release = firmware("sensor", "3.0.0", "");
    let next = field.loops.publish(release, "test", Some(policy), &field.fleet, 7, field.now);
    let next = next.unwrap().1.unwrap();
    field.turn();
    let plan = field.loops.operation(next).unwrap().evidence.clone().unwrap();
    let learned = plan.strata.iter().map(|one| one.tolerance.learned.value()).fold(0.0, f64::max);
    assert!((0.025..0.05).contains(&learned), "{plan:?}");
}

#[test]
fn the_first_checks_of_silence_are_spread_and_find_it_no_sooner() {
    let mut field = Field::new(200, |_| Fate::Well);
    let ids: Vec<DeviceId> = field.fleet.iter().map(|device| device.id).collect();
    for id in ids {
        field.fleet.device_mut(id).unwrap().lifetime = Duration::from_secs(3_600);
    }
    // Nobody calls, and the looks are far apart, so that only silences are due.
    let begun = field.now;
    field.publish(Evidence { look: Span::secs(86_400), ..Evidence::default() });
    field.turn();
    let (mut checks, mut last) = (0, begun);
    while let Some(at) = field.loops.poll_timeout().filter(|at| at.since(begun).as_secs() < 7_200) {
        assert!(at > last, "each moment once");
        checks += 1;
        (field.now, last) = (at, at);
        field.turn();
    }
    assert!(checks > 100, "{checks}");
    assert!(field.looks.iter().all(|look| look.left.is_empty()), "nobody is silent yet");
}

/// A change is not held against the one before it: what a device does once another operation has
/// told it to install says nothing of the change that it had before. Restarts know it too.
#[test]
fn a_later_change_is_not_held_against_the_one_before() {
    for restarts in [false, true] {
        let mut field = Field::new(400, |device| {
            let later = device.version.as_ref().is_some_and(|version| version.as_str() >= "2");
            if later { Fate::Dies(3) } else { Fate::Well }
        });
        let first = field.publish(Evidence { watch: Span::secs(3_000), ..quick() });
        while field.updated("A") + field.updated("B") < 300 {
            field.tick();
        }
        let second = field.publish_later("3.0.0");
        while field.dead.len() < 5 {
            field.tick();
        }
        if restarts {
            field.restart();
        }
        for _ in 0..300 {
            field.tick();
        }
        let silent = |id: OperationId| {
            let looks: Vec<Look> =
                field.looks.iter().filter(|look| look.operation == id).cloned().collect();
            let silent = |arm| events(&looks, HealthEventKind::Silence, arm);
            (silent(Arm::Updated), silent(Arm::Control))
        };
        let stopped = field.decisions.iter().find(|one| one.reason.code() == "evidence.stratum");
        assert_eq!(stopped.map(|one| one.operation), Some(second), "{:?}", field.codes());
        assert_eq!(silent(first), (0, 0), "restarts: {restarts}");
        assert!(silent(second).0 >= 5);
        let watch = field.decisions.iter().rfind(|one| one.reason.code() == "evidence.watch");
        let said = watch.unwrap().reason.to_string();
        assert!(said.starts_with("whoever may be updated is; faults that show late"), "{said}");
    }
}
