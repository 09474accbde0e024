//! Devices that stand together: how many of a site are being changed, and who waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Device, DeviceId, Time};

use super::{Loops, Run};
use crate::mix::mix;

/// Devices that are being changed, by the site at which they were granted.
#[derive(Debug, Clone, Default)]
pub(super) struct Sites {
    of: BTreeMap<DeviceId, Arc<str>>,
    devices: BTreeMap<Arc<str>, u64>,
}

/// Devices that could be granted if their site had room, in the order in which they come.
#[derive(Debug, Clone, Default)]
pub(super) struct Parked {
    sites: BTreeMap<Arc<str>, BTreeSet<(u64, DeviceId)>>,
    of: BTreeMap<DeviceId, Arc<str>>,
}

/// When targets must be looked at again although nobody says anything of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Alarms {
    due: BTreeSet<(Time, DeviceId)>,
    of: BTreeMap<DeviceId, Time>,
}

impl Sites {
    /// A device is being changed from now on.
    pub(super) fn enter(&mut self, device: &Device) {
        let Some(site) = &device.site else { return };
        if self.of.insert(device.id, Arc::clone(site)).is_none() {
            *self.devices.entry(Arc::clone(site)).or_default() += 1;
        }
    }

    /// A device is not being changed any more. Returns its site.
    pub(super) fn leave(&mut self, device: DeviceId) -> Option<Arc<str>> {
        let site = self.of.remove(&device)?;
        if let Some(devices) = self.devices.get_mut(&site) {
            *devices -= 1;
            if *devices == 0 {
                self.devices.remove(&site);
            }
        }
        Some(site)
    }

    /// Devices of a site that are being changed.
    pub(super) fn devices(&self, site: Option<&str>) -> u64 {
        site.and_then(|site| self.devices.get(site)).copied().unwrap_or(0)
    }
}

impl Parked {
    fn insert(&mut self, site: &Arc<str>, key: (u64, DeviceId)) {
        self.remove(key);
        self.sites.entry(Arc::clone(site)).or_default().insert(key);
        self.of.insert(key.1, Arc::clone(site));
    }

    fn remove(&mut self, key: (u64, DeviceId)) {
        let Some(site) = self.of.remove(&key.1) else { return };
        if let Some(devices) = self.sites.get_mut(&site) {
            devices.remove(&key);
            if devices.is_empty() {
                self.sites.remove(&site);
            }
        }
    }
}

impl Alarms {
    /// Sets or drops the alarm of a device.
    pub(super) fn set(&mut self, device: DeviceId, at: Option<Time>) {
        let old = match at {
            Some(at) => self.of.insert(device, at),
            None => self.of.remove(&device),
        };
        if let Some(old) = old {
            self.due.remove(&(old, device));
        }
        if let Some(at) = at {
            self.due.insert((at, device));
        }
    }

    /// Takes the next device that is due.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<DeviceId> {
        let (_, device) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.set(device, None);
        Some(device)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }
}

impl Run {
    /// Keeps a device whose site has no room until it has; drops it otherwise.
    pub(super) fn park(&mut self, device: &Device, waits: bool) {
        if self.operation().policy.spread.is_none() {
            return;
        }
        let key = (mix(self.operation().seed, device.id.0), device.id);
        match &device.site {
            Some(site) if waits => self.parked.insert(site, key),
            _ => self.parked.remove(key),
        }
    }
}

impl Loops {
    /// A site may have room again: as many devices that wait for it are looked at once more, in
    /// every operation. Costs nothing for the others, however many wait.
    pub(super) fn offer_room(&mut self, site: Option<&str>) {
        let Some(site) = site else { return };
        let devices = self.sites.devices(Some(site));
        for id in &self.by_urgency {
            let Some(run) = self.runs.get(id) else { continue };
            let (Some(spread), Some(parked)) =
                (run.operation().policy.spread, run.parked.sites.get(site))
            else {
                continue;
            };
            let room = u64::from(spread.devices_max).saturating_sub(devices);
            let next = parked.iter().take(usize::try_from(room).unwrap_or(usize::MAX));
            self.dirty.extend(next.map(|(_, device)| *device));
        }
    }
}
