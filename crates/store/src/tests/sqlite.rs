//! Round trips, atomicity, pages and the second connection.

use std::sync::Arc;

use model::{
    AttemptState, Datamodel, Decision, DeviceId, Observed, Record, Scalar, Snapshot, Step, Time,
    Verdict,
};
use proptest::prelude::*;

use super::*;
use crate::{
    Archive, DataDir, HistoryEntry, Knowledge, Options, PageRequest, Selection, SqliteStore,
    StoreError,
};

#[test]
fn every_record_comes_back() {
    let mut store = SqliteStore::in_memory().unwrap();
    assert_eq!(store.load().unwrap(), Snapshot::default());
    store.commit(&running()).unwrap();
    let expected = Snapshot {
        devices: (1..=3).map(device).collect(),
        registrations: vec![registration(1)],
        releases: vec![release(1)],
        operations: vec![operation("ongoing", 1)],
        assignments: vec![assignment(1, AttemptState::Sent), assignment(2, AttemptState::Granted)],
        intents: vec![intent(1, Step::Transfer)],
        looks: vec![look(1), look(2)],
        signals: vec![signal(3)],
        accepted: vec![("k".to_owned(), OPERATION)],
    };
    assert_eq!(store.load().unwrap(), expected);
    assert_eq!(
        store.decisions(OPERATION, PageRequest::oldest(9)).unwrap().items,
        [decision(1, Verdict::Start { speed: 2 })]
    );
    assert_eq!(store.grants(OPERATION, PageRequest::oldest(9)).unwrap().items, [grant(1, &[1, 2])]);
    assert_eq!(store.looks(OPERATION, PageRequest::newest(1)).unwrap().items, [look(2)]);
}

#[test]
fn later_records_replace_earlier_ones() {
    let mut store = SqliteStore::in_memory().unwrap();
    store.commit(&running()).unwrap();
    let mut moved = device(1);
    moved.presence = model::Presence::Asleep;
    let failed = AttemptState::Failed { fault: fault() };
    store
        .commit(&[
            Record::Device(Box::new(moved.clone())),
            Record::Deregistration { device: DeviceId(1) },
            Record::Assignment(Box::new(assignment(1, failed.clone()))),
            Record::Outcome(Box::new(outcome(1, failed.clone()))),
        ])
        .unwrap();
    let snapshot = store.load().unwrap();
    assert_eq!(snapshot.devices[0], moved);
    assert!(snapshot.registrations.is_empty());
    assert_eq!(snapshot.assignments[0], assignment(1, failed.clone()));
    assert!(snapshot.intents.is_empty(), "its attempt is settled");
    let outcomes = store.outcomes(Selection::Operation(OPERATION), PageRequest::oldest(9)).unwrap();
    assert_eq!(outcomes.items, [outcome(1, failed)]);
}

#[test]
fn every_kind_of_outcome_comes_back() {
    let mut store = SqliteStore::in_memory().unwrap();
    store.commit(&running()).unwrap();
    let states = [
        AttemptState::Succeeded,
        AttemptState::Failed { fault: fault() },
        AttemptState::Silent,
        AttemptState::Deferred { until: Time::MAX, fault: fault() },
        AttemptState::Cancelled,
    ];
    for state in states {
        store.commit(&[Record::Outcome(Box::new(outcome(2, state.clone())))]).unwrap();
        let page = store
            .outcomes(Selection::Both(OPERATION, DeviceId(2)), PageRequest::newest(1))
            .unwrap();
        assert_eq!(page.items, [outcome(2, state)]);
    }
}

/// Commits `refused` beside an innocent record and expects that neither is kept.
fn check_refused(refused: Record, says: &str) {
    let mut store = SqliteStore::in_memory().unwrap();
    store.commit(&running()).unwrap();
    let before = store.load().unwrap();
    let innocent = Record::Device(Box::new(device(9)));
    let error = store.commit(&[innocent.clone(), refused, innocent]).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(store.load().unwrap(), before);
    // The store goes on after it.
    store.commit(&[Record::Intent(intent(2, Step::Transfer))]).unwrap();
}

