use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::hex;
use super::pair::{Network, Pair, Side, body, terminal};
use crate::{
    Code, Config, Event, Failure, Message, NotifyRefused, Observer, Request, RequestId,
    RequestRefused, Response,
};

const SECOND: Duration = Duration::from_secs(1);

/// A pair whose server accepts observations of a resource of some length.
struct Observed {
    pair: Pair,
    observers: Rc<RefCell<Vec<Observer>>>,
    state: Rc<RefCell<Response>>,
}

fn observed(network: Network) -> Observed {
    let observers: Rc<RefCell<Vec<Observer>>> = Rc::default();
    let state = Rc::new(RefCell::new(Response::new(Code::CONTENT).payload("0")));
    let (known, current) = (Rc::clone(&observers), Rc::clone(&state));
    let pair =
        Pair::new(Config::default(), Config::default(), network, 5, move |peer, request, token| {
            let response = current.borrow().clone();
            match request.options.observe() {
                Some(0) => {
                    known.borrow_mut().push(Observer::new(peer, token));
                    Some(response.observe(1))
                }
                Some(_) => {
                    known.borrow_mut().retain(|observer| observer.token != token);
                    Some(response)
                }
                None => Some(response),
            }
        });
    Observed { pair, observers, state }
}

impl Observed {
    fn notify(&mut self, response: Response, confirmable: bool) {
        self.state.replace(response.clone());
        for observer in self.observers.borrow_mut().iter_mut() {
            self.pair
                .server
                .notify(observer, response.clone(), confirmable, self.pair.now)
                .unwrap();
        }
        self.pair.drain();
    }

    fn states(&self) -> Vec<(u32, String)> {
        let notifications = self.pair.client_events.iter().filter_map(|event| match event {
            Event::Notification { response, sequence, .. } => {
                let text = match response.payload.len() {
                    0..10 => String::from_utf8_lossy(&response.payload).into_owned(),
                    length => length.to_string(),
                };
                Some((*sequence, format!("{} {text}", response.code)))
            }
            _ => None,
        });
        notifications.collect()
    }
}

fn content(text: &str) -> Response {
    Response::new(Code::CONTENT).payload(text.to_owned())
}

fn observe(observed: &mut Observed) -> RequestId {
    let id = observed.pair.request(Request::get("/3303/0/5700").observe(0));
    observed.pair.run(SECOND);
    assert_eq!(terminal(&observed.pair.client_events, id), 1);
    id
}

/// Reference: RFC 7641 sections 1.2 and 3.5: notifications, confirmable or not.
#[test]
fn notifications_arrive() {
    let mut observed = observed(Network::CLEAN);
    observe(&mut observed);
    observed.notify(content("1"), true);
    observed.pair.run(SECOND);
    observed.notify(content("2"), false);
    observed.pair.run(SECOND);
    assert_eq!(observed.states(), [(2, "2.05 1".into()), (3, "2.05 2".into())]);
    let lines = observed.pair.log_lines();
    assert_eq!(lines, ["> CON 0.01", "< ACK 2.05", "< CON 2.05", "> ACK 0.00", "< NON 2.05"]);
    // An observation does not hold up other requests.
    observed.pair.request(Request::get("/a"));
    observed.pair.run(SECOND);
    assert_eq!(observed.pair.log.len(), 7);
}

/// Reference: RFC 7641 section 3.4, the freshness rule.
#[test]
fn only_fresh_notifications_count() {
    let mut observed = observed(Network::CLEAN);
    observe(&mut observed);
    let token = observed.observers.borrow()[0].token;
    let mut deliver = |sequence: u32, pause: Duration| {
        observed.pair.run(pause);
        let message = Message {
            kind: crate::Kind::NonConfirmable,
            code: Code::CONTENT,
            id: sequence as u16 ^ pause.as_secs() as u16,
            token,
            options: content("").observe(sequence).options,
            payload: "x".into(),
        };
        let before = observed.states().len();
        observed.pair.deliver(Side::Server, &message.to_datagram());
        observed.pair.drain();
        observed.states().len() > before
    };
    assert!(deliver(10, SECOND));
    assert!(!deliver(9, SECOND), "older");
    assert!(!deliver(10, 2 * SECOND), "equal");
    assert!(deliver(11, SECOND));
    assert!(deliver(3, Duration::from_secs(129)), "older number, but much later");
    assert!(deliver(8_388_610, SECOND), "just below half of the room");
    assert!(!deliver(3, 3 * SECOND), "exactly half behind");
    assert!(deliver(1, SECOND), "more than half behind: the counter wrapped");
    assert_eq!(observed.pair.client.statistics().notifications_stale, 3);
}

