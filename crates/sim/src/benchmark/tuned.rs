//! What tuning found, as tables.

use std::fmt::Write as _;

use super::bars::Bar;
use super::measure::Share;
use super::report::{figures, percent, table};
use super::tune::{Compared, STOPS_BAR, Stops, Tuned, TuningReport};

impl TuningReport {
    /// The head of [`TuningReport::summary`].
    pub const SUMMARY: [&'static str; 10] = [
        "POLICY",
        "SCENARIO",
        "HARMED",
        "BEST OF ALL",
        "HARMED",
        "RATIO",
        "BAR",
        "FALSE STOPS",
        "ITS OWN",
        "RATIO",
    ];
    /// The head of [`TuningReport::rows`].
    pub const HEAD: [&'static str; 8] =
        ["SYSTEM", "SETTING", "HARMED", "P95", "RATIO", "BAR", "HOURS", "FALSE STOPS"];

    /// For each of the product's policies and each bad scenario the best setting of any system.
    #[must_use]
    pub fn summary(&self) -> Vec<[String; 10]> {
        let mut rows = Vec::new();
        for (policy, scenario) in self.keys() {
            let of_it = self.of(policy, Some(scenario));
            let best = of_it.filter(|it| !it.harm.is_empty()).min_by(|one, other| {
                let theirs = |it: &Tuned| it.harm.first().map_or(f64::INFINITY, |it| it.theirs);
                theirs(one).total_cmp(&theirs(other))
            });
            let Some((best, harm)) = best.and_then(|it| Some((it, it.harm.first()?))) else {
                continue;
            };
            rows.push([
                policy.to_owned(),
                scenario.to_owned(),
                figures(harm.own),
                best.setting.clone().unwrap_or_default(),
                figures(harm.theirs),
                figures(harm.ratio),
                bar(harm),
                share(&best.stops, |it| it.own),
                share(&best.stops, |it| it.theirs),
                stops_bar(best),
            ]);
        }
        rows
    }

    /// The best setting of each system for one scenario of a policy of the product.
    #[must_use]
    pub fn rows(&self, policy: &str, scenario: &str) -> Vec<[String; 8]> {
        let line = |it: &Tuned| {
            let Some(harm) = it.harm.first() else {
                let nobody = "none about as fast".to_owned();
                let rest = || "–".to_owned();
                return [
                    it.against.clone(),
                    nobody,
                    rest(),
                    rest(),
                    rest(),
                    rest(),
                    rest(),
                    rest(),
                ];
            };
            [
                it.against.clone(),
                it.setting.clone().unwrap_or_default(),
                figures(harm.theirs),
                figures(harm.theirs_p95),
                figures(harm.ratio),
                bar(harm),
                it.hours.map_or_else(String::new, percent),
                stops(it),
            ]
        };
        self.of(policy, Some(scenario)).map(line).collect()
    }

    /// Policies of the product with the scenarios they were compared in.
    #[must_use]
    pub fn keys(&self) -> Vec<(&str, &str)> {
        let mut keys: Vec<(&str, &str)> = Vec::new();
        for tuned in &self.tuned {
            let Some(scenario) = tuned.scenario.as_deref() else { continue };
            if keys.last() != Some(&(tuned.policy.as_str(), scenario)) {
                keys.push((&tuned.policy, scenario));
            }
        }
        keys
    }

    /// All tables as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Self { report, .. } = self;
        let mut text = format!(
            "# Against the best settings with hindsight\n\nBellwether {}, seed {}, {} runs. For \
             each system the setting of its grid that harms fewest devices in that very scenario, \
             among those whose hours to 90 % on G1 are within 25 % of Bellwether's. Ratios are \
             theirs for each of Bellwether's; false stops are those on the good scenarios.\n\n",
            report.version, report.seed, report.runs
        );
        table(&mut text, &Self::SUMMARY, &self.summary());
        Bar::write(&report.bars, &mut text);
        for (policy, scenario) in self.keys() {
            let own = self.of(policy, Some(scenario)).find_map(|it| it.harm.first());
            let own = own.map_or_else(String::new, |it| {
                format!(": harms {}, P95 {}", figures(it.own), figures(it.own_p95))
            });
            let about = report.scenarios.iter().find(|it| it.name == scenario);
            let about = about.map_or("", |it| it.about.as_str());
            let _ = write!(text, "\n## {scenario}: {about}\n\n{policy}{own}\n\n");
            table(&mut text, &Self::HEAD, &self.rows(policy, scenario));
        }
        self.write_joint(&mut text);
        self.write_tried(&mut text);
        text
    }

