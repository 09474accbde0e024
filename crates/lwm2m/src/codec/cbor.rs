//! The CBOR (RFC 8949) that LwM2M formats share: values, numbers, text.

use bytes::Bytes;
use minicbor::Decoder;
use minicbor::data::{Tag, Type};

use super::tlv::short_float;
use crate::Value;

/// Reads items off a payload; every error is a reason for [`super::CodecError::Malformed`].
pub(super) struct Reader<'a> {
    decoder: Decoder<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { decoder: Decoder::new(payload) }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.decoder.position() >= self.decoder.input().len()
    }

    pub(super) fn peek(&self) -> Result<Type, &'static str> {
        self.decoder.datatype().map_err(|_| TRUNCATED)
    }

    /// Reads the value of a resource; an epoch time tag (1) makes it a time, other tags are
    /// looked through.
    pub(super) fn value(&mut self) -> Result<Value, &'static str> {
        for _ in 0..TAGS_MAX {
            match self.peek()? {
                Type::Tag => match self.tag()? {
                    EPOCH_TIME => return self.time(),
                    DECIMAL_FRACTION => return self.decimal_fraction(),
                    _ => {}
                },
                Type::Bool => return self.boolean().map(Value::Boolean),
                Type::String | Type::StringIndef => return self.text().map(Value::String),
                Type::Bytes | Type::BytesIndef => return self.bytes().map(Value::Opaque),
                _ => return self.number(),
            }
        }
        Err("too many tags")
    }

    /// Reads a number: integer, float of any length, or decimal fraction.
    pub(super) fn number(&mut self) -> Result<Value, &'static str> {
        let decoder = &mut self.decoder;
        let number = match decoder.datatype().map_err(|_| TRUNCATED)? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => decoder.u64().map(|number| {
                i64::try_from(number).map_or(Value::Unsigned(number), Value::Integer)
            }),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 => decoder.i64().map(Value::Integer),
            Type::F16 => decoder.f16().map(|number| Value::Float(number.into())),
            Type::F32 => decoder.f32().map(|number| Value::Float(number.into())),
            Type::F64 => decoder.f64().map(Value::Float),
            Type::Int => return Err("a number does not fit 64 bits"),
            Type::Tag if self.tag()? == DECIMAL_FRACTION => return self.decimal_fraction(),
            _ => return Err("not a number where one belongs"),
        };
        number.map_err(|_| TRUNCATED)
    }

    /// Reads a number as a float that is neither infinite nor NaN.
    pub(super) fn finite(&mut self) -> Result<f64, &'static str> {
        let number = self.number()?.as_float().filter(|number| number.is_finite());
        number.ok_or("not a finite number where one belongs")
    }

    pub(super) fn integer(&mut self) -> Result<i64, &'static str> {
        self.decoder.i64().map_err(|_| "not a whole number where one belongs")
    }

    pub(super) fn boolean(&mut self) -> Result<bool, &'static str> {
        self.decoder.bool().map_err(|_| "not a boolean where one belongs")
    }

    /// Reads text, in one piece or several; never longer than the payload.
    pub(super) fn text(&mut self) -> Result<String, &'static str> {
        let wrong = "not text where some belongs";
        let mut pieces = self.decoder.str_iter().map_err(|_| wrong)?;
        pieces.try_fold(String::new(), |text, piece| Ok(text + piece.map_err(|_| wrong)?))
    }

    /// Reads bytes, in one piece or several; never longer than the payload.
    pub(super) fn bytes(&mut self) -> Result<Bytes, &'static str> {
        let wrong = "not bytes where some belong";
        let mut all = Vec::new();
        for piece in self.decoder.bytes_iter().map_err(|_| wrong)? {
            all.extend(piece.map_err(|_| wrong)?);
        }
        Ok(all.into())
    }

    pub(super) fn array(&mut self) -> Result<Items, &'static str> {
        self.decoder.array().map(Items::new).map_err(|_| "not an array where one belongs")
    }

    pub(super) fn map(&mut self) -> Result<Items, &'static str> {
        self.decoder.map().map(Items::new).map_err(|_| "not a map where one belongs")
    }

    /// Tells whether one more item of an array, or pair of a map, follows.
    pub(super) fn next_of(&mut self, items: &mut Items) -> Result<bool, &'static str> {
        match &mut items.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.peek()? == Type::Break => {
                self.skip()?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// Passes over one item, however nested, in constant memory on the stack.
    pub(super) fn skip(&mut self) -> Result<(), &'static str> {
        self.decoder.skip().map_err(|_| TRUNCATED)
    }

    fn tag(&mut self) -> Result<Tag, &'static str> {
        self.decoder.tag().map_err(|_| TRUNCATED)
    }

    fn time(&mut self) -> Result<Value, &'static str> {
        let number = self.number()?;
        // A tagged time may have a fraction (RFC 8949, section 3.4.2); the resource has none.
        let whole =
            number.as_integer().or_else(|| Value::Float(number.as_float()?.trunc()).as_integer());
        whole.map(Value::Time).ok_or("a time is out of range")
    }

    /// RFC 8949, section 3.4.4; SenML allows it (RFC 8428, section 6).
    fn decimal_fraction(&mut self) -> Result<Value, &'static str> {
        if self.decoder.array().map_err(|_| TRUNCATED)? != Some(2) {
            return Err("a decimal fraction has two parts");
        }
        let exponent = self.integer()?;
        let mantissa = self.integer()?;
        // Reading the text rounds correctly, where a product of powers of ten would not.
        let number: Option<f64> = format!("{mantissa}e{exponent}").parse().ok();
        let finite = number.filter(|number| number.is_finite());
        finite.map(Value::Float).ok_or("a decimal fraction is out of range")
    }
}

