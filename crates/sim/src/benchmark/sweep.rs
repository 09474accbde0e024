//! Scenarios that nobody chose: drawn from ranges, so that bars hold beyond the shipped ones.

use std::num::NonZeroUsize;

use model::{Policy, Rate, Rule, Span};
use operations::evidence::default_budget;
use serde::Serialize;

use super::chance::Chance;
use super::measure::{Cell, Share, Spread};
use super::policies::Contestant;
use super::scenario::{
    Benign, Drift, Fault, FaultKind, Offline, OperationName, Outage, Scenario, Stratum,
};
use super::times::Times;
use super::{cell, scenario};

/// Many drawn scenarios.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// How many; every other one is good.
    pub scenarios: u64,
    /// Seed of the first; each further one has the next number.
    pub first_seed: u64,
    /// Policies.
    pub contestants: Vec<Contestant>,
    /// Runs of each policy in each scenario.
    pub runs: u64,
    /// Threads; none for as many as there are processors.
    pub threads: Option<NonZeroUsize>,
}

/// One drawn scenario under one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepCase {
    /// Its seed: `--sweep 1 --sweep-seed SEED` repeats it.
    pub seed: u64,
    /// What it is like.
    pub about: String,
    /// Devices that the policy may harm, by its budget or the default one.
    pub budget: u64,
    /// Devices harmed for each one in the budget, on average.
    pub harm: f64,
    /// The same in the worst of twenty runs.
    pub harm_p95: f64,
    /// Everything measured.
    pub cell: Cell,
}

/// What a sweep found for one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepReport {
    /// The policy.
    pub policy: String,
    /// Runs of good scenarios in which something was stopped.
    pub false_stops: Share,
    /// Runs of scenarios with a fault in some strata only, in which others were stopped.
    pub strata_wrong: Share,
    /// Devices harmed for each one in the budget, over the scenarios with a fault, each by the
    /// mean of its runs.
    pub harm: Option<Spread>,
    /// Scenarios with a fault whose mean harm is above so many budgets.
    pub over: Vec<Over>,
    /// Runs with a fault that were stopped.
    pub stopped: Share,
    /// Scenarios with the most false stops.
    pub most_stops: Vec<SweepCase>,
    /// Scenarios with the most harm against the budget.
    pub most_harm: Vec<SweepCase>,
    /// All scenarios, in the order of their seeds; for [`SweepReport::csv`].
    #[serde(skip)]
    pub cases: Vec<SweepCase>,
}

/// How many scenarios harm more than a multiple of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Over {
    /// The multiple.
    pub budgets: u32,
    /// Scenarios above it, of those with a fault.
    pub scenarios: Share,
}

impl Sweep {
    /// The ranges that scenarios are drawn from, for people.
    pub const RANGES: [(&'static str, &'static str); 12] = [
        ("devices", "150 to 1 M, evenly over powers"),
        ("gap between contacts", "5 s to 2 d, evenly over powers; exponential or lognormal"),
        ("strata", "1 to 6 of very different sizes"),
        ("offline", "0 to 15 %, back after 2 h to 3 d; half of the fleets steady"),
        ("installation", "2 min to 1 h"),
        ("benign failures", "0.1 to 5 %"),
        ("benign silence", "0.01 to 0.2 % an hour"),
        ("day and night", "none, or a swing of 10 to 80 %; up to 10 % more a day"),
        ("outage", "one in four: 1 to 10 % of all for 30 min to 4 h"),
        ("faults", "one, or two at once in a third: reported, silent or latent, 0.2 to 60 %"),
        ("latency", "5 min to 3 d, evenly over powers"),
        ("where", "half of the faults in one stratum only"),
    ];

