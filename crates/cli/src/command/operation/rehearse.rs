//! `operation rehearse`.

use std::fs;
use std::path::Path;

use api::client::Client;
use api::{PlanRequest, RehearsalFacts};
use model::Policy;
use serde::Serialize;
use sim::benchmark::{
    Basis, Chosen, ChosenError, Figure, Rehearsal, RehearsalReport, RehearsalRow, Scenario, Share,
    Spread, What,
};

use crate::arguments::Rehearse;
use crate::command::{read_policy, read_text};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table::Table;
use crate::view;

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a RehearsalFacts>,
    figures: &'a [Figure],
    #[serde(flatten)]
    report: &'a RehearsalReport,
}

pub(super) fn run(arguments: &Rehearse, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let policy = read_policy(&arguments.policy)?;
    let (facts, scenario, figures) = match &arguments.scenario_file {
        Some(path) => (None, scenario_of(path)?, Vec::new()),
        None => {
            let facts = facts(arguments, policy.as_ref(), client)?;
            let basis = Basis::of(&facts.clone().into_model());
            let basis = basis.ok_or_else(|| nothing_to_rehearse(&facts))?;
            (Some(facts), basis.scenario, basis.figures)
        }
    };
    let (policy, regulated) = match (&facts, policy, &arguments.policy.policy) {
        (_, Some(given), Some(path)) => (given, format!("by {}", path.display())),
        (Some(facts), ..) => (facts.policy.clone(), "as the server does by default".to_owned()),
        (None, ..) => {
            let default = "by the default policy, as no server was asked; see --policy";
            (Policy::default(), default.to_owned())
        }
    };
    let rehearsal = rehearsal(arguments, scenario, policy);
    // A folder that cannot be written to is found out before the work.
    if let Some(folder) = &arguments.to {
        fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    }
    if let Some(facts) = facts.as_ref().filter(|_| output.is_for_people()) {
        print_facts(facts, &figures, output)?;
    }
    let report = rehearsal
        .run(&|done, all| output.progress(&format!("{done} of {all} rehearsed")))
        .map_err(|error| bad_fault(&error))?;
    let document = Document { facts: facts.as_ref(), figures: &figures, report: &report };
    if let Some(folder) = &arguments.to {
        write(&rehearsal, &document, folder, output)?;
    }
    if output.is_for_people() {
        print(&report, &regulated, output)?;
    } else {
        output.json(&document)?;
    }
    Ok(Exit::Done)
}

/// What the server knows.
fn facts(
    arguments: &Rehearse,
    policy: Option<&Policy>,
    client: &Client,
) -> Result<RehearsalFacts, Failure> {
    let request = PlanRequest {
        release: arguments.release.clone(),
        manifest: arguments.file.as_deref().map(read_text).transpose()?,
        devices: arguments.picked.devices.clone(),
        policy: policy.cloned(),
    };
    Ok(client.rehearsal(&request)?)
}

fn scenario_of(path: &Path) -> Result<Scenario, Failure> {
    let read = Scenario::from_toml(&read_text(path)?);
    read.map_err(|error| Failure::of(format!("{}: {error}", path.display())))
}

fn rehearsal(arguments: &Rehearse, scenario: Scenario, policy: Policy) -> Rehearsal {
    // A file with faults has said what is to be rehearsed.
    let chosen = !arguments.faults.is_empty() || !scenario.is_good();
    let faults =
        if chosen { arguments.faults.clone() } else { Chosen::defaults(&scenario, &policy) };
    Rehearsal {
        runs: arguments.runs.unwrap_or_else(|| Rehearsal::usual_runs(scenario.devices)),
        scenario,
        faults,
        policy,
        seed: arguments.seed,
        threads: arguments.threads,
    }
}

