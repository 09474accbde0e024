//! Flagger's canary analysis for devices: a share that grows after each good check.

use model::{CheckedSteps, Rate, Reason, Verdict};

use super::{Allowance, Situation, exceeds, saturated};

/// Checks at each interval: a good check opens the next share of the targets, a failed one is
/// counted, and enough failed ones abort. After the last share all the rest follows.
///
/// A check looks at the devices judged since the one before and at the response time of the
/// server since then. Failed checks are never forgiven.
///
/// Differences: a share of the targets stands for a share of the traffic; an interval in which no
/// device was judged fails only with `missing_fails`, where Flagger takes it for a failed check
/// (an update may take longer than an interval); an abort stops, and does not bring the old
/// version back.
pub(super) fn decide(rule: &CheckedSteps, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    if !situation.is_due() {
        return None;
    }
    let stage = situation.stage();
    if stage == 0 {
        return Some(open(rule, situation, 1));
    }
    // The rest was let go, and nothing is looked at any more.
    situation.standing.course.look_at?;
    let (counts, course) = (&situation.inputs.counts, &situation.standing.course);
    let failed = counts.failed.saturating_sub(course.failed_before);
    let judged = failed + counts.succeeded.saturating_sub(course.succeeded_before);
    if judged == 0 && !rule.missing_fails {
        return Some(again(rule, situation, course.strikes, Reason::PeerCheckEmpty));
    }
    let slow = |us: u64| rule.response_time_us_max.is_some_and(|most| us > most);
    if judged > 0
        && !exceeds(failed, judged, rule.errors_max)
        && !situation.standing.response_time_us.is_some_and(slow)
    {
        return Some(open(rule, situation, stage + 1));
    }
    let failed_checks = course.strikes + 1;
    let failed_checks_max = rule.failed_checks_max;
    let reason = Reason::PeerCheckFailed { failed_checks, failed_checks_max };
    if failed_checks >= failed_checks_max {
        return Some((Verdict::Abort, reason));
    }
    Some(again(rule, situation, failed_checks, reason))
}

/// Opens a step, from 1; after the last one all the rest.
fn open(rule: &CheckedSteps, situation: &Situation<'_>, stage: u32) -> (Verdict, Reason) {
    let share = rule.weights.get(stage as usize - 1);
    let devices = |weight: &Rate| weight.apply(situation.targets()).max(1);
    let allowance = Allowance {
        in_flight_max: None,
        devices_max: share.map(devices),
        look_at: share.map(|_| situation.at() + rule.interval.0),
        stage,
    };
    let of = saturated(rule.weights.len() as u64);
    let reason = if share.is_some() { Reason::PeerStage { stage, of } } else { Reason::PeerRest };
    situation.allow(allowance, reason)
}

/// Makes the check once more at the end of another interval.
fn again(
    rule: &CheckedSteps,
    situation: &Situation<'_>,
    strikes: u32,
    reason: Reason,
) -> (Verdict, Reason) {
    let allowance = Allowance {
        in_flight_max: None,
        devices_max: situation.standing.course.devices_max,
        look_at: Some(situation.at() + rule.interval.0),
        stage: situation.stage(),
    };
    situation.allow_with_strikes(allowance, strikes, reason)
}
