//! Chosen scenes, step by step.

use std::time::Duration;

use model::{
    AttemptState, DeviceId, Eligibility, Fault, FaultKind, Fleet, Intent, Manifest, OperationId,
    OperationState, Origin, Outcome, Policy, Presence, Progress, Rate, Record, ReleaseId, Rule,
    Scope, Span, Stage, Step, Strategy, Time, Verdict, Version,
};

use super::world::{Nature, World};
use super::{config, device, firmware, fleet, observed, policy};
use crate::{
    Config, Dispatch, Loops, OpenError, OpenRequest, OrderError, Output, Planned, PublishError,
};

/// The loops with nobody around: each scene plays the drivers and the clock itself.
pub(super) struct Bench {
    pub(super) loops: Loops,
    pub(super) fleet: Fleet,
    pub(super) now: Time,
}

impl Bench {
    pub(super) fn new(fleet: Fleet) -> Self {
        Self::with(config(), fleet)
    }

    pub(super) fn with(config: Config, fleet: Fleet) -> Self {
        Self { loops: Loops::new(config), fleet, now: Time::from_secs(1_000) }
    }

    pub(super) fn publish(&mut self, manifest: Manifest, policy: Policy) -> OperationId {
        let published =
            self.loops.publish(manifest, "test", Some(policy), &self.fleet, 7, self.now);
        published.unwrap().1.unwrap()
    }

    pub(super) fn pick(&mut self, release: u64, devices: &[u64]) -> Result<OperationId, OpenError> {
        let request = OpenRequest {
            release: ReleaseId(release),
            scope: Scope::Picked { devices: devices.iter().map(|id| DeviceId(*id)).collect() },
            policy: policy(),
            origin: Origin::Manual { by: "test".to_owned() },
            agreement: None,
        };
        self.loops.open(request, &self.fleet, 7, self.now)
    }

    pub(super) fn turn(&mut self) -> Vec<Output> {
        self.loops.activate(&self.fleet, self.now);
        std::iter::from_fn(|| self.loops.poll_output()).collect()
    }

    pub(super) fn later(&mut self, seconds: u64) -> Vec<Output> {
        self.now = self.now + Duration::from_secs(seconds);
        self.turn()
    }

    pub(super) fn dispatches(&mut self) -> Vec<Dispatch> {
        dispatched(self.turn())
    }

    pub(super) fn report(&mut self, dispatch: &Dispatch, progress: Progress) {
        let Dispatch { operation, device, attempt, .. } = *dispatch;
        self.loops.report(operation, device, attempt, progress, &self.fleet, self.now);
    }

    /// Drives one device to the proof of that version.
    pub(super) fn succeed(&mut self, dispatch: &Dispatch, version: &str) {
        for progress in [Progress::Sent, Progress::Claimed, Progress::Returned] {
            self.report(dispatch, progress);
        }
        let version = Version::new(version);
        self.fleet.device_mut(dispatch.device).unwrap().version = Some(version.clone());
        let reported = Progress::Reported { version: Some(version), claims_success: Some(true) };
        self.report(dispatch, reported);
    }

    pub(super) fn fail(&mut self, dispatch: &Dispatch, kind: FaultKind) {
        self.report(dispatch, Progress::Sent);
        self.report(dispatch, Progress::Failed(Fault { kind, detail: String::new() }));
    }

    pub(super) fn state(&self, operation: OperationId, device: u64) -> String {
        let assignment = self.loops.assignment(operation, DeviceId(device));
        assignment.map_or("none", |assignment| assignment.state.as_str()).to_owned()
    }

    pub(super) fn operation_state(&self, operation: OperationId) -> OperationState {
        self.loops.operation(operation).unwrap().state
    }
}

pub(super) fn dispatched(outputs: Vec<Output>) -> Vec<Dispatch> {
    outputs
        .into_iter()
        .filter_map(|output| match output {
            Output::Dispatch(dispatch) => Some(dispatch),
            _ => None,
        })
        .collect()
}

fn outcomes(outputs: &[Output]) -> Vec<&Outcome> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Record(Record::Outcome(outcome)) => Some(&**outcome),
            _ => None,
        })
        .collect()
}

/// Sizes of the elements granted in a world, in order.
fn sizes(world: &World) -> Vec<usize> {
    world.durable.grants.values().map(|grant| grant.devices.len()).collect()
}

fn played(natures: &[Nature], policy: Policy, count: u64) -> World {
    let mut world = World::new(3, config(), fleet(count, "1.0.0"), natures);
    let goal = firmware("sensor", "2.0.0", "[confirm]\nwithin = \"60s\"");
    world.loops.publish(goal, "test", Some(policy), &world.fleet, 3, world.now).unwrap();
    world.turn(false);
    while world.step(false) {}
    world
}

