//! Whole updates of the scripted device.

use std::time::Duration;

use model::{AttemptState, DeviceId, FaultKind, OperationId, Policy, Snapshot};

use super::Pair;
use super::release::firmware;

const OPERATION: OperationId = OperationId(1);
const ME: DeviceId = DeviceId(1);

impl Pair {
    fn start(&mut self, extra: &str) {
        self.publish(extra, Policy::threshold());
    }

    /// The image is there: the device is told to install.
    fn downloaded(&mut self) {
        self.update = (2, 0);
        self.advance(Duration::from_secs(10));
    }

    /// It boots into a version and registers.
    fn boots(&mut self, version: &'static str, result: i64) {
        self.version = version;
        self.update = (0, result);
        self.register();
    }

    fn state(&self) -> AttemptState {
        self.engine.loops().assignment(OPERATION, ME).unwrap().state.clone()
    }

    fn first(&self, request: &str) -> usize {
        self.seen.iter().position(|seen| seen == request).unwrap_or(usize::MAX)
    }
}

const GUARD: &str = r#"
    [[guard]]
    name = "level"
    path = "/3303/0/5700"
    expect = { min_percent_of_baseline = 50 }
    level = "error"
"#;

/// A guard compares the value right before the change with the one after the return.
#[test]
fn guarded_values_are_read_before_and_after_the_change() {
    for (after, expected) in
        [(Some("30"), "succeeded"), (Some("19.5"), "failed"), (None, "succeeded")]
    {
        let mut pair = Pair::new(Snapshot::default());
        pair.sensor = Some("40.7");
        pair.register();
        pair.seen.clear();
        pair.start(GUARD);
        assert!(pair.first("GET /3303/0/5700") < pair.first("PUT /5/0/1"), "{:?}", pair.seen);
        let known = pair.engine.loops().assignment(OPERATION, ME).unwrap();
        assert_eq!(known.baseline[0], Some(40));
        pair.downloaded();
        pair.sensor = after;
        pair.boots("1.1.0", 1);
        assert_eq!(pair.state().as_str(), expected, "{after:?}");
        if let AttemptState::Failed { fault } = pair.state() {
            assert_eq!(fault.kind, FaultKind::GuardViolated);
        }
    }
}

/// A value may go wrong while the device soaks, also after the last look of its own accord.
#[test]
fn guarded_values_are_read_at_the_end_of_the_soak_time() {
    for soak_s in [5, 25] {
        let mut pair = Pair::new(Snapshot::default());
        pair.sensor = Some("40");
        pair.register();
        pair.start(&format!("[confirm]\nsoak = \"{soak_s}s\"\n{GUARD}"));
        pair.downloaded();
        pair.boots("1.1.0", 1);
        assert_eq!(pair.state(), AttemptState::Soaking);
        pair.advance(Duration::from_secs(soak_s - 1));
        pair.sensor = Some("3");
        pair.advance(Duration::from_secs(1));
        assert_eq!(pair.state().as_str(), "failed", "soak of {soak_s} s");
    }
}

/// I5: a device that is only transferring when its operation ends is never told to install.
#[test]
fn an_abort_stops_a_device_that_transfers() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    pair.start("");
    assert_eq!(pair.update.0, 1, "it transfers");
    pair.engine.abort(OPERATION, "me", "bad", pair.now).unwrap();
    pair.settle();
    assert_eq!(pair.state(), AttemptState::Cancelled);
    for _ in 0..20 {
        pair.downloaded();
    }
    assert_eq!(pair.first("POST /5/0/2"), usize::MAX, "{:?}", pair.seen);
    let counts = pair.engine.loops().counts(OPERATION).unwrap();
    assert_eq!((counts.cancelled, counts.targets()), (1, 1));
}

/// I5: an attempt that may have been told to install before a crash is not told again for an
/// operation that ended since.
#[test]
fn an_ended_operation_tells_nobody_again() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    pair.start("");
    pair.downloaded();
    assert_eq!(pair.state(), AttemptState::Claimed);
    pair.engine.abort(OPERATION, "me", "bad", pair.now).unwrap();
    pair.seen.clear();
    // The order got lost: the image still waits.
    pair.update = (2, 0);
    for _ in 0..8 {
        pair.advance(Duration::from_secs(5));
    }
    assert_eq!(pair.first("POST /5/0/2"), usize::MAX, "{:?}", pair.seen);
    assert_eq!(pair.state(), AttemptState::Cancelled);
}

/// The order was heard and its answer lost: a failed installation is an error, no stall.
#[test]
fn a_failed_installation_whose_answer_was_lost_is_an_error() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    pair.start("");
    pair.update = (2, 0);
    pair.deaf_to = Some("/5/0/2");
    pair.advance(Duration::from_secs(10));
    assert_eq!(pair.state(), AttemptState::Claimed, "said when it left");
    pair.deaf_to = None;
    pair.boots("1.0.0", 8);
    let AttemptState::Failed { fault } = pair.state() else { panic!("{:?}", pair.state()) };
    assert_eq!(fault.kind, FaultKind::UpdateFailed);
}