    /// Runs everything; `progress` hears the scenarios done so far.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<SweepReport> {
        let mut cases: Vec<Vec<SweepCase>> = vec![Vec::new(); self.contestants.len()];
        for number in 0..self.scenarios {
            let seed = self.first_seed.wrapping_add(number);
            let scenario = Self::scenario(seed);
            for (at, contestant) in self.contestants.iter().enumerate() {
                let runs = self.runs_of(&scenario);
                let cell = cell(&scenario, contestant, seed, runs, self.threads);
                cases[at].push(SweepCase::of(seed, &scenario, &contestant.policy, cell));
            }
            progress(number as usize + 1, self.scenarios as usize);
        }
        let all = self.contestants.iter().zip(cases);
        all.map(|(contestant, cases)| SweepReport::of(&contestant.name, cases)).collect()
    }

    /// Large fleets run less often, so that a draw of a million devices costs no more than one of
    /// a quarter of a million.
    fn runs_of(&self, scenario: &Scenario) -> u64 {
        let share = (AFFORDABLE / scenario.devices as f64).min(1.0);
        ((self.runs as f64 * share).ceil() as u64).max(LARGE_RUNS.min(self.runs))
    }

    /// The scenario of a seed as a file, to be looked at and changed.
    #[must_use]
    pub fn file(seed: u64) -> String {
        Self::scenario(seed).to_toml()
    }

    /// The scenario of a seed; odd ones are good.
    #[must_use]
    pub fn scenario(seed: u64) -> Scenario {
        let mut chance = Chance::of(seed, "sweep");
        let good = seed % 2 == 1;
        let devices = powers(&mut chance, 150.0, 1e6).round() as u64;
        let gap_s = powers(&mut chance, 5.0, 172_800.0);
        let mut drawn = scenario("G1").expect("it ships");
        drawn.name = format!("sweep-{seed}");
        drawn.devices = devices;
        drawn.contact = times(&mut chance, gap_s);
        drawn.silence_after = None;
        drawn.offline = Offline {
            share: between(&mut chance, 0.0, 0.15),
            returns: span(powers(&mut chance, 7_200.0, 259_200.0)),
            steady: chance.yes(0.5),
        };
        let install_s = powers(&mut chance, 120.0, 3_600.0);
        drawn.install = Times::Lognormal { median: span(install_s), sigma: 0.3 };
        drawn.benign = Benign {
            failures: rate(powers(&mut chance, 0.001, 0.05)),
            passing: Rate::ZERO,
            silence_per_hour: rate(powers(&mut chance, 0.0001, 0.002)),
            crashes_per_hour: Rate::ZERO,
        };
        drawn.start_hour = chance.unit() * 24.0;
        if chance.yes(0.5) {
            drawn.drift = Drift {
                daily: 0.1 + 0.7 * chance.unit(),
                peak_hour: chance.unit() * 24.0,
                per_day: 0.1 * chance.unit(),
            };
        }
        drawn.operations = vec![OperationName { name: "change".to_owned() }];
        strata(&mut chance, &mut drawn);
        if chance.yes(0.25) {
            let from_s = chance.unit() * 43_200.0;
            let lasts_s = powers(&mut chance, 1_800.0, 14_400.0);
            drawn.outages.push(Outage {
                from: span(from_s),
                to: span(from_s + lasts_s),
                share: between(&mut chance, 0.01, 0.1),
                site: None,
            });
        }
        // Rare contacts need time to come round.
        let days = (20.0 + gap_s / 86_400.0 * 30.0).min(120.0);
        drawn.horizon = span(days * 86_400.0);
        // Long gaps need no fine steps.
        drawn.step = span((gap_s / 30.0).clamp(60.0, 300.0));
        if !good {
            let faults = if chance.yes(1.0 / 3.0) { 2 } else { 1 };
            for _ in 0..faults {
                let fault = fault(&mut chance, &drawn);
                drawn.faults.push(fault);
            }
        }
        drawn.title = about(&drawn);
        drawn
    }
}

impl SweepCase {
    fn of(seed: u64, scenario: &Scenario, policy: &Policy, cell: Cell) -> Self {
        let budget = match &policy.rule {
            Rule::Evidence(rule) => rule.budget,
            _ => None,
        };
        let budget = budget.unwrap_or_else(|| default_budget(scenario.devices));
        let of = |harmed: f64| harmed / budget.max(1) as f64;
        Self {
            seed,
            about: scenario.title.clone(),
            budget,
            harm: cell.harmed.map_or(0.0, |it| of(it.mean)),
            harm_p95: cell.harmed.map_or(0.0, |it| of(it.p95)),
            cell,
        }
    }
}

