//! Read, Discover, Write, Write-Attributes, Execute, Create and Delete (LwM2M Core 1.1, 6.3).

use super::*;
use crate::encode;

/// LwM2M Core 1.1, 6.3.1 and 6.5.6.
#[test]
fn reads_at_each_level_in_each_format() {
    let mut pair = registered();
    let mut check = |at: &str, accept: Option<ContentFormat>, expected: &str| {
        let mut request = Request::get(at);
        if let Some(format) = accept {
            request = request.accept(format.0);
        }
        assert_eq!(ask(&mut pair, at, request), expected, "{at} {accept:?}");
    };
    let device = "/3/0/0=Acme /3/0/6/0=0 /3/0/6/5=1 /3/0/9=80 /3/0/13=1700000000 /3/0/14=+01:00";
    check("/3/0/9", None, "2.05 text 80");
    check("/3/0/0", None, "2.05 text Acme");
    check("/3/0/6", None, "2.05 TLV /3/0/6/0=0 /3/0/6/5=1");
    check("/3/0/6/5", None, "2.05 text 1");
    check("/3/0", None, &format!("2.05 TLV {device}"));
    check("/3", None, &format!("2.05 TLV {device}"));
    check("/2", None, "2.05 TLV ");
    for format in [ContentFormat::TLV, ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR] {
        check("/3", Some(format), &format!("2.05 {format} {device}"));
        check("/3/0", Some(format), &format!("2.05 {format} {device}"));
        check("/3/0/9", Some(format), &format!("2.05 {format} /3/0/9=80"));
        check("/3303/0/5700", Some(format), &format!("2.05 {format} /3303/0/5700=20.5"));
    }
    check("/3/0/9", Some(ContentFormat::TEXT), "2.05 text 80");
    check("/3/0/9", Some(ContentFormat::CBOR), "2.05 CBOR /3/0/9=80");
    check("/3/0", Some(ContentFormat::TEXT), "4.06");
    check("/3/0/9", Some(ContentFormat(9)), "4.06");
    check("/3/0/9", Some(ContentFormat::OPAQUE), "4.06");
    check("/9999/0", None, "2.05 TLV /9999/0/1=\u{7} /9999/0/2/0=a");
    check("/3/0/99", None, "4.04");
    check("/3/1", None, "4.04");
    check("/4", None, "4.04");
    check("/3/0/9/0", None, "4.04");
    check("/3/0/6/9", None, "4.04");
    check("/.well-known/core", None, "4.04");
    check("/65535", None, "4.04");
    check("/3/0/4", None, "4.05");
    check("/9999/0/0", None, "4.05");
    check("/", None, "4.05");
    // LwM2M Core 1.1, E.1: nobody but a bootstrap server sees the Security object.
    check("/0", None, "4.01");
    check("/0/0/5", None, "4.01");
    check("/0", Some(ContentFormat::LINK), "4.01");
    assert!(pair.take_events().contains(&Event::Read { path: path("/3/0/9") }));
}

#[test]
fn strangers_are_refused() {
    let mut pair = registered();
    let stranger = "10.9.9.9:5683".parse().unwrap();
    let get = [0x40, 0x01, 0x12, 0x34, 0xb1, b'3'];
    pair.client.handle_datagram(stranger, &get, pair.now);
    let answer = pair.client.poll_transmit().unwrap();
    assert_eq!((answer.peer, &answer.datagram[..]), (stranger, &[0x60, 0x81, 0x12, 0x34][..]));
}

/// LwM2M Core 1.1, 6.3.2.
#[test]
fn discovers() {
    let mut pair = registered();
    let mut check = |at: &str, expected: &str| {
        let request = Request::get(at).accept(ContentFormat::LINK.0);
        assert_eq!(ask(&mut pair, at, request), expected, "{at}");
    };
    let resources = "</3/0>,</3/0/0>,</3/0/4>,</3/0/6>;dim=2,</3/0/9>,</3/0/13>,</3/0/14>";
    check("/3", &format!("2.05 link-format </3>,{resources}"));
    check("/3/0", &format!("2.05 link-format {resources}"));
    check("/3/0/9", "2.05 link-format </3/0/9>");
    check("/3/0/6", "2.05 link-format </3/0/6>;dim=2,</3/0/6/0>,</3/0/6/5>");
    check("/2", "2.05 link-format </2>");
    check("/3306", "2.05 link-format </3306>;ver=1.1,</3306/0>,</3306/0/5850>");
    check("/3/7", "4.04");
    check("/3/0/6/0", "4.00");
    for (at, queries) in [("/3", "pmin=5"), ("/3/0", "pmax=50"), ("/3/0/9", "gt=90&lt=10")] {
        let queries = queries.split('&');
        let request = queries.fold(Request::put(at), Request::query);
        assert_eq!(ask(&mut pair, at, request), "2.04", "{at}");
    }
    let mut check = |at: &str, expected: &str| {
        let request = Request::get(at).accept(ContentFormat::LINK.0);
        assert_eq!(ask(&mut pair, at, request), expected, "{at}");
    };
    check("/3/0/9", "2.05 link-format </3/0/9>;pmin=5;pmax=50;gt=90;lt=10");
    let own = resources.replace("</3/0>,", "</3/0>;pmax=50,");
    let own = own.replace("</3/0/9>", "</3/0/9>;gt=90;lt=10");
    check("/3", &format!("2.05 link-format </3>;pmin=5,{own}"));
}