fn nothing_to_rehearse(facts: &RehearsalFacts) -> Failure {
    let RehearsalFacts { release, targets, .. } = facts;
    let message = match targets {
        0 => format!("{release} has no target"),
        _ => format!("every target of {release} is held or in quarantine"),
    };
    let failure = Failure::new(Exit::NothingEligible, message);
    match facts.reasons.first() {
        Some(reason) => failure.hint(format!("most devices ({}): {}", reason.code, reason.remedy)),
        None => failure.hint("no device has registered yet; see `bellwether device list`"),
    }
}

fn bad_fault(error: &ChosenError) -> Failure {
    Failure::new(Exit::Usage, error.problem()).hint(error.remedy())
}

fn print_facts(facts: &RehearsalFacts, figures: &[Figure], output: &Output) -> Result<(), Failure> {
    let paint = output.paint();
    let line = |name: &str, text: &str| output.line(&view::labelled(name, text, paint));
    output.line(&paint.strong(&facts.release))?;
    let sum = |of: fn(&api::StratumFacts) -> u64| facts.strata.iter().map(of).sum::<u64>();
    let mut targets = format!(
        "{}: {} can be updated now, {} asleep, {} absent or waiting",
        facts.targets,
        sum(|it| it.ready),
        sum(|it| it.asleep),
        sum(|it| it.offline + it.blocked)
    );
    let held = sum(|it| it.held);
    if held > 0 {
        targets += &format!("; {held} held, left out here");
    }
    line("targets", &targets)?;
    if facts.joined > 0 {
        line("joined", &format!("{} small strata are rehearsed as one", facts.joined))?;
    }
    for (what, name) in [(What::Returns, "absent return"), (What::Response, "answers in")] {
        if let Some(figure) = figures.iter().find(|figure| figure.what == what) {
            line(name, &shown(figure))?;
        }
    }
    facts.remarks.iter().try_for_each(|remark| line("remark", remark))?;
    let known: u64 = facts.installed.iter().map(|it| it.attempts).sum();
    line("history", &format!("{known} earlier installations of this release's name"))?;
    output.line("")?;
    let head = ["STRATUM", "TARGETS", "CONTACTS", "LOST AFTER", "INSTALLS IN", "FAIL", "SILENT/H"];
    let mut table = Table::new(head);
    for stratum in &facts.strata {
        let figure = |what| {
            let of = figures.iter().find(|it| it.what == what && it.stratum == stratum.name);
            of.map_or_else(String::new, shown)
        };
        table.row([
            stratum.name.clone(),
            stratum.targets.to_string(),
            figure(What::Gaps),
            model::Span::secs(stratum.silence_after_s).to_string(),
            figure(What::Install),
            figure(What::Failures),
            figure(What::Silence),
        ]);
    }
    table.print(output)?;
    if figures.iter().any(|figure| figure.measured.is_none()) {
        output.line("? never measured on this fleet, and assumed")?;
    }
    output.line("")
}

fn shown(figure: &Figure) -> String {
    format!("{}{}", figure.value, if figure.measured.is_some() { "" } else { " ?" })
}

fn print(report: &RehearsalReport, regulated: &str, output: &Output) -> Result<(), Failure> {
    let mut table = Table::new([
        "FAULT",
        "STOPPED",
        "IN PART",
        "AFTER",
        "HARMED",
        "P50",
        "P95",
        "WORST",
        "OVER BUDGET",
    ]);
    for row in &report.rows {
        table.row(harm(row));
    }
    table.print(output)?;
    output.line("")?;
    let mut table = Table::new([
        "FAULT",
        "50 % AFTER",
        "90 % AFTER",
        "P50",
        "P95",
        "WORST",
        "ENDS AFTER",
        "P50",
        "P95",
        "WORST",
    ]);
    for row in &report.rows {
        table.row(duration(row));
    }
    table.print(output)?;
    output.line("")?;
    for warning in &report.warnings {
        output.line(&format!("{} {}", output.paint().bad("warning:"), warning.sentence))?;
    }
    let budget = match report.budget {
        Some(budget) => format!("the budget is {budget}"),
        None => "the rule keeps no budget".to_owned(),
    };
    output.note(&format!(
        "{}, {} of each in virtual time, seed {}; regulated {regulated}, {budget}. \
         Harmed, and times, are means; P50 and P95: so many or fewer in half and in 95 % of the \
         runs. Times to 50 % and 90 % are of strata without a fault.",
        view::devices(report.devices),
        if report.runs == 1 { "1 run".to_owned() } else { format!("{} runs", report.runs) },
        report.seed
    ));
    Ok(())
}

