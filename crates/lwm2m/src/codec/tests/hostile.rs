//! Inputs that broke other implementations, and limits.

use super::*;

fn refusal(format: ContentFormat, base: &str, payload: &[u8]) -> CodecError {
    match decode(format, path(base), payload, &Definitions::core()) {
        Ok(leaves) => panic!("{format} {payload:02x?} was read as {leaves:?}"),
        Err(error) => error,
    }
}

fn check_malformed(format: ContentFormat, base: &str, payload: &[u8]) {
    let error = refusal(format, base, payload);
    assert!(matches!(error, CodecError::Malformed { .. }), "{error:?} for {payload:02x?}");
}

#[test]
fn tlv_that_breaks_its_rules() {
    let check = |base: &str, payload: &str| {
        check_malformed(ContentFormat::TLV, base, &hex(payload));
    };
    check("/3/0", "c1"); // no identifier
    check("/3/0", "e109"); // half of a wide identifier
    check("/3/0", "c109"); // no value
    check("/3/0", "c80905 01"); // shorter than its length
    check("/3/0", "d809ffffff 01"); // a length of 16 MiB
    check("/3/0", "d809ff"); // half of a length
    check("/3/0", "8403 c8 00 7f 00"); // a value longer than its container
    check("/3/0", "8209 c100"); // a resource inside a resource
    check("/3/0", "8209 8100"); // a resource with values inside a resource
    check("/3/0", "410964"); // a value outside a resource
    check("/3", "0400 0200 c1 09"); // an instance inside an instance
    check("/3", "0300 410964"); // a value directly inside an instance
    check("/3/0", "e1ffff 01"); // the reserved identifier
    check("/", "c10964"); // no object
    check("/", "0300c10964");
}

#[test]
fn tlv_values_of_a_wrong_length() {
    let check = |at: &str, payload: &str, expected: ValueKind| {
        let at = path(at);
        assert_eq!(
            decode(ContentFormat::TLV, at, &hex(payload), &Definitions::core()),
            Err(CodecError::WrongKind { path: at, expected })
        );
    };
    check("/3/0/9", "c009", ValueKind::Integer); // an integer without bytes
    check("/3/0/9", "c309010203", ValueKind::Integer);
    check("/3/0/9", "c80909010203040506070809", ValueKind::Integer);
    check("/6/0/0", "c0 00", ValueKind::Float);
    check("/6/0/0", "c200 3c00", ValueKind::Float); // no half floats here
    check("/1/0/6", "c10602", ValueKind::Boolean);
    check("/1/0/6", "c006", ValueKind::Boolean);
    check("/3/0/0", "c200 c328", ValueKind::String); // not UTF-8
    check("/3/0/22/0", "4300 000000", ValueKind::ObjectLink);
}

