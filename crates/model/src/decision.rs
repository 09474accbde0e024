//! Decisions and their reasons: stored, shown and replayed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Counts, EValue, EvidenceInputs, Exact, FailedShare, Gate, Judged, OperationId, Phase, Policy,
    Rate, Standing, Time,
};

/// What was measured over a window of elements (paper A §III-C, Aggregation). The denominator
/// is the devices attempted, never the devices heard (I8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReportedRates {
    /// Devices judged.
    pub attempted: u64,
    /// Devices that failed or stayed silent.
    pub failed: u64,
    /// Devices with a warning.
    pub warned: u64,
    /// `failed` of `attempted`.
    pub errors: Rate,
    /// `warned` of `attempted`.
    pub warnings: Rate,
    /// Median time from a request of the server to its answer, in microseconds.
    pub response_time_us: Option<u64>,
}

impl ReportedRates {
    /// Rates from counts.
    #[must_use]
    pub fn new(attempted: u64, failed: u64, warned: u64, response_time_us: Option<u64>) -> Self {
        Self {
            attempted,
            failed,
            warned,
            errors: Rate::of(failed, attempted),
            warnings: Rate::of(warned, attempted),
            response_time_us,
        }
    }
}

/// Everything a regulation decision is made from; stored with it so that it can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Where the operation stood.
    pub counts: Counts,
    /// Its phase before the decision.
    pub phase: Phase,
    /// Size of the last element.
    pub speed: u32,
    /// Net favourable iterations before the decision.
    pub favourable: i32,
    /// Measures of the element before the last.
    pub before: Option<ReportedRates>,
    /// Measures of the last element.
    pub after: Option<ReportedRates>,
    /// Measures of the last elements joined until they hold enough devices to be judged.
    pub window: Option<ReportedRates>,
    /// Whether a device reported a fault that lies in the image itself.
    pub artifact_fault: bool,
    /// The policy in force.
    pub policy: Policy,
    /// What rules of other systems look at beside; none for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Box<Standing>>,
    /// What regulation by evidence looks at beside; none for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<EvidenceInputs>>,
}

/// One stored decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The operation.
    pub operation: OperationId,
    /// Its number, dense from 1 within the operation (I3).
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// From what; none for an operator's order.
    pub inputs: Option<Inputs>,
    /// The judgement behind a decision by evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Box<Judged>>,
    /// Version of the deciding code.
    pub code_version: String,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The operation starts with an element of this size.
    Start {
        /// Devices.
        speed: u32,
    },
    /// The next element has this size.
    Continue {
        /// Phase of the next element.
        phase: Phase,
        /// Devices.
        speed: u32,
        /// Net favourable iterations after the decision.
        favourable: i32,
    },
    /// Devices are granted as they turn up and as others are done, within these limits; used by
    /// the rules of other systems.
    Allow {
        /// Phase from now on.
        phase: Phase,
        /// Most devices in flight at the same time.
        speed: u32,
        /// Most devices in flight and settled for good in all; none for no limit.
        devices_max: Option<u64>,
        /// When the rule is asked again at the latest.
        look_at: Option<Time>,
        /// The stage that is open: group, phase or step, from 1.
        stage: u32,
        /// Failed checks so far.
        strikes: u32,
    },
    /// No device is granted before a time; used by rules that keep hours.
    Hold {
        /// That time.
        until: Time,
    },
    /// The operation stops for good.
    Abort,
    /// The operation is done.
    Finish,
    /// An operator or a rule stopped it for a while.
    Pause,
    /// An operator lets it go on.
    Resume,
}

impl Verdict {
    /// The verdict's name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Continue { .. } => "continue",
            Self::Allow { .. } => "allow",
            Self::Hold { .. } => "hold",
            Self::Abort => "abort",
            Self::Finish => "finish",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

/// A measure that regulation looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Error rate.
    Errors,
    /// Warning rate.
    Warnings,
    /// Response time of the server side.
    ResponseTime,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Errors => "error rate",
            Self::Warnings => "warning rate",
            Self::ResponseTime => "response time",
        })
    }
}