/// LwM2M Core 1.1, 6.3.4 and 7.3.2.
#[test]
fn refuses_wrong_attributes() {
    let mut pair = registered();
    let mut check = |at: &str, query: &str, expected: &str| {
        assert_eq!(ask(&mut pair, at, Request::put(at).query(query)), expected, "{at} {query}");
    };
    check("/3/0/9", "pmin=5", "2.04");
    check("/3/0/9", "pmin", "2.04");
    check("/3/0/9", "con=1", "4.00");
    check("/3/0/9", "pmin=x", "4.00");
    check("/3/0/0", "gt=5", "4.00");
    check("/3/0", "gt=5", "4.00");
    check("/3/0/6", "gt=5", "2.04");
    check("/3/0/9", "gt=5", "2.04");
    check("/3/0/9", "lt=6", "4.00");
    check("/3/0/77", "pmin=1", "4.04");
    check("/4", "pmin=1", "4.04");
    check("/0", "pmin=1", "4.01");
    check("/", "pmin=1", "4.05");
}

/// LwM2M Core 1.1, 6.3.3: PUT replaces, POST to an instance changes a part.
#[test]
fn writes() {
    let mut pair = registered();
    let mut check = |put: bool, at: &str, leaves: &str, format: ContentFormat, expected: &str| {
        let leaves: Vec<Leaf> = leaves
            .split_whitespace()
            .map(|leaf| {
                let (at, value) = leaf.split_once('=').unwrap();
                let value = match value.parse() {
                    Ok(number) => Value::Integer(number),
                    Err(_) => Value::String(value.to_owned()),
                };
                Leaf::new(path(at), value)
            })
            .collect();
        let payload = encode(format, path(at), &leaves).unwrap();
        let request = if put { Request::put(at) } else { Request::post(at) };
        let request = request.content_format(format.0).payload(payload);
        assert_eq!(ask(&mut pair, at, request), expected, "{at} {leaves:?}");
        let values = ["/3/0/13", "/3/0/14", "/9999/0/1", "/9999/0/2/0", "/9999/0/2/1"];
        let values = values.map(|at| pair.client.value(path(at)).map(Value::to_string));
        values.map(Option::unwrap_or_default).join(" ")
    };
    let (text, tlv) = (ContentFormat::TEXT, ContentFormat::TLV);
    let (json, cbor) = (ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR);
    assert_eq!(check(true, "/3/0/14", "/3/0/14=+02", text, "2.04"), "1700000000 2 7 a ");
    let after = "5 +03:00 7 a ";
    assert_eq!(check(false, "/3/0", "/3/0/13=5 /3/0/14=+03:00", tlv, "2.04"), after);
    let after = "6 +03:00 7 a ";
    assert_eq!(check(true, "/3/0", "/3/0/13=6", cbor, "2.04"), after);
    assert_eq!(check(true, "/9999/0/1", "/9999/0/1=8", tlv, "2.04"), "6 +03:00 8 a ");
    assert_eq!(check(true, "/9999/0/1", "/9999/0/1=9", text, "2.04"), "6 +03:00 9 a ");
    let after = "6 +03:00 9 a b";
    assert_eq!(check(false, "/9999/0/2", "/9999/0/2/1=b", json, "2.04"), after);
    assert_eq!(check(true, "/9999/0/2", "/9999/0/2/1=c", json, "2.04"), "6 +03:00 9  c");
    assert_eq!(check(true, "/9999/0/2/1", "/9999/0/2/1=d", text, "2.04"), "6 +03:00 9  d");
    let same = "6 +03:00 9  d";
    assert_eq!(check(true, "/9999/0/2/0", "/9999/0/2/0=x", text, "4.04"), same);
    assert_eq!(check(true, "/3/0/0", "/3/0/0=x", text, "4.05"), same);
    assert_eq!(check(false, "/3/0", "/3/0/13=9 /3/0/9=1", tlv, "4.05"), same);
    assert_eq!(check(false, "/3/0", "/3/0/13=9 /3/0/77=1", json, "4.04"), same);
    assert_eq!(check(true, "/3/0/13", "/3/0/13=x", json, "4.00"), same);
    assert_eq!(check(true, "/3/4", "/3/4/13=1", json, "4.04"), same);
    assert_eq!(check(false, "/9999/0/1", "/9999/0/1=1", json, "4.05"), same);
    assert_eq!(check(true, "/3", "/3/0/13=1", json, "4.05"), same);
    let event = Event::Written { path: path("/9999/0/2/1") };
    assert!(pair.take_events().contains(&event));
}

