//! Joins two endpoints in one thread over a simulated network with virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Code, Config, Endpoint, Event, ExchangeId, Message, Request, RequestId, Response, Token,
};

/// Behaviour of the network, the same in both directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) latency_ms: u64,
    /// Random addition to the latency: datagrams overtake each other.
    pub(super) jitter_ms: u64,
    pub(super) loss_percent: u64,
    pub(super) duplication_percent: u64,
}

impl Network {
    pub(super) const CLEAN: Self =
        Self { latency_ms: 10, jitter_ms: 0, loss_percent: 0, duplication_percent: 0 };
}

/// Answers the requests of the other side, at once or (with `None`) later.
pub(super) type Application = Box<dyn FnMut(SocketAddr, &Request, Token) -> Option<Response>>;

pub(super) struct Pair {
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) now: Duration,
    pub(super) network: Network,
    pub(super) application: Application,
    /// Requests the application did not answer at once.
    pub(super) pending: Vec<ExchangeId>,
    pub(super) client_events: Vec<Event>,
    /// Events of the server other than requests.
    pub(super) server_events: Vec<Event>,
    /// What was sent, in order, also when it was lost.
    pub(super) log: Vec<(Side, Bytes)>,
    under_way: BTreeMap<(Duration, u64), (Side, Bytes)>,
    serial: u64,
    random: u64,
}

/// The side that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Pair {
    pub(super) fn new(
        client: Config,
        server: Config,
        network: Network,
        seed: u64,
        application: impl FnMut(SocketAddr, &Request, Token) -> Option<Response> + 'static,
    ) -> Self {
        Self {
            client: Endpoint::new(client, seed),
            server: Endpoint::new(server, seed.wrapping_add(1)),
            now: Duration::from_secs(1000),
            network,
            application: Box::new(application),
            pending: Vec::new(),
            client_events: Vec::new(),
            server_events: Vec::new(),
            log: Vec::new(),
            under_way: BTreeMap::new(),
            serial: 0,
            random: seed | 1,
        }
    }

    /// Builds a pair over a clean network whose server echoes method, path and payload.
    pub(super) fn echoing() -> Self {
        Self::new(Config::default(), Config::default(), Network::CLEAN, 7, |_, request, _| {
            Some(Response::new(Code::CONTENT).payload(request.payload.clone()))
        })
    }

    pub(super) fn client_address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 1111))
    }

    pub(super) fn server_address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 2], 5683))
    }

    pub(super) fn request(&mut self, request: Request) -> RequestId {
        let id = self.client.request(Self::server_address(), request, self.now).unwrap();
        self.drain();
        id
    }

    /// Runs until nothing is under way, no retransmission is armed, or the time is over.
    pub(super) fn run(&mut self, at_most: Duration) {
        let end = self.now + at_most;
        self.drain();
        loop {
            let arrival = self.under_way.first_key_value().map(|(key, _)| key.0);
            let timeouts = [self.client.poll_timeout(), self.server.poll_timeout()];
            let next = timeouts.into_iter().chain([arrival]).flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next >= self.now, "a deadline lies in the past");
            self.now = next;
            if arrival == Some(next) {
                let (_, (from, datagram)) = self.under_way.pop_first().unwrap();
                self.deliver(from, &datagram);
            } else {
                self.client.handle_timeout(self.now);
                self.server.handle_timeout(self.now);
            }
            self.drain();
            for endpoint in [&self.client, &self.server] {
                assert!(endpoint.poll_timeout().is_none_or(|at| at >= self.now), "a busy loop");
            }
        }
        self.now = end;
    }

    /// Hands a datagram to one side as if the other had sent it.
    pub(super) fn deliver(&mut self, from: Side, datagram: &[u8]) {
        match from {
            Side::Client => {
                self.server.handle_datagram(Self::client_address(), datagram, self.now);
            }
            Side::Server => {
                self.client.handle_datagram(Self::server_address(), datagram, self.now);
            }
        }
    }

    pub(super) fn drain(&mut self) {
        loop {
            while let Some(event) = self.client.poll_event() {
                self.client_events.push(event);
            }
            let mut answered = false;
            while let Some(event) = self.server.poll_event() {
                match event {
                    Event::Request { exchange, peer, request, token } => {
                        match (self.application)(peer, &request, token) {
                            Some(response) => {
                                self.server.respond(exchange, response, self.now);
                                answered = true;
                            }
                            None => self.pending.push(exchange),
                        }
                    }
                    other => self.server_events.push(other),
                }
            }
            while let Some(transmit) = self.client.poll_transmit() {
                assert_eq!(transmit.peer, Self::server_address());
                self.transport(Side::Client, transmit.datagram);
            }
            while let Some(transmit) = self.server.poll_transmit() {
                assert_eq!(transmit.peer, Self::client_address());
                self.transport(Side::Server, transmit.datagram);
            }
            if !answered {
                return;
            }
        }
    }

    /// Returns the messages of the log in short form, `> CON GET ...` from the client.
    pub(super) fn log_lines(&self) -> Vec<String> {
        self.log
            .iter()
            .map(|(side, datagram)| {
                let message = Message::decode(datagram).unwrap();
                let arrow = if *side == Side::Client { '>' } else { '<' };
                let kind = match message.kind {
                    crate::Kind::Confirmable => "CON",
                    crate::Kind::NonConfirmable => "NON",
                    crate::Kind::Acknowledgement => "ACK",
                    crate::Kind::Reset => "RST",
                };
                let mut line = format!("{arrow} {kind} {}", message.code);
                for (number, name) in
                    [(crate::OptionNumber::BLOCK1, "1"), (crate::OptionNumber::BLOCK2, "2")]
                {
                    if let Some(value) = message.options.first(number) {
                        let block = crate::BlockValue::decode(value).unwrap();
                        let more = u8::from(block.more);
                        line += &format!(" {name}:{}/{more}/{}", block.number, block.size());
                    }
                }
                line
            })
            .collect()
    }

    fn transport(&mut self, from: Side, datagram: Bytes) {
        self.log.push((from, datagram.clone()));
        let copies = 1 + usize::from(self.chance(self.network.duplication_percent));
        for _ in 0..copies {
            if self.chance(self.network.loss_percent) {
                continue;
            }
            let jitter =
                if self.network.jitter_ms == 0 { 0 } else { self.draw() % self.network.jitter_ms };
            let arrival = self.now + Duration::from_millis(self.network.latency_ms + jitter);
            self.serial += 1;
            self.under_way.insert((arrival, self.serial), (from, datagram.clone()));
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.draw() % 100 < percent
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 16
    }
}

/// Counts the events that end a request.
pub(super) fn terminal(events: &[Event], id: RequestId) -> usize {
    events
        .iter()
        .filter(|event| match event {
            Event::Response { id: of, .. } | Event::Failed { id: of, .. } => *of == id,
            _ => false,
        })
        .count()
}

/// Returns a body of some length without short periods.
pub(super) fn body(length: usize) -> Bytes {
    (0..length).map(|index| (index * 7 + index / 256) as u8).collect::<Vec<_>>().into()
}
