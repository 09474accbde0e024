//! What happens in a simulated run, drawn from a seed before it starts.

use std::time::Duration;

use bytes::Bytes;
use lwm2m::firmware::UpdateResult;
use model::{PerPhase, Policy, Rate, Retry, Rule, Span, Stage, Strategy};

use crate::device::{Profile, SAMPLE_MANUFACTURER, SAMPLE_MODEL};
use crate::image::{Defect, DefectKind, Image, digest};
use crate::network::Direction;
use crate::random::Random;
use crate::scenario::{SAMPLE_VERSION, Scenario};

/// Everything that is going to happen to a run from outside. Times count from its start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Feeds what the plan leaves to chance: delays, losses, message identifiers.
    pub seed: u64,
    /// The devices.
    pub profiles: Vec<Profile>,
    /// The way from the devices to the server.
    pub to_server: Direction,
    /// The way back.
    pub to_device: Direction,
    /// Longest time that a commit takes.
    pub commit_time: Duration,
    /// What the server adds to its response time before any of `server_delays`.
    pub server_delay: Duration,
    /// Changes of it, by progress of the first operation in ascending order.
    pub server_delays: Vec<ServerDelay>,
    /// When the server's process dies.
    pub crashes: Vec<Crash>,
    /// What operators order, in the order of time.
    pub orders: Vec<(Duration, Order)>,
    /// Power cuts: when, the device's index, how long.
    pub power_cuts: Vec<(Duration, usize, Duration)>,
    /// Limits of the loops.
    pub operations: operations::Config,
    /// How long the server takes queue-mode devices to listen.
    pub queue_awake: Duration,
    /// The run fails when its operations have not ended by then.
    pub time_max: Duration,
}

/// A change of what the server adds to its response time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerDelay {
    /// It begins with the element that brings the operation past this share of its targets.
    pub from: Rate,
    /// Time added to each answer.
    pub delay: Duration,
    /// Whether it ends with that element.
    pub one_element: bool,
}

/// When the server's process dies; commits count from 1 over the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before that commit took effect.
    BeforeCommit(u64),
    /// After that commit took effect and before the engine was told.
    AfterCommit(u64),
    /// After that many steps of the simulation, whatever is under way.
    AtStep(u64),
}

/// What an operator orders.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Publish a release, and start its operation when a policy is given.
    Publish {
        /// The manifest in TOML.
        manifest: String,
        /// Its image; none for a configuration.
        image: Option<Bytes>,
        /// The policy.
        start: Option<Box<Policy>>,
    },
    /// Open an operation on the devices of these indices, hand-picked.
    Open {
        /// The number of the release, in the order of publication.
        release: u64,
        /// The devices.
        devices: Vec<usize>,
        /// The policy.
        policy: Box<Policy>,
    },
    /// Pause every open operation.
    Pause,
    /// Resume every paused operation.
    Resume,
    /// Abort every open operation.
    Abort,
    /// Hold the device of that index.
    Hold(usize),
    /// Release it.
    Release(usize),
}

impl Plan {
    /// A run without faults: everything else of the drawn plans is turned on from here.
    #[must_use]
    pub fn calm(seed: u64, profiles: Vec<Profile>) -> Self {
        let direction = Direction::steady(Duration::from_millis(20));
        Self {
            seed,
            profiles,
            to_server: direction,
            to_device: direction,
            commit_time: Duration::from_millis(2),
            server_delay: Duration::ZERO,
            server_delays: Vec::new(),
            crashes: Vec::new(),
            orders: Vec::new(),
            power_cuts: Vec::new(),
            operations: operations::Config::default(),
            queue_awake: Duration::from_secs(93),
            time_max: Duration::from_secs(4 * 3_600),
        }
    }

    /// Draws a run with everything that can go wrong.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        let mut random = Random::of(seed, "plan");
        let count = usize::try_from(random.between(5, 60)).unwrap_or(5);
        let mut plan = Self::calm(seed, Scenario::Calm.profiles(count, seed));
        let lifetime_s = *random.one(&[90, 300, 600]);
        for profile in &mut plan.profiles {
            profile.lifetime_s = lifetime_s;
            give_faults(profile, &mut random);
        }
        draw_network(&mut plan, &mut random);
        for _ in 0..random.below(4) {
            plan.crashes.push(draw_crash(&mut random));
        }
        for _ in 0..random.below(4) {
            let at = random.span(Duration::from_secs(1), Duration::from_secs(60));
            let device = usize::try_from(random.below(count as u64)).unwrap_or(0);
            let time = random.span(Duration::from_secs(2), Duration::from_secs(90));
            plan.power_cuts.push((at, device, time));
        }
        plan.power_cuts.sort_unstable();
        plan.operations.transfer_stall_s = random.between(60, 300);
        plan.operations.compliance_delay_s = random.between(2, 20);
        if random.chance(Rate::percent(50)) {
            plan.queue_awake = Duration::from_secs(2);
        }
        draw_orders(&mut plan, &mut random);
        plan
    }
}

