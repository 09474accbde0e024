//! The message layer of RFC 7252 section 4: acknowledgement, retransmission, duplicates.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Endpoint;
use super::peer::{Answer, InFlight, Owner, Peer, Recent, RecentKey};
use super::timers::Timer;
use crate::message::encode_message;
use crate::{Code, Event, Failure, Kind, Options, Token, Transmit};

impl Endpoint {
    /// Finds a peer or takes it in; `None` when every remembered peer is busy.
    pub(super) fn enter_peer(&mut self, address: SocketAddr, now: Duration) -> Option<&mut Peer> {
        if self.peers.find(address).is_none() {
            if self.peers.len() >= self.config.peers_max {
                let evicted = self.peers.evict()?;
                self.duplicate_bytes -= evicted.duplicate_bytes();
                self.statistics.peers_evicted += 1;
            }
            self.peers.add(address, now, &mut self.random);
        }
        let peer = self.peers.find(address)?;
        peer.heard = now;
        Some(peer)
    }

    pub(super) fn send(&mut self, peer: SocketAddr, datagram: Bytes) {
        self.statistics.sent += 1;
        self.transmits.push_back(Transmit { peer, datagram });
    }

    pub(super) fn send_reset(&mut self, peer: SocketAddr, message_id: u16) {
        self.statistics.resets_sent += 1;
        self.send(peer, empty_datagram(Kind::Reset, message_id));
    }

    pub(super) fn send_empty_acknowledgement(&mut self, peer: SocketAddr, message_id: u16) {
        self.send(peer, empty_datagram(Kind::Acknowledgement, message_id));
    }

    /// Sends a confirmable message and keeps it until it is acknowledged (section 4.2).
    pub(super) fn send_confirmable(
        &mut self,
        address: SocketAddr,
        message_id: u16,
        owner: Owner,
        datagram: Bytes,
        now: Duration,
    ) {
        let spread = u64::from(self.config.ack_random_percent - 100);
        // Ten thousand steps of the random factor, so that a fleet spreads evenly.
        let factor = 10_000 + self.random.up_to(spread * 100) as u32;
        let timeout = self.config.ack_timeout * factor / 10_000;
        let retransmit = Timer::Retransmit { peer: address, message_id };
        let timer = self.timers.arm(now + timeout, retransmit);
        let message = InFlight {
            message_id,
            owner,
            datagram: datagram.clone(),
            retransmissions: 0,
            timeout,
            timer,
            successor: None,
        };
        if let Some(peer) = self.peers.find(address) {
            peer.heard = now;
            peer.in_flight.push(message);
        }
        self.send(address, datagram);
    }

    /// Stops the retransmission of a message.
    pub(super) fn take_in_flight(&mut self, peer: SocketAddr, message_id: u16) -> Option<InFlight> {
        let message = self.peers.find(peer)?.take_in_flight(message_id)?;
        self.timers.cancel(message.timer);
        Some(message)
    }

    /// Repeats a message whose time ran out, or gives it up (section 4.2).
    pub(super) fn retransmit(&mut self, address: SocketAddr, message_id: u16, now: Duration) {
        let Some(peer) = self.peers.find(address) else { return };
        let Some(mut message) = peer.take_in_flight(message_id) else { return };
        if message.retransmissions >= self.config.retransmissions_max {
            self.give_up(address, message.owner, now);
            return;
        }
        if let Some((message_id, datagram)) = message.successor.take() {
            message.message_id = message_id;
            message.datagram = datagram;
        }
        message.retransmissions += 1;
        message.timeout *= 2;
        let timer = Timer::Retransmit { peer: address, message_id: message.message_id };
        message.timer = self.timers.arm(now + message.timeout, timer);
        let datagram = message.datagram.clone();
        peer.in_flight.push(message);
        self.statistics.retransmissions += 1;
        self.send(address, datagram);
    }

    fn give_up(&mut self, peer: SocketAddr, owner: Owner, now: Duration) {
        match owner {
            Owner::Request(id) => self.fail(id, Failure::Timeout, now),
            Owner::SeparateResponse => self.statistics.responses_unacknowledged += 1,
            Owner::Notification(token) => {
                self.events.push_back(Event::ObserverLost { peer, token });
            }
        }
    }

    pub(super) fn receive_acknowledgement(
        &mut self,
        peer: SocketAddr,
        message_id: u16,
        now: Duration,
    ) {
        let Some(message) = self.take_in_flight(peer, message_id) else {
            self.statistics.unmatched += 1;
            return;
        };
        match message.owner {
            Owner::Request(id) => self.call_acknowledged(id, now),
            Owner::SeparateResponse => {}
            Owner::Notification(_) => {
                if let Some((message_id, datagram)) = message.successor {
                    self.send_confirmable(peer, message_id, message.owner, datagram, now);
                }
            }
        }
    }

