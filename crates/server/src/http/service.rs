//! The server about itself: health, version, the OpenAPI document, measures.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api::{Health, HealthCheck, Version};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::Engine;
use model::OperationState;

use super::Site;
use super::answer::{Refusal, text};
use super::scan::Tally;

/// Whether the server does its work; 503 when it does not.
pub(super) async fn health(State(site): State<Arc<Site>>) -> (StatusCode, Json<Health>) {
    let store = site.condition.borrow().store.as_ref().map(ToString::to_string);
    let look = site.handle.view(|engine, _| engine.registered());
    let registered = tokio::time::timeout(DRIVER_WITHIN, look).await;
    let (driver, detail) = match registered {
        Ok(Ok(devices)) => (true, format!("{devices} devices are registered")),
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (false, "the driver is busy and does not answer in time".to_owned()),
    };
    let checks = vec![
        HealthCheck {
            name: "store".to_owned(),
            ok: store.is_none(),
            detail: store.unwrap_or_else(|| "writes are durable".to_owned()),
        },
        HealthCheck { name: "driver".to_owned(), ok: driver, detail },
    ];
    let ok = checks.iter().all(|check| check.ok);
    let health = Health {
        ok,
        started: site.handle.started().into(),
        uptime_s: site.handle.now().since(site.handle.started()).as_secs(),
        checks,
    };
    (if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}

/// Which server answers.
pub(super) async fn version() -> Json<Version> {
    Json(Version {
        product: "bellwether".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
    })
}

/// The OpenAPI document.
pub(super) async fn document() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| {
        serde_json::to_string(&api::document()).unwrap_or_else(|error| error.to_string())
    });
    text("application/json", document.clone())
}

/// Measures in Prometheus' text form. No label grows with the fleet.
pub(super) async fn metrics(State(site): State<Arc<Site>>) -> Result<Response, Refusal> {
    let tally = site.tally().await?;
    let store_ok = site.condition.borrow().store.is_none();
    let streams = site.settings.event_streams_max - site.streams.available_permits();
    let uptime = site.handle.now().since(site.handle.started()).as_secs();
    let measures = site
        .handle
        .view(move |engine, _| {
            let mut page = Exposition::default();
            let version = env!("CARGO_PKG_VERSION");
            page.family("bellwether_info", "gauge", "The version that runs.");
            page.labelled("bellwether_info", "version", version, 1);
            page.single("bellwether_uptime_seconds", "gauge", "Time since the start.", uptime);
            let up = u64::from(store_ok);
            page.single("bellwether_store_writable", "gauge", "Whether writes are taken.", up);
            let help = "Event streams that are open.";
            page.single("bellwether_event_streams", "gauge", help, streams as u64);
            fleet_measures(&mut page, &tally, engine);
            operation_measures(&mut page, engine);
            engine_measures(&mut page, engine);
            coap_measures(&mut page, engine);
            page.0
        })
        .await?;
    Ok(text("text/plain; version=0.0.4; charset=utf-8", measures))
}

fn fleet_measures(page: &mut Exposition, tally: &Tally, engine: &Engine) {
    page.family("bellwether_devices", "gauge", "Devices known, by presence.");
    let presence = &tally.presence;
    for (name, devices) in
        [("online", presence.online), ("asleep", presence.asleep), ("offline", presence.offline)]
    {
        page.labelled("bellwether_devices", "presence", name, devices);
    }
    let registered = engine.registered() as u64;
    page.single("bellwether_registered", "gauge", "Devices that are registered.", registered);
}

fn operation_measures(page: &mut Exposition, engine: &Engine) {
    let releases = engine.loops().releases().count() as u64;
    page.single("bellwether_releases", "gauge", "Releases published.", releases);
    page.family("bellwether_operations", "gauge", "Operations, by state.");
    for state in [
        OperationState::Pending,
        OperationState::Ongoing,
        OperationState::Paused,
        OperationState::Aborted,
        OperationState::Finished,
    ] {
        let count =
            engine.loops().operations().filter(|operation| operation.state == state).count();
        page.labelled("bellwether_operations", "state", &state.to_string(), count as u64);
    }
    let mut targets = model::Counts::default();
    let open = engine.loops().operations().filter(|operation| !operation.state.is_final());
    for counts in open.filter_map(|operation| engine.loops().counts(operation.id)) {
        targets.succeeded += counts.succeeded;
        targets.failed += counts.failed;
        targets.in_flight += counts.in_flight;
        targets.waiting += counts.waiting;
    }
    page.family("bellwether_targets", "gauge", "Targets of all open operations, by progress.");
    for (name, devices) in [
        ("succeeded", targets.succeeded),
        ("failed", targets.failed),
        ("in_flight", targets.in_flight),
        ("waiting", targets.waiting),
    ] {
        page.labelled("bellwether_targets", "progress", name, devices);
    }
}

fn engine_measures(page: &mut Exposition, engine: &Engine) {
    let counted = engine.statistics();
    for (name, help, value) in [
        ("registrations", "Registrations taken.", counted.registrations),
        ("registration_updates", "Registrations renewed.", counted.updates),
        ("registrations_refused", "Registrations refused.", counted.registrations_refused),
        ("restarts", "Restarts of devices that nobody ordered, habits left out.", counted.restarts),
        ("image_blocks", "Image blocks served.", counted.image_blocks),
        ("device_requests", "Requests sent to devices.", counted.requests),
        ("device_requests_unanswered", "Of those, without an answer.", counted.requests_unanswered),
    ] {
        page.single(&format!("bellwether_{name}_total"), "counter", help, value);
    }
}

fn coap_measures(page: &mut Exposition, engine: &Engine) {
    let counted = engine.coap_statistics();
    for (name, help, value) in [
        ("datagrams_received", "Datagrams received.", counted.received),
        ("datagrams_sent", "Datagrams sent, repeated ones included.", counted.sent),
        ("malformed", "Datagrams that are no CoAP message.", counted.malformed),
        ("duplicates", "Messages received again.", counted.duplicates),
        ("retransmissions", "Messages sent again.", counted.retransmissions),
        ("over_limit", "Requests refused because a limit was reached.", counted.over_limit),
        ("requests_failed", "Requests that ended without a response.", counted.requests_failed),
        ("notifications", "Notifications received.", counted.notifications_received),
        ("peers_evicted", "Peers forgotten early to make room.", counted.peers_evicted),
    ] {
        page.single(&format!("bellwether_coap_{name}_total"), "counter", help, value);
    }
}

/// Prometheus' text exposition format, version 0.0.4. Writing to a string cannot fail.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn labelled(&mut self, name: &str, label: &str, value: &str, count: u64) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {count}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, count: u64) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {count}");
    }
}

/// Time the driver has to answer a look. It never works longer than milliseconds on end.
const DRIVER_WITHIN: Duration = Duration::from_secs(2);
