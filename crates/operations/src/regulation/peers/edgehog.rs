//! Edgehog: a number of devices at a time until too many of all failed.

use model::{Edgehog, Reason, Verdict};

use super::{Allowance, Situation, exceeds, failures_share};

/// Keeps a number of devices in flight, and aborts when failures are above a share of *all*
/// targets, however few were tried.
///
/// Differences: an abort lets devices in flight end and counts them; the targets follow the
/// fleet, where Edgehog fixes them when the campaign is made.
pub(super) fn decide(rule: Edgehog, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    let (failed, targets) = (situation.inputs.counts.failed, situation.targets());
    if exceeds(failed, targets, rule.failed_max) {
        let what = "failures among all targets".to_owned();
        return Some((Verdict::Abort, failures_share(what, failed, targets, rule.failed_max)));
    }
    if situation.stage() > 0 {
        return None;
    }
    let slots = rule.in_progress_max;
    let allowance =
        Allowance { in_flight_max: Some(slots), devices_max: None, look_at: None, stage: 1 };
    Some(situation.allow(allowance, Reason::PeerSlots { slots }))
}
