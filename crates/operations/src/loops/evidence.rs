//! Operations under evidence: who is compared, when to look, and what was learned for the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Arm, Assignment, AttemptState, Device, DeviceId, EvidencePlan, FaultKind, Fleet,
    HealthEventKind, Look, Manifest, OperationId, OperationState, Origin, Policy, Presence, Record,
    Release, ReleaseName, Signal, Snapshot, StratumBy, StratumLook, StratumName, StratumPlan,
    StratumScope, Time, Version,
};

use super::watch::is_stale;
use super::{Loops, Run};
use crate::enforcement::{Cohort, Partners};
use crate::evidence::{
    Gaps, History, SilenceConfig, default_budget, habit_deadline_s, install_config, tolerated,
};
use crate::generation::{Place, version_of};
use crate::mix::mix;
use crate::{Conduct, Output};

/// What is learned from device to device and from operation to operation. Not stored: outcomes
/// come back with the operations they belong to, habits are learned again.
#[derive(Debug, Default)]
pub(super) struct Experience {
    // Installations of finished operations, by release name, then by hardware.
    installs: BTreeMap<ReleaseName, BTreeMap<String, History>>,
    // Times between contacts, by hardware.
    gaps: BTreeMap<String, Gaps>,
}

/// One operation under evidence: its devices, and since when this process follows them.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) cohort: Cohort,
    // Control devices that are read along with updated ones.
    pub(super) partners: Partners,
    // When the comparison began, in whichever process.
    begun: Time,
    // Silence before is the server's own absence (I17).
    pub(super) since: Time,
    // Devices granted and not told to install yet, by number of their stratum.
    pending: BTreeMap<u32, u64>,
    // Devices whose installation is under way, by number of their stratum.
    installing: BTreeMap<u32, u64>,
    // The stratum in which an unfinished device counts: a site may change meanwhile.
    counted: BTreeMap<DeviceId, u32>,
    // Sum and number of the deadlines of silence, by number of the stratum.
    deadlines: BTreeMap<u32, (u64, u64)>,
}

impl Comparison {
    pub(super) fn new(looks: u64, begun: Time, now: Time) -> Self {
        Self {
            cohort: Cohort::after(looks),
            partners: Partners::default(),
            begun,
            since: now,
            pending: BTreeMap::new(),
            installing: BTreeMap::new(),
            counted: BTreeMap::new(),
            deadlines: BTreeMap::new(),
        }
    }
}

/// As what a device is followed; updated in one operation outweighs control in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FollowedAs {
    Control,
    Updated,
}

impl Loops {
    /// A device was heard, `gap` after the time before if that says something of its habits.
    /// Returns whether it does of the device's own ([`model::Habit`]): not while some operation
    /// compares it, so that both arms are held against habits from before the change. Its kind
    /// learns from all but updated devices. Costs a few steps for each open operation under
    /// evidence.
    pub fn contact(
        &mut self,
        device: DeviceId,
        gap: Option<Duration>,
        fleet: &Fleet,
        now: Time,
    ) -> bool {
        let mut arm = None;
        for id in &self.by_urgency {
            let Some(run) = self.runs.get_mut(id) else { continue };
            arm = run.contact(device, now).max(arm);
        }
        if let (Some(known), Some(gap)) = (fleet.device(device), gap)
            && arm != Some(FollowedAs::Updated)
        {
            self.experience.learn(known.hardware.as_deref().unwrap_or(""), gap.as_secs());
        }
        self.read_along(device, now);
        gap.is_some() && arm.is_none()
    }

    /// Something was told of a device that a good change does not cause: a crash it reports, or a
    /// signal of the business such as a call to the hotline. Returns how many open operations
    /// under evidence compare the device and take it as evidence. A signal of the business leaves
    /// as a record for each, and must be durable before who gave it hears of it (I15).
    pub fn signal(&mut self, device: DeviceId, kind: HealthEventKind, now: Time) -> usize {
        let mut counted = 0;
        for run in self.runs.values_mut() {
            let Some(signal) = run.signal(device, kind, now) else { continue };
            counted += 1;
            if kind == HealthEventKind::Signal {
                self.outputs.push_back(Output::Record(Record::Signal(Box::new(signal))));
            }
        }
        counted
    }

