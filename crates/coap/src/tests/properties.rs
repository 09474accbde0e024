use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::pair::{Network, Pair, Side, body, terminal};
use crate::{
    Code, Config, Endpoint, Event, Kind, Message, MessageView, OptionNumber, Options, Request,
    Response, Token,
};

fn any_message() -> impl Strategy<Value = Message> {
    let kind = prop_oneof![
        Just(Kind::Confirmable),
        Just(Kind::NonConfirmable),
        Just(Kind::Acknowledgement),
        Just(Kind::Reset),
    ];
    let code = prop_oneof![
        (1..32_u8).prop_map(|detail| Code::new(0, detail)),
        (0..32_u8).prop_map(|detail| Code::new(2, detail)),
        (0..32_u8).prop_map(|detail| Code::new(4, detail)),
        (0..32_u8).prop_map(|detail| Code::new(5, detail)),
    ];
    let token = vec(any::<u8>(), 0..=8).prop_map(|bytes| Token::new(&bytes).unwrap());
    let number = prop_oneof![0..70_u16, any::<u16>()];
    let options = vec((number, vec(any::<u8>(), 0..300)), 0..20).prop_map(|entries| {
        let mut options = Options::new();
        for (number, value) in entries {
            options.push(OptionNumber(number), value);
        }
        options
    });
    let payload = vec(any::<u8>(), 0..100).prop_map(Bytes::from);
    (kind, code, any::<u16>(), token, options, payload).prop_map(
        |(kind, code, id, token, options, payload)| Message {
            kind,
            code,
            id,
            token,
            options,
            payload,
        },
    )
}

/// A datagram that is close to a valid one: some of its bytes are changed, or it is cut.
fn almost_message() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (any_message(), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(message, changes, length, cut)| {
            let mut datagram = message.to_datagram().to_vec();
            for (at, byte) in changes {
                let at = at.index(datagram.len());
                datagram[at] = byte;
            }
            if cut {
                datagram.truncate(length.index(datagram.len()));
            }
            datagram
        },
    )
}

/// A request with options the endpoint acts on, over few paths and ids so that they collide.
fn acting_message() -> impl Strategy<Value = Vec<u8>> {
    let block = prop_oneof![any::<u32>(), 0..64_u32];
    let options = (
        proptest::option::of(block.clone()),
        proptest::option::of(block),
        proptest::option::of(0..3_u32),
        proptest::option::of(any::<u32>()),
        0..3_u8,
    );
    let kinds = prop_oneof![Just(Kind::Confirmable), Just(Kind::NonConfirmable)];
    let codes = prop_oneof![1..9_u8, 0x40..0x46_u8, Just(0x5f_u8), 0x80..0x90_u8];
    (kinds, codes, 0..50_u16, options, 0..80_usize).prop_map(
        |(kind, code, id, (block1, block2, observe, size1, path), length)| {
            let mut options = Options::new();
            for (number, value) in [
                (OptionNumber::BLOCK1, block1),
                (OptionNumber::BLOCK2, block2),
                (OptionNumber::OBSERVE, observe),
                (OptionNumber::SIZE1, size1),
            ] {
                if let Some(value) = value {
                    options.push_uint(number, value);
                }
            }
            options.push(OptionNumber::URI_PATH, [b'a' + path]);
            let message = Message {
                kind,
                code: Code::from_byte(code),
                id,
                token: Token::new(&[path]).unwrap(),
                options,
                payload: body(length),
            };
            message.to_datagram().to_vec()
        },
    )
}

fn any_datagram() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..200), almost_message(), acting_message(), acting_message()]
}

fn small_limits() -> Config {
    Config {
        peers_max: 8,
        block1_bytes_per_peer_max: 512,
        block1_bytes_total_max: 1024,
        block1_age_max: Duration::from_secs(10),
        duplicate_bytes_total_max: 1024,
        exchanges_per_peer_max: 3,
        ..Config::default()
    }
}

