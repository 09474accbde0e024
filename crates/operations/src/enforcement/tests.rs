//! The six steps and the assessment, case by case. Reference: paper A §III-C.

use std::time::Duration;

use model::{
    Assignment, AttemptState, Criticality, Device, DeviceId, Fault, FaultKind, Manifest,
    OperationId, OperationState, ReleaseId, ReportedRates, Retry, Scalar, Span, Time, Version,
};

use super::{
    After, Assessment, Attempt, Demand, Histogram, Ledger, Reading, aggregate, assess, change,
    execute, extract, filter, guards, queue, reorder, retry,
};
use crate::tests::{device, firmware, observed};

fn assignment(id: u64, element: u64, state: AttemptState) -> Assignment {
    Assignment {
        operation: OperationId(1),
        device: DeviceId(id),
        element,
        attempt: 1,
        hops: 0,
        given_back: 0,
        state,
        path: vec![ReleaseId(1)],
        version_before: Some(Version::new("1.0.0")),
        baseline: Vec::new(),
        warnings: 0,
        since: Time::from_secs(100),
        told: None,
        begun: None,
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault { kind, detail: String::new() }
}

#[test]
fn filtering_follows_the_retry_policy() {
    let policy = Retry { attempts_max: 4, backoff: Span::secs(60), backoff_max: Span::secs(200) };
    let now = Time::from_secs(1_000);
    let decide =
        |kind, state, tries| match retry(&After { retry: &policy, state, tries }, fault(kind), now)
        {
            AttemptState::Deferred { until, .. } => format!("in {} s", until.since(now).as_secs()),
            state => state.as_str().to_owned(),
        };
    let ongoing = OperationState::Ongoing;
    for (kind, state, tries, expected) in [
        (FaultKind::ConnectionLost, ongoing, 1, "in 60 s"),
        (FaultKind::ConnectionLost, ongoing, 2, "in 120 s"),
        (FaultKind::ConnectionLost, ongoing, 3, "in 200 s"),
        (FaultKind::ConnectionLost, ongoing, 4, "failed"),
        (FaultKind::ConnectionLost, OperationState::Aborted, 1, "failed"),
        (FaultKind::UpdateFailed, ongoing, 1, "failed"),
        (FaultKind::Integrity, ongoing, 1, "failed"),
    ] {
        assert_eq!(decide(kind, state, tries), expected, "{kind:?} after {tries}");
    }
    assert!(filter(ongoing, 4, &policy));
    assert!(!filter(ongoing, 5, &policy));
    assert!(!filter(OperationState::Paused, 1, &policy));
    assert!(!filter(OperationState::Aborted, 1, &policy));
}

#[test]
fn reordering_puts_critical_first() {
    // Reference: paper A §III-C, Critical, Major, Minor, Hotfix.
    let mut elements = vec![
        (OperationId(1), Criticality::Hotfix, 30),
        (OperationId(2), Criticality::Minor, 20),
        (OperationId(3), Criticality::Minor, -1),
        (OperationId(4), Criticality::Major, 10),
        (OperationId(5), Criticality::Critical, -10),
    ];
    reorder(&mut elements);
    let ids: Vec<u64> = elements.iter().map(|(id, _, _)| id.0).collect();
    assert_eq!(ids, [5, 4, 3, 2, 1]);
}

#[test]
fn queuing_never_exceeds_the_capacity() {
    let demand = |id, queued, running, parallel_max| Demand {
        operation: OperationId(id),
        queued,
        running,
        parallel_max,
    };
    let check = |demands: &[Demand], others, parallel_max, expected: &[(u64, u64)]| {
        let got: Vec<(u64, u64)> = queue(demands, others, parallel_max)
            .iter()
            .map(|admission| (admission.now, admission.later))
            .collect();
        assert_eq!(got, expected);
    };
    check(&[demand(1, 5, 0, 100)], 0, 100, &[(5, 0)]);
    check(&[demand(1, 5, 0, 3)], 0, 100, &[(3, 2)]);
    check(&[demand(1, 5, 2, 100), demand(2, 9, 1, 100)], 0, 10, &[(5, 0), (2, 7)]);
    check(&[demand(1, 5, 0, 100)], 8, 10, &[(2, 3)]);
    check(&[demand(1, 5, 20, 100)], 0, 10, &[(0, 5)]);
}

#[test]
fn execution_resumes_what_may_have_been_sent() {
    let manifest = firmware("sensor", "2.0.0", "");
    let change = std::sync::Arc::new(change(&manifest));
    let order = |attempt, hops, sent| {
        let mut assignment = assignment(1, 1, AttemptState::Granted);
        assignment.attempt = attempt;
        assignment.hops = hops;
        let change = std::sync::Arc::clone(&change);
        execute(&assignment, ReleaseId(1), change, guards(&manifest), sent).resume
    };
    assert!(!order(1, 0, false));
    assert!(order(1, 0, true));
    assert!(order(2, 0, false));
    assert!(!order(2, 1, false));
}

#[test]
fn aggregation_divides_by_the_devices_attempted() {
    // I8: silence is an error, and the denominator is who was attempted.
    let mut ledger = Ledger::default();
    let failed = |kind| AttemptState::Failed { fault: fault(kind) };
    let deferred =
        AttemptState::Deferred { until: Time::MAX, fault: fault(FaultKind::ConnectionLost) };
    let states = [
        AttemptState::Succeeded,
        AttemptState::Succeeded,
        AttemptState::Silent,
        failed(FaultKind::UpdateFailed),
        deferred,
        AttemptState::Cancelled,
    ];
    for (id, state) in (1..).zip(states) {
        let mut assignment = assignment(id, 2, state);
        assignment.warnings = u32::from(id == 1);
        ledger.add(&assignment);
    }
    for id in 10..13 {
        ledger.add(&assignment(id, 1, AttemptState::Succeeded));
    }
    let tracking = aggregate(&ledger, Some(2), 8, Some(7));
    assert_eq!(tracking.after, Some(ReportedRates::new(5, 2, 1, Some(7))));
    assert_eq!(tracking.window, Some(ReportedRates::new(8, 2, 1, Some(7))));
    let newest_only = aggregate(&ledger, Some(2), 5, None);
    assert_eq!(newest_only.window, Some(ReportedRates::new(5, 2, 1, None)));
    assert!(!tracking.artifact_fault);
    // One more in flight: no end of the element, and it may still turn out well.
    ledger.add(&assignment(20, 2, AttemptState::Sent));
    ledger.add(&assignment(21, 1, failed(FaultKind::Integrity)));
    let tracking = aggregate(&ledger, Some(2), 5, None);
    assert_eq!(tracking.after, None);
    assert_eq!(tracking.window, Some(ReportedRates::new(6, 2, 1, None)));
    assert!(tracking.artifact_fault);
    // Devices that were all deferred are no evidence.
    let mut empty = Ledger::default();
    let state = AttemptState::Deferred { until: Time::MAX, fault: fault(FaultKind::NoAnswer) };
    let waits = assignment(1, 1, state);
    empty.add(&waits);
    let tracking = aggregate(&empty, Some(1), 5, None);
    assert_eq!(tracking.after, Some(ReportedRates::new(0, 0, 0, None)));
    assert_eq!(tracking.window, None);
    empty.subtract(&waits);
    assert_eq!(empty, Ledger::default(), "equal to a recount of nothing");
}

#[test]
fn the_median_is_close_and_cheap() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.median_us(), None);
    for us in [10, 20, 1_000_000] {
        histogram.add(Duration::from_micros(us));
    }
    assert_eq!(histogram.median_us(), Some(20));
    let mut wide = Histogram::default();
    (1..=10_001).for_each(|n| wide.add(Duration::from_micros(n * 37)));
    let median = wide.median_us().unwrap();
    let exact = 5_001 * 37;
    assert!(median <= exact && median >= exact - exact / 32, "{median} for {exact}");
    wide.add(Duration::MAX);
}

