//! Server-sent events (HTML Living Standard §9.2): what happens, and fragments of pages.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use api::ProblemCode;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use console::Fragment;
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Asked, Refusal};
use super::{Site, pages};
use crate::journal::Subscription;

type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything that happens, from now on or after the event that the listener saw last.
pub(super) async fn events(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let after = last_event_id(&headers)?;
    let listener = Listener {
        _permit: site.stream()?,
        stop: Box::pin(site.stop()),
        subscription: site.journal.subscribe(after),
        waiting: VecDeque::new(),
    };
    Ok(stream(unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    })))
}

/// Which page a stream of fragments is for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Watched {
    page: String,
}

/// The fragments of a page as they change.
pub(super) async fn fragments(
    State(site): State<Arc<Site>>,
    Asked(watched): Asked<Watched>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let wrong = || {
        let message = format!("`{}` is no page of this console", watched.page);
        Refusal::new(ProblemCode::BadRequest, message).field("page")
    };
    let page: Uri = watched.page.parse().map_err(|_| wrong())?;
    let first = pages::view(&site, &page, &headers).await?;
    let viewer = Viewer {
        _permit: site.stream()?,
        stop: Box::pin(site.stop()),
        subscription: site.journal.subscribe(None),
        shown: Vec::new(),
        waiting: VecDeque::new(),
        first: Some(first),
        page,
        headers,
        site,
    };
    Ok(stream(unfold(viewer, |mut viewer| async {
        let event = viewer.next().await?;
        Some((Ok(event), viewer))
    })))
}

/// One who listens to events.
struct Listener {
    _permit: OwnedSemaphorePermit,
    stop: Stop,
    subscription: Subscription,
    waiting: VecDeque<Arc<api::Event>>,
}

impl Listener {
    /// None when the server stops.
    async fn next(&mut self) -> Option<Event> {
        if self.waiting.is_empty() {
            let events = tokio::select! {
                () = &mut self.stop => None,
                events = self.subscription.next() => events,
            };
            self.waiting.extend(events?);
        }
        let event = self.waiting.pop_front()?;
        let data = serde_json::to_string(event.as_ref()).unwrap_or_default();
        Some(Event::default().id(event.id.to_string()).event(event.kind.as_str()).data(data))
    }
}

/// One who looks at a page.
struct Viewer {
    _permit: OwnedSemaphorePermit,
    stop: Stop,
    subscription: Subscription,
    shown: Vec<Fragment>,
    waiting: VecDeque<Event>,
    first: Option<console::View>,
    page: Uri,
    headers: HeaderMap,
    site: Arc<Site>,
}

impl Viewer {
    /// None when the server stops, or the page cannot be shown any more.
    async fn next(&mut self) -> Option<Event> {
        while self.waiting.is_empty() {
            let view = match self.first.take() {
                Some(view) => view,
                None => {
                    tokio::select! {
                        () = &mut self.stop => return None,
                        () = wait(&mut self.subscription) => {}
                    }
                    pages::view(&self.site, &self.page, &self.headers).await.ok()?
                }
            };
            let fragments = view.fragments().to_vec();
            let changed = console::changed(&self.shown, &fragments);
            let message =
                |fragment: &&Fragment| Event::default().event("fragment").data(fragment.message());
            self.waiting.extend(changed.iter().map(message));
            self.shown = fragments;
        }
        self.waiting.pop_front()
    }
}

/// Waits until a page is worth drawing again: after something happened, but not too often, and
/// from time to time in any case, since ages and waiting times grow by themselves.
async fn wait(subscription: &mut Subscription) {
    tokio::time::sleep(DRAW_EVERY).await;
    // Whether something came or nothing did for a while, the page is drawn again.
    drop(tokio::time::timeout(DRAW_AT_LEAST, subscription.next()).await);
    // All that has come until now is in the page that is drawn next.
    subscription.skip_to_newest();
}

impl Site {
    /// A permit for one more stream.
    fn stream(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let max = self.settings.event_streams_max;
            Refusal::new(ProblemCode::TooManyRequests, format!("{max} event streams are open"))
                .hint("Close a page or program that listens, or raise `event_streams_max`.")
        })
    }
}

fn stream(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    // A proxy that collects the answer would keep the events to itself.
    response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let name = HeaderName::from_static(api::route::LAST_EVENT_ID);
    let Some(value) = headers.get(name) else { return Ok(None) };
    let id = value.to_str().ok().map(str::trim);
    match id {
        Some("") => Ok(None),
        Some(id) if id.parse::<u64>().is_ok() => Ok(id.parse().ok()),
        _ => Err(Refusal::new(ProblemCode::BadRequest, "the last event's id is not a number")
            .field(api::route::LAST_EVENT_ID)
            .hint("Send the `id` of the last event that was received.")),
    }
}

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Longest silence on a stream, so that both sides notice a broken connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Shortest time between two drawings of a page for one viewer.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// Longest time without drawing a page again.
const DRAW_AT_LEAST: Duration = Duration::from_secs(10);
