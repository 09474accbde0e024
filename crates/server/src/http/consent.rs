//! What the users and owners of devices say to operations.

use std::sync::Arc;
use std::time::Duration;

use api::{ConsentRequest, ProblemCode, WhyReport};
use axum::Json;
use axum::extract::State;
use engine::ConsentAnswer;
use model::Span;

use super::Site;
use super::answer::{Answer, Content, Named, Refusal};
use super::fleet::unknown_device;
use super::orders::by_or_api;
use super::view::View;

/// Gives, puts off or withdraws consent; answers with what the device is to the operation now.
pub(super) async fn consent(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Content(request): Content<ConsentRequest>,
) -> Answer<WhyReport> {
    let delay = delay(&request)?;
    let device = site.device_id(&name).await?;
    let operation = site.operation_id(&request.operation).await?;
    let journal = Arc::clone(&site.journal);
    let given = move |engine: &mut engine::Engine, now: model::Time| {
        let by = by_or_api(request.by);
        let from = now + delay;
        let answer =
            if request.withdraw { ConsentAnswer::Withdrawn } else { ConsentAnswer::From(from) };
        engine.consent(device, operation, answer, &by, &request.reason, now)?;
        let view = View::new(engine, now);
        let from = (!request.withdraw).then_some(from);
        journal.consent(view.device_named(device), operation, from, by, request.reason, now);
        let known = engine.fleet().device(device).zip(view.loops.operation(operation));
        Ok::<_, Refusal>(known.and_then(|(device, operation)| view.report(device, operation)))
    };
    let report = site.handle.order(given).await??;
    report.map(Json).ok_or_else(|| unknown_device(&name))
}

/// How long it is put off.
fn delay(request: &ConsentRequest) -> Result<Duration, Refusal> {
    let wrong = |field: &str, message: String| {
        Err(Refusal::new(ProblemCode::BadRequest, message).field(field))
    };
    if request.reason.len() > WORDS_BYTES_MAX {
        return wrong("reason", format!("a reason has at most {WORDS_BYTES_MAX} bytes"));
    }
    if request.by.as_ref().is_some_and(|by| by.len() > NAME_BYTES_MAX) {
        return wrong("by", format!("a name has at most {NAME_BYTES_MAX} bytes"));
    }
    let Some(text) = &request.defer else { return Ok(Duration::ZERO) };
    if request.withdraw {
        let message = "consent is put off and withdrawn at once; leave out `defer` or `withdraw`";
        return wrong("defer", message.to_owned());
    }
    match text.parse::<Span>() {
        Ok(span) if span.0 <= DEFER_MAX => Ok(span.0),
        Ok(span) => wrong("defer", format!("`defer` is {span}; at most 366d are allowed")),
        Err(error) => wrong("defer", error.to_string()),
    }
}

/// Longest words, in bytes; they are kept with the device.
const WORDS_BYTES_MAX: usize = 1_000;

/// Longest name of who consents, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Longest time that consent is put off.
const DEFER_MAX: Duration = Duration::from_secs(366 * 86_400);
