//! The CoAP port is open to anyone: arbitrary and mutated datagrams arrive at full speed while
//! well-behaved devices register, renew, leave and are read.
//!
//! Takes some seconds; `HOSTILE_SECONDS=60` makes it long. `HOSTILE_SEED` repeats the bytes of
//! another run.

#![expect(clippy::print_stdout, reason = "the figures of a run are of interest when it passes too")]

#[path = "hostile/datagrams.rs"]
mod datagrams;
#[path = "hostile/device.rs"]
mod device;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fleet::{Answer, Ask};
use lwm2m::Path;
use model::EndpointName;
use server::{Handle, Server, Settings};

use crate::datagrams::{Datagrams, Random};
use crate::device::{Device, Habit, Testimony};

/// Sockets the flood comes from.
const SOCKETS: usize = 4;
/// Registrations the server takes; the flood uses them up, so that its memory has a limit.
const REGISTRATIONS_MAX: usize = 2_000;
/// Memory the server may take more of while it is flooded, in KiB. Full tables and the buffers of
/// the store and the sockets fit; anything that grows with every datagram does not.
const GROWTH_KIB_MAX: u64 = 96 * 1024;
/// When devices that are not served are given up on.
const GIVE_UP: Duration = Duration::from_secs(120);
/// What may still be added in the second half, when every table is full.
const LATE_GROWTH_KIB_MAX: u64 = 24 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_hostile_datagrams_harms_nobody() {
    let seconds = number("HOSTILE_SECONDS").unwrap_or(6).max(4);
    let seed = number("HOSTILE_SEED").unwrap_or(1);
    let data = Folder::new("hostile");
    let server = Server::start(settings(&data)).await.expect("the server starts");
    let coap = server.coap();

    let stop = Arc::new(AtomicBool::new(false));
    let devices = [("steady", Habit::Stays), ("restless", Habit::ComesAndGoes)]
        .map(|(name, habit)| Device::run(name, habit, coap, Arc::clone(&stop)));
    registered(server.handle(), "steady").await;
    let before_kib = memory_kib();

    let flood = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || flood(coap, seed, &stop))
    };
    let started = Instant::now();
    let half = Duration::from_secs(seconds) / 2;
    let (mut reads, mut half_kib) = (0, None);
    // A busy machine serves everyone more slowly, not less: the flood goes on until the devices got
    // what they are due, or are given up on.
    let due = || is_served(seconds, &look(&devices[0].1), &look(&devices[1].1));
    while started.elapsed() < half * 2 || (!due() && started.elapsed() < GIVE_UP) {
        read_model(server.handle(), "steady").await;
        reads += 1;
        if started.elapsed() >= half {
            half_kib.get_or_insert_with(memory_kib);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after_kib = memory_kib();
    stop.store(true, Ordering::Relaxed);
    let sent = flood.join().expect("the flood ends");
    let [steady, restless] = devices.map(|(device, testimony)| {
        device.join().expect("no device panics");
        look(&testimony)
    });
    let statistics = server
        .handle()
        .view(|engine, _| (*engine.coap_statistics(), *engine.statistics(), engine.fleet().len()))
        .await
        .expect("the driver lives");
    println!(
        "{sent} datagrams sent in {seconds} s; memory {before_kib} KiB, {half_kib:?} KiB half-way, \
         {after_kib} KiB; {reads} reads; {steady:?}; {restless:?}; {statistics:?}"
    );
    judge(seconds, &steady, &restless);
    let (messages, engine, known) = statistics;
    assert!(messages.received > 10_000, "too few datagrams arrived: {messages:?}");
    assert!(messages.malformed > 0 && messages.malformed < messages.received);
    assert!(messages.requests_received < messages.received);
    assert!(engine.registrations > 0 && engine.registrations_refused > 0, "{engine:?}");
    assert!(known < 50_000, "{known} devices are remembered");
    assert!(after_kib < before_kib + GROWTH_KIB_MAX, "memory grew without limit");
    if seconds >= 30 {
        let half_kib = half_kib.expect("looked at half-way");
        assert!(after_kib < half_kib + LATE_GROWTH_KIB_MAX, "memory goes on growing");
    }
    server.stop().await;
}

fn settings(data: &Folder) -> Settings {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        data: data.0.clone(),
        http: loopback,
        coap: loopback,
        registrations_max: REGISTRATIONS_MAX,
        ..Settings::default()
    }
}

/// Sends as fast as one thread can; returns how many datagrams.
fn flood(server: SocketAddr, seed: u64, stop: &AtomicBool) -> u64 {
    let sockets: Vec<UdpSocket> = (0..SOCKETS)
        .map(|_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            socket.connect(server).expect("loopback");
            socket.set_nonblocking(true).expect("a socket");
            socket
        })
        .collect();
    let mut datagrams = Datagrams::new(Random::new(seed));
    let (mut sent, mut answer) = (0, [0; 2_048]);
    while !stop.load(Ordering::Relaxed) {
        for socket in &sockets {
            for _ in 0..16 {
                sent += u64::from(socket.send(datagrams.next()).is_ok());
            }
            while socket.recv(&mut answer).is_ok() {}
        }
    }
    sent
}

async fn registered(handle: &Handle, name: &'static str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let endpoint = EndpointName::new(name).expect("a name");
        let identified = handle
            .view(move |engine, _| {
                let device = engine.device_named(&endpoint)?;
                engine.fleet().device(device).map(model::Device::is_identified)
            })
            .await
            .expect("the driver lives");
        if identified == Some(true) {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is not known after 10 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn read_model(handle: &Handle, name: &'static str) {
    let endpoint = EndpointName::new(name).expect("a name");
    let device = handle
        .view(move |engine, _| engine.device_named(&endpoint))
        .await
        .expect("the driver lives")
        .expect("the device is known");
    let ask = Ask::Read(Path::resource(3, 0, 1));
    let answer = handle.ask_device(device, ask, Duration::from_secs(20)).await;
    let Ok(Answer::Values(values)) = &answer else { panic!("a read failed: {answer:?}") };
    assert_eq!(values[0].value, lwm2m::Value::String("WS-200".to_owned()));
}

/// Nothing failed, and the devices were served all the time, not only at the beginning.
fn judge(seconds: u64, steady: &Testimony, restless: &Testimony) {
    for device in [steady, restless] {
        assert_eq!(device.failures, 0, "{device:?}");
    }
    assert_eq!(steady.registered, 1, "its registration held");
    assert!(is_served(seconds, steady, restless), "{steady:?} {restless:?}");
}

/// Whether the devices got one update a second, and one registration in two, of the time that the
/// flood is meant to last.
fn is_served(seconds: u64, steady: &Testimony, restless: &Testimony) -> bool {
    steady.updated >= seconds && restless.registered >= seconds / 2
}

fn look(testimony: &Mutex<Testimony>) -> Testimony {
    *testimony.lock().expect("nobody panics with it")
}

/// Resident memory of this process, in KiB (proc_pid_status(5)).
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number of KiB")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// A data folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
