//! Devices that fail again and again are left alone until somebody has looked at them.

use model::{AttemptState, DeviceId, OperationId, OperationState};

use super::evidence::says_something;
use super::{Loops, Run};
use crate::Output;

impl Loops {
    /// Puts devices into quarantine that failed in too many operations in a row, now that one
    /// more has finished.
    pub(super) fn quarantine(&mut self, operation: OperationId) {
        let limit = self.config.quarantine_after;
        let Some(run) = self.runs.get(&operation).filter(|run| limit > 0 && run.tells_of_devices())
        else {
            return;
        };
        let failed = run.assignments.keys().copied();
        let failed: Vec<DeviceId> =
            failed.filter(|device| run.failed_on(*device) == Some(true)).collect();
        for device in failed {
            let failures = self.failures_in_a_row(device);
            if failures >= limit {
                let reason = format!("the last {failures} operations failed on it");
                self.outputs.push_back(Output::Quarantine { device, reason });
            }
        }
    }

    /// Operations that failed on a device since the last one that did not.
    fn failures_in_a_row(&self, device: DeviceId) -> u32 {
        let telling = self.runs.values().rev().filter(|run| run.tells_of_devices());
        let outcomes = telling.filter_map(|run| run.failed_on(device));
        u32::try_from(outcomes.take_while(|failed| *failed).count()).unwrap_or(u32::MAX)
    }
}

impl Run {
    /// Whether its failures are those of devices: what was stopped, even in part, says something
    /// about the change.
    fn tells_of_devices(&self) -> bool {
        self.operation().state == OperationState::Finished && self.stopped_strata().is_empty()
    }

    /// Whether the operation failed on a device; none when it did not come so far, or the device
    /// was out of reach.
    fn failed_on(&self, device: DeviceId) -> Option<bool> {
        match &self.assignments.get(&device)?.state {
            AttemptState::Succeeded => Some(false),
            AttemptState::Failed { fault } => says_something(fault.kind).then_some(true),
            AttemptState::Silent => Some(true),
            _ => None,
        }
    }
}