#[test]
fn a_calm_operation_doubles_and_finishes() {
    let world = played(&[Nature::Good], policy(), 150);
    assert_eq!(sizes(&world), [1, 2, 4, 8, 16, 32, 37, 37, 13]);
    let operation = world.loops.operation(OperationId(1)).unwrap();
    assert_eq!(operation.state, OperationState::Finished);
    assert_eq!(world.loops.counts(operation.id).unwrap().succeeded, 150);
    assert!(world.truths.values().all(|truth| truth.flashes == 1));
}

#[test]
fn bad_firmware_is_stopped_after_a_few_devices() {
    for nature in [Nature::Bricks, Nature::Refuses, Nature::Lies] {
        let world = played(&[nature], policy(), 150);
        let operation = world.loops.operation(OperationId(1)).unwrap();
        assert_eq!(operation.state, OperationState::Aborted, "{nature:?}");
        let counts = world.loops.counts(operation.id).unwrap();
        assert!(counts.failed <= 3, "{nature:?}: {counts:?}");
        assert_eq!(counts.targets(), 150);
    }
    let world = played(&[Nature::ImageFault], policy(), 150);
    assert_eq!(world.loops.counts(OperationId(1)).unwrap().failed, 1, "stops at once in Test");
}

#[test]
fn records_come_before_the_effects_that_rest_on_them() {
    let mut bench = Bench::new(fleet(5, "1.0.0"));
    bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let outputs = bench.turn();
    let at = |wanted: &str| {
        outputs.iter().position(|output| format!("{output:?}").starts_with(wanted)).unwrap()
    };
    let order = [
        "Record(Release",
        "Record(Operation",
        "Record(Decision",
        "Record(Grant",
        "Record(Assignment",
        "Dispatch",
    ];
    let places: Vec<usize> = order.iter().map(|wanted| at(wanted)).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(bench.turn(), [], "activating again changes nothing");
}

#[test]
fn an_abort_takes_back_whoever_was_not_told_to_install() {
    let mut bench = Bench::new(fleet(8, "1.0.0"));
    let policy = Policy { first_speed: 8, speed_max: Rate::WHOLE, ..policy() };
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy);
    let orders = bench.dispatches();
    assert_eq!(orders.len(), 8);
    for order in &orders[..4] {
        bench.report(order, Progress::Sent);
    }
    bench.report(&orders[1], Progress::Accepted);
    bench.report(&orders[2], Progress::Transferred);
    bench.report(&orders[0], Progress::Claimed);
    bench.loops.abort(id, "me", "looks bad", bench.now).unwrap();
    let outputs = bench.turn();
    let recalled = outputs.iter().filter(|o| matches!(o, Output::Recall { .. })).count();
    assert_eq!(recalled, 7);
    let counts = bench.loops.counts(id).unwrap();
    assert_eq!((counts.cancelled, counts.in_flight), (7, 1));
    let stopped = outcomes(&outputs);
    assert_eq!(stopped.len(), 3, "what something was sent to has an outcome");
    assert!(stopped.iter().all(|outcome| outcome.state == AttemptState::Cancelled));
    // Late words about what was taken back change nothing; what was told may complete.
    bench.report(&orders[1], Progress::Claimed);
    bench.succeed(&orders[0], "2.0.0");
    let counts = bench.loops.counts(id).unwrap();
    assert_eq!((counts.cancelled, counts.succeeded), (7, 1));
    let again = bench.loops.resume(id, "me", "", bench.now);
    let state = OperationState::Aborted;
    assert_eq!(again, Err(OrderError::Ended { operation: id, state }));
}

#[test]
fn silence_is_probed_once_and_then_an_error() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", "[confirm]\nwithin = \"60s\""), policy());
    let order = bench.dispatches().remove(0);
    bench.report(&order, Progress::Sent);
    bench.report(&order, Progress::Claimed);
    bench.turn();
    assert_eq!(bench.loops.poll_timeout(), Some(bench.now + Duration::from_secs(60)));
    let probes = |outputs: &[Output]| {
        outputs.iter().filter(|output| matches!(output, Output::Probe { .. })).count()
    };
    assert_eq!(probes(&bench.later(59)), 0);
    assert_eq!(probes(&bench.later(1)), 1);
    assert_eq!(probes(&bench.later(29)), 0);
    assert_eq!(bench.state(id, 1), "claimed");
    let outputs = bench.later(1);
    assert_eq!(outcomes(&outputs)[0].state, AttemptState::Silent);
    assert_eq!(bench.loops.counts(id).unwrap().failed, 1);
}