    /// Prepares regulation by evidence for its next decision: fixes what the operation is held
    /// against when it starts, and looks when a look is due.
    pub(super) fn look(&mut self, id: OperationId, fleet: &Fleet, now: Time) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let pool = run.pool();
        if run.is_under_evidence()
            && run.operation().evidence.is_none()
            && run.operation().state == OperationState::Pending
            && pool.ready > 0
        {
            run.begin(&self.experience, now);
            self.compare_fleet(id, fleet, now);
        }
        let Some(run) = self.runs.get_mut(&id) else { return };
        if !run.conduct.wants_look(pool, now) {
            return;
        }
        let Some(look) = run.take_look(self.config.probe(), now) else { return };
        run.conduct.look(&look);
        self.outputs.push_back(Output::Record(Record::Look(Box::new(look))));
    }

    /// The strata that evidence stopped in an operation or in those it follows up.
    pub(super) fn stopped_before(&self, run: &Run) -> BTreeSet<StratumName> {
        let mut stopped = run.stopped_strata();
        let mut origin = &run.operation().origin;
        while let Origin::Compliance { after } = origin
            && let Some(parent) = self.runs.get(after)
        {
            stopped.extend(parent.stopped_strata());
            origin = &parent.operation().origin;
        }
        stopped
    }

    /// Every device finds its arm.
    fn compare_fleet(&mut self, id: OperationId, fleet: &Fleet, now: Time) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        for device in fleet.iter() {
            let place = run.targets.place(device.id);
            run.compare_place(device, place, &self.experience, now);
        }
    }

    /// Devices that were control before a restart and are away now have no place that says so:
    /// they are followed again, or their silence would be missing beside that of updated ones. Who
    /// was away when the comparison began, and has not been seen since, was none.
    fn recall_control(&mut self, id: OperationId, fleet: &Fleet, now: Time) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(rule) = run.operation().policy.rule.evidence() else { return };
        let Some(begun) = run.comparison.as_ref().map(|comparison| comparison.begun) else {
            return;
        };
        let silence_min = rule.silence_min.0;
        for device in fleet.iter().filter(|device| device.presence != Presence::Online) {
            let place = run.targets.place(device.id);
            let target = matches!(place, Place::Waiting(_)) || is_stale(place);
            let known = run.assignments.get(&device.id);
            let told = known.is_some_and(|known| known.told.is_some());
            // One that is asleep waits for its contact before it is ready.
            let registered = match device.presence {
                Presence::Asleep => device.last_seen >= begun,
                _ => device.last_seen + device.lifetime >= begun,
            };
            if !target || told || !registered {
                continue;
            }
            // Who is left out for its values has no stratum among the places.
            let [hardware, version, site] =
                stratum_parts(&run.conduct, &run.release, known, device).map(str::to_owned);
            let name = StratumName { hardware, version, site };
            let Some(stratum) = run.targets.number_of(&name) else { continue };
            let deadline = self.experience.deadline(device, silence_min);
            run.follow_in(stratum, device.id, Arm::Control, now, Some(deadline), now);
        }
    }

    /// Goes on comparing after a restart; the looks are folded and the devices have their places.
    pub(super) fn restore_comparisons(&mut self, snapshot: &Snapshot, fleet: &Fleet, now: Time) {
        let looks = &snapshot.looks;
        self.experience.recall(fleet);
        for id in self.by_urgency.clone() {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            if run.operation().evidence.is_none() {
                continue;
            }
            let first = looks.iter().find(|look| look.operation == id);
            let begun = first.map_or_else(|| run.operation().opened, |look| look.at);
            let mut comparison = Comparison::new(run.conduct.looks(), begun, now);
            let left = looks.iter().filter(|look| look.operation == id).flat_map(|look| &look.left);
            left.for_each(|device| comparison.cohort.lost(*device));
            run.comparison = Some(comparison);
            self.compare_fleet(id, fleet, now);
            self.recall_control(id, fleet, now);
            let Some(run) = self.runs.get_mut(&id) else { continue };
            let looked = looks.iter().rev().find(|look| look.operation == id);
            let after = looked.map_or_else(Time::default, |look| look.at);
            let known: Vec<Assignment> = run.assignments.values().cloned().collect();
            for assignment in known {
                run.compare_attempt(None, &assignment, after, now);
            }
            let signals = snapshot.signals.iter().filter(|signal| signal.operation == id);
            signals.for_each(|signal| run.restore_signal(signal));
        }
        let open = self.runs.values().filter_map(|run| run.comparison.as_ref());
        let Some(earliest) = open.map(|comparison| comparison.begun).min() else { return };
        let told: Vec<(OperationId, DeviceId, Time)> = self
            .runs
            .iter()
            .flat_map(|(id, run)| run.assignments.values().map(|known| (*id, known)))
            .filter_map(|(id, known)| Some((id, known.device, known.told?)))
            .filter(|(.., told)| *told >= earliest)
            .collect();
        for (id, device, at) in told {
            self.take_over(id, device, at);
        }
    }

    /// An operation told a device to install. What the device does from then on says nothing more
    /// of a change that this one replaces, nor of the control of that change: it is followed no
    /// further there. The last change is the one that answers for a device.
    pub(super) fn take_over(&mut self, by: OperationId, device: DeviceId, told: Time) {
        let Some(run) = self.runs.get(&by) else { return };
        let manifest = Arc::clone(&run.release.manifest);
        for id in &self.by_urgency {
            let Some(run) = self.runs.get_mut(id).filter(|_| *id != by) else { continue };
            let Some(comparison) = &run.comparison else { continue };
            let known = run.assignments.get(&device).and_then(|known| known.told);
            let since = known.unwrap_or(comparison.begun);
            if since <= told && replaces(&manifest, &run.release.manifest) {
                run.compare_no_further(device);
            }
        }
    }

    /// Learns from an operation that has finished. What was stopped, a stratum as well, would teach
    /// the fleet to tolerate faults.
    pub(super) fn learn(&mut self, id: OperationId, hardware: impl Fn(&Run, DeviceId) -> String) {
        let Some(run) = self.runs.get(&id) else { return };
        if run.operation().state != OperationState::Finished {
            return;
        }
        let stopped = run.stopped_strata();
        let is_stopped = |device| {
            let stratum = run.targets.stratum_of(device);
            stratum
                .and_then(|number| run.targets.name_of(number))
                .is_some_and(|it| stopped.contains(it))
        };
        let name = run.release.manifest.release.name.clone();
        let by_hardware = self.experience.installs.entry(name).or_default();
        for assignment in run.assignments.values() {
            let failed = match &assignment.state {
                AttemptState::Succeeded => false,
                AttemptState::Failed { fault } if says_something(fault.kind) => true,
                _ => continue,
            };
            if is_stopped(assignment.device) {
                continue;
            }
            let history = by_hardware.entry(hardware(run, assignment.device)).or_default();
            history.attempts += 1;
            history.failures += u64::from(failed);
        }
    }
}

