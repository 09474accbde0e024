//! What `model` says survives the way to JSON and back.

use crate::*;

fn round_trip<T>(value: &T) -> serde_json::Value
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let json = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
    json
}

fn release() -> model::Release {
    let text = r#"
        manifest = 1
        [release]
        name = "ws200-firmware"
        version = "1.1.0"
        class = "major"
        [[target]]
        manufacturer = "ACME"
        model = "WS-200"
        hardware = ["B", "C"]
        [[artifact]]
        size = 65536
        sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        file = "ws200.bin"
        [[upgrade]]
        from = "1.0.*"
        [requires]
        battery = { percent = 40, or_external_power = true }
        link = { min_rssi_dbm = -105 }
        unknown = "wait"
        [confirm]
        within = "10m"
        soak = "30s"
        [[guard]]
        name = "free memory"
        path = "/3/0/10"
        expect = { min_percent_of_baseline = 80 }
    "#;
    model::Release {
        id: model::ReleaseId(2),
        manifest: std::sync::Arc::new(model::Manifest::from_toml(text).unwrap()),
        published: model::Time::from_secs(1_795_338_000),
        by: "ci".to_owned(),
    }
}

#[test]
fn a_release_is_told_in_sentences() {
    let detail = ReleaseDetail::new(&release(), vec![model::OperationId(1).into()]);
    assert_eq!(detail.summary.kinds, ["ACME / WS-200"]);
    assert_eq!(detail.requirements[0], "Battery at 40 % or more, or external power.");
    assert_eq!(
        detail.confirm,
        "The device itself reports 1.1.0 within 10m of starting to install, and it has run \
         without a fault for 30s."
    );
    assert_eq!(detail.guards[0].expects, "at least 80 % of the value before");
    let json = round_trip(&detail);
    assert_eq!(json["name"], "rel-2");
    assert_eq!(json["published"], "2026-11-22T09:00:00.000Z");
    assert_eq!(json["manifest"]["release"]["class"], "major");
}

#[test]
fn a_decision_shows_its_inputs_and_both_speeds() {
    let rates = model::ReportedRates::new(12, 1, 0, Some(41_500));
    let inputs = model::Inputs {
        counts: model::Counts { succeeded: 20, waiting: 130, ..model::Counts::default() },
        phase: model::Phase::Cautious,
        speed: 12,
        favourable: 3,
        before: None,
        after: Some(rates),
        window: Some(rates),
        artifact_fault: false,
        policy: model::Policy::threshold(),
        standing: None,
        evidence: None,
    };
    let decision = model::Decision {
        operation: model::OperationId(1),
        seq: 4,
        at: model::Time::from_secs(1_795_338_000),
        verdict: model::Verdict::Continue {
            phase: model::Phase::Generalization,
            speed: 24,
            favourable: 5,
        },
        reason: model::Reason::Healthy,
        inputs: Some(inputs),
        judged: None,
        code_version: "0.1.0".to_owned(),
    };
    let view = DecisionView::from(&decision);
    assert_eq!(view.sentence, decision.to_string());
    assert_eq!((view.speed_before, view.speed_after), (Some(12), Some(24)));
    let json = round_trip(&view);
    assert_eq!(json["inputs"]["tolerated_errors"]["text"], "2 %");
    assert_eq!(json["inputs"]["after"]["errors"]["percent"], 8.33);
    assert_eq!(json["inputs"]["after"]["response_time_ms"], 41.5);
    assert_eq!(json["inputs"]["counts"]["targets"], 150);
}

#[test]
fn events_carry_their_type_and_unknown_ones_are_survived() {
    let event = Event {
        id: 9,
        at: model::Time::ZERO.into(),
        kind: EventKind::Progress {
            operation: model::OperationId(1).into(),
            state: OperationState::Ongoing,
            phase: Phase::Test,
            speed: Some(1),
            counts: CountsView::default(),
            progress: model::Rate::basis_points(625).into(),
        },
    };
    let mut json = round_trip(&event);
    assert_eq!(json["type"], event.kind.as_str());
    assert_eq!(json["progress"]["text"], "6.25 %");
    json["type"] = "from_the_future".into();
    let unknown: Event = serde_json::from_value(json).unwrap();
    assert_eq!((unknown.id, unknown.kind), (9, EventKind::Unknown));
}

