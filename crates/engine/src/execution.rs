//! Attempts under way: from a dispatch to the procedure that carries it out.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coap::RequestId;
use fleet::{ConfigurationWrite, FirmwareUpdate, Output as Wanted, Procedure, Standing};
use model::{
    Assignment, AttemptState, Change, DeviceId, EndpointName, Intent, OperationId, Progress,
    Record, ReleaseId, ResourcePath, Snapshot, Step, Time, Version,
};
use operations::{Dispatch, Output};

use crate::machine::{Pending, Purpose};
use crate::{Engine, Event};

/// An effect that waits for its records.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Begin an attempt: its grant is durable.
    Dispatch(Dispatch),
    /// Send a step: its intent is durable.
    Committed { operation: OperationId, device: DeviceId, attempt: u32, step: Step },
}

/// An attempt under way on one device.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) operation: OperationId,
    pub(crate) attempt: u32,
    pub(crate) release: ReleaseId,
    pub(crate) procedure: Procedure,
}

/// Committed intents of attempts in flight, by operation, device and release.
pub(crate) type Intents = BTreeMap<(OperationId, DeviceId, ReleaseId), Standing>;

impl Engine {
    /// Reads the intents of attempts that were in flight.
    pub(crate) fn intents_of(&mut self, snapshot: &Snapshot) {
        let tries: BTreeMap<(OperationId, DeviceId), u32> = snapshot
            .assignments
            .iter()
            .map(|known| ((known.operation, known.device), known.attempt))
            .collect();
        for intent in &snapshot.intents {
            let current = tries.get(&(intent.operation, intent.device)) == Some(&intent.attempt);
            if intent.step == Step::Install && !current {
                continue;
            }
            let key = (intent.operation, intent.device, intent.release);
            self.intents.entry(key).or_default().intents.insert(intent.step);
        }
    }

    /// Takes an output of the loops.
    pub(crate) fn handle_output(&mut self, output: Output, now: Time) {
        match output {
            Output::Record(record) => self.record(record, now),
            Output::Dispatch(dispatch) => self.when_durable(Effect::Dispatch(dispatch), now),
            Output::Probe { operation, device, attempt } => {
                if self.is_running(device, operation, attempt) {
                    self.step(device, now, |procedure| procedure.probe(now));
                }
            }
            Output::ProbeSilent { device } => self.probe_silent(device, now),
            Output::ReadGuards { device, guards } => self.read_guards(device, &guards, now),
            Output::Recall { operation, device, attempt } => {
                if self.is_running(device, operation, attempt) {
                    self.stop(device, now);
                }
            }
            Output::Quarantine { device, reason } => self.quarantine(device, reason, now),
            Output::Event(event) => self.events.push_back(Event::Operation(event)),
        }
    }

    fn record(&mut self, record: Record, now: Time) {
        match &record {
            Record::Assignment(assignment) if assignment.state.is_settled() => {
                self.settled(assignment, now);
            }
            // What soaks is judged by its row once the time is over, perhaps after a crash.
            Record::Assignment(assignment) if assignment.state == AttemptState::Soaking => {
                self.flush_device(assignment.device);
            }
            // After a crash the row must not show less than the outcome that rests on it.
            Record::Outcome(outcome) => self.flush_device(outcome.device),
            _ => {}
        }
        self.outbox.record(record);
    }

    fn settled(&mut self, assignment: &Assignment, now: Time) {
        if self.is_running(assignment.device, assignment.operation, assignment.attempt) {
            self.stop(assignment.device, now);
        }
        let (operation, device) = (assignment.operation, assignment.device);
        let (first, last) = (ReleaseId(0), ReleaseId(u64::MAX));
        if assignment.state.is_final() {
            let range = (operation, device, first)..=(operation, device, last);
            let over: Vec<_> = self.intents.range(range).map(|(key, _)| *key).collect();
            for key in over {
                self.intents.remove(&key);
            }
        } else {
            // The next try reads first and may install; what was transferred may still be there.
            let range = (operation, device, first)..=(operation, device, last);
            for (_, standing) in self.intents.range_mut(range) {
                standing.intents.remove(&Step::Install);
            }
        }
    }

