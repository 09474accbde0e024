//! A simulated device without I/O: an LwM2M client with the hardware around it.

mod log;
mod objects;
mod profile;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coap::Transmit;
use lwm2m::client::{Client, ClientConfig, Event, FirmwareObject, ImageId};
use lwm2m::firmware::{self, UpdateResult};
use lwm2m::{Definitions, Path, Value};

pub use self::log::{LogEntry, LogEvent, Transfer};
pub use self::profile::{
    Battery, Flash, Leave, Outage, Profile, SAMPLE_MANUFACTURER, SAMPLE_MODEL, Signal, Sleep,
};

use self::objects::Readings;
use crate::image::{DefectKind, Image, ImageError};
use crate::random::{Random, mix};

/// What all devices of a fleet share.
#[derive(Debug)]
pub struct Surroundings {
    /// The LwM2M server they register with.
    pub server: SocketAddr,
    /// Descriptions of the objects.
    pub definitions: Arc<Definitions>,
    /// When the fleet was started, on the clock of `now`.
    pub started: Duration,
    /// The time of day then, in seconds since 1970-01-01 UTC.
    pub unix_s_at_start: i64,
    /// Largest image a device has room for, in bytes.
    pub image_bytes_max: usize,
    /// Settings of the devices' message layer.
    pub coap: coap::Config,
}

impl Surroundings {
    /// Surroundings with the defaults of the protocol and room for images of 1 MiB.
    #[must_use]
    pub fn new(server: SocketAddr, started: Duration, unix_s_at_start: i64) -> Self {
        Self {
            server,
            definitions: Arc::new(Definitions::core()),
            started,
            unix_s_at_start,
            image_bytes_max: 1 << 20,
            // NSTART 2: a registration update does not wait for the end of a download.
            coap: coap::Config { nstart: 2, peers_max: 8, ..coap::Config::default() },
        }
    }
}

/// What a device wants its owner to do with its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open a new socket on a new port, then call [`SimulatedDevice::handle_socket`].
    OpenSocket,
    /// Close the socket: what arrives afterwards is lost.
    CloseSocket,
}

/// One device: a real LwM2M client, a battery, a radio, flash memory and a boot loader.
///
/// Methods form four families as those of [`Client`]: after any `&mut` call drain
/// [`poll_transmit`](Self::poll_transmit), [`poll_action`](Self::poll_action) and
/// [`poll_log`](Self::poll_log), then ask [`poll_timeout`](Self::poll_timeout). Datagrams come
/// before actions: what a device says before it restarts still leaves.
#[derive(Debug)]
pub struct SimulatedDevice {
    profile: Profile,
    surroundings: Arc<Surroundings>,
    flash: Flash,
    flash_changed: bool,
    stage: Stage,
    boots: u64,
    /// Whether what it runs has crashed already.
    has_crashed: bool,
    leave: Option<Leave>,
    arrived: Duration,
    download_faults: VecDeque<UpdateResult>,
    actions: VecDeque<Action>,
    log: VecDeque<LogEntry>,
}

/// Where the device stands, each with what only that stage needs.
#[derive(Debug)]
enum Stage {
    /// Out of reach, before its arrival or between two stays.
    Away { until: Duration, returning: bool },
    /// Restarting: no socket, silence.
    Booting { until: Duration },
    /// Waits for its new socket.
    Opening,
    /// In operation.
    On(Box<Running>),
    /// Never to be heard of again.
    Bricked,
}

/// A device in operation.
#[derive(Debug)]
struct Running {
    client: Client,
    image: Option<Image>,
    /// The image is being written to flash; a restart follows.
    flashing_until: Option<Duration>,
    /// A restart or a departure was ordered; what is being sent still leaves.
    off_at: Option<(Duration, Off)>,
    /// When the battery or the radio changes next.
    reading_at: Option<Duration>,
    wake_at: Option<Duration>,
    /// When to look whether it fell asleep; none while asleep.
    doze_at: Option<Duration>,
    /// When its firmware crashes.
    crash_at: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Off {
    Restart,
    Leave(Leave),
}

impl SimulatedDevice {
    /// Creates a device fresh from the factory, which shows up after its profile's arrival time,
    /// or one with what a fleet that ran before left in its flash: it has arrived already.
    #[must_use]
    pub fn new(profile: Profile, surroundings: Arc<Surroundings>, flash: Option<Flash>) -> Self {
        let arrives_after = if flash.is_some() { Duration::ZERO } else { profile.arrives_after };
        let arrived = surroundings.started + arrives_after;
        let flash = flash.unwrap_or_else(|| Flash::factory(&profile));
        let stage = if flash.is_bricked() {
            Stage::Bricked
        } else {
            Stage::Away { until: arrived, returning: false }
        };
        Self {
            leave: profile.leaves,
            download_faults: profile.download_faults.iter().copied().collect(),
            profile,
            surroundings,
            flash,
            flash_changed: false,
            stage,
            boots: 0,
            has_crashed: false,
            arrived,
            actions: VecDeque::new(),
            log: VecDeque::new(),
        }
    }