#[test]
fn a_standstill_is_tried_again_and_counts_as_a_warning() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let order = bench.dispatches().remove(0);
    bench.report(&order, Progress::Sent);
    bench.later(100);
    bench.report(&order, Progress::Transferring { bytes: 10 });
    bench.later(100);
    assert_eq!(bench.state(id, 1), "accepted", "new bytes are progress");
    bench.report(&order, Progress::Transferring { bytes: 10 });
    let outputs = bench.later(20);
    assert!(outputs.iter().any(|output| matches!(output, Output::Recall { .. })));
    assert_eq!(bench.state(id, 1), "deferred");
    assert_eq!(bench.loops.counts(id).unwrap().waiting, 1);
    assert_eq!(bench.loops.exclusions(id, &bench.fleet, bench.now)["retry.waiting"], 1);
    // Words of the first try are not taken for the second's.
    bench.succeed(&order, "1.0.0");
    let again = dispatched(bench.later(30)).remove(0);
    assert_eq!((again.attempt, again.resume), (2, true));
    bench.report(&order, Progress::Claimed);
    assert_eq!(bench.state(id, 1), "granted");
    bench.succeed(&again, "2.0.0");
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Finished);
}

#[test]
fn each_hop_of_a_path_is_confirmed() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let now = bench.now;
    let middle = firmware("sensor", "1.1.0", "");
    bench.loops.publish(middle, "test", None, &bench.fleet, 7, now).unwrap();
    let goal = firmware("sensor", "2.0.0", "[[upgrade]]\nfrom = \"1.1.*\"");
    let id = bench.publish(goal, policy());
    let first = bench.dispatches().remove(0);
    assert_eq!(first.release, ReleaseId(1));
    bench.succeed(&first, "1.1.0");
    let outputs = bench.turn();
    assert_eq!(outcomes(&outputs)[0].release, ReleaseId(1));
    assert_eq!(bench.loops.counts(id).unwrap().in_flight, 1);
    let second = dispatched(outputs).remove(0);
    assert_eq!((second.release, second.attempt, second.resume), (ReleaseId(2), 2, false));
    bench.succeed(&second, "2.0.0");
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Finished);
    let done = bench.loops.assignment(id, DeviceId(1)).unwrap();
    assert_eq!((done.hops, done.version_before.clone()), (1, Some(Version::new("1.0.0"))));
}

#[test]
fn a_device_is_changed_by_one_operation_at_a_time() {
    let mut bench = Bench::new(fleet(20, "1.0.0"));
    let minor = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let first = bench.dispatches().remove(0);
    let mut urgent = firmware("security", "1.0.1", "");
    urgent.release.class = model::Criticality::Critical;
    let critical = bench.publish(urgent, policy());
    let counts = bench.loops.counts(minor).unwrap();
    // The critical one has everything next but the device that is being changed.
    assert_eq!((counts.in_flight, counts.eligible, counts.waiting), (1, 0, 19));
    let codes = bench.loops.exclusions(minor, &bench.fleet, bench.now);
    assert_eq!(codes["lower_priority"], 19);
    let codes = bench.loops.exclusions(critical, &bench.fleet, bench.now);
    assert_eq!(codes["busy.other_operation"], 1);
    let second = bench.dispatches().remove(0);
    assert_eq!(second.operation, critical);
    assert_ne!(second.device, first.device);
    // What the urgent one gives back is free for the other.
    bench.loops.abort(critical, "me", "", bench.now).unwrap();
    bench.turn();
    assert_eq!(bench.loops.counts(minor).unwrap().eligible, 19);
}

#[test]
fn whoever_turns_up_later_is_brought_to_compliance() {
    let mut world = played(&[Nature::Good], policy(), 10);
    assert_eq!(world.loops.operations().count(), 1);
    world.schedule_arrival(100);
    world.schedule_arrival(100);
    world.schedule_arrival(1_000);
    while world.step(false) {}
    let followers: Vec<&model::Operation> = world.loops.operations().skip(1).collect();
    assert_eq!(followers.len(), 2, "those that come together share an operation");
    for operation in &followers {
        assert!(matches!(operation.origin, Origin::Compliance { .. }));
        assert_eq!(operation.state, OperationState::Finished);
        assert_eq!(operation.scope, Scope::Fleet);
    }
    assert!(world.truths.values().all(|truth| truth.version == Version::new("2.0.0")));
}

