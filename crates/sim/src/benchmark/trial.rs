//! What one operation did to each stratum, and what a look at it shows.

use std::collections::{BTreeMap, VecDeque};

use model::{Arm, HealthEventKind, HealthEvents, IndicatorLook, StratumLook, StratumName};

use super::chance::Chance;
use super::times::Times;

/// One stratum under one operation.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// Granted so far, without those to be tried again.
    pub(super) granted: u64,
    /// Granted, and waiting for a contact.
    pub(super) pending: u64,
    /// Told to install so far.
    pub(super) told: u64,
    /// Through, whatever came of them.
    pub(super) through: u64,
    /// Devices with a fault of the change, shown or not.
    pub(super) harmed: u64,
    /// Of these, those whose fault has shown.
    pub(super) shown: u64,
    /// Updated devices that are followed, by the look in which they were told.
    cohorts: VecDeque<Cohort>,
    /// Followed ones that are older than every age told apart.
    old: u64,
    /// Devices whose indicator is shifted or that crash more often, of all told.
    pub(super) shifted: u64,
    pub(super) shaken: u64,
    /// Control devices that had an event and are followed no further.
    left: u64,
    gathered: Gathered,
}

#[derive(Debug, Clone, Copy)]
struct Cohort {
    look: u64,
    devices: u64,
}

/// What was seen since the last look.
#[derive(Debug, Default)]
struct Gathered {
    updated: u64,
    failures: u64,
    successes: u64,
    // Updated devices in contact, by window, beside those drawn at the look.
    contacts: Vec<u64>,
    events: BTreeMap<(u64, u8, bool, HealthEventKind), u64>,
}

/// Ages that are told apart, in looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages {
    pub(super) look_s: f64,
    pub(super) ends_s: Vec<f64>,
}

impl Ages {
    pub(super) fn window(&self, age_s: f64) -> u8 {
        self.ends_s.iter().filter(|end| age_s >= **end).count() as u8
    }

    /// Number of the look whose time holds that moment; looks are numbered from 1.
    pub(super) fn look_of(&self, at_s: f64) -> u64 {
        (at_s / self.look_s).floor() as u64 + 1
    }

    fn windows(&self) -> usize {
        self.ends_s.len() + 1
    }

    /// Age of those told in a look, seen at the end of another.
    fn age_s(&self, told: u64, seen: u64) -> f64 {
        (seen.saturating_sub(told)) as f64 * self.look_s
    }
}

impl Trial {
    /// Devices were told to install while they were in contact.
    pub(super) fn tell(&mut self, devices: u64, ages: &Ages) {
        self.told += devices;
        self.gathered.updated += devices;
        self.contact(devices, 0, ages);
    }

    /// One came back from the installation, with the new version or with the old one.
    pub(super) fn come_back(&mut self, told: u64, look: u64, succeeded: bool, ages: &Ages) {
        if succeeded {
            self.gathered.successes += 1;
        } else {
            self.gathered.failures += 1;
        }
        if told < look {
            self.contact(1, ages.window(ages.age_s(told, look)), ages);
        }
        match self.cohorts.binary_search_by_key(&told, |cohort| cohort.look) {
            Ok(at) => self.cohorts[at].devices += 1,
            Err(at) if at == 0 && self.cohorts.front().is_some_and(|first| first.look > told) => {
                // Its cohort may have become old while it installed.
                if ages.window(ages.age_s(told, look)) as usize == ages.ends_s.len() {
                    self.old += 1;
                } else {
                    self.cohorts.push_front(Cohort { look: told, devices: 1 });
                }
            }
            Err(at) => self.cohorts.insert(at, Cohort { look: told, devices: 1 }),
        }
    }

    /// One that was told in that look is followed no further.
    pub(super) fn leave(&mut self, told: u64) {
        match self.cohorts.binary_search_by_key(&told, |cohort| cohort.look) {
            Ok(at) => {
                self.cohorts[at].devices = self.cohorts[at].devices.saturating_sub(1);
            }
            Err(_) => self.old = self.old.saturating_sub(1),
        }
    }

