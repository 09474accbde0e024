//! The sample fleets: who is in them, what their network and their image are like.
//!
//! Times are scaled so that 150 devices, calm, are brought up to date within a minute.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use lwm2m::firmware::Delivery;
use model::Rate;

use crate::device::{
    Battery, Leave, Outage, Profile, SAMPLE_MANUFACTURER, SAMPLE_MODEL, Signal, Sleep,
};
use crate::image::{Defect, DefectKind, Image, digest};
use crate::random::{Random, mix};

/// A sample fleet with its weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scenario {
    /// Nothing special happens.
    #[default]
    Calm,
    /// The server's response time worsens and improves in the course of the operation (paper A
    /// §IV-B); the devices are those of [`Calm`](Self::Calm).
    SlowServer,
    /// The sample image makes devices fail after their restart.
    BadFirmware,
    /// The devices' radio loses and repeats datagrams.
    FlakyRadio,
    /// The sample image makes the devices of one hardware revision fail.
    BadRevision,
    /// The network fails some of the devices for a while, updated or not.
    NetworkOutage,
    /// The sample image makes devices fail when most of them run it already.
    LateFault,
}

/// A share of a population and what it is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many of the devices.
    pub share: Rate,
    /// What they are like.
    pub who: &'static str,
}

/// What the devices' radio does to datagrams, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Radio {
    /// Share that vanishes.
    pub loss: Rate,
    /// Share that arrives twice.
    pub duplication: Rate,
}

