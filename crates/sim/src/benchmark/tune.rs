//! The best settings of other systems with hindsight, and what the product has ahead of them.
//!
//! Each system's grid ([`Grid`]) is tried in stages, so that hours go to what matters: speeds on
//! the reference scenario, then all limits at the speeds asked for, then these in the bad
//! scenarios, all with few runs. The best few of each scenario are run again as often as wanted,
//! and the best of those counts.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use serde::Serialize;

use super::equal::{Pace, REFERENCE, WINDOW, harmed, is_equal, pace, rivals};
use super::grid::Grid;
use super::measure::{Cell, Share};
use super::policies::Contestant;
use super::report::Report;
use super::scenario::Scenario;
use super::{Benchmark, cell, scenario, slowdown};

/// What is tuned, and against what.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// Scenarios; the good ones that ship are added to those that are chosen.
    pub scenarios: Vec<Scenario>,
    /// Policies of the product that others are compared with.
    pub own: Vec<Contestant>,
    /// Systems; none for all.
    pub families: Vec<String>,
    /// Runs of each setting while the grid is searched.
    pub grid_runs: u64,
    /// Runs of the product's policies and of the best settings.
    pub runs: u64,
    /// Decides everything that chance has a part in.
    pub seed: u64,
    /// Threads; none for as many as there are processors.
    pub threads: Option<NonZeroUsize>,
}

/// What tuning found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TuningReport {
    /// The product's policies and the best settings of the others, with all runs.
    #[serde(flatten)]
    pub report: Report,
    /// The comparisons.
    pub tuned: Vec<Tuned>,
    /// Every setting that was tried, with few runs.
    pub grid: Vec<Cell>,
    /// What was tried: system, setting, values.
    pub axes: Vec<(String, String, String)>,
    /// Settings of each system: all, and those within the window.
    pub tried: Vec<(String, u64, u64)>,
}

/// The best setting of a system against a policy of the product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// The product's policy.
    pub policy: String,
    /// The other system.
    pub against: String,
    /// The scenario it is tuned for; none for all bad ones jointly.
    pub scenario: Option<String>,
    /// The setting; none when none is about as fast.
    pub setting: Option<String>,
    /// Its hours to 90 % on the reference scenario for each of the product's.
    pub hours: Option<f64>,
    /// Devices harmed, by scenario.
    pub harm: Vec<Compared>,
    /// Good operations stopped, by scenario.
    pub stops: Vec<Stops>,
}

/// Devices harmed in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The scenario.
    pub scenario: String,
    /// By the product's policy, on average.
    pub own: f64,
    /// 95 % of its runs harm at most so many.
    pub own_p95: f64,
    /// By the other.
    pub theirs: f64,
    /// 95 % of its runs harm at most so many.
    pub theirs_p95: f64,
    /// Theirs for each of the product's; either counts as half a device at least.
    pub ratio: f64,
    /// The smallest ratio asked for, where one is.
    pub bar: Option<f64>,
}

/// Stops of good operations in one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stops {
    /// The scenario.
    pub scenario: String,
    /// By the product's policy.
    pub own: Share,
    /// By the other.
    pub theirs: Share,
}

/// A search in progress.
struct Search<'a> {
    tuning: &'a Tuning,
    reference: Scenario,
    good: Vec<Scenario>,
    bad: Vec<Scenario>,
    cells: Vec<Cell>,
}

