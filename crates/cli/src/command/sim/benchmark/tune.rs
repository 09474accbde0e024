//! `sim benchmark --tune`.

use std::fs;

use sim::benchmark::{Contestant, Scenario, Tuning, TuningReport, scenario};

use super::{contestants, print_bars, progress, scenarios, write_files};
use crate::arguments::SimBenchmark;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table::Table;

pub(super) fn run(arguments: &SimBenchmark, output: &Output) -> Result<Exit, Failure> {
    let tuning = Tuning {
        scenarios: bad(arguments)?,
        own: own(&arguments.policies)?,
        families: families(&arguments.families)?,
        grid_runs: arguments.grid_runs,
        runs: arguments.runs,
        seed: arguments.seed,
        threads: arguments.threads,
    };
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    }
    let found = tuning.run(&|done, all| progress("systems and scenarios", done, all, output));
    if let Some(folder) = &arguments.out {
        let json = serde_json::to_string_pretty(&found).map_err(Failure::of)?;
        let files = [
            ("tuned.md", found.markdown()),
            ("tuned.csv", found.csv()),
            ("results.csv", found.report.csv()),
            ("results.json", json),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text));
        write_files(folder, files.to_vec(), output)?;
    }
    if output.is_for_people() {
        print(&found, output)?;
    } else {
        output.json(&found)?;
    }
    Ok(Exit::Done)
}

/// The scenarios asked for; at least one must be bad.
fn bad(arguments: &SimBenchmark) -> Result<Vec<Scenario>, Failure> {
    if arguments.scenarios.is_empty() && arguments.scenario_files.is_empty() {
        return Ok(Tuning::bar_scenarios().into_iter().filter_map(scenario).collect());
    }
    let all = scenarios(arguments)?;
    if all.iter().all(Scenario::is_good) {
        return Err(Failure::new(Exit::Usage, "no scenario given has a fault")
            .hint("--tune looks for the settings that harm fewest devices; name one such as B4"));
    }
    Ok(all)
}

/// Policies of the product that others are compared with.
fn own(names: &[String]) -> Result<Vec<Contestant>, Failure> {
    let usual = ["evidence-200".to_owned()];
    let mut all = contestants(if names.is_empty() { &usual } else { names })?;
    if let Some(other) = all.iter().find(|it| it.policy.rule.evidence().is_none()) {
        let problem = format!("`{}` is no policy under evidence", other.name);
        return Err(Failure::new(Exit::Usage, problem)
            .hint("--policy says what others are compared with; systems go to --family"));
    }
    all.dedup_by(|one, other| one.name == other.name);
    Ok(all)
}

fn families(names: &[String]) -> Result<Vec<String>, Failure> {
    let known = Tuning::families();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(names.to_vec()),
        Some(name) => Err(Failure::new(Exit::Usage, format!("there is no system `{name}`"))
            .hint(format!("systems are {}", known.join(", ")))),
    }
}

fn print(found: &TuningReport, output: &Output) -> Result<(), Failure> {
    for (policy, scenario) in found.keys() {
        output.line(&format!("{scenario}: best settings with hindsight against {policy}"))?;
        let mut table = Table::new(TuningReport::HEAD);
        for row in found.rows(policy, scenario) {
            table.row(row);
        }
        table.print(output)?;
        output.line("")?;
    }
    let mut table = Table::new(TuningReport::SUMMARY);
    for row in found.summary() {
        table.row(row);
    }
    table.print(output)?;
    print_bars(&found.report, output)?;
    output.note(&format!(
        "{} runs of the best settings, seed {}. Hours are those on G1 for each of Bellwether's; \
         false stops are the other's, and Bellwether's in brackets.",
        found.report.runs, found.report.seed
    ));
    Ok(())
}