#[test]
fn what_failed_is_not_tried_for_ever() {
    let mut bench = Bench::new(fleet(3, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    for round in 0..3 {
        let order = bench.dispatches().remove(0);
        if round == 0 {
            bench.fail(&order, FaultKind::UpdateFailed);
        } else {
            bench.succeed(&order, "2.0.0");
        }
    }
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Finished);
    for device in 1..=3 {
        bench.loops.device_changed(DeviceId(device), &bench.fleet, bench.now);
    }
    bench.later(1_000);
    assert_eq!(bench.loops.operations().count(), 1, "nobody asked for another try");
    // An operator may.
    let failed = bench.loops.assignments(id).find(|a| a.state.as_str() == "failed").unwrap();
    let picked = bench.pick(1, &[failed.device.0]).unwrap();
    let order = bench.dispatches().remove(0);
    assert_eq!(order.operation, picked);
    // It works now: from here on the device is kept up to date like every other.
    bench.succeed(&order, "2.0.0");
    bench.turn();
    bench.fleet.device_mut(order.device).unwrap().version = Some(Version::new("1.0.0"));
    bench.loops.device_changed(order.device, &bench.fleet, bench.now);
    bench.later(1_000);
    assert_eq!(bench.loops.operations().count(), 3);
}

#[test]
fn an_aborted_release_is_brought_to_nobody() {
    let mut bench = Bench::new(fleet(3, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    bench.turn();
    bench.loops.abort(id, "me", "", bench.now).unwrap();
    bench.fleet.insert(device(4, "1.0.0"));
    bench.loops.device_changed(DeviceId(4), &bench.fleet, bench.now);
    bench.later(1_000);
    assert_eq!(bench.loops.operations().count(), 1);
}

#[test]
fn a_pause_stops_new_devices_and_keeps_the_brake() {
    let mut bench = Bench::new(fleet(20, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let order = bench.dispatches().remove(0);
    bench.loops.pause(id, "me", "lunch", bench.now).unwrap();
    assert_eq!(bench.loops.pause(id, "me", "", bench.now), Err(OrderError::AlreadyPaused(id)));
    bench.succeed(&order, "2.0.0");
    assert_eq!(bench.dispatches(), [], "the next element waits");
    let known = bench.fleet.device(DeviceId(20)).unwrap();
    let Eligibility::Waiting { exclusion } = bench.loops.identify(id, known, bench.now) else {
        panic!("paused")
    };
    assert_eq!(exclusion.code(), "operation.paused");
    bench.loops.resume(id, "me", "", bench.now).unwrap();
    assert_eq!(bench.dispatches().len(), 2);
    let other = OperationId(9);
    assert_eq!(
        bench.loops.pause(other, "me", "", bench.now),
        Err(OrderError::UnknownOperation(other))
    );
    assert_eq!(bench.loops.resume(id, "me", "", bench.now), Err(OrderError::NotPaused(id)));
}

#[test]
fn bad_news_in_the_middle_of_an_element_stops_it() {
    let mut bench = Bench::new(fleet(100, "1.0.0"));
    let policy = Policy { first_speed: 20, ..policy() };
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy);
    let orders = bench.dispatches();
    assert_eq!(orders.len(), 20);
    bench.fail(&orders[0], FaultKind::UpdateFailed);
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Ongoing, "one is an anecdote");
    bench.fail(&orders[1], FaultKind::UpdateFailed);
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Aborted);
    let counts = bench.loops.counts(id).unwrap();
    assert_eq!((counts.failed, counts.cancelled, counts.waiting), (2, 18, 80));
}

#[test]
fn a_worse_response_time_slows_down_for_one_iteration() {
    // Reference: paper A figure 5, scenario 1.
    let mut bench = Bench::new(fleet(150, "1.0.0"));
    let policy = Policy { strategy: Strategy::Linear { add: 4 }, first_speed: 2, ..policy() };
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy);
    let mut sizes = Vec::new();
    for iteration in 0..7 {
        let orders = bench.dispatches();
        sizes.push(orders.len());
        let millis = if iteration == 4 { 300 } else { 20 };
        for order in &orders {
            bench.loops.response_time(Duration::from_millis(millis), bench.now);
            bench.succeed(order, "2.0.0");
        }
    }
    assert_eq!(sizes, [2, 6, 10, 14, 18, 14, 22], "{:?}", bench.loops.operation(id));
}

#[test]
fn a_fixed_plan_keeps_its_times() {
    let stage = |points, wait| Stage { share: Rate::basis_points(points), wait: Span::secs(wait) };
    let stages = vec![stage(1, 100), stage(300, 200), stage(625, 50)];
    let policy = Policy { rule: Rule::Plan { stages }, ..policy() };
    let mut bench = Bench::new(fleet(160, "1.0.0"));
    bench.publish(firmware("sensor", "2.0.0", ""), policy);
    let mut granted = Vec::new();
    for _ in 0..5 {
        let orders = bench.dispatches();
        granted.push((bench.now.since(Time::from_secs(1_000)).as_secs(), orders.len()));
        orders.iter().for_each(|order| bench.succeed(order, "2.0.0"));
        assert_eq!(bench.dispatches(), [], "not before its time");
        bench.now = bench.loops.poll_timeout().unwrap();
    }
    assert_eq!(granted, [(0, 1), (100, 4), (300, 10), (350, 10), (400, 10)]);
}

#[test]
fn the_capacity_of_the_server_is_never_exceeded() {
    let policy = Policy { first_speed: 50, speed_max: Rate::WHOLE, ..policy() };
    let mut bench = Bench::with(Config { parallel_max: 4, ..config() }, fleet(20, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy);
    let mut running = bench.dispatches();
    assert_eq!(running.len(), 4);
    assert_eq!(bench.loops.counts(id).unwrap().in_flight, 20);
    let mut done = 0;
    while let Some(order) = running.pop() {
        bench.succeed(&order, "2.0.0");
        done += 1;
        running.extend(bench.dispatches());
        assert!(running.len() <= 4);
    }
    assert_eq!(done, 20);
    assert_eq!(bench.operation_state(id), OperationState::Finished);
}

#[test]
fn waiting_devices_join_by_themselves_and_are_waited_for() {
    let mut bench = Bench::new(fleet(2, "1.0.0"));
    let low = DeviceId(2);
    bench.fleet.device_mut(low).unwrap().datamodel.battery_percent = observed(5, bench.now);
    let extra = "[requires]\nbattery = { percent = 50 }";
    let id = bench.publish(firmware("sensor", "2.0.0", extra), policy());
    let order = bench.dispatches().remove(0);
    bench.succeed(&order, "2.0.0");
    assert_eq!(bench.dispatches(), []);
    assert_eq!(bench.operation_state(id), OperationState::Ongoing);
    bench.fleet.device_mut(low).unwrap().datamodel.battery_percent = observed(80, bench.now);
    bench.loops.device_changed(low, &bench.fleet, bench.now);
    let order = bench.dispatches().remove(0);
    assert_eq!(order.device, low);
    bench.fail(&order, FaultKind::NoAnswer);
    bench.fleet.device_mut(low).unwrap().presence = Presence::Offline;
    bench.loops.device_changed(low, &bench.fleet, bench.now);
    // The time to linger counts from the last movement.
    bench.later(3_599);
    assert_eq!(bench.operation_state(id), OperationState::Ongoing);
    let outputs = bench.later(1);
    assert_eq!(bench.operation_state(id), OperationState::Finished);
    let words = outputs.iter().find_map(|output| match output {
        Output::Record(Record::Decision(decision)) => Some(decision.to_string()),
        _ => None,
    });
    assert_eq!(
        words.unwrap(),
        "Finish: only waiting devices are left (1); they follow when they turn up"
    );
}

#[test]
fn a_new_release_opens_a_path() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let goal = firmware("sensor", "2.0.0", "[[upgrade]]\nfrom = \"1.1.*\"");
    let id = bench.publish(goal, policy());
    assert_eq!(bench.dispatches(), []);
    assert_eq!(bench.loops.exclusions(id, &bench.fleet, bench.now)["path.no_edge"], 1);
    let now = bench.now;
    let middle = firmware("sensor", "1.1.0", "");
    bench.loops.publish(middle, "test", None, &bench.fleet, 7, now).unwrap();
    assert_eq!(bench.dispatches()[0].release, ReleaseId(2));
}

#[test]
fn orders_that_cannot_be_carried_out_say_why() {
    let mut bench = Bench::with(
        Config { operations_open_max: 1, devices_picked_max: 2, ..config() },
        fleet(3, "1.0.0"),
    );
    let manifest = firmware("sensor", "2.0.0", "");
    let bad = Policy { first_speed: 0, ..policy() };
    let refused = bench.loops.publish(manifest.clone(), "t", Some(bad), &bench.fleet, 1, bench.now);
    assert!(matches!(refused, Err(PublishError::Start(OpenError::Policy(_)))));
    assert_eq!(bench.turn(), [], "nothing was published");
    assert_eq!(bench.pick(1, &[1]), Err(OpenError::UnknownRelease(ReleaseId(1))));
    let (release, _) =
        bench.loops.publish(manifest.clone(), "t", None, &bench.fleet, 1, bench.now).unwrap();
    let again = bench.loops.publish(manifest.clone(), "t", None, &bench.fleet, 1, bench.now);
    assert!(matches!(again, Err(PublishError::Exists { .. })));
    assert_eq!(bench.pick(1, &[]), Err(OpenError::NoDevices));
    assert_eq!(bench.pick(1, &[1, 2, 3]), Err(OpenError::TooManyDevices { named: 3, max: 2 }));
    assert_eq!(bench.pick(1, &[1, 8]), Err(OpenError::UnknownDevice(DeviceId(8))));
    let id = bench.pick(1, &[2, 1, 2]).unwrap();
    assert_eq!(bench.pick(1, &[3]), Err(OpenError::TooManyOpen { open: 1 }));
    let plan = bench
        .loops
        .plan(Planned::Release(release), &Scope::Fleet, &policy(), &bench.fleet, bench.now)
        .unwrap();
    assert_eq!((plan.eligible, plan.first_speed, plan.speed_max), (3, 1, 1));
    assert_eq!(plan.paths[0].through, [Version::new("2.0.0")]);
    let order = bench.dispatches().remove(0);
    assert_eq!(order.operation, id);
    let draft = firmware("other", "3.0.0", "");
    let plan = bench
        .loops
        .plan(Planned::Manifest(&draft), &Scope::Fleet, &policy(), &bench.fleet, bench.now)
        .unwrap();
    assert_eq!((plan.eligible, plan.waiting), (2, 1));
    assert_eq!((plan.conflicts[0].operation, plan.conflicts[0].devices), (id, 1));
    assert_eq!(plan.waiting_by["busy.other_operation"], 1);
}

#[test]
fn configurations_go_the_same_way() {
    let text = "manifest = 1\n[release]\nname = \"rate\"\nversion = \"3\"\nclass = \"hotfix\"\n\
                [[target]]\nmanufacturer = \"Acme\"\nmodel = \"Sensor\"\n\
                [[write]]\npath = \"/1/0/1\"\nvalue = 60\n";
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(Manifest::from_toml(text).unwrap(), policy());
    let order = bench.dispatches().remove(0);
    let model::Change::Configuration { writes, version } = &*order.change else { panic!() };
    assert_eq!((writes.len(), version), (1, &Version::new("3")));
    bench.report(&order, Progress::Sent);
    bench.report(&order, Progress::Claimed);
    bench.report(&order, Progress::Returned);
    let device = bench.fleet.device_mut(DeviceId(1)).unwrap();
    device.configurations.insert("rate".to_owned(), Version::new("3"));
    let version = Some(Version::new("3"));
    bench.report(&order, Progress::Reported { version, claims_success: Some(true) });
    let outputs = bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Finished);
    let finish = outputs.iter().any(|output| {
        matches!(output, Output::Record(Record::Decision(d)) if d.verdict == Verdict::Finish)
    });
    assert!(finish);
}

