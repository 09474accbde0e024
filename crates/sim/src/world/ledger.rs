//! The independent checker: what became durable and what the devices testify, held against the
//! invariants after every step. It shares no code with the loops.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Assignment, AttemptState, Counts, Decision, DeviceId, Grant, Intent, Look, Operation,
    OperationId, OperationState, Outcome, Rate, Record, Release, ReleaseId, Snapshot, Step,
    Verdict,
};

use super::OperationReport;
use crate::device::{LogEntry, LogEvent};

/// A broken invariant: which, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) invariant: &'static str,
    pub(super) what: String,
}

type Checked = Result<(), Broken>;

fn broken(invariant: &'static str, what: impl Into<String>) -> Broken {
    Broken { invariant, what: what.into() }
}

/// One installation that an intent announced: operation, device, try, release.
type Installation = (OperationId, DeviceId, u32, ReleaseId);

/// What is durable, folded from the committed records, and what the devices say.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) releases: BTreeMap<ReleaseId, Release>,
    pub(super) operations: BTreeMap<OperationId, Operation>,
    pub(super) assignments: BTreeMap<(OperationId, DeviceId), Assignment>,
    pub(super) decisions: BTreeMap<OperationId, Vec<Decision>>,
    names: BTreeMap<DeviceId, String>,
    grants: BTreeMap<OperationId, Vec<Grant>>,
    intents: Vec<Intent>,
    outcomes: BTreeMap<Installation, AttemptState>,
    looks: BTreeMap<OperationId, Vec<Look>>,
    /// Operations whose abort is durable, with the devices that had an intent then.
    aborted: BTreeMap<OperationId, BTreeSet<DeviceId>>,
    /// Installations the devices carried out.
    installed: BTreeSet<Installation>,
    /// The version each device runs, by its own word.
    running: BTreeMap<String, String>,
    pub(super) flashes: u64,
    pub(super) changed_at_once_max: usize,
}

impl Ledger {
    /// Takes a batch that has become durable.
    pub(super) fn commit(&mut self, records: &[Record]) -> Checked {
        let mut touched = BTreeSet::new();
        for record in records {
            match record {
                Record::Device(device) => {
                    self.names.insert(device.id, device.endpoint.to_string());
                }
                Record::Release(release) => {
                    if self.releases.insert(release.id, release.clone()).is_some() {
                        return Err(broken("I3", format!("{} was published twice", release.id)));
                    }
                }
                Record::Operation(operation) => {
                    touched.insert(operation.id);
                    self.take_operation(operation)?;
                }
                Record::Grant(grant) => {
                    touched.insert(grant.operation);
                    self.take_grant(grant)?;
                }
                Record::Assignment(assignment) => {
                    touched.insert(assignment.operation);
                    self.take_assignment(assignment)?;
                }
                Record::Intent(intent) => self.take_intent(intent)?,
                Record::Outcome(outcome) => self.take_outcome(outcome)?,
                Record::Decision(decision) => self.take_decision(decision)?,
                Record::Look(look) => self.take_look(look)?,
                Record::Registration(_)
                | Record::Deregistration { .. }
                | Record::Signal(_)
                | Record::Accepted { .. } => {}
            }
        }
        for operation in touched {
            self.check_exposure(operation)?;
            self.check_decisions(operation)?;
        }
        let in_flight = self.assignments.values().map(|assignment| &assignment.state);
        let changed =
            in_flight.filter(|state| state.is_in_flight() && **state != AttemptState::Granted);
        self.changed_at_once_max = self.changed_at_once_max.max(changed.count());
        self.check_one_change()
    }

    /// Looks are dense from 1: the evidence is what they say together, none left out.
    fn take_look(&mut self, look: &Look) -> Checked {
        let looks = self.looks.entry(look.operation).or_default();
        looks.push(look.clone());
        if look.number == looks.len() as u64 {
            return Ok(());
        }
        Err(broken("I3", format!("look {} of {} is not the next one", look.number, look.operation)))
    }

    /// Takes a line of a device's log.
    pub(super) fn testify(&mut self, entry: &LogEntry) -> Checked {
        let name = &entry.endpoint;
        match &entry.event {
            LogEvent::Registered { version, .. } | LogEvent::Version { after: version, .. } => {
                self.running.insert(name.clone(), version.clone());
                Ok(())
            }
            LogEvent::Written { path } if path == "/5/0/0" || path == "/5/0/1" => {
                self.expect_intent(name, &[Step::Transfer, Step::Reset], path)
            }
            LogEvent::Written { path } if path == "/3/0/15" => {
                self.expect_intent(name, &[Step::Configure], path)
            }
            LogEvent::Executed { path } if path == "/5/0/2" => {
                self.expect_intent(name, &[Step::Install], path)
            }
            LogEvent::Installed { version, sha256 } => {
                self.take_installation(name, version, sha256)
            }
            _ => Ok(()),
        }
    }

