use std::time::Duration;

use super::hex;
use super::pair::{Network, Pair, Side, body};
use crate::{
    BlockFailure, Code, Config, Event, Failure, Kind, Message, OptionNumber, Options, Request,
    Response,
};

const SECOND: Duration = Duration::from_secs(1);

fn with_blocks(client_exponent: u8, server_exponent: u8) -> Pair {
    let config = |block_size_exponent| Config { block_size_exponent, ..Config::default() };
    let (client, server) = (config(client_exponent), config(server_exponent));
    Pair::new(client, server, Network::CLEAN, 3, |_, request, _| {
        Some(match request.method {
            Code::GET => Response::new(Code::CONTENT).payload(body(300)).etag([7]),
            _ => Response::new(Code::CHANGED).payload(request.payload.len().to_string()),
        })
    })
}

fn progress(pair: &Pair) -> Vec<usize> {
    let bytes = pair.client_events.iter().filter_map(|event| match event {
        Event::Progress { bytes, .. } => Some(*bytes),
        _ => None,
    });
    bytes.collect()
}

fn last_response(pair: &Pair) -> &Response {
    match pair.client_events.last() {
        Some(Event::Response { response, .. }) => response,
        other => panic!("{other:?}"),
    }
}

/// Reference: RFC 7959 section 3.1, figure 2: a body fetched in blocks.
#[test]
fn a_download_in_blocks() {
    let mut pair = with_blocks(6, 3);
    pair.request(Request::get("/status"));
    pair.run(SECOND);
    assert_eq!(
        pair.log_lines(),
        [
            "> CON 0.01",
            "< ACK 2.05 2:0/1/128",
            "> CON 0.01 2:1/0/128",
            "< ACK 2.05 2:1/1/128",
            "> CON 0.01 2:2/0/128",
            "< ACK 2.05 2:2/0/128",
        ]
    );
    assert_eq!(progress(&pair), [128, 256, 300]);
    let first = Message::decode(&pair.log[1].1).unwrap();
    assert_eq!(first.options.uint(OptionNumber::SIZE2), Some(300));
    assert_eq!(first.options.first(OptionNumber::ETAG), Some(&[7][..]));
    let response = last_response(&pair);
    assert_eq!(response.payload, body(300));
    assert_eq!(response.options.len(), 1, "{:?}", response.options);
    // Nothing is kept between two blocks.
    pair.server.check_empty();
}

/// Reference: RFC 7959 section 3.1, figure 3: the client asks for smaller blocks at once.
#[test]
fn a_client_may_ask_for_smaller_blocks() {
    let mut pair = with_blocks(6, 6);
    let block = crate::BlockValue { number: 0, more: false, size_exponent: 4 };
    let mut request = Request::get("/status");
    block.set(&mut request.options, OptionNumber::BLOCK2);
    pair.request(request);
    pair.run(SECOND);
    assert_eq!(
        pair.log_lines(),
        [
            "> CON 0.01 2:0/0/256",
            "< ACK 2.05 2:0/1/256",
            "> CON 0.01 2:1/0/256",
            "< ACK 2.05 2:1/0/256",
        ]
    );
    assert_eq!(last_response(&pair).payload, body(300));
}

/// An application that asks for a later block walks through the blocks itself.
#[test]
fn an_application_may_ask_for_single_blocks() {
    let mut pair = with_blocks(6, 6);
    let mut request = Request::get("/status");
    let block = crate::BlockValue { number: 2, more: false, size_exponent: 3 };
    block.set(&mut request.options, OptionNumber::BLOCK2);
    pair.request(request);
    pair.run(SECOND);
    assert_eq!(last_response(&pair).payload, body(300).slice(256..));
    assert!(last_response(&pair).options.contains(OptionNumber::BLOCK2));
    let mut request = Request::get("/status");
    let block = crate::BlockValue { number: 3, more: false, size_exponent: 3 };
    block.set(&mut request.options, OptionNumber::BLOCK2);
    pair.request(request);
    pair.run(SECOND);
    assert_eq!(last_response(&pair).code, Code::BAD_REQUEST);
}

