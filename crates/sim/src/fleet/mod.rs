//! A fleet of devices on real UDP sockets: the only module of this crate that does I/O.
//!
//! Works against any LwM2M server. Each device has a socket of its own and one task; the timers
//! of all of them are the runtime's single timer wheel, so idle devices cost nothing.

mod log;
mod memory;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::log::LogSender;
use self::memory::{FlashMemory, FlashSender};
use crate::device::{Action, LogEvent, Profile, SimulatedDevice, Surroundings};
use crate::random::Random;
use crate::scenario::{Radio, Scenario};

/// What fleet to run, and against which server.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// The server; see [`resolve`].
    pub server: SocketAddr,
    /// How many devices, at most [`DEVICES_MAX`]. Each needs a file descriptor, a UDP port of the
    /// local address and about 30 KiB of memory.
    pub devices: usize,
    /// Who they are and how good their radio is.
    pub scenario: Scenario,
    /// Decides everything chance has a part in.
    pub seed: u64,
    /// Local address of the devices' sockets; each takes a free port there.
    pub bind: IpAddr,
    /// Where the log goes.
    pub log: LogTarget,
    /// File that holds the devices' flash memory, so that a fleet that is stopped and started
    /// again has the versions it had. Without it every start is fresh from the factory.
    pub memory: Option<PathBuf>,
    /// Registration lifetime in seconds. Shorter ones cost an Update each half of it. That of
    /// sleeping devices is long enough for them to be renewed when they wake.
    pub lifetime_s: u32,
}

impl FleetOptions {
    /// A calm fleet on loopback without log and memory.
    #[must_use]
    pub const fn new(server: SocketAddr, devices: usize) -> Self {
        Self {
            server,
            devices,
            scenario: Scenario::Calm,
            seed: 1,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            log: LogTarget::Nowhere,
            memory: None,
            lifetime_s: 60,
        }
    }
}

/// Where the log of a fleet goes, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Nowhere,
    /// To a file, which is replaced.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

/// What a fleet did until it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetSummary {
    /// Devices in the fleet.
    pub devices: u64,
    /// Registrations the server accepted.
    pub registrations: u64,
    /// Images that arrived.
    pub downloads: u64,
    /// Restarts with another version.
    pub updated: u64,
    /// Restarts after an installation that did not work.
    pub failed: u64,
    /// Devices that never came back.
    pub bricked: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams the radio lost, both ways.
    pub lost: u64,
}

