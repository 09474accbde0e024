//! Figures that can be followed by hand.

use model::{Phase, StratumScope};

use crate::evidence::*;

/// The rule of three and its kin: upper bounds at 95 %.
#[test]
fn bounds_of_few_events() {
    let config = BoundConfig::default();
    for (events, faults_upper) in [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)] {
        let bound = fault_bound(events, 0.0, 999.0, &config);
        assert!((bound.faults_upper - faults_upper).abs() < 0.001, "{events}: {bound:?}");
        assert!((bound.rate_upper - faults_upper / 1000.0).abs() < 1e-5, "{events}: {bound:?}");
        let approximate = poisson_upper_approximate(events as f64, 0.95);
        assert!((approximate / faults_upper - 1.0).abs() < 0.02, "{events}: {approximate}");
    }
    // Nothing known yet: any rate is possible.
    assert!(fault_bound(0, 0.0, 0.0, &config).rate_upper >= 1.0);
}

#[test]
fn the_approximation_takes_over_without_a_step() {
    for confidence in [0.5, 0.95, 0.999] {
        let (exact, approximate) =
            (poisson_upper(9_999.0, confidence), poisson_upper_approximate(9_999.0, confidence));
        assert!((exact / approximate - 1.0).abs() < 1e-6, "{confidence}: {exact} {approximate}");
    }
}

#[test]
fn benign_events_come_off_by_the_control() {
    let expected = expected_events(20, 1000.0, 500.0);
    assert_eq!(expected.to_bits(), 10.0_f64.to_bits());
    let count = BoundConfig::default();
    let bound = BoundConfig { baseline: Baseline::Bound, ..BoundConfig::default() };
    for (events, by_count, by_bound) in [(0, 3.0, 3.0), (10, 3.0, 6.96), (20, 16.96, 19.06)] {
        let faults = fault_bound(events, expected, 500.0, &count).faults_upper;
        assert!((faults - by_count).abs() < 0.01, "{events} events: {faults}");
        let faults = fault_bound(events, expected, 500.0, &bound).faults_upper;
        assert!((faults - by_bound).abs() < 0.01, "{events} events: {faults}");
    }
    // Without control, every event is taken for a fault.
    assert_eq!(expected_events(5, 0.0, 100.0).to_bits(), 0.0_f64.to_bits());
}

#[test]
fn exposure_matures() {
    let config = BoundConfig::default();
    let mut exposure = Exposure::default();
    exposure.add(0, 100, &config);
    exposure.add(1, 50, &config);
    exposure.add(299, 50, &config);
    assert_eq!(exposure.devices(), 200);
    let deadline_s = 7_200;
    assert!(exposure.matured(7_200, deadline_s, &config) < 1e-9);
    let day = exposure.matured(86_400, deadline_s, &config);
    assert!((150.0..200.0).contains(&day), "{day}");
    exposure.remove(1, &config);
    assert_eq!(exposure.devices(), 199);
    // Old times are kept by the hour: a little younger than they are, never older.
    let before = exposure.matured(200_000, deadline_s, &config);
    exposure.settle(200_000, 0, &config);
    let after = exposure.matured(200_000, deadline_s, &config);
    assert!(after < before && after > before - 1.0, "{before} {after}");
    exposure.remove(299, &config);
    assert_eq!(exposure.devices(), 198);
    let late_s = config.matured_s + 3_601;
    exposure.settle(late_s, 0, &config);
    assert!((exposure.matured(late_s, deadline_s, &config) - 198.0).abs() < 1e-9);
    exposure.remove(299, &config);
    assert_eq!(exposure.devices(), 197);
    exposure.remove(400_000, &config);
}

