//! A device on a socket of its own, which does what it is told.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lwm2m::client::{Client, ClientConfig, ObjectTree};
use lwm2m::{Definitions, Operations, Path, Value};

/// Runs until it is dropped; then it falls silent.
pub(crate) struct Device {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Device {
    pub(crate) fn start(name: &str, server: SocketAddr) -> Self {
        let config = ClientConfig {
            lifetime_s: 300,
            ..ClientConfig::new(name, server, Arc::new(Definitions::core()))
        };
        let client = Client::new(config, objects(), None, 1).expect("a good name");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || live(client, &stopped));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn objects() -> ObjectTree {
    let mut objects = ObjectTree::new();
    let text = |text: &str| Value::String(text.to_owned());
    for (resource, value) in [
        (0, text("ACME")),
        (1, text("WS-200")),
        (3, text("1.0.0")),
        (9, Value::Integer(57)),
        (13, Value::Time(1_795_338_000)),
    ] {
        objects.single(Path::resource(3, 0, resource), Operations::Read, value);
    }
    objects.executable(Path::resource(3, 0, 4));
    objects
}

fn live(mut client: Client, stop: &AtomicBool) {
    let started = Instant::now();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a socket");
    let mut buffer = [0; 2_048];
    client.start(started.elapsed());
    while !stop.load(Ordering::Relaxed) {
        // Silence is no error: the loop comes around.
        if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            client.handle_datagram(peer, &buffer[..length], started.elapsed());
        }
        client.handle_timeout(started.elapsed());
        while client.poll_event().is_some() {}
        while let Some(transmit) = client.poll_transmit() {
            socket.send_to(&transmit.datagram, transmit.peer).expect("loopback");
        }
    }
}
