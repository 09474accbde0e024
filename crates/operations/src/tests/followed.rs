//! What is learned of the devices that are followed: values, signals and signs of life, in scenes.

use model::{
    Arm, Decision, DeviceId, Evidence, HealthEventKind, IndicatorEvidence, Look, OperationId,
    OperationState, Presence, Span, StratumRuling,
};

use super::evidence::{Fate, Field, quick};
use crate::Replay;

const GUARD: &str = "[[guard]]\nname = \"heat\"\npath = \"/3303/0/5700\"\nexpect = { max_percent_of_baseline = 300 }";

/// Values of an arm in all looks, of the first guard.
fn values(looks: &[Look], arm: Arm) -> Vec<i64> {
    let strata = looks.iter().flat_map(|look| &look.strata);
    let indicators = strata.filter_map(|stratum| stratum.indicators.first());
    indicators
        .flat_map(|indicator| match arm {
            Arm::Updated => &indicator.updated,
            Arm::Control => &indicator.control,
        })
        .copied()
        .collect()
}

/// Every decision made once more comes out the same.
fn replays(field: &Field, id: OperationId) {
    let operation = field.loops.operation(id).unwrap();
    let looks = field.looks.iter().cloned().map(Ok::<Look, ()>);
    let decisions = field.decisions.iter().cloned().map(Ok::<Decision, ()>);
    let replay = Replay::of(operation, looks, decisions).unwrap();
    assert!(replay.is_equal() && replay.equal > 5, "{replay:?}");
}

fn strongest(field: &Field, id: OperationId) -> (StratumRuling, IndicatorEvidence) {
    let course = field.loops.operation(id).unwrap().course.clone().unwrap();
    let strata = course.evidence.unwrap().judged.strata;
    let ruling = strata.into_iter().max_by_key(|one| one.indicators[0].pairs).unwrap();
    let indicator = ruling.indicators[0].clone();
    (ruling, indicator)
}

/// The day warms up every device, which is nobody's fault.
fn warm_day(device: &model::Device, now: model::Time) -> i64 {
    let minutes = i64::try_from(now.as_micros() / 60_000_000).unwrap();
    200 + minutes * 4 + i64::try_from(device.id.0 % 7).unwrap()
}

#[test]
fn a_value_that_drifts_everywhere_is_no_evidence() {
    let mut field = Field::new(500, |_| Fate::Well);
    field.sensor = Some(warm_day);
    let id = field.publish_with(quick(), GUARD);
    assert_eq!(field.run(id, 3_000), OperationState::Finished, "{:?}", field.codes());
    let [updated, control] = [Arm::Updated, Arm::Control].map(|arm| values(&field.looks, arm));
    assert!(updated.len() > 300, "{}", updated.len());
    assert!(control.len() > 50, "{}", control.len());
    assert!(field.read.len() <= 2 * updated.len(), "no more are read than updated");
    replays(&field, id);
}

/// The guard allows three times the value before, so that no device violates it; half of it more
/// than in the control is evidence all the same.
#[test]
fn a_value_that_gets_worse_by_the_update_stops_it() {
    let mut field = Field::new(2_000, |_| Fate::Well);
    field.sensor = Some(|device, now| {
        let new = device.version.as_ref().is_some_and(|version| version.as_str() == "2.0.0");
        warm_day(device, now) * if new { 5 } else { 2 } / 2
    });
    let rule = Evidence { watch: Span::secs(600), ..quick() };
    let id = field.publish_with(rule, GUARD);
    assert_eq!(field.run(id, 3_000), OperationState::Aborted, "{:?}", field.codes());
    let (ruling, indicator) = strongest(&field, id);
    assert_eq!(indicator.name, "heat");
    assert!(indicator.pairs >= 5, "{indicator:?}");
    // What is more than doubled counts as doubled.
    assert!((0.9..=1.0).contains(&indicator.difference.value()), "{indicator:?}");
    let IndicatorEvidence { lower, difference, upper, log_e, .. } = &indicator;
    assert!(lower.value() <= difference.value() && difference.value() <= upper.value());
    assert!(log_e.value() >= ruling.log_e.value(), "the others show nothing: {ruling:?}");
    let updated = field.updated("A") + field.updated("B");
    assert!(updated <= 200, "{updated} of 2000 were updated");
    replays(&field, id);
}

/// A device without the value says nothing, and costs nothing but the reads.
#[test]
fn absent_values_are_neutral() {
    let mut field = Field::new(300, |_| Fate::Well);
    let id = field.publish_with(quick(), GUARD);
    assert_eq!(field.run(id, 3_000), OperationState::Finished);
    assert_eq!(values(&field.looks, Arm::Updated), [0; 0]);
    assert_eq!(values(&field.looks, Arm::Control), [0; 0]);
    assert_eq!(field.read, [DeviceId(0); 0]);
    replays(&field, id);
}

