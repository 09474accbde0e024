//! What makes one simulated device different from the next.

use std::time::Duration;

use lwm2m::firmware::{Delivery, UpdateResult};
use serde::{Deserialize, Serialize};

use crate::image::DefectKind;

/// The make, the condition and the habits of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Name it registers with.
    pub endpoint: String,
    /// Decides everything chance has a part in.
    pub seed: u64,
    /// Manufacturer, `/3/0/0`.
    pub manufacturer: String,
    /// Model, `/3/0/1`.
    pub model: String,
    /// Hardware revision, `/3/0/18`.
    pub hardware: String,
    /// Version from the factory, `/3/0/3`.
    pub version: String,
    /// How it takes images, `/5/0/9`.
    pub delivery: Delivery,
    /// Its battery; none on mains.
    pub battery: Option<Battery>,
    /// Its radio.
    pub signal: Signal,
    /// Free storage in KiB, `/3/0/10`.
    pub memory_free_kib: i64,
    /// Storage in KiB, `/3/0/21`.
    pub memory_total_kib: i64,
    /// Set when it sleeps between contacts.
    pub sleep: Option<Sleep>,
    /// Time before it shows up for the first time.
    pub arrives_after: Duration,
    /// Set when it goes away for a while.
    pub leaves: Option<Leave>,
    /// Registration lifetime in seconds.
    pub lifetime_s: u32,
    /// Time it takes to write an image to flash.
    pub flash_time: Duration,
    /// Time from the restart to the first datagram; it is silent and has no socket.
    pub boot_time: Duration,
    /// Whether Update Result is 0 after a restart: some real devices keep it in memory only.
    pub forgets_result: bool,
    /// Results its next downloads end with before one works, first one first.
    pub download_faults: Vec<UpdateResult>,
    /// What goes wrong with every image it installs, whatever the image is like.
    pub defect: Option<DefectKind>,
    /// Set when the network fails it for a while.
    pub outage: Option<Outage>,
}

impl Profile {
    /// A healthy mains-powered device of the sample model that shows up at once.
    #[must_use]
    pub fn new(endpoint: &str, version: &str, seed: u64) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            seed,
            manufacturer: SAMPLE_MANUFACTURER.to_owned(),
            model: SAMPLE_MODEL.to_owned(),
            hardware: "A".to_owned(),
            version: version.to_owned(),
            delivery: Delivery::Both,
            battery: None,
            signal: Signal { dbm: -72, recovers: None },
            memory_free_kib: 512,
            memory_total_kib: 1_024,
            sleep: None,
            arrives_after: Duration::ZERO,
            leaves: None,
            lifetime_s: 60,
            flash_time: Duration::from_millis(500),
            boot_time: Duration::from_millis(1_200),
            forgets_result: false,
            download_faults: Vec::new(),
            defect: None,
            outage: None,
        }
    }
}

/// A battery whose charge changes in steps, one notification each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// Charge at the start in percent.
    pub percent: i64,
    /// Percent gained, or lost when below 0, in each step; it stays within 1 and 100.
    pub step_percent: i64,
    /// Time between two steps.
    pub every: Duration,
}

impl Battery {
    /// Charge in percent that long after the start.
    #[must_use]
    pub fn percent_after(&self, time: Duration) -> i64 {
        let steps = i64::try_from(self.steps_after(time)).unwrap_or(i64::MAX);
        self.percent.saturating_add(self.step_percent.saturating_mul(steps)).clamp(1, 100)
    }

    /// Time after the start of the step that follows, unless nothing changes any more.
    #[must_use]
    pub fn next_step_after(&self, time: Duration) -> Option<Duration> {
        let percent = self.percent_after(time);
        let still = self.step_percent == 0
            || (self.step_percent > 0 && percent == 100)
            || (self.step_percent < 0 && percent == 1);
        let steps = u32::try_from(self.steps_after(time)).ok()?.checked_add(1)?;
        if still { None } else { self.every.checked_mul(steps) }
    }

    fn steps_after(&self, time: Duration) -> u128 {
        time.as_nanos() / self.every.as_nanos().max(1)
    }
}

/// A radio link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Received signal strength at the start in dBm, `/4/0/2`.
    pub dbm: i64,
    /// Time after which it has another strength, and that strength in dBm.
    pub recovers: Option<(Duration, i64)>,
}

impl Signal {
    /// Strength in dBm that long after the start.
    #[must_use]
    pub fn dbm_after(&self, time: Duration) -> i64 {
        match self.recovers {
            Some((after, dbm)) if time >= after => dbm,
            _ => self.dbm,
        }
    }
}

/// Queue mode (LwM2M Core 1.1, 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sleep {
    /// Time between two Updates by which it says that it listens.
    pub wake_every: Duration,
    /// Time it listens after the last contact, in seconds.
    pub awake_s: u32,
}

/// An absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// Time after its arrival; a device that is being updated then stays.
    pub after: Duration,
    /// Time it is away.
    pub away: Duration,
    /// Whether it deregisters; otherwise it is gone from one moment to the next.
    pub says_goodbye: bool,
}

/// A time without network: the device goes on, and no datagram passes in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Time after the start of the fleet.
    pub after: Duration,
    /// Time until the network is back.
    pub lasts: Duration,
}

impl Outage {
    /// Whether nothing passes that long after the start of the fleet.
    #[must_use]
    pub fn holds_at(&self, time: Duration) -> bool {
        time >= self.after && time < self.after + self.lasts
    }
}

/// What a device keeps over restarts and power cuts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Version that runs at the next boot.
    pub version: String,
    /// How the last installation went, as a value of `/5/0/5`.
    pub result: i64,
    /// What the running image does to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defect: Option<DefectKind>,
    /// Version before the installation, until the device has booted for the first time after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Flash {
    /// What a device has in its flash when it leaves the factory.
    #[must_use]
    pub fn factory(profile: &Profile) -> Self {
        Self { version: profile.version.clone(), result: 0, defect: None, before: None }
    }

    /// Whether it never boots again.
    #[must_use]
    pub fn is_bricked(&self) -> bool {
        self.defect == Some(DefectKind::Silent)
    }
}

/// Manufacturer of the devices the sample release is for.
pub const SAMPLE_MANUFACTURER: &str = "ACME";
/// Model of the devices the sample release is for.
pub const SAMPLE_MODEL: &str = "WS-200";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batteries_charge_and_drain_in_steps() {
        let second = Duration::from_secs(1);
        let check = |battery: Battery, at_s: u32, percent: i64, next_s: Option<u32>| {
            assert_eq!(battery.percent_after(second * at_s), percent, "{battery:?} {at_s}");
            let next = next_s.map(|next_s| second * next_s);
            assert_eq!(battery.next_step_after(second * at_s), next, "{battery:?} {at_s}");
        };
        let charging = Battery { percent: 20, step_percent: 10, every: 2 * second };
        check(charging, 0, 20, Some(2));
        check(charging, 1, 20, Some(2));
        check(charging, 2, 30, Some(4));
        check(charging, 15, 90, Some(16));
        check(charging, 16, 100, None);
        check(charging, 99, 100, None);
        let draining = Battery { percent: 3, step_percent: -1, every: second };
        check(draining, 1, 2, Some(2));
        check(draining, 50, 1, None);
    }
}