impl Experience {
    /// Begins with the longest gap of each device, which is on the safe side until new gaps come.
    fn recall(&mut self, fleet: &Fleet) {
        for device in fleet.iter() {
            if let Some(gap_s) = device.habit.longest_s() {
                self.learn(device.hardware.as_deref().unwrap_or(""), gap_s);
            }
        }
    }

    fn learn(&mut self, hardware: &str, gap_s: u64) {
        if gap_s == 0 {
            return;
        }
        let config = habits();
        let kinds = self.gaps.len();
        if let Some(gaps) = self.gaps.get_mut(hardware) {
            gaps.observe(gap_s, &config);
        } else if kinds < KINDS_MAX {
            // Devices report free text; the habits of the first kinds are learned.
            self.gaps.entry(hardware.to_owned()).or_default().observe(gap_s, &config);
        }
    }

    /// Times between contacts of one hardware.
    pub(super) fn gaps(&self, hardware: &str) -> Option<&Gaps> {
        self.gaps.get(hardware)
    }

    /// The same of every hardware.
    pub(super) fn all_gaps(&self) -> impl Iterator<Item = &Gaps> {
        self.gaps.values()
    }

    /// Installations of a release's finished operations, by hardware.
    pub(super) fn installs(&self, name: &ReleaseName) -> impl Iterator<Item = (&str, History)> {
        let known = self.installs.get(name).into_iter().flatten();
        known.map(|(hardware, history)| (hardware.as_str(), *history))
    }