    /// What a restarted server loads must be what was committed (I15).
    pub(super) fn check_snapshot(&self, snapshot: &Snapshot) -> Checked {
        let releases: Vec<&Release> = self.releases.values().collect();
        let operations: Vec<&Operation> = self.operations.values().collect();
        let assignments: Vec<&Assignment> = self.assignments.values().collect();
        let mut loaded: Vec<&Assignment> = snapshot.assignments.iter().collect();
        loaded.sort_by_key(|assignment| (assignment.operation, assignment.device));
        let open = |id: &OperationId| {
            self.operations.get(id).is_some_and(|operation| !operation.state.is_final())
        };
        let looks = self.looks.iter().filter(|(id, _)| open(id)).flat_map(|(_, looks)| looks);
        if !snapshot.looks.iter().eq(looks) {
            return Err(broken("I15", "the loaded looks are not the committed ones"));
        }
        if snapshot.releases.iter().collect::<Vec<_>>() != releases {
            return Err(broken("I15", "the loaded releases are not the committed ones"));
        }
        if snapshot.operations.iter().collect::<Vec<_>>() != operations {
            return Err(broken("I15", "the loaded operations are not the committed ones"));
        }
        if loaded.len() != assignments.len() {
            let what = format!("{} assignments, loaded {}", assignments.len(), loaded.len());
            return Err(broken("I15", what));
        }
        let other = loaded.iter().zip(&assignments).find(|(loaded, known)| loaded != known);
        other.map_or(Ok(()), |(loaded, known)| {
            Err(broken("I15", format!("committed {known:?}, loaded {loaded:?}")))
        })
    }

    /// I7: the counters of an operation whose records are all durable equal a recount.
    pub(super) fn check_counts(&self, operation: OperationId, counts: &Counts) -> Checked {
        let mut recount = Counts::default();
        for assignment in self.assignments_of(operation) {
            match assignment.state {
                AttemptState::Succeeded => recount.succeeded += 1,
                AttemptState::Failed { .. } | AttemptState::Silent => recount.failed += 1,
                AttemptState::Cancelled => recount.cancelled += 1,
                AttemptState::Deferred { .. } => {}
                _ => recount.in_flight += 1,
            }
        }
        let same = recount.succeeded == counts.succeeded
            && recount.failed == counts.failed
            && recount.in_flight == counts.in_flight;
        if same {
            Ok(())
        } else {
            let what = format!("{operation} counts {counts:?}, a recount gives {recount:?}");
            Err(broken("I7", what))
        }
    }

    /// What must hold when nothing is going to happen any more.
    pub(super) fn check_end(&self) -> Checked {
        for operation in self.operations.values() {
            if !operation.state.is_final() {
                let what = format!("{} is still {}", operation.id, operation.state);
                return Err(broken("end", what));
            }
            for assignment in self.assignments_of(operation.id) {
                if assignment.state.is_in_flight() {
                    let what = format!(
                        "{} of {} is still {}",
                        assignment.device,
                        operation.id,
                        assignment.state.as_str()
                    );
                    return Err(broken("end", what));
                }
            }
        }
        Ok(())
    }

    /// Share of the targets processed, as the last decision on the operation saw it.
    pub(super) fn progress(&self, operation: OperationId) -> Rate {
        self.counts(operation).map_or(Rate::ZERO, |counts| counts.progress())
    }

    /// The same once an element that was just granted is processed.
    pub(super) fn progress_after(&self, granted: &Grant) -> Rate {
        let Some(counts) = self.counts(granted.operation) else { return Rate::ZERO };
        let processed = counts.succeeded + counts.failed + granted.devices.len() as u64;
        Rate::of(processed, counts.targets())
    }

    fn counts(&self, operation: OperationId) -> Option<Counts> {
        let decisions = self.decisions.get(&operation)?.iter().rev();
        let mut inputs = decisions.filter_map(|decision| decision.inputs.as_ref());
        inputs.next().map(|inputs| inputs.counts)
    }

    /// The name of a device; empty for one that never became durable.
    pub(super) fn name(&self, device: DeviceId) -> &str {
        self.names.get(&device).map_or("", String::as_str)
    }

    /// What became of an operation.
    pub(super) fn report(&self, operation: &Operation) -> OperationReport {
        let attempts = self.assignments_of(operation.id);
        OperationReport {
            id: operation.id,
            state: operation.state,
            origin: operation.origin.clone(),
            attempts: attempts
                .map(|found| (self.name(found.device).to_owned(), found.state.clone()))
                .collect(),
        }
    }

    /// The version a device runs by its own word.
    pub(super) fn running(&self, name: &str) -> Option<&str> {
        self.running.get(name).map(String::as_str)
    }

