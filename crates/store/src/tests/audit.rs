//! Planted violations: each is found, and a history without them is clean.

use model::{AttemptState, Record, Step, Verdict};

use super::*;
use crate::{Invariant, Knowledge, SqliteStore};

/// Commits `records` on top of a running operation and expects exactly these violations.
fn check(records: Vec<Record>, expected: &[(Invariant, &str)]) {
    let mut store = SqliteStore::in_memory().unwrap();
    store.commit(&running()).unwrap();
    store.commit(&records).unwrap();
    let found = store.audit().unwrap();
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{texts:?}");
    for (violation, (invariant, says)) in found.iter().zip(expected) {
        assert_eq!(violation.invariant, *invariant, "{texts:?}");
        assert!(violation.to_string().contains(says), "{texts:?} should say `{says}`");
    }
}

fn at(seq: u64, verdict: Verdict) -> Record {
    Record::Decision(Box::new(decision(seq, verdict)))
}

fn now(state: &str, last_decision: u64) -> Record {
    Record::Operation(Box::new(operation(state, last_decision)))
}

fn moved(number: u64, state: AttemptState) -> Record {
    Record::Assignment(Box::new(assignment(number, state)))
}

fn settled(number: u64, state: AttemptState) -> [Record; 2] {
    [Record::Outcome(Box::new(outcome(number, state.clone()))), moved(number, state)]
}

#[test]
fn a_history_by_the_rules_is_clean() {
    check(vec![], &[]);
    let mut finished = settled(1, AttemptState::Succeeded).to_vec();
    finished.extend(settled(2, AttemptState::Silent));
    finished.extend([
        at(2, Verdict::Continue { phase: model::Phase::Test, speed: 1, favourable: 1 }),
        Record::Grant(grant(2, &[3])),
        Record::Intent(intent(3, Step::Transfer)),
    ]);
    let mut third = assignment(3, AttemptState::Claimed);
    third.element = 2;
    finished.extend([Record::Assignment(Box::new(third)), now("ongoing", 2)]);
    check(finished, &[]);
    // What was sent before the abort may go on to its end (I5).
    let mut aborted = vec![at(2, Verdict::Abort), now("aborted", 2)];
    aborted.push(moved(2, AttemptState::Cancelled));
    aborted.push(Record::Intent(intent(1, Step::Install)));
    aborted.extend(settled(1, AttemptState::Failed { fault: fault() }));
    check(aborted, &[]);
}

#[test]
fn two_changes_on_one_device_break_i1() {
    let mut other = operation("pending", 0);
    other.id = OperationId(2);
    let mut second = assignment(1, AttemptState::Granted);
    second.operation = OperationId(2);
    let mut granted = grant(1, &[1]);
    granted.operation = OperationId(2);
    let mut start = decision(1, Verdict::Start { speed: 1 });
    start.operation = OperationId(2);
    other.last_decision = 1;
    check(
        vec![
            Record::Operation(Box::new(other)),
            Record::Decision(Box::new(start)),
            Record::Grant(granted),
            Record::Assignment(Box::new(second)),
        ],
        &[(Invariant::OneChangeInFlight, "I1: dev-1: is being changed by 2 operations at once")],
    );
}

#[test]
fn sending_without_an_intent_breaks_i2() {
    check(
        vec![moved(2, AttemptState::Sent)],
        &[(Invariant::IntentBeforeEffect, "I2: op-1: dev-2: was sent attempt 1 without an intent")],
    );
}

#[test]
fn gaps_in_the_decisions_break_i3() {
    check(
        vec![at(3, Verdict::Pause), now("paused", 3)],
        &[(Invariant::DenseDecisions, "has 2 decisions numbered 1 to 3")],
    );
    check(
        vec![now("ongoing", 4)],
        &[(Invariant::DenseDecisions, "says its last decision is 4, stored is 1")],
    );
    check(
        vec![at(3, Verdict::Resume), at(2, Verdict::Pause), now("ongoing", 3)],
        &[(Invariant::DenseDecisions, "decision 3 was committed before decision 2")],
    );
}

#[test]
fn more_devices_than_decided_break_i4() {
    let mut third = assignment(3, AttemptState::Granted);
    third.element = 2;
    check(
        vec![Record::Grant(grant(2, &[3])), Record::Assignment(Box::new(third))],
        &[(Invariant::ExposureCap, "3 devices are in flight, the last decision allows 2")],
    );
    check(
        vec![moved(3, AttemptState::Cancelled)],
        &[(Invariant::ExposureCap, "dev-3: is in element 1 without a grant")],
    );
    let mut big = settled(1, AttemptState::Succeeded).to_vec();
    big.extend(settled(2, AttemptState::Succeeded));
    big.push(Record::Grant(grant(2, &[1, 2, 3])));
    big.push(moved(3, AttemptState::Cancelled));
    let mut third = assignment(3, AttemptState::Cancelled);
    third.element = 2;
    big.push(Record::Assignment(Box::new(third)));
    check(
        big,
        &[(Invariant::ExposureCap, "element 2 has 3 devices, the decision before allows 2")],
    );
}

#[test]
fn life_after_an_abort_breaks_i5() {
    let aborted = || vec![at(2, Verdict::Abort), now("aborted", 2)];
    check(
        vec![at(2, Verdict::Abort), now("ongoing", 2)],
        &[(Invariant::AbortIsFinal, "was aborted by decision 2 and is ongoing")],
    );
    let mut resumed = aborted();
    resumed.extend([at(3, Verdict::Resume), now("aborted", 3)]);
    check(resumed, &[(Invariant::AbortIsFinal, "decision 3 (resume) follows the abort")]);
    let mut granted = aborted();
    granted.extend(settled(1, AttemptState::Succeeded));
    let mut third = assignment(3, AttemptState::Granted);
    third.element = 2;
    granted.extend([Record::Grant(grant(2, &[3])), Record::Assignment(Box::new(third))]);
    check(granted, &[(Invariant::AbortIsFinal, "element 2 was granted after the abort")]);
    let mut sent = aborted();
    sent.extend([Record::Intent(intent(2, Step::Transfer)), moved(2, AttemptState::Sent)]);
    check(sent, &[(Invariant::AbortIsFinal, "dev-2: attempt 1 began after the abort")]);
}

#[test]
fn lost_devices_and_unproved_ends_break_i7() {
    let mut lost = settled(1, AttemptState::Succeeded).to_vec();
    lost.extend(settled(2, AttemptState::Succeeded));
    lost.push(Record::Grant(grant(2, &[3])));
    check(lost, &[(Invariant::Conservation, "dev-3: was granted and is in no state")]);
    check(
        vec![moved(1, AttemptState::Succeeded)],
        &[(Invariant::Conservation, "is succeeded by its assignment and nothing by its last")],
    );
    check(
        vec![
            Record::Outcome(Box::new(outcome(1, AttemptState::Silent))),
            moved(1, AttemptState::Succeeded),
        ],
        &[(Invariant::Conservation, "is succeeded by its assignment and silent by its last")],
    );
}
