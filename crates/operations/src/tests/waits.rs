//! What targets wait for, and that they go on by themselves.

use std::time::Duration;

use model::{
    Consent, Consented, DeviceId, Eligibility, FaultKind, OperationId, OperationState, Policy,
    Presence, Progress, Rate, Span, Spread, SpreadBy, Time,
};

use super::scenes::{Bench, dispatched};
use super::world::{Nature, World};
use super::{config, firmware, fleet, observed, policy};

impl Bench {
    /// The reason code of a device in an operation, as `why` and lists tell it.
    fn code(&self, operation: OperationId, device: u64) -> &'static str {
        let device = self.fleet.device(DeviceId(device)).unwrap();
        match self.loops.identify(operation, device, self.now) {
            Eligibility::Eligible { .. } => "eligible",
            Eligibility::Waiting { exclusion } | Eligibility::Excluded { exclusion } => {
                exclusion.code()
            }
        }
    }

    /// The reasons that an operation counts.
    fn counted(&self, operation: OperationId) -> Vec<(&'static str, u64)> {
        self.loops.exclusions(operation, &self.fleet, self.now).into_iter().collect()
    }
}

#[test]
fn the_next_step_of_a_path_waits_for_the_one_before() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let now = bench.now;
    let middle = firmware("sensor", "1.1.0", "[confirm]\nsoak = \"60s\"");
    bench.loops.publish(middle, "test", None, &bench.fleet, 7, now).unwrap();
    let goal = firmware("sensor", "2.0.0", "[[upgrade]]\nfrom = \"1.1.*\"");
    let id = bench.publish(goal, policy());
    assert_eq!(bench.code(id, 1), "eligible");
    let first = bench.dispatches().remove(0);
    assert_eq!(bench.code(id, 1), "path.step_pending");
    bench.succeed(&first, "1.1.0");
    assert!(bench.dispatches().is_empty(), "it soaks");
    assert_eq!(bench.code(id, 1), "path.step_pending");
    let device = bench.fleet.device(DeviceId(1)).unwrap();
    let checks = bench.loops.explain(id, device, bench.now);
    let step = checks.iter().find(|check| check.name == "step").unwrap();
    assert_eq!(
        step.detail,
        "must prove 1.1.0 first, which op-1 brings, before 2.0.0 (path.step_pending)"
    );
    let second = dispatched(bench.later(60)).remove(0);
    assert_eq!(bench.code(id, 1), "busy.other_operation", "the last step");
    bench.succeed(&second, "2.0.0");
}

#[test]
fn a_step_that_another_operation_brings_is_waited_for() {
    let mut bench = Bench::new(fleet(3, "1.0.0"));
    let mut floor = firmware("sensor", "1.1.0", "");
    floor.release.class = model::Criticality::Critical;
    let first = bench.publish(floor, policy());
    let order = bench.dispatches().remove(0);
    let goal = firmware("sensor", "2.0.0", "[[upgrade]]\nfrom = \"1.1.*\"");
    let second = bench.publish(goal, policy());
    // One is being changed by the floor's operation, which has the others next.
    assert_eq!(bench.counted(second), [("path.step_pending", 3)]);
    for device in 1..=3 {
        assert_eq!(bench.code(second, device), "path.step_pending");
    }
    bench.report(&order, Progress::Sent);
    bench.succeed(&order, "1.1.0");
    bench.turn();
    assert_ne!(bench.code(second, order.device.0), "path.step_pending");
    bench.loops.abort(first, "me", "", bench.now).unwrap();
    bench.turn();
    assert!(bench.counted(second).iter().all(|(code, _)| *code != "path.step_pending"));
}

const H: u64 = 3_600;
/// 1970-01-05, a Monday: `Bench` begins at 1970-01-01T00:16:40Z, a Thursday.
const MONDAY: u64 = 4 * 24 * H;

/// A release that takes hours to install.
fn patient() -> model::Manifest {
    firmware("sensor", "2.0.0", "[confirm]\nwithin = \"9h\"")
}