#[test]
fn refuses_what_it_cannot_read() {
    let mut pair = registered();
    let mut check = |request: Request, expected: &str| {
        let shown = format!("{request:?}");
        assert_eq!(ask(&mut pair, "/", request), expected, "{shown}");
    };
    check(Request::put("/3/0/14").content_format(9).payload("x"), "4.15");
    check(Request::put("/3/0/14").content_format(50).payload("{}"), "4.15");
    check(Request::put("/3/0/13").content_format(0).payload("soon"), "4.00");
    check(Request::put("/3/0").content_format(11542).payload("\u{1}"), "4.00");
    check(Request::put("/3/0").content_format(110).payload("[{"), "4.00");
    check(Request::put("/3/0").content_format(0).payload("x"), "4.00");
    check(
        Request::put("/3/0/14").content_format(110).payload("[{\"bn\":\"/4/0/1\",\"v\":1}]"),
        "4.00",
    );
    // Without a content format a value is text.
    check(Request::put("/3/0/14").payload("Z"), "2.04");
    check(Request::fetch("/"), "4.05");
    check(Request::ipatch("/"), "4.05");
    check(Request::delete("/"), "4.05");
    check(Request::put("/3/0/14").query("pmin=1").payload("x"), "4.00");
    assert_eq!(pair.client.value(path("/3/0/14")), Some(&Value::String("Z".to_owned())));
}

/// LwM2M Core 1.1, 6.3.5.
#[test]
fn executes() {
    let mut pair = registered();
    let mut check = |request: Request, expected: &str| {
        let shown = format!("{request:?}");
        assert_eq!(ask(&mut pair, "/", request), expected, "{shown}");
    };
    check(Request::post("/3/0/4"), "2.04");
    check(Request::post("/3/0/4").payload("0='a'"), "2.04");
    check(Request::post("/3/0/4").content_format(0).payload("1"), "2.04");
    check(Request::post("/3/0/4").content_format(42).payload("1"), "4.15");
    check(Request::post("/3/0/4").payload(&b"\xff"[..]), "4.00");
    check(Request::post("/3/0/9"), "4.05");
    check(Request::post("/3/0/44"), "4.04");
    check(Request::post("/3/0/4/0"), "4.05");
    check(Request::put("/3/0/4").content_format(0).payload("1"), "4.05");
    let arguments: Vec<String> = pair
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Executed { path: at, arguments } if at == path("/3/0/4") => Some(arguments),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, ["", "0='a'", "1"]);
}

/// LwM2M Core 1.1, 6.3.6 and 6.3.7.
#[test]
fn creates_and_deletes() {
    let mut pair = registered();
    let senml = |text: &'static str| Request::post("/3306").content_format(110).payload(text);
    let response = pair.ask(senml("[{\"n\":\"/3306/7/5850\",\"vb\":true}]"));
    assert_eq!(show("/", &response), "2.01");
    assert_eq!(response.location_path().collect::<Vec<_>>(), ["3306", "7"]);
    assert_eq!(pair.client.value(path("/3306/7/5850")), Some(&Value::Boolean(true)));
    pair.run(1);
    assert!(pair.received[0].contains("</3306/0>,</3306/7>"), "{:?}", pair.received);
    // TLV of the resources alone leaves the choice of the identifier to the client.
    let tlv = Request::post("/3306").content_format(11542);
    let response = pair.ask(tlv.payload(&[0xe1, 0x16, 0xda, 0x01][..]));
    assert_eq!(show("/", &response), "2.01");
    assert_eq!(response.location_path().collect::<Vec<_>>(), ["3306", "1"]);
    let mut check = |request: Request, expected: &str| {
        let shown = format!("{request:?}");
        assert_eq!(ask(&mut pair, "/", request), expected, "{shown}");
    };
    check(senml("[{\"n\":\"/3306/9/5850\",\"vb\":true}]"), "4.00");
    check(Request::delete("/3306/1"), "2.02");
    check(Request::delete("/3306/1"), "4.04");
    check(senml("[{\"n\":\"/3306/7/5850\",\"vb\":true}]"), "4.00");
    check(senml("[{\"n\":\"/3306/8/5851\",\"v\":1}]"), "4.04");
    check(Request::delete("/3306/8"), "4.04");
    check(Request::post("/3").content_format(110).payload("[]"), "4.05");
    check(Request::post("/4").content_format(110).payload("[]"), "4.04");
    check(Request::delete("/3/0"), "4.05");
    check(Request::delete("/3306"), "4.05");
    let created = Event::Created { path: path("/3306/7") };
    let deleted = Event::Deleted { path: path("/3306/1") };
    let events = pair.take_events();
    assert!(events.contains(&created) && events.contains(&deleted), "{events:?}");
}

/// RFC 7959, 2.4: a long answer is read block by block, with a tag.
#[test]
fn long_values_are_read_in_blocks() {
    let mut pair = registered();
    let long = "x".repeat(5000);
    pair.client.set(path("/3/0/0"), Value::String(long.clone()), pair.now).unwrap();
    pair.loss_percent = 20;
    assert_eq!(ask(&mut pair, "/3/0/0", Request::get("/3/0/0")), format!("2.05 text {long}"));
}
