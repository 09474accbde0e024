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
    /// Begun to install, in any try, and not through.
    pub(super) installing: u64,
    /// Through, whatever came of them.
    pub(super) through: u64,
    /// Came back with the new version.
    pub(super) succeeded: u64,
    /// Came back without it.
    pub(super) failed: u64,
    /// Devices with a fault of the change, shown or not.
    pub(super) harmed: u64,
    /// Of these, those whose fault has shown.
    pub(super) shown: u64,
    /// Updated devices that are followed, by the slot in which they were told.
    cohorts: VecDeque<Cohort>,
    /// Followed ones that are older than every age told apart, by the last slot of the hour in
    /// which they were told.
    aged: VecDeque<Cohort>,
    /// Devices whose indicator is shifted or that crash more often, of all told.
    pub(super) shifted: u64,
    pub(super) shaken: u64,
    /// Devices with a crash of the change, which live on.
    pub(super) crashed: u64,
    /// Control devices that had an event and are followed no further.
    left: u64,
    gathered: Gathered,
}

#[derive(Debug, Clone, Copy)]
struct Cohort {
    told: u32,
    devices: u64,
    // Of them, those whose contact since the last look is counted.
    counted: u64,
}

impl Cohort {
    fn join(&mut self, other: Self) {
        self.told = self.told.max(other.told);
        self.devices += other.devices;
        self.counted += other.counted;
    }

    fn lose_one(&mut self) {
        self.devices = self.devices.saturating_sub(1);
        self.counted = self.counted.min(self.devices);
    }
}

/// What was seen since the last look.
#[derive(Debug, Default)]
struct Gathered {
    updated: u64,
    failures: u64,
    successes: u64,
    // Time that these were away, in seconds.
    away_s: f64,
    // Updated devices in contact, by window, beside those drawn at the look.
    contacts: Vec<u64>,
    events: BTreeMap<(Arm, u64, u8, HealthEventKind), u64>,
}

/// How times are told apart: ages by the rule's windows, moments by looks, cohorts by slots.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages {
    /// Width of the slots in which updated devices are put together.
    pub(super) slot_s: f64,
    pub(super) ends_s: Vec<f64>,
    /// Time between looks, in seconds.
    pub(super) look_s: f64,
    /// When each look was, in seconds.
    pub(super) looks_s: Vec<f64>,
}

impl Ages {
    pub(super) fn window(&self, age_s: f64) -> u8 {
        self.ends_s.iter().filter(|end| age_s >= **end).count() as u8
    }

    /// Number of the look that has what happened at that moment; looks are numbered from 1.
    pub(super) fn look_of(&self, at_s: f64) -> u64 {
        self.looks_s.partition_point(|look_s| *look_s < at_s) as u64 + 1
    }

    pub(super) fn slot_of(&self, at_s: f64) -> u32 {
        (at_s / self.slot_s) as u32
    }

    /// Age at a moment of those that were told in a slot.
    pub(super) fn age_s(&self, told: u32, at_s: f64) -> f64 {
        (at_s - f64::from(told) * self.slot_s).max(0.0)
    }

    /// Window of a contact after the return from the installation, by which an event is counted:
    /// the one in which the device was counted in that look.
    pub(super) fn window_of_contact(&self, told: u32, returned_s: f64, at_s: f64) -> u8 {
        let before = self.look_of(at_s) as usize - 1;
        let began_s = before.checked_sub(1).map_or(0.0, |at| self.looks_s[at]);
        if returned_s > began_s {
            self.window(self.age_s(told, returned_s))
        } else {
            self.window_in(told, began_s)
        }
    }

    /// Window of one in contact in a look that came back before: contacts are spread over the
    /// look, so that of its middle.
    fn window_in(&self, told: u32, began_s: f64) -> u8 {
        self.window(self.age_s(told, began_s + self.look_s / 2.0))
    }

    /// Whether those told in a slot are older than every age told apart.
    fn is_aged(&self, told: u32, began_s: f64) -> bool {
        usize::from(self.window_in(told, began_s)) == self.ends_s.len()
    }

    fn windows(&self) -> usize {
        self.ends_s.len() + 1
    }
}