/// Everyone at once, in these windows.
fn windowed(windows: &str) -> Policy {
    let policy = Policy::from_toml(&format!("{windows}\n[rule]\nkind = \"threshold\"")).unwrap();
    Policy { first_speed: 10, speed_max: Rate::WHOLE, linger: Span::secs(H), ..policy }
}

#[test]
fn a_window_opens_by_itself_by_the_clock_of_each_device() {
    let mut bench = Bench::new(fleet(3, "1.0.0"));
    bench.now = Time::from_secs(MONDAY);
    let told = |bench: &mut Bench, id: u64, minutes: i32| {
        let device = bench.fleet.device_mut(DeviceId(id)).unwrap();
        device.datamodel.utc_offset_minutes = observed(minutes, Time::ZERO);
    };
    told(&mut bench, 2, 60);
    told(&mut bench, 3, -300);
    let night = "utc_offset_minutes = 120\n[[window]]\nfrom = \"03:00\"\nto = \"04:30\"";
    let id = bench.publish(patient(), windowed(night));
    assert!(bench.dispatches().is_empty());
    assert_eq!(bench.counted(id), [("window.closed", 3)]);
    // The policy's own clock is two hours ahead, for whoever did not tell his: 01:00 UTC.
    assert_eq!(bench.loops.poll_timeout(), Some(bench.now + Duration::from_secs(H)));
    assert!(bench.later(H - 1).is_empty());
    let first = dispatched(bench.later(1));
    assert_eq!(first.iter().map(|order| order.device.0).collect::<Vec<_>>(), [1]);
    bench.succeed(&first[0], "2.0.0");
    bench.turn();
    let second = dispatched(bench.later(H));
    assert_eq!(second.iter().map(|order| order.device.0).collect::<Vec<_>>(), [2]);
    // Under way when the window closes: it goes on.
    bench.report(&second[0], Progress::Claimed);
    bench.later(2 * H);
    assert_eq!(bench.state(id, 2), "claimed");
    bench.succeed(&second[0], "2.0.0");
    bench.turn();
    // The last waits longer than operations linger, and is waited for.
    assert_eq!(bench.code(id, 3), "window.closed");
    let third = dispatched(bench.later(4 * H));
    assert_eq!(third.iter().map(|order| order.device.0).collect::<Vec<_>>(), [3]);
    bench.succeed(&third[0], "2.0.0");
    bench.turn();
    assert_eq!(bench.operation_state(id), OperationState::Finished);
}

#[test]
fn who_is_away_when_his_window_opens_is_waited_for() {
    let mut bench = Bench::new(fleet(2, "1.0.0"));
    bench.now = Time::from_secs(MONDAY);
    let weekend = "[[window]]\ndays = [\"sat\"]\nfrom = \"01:00\"\nto = \"05:00\"";
    let id = bench.publish(patient(), windowed(weekend));
    bench.turn();
    for device in 1..=2 {
        bench.fleet.device_mut(DeviceId(device)).unwrap().presence = Presence::Asleep;
        bench.loops.device_changed(DeviceId(device), &bench.fleet, bench.now);
    }
    bench.later(5 * 24 * H + H);
    assert_eq!(bench.counted(id), [("offline.waiting", 2)]);
    assert_eq!(bench.operation_state(id), OperationState::Pending);
    bench.later(H / 2);
    bench.fleet.device_mut(DeviceId(1)).unwrap().presence = Presence::Online;
    bench.loops.device_changed(DeviceId(1), &bench.fleet, bench.now);
    let order = bench.dispatches().remove(0);
    bench.succeed(&order, "2.0.0");
    // A ready device that is not granted in time waits for the next window.
    bench.loops.pause(id, "me", "", bench.now).unwrap();
    bench.fleet.device_mut(DeviceId(2)).unwrap().presence = Presence::Online;
    bench.loops.device_changed(DeviceId(2), &bench.fleet, bench.now);
    bench.later(4 * H);
    assert_eq!(bench.counted(id), [("window.closed", 1)]);
    assert_eq!(bench.code(id, 2), "window.closed");
}

