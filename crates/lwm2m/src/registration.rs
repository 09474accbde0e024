//! What a device says when it registers and updates (LwM2M 1.1 TS core, section 6.2).

mod links;
mod update;

#[cfg(test)]
mod tests;

use coap::{Code, Request};
use thiserror::Error;

pub use self::links::{ObjectLinks, RegisteredObject};
pub use self::update::UpdateRequest;
use crate::ContentFormat;
use crate::endpoint::{
    BindingMode, EndpointName, EndpointNameError, LwM2mVersion, UnsupportedVersion,
};
use crate::link::{LinkError, LinkLimits};

/// Is a Register request: who the device is, how long its registration lasts, what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterRequest {
    /// The device's name (`ep`).
    pub endpoint: EndpointName,
    /// How long the registration lasts without an update, in seconds (`lt`); 0 means for ever
    /// (LwM2M 1.1 TS core, appendix E.2, resource 1). 86400 when the device does not say.
    pub lifetime_s: u32,
    /// The version of the enabler (`lwm2m`).
    pub version: LwM2mVersion,
    /// The transports (`b`).
    pub binding: BindingMode,
    /// Whether the device sleeps and is reached only after it sent something: a bare `Q` from
    /// version 1.1, a `Q` in `b` in version 1.0.
    pub queue_mode: bool,
    /// The number for SMS (`sms`).
    pub sms_number: Option<String>,
    /// The device's objects and their instances.
    pub links: ObjectLinks,
    /// Every other query, such as `mac=…`, in the order sent; empty values for bare names.
    pub attributes: Vec<(String, String)>,
}

impl RegisterRequest {
    /// Describes a device with a name and objects, and the protocol's own choice for the rest.
    #[must_use]
    pub const fn new(endpoint: EndpointName, links: ObjectLinks) -> Self {
        Self {
            endpoint,
            lifetime_s: LIFETIME_S_DEFAULT,
            version: LwM2mVersion::V1_0,
            binding: BindingMode::UDP,
            queue_mode: false,
            sms_number: None,
            links,
            attributes: Vec::new(),
        }
    }

    /// Reads a Register of a device that proved no identity, with the default limits.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub fn parse(request: &Request) -> Result<Self, RegistrationError> {
        Self::parse_within(&RegistrationLimits::default(), request, None)
    }

    /// Reads a Register, with limits of the caller.
    ///
    /// With the `identity` that the device proved, its name may be left out and must not differ
    /// (LwM2M 1.1 TS core, section 6.2.1.1).
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub fn parse_within(
        limits: &RegistrationLimits,
        request: &Request,
        identity: Option<&EndpointName>,
    ) -> Result<Self, RegistrationError> {
        let links = links_of(limits, request)?.ok_or(RegistrationError::NoObjects)?;
        Self::from_queries(request.queries(), links, identity)
    }

    /// Reads what [`RegisterRequest::queries`] and the text of [`ObjectLinks`] hold, to bring a
    /// kept registration back.
    ///
    /// # Errors
    /// See [`RegistrationError`].
    pub fn from_parts<'a>(
        queries: impl IntoIterator<Item = &'a str>,
        links: &str,
    ) -> Result<Self, RegistrationError> {
        // It was held to the limits when it came in; they may have been others then.
        let links = ObjectLinks::parse(&LinkLimits { bytes_max: usize::MAX }, links)?;
        Self::from_queries(queries, links, None)
    }

    /// Returns the queries of a Register that says the same.
    #[must_use]
    pub fn queries(&self) -> Vec<String> {
        let old_queue = self.queue_mode && self.version == LwM2mVersion::V1_0;
        let mut queries = vec![
            format!("ep={}", self.endpoint),
            format!("lt={}", self.lifetime_s),
            format!("lwm2m={}", self.version),
            format!("b={}{}", self.binding, if old_queue { "Q" } else { "" }),
        ];
        if self.queue_mode && !old_queue {
            queries.push("Q".to_owned());
        }
        queries.extend(self.sms_number.as_ref().map(|number| format!("sms={number}")));
        queries.extend(self.attributes.iter().map(|(name, value)| match value.as_str() {
            "" => name.clone(),
            value => format!("{name}={value}"),
        }));
        queries
    }

    /// Builds the request that a device sends to register.
    #[must_use]
    pub fn to_request(&self) -> Request {
        let request = Request::post("/rd").content_format(ContentFormat::LINK.0);
        let request = self.queries().iter().fold(request, |request, query| request.query(query));
        request.payload(self.links.to_string())
    }

    fn from_queries<'a>(
        queries: impl IntoIterator<Item = &'a str>,
        links: ObjectLinks,
        identity: Option<&EndpointName>,
    ) -> Result<Self, RegistrationError> {
        let queries = Queries::read(queries)?;
        let claimed = queries.endpoint.map(EndpointName::new).transpose()?;
        let endpoint = match (claimed, identity) {
            (Some(claimed), Some(identity)) if claimed != *identity => {
                return Err(RegistrationError::NotYourName { claimed });
            }
            (Some(claimed), _) => claimed,
            (None, Some(identity)) => identity.clone(),
            (None, None) => return Err(RegistrationError::NoEndpoint),
        };
        let version = queries.version.map(str::parse).transpose()?.unwrap_or_default();
        let (binding, queue_mode) = queries.binding()?.unwrap_or_default();
        Ok(Self {
            endpoint,
            lifetime_s: queries.lifetime_s()?.unwrap_or(LIFETIME_S_DEFAULT),
            version,
            binding,
            queue_mode: queue_mode || queries.queue_mode,
            sms_number: queries.sms_number.map(str::to_owned),
            links,
            attributes: queries.attributes,
        })
    }
}