/// A measure before and after, in its own unit: basis points for rates, microseconds for times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variation {
    /// Which.
    pub measure: Measure,
    /// In the element before.
    pub before: u64,
    /// In the last element.
    pub after: u64,
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.measure)?;
        match self.measure {
            Measure::ResponseTime => {
                let millis = |us: u64| (us / 1_000, us % 1_000 / 100);
                let ((bw, bp), (aw, ap)) = (millis(self.before), millis(self.after));
                write!(f, "{bw}.{bp} → {aw}.{ap} ms")
            }
            Measure::Errors | Measure::Warnings => {
                let rate =
                    |points: u64| Rate::basis_points(u32::try_from(points).unwrap_or(u32::MAX));
                write!(f, "{} → {}", rate(self.before), rate(self.after))
            }
        }
    }
}

/// Why something was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code")]
pub enum Reason {
    /// A pending operation has targets.
    #[serde(rename = "start.targets")]
    Targets {
        /// How many can be granted now.
        eligible: u64,
    },
    /// Errors above what the phase tolerates.
    #[serde(rename = "abort.errors")]
    ErrorsAboveTolerance {
        /// The phase that produced them.
        phase: Phase,
        /// Measured rate.
        measured: Rate,
        /// Tolerated rate.
        tolerated: Rate,
        /// Devices with an error.
        failed: u64,
        /// Devices judged.
        attempted: u64,
    },
    /// A device says that the image itself is at fault.
    #[serde(rename = "abort.artifact")]
    ArtifactFault {
        /// The phase.
        phase: Phase,
    },
    /// The change must reach every target, and one cannot be changed.
    #[serde(rename = "abort.must_reach_all")]
    MustReachAll {
        /// Devices that cannot be changed.
        failed: u64,
    },
    /// At least one measure improved and none got worse.
    #[serde(rename = "speed.improved")]
    Improved {
        /// What improved.
        by: Vec<Variation>,
    },
    /// All is well and nothing changed much.
    #[serde(rename = "speed.healthy")]
    Healthy,
    /// Nothing changed much, but errors or warnings are there: the speed is kept.
    #[serde(rename = "speed.steady")]
    Steady,
    /// A measure got worse.
    #[serde(rename = "speed.worsened")]
    Worsened {
        /// What got worse.
        by: Vec<Variation>,
    },
    /// Warnings above what the phase tolerates.
    #[serde(rename = "speed.warnings")]
    WarningsAboveTolerance {
        /// The phase.
        phase: Phase,
        /// Measured rate.
        measured: Rate,
        /// Tolerated rate.
        tolerated: Rate,
    },
    /// The last element held no device that could be judged.
    #[serde(rename = "speed.no_evidence")]
    NoEvidence,
    /// A fixed plan says so.
    #[serde(rename = "speed.plan")]
    Plan {
        /// Stage, from 1.
        stage: u64,
    },
    /// A rate per minute says so.
    #[serde(rename = "peer.rate")]
    PeerRate {
        /// Devices a minute.
        per_minute: u64,
    },
    /// The next group, phase or step begins.
    #[serde(rename = "peer.stage")]
    PeerStage {
        /// Which, from 1.
        stage: u32,
        /// Of how many.
        of: u32,
    },
    /// All groups, phases or steps are through: the rest follows.
    #[serde(rename = "peer.rest")]
    PeerRest,
    /// A fixed number of devices at a time.
    #[serde(rename = "peer.slots")]
    PeerSlots {
        /// That number.
        slots: u32,
    },
    /// A new period begins.
    #[serde(rename = "peer.period")]
    PeerPeriod {
        /// Devices in it.
        devices: u32,
    },
    /// The hours in which devices may be changed are over.
    #[serde(rename = "peer.hours")]
    PeerHours,
    /// A check failed, and more may fail before the operation is aborted.
    #[serde(rename = "peer.check_failed")]
    PeerCheckFailed {
        /// Failed checks so far.
        failed_checks: u32,
        /// Failed checks that abort.
        failed_checks_max: u32,
    },
    /// No device was judged since the last check, which is therefore made again.
    #[serde(rename = "peer.check_empty")]
    PeerCheckEmpty,
    /// A batch had enough successes, or the safety limit is passed.
    #[serde(rename = "peer.batch_succeeded")]
    PeerBatchSucceeded,
    /// A batch had too few successes.
    #[serde(rename = "peer.batch_failed")]
    PeerBatchFailed {
        /// Devices that succeeded.
        succeeded: u64,
        /// Devices in the batch.
        of: u64,
    },
    /// Too many batches in a row failed.
    #[serde(rename = "peer.batches_failed")]
    PeerBatchesFailed {
        /// How many.
        batches: u32,
    },
    /// Failures have reached or passed a share that the rule sets.
    #[serde(rename = "peer.failures_share")]
    PeerFailuresShare {
        /// Which failures, of which group if the rule has groups.
        what: String,
        /// Devices, and the limit.
        share: FailedShare,
    },
    /// More devices failed than the rule tolerates in the step.
    #[serde(rename = "peer.failures")]
    PeerFailures {
        /// Devices.
        failed: u64,
        /// Tolerated.
        tolerated: u64,
    },
    /// A group or a step must be let begin by an operator.
    #[serde(rename = "peer.approval")]
    PeerApproval {
        /// Which, from 1.
        stage: u32,
    },
    /// The budget allows more devices, or fewer.
    #[serde(rename = "evidence.budget")]
    Budget {
        /// Devices that may be harmed before a stop.
        budget: u64,
        /// The stratum of which least is known; empty where devices are not told apart.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        stratum: String,
        /// The upper bound of its rate of faults, the largest of all strata.
        rate_upper: Rate,
        /// Its failures and events above the expected ones, in devices, rounded.
        #[serde(default)]
        excess: u64,
        /// Its updated devices.
        #[serde(default)]
        updated: u64,
        /// Updated and granted devices of all strata that may still turn out to be harmed.
        unresolved: u64,
    },
    /// The server answers late: fewer devices are changed at a time.
    #[serde(rename = "evidence.servers")]
    Servers {
        /// Response time relative to its usual one.
        ratio: Rate,
        /// Devices that may be changed at a time.
        limit: u64,
    },
    /// The strata together are beyond the limit; those that may have caused it pause.
    #[serde(rename = "evidence.alarm")]
    Alarm {
        /// ln of the e-value over all strata; not a number where an older version kept it otherwise.
        #[serde(default = "not_kept")]
        log_e: Exact,
        /// Strata that pause.
        suspects: Vec<String>,
    },
    /// The alarm is over.
    #[serde(rename = "evidence.cleared")]
    Cleared,
    /// The change is harmful in these strata, which are stopped for good; the others go on.
    #[serde(rename = "evidence.stratum")]
    StrataStopped {
        /// The strata.
        strata: Vec<String>,
        /// Failures and events above the expected ones, in devices, rounded.
        excess: u64,
        /// Devices updated there.
        updated: u64,
    },
    /// The change is harmful everywhere.
    #[serde(rename = "abort.evidence")]
    EvidenceAgainstAll {
        /// The phase.
        phase: Phase,
        /// ln of the largest e-value, of all strata or of one; not a number where an older version
        /// kept it otherwise.
        #[serde(default = "not_kept")]
        log_e: Exact,
        /// ln of the limit, likewise.
        #[serde(default = "not_kept")]
        log_limit: Exact,
        /// Failures and events above the expected ones, in devices, rounded.
        excess: u64,
        /// Devices updated.
        updated: u64,
        /// Devices that might be harmed before a stop.
        #[serde(default)]
        budget: u64,
    },
    /// Everyone but the holdback is updated; it stays as a control for faults that show late.
    #[serde(rename = "evidence.watch")]
    Watching {
        /// Devices of the holdback.
        holdback: u64,
        /// How long it stays.
        until: Time,
    },
    /// No late fault showed: the holdback follows.
    #[serde(rename = "evidence.release")]
    Released {
        /// Devices of the holdback.
        holdback: u64,
    },
    /// Evidence stopped a release that it rests on.
    #[serde(rename = "evidence.frozen")]
    Frozen {
        /// The operation that was stopped.
        by: OperationId,
    },
    /// An operator has to let it go on.
    #[serde(rename = "evidence.approval")]
    Approval {
        /// What waits.
        gate: Gate,
    },
    /// Every target outside the stopped strata is settled.
    #[serde(rename = "finish.partial")]
    Partial {
        /// Strata that evidence stopped.
        strata: Vec<String>,
        /// Devices there that were not updated.
        left: u64,
    },
    /// Every target is settled.
    #[serde(rename = "finish.complete")]
    Complete,
    /// Only waiting devices are left, and they were waited for long enough; they are brought to
    /// compliance when they turn up.
    #[serde(rename = "finish.linger_over")]
    LingerOver {
        /// Devices still waiting.
        waiting: u64,
    },
    /// An operator said so.
    #[serde(rename = "operator")]
    Operator {
        /// Who.
        by: String,
        /// Their words.
        words: String,
    },
}