#[test]
fn grants_that_wait_for_their_turn_are_given_back_when_the_window_closes() {
    let mut bench = Bench::new(fleet(2, "1.0.0"));
    bench.now = Time::from_secs(MONDAY);
    let early = "parallel_max = 1\n[[window]]\nfrom = \"00:00\"\nto = \"01:00\"";
    let id = bench.publish(patient(), windowed(early));
    let order = bench.dispatches().remove(0);
    assert_eq!(bench.loops.counts(id).unwrap().in_flight, 2);
    bench.report(&order, Progress::Claimed);
    bench.later(H);
    assert_eq!(bench.loops.counts(id).unwrap().in_flight, 1);
    assert_eq!(bench.counted(id), [("window.closed", 1)]);
    bench.succeed(&order, "2.0.0");
    assert!(bench.dispatches().is_empty());
    assert_eq!(dispatched(bench.later(23 * H)).len(), 1);
}

#[test]
fn a_value_that_is_too_old_is_not_believed() {
    for (unknown, young, old, counted) in [
        ("wait", "battery.low", "data.stale", "data.stale"),
        ("skip", "battery.low", "data.stale", "data.stale"),
        ("allow", "battery.low", "eligible", ""),
    ] {
        let mut bench = Bench::new(fleet(1, "1.0.0"));
        let set = |bench: &mut Bench, charge| {
            let device = bench.fleet.device_mut(DeviceId(1)).unwrap();
            device.datamodel.battery_percent = observed(charge, bench.now);
        };
        set(&mut bench, 10);
        let requires = format!(
            "[requires]\nbattery = {{ percent = 40 }}\nmax_age = \"10m\"\nunknown = \"{unknown}\""
        );
        let policy = Policy { linger: Span::secs(24 * H), ..policy() };
        let id = bench.publish(firmware("sensor", "2.0.0", &requires), policy);
        bench.turn();
        bench.loops.pause(id, "me", "", bench.now).unwrap();
        assert_eq!(bench.code(id, 1), young, "{unknown}");
        assert!(!bench.loops.wants_values(DeviceId(1)));
        bench.later(600);
        assert_eq!(bench.code(id, 1), young, "{unknown}: believed up to its age");
        bench.later(1);
        let expected = if old == "eligible" { "operation.paused" } else { old };
        assert_eq!(bench.code(id, 1), expected, "{unknown}");
        let codes: Vec<_> = bench.counted(id).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes.join(" "), counted, "{unknown}: it is counted without being asked");
        assert_eq!(bench.loops.wants_values(DeviceId(1)), !counted.is_empty());
        // Read anew, and the same as before: the time alone makes the difference.
        set(&mut bench, 10);
        bench.loops.values_renewed(DeviceId(1), &bench.fleet, bench.now);
        assert_eq!(bench.counted(id), [("battery.low", 1)], "{unknown}");
    }
}

/// Devices by site, all granted at once if nothing limits them.
fn sited(sites: &[&str]) -> Bench {
    let mut bench = Bench::new(fleet(sites.len() as u64, "1.0.0"));
    for (id, site) in (1..).zip(sites) {
        let device = bench.fleet.device_mut(DeviceId(id)).unwrap();
        device.site = (!site.is_empty()).then(|| (*site).into());
    }
    bench
}

fn spread(devices_max: u32) -> Policy {
    let spread = Some(Spread { by: SpreadBy::Site, devices_max });
    Policy { spread, first_speed: 100, speed_max: Rate::WHOLE, ..policy() }
}