/// Reference: RFC 7959 section 3.2, figures 7 and 8: a body sent in blocks, and a server that
/// wants smaller ones.
#[test]
fn an_upload_in_blocks() {
    let mut pair = with_blocks(3, 6);
    pair.request(Request::put("/options").payload(body(300)));
    pair.run(SECOND);
    assert_eq!(
        pair.log_lines(),
        [
            "> CON 0.03 1:0/1/128",
            "< ACK 2.31 1:0/1/128",
            "> CON 0.03 1:1/1/128",
            "< ACK 2.31 1:1/1/128",
            "> CON 0.03 1:2/0/128",
            "< ACK 2.04 1:2/0/128",
        ]
    );
    assert_eq!(progress(&pair), [128, 256, 300]);
    assert_eq!(&last_response(&pair).payload[..], b"300");
    let first = Message::decode(&pair.log[0].1).unwrap();
    assert_eq!(first.options.uint(OptionNumber::SIZE1), Some(300));

    let mut pair = with_blocks(3, 1);
    pair.request(Request::put("/options").payload(body(192)));
    pair.run(SECOND);
    assert_eq!(
        pair.log_lines(),
        [
            "> CON 0.03 1:0/1/128",
            "< ACK 2.31 1:0/1/32",
            "> CON 0.03 1:4/1/32",
            "< ACK 2.31 1:4/1/32",
            "> CON 0.03 1:5/0/32",
            "< ACK 2.04 1:5/0/32",
        ]
    );
    assert_eq!(&last_response(&pair).payload[..], b"192");
}

/// Reference: RFC 7959 section 3.3, figure 11: both directions in one exchange.
#[test]
fn a_long_request_with_a_long_response() {
    let mut pair = with_blocks(6, 6);
    pair.application = Box::new(|_, request, _| {
        // The request for the second block of the answer comes without the body.
        Some(Response::new(Code::CHANGED).payload(body(1500)).option(
            OptionNumber::ETAG,
            [u8::from(request.payload.len() == 2000 || request.payload.is_empty())],
        ))
    });
    pair.request(Request::post("/soap").payload(body(2000)));
    pair.run(SECOND);
    assert_eq!(
        pair.log_lines(),
        [
            "> CON 0.02 1:0/1/1024",
            "< ACK 2.31 1:0/1/1024",
            "> CON 0.02 1:1/0/1024",
            "< ACK 2.04 1:1/0/1024 2:0/1/1024",
            "> CON 0.02 2:1/0/1024",
            "< ACK 2.04 2:1/0/1024",
        ]
    );
    assert_eq!(last_response(&pair).payload, body(1500));
}

/// Reference: RFC 8132 section 2.1: the body of a FETCH is part of what is asked.
#[test]
fn the_body_of_a_fetch_is_repeated() {
    let mut pair = with_blocks(6, 6);
    pair.application = Box::new(|_, request, _| {
        assert_eq!(&request.payload[..], b"which");
        Some(Response::new(Code::CONTENT).payload(body(1500)))
    });
    pair.request(Request::fetch("/").payload("which"));
    pair.run(SECOND);
    assert_eq!(last_response(&pair).payload, body(1500));
}

