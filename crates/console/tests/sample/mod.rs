//! Views with plausible numbers, for snapshots and for looking at pages.

#![expect(clippy::unwrap_used, reason = "the sample's numbers are known to fit")]

mod evidence;

use api::{
    AssignmentView, AttemptState, ChartView, CheckOutcome, CheckView, Compliance, ComplianceCounts,
    Count, CountsView, DecisionView, DeviceDetail, DeviceRef, DeviceSummary, ElementPoint,
    FaultView, FleetSummary, HistoryEntry, HistoryKind, ObjectView, OperationDetail, OperationRef,
    OperationState, OperationSummary, Page, Phase, Presence, PresenceCounts, ReasonCount,
    RegistrationView, ReleaseDetail, ReleaseRef, Share, StateCount, Timestamp, Value, ValueView,
    VersionCount, WhyReport, WhyVerdict,
};

pub(crate) use evidence::under_evidence;

/// A text that would do harm if a page forgot to escape it.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

pub(crate) fn at(second: u64) -> Timestamp {
    model::Time::from_secs(1_795_338_000 + second).into()
}

fn share(points: u32) -> Share {
    model::Rate::basis_points(points).into()
}

pub(crate) fn operation_ref() -> OperationRef {
    model::OperationId(1).into()
}

fn device_ref(id: u64, endpoint: &str) -> DeviceRef {
    DeviceRef { id, name: format!("dev-{id}"), endpoint: endpoint.to_owned() }
}

fn release_ref() -> ReleaseRef {
    ReleaseRef {
        id: 2,
        name: "rel-2".to_owned(),
        release: "ws200-firmware".to_owned(),
        version: "1.1.0".to_owned(),
    }
}

pub(crate) fn counts() -> CountsView {
    CountsView {
        succeeded: 62,
        failed: 1,
        in_flight: 18,
        waiting: 62,
        cancelled: 0,
        eligible: 51,
        excluded: 7,
        targets: 143,
    }
}

pub(crate) fn operation_summary() -> OperationSummary {
    OperationSummary {
        id: 1,
        name: "op-1".to_owned(),
        release: release_ref(),
        class: "major".to_owned(),
        security: false,
        origin: "release published".to_owned(),
        picked: None,
        state: OperationState::Ongoing,
        phase: Phase::Generalization,
        speed: Some(18),
        undoes: None,
        undone_by: None,
        element: Some(9),
        counts: counts(),
        progress: share(4_405),
        opened: at(0),
        ended: None,
        last_decision: decisions()[0].sentence.clone(),
        last_reason: "speed.improved".to_owned(),
        frozen_by: None,
    }
}

/// A decision made by the same code that makes real ones.
fn decision(seq: u64, verdict: model::Verdict, reason: model::Reason, speed: u32) -> DecisionView {
    let rates = |failed, us| model::ReportedRates::new(12, failed, 1, Some(us));
    let inputs = model::Inputs {
        counts: model::Counts {
            succeeded: seq * 7,
            failed: 1,
            waiting: 142 - seq * 7,
            ..model::Counts::default()
        },
        phase: if seq < 3 { model::Phase::Test } else { model::Phase::Cautious },
        speed,
        favourable: 3,
        before: Some(rates(0, 41_200)),
        after: Some(rates(1, 63_900)),
        window: Some(rates(1, 52_000)),
        artifact_fault: false,
        policy: model::Policy::threshold(),
        standing: None,
        evidence: None,
    };
    let operator = matches!(reason, model::Reason::Operator { .. });
    DecisionView::from(&model::Decision {
        operation: model::OperationId(1),
        seq,
        at: model::Time::from_secs(1_795_338_000 + seq * 11),
        verdict,
        reason,
        inputs: (!operator).then_some(inputs),
        judged: None,
        code_version: "0.1.0".to_owned(),
    })
}

