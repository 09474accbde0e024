//! The two sides, the network between them and the clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use coap::{Code, Endpoint, Request, RequestId, Response};

use super::super::{Client, Event};

pub(super) const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 5683);
pub(super) const DEVICE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 50_000);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the scripted server answers.
pub(super) struct Script {
    pub(super) register: Code,
    pub(super) update: Code,
    pub(super) location: &'static [&'static str],
    /// Neither sends nor receives.
    pub(super) silent: bool,
    pub(super) files: BTreeMap<String, Bytes>,
}

pub(super) struct Pair {
    pub(super) client: Client,
    pub(super) server: Endpoint,
    pub(super) script: Script,
    pub(super) now: Duration,
    /// Requests the server received, as `METHOD PATH?QUERIES FORMAT PAYLOAD`.
    pub(super) received: Vec<String>,
    pub(super) events: Vec<Event>,
    /// Notifications the server received, with the time of arrival.
    pub(super) notifications: Vec<(Duration, RequestId, Response)>,
    /// Share of datagrams that is lost.
    pub(super) loss_percent: u64,
    /// Share of datagrams that arrives twice.
    pub(super) duplicate_percent: u64,
    random: u64,
    answers: Vec<(RequestId, Result<Response, coap::Failure>)>,
    network: BTreeMap<(Duration, usize), (SocketAddr, SocketAddr, Bytes)>,
    sent: usize,
}

impl Pair {
    pub(super) fn new(client: Client) -> Self {
        let config = coap::Config { body_bytes_max: 1 << 20, ..coap::Config::default() };
        Self {
            client,
            server: Endpoint::new(config, 99),
            script: Script {
                register: Code::CREATED,
                update: Code::CHANGED,
                location: &["rd", "x1"],
                silent: false,
                files: BTreeMap::new(),
            },
            now: Duration::ZERO,
            received: Vec::new(),
            events: Vec::new(),
            notifications: Vec::new(),
            loss_percent: 0,
            duplicate_percent: 0,
            random: 3,
            answers: Vec::new(),
            network: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Registers and forgets what happened on the way.
    pub(super) fn start(&mut self) {
        self.client.start(self.now);
        self.run(1);
        assert!(self.client.is_registered());
        self.received.clear();
        self.events.clear();
    }

    /// Lets this many seconds pass.
    pub(super) fn run(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds), None);
    }

    /// Sends a request of the server and returns the answer.
    pub(super) fn ask(&mut self, request: Request) -> Response {
        self.observe(request).1
    }

    pub(super) fn observe(&mut self, request: Request) -> (RequestId, Response) {
        let id = self.server.request(DEVICE, request, self.now).unwrap();
        self.run_until(self.now + seconds(3600), Some(id));
        (id, self.answer(id).expect("no answer").expect("failed"))
    }

    pub(super) fn answer(&mut self, id: RequestId) -> Option<Result<Response, coap::Failure>> {
        let at = self.answers.iter().position(|answer| answer.0 == id)?;
        Some(self.answers.swap_remove(at).1)
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn run_until(&mut self, end: Duration, awaited: Option<RequestId>) {
        for _ in 0..1_000_000 {
            self.drain();
            if awaited.is_some_and(|id| self.answers.iter().any(|answer| answer.0 == id)) {
                return;
            }
            let network = self.network.keys().next().map(|key| key.0);
            let timeouts = [network, self.client.poll_timeout(), self.server.poll_timeout()];
            let next = timeouts.into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.deliver();
            if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
                self.client.handle_timeout(self.now);
            }
            if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
                self.server.handle_timeout(self.now);
            }
        }
        panic!("the pair does not come to rest");
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.network.first_entry() {
            if entry.key().0 > self.now {
                return;
            }
            let (from, to, datagram) = entry.remove();
            if to == DEVICE {
                self.client.handle_datagram(from, &datagram, self.now);
            } else {
                self.server.handle_datagram(from, &datagram, self.now);
            }
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            while let Some(event) = self.server.poll_event() {
                self.handle(event);
            }
            let events = std::iter::from_fn(|| self.client.poll_event()).collect::<Vec<_>>();
            self.events.extend(events);
            let from_client = self.client.poll_transmit().map(|sent| (DEVICE, sent));
            let sent =
                from_client.or_else(|| self.server.poll_transmit().map(|sent| (SERVER, sent)));
            let Some((from, transmit)) = sent else { return };
            self.send(from, transmit);
        }
    }

    fn send(&mut self, from: SocketAddr, transmit: coap::Transmit) {
        let stranger = transmit.peer != DEVICE && transmit.peer != SERVER;
        if self.script.silent || stranger || self.happens(self.loss_percent) {
            return;
        }
        let copies = if self.happens(self.duplicate_percent) { 2 } else { 1 };
        for copy in 0..copies {
            let at = self.now + Duration::from_millis(20 + 30 * copy);
            self.sent += 1;
            let entry = (from, transmit.peer, transmit.datagram.clone());
            self.network.insert((at, self.sent), entry);
        }
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % 100 < percent
    }

    fn handle(&mut self, event: coap::Event) {
        match event {
            coap::Event::Request { exchange, request, .. } => {
                self.received.push(describe(&request));
                let response = self.respond(&request);
                self.server.respond(exchange, response, self.now);
            }
            coap::Event::Response { id, response, .. } => self.answers.push((id, Ok(response))),
            coap::Event::Failed { id, failure, .. } => self.answers.push((id, Err(failure))),
            coap::Event::Notification { id, response, .. } => {
                self.notifications.push((self.now, id, response));
            }
            coap::Event::Progress { .. } | coap::Event::ObserverLost { .. } => {}
        }
    }

    fn respond(&self, request: &Request) -> Response {
        let path = request.path_string();
        match request.method {
            Code::POST if path == "/rd" && self.script.register == Code::CREATED => {
                Response::new(Code::CREATED).location(self.script.location)
            }
            Code::POST if path == "/rd" => Response::new(self.script.register),
            Code::POST => Response::new(self.script.update),
            Code::DELETE => Response::new(Code::DELETED),
            _ => match self.script.files.get(&path) {
                Some(file) => Response::new(Code::CONTENT).content_format(42).payload(file.clone()),
                None => Response::new(Code::NOT_FOUND),
            },
        }
    }
}

fn describe(request: &Request) -> String {
    let queries: Vec<&str> = request.queries().collect();
    let format = request.options.content_format();
    let mut text = format!("{} {}", request.method, request.path_string());
    if !queries.is_empty() {
        text = format!("{text}?{}", queries.join("&"));
    }
    if let Some(format) = format {
        text = format!("{text} [{format}]");
    }
    if !request.payload.is_empty() {
        text = format!("{text} {}", String::from_utf8_lossy(&request.payload));
    }
    text
}