impl Reason {
    /// The stable reason code, e.g. `abort.errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Targets { .. } => "start.targets",
            Self::ErrorsAboveTolerance { .. } => "abort.errors",
            Self::ArtifactFault { .. } => "abort.artifact",
            Self::MustReachAll { .. } => "abort.must_reach_all",
            Self::Improved { .. } => "speed.improved",
            Self::Healthy => "speed.healthy",
            Self::Steady => "speed.steady",
            Self::Worsened { .. } => "speed.worsened",
            Self::WarningsAboveTolerance { .. } => "speed.warnings",
            Self::NoEvidence => "speed.no_evidence",
            Self::Plan { .. } => "speed.plan",
            Self::PeerRate { .. } => "peer.rate",
            Self::PeerStage { .. } => "peer.stage",
            Self::PeerRest => "peer.rest",
            Self::PeerSlots { .. } => "peer.slots",
            Self::PeerPeriod { .. } => "peer.period",
            Self::PeerHours => "peer.hours",
            Self::PeerCheckFailed { .. } => "peer.check_failed",
            Self::PeerCheckEmpty => "peer.check_empty",
            Self::PeerBatchSucceeded => "peer.batch_succeeded",
            Self::PeerBatchFailed { .. } => "peer.batch_failed",
            Self::PeerBatchesFailed { .. } => "peer.batches_failed",
            Self::PeerFailuresShare { .. } => "peer.failures_share",
            Self::PeerFailures { .. } => "peer.failures",
            Self::PeerApproval { .. } => "peer.approval",
            Self::Budget { .. } => "evidence.budget",
            Self::Servers { .. } => "evidence.servers",
            Self::Alarm { .. } => "evidence.alarm",
            Self::Cleared => "evidence.cleared",
            Self::StrataStopped { .. } => "evidence.stratum",
            Self::EvidenceAgainstAll { .. } => "abort.evidence",
            Self::Watching { .. } => "evidence.watch",
            Self::Released { .. } => "evidence.release",
            Self::Frozen { .. } => "evidence.frozen",
            Self::Approval { .. } => "evidence.approval",
            Self::Partial { .. } => "finish.partial",
            Self::Complete => "finish.complete",
            Self::LingerOver { .. } => "finish.linger_over",
            Self::Operator { .. } => "operator",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, by: &[Variation]| {
            by.iter().enumerate().try_for_each(|(at, variation)| {
                write!(f, "{}{variation}", if at == 0 { "" } else { ", " })
            })
        };
        match self {
            Self::Targets { eligible } => write!(f, "{} can be updated now", Devices(*eligible)),
            Self::ErrorsAboveTolerance { phase, measured, tolerated, failed, attempted } => write!(
                f,
                "error rate {measured} in phase {phase} is above the limit of {tolerated} ({failed} of {attempted} devices failed or stayed silent)"
            ),
            Self::ArtifactFault { phase } => {
                write!(f, "a device in phase {phase} reports that the image itself is at fault")
            }
            Self::MustReachAll { failed } => {
                write!(
                    f,
                    "the change must reach every target and {} cannot be changed",
                    Devices(*failed)
                )
            }
            Self::Improved { by } => {
                f.write_str("improved ")?;
                list(f, by)
            }
            Self::Healthy => f.write_str("no errors or warnings, response time steady"),
            Self::Steady => f.write_str("little change, but errors or warnings are present"),
            Self::Worsened { by } => {
                f.write_str("worsened ")?;
                list(f, by)
            }
            Self::WarningsAboveTolerance { phase, measured, tolerated } => {
                write!(
                    f,
                    "warning rate {measured} in phase {phase} is above the limit of {tolerated}"
                )
            }
            Self::NoEvidence => {
                f.write_str("the last element brought no device that could be judged")
            }
            Self::Plan { stage } => write!(f, "stage {stage} of the fixed plan"),
            _ => self.fmt_evidence(f),
        }
    }
}

