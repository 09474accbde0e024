//! The post office: owns the states of the three loops and carries their messages.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::{
    Assignment, Check, Counts, Device, DeviceId, Eligibility, Exclusion, Fleet, Manifest,
    Operation, OperationId, Policy, Release, ReleaseId, Scope, Snapshot, Time,
};

use crate::{
    Config, OpenError, OpenRequest, OrderError, Output, Plan, Planned, Progress, PublishError,
};

/// The three loops of one server with all their operations.
///
/// One mutation, then drain: after any call that takes `&mut self`, call [`Loops::activate`],
/// then [`Loops::poll_output`] until it returns none, then wait until [`Loops::poll_timeout`].
#[derive(Debug)]
pub struct Loops {
    config: Config,
    outputs: VecDeque<Output>,
}

impl Loops {
    /// Starts without any release or operation.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, outputs: VecDeque::new() }
    }
    /// Goes on from what is durable.
    #[must_use]
    pub fn restore(config: Config, _snapshot: &Snapshot, _fleet: &Fleet, _now: Time) -> Self {
        Self::new(config)
    }
    /// Publishes a release and, when a policy is given, opens its operation on the whole fleet.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish(
        &mut self,
        _manifest: Manifest,
        _by: &str,
        _start: Option<Policy>,
        _fleet: &Fleet,
        _seed: u64,
        _now: Time,
    ) -> Result<(ReleaseId, Option<OperationId>), PublishError> {
        Ok((ReleaseId(1), None))
    }
    /// Opens an operation.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        &mut self,
        request: OpenRequest,
        _fleet: &Fleet,
        _seed: u64,
        _now: Time,
    ) -> Result<OperationId, OpenError> {
        Err(OpenError::UnknownRelease(request.release))
    }
    /// Says what an operation would meet.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn plan(
        &self,
        _of: Planned<'_>,
        _scope: &Scope,
        _policy: &Policy,
        _fleet: &Fleet,
        _now: Time,
    ) -> Result<Plan, OpenError> {
        Ok(Plan::default())
    }
    /// Pauses.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn pause(
        &mut self,
        operation: OperationId,
        _by: &str,
        _words: &str,
        _now: Time,
    ) -> Result<(), OrderError> {
        Err(OrderError::UnknownOperation(operation))
    }
    /// Resumes.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn resume(
        &mut self,
        operation: OperationId,
        _by: &str,
        _words: &str,
        _now: Time,
    ) -> Result<(), OrderError> {
        Err(OrderError::UnknownOperation(operation))
    }
    /// Aborts.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn abort(
        &mut self,
        operation: OperationId,
        _by: &str,
        _words: &str,
        _now: Time,
    ) -> Result<(), OrderError> {
        Err(OrderError::UnknownOperation(operation))
    }
    /// A device is new, returned, or one of its values changed.
    pub fn device_changed(&mut self, _device: DeviceId, _fleet: &Fleet, _now: Time) {}
    /// A driver reports on an attempt.
    pub fn report(
        &mut self,
        _operation: OperationId,
        _device: DeviceId,
        _attempt: u32,
        _progress: Progress,
        _fleet: &Fleet,
        _now: Time,
    ) {
    }
    /// A request of the server was answered after this time.
    pub fn response_time(&mut self, _round_trip: Duration, _now: Time) {}
    /// Runs the loops until nothing changes.
    pub fn activate(&mut self, _fleet: &Fleet, _now: Time) {}
    /// The next time at which [`Loops::activate`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }
    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
    /// All operations in the order of their numbers.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        std::iter::empty()
    }
    /// One operation.
    #[must_use]
    pub fn operation(&self, _id: OperationId) -> Option<&Operation> {
        None
    }
    /// All releases in the order of their numbers.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        std::iter::empty()
    }
    /// One release.
    #[must_use]
    pub fn release(&self, _id: ReleaseId) -> Option<&Release> {
        None
    }
    /// Counts.
    #[must_use]
    pub fn counts(&self, _id: OperationId) -> Option<Counts> {
        None
    }
    /// Devices not in flight and not done, by reason code.
    #[must_use]
    pub fn exclusions(
        &self,
        _id: OperationId,
        _fleet: &Fleet,
        _now: Time,
    ) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
    /// One device in an operation.
    #[must_use]
    pub fn assignment(&self, _id: OperationId, _device: DeviceId) -> Option<&Assignment> {
        None
    }
    /// All devices granted in an operation.
    pub fn assignments(&self, _id: OperationId) -> impl Iterator<Item = &Assignment> {
        std::iter::empty()
    }
    /// Whether a device is a target now, and why not.
    #[must_use]
    pub fn identify(&self, _id: OperationId, _device: &Device, _now: Time) -> Eligibility {
        Eligibility::Excluded { exclusion: Exclusion::NotPicked }
    }
    /// The checks behind [`Loops::identify`], in their order.
    #[must_use]
    pub fn explain(&self, _id: OperationId, _device: &Device, _now: Time) -> Vec<Check> {
        Vec::new()
    }
}
