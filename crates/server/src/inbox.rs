//! Datagrams between the socket and the driver: every peer gets its turn.
//!
//! Each peer fills a short queue of its own, and loses only its own datagrams when it is ahead of
//! the driver.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};

/// Datagrams waiting of one peer. A device has one or two on their way at a time.
const PER_PEER_MAX: usize = 64;
/// Datagrams waiting of all peers: a storm of registrations waits here instead of being lost.
const DATAGRAMS_MAX: usize = 262_144;
/// Bytes of them all.
const BYTES_MAX: usize = 64 << 20;
/// Datagrams taken from one socket before another has its turn.
const PER_TURN: usize = 64;
/// Longest datagram looked at. CoAP messages fit in 1,280 bytes; a longer one is cut and refused.
const DATAGRAM_BYTES_MAX: usize = 2_048;

/// A datagram and its sender.
pub(crate) type Datagram = (SocketAddr, Box<[u8]>);

/// Queues of datagrams, one for each peer that has any.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queues: Mutex<Queues>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    waiting: HashMap<SocketAddr, VecDeque<Box<[u8]>>>,
    /// Every peer with datagrams, once, in the order of their turns.
    turns: VecDeque<SocketAddr>,
    datagrams: usize,
    bytes: usize,
}

impl Inbox {
    /// Moves datagrams from the socket to the inbox until `stop` turns true.
    pub(crate) async fn fill(
        inbox: Arc<Self>,
        socket: Arc<UdpSocket>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            tokio::select! {
                readable = socket.readable() => {
                    if readable.is_ok() {
                        inbox.receive(&socket, &mut buffer);
                    }
                    tokio::task::yield_now().await;
                }
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits until there is a datagram.
    pub(crate) async fn ready(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.lock().turns.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Takes datagrams, one of each peer in turn; at most `limit`.
    pub(crate) fn take(&self, limit: usize) -> Vec<Datagram> {
        let mut queues = self.lock();
        let limit = limit.min(queues.datagrams);
        (0..limit).map_while(|_| queues.pop()).collect()
    }

    fn receive(&self, socket: &UdpSocket, buffer: &mut [u8]) {
        for _ in 0..PER_TURN {
            match socket.try_recv_from(buffer) {
                Ok((length, peer)) => {
                    if self.lock().push(peer, &buffer[..length]) {
                        self.filled.notify_one();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An earlier datagram of ours met a closed port; that peer's own affair.
                Err(_) => {}
            }
        }
    }

    /// The queues are whole after every call, so a panic elsewhere leaves them usable.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    /// Takes a datagram in, unless there is no room. Returns whether the driver may be waiting.
    fn push(&mut self, peer: SocketAddr, datagram: &[u8]) -> bool {
        if self.datagrams >= DATAGRAMS_MAX || self.bytes + datagram.len() > BYTES_MAX {
            return false;
        }
        let queue = self.waiting.entry(peer).or_default();
        if queue.len() >= PER_PEER_MAX {
            return false;
        }
        if queue.is_empty() {
            self.turns.push_back(peer);
        }
        queue.push_back(datagram.into());
        self.datagrams += 1;
        self.bytes += datagram.len();
        self.datagrams == 1
    }

    fn pop(&mut self) -> Option<Datagram> {
        let peer = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&peer)?;
        let datagram = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        self.datagrams -= 1;
        self.bytes -= datagram.len();
        Some((peer, datagram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn peers_take_turns_and_keep_their_own_order() {
        let mut queues = Queues::default();
        for (port, byte) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)] {
            queues.push(peer(port), &[byte]);
        }
        let order: Vec<u8> =
            std::iter::from_fn(|| queues.pop()).map(|(_, datagram)| datagram[0]).collect();
        assert_eq!(order, [10, 20, 30, 11, 21, 12]);
        assert_eq!((queues.datagrams, queues.bytes, queues.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn a_flood_costs_only_its_sender() {
        let mut queues = Queues::default();
        assert!(queues.push(peer(1), &[0; 100]), "the driver may be waiting");
        for _ in 0..100_000 {
            assert!(!queues.push(peer(1), &[0; 100]), "the driver is awake");
        }
        assert_eq!(queues.datagrams, PER_PEER_MAX);
        queues.push(peer(2), b"hello");
        queues.pop();
        assert_eq!(queues.pop(), Some((peer(2), b"hello".as_slice().into())));
    }

    #[test]
    fn all_together_have_a_limit() {
        let mut queues = Queues::default();
        let megabyte = vec![0; 1 << 20];
        for port in 1..=100 {
            queues.push(peer(port), &megabyte);
        }
        assert_eq!(queues.bytes, BYTES_MAX);
        queues.pop();
        queues.push(peer(200), &megabyte);
        assert_eq!(queues.bytes, BYTES_MAX);
    }
}
