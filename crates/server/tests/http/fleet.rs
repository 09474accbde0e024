//! Devices: what is known of them, orders to them, and an operation on them.

use api::{
    AssignmentQuery, Compliance, DeviceQuery, EventKind, ListQuery, OperationState, OrderRequest,
    PlanRequest, Presence, ProblemCode, PublishRequest, SignalRequest, Value, WhyVerdict,
};

use crate::device::Device;
use crate::place::{Folder, Place, configuration, request, until};

/// A server that two devices are registered with.
async fn with_devices(folder: &Folder) -> (Place, Vec<Device>) {
    let place = Place::start(folder.settings()).await;
    let devices = ["urn:dev:a", "b"].map(|name| Device::start(name, place.server.coap())).into();
    until("both devices are known", async || {
        let page = place.call(|client| client.devices(&DeviceQuery::default())).await;
        page.items.iter().filter(|device| device.version.is_some()).count() == 2
    })
    .await;
    (place, devices)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_listed_found_and_shown() {
    let folder = Folder::new();
    let (place, devices) = with_devices(&folder).await;
    place.publish("1.1.0", false).await;
    let find = async |query: DeviceQuery| -> Vec<String> {
        let page = place.call(move |client| client.devices(&query)).await;
        page.items.into_iter().map(|device| device.endpoint).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let all = DeviceQuery::default;
    assert_eq!(find(DeviceQuery { q: some("URN"), ..all() }).await, ["urn:dev:a"]);
    assert_eq!(find(DeviceQuery { model: some("acme / ws-200"), ..all() }).await.len(), 2);
    assert_eq!(find(DeviceQuery { model: some("other"), ..all() }).await.len(), 0);
    assert_eq!(find(DeviceQuery { version: some("1.0"), ..all() }).await.len(), 2);
    assert_eq!(find(DeviceQuery { presence: Some(Presence::Offline), ..all() }).await.len(), 0);
    let outdated = DeviceQuery { compliance: Some(Compliance::Outdated), ..all() };
    assert_eq!(find(outdated).await.len(), 2);
    let first = DeviceQuery { limit: Some(1), ..all() };
    let page = place.call(move |client| client.devices(&first)).await;
    let second = DeviceQuery { limit: Some(1), after: page.next, ..all() };
    assert_eq!(find(second).await.len(), 1);

    let shown = place.call(|client| client.device("urn:dev:a")).await;
    assert_eq!(shown.summary.desired_version.as_deref(), Some("1.1.0"));
    let registration = shown.registration.expect("it is registered");
    assert_eq!(registration.driver, "lwm2m");
    let device = shown.objects.iter().find(|object| object.path == "/3/0").expect("it has one");
    assert_eq!(device.name, "Device");
    let battery = device.values.iter().find(|value| value.path == "/3/0/9").expect("it has one");
    assert_eq!((battery.value.clone(), battery.units.as_str()), (Some(Value::Integer(57)), "/100"));
    assert!(device.values.iter().any(|value| value.path == "/3/0/4" && value.executable));
    // No operation brings the release, and the device could be updated.
    assert_eq!(shown.updates[0].verdict, WhyVerdict::Eligible, "{:?}", shown.updates);

    let fleet = place.call(api::client::Client::fleet).await;
    assert_eq!((fleet.devices, fleet.presence.online), (2, 2));
    assert_eq!(fleet.versions[0].model, "ACME / WS-200");
    drop(devices);
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_read_written_and_executed_live() {
    let folder = Folder::new();
    let (place, devices) = with_devices(&folder).await;
    let read = place.call(|client| client.read("b", "/3/0/9")).await;
    assert_eq!(read.values[0].value, Some(Value::Integer(57)));
    assert_eq!(read.values[0].name, "Battery Level");
    let read = place.call(|client| client.read("b", "/3/0")).await;
    let time = read.values.iter().find(|value| value.path == "/3/0/13").expect("its clock");
    assert_eq!(time.value, Some(Value::Text("2026-11-22T09:00:00.000Z".to_owned())));

    let answer = place.call(|client| client.write("b", "/1/0/1", Value::Integer(200))).await;
    assert_eq!(answer.code, "2.04");
    let read = place.call(|client| client.read("b", "/1/0/1")).await;
    assert_eq!(read.values[0].value, Some(Value::Integer(200)));
    let answer = place.call(|client| client.execute("b", "/3/0/4", "")).await;
    assert_eq!((answer.code.as_str(), answer.path.as_str()), ("2.04", "/3/0/4"));

    let text = || Value::Text("x".to_owned());
    let problem = place.refused(move |client| client.write("b", "/1/0/1", text())).await;
    assert_eq!(problem.code, ProblemCode::BadRequest);
    assert_eq!(problem.message, "/1/0/1 takes a whole number");
    let problem = place.refused(move |client| client.write("b", "/3/0/0", text())).await;
    assert_eq!(problem.code, ProblemCode::DeviceRefused);
    assert_eq!(problem.message, "the device answered 4.05 (Method Not Allowed)");
    let problem = place.refused(|client| client.read("b", "/3/0/77")).await;
    assert!(problem.message.contains("4.04"), "{problem}");
    let problem = place.refused(|client| client.read("b", "/3/x")).await;
    assert_eq!(problem.field.as_deref(), Some("path"), "{problem}");
    let problem = place.refused(|client| client.execute("b", "/3", "")).await;
    assert_eq!(problem.code, ProblemCode::BadRequest, "{problem}");
    drop(devices);
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_answer_is_named_so() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.order_timeout = model::Span::millis(300);
    let place = Place::start(settings).await;
    let device = Device::start("quiet", place.server.coap());
    until("it is known", async || {
        place.call(api::client::Client::fleet).await.compliance.untargeted == 1
    })
    .await;
    drop(device);
    let problem = place.refused(|client| client.read("quiet", "/3/0/9")).await;
    assert_eq!(problem.code, ProblemCode::DeviceTimeout, "{problem}");
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_reaches_the_devices_that_are_not_held() {
    let folder = Folder::new();
    let (place, devices) = with_devices(&folder).await;
    let order = || OrderRequest { reason: "on the bench".to_owned(), by: None };
    let held = place.call(move |client| client.hold("b", &order())).await;
    assert_eq!(held.compliance, Compliance::Held);
    let problem = place.refused(move |client| client.hold("b", &order())).await;
    assert_eq!(problem.code, ProblemCode::Conflict, "{problem}");

    let listening = listen_until_the_end(&place).await;
    let manifest = configuration("1", 240);
    place.call(move |client| client.publish(&request(manifest, true))).await;
    until("one device is done", async || {
        place.call(|client| client.operation("op-1")).await.summary.counts.succeeded == 1
    })
    .await;
    let why = place.call(|client| client.why("b", Some("op-1"))).await;
    assert_eq!((why[0].verdict, why[0].code.as_str()), (WhyVerdict::Waiting, "held.operator"));
    assert!(why[0].sentence.contains("on the bench"), "{:?}", why[0]);
    assert!(!why[0].checks.is_empty());
    let waiting = DeviceQuery {
        operation: Some("op-1".to_owned()),
        reason: Some("held.operator".to_owned()),
        ..Default::default()
    };
    let asked = waiting.clone();
    let found = place.call(move |client| client.devices(&asked)).await;
    assert_eq!((found.items.len(), found.items[0].endpoint.as_str()), (1, "b"));
    let unknown = DeviceQuery { reason: Some("held.operatr".to_owned()), ..waiting.clone() };
    let problem = place.refused(move |client| client.devices(&unknown)).await;
    assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::BadRequest, Some("reason")));

    place.call(move |client| client.unhold("b", &order())).await;
    until("the operation has finished", async || {
        let operation = place.call(|client| client.operation("op-1")).await;
        operation.summary.state == OperationState::Finished
    })
    .await;
    let operation = place.call(|client| client.operation("op-1")).await;
    assert_eq!(operation.summary.counts.succeeded, 2);
    assert_eq!(operation.chart.points.iter().map(|point| point.devices).sum::<u64>(), 2);
    assert!(operation.chart.points.iter().all(|point| point.decision.is_some()));
    let granted =
        place.call(|client| client.assignments("op-1", &AssignmentQuery::default())).await;
    assert_eq!(granted.items.len(), 2);
    let history = place.call(|client| client.history("b", &ListQuery::default())).await;
    let newest = &history.items[0];
    assert_eq!(newest.sentence, "Proved to run ws200-reporting 1", "{history:?}");
    let value = place.call(|client| client.read("b", "/1/0/1")).await;
    assert_eq!(value.values[0].value, Some(Value::Integer(240)));

    let replay = place.call(|client| client.replay("op-1")).await;
    assert!(replay.all_equal && replay.equal >= 2, "{replay:?}");

    let kinds = listening.await.expect("no panic");
    let told = |name: &str| kinds.iter().filter(|kind| kind.as_str() == name).count();
    assert_eq!((told("operation_opened"), told("device_settled")), (1, 2), "{kinds:?}");
    assert!(told("progress") >= 1 && told("decided") >= 2, "{kinds:?}");
    drop(devices);
    place.stop().await;
}

/// Evidence is shown where it stands and with each decision, takes in signals, and replays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_under_evidence_shows_what_it_goes_by() {
    let folder = Folder::new();
    let (place, devices) = with_devices(&folder).await;
    let rule = model::Evidence {
        look: model::Span::secs(1),
        watch: model::Span::secs(1),
        ..model::Evidence::default()
    };
    let policy = model::Policy { rule: model::Rule::Evidence(rule), ..Default::default() };
    let order = || OrderRequest { reason: "on the bench".to_owned(), by: None };
    place.call(move |client| client.hold("b", &order())).await;
    let manifest = configuration("1", 240);
    let publish = PublishRequest { policy: Some(policy), ..request(manifest, true) };
    place.call(move |client| client.publish(&publish)).await;
    until("one device is done, and was looked at", async || {
        let operation = place.call(|client| client.operation("op-1")).await;
        let updated: Option<u64> = operation
            .evidence
            .as_ref()
            .map(|evidence| evidence.strata.iter().map(|stratum| stratum.updated).sum());
        operation.summary.counts.succeeded == 1 && updated == Some(1)
    })
    .await;
    let signal = |device: &str| SignalRequest {
        device: device.to_owned(),
        kind: "hotline".to_owned(),
        text: "the display stays dark".to_owned(),
        by: None,
    };
    let receipt = place.call(move |client| client.signal(&signal("urn:dev:a"))).await;
    assert_eq!((receipt.device.endpoint.as_str(), receipt.operations), ("urn:dev:a", 1));
    let again = place.call(move |client| client.signal(&signal("urn:dev:a"))).await;
    assert_eq!(again.operations, 0, "a device is counted once");
    let problem = place.refused(move |client| client.signal(&signal("nobody"))).await;
    assert_eq!((problem.code, problem.field.as_deref()), (ProblemCode::NotFound, Some("device")));
    let words = SignalRequest { kind: "two words".to_owned(), ..signal("b") };
    let problem = place.refused(move |client| client.signal(&words)).await;
    assert_eq!(problem.field.as_deref(), Some("kind"));
    until("the signal is evidence", async || {
        let operation = place.call(|client| client.operation("op-1")).await;
        operation.evidence.is_some_and(|evidence| {
            evidence.strata.iter().map(|stratum| stratum.events).sum::<u64>() == 1
        })
    })
    .await;

    let operation = place.call(|client| client.operation("op-1")).await;
    let evidence = operation.evidence.expect("it was looked at");
    assert_eq!((evidence.budget, evidence.strata_total), (5, 1), "{evidence:?}");
    assert!((evidence.limit_log10 - 2.0).abs() < 1e-5, "{evidence:?}");
    let decision = operation.decisions.iter().find(|one| one.evidence.is_some());
    assert!(decision.is_some_and(|one| one.inputs.is_some()), "{:?}", operation.decisions);
    let replay = place.call(|client| client.replay("op-1")).await;
    assert!(replay.all_equal && replay.equal >= 2 && replay.looks >= 1, "{replay:?}");
    drop(devices);
    place.stop().await;
}

/// Listens until an operation ends; returns what was told.
async fn listen_until_the_end(place: &Place) -> tokio::task::JoinHandle<Vec<EventKind>> {
    let client = place.client();
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let listening = tokio::task::spawn_blocking(move || {
        let events = client.events(None).expect("a stream");
        ready.send(()).expect("somebody waits");
        let mut kinds = Vec::new();
        for event in events {
            let kind = event.expect("an event").kind;
            let end = matches!(kind, EventKind::OperationEnded { .. });
            kinds.push(kind);
            if end {
                break;
            }
        }
        kinds
    });
    is_ready.await.expect("it listens");
    listening
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_of_the_targets_is_told_before_a_start() {
    let folder = Folder::new();
    let (place, devices) = with_devices(&folder).await;
    place.publish("1.1.0", false).await;
    let of = |release: &str, devices: &[&str]| PlanRequest {
        release: Some(release.to_owned()),
        devices: devices.iter().map(ToString::to_string).collect(),
        ..PlanRequest::default()
    };
    let request = of("ws200-firmware@1.1.0", &[]);
    let facts = place.call(move |client| client.rehearsal(&request)).await;
    assert_eq!((facts.release.as_str(), facts.targets), ("ws200-firmware 1.1.0", 2));
    let [stratum] = &facts.strata[..] else { panic!("{facts:?}") };
    assert_eq!((stratum.ready, stratum.hops, stratum.version.as_str()), (2, 1, "1.0.0"));
    assert_eq!(stratum.silence_after_s, (stratum.lifetime_s * 2).max(60), "{stratum:?}");
    assert_eq!((&stratum.install, stratum.health.silences), (&None, 0), "nothing is made up");
    assert_eq!((facts.budget, facts.installed.len(), facts.response_ms), (Some(5), 0, None));
    assert!(facts.policy.rule.evidence().is_some());

    let request = of("rel-1", &["b"]);
    let facts = place.call(move |client| client.rehearsal(&request)).await;
    assert_eq!(facts.targets, 1);
    assert_eq!(facts.reasons[0].code, "not_target.picked");
    let draft = PlanRequest { manifest: Some(configuration("7", 60)), ..PlanRequest::default() };
    let facts = place.call(move |client| client.rehearsal(&draft)).await;
    assert_eq!((facts.release.as_str(), facts.targets), ("ws200-reporting 7", 2));
    for (request, code) in [
        (of("nothing", &[]), ProblemCode::NotFound),
        (of("rel-1", &["dev-77"]), ProblemCode::NotFound),
        (PlanRequest::default(), ProblemCode::BadRequest),
    ] {
        let problem = place.refused(move |client| client.rehearsal(&request)).await;
        assert_eq!(problem.code, code, "{problem}");
        assert!(!problem.hint.is_empty(), "{problem}");
    }
    drop(devices);
    place.stop().await;
}
