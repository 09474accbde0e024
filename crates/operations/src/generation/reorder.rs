//! Reordering by service-level agreement (paper A §III-D): which operation comes first.

use std::cmp::Reverse;
use std::time::Duration;

use model::{Agreement, Criticality, Manifest, OperationId, Time};

/// How urgent an operation is by itself: priority first, then paper A's class. Smaller is more
/// urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Urgency {
    priority: i32,
    class: Criticality,
}

impl Urgency {
    /// The urgency a manifest states.
    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self { priority: manifest.priority(), class: manifest.release.class }
    }
}

/// An operation that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting<'a> {
    /// The operation.
    pub(crate) id: OperationId,
    /// Its urgency.
    pub(crate) urgency: Urgency,
    /// Since when it waits.
    pub(crate) opened: Time,
    /// What its tenant was promised.
    pub(crate) agreement: Option<&'a Agreement>,
}

/// Puts operations in the order of their turn: priority and class, then the time left to the
/// deadline, then weight, then age.
///
/// Each `ageing` of waiting outweighs one point of priority, so that nothing starves behind a
/// stream of more urgent operations; a security fix (priority −10) still overtakes what waited
/// for less than its distance.
pub(crate) fn reorder(
    mut waiting: Vec<Waiting<'_>>,
    ageing: Duration,
    now: Time,
) -> Vec<OperationId> {
    let ageing_us = ageing.as_micros().max(1);
    waiting.sort_by_key(|operation| {
        let points = now.since(operation.opened).as_micros() / ageing_us;
        let aged = i64::from(operation.urgency.priority)
            .saturating_sub(i64::try_from(points).unwrap_or(i64::MAX));
        let deadline = operation.agreement.and_then(|agreement| agreement.deadline);
        let weight = operation.agreement.map_or(0, |agreement| agreement.weight);
        // The time left falls for all alike, so the earliest deadline has the least of it.
        let slack = deadline.unwrap_or(Time::MAX);
        (aged, operation.urgency.class, slack, Reverse(weight), operation.opened, operation.id)
    });
    waiting.into_iter().map(|operation| operation.id).collect()
}
