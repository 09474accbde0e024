//! Undoing what evidence stopped: an operation of its own under the same regulation, on the
//! devices that run the change by then.
//!
//! It is simulated after the operation that it undoes, from the moment of the stop on, so that
//! what is measured of that operation does not depend on it. A device that is silent for good
//! cannot be undone; one whose fault has not shown yet is saved when it is undone in time.

use std::collections::BTreeSet;

use model::{Arm, HealthEventKind, OperationId, OperationState, Origin, StratumScope, Undo};

use super::super::chance::{Chance, seed_of};
use super::super::fleet::{Fleet, Loss};
use super::super::kinds::kinds;
use super::super::measure::{Outcome, Undone};
use super::super::policies::Contestant;
use super::super::scenario::{OperationName, Outage, Scenario, Stratum};
use super::{Due, Run};

/// What a stop leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Left {
    at_s: f64,
    strata: Vec<Remains>,
}

/// Devices of one stratum that run the change when it is stopped.
#[derive(Debug, Clone, PartialEq)]
struct Remains {
    stratum: usize,
    /// In contact, or about to come back from the installation.
    here: u64,
    away: u64,
    /// Of all, those with a fault that shows after so many seconds, and whether they live on.
    late: Vec<(f64, bool)>,
    /// Of all, those whose fault has shown and that live on.
    ailing: u64,
}

/// Faults of the version that is taken back, by stratum.
#[derive(Debug, Clone, Default)]
pub(super) struct Faulty {
    /// Devices whose fault has not shown.
    late: Vec<u64>,
    /// Those that were undone before it did.
    saved: u64,
    /// Devices whose fault has shown and that live on.
    ailing: Vec<u64>,
}

impl Run<'_> {
    /// Notes the devices to be undone in the strata that evidence stopped, once for each; in an
    /// operation that was aborted the suspects are taken to be harmful as well.
    pub(super) fn leave_behind(&mut self, operation: usize) {
        let live = &self.live[operation];
        let rule = live.conduct.operation().policy.rule.evidence();
        if rule.is_none_or(|rule| rule.undo == Undo::Off) {
            return;
        }
        let aborted = live.conduct.operation().state == OperationState::Aborted;
        let least = if aborted { StratumScope::Suspect } else { StratumScope::Stopped };
        let Some(course) = live.conduct.evidence_course() else { return };
        let rulings = course.judged.strata.iter().filter(|ruling| ruling.scope >= least);
        let new: BTreeSet<usize> = rulings
            .filter_map(|ruling| self.names.iter().position(|name| *name == ruling.name))
            .filter(|stratum| !live.left_behind.contains(stratum))
            .collect();
        if new.is_empty() {
            return;
        }
        let at_s = self.at_s();
        let strata = new.iter().map(|stratum| self.remains(operation, *stratum, at_s)).collect();
        self.live[operation].left_behind.extend(new);
        self.left.push(Left { at_s, strata });
    }

    fn remains(&self, operation: usize, stratum: usize, at_s: f64) -> Remains {
        let bit = 1 << operation;
        let (mut here, mut away) = (0, 0);
        for mask in (0..self.fleet.masks()).filter(|mask| mask & bit != 0) {
            let cell = self.fleet.cell(stratum, mask);
            here += cell.idle;
            away += cell.away;
        }
        let trial = &self.live[operation].trials[stratum];
        // Who failed still has the version before.
        here = here.saturating_sub(trial.failed);
        let mut late = Vec::new();
        for (step, due) in self.wheel.due() {
            match due {
                Due::End { way, succeeded: true, .. }
                    if (way.operation as usize, way.stratum as usize) == (operation, stratum) =>
                {
                    here += 1;
                }
                Due::Shows { operation: op, stratum: of, crash, .. }
                    if (*op as usize, *of as usize) == (operation, stratum) =>
                {
                    late.push((step as f64 * self.step_s - at_s, *crash));
                }
                _ => {}
            }
        }
        let ailing = trial.crashed + trial.shifted + trial.shaken;
        Remains { stratum, here, away, late, ailing }
    }

    /// A fault of the version that is taken back shows, unless its device was undone before.
    pub(super) fn show_left(&mut self, stratum: usize, lives_on: bool) {
        let Some(left) = self.faulty.late.get_mut(stratum) else { return };
        *left = left.saturating_sub(1);
        if self.fleet.chance.yes(self.undone_share(stratum)) {
            self.faulty.saved += 1;
            return;
        }
        let at_s = self.at_s();
        if lives_on {
            self.faulty.ailing[stratum] += 1;
            let look = self.live[0].ages.look_of(at_s);
            let trial = &mut self.live[0].trials[stratum];
            trial.leave_control();
            trial.find(look, 0, Arm::Control, HealthEventKind::Crash);
            return;
        }
        let cell = self.fleet.cell_mut(stratum, 0);
        if cell.idle == 0 {
            return;
        }
        cell.idle -= 1;
        cell.dead += 1;
        self.lose(Loss { stratum, mask: 0, at_s, noticed: true }, None);
    }

    /// Share of the devices of a stratum that were undone; which ones is chance.
    fn undone_share(&self, stratum: usize) -> f64 {
        let targets = self.fleet.targets[stratum].max(1);
        self.live[0].trials[stratum].succeeded as f64 / targets as f64
    }
}

