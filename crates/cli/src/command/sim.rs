//! `sim`.

use std::io;
use std::thread;
use std::time::Duration;

use sim::fleet::{self, FleetOptions, FleetSummary, LogTarget};
use sim::{Scenario, world};
use tokio::sync::oneshot;

use super::runtime;
use crate::arguments::{Form, Sim, SimFleet};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::signal::Interrupt;

mod benchmark;
mod figure_5;

pub(super) fn run(command: &Sim, output: &Output) -> Result<Exit, Failure> {
    match command {
        Sim::Fleet(fleet) if fleet.describe => describe(fleet, output),
        Sim::Fleet(fleet) => runtime()?.block_on(run_fleet(fleet, output)),
        Sim::Benchmark(arguments) => benchmark::run(arguments, output),
        Sim::Figure5 { out } => figure_5::run(out, output),
        Sim::Run { seed, seeds } => run_seeds(*seed, *seeds, output),
    }
}

fn describe(arguments: &SimFleet, output: &Output) -> Result<Exit, Failure> {
    let scenario = arguments.scenario;
    if !output.is_for_people() {
        let shares: Vec<_> = Scenario::SHARES
            .iter()
            .map(|share| {
                serde_json::json!({
                    "share": share.share.to_string(),
                    "basis_points": share.share.as_basis_points(),
                    "who": share.who,
                })
            })
            .collect();
        output.json(&serde_json::json!({
            "scenario": scenario.as_str(),
            "summary": scenario.summary(),
            "shares": shares,
        }))?;
        return Ok(Exit::Done);
    }
    output.line(&format!("{scenario}: {}", scenario.summary()))?;
    for share in Scenario::SHARES {
        output.line(&format!("{:>7}  {}", share.share.to_string(), share.who))?;
    }
    Ok(Exit::Done)
}

async fn run_fleet(arguments: &SimFleet, output: &Output) -> Result<Exit, Failure> {
    let uri = arguments.server.as_deref().unwrap_or_default();
    let mut options =
        FleetOptions::new(fleet::resolve(uri).map_err(Failure::of)?, arguments.devices);
    options.scenario = arguments.scenario;
    options.seed = arguments.seed;
    options.bind = arguments.bind;
    options.memory.clone_from(&arguments.memory);
    options.lifetime_s = lifetime_s(arguments.lifetime.0)?;
    options.log = match &arguments.log {
        Some(path) => LogTarget::File(path.clone()),
        None => LogTarget::Stdout,
    };
    let mut interrupt = Interrupt::listen().map_err(Failure::of)?;
    let until_stdin_closes = arguments.until_stdin_closes;
    let shutdown = async move {
        tokio::select! {
            () = interrupt.wait() => {}
            () = stdin_closes(), if until_stdin_closes => {}
        }
    };
    let summary = fleet::run(options, shutdown).await.map_err(Failure::of)?;
    output.note(&told(&summary));
    Ok(Exit::Done)
}

fn lifetime_s(lifetime: Duration) -> Result<u32, Failure> {
    match u32::try_from(lifetime.as_secs()) {
        Ok(seconds) if seconds > 0 => Ok(seconds),
        _ => Err(Failure::new(Exit::Usage, "--lifetime must be between 1 s and 2^32 s")),
    }
}

/// Completes when nobody holds the other end of standard input any more.
async fn stdin_closes() {
    let (closed, wait) = oneshot::channel::<()>();
    // A thread outside the runtime: one inside would keep the process from ending.
    thread::spawn(move || {
        // An error means that nothing more can come, as the end does.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(closed);
    });
    // Completes, with an error, when the other side is dropped.
    let _ = wait.await;
}

fn told(summary: &FleetSummary) -> String {
    format!(
        "{} devices: {} registrations, {} downloads, {} updated, {} failed, {} never came back; \
         {} datagrams sent, {} received, {} lost",
        summary.devices,
        summary.registrations,
        summary.downloads,
        summary.updated,
        summary.failed,
        summary.bricked,
        summary.sent,
        summary.received,
        summary.lost,
    )
}

fn run_seeds(first: u64, seeds: u64, output: &Output) -> Result<Exit, Failure> {
    for seed in (first..).take(usize::try_from(seeds).unwrap_or(usize::MAX)) {
        let report = world::run(seed).map_err(|violation| {
            Failure::of(&violation)
                .hint(format!("replay it with `bellwether sim run --seed {seed}`"))
        })?;
        match output.form() {
            Form::Table => output.line(&report.to_string())?,
            Form::Json | Form::Jsonl => output.json(&serde_json::json!({
                "seed": report.seed,
                "steps": report.steps,
                "time_s": report.time.as_secs_f64(),
                "devices": report.devices,
                "crashes": report.crashes,
                "commits": report.commits,
                "installations": report.installations,
            }))?,
        }
    }
    Ok(Exit::Done)
}
