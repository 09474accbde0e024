//! Properties that hold for all inputs.

use proptest::prelude::*;

use super::log_e_of;
use crate::evidence::*;

fn tolerance(rate: f64) -> Tolerance {
    let rate = Exact::new(rate);
    Tolerance { rate, learned: rate, learned_upper: rate }
}

fn window_events() -> impl Strategy<Value = WindowEvents> {
    (0..4_u64, 0..4_u64, 0..2_000_u64, 0..2_000_u64).prop_map(|(treated, control, more, rest)| {
        WindowEvents {
            treated_events: treated,
            control_events: control,
            treated_at_risk: treated + more,
            control_at_risk: control + rest,
        }
    })
}

/// One step of a stratum: outcomes, events of four windows, values of an indicator.
fn step() -> impl Strategy<Value = Step> {
    let values = proptest::collection::vec((any::<bool>(), -3.0..3.0_f64), 0..6);
    let windows = proptest::array::uniform4(window_events());
    (0..3_u64, 0..40_u64, windows, values).prop_map(|(failures, successes, windows, values)| Step {
        failures,
        successes,
        windows,
        values,
    })
}

#[derive(Debug, Clone)]
struct Step {
    failures: u64,
    successes: u64,
    windows: [WindowEvents; 4],
    values: Vec<(bool, f64)>,
}

fn config() -> TestsConfig {
    TestsConfig { indicators: vec![IndicatorConfig::default(); 2], ..TestsConfig::default() }
}

fn run(evidence: &mut Evidence, steps: &[Step], config: &TestsConfig) {
    for step in steps {
        evidence.installs.observe(step.failures, step.successes, 0);
        evidence.health.observe(&step.windows, &config.health);
        for (treated, value) in &step.values {
            let arm = if *treated { Arm::Updated } else { Arm::Control };
            evidence.indicators[0].observe(arm, 0, Some(*value), &config.indicators[0]);
            evidence.indicators[1].observe(arm, 0, Some(-*value / 7.0), &config.indicators[1]);
        }
    }
}

fn gathered(steps: &[Step]) -> Evidence {
    let config = config();
    let mut evidence = Evidence::new(tolerated(&[], &config.install), &config);
    run(&mut evidence, steps, &config);
    evidence
}

fn strata() -> impl Strategy<Value = Vec<Stratum>> {
    let tests = (
        proptest::collection::vec(-8.0..9.0_f64, 3),
        proptest::collection::vec(-8.0..9.0_f64, 5),
        proptest::bool::weighted(0.1),
        0.0..900.0_f64,
    );
    let stratum =
        tests.prop_map(|(a, b, stopped, matured)| Stratum { tests: vec![a, b], matured, stopped });
    proptest::collection::vec(stratum, 1..9)
}

/// Rounding may move a sum by this much.
const SLACK: f64 = 1e-9;

