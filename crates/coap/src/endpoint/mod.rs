mod blocks;
mod client;
mod peer;
mod random;
mod reliability;
mod server;
mod timers;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use self::client::Call;
use self::peer::Peers;
use self::random::Random;
use self::server::Exchange;
use self::timers::{Timer, Timers};
use crate::message::decode_header;
use crate::{
    BlockValue, Config, Event, ExchangeId, Failure, Kind, MessageView, NotifyRefused, Observer,
    Request, RequestId, RequestRefused, Response, Statistics, Token, Transmit,
};

/// Speaks CoAP with any number of peers over one socket, as client and server at once.
///
/// The contract: call one method that takes `&mut self`, then drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) until both return
/// `None`, then ask [`poll_timeout`](Self::poll_timeout) when to call
/// [`handle_timeout`](Self::handle_timeout). `now` is the time since an origin the caller fixes;
/// it never decreases.
///
/// A datagram passes through `reliability` (acknowledgement, duplicates) to `server` (requests) or
/// `client` (responses); `blocks` cuts bodies and puts them together.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    statistics: Statistics,
    random: Random,
    timers: Timers,
    peers: Peers,
    calls: HashMap<RequestId, Box<Call>>,
    /// Tokens of requests on their way and of observations.
    tokens: HashMap<Token, RequestId>,
    exchanges: HashMap<ExchangeId, Exchange>,
    /// Last id given to a request, an exchange or an upload.
    serial: u64,
    /// Requests that asked to observe and are not over.
    observations: usize,
    /// Bytes of request bodies being received.
    upload_bytes: usize,
    /// Bytes of response bodies being received.
    download_bytes: usize,
    /// Bytes of answers kept for duplicates.
    duplicate_bytes: usize,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Endpoint {
    /// Builds an endpoint without peers. The seed decides message ids, tokens and the spread of
    /// retransmissions; take it from a source an attacker cannot guess.
    #[must_use]
    pub fn new(mut config: Config, seed: u64) -> Self {
        config.ack_random_percent = config.ack_random_percent.max(100);
        config.retransmissions_max = config.retransmissions_max.min(20);
        config.nstart = config.nstart.clamp(1, usize::from(u16::MAX));
        config.block_size_exponent = config.block_size_exponent.min(BlockValue::SIZE_EXPONENT_MAX);
        Self {
            config,
            statistics: Statistics::default(),
            random: Random::new(seed),
            timers: Timers::default(),
            peers: Peers::default(),
            calls: HashMap::new(),
            tokens: HashMap::new(),
            exchanges: HashMap::new(),
            serial: 0,
            observations: 0,
            upload_bytes: 0,
            download_bytes: 0,
            duplicate_bytes: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Returns the settings in effect; those out of range were moved into it.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes in a datagram a peer sent. Whatever is wrong with it is counted, never an error.
    pub fn handle_datagram(&mut self, peer: SocketAddr, datagram: &[u8], now: Duration) {
        self.statistics.received += 1;
        if datagram.len() > self.config.datagram_bytes_max {
            self.statistics.malformed += 1;
            return;
        }
        let Ok(message) = MessageView::decode_limited(datagram, self.config.options_max) else {
            self.statistics.malformed += 1;
            // RFC 7252 section 4.2: a confirmable message with a format error is reset, any other
            // ignored.
            if let Some((Kind::Confirmable, id)) = decode_header(datagram) {
                self.send_reset(peer, id);
            }
            return;
        };
        let code = message.code();
        match message.kind() {
            Kind::Confirmable | Kind::NonConfirmable if code.is_request() => {
                self.receive_request(peer, &message, datagram, now);
            }
            Kind::Confirmable | Kind::NonConfirmable if code.is_response() => {
                self.receive_separate_response(peer, &message, datagram, now);
            }
            // RFC 7252 section 4.3: an empty confirmable message is a ping.
            Kind::Confirmable => self.send_reset(peer, message.id()),
            Kind::Acknowledgement if code.is_empty() => {
                self.receive_acknowledgement(peer, message.id(), now);
            }
            Kind::Acknowledgement if code.is_response() => {
                self.receive_piggybacked_response(peer, &message, now);
            }
            Kind::Reset if code.is_empty() => self.receive_reset(peer, message.id(), now),
            Kind::NonConfirmable | Kind::Acknowledgement | Kind::Reset => {
                self.statistics.malformed += 1;
            }
        }
    }

    /// Does what is due: retransmits, acknowledges, gives up.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Retransmit { peer, message_id } => self.retransmit(peer, message_id, now),
                Timer::Response(id) => self.fail(id, Failure::NoResponse, now),
                Timer::Exchange(id) => self.exchange_due(id, now),
                Timer::Upload { peer, serial } => self.upload_expired(peer, serial),
            }
        }
        while let Some(dropped) = self.peers.expire(self.config.peer_idle_max, now) {
            self.duplicate_bytes -= dropped;
        }
    }

    /// Sends a request, at once or when earlier ones to this peer are done (NSTART).
    ///
    /// # Errors
    ///
    /// When a limit of the configuration is reached or the request cannot be put in messages.
    pub fn request(
        &mut self,
        peer: SocketAddr,
        request: Request,
        now: Duration,
    ) -> Result<RequestId, RequestRefused> {
        self.start_call(peer, request, now)
    }

    /// Answers a received request: with its acknowledgement when that has not been sent, in a
    /// message of its own otherwise. An exchange that is already answered or forgotten is ignored
    /// and counted. A code that is no response code is sent as 5.00.
    ///
    /// A payload longer than a block is cut to the block asked for; the others come as requests of
    /// their own, to be answered with the same payload (RFC 7959 section 2.4). So a body of any
    /// length is served without state. A response that has a Block2 option is sent as it is.
    pub fn respond(&mut self, exchange: ExchangeId, response: Response, now: Duration) {
        self.answer_exchange(exchange, response, now);
    }

    /// Sends an observer the new state of a resource and counts up its sequence number; the
    /// endpoint adds the Observe option. An error code ends the observation
    /// (RFC 7641 section 4.2).
    ///
    /// A confirmable notification takes the place of one to the same observer that is not
    /// acknowledged yet (RFC 7641 section 4.5.2).
    ///
    /// # Errors
    ///
    /// When a limit of the configuration is reached.
    pub fn notify(
        &mut self,
        observer: &mut Observer,
        response: Response,
        confirmable: bool,
        now: Duration,
    ) -> Result<(), NotifyRefused> {
        self.send_notification(observer, response, confirmable, now)
    }

    /// Forgets a request or an observation without an event; the next notification is answered by
    /// a reset (RFC 7641 section 3.6). Unknown ids are ignored.
    pub fn cancel(&mut self, id: RequestId, now: Duration) {
        if let Some(call) = self.drop_call(id) {
            self.start_queued(call.peer(), now);
        }
    }

    /// Ends an observation by a request with Observe 1 and the token of the observation
    /// (RFC 7641 section 3.6). The answer comes as a response of the same id, which is forgotten
    /// then; notifications on the way are dropped.
    ///
    /// # Errors
    ///
    /// When the id names no observation or too many requests wait.
    pub fn deregister(&mut self, id: RequestId, now: Duration) -> Result<(), RequestRefused> {
        self.end_observation(id, now)
    }

    /// Drops all state of a peer; its requests and observations fail with
    /// [`Failure::Cancelled`].
    pub fn forget_peer(&mut self, peer: SocketAddr, now: Duration) {
        let calls = self.peers.find(peer).map(|state| state.calls.clone()).unwrap_or_default();
        for id in calls {
            self.fail(id, Failure::Cancelled, now);
        }
        let Some(state) = self.peers.remove(peer) else { return };
        self.duplicate_bytes -= state.duplicate_bytes();
        self.upload_bytes -= state.upload_bytes();
        for message in &state.in_flight {
            self.timers.cancel(message.timer);
        }
        for upload in &state.uploads {
            self.timers.cancel(upload.timer);
        }
        for id in &state.exchanges {
            if let Some(exchange) = self.exchanges.remove(id) {
                self.timers.cancel(exchange.timer());
            }
        }
    }

    /// Returns the next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Returns the next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout); `None` when nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let idle = self.peers.deadline(self.config.peer_idle_max);
        [self.timers.next(), idle].into_iter().flatten().min()
    }

    /// Returns the counters.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Returns the number of peers remembered.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

