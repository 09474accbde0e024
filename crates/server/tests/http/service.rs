//! Starting, stopping, health, events, and requests of the wrong form.

use std::time::Duration;

use api::{DeviceQuery, EventKind, ListQuery, ProblemCode};
use server::{Server, Settings};

use crate::place::{Folder, Place, request, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_server_says_what_it_is() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let health = place.call(api::client::Client::health).await;
    assert!(health.ok, "{health:?}");
    assert_eq!(place.call(api::client::Client::version).await.api, "v1");
    let document = place.call(api::client::Client::document).await;
    assert!(document["paths"]["/api/v1/fleet"]["get"].is_object());
    let fleet = place.call(api::client::Client::fleet).await;
    assert_eq!((fleet.devices, fleet.releases, fleet.operations.len()), (0, 0, 0));
    let devices = place.call(|client| client.devices(&DeviceQuery::default())).await;
    assert_eq!((devices.items.len(), devices.next, devices.total), (0, None, Some(0)));
    assert!(place.call(|client| client.operations(&ListQuery::default())).await.items.is_empty());
    let metrics = place.raw("GET /metrics", "").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("bellwether_devices{presence=\"online\"} 0\n"));
    assert!(metrics.body.contains("# TYPE bellwether_coap_datagrams_received_total counter\n"));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_a_problem() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let json = "\nContent-Type: application/json";
    let check = async |head: &str, body: &str, code: ProblemCode, says: &str| {
        let answer = place.raw(head, body).await;
        let problem = answer.problem();
        assert_eq!(problem.code, code, "{head} {body}: {problem}");
        assert!(problem.to_string().contains(says), "`{problem}` should say `{says}`");
        answer
    };
    use ProblemCode as Code;
    check("GET /api/v1/nothing", "", Code::NotFound, "openapi.json").await;
    check("GET /nothing", "", Code::NotFound, "/nothing").await;
    let answer = check("DELETE /api/v1/fleet", "", Code::MethodNotAllowed, "DELETE").await;
    assert!(answer.header("allow").contains("GET"), "{answer:?}");
    check("GET /api/v1/devices/dev-9", "", Code::NotFound, "dev-9").await;
    check("GET /api/v1/devices/urn%3Adev%2F1", "", Code::NotFound, "urn:dev/1").await;
    check("GET /api/v1/devices/dev-9/why", "", Code::NotFound, "dev-9").await;
    check("GET /api/v1/devices/dev-9/values?path=/3/0/9", "", Code::NotFound, "dev-9").await;
    check("GET /api/v1/releases/rel-9", "", Code::NotFound, "rel-9").await;
    check("GET /api/v1/releases/x%401.0", "", Code::NotFound, "x@1.0").await;
    check("GET /api/v1/operations/op-9", "", Code::NotFound, "op-9").await;
    check("GET /api/v1/operations/nine/decisions", "", Code::NotFound, "nine").await;
    check("GET /api/v1/devices?limit=many", "", Code::BadRequest, "limit").await;
    check("GET /api/v1/devices?presence=gone", "", Code::BadRequest, "`online`").await;
    check("GET /api/v1/devices?after=x", "", Code::BadRequest, "next").await;
    check("GET /api/v1/devices?reason=battery.low", "", Code::BadRequest, "operation").await;
    check("GET /api/v1/devices/x/values", "", Code::BadRequest, "path").await;
    check("GET /api/v1/events\nLast-Event-ID: x", "", Code::BadRequest, "last-event-id").await;
    let start = "POST /api/v1/operations";
    check(start, "{}", Code::BadRequest, "application/json").await;
    check(&format!("{start}{json}"), "{", Code::BadRequest, "line 1").await;
    check(&format!("{start}{json}"), "{}", Code::NotFound, "release").await;
    check(
        &format!("{start}{json}"),
        "{\n  \"release\": 7\n}",
        Code::BadRequest,
        "line 2, column 14: release: invalid type",
    )
    .await;
    check(
        &format!("{start}{json}"),
        "{\"relase\": \"x\"}",
        Code::BadRequest,
        "relase: unknown field `relase`, expected",
    )
    .await;
    check(
        &format!("{start}{json}"),
        r#"{"release": "x", "policy": {"first_speed": 0}}"#,
        Code::PolicyInvalid,
        "first_speed",
    )
    .await;
    let long_key = format!("{start}{json}\nIdempotency-Key: {}", "k".repeat(256));
    check(&long_key, "{}", Code::BadRequest, "idempotency-key").await;
    let large = format!("{start}{json}\nContent-Length: 99999999");
    check(&large, "{", Code::TooLarge, "longer").await;
    check("PUT /api/v1/artifacts/xyz", "", Code::BadRequest, "SHA-256").await;
    check("GET /health\nHost: evil.example", "", Code::BadRequest, "evil.example").await;
    let forged = format!("{start}{json}\nOrigin: https://evil.example");
    check(&forged, "{}", Code::ForgeryToken, "evil.example").await;
    let answer = place.raw("GET /health", "").await;
    assert_eq!((answer.status, answer.header("x-content-type-options")), (200, "nosniff"));
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_and_resumed() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let raw = place.client();
    let listening = tokio::task::spawn_blocking(move || {
        let mut events = raw.events(Some(1)).expect("a stream");
        let mut seen = Vec::new();
        for event in &mut events {
            let event = event.expect("an event");
            let end = matches!(event.kind, EventKind::ReleasePublished { .. });
            seen.push(event);
            if end {
                break;
            }
        }
        seen
    });
    place.publish("1.1.0", false).await;
    let seen = listening.await.expect("no panic");
    let kinds: Vec<&str> = seen.iter().map(|event| event.kind.as_str()).collect();
    // The number is of an earlier run, so what was before is missing.
    assert_eq!(kinds, ["missed", "server_ready", "release_published"]);
    assert!(seen.windows(2).all(|pair| pair[0].id < pair[1].id));
    let (last, http) = (seen[1].id, place.server.http());
    let EventKind::ServerReady { http: told, .. } = &seen[1].kind else { panic!("{seen:?}") };
    assert_eq!(*told, format!("http://{http}/"));
    let again = place
        .call(move |client| {
            client.events(Some(last))?.next().unwrap_or_else(|| panic!("nothing is told"))
        })
        .await;
    assert_eq!(again, seen[2]);
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_limited_and_end_when_the_server_stops() {
    let folder = Folder::new();
    let settings = Settings { event_streams_max: 1, ..folder.settings() };
    let place = Place::start(settings).await;
    let client = place.client();
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let listening = tokio::task::spawn_blocking(move || {
        let mut events = client.events(None).expect("a stream");
        ready.send(()).expect("somebody waits");
        events.by_ref().all(|event| event.is_ok())
    });
    is_ready.await.expect("it listens");
    let problem = place.refused(|client| client.events(None)).await;
    assert_eq!(problem.code, ProblemCode::TooManyRequests);
    assert!(problem.to_string().contains("event_streams_max"), "{problem}");
    place.stop().await;
    let ended = tokio::time::timeout(Duration::from_secs(5), listening).await;
    assert!(ended.expect("the stream ends").expect("no panic"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_a_folder_and_one_a_port() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let refused = Server::start(folder.settings()).await.expect_err("the folder is taken");
    let message = refused.to_string();
    let held = format!("in use by process {}", std::process::id());
    assert!(message.contains(&held) && message.contains("another data folder"), "{message}");
    for (what, flag) in [("http", "--http"), ("coap", "--coap")] {
        let other = Folder::new();
        let mut settings = other.settings();
        match what {
            "http" => settings.http = place.server.http(),
            _ => settings.coap = place.server.coap(),
        }
        let message = Server::start(settings).await.expect_err("the port is taken").to_string();
        assert!(message.contains("used by another program"), "{message}");
        assert!(message.contains(flag), "{message}");
    }
    place.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_what_was_acknowledged() {
    let folder = Folder::new();
    let place = Place::start(folder.settings()).await;
    let published = place.publish("1.1.0", true).await;
    let operation = published.operation.expect("it was started");
    let key = Some("a key");
    let start = || api::StartRequest { release: "rel-1".to_owned(), ..Default::default() };
    // The first operation has the whole fleet; a second one on it is refused, whatever the key.
    let problem = place.refused(move |client| client.start(&start(), key)).await;
    assert_eq!(problem.code, ProblemCode::Conflict, "{problem}");
    place.call(move |client| client.pause(&operation.name, &Default::default())).await;
    place.stop().await;

    let place = Place::start(folder.settings()).await;
    let releases = place.call(|client| client.releases(&ListQuery::default())).await;
    assert_eq!(releases.items, std::slice::from_ref(&published.release));
    let operation = place.call(|client| client.operation("op-1")).await;
    assert_eq!(operation.summary.state, api::OperationState::Paused);
    assert!(!operation.decisions.is_empty());
    // The same manifest again is the same release.
    let again = place.publish("1.1.0", true).await;
    assert_eq!(again.release, published.release);
    assert_eq!(again.operation.map(|operation| operation.name).as_deref(), Some("op-1"));
    place.stop().await;
    assert!(folder.path().join("artifacts").is_dir());
}

/// Two servers at once, each with its own folder and ports, are strangers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_live_side_by_side() {
    let folders = [Folder::new(), Folder::new()];
    let one = Place::start(folders[0].settings()).await;
    let other = Place::start(folders[1].settings()).await;
    one.call(|client| client.publish(&request(crate::place::configuration("1.0", 300), false)))
        .await;
    until("the first knows it", async || one.call(api::client::Client::fleet).await.releases == 1)
        .await;
    assert_eq!(other.call(api::client::Client::fleet).await.releases, 0);
    one.stop().await;
    other.stop().await;
}