#[test]
fn at_most_so_many_devices_of_a_site_are_changed_at_a_time() {
    let mut bench = sited(&["a", "a", "a", "a", "b", "b", "", "", ""]);
    let id = bench.publish(firmware("sensor", "2.0.0", ""), spread(1));
    let mut orders = bench.dispatches();
    assert_eq!(orders.len(), 5, "one of each site, and those whose site is not known");
    assert_eq!(bench.counted(id), [("spread.limit", 4)]);
    let mut done = 0;
    while let Some(order) = orders.pop() {
        bench.succeed(&order, "2.0.0");
        done += 1;
        orders.extend(bench.dispatches());
        for site in ["a", "b"] {
            let at_site = orders.iter().filter(|order| {
                bench.fleet.device(order.device).unwrap().site.as_deref() == Some(site)
            });
            assert!(at_site.count() <= 1, "{site}");
        }
    }
    assert_eq!((done, bench.operation_state(id)), (9, OperationState::Finished));
}

#[test]
fn the_limit_of_a_site_counts_what_other_operations_change() {
    let mut bench = sited(&["a", "a", "a"]);
    let first = bench.publish(firmware("other", "2.0.0", ""), policy());
    let order = bench.dispatches().remove(0);
    let second = bench.publish(firmware("sensor", "2.0.0", ""), spread(1));
    assert!(bench.dispatches().iter().all(|order| order.operation != second));
    let device = bench.fleet.device(DeviceId(1 + u64::from(order.device.0 == 1))).unwrap();
    let Eligibility::Waiting { exclusion } = bench.loops.identify(second, device, bench.now) else {
        panic!("it is a target");
    };
    assert_eq!(exclusion.code(), "spread.limit");
    assert_eq!(exclusion.observed().unwrap(), "1 devices");
    assert_eq!(exclusion.required().unwrap(), "at most 1 devices");
    bench.loops.abort(first, "me", "", bench.now).unwrap();
    assert_eq!(bench.dispatches().len(), 1, "there is room now");
}

#[test]
fn room_that_one_device_cannot_use_goes_to_the_next() {
    let mut bench = sited(&["a", "a", "a"]);
    let id = bench.publish(firmware("sensor", "2.0.0", ""), spread(1));
    let order = bench.dispatches().remove(0);
    bench.loops.pause(id, "me", "", bench.now).unwrap();
    bench.succeed(&order, "2.0.0");
    bench.turn();
    // Whoever was offered the room goes to sleep before it is granted.
    let left: Vec<u64> = (1..=3).filter(|id| *id != order.device.0).collect();
    let ready = left.iter().find(|device| {
        let device = bench.fleet.device(DeviceId(**device)).unwrap();
        bench.loops.counts(id).unwrap().eligible == 1 && device.presence == Presence::Online
    });
    assert!(ready.is_some());
    for device in &left {
        bench.fleet.device_mut(DeviceId(*device)).unwrap().presence = Presence::Asleep;
        bench.loops.device_changed(DeviceId(*device), &bench.fleet, bench.now);
        let counts = bench.loops.counts(id).unwrap();
        let awake = left.iter().any(|device| {
            bench.fleet.device(DeviceId(*device)).unwrap().presence == Presence::Online
        });
        assert_eq!(counts.eligible, u64::from(awake), "{counts:?}");
    }
    bench.loops.resume(id, "me", "", bench.now).unwrap();
    bench.fleet.device_mut(DeviceId(left[0])).unwrap().presence = Presence::Online;
    bench.loops.device_changed(DeviceId(left[0]), &bench.fleet, bench.now);
    assert_eq!(bench.dispatches().len(), 1);
}