/// I8: a device that falls silent while it soaks has not gone on running.
#[test]
fn silence_during_the_soak_is_not_success() {
    for (presence, at_end, expected) in [
        (Presence::Offline, Presence::Offline, AttemptState::Silent),
        (Presence::Offline, Presence::Online, AttemptState::Succeeded),
        (Presence::Online, Presence::Online, AttemptState::Succeeded),
        // Asleep is no silence: it calls by itself.
        (Presence::Asleep, Presence::Asleep, AttemptState::Succeeded),
    ] {
        let mut bench = Bench::new(fleet(1, "1.0.0"));
        let soak = firmware("sensor", "2.0.0", "[confirm]\nwithin = \"60s\"\nsoak = \"300s\"");
        let operation = bench.publish(soak, policy());
        let dispatch = bench.dispatches().remove(0);
        bench.succeed(&dispatch, "2.0.0");
        bench.turn();
        let state =
            |bench: &Bench| bench.loops.assignment(operation, DeviceId(1)).unwrap().state.clone();
        assert_eq!(state(&bench), AttemptState::Soaking);
        bench.fleet.device_mut(DeviceId(1)).unwrap().presence = presence;
        bench.loops.device_changed(DeviceId(1), &bench.fleet, bench.now);
        let outputs = bench.later(300);
        let probed = outputs.iter().any(|output| matches!(output, Output::Probe { .. }));
        assert_eq!(probed, presence == Presence::Offline);
        bench.fleet.device_mut(DeviceId(1)).unwrap().presence = at_end;
        bench.later(config().probe_s);
        assert_eq!(state(&bench), expected, "{presence:?}, then {at_end:?}");
    }
}

