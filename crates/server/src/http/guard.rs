//! What holds for every request: whom it may come from, and what browsers may do with the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::ProblemCode;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::Digest;

use super::Site;
use super::answer::Refusal;
use crate::start::random_seed;

/// Checks a request, has it served, and adds the headers that every answer carries.
pub(super) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match admit(site.address, request.method(), request.headers()) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => {
            let stop = site.stop();
            tokio::select! {
                response = next.run(request) => response,
                // Only what still waits then, for a slow upload for instance, is cut off.
                () = async { stop.await; tokio::time::sleep(STOP_WITHIN).await } => {
                    Refusal::from(crate::driver::Unavailable::Stopping).into_response()
                }
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(console::CONTENT_SECURITY_POLICY),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses what a foreign page may have made a browser send.
fn admit(address: SocketAddr, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    if address.ip().is_loopback() && !is_local(host) {
        let message = format!("this server does not answer to the name `{host}`");
        return Err(Refusal::new(ProblemCode::BadRequest, message)
            .field("host")
            .hint(format!("Ask for http://{address}/, or have it listen on another address.")));
    }
    let harmless = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if let (false, Some(origin)) = (harmless, text(ORIGIN))
        && origin.split_once("://").is_none_or(|(_, from)| !from.eq_ignore_ascii_case(host))
    {
        let message = format!("the request comes from a page of `{origin}`");
        return Err(Refusal::new(ProblemCode::ForgeryToken, message)
            .field("origin")
            .hint("Orders are taken from this server's own pages and from programs."));
    }
    Ok(())
}

/// Whether a Host header names this machine. An attacker's page reaches a loopback server by
/// pointing a name of its own there, never by an address, so every address is fine.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

/// Proves that a form came from one of our own pages: other origins cannot read it.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// Draws one for this run.
    pub(super) fn draw() -> Self {
        let mut hasher = sha2::Sha256::new();
        for _ in 0..4 {
            hasher.update(random_seed().to_be_bytes());
        }
        Self(model::Sha256(hasher.finalize().into()).to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether that is it, in a time that does not tell how much of it was right.
    pub(super) fn is(&self, given: &str) -> bool {
        let (own, given) = (self.0.as_bytes(), given.as_bytes());
        let difference = own.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == given.len() && difference == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Time that requests under way have to end when the server stops.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for (host, local) in [
            ("127.0.0.1:8080", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("a.localhost:1", true),
            ("", false),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example:8080", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }

    #[test]
    fn orders_from_foreign_pages_are_refused() {
        let loopback: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let open: SocketAddr = "192.0.2.1:8080".parse().unwrap();
        let check = |address, method: Method, host: &str, origin: Option<&str>, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            let code = admit(address, &method, &headers).err().map(|refusal| refusal.0.code);
            assert_eq!(code, expected, "{method} {host} {origin:?}");
        };
        let forged = Some(ProblemCode::ForgeryToken);
        check(loopback, Method::GET, "localhost:8080", None, None);
        check(loopback, Method::GET, "evil.example", None, Some(ProblemCode::BadRequest));
        check(open, Method::GET, "fleet.example", None, None);
        check(loopback, Method::POST, "localhost:8080", None, None);
        check(loopback, Method::POST, "localhost:8080", Some("http://localhost:8080"), None);
        check(loopback, Method::POST, "localhost:8080", Some("http://localhost:9"), forged);
        check(open, Method::POST, "fleet.example", Some("https://evil.example"), forged);
        check(open, Method::POST, "fleet.example", Some("null"), forged);
        check(open, Method::GET, "fleet.example", Some("https://evil.example"), None);
    }

    #[test]
    fn tokens_are_long_and_compared_whole() {
        let token = Token::draw();
        assert_eq!(token.as_str().len(), 64);
        assert!(token.is(token.as_str()));
        assert!(!token.is("") && !token.is(&token.as_str()[1..]));
        assert!(!token.is(Token::draw().as_str()));
    }
}
