//! Rules of other rollout systems, so that operations can run by them and be compared.
//!
//! Each rule is a pure function over [`Inputs`] in a file of its own, which says where the
//! system does something else. All of them only see devices that prove their update: a success
//! here is a version read back, not a word of the device.

mod aws_jobs;
mod checked_steps;
mod edgehog;
mod hawkbit;
mod mender;
mod nebraska;
mod nerves_hub;
mod nodewright;
#[cfg(test)]
mod tests;

use model::{FailedShare, Inputs, Phase, Rate, Reason, Rule, Standing, Tally, Time, Verdict};

use super::saturated;

/// Decides by the rule of another system; none when there is nothing to decide.
///
/// An abort comes first, then the end of the operation, then everything else: an operation with
/// nothing left to grant neither pauses nor holds.
pub(super) fn decide(inputs: &Inputs) -> Option<(Verdict, Reason)> {
    let situation = Situation { inputs, standing: inputs.standing.as_deref()? };
    let decided = match &inputs.policy.rule {
        Rule::Threshold | Rule::Plan { .. } | Rule::Evidence(_) => None,
        Rule::AwsJobs(rule) => aws_jobs::decide(rule, &situation),
        Rule::HawkBit(rule) => hawkbit::decide(rule, &situation),
        Rule::Mender(rule) => mender::decide(rule, &situation),
        Rule::Edgehog(rule) => edgehog::decide(*rule, &situation),
        Rule::NervesHub(rule) => nerves_hub::decide(rule, &situation),
        Rule::Nebraska(rule) => nebraska::decide(*rule, &situation),
        Rule::NodeWright(rule) => nodewright::decide(*rule, &situation),
        Rule::CheckedSteps(rule) => checked_steps::decide(rule, &situation),
    };
    if matches!(decided, Some((Verdict::Abort, _))) {
        return decided;
    }
    let counts = &inputs.counts;
    match (counts.in_flight, counts.waiting) {
        (0, 0) => Some((Verdict::Finish, Reason::Complete)),
        (0, waiting) if counts.eligible == 0 && situation.standing.linger_over => {
            Some((Verdict::Finish, Reason::LingerOver { waiting }))
        }
        _ => decided,
    }
}

/// Devices that an operation of that many targets starts with.
pub(super) fn first_speed(rule: &Rule, targets: u64) -> u32 {
    let first = match rule {
        Rule::Threshold | Rule::Plan { .. } | Rule::Evidence(_) => 1,
        Rule::AwsJobs(rule) => aws_jobs::per_minute(rule, 0),
        Rule::HawkBit(rule) => hawkbit::size(rule, 0, targets),
        Rule::Mender(rule) => {
            rule.phases.first().map_or(targets, |phase| mender::size(phase.share, targets))
        }
        Rule::Edgehog(rule) => u64::from(rule.in_progress_max),
        Rule::NervesHub(rule) => {
            rule.steps.first().map_or(1, |step| u64::from(step.in_progress_max))
        }
        Rule::Nebraska(rule) if rule.safe_mode => 1,
        Rule::Nebraska(rule) => u64::from(rule.devices_max),
        Rule::NodeWright(rule) => u64::from(rule.first),
        Rule::CheckedSteps(rule) => rule.weights.first().map_or(1, |weight| weight.apply(targets)),
    };
    saturated(first.min(targets).max(1))
}

/// Largest number of devices that a rule has in flight of that many targets.
pub(super) fn speed_max(rule: &Rule, targets: u64) -> u32 {
    match rule {
        Rule::Edgehog(rule) => saturated(u64::from(rule.in_progress_max).min(targets).max(1)),
        Rule::Nebraska(rule) => saturated(u64::from(rule.devices_max).min(targets).max(1)),
        Rule::NervesHub(rule) => {
            let most = rule.steps.iter().map(|step| step.in_progress_max).max().unwrap_or(1);
            saturated(u64::from(most).min(targets).max(1))
        }
        _ => saturated(targets.max(1)),
    }
}

