//! `NervesHub`: a number of devices at a time, in steps.

use model::{NervesHub, Reason, Verdict};

use super::{Allowance, Situation, saturated};

/// Keeps the step's number of devices in flight, goes on to the next step when all devices of
/// one are through, and pauses when a step has more failures than it tolerates or the next one
/// needs an operator.
///
/// Differences: the order is the operation's seeded one, not first come first served; the block
/// of a device after failed tries is the policy's `retry`; a slot is free when the device proved
/// its update or failed, where `NervesHub` also frees it half an hour after the order; failures
/// that an operator accepted by resuming do not count again.
pub(super) fn decide(rule: &NervesHub, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    let begun = situation.standing.stages.len();
    if let (Some(at), Some(tally)) = (begun.checked_sub(1), situation.newest())
        && let Some(step) = rule.steps.get(at)
    {
        if let Some(most) = step.failed_max.map(u64::from).filter(|most| tally.failed > *most) {
            let reason = Reason::PeerFailures { failed: tally.failed, tolerated: most };
            return Some((Verdict::Pause, reason));
        }
        if !situation.stage_is_over() {
            return None;
        }
    }
    let step = rule.steps.get(begun)?;
    let stage = situation.stage() + 1;
    if step.approval && situation.standing.course.approved < stage {
        return Some((Verdict::Pause, Reason::PeerApproval { stage }));
    }
    let is_last = begun + 1 == rule.steps.len();
    let devices = step.devices.filter(|_| !is_last).map(u64::from);
    let allowance = Allowance {
        in_flight_max: Some(step.in_progress_max),
        devices_max: devices.map(|devices| situation.engaged() + devices),
        look_at: None,
        stage,
    };
    let of = saturated(rule.steps.len() as u64);
    let reason = if of == 1 {
        Reason::PeerSlots { slots: step.in_progress_max }
    } else {
        Reason::PeerStage { stage, of }
    };
    Some(situation.allow(allowance, reason))
}