    /// Silence after which a device counts as lost.
    pub(super) fn deadline(&self, device: &Device, silence_min: Duration) -> Duration {
        let config =
            SilenceConfig { deadline_min_s: silence_min.as_secs(), ..SilenceConfig::default() };
        let kin = self.gaps.get(device.hardware.as_deref().unwrap_or(""));
        let lifetime_s = device.lifetime.as_secs();
        Duration::from_secs(habit_deadline_s(lifetime_s, &device.habit, kin, &config))
    }

    /// Outcomes of a release's installations, the whole fleet first, then one hardware.
    pub(super) fn history(&self, name: &ReleaseName, hardware: &str) -> [History; 2] {
        let Some(known) = self.installs.get(name) else { return [History::default(); 2] };
        let fleet = known.values().fold(History::default(), |sum, one| History {
            failures: sum.failures + one.failures,
            attempts: sum.attempts + one.attempts,
        });
        [fleet, known.get(hardware).copied().unwrap_or_default()]
    }
}

impl Run {
    fn is_under_evidence(&self) -> bool {
        self.operation().policy.rule.evidence().is_some()
    }

    /// Fixes tolerances and budget by what is known at the start.
    fn begin(&mut self, experience: &Experience, now: Time) {
        let Some(rule) = self.operation().policy.rule.evidence() else { return };
        let config = install_config(rule);
        let name = &self.release.manifest.release.name;
        let strata: Vec<StratumPlan> = self
            .targets
            .strata()
            .map(|stratum| StratumPlan {
                name: stratum.name.clone(),
                tolerance: tolerated(&experience.history(name, &stratum.name.hardware), &config),
            })
            .collect();
        let targets = self.targets.strata().map(|stratum| stratum.targets).sum();
        let [fleet, _] = experience.history(name, "");
        let guards = &self.release.manifest.guard;
        let plan = EvidencePlan {
            budget: rule.budget.unwrap_or_else(|| default_budget(targets)),
            strata,
            others: tolerated(&[fleet], &config),
            indicators: u32::try_from(guards.len()).unwrap_or(u32::MAX),
            indicator_names: guards.iter().map(|guard| guard.name.clone()).collect(),
        };
        self.conduct.hold_against(plan);
        self.comparison = Some(Comparison::new(0, now, now));
    }

    /// Takes a signal or a crash as evidence, when the device is compared.
    fn signal(&mut self, device: DeviceId, kind: HealthEventKind, now: Time) -> Option<Signal> {
        let operation = self.operation().id;
        let comparison = self.comparison.as_mut()?;
        let (arm, number, window) = comparison.cohort.followed(device)?;
        comparison.cohort.event(device, kind);
        let stratum = self.targets.name_of(number).cloned().unwrap_or_default();
        Some(Signal { operation, device, stratum, arm, window, at: now })
    }