/// Bounds a Register or an Update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationLimits {
    /// Longest list of links, in bytes; a device with more instances is refused. A kept
    /// registration costs about four times as much.
    pub links_bytes_max: usize,
}

impl Default for RegistrationLimits {
    fn default() -> Self {
        Self { links_bytes_max: 4096 }
    }
}

/// Says why a Register or Update is refused; the fault is with the device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// There is no `ep`, and no identity to take the name from.
    #[error("the endpoint name is missing; send ep=NAME")]
    NoEndpoint,
    /// The `ep` is not a name.
    #[error(transparent)]
    Endpoint(#[from] EndpointNameError),
    /// The `ep` is another one than the device proved to be.
    #[error("{claimed} is not the name that goes with the credentials; use the name they are for")]
    NotYourName {
        /// The name in the request.
        claimed: EndpointName,
    },
    /// The `lt` is not a number of seconds.
    #[error("the lifetime is not a whole number of seconds below 2^32; send lt=SECONDS")]
    Lifetime,
    /// The `lwm2m` is not a version that is spoken here.
    #[error(transparent)]
    Version(#[from] UnsupportedVersion),
    /// The `b` has letters that name no transport.
    #[error("the binding has letters other than U, M, H, T, S, N and Q; send b=U")]
    Binding,
    /// A query that says one thing occurs twice.
    #[error("the query {0} occurs twice; send it once")]
    Twice(&'static str),
    /// There are more unknown queries than are kept.
    #[error("more than {ATTRIBUTES_MAX} unknown queries; send fewer")]
    TooManyAttributes,
    /// The payload has another format than links.
    #[error("objects come as links (content format 40), not as {0}")]
    Format(ContentFormat),
    /// The payload is not a list of links.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// The payload names no object.
    #[error("no objects; send the device's objects as links")]
    NoObjects,
}

impl RegistrationError {
    /// Returns the code to answer with (LwM2M 1.1 TS core, section 6.4.3).
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotYourName { .. } => Code::FORBIDDEN,
            Self::Version(_) => Code::PRECONDITION_FAILED,
            Self::Format(_) => Code::UNSUPPORTED_CONTENT_FORMAT,
            Self::Links(LinkError::TooLong { .. }) => Code::REQUEST_ENTITY_TOO_LARGE,
            _ => Code::BAD_REQUEST,
        }
    }
}

/// Reads the payload; none when it is empty. Some devices leave the Content-Format out, some send
/// an empty option, which is 0.
fn links_of(
    limits: &RegistrationLimits,
    request: &Request,
) -> Result<Option<ObjectLinks>, RegistrationError> {
    if request.payload.is_empty() {
        return Ok(None);
    }
    match request.options.content_format().map(ContentFormat) {
        None | Some(ContentFormat::LINK | ContentFormat::TEXT) => {}
        Some(other) => return Err(RegistrationError::Format(other)),
    }
    // Before the check for UTF-8, which reads all of it.
    let limits = LinkLimits { bytes_max: limits.links_bytes_max };
    if request.payload.len() > limits.bytes_max {
        let bytes = request.payload.len();
        return Err(LinkError::TooLong { bytes, bytes_max: limits.bytes_max }.into());
    }
    let text = str::from_utf8(&request.payload).map_err(|_| LinkError::NotText)?;
    ObjectLinks::parse(&limits, text).map(Some)
}

/// The queries of a Register or Update, told apart.
#[derive(Default)]
struct Queries<'a> {
    endpoint: Option<&'a str>,
    lifetime: Option<&'a str>,
    version: Option<&'a str>,
    binding: Option<&'a str>,
    queue_mode: bool,
    sms_number: Option<&'a str>,
    attributes: Vec<(String, String)>,
}

impl<'a> Queries<'a> {
    fn read(queries: impl IntoIterator<Item = &'a str>) -> Result<Self, RegistrationError> {
        let mut read = Self::default();
        for query in queries {
            let (name, value) = query.split_once('=').unwrap_or((query, ""));
            let (slot, name) = match name {
                "ep" => (&mut read.endpoint, "ep"),
                "lt" => (&mut read.lifetime, "lt"),
                "lwm2m" => (&mut read.version, "lwm2m"),
                "b" => (&mut read.binding, "b"),
                "sms" => (&mut read.sms_number, "sms"),
                "Q" => {
                    read.queue_mode = true;
                    continue;
                }
                "" => continue,
                _ if read.attributes.len() >= ATTRIBUTES_MAX => {
                    return Err(RegistrationError::TooManyAttributes);
                }
                _ => {
                    read.attributes.push((name.to_owned(), value.to_owned()));
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(RegistrationError::Twice(name));
            }
        }
        Ok(read)
    }

    fn lifetime_s(&self) -> Result<Option<u32>, RegistrationError> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let read = |text: &str| digits(text).then(|| text.parse().ok()).flatten();
        self.lifetime.map(|text| read(text).ok_or(RegistrationError::Lifetime)).transpose()
    }

    fn binding(&self) -> Result<Option<(BindingMode, bool)>, RegistrationError> {
        let read = |text| BindingMode::parse(text).ok_or(RegistrationError::Binding);
        self.binding.map(read).transpose()
    }
}

/// LwM2M 1.1 TS core, section 6.2.1.2: a day.
const LIFETIME_S_DEFAULT: u32 = 86_400;
/// Real devices send one or two; each may have 255 bytes, so this keeps 4 kB at most.
const ATTRIBUTES_MAX: usize = 16;
