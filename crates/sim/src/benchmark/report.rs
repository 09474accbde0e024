//! The results as tables, CSV and JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::Benchmark;
use super::bars::Bar;
use super::csv;
use super::equal::{harmed, pace, rivals};
use super::measure::{Cell, Share, Spread};

/// All that a benchmark found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of the code.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// Runs of each policy in each scenario.
    pub runs: u64,
    /// Scenarios, in the words of their titles.
    pub scenarios: Vec<Named>,
    /// Policies, in a few words.
    pub policies: Vec<Named>,
    /// Each policy in each scenario.
    pub cells: Vec<Cell>,
    /// The product's policies against the best of each other system that is about as fast.
    pub ratios: Vec<Ratio>,
    /// What the default rule is asked to keep, as far as it ran.
    pub bars: Vec<Bar>,
}

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub about: String,
}

/// A policy of the product against another system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// Scenario.
    pub scenario: String,
    /// The product's policy.
    pub policy: String,
    /// The other system.
    pub against: String,
    /// Its setting that harms fewest devices among those about as fast; none when none is.
    pub setting: Option<String>,
    /// Devices it harms for each one the product's policy harms.
    pub harmed: Option<f64>,
    /// Its hours to 90 % on the reference scenario for each of the product's.
    pub hours: Option<f64>,
    /// Its false stops there.
    pub false_stops: Option<f64>,
}

impl Report {
    pub(super) fn new(benchmark: &Benchmark, cells: Vec<Cell>) -> Self {
        let scenarios = benchmark
            .scenarios
            .iter()
            .map(|scenario| Named { name: scenario.name.clone(), about: scenario.title.clone() });
        let policies = benchmark.contestants.iter().map(|contestant| Named {
            name: contestant.name.clone(),
            about: contestant.about.clone(),
        });
        let ratios = ratios(&cells);
        let bars = Bar::all(&benchmark.contestants, &cells);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: benchmark.seed,
            runs: benchmark.runs,
            scenarios: scenarios.collect(),
            policies: policies.collect(),
            cells,
            ratios,
            bars,
        }
    }

    /// The head of [`Report::rows`].
    pub const HEAD: [&'static str; 13] = [
        "POLICY",
        "STOPPED",
        "FALSE STOPS",
        "HARMED",
        "P95",
        "AT STOP",
        "NET",
        "H TO 50 %",
        "H TO 90 %",
        "P95",
        "DELAY H",
        "SCOPE",
        "IN FLIGHT",
    ];

    /// A scenario's table for people.
    #[must_use]
    pub fn rows(&self, scenario: &str) -> Vec<[String; 13]> {
        let cells = self.cells.iter().filter(|cell| cell.scenario == scenario);
        cells.map(row).collect()
    }

    /// What the product's policies have ahead of others, in sentences.
    #[must_use]
    pub fn comparisons(&self) -> Vec<String> {
        self.ratios.iter().map(Ratio::sentence).collect()
    }

    /// All tables as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Benchmark\n\nBellwether {}, seed {}, {} runs of each policy in each scenario.\n",
            self.version, self.seed, self.runs
        );
        for scenario in &self.scenarios {
            let _ = write!(text, "\n## {}: {}\n\n", scenario.name, scenario.about);
            table(&mut text, &Self::HEAD, &self.rows(&scenario.name));
        }
        Bar::write(&self.bars, &mut text);
        if !self.ratios.is_empty() {
            text.push_str("\n## At equal speed\n\n");
            for sentence in self.comparisons() {
                let _ = writeln!(text, "- {sentence}");
            }
        }
        text.push_str("\n## Policies\n\n| policy | is |\n|---|---|\n");
        for policy in &self.policies {
            let _ = writeln!(text, "| {} | {} |", policy.name, policy.about);
        }
        text
    }

    /// One line for each cell (RFC 4180).
    #[must_use]
    pub fn csv(&self) -> String {
        csv::lines(&self.cells)
    }
}