impl Trial {
    /// Devices were told to install while they were in contact.
    pub(super) fn tell(&mut self, devices: u64, ages: &Ages) {
        self.told += devices;
        self.gathered.updated += devices;
        self.contact(devices, 0, ages);
    }

    /// One came back from the installation. Who has the new version is followed; it calls, which
    /// counts unless the order to install counts in the same look and window.
    pub(super) fn come_back(&mut self, told: u32, at_s: f64, succeeded: bool, ages: &Ages) {
        let age_s = ages.age_s(told, at_s);
        self.gathered.away_s += age_s;
        if !succeeded {
            self.gathered.failures += 1;
            return;
        }
        self.gathered.successes += 1;
        let (began_s, window) = (ages.looks_s.last().copied().unwrap_or(0.0), ages.window(age_s));
        if at_s - age_s < began_s || window > 0 {
            self.contact(1, window, ages);
        }
        let new = Cohort { told, devices: 1, counted: 1 };
        match self.cohorts.binary_search_by_key(&told, |cohort| cohort.told) {
            Ok(at) => self.cohorts[at].join(new),
            // Its cohort may have become old while it installed.
            Err(0) if ages.is_aged(told, began_s) => self.age(new, ages),
            Err(at) => self.cohorts.insert(at, new),
        }
    }

    /// One that was told in that slot is followed no further.
    pub(super) fn leave(&mut self, told: u32) {
        match self.cohorts.binary_search_by_key(&told, |cohort| cohort.told) {
            Ok(at) => self.cohorts[at].lose_one(),
            Err(_) => {
                let at = self.aged.partition_point(|cohort| cohort.told < told);
                if let Some(cohort) = self.aged.get_mut(at) {
                    cohort.lose_one();
                }
            }
        }
    }

    /// Draws one of the followed devices; the slot in which it was told.
    pub(super) fn pick(&self, chance: &mut Chance) -> Option<u32> {
        let cohorts = || self.aged.iter().chain(&self.cohorts);
        let all = cohorts().map(|cohort| cohort.devices).sum();
        if all == 0 {
            return None;
        }
        let mut draw = chance.below(all);
        for cohort in cohorts() {
            if draw < cohort.devices {
                return Some(cohort.told);
            }
            draw -= cohort.devices;
        }
        None
    }

    /// Puts devices with those told in the same hour.
    fn age(&mut self, new: Cohort, ages: &Ages) {
        let hour = |told: u32| (f64::from(told) * ages.slot_s / 3_600.0) as u64;
        let at = self.aged.partition_point(|cohort| hour(cohort.told) < hour(new.told));
        match self.aged.get_mut(at).filter(|cohort| hour(cohort.told) == hour(new.told)) {
            Some(cohort) => cohort.join(new),
            None => self.aged.insert(at, new),
        }
    }

    /// A control device had an event, and is followed no further.
    pub(super) const fn leave_control(&mut self) {
        self.left += 1;
    }

    /// An event is found.
    pub(super) fn find(&mut self, look: u64, window: u8, arm: Arm, kind: HealthEventKind) {
        let key = (arm, look, window, kind);
        *self.gathered.events.entry(key).or_default() += 1;
    }

    /// Followed devices, by window of age, and of these the ones whose contact in the look that
    /// began then is not counted yet; they all begin anew.
    fn followed(&mut self, began_s: f64, ages: &Ages) -> (Vec<u64>, Vec<u64>) {
        while let Some(first) = self.cohorts.front().copied()
            && ages.is_aged(first.told, began_s)
        {
            self.age(first, ages);
            self.cohorts.pop_front();
        }
        let mut all = vec![0; ages.windows()];
        let mut quiet = all.clone();
        for cohort in self.aged.iter_mut().chain(&mut self.cohorts) {
            let window = usize::from(ages.window_in(cohort.told, began_s));
            all[window] += cohort.devices;
            quiet[window] += cohort.devices - cohort.counted;
            cohort.counted = 0;
        }
        (all, quiet)
    }

