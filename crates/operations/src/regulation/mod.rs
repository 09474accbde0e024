//! Speed regulation (paper A §III-E): how fast an operation goes on, and whether at all.
//!
//! Pure over [`Inputs`], which are stored with every decision, so that each decision can be
//! recomputed to the same bits.

mod by_evidence;
mod peers;
mod strategy;
#[cfg(test)]
mod tests;

pub(crate) use by_evidence::first_grant;
pub use by_evidence::{holdback, judged};
use model::{
    Decision, Inputs, Judged, Measure, Phase, Policy, Rate, Reason, ReportedRates, Rule, Stage,
    Variation, Verdict,
};

/// Decides the next step of an operation by paper A's algorithm (§III-E d), or that there is
/// nothing to decide.
///
/// 1. *Pending*: an operation that never had an element (`speed` 0) starts as soon as a device
///    can be granted.
/// 2. *Errors above the tolerated rate*: abort. Judged before the phase advances, by the
///    tolerance of the phase that produced them, over `window`, and only with at least
///    `errors_min` devices failed: one device is an anecdote. A fault in the image itself aborts
///    at once in Test; a change that must reach every target aborts at the first device that
///    cannot be changed.
/// 3. *Phase*: from the share of the targets processed. It never goes back when newcomers lower
///    that share, and advances only when every device of the element is settled (I6).
/// 4. *Regulate*: the measures of the last element are compared with those of the one before.
///    The paper leaves the amounts open; our reading of its figure 5:
///    - some measure better, none worse: k + 2, the steeper slope of scenario 2;
///    - little variation and no error or warning: k + 1;
///    - little variation, but errors or warnings are there: k stays;
///    - some measure worse, or warnings above the tolerated rate: k − 3 in Test, k − 2 in
///      Cautious, k − 1 in Generalization ("the earlier errors are detected, the more drastic is
///      the regulation"), and the size does not grow. When the response time comes back, that is
///      an improvement: scenario 1, lower for one iteration, then up again.
///
/// While devices are in flight only an abort is possible. An operation without an element since
/// its last decision (`after` is none) and without a device to grant is asked about only when
/// it was waited for long enough: it finishes.
///
/// Regulation by evidence and the rules of other systems decide by themselves from step 2 on; of the policy's own limits
/// only `must_reach_all` holds beside them.
#[must_use]
pub fn regulate(inputs: &Inputs) -> Option<(Verdict, Reason)> {
    regulate_judged(inputs, judged(inputs).as_ref())
}

/// [`regulate`] for who has the judgement already, which is what takes the time.
pub(crate) fn regulate_judged(
    inputs: &Inputs,
    judged: Option<&Judged>,
) -> Option<(Verdict, Reason)> {
    if inputs.speed == 0 {
        return Some(start(inputs));
    }
    if inputs.policy.rule.is_peer() {
        return must_reach_all(inputs)
            .map(|reason| (Verdict::Abort, reason))
            .or_else(|| peers::decide(inputs));
    }
    if inputs.policy.rule.evidence().is_some() {
        return artifact_fault(inputs)
            .or_else(|| must_reach_all(inputs))
            .map(|reason| (Verdict::Abort, reason))
            .or_else(|| by_evidence::decide(inputs, judged?));
    }
    if let Some(reason) = abort(inputs) {
        return Some((Verdict::Abort, reason));
    }
    if inputs.counts.in_flight > 0 {
        return None;
    }
    let waiting = inputs.counts.waiting;
    match inputs.after {
        _ if waiting == 0 => Some((Verdict::Finish, Reason::Complete)),
        None if inputs.counts.eligible == 0 => {
            Some((Verdict::Finish, Reason::LingerOver { waiting }))
        }
        None => None,
        Some(after) => match &inputs.policy.rule {
            Rule::Threshold => Some(by_variation(inputs, &after)),
            Rule::Plan { stages } => Some(by_plan(inputs, stages)),
            _ => None,
        },
    }
}

/// Recomputes a stored decision from its inputs: the same verdict and reason, or the deciding
/// code has changed. None for an operator's order, which has no inputs.
#[must_use]
pub fn replay(decision: &Decision) -> Option<(Verdict, Reason)> {
    decision.inputs.as_ref().and_then(regulate)
}

/// The largest element a policy allows for that many targets: at least one device.
#[must_use]
pub(crate) fn speed_max(policy: &Policy, targets: u64) -> u32 {
    if policy.rule.is_peer() {
        return peers::speed_max(&policy.rule, targets);
    }
    if policy.rule.evidence().is_some() {
        return policy.parallel_max.max(1);
    }
    saturated(policy.speed_max.apply(targets).max(1))
}

/// The size of an operation's first element.
#[must_use]
pub(crate) fn first_speed(policy: &Policy, targets: u64) -> u32 {
    match &policy.rule {
        Rule::Threshold => policy.first_speed.clamp(1, speed_max(policy, targets)),
        Rule::Plan { stages } => stage_speed(stages, 0, targets),
        // The first look says how many of them there may be.
        Rule::Evidence(_) => policy.parallel_max.max(1),
        peer => peers::first_speed(peer, targets),
    }
}

/// The stage of a fixed plan after `favourable` stages; the last one repeats.
#[must_use]
pub(crate) fn stage(stages: &[Stage], favourable: i32) -> Option<Stage> {
    let at = usize::try_from(favourable).unwrap_or(0);
    stages.get(at).or_else(|| stages.last()).copied()
}

fn stage_speed(stages: &[Stage], favourable: i32, targets: u64) -> u32 {
    let share = stage(stages, favourable).map_or(Rate::ZERO, |stage| stage.share);
    saturated(share.apply(targets).max(1))
}

