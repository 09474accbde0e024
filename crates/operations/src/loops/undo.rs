//! Undoing what evidence stopped: an operation of its own, back to the version before.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    AttemptState, Consent, DeviceId, Fleet, Operation, OperationId, OperationState, Origin, Policy,
    Reason, ReleaseId, Scope, StratumScope, Time, Undo, Version,
};

use super::{Loops, Run};
use crate::generation::version_of;
use crate::mix::mix;
use crate::{OpenRequest, StoppedBy};

impl Loops {
    /// After a stop by evidence, and whenever another device turns out to have taken the change,
    /// undoing is due; devices that follow each other closely go into one operation.
    pub(super) fn expect_undo(&mut self, operation: OperationId, now: Time) {
        let Some(run) = self.runs.get(&operation) else { return };
        if !run.has_harmed() {
            return;
        }
        if run.undo() != Undo::Off {
            let delay = Duration::from_secs(self.config.compliance_delay_s);
            self.undo_due.entry(operation).or_insert(now + delay);
        }
    }

    /// Freezes what rests on a release when evidence stops it, or a part of it, at that moment.
    pub(super) fn freeze_dependents(&mut self, by: OperationId, reason: &Reason, now: Time) {
        if matches!(reason, Reason::EvidenceAgainstAll { .. } | Reason::StrataStopped { .. }) {
            self.freeze(by, now, now);
        }
    }

    /// After a restart: whether the server stopped between the two decisions is not known.
    pub(super) fn freeze_again(&mut self, by: OperationId, now: Time) {
        let Some(run) = self.runs.get(&by) else { return };
        let aborted = run.operation().state == OperationState::Aborted;
        if let Some(ended) = run.operation().ended.filter(|_| aborted) {
            self.freeze(by, ended, now);
        }
    }

    /// Closes the ways over releases that evidence stopped as a whole, the last time that they were
    /// brought to anyone, and opens those over releases that were finished since.
    pub(super) fn refresh_stopped(&mut self) {
        let mut stopped: BTreeMap<ReleaseId, OperationId> = BTreeMap::new();
        let ended = self.runs.values().filter(|run| run.operation().state.is_final());
        for run in ended.filter(|run| !matches!(run.operation().origin, Origin::Undo { .. })) {
            let Operation { id, release, state, .. } = run.operation();
            if *state == OperationState::Finished {
                stopped.remove(release);
            } else if run.has_harmed() {
                stopped.insert(*release, *id);
            }
        }
        self.paths_changed |= self.graph.set_stopped(stopped);
    }

    /// The operations in which evidence stopped a release or a part of its targets, since it was
    /// last brought to all.
    #[must_use]
    pub fn stopped_by(&self, release: ReleaseId) -> Vec<StoppedBy> {
        let mut found = Vec::new();
        for run in self.runs.values().filter(|run| run.operation().release == release) {
            let Operation { id, state, .. } = run.operation();
            if run.has_harmed() {
                let strata = run.harmed_strata().map(|stratum| stratum.name.clone()).collect();
                found.push(StoppedBy { operation: *id, strata });
            } else if *state == OperationState::Finished {
                found.clear();
            }
        }
        found
    }

    /// Freezes operations of later releases of that name, and follow-ups of the operation. They
    /// go on by an operator's word. What was opened after the stop knew of it: it may be the
    /// correction.
    fn freeze(&mut self, by: OperationId, stopped_at: Time, now: Time) {
        let Some(stopped) = self.runs.get(&by).filter(|run| run.has_harmed()) else { return };
        let section = &stopped.release.manifest.release;
        let rests = |run: &&Run| {
            let other = &run.release.manifest.release;
            let later = other.name == section.name && other.version > section.version;
            let follows = run.operation().origin == Origin::Compliance { after: by };
            run.operation().opened <= stopped_at && (later || follows)
        };
        let dependents: Vec<OperationId> =
            self.runs.values().filter(rests).map(|run| run.operation().id).collect();
        for id in dependents {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            if let Some(decision) = run.conduct.freeze(by, now) {
                self.carry_out(decision, now);
            }
        }
    }

