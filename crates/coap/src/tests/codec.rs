use bytes::Bytes;

use super::{hex, to_hex};
use crate::{
    BlockValue, Code, DecodeError, Kind, Message, MessageView, OptionNumber, Options, Request,
    Response, Token,
};

/// Checks one datagram in both directions; `text` is its meaning in short form.
fn check(datagram: &str, text: &str) {
    let bytes = hex(datagram);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(describe(&message), text, "{datagram}");
    assert_eq!(to_hex(&message.to_datagram()), to_hex(&bytes), "{text}");
    let view = MessageView::decode(&bytes).unwrap();
    assert_eq!(view.to_message(), message);
}

fn describe(message: &Message) -> String {
    let mut text = format!("{:?} {} {:04x}", message.kind, message.code, message.id);
    if !message.token.is_empty() {
        text += &format!(" token {}", message.token);
    }
    for (number, value) in &message.options {
        text += &format!(" {number}={}", value.escape_ascii());
    }
    if !message.payload.is_empty() {
        text += &format!(" {}", message.payload.escape_ascii());
    }
    text
}

/// Reference: the examples of RFC 7252 appendix A, figures 16 to 23.
#[test]
fn examples_of_rfc_7252_appendix_a() {
    check("40 01 7d34 bb 74656d7065726174757265", "Confirmable 0.01 7d34 Uri-Path=temperature");
    check("60 45 7d34 ff 32322e332043", "Acknowledgement 2.05 7d34 22.3 C");
    check(
        "41 01 7d35 20 bb 74656d7065726174757265",
        "Confirmable 0.01 7d35 token 20 Uri-Path=temperature",
    );
    check("61 45 7d35 20 ff 32322e332043", "Acknowledgement 2.05 7d35 token 20 22.3 C");
    check(
        "41 01 7d38 53 bb 74656d7065726174757265",
        "Confirmable 0.01 7d38 token 53 Uri-Path=temperature",
    );
    check("60 00 7d38", "Acknowledgement 0.00 7d38");
    check("41 45 ad7b 53 ff 32322e332043", "Confirmable 2.05 ad7b token 53 22.3 C");
    check("50 01 7d40 bb 74656d7065726174757265", "NonConfirmable 0.01 7d40 Uri-Path=temperature");
    check("70 00 ad7b", "Reset 0.00 ad7b");
}

/// Reference: RFC 7252 section 3.1, extended deltas and lengths at their borders.
#[test]
fn option_headers() {
    for delta in [0_u16, 1, 12, 13, 14, 268, 269, 270, 4000, 65535] {
        for length in [0_usize, 1, 12, 13, 268, 269, 270, 1034] {
            let mut options = Options::new();
            options.push(OptionNumber(delta), vec![0x61; length]);
            options.push(OptionNumber(delta), b"b");
            let message = Message { options, ..Message::empty(Kind::Confirmable, 1) };
            let message = Message { code: Code::GET, ..message };
            assert_eq!(Message::decode(&message.to_datagram()).unwrap(), message);
        }
    }
    check("40 01 0001 d0 00", "Confirmable 0.01 0001 option 13=");
    check("40 01 0001 e0 fef2", "Confirmable 0.01 0001 option 65535=");
    check(
        "40 01 0001 bd 00 30313233343536373839616263",
        "Confirmable 0.01 0001 Uri-Path=0123456789abc",
    );
}