    /// Counts a signal again that a restart overtook; one that is in a look already is known by
    /// its device, which is followed no further.
    fn restore_signal(&mut self, signal: &Signal) {
        let Signal { device, arm, window, .. } = *signal;
        let Some(stratum) = self.targets.number_of(&signal.stratum) else { return };
        if let Some(comparison) = &mut self.comparison {
            let kind = HealthEventKind::Signal;
            comparison.cohort.restore_event(device, arm, stratum, window, kind);
        }
    }

    /// Closes the next look. Silence is found when the `probe` after the deadline is over.
    fn take_look(&mut self, probe: Duration, now: Time) -> Option<Look> {
        let comparison = self.comparison.as_mut()?;
        let (mut seen, left) = comparison.cohort.take();
        let strata = self
            .targets
            .strata()
            .map(|stratum| {
                let counted = seen.get_mut(stratum.number as usize).map(std::mem::take);
                let (sum, devices) =
                    comparison.deadlines.get(&stratum.number).copied().unwrap_or((0, 0));
                StratumLook {
                    name: stratum.name.clone(),
                    targets: stratum.targets,
                    granted: stratum.granted,
                    pending: comparison.pending.get(&stratum.number).copied().unwrap_or(0),
                    installing: comparison.installing.get(&stratum.number).copied().unwrap_or(0),
                    ready: stratum.ready,
                    deadline_s: sum.checked_div(devices).map_or(0, |usual| usual + probe.as_secs()),
                    ..counted.unwrap_or_default()
                }
            })
            .collect();
        let number = self.conduct.looks() + 1;
        Some(Look { operation: self.operation().id, number, at: now, strata, left })
    }

    /// Takes in a contact; returns as what the device is followed, if it is.
    fn contact(&mut self, device: DeviceId, now: Time) -> Option<FollowedAs> {
        let comparison = self.comparison.as_mut()?;
        let rule = self.conduct.operation().policy.rule.evidence()?;
        comparison.cohort.contact(device, rule.ages.iter().map(|age| age.0), now);
        let (arm, ..) = comparison.cohort.followed(device)?;
        Some(if arm == Arm::Updated { FollowedAs::Updated } else { FollowedAs::Control })
    }

    /// A device that could be granted belongs to the control from its contact on. It stays there
    /// while it is away, or its silence would never be seen, and its values grow too old with it;
    /// and until it is told to install, whatever became of its grant: what is dead cannot be told,
    /// and taken from the control with its grant, its silence would be missing there.
    pub(super) fn compare_place(
        &mut self,
        device: &Device,
        place: Place,
        experience: &Experience,
        now: Time,
    ) {
        if self.comparison.is_none() {
            return;
        }
        let place = match self.assignments.get(&device.id) {
            None => place,
            Some(known) if waits(known) || was_out_of_reach(known) => Place::Ready,
            Some(known) if known.told.is_none() && !known.state.is_final() => place,
            Some(_) => return,
        };
        match place {
            _ if is_stale(place) => {}
            Place::Ready => {
                let Some(rule) = self.operation().policy.rule.evidence() else { return };
                let deadline = experience.deadline(device, rule.silence_min.0);
                self.follow(device.id, Arm::Control, now, Some(deadline), now);
            }
            Place::Waiting(_) => {}
            Place::Excluded(_) | Place::Unknown | Place::Granted => {
                self.compare_no_further(device.id);
            }
        }
    }

    fn compare_no_further(&mut self, device: DeviceId) {
        if let Some(comparison) = &mut self.comparison {
            comparison.cohort.leave(device);
            comparison.partners.forget(device);
        }
    }

    /// Follows a device from a contact on. Without a deadline of its own it is looked at again
    /// after the usual one of its stratum, and then by its own.
    fn follow(
        &mut self,
        device: DeviceId,
        arm: Arm,
        told: Time,
        deadline: Option<Duration>,
        now: Time,
    ) {
        let Some(stratum) = self.targets.stratum_of(device) else { return };
        self.follow_in(stratum, device, arm, told, deadline, now);
    }