/// How late a server answers from a share of the targets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateAnswers {
    /// From this share on.
    pub from: Rate,
    /// That much later than it could.
    pub late: Duration,
    /// For the element that begins there only.
    pub one_element: bool,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 7] = [
        Self::Calm,
        Self::SlowServer,
        Self::BadFirmware,
        Self::FlakyRadio,
        Self::BadRevision,
        Self::NetworkOutage,
        Self::LateFault,
    ];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::SlowServer => "slow-server",
            Self::BadFirmware => "bad-firmware",
            Self::FlakyRadio => "flaky-radio",
            Self::BadRevision => "bad-revision",
            Self::NetworkOutage => "network-outage",
            Self::LateFault => "late-fault",
        }
    }

    /// What happens, in one sentence.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Calm => "Every part works; devices come, go, sleep and charge.",
            Self::SlowServer => {
                "The server of `dev` answers 40 ms late, 25 ms from 27 %, 12 ms from 55 % and at \
                 once from 90 % of the targets on, and 120 ms late for the one element that begins \
                 at 35 % and the one at 65 %."
            }
            Self::BadFirmware => {
                "50 % of the devices report a failed installation of the sample image, 25 % never \
                 come back."
            }
            Self::FlakyRadio => "Each datagram is lost with 3 % and doubled with 2 % probability.",
            Self::BadRevision => {
                "60 % of the devices of hardware revision C report a failed installation of the \
                 sample image, the other 40 % never come back; the other revisions take it well."
            }
            Self::NetworkOutage => {
                "10 % of the devices, updated or not, have no network from 12 s to 24 s after the \
                 start."
            }
            Self::LateFault => {
                "25 to 35 s after a device has booted the sample image, it crashes for the first \
                 time, and 6 s after each further boot again. The next release, which rests on the \
                 sample release, is on its way by then."
            }
        }
    }

    /// Who is in the fleet. Shares of the same kind of device are rounded to whole devices;
    /// the special ones are chosen among the sample devices with the version before the sample
    /// release, and none of them is special in two ways.
    pub const SHARES: &[Share] = &[
        OTHER_MODEL,
        OTHER_MANUFACTURER,
        UP_TO_DATE,
        TOO_OLD,
        LOW_BATTERY,
        WEAK_SIGNAL,
        ASLEEP,
        LATE,
        LEAVING,
        PUSH_ONLY,
        PULL_ONLY,
        ON_BATTERY,
        FORGETFUL,
    ];

    /// Makes the profiles of `count` devices; the same arguments give the same devices.
    #[must_use]
    pub fn profiles(self, count: usize, seed: u64) -> Vec<Profile> {
        let mut random = Random::of(seed, "profiles");
        let mut profiles: Vec<Profile> = (0..count).map(|at| plain(at, seed)).collect();
        let order = shuffled(count, &mut random);
        let mut kinds = Deal { order: &order, dealt: 0, count };
        kinds.deal(OTHER_MODEL, |at| SAMPLE_OTHER_MODEL.clone_into(&mut profiles[at].model));
        kinds.deal(OTHER_MANUFACTURER, |at| {
            "Borealis".clone_into(&mut profiles[at].manufacturer);
            "HT-7".clone_into(&mut profiles[at].model);
            "2.4".clone_into(&mut profiles[at].version);
        });
        kinds.deal(UP_TO_DATE, |at| SAMPLE_VERSION.clone_into(&mut profiles[at].version));
        kinds.deal(TOO_OLD, |at| "0.9.0".clone_into(&mut profiles[at].version));
        // The rest is what the sample release is for; special conditions are dealt among them.
        kinds.deal(LOW_BATTERY, |at| low_battery(&mut profiles[at], &mut random));
        kinds.deal(WEAK_SIGNAL, |at| weak_signal(&mut profiles[at], &mut random));
        kinds.deal(ASLEEP, |at| {
            let wake_every = random.span(Duration::from_secs(4), Duration::from_secs(8));
            profiles[at].sleep = Some(Sleep { wake_every, awake_s: 2 });
        });
        kinds.deal(LATE, |at| {
            profiles[at].arrives_after =
                random.span(Duration::from_secs(3), Duration::from_secs(20));
        });
        kinds.deal(LEAVING, |at| {
            profiles[at].leaves = Some(Leave {
                after: random.span(Duration::from_millis(1_500), Duration::from_secs(6)),
                away: random.span(Duration::from_secs(6), Duration::from_secs(15)),
                says_goodbye: random.chance(Rate::percent(50)),
            });
        });
        let mut habits = shuffled(count, &mut random);
        // Sleepers last: to repeat one lost block of a push may take longer than they listen.
        habits.sort_by_key(|at| profiles[*at].sleep.is_some());
        let mut habits = Deal { order: &habits, dealt: 0, count };
        habits.deal(PUSH_ONLY, |at| profiles[at].delivery = Delivery::Push);
        habits.deal(PULL_ONLY, |at| profiles[at].delivery = Delivery::Pull);
        let minds = shuffled(count, &mut random);
        Deal { order: &minds, dealt: 0, count }
            .deal(FORGETFUL, |at| profiles[at].forgets_result = true);
        // Drawn last: the devices are those of the other scenarios.
        if let Some((share, outage)) = self.outage() {
            let unlucky = shuffled(count, &mut random);
            Deal { order: &unlucky, dealt: 0, count }
                .deal(share, |at| profiles[at].outage = Some(outage));
        }
        profiles
    }

    /// Whom the network fails, and when.
    #[must_use]
    pub const fn outage(self) -> Option<(Share, Outage)> {
        match self {
            Self::NetworkOutage => Some((CUT_OFF, OUTAGE)),
            Self::Calm
            | Self::SlowServer
            | Self::BadFirmware
            | Self::FlakyRadio
            | Self::BadRevision
            | Self::LateFault => None,
        }
    }

    /// What the devices' radio does.
    #[must_use]
    pub const fn radio(self) -> Radio {
        match self {
            Self::FlakyRadio => Radio { loss: Rate::percent(3), duplication: Rate::percent(2) },
            Self::Calm
            | Self::SlowServer
            | Self::BadFirmware
            | Self::BadRevision
            | Self::NetworkOutage
            | Self::LateFault => Radio { loss: Rate::ZERO, duplication: Rate::ZERO },
        }
    }

    /// How late the server answers on purpose, by the share of the targets that is done, in
    /// ascending order.
    #[must_use]
    pub const fn late_answers(self) -> &'static [LateAnswers] {
        match self {
            Self::SlowServer => LATE_ANSWERS,
            Self::Calm
            | Self::BadFirmware
            | Self::FlakyRadio
            | Self::BadRevision
            | Self::NetworkOutage
            | Self::LateFault => &[],
        }
    }

    /// Wait before either side sends a message again (RFC 7252 section 4.8). A device in a bad
    /// network loses dozens of messages on the way to its image; with the protocol's two seconds
    /// each, that would make a trial of minutes.
    #[must_use]
    pub const fn ack_timeout(self) -> Duration {
        match self {
            Self::FlakyRadio => Duration::from_millis(500),
            Self::Calm
            | Self::SlowServer
            | Self::BadFirmware
            | Self::BadRevision
            | Self::NetworkOutage
            | Self::LateFault => Duration::from_secs(2),
        }
    }

    /// The image of the sample release, of about 48 KiB.
    #[must_use]
    pub fn image(self) -> Bytes {
        let defect = |kind, percent, hardware: Option<&str>| Defect {
            kind,
            share: Rate::percent(percent),
            hardware: hardware.map(str::to_owned),
        };
        let bad = Some(BAD_REVISION);
        let defects = match self {
            Self::BadFirmware => {
                vec![
                    defect(DefectKind::UpdateFails, 50, None),
                    defect(DefectKind::Silent, 25, None),
                ]
            }
            Self::BadRevision => {
                vec![defect(DefectKind::UpdateFails, 60, bad), defect(DefectKind::Silent, 40, bad)]
            }
            Self::LateFault => vec![defect(DefectKind::CrashLoops, 100, None)],
            Self::Calm | Self::SlowServer | Self::FlakyRadio | Self::NetworkOutage => Vec::new(),
        };
        Image::build_with(SAMPLE_VERSION, &[], &defects, IMAGE_BODY_BYTES, 1)
    }

    /// The image that most sample devices come with, to go back to.
    #[must_use]
    pub fn image_before() -> Bytes {
        Image::build(SAMPLE_VERSION_BEFORE, IMAGE_BODY_BYTES, 0)
    }

    /// The image of the release that rests on the sample release, in the scenario that has one.
    /// Nothing is wrong with it.
    #[must_use]
    pub fn image_later(self) -> Option<Bytes> {
        (self == Self::LateFault).then(|| Image::build(SAMPLE_VERSION_LATER, IMAGE_BODY_BYTES, 2))
    }

    /// The manifest of the release that most sample devices come with in TOML, for an image that
    /// lies in `file` next to it.
    #[must_use]
    pub fn manifest_before(file: &str) -> String {
        manifest(&Sample {
            remark: "What most sample devices come with. Published, so that there is a way back to \
                     it.",
            version: SAMPLE_VERSION_BEFORE,
            class: "major",
            summary: "Firmware that the simulated weather stations come with",
            from: &format!(">=0.9.5, <{SAMPLE_VERSION_BEFORE}"),
            image: &Self::image_before(),
            file,
        })
    }

    /// The manifest of the sample release in TOML, for an image that lies in `file` next to it.
    #[must_use]
    pub fn manifest(self, file: &str) -> String {
        let text = manifest(&Sample {
            remark: "The sample release: brings the sample devices from 1.0.0 to 1.1.0.",
            version: SAMPLE_VERSION,
            class: "major",
            summary: "Sample release of the simulated weather stations",
            from: &format!(">=1.0.0, <{SAMPLE_VERSION}"),
            image: &self.image(),
            file,
        });
        text + "\n[[guard]]\n\
             name   = \"free memory\"\n\
             path   = \"/3/0/10\"\n\
             expect = { min_percent_of_baseline = 80 }\n"
    }

    /// The manifest of the release that rests on the sample release, in the scenario that has
    /// one: only devices that run the sample release can take it.
    #[must_use]
    pub fn manifest_later(self, file: &str) -> Option<String> {
        let image = self.image_later()?;
        Some(manifest(&Sample {
            remark: "Rests on the sample release: brings devices from 1.1.0 to 1.2.0.",
            version: SAMPLE_VERSION_LATER,
            class: "minor",
            summary: "Next release of the simulated weather stations",
            from: &format!(">={SAMPLE_VERSION}, <{SAMPLE_VERSION_LATER}"),
            image: &image,
            file,
        }))
    }
}

