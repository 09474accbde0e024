//! One run: a scenario's fleet under one policy, from the start to the end of its operations.

mod dispatch;
mod fates;
mod sight;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

#[cfg(test)]
use model::Look;
use model::{
    AttemptState, Fault as AttemptFault, FaultKind as AttemptFaultKind, Operation, OperationId,
    OperationState, Origin, ReleaseId, StratumName, Time,
};
use operations::{Attempts, Conduct};

use super::chance::{Chance, seed_of};
use super::fleet::Fleet;
use super::kinds::{kinds, plan};
use super::latencies::Latencies;
use super::measure::{Outcome, Stop};
use super::policies::{Contestant, Reach};
use super::scenario::{Scenario, Stratum};
use super::trial::{Ages, Trial};
use super::wheel::Wheel;

/// Runs a scenario once under a policy; the same arguments give the same outcome, but for the
/// time that decisions took.
pub(super) fn run(scenario: &Scenario, contestant: &Contestant, seed: u64, number: u64) -> Outcome {
    let seed = seed_of(seed, &scenario.name, number);
    let mut run = Run::new(scenario, contestant, seed);
    while run.step() {}
    let left = std::mem::take(&mut run.left);
    let mut outcome = run.outcome();
    undo::undo(&mut outcome, &left, scenario, contestant, seed);
    outcome
}

/// A run in progress.
pub(super) struct Run<'a> {
    scenario: &'a Scenario,
    reach: Reach,
    fleet: Fleet<'a>,
    wheel: Wheel<Due>,
    pub(super) live: Vec<Live>,
    step_s: f64,
    // Steps after which the devices at rest are looked at.
    rest_steps: u64,
    pub(super) now: u64,
    lived_s: f64,
    // Whether contacts and events are followed, which only regulation by evidence asks for.
    follows: bool,
    // When each change of the response time began, in seconds.
    slowed: Vec<Option<f64>>,
    moves: Vec<Move>,
    states: States,
    names: Vec<StratumName>,
    // Answers of the server to devices in flight.
    answers: Latencies,
    // Devices to be undone.
    left: Vec<undo::Left>,
    // While something is undone, the faults of what is taken back.
    faulty: undo::Faulty,
    #[cfg(test)]
    pub(super) looked: Vec<Look>,
}

/// One operation of a run.
pub(super) struct Live {
    pub(super) conduct: Conduct,
    ages: Ages,
    pub(super) trials: Vec<Trial>,
    // Granted devices that were not in contact yet, by element.
    pending: BTreeMap<u64, u64>,
    // Devices that broke off and wait for another try, by element.
    deferred: BTreeMap<u64, u64>,
    again: Vec<Again>,
    // Devices in contact in this step, by stratum and cell.
    contacts: Vec<u64>,
    drawn_at: Option<u64>,
    // Strata whose devices are to be undone.
    left_behind: BTreeSet<usize>,
    pub(super) outcome: Outcome,
}

/// A device that may be tried again now.
#[derive(Debug, Clone, Copy)]
struct Again {
    stratum: usize,
    mask: usize,
    element: u64,
    tries: u32,
}

/// Something that is due for one device.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// A granted device is in contact.
    Contact(Way),
    /// An installation ends with the device's word.
    End { way: Way, told: u32, succeeded: bool },
    /// A try breaks off before the installation.
    BreakOff(Way),
    /// A device may be tried again.
    Retry(Way),
    /// An updated device was silent for too long.
    GiveUp { operation: u8, stratum: u8, element: u32 },
    /// A late fault shows.
    Shows { operation: u8, stratum: u8, told: u32, since: u32, crash: bool },
    /// A fault of the version that is taken back shows, and whether its device lives on.
    Left { stratum: u8, lives_on: bool },
    /// A silence is found.
    Found { operation: u8, stratum: u8, look: u32, window: u8, updated: bool },
}

/// A device on its way.
#[derive(Debug, Clone, Copy)]
struct Way {
    operation: u8,
    stratum: u8,
    mask: u8,
    tries: u8,
    element: u32,
}

/// Attempts that move in this step, joined where they are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    operation: usize,
    from: Option<(u64, Place)>,
    element: u64,
    to: Place,
    devices: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Granted,
    Claimed,
    Succeeded,
    Failed,
    BrokenOff,
    Silent,
    Deferred,
    Cancelled,
}

/// The states that places stand for.
struct States {
    failed: AttemptState,
    broken_off: AttemptState,
    deferred: AttemptState,
}