const GUARDED: &str = r#"
[confirm]
within = "60s"
soak = "10s"
[[guard]]
name = "cpu load"
path = "/3/0/100"
expect = { max_percent_of_baseline = 150 }
[[guard]]
name = "bitrate"
path = "/3/0/101"
level = "error"
expect = { min = 100 }
"#;

/// Assesses a device that ran 1.0.0, was to run 2.0.0, and reports `version`.
fn judged(
    state: AttemptState,
    version: Option<&str>,
    claims_success: Option<bool>,
    probed: bool,
    change: impl FnOnce(&mut Device, &mut Assignment),
) -> String {
    let manifest = firmware("sensor", "2.0.0", GUARDED);
    let mut assignment = assignment(1, 1, state);
    assignment.baseline = vec![Some(40), Some(500), Some(0), Some(1)];
    let mut device = device(1, "2.0.0");
    change(&mut device, &mut assignment);
    let attempt =
        Attempt { assignment: &assignment, manifest: &manifest, probed, registrations_max: 3 };
    let version = version.map(Version::new);
    let is_old = version.as_ref() == assignment.version_before.as_ref();
    let reading = Reading { version: version.as_ref(), is_old, claims_success };
    match assess(&attempt, &device, &reading, Time::from_secs(110)) {
        Assessment::Waiting => "waiting".to_owned(),
        Assessment::Soaking { until } => format!("soaking until {}", until.as_micros() / 1_000_000),
        Assessment::Succeeded => "succeeded".to_owned(),
        Assessment::Warned { signs } => format!("warned: {}", signs.join(", ")),
        Assessment::Failed(fault) => fault.to_string(),
    }
}

