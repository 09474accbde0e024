//! What the product's rule is asked to keep, and whether it does.
//!
//! The bars are for evidence with α = 1 % and a budget of 200, so they say nothing about other
//! settings, and are left out for them.

use model::Rate;
use serde::Serialize;

use super::measure::Cell;
use super::policies::Contestant;
use super::report::{figures, percent, table};

/// One bar, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    /// The scenario.
    pub scenario: String,
    /// The policy.
    pub policy: String,
    /// What is measured.
    pub measure: Measure,
    /// The mean must not exceed it.
    pub at_most: f64,
    /// The mean; none where nothing could be measured.
    pub found: Option<f64>,
    /// 95 % of the runs stay below it, or the upper end of the 95 % interval of a share.
    pub p95: Option<f64>,
    /// Runs.
    pub runs: u64,
    /// Whether it is kept; none while there are too few runs to say so: 200, and 2,000 for
    /// false stops of good releases.
    pub met: Option<bool>,
}

/// What a bar is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Devices harmed.
    Harmed,
    /// Share of the runs in which something was stopped that does no harm.
    FalseStops,
    /// Share of the stopped strata that do no harm: what is missing from a precision of 1.
    WrongScope,
    /// Hours until nine tenths of the healthy targets were through.
    HoursTo90,
    /// Processor time of a decision, in microseconds.
    DecisionUs,
    /// Processor time of all regulation of a run, in seconds.
    RegulationS,
}

impl Bar {
    /// The head of [`Bar::row`].
    pub const HEAD: [&'static str; 8] =
        ["BAR", "SCENARIO", "POLICY", "AT MOST", "FOUND", "P95", "RUNS", "MET"];

    /// All bars that the cells say something about.
    pub(super) fn all(contestants: &[Contestant], cells: &[Cell]) -> Vec<Self> {
        let is_meant = |it: &&Contestant| {
            let rule = it.policy.rule.evidence();
            rule.is_some_and(|rule| rule.budget == Some(200) && rule.alpha == Rate::percent(1))
        };
        let meant: Vec<&Contestant> = contestants.iter().filter(is_meant).collect();
        let mut bars = Vec::new();
        for (scenario, measure, at_most) in BARS {
            for cell in cells.iter().filter(|cell| cell.scenario == *scenario) {
                if meant.iter().any(|it| it.name == cell.policy) {
                    bars.push(Self::of(cell, *measure, *at_most));
                }
            }
        }
        bars
    }

    fn of(cell: &Cell, measure: Measure, at_most: f64) -> Self {
        let (found, p95) = match measure {
            Measure::Harmed => (cell.harmed.map(|it| it.mean), cell.harmed.map(|it| it.p95)),
            Measure::HoursTo90 => {
                (cell.hours_to_90.map(|it| it.mean), cell.hours_to_90.map(|it| it.p95))
            }
            Measure::FalseStops => (Some(cell.false_stops.share), Some(cell.false_stops.upper)),
            Measure::WrongScope => (cell.precision.map(|precision| 1.0 - precision), None),
            Measure::DecisionUs => (Some(cell.decision_us), None),
            Measure::RegulationS => (Some(cell.device_ns * cell.devices as f64 / 1e9), None),
        };
        let runs_min = match measure {
            Measure::FalseStops if cell.good => STOP_RUNS_MIN,
            Measure::FalseStops | Measure::WrongScope | Measure::Harmed | Measure::HoursTo90 => {
                RUNS_MIN
            }
            Measure::DecisionUs | Measure::RegulationS => 1,
        };
        Self {
            scenario: cell.scenario.clone(),
            policy: cell.policy.clone(),
            measure,
            at_most,
            found,
            p95,
            runs: cell.runs,
            met: (cell.runs >= runs_min).then(|| found.is_some_and(|found| found <= at_most)),
        }
    }

    /// The bars as Markdown, where there are any.
    pub(super) fn write(bars: &[Self], text: &mut String) {
        if !bars.is_empty() {
            text.push_str("\n## Bars\n\n");
            table(text, &Self::HEAD, &bars.iter().map(Self::row).collect::<Vec<_>>());
        }
    }

    /// The bar for people.
    #[must_use]
    pub fn row(&self) -> [String; 8] {
        let value = |value: f64| match self.measure {
            Measure::FalseStops | Measure::WrongScope => percent(value),
            _ => figures(value),
        };
        let maybe = |it: Option<f64>| it.map_or_else(|| "–".to_owned(), value);
        let measure = match self.measure {
            Measure::Harmed => "devices harmed",
            Measure::FalseStops => "false stops",
            Measure::WrongScope => "wrong strata",
            Measure::HoursTo90 => "hours to 90 %",
            Measure::DecisionUs => "µs a decision",
            Measure::RegulationS => "s of regulation",
        };
        [
            measure.to_owned(),
            self.scenario.clone(),
            self.policy.clone(),
            value(self.at_most),
            maybe(self.found),
            maybe(self.p95),
            self.runs.to_string(),
            match self.met {
                Some(true) => "yes",
                Some(false) => "no",
                None => "too few runs",
            }
            .to_owned(),
        ]
    }
}

/// Runs from which a mean says whether a bar is kept, and those for the rare stops of good
/// releases.
const RUNS_MIN: u64 = 200;
const STOP_RUNS_MIN: u64 = 2_000;
/// By scenario: what must stay below what. Harm on `B1` has a bar against other systems only.
const BARS: &[(&str, Measure, f64)] = &[
    ("G1", Measure::HoursTo90, 10.5),
    ("G1", Measure::FalseStops, 0.002),
    ("G2", Measure::FalseStops, 0.002),
    ("G3", Measure::FalseStops, 0.01),
    ("G4", Measure::FalseStops, 0.01),
    ("B2", Measure::Harmed, 15.0),
    ("B3", Measure::Harmed, 22.0),
    ("B4", Measure::Harmed, 300.0),
    ("B5", Measure::Harmed, 200.0),
    ("B6", Measure::Harmed, 8.0),
    ("B6", Measure::FalseStops, 0.01),
    ("B6", Measure::WrongScope, 0.01),
    ("B7", Measure::Harmed, 30.0),
    ("B12", Measure::DecisionUs, 1_000.0),
    ("B12", Measure::RegulationS, 300.0),
];

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::super::{Benchmark, Contestant, scenario};
    use super::*;

    /// Bars are for one setting of one rule; what is found is what the table says.
    #[test]
    fn bars_are_those_of_the_scenarios_that_ran() {
        let mut small = scenario("B2").unwrap();
        small.devices = 2_000;
        let of = |policy: &str| Benchmark {
            scenarios: vec![small.clone()],
            contestants: Contestant::named(policy),
            runs: 2,
            seed: 1,
            threads: NonZeroUsize::new(1),
        };
        let report = of("evidence-200").run(&|_, _| {});
        let [bar] = report.bars.as_slice() else { panic!("{:?}", report.bars) };
        assert_eq!(
            (bar.scenario.as_str(), bar.measure, bar.at_most),
            ("B2", Measure::Harmed, 15.0)
        );
        assert_eq!(bar.found, report.cells[0].harmed.map(|it| it.mean));
        assert_eq!(bar.met, None, "two runs say nothing");
        assert!(report.markdown().contains("| devices harmed | B2 | evidence-200 | 15.0 |"));
        for other in ["evidence-10", "aws-jobs"] {
            assert_eq!(of(other).run(&|_, _| {}).bars, [], "{other}");
        }
    }
}
