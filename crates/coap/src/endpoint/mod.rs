use std::net::SocketAddr;
use std::time::Duration;

use crate::{
    Config, Event, ExchangeId, NotifyRefused, Observer, Request, RequestId, RequestRefused,
    Response, Statistics, Transmit,
};

/// Speaks CoAP with any number of peers over one socket, as client and server at once.
///
/// The contract: call one method that takes `&mut self`, then drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) until both return
/// `None`, then ask [`poll_timeout`](Self::poll_timeout) when to call
/// [`handle_timeout`](Self::handle_timeout). `now` is the time since an origin the caller fixes;
/// it never decreases.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    statistics: Statistics,
}

impl Endpoint {
    /// Builds an endpoint without peers. The seed decides message ids, tokens and the spread of
    /// retransmissions; take it from a source an attacker cannot guess.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let _ = seed;
        Self { config, statistics: Statistics::default() }
    }

    /// Returns the settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes in a datagram a peer sent. Whatever is wrong with it is counted, never an error.
    pub fn handle_datagram(&mut self, peer: SocketAddr, datagram: &[u8], now: Duration) {
        let _ = (peer, datagram, now);
    }

    /// Does what is due: retransmits, acknowledges, gives up.
    pub fn handle_timeout(&mut self, now: Duration) {
        let _ = now;
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
        let _ = (peer, request, now);
        Err(RequestRefused::PeersFull { limit: 0 })
    }

    /// Answers a received request: with its acknowledgement when that has not been sent, in a
    /// message of its own otherwise. An exchange that is already answered or forgotten is ignored.
    ///
    /// A payload longer than a block is cut to the block asked for; the others come as requests of
    /// their own, to be answered with the same payload.
    pub fn respond(&mut self, exchange: ExchangeId, response: Response, now: Duration) {
        let _ = (exchange, response, now);
    }

    /// Sends an observer the new state of a resource and counts up its sequence number.
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
        let _ = (observer, response, confirmable, now);
        Ok(())
    }

    /// Forgets a request or an observation without an event; the next notification is answered by
    /// a reset (RFC 7641 section 3.6). Unknown ids are ignored.
    pub fn cancel(&mut self, id: RequestId, now: Duration) {
        let _ = (id, now);
    }

    /// Ends an observation by a request with Observe 1 and the token of the observation
    /// (RFC 7641 section 3.6). The answer comes as a response of the same id, which is forgotten
    /// then; notifications on the way are dropped.
    ///
    /// # Errors
    ///
    /// When the id names no observation or too many requests wait.
    pub fn deregister(&mut self, id: RequestId, now: Duration) -> Result<(), RequestRefused> {
        let _ = (id, now);
        Err(RequestRefused::UnknownObservation)
    }

    /// Drops all state of a peer; its requests and observations fail with
    /// [`Failure::Cancelled`](crate::Failure::Cancelled).
    pub fn forget_peer(&mut self, peer: SocketAddr, now: Duration) {
        let _ = (peer, now);
    }

    /// Returns the next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// Returns the next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout); `None` when nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// Returns the counters.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }
}
