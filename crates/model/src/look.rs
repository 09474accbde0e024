//! Evidence about a change: what was observed at each look, and what was concluded from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{DeviceId, Exact, OperationId, Phase, Time};

/// What devices of one stratum have in common; parts that an operation does not tell apart are
/// empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct StratumName {
    /// Hardware revision.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hardware: String,
    /// Version before the operation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Site.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
}

impl fmt::Display for StratumName {
    /// The parts that are known, e.g. `hardware B, version 1.0.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts =
            [("hardware", &self.hardware), ("version", &self.version), ("site", &self.site)];
        let mut known = parts.iter().filter(|(_, value)| !value.is_empty()).peekable();
        if known.peek().is_none() {
            return f.write_str("all devices");
        }
        known.enumerate().try_for_each(|(at, (part, value))| {
            write!(f, "{}{part} {value}", if at == 0 { "" } else { ", " })
        })
    }
}

/// The rate of failures an operation tolerates in a stratum, and where it comes from.
///
/// Fixed when the operation starts: a rate that followed the operation's own outcomes would void
/// the bound on false stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tolerance {
    /// The tolerated share of failures.
    pub rate: Exact,
    /// The share learned from the history, shrunk towards the broader groups.
    pub learned: Exact,
    /// Upper confidence bound of the learned share.
    pub learned_upper: Exact,
}

/// What an operation under evidence is held against from its start on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EvidencePlan {
    /// Devices that may be harmed before a stop.
    pub budget: u64,
    /// Tolerance of each stratum there was at the start, in the order of their numbers.
    pub strata: Vec<StratumPlan>,
    /// Tolerance in strata that turn up later.
    pub others: Tolerance,
    /// Indicators compared: the guards of the release.
    #[serde(default)]
    pub indicators: u32,
    /// Their names, in the order of the guards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicator_names: Vec<String>,
}

/// A stratum at the start of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StratumPlan {
    /// Who belongs to it.
    pub name: StratumName,
    /// The failures it tolerates.
    pub tolerance: Tolerance,
}

/// Which arm of the comparison a device belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// It was told to install the change.
    Updated,
    /// It is a target that was not granted yet.
    Control,
}

/// What happened to a device that a good change does not cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthEventKind {
    /// No contact for longer than its deadline, and no answer to the probe.
    Silence,
    /// It rebooted without being told, or reports a crash.
    Crash,
    /// A value of a guard left its range.
    Guard,
    /// A signal of the business, such as a call to the hotline.
    Signal,
}

/// Events of one kind found at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthEvents {
    /// Of which devices.
    pub arm: Arm,
    /// Number of the look in whose time the devices were last in contact (for silence) or had
    /// the event: risk sets are taken there, and not where the silence was noticed.
    pub look: u64,
    /// Window of age since the update at that time; 0 for control devices.
    pub window: u8,
    /// What.
    pub kind: HealthEventKind,
    /// Devices, each of which is followed no further.
    pub devices: u64,
}

/// A signal of the business that an operation counts as evidence, durable before the order that
/// brought it is answered (I15). It goes into the next look, which names its device among those
/// that are followed no further; a device has one at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The operation that counts it.
    pub operation: OperationId,
    /// The device it is about.
    pub device: DeviceId,
    /// The stratum of the device.
    pub stratum: StratumName,
    /// Its arm.
    pub arm: Arm,
    /// Window of age since the update; 0 for a control device.
    pub window: u8,
    /// When.
    pub at: Time,
}

/// One look at an operation under evidence: everything that was observed since the one before.
/// All looks of an operation, folded in order, give the evidence at each decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The operation.
    pub operation: OperationId,
    /// Its number, dense from 1 within the operation.
    pub number: u64,
    /// When.
    pub at: Time,
    /// Each stratum with targets or with something to tell.
    pub strata: Vec<StratumLook>,
    /// Devices that had an event and are followed no further.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<DeviceId>,
}

/// What was observed in one stratum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StratumLook {
    /// Who belongs to it.
    pub name: StratumName,
    /// Targets at the look, granted or not.
    pub targets: u64,
    /// Of these, ever granted, those to be tried again left out.
    pub granted: u64,
    /// Of these, granted and not told to install yet.
    pub pending: u64,
    /// Targets that could be granted now.
    pub ready: u64,
    /// Silence after which devices of the stratum count as lost, the probe included, in seconds.
    pub deadline_s: u64,
    /// Devices told to install since the last look.
    pub updated: u64,
    /// Installations that failed since the last look; silence is none of these.
    pub failures: u64,
    /// Installations that were proved since the last look.
    pub successes: u64,
    /// Installations under way at the look: begun, and neither failed nor proved nor given up.
    /// Those to be tried again are among them.
    #[serde(default)]
    pub installing: u64,
    /// Updated devices in contact since the last look, by window of age.
    pub updated_contacts: Vec<u64>,
    /// Control devices in contact since the last look.
    pub control_contacts: u64,
    /// Control devices followed at the look, in contact or not.
    #[serde(default)]
    pub control: u64,
    /// Devices that answered again after they were told to install, since the last look.
    #[serde(default)]
    pub returned: u64,
    /// Seconds that these were away, in all: over them an updated device is in contact with nobody.
    #[serde(default)]
    pub away_s: u64,
    /// Events found since the last look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<HealthEvents>,
    /// Changes of the guards' values against each device's own baseline, in parts per million,
    /// by guard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<IndicatorLook>,
}

/// Changes of one indicator, in parts per million of each device's own baseline.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndicatorLook {
    /// Of updated devices.
    pub updated: Vec<i64>,
    /// Of control devices over the same time.
    pub control: Vec<i64>,
}

