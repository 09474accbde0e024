//! One operation as regulation sees it: counts and decisions, no devices.
//!
//! [`crate::Loops`] keeps a [`Conduct`] for each of its operations and adds the devices. Whoever
//! only asks how an operation goes on drives one by counts alone, however many devices they
//! stand for, and runs the very code that the server runs.

mod course;
mod evidence;
#[cfg(test)]
mod tests;

use std::time::Duration;

use model::{
    AttemptState, Counts, Criticality, Decision, Freeze, Inputs, Operation, OperationId,
    OperationState, Reason, ReportedRates, Rule, Time, Verdict,
};

use self::course::course_of;
use crate::enforcement::{Attempts, Histogram, Ledger, aggregate};
use crate::evidence::Panel;
use crate::{OrderError, regulation};

/// One operation as regulation sees it (paper A §III-E): what its attempts come to, what is
/// decided on that, and how many devices may be granted.
///
/// In turn, until nothing changes: [`Conduct::decide`] while it decides; then, when
/// [`Conduct::room`] has room, [`Conduct::grant`] and the granted devices as [`Conduct::moved`].
/// Every change of an attempt is told by [`Conduct::moved`]; without one it waits until
/// [`Conduct::next_at`]. Deciding changes the operation, and the caller makes both durable.
///
/// Response times are not kept: after a restart the median is that of the answers since.
#[derive(Debug, Clone, PartialEq)]
pub struct Conduct {
    operation: Operation,
    ledger: Ledger,
    response_times: Histogram,
    last_element: u64,
    // A device failed since regulation looked last.
    bad_news: bool,
    // Under evidence, the last device under way is through since then: the others need not wait.
    drained: bool,
    // Class of the release, which gates may ask for.
    class: Option<Criticality>,
    // Under evidence, what its looks say together.
    panel: Option<Panel>,
}

/// Devices of an operation that are neither granted nor settled for good, and those that are no
/// target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pool {
    /// Targets that could be granted now.
    pub ready: u64,
    /// Targets that wait, those for another try included.
    pub waiting: u64,
    /// Devices that are no target.
    pub excluded: u64,
    /// Whether some wait for another try, for a window, for consent or for room at their site,
    /// which no linger time cuts short.
    pub retries: bool,
}

impl Conduct {
    /// Begins with an operation of which no device was granted yet.
    #[must_use]
    pub fn new(operation: Operation) -> Self {
        let mut ledger = Ledger::default();
        for stage in operation.course.iter().flat_map(|course| &course.stages) {
            ledger.begin_stage(stage.first_element);
        }
        let rule = operation.policy.rule.evidence();
        let panel =
            rule.zip(operation.evidence.as_deref()).map(|(rule, plan)| Panel::new(rule, plan));
        Self {
            operation,
            ledger,
            response_times: Histogram::default(),
            last_element: 0,
            bad_news: false,
            drained: false,
            class: None,
            panel,
        }
    }

    /// Goes on with a stored operation; its attempts follow as [`Conduct::moved`] from nothing.
    /// Regulation looks at an open one at once, since nobody knows what it has seen.
    #[must_use]
    pub fn restored(operation: Operation) -> Self {
        Self { bad_news: !operation.state.is_final(), ..Self::new(operation) }
    }

    /// Says what class its release has, which a policy may want an operator's word for.
    #[must_use]
    pub fn of_class(self, class: Criticality) -> Self {
        Self { class: Some(class), ..self }
    }

    /// The operation as it is to be stored.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The operation's counts; every target is in exactly one of them (I7). After its end
    /// `waiting` and `excluded` are those of its last moment.
    #[must_use]
    pub fn counts(&self, pool: Pool) -> Counts {
        let ledger = &self.ledger;
        let mut counts = self.operation.counts_at_end.unwrap_or_else(|| Counts {
            waiting: pool.ready + pool.waiting,
            eligible: pool.ready,
            excluded: pool.excluded,
            ..Counts::default()
        });
        counts.succeeded = ledger.succeeded();
        counts.failed = ledger.failed();
        counts.in_flight = ledger.in_flight();
        counts.cancelled = ledger.cancelled();
        counts
    }

