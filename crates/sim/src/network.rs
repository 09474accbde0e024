//! A network in virtual time: latency, jitter, loss and duplication from a seed; no I/O.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use model::Rate;

use crate::random::Random;

/// The quality of one direction between the server and the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direction {
    /// Least time on the way.
    pub latency: Duration,
    /// Most that chance adds to it; datagrams overtake each other within it.
    pub jitter: Duration,
    /// Share of the datagrams that vanish.
    pub loss: Rate,
    /// Share of the datagrams that arrive twice, each with its own delay.
    pub duplication: Rate,
}

impl Direction {
    /// A direction that loses nothing and delays everything alike.
    #[must_use]
    pub const fn steady(latency: Duration) -> Self {
        Self { latency, jitter: Duration::ZERO, loss: Rate::ZERO, duplication: Rate::ZERO }
    }
}

/// Who listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// The server.
    Server,
    /// The device of that index.
    Device(usize),
}

/// A datagram that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who gets it.
    pub host: Host,
    /// The address it came from.
    pub from: SocketAddr,
    /// Its content.
    pub datagram: Bytes,
}

/// What happened to the datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Datagrams handed to the network.
    pub sent: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Datagrams that vanished on the way.
    pub lost: u64,
    /// Copies that were added.
    pub duplicated: u64,
    /// Datagrams that arrived where nobody listens any more.
    pub unreachable: u64,
}

/// The datagrams on their way between one server and its devices, and who listens where.
#[derive(Debug)]
pub struct Network {
    to_server: Direction,
    to_device: Direction,
    random: Random,
    hosts: BTreeMap<SocketAddr, Host>,
    // Ordered by arrival; the number keeps datagrams of the same instant in the order sent.
    on_the_way: BTreeMap<(Duration, u64), (SocketAddr, SocketAddr, Bytes)>,
    number: u64,
    traffic: Traffic,
}

impl Network {
    /// Creates a network where nobody listens yet.
    #[must_use]
    pub fn new(to_server: Direction, to_device: Direction, seed: u64) -> Self {
        Self {
            to_server,
            to_device,
            random: Random::of(seed, "network"),
            hosts: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            number: 0,
            traffic: Traffic::default(),
        }
    }

    /// Changes both directions from now on; datagrams on their way keep their delay.
    pub const fn change(&mut self, to_server: Direction, to_device: Direction) {
        self.to_server = to_server;
        self.to_device = to_device;
    }

    /// Lets `host` listen at an address.
    pub fn open(&mut self, address: SocketAddr, host: Host) {
        self.hosts.insert(address, host);
    }

    /// Ends the listening at an address; what arrives there afterwards is dropped.
    pub fn close(&mut self, address: SocketAddr) {
        self.hosts.remove(&address);
    }

    /// Sends a datagram. The sender's address tells the direction.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: Bytes, now: Duration) {
        self.traffic.sent += 1;
        self.traffic.bytes += datagram.len() as u64;
        let direction = match self.hosts.get(&from) {
            Some(Host::Server) => self.to_device,
            _ => self.to_server,
        };
        // All draws are made for every datagram, so that a changed rate shifts no later draw.
        let (lost, twice) =
            (self.random.chance(direction.loss), self.random.chance(direction.duplication));
        let delays = [(); 2]
            .map(|()| direction.latency + self.random.span(Duration::ZERO, direction.jitter));
        if lost {
            self.traffic.lost += 1;
            return;
        }
        self.traffic.duplicated += u64::from(twice);
        for delay in delays.into_iter().take(1 + usize::from(twice)) {
            self.number += 1;
            self.on_the_way.insert((now + delay, self.number), (from, to, datagram.clone()));
        }
    }

    /// Returns when the next datagram arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next datagram that has arrived by `now` where somebody listens.
    pub fn poll_delivery(&mut self, now: Duration) -> Option<Delivery> {
        loop {
            let next = self.on_the_way.first_entry().filter(|entry| entry.key().0 <= now)?;
            let (from, to, datagram) = next.remove();
            match self.hosts.get(&to) {
                Some(host) => return Some(Delivery { host: *host, from, datagram }),
                None => self.traffic.unreachable += 1,
            }
        }
    }

    /// Returns what happened so far.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn network(direction: Direction, seed: u64) -> Network {
        let mut network = Network::new(direction, Direction::steady(MILLISECOND), seed);
        network.open(address(1), Host::Server);
        network.open(address(2), Host::Device(0));
        network
    }

    /// Sends 1,000 numbered datagrams to the server, one a millisecond; returns their order.
    fn order(direction: Direction, seed: u64) -> Vec<u32> {
        let mut network = network(direction, seed);
        for number in 0..1_000_u32 {
            let datagram = Bytes::copy_from_slice(&number.to_be_bytes());
            network.send(address(2), address(1), datagram, number * MILLISECOND);
        }
        let mut order = Vec::new();
        while let Some(delivery) = network.poll_delivery(Duration::MAX) {
            order.push(u32::from_be_bytes(delivery.datagram[..].try_into().unwrap()));
        }
        order
    }

    #[test]
    fn a_steady_network_keeps_everything_in_order() {
        let all = (0..1_000).collect::<Vec<_>>();
        assert_eq!(order(Direction::steady(20 * MILLISECOND), 1), all);
    }

    #[test]
    fn loss_copies_and_reordering_come_from_the_seed() {
        let rough = Direction {
            jitter: 10 * MILLISECOND,
            loss: Rate::percent(10),
            duplication: Rate::percent(5),
            ..Direction::steady(MILLISECOND)
        };
        let first = order(rough, 1);
        assert_eq!(first, order(rough, 1));
        assert_ne!(first, order(rough, 2));
        assert!(!first.is_sorted());
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!((850..950).contains(&distinct.len()), "{}", distinct.len());
        assert!((20..80).contains(&(first.len() - distinct.len())));
    }

    #[test]
    fn nothing_arrives_early_or_where_nobody_listens() {
        let mut network = network(Direction::steady(5 * MILLISECOND), 1);
        network.send(address(2), address(1), Bytes::new(), Duration::ZERO);
        assert_eq!(network.poll_timeout(), Some(5 * MILLISECOND));
        assert_eq!(network.poll_delivery(4 * MILLISECOND), None);
        let delivery = network.poll_delivery(5 * MILLISECOND).unwrap();
        assert_eq!((delivery.host, delivery.from), (Host::Server, address(2)));
        network.send(address(1), address(2), Bytes::new(), Duration::ZERO);
        assert_eq!(network.poll_timeout(), Some(MILLISECOND), "the way back has its own delay");
        network.close(address(2));
        assert_eq!(network.poll_delivery(Duration::MAX), None);
        assert_eq!(network.traffic().unreachable, 1);
    }
}
