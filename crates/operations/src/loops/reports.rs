//! Reports of drivers, deadlines, and what becomes of each attempt.

use model::{
    Assignment, AttemptState, Device, DeviceId, Fault, FaultClass, FaultKind, Fleet, OperationId,
    OperationState, Presence, Progress, Release, Time, Version,
};

use super::book::may_sleep;
use super::{Loops, Run};
use crate::enforcement::{After, Assessment, Attempt, Reading, assess, extract, retry};
use crate::generation::{Place, is_closed, version_of};
use crate::{Event, Output};

/// Where attempts stand in the order of their states; reports only move them forwards (I16).
const fn rank(state: &AttemptState) -> u8 {
    match state {
        AttemptState::Granted => 0,
        AttemptState::Sent => 1,
        AttemptState::Accepted => 2,
        AttemptState::Transferred => 3,
        AttemptState::Claimed => 4,
        AttemptState::Verifying => 5,
        AttemptState::Soaking => 6,
        AttemptState::Succeeded
        | AttemptState::Failed { .. }
        | AttemptState::Silent
        | AttemptState::Deferred { .. }
        | AttemptState::Cancelled => 7,
    }
}

impl Loops {
    /// A driver reports on an attempt. Reports on another try, on a settled one, and steps that
    /// were already reported change nothing (I16).
    pub fn report(
        &mut self,
        operation: OperationId,
        device: DeviceId,
        attempt: u32,
        progress: Progress,
        fleet: &Fleet,
        now: Time,
    ) {
        let Some(assignment) = self.in_flight(operation, device) else { return };
        if assignment.attempt != attempt {
            return;
        }
        let known = fleet.device(device);
        match progress {
            Progress::Sent => self.advance(assignment, AttemptState::Sent, known, now),
            Progress::Accepted => self.advance(assignment, AttemptState::Accepted, known, now),
            Progress::Transferring { bytes } => self.transferring(assignment, bytes, known, now),
            Progress::Transferred => {
                self.advance(assignment, AttemptState::Transferred, known, now);
            }
            Progress::Claimed => self.advance(assignment, AttemptState::Claimed, known, now),
            Progress::Returned => {
                if assignment.state == AttemptState::Claimed {
                    self.advance(assignment, AttemptState::Verifying, known, now);
                }
            }
            Progress::Reported { version, claims_success } => {
                self.reported(assignment, version.as_ref(), claims_success, fleet, now);
            }
            Progress::Unchanged => self.unchanged(assignment, fleet, now),
            Progress::Failed(fault) if fault.kind == FaultKind::Away => {
                self.left(assignment, now);
            }
            Progress::Failed(fault) => self.faulted(assignment, fault, None, now),
            Progress::ProbeFailed => {
                if self.was_probed(operation, device) {
                    self.silent(assignment, now);
                }
            }
        }
        self.settle_dirty(fleet, now);
    }

    /// Acts on every deadline that has passed.
    pub(super) fn pass_deadlines(&mut self, fleet: &Fleet, now: Time) {
        while let Some((due, operation, device)) = self.deadlines.first().copied() {
            if due > now {
                break;
            }
            self.deadlines.remove(&(due, operation, device));
            if let Some(run) = self.runs.get_mut(&operation)
                && let Some(watch) = run.watches.get_mut(&device)
            {
                watch.due = None;
            }
            if let Some(assignment) = self.in_flight(operation, device) {
                self.overdue(assignment, fleet, now);
            }
        }
        for at in 0..self.by_urgency.len() {
            let Some(run) = self.runs.get_mut(&self.by_urgency[at]) else { continue };
            while let Some((until, device)) = run.retries.first().copied() {
                if until > now {
                    break;
                }
                run.retries.remove(&(until, device));
                self.dirty.insert(device);
            }
            let mut woke = false;
            while let Some(device) = run.alarms.pop_due(now) {
                let waited =
                    matches!(run.place_of(device), Place::Waiting(code) if WAKES.contains(&code));
                woke |= waited;
                self.dirty.insert(device);
            }
            if woke {
                run.conduct.woke(now);
                self.record_operation(self.by_urgency[at]);
            }
        }
    }

