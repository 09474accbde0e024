//! What to know before a start.

use std::time::Duration;

use model::{Evidence as Rule, EvidencePlan, Span};
use operations::evidence::{Evidence, combine_config, judge, share, tests_config};
use operations::holdback;
use serde::Serialize;

use super::super::kinds;
use super::super::report::{figures, percent};
use super::{Chosen, Rehearsal, RehearsalRow};

/// Something to know before a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is about.
    pub code: WarningCode,
    /// The fault it is about, as it was written; none when it is about any.
    pub fault: Option<String>,
    /// A sentence with what would help.
    pub sentence: String,
}

/// What a warning is about. The order is that of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// More devices are harmed than the budget allows.
    BudgetExceeded,
    /// The fault shows later than the holdback waits.
    ShowsAfterHoldback,
    /// Runs go to their end with the fault.
    NotStopped,
    /// Silence is found late.
    SilenceFoundLate,
    /// A release without a fault is stopped.
    FalseStops,
    /// A release without a fault does not get through in time.
    Unfinished,
    /// Strata with too few targets for a proof of their own.
    StrataTooSmall,
    /// Few earlier installations are known.
    HistoryTooShort,
    /// The rule keeps no budget and has no holdback.
    NoBudget,
}

/// Everything there is to say of a rehearsal.
pub(super) fn warnings(rehearsal: &Rehearsal, rows: &[RehearsalRow]) -> Vec<Warning> {
    let mut all = Vec::new();
    for row in rows {
        if row.cell.good {
            good(rehearsal, row, &mut all);
        } else {
            faulty(rehearsal, row, &mut all);
        }
    }
    all.extend(missed(rehearsal, rows));
    match rehearsal.policy.rule.evidence() {
        Some(rule) => {
            let mut targets = rehearsal.scenario.targets().into_iter();
            if targets.any(|targets| holdback(rule, targets) > 0) {
                for chosen in &rehearsal.faults {
                    late(rehearsal, chosen, rows, &mut all);
                }
            }
            silence(rehearsal, &mut all);
            let plan = kinds::plan(&rehearsal.scenario, &rehearsal.policy, rehearsal.seed);
            if let Some(plan) = plan {
                small(rehearsal, rule, &plan, &mut all);
            }
            history(rehearsal, &mut all);
        }
        None => all.push(Warning {
            code: WarningCode::NoBudget,
            fault: None,
            sentence: "this rule keeps no budget and has no holdback; silence after the update is \
                       no error to it. Compare with `rule.kind = \"evidence\"`."
                .to_owned(),
        }),
    }
    all.sort_by_key(|warning| warning.code);
    all
}

fn good(rehearsal: &Rehearsal, row: &RehearsalRow, all: &mut Vec<Warning>) {
    let alpha = rehearsal.policy.rule.evidence().map_or(0.01, |rule| share(rule.alpha));
    if row.cell.false_stops.lower > alpha {
        all.push(Warning {
            code: WarningCode::FalseStops,
            fault: None,
            sentence: format!(
                "a release without a fault is stopped in {} of the runs: this fleet's own failures \
                 and silences look like a fault. See `rule.tolerated_factor` and \
                 `rule.silence_min`.",
                percent(row.cell.false_stops.share)
            ),
        });
    }
    if row.cell.reached_90.share < OFTEN {
        let horizon = rehearsal.scenario.horizon;
        // An operation that ends before does not wait for who is out of reach.
        let ended_h = row.hours_to_end.map_or(f64::INFINITY, |end| end.p95);
        let why = if ended_h * 3_600.0 < horizon.0.as_secs_f64() * OFTEN {
            let linger = rehearsal.policy.linger;
            format!(": the others are out of reach for longer than `linger` ({linger}) waits")
        } else {
            format!(", within {horizon}: too many are out of reach, or the policy is too slow")
        };
        all.push(Warning {
            code: WarningCode::Unfinished,
            fault: None,
            sentence: format!(
                "a release without a fault gets nine tenths of the targets through in {} of the \
                 runs only{why}.",
                percent(row.cell.reached_90.share)
            ),
        });
    }
}

