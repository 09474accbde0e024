//! A well-behaved device on a socket of its own.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lwm2m::client::{Client, ClientConfig, Event, ObjectTree};
use lwm2m::{Definitions, Operations, Path, Value};

/// What a device does all day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It registers once and renews its registration.
    Stays,
    /// It leaves and registers again.
    ComesAndGoes,
}

/// What a device says about its server in the end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Testimony {
    pub(crate) registered: u64,
    pub(crate) updated: u64,
    pub(crate) read: u64,
    /// Refusals, silence and lost registrations.
    pub(crate) failures: u64,
}

pub(crate) struct Device {
    client: Client,
    socket: UdpSocket,
    started: Instant,
    testimony: Arc<Mutex<Testimony>>,
}

impl Device {
    /// Starts it on a thread of its own; it goes on until `stop`. What it has to say so far can be
    /// looked at any time.
    pub(crate) fn run(
        name: &str,
        habit: Habit,
        server: SocketAddr,
        stop: Arc<AtomicBool>,
    ) -> (JoinHandle<()>, Arc<Mutex<Testimony>>) {
        let config = ClientConfig {
            lifetime_s: 300,
            ..ClientConfig::new(name, server, Arc::new(Definitions::core()))
        };
        let mut objects = ObjectTree::new();
        for (path, value) in [
            (Path::resource(3, 0, 0), "ACME"),
            (Path::resource(3, 0, 1), "WS-200"),
            (Path::resource(3, 0, 3), "1.0.0"),
        ] {
            objects.single(path, Operations::Read, Value::String(value.to_owned()));
        }
        let client = Client::new(config, objects, None, 1).expect("a good name");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
        let testimony = Arc::new(Mutex::new(Testimony::default()));
        let said = Arc::clone(&testimony);
        let device = Self { client, socket, started: Instant::now(), testimony };
        (std::thread::spawn(move || device.live(habit, &stop)), said)
    }

    fn live(mut self, habit: Habit, stop: &AtomicBool) {
        let mut buffer = [0; 2_048];
        let mut next = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, peer)) => {
                    let now = self.started.elapsed();
                    self.client.handle_datagram(peer, &buffer[..length], now);
                }
                Err(error) => {
                    let quiet = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    assert!(quiet, "{error}");
                }
            }
            let now = self.started.elapsed();
            self.client.handle_timeout(now);
            if now >= next {
                next = now + Duration::from_millis(200);
                match (habit, self.client.is_registered()) {
                    (_, false) => self.client.start(now),
                    (Habit::Stays, true) => self.client.update_registration(now),
                    (Habit::ComesAndGoes, true) => self.client.stop(now),
                }
            }
            self.hand_out();
        }
    }

    fn hand_out(&mut self) {
        while let Some(event) = self.client.poll_event() {
            let mut testimony = self.testimony.lock().expect("nobody panics with it");
            match event {
                Event::Registered { .. } => testimony.registered += 1,
                Event::Updated => testimony.updated += 1,
                Event::Read { .. } => testimony.read += 1,
                Event::RegistrationRefused { .. }
                | Event::RegistrationFailed { .. }
                | Event::RegistrationLost => testimony.failures += 1,
                _ => {}
            }
        }
        while let Some(transmit) = self.client.poll_transmit() {
            self.socket.send_to(&transmit.datagram, transmit.peer).expect("loopback");
        }
    }
}
