//! Orders of operators: releases, operations, devices.

use fleet::Ask;
use model::{
    Consent, Consented, DeviceId, HealthEventKind, Hold, Manifest, OperationId, Policy, Presence,
    Record, ReleaseId, Time,
};
use operations::{OpenError, OpenRequest, OrderError, PublishError};

use crate::Engine;
use crate::event::{AskError, AskToken};
use crate::machine::{Pending, Purpose};

/// Why a hold was not set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// No device of that number.
    #[error("{0} is not known; list the devices to see which are")]
    UnknownDevice(DeviceId),
    /// It is held already.
    #[error("{0} is already held; release it first to change the reason")]
    AlreadyHeld(DeviceId),
    /// It is not held.
    #[error("{0} is not held")]
    NotHeld(DeviceId),
}

/// What the user or owner of a device says to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentAnswer {
    /// It may change the device from then on.
    From(Time),
    /// It may not, whatever was said before.
    Withdrawn,
}

/// Why consent was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// No device of that number.
    #[error("{0} is not known; list the devices to see which are")]
    UnknownDevice(DeviceId),
    /// No such operation.
    #[error("{0} does not exist; list the operations to find its number")]
    UnknownOperation(OperationId),
    /// The operation has ended.
    #[error("{0} has ended and changes nothing any more; consent to a later operation")]
    Ended(OperationId),
    /// Its policy asks nobody.
    #[error("{0} needs no consent; start operations with `consent = \"required\"` in the policy")]
    NotNeeded(OperationId),
    /// Nothing was given that could be withdrawn.
    #[error("no consent to {operation} was given for {device}, so none can be withdrawn")]
    NotGiven {
        /// The device.
        device: DeviceId,
        /// The operation.
        operation: OperationId,
    },
    /// It was granted already.
    #[error("{operation} is changing {device} already; abort the operation to stop it")]
    UnderWay {
        /// The device.
        device: DeviceId,
        /// The operation.
        operation: OperationId,
    },
}

