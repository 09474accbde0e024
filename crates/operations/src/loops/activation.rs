//! Activation: generation, enforcement and regulation in turn, until nothing changes.

use std::sync::Arc;
use std::time::Duration;

use model::{
    Assignment, AttemptState, DeviceId, Eligibility, Fleet, Grant, Inputs, OperationId,
    OperationState, Record, Rule, Time, Verdict,
};

use super::course::course_of;
use super::{Loops, Run};
use crate::enforcement::{self, Demand, Histogram, aggregate, execute, extract, filter};
use crate::generation::{self, Place, Question, Waiting, identify, version_of};
use crate::message::{Element, Member, Speed};
use crate::regulation;
use crate::{Event, Output};

impl Loops {
    /// Runs the loops until nothing changes. Carries no input: a signal and a timeout take the
    /// same way. Activating again at once changes nothing.
    pub fn activate(&mut self, fleet: &Fleet, now: Time) {
        self.pass_deadlines(fleet, now);
        self.settle_dirty(fleet, now);
        loop {
            self.open_compliance(fleet, now);
            let mut changed = false;
            for id in self.in_turn(now) {
                while self.regulate(id, now) {
                    changed = true;
                    self.settle_dirty(fleet, now);
                }
                if let Some(element) = self.generate(id, fleet, now) {
                    self.grant(element, fleet, now);
                    self.settle_dirty(fleet, now);
                    changed = true;
                }
            }
            if self.enforce(fleet, now) {
                changed = true;
                self.settle_dirty(fleet, now);
            }
            if !changed {
                break;
            }
        }
    }

