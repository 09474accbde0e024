//! The commands, one file for each family.

mod completion;
mod device;
pub(crate) mod events;
mod operation;
pub(crate) mod release;
mod serve;
mod sim;
mod version;
pub(crate) mod watch;
mod why;

use std::path::Path;

use api::Page;
use api::client::{Client, ClientError};
use clap::CommandFactory;

use crate::arguments::{Arguments, Command, Form, Limit, PolicyFile};
use crate::dev;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Does what was asked.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<Exit, Failure> {
    let client = || Client::new(&arguments.global.server).map_err(Failure::from);
    match &arguments.command {
        Command::Dev(dev) => dev::run(dev, output),
        Command::Serve(serve) => serve::run(serve, output),
        Command::Device(device) => device::run(device, &client()?, output),
        Command::Release(release) => release::run(release, client, output),
        Command::Operation(operation) => operation::run(operation, &client()?, output),
        Command::Why(why) => why::run(why, &client()?, output),
        Command::Events(events) => events::run(events, &client()?, output),
        Command::Sim(sim) => sim::run(sim, output),
        Command::Completion(completion) => {
            completion::run(completion.shell, &mut Arguments::command(), output)
        }
        Command::Version => version::run(output),
    }
}

/// A runtime for the commands that run a server or devices in this process.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(format!("no threads to run on: {error}")))
}

/// Who gives the orders of this process.
pub(crate) fn operator() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("USERNAME"));
    user.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "cli".to_owned())
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

/// Reads the policy that was named, if any.
fn read_policy(file: &PolicyFile) -> Result<Option<model::Policy>, Failure> {
    let Some(path) = &file.policy else { return Ok(None) };
    let text = read_text(path)?;
    let failed = |message: String| Failure::of(format!("{}: {message}", path.display()));
    match file.import {
        Some(from) => from.policy(&text, now()).map_err(|error| failed(error.to_string())),
        None => model::Policy::from_toml(&text).map_err(|message| {
            let failure = failed(message);
            if text.trim_start().starts_with('{') {
                failure.hint("a policy is TOML; --import SYSTEM reads another system's JSON")
            } else {
                failure
            }
        }),
    }
    .map(Some)
}

/// The time of the day.
fn now() -> model::Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is set to nothing useful anyway.
    model::Time::ZERO + since.unwrap_or_default()
}

/// A request for one page: where it begins and how many items it may hold.
type PageOf<'a, T> = dyn FnMut(Option<String>, u32) -> Result<Page<T>, ClientError> + 'a;

/// Takes the pages of a list, one after the other, until there are no more or enough.
fn each_page<T>(
    limit: &Limit,
    page: &mut PageOf<'_, T>,
    take: &mut dyn FnMut(Vec<T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = limit.limit.unwrap_or(usize::MAX);
    let mut after = None;
    while left > 0 {
        let size = u32::try_from(left).unwrap_or(api::LIMIT_MAX).min(api::LIMIT_MAX);
        let mut next = page(after, size)?;
        next.items.truncate(left);
        left -= next.items.len();
        take(next.items)?;
        match next.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(())
}

/// Prints a list in the form that was asked for; `table` prints it for people.
fn print_list<T: serde::Serialize>(
    output: &Output,
    limit: &Limit,
    page: &mut PageOf<'_, T>,
    table: impl FnOnce(&[T]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    if output.form() == Form::Jsonl {
        each_page(limit, page, &mut |items| items.iter().try_for_each(|item| output.json(item)))?;
        return Ok(Exit::Done);
    }
    let mut all = Vec::new();
    each_page(limit, page, &mut |items| {
        all.extend(items);
        Ok(())
    })?;
    match output.form() {
        Form::Json => output.json(&all)?,
        Form::Table | Form::Jsonl => table(&all)?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_page_by_page() {
        for (limit, expected, calls) in
            [(None, 250, 3), (Some(0), 0, 0), (Some(100), 100, 1), (Some(120), 120, 2)]
        {
            let (mut seen, mut called) = (Vec::new(), 0);
            let mut page = |after: Option<String>, size: u32| {
                called += 1;
                let from: usize = after.map_or(0, |after| after.parse().unwrap());
                let until = (from + (size as usize).min(100)).min(250);
                let next = (until < 250).then(|| until.to_string());
                Ok(Page { items: (from..until).collect(), next, total: None })
            };
            each_page(&Limit { limit }, &mut page, &mut |items: Vec<usize>| {
                seen.extend(items);
                Ok(())
            })
            .unwrap();
            assert_eq!((seen.len(), called), (expected, calls), "{limit:?}");
            assert!(seen.iter().copied().eq(0..expected));
        }
    }
}