/// A guard relative to the device's own value needs that value from right before the change.
#[test]
fn the_baseline_is_taken_when_the_change_begins() {
    let guard = "[[guard]]\nname = \"level\"\npath = \"/3303/0/5700\"\nexpect = { min_percent_of_baseline = 50 }";
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", guard), policy());
    let order = bench.dispatches().remove(0);
    assert_eq!(order.guards.len(), 1);
    let path: model::ResourcePath = "/3303/0/5700".to_owned().try_into().unwrap();
    let value = model::Observed { value: model::Scalar::Text("40.5".into()), at: bench.now };
    bench.fleet.device_mut(DeviceId(1)).unwrap().datamodel.values.insert(path, value);
    bench.report(&order, Progress::Sent);
    assert_eq!(bench.loops.assignment(id, DeviceId(1)).unwrap().baseline[0], Some(40));
}

/// A device that soaks is followed again after a restart: its guarded values must be read.
#[test]
fn a_soaking_device_is_looked_at_after_a_restart() {
    let mut world = World::new(1, config(), fleet(1, "1.0.0"), &[Nature::Good]);
    let release = firmware("sensor", "2.0.0", "[confirm]\nsoak = \"600s\"");
    world.loops.publish(release, "test", Some(policy()), &world.fleet, 1, world.now).unwrap();
    world.turn(false);
    let soaks = |world: &World| {
        let known = world.loops.assignment(OperationId(1), DeviceId(1));
        known.is_some_and(|known| known.state == AttemptState::Soaking)
    };
    while !soaks(&world) {
        assert!(world.step(false));
    }
    let snapshot = world.durable.snapshot();
    let mut after = Loops::restore(config(), &snapshot, &world.fleet, world.now);
    let outputs: Vec<Output> = std::iter::from_fn(|| after.poll_output()).collect();
    assert!(dispatched(outputs)[0].resume);
}

