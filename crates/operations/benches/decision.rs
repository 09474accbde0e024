//! What a decision costs in an operation with a million devices.
//!
//! `cargo bench -p operations --bench decision [-- DEVICES [LOOKS]]` drives the three loops as the
//! server does, with every device under them, in virtual time: devices call, are told to install
//! and prove it. Timed is the activation in which a look is taken and decided on, apart from what
//! devices cause between looks. The bar is a millisecond (engine.md, section 5). One pass over
//! the fleet's table of devices is the reference, in the same run.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints what it found"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{
    Datamodel, Device, DeviceId, EndpointName, Evidence, Fleet, Manifest, Policy, Presence,
    Progress, Record, Rule, Time, Version,
};
use operations::{Config, Dispatch, Loops, Output};

/// Devices when nothing else is asked for.
const DEVICES: u64 = 1_000_000;
/// Looks when nothing else is asked for: eight hours.
const LOOKS: usize = 100;
/// How often the same is done.
const ROUNDS: usize = 3;
/// Step of virtual time.
const STEP_S: u64 = 60;
/// Time between two contacts of a device.
const CONTACT_S: u64 = 1_800;
/// Steps an installation takes.
const INSTALL_STEPS: u64 = 10;
/// The bar.
const BAR: Duration = Duration::from_millis(1);

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let devices = numbers.first().copied().unwrap_or(DEVICES);
    let looks = numbers.get(1).map_or(LOOKS, |looks| usize::try_from(*looks).unwrap_or(LOOKS));
    for strata in [3, 64] {
        let mut best: Option<Found> = None;
        for _ in 0..ROUNDS {
            let found = Field::run(devices, strata, looks);
            best = Some(match best {
                None => found,
                Some(best) => best.or_faster(found),
            });
        }
        if let Some(best) = best {
            best.print(devices, strata);
        }
    }
}

/// What a round found. All rounds do the same, so the least time of each look is what it costs;
/// more is what others did on the machine meanwhile.
struct Found {
    /// Identification of the fleet.
    identify: Duration,
    /// The first decision, when every device finds its arm.
    start: Duration,
    /// One pass over the table of devices.
    pass: Duration,
    looks: Vec<Look>,
    decisions: u64,
    minutes: u64,
}

/// An activation with a look.
#[derive(Clone, Copy)]
struct Look {
    time: Duration,
    granted: u64,
}

impl Found {
    fn or_faster(mut self, other: Self) -> Self {
        self.identify = self.identify.min(other.identify);
        self.start = self.start.min(other.start);
        self.pass = self.pass.min(other.pass);
        for (one, other) in self.looks.iter_mut().zip(other.looks) {
            one.time = one.time.min(other.time);
        }
        self
    }

    fn print(&self, devices: u64, strata: u64) {
        let quiet = self.looks.iter().filter(|look| look.granted == 0).map(|look| look.time);
        let mut quiet: Vec<Duration> = quiet.collect();
        quiet.sort_unstable();
        let at = |share: usize| {
            let at = (quiet.len() * share / 100).min(quiet.len().saturating_sub(1));
            quiet.get(at).map_or(0, Duration::as_micros)
        };
        let count = u32::try_from(quiet.len().max(1)).unwrap_or(1);
        let mean = quiet.iter().sum::<Duration>() / count;
        println!(
            "{devices} devices, {strata} strata, {} looks in {} minutes, {} decisions",
            self.looks.len(),
            self.minutes,
            self.decisions
        );
        println!(
            "  look and decision    mean {} µs, median {}, 99 % below {}, worst {}: {} without grants",
            mean.as_micros(),
            at(50),
            at(99),
            at(100),
            quiet.len()
        );
        let granting = self.looks.iter().filter(|look| look.granted > 0);
        let granted: u64 = granting.clone().map(|look| look.granted).sum();
        let time: Duration = granting.map(|look| look.time).sum();
        println!(
            "  look with grants     {:.1} µs a device, {granted} devices",
            time.as_secs_f64() * 1e6 / granted.max(1) as f64
        );
        println!(
            "  once                 identification {} ms, start {} ms",
            self.identify.as_millis(),
            self.start.as_millis()
        );
        println!(
            "  reference            a pass over the devices {} µs, {:.1} times a decision",
            self.pass.as_micros(),
            self.pass.as_secs_f64() / mean.as_secs_f64().max(1e-9)
        );
        let word = if mean <= BAR { "met" } else { "not met" };
        println!("  bar                  {} ms a decision: {word}", BAR.as_millis());
    }
}

/// A fleet, the loops, and the devices that are on their way.
struct Field {
    loops: Loops,
    fleet: Fleet,
    now: Time,
    step: u64,
    // Orders by the step in which they are done.
    orders: BTreeMap<u64, Vec<Dispatch>>,
    looks: Vec<Look>,
    decisions: u64,
    is_over: bool,
}

