//! A client and a scripted server in virtual time.

mod lifecycle;
mod notifications;
mod pair;
mod server_requests;
mod transfers;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coap::{Request, Response};

use self::pair::{Pair, SERVER};
use super::{Client, ClientConfig, Event, FirmwareObject, ObjectTree};
use crate::firmware::Delivery;
use crate::{ContentFormat, Definitions, Leaf, ObjectVersion, Operations, Path, Value, ValueKind};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// Returns a device with one of everything.
fn objects() -> ObjectTree {
    let (read, write) = (Operations::Read, Operations::ReadWrite);
    let text = |text: &str| Value::String(text.to_owned());
    let mut objects = ObjectTree::new();
    objects
        .single(path("/0/0/5"), read, Value::Opaque(Bytes::from_static(b"secret")))
        .object(2, ObjectVersion::default())
        .single(path("/3/0/0"), read, text("Acme"))
        .executable(path("/3/0/4"))
        .multiple(
            path("/3/0/6"),
            read,
            ValueKind::Integer,
            vec![(5, Value::Integer(1)), (0, Value::Integer(0))],
        )
        .single(path("/3/0/9"), read, Value::Integer(80))
        .single(path("/3/0/13"), write, Value::Time(1_700_000_000))
        .single(path("/3/0/14"), write, text("+01:00"))
        .single(path("/3303/0/5700"), read, Value::Float(20.5))
        .object(3306, ObjectVersion::new(1, 1))
        .single(path("/3306/0/5850"), write, Value::Boolean(false))
        .creatable(path("/3306/0"), 3)
        .single(path("/9999/0/0"), Operations::Write, Value::Opaque(Bytes::new()))
        .single(path("/9999/0/1"), write, Value::Integer(7))
        .multiple(path("/9999/0/2"), write, ValueKind::String, vec![(0, text("a"))]);
    objects
}

fn config() -> ClientConfig {
    let definitions = Arc::new(Definitions::core());
    ClientConfig { lifetime_s: 300, ..ClientConfig::new("dev-1", SERVER, definitions) }
}

fn client(config: ClientConfig, objects: ObjectTree) -> Client {
    let firmware = FirmwareObject::new("app", "1.0", Delivery::Both, 200_000);
    Client::new(config, objects, Some(firmware), 7).unwrap()
}

/// Starts a registered pair without events from before.
fn registered() -> Pair {
    let mut pair = Pair::new(client(config(), objects()));
    pair.start();
    pair
}

/// Shows a response as `CODE FORMAT CONTENT`; values as `PATH=VALUE`.
fn show(at: &str, response: &Response) -> String {
    let code = response.code;
    let Some(format) = response.options.content_format().map(ContentFormat) else {
        return code.to_string();
    };
    let payload = &response.payload;
    if matches!(format, ContentFormat::LINK | ContentFormat::TEXT) {
        return format!("{code} {format} {}", std::str::from_utf8(payload).unwrap());
    }
    let leaves = crate::decode(format, path(at), payload, &Definitions::core()).unwrap();
    let shown: Vec<String> = leaves.iter().map(|leaf| format!("{leaf:?}")).collect();
    let values: BTreeMap<Path, &Leaf> = leaves.iter().map(|leaf| (leaf.path, leaf)).collect();
    assert_eq!(values.len(), leaves.len(), "{shown:?}");
    let shown: Vec<String> = values.values().map(|leaf| show_leaf(leaf)).collect();
    format!("{code} {format} {}", shown.join(" "))
}

fn show_leaf(leaf: &Leaf) -> String {
    match &leaf.value {
        Value::Opaque(bytes) => format!("{}={}", leaf.path, String::from_utf8_lossy(bytes)),
        value => format!("{}={value}", leaf.path),
    }
}

/// Asks as the server and shows the answer.
fn ask(pair: &mut Pair, at: &str, request: Request) -> String {
    let response = pair.ask(request);
    show(at, &response)
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Client>() < 2048, "{} bytes", size_of::<Client>());
}

#[test]
fn the_endpoint_name_must_fit_its_query() {
    let check = |name: &str, fits: bool| {
        let config = ClientConfig::new(name, SERVER, Arc::new(Definitions::empty()));
        assert_eq!(Client::new(config, ObjectTree::new(), None, 1).is_ok(), fits, "{name}");
    };
    check("", false);
    check("urn:dev:os:1", true);
    check(&"x".repeat(252), true);
    check(&"x".repeat(253), false);
}
