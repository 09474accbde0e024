//! Why a device is a target, or not, or not yet (paper A §III-D, Identification).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{OperationId, Presence, ReleaseId, Span, Time, Version};

/// The verdict of identification on one device. Unknown is a case of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Eligibility {
    /// It can be updated now, through these releases in order; the last is the goal.
    Eligible {
        /// Hops of the migration path.
        path: Vec<ReleaseId>,
    },
    /// It is a target, but not at this moment.
    Waiting {
        /// What it waits for.
        exclusion: Exclusion,
    },
    /// It is no target.
    Excluded {
        /// Why not.
        exclusion: Exclusion,
    },
}

/// Why a device is not a target, or not yet. Each carries what was observed and required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code")]
pub enum Exclusion {
    /// It already runs the release's version.
    #[serde(rename = "already_current")]
    AlreadyCurrent {
        /// Version it runs.
        version: Version,
    },
    /// It runs a newer version; downgrades need an explicit permit (I20).
    #[serde(rename = "newer_version")]
    NewerVersion {
        /// Version it runs.
        version: Version,
    },
    /// Another manufacturer or model.
    #[serde(rename = "not_target.model")]
    NotTargetModel {
        /// What it reports, `manufacturer / model`.
        observed: String,
    },
    /// Another hardware revision.
    #[serde(rename = "not_target.hardware")]
    NotTargetHardware {
        /// What it reports.
        observed: String,
    },
    /// It is not in the hand-picked list of a manual operation.
    #[serde(rename = "not_target.picked")]
    NotPicked,
    /// Manufacturer, model or version was never read.
    #[serde(rename = "identity.unknown")]
    IdentityUnknown,
    /// No chain of releases leads from its version to the goal.
    #[serde(rename = "path.no_edge")]
    PathNoEdge {
        /// Version it runs.
        from: Version,
    },
    /// Every chain crosses a blocked step.
    #[serde(rename = "path.blocked_edge")]
    PathBlockedEdge {
        /// Version it runs.
        from: Version,
        /// Why the step is blocked: the publisher's words, or the release that evidence stopped.
        reason: String,
    },
    /// A step of its path must be confirmed before the next one may be taken.
    #[serde(rename = "path.step_pending")]
    PathStepPending {
        /// Version the step leads to.
        step: Version,
        /// Version it is on the way to.
        goal: Version,
        /// The operation that brings the step.
        operation: OperationId,
    },
    /// Charge below the requirement.
    #[serde(rename = "battery.low")]
    BatteryLow {
        /// Percent it reported.
        observed: i64,
        /// Percent required.
        required: i64,
        /// When it reported.
        at: Time,
    },
    /// A charge is required and none was ever reported.
    #[serde(rename = "battery.unknown")]
    BatteryUnknown,
    /// Free storage below the requirement.
    #[serde(rename = "memory.low")]
    MemoryLow {
        /// KiB it reported.
        observed: i64,
        /// KiB required.
        required: i64,
        /// When it reported.
        at: Time,
    },
    /// Free storage is required and was never reported.
    #[serde(rename = "memory.unknown")]
    MemoryUnknown,
    /// Signal below the requirement.
    #[serde(rename = "link.weak")]
    LinkWeak {
        /// dBm it reported.
        observed: i64,
        /// dBm required.
        required: i64,
        /// When it reported.
        at: Time,
    },
    /// A signal is required and none was ever reported.
    #[serde(rename = "link.unknown")]
    LinkUnknown,
    /// A required value is older than the manifest believes.
    #[serde(rename = "data.stale")]
    DataStale {
        /// Which: `battery`, `memory` or `link`.
        value: String,
        /// When it was read.
        at: Time,
        /// Greatest age that is believed.
        max_age: Span,
    },
    /// No maintenance window is open by the device's clock.
    #[serde(rename = "window.closed")]
    WindowClosed {
        /// When the next one opens.
        opens: Time,
        /// The windows, e.g. `sat sun 01:00-05:00`.
        windows: String,
        /// Minutes by which the clock is ahead of UTC.
        utc_offset_minutes: i32,
        /// Whether the device told that offset; otherwise it is the policy's.
        told: bool,
    },
    /// Its user or owner has not consented yet.
    #[serde(rename = "consent.pending")]
    ConsentPending,
    /// Its user or owner consented to a later time, or the device itself put it off.
    #[serde(rename = "consent.deferred_until")]
    ConsentDeferredUntil {
        /// Until then.
        until: Time,
        /// Who put it off.
        by: String,
    },
    /// As many devices of its place as may be are being changed already.
    #[serde(rename = "spread.limit")]
    SpreadLimit {
        /// The site.
        site: String,
        /// Devices of the site that are being changed.
        devices: u64,
        /// Most of them at the same time.
        devices_max: u32,
    },
    /// It cannot be reached now; the operation continues at its next contact.
    #[serde(rename = "offline.waiting")]
    OfflineWaiting {
        /// Asleep or offline.
        presence: Presence,
        /// Last message from it.
        last_seen: Time,
    },
    /// An operator holds it.
    #[serde(rename = "held.operator")]
    HeldOperator {
        /// Their words.
        reason: String,
    },
    /// The system quarantined it.
    #[serde(rename = "quarantined.system")]
    QuarantinedSystem {
        /// What happened.
        reason: String,
    },
    /// Another operation changes it now (I1).
    #[serde(rename = "busy.other_operation")]
    BusyOtherOperation {
        /// That operation.
        operation: OperationId,
    },
    /// A more urgent operation has it next.
    #[serde(rename = "lower_priority")]
    LowerPriority {
        /// That operation.
        operation: OperationId,
    },
    /// The current element is full; it comes in a later one.
    #[serde(rename = "batch.full")]
    BatchFull,
    /// The operation is paused.
    #[serde(rename = "operation.paused")]
    OperationPaused,
    /// The operation is paused because evidence stopped a release that it rests on.
    #[serde(rename = "operation.frozen")]
    OperationFrozen {
        /// The operation that was stopped.
        by: OperationId,
    },
    /// Evidence stopped the operation for devices of its kind.
    #[serde(rename = "stratum.stopped")]
    StratumStopped {
        /// The operation.
        by: OperationId,
    },
    /// The operation was aborted.
    #[serde(rename = "operation.aborted")]
    OperationAborted,
    /// A transient fault; it will be tried again.
    #[serde(rename = "retry.waiting")]
    RetryWaiting {
        /// Next try.
        until: Time,
        /// Tries so far.
        attempts: u32,
    },
    /// Every allowed try failed.
    #[serde(rename = "retries.exhausted")]
    RetriesExhausted {
        /// Tries made.
        attempts: u32,
    },
}