impl Tuning {
    /// Systems that can be tuned.
    #[must_use]
    pub fn families() -> Vec<&'static str> {
        Grid::all().iter().map(|grid| grid.family).collect()
    }

    /// Scenarios that the bars are about.
    #[must_use]
    pub fn bar_scenarios() -> Vec<&'static str> {
        BARS.iter().map(|(name, _)| *name).collect()
    }

    /// Searches all grids, then runs the best settings in each scenario; `progress` hears the
    /// systems and scenarios done so far and all of them.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> TuningReport {
        let mut search = Search::new(self);
        let own: Vec<(String, Pace)> = self
            .own
            .iter()
            .filter_map(|own| {
                search.measure(&search.reference.clone(), own, self.grid_runs);
                Some((own.name.clone(), pace(&search.cells, &own.name)?))
            })
            .collect();
        let grids: Vec<&Grid> = Grid::all()
            .iter()
            .filter(|grid| {
                self.families.is_empty() || self.families.iter().any(|it| it == grid.family)
            })
            .collect();
        let all = grids.len() + search.good.len() + search.bad.len();
        let mut wanted: BTreeMap<String, (Contestant, BTreeSet<String>)> = BTreeMap::new();
        let mut tried = Vec::new();
        for (number, grid) in grids.iter().enumerate() {
            let candidates = search.candidates(grid, &own);
            tried.push((grid.family.to_owned(), grid.len() as u64, candidates.len() as u64));
            search.harm(&candidates);
            for (_, pace) in &own {
                search.choose(&candidates, grid.family, *pace, &mut wanted);
            }
            progress(number + 1, all);
        }
        let grid_cells = std::mem::take(&mut search.cells);
        search.finals(&wanted, &|done| progress(grids.len() + done, all));
        let tuned = search.tuned(&grids);
        let contestants = self.own.iter().cloned();
        let contestants = contestants.chain(wanted.into_values().map(|(it, _)| it)).collect();
        let scenarios = search.good.iter().chain(&search.bad).cloned().collect();
        let benchmark = self.benchmark(scenarios, contestants);
        TuningReport {
            report: Report::new(&benchmark, search.cells),
            tuned,
            grid: grid_cells,
            axes: axes(&grids),
            tried,
        }
    }

    fn benchmark(&self, scenarios: Vec<Scenario>, contestants: Vec<Contestant>) -> Benchmark {
        let Self { runs, seed, threads, .. } = *self;
        Benchmark { scenarios, contestants, runs, seed, threads }
    }
}

impl<'a> Search<'a> {
    fn new(tuning: &'a Tuning) -> Self {
        let shipped = GOOD.iter().filter_map(|name| scenario(name));
        let chosen =
            |good: bool| tuning.scenarios.iter().filter(move |it| it.is_good() == good).cloned();
        let mut good: Vec<Scenario> = chosen(true).collect();
        for scenario in shipped {
            if good.iter().all(|known| known.name != scenario.name) {
                good.push(scenario);
            }
        }
        good.sort_by(|one, other| one.name.cmp(&other.name));
        let reference = good.iter().find(|it| it.name == REFERENCE);
        let reference = reference.or_else(|| good.first()).cloned();
        Self {
            tuning,
            reference: reference.expect("the reference scenario ships"),
            good,
            bad: chosen(false).collect(),
            cells: Vec::new(),
        }
    }

    /// Runs a policy in a scenario, unless that was done as often before.
    fn measure(&mut self, scenario: &Scenario, contestant: &Contestant, runs: u64) {
        let is_it = |it: &Cell| it.scenario == scenario.name && it.policy == contestant.name;
        if self.cells.iter().any(|it| is_it(it) && it.runs >= runs) {
            return;
        }
        self.cells.retain(|it| !is_it(it));
        let Tuning { seed, threads, .. } = *self.tuning;
        self.cells.push(cell(scenario, contestant, seed, runs, threads));
    }

    /// Settings about as fast as one of the product's policies: first by speeds alone, in a wider
    /// window since their limits may slow them down, then all limits at those speeds.
    fn candidates(&mut self, grid: &Grid, own: &[(String, Pace)]) -> Vec<Contestant> {
        let reference = self.reference.clone();
        let grid_runs = self.tuning.grid_runs;
        let mut keep = |all: Vec<Contestant>, runs: u64, window: f64| -> Vec<Contestant> {
            let fits = |it: &Contestant| {
                self.measure(&reference, it, runs);
                let Some(found) = pace(&self.cells, &it.name) else { return false };
                own.iter().any(|(_, own)| is_equal(found.hours, own.hours, window))
            };
            all.into_iter().filter(fits).collect()
        };
        let speeds = keep(grid.speeds(), SPEED_RUNS.min(grid_runs), WINDOW_WIDE);
        keep(grid.limits_of(&speeds), grid_runs, WINDOW)
    }