impl SweepReport {
    fn of(policy: &str, cases: Vec<SweepCase>) -> Self {
        let share = |of: &dyn Fn(&SweepCase) -> bool, hits: &dyn Fn(&Cell) -> Share| {
            let chosen = cases.iter().filter(|case| of(case)).map(|case| hits(&case.cell));
            let (hits, all) =
                chosen.fold((0, 0), |(hits, all), it| (hits + it.hits, all + it.runs));
            Share::of(hits, all)
        };
        let false_stops = share(&|case| case.cell.good, &|cell| cell.false_stops);
        let strata_wrong = share(&|case| !case.cell.good, &|cell| cell.false_stops);
        let stopped = share(&|case| !case.cell.good, &|cell| cell.stopped);
        let harms: Vec<f64> =
            cases.iter().filter(|case| !case.cell.good).map(|case| case.harm).collect();
        let over = BUDGETS.map(|budgets| Over {
            budgets,
            scenarios: Share::of(
                harms.iter().filter(|harm| **harm > f64::from(budgets)).count() as u64,
                harms.len() as u64,
            ),
        });
        let harm = Spread::of(harms);
        let most = |key: &dyn Fn(&SweepCase) -> f64| {
            let mut worst: Vec<SweepCase> =
                cases.iter().filter(|case| key(case) > 0.0).cloned().collect();
            worst.sort_by(|one, other| key(other).total_cmp(&key(one)));
            worst.truncate(WORST);
            worst
        };
        Self {
            policy: policy.to_owned(),
            false_stops,
            strata_wrong,
            harm,
            stopped,
            most_stops: most(&|case| case.cell.false_stops.share),
            most_harm: most(&|case| case.harm),
            over: over.to_vec(),
            cases,
        }
    }

    /// One line for each scenario (RFC 4180).
    #[must_use]
    pub fn csv(reports: &[Self]) -> String {
        let mut csv = "policy,seed,good,devices,runs,false_stops,stopped,harmed,harmed_p95,budget,\
             harm,harm_p95,hours_to_90,about\r\n"
            .to_owned();
        for report in reports {
            for case in &report.cases {
                let cell = &case.cell;
                let mean = |it: &Option<Spread>| {
                    it.map_or_else(String::new, |it| format!("{:.4}", it.mean))
                };
                csv.push_str(&format!(
                    "{},{},{},{},{},{:.6},{:.6},{},{},{},{:.4},{:.4},{},\"{}\"\r\n",
                    report.policy,
                    case.seed,
                    cell.good,
                    cell.devices,
                    cell.runs,
                    cell.false_stops.share,
                    cell.stopped.share,
                    mean(&cell.harmed),
                    cell.harmed.map_or_else(String::new, |it| format!("{:.1}", it.p95)),
                    case.budget,
                    case.harm,
                    case.harm_p95,
                    mean(&cell.hours_to_90),
                    case.about
                ));
            }
        }
        csv
    }
}

fn strata(chance: &mut Chance, drawn: &mut Scenario) {
    let count = 1 + chance.below(6);
    let mut left = 10_000_u64;
    drawn.strata.clear();
    for number in 0..count {
        let is_last = number + 1 == count;
        let share = if is_last {
            left
        } else {
            ((left as f64 * (0.3 + 0.6 * chance.unit())) as u64).clamp(1, left - (count - number))
        };
        left -= share;
        let letter = char::from(b'A' + u8::try_from(number).unwrap_or(0));
        drawn.strata.push(Stratum {
            share: Rate::basis_points(u32::try_from(share).unwrap_or(0)),
            hardware: letter.to_string(),
            version: "1.0.0".to_owned(),
            ..Stratum::default()
        });
    }
}

fn fault(chance: &mut Chance, drawn: &Scenario) -> Fault {
    let kind = match chance.below(4) {
        0 => FaultKind::Failure,
        1 => FaultKind::Brick,
        2 => FaultKind::LatentSilence,
        _ => FaultKind::LatentCrash,
    };
    let is_late = matches!(kind, FaultKind::LatentSilence | FaultKind::LatentCrash);
    let latency_s = powers(chance, 300.0, 259_200.0);
    let hardware = chance.yes(0.5).then(|| {
        let at = chance.below(drawn.strata.len() as u64) as usize;
        drawn.strata[at].hardware.clone()
    });
    Fault {
        kind,
        rate: rate(powers(chance, 0.002, 0.6)),
        latency: is_late.then(|| Times::Exponential(span(latency_s))),
        shift: 0.0,
        factor: 0.0,
        hardware,
        version: None,
        site: None,
        operation: None,
    }
}