pub(crate) fn decisions() -> Vec<DecisionView> {
    let go = |phase, speed| model::Verdict::Continue { phase, speed, favourable: 4 };
    let response =
        |before, after| model::Variation { measure: model::Measure::ResponseTime, before, after };
    let operator =
        |words: &str| model::Reason::Operator { by: "anna".to_owned(), words: words.to_owned() };
    vec![
        decision(
            9,
            go(model::Phase::Generalization, 18),
            model::Reason::Improved { by: vec![response(63_900, 42_300)] },
            14,
        ),
        decision(
            8,
            go(model::Phase::Generalization, 14),
            model::Reason::Worsened { by: vec![response(41_200, 63_900)] },
            16,
        ),
        decision(7, go(model::Phase::Generalization, 16), model::Reason::Healthy, 8),
        decision(6, model::Verdict::Resume, operator(""), 8),
        decision(5, model::Verdict::Pause, operator(HOSTILE), 8),
        decision(4, go(model::Phase::Cautious, 8), model::Reason::Healthy, 4),
        decision(3, go(model::Phase::Cautious, 4), model::Reason::Steady, 4),
        decision(2, go(model::Phase::Cautious, 4), model::Reason::Healthy, 1),
        decision(
            1,
            model::Verdict::Start { speed: 1 },
            model::Reason::Targets { eligible: 136 },
            0,
        ),
    ]
}

pub(crate) fn operation() -> OperationDetail {
    let sizes = [1, 4, 4, 8, 8, 16, 14, 18];
    let mut done = 0_u64;
    let decisions = decisions();
    let points = sizes
        .into_iter()
        .zip(1..)
        .map(|(devices, element)| {
            let basis = u32::try_from(done * 10_000 / 143).unwrap();
            done += devices;
            ElementPoint {
                element,
                progress_percent: share(basis).percent,
                devices,
                phase: match basis {
                    0..100 => Phase::Test,
                    100..1_000 => Phase::Cautious,
                    _ => Phase::Generalization,
                },
                at: at(element * 11),
                decision: Some(element),
                verdict: "continue".to_owned(),
                sentence: decisions[usize::try_from(9 - element).unwrap()].sentence.clone(),
            }
        })
        .collect();
    OperationDetail {
        summary: operation_summary(),
        favourable: 4,
        rates: decisions[0].inputs.as_ref().unwrap().after.clone(),
        tolerated_errors: share(500),
        tolerated_warnings: share(2_000),
        exclusions: vec![
            ReasonCount::new("offline.waiting", true, 9),
            ReasonCount::new("already_current", false, 5),
            ReasonCount::new("battery.low", true, 2),
            ReasonCount::new("not_target.model", false, 2),
        ],
        states: vec![
            StateCount { state: AttemptState::Accepted, devices: 11 },
            StateCount { state: AttemptState::Claimed, devices: 7 },
            StateCount { state: AttemptState::Succeeded, devices: 62 },
            StateCount { state: AttemptState::Failed, devices: 1 },
        ],
        chart: ChartView::new(points, &model::Policy::threshold(), 143, &share(0)),
        evidence: None,
        decisions,
        policy: serde_json::to_value(model::Policy::threshold()).unwrap(),
    }
}

/// An operation that was frozen when evidence stopped the one before.
pub(crate) fn frozen() -> OperationDetail {
    let mut operation = operation();
    let reason = model::Reason::Frozen { by: model::OperationId(7) };
    operation.decisions.insert(0, decision(10, model::Verdict::Pause, reason, 18));
    let summary = &mut operation.summary;
    (summary.id, summary.name) = (2, "op-2".to_owned());
    summary.state = OperationState::Paused;
    summary.last_decision = operation.decisions[0].sentence.clone();
    summary.last_reason = "evidence.frozen".to_owned();
    summary.frozen_by = Some(model::OperationId(7).into());
    operation
}

/// An operation that was stopped by its errors.
pub(crate) fn aborted() -> OperationDetail {
    let mut operation = operation();
    operation.decisions.insert(
        0,
        decision(
            10,
            model::Verdict::Abort,
            model::Reason::ErrorsAboveTolerance {
                phase: model::Phase::Generalization,
                measured: model::Rate::basis_points(1_666),
                tolerated: model::Rate::percent(5),
                failed: 3,
                attempted: 18,
            },
            18,
        ),
    );
    let summary = &mut operation.summary;
    summary.state = OperationState::Aborted;
    summary.ended = Some(at(120));
    summary.element = None;
    summary.last_decision = operation.decisions[0].sentence.clone();
    summary.counts = CountsView {
        succeeded: 77,
        failed: 4,
        in_flight: 0,
        waiting: 0,
        cancelled: 62,
        ..summary.counts
    };
    summary.progress = share(5_664);
    operation
}