/// Reference: RFC 7641 section 3.6 and RFC 7959 section 3.4.
#[test]
fn a_forgotten_observation_is_reset() {
    let mut observed = observed(Network::CLEAN);
    for confirmable in [true, false] {
        let id = observe(&mut observed);
        let now = observed.pair.now;
        observed.pair.client.cancel(id, now);
        observed.pair.client.check_empty();
        observed.pair.log.clear();
        observed.notify(content("1"), confirmable);
        observed.pair.run(SECOND);
        let kind = if confirmable { "< CON 2.05" } else { "< NON 2.05" };
        assert_eq!(observed.pair.log_lines(), [kind, "> RST 0.00"]);
        let token = observed.observers.borrow_mut().pop().unwrap().token;
        let peer = Pair::client_address();
        let lost = observed.pair.server_events.pop();
        assert_eq!(lost, Some(Event::ObserverLost { peer, token }));
    }
}

/// Reference: RFC 7641 section 3.6: a request with Observe 1 and the same token.
#[test]
fn an_observation_is_ended_by_a_request() {
    let mut observed = observed(Network::CLEAN);
    let id = observe(&mut observed);
    let now = observed.pair.now;
    observed.pair.client.deregister(id, now).unwrap();
    observed.pair.drain();
    let sent = Message::decode(&observed.pair.log.last().unwrap().1).unwrap();
    assert_eq!(sent.options.observe(), Some(1));
    assert_eq!(sent.token, observed.observers.borrow()[0].token);
    assert_eq!(observed.pair.client.deregister(id, now), Err(RequestRefused::UnknownObservation));
    observed.pair.run(SECOND);
    assert_eq!(terminal(&observed.pair.client_events, id), 2);
    assert!(observed.observers.borrow().is_empty());
    observed.pair.client.check_empty();
}

/// Reference: RFC 7641 section 3.2: without Observe in the response there is no observation.
#[test]
fn a_server_may_decline() {
    let mut pair = Pair::echoing();
    let id = pair.request(Request::get("/a").observe(0));
    pair.run(SECOND);
    assert_eq!(terminal(&pair.client_events, id), 1);
    pair.client.check_empty();
}

/// Reference: RFC 7641 section 4.2: an error ends the observation.
#[test]
fn an_error_ends_the_observation() {
    let mut observed = observed(Network::CLEAN);
    observe(&mut observed);
    observed.notify(Response::new(Code::NOT_FOUND), true);
    observed.pair.run(SECOND);
    assert_eq!(observed.states(), [(0, "4.04 ".into())]);
    observed.pair.client.check_empty();
}

/// Reference: RFC 7641 section 4.5.2: the newest state takes the place of an unacknowledged one,
/// and the attempts are not counted anew.
#[test]
fn the_newest_state_is_retransmitted() {
    let mut observed = observed(Network::CLEAN);
    observe(&mut observed);
    observed.pair.network.loss_percent = 100;
    for number in 1..4 {
        observed.notify(content(&number.to_string()), true);
    }
    observed.pair.run(4 * SECOND);
    observed.pair.network.loss_percent = 0;
    observed.pair.run(10 * SECOND);
    assert_eq!(observed.states(), [(4, "2.05 3".into())]);

    // When the older one is acknowledged the newer one follows at once.
    observed.notify(content("5"), true);
    observed.notify(content("6"), true);
    observed.pair.run(SECOND);
    assert_eq!(observed.states()[1..], [(5, "2.05 5".into()), (6, "2.05 6".into())]);

    observed.pair.network.loss_percent = 100;
    observed.notify(content("7"), true);
    observed.pair.run(10 * SECOND);
    observed.notify(content("8"), true);
    observed.pair.run(Duration::from_secs(90));
    let [Event::ObserverLost { .. }] = &observed.pair.server_events[..] else {
        panic!("{:?}", observed.pair.server_events)
    };
}