    /// What the candidates harm.
    fn harm(&mut self, candidates: &[Contestant]) {
        for scenario in self.bad.clone() {
            for contestant in candidates {
                self.measure(&scenario, contestant, self.tuning.grid_runs);
            }
        }
    }

    /// Notes the best few of a system, in each scenario and in all jointly, with the scenarios
    /// they are to be run in.
    fn choose(
        &self,
        candidates: &[Contestant],
        family: &str,
        own: Pace,
        wanted: &mut BTreeMap<String, (Contestant, BTreeSet<String>)>,
    ) {
        let mut want = |policy: &str, scenario: &str| {
            let Some(found) = candidates.iter().find(|it| it.name == policy) else { return };
            let entry = wanted.entry(policy.to_owned());
            let (_, scenarios) = entry.or_insert_with(|| (found.clone(), BTreeSet::new()));
            scenarios.insert(scenario.to_owned());
        };
        for scenario in &self.bad {
            for rival in rivals(&self.cells, own.hours, &scenario.name, family).iter().take(BEST) {
                want(&rival.cell.policy, &scenario.name);
            }
        }
        for policy in self.jointly(family, own).iter().take(BEST) {
            for scenario in &self.bad {
                want(policy, &scenario.name);
            }
        }
    }

    /// Settings of a system that were run in every bad scenario, the best over all of them first:
    /// by the geometric mean of the devices harmed.
    fn jointly(&self, family: &str, own: Pace) -> Vec<String> {
        let mut sums: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for scenario in &self.bad {
            for rival in rivals(&self.cells, own.hours, &scenario.name, family) {
                let (sum, count) = sums.entry(&rival.cell.policy).or_default();
                *sum += harmed(rival.cell).ln();
                *count += 1;
            }
        }
        let complete = sums.into_iter().filter(|(_, (_, count))| *count == self.bad.len());
        let mut all: Vec<(&str, f64)> = complete.map(|(name, (sum, _))| (name, sum)).collect();
        all.sort_by(|one, other| one.1.total_cmp(&other.1));
        all.into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Runs what is compared as often as wanted.
    fn finals(
        &mut self,
        wanted: &BTreeMap<String, (Contestant, BTreeSet<String>)>,
        progress: &dyn Fn(usize),
    ) {
        let runs = self.tuning.runs;
        let (good, bad) = (self.good.clone(), self.bad.clone());
        let free = self.tuning.benchmark(Vec::new(), Vec::new());
        let scenarios = good.iter().map(|it| (it, true)).chain(bad.iter().map(|it| (it, false)));
        for (number, (scenario, is_good)) in scenarios.enumerate() {
            let free = free.hours_ungated(scenario);
            for own in &self.tuning.own {
                self.measure(scenario, own, runs);
            }
            for (contestant, scenarios) in wanted.values() {
                if is_good || scenarios.contains(&scenario.name) {
                    self.measure(scenario, contestant, runs);
                }
            }
            for cell in self.cells.iter_mut().filter(|it| it.scenario == scenario.name) {
                cell.slowdown = slowdown(cell, free);
            }
            progress(number + 1);
        }
    }

    /// The comparisons, by policy of the product, scenario and system.
    fn tuned(&self, grids: &[&Grid]) -> Vec<Tuned> {
        let mut all = Vec::new();
        for own in &self.tuning.own {
            let Some(pace) = pace(&self.cells, &own.name) else { continue };
            for scenario in &self.bad {
                for grid in grids {
                    let best = rivals(&self.cells, pace.hours, &scenario.name, grid.family);
                    let best = best.first().map(|it| it.cell.policy.clone());
                    let scenarios = std::slice::from_ref(scenario);
                    let tuned = self.compared(&own.name, grid.family, best, scenarios, pace);
                    all.push(Tuned { scenario: Some(scenario.name.clone()), ..tuned });
                }
            }
            for grid in grids {
                let best = self.jointly(grid.family, pace).first().cloned();
                all.push(self.compared(&own.name, grid.family, best, &self.bad, pace));
            }
        }
        all
    }

    fn compared(
        &self,
        policy: &str,
        family: &str,
        setting: Option<String>,
        scenarios: &[Scenario],
        own_pace: Pace,
    ) -> Tuned {
        let harm = self.pairs(policy, setting.as_deref(), scenarios);
        let harm = harm.into_iter().map(|(scenario, own, theirs)| Compared {
            scenario: scenario.name.clone(),
            own: own.harmed.map_or(0.0, |it| it.mean),
            own_p95: own.harmed.map_or(0.0, |it| it.p95),
            theirs: theirs.harmed.map_or(0.0, |it| it.mean),
            theirs_p95: theirs.harmed.map_or(0.0, |it| it.p95),
            ratio: harmed(theirs) / harmed(own),
            bar: BARS.iter().find(|(name, _)| *name == scenario.name).map(|(_, bar)| *bar),
        });
        let stops = self.pairs(policy, setting.as_deref(), &self.good);
        let stops = stops.into_iter().map(|(scenario, own, theirs)| Stops {
            scenario: scenario.name.clone(),
            own: own.false_stops,
            theirs: theirs.false_stops,
        });
        let found = setting.as_deref().and_then(|setting| pace(&self.cells, setting));
        Tuned {
            policy: policy.to_owned(),
            against: family.to_owned(),
            scenario: None,
            hours: found.map(|found| found.hours / own_pace.hours),
            harm: harm.collect(),
            stops: stops.collect(),
            setting,
        }
    }

    /// What two policies came to in each of these scenarios, where both were run.
    fn pairs<'s>(
        &self,
        own: &str,
        theirs: Option<&str>,
        scenarios: &'s [Scenario],
    ) -> Vec<(&'s Scenario, &Cell, &Cell)> {
        let find = |scenario: &Scenario, policy: &str| {
            self.cells.iter().find(|it| it.scenario == scenario.name && it.policy == policy)
        };
        let pair = |scenario| Some((scenario, find(scenario, own)?, find(scenario, theirs?)?));
        scenarios.iter().filter_map(pair).collect()
    }
}