    /// Ends an attempt on this side; nothing of it leaves any more.
    fn stop(&mut self, device: DeviceId, now: Time) {
        if let Some(run) = self.running.remove(&device) {
            self.take_back(device, run.operation, run.attempt, now);
        }
        self.schedule(device);
    }

    pub(crate) fn is_running(
        &self,
        device: DeviceId,
        operation: OperationId,
        attempt: u32,
    ) -> bool {
        self.running
            .get(&device)
            .is_some_and(|run| run.operation == operation && run.attempt == attempt)
    }

    fn when_durable(&mut self, effect: Effect, now: Time) {
        if let Some(effect) = self.outbox.hold(effect) {
            self.perform(effect, now);
        }
    }

    /// Does what waited for its records.
    pub(crate) fn perform(&mut self, effect: Effect, now: Time) {
        match effect {
            Effect::Dispatch(dispatch) => self.begin(dispatch, now),
            Effect::Committed { operation, device, attempt, step } => {
                if self.is_running(device, operation, attempt) {
                    self.step(device, now, |procedure| procedure.handle_committed(step, now));
                }
            }
        }
    }

    /// Begins an attempt. One change at a time (I1): not before an operator's order to the
    /// device that changes it is answered.
    pub(crate) fn begin(&mut self, dispatch: Dispatch, now: Time) {
        if self.orders_changing.contains_key(&dispatch.device) {
            self.delayed.insert(dispatch.device, dispatch);
            return;
        }
        let Dispatch { operation, device, attempt, release, change, guards, undoes, resume } =
            dispatch;
        // The grant may have been taken back while it was being committed.
        let granted = self.loops.assignment(operation, device).is_some_and(|assignment| {
            assignment.attempt == attempt && assignment.state.is_in_flight()
        });
        if !granted {
            return;
        }
        let standing = if resume {
            self.intents.get(&(operation, device, release)).cloned().unwrap_or_default()
        } else {
            Standing::default()
        };
        let token = token(operation, device, attempt);
        let procedure = self.procedure(&change, &guards, undoes, &token, standing);
        self.running.insert(device, Running { operation, attempt, release, procedure });
        self.step(device, now, |procedure| procedure.start(now));
    }

    fn procedure(
        &self,
        change: &Change,
        guards: &[ResourcePath],
        undoes: Option<Version>,
        token: &str,
        standing: Standing,
    ) -> Procedure {
        match change {
            Change::Firmware(goal) => {
                let uri = format!(
                    "coap://{}{}/{token}",
                    self.config.public_address,
                    fleet::firmware_path(&goal.sha256)
                );
                let update = FirmwareUpdate::new(goal.clone(), uri, self.config.pace, standing);
                Procedure::Firmware(update.guarding(guards).undoing(undoes))
            }
            Change::Configuration { writes, version } => {
                let write = ConfigurationWrite::new(writes, version.clone(), self.config.pace);
                Procedure::Configuration(write.guarding(guards))
            }
        }
    }

    /// Feeds the procedure of a device, if it has one, and does what it wants.
    pub(crate) fn step(&mut self, device: DeviceId, now: Time, feed: impl FnOnce(&mut Procedure)) {
        let Some(run) = self.running.get_mut(&device) else { return };
        feed(&mut run.procedure);
        let (operation, attempt, release) = (run.operation, run.attempt, run.release);
        let mut wanted = Vec::new();
        while let Some(output) = run.procedure.poll_output() {
            wanted.push(output);
        }
        for output in wanted {
            match output {
                Wanted::Ask(ask) => {
                    let purpose = Purpose::Procedure { operation, attempt };
                    self.ask(Pending { device, ask, purpose });
                }
                // I5: nothing new begins for an operation that has ended, and nothing that was
                // transferred is installed for it.
                Wanted::Intend(_) if self.has_ended(operation) => {
                    self.loops.withdraw(operation, device, attempt, now);
                    self.must_activate = true;
                    break;
                }
                Wanted::Intend(step) => {
                    let intent = Intent { operation, device, attempt, release, step, at: now };
                    let key = (operation, device, release);
                    self.intents.entry(key).or_default().intents.insert(step);
                    self.outbox.record(Record::Intent(intent));
                    self.hold_intent(operation, device, attempt, step);
                }
                Wanted::Progress(progress) => {
                    self.confirm_configuration(device, release, &progress, now);
                    self.report(operation, device, attempt, progress, now);
                }
            }
        }
        self.schedule(device);
    }

