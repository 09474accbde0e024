//! Orders from people: publish, open, pause, resume, abort.

use std::sync::Arc;

use model::{
    Fleet, Manifest, Operation, OperationId, Origin, Policy, Reason, Record, Release, ReleaseId,
    Scope, Time,
};

use super::{Loops, Published, Run};
use crate::enforcement::{change, guards};
use crate::{Conduct, Event, OpenError, OpenRequest, OrderError, Output, PublishError};

impl Loops {
    /// Publishes a release and, when a policy is given, opens its operation on the whole fleet
    /// (paper A §III-D, firmware and configuration notifications). `seed` decides the order of
    /// the devices.
    ///
    /// # Errors
    /// [`PublishError`] when the name and version exist, or the operation cannot be opened;
    /// nothing is published then.
    pub fn publish(
        &mut self,
        manifest: Manifest,
        by: &str,
        start: Option<Policy>,
        fleet: &Fleet,
        seed: u64,
        now: Time,
    ) -> Result<(ReleaseId, Option<OperationId>), PublishError> {
        let section = &manifest.release;
        if let Some(release) = self.graph.find(&section.name, &section.version) {
            let (name, version) = (section.name.clone(), section.version.clone());
            return Err(PublishError::Exists { name, version, release });
        }
        let start = start.map(|policy| self.may_open(policy, &Scope::Fleet, fleet)).transpose()?;
        let id = ReleaseId(self.releases.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        let release =
            Release { id, manifest: Arc::new(manifest), published: now, by: by.to_owned() };
        self.insert_release(release.clone());
        self.outputs.push_back(Output::Record(Record::Release(release.clone())));
        self.tell(Event::Published { release: id });
        self.look_again_at_paths(&release, fleet, now);
        let operation = start.map(|policy| {
            let request = OpenRequest {
                release: id,
                scope: Scope::Fleet,
                policy,
                origin: Origin::Release,
                agreement: None,
            };
            self.insert_operation(request, release, fleet, seed, now)
        });
        Ok((id, operation))
    }

    /// Opens an operation; `seed` decides the order of its devices.
    ///
    /// # Errors
    /// [`OpenError`] says what would make the request acceptable.
    pub fn open(
        &mut self,
        request: OpenRequest,
        fleet: &Fleet,
        seed: u64,
        now: Time,
    ) -> Result<OperationId, OpenError> {
        let mut request = request;
        let release = self
            .releases
            .get(&request.release)
            .map(|published| published.release.clone())
            .ok_or(OpenError::UnknownRelease(request.release))?;
        if let Scope::Picked { devices } = &mut request.scope {
            devices.sort_unstable();
            devices.dedup();
        }
        request.policy = self.may_open(request.policy, &request.scope, fleet)?;
        let same = |run: &&Run| {
            run.operation().release == release.id && run.operation().scope == Scope::Fleet
        };
        let open = self.by_urgency.iter().filter_map(|id| self.runs.get(id)).find(same);
        if let (Scope::Fleet, Some(run)) = (&request.scope, open) {
            return Err(OpenError::AlreadyOpen {
                release: release.id,
                operation: run.operation().id,
            });
        }
        Ok(self.insert_operation(request, release, fleet, seed, now))
    }

    /// Stops an operation for a while: no new device is started, those in flight complete.
    ///
    /// # Errors
    /// [`OrderError`] when it does not exist, has ended or is paused already.
    pub fn pause(
        &mut self,
        operation: OperationId,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), OrderError> {
        let decision = self.run(operation)?.conduct.pause(ordered(by, words), now)?;
        self.carry_out(decision, now);
        Ok(())
    }

    /// Lets a paused operation go on.
    ///
    /// # Errors
    /// [`OrderError`] when it does not exist, has ended or is not paused.
    pub fn resume(
        &mut self,
        operation: OperationId,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), OrderError> {
        let decision = self.run(operation)?.conduct.resume(ordered(by, words), now)?;
        self.carry_out(decision, now);
        Ok(())
    }

    /// Stops an operation for good (I5): whoever was not told to install yet is taken back at
    /// once, also from the middle of a transfer; what was told may complete.
    ///
    /// # Errors
    /// [`OrderError`] when it does not exist or has ended.
    pub fn abort(
        &mut self,
        operation: OperationId,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), OrderError> {
        let run = self.run(operation)?;
        let pool = run.pool();
        let decision = run.conduct.abort(ordered(by, words), pool, now)?;
        self.carry_out(decision, now);
        Ok(())
    }

    pub(super) fn insert_release(&mut self, release: Release) {
        self.minds_age |= release.manifest.requires.max_age.is_some();
        self.graph.insert(release.id, Arc::clone(&release.manifest));
        let change = Arc::new(change(&release.manifest));
        let guards = guards(&release.manifest);
        self.releases.insert(release.id, Published { release, change, guards });
    }

    /// Opens an operation that nothing speaks against.
    pub(super) fn insert_operation(
        &mut self,
        request: OpenRequest,
        release: Release,
        fleet: &Fleet,
        seed: u64,
        now: Time,
    ) -> OperationId {
        let id = self.next_operation();
        let operation = Operation {
            origin: request.origin,
            scope: request.scope,
            agreement: request.agreement,
            ..Operation::new(id, release.id, request.policy, seed, now)
        };
        let undoes = self.undone_version(&operation.origin);
        let run = Run { undoes, ..Run::new(Conduct::new(operation), release.clone()) };
        self.runs.insert(id, run);
        self.sort_by_urgency();
        self.record_operation(id);
        self.tell(Event::OperationOpened { operation: id, release: release.id });
        self.identify_fleet(id, fleet, now);
        id
    }

    pub(super) fn next_operation(&self) -> OperationId {
        OperationId(self.runs.last_key_value().map_or(1, |(last, _)| last.0 + 1))
    }

    pub(super) fn sort_by_urgency(&mut self) {
        let mut open: Vec<_> = self
            .runs
            .values()
            .filter(|run| !run.operation().state.is_final())
            .map(|run| (run.urgency, run.operation().id))
            .collect();
        open.sort_unstable();
        self.by_urgency = open.into_iter().map(|(_, id)| id).collect();
    }

    /// Checks what every operation needs; returns the policy when it is usable.
    pub(super) fn may_open(
        &self,
        policy: Policy,
        scope: &Scope,
        fleet: &Fleet,
    ) -> Result<Policy, OpenError> {
        let open = self.by_urgency.len();
        if open >= self.config.operations_open_max {
            return Err(OpenError::TooManyOpen { open });
        }
        self.usable(policy, scope, fleet)
    }

    pub(super) fn usable(
        &self,
        policy: Policy,
        scope: &Scope,
        fleet: &Fleet,
    ) -> Result<Policy, OpenError> {
        let policy = policy.validated().map_err(OpenError::Policy)?;
        if let Scope::Picked { devices } = scope {
            let (named, max) = (devices.len(), self.config.devices_picked_max);
            if named == 0 {
                return Err(OpenError::NoDevices);
            }
            if named > max {
                return Err(OpenError::TooManyDevices { named, max });
            }
            if let Some(unknown) = devices.iter().find(|id| fleet.device(**id).is_none()) {
                return Err(OpenError::UnknownDevice(*unknown));
            }
        }
        Ok(policy)
    }

    fn run(&mut self, operation: OperationId) -> Result<&mut Run, OrderError> {
        self.runs.get_mut(&operation).ok_or(OrderError::UnknownOperation(operation))
    }
}

fn ordered(by: &str, words: &str) -> Reason {
    Reason::Operator { by: by.to_owned(), words: words.to_owned() }
}
