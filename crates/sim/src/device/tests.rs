use coap::Request;

use super::*;
use crate::network::{Direction, Host, Network};
use crate::scenario::Scenario;
use crate::scripted::{Known, ScriptedServer};

const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 5683);

/// Devices, a scripted server and a network between them, in virtual time.
struct Bench {
    server: ScriptedServer,
    devices: Vec<(SimulatedDevice, Option<SocketAddr>)>,
    network: Network,
    log: Vec<LogEntry>,
    now: Duration,
    port: u16,
}

impl Bench {
    fn new(profiles: Vec<Profile>, image: Bytes) -> Self {
        let direction = Direction::steady(Duration::from_millis(5));
        let mut network = Network::new(direction, direction, 1);
        network.open(SERVER, Host::Server);
        let surroundings = Arc::new(Surroundings::new(SERVER, Duration::ZERO, 1_000_000));
        let device =
            |profile| (SimulatedDevice::new(profile, Arc::clone(&surroundings), None), None);
        Self {
            server: ScriptedServer::new(SERVER, image),
            devices: profiles.into_iter().map(device).collect(),
            network,
            log: Vec::new(),
            now: Duration::ZERO,
            port: 1_000,
        }
    }

    fn run_until(&mut self, end_s: u64) {
        let end = Duration::from_secs(end_s);
        loop {
            self.drain();
            let devices = self.devices.iter().filter_map(|(device, _)| device.poll_timeout()).min();
            let next = [devices, self.network.poll_timeout(), self.server.poll_timeout()];
            let next = next.into_iter().flatten().min().unwrap_or(end).max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            while let Some(delivery) = self.network.poll_delivery(self.now) {
                let (from, datagram) = (delivery.from, &delivery.datagram[..]);
                match delivery.host {
                    Host::Server => self.server.handle_datagram(from, datagram, self.now),
                    Host::Device(at) => {
                        self.devices[at].0.handle_datagram(from, datagram, self.now)
                    }
                }
                self.drain();
            }
            self.server.handle_timeout(self.now);
            for (device, _) in &mut self.devices {
                device.handle_timeout(self.now);
            }
        }
    }

    fn drain(&mut self) {
        let now = self.now;
        while let Some(transmit) = self.server.poll_transmit() {
            self.network.send(SERVER, transmit.peer, transmit.datagram, now);
        }
        for (at, (device, address)) in self.devices.iter_mut().enumerate() {
            loop {
                while let Some(transmit) = device.poll_transmit() {
                    let from = address.expect("a device without a socket must not send");
                    self.network.send(from, transmit.peer, transmit.datagram, now);
                }
                match device.poll_action() {
                    None => break,
                    Some(Action::CloseSocket) => self.network.close(address.take().unwrap()),
                    Some(Action::OpenSocket) => {
                        self.port += 1;
                        let local = SocketAddr::from(([10, 0, 1, 1], self.port));
                        *address = Some(local);
                        self.network.open(local, Host::Device(at));
                        device.handle_socket(local, now);
                    }
                }
            }
            while let Some(entry) = device.poll_log() {
                self.log.push(entry);
            }
        }
    }

    fn known(&self, name: &str) -> &Known {
        &self.server.known[name]
    }

