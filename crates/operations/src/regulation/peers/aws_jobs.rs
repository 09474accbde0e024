//! AWS IoT Jobs: a rate per minute, and criteria that cancel the job.

use std::time::Duration;

use model::{AwsCount, AwsFailure, AwsJobs, Rate, Reason, Verdict};

use super::{Allowance, Situation, failures_share, reaches};

/// Grants the rate of each minute at its beginning, and aborts by the criteria.
///
/// rate = min(cap, base · factor^k), k = ⌊counted ÷ n₀⌋. A criterion holds when at least
/// `executed_min` devices are through and the failures of its kind are at least `threshold` of
/// them; what its documentation calls executed is read as through.
///
/// Differences: a minute's devices are granted at once, not spread over the minute; a device
/// to be tried again leaves its place to another; an abort recalls what was not sent, and lets
/// devices in flight end, as a cancel without force does.
pub(super) fn decide(rule: &AwsJobs, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    if let Some(reason) = abort(rule, situation) {
        return Some((Verdict::Abort, reason));
    }
    if !situation.is_due() {
        return None;
    }
    let counted = match rule.growth.map(|growth| growth.count) {
        Some(AwsCount::Succeeded) => situation.inputs.counts.succeeded,
        Some(AwsCount::Notified) | None => situation.standing.granted,
    };
    let per_minute = per_minute(rule, counted);
    let allowance = Allowance {
        in_flight_max: None,
        devices_max: Some(situation.engaged() + per_minute),
        look_at: Some(situation.at() + MINUTE),
        stage: 1,
    };
    Some(situation.allow(allowance, Reason::PeerRate { per_minute }))
}

/// Devices a minute after that many counted ones, rounded down to whole devices at the end.
pub(super) fn per_minute(rule: &AwsJobs, counted: u64) -> u64 {
    let most = u64::from(rule.per_minute_max);
    let Some(growth) = rule.growth else { return most };
    // In millionths of a device: a factor has one decimal, and the cap ends the growth.
    let mut rate = u128::from(growth.base_per_minute) * UNIT;
    for _ in 0..counted / u64::from(growth.devices.max(1)) {
        if rate >= u128::from(most) * UNIT {
            break;
        }
        let whole = u128::from(Rate::WHOLE.as_basis_points());
        let next = rate * u128::from(growth.factor.as_basis_points()) / whole;
        if next <= rate {
            break;
        }
        rate = next;
    }
    u64::try_from(rate / UNIT).unwrap_or(u64::MAX).clamp(1, most.max(1))
}

fn abort(rule: &AwsJobs, situation: &Situation<'_>) -> Option<Reason> {
    let (counts, standing) = (&situation.inputs.counts, situation.standing);
    let executed = counts.succeeded + counts.failed;
    rule.abort.iter().find_map(|criterion| {
        let (name, failed) = match criterion.failure {
            AwsFailure::Failed => {
                let others = standing.rejected + standing.timed_out;
                ("failed", counts.failed.saturating_sub(others))
            }
            AwsFailure::Rejected => ("rejected", standing.rejected),
            AwsFailure::TimedOut => ("timed out", standing.timed_out),
            AwsFailure::All => ("failed in any way", counts.failed),
        };
        let enough = executed >= u64::from(criterion.executed_min);
        (enough && reaches(failed, executed, criterion.threshold))
            .then(|| failures_share(name.to_owned(), failed, executed, criterion.threshold))
    })
}

const MINUTE: Duration = Duration::from_secs(60);
const UNIT: u128 = 1_000_000;