    /// The next time at which [`Loops::activate`] has something to do by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let deadline = self.deadlines.first().map(|(due, _, _)| *due);
        let operations = self.by_urgency.iter().filter_map(|id| self.runs.get(id));
        operations
            .flat_map(|run| [run.retry_at(), run.stage_at(), run.course_at(), run.idle_until()])
            .flatten()
            .chain(deadline)
            .chain(self.compliance.due.values().copied())
            .min()
    }

    /// Generation's reordering: whose turn it is.
    fn in_turn(&self, now: Time) -> Vec<OperationId> {
        let waiting = self
            .by_urgency
            .iter()
            .filter_map(|id| self.runs.get(id))
            .map(|run| Waiting {
                id: run.operation.id,
                urgency: run.urgency,
                opened: run.operation.opened,
                agreement: run.operation.agreement.as_ref(),
            })
            .collect();
        generation::reorder(waiting, Duration::from_secs(self.config.ageing_s), now)
    }

    /// Regulation: asks for a decision when there is an occasion, and carries it out. Says
    /// whether one was taken.
    fn regulate(&mut self, id: OperationId, now: Time) -> bool {
        let Some(run) = self.runs.get_mut(&id) else { return false };
        if !run.is_occasion(now) {
            return false;
        }
        run.bad_news = false;
        let inputs = run.inputs(now);
        let paused = run.operation.state == OperationState::Paused;
        let Some((verdict, reason)) = regulation::regulate(&inputs) else { return false };
        if paused && verdict != Verdict::Abort {
            return false;
        }
        let after = inputs.after;
        self.record_decision(id, verdict, reason.clone(), Some(inputs), now);
        let Some(run) = self.runs.get_mut(&id) else { return false };
        let operation = &mut run.operation;
        match verdict {
            Verdict::Start { speed } => {
                operation.speed = speed;
                if operation.policy.rule.is_peer() {
                    course_of(operation, now);
                }
                self.enter(id, OperationState::Ongoing);
                self.record_operation(id);
            }
            Verdict::Continue { phase, speed, favourable } => {
                operation.phase = phase;
                operation.speed = speed;
                operation.favourable = favourable;
                operation.element = None;
                if after.is_some_and(|after| after.attempted > 0) {
                    operation.before = after;
                }
                self.record_operation(id);
            }
            Verdict::Abort => self.end(id, OperationState::Aborted, now),
            Verdict::Finish => self.end(id, OperationState::Finished, now),
            Verdict::Allow { .. } | Verdict::Hold { .. } | Verdict::Pause | Verdict::Resume => {
                self.follow(id, verdict, &reason, now);
            }
        }
        true
    }

    /// Generation's decomposing: the next element of an operation at its speed, if it is time
    /// for one.
    fn generate(&mut self, id: OperationId, fleet: &Fleet, now: Time) -> Option<Element> {
        let run = self.runs.get_mut(&id)?;
        let speed = run.may_grant(now)?;
        let devices = run.targets.decompose(speed.devices);
        let mut members = Vec::with_capacity(devices.len());
        for id in devices {
            let Some(device) = fleet.device(id) else { continue };
            // Busy and reserved were looked at when the device was found ready.
            let question = Question {
                release: &run.release,
                graph: &self.graph,
                scope: &run.operation.scope,
                busy: None,
                reserved: None,
            };
            let verdict = identify(&question, device, &mut run.memory);
            let tries = run.assignments.get(&id).map_or(1, |known| known.tries() + 1);
            let Eligibility::Eligible { path } = verdict else { continue };
            if filter(run.operation.state, tries, &run.operation.policy.retry) {
                members.push(Member { device: id, path });
            }
        }
        let number = run.last_element + 1;
        (!members.is_empty()).then_some(Element { operation: run.operation.id, number, members })
    }

    /// Makes an element durable before anything of it is sent (I4).
    fn grant(&mut self, element: Element, fleet: &Fleet, now: Time) {
        let Element { operation, number, members } = element;
        let Some(run) = self.runs.get_mut(&operation) else { return };
        if !run.allows() {
            run.operation.element = Some(number);
            run.response_times = Histogram::default();
        }
        if let Rule::Plan { stages } = &run.operation.policy.rule {
            let stage = regulation::stage(stages, run.operation.favourable);
            run.operation.not_before = stage.map(|stage| now + stage.wait.0);
        }
        let devices: Vec<DeviceId> = members.iter().map(|member| member.device).collect();
        let count = devices.len() as u64;
        self.record_operation(operation);
        let grant = Grant { operation, element: number, devices, at: now };
        self.outputs.push_back(Output::Record(Record::Grant(grant)));
        self.tell(Event::ElementGranted { operation, element: number, devices: count });
        for member in members {
            self.assign(operation, number, member, fleet, now);
        }
    }

    fn assign(
        &mut self,
        operation: OperationId,
        element: u64,
        member: Member,
        fleet: &Fleet,
        now: Time,
    ) {
        let Member { device, path } = member;
        let (Some(run), Some(known)) = (self.runs.get(&operation), fleet.device(device)) else {
            return;
        };
        let hop = path.first().and_then(|id| self.releases.get(id));
        let earlier = run.assignments.get(&device);
        let assignment = Assignment {
            operation,
            device,
            element,
            attempt: earlier.map_or(1, |earlier| earlier.attempt + 1),
            hops: earlier.map_or(0, |earlier| earlier.hops),
            given_back: earlier.map_or(0, |earlier| earlier.given_back),
            state: AttemptState::Granted,
            // What is known by now; the values right before the change replace it.
            baseline: hop.map_or_else(Vec::new, |hop| extract(&hop.release.manifest, known)),
            path,
            version_before: match earlier {
                Some(earlier) => earlier.version_before.clone(),
                None => version_of(&run.release, known).cloned(),
            },
            warnings: 0,
            since: now,
            begun: None,
        };
        self.put(assignment, now);
    }

    /// Enforcement: reorders and queues what is granted, and starts what the server can carry.
    fn enforce(&mut self, fleet: &Fleet, now: Time) -> bool {
        let given_back = self.give_back_queued(fleet, now);
        let mut elements: Vec<_> = self
            .by_urgency
            .iter()
            .filter_map(|id| self.runs.get(id))
            .filter(|run| !run.queued.is_empty() && run.operation.state == OperationState::Ongoing)
            .map(|run| {
                let manifest = &run.release.manifest;
                (run.operation.id, manifest.release.class, manifest.priority())
            })
            .collect();
        if elements.is_empty() {
            return given_back;
        }
        enforcement::reorder(&mut elements);
        let demands: Vec<Demand> =
            elements.iter().filter_map(|(id, _, _)| self.runs.get(id)).map(Run::demand).collect();
        // What a paused operation has queued runs nowhere and takes no capacity.
        let queued: u64 = self
            .by_urgency
            .iter()
            .filter_map(|id| self.runs.get(id))
            .map(|run| run.queued.len() as u64)
            .sum();
        let running = (self.busy.len() as u64).saturating_sub(queued);
        let asking: u64 = demands.iter().map(|demand| demand.running).sum();
        let others = running.saturating_sub(asking);
        let mut started = given_back;
        for admission in enforcement::queue(&demands, others, self.config.parallel_max) {
            for _ in 0..admission.now {
                let next =
                    self.runs.get(&admission.operation).and_then(|run| run.queued.first().copied());
                let Some((_, device)) = next else { break };
                self.dispatch(admission.operation, device, false, now);
                started = true;
            }
        }
        started
    }

    /// Enforcement's execution: hands a granted device to its driver.
    pub(super) fn dispatch(
        &mut self,
        operation: OperationId,
        device: DeviceId,
        sent_before: bool,
        now: Time,
    ) {
        let Some(run) = self.runs.get_mut(&operation) else { return };
        run.unqueue(device);
        if let Some(watch) = run.watches.get_mut(&device) {
            watch.heard = now;
        }
        let Some(assignment) = run.assignments.get(&device) else { return };
        let hop = assignment.path.first().copied().unwrap_or(run.operation.release);
        let Some(published) = self.releases.get(&hop) else { return };
        let change = Arc::clone(&published.change);
        let guards = Arc::clone(&published.guards);
        let order = execute(assignment, hop, change, guards, sent_before);
        self.outputs.push_back(Output::Dispatch(order));
        self.reschedule(operation, device);
    }
}