fn faulty(rehearsal: &Rehearsal, row: &RehearsalRow, all: &mut Vec<Warning>) {
    let (fault, harmed) = (Some(row.fault.clone()), row.cell.harmed);
    if let (Some(over), Some(budget), Some(harmed)) = (row.over_budget, rehearsal.budget(), harmed)
        && over.share > SELDOM
    {
        let sentence = format!(
            "{}: the budget of {budget} cannot be kept. It is exceeded in {} of the runs; {} \
             devices are harmed on average, {} in the worst run. Smaller `rule.growth_max`, or \
             long times in `rule.latencies`, go slower and harm fewer.",
            row.fault,
            percent(over.share),
            figures(harmed.mean),
            figures(harmed.max)
        );
        all.push(Warning { code: WarningCode::BudgetExceeded, fault, sentence });
    }
}

/// Faults with which the operation goes to its end, all in one sentence.
fn missed(rehearsal: &Rehearsal, rows: &[RehearsalRow]) -> Option<Warning> {
    let is_missed = |row: &&RehearsalRow| {
        let harms = row.cell.harmed.is_some_and(|harmed| harmed.mean >= 1.0);
        !row.cell.good && harms && 1.0 - row.cell.stopped.share > SELDOM
    };
    let named = rows.iter().filter(is_missed).map(|row| {
        format!("{} ({} of the runs)", row.fault, percent(1.0 - row.cell.stopped.share))
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return None;
    }
    let why = if rehearsal.policy.rule.evidence().is_some() {
        "so few devices are harmed that it cannot be told from chance, or they show it when \
         everyone is updated"
    } else {
        "the rule does not see it"
    };
    Some(Warning {
        code: WarningCode::NotStopped,
        fault: None,
        sentence: format!("the operation goes to its end with {}: {why}.", named.join(", ")),
    })
}

/// Whether a chosen fault shows when nobody waits for it any more.
fn late(rehearsal: &Rehearsal, chosen: &Chosen, rows: &[RehearsalRow], all: &mut Vec<Warning>) {
    let Some(watch) = rehearsal.watch() else { return };
    let found_s = if chosen.is_silent() { longest_silence_s(rehearsal, Some(chosen)) } else { 0.0 };
    let share = chosen.share_after(watch.0.as_secs_f64() - found_s);
    if share <= SELDOM {
        return;
    }
    let enough_s = chosen.until_s(SELDOM) + found_s;
    let enough = rounded(enough_s);
    let row = rows.iter().find(|row| row.fault == chosen.text());
    let unseen = row.and_then(|row| row.harmed_unseen).filter(|unseen| unseen.mean >= 0.05);
    let seen = unseen.map_or_else(String::new, |unseen| {
        format!(
            " In the runs that came so far, {} harmed devices on average had shown nothing by \
             then.",
            figures(unseen.mean)
        )
    });
    let sentence = format!(
        "{chosen}: of the devices updated last, {} of those harmed are found only after the \
         holdback is released, {watch} later (`rule.watch`).{seen} With `rule.watch` of {enough} \
         it would be {}.",
        percent(share),
        percent(SELDOM)
    );
    let fault = Some(chosen.text().to_owned());
    all.push(Warning { code: WarningCode::ShowsAfterHoldback, fault, sentence });
}

/// Whether silence takes long to be found.
fn silence(rehearsal: &Rehearsal, all: &mut Vec<Warning>) {
    let longest_s = longest_silence_s(rehearsal, None);
    let watch_s = rehearsal.watch().map_or(f64::INFINITY, |watch| watch.0.as_secs_f64());
    if longest_s < SILENCE_LONG_S.min(watch_s) {
        return;
    }
    let where_from = rehearsal
        .scenario
        .strata
        .iter()
        .filter(|stratum| stratum.silence_after.is_some_and(|it| it.0.as_secs_f64() >= longest_s))
        .map(|stratum| stratum.name().to_string())
        .next()
        .unwrap_or_else(|| "all devices".to_owned());
    let beyond =
        if longest_s >= watch_s { ", longer than the holdback waits (`rule.watch`)" } else { "" };
    all.push(Warning {
        code: WarningCode::SilenceFoundLate,
        fault: None,
        sentence: format!(
            "a silent device is found after {} ({where_from}){beyond}: its usual gaps between \
             contacts, or twice its registration lifetime, are that long. Whatever silences \
             devices spreads until then; shorter registration lifetimes find it sooner.",
            rounded(longest_s)
        ),
    });
}

/// Strata that cannot be stopped by themselves.
fn small(rehearsal: &Rehearsal, rule: &Rule, plan: &EvidencePlan, all: &mut Vec<Warning>) {
    let targets = rehearsal.scenario.targets();
    let mut few: Vec<(u64, u64, String)> = Vec::new();
    for (at, (stratum, devices)) in plan.strata.iter().zip(&targets).enumerate() {
        let needed = failures_needed(rule, plan, at);
        if needed.is_none_or(|needed| devices - holdback(rule, *devices) < needed) {
            few.push((*devices, needed.unwrap_or(u64::MAX), stratum.name.to_string()));
        }
    }
    few.sort();
    let Some((devices, needed, name)) = few.first() else { return };
    let count = few.len();
    let others = match count {
        1 => String::new(),
        _ => format!("; the same holds for {} more", strata(count - 1)),
    };
    let needed = if *needed == u64::MAX {
        "no number of failures".to_owned()
    } else {
        format!("{needed} failures, one after the other,")
    };
    let have = if *devices == 1 { "target" } else { "targets" };
    all.push(Warning {
        code: WarningCode::StrataTooSmall,
        fault: None,
        sentence: format!(
            "{name} has {devices} {have}, and {needed} would prove a fault there{others}. A fault \
             in such a stratum alone is not stopped; telling apart less (`rule.strata`) joins \
             small strata."
        ),
    });
}

fn strata(count: usize) -> String {
    format!("{count} strat{}", if count == 1 { "um" } else { "a" })
}

/// Failed installations in a row that stop one stratum, by the product's own judgement.
fn failures_needed(rule: &Rule, plan: &EvidencePlan, at: usize) -> Option<u64> {
    let tests = tests_config(rule, plan.indicators);
    let config = combine_config(rule, plan.strata.len());
    let mut evidence: Vec<Evidence> =
        plan.strata.iter().map(|stratum| Evidence::new(stratum.tolerance, &tests)).collect();
    (1..=FAILURES_MAX).find(|_| {
        evidence[at].installs.observe(1, 0, 0);
        let strata: Vec<_> = evidence.iter().map(|one| one.stratum(0.0, false, &tests)).collect();
        let judgement = judge(&strata, &config);
        judgement.evidence.closed[at] >= judgement.log_limit
    })
}

fn history(rehearsal: &Rehearsal, all: &mut Vec<Warning>) {
    let scenario = &rehearsal.scenario;
    let known = scenario.history.filter(|_| scenario.installed.is_empty());
    let attempts = known.unwrap_or_else(|| scenario.installed.iter().map(|it| it.attempts).sum());
    if attempts >= ATTEMPTS_FEW || (scenario.history.is_none() && scenario.installed.is_empty()) {
        return;
    }
    let installations = match attempts {
        0 => "no earlier installation of this release's name is".to_owned(),
        1 => "1 earlier installation of this release's name is".to_owned(),
        _ => format!("{attempts} earlier installations of this release's name are"),
    };
    all.push(Warning {
        code: WarningCode::HistoryTooShort,
        fault: None,
        sentence: format!(
            "{installations} known. Until there are about {ATTEMPTS_FEW}, more failures are \
             tolerated than this fleet may usually have, and faults that say so are stopped \
             later."
        ),
    });
}

/// The longest silence before a device counts as lost, in seconds, where a fault may hit.
fn longest_silence_s(rehearsal: &Rehearsal, chosen: Option<&Chosen>) -> f64 {
    let scenario = &rehearsal.scenario;
    let strata = scenario
        .strata
        .iter()
        .enumerate()
        .filter(|(at, _)| chosen.is_none_or(|chosen| scenario.hits(&chosen.fault, 0, *at)));
    strata
        .filter_map(|(_, stratum)| stratum.silence_after.or(scenario.silence_after))
        .map(|after| after.0.as_secs_f64())
        .fold(0.0, f64::max)
}

/// A time that is easy to read: whole hours from ten hours on, whole minutes from ten minutes on.
fn rounded(seconds: f64) -> Span {
    let unit = match seconds {
        it if it >= 36_000.0 => 3_600.0,
        it if it >= 600.0 => 60.0,
        _ => 1.0,
    };
    Span(Duration::from_secs(((seconds / unit).ceil() * unit) as u64))
}

/// Share of runs or faults that is not worth a word.
const SELDOM: f64 = 0.05;
const OFTEN: f64 = 0.95;
/// Silence that is found after a day or more is found late for any rule.
const SILENCE_LONG_S: f64 = 86_400.0;
/// Installations from which the history says more than what is assumed without one.
const ATTEMPTS_FEW: u64 = 200;
/// Failures after which no stratum is looked at further.
const FAILURES_MAX: u64 = 50;