proptest! {
    #[test]
    fn decode_inverts_encode(message in any_message()) {
        let datagram = message.to_datagram();
        prop_assert_eq!(Message::decode(&datagram).unwrap(), message);
    }

    #[test]
    fn encode_inverts_decode(datagram in any_datagram()) {
        // Only the lengths of option headers may differ: longer forms than needed are not refused.
        if let Ok(message) = Message::decode(&datagram) {
            prop_assert_eq!(Message::decode(&message.to_datagram()).unwrap(), message);
        }
    }

    #[test]
    fn a_view_reads_what_a_message_holds(datagram in any_datagram()) {
        if let Ok(view) = MessageView::decode(&datagram) {
            let message = view.to_message();
            let options: Vec<_> = view.options().collect();
            prop_assert_eq!(options, message.options.iter().collect::<Vec<_>>());
        }
    }

    /// Reference: the limits of [`Config`]: whatever arrives, memory stays bounded and nothing
    /// panics.
    #[test]
    fn any_datagrams_leave_memory_bounded(
        datagrams in vec((0..20_u8, any_datagram(), 0..500_u64, any::<bool>()), 1..150),
    ) {
        let mut endpoint = Endpoint::new(small_limits(), 3);
        let mut now = Duration::ZERO;
        for (peer, datagram, pause_ms, answers) in datagrams {
            now += Duration::from_millis(pause_ms);
            endpoint.handle_timeout(now);
            let peer = SocketAddr::from(([192, 0, 2, peer], 5683));
            endpoint.handle_datagram(peer, &datagram, now);
            while let Some(event) = endpoint.poll_event() {
                if let Event::Request { exchange, .. } = event && answers {
                    endpoint.respond(exchange, Response::new(Code::CONTENT).payload(body(100)), now);
                }
            }
            while endpoint.poll_transmit().is_some() {}
            endpoint.check_limits();
        }
        // Everything expires: an endpoint left alone ends up empty.
        for _ in 0..2000 {
            let Some(at) = endpoint.poll_timeout() else { break };
            endpoint.handle_timeout(at);
            while endpoint.poll_transmit().is_some() {}
        }
        prop_assert_eq!(endpoint.poll_timeout(), None);
        endpoint.check_empty();
    }

    /// Datagrams that pretend to come from a peer in the middle of our own requests.
    #[test]
    fn any_answers_leave_one_end_per_request(
        datagrams in vec((any_datagram(), any::<bool>(), 0..2000_u64), 1..60),
        observe in any::<bool>(),
        length in 0..100_usize,
    ) {
        let mut endpoint = Endpoint::new(small_limits(), 3);
        let mut now = Duration::ZERO;
        let peer = SocketAddr::from(([192, 0, 2, 1], 5683));
        let request = Request::fetch("/a").payload(body(length)).block_size_exponent(0);
        let request = if observe { request.observe(0) } else { request };
        let id = endpoint.request(peer, request, now).unwrap();
        let mut events = Vec::new();
        let mut last = None;
        for (mut datagram, fitting, pause_ms) in datagrams {
            while let Some(transmit) = endpoint.poll_transmit() {
                last = Message::decode(&transmit.datagram).ok();
            }
            // Half of the datagrams get the message id and token that are waited for.
            if let (true, Some(last), Ok(message)) = (fitting, &last, Message::decode(&datagram)) {
                let message = Message { id: last.id, token: last.token, ..message };
                datagram = message.to_datagram().to_vec();
                datagram[0] = (datagram[0] & 0xcf) | if pause_ms % 2 == 0 { 0x20 } else { 0 };
            }
            now += Duration::from_millis(pause_ms);
            endpoint.handle_timeout(now);
            endpoint.handle_datagram(peer, &datagram, now);
            while let Some(event) = endpoint.poll_event() {
                events.push(event);
            }
            endpoint.check_limits();
        }
        endpoint.forget_peer(peer, now);
        while let Some(event) = endpoint.poll_event() {
            events.push(event);
        }
        let responses = events.iter().filter(|event| matches!(event, Event::Response { .. }));
        let failures = events.iter().filter(|event| matches!(event, Event::Failed { .. }));
        let (responses, failures) = (responses.count(), failures.count());
        prop_assert!(responses <= 1 && failures <= 1, "{:?}", events);
        prop_assert!(responses + failures >= 1, "{:?}", events);
        if !observe {
            prop_assert_eq!(terminal(&events, id), 1);
        }
        endpoint.check_empty();
    }
}