    fn has_ended(&self, operation: OperationId) -> bool {
        self.loops.operation(operation).is_none_or(|known| known.state.is_final())
    }

    /// An intent was just recorded, so its effect always waits for at least that batch.
    fn hold_intent(&mut self, operation: OperationId, device: DeviceId, attempt: u32, step: Step) {
        let effect = Effect::Committed { operation, device, attempt, step };
        let held = self.outbox.hold(effect);
        debug_assert!(held.is_none(), "an intent is durable before its effect");
    }

    fn report(
        &mut self,
        operation: OperationId,
        device: DeviceId,
        attempt: u32,
        progress: Progress,
        now: Time,
    ) {
        self.loops.report(operation, device, attempt, progress, &self.fleet, now);
        self.must_activate = true;
    }

    /// A configuration leaves no version on the device, so what was read back is kept here.
    fn confirm_configuration(
        &mut self,
        device: DeviceId,
        release: ReleaseId,
        progress: &Progress,
        now: Time,
    ) {
        if !matches!(progress, Progress::Reported { .. } | Progress::Unchanged) {
            return;
        }
        let Some(release) = self.loops.release(release).filter(|r| !r.manifest.is_firmware())
        else {
            return;
        };
        let section = &release.manifest.release;
        let (name, version) = (section.name.to_string(), section.version.clone());
        if let Some(known) = self.fleet.device_mut(device) {
            known.configurations.insert(name, version);
            self.mark(device, now);
        }
    }

    /// The device that fetches an image: the one its path names while it is to have that image,
    /// else the one registered at that address. Some clients fetch from a port of their own.
    pub(crate) fn puller(
        &self,
        peer: SocketAddr,
        path: &str,
        token: Option<&str>,
    ) -> Option<DeviceId> {
        let named = token.and_then(device_of).filter(|device| self.is_to_fetch(*device, path));
        named.or_else(|| {
            let registration = self.registry.by_peer(peer)?;
            let name = EndpointName::new(registration.endpoint().as_str()).ok()?;
            self.names.get(&name).copied()
        })
    }

    /// Whether the attempt under way on a device brings the image of that path. An earlier try's
    /// transfer may go on in the next, so the image counts and not the try.
    fn is_to_fetch(&self, device: DeviceId, path: &str) -> bool {
        let release = self.running.get(&device).and_then(|run| self.loops.release(run.release));
        release.is_some_and(|release| {
            let mut images = release.manifest.artifact.iter();
            images.any(|image| fleet::firmware_path(&image.sha256) == path)
        })
    }

    /// A pulling device fetched up to `bytes` of its image.
    pub(crate) fn image_moved(&mut self, device: DeviceId, bytes: usize, now: Time) {
        self.contact(device, now);
        self.moved(device, bytes, now);
    }

    /// A pushed image was acknowledged up to `bytes`.
    pub(crate) fn push_moved(&mut self, id: RequestId, bytes: usize, now: Time) {
        let Some(pending) = self.asks.get(&id) else { return };
        let device = pending.device;
        if matches!(pending.ask, fleet::Ask::Package(_)) {
            self.contact(device, now);
            self.moved(device, bytes, now);
        }
    }

    fn moved(&mut self, device: DeviceId, bytes: usize, now: Time) {
        let Some(run) = self.running.get(&device) else { return };
        let (operation, attempt) = (run.operation, run.attempt);
        let progress = Progress::Transferring { bytes: bytes as u64 };
        self.report(operation, device, attempt, progress, now);
    }
}

/// The last part of the path under which one attempt fetches its image. It names the device
/// whatever address it fetches from, and is no secret.
fn token(operation: OperationId, device: DeviceId, attempt: u32) -> String {
    format!("{:x}-{:x}-{attempt:x}", operation.0, device.0)
}

/// The device that a [`token`] names.
fn device_of(token: &str) -> Option<DeviceId> {
    let device = token.split('-').nth(1)?;
    u64::from_str_radix(device, 16).ok().map(DeviceId)
}
