//! Bytes that the specifications and real devices show.

use super::*;

/// The Device object of the examples in LwM2M 1.1 TS core, section 7.4.3.
fn device() -> Vec<Leaf> {
    vec![
        leaf("/3/0/0", text("Open Mobile Alliance")),
        leaf("/3/0/1", text("Lightweight M2M Client")),
        leaf("/3/0/2", text("345000123")),
        leaf("/3/0/3", text("1.0")),
        leaf("/3/0/6/0", Value::Integer(1)),
        leaf("/3/0/6/1", Value::Integer(5)),
        leaf("/3/0/7/0", Value::Integer(3800)),
        leaf("/3/0/7/1", Value::Integer(5000)),
        leaf("/3/0/8/0", Value::Integer(125)),
        leaf("/3/0/8/1", Value::Integer(900)),
        leaf("/3/0/9", Value::Integer(100)),
        leaf("/3/0/10", Value::Integer(15)),
        leaf("/3/0/11/0", Value::Integer(0)),
        leaf("/3/0/13", Value::Time(1_367_491_215)),
        leaf("/3/0/14", text("+02:00")),
        leaf("/3/0/16", text("U")),
    ]
}

const DEVICE_TLV: &str = "
    c80014 4f70656e204d6f62696c6520416c6c69616e6365
    c80116 4c69676874776569676874204d324d20436c69656e74
    c80209 333435303030313233
    c303 312e30
    8606 410001 410105
    880708 42000ed8 42011388
    8708 41007d 42010384
    c10964 c10a0f
    830b 410000
    c40d 5182428f
    c60e 2b30323a3030
    c110 55";

/// Reads `payload`, and writes the leaves back to the same bytes.
fn check_tlv(base: &str, payload: &str, leaves: &[Leaf]) {
    let payload = hex(payload);
    let definitions = Definitions::core();
    let decoded = decode(ContentFormat::TLV, path(base), &payload, &definitions);
    assert_eq!(decoded.as_deref(), Ok(leaves));
    assert_eq!(encode(ContentFormat::TLV, path(base), leaves).as_deref(), Ok(payload.as_slice()));
}

/// LwM2M 1.1 TS core, section 7.4.3: an instance, and the same read at the object.
#[test]
fn tlv_of_the_device_object() {
    check_tlv("/3/0", DEVICE_TLV, &device());
    check_tlv("/3", &format!("080079{DEVICE_TLV}"), &device());
}

/// LwM2M 1.1 TS core, section 7.4.3: one resource with several values, one of its values.
#[test]
fn tlv_of_resources() {
    check_tlv("/3/0/9", "c10964", &[leaf("/3/0/9", Value::Integer(100))]);
    check_tlv("/3/0/11", "830b 410000", &[leaf("/3/0/11/0", Value::Integer(0))]);
    check_tlv("/3/0/7/1", "42011388", &[leaf("/3/0/7/1", Value::Integer(5000))]);
    check_tlv("/3/0/9", "c109ff", &[leaf("/3/0/9", Value::Integer(-1))]);
    check_tlv("/3/0/9", "c20900ff", &[leaf("/3/0/9", Value::Integer(255))]);
    check_tlv("/3303/0/5700", "e4164441ac0000", &[leaf("/3303/0/5700", Value::Float(21.5))]);
    check_tlv(
        "/2/0",
        "c10003 c1012d",
        &[leaf("/2/0/0", Value::Integer(3)), leaf("/2/0/1", Value::Integer(45))],
    );
}

/// LwM2M 1.1 TS core, section 7.4.3: object links are two identifiers of 16 bits.
#[test]
fn tlv_of_an_object_link() {
    check_tlv("/3/0/22", "8616 44000042 0000", &[leaf("/3/0/22/0", Value::ObjectLink(66, 0))]);
}

/// A package of several blocks needs a length of 24 bits.
#[test]
fn tlv_with_long_values() {
    for (length, header) in
        [(7, "c700"), (8, "c80008"), (255, "c800ff"), (256, "d0000100"), (70_000, "d800011170")]
    {
        let image = vec![0xa5; length];
        let leaves = [leaf("/5/0/0", Value::Opaque(image.clone().into()))];
        let mut expected = hex(header);
        expected.extend(&image);
        let written = encode(ContentFormat::TLV, path("/5/0/0"), &leaves);
        assert_eq!(written.as_deref(), Ok(expected.as_slice()));
        let read = decode(ContentFormat::TLV, path("/5/0/0"), &expected, &Definitions::core());
        assert_eq!(read.as_deref(), Ok(leaves.as_slice()));
    }
}

