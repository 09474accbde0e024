//! Requests of the server: Read, Discover, Write, Write-Attributes, Execute, Create, Delete,
//! Observe (LwM2M Core 1.1, 6.3 and 6.4; response codes from 6.5.6).

use std::net::SocketAddr;
use std::time::Duration;

use coap::{Code, Observer, OptionNumber, Request, Response, Token};

use super::registration::LIFETIME;
use super::tree::{SECURITY, TreeError, WriteMode};
use super::{Client, Event};
use crate::{
    CodecError, CodecLimits, ContentFormat, Leaf, Path, Value, decode_within, encode, firmware,
};

/// What a request leads to besides its response; carried out after the response is sent.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    touched: Vec<Path>,
    attributes_changed: bool,
    links_changed: bool,
    update: bool,
    disable: bool,
}

type Outcome = Result<Response, Code>;

impl Client {
    /// Answers one request and says what else follows from it.
    pub(super) fn answer(
        &mut self,
        peer: SocketAddr,
        token: Token,
        request: &Request,
        now: Duration,
    ) -> (Response, Consequences) {
        let mut consequences = Consequences::default();
        let outcome = self.dispatch(peer, token, request, now, &mut consequences);
        (outcome.unwrap_or_else(Response::new), consequences)
    }

    pub(super) fn carry_out(&mut self, consequences: Consequences, now: Duration) {
        if consequences.attributes_changed {
            self.attributes_changed();
        }
        for path in consequences.touched {
            self.touched(path);
        }
        if consequences.links_changed {
            self.links_changed(now);
        }
        if consequences.update {
            self.update(now);
        }
        self.lifetime_changed(now);
        if consequences.disable {
            let timeout = self.objects.value(DISABLE_TIMEOUT).and_then(Value::as_integer);
            let timeout_s = timeout.and_then(|seconds| u64::try_from(seconds).ok());
            let back_at = now + Duration::from_secs(timeout_s.unwrap_or(DISABLE_TIMEOUT_S));
            self.leave(Some(back_at), now);
        }
    }

