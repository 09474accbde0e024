//! `operation`, also called `rollout`.

mod rehearse;

use api::client::Client;
use api::{
    AssignmentQuery, AssignmentView, DecisionView, DeviceQuery, OperationSummary, PlanRequest,
    StartRequest,
};

use super::device::{self, list_query, request};
use super::{operator, print_list, read_policy, read_text, watch};
use crate::arguments::{self, Limit, Operation, OperationDevices, Start};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::paint::Paint;
use crate::table::Table;
use crate::view::{self, or_dash};

pub(super) fn run(command: &Operation, client: &Client, output: &Output) -> Result<Exit, Failure> {
    match command {
        Operation::Plan(plan) => self::plan(plan, client, output),
        Operation::Rehearse(rehearse) => rehearse::run(rehearse, client, output),
        Operation::Start(start) => self::start(start, client, output),
        Operation::List(limit) => list(limit, client, output),
        Operation::Get { operation, wait } if wait.wait => {
            watch::run(&operation.operation, wait, client, output)
        }
        Operation::Get { operation, .. } => get(&operation.operation, client, output),
        Operation::Pause { operation, order } => {
            ordered(&client.pause(&operation.operation, &request(order))?, output)
        }
        Operation::Resume { operation, order } => {
            ordered(&client.resume(&operation.operation, &request(order))?, output)
        }
        Operation::Abort { operation, order } => {
            ordered(&client.abort(&operation.operation, &request(order))?, output)
        }
        Operation::Decisions { operation, limit } => {
            decisions(&operation.operation, limit, client, output)
        }
        Operation::Replay { operation } => replay(&operation.operation, client, output),
        Operation::Devices(devices) => self::devices(devices, client, output),
    }
}

fn plan(arguments: &arguments::Plan, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let plan = client.plan(&PlanRequest {
        release: arguments.release.clone(),
        manifest: arguments.file.as_deref().map(read_text).transpose()?,
        devices: arguments.picked.devices.clone(),
        policy: read_policy(&arguments.policy)?,
    })?;
    if output.is_for_people() {
        print_plan(&plan, output)?;
    } else {
        output.json(&plan)?;
    }
    if plan.eligible == 0 { Err(nothing_eligible(&plan)) } else { Ok(Exit::Done) }
}

fn nothing_eligible(plan: &api::Plan) -> Failure {
    let api::Plan { release, waiting, excluded, .. } = plan;
    let failure = Failure::new(
        Exit::NothingEligible,
        format!(
            "no device can be updated to {release} now; {waiting} wait, {excluded} are left out"
        ),
    );
    match plan.reasons.first() {
        Some(reason) => failure.hint(format!("most of them ({}): {}", reason.code, reason.remedy)),
        None => failure.hint("no device has registered yet; see `bellwether device list`"),
    }
}

fn print_plan(plan: &api::Plan, output: &Output) -> Result<(), Failure> {
    let paint = output.paint();
    let line = |name: &str, text: &str| output.line(&view::labelled(name, text, paint));
    output.line(&paint.strong(&plan.release))?;
    line(
        "targets",
        &format!(
            "{}: {} can be updated now, {} wait; {} are left out",
            plan.targets, plan.eligible, plan.waiting, plan.excluded
        ),
    )?;
    line("elements", &elements(plan))?;
    for path in &plan.paths {
        let through = path.through.join(" → ");
        line("path", &format!("{} → {through}  {}", path.from, view::devices(path.devices)))?;
    }
    for reason in &plan.reasons {
        let name = if reason.waiting { "waits" } else { "left out" };
        line(name, &format!("{:<20} {:>6}  {}", reason.code, reason.devices, reason.sentence))?;
    }
    for conflict in &plan.conflicts {
        line("also open", &format!("{} on some of the same devices", conflict.name))?;
    }
    plan.remarks.iter().try_for_each(|remark| line("remark", remark))
}

/// How many devices are updated at a time.
fn elements(plan: &api::Plan) -> String {
    let (first, most) = (view::devices(plan.first_speed.into()), plan.speed_max);
    match plan.budget {
        Some(budget) => {
            // A limit that all targets fit into is none.
            let limit = if most < plan.targets {
                format!(", {most} at a time at most")
            } else {
                String::new()
            };
            format!(
                "{first} first, then as many as the evidence and a budget of {budget} harmed \
                 devices allow{limit}"
            )
        }
        None if plan.first_per_minute => format!("{first} a minute first"),
        None => format!("{first} first, {most} at most"),
    }
}

fn start(arguments: &Start, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let policy = read_policy(&arguments.policy)?;
    let plan = client.plan(&PlanRequest {
        release: Some(arguments.release.release.clone()),
        manifest: None,
        devices: arguments.picked.devices.clone(),
        policy: policy.clone(),
    })?;
    if plan.targets == 0 {
        return Err(nothing_eligible(&plan));
    }
    let request = StartRequest {
        release: arguments.release.release.clone(),
        devices: arguments.picked.devices.clone(),
        policy,
        by: Some(operator()),
    };
    for remark in &plan.remarks {
        output.note(&format!("remark: {remark}"));
    }
    let operation = client.start(&request, Some(&idempotency_key()))?;
    if arguments.wait.wait {
        return watch::run(&operation.name, &arguments.wait, client, output);
    }
    ordered(&operation, output)?;
    if output.is_for_people() {
        output.note(&format!("watch it with `bellwether operation get -w {}`", operation.name));
    }
    Ok(Exit::Done)
}

