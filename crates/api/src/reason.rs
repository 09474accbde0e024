//! The reason codes of exclusions, in words without a particular device.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Devices left out, or waiting, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonCount {
    /// The stable reason code, e.g. `battery.low`.
    #[schema(example = "battery.low")]
    pub code: String,
    /// What it means, in one sentence.
    pub sentence: String,
    /// What would change it.
    pub remedy: String,
    /// Whether the devices are targets that wait; otherwise they are no targets.
    pub waiting: bool,
    /// How many.
    pub devices: u64,
}

impl ReasonCount {
    /// Counts devices under a code of `model::Exclusion`; an unknown code explains itself.
    #[must_use]
    pub fn new(code: &str, waiting: bool, devices: u64) -> Self {
        let (sentence, remedy) = explain(code).unwrap_or((code, ""));
        Self {
            code: code.to_owned(),
            sentence: sentence.to_owned(),
            remedy: remedy.to_owned(),
            waiting,
            devices,
        }
    }
}

/// What a reason code means and what would change it, each in one sentence; none for a code that
/// is not one of `model::Exclusion`.
#[must_use]
pub fn explain(code: &str) -> Option<(&'static str, &'static str)> {
    REASONS
        .iter()
        .find(|(known, ..)| *known == code)
        .map(|(_, sentence, remedy)| (*sentence, *remedy))
}

const REASONS: &[(&str, &str, &str)] = &[
    ("already_current", "Already run the release's version.", "Nothing to do."),
    (
        "newer_version",
        "Run a newer version.",
        "A downgrade needs an operation of its own that permits it.",
    ),
    (
        "not_target.model",
        "Are of another manufacturer or model.",
        "Publish a release whose [[target]] names this kind.",
    ),
    (
        "not_target.hardware",
        "Have another hardware revision.",
        "Publish a release whose [[target]] names this kind.",
    ),
    (
        "not_target.picked",
        "Are not in the operation's list of devices.",
        "Start an operation that names them.",
    ),
    (
        "identity.unknown",
        "Have not told their manufacturer, model and version yet.",
        "They are asked again at their next contact.",
    ),
    (
        "path.no_edge",
        "Run a version from which no chain of releases leads to the goal.",
        "Publish a release with an [[upgrade]] from this version.",
    ),
    (
        "path.blocked_edge",
        "Run a version from which the step is blocked.",
        "Publish a release that leads around the blocked step.",
    ),
    (
        "path.step_pending",
        "Must prove a step of their path before the next one.",
        "They go on by themselves when the step is proved.",
    ),
    (
        "battery.low",
        "Have less charge than required.",
        "They join by themselves when they report enough charge.",
    ),
    ("battery.unknown", "Never reported their battery.", UNKNOWN_REMEDY),
    (
        "memory.low",
        "Have less free memory than required.",
        "They join by themselves when they report enough free memory.",
    ),
    ("memory.unknown", "Never reported their free memory.", UNKNOWN_REMEDY),
    (
        "link.weak",
        "Have a weaker signal than required.",
        "They join by themselves when their signal is strong enough.",
    ),
    ("link.unknown", "Never reported their signal.", UNKNOWN_REMEDY),
    (
        "data.stale",
        "Reported a required value too long ago.",
        "They are asked anew at their next contact.",
    ),
    (
        "window.closed",
        "Are outside their maintenance windows.",
        "They join by themselves when a window opens.",
    ),
    (
        "consent.pending",
        "Wait for the consent of their user or owner.",
        "Give it with bellwether device consent, or over HTTP.",
    ),
    (
        "consent.deferred_until",
        "Were put off to a later time, by their user, owner or themselves.",
        "They go on by themselves at that time.",
    ),
    (
        "spread.limit",
        "Stand where as many devices as allowed are being changed.",
        "They join by themselves when others there are done.",
    ),
    ("offline.waiting", "Are asleep or offline.", "They join by themselves at their next contact."),
    ("held.operator", "Are held by an operator.", "An operator must release them."),
    (
        "quarantined.system",
        "Are quarantined after repeated failures.",
        "Look at their history, then release them.",
    ),
    ("busy.other_operation", "Are being changed by another operation.", OTHER_REMEDY),
    ("lower_priority", "Are wanted by a more urgent operation first.", OTHER_REMEDY),
    ("batch.full", "Come in a later element; this one is full.", "Nothing to do."),
    ("operation.paused", "Wait because the operation is paused.", "Resume the operation."),
    (
        "operation.frozen",
        "Wait because evidence stopped a release that the operation rests on.",
        "Abort the operation and publish a release that does not rest on the stopped one; or resume it, if it does no harm of its own.",
    ),
    (
        "stratum.stopped",
        "Are of a kind for which evidence stopped the operation.",
        "The change does harm to devices of their kind; publish a corrected release.",
    ),
    (
        "operation.aborted",
        "Are left alone because the operation was aborted.",
        "An aborted operation sends nothing more; publish a corrected release.",
    ),
    (
        "retry.waiting",
        "Failed for a passing reason and will be tried again.",
        "They are tried again by themselves.",
    ),
    (
        "retries.exhausted",
        "Failed as often as allowed.",
        "Find out why they fail, then start an operation that names them.",
    ),
];

const UNKNOWN_REMEDY: &str =
    "They join by themselves when they report the value, or set requires.unknown = \"allow\".";
const OTHER_REMEDY: &str = "They join by themselves when the other operation is done with them.";