/// Reference: RFC 7252 sections 3, 3.1, 4.1 and 12.1: message format errors.
#[test]
fn format_errors() {
    let cases: &[(&str, DecodeError)] = &[
        ("", DecodeError::HeaderTruncated),
        ("40", DecodeError::HeaderTruncated),
        ("40 01 00", DecodeError::HeaderTruncated),
        ("00 01 0001", DecodeError::Version(0)),
        ("80 01 0001", DecodeError::Version(2)),
        ("c0 01 0001", DecodeError::Version(3)),
        ("49 01 0001 010203040506070809", DecodeError::TokenLength(9)),
        ("4d 01 0001", DecodeError::TokenLength(13)),
        ("4e 01 0001", DecodeError::TokenLength(14)),
        ("4f 01 0001", DecodeError::TokenLength(15)),
        ("44 01 0001 0102", DecodeError::TokenTruncated),
        ("41 00 0001 01", DecodeError::EmptyWithContent),
        ("40 00 0001 ff01", DecodeError::EmptyWithContent),
        ("40 00 0001 b161", DecodeError::EmptyWithContent),
        ("40 21 0001", DecodeError::ReservedClass(Code::new(1, 1))),
        ("40 61 0001", DecodeError::ReservedClass(Code::new(3, 1))),
        ("40 c1 0001", DecodeError::ReservedClass(Code::new(6, 1))),
        ("40 e1 0001", DecodeError::ReservedClass(Code::new(7, 1))),
        ("40 01 0001 b5 61", DecodeError::OptionTruncated),
        ("40 01 0001 d0", DecodeError::OptionTruncated),
        ("40 01 0001 e0 01", DecodeError::OptionTruncated),
        ("40 01 0001 0d", DecodeError::OptionTruncated),
        ("40 01 0001 0e 00", DecodeError::OptionTruncated),
        ("40 01 0001 0e ffff 00", DecodeError::OptionTruncated),
        ("40 01 0001 f0", DecodeError::OptionReserved),
        ("40 01 0001 0f", DecodeError::OptionReserved),
        ("40 01 0001 e0 ffff", DecodeError::OptionNumberOverflow),
        ("40 01 0001 e0 fef2 10", DecodeError::OptionNumberOverflow),
        ("40 01 0001 ff", DecodeError::PayloadMissing),
        ("40 01 0001 b1 61 ff", DecodeError::PayloadMissing),
    ];
    for (datagram, error) in cases {
        assert_eq!(MessageView::decode(&hex(datagram)), Err(*error), "{datagram}");
    }
}

#[test]
fn options_are_limited() {
    let mut datagram = hex("40 01 0001");
    datagram.extend([0xb0]);
    datagram.extend([0x00; 63]);
    assert_eq!(MessageView::decode(&datagram).unwrap().options().count(), 64);
    datagram.push(0x00);
    assert_eq!(MessageView::decode(&datagram), Err(DecodeError::TooManyOptions(64)));
    assert_eq!(MessageView::decode_limited(&datagram, 65).unwrap().options().count(), 65);
}

/// Reference: RFC 7252 section 3.2: integers in their shortest form, longer ones understood.
#[test]
fn integers() {
    for (value, bytes) in [
        (0, ""),
        (1, "01"),
        (255, "ff"),
        (256, "0100"),
        (0x01_0000, "010000"),
        (u32::MAX, "ffffffff"),
    ] {
        let mut options = Options::new();
        options.push_uint(OptionNumber::SIZE1, value);
        assert_eq!(to_hex(options.first(OptionNumber::SIZE1).unwrap()), bytes);
        assert_eq!(options.uint(OptionNumber::SIZE1), Some(value));
    }
    let padded = Options::from_iter([(OptionNumber::SIZE1, &hex("00000000000007")[..])]);
    assert_eq!(padded.uint(OptionNumber::SIZE1), Some(7));
    let long = Options::from_iter([(OptionNumber::SIZE1, &hex("0100000000")[..])]);
    assert_eq!(long.uint(OptionNumber::SIZE1), None);
}

#[test]
fn options_keep_their_order() {
    let mut options = Options::new();
    for (number, value) in [(15, "b"), (11, "x"), (15, "a"), (1, ""), (11, "y"), (60, "z")] {
        options.push(OptionNumber(number), value);
    }
    let listed = |options: &Options| {
        let texts = options
            .iter()
            .map(|(number, value)| format!("{}={}", number.0, std::str::from_utf8(value).unwrap()));
        texts.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listed(&options), "1= 11=x 11=y 15=b 15=a 60=z");
    assert!(options.remove(OptionNumber(11)));
    assert!(!options.remove(OptionNumber(11)));
    assert_eq!(listed(&options), "1= 15=b 15=a 60=z");
    assert!(options.remove(OptionNumber(1)));
    assert!(options.remove(OptionNumber(60)));
    assert_eq!(listed(&options), "15=b 15=a");
    assert_eq!(options.all(OptionNumber(15)).count(), 2);
    assert_eq!(options.len(), 2);
    assert!(options.remove(OptionNumber(15)) && options.is_empty());
}

