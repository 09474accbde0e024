//! Indicators: guarded values of updated devices, and of control devices over the same time.

use std::sync::Arc;

use model::{Arm, Assignment, Device, DeviceId, FaultKind, Fleet, Presence, Time};

use super::{Loops, Run};
use crate::Output;
use crate::enforcement::{Assessment, guarded_values, worsening};

impl Loops {
    /// The guarded values of a control device were asked for, and each read was answered in some
    /// way; what is known of them is in the fleet.
    pub fn guards_read(&mut self, device: DeviceId, fleet: &Fleet, _now: Time) {
        if !self.readings.answered(device) {
            return;
        }
        let is_free = !self.busy.contains_key(&device);
        let values_max = self.config.indicator_values_max;
        for run in self.runs.values_mut() {
            let known = fleet.device(device).filter(|_| is_free && run.is_control(device));
            match known {
                Some(known) => run.control_read(known, values_max),
                None => run.forget_partner(device),
            }
        }
    }

    /// A device is in contact: it is read if an updated device of its stratum needs a counterpart,
    /// unless some operation changes it.
    pub(super) fn read_along(&mut self, device: DeviceId, now: Time) {
        let is_asked = self.readings.until(device).is_some();
        let is_full = self.readings.open() >= self.config.control_reads_max;
        if is_asked || is_full || self.busy.contains_key(&device) {
            return;
        }
        for at in 0..self.by_urgency.len() {
            let Some(run) = self.runs.get_mut(&self.by_urgency[at]) else { continue };
            if !run.ask_control(device, now) {
                continue;
            }
            let release = run.operation().release;
            let Some(published) = self.releases.get(&release) else { continue };
            let guards = Arc::clone(&published.guards);
            self.readings.ask(device, now + self.config.probe());
            self.outputs.push_back(Output::ReadGuards { device, guards });
            return;
        }
    }

    /// Gives up control devices that did not answer in time: absent values are neutral.
    pub(super) fn pass_readings(&mut self, now: Time) {
        while let Some(device) = self.readings.pop_over(now) {
            self.runs.values_mut().for_each(|run| run.forget_partner(device));
        }
    }

    /// A device was read right before the change that its operation is for.
    pub(super) fn indicators_begin(&mut self, assignment: &Assignment, now: Time) {
        let Some(run) = self.runs.get_mut(&assignment.operation) else { return };
        let compared = run.indicators_compared();
        let known = assignment.baseline.iter().take(compared).any(Option::is_some);
        if !known || assignment.path.len() > 1 {
            return;
        }
        let Some(stratum) = run.targets.stratum_of(assignment.device) else { return };
        if let Some(comparison) = &mut run.comparison {
            comparison.partners.begin(assignment.device, stratum, now);
        }
    }

    /// A device is judged after the change that its operation is for: what became of its values
    /// goes into the next look, and its counterpart is read again.
    pub(super) fn indicators_end(
        &mut self,
        assignment: &Assignment,
        assessment: &Assessment,
        device: &Device,
        fleet: &Fleet,
        now: Time,
    ) {
        let judged = match assessment {
            Assessment::Succeeded | Assessment::Warned { .. } => true,
            Assessment::Failed(fault) => fault.kind == FaultKind::GuardViolated,
            Assessment::Waiting | Assessment::Soaking { .. } => false,
        };
        if !judged || assignment.path.len() > 1 {
            return;
        }
        let values_max = self.config.indicator_values_max;
        let Some(run) = self.runs.get_mut(&assignment.operation) else { return };
        let Some(control) = run.updated_read(assignment, device, values_max, now) else { return };
        let there = |known: &Device| known.presence == Presence::Online;
        if fleet.device(control).is_some_and(there) {
            self.read_along(control, now);
        }
    }
}

impl Run {
    /// How many guards are compared between updated and control devices.
    fn indicators_compared(&self) -> usize {
        let plan = self.operation().evidence.as_deref().filter(|_| self.comparison.is_some());
        let planned = plan.map_or(0, |plan| plan.indicators as usize);
        planned.min(self.release.manifest.guard.len())
    }

    fn is_control(&self, device: DeviceId) -> bool {
        let comparison = self.comparison.as_ref();
        comparison.is_some_and(|comparison| comparison.cohort.is_control(device))
    }

    pub(super) fn forget_partner(&mut self, device: DeviceId) {
        if let Some(comparison) = &mut self.comparison {
            comparison.partners.forget(device);
        }
    }

    /// Whether a device in contact is read as control; it is taken as asked then.
    fn ask_control(&mut self, device: DeviceId, now: Time) -> bool {
        if !self.is_control(device) {
            return false;
        }
        let Some(stratum) = self.targets.stratum_of(device) else { return false };
        let Some(comparison) = &mut self.comparison else { return false };
        let wanted = comparison.partners.wants(device, stratum, now);
        if wanted {
            comparison.partners.ask(device, stratum, now);
        }
        wanted
    }

    fn control_read(&mut self, device: &Device, values_max: usize) {
        let compared = self.indicators_compared();
        let guards = &self.release.manifest.guard[..compared];
        let Some(comparison) = &mut self.comparison else { return };
        let values = |since| guarded_values(guards, device, since);
        let Some(read) = comparison.partners.answered(device.id, values) else { return };
        let changes = guards.iter().zip(read.before.iter().zip(&read.after));
        let changes = changes
            .map(|(guard, (before, after))| Some(worsening(&guard.expect, (*before)?, (*after)?)));
        let changes: Vec<Option<i64>> = changes.collect();
        let changes = changes.into_iter();
        comparison.cohort.indicators(read.stratum, Arm::Control, changes, values_max);
    }

    /// Takes in the values of an updated device; returns the control device to be read again.
    fn updated_read(
        &mut self,
        assignment: &Assignment,
        device: &Device,
        values_max: usize,
        now: Time,
    ) -> Option<DeviceId> {
        let compared = self.indicators_compared();
        let guards = &self.release.manifest.guard[..compared];
        let stratum = self.targets.stratum_of(device.id)?;
        let comparison = self.comparison.as_mut().filter(|_| compared > 0)?;
        let after = guarded_values(guards, device, assignment.since);
        let before = assignment.baseline.iter().take(compared);
        let changes = guards
            .iter()
            .zip(before.zip(after))
            .map(|(guard, (before, after))| Some(worsening(&guard.expect, (*before)?, after?)));
        let changes: Vec<Option<i64>> = changes.collect();
        let changes = changes.into_iter();
        comparison.cohort.indicators(stratum, Arm::Updated, changes, values_max);
        comparison.partners.end(device.id, now)
    }
}