/// Inputs with what every rule takes from them.
struct Situation<'a> {
    inputs: &'a Inputs,
    standing: &'a Standing,
}

/// What a rule allows from now on.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// Most devices in flight at the same time; none for as many as `devices_max` leaves.
    in_flight_max: Option<u32>,
    devices_max: Option<u64>,
    look_at: Option<Time>,
    stage: u32,
}

impl Situation<'_> {
    fn at(&self) -> Time {
        self.standing.at
    }

    /// Devices in flight and settled for good: those that count against `devices_max`.
    fn engaged(&self) -> u64 {
        let counts = &self.inputs.counts;
        counts.succeeded + counts.failed + counts.in_flight + counts.cancelled
    }

    fn targets(&self) -> u64 {
        self.inputs.counts.targets()
    }

    /// Stages begun.
    fn stage(&self) -> u32 {
        saturated(self.standing.stages.len() as u64)
    }

    /// What the newest stage came to, without failures that an operator accepted.
    fn newest(&self) -> Option<Tally> {
        self.tallies().next_back()
    }

    /// What the stages came to, without failures that an operator accepted.
    fn tallies(&self) -> impl DoubleEndedIterator<Item = Tally> + ExactSizeIterator + '_ {
        let stages = &self.standing.course.stages;
        self.standing.stages.iter().enumerate().map(|(at, tally)| {
            let accepted = stages.get(at).map_or(0, |stage| stage.failed_accepted);
            Tally { failed: tally.failed.saturating_sub(accepted), ..*tally }
        })
    }

    /// Whether every place of the newest stage was taken, and no device of it is unresolved. A
    /// device that is to be tried again has left its place to another.
    fn stage_is_over(&self) -> bool {
        let full = self.standing.course.devices_max.is_some_and(|max| self.engaged() >= max);
        let open = |tally: Tally| tally.in_flight > 0;
        full && !self.newest().is_some_and(open)
    }

    /// Whether the rule asked to be asked now, and a device waits for the answer.
    fn is_due(&self) -> bool {
        self.standing.course.look_at.is_none_or(|at| at <= self.at())
            && self.inputs.counts.eligible > 0
    }

    fn allow(&self, allowance: Allowance, reason: Reason) -> (Verdict, Reason) {
        self.allow_with_strikes(allowance, self.standing.course.strikes, reason)
    }

    fn allow_with_strikes(
        &self,
        allowance: Allowance,
        strikes: u32,
        reason: Reason,
    ) -> (Verdict, Reason) {
        let Allowance { in_flight_max, devices_max, look_at, stage } = allowance;
        let (counts, policy) = (&self.inputs.counts, &self.inputs.policy);
        let left = devices_max.map_or(counts.waiting, |max| max.saturating_sub(self.engaged()));
        let speed = in_flight_max.unwrap_or_else(|| saturated((counts.in_flight + left).max(1)));
        let phase: Phase = self.inputs.phase.max(policy.phases.at(counts.progress()));
        (Verdict::Allow { phase, speed, devices_max, look_at, stage, strikes }, reason)
    }
}

/// Whether `failed` of `of` has reached `limit`, in whole numbers.
fn reaches(failed: u64, of: u64, limit: Rate) -> bool {
    u128::from(failed) * WHOLE >= u128::from(of) * u128::from(limit.as_basis_points())
}

/// Whether `failed` of `of` is above `limit`, in whole numbers.
fn exceeds(failed: u64, of: u64, limit: Rate) -> bool {
    u128::from(failed) * WHOLE > u128::from(of) * u128::from(limit.as_basis_points())
}

fn failures_share(what: String, failed: u64, of: u64, limit: Rate) -> Reason {
    Reason::PeerFailuresShare { what, share: FailedShare { failed, of, limit } }
}

/// 100 % in basis points.
const WHOLE: u128 = 10_000;
