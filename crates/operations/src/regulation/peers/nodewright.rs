//! `NodeWright`: batches that grow and shrink with what the last one showed.

use model::{BatchGrowth, NodeWright, Rate, Reason, Tally, Verdict};

use super::{Situation, reaches};

/// Sizes each batch by the one before.
///
/// A batch fails when the whole percentage of its devices that succeeded is below the one
/// required. Linear: b + δ, or max(1, b − δ) after a failed batch; exponential: b·g, or
/// max(1, b/g); fixed: b. As many failed batches in a row as the rule sets abort. From the
/// safety limit on, by share of the targets processed, nothing slows or stops.
///
/// Differences: a batch ends when each of its devices proved its update, failed, or is put off
/// to be tried again, which is no success of that batch; there is one budget, not one for each
/// compartment.
pub(super) fn decide(rule: NodeWright, situation: &Situation<'_>) -> Option<(Verdict, Reason)> {
    let inputs = situation.inputs;
    let batches = &situation.standing.batches;
    if inputs.counts.in_flight > 0 || inputs.after.is_none() {
        return None;
    }
    let batch = batches.last().copied().unwrap_or_default();
    let is_late = inputs.counts.progress() >= rule.safety_limit;
    let failed = fails(rule, batch) && !is_late;
    let row = batches.iter().rev().take_while(|batch| fails(rule, **batch)).count();
    if let Some(most) = rule.failed_batches_max
        && failed
        && row >= most as usize
    {
        return Some((Verdict::Abort, Reason::PeerBatchesFailed { batches: most }));
    }
    let last = inputs.speed.max(1);
    let speed = match (rule.growth, failed) {
        (BatchGrowth::Fixed, _) => last,
        (BatchGrowth::Linear { delta }, false) => last.saturating_add(delta),
        (BatchGrowth::Linear { delta }, true) => last.saturating_sub(delta).max(1),
        (BatchGrowth::Exponential { factor }, false) => last.saturating_mul(factor),
        (BatchGrowth::Exponential { factor }, true) => (last / factor.max(1)).max(1),
    };
    let speed = speed.min(super::saturated(situation.targets().max(1)));
    let phase = inputs.phase.max(inputs.policy.phases.at(inputs.counts.progress()));
    let reason = if failed {
        Reason::PeerBatchFailed { succeeded: batch.succeeded, of: batch.attempted() }
    } else {
        Reason::PeerBatchSucceeded
    };
    Some((Verdict::Continue { phase, speed, favourable: inputs.favourable }, reason))
}

/// ⌊100 · succeeded ÷ devices⌋ below what is required; an empty batch does not fail.
fn fails(rule: NodeWright, batch: Tally) -> bool {
    let percent = (batch.succeeded * 100).checked_div(batch.attempted()).unwrap_or(100);
    let percent = Rate::percent(u32::try_from(percent).unwrap_or(100));
    !reaches(u64::from(percent.as_basis_points()), 10_000, rule.success)
}