    /// A control device is followed no further.
    pub(super) fn leave_control(&mut self) {
        self.left += 1;
    }

    /// Draws one of the followed devices; the look in which it was told.
    pub(super) fn pick(&self, chance: &mut Chance) -> Option<u64> {
        let all = self.old + self.cohorts.iter().map(|cohort| cohort.devices).sum::<u64>();
        let mut draw = chance.below(all);
        if all == 0 {
            return None;
        }
        if draw < self.old {
            return Some(0);
        }
        draw -= self.old;
        for cohort in &self.cohorts {
            if draw < cohort.devices {
                return Some(cohort.look);
            }
            draw -= cohort.devices;
        }
        None
    }

    /// An event is found.
    pub(super) fn find(&mut self, look: u64, window: u8, arm: Arm, kind: HealthEventKind) {
        let key = (look, window, arm == Arm::Updated, kind);
        *self.gathered.events.entry(key).or_default() += 1;
    }

    /// Followed devices, by window, at the end of that look.
    pub(super) fn followed(&mut self, look: u64, ages: &Ages) -> Vec<u64> {
        let mut windows = vec![0; ages.windows()];
        let last = ages.windows() - 1;
        while let Some(first) = self.cohorts.front().copied() {
            // Those who still install come back within the hour.
            let age_s = ages.age_s(first.look, look);
            if (ages.window(age_s) as usize) < last {
                break;
            }
            self.old += first.devices;
            self.cohorts.pop_front();
        }
        windows[last] = self.old;
        for cohort in &self.cohorts {
            windows[ages.window(ages.age_s(cohort.look, look)) as usize] += cohort.devices;
        }
        windows
    }

    /// What there is to see at the end of a look; begins the next one.
    pub(super) fn look(&mut self, view: View<'_>, ages: &Ages, chance: &mut Chance) -> StratumLook {
        let p = view.contact.within(ages.look_s);
        let followed = self.followed(view.look, ages);
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.contacts.resize(ages.windows(), 0);
        for (contacts, devices) in gathered.contacts.iter_mut().zip(&followed) {
            *contacts += chance.binomial(*devices, p);
        }
        let control = view.control.saturating_sub(self.left);
        let mut events: Vec<HealthEvents> = gathered
            .events
            .into_iter()
            .map(|((look, window, updated, kind), devices)| HealthEvents {
                arm: if updated { Arm::Updated } else { Arm::Control },
                look,
                window,
                kind,
                devices,
            })
            .collect();
        events.sort_by_key(|event| (event.arm, event.look, event.window, event.kind));
        StratumLook {
            name: view.name,
            targets: view.targets,
            granted: self.granted,
            pending: self.pending,
            ready: view.ready,
            deadline_s: view.deadline_s,
            updated: gathered.updated,
            failures: gathered.failures,
            successes: gathered.successes,
            updated_contacts: gathered.contacts,
            control_contacts: chance.binomial(control, p),
            events,
            indicators: view.indicators,
        }
    }

    /// Control devices that are followed, of that many.
    pub(super) const fn control(&self, devices: u64) -> u64 {
        devices.saturating_sub(self.left)
    }

    /// Devices that were told in that look.
    pub(super) fn told_in(&self, look: u64) -> u64 {
        self.cohorts
            .binary_search_by_key(&look, |cohort| cohort.look)
            .map_or(0, |at| self.cohorts[at].devices)
    }

    fn contact(&mut self, devices: u64, window: u8, ages: &Ages) {
        self.gathered.contacts.resize(ages.windows(), 0);
        self.gathered.contacts[window as usize] += devices;
    }
}

/// What a look takes from outside the trial.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) look: u64,
    pub(super) name: StratumName,
    pub(super) targets: u64,
    pub(super) ready: u64,
    pub(super) deadline_s: u64,
    /// Devices at rest that the operation has not told to install.
    pub(super) control: u64,
    pub(super) contact: &'a Times,
    pub(super) indicators: Vec<IndicatorLook>,
}
