//! The registration life cycle: Register, Update, Deregister (LwM2M Core 1.1, 6.2).

use std::time::Duration;

use coap::{Code, Failure, OptionNumber, Request, RequestId, Response};

use super::{Client, Event};
use crate::{ContentFormat, LwM2mVersion, Path};

/// Where the registration stands, in protocol order.
#[derive(Debug)]
pub(super) enum Lifecycle {
    /// Not registered, and not wishing to be.
    Stopped,
    /// Waiting for the next attempt to register.
    Waiting { until: Duration, failures: u32 },
    /// Register is on its way; the lifetime is the one it announces.
    Registering { request: RequestId, failures: u32, lifetime_s: u32 },
    /// Known to the server.
    Registered(Registered),
    /// Deregister is on its way; with a time to come back after a Disable.
    Leaving { request: RequestId, back_at: Option<Duration> },
}

/// A registration the server has confirmed.
#[derive(Debug)]
pub(super) struct Registered {
    /// Segments of the path; some servers end it with an empty one, which has to be sent back.
    location: Box<[Box<str>]>,
    /// Lifetime the server knows.
    lifetime_s: u32,
    /// When the next Update is due; never with a lifetime of 0.
    update_at: Option<Duration>,
    update: Option<Update>,
    /// An Update was asked for while another was on its way.
    again: bool,
}

#[derive(Clone, Copy, Debug)]
struct Update {
    request: RequestId,
    lifetime_s: u32,
}

impl Client {
    /// Starts to register; does nothing when already registered or trying.
    pub fn start(&mut self, now: Duration) {
        if matches!(self.lifecycle, Lifecycle::Stopped) {
            self.register(0, now);
        }
        self.settle(now);
    }

    /// Leaves the server with a Deregister; [`start`](Self::start) registers again.
    pub fn stop(&mut self, now: Duration) {
        self.leave(None, now);
        self.settle(now);
    }

    /// Sends an Update of the registration now, as when the server executes `/1/0/8`.
    pub fn update_registration(&mut self, now: Duration) {
        self.update(now);
        self.settle(now);
    }

