//! The benchmark: rollout policies against fleets, networks and faults, in virtual time.
//!
//! Regulation is the product's own, by counts ([`operations::Conduct`]), for its own rules and
//! for those of other systems alike. Only devices, their contacts, the network, time and the
//! response time of the servers are simulated. A seed decides everything, whatever the number of
//! threads.
//!
//! Start from [`Benchmark`]; scenarios are data ([`Scenario`]), policies are [`Contestant`]s.

mod bars;
mod chance;
mod csv;
mod equal;
mod fleet;
mod grid;
mod kinds;
mod latencies;
mod measure;
mod pareto;
mod policies;
mod rehearsal;
mod report;
mod run;
mod scenario;
mod shipped;
mod sweep;
#[cfg(test)]
mod tests;
mod times;
mod trial;
mod tune;
mod tuned;
mod wheel;

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub use bars::{Bar, Measure};
pub use grid::{Axis, Decides, Grid, Unit};
use measure::Outcome;
pub use measure::{Cell, Share, Spread};
pub use pareto::pareto;
pub use policies::{Choice, Contestant, Reach};
pub use rehearsal::{
    Basis, Chosen, ChosenError, Figure, Rehearsal, RehearsalReport, RehearsalRow, Warning,
    WarningCode, What,
};
pub use report::{Ratio, Report, figures, percent};
pub use scenario::{
    Benign, Drift, Fault, FaultKind, Indicator, Installed, LatencyChange, Offline, OperationName,
    Outage, Scenario, ScenarioError, Server, Stratum,
};
pub use shipped::{scenario, scenario_names, scenario_text};
pub use sweep::{Over, Sweep, SweepCase, SweepReport};
pub use times::Times;
pub use tune::{Compared, Stops, Tuned, Tuning, TuningReport};

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Benchmark {
    /// Scenarios.
    pub scenarios: Vec<Scenario>,
    /// Policies; each meets the same fleets.
    pub contestants: Vec<Contestant>,
    /// Runs of each policy in each scenario.
    pub runs: u64,
    /// Decides everything that chance has a part in.
    pub seed: u64,
    /// Threads; none for as many as there are processors. Changes no result.
    pub threads: Option<NonZeroUsize>,
}

impl Benchmark {
    /// Runs everything; `progress` hears the cells done so far and all of them.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Report {
        let mut cells = Vec::new();
        let all = self.scenarios.len() * self.contestants.len();
        for scenario in &self.scenarios {
            let free = self.hours_ungated(scenario);
            for contestant in &self.contestants {
                let mut cell = cell(scenario, contestant, self.seed, self.runs, self.threads);
                cell.slowdown = slowdown(&cell, free);
                cells.push(cell);
                progress(cells.len(), all);
            }
        }
        Report::new(self, cells)
    }

    /// Hours to nine tenths of a scenario's targets without any regulation.
    fn hours_ungated(&self, scenario: &Scenario) -> Option<f64> {
        let runs = self.runs.clamp(1, UNGATED_RUNS);
        let free = cell(scenario, &Contestant::ungated(), self.seed, runs, self.threads);
        free.hours_to_90.map(|hours| hours.mean)
    }
}

/// Hours to 90 % as a multiple of those without regulation.
fn slowdown(cell: &Cell, free: Option<f64>) -> Option<f64> {
    let (gated, free) = (cell.hours_to_90?.mean, free?);
    (free > 0.0).then(|| gated / free)
}

/// What a policy comes to in a scenario.
fn cell(
    scenario: &Scenario,
    contestant: &Contestant,
    seed: u64,
    count: u64,
    threads: Option<NonZeroUsize>,
) -> Cell {
    let outcomes = runs(scenario, contestant, seed, count, threads);
    Cell::of(scenario, &contestant.name, &contestant.family, &outcomes)
}

/// The outcomes of runs, by their number, whoever computed them.
fn runs(
    scenario: &Scenario,
    contestant: &Contestant,
    seed: u64,
    runs: u64,
    threads: Option<NonZeroUsize>,
) -> Vec<Outcome> {
    spread(runs as usize, threads, |number| run::run(scenario, contestant, seed, number as u64))
}

/// Does work on all threads; results come in the order of the work, not of the threads.
fn spread<T: Send>(
    count: usize,
    threads: Option<NonZeroUsize>,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let threads = threads.or_else(|| thread::available_parallelism().ok());
    let threads = threads.map_or(1, NonZeroUsize::get).min(count.max(1));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let result = work(number);
                    let mut done = done.lock().expect("no thread panics while it holds the list");
                    done.push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics while it holds the list");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs without regulation, which vary little.
const UNGATED_RUNS: u64 = 20;