#[test]
fn a_device_waits_for_consent_and_for_its_time() {
    let mut bench = Bench::new(fleet(2, "1.0.0"));
    let asking = Policy { consent: Consent::Required, first_speed: 2, ..policy() };
    let id = bench.publish(firmware("sensor", "2.0.0", ""), asking);
    assert!(bench.dispatches().is_empty());
    assert_eq!(bench.counted(id), [("consent.pending", 2)]);
    bench.later(100 * H);
    assert_eq!(bench.operation_state(id), OperationState::Pending, "people take their time");
    let consent = |bench: &mut Bench, device, delay_s| {
        let at = bench.now;
        let from = at + Duration::from_secs(delay_s);
        let given = Consented { from, at, by: "owner".to_owned(), words: String::new() };
        let device = bench.fleet.device_mut(DeviceId(device)).unwrap();
        device.consents.insert(id, given);
        let device = device.id;
        bench.loops.device_changed(device, &bench.fleet, at);
    };
    consent(&mut bench, 1, 0);
    consent(&mut bench, 2, 2 * H);
    let order = bench.dispatches().remove(0);
    assert_eq!((order.device, bench.code(id, 2)), (DeviceId(1), "consent.deferred_until"));
    bench.succeed(&order, "2.0.0");
    assert!(bench.dispatches().is_empty());
    assert_eq!(bench.loops.poll_timeout(), Some(bench.now + Duration::from_secs(2 * H)));
    let order = dispatched(bench.later(2 * H)).remove(0);
    assert_eq!(order.device, DeviceId(2));
}

#[test]
fn a_device_that_puts_the_installation_off_is_shown_so() {
    let mut bench = Bench::new(fleet(1, "1.0.0"));
    let id = bench.publish(firmware("sensor", "2.0.0", ""), policy());
    let order = bench.dispatches().remove(0);
    bench.report(&order, Progress::Sent);
    bench.report(&order, Progress::Claimed);
    bench.fail(&order, FaultKind::Deferred);
    bench.turn();
    assert_eq!(bench.counted(id), [("consent.deferred_until", 1)]);
    let device = bench.fleet.device(DeviceId(1)).unwrap();
    let Eligibility::Waiting { exclusion } = bench.loops.identify(id, device, bench.now) else {
        panic!("it waits");
    };
    assert_eq!(exclusion.code(), "consent.deferred_until");
    assert_eq!(exclusion.next_check(), Some(bench.now + Duration::from_secs(30)));
    assert_eq!(dispatched(bench.later(30)).len(), 1);
}

/// Whatever happens between: windows and sites hold, and everyone is done in the end.
#[test]
fn windows_and_sites_hold_over_restarts() {
    for seed in 0..6 {
        let mut devices = fleet(24, "1.0.0");
        for id in 1..=24 {
            let device = devices.device_mut(DeviceId(id)).unwrap();
            device.site = Some(format!("site {}", id % 5).into());
        }
        let mut world = World::new(seed, config(), devices, &[Nature::Good, Nature::Flaky(1)]);
        let windows = "spread = { by = \"site\", devices_max = 2 }\n\
             [[window]]\nfrom = \"00:30\"\nto = \"00:31\"\n\
             [[window]]\nfrom = \"03:00\"\nto = \"03:01\"";
        let policy = windowed(windows);
        let goal = firmware("sensor", "2.0.0", "");
        world.loops.publish(goal, "test", Some(policy), &world.fleet, seed, world.now).unwrap();
        world.turn(false);
        let mut steps = 0;
        // Rare enough that devices come to an end in between.
        while world.step(steps % 61 == 9 * seed + 5) {
            steps += 1;
            assert!(steps < 20_000, "seed {seed}: it goes on for ever, now at {}", world.now);
            let mut at_site = std::collections::BTreeMap::new();
            for known in world.durable.assignments.values() {
                if known.state.is_in_flight() {
                    let device = world.fleet.device(known.device).unwrap();
                    *at_site.entry(device.site.clone()).or_insert(0) += 1;
                }
            }
            assert!(at_site.values().all(|devices| *devices <= 2), "seed {seed}: {at_site:?}");
        }
        for grant in world.durable.grants.values() {
            let minute = grant.at.as_micros() / 60_000_000 % 1_440;
            assert!(matches!(minute, 30 | 180), "seed {seed}: granted at {}", grant.at);
        }
        let counts = world.loops.counts(OperationId(1)).unwrap();
        assert_eq!(counts.succeeded, 24, "seed {seed}, {} restarts: {counts:?}", world.restarts);
        assert!(world.restarts > 0);
    }
}