/// Events of a kind and arm in all looks.
pub(super) fn events(looks: &[Look], kind: HealthEventKind, arm: Arm) -> u64 {
    let strata = looks.iter().flat_map(|look| &look.strata);
    let events = strata.flat_map(|stratum| &stratum.events);
    events.filter(|one| (one.kind, one.arm) == (kind, arm)).map(|one| one.devices).sum()
}

/// I15: a signal that was answered counts once, whenever the server stops.
#[test]
fn a_signal_survives_a_restart_and_counts_once() {
    for restarts in [[false, false], [true, false], [false, true], [true, true]] {
        let mut field = Field::new(200, |_| Fate::Well);
        let id = field.publish(quick());
        for _ in 0..60 {
            field.tick();
        }
        let new = |device: &&model::Device| {
            device.version.as_ref().is_some_and(|version| version.as_str() == "2.0.0")
        };
        let updated = field.fleet.iter().find(new).unwrap().id;
        let control = field.fleet.iter().find(|device| !new(device)).unwrap().id;
        let kind = HealthEventKind::Signal;
        for device in [updated, control] {
            assert_eq!(field.loops.signal(device, kind, field.now), 1);
            assert_eq!(field.loops.signal(device, kind, field.now), 0, "once");
        }
        let looks = field.looks.len();
        field.drain();
        assert_eq!(field.looks.len(), looks, "no look has it yet");
        if restarts[0] {
            field.restart();
        }
        while field.looks.len() <= looks {
            field.tick();
        }
        if restarts[1] {
            field.restart();
        }
        for _ in 0..20 {
            field.tick();
        }
        for arm in [Arm::Updated, Arm::Control] {
            assert_eq!(events(&field.looks, kind, arm), 1, "{restarts:?} {arm:?}");
        }
        assert_eq!(field.loops.signal(updated, kind, field.now), 0, "{restarts:?}");
        assert!(field.run(id, 3_000).is_final());
    }
}

/// Devices that do not call and answer are alive; the same without an answer are silent. The rule
/// is the same for both arms, and a fleet that is away is not asked all at once.
#[test]
fn a_device_is_asked_once_before_its_silence_counts() {
    for (is_deaf, probes_max) in [(false, 1_000), (true, 1_000), (true, 5)] {
        let config = crate::Config { probes_max, ..super::config() };
        let mut field = Field::with(200, |_| Fate::Well, config);
        let rule = Evidence { watch: Span::secs(900), ..quick() };
        let id = field.publish(rule);
        for _ in 0..60 {
            field.tick();
        }
        assert_eq!(field.probed, [DeviceId(0); 0], "who calls in time is not asked");
        field.is_deaf = is_deaf;
        field.quiet = (1..=200).step_by(5).map(DeviceId).collect();
        let mut open_max = 0;
        for _ in 0..600 {
            field.tick();
            open_max = open_max.max(field.loops.probing());
        }
        let kind = HealthEventKind::Silence;
        let silent: u64 =
            [Arm::Updated, Arm::Control].map(|arm| events(&field.looks, kind, arm)).iter().sum();
        assert!(open_max <= probes_max, "{open_max} of {probes_max}");
        assert!(field.probed.iter().all(|device| field.quiet.contains(device)));
        if is_deaf {
            // Once for each silence: some were heard once more, when they were updated.
            assert!((40..=80).contains(&field.probed.len()), "{:?}", field.probed);
            assert_eq!(silent, 40);
        } else {
            assert!(field.probed.len() > 80, "each again and again: {}", field.probed.len());
            assert_eq!(silent, 0);
        }
        assert!(!field.state(id).is_final(), "what hits both arms is no evidence");
    }
}

/// Nobody can ask a device that sleeps.
#[test]
fn a_sleeping_device_is_not_asked() {
    let mut field = Field::new(200, |_| Fate::Well);
    field.publish(Evidence { watch: Span::secs(900), ..quick() });
    for _ in 0..60 {
        field.tick();
    }
    field.quiet = vec![DeviceId(7)];
    field.fleet.device_mut(DeviceId(7)).unwrap().presence = Presence::Asleep;
    field.loops.device_changed(DeviceId(7), &field.fleet, field.now);
    for _ in 0..100 {
        field.tick();
    }
    assert_eq!(field.probed, [DeviceId(0); 0]);
    let lost = field.looks.iter().flat_map(|look| &look.left).collect::<Vec<_>>();
    assert_eq!(lost, [&DeviceId(7)]);
}

