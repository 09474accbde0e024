//! What is known of a fleet before a start.

use std::time::Duration;

use model::{
    DeviceId, Evidence, Fault, FaultKind, Fleet, FleetFacts, Hold, InstalledFacts, Policy,
    Presence, Progress, ReleaseId, Rule, Scope, Span, StratumBy, Time, Version,
};

use super::{config, device, firmware, fleet, policy};
use crate::{Dispatch, Loops, OpenError, Output, Planned};

/// Devices 3 and 6 are of hardware B, the others of A.
struct Bench {
    loops: Loops,
    fleet: Fleet,
    now: Time,
}

impl Bench {
    fn new(fleet: Fleet) -> Self {
        let mut loops = Loops::new(config());
        let now = Time::from_secs(1_000);
        loops.publish(firmware("fw", "2.0.0", ""), "test", None, &fleet, 7, now).unwrap();
        Self { loops, fleet, now }
    }

    fn facts(&self, policy: &Policy) -> FleetFacts {
        let of = Planned::Release(ReleaseId(1));
        self.loops.facts(of, &Scope::Fleet, policy, &self.fleet, self.now).unwrap()
    }

    fn dispatches(&mut self) -> Vec<Dispatch> {
        self.loops.activate(&self.fleet, self.now);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.loops.poll_output()).collect();
        let dispatch = |output| match output {
            Output::Dispatch(dispatch) => Some(dispatch),
            _ => None,
        };
        outputs.into_iter().filter_map(dispatch).collect()
    }

    fn report(&mut self, to: &Dispatch, progress: Progress) {
        let Dispatch { operation, device, attempt, .. } = *to;
        self.loops.report(operation, device, attempt, progress, &self.fleet, self.now);
    }
}

#[test]
fn targets_are_counted_by_how_they_can_be_reached() {
    let mut fleet = fleet(7, "1.0.0");
    let mut change = |id, change: &dyn Fn(&mut model::Device)| {
        change(fleet.device_mut(DeviceId(id)).unwrap());
    };
    change(1, &|it| it.presence = Presence::Asleep);
    change(2, &|it| it.presence = Presence::Offline);
    change(4, &|it| it.hold = Some(Hold::Operator { reason: "no".to_owned() }));
    change(5, &|it| it.version = Some(Version::new("2.0.0")));
    change(6, &|it| it.lifetime = Duration::from_secs(300));
    change(7, &|it| it.model = Some("Other".into()));
    let facts = Bench::new(fleet).facts(&Policy::default());
    let [a, b] = &facts.strata[..] else { panic!("{facts:?}") };
    assert_eq!((a.name.hardware.as_str(), a.name.version.as_str()), ("A", "1.0.0"));
    assert_eq!((a.ready, a.asleep, a.offline, a.blocked, a.held), (0, 1, 1, 0, 1));
    assert_eq!((b.name.hardware.as_str(), b.ready, b.hops), ("B", 2, 1));
    assert_eq!(facts.targets(), 5);
    assert_eq!((facts.waiting["offline.waiting"], facts.waiting["held.operator"]), (2, 1));
    assert_eq!((facts.excluded["already_current"], facts.excluded["not_target.model"]), (1, 1));
    // Twice the lifetime: 120 s, and the mean of 120 s and 600 s.
    assert_eq!((a.silence_after, b.silence_after), (Span::secs(120), Span::secs(360)));
    assert_eq!((a.lifetime, b.lifetime), (Span::secs(60), Span::secs(180)));
    assert_eq!((facts.budget, facts.response), (Some(5), None));
    assert!(a.gaps.is_none() && a.install.is_none() && a.tolerance.is_some());
    assert_eq!(facts.policy.parallel_max, config().parallel_max);
}

#[test]
fn what_is_told_apart_is_the_policys_choice() {
    let bench = Bench::new(fleet(7, "1.0.0"));
    let strata = |rule: Evidence| {
        let policy = Policy { rule: Rule::Evidence(rule), ..Policy::default() };
        let facts = bench.facts(&policy);
        facts.strata.iter().map(|it| (it.name.to_string(), it.ready)).collect::<Vec<_>>()
    };
    let told = |name: &str, ready| (name.to_owned(), ready);
    let by = |strata| Evidence { strata, ..Evidence::default() };
    assert_eq!(strata(by(vec![])), [told("all devices", 7)]);
    assert_eq!(
        strata(by(vec![StratumBy::Hardware])),
        [told("hardware A", 5), told("hardware B", 2)]
    );
    let facts = bench.facts(&policy());
    assert_eq!((facts.budget, facts.strata[0].tolerance), (None, None), "no evidence, no budget");
}

