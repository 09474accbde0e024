use std::time::Duration;

use super::hex;
use super::pair::{Network, Pair, Side, terminal};
use crate::{
    Code, Config, Event, Failure, Kind, Message, NotifyRefused, Observer, Options, Request,
    RequestRefused, Response, Token,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_request_is_answered_in_the_acknowledgement() {
    let mut pair = Pair::echoing();
    let id = pair.request(Request::post("/a").payload("x"));
    pair.run(SECOND);
    assert_eq!(pair.log_lines(), ["> CON 0.02", "< ACK 2.05"]);
    let [Event::Response { id: of, peer, response, round_trip }] = &pair.client_events[..] else {
        panic!("{:?}", pair.client_events)
    };
    assert_eq!((*of, *peer), (id, Pair::server_address()));
    assert_eq!(&response.payload[..], b"x");
    assert_eq!(*round_trip, Duration::from_millis(20));
    assert_eq!(pair.client.statistics().requests_sent, 1);
    assert_eq!(pair.server.statistics().requests_received, 1);
}

/// Reference: RFC 7252 sections 4.2 and 4.8.2: five transmissions, given up within
/// MAX_TRANSMIT_WAIT.
#[test]
fn a_silent_peer_is_given_up() {
    for seed in 0..50 {
        let dead = Network { loss_percent: 100, ..Network::CLEAN };
        let mut pair = Pair::new(Config::default(), Config::default(), dead, seed, |_, _, _| None);
        let id = pair.request(Request::get("/a"));
        pair.run(Duration::from_secs(61));
        assert_eq!(terminal(&pair.client_events, id), 0);
        pair.run(Duration::from_secs(33));
        let [Event::Failed { id: of, failure: Failure::Timeout, .. }] = &pair.client_events[..]
        else {
            panic!("{:?}", pair.client_events)
        };
        assert_eq!(*of, id);
        assert_eq!(pair.log.len(), 5);
        assert!(pair.log.iter().all(|(_, datagram)| datagram == &pair.log[0].1));
        assert_eq!(pair.client.statistics().retransmissions, 4);
    }
}

/// Reference: RFC 7252 section 4.2: the first timeout lies between ACK_TIMEOUT and 1.5 times it.
#[test]
fn retransmissions_spread() {
    let mut timeouts = Vec::new();
    for seed in 0..200 {
        let mut endpoint = crate::Endpoint::new(Config::default(), seed);
        let now = Duration::from_secs(5);
        endpoint.request(Pair::server_address(), Request::get("/a"), now).unwrap();
        timeouts.push(endpoint.poll_timeout().unwrap() - now);
    }
    let (least, most) = (timeouts.iter().min().unwrap(), timeouts.iter().max().unwrap());
    assert!(*least >= 2 * SECOND && *least < Duration::from_millis(2050), "{least:?}");
    assert!(*most <= 3 * SECOND && *most > Duration::from_millis(2950), "{most:?}");
}

/// Reference: RFC 7252 section 5.2.2: an empty acknowledgement, then a separate response.
#[test]
fn a_slow_application_answers_separately() {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| None);
    let id = pair.request(Request::get("/a"));
    pair.run(5 * SECOND);
    assert_eq!(pair.log_lines(), ["> CON 0.01", "< ACK 0.00"]);
    let exchange = pair.pending.pop().unwrap();
    pair.server.respond(exchange, Response::new(Code::CONTENT), pair.now);
    pair.run(5 * SECOND);
    assert_eq!(pair.log_lines()[2..], ["< CON 2.05", "> ACK 0.00"]);
    assert_eq!(terminal(&pair.client_events, id), 1);
    // A second answer to the same request is refused.
    pair.server.respond(exchange, Response::new(Code::CONTENT), pair.now);
    pair.run(5 * SECOND);
    assert_eq!(pair.log.len(), 4);
    assert_eq!(pair.server.statistics().responses_late, 1);
}

#[test]
fn a_request_that_is_never_answered_is_forgotten_on_both_sides() {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| None);
    pair.request(Request::get("/a"));
    pair.run(Duration::from_secs(200));
    let [Event::Failed { failure: Failure::NoResponse, .. }] = &pair.client_events[..] else {
        panic!("{:?}", pair.client_events)
    };
    assert_eq!(pair.server.statistics().exchanges_expired, 1);
    pair.server.check_empty();
}

