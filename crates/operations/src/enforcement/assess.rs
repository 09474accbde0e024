//! Assessment: what the evidence says about an attempt.

use model::{
    Assignment, AttemptState, Device, Expectation, Fault, FaultKind, Guard, GuardLevel, Manifest,
    Time, Version,
};

use super::extract::{guarded, number};

/// An attempt and what it was for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// Where it stands.
    pub(crate) assignment: &'a Assignment,
    /// The manifest of the hop being installed.
    pub(crate) manifest: &'a Manifest,
    /// Whether the device was probed after its time was over: it must prove itself now.
    pub(crate) probed: bool,
    /// Registrations in one attempt that are still normal.
    pub(crate) registrations_max: u32,
}

/// What was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading<'a> {
    /// The version, if it could be read.
    pub(crate) version: Option<&'a Version>,
    /// Whether that is a version the device may have had before this hop.
    pub(crate) is_old: bool,
    /// What its protocol claims.
    pub(crate) claims_success: Option<bool>,
}

/// What becomes of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assessment {
    /// The evidence does not suffice; its deadline goes on.
    Waiting,
    /// The new version runs; it must go on running until then.
    Soaking {
        /// End of the soak time.
        until: Time,
    },
    /// Proved by the device (I9).
    Succeeded,
    /// Proved, with warning signs.
    Warned {
        /// Each in words.
        signs: Vec<String>,
    },
    /// Disproved.
    Failed(Fault),
}

/// Judges what a device shows after the change. Success is the version the device itself reports
/// after it, never the protocol's "done" (I9); a missing value proves nothing either way.
pub(crate) fn assess(
    attempt: &Attempt<'_>,
    device: &Device,
    reading: &Reading<'_>,
    now: Time,
) -> Assessment {
    let Some(version) = reading.version else { return Assessment::Waiting };
    let assignment = attempt.assignment;
    if *version != attempt.manifest.release.version {
        return other_version(attempt, version, reading);
    }
    let soak = attempt.manifest.confirm.soak.0;
    let until = match assignment.state {
        AttemptState::Soaking => assignment.since + soak,
        _ => now + soak,
    };
    if now < until {
        return Assessment::Soaking { until };
    }
    judge_health(attempt, device)
}

/// The device runs another version than the goal's.
fn other_version(attempt: &Attempt<'_>, version: &Version, reading: &Reading<'_>) -> Assessment {
    let Reading { is_old, claims_success, .. } = *reading;
    let goal = &attempt.manifest.release.version;
    let fault = |kind, detail| Assessment::Failed(Fault { kind, detail });
    let must_prove = match attempt.assignment.state {
        // Before the installation the old version is what it should run.
        AttemptState::Granted
        | AttemptState::Sent
        | AttemptState::Accepted
        | AttemptState::Transferred => return Assessment::Waiting,
        // Told to install and not seen to boot: it may still be at it.
        AttemptState::Claimed => attempt.probed || claims_success.is_some(),
        _ => true,
    };
    match (is_old, claims_success) {
        _ if attempt.assignment.state == AttemptState::Soaking => {
            fault(FaultKind::WrongVersion, format!("went from {goal} to {version} while soaking"))
        }
        (false, _) => fault(FaultKind::WrongVersion, format!("runs {version} instead of {goal}")),
        (true, Some(true)) => {
            fault(FaultKind::WrongVersion, format!("claims success and still runs {version}"))
        }
        (true, _) if must_prove => fault(FaultKind::UpdateFailed, format!("still runs {version}")),
        (true, _) => Assessment::Waiting,
    }
}

/// Guards and other signs, each against the device's own values before the change. Only values
/// read since the state was entered count; absent ones are neutral.
fn judge_health(attempt: &Attempt<'_>, device: &Device) -> Assessment {
    let assignment = attempt.assignment;
    let mut signs = Vec::new();
    for (at, guard) in attempt.manifest.guard.iter().enumerate() {
        let baseline = assignment.baseline.get(at).copied().flatten();
        let seen = guarded(guard, &device.datamodel).filter(|seen| seen.at >= assignment.since);
        let Some(value) = seen.and_then(|seen| number(&seen.value)) else { continue };
        let Some(words) = violation(guard, baseline, value) else { continue };
        match guard.level {
            GuardLevel::Warning => signs.push(words),
            GuardLevel::Error => {
                let kind = FaultKind::GuardViolated;
                return Assessment::Failed(Fault { kind, detail: words });
            }
        }
    }
    signs.extend(new_error_code(attempt, device));
    signs.extend(frequent_registrations(attempt, device));
    if signs.is_empty() { Assessment::Succeeded } else { Assessment::Warned { signs } }
}

/// Which limit of a guard a value breaks, in words.
fn violation(guard: &Guard, baseline: Option<i64>, value: i64) -> Option<String> {
    let Expectation { min, max, min_percent_of_baseline, max_percent_of_baseline } = guard.expect;
    let share = |percent: Option<u32>| {
        let scaled = i128::from(baseline?) * i128::from(percent?) / 100;
        i64::try_from(scaled).ok()
    };
    let least = [min, share(min_percent_of_baseline)].into_iter().flatten().max();
    let most = [max, share(max_percent_of_baseline)].into_iter().flatten().min();
    let name = &guard.name;
    match (least, most) {
        (Some(least), _) if value < least => Some(format!("{name} is {value}, below {least}")),
        (_, Some(most)) if value > most => Some(format!("{name} is {value}, above {most}")),
        _ => None,
    }
}

fn new_error_code(attempt: &Attempt<'_>, device: &Device) -> Option<String> {
    let seen = device.datamodel.error_code?;
    let before = baseline_after_guards(attempt, 0).unwrap_or(0);
    (seen.value != 0 && seen.value != before && seen.at >= attempt.assignment.since)
        .then(|| format!("reports error code {}", seen.value))
}

fn frequent_registrations(attempt: &Attempt<'_>, device: &Device) -> Option<String> {
    let before = baseline_after_guards(attempt, 1)?;
    let count = i64::from(device.registrations).saturating_sub(before);
    (count > i64::from(attempt.registrations_max))
        .then(|| format!("registered {count} times during the update"))
}

/// The values kept behind those of the guards, see `extract`.
fn baseline_after_guards(attempt: &Attempt<'_>, at: usize) -> Option<i64> {
    let index = attempt.manifest.guard.len() + at;
    attempt.assignment.baseline.get(index).copied().flatten()
}