/// After a crash the intent is all that tells whether a device may be installing.
#[test]
fn an_abort_after_a_restart_leaves_who_may_be_installing() {
    for (step, expected) in [(Step::Transfer, "cancelled"), (Step::Install, "transferred")] {
        let mut world = World::new(1, config(), fleet(1, "1.0.0"), &[Nature::Good]);
        let release = firmware("sensor", "2.0.0", "");
        world.loops.publish(release, "test", Some(policy()), &world.fleet, 1, world.now).unwrap();
        world.turn(false);
        let state = |loops: &Loops| {
            let known = loops.assignment(OperationId(1), DeviceId(1)).unwrap();
            known.state.as_str()
        };
        while state(&world.loops) != "transferred" {
            assert!(world.step(false));
        }
        let known = world.loops.assignment(OperationId(1), DeviceId(1)).unwrap();
        let intent = Intent {
            operation: known.operation,
            device: known.device,
            attempt: known.attempt,
            release: known.path[0],
            step,
            at: world.now,
        };
        let mut snapshot = world.durable.snapshot();
        snapshot.intents.push(intent);
        let mut after = Loops::restore(config(), &snapshot, &world.fleet, world.now);
        after.abort(OperationId(1), "me", "", world.now).unwrap();
        assert_eq!(state(&after), expected);
        // Its driver finds the image still waiting: it is not told again.
        after.withdraw(OperationId(1), DeviceId(1), 1, world.now);
        assert_eq!(state(&after), "cancelled");
    }
}

impl Bench {
    fn presence(&mut self, device: u64, presence: Presence) {
        self.fleet.device_mut(DeviceId(device)).unwrap().presence = presence;
        self.loops.device_changed(DeviceId(device), &self.fleet, self.now);
    }
}

/// Sleep is nobody's fault: it takes no try, holds no element up, and is no attempt in the rates.
#[test]
fn a_device_that_sleeps_before_anything_was_sent_loses_no_try() {
    let one_try = || Policy {
        retry: model::Retry { attempts_max: 1, ..policy().retry },
        first_speed: 2,
        speed_max: Rate::WHOLE,
        parallel_max: 1,
        ..policy()
    };
    // In the queue: it is never dispatched, and the element ends without it.
    let mut bench = Bench::new(fleet(2, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), one_try());
    let first = bench.dispatches().remove(0);
    let queued = 3 - first.device.0;
    bench.presence(queued, Presence::Asleep);
    bench.succeed(&first, "2.0.0");
    assert_eq!(bench.dispatches(), []);
    assert_eq!(bench.loops.counts(id).unwrap().in_flight, 0);
    bench.presence(queued, Presence::Online);
    let order = bench.dispatches().remove(0);
    assert_eq!((order.device.0, order.resume), (queued, false));
    // At its first look.
    bench.presence(queued, Presence::Asleep);
    let outputs = bench.turn();
    assert!(outputs.iter().any(|output| matches!(output, Output::Recall { .. })), "{outputs:?}");
    assert_eq!(outcomes(&outputs).len(), 0);
    bench.presence(queued, Presence::Online);
    let order = bench.dispatches().remove(0);
    // As its driver finds out.
    bench.report(&order, Progress::Sent);
    let fault = Fault { kind: FaultKind::Away, detail: String::new() };
    bench.report(&order, Progress::Failed(fault));
    let order = bench.dispatches().remove(0);
    assert_eq!(bench.loops.assignment(id, order.device).unwrap().tries(), 1);
    bench.succeed(&order, "2.0.0");
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Finished);
    assert_eq!(bench.loops.counts(id).unwrap().succeeded, 2);
}

