//! Keeping the books: the one place where assignments, operations and decisions change.

use model::{
    Assignment, AttemptState, Counts, Decision, DeviceId, Manifest, OperationId, Outcome, Record,
    ReleaseId, Time, Verdict, Version,
};

use super::spread::{Alarms, Parked};
use super::{Loops, Run, Watch};
use crate::generation::Place;
use crate::mix::mix;
use crate::{Config, Event, Output};

impl Run {
    /// The operation's counts; every target is in exactly one of them (I7).
    pub(super) fn counts(&self) -> Counts {
        self.conduct.counts(self.pool())
    }

    /// When the silence of an attempt must be acted upon.
    fn due(&self, assignment: &Assignment, manifest: &Manifest, config: &Config) -> Option<Time> {
        let due = self.due_by_state(assignment, manifest, config);
        self.limit_of(assignment).into_iter().chain(due).min()
    }

    /// When the policy's limit for a try ends it. A device that soaks has proved itself before.
    pub(super) fn limit_of(&self, assignment: &Assignment) -> Option<Time> {
        let limit = self.operation().policy.attempt_limit?;
        let runs = assignment.state.is_in_flight() && assignment.state != AttemptState::Soaking;
        let due = assignment.begun.filter(|_| runs)? + limit.0;
        let heard = self.watches.get(&assignment.device)?.heard;
        // It ran out while the server was away, and the device could not prove anything (I17).
        Some(if due < heard { heard + limit.0 } else { due })
    }

    fn due_by_state(
        &self,
        assignment: &Assignment,
        manifest: &Manifest,
        config: &Config,
    ) -> Option<Time> {
        let watch = self.watches.get(&assignment.device)?;
        let within = manifest.confirm.within.0;
        let until = |span| {
            let due = assignment.since + span;
            // It ran out while the server was away, and the device could not prove anything.
            if due <= watch.heard && assignment.since < watch.heard {
                watch.heard + span
            } else {
                due
            }
        };
        match (&assignment.state, watch.probed) {
            (AttemptState::Granted, _) if self.is_queued(assignment.device) => None,
            // It goes on when the device is awake; only the policy's limit for a try ends it.
            (state, _) if may_sleep(state) && watch.asleep.is_some() => None,
            (
                AttemptState::Granted
                | AttemptState::Sent
                | AttemptState::Accepted
                | AttemptState::Transferred,
                _,
            ) => Some(watch.heard.max(assignment.since) + config.transfer_stall()),
            (
                AttemptState::Claimed | AttemptState::Verifying | AttemptState::Soaking,
                Some(probed),
            ) => Some(probed + config.probe()),
            (AttemptState::Claimed, None) => Some(until(within)),
            (AttemptState::Verifying, None) => {
                Some(until(within.min(std::time::Duration::from_secs(config.verify_s))))
            }
            (AttemptState::Soaking, None) => Some(assignment.since + manifest.confirm.soak.0),
            _ => None,
        }
    }

    pub(super) fn is_queued(&self, device: DeviceId) -> bool {
        self.queued.contains(&(mix(self.operation().seed, device.0), device))
    }

    pub(super) fn unqueue(&mut self, device: DeviceId) {
        self.queued.remove(&(mix(self.operation().seed, device.0), device));
    }

    /// Takes an assignment into the counts and indexes without telling anyone.
    pub(super) fn keep(&mut self, assignment: &Assignment, now: Time) {
        let device = assignment.device;
        let old = self.assignments.insert(device, assignment.clone());
        self.conduct.moved(old.as_ref().map(Into::into), assignment.into(), assignment.since);
        if let Some(AttemptState::Deferred { until, .. }) = old.as_ref().map(|old| &old.state) {
            self.retries.remove(&(*until, device));
        }
        match assignment.state {
            AttemptState::Deferred { until, .. }
                if until > now && !self.operation().state.is_final() =>
            {
                self.retries.insert((until, device));
            }
            _ => {}
        }
        let moved = old
            .is_none_or(|old| old.state != assignment.state || old.attempt != assignment.attempt);
        if assignment.state == AttemptState::Granted {
            self.queued.insert((mix(self.operation().seed, device.0), device));
        } else {
            self.unqueue(device);
        }
        if assignment.state.is_settled() {
            self.watches.remove(&device);
        } else if moved {
            let fresh =
                Watch { heard: now, asleep: None, bytes: 0, probed: None, told: false, due: None };
            let watch = self.watches.entry(device).or_insert(fresh);
            watch.heard = now;
            watch.probed = None;
            if assignment.state == AttemptState::Granted {
                watch.asleep = None;
                watch.bytes = 0;
                watch.told = false;
            }
        }
    }
}

/// Whether a device in this state only waits for an order, so that its sleep is no standstill.
/// Earlier it is the device that must make progress, and afterwards it has to prove itself.
pub(super) const fn may_sleep(state: &AttemptState) -> bool {
    matches!(state, AttemptState::Transferred)
}

