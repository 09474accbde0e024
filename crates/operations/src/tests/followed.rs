//! What is learned of the devices that are followed: values, signals and signs of life, in scenes.

use model::{
    Arm, Decision, DeviceId, IndicatorEvidence, Look, OperationId, OperationState, Span,
    StratumRuling,
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
    let rule = model::Evidence { watch: Span::secs(600), ..quick() };
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