pub(crate) fn fleet() -> FleetSummary {
    let count = |key: &str, devices| Count { key: key.to_owned(), devices };
    let version = |model: &str, version: &str, devices| VersionCount {
        model: model.to_owned(),
        version: version.to_owned(),
        devices,
    };
    FleetSummary {
        devices: 150,
        presence: PresenceCounts { online: 129, asleep: 14, offline: 7 },
        compliance: ComplianceCounts {
            updating: 18,
            held: 1,
            quarantined: 0,
            unknown: 2,
            untargeted: 5,
            current: 62,
            outdated: 62,
        },
        models: vec![count("ACME / WS-200", 143), count("ACME / GW-10", 5), count("", 2)],
        hardware: vec![count("B", 90), count("C", 58), count("", 2)],
        versions: vec![
            version("ACME / WS-200", "1.0.0", 81),
            version("ACME / WS-200", "1.1.0", 62),
            version("ACME / GW-10", HOSTILE, 5),
            version("", "", 2),
        ],
        releases: 2,
        operations: vec![operation_summary()],
    }
}

pub(crate) fn device_summary(id: u64) -> DeviceSummary {
    let compliance = [Compliance::Outdated, Compliance::Updating, Compliance::Current];
    let presence = [Presence::Online, Presence::Asleep, Presence::Offline];
    let pick = usize::try_from(id % 3).unwrap();
    DeviceSummary {
        id,
        name: format!("dev-{id}"),
        endpoint: if id == 3 {
            HOSTILE.to_owned()
        } else {
            format!("urn:dev:ops:00256D-WS200-{id:06}")
        },
        manufacturer: Some("ACME".to_owned()),
        model: (id != 5).then(|| "WS-200".to_owned()),
        hardware: Some("C".to_owned()),
        version: Some(if pick == 2 { "1.1.0" } else { "1.0.0" }.to_owned()),
        desired_version: Some("1.1.0".to_owned()),
        site: None,
        presence: presence[pick],
        compliance: compliance[pick],
        hold: None,
        battery_percent: (id != 4).then_some(31),
        signal_dbm: Some(-91),
        last_seen: at(id),
        operation: (pick == 1).then(operation_ref),
    }
}

pub(crate) fn devices() -> Page<DeviceSummary> {
    Page {
        items: (1..=8).map(device_summary).collect(),
        next: Some("dev-8".to_owned()),
        total: Some(150),
    }
}

fn value(path: &str, name: &str, value: Option<Value>, units: &str) -> ValueView {
    ValueView {
        path: path.to_owned(),
        name: name.to_owned(),
        at: value.as_ref().map(|_| at(40)),
        readable: value.is_some(),
        value,
        meaning: (path == "/5/0/3").then(|| "downloading".to_owned()),
        units: units.to_owned(),
        writable: path == "/1/0/1",
        executable: path == "/3/0/4",
    }
}

fn objects() -> Vec<ObjectView> {
    let object = |path: &str, name: &str, values| ObjectView {
        path: path.to_owned(),
        name: name.to_owned(),
        values,
    };
    vec![
        object(
            "/1/0",
            "LwM2M Server",
            vec![value("/1/0/1", "Lifetime", Some(Value::Integer(300)), "s")],
        ),
        object(
            "/3/0",
            "Device",
            vec![
                value("/3/0/0", "Manufacturer", Some(Value::Text("ACME".to_owned())), ""),
                value("/3/0/3", "Firmware Version", Some(Value::Text("1.0.0".to_owned())), ""),
                value("/3/0/4", "Reboot", None, ""),
                value("/3/0/9", "Battery Level", Some(Value::Integer(31)), "%"),
            ],
        ),
        object(
            "/5/0",
            "Firmware Update",
            vec![value("/5/0/3", "State", Some(Value::Integer(1)), "")],
        ),
        object(
            "/33000/0",
            "",
            vec![value("/33000/0/1", "", Some(Value::Text(HOSTILE.to_owned())), "")],
        ),
    ]
}