/// Reference: RFC 7959 section 2.6 and figure 14: further blocks are fetched with another token.
#[test]
fn long_notifications_are_fetched() {
    let mut observed = observed(Network::CLEAN);
    observed.state.replace(Response::new(Code::CONTENT).payload(body(1500)));
    observe(&mut observed);
    observed.pair.log.clear();
    observed.notify(Response::new(Code::CONTENT).payload(body(2500)), true);
    observed.pair.run(SECOND);
    assert_eq!(
        observed.pair.log_lines(),
        [
            "< CON 2.05 2:0/1/1024",
            "> ACK 0.00",
            "> CON 0.01 2:1/0/1024",
            "< ACK 2.05 2:1/1/1024",
            "> CON 0.01 2:2/0/1024",
            "< ACK 2.05 2:2/0/1024",
        ]
    );
    let fetch = Message::decode(&observed.pair.log[2].1).unwrap();
    assert_eq!(fetch.options.observe(), None);
    assert_ne!(fetch.token, observed.observers.borrow()[0].token);
    assert_eq!(observed.states(), [(2, "2.05 2500".into())]);
    let [.., Event::Notification { response, .. }] = &observed.pair.client_events[..] else {
        panic!("{:?}", observed.pair.client_events)
    };
    assert_eq!(response.payload, body(2500));
}

#[test]
fn a_newer_notification_replaces_one_being_fetched() {
    let mut observed = observed(Network::CLEAN);
    observe(&mut observed);
    observed.notify(Response::new(Code::CONTENT).payload(body(2500)), false);
    observed.pair.run(Duration::from_millis(15));
    observed.notify(Response::new(Code::CONTENT).payload(body(3000)), false);
    observed.pair.run(SECOND);
    assert_eq!(observed.states(), [(3, "2.05 3000".into())]);
    observed.notify(content("9"), false);
    observed.pair.run(SECOND);
    assert_eq!(observed.states()[1..], [(4, "2.05 9".into())]);
}

#[test]
fn a_silent_peer_loses_its_observation_only_when_asked() {
    let mut observed = observed(Network::CLEAN);
    let id = observe(&mut observed);
    observed.pair.run(Duration::from_secs(10_000));
    observed.notify(content("1"), true);
    observed.pair.run(SECOND);
    assert_eq!(observed.states().len(), 1);
    observed.notify(Response::new(Code::CONTENT).payload(body(2500)), false);
    observed.pair.run(Duration::from_millis(10));
    observed.pair.network.loss_percent = 100;
    observed.pair.run(Duration::from_secs(200));
    let [.., Event::Failed { id: of, failure: Failure::Timeout, .. }] =
        &observed.pair.client_events[..]
    else {
        panic!("{:?}", observed.pair.client_events)
    };
    assert_eq!(*of, id);
    observed.pair.client.check_empty();
}

#[test]
fn observations_are_limited() {
    let config = Config { observations_per_peer_max: 2, observations_max: 3, ..Config::default() };
    let mut endpoint = crate::Endpoint::new(config, 1);
    let peer = |last| std::net::SocketAddr::from(([192, 0, 2, last], 5683));
    let mut observe =
        |last| endpoint.request(peer(last), Request::get("/a").observe(0), SECOND).is_ok();
    assert!(observe(1) && observe(1));
    assert!(!observe(1), "per peer");
    assert!(observe(2));
    assert!(!observe(3), "in all");
    endpoint.forget_peer(peer(1), SECOND);
    assert!(endpoint.request(peer(3), Request::get("/a").observe(0), SECOND).is_ok());
}

#[test]
fn an_observer_that_acknowledges_nothing_is_limited() {
    let config = Config { queue_per_peer_max: 2, ..Config::default() };
    let mut endpoint = crate::Endpoint::new(config, 1);
    let mut notify = |token: &str| {
        let token = crate::Token::new(&hex(token)).unwrap();
        let mut observer = Observer::new(Pair::client_address(), token);
        endpoint.notify(&mut observer, content("x"), true, SECOND)
    };
    assert_eq!(notify("01"), Ok(()));
    assert_eq!(notify("02"), Ok(()));
    assert_eq!(notify("03"), Err(NotifyRefused::Busy { limit: 2 }));
    assert_eq!(notify("02"), Ok(()));
}

#[test]
fn sequence_numbers_wrap() {
    let mut observer = Observer::new(Pair::client_address(), crate::Token::EMPTY);
    observer.sequence = 0x00ff_ffff;
    let mut endpoint = crate::Endpoint::new(Config::default(), 1);
    endpoint.notify(&mut observer, content("x"), false, SECOND).unwrap();
    let sent = Message::decode(&endpoint.poll_transmit().unwrap().datagram).unwrap();
    assert_eq!(sent.options.observe(), Some(0x00ff_ffff));
    assert_eq!(observer.sequence, 0);
}
