//! Requests of a server to a device (LwM2M 1.1 TS core, section 6.3), as values to hand to a
//! `coap::Endpoint`.
//!
//! Paths are those of the data model; [`under_root`] moves a request to a device that keeps its
//! objects elsewhere. Answers are read by [`crate::decode_response`].

use std::fmt;

use bytes::Bytes;
use coap::{OptionNumber, Request};

use crate::codec::{EncodeError, encode, encode_paths};
use crate::{ContentFormat, Leaf, Path, Value};

/// Builds a Read; without `accept` the device chooses the format.
#[must_use]
pub fn read(path: Path, accept: Option<ContentFormat>) -> Request {
    accepting(Request::get(&path.to_string()), accept)
}

/// Builds an Observe: a Read whose changes are notified.
#[must_use]
pub fn observe(path: Path, accept: Option<ContentFormat>) -> Request {
    read(path, accept).observe(OBSERVE)
}

/// Builds a Cancel Observation, which ends one by asking (section 6.5.2).
#[must_use]
pub fn cancel_observe(path: Path, accept: Option<ContentFormat>) -> Request {
    read(path, accept).observe(CANCEL)
}

/// Builds a Discover: what is at the path, and which attributes it has.
#[must_use]
pub fn discover(path: Path) -> Request {
    read(path, Some(ContentFormat::LINK))
}

/// Says what a Write does to what it does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It goes: an instance has only the written resources afterwards, a resource only the
    /// written values.
    Replace,
    /// It stays.
    Update,
}

/// Builds a Write of values at or below `path`.
///
/// An update always addresses an instance, because a POST to a resource would execute it; with
/// the path of a resource it addresses the instance around it.
///
/// # Errors
/// See [`EncodeError`].
pub fn write(
    path: Path,
    leaves: &[Leaf],
    format: ContentFormat,
    mode: WriteMode,
) -> Result<Request, EncodeError> {
    let (path, request) = match mode {
        WriteMode::Replace => (path, Request::put(&path.to_string())),
        WriteMode::Update if format.is_single_value() => {
            return Err(EncodeError::NotSingle(format));
        }
        WriteMode::Update => {
            let instance = path.truncated(2);
            (instance, Request::post(&instance.to_string()))
        }
    };
    carrying(request, path, leaves, format)
}

/// Builds a Write of one resource or resource instance.
///
/// # Errors
/// See [`EncodeError`].
pub fn write_value(
    path: Path,
    value: Value,
    format: ContentFormat,
) -> Result<Request, EncodeError> {
    write(path, &[Leaf::new(path, value)], format, WriteMode::Replace)
}

/// Builds a Write of bytes to a resource, such as a firmware image; the bytes are not copied.
#[must_use]
pub fn write_opaque(path: Path, bytes: Bytes) -> Request {
    Request::put(&path.to_string()).content_format(ContentFormat::OPAQUE.0).payload(bytes)
}

/// Builds an Execute; arguments look like `0='x',1` (section 6.3.5), empty for none.
#[must_use]
pub fn execute(path: Path, arguments: &str) -> Request {
    let request = Request::post(&path.to_string());
    if arguments.is_empty() {
        return request;
    }
    request
        .content_format(ContentFormat::TEXT.0)
        .payload(Bytes::copy_from_slice(arguments.as_bytes()))
}

/// Builds a Create of an object instance with its first values.
///
/// # Errors
/// See [`EncodeError`].
pub fn create(
    instance: Path,
    leaves: &[Leaf],
    format: ContentFormat,
) -> Result<Request, EncodeError> {
    let object = instance.truncated(1);
    if let Some(leaf) = leaves.iter().find(|leaf| !instance.is_prefix_of(leaf.path)) {
        return Err(EncodeError::OutOfTree { path: leaf.path, base: instance });
    }
    carrying(Request::post(&object.to_string()), object, leaves, format)
}

/// Builds a Delete of an object instance, or of a resource instance from version 1.2 on.
#[must_use]
pub fn delete(path: Path) -> Request {
    Request::delete(&path.to_string())
}

/// Builds a Write-Attributes.
#[must_use]
pub fn write_attributes(path: Path, attributes: &[NotificationAttribute]) -> Request {
    attributes.iter().fold(Request::put(&path.to_string()), |request, attribute| {
        request.query(&attribute.to_string())
    })
}