/// What the manifests of the sample fleet differ in.
struct Sample<'a> {
    remark: &'a str,
    version: &'a str,
    class: &'a str,
    summary: &'a str,
    from: &'a str,
    image: &'a [u8],
    file: &'a str,
}

fn manifest(sample: &Sample<'_>) -> String {
    let Sample { remark, version, class, summary, from, image, file } = sample;
    format!(
        "# {remark}\n\
         manifest = 1\n\n\
         [release]\n\
         name    = \"ws200-firmware\"\n\
         version = \"{version}\"\n\
         class   = \"{class}\"\n\
         summary = \"{summary}\"\n\n\
         [[target]]\n\
         manufacturer = \"{SAMPLE_MANUFACTURER}\"\n\
         model        = \"{SAMPLE_MODEL}\"\n\
         hardware     = [\"A\", \"B\", \"C\"]\n\n\
         [[artifact]]\n\
         size   = {}\n\
         sha256 = \"{}\"\n\
         file   = \"{file}\"\n\n\
         [[upgrade]]\n\
         from = \"{from}\"\n\n\
         [requires]\n\
         battery = {{ percent = {BATTERY_NEEDED_PERCENT}, or_external_power = true }}\n\
         link    = {{ min_rssi_dbm = {SIGNAL_NEEDED_DBM} }}\n\n\
         [confirm]\n\
         within = \"20s\"\n",
        image.len(),
        digest(image),
    )
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scenario| scenario.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is not a scenario; choose one of {words}")
        })
    }
}