#[test]
fn the_version_after_the_change_decides() {
    use AttemptState::{Claimed, Sent, Soaking, Transferred, Verifying};
    let check = |state, version, claims, probed, expected: &str| {
        assert_eq!(judged(state, version, claims, probed, |_, _| {}), expected);
    };
    check(Verifying, Some("2.0.0"), Some(true), false, "soaking until 120");
    check(Sent, Some("2.0.0"), None, false, "soaking until 120");
    check(Soaking, Some("2.0.0"), None, false, "succeeded");
    // I9: a claim without a version proves nothing.
    check(Verifying, None, Some(true), false, "waiting");
    check(Transferred, Some("1.0.0"), None, false, "waiting");
    check(Claimed, Some("1.0.0"), None, false, "waiting");
    check(Claimed, Some("1.0.0"), None, true, "installation failed (still runs 1.0.0)");
    check(Verifying, Some("1.0.0"), None, false, "installation failed (still runs 1.0.0)");
    check(Claimed, Some("1.0.0"), Some(false), false, "installation failed (still runs 1.0.0)");
    check(
        Verifying,
        Some("1.0.0"),
        Some(true),
        false,
        "wrong version (claims success and still runs 1.0.0)",
    );
    check(Verifying, Some("0.7"), None, false, "wrong version (runs 0.7 instead of 2.0.0)");
    check(
        Soaking,
        Some("1.0.0"),
        None,
        false,
        "wrong version (went from 2.0.0 to 1.0.0 while soaking)",
    );
}

#[test]
fn guards_compare_a_device_with_itself() {
    let at = Time::from_secs(105);
    let check = |expected: &str, change: fn(&mut Device, Time)| {
        let found = judged(AttemptState::Soaking, Some("2.0.0"), None, false, |device, _| {
            change(device, at);
        });
        assert_eq!(found, expected);
    };
    fn set(device: &mut Device, path: &str, value: i64, at: Time) {
        let path = path.to_owned().try_into().unwrap();
        let value = observed(Scalar::Integer(value), at).unwrap();
        device.datamodel.values.insert(path, value);
    }
    check("succeeded", |_, _| {});
    check("succeeded", |device, at| set(device, "/3/0/100", 60, at));
    check("warned: cpu load is 61, above 60", |device, at| set(device, "/3/0/100", 61, at));
    check("guard violated (bitrate is 99, below 100)", |device, at| {
        set(device, "/3/0/101", 99, at);
    });
    // A value from before the change says nothing about it.
    check("succeeded", |device, _| set(device, "/3/0/101", 1, Time::from_secs(99)));
    check("warned: reports error code 5", |device, at| {
        device.datamodel.error_code = observed(5, at);
    });
    check("succeeded", |device, _| device.registrations = 4);
    check("warned: registered 4 times during the update", |device, _| device.registrations = 5);
}

#[test]
fn extraction_takes_the_guards_and_two_signs() {
    let manifest: Manifest = firmware("sensor", "2.0.0", GUARDED);
    let mut device = device(1, "1.0.0");
    let path = "/3/0/101".to_owned().try_into().unwrap();
    let seen = observed(Scalar::Float(7.9), Time::ZERO).unwrap();
    device.datamodel.values.insert(path, seen);
    assert_eq!(extract(&manifest, &device), [None, Some(7), None, Some(1)]);
}