/// Undoes what the stops of a run left behind, and adds what came of it to the outcome.
pub(super) fn undo(
    outcome: &mut Outcome,
    left: &[Left],
    scenario: &Scenario,
    contestant: &Contestant,
    seed: u64,
) {
    let Some(rule) = contestant.policy.rule.evidence() else { return };
    let delay_s =
        if rule.undo == Undo::Propose { scenario.operator.0.as_secs_f64() } else { DELAY_S };
    for (number, left) in left.iter().enumerate() {
        let seed = seed_of(seed, "undo", number as u64);
        let found = undo_one(left, scenario, contestant, seed, delay_s);
        let all = outcome.undone.get_or_insert_with(Undone::default);
        all.devices += found.devices;
        all.recovered += found.recovered;
        all.stopped |= found.stopped;
        all.hours = match (all.hours, found.hours) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }
}

fn undo_one(
    left: &Left,
    scenario: &Scenario,
    contestant: &Contestant,
    seed: u64,
    delay_s: f64,
) -> Undone {
    // What shows until it begins is too late to be saved.
    let strata: Vec<Remains> = left.strata.iter().map(|it| it.after(delay_s)).collect();
    let scenario = scenario_of(scenario, &strata, left.at_s + delay_s);
    if scenario.devices == 0 {
        return Undone::default();
    }
    let mut run = Run::undoing(&scenario, contestant, seed, &strata);
    while run.step() {}
    let mut recovered = run.faulty.saved;
    for stratum in 0..strata.len() {
        let share = run.undone_share(stratum);
        let left = run.faulty.late[stratum] + run.faulty.ailing[stratum];
        recovered += run.fleet.chance.binomial(left, share);
    }
    let devices = run.live[0].trials.iter().map(|trial| trial.succeeded).sum();
    let outcome = run.outcome();
    let hours = outcome.hours_to_90.map(|hours| hours + delay_s / 3_600.0);
    Undone { devices, recovered, hours, stopped: outcome.stop.is_some() }
}

/// The fleet of those devices, from that moment on, under a change that does no harm.
fn scenario_of(scenario: &Scenario, strata: &[Remains], at_s: f64) -> Scenario {
    let shifted = |span: model::Span| {
        model::Span::millis(((span.0.as_secs_f64() - at_s).max(0.0) * 1e3) as u64)
    };
    let outages = scenario.outages.iter().map(|outage| Outage {
        from: shifted(outage.from),
        to: shifted(outage.to),
        ..outage.clone()
    });
    Scenario {
        devices: strata.iter().map(|it| it.here + it.away).sum(),
        history: Some(scenario.history.unwrap_or(scenario.devices)),
        arrivals_per_hour: 0.0,
        start_hour: (scenario.start_hour + at_s / 3_600.0) % 24.0,
        strata: strata
            .iter()
            .map(|it| {
                let stratum = scenario.strata[it.stratum].clone();
                Stratum { devices: stratum.devices.map(|_| it.here + it.away), ..stratum }
            })
            .collect(),
        faults: Vec::new(),
        outages: outages.filter(|outage| outage.from < outage.to).collect(),
        latencies: Vec::new(),
        operations: vec![OperationName { name: "undo".to_owned() }],
        ..scenario.clone()
    }
}

impl Remains {
    /// The same a while later.
    fn after(&self, delay_s: f64) -> Self {
        let mut after = self.clone();
        after.late.retain(|(at_s, _)| *at_s > delay_s);
        for (at_s, _) in &mut after.late {
            *at_s -= delay_s;
        }
        for (_, lives_on) in self.late.iter().filter(|(at_s, _)| *at_s <= delay_s) {
            if *lives_on {
                after.ailing += 1;
            } else {
                after.here = after.here.saturating_sub(1);
            }
        }
        after
    }
}

impl<'a> Run<'a> {
    fn undoing(
        scenario: &'a Scenario,
        contestant: &Contestant,
        seed: u64,
        strata: &[Remains],
    ) -> Self {
        let mut chance = Chance::of(seed, "fleet");
        let kinds = kinds(scenario, &contestant.policy, &mut chance);
        let counts: Vec<(u64, u64)> = strata.iter().map(|it| (it.here, it.away)).collect();
        let fleet = Fleet::holding(scenario, kinds, chance, &counts);
        let origin = Origin::Undo { reverts: OperationId(1) };
        // The operator's word is in the delay.
        let mut contestant = contestant.clone();
        if let model::Rule::Evidence(rule) = &mut contestant.policy.rule {
            rule.undo = Undo::Automatic;
        }
        let mut run = Self::of(scenario, &contestant, seed, fleet, &origin);
        for (stratum, remains) in strata.iter().enumerate() {
            for (at_s, lives_on) in &remains.late {
                let due = Due::Left { stratum: stratum as u8, lives_on: *lives_on };
                run.wheel.put(run.step_of(*at_s), due);
            }
        }
        run.faulty = Faulty {
            late: strata.iter().map(|it| it.late.len() as u64).collect(),
            saved: 0,
            ailing: strata.iter().map(|it| it.ailing).collect(),
        };
        run
    }
}

/// Devices that follow each other closely go into one operation, which waits so long.
const DELAY_S: f64 = 10.0;
