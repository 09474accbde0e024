use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::random::Random;
use super::timers::TimerKey;
use crate::{Code, ExchangeId, Options, RequestId, Token};

/// Holds what is remembered of a peer; below 500 bytes when idle, apart from repeated answers.
#[derive(Debug)]
pub(super) struct Peer {
    /// Tells this peer from an earlier one of the same address.
    serial: u64,
    /// When a message came or went last.
    pub(super) heard: Duration,
    next_message_id: u16,
    /// Requests on their way, at most NSTART (RFC 7252 section 4.7).
    pub(super) active: u16,
    /// Requests that wait for their turn.
    pub(super) queue: VecDeque<RequestId>,
    /// All requests and observations, those in the queue too.
    pub(super) calls: Vec<RequestId>,
    /// Received requests the application has to answer.
    pub(super) exchanges: Vec<ExchangeId>,
    /// Confirmable messages without acknowledgement.
    pub(super) in_flight: Vec<InFlight>,
    /// Last messages received, oldest first.
    pub(super) recent: VecDeque<Recent>,
    /// Bodies being received, the one idle for longest first.
    pub(super) uploads: Vec<Upload>,
    /// Last non-confirmable notifications, so that a reset finds its observation.
    pub(super) notifications: VecDeque<(u16, Token)>,
}

impl Peer {
    fn new(serial: u64, now: Duration, random: &mut Random) -> Self {
        Self {
            serial,
            heard: now,
            next_message_id: random.next() as u16,
            active: 0,
            queue: VecDeque::new(),
            calls: Vec::new(),
            exchanges: Vec::new(),
            in_flight: Vec::new(),
            recent: VecDeque::new(),
            uploads: Vec::new(),
            notifications: VecDeque::new(),
        }
    }

    /// Tells whether forgetting the peer loses nothing but the recognition of duplicates.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.exchanges.is_empty()
            && self.in_flight.is_empty()
            && self.uploads.is_empty()
    }

    pub(super) fn next_message_id(&mut self) -> u16 {
        loop {
            self.next_message_id = self.next_message_id.wrapping_add(1);
            let id = self.next_message_id;
            if self.in_flight.iter().all(|message| message.message_id != id) {
                return id;
            }
        }
    }

    pub(super) fn in_flight(&mut self, message_id: u16) -> Option<&mut InFlight> {
        self.in_flight.iter_mut().find(|message| message.message_id == message_id)
    }

    pub(super) fn take_in_flight(&mut self, message_id: u16) -> Option<InFlight> {
        let at = self.in_flight.iter().position(|message| message.message_id == message_id)?;
        Some(self.in_flight.remove(at))
    }

    pub(super) fn recent(&mut self, key: RecentKey) -> Option<&mut Recent> {
        self.recent.iter_mut().find(|recent| recent.key == key)
    }

    /// Returns the bytes held to repeat answers.
    pub(super) fn duplicate_bytes(&self) -> usize {
        self.recent.iter().map(|recent| recent.answer.bytes()).sum()
    }

    /// Returns the bytes of bodies being received.
    pub(super) fn upload_bytes(&self) -> usize {
        self.uploads.iter().map(|upload| upload.body.len()).sum()
    }
}

/// Holds a confirmable message until it is acknowledged (RFC 7252 section 4.2).
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) message_id: u16,
    pub(super) owner: Owner,
    pub(super) datagram: Bytes,
    pub(super) retransmissions: u32,
    pub(super) timeout: Duration,
    pub(super) timer: TimerKey,
    /// A newer notification that takes this one's place (RFC 7641 section 4.5.2).
    pub(super) successor: Option<(u16, Bytes)>,
}

/// Says what a confirmable message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Request(RequestId),
    SeparateResponse,
    Notification(Token),
}

/// Tells a received message from others. The message id alone is not enough: a device that
/// restarts may begin with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecentKey {
    message_id: u16,
    digest: u32,
}

impl RecentKey {
    pub(super) fn new(message_id: u16, datagram: &[u8]) -> Self {
        // Copies of a message are equal in every byte; its token and options come first.
        let start = &datagram[..datagram.len().min(64)];
        let mut digest = datagram.len() as u64;
        for chunk in start.chunks(8) {
            let word = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
            digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        Self { message_id, digest: (digest >> 16) as u32 }
    }
}

/// Remembers a received message and what it was answered (RFC 7252 section 4.5).
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) key: RecentKey,
    pub(super) answer: Answer,
}

/// Says how a copy of a message is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not at all: non-confirmable, or the application is about to answer.
    Nothing,
    /// By an empty acknowledgement.
    Acknowledged,
    /// By the same datagram.
    Sent(Bytes),
}

impl Answer {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Nothing | Self::Acknowledged => 0,
            Self::Sent(datagram) => datagram.len(),
        }
    }
}

/// Holds a request body being received block by block (RFC 7959 section 2.5).
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) serial: u64,
    /// Message with the first block.
    pub(super) first: RecentKey,
    pub(super) method: Code,
    /// Options without those of the transfer: they tell it from other transfers.
    pub(super) options: Options,
    pub(super) body: BytesMut,
    pub(super) timer: TimerKey,
}