    /// A device that soaks must go on running the new version, and one that falls asleep before
    /// it was asked anything is granted again when it is awake.
    pub(super) fn watch_in_flight(&mut self, device: DeviceId, fleet: &Fleet, now: Time) {
        let Some(operation) = self.busy.get(&device).copied() else { return };
        let Some(assignment) = self.in_flight(operation, device) else { return };
        let presence = fleet.device(device).map(|device| device.presence);
        match assignment.state {
            AttemptState::Soaking => self.judge_soaking(assignment, fleet, now, false),
            AttemptState::Granted if presence == Some(Presence::Asleep) => {
                self.left(assignment, now);
            }
            _ => self.keep_time(&assignment, presence == Some(Presence::Asleep), now),
        }
    }

    /// Stops the clock of a device that waits for an order while it sleeps, and lets it go on afterwards.
    fn keep_time(&mut self, assignment: &Assignment, asleep: bool, now: Time) {
        if !may_sleep(&assignment.state) {
            return;
        }
        let Assignment { operation, device, since, .. } = *assignment;
        let Some(watch) =
            self.runs.get_mut(&operation).and_then(|run| run.watches.get_mut(&device))
        else {
            return;
        };
        match (asleep, watch.asleep) {
            (true, None) => watch.asleep = Some(now),
            (false, Some(from)) => {
                let heard = watch.heard.max(since);
                watch.heard = heard + now.since(from.max(heard));
                watch.asleep = None;
            }
            _ => return,
        }
        self.reschedule(operation, device);
    }

    /// Gives back the grants that wait for their turn and whose devices are away, or whose window
    /// has closed. What was begun is not cut off.
    pub(super) fn give_back_queued(&mut self, fleet: &Fleet, now: Time) -> bool {
        let is_away = |run: &Run, id: DeviceId| {
            fleet.device(id).is_none_or(|device| {
                let policy = &run.operation().policy;
                device.presence != Presence::Online || is_closed(policy, device, now)
            })
        };
        let away: Vec<Assignment> = self
            .by_urgency
            .iter()
            .filter_map(|id| self.runs.get(id))
            .filter(|run| run.operation().state == OperationState::Ongoing)
            .flat_map(|run| {
                let queued = run.queued.iter().filter(|(_, device)| is_away(run, *device));
                queued.filter_map(|(_, device)| run.assignments.get(device))
            })
            .cloned()
            .collect();
        let any = !away.is_empty();
        for assignment in away {
            self.give_back(assignment, now);
        }
        any
    }

    /// A device went away before anything was sent to it: that is no try, unless it does so
    /// again and again just when it is asked.
    fn left(&mut self, assignment: Assignment, now: Time) {
        if !matches!(assignment.state, AttemptState::Granted | AttemptState::Sent) {
            return;
        }
        let Assignment { operation, device, attempt, given_back, .. } = assignment;
        let dispatched = self.runs.get(&operation).is_some_and(|run| !run.is_queued(device));
        if dispatched && given_back >= GIVEN_BACK_MAX {
            let detail = "goes away whenever it is asked".to_owned();
            self.faulted(assignment, Fault { kind: FaultKind::NoAnswer, detail }, None, now);
        } else {
            self.give_back(assignment, now);
        }
        if dispatched {
            self.outputs.push_back(Output::Recall { operation, device, attempt });
        }
    }

    /// The device waits for its next contact as if it had not been granted.
    fn give_back(&mut self, mut assignment: Assignment, now: Time) {
        let fault = Fault { kind: FaultKind::Away, detail: String::new() };
        assignment.state = AttemptState::Deferred { until: now, fault };
        assignment.given_back = assignment.given_back.saturating_add(1);
        assignment.since = now;
        self.put(assignment, now);
    }

    fn in_flight(&self, operation: OperationId, device: DeviceId) -> Option<Assignment> {
        let assignment = self.runs.get(&operation)?.assignments.get(&device)?;
        assignment.state.is_in_flight().then(|| assignment.clone())
    }

