//! Cutting bodies into blocks and putting them together (RFC 7959), without any message handling.

use bytes::{Bytes, BytesMut};

use crate::{BlockFailure, BlockValue, Code, Failure, OptionNumber, Options, Response};

/// Cuts a request body into Block1 blocks, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    /// Bytes the peer has acknowledged.
    pub(super) acknowledged: usize,
    pub(super) size_exponent: u8,
}

impl Sending {
    /// Returns the block that follows the acknowledged ones, and its share of the body.
    pub(super) fn block(self, body: &Bytes) -> (BlockValue, Bytes) {
        let size = 16 << self.size_exponent;
        let start = self.acknowledged.min(body.len());
        let end = body.len().min(start + size);
        let block = BlockValue {
            // Bodies of more than 2^20 blocks are refused at the start.
            number: (start / size) as u32,
            more: end < body.len(),
            size_exponent: self.size_exponent,
        };
        (block, body.slice(start..end))
    }

    /// Returns the state after the current block was acknowledged with this option value. The peer
    /// may ask for smaller blocks (RFC 7959 section 2.3).
    pub(super) fn advance(self, body: &Bytes, answer: Option<BlockValue>) -> Self {
        let (_, payload) = self.block(body);
        let wished = answer.map_or(self.size_exponent, |block| block.size_exponent);
        Self {
            acknowledged: self.acknowledged + payload.len(),
            size_exponent: self.size_exponent.min(wished),
        }
    }
}

/// Puts Block2 blocks together into a response body.
#[derive(Debug)]
pub(super) struct Receiving {
    code: Code,
    /// Options of the first block.
    options: Options,
    body: BytesMut,
    size_exponent: u8,
}

/// Says what a block was worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// More blocks are wanted.
    Partial,
    /// The body is complete.
    Complete,
}

impl Receiving {
    /// Begins with the first block, which says that more follow.
    pub(super) fn begin(
        block: BlockValue,
        response: Response,
        body_bytes_max: usize,
    ) -> Result<Self, Failure> {
        if block.number != 0 {
            return Err(Failure::Block(BlockFailure::Number));
        }
        if response.payload.len() != block.size() {
            return Err(Failure::Block(BlockFailure::Length));
        }
        let announced = response.options.uint(OptionNumber::SIZE2).unwrap_or_default();
        if announced as usize > body_bytes_max || response.payload.len() > body_bytes_max {
            return Err(Failure::TooLarge);
        }
        Ok(Self {
            code: response.code,
            body: BytesMut::from(&response.payload[..]),
            options: response.options,
            size_exponent: block.size_exponent,
        })
    }

    /// Adds the block asked for last.
    pub(super) fn add(
        &mut self,
        block: BlockValue,
        response: &Response,
        body_bytes_max: usize,
    ) -> Result<Received, Failure> {
        // A server may shrink its blocks; the offset must stay the one asked for.
        if block.size_exponent > self.size_exponent || block.offset() != self.body.len() {
            return Err(Failure::Block(BlockFailure::Number));
        }
        let tag = OptionNumber::ETAG;
        if response.code != self.code || response.options.first(tag) != self.options.first(tag) {
            return Err(Failure::Block(BlockFailure::Changed));
        }
        let length = response.payload.len();
        if length > block.size() || (block.more && length != block.size()) {
            return Err(Failure::Block(BlockFailure::Length));
        }
        if self.body.len() + length > body_bytes_max {
            return Err(Failure::TooLarge);
        }
        self.size_exponent = block.size_exponent;
        self.body.extend_from_slice(&response.payload);
        if !block.more {
            return Ok(Received::Complete);
        }
        if self.body.len() >> (4 + self.size_exponent) > BlockValue::NUMBER_MAX as usize {
            return Err(Failure::TooLarge);
        }
        Ok(Received::Partial)
    }

    /// Returns the option value that asks for the next block.
    pub(super) fn wanted(&self) -> BlockValue {
        BlockValue {
            // The number was checked when the last block was added.
            number: (self.body.len() >> (4 + self.size_exponent)) as u32,
            more: false,
            size_exponent: self.size_exponent,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(super) fn into_response(self) -> Response {
        Response { code: self.code, options: self.options, payload: self.body.freeze() }
    }
}

/// Cuts a response to the block a request asks for, statelessly (RFC 7959 section 2.4).
pub(super) fn slice_response(
    mut response: Response,
    asked: Option<BlockValue>,
    size_exponent_max: u8,
) -> Response {
    if response.options.contains(OptionNumber::BLOCK2) {
        return response;
    }
    let size_exponent =
        asked.map_or(size_exponent_max, |block| block.size_exponent.min(size_exponent_max));
    let size = 16_usize << size_exponent;
    let start = asked.map_or(0, BlockValue::offset);
    let length = response.payload.len();
    // A short answer needs no option, unless one was asked for; an error is no part of a body.
    let whole = length <= size && start == 0;
    if whole && (asked.is_none() || length == 0) || length <= size && !response.code.is_success() {
        return response;
    }
    if start >= length || start / size > BlockValue::NUMBER_MAX as usize {
        return refusal(Code::BAD_REQUEST, "the block lies beyond the end of the body");
    }
    let end = length.min(start + size);
    let block = BlockValue { number: (start / size) as u32, more: end < length, size_exponent };
    block.set(&mut response.options, OptionNumber::BLOCK2);
    if start > 0 {
        // RFC 7959 section 2.6: only the first block of a notification has Observe.
        response.options.remove(OptionNumber::OBSERVE);
    } else if block.more && !response.options.contains(OptionNumber::SIZE2) {
        let total = u32::try_from(length).unwrap_or(u32::MAX);
        response.options.set_uint(OptionNumber::SIZE2, total);
    }
    response.payload = response.payload.slice(start..end);
    response
}

/// Builds an error response with a text for the person who debugs the peer
/// (RFC 7252 section 5.5.2).
pub(super) fn refusal(code: Code, text: &'static str) -> Response {
    Response::new(code).payload(text)
}