/// Builds a Read-Composite of several places; SenML formats only.
///
/// # Errors
/// [`EncodeError::UnsupportedFormat`].
pub fn read_composite(
    paths: &[Path],
    format: ContentFormat,
    accept: Option<ContentFormat>,
) -> Result<Request, EncodeError> {
    let request =
        Request::fetch("/").content_format(format.0).payload(encode_paths(format, paths)?);
    Ok(accepting(request, accept))
}

/// Builds an Observe-Composite of several places; SenML formats only.
///
/// # Errors
/// [`EncodeError::UnsupportedFormat`].
pub fn observe_composite(
    paths: &[Path],
    format: ContentFormat,
    accept: Option<ContentFormat>,
) -> Result<Request, EncodeError> {
    Ok(read_composite(paths, format, accept)?.observe(OBSERVE))
}

/// Builds a Write-Composite of values in several places.
///
/// # Errors
/// See [`EncodeError`].
pub fn write_composite(leaves: &[Leaf], format: ContentFormat) -> Result<Request, EncodeError> {
    carrying(Request::ipatch("/"), Path::ROOT, leaves, format)
}

/// Moves a request below the root path that a device registered with; `/` changes nothing.
#[must_use]
pub fn under_root(root: &str, mut request: Request) -> Request {
    if root.trim_matches('/').is_empty() {
        return request;
    }
    let path = format!("{root}{}", request.path_string());
    while request.options.remove(OptionNumber::URI_PATH) {}
    request.path_segments(&path)
}

/// Is one condition for notifications (LwM2M 1.1 TS core, section 5.1.2); no value takes it away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NotificationAttribute {
    /// `pmin`: least time between two notifications, in seconds.
    PeriodMinS(Option<u32>),
    /// `pmax`: longest time without a notification, in seconds.
    PeriodMaxS(Option<u32>),
    /// `gt`: notify when the value crosses this upwards or downwards.
    GreaterThan(Option<f64>),
    /// `lt`: notify when the value crosses this downwards or upwards.
    LessThan(Option<f64>),
    /// `st`: notify when the value moved at least this far.
    Step(Option<f64>),
    /// `epmin`: least time between two evaluations, in seconds.
    EvaluationPeriodMinS(Option<u32>),
    /// `epmax`: longest time between two evaluations, in seconds.
    EvaluationPeriodMaxS(Option<u32>),
}

impl fmt::Display for NotificationAttribute {
    /// Writes the query, `pmin=10`, or `pmin` to take it away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value): (&str, Option<&dyn fmt::Display>) = match self {
            Self::PeriodMinS(value) => ("pmin", value.as_ref().map(|value| value as _)),
            Self::PeriodMaxS(value) => ("pmax", value.as_ref().map(|value| value as _)),
            Self::GreaterThan(value) => ("gt", value.as_ref().map(|value| value as _)),
            Self::LessThan(value) => ("lt", value.as_ref().map(|value| value as _)),
            Self::Step(value) => ("st", value.as_ref().map(|value| value as _)),
            Self::EvaluationPeriodMinS(value) => ("epmin", value.as_ref().map(|value| value as _)),
            Self::EvaluationPeriodMaxS(value) => ("epmax", value.as_ref().map(|value| value as _)),
        };
        match value {
            Some(value) => write!(f, "{name}={value}"),
            None => f.write_str(name),
        }
    }
}

fn accepting(request: Request, accept: Option<ContentFormat>) -> Request {
    match accept {
        Some(format) => request.accept(format.0),
        None => request,
    }
}

fn carrying(
    request: Request,
    base: Path,
    leaves: &[Leaf],
    format: ContentFormat,
) -> Result<Request, EncodeError> {
    Ok(request.content_format(format.0).payload(encode(format, base, leaves)?))
}

/// RFC 7641, section 2.
const OBSERVE: u32 = 0;
const CANCEL: u32 = 1;

#[cfg(test)]
mod tests {
    use coap::Code;

    use super::*;

    fn check(request: &Request, method: Code, path: &str, queries: &[&str]) {
        assert_eq!((request.method, request.path_string().as_str()), (method, path));
        assert_eq!(request.queries().collect::<Vec<_>>(), queries);
    }