    fn follow_in(
        &mut self,
        stratum: u32,
        device: DeviceId,
        arm: Arm,
        told: Time,
        deadline: Option<Duration>,
        now: Time,
    ) {
        let Some(rule) = self.conduct.operation().policy.rule.evidence() else { return };
        let Some(comparison) = &mut self.comparison else { return };
        let (sum, devices) = comparison.deadlines.entry(stratum).or_default();
        if let Some(deadline) = deadline {
            *sum += deadline.as_secs();
            *devices += 1;
        }
        let usual = sum.checked_div(*devices).map_or(rule.silence_min.0, Duration::from_secs);
        let due = match (arm, deadline) {
            (Arm::Control, Some(deadline)) => now + first_check(device, deadline),
            _ => now + deadline.unwrap_or(usual),
        };
        if comparison.cohort.follow(device, arm, stratum, told, due) {
            comparison.cohort.contact(device, rule.ages.iter().map(|age| age.0), now);
        }
    }

    /// An attempt moved: what that says about the change. Of what happened at or before `after`
    /// the looks know already.
    pub(super) fn compare_attempt(
        &mut self,
        old: Option<&Assignment>,
        new: &Assignment,
        after: Time,
        now: Time,
    ) {
        let Some(stratum) = self.targets.stratum_of(new.device) else { return };
        let Some(comparison) = &mut self.comparison else { return };
        let stratum = comparison.counted.get(&new.device).copied().unwrap_or(stratum);
        if waits(new) || installs(new) {
            comparison.counted.insert(new.device, stratum);
        } else {
            comparison.counted.remove(&new.device);
        }
        if new.state.is_settled() || new.state == AttemptState::Granted {
            // Granted: read no more as a partner. Settled: what there was to read has been read.
            comparison.partners.forget(new.device);
        }
        let recount = |counts: &mut BTreeMap<u32, u64>, counted: fn(&Assignment) -> bool| {
            let count = counts.entry(stratum).or_default();
            *count = count.saturating_sub(u64::from(old.is_some_and(counted)));
            *count += u64::from(counted(new));
        };
        recount(&mut comparison.pending, waits);
        recount(&mut comparison.installing, installs);
        let cohort = &mut comparison.cohort;
        match new.told {
            None if new.state == AttemptState::Cancelled => cohort.leave(new.device),
            None => {}
            Some(told) if old.is_none_or(|old| old.told.is_none()) => {
                if told > after {
                    cohort.updated(stratum);
                }
                self.follow(new.device, Arm::Updated, told, None, now);
            }
            Some(_) => {}
        }
        let settled = old.is_none_or(|old| old.state != new.state) && new.since > after;
        let waited = old.filter(|old| old.state == AttemptState::Claimed && settled);
        let Some(comparison) = &mut self.comparison else { return };
        if let Some(old) = waited
            && new.state != AttemptState::Silent
        {
            comparison.cohort.returned(stratum, new.since.since(old.since));
        }
        match &new.state {
            AttemptState::Succeeded if settled => {
                comparison.cohort.ended(stratum, true);
            }
            AttemptState::Failed { fault } => {
                if settled && says_something(fault.kind) {
                    comparison.cohort.ended(stratum, false);
                }
                if !was_out_of_reach(new) {
                    comparison.cohort.leave(new.device);
                }
            }
            _ => {}
        }
    }

    /// The strata that evidence stopped.
    pub(super) fn stopped_strata(&self) -> BTreeSet<StratumName> {
        let course = self.conduct.evidence_course();
        let strata = course.into_iter().flat_map(|course| &course.judged.strata);
        strata
            .filter(|stratum| stratum.scope == StratumScope::Stopped)
            .map(|stratum| stratum.name.clone())
            .collect()
    }

