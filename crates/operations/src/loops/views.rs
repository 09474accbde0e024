//! What people and programs may look at.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Assignment, AttemptState, Check, Counts, Device, DeviceId, Eligibility, Exclusion, Fault,
    FaultKind, Fleet, Operation, OperationId, OperationState, Origin, Release, ReleaseId, Time,
};

use super::{Loops, Run};
use crate::generation::{self, Memory, Question};

impl Loops {
    /// All operations in the order of their numbers.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.runs.values().map(|run| run.operation())
    }

    /// The newest operation that undoes this one.
    #[must_use]
    pub fn undone_by(&self, operation: OperationId) -> Option<OperationId> {
        self.undos_of(operation).map(|one| one.id).max()
    }

    /// The newest operation that undoes this one on a device.
    #[must_use]
    pub fn undone_on(&self, operation: OperationId, device: DeviceId) -> Option<OperationId> {
        let picks = |one: &&Operation| one.scope.includes(device);
        self.undos_of(operation).filter(picks).map(|one| one.id).max()
    }

    pub(super) fn undos_of(&self, operation: OperationId) -> impl Iterator<Item = &Operation> {
        self.operations().filter(move |one| one.origin == Origin::Undo { reverts: operation })
    }

    /// One operation.
    #[must_use]
    pub fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.runs.get(&id).map(|run| run.operation())
    }

    /// All releases in the order of their numbers.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.releases.values().map(|published| &published.release)
    }

    /// One release.
    #[must_use]
    pub fn release(&self, id: ReleaseId) -> Option<&Release> {
        self.releases.get(&id).map(|published| &published.release)
    }

    /// An operation's counts; every target is in exactly one of them (I7). After the end of the
    /// operation `waiting` and `excluded` are those of its last moment.
    #[must_use]
    pub fn counts(&self, id: OperationId) -> Option<Counts> {
        self.runs.get(&id).map(Run::counts)
    }

    /// Devices that wait or are no target, by reason code. Empty for an operation that has
    /// ended and for one that does not exist.
    #[must_use]
    pub fn exclusions(
        &self,
        id: OperationId,
        _fleet: &Fleet,
        _now: Time,
    ) -> BTreeMap<&'static str, u64> {
        self.runs.get(&id).map(|run| run.targets.codes().clone()).unwrap_or_default()
    }

    /// Time without contact after which a device is probed, and counts as silent in an operation
    /// under evidence whose shortest silence is `silence_min`.
    #[must_use]
    pub fn silence_deadline(&self, device: &Device, silence_min: Duration) -> Duration {
        self.experience.deadline(device, silence_min)
    }

    /// Devices that are probed now, outside of attempts, before they count as silent.
    #[must_use]
    pub fn probing(&self) -> usize {
        self.probes.open()
    }

    /// One device in an operation; none while it was never granted.
    #[must_use]
    pub fn assignment(&self, id: OperationId, device: DeviceId) -> Option<&Assignment> {
        self.runs.get(&id)?.assignments.get(&device)
    }

    /// All devices ever granted in an operation, in the order of their numbers.
    pub fn assignments(&self, id: OperationId) -> impl Iterator<Item = &Assignment> {
        self.runs.get(&id).into_iter().flat_map(|run| run.assignments.values())
    }

    /// Whether a device can be granted now, and if not why. Of an unknown operation no device
    /// is a target.
    #[must_use]
    pub fn identify(&self, id: OperationId, device: &Device, now: Time) -> Eligibility {
        let Some(run) = self.runs.get(&id) else {
            return Eligibility::Excluded { exclusion: Exclusion::NotPicked };
        };
        if let Some(known) =
            run.assignments.get(&device.id).and_then(|known| self.standing(run, known, now))
        {
            return known;
        }
        if self.is_given_up(run, device) {
            let attempts = run.operation().policy.retry.attempts_max;
            return Eligibility::Excluded { exclusion: Exclusion::RetriesExhausted { attempts } };
        }
        let verdict =
            generation::identify(&self.question(run, device, now), device, &mut Memory::default());
        let waiting = |exclusion| Eligibility::Waiting { exclusion };
        match (verdict, run.operation().state) {
            (
                Eligibility::Eligible { .. } | Eligibility::Waiting { .. },
                OperationState::Aborted,
            ) => Eligibility::Excluded { exclusion: Exclusion::OperationAborted },
            (Eligibility::Eligible { .. } | Eligibility::Waiting { .. }, _)
                if run.is_stopped(device, &run.stopped_strata()) =>
            {
                Eligibility::Excluded { exclusion: Exclusion::StratumStopped { by: id } }
            }
            (Eligibility::Eligible { .. }, OperationState::Paused) => {
                waiting(match run.operation().frozen_by() {
                    Some(by) => Exclusion::OperationFrozen { by },
                    None => Exclusion::OperationPaused,
                })
            }
            (Eligibility::Eligible { .. }, OperationState::Ongoing) if run.conduct.is_full() => {
                waiting(Exclusion::BatchFull)
            }
            (verdict, _) => verdict,
        }
    }

    /// The checks behind [`Loops::identify`] in their order, each with what was observed and
    /// required; those after the first that fails are not asked.
    #[must_use]
    pub fn explain(&self, id: OperationId, device: &Device, now: Time) -> Vec<Check> {
        let Some(run) = self.runs.get(&id) else { return Vec::new() };
        let mut checks = generation::explain(&self.question(run, device, now), device);
        if let Some(known) = run.assignments.get(&device.id) {
            checks.extend(self.pending_step(run, known).map(|exclusion| Check {
                name: "step".to_owned(),
                holds: None,
                detail: format!("{exclusion} ({})", exclusion.code()),
                age: None,
            }));
            checks.push(Check {
                name: "attempt".to_owned(),
                holds: Some(known.state == AttemptState::Succeeded),
                detail: format!(
                    "element {}, try {}: {}",
                    known.element,
                    known.attempt,
                    words(&known.state, run.operation().state)
                ),
                age: Some(now.since(known.since)),
            });
        }
        let state = run.operation().state;
        let frozen = run.operation().frozen_by().map_or_else(String::new, |by| {
            format!(", frozen because evidence stopped {by}, whose release it rests on")
        });
        checks.push(Check {
            name: "operation".to_owned(),
            holds: Some(matches!(state, OperationState::Pending | OperationState::Ongoing)),
            detail: format!("{id} is {state}{frozen}"),
            age: None,
        });
        checks
    }

    /// What an assignment says about granting its device; none when it may be granted again.
    fn standing(&self, run: &Run, known: &Assignment, now: Time) -> Option<Eligibility> {
        let (attempts, state) = (known.tries(), run.operation().state);
        let exclusion = match &known.state {
            AttemptState::Deferred { until, fault } if *until > now && !state.is_final() => {
                let exclusion = put_off(*until, fault, attempts);
                return Some(Eligibility::Waiting { exclusion });
            }
            AttemptState::Deferred { .. } | AttemptState::Succeeded => return None,
            // Taken back for another reason: what it is now tells why.
            AttemptState::Cancelled if state != OperationState::Aborted => return None,
            AttemptState::Failed { .. } | AttemptState::Silent => {
                Exclusion::RetriesExhausted { attempts }
            }
            AttemptState::Cancelled => Exclusion::OperationAborted,
            _ => {
                let operation = known.operation;
                let exclusion = self
                    .pending_step(run, known)
                    .unwrap_or(Exclusion::BusyOtherOperation { operation });
                return Some(Eligibility::Waiting { exclusion });
            }
        };
        Some(Eligibility::Excluded { exclusion })
    }

    /// The step of a longer path that must be confirmed before the next one; none on the last.
    fn pending_step(&self, run: &Run, known: &Assignment) -> Option<Exclusion> {
        let step = known.path.first().filter(|_| known.state.is_in_flight())?;
        known.path.get(1)?;
        Some(Exclusion::PathStepPending {
            step: self.release(*step)?.manifest.release.version.clone(),
            goal: run.release.manifest.release.version.clone(),
            operation: known.operation,
        })
    }

    fn question<'a>(&'a self, run: &'a Run, device: &Device, now: Time) -> Question<'a> {
        let id = run.operation().id;
        Question {
            release: &run.release,
            graph: &self.graph,
            scope: &run.operation().scope,
            busy: self.busy_with(device.id, Some(id)),
            reserved: self.reserved_by(device, run.urgency, Some(id)),
            undoes: run.undoes.as_ref(),
            operation: Some((id, &run.operation().policy)),
            site_devices: self.sites.devices(device.site.as_deref()),
            now,
        }
    }
}

/// Why a device is tried again only then.
pub(super) fn put_off(until: Time, fault: &Fault, attempts: u32) -> Exclusion {
    if fault.kind == FaultKind::Deferred {
        let by = "the device itself".to_owned();
        return Exclusion::ConsentDeferredUntil { until, by };
    }
    Exclusion::RetryWaiting { until, attempts }
}

fn words(state: &AttemptState, operation: OperationState) -> String {
    match state {
        AttemptState::Failed { fault } => format!("failed: {fault}"),
        AttemptState::Deferred { fault, .. } if operation.is_final() => {
            format!("not tried again, the operation is {operation}: {fault}")
        }
        AttemptState::Deferred { until, fault } => format!("tried again at {until}: {fault}"),
        state => state.as_str().to_owned(),
    }
}