impl States {
    fn new() -> Self {
        let fault = |kind| AttemptFault { kind, detail: String::new() };
        let lost = AttemptFaultKind::ConnectionLost;
        Self {
            failed: AttemptState::Failed { fault: fault(AttemptFaultKind::UpdateFailed) },
            broken_off: AttemptState::Failed { fault: fault(lost) },
            deferred: AttemptState::Deferred { until: Time::MAX, fault: fault(lost) },
        }
    }

    const fn of(&self, place: Place) -> &AttemptState {
        match place {
            Place::Granted => &AttemptState::Granted,
            Place::Claimed => &AttemptState::Claimed,
            Place::Succeeded => &AttemptState::Succeeded,
            Place::Failed => &self.failed,
            Place::BrokenOff => &self.broken_off,
            Place::Silent => &AttemptState::Silent,
            Place::Deferred => &self.deferred,
            Place::Cancelled => &AttemptState::Cancelled,
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(scenario: &'a Scenario, contestant: &Contestant, seed: u64) -> Self {
        let mut chance = Chance::of(seed, "fleet");
        let kinds = kinds(scenario, &contestant.policy, &mut chance);
        let fleet = Fleet::new(scenario, kinds, chance);
        Self::of(scenario, contestant, seed, fleet, &Origin::Release)
    }

    fn of(
        scenario: &'a Scenario,
        contestant: &Contestant,
        seed: u64,
        fleet: Fleet<'a>,
        origin: &Origin,
    ) -> Self {
        let step_s = scenario.step.0.as_secs_f64();
        let rule = contestant.policy.rule.evidence();
        let ends_s = rule.map_or_else(Vec::new, |rule| {
            rule.ages.iter().map(|age| age.0.as_secs_f64()).collect()
        });
        let rest_steps = ((REST_S / step_s).round() as u64).clamp(1, REST_STEPS_MAX);
        let last = (scenario.horizon.0.as_secs_f64() / step_s) as u64;
        let look_s = rule.map_or(0.0, |rule| rule.look.0.as_secs_f64());
        let ages = Ages { slot_s: step_s, ends_s, look_s, looks_s: Vec::new() };
        let live = (0..scenario.operations.len())
            .map(|at| Live::new(scenario, contestant, (at, origin), seed, ages.clone()))
            .collect();
        Self {
            scenario,
            reach: contestant.reach,
            fleet,
            wheel: Wheel::new(last),
            live,
            step_s,
            rest_steps,
            now: 0,
            lived_s: 0.0,
            follows: rule.is_some(),
            slowed: vec![None; scenario.latencies.len()],
            moves: Vec::new(),
            states: States::new(),
            names: scenario.strata.iter().map(Stratum::name).collect(),
            answers: Latencies::default(),
            left: Vec::new(),
            faulty: undo::Faulty::default(),
            #[cfg(test)]
            looked: Vec::new(),
        }
    }

    /// Does what is due at this step and goes to the next at which something is; false when
    /// nothing more can happen.
    pub(super) fn step(&mut self) -> bool {
        let at_s = self.at_s();
        for due in self.wheel.take(self.now) {
            self.happen(due);
        }
        self.flush();
        if self.now > 0 && self.now.is_multiple_of(self.rest_steps) {
            self.live_on(at_s);
        }
        self.answer(at_s);
        for operation in 0..self.live.len() {
            self.conduct(operation);
        }
        self.measure(at_s);
        match self.next() {
            Some(next) => {
                self.now = next;
                true
            }
            None => false,
        }
    }

    /// What came of all operations of the run.
    pub(super) fn outcome(self) -> Outcome {
        let hours = self.now as f64 * self.step_s / 3_600.0;
        let response = self.scenario.server.response.0.as_secs_f64();
        let response_p99_ms = self.answers.quantile(0.99).map(|factor| factor * response * 1e3);
        let outcomes = self.live.into_iter().map(|live| {
            let mut outcome = live.outcome;
            outcome.harmed = live.trials.iter().map(|trial| trial.harmed).sum();
            outcome.told = live.trials.iter().map(|trial| trial.told).sum();
            outcome.finished = live.conduct.operation().state == OperationState::Finished;
            if outcome.stop.is_none() {
                outcome.harmed_before_stop = outcome.harmed;
            }
            outcome.hours = hours;
            outcome
        });
        Outcome { response_p99_ms, ..Outcome::joined(outcomes.collect()) }
    }

    /// Every target is at rest, on the way or through, and the operation's books say the same.
    #[cfg(test)]
    pub(super) fn check(&self) {
        for (operation, live) in self.live.iter().enumerate() {
            if live.conduct.operation().state.is_final() {
                continue;
            }
            let pool = self.pool(operation);
            let counts = live.conduct.counts(pool);
            let targets: u64 = self.fleet.targets.iter().sum();
            assert_eq!(counts.targets(), targets, "{counts:?} of {targets}");
            let through: u64 = live.trials.iter().map(|trial| trial.through).sum();
            assert_eq!(counts.succeeded + counts.failed, through);
        }
    }

    pub(super) fn at_s(&self) -> f64 {
        self.now as f64 * self.step_s
    }

    fn time(&self) -> Time {
        Time::from_secs(START_S) + Duration::from_secs_f64(self.at_s())
    }

    fn step_of(&self, at_s: f64) -> u64 {
        ((at_s / self.step_s).ceil() as u64).max(self.now + 1)
    }

    /// Lets the devices at rest live until now.
    fn live_on(&mut self, at_s: f64) {
        let mut lost = Vec::new();
        self.fleet.live(self.lived_s, at_s, &mut lost);
        self.lived_s = at_s;
        if self.follows {
            for loss in lost.into_iter().filter(|loss| loss.noticed) {
                self.lose(loss, None);
            }
        }
    }

    /// One attempt moves on.
    fn go(&mut self, operation: usize, element: u64, from: Place, to: Place) {
        let (from, step) = (Some((element, from)), 1);
        self.note(Move { operation, from, element, to, devices: step });
    }

    fn note(&mut self, new: Move) {
        let alike = self.moves.iter_mut().rev().find(|known| {
            (known.operation, known.from, known.element, known.to)
                == (new.operation, new.from, new.element, new.to)
        });
        match alike {
            Some(known) => known.devices += new.devices,
            None => self.moves.push(new),
        }
    }

    /// Tells the operations what moved.
    fn flush(&mut self) {
        let now = self.time();
        for moved in std::mem::take(&mut self.moves) {
            let Move { operation, from, element, to, devices } = moved;
            let attempts = |element, place| Attempts {
                devices,
                element,
                state: self.states.of(place),
                warned: false,
            };
            let from = from.map(|(element, place)| attempts(element, place));
            self.live[operation].conduct.moved(from, attempts(element, to), now);
        }
    }

    /// Regulation and dispatch of one operation.
    fn conduct(&mut self, operation: usize) {
        let now = self.time();
        if self.live[operation].conduct.operation().state.is_final() {
            return;
        }
        self.draw_contacts(operation);
        for _ in 0..ROUNDS_MAX {
            let pool = self.pool(operation);
            let look = if self.live[operation].conduct.wants_look(pool, now) {
                Some(self.look(operation))
            } else {
                None
            };
            let live = &mut self.live[operation];
            let begun = Instant::now();
            if let Some(look) = &look {
                live.conduct.look(look);
                #[cfg(test)]
                self.looked.push(look.clone());
            }
            let decided = live.conduct.decide(pool, now);
            let time = begun.elapsed();
            live.outcome.regulation_time += time;
            if decided.is_some() {
                live.outcome.decisions += 1;
                live.outcome.decision_time += time;
                self.carry_out(operation);
                continue;
            }
            if self.follows {
                self.note_strata(operation);
            }
            if !self.grant(operation) {
                return;
            }
        }
    }

    /// What follows from a decision for the devices.
    fn carry_out(&mut self, operation: usize) {
        let at_s = self.at_s();
        let live = &mut self.live[operation];
        let state = live.conduct.operation().state;
        if matches!(state, OperationState::Aborted | OperationState::Paused) {
            let strata = (0..self.scenario.strata.len()).collect();
            let paused = state == OperationState::Paused;
            let shown = live.trials.iter().map(|trial| trial.shown).sum();
            match &mut live.outcome.stop {
                Some(stop) => *stop = Stop { strata, whole: true, ..stop.clone() },
                None => {
                    live.outcome.stop = Some(Stop { at_s, strata, whole: true, paused });
                    live.outcome.harmed_before_stop = shown;
                }
            }
        }
        if !state.is_final() {
            return;
        }
        self.leave_behind(operation);
        let live = &mut self.live[operation];
        let mut given_up = 0;
        for (element, devices) in std::mem::take(&mut live.pending) {
            let from = Some((element, Place::Granted));
            self.moves.push(Move { operation, from, element, to: Place::Cancelled, devices });
        }
        let live = &mut self.live[operation];
        live.again.clear();
        for (element, devices) in std::mem::take(&mut live.deferred) {
            let from = Some((element, Place::Deferred));
            given_up += devices;
            self.moves.push(Move { operation, from, element, to: Place::Cancelled, devices });
        }
        self.flush();
        self.live[operation].conduct.close(given_up);
    }

    /// Takes the times at which half and nine tenths of the healthy targets are through.
    fn measure(&mut self, at_s: f64) {
        for (operation, live) in self.live.iter_mut().enumerate() {
            if live.outcome.hours_to_90.is_some() {
                continue;
            }
            let (mut through, mut targets) = (0, 0);
            for (stratum, trial) in live.trials.iter().enumerate() {
                if !self.scenario.is_hit(operation, stratum) {
                    through += trial.through;
                    targets += self.fleet.targets[stratum];
                }
            }
            let reached = |share: u64| targets > 0 && through * 100 >= targets * share;
            let hours = at_s / 3_600.0;
            if reached(50) {
                live.outcome.hours_to_50.get_or_insert(hours);
            }
            if reached(90) {
                live.outcome.hours_to_90.get_or_insert(hours);
            }
        }
    }

    /// The next step at which something happens.
    fn next(&self) -> Option<u64> {
        if self.is_over() {
            return None;
        }
        let last = (self.scenario.horizon.0.as_secs_f64() / self.step_s) as u64;
        let look = (self.now / self.rest_steps + 1) * self.rest_steps;
        let mut next = self.wheel.next(self.now + 1).map_or(look, |due| due.min(look));
        for (operation, live) in self.live.iter().enumerate() {
            if live.conduct.operation().state.is_final() {
                continue;
            }
            let pool = self.pool(operation);
            let waits = self.live[operation].conduct.room(pool, self.time()) > 0;
            if waits {
                next = self.now + 1;
            }
            if let Some(at) = live.conduct.next_at(pool) {
                let at_s = at.since(Time::from_secs(START_S)).as_secs_f64();
                next = next.min(self.step_of(at_s));
            }
        }
        (next <= last).then_some(next)
    }

    /// Whether nothing can change any more: every operation has ended and nobody is on the way.
    fn is_over(&self) -> bool {
        let mut idle = true;
        for (operation, live) in self.live.iter().enumerate() {
            let state = live.conduct.operation().state;
            let on_the_way = live.conduct.in_flight() - live.pending.values().sum::<u64>();
            let stopped = state.is_final() || state == OperationState::Paused;
            if stopped && on_the_way == 0 {
                continue;
            }
            let pool = self.pool(operation);
            let dead: u64 = (0..self.fleet.strata())
                .map(|stratum| self.fleet.free(stratum, operation, |cell| cell.dead))
                .sum();
            let can_come = pool.ready + pool.waiting > dead;
            if !self.wheel.is_empty() || (can_come && !stopped) || self.follows {
                idle = false;
            }
        }
        idle
    }
}

impl Live {
    fn new(
        scenario: &Scenario,
        contestant: &Contestant,
        (at, origin): (usize, &Origin),
        seed: u64,
        ages: Ages,
    ) -> Self {
        let number = at as u64 + 1;
        let opened = Time::from_secs(START_S);
        let (id, release) = (OperationId(number), ReleaseId(number));
        let operation = Operation {
            origin: origin.clone(),
            ..Operation::new(id, release, contestant.policy.clone(), seed, opened)
        };
        let mut conduct = Conduct::new(operation);
        if let Some(plan) = plan(scenario, &contestant.policy, seed) {
            conduct.hold_against(plan);
        }
        Self {
            conduct,
            ages,
            trials: scenario.strata.iter().map(|_| Trial::default()).collect(),
            pending: BTreeMap::new(),
            deferred: BTreeMap::new(),
            again: Vec::new(),
            contacts: Vec::new(),
            drawn_at: None,
            left_behind: BTreeSet::new(),
            outcome: Outcome::new(scenario, at),
        }
    }
}

/// A Monday, so that rules that keep office hours can be told what day it is.
pub(super) const START_S: u64 = 1_795_996_800;
/// How often what became of the devices at rest is drawn, in seconds.
const REST_S: f64 = 300.0;
/// Most steps after which it is drawn: short steps are for fleets that live fast.
const REST_STEPS_MAX: u64 = 30;
/// Answers of the server drawn in a step.
const ANSWERS: usize = 8;
/// Decisions and grants in one step, so that a rule that never rests ends.
const ROUNDS_MAX: usize = 1_000;
