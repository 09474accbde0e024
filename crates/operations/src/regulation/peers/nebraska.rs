//! Nebraska: a number of devices in a period.

use std::time::Duration;

use model::{Nebraska, OfficeHours, Reason, Time, Verdict};

use super::{Allowance, Situation};

/// Grants a number of devices in each period with at most as many in flight, the first one alone
/// in safe mode, only at the hours of an office if wanted.
///
/// In safe mode an operation pauses when as many devices as a period holds timed out.
///
/// Differences: a period begins when the one before is over and a device is ready, where
/// Nebraska looks back from every request; timed out is a device that fell silent or broke off
/// for good, and stays so; timeouts that an operator accepted by resuming do not count again.
pub(super) fn decide(rule: Nebraska, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    let (standing, counts) = (situation.standing, &situation.inputs.counts);
    let timed_out = standing.timed_out.saturating_sub(standing.course.timed_out_accepted);
    if rule.safe_mode && timed_out >= u64::from(rule.devices_max) {
        let tolerated = u64::from(rule.devices_max) - 1;
        return Some((Verdict::Pause, Reason::PeerFailures { failed: timed_out, tolerated }));
    }
    // Only an answer to the first device opens the second stage; a period does not.
    let is_first = rule.safe_mode && counts.succeeded + counts.failed == 0;
    let wait = is_first && situation.stage() > 0;
    let opens = situation.stage() == 1 && rule.safe_mode && !is_first;
    if wait || counts.eligible == 0 || !(opens || situation.is_due()) {
        return None;
    }
    let closes = match rule.office_hours.map(|hours| office(hours, situation.at())) {
        Some(Office::Closed { opens }) if standing.course.look_at == Some(opens) => return None,
        Some(Office::Closed { opens }) => {
            return Some((Verdict::Hold { until: opens }, Reason::PeerHours));
        }
        Some(Office::Open { closes }) => Some(closes),
        None => None,
    };
    let (devices, stage) = if is_first { (1, 1) } else { (rule.devices_max, 2) };
    let ends = (!is_first).then(|| situation.at() + rule.period.0);
    let allowance = Allowance {
        in_flight_max: Some(devices),
        devices_max: Some(situation.engaged() + u64::from(devices)),
        look_at: closes.into_iter().chain(ends).min(),
        stage,
    };
    Some(situation.allow(allowance, Reason::PeerPeriod { devices }))
}

/// Where a time lies in the hours of an office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Office {
    /// It closes then.
    Open {
        /// When.
        closes: Time,
    },
    /// It opens then.
    Closed {
        /// When.
        opens: Time,
    },
}

pub(super) fn office(hours: OfficeHours, at: Time) -> Office {
    let offset = Duration::from_secs(u64::from(hours.utc_offset_minutes.unsigned_abs()) * 60);
    let is_ahead = hours.utc_offset_minutes >= 0;
    let local = if is_ahead { at + offset } else { at - offset };
    let universal = |seconds: u64| {
        let time = Time::from_secs(seconds);
        if is_ahead { time - offset } else { time + offset }
    };
    let seconds = local.as_micros() / 1_000_000;
    let (day, of_day) = (seconds / DAY_S, seconds % DAY_S);
    // 1970-01-01 was a Thursday, the fourth day of a week from Monday.
    let is_workday = |day: u64| (day + 3) % 7 < 5;
    if is_workday(day) && (OPENS_S..CLOSES_S).contains(&of_day) {
        return Office::Open { closes: universal(day * DAY_S + CLOSES_S) };
    }
    let mut next = if of_day < OPENS_S { day } else { day + 1 };
    while !is_workday(next) {
        next += 1;
    }
    Office::Closed { opens: universal(next * DAY_S + OPENS_S) }
}

const DAY_S: u64 = 86_400;
const OPENS_S: u64 = 9 * 3_600;
const CLOSES_S: u64 = 17 * 3_600;
