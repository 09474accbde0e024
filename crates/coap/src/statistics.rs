/// Counts what an [`Endpoint`](crate::Endpoint) received, sent and dropped since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Datagrams received, whatever they held.
    pub received: u64,
    /// Datagrams handed out to be sent, retransmissions included.
    pub sent: u64,
    /// Datagrams that are no CoAP message, or longer than the limit.
    pub malformed: u64,
    /// Messages received again: answered as before, or dropped.
    pub duplicates: u64,
    /// Confirmable messages sent again.
    pub retransmissions: u64,
    /// Resets sent.
    pub resets_sent: u64,
    /// Resets received that ended something.
    pub resets_received: u64,
    /// Responses, acknowledgements and resets that belong to nothing this endpoint sent.
    pub unmatched: u64,
    /// Responses whose token was given to another peer.
    pub wrong_peer: u64,
    /// Requests answered with an error by the endpoint itself: unknown critical option, unknown
    /// method, missing block.
    pub refused: u64,
    /// Requests dropped or answered 5.03 or 4.13 because a limit was reached.
    pub over_limit: u64,
    /// Received requests handed to the application.
    pub requests_received: u64,
    /// Requests of the application that were sent for the first time.
    pub requests_sent: u64,
    /// Requests that ended without a response.
    pub requests_failed: u64,
    /// Notifications handed to the application.
    pub notifications_received: u64,
    /// Notifications older than one received before (RFC 7641 section 3.4).
    pub notifications_stale: u64,
    /// Notifications whose further blocks could not be fetched; a newer one is awaited.
    pub notifications_incomplete: u64,
    /// Requests the application never answered in time.
    pub exchanges_expired: u64,
    /// Responses of the application that came after their request was forgotten.
    pub responses_late: u64,
    /// Separate responses the peer never acknowledged.
    pub responses_unacknowledged: u64,
    /// Request bodies dropped because the next block did not come in time.
    pub transfers_expired: u64,
    /// Peers forgotten before their time to make room.
    pub peers_evicted: u64,
}
