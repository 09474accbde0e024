//! Rehearsals: an operation in virtual time before it is started, on its own fleet.
//!
//! The fleet is what the server knows of it ([`Basis`]), the faults are chosen ([`Chosen`]), the
//! runs are those of the benchmark: production regulation, everything else simulated.

mod basis;
mod chosen;
#[cfg(test)]
mod tests;
mod warning;

use std::num::NonZeroUsize;

use model::{Policy, Span};
use operations::evidence::default_budget;
use serde::Serialize;

pub use self::basis::{Basis, Figure, What};
pub use self::chosen::{Chosen, ChosenError};
pub use self::warning::{Warning, WarningCode};
use super::measure::{Cell, Outcome, Share, Spread};
use super::policies::Contestant;
use super::scenario::Scenario;

/// An operation to rehearse.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// The fleet. Faults it has are rehearsed as one more row.
    pub scenario: Scenario,
    /// Faults, each rehearsed by itself; without a fault the operation is rehearsed anyway.
    pub faults: Vec<Chosen>,
    /// How the operation is regulated.
    pub policy: Policy,
    /// Runs of each.
    pub runs: u64,
    /// Decides everything that chance has a part in.
    pub seed: u64,
    /// Threads; none for as many as there are processors. Changes no result.
    pub threads: Option<NonZeroUsize>,
}

/// What a rehearsal came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RehearsalReport {
    /// Version of the code.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// Runs of each row.
    pub runs: u64,
    /// Targets.
    pub devices: u64,
    /// Devices that may be harmed before a stop; none under rules without a budget.
    pub budget: Option<u64>,
    /// The release without a fault first, then one row for each fault.
    pub rows: Vec<RehearsalRow>,
    /// What to know before a start, the most important first.
    pub warnings: Vec<Warning>,
}

/// The operation with one fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RehearsalRow {
    /// The fault as it was written; `good` without any.
    pub fault: String,
    /// The same in words.
    pub about: String,
    /// The measures of the benchmark.
    #[serde(flatten)]
    pub cell: Cell,
    /// Runs in which the whole operation was stopped.
    pub stopped_all: Share,
    /// Runs in which only some strata were stopped.
    pub stopped_part: Share,
    /// Runs in which more devices were harmed than the budget allows; none without a budget.
    pub over_budget: Option<Share>,
    /// Hours from the start to the stop.
    pub hours_to_stop: Option<Spread>,
    /// Hours from the start to the end of everything.
    pub hours_to_end: Option<Spread>,
    /// Harmed devices whose fault had not shown yet when the holdback was released.
    pub harmed_unseen: Option<Spread>,
}

impl Rehearsal {
    /// Runs that take a few seconds: fewer on larger fleets, never fewer than ten.
    #[must_use]
    pub fn usual_runs(devices: u64) -> u64 {
        (DEVICES_IN_ALL / devices.max(1)).clamp(RUNS_MIN, RUNS_USUAL)
    }

    /// Devices that may be harmed before a stop.
    #[must_use]
    pub fn budget(&self) -> Option<u64> {
        let rule = self.policy.rule.evidence()?;
        Some(rule.budget.unwrap_or_else(|| default_budget(self.scenario.devices)))
    }

    /// Runs everything; `progress` hears the rows done so far and all of them.
    ///
    /// # Errors
    /// [`ChosenError`] for a fault that no device of the fleet can have.
    pub fn run(&self, progress: &dyn Fn(usize, usize)) -> Result<RehearsalReport, ChosenError> {
        let rows = self.scenarios()?;
        let contestant = Contestant::own("rehearsed", self.policy.clone());
        let mut report = RehearsalReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.seed,
            runs: self.runs,
            devices: self.scenario.devices,
            budget: self.budget(),
            rows: Vec::new(),
            warnings: Vec::new(),
        };
        let all = rows.len();
        for (fault, scenario) in rows {
            let outcomes = super::runs(&scenario, &contestant, self.seed, self.runs, self.threads);
            report.rows.push(self.row(fault, &scenario, &outcomes));
            progress(report.rows.len(), all);
        }
        report.warnings = warning::warnings(self, &report.rows);
        Ok(report)
    }

    /// The scenario of each row with the name of its fault, the good one first.
    ///
    /// # Errors
    /// [`ChosenError`] for a fault that no device of the fleet can have.
    pub fn scenarios(&self) -> Result<Vec<(String, Scenario)>, ChosenError> {
        let good = Scenario {
            name: GOOD.to_owned(),
            title: "a release without a fault".to_owned(),
            faults: Vec::new(),
            ..self.scenario.clone()
        };
        let mut all = vec![(GOOD.to_owned(), good.clone())];
        if !self.scenario.is_good() {
            all.push((self.scenario.name.clone(), self.scenario.clone()));
        }
        for chosen in &self.faults {
            all.push((chosen.text().to_owned(), chosen.on(&good)?));
        }
        Ok(all)
    }

    fn row(&self, fault: String, scenario: &Scenario, outcomes: &[Outcome]) -> RehearsalRow {
        let share = |is: &dyn Fn(&Outcome) -> bool| {
            let hits = outcomes.iter().filter(|outcome| is(outcome)).count();
            Share::of(hits as u64, outcomes.len() as u64)
        };
        let spread = |of: &dyn Fn(&Outcome) -> Option<f64>| {
            Spread::of(outcomes.iter().filter_map(of).collect())
        };
        let whole = |outcome: &Outcome| outcome.stop.as_ref().is_some_and(|stop| stop.whole);
        let mut cell = Cell::of(scenario, "rehearsed", "", outcomes);
        // Processor times differ from machine to machine, and are no part of what is rehearsed.
        (cell.decision_us, cell.device_ns) = (0.0, 0.0);
        RehearsalRow {
            fault,
            about: scenario.title.clone(),
            cell,
            stopped_all: share(&whole),
            stopped_part: share(&|outcome| outcome.stop.is_some() && !whole(outcome)),
            over_budget: self.budget().map(|budget| share(&|outcome| outcome.harmed > budget)),
            hours_to_stop: spread(&|outcome| Some(outcome.stop.as_ref()?.at_s / 3_600.0)),
            hours_to_end: spread(&|outcome| Some(outcome.hours)),
            harmed_unseen: spread(&|outcome| {
                Some(outcome.harmed.saturating_sub(outcome.shown_at_release?) as f64)
            }),
        }
    }

    /// How long the holdback waits after everyone else was updated.
    fn watch(&self) -> Option<Span> {
        self.policy.rule.evidence().map(|rule| rule.watch)
    }
}

/// The row without a fault.
const GOOD: &str = "good";
/// Devices simulated in all runs of a row; a run of 100,000 takes a third of a second.
const DEVICES_IN_ALL: u64 = 2_000_000;
const RUNS_MIN: u64 = 10;
/// Looks take a tenth of a second in a run, however few devices there are.
const RUNS_USUAL: u64 = 50;