/// What the comparison of one indicator has come to in a stratum. Changes are relative to each
/// device's own value before, and turned so that more is worse: 0.1 is 10 % worse.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IndicatorEvidence {
    /// Name of its guard.
    pub name: String,
    /// Pairs of an updated and a control device, or of groups of them, compared so far.
    pub pairs: u64,
    /// ln of its e-value.
    pub log_e: Exact,
    /// How much more the updated devices changed for the worse than the control, in the mean.
    pub difference: Exact,
    /// Lower end of the interval that covers the true difference with 95 % confidence, whenever
    /// one looks.
    pub lower: Exact,
    /// Its upper end.
    pub upper: Exact,
}

/// What a decision by evidence is made from, beside the counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceInputs {
    /// Number of the last look.
    pub look: u64,
    /// When.
    pub at: Time,
    /// Devices that may be harmed before a stop.
    pub budget: u64,
    /// Strata at the start.
    pub planned: u32,
    /// Each stratum.
    pub strata: Vec<StratumInputs>,
    /// Devices that may be changed at the same time, as the server's response time has it.
    pub limit: Exact,
    /// Response time relative to its usual one; none without an answer since the last look.
    pub response_ratio: Option<Exact>,
    /// Since when everyone but the holdback is updated.
    pub watch_from: Option<Time>,
    /// Whether the holdback may be updated as well.
    pub released: bool,
    /// Whether an alarm has lasted so long that what caused it would have shown.
    pub settled: bool,
    /// Gates that an operator opened.
    pub approved: Vec<Gate>,
    /// Gates before its start.
    pub gates: Vec<Gate>,
}

/// What a decision by evidence knows of one stratum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StratumInputs {
    /// Who belongs to it.
    pub name: StratumName,
    /// Targets, granted or not.
    pub targets: u64,
    /// Ever granted.
    pub granted: u64,
    /// Granted and not told to install yet.
    pub pending: u64,
    /// Could be granted now.
    pub ready: u64,
    /// Told to install.
    pub updated: u64,
    /// Exposure that has matured, in devices.
    pub matured: Exact,
    /// Devices that may be granted in all beside the first ones, by what had time to show.
    pub reach: Exact,
    /// Failed installations.
    pub failures: u64,
    /// Proved installations.
    pub successes: u64,
    /// Share of failures that is tolerated.
    pub tolerated: Exact,
    /// Health events of updated devices.
    pub events: u64,
    /// Of control devices.
    pub control_events: u64,
    /// Events that the updated devices would have had anyway, by the control.
    pub expected: Exact,
    /// ln of the e-values of the components of each test.
    pub tests: Vec<Vec<Exact>>,
    /// Each indicator, in the order of the release's guards; the last of `tests` are theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<IndicatorEvidence>,
    /// Whether an earlier decision stopped it for good.
    pub stopped: bool,
}

/// A point where an operation waits for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Its start, because of its class.
    Class,
    /// The begin of a phase.
    Phase(Phase),
    /// The evidence reached a tenth of what stops.
    Warning,
    /// Its start, because it undoes another.
    Undo,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class => f.write_str("its class needs approval before it starts"),
            Self::Phase(phase) => write!(f, "phase {phase} needs approval before it begins"),
            Self::Warning => {
                f.write_str("the evidence has reached a tenth of what stops, which needs a look")
            }
            Self::Undo => f.write_str("undoing another operation needs approval"),
        }
    }
}

/// What the evidence says about one stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StratumScope {
    /// No evidence against it.
    #[default]
    Free,
    /// The operation is alarmed, and this stratum is neither suspect nor cleared: it waits until
    /// the alarm is settled.
    Held,
    /// The operation is alarmed, and this stratum is among those that may have caused it: no
    /// further device.
    Suspect,
    /// The change is harmful here: stopped for good.
    Stopped,
}

impl StratumScope {
    /// The scope in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Suspect => "suspect",
            Self::Stopped => "stopped",
        }
    }
}

/// The judgement behind a decision by evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Judged {
    /// Number of the look it was made at.
    pub look: u64,
    /// ln of the e-value over all strata that are not stopped.
    pub log_global: Exact,
    /// ln of the limit that it and each stratum's `log_closed` are held against.
    pub log_limit: Exact,
    /// Whether the limit is reached by the strata together.
    pub alarm: bool,
    /// Whether a tenth of the limit is reached.
    pub warning: bool,
    /// Devices that may be harmed before a stop.
    pub budget: u64,
    /// Each stratum.
    pub strata: Vec<StratumRuling>,
}

/// The judgement of one stratum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StratumRuling {
    /// Who belongs to it.
    pub name: StratumName,
    /// What follows for it.
    pub scope: StratumScope,
    /// ln of its e-value.
    pub log_e: Exact,
    /// ln of the smallest e-value of all sets of strata that contain it, which stops it.
    pub log_closed: Exact,
    /// Its part of the budget, in devices.
    pub share: Exact,
    /// Upper bound of its rate of faults.
    pub rate_upper: Exact,
    /// Devices that may still turn out to be harmed.
    pub unresolved: Exact,
    /// Exposure that has matured, in devices.
    pub matured: Exact,
    /// Failures and events above the expected ones.
    pub excess: Exact,
    /// Targets.
    pub targets: u64,
    /// Ever granted.
    pub granted: u64,
    /// Told to install.
    pub updated: u64,
    /// Failed installations.
    pub failures: u64,
    /// Health events of updated devices.
    pub events: u64,
    /// Of control devices.
    pub control_events: u64,
    /// Devices that may be granted in all from now on.
    pub granted_max: u64,
    /// Each indicator, in the order of the release's guards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<IndicatorEvidence>,
}