    pub(super) fn assignments_of(
        &self,
        operation: OperationId,
    ) -> impl Iterator<Item = &Assignment> {
        let (first, last) = (DeviceId(0), DeviceId(u64::MAX));
        self.assignments.range((operation, first)..=(operation, last)).map(|(_, value)| value)
    }

    /// I5: aborted and finished are for ever.
    fn take_operation(&mut self, operation: &Operation) -> Checked {
        let id = operation.id;
        if let Some(known) = self.operations.get(&id)
            && known.state.is_final()
            && known.state != operation.state
        {
            let what = format!("{id} went from {} to {}", known.state, operation.state);
            return Err(broken("I5", what));
        }
        if operation.state == OperationState::Aborted && !self.aborted.contains_key(&id) {
            let intents = self.intents.iter().filter(|intent| intent.operation == id);
            self.aborted.insert(id, intents.map(|intent| intent.device).collect());
        }
        self.operations.insert(id, operation.clone());
        Ok(())
    }

    /// I4: no grant is larger than the last decision allows. I5: none follows an abort.
    fn take_grant(&mut self, grant: &Grant) -> Checked {
        let id = grant.operation;
        if self.aborted.contains_key(&id) {
            return Err(broken("I5", format!("{id} granted an element after its abort")));
        }
        let Some(speed) = self.speed(id) else {
            return Err(broken("I4", format!("{id} granted an element without a decision")));
        };
        if grant.devices.len() > speed as usize {
            let what = format!("{id} granted {} devices, {speed} allowed", grant.devices.len());
            return Err(broken("I4", what));
        }
        let grants = self.grants.entry(id).or_default();
        if grant.element != grants.last().map_or(1, |last| last.element + 1) {
            return Err(broken("I3", format!("{id} skipped to element {}", grant.element)));
        }
        grants.push(grant.clone());
        Ok(())
    }

    /// I5: what had no intent at the abort is never sent. I9: success is proved by the device.
    fn take_assignment(&mut self, assignment: &Assignment) -> Checked {
        let (id, device) = (assignment.operation, assignment.device);
        let before = self.assignments.get(&(id, device)).map(|known| &known.state);
        if before == Some(&AttemptState::Succeeded) && assignment.state != AttemptState::Succeeded {
            let what = format!("{device} of {id} left succeeded for {:?}", assignment.state);
            return Err(broken("I9", what));
        }
        let granted = self.grants.get(&id).is_some_and(|grants| {
            grants
                .iter()
                .any(|grant| grant.element == assignment.element && grant.devices.contains(&device))
        });
        if !granted {
            return Err(broken("I4", format!("{device} of {id} has no grant")));
        }
        if assignment.state == AttemptState::Succeeded && before != Some(&AttemptState::Succeeded) {
            self.check_success(assignment)?;
        }
        self.assignments.insert((id, device), assignment.clone());
        Ok(())
    }

    fn check_success(&self, assignment: &Assignment) -> Checked {
        let (id, device) = (assignment.operation, assignment.device);
        let release = self.operations.get(&id).and_then(|found| self.releases.get(&found.release));
        let (Some(release), Some(name)) = (release, self.names.get(&device)) else {
            return Err(broken("I9", format!("{device} of {id} succeeded without being known")));
        };
        if !release.manifest.is_firmware() {
            return Ok(());
        }
        let goal = release.manifest.release.version.as_str();
        let running = self.running(name);
        if running == Some(goal) {
            Ok(())
        } else {
            let what = format!("{name} of {id} counts as updated to {goal} and runs {running:?}");
            Err(broken("I9", what))
        }
    }

    fn take_intent(&mut self, intent: &Intent) -> Checked {
        let (id, device) = (intent.operation, intent.device);
        if let Some(devices) = self.aborted.get(&id)
            && !devices.contains(&device)
        {
            let what = format!("{device} of {id} got its first {:?} after the abort", intent.step);
            return Err(broken("I5", what));
        }
        let in_flight = self
            .assignments
            .get(&(id, device))
            .is_some_and(|assignment| assignment.attempt == intent.attempt);
        if !in_flight {
            let what = format!("{device} of {id} has an intent of a try that was never granted");
            return Err(broken("I2", what));
        }
        self.intents.push(intent.clone());
        Ok(())
    }

    fn take_outcome(&mut self, outcome: &Outcome) -> Checked {
        let (id, device) = (outcome.operation, outcome.device);
        let key = (id, device, outcome.attempt, outcome.release);
        let before = self.outcomes.insert(key, outcome.state.clone());
        // A try that was to be repeated may turn out to have worked after all.
        let late = matches!(before, Some(AttemptState::Deferred { .. }))
            && outcome.state == AttemptState::Succeeded;
        if before.is_none() || late {
            Ok(())
        } else {
            Err(broken("I7", format!("{device} of {id} has two outcomes of one try")))
        }
    }