/// Devices of version 1.0 wrap an instance they were asked for, or leave out the only one.
#[test]
fn tlv_liberties() {
    let check = |base: &str, payload: &str, leaves: &[Leaf]| {
        let decoded =
            decode(ContentFormat::TLV_DRAFT, path(base), &hex(payload), &Definitions::core());
        assert_eq!(decoded.as_deref(), Ok(leaves), "{base}");
    };
    check("/3/0", "0300c10964", &[leaf("/3/0/9", Value::Integer(100))]);
    check("/3", "c10964", &[leaf("/3/0/9", Value::Integer(100))]);
    check("/3/0/11", "410000", &[leaf("/3/0/11/0", Value::Integer(0))]);
    check("/3/0", "", &[]);
    check("/9", "0000 0001", &[]);
    // A resource nobody described is kept as bytes.
    check("/3/0", "c2fe4142", &[leaf("/3/0/254", Value::Opaque(Bytes::from_static(b"AB")))]);
}

fn check(format: ContentFormat, base: &str, payload: &[u8], leaves: &[Leaf]) {
    let decoded = decode(format, path(base), payload, &Definitions::core());
    assert_eq!(decoded.as_deref(), Ok(leaves), "{format} at {base}");
}

fn check_both(format: ContentFormat, base: &str, payload: &[u8], leaves: &[Leaf]) {
    check(format, base, payload, leaves);
    let written = encode(format, path(base), leaves);
    assert_eq!(written.as_deref(), Ok(payload), "{format} at {base}");
}

/// LwM2M 1.1 TS core, sections 7.4.1, 7.4.2 and 7.4.4.
#[test]
fn single_values() {
    use ContentFormat as F;
    check_both(
        F::TEXT,
        "/3/0/0",
        b"Open Mobile Alliance",
        &[leaf("/3/0/0", text("Open Mobile Alliance"))],
    );
    check_both(F::TEXT, "/3/0/9", b"-5", &[leaf("/3/0/9", Value::Integer(-5))]);
    check_both(F::TEXT, "/1/0/6", b"1", &[leaf("/1/0/6", Value::Boolean(true))]);
    check(F::TEXT, "/1/0/6", b"false", &[leaf("/1/0/6", Value::Boolean(false))]);
    check_both(F::TEXT, "/6/0/0", b"-43.5723", &[leaf("/6/0/0", Value::Float(-43.5723))]);
    check(F::TEXT, "/6/0/0", b"1.5e2", &[leaf("/6/0/0", Value::Float(150.0))]);
    check_both(F::TEXT, "/3/0/22/0", b"66:1", &[leaf("/3/0/22/0", Value::ObjectLink(66, 1))]);
    check_both(F::TEXT, "/6/0/4", b"AQI=", &[leaf("/6/0/4", Value::Opaque(vec![1, 2].into()))]);
    check_both(F::TEXT, "/33000/0/1", b"12", &[leaf("/33000/0/1", text("12"))]);
    check_both(
        F::OPAQUE,
        "/5/0/0",
        b"\x00\xff",
        &[leaf("/5/0/0", Value::Opaque(vec![0, 255].into()))],
    );
    check_both(F::CBOR, "/3/0/9", &hex("1864"), &[leaf("/3/0/9", Value::Integer(100))]);
    check_both(
        F::CBOR,
        "/3/0/13",
        &hex("c11a5182428f"),
        &[leaf("/3/0/13", Value::Time(1_367_491_215))],
    );
    check(F::CBOR, "/3/0/13", &hex("1a5182428f"), &[leaf("/3/0/13", Value::Time(1_367_491_215))]);
    check_both(F::CBOR, "/3/0/0", &hex("6141"), &[leaf("/3/0/0", text("A"))]);
    check(F::CBOR, "/3/0/0", &hex("7f61416142ff"), &[leaf("/3/0/0", text("AB"))]);
    // Half floats, RFC 8949, appendix A.
    check(F::CBOR, "/3303/0/5700", &hex("f93e00"), &[leaf("/3303/0/5700", Value::Float(1.5))]);
    check(F::CBOR, "/3303/0/5700", &hex("02"), &[leaf("/3303/0/5700", Value::Float(2.0))]);
    // Decimal fraction 273.15, RFC 8949, section 3.4.4.
    check(
        F::CBOR,
        "/3303/0/5700",
        &hex("c48221196ab3"),
        &[leaf("/3303/0/5700", Value::Float(273.15))],
    );
}

