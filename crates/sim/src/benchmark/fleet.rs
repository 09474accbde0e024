//! The devices of a run: those at rest as counts, those on their way one by one.
//!
//! Devices that nobody has granted are all alike, so draws from their number stand for them.
//! A device that is told to install has a fate of its own, drawn when it is told.

use super::chance::Chance;
use super::scenario::{Benign, Fault, FaultKind, Offline, Scenario};
use super::times::Times;

/// What devices of one stratum are like.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) contact: Times,
    pub(super) offline: Offline,
    pub(super) install: Times,
    pub(super) failing: Times,
    pub(super) benign: Benign,
    /// Silence after which a device counts as lost, in seconds.
    pub(super) deadline_s: f64,
}

/// Devices of one stratum that the same operations have told to install: bit n for operation n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cell {
    /// In regular contact, and not being changed.
    pub(super) idle: u64,
    /// Out of reach for a while.
    pub(super) away: u64,
    /// Out of reach for good.
    pub(super) dead: u64,
    /// Of the idle ones, those whose silence was an event before: they are followed no further.
    pub(super) idle_lost: u64,
    /// The same of those away.
    pub(super) away_lost: u64,
}

impl Cell {
    pub(super) const fn all(&self) -> u64 {
        self.idle + self.away + self.dead
    }

    /// Idle devices that are followed.
    pub(super) const fn followed(&self) -> u64 {
        self.idle.saturating_sub(self.idle_lost)
    }
}

/// The fleet of a run.
#[derive(Debug)]
pub(super) struct Fleet<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) kinds: Vec<Kind>,
    cells: Vec<Cell>,
    /// Targets of each stratum, granted or not.
    pub(super) targets: Vec<u64>,
    masks: usize,
    pub(super) chance: Chance,
}

/// What became of the devices told in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fates {
    /// Broke off before anything was installed; may be tried again.
    pub(super) passing: u64,
    /// Failed and will say so.
    pub(super) failed: u64,
    /// Of these, by a fault of the change.
    pub(super) failed_by_fault: u64,
    /// Never come back, by a fault of the change.
    pub(super) bricked: u64,
    /// Fell silent meanwhile, as others do.
    pub(super) silenced: u64,
    /// Installed it.
    pub(super) well: u64,
}

/// A silence that begins in a step of the fleet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub(super) stratum: usize,
    pub(super) mask: usize,
    /// When, in seconds from the start.
    pub(super) at_s: f64,
    /// Whether it lasts longer than the deadline and is its first, so that it is an event.
    pub(super) noticed: bool,
}

impl<'a> Fleet<'a> {
    pub(super) fn new(scenario: &'a Scenario, kinds: Vec<Kind>, mut chance: Chance) -> Self {
        let masks = 1 << scenario.operations.len();
        let mut cells = vec![Cell::default(); kinds.len() * masks];
        let targets = scenario.targets();
        for (at, devices) in targets.iter().copied().enumerate() {
            let away = chance.binomial(devices, share_of(kinds[at].offline.share));
            cells[at * masks] = Cell { idle: devices - away, away, ..Cell::default() };
        }
        Self { scenario, kinds, cells, targets, masks, chance }
    }

    /// So many devices at hand and away in each stratum, and nothing left to chance.
    pub(super) fn holding(
        scenario: &'a Scenario,
        kinds: Vec<Kind>,
        chance: Chance,
        counts: &[(u64, u64)],
    ) -> Self {
        let masks = 1 << scenario.operations.len();
        let mut cells = vec![Cell::default(); kinds.len() * masks];
        for (at, (idle, away)) in counts.iter().enumerate() {
            cells[at * masks] = Cell { idle: *idle, away: *away, ..Cell::default() };
        }
        let targets = counts.iter().map(|(idle, away)| idle + away).collect();
        Self { scenario, kinds, cells, targets, masks, chance }
    }

    pub(super) const fn strata(&self) -> usize {
        self.kinds.len()
    }

    pub(super) const fn masks(&self) -> usize {
        self.masks
    }

    pub(super) fn cell(&self, stratum: usize, mask: usize) -> &Cell {
        &self.cells[stratum * self.masks + mask]
    }

    pub(super) fn cell_mut(&mut self, stratum: usize, mask: usize) -> &mut Cell {
        &mut self.cells[stratum * self.masks + mask]
    }

    /// Devices of a stratum that an operation has not taken, by a count of their cells.
    pub(super) fn free(
        &self,
        stratum: usize,
        operation: usize,
        count: impl Fn(&Cell) -> u64,
    ) -> u64 {
        let masks = (0..self.masks).filter(|mask| mask & (1 << operation) == 0);
        masks.map(|mask| count(self.cell(stratum, mask))).sum()
    }

