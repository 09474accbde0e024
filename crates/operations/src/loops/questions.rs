//! What is asked of devices outside of attempts and not answered yet.

use std::collections::{BTreeMap, BTreeSet};

use model::{DeviceId, Time};

/// Devices that were asked something, each until its answer or the end of its time.
#[derive(Debug, Default)]
pub(super) struct Questions {
    until: BTreeMap<DeviceId, Time>,
    order: BTreeSet<(Time, DeviceId)>,
}

impl Questions {
    /// A device was asked and has until then to answer.
    pub(super) fn ask(&mut self, device: DeviceId, until: Time) {
        self.answered(device);
        self.until.insert(device, until);
        self.order.insert((until, device));
    }

    /// A device answered, or will not. Says whether it was asked.
    pub(super) fn answered(&mut self, device: DeviceId) -> bool {
        let known = self.until.remove(&device);
        known.is_some_and(|until| self.order.remove(&(until, device)))
    }

    /// Until when a device that was asked may answer.
    pub(super) fn until(&self, device: DeviceId) -> Option<Time> {
        self.until.get(&device).copied()
    }

    /// How many are asked.
    pub(super) fn open(&self) -> usize {
        self.until.len()
    }

    /// When the time of the next one ends.
    pub(super) fn next_end(&self) -> Option<Time> {
        self.order.first().map(|(until, _)| *until)
    }

    /// The next device whose time is over; it is not asked any more.
    pub(super) fn pop_over(&mut self, now: Time) -> Option<DeviceId> {
        let (_, device) = self.order.first().copied().filter(|(until, _)| *until <= now)?;
        self.answered(device);
        Some(device)
    }
}
