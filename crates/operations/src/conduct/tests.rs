//! Operations conducted by counts alone, to their end.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    AttemptState, Counts, Decision, Edgehog, Fault, FaultKind, Operation, OperationId,
    OperationState, Policy, Rate, Reason, ReleaseId, Rule, Span, Stage, Time,
};

use super::{Conduct, Pool};
use crate::{Attempts, OrderError, replay};

/// How long an attempt takes here.
const ATTEMPT: Duration = Duration::from_secs(10);
const TARGETS: u64 = 100_000;

fn operation(policy: Policy) -> Operation {
    Operation::new(OperationId(1), ReleaseId(1), policy, 1, Time::ZERO)
}

const fn ready(ready: u64) -> Pool {
    Pool { ready, waiting: 0, excluded: 0, retries: false }
}

fn ordered() -> Reason {
    Reason::Operator { by: "test".to_owned(), words: String::new() }
}

fn failed() -> AttemptState {
    AttemptState::Failed { fault: Fault { kind: FaultKind::UpdateFailed, detail: String::new() } }
}

/// Devices of one element that are in flight, with when they are done and how many of them fail.
type Flight = BTreeMap<(Time, u64), (u64, u64)>;

/// An operation with as many targets as wanted, each of which takes the same time.
struct Play {
    conduct: Conduct,
    pool: Pool,
    targets: u64,
    now: Time,
    flight: Flight,
    decisions: Vec<Decision>,
    /// Seconds from the beginning, and devices.
    grants: Vec<(u64, u64)>,
    /// One of so many devices fails; 0 for none.
    fails_every: u64,
}

impl Play {
    fn new(policy: Policy, targets: u64, fails_every: u64) -> Self {
        Self {
            conduct: Conduct::new(operation(policy)),
            pool: ready(targets),
            targets,
            now: Time::ZERO,
            flight: Flight::new(),
            decisions: Vec::new(),
            grants: Vec::new(),
            fails_every,
        }
    }

    fn played(policy: Policy, targets: u64, fails_every: u64) -> Self {
        let mut play = Self::new(policy, targets, fails_every);
        while play.step() {}
        play
    }

    /// Decides and grants until nothing changes, then lets time pass; says whether it goes on.
    fn step(&mut self) -> bool {
        loop {
            while let Some(decision) = self.conduct.decide(self.pool, self.now) {
                self.decisions.push(decision);
                self.check();
            }
            let room = self.conduct.room(self.pool, self.now);
            if room == 0 {
                break;
            }
            self.grant(u64::from(room));
            self.check();
        }
        if self.conduct.operation().state.is_final() {
            self.take_back();
            return false;
        }
        let done = self.flight.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = done.into_iter().chain(self.conduct.next_at(self.pool)).min() else {
            return false;
        };
        assert!(next > self.now || done == Some(next), "waits for a time that has passed");
        self.now = next;
        while let Some(entry) = self.flight.first_entry().filter(|entry| entry.key().0 <= next) {
            let (_, element) = *entry.key();
            let (succeeded, failures) = entry.remove();
            self.settle(element, succeeded, &AttemptState::Succeeded);
            self.settle(element, failures, &failed());
        }
        self.check();
        true
    }

    fn grant(&mut self, devices: u64) {
        let element = self.conduct.grant(self.now);
        let first = self.targets - self.pool.ready;
        let faults = |devices: u64| devices.checked_div(self.fails_every).unwrap_or(0);
        let failures = faults(first + devices) - faults(first);
        self.pool.ready -= devices;
        let granted = Attempts { devices, element, state: &AttemptState::Granted, warned: false };
        self.conduct.moved(None, granted, self.now);
        self.flight.insert((self.now + ATTEMPT, element), (devices - failures, failures));
        self.grants.push((self.now.since(Time::ZERO).as_secs(), devices));
    }

    fn settle(&mut self, element: u64, devices: u64, state: &AttemptState) {
        let from = Attempts { devices, element, state: &AttemptState::Granted, warned: false };
        self.conduct.moved(Some(from), Attempts { state, ..from }, self.now);
    }

    fn take_back(&mut self) {
        for ((_, element), (good, bad)) in std::mem::take(&mut self.flight) {
            self.settle(element, good + bad, &AttemptState::Cancelled);
        }
        self.conduct.close(0);
        self.check();
    }