/// Reference: RFC 7252 section 4.5: copies are answered alike and handled once.
#[test]
fn copies_are_answered_alike() {
    let mut pair = Pair::echoing();
    let datagram = hex("41 02 1234 aa b1 61 ff 78");
    for _ in 0..3 {
        pair.deliver(Side::Client, &datagram);
        pair.drain();
    }
    assert_eq!(pair.log_lines(), ["< ACK 2.05", "< ACK 2.05", "< ACK 2.05"]);
    assert_eq!(pair.log[0], pair.log[2]);
    let statistics = pair.server.statistics();
    assert_eq!((statistics.requests_received, statistics.duplicates), (1, 2));
    // Non-confirmable copies are not answered.
    let datagram = hex("51 02 1235 aa b1 61 ff 78");
    pair.deliver(Side::Client, &datagram);
    pair.deliver(Side::Client, &datagram);
    pair.drain();
    assert_eq!(pair.log_lines()[3..], ["< NON 2.05"]);
}

/// A device that restarts may use the same message id for another request.
#[test]
fn the_same_message_id_with_other_content_is_no_copy() {
    let mut pair = Pair::echoing();
    pair.deliver(Side::Client, &hex("41 02 0001 aa b1 61 ff 78"));
    pair.deliver(Side::Client, &hex("41 02 0001 bb b1 61 ff 78"));
    pair.drain();
    assert_eq!(pair.server.statistics().requests_received, 2);
}

/// A copy that comes while the application works is not handled again.
#[test]
fn copies_wait_for_the_answer() {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| None);
    let datagram = hex("41 02 1234 aa b1 61 ff 78");
    pair.deliver(Side::Client, &datagram);
    pair.deliver(Side::Client, &datagram);
    pair.drain();
    assert_eq!((pair.pending.len(), pair.log.len()), (1, 0));
    pair.run(2 * SECOND);
    pair.deliver(Side::Client, &datagram);
    pair.drain();
    let acknowledgements = pair.log_lines();
    assert_eq!(acknowledgements, ["< ACK 0.00", "< ACK 0.00"]);
}

/// Reference: RFC 7252 section 4.3 (ping), 4.2 (reset of what makes no sense).
#[test]
fn what_makes_no_sense_is_reset_or_ignored() {
    let cases = [
        ("40 00 0007", "70000007"),
        ("49 01 0007", "70000007"),
        ("40 01 0007 ff", "70000007"),
        ("40 e1 0007", "70000007"),
        ("41 45 0007 aa", "70000007"),
        ("40 45 0007", "70000007"),
        ("51 45 0007 aa 60", "70000007"),
        ("51 45 0007 aa", ""),
        ("50 00 0007", ""),
        ("50 01 0007 ff", ""),
        ("60 45 0007", ""),
        ("60 01 0007", ""),
        ("60 00 0007", ""),
        ("70 00 0007", ""),
        ("70 45 0007", ""),
        ("80 01 0007", ""),
        ("00", ""),
    ];
    for (datagram, answer) in cases {
        let mut pair = Pair::echoing();
        pair.deliver(Side::Client, &hex(datagram));
        pair.drain();
        let sent: Vec<_> = pair.log.iter().map(|(_, sent)| super::to_hex(sent)).collect();
        assert_eq!(sent.concat(), answer, "{datagram}");
        assert_eq!(pair.server.peer_count(), 0, "{datagram} left state behind");
        assert_eq!(pair.server.poll_timeout(), None);
    }
}

/// Answers to a request on its way; `%` stands for its message id, `@` for its token.
fn check_answer(answer: &str, from: [u8; 4], expected: &str) {
    let mut pair = Pair::echoing();
    pair.network.loss_percent = 100;
    pair.request(Request::get("/a"));
    let sent = Message::decode(&pair.log[0].1).unwrap();
    let answer = answer.replace('%', &format!("{:04x}", sent.id));
    let answer = answer.replace('@', &sent.token.to_string());
    let from = std::net::SocketAddr::from((from, 5683));
    pair.client.handle_datagram(from, &hex(&answer), pair.now);
    pair.drain();
    let events: Vec<_> = pair
        .client_events
        .iter()
        .map(|event| match event {
            Event::Response { response, .. } => response.code.to_string(),
            Event::Failed { failure, .. } => format!("{failure:?}"),
            other => panic!("{other:?}"),
        })
        .collect();
    let replies = pair.log_lines().split_off(1);
    assert_eq!([events, replies].concat().join(" "), expected, "{answer}");
}

