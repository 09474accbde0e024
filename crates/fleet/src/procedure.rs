//! What all procedures share: how they are fed and what they put out.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Progress, Step, Time};

use crate::{Answer, Ask, ConfigurationWrite, FirmwareUpdate};

/// One hop of a change on one device, as a machine without I/O.
///
/// After any call, drain [`Procedure::poll_output`] until it returns none, then ask
/// [`Procedure::poll_timeout`].
#[derive(Debug)]
pub enum Procedure {
    /// Installs an image.
    Firmware(FirmwareUpdate),
    /// Writes values.
    Configuration(ConfigurationWrite),
}

/// What a procedure wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this to the device and bring back the answer.
    Ask(Ask),
    /// Make this intent durable, then call [`Procedure::handle_committed`].
    Intend(Step),
    /// Tell enforcement.
    Progress(Progress),
}

/// How often a procedure looks by itself. Notifications make most looks unnecessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks at a device that transfers.
    pub transfer: Duration,
    /// Between two looks at a device that installs: it is expected to be silent.
    pub install: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { transfer: Duration::from_secs(10), install: Duration::from_secs(30) }
    }
}

/// What is known of an attempt that was under way before a restart: its committed intents for
/// this release. Empty for a fresh one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Steps whose intents are committed; whether they were sent is not known.
    pub intents: BTreeSet<Step>,
}

impl Procedure {
    /// Begins: the first output is always a read, never a change (I2).
    pub fn start(&mut self, now: Time) {
        match self {
            Self::Firmware(update) => update.start(now),
            Self::Configuration(write) => write.start(now),
        }
    }

    /// An ask has left for the device. Those that cannot leave are answered without it.
    pub fn handle_sent(&mut self, ask: &Ask, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_sent(ask, now),
            Self::Configuration(write) => write.handle_sent(ask),
        }
    }

    /// The device left: its registration ended.
    pub fn handle_left(&mut self, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_left(now),
            Self::Configuration(write) => write.handle_left(now),
        }
    }

    /// Takes the answer to an ask.
    pub fn handle_answer(&mut self, ask: &Ask, answer: &Answer, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_answer(ask, answer, now),
            Self::Configuration(write) => write.handle_answer(ask, answer, now),
        }
    }

    /// Takes a notification.
    pub fn handle_notification(&mut self, path: lwm2m::Path, answer: &Answer, now: Time) {
        if let Self::Firmware(update) = self {
            update.handle_notification(path, answer, now);
        }
    }

    /// The device registered again.
    pub fn handle_registered(&mut self, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_registered(now),
            Self::Configuration(write) => write.handle_registered(now),
        }
    }

    /// The device was heard after a silence.
    pub fn handle_contact(&mut self, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_contact(now),
            Self::Configuration(write) => write.handle_contact(now),
        }
    }

    /// The intent is durable.
    pub fn handle_committed(&mut self, step: Step, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_committed(step, now),
            Self::Configuration(write) => write.handle_committed(step, now),
        }
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Time) {
        match self {
            Self::Firmware(update) => update.handle_timeout(now),
            Self::Configuration(write) => write.handle_timeout(now),
        }
    }

    /// Reads the version back at once (enforcement's one active probe before silence counts).
    pub fn probe(&mut self, now: Time) {
        match self {
            Self::Firmware(update) => update.probe(now),
            Self::Configuration(write) => write.probe(now),
        }
    }

    /// When [`Procedure::handle_timeout`] wants to be called.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Firmware(update) => update.poll_timeout(),
            Self::Configuration(write) => write.poll_timeout(),
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        match self {
            Self::Firmware(update) => update.poll_output(),
            Self::Configuration(write) => write.poll_output(),
        }
    }

    /// Whether a change may already have left for the device.
    #[must_use]
    pub const fn has_touched_device(&self) -> bool {
        match self {
            Self::Firmware(update) => update.has_touched_device(),
            Self::Configuration(write) => write.has_touched_device(),
        }
    }
}