/// How often a fault is stopped and what it harms.
fn harm(row: &RehearsalRow) -> [String; 9] {
    let number = |pick: fn(&Spread) -> f64| {
        row.cell.harmed.as_ref().map_or_else(dash, |it| sim::benchmark::figures(pick(it)))
    };
    [
        row.fault.clone(),
        share(&row.stopped_all),
        share(&row.stopped_part),
        time(row.hours_to_stop.as_ref(), |it| it.mean),
        number(|it| it.mean),
        number(|it| it.p50),
        number(|it| it.p95),
        number(|it| it.max),
        row.over_budget.as_ref().map_or_else(dash, share),
    ]
}

/// How long the operation takes.
fn duration(row: &RehearsalRow) -> [String; 10] {
    let cell = &row.cell;
    let (to_90, to_end) = (cell.hours_to_90.as_ref(), row.hours_to_end.as_ref());
    // The share of the runs that came so far, where not all did.
    let reached = |to: Option<&Spread>| {
        let Some(it) = to else { return dash() };
        let share = Share::of(it.runs, cell.runs);
        let all = share.share >= 0.995;
        let of = if all { String::new() } else { format!(" ({})", self::share(&share)) };
        format!("{}{of}", hours(it.mean))
    };
    [
        row.fault.clone(),
        reached(cell.hours_to_50.as_ref()),
        reached(to_90),
        time(to_90, |it| it.p50),
        time(to_90, |it| it.p95),
        time(to_90, |it| it.max),
        time(to_end, |it| it.mean),
        time(to_end, |it| it.p50),
        time(to_end, |it| it.p95),
        time(to_end, |it| it.max),
    ]
}

fn time(of: Option<&Spread>, pick: fn(&Spread) -> f64) -> String {
    of.map_or_else(dash, |it| hours(pick(it)))
}

fn share(it: &Share) -> String {
    sim::benchmark::percent(it.share)
}

fn dash() -> String {
    "–".to_owned()
}

/// A time that is easy to read, from hours.
fn hours(hours: f64) -> String {
    match hours {
        it if it < 1.0 / 60.0 => format!("{:.0} s", it * 3_600.0),
        it if it < 1.0 => format!("{:.0} min", it * 60.0),
        it if it < 72.0 => format!("{it:.1} h"),
        it => format!("{:.1} d", it / 24.0),
    }
}

/// Writes the report, and the scenario of each row with the policy, for `sim benchmark` and for
/// `--scenario-file` and `--policy` here.
fn write(
    rehearsal: &Rehearsal,
    document: &Document<'_>,
    folder: &Path,
    output: &Output,
) -> Result<(), Failure> {
    let report = serde_json::to_string_pretty(document).map_err(Failure::of)?;
    let policy = rehearsal.policy.to_toml().map_err(Failure::of)?;
    let mut files = vec![("rehearsal.json".to_owned(), report), ("policy.toml".to_owned(), policy)];
    for (_, scenario) in rehearsal.scenarios().map_err(|error| bad_fault(&error))? {
        files.push((format!("{}.toml", scenario.name), scenario.to_toml()));
    }
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
        output.note(&format!("wrote {}", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_easy_to_read() {
        for (given, shown) in
            [(0.0, "0 s"), (0.01, "36 s"), (0.5, "30 min"), (5.25, "5.2 h"), (100.0, "4.2 d")]
        {
            assert_eq!(hours(given), shown);
        }
    }
}