/// Deals shares of a population to devices in a drawn order, none to a device twice.
struct Deal<'a> {
    order: &'a [usize],
    dealt: usize,
    count: usize,
}

impl Deal<'_> {
    fn deal(&mut self, share: Share, mut give: impl FnMut(usize)) {
        let points = share.share.as_basis_points() as usize;
        // Rounded to the nearest, so that small fleets have their share as well.
        let quota = (self.count * points + 5_000) / 10_000;
        for at in self.order.iter().skip(self.dealt).take(quota) {
            give(*at);
        }
        self.dealt += quota;
    }
}

/// A sample device without anything special, the `at`-th of its fleet.
fn plain(at: usize, seed: u64) -> Profile {
    let mut random = Random::new(mix(seed).wrapping_add(at as u64));
    let mut profile =
        Profile::new(&format!("ws200-{:05}", at + 1), SAMPLE_VERSION_BEFORE, random.number());
    (*random.one(&["A", "A", "A", "B", "B", "C"])).clone_into(&mut profile.hardware);
    if random.chance(ON_BATTERY.share) {
        profile.battery = Some(Battery {
            percent: i64::try_from(random.between(60, 100)).unwrap_or(100),
            step_percent: -1,
            every: random.span(Duration::from_secs(120), Duration::from_secs(300)),
        });
    }
    profile.signal.dbm = -i64::try_from(random.between(60, 95)).unwrap_or(80);
    profile.memory_free_kib = i64::try_from(random.between(300, 700)).unwrap_or(500);
    profile.flash_time = random.span(Duration::from_millis(300), Duration::from_millis(900));
    profile.boot_time = random.span(Duration::from_millis(700), Duration::from_millis(2_000));
    // Nobody powers up a whole fleet in the same instant: about 500 devices a second.
    profile.arrives_after = Duration::from_millis(2 * at as u64);
    profile
}

fn low_battery(profile: &mut Profile, random: &mut Random) {
    // In steps of 5 % from 20 % to what is needed.
    let charged_after = random.span(Duration::from_secs(5), Duration::from_secs(20));
    let steps = u32::try_from((BATTERY_NEEDED_PERCENT - 20) / 5).unwrap_or(1);
    let every = charged_after / steps;
    profile.battery = Some(Battery { percent: 20, step_percent: 5, every });
}

fn weak_signal(profile: &mut Profile, random: &mut Random) {
    let dbm = -i64::try_from(random.between(110, 118)).unwrap_or(115);
    let after = random.span(Duration::from_secs(5), Duration::from_secs(20));
    profile.signal = Signal { dbm, recovers: Some((after, -82)) };
}

fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        let other = usize::try_from(random.below(at as u64 + 1)).unwrap_or(at);
        order.swap(at, other);
    }
    order
}

/// Version the sample release brings.
pub const SAMPLE_VERSION: &str = "1.1.0";
/// Version of the release that rests on the sample release, in the scenario that has one.
pub const SAMPLE_VERSION_LATER: &str = "1.2.0";
/// Version most sample devices come with.
pub const SAMPLE_VERSION_BEFORE: &str = "1.0.0";
const SAMPLE_OTHER_MODEL: &str = "WS-100";
const BATTERY_NEEDED_PERCENT: i64 = 40;
const SIGNAL_NEEDED_DBM: i64 = -105;
const IMAGE_BODY_BYTES: usize = 48 << 10;
/// The rarest hardware revision.
const BAD_REVISION: &str = "C";
/// In the middle of an operation that takes about 45 s, and longer than the silence after which a
/// device of `dev` counts as lost.
const OUTAGE: Outage = Outage { after: Duration::from_secs(12), lasts: Duration::from_secs(12) };
const CUT_OFF: Share =
    Share { share: Rate::percent(10), who: "without network for a while, in network-outage" };