/// However short faults take to show, nothing has matured before silence can be seen.
#[test]
fn exposure_is_not_mature_before_the_deadline() {
    let (matured_s, deadline_s) = (4_200, 14_400);
    let latencies = vec![Latency { mean_s: 600, weight: 1.0 }];
    let config = BoundConfig { latencies, matured_s, bucket_s: 60, ..BoundConfig::default() };
    let mut exposure = Exposure::default();
    exposure.add(0, 100, &config);
    for now_s in (0..=deadline_s).step_by(60) {
        exposure.settle(now_s, deadline_s, &config);
        assert!(exposure.matured(now_s, deadline_s, &config) < 1e-9, "{now_s}");
    }
    let late_s = deadline_s + matured_s + 60;
    exposure.settle(late_s, deadline_s, &config);
    assert!((exposure.matured(late_s, deadline_s, &config) - 100.0).abs() < 1e-9);
}

#[test]
fn exposure_stays_small() {
    let config = BoundConfig::default();
    let mut exposure = Exposure::default();
    for step in 0..20_000 {
        exposure.add(step * 100, 1, &config);
        exposure.settle(step * 100, 0, &config);
    }
    assert_eq!(exposure.devices(), 20_000);
    assert!(serde_json::to_string(&exposure).unwrap().len() < 8_000);
}

#[test]
fn sizes_grow_with_certainty_and_collapse_with_harm() {
    for (share, rate_upper, unresolved, size) in [
        (26.0, 1.0, 0.0, 26),
        (26.0, 1.0, 25.2, 0),
        (26.0, 0.05, 20.0, 500),
        (26.0, 0.05, 1000.0, 0),
        (1.0, 1.0, 0.0, 1),
        (0.0, 0.5, 0.0, 0),
    ] {
        assert_eq!(next_element(share, rate_upper, unresolved), size, "{share} at {rate_upper}");
    }
    for (rate_upper, phase) in [
        (1.0, Phase::Test),
        (0.1, Phase::Cautious),
        (0.01, Phase::Cautious),
        (0.009, Phase::Generalization),
    ] {
        assert_eq!(certainty(rate_upper), phase, "{rate_upper}");
    }
    for (targets, budget) in [(0, 5), (150, 5), (10_000, 5), (100_000, 50), (1_000_000, 500)] {
        assert_eq!(default_budget(targets), budget, "{targets}");
    }
}

/// Engine §4.2: shrink in proportion when the response time rises, grow by the square root.
#[test]
fn the_limit_follows_the_response_time() {
    let gradient = InfrastructureConfig::default();
    let aimd = InfrastructureConfig {
        rule: Adaptation::Aimd { add: 10.0, keep: 0.7 },
        ..InfrastructureConfig::default()
    };
    for (ratio, by_gradient, by_aimd) in [
        (Some(1.0), 110.0, 110.0),
        (Some(1.25), 110.0, 110.0),
        (Some(1.5625), 80.0, 70.0),
        (Some(4.0), 50.0, 70.0),
        (None, 100.0, 100.0),
        (Some(f64::NAN), 100.0, 100.0),
    ] {
        let limit = next_limit(100.0, ratio, &gradient);
        assert!((limit - by_gradient).abs() < 1e-9, "{ratio:?}: {limit}");
        let limit = next_limit(100.0, ratio, &aimd);
        assert!((limit - by_aimd).abs() < 1e-9, "{ratio:?}: {limit}");
    }
    assert!(next_limit(1.0, Some(9.0), &gradient) >= 1.0, "never nothing");
}

/// Silent devices it takes to stop one stratum of four at α = 1 % by health alone. The smaller
/// the exposure, the fewer: stopping power is largest when little is at stake.
#[test]
fn few_silent_devices_are_enough() {
    let config = TestsConfig::default();
    for (treated, most) in [(100, 3), (1_000, 4), (5_000, 5), (20_000, 8), (50_000, 20)] {
        let mut evidence = Evidence::new(tolerated(&[], &config.install), &config);
        let quiet = evidence.stratum(0.0, false, &config);
        let combine = CombineConfig { strata_planned: 4, ..CombineConfig::default() };
        let mut silent = 0;
        loop {
            silent += 1;
            let events = WindowEvents {
                treated_events: 1,
                treated_at_risk: treated,
                control_at_risk: 100_000 - treated,
                ..WindowEvents::default()
            };
            evidence.health.observe(
                &[WindowEvents::default(), events, WindowEvents::default(), events],
                &config.health,
            );
            let strata = [
                evidence.stratum(0.0, false, &config),
                quiet.clone(),
                quiet.clone(),
                quiet.clone(),
            ];
            let judgement = judge(&strata, &combine);
            if judgement.scopes[0] == StratumScope::Stopped {
                assert!(judgement.scopes[1..].iter().all(|scope| *scope == StratumScope::Free));
                break;
            }
        }
        assert!(silent <= most, "{treated} of 100,000 updated: {silent} silent");
    }
}

