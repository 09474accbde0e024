use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::code::Code;
use crate::option::{OptionNumber, Options};

/// Says how a message asks for and gives acknowledgement (RFC 7252 section 4.2 and 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Wants an acknowledgement and is repeated until it comes.
    Confirmable,
    /// Is sent once.
    NonConfirmable,
    /// Confirms a confirmable message; may carry the response.
    Acknowledgement,
    /// Says that a message came but makes no sense to its receiver.
    Reset,
}

impl Kind {
    const fn from_bits(bits: u8) -> Self {
        match bits & 0x03 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }

    const fn to_bits(self) -> u8 {
        match self {
            Self::Confirmable => 0,
            Self::NonConfirmable => 1,
            Self::Acknowledgement => 2,
            Self::Reset => 3,
        }
    }
}

/// Holds the bytes that tie a response to its request, 0 to 8 (RFC 7252 section 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token {
    bytes: [u8; 8],
    length: u8,
}

impl Token {
    /// The token without bytes.
    pub const EMPTY: Self = Self { bytes: [0; 8], length: 0 };

    /// Longest token, in bytes.
    pub const BYTES_MAX: usize = 8;

    /// Builds a token; `None` for more than 8 bytes.
    #[must_use]
    pub fn new(token: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..token.len())?.copy_from_slice(token);
        // The line before holds the length below 9.
        Some(Self { bytes, length: token.len() as u8 })
    }

    /// Returns the bytes of the token.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Tells whether the token has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl From<[u8; 8]> for Token {
    fn from(bytes: [u8; 8]) -> Self {
        Self { bytes, length: 8 }
    }
}

impl fmt::Display for Token {
    /// Writes the bytes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// Holds a message (RFC 7252 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How it asks for or gives acknowledgement.
    pub kind: Kind,
    /// Method, response code or 0.00.
    pub code: Code,
    /// Message id, to recognise duplicates and match acknowledgements.
    pub id: u16,
    /// Token, to match responses.
    pub token: Token,
    /// Options.
    pub options: Options,
    /// Payload; empty when there is none.
    pub payload: Bytes,
}

impl Message {
    /// Builds a message with 0.00 and nothing after: an acknowledgement, a reset or a ping.
    #[must_use]
    pub const fn empty(kind: Kind, id: u16) -> Self {
        Self {
            kind,
            code: Code::EMPTY,
            id,
            token: Token::EMPTY,
            options: Options::new(),
            payload: Bytes::new(),
        }
    }

    /// Reads a datagram into an owned message.
    ///
    /// # Errors
    ///
    /// As [`MessageView::decode`].
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        MessageView::decode(datagram).map(|view| view.to_message())
    }

    /// Writes the message behind what `output` holds.
    pub fn encode(&self, output: &mut Vec<u8>) {
        output.reserve(self.encoded_bytes_max());
        encode_message(
            self.kind,
            self.code,
            self.id,
            self.token,
            &self.options,
            &self.payload,
            output,
        );
    }

    /// Returns the message as a datagram.
    #[must_use]
    pub fn to_datagram(&self) -> Bytes {
        let mut output = Vec::new();
        self.encode(&mut output);
        output.into()
    }

    fn encoded_bytes_max(&self) -> usize {
        4 + self.token.len() + self.options.encoded_bytes_max() + 1 + self.payload.len()
    }
}

/// Reads a message in place over the receive buffer, without allocation.
///
/// Decoding checks the whole message once; what it returns can be walked without errors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageView<'a> {
    kind: Kind,
    code: Code,
    id: u16,
    token: Token,
    options: &'a [u8],
    options_count: usize,
    payload: &'a [u8],
}

impl<'a> MessageView<'a> {
    /// Options a message may have at most, unless [`MessageView::decode_limited`] says otherwise.
    pub const OPTIONS_MAX: usize = 64;