impl Ratio {
    fn sentence(&self) -> String {
        let Self { scenario, policy, against, .. } = self;
        match (&self.setting, self.harmed, self.hours) {
            (Some(setting), Some(harmed), Some(hours)) => format!(
                "{scenario}: {setting} harms {} times as many devices as {policy}, in {} of its \
                 time{}",
                figures(harmed),
                percent(hours),
                match self.false_stops {
                    Some(share) if share > 0.0 =>
                        format!(", and stops {} of the good releases", percent(share)),
                    _ => String::new(),
                }
            ),
            _ => format!(
                "{scenario}: {against} has no setting here that is within 25 % of the speed of \
                 {policy}"
            ),
        }
    }
}

fn row(cell: &Cell) -> [String; 13] {
    let mean = |it: &Option<Spread>| it.map_or_else(|| "–".to_owned(), |it| figures(it.mean));
    let p95 = |it: &Option<Spread>| it.map_or_else(|| "–".to_owned(), |it| figures(it.p95));
    let share = |it: &Share| {
        format!("{} [{}, {}]", percent(it.share), percent(it.lower), percent(it.upper))
    };
    let scope = match (cell.precision, cell.recall) {
        (Some(precision), Some(recall)) => format!("{}/{}", percent(precision), percent(recall)),
        (None, Some(recall)) => format!("–/{}", percent(recall)),
        _ => "–".to_owned(),
    };
    let reached = cell.reached_90.share < 0.995;
    let to_90 = match cell.hours_to_90 {
        Some(_) if reached => {
            format!("{} ({})", mean(&cell.hours_to_90), percent(cell.reached_90.share))
        }
        _ => mean(&cell.hours_to_90),
    };
    [
        cell.policy.clone(),
        percent(cell.stopped.share),
        share(&cell.false_stops),
        mean(&cell.harmed),
        p95(&cell.harmed),
        mean(&cell.harmed_before_stop),
        mean(&cell.net_harmed),
        mean(&cell.hours_to_50),
        to_90,
        p95(&cell.hours_to_90),
        mean(&cell.delay_hours),
        scope,
        mean(&cell.peak_in_flight),
    ]
}

/// A table in Markdown.
pub(super) fn table<const N: usize>(text: &mut String, head: &[&str; N], rows: &[[String; N]]) {
    let _ =
        writeln!(text, "| {} |\n|{}", head.map(str::to_lowercase).join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}

/// Three significant figures, whole numbers from 100 on.
#[must_use]
pub fn figures(value: f64) -> String {
    match value.abs() {
        it if it >= 99.95 => format!("{value:.0}"),
        it if it >= 9.995 => format!("{value:.1}"),
        it if it < 0.005 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

/// A share of 0 to 1 as a percentage that is easy to read.
#[must_use]
pub fn percent(share: f64) -> String {
    let points = share * 100.0;
    match points {
        it if it >= 10.0 => format!("{it:.0} %"),
        it if it < 0.005 => "0 %".to_owned(),
        it if it < 0.995 => format!("{it:.2} %"),
        it => format!("{it:.1} %"),
    }
}

/// The product's own rule against the best setting of each other system that is about as fast.
fn ratios(cells: &[Cell]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for own in cells.iter().filter(|cell| cell.family == OWN && !cell.good) {
        let (Some(_), Some(own_pace)) = (own.harmed, pace(cells, &own.policy)) else {
            continue;
        };
        let mut families: Vec<&str> = Vec::new();
        let others = |it: &&Cell| it.scenario == own.scenario && it.family != OWN;
        for cell in cells.iter().filter(others) {
            if !families.contains(&cell.family.as_str()) {
                families.push(&cell.family);
            }
        }
        for family in families {
            let best = rivals(cells, own_pace.hours, &own.scenario, family).into_iter().next();
            ratios.push(Ratio {
                scenario: own.scenario.clone(),
                policy: own.policy.clone(),
                against: family.to_owned(),
                setting: best.map(|it| it.cell.policy.clone()),
                harmed: best.map(|it| harmed(it.cell) / harmed(own)),
                hours: best.map(|it| it.hours),
                false_stops: best.map(|it| it.false_stops),
            });
        }
    }
    ratios
}

/// Family of the product's own rule.
pub(super) const OWN: &str = "bellwether";