/// A network that loses a fifth of the datagrams in each direction, doubles and reorders others.
const BAD: Network =
    Network { latency_ms: 30, jitter_ms: 400, loss_percent: 20, duplication_percent: 15 };

/// With the default four retransmissions some message of a long transfer is given up at this loss,
/// for a reason that is none of the endpoint's. The server must then wait as long.
fn patient() -> Config {
    Config {
        retransmissions_max: 12,
        ack_timeout: Duration::from_secs(1),
        block1_age_max: Duration::from_secs(10_000),
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_ends_once_on_a_bad_network(
        seed in any::<u64>(),
        nstart in 1..4_usize,
        slow in any::<bool>(),
    ) {
        let config = Config { nstart, ..Config::default() };
        let mut count = 0;
        let mut pair = Pair::new(config, Config::default(), BAD, seed, move |_, request, _| {
            count += 1;
            // Every other answer comes after the acknowledgement, or never.
            let response = Response::new(Code::CONTENT).payload(request.payload.clone());
            (!slow || count % 2 == 0).then_some(response)
        });
        let mut ids = Vec::new();
        for number in 0..30_u8 {
            let request = Request::post("/a").payload(vec![number]);
            let request = if number % 5 == 4 { request.non_confirmable() } else { request };
            ids.push(pair.request(request));
            pair.run(Duration::from_secs(2));
            if let Some(exchange) = pair.pending.pop() {
                pair.server.respond(exchange, Response::new(Code::CHANGED), pair.now);
                pair.drain();
            }
        }
        pair.run(Duration::from_secs(10_000));
        for id in ids {
            prop_assert_eq!(terminal(&pair.client_events, id), 1);
        }
        pair.client.check_empty();
        pair.server.check_empty();
    }

    #[test]
    fn bodies_arrive_whole_over_a_bad_network(
        seed in any::<u64>(),
        length in prop_oneof![Just(20_000_usize), 0..20_000_usize],
        client_exponent in 2..=6_u8,
        server_exponent in 2..=6_u8,
    ) {
        let server = Config { block_size_exponent: server_exponent, ..patient() };
        let mut pair = Pair::new(patient(), server, BAD, seed, |_, request, _| {
            // The server's body is stateless: it answers each block request with all of it.
            let length = request.queries().next().and_then(|query| query.parse().ok());
            let response = Response::new(Code::CONTENT);
            Some(match length {
                Some(length) => response.payload(body(length)).etag([1]),
                None => response.payload(request.payload.len().to_string()),
            })
        });
        let upload = Request::put("/5/0/0").payload(body(length));
        let upload = pair.request(upload.block_size_exponent(client_exponent));
        pair.run(Duration::from_secs(20_000));
        let download = pair.request(Request::get("/5/0/0").query(&length.to_string()));
        pair.run(Duration::from_secs(20_000));
        let mut ends = pair.client_events.iter().filter_map(|event| match event {
            Event::Response { id, response, .. } => Some((*id, response.payload.clone())),
            Event::Failed { .. } => panic!("{event:?}"),
            _ => None,
        });
        prop_assert_eq!(ends.next(), Some((upload, length.to_string().into())));
        prop_assert_eq!(ends.next(), Some((download, body(length))));
        prop_assert_eq!(ends.next(), None);
        drop(ends);
        check_one_block_at_a_time(&pair);
        pair.client.check_empty();
        pair.server.check_empty();
    }
}

/// A block never goes out before the one before it was acknowledged (RFC 7959 section 2.3): the
/// offsets of the client's blocks never fall and never skip.
fn check_one_block_at_a_time(pair: &Pair) {
    let mut next = 0;
    for (side, datagram) in &pair.log {
        let message = Message::decode(datagram).unwrap();
        let block = message.options.first(OptionNumber::BLOCK1);
        if let (Side::Client, Some(block)) = (side, block.and_then(crate::BlockValue::decode)) {
            assert!(block.offset() <= next, "{:?}", pair.log_lines());
            next = next.max(block.offset() + message.payload.len());
        }
    }
}
