//! Whole operations that harm nobody, with every freedom a regulator takes: sizes that follow the
//! evidence, looks at any time, outages that hit both arms, drifting baselines. The share of
//! operations that ever cross a limit must stay below the error allowed, at every level.

use std::collections::VecDeque;

use model::{
    Arm, EvidencePlan, HealthEventKind, HealthEvents, Look, OperationId, StratumLook, Time,
};

use super::{Source, log_e_of, window_of};
use crate::evidence::numeric::log_sum_exp;
use crate::evidence::*;

/// What an operation is simulated under.
#[derive(Debug, Clone, Copy)]
struct Case {
    fleet: u64,
    /// Rate of failed installations.
    failing: f64,
    /// Whether the change is as bad as may be tolerated, in everything, instead of harmless.
    at_the_limit: bool,
    /// Whether the tolerated rate is learned from a short history, instead of known.
    learned: bool,
}

/// The largest ln E ever seen.
#[derive(Debug, Clone, Copy)]
struct Highest {
    /// Of what can stop something: strata (closed), the operation.
    stopping: f64,
    /// Of each test in the first stratum.
    installs: f64,
    health: f64,
    indicator: f64,
}

#[test]
fn operations_that_harm_nobody_are_hardly_ever_stopped() {
    let cases: Vec<Case> = [150, 2_000, 20_000]
        .into_iter()
        .flat_map(|fleet| [0.002, 0.01, 0.04].map(|failing| (fleet, failing)))
        .flat_map(|(fleet, failing)| {
            [(false, false), (true, false), (false, true)].map(|(at_the_limit, learned)| Case {
                fleet,
                failing,
                at_the_limit,
                learned,
            })
        })
        .collect();
    let runs = operations().div_ceil(cases.len() as u64);
    let mut all = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let highest: Vec<Highest> =
            (0..runs).map(|run| simulate(number as u64 * 1_000_003 + run, *case)).collect();
        check(&format!("{case:?}"), &highest);
        all.extend(highest);
    }
    check("all operations", &all);
}

/// Counts crossings at several levels; prints them for the note (`--nocapture`).
#[expect(clippy::print_stdout, reason = "the measured shares are a result, not only a verdict")]
fn check(name: &str, highest: &[Highest]) {
    let runs = highest.len() as f64;
    for alpha in [0.5, 0.2, 0.05, 0.01] {
        let share = |value: fn(&Highest) -> f64, limit: f64| {
            let crossed = highest.iter().filter(|highest| value(highest) >= limit.ln()).count();
            crossed as f64 / runs
        };
        let shares = [
            ("stopping", share(|highest| highest.stopping, 1.0 / alpha)),
            ("installs", share(|highest| highest.installs, 1.0 / alpha)),
            ("health", share(|highest| highest.health, 1.0 / alpha)),
            ("indicator", share(|highest| highest.indicator, 1.0 / alpha)),
        ];
        if name == "all operations" {
            println!("{runs} operations, error allowed {alpha}: {shares:?}");
        }
        // Room for chance within a single case: four standard deviations of the count.
        let allowed =
            alpha + if name == "all operations" { 0.0 } else { 4.0 * (alpha / runs).sqrt() };
        for (what, share) in shares {
            assert!(share <= allowed, "{name}: {what} crossed in {share}, {allowed} allowed");
        }
    }
}

/// The full number in release builds, a taste of it in slow ones.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is no decision")]
fn operations() -> u64 {
    let asked = std::env::var("BELLWETHER_SIMULATED_OPERATIONS").ok();
    let default = if cfg!(debug_assertions) { 810 } else { 20_007 };
    asked.map_or(default, |asked| asked.parse().expect("a number of operations"))
}

struct Group {
    evidence: Evidence,
    /// How long after its failures an update's successes are known, and those not known yet.
    soak_h: f64,
    soaking: Vec<(f64, u64)>,
    waiting: u64,
    control: u64,
    /// Updated devices still well, by the hour of their update.
    cohorts: Vec<(f64, u64)>,
    updated: u64,
    bad: u64,
}

