use std::net::SocketAddr;
use std::time::Duration;

use super::pair::{Network, Pair, Side};
use super::{hex, to_hex};
use crate::{Code, Config, Event, Message, OptionNumber, Response};

/// Hands a request in hexadecimal to a server that answers 2.05 with the path, and compares the
/// answer.
fn check(request: &str, expected: &str) {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, request, _| {
            let queries: Vec<_> = request.queries().collect();
            let text = format!("{} {}", request.path_string(), queries.join(" "));
            Some(Response::new(Code::CONTENT).payload(text))
        });
    pair.deliver(Side::Client, &hex(request));
    pair.drain();
    let answers: Vec<_> = pair
        .log
        .iter()
        .map(|(_, datagram)| {
            let message = Message::decode(datagram).unwrap();
            format!("{} {}", message.code, String::from_utf8_lossy(&message.payload))
        })
        .collect();
    assert_eq!(answers.join(","), expected, "{request}");
}

/// Reference: RFC 7252 section 5.4: critical and elective options, lengths, repetition.
#[test]
fn options_are_checked() {
    check("40 01 0001 b1 61 41 62", "2.05 /a b");
    // Unknown critical options 9 and 65; unknown elective options 10 and 64.
    check("40 01 0001 91 00", "4.02 OSCORE");
    check("40 01 0001 d1 34 00", "4.02 option 65");
    check("40 01 0001 a1 00", "2.05 / ");
    check("40 01 0001 d1 33 00", "2.05 / ");
    // Accept of 3 bytes and Accept twice; Content-Format of 3 bytes is ignored.
    check("40 01 0001 d3 04 000000", "4.02 Accept");
    check("40 01 0001 d1 04 00 01 00", "4.02 Accept");
    check("40 01 0001 c3 000000", "2.05 / ");
    // Uri-Host empty, Uri-Port of 3 bytes, If-None-Match with a value.
    check("40 01 0001 30", "4.02 Uri-Host");
    check("40 01 0001 73 000000", "4.02 Uri-Port");
    check("40 01 0001 51 00", "4.02 If-None-Match");
    // If-Match, Uri-Host and Uri-Port are understood.
    check("40 01 0001 11 aa 21 61 42 1633 41 61", "2.05 /a ");
    // Paths: empty segments, dots and escapes are left alone; what is not UTF-8 is refused.
    check("40 01 0001 b0 00", "2.05 // ");
    check("40 01 0001 b2 2e2e 03 253266", "2.05 /../%2f ");
    check("40 01 0001 b2 c328", "4.02 Uri-Path");
    check("40 01 0001 d2 02 c328", "4.02 Uri-Query");
    let segment = format!("40 01 0001 bd f3 {}", "61".repeat(256));
    check(&segment, "4.02 Uri-Path");
    // Observe of 4 bytes is ignored.
    check("40 01 0001 64 00000000", "2.05 / ");
}

/// Reference: RFC 7252 section 5.7.2 and 5.10.2: this is no proxy.
#[test]
fn proxying_is_refused() {
    check("40 01 0001 d1 16 61", "5.05 this is no proxy");
    check("40 01 0001 d1 1a 61", "5.05 this is no proxy");
}

/// Reference: RFC 7252 section 5.8.
#[test]
fn unknown_methods_are_refused() {
    check("40 07 0001", "2.05 / ");
    check("40 08 0001", "4.05 unknown method");
    check("40 1f 0001", "4.05 unknown method");
    check("50 1f 0001", "4.05 unknown method");
}

/// First message of real LwM2M clients: Wakaama registers and updates, Anjay asks for a bootstrap
/// pack.
#[test]
fn messages_of_real_clients_are_understood() {
    check(
        "44 02 2a36 362aaeec b2 7264 11 28 39 6c776d326d3d312e31 0c 65703d776b2d636c69656e74 03 623d55 05 6c743d3630 ff 3c2f3e",
        "2.05 /rd lwm2m=1.1 ep=wk-client b=U lt=60",
    );
    check("44 04 2a37 372ab1ec b2 7264 02 7831", "2.05 /rd/x1 ");
    // An empty Content-Format and no query.
    check("44 02 e6e2 e2e68167 b2 7264 10", "2.05 /rd ");
}

#[test]
fn tokens_of_any_length_are_returned() {
    for length in 0..=8_u8 {
        let token = "c0".repeat(usize::from(length));
        let mut pair = Pair::echoing();
        pair.deliver(Side::Client, &hex(&format!("4{length} 01 0001 {token}")));
        pair.drain();
        assert_eq!(to_hex(&pair.log[0].1), format!("6{length}450001{token}"));
    }
}

/// The application sees no traces of the transfer, and the token it needs for an observation.
#[test]
fn requests_are_handed_over_complete() {
    let mut pair = Pair::new(
        Config::default(),
        Config::default(),
        Network::CLEAN,
        1,
        |peer, request, token| {
            assert_eq!(peer, Pair::client_address());
            assert_eq!(token.to_string(), "aabb");
            assert_eq!(request.options.observe(), Some(0));
            assert!(!request.options.contains(OptionNumber::BLOCK1));
            assert!(!request.options.contains(OptionNumber::SIZE1));
            Some(Response::new(Code::CONTENT))
        },
    );
    pair.deliver(Side::Client, &hex("42 05 0001 aabb 60 d1 08 00 d1 14 03 ff 616263"));
    pair.drain();
    assert_eq!(pair.log_lines(), ["< ACK 2.05 1:0/0/16"]);
}

#[test]
fn unanswered_requests_are_limited() {
    let config = Config { exchanges_per_peer_max: 2, ..Config::default() };
    let mut pair = Pair::new(Config::default(), config, Network::CLEAN, 1, |_, _, _| None);
    for id in 0..3 {
        pair.deliver(Side::Client, &hex(&format!("40 01 000{id}")));
    }
    pair.drain();
    assert_eq!(pair.log_lines(), ["< ACK 5.03"]);
    assert_eq!(pair.pending.len(), 2);
    // Another peer is not affected.
    let other = SocketAddr::from(([10, 0, 0, 3], 1111));
    pair.server.handle_datagram(other, &hex("40 01 0001"), pair.now);
    assert!(matches!(pair.server.poll_event(), Some(Event::Request { peer, .. }) if peer == other));
}

/// Reference: RFC 7252 section 5.2.2: a separate response is confirmable and given up in the end.
#[test]
fn a_separate_response_is_repeated_until_it_is_given_up() {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| None);
    pair.deliver(Side::Client, &hex("41 01 0001 aa"));
    pair.run(Duration::from_secs(2));
    pair.network.loss_percent = 100;
    let exchange = pair.pending.pop().unwrap();
    pair.server.respond(exchange, Response::new(Code::CONTENT), pair.now);
    pair.run(Duration::from_secs(100));
    assert_eq!(pair.log_lines()[0], "< ACK 0.00");
    assert_eq!(pair.log.iter().filter(|(side, _)| *side == Side::Server).count(), 6);
    assert_eq!(pair.server.statistics().responses_unacknowledged, 1);
    pair.server.check_empty();
}