impl Exclusion {
    /// The stable reason code, e.g. `battery.low`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyCurrent { .. } => "already_current",
            Self::NewerVersion { .. } => "newer_version",
            Self::NotTargetModel { .. } => "not_target.model",
            Self::NotTargetHardware { .. } => "not_target.hardware",
            Self::NotPicked => "not_target.picked",
            Self::IdentityUnknown => "identity.unknown",
            Self::PathNoEdge { .. } => "path.no_edge",
            Self::PathBlockedEdge { .. } => "path.blocked_edge",
            Self::PathStepPending { .. } => "path.step_pending",
            Self::BatteryLow { .. } => "battery.low",
            Self::BatteryUnknown => "battery.unknown",
            Self::MemoryLow { .. } => "memory.low",
            Self::MemoryUnknown => "memory.unknown",
            Self::LinkWeak { .. } => "link.weak",
            Self::LinkUnknown => "link.unknown",
            Self::DataStale { .. } => "data.stale",
            Self::WindowClosed { .. } => "window.closed",
            Self::ConsentPending => "consent.pending",
            Self::ConsentDeferredUntil { .. } => "consent.deferred_until",
            Self::SpreadLimit { .. } => "spread.limit",
            Self::OfflineWaiting { .. } => "offline.waiting",
            Self::HeldOperator { .. } => "held.operator",
            Self::QuarantinedSystem { .. } => "quarantined.system",
            Self::BusyOtherOperation { .. } => "busy.other_operation",
            Self::LowerPriority { .. } => "lower_priority",
            Self::BatchFull => "batch.full",
            Self::OperationPaused => "operation.paused",
            Self::OperationFrozen { .. } => "operation.frozen",
            Self::StratumStopped { .. } => "stratum.stopped",
            Self::OperationAborted => "operation.aborted",
            Self::RetryWaiting { .. } => "retry.waiting",
            Self::RetriesExhausted { .. } => "retries.exhausted",
        }
    }

    /// What was observed, in words; none when the code says all.
    #[must_use]
    pub fn observed(&self) -> Option<String> {
        Some(match self {
            Self::AlreadyCurrent { version } | Self::NewerVersion { version } => {
                version.to_string()
            }
            Self::NotTargetModel { observed } | Self::NotTargetHardware { observed } => {
                observed.clone()
            }
            Self::PathNoEdge { from } | Self::PathBlockedEdge { from, .. } => from.to_string(),
            Self::BatteryLow { observed, .. } => format!("{observed} %"),
            Self::MemoryLow { observed, .. } => format!("{observed} KiB"),
            Self::LinkWeak { observed, .. } => format!("{observed} dBm"),
            Self::WindowClosed { utc_offset_minutes, .. } => {
                Offset(*utc_offset_minutes).to_string()
            }
            Self::SpreadLimit { devices, .. } => format!("{devices} devices"),
            Self::BusyOtherOperation { operation } | Self::LowerPriority { operation } => {
                operation.to_string()
            }
            Self::RetryWaiting { attempts, .. } | Self::RetriesExhausted { attempts } => {
                format!("{attempts} tries")
            }
            _ => return None,
        })
    }

    /// What is required, in words; none when the code says all.
    #[must_use]
    pub fn required(&self) -> Option<String> {
        Some(match self {
            Self::PathStepPending { step, .. } => step.to_string(),
            Self::BatteryLow { required, .. } => format!("at least {required} %"),
            Self::MemoryLow { required, .. } => format!("at least {required} KiB"),
            Self::LinkWeak { required, .. } => format!("at least {required} dBm"),
            Self::DataStale { max_age, .. } => format!("at most {max_age} old"),
            Self::WindowClosed { windows, .. } => windows.clone(),
            Self::SpreadLimit { devices_max, .. } => format!("at most {devices_max} devices"),
            _ => return None,
        })
    }

    /// When it was observed, where that matters.
    #[must_use]
    pub const fn observed_at(&self) -> Option<Time> {
        match self {
            Self::BatteryLow { at, .. }
            | Self::MemoryLow { at, .. }
            | Self::LinkWeak { at, .. }
            | Self::DataStale { at, .. } => Some(*at),
            Self::OfflineWaiting { last_seen, .. } => Some(*last_seen),
            _ => None,
        }
    }

    /// When it is looked at again by itself at the latest; none when an event decides that.
    #[must_use]
    pub const fn next_check(&self) -> Option<Time> {
        match self {
            Self::WindowClosed { opens, .. } => Some(*opens),
            Self::ConsentDeferredUntil { until, .. } | Self::RetryWaiting { until, .. } => {
                Some(*until)
            }
            _ => None,
        }
    }

    /// What would change the verdict, in one sentence for people.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::AlreadyCurrent { .. } => "Nothing to do.",
            Self::NewerVersion { .. } => {
                "A downgrade needs an operation of its own that permits it."
            }
            Self::NotTargetModel { .. } | Self::NotTargetHardware { .. } => {
                "Publish a release whose [[target]] names this kind."
            }
            Self::NotPicked => "Start an operation that names this device.",
            Self::IdentityUnknown => "It is asked again at its next contact.",
            Self::PathNoEdge { .. } => "Publish a release with an [[upgrade]] from this version.",
            Self::PathBlockedEdge { .. } => "Publish a release that leads around the blocked step.",
            Self::PathStepPending { .. } => {
                "It goes on by itself when the device has proved that it runs the step's version."
            }
            Self::BatteryLow { .. } => "It joins by itself when it reports enough charge.",
            Self::MemoryLow { .. } => "It joins by itself when it reports enough free memory.",
            Self::LinkWeak { .. } => "It joins by itself when its signal is strong enough.",
            Self::BatteryUnknown | Self::MemoryUnknown | Self::LinkUnknown => {
                "It joins by itself when it reports the value, or set requires.unknown = \"allow\"."
            }
            Self::DataStale { .. } => "It is read anew at its next contact.",
            Self::WindowClosed { .. } => "It joins by itself when a window of the policy opens.",
            Self::ConsentPending => {
                "Its user or owner must consent: bellwether device consent DEVICE --operation ID."
            }
            Self::ConsentDeferredUntil { .. } => "It goes on by itself at that time.",
            Self::SpreadLimit { .. } => {
                "It joins by itself when another device of its site is done."
            }
            Self::OfflineWaiting { .. } => "It joins by itself at its next contact.",
            Self::HeldOperator { .. } => "An operator must release it.",
            Self::QuarantinedSystem { .. } => "Look at its history, then release it.",
            Self::BusyOtherOperation { .. } | Self::LowerPriority { .. } => {
                "It joins by itself when the other operation is done with it."
            }
            Self::BatchFull => "It comes in a later element.",
            Self::OperationPaused => "Resume the operation.",
            Self::OperationFrozen { .. } => {
                "Abort the operation and publish a release that does not rest on the stopped one; \
                 or resume it, if it does no harm of its own."
            }
            Self::StratumStopped { .. } => {
                "The change does harm to devices of its kind; publish a corrected release."
            }
            Self::OperationAborted => {
                "An aborted operation sends nothing more; publish a corrected release."
            }
            Self::RetryWaiting { .. } => "It is tried again by itself.",
            Self::RetriesExhausted { .. } => {
                "Find out why it fails, then start an operation that names it."
            }
        }
    }
}