impl Engine {
    /// The user or owner of a device lets an operation change it, at once or from a later time,
    /// or takes that back. Kept in the device's row, which is durable before the order is
    /// acknowledged (I15); what was said to operations that have ended is forgotten then.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn consent(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        answer: ConsentAnswer,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), ConsentError> {
        if self.fleet.device(device).is_none() {
            return Err(ConsentError::UnknownDevice(device));
        }
        let known = self.loops.operation(operation);
        let known = known.ok_or(ConsentError::UnknownOperation(operation))?;
        if known.state.is_final() {
            return Err(ConsentError::Ended(operation));
        }
        if known.policy.consent == Consent::None {
            return Err(ConsentError::NotNeeded(operation));
        }
        let granted = self.loops.assignment(operation, device);
        if granted.is_some_and(|known| known.state.is_in_flight()) {
            return Err(ConsentError::UnderWay { device, operation });
        }
        let loops = &self.loops;
        let Some(row) = self.fleet.device_mut(device) else { return Ok(()) };
        let goes_on = |id: &OperationId| {
            loops.operation(*id).is_some_and(|operation| !operation.state.is_final())
        };
        match answer {
            ConsentAnswer::From(from) => {
                let given = Consented { from, at: now, by: by.to_owned(), words: words.to_owned() };
                row.consents.insert(operation, given);
            }
            ConsentAnswer::Withdrawn => {
                if row.consents.remove(&operation).is_none() {
                    return Err(ConsentError::NotGiven { device, operation });
                }
            }
        }
        row.consents.retain(|id, _| goes_on(id));
        self.row_changed(device, now);
        Ok(())
    }

    /// Publishes a release, and starts its operation when a policy is given. The image of a
    /// firmware release must have been added before. The same `key` gives the same operation and
    /// its release, however often it is sent (I15); without an operation there is nothing to keep
    /// under it, and name and version tell that the release exists.
    ///
    /// # Errors
    /// Those of [`operations::Loops::publish`].
    pub fn publish(
        &mut self,
        manifest: Manifest,
        by: &str,
        start: Option<Policy>,
        key: Option<&str>,
        seed: u64,
        now: Time,
    ) -> Result<(ReleaseId, Option<OperationId>), PublishError> {
        let known = key.and_then(|key| self.accepted.get(key)).copied();
        if let Some(known) = known.and_then(|id| self.loops.operation(id)) {
            return Ok((known.release, Some(known.id)));
        }
        let published = self.loops.publish(manifest, by, start, &self.fleet, seed, now);
        self.after_order(now);
        if let Ok((_, Some(operation))) = &published {
            self.accept(key, *operation, now);
        }
        published
    }

    /// Opens an operation. The same `key` gives the same operation, however often it is sent
    /// (I15).
    ///
    /// # Errors
    /// Those of [`operations::Loops::open`].
    pub fn open_operation(
        &mut self,
        request: OpenRequest,
        key: Option<&str>,
        seed: u64,
        now: Time,
    ) -> Result<OperationId, OpenError> {
        if let Some(known) = key.and_then(|key| self.accepted.get(key)) {
            return Ok(*known);
        }
        let opened = self.loops.open(request, &self.fleet, seed, now);
        self.after_order(now);
        if let Ok(operation) = &opened {
            self.accept(key, *operation, now);
        }
        opened
    }

    /// Keeps what an idempotency key stands for.
    fn accept(&mut self, key: Option<&str>, operation: OperationId, now: Time) {
        let Some(key) = key else { return };
        self.accepted.insert(key.to_owned(), operation);
        self.outbox.record(Record::Accepted { key: key.to_owned(), operation, at: now });
    }

    /// Stops an operation until it is resumed; devices in flight complete.
    ///
    /// # Errors
    /// Those of [`operations::Loops::pause`].
    pub fn pause(
        &mut self,
        operation: OperationId,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), OrderError> {
        let done = self.loops.pause(operation, by, words, now);
        self.after_order(now);
        done
    }

    /// Lets a paused operation go on.
    ///
    /// # Errors
    /// Those of [`operations::Loops::resume`].
    pub fn resume(
        &mut self,
        operation: OperationId,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), OrderError> {
        let done = self.loops.resume(operation, by, words, now);
        self.after_order(now);
        done
    }

    /// Stops an operation for good (I5).
    ///
    /// # Errors
    /// Those of [`operations::Loops::abort`].
    pub fn abort(
        &mut self,
        operation: OperationId,
        by: &str,
        words: &str,
        now: Time,
    ) -> Result<(), OrderError> {
        let done = self.loops.abort(operation, by, words, now);
        self.after_order(now);
        done
    }

    /// Holds a device: no operation grants it any more.
    ///
    /// # Errors
    /// [`HoldError`].
    pub fn hold(&mut self, device: DeviceId, reason: &str, now: Time) -> Result<(), HoldError> {
        let known = self.fleet.device_mut(device).ok_or(HoldError::UnknownDevice(device))?;
        if known.hold.is_some() {
            return Err(HoldError::AlreadyHeld(device));
        }
        known.hold = Some(Hold::Operator { reason: reason.to_owned() });
        self.row_changed(device, now);
        Ok(())
    }

    /// Puts a device into quarantine, unless it is held already.
    pub(crate) fn quarantine(&mut self, device: DeviceId, reason: String, now: Time) {
        let Some(known) = self.fleet.device_mut(device).filter(|known| known.hold.is_none()) else {
            return;
        };
        known.hold = Some(Hold::System { reason });
        self.flush_device(device);
        self.device_changed(device, now);
    }

    /// Lifts a hold or a quarantine.
    ///
    /// # Errors
    /// [`HoldError`].
    pub fn release_hold(&mut self, device: DeviceId, now: Time) -> Result<(), HoldError> {
        let known = self.fleet.device_mut(device).ok_or(HoldError::UnknownDevice(device))?;
        if known.hold.take().is_none() {
            return Err(HoldError::NotHeld(device));
        }
        self.row_changed(device, now);
        Ok(())
    }

    /// Sends an operator's order to a device. The answer comes as
    /// [`Event::Answered`](crate::Event::Answered).
    ///
    /// # Errors
    /// [`AskError`].
    pub fn order(&mut self, device: DeviceId, ask: Ask, now: Time) -> Result<AskToken, AskError> {
        let known = self.fleet.device(device).ok_or(AskError::UnknownDevice(device))?;
        match known.presence {
            Presence::Online => {}
            Presence::Asleep => return Err(AskError::Asleep(device)),
            Presence::Offline => return Err(AskError::Offline(device)),
        }
        let running = self.running.get(&device).map(|run| run.operation);
        let delayed = self.delayed.get(&device).map(|dispatch| dispatch.operation);
        if ask.changes_device()
            && let Some(operation) = running.or(delayed)
        {
            return Err(AskError::InOperation { device, operation });
        }
        if self.orders_open >= self.config.asks_open_max {
            return Err(AskError::Busy(format!("at most {}", self.config.asks_open_max)));
        }
        let token = AskToken(self.next_ask);
        self.next_ask += 1;
        self.orders_open += 1;
        if ask.changes_device() {
            *self.orders_changing.entry(device).or_default() += 1;
            if let Some(live) = self.lives.get_mut(&device) {
                live.may_restart = true;
            }
        }
        self.ask(Pending { device, ask, purpose: Purpose::Order(token) });
        self.turn(now);
        Ok(token)
    }

    /// Makes what was ordered of a device durable and lets the loops look at it again.
    fn row_changed(&mut self, device: DeviceId, now: Time) {
        self.flush_device(device);
        self.device_changed(device, now);
        self.turn(now);
    }

    /// The business gives a signal about a device, such as a call to the hotline. Returns how many
    /// open operations take it as evidence. It is in the records: once [`Engine::receipt`] is
    /// durable, no crash loses it, and it counts once.
    ///
    /// # Errors
    /// [`HoldError::UnknownDevice`].
    pub fn signal(&mut self, device: DeviceId, now: Time) -> Result<usize, HoldError> {
        if self.fleet.device(device).is_none() {
            return Err(HoldError::UnknownDevice(device));
        }
        let counted = self.loops.signal(device, HealthEventKind::Signal, now);
        self.after_order(now);
        Ok(counted)
    }

    fn after_order(&mut self, now: Time) {
        self.must_activate = true;
        self.turn(now);
    }
}
