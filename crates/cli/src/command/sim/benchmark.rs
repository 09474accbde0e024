//! `sim benchmark`.

mod tune;

use std::fs;
use std::path::{Path, PathBuf};

use model::Policy;
use sim::benchmark::{
    Bar, Benchmark, Choice, Contestant, Report, Scenario, Sweep, SweepReport, pareto, scenario,
    scenario_names, scenario_text,
};

use crate::arguments::SimBenchmark;
use crate::command::read_text;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table::Table;

pub(super) fn run(arguments: &SimBenchmark, output: &Output) -> Result<Exit, Failure> {
    if arguments.list {
        return list(arguments, output);
    }
    if arguments.tune {
        return tune::run(arguments, output);
    }
    let contestants = contestants(&arguments.policies)?;
    // A folder that cannot be written to is found out before hours of work.
    if let Some(folder) = &arguments.out {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    }
    if let Some(scenarios) = arguments.sweep {
        return sweep(arguments, scenarios, contestants, output);
    }
    let benchmark = Benchmark {
        scenarios: scenarios(arguments)?,
        contestants,
        runs: arguments.runs,
        seed: arguments.seed,
        threads: arguments.threads,
    };
    let report = benchmark.run(&|done, all| progress("cells", done, all, output));
    if let Some(folder) = &arguments.out {
        write_report(&report, folder, output)?;
    }
    if output.is_for_people() {
        print(&report, output)?;
    } else {
        output.json(&report)?;
    }
    Ok(Exit::Done)
}

fn list(arguments: &SimBenchmark, output: &Output) -> Result<Exit, Failure> {
    if let Some(name) = arguments.scenarios.first() {
        let text = scenario_text(name).ok_or_else(|| unknown_scenario(name))?;
        output.line(text.trim_end())?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["SCENARIO", "DEVICES", "IS"]);
    for scenario in scenario_names().into_iter().filter_map(scenario) {
        table.row([scenario.name, scenario.devices.to_string(), scenario.title]);
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new(["POLICY", "CHOICE", "IS"]);
    for contestant in Contestant::shipped() {
        let choice = match contestant.choice {
            Choice::Default => "default",
            Choice::Tuned => "tuned",
            Choice::Grid => "grid",
            Choice::Own => "own",
        };
        table.row([contestant.name, choice.to_owned(), contestant.about]);
    }
    table.print(output)?;
    Ok(Exit::Done)
}

fn scenarios(arguments: &SimBenchmark) -> Result<Vec<Scenario>, Failure> {
    let mut all = Vec::new();
    for name in &arguments.scenarios {
        add(scenario(name).ok_or_else(|| unknown_scenario(name))?, &mut all)?;
    }
    for path in &arguments.scenario_files {
        let read = Scenario::from_toml(&read_text(path)?);
        let read = read.map_err(|error| Failure::of(format!("{}: {error}", path.display())))?;
        add(read, &mut all)?;
    }
    if all.is_empty() {
        all.extend(scenario_names().into_iter().filter_map(scenario));
    }
    Ok(all)
}

/// The same one twice says nothing more; two of one name could not be told apart.
fn add(scenario: Scenario, all: &mut Vec<Scenario>) -> Result<(), Failure> {
    match all.iter().find(|known| known.name == scenario.name) {
        None => all.push(scenario),
        Some(known) if *known == scenario => {}
        Some(_) => {
            let message = format!("two scenarios have the name `{}`", scenario.name);
            return Err(Failure::new(Exit::Usage, message).hint("give one of them another `name`"));
        }
    }
    Ok(())
}

fn unknown_scenario(name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("there is no scenario `{name}`")).hint(format!(
        "shipped are {}; write your own for --scenario-file",
        scenario_names().join(", ")
    ))
}

fn contestants(names: &[String]) -> Result<Vec<Contestant>, Failure> {
    let mut all: Vec<Contestant> = Vec::new();
    let defaults = ["defaults".to_owned(), "tuned".to_owned()];
    for name in if names.is_empty() { &defaults[..] } else { names } {
        let mut found = Contestant::named(name);
        if found.is_empty() {
            found.push(contestant_of_file(name)?);
        }
        found.retain(|new| all.iter().all(|known| known.name != new.name));
        all.extend(found);
    }
    Ok(all)
}

fn contestant_of_file(name: &str) -> Result<Contestant, Failure> {
    let path = PathBuf::from(name);
    if !path.exists() && path.extension().is_none() {
        return Err(Failure::new(Exit::Usage, format!("there is no policy `{name}`"))
            .hint("see `bellwether sim benchmark --list`, or name a file in TOML"));
    }
    let policy = Policy::from_toml(&read_text(&path)?)
        .map_err(|message| Failure::of(format!("{}: {message}", path.display())))?;
    let stem = path.file_stem().map_or_else(|| name.into(), |stem| stem.to_string_lossy());
    Ok(Contestant::own(&stem, policy))
}

fn progress(what: &str, done: usize, all: usize, output: &Output) {
    if done == all || (output.is_for_people() && done.is_multiple_of((all / 20).max(1))) {
        output.note(&format!("{done} of {all} {what}"));
    }
}

