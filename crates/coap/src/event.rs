use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::exchange::{Request, Response};
use crate::message::Token;
use crate::option::OptionNumber;

/// Names a request this endpoint sends, for as long as the endpoint lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// Names a request this endpoint received and the application has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(crate) u64);

/// Holds a datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub peer: SocketAddr,
    /// Its content.
    pub datagram: Bytes,
}

/// Tells the application what happened.
///
/// A request ends with exactly one [`Event::Response`] or [`Event::Failed`], unless it was
/// cancelled. One that asked to observe and was accepted lives on after its response: see
/// [`Event::Notification`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer asks; answer with [`Endpoint::respond`](crate::Endpoint::respond).
    ///
    /// The body is complete: the blocks of RFC 7959 are put together before. A Block2 option stays
    /// in the request, but the application need not look at it.
    Request {
        /// Name of the request.
        exchange: ExchangeId,
        /// Who asks.
        peer: SocketAddr,
        /// What is asked.
        request: Request,
        /// Token of the request; names the observation when it asks for one.
        token: Token,
    },
    /// A peer answered, with whatever code. The body is complete.
    Response {
        /// Name of the request.
        id: RequestId,
        /// Who answered.
        peer: SocketAddr,
        /// What it answered.
        response: Response,
        /// Time from the first transmission of the request, or of its first block, to the answer
        /// to that message.
        round_trip: Duration,
    },
    /// An observed resource has a new state (RFC 7641 section 3.4). The body is complete.
    ///
    /// When the response has an error code or no Observe option the peer ended the observation,
    /// and `id` is forgotten.
    Notification {
        /// Name of the request that started the observation.
        id: RequestId,
        /// Who notifies.
        peer: SocketAddr,
        /// New state.
        response: Response,
        /// Sequence number, 24 bits; 0 when the peer ended the observation.
        sequence: u32,
    },
    /// A block of a long body arrived or was acknowledged.
    Progress {
        /// Name of the request.
        id: RequestId,
        /// Peer of the transfer.
        peer: SocketAddr,
        /// Bytes of the body transferred so far.
        bytes: usize,
    },
    /// A request or an observation ended without a response.
    Failed {
        /// Name of the request.
        id: RequestId,
        /// Peer that should have answered.
        peer: SocketAddr,
        /// Why.
        failure: Failure,
    },
    /// A client no longer wants or hears notifications of this endpoint: it reset one or
    /// acknowledged none (RFC 7641 section 4.5).
    ObserverLost {
        /// Client.
        peer: SocketAddr,
        /// Token of its observation.
        token: Token,
    },
}

/// Says why a request ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Failure {
    /// No transmission was acknowledged: the peer is away, or the network lost all of them.
    #[error("the peer did not acknowledge the request; it may be offline or asleep")]
    Timeout,
    /// The peer answered with a reset: it does not understand the message or lost its state.
    #[error("the peer reset the exchange; it may have restarted, so wait for its registration")]
    Reset,
    /// This side dropped the peer or the request.
    #[error("the request was cancelled on this side")]
    Cancelled,
    /// The peer acknowledged the request and then stayed silent beyond the configured wait.
    #[error("the peer acknowledged the request but sent no response in time; try again later")]
    NoResponse,
    /// The peer broke the rules of block-wise transfer.
    #[error("the block-wise transfer failed: {0}")]
    Block(BlockFailure),
    /// The body of the answer is longer than allowed.
    #[error("the answer is longer than the limit; raise body_bytes_max to accept it")]
    TooLarge,
    /// The response carries a critical option this endpoint does not know
    /// (RFC 7252 section 5.4.1).
    #[error("the response needs {0}, which is not supported")]
    BadOption(OptionNumber),
}

/// Says how a peer broke the rules of block-wise transfer (RFC 7959).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum BlockFailure {
    /// A Block option is too long or has the reserved size 7.
    #[error("the peer sent an invalid Block option")]
    Malformed,
    /// A block came that was not asked for.
    #[error("the peer sent another block than the one asked for")]
    Number,
    /// A block that is not the last is shorter or longer than its size says.
    #[error("the peer sent a block whose length contradicts its size")]
    Length,
    /// The resource changed between two blocks; asking again starts over.
    #[error("the resource changed during the transfer; repeat the request")]
    Changed,
    /// The peer answered a block as if it were the whole body.
    #[error("the peer does not support block-wise transfer here")]
    Unsupported,
}

/// Says why a request was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum RequestRefused {
    /// Too many requests already wait for this peer.
    #[error("{limit} requests already wait for this peer; let some finish first")]
    QueueFull {
        /// The limit, `queue_per_peer_max`.
        limit: usize,
    },
    /// Every remembered peer is busy.
    #[error("{limit} peers are busy at once; raise peers_max or let some finish first")]
    PeersFull {
        /// The limit, `peers_max`.
        limit: usize,
    },
    /// Too many observations are kept, of this peer or in all.
    #[error("{limit} observations are kept already; cancel some first or raise the limit")]
    ObservationsFull {
        /// The limit reached, `observations_per_peer_max` or `observations_max`.
        limit: usize,
    },
    /// The code is not a method.
    #[error("{0} is not a method; use GET, POST, PUT, DELETE, FETCH, PATCH or iPATCH")]
    NotAMethod(crate::Code),
    /// The body needs more than 2^20 blocks.
    #[error("the body is too long for 1,048,576 blocks of {block_bytes} bytes; use larger blocks")]
    TooLarge {
        /// Size of the blocks.
        block_bytes: usize,
    },
    /// The request was forgotten or is not an observation.
    #[error("the observation is no longer known; observe the resource again if it is still needed")]
    UnknownObservation,
}

/// Says why a notification was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum NotifyRefused {
    /// Every remembered peer is busy.
    #[error("{limit} peers are busy at once; raise peers_max or let some finish first")]
    PeersFull {
        /// The limit, `peers_max`.
        limit: usize,
    },
    /// Too many confirmable messages to this peer are unacknowledged.
    #[error("{limit} messages to this observer are unacknowledged; notify again later")]
    Busy {
        /// The limit, `queue_per_peer_max`.
        limit: usize,
    },
}

/// Names a client that observes a resource of this endpoint; the application keeps it
/// (RFC 7641 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observer {
    /// Client to notify.
    pub peer: SocketAddr,
    /// Token of the request that started the observation.
    pub token: Token,
    /// Sequence number of the next notification, 24 bits.
    pub sequence: u32,
}

impl Observer {
    /// Builds an observer from a request with Observe 0. The response to that request takes
    /// sequence number 1 ([`Response::observe`]), notifications go on from 2.
    #[must_use]
    pub const fn new(peer: SocketAddr, token: Token) -> Self {
        Self { peer, token, sequence: 2 }
    }
}