#[test]
fn a_contradiction_refuses_the_whole_batch() {
    // I3: two loops that propose the same decision cannot both commit.
    check_refused(
        Record::Decision(Box::new(decision(1, Verdict::Abort))),
        "decision 1 of op-1: UNIQUE",
    );
    check_refused(Record::Grant(grant(1, &[3])), "element 1 of op-1: UNIQUE");
    check_refused(Record::Release(release(1)), "rel-1: UNIQUE");
    let key = "k".to_owned();
    check_refused(
        Record::Accepted { key, operation: OPERATION, at: Time::ZERO },
        "key `k`: UNIQUE",
    );
    let mut twin = device(4);
    twin.endpoint = device(1).endpoint;
    check_refused(Record::Device(Box::new(twin)), "dev-4 (urn:dev:1): UNIQUE");
    check_refused(Record::Registration(registration(77)), "names a device");
    check_refused(Record::Intent(intent(77, Step::Install)), "names a device");
    let mut far = device(4);
    far.id = DeviceId(u64::MAX);
    check_refused(Record::Device(Box::new(far)), "larger than 2^63 - 1");
    let mut unwritable = release(2);
    let mut manifest = (*unwritable.manifest).clone();
    manifest.write = serde_json::from_str(r#"[{ "path": "/1/0/1", "value": 1 }]"#).unwrap();
    manifest.write[0].value = Scalar::Float(f64::INFINITY);
    unwritable.manifest = Arc::new(manifest);
    check_refused(Record::Release(unwritable), "not a finite number");
}

#[test]
fn records_of_a_batch_may_refer_to_later_ones() {
    let mut store = SqliteStore::in_memory().unwrap();
    let mut records = running();
    records.reverse();
    store.commit(&records).unwrap();
    assert_eq!(store.load().unwrap().assignments.len(), 2);
}

/// I18: no value of a device may keep the server from starting.
#[test]
fn values_without_a_form_are_forgotten() {
    let mut store = SqliteStore::in_memory().unwrap();
    for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut device = device(1);
        let path = device.datamodel.values.keys().next().unwrap().clone();
        let observed = Observed { value: Scalar::Float(hostile), at: Time::ZERO };
        device.datamodel.values.insert(path.clone(), observed);
        store.commit(&[Record::Device(Box::new(device.clone()))]).unwrap();
        device.datamodel.values.remove(&path);
        assert_eq!(store.load().unwrap().devices, [device]);
    }
}

#[test]
fn pages_join_to_the_whole() {
    let mut store = SqliteStore::in_memory().unwrap();
    store.commit(&running()).unwrap();
    let more: Vec<Record> = (2..=25)
        .map(|seq| Record::Decision(Box::new(decision(seq, Verdict::Pause))))
        .chain((0..10).map(|_| Record::Intent(intent(2, Step::Transfer))))
        .chain((0..7).map(|_| Record::Outcome(Box::new(outcome(2, AttemptState::Silent)))))
        .collect();
    store.commit(&more).unwrap();
    for limit in [0, 1, 7, 24, 25, 26, u32::MAX] {
        for newest in [false, true] {
            let first =
                if newest { PageRequest::newest(limit) } else { PageRequest::oldest(limit) };
            let mut seqs: Vec<u64> = all(|page| store.decisions(OPERATION, page).unwrap(), first)
                .iter()
                .map(|decision: &Decision| decision.seq)
                .collect();
            if newest {
                seqs.reverse();
            }
            assert_eq!(seqs, (1..=25).collect::<Vec<u64>>(), "{limit} {newest}");
            let history = all(|page| store.device_history(DeviceId(2), page).unwrap(), first);
            let is_intent = |entry: &HistoryEntry| matches!(entry, HistoryEntry::Intent(_));
            assert_eq!(history.len(), 17, "{limit} {newest}");
            let first_half = if newest { &history[7..] } else { &history[..10] };
            assert!(first_half.iter().all(is_intent), "{limit} {newest}");
        }
    }
    let mut intents =
        |of| all(|page| store.intents(of, page).unwrap(), PageRequest::oldest(4)).len();
    assert_eq!(intents(Selection::Operation(OPERATION)), 11);
    assert_eq!(intents(Selection::Device(DeviceId(2))), 10);
    assert_eq!(intents(Selection::Both(OPERATION, DeviceId(1))), 1);
    assert_eq!(intents(Selection::Both(OPERATION, DeviceId(3))), 0);
}