    /// Reads a datagram (RFC 7252 section 3), with at most 64 options.
    ///
    /// # Errors
    ///
    /// The sender's fault in every case: the datagram is no CoAP message, or one with more options
    /// than allowed.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_limited(datagram, Self::OPTIONS_MAX)
    }

    /// Reads a datagram with at most `options_max` options.
    ///
    /// # Errors
    ///
    /// As [`MessageView::decode`].
    pub fn decode_limited(datagram: &'a [u8], options_max: usize) -> Result<Self, DecodeError> {
        let (header, rest) =
            datagram.split_first_chunk::<4>().ok_or(DecodeError::HeaderTruncated)?;
        let version = header[0] >> 6;
        if version != 1 {
            return Err(DecodeError::Version(version));
        }
        let token_length = header[0] & 0x0f;
        if usize::from(token_length) > Token::BYTES_MAX {
            return Err(DecodeError::TokenLength(token_length));
        }
        let kind = Kind::from_bits(header[0] >> 4);
        let code = Code::from_byte(header[1]);
        let id = u16::from_be_bytes([header[2], header[3]]);
        // RFC 7252 section 4.1: nothing follows the message id of an empty message.
        if code.is_empty() && (token_length != 0 || !rest.is_empty()) {
            return Err(DecodeError::EmptyWithContent);
        }
        if matches!(code.class(), 1 | 3 | 6 | 7) {
            return Err(DecodeError::ReservedClass(code));
        }
        let (token, rest) =
            rest.split_at_checked(usize::from(token_length)).ok_or(DecodeError::TokenTruncated)?;
        let token = Token::new(token).ok_or(DecodeError::TokenTruncated)?;
        let mut walk = OptionWalk { rest, number: 0 };
        let mut options_count = 0;
        while walk.step()?.is_some() {
            options_count += 1;
            if options_count > options_max {
                return Err(DecodeError::TooManyOptions(options_max));
            }
        }
        let options = &rest[..rest.len() - walk.rest.len()];
        let payload = match walk.rest {
            [] => walk.rest,
            [_marker] => return Err(DecodeError::PayloadMissing),
            [_marker, payload @ ..] => payload,
        };
        Ok(Self { kind, code, id, token, options, options_count, payload })
    }

    /// Returns how the message asks for or gives acknowledgement.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the method, response code or 0.00.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Returns the message id.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Returns the token.
    #[must_use]
    pub const fn token(&self) -> Token {
        self.token
    }

    /// Returns the payload, empty when there is none.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Walks through the options in order.
    pub fn options(&self) -> impl Iterator<Item = (OptionNumber, &'a [u8])> + use<'a> {
        let mut walk = OptionWalk { rest: self.options, number: 0 };
        std::iter::from_fn(move || walk.step().ok().flatten())
    }

    /// Returns the first value of an option.
    #[must_use]
    pub fn option(&self, number: OptionNumber) -> Option<&'a [u8]> {
        self.options().find(|(existing, _)| *existing == number).map(|(_, value)| value)
    }

    /// Copies the options.
    #[must_use]
    pub fn to_options(&self) -> Options {
        // A record needs at most 4 bytes where the wire needs 1.
        let mut options = Options::with_capacity(self.options.len() + 3 * self.options_count);
        for (number, value) in self.options() {
            options.push_last(number, value);
        }
        options
    }

    /// Copies the whole message.
    #[must_use]
    pub fn to_message(&self) -> Message {
        Message {
            kind: self.kind,
            code: self.code,
            id: self.id,
            token: self.token,
            options: self.to_options(),
            payload: Bytes::copy_from_slice(self.payload),
        }
    }
}

impl fmt::Debug for MessageView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_message().fmt(f)
    }
}

/// Says why a datagram is no CoAP message; always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum DecodeError {
    /// There are fewer than 4 bytes.
    #[error("the datagram is shorter than the 4-byte header")]
    HeaderTruncated,
    /// The version is not 1.
    #[error("version {0} is not supported, only version 1")]
    Version(u8),
    /// The token length is one of the reserved values 9 to 15.
    #[error("token length {0} is reserved, at most 8 is allowed")]
    TokenLength(u8),
    /// The datagram ends within the token.
    #[error("the datagram ends within the token")]
    TokenTruncated,
    /// The code is 0.00 but a token, option or payload follows (RFC 7252 section 4.1).
    #[error("an empty message carries a token, options or a payload")]
    EmptyWithContent,
    /// The class of the code is reserved, or belongs to CoAP over TCP.
    #[error("the class of code {0} is reserved over UDP")]
    ReservedClass(Code),
    /// The datagram ends within an option.
    #[error("the datagram ends within an option")]
    OptionTruncated,
    /// An option has the reserved delta or length 15 without being the payload marker.
    #[error("an option has the reserved delta or length 15")]
    OptionReserved,
    /// The sum of the option deltas is beyond 65,535.
    #[error("an option number is beyond 65535")]
    OptionNumberOverflow,
    /// There are more options than allowed.
    #[error("the message has more than {0} options")]
    TooManyOptions(usize),
    /// The payload marker is the last byte.
    #[error("the payload marker is not followed by a payload")]
    PayloadMissing,
}

