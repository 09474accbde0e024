//! Planned faults, and recovery from each.

use model::{AttemptState, Record, Snapshot};

use super::*;
use crate::{Faulty, Injection, Knowledge, SqliteStore, StoreError};

/// Breaks the second commit and says how many devices are there afterwards.
fn check(injection: Injection, error: StoreError, crashed: bool, devices: usize) {
    let mut store = Faulty::new(SqliteStore::in_memory().unwrap());
    store.plan(2, injection);
    store.commit(&running()).unwrap();
    let batch = [Record::Device(Box::new(device(4)))];
    assert_eq!(store.commit(&batch), Err(error));
    assert_eq!(store.is_crashed(), crashed);
    if crashed {
        assert_eq!(store.load(), Err(StoreError::Crashed));
        assert_eq!(store.commit(&batch), Err(StoreError::Crashed));
    }
    store.restart();
    assert_eq!(store.load().unwrap().devices.len(), devices);
    store.commit(&batch).unwrap();
    assert_eq!(store.commits(), 3);
    assert_eq!(store.load().unwrap().devices.len(), 4);
}

#[test]
fn a_planned_fault_happens_once() {
    let full = StoreError::DiskFull { path: "full".into() };
    check(Injection::Fail(full.clone()), full, false, 3);
    check(Injection::CrashBefore, StoreError::Crashed, true, 3);
    check(Injection::CrashAfter, StoreError::Crashed, true, 4);
}

/// A crash at every commit of a small history, before and after it took effect: what is loaded
/// is always what the history was after a whole number of batches.
#[test]
fn a_crash_leaves_whole_batches() {
    let succeeded = |number| {
        [
            Record::Outcome(Box::new(outcome(number, AttemptState::Succeeded))),
            Record::Assignment(Box::new(assignment(number, AttemptState::Succeeded))),
        ]
    };
    let batches: Vec<Vec<Record>> = vec![running(), succeeded(1).to_vec(), succeeded(2).to_vec()];
    let states: Vec<Snapshot> = (0..=batches.len())
        .map(|count| {
            let mut store = SqliteStore::in_memory().unwrap();
            batches[..count].iter().for_each(|batch| store.commit(batch).unwrap());
            store.load().unwrap()
        })
        .collect();
    for at in 0..batches.len() {
        for (injection, kept) in [(Injection::CrashBefore, at), (Injection::CrashAfter, at + 1)] {
            let mut store = Faulty::new(SqliteStore::in_memory().unwrap());
            store.plan(at as u64 + 1, injection.clone());
            let acknowledged =
                batches.iter().take_while(|batch| store.commit(batch).is_ok()).count();
            assert_eq!(acknowledged, at);
            let mut inner = store.into_inner();
            assert_eq!(inner.load().unwrap(), states[kept], "{injection:?} at {at}");
            assert_eq!(inner.audit().unwrap(), []);
        }
    }
}