    /// Of the devices in a cell of an operation, one at random by `weight`.
    pub(super) fn pick_mask(
        &mut self,
        stratum: usize,
        fits: impl Fn(usize) -> bool,
        weight: impl Fn(&Cell) -> u64,
    ) -> Option<usize> {
        let all: u64 =
            (0..self.masks).filter(|m| fits(*m)).map(|m| weight(self.cell(stratum, m))).sum();
        if all == 0 {
            return None;
        }
        let mut draw = if self.masks == 2 { 0 } else { self.chance.below(all) };
        for mask in (0..self.masks).filter(|mask| fits(*mask)) {
            let here = weight(self.cell(stratum, mask));
            if draw < here {
                return Some(mask);
            }
            draw -= here;
        }
        None
    }

    /// How much everything benign is multiplied by at that time.
    pub(super) fn drift(&self, at_s: f64) -> f64 {
        let drift = &self.scenario.drift;
        let hour = self.scenario.start_hour + at_s / 3_600.0;
        let swing = ((hour - drift.peak_hour) / 24.0 * std::f64::consts::TAU).cos();
        ((1.0 + drift.daily * swing) * (1.0 + drift.per_day * at_s / 86_400.0)).max(0.0)
    }

    /// Lets the devices at rest live from one time to another: some fall silent, leave, return
    /// or arrive. Hands every silence that begins to `lost`.
    pub(super) fn live(&mut self, from_s: f64, to_s: f64, lost: &mut Vec<Loss>) {
        let (span_s, drift) = (to_s - from_s, self.drift(f64::midpoint(from_s, to_s)));
        for stratum in 0..self.strata() {
            let kind = &self.kinds[stratum];
            let hazard = share_of(kind.benign.silence_per_hour) / 3_600.0 * drift;
            let returns_s = kind.offline.returns.0.as_secs_f64().max(1.0);
            let (offline, deadline_s) = (kind.offline, kind.deadline_s);
            let leaving = if offline.steady {
                let share = share_of(offline.share);
                share / (1.0 - share).max(1e-6) / returns_s
            } else {
                0.0
            };
            let outage = self.outage(stratum, from_s, to_s);
            let noticed = (-deadline_s / returns_s).exp();
            for mask in 0..self.masks {
                let idle = self.cell(stratum, mask).idle;
                let away = self.cell(stratum, mask).away;
                let dies = self.chance.binomial(idle, within(hazard * span_s));
                let p = 1.0 - (1.0 - outage) * (-leaving * span_s).exp();
                let leaves = self.chance.binomial(idle - dies, p);
                let back = self.chance.binomial(away, within(span_s / returns_s));
                self.settle(stratum, mask, back);
                for which in 0..dies + leaves {
                    let at_s = from_s + self.chance.unit() * span_s;
                    let noticed = which < dies || self.chance.yes(noticed);
                    let known = self.go(stratum, mask, which < dies, noticed);
                    lost.push(Loss { stratum, mask, at_s, noticed: noticed && !known });
                }
            }
        }
        self.arrive(span_s);
    }

    /// Devices return.
    fn settle(&mut self, stratum: usize, mask: usize, back: u64) {
        let cell = *self.cell(stratum, mask);
        let share = cell.away_lost as f64 / cell.away.max(1) as f64;
        let lost = self.chance.binomial(back, share).min(cell.away_lost);
        let cell = self.cell_mut(stratum, mask);
        cell.idle += back;
        cell.away -= back;
        cell.idle_lost += lost;
        cell.away_lost -= lost;
    }

    /// A device at rest falls silent; says whether it is followed no further anyway.
    fn go(&mut self, stratum: usize, mask: usize, for_good: bool, noticed: bool) -> bool {
        let cell = *self.cell(stratum, mask);
        let known = self.chance.below(cell.idle) < cell.idle_lost;
        let cell = self.cell_mut(stratum, mask);
        cell.idle -= 1;
        cell.idle_lost -= u64::from(known);
        if for_good {
            cell.dead += 1;
        } else {
            cell.away += 1;
            cell.away_lost += u64::from(known || noticed);
        }
        known
    }

    /// Devices leave a cell to be changed.
    pub(super) fn take(&mut self, stratum: usize, mask: usize, devices: u64) {
        let cell = *self.cell(stratum, mask);
        let share = cell.idle_lost as f64 / cell.idle.max(1) as f64;
        let lost = self.chance.binomial(devices, share).min(cell.idle_lost);
        let cell = self.cell_mut(stratum, mask);
        cell.idle -= devices;
        cell.idle_lost -= lost;
    }