    /// Devices granted and unresolved.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.ledger.in_flight()
    }

    /// Whether regulation is due: a pending operation with targets, an element that ended, bad
    /// news in the middle of one, or nothing left to do.
    #[must_use]
    pub fn is_occasion(&self, pool: Pool, now: Time) -> bool {
        let operation = &self.operation;
        let linger_over = || self.is_linger_over(pool, now);
        match (operation.state, operation.element) {
            (OperationState::Pending, _) => pool.ready > 0 || linger_over(),
            (OperationState::Ongoing, _) if self.panel.is_some() => {
                self.is_evidence_occasion(pool, now)
            }
            (OperationState::Ongoing, _) if self.allows() => self.is_course_occasion(pool, now),
            (OperationState::Ongoing, Some(element)) => {
                self.bad_news || self.ledger.is_settled(element)
            }
            (OperationState::Ongoing, None) => pool.ready + pool.waiting == 0 || linger_over(),
            (OperationState::Paused, _) => self.bad_news,
            (OperationState::Aborted | OperationState::Finished, _) => false,
        }
    }

    /// Asks regulation when there is an occasion, and carries its verdict out on the operation.
    /// A paused operation is only ever aborted. None when nothing is decided, or a new look
    /// changed nothing.
    ///
    /// After a decision that ends the operation see [`Conduct::close`].
    pub fn decide(&mut self, pool: Pool, now: Time) -> Option<Decision> {
        if !self.is_occasion(pool, now) {
            return None;
        }
        self.bad_news = false;
        self.drained = false;
        let inputs = self.inputs(pool, now);
        let judged = regulation::judged(&inputs);
        let (verdict, reason) = regulation::regulate_judged(&inputs, judged.as_ref())?;
        if self.operation.state == OperationState::Paused && verdict != Verdict::Abort {
            return None;
        }
        let old = judged.as_ref().is_some_and(|new| self.is_old_news(verdict, new, &inputs));
        self.carry_out(verdict, &reason, inputs.after, pool, now);
        if let Some(judged) = &judged {
            self.keep_judged(judged.clone(), &inputs, now);
        }
        if old {
            return None;
        }
        let decision = self.decision(verdict, reason, Some(inputs), now);
        Some(Decision { judged: judged.map(Box::new), ..decision })
    }

    /// Stops the operation for a while by an operator's order; devices in flight complete.
    ///
    /// # Errors
    /// [`OrderError`] when it has ended or is paused already.
    pub fn pause(&mut self, reason: Reason, now: Time) -> Result<Decision, OrderError> {
        if self.changeable()? == OperationState::Paused {
            return Err(OrderError::AlreadyPaused(self.operation.id));
        }
        self.operation.state = OperationState::Paused;
        Ok(self.decision(Verdict::Pause, reason, None, now))
    }

    /// Stops the operation for a while because evidence stopped one whose release it rests on,
    /// also when it is paused already: whoever resumes it has seen this reason. Once for each
    /// stop; none when it has ended or was frozen by that one before.
    pub fn freeze(&mut self, by: OperationId, now: Time) -> Option<Decision> {
        let known = self.operation.freeze.is_some_and(|freeze| freeze.by == by);
        if self.operation.state.is_final() || known {
            return None;
        }
        self.operation.state = OperationState::Paused;
        self.operation.freeze = Some(Freeze { by, lifted: false });
        Some(self.decision(Verdict::Pause, Reason::Frozen { by }, None, now))
    }

    /// Lets a paused operation go on by an operator's order: the failures that its rule stopped
    /// at are accepted, and the stage that waited may begin.
    ///
    /// # Errors
    /// [`OrderError`] when it has ended or is not paused.
    pub fn resume(&mut self, reason: Reason, now: Time) -> Result<Decision, OrderError> {
        if self.changeable()? != OperationState::Paused {
            return Err(OrderError::NotPaused(self.operation.id));
        }
        self.go_on();
        Ok(self.decision(Verdict::Resume, reason, None, now))
    }

    /// Stops the operation for good by an operator's order (I5); [`Conduct::close`] follows.
    ///
    /// # Errors
    /// [`OrderError`] when it has ended.
    pub fn abort(&mut self, reason: Reason, pool: Pool, now: Time) -> Result<Decision, OrderError> {
        self.changeable()?;
        self.end(OperationState::Aborted, pool, now);
        Ok(self.decision(Verdict::Abort, reason, None, now))
    }

    /// Counts an operation that has just ended once more, after whoever its end took back was
    /// told as [`Conduct::moved`]. Of these, `given_up` were waiting for another try.
    pub fn close(&mut self, given_up: u64) {
        if let Some(last) = self.operation.counts_at_end {
            let waiting = last.waiting.saturating_sub(given_up);
            // The pool of the last moment is in the counts already.
            let counts = Counts { waiting, ..self.counts(Pool::default()) };
            self.operation.counts_at_end = Some(counts);
        }
    }

    /// Devices that may be granted now, and are there to be granted: one element at a time at
    /// the decided speed, or as many as a rule that allows leaves. 0 for none.
    #[must_use]
    pub fn room(&self, pool: Pool, now: Time) -> u32 {
        let due = self.operation.not_before.is_none_or(|at| at <= now);
        if !due || self.operation.state != OperationState::Ongoing || self.is_full() {
            return 0;
        }
        let places = if self.allows() { self.places() } else { self.operation.speed };
        places.min(u32::try_from(pool.ready).unwrap_or(u32::MAX))
    }

    /// Whether a device that is ready has to wait for others.
    #[must_use]
    pub fn is_full(&self) -> bool {
        if self.allows() { self.places() == 0 } else { self.operation.element.is_some() }
    }

    /// Begins the next element, and returns its number, dense from 1. Its devices follow as
    /// [`Conduct::moved`] from nothing, or from their last try, to granted.
    pub fn grant(&mut self, now: Time) -> u64 {
        self.last_element += 1;
        if !self.allows() {
            self.operation.element = Some(self.last_element);
            self.response_times = Histogram::default();
        }
        if let Rule::Plan { stages } = &self.operation.policy.rule {
            let stage = regulation::stage(stages, self.operation.favourable);
            self.operation.not_before = stage.map(|stage| now + stage.wait.0);
        }
        self.last_element
    }

    /// Attempts moved on at a time: from where they stood, or from nothing when their devices
    /// are granted for the first time, to where as many of them stand now.
    pub fn moved(&mut self, from: Option<Attempts<'_>>, to: Attempts<'_>, at: Time) {
        debug_assert!(from.is_none_or(|from| from.devices == to.devices), "{from:?} to {to:?}");
        if let Some(from) = from {
            self.ledger.subtract(from);
        }
        self.ledger.add(to);
        self.last_element = self.last_element.max(to.element);
        self.operation.last_progress = self.operation.last_progress.max(at);
        let failed = matches!(to.state, AttemptState::Failed { .. } | AttemptState::Silent);
        let settled = to.state.is_settled();
        self.drained |= settled && self.panel.is_some() && self.ledger.in_flight() == 0;
        // Rules that allow wait for good news as well.
        self.bad_news |= failed || (settled && self.allows() && self.panel.is_none());
    }

    /// The time for which targets waited has come: whoever of them is away is waited for from now
    /// on.
    pub fn woke(&mut self, at: Time) {
        self.operation.last_progress = self.operation.last_progress.max(at);
    }

    /// A request of the server was answered after `round_trip`: paper A's infrastructure metric
    /// (§III-B2). It counts while an element is in progress.
    pub fn response_time(&mut self, round_trip: Duration) {
        if self.operation.element.is_some() || self.operation.course.is_some() {
            self.response_times.add(round_trip);
        }
    }

    /// The next time at which [`Conduct::decide`] or [`Conduct::room`] has something to say by
    /// itself: a stage of a fixed plan, a look of a rule that allows, the end of the linger time.
    #[must_use]
    pub fn next_at(&self, pool: Pool) -> Option<Time> {
        let times = [self.stage_at(pool), self.course_at(pool), self.idle_until(pool)];
        times.into_iter().flatten().min()
    }

    fn inputs(&self, pool: Pool, now: Time) -> Inputs {
        let operation = &self.operation;
        let tracking = aggregate(
            &self.ledger,
            operation.element,
            operation.policy.window_devices_min,
            self.response_times.median_us(),
        );
        Inputs {
            counts: self.counts(pool),
            phase: operation.phase,
            speed: operation.speed,
            favourable: operation.favourable,
            before: operation.before,
            after: tracking.after,
            window: tracking.window,
            artifact_fault: tracking.artifact_fault,
            policy: operation.policy.clone(),
            standing: self.standing(pool, now),
            evidence: self.evidence_inputs(pool),
        }
    }

    fn carry_out(
        &mut self,
        verdict: Verdict,
        reason: &Reason,
        after: Option<ReportedRates>,
        pool: Pool,
        now: Time,
    ) {
        let operation = &mut self.operation;
        match verdict {
            Verdict::Start { speed } => {
                operation.state = OperationState::Ongoing;
                operation.speed = speed;
                if operation.policy.rule.is_peer() || self.panel.is_some() {
                    course_of(operation, now);
                }
            }
            Verdict::Continue { phase, speed, favourable } => {
                operation.phase = phase;
                operation.speed = speed;
                operation.favourable = favourable;
                operation.element = None;
                if after.is_some_and(|after| after.attempted > 0) {
                    operation.before = after;
                }
            }
            Verdict::Allow { .. } => self.allow(verdict, pool, now),
            Verdict::Hold { until } => self.hold(until, now),
            Verdict::Pause => {
                operation.state = OperationState::Paused;
                if let Reason::PeerApproval { stage } = reason {
                    course_of(operation, now).awaits = Some(*stage);
                }
                if let Reason::Approval { gate } = reason {
                    self.await_gate(*gate, now);
                }
            }
            Verdict::Resume => self.go_on(),
            Verdict::Abort => self.end(OperationState::Aborted, pool, now),
            Verdict::Finish => self.end(OperationState::Finished, pool, now),
        }
    }

    /// Numbers a decision (I3).
    fn decision(
        &mut self,
        verdict: Verdict,
        reason: Reason,
        inputs: Option<Inputs>,
        now: Time,
    ) -> Decision {
        self.operation.last_decision += 1;
        Decision {
            operation: self.operation.id,
            seq: self.operation.last_decision,
            at: now,
            verdict,
            reason,
            inputs,
            judged: None,
            code_version: CODE_VERSION.to_owned(),
        }
    }

    fn changeable(&self) -> Result<OperationState, OrderError> {
        let Operation { id: operation, state, .. } = self.operation;
        if state.is_final() { Err(OrderError::Ended { operation, state }) } else { Ok(state) }
    }

    fn go_on(&mut self) {
        self.accept();
        self.open_gate();
        if let Some(freeze) = &mut self.operation.freeze {
            freeze.lifted = true;
        }
        self.operation.state = if self.operation.speed > 0 {
            OperationState::Ongoing
        } else {
            OperationState::Pending
        };
    }

    fn end(&mut self, state: OperationState, pool: Pool, now: Time) {
        let counts = Counts { eligible: 0, ..self.counts(pool) };
        self.operation.state = state;
        self.operation.counts_at_end = Some(counts);
        self.operation.ended = Some(now);
        self.operation.element = None;
    }

    /// When a fixed plan's next stage may begin.
    fn stage_at(&self, pool: Pool) -> Option<Time> {
        let operation = &self.operation;
        let waits = operation.state == OperationState::Ongoing
            && operation.element.is_none()
            && pool.ready > 0;
        operation.not_before.filter(|_| waits)
    }

    /// When an operation that has nothing to do but wait was waited for long enough. A device
    /// that is to be tried again is worth waiting for in any case.
    fn idle_until(&self, pool: Pool) -> Option<Time> {
        let operation = &self.operation;
        // What evidence stopped stays ready and is never granted.
        let exhausted = pool.ready == 0 || self.is_evidence_idle();
        let idle = matches!(operation.state, OperationState::Pending | OperationState::Ongoing)
            && operation.element.is_none()
            && self.ledger.in_flight() == 0
            && exhausted
            && !pool.retries;
        idle.then(|| operation.last_progress + operation.policy.linger.0)
    }

    fn is_linger_over(&self, pool: Pool, now: Time) -> bool {
        self.idle_until(pool).is_some_and(|until| until <= now)
    }
}

/// Stored with every decision: a replay that differs under the same version is a fault.
const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");
