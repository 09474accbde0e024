//! The console: pages from the same views that programs get, and forms.

use std::sync::Arc;

use api::{
    AssignmentQuery, DeviceQuery, ListQuery, OperationRef, OrderRequest, ProblemCode, route,
};
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use console::{Frame, Theme, View};
use serde::Deserialize;

use super::Site;
use super::answer::{Named, Refusal, query, wants_page, whole};
use super::orders::Order;

/// Any page.
pub(super) async fn show(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    match view(&site, &uri, &headers).await {
        Ok(view) => Html(view.page(&site.frame(&uri, &headers))).into_response(),
        Err(refusal) => refuse(&site, &uri, &headers, refusal),
    }
}

/// What is at an address of the console.
pub(super) async fn view(site: &Site, uri: &Uri, headers: &HeaderMap) -> Result<View, Refusal> {
    let frame = site.frame(uri, headers);
    let segments: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    Ok(match segments.as_slice() {
        [] => console::fleet(&site.fleet().await?),
        ["devices"] => {
            let asked: DeviceQuery = query(uri)?;
            console::devices(&site.find(asked.clone()).await?, &asked)
        }
        ["devices", device] => console::device(&site.device(&decode(device)).await?, &frame),
        ["releases"] => {
            let asked: ListQuery = query(uri)?;
            console::releases(&site.releases(&asked).await?, &asked)
        }
        ["releases", release] => console::release(&site.release(&decode(release)).await?),
        ["operations"] => {
            let asked: ListQuery = query(uri)?;
            console::operations(&site.operations(&asked).await?, &asked)
        }
        ["operations", name] => console::operation(&site.operation(&decode(name)).await?, &frame),
        ["operations", name, "decisions"] => {
            let asked: ListQuery = query(uri)?;
            let id = site.operation_id(&decode(name)).await?;
            let page = site.decision_page(id, &asked).await?;
            console::decisions(&OperationRef::from(id), &page, &asked)
        }
        ["operations", name, "devices"] => {
            let asked: AssignmentQuery = query(uri)?;
            let id = site.operation_id(&decode(name)).await?;
            let page = site.assignments(id, &asked).await?;
            console::operation_devices(&OperationRef::from(id), &page, &asked)
        }
        _ => {
            let hint = "The fleet is at /.";
            return Err(Refusal::not_found("page", uri.path(), hint));
        }
    })
}

/// Says why not: as a page to those who read pages, as a problem to programs.
pub(super) fn refuse(site: &Site, uri: &Uri, headers: &HeaderMap, refusal: Refusal) -> Response {
    if !wants_page(uri, headers) {
        return refusal.into_response();
    }
    let page = console::problem(&refusal.0).page(&site.frame(uri, headers));
    let status = StatusCode::from_u16(refusal.0.status);
    (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Html(page)).into_response()
}

/// A file that pages refer to; its name changes with its content.
pub(super) async fn asset(uri: Uri) -> Result<Response, Refusal> {
    let asset = console::asset(uri.path())
        .ok_or_else(|| Refusal::not_found("file", uri.path(), "Load the page again."))?;
    let kept = "public, max-age=31536000, immutable";
    Ok(([(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, kept)], asset.bytes).into_response())
}

/// A form of one of our own pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filled {
    csrf: String,
    reason: String,
    theme: String,
    next: String,
}

/// A form whose token was checked, and what is in the path.
pub(super) struct Posted {
    site: Arc<Site>,
    uri: Uri,
    headers: HeaderMap,
    name: String,
    filled: Filled,
}

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
        let refuse = |refusal| refuse(site, &uri, &headers, refusal);
        // Only the form for the theme has no name in its path.
        let name = match Named::from_request_parts(&mut parts, site).await {
            Ok(Named(name)) => name,
            Err(_) => String::new(),
        };
        let request = Request::from_parts(parts.clone(), body);
        let body = whole(request, FORM_BYTES_MAX).await.map_err(refuse)?;
        let request = Request::from_parts(parts, axum::body::Body::from(body));
        let Form(filled) =
            Form::<Filled>::from_request(request, site).await.map_err(|rejection| {
                refuse(Refusal::new(ProblemCode::BadRequest, rejection.to_string()))
            })?;
        if !site.token.is(&filled.csrf) {
            let message = "the form is not one of this server's own, or older than its last start";
            let refusal = Refusal::new(ProblemCode::ForgeryToken, message);
            return Err(refuse(refusal.hint("Load the page again and repeat the order.")));
        }
        Ok(Self { site: Arc::clone(site), uri, headers, name, filled })
    }
}