impl Reason {
    /// The reasons of regulation by evidence.
    fn fmt_evidence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget { budget, stratum, rate_upper, excess, updated, unresolved } => {
                fmt_bound(f, stratum, *rate_upper, [*excess, *updated])?;
                let all = if stratum.is_empty() { "" } else { " in all" };
                write!(f, ", {}{all} not judged yet, a budget of {budget}", Devices(*unresolved))
            }
            Self::Servers { ratio, limit } => write!(
                f,
                "the server takes {ratio} of its usual time to answer, so at most {} may be changed at a time",
                Devices(*limit)
            ),
            Self::Alarm { log_e, suspects } => write!(
                f,
                "the strata together show harm (E = {}); pausing {}",
                EValue::from_ln(*log_e),
                listed(suspects)
            ),
            Self::Cleared => f.write_str("the alarm is over"),
            Self::StrataStopped { strata, excess, updated } => write!(
                f,
                "the change does harm in {}: of {} updated there {excess} more than usual failed, crashed or fell silent; the others go on",
                listed(strata),
                Devices(*updated),
            ),
            Self::EvidenceAgainstAll { phase, log_e, log_limit, excess, updated, budget } => {
                write!(
                    f,
                    "the change does harm in phase {phase}: of {} updated {excess} more than usual failed, crashed or fell silent (E = {}, the limit is {})",
                    Devices(*updated),
                    EValue::from_ln(*log_e),
                    EValue::from_ln(*log_limit)
                )?;
                if *budget > 0 && excess > budget {
                    write!(
                        f,
                        "; more than the budget of {budget}, as many were updated before the fault showed"
                    )?;
                }
                Ok(())
            }
            Self::Watching { holdback: 0, until } => write!(
                f,
                "whoever may be updated is; faults that show late are waited for until {until}"
            ),
            Self::Watching { holdback, until } => write!(
                f,
                "whoever may be updated is, but for a holdback of {}, which stays until {until} as the control for faults that show late",
                Devices(*holdback)
            ),
            Self::Released { holdback: 0 } => f.write_str("no late fault has shown"),
            Self::Released { holdback } => {
                write!(f, "no late fault has shown, the holdback of {} follows", Devices(*holdback))
            }
            Self::Frozen { by } => {
                write!(f, "evidence stopped {by}, whose release this one rests on")
            }
            Self::Approval { gate } => write!(f, "{gate}"),
            Self::Partial { strata, left } => write!(
                f,
                "every target is settled but {} in {}, which evidence stopped",
                Devices(*left),
                listed(strata)
            ),
            _ => self.fmt_peer(f),
        }
    }
}