    /// I4 and I7.
    fn check(&self) {
        let counts = self.conduct.counts(self.pool);
        let speed = u64::from(self.conduct.operation().speed);
        assert_eq!(counts.targets(), self.targets, "{counts:?}");
        assert!(counts.in_flight <= speed, "{counts:?} at speed {speed}");
    }

    /// I3, that decisions can be replayed, and how the operation came to its end.
    fn check_end(&self, state: OperationState, reason: &str, counts: Counts) {
        let numbers = self.decisions.iter().map(|decision| decision.seq);
        assert!(numbers.eq(1..=self.decisions.len() as u64));
        for decision in &self.decisions {
            assert_eq!(replay(decision), Some((decision.verdict, decision.reason.clone())));
        }
        let operation = self.conduct.operation();
        assert_eq!(operation.state, state);
        assert_eq!(self.decisions.last().unwrap().reason.code(), reason);
        assert_eq!(operation.counts_at_end, Some(counts));
        assert_eq!(operation.ended, Some(self.now));
    }
}

#[test]
fn the_threshold_rule_doubles_a_healthy_operation_to_its_end() {
    let play = Play::played(Policy::threshold(), TARGETS, 0);
    let sizes: Vec<u64> = play.grants.iter().map(|(_, devices)| *devices).collect();
    assert_eq!(sizes[..6], [1, 2, 4, 8, 16, 32]);
    assert_eq!(sizes.iter().max(), Some(&(TARGETS / 4)), "`speed_max`");
    let counts = Counts { succeeded: TARGETS, ..Counts::default() };
    play.check_end(OperationState::Finished, "finish.complete", counts);
}

#[test]
fn the_threshold_rule_aborts_at_the_first_errors() {
    // Every fourth fails. One failed device is an anecdote, but its element was worse than the
    // one before, so the next has one device again; that one fails as well.
    let play = Play::played(Policy::threshold(), TARGETS, 4);
    let sizes: Vec<u64> = play.grants.iter().map(|(_, devices)| *devices).collect();
    assert_eq!(sizes, [1, 2, 4, 1]);
    let counts = Counts { succeeded: 6, failed: 2, waiting: TARGETS - 8, ..Counts::default() };
    play.check_end(OperationState::Aborted, "abort.errors", counts);
}

#[test]
fn a_response_time_that_grows_slows_the_threshold_rule_down() {
    let mut play = Play::new(Policy::threshold(), TARGETS, 0);
    for (ms, expected) in [(20, 1), (20, 2), (20, 4), (90, 8), (90, 1)] {
        play.step();
        // Each step decides on the element before and grants the next, whose answers follow.
        assert_eq!(play.grants.last().unwrap().1, expected);
        play.conduct.response_time(Duration::from_millis(ms));
    }
}

#[test]
fn a_fixed_plan_keeps_its_times() {
    let stage = |percent, secs| Stage { share: Rate::percent(percent), wait: Span::secs(secs) };
    let stages = vec![stage(10, 60), stage(40, 600)];
    let policy = Policy { rule: Rule::Plan { stages }, ..Policy::threshold() };
    let play = Play::played(policy, TARGETS, 0);
    assert_eq!(play.grants, [(0, 10_000), (60, 40_000), (660, 40_000), (1_260, 10_000)]);
    let counts = Counts { succeeded: TARGETS, ..Counts::default() };
    play.check_end(OperationState::Finished, "finish.complete", counts);
}

#[test]
fn a_rule_that_allows_fills_its_places_to_the_end() {
    let rule = Edgehog { in_progress_max: 500, failed_max: Rate::percent(1) };
    let policy = Policy { rule: Rule::Edgehog(rule), ..Policy::threshold() };
    let play = Play::played(policy.clone(), TARGETS, 200);
    assert_eq!(play.grants.len() as u64, TARGETS / 500);
    let verdicts: Vec<_> = play.decisions.iter().map(|d| d.verdict.as_str()).collect();
    assert_eq!(verdicts, ["start", "allow", "finish"]);
    let failed = TARGETS / 200;
    let counts = Counts { succeeded: TARGETS - failed, failed, ..Counts::default() };
    play.check_end(OperationState::Finished, "finish.complete", counts);
}