    fn was_probed(&self, operation: OperationId, device: DeviceId) -> bool {
        let watch = self.runs.get(&operation).and_then(|run| run.watches.get(&device));
        watch.is_some_and(|watch| watch.probed.is_some())
    }

    /// Moves an attempt forwards.
    fn advance(
        &mut self,
        mut assignment: Assignment,
        state: AttemptState,
        device: Option<&Device>,
        now: Time,
    ) {
        if rank(&state) <= rank(&assignment.state) {
            return;
        }
        // The first look is over and nothing was changed yet: the device's own measure.
        if assignment.state == AttemptState::Granted
            && let Some(device) = device
            && let Some(release) = self.hop(&assignment)
        {
            assignment.baseline = extract(&release.manifest, device);
            self.indicators_begin(&assignment, now);
        }
        assignment.state = state;
        assignment.since = now;
        self.put(assignment, now);
    }

    fn transferring(
        &mut self,
        assignment: Assignment,
        bytes: u64,
        known: Option<&Device>,
        now: Time,
    ) {
        let (operation, device) = (assignment.operation, assignment.device);
        let Some(watch) =
            self.runs.get_mut(&operation).and_then(|run| run.watches.get_mut(&device))
        else {
            return;
        };
        // Only new bytes are progress: a device that fetches the same block for ever stands
        // still.
        if bytes > watch.bytes {
            watch.bytes = bytes;
            watch.heard = now;
            self.reschedule(operation, device);
        }
        // Before anything was sent these are the blocks of an earlier try.
        if assignment.state != AttemptState::Granted {
            self.advance(assignment, AttemptState::Accepted, known, now);
        }
    }

    /// The release of the hop that is being installed.
    fn hop(&self, assignment: &Assignment) -> Option<&Release> {
        let id = assignment
            .path
            .first()
            .copied()
            .or_else(|| Some(self.runs.get(&assignment.operation)?.operation().release))?;
        Some(&self.releases.get(&id)?.release)
    }

    fn reported(
        &mut self,
        assignment: Assignment,
        version: Option<&Version>,
        claims_success: Option<bool>,
        fleet: &Fleet,
        now: Time,
    ) {
        if assignment.state == AttemptState::Soaking && version.is_none() {
            return;
        }
        let Some(device) = fleet.device(assignment.device) else { return };
        let assessment = self.assessed(&assignment, device, version, claims_success, now);
        self.indicators_end(&assignment, &assessment, device, fleet, now);
        self.conclude(assignment, assessment, version, device, now);
    }

    fn assessed(
        &self,
        assignment: &Assignment,
        device: &Device,
        version: Option<&Version>,
        claims_success: Option<bool>,
        now: Time,
    ) -> Assessment {
        let Some(release) = self.hop(assignment) else { return Assessment::Waiting };
        let section = &release.manifest.release;
        // Before a hop a device runs the version it came with, or that of an earlier hop.
        let is_old = version.is_some_and(|version| {
            assignment.version_before.as_ref() == Some(version)
                || (*version < section.version && self.graph.find(&section.name, version).is_some())
        });
        let attempt = Attempt {
            assignment,
            manifest: &release.manifest,
            probed: self.was_probed(assignment.operation, assignment.device),
            registrations_max: self.config.registrations_max,
        };
        assess(&attempt, device, &Reading { version, is_old, claims_success }, now)
    }

    fn conclude(
        &mut self,
        mut assignment: Assignment,
        assessment: Assessment,
        version: Option<&Version>,
        device: &Device,
        now: Time,
    ) {
        match assessment {
            Assessment::Waiting => {}
            Assessment::Soaking { .. } => {
                self.advance(assignment, AttemptState::Soaking, Some(device), now);
            }
            Assessment::Succeeded => self.proved(assignment, version, device, now),
            Assessment::Warned { signs } => {
                let count = u32::try_from(signs.len()).unwrap_or(u32::MAX);
                assignment.warnings = assignment.warnings.saturating_add(count);
                let (operation, id) = (assignment.operation, assignment.device);
                for words in signs {
                    self.tell(Event::DeviceWarned { operation, device: id, words });
                }
                self.proved(assignment, version, device, now);
            }
            Assessment::Failed(fault) => self.faulted(assignment, fault, version, now),
        }
    }

