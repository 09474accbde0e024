//! Watching an operation until it ends.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use api::client::Client;
use api::{OperationDetail, OperationState, OperationSummary};

use super::events;
use crate::arguments::Wait;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::screen::{LOOK, Screen};
use crate::view;

/// Shows an operation until it ends, is paused or takes too long.
pub(super) fn run(
    operation: &str,
    wait: &Wait,
    client: &Client,
    output: &Output,
) -> Result<Exit, Failure> {
    let started = Instant::now();
    let events = events::listen(client.clone(), None);
    let mut screen = Screen::new(*output);
    let mut detail = client.operation(operation)?;
    let name = detail.summary.name.clone();
    let mut looked = Instant::now();
    while exit_of(&detail.summary).is_none() {
        if wait.timeout.is_some_and(|timeout| started.elapsed() >= timeout.0) {
            return late(&detail, &mut screen);
        }
        screen.draw(&view::operation(&detail, screen.paint()));
        match events.recv_timeout(LOOK) {
            Ok(Ok(event)) => {
                if event.kind.operation().is_some_and(|of| of.name == name) {
                    screen.event(&event)?;
                }
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(RecvTimeoutError::Timeout) => {}
            // The next look says why.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
        }
        if looked.elapsed() >= LOOK {
            detail = client.operation(operation)?;
            looked = Instant::now();
        }
    }
    // What led to the end is on its way.
    while let Ok(Ok(event)) = events.recv_timeout(LAST_EVENTS) {
        if event.kind.operation().is_some_and(|of| of.name == name) {
            screen.event(&event)?;
        }
    }
    end(&detail, &mut screen)
}

fn end(detail: &OperationDetail, screen: &mut Screen) -> Result<Exit, Failure> {
    screen.draw(&view::operation(detail, screen.paint()));
    let live = screen.is_live();
    screen.close();
    let summary = &detail.summary;
    let exit = exit_of(summary).unwrap_or(Exit::Done);
    match exit {
        Exit::Done if live => Ok(exit),
        Exit::Done => {
            let counts = view::counts(&summary.counts, summary.state);
            screen.say(&format!("{} {}: {counts}", summary.name, summary.state.as_str()))?;
            Ok(exit)
        }
        _ => {
            let state = summary.state.as_str();
            let failure = Failure::new(
                exit,
                format!("{} is {state}: {}", summary.name, summary.last_decision),
            );
            Err(match summary.state {
                OperationState::Paused if summary.frozen_by.is_some() => {
                    failure.hint(view::frozen_remedy(&summary.name))
                }
                OperationState::Paused => failure
                    .hint(format!("go on with `bellwether operation resume {}`", summary.name)),
                _ => failure.hint(format!(
                    "see what led to it with `bellwether operation decisions {}`",
                    summary.name
                )),
            })
        }
    }
}

fn late(detail: &OperationDetail, screen: &mut Screen) -> Result<Exit, Failure> {
    screen.close();
    let summary = &detail.summary;
    Err(Failure::new(
        Exit::TimedOut,
        format!(
            "{} has not ended in time: {} done, {}",
            summary.name,
            summary.progress.text,
            view::counts(&summary.counts, summary.state)
        ),
    )
    .hint("it goes on; wait for it with a longer --timeout"))
}

/// The exit code of a state in which nothing more is to be waited for.
pub(crate) fn exit_of(operation: &OperationSummary) -> Option<Exit> {
    match operation.state {
        OperationState::Pending | OperationState::Ongoing => None,
        OperationState::Paused => Some(Exit::TimedOut),
        OperationState::Aborted => Some(Exit::Aborted),
        OperationState::Finished if operation.last_reason == PARTIAL => Some(Exit::Partial),
        OperationState::Finished => Some(Exit::Done),
    }
}

/// Reason of an operation that finished without the strata that evidence stopped.
const PARTIAL: &str = "finish.partial";
/// Time for the last events of an operation that has ended.
const LAST_EVENTS: Duration = Duration::from_millis(200);
