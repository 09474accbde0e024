//! `coap://` addresses with an IP literal for a host: the only ones a client without DNS can fetch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use coap::Request;
use thiserror::Error;

/// A `coap://` URI taken apart (RFC 7252, 6.4).
///
/// The host must be an IP literal: this crate owns no resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapUri {
    peer: SocketAddr,
    segments: Vec<String>,
    queries: Vec<String>,
}

/// Why a URI cannot be fetched; the fault is of whoever wrote the URI.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UriError {
    /// Another scheme than `coap`.
    #[error("only coap:// is supported; offer the file over CoAP")]
    UnsupportedProtocol,
    /// Not a URI, or longer than 255 bytes (the bound of Package URI, LwM2M Core 1.1, E.6).
    #[error("not a usable URI; write coap://ADDRESS[:PORT]/PATH of at most 255 bytes")]
    Invalid,
    /// The host is a name, which this client cannot resolve.
    #[error("the host is a name; write its IP address")]
    HostName,
}

impl CoapUri {
    /// Parses a URI of at most 255 bytes.
    pub fn parse(uri: &str) -> Result<Self, UriError> {
        if uri.len() > URI_BYTES_MAX {
            return Err(UriError::Invalid);
        }
        let (scheme, rest) = uri.split_once("://").ok_or(UriError::Invalid)?;
        let scheme_is_valid = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if !scheme_is_valid {
            return Err(UriError::Invalid);
        }
        if !scheme.eq_ignore_ascii_case("coap") {
            return Err(UriError::UnsupportedProtocol);
        }
        // RFC 7252, 6.4: a URI with a fragment names no CoAP resource.
        if rest.contains('#') {
            return Err(UriError::Invalid);
        }
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(authority_end);
        let (path, query) = match resource.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (resource, None),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let segments = if path.is_empty() { Vec::new() } else { decode_each(path, '/')? };
        let queries = query.map_or(Ok(Vec::new()), |query| decode_each(query, '&'))?;
        Ok(Self { peer: parse_authority(authority)?, segments, queries })
    }

    /// Returns the address to send to; the port is 5683 when the URI has none.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Builds the GET request for this URI.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut request = Request::get("");
        for segment in &self.segments {
            request.options.push(coap::OptionNumber::URI_PATH, segment.as_bytes());
        }
        for query in &self.queries {
            request = request.query(query);
        }
        request
    }
}

fn parse_authority(authority: &str) -> Result<SocketAddr, UriError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(UriError::Invalid)?;
        (IpAddr::V6(host.parse::<Ipv6Addr>().map_err(|_| UriError::Invalid)?), port)
    } else {
        let host_end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(host_end);
        if host.is_empty() || host.contains('@') {
            return Err(UriError::Invalid);
        }
        (IpAddr::V4(host.parse::<Ipv4Addr>().map_err(|_| UriError::HostName)?), port)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => DEFAULT_PORT,
        Some("") => DEFAULT_PORT,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| UriError::Invalid)?
        }
        _ => return Err(UriError::Invalid),
    };
    if port == 0 { Err(UriError::Invalid) } else { Ok(SocketAddr::new(host, port)) }
}

fn decode_each(text: &str, separator: char) -> Result<Vec<String>, UriError> {
    text.split(separator).map(percent_decode).collect()
}

fn percent_decode(text: &str) -> Result<String, UriError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if byte <= b' ' || byte == 0x7f {
                return Err(UriError::Invalid);
            }
            decoded.push(byte);
            continue;
        }
        let mut nibble = || {
            let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            digit.ok_or(UriError::Invalid)
        };
        let value = nibble()? << 4 | nibble()?;
        decoded.push(u8::try_from(value).map_err(|_| UriError::Invalid)?);
    }
    String::from_utf8(decoded).map_err(|_| UriError::Invalid)
}

const DEFAULT_PORT: u16 = 5683;
const URI_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7252, 6.4 and 6.1.
    #[test]
    fn uris_are_taken_apart() {
        let check = |uri: &str, expected: Result<(&str, &str, &str), UriError>| {
            let parsed = CoapUri::parse(uri).map(|parsed| {
                (parsed.peer.to_string(), parsed.segments.join("|"), parsed.queries.join("|"))
            });
            let expected = expected.map(|(peer, segments, queries)| {
                (peer.to_owned(), segments.to_owned(), queries.to_owned())
            });
            assert_eq!(parsed, expected, "{uri}");
        };
        check("coap://10.0.0.1/fw", Ok(("10.0.0.1:5683", "fw", "")));
        check("coap://10.0.0.1", Ok(("10.0.0.1:5683", "", "")));
        check("coap://10.0.0.1/", Ok(("10.0.0.1:5683", "", "")));
        check("COAP://10.0.0.1:7000/a/b%2Fc?x=1&y", Ok(("10.0.0.1:7000", "a|b/c", "x=1|y")));
        check("coap://[2001:db8::1]:61616/a//b", Ok(("[2001:db8::1]:61616", "a||b", "")));
        check("coap://[::1]?q", Ok(("[::1]:5683", "", "q")));
        check("coaps://10.0.0.1/fw", Err(UriError::UnsupportedProtocol));
        check("ftp://10.0.0.1/fw", Err(UriError::UnsupportedProtocol));
        check("coap://updates.example/fw", Err(UriError::HostName));
        check("coap:///fw", Err(UriError::Invalid));
        check("coap://10.0.0.1:0/fw", Err(UriError::Invalid));
        check("coap://10.0.0.1:70000/fw", Err(UriError::Invalid));
        check("coap://10.0.0.1:+1/fw", Err(UriError::Invalid));
        check("coap://[::1/fw", Err(UriError::Invalid));
        check("coap://10.0.0.1/a%2", Err(UriError::Invalid));
        check("coap://10.0.0.1/a%ff", Err(UriError::Invalid));
        check("coap://10.0.0.1/a b", Err(UriError::Invalid));
        check("coap://10.0.0.1/a#b", Err(UriError::Invalid));
        check("a package", Err(UriError::Invalid));
        check("://", Err(UriError::Invalid));
        check(&format!("coap://10.0.0.1/{}", "a".repeat(255)), Err(UriError::Invalid));
    }
}
