//! The binary `bellwether`: the command line of every role.
//!
//! Owns the words of the commands, exit codes and all printing. Refuses to know how anything is
//! decided or stored: `serve` and `dev` start the crate `server`, `sim` starts the crate `sim`,
//! and every other command talks to a server over its HTTP interface.
//!
//! Start from [`arguments::Arguments`]; [`output::Output`] is the only place that prints, and
//! [`failure::Exit`] lists the exit codes.

mod arguments;
mod command;
mod dev;
mod failure;
mod logs;
mod output;
mod paint;
mod parse;
mod screen;
mod signal;
mod table;
mod view;
mod wrap;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are asked for; everything else is wrong usage, exit code 2.
        Err(error) => error.exit(),
    };
    let output = Output::new(&arguments.global);
    match command::run(&arguments, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
