//! A small LwM2M server for tests: takes registrations and updates every device, without I/O.
//!
//! It is deliberately not the product's server: devices are judged by something simpler.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use coap::{Code, Endpoint, Event, Request, RequestId, Response, Transmit};

/// What the server knows of one device, by its endpoint name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) registrations: u32,
    pub(crate) updates: u32,
    /// Values of `/3/0/3`, one a registration.
    pub(crate) versions: Vec<String>,
    /// Values of `/5/0/3` as notified and read.
    pub(crate) states: Vec<String>,
    /// Values of `/5/0/5` after a registration.
    pub(crate) results: Vec<String>,
    pub(crate) gone: bool,
}

/// The server.
pub(crate) struct ScriptedServer {
    endpoint: Endpoint,
    image: Bytes,
    public: SocketAddr,
    names: BTreeMap<SocketAddr, String>,
    asked: BTreeMap<RequestId, (SocketAddr, &'static str)>,
    pub(crate) known: BTreeMap<String, Known>,
    pub(crate) requests_served: u64,
}

impl ScriptedServer {
    /// A server that is reached at `public` and installs `image` on every device once.
    pub(crate) fn new(public: SocketAddr, image: Bytes) -> Self {
        Self {
            endpoint: Endpoint::new(coap::Config::default(), 1),
            image,
            public,
            names: BTreeMap::new(),
            asked: BTreeMap::new(),
            known: BTreeMap::new(),
            requests_served: 0,
        }
    }

    pub(crate) fn handle_datagram(&mut self, peer: SocketAddr, datagram: &[u8], now: Duration) {
        self.endpoint.handle_datagram(peer, datagram, now);
        self.settle(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.endpoint.handle_timeout(now);
        self.settle(now);
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.endpoint.poll_timeout()
    }

    /// Asks a device something; the answer is only logged in `Known` for the paths of the script.
    pub(crate) fn ask(&mut self, name: &str, request: Request, what: &'static str, now: Duration) {
        let peer = self.names.iter().find(|(_, known)| *known == name).map(|(peer, _)| *peer);
        if let Some(peer) = peer {
            let id = self.endpoint.request(peer, request, now).unwrap();
            self.asked.insert(id, (peer, what));
        }
    }

    fn settle(&mut self, now: Duration) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request { exchange, peer, request, .. } => {
                    self.requests_served += 1;
                    let response = self.answer(peer, &request);
                    let created = response.code == Code::CREATED;
                    self.endpoint.respond(exchange, response, now);
                    if created {
                        self.greet(peer, now);
                    }
                }
                Event::Response { id, response, .. } | Event::Notification { id, response, .. } => {
                    if let Some((peer, what)) = self.asked.get(&id).copied() {
                        let text = String::from_utf8_lossy(&response.payload).into_owned();
                        self.answered(peer, what, text, now);
                    }
                }
                Event::Progress { .. } | Event::Failed { .. } | Event::ObserverLost { .. } => {}
            }
        }
    }

    fn answer(&mut self, peer: SocketAddr, request: &Request) -> Response {
        let path: Vec<String> = request.path().map(|segment| segment.to_string()).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (request.method, path.as_slice()) {
            (Code::GET, ["fw", "image"]) => {
                Response::new(Code::CONTENT).payload(self.image.clone())
            }
            (Code::POST, ["rd"]) => {
                let name = request
                    .queries()
                    .find_map(|query| query.strip_prefix("ep=").map(|name| name.to_string()));
                let name = name.unwrap();
                self.names.retain(|_, known| *known != name);
                self.names.insert(peer, name.clone());
                let known = self.known.entry(name).or_default();
                known.registrations += 1;
                known.gone = false;
                let serial = self.requests_served.to_string();
                Response::new(Code::CREATED).location(&["rd", &serial])
            }
            (Code::POST, ["rd", _]) => match self.names.get(&peer) {
                Some(name) => {
                    self.known.get_mut(name).unwrap().updates += 1;
                    Response::new(Code::CHANGED)
                }
                None => Response::new(Code::NOT_FOUND),
            },
            (Code::DELETE, ["rd", _]) => {
                if let Some(name) = self.names.remove(&peer) {
                    self.known.get_mut(&name).unwrap().gone = true;
                }
                Response::new(Code::DELETED)
            }
            _ => Response::new(Code::NOT_FOUND),
        }
    }

    fn greet(&mut self, peer: SocketAddr, now: Duration) {
        for (path, what) in [("3/0/3", "version"), ("5/0/5", "result"), ("5/0/9", "delivery")] {
            let id = self.endpoint.request(peer, Request::get(path).accept(0), now).unwrap();
            self.asked.insert(id, (peer, what));
        }
    }

    fn answered(&mut self, peer: SocketAddr, what: &'static str, text: String, now: Duration) {
        let Some(name) = self.names.get(&peer).cloned() else { return };
        let known = self.known.get_mut(&name).unwrap();
        match what {
            "version" => known.versions.push(text),
            "result" => known.results.push(text),
            "delivery" if known.versions.len() == 1 => {
                let observe = Request::get("5/0/3").accept(0).observe(0);
                let transfer = if text == "1" {
                    Request::put("5/0/0").content_format(42).payload(self.image.clone())
                } else {
                    let uri = format!("coap://{}/fw/image", self.public);
                    Request::put("5/0/1").content_format(0).payload(uri)
                };
                self.ask(&name, observe, "state", now);
                self.ask(&name, transfer, "transfer", now);
            }
            "state" => {
                known.states.push(text.clone());
                if text == "2" {
                    self.ask(&name, Request::post("5/0/2"), "update", now);
                }
            }
            _ => {}
        }
    }
}