proptest! {
    #[test]
    fn failures_raise_and_successes_lower(failures in 0..500_u64, successes in 0..50_000_u64, rate in 0.001..0.7_f64) {
        let config = InstallConfig::default();
        let log_e = |failures, successes| {
            Installs { failures, successes, under_way: 0 }.log_e(tolerance(rate), &config)
        };
        let here = log_e(failures, successes);
        prop_assert!(log_e(failures + 1, successes) > here);
        prop_assert!(log_e(failures, successes + 1) < here);
    }

    #[test]
    fn events_of_updated_devices_raise_and_of_control_lower(steps in proptest::collection::vec(step(), 0..6), last in window_events()) {
        let config = HealthConfig::default();
        let health = gathered(&steps).health;
        let log_e = |last: WindowEvents| {
            let mut health = health.clone();
            health.observe(&[last; 4], &config);
            log_e_of(&health, None)
        };
        // The device is at risk either way; only whether it has an event differs.
        let at_risk = WindowEvents { treated_at_risk: last.treated_at_risk + 1, control_at_risk: last.control_at_risk + 1, ..last };
        let treated = WindowEvents { treated_events: last.treated_events + 1, ..at_risk };
        let control = WindowEvents { control_events: last.control_events + 1, ..at_risk };
        prop_assert!(log_e(treated) >= log_e(at_risk) - SLACK);
        prop_assert!(log_e(control) <= log_e(at_risk) + SLACK);
    }

    #[test]
    fn worse_values_of_updated_devices_never_lower(values in proptest::collection::vec((any::<bool>(), -2.0..2.0_f64), 1..120), at in any::<prop::sample::Index>(), worse in 0.0..2.0_f64) {
        let config = IndicatorConfig::default();
        let log_e = |values: &[(bool, f64)]| {
            let mut means = MeanDifference::new(&config);
            for (treated, value) in values {
                means.observe(if *treated { Arm::Updated } else { Arm::Control }, 0, Some(*value), &config);
            }
            means.log_e()
        };
        let mut changed = values.clone();
        let changed_at = at.index(values.len());
        changed[changed_at].1 += worse;
        if values[changed_at].0 {
            prop_assert!(log_e(&changed) >= log_e(&values) - SLACK);
        } else {
            prop_assert!(log_e(&changed) <= log_e(&values) + SLACK);
        }
    }

    #[test]
    fn more_evidence_in_one_stratum_lowers_nothing(strata in strata(), at in any::<prop::sample::Index>(), test in 0..2_usize, component in 0..3_usize, more in 0.0..5.0_f64, common in 0.0..1.0_f64) {
        let config = CombineConfig { weight_common: common, weight_subsets: (1.0 - common) / 2.0, ..CombineConfig::default() };
        let before = combine(&strata, &config);
        let mut changed = strata.clone();
        changed[at.index(strata.len())].tests[test][component] += more;
        let after = combine(&changed, &config);
        prop_assert!(after.global >= before.global - SLACK);
        for (after, before) in after.closed.iter().zip(&before.closed) {
            prop_assert!(after >= &(before - SLACK));
        }
    }

    /// The closed test is less powerful than the union bound over K strata by no more than what
    /// the e-value of all gives to other kinds of faults, and never more powerful than the
    /// stratum's own evidence or that of all.
    #[test]
    fn the_closed_test_is_near_the_union_bound(strata in strata(), planned in 0..12_usize) {
        let config = CombineConfig { strata_planned: planned, ..CombineConfig::default() };
        let going: Vec<Stratum> = strata.into_iter().map(|one| Stratum { stopped: false, ..one }).collect();
        let combined = combine(&going, &config);
        let single = 1.0 - config.weight_common - config.weight_subsets;
        let family = (going.len().max(planned) as f64 / single).ln();
        for (closed, own) in combined.closed.iter().zip(&combined.strata) {
            prop_assert!(*closed >= own - family - SLACK);
            prop_assert!(*closed <= own + SLACK);
            prop_assert!(*closed <= combined.global + SLACK);
        }
    }

    #[test]
    fn relabelling_strata_changes_no_bit(labelled in strata().prop_flat_map(|strata| {
        let labels: Vec<usize> = (0..strata.len()).collect();
        (Just(strata), Just(labels).prop_shuffle())
    })) {
        let (strata, labels) = labelled;
        let config = CombineConfig::default();
        let relabelled: Vec<Stratum> = labels.iter().map(|label| strata[*label].clone()).collect();
        let (before, after) = (judge(&strata, &config), judge(&relabelled, &config));
        prop_assert_eq!(before.evidence.global.to_bits(), after.evidence.global.to_bits());
        prop_assert_eq!((before.alarm, before.stop_all), (after.alarm, after.stop_all));
        for (place, label) in labels.iter().enumerate() {
            prop_assert_eq!(before.scopes[*label], after.scopes[place]);
            prop_assert_eq!(before.evidence.closed[*label].to_bits(), after.evidence.closed[place].to_bits());
        }
        let targets: Vec<u64> = strata.iter().map(|stratum| stratum.matured as u64).collect();
        let moved: Vec<u64> = labels.iter().map(|label| targets[*label]).collect();
        let (before, after) = (shares(50, &targets), shares(50, &moved));
        for (place, label) in labels.iter().enumerate() {
            prop_assert_eq!(before[*label].to_bits(), after[place].to_bits());
        }
    }

    /// A restart between any two steps leaves no trace.
    #[test]
    fn stored_and_restored_evidence_goes_on_with_the_same_bits(steps in proptest::collection::vec(step(), 1..30), at in any::<prop::sample::Index>()) {
        let config = config();
        let through = gathered(&steps);
        let (first, second) = steps.split_at(at.index(steps.len()));
        let stored = serde_json::to_string(&gathered(first)).unwrap();
        let mut restored: Evidence = serde_json::from_str(&stored).unwrap();
        run(&mut restored, second, &config);
        prop_assert_eq!(&restored, &through);
        let e = |evidence: &Evidence| combine(&[evidence.stratum(0.0, false, &config)], &CombineConfig::default());
        prop_assert_eq!(e(&restored).global.to_bits(), e(&through).global.to_bits());
    }

    #[test]
    fn exact_floats_come_back(bits in any::<u64>()) {
        let value = Exact::new(f64::from_bits(bits));
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(serde_json::from_str::<Exact>(&text).unwrap(), value);
    }

    #[test]
    fn no_value_of_an_indicator_breaks_it(values in proptest::collection::vec((any::<bool>(), any::<f64>()), 0..60)) {
        let config = IndicatorConfig::default();
        let mut means = MeanDifference::new(&config);
        for (treated, value) in values {
            means.observe(if treated { Arm::Updated } else { Arm::Control }, 0, Some(value), &config);
        }
        let interval = means.interval(&config);
        prop_assert!(means.log_e().is_finite());
        prop_assert!(interval.lower <= interval.upper);
    }

    #[test]
    fn bounds_grow_with_events_and_confidence(events in 0.0..50_000.0_f64, more in 0.0..10.0_f64, confidence in 0.5..0.999_f64) {
        let here = poisson_upper(events, confidence);
        prop_assert!(here > events);
        // At the change of method the approximation may be lower by its error.
        prop_assert!(poisson_upper(events + more, confidence) >= here * (1.0 - 1e-6));
        prop_assert!(poisson_upper(events, confidence + 0.0005) >= here);
    }

    /// Integer classes: never too short, at most an eighth too long.
    #[test]
    fn the_longest_gap_is_kept(gaps_s in proptest::collection::vec(1..4_000_000_u64, 1..200)) {
        let config = SilenceConfig::default();
        let mut gaps = Gaps::default();
        for gap_s in &gaps_s {
            gaps.observe(*gap_s, &config);
        }
        let longest = gaps_s.iter().copied().max().unwrap();
        let quantile = gaps.quantile_s(1_000_000).unwrap();
        prop_assert!(quantile >= longest && quantile <= longest + longest / 8 + 1);
        prop_assert_eq!(gaps.count(), gaps_s.len() as u64);
    }
}