/// A queue-mode device that falls asleep before it was asked is asked when it wakes, and its one
/// try is still its own.
#[test]
fn a_device_that_falls_asleep_at_its_grant_loses_no_try() {
    let mut pair = Pair::new(Snapshot::default());
    let location = pair.register_as("Q")[0].location_path().collect::<Vec<_>>().join("/");
    let mut policy = Policy::threshold();
    policy.retry.attempts_max = 1;
    // What it is asked gets lost, and then it does not listen any more.
    pair.now = pair.now + Duration::from_secs(90);
    pair.engine.publish(firmware(""), "test", Some(policy), None, 1, pair.now).unwrap();
    while let Some(batch) = pair.engine.poll_batch() {
        pair.engine.handle_committed(batch.id, pair.now);
    }
    for _ in 0..600 {
        pair.now = pair.now + Duration::from_secs(1);
        while pair.engine.poll_transmit().is_some() {}
        pair.engine.handle_timeout(pair.now);
        while let Some(batch) = pair.engine.poll_batch() {
            pair.engine.handle_committed(batch.id, pair.now);
        }
    }
    assert_eq!(pair.device().presence, model::Presence::Asleep);
    pair.send(coap::Request::post(&format!("/{location}")));
    assert_eq!(pair.update.0, 1, "it transfers: {:?}", pair.state());
    pair.downloaded();
    pair.version = "1.1.0";
    pair.update = (0, 1);
    pair.register_as("Q");
    assert_eq!(pair.state(), AttemptState::Succeeded);
}

/// I15: an order to publish that is sent again under its key makes nothing new.
#[test]
fn a_key_makes_a_release_and_its_operation_once() {
    let mut pair = Pair::new(Snapshot::default());
    for _ in 0..2 {
        let policy = Some(Policy::threshold());
        let key = Some("k-1");
        let published =
            pair.engine.publish(firmware(""), "test", policy, key, 1, pair.now).unwrap();
        assert_eq!(published, (model::ReleaseId(1), Some(OPERATION)));
        pair.settle();
    }
    let kept = pair.records.iter().filter(|record| {
        matches!(record, model::Record::Accepted { key, operation, .. } if key == "k-1" && *operation == OPERATION)
    });
    assert_eq!(kept.count(), 1);
    assert_eq!(pair.engine.accepted("k-1"), Some(OPERATION));
}

/// Some clients fetch their image from a port of their own: its blocks are their progress too.
#[test]
fn blocks_fetched_from_another_port_are_progress() {
    for (path, expected) in [("URI", "accepted"), ("/fw/0909090909090909", "deferred")] {
        let mut pair = Pair::new(Snapshot::default());
        pair.engine.add_image(model::Sha256([9; 32]), vec![7; 3_000].into());
        pair.register_as("Q");
        pair.start("");
        let given = pair.uri.strip_prefix("coap://127.0.0.1:5683").unwrap().to_owned();
        assert!(given.starts_with("/fw/0909090909090909/"), "{given}");
        pair.advance(Duration::from_secs(290));
        pair.from = "127.0.0.1:50000";
        let path = if path == "URI" { &given } else { path };
        let fetched = pair.send(coap::Request::get(path));
        assert_eq!(fetched[0].payload.len(), 3_000);
        pair.from = super::DEVICE;
        pair.advance(Duration::from_secs(250));
        assert_eq!(pair.state().as_str(), expected, "{path}");
    }
}

/// What a path says that no attempt gave out is nobody's progress, and the image comes anyway.
#[test]
fn any_last_part_of_an_image_path_is_served() {
    let mut pair = Pair::new(Snapshot::default());
    pair.engine.add_image(model::Sha256([9; 32]), vec![7; 3_000].into());
    pair.register();
    for token in ["1-1-1", "x", "-", "1-ffffffffffffffffff-1", "1-0-1"] {
        let path = format!("/fw/0909090909090909/{token}");
        assert_eq!(pair.send(coap::Request::get(&path))[0].payload.len(), 3_000, "{token}");
    }
}

/// I1: one change at a time on a device, an operator's own order included.
#[test]
fn an_update_waits_for_an_order_that_changes_its_device() {
    let mut pair = Pair::new(Snapshot::default());
    pair.register();
    pair.deaf_to = Some("/3/0/14");
    let path = lwm2m::Path::resource(3, 0, 14);
    let write = fleet::Ask::Write(path, lwm2m::Value::String("+01:00".to_owned()));
    pair.engine.order(ME, write.clone(), pair.now).unwrap();
    pair.start("");
    pair.advance(Duration::from_secs(5));
    assert_eq!(pair.first("PUT /5/0/1"), usize::MAX, "{:?}", pair.seen);
    let second = pair.engine.order(ME, write, pair.now);
    assert!(matches!(second, Err(crate::AskError::InOperation { .. })), "{second:?}");
    // The order is over, in vain: the device registers anew.
    pair.register();
    assert!(pair.first("PUT /5/0/1") < usize::MAX, "{:?}", pair.seen);
}

/// The same when the order is answered, and a read delays nothing.
#[test]
fn an_update_begins_when_the_order_is_answered() {
    for (ask, delays) in [
        (fleet::Ask::Read(lwm2m::Path::resource(3, 0, 4)), false),
        (fleet::Ask::Execute(lwm2m::Path::resource(3, 0, 4), String::new()), true),
    ] {
        let mut pair = Pair::new(Snapshot::default());
        pair.register();
        // The order is on its way when the operation opens.
        pair.engine.order(ME, ask, pair.now).unwrap();
        let policy = Some(Policy::threshold());
        pair.engine.publish(firmware(""), "test", policy, None, 1, pair.now).unwrap();
        while let Some(batch) = pair.engine.poll_batch() {
            pair.engine.handle_committed(batch.id, pair.now);
        }
        assert_eq!(pair.engine.operation_on(ME).is_none(), delays);
        pair.settle();
        assert_eq!(pair.update.0, 1, "it transfers: {:?}", pair.seen);
    }
}
