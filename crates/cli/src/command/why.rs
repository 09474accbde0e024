//! `why`.

use api::client::Client;

use crate::arguments::Why;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view;

/// Says why a device is a target, or not, or not yet.
pub(super) fn run(arguments: &Why, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let reports = client.why(&arguments.device.device, arguments.operation.as_deref())?;
    if !output.is_for_people() {
        match output.form() {
            crate::arguments::Form::Jsonl => reports.iter().try_for_each(|r| output.json(r))?,
            _ => output.json(&reports)?,
        }
        return Ok(Exit::Done);
    }
    if reports.is_empty() {
        output.note("no release is for this device, and no operation is open");
    }
    for report in &reports {
        for line in view::why(report, output.paint()) {
            output.line(&line)?;
        }
    }
    Ok(Exit::Done)
}