fn simulate(seed: u64, case: Case) -> Highest {
    let mut source = Source(seed.wrapping_mul(1 << 20));
    let config =
        TestsConfig { indicators: vec![IndicatorConfig::default()], ..TestsConfig::default() };
    let strata = 1 + source.below(5);
    let combine_config = CombineConfig {
        strata_planned: usize::try_from(strata).unwrap(),
        // As the product combines them.
        weights: config.weights(),
        ..CombineConfig::default()
    };
    let mut groups: Vec<Group> =
        (0..strata).map(|_| group(&mut source, case.fleet / strata, case, &config)).collect();
    let hazard_per_h = [0.000_5, 0.005][usize::try_from(source.below(2)).unwrap()];
    let mut highest = Highest { stopping: 0.0, installs: 0.0, health: 0.0, indicator: 0.0 };
    let (mut now_h, mut log_global) = (0.0, 0.0);
    for step in 0..40 {
        let length_h = [0.25, 1.0, 6.0, 24.0][usize::try_from(source.below(4)).unwrap()];
        let shock = if source.below(25) == 0 { 5.0 + 195.0 * source.unit() } else { 1.0 };
        let hazard = hazard_per_h * length_h * shock;
        for group in &mut groups {
            let size = size(&mut source, group, log_global, step);
            install(&mut source, group, size, case, now_h);
            live(&mut source, group, hazard, case, now_h, &config);
            measure(&mut source, group, size, now_h, case, &config);
        }
        let strata: Vec<Stratum> =
            groups.iter().map(|group| group.evidence.stratum(0.0, false, &config)).collect();
        let combined = combine(&strata, &combine_config);
        log_global = combined.global;
        let stopping = combined.closed.iter().copied().fold(combined.global, f64::max);
        let first = &groups[0].evidence;
        let installs = first.installs.log_e(first.tolerance, &config.install);
        highest.stopping = highest.stopping.max(stopping);
        highest.installs = highest.installs.max(installs);
        highest.health = highest.health.max(log_e_of(&first.health, None));
        highest.indicator = highest.indicator.max(first.indicators[0].log_e());
        now_h += length_h;
    }
    highest
}

fn group(source: &mut Source, targets: u64, case: Case, config: &TestsConfig) -> Group {
    let known = Exact::new(case.failing);
    let tolerance = if case.learned {
        let attempts = source.below(3_000);
        let failures = source.binomial(attempts, case.failing);
        tolerated(&[History { failures, attempts }], &config.install)
    } else if case.at_the_limit {
        Tolerance { rate: known, learned: known, learned_upper: known }
    } else {
        Tolerance { rate: Exact::new(1.5 * case.failing), learned: known, learned_upper: known }
    };
    let holdback = (targets / 20).max(1);
    Group {
        evidence: Evidence::new(tolerance, config),
        soak_h: [0.0, 6.0, 72.0][usize::try_from(source.below(3)).unwrap()],
        soaking: Vec::new(),
        waiting: targets.saturating_sub(holdback),
        control: holdback,
        cohorts: Vec::new(),
        updated: 0,
        bad: 0,
    }
}

/// Sizes by the budget, at random, or such that evidence is chased when it is high.
fn size(source: &mut Source, group: &Group, log_global: f64, step: u64) -> u64 {
    let random = source.below(group.waiting / 4 + 3);
    let size = match source.0 % 3 {
        0 => {
            let matured = group.updated as f64 * 0.8;
            let bound = fault_bound(group.bad, 0.0, matured, &BoundConfig::default());
            next_element(5.0, bound.rate_upper, group.updated as f64 - matured)
        }
        1 if log_global > 1.0 => 1 + random / 10,
        1 => random * 2,
        _ if step.is_multiple_of(3) => random,
        _ => 0,
    };
    size.min(group.waiting)
}

fn install(source: &mut Source, group: &mut Group, size: u64, case: Case, now_h: f64) {
    // Failures are told at once, successes proved after the soak.
    let failures = source.binomial(size, case.failing);
    group.soaking.push((now_h + group.soak_h, size - failures));
    let proved = group.soaking.extract_if(.., |(at_h, _)| *at_h <= now_h);
    let successes = proved.map(|(_, devices)| devices).sum();
    let under_way = group.soaking.iter().map(|(_, devices)| devices).sum();
    group.evidence.installs.observe(failures, successes, under_way);
    group.waiting -= size;
    group.updated += size;
    group.bad += failures;
    group.cohorts.push((now_h, size));
}

/// Devices fall silent; those of both arms with the same hazard, up to the tolerated ratio.
fn live(
    source: &mut Source,
    group: &mut Group,
    hazard: f64,
    case: Case,
    now_h: f64,
    config: &TestsConfig,
) {
    let ratio = if case.at_the_limit { config.health.hazard_ratio_tolerated } else { 1.0 };
    let chance = |hazard: f64| 1.0 - libm::exp(-hazard);
    let at_risk = group.waiting + group.control;
    let control_events = source.binomial(at_risk, chance(hazard));
    let mut windows =
        [WindowEvents { control_events, control_at_risk: at_risk, ..WindowEvents::default() }; 4];
    for (updated_h, devices) in &mut group.cohorts {
        let events = source.binomial(*devices, chance(hazard * ratio));
        let window = window_of(&config.health, ((now_h - *updated_h) * 3600.0) as u64);
        for window in [window, 3] {
            windows[window].treated_events += events;
            windows[window].treated_at_risk += *devices;
        }
        *devices -= events;
        group.bad += events;
    }
    group.evidence.health.observe(&windows, &config.health);
    let held = (control_events * group.control).checked_div(at_risk).unwrap_or(0);
    group.control -= held;
    group.waiting -= (control_events - held).min(group.waiting);
}