fn print(report: &Report, output: &Output) -> Result<(), Failure> {
    for scenario in &report.scenarios {
        output.line(&format!("{}: {}", scenario.name, scenario.about))?;
        let mut table = Table::new(Report::HEAD);
        for row in report.rows(&scenario.name) {
            table.row(row);
        }
        table.print(output)?;
        output.line("")?;
    }
    let comparisons = report.comparisons();
    for sentence in &comparisons {
        output.line(sentence)?;
    }
    if !comparisons.is_empty() {
        output.line("")?;
    }
    print_bars(report, output)?;
    output.note(&format!(
        "{} runs a cell, seed {}. Shares with their 95 % interval; harmed, hours and delay are \
         means, P95 beside them.",
        report.runs, report.seed
    ));
    Ok(())
}

/// What the default rule is asked to keep.
fn print_bars(report: &Report, output: &Output) -> Result<(), Failure> {
    if report.bars.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(Bar::HEAD);
    for bar in &report.bars {
        table.row(bar.row());
    }
    table.print(output)?;
    output.line("")
}

fn write_report(report: &Report, folder: &Path, output: &Output) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(report).map_err(Failure::of)?;
    let mut files = vec![
        ("results.csv".to_owned(), report.csv()),
        ("results.json".to_owned(), json),
        ("table.md".to_owned(), report.markdown()),
    ];
    for scenario in &report.scenarios {
        if let Some(picture) = pareto(report, &scenario.name) {
            files.push((format!("pareto-{}.svg", scenario.name), picture));
        }
    }
    write_files(folder, files, output)
}

fn write_files(
    folder: &Path,
    files: Vec<(String, String)>,
    output: &Output,
) -> Result<(), Failure> {
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
        output.note(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn sweep(
    arguments: &SimBenchmark,
    scenarios: u64,
    contestants: Vec<Contestant>,
    output: &Output,
) -> Result<Exit, Failure> {
    let sweep = Sweep {
        scenarios,
        first_seed: arguments.sweep_seed,
        contestants,
        runs: arguments.runs,
        threads: arguments.threads,
    };
    let reports = sweep.run(&|done, all| progress("scenarios", done, all, output));
    if let Some(folder) = &arguments.out {
        let json = serde_json::to_string_pretty(&reports).map_err(Failure::of)?;
        let csv = SweepReport::csv(&reports);
        let mut files = vec![("sweep.json".to_owned(), json), ("sweep.csv".to_owned(), csv)];
        let worst = reports.iter().flat_map(|it| it.most_stops.iter().chain(&it.most_harm));
        let mut seeds: Vec<u64> = worst.map(|case| case.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        for seed in seeds {
            files.push((format!("sweep-{seed}.toml"), Sweep::file(seed)));
        }
        write_files(folder, files, output)?;
    }
    if output.is_for_people() {
        print_sweep(&reports, output)?;
    } else {
        output.json(&reports)?;
    }
    Ok(Exit::Done)
}

fn print_sweep(reports: &[SweepReport], output: &Output) -> Result<(), Failure> {
    for (what, range) in Sweep::RANGES {
        output.line(&format!("{what}: {range}"))?;
    }
    let mut table = Table::new([
        "POLICY",
        "FALSE STOPS",
        "WRONG STRATA",
        "STOPPED",
        "HARM/BUDGET",
        "P95",
        "WORST",
        "OVER 1, 2, 5 BUDGETS",
    ]);
    for report in reports {
        let share = |it: &sim::benchmark::Share| {
            let percent = |share: f64| format!("{:.2}", share * 100.0);
            let (share, ends) = (percent(it.share), [percent(it.lower), percent(it.upper)]);
            format!("{share} % [{}, {}] of {}", ends[0], ends[1], it.runs)
        };
        let harm = |pick: &dyn Fn(&sim::benchmark::Spread) -> f64| {
            report.harm.as_ref().map_or_else(String::new, |it| format!("{:.2}", pick(it)))
        };
        let over = report.over.iter().map(|it| format!("{:.1} %", it.scenarios.share * 100.0));
        table.row([
            report.policy.clone(),
            share(&report.false_stops),
            share(&report.strata_wrong),
            share(&report.stopped),
            harm(&|it| it.mean),
            harm(&|it| it.p95),
            harm(&|it| it.max),
            over.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.print(output)?;
    for report in reports {
        output.line("")?;
        output.line(&format!("{}, most false stops:", report.policy))?;
        for case in &report.most_stops {
            let share = case.cell.false_stops.share * 100.0;
            output.line(&format!("  seed {}: {share:.1} %: {}", case.seed, case.about))?;
        }
        output.line(&format!("{}, most harm against the budget:", report.policy))?;
        for case in &report.most_harm {
            let Some(harmed) = case.cell.harmed else { continue };
            output.line(&format!(
                "  seed {}: {:.1} harmed (95 %: {:.0}), {:.2} times the budget of {}: {}",
                case.seed, harmed.mean, harmed.p95, case.harm, case.budget, case.about
            ))?;
        }
    }
    output.note("repeat a case with `--sweep 1 --sweep-seed SEED`");
    Ok(())
}
