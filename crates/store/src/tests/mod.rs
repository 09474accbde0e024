//! Records to test with, and folders that vanish.

mod artifacts;
mod audit;
mod faulty;
mod folder;
mod sqlite;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{
    Assignment, AttemptState, Decision, Device, DeviceId, Fault, FaultKind, Grant, Intent, Look,
    Manifest, Operation, OperationId, Outcome, Record, Registration, Release, ReleaseId, Step,
    StratumLook, Time, Verdict, Version,
};
use serde_json::json;

/// A folder of this test alone, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-store-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // A leftover of an earlier process of the same number.
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const OPERATION: OperationId = OperationId(1);

pub(crate) fn device(number: u64) -> Device {
    // From JSON, so that only what matters here is said.
    serde_json::from_value(json!({
        "id": number,
        "endpoint": format!("urn:dev:{number}"),
        "manufacturer": "ACME",
        "model": "WS-200",
        "hardware": "B",
        "version": "1.0.0",
        "site": null,
        "presence": "online",
        "lifetime": { "secs": 300, "nanos": 0 },
        "first_seen": 1_000_000,
        "last_seen": 2_000_000 + number,
        "registrations": 1,
        "datamodel": {
            "battery_percent": { "value": 80, "at": 3 },
            "values": {
                "/3/0/9": { "value": 80, "at": 3 },
                "/3/0/0": { "value": "ACME", "at": 3 },
                "/3303/0/5700": { "value": 21.125, "at": 3 },
                "/3/0/13": { "value": true, "at": 3 },
            },
        },
    }))
    .unwrap()
}

pub(crate) fn release(number: u64) -> Release {
    let manifest = Manifest::from_toml(
        r#"
        manifest = 1
        [release]
        name = "ws200-firmware"
        version = "2.0.0"
        class = "major"
        [[target]]
        manufacturer = "ACME"
        model = "WS-200"
        [[artifact]]
        size = 4
        sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        file = "app.bin"
        "#,
    )
    .unwrap();
    Release {
        id: ReleaseId(number),
        manifest: Arc::new(manifest),
        published: Time::from_secs(5),
        by: "a developer".to_owned(),
    }
}

pub(crate) fn operation(state: &str, last_decision: u64) -> Operation {
    serde_json::from_value(json!({
        "id": OPERATION.0,
        "release": 1,
        "origin": { "kind": "release" },
        "scope": { "kind": "fleet" },
        "policy": {},
        "seed": u64::MAX,
        "opened": 6_000_000,
        "state": state,
        "phase": "test",
        "last_decision": last_decision,
        "speed": 2,
        "favourable": 0,
        "before": null,
        "element": 1,
        "not_before": null,
        "last_progress": 7_000_000,
        "ended": null,
        "agreement": null,
    }))
    .unwrap()
}

pub(crate) fn assignment(device: u64, state: AttemptState) -> Assignment {
    Assignment {
        operation: OPERATION,
        device: DeviceId(device),
        element: 1,
        attempt: 1,
        state,
        path: vec![ReleaseId(1)],
        version_before: Some(Version::new("1.0.0")),
        hops: 0,
        given_back: 0,
        baseline: vec![Some(7), None],
        warnings: 0,
        since: Time::from_secs(8),
        told: None,
        begun: None,
    }
}

pub(crate) fn grant(element: u64, devices: &[u64]) -> Grant {
    let devices = devices.iter().copied().map(DeviceId).collect();
    Grant { operation: OPERATION, element, devices, at: Time::from_secs(8) }
}

pub(crate) fn intent(device: u64, step: Step) -> Intent {
    Intent {
        operation: OPERATION,
        device: DeviceId(device),
        attempt: 1,
        release: ReleaseId(1),
        step,
        at: Time::from_secs(9),
    }
}

pub(crate) fn outcome(device: u64, state: AttemptState) -> Outcome {
    Outcome {
        operation: OPERATION,
        device: DeviceId(device),
        attempt: 1,
        release: ReleaseId(1),
        state,
        version_before: Some(Version::new("1.0.0")),
        version_after: None,
        at: Time::from_secs(10),
    }
}

pub(crate) fn decision(seq: u64, verdict: Verdict) -> Decision {
    Decision {
        operation: OPERATION,
        seq,
        at: Time::from_secs(8),
        verdict,
        reason: model::Reason::Operator { by: "me".to_owned(), words: "because".to_owned() },
        inputs: None,
        judged: None,
        code_version: "0.1.0".to_owned(),
    }
}

pub(crate) fn look(number: u64) -> Look {
    let stratum = StratumLook { targets: 10, updated: number, ..StratumLook::default() };
    Look {
        operation: OPERATION,
        number,
        at: Time::from_secs(8 + number),
        strata: vec![stratum],
        left: vec![DeviceId(2)],
    }
}

pub(crate) fn registration(device: u64) -> Registration {
    Registration {
        device: DeviceId(device),
        driver: "lwm2m".to_owned(),
        address: format!("127.0.0.1:{}", 5_000 + device),
        location: format!("/rd/{device}"),
        details: "{}".to_owned(),
        at: Time::from_secs(4),
    }
}

pub(crate) fn fault() -> Fault {
    Fault { kind: FaultKind::UpdateFailed, detail: "result 8".to_owned() }
}

pub(crate) fn signal(device: u64) -> model::Signal {
    model::Signal {
        operation: OPERATION,
        device: DeviceId(device),
        stratum: model::StratumName { hardware: "B".to_owned(), ..Default::default() },
        arm: model::Arm::Control,
        window: 0,
        at: Time::from_secs(9),
    }
}

/// Three devices, a release and an operation with two of them granted, one sent.
pub(crate) fn running() -> Vec<Record> {
    let mut records: Vec<Record> =
        (1..=3).map(|number| Record::Device(Box::new(device(number)))).collect();
    records.extend([
        Record::Registration(registration(1)),
        Record::Release(release(1)),
        Record::Operation(Box::new(operation("ongoing", 1))),
        Record::Accepted { key: "k".to_owned(), operation: OPERATION, at: Time::from_secs(6) },
        Record::Decision(Box::new(decision(1, Verdict::Start { speed: 2 }))),
        Record::Grant(grant(1, &[1, 2])),
        Record::Look(Box::new(look(1))),
        Record::Look(Box::new(look(2))),
        Record::Signal(Box::new(signal(3))),
        // The same device again changes nothing.
        Record::Signal(Box::new(model::Signal { at: Time::from_secs(10), ..signal(3) })),
        Record::Intent(intent(1, Step::Transfer)),
        Record::Assignment(Box::new(assignment(1, AttemptState::Sent))),
        Record::Assignment(Box::new(assignment(2, AttemptState::Granted))),
    ]);
    records
}