impl fmt::Display for Exclusion {
    /// One sentence with the observed and the required value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyCurrent { version } => write!(f, "already runs {version}"),
            Self::NewerVersion { version } => write!(f, "runs {version}, which is newer"),
            Self::NotTargetModel { observed } => {
                write!(f, "is of kind {observed}, which the release does not target")
            }
            Self::NotTargetHardware { observed } => {
                write!(f, "has hardware {observed}, which the release does not target")
            }
            Self::NotPicked => f.write_str("is not in the operation's list of devices"),
            Self::IdentityUnknown => {
                f.write_str("has not told its manufacturer, model and version yet")
            }
            Self::PathNoEdge { from } => {
                write!(f, "no chain of releases leads from {from} to the goal")
            }
            Self::PathBlockedEdge { from, reason } if reason.is_empty() => {
                write!(f, "the step from {from} is blocked")
            }
            Self::PathBlockedEdge { from, reason } => {
                write!(f, "the step from {from} is blocked: {reason}")
            }
            Self::BatteryLow { observed, required, .. } => {
                write!(f, "battery at {observed} %, {required} % needed")
            }
            Self::BatteryUnknown => f.write_str("never reported its battery"),
            Self::MemoryLow { observed, required, .. } => {
                write!(f, "{observed} KiB of memory free, {required} KiB needed")
            }
            Self::MemoryUnknown => f.write_str("never reported its free memory"),
            Self::LinkWeak { observed, required, .. } => {
                write!(f, "signal at {observed} dBm, {required} dBm needed")
            }
            Self::LinkUnknown => f.write_str("never reported its signal"),
            Self::OfflineWaiting { presence: Presence::Asleep, last_seen } => {
                write!(f, "asleep, last heard of at {last_seen}")
            }
            Self::OfflineWaiting { last_seen, .. } => {
                write!(f, "offline, last heard of at {last_seen}")
            }
            Self::HeldOperator { reason } => write!(f, "held by an operator: {reason}"),
            Self::QuarantinedSystem { reason } => write!(f, "quarantined: {reason}"),
            Self::BusyOtherOperation { operation } => write!(f, "{operation} is changing it"),
            Self::LowerPriority { operation } => {
                write!(f, "{operation} is more urgent and has it next")
            }
            Self::BatchFull => f.write_str("the current element is full"),
            Self::OperationPaused => f.write_str("the operation is paused"),
            Self::OperationFrozen { by } => write!(
                f,
                "the operation is frozen: evidence stopped {by}, whose release it rests on"
            ),
            Self::StratumStopped { by } => write!(f, "evidence stopped {by} for its kind"),
            Self::OperationAborted => f.write_str("the operation was aborted"),
            Self::RetryWaiting { until, attempts } => {
                let times =
                    if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
                write!(f, "failed {times} for a passing reason, next try at {until}")
            }
            Self::RetriesExhausted { attempts } => {
                write!(f, "failed {attempts} times, the most allowed")
            }
            Self::PathStepPending { .. }
            | Self::DataStale { .. }
            | Self::WindowClosed { .. }
            | Self::ConsentPending
            | Self::ConsentDeferredUntil { .. }
            | Self::SpreadLimit { .. } => self.tell_circumstance(f),
        }
    }
}