/// Stops an operation until it is resumed.
pub(super) async fn pause(posted: Posted) -> Response {
    posted.order(Order::Pause).await
}

/// Lets a paused operation go on.
pub(super) async fn resume(posted: Posted) -> Response {
    posted.order(Order::Resume).await
}

/// Stops an operation for good.
pub(super) async fn abort(posted: Posted) -> Response {
    posted.order(Order::Abort).await
}

/// Leaves a device alone.
pub(super) async fn hold(posted: Posted) -> Response {
    let held = posted.site.hold(&posted.name, posted.filled.reason.clone()).await;
    posted.back(&format!("/devices/{}", encoded(&posted.name)), held.map(drop))
}

/// Lets a held device be updated again.
pub(super) async fn release(posted: Posted) -> Response {
    let released = posted.site.release_hold(&posted.name).await;
    posted.back(&format!("/devices/{}", encoded(&posted.name)), released.map(drop))
}

/// Remembers light or dark.
pub(super) async fn theme(posted: Posted) -> Response {
    let theme = Theme::parse(&posted.filled.theme).as_str();
    let cookie = format!("theme={theme}; Path=/; Max-Age=31536000; SameSite=Strict; HttpOnly");
    let next = inside(&posted.filled.next);
    (StatusCode::SEE_OTHER, [(LOCATION, next), (SET_COOKIE, cookie)]).into_response()
}

impl Posted {
    async fn order(self, order: Order) -> Response {
        let given = async {
            let operation = self.site.operation_id(&self.name).await?;
            let by = Some("console".to_owned());
            let request = OrderRequest { reason: self.filled.reason.clone(), by };
            self.site.give(operation, order, request).await
        }
        .await;
        self.back(&format!("/operations/{}", encoded(&self.name)), given)
    }

    /// Back to the page that the form was on.
    fn back(&self, page: &str, done: Result<(), Refusal>) -> Response {
        match done {
            Ok(()) => (StatusCode::SEE_OTHER, [(LOCATION, page.to_owned())]).into_response(),
            Err(refusal) => refuse(&self.site, &self.uri, &self.headers, refusal),
        }
    }
}

impl Site {
    fn frame(&self, uri: &Uri, headers: &HeaderMap) -> Frame {
        Frame {
            path: uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string),
            csrf: self.token.as_str().to_owned(),
            theme: theme_of(headers),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            notice: String::new(),
        }
    }
}

fn theme_of(headers: &HeaderMap) -> Theme {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let theme = cookies
        .flat_map(|value| value.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("theme="));
    Theme::parse(theme.unwrap_or_default())
}

/// A path of this server, or the fleet: a form must not send anybody elsewhere.
fn inside(path: &str) -> String {
    let local = path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\");
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    if local && plain { path.to_owned() } else { "/".to_owned() }
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    route::fill("/{name}", &[name]).split_off(1)
}

/// A segment of a path without its percent signs (RFC 3986 §2.1); a sign without two digits stays.
fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| segment.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Longest form; its fields are short.
const FORM_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_lead_nowhere_else() {
        for (next, leads) in [
            ("/devices?q=x", "/devices?q=x"),
            ("", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nset-cookie: x", "/"),
        ] {
            assert_eq!(inside(next), leads, "{next:?}");
        }
    }

    #[test]
    fn names_survive_the_path() {
        for name in ["dev-7", "urn:dev:ops:1", "a/b?c d", "é%", "100%25"] {
            assert_eq!(decode(&encoded(name)), name);
        }
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn the_theme_is_in_a_cookie() {
        for (cookie, theme) in [
            ("", Theme::Auto),
            ("theme=dark", Theme::Dark),
            ("a=b; theme=light; c=d", Theme::Light),
            ("theme=<script>", Theme::Auto),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookie.parse().unwrap());
            assert_eq!(theme_of(&headers), theme, "{cookie}");
        }
    }
}