/// Holds the peers, never more than a limit.
///
/// Idle peers leave in the order of a clock with second chance: those heard of since they were
/// looked at last go back to the end. That takes constant time per message and approximates
/// least-recently-used order.
#[derive(Debug, Default)]
pub(super) struct Peers {
    table: HashMap<SocketAddr, Box<Peer>>,
    clock: VecDeque<Tick>,
    serial: u64,
}

#[derive(Debug)]
struct Tick {
    address: SocketAddr,
    serial: u64,
    looked_at: Duration,
}

impl Peers {
    pub(super) fn find(&mut self, address: SocketAddr) -> Option<&mut Peer> {
        self.table.get_mut(&address).map(Box::as_mut)
    }

    /// Adds a peer that is not there, in a table with room.
    pub(super) fn add(&mut self, address: SocketAddr, now: Duration, random: &mut Random) {
        self.serial += 1;
        let serial = self.serial;
        self.table.insert(address, Box::new(Peer::new(serial, now, random)));
        // Peers forgotten on demand leave their tick behind.
        if self.clock.len() > 2 * self.table.len() + TICKS_SPARE {
            let table = &self.table;
            self.clock.retain(|tick| {
                table.get(&tick.address).is_some_and(|peer| peer.serial == tick.serial)
            });
        }
        self.clock.push_back(Tick { address, serial, looked_at: now });
    }

    pub(super) fn remove(&mut self, address: SocketAddr) -> Option<Box<Peer>> {
        self.table.remove(&address)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Forgets the peer idle for longest and returns it; `None` when none is found among the next
    /// few of the clock.
    pub(super) fn evict(&mut self) -> Option<Box<Peer>> {
        for _ in 0..EVICTION_STEPS_MAX {
            let tick = self.clock.pop_front()?;
            let Some(peer) = self.peer_of(&tick) else { continue };
            if peer.is_idle() && peer.heard <= tick.looked_at {
                return self.table.remove(&tick.address);
            }
            let looked_at = peer.heard;
            self.clock.push_back(Tick { looked_at, ..tick });
        }
        None
    }

    /// Returns when the next peer may have been idle for too long.
    pub(super) fn deadline(&self, idle_max: Duration) -> Option<Duration> {
        self.clock.front().map(|tick| tick.looked_at + idle_max)
    }

    /// Forgets a peer idle for too long, or only its recent messages when it has observations;
    /// returns the bytes of repeated answers dropped, or `None` when no peer is due.
    pub(super) fn expire(&mut self, idle_max: Duration, now: Duration) -> Option<usize> {
        if self.deadline(idle_max)? > now {
            return None;
        }
        let tick = self.clock.pop_front()?;
        let Some(peer) = self.peer_of(&tick) else { return Some(0) };
        if peer.heard + idle_max > now {
            let looked_at = peer.heard;
            self.clock.push_back(Tick { looked_at, ..tick });
            return Some(0);
        }
        let dropped = peer.duplicate_bytes();
        if peer.is_idle() {
            self.table.remove(&tick.address);
        } else {
            peer.recent = VecDeque::new();
            peer.notifications = VecDeque::new();
            self.clock.push_back(Tick { looked_at: now, ..tick });
        }
        Some(dropped)
    }

    fn peer_of(&mut self, tick: &Tick) -> Option<&mut Peer> {
        let peer = self.table.get_mut(&tick.address)?;
        (peer.serial == tick.serial).then_some(peer)
    }
}

/// Peers looked at to find one to forget: bounds the work one datagram can cause when most peers
/// are busy.
const EVICTION_STEPS_MAX: usize = 64;

/// Ticks of forgotten peers that are tolerated, so that small tables are not swept all the time.
const TICKS_SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_peer_is_small() {
        let recent = 4 * size_of::<Recent>();
        let index = size_of::<(SocketAddr, Box<Peer>)>() + size_of::<Tick>();
        assert!(size_of::<Peer>() + recent + index < 500 + 64, "{}", size_of::<Peer>());
        assert!(size_of::<Peer>() + recent < 500, "{} + {recent}", size_of::<Peer>());
    }
}

/// Sums over all peers, for the checks of tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) duplicate_bytes: usize,
    pub(super) upload_bytes: usize,
    pub(super) upload_bytes_most: usize,
    pub(super) uploads: usize,
    pub(super) uploads_most: usize,
    pub(super) exchanges: usize,
    pub(super) exchanges_most: usize,
    pub(super) calls: usize,
    pub(super) in_flight: usize,
    pub(super) recent_most: usize,
}

#[cfg(test)]
impl Peers {
    pub(super) fn clock_len(&self) -> usize {
        self.clock.len()
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for tick in &self.clock {
            let Some(peer) = self.table.get(&tick.address) else { continue };
            if peer.serial != tick.serial {
                continue;
            }
            totals.duplicate_bytes += peer.duplicate_bytes();
            totals.upload_bytes += peer.upload_bytes();
            totals.upload_bytes_most = totals.upload_bytes_most.max(peer.upload_bytes());
            totals.uploads += peer.uploads.len();
            totals.uploads_most = totals.uploads_most.max(peer.uploads.len());
            totals.exchanges += peer.exchanges.len();
            totals.exchanges_most = totals.exchanges_most.max(peer.exchanges.len());
            totals.calls += peer.calls.len();
            totals.in_flight += peer.in_flight.len();
            totals.recent_most = totals.recent_most.max(peer.recent.len());
        }
        totals
    }
}
