//! `version`.

use crate::failure::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(output: &Output) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if output.is_for_people() {
        output.line(&format!("bellwether {version}"))?;
    } else {
        output.json(&serde_json::json!({ "product": "bellwether", "version": version }))?;
    }
    Ok(Exit::Done)
}
