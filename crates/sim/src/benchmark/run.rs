//! One run: a scenario's fleet under one policy, from the start to the end of its operations.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{
    Arm, AttemptState, Fault as AttemptFault, FaultKind as AttemptFaultKind, HealthEventKind, Look,
    Operation, OperationId, OperationState, Origin, Phase, ReleaseId, Scope, StratumScope, Time,
};
use operations::{Attempts, Conduct, Pool, Seats, seats};

use super::chance::{Chance, seed_of};
use super::fleet::{Cell, Fleet, Loss, share_of};
use super::kinds::{kinds, plan};
use super::measure::{Outcome, Stop};
use super::policies::{Contestant, Reach};
use super::scenario::{Fault, FaultKind, Scenario};
use super::trial::{Ages, IndicatorView, Trial, View};
use super::wheel::Wheel;

/// Runs a scenario once under a policy; the same arguments give the same outcome, but for the
/// time that decisions took.
pub(super) fn run(scenario: &Scenario, contestant: &Contestant, seed: u64, number: u64) -> Outcome {
    let mut run = Run::new(scenario, contestant, seed_of(seed, &scenario.name, number));
    while run.step() {}
    run.outcome()
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
        let step_s = scenario.step.0.as_secs_f64();
        let mut chance = Chance::of(seed, "fleet");
        let kinds = kinds(scenario, &contestant.policy, &mut chance);
        let rule = contestant.policy.rule.evidence();
        let ends_s = rule.map_or_else(Vec::new, |rule| {
            rule.ages.iter().map(|age| age.0.as_secs_f64()).collect()
        });
        let rest_steps = ((REST_S / step_s).round() as u64).max(1);
        let last = (scenario.horizon.0.as_secs_f64() / step_s) as u64;
        let slot_s = rest_steps as f64 * step_s;
        let ages = Ages { slot_s, ends_s, looks_s: Vec::new() };
        let live = (0..scenario.operations.len())
            .map(|at| Live::new(scenario, contestant, at, seed, ages.clone()))
            .collect();
        Self {
            scenario,
            reach: contestant.reach,
            fleet: Fleet::new(scenario, kinds, chance),
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
        Outcome::joined(outcomes.collect())
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
            for loss in lost {
                self.lose(loss, None);
            }
        }
    }

    /// Devices fall silent at rest: those of the updated arm leave it, and the silence is found
    /// when the deadline after the last contact has passed. `known` says in which slot the device
    /// was told by which operation, and since when it is back.
    fn lose(&mut self, loss: Loss, known: Option<(usize, u32, f64)>) {
        let Loss { stratum, mask, at_s, noticed } = loss;
        let kind = &self.fleet.kinds[stratum];
        let (contact, deadline_s) = (kind.contact, kind.deadline_s);
        let back_s = contact.residual_s(&mut self.fleet.chance);
        let mut last_s = at_s - back_s;
        let told: Vec<Option<u32>> = (0..self.live.len())
            .map(|operation| {
                if mask & (1 << operation) == 0 {
                    return None;
                }
                match known {
                    Some((own, told, _)) if own == operation => Some(told),
                    _ => self.live[operation].trials[stratum].pick(&mut self.fleet.chance),
                }
            })
            .collect();
        let slot_s = self.rest_steps as f64 * self.step_s;
        for slot in told.iter().flatten() {
            last_s = last_s.max(f64::from(*slot) * slot_s);
        }
        if let Some((_, _, since_s)) = known {
            last_s = last_s.max(since_s);
        }
        let found = self.step_of((last_s + deadline_s).max(at_s));
        for (operation, told) in told.iter().enumerate() {
            let trial = &mut self.live[operation].trials[stratum];
            match told {
                Some(told) => trial.leave(*told),
                // One that came back after a loss is followed no further.
                None if mask & (1 << operation) != 0 => continue,
                None => {}
            }
            if last_s < 0.0 || !noticed {
                continue;
            }
            let ages = &self.live[operation].ages;
            let look = ages.look_of(last_s);
            let window = told.map_or(0, |told| ages.window(ages.age_s(told, last_s)));
            self.wheel.put(
                found,
                Due::Found {
                    operation: operation as u8,
                    stratum: stratum as u8,
                    look: look as u32,
                    window,
                    updated: told.is_some(),
                },
            );
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Contact(way) => self.meet(way),
            Due::End { way, told, succeeded } => self.end(way, told, succeeded),
            Due::BreakOff(way) => self.break_off(way),
            Due::Retry(way) => {
                let live = &mut self.live[way.operation as usize];
                let element = u64::from(way.element);
                if live.conduct.operation().state.is_final() {
                    self.fleet.cell_mut(way.stratum as usize, way.mask as usize).idle += 1;
                    return;
                }
                live.again.push(Again {
                    stratum: way.stratum as usize,
                    mask: way.mask as usize,
                    element,
                    tries: way.tries.into(),
                });
            }
            Due::GiveUp { operation, stratum, element } => {
                self.live[operation as usize].trials[stratum as usize].through += 1;
                self.go(operation as usize, u64::from(element), Place::Claimed, Place::Silent);
            }
            Due::Shows { operation, stratum, told, since, crash } => {
                self.show(operation as usize, stratum as usize, told, since, crash);
            }
            Due::Found { operation, stratum, look, window, updated } => {
                let arm = if updated { Arm::Updated } else { Arm::Control };
                let trial = &mut self.live[operation as usize].trials[stratum as usize];
                trial.find(u64::from(look), window, arm, HealthEventKind::Silence);
            }
        }
    }

    /// A device that was granted before is in contact, and is told to install.
    fn meet(&mut self, way: Way) {
        let (operation, element) = (way.operation as usize, u64::from(way.element));
        let live = &mut self.live[operation];
        let state = live.conduct.operation().state;
        if state != OperationState::Ongoing {
            if state.is_final() {
                self.fleet.cell_mut(way.stratum as usize, way.mask as usize).idle += 1;
            }
            return;
        }
        if let Some(pending) = live.pending.get_mut(&element) {
            *pending -= 1;
            if *pending == 0 {
                live.pending.remove(&element);
            }
        }
        live.trials[way.stratum as usize].pending -= 1;
        self.go(operation, element, Place::Granted, Place::Claimed);
        self.tell(way, 1);
    }

    /// Devices in contact are told to install.
    fn tell(&mut self, way: Way, devices: u64) {
        let at_s = self.at_s();
        let (operation, stratum) = (way.operation as usize, way.stratum as usize);
        let mut late: Vec<(&Fault, u64)> = Vec::new();
        let fates = self.fleet.install(operation, stratum, devices, at_s, &mut late);
        let live = &mut self.live[operation];
        let told = live.ages.slot_of(at_s);
        let trial = &mut live.trials[stratum];
        trial.tell(devices - fates.passing, &live.ages);
        let hit: u64 = late.iter().map(|(_, hit)| hit).sum();
        trial.harmed += fates.failed_by_fault + fates.bricked + hit;
        let fault_s = trial.shown + fates.bricked;
        trial.shown = fault_s;
        if fates.bricked > 0 {
            self.live[operation].outcome.harm_shows(at_s);
        }
        let install = self.fleet.kinds[stratum].install;
        for _ in 0..fates.passing {
            let at = at_s + install.draw_s(&mut self.fleet.chance) * self.fleet.chance.unit();
            self.wheel.put(self.step_of(at), Due::BreakOff(way));
        }
        let give_up = self.step_of(at_s + self.fleet.kinds[stratum].deadline_s);
        let gone =
            Due::GiveUp { operation: way.operation, stratum: way.stratum, element: way.element };
        for _ in 0..fates.bricked + fates.silenced {
            self.wheel.put(give_up, gone);
            if self.follows {
                self.find_gone(operation, stratum, give_up);
            }
        }
        let mask = way.mask as usize | 1 << operation;
        self.fleet.cell_mut(stratum, mask).dead += fates.bricked + fates.silenced;
        let mut faulty = 0;
        for (at, count) in [(false, fates.failed), (true, fates.well)] {
            for which in 0..count {
                let ends_s = at_s + install.draw_s(&mut self.fleet.chance);
                let step = self.step_of(ends_s);
                self.wheel.put(step, Due::End { way, told, succeeded: at });
                if at && which < hit {
                    self.plant(way, told, step, &late, which);
                } else if !at && which < fates.failed_by_fault {
                    faulty += 1;
                }
            }
        }
        if faulty > 0 {
            self.live[operation].trials[stratum].shown += faulty;
            self.live[operation].outcome.harm_shows(at_s + install.mean_s());
        }
    }

    /// An updated device that never came back is noticed as silent since it was told.
    fn find_gone(&mut self, operation: usize, stratum: usize, found: u64) {
        let look = self.live[operation].ages.look_of(self.at_s());
        self.wheel.put(
            found,
            Due::Found {
                operation: operation as u8,
                stratum: stratum as u8,
                look: look as u32,
                window: 0,
                updated: true,
            },
        );
    }

    /// Gives a device the late fault that is its own.
    fn plant(&mut self, way: Way, told: u32, since: u64, late: &[(&Fault, u64)], which: u64) {
        let mut before = 0;
        for (fault, hit) in late {
            before += hit;
            if which >= before {
                continue;
            }
            let trial = &mut self.live[way.operation as usize].trials[way.stratum as usize];
            match fault.kind {
                FaultKind::Indicator => trial.shifted += 1,
                FaultKind::Reboots => trial.shaken += 1,
                _ => {
                    let Some(latency) = fault.latency else { return };
                    let after_s = latency.draw_s(&mut self.fleet.chance);
                    let at = self.step_of(since as f64 * self.step_s + after_s).max(since + 1);
                    let shows = Due::Shows {
                        operation: way.operation,
                        stratum: way.stratum,
                        told,
                        since: since as u32,
                        crash: fault.kind == FaultKind::LatentCrash,
                    };
                    self.wheel.put(at, shows);
                    return;
                }
            }
            trial.shown += 1;
            let at_s = since as f64 * self.step_s;
            self.live[way.operation as usize].outcome.harm_shows(at_s);
            return;
        }
    }

    /// A device comes back from the installation and says how it went.
    fn end(&mut self, way: Way, told: u32, succeeded: bool) {
        let (operation, stratum) = (way.operation as usize, way.stratum as usize);
        let mask = way.mask as usize | 1 << operation;
        self.fleet.cell_mut(stratum, mask).idle += 1;
        let at_s = self.at_s();
        let live = &mut self.live[operation];
        let trial = &mut live.trials[stratum];
        trial.through += 1;
        if self.follows {
            trial.come_back(told, at_s, succeeded, &live.ages);
        }
        let place = if succeeded { Place::Succeeded } else { Place::Failed };
        self.go(operation, u64::from(way.element), Place::Claimed, place);
    }

    /// A try broke off; the policy says whether there is another.
    fn break_off(&mut self, way: Way) {
        let operation = way.operation as usize;
        let element = u64::from(way.element);
        let live = &mut self.live[operation];
        let retry = live.conduct.operation().policy.retry;
        let is_last = u32::from(way.tries) >= retry.attempts_max;
        if is_last || live.conduct.operation().state.is_final() {
            live.trials[way.stratum as usize].through += 1;
            let mask = way.mask as usize | 1 << operation;
            self.fleet.cell_mut(way.stratum as usize, mask).idle += 1;
            self.go(operation, element, Place::Claimed, Place::BrokenOff);
            return;
        }
        live.trials[way.stratum as usize].granted -= 1;
        *live.deferred.entry(element).or_default() += 1;
        let doublings = u32::from(way.tries).saturating_sub(1).min(16);
        let wait = (retry.backoff.0 * (1 << doublings)).min(retry.backoff_max.0);
        let at = self.step_of(self.at_s() + wait.as_secs_f64());
        self.wheel.put(at, Due::Retry(way));
        self.go(operation, element, Place::Claimed, Place::Deferred);
    }

    /// A late fault shows at a device, unless it fell silent before.
    fn show(&mut self, operation: usize, stratum: usize, told: u32, since: u32, crash: bool) {
        let at_s = self.at_s();
        let bit = 1 << operation;
        let trial = &mut self.live[operation].trials[stratum];
        trial.shown += 1;
        self.live[operation].outcome.harm_shows(at_s);
        let fits = |mask: usize| mask & bit != 0;
        let Some(mask) = self.fleet.pick_mask(stratum, fits, |cell| cell.idle) else { return };
        if crash {
            if self.follows {
                let live = &mut self.live[operation];
                let window = live.ages.window(live.ages.age_s(told, at_s));
                let look = live.ages.look_of(at_s);
                let trial = &mut live.trials[stratum];
                trial.leave(told);
                trial.find(look, window, Arm::Updated, HealthEventKind::Crash);
            }
            return;
        }
        let cell = self.fleet.cell_mut(stratum, mask);
        cell.idle -= 1;
        cell.dead += 1;
        if self.follows {
            let since_s = f64::from(since) * self.step_s;
            let loss = Loss { stratum, mask, at_s, noticed: true };
            self.lose(loss, Some((operation, told, since_s)));
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

    /// The server answers requests, as fast as it can now.
    fn answer(&mut self, at_s: f64) {
        let progress = self.progress();
        let mut factor = 1.0;
        for (at, change) in self.scenario.latencies.iter().enumerate() {
            let begins = match (change.at, change.after) {
                (Some(share), _) => progress >= share_of(share),
                (None, Some(after)) => at_s >= after.0.as_secs_f64(),
                (None, None) => false,
            };
            if begins {
                self.slowed[at].get_or_insert(at_s);
            }
            let lasts = change.lasts.map_or(f64::INFINITY, |lasts| lasts.0.as_secs_f64());
            if self.slowed[at].is_some_and(|since| at_s - since < lasts) {
                factor *= change.factor;
            }
        }
        let server = &self.scenario.server;
        if let Some(capacity) = server.capacity {
            let busy: u64 = self.live.iter().map(|live| live.conduct.in_flight()).sum();
            factor /= 1.0 - (busy as f64 / capacity.max(1) as f64).min(0.98);
        }
        for _ in 0..ANSWERS {
            let noise = (server.jitter * self.fleet.chance.normal()).exp();
            let answer = server.response.0.mul_f64(factor * noise);
            for live in &mut self.live {
                live.conduct.response_time(answer);
            }
        }
    }

    /// Share of the targets of the first operation that are through.
    fn progress(&self) -> f64 {
        let through: u64 = self.live[0].trials.iter().map(|trial| trial.through).sum();
        through as f64 / self.scenario.devices as f64
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

    /// Which devices that the operation has not taken are in contact in this step.
    fn draw_contacts(&mut self, operation: usize) {
        if self.live[operation].drawn_at == Some(self.now) {
            return;
        }
        let masks = self.fleet.masks();
        let mut contacts = std::mem::take(&mut self.live[operation].contacts);
        contacts.clear();
        for stratum in 0..self.fleet.strata() {
            let p = self.fleet.kinds[stratum].contact.within(self.step_s);
            for mask in 0..masks {
                let free = mask & (1 << operation) == 0;
                let cell = *self.fleet.cell(stratum, mask);
                contacts.push(match self.reach {
                    _ if !free => 0,
                    Reach::Contact => self.fleet.chance.binomial(cell.idle, p),
                    Reach::Online => cell.idle,
                    Reach::Queue => cell.all(),
                });
            }
        }
        let live = &mut self.live[operation];
        live.contacts = contacts;
        live.drawn_at = Some(self.now);
    }

    /// Devices that are not granted. Ready are those that a grant can reach, at their next contact
    /// at the latest.
    fn pool(&self, operation: usize) -> Pool {
        let live = &self.live[operation];
        let (mut free, mut met) = (0, 0);
        for stratum in 0..self.fleet.strata() {
            free += self.fleet.free(stratum, operation, Cell::all);
            met += self.ready(operation, stratum);
        }
        let again = live.again.len() as u64;
        let deferred = live.deferred.values().sum::<u64>() - again;
        Pool {
            ready: met + again,
            waiting: free.saturating_sub(met) + deferred,
            excluded: 0,
            retries: deferred > 0,
        }
    }

    fn ready(&self, operation: usize, stratum: usize) -> u64 {
        match self.reach {
            Reach::Contact | Reach::Online => self.fleet.free(stratum, operation, |cell| cell.idle),
            Reach::Queue => self.fleet.free(stratum, operation, Cell::all),
        }
    }

    /// Everything that was observed since the last look.
    fn look(&mut self, operation: usize) -> Look {
        let (at_s, at) = (self.at_s(), self.time());
        let at_s = at_s.max(1e-3);
        let number = self.live[operation].conduct.looks() + 1;
        let since_s = self.live[operation].ages.looks_s.last().copied().unwrap_or(0.0);
        let scenario = self.scenario;
        let mut strata = Vec::new();
        for stratum in 0..self.fleet.strata() {
            let kind = &self.fleet.kinds[stratum];
            let (contact, deadline_s) = (kind.contact, kind.deadline_s as u64);
            let hourly = share_of(kind.benign.crashes_per_hour) * self.fleet.drift(at_s);
            let hits = |kind: FaultKind| {
                let fault = scenario.faults.iter().find(|fault| fault.kind == kind);
                fault.filter(|fault| scenario.hits(fault, operation, stratum))
            };
            let more = hits(FaultKind::Reboots).map_or(0.0, |fault| fault.factor - 1.0);
            let shift = hits(FaultKind::Indicator).map_or(0.0, |fault| fault.shift);
            let live = &mut self.live[operation];
            let indicator = scenario.indicator.map(|indicator| {
                let after_s = indicator.after.0.as_secs_f64();
                let trial = &live.trials[stratum];
                let devices = trial.told_between(since_s - after_s, at_s - after_s, &live.ages);
                IndicatorView { devices, noise: indicator.noise, shift }
            });
            let again = live.again.iter().filter(|it| it.stratum == stratum).count() as u64;
            let view = View {
                look: number,
                at_s,
                since_s,
                name: scenario.strata[stratum].name(),
                targets: self.fleet.targets[stratum],
                ready: self.fleet.free(stratum, operation, |cell| cell.idle) + again,
                deadline_s,
                control: self.fleet.free(stratum, operation, |cell| cell.idle),
                contact: &contact,
                crashes: hourly * (at_s - since_s) / 3_600.0,
                crashes_more: more,
                indicator,
            };
            strata.push(live.trials[stratum].look(view, &live.ages, &mut self.fleet.chance));
        }
        let live = &mut self.live[operation];
        live.ages.looks_s.push(at_s);
        let operation = live.conduct.operation().id;
        Look { operation, number, at, strata, left: Vec::new() }
    }

    /// Notes which strata evidence has stopped.
    fn note_strata(&mut self, operation: usize) {
        let at_s = self.at_s();
        let live = &mut self.live[operation];
        let Some(course) = live.conduct.evidence_course() else { return };
        let stopped =
            (0..self.scenario.strata.len()).filter(|stratum| {
                let name = &self.scenario.strata[*stratum];
                course.judged.strata.iter().any(|ruling| {
                    ruling.scope == StratumScope::Stopped && ruling.name == name.name()
                })
            });
        let stopped: std::collections::BTreeSet<usize> = stopped.collect();
        if stopped.is_empty() {
            return;
        }
        match &mut live.outcome.stop {
            Some(known) => known.strata.extend(stopped),
            None => {
                live.outcome.stop =
                    Some(Stop { at_s, strata: stopped, whole: false, paused: false });
                live.outcome.harmed_before_stop = live.trials.iter().map(|it| it.shown).sum();
            }
        }
    }

    /// Grants what there is room for; says whether anything was.
    fn grant(&mut self, operation: usize) -> bool {
        let now = self.time();
        let pool = self.pool(operation);
        let room = self.live[operation].conduct.room(pool, now);
        if room == 0 {
            return false;
        }
        let masks = self.fleet.masks();
        let live = &self.live[operation];
        let strata: Vec<Seats> = (0..self.fleet.strata())
            .map(|stratum| {
                let free = self.fleet.free(stratum, operation, Cell::all);
                let again = live.again.iter().filter(|it| it.stratum == stratum).count() as u64;
                let met: u64 = live.contacts[stratum * masks..(stratum + 1) * masks].iter().sum();
                Seats {
                    targets: free + again + live.trials[stratum].granted,
                    granted: live.trials[stratum].granted,
                    ready: met + again,
                    granted_max: self.granted_max(operation, stratum),
                }
            })
            .collect();
        let mut places = vec![0_u64; strata.len()];
        for stratum in seats(&strata, u64::from(room)) {
            places[stratum] += 1;
        }
        let granted: u64 = places.iter().sum();
        if granted == 0 {
            return false;
        }
        let element = self.live[operation].conduct.grant(now);
        for (stratum, devices) in places.into_iter().enumerate() {
            self.take(operation, stratum, element, devices);
        }
        self.flush();
        let in_flight = self.live[operation].conduct.in_flight();
        let outcome = &mut self.live[operation].outcome;
        outcome.peak_in_flight = outcome.peak_in_flight.max(in_flight);
        true
    }

    /// Most devices of a stratum that may be granted in all.
    fn granted_max(&self, operation: usize, stratum: usize) -> u64 {
        let name = || self.scenario.strata[stratum].name();
        if !self.follows {
            return u64::MAX;
        }
        self.live[operation].conduct.granted_max(&name()).unwrap_or(u64::MAX)
    }

    /// Takes devices of a stratum into an element: those to be tried again first.
    fn take(&mut self, operation: usize, stratum: usize, element: u64, devices: u64) {
        let mut left = devices;
        self.live[operation].trials[stratum].granted += devices;
        while left > 0 {
            let again = &mut self.live[operation].again;
            let Some(at) = again.iter().position(|it| it.stratum == stratum) else { break };
            let Again { mask, element: before, tries, .. } = again.swap_remove(at);
            let live = &mut self.live[operation];
            if let Some(deferred) = live.deferred.get_mut(&before) {
                *deferred -= 1;
            }
            let from = Some((before, Place::Deferred));
            self.note(Move { operation, from, element, to: Place::Claimed, devices: 1 });
            let way = Self::way(operation, stratum, mask, element, tries + 1);
            self.tell(way, 1);
            left -= 1;
        }
        let masks = self.fleet.masks();
        while left > 0 {
            let met = &self.live[operation].contacts[stratum * masks..(stratum + 1) * masks];
            let all: u64 = met.iter().sum();
            let Some(mask) = met.iter().position(|met| *met > 0) else { break };
            // Several cells only with several operations; then in proportion.
            let share = met[mask] as f64 / all as f64;
            let most = met[mask];
            let devices = self.fleet.chance.binomial(left, share).min(most);
            let devices = if devices == 0 && share > 0.999 { left.min(most) } else { devices };
            if devices == 0 {
                let mask = met.iter().rposition(|met| *met > 0).unwrap_or(mask);
                self.take_from(operation, stratum, mask, element, 1);
                left -= 1;
                continue;
            }
            self.take_from(operation, stratum, mask, element, devices);
            left -= devices;
        }
    }

    fn take_from(
        &mut self,
        operation: usize,
        stratum: usize,
        mask: usize,
        element: u64,
        devices: u64,
    ) {
        let at = stratum * self.fleet.masks() + mask;
        self.live[operation].contacts[at] -= devices;
        // The other operations see these devices no more.
        for (other, live) in self.live.iter_mut().enumerate() {
            if other != operation && live.drawn_at.is_some() {
                live.drawn_at = None;
            }
        }
        let way = Self::way(operation, stratum, mask, element, 1);
        match self.reach {
            Reach::Contact => {
                self.fleet.cell_mut(stratum, mask).idle -= devices;
                self.note(Move { operation, from: None, element, to: Place::Claimed, devices });
                self.tell(way, devices);
            }
            Reach::Online | Reach::Queue => self.queue(way, devices),
        }
    }

    /// Devices are granted wherever they are, and told when they come into contact.
    fn queue(&mut self, way: Way, devices: u64) {
        let (operation, stratum) = (way.operation as usize, way.stratum as usize);
        let element = u64::from(way.element);
        let to = Place::Granted;
        self.note(Move { operation, from: None, element, to, devices });
        *self.live[operation].pending.entry(element).or_default() += devices;
        self.live[operation].trials[stratum].pending += devices;
        let (contact, returns_s) = {
            let kind = &self.fleet.kinds[stratum];
            (kind.contact, kind.offline.returns.0.as_secs_f64())
        };
        let at_s = self.at_s();
        for _ in 0..devices {
            let cell = *self.fleet.cell(stratum, way.mask as usize);
            let reached = if self.reach == Reach::Online { cell.idle } else { cell.all() };
            let mut draw = self.fleet.chance.below(reached);
            let cell = self.fleet.cell_mut(stratum, way.mask as usize);
            let mut after_s = 0.0;
            if draw < cell.idle {
                cell.idle -= 1;
            } else {
                draw -= cell.idle;
                if draw >= cell.away {
                    // It never turns up; nobody knows.
                    cell.dead -= 1;
                    continue;
                }
                cell.away -= 1;
                after_s = self.fleet.chance.exponential(returns_s);
            }
            after_s += contact.residual_s(&mut self.fleet.chance);
            self.wheel.put(self.step_of(at_s + after_s), Due::Contact(way));
        }
    }

    const fn way(operation: usize, stratum: usize, mask: usize, element: u64, tries: u32) -> Way {
        Way {
            operation: operation as u8,
            stratum: stratum as u8,
            mask: mask as u8,
            tries: tries as u8,
            element: element as u32,
        }
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
    fn new(scenario: &Scenario, contestant: &Contestant, at: usize, seed: u64, ages: Ages) -> Self {
        let operation = Operation {
            id: OperationId(at as u64 + 1),
            release: ReleaseId(at as u64 + 1),
            origin: Origin::Release,
            scope: Scope::Fleet,
            policy: contestant.policy.clone(),
            seed,
            opened: Time::from_secs(START_S),
            state: OperationState::Pending,
            phase: Phase::Test,
            last_decision: 0,
            speed: 0,
            favourable: 0,
            before: None,
            element: None,
            not_before: None,
            course: None,
            evidence: None,
            last_progress: Time::from_secs(START_S),
            ended: None,
            counts_at_end: None,
            agreement: None,
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
            outcome: Outcome::new(scenario, at),
        }
    }
}

/// A Monday, so that rules that keep office hours can be told what day it is.
pub(super) const START_S: u64 = 1_795_996_800;
/// How often what became of the devices at rest is drawn, in seconds.
const REST_S: f64 = 300.0;
/// Answers of the server drawn in a step.
const ANSWERS: usize = 8;
/// Decisions and grants in one step, so that a rule that never rests ends.
const ROUNDS_MAX: usize = 1_000;