/// What a stopped stratum leaves: the others are judged without it.
#[test]
fn scopes() {
    let stratum = |log_e: f64, matured: f64, stopped: bool| Stratum {
        tests: vec![vec![log_e]],
        matured,
        stopped,
    };
    let planned =
        |strata: usize| CombineConfig { strata_planned: strata, ..CombineConfig::default() };
    let check = |strata: &[Stratum], scopes: &[StratumScope], alarm: bool, stop_all: bool| {
        let judgement = judge(strata, &planned(strata.len()));
        assert_eq!(judgement.scopes, scopes, "{judgement:?}");
        assert_eq!((judgement.alarm, judgement.stop_all), (alarm, stop_all), "{judgement:?}");
    };
    use StratumScope::{Free, Held, Stopped, Suspect};
    check(&[stratum(0.0, 0.0, false), stratum(0.0, 0.0, false)], &[Free, Free], false, false);
    // One revision is bricked; the others go on.
    check(
        &[stratum(9.0, 10.0, false), stratum(-0.5, 50.0, false), stratum(0.0, 0.0, false)],
        &[Stopped, Free, Free],
        false,
        false,
    );
    check(&[stratum(9.0, 10.0, true), stratum(0.0, 0.0, false)], &[Stopped, Free], false, false);
    // A weaker fault everywhere: no stratum alone is proof, together they are.
    check(
        &[
            stratum(4.0, 40.0, false),
            stratum(4.0, 40.0, false),
            stratum(0.1, 5.0, false),
            stratum(-1.0, 900.0, false),
        ],
        &[Suspect, Suspect, Held, Free],
        true,
        false,
    );
    check(&[stratum(4.5, 40.0, false), stratum(4.5, 40.0, false)], &[Suspect, Suspect], true, true);
    check(
        &[stratum(20.0, 40.0, false), stratum(20.0, 40.0, false)],
        &[Stopped, Stopped],
        false,
        true,
    );
    check(&[], &[], false, false);
}

#[test]
fn warnings_come_before_alarms() {
    let config = CombineConfig::default();
    let judged = |log_e: f64| {
        let stratum = Stratum { tests: vec![vec![log_e]], ..Stratum::default() };
        let judgement = judge(&[stratum], &config);
        (judgement.warning, judgement.scopes[0])
    };
    assert_eq!(judged(1.0), (false, StratumScope::Free));
    assert_eq!(judged(2.5), (true, StratumScope::Free));
    assert_eq!(judged(5.4).1, StratumScope::Stopped);
}

#[test]
fn tolerance_follows_the_history() {
    let config = InstallConfig::default();
    let check = |levels: &[(u64, u64)], least: f64, most: f64| {
        let levels: Vec<_> = levels
            .iter()
            .map(|(failures, attempts)| History { failures: *failures, attempts: *attempts })
            .collect();
        let rate = tolerated(&levels, &config).rate.value();
        assert!((least..=most).contains(&rate), "{levels:?}: {rate}");
    };
    // Nothing known: a flaky fleet is not stopped, one that fails at every tenth device is.
    check(&[], 0.04, 0.06);
    // Long history: 1.5 times the rate, but never under the floor.
    check(&[(40_000, 1_000_000)], 0.0599, 0.0601);
    check(&[(5_000, 1_000_000)], 0.0075, 0.0076);
    check(&[(10, 1_000_000)], 0.0075, 0.0075);
    // A stratum with a history of its own outweighs the fleet.
    check(&[(5_000, 1_000_000), (4_000, 100_000)], 0.058, 0.061);
    check(&[(5_000, 1_000_000), (0, 10)], 0.0075, 0.02);
    check(&[(900_000, 1_000_000)], 0.5, 0.5);
}