impl Exclusion {
    /// The sentence of what lies in the time, in people's leave, or in what goes on beside.
    fn tell_circumstance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PathStepPending { step, goal, operation } => {
                write!(f, "must prove {step} first, which {operation} brings, before {goal}")
            }
            Self::DataStale { value, at, max_age } => {
                write!(f, "{value} was read at {at}, more than {max_age} ago")
            }
            Self::WindowClosed { opens, windows, utc_offset_minutes, told } => {
                let clock = Offset(*utc_offset_minutes);
                let whose = if *told { "its clock" } else { "the policy's clock" };
                write!(f, "no window is open ({windows} by {whose}, {clock}), next at {opens}")
            }
            Self::ConsentPending => f.write_str("waits for its user's or owner's consent"),
            Self::ConsentDeferredUntil { until, by } => {
                write!(f, "put off until {until} by {by}")
            }
            Self::SpreadLimit { site, devices, devices_max } => write!(
                f,
                "{devices} devices of site {site} are being changed, at most {devices_max} may be"
            ),
            _ => Ok(()),
        }
    }
}

/// An offset from UTC as people write it, e.g. `UTC+01:00`.
struct Offset(i32);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs());
        write!(f, "UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// One step of an explanation: a predicate, what was observed and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is asked, e.g. `battery`.
    pub name: String,
    /// Whether it holds; none when a value is unknown or an earlier check already failed.
    pub holds: Option<bool>,
    /// What was observed and what is required, in words.
    pub detail: String,
    /// How old the observed value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
}
