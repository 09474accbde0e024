//! Going on after a restart, from nothing but what is durable.

use std::collections::BTreeSet;

use model::{AttemptState, DeviceId, Fleet, OperationId, ReleaseId, Snapshot, Step, Time};

use super::{Loops, Run};
use crate::{Conduct, Config};

/// An intent that names an attempt and the release it installs.
type Begun = BTreeSet<(OperationId, DeviceId, u32, ReleaseId)>;

impl Loops {
    /// Builds the state in which the loops were before they stopped, and orders every attempt
    /// that may have reached its device to be read back ([`crate::Dispatch`] with `resume`).
    ///
    /// Times in which a device must prove itself go on, with a probe of full length at their
    /// end; those that ran out meanwhile and times without progress start again, so that a long
    /// stop of the server is not taken for the silence of its devices (I17).
    #[must_use]
    pub fn restore(config: Config, snapshot: &Snapshot, fleet: &Fleet, now: Time) -> Self {
        let mut loops = Self::new(config);
        for release in &snapshot.releases {
            loops.insert_release(release.clone());
        }
        for operation in &snapshot.operations {
            let Some(published) = loops.releases.get(&operation.release) else { continue };
            let mut conduct = Conduct::restored(operation.clone());
            let looks = snapshot.looks.iter().filter(|look| look.operation == operation.id);
            looks.for_each(|look| conduct.look(look));
            let run = Run::new(conduct, published.release.clone());
            loops.runs.insert(operation.id, run);
        }
        for operation in &snapshot.operations {
            let undoes = loops.undone_version(&operation.origin);
            if let Some(run) = loops.runs.get_mut(&operation.id) {
                run.undoes = undoes;
            }
        }
        for assignment in &snapshot.assignments {
            let Some(run) = loops.runs.get_mut(&assignment.operation) else { continue };
            run.keep(assignment, now);
            if assignment.state.is_in_flight() {
                loops.busy.insert(assignment.device, assignment.operation);
                if let Some(device) = fleet.device(assignment.device) {
                    loops.sites.enter(device);
                }
            }
        }
        loops.restore_failed(snapshot);
        for operation in &snapshot.operations {
            loops.learn(operation.id, |_, device| {
                let hardware = fleet.device(device).and_then(|known| known.hardware.as_deref());
                hardware.unwrap_or("").to_owned()
            });
        }
        loops.sort_by_urgency();
        loops.refresh_standards();
        loops.refresh_stopped();
        loops.resume_in_flight(snapshot, now);
        loops.paths_changed = false;
        loops.dirty.extend(fleet.iter().map(|device| device.id));
        loops.settle_dirty(fleet, now);
        loops.restore_comparisons(snapshot, fleet, now);
        for operation in &snapshot.operations {
            loops.expect_undo(operation.id, now);
            loops.freeze_again(operation.id, now);
        }
        loops.compliance.sweep = false;
        loops
    }

    /// Finds who failed for good, in the order in which it happened: a later success counts.
    fn restore_failed(&mut self, snapshot: &Snapshot) {
        let mut settled: Vec<_> = snapshot
            .assignments
            .iter()
            .filter(|known| known.state.is_final() && known.state != AttemptState::Cancelled)
            .collect();
        settled.sort_by_key(|known| known.since);
        for known in settled {
            if known.state == AttemptState::Succeeded {
                self.absolve(known.operation, known.device);
            } else if let Some(run) = self.runs.get(&known.operation) {
                self.compliance.failed.insert((run.operation().release, known.device));
            }
        }
    }

    fn resume_in_flight(&mut self, snapshot: &Snapshot, now: Time) {
        let begun: Begun = snapshot
            .intents
            .iter()
            .map(|intent| (intent.operation, intent.device, intent.attempt, intent.release))
            .collect();
        for intent in snapshot.intents.iter().filter(|intent| intent.step == Step::Install) {
            let Some(run) = self.runs.get_mut(&intent.operation) else { continue };
            let known = run.assignments.get(&intent.device);
            let told = known.is_some_and(|known| {
                known.attempt == intent.attempt && known.path.first() == Some(&intent.release)
            });
            if let Some(watch) = run.watches.get_mut(&intent.device) {
                watch.told |= told;
            }
        }
        let in_flight: Vec<(DeviceId, OperationId)> =
            self.busy.iter().map(|(device, operation)| (*device, *operation)).collect();
        for (device, operation) in in_flight {
            let Some(run) = self.runs.get(&operation) else { continue };
            let Some(mut assignment) = run.assignments.get(&device).cloned() else { continue };
            let hop = assignment.path.first().copied().unwrap_or_else(|| run.operation().release);
            let sent = begun.contains(&(operation, device, assignment.attempt, hop));
            match assignment.state {
                // Its turn comes again in the queue; nothing was sent.
                AttemptState::Granted if !sent => self.reschedule(operation, device),
                AttemptState::Granted => {
                    assignment.state = AttemptState::Sent;
                    assignment.since = now;
                    self.put(assignment, now);
                    self.dispatch(operation, device, true, now);
                }
                _ => self.dispatch(operation, device, true, now),
            }
        }
    }
}
