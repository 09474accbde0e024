use std::time::Duration;

/// Holds the settings and limits of an [`Endpoint`](crate::Endpoint).
///
/// The defaults follow RFC 7252 section 4.8 and suit a server of 100,000 devices; the memory they
/// allow at worst is stated with each limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Wait before the first retransmission (ACK_TIMEOUT). Default 2 s. A shorter one burdens slow
    /// networks with needless copies, a longer one delays the notice of a loss.
    pub ack_timeout: Duration,
    /// Upper end of the random factor on `ack_timeout`, in percent (ACK_RANDOM_FACTOR); at least
    /// 100. Default 150. It keeps devices that start together from repeating together.
    pub ack_random_percent: u32,
    /// Retransmissions of a confirmable message (MAX_RETRANSMIT); at most 20. Default 4, with
    /// which a peer is given up after 62 to 93 s.
    pub retransmissions_max: u32,
    /// Requests on their way to one peer at the same time (NSTART). Default 1; small devices
    /// seldom handle more. Separate responses and notifications do not wait for it, since a peer
    /// that waits for one might never answer our request otherwise.
    pub nstart: usize,
    /// Time the application has to answer a confirmable request before an empty acknowledgement
    /// goes out and the answer costs two more datagrams. Default 1 s.
    pub processing_delay: Duration,
    /// Wait for a response after its request was acknowledged, or sent non-confirmable. Default
    /// 60 s: a device may write flash before it answers.
    pub response_timeout: Duration,
    /// Time after which a request the application never answered is forgotten. Default 120 s.
    pub exchange_age_max: Duration,
    /// Size of blocks, `16 << exponent` bytes; 0 to 6. Default 6: 1,024 bytes.
    pub block_size_exponent: u8,
    /// Bytes of the body of one response. Default 1 MiB.
    pub body_bytes_max: usize,
    /// Bytes of response bodies being assembled for all peers together. Default 256 MiB.
    pub block2_bytes_total_max: usize,
    /// Bytes of request bodies being assembled for one peer. Default 256 KiB.
    pub block1_bytes_per_peer_max: usize,
    /// Bytes of request bodies being assembled for all peers together. Default 64 MiB.
    pub block1_bytes_total_max: usize,
    /// Request bodies being assembled for one peer at the same time; the oldest gives way.
    /// Default 2.
    pub block1_transfers_per_peer_max: usize,
    /// Wait for the next block of a request body before the blocks received are dropped. Default
    /// 93 s (MAX_TRANSMIT_WAIT), after which the sender has given up.
    pub block1_age_max: Duration,
    /// Options of one received message. Default 64.
    pub options_max: usize,
    /// Bytes of one received datagram; longer ones are dropped. Default 4,096.
    pub datagram_bytes_max: usize,
    /// Peers remembered at the same time; the one idle for longest gives way. Default 400,000, at
    /// about half a kilobyte each.
    pub peers_max: usize,
    /// Time after which an idle peer is forgotten. Default 247 s (EXCHANGE_LIFETIME), after which
    /// none of its messages can be a duplicate.
    pub peer_idle_max: Duration,
    /// Requests that wait for their turn at one peer. Default 64.
    pub queue_per_peer_max: usize,
    /// Received requests of one peer the application has not answered yet; more are answered 5.03.
    /// Default 16.
    pub exchanges_per_peer_max: usize,
    /// Observations kept of one peer. Default 64.
    pub observations_per_peer_max: usize,
    /// Observations kept of all peers together. Default 1,000,000, at about 400 bytes each.
    pub observations_max: usize,
    /// Message ids remembered of one peer to recognise duplicates. Default 4; this many requests
    /// of one peer may overtake each other without one being handled twice.
    pub duplicates_per_peer_max: usize,
    /// Bytes of answers kept of one peer to repeat them to duplicates. Default 2,304: two full
    /// blocks. A request whose answer is no longer kept is handled again.
    pub duplicate_bytes_per_peer_max: usize,
    /// Bytes of answers kept for all peers together. Default 64 MiB; beyond it only answers of at
    /// most 64 bytes are kept.
    pub duplicate_bytes_total_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_percent: 150,
            retransmissions_max: 4,
            nstart: 1,
            processing_delay: Duration::from_secs(1),
            response_timeout: Duration::from_secs(60),
            exchange_age_max: Duration::from_secs(120),
            block_size_exponent: 6,
            body_bytes_max: 1 << 20,
            block2_bytes_total_max: 256 << 20,
            block1_bytes_per_peer_max: 256 << 10,
            block1_bytes_total_max: 64 << 20,
            block1_transfers_per_peer_max: 2,
            block1_age_max: Duration::from_secs(93),
            options_max: 64,
            datagram_bytes_max: 4096,
            peers_max: 400_000,
            peer_idle_max: Duration::from_secs(247),
            queue_per_peer_max: 64,
            exchanges_per_peer_max: 16,
            observations_per_peer_max: 64,
            observations_max: 1_000_000,
            duplicates_per_peer_max: 4,
            duplicate_bytes_per_peer_max: 2304,
            duplicate_bytes_total_max: 64 << 20,
        }
    }
}