/// Sleep between the end of the transfer and the order to install is no standstill: only the time
/// awake counts. Before that the device must make progress by itself.
#[test]
fn a_device_that_sleeps_after_the_transfer_goes_on_when_it_is_awake() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let order = bench.dispatches().remove(0);
    bench.report(&order, Progress::Sent);
    bench.report(&order, Progress::Transferred);
    // Of the 120 s allowed it is awake for 100 s, then for 19 s, then for 2 s.
    bench.later(100);
    for awake_s in [19, 2] {
        bench.presence(1, Presence::Asleep);
        bench.later(3_600);
        bench.presence(1, Presence::Online);
        assert_eq!(bench.state(id, 1), "transferred");
        bench.later(awake_s);
    }
    assert_eq!(bench.state(id, 1), "deferred");
    assert_eq!(bench.loops.assignment(id, order.device).unwrap().tries(), 1);
    // Awake in time it simply succeeds.
    let again = dispatched(bench.later(3_600)).remove(0);
    bench.report(&again, Progress::Sent);
    bench.report(&again, Progress::Transferred);
    bench.presence(1, Presence::Asleep);
    bench.later(3_600);
    bench.presence(1, Presence::Online);
    bench.succeed(&again, "2.0.0");
    assert_eq!(bench.state(id, 1), "succeeded");
    // Who does not even call any more is away, the policy's own limit knows no sleep, and a
    // transfer that stands still is given up.
    let transferred = (Progress::Transferred, "transferred");
    for ((progress, state), limit, then) in [
        (transferred.clone(), None, Presence::Offline),
        (transferred, Some(Span::secs(900)), Presence::Asleep),
        ((Progress::Accepted, "deferred"), None, Presence::Asleep),
        ((Progress::Sent, "deferred"), None, Presence::Asleep),
    ] {
        let mut bench = Bench::new(fleet(1, "1.0.0"));
        let policy = Policy { attempt_limit: limit, ..policy() };
        let id = bench.publish(firmware("sensor", "2.0.0", ""), policy);
        let order = bench.dispatches().remove(0);
        bench.report(&order, Progress::Sent);
        bench.report(&order, progress);
        bench.presence(1, Presence::Asleep);
        bench.later(600);
        assert_eq!(bench.state(id, 1), state);
        bench.presence(1, then);
        bench.later(301);
        assert_eq!(bench.state(id, 1), "deferred", "{then:?}");
    }
}

/// A device that hears nothing and calls all the same must not be granted for ever.
#[test]
fn a_device_that_always_leaves_when_it_is_asked_runs_out_of_tries() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let mut granted = 0;
    for _ in 0..100 {
        bench.presence(1, Presence::Online);
        granted += bench.later(600).iter().filter(|o| matches!(o, Output::Dispatch(_))).count();
        bench.presence(1, Presence::Asleep);
        bench.turn();
    }
    assert_eq!((granted, bench.state(id, 1).as_str()), (8 + 3, "failed"));
}

/// A device may put the installation off; that is an error only when its tries are used up.
#[test]
fn a_deferred_installation_is_no_error_while_tries_are_left() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    for expected in ["deferred", "deferred", "failed"] {
        let order = bench.dispatches().remove(0);
        bench.report(&order, Progress::Sent);
        bench.report(&order, Progress::Claimed);
        let fault = Fault { kind: FaultKind::Deferred, detail: String::new() };
        bench.report(&order, Progress::Failed(fault));
        assert_eq!(bench.state(id, 1), expected);
        bench.now = bench.now + Duration::from_secs(3_600);
    }
}

/// An operation that has ended tries nothing again, and does not say so either.
#[test]
fn an_ended_operation_has_nobody_to_be_tried_again() {
    let mut bench = Bench::new(fleet(4, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let order = bench.dispatches().remove(0);
    bench.fail(&order, FaultKind::ConnectionLost);
    bench.turn();
    assert_eq!(bench.state(id, order.device.0), "deferred");
    bench.loops.abort(id, "me", "", bench.now).unwrap();
    bench.turn();
    assert_eq!(bench.state(id, order.device.0), "cancelled");
    let counts = bench.loops.counts(id).unwrap();
    assert_eq!((counts.targets(), counts.waiting), (4, 4 - counts.cancelled));
    let known = bench.fleet.device(order.device).unwrap();
    let Eligibility::Excluded { exclusion } = bench.loops.identify(id, known, bench.now) else {
        panic!("it waits for nothing");
    };
    assert_eq!(exclusion.code(), "operation.aborted");
    let checks = bench.loops.explain(id, known, bench.now);
    assert!(checks.iter().all(|check| !check.detail.contains("again")), "{checks:?}");
}
