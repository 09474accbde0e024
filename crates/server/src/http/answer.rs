//! Answers and refusals: JSON out, problems (RFC 9457) when something is wrong, bodies in.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ::operations::{OpenError, OrderError, PublishError};
use api::{Problem, ProblemCode};
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use engine::{AskError, ConsentError, HoldError};
use serde::de::DeserializeOwned;
use store::{ArtifactError, StoreError};

use super::{Site, pages};
use crate::driver::{OrderFailed, Unavailable};

/// What a JSON handler gives.
pub(super) type Answer<T> = Result<Json<T>, Refusal>;

/// Why a request was refused, on its way out.
#[derive(Debug, Clone)]
pub(super) struct Refusal(pub(super) Box<Problem>);

impl Refusal {
    pub(super) fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, message)))
    }

    /// From an error whose text ends with what would help, after a semicolon.
    pub(super) fn told(code: ProblemCode, error: &impl ToString) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((message, hint)) => Self::new(code, message).hint(hint),
            None => Self::new(code, text),
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self(Box::new(self.0.hint(hint)))
    }

    pub(super) fn field(self, field: impl Into<String>) -> Self {
        Self(Box::new(self.0.field(field)))
    }

    pub(super) fn not_found(what: &str, name: &str, hint: &str) -> Self {
        Self::new(ProblemCode::NotFound, format!("there is no {what} `{name}`")).hint(hint)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(CONTENT_TYPE, Problem::MEDIA_TYPE)], Json(self.0)).into_response()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<model::ManifestError> for Refusal {
    fn from(error: model::ManifestError) -> Self {
        let mut problem = Problem::from(&error);
        problem.field = field_named(&error.message);
        problem.into()
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::Stopping => Self::told(ProblemCode::Unavailable, &error),
            Unavailable::Store(_) | Unavailable::Unwritten(_) => {
                Self::told(ProblemCode::StorageFailed, &error)
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::told(ProblemCode::StorageFailed, &error)
    }
}

impl From<ArtifactError> for Refusal {
    fn from(error: ArtifactError) -> Self {
        let code = match &error {
            ArtifactError::WrongDigest { .. } | ArtifactError::Damaged { .. } => {
                ProblemCode::DigestMismatch
            }
            ArtifactError::TooLarge { .. } => ProblemCode::TooLarge,
            ArtifactError::Missing { .. } => ProblemCode::ArtifactMissing,
            ArtifactError::Store(_) => ProblemCode::StorageFailed,
        };
        Self::told(code, &error)
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        let (code, field) = match &error {
            OpenError::UnknownRelease(_) => (ProblemCode::NotFound, Some("release")),
            OpenError::Policy(_) => (ProblemCode::PolicyInvalid, Some("policy")),
            OpenError::TooManyOpen { .. } => (ProblemCode::TooManyRequests, None),
            OpenError::AlreadyOpen { .. } => (ProblemCode::Conflict, None),
            OpenError::NoDevices | OpenError::TooManyDevices { .. } => {
                (ProblemCode::BadRequest, Some("devices"))
            }
            OpenError::UnknownDevice(_) => (ProblemCode::NotFound, Some("devices")),
        };
        let refusal = Self::told(code, &error);
        match field {
            Some(field) => refusal.field(field),
            None => refusal,
        }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Exists { .. } => {
                Self::told(ProblemCode::AlreadyPublished, &error).field("version")
            }
            PublishError::Start(error) => error.into(),
        }
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        let code = match &error {
            OrderError::UnknownOperation(_) => ProblemCode::NotFound,
            _ => ProblemCode::Conflict,
        };
        Self::told(code, &error)
    }
}

impl From<HoldError> for Refusal {
    fn from(error: HoldError) -> Self {
        let code = match &error {
            HoldError::UnknownDevice(_) => ProblemCode::NotFound,
            _ => ProblemCode::Conflict,
        };
        Self::told(code, &error)
    }
}

impl From<ConsentError> for Refusal {
    fn from(error: ConsentError) -> Self {
        let code = match &error {
            ConsentError::UnknownDevice(_) | ConsentError::UnknownOperation(_) => {
                ProblemCode::NotFound
            }
            _ => ProblemCode::Conflict,
        };
        Self::told(code, &error)
    }
}