/// Engine §3: deadline = max(2 × lifetime, 99.9 % quantile of the device's own gaps).
#[test]
fn deadlines() {
    let config = SilenceConfig::default();
    let gaps = |gaps_s: &[(u64, usize)]| {
        let mut gaps = Gaps::default();
        for (gap_s, times) in gaps_s {
            for _ in 0..*times {
                gaps.observe(*gap_s, &config);
            }
        }
        gaps
    };
    let sleeper = gaps(&[(86_400, 30), (90_000, 1)]);
    let chatty = gaps(&[(60, 5_000), (61, 3_000), (600, 3)]);
    let newcomer = gaps(&[(60, 3)]);
    for (lifetime_s, own, kin, least, most) in [
        (300, &chatty, None, 600, 600),
        (10, &chatty, None, 60, 71),
        (3_600, &sleeper, None, 90_000, 101_250),
        (300, &newcomer, Some(&sleeper), 90_000, 101_250),
        (300, &newcomer, None, 600, 600),
        (300, &chatty, Some(&sleeper), 600, 600),
        (u64::MAX, &chatty, None, 1_209_600, 1_209_600),
        (0, &Gaps::default(), None, 60, 60),
    ] {
        let deadline = deadline_s(lifetime_s, own, kin, &config);
        assert!((least..=most).contains(&deadline), "{lifetime_s}: {deadline}");
    }
}

#[test]
fn gaps_stay_small_and_follow_new_habits() {
    let config = SilenceConfig::default();
    let mut gaps = Gaps::default();
    for step in 0..100_000_u64 {
        gaps.observe(1 + step * step % 1_000_003, &config);
    }
    assert!(gaps.count() <= config.gaps_max);
    assert!(serde_json::to_string(&gaps).unwrap().len() < 300, "{gaps:?}");
    for _ in 0..200_000 {
        gaps.observe(60, &config);
    }
    assert!(gaps.quantile_s(999_000).unwrap() < 1_000_003, "{gaps:?}");
    let mut kind = Gaps::default();
    kind.merge(&gaps, &config);
    assert_eq!(kind, gaps);
}

#[test]
fn growth_falls_as_harm_becomes_likelier() {
    let config = GrowthConfig::default();
    let check = |against: f64, phase: Phase, devices: f64| {
        let growth = growth(libm::log(against), phase, &config);
        assert!((growth - devices).abs() < 1e-9, "{against} in {phase}: {growth}");
    };
    check(0.1, Phase::Test, 4.2);
    check(1.0, Phase::Cautious, 7.0);
    check(1.0, Phase::Generalization, 16.8);
    check(3.5, Phase::Cautious, 2.0);
    check(1e9, Phase::Cautious, 0.25);
}

#[test]
fn a_fault_that_stopped_a_stratum_is_looked_for_in_the_others() {
    let config = CombineConfig::default();
    let stratum = |components: [f64; 3], stopped: bool| Stratum {
        tests: vec![components.to_vec()],
        stopped,
        ..Stratum::default()
    };
    let check = |other: [f64; 3], expected: f64| {
        let strata = [stratum([0.0, 12.0, 0.0], true), stratum(other, false)];
        let found = against(&strata, &config)[1];
        assert!((found - expected).abs() < 0.05, "{other:?}: {found}");
    };
    // Of an unknown one only the stop elsewhere is known.
    check([0.0, 0.0, 0.0], config.contagion);
    // What speaks against this very fault frees it, what speaks against others does not.
    check([0.0, -4.5, 0.0], config.contagion - 4.5);
    check([-6.0, 0.0, -6.0], config.contagion);
    check([0.0, 3.0, 0.0], config.contagion + 3.0);
}