    /// Tells whether the server knows this client, as far as the client knows.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Registered(_))
    }

    /// Tells whether the client listens: always, except in queue mode some time after the last
    /// contact (LwM2M Core 1.1, 6.5).
    #[must_use]
    pub fn is_awake(&self, now: Duration) -> bool {
        !self.config.queue_mode
            || !self.is_registered()
            || !self.downloads.is_empty()
            || now < self.awake_until
    }

    pub(super) fn lifecycle_timeout(&self) -> Option<Duration> {
        match &self.lifecycle {
            Lifecycle::Waiting { until, .. } => Some(*until),
            Lifecycle::Registered(Registered { update: None, update_at, .. }) => *update_at,
            Lifecycle::Registered(_)
            | Lifecycle::Stopped
            | Lifecycle::Registering { .. }
            | Lifecycle::Leaving { .. } => None,
        }
    }

    pub(super) fn handle_lifecycle_timeout(&mut self, now: Duration) {
        if self.lifecycle_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self.lifecycle {
            Lifecycle::Waiting { failures, .. } => self.register(failures, now),
            Lifecycle::Registered(_) => self.update(now),
            Lifecycle::Stopped | Lifecycle::Registering { .. } | Lifecycle::Leaving { .. } => {}
        }
    }

    /// Tells the server of changed objects, now or with the Update that is on its way.
    pub(super) fn links_changed(&mut self, now: Duration) {
        self.links_stale = true;
        self.update(now);
    }

    /// Tells the server of a changed lifetime.
    pub(super) fn lifetime_changed(&mut self, now: Duration) {
        let lifetime_s = self.lifetime_s();
        if let Lifecycle::Registered(registered) = &self.lifecycle
            && registered.lifetime_s != lifetime_s
        {
            self.update(now);
        }
    }

    /// Sends Register. Queue mode is a `Q` of its own in LwM2M 1.1 (6.2.1) and a part of the
    /// binding in 1.0.
    pub(super) fn register(&mut self, failures: u32, now: Duration) {
        let lifetime_s = self.lifetime_s();
        let (queue_mode, version) = (self.config.queue_mode, self.config.version);
        let in_binding = queue_mode && version == LwM2mVersion::V1_0;
        let mut request = Request::post(&self.config.registration_path)
            .content_format(ContentFormat::LINK.0)
            .query(&format!("lwm2m={version}"))
            .query(&format!("ep={}", self.config.endpoint))
            .query(if in_binding { "b=UQ" } else { "b=U" })
            .query(&format!("lt={lifetime_s}"));
        if queue_mode && !in_binding {
            request = request.query("Q");
        }
        let request = request.payload(self.registration_links());
        self.links_stale = false;
        match self.coap.request(self.config.server, request, now) {
            Ok(request) => {
                self.lifecycle = Lifecycle::Registering { request, failures, lifetime_s };
            }
            Err(_) => self.wait(failures, now),
        }
    }

    pub(super) fn update(&mut self, now: Duration) {
        let lifetime_s = self.lifetime_s();
        let links = self.links_stale.then(|| self.registration_links());
        let Lifecycle::Registered(registered) = &mut self.lifecycle else { return };
        if registered.update.is_some() {
            registered.again = true;
            return;
        }
        // An Update says only what changed (6.2.2).
        let mut request = at_location(Code::POST, &registered.location);
        if lifetime_s != registered.lifetime_s {
            request = request.query(&format!("lt={lifetime_s}"));
        }
        if let Some(links) = links {
            request = request.content_format(ContentFormat::LINK.0).payload(links);
        }
        match self.coap.request(self.config.server, request, now) {
            Ok(request) => {
                self.links_stale = false;
                registered.update = Some(Update { request, lifetime_s });
                self.contact(now);
            }
            Err(_) => registered.update_at = Some(now + Duration::from_secs(1)),
        }
    }

    pub(super) fn leave(&mut self, back_at: Option<Duration>, now: Duration) {
        match &self.lifecycle {
            Lifecycle::Registered(registered) => {
                if let Some(update) = registered.update {
                    self.coap.cancel(update.request, now);
                }
                let request = at_location(Code::DELETE, &registered.location);
                match self.coap.request(self.config.server, request, now) {
                    Ok(request) => self.lifecycle = Lifecycle::Leaving { request, back_at },
                    Err(_) => self.left(back_at, now),
                }
                // Deregistering ends the observations (6.2.3).
                self.end_observations();
            }
            Lifecycle::Registering { request, .. } => {
                let request = *request;
                self.coap.cancel(request, now);
                self.left(back_at, now);
            }
            Lifecycle::Waiting { .. } => self.left(back_at, now),
            Lifecycle::Stopped | Lifecycle::Leaving { .. } => {}
        }
    }

    /// Takes an answer from the server when it belongs to the registration.
    pub(super) fn registration_response(
        &mut self,
        id: RequestId,
        response: &Response,
        now: Duration,
    ) -> bool {
        match &self.lifecycle {
            Lifecycle::Registering { request, failures, lifetime_s } if *request == id => {
                let (failures, lifetime_s) = (*failures, *lifetime_s);
                let location: Box<[Box<str>]> = response.location_path().map(Box::from).collect();
                if response.code == Code::CREATED && !location.is_empty() {
                    self.registered(location, lifetime_s, now);
                } else {
                    self.events.push_back(Event::RegistrationRefused { code: response.code });
                    self.wait(failures, now);
                }
            }
            Lifecycle::Registered(Registered { update: Some(update), .. })
                if update.request == id =>
            {
                let update = *update;
                if response.code == Code::CHANGED {
                    self.updated(update, now);
                } else {
                    // 4.04 is the answer of a server that forgot this client (6.2.2); after any
                    // other refusal a new registration is the only way forward as well.
                    self.events.push_back(Event::RegistrationLost);
                    self.register(0, now);
                }
            }
            Lifecycle::Leaving { request, back_at } if *request == id => {
                let back_at = *back_at;
                self.left(back_at, now);
            }
            _ => return false,
        }
        true
    }

    /// Takes the failure of a request when it belongs to the registration.
    pub(super) fn registration_failure(
        &mut self,
        id: RequestId,
        failure: Failure,
        now: Duration,
    ) -> bool {
        match &self.lifecycle {
            Lifecycle::Registering { request, failures, .. } if *request == id => {
                let failures = *failures;
                self.events.push_back(Event::RegistrationFailed { failure });
                self.wait(failures, now);
            }
            Lifecycle::Registered(Registered { update: Some(update), .. })
                if update.request == id =>
            {
                self.events.push_back(Event::RegistrationLost);
                self.register(0, now);
            }
            Lifecycle::Leaving { request, back_at } if *request == id => {
                let back_at = *back_at;
                self.left(back_at, now);
            }
            _ => return false,
        }
        true
    }

    fn registered(&mut self, location: Box<[Box<str>]>, lifetime_s: u32, now: Duration) {
        let shown = location.iter().fold(String::new(), |path, segment| path + "/" + segment);
        self.lifecycle = Lifecycle::Registered(Registered {
            location,
            lifetime_s,
            update_at: self.next_update(lifetime_s, now),
            update: None,
            again: false,
        });
        // A server that accepts a registration starts without observations (6.2.1).
        self.end_observations();
        self.contact(now);
        self.events.push_back(Event::Registered { location: shown });
        if self.links_stale {
            self.update(now);
        }
        self.lifetime_changed(now);
    }

    fn updated(&mut self, done: Update, now: Duration) {
        let update_at = self.next_update(done.lifetime_s, now);
        let lifetime_s = self.lifetime_s();
        let Lifecycle::Registered(registered) = &mut self.lifecycle else { return };
        registered.update = None;
        registered.lifetime_s = done.lifetime_s;
        registered.update_at = update_at;
        let again = std::mem::take(&mut registered.again);
        self.contact(now);
        self.events.push_back(Event::Updated);
        if again || lifetime_s != done.lifetime_s {
            self.update(now);
        }
    }

    fn left(&mut self, back_at: Option<Duration>, now: Duration) {
        self.lifecycle = match back_at {
            Some(until) => Lifecycle::Waiting { until: until.max(now), failures: 0 },
            None => Lifecycle::Stopped,
        };
        self.events.push_back(Event::Deregistered);
    }

    fn wait(&mut self, failures: u32, now: Duration) {
        let doubled = u64::from(self.config.retry_delay_s) << failures.min(16);
        let delay_s = doubled.min(u64::from(self.config.retry_delay_s_max)).max(1);
        let delay_ms = delay_s * 500 + self.random_below(delay_s * 500 + 1);
        self.lifecycle = Lifecycle::Waiting {
            until: now + Duration::from_millis(delay_ms),
            failures: failures.saturating_add(1),
        };
    }

    /// Chooses when to send the next Update: half-way, or for long lifetimes as late as a message
    /// that needs all its retransmissions (93 s) allows. Up to a tenth of it is taken off at random.
    fn next_update(&mut self, lifetime_s: u32, now: Duration) -> Option<Duration> {
        if lifetime_s == 0 {
            return None;
        }
        let lifetime_ms = u64::from(lifetime_s) * 1000;
        let delay_ms = (lifetime_ms / 2).max(lifetime_ms.saturating_sub(TRANSMIT_WAIT_MS));
        let delay_ms = delay_ms - self.random_below(delay_ms / 10 + 1);
        Some(now + Duration::from_millis(delay_ms))
    }

    fn registration_links(&self) -> String {
        let links = self.objects.links(self.config.version);
        match self.config.preferred_format {
            None => links,
            Some(format) if links.is_empty() => format!("</>;rt=\"oma.lwm2m\";ct={}", format.0),
            Some(format) => format!("</>;rt=\"oma.lwm2m\";ct={},{links}", format.0),
        }
    }

    /// Returns the lifetime in force: the one in the Server object when it has a usable one.
    fn lifetime_s(&self) -> u32 {
        let value = self.objects.value(LIFETIME).and_then(crate::Value::as_integer);
        value.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(self.config.lifetime_s)
    }
}

fn at_location(method: Code, location: &[Box<str>]) -> Request {
    location.iter().fold(Request::new(method), |request, segment| {
        request.option(OptionNumber::URI_PATH, segment.as_bytes())
    })
}

/// MAX_TRANSMIT_WAIT (RFC 7252, 4.8.2).
const TRANSMIT_WAIT_MS: u64 = 93_000;

/// Lifetime in the Server object of the only server.
pub(super) const LIFETIME: Path = Path::resource(1, 0, 1);
