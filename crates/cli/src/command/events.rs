//! `events`.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use api::client::{Client, ClientError};
use api::{Event, EventKind};

use crate::arguments::Events;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view;

/// Prints events, those the server remembers and with `-f` those to come.
pub(super) fn run(arguments: &Events, client: &Client, output: &Output) -> Result<Exit, Failure> {
    // No event is of an operation that is not there.
    if let Some(operation) = &arguments.operation {
        client.operation(operation)?;
    }
    // A stream from before the first event brings all that are remembered; without it, only new
    // ones come.
    let since = if arguments.follow { arguments.since } else { Some(arguments.since.unwrap_or(0)) };
    let events = listen(client.clone(), since);
    let mut last = since;
    let mut seen = 0_u64;
    loop {
        let event = if arguments.follow {
            events.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            events.recv_timeout(QUIET)
        };
        match event {
            Ok(Ok(event)) => {
                last = Some(event.id);
                if wanted(arguments, &event) {
                    seen += 1;
                    print(&event, output)?;
                }
            }
            Ok(Err(error)) => return Err(resumable(error.into(), last)),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) if !arguments.follow => break,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(resumable(Failure::of("the server ended the stream of events"), last));
            }
        }
    }
    if seen == 0 && output.is_for_people() {
        output.note("no events; follow those to come with -f");
    }
    Ok(Exit::Done)
}

/// Reads events on a thread of their own, which ends when nobody takes them any more.
pub(super) fn listen(
    client: Client,
    since: Option<u64>,
) -> mpsc::Receiver<Result<Event, ClientError>> {
    let (sender, receiver) = mpsc::sync_channel(EVENTS_MAX);
    thread::spawn(move || match client.events(since) {
        Ok(events) => {
            for event in events.skip_while(|event| since == Some(0) && is_beginning(event)) {
                if sender.send(event).is_err() {
                    return;
                }
            }
        }
        // Nobody is left to tell when the receiver is gone.
        Err(error) => drop(sender.send(Err(error))),
    });
    receiver
}

/// Whether the server says that there was something before everything it remembers, which is no
/// news to those who asked for all of it.
pub(crate) fn is_beginning(event: &Result<Event, ClientError>) -> bool {
    matches!(event, Ok(Event { kind: EventKind::Missed { events: None }, .. }))
}

fn wanted(arguments: &Events, event: &Event) -> bool {
    let of_type = arguments.types.is_empty()
        || arguments.types.iter().any(|known| known == event.kind.as_str());
    let of_operation = arguments.operation.as_ref().is_none_or(|wanted| {
        event.kind.operation().is_some_and(|of| of.name == *wanted || of.id.to_string() == *wanted)
    });
    of_type && of_operation
}

fn print(event: &Event, output: &Output) -> Result<(), Failure> {
    if output.is_for_people() {
        let sentence = view::event(event);
        output.line(&format!("{}  {sentence}", event.at.time_of_day()))
    } else {
        output.with_form(crate::arguments::Form::Jsonl).json(event)
    }
}

fn resumable(failure: Failure, last: Option<u64>) -> Failure {
    match last {
        Some(id) if failure.hint.is_empty() => {
            failure.hint(format!("go on where this ended with `bellwether events -f --since {id}`"))
        }
        _ => failure,
    }
}

/// Silence after which everything that is remembered has come.
const QUIET: Duration = Duration::from_millis(500);
/// Events that wait to be printed; beyond that the server has to wait.
const EVENTS_MAX: usize = 1_024;