impl Field {
    fn run(devices: u64, strata: u64, looks: usize) -> Found {
        let now = Time::from_secs(1_795_996_800);
        let mut fleet = Fleet::new();
        (1..=devices).for_each(|id| fleet.insert(device(id, strata, now)));
        let rule = Rule::Evidence(Evidence::default());
        let policy = Policy { rule, ..Policy::default() };
        let mut field = Self {
            loops: Loops::new(Config::default()),
            fleet,
            now,
            step: 0,
            orders: BTreeMap::new(),
            looks: Vec::new(),
            decisions: 0,
            is_over: false,
        };
        let pass = field.pass();
        let begun = Instant::now();
        let opened =
            field.loops.publish(manifest(), "benchmark", Some(policy), &field.fleet, 7, now);
        opened.expect("the manifest and the policy are sound");
        let identify = begun.elapsed();
        let start = field.activate();
        // The first look is part of the start.
        field.looks.clear();
        while field.looks.len() < looks && !field.is_over {
            field.step();
        }
        let Self { looks, decisions, step: minutes, .. } = field;
        Found { identify, start, pass, looks, decisions, minutes }
    }

    /// One pass over the table of devices.
    fn pass(&self) -> Duration {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let begun = Instant::now();
                let online = self.fleet.iter().filter(|it| it.presence == Presence::Online);
                std::hint::black_box(online.map(|it| it.lifetime.as_secs()).sum::<u64>());
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    }

    /// A minute passes: a part of the fleet calls, some devices prove their update, and the
    /// loops are activated before a look is due and when it is.
    fn step(&mut self) {
        self.step += 1;
        let before = self.now + Duration::from_secs(STEP_S) - Duration::from_millis(1);
        self.now = before;
        let parts = CONTACT_S / STEP_S;
        let count = self.fleet.len() as u64;
        let mut id = 1 + self.step % parts;
        while id <= count {
            if let Some(device) = self.fleet.device_mut(DeviceId(id)) {
                device.last_seen = before;
            }
            let gap = Some(Duration::from_secs(CONTACT_S));
            self.loops.contact(DeviceId(id), gap, &self.fleet, before);
            id += parts;
        }
        // What the contacts cause is no part of the look that a last proof brings about.
        self.activate();
        for order in self.orders.remove(&self.step).unwrap_or_default() {
            self.carry_out(&order);
        }
        self.activate();
        self.now = before + Duration::from_millis(1);
        self.activate();
    }

    fn carry_out(&mut self, order: &Dispatch) {
        let Dispatch { operation, device, attempt, .. } = *order;
        let new = Version::new("2.0.0");
        let proof = Progress::Reported { version: Some(new.clone()), claims_success: Some(true) };
        let steps = [
            Progress::Sent,
            Progress::Accepted,
            Progress::Transferred,
            Progress::Claimed,
            Progress::Returned,
            proof,
        ];
        for progress in steps {
            if matches!(progress, Progress::Reported { .. })
                && let Some(known) = self.fleet.device_mut(device)
            {
                known.version = Some(new.clone());
                known.last_seen = self.now;
            }
            self.loops.report(operation, device, attempt, progress, &self.fleet, self.now);
        }
        self.loops.device_changed(device, &self.fleet, self.now);
    }

    /// Runs the loops; notes the time when they looked, and returns it in any case.
    fn activate(&mut self) -> Duration {
        let begun = Instant::now();
        self.loops.activate(&self.fleet, self.now);
        let time = begun.elapsed();
        let (mut looked, mut granted) = (false, 0);
        while let Some(output) = self.loops.poll_output() {
            match output {
                Output::Record(Record::Look(_)) => looked = true,
                Output::Record(Record::Decision(_)) => self.decisions += 1,
                Output::Record(Record::Grant(grant)) => granted += grant.devices.len() as u64,
                Output::Record(Record::Operation(row)) => self.is_over = row.state.is_final(),
                Output::Dispatch(order) => {
                    self.orders.entry(self.step + INSTALL_STEPS).or_default().push(order);
                }
                _ => {}
            }
        }
        if looked {
            self.looks.push(Look { time, granted });
        }
        time
    }
}

fn device(id: u64, strata: u64, now: Time) -> Device {
    let name = format!("urn:dev:{id}");
    // Multiplying spreads neighbours over all strata.
    let stratum = id.wrapping_mul(2_654_435_761) % strata;
    Device {
        id: DeviceId(id),
        endpoint: EndpointName::new(&name).expect("it is short and plain"),
        manufacturer: Some("Acme".into()),
        model: Some("Sensor".into()),
        hardware: Some(format!("rev-{stratum}").into()),
        version: Some(Version::new("1.0.0")),
        site: None,
        presence: Presence::Online,
        lifetime: Duration::from_secs(3_600),
        first_seen: now,
        last_seen: now,
        registrations: 1,
        configurations: BTreeMap::new(),
        hold: None,
        habit: model::Habit::default(),
        consents: BTreeMap::new(),
        datamodel: Datamodel::default(),
    }
}

fn manifest() -> Manifest {
    let text = format!(
        "manifest = 1\n[release]\nname = \"sensor\"\nversion = \"2.0.0\"\nclass = \"minor\"\n\
         [[target]]\nmanufacturer = \"Acme\"\nmodel = \"Sensor\"\n\
         [[artifact]]\nsize = 1000\nsha256 = \"{}\"\nfile = \"image.bin\"\n",
        "ab".repeat(32)
    );
    Manifest::from_toml(&text).expect("it is sound")
}