impl Run {
    /// Whether regulation is due: a pending operation with targets, an element that ended, bad
    /// news in the middle of one, or nothing left to do.
    fn is_occasion(&self, now: Time) -> bool {
        let operation = &self.operation;
        let linger_over = || self.idle_until().is_some_and(|until| until <= now);
        match (operation.state, operation.element) {
            (OperationState::Pending, _) => self.targets.ready() > 0 || linger_over(),
            (OperationState::Ongoing, _) if self.allows() => self.is_course_occasion(now),
            (OperationState::Ongoing, Some(element)) => {
                self.bad_news || self.ledger.is_settled(element)
            }
            (OperationState::Ongoing, None) => {
                let left = self.targets.ready() + self.targets.waiting();
                left == 0 || linger_over()
            }
            (OperationState::Paused, _) => self.bad_news,
            (OperationState::Aborted | OperationState::Finished, _) => false,
        }
    }

    fn inputs(&self, now: Time) -> Inputs {
        let operation = &self.operation;
        let tracking = aggregate(
            &self.ledger,
            operation.element,
            operation.policy.window_devices_min,
            self.response_times.median_us(),
        );
        Inputs {
            counts: self.counts(),
            phase: operation.phase,
            speed: operation.speed,
            favourable: operation.favourable,
            before: operation.before,
            after: tracking.after,
            window: tracking.window,
            artifact_fault: tracking.artifact_fault,
            policy: operation.policy.clone(),
            standing: self.standing(now),
            evidence: None,
        }
    }

    /// What regulation allows now: one element at a time, at the decided speed.
    fn may_grant(&self, now: Time) -> Option<Speed> {
        let operation = &self.operation;
        let allows = self.allows();
        let devices = if allows { self.room() } else { operation.speed };
        let speed = Speed { devices, not_before: operation.not_before };
        let due = speed.not_before.is_none_or(|at| at <= now);
        let free = operation.state == OperationState::Ongoing
            && if allows { devices > 0 } else { operation.element.is_none() };
        (free && due && self.targets.ready() > 0).then_some(speed)
    }

    fn demand(&self) -> Demand {
        let queued = self.queued.len() as u64;
        Demand {
            operation: self.operation.id,
            queued,
            running: self.ledger.in_flight().saturating_sub(queued),
            parallel_max: self.operation.policy.parallel_max,
        }
    }

    fn retry_at(&self) -> Option<Time> {
        self.retries.first().map(|(until, _)| *until)
    }

    /// When a fixed plan's next stage may begin.
    fn stage_at(&self) -> Option<Time> {
        let operation = &self.operation;
        let waits = operation.state == OperationState::Ongoing
            && operation.element.is_none()
            && self.targets.ready() > 0;
        operation.not_before.filter(|_| waits)
    }

    /// When an operation that has nothing to do but wait was waited for long enough. A device
    /// that is to be tried again is worth waiting for in any case.
    pub(super) fn idle_until(&self) -> Option<Time> {
        let operation = &self.operation;
        let idle = matches!(operation.state, OperationState::Pending | OperationState::Ongoing)
            && operation.element.is_none()
            && self.ledger.in_flight() == 0
            && self.targets.ready() == 0
            && self.retries.is_empty();
        idle.then(|| operation.last_progress + operation.policy.linger.0)
    }

    /// Where a device stands in the index.
    pub(super) fn place_of(&self, device: DeviceId) -> Place {
        self.targets.place(device)
    }
}