/// Why a fleet cannot run.
#[derive(Debug, Error)]
pub enum FleetError {
    /// The address of the server cannot be used.
    #[error("`{uri}` is not the address of a server: {cause}; write coap://HOST[:PORT]")]
    Server {
        /// What was given.
        uri: String,
        /// What is wrong with it.
        cause: String,
    },
    /// More devices than fit.
    #[error("{needed} devices are more than one process can simulate; give at most {DEVICES_MAX}")]
    TooMany {
        /// Devices asked for.
        needed: usize,
    },
    /// No socket for a device.
    #[error(
        "only {opened} of {needed} devices got a UDP socket on {bind}: {cause}; {}",
        remedy(cause, *needed)
    )]
    Sockets {
        /// Sockets opened before.
        opened: usize,
        /// Sockets needed.
        needed: usize,
        /// Where.
        bind: IpAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// A file cannot be used.
    #[error("{} cannot be used: {}", path.display(), in_words(cause))]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Finds the address that `coap://HOST[:PORT]`, or `HOST[:PORT]`, stands for.
///
/// The port is 5683 when there is none; of several addresses the first IPv4 one is taken.
///
/// # Errors
/// [`FleetError::Server`] when the text is no such address or the host is not known.
pub fn resolve(uri: &str) -> Result<SocketAddr, FleetError> {
    let refuse = |cause: String| FleetError::Server { uri: uri.to_owned(), cause };
    let rest = match uri.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("coap") => rest,
        Some((scheme, _)) => return Err(refuse(format!("{scheme}:// is not supported"))),
        None => uri,
    };
    let authority = rest.trim_end_matches('/');
    let has_port = match authority.rsplit_once(']') {
        Some((_, tail)) => tail.starts_with(':'),
        None => authority.contains(':'),
    };
    let with_port =
        if has_port { authority.to_owned() } else { format!("{authority}:{DEFAULT_PORT}") };
    let found = with_port.to_socket_addrs().map_err(|error| refuse(error.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    let best = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    best.copied().ok_or_else(|| refuse("the host has no address".to_owned()))
}

/// Runs a fleet until `shutdown` completes.
///
/// Must be called inside a tokio runtime; one worker thread serves thousands of devices.
///
/// # Errors
/// [`FleetError`], before any datagram is sent.
pub async fn run(
    options: FleetOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<FleetSummary, FleetError> {
    if options.devices > DEVICES_MAX {
        return Err(FleetError::TooMany { needed: options.devices });
    }
    let profiles = options.scenario.profiles(options.devices, options.seed);
    run_profiles(options, profiles, shutdown).await
}

async fn run_profiles(
    options: FleetOptions,
    profiles: Vec<Profile>,
    shutdown: impl Future<Output = ()>,
) -> Result<FleetSummary, FleetError> {
    let mut memory = FlashMemory::open(options.memory.as_deref())?;
    let (log, log_writer) = log::start(&options.log)?;
    let sockets = open_sockets(&options).await?;
    let started = Instant::now();
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let unix_s = i64::try_from(unix_s).unwrap_or(i64::MAX);
    let mut surroundings = Surroundings::new(options.server, Duration::ZERO, unix_s);
    surroundings.coap.ack_timeout = options.scenario.ack_timeout();
    let surroundings = Arc::new(surroundings);
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let flash = memory.sender();
    for (mut profile, socket) in profiles.into_iter().zip(sockets) {
        profile.lifetime_s = lifetime_s(&profile, options.lifetime_s);
        let kept = memory.take(&profile.endpoint);
        let random = Random::of(profile.seed, "radio");
        let node = Node {
            device: SimulatedDevice::new(profile, Arc::clone(&surroundings), kept),
            socket: None,
            reserved: Some(socket),
            bind: options.bind,
            radio: options.scenario.radio(),
            random,
            started,
            retry_at: None,
            log: log.clone(),
            flash: flash.clone(),
            counters: Arc::clone(&counters),
        };
        tasks.spawn(node.run(stopped.clone()));
    }
    drop((log, flash));
    shutdown.await;
    // Nobody is left to tell when all receivers are gone.
    let _told = stop.send(true);
    while tasks.join_next().await.is_some() {}
    memory.finish().await;
    log_writer.finish().await;
    Ok(counters.summary(options.devices))
}

/// Opens a socket for each device before the first one speaks, so that a lack of descriptors
/// stops the run instead of crippling it.
async fn open_sockets(options: &FleetOptions) -> Result<Vec<UdpSocket>, FleetError> {
    let mut sockets = Vec::with_capacity(options.devices);
    for _ in 0..options.devices {
        match UdpSocket::bind((options.bind, 0)).await {
            Ok(socket) => sockets.push(socket),
            Err(cause) => {
                return Err(FleetError::Sockets {
                    opened: sockets.len(),
                    needed: options.devices,
                    bind: options.bind,
                    cause,
                });
            }
        }
    }
    Ok(sockets)
}

/// A device with its socket.
struct Node {
    device: SimulatedDevice,
    socket: Option<UdpSocket>,
    /// The socket opened for it in advance.
    reserved: Option<UdpSocket>,
    bind: IpAddr,
    radio: Radio,
    random: Random,
    started: Instant,
    /// When to try again to open a socket.
    retry_at: Option<Instant>,
    log: LogSender,
    flash: FlashSender,
    counters: Arc<Counters>,
}

impl Node {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            self.drain().await;
            let wake_at = self.wake_at();
            tokio::select! {
                biased;
                _ = stopped.changed() => return self.stop().await,
                () = readable(self.socket.as_ref()) => self.receive(),
                () = until(wake_at) => {
                    let now = self.started.elapsed();
                    self.device.handle_timeout(now);
                }
            }
        }
    }

    /// Keeps what was being written to flash: a fleet that is started again goes on with it.
    async fn stop(mut self) {
        self.device.finish_flash(self.started.elapsed());
        self.drain().await;
    }

    fn wake_at(&self) -> Option<Instant> {
        let device = self.device.poll_timeout().map(|at| self.started + at);
        [device, self.retry_at].into_iter().flatten().min()
    }

    /// Takes what the socket has, some datagrams at a time so that others have their turn.
    fn receive(&mut self) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        for _ in 0..DATAGRAMS_A_TURN {
            let Some(socket) = &self.socket else { return };
            let Ok((length, peer)) = socket.try_recv_from(&mut buffer) else { return };
            Counters::count(&self.counters.received);
            let copies = self.copies();
            for _ in 0..copies {
                let now = self.started.elapsed();
                self.device.handle_datagram(peer, &buffer[..length], now);
                self.transmit();
            }
        }
    }

    /// How many copies of a datagram come through the radio.
    fn copies(&mut self) -> u32 {
        let outage = self.device.profile().outage;
        let is_cut_off = outage.is_some_and(|outage| outage.holds_at(self.started.elapsed()));
        if self.random.chance(self.radio.loss) || is_cut_off {
            Counters::count(&self.counters.lost);
            return 0;
        }
        1 + u32::from(self.random.chance(self.radio.duplication))
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.device.poll_transmit() {
            for _ in 0..self.copies() {
                let Some(socket) = &self.socket else { continue };
                // A full send buffer loses the datagram, as a radio would; CoAP repeats it.
                if socket.try_send_to(&transmit.datagram, transmit.peer).is_ok() {
                    Counters::count(&self.counters.sent);
                }
            }
        }
    }

    async fn drain(&mut self) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_at = None;
            self.open().await;
        }
        loop {
            self.transmit();
            match self.device.poll_action() {
                None => break,
                Some(Action::CloseSocket) => self.socket = None,
                Some(Action::OpenSocket) => self.open().await,
            }
        }
        // The flash is stored before the log tells of it, and both before the next datagram.
        if self.device.take_flash_change() {
            let endpoint = self.device.profile().endpoint.clone();
            self.flash.store(endpoint, self.device.flash().clone()).await;
        }
        while let Some(entry) = self.device.poll_log() {
            self.counters.note(&entry.event);
            self.log.write(&entry).await;
        }
    }

    async fn open(&mut self) {
        let socket = match self.reserved.take() {
            Some(socket) => Ok(socket),
            None => UdpSocket::bind((self.bind, 0)).await,
        };
        let local = socket.and_then(|socket| Ok((socket.local_addr()?, socket)));
        match local {
            Ok((local, socket)) => {
                // A new socket refuses to send until the runtime has seen that it can; the first
                // Registration would be lost, and repeated seconds later. An error is met there.
                let _ready = socket.writable().await;
                self.socket = Some(socket);
                let now = self.started.elapsed();
                self.device.handle_socket(local, now);
            }
            // The descriptors of others may be gone for a moment; a boot that takes longer.
            Err(_) => self.retry_at = Some(Instant::now() + SOCKET_RETRY),
        }
    }
}