/// Counts down the items of an array or map that is being read.
pub(super) struct Items {
    left: Option<u64>,
}

impl Items {
    const fn new(left: Option<u64>) -> Self {
        Self { left }
    }
}

/// Writes the value of a resource as one item.
pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => write_integer(*number, out),
        Value::Unsigned(number) => write_head(UNSIGNED, *number, out),
        Value::Float(number) => write_float(*number, out),
        Value::Boolean(truth) => out.push(if *truth { 0xf5 } else { 0xf4 }),
        Value::String(text) | Value::CoreLink(text) => write_text(text, out),
        Value::Opaque(bytes) => write_bytes(bytes, out),
        Value::Time(seconds) => {
            write_head(TAG, EPOCH_TIME.as_u64(), out);
            write_integer(*seconds, out);
        }
        Value::ObjectLink(..) => write_text(&value.to_string(), out),
    }
}

pub(super) fn write_integer(number: i64, out: &mut Vec<u8>) {
    match u64::try_from(number) {
        Ok(number) => write_head(UNSIGNED, number, out),
        // -1 - number, which is the complement of its bits (RFC 8949, section 3.1).
        Err(_) => write_head(NEGATIVE, !number.cast_unsigned(), out),
    }
}

pub(super) fn write_float(number: f64, out: &mut Vec<u8>) {
    if let Some(short) = short_float(number) {
        out.push(0xfa);
        out.extend(short.to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend(number.to_be_bytes());
    }
}

pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_head(TEXT, text.len() as u64, out);
    out.extend(text.as_bytes());
}

pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_head(BYTES, bytes.len() as u64, out);
    out.extend(bytes);
}

pub(super) fn write_array(items: usize, out: &mut Vec<u8>) {
    write_head(ARRAY, items as u64, out);
}

pub(super) fn write_map(pairs: usize, out: &mut Vec<u8>) {
    write_head(MAP, pairs as u64, out);
}

/// Writes a major type with its argument in the fewest bytes (RFC 8949, section 3).
fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let [.., low] = argument.to_be_bytes();
    let (additional, bytes) = match argument {
        0..24 => (low, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    out.push(major | additional);
    out.extend(&argument.to_be_bytes()[8 - bytes..]);
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

const EPOCH_TIME: Tag = Tag::new(1);
const DECIMAL_FRACTION: Tag = Tag::new(4);
/// One tag says something; a few more are tolerated; a chain of them is an attack.
const TAGS_MAX: usize = 4;
const TRUNCATED: &str = "not well-formed CBOR";