#[test]
fn problems_have_the_form_of_rfc_9457() {
    let error = model::Manifest::parse("manifest = 1\nreleese = 2\n").unwrap_err();
    let problem = Problem::from(&error);
    let json = round_trip(&problem);
    assert_eq!(json["type"], "urn:bellwether:problem:manifest_invalid");
    assert_eq!(json["status"], 422);
    assert_eq!(json["line"], 2);
    assert!(problem.to_string().starts_with("line 2, column 1: "), "{problem}");
    let newer = serde_json::json!({
        "type": "urn:x", "title": "t", "status": 418, "detail": "d", "code": "teapot"
    });
    assert_eq!(serde_json::from_value::<Problem>(newer).unwrap().code, ProblemCode::Unknown);
}

#[test]
fn every_exclusion_is_explained_without_a_device() {
    let version = || model::Version::new("1.0.0");
    let at = model::Time::ZERO;
    let operation = model::OperationId(1);
    let (observed, required) = (1, 2);
    for exclusion in [
        model::Exclusion::AlreadyCurrent { version: version() },
        model::Exclusion::NewerVersion { version: version() },
        model::Exclusion::NotTargetModel { observed: String::new() },
        model::Exclusion::NotTargetHardware { observed: String::new() },
        model::Exclusion::NotPicked,
        model::Exclusion::IdentityUnknown,
        model::Exclusion::PathNoEdge { from: version() },
        model::Exclusion::PathBlockedEdge { from: version(), reason: String::new() },
        model::Exclusion::BatteryLow { observed, required, at },
        model::Exclusion::BatteryUnknown,
        model::Exclusion::MemoryLow { observed, required, at },
        model::Exclusion::MemoryUnknown,
        model::Exclusion::LinkWeak { observed, required, at },
        model::Exclusion::LinkUnknown,
        model::Exclusion::OfflineWaiting { presence: model::Presence::Asleep, last_seen: at },
        model::Exclusion::HeldOperator { reason: String::new() },
        model::Exclusion::QuarantinedSystem { reason: String::new() },
        model::Exclusion::BusyOtherOperation { operation },
        model::Exclusion::LowerPriority { operation },
        model::Exclusion::BatchFull,
        model::Exclusion::OperationPaused,
        model::Exclusion::OperationFrozen { by: operation },
        model::Exclusion::StratumStopped { by: operation },
        model::Exclusion::OperationAborted,
        model::Exclusion::RetryWaiting { until: at, attempts: 1 },
        model::Exclusion::RetriesExhausted { attempts: 3 },
    ] {
        assert!(explain(exclusion.code()).is_some(), "{} is not explained", exclusion.code());
    }
    assert_eq!(ReasonCount::new("from.the_future", true, 3).sentence, "from.the_future");
}

#[test]
fn typed_values_are_recognised() {
    for (text, value) in [
        ("true", Value::Boolean(true)),
        ("42", Value::Integer(42)),
        ("-7", Value::Integer(-7)),
        ("2.5", Value::Float(2.5)),
        ("1.0.0", Value::Text("1.0.0".to_owned())),
        ("inf", Value::Text("inf".to_owned())),
        ("NaN", Value::Text("NaN".to_owned())),
        ("", Value::Text(String::new())),
        ("U", Value::Text("U".to_owned())),
    ] {
        assert_eq!(Value::parse(text), value, "{text}");
    }
}

#[test]
fn pages_have_bounds() {
    for (asked, limit) in [(None, 100), (Some(0), 1), (Some(7), 7), (Some(1_000_000), 1_000)] {
        assert_eq!(page_limit(asked), limit);
    }
}