/// Makes some devices faulty for good, and some downloads break off.
fn give_faults(profile: &mut Profile, random: &mut Random) {
    if random.chance(Rate::percent(8)) {
        let faults = [
            UpdateResult::ConnectionLost,
            UpdateResult::OutOfRam,
            UpdateResult::NotEnoughFlash,
            UpdateResult::IntegrityFailure,
        ];
        for _ in 0..random.between(1, 4) {
            // Integrity lies in the image by definition, so it is rare: it aborts.
            let fault = usize::try_from(random.below(31) / 10).unwrap_or(0);
            profile.download_faults.push(faults[fault]);
        }
    }
    if random.chance(Rate::percent(4)) {
        profile.defect = Some(*random.one(&[
            DefectKind::UpdateFails,
            DefectKind::Silent,
            DefectKind::ClaimsSuccess,
            DefectKind::LeaksMemory,
            DefectKind::ErrorCode,
        ]));
    }
}

fn draw_network(plan: &mut Plan, random: &mut Random) {
    let mut direction = || Direction {
        latency: random.span(Duration::from_millis(1), Duration::from_millis(80)),
        jitter: random.span(Duration::ZERO, Duration::from_millis(150)),
        loss: Rate::basis_points(u32::try_from(random.below(800)).unwrap_or(0)),
        duplication: Rate::basis_points(u32::try_from(random.below(500)).unwrap_or(0)),
    };
    (plan.to_server, plan.to_device) = (direction(), direction());
    // A third of the runs has a good network, where other faults show by themselves.
    if random.chance(Rate::percent(33)) {
        for direction in [&mut plan.to_server, &mut plan.to_device] {
            (direction.loss, direction.duplication) = (Rate::ZERO, Rate::ZERO);
        }
    }
    plan.commit_time = random.span(Duration::ZERO, Duration::from_millis(30));
    if random.chance(Rate::percent(30)) {
        let delay = |from, millis, one_element| ServerDelay {
            from: Rate::percent(from),
            delay: Duration::from_millis(millis),
            one_element,
        };
        let slow = random.between(50, 900);
        plan.server_delays =
            vec![delay(30, slow, true), delay(50, slow, false), delay(70, 0, false)];
    }
}

fn draw_crash(random: &mut Random) -> Crash {
    match random.below(3) {
        0 => Crash::BeforeCommit(random.between(1, 120)),
        1 => Crash::AfterCommit(random.between(1, 120)),
        _ => Crash::AtStep(random.between(50, 6_000)),
    }
}

fn draw_orders(plan: &mut Plan, random: &mut Random) {
    let policy = draw_policy(random);
    let second = Duration::from_secs(1);
    let first = random.span(second, 10 * second);
    let shape = random.below(10);
    let start = |wanted: bool| wanted.then(|| Box::new(policy.clone()));
    // Two hops when the second release needs the first, which then need not be started itself.
    let two_hops = shape < 3;
    plan.orders
        .push((first, firmware(SAMPLE_VERSION, ">=1.0.0, <1.1.0", start(!two_hops), random)));
    if two_hops {
        let later = first + random.span(second, 3 * second);
        plan.orders.push((later, firmware("2.0.0", ">=1.1.0, <2.0.0", start(true), random)));
    }
    if shape.is_multiple_of(3) {
        let later = first + random.span(Duration::ZERO, 20 * second);
        plan.orders.push((later, configuration(start(true))));
    }
    if random.chance(Rate::percent(25)) {
        let at = first + random.span(second, 20 * second);
        plan.orders.push((at, Order::Pause));
        plan.orders.push((at + random.span(second, 60 * second), Order::Resume));
    }
    if random.chance(Rate::percent(10)) {
        plan.orders.push((first + random.span(second, 60 * second), Order::Abort));
    }
    if random.chance(Rate::percent(20)) {
        let device = usize::try_from(random.below(plan.profiles.len() as u64)).unwrap_or(0);
        let at = random.span(second, 20 * second);
        plan.orders.push((at, Order::Hold(device)));
        plan.orders.push((at + random.span(second, 90 * second), Order::Release(device)));
    }
    plan.orders.sort_by_key(|(at, _)| *at);
}