fn why() -> WhyReport {
    let check = |name: &str, outcome, detail: &str, age_s| CheckView {
        name: name.to_owned(),
        outcome,
        detail: detail.to_owned(),
        age_s,
    };
    WhyReport {
        device: device_ref(3, HOSTILE),
        operation: Some(operation_ref()),
        release: release_ref(),
        verdict: WhyVerdict::Waiting,
        code: "battery.low".to_owned(),
        sentence: "battery at 31 %, 40 % needed".to_owned(),
        remedy: "It joins by itself when it reports enough charge.".to_owned(),
        observed: Some("31 %".to_owned()),
        observed_at: Some(at(300)),
        required: Some("at least 40 %".to_owned()),
        next_check: None,
        path: vec![
            ReleaseRef {
                id: 1,
                name: "rel-1".to_owned(),
                version: "1.0.5".to_owned(),
                ..release_ref()
            },
            release_ref(),
        ],
        checks: vec![
            check("model", CheckOutcome::Pass, "ACME / WS-200, hardware C", None),
            check("path", CheckOutcome::Pass, "1.0.0 → 1.0.5 → 1.1.0", None),
            check("battery", CheckOutcome::Fail, "31 %, 40 % needed", Some(360)),
            check("link", CheckOutcome::Unknown, "not looked at", None),
        ],
        assignment: None,
    }
}

pub(crate) fn device() -> DeviceDetail {
    let entry = |second, kind, sentence: &str| HistoryEntry {
        at: at(second),
        kind,
        sentence: sentence.to_owned(),
        operation: None,
        release: None,
        attempt: None,
        version_before: None,
        version_after: None,
    };
    let failed = HistoryEntry {
        operation: Some(operation_ref()),
        release: Some(release_ref()),
        attempt: Some(1),
        version_before: Some("1.0.0".to_owned()),
        version_after: Some("1.0.0".to_owned()),
        ..entry(31, HistoryKind::Failed, "The transfer broke off; it will be tried again.")
    };
    DeviceDetail {
        summary: device_summary(3),
        first_seen: at(0),
        registrations: 2,
        lifetime_s: 300,
        registration: Some(RegistrationView {
            driver: "lwm2m".to_owned(),
            address: "127.0.0.1:41873".to_owned(),
            location: "/rd/3".to_owned(),
            at: at(1),
        }),
        configurations: vec![],
        objects: objects(),
        updates: vec![why()],
        history: vec![
            failed,
            entry(30, HistoryKind::Granted, "Granted by element 4 of op-1."),
            entry(1, HistoryKind::Registration, "Registered from 127.0.0.1:41873."),
        ],
    }
}

pub(crate) fn release() -> ReleaseDetail {
    let text = r#"
        manifest = 1
        [release]
        name = "ws200-firmware"
        version = "1.1.0"
        class = "major"
        security = true
        summary = "New sampling engine <b>and</b> a fix"
        [[target]]
        manufacturer = "ACME"
        model = "WS-200"
        hardware = ["B", "C"]
        [[artifact]]
        size = 65536
        sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        file = "ws200.bin"
        [[upgrade]]
        from = ">=1.0.0, <1.1.0"
        [[upgrade]]
        from = "1.0.3"
        blocked = true
        reason = "loses its settings"
        [requires]
        battery = { percent = 40, or_external_power = true }
        link = { min_rssi_dbm = -105 }
        [[guard]]
        name = "free memory"
        path = "/3/0/10"
        expect = { min_percent_of_baseline = 80 }
    "#;
    let release = model::Release {
        id: model::ReleaseId(2),
        manifest: std::sync::Arc::new(model::Manifest::from_toml(text).unwrap()),
        published: model::Time::from_secs(1_795_338_000),
        by: HOSTILE.to_owned(),
    };
    ReleaseDetail::new(&release, vec![operation_ref()])
}

pub(crate) fn assignments() -> Page<AssignmentView> {
    let assignment = |id, state, fault| AssignmentView {
        operation: operation_ref(),
        device: device_ref(id, HOSTILE),
        element: 4,
        attempt: 2,
        state,
        fault,
        until: (state == AttemptState::Deferred).then(|| at(600)),
        version_before: Some("1.0.0".to_owned()),
        hops_left: 1,
        warnings: 1,
        since: at(44),
    };
    let fault = FaultView { kind: "connection lost".to_owned(), detail: HOSTILE.to_owned() };
    Page {
        items: vec![
            assignment(3, AttemptState::Claimed, None),
            assignment(9, AttemptState::Deferred, Some(fault)),
        ],
        next: None,
        total: Some(2),
    }
}