/// A sleeping device renews its registration when it wakes, which must be early enough.
fn lifetime_s(profile: &Profile, chosen_s: u32) -> u32 {
    let slept_s = profile.sleep.map_or(0, |sleep| sleep.wake_every.as_secs().saturating_add(1));
    chosen_s.max(u32::try_from(slept_s.saturating_mul(3)).unwrap_or(u32::MAX))
}

async fn readable(socket: Option<&UdpSocket>) {
    match socket {
        // An error is met again by the receive that follows.
        Some(socket) => {
            let _ready = socket.readable().await;
        }
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[derive(Debug, Default)]
struct Counters {
    registrations: AtomicU64,
    downloads: AtomicU64,
    updated: AtomicU64,
    failed: AtomicU64,
    bricked: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    lost: AtomicU64,
}

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, event: &LogEvent) {
        match event {
            LogEvent::Registered { .. } => Self::count(&self.registrations),
            LogEvent::Downloaded { .. } => Self::count(&self.downloads),
            LogEvent::Version { .. } => Self::count(&self.updated),
            LogEvent::UpdateFailed { .. } => Self::count(&self.failed),
            LogEvent::Bricked => Self::count(&self.bricked),
            _ => {}
        }
    }

    fn summary(&self, devices: usize) -> FleetSummary {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FleetSummary {
            devices: devices as u64,
            registrations: read(&self.registrations),
            downloads: read(&self.downloads),
            updated: read(&self.updated),
            failed: read(&self.failed),
            bricked: read(&self.bricked),
            sent: read(&self.sent),
            received: read(&self.received),
            lost: read(&self.lost),
        }
    }
}

/// What a user can do about a missing socket.
fn remedy(cause: &io::Error, needed: usize) -> String {
    // EMFILE and ENFILE.
    if matches!(cause.raw_os_error(), Some(23 | 24)) {
        let limit = needed + 100;
        format!("allow more open files with `ulimit -n {limit}`, or simulate fewer devices")
    } else if cause.kind() == io::ErrorKind::AddrInUse {
        "the address has no free port left; widen `net.ipv4.ip_local_port_range`, or simulate \
         fewer devices"
            .to_owned()
    } else {
        "choose a local address with --bind, or simulate fewer devices".to_owned()
    }
}

/// Why a file cannot be used, and what a user can do about it.
fn in_words(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::StorageFull => "no space is left there; free some space".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this user may not; change its owner or choose another file".to_owned()
        }
        _ => format!("{cause}; choose another file or correct it"),
    }
}

/// Devices in one fleet. Each takes one of the 65,535 ports of an address and a file descriptor,
/// and so many take 1.5 GiB of memory; more would end in the middle of a run.
pub const DEVICES_MAX: usize = 50_000;
const DEFAULT_PORT: u16 = 5683;
/// A block of 1 KiB with its options; longer datagrams are no CoAP of this product.
const DATAGRAM_BYTES_MAX: usize = 2_048;
const DATAGRAMS_A_TURN: usize = 16;
const SOCKET_RETRY: Duration = Duration::from_secs(1);