fn draw_policy(random: &mut Random) -> Policy {
    let strategy = *random.one(&[
        Strategy::Linear { add: 3 },
        Strategy::Power { exponent: 2 },
        Strategy::Polynomial { linear: 1, square: 1 },
        Strategy::Exponential { factor: Rate::percent(200) },
    ]);
    let mut policy = Policy {
        strategy,
        first_speed: u32::try_from(random.between(1, 3)).unwrap_or(1),
        speed_max: Rate::percent(u32::try_from(random.between(20, 60)).unwrap_or(25)),
        window_devices_min: u32::try_from(random.between(3, 10)).unwrap_or(10),
        retry: Retry {
            attempts_max: u32::try_from(random.between(1, 3)).unwrap_or(3),
            backoff: Span::secs(random.between(5, 20)),
            backoff_max: Span::secs(60),
        },
        linger: Span::secs(random.between(60, 400)),
        parallel_max: *random.one(&[3, 10_000]),
        must_reach_all: random.chance(Rate::percent(10)),
        ..Policy::threshold()
    };
    if random.chance(Rate::percent(60)) {
        let lax = Rate::percent(50);
        policy.tolerated_errors = PerPhase { test: lax, cautious: lax, generalization: lax };
    }
    if random.chance(Rate::percent(10)) {
        let stage = |percent, secs| Stage { share: Rate::percent(percent), wait: Span::secs(secs) };
        policy.rule = Rule::Plan { stages: vec![stage(10, 20), stage(30, 10)] };
    }
    policy
}

fn firmware(version: &str, from: &str, start: Option<Box<Policy>>, random: &mut Random) -> Order {
    let mut defects = Vec::new();
    if random.chance(Rate::percent(15)) {
        let kind = *random.one(&[
            DefectKind::UpdateFails,
            DefectKind::Silent,
            DefectKind::ClaimsSuccess,
            DefectKind::ErrorCode,
        ]);
        let share = Rate::percent(u32::try_from(random.between(10, 60)).unwrap_or(10));
        defects.push(Defect { kind, share, hardware: None });
    }
    let body_bytes = usize::try_from(random.between(500, 6_000)).unwrap_or(500);
    let image = Image::build_with(version, &[], &defects, body_bytes, random.number());
    let delivery = *random.one(&["auto", "auto", "auto", "push"]);
    let within_s = random.between(30, 90);
    let soak_s = *random.one(&[0, 0, 3, 10]);
    let manifest = format!(
        "manifest = 1\n[release]\nname = \"ws200-firmware\"\nversion = \"{version}\"\n\
         class = \"major\"\n{TARGET}[[artifact]]\nsize = {}\nsha256 = \"{}\"\nfile = \"image\"\n\
         delivery = \"{delivery}\"\n[[upgrade]]\nfrom = \"{from}\"\n[requires]\n\
         battery = {{ percent = 40, or_external_power = true }}\nlink = {{ min_rssi_dbm = -105 }}\n\
         [confirm]\nwithin = \"{within_s}s\"\nsoak = \"{soak_s}s\"\n[[guard]]\n\
         name = \"free memory\"\npath = \"/3/0/10\"\nexpect = {{ min_percent_of_baseline = 80 }}\n",
        image.len(),
        digest(&image),
        TARGET = target(),
    );
    Order::Publish { manifest, image: Some(image), start }
}

fn configuration(start: Option<Box<Policy>>) -> Order {
    let manifest = format!(
        "manifest = 1\n[release]\nname = \"ws200-settings\"\nversion = \"1.0\"\n\
         class = \"critical\"\n{TARGET}[[write]]\npath = \"/3/0/15\"\nvalue = \"Europe/Paris\"\n",
        TARGET = target(),
    );
    Order::Publish { manifest, image: None, start }
}

fn target() -> String {
    format!("[[target]]\nmanufacturer = \"{SAMPLE_MANUFACTURER}\"\nmodel = \"{SAMPLE_MODEL}\"\n")
}