impl From<OrderFailed> for Refusal {
    fn from(error: OrderFailed) -> Self {
        let code = match &error {
            OrderFailed::Refused(AskError::UnknownDevice(_)) => ProblemCode::NotFound,
            OrderFailed::Refused(AskError::Offline(_) | AskError::Asleep(_)) => {
                ProblemCode::DeviceUnreachable
            }
            OrderFailed::Refused(AskError::Busy(_)) => ProblemCode::TooManyRequests,
            OrderFailed::Refused(AskError::InOperation { .. }) => ProblemCode::Conflict,
            OrderFailed::Unavailable(error) => return error.clone().into(),
            OrderFailed::Timeout => {
                return Self::told(ProblemCode::DeviceTimeout, &error)
                    .hint("Whether it acted is unknown; look at it before repeating an order.");
            }
        };
        Self::told(code, &error)
    }
}

/// A JSON body of bounded length. Its form must be announced, which a foreign page in a browser
/// cannot do without asking first.
pub(super) struct Content<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Site>> for Content<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Arc<Site>) -> Result<Self, Refusal> {
        if !media_type(request.headers()).eq_ignore_ascii_case("application/json") {
            let message = "the body is not announced as JSON";
            return Err(Refusal::new(ProblemCode::BadRequest, message)
                .hint("Send it with `Content-Type: application/json`."));
        }
        let body = whole(request, JSON_BYTES_MAX).await?;
        match Json::<T>::from_bytes(&body) {
            Ok(Json(content)) => Ok(Self(content)),
            Err(rejection) => Err(misread(&rejection)),
        }
    }
}

/// A query; empty values, which forms send for fields left blank, count as absent.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Site>> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Self, Refusal> {
        query(&parts.uri).map(Self)
    }
}

/// Reads the query of an address.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    let given = uri.query().unwrap_or_default();
    let kept: Vec<&str> = given
        .split('&')
        .filter(|pair| pair.split_once('=').is_some_and(|(_, value)| !value.is_empty()))
        .collect();
    let wrong = |detail: String| {
        Refusal::new(ProblemCode::BadRequest, format!("the query is not understood: {detail}"))
            .hint("GET /openapi.json lists what may be asked.")
    };
    let uri: Uri = format!("/?{}", kept.join("&"))
        .parse()
        .map_err(|_| wrong("it is no valid query".to_owned()))?;
    match Query::<T>::try_from_uri(&uri) {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => {
            let text = innermost(&rejection);
            let (path, detail) = path_first(&text);
            let refusal = wrong(detail.to_owned());
            let field = field_named(detail).or_else(|| Some(path.to_owned()));
            Err(match field.filter(|field| !field.is_empty()) {
                Some(field) => refusal.field(field),
                None => refusal,
            })
        }
    }
}

/// The name in the path.
pub(super) struct Named(pub(super) String);

impl FromRequestParts<Arc<Site>> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, site).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(Refusal::new(ProblemCode::BadRequest, "the path is no UTF-8 text")),
        }
    }
}

/// Collects a body of at most that many bytes.
pub(super) async fn whole(request: Request, bytes_max: usize) -> Result<bytes::Bytes, Refusal> {
    let too_large = || {
        Refusal::new(ProblemCode::TooLarge, format!("the body is longer than {bytes_max} bytes"))
    };
    if announced(request.headers()).is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let collecting = axum::body::to_bytes(request.into_body(), bytes_max);
    match tokio::time::timeout(BODY_WITHIN, collecting).await {
        Ok(Ok(body)) => Ok(body),
        // What is not too long broke off, and then nobody reads the answer.
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(too_slow()),
    }
}

pub(super) fn too_slow() -> Refusal {
    Refusal::new(ProblemCode::BadRequest, "the body did not arrive in time")
}

/// The length of a body, if it was announced.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// The idempotency key of an order, if there is one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let name = HeaderName::from_static(api::route::IDEMPOTENCY_KEY);
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Refusal::new(ProblemCode::BadRequest, "the idempotency key is not usable")
            .field(api::route::IDEMPOTENCY_KEY)
            .hint(format!("Use 1 to {KEY_BYTES_MAX} printable ASCII characters."))),
    }
}