    /// Of the followed devices that an operation updated, the share that is not away.
    pub(super) fn at_hand(&self, stratum: usize, operation: usize) -> f64 {
        let (mut here, mut all) = (0, 0);
        for mask in (0..self.masks).filter(|mask| mask & (1 << operation) != 0) {
            let cell = self.cell(stratum, mask);
            here += cell.followed();
            all += cell.followed() + cell.away.saturating_sub(cell.away_lost);
        }
        if all == 0 { 1.0 } else { here as f64 / all as f64 }
    }

    /// Probability that the network of a device fails in that time.
    fn outage(&self, stratum: usize, from_s: f64, to_s: f64) -> f64 {
        let mut well = 1.0;
        for outage in &self.scenario.outages {
            let (from, to) = (outage.from.0.as_secs_f64(), outage.to.0.as_secs_f64());
            let site = &self.scenario.strata[stratum].site;
            if outage.site.as_ref().is_some_and(|only| only != site) {
                continue;
            }
            let overlap = (to_s.min(to) - from_s.max(from)).max(0.0) / (to - from);
            well *= (1.0 - share_of(outage.share)).powf(overlap);
        }
        1.0 - well
    }

    fn arrive(&mut self, span_s: f64) {
        let mean = self.scenario.arrivals_per_hour * span_s / 3_600.0;
        if mean <= 0.0 {
            return;
        }
        for stratum in 0..self.strata() {
            let stratum_of = &self.scenario.strata[stratum];
            let share = match stratum_of.devices {
                Some(devices) => devices as f64 / self.scenario.devices as f64,
                None => share_of(stratum_of.share),
            };
            let arrived = self.chance.poisson(mean * share);
            self.cell_mut(stratum, 0).idle += arrived;
            self.targets[stratum] += arrived;
        }
    }

    /// Draws what an installation does to devices of a stratum. `late` gets the faults that show
    /// later, each with the number of devices it hits.
    pub(super) fn install<'s>(
        &mut self,
        operation: usize,
        stratum: usize,
        devices: u64,
        at_s: f64,
        late: &mut Vec<(&'s Fault, u64)>,
    ) -> Fates
    where
        'a: 's,
    {
        let scenario = self.scenario;
        let drift = self.drift(at_s);
        let kind = &self.kinds[stratum];
        let (benign, install_s) = (kind.benign, kind.install.mean_s());
        let mut fates = Fates::default();
        let hazard = share_of(benign.silence_per_hour) / 3_600.0 * drift * install_s;
        let outage = self.outage(stratum, at_s, at_s + install_s);
        let rate = |kind: FaultKind| {
            let hits = scenario
                .faults
                .iter()
                .filter(|fault| fault.kind == kind && scenario.hits(fault, operation, stratum));
            1.0 - hits.map(|fault| 1.0 - share_of(fault.rate)).product::<f64>()
        };
        let (by_fault, brick) = (rate(FaultKind::Failure), rate(FaultKind::Brick));
        let usual = (share_of(benign.failures) * drift).min(1.0);
        let failing = 1.0 - (1.0 - usual) * (1.0 - by_fault);
        fates.passing = self.chance.binomial(devices, share_of(benign.passing) * drift);
        let mut left = devices - fates.passing;
        fates.failed = self.chance.binomial(left, failing);
        if by_fault > 0.0 {
            fates.failed_by_fault = self.chance.binomial(fates.failed, by_fault / failing);
        }
        left -= fates.failed;
        fates.bricked = self.chance.binomial(left, brick);
        left -= fates.bricked;
        fates.silenced = self.chance.binomial(left, 1.0 - (1.0 - outage) * (-hazard).exp());
        left -= fates.silenced;
        fates.well = left;
        for fault in &scenario.faults {
            let is_early = matches!(fault.kind, FaultKind::Failure | FaultKind::Brick);
            if is_early || !scenario.hits(fault, operation, stratum) {
                continue;
            }
            let hit = self.chance.binomial(left, share_of(fault.rate));
            left -= hit;
            late.push((fault, hit));
        }
        fates
    }
}

/// A share as a number.
pub(super) fn share_of(rate: model::Rate) -> f64 {
    f64::from(rate.as_basis_points()) / 10_000.0
}

/// Probability of at least one event when that many are expected.
pub(super) fn within(expected: f64) -> f64 {
    -(-expected).exp_m1()
}
