//! Vectors, hostile inputs and properties of the content formats.

mod hostile;
mod properties;
mod vectors;

use super::*;
use crate::definitions::{ObjectDefinition, ObjectVersion, Operations, ResourceDefinition};

/// Turns hexadecimal digits, with any spaces between, into bytes.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn leaf(at: &str, value: Value) -> Leaf {
    Leaf::new(path(at), value)
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// An object with one single and one multiple resource for every kind: 0 to 8 and 20 to 28.
fn every_kind() -> Definitions {
    let mut resources = Vec::new();
    for (first, multiple) in [(0u16, false), (20, true)] {
        for (id, kind) in (first..).zip(KINDS) {
            resources.push(ResourceDefinition {
                id,
                name: "any".into(),
                kind: Some(kind),
                operations: Operations::ReadWrite,
                multiple,
                mandatory: false,
                units: "".into(),
            });
        }
    }
    let mut definitions = Definitions::empty();
    definitions.insert(ObjectDefinition {
        id: OBJECT,
        name: "every kind".into(),
        version: ObjectVersion::default(),
        multiple: true,
        resources: resources.into(),
    });
    definitions
}

const OBJECT: u16 = 27000;
const KINDS: [ValueKind; 9] = [
    ValueKind::Integer,
    ValueKind::Unsigned,
    ValueKind::Float,
    ValueKind::Boolean,
    ValueKind::String,
    ValueKind::Opaque,
    ValueKind::Time,
    ValueKind::ObjectLink,
    ValueKind::CoreLink,
];
const FORMATS: [ContentFormat; 10] = [
    ContentFormat::TEXT,
    ContentFormat::OPAQUE,
    ContentFormat::CBOR,
    ContentFormat::TLV,
    ContentFormat::TLV_DRAFT,
    ContentFormat::SENML_JSON,
    ContentFormat::SENML_CBOR,
    ContentFormat::LWM2M_JSON,
    ContentFormat::LWM2M_JSON_DRAFT,
    ContentFormat::LWM2M_CBOR,
];