#[test]
fn too_many_strata_are_put_together() {
    let mut fleet = fleet(100, "1.0.0");
    for id in 1..=100 {
        let device = fleet.device_mut(DeviceId(id)).unwrap();
        // Ten devices of the first site, one of each other.
        device.site = Some(format!("site {}", id.saturating_sub(9).max(1)).into());
        device.hardware = Some("A".into());
    }
    let facts = Bench::new(fleet).facts(&Policy::default());
    assert_eq!((facts.strata.len(), facts.joined), (64, 28));
    assert_eq!((facts.strata[0].ready, facts.targets()), (10, 100));
    let last = &facts.strata[63];
    assert_eq!((last.name.hardware.as_str(), last.ready, last.hops), ("(others)", 28, 1));
    assert_eq!(last.silence_after, Span::secs(120));
}

#[test]
fn gaps_installations_and_failures_are_remembered() {
    let mut bench = Bench::new(fleet(6, "1.0.0"));
    for gap_s in [10, 20, 30, 4_000] {
        for _ in 0..25 {
            let gap = Some(Duration::from_secs(gap_s));
            bench.loops.contact(DeviceId(3), gap, &bench.fleet, bench.now);
        }
    }
    let manifest = firmware("fw", "3.0.0", "");
    bench.loops.publish(manifest, "test", Some(policy()), &bench.fleet, 7, bench.now).unwrap();
    for _ in 0..20 {
        for order in bench.dispatches() {
            bench.report(&order, Progress::Sent);
            bench.now = bench.now + Duration::from_secs(40);
            bench.report(&order, Progress::Claimed);
            if order.device == DeviceId(6) {
                let fault = Fault { kind: FaultKind::UpdateFailed, detail: String::new() };
                bench.report(&order, Progress::Failed(fault));
                continue;
            }
            bench.report(&order, Progress::Returned);
            let version = Version::new("3.0.0");
            bench.fleet.device_mut(order.device).unwrap().version = Some(version.clone());
            let told = Progress::Reported { version: Some(version), claims_success: Some(true) };
            bench.report(&order, told);
        }
        bench.now = bench.now + Duration::from_secs(3_600);
    }
    // Two newcomers are left for the next release.
    for id in [7, 9] {
        bench.fleet.insert(device(id, "1.0.0"));
        bench.loops.device_changed(DeviceId(id), &bench.fleet, bench.now);
    }
    let facts = bench.facts(&Policy::default());
    let known = |hardware: &str, attempts, failures| InstalledFacts {
        hardware: hardware.to_owned(),
        attempts,
        failures,
    };
    assert_eq!(facts.installed, [known("A", 4, 0), known("B", 2, 1)]);
    let of = |hardware| facts.strata.iter().find(|it| it.name.hardware == hardware).unwrap();
    let install = of("A").install.unwrap();
    assert_eq!((install.count, install.median), (4, Span::secs(43)), "one eighth too long at most");
    let gaps = of("B").gaps.unwrap();
    assert_eq!((gaps.count, gaps.median), (100, Span::secs(21)), "short gaps stay known");
    assert!(gaps.p999 >= Span::secs(4_000), "{gaps:?}");
    assert!(of("A").gaps.is_none());
}

#[test]
fn what_cannot_be_opened_cannot_be_rehearsed() {
    let bench = Bench::new(fleet(3, "1.0.0"));
    let facts = |release, scope: &Scope| {
        let of = Planned::Release(ReleaseId(release));
        bench.loops.facts(of, scope, &Policy::default(), &bench.fleet, bench.now)
    };
    assert_eq!(facts(9, &Scope::Fleet), Err(OpenError::UnknownRelease(ReleaseId(9))));
    let picked = |devices: &[u64]| Scope::Picked {
        devices: devices.iter().map(|id| DeviceId(*id)).collect(),
    };
    assert_eq!(facts(1, &picked(&[])), Err(OpenError::NoDevices));
    assert_eq!(facts(1, &picked(&[8])), Err(OpenError::UnknownDevice(DeviceId(8))));
    assert_eq!(facts(1, &picked(&[2])).unwrap().targets(), 1);
}
