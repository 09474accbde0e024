//! Silence: who has not been heard for too long, and the probe before it counts.

use std::time::Duration;

use model::{Device, DeviceId, Fleet, HealthEventKind, OperationId, Presence, Time};

use super::Loops;
use crate::Output;

impl Loops {
    /// Looks at the devices whose silence has lasted long enough. Each is probed once, the same for
    /// both arms, and has fallen silent when it does not answer in time. A device that sleeps
    /// cannot hear a probe, so that its deadline alone counts.
    ///
    /// When too many are probed already, the others wait for their turn: an outage of the network
    /// makes no storm.
    pub(super) fn pass_silences(&mut self, fleet: &Fleet, now: Time) {
        while let Some(device) = self.probes.pop_over(now) {
            self.fell_silent(device, fleet, now);
        }
        for id in self.by_urgency.clone() {
            while let Some(due) = self.next_silence(id, now) {
                let Some(known) = fleet.device(due) else {
                    self.wait_for(id, due, None);
                    continue;
                };
                let deadline = self.silence_due(id, known);
                let until = match deadline {
                    Some(deadline) if deadline > now => Some(deadline),
                    None => None,
                    Some(_) if known.presence == Presence::Asleep => {
                        self.silence(id, due);
                        None
                    }
                    Some(_) => match self.probes.until(due) {
                        Some(until) => Some(until),
                        None if self.probes.open() < self.config.probes_max.max(1) => {
                            Some(self.probe_silent(due, now))
                        }
                        None => break,
                    },
                };
                self.wait_for(id, due, until);
            }
        }
    }

    /// A probe that [`Output::ProbeSilent`] asked for was answered, or cannot be. The contact that
    /// an answer is was told before.
    pub fn silent_probed(&mut self, device: DeviceId, answered: bool, fleet: &Fleet, now: Time) {
        if self.probes.answered(device) && !answered {
            self.fell_silent(device, fleet, now);
        }
    }

    /// A device did not answer its probe: it has fallen silent wherever its deadline has passed.
    fn fell_silent(&mut self, device: DeviceId, fleet: &Fleet, now: Time) {
        let Some(known) = fleet.device(device) else { return };
        for id in self.by_urgency.clone() {
            if self.silence_due(id, known).is_some_and(|due| due <= now) {
                self.silence(id, device);
            }
        }
    }

    fn silence(&mut self, id: OperationId, device: DeviceId) {
        let comparison = self.runs.get_mut(&id).and_then(|run| run.comparison.as_mut());
        if let Some(comparison) = comparison {
            comparison.cohort.event(device, HealthEventKind::Silence);
        }
    }

    fn probe_silent(&mut self, device: DeviceId, now: Time) -> Time {
        // At least a second, so that looking again at what is due comes to an end.
        let until = now + self.config.probe().max(Duration::from_secs(1));
        self.probes.ask(device, until);
        self.outputs.push_back(Output::ProbeSilent { device });
        until
    }

    /// When a device counts as silent in an operation, if nothing is heard of it until then.
    fn silence_due(&self, id: OperationId, device: &Device) -> Option<Time> {
        let run = self.runs.get(&id)?;
        let since = run.comparison.as_ref()?.since;
        let rule = run.operation().policy.rule.evidence()?;
        let deadline = self.experience.deadline(device, rule.silence_min.0);
        Some(device.last_seen.max(since) + deadline)
    }

    fn next_silence(&mut self, id: OperationId, now: Time) -> Option<DeviceId> {
        self.runs.get_mut(&id)?.comparison.as_mut()?.cohort.first_due(now)
    }

    fn wait_for(&mut self, id: OperationId, device: DeviceId, until: Option<Time>) {
        let comparison = self.runs.get_mut(&id).and_then(|run| run.comparison.as_mut());
        if let Some(comparison) = comparison {
            comparison.cohort.wait_from_first(device, until);
        }
    }

    /// When silence must be looked at next.
    pub(super) fn silence_at(&self) -> Option<Time> {
        let over = self.probes.next_end();
        if self.probes.open() >= self.config.probes_max.max(1) {
            return over;
        }
        let runs = self.by_urgency.iter().filter_map(|id| self.runs.get(id));
        let due = runs.filter_map(|run| run.comparison.as_ref()?.cohort.next_due());
        due.chain(over).min()
    }
}