/// A key that no other order has.
fn idempotency_key() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library keys its hasher from the operating system's random source.
    let random = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

fn list(limit: &Limit, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let mut page = |after, limit| client.operations(&list_query(after, limit));
    print_list(output, limit, &mut page, |operations| {
        if operations.is_empty() {
            output.note("no operations; start one with `bellwether operation start RELEASE`");
            return Ok(());
        }
        let mut table = Table::new([
            "NAME",
            "RELEASE",
            "STATE",
            "PHASE",
            "DONE",
            "SUCCEEDED",
            "FLIGHT",
            "WAITING",
            "FAILED",
            "OPENED",
        ]);
        for operation in operations {
            let counts = &operation.counts;
            table.row([
                operation.name.clone(),
                operation.release.title(),
                view::standing(operation, Paint::new(false)),
                operation.phase.as_str().to_owned(),
                operation.progress.text.clone(),
                counts.succeeded.to_string(),
                counts.in_flight.to_string(),
                counts.waiting.to_string(),
                counts.failed.to_string(),
                format!("{} {}", operation.opened.day(), operation.opened.time_of_day()),
            ]);
        }
        table.print(output)
    })
}

fn get(operation: &str, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let detail = client.operation(operation)?;
    if !output.is_for_people() {
        output.json(&detail)?;
        return Ok(Exit::Done);
    }
    for line in view::operation(&detail, output.paint()) {
        output.line(&line)?;
    }
    Ok(Exit::Done)
}

fn ordered(operation: &OperationSummary, output: &Output) -> Result<Exit, Failure> {
    if output.is_for_people() {
        output.line(&format!(
            "{} ({}) is {}: {}",
            operation.name,
            operation.release.title(),
            view::standing(operation, output.paint()),
            view::counts(&operation.counts, operation.state)
        ))?;
    } else {
        output.json(operation)?;
    }
    Ok(Exit::Done)
}

fn decisions(
    operation: &str,
    limit: &Limit,
    client: &Client,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut page = |after, limit| client.decisions(operation, &list_query(after, limit));
    print_list(output, limit, &mut page, |decisions: &[DecisionView]| {
        if decisions.is_empty() {
            output.note("nothing was decided yet");
            return Ok(());
        }
        let mut table = Table::new(["SEQ", "AT", "CODE", "SIZE", "DECISION"]);
        for decision in decisions {
            let size = match (decision.speed_before, decision.speed_after) {
                (Some(before), Some(after)) => format!("{before} → {after}"),
                (None, Some(size)) | (Some(size), None) => size.to_string(),
                (None, None) => decision
                    .granted_max
                    .map_or_else(|| "-".to_owned(), |all| format!("{all} in all")),
            };
            table.row([
                decision.seq.to_string(),
                decision.at.time_of_day().to_owned(),
                decision.code.clone(),
                size,
                decision.sentence.clone(),
            ]);
        }
        table.print(output)
    })
}

fn replay(operation: &str, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let report = client.replay(operation)?;
    if output.is_for_people() {
        for line in view::replay(&report, output.paint()) {
            output.line(&line)?;
        }
    } else {
        output.json(&report)?;
    }
    Ok(if report.all_equal { Exit::Done } else { Exit::Different })
}

fn devices(
    arguments: &OperationDevices,
    client: &Client,
    output: &Output,
) -> Result<Exit, Failure> {
    let operation = &arguments.operation.operation;
    if let Some(reason) = &arguments.reason {
        let mut page = |after, limit| {
            client.devices(&DeviceQuery {
                after,
                limit: Some(limit),
                operation: Some(operation.clone()),
                reason: Some(reason.clone()),
                ..DeviceQuery::default()
            })
        };
        return print_list(output, &arguments.limit, &mut page, |found| {
            device::table(found, output)
        });
    }
    let mut page = |after, limit| {
        let query = AssignmentQuery { after, limit: Some(limit), state: arguments.state };
        client.assignments(operation, &query)
    };
    print_list(output, &arguments.limit, &mut page, |found| assignments(found, output))
}

fn assignments(found: &[AssignmentView], output: &Output) -> Result<(), Failure> {
    if found.is_empty() {
        output.note("no devices; see who waits or is left out with --reason CODE");
        return Ok(());
    }
    let mut table = Table::new(["ENDPOINT", "STATE", "TRY", "ELEMENT", "FROM", "SINCE", "FAULT"]);
    for assignment in found {
        let fault = assignment.fault.as_ref();
        table.row([
            assignment.device.endpoint.clone(),
            assignment.state.as_str().to_owned(),
            assignment.attempt.to_string(),
            assignment.element.to_string(),
            or_dash(assignment.version_before.as_ref()),
            assignment.since.time_of_day().to_owned(),
            or_dash(fault.map(|fault| format!("{} {}", fault.kind, fault.detail))),
        ]);
    }
    table.print(output)
}
