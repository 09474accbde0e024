//! `completion`.

use clap_complete::Shell;

use crate::failure::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(
    shell: Shell,
    command: &mut clap::Command,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "bellwether", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