    /// What there is to see since the last look; begins the next one.
    pub(super) fn look(&mut self, view: View<'_>, ages: &Ages, chance: &mut Chance) -> StratumLook {
        let p = view.contact.within(view.at_s - view.since_s);
        let (followed, quiet) = self.followed(view.since_s, ages);
        let control = view.control.saturating_sub(self.left);
        self.crash(&view, &followed, control, chance);
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.contacts.resize(ages.windows(), 0);
        for (contacts, devices) in gathered.contacts.iter_mut().zip(&quiet) {
            *contacts += chance.binomial(*devices, p * view.at_hand);
        }
        let events = gathered.events.into_iter().map(|((arm, look, window, kind), devices)| {
            HealthEvents { arm, look, window, kind, devices }
        });
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
            installing: self.installing,
            updated_contacts: gathered.contacts,
            control_contacts: chance.binomial(control, p),
            control,
            returned: gathered.failures + gathered.successes,
            away_s: gathered.away_s as u64,
            events: events.collect(),
            indicators: view.indicator.map_or_else(Vec::new, |it| vec![self.values(it, chance)]),
        }
    }

    /// Devices that crash by themselves since the last look, and more often where a fault shakes
    /// them.
    fn crash(&mut self, view: &View<'_>, followed: &[u64], control: u64, chance: &mut Chance) {
        if view.crashes <= 0.0 {
            return;
        }
        let shaken = self.shaken as f64 / self.told.max(1) as f64 * view.crashes_more;
        for (window, devices) in followed.iter().enumerate() {
            let hit =
                chance.binomial(*devices, super::fleet::within(view.crashes * (1.0 + shaken)));
            for _ in 0..hit {
                if let Some(told) = self.pick(chance) {
                    self.leave(told);
                }
                self.find(view.look, window as u8, Arm::Updated, HealthEventKind::Crash);
            }
        }
        for _ in 0..chance.binomial(control, super::fleet::within(view.crashes)) {
            self.left += 1;
            self.find(view.look, 0, Arm::Control, HealthEventKind::Crash);
        }
    }

    /// Values of the indicator that came in since the last look, from as many control devices as
    /// updated ones.
    fn values(&self, indicator: IndicatorView, chance: &mut Chance) -> IndicatorLook {
        let count = indicator.devices.min(VALUES_MAX);
        let shifted = self.shifted as f64 / self.told.max(1) as f64;
        let mut updated = Vec::new();
        let mut control = Vec::new();
        let value = |shift: f64, chance: &mut Chance| {
            ((shift + indicator.noise * chance.normal()) * 1e6).round() as i64
        };
        for _ in 0..count {
            let shift = if chance.yes(shifted) { indicator.shift } else { 0.0 };
            updated.push(value(shift, chance));
            control.push(value(0.0, chance));
        }
        IndicatorLook { updated, control }
    }

    /// Followed devices that were told between two moments, as far as slots tell them apart.
    pub(super) fn told_between(&self, from_s: f64, to_s: f64, ages: &Ages) -> u64 {
        let at = |cohort: &Cohort| (f64::from(cohort.told) + 0.5) * ages.slot_s;
        let all = self.aged.iter().chain(&self.cohorts);
        let told = all.filter(|it| at(it) > from_s && at(it) <= to_s);
        told.map(|cohort| cohort.devices).sum()
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
    pub(super) at_s: f64,
    /// When the look before was.
    pub(super) since_s: f64,
    pub(super) name: StratumName,
    pub(super) targets: u64,
    pub(super) ready: u64,
    pub(super) deadline_s: u64,
    /// Devices at rest that the operation has not told to install.
    pub(super) control: u64,
    /// Of the followed devices, the share that is not away.
    pub(super) at_hand: f64,
    pub(super) contact: &'a Times,
    /// Crashes of a device since the look before, whatever it runs, and how many times more
    /// there are where a fault shakes it.
    pub(super) crashes: f64,
    pub(super) crashes_more: f64,
    pub(super) indicator: Option<IndicatorView>,
}

/// Values of an indicator that come in.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndicatorView {
    pub(super) devices: u64,
    pub(super) noise: f64,
    pub(super) shift: f64,
}

/// Most values of an indicator in one look; the others would say the same.
const VALUES_MAX: u64 = 50;