    /// Opens the operations that undo, one for each version that devices come from.
    pub(super) fn open_undos(&mut self, fleet: &Fleet, now: Time) {
        let due: Vec<OperationId> =
            self.undo_due.iter().filter(|(_, due)| **due <= now).map(|(id, _)| *id).collect();
        for id in due {
            self.undo_due.remove(&id);
            let devices_max = self.config.devices_picked_max.max(1);
            for (release, devices) in self.to_undo(id, fleet) {
                for devices in devices.chunks(devices_max) {
                    self.undo(id, release, devices.to_vec(), fleet, now);
                }
            }
        }
    }

    fn undo(
        &mut self,
        reverts: OperationId,
        release: ReleaseId,
        devices: Vec<DeviceId>,
        fleet: &Fleet,
        now: Time,
    ) {
        let Some(run) = self.runs.get(&reverts) else { return };
        if run.operation().policy.rule.evidence().is_none() {
            return;
        }
        // The budget of the operation is enough for its undoing: these devices are at risk as
        // long as they are not taken back. What is undone is not undone again. Who let a device be
        // changed is not asked whether the harm may be taken back.
        let policy = Policy { consent: Consent::None, ..run.operation().policy.clone() };
        let seed = mix(run.operation().seed, self.next_operation().0);
        let request = OpenRequest {
            release,
            scope: Scope::Picked { devices },
            policy,
            origin: Origin::Undo { reverts },
            agreement: run.operation().agreement.clone(),
        };
        if self.open(request, fleet, seed, now).is_err() {
            // Too many operations are open: asked again after a while.
            let wait = Duration::from_secs(self.config.compliance_delay_s.max(1));
            self.undo_due.insert(reverts, now + wait);
        }
    }

    /// Devices that took a change which evidence stopped, by the release of the version they come
    /// from. Left out are those that nothing is published for, and those already being undone.
    fn to_undo(&self, id: OperationId, fleet: &Fleet) -> BTreeMap<ReleaseId, Vec<DeviceId>> {
        let mut devices: BTreeMap<ReleaseId, Vec<DeviceId>> = BTreeMap::new();
        let Some(run) = self.runs.get(&id) else { return devices };
        let section = &run.release.manifest.release;
        let undos: Vec<&Operation> = self.undos_of(id).collect();
        for assignment in run.assignments.values() {
            let Some(device) = fleet.device(assignment.device) else { continue };
            let took = assignment.state == AttemptState::Succeeded
                && version_of(&run.release, device) == Some(&section.version);
            let known = Some(assignment);
            if !took
                || undos.iter().any(|undo| undo.scope.includes(device.id))
                || !run.is_harmed(device, known)
            {
                continue;
            }
            let before = assignment.version_before.as_ref();
            let release = before.and_then(|version| self.graph.find(&section.name, version));
            if let Some(release) = release {
                devices.entry(release).or_default().push(device.id);
            }
        }
        devices
    }

    /// The version that an operation of that origin takes back.
    pub(super) fn undone_version(&self, origin: &Origin) -> Option<Version> {
        let Origin::Undo { reverts } = origin else { return None };
        Some(self.runs.get(reverts)?.release.manifest.release.version.clone())
    }
}

impl Run {
    /// Whether evidence stopped it or a part of it. What undoes another is not undone itself.
    fn has_harmed(&self) -> bool {
        let undoes = matches!(self.operation().origin, Origin::Undo { .. });
        !undoes && self.harmed_strata().next().is_some()
    }

    fn undo(&self) -> Undo {
        self.operation().policy.rule.evidence().map_or(Undo::Off, |rule| rule.undo)
    }

    /// In an operation that was stopped as a whole the suspects are taken to be harmed as well.
    fn harmed_strata(&self) -> impl Iterator<Item = &model::StratumRuling> {
        let least = if self.operation().state == OperationState::Aborted {
            StratumScope::Suspect
        } else {
            StratumScope::Stopped
        };
        let course = self.conduct.evidence_course();
        let strata = course.into_iter().flat_map(|course| &course.judged.strata);
        strata.filter(move |stratum| stratum.scope >= least)
    }

    fn is_harmed(&self, device: &model::Device, known: Option<&model::Assignment>) -> bool {
        let parts = super::evidence::stratum_parts(&self.conduct, &self.release, known, device);
        self.harmed_strata().any(|stratum| {
            let name = &stratum.name;
            [name.hardware.as_str(), name.version.as_str(), name.site.as_str()] == parts
        })
    }
}