impl Loops {
    /// Puts an assignment into its new state, everywhere.
    pub(super) fn put(&mut self, mut assignment: Assignment, now: Time) {
        assignment.begun = match assignment.state {
            AttemptState::Granted => None,
            _ => assignment.begun.or(Some(assignment.since)),
        };
        if assignment.state.is_told() {
            assignment.told = assignment.told.or(Some(assignment.since));
        }
        let Assignment { operation, device, attempt, .. } = assignment;
        let state = assignment.state.clone();
        let Some(run) = self.runs.get_mut(&operation) else { return };
        if let Some(due) = run.watches.get_mut(&device).and_then(|watch| watch.due.take()) {
            self.deadlines.remove(&(due, operation, device));
        }
        // In any try: the last one answers.
        let told_before = run.assignments.get(&device).is_some_and(|known| known.state.is_told());
        let told = (state.is_told() && !told_before).then_some(assignment.since);
        let old = run.assignments.get(&device).filter(|_| run.comparison.is_some()).cloned();
        run.keep(&assignment, now);
        if run.comparison.is_some() {
            run.compare_attempt(old.as_ref(), &assignment, Time::default(), now);
        }
        if matches!(state, AttemptState::Failed { .. } | AttemptState::Silent) {
            self.compliance.failed.insert((run.operation().release, device));
        }
        if let Some(told) = told {
            self.take_over(operation, device, told);
        }
        if state == AttemptState::Succeeded {
            self.expect_undo(operation, now);
            self.absolve(operation, device);
        }
        if state.is_in_flight() {
            self.busy.insert(device, operation);
        } else if self.busy.get(&device) == Some(&operation) {
            self.busy.remove(&device);
            let site = self.sites.leave(device);
            self.offer_room(site.as_deref());
        }
        self.dirty.insert(device);
        self.outputs.push_back(Output::Record(Record::Assignment(Box::new(assignment))));
        self.tell(Event::DeviceMoved { operation, device, attempt, state });
        self.reschedule(operation, device);
    }

    /// A device that took a release of that name after all may be brought up to date by
    /// follow-up operations again.
    pub(super) fn absolve(&mut self, operation: OperationId, device: DeviceId) {
        let Some(run) = self.runs.get(&operation) else { return };
        if self.compliance.failed.is_empty() {
            return;
        }
        let name = &run.release.manifest.release.name;
        for published in self.releases.values() {
            if published.release.manifest.release.name == *name {
                self.compliance.failed.remove(&(published.release.id, device));
            }
        }
    }