    /// Returns its make and habits.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Returns what it keeps over restarts: the version that runs, or will after the restart.
    #[must_use]
    pub const fn flash(&self) -> &Flash {
        &self.flash
    }

    /// Tells whether the flash changed since the last call, so that the owner may store it.
    pub const fn take_flash_change(&mut self) -> bool {
        std::mem::replace(&mut self.flash_changed, false)
    }

    /// Returns its client while it runs.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        match &self.stage {
            Stage::On(running) => Some(&running.client),
            Stage::Away { .. } | Stage::Booting { .. } | Stage::Opening | Stage::Bricked => None,
        }
    }

    /// Takes the socket asked for with [`Action::OpenSocket`]: boots to the end and registers.
    pub fn handle_socket(&mut self, local: SocketAddr, now: Duration) {
        if !matches!(self.stage, Stage::Opening) {
            return;
        }
        // A device whose power was cut after an installation boots it for the first time as well.
        if let Some(before) = self.flash.before.take() {
            self.flash_changed = true;
            self.log_boot(before, now);
        }
        let client = self.boot(local, now);
        let crash_at = self.next_crash(now);
        let mut running = Running {
            client,
            image: None,
            flashing_until: None,
            off_at: None,
            reading_at: None,
            wake_at: self.profile.sleep.map(|sleep| now + sleep.wake_every),
            doze_at: None,
            crash_at,
        };
        running.reading_at = self.next_reading(now);
        running.client.start(now);
        self.stage = Stage::On(Box::new(running));
        self.settle(now);
    }

    /// Takes in a datagram.
    pub fn handle_datagram(&mut self, peer: SocketAddr, datagram: &[u8], now: Duration) {
        let unix_s = self.unix_s(now);
        let Stage::On(running) = &mut self.stage else { return };
        // The clock is read with the rest; set before the request that may read it.
        let _set = running.client.set(objects::CURRENT_TIME, Value::Time(unix_s), now);
        running.client.handle_datagram(peer, datagram, now);
        self.settle(now);
    }

    /// Does what is due at this time.
    pub fn handle_timeout(&mut self, now: Duration) {
        match &mut self.stage {
            Stage::Away { until, returning } if *until <= now => {
                let returning = *returning;
                self.stage = Stage::Opening;
                self.actions.push_back(Action::OpenSocket);
                if returning {
                    self.note(LogEvent::Returned, now);
                }
            }
            Stage::Booting { until } if *until <= now => {
                self.stage = Stage::Opening;
                self.actions.push_back(Action::OpenSocket);
            }
            Stage::On(_) => self.run(now),
            Stage::Away { .. } | Stage::Booting { .. } | Stage::Opening | Stage::Bricked => {}
        }
    }

    /// Cuts the power for `time` without warning. Flash in the making is lost.
    pub fn cut_power(&mut self, time: Duration, now: Duration) {
        if matches!(self.stage, Stage::On(_)) {
            self.note(LogEvent::Left { goodbye: false }, now);
            self.actions.push_back(Action::CloseSocket);
            self.stage = Stage::Away { until: now + time, returning: true };
        }
    }

    /// Writes the rest of an image to flash at once, when it is being written. For a fleet that
    /// stops: its devices do not lose their power because nobody simulates them for a while.
    pub fn finish_flash(&mut self, now: Duration) {
        let Stage::On(running) = &mut self.stage else { return };
        if running.flashing_until.take().is_some() {
            self.install(now);
        }
    }

    /// Returns the next datagram to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        match &mut self.stage {
            Stage::On(running) => running.client.poll_transmit(),
            Stage::Away { .. } | Stage::Booting { .. } | Stage::Opening | Stage::Bricked => None,
        }
    }

    /// Returns what to do next with the socket.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the next line of the log.
    #[must_use]
    pub fn poll_log(&mut self) -> Option<LogEntry> {
        self.log.pop_front()
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout); `None` when nothing is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Away { until, .. } | Stage::Booting { until } => Some(*until),
            Stage::Opening | Stage::Bricked => None,
            Stage::On(running) => {
                let leave_at = self.leave.map(|leave| self.arrived + leave.after);
                let own = [
                    running.client.poll_timeout(),
                    running.flashing_until,
                    running.off_at.map(|(at, _)| at),
                    running.reading_at,
                    running.wake_at,
                    running.doze_at,
                    running.crash_at,
                    leave_at,
                ];
                own.into_iter().flatten().min()
            }
        }
    }

    /// Starts a new client, as a restart does: nothing but the flash survives.
    fn boot(&mut self, local: SocketAddr, now: Duration) -> Client {
        self.boots += 1;
        let surroundings = &self.surroundings;
        let mut config = ClientConfig::new(
            &self.profile.endpoint,
            surroundings.server,
            Arc::clone(&surroundings.definitions),
        );
        config.lifetime_s = self.profile.lifetime_s;
        config.coap = surroundings.coap.clone();
        config.retry_delay_s = 2;
        config.retry_delay_s_max = 30;
        if let Some(sleep) = self.profile.sleep {
            config.queue_mode = true;
            config.awake_window_s = sleep.awake_s;
        }
        let age = now.saturating_sub(self.arrived);
        let readings = Readings {
            battery_percent: self.profile.battery.map(|battery| battery.percent_after(age)),
            signal_dbm: self.profile.signal.dbm_after(age),
            unix_s: self.unix_s(now),
        };
        let tree = objects::tree(&self.profile, &self.flash, readings, local);
        let result = match UpdateResult::from_number(self.flash.result) {
            Some(result) if !self.profile.forgets_result => result,
            _ => UpdateResult::Initial,
        };
        let object = FirmwareObject::new(
            &self.profile.model,
            &self.flash.version,
            self.profile.delivery,
            surroundings.image_bytes_max,
        )
        .resume(result, &self.flash.version);
        let seed = mix(self.profile.seed.wrapping_add(self.boots));
        Client::new(config, tree, Some(object), seed)
            .expect("invariant: the profiles of a scenario have endpoint names of legal length")
    }

    /// Does what is due in a running device.
    fn run(&mut self, now: Duration) {
        let unix_s = self.unix_s(now);
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let Stage::On(running) = &mut self.stage else { return };
        let _set = running.client.set(objects::CURRENT_TIME, Value::Time(unix_s), now);
        running.client.handle_timeout(now);
        if due(running.reading_at) {
            self.read_sensors(now);
        }
        let Stage::On(running) = &mut self.stage else { return };
        if due(running.wake_at) {
            running.wake_at = self.profile.sleep.map(|sleep| now + sleep.wake_every);
            if running.client.is_registered() {
                running.client.update_registration(now);
            }
        }
        self.settle(now);
        if self.leave.is_some_and(|leave| self.arrived + leave.after <= now) {
            self.consider_leaving(now);
        }
        let Stage::On(running) = &mut self.stage else { return };
        if due(running.flashing_until) {
            running.flashing_until = None;
            self.install(now);
        }
        let Stage::On(running) = &mut self.stage else { return };
        if let Some((at, off)) = running.off_at
            && at <= now
        {
            return self.switch_off(off, now);
        }
        if due(running.crash_at) {
            self.crash(now);
        }
    }

    /// When the firmware crashes that starts now.
    fn next_crash(&self, now: Duration) -> Option<Duration> {
        if self.flash.defect != Some(DefectKind::CrashLoops) {
            return None;
        }
        if self.has_crashed {
            return Some(now + CRASH_AGAIN);
        }
        let mut random = Random::of(self.profile.seed, "crash");
        Some(now + random.span(CRASH_FIRST, CRASH_FIRST_MAX))
    }

    /// Crashes, unless an image is on its way: what crashes has been stopped for that.
    fn crash(&mut self, now: Duration) {
        let Stage::On(running) = &mut self.stage else { return };
        let idle =
            running.client.firmware().is_none_or(|object| object.state() == firmware::State::Idle);
        if !idle || running.flashing_until.is_some() || running.off_at.is_some() {
            running.crash_at = Some(now + CRASH_AGAIN);
            return;
        }
        self.has_crashed = true;
        self.note(LogEvent::Crashed, now);
        self.switch_off(Off::Restart, now);
    }

    /// Takes what the client has to say.
    fn settle(&mut self, now: Duration) {
        loop {
            let Stage::On(running) = &mut self.stage else { return };
            let Some(event) = running.client.poll_event() else { break };
            self.handle_event(event, now);
        }
        self.watch_sleep(now);
    }

    fn handle_event(&mut self, event: Event, now: Duration) {
        let lost = |cause: String| LogEvent::RegistrationLost { cause };
        let entry = match event {
            Event::Registered { location } => {
                LogEvent::Registered { location, version: self.flash.version.clone() }
            }
            Event::Updated => LogEvent::Updated,
            Event::RegistrationRefused { code } => lost(format!("the server answered {code}")),
            Event::RegistrationFailed { failure } => lost(failure.to_string()),
            Event::RegistrationLost => lost("the server no longer knows it".to_owned()),
            Event::Read { path } => LogEvent::Read { path: path.to_string() },
            Event::Written { path } => LogEvent::Written { path: path.to_string() },
            Event::ObservationStarted { path } => LogEvent::Observed { path: path.to_string() },
            Event::Executed { path, .. } => return self.execute(path, now),
            Event::ImageReceived { id, image } => return self.judge(id, &image, now),
            Event::InstallRequested => return self.flash_image(now),
            Event::FirmwareChanged { state, result } => {
                LogEvent::Firmware { state: state.number(), result: result.number() }
            }
            Event::Deregistered
            | Event::Created { .. }
            | Event::Deleted { .. }
            | Event::ObservationEnded { .. }
            | Event::Notified { .. }
            | Event::Progress { .. }
            | Event::Downloaded { .. }
            | Event::DownloadFailed { .. } => return,
        };
        self.note(entry, now);
    }

    fn execute(&mut self, path: Path, now: Duration) {
        self.note(LogEvent::Executed { path: path.to_string() }, now);
        let Stage::On(running) = &mut self.stage else { return };
        match path {
            objects::REBOOT => running.off_at = Some((now + LAST_WORDS, Off::Restart)),
            objects::RESET_ERROR_CODE => {
                let none = Value::Integer(objects::NO_ERROR);
                let _set = running.client.set(objects::ERROR_CODE, none, now);
            }
            _ => {}
        }
    }

    /// Checks an image as the boot loader of a device does.
    fn judge(&mut self, id: ImageId, bytes: &Bytes, now: Duration) {
        let Stage::On(running) = &mut self.stage else { return };
        let pulled = running.client.firmware().is_some_and(|object| !object.uri().is_empty());
        let fault = self.download_faults.pop_front();
        let parsed = Image::parse(bytes);
        let digest_ok = parsed != Err(ImageError::Digest);
        let verdict = match (fault, parsed) {
            (Some(result), _) => Err(result),
            (None, Ok(image)) if image.fits(&self.profile.hardware) => Ok(image),
            (None, Ok(_)) => Err(UpdateResult::UnsupportedType),
            (None, Err(ImageError::Digest)) => Err(UpdateResult::IntegrityFailure),
            (None, Err(_)) => Err(UpdateResult::UnsupportedType),
        };
        match verdict {
            Ok(image) => {
                running.image = Some(image);
                running.client.accept_image(id, now);
            }
            Err(result) => {
                running.image = None;
                running.client.reject_image(id, result, now);
            }
        }
        let how = if pulled { Transfer::Pull } else { Transfer::Push };
        self.note(LogEvent::Downloaded { bytes: bytes.len(), how, digest_ok }, now);
    }

    /// Begins to write the accepted image to flash.
    fn flash_image(&mut self, now: Duration) {
        self.note(LogEvent::Executed { path: firmware::UPDATE.to_string() }, now);
        let Stage::On(running) = &mut self.stage else { return };
        running.flashing_until = Some(now + self.profile.flash_time);
    }

    /// The image is in flash: decides what the device will be after its restart.
    fn install(&mut self, now: Duration) {
        let Stage::On(running) = &mut self.stage else { return };
        let Some(image) = running.image.take() else { return };
        let image_defect = image.defect_on(self.profile.seed, &self.profile.hardware);
        let defect = self.profile.defect.or(image_defect);
        let before = self.flash.version.clone();
        let (version, result) = match defect {
            Some(DefectKind::UpdateFails) => (before.clone(), UpdateResult::UpdateFailed),
            Some(DefectKind::ClaimsSuccess) => (before.clone(), UpdateResult::Success),
            _ => (image.version.clone(), UpdateResult::Success),
        };
        let installed =
            LogEvent::Installed { version: image.version, sha256: image.sha256.to_string() };
        self.flash = Flash { version, result: result.number(), defect, before: Some(before) };
        self.has_crashed = false;
        self.flash_changed = true;
        self.note(installed, now);
        self.switch_off(Off::Restart, now);
    }

    fn switch_off(&mut self, off: Off, now: Duration) {
        self.actions.push_back(Action::CloseSocket);
        match off {
            Off::Leave(leave) => {
                self.note(LogEvent::Left { goodbye: leave.says_goodbye }, now);
                self.stage = Stage::Away { until: now + leave.away, returning: true };
            }
            Off::Restart => {
                self.note(LogEvent::Rebooted, now);
                if self.flash.is_bricked() {
                    self.note(LogEvent::Bricked, now);
                    self.stage = Stage::Bricked;
                    return;
                }
                let until = now + self.profile.boot_time;
                self.stage = Stage::Booting { until };
            }
        }
    }

    fn log_boot(&mut self, before: String, now: Duration) {
        let after = self.flash.version.clone();
        let result = self.flash.result;
        let entry = if before != after {
            LogEvent::Version { before, after }
        } else {
            LogEvent::UpdateFailed { version: after, result }
        };
        self.note(entry, now);
    }

    /// Leaves, unless an update is under way: then it stays for good, as its owner would.
    fn consider_leaving(&mut self, now: Duration) {
        let Some(leave) = self.leave.take() else { return };
        let Stage::On(running) = &mut self.stage else { return };
        let idle = running.client.firmware().is_some_and(|object| {
            object.state() == firmware::State::Idle && object.result() == UpdateResult::Initial
        });
        if !idle || self.flash.version != self.profile.version {
            return;
        }
        if leave.says_goodbye {
            running.client.stop(now);
            running.off_at = Some((now + LAST_WORDS, Off::Leave(leave)));
        } else {
            self.switch_off(Off::Leave(leave), now);
        }
    }

    /// Shows what the battery and the radio measure.
    fn read_sensors(&mut self, now: Duration) {
        let age = now.saturating_sub(self.arrived);
        let battery = self.profile.battery.map(|battery| battery.percent_after(age));
        let signal = self.profile.signal.dbm_after(age);
        let next = self.next_reading(now);
        let Stage::On(running) = &mut self.stage else { return };
        running.reading_at = next;
        if let Some(percent) = battery {
            let _set = running.client.set(objects::BATTERY_LEVEL, Value::Integer(percent), now);
        }
        let _set = running.client.set(objects::SIGNAL_STRENGTH, Value::Integer(signal), now);
    }

    fn next_reading(&self, now: Duration) -> Option<Duration> {
        let age = now.saturating_sub(self.arrived);
        let battery = self.profile.battery.and_then(|battery| battery.next_step_after(age));
        let signal = self.profile.signal.recovers.map(|(after, _)| after).filter(|at| *at > age);
        [battery, signal].into_iter().flatten().min().map(|age| self.arrived + age)
    }

    /// Notes when a sleeping device stops and starts to listen.
    fn watch_sleep(&mut self, now: Duration) {
        let Some(sleep) = self.profile.sleep else { return };
        let Stage::On(running) = &mut self.stage else { return };
        let awake = running.client.is_awake(now);
        let was_awake = running.doze_at.is_some();
        let look_again = Duration::from_secs(u64::from(sleep.awake_s)) / 4;
        let due = running.doze_at.is_none_or(|at| at <= now);
        match (was_awake, awake) {
            (true, true) if due => running.doze_at = Some(now + look_again),
            (false, true) => {
                running.doze_at = Some(now + look_again);
                self.note(LogEvent::Awake, now);
            }
            (true, false) => {
                running.doze_at = None;
                self.note(LogEvent::Asleep, now);
            }
            (true, true) | (false, false) => {}
        }
    }

    fn unix_s(&self, now: Duration) -> i64 {
        let since_start = now.saturating_sub(self.surroundings.started);
        self.surroundings.unix_s_at_start.saturating_add_unsigned(since_start.as_secs())
    }

    fn note(&mut self, event: LogEvent, now: Duration) {
        let since_start = now.saturating_sub(self.surroundings.started);
        self.log.push_back(LogEntry {
            at_ms: u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX),
            endpoint: self.profile.endpoint.clone(),
            event,
        });
    }
}

/// Time between the order to restart and the restart: the answer to the order still leaves.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Earliest and latest time from the first boot of a firmware with that defect to its crash.
const CRASH_FIRST: Duration = Duration::from_secs(25);
const CRASH_FIRST_MAX: Duration = Duration::from_secs(35);
/// Time from each further boot to the next crash.
const CRASH_AGAIN: Duration = Duration::from_secs(6);