#[test]
fn only_the_peer_that_was_asked_can_answer() {
    let peer = [10, 0, 0, 2];
    check_answer("68 45 % @", peer, "2.05");
    // Wakaama answers an unknown critical option without the token.
    check_answer("60 82 %", peer, "4.02");
    check_answer("48 45 0007 @", peer, "2.05 > ACK 0.00");
    check_answer("58 45 0007 @", peer, "2.05");
    check_answer("70 00 %", peer, "Reset");
    check_answer("60 00 %", peer, "");
    // A critical option 9 nobody understands: RFC 7252 section 5.4.1.
    check_answer("68 45 % @ 91 00", peer, "BadOption(OSCORE)");
    check_answer("48 45 0007 @ 91 00", peer, "BadOption(OSCORE) > RST 0.00");
    // Wrong id, wrong token, wrong peer.
    check_answer("68 45 0000 @", peer, "");
    check_answer("62 45 % aabb", peer, "");
    check_answer("40 45 0007", peer, "> RST 0.00");
}

#[test]
fn answers_of_strangers_are_dropped() {
    let mut pair = Pair::echoing();
    pair.network.loss_percent = 100;
    pair.request(Request::get("/a"));
    let sent = Message::decode(&pair.log[0].1).unwrap();
    let stranger = Pair::client_address();
    for kind in ["68", "58"] {
        let answer = format!("{kind} 45 {:04x} {}", sent.id, sent.token);
        pair.client.handle_datagram(stranger, &hex(&answer), pair.now);
    }
    pair.client.handle_datagram(stranger, &hex(&format!("7000{:04x}", sent.id)), pair.now);
    pair.drain();
    assert!(pair.client_events.is_empty());
    assert_eq!(pair.client.statistics().wrong_peer, 1);
    assert_eq!(pair.client.statistics().unmatched, 2);
    assert_eq!(pair.client.peer_count(), 1);
}