/// Skewed values around a baseline that drifts for both arms.
fn measure(
    source: &mut Source,
    group: &mut Group,
    size: u64,
    now_h: f64,
    case: Case,
    config: &TestsConfig,
) {
    let settings = &config.indicators[0];
    let drift = 0.3 * libm::sin(now_h / 24.0 * std::f64::consts::TAU);
    let shift = if case.at_the_limit { settings.tolerated } else { 0.0 };
    let control = source.below(40);
    for index in 0..size.min(40) + control {
        let treated = if size.min(40) > index { Arm::Updated } else { Arm::Control };
        let noise = if source.below(10) == 0 { 0.54 } else { -0.06 };
        let value = drift + noise + if treated == Arm::Updated { shift } else { 0.0 };
        group.evidence.indicators[0].observe(
            treated,
            (now_h * 3600.0) as u64,
            Some(value),
            settings,
        );
    }
}

/// A small fleet of which few call in a look, updated faster and faster, whose devices crash and
/// fall silent as often in both arms: contacts of several looks are compared while devices go from
/// one arm to the other.
#[test]
#[expect(clippy::print_stdout, reason = "the measured share is a result, not only a verdict")]
fn small_fleets_that_grow_quickly_are_hardly_ever_stopped() {
    let runs = if cfg!(debug_assertions) { 60 } else { 4_000 };
    let crossed = (0..runs).filter(|run| growing(*run) >= 20.0_f64.ln()).count();
    let share = crossed as f64 / runs as f64;
    println!("{runs} operations, error allowed 0.05: {share}");
    assert!(share <= 0.05 + 3.0 * (0.05 / runs as f64).sqrt(), "{share}");
}

/// The largest ln E of the health of one such operation.
fn growing(seed: u64) -> f64 {
    let mut source = Source(seed.wrapping_mul(1 << 20) + 7);
    let rule = model::Evidence::default();
    let tests = tests_config(&rule, 0);
    let mut panel = Panel::new(&rule, &EvidencePlan { budget: 5, ..EvidencePlan::default() });
    let (mut control, mut updated) = (200_u64, 0_u64);
    let mut found: VecDeque<(u64, HealthEvents)> = VecDeque::new();
    let mut highest = 0.0_f64;
    for number in 1..=600 {
        // Up to a tenth more in a look.
        let told = if source.below(4) == 0 { source.below(updated / 10 + 2) } else { 0 };
        let told = told.min(control.saturating_sub(5));
        control -= told;
        updated += told;
        let of_updated = source.binomial(updated, 0.02);
        let of_control = source.binomial(control, 0.02);
        let mut events = Vec::new();
        for (arm, contacts) in [(Arm::Updated, of_updated), (Arm::Control, of_control)] {
            for (kind, later) in [(HealthEventKind::Crash, 0), (HealthEventKind::Silence, 150)] {
                let devices = source.binomial(contacts, 0.03);
                let event = HealthEvents { arm, look: number, window: 0, kind, devices };
                if devices > 0 && later == 0 {
                    events.push(event);
                } else if devices > 0 {
                    found.push_back((number + later, event));
                }
            }
        }
        while found.front().is_some_and(|(at, _)| *at <= number) {
            events.extend(found.pop_front().map(|(_, event)| event));
        }
        panel.observe(&Look {
            operation: OperationId(1),
            number,
            at: Time::from_secs(300 * number),
            strata: vec![StratumLook {
                targets: 200,
                updated: told,
                updated_contacts: vec![of_updated],
                control_contacts: of_control,
                control,
                deadline_s: 45_000,
                events,
                ..StratumLook::default()
            }],
            left: Vec::new(),
        });
        let health: Vec<f64> =
            panel.strata()[0].tests[1].iter().map(|log_e| log_e.value()).collect();
        let weighted = health.iter().zip(tests.health.weights()).map(|(e, w)| e + w.ln());
        highest = highest.max(log_sum_exp(&weighted.collect::<Vec<_>>()));
    }
    highest
}
