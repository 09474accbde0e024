//! Answers of a device to the server's requests.

use coap::{Code, Response};
use thiserror::Error;

use crate::codec::{CodecError, decode};
use crate::link::{CoreLink, LinkError, parse_links};
use crate::{ContentFormat, Definitions, Leaf, Path};

/// Reads the values in the answer to a Read, in a notification, or in any response with values.
///
/// The Content-Format of the answer counts, whatever format was asked for: devices that do not
/// know `Accept` answer in their own. Without one, a resource is plain text and anything above
/// is TLV, as version 1.0 had it.
///
/// # Errors
/// See [`ResponseError`].
pub fn decode_response(
    path: Path,
    response: &Response,
    definitions: &Definitions,
) -> Result<Vec<Leaf>, ResponseError> {
    check_response(response)?;
    let implied = if path.depth() < 3 { ContentFormat::TLV } else { ContentFormat::TEXT };
    let format = response.options.content_format().map_or(implied, ContentFormat);
    Ok(decode(format, path, &response.payload, definitions)?)
}

/// Reads the links in the answer to a Discover.
///
/// # Errors
/// See [`ResponseError`].
pub fn decode_discovery(response: &Response) -> Result<Vec<CoreLink>, ResponseError> {
    check_response(response)?;
    let text = str::from_utf8(&response.payload).map_err(|_| LinkError::NotText)?;
    Ok(parse_links(text)?)
}

/// Tells success from refusal, for requests whose answer has no content.
///
/// # Errors
/// [`ResponseError::Refused`].
pub fn check_response(response: &Response) -> Result<(), ResponseError> {
    if response.code.is_success() {
        return Ok(());
    }
    Err(ResponseError::Refused { code: response.code, diagnostic: diagnostic(response) })
}

/// Says why an answer brings nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// The device refused the request.
    #[error("the device answered {code}{}{diagnostic}", if diagnostic.is_empty() { "" } else { ": " })]
    Refused {
        /// The code of the answer.
        code: Code,
        /// What the device says about it, at most 200 characters, often nothing.
        diagnostic: String,
    },
    /// The device's values cannot be read.
    #[error("the device's answer cannot be read: {0}")]
    Values(#[from] CodecError),
    /// The device's links cannot be read.
    #[error("the device's answer cannot be read: {0}")]
    Links(#[from] LinkError),
}

impl ResponseError {
    /// Returns the code with which the device refused.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Values(_) | Self::Links(_) => None,
        }
    }
}

/// RFC 7252, section 5.5.2: a payload without format in an error is meant for people.
fn diagnostic(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.payload[..response.payload.len().min(BYTES_MAX)]);
    text.chars().filter(|character| !character.is_control()).take(DIAGNOSTIC_MAX).collect()
}

/// A sentence or two; the rest of a hostile megabyte stays out of logs.
const DIAGNOSTIC_MAX: usize = 200;
const BYTES_MAX: usize = 4 * DIAGNOSTIC_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Value, ValueKind};

    fn content(format: Option<ContentFormat>, payload: &'static [u8]) -> Response {
        let response = Response::new(Code::CONTENT).payload(payload);
        match format {
            Some(format) => response.content_format(format.0),
            None => response,
        }
    }

    #[test]
    fn the_format_of_the_answer_counts() {
        let definitions = Definitions::core();
        let level = Path::resource(3, 0, 9);
        let check = |path: Path, format: Option<ContentFormat>, payload: &'static [u8]| {
            let read = decode_response(path, &content(format, payload), &definitions);
            assert_eq!(read, Ok(vec![Leaf::new(level, Value::Integer(100))]), "{format:?}");
        };
        check(level, None, b"100");
        check(level.truncated(2), None, b"\xc1\x09\x64");
        check(level, Some(ContentFormat::TEXT), b"100");
        check(level, Some(ContentFormat::TLV_DRAFT), b"\xc1\x09\x64");
        check(level, Some(ContentFormat::LWM2M_JSON_DRAFT), br#"{"e":[{"v":100}]}"#);
        check(level.truncated(1), Some(ContentFormat::SENML_JSON), br#"[{"bn":"/3/0/9","v":100}]"#);
    }

    #[test]
    fn refusals() {
        let definitions = Definitions::core();
        let check = |response: Response, expected: &str| {
            let error = decode_response(Path::object(3), &response, &definitions).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(Response::new(Code::NOT_FOUND), "the device answered 4.04");
        check(
            Response::new(Code::UNAUTHORIZED).payload(&b"no\x1b[31m access"[..]),
            "the device answered 4.01: no[31m access",
        );
        let long = Response::new(Code::INTERNAL_SERVER_ERROR).payload(vec![b'x'; 1 << 20]);
        let ResponseError::Refused { code, diagnostic } = check_response(&long).unwrap_err() else {
            panic!("refused");
        };
        assert_eq!((code, diagnostic.len()), (Code::INTERNAL_SERVER_ERROR, 200));
        let wrong = content(Some(ContentFormat::TEXT), b"full");
        let error = decode_response(Path::resource(3, 0, 9), &wrong, &definitions).unwrap_err();
        let path = Path::resource(3, 0, 9);
        let expected = CodecError::WrongKind { path, expected: ValueKind::Integer };
        assert_eq!((error.code(), error), (None, ResponseError::Values(expected)));
    }

    #[test]
    fn discoveries() {
        let links =
            decode_discovery(&content(Some(ContentFormat::LINK), b"</3/0>;pmin=10,</3/0/9>"));
        let links = links.unwrap();
        assert_eq!(links.len(), 2);
        assert_eq!(links[0].attribute("pmin"), Some("10"));
        assert!(decode_discovery(&content(None, b"\xff")).is_err());
        assert!(decode_discovery(&Response::new(Code::FORBIDDEN)).is_err());
    }
}