/// LwM2M 1.1 TS core, section 7.4.5: an instance with base name, names and several values.
#[test]
fn senml_json_of_an_instance() {
    let payload = br#"[{"bn":"/3/0/","n":"0","vs":"Open Mobile Alliance"},
        {"n":"6/0","v":1},{"n":"9","v":95},{"n":"13","v":1367491215},{"n":"16","vs":"U"},
        {"n":"22/0","vlo":"66:0"},{"bn":"/5/0/","n":"0","vd":"-_8"},{"bn":"/1/0/6","vb":true}]"#;
    check(
        ContentFormat::SENML_JSON,
        "/",
        payload,
        &[
            leaf("/3/0/0", text("Open Mobile Alliance")),
            leaf("/3/0/6/0", Value::Integer(1)),
            leaf("/3/0/9", Value::Integer(95)),
            leaf("/3/0/13", Value::Time(1_367_491_215)),
            leaf("/3/0/16", text("U")),
            leaf("/3/0/22/0", Value::ObjectLink(66, 0)),
            leaf("/5/0/0", Value::Opaque(vec![0xfb, 0xff].into())),
            leaf("/1/0/6", Value::Boolean(true)),
        ],
    );
}

#[test]
fn senml_json_as_written() {
    let format = ContentFormat::SENML_JSON;
    check_both(
        format,
        "/3/0/9",
        br#"[{"bn":"/3/0/9","v":95}]"#,
        &[leaf("/3/0/9", Value::Integer(95))],
    );
    check_both(
        format,
        "/3/0",
        br#"[{"bn":"/3/0/","n":"0","vs":"A"},{"n":"9","v":95}]"#,
        &[leaf("/3/0/0", text("A")), leaf("/3/0/9", Value::Integer(95))],
    );
    check_both(
        format,
        "/",
        br#"[{"n":"/3/0/9","v":95},{"n":"/6/0/0","v":-43.5723}]"#,
        &[leaf("/3/0/9", Value::Integer(95)), leaf("/6/0/0", Value::Float(-43.5723))],
    );
    check_both(format, "/3", b"[]", &[]);
}

/// RFC 8428, sections 4.1, 4.5.3 and 5.1.3: base time and base value.
#[test]
fn senml_base_fields() {
    let at = |time_s: f64, value: f64| Leaf {
        time_s: Some(time_s),
        ..leaf("/3303/0/5700", Value::Float(value))
    };
    check(
        ContentFormat::SENML_JSON,
        "/3303",
        br#"[{"bn":"/3303/0/","bt":1.276020076e9,"bu":"Cel","bver":5,"n":"5700","v":23.5},
            {"n":"5700","t":-5,"v":24},{"n":"5700","t":-4,"bv":1,"v":1.25},{"n":"5701","s":3}]"#,
        &[at(1_276_020_076.0, 23.5), at(1_276_020_071.0, 24.0), at(1_276_020_072.0, 2.25)],
    );
    check(
        ContentFormat::SENML_CBOR,
        "/3303",
        // [{-2: "/3303/0/5700", -3: 1276020076, 2: 23.5}, {6: -5, 2: 24}]
        &hex("82 a3 21 6c2f333330332f302f35373030 22 1a4c0e85 6c 02 f94de0 a2 06 24 02 1818"),
        &[at(1_276_020_076.0, 23.5), at(1_276_020_071.0, 24.0)],
    );
}

