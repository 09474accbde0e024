//! Watching the fleet: each device's place in each open operation, and compliance afterwards.

use model::{
    AttemptState, Consent, Device, DeviceId, Eligibility, Exclusion, Fleet, OperationId,
    OperationState, Origin, Policy, Rate, Release, ReleaseId, ReleaseName, Scope, Time, Version,
};

use super::evidence::stratum_parts;
use super::views::put_off;
use super::{Loops, Run, Standard};
use crate::OpenRequest;
use crate::generation::{Claim, Memory, Place, Question, Urgency, changes_at, identify};
use crate::mix::mix;

impl Loops {
    /// A device is new, returned, left, or one of its values changed: it is looked at again for
    /// every open operation, and held against what finished operations brought. Costs a few
    /// steps per open operation, however large the fleet is.
    pub fn device_changed(&mut self, device: DeviceId, fleet: &Fleet, now: Time) {
        self.watch_in_flight(device, fleet, now);
        self.dirty.insert(device);
        self.settle_dirty(fleet, now);
    }

    /// Values of a device were read anew, though they may be the same: those that were too old to
    /// be believed are not any more. Returns whether that matters to any release.
    pub fn values_renewed(&mut self, device: DeviceId, fleet: &Fleet, now: Time) -> bool {
        if self.minds_age {
            self.dirty.insert(device);
            self.settle_dirty(fleet, now);
        }
        self.minds_age
    }

    /// Whether an open operation waits for a device's values to be read anew.
    #[must_use]
    pub fn wants_values(&self, device: DeviceId) -> bool {
        let open = self.by_urgency.iter().filter_map(|id| self.runs.get(id));
        self.minds_age && open.map(|run| run.place_of(device)).any(is_stale)
    }

    /// Finds the place of every device that changed.
    pub(super) fn settle_dirty(&mut self, fleet: &Fleet, now: Time) {
        while let Some(id) = self.dirty.pop_first() {
            if let Some(device) = fleet.device(id) {
                self.place(device, now);
                self.hold_to_standards(device, now);
            }
        }
    }

    /// Identification of the fleet for an operation that was just opened.
    pub(super) fn identify_fleet(&mut self, operation: OperationId, fleet: &Fleet, now: Time) {
        let Some(run) = self.runs.get(&operation) else { return };
        match run.operation().scope.clone() {
            Scope::Fleet => fleet.iter().for_each(|device| self.place(device, now)),
            Scope::Picked { devices } => devices
                .iter()
                .filter_map(|id| fleet.device(*id))
                .for_each(|device| self.place(device, now)),
        }
        self.settle_dirty(fleet, now);
    }

    /// What evidence stopped closes paths, and opens them when it is finished after all.
    pub(super) fn look_again_at_stopped(&mut self, fleet: &Fleet, now: Time) {
        if !std::mem::take(&mut self.paths_changed) {
            return;
        }
        self.runs.values_mut().for_each(|run| run.memory = Memory::default());
        let standards = self.compliance.standards.values_mut();
        standards.for_each(|standard| standard.memory = Memory::default());
        self.dirty.extend(fleet.iter().map(|device| device.id));
        self.settle_dirty(fleet, now);
    }

    /// A new release may open a path for devices that had none.
    pub(super) fn look_again_at_paths(&mut self, release: &Release, fleet: &Fleet, now: Time) {
        let name = &release.manifest.release.name;
        let mut concerned = false;
        for id in &self.by_urgency {
            if let Some(run) = self.runs.get_mut(id)
                && run.release.manifest.release.name == *name
            {
                run.memory = Memory::default();
                concerned = true;
            }
        }
        if let Some(standard) = self.compliance.standards.get_mut(name) {
            standard.memory = Memory::default();
            concerned = true;
        }
        if concerned {
            self.dirty.extend(fleet.iter().map(|device| device.id));
            self.settle_dirty(fleet, now);
        }
    }

    /// Finds a device's place in every open operation, the most urgent first: what that one can
    /// grant is reserved against the others.
    fn place(&mut self, device: &Device, now: Time) {
        let mut reserved: Option<(Urgency, Claim)> = None;
        for at in 0..self.by_urgency.len() {
            let id = self.by_urgency[at];
            let Some(run) = self.runs.get(&id) else { continue };
            if !run.operation().scope.includes(device.id) {
                continue;
            }
            let by = reserved.filter(|(urgency, _)| *urgency < run.urgency).map(|(_, by)| by);
            let place = self.place_in(id, device, by, now);
            let Some(run) = self.runs.get_mut(&id) else { continue };
            run.compare_place(device, place, &self.experience, now);
            let active =
                matches!(run.operation().state, OperationState::Pending | OperationState::Ongoing);
            if place == Place::Ready && active && reserved.is_none() {
                reserved = Some((run.urgency, run.claim()));
            }
        }
    }