#[cfg(test)]
impl Endpoint {
    /// Checks that every table respects its limit and that the sums are right.
    pub(crate) fn check_limits(&mut self) {
        let config = self.config.clone();
        let totals = self.peers.totals();
        assert!(self.peers.len() <= config.peers_max);
        assert!(self.peers.clock_len() <= 2 * self.peers.len() + 128);
        assert_eq!(totals.duplicate_bytes, self.duplicate_bytes);
        assert_eq!(totals.upload_bytes, self.upload_bytes);
        assert_eq!(totals.exchanges, self.exchanges.len());
        assert_eq!(totals.calls, self.calls.len());
        assert!(self.upload_bytes <= config.block1_bytes_total_max);
        assert!(totals.exchanges_most <= config.exchanges_per_peer_max);
        assert!(totals.upload_bytes_most <= config.block1_bytes_per_peer_max);
        assert!(totals.uploads_most <= config.block1_transfers_per_peer_max);
        assert!(totals.recent_most <= config.duplicates_per_peer_max);
        let timers = totals.in_flight + totals.uploads + self.exchanges.len() + self.calls.len();
        assert!(self.timers.len() <= timers, "timers are left behind");
        assert!(self.tokens.len() <= 2 * self.calls.len());
    }

    /// Checks that nothing is left, except peers that may still be idle.
    pub(crate) fn check_empty(&mut self) {
        self.check_limits();
        assert_eq!((self.calls.len(), self.tokens.len(), self.exchanges.len()), (0, 0, 0));
        assert_eq!((self.observations, self.upload_bytes, self.download_bytes), (0, 0, 0));
        assert_eq!(self.timers.len(), 0);
        if self.peers.len() == 0 {
            assert_eq!(self.duplicate_bytes, 0);
        }
    }
}
