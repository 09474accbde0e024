use bytes::Bytes;

use crate::code::Code;
use crate::option::{OptionNumber, Options};

/// Describes a request: what a client sends and what a server is asked.
///
/// The endpoint chooses message id and token, and splits a long payload into blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method, one of 0.01 to 0.31.
    pub method: Code,
    /// Options; those of the message layer and of block-wise transfer are added by the endpoint.
    pub options: Options,
    /// Whole body.
    pub payload: Bytes,
    pub(crate) block_size_exponent: Option<u8>,
    pub(crate) body_bytes_max: Option<usize>,
    pub(crate) confirmable: bool,
}

impl Request {
    /// Builds a request on the root path, without options and payload.
    #[must_use]
    pub const fn new(method: Code) -> Self {
        Self {
            method,
            options: Options::new(),
            payload: Bytes::new(),
            block_size_exponent: None,
            body_bytes_max: None,
            confirmable: true,
        }
    }

    /// Builds a GET of an absolute path such as `/3/0`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new(Code::GET).path_segments(path)
    }

    /// Builds a POST to an absolute path.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::new(Code::POST).path_segments(path)
    }

    /// Builds a PUT to an absolute path.
    #[must_use]
    pub fn put(path: &str) -> Self {
        Self::new(Code::PUT).path_segments(path)
    }

    /// Builds a DELETE of an absolute path.
    #[must_use]
    pub fn delete(path: &str) -> Self {
        Self::new(Code::DELETE).path_segments(path)
    }

    /// Builds a FETCH on an absolute path (RFC 8132).
    #[must_use]
    pub fn fetch(path: &str) -> Self {
        Self::new(Code::FETCH).path_segments(path)
    }

    /// Builds an iPATCH on an absolute path (RFC 8132).
    #[must_use]
    pub fn ipatch(path: &str) -> Self {
        Self::new(Code::IPATCH).path_segments(path)
    }

    /// Adds one Uri-Path option per segment; empty segments are left out, nothing is unescaped.
    #[must_use]
    pub fn path_segments(mut self, path: &str) -> Self {
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            self.options.push(OptionNumber::URI_PATH, segment);
        }
        self
    }

    /// Adds a Uri-Query option such as `lt=60`.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.options.push(OptionNumber::URI_QUERY, query);
        self
    }

    /// Sets the Content-Format of the answer wished for.
    #[must_use]
    pub fn accept(mut self, format: u16) -> Self {
        self.options.set_uint(OptionNumber::ACCEPT, u32::from(format));
        self
    }

    /// Sets the Content-Format of the payload.
    #[must_use]
    pub fn content_format(mut self, format: u16) -> Self {
        self.options.set_uint(OptionNumber::CONTENT_FORMAT, u32::from(format));
        self
    }

    /// Sets Observe: 0 asks for notifications, 1 ends them (RFC 7641 section 2).
    #[must_use]
    pub fn observe(mut self, value: u32) -> Self {
        self.options.set_uint(OptionNumber::OBSERVE, value);
        self
    }

    /// Adds any option.
    #[must_use]
    pub fn option(mut self, number: OptionNumber, value: impl AsRef<[u8]>) -> Self {
        self.options.push(number, value);
        self
    }

    /// Sets the whole body; one longer than a block is sent block by block.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Sets the size of blocks to `16 << exponent` bytes in place of the endpoint's setting;
    /// values above 6 count as 6.
    #[must_use]
    pub fn block_size_exponent(mut self, exponent: u8) -> Self {
        self.block_size_exponent = Some(exponent.min(crate::BlockValue::SIZE_EXPONENT_MAX));
        self
    }

    /// Sets how many bytes the answer may have in place of the endpoint's setting.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = Some(bytes);
        self
    }

    /// Sends the request once, without acknowledgement and retransmission
    /// (RFC 7252 section 4.3). A block-wise request stays confirmable.
    #[must_use]
    pub fn non_confirmable(mut self) -> Self {
        self.confirmable = false;
        self
    }

    /// Returns the segments of the path in order. The endpoint refuses requests whose path is not
    /// UTF-8, so none is missing in a received request.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        self.options.texts(OptionNumber::URI_PATH)
    }

    /// Returns the path in one piece, `/` for the root.
    #[must_use]
    pub fn path_string(&self) -> String {
        let mut path = String::new();
        for segment in self.path() {
            path.push('/');
            path.push_str(segment);
        }
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// Returns the queries in order.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.options.texts(OptionNumber::URI_QUERY)
    }
}

/// Describes a response: what a server answers and what a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Response code, of class 2, 4 or 5.
    pub code: Code,
    /// Options; those of block-wise transfer are added and removed by the endpoint.
    pub options: Options,
    /// Whole body.
    pub payload: Bytes,
}

impl Response {
    /// Builds a response without options and payload.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, options: Options::new(), payload: Bytes::new() }
    }

    /// Sets the Content-Format of the payload.
    #[must_use]
    pub fn content_format(mut self, format: u16) -> Self {
        self.options.set_uint(OptionNumber::CONTENT_FORMAT, u32::from(format));
        self
    }

    /// Adds one Location-Path option per segment.
    #[must_use]
    pub fn location(mut self, segments: &[&str]) -> Self {
        for segment in segments {
            self.options.push(OptionNumber::LOCATION_PATH, segment);
        }
        self
    }

    /// Adds the ETag of the representation, 1 to 8 bytes.
    #[must_use]
    pub fn etag(mut self, tag: impl AsRef<[u8]>) -> Self {
        self.options.push(OptionNumber::ETAG, tag);
        self
    }

    /// Sets how long the response stays fresh, in seconds.
    #[must_use]
    pub fn max_age(mut self, seconds: u32) -> Self {
        self.options.set_uint(OptionNumber::MAX_AGE, seconds);
        self
    }

    /// Sets the sequence number that tells a client its observation is accepted
    /// (RFC 7641 section 3.2). Only the lower 24 bits count.
    #[must_use]
    pub fn observe(mut self, sequence: u32) -> Self {
        self.options.set_uint(OptionNumber::OBSERVE, sequence & 0x00ff_ffff);
        self
    }

    /// Adds any option.
    #[must_use]
    pub fn option(mut self, number: OptionNumber, value: impl AsRef<[u8]>) -> Self {
        self.options.push(number, value);
        self
    }

    /// Sets the whole body; one longer than a block is served block by block.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Returns the segments of the Location-Path in order.
    pub fn location_path(&self) -> impl Iterator<Item = &str> {
        self.options.texts(OptionNumber::LOCATION_PATH)
    }
}