    /// The first read found the goal already there. Before anything was sent that is success
    /// without a change; afterwards it is the proof of an installation nobody saw.
    fn unchanged(&mut self, assignment: Assignment, fleet: &Fleet, now: Time) {
        let Some(device) = fleet.device(assignment.device) else { return };
        let Some(release) = self.hop(&assignment) else { return };
        let version = release.manifest.release.version.clone();
        if assignment.state == AttemptState::Granted && assignment.tries() == 1 {
            self.proved(assignment, Some(&version), device, now);
        } else {
            self.reported(assignment, Some(&version), None, fleet, now);
        }
    }

    /// A hop is proved; the next one of the same grant begins at once.
    fn proved(
        &mut self,
        mut assignment: Assignment,
        version: Option<&Version>,
        device: &Device,
        now: Time,
    ) {
        let Some(hop) = self.hop(&assignment).map(|release| release.id) else { return };
        let succeeded = AttemptState::Succeeded;
        self.record_outcome(&assignment, hop, succeeded.clone(), version.cloned(), now);
        if !assignment.path.is_empty() {
            assignment.path.remove(0);
        }
        assignment.since = now;
        let Some(next) = assignment.path.first().copied() else {
            assignment.state = succeeded;
            return self.put(assignment, now);
        };
        let (operation, id) = (assignment.operation, assignment.device);
        let state = self.runs.get(&operation).map(|run| run.operation().state);
        if state.is_some_and(OperationState::is_final) {
            // Nothing new is sent after an abort, not even the rest of a path (I5).
            assignment.state = AttemptState::Cancelled;
            return self.put(assignment, now);
        }
        if let Some(published) = self.releases.get(&next) {
            assignment.baseline = extract(&published.release.manifest, device);
        }
        assignment.state = AttemptState::Granted;
        assignment.attempt += 1;
        assignment.hops += 1;
        self.put(assignment, now);
        if state == Some(OperationState::Ongoing) {
            // It keeps the place among the parallel ones that it already has.
            self.dispatch(operation, id, false, now);
        }
    }

    /// An attempt failed: the retry policy says whether for good.
    fn faulted(
        &mut self,
        mut assignment: Assignment,
        fault: Fault,
        version: Option<&Version>,
        now: Time,
    ) {
        let told_to_install = rank(&assignment.state) >= rank(&AttemptState::Claimed);
        let unheard = matches!(fault.kind, FaultKind::NoAnswer | FaultKind::ConnectionLost);
        if told_to_install && unheard {
            // After the change a lost device is no transfer that can be tried again (I8).
            return self.silent(assignment, now);
        }
        let Some(run) = self.runs.get(&assignment.operation) else { return };
        let Some(hop) = self.hop(&assignment).map(|release| release.id) else { return };
        let after = After {
            retry: &run.operation().policy.retry,
            state: run.operation().state,
            tries: assignment.tries(),
        };
        let passing = fault.kind.class() == FaultClass::Transient;
        let words = fault.to_string();
        let state = retry(&after, fault, now);
        self.record_outcome(&assignment, hop, state.clone(), version.cloned(), now);
        if passing {
            assignment.warnings = assignment.warnings.saturating_add(1);
            let (operation, device) = (assignment.operation, assignment.device);
            self.tell(Event::DeviceWarned { operation, device, words });
        }
        assignment.state = state;
        assignment.since = now;
        self.put(assignment, now);
    }

    /// No proof in time and none to the probe: an error (I8).
    fn silent(&mut self, mut assignment: Assignment, now: Time) {
        let Some(hop) = self.hop(&assignment).map(|release| release.id) else { return };
        let Assignment { operation, device, attempt, .. } = assignment;
        self.record_outcome(&assignment, hop, AttemptState::Silent, None, now);
        assignment.state = AttemptState::Silent;
        assignment.since = now;
        self.put(assignment, now);
        self.outputs.push_back(Output::Recall { operation, device, attempt });
    }

