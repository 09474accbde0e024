//! HTTP: the JSON interface and the console, over the same views.
//!
//! Handlers decide nothing. They look at the engine through a [`Handle`], give it orders, and
//! read history from the store's second connection on threads that may block.

mod answer;
mod archive;
mod consent;
mod events;
mod fleet;
mod guard;
mod image;
mod operations;
mod orders;
mod pages;
mod policies;
mod rehearsal;
mod releases;
mod replay;
mod scan;
mod service;
mod signals;
mod values;
mod view;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::route;
use axum::Router;
use axum::routing::{get, post, put};
use store::{Artifacts, SqliteReader};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::driver::{Condition, Handle};
use crate::journal::{Journal, PROGRESS_EVERY};
use crate::settings::Settings;
use crate::start::SharedReader;
use archive::Charts;
use guard::Token;
use scan::Counted;

/// What every handler shares.
#[derive(Debug)]
pub(crate) struct Shared {
    settings: Arc<Settings>,
    handle: Handle,
    journal: Arc<Journal>,
    artifacts: Arc<Artifacts>,
    reader: SharedReader,
    condition: watch::Receiver<Condition>,
    /// Open event streams; each holds one permit.
    streams: Arc<Semaphore>,
    /// Images being received; each is held in memory as a whole.
    uploads: Semaphore,
    counted: tokio::sync::Mutex<Option<Counted>>,
    charts: Arc<Mutex<Charts>>,
    token: Token,
}

impl Shared {
    pub(crate) fn new(
        settings: Arc<Settings>,
        handle: Handle,
        journal: Arc<Journal>,
        artifacts: Artifacts,
        reader: SqliteReader,
        condition: watch::Receiver<Condition>,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(settings.event_streams_max));
        Self {
            settings,
            handle,
            journal,
            artifacts: Arc::new(artifacts),
            reader: Arc::new(Mutex::new(reader)),
            condition,
            streams,
            uploads: Semaphore::new(UPLOADS_MAX),
            counted: tokio::sync::Mutex::new(None),
            charts: Arc::new(Mutex::new(Charts::default())),
            token: Token::draw(),
        }
    }
}

/// What handlers see: what they share, where they listen, and whether the server stops.
#[derive(Debug)]
struct Site {
    shared: Shared,
    address: SocketAddr,
    stopped: watch::Receiver<bool>,
}

impl std::ops::Deref for Site {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Site {
    /// Waits until the server stops.
    fn stop(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stopped.clone();
        async move {
            // A server whose starter is gone stops too.
            drop(stopped.wait_for(|stopped| *stopped).await);
        }
    }
}

/// Serves until `stopped` turns true; then open requests get a moment to end.
pub(crate) async fn serve(listener: TcpListener, shared: Shared, stopped: watch::Receiver<bool>) {
    let address = listener.local_addr().unwrap_or(shared.settings.http);
    let site = Arc::new(Site { shared, address, stopped });
    let pacing = tokio::spawn(settle_progress(Arc::clone(&site)));
    let stop = site.stop();
    let end = site.stop();
    let serving = axum::serve(listener, router(site)).with_graceful_shutdown(stop);
    tokio::select! {
        served = serving => {
            if let Err(error) = served {
                tracing::error!("the console stopped listening: {error}");
            }
        }
        () = async { end.await; tokio::time::sleep(END_WITHIN).await } => {}
    }
    pacing.abort();
}

/// Tells the progress that the journal held back.
async fn settle_progress(site: Arc<Site>) {
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    let stop = site.stop();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = ticks.tick() => {}
        }
        if site.journal.is_owing() {
            let journal = Arc::clone(&site.journal);
            let settled = site.handle.view(move |engine, now| journal.settle(engine, now)).await;
            if settled.is_err() {
                return;
            }
        }
    }
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .merge(interface())
        .merge(console_pages())
        .fallback(answer::unknown_path)
        .method_not_allowed_fallback(answer::unknown_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site), guard::guard))
        .with_state(site)
}

fn interface() -> Router<Arc<Site>> {
    Router::new()
        .route(route::HEALTH, get(service::health))
        .route(route::VERSION, get(service::version))
        .route(route::DOCUMENT, get(service::document))
        .route(route::METRICS, get(service::metrics))
        .route(route::FLEET, get(fleet::fleet))
        .route(route::DEVICES, get(fleet::devices))
        .route(route::DEVICE, get(fleet::device))
        .route(route::DEVICE_HISTORY, get(fleet::history))
        .route(route::DEVICE_WHY, get(fleet::why))
        .route(route::DEVICE_CONSENT, post(consent::consent))
        .route(route::DEVICE_HOLD, post(fleet::hold))
        .route(route::DEVICE_RELEASE, post(fleet::release))
        .route(route::DEVICE_VALUES, get(values::read).put(values::write).post(values::execute))
        .route(route::ARTIFACT, put(image::upload))
        .route(route::RELEASE_LINT, post(releases::lint))
        .route(route::RELEASES, get(releases::list).post(releases::publish))
        .route(route::RELEASE, get(releases::detail))
        .route(route::OPERATION_PLAN, post(operations::plan))
        .route(route::OPERATION_REHEARSAL, post(rehearsal::rehearsal))
        .route(route::OPERATIONS, get(operations::list).post(operations::start))
        .route(route::OPERATION, get(operations::detail))
        .route(route::OPERATION_PAUSE, post(operations::pause))
        .route(route::OPERATION_RESUME, post(operations::resume))
        .route(route::OPERATION_ABORT, post(operations::abort))
        .route(route::OPERATION_DECISIONS, get(operations::decisions))
        .route(route::OPERATION_DEVICES, get(operations::devices))
        .route(route::OPERATION_REPLAY, get(replay::replay))
        .route(route::POLICY_IMPORT, post(policies::import))
        .route(route::SIGNALS, post(signals::signal))
        .route(route::EVENTS, get(events::events))
}

fn console_pages() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(pages::show))
        .route("/devices", get(pages::show))
        .route("/devices/{device}", get(pages::show))
        .route("/devices/{device}/hold", post(pages::hold))
        .route("/devices/{device}/release", post(pages::release))
        .route("/releases", get(pages::show))
        .route("/releases/{release}", get(pages::show))
        .route("/operations", get(pages::show))
        .route("/operations/{operation}", get(pages::show))
        .route("/operations/{operation}/decisions", get(pages::show))
        .route("/operations/{operation}/devices", get(pages::show))
        .route("/operations/{operation}/pause", post(pages::pause))
        .route("/operations/{operation}/resume", post(pages::resume))
        .route("/operations/{operation}/abort", post(pages::abort))
        .route("/console/theme", post(pages::theme))
        .route("/console/events", get(events::fragments))
        .route("/assets/{name}", get(pages::asset))
}

/// Time that requests under way have to end when the server stops.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Images received at the same time. Each costs up to `artifact_bytes_max` of memory.
const UPLOADS_MAX: usize = 2;