/// Two devices of one kind, one of which calls every ten seconds and the other every minute: each
/// is missed after the time that is unusual for it.
#[test]
fn deadlines_follow_each_device_s_own_gaps() {
    let mut field = Field::new(200, |_| Fate::Well);
    let slow = [DeviceId(9), DeviceId(14)];
    field.quiet = slow.to_vec();
    for second in 0..3_000 {
        field.tick();
        if second % 60 == 0 {
            slow.iter().for_each(|device| field.hear(*device));
        }
    }
    let id = field.publish(Evidence { watch: Span::secs(900), ..quick() });
    field.turn();
    let silence_min = std::time::Duration::from_secs(10);
    let deadline = |field: &Field, device: u64| {
        let device = field.fleet.device(DeviceId(device)).unwrap();
        field.loops.silence_deadline(device, silence_min).as_secs()
    };
    assert_eq!(deadline(&field, 10), 40, "twice the lifetime");
    assert!((60..=67).contains(&deadline(&field, 9)), "{}", deadline(&field, 9));
    field.restart();
    assert!((60..=67).contains(&deadline(&field, 9)), "kept with the device");
    // What it does while it is compared does not change what it is held against.
    for second in 0..300 {
        field.tick();
        if second % 100 == 0 {
            field.hear(slow[0]);
        }
    }
    assert!((60..=67).contains(&deadline(&field, 9)), "{}", deadline(&field, 9));
    assert!(!field.state(id).is_final());
}

/// What becomes of the silence of an outage that hits both arms alike.
struct Outage {
    /// Every how many devices are hit, and how many seconds after the start.
    every: usize,
    after_s: u64,
    /// Seconds into the outage after which the server stops and starts again.
    restart_s: Option<u64>,
    /// Seconds after which an order without an answer is given up.
    gives_up_s: Option<u64>,
    /// More lines in the manifest.
    extra: &'static str,
}

impl Outage {
    /// Devices that fell silent, updated and control.
    fn silent(&self) -> (u64, u64) {
        let mut field = Field::new(1_000, |_| Fate::Well);
        field.gives_up_s = self.gives_up_s;
        let rule = Evidence {
            watch: Span::secs(600),
            silence_min: Span::secs(60),
            budget: Some(200),
            ..quick()
        };
        let battery = |field: &mut Field| {
            for number in 1..=1_000 {
                let (now, device) = (field.now, DeviceId(number));
                if !field.dead.contains_key(&device) {
                    let known = field.fleet.device_mut(device).unwrap();
                    known.datamodel.battery_percent = super::observed(80, now);
                    field.loops.values_renewed(device, &field.fleet, now);
                }
            }
        };
        // Some were away before: they are in neither arm.
        let before = (1..=1_000).step_by(17).map(|number| (DeviceId(number), field.now));
        field.dead.extend(before);
        for _ in 0..60 {
            field.tick();
        }
        battery(&mut field);
        let id = field.publish_with(rule, self.extra);
        for second in 1..600 {
            if second == self.after_s {
                let hit =
                    (1..=1_000).step_by(self.every).map(|number| (DeviceId(number), field.now));
                for (device, at) in hit {
                    field.dead.entry(device).or_insert(at);
                }
            }
            if self.restart_s.is_some_and(|later| self.after_s + later == second) {
                field.restart();
            }
            if !self.extra.is_empty() && second % 10 == 0 {
                battery(&mut field);
            }
            field.tick();
        }
        let stops = ["abort.evidence", "evidence.stratum", "evidence.alarm"];
        let stopped = field.decisions.iter().find(|one| stops.contains(&one.reason.code()));
        assert!(stopped.is_none(), "{:?}", stopped.map(|one| one.reason.to_string()));
        assert!(!field.state(id).is_final() || field.state(id) == OperationState::Finished);
        let kind = HealthEventKind::Silence;
        (events(&field.looks, kind, Arm::Updated), events(&field.looks, kind, Arm::Control))
    }
}

/// Nobody leaves the control for being away: not at a restart in the outage, not for an order that
/// nobody answers, not for values that grow old with the silence.
#[test]
fn an_outage_hits_both_arms_whatever_else_happens() {
    let stale = "[requires]\nbattery = { percent = 40 }\nmax_age = \"30s\"\nunknown = \"skip\"";
    let plain = Outage { every: 3, after_s: 110, restart_s: None, gives_up_s: None, extra: "" };
    let (updated, control) = plain.silent();
    assert!(updated > 50 && control > 200, "{updated} {control}");
    for (outage, name) in [
        (Outage { restart_s: Some(30), ..plain }, "restart"),
        (Outage { gives_up_s: Some(8), ..plain }, "no answer"),
        (Outage { gives_up_s: Some(8), restart_s: Some(30), ..plain }, "no answer, restart"),
        (Outage { extra: stale, ..plain }, "stale"),
        (Outage { extra: stale, restart_s: Some(45), ..plain }, "stale, restart"),
    ] {
        assert_eq!(outage.silent(), (updated, control), "{name}");
    }
}