#[test]
fn an_option_no_datagram_can_carry_is_cut() {
    let mut options = Options::new();
    options.push(OptionNumber(11), vec![1; 70_000]);
    assert_eq!(options.first(OptionNumber(11)).map(<[u8]>::len), Some(65_535));
}

/// Reference: RFC 7959 section 2.2.
#[test]
fn block_values() {
    let cases = [
        ("", Some((0, false, 16))),
        ("06", Some((0, false, 1024))),
        ("0e", Some((0, true, 1024))),
        ("00", Some((0, false, 16))),
        ("16", Some((1, false, 1024))),
        ("0fffe6", Some((0xfffe, false, 1024))),
        ("fffffe", Some((0xf_ffff, true, 1024))),
        ("07", None),
        ("0f", None),
        ("01000000", None),
        ("00000006", None),
    ];
    for (value, expected) in cases {
        let block = BlockValue::decode(&hex(value));
        assert_eq!(block.map(|block| (block.number, block.more, block.size())), expected);
        if let Some(block) = block {
            let mut options = Options::new();
            block.set(&mut options, OptionNumber::BLOCK2);
            let value = options.first(OptionNumber::BLOCK2).unwrap();
            assert_eq!(BlockValue::decode(value), Some(block));
        }
    }
}

#[test]
fn codes() {
    assert_eq!(Code::CONTENT.to_string(), "2.05");
    assert_eq!(format!("{:?}", Code::REQUEST_ENTITY_TOO_LARGE), "4.13 Request Entity Too Large");
    assert_eq!(Code::from_byte(0x9f), Code::new(4, 31));
    for byte in 0..=u8::MAX {
        let code = Code::from_byte(byte);
        assert_eq!(Code::new(code.class(), code.detail()).to_byte(), byte);
        let kinds = [code.is_empty(), code.is_request(), code.is_response()];
        assert!(kinds.iter().filter(|kind| **kind).count() <= 1);
    }
}

#[test]
fn requests_and_responses_read_what_was_built() {
    let request = Request::post("/rd")
        .query("ep=a")
        .query("lt=60")
        .content_format(40)
        .accept(112)
        .observe(0)
        .payload("</1>");
    assert_eq!(request.path_string(), "/rd");
    assert_eq!(request.queries().collect::<Vec<_>>(), ["ep=a", "lt=60"]);
    assert_eq!(request.options.content_format(), Some(40));
    assert_eq!(request.options.accept(), Some(112));
    assert_eq!(request.options.observe(), Some(0));
    assert_eq!(Request::get("/").path_string(), "/");
    assert_eq!(Request::get("/3/0").path().collect::<Vec<_>>(), ["3", "0"]);
    let response = Response::new(Code::CREATED).location(&["rd", "x"]).etag([1]).max_age(0);
    assert_eq!(response.location_path().collect::<Vec<_>>(), ["rd", "x"]);
    assert_eq!(response.options.uint(OptionNumber::MAX_AGE), Some(0));
    assert_eq!(Response::new(Code::CONTENT).observe(0x0100_0001).options.observe(), Some(1));
}

#[test]
fn tokens() {
    assert_eq!(Token::new(&[0; 9]), None);
    assert_eq!(Token::new(&[]), Some(Token::EMPTY));
    assert_eq!(Token::new(&[1, 0xff]).unwrap().to_string(), "01ff");
    assert_eq!(Token::from([9; 8]).as_bytes(), &[9; 8]);
}

#[test]
fn a_payload_may_hold_the_marker() {
    let message = Message {
        code: Code::POST,
        payload: Bytes::from_static(&[0xff, 0xff]),
        ..Message::empty(Kind::NonConfirmable, 9)
    };
    assert_eq!(Message::decode(&message.to_datagram()).unwrap(), message);
}