/// Paper A's experiments (§IV-B) in one run: the response time worsens near 35 % and 65 % for one
/// element each, and improves for good at 27 %, 55 % and 90 %.
const LATE_ANSWERS: &[LateAnswers] = &[
    late(0, 40, false),
    late(27, 25, false),
    late(35, 120, true),
    late(55, 12, false),
    late(65, 120, true),
    late(90, 0, false),
];

const fn late(percent: u32, millis: u64, one_element: bool) -> LateAnswers {
    LateAnswers { from: Rate::percent(percent), late: Duration::from_millis(millis), one_element }
}

const OTHER_MODEL: Share =
    Share { share: Rate::percent(5), who: "another model of the same manufacturer, not targeted" };
const OTHER_MANUFACTURER: Share =
    Share { share: Rate::percent(3), who: "another manufacturer, not targeted" };
const UP_TO_DATE: Share = Share { share: Rate::percent(5), who: "already at 1.1.0" };
const TOO_OLD: Share =
    Share { share: Rate::percent(3), who: "at 0.9.0, from which no upgrade leads on" };
const LOW_BATTERY: Share =
    Share { share: Rate::percent(5), who: "low on battery, charged after 5 to 20 s" };
const WEAK_SIGNAL: Share =
    Share { share: Rate::percent(4), who: "weak of signal, recovered after 5 to 20 s" };
const ASLEEP: Share =
    Share { share: Rate::percent(6), who: "asleep in queue mode, awake for 2 s every 4 to 8 s" };
const LATE: Share = Share { share: Rate::percent(5), who: "arriving 3 to 20 s after the others" };
const LEAVING: Share = Share {
    share: Rate::percent(3),
    who: "leaving after 1.5 to 6 s, half of them without a word, and back out of date 6 to 15 s \
          later",
};
const PUSH_ONLY: Share =
    Share { share: Rate::percent(20), who: "taking images by push only (Block1)" };
const PULL_ONLY: Share =
    Share { share: Rate::percent(20), who: "taking images by pull only (Block2)" };
const ON_BATTERY: Share =
    Share { share: Rate::percent(60), who: "on battery, slowly draining; drawn for each device" };
const FORGETFUL: Share = Share {
    share: Rate::percent(10),
    who: "forgetting the update result when they restart, as some real devices do",
};

#[cfg(test)]
mod tests {
    use model::Manifest;

    use super::*;

    #[test]
    fn populations_have_their_shares_and_repeat() {
        for scenario in Scenario::ALL {
            let profiles = scenario.profiles(1_000, 3);
            assert_eq!(profiles, scenario.profiles(1_000, 3));
            assert_ne!(profiles, scenario.profiles(1_000, 4));
            let check = |share: Share, is: &dyn Fn(&Profile) -> bool| {
                let count = profiles.iter().filter(|profile| is(profile)).count();
                assert_eq!(count, share.share.as_basis_points() as usize / 10, "{}", share.who);
            };
            check(OTHER_MODEL, &|profile| profile.model == "WS-100");
            check(UP_TO_DATE, &|profile| profile.version == "1.1.0");
            check(TOO_OLD, &|profile| profile.version == "0.9.0");
            check(LOW_BATTERY, &|profile| {
                profile.battery.is_some_and(|battery| battery.percent < 40)
            });
            check(WEAK_SIGNAL, &|profile| profile.signal.dbm < -105);
            check(ASLEEP, &|profile| profile.sleep.is_some());
            check(LATE, &|profile| profile.arrives_after >= Duration::from_secs(3));
            check(LEAVING, &|profile| profile.leaves.is_some());
            check(PUSH_ONLY, &|profile| profile.delivery == Delivery::Push);
            check(PULL_ONLY, &|profile| profile.delivery == Delivery::Pull);
            check(FORGETFUL, &|profile| profile.forgets_result);
            let names: std::collections::BTreeSet<_> =
                profiles.iter().map(|profile| &profile.endpoint).collect();
            assert_eq!(names.len(), 1_000);
        }
        assert_eq!(Scenario::Calm.profiles(0, 1), []);
        assert_eq!(Scenario::Calm.profiles(1, 1).len(), 1);
    }

