//! Signals of the business about single devices.

use std::sync::Arc;

use api::{ProblemCode, SignalReceipt, SignalRequest};
use axum::Json;
use axum::extract::State;

use super::Site;
use super::answer::{Answer, Content, Refusal};
use super::fleet::{device_of, unknown_device};
use super::orders::by_or_api;
use super::view::View;

/// Takes in a signal about a device.
pub(super) async fn signal(
    State(site): State<Arc<Site>>,
    Content(request): Content<SignalRequest>,
) -> Answer<SignalReceipt> {
    check(&request)?;
    let journal = Arc::clone(&site.journal);
    let receipt = site
        .handle
        .order(move |engine, now| {
            let known = device_of(engine, &request.device);
            let id = known.ok_or_else(|| unknown_device(&request.device).field("device"))?;
            let operations = engine.signal(id, now)? as u64;
            let device = View::new(engine, now).device_named(id);
            let by = by_or_api(request.by);
            journal.signal(device.clone(), &request.kind, request.text, by, now);
            let kind = request.kind;
            Ok::<_, Refusal>(SignalReceipt { device, kind, at: now.into(), operations })
        })
        .await??;
    Ok(Json(receipt))
}

fn check(request: &SignalRequest) -> Result<(), Refusal> {
    let wrong = |field: &str, message: String| {
        Err(Refusal::new(ProblemCode::BadRequest, message).field(field))
    };
    let kind = &request.kind;
    if kind.is_empty() || kind.len() > KIND_BYTES_MAX || kind.chars().any(char::is_whitespace) {
        let message = format!("a kind is one word of 1 to {KIND_BYTES_MAX} bytes");
        return wrong("kind", message);
    }
    if request.text.len() > TEXT_BYTES_MAX {
        return wrong("text", format!("a text has at most {TEXT_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Longest kind, in bytes.
const KIND_BYTES_MAX: usize = 64;

/// Longest text, in bytes; it is kept with the event.
const TEXT_BYTES_MAX: usize = 1_000;