    /// I3: decisions are dense. I8: silence counts as an error.
    fn take_decision(&mut self, decision: &Decision) -> Checked {
        let id = decision.operation;
        let known = self.decisions.entry(id).or_default();
        if decision.seq != known.len() as u64 + 1 {
            let what = format!("{id} decided {} after {}", decision.seq, known.len());
            return Err(broken("I3", what));
        }
        known.push(decision.clone());
        let judged = decision.inputs.as_ref().and_then(|inputs| inputs.after);
        let element = self.operations.get(&id).and_then(|operation| operation.element);
        let (Some(judged), Some(element)) = (judged, element) else { return Ok(()) };
        let members = self.assignments_of(id).filter(|assignment| assignment.element == element);
        let failed = members.filter(|assignment| {
            matches!(assignment.state, AttemptState::Failed { .. } | AttemptState::Silent)
        });
        let failed = failed.count() as u64;
        if judged.failed < failed || judged.attempted < judged.failed {
            let what = format!(
                "{id} judged {} of {} as failed in element {element}, where {failed} are",
                judged.failed, judged.attempted
            );
            return Err(broken("I8", what));
        }
        Ok(())
    }

    /// I4: never more devices unresolved than the last decision allows.
    fn check_exposure(&self, id: OperationId) -> Checked {
        let in_flight = self.assignments_of(id).filter(|found| found.state.is_in_flight()).count();
        let speed = self.speed(id).unwrap_or(0) as usize;
        // After an abort or a finish nothing is granted; what was under way may complete.
        let open = self.operations.get(&id).is_some_and(|found| !found.state.is_final());
        if open && in_flight > speed {
            let what = format!("{id} has {in_flight} devices in flight, {speed} allowed");
            return Err(broken("I4", what));
        }
        Ok(())
    }

    fn check_decisions(&self, id: OperationId) -> Checked {
        let stored = self.decisions.get(&id).map_or(0, Vec::len) as u64;
        match self.operations.get(&id) {
            Some(operation) if operation.last_decision != stored => {
                let what =
                    format!("{id} knows decision {}, {stored} stored", operation.last_decision);
                Err(broken("I3", what))
            }
            _ => Ok(()),
        }
    }

    /// I1: one change at a time on a device, over all operations.
    fn check_one_change(&self) -> Checked {
        let mut busy = BTreeMap::new();
        for assignment in self.assignments.values() {
            if !assignment.state.is_in_flight() {
                continue;
            }
            if let Some(other) = busy.insert(assignment.device, assignment.operation) {
                let (device, id) = (assignment.device, assignment.operation);
                return Err(broken("I1", format!("{device} is in flight in {other} and {id}")));
            }
        }
        Ok(())
    }

    /// I2: what reaches a device has an intent that became durable before.
    fn expect_intent(&self, name: &str, steps: &[Step], path: &str) -> Checked {
        let named = |intent: &&Intent| {
            steps.contains(&intent.step)
                && self.names.get(&intent.device).is_some_and(|known| known == name)
        };
        if self.intents.iter().any(|intent| named(&intent)) {
            Ok(())
        } else {
            Err(broken("I2", format!("{name} was told {path} without a durable intent")))
        }
    }

    /// I2: one installation for each try that announced one, and none of what already runs.
    fn take_installation(&mut self, name: &str, version: &str, sha256: &str) -> Checked {
        self.flashes += 1;
        if self.running(name) == Some(version) {
            return Err(broken("I2", format!("{name} installed {version}, which it runs")));
        }
        let releases = &self.releases;
        let of_image = |intent: &&Intent| {
            let release = releases.get(&intent.release);
            intent.step == Step::Install
                && self.names.get(&intent.device).is_some_and(|known| known == name)
                && release.is_some_and(|release| {
                    let artifact = release.manifest.artifact.first();
                    artifact.is_some() && release.manifest.release.version.as_str() == version
                })
        };
        let Some(intent) = self.intents.iter().rev().find(of_image) else {
            let what = format!("{name} installed {version} ({sha256}) without an intent");
            return Err(broken("I2", what));
        };
        let key = (intent.operation, intent.device, intent.attempt, intent.release);
        if self.installed.insert(key) {
            Ok(())
        } else {
            let what = format!(
                "{name} installed {version} twice in try {} of {}",
                intent.attempt, intent.operation
            );
            Err(broken("I2", what))
        }
    }

    /// Size that the last decision on a speed allows.
    fn speed(&self, id: OperationId) -> Option<u32> {
        let decisions = self.decisions.get(&id)?;
        decisions.iter().rev().find_map(|decision| match decision.verdict {
            Verdict::Start { speed }
            | Verdict::Continue { speed, .. }
            | Verdict::Allow { speed, .. } => Some(speed),
            _ => None,
        })
    }
}
