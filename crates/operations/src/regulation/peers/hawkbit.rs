//! Eclipse hawkBit: groups, each started by the success of the one before.

use model::{HawkBit, Rate, Reason, Verdict};

use super::{Allowance, Situation, exceeds, failures_share, reaches};

/// Starts group after group, and pauses when a group has too many errors.
///
/// A group has an error condition (failures ÷ size of the group *above* the limit pause the
/// whole rollout) and a success condition (successes ÷ size *at least* the limit, or all its
/// devices through whatever came of them, start the next). The size is the one planned: devices
/// that were not reached yet count in it.
///
/// Differences: a group takes devices that can be reached, in the operation's seeded order, not
/// the oldest targets; what a group could not fill when the next one starts counts to the next;
/// a device to be tried again leaves its place to another; errors that an operator accepted by
/// resuming do not count again, where hawkBit never looks at that group again; newcomers join
/// the last group.
pub(super) fn decide(rule: &HawkBit, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    for (at, tally) in situation.tallies().enumerate() {
        let limit = group(rule, at)?.errors;
        let size = situation.standing.course.stages.get(at).map_or(0, |stage| stage.devices);
        if exceeds(tally.failed, size, limit) {
            let what = format!("errors in group {}", at + 1);
            return Some((Verdict::Pause, failures_share(what, tally.failed, size, limit)));
        }
    }
    let begun = situation.standing.stages.len();
    if begun >= rule.groups.len() {
        return None;
    }
    if let (Some(at), Some(tally)) = (begun.checked_sub(1), situation.newest()) {
        let group = group(rule, at)?;
        let size = situation.standing.course.stages.get(at).map_or(0, |stage| stage.devices);
        if !reaches(tally.succeeded, size, group.success) && !situation.stage_is_over() {
            return None;
        }
        let next = situation.stage() + 1;
        if group.approval_after && situation.standing.course.approved < next {
            return Some((Verdict::Pause, Reason::PeerApproval { stage: next }));
        }
    }
    let planned = situation.standing.course.devices_max.unwrap_or(0);
    let left = situation.targets().saturating_sub(planned);
    let is_last = begun + 1 == rule.groups.len();
    let allowance = Allowance {
        in_flight_max: None,
        devices_max: (!is_last).then(|| planned + size(rule, begun, left)),
        look_at: None,
        stage: situation.stage() + 1,
    };
    let of = super::saturated(rule.groups.len() as u64);
    Some(situation.allow(allowance, Reason::PeerStage { stage: allowance.stage, of }))
}

/// Size of a group of those left after the groups before: the nearest whole number.
pub(super) fn size(rule: &HawkBit, at: usize, left: u64) -> u64 {
    let Some(group) = rule.groups.get(at) else { return left };
    let (part, whole) = match group.share {
        Some(share) => (u64::from(share.as_basis_points()), Rate::WHOLE.as_basis_points().into()),
        None => (1, (rule.groups.len() - at) as u64),
    };
    let rounded = (u128::from(left) * u128::from(part) + u128::from(whole / 2)) / u128::from(whole);
    u64::try_from(rounded).unwrap_or(left).min(left)
}

fn group(rule: &HawkBit, at: usize) -> Option<model::HawkBitGroup> {
    rule.groups.get(at).or_else(|| rule.groups.last()).copied()
}
