//! Mender: phases by the clock.

use model::{Mender, Rate, Reason, Verdict};

use super::{Allowance, Situation, saturated};

/// Opens each phase at its time, whatever came of the ones before.
///
/// Each phase adds its share of the targets; the last one takes all the rest and newcomers. No
/// failure stops it: that is what Mender does.
///
/// Differences: a share follows the targets known when the phase opens, where Mender freezes it
/// at creation; it is rounded up to a device so that no phase is empty; a device to be tried
/// again leaves its place to another.
pub(super) fn decide(rule: &Mender, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    if !situation.is_due() {
        return None;
    }
    let started = situation.standing.course.started;
    let begun = |phase: &&model::MenderPhase| started + phase.after.0 <= situation.at();
    let open = rule.phases.iter().take_while(begun).count();
    let next = rule.phases.get(open).map(|phase| started + phase.after.0);
    if open == 0 {
        return next.map(|until| (Verdict::Hold { until }, Reason::PeerHours));
    }
    if open <= situation.standing.stages.len() {
        return None;
    }
    let points: u32 = rule
        .phases
        .iter()
        .take(open)
        .filter_map(|phase| phase.share)
        .map(Rate::as_basis_points)
        .fold(0, u32::saturating_add);
    let share = Rate::basis_points(points.min(Rate::WHOLE.as_basis_points()));
    let is_last = open == rule.phases.len();
    let allowance = Allowance {
        in_flight_max: None,
        devices_max: (!is_last).then(|| size(Some(share), situation.targets())),
        look_at: next,
        stage: saturated(open as u64),
    };
    let of = saturated(rule.phases.len() as u64);
    Some(situation.allow(allowance, Reason::PeerStage { stage: allowance.stage, of }))
}

/// A share of the targets in whole devices, rounded up.
pub(super) fn size(share: Option<Rate>, targets: u64) -> u64 {
    let Some(share) = share else { return targets };
    let points = u128::from(targets) * u128::from(share.as_basis_points());
    u64::try_from(points.div_ceil(super::WHOLE)).unwrap_or(targets).min(targets)
}