    fn place_in(
        &mut self,
        id: OperationId,
        device: &Device,
        reserved: Option<Claim>,
        now: Time,
    ) -> Place {
        let busy = self.busy_with(device.id, Some(id));
        let given_up = self.runs.get(&id).is_some_and(|run| self.is_given_up(run, device));
        let Some(run) = self.runs.get_mut(&id) else { return Place::Unknown };
        let deferred = match run.assignments.get(&device.id).map(|known| &known.state) {
            None => false,
            Some(AttemptState::Deferred { until, fault }) => {
                if now < *until {
                    let code = put_off(*until, fault, 0).code();
                    return run.set_place(device, Place::Waiting(code));
                }
                true
            }
            Some(_) => return run.set_place(device, Place::Granted),
        };
        if given_up {
            return run.set_place(device, Place::Excluded(RETRIES_EXHAUSTED));
        }
        let question = Question {
            release: &run.release,
            graph: &self.graph,
            scope: &run.conduct.operation().scope,
            busy,
            reserved,
            undoes: run.undoes.as_ref(),
            operation: Some((id, &run.conduct.operation().policy)),
            site_devices: self.sites.devices(device.site.as_deref()),
            now,
        };
        let verdict = identify(&question, device, &mut run.memory);
        let target = !matches!(verdict, Eligibility::Excluded { .. });
        let policy = &run.conduct.operation().policy;
        let by_clock =
            self.minds_age || !policy.window.is_empty() || policy.consent != Consent::None;
        let again = (target && by_clock).then(|| changes_at(&question, device, &mut run.memory));
        let again = again.flatten();
        run.alarms.set(device.id, again);
        let place = match verdict {
            Eligibility::Eligible { .. } => Place::Ready,
            Eligibility::Waiting { exclusion } => Place::Waiting(exclusion.code()),
            Eligibility::Excluded { exclusion } if deferred => {
                self.resolve_deferred(id, device, &exclusion, now);
                Place::Granted
            }
            Eligibility::Excluded { exclusion } => Place::Excluded(exclusion.code()),
        };
        let place = self.runs.get_mut(&id).map_or(place, |run| run.set_place(device, place));
        if place != Place::Ready {
            // The room it was offered, if it was, is another's.
            self.offer_room(device.site.as_deref());
        }
        place
    }

    /// Whether a follow-up operation leaves a device alone, because the release failed on it
    /// before or does harm to its like: what nobody looked at would fail again and again.
    pub(super) fn is_given_up(&self, run: &Run, device: &Device) -> bool {
        let Origin::Compliance { after } = run.operation().origin else { return false };
        let parent = self.runs.get(&after);
        self.compliance.failed.contains(&(run.operation().release, device.id))
            || parent.is_some_and(|parent| parent.is_stopped(device, &self.stopped_before(parent)))
    }

    /// A device that waited for another try and is no target any more: it runs the goal after
    /// all, or it was taken elsewhere.
    fn resolve_deferred(
        &mut self,
        id: OperationId,
        device: &Device,
        exclusion: &Exclusion,
        now: Time,
    ) {
        let Some(run) = self.runs.get(&id) else { return };
        let Some(mut assignment) = run.assignments.get(&device.id).cloned() else { return };
        let release = run.operation().release;
        assignment.since = now;
        if let Exclusion::AlreadyCurrent { version } = exclusion {
            assignment.state = AttemptState::Succeeded;
            assignment.path.clear();
            let version = Some(version.clone());
            self.record_outcome(&assignment, release, AttemptState::Succeeded, version, now);
        } else {
            assignment.state = AttemptState::Cancelled;
        }
        self.put(assignment, now);
    }

    /// A device out of date with what a finished operation brought asks for a follow-up.
    fn hold_to_standards(&mut self, device: &Device, now: Time) {
        if !self.config.compliance {
            return;
        }
        let busy = self.busy_with(device.id, None);
        for (name, standard) in &mut self.compliance.standards {
            if self.compliance.due.contains_key(name)
                || self.compliance.failed.contains(&(standard.release, device.id))
            {
                continue;
            }
            let Some(published) = self.releases.get(&standard.release) else { continue };
            let question = Question {
                release: &published.release,
                graph: &self.graph,
                scope: &Scope::Fleet,
                busy,
                reserved: None,
                undoes: None,
                // When and by whose leave is the follow-up's own question.
                operation: None,
                site_devices: 0,
                now,
            };
            let verdict = identify(&question, device, &mut standard.memory);
            let parent = self.runs.get(&standard.operation);
            let stopped = !standard.stopped.is_empty()
                && parent.is_some_and(|run| run.is_stopped(device, &standard.stopped));
            if matches!(verdict, Eligibility::Eligible { .. })
                && !stopped
                && !covered(&self.by_urgency, &self.runs, name)
            {
                let delay = std::time::Duration::from_secs(self.config.compliance_delay_s);
                self.compliance.due.insert(name.clone(), now + delay);
            }
        }
    }