    /// Whether a device belongs to one of these strata.
    pub(super) fn is_stopped(&self, device: &Device, stopped: &BTreeSet<StratumName>) -> bool {
        if stopped.is_empty() {
            return false;
        }
        let known = self.assignments.get(&device.id);
        let [hardware, version, site] =
            stratum_parts(&self.conduct, &self.release, known, device).map(str::to_owned);
        stopped.contains(&StratumName { hardware, version, site })
    }
}

/// The parts of the name of a device's stratum that an operation tells apart.
pub(super) fn stratum_parts<'a>(
    conduct: &Conduct,
    release: &Release,
    known: Option<&'a Assignment>,
    device: &'a Device,
) -> [&'a str; 3] {
    // The stratum of a device stays that of its version before the operation.
    let version = match known {
        Some(assignment) => assignment.version_before.as_ref(),
        None => version_of(release, device),
    };
    parts_under(&conduct.operation().policy, version, device)
}

/// The parts that a policy tells apart of a device that ran `version` before.
pub(super) fn parts_under<'a>(
    policy: &Policy,
    version: Option<&'a Version>,
    device: &'a Device,
) -> [&'a str; 3] {
    let hardware = device.hardware.as_deref().unwrap_or("");
    let version = version.map_or("", Version::as_str);
    let Some(rule) = policy.rule.evidence() else {
        return [hardware, version, ""];
    };
    let told_apart = |by, part| if rule.strata.contains(&by) { part } else { "" };
    [
        told_apart(StratumBy::Hardware, hardware),
        told_apart(StratumBy::Version, version),
        told_apart(StratumBy::Site, device.site.as_deref().unwrap_or("")),
    ]
}

/// Whether a release takes the place of what the other one has put on a device.
fn replaces(new: &Manifest, old: &Manifest) -> bool {
    new.release.name == old.release.name || (new.is_firmware() && old.is_firmware())
}

/// Whether a granted device was not told to install yet.
const fn waits(one: &Assignment) -> bool {
    one.state.is_in_flight() && one.told.is_none()
}

/// Whether the installation of a device has begun and not ended, at whichever try or hop it is. One
/// that is to be tried again is more likely to succeed in the end than to fail.
const fn installs(one: &Assignment) -> bool {
    let began_before = one.tries() > 1 || one.hops > 0;
    match &one.state {
        AttemptState::Deferred { fault, .. } if matches!(fault.kind, FaultKind::Away) => {
            began_before
        }
        AttemptState::Deferred { .. } => true,
        state => state.is_in_flight() && (one.begun.is_some() || began_before),
    }
}

/// Whether a device was given up before it was told, for being out of reach. It is control as
/// before.
const fn was_out_of_reach(one: &Assignment) -> bool {
    match &one.state {
        AttemptState::Failed { fault } => one.told.is_none() && !says_something(fault.kind),
        _ => false,
    }
}

/// When the silence of a control device is looked at first. All of them are followed from the
/// start of the operation on; one that has called by then is next looked at by its own contact,
/// so that not a whole fleet comes due at one moment. It is never found silent before its
/// deadline, and never later.
fn first_check(device: DeviceId, deadline: Duration) -> Duration {
    let half = deadline / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(mix(0, device.0) % spread)
}

/// Whether a failure says something about the change: a device that was out of reach says
/// nothing, and its silence is judged against the control.
pub(super) const fn says_something(kind: FaultKind) -> bool {
    !matches!(kind, FaultKind::NoAnswer | FaultKind::ConnectionLost | FaultKind::Away)
}

/// How the habits of a hardware are kept: all lengths, so that its usual gaps are known beside its
/// longest ones. Kinds are few, devices are many.
pub(super) fn habits() -> SilenceConfig {
    SilenceConfig { lengths_max: 256, ..SilenceConfig::default() }
}

/// Kinds of hardware whose habits are learned.
const KINDS_MAX: usize = 256;
