//! Activation: generation, enforcement and regulation in turn, until nothing changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Assignment, AttemptState, DeviceId, Eligibility, Fleet, Grant, OperationId, OperationState,
    Record, StratumName, Time,
};

use super::{Loops, Run};
use crate::enforcement::{self, Demand, execute, extract, filter};
use crate::generation::{self, Place, Question, Waiting, identify, version_of};
use crate::message::{Element, Member};
use crate::{Dispatch, Event, Output};

impl Loops {
    /// Runs the loops until nothing changes. Carries no input: a signal and a timeout take the
    /// same way. Activating again at once changes nothing.
    pub fn activate(&mut self, fleet: &Fleet, now: Time) {
        self.pass_deadlines(fleet, now);
        self.pass_readings(now);
        self.pass_silences(fleet, now);
        self.settle_dirty(fleet, now);
        loop {
            self.look_again_at_stopped(fleet, now);
            self.open_compliance(fleet, now);
            self.open_undos(fleet, now);
            let mut changed = false;
            for id in self.in_turn(now) {
                while self.regulate(id, fleet, now) {
                    changed = true;
                    self.look_again_at_stopped(fleet, now);
                    self.settle_dirty(fleet, now);
                }
                if let Some(element) = self.generate(id, fleet, now) {
                    self.grant(element, fleet, now);
                    self.settle_dirty(fleet, now);
                    changed = true;
                }
                if !self.dirty.is_empty() {
                    // Who was ready and is not any more made place for the next.
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
            .flat_map(|run| [run.retry_at(), run.alarms.next(), run.conduct.next_at(run.pool())])
            .flatten()
            .chain(deadline)
            .chain(self.compliance.due.values().copied())
            .chain(self.silence_at())
            .chain(self.readings.next_end())
            .chain(self.undo_due.values().copied())
            .min()
    }

    /// Generation's reordering: whose turn it is.
    fn in_turn(&self, now: Time) -> Vec<OperationId> {
        let waiting = self
            .by_urgency
            .iter()
            .filter_map(|id| self.runs.get(id))
            .map(|run| Waiting {
                id: run.operation().id,
                urgency: run.urgency,
                opened: run.operation().opened,
                agreement: run.operation().agreement.as_ref(),
            })
            .collect();
        generation::reorder(waiting, Duration::from_secs(self.config.ageing_s), now)
    }

    /// Regulation: asks for a decision when there is an occasion, and carries it out. Says
    /// whether one was taken.
    fn regulate(&mut self, id: OperationId, fleet: &Fleet, now: Time) -> bool {
        self.look(id, fleet, now);
        let Some(run) = self.runs.get_mut(&id) else { return false };
        let pool = run.pool();
        let looks = run.conduct.evidence_course().map(|course| course.judged.look);
        let decision = run.conduct.decide(pool, now);
        let looked = run.conduct.evidence_course().map(|course| course.judged.look) != looks;
        match decision {
            Some(decision) => {
                self.carry_out(decision, now);
                true
            }
            // A look that changed nothing is kept all the same: the next one follows from it.
            None => {
                if looked {
                    self.record_operation(id);
                }
                false
            }
        }
    }

    /// Generation's decomposing: the next element of an operation at its speed, if it is time
    /// for one.
    fn generate(&mut self, id: OperationId, fleet: &Fleet, now: Time) -> Option<Element> {
        let run = self.runs.get_mut(&id)?;
        let room = run.conduct.room(run.pool(), now);
        if room == 0 {
            return None;
        }
        let Run { conduct, targets, memory, assignments, undoes, release, .. } = run;
        let operation = conduct.operation();
        let mut members: Vec<Member> = Vec::new();
        let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
        let (graph, sites, dirty) = (&self.graph, &self.sites, &mut self.dirty);
        let mut takes = |id: DeviceId| {
            let Some(device) = fleet.device(id) else { return false };
            let site = device.site.as_deref();
            let beside = site.and_then(|site| taken.get(site)).copied().unwrap_or(0);
            // Busy and reserved were looked at when the device was found ready.
            let question = Question {
                release,
                graph,
                scope: &operation.scope,
                busy: None,
                reserved: None,
                undoes: undoes.as_ref(),
                operation: Some((operation.id, &operation.policy)),
                site_devices: sites.devices(site) + beside,
                now,
            };
            let Eligibility::Eligible { path } = identify(&question, device, memory) else {
                dirty.insert(id);
                return false;
            };
            let tries = assignments.get(&id).map_or(1, |known| known.tries() + 1);
            let allowed = filter(operation.state, tries, &operation.policy.retry);
            if allowed {
                if let Some(site) = site {
                    *taken.entry(site).or_default() += 1;
                }
                members.push(Member { device: id, path });
            }
            allowed
        };
        let limits = conduct.granted_max();
        let granted_max = |stratum: &StratumName| {
            limits.as_ref().map_or(u64::MAX, |limits| limits.get(stratum).copied().unwrap_or(0))
        };
        targets.decompose(room, Some(&granted_max), &mut takes);
        (!members.is_empty()).then_some(Element { operation: operation.id, members })
    }

    /// Makes an element durable before anything of it is sent (I4).
    fn grant(&mut self, element: Element, fleet: &Fleet, now: Time) {
        let Element { operation, members } = element;
        let Some(run) = self.runs.get_mut(&operation) else { return };
        let number = run.conduct.grant(now);
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
        self.sites.enter(known);
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
            told: earlier.and_then(|earlier| earlier.told),
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
            .filter(|run| {
                !run.queued.is_empty() && run.operation().state == OperationState::Ongoing
            })
            .map(|run| {
                let manifest = &run.release.manifest;
                (run.operation().id, manifest.release.class, manifest.priority())
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
        let hop = assignment.path.first().copied().unwrap_or_else(|| run.operation().release);
        let Some(published) = self.releases.get(&hop) else { return };
        let change = Arc::clone(&published.change);
        let guards = Arc::clone(&published.guards);
        let order = execute(assignment, hop, change, guards, sent_before);
        let undoes = run.undoes.clone();
        self.outputs.push_back(Output::Dispatch(Dispatch { undoes, ..order }));
        self.reschedule(operation, device);
    }
}

impl Run {
    fn demand(&self) -> Demand {
        let queued = self.queued.len() as u64;
        Demand {
            operation: self.operation().id,
            queued,
            running: self.conduct.in_flight().saturating_sub(queued),
            parallel_max: self.operation().policy.parallel_max,
        }
    }

    fn retry_at(&self) -> Option<Time> {
        self.retries.first().map(|(until, _)| *until)
    }

    /// Where a device stands in the index.
    pub(super) fn place_of(&self, device: DeviceId) -> Place {
        self.targets.place(device)
    }
}