    fn dispatch(
        &mut self,
        peer: SocketAddr,
        token: Token,
        request: &Request,
        now: Duration,
        consequences: &mut Consequences,
    ) -> Outcome {
        if peer != self.config.server {
            return Err(Code::UNAUTHORIZED);
        }
        let path = request_path(request)?;
        if path.object_id() == Some(SECURITY) {
            return Err(Code::UNAUTHORIZED);
        }
        match request.method {
            Code::GET if request.options.accept() == Some(ContentFormat::LINK.0) => {
                self.discover(path)
            }
            Code::GET => self.read_or_observe(path, Observer::new(peer, token), request, now),
            Code::PUT if request.queries().next().is_some() => {
                self.write_attributes(path, request, consequences)
            }
            Code::PUT if path.depth() >= 2 => {
                self.write(path, WriteMode::Replace, request, consequences)
            }
            Code::POST => self.post(path, request, consequences),
            Code::DELETE => self.delete(path, consequences),
            _ => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn discover(&self, path: Path) -> Outcome {
        let links = self.objects.discover(path, &self.attributes).map_err(code)?;
        Ok(content(ContentFormat::LINK, links.into_bytes().into()))
    }

    fn read_or_observe(
        &mut self,
        path: Path,
        observer: Observer,
        request: &Request,
        now: Duration,
    ) -> Outcome {
        // The root is for composite operations only (6.3.1).
        if path.is_root() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
        let leaves = self.objects.read(path).map_err(code)?;
        let accept = request.options.accept().map(ContentFormat);
        let format = accept.unwrap_or_else(|| self.default_format(path, &leaves));
        // A format that is unknown, or known and unable to carry this.
        let payload = encode(format, path, &leaves).map_err(|_| Code::NOT_ACCEPTABLE)?;
        let mut response = content(format, payload);
        if request.options.contains(OptionNumber::BLOCK2) || response.payload.len() > ETAG_FROM {
            // The blocks of one answer are read at different times; the tag shows when the
            // values changed in between (RFC 7959, 2.4).
            let tag = digest(&response.payload).to_be_bytes();
            response = response.etag(tag);
        }
        match request.options.observe() {
            Some(0) if self.begin_observation(path, observer, format, now) => {
                response = response.observe(FIRST_SEQUENCE);
            }
            Some(1) => self.cancel_observation(path, &observer),
            _ => self.events.push_back(Event::Read { path }),
        }
        Ok(response)
    }

    fn write_attributes(
        &mut self,
        path: Path,
        request: &Request,
        consequences: &mut Consequences,
    ) -> Outcome {
        if !request.payload.is_empty() {
            return Err(Code::BAD_REQUEST);
        }
        self.objects.check_exists(path).map_err(code)?;
        let numeric = path.depth() >= 3 && self.is_numeric(path);
        let attached = self.attributes.attached(path).updated(request.queries(), numeric);
        let attached = attached.map_err(|_| Code::BAD_REQUEST)?;
        self.attributes.attach(path, attached).map_err(|_| Code::TOO_MANY_REQUESTS)?;
        consequences.attributes_changed = true;
        Ok(Response::new(Code::CHANGED))
    }

    fn post(&mut self, path: Path, request: &Request, consequences: &mut Consequences) -> Outcome {
        match path.depth() {
            1 => self.create(path, request, consequences),
            2 => self.write(path, WriteMode::Update, request, consequences),
            3 if self.objects.is_multiple(path) => {
                self.write(path, WriteMode::Update, request, consequences)
            }
            3 => self.execute(path, request, consequences),
            _ => Err(Code::METHOD_NOT_ALLOWED),
        }
    }

    fn write(
        &mut self,
        path: Path,
        mode: WriteMode,
        request: &Request,
        consequences: &mut Consequences,
    ) -> Outcome {
        self.objects.check_exists(path).map_err(code)?;
        let leaves = self.decode(path, request)?;
        let leaves = self.objects.check_write(path, leaves).map_err(code)?;
        let mut rest = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            consequences.touched.push(leaf.path);
            match self.write_firmware(&leaf) {
                Some(outcome) => outcome?,
                None => rest.push(leaf),
            }
        }
        if path.depth() == 3 && rest.is_empty() {
            consequences.touched.push(path);
        }
        for leaf in &rest {
            self.events.push_back(Event::Written { path: leaf.path });
        }
        self.objects.apply_write(path, rest, mode);
        // Lifetime and periods of the Server object act at once.
        consequences.attributes_changed |= path.object_id() == LIFETIME.object_id();
        Ok(Response::new(Code::CHANGED))
    }

    fn execute(
        &mut self,
        path: Path,
        request: &Request,
        consequences: &mut Consequences,
    ) -> Outcome {
        self.objects.check_execute(path).map_err(code)?;
        if request.options.content_format().is_some_and(|format| format != ContentFormat::TEXT.0) {
            return Err(Code::UNSUPPORTED_CONTENT_FORMAT);
        }
        let arguments = std::str::from_utf8(&request.payload).map_err(|_| Code::BAD_REQUEST)?;
        match path {
            UPDATE_TRIGGER => consequences.update = true,
            DISABLE => consequences.disable = true,
            _ => match self.execute_firmware(path) {
                Some(outcome) => outcome?,
                None => {
                    let arguments = arguments.to_owned();
                    self.events.push_back(Event::Executed { path, arguments });
                }
            },
        }
        Ok(Response::new(Code::CHANGED))
    }

    fn create(
        &mut self,
        path: Path,
        request: &Request,
        consequences: &mut Consequences,
    ) -> Outcome {
        let object = path.object_id().unwrap_or_default();
        let next = self.objects.next_instance(object).map_err(code)?;
        let next = Path::instance(object, next);
        // The payload names the instance, or is the content of one that the client names (6.3.6).
        let unnamed = tlv_starts_with_resource(request);
        let leaves = self.decode(if unnamed { next } else { path }, request)?;
        let instance = leaves.first().map_or(next, |leaf| leaf.path.truncated(2));
        if instance.depth() < 2 || !leaves.iter().all(|leaf| instance.is_prefix_of(leaf.path)) {
            return Err(Code::BAD_REQUEST);
        }
        self.objects.create(instance).map_err(|error| match error {
            TreeError::NotAllowed(_) => Code::BAD_REQUEST,
            other => code(other),
        })?;
        match self.objects.check_write(instance, leaves) {
            Ok(leaves) => self.objects.apply_write(instance, leaves, WriteMode::Replace),
            Err(error) => {
                self.objects.remove(instance);
                return Err(code(error));
            }
        }
        consequences.links_changed = true;
        consequences.touched.push(path);
        self.events.push_back(Event::Created { path: instance });
        let ids: Vec<String> = instance.ids().iter().map(u16::to_string).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        Ok(Response::new(Code::CREATED).location(&ids))
    }

    fn delete(&mut self, path: Path, consequences: &mut Consequences) -> Outcome {
        self.objects.delete(path).map_err(code)?;
        self.attributes.detach_below(path);
        consequences.links_changed = true;
        consequences.touched.push(path);
        self.events.push_back(Event::Deleted { path });
        Ok(Response::new(Code::DELETED))
    }

    fn decode(&self, path: Path, request: &Request) -> Result<Vec<Leaf>, Code> {
        let format = match request.options.content_format() {
            Some(format) => ContentFormat(format),
            // Old servers leave it out; what they then send is text or TLV, or an image.
            None if path == firmware::PACKAGE => ContentFormat::OPAQUE,
            None if path.depth() >= 3 => ContentFormat::TEXT,
            None => ContentFormat::TLV,
        };
        if format == ContentFormat::OPAQUE && path.depth() >= 3 {
            // Spares the copy of a whole firmware image.
            return Ok(vec![Leaf::new(path, Value::Opaque(request.payload.clone()))]);
        }
        let limits = CodecLimits {
            payload_bytes_max: request.payload.len(),
            leaves_max: WRITTEN_LEAVES_MAX,
        };
        let definitions = &self.config.definitions;
        let leaves = decode_within(&limits, format, path, &request.payload, definitions);
        let leaves = leaves.map_err(|error| match error {
            CodecError::UnsupportedFormat(_) => Code::UNSUPPORTED_CONTENT_FORMAT,
            _ => Code::BAD_REQUEST,
        })?;
        let inside = leaves.iter().all(|leaf| path.is_prefix_of(leaf.path));
        if inside { Ok(leaves) } else { Err(Code::BAD_REQUEST) }
    }

    fn default_format(&self, path: Path, leaves: &[Leaf]) -> ContentFormat {
        match leaves {
            [Leaf { value, .. }] if path.depth() >= 3 && !self.is_whole_multiple(path) => {
                match value {
                    Value::Opaque(_) => ContentFormat::OPAQUE,
                    _ => ContentFormat::TEXT,
                }
            }
            _ => self.config.preferred_format.unwrap_or(ContentFormat::TLV),
        }
    }

    fn is_whole_multiple(&self, path: Path) -> bool {
        path.depth() == 3 && self.objects.is_multiple(path)
    }

    fn is_numeric(&self, path: Path) -> bool {
        let leaves = self.objects.read(path).unwrap_or_default();
        !leaves.is_empty() && leaves.iter().all(|leaf| leaf.value.as_float().is_some())
    }
}

/// Reads the path of a request; what is not a path of numbers cannot exist here.
fn request_path(request: &Request) -> Result<Path, Code> {
    let mut path = Path::ROOT;
    for segment in request.path() {
        let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        let id = segment.parse().ok().filter(|id| digits && *id != u16::MAX);
        path = id.and_then(|id| path.child(id)).ok_or(Code::NOT_FOUND)?;
    }
    Ok(path)
}

fn code(error: TreeError) -> Code {
    match error {
        TreeError::NotFound(_) => Code::NOT_FOUND,
        TreeError::NotAllowed(_) => Code::METHOD_NOT_ALLOWED,
        TreeError::WrongKind(..) | TreeError::WrongDepth(_) | TreeError::Full(_) => {
            Code::BAD_REQUEST
        }
    }
}

fn content(format: ContentFormat, payload: bytes::Bytes) -> Response {
    Response::new(Code::CONTENT).content_format(format.0).payload(payload)
}

/// Tells TLV of resources from TLV of an instance, whose first type bits are 00 (7.4.3).
fn tlv_starts_with_resource(request: &Request) -> bool {
    let format = request.options.content_format().map(|format| ContentFormat(format).registered());
    let is_tlv = format.is_none_or(|format| format == ContentFormat::TLV);
    is_tlv && request.payload.first().is_some_and(|first| first >> 6 != 0)
}

/// FNV-1a: only equality with the block before matters.
fn digest(payload: &[u8]) -> u64 {
    payload.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Executable resources of the Server object that act on the registration.
const DISABLE: Path = Path::resource(1, 0, 4);
const DISABLE_TIMEOUT: Path = Path::resource(1, 0, 5);
const UPDATE_TRIGGER: Path = Path::resource(1, 0, 8);
/// Default of Disable Timeout (LwM2M Core 1.1, E.2).
const DISABLE_TIMEOUT_S: u64 = 86_400;
/// Observe value of the answer that accepts an observation; [`Observer::new`] counts on it.
const FIRST_SEQUENCE: u32 = 1;
/// Answers that fit one block of the smallest size (16 bytes) need no tag.
const ETAG_FROM: usize = 16;
/// A device has tens of resources; more leaves than this are not a write to one of its instances.
const WRITTEN_LEAVES_MAX: usize = 1024;