    /// Opens the follow-up operations whose devices were collected for long enough.
    pub(super) fn open_compliance(&mut self, fleet: &Fleet, now: Time) {
        if std::mem::take(&mut self.compliance.sweep) {
            fleet.iter().for_each(|device| self.hold_to_standards(device, now));
        }
        let due: Vec<ReleaseName> = self
            .compliance
            .due
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.compliance.due.remove(&name);
            self.follow_up(&name, fleet, now);
        }
    }

    fn follow_up(&mut self, name: &ReleaseName, fleet: &Fleet, now: Time) {
        if covered(&self.by_urgency, &self.runs, name) {
            return;
        }
        let Some(standard) = self.compliance.standards.get(name) else { return };
        let (release, after) = (standard.release, standard.operation);
        let Some(parent) = self.runs.get(&after) else { return };
        // The release is proven on this fleet, so newcomers start where the parent ended, and no
        // share of their own small number slows them down. Errors still abort as ever.
        let policy = Policy {
            first_speed: parent
                .conduct
                .operation()
                .speed
                .max(parent.operation().policy.first_speed),
            speed_max: Rate::WHOLE,
            ..parent.operation().policy.clone()
        };
        let seed = mix(parent.operation().seed, self.next_operation().0);
        let request = OpenRequest {
            release,
            scope: Scope::Fleet,
            policy,
            origin: Origin::Compliance { after },
            agreement: parent.operation().agreement.clone(),
        };
        if self.open(request, fleet, seed, now).is_err() {
            // Too many operations are open: asked again after a while, not at once.
            let wait = std::time::Duration::from_secs(self.config.compliance_delay_s.max(1));
            self.compliance.due.insert(name.clone(), now + wait);
        }
    }

    /// Finds, for each name, the newest release whose last operation on the fleet has finished.
    pub(super) fn refresh_standards(&mut self) {
        let mut last: std::collections::BTreeMap<ReleaseId, &Run> =
            std::collections::BTreeMap::new();
        for run in self.runs.values().filter(|run| run.operation().scope == Scope::Fleet) {
            last.insert(run.operation().release, run);
        }
        let mut standards: std::collections::BTreeMap<ReleaseName, (Version, Standard)> =
            std::collections::BTreeMap::new();
        for run in last.values() {
            if run.operation().state != OperationState::Finished {
                continue;
            }
            let section = &run.release.manifest.release;
            if standards.get(&section.name).is_none_or(|(best, _)| *best < section.version) {
                let standard = Standard {
                    release: run.release.id,
                    operation: run.operation().id,
                    memory: Memory::default(),
                    stopped: self.stopped_before(run),
                };
                standards.insert(section.name.clone(), (section.version.clone(), standard));
            }
        }
        let standards =
            standards.into_iter().map(|(name, (_, standard))| (name, standard)).collect();
        self.compliance.standards = standards;
        self.compliance.sweep = self.config.compliance && !self.compliance.standards.is_empty();
    }
}

/// Whether a required value of the device is too old.
pub(super) fn is_stale(place: Place) -> bool {
    matches!(place, Place::Waiting("data.stale") | Place::Excluded("data.stale"))
}

/// Whether an open operation for the whole fleet already carries the name.
fn covered(
    open: &[OperationId],
    runs: &std::collections::BTreeMap<OperationId, Run>,
    name: &ReleaseName,
) -> bool {
    open.iter().filter_map(|id| runs.get(id)).any(|run| {
        run.operation().scope == Scope::Fleet && run.release.manifest.release.name == *name
    })
}

impl Run {
    fn set_place(&mut self, device: &Device, place: Place) -> Place {
        if self.operation().state.is_final() {
            return place;
        }
        let known = self.assignments.get(&device.id);
        let stratum = stratum_parts(&self.conduct, &self.release, known, device);
        self.targets.put(device.id, place, stratum);
        self.park(device, place == Place::Waiting("spread.limit"));
        place
    }
}

/// The code of `Exclusion::RetriesExhausted`.
const RETRIES_EXHAUSTED: &str = "retries.exhausted";