/// Reference: RFC 7252 section 4.7.
#[test]
fn requests_wait_for_their_turn() {
    let config = Config { queue_per_peer_max: 2, ..Config::default() };
    let mut pair = Pair::new(config, Config::default(), Network::CLEAN, 1, |_, request, _| {
        Some(Response::new(Code::CONTENT).payload(request.path_string()))
    });
    for path in ["/1", "/2", "/3"] {
        pair.request(Request::get(path));
    }
    let refused = pair.client.request(Pair::server_address(), Request::get("/4"), pair.now);
    assert_eq!(refused, Err(RequestRefused::QueueFull { limit: 2 }));
    assert_eq!(pair.log_lines(), ["> CON 0.01"]);
    pair.run(SECOND);
    let answers: Vec<_> = pair
        .client_events
        .iter()
        .map(|event| match event {
            Event::Response { response, .. } => response.payload.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answers, ["/1", "/2", "/3"]);
}

#[test]
fn a_cancelled_request_makes_room_and_a_forgotten_peer_fails_all() {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| None);
    let first = pair.request(Request::get("/1"));
    let second = pair.request(Request::get("/2"));
    let third = pair.request(Request::get("/3"));
    pair.client.cancel(first, pair.now);
    pair.drain();
    assert_eq!(pair.log.len(), 2);
    pair.client.forget_peer(Pair::server_address(), pair.now);
    pair.drain();
    assert_eq!(pair.log.len(), 2);
    let failures: Vec<_> = pair
        .client_events
        .iter()
        .map(|event| match event {
            Event::Failed { id, failure, .. } => (*id, *failure),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(failures, [(second, Failure::Cancelled), (third, Failure::Cancelled)]);
    pair.client.check_empty();
    assert_eq!(pair.client.peer_count(), 0);
}

#[test]
fn a_peer_that_is_forgotten_takes_its_exchanges_along() {
    let mut pair =
        Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| None);
    pair.deliver(Side::Client, &hex("41 02 0001 aa b1 61"));
    pair.deliver(
        Side::Client,
        &hex("41 03 0002 aa b1 61 d1 03 08 ff 61626364616263646162636461626364"),
    );
    pair.drain();
    pair.server.forget_peer(Pair::client_address(), pair.now);
    pair.drain();
    pair.server.check_empty();
    assert_eq!(pair.server.peer_count(), 0);
    let exchange = pair.pending.pop().unwrap();
    pair.server.respond(exchange, Response::new(Code::CONTENT), pair.now);
    pair.drain();
    assert_eq!(pair.log_lines(), ["< ACK 2.31 1:0/1/16"]);
}

/// Reference: RFC 7252 section 4.3.
#[test]
fn a_non_confirmable_request_is_sent_once() {
    let mut pair = Pair::echoing();
    pair.request(Request::get("/a").non_confirmable());
    pair.run(SECOND);
    assert_eq!(pair.log_lines(), ["> NON 0.01", "< NON 2.05"]);
    pair.network.loss_percent = 100;
    pair.request(Request::get("/a").non_confirmable());
    let sent = Message::decode(&pair.log[2].1).unwrap();
    pair.deliver(Side::Server, &Message::empty(Kind::Reset, sent.id).to_datagram());
    pair.drain();
    pair.request(Request::get("/a").non_confirmable());
    pair.run(Duration::from_secs(100));
    assert_eq!(pair.log.len(), 4);
    let ends: Vec<_> = pair
        .client_events
        .iter()
        .map(|event| {
            matches!(event, Event::Failed { failure: Failure::Reset | Failure::NoResponse, .. })
        })
        .collect();
    assert_eq!(ends, [false, true, true]);
}

#[test]
fn nonsense_is_refused_before_it_is_sent() {
    let mut pair = Pair::echoing();
    let mut request = |request| pair.client.request(Pair::server_address(), request, pair.now);
    assert_eq!(
        request(Request::new(Code::CONTENT)),
        Err(RequestRefused::NotAMethod(Code::CONTENT))
    );
    assert_eq!(request(Request::new(Code::EMPTY)), Err(RequestRefused::NotAMethod(Code::EMPTY)));
    let long = vec![0; (16 << 20) + 16];
    assert_eq!(
        request(Request::put("/a").payload(long).block_size_exponent(0)),
        Err(RequestRefused::TooLarge { block_bytes: 16 })
    );
    pair.client.check_empty();
}

/// Reference: RFC 7252 section 4.5 with bounded memory: idle peers give way, busy ones stay.
#[test]
fn idle_peers_give_way() {
    let config = Config { peers_max: 2, ..Config::default() };
    let mut endpoint = crate::Endpoint::new(config, 1);
    let now = Duration::from_secs(1);
    let peer = |last| std::net::SocketAddr::from(([192, 0, 2, last], 5683));
    for last in 0..2 {
        endpoint.request(peer(last), Request::get("/a"), now).unwrap();
    }
    let refused = endpoint.request(peer(2), Request::get("/a"), now);
    assert_eq!(refused, Err(RequestRefused::PeersFull { limit: 2 }));
    let mut observer = Observer::new(peer(2), Token::EMPTY);
    let refused = endpoint.notify(&mut observer, Response::new(Code::CONTENT), false, now);
    assert_eq!(refused, Err(NotifyRefused::PeersFull { limit: 2 }));
    endpoint.handle_datagram(peer(2), &hex("40 01 0001"), now);
    assert_eq!(endpoint.statistics().over_limit, 1);
    while let Some(transmit) = endpoint.poll_transmit() {
        let id = Message::decode(&transmit.datagram).unwrap().id;
        let reset = Message::empty(Kind::Reset, id).to_datagram();
        endpoint.handle_datagram(peer(0), &reset, now);
    }
    endpoint.handle_datagram(peer(2), &hex("40 01 0001"), now + SECOND);
    assert_eq!(endpoint.statistics().peers_evicted, 1);
    assert_eq!(endpoint.peer_count(), 2);
    endpoint.check_limits();
}

#[test]
fn a_peer_that_stays_silent_is_forgotten() {
    let mut pair = Pair::echoing();
    pair.request(Request::get("/a"));
    pair.run(Duration::from_secs(246));
    assert_eq!((pair.client.peer_count(), pair.server.peer_count()), (1, 1));
    pair.run(Duration::from_secs(2));
    assert_eq!((pair.client.peer_count(), pair.server.peer_count()), (0, 0));
    assert_eq!(pair.client.poll_timeout(), None);
}

#[test]
fn an_answer_that_is_no_response_becomes_an_error() {
    let mut pair = Pair::new(Config::default(), Config::default(), Network::CLEAN, 1, |_, _, _| {
        Some(Response { code: Code::GET, options: Options::new(), payload: "x".into() })
    });
    pair.request(Request::get("/a"));
    pair.run(SECOND);
    assert_eq!(pair.log_lines(), ["> CON 0.01", "< ACK 5.00"]);
}