impl Tuned {
    /// False stops of the other for each of the product's, over all good scenarios; fewer than
    /// half a run of either counts as half a run. None without a setting.
    #[must_use]
    pub fn stops_ratio(&self) -> Option<f64> {
        let sum = |of: &dyn Fn(&Stops) -> Share| {
            let hits: u64 = self.stops.iter().map(|it| of(it).hits).sum();
            let runs: u64 = self.stops.iter().map(|it| of(it).runs).sum();
            (runs > 0).then(|| (hits as f64).max(0.5) / runs as f64)
        };
        Some(sum(&|it| it.theirs)? / sum(&|it| it.own)?)
    }
}

fn axes(grids: &[&Grid]) -> Vec<(String, String, String)> {
    let rows = grids.iter().flat_map(|grid| {
        grid.axes.iter().map(|axis| (grid.family.to_owned(), axis.name.to_owned(), axis.range()))
    });
    rows.collect()
}

/// Smallest ratios of devices harmed that are asked for, by scenario.
const BARS: [(&str, f64); 6] =
    [("B1", 0.5), ("B2", 0.5), ("B3", 0.5), ("B4", 10.0), ("B5", 10.0), ("B7", 10.0)];
/// The smallest ratio of false stops that is asked for.
pub(super) const STOPS_BAR: f64 = 10.0;
/// Good scenarios in which false stops are counted.
const GOOD: [&str; 4] = ["G1", "G2", "G3", "G4"];
/// Runs that tell how fast a speed is.
const SPEED_RUNS: u64 = 3;
/// Window for speeds with the loosest limits.
const WINDOW_WIDE: f64 = 0.4;
/// Best settings of each scenario that are run again.
const BEST: usize = 2;
