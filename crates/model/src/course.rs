//! Where an operation stands under a rule that allows instead of batching.

use serde::{Deserialize, Serialize};

use crate::{Exact, Gate, Judged, Rate, Time};

/// Where an operation stands under a rule of another system; durable with the operation, so that
/// a restart changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Course {
    /// When the operation started.
    pub started: Time,
    /// Devices in flight and settled for good that are allowed in all; none for no limit.
    pub devices_max: Option<u64>,
    /// When the rule must be asked again, whatever happens until then.
    pub look_at: Option<Time>,
    /// Failed checks so far.
    pub strikes: u32,
    /// Devices that had succeeded at the last check.
    pub succeeded_before: u64,
    /// Devices that had failed at the last check.
    pub failed_before: u64,
    /// Timed-out devices that an operator accepted by resuming.
    pub timed_out_accepted: u64,
    /// Stages begun so far, in their order: groups, phases or steps.
    pub stages: Vec<CourseStage>,
    /// The stage that waits for an operator.
    pub awaits: Option<u32>,
    /// The last stage that an operator let begin.
    pub approved: u32,
    /// What regulation by evidence has come to; none under other rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<EvidenceCourse>>,
}

/// Where an operation stands under regulation by evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EvidenceCourse {
    /// The last judgement.
    pub judged: Judged,
    /// Devices that may be changed at the same time, as the server's response time has it.
    pub limit: Exact,
    /// The server's usual response time, in microseconds.
    pub response_usual_us: Option<u64>,
    /// Since when everyone but the holdback is updated.
    pub watch_from: Option<Time>,
    /// Whether the holdback may be updated as well.
    pub released: bool,
    /// Since when there is an alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_since: Option<Time>,
    /// Gates that an operator opened.
    pub approved: Vec<Gate>,
    /// The gate that waits for an operator.
    pub awaits: Option<Gate>,
}

/// One stage that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CourseStage {
    /// The first element that belongs to it.
    pub first_element: u64,
    /// Devices it was begun for, granted or not.
    pub devices: u64,
    /// Failures that an operator accepted by resuming.
    pub failed_accepted: u64,
}

/// What the devices of an element or of a stage came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Unresolved.
    pub in_flight: u64,
    /// Proved updated.
    pub succeeded: u64,
    /// Failed or silent.
    pub failed: u64,
    /// To be tried again.
    pub deferred: u64,
    /// With a warning.
    pub warned: u64,
}

impl Tally {
    /// Devices whose fate says something about the change.
    #[must_use]
    pub const fn judged(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Devices tried, heard of or not (I8).
    #[must_use]
    pub const fn attempted(&self) -> u64 {
        self.judged() + self.deferred + self.in_flight
    }

    /// Both together.
    #[must_use]
    pub const fn joined(self, other: Self) -> Self {
        Self {
            in_flight: self.in_flight + other.in_flight,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            deferred: self.deferred + other.deferred,
            warned: self.warned + other.warned,
        }
    }
}

/// What rules of other systems look at beside the counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// When the rule is asked.
    pub at: Time,
    /// Where the operation stands.
    pub course: Course,
    /// Devices ever granted, those to be tried again included.
    pub granted: u64,
    /// Of the failed ones, those that refused the order.
    pub rejected: u64,
    /// Of the failed ones, those that fell silent or broke off for good.
    pub timed_out: u64,
    /// What the stages begun came to, in their order.
    pub stages: Vec<Tally>,
    /// What the newest elements came to, the newest last; as many as the rule asks for.
    pub batches: Vec<Tally>,
    /// Median response time since the last check, in microseconds.
    pub response_time_us: Option<u64>,
    /// Whether the operation has waited long enough for devices that do not turn up.
    pub linger_over: bool,
}

/// A share of devices against a limit, as a rule of another system counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedShare {
    /// Devices with the failure.
    pub failed: u64,
    /// Devices they are held against.
    pub of: u64,
    /// The limit.
    pub limit: Rate,
}