/// What a decision of an older version did not keep.
const fn not_kept() -> Exact {
    Exact::new(f64::NAN)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no stratum".to_owned() } else { names.join("; ") }
}

/// What is known of the stratum of which least is; `harmed` is how many beyond the usual, of how
/// many.
fn fmt_bound(
    f: &mut fmt::Formatter<'_>,
    stratum: &str,
    rate_upper: Rate,
    harmed: [u64; 2],
) -> fmt::Result {
    let of = if stratum.is_empty() { String::new() } else { format!(" of {stratum}") };
    let devices = if stratum.is_empty() { " of the devices" } else { "" };
    match (rate_upper < Rate::percent(100), harmed) {
        (true, _) => {
            write!(f, "at most {rate_upper}{devices} are harmed{of} (95 % sure)")
        }
        (false, [0, _]) => write!(f, "how many it harms{of} is not known yet"),
        (false, [excess, updated]) => write!(
            f,
            "it may harm all{devices}{of}: of {} updated {excess} more than usual failed, crashed or fell silent",
            Devices(updated)
        ),
    }
}

impl Reason {
    /// The reasons of other systems' rules, of endings and of operators.
    fn fmt_peer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerRate { per_minute } => write!(f, "{} a minute", Devices(*per_minute)),
            Self::PeerStage { stage, of } => write!(f, "stage {stage} of {of} begins"),
            Self::PeerRest => f.write_str("all stages are through, the rest follows"),
            Self::PeerSlots { slots } => write!(f, "{} at a time", Devices((*slots).into())),
            Self::PeerPeriod { devices } => {
                write!(f, "a period of {} begins", Devices((*devices).into()))
            }
            Self::PeerHours => f.write_str("outside the hours in which devices may be changed"),
            Self::PeerCheckFailed { failed_checks, failed_checks_max } => {
                write!(f, "check failed, {failed_checks} of {failed_checks_max} so far")
            }
            Self::PeerCheckEmpty => f.write_str("no device was judged since the last check"),
            Self::PeerBatchSucceeded => f.write_str("the batch had enough successes"),
            Self::PeerBatchFailed { succeeded, of } => {
                write!(f, "only {succeeded} of the {} of the batch succeeded", Devices(*of))
            }
            Self::PeerBatchesFailed { batches: 1 } => f.write_str("1 batch failed"),
            Self::PeerBatchesFailed { batches } => write!(f, "{batches} batches in a row failed"),
            Self::PeerFailuresShare { what, share } => write!(
                f,
                "{what}: {} of {}, against a limit of {}",
                share.failed,
                Devices(share.of),
                share.limit
            ),
            Self::PeerFailures { failed, tolerated } => {
                write!(f, "{} failed in the step, the limit is {tolerated}", Devices(*failed))
            }
            Self::PeerApproval { stage } => write!(f, "an operator must let stage {stage} begin"),
            Self::LingerOver { waiting } => write!(
                f,
                "only waiting devices are left ({waiting}); they follow when they turn up"
            ),
            Self::Operator { by, words } if words.is_empty() => write!(f, "ordered by {by}"),
            Self::Operator { by, words } => write!(f, "ordered by {by}: {words}"),
            _ => f.write_str("every target is settled"),
        }
    }
}