    /// One setting for all bad scenarios.
    fn write_joint(&self, text: &mut String) {
        text.push_str(
            "\n## One setting for all of them\n\nThe setting with the smallest geometric mean of \
             the devices harmed; each scenario with the ratio to Bellwether's.\n\n\
             | policy | system | setting | ratios | hours | false stops |\n|---|---|---|---|---|---|\n",
        );
        for it in self.tuned.iter().filter(|it| it.scenario.is_none()) {
            let ratios = it.harm.iter().map(|it| format!("{} {}", it.scenario, figures(it.ratio)));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                it.policy,
                it.against,
                it.setting.as_deref().unwrap_or("none about as fast"),
                ratios.collect::<Vec<_>>().join(", "),
                it.hours.map_or_else(|| "–".to_owned(), percent),
                stops(it)
            );
        }
    }

    fn write_tried(&self, text: &mut String) {
        text.push_str("\n## Settings tried\n\n| system | setting | values |\n|---|---|---|\n");
        for (family, name, values) in &self.axes {
            let _ = writeln!(text, "| {family} | {name} | {values} |");
        }
        text.push_str("\n| system | settings | about as fast |\n|---|---|---|\n");
        for (family, all, fast) in &self.tried {
            let _ = writeln!(text, "| {family} | {all} | {fast} |");
        }
    }

    /// One line for each comparison and scenario (RFC 4180).
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = "policy,against,tuned_for,setting,hours,scenario,own_harmed,own_p95,\
             their_harmed,their_p95,ratio,bar,own_stops,own_stop_runs,their_stops,\
             their_stop_runs,stops_ratio\r\n"
            .to_owned();
        for it in &self.tuned {
            let sum = |of: fn(&Stops) -> u64| it.stops.iter().map(of).sum::<u64>();
            for harm in &it.harm {
                let _ = write!(
                    csv,
                    "{},{},{},{},{:.4},{},{:.4},{:.4},{:.4},{:.4},{:.4},{},{},{},{},{},{:.4}\r\n",
                    it.policy,
                    it.against,
                    it.scenario.as_deref().unwrap_or("all"),
                    it.setting.as_deref().unwrap_or(""),
                    it.hours.unwrap_or(f64::NAN),
                    harm.scenario,
                    harm.own,
                    harm.own_p95,
                    harm.theirs,
                    harm.theirs_p95,
                    harm.ratio,
                    harm.bar.map_or_else(String::new, |bar| bar.to_string()),
                    sum(|it| it.own.hits),
                    sum(|it| it.own.runs),
                    sum(|it| it.theirs.hits),
                    sum(|it| it.theirs.runs),
                    it.stops_ratio().unwrap_or(f64::NAN),
                );
            }
        }
        csv
    }

    fn of<'a>(
        &'a self,
        policy: &'a str,
        scenario: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Tuned> {
        let is_it = move |it: &&Tuned| it.policy == policy && it.scenario.as_deref() == scenario;
        self.tuned.iter().filter(is_it)
    }
}

/// What is asked for, and whether it is so.
fn bar(harm: &Compared) -> String {
    let Some(bar) = harm.bar else { return "–".to_owned() };
    let word = if harm.ratio >= bar { "met" } else { "not met" };
    format!("≥ {} {word}", figures(bar))
}

fn stops_bar(tuned: &Tuned) -> String {
    tuned.stops_ratio().map_or_else(
        || "–".to_owned(),
        |ratio| {
            let word = if ratio >= STOPS_BAR { "met" } else { "not met" };
            format!("{} (≥ {} {word})", figures(ratio), figures(STOPS_BAR))
        },
    )
}

/// Over all good scenarios.
fn share(stops: &[Stops], of: fn(&Stops) -> Share) -> String {
    let hits = stops.iter().map(|it| of(it).hits).sum();
    let all = Share::of(hits, stops.iter().map(|it| of(it).runs).sum());
    format!("{} [{}, {}]", percent(all.share), percent(all.lower), percent(all.upper))
}

/// Each good scenario with the other's false stops, and the product's behind it.
fn stops(tuned: &Tuned) -> String {
    let each = tuned.stops.iter().map(|it| {
        format!("{} {} ({})", it.scenario, percent(it.theirs.share), percent(it.own.share))
    });
    each.collect::<Vec<_>>().join(", ")
}
