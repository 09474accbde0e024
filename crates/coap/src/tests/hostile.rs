//! Shapes of datagrams that broke other implementations, and floods.

use std::net::SocketAddr;
use std::time::Duration;

use super::hex;
use crate::{Code, Config, Endpoint, Event, Response, Statistics};

const NOW: Duration = Duration::from_secs(1);

fn peer(number: u32) -> SocketAddr {
    SocketAddr::from(([10, (number >> 16) as u8, (number >> 8) as u8, number as u8], 5683))
}

/// Hands a datagram to a fresh endpoint and returns what it counted.
fn received(datagram: &[u8]) -> Statistics {
    let mut endpoint = Endpoint::new(Config::default(), 1);
    endpoint.handle_datagram(peer(1), datagram, NOW);
    while endpoint.poll_event().is_some() {}
    let mut sent = 0;
    while let Some(transmit) = endpoint.poll_transmit() {
        sent += transmit.datagram.len();
    }
    assert!(sent <= datagram.len() + 64, "an amplifier");
    endpoint.check_limits();
    *endpoint.statistics()
}

#[test]
fn malformed_datagrams_are_counted() {
    let long_option = format!("40 01 0001 be 0fa0 {}", "61".repeat(100));
    let cases = [
        "40",
        "4001",
        "40 00 0001 ff",
        "4d 01 0001 00",
        "4e 01 0001",
        "48 01 0001 01020304",
        "40 01 0001 ff",
        "40 01 0001 e1 ff",
        "40 01 0001 ed ffff 00",
        "40 01 0001 ee ffff ffff",
        "40 01 0001 bf",
        "ffffffffffffffff",
        &long_option,
    ];
    for datagram in cases {
        assert_eq!(received(&hex(datagram)).malformed, 1, "{datagram}");
    }
}

#[test]
fn too_many_options_or_bytes_are_malformed() {
    for number in [0xb0_u8, 0xd0] {
        let mut datagram = hex("40 01 0001");
        datagram.push(number);
        if number == 0xd0 {
            datagram.push(2);
        }
        datagram.extend([0; 500]);
        assert_eq!(received(&datagram).malformed, 1);
    }
    let mut datagram = hex("40 02 0001 ff");
    datagram.resize(4096, 1);
    assert_eq!(received(&datagram).requests_received, 1);
    datagram.push(1);
    assert_eq!(received(&datagram).malformed, 1);
    assert_eq!(received(&[0x40; 65_507]).malformed, 1);
}

#[test]
fn odd_but_valid_datagrams_are_survived() {
    let long_uint = format!("40 01 0001 dd 0f 03 {}", "00".repeat(16));
    let cases = [
        // Option number 65535, elective numbers far beyond any table, a long integer option.
        "40 01 0001 e0 fef2",
        "40 01 0001 e0 fef1",
        &long_uint,
        // Repeated If-Match and ETag.
        "40 01 0001 11 aa 01 bb 31 cc 01 dd",
        // 4.04 with an empty token, acknowledgements and resets of nothing.
        "60 84 0001",
        "60 00 ffff",
        "70 00 ffff",
    ];
    for datagram in cases {
        assert_eq!(received(&hex(datagram)).malformed, 0, "{datagram}");
    }
}

/// A flood from ever new addresses leaves no more peers than allowed, and those that work are
/// served on.
#[test]
fn a_flood_of_addresses_is_bounded() {
    let config = Config { peers_max: 1000, ..Config::default() };
    let mut endpoint = Endpoint::new(config, 1);
    let mut answered = 0;
    for number in 0..20_000_u32 {
        let now = NOW + Duration::from_millis(u64::from(number));
        // Every hundredth datagram is of one client at work.
        let from = if number % 100 == 0 { peer(0) } else { peer(number + 1) };
        let id = (number / 100) as u16;
        let mut datagram = hex("40 02 0000 b2 7264");
        datagram[2..4].copy_from_slice(&id.to_be_bytes());
        endpoint.handle_datagram(from, &datagram, now);
        while let Some(event) = endpoint.poll_event() {
            if let Event::Request { exchange, peer: of, .. } = event {
                endpoint.respond(
                    exchange,
                    Response::new(Code::CREATED).location(&["rd", "x"]),
                    now,
                );
                answered += usize::from(of == peer(0));
            }
        }
        while endpoint.poll_transmit().is_some() {}
    }
    assert_eq!(endpoint.peer_count(), 1000);
    assert_eq!(answered, 200);
    assert_eq!(endpoint.statistics().over_limit, 0);
    endpoint.check_limits();
}

/// Resets and acknowledgements of nothing cost no memory.
#[test]
fn a_flood_of_resets_leaves_nothing() {
    let mut endpoint = Endpoint::new(Config::default(), 1);
    for number in 0..10_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        endpoint.handle_datagram(peer(number), &[0x70, 0, high, low], NOW);
        endpoint.handle_datagram(peer(number), &[0x60, 0, high, low], NOW);
        endpoint.handle_datagram(peer(number), &[0x40, 0x45, high, low], NOW);
        while endpoint.poll_transmit().is_some() {}
    }
    assert_eq!(endpoint.peer_count(), 0);
    assert_eq!(endpoint.statistics().unmatched, 30_000);
    assert_eq!(endpoint.poll_timeout(), None);
}

/// Long answers to copies are bounded in all; short ones are kept.
#[test]
fn kept_answers_are_bounded() {
    let config = Config { duplicate_bytes_total_max: 5000, ..Config::default() };
    let mut endpoint = Endpoint::new(config, 1);
    for number in 0..100_u32 {
        for length in [1000, 10] {
            let datagram = hex(&format!("40 02 {length:04x}"));
            endpoint.handle_datagram(peer(number), &datagram, NOW);
            let Some(Event::Request { exchange, .. }) = endpoint.poll_event() else { panic!() };
            let response = Response::new(Code::CONTENT).payload(vec![1; length]);
            endpoint.respond(exchange, response, NOW);
            while endpoint.poll_transmit().is_some() {}
        }
        endpoint.check_limits();
    }
    for number in 0..100_u32 {
        endpoint.handle_datagram(peer(number), &hex("40 02 000a"), NOW);
    }
    assert_eq!(endpoint.statistics().duplicates, 100);
}