/// A number of devices, in words.
#[derive(Debug, Clone, Copy)]
struct Devices(u64);

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "device" } else { "devices" })
    }
}

impl fmt::Display for Decision {
    /// One sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.inputs.as_ref().map_or(0, |inputs| inputs.speed);
        let rule = self.inputs.as_ref().map(|inputs| &inputs.policy.rule);
        match self.verdict {
            // The first look says how many; until then there is only a limit.
            Verdict::Start { .. } if rule.is_some_and(|rule| rule.evidence().is_some()) => {
                write!(f, "Start: {}", self.reason)
            }
            Verdict::Start { speed } => {
                write!(f, "Start with {}: {}", Devices(speed.into()), self.reason)
            }
            Verdict::Continue { speed, .. } if speed > last => {
                write!(f, "Speed up from {last} to {speed}: {}", self.reason)
            }
            Verdict::Continue { speed, .. } if speed < last => {
                write!(f, "Slow down from {last} to {speed}: {}", self.reason)
            }
            // All is well and nothing grows: without a word on the limit that would be a riddle.
            Verdict::Continue { speed, .. }
                if matches!(self.reason, Reason::Healthy | Reason::Improved { .. }) =>
            {
                write!(f, "Keep at {speed}, the most that the policy allows: {}", self.reason)
            }
            Verdict::Continue { speed, .. } => write!(f, "Keep at {speed}: {}", self.reason),
            Verdict::Allow { speed, devices_max: Some(all), .. } if u64::from(speed) >= all => {
                write!(f, "Allow {} in all: {}", Devices(all), self.reason)
            }
            Verdict::Allow { speed, devices_max: Some(all), .. } => {
                write!(f, "Allow {} in all, {speed} at a time: {}", Devices(all), self.reason)
            }
            Verdict::Allow { speed, .. } => {
                write!(f, "Allow {} at a time: {}", Devices(speed.into()), self.reason)
            }
            Verdict::Hold { until } => write!(f, "Hold until {until}: {}", self.reason),
            Verdict::Abort => write!(f, "Abort: {}", self.reason),
            Verdict::Finish => write!(f, "Finish: {}", self.reason),
            Verdict::Pause => write!(f, "Pause: {}", self.reason),
            Verdict::Resume => write!(f, "Resume: {}", self.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An older version kept e-values in another form; what it decided can still be read.
    #[test]
    fn decisions_of_older_versions_are_read() {
        for (text, said) in [
            (
                r#"{"code":"abort.evidence","phase":"test","e_log10_tenths":93,"limit_log10_tenths":23,"excess":7,"updated":40}"#,
                "(E = not kept, the limit is not kept)",
            ),
            (
                r#"{"code":"evidence.alarm","e_log10_tenths":24,"suspects":["hardware B"]}"#,
                "E = not kept",
            ),
            (
                r#"{"code":"evidence.budget","budget":30,"rate_upper":"100 %","unresolved":3}"#,
                "is not known yet",
            ),
        ] {
            let reason: Reason = serde_json::from_str(text).expect(text);
            assert!(reason.to_string().contains(said), "{reason}");
        }
    }

    /// What is at risk is said of the stratum that it is true of, and a limit that does not bind
    /// is not given as a size.
    #[test]
    fn decisions_by_evidence_say_what_they_allow() {
        let check = |stratum: &str, percent: u32, excess: u64, speed: u32, sentence: &str| {
            let reason = Reason::Budget {
                budget: 30,
                stratum: stratum.to_owned(),
                rate_upper: Rate::percent(percent),
                excess,
                updated: 3,
                unresolved: 12,
            };
            let verdict = Verdict::Allow {
                phase: Phase::Test,
                speed,
                devices_max: Some(40),
                look_at: None,
                stage: 1,
                strikes: 0,
            };
            let decision = Decision {
                operation: OperationId(1),
                seq: 1,
                at: Time::default(),
                verdict,
                reason,
                inputs: None,
                judged: None,
                code_version: String::new(),
            };
            assert_eq!(decision.to_string(), sentence);
        };
        check(
            "hardware C",
            42,
            0,
            10_000,
            "Allow 40 devices in all: at most 42 % are harmed of hardware C (95 % sure), 12 devices in all not judged yet, a budget of 30",
        );
        check(
            "hardware C",
            100,
            3,
            10_000,
            "Allow 40 devices in all: it may harm all of hardware C: of 3 devices updated 3 more than usual failed, crashed or fell silent, 12 devices in all not judged yet, a budget of 30",
        );
        check(
            "",
            100,
            0,
            5,
            "Allow 40 devices in all, 5 at a time: how many it harms is not known yet, 12 devices not judged yet, a budget of 30",
        );
    }
}