/// Answers the requests of a client one after the other; `%` and `@` stand for message id and
/// token of the request answered. The last line is the failure or code expected.
fn check_client(request: Request, answers: &[(&str, usize)], expected: &str) {
    let config = Config { block_size_exponent: 0, body_bytes_max: 64, ..Config::default() };
    let mut pair = Pair::new(config, Config::default(), Network::CLEAN, 3, |_, _, _| None);
    pair.network.loss_percent = 100;
    pair.request(request);
    for (answer, length) in answers {
        let sent = Message::decode(&pair.log.last().unwrap().1).unwrap();
        let answer = answer.replace('%', &format!("{:04x}", sent.id));
        let mut datagram = hex(&answer.replace('@', &sent.token.to_string()));
        if *length > 0 {
            datagram.push(0xff);
            datagram.extend(body(*length));
        }
        pair.deliver(Side::Server, &datagram);
        pair.drain();
    }
    let ends: Vec<_> = pair
        .client_events
        .iter()
        .filter_map(|event| match event {
            Event::Response { response, .. } => {
                Some(format!("{} {}", response.code, response.payload.len()))
            }
            Event::Failed { failure, .. } => Some(format!("{failure:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(ends.join(" "), expected, "{answers:?} {:?}", pair.log_lines());
    if !ends.is_empty() {
        pair.client.check_empty();
    }
}

/// Reference: RFC 7959 sections 2.2 to 2.4: servers that break the rules of a download.
#[test]
fn a_download_from_a_careless_server() {
    let get = || Request::get("/a");
    // Block2 is option 23: d1 0a with one byte of value. 08 is block 0 with more, 16 bytes each.
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 45 % @ d1 0a 10", 5)], "2.05 21");
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 45 % @ d1 0a 10", 0)], "2.05 16");
    check_client(get(), &[("68 45 % @ d1 0a 08", 15)], "Block(Length)");
    check_client(get(), &[("68 45 % @ d1 0a 08", 17)], "Block(Length)");
    check_client(get(), &[("68 45 % @ d1 0a 0f", 16)], "Block(Malformed)");
    check_client(get(), &[("68 45 % @ d1 0a 18", 16)], "Block(Number)");
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 45 % @ d1 0a 28", 16)], "Block(Number)");
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 45 % @ d1 0a 11", 16)], "Block(Number)");
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 45 % @", 16)], "Block(Unsupported)");
    // ETag (4) changes from aa to bb, or appears: the resource changed.
    check_client(
        get(),
        &[("68 45 % @ 41 aa d1 06 08", 16), ("68 45 % @ 41 bb d1 06 10", 5)],
        "Block(Changed)",
    );
    check_client(
        get(),
        &[("68 45 % @ d1 0a 08", 16), ("68 45 % @ 41 bb d1 06 10", 5)],
        "Block(Changed)",
    );
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 44 % @ d1 0a 10", 5)], "Block(Changed)");
    check_client(get(), &[("68 45 % @ d1 0a 08", 16), ("68 84 % @", 0)], "4.04 0");
    // Size2 (28) announces 65 bytes where 64 are allowed; then a body that grows beyond.
    check_client(get(), &[("68 45 % @ d1 0a 08 51 41", 16)], "TooLarge");
    let blocks = [
        ("68 45 % @ d1 0a 08", 16),
        ("68 45 % @ d1 0a 18", 16),
        ("68 45 % @ d1 0a 28", 16),
        ("68 45 % @ d1 0a 38", 16),
        ("68 45 % @ d1 0a 40", 1),
    ];
    check_client(get(), &blocks, "TooLarge");
    check_client(get().body_bytes_max(65), &blocks, "2.05 65");
    // A stale separate response of the block before, then the right one.
    check_client(
        get(),
        &[("68 45 % @ d1 0a 08", 16), ("58 45 7777 @ d1 0a 08", 16), ("68 45 % @ d1 0a 10", 5)],
        "2.05 21",
    );
}

/// Reference: RFC 7959 sections 2.3 and 2.9: servers that break the rules of an upload.
#[test]
fn an_upload_to_a_careless_server() {
    let put = || Request::put("/a").payload(body(40));
    let (next, last) = ("68 5f % @ d1 0e 08", "68 44 % @ d1 0e 20");
    check_client(put(), &[(next, 0), ("68 5f % @ d1 0e 18", 0), (last, 0)], "2.04 0");
    // A server without state answers each block as changed (RFC 7959 section 3.2, figure 9).
    check_client(
        put(),
        &[("68 44 % @ d1 0e 00", 0), ("68 44 % @ d1 0e 10", 0), (last, 0)],
        "2.04 0",
    );
    // 2.31 without Block1 is understood, 2.04 without Block1 is no acknowledgement of one block.
    check_client(put(), &[("68 5f % @", 0), ("68 5f % @", 0), (last, 0)], "2.04 0");
    check_client(put(), &[("68 44 % @", 0)], "Block(Unsupported)");
    check_client(put(), &[(next, 0), (next, 0)], "Block(Number)");
    check_client(put(), &[(next, 0), ("58 5f 7777 @ d1 0e 08", 0)], "");
    check_client(put(), &[("68 5f % @ d1 0e 0f", 0)], "Block(Malformed)");
    check_client(put(), &[("68 88 % @", 0)], "4.08 0");
    check_client(put(), &[(next, 0), ("68 84 % @", 0)], "4.04 0");
    check_client(
        put(),
        &[(next, 0), ("68 5f % @ d1 0e 18", 0), ("68 5f % @ d1 0e 28", 0)],
        "Block(Number)",
    );
    // 4.13 with the size used already is final; see below for a smaller one.
    check_client(put(), &[("68 8d % @ d1 0e 08", 0)], "4.13 0");
}

/// Reference: RFC 7959 section 2.9.3: 4.13 may ask for smaller blocks, also of a body that was
/// sent whole.
#[test]
fn too_large_may_ask_for_smaller_blocks() {
    for exponent in [1, 6] {
        let mut pair = with_blocks(exponent, 6);
        pair.network.loss_percent = 100;
        pair.request(Request::put("/a").payload(body(40)));
        let sent = Message::decode(&pair.log[0].1).unwrap();
        let answer = format!("68 8d {:04x} {} d1 0e 08", sent.id, sent.token);
        pair.deliver(Side::Server, &hex(&answer));
        pair.network.loss_percent = 0;
        pair.drain();
        pair.run(SECOND);
        assert_eq!(pair.log_lines()[1..3], ["> CON 0.03 1:0/1/16", "< ACK 2.31 1:0/1/16"]);
        assert_eq!(&last_response(&pair).payload[..], b"40");
    }
}

/// Sends blocks to a server: option value, length of the payload, and the answer expected.
fn check_server(blocks: &[(&str, usize, &str)]) {
    let config = Config {
        block1_bytes_per_peer_max: 64,
        block1_bytes_total_max: 100,
        block_size_exponent: 0,
        ..Config::default()
    };
    let mut pair = Pair::new(Config::default(), config, Network::CLEAN, 3, |_, request, _| {
        Some(Response::new(Code::CHANGED).payload(request.payload.len().to_string()))
    });
    for (index, (value, length, expected)) in blocks.iter().enumerate() {
        let mut options = Options::new();
        options.push(OptionNumber::BLOCK1, hex(value));
        let message = Message {
            code: Code::PUT,
            options,
            payload: body(*length),
            ..Message::empty(Kind::Confirmable, index as u16)
        };
        pair.deliver(Side::Client, &message.to_datagram());
        pair.drain();
        pair.server.check_limits();
        let answer = Message::decode(&pair.log.last().unwrap().1).unwrap();
        assert_eq!(pair.log.len(), index + 1);
        let mut text = answer.code.to_string();
        if answer.code.is_success() && answer.code != Code::CONTINUE {
            text += &format!(" {}", String::from_utf8_lossy(&answer.payload));
        }
        assert_eq!(text, *expected, "block {index} of {blocks:?}");
    }
}

/// Reference: RFC 7959 section 2.5 and 2.9: clients that break the rules of an upload.
#[test]
fn an_upload_from_a_careless_client() {
    check_server(&[("08", 16, "2.31"), ("10", 3, "2.04 19")]);
    check_server(&[("", 3, "2.04 3")]);
    check_server(&[("00", 3, "2.04 3")]);
    // Block without the one before, or out of order.
    check_server(&[("18", 16, "4.08")]);
    check_server(&[
        ("08", 16, "2.31"),
        ("28", 16, "4.08"),
        ("18", 16, "2.31"),
        ("20", 1, "2.04 33"),
    ]);
    check_server(&[
        ("08", 16, "2.31"),
        ("18", 16, "2.31"),
        ("28", 16, "2.31"),
        ("18", 16, "4.08"),
        ("30", 1, "2.04 49"),
    ]);
    // The last block once more, with the same bytes: a repetition whose message is forgotten
    // (section 2.5 leaves the server free to take it).
    check_server(&[
        ("08", 16, "2.31"),
        ("18", 16, "2.31"),
        ("18", 16, "2.31"),
        ("20", 1, "2.04 33"),
    ]);
    // Starting over.
    check_server(&[
        ("08", 16, "2.31"),
        ("18", 16, "2.31"),
        ("08", 16, "2.31"),
        ("10", 1, "2.04 17"),
    ]);
    check_server(&[("08", 16, "2.31"), ("00", 2, "2.04 2"), ("10", 1, "4.08")]);
    // Payload and size contradict each other.
    check_server(&[("08", 15, "4.00"), ("08", 17, "4.00"), ("00", 17, "4.00"), ("09", 16, "4.00")]);
    // Reserved size, and an option of more than three bytes.
    check_server(&[("0f", 16, "4.00"), ("07", 16, "4.00"), ("00000008", 16, "4.02")]);
    // Size change in the middle keeps the offset.
    check_server(&[("09", 32, "2.31"), ("28", 16, "2.31"), ("30", 2, "2.04 50")]);
    // More bytes than allowed.
    check_server(&[
        ("08", 16, "2.31"),
        ("18", 16, "2.31"),
        ("28", 16, "2.31"),
        ("38", 16, "2.31"),
        ("48", 16, "4.13"),
        ("48", 16, "4.08"),
    ]);
    check_server(&[("0e", 1024, "4.13"), ("08", 16, "2.31")]);
}

/// Reference: RFC 7959 section 4: Size1 in the request and in 4.13; a lie of 4 GB costs nothing.
#[test]
fn an_announced_size_is_believed_only_to_refuse() {
    let mut pair = Pair::echoing();
    pair.deliver(
        Side::Client,
        &hex("40 03 0001 d1 0e 08 d4 14 ffffffff ff 30313233343536373839616263646566"),
    );
    pair.drain();
    let answer = Message::decode(&pair.log[0].1).unwrap();
    assert_eq!(answer.code, Code::REQUEST_ENTITY_TOO_LARGE);
    assert_eq!(answer.options.uint(OptionNumber::SIZE1), Some(256 << 10));
    pair.server.check_empty();
    assert_eq!(pair.server.statistics().over_limit, 1);
}

/// Half-open transfers are bounded in number, bytes and age, per peer and in all.
#[test]
fn half_open_transfers_are_bounded() {
    let config =
        Config { block1_bytes_per_peer_max: 64, block1_bytes_total_max: 160, ..Config::default() };
    let mut endpoint = crate::Endpoint::new(config, 1);
    let mut refused = 0;
    for peer in 0..100_u8 {
        for path in 0..5_u8 {
            let address = std::net::SocketAddr::from(([192, 0, 2, peer], 5683));
            let mut options = Options::new();
            options.push(OptionNumber::URI_PATH, [b'a' + path]);
            options.push_uint(OptionNumber::BLOCK1, 0x08);
            let message = Message {
                code: Code::PUT,
                options,
                payload: body(16),
                ..Message::empty(Kind::Confirmable, u16::from(path))
            };
            endpoint.handle_datagram(address, &message.to_datagram(), SECOND);
            let answer = endpoint.poll_transmit().unwrap().datagram;
            refused += usize::from(answer[1] == Code::SERVICE_UNAVAILABLE.to_byte());
            endpoint.check_limits();
        }
    }
    assert!(refused > 400, "{refused}");
    endpoint.handle_timeout(100 * SECOND);
    endpoint.check_empty();
    assert_eq!(endpoint.statistics().transfers_expired, 10);
}

/// Transfers of two resources, or with two Request-Tags (RFC 9175 section 3), do not mix.
#[test]
fn transfers_are_told_apart() {
    let mut pair = Pair::echoing();
    let mut send = |id: u16, block: u32, tag: u8, length: usize| {
        let mut options = Options::new();
        options.push_uint(OptionNumber::BLOCK1, block);
        options.push(OptionNumber::REQUEST_TAG, [tag]);
        let message = Message {
            code: Code::PUT,
            options,
            payload: vec![tag; length].into(),
            ..Message::empty(Kind::Confirmable, id)
        };
        pair.deliver(Side::Client, &message.to_datagram());
        pair.drain();
        Message::decode(&pair.log.last().unwrap().1).unwrap()
    };
    assert_eq!(send(1, 0x08, b'a', 16).code, Code::CONTINUE);
    assert_eq!(send(2, 0x08, b'b', 16).code, Code::CONTINUE);
    assert_eq!(&send(3, 0x10, b'a', 1).payload[..], &[b'a'; 17]);
    assert_eq!(&send(4, 0x10, b'b', 2).payload[..], &[b'b'; 18]);
    pair.server.check_empty();
}

/// A body of any length is served from what the application holds, without state here.
#[test]
fn a_long_image_is_served_without_state() {
    let image = body(3 << 20);
    let mut pair = with_blocks(6, 6);
    let served = image.clone();
    pair.application =
        Box::new(move |_, _, _| Some(Response::new(Code::CONTENT).payload(served.clone())));
    pair.request(Request::get("/fw").body_bytes_max(4 << 20));
    while !matches!(pair.client_events.last(), Some(Event::Response { .. })) {
        pair.run(SECOND);
        pair.server.check_empty();
    }
    assert_eq!(last_response(&pair).payload, image);
    assert_eq!(progress(&pair).len(), 3 << 10);
    let total = Message::decode(&pair.log[1].1).unwrap().options.uint(OptionNumber::SIZE2);
    assert_eq!(total, Some(3 << 20));
}

#[test]
fn responses_being_received_are_bounded_in_all() {
    let config = Config { block2_bytes_total_max: 3000, nstart: 4, ..Config::default() };
    let mut pair = Pair::new(config, Config::default(), Network::CLEAN, 3, |_, _, _| {
        Some(Response::new(Code::CONTENT).payload(body(2000)))
    });
    for _ in 0..4 {
        pair.request(Request::get("/a"));
    }
    pair.run(SECOND);
    let failed = pair
        .client_events
        .iter()
        .filter(|event| matches!(event, Event::Failed { failure: Failure::TooLarge, .. }));
    assert_eq!(failed.count(), 2);
    pair.client.check_empty();
}

#[test]
fn failures_say_what_would_help() {
    let text = Failure::Block(BlockFailure::Changed).to_string();
    assert!(text.ends_with("repeat the request"), "{text}");
}