    #[test]
    fn an_outage_strikes_its_share_and_changes_nothing_else() {
        let calm = Scenario::Calm.profiles(1_000, 3);
        let cut_off = Scenario::NetworkOutage.profiles(1_000, 3);
        assert_eq!(cut_off.iter().filter(|profile| profile.outage.is_some()).count(), 100);
        let without = cut_off.into_iter().map(|profile| Profile { outage: None, ..profile });
        assert_eq!(without.collect::<Vec<_>>(), calm);
        let time = |seconds| Duration::from_secs(seconds);
        for (at, holds) in [(0, false), (11, false), (12, true), (23, true), (24, false)] {
            assert_eq!(OUTAGE.holds_at(time(at)), holds, "{at}");
        }
        for seconds in [OUTAGE.after, OUTAGE.after + OUTAGE.lasts].map(|time| time.as_secs()) {
            let words = Scenario::NetworkOutage.summary();
            assert!(words.contains(&format!("{seconds} s")), "{seconds}: {words}");
        }
    }

    #[test]
    fn the_release_before_is_no_way_up_for_the_sample_devices() {
        let manifest = Manifest::from_toml(&Scenario::manifest_before("before.bin")).unwrap();
        let image = Image::parse(&Scenario::image_before()).unwrap();
        assert_eq!(image.version, manifest.release.version.as_str());
        assert_eq!(image.defects, []);
        let from = &manifest.upgrade[0].from;
        assert!(!from.contains(&model::Version::new("0.9.0")), "a device too old stays too old");
    }

    #[test]
    fn special_devices_recover_in_time() {
        for profile in Scenario::Calm.profiles(2_000, 5) {
            let late = Duration::from_secs(21);
            if let Some(battery) = profile.battery {
                assert!(battery.percent_after(late) >= 40, "{battery:?}");
                let early = battery.percent_after(Duration::from_secs(4));
                assert!(battery.percent >= 40 || early < 40, "{battery:?}");
            }
            assert!(profile.signal.dbm_after(late) >= -105);
        }
    }

    #[test]
    fn the_sample_manifest_is_good_and_names_the_sample_image() {
        for scenario in Scenario::ALL {
            let manifest = Manifest::from_toml(&scenario.manifest("ws200-1.1.0.bin")).unwrap();
            let image = scenario.image();
            assert_eq!(manifest.artifact[0].size, image.len() as u64);
            assert_eq!(manifest.artifact[0].sha256, digest(&image));
            let parsed = Image::parse(&image).unwrap();
            assert_eq!(parsed.version, manifest.release.version.as_str());
            let bad = [Scenario::BadFirmware, Scenario::BadRevision, Scenario::LateFault];
            assert_eq!(parsed.defects.is_empty(), !bad.contains(&scenario));
        }
    }

    #[test]
    fn one_scenario_has_a_release_that_rests_on_the_sample_release() {
        for scenario in Scenario::ALL {
            let text = scenario.manifest_later("later.bin");
            assert_eq!(text.is_some(), scenario == Scenario::LateFault, "{scenario}");
            assert_eq!(text.is_some(), scenario.image_later().is_some());
            let (Some(text), Some(image)) = (text, scenario.image_later()) else { continue };
            let manifest = Manifest::from_toml(&text).unwrap();
            assert_eq!(manifest.artifact[0].sha256, digest(&image));
            let from = &manifest.upgrade[0].from;
            let steps = [(SAMPLE_VERSION_BEFORE, false), (SAMPLE_VERSION, true)];
            for (version, open) in steps {
                assert_eq!(from.contains(&model::Version::new(version)), open, "{version}");
            }
            let parsed = Image::parse(&image).unwrap();
            assert_eq!(parsed.version, manifest.release.version.as_str());
            assert_eq!(parsed.defects, []);
        }
    }

    #[test]
    fn the_words_name_every_late_answer() {
        for scenario in Scenario::ALL {
            for LateAnswers { from, late, .. } in scenario.late_answers() {
                let words = scenario.summary();
                let percent = format!("{} %", from.as_basis_points() / 100);
                assert!(*from == Rate::ZERO || words.contains(&percent), "{percent}: {words}");
                let millis = format!("{} ms", late.as_millis());
                assert!(late.is_zero() || words.contains(&millis), "{millis}: {words}");
            }
        }
    }

    #[test]
    fn scenarios_have_names() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        let error = "stormy".parse::<Scenario>().unwrap_err();
        assert!(error.contains("calm, slow-server, bad-firmware, flaky-radio"), "{error}");
    }
}