/// Step 1; with nothing to grant, an operation that waited long enough for its first target.
fn start(inputs: &Inputs) -> (Verdict, Reason) {
    let counts = &inputs.counts;
    match (counts.eligible, counts.waiting) {
        (0, 0) => (Verdict::Finish, Reason::Complete),
        (0, waiting) => (Verdict::Finish, Reason::LingerOver { waiting }),
        (eligible, _) => {
            let speed = first_speed(&inputs.policy, counts.targets());
            (Verdict::Start { speed }, Reason::Targets { eligible })
        }
    }
}

/// Step 2.
fn abort(inputs: &Inputs) -> Option<Reason> {
    let (phase, policy) = (inputs.phase, &inputs.policy);
    if let Some(reason) = artifact_fault(inputs).or_else(|| must_reach_all(inputs)) {
        return Some(reason);
    }
    let window = inputs.window?;
    let tolerated = policy.tolerated_errors.of(phase);
    let evident = window.failed >= u64::from(policy.errors_min.max(1));
    (evident && window.errors > tolerated).then_some(Reason::ErrorsAboveTolerance {
        phase,
        measured: window.errors,
        tolerated,
        failed: window.failed,
        attempted: window.attempted,
    })
}

fn artifact_fault(inputs: &Inputs) -> Option<Reason> {
    let phase = inputs.phase;
    (inputs.artifact_fault && phase == Phase::Test).then_some(Reason::ArtifactFault { phase })
}

fn must_reach_all(inputs: &Inputs) -> Option<Reason> {
    let failed = inputs.counts.failed;
    (inputs.policy.must_reach_all && failed > 0).then_some(Reason::MustReachAll { failed })
}

/// Steps 3 and 4 of paper A's rule.
fn by_variation(inputs: &Inputs, after: &ReportedRates) -> (Verdict, Reason) {
    let policy = &inputs.policy;
    // A phase entered is never left: newcomers lower the share processed, not what was learnt.
    let phase = inputs.phase.max(policy.phases.at(inputs.counts.progress()));
    let speed_max = speed_max(policy, inputs.counts.targets());
    let (gain, reason) = judge(inputs, after);
    let favourable = strategy::bounded(
        &policy.strategy,
        policy.first_speed,
        inputs.favourable.saturating_add(gain).max(0),
        speed_max,
    );
    let mut speed = strategy::size(&policy.strategy, policy.first_speed, favourable, speed_max);
    if gain <= 0 {
        speed = speed.min(inputs.speed);
    }
    (Verdict::Continue { phase, speed, favourable }, reason)
}

/// What the last element says: the change of k, and why.
fn judge(inputs: &Inputs, after: &ReportedRates) -> (i32, Reason) {
    let policy = &inputs.policy;
    let phase = inputs.phase;
    if after.attempted == 0 {
        return (0, Reason::NoEvidence);
    }
    let drop = match phase {
        Phase::Test => -3,
        Phase::Cautious => -2,
        Phase::Generalization => -1,
    };
    let tolerated = policy.tolerated_warnings.of(phase);
    let measured = inputs.window.as_ref().unwrap_or(after).warnings;
    if measured > tolerated {
        return (drop, Reason::WarningsAboveTolerance { phase, measured, tolerated });
    }
    let (better, worse) = variations(policy, inputs.before.as_ref(), after);
    if !worse.is_empty() {
        (drop, Reason::Worsened { by: worse })
    } else if !better.is_empty() {
        (2, Reason::Improved { by: better })
    } else if after.failed == 0 && after.warned == 0 {
        (1, Reason::Healthy)
    } else {
        (0, Reason::Steady)
    }
}

/// The measures that changed by more than the dead band: those that got better, and those that
/// got worse. Without an element before there is nothing to compare with.
fn variations(
    policy: &Policy,
    before: Option<&ReportedRates>,
    after: &ReportedRates,
) -> (Vec<Variation>, Vec<Variation>) {
    let Some(before) = before else { return (Vec::new(), Vec::new()) };
    let points = |rate: Rate| u64::from(rate.as_basis_points());
    let mut pairs = vec![
        (Measure::Errors, points(before.errors), points(after.errors), 0),
        (Measure::Warnings, points(before.warnings), points(after.warnings), 0),
    ];
    if let (Some(before), Some(after)) = (before.response_time_us, after.response_time_us) {
        pairs.push((Measure::ResponseTime, before, after, policy.response_time_floor_us));
    }
    let (mut better, mut worse) = (Vec::new(), Vec::new());
    for (measure, before, after, floor) in pairs {
        let change = before.abs_diff(after);
        if change <= policy.dead_band.apply(before) || change < floor {
            continue;
        }
        let list = if after < before { &mut better } else { &mut worse };
        list.push(Variation { measure, before, after });
    }
    (better, worse)
}

/// The next stage of a fixed plan, which looks at nothing but errors (paper A §IV-A: the legacy
/// schedule). `favourable` counts the stages; when it begins is the plan's own time.
fn by_plan(inputs: &Inputs, stages: &[Stage]) -> (Verdict, Reason) {
    let favourable = inputs.favourable.max(0).saturating_add(1);
    let speed = stage_speed(stages, favourable, inputs.counts.targets());
    let phase = inputs.phase.max(inputs.policy.phases.at(inputs.counts.progress()));
    let stage = u64::try_from(favourable).unwrap_or(0).saturating_add(1);
    (Verdict::Continue { phase, speed, favourable }, Reason::Plan { stage })
}

fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