/// LwM2M 1.1 TS core, section 7.4.6; labels of RFC 8428, table 4.
#[test]
fn senml_cbor_of_an_instance() {
    let payload = hex("83
        a3 21 652f332f302f 00 6130 03 6141
        a2 00 6139 02 185f
        a2 00 6432322f30 63766c6f 6436363a30");
    check_both(
        ContentFormat::SENML_CBOR,
        "/3/0",
        &payload,
        &[
            leaf("/3/0/0", text("A")),
            leaf("/3/0/9", Value::Integer(95)),
            leaf("/3/0/22/0", Value::ObjectLink(66, 0)),
        ],
    );
    // The same pack with arrays, maps and text of unknown length, and a label to ignore.
    let payload = hex("9f bf 21 7f 632f332f 62302f ff 00 6139 02 185f 1863 820102 ff ff");
    check(ContentFormat::SENML_CBOR, "/3/0", &payload, &[leaf("/3/0/9", Value::Integer(95))]);
}

/// LwM2M 1.0 TS, section 6.4.4, and what devices make of it.
#[test]
fn lwm2m_json() {
    let format = ContentFormat::LWM2M_JSON;
    check_both(
        format,
        "/3/0",
        br#"{"bn":"/3/0/","e":[{"n":"0","sv":"A"},{"n":"9","v":95}]}"#,
        &[leaf("/3/0/0", text("A")), leaf("/3/0/9", Value::Integer(95))],
    );
    let level = [leaf("/3/0/9", Value::Integer(95))];
    for (base, payload) in [
        ("/3/0/9", r#"{"bn":"/3/0/9","e":[{"v":95}]}"#),
        ("/3/0/9", r#"{"e":[{"n":"","v":95}]}"#),
        ("/3/0/9", r#"{"bn":"/3/0/9","e":[{"n":"/","v":95}]}"#),
        ("/3/0", r#"{"e":[{"n":"9","v":95}]}"#),
        ("/3", r#"{"bn":"/3","e":[{"n":"0/9","v":95.0}]}"#),
        ("/3", r#"{"bn":"/","e":[{"n":"3/0/9","v":95}]}"#),
    ] {
        check(ContentFormat::LWM2M_JSON_DRAFT, base, payload.as_bytes(), &level);
    }
    check(
        format,
        "/",
        br#"{"bt":100,"e":[{"n":"/3/0/22/0","ov":"66:0","t":-5},
        {"n":"/5/0/0","sv":"+/8="},{"n":"/1/0/6","bv":true}]}"#,
        &[
            Leaf { time_s: Some(95.0), ..leaf("/3/0/22/0", Value::ObjectLink(66, 0)) },
            Leaf { time_s: Some(100.0), ..leaf("/5/0/0", Value::Opaque(vec![0xfb, 0xff].into())) },
            Leaf { time_s: Some(100.0), ..leaf("/1/0/6", Value::Boolean(true)) },
        ],
    );
}

/// LwM2M 1.2 TS core, section 7.4.7.
#[test]
fn lwm2m_cbor() {
    let format = ContentFormat::LWM2M_CBOR;
    check_both(
        format,
        "/3/0",
        &hex("a1 03 a1 00 a3 00 6141 09 185f 0b a1 00 00"),
        &[
            leaf("/3/0/0", text("A")),
            leaf("/3/0/9", Value::Integer(95)),
            leaf("/3/0/11/0", Value::Integer(0)),
        ],
    );
    // Keys that are arrays, maps of unknown length.
    let payload = hex("a2 820300 bf 09 185f ff 84 03 00 0b 00 00");
    check(
        format,
        "/",
        &payload,
        &[leaf("/3/0/9", Value::Integer(95)), leaf("/3/0/11/0", Value::Integer(0))],
    );
}

/// LwM2M 1.1 TS core, section 6.3.6.
#[test]
fn paths_of_composite_requests() {
    let paths = [path("/3/0/9"), path("/1"), path("/5/0/3")];
    for format in [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR] {
        let payload = encode_paths(format, &paths).unwrap();
        assert_eq!(decode_paths(format, &payload).as_deref(), Ok(paths.as_slice()));
    }
    let based = br#"[{"bn":"/3/0/","n":"0"},{"n":"9"},{"bn":"/5"}]"#;
    assert_eq!(
        decode_paths(ContentFormat::SENML_JSON, based),
        Ok(vec![path("/3/0/0"), path("/3/0/9"), path("/5")])
    );
    assert_eq!(
        decode_paths(ContentFormat::TLV, b""),
        Err(CodecError::UnsupportedFormat(ContentFormat::TLV))
    );
}