/// Follows the cursors to the end.
fn all<T>(mut ask: impl FnMut(PageRequest) -> crate::Page<T>, first: PageRequest) -> Vec<T> {
    let (mut found, mut request) = (Vec::new(), first);
    loop {
        let page = ask(request);
        found.extend(page.items);
        let Some(next) = page.next else { return found };
        request = request.after(next);
    }
}

#[test]
fn knowledge_survives_a_restart_and_positions_go_on() {
    let folder = Folder::new();
    let open = || DataDir::open(folder.path()).unwrap().store(&Options::default()).unwrap();
    let before = {
        let mut store = open();
        store.commit(&running()).unwrap();
        store.load().unwrap()
    };
    let mut store = open();
    assert_eq!(store.load().unwrap(), before);
    store.commit(&[Record::Intent(intent(2, Step::Install))]).unwrap();
    let history = store.intents(Selection::Operation(OPERATION), PageRequest::newest(1)).unwrap();
    assert_eq!(history.items, [intent(2, Step::Install)]);
}

#[test]
fn a_reader_sees_commits_and_cannot_write() {
    let folder = Folder::new();
    let dir = DataDir::open(folder.path()).unwrap();
    let mut store = dir.store(&Options::default()).unwrap();
    let mut reader = store.reader().unwrap();
    assert!(reader.grants(OPERATION, PageRequest::oldest(9)).unwrap().items.is_empty());
    store.commit(&running()).unwrap();
    // From another thread, as the server does it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let grants = reader.grants(OPERATION, PageRequest::oldest(9)).unwrap();
            assert_eq!(grants.items, [grant(1, &[1, 2])]);
        });
    });
    assert_eq!(SqliteStore::in_memory().unwrap().reader().unwrap_err(), StoreError::InMemory);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let folder = Folder::new();
    let dir = DataDir::open(folder.path()).unwrap();
    let options = Options { bytes_max: Some(400 << 10), ..Options::default() };
    let mut store = dir.store(&options).unwrap();
    store.commit(&running()).unwrap();
    let mut kept = 3;
    let error = loop {
        let batch: Vec<Record> =
            (kept + 1..=kept + 50).map(|number| Record::Device(Box::new(device(number)))).collect();
        match store.commit(&batch) {
            Ok(()) => kept += 50,
            Err(error) => break error,
        }
        assert!(kept < 10_000, "the limit was not met");
    };
    assert_eq!(error, StoreError::DiskFull { path: store.path().to_owned() });
    // Nothing of the refused batch was kept, reads go on, and so do small writes.
    assert_eq!(store.load().unwrap().devices.len() as u64, kept);
    store.commit(&[Record::Deregistration { device: DeviceId(1) }]).unwrap();
    drop(store);
    let mut store = dir.store(&Options::default()).unwrap();
    assert_eq!(store.load().unwrap().devices.len() as u64, kept);
    store.commit(&[Record::Device(Box::new(device(kept + 1)))]).unwrap();
    assert_eq!(store.audit().unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any device comes back to the last bit.
    #[test]
    fn any_device_comes_back(
        endpoint in "[^\\p{Cc}]{1,60}",
        text in ".*",
        float in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL,
        integer in any::<i64>(),
        last_seen in any::<u64>(),
    ) {
        let mut device = device(1);
        device.endpoint = model::EndpointName::new(&endpoint).unwrap();
        device.last_seen = Time::from_micros(last_seen);
        device.datamodel = Datamodel::default();
        let scalars = [Scalar::Float(float), Scalar::Integer(integer), Scalar::Text(text.as_str().into())];
        for (number, value) in scalars.into_iter().enumerate() {
            let path = format!("/3303/{number}/5700").try_into().unwrap();
            device.datamodel.values.insert(path, Observed { value, at: Time::from_micros(last_seen) });
        }
        let mut store = SqliteStore::in_memory().unwrap();
        store.commit(&[Record::Device(Box::new(device.clone()))]).unwrap();
        prop_assert_eq!(store.load().unwrap().devices, vec![device]);
    }
}