#[test]
fn absent_values_are_neutral() {
    let config = IndicatorConfig::default();
    let mut means = MeanDifference::new(&config);
    means.observe(Arm::Updated, 0, Some(0.4), &config);
    let before = means.clone();
    means.observe(Arm::Updated, 0, None, &config);
    means.observe(Arm::Control, 0, None, &config);
    means.observe(Arm::Control, 0, Some(f64::NAN), &config);
    assert_eq!(means, before);
}

/// What was measured at another time of the day is no comparison.
#[test]
fn values_are_compared_with_those_of_their_time() {
    let config = IndicatorConfig::default();
    let mut means = MeanDifference::new(&config);
    means.observe(Arm::Control, 0, Some(-0.5), &config);
    means.observe(Arm::Control, 1_800, Some(0.5), &config);
    means.observe(Arm::Updated, 5_000, Some(0.5), &config);
    assert_eq!(means.pairs(), 1);
    assert!(means.log_e() < 0.0, "the control of the same hour was as high");
    means.observe(Arm::Updated, 5_000, Some(0.5), &config);
    assert_eq!(means.pairs(), 1, "nobody to compare with");
}

#[test]
fn without_control_or_exposure_there_is_no_evidence() {
    let config = HealthConfig::default();
    let mut health = Logrank::new(&config);
    let treated =
        WindowEvents { treated_events: 9, treated_at_risk: 10, ..WindowEvents::default() };
    let control =
        WindowEvents { control_events: 9, control_at_risk: 10, ..WindowEvents::default() };
    health.observe(&[treated, control, treated, control], &config);
    assert_eq!(log_e_of(&health, None).to_bits(), 0.0_f64.to_bits());
}

/// A strong outage in both arms is no evidence, however many devices it takes.
#[test]
fn shocks_cancel() {
    let config = HealthConfig::default();
    for (treated_at_risk, control_at_risk) in [(100, 9_900), (5_000, 5_000), (9_000, 1_000)] {
        let mut health = Logrank::new(&config);
        let shock = WindowEvents {
            treated_events: treated_at_risk / 10,
            control_events: control_at_risk / 10,
            treated_at_risk,
            control_at_risk,
        };
        health.observe(&[shock; 4], &config);
        assert!(log_e_of(&health, None) < 0.0, "{treated_at_risk}: {}", log_e_of(&health, None));
    }
}

/// Events between two looks: the expectation of the tied factor stays at most 1 when devices are
/// drawn one after another without replacement (Wallenius' distribution), for every tolerated
/// hazard ratio, alternative and number of events; enumerated.
#[test]
fn ties_are_on_the_safe_side() {
    let tolerated = 1.5;
    for (treated, control) in [(1, 1), (1, 9), (3, 3), (5, 2), (12, 1), (2, 30), (20, 20), (40, 3)]
    {
        for ratio in [1.0, 1.2, 1.5] {
            for alternative in [3.0, 10.0, 100.0, 1000.0] {
                let share =
                    |ratio: f64| ratio * treated as f64 / (ratio * treated as f64 + control as f64);
                let (assumed, null) = (share(alternative), share(tolerated));
                let (up, down) = (assumed / null, (1.0 - assumed) / (1.0 - null));
                // probability[k]: k updated devices among those drawn so far.
                let mut probability = vec![0.0; treated + 1];
                probability[0] = 1.0;
                for drawn in 0..treated + control {
                    let mut next = vec![0.0; treated + 1];
                    for (taken, chance) in probability.iter().enumerate() {
                        let (left, others) =
                            (treated - taken, (control + taken).checked_sub(drawn));
                        let Some(others) = others.filter(|_| *chance > 0.0) else { continue };
                        let weight = ratio * left as f64;
                        let hit = weight / (weight + others as f64);
                        if left > 0 {
                            next[taken + 1] += chance * hit;
                        }
                        next[taken] += chance * (1.0 - hit);
                    }
                    probability = next;
                    let events = drawn + 1;
                    let expectation: f64 = probability
                        .iter()
                        .enumerate()
                        .filter(|(_, chance)| **chance > 0.0)
                        .map(|(k, chance)| {
                            chance * up.powi(k as i32) * down.powi((events - k) as i32)
                        })
                        .sum();
                    assert!(
                        expectation <= 1.0 + 1e-9,
                        "{events} events in {treated} and {control}, {ratio} against {alternative}: {expectation}"
                    );
                }
            }
        }
    }
}