fn about(drawn: &Scenario) -> String {
    let mut about = format!(
        "{} devices in {} strata, gaps {}, {} failing",
        drawn.devices,
        drawn.strata.len(),
        brief(drawn.contact.mean_s()),
        drawn.benign.failures,
    );
    if drawn.drift.daily > 0.0 {
        about.push_str(", day and night");
    }
    if !drawn.outages.is_empty() {
        about.push_str(", outage");
    }
    for fault in &drawn.faults {
        let kind = match fault.kind {
            FaultKind::Failure => "reported failures",
            FaultKind::Brick => "bricks",
            FaultKind::LatentSilence => "late silence",
            FaultKind::LatentCrash => "late crashes",
            FaultKind::Indicator => "worse indicator",
            FaultKind::Reboots => "more reboots",
        };
        about.push_str(&format!("; {} {kind}", fault.rate));
        if let Some(latency) = &fault.latency {
            about.push_str(&format!(" after {}", brief(latency.mean_s())));
        }
        if let Some(hardware) = &fault.hardware {
            let share = drawn.strata.iter().find(|it| it.hardware == *hardware);
            let share = share.map_or(Rate::ZERO, |it| it.share);
            about.push_str(&format!(" in {hardware} ({share})"));
        }
    }
    about
}

/// A time in its largest unit.
fn brief(seconds: f64) -> String {
    match seconds {
        it if it >= 172_800.0 => format!("{:.1} d", it / 86_400.0),
        it if it >= 7_200.0 => format!("{:.1} h", it / 3_600.0),
        it if it >= 120.0 => format!("{:.0} min", it / 60.0),
        it => format!("{it:.0} s"),
    }
}

fn times(chance: &mut Chance, mean_s: f64) -> Times {
    if chance.yes(0.5) {
        return Times::Exponential(span(mean_s));
    }
    let sigma = 0.2 + 0.6 * chance.unit();
    Times::Lognormal { median: span(mean_s / (sigma * sigma / 2.0).exp()), sigma }
}

/// Evenly over the powers between two values.
fn powers(chance: &mut Chance, low: f64, high: f64) -> f64 {
    (low.ln() + chance.unit() * (high / low).ln()).exp()
}

fn between(chance: &mut Chance, low: f64, high: f64) -> Rate {
    rate(low + chance.unit() * (high - low))
}

fn rate(share: f64) -> Rate {
    Rate::basis_points(((share * 10_000.0).round() as u32).clamp(1, 10_000))
}

fn span(seconds: f64) -> Span {
    Span::millis((seconds * 1e3).round().max(1_000.0) as u64)
}

/// Cases listed for each policy.
const WORST: usize = 10;
/// Multiples of the budget that scenarios are counted by.
const BUDGETS: [u32; 3] = [1, 2, 5];
/// Devices up to which a scenario runs as often as asked for.
const AFFORDABLE: f64 = 250_000.0;
/// Runs of a large fleet at least.
const LARGE_RUNS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_counts_harm_in_budgets_and_spares_large_fleets() {
        let sweep =
            Sweep { scenarios: 0, first_seed: 1, contestants: Vec::new(), runs: 20, threads: None };
        for (devices, runs) in [(150, 20), (250_000, 20), (500_000, 10), (1_000_000, 5)] {
            let scenario = Scenario { devices, ..Sweep::scenario(1) };
            assert_eq!(sweep.runs_of(&scenario), runs, "{devices}");
        }
        let case = |seed: u64, harm: f64| {
            let scenario = Sweep::scenario(seed);
            let cell = Cell::of(&scenario, "p", "f", &[]);
            let budget = 10;
            let about = "a fleet, with a comma".to_owned();
            SweepCase { seed, about, budget, harm, harm_p95: harm, cell }
        };
        let cases =
            [0.5, 1.0, 1.5, 3.0, 7.0].into_iter().zip(1..).map(|(harm, at)| case(2 * at, harm));
        let report = SweepReport::of("p", cases.chain([case(1, 0.0)]).collect());
        let over: Vec<u64> = report.over.iter().map(|it| it.scenarios.hits).collect();
        assert_eq!(over, [3, 2, 1]);
        assert_eq!(report.harm.unwrap().runs, 5, "good scenarios harm nobody");
        assert_eq!(SweepReport::csv(&[report]).lines().count(), 7);
    }

    #[test]
    fn drawn_scenarios_are_sound_and_read_back() {
        for seed in 0..300 {
            let drawn = Sweep::scenario(seed);
            assert_eq!(drawn.is_good(), seed % 2 == 1);
            let text = toml::to_string(&drawn).unwrap();
            let read = Scenario::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read.devices, drawn.devices);
            assert_eq!(Sweep::scenario(seed), drawn);
        }
    }
}