#[test]
fn values_outside_the_request() {
    let check = |format: ContentFormat, base: &str, payload: &[u8], outside: &str| {
        let expected = CodecError::OutOfTree { path: path(outside), base: path(base) };
        assert_eq!(refusal(format, base, payload), expected);
    };
    check(ContentFormat::TLV, "/3/0", &hex("0301c10964"), "/3/1/9");
    check(ContentFormat::TLV, "/3/0/10", &hex("c10964"), "/3/0/9");
    check(ContentFormat::TLV, "/3/0/11/1", &hex("410000"), "/3/0/11/0");
    check(ContentFormat::SENML_JSON, "/3", br#"[{"bn":"/0/0/5","vs":"x"}]"#, "/0/0/5");
    check(ContentFormat::SENML_CBOR, "/3", &hex("81a2 00 662f302f302f35 03 6178"), "/0/0/5");
    check(ContentFormat::LWM2M_JSON, "/3", br#"{"bn":"/0/0/5","e":[{"sv":"QQ=="}]}"#, "/0/0/5");
    check(ContentFormat::LWM2M_CBOR, "/3", &hex("a1 00 a1 00 a1 05 6178"), "/0/0/5");
}

#[test]
fn senml_that_breaks_its_rules() {
    let check = |payload: &str| {
        check_malformed(ContentFormat::SENML_JSON, "/", payload.as_bytes());
    };
    check("");
    check("{}");
    check("null");
    check("[1]");
    check("[{]");
    check(r#"[{"v":1}]"#); // no name
    check(r#"[{"n":"","v":1}]"#);
    check(r#"[{"n":"3/0/9","v":1}]"#);
    check(r#"[{"n":"/3/0/9/0/0","v":1}]"#);
    check(r#"[{"n":"/3/0/65535","v":1}]"#);
    check(r#"[{"n":"/3/0","v":1}]"#); // a value at an instance
    check(r#"[{"n":"/3/0/9","v":1,"vs":"1"}]"#); // two values
    check(r#"[{"n":"/3/0/9","v":"1"}]"#);
    check(r#"[{"n":"/3/0/9","v":null}]"#);
    check(r#"[{"n":"/3/0/9","vb":1}]"#);
    check(r#"[{"n":"/5/0/0","vd":"Z"}]"#);
    check(r#"[{"n":"/3/0/22/0","vlo":"65536:0"}]"#);
    check(r#"[{"n":"/3/0/22/0","vlo":"1"}]"#);
    check(r#"[{"n":"/3/0/9","v":1e999}]"#);
    check(r#"[{"n":"/3/0/9","v":1,"bver":11}]"#);
    check(r#"[{"n":"/3/0/9","v":1,"must_":0}]"#); // RFC 8428, section 4.4
    check(&format!("{}{}", "[".repeat(5000), "]".repeat(5000)));
    let long = "/3".repeat(40_000);
    check(&format!(r#"[{{"bn":"{long}"}}]"#));
    check(&format!(r#"[{{"n":"{long}","v":1}}]"#));
}

#[test]
fn cbor_that_breaks_its_rules() {
    let senml = |payload: &str| {
        check_malformed(ContentFormat::SENML_CBOR, "/", &hex(payload));
    };
    senml("");
    senml("a0");
    senml("8100"); // a record that is no map
    senml("82a0"); // one record of two
    senml("80 00"); // bytes after the pack
    senml("9bffffffffffffffff"); // 2^64 - 1 records declared
    senml("81bbffffffffffffffff"); // as many fields
    senml("81a1007bffffffffffffffff"); // as much text
    senml("81a1085bffffffffffffffff"); // as many bytes
    senml("9f"); // no end
    senml("81a20066 2f332f302f39 02 f6"); // null for a number
    senml("81a1 22 f97e00"); // NaN for a time
    senml("81a1 22 f97c00"); // infinity for a time
    senml("81a1 646d757374 01 ff");
    senml("81a1 656d7573745f 01"); // RFC 8428, section 4.4
    senml("81a1 20 0b"); // a later version
    let single = |payload: &str| {
        check_malformed(ContentFormat::CBOR, "/3303/0/5700", &hex(payload));
    };
    single("");
    single("80");
    single("a0");
    single("f6");
    single("1864 00");
    single("1b00000000"); // half a number
    single("3bffffffffffffffff"); // -2^64
    single("c1c1c1c1c1c1c1c101"); // a chain of tags
    single("d9d9f7d9d9f7d9d9f7d9d9f7d9d9f701");
    single("c482 1b7fffffffffffffff 01"); // 10^(2^63)
    single("c483 010101");
    single("7f"); // text without end
    single("7f4141ff"); // bytes inside text
    single("6180"); // not UTF-8
}

#[test]
fn cbor_nested_deep() {
    let mut bomb = hex("81a11863");
    bomb.extend(vec![0x81; 200_000]);
    check_malformed(ContentFormat::SENML_CBOR, "/", &bomb);
    check_malformed(ContentFormat::CBOR, "/3/0/9", &vec![0x81; 200_000]);
    check_malformed(ContentFormat::LWM2M_CBOR, "/", &b"\xa1\x00".repeat(100_000));
    check_malformed(ContentFormat::LWM2M_CBOR, "/", &hex("a1 80 00")); // an empty key
    check_malformed(ContentFormat::LWM2M_CBOR, "/", &hex("a1 85 0000000000 00"));
    check_malformed(ContentFormat::LWM2M_CBOR, "/", &hex("a1 20 00")); // a negative identifier
    check_malformed(ContentFormat::LWM2M_CBOR, "/", &hex("a1 19ffff 00"));
}

#[test]
fn lwm2m_json_that_breaks_its_rules() {
    let check = |payload: &str| {
        check_malformed(ContentFormat::LWM2M_JSON, "/3/0", payload.as_bytes());
    };
    check("");
    check("[]");
    check("{}");
    check(r#"{"e":{}}"#);
    check(r#"{"e":[1]}"#);
    check(r#"{"e":[{"n":"9"}]}"#);
    check(r#"{"e":[{"n":9,"v":1}]}"#);
    check(r#"{"e":[{"n":"x","v":1}]}"#);
    check(r#"{"bn":7,"e":[]}"#);
    check(r#"{"bt":"x","e":[]}"#);
    check(r#"{"bn":"/3/0","e":[{"n":"22/0","ov":"65536:0"}]}"#);
}

#[test]
fn text_of_the_wrong_kind() {
    let check = |at: &str, payload: &[u8]| {
        let error = refusal(ContentFormat::TEXT, at, payload);
        assert!(matches!(error, CodecError::WrongKind { .. }), "{error:?}");
    };
    check("/3/0/9", b"");
    check("/3/0/9", b"9.5");
    check("/3/0/9", b"99999999999999999999");
    check("/3/0/9", b" 9");
    check("/1/0/6", b"yes");
    check("/6/0/0", b"NaN");
    check("/6/0/0", b"1e999");
    check("/6/0/4", b"!");
    check("/3/0/22/0", b"65536:0");
    check("/3/0/22/0", b"1:");
    check_malformed(ContentFormat::TEXT, "/3/0/0", b"\xff");
    let opaque = refusal(ContentFormat::OPAQUE, "/3/0/9", b"9");
    assert!(matches!(opaque, CodecError::WrongKind { .. }));
}

#[test]
fn single_formats_at_an_instance() {
    for format in [ContentFormat::TEXT, ContentFormat::OPAQUE, ContentFormat::CBOR] {
        let expected = CodecError::NotSingle { format, path: path("/3/0") };
        assert_eq!(refusal(format, "/3/0", b"0"), expected);
        assert_eq!(encode(format, path("/3/0"), &[]), Err(EncodeError::NotSingle(format)));
    }
    for format in [ContentFormat::LINK, ContentFormat(50)] {
        assert_eq!(refusal(format, "/3/0/9", b"0"), CodecError::UnsupportedFormat(format));
        assert_eq!(encode(format, path("/3"), &[]), Err(EncodeError::UnsupportedFormat(format)));
    }
}

#[test]
fn limits_hold() {
    let limits = CodecLimits { payload_bytes_max: 40, leaves_max: 2 };
    let check = |format: ContentFormat, base: &str, payload: &[u8], expected: CodecError| {
        let definitions = Definitions::core();
        let result = decode_within(&limits, format, path(base), payload, &definitions);
        assert_eq!(result, Err(expected));
    };
    let too_long = CodecError::TooLong { bytes: 41, bytes_max: 40 };
    check(ContentFormat::OPAQUE, "/5/0/0", &[0; 41], too_long);
    let too_many = CodecError::TooManyLeaves { leaves_max: 2 };
    check(ContentFormat::TLV, "/3/0", &hex("c10901 c10901 c10901"), too_many.clone());
    check(ContentFormat::SENML_JSON, "/", b"[{},{},{}]", too_many.clone());
    check(ContentFormat::SENML_CBOR, "/", &hex("83a0a0a0"), too_many.clone());
    check(ContentFormat::LWM2M_CBOR, "/", &hex("a1 03 a1 00 a3 09 00 0a 00 15 00"), too_many);
}

#[test]
fn values_that_cannot_be_written() {
    let check = |format: ContentFormat, base: &str, leaves: &[Leaf], expected: EncodeError| {
        assert_eq!(encode(format, path(base), leaves), Err(expected));
    };
    let level = leaf("/3/0/9", Value::Integer(1));
    let tlv = ContentFormat::TLV;
    let twice = [level.clone(), level.clone()];
    check(tlv, "/3/0", &twice, EncodeError::Twice(level.path));
    check(ContentFormat::LWM2M_CBOR, "/3/0", &twice, EncodeError::Twice(level.path));
    let both = [level.clone(), leaf("/3/0/9/0", Value::Integer(1))];
    check(tlv, "/3/0", &both, EncodeError::Twice(path("/3/0/9/0")));
    let outside = EncodeError::OutOfTree { path: level.path, base: path("/4") };
    check(tlv, "/4", std::slice::from_ref(&level), outside);
    let root = EncodeError::NotRepresentable { path: Path::ROOT, format: tlv };
    check(tlv, "/", std::slice::from_ref(&level), root);
    for format in [ContentFormat::SENML_JSON, ContentFormat::LWM2M_JSON, ContentFormat::TEXT] {
        for number in [f64::NAN, f64::INFINITY] {
            let leaves = [leaf("/6/0/0", Value::Float(number))];
            let expected = EncodeError::NotRepresentable { path: path("/6/0/0"), format };
            check(format, "/6/0/0", &leaves, expected);
        }
    }
    let opaque = ContentFormat::OPAQUE;
    let expected = EncodeError::NotRepresentable { path: level.path, format: opaque };
    check(opaque, "/3/0/9", std::slice::from_ref(&level), expected);
}
