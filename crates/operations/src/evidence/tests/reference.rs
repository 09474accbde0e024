//! Values of an independent implementation, `crates/operations/reference/statistics.py`.

use serde::Deserialize;

use super::log_e_of;
use crate::evidence::*;

#[derive(Deserialize)]
struct Reference {
    installs: Vec<InstallCase>,
    tolerances: Vec<ToleranceCase>,
    logrank: Vec<LogrankCase>,
    means: Vec<MeansCase>,
    combined: Vec<CombinedCase>,
    poisson: Vec<PoissonCase>,
    maturities: Vec<MaturityCase>,
    budgets: Vec<BudgetCase>,
}

#[derive(Deserialize)]
struct InstallCase {
    tolerated: f64,
    failures: u64,
    successes: u64,
    log_e: f64,
}

#[derive(Deserialize)]
struct ToleranceCase {
    levels: Vec<[u64; 2]>,
    learned: f64,
    upper: f64,
    rate: f64,
}

#[derive(Deserialize)]
struct LogrankCase {
    observed: Vec<[[u64; 4]; 4]>,
    log_windows: [f64; 4],
    log_e: f64,
}

#[derive(Deserialize)]
struct MeansCase {
    bound: f64,
    tolerated: f64,
    values: Vec<(bool, u64, f64)>,
    pairs: u64,
    log_e: f64,
    interval: [f64; 2],
}

#[derive(Deserialize)]
struct CombinedCase {
    strata: Vec<Vec<Vec<f64>>>,
    planned: usize,
    // Weights of one fault that all have, and of a fault that any of them have.
    kinds: [f64; 2],
    weights: Vec<Vec<f64>>,
    stopped: Vec<bool>,
    log_against: Vec<f64>,
    log_likeness: Vec<f64>,
    log_strata: Vec<f64>,
    // One fault of all, of any, of one, and all of these; of every stratum, and of those that are
    // not stopped.
    log_together: [f64; 4],
    log_rest: [f64; 4],
    log_closed: Vec<f64>,
}

#[derive(Deserialize)]
struct PoissonCase {
    events: f64,
    confidence: f64,
    upper: f64,
    approximate: f64,
}

#[derive(Deserialize)]
struct MaturityCase {
    age_s: u64,
    deadline_s: u64,
    share: f64,
}

#[derive(Deserialize)]
struct BudgetCase {
    budget: u64,
    targets: Vec<u64>,
    shares: Vec<f64>,
}

#[test]
fn installs() {
    let config = InstallConfig::default();
    for case in reference().installs {
        let installs =
            Installs { failures: case.failures, successes: case.successes, under_way: 0 };
        let rate = Exact::new(case.tolerated);
        let tolerance = Tolerance { rate, learned: rate, learned_upper: rate };
        let log_e = installs.log_e(tolerance, &config);
        check(log_e, case.log_e, &format!("{installs:?} at {rate:?}"));
    }
}

#[test]
fn tolerances() {
    for case in reference().tolerances {
        let levels = case
            .levels
            .iter()
            .map(|[failures, attempts]| History { failures: *failures, attempts: *attempts });
        let tolerance = tolerated(&levels.collect::<Vec<_>>(), &InstallConfig::default());
        check(tolerance.learned.value(), case.learned, &format!("learned from {:?}", case.levels));
        check(tolerance.learned_upper.value(), case.upper, &format!("upper of {:?}", case.levels));
        check(tolerance.rate.value(), case.rate, &format!("tolerated after {:?}", case.levels));
    }
}

#[test]
fn logrank() {
    let config = HealthConfig::default();
    for case in reference().logrank {
        let mut logrank = Logrank::new(&config);
        for row in &case.observed {
            let windows =
                row.map(|[treated_events, control_events, treated, control]| WindowEvents {
                    treated_events,
                    control_events,
                    treated_at_risk: treated,
                    control_at_risk: control,
                });
            logrank.observe(&windows, &config);
        }
        let steps = case.observed.len();
        for (window, expected) in case.log_windows.iter().enumerate() {
            check(
                log_e_of(&logrank, Some(window)),
                *expected,
                &format!("{steps} steps, window {window}"),
            );
        }
        check(log_e_of(&logrank, None), case.log_e, &format!("{steps} steps"));
    }
}