    /// Sets the deadline of an attempt by its state.
    pub(super) fn reschedule(&mut self, operation: OperationId, device: DeviceId) {
        let Some(run) = self.runs.get_mut(&operation) else { return };
        let Some(assignment) = run.assignments.get(&device) else { return };
        let hop = assignment.path.first().copied().unwrap_or_else(|| run.operation().release);
        let Some(published) = self.releases.get(&hop) else { return };
        let due = run.due(assignment, &published.release.manifest, &self.config);
        let Some(watch) = run.watches.get_mut(&device) else { return };
        let old = std::mem::replace(&mut watch.due, due);
        if let Some(old) = old {
            self.deadlines.remove(&(old, operation, device));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, operation, device));
        }
    }

    /// Records the result of a try.
    pub(super) fn record_outcome(
        &mut self,
        assignment: &Assignment,
        release: ReleaseId,
        state: AttemptState,
        version_after: Option<Version>,
        now: Time,
    ) {
        let outcome = Outcome {
            operation: assignment.operation,
            device: assignment.device,
            attempt: assignment.attempt,
            release,
            state,
            version_before: assignment.version_before.clone(),
            version_after,
            at: now,
        };
        self.outputs.push_back(Output::Record(Record::Outcome(Box::new(outcome))));
    }

    /// Records a decision that the operation itself has followed, and follows it with the
    /// operation's devices.
    pub(super) fn carry_out(&mut self, decision: Decision, now: Time) {
        let (operation, verdict) = (decision.operation, decision.verdict);
        let reason = decision.reason.clone();
        self.outputs.push_back(Output::Record(Record::Decision(Box::new(decision.clone()))));
        self.tell(Event::Decided(Box::new(decision)));
        self.expect_undo(operation, now);
        match verdict {
            Verdict::Start { .. } | Verdict::Pause | Verdict::Resume => self.entered(operation),
            Verdict::Abort | Verdict::Finish => self.ended(operation, now),
            Verdict::Continue { .. } | Verdict::Allow { .. } | Verdict::Hold { .. } => {}
        }
        self.record_operation(operation);
        self.freeze_dependents(operation, &reason, now);
    }

    pub(super) fn record_operation(&mut self, operation: OperationId) {
        if let Some(run) = self.runs.get(&operation) {
            let row = Box::new(run.operation().clone());
            self.outputs.push_back(Output::Record(Record::Operation(row)));
        }
    }

    /// An operation is in another state now.
    fn entered(&mut self, operation: OperationId) {
        let Some(run) = self.runs.get(&operation) else { return };
        let state = run.operation().state;
        self.release_reserved(operation);
        self.tell(Event::OperationMoved { operation, state });
    }

    /// An operation is over for good (I5). Whoever was not told to install yet is taken back at
    /// once; what was told may complete and is recorded.
    fn ended(&mut self, operation: OperationId, now: Time) {
        self.entered(operation);
        self.take_back(operation, now);
        let given_up = self.give_up_deferred(operation, now);
        let Some(run) = self.runs.get_mut(&operation) else { return };
        run.conduct.close(given_up);
        run.comparison = None;
        self.learn(operation, |run, device| {
            run.targets.hardware_of(device).unwrap_or("").to_owned()
        });
        self.quarantine(operation);
        let Some(run) = self.runs.get_mut(&operation) else { return };
        run.targets = crate::generation::Targets::new(run.operation().seed);
        run.memory = crate::generation::Memory::default();
        run.retries.clear();
        run.alarms = Alarms::default();
        run.parked = Parked::default();
        self.by_urgency.retain(|id| *id != operation);
        self.refresh_standards();
        self.refresh_stopped();
    }

    fn take_back(&mut self, operation: OperationId, now: Time) {
        let Some(run) = self.runs.get(&operation) else { return };
        let stopped: Vec<Assignment> = run
            .watches
            .keys()
            .filter_map(|device| run.assignments.get(device))
            .filter(|assignment| self.can_be_stopped(run, assignment))
            .cloned()
            .collect();
        for assignment in stopped {
            self.cancel(assignment, now);
        }
    }

    /// What was to be tried again is not: its last try stays as it was recorded. Returns how many
    /// of those devices were counted among the waiting.
    fn give_up_deferred(&mut self, operation: OperationId, now: Time) -> u64 {
        let Some(run) = self.runs.get(&operation) else { return 0 };
        let deferred: Vec<Assignment> = run
            .assignments
            .values()
            .filter(|known| matches!(known.state, AttemptState::Deferred { .. }))
            .cloned()
            .collect();
        let mut waited = 0;
        for mut assignment in deferred {
            let place = self.runs.get(&operation).map(|run| run.place_of(assignment.device));
            waited += u64::from(matches!(place, Some(Place::Waiting(_) | Place::Ready)));
            assignment.state = AttemptState::Cancelled;
            assignment.since = now;
            self.put(assignment, now);
        }
        waited
    }

    /// Whether nothing that an attempt was told can change its device any more without another
    /// order. The values of a configuration act as they are written, an image only when the
    /// device is told to install it.
    fn can_be_stopped(&self, run: &Run, assignment: &Assignment) -> bool {
        let told = run.watches.get(&assignment.device).is_some_and(|watch| watch.told);
        match assignment.state {
            AttemptState::Granted => true,
            AttemptState::Sent | AttemptState::Accepted | AttemptState::Transferred => {
                let hop = assignment.path.first().and_then(|hop| self.releases.get(hop));
                !told && hop.is_some_and(|hop| hop.release.manifest.is_firmware())
            }
            _ => false,
        }
    }

    /// A driver was about to begin something new for an operation that has ended: the attempt
    /// goes no further (I5). Changes nothing otherwise.
    pub fn withdraw(&mut self, operation: OperationId, device: DeviceId, attempt: u32, now: Time) {
        let Some(run) = self.runs.get(&operation) else { return };
        let Some(assignment) = run.assignments.get(&device) else { return };
        let current = assignment.attempt == attempt && assignment.state.is_in_flight();
        if current && run.operation().state.is_final() {
            self.cancel(assignment.clone(), now);
        }
    }

    /// Takes an attempt back.
    fn cancel(&mut self, mut assignment: Assignment, now: Time) {
        let Assignment { operation, device, attempt, .. } = assignment;
        let dispatched = self.runs.get(&operation).is_some_and(|run| !run.is_queued(device));
        if assignment.state != AttemptState::Granted
            && let Some(hop) = assignment.path.first().copied()
        {
            self.record_outcome(&assignment, hop, AttemptState::Cancelled, None, now);
        }
        assignment.state = AttemptState::Cancelled;
        assignment.since = now;
        self.put(assignment, now);
        if dispatched {
            self.outputs.push_back(Output::Recall { operation, device, attempt });
        }
    }

    /// Devices an operation had next may now be free for others, or taken from them.
    fn release_reserved(&mut self, operation: OperationId) {
        if self.by_urgency.len() < 2 {
            return;
        }
        if let Some(run) = self.runs.get(&operation) {
            self.dirty.extend(run.targets.ready_devices());
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