    fn overdue(&mut self, assignment: Assignment, fleet: &Fleet, now: Time) {
        let Assignment { operation, device, attempt, .. } = assignment;
        match assignment.state {
            AttemptState::Granted => {
                let detail = "did not take the order in time".to_owned();
                self.faulted(assignment, Fault { kind: FaultKind::NoAnswer, detail }, None, now);
                self.outputs.push_back(Output::Recall { operation, device, attempt });
            }
            AttemptState::Transferred
                if is_asleep(fleet, device) && !self.is_over_limit(&assignment, now) =>
            {
                // It slept already when the server began to watch it.
                self.keep_time(&assignment, true, now);
            }
            AttemptState::Sent | AttemptState::Accepted | AttemptState::Transferred => {
                let detail = "no progress before the installation".to_owned();
                let kind = FaultKind::ConnectionLost;
                self.faulted(assignment, Fault { kind, detail }, None, now);
                self.outputs.push_back(Output::Recall { operation, device, attempt });
            }
            AttemptState::Claimed | AttemptState::Verifying
                if self.is_over_limit(&assignment, now) =>
            {
                self.silent(assignment, now);
            }
            AttemptState::Claimed | AttemptState::Verifying => {
                self.probe_once(assignment, now);
            }
            AttemptState::Soaking => self.judge_soaking(assignment, fleet, now, true),
            _ => {}
        }
    }

    fn is_over_limit(&self, assignment: &Assignment, now: Time) -> bool {
        let run = self.runs.get(&assignment.operation);
        run.and_then(|run| run.limit_of(assignment)).is_some_and(|limit| limit <= now)
    }

    /// Asks a device for its proof; one that was asked before is silent (I8).
    fn probe_once(&mut self, assignment: Assignment, now: Time) {
        let Assignment { operation, device, attempt, .. } = assignment;
        if self.was_probed(operation, device) {
            return self.silent(assignment, now);
        }
        if let Some(watch) =
            self.runs.get_mut(&operation).and_then(|run| run.watches.get_mut(&device))
        {
            watch.probed = Some(now);
        }
        self.outputs.push_back(Output::Probe { operation, device, attempt });
        self.reschedule(operation, device);
    }

    /// Looks at a soaking device by what is known of it now; at the end of its time it must
    /// stand the test.
    fn judge_soaking(&mut self, assignment: Assignment, fleet: &Fleet, now: Time, ended: bool) {
        let Some(device) = fleet.device(assignment.device) else {
            if ended {
                self.silent(assignment, now);
            }
            return;
        };
        if ended && device.presence == Presence::Offline {
            // What it ran before it fell silent proves nothing about the end of its time (I8).
            return self.probe_once(assignment, now);
        }
        let Some(release) = self.hop(&assignment) else { return };
        let asked = self.was_probed(assignment.operation, assignment.device);
        let guarded = !release.manifest.guard.is_empty();
        if ended && guarded && !asked && device.presence == Presence::Online {
            // Guards judge the end of the time, so its values are read once more.
            return self.probe_once(assignment, now);
        }
        let version = version_of(release, device).cloned();
        let wrong = version.as_ref().is_some_and(|v| *v != release.manifest.release.version);
        // The version was proved when the soak began. A configuration is proved by its values
        // and the device's row may follow later, so only a firmware's version is held against it.
        let version = if wrong && release.manifest.is_firmware() {
            version
        } else {
            Some(release.manifest.release.version.clone())
        };
        if !ended && !wrong {
            return;
        }
        let assessment = self.assessed(&assignment, device, version.as_ref(), None, now);
        self.indicators_end(&assignment, &assessment, device, fleet, now);
        self.conclude(assignment, assessment, version.as_ref(), device, now);
    }
}

fn is_asleep(fleet: &Fleet, device: DeviceId) -> bool {
    fleet.device(device).is_some_and(|device| device.presence == Presence::Asleep)
}

/// Times that a device may leave just when it was to be asked before each counts as a try; one
/// that hears nothing at all must not take places in elements for ever.
const GIVEN_BACK_MAX: u32 = 8;
/// Codes of waits for a time, whose end is progress of the operation.
const WAKES: [&str; 2] = ["window.closed", "consent.deferred_until"];