    /// LwM2M 1.1 TS core, section 6.4.5.
    #[test]
    fn methods_and_paths() {
        let level = Path::resource(3, 0, 9);
        check(&read(level, None), Code::GET, "/3/0/9", &[]);
        check(&read(Path::ROOT, None), Code::GET, "/", &[]);
        check(&execute(Path::resource(3, 0, 4), ""), Code::POST, "/3/0/4", &[]);
        check(&delete(Path::instance(9, 1)), Code::DELETE, "/9/1", &[]);
        check(&discover(Path::object(3)), Code::GET, "/3", &[]);
        assert_eq!(discover(Path::object(3)).options.accept(), Some(40));
        assert_eq!(read(level, Some(ContentFormat::TLV)).options.accept(), Some(11542));
        assert_eq!(read(level, None).options.accept(), None);
        assert_eq!(observe(level, None).options.observe(), Some(0));
        assert_eq!(cancel_observe(level, None).options.observe(), Some(1));
        let attributes = [
            NotificationAttribute::PeriodMinS(Some(10)),
            NotificationAttribute::GreaterThan(Some(2.5)),
            NotificationAttribute::Step(None),
        ];
        check(
            &write_attributes(level, &attributes),
            Code::PUT,
            "/3/0/9",
            &["pmin=10", "gt=2.5", "st"],
        );
    }

    #[test]
    fn writes() {
        let lifetime = Leaf::new(Path::resource(1, 0, 1), Value::Integer(60));
        let leaves = std::slice::from_ref(&lifetime);
        let tlv = ContentFormat::TLV;
        let request = write(lifetime.path, leaves, tlv, WriteMode::Replace).unwrap();
        check(&request, Code::PUT, "/1/0/1", &[]);
        assert_eq!(&request.payload[..], [0xc1, 0x01, 60]);
        assert_eq!(request.options.content_format(), Some(11542));
        // A POST to the resource would execute it.
        let request = write(lifetime.path, leaves, tlv, WriteMode::Update).unwrap();
        check(&request, Code::POST, "/1/0", &[]);
        assert_eq!(
            write(lifetime.path, leaves, ContentFormat::TEXT, WriteMode::Update),
            Err(EncodeError::NotSingle(ContentFormat::TEXT))
        );
        let request = create(Path::instance(1, 0), leaves, tlv).unwrap();
        check(&request, Code::POST, "/1", &[]);
        assert_eq!(&request.payload[..], [0x03, 0x00, 0xc1, 0x01, 60]);
        assert!(create(Path::instance(1, 1), leaves, tlv).is_err());
        let image = Bytes::from_static(&[1, 2, 3]);
        let request = write_opaque(crate::firmware::PACKAGE, image.clone());
        check(&request, Code::PUT, "/5/0/0", &[]);
        assert_eq!((request.options.content_format(), request.payload), (Some(42), image));
        let request = execute(crate::firmware::UPDATE, "0='now'");
        assert_eq!(request.options.content_format(), Some(0));
        assert_eq!(&request.payload[..], b"0='now'");
    }

    /// LwM2M 1.1 TS core, sections 6.3.6 and 6.3.7.
    #[test]
    fn composites() {
        let format = ContentFormat::SENML_JSON;
        let request = read_composite(&[Path::resource(3, 0, 9)], format, Some(format)).unwrap();
        check(&request, Code::FETCH, "/", &[]);
        assert_eq!(&request.payload[..], br#"[{"n":"/3/0/9"}]"#);
        let observed = observe_composite(&[Path::object(3)], format, None).unwrap();
        assert_eq!(observed.options.observe(), Some(0));
        let leaves = [Leaf::new(Path::resource(3, 0, 14), Value::String("+01".into()))];
        let request = write_composite(&leaves, format).unwrap();
        check(&request, Code::IPATCH, "/", &[]);
        assert_eq!(&request.payload[..], br#"[{"n":"/3/0/14","vs":"+01"}]"#);
    }

    /// LwM2M 1.0 TS, section 5.2.1: alternate paths.
    #[test]
    fn alternate_roots() {
        let at = |root| under_root(root, observe(Path::resource(3, 0, 9), None));
        check(&at("/"), Code::GET, "/3/0/9", &[]);
        check(&at("/lwm2m"), Code::GET, "/lwm2m/3/0/9", &[]);
        check(&at("/a/b/"), Code::GET, "/a/b/3/0/9", &[]);
        assert_eq!(at("/lwm2m").options.observe(), Some(0));
        check(&under_root("/lwm2m", read(Path::ROOT, None)), Code::GET, "/lwm2m", &[]);
    }
}