    /// The events of a device without reads, updates and the like.
    fn story(&self, name: &str) -> String {
        let entries = self.log.iter().filter(|entry| entry.endpoint == name);
        let words = entries.filter_map(|entry| match &entry.event {
            LogEvent::Registered { version, .. } => Some(format!("registered {version}")),
            LogEvent::Downloaded { how, digest_ok, .. } => Some(format!("{how:?} {digest_ok}")),
            LogEvent::Firmware { state, result } => Some(format!("{state},{result}")),
            LogEvent::Installed { version, .. } => Some(format!("installed {version}")),
            LogEvent::Version { before, after } => Some(format!("{before} -> {after}")),
            LogEvent::UpdateFailed { version, result } => Some(format!("kept {version} {result}")),
            LogEvent::Crashed => Some("crashed".to_owned()),
            LogEvent::Rebooted => Some("rebooted".to_owned()),
            LogEvent::Bricked => Some("bricked".to_owned()),
            LogEvent::Left { goodbye } => Some(format!("left {goodbye}")),
            LogEvent::Returned => Some("returned".to_owned()),
            _ => None,
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

fn profile(change: impl FnOnce(&mut Profile)) -> Profile {
    let mut profile = Profile::new("ws-1", "1.0.0", 7);
    change(&mut profile);
    profile
}

fn image() -> Bytes {
    Image::build("1.1.0", 20_000, 1)
}

fn check(profile: Profile, image: Bytes, story: &str) -> Bench {
    let mut stage = Bench::new(vec![profile], image);
    stage.run_until(60);
    assert_eq!(stage.story("ws-1"), story);
    stage
}

#[test]
fn a_device_pulls_an_image_and_comes_back_with_the_new_version() {
    let stage = check(
        profile(|_| ()),
        image(),
        "registered 1.0.0; 1,0; Pull true; 2,0; 3,0; installed 1.1.0; rebooted; 1.0.0 -> 1.1.0; \
         registered 1.1.0",
    );
    let known = stage.known("ws-1");
    assert_eq!(known.versions, ["1.0.0", "1.1.0"]);
    assert_eq!(known.results, ["0", "1"]);
    assert_eq!(known.states, ["0", "1", "2", "3"]);
    assert!(known.updates > 0, "the registration is kept alive");
}

#[test]
fn a_device_takes_a_pushed_image() {
    check(
        profile(|profile| profile.delivery = firmware::Delivery::Push),
        image(),
        "registered 1.0.0; 1,0; Push true; 2,0; 3,0; installed 1.1.0; rebooted; 1.0.0 -> 1.1.0; \
         registered 1.1.0",
    );
}

#[test]
fn a_device_refuses_what_it_cannot_run() {
    let mut damaged = image().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    check(profile(|_| ()), damaged.into(), "registered 1.0.0; 1,0; Pull false; 0,5");
    check(
        profile(|_| ()),
        Bytes::from_static(b"#!/bin/sh"),
        "registered 1.0.0; 1,0; Pull true; 0,6",
    );
    let other = Image::build_with("1.1.0", &["B"], &[], 100, 1);
    check(profile(|_| ()), other, "registered 1.0.0; 1,0; Pull true; 0,6");
    let faults = vec![UpdateResult::ConnectionLost];
    check(
        profile(|profile| profile.download_faults = faults),
        image(),
        "registered 1.0.0; 1,0; Pull true; 0,4",
    );
}

#[test]
fn defects_show_after_the_restart() {
    let check = |defect, rest: &str, results: &[&str]| {
        let stage = check(
            profile(|profile| profile.defect = Some(defect)),
            image(),
            &format!(
                "registered 1.0.0; 1,0; Pull true; 2,0; 3,0; installed 1.1.0; rebooted; {rest}"
            ),
        );
        assert_eq!(stage.known("ws-1").results, results);
    };
    check(DefectKind::UpdateFails, "kept 1.0.0 8; registered 1.0.0", &["0", "8"]);
    check(DefectKind::ClaimsSuccess, "kept 1.0.0 1; registered 1.0.0", &["0", "1"]);
    check(DefectKind::Silent, "bricked", &["0"]);
    check(DefectKind::LeaksMemory, "1.0.0 -> 1.1.0; registered 1.1.0", &["0", "1"]);
}

/// The late fault: well for half a minute, then a restart every few seconds, registered anew and
/// reachable in between, until another image takes the place of the bad one.
#[test]
fn a_crash_loop_begins_late_and_ends_with_another_image() {
    let image = Scenario::LateFault.image();
    let mut stage = Bench::new(vec![profile(|_| ())], image);
    stage.run_until(26);
    let story = stage.story("ws-1");
    assert!(story.ends_with("1.0.0 -> 1.1.0; registered 1.1.0"), "{story}");
    stage.run_until(60);
    let story = stage.story("ws-1");
    let crashes = story.matches("crashed; rebooted; registered 1.1.0").count();
    assert!((3..=5).contains(&crashes), "{story}");
    let first = stage.log.iter().find(|entry| entry.event == LogEvent::Crashed).unwrap();
    let booted = |entry: &&LogEntry| matches!(entry.event, LogEvent::Version { .. });
    let booted = stage.log.iter().find(booted).unwrap().at_ms;
    assert!((25_000..=35_100).contains(&(first.at_ms - booted)), "{booted} {}", first.at_ms);

    let flash = stage.devices[0].0.flash().clone();
    assert_eq!(flash.defect, Some(DefectKind::CrashLoops));
    let mut back = Bench::new(vec![profile(|_| ())], Scenario::image_before());
    let surroundings = Arc::clone(&back.devices[0].0.surroundings);
    back.devices[0].0 = SimulatedDevice::new(profile(|_| ()), surroundings, Some(flash));
    back.run_until(60);
    let story = back.story("ws-1");
    assert!(story.ends_with("1.1.0 -> 1.0.0; registered 1.0.0"), "{story}");
}

/// The bad revision: every device of revision C fails, in one of two ways; no other does.
#[test]
fn only_the_bad_revision_fails() {
    let image = Scenario::BadRevision.image();
    let of = |hardware: &str, seed: u64| {
        let mut profile = Profile::new(&format!("{hardware}-{seed}"), "1.0.0", mix(seed));
        hardware.clone_into(&mut profile.hardware);
        profile
    };
    let profiles: Vec<Profile> =
        ["A", "B", "C"].iter().flat_map(|one| (0..10).map(move |seed| of(one, seed))).collect();
    let mut stage = Bench::new(profiles, image);
    stage.run_until(60);
    let ends = |hardware: &str, end: &str| {
        (0..10).filter(|seed| stage.story(&format!("{hardware}-{seed}")).ends_with(end)).count()
    };
    for hardware in ["A", "B"] {
        assert_eq!(ends(hardware, "1.0.0 -> 1.1.0; registered 1.1.0"), 10);
    }
    let (reported, silent) = (ends("C", "kept 1.0.0 8; registered 1.0.0"), ends("C", "bricked"));
    assert_eq!(reported + silent, 10);
    assert!(reported > 0 && silent > 0, "{reported} {silent}");
}

#[test]
fn a_device_that_forgets_its_result_still_shows_its_version() {
    let mut stage = Bench::new(vec![profile(|profile| profile.forgets_result = true)], image());
    stage.run_until(60);
    assert_eq!(stage.known("ws-1").results, ["0", "0"]);
    assert_eq!(stage.known("ws-1").versions, ["1.0.0", "1.1.0"]);
}

#[test]
fn devices_leave_and_return_out_of_date() {
    let leave = |says_goodbye| Leave {
        after: Duration::from_millis(15),
        away: Duration::from_secs(5),
        says_goodbye,
    };
    for goodbye in [true, false] {
        let mut stage =
            Bench::new(vec![profile(|profile| profile.leaves = Some(leave(goodbye)))], image());
        stage.run_until(4);
        assert_eq!(stage.known("ws-1").gone, goodbye);
        stage.run_until(60);
        let story = stage.story("ws-1");
        let start = format!("registered 1.0.0; left {goodbye}; returned; registered 1.0.0");
        assert!(story.starts_with(&start), "{story}");
    }
}

#[test]
fn a_device_that_lost_power_has_the_flash_it_had() {
    let slow = |profile: &mut Profile| profile.flash_time = Duration::from_secs(5);
    let mut stage = Bench::new(vec![profile(slow)], image());
    stage.run_until(2);
    let now = stage.now;
    stage.devices[0].0.cut_power(Duration::from_secs(3), now);
    stage.run_until(60);
    let story = stage.story("ws-1");
    assert!(story.ends_with("3,0; left false; returned; registered 1.0.0"), "{story}");
    let flash = stage.devices[0].0.flash().clone();
    let json = serde_json::to_string(&flash).unwrap();
    assert_eq!(serde_json::from_str::<Flash>(&json).unwrap(), flash);
}

#[test]
fn a_device_of_a_fleet_that_stops_finishes_what_it_writes_and_goes_on_at_once() {
    let slow = |profile: &mut Profile| {
        profile.flash_time = Duration::from_secs(5);
        profile.arrives_after = Duration::from_secs(1);
    };
    let mut stage = Bench::new(vec![profile(slow)], image());
    stage.run_until(3);
    let now = stage.now;
    let device = &mut stage.devices[0].0;
    device.finish_flash(now);
    assert!(device.take_flash_change());
    let flash = device.flash().clone();
    assert_eq!(flash.version, "1.1.0");
    let again = SimulatedDevice::new(profile(slow), Arc::clone(&device.surroundings), Some(flash));
    assert_eq!(again.poll_timeout(), Some(Duration::ZERO), "it has arrived before");
    // Its first boot with the image is told, once.
    let mut second = Bench::new(vec![profile(slow)], image());
    second.devices[0].0 = again;
    second.run_until(5);
    assert!(second.story("ws-1").starts_with("1.0.0 -> 1.1.0; registered 1.1.0"));
    let device = &mut second.devices[0].0;
    assert!(device.take_flash_change());
    let flash = device.flash().clone();
    assert_eq!(flash.before, None);
    let last = SimulatedDevice::new(profile(slow), Arc::clone(&device.surroundings), Some(flash));
    let mut third = Bench::new(vec![profile(slow)], image());
    third.devices[0].0 = last;
    third.run_until(5);
    assert!(third.story("ws-1").starts_with("registered 1.1.0"));
}

#[test]
fn charge_and_signal_are_told_to_observers() {
    let second = Duration::from_secs(1);
    let mut stage = Bench::new(
        vec![profile(|profile| {
            profile.battery = Some(Battery { percent: 20, step_percent: 10, every: second });
            profile.signal = Signal { dbm: -115, recovers: Some((5 * second, -80)) };
        })],
        Bytes::from_static(b"no image"),
    );
    stage.run_until(1);
    let now = stage.now;
    for path in ["3/0/9", "4/0/2"] {
        let observe = Request::get(path).accept(0).observe(0);
        stage.server.ask("ws-1", observe, "state", now);
    }
    stage.run_until(30);
    let states = stage.known("ws-1").states.join(" ");
    assert!(states.contains("30 -115 40 50 60 70 -80 80 90 100"), "{states}");
}

#[test]
fn a_sleeping_device_wakes_to_be_talked_to() {
    let sleep = Sleep { wake_every: Duration::from_secs(5), awake_s: 1 };
    let mut stage = Bench::new(vec![profile(|profile| profile.sleep = Some(sleep))], image());
    stage.run_until(60);
    let count = |event| stage.log.iter().filter(|entry| entry.event == event).count();
    assert!(count(LogEvent::Asleep) > 5, "{}", stage.story("ws-1"));
    assert!(count(LogEvent::Awake) >= count(LogEvent::Asleep));
    assert_eq!(stage.known("ws-1").versions.last().unwrap(), "1.1.0");
}

#[test]
fn a_reboot_on_order_changes_nothing_but_the_port() {
    let mut stage = Bench::new(vec![profile(|_| ())], Bytes::from_static(b"no image"));
    stage.run_until(1);
    let (port, now) = (stage.devices[0].1, stage.now);
    stage.server.ask("ws-1", Request::post("3/0/4"), "reboot", now);
    stage.run_until(10);
    assert_ne!(stage.devices[0].1, port);
    let story = stage.story("ws-1");
    assert!(story.ends_with("rebooted; registered 1.0.0"), "{story}");
    assert_eq!(stage.known("ws-1").registrations, 2);
}