/// Says where and why JSON was not understood.
fn misread(rejection: &dyn Error) -> Refusal {
    let text = innermost(rejection);
    let (path, told) = path_first(&text);
    let (message, place) = place_last(told);
    let field = match field_named(message) {
        Some(name) if path.is_empty() || path == name => Some(name),
        Some(name) => Some(format!("{path}.{name}")),
        None => Some(path.to_owned()).filter(|path| !path.is_empty()),
    };
    let mut problem = Problem::new(ProblemCode::BadRequest, message)
        .hint("GET /openapi.json describes every body.");
    if let Some((line, column)) = place {
        problem = problem.at(line, column);
    }
    problem.field = field;
    problem.into()
}

/// The words of the error at the end of the chain; those around it say the same and less.
fn innermost(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Takes the path into the data off an error's words, `policy.linger: invalid value…`.
fn path_first(text: &str) -> (&str, &str) {
    match text.split_once(": ") {
        Some((path, rest)) if !path.contains([' ', '`']) => (path, rest),
        _ => ("", text),
    }
}

/// Takes the place in the text off an error's words, `… at line 2 column 14`.
fn place_last(text: &str) -> (&str, Option<(u64, u64)>) {
    let place = text.rsplit_once(" at line ").and_then(|(message, place)| {
        let (line, column) = place.split_once(" column ")?;
        Some((message, (line.parse().ok()?, column.parse().ok()?)))
    });
    place.map_or((text, None), |(message, place)| (message, Some(place)))
}

/// The field that an error of serde is about, when it names one.
fn field_named(message: &str) -> Option<String> {
    let rest = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

/// Whether the one who asks reads pages rather than data.
pub(super) fn wants_page(uri: &Uri, headers: &HeaderMap) -> bool {
    let accepts = headers
        .get(axum::http::header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"));
    accepts && !uri.path().starts_with("/api/")
}

/// Nothing has that path.
pub(super) async fn unknown_path(
    site: axum::extract::State<Arc<Site>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let hint = "GET /openapi.json lists every path.";
    let refusal = Refusal::not_found("path", uri.path(), hint);
    pages::refuse(&site, &uri, &headers, refusal)
}

/// Something has that path, but not with that method.
pub(super) async fn unknown_method(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    let message = format!("{} cannot be asked for with {method}", uri.path());
    Refusal::new(ProblemCode::MethodNotAllowed, message)
        .hint("GET /openapi.json lists the methods of every path.")
        .into_response()
}

/// Text that is no JSON.
pub(super) fn text(content_type: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, content_type)], Body::from(text)).into_response()
}

/// Longest JSON body. A manifest has a few kilobytes; a hundred thousand hand-picked devices fit.
const JSON_BYTES_MAX: usize = 8 << 20;

/// Time a JSON body or a form has to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Longest idempotency key, in bytes; keys are kept for ever.
const KEY_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    /// These words come from serde; when they change, paths and places would be lost.
    #[test]
    fn errors_in_json_name_field_and_place() {
        let check = |json: &str, field: Option<&str>, place: Option<(u64, u64)>, says: &str| {
            let rejection = Json::<api::StartRequest>::from_bytes(json.as_bytes());
            let problem = misread(&rejection.expect_err("a mistake")).0;
            assert_eq!(problem.field.as_deref(), field, "{json}: {problem}");
            assert_eq!(problem.line.zip(problem.column), place, "{json}: {problem}");
            assert!(problem.message.starts_with(says), "{json}: {problem}");
        };
        check("{", None, Some((1, 1)), "EOF");
        check("{\n \"release\": 7}", Some("release"), Some((2, 13)), "invalid type: integer `7`");
        check("{\"relase\": \"\"}", Some("relase"), Some((1, 9)), "unknown field `relase`");
        check(
            "{\"policy\": {\"linger\": \"soon\"}}",
            Some("policy.linger"),
            Some((1, 29)),
            "`soon` is not a span of time",
        );
        check("7", None, Some((1, 1)), "invalid type");
    }
}