#[test]
fn means() {
    for case in reference().means {
        let config = IndicatorConfig {
            bound: case.bound,
            tolerated: case.tolerated,
            ..IndicatorConfig::default()
        };
        let mut means = MeanDifference::new(&config);
        for (treated, at_s, value) in &case.values {
            let arm = if *treated { Arm::Updated } else { Arm::Control };
            means.observe(arm, *at_s, Some(*value), &config);
        }
        let name = format!("{} values", case.values.len());
        assert_eq!(means.pairs(), case.pairs, "{name}");
        check(means.log_e(), case.log_e, &name);
        let interval = means.interval(&config);
        check(interval.lower, case.interval[0], &format!("{name}, lower"));
        check(interval.upper, case.interval[1], &format!("{name}, upper"));
    }
}

#[test]
fn combined() {
    for case in reference().combined {
        let config = CombineConfig {
            strata_planned: case.planned,
            weight_common: case.kinds[0],
            weight_subsets: case.kinds[1],
            weights: case.weights.clone(),
            ..CombineConfig::default()
        };
        let strata: Vec<Stratum> = case
            .strata
            .iter()
            .map(|tests| Stratum { tests: tests.clone(), ..Stratum::default() })
            .collect();
        let combined = combine(&strata, &config);
        let name = format!("{} strata", strata.len());
        check_together(&combined, &case.log_together, &name);
        for stratum in 0..strata.len() {
            let name = format!("{name}, stratum {stratum}");
            check(combined.strata[stratum], case.log_strata[stratum], &name);
            check(combined.closed[stratum], case.log_closed[stratum], &format!("{name}, closed"));
        }
        let some_stopped: Vec<Stratum> = strata
            .iter()
            .zip(&case.stopped)
            .map(|(stratum, stopped)| Stratum { stopped: *stopped, ..stratum.clone() })
            .collect();
        let rest = combine(&some_stopped, &config);
        check_together(&rest, &case.log_rest, &format!("{name}, some of them stopped"));
        assert_eq!(rest.closed, combined.closed, "{name}: what is stopped is a part of every set");
        let against = against(&some_stopped, &config);
        let likeness = likeness(&strata, &case.stopped, &config);
        for stratum in 0..strata.len() {
            let name = format!("{name}, stratum {stratum}");
            check(against[stratum], case.log_against[stratum], &format!("{name}, against"));
            check(likeness[stratum], case.log_likeness[stratum], &format!("{name}, likeness"));
        }
    }
}

fn check_together(combined: &Combined, expected: &[f64; 4], name: &str) {
    let Combined { common, subsets, single, global, .. } = combined;
    let found = [("common", common), ("subsets", subsets), ("single", single), ("global", global)];
    for ((what, found), expected) in found.into_iter().zip(expected) {
        check(*found, *expected, &format!("{name}, {what}"));
    }
}

#[test]
fn bounds() {
    let config = BoundConfig::default();
    for case in reference().poisson {
        let name = format!("{} events at {}", case.events, case.confidence);
        check(poisson_upper(case.events, case.confidence), case.upper, &name);
        let approximate = poisson_upper_approximate(case.events, case.confidence);
        check(approximate, case.approximate, &format!("{name}, approximate"));
    }
    for case in reference().maturities {
        let share = maturity(case.age_s, case.deadline_s, &config);
        check(share, case.share, &format!("age {} s", case.age_s));
    }
}

#[test]
fn budgets() {
    for case in reference().budgets {
        for (share, expected) in shares(case.budget, &case.targets).iter().zip(&case.shares) {
            check(*share, *expected, &format!("{} over {:?}", case.budget, case.targets));
        }
    }
}

/// Within 10⁻⁹, relative for values above 1.
#[track_caller]
fn check(value: f64, expected: f64, name: &str) {
    let apart = (value - expected).abs() / expected.abs().max(1.0);
    assert!(apart <= 1e-9, "{name}: {value} instead of {expected}, {apart:e} apart");
}

fn reference() -> Reference {
    serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/reference/statistics.json"
    )))
    .unwrap()
}
