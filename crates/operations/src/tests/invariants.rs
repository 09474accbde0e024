//! What must hold after every step, whatever happens.

use std::collections::BTreeMap;

use model::{
    Assignment, AttemptState, Counts, DeviceId, Eligibility, Exclusion, Operation, OperationState,
    Phase, Scope, Verdict,
};

use super::world::World;
use crate::regulate;

/// Checks every invariant on the loops and on what is durable.
pub(super) fn check(world: &World) {
    one_change_in_flight(world);
    for operation in world.durable.operations.values() {
        exposure(world, operation);
        abort_is_absorbing(world, operation);
        conservation(world, operation);
    }
    decisions(world);
    success_is_evidence(world);
}

/// I1: at most one unresolved change per device over all operations.
fn one_change_in_flight(world: &World) {
    let mut busy: BTreeMap<DeviceId, u32> = BTreeMap::new();
    for assignment in world.durable.assignments.values() {
        if assignment.state.is_in_flight() {
            *busy.entry(assignment.device).or_default() += 1;
        }
    }
    assert!(busy.values().all(|count| *count == 1), "I1: {busy:?}");
}

/// I4: what is granted and unresolved never exceeds the last decision.
fn exposure(world: &World, operation: &Operation) {
    let speed = u64::from(world.durable.last_speed(operation.id));
    let exposed = world.loops.counts(operation.id).unwrap().in_flight;
    assert!(exposed <= speed, "I4: {exposed} in flight at speed {speed} of {}", operation.id);
}

/// I5: after an abort nothing is granted, and nothing granted is sent.
fn abort_is_absorbing(world: &World, operation: &Operation) {
    let Some(decisions) = world.durable.decisions.get(&operation.id) else { return };
    let aborted = decisions.iter().position(|decision| decision.verdict == Verdict::Abort);
    let Some(at) = aborted else { return };
    assert_eq!(at + 1, decisions.len(), "I5: a decision follows the abort");
    assert_eq!(operation.state, OperationState::Aborted, "I5");
    let when = decisions[at].at;
    for assignment in world.loops.assignments(operation.id) {
        assert_ne!(assignment.state, AttemptState::Granted, "I5: granted after the abort");
        let sent_later = assignment.state == AttemptState::Sent && assignment.since > when;
        assert!(!sent_later, "I5: sent after the abort");
    }
    for grant in world.durable.grants.values().filter(|grant| grant.operation == operation.id) {
        assert!(grant.at <= when, "I5: granted after the abort");
    }
}

/// I7: every target is in exactly one place, and the counters equal a recount.
fn conservation(world: &World, operation: &Operation) {
    let counts = world.loops.counts(operation.id).unwrap();
    let mut recount = Counts::default();
    for assignment in world.loops.assignments(operation.id) {
        assert_eq!(
            Some(assignment),
            world.durable.assignments.get(&(operation.id, assignment.device)),
            "what is known is durable"
        );
        tally(&mut recount, assignment);
    }
    if operation.state.is_final() {
        let settled =
            |counts: &Counts| (counts.succeeded, counts.failed, counts.in_flight, counts.cancelled);
        assert_eq!(settled(&counts), settled(&recount), "I7: {}", operation.id);
        return;
    }
    let frozen = Exclusion::OperationFrozen { by: operation.id };
    let grantable = [Exclusion::BatchFull.code(), Exclusion::OperationPaused.code(), frozen.code()];
    for device in world.fleet.iter() {
        let concerned = match &operation.scope {
            Scope::Fleet => true,
            Scope::Picked { devices } => devices.contains(&device.id),
        };
        let known = world.loops.assignment(operation.id, device.id);
        let pooled = known.is_none_or(|known| matches!(known.state, AttemptState::Deferred { .. }));
        if !concerned || !pooled {
            continue;
        }
        match world.loops.identify(operation.id, device, world.now) {
            Eligibility::Eligible { .. } => {
                recount.waiting += 1;
                recount.eligible += 1;
            }
            Eligibility::Waiting { exclusion } => {
                recount.waiting += 1;
                recount.eligible += u64::from(grantable.contains(&exclusion.code()));
            }
            Eligibility::Excluded { .. } => recount.excluded += 1,
        }
    }
    assert_eq!(counts, recount, "I7: {} at {}", operation.id, world.now);
}

fn tally(counts: &mut Counts, assignment: &Assignment) {
    match assignment.state {
        AttemptState::Succeeded => counts.succeeded += 1,
        // I8: silence counts as an error.
        AttemptState::Failed { .. } | AttemptState::Silent => counts.failed += 1,
        AttemptState::Deferred { .. } => {}
        AttemptState::Cancelled => counts.cancelled += 1,
        _ => counts.in_flight += 1,
    }
}

/// Decisions replay to the same bits, respect the denominator (I8), and promote only on
/// evidence (I6).
fn decisions(world: &World) {
    for decisions in world.durable.decisions.values() {
        let mut phase = Phase::Test;
        // Older decisions were checked when they were the newest.
        for decision in decisions.iter().rev().take(2).rev() {
            let Some(inputs) = &decision.inputs else { continue };
            let again = regulate(inputs);
            assert_eq!(again, Some((decision.verdict, decision.reason.clone())), "replay");
            for rates in [inputs.before, inputs.after, inputs.window].into_iter().flatten() {
                assert!(rates.failed <= rates.attempted, "I8: {rates:?}");
            }
            if let Verdict::Continue { phase: next, .. } = decision.verdict {
                assert_eq!(inputs.counts.in_flight, 0, "I6: promoted with devices in flight");
                assert!(next >= phase && next >= inputs.phase, "a phase never goes back");
                phase = next;
            }
        }
    }
}

/// I9: a device counts as updated only when it really runs the release.
fn success_is_evidence(world: &World) {
    for ((operation, device), assignment) in &world.durable.assignments {
        if assignment.state != AttemptState::Succeeded {
            continue;
        }
        let release = world.durable.operations[operation].release;
        let goal = &world.durable.releases[&release].manifest.release.version;
        let runs = &world.truths[device].version;
        assert!(runs >= goal, "I9: {device} runs {runs} and counts as updated to {goal}");
    }
}