    pub(super) fn receive_reset(&mut self, address: SocketAddr, message_id: u16, now: Duration) {
        if let Some(message) = self.take_in_flight(address, message_id) {
            self.statistics.resets_received += 1;
            match message.owner {
                Owner::Request(id) => self.fail(id, Failure::Reset, now),
                Owner::SeparateResponse => {}
                Owner::Notification(token) => {
                    self.events.push_back(Event::ObserverLost { peer: address, token });
                }
            }
            return;
        }
        if let Some(id) = self.non_confirmable_call(address, message_id) {
            self.statistics.resets_received += 1;
            self.fail(id, Failure::Reset, now);
            return;
        }
        let notification = self.peers.find(address).and_then(|peer| {
            let sent = &mut peer.notifications;
            let at = sent.iter().position(|(id, _)| *id == message_id)?;
            sent.remove(at)
        });
        match notification {
            Some((_, token)) => {
                self.statistics.resets_received += 1;
                self.events.push_back(Event::ObserverLost { peer: address, token });
            }
            None => self.statistics.unmatched += 1,
        }
    }

    /// Answers a copy of a message as the message was answered; tells whether it was a copy
    /// (section 4.5).
    pub(super) fn answer_duplicate(
        &mut self,
        address: SocketAddr,
        message_id: u16,
        key: RecentKey,
    ) -> bool {
        let Some(recent) = self.peers.find(address).and_then(|peer| peer.recent(key)) else {
            return false;
        };
        let answer = recent.answer.clone();
        self.statistics.duplicates += 1;
        match answer {
            Answer::Nothing => {}
            Answer::Acknowledged => self.send_empty_acknowledgement(address, message_id),
            Answer::Sent(datagram) => self.send(address, datagram),
        }
        true
    }

    /// Remembers a message, or how it was answered when it is remembered already.
    ///
    /// Bounded per peer and in total; what is forgotten early costs that a copy is handled again,
    /// which the requests of devices allow (they are idempotent by endpoint name).
    pub(super) fn remember(&mut self, address: SocketAddr, key: RecentKey, mut answer: Answer) {
        let Some(peer) = self.peers.find(address) else { return };
        let total = self.duplicate_bytes + answer.bytes();
        if answer.bytes() > ANSWER_ALWAYS_KEPT_BYTES
            && (answer.bytes() > self.config.duplicate_bytes_per_peer_max
                || total > self.config.duplicate_bytes_total_max)
        {
            forget(peer, key, &mut self.duplicate_bytes);
            return;
        }
        if let Some(recent) = peer.recent(key) {
            std::mem::swap(&mut recent.answer, &mut answer);
            self.duplicate_bytes = self.duplicate_bytes + recent.answer.bytes() - answer.bytes();
        } else {
            self.duplicate_bytes += answer.bytes();
            peer.recent.push_back(Recent { key, answer });
        }
        while peer.recent.len() > self.config.duplicates_per_peer_max
            || peer.duplicate_bytes() > self.config.duplicate_bytes_per_peer_max
        {
            let Some(oldest) = peer.recent.pop_front() else { break };
            self.duplicate_bytes -= oldest.answer.bytes();
        }
    }
}

/// Forgets one message of a peer.
fn forget(peer: &mut Peer, key: RecentKey, duplicate_bytes: &mut usize) {
    if let Some(at) = peer.recent.iter().position(|recent| recent.key == key)
        && let Some(recent) = peer.recent.remove(at)
    {
        *duplicate_bytes -= recent.answer.bytes();
    }
}

/// Encodes a message into a datagram of its own.
pub(super) fn encode(
    kind: Kind,
    code: Code,
    message_id: u16,
    token: Token,
    options: &Options,
    payload: &[u8],
) -> Bytes {
    let length = 4 + token.len() + options.encoded_bytes_max() + 1 + payload.len();
    let mut output = Vec::with_capacity(length);
    encode_message(kind, code, message_id, token, options, payload, &mut output);
    output.into()
}

fn empty_datagram(kind: Kind, message_id: u16) -> Bytes {
    encode(kind, Code::EMPTY, message_id, Token::EMPTY, &Options::new(), &[])
}

/// Answers up to this length are kept even when the total limit is reached: those to Register,
/// Update and Deregister are shorter.
const ANSWER_ALWAYS_KEPT_BYTES: usize = 64;