/// Reads kind and message id of a datagram that failed to decode, so that it can be reset
/// (RFC 7252 section 4.2); `None` when even they are unknown.
pub(crate) fn decode_header(datagram: &[u8]) -> Option<(Kind, u16)> {
    let header = datagram.first_chunk::<4>()?;
    // RFC 7252 section 3: messages of an unknown version are silently ignored.
    (header[0] >> 6 == 1)
        .then(|| (Kind::from_bits(header[0] >> 4), u16::from_be_bytes([header[2], header[3]])))
}

/// Writes a message from its parts, which saves callers the copies an owned message needs.
pub(crate) fn encode_message(
    kind: Kind,
    code: Code,
    id: u16,
    token: Token,
    options: &Options,
    payload: &[u8],
    output: &mut Vec<u8>,
) {
    output.push(0x40 | (kind.to_bits() << 4) | token.length);
    output.push(code.to_byte());
    output.extend_from_slice(&id.to_be_bytes());
    output.extend_from_slice(token.as_bytes());
    let mut previous = 0;
    for (number, value) in options {
        encode_option_header(number.0 - previous, value.len(), output);
        output.extend_from_slice(value);
        previous = number.0;
    }
    if !payload.is_empty() {
        output.push(PAYLOAD_MARKER);
        output.extend_from_slice(payload);
    }
}

/// Writes delta and length of an option (RFC 7252 section 3.1).
fn encode_option_header(delta: u16, length: usize, output: &mut Vec<u8>) {
    let (delta_nibble, delta_bytes, delta_count) = extend(usize::from(delta));
    let (length_nibble, length_bytes, length_count) = extend(length);
    output.push((delta_nibble << 4) | length_nibble);
    output.extend_from_slice(&delta_bytes[2 - delta_count..]);
    output.extend_from_slice(&length_bytes[2 - length_count..]);
}

/// Returns the nibble of a delta or length, its extension, and how many of the extension's bytes
/// count, from the right.
const fn extend(value: usize) -> (u8, [u8; 2], usize) {
    if value < EXTENDED_1_BYTE {
        (value as u8, [0; 2], 0)
    } else if value < EXTENDED_2_BYTES {
        (13, [0, (value - EXTENDED_1_BYTE) as u8], 1)
    } else {
        (14, ((value - EXTENDED_2_BYTES) as u16).to_be_bytes(), 2)
    }
}

/// Walks through options on the wire.
struct OptionWalk<'a> {
    rest: &'a [u8],
    number: u16,
}

impl<'a> OptionWalk<'a> {
    /// Reads the next option; `None` at the payload marker, which stays, or at the end.
    fn step(&mut self) -> Result<Option<(OptionNumber, &'a [u8])>, DecodeError> {
        let (first, rest) = match self.rest {
            [] | [PAYLOAD_MARKER, ..] => return Ok(None),
            [first, rest @ ..] => (*first, rest),
        };
        let (delta, rest) = Self::extended(first >> 4, rest)?;
        let (length, rest) = Self::extended(first & 0x0f, rest)?;
        let delta = u16::try_from(delta).map_err(|_| DecodeError::OptionNumberOverflow)?;
        let number = self.number.checked_add(delta).ok_or(DecodeError::OptionNumberOverflow)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(DecodeError::OptionTruncated)?;
        if length > usize::from(u16::MAX) {
            return Err(DecodeError::OptionTruncated);
        }
        self.number = number;
        self.rest = rest;
        Ok(Some((OptionNumber(number), value)))
    }

    fn extended(nibble: u8, rest: &'a [u8]) -> Result<(usize, &'a [u8]), DecodeError> {
        match nibble {
            0..=12 => Ok((usize::from(nibble), rest)),
            13 => {
                let (byte, rest) = rest.split_first().ok_or(DecodeError::OptionTruncated)?;
                Ok((EXTENDED_1_BYTE + usize::from(*byte), rest))
            }
            14 => {
                let (bytes, rest) =
                    rest.split_first_chunk::<2>().ok_or(DecodeError::OptionTruncated)?;
                Ok((EXTENDED_2_BYTES + usize::from(u16::from_be_bytes(*bytes)), rest))
            }
            _ => Err(DecodeError::OptionReserved),
        }
    }
}

/// Separates options and payload (RFC 7252 section 3).
const PAYLOAD_MARKER: u8 = 0xff;

/// Smallest delta or length with one extension byte (RFC 7252 section 3.1).
const EXTENDED_1_BYTE: usize = 13;

/// Smallest delta or length with two extension bytes.
const EXTENDED_2_BYTES: usize = 269;