#[test]
fn what_an_abort_takes_back_is_counted_once_more() {
    let mut play = Play::new(Policy::threshold(), TARGETS, 0);
    (0..5).for_each(|_| assert!(play.step()));
    let (pool, now) = (Pool { waiting: 7, retries: true, ..ready(1_000) }, play.now);
    let counts = play.conduct.counts(pool);
    assert_eq!((counts.in_flight, counts.succeeded), (0, 31));
    while play.conduct.decide(pool, now).is_some() {}
    play.grant(32);
    play.conduct.abort(ordered(), pool, now).unwrap();
    play.settle(6, 32, &AttemptState::Cancelled);
    play.conduct.close(5);
    let counts = Counts { succeeded: 31, cancelled: 32, waiting: 1_002, ..Counts::default() };
    assert_eq!(play.conduct.operation().counts_at_end, Some(counts));
    assert_eq!(play.conduct.counts(Pool::default()), counts, "it needs no pool any more");
}

#[test]
fn orders_are_refused_when_they_make_no_sense() {
    let mut conduct = Conduct::new(operation(Policy::threshold()));
    let (id, pool, now) = (OperationId(1), ready(10), Time::from_secs(1));
    assert_eq!(conduct.resume(ordered(), now), Err(OrderError::NotPaused(id)));
    assert_eq!(conduct.pause(ordered(), now).unwrap().seq, 1);
    assert_eq!(conduct.pause(ordered(), now), Err(OrderError::AlreadyPaused(id)));
    assert_eq!(conduct.decide(pool, now), None);
    assert_eq!(conduct.resume(ordered(), now).unwrap().seq, 2);
    assert_eq!(conduct.operation().state, OperationState::Pending, "it never started");
    assert_eq!(conduct.decide(pool, now).unwrap().seq, 3);
    assert_eq!(conduct.room(pool, now), 1);
    conduct.pause(ordered(), now).unwrap();
    assert_eq!(conduct.room(pool, now), 0);
    conduct.resume(ordered(), now).unwrap();
    assert_eq!(conduct.operation().state, OperationState::Ongoing);
    conduct.abort(ordered(), pool, now).unwrap();
    let ended = OrderError::Ended { operation: id, state: OperationState::Aborted };
    assert_eq!(conduct.abort(ordered(), pool, now), Err(ended.clone()));
    assert_eq!(conduct.resume(ordered(), now), Err(ended));
    assert_eq!((conduct.decide(pool, now), conduct.room(pool, now)), (None, 0));
}

/// The server moves one device after the other, and must come to the same.
#[test]
fn many_at_once_are_as_many_one_by_one() {
    let deferred = AttemptState::Deferred {
        until: Time::MAX,
        fault: Fault { kind: FaultKind::NoAnswer, detail: String::new() },
    };
    let rule = Edgehog { in_progress_max: 500, failed_max: Rate::percent(100) };
    for rule in [Rule::Threshold, Rule::Edgehog(rule)] {
        let policy = Policy { rule, first_speed: 50, ..Policy::threshold() };
        let mut many = Conduct::new(operation(policy));
        while many.decide(ready(500), Time::ZERO).is_some() {}
        let element = many.grant(Time::ZERO);
        let mut one_by_one = many.clone();
        let at = Time::from_secs(9);
        let granted =
            Attempts { devices: 50, element, state: &AttemptState::Granted, warned: false };
        let ends = [
            (20, AttemptState::Succeeded, true),
            (10, failed(), false),
            (10, AttemptState::Silent, false),
            (6, deferred.clone(), true),
            (4, AttemptState::Cancelled, false),
        ];
        many.moved(None, granted, at);
        (0..50).for_each(|_| one_by_one.moved(None, Attempts { devices: 1, ..granted }, at));
        for (devices, state, warned) in &ends {
            let to = Attempts { devices: *devices, element, state, warned: *warned };
            many.moved(Some(Attempts { devices: *devices, ..granted }), to, at);
            for _ in 0..*devices {
                let from = Attempts { devices: 1, ..granted };
                one_by_one.moved(Some(from), Attempts { devices: 1, ..to }, at);
            }
        }
        assert_eq!(many, one_by_one);
        let pool = Pool { waiting: 6, retries: true, ..ready(450) };
        assert_eq!(many.counts(pool).targets(), 500);
        assert_eq!(many.decide(pool, at), one_by_one.decide(pool, at));
        // A restart counts where everyone stands, and nothing else.
        let mut restored = Conduct::restored(many.operation().clone());
        for (devices, state, warned) in &ends {
            let to = Attempts { devices: *devices, element, state, warned: *warned };
            restored.moved(None, to, at);
        }
        assert_eq!(restored.counts(pool), many.counts(pool));
        assert_eq!(restored.operation(), many.operation());
    }
}
