//! Rules of other rollout systems, by their own published settings.

use serde::{Deserialize, Serialize};

use crate::{Rate, Span};

/// AWS IoT Jobs: a rate per minute, constant or growing, and criteria that cancel the job
/// (`jobExecutionsRolloutConfig` and `abortConfig` of its interface).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsJobs {
    /// Most devices told in a minute, 1 to 1 000 (`maximumPerMinute`).
    pub per_minute_max: u32,
    /// How the rate grows; without it the rate is `per_minute_max` from the start.
    pub growth: Option<AwsGrowth>,
    /// What cancels the job; any one of them is enough.
    pub abort: Vec<AwsAbort>,
}

impl Default for AwsJobs {
    fn default() -> Self {
        Self { per_minute_max: 1_000, growth: None, abort: Vec::new() }
    }
}

/// An exponential rate of AWS IoT Jobs: base · factor^k, where k counts how often `devices` was
/// reached (`exponentialRate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsGrowth {
    /// Devices a minute at first, 1 to 1 000 (`baseRatePerMinute`).
    pub base_per_minute: u32,
    /// Growth in one step, 110 % to 500 % (`incrementFactor`).
    pub factor: Rate,
    /// What is counted (`rateIncreaseCriteria`).
    pub count: AwsCount,
    /// Devices to count for one step, at least 1.
    pub devices: u32,
}

/// What an exponential rate of AWS IoT Jobs grows with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsCount {
    /// Devices told (`numberOfNotifiedThings`).
    Notified,
    /// Devices that succeeded (`numberOfSucceededThings`).
    Succeeded,
}

/// One criterion that cancels a job of AWS IoT Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsAbort {
    /// Which failures count (`failureType`).
    pub failure: AwsFailure,
    /// Share of the devices that are through from which the job is cancelled, above 0 % and at
    /// most 100 % (`thresholdPercentage`).
    pub threshold: Rate,
    /// Devices that must be through before, at least 1 (`minNumberOfExecutedThings`).
    pub executed_min: u32,
}

/// Kinds of failures that AWS IoT Jobs distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsFailure {
    /// The device says that it failed.
    Failed,
    /// The device refused the order.
    Rejected,
    /// The device was told and did not finish in time.
    TimedOut,
    /// Any of them.
    All,
}

/// Eclipse hawkBit: groups that start one after the other (its rollouts).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HawkBit {
    /// The groups in their order, 1 to 500; the last one also takes what turns up later.
    pub groups: Vec<HawkBitGroup>,
}

/// One group of a hawkBit rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HawkBitGroup {
    /// Share of the targets left after the groups before; without it an equal part of them
    /// (`targetPercentage`, or `amountGroups`).
    pub share: Option<Rate>,
    /// Share of the group that must succeed before the next one starts (`successCondition`).
    pub success: Rate,
    /// Share of the group above which failures pause the rollout (`errorCondition`).
    pub errors: Rate,
    /// Whether an operator lets the next group start, not the success (`successAction` PAUSE).
    pub approval_after: bool,
}

impl Default for HawkBitGroup {
    fn default() -> Self {
        Self {
            share: None,
            success: Rate::percent(50),
            errors: Rate::percent(50),
            approval_after: false,
        }
    }
}

/// Mender: phases by the clock, which look at nothing (its phased deployments).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mender {
    /// The phases in their order, 1 to 500; the last one takes all the rest.
    pub phases: Vec<MenderPhase>,
}

/// One phase of a Mender deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MenderPhase {
    /// Share of the targets; required for all phases but the last (`batch_size`).
    #[serde(default)]
    pub share: Option<Rate>,
    /// Time from the start of the operation to the start of the phase (`start_ts`).
    pub after: Span,
}

/// Edgehog: a number of devices at a time, until too many of all targets failed (its lazy batch
/// mechanism).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edgehog {
    /// Devices changed at the same time, at least 1 (`maxInProgressUpdates`).
    pub in_progress_max: u32,
    /// Failures as a share of all targets above which the operation is aborted
    /// (`maxFailurePercentage`).
    pub failed_max: Rate,
}

/// `NervesHub`: a number of devices at a time, in steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NervesHub {
    /// The steps in their order, 1 to 500; a deployment group without a workflow has one.
    pub steps: Vec<NervesHubStep>,
}

/// One step of a `NervesHub` deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NervesHubStep {
    /// Devices in the step; without it, and in the last step, all the rest (`match_limit`).
    pub devices: Option<u32>,
    /// Devices changed at the same time, at least 1 (`concurrent_updates`).
    pub in_progress_max: u32,
    /// Failures in the step above which the operation pauses; without it nothing does
    /// (`failure_tolerance`).
    pub failed_max: Option<u32>,
    /// Whether an operator lets the step begin (`approval_required`).
    pub approval: bool,
}

impl Default for NervesHubStep {
    fn default() -> Self {
        Self { devices: None, in_progress_max: 10, failed_max: None, approval: false }
    }
}

/// Nebraska: a number of devices in a period, at the hours of an office if wanted (its groups).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nebraska {
    /// Devices granted in a period and devices changed at the same time, at least 1
    /// (`policy_max_updates_per_period`).
    pub devices_max: u32,
    /// The period, above zero (`policy_period_interval`).
    pub period: Span,
    /// Whether the first device goes alone, and timeouts pause the operation
    /// (`policy_safe_mode`).
    #[serde(default)]
    pub safe_mode: bool,
    /// Nothing is granted outside Monday to Friday, 9 to 17 o'clock (`policy_office_hours`).
    #[serde(default)]
    pub office_hours: Option<OfficeHours>,
}

/// Monday to Friday from 9 to 17 o'clock somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficeHours {
    /// Minutes by which the clock there is ahead of UTC, −840 to 840.
    pub utc_offset_minutes: i32,
}

/// `NodeWright`: batches that grow and shrink with what the last one showed (its interruption
/// budgets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeWright {
    /// Size of the first batch, at least 1 (`initialBatch`).
    pub first: u32,
    /// How the size of a batch follows from the one before.
    pub growth: BatchGrowth,
    /// Share of a batch that must succeed, above 0 % (`batchThreshold`).
    pub success: Rate,
    /// Share of the targets processed from which nothing slows or stops the operation any more
    /// (`safetyLimit`).
    pub safety_limit: Rate,
    /// Failed batches in a row that abort the operation; without it none does
    /// (`failureThreshold`).
    pub failed_batches_max: Option<u32>,
}

impl Default for NodeWright {
    fn default() -> Self {
        Self {
            first: 1,
            growth: BatchGrowth::Fixed,
            success: Rate::percent(100),
            safety_limit: Rate::percent(50),
            failed_batches_max: None,
        }
    }
}

/// How the size of a batch follows from the one before, in `NodeWright`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BatchGrowth {
    /// It stays.
    Fixed,
    /// It grows or shrinks by a number of devices.
    Linear {
        /// That number, at least 1.
        delta: u32,
    },
    /// It is multiplied or divided.
    Exponential {
        /// By this, at least 2.
        factor: u32,
    },
}

/// Steps as in Flagger's canary analysis: the share grows after each interval whose check was
/// good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckedSteps {
    /// Time between checks, at least 10 s (`interval`).
    pub interval: Span,
    /// Share of the targets in all at each step, growing; after the last one all the rest
    /// follows (`stepWeights`, or `stepWeight` up to `maxWeight`).
    pub weights: Vec<Rate>,
    /// Failures of the devices judged since the check before, above which the check fails.
    pub errors_max: Rate,
    /// Median response time of the server above which the check fails, in microseconds.
    #[serde(default)]
    pub response_time_us_max: Option<u64>,
    /// Failed checks that abort the operation, at least 1 (`threshold`).
    pub failed_checks_max: u32,
    /// Whether an interval in which no device was judged is a failed check.
    #[serde(default)]
    pub missing_fails: bool,
}

/// A rule that can be checked on its own.
pub(super) trait Checked {
    /// Says what is wrong with it, if anything: a sentence that names the field.
    fn problem(&self) -> Option<String>;
}

impl Checked for AwsJobs {
    fn problem(&self) -> Option<String> {
        let growth = self.growth.as_ref();
        let too_fast = |rate: u32| !(1..=1_000).contains(&rate);
        if too_fast(self.per_minute_max) {
            return Some("`rule.per_minute_max` must be 1 to 1000 devices a minute".to_owned());
        }
        if growth.is_some_and(|growth| too_fast(growth.base_per_minute)) {
            let what = "`rule.growth.base_per_minute` must be 1 to 1000 devices a minute";
            return Some(what.to_owned());
        }
        let factors = Rate::percent(110)..=Rate::percent(500);
        if let Some(growth) = growth.filter(|growth| !factors.contains(&growth.factor)) {
            let factor = growth.factor;
            return Some(format!("`rule.growth.factor` is {factor}; it must be 110 % to 500 %"));
        }
        if growth.is_some_and(|growth| growth.devices == 0) {
            return Some("`rule.growth.devices` is 0; it must be at least 1".to_owned());
        }
        if self.abort.iter().any(|abort| !is_share(abort.threshold)) {
            return Some("`rule.abort.threshold` must be above 0 % and at most 100 %".to_owned());
        }
        let zero = self.abort.iter().any(|abort| abort.executed_min == 0);
        zero.then(|| "`rule.abort.executed_min` is 0; it must be at least 1".to_owned())
    }
}

impl Checked for HawkBit {
    fn problem(&self) -> Option<String> {
        if let Some(problem) = wrong_number("groups", self.groups.len()) {
            return Some(problem);
        }
        for group in &self.groups {
            let shares = [
                ("share", group.share.unwrap_or(Rate::WHOLE), true),
                ("success", group.success, false),
                ("errors", group.errors, false),
            ];
            for (name, share, above_zero) in shares {
                if share > Rate::WHOLE || (above_zero && share == Rate::ZERO) {
                    let above = if above_zero { "above 0 % and " } else { "" };
                    return Some(format!(
                        "`rule.groups.{name}` is {share}; it must be {above}at most 100 %"
                    ));
                }
            }
        }
        None
    }
}

impl Checked for Mender {
    fn problem(&self) -> Option<String> {
        if let Some(problem) = wrong_number("phases", self.phases.len()) {
            return Some(problem);
        }
        let (_, first) = self.phases.split_last()?;
        if !first.iter().all(|phase| phase.share.is_some_and(is_share)) {
            let what = "`rule.phases.share` must be above 0 % in every phase but the last";
            return Some(what.to_owned());
        }
        let points = |phase: &MenderPhase| phase.share.map_or(0, Rate::as_basis_points);
        let all: u64 = self.phases.iter().map(|phase| u64::from(points(phase))).sum();
        if all > u64::from(Rate::WHOLE.as_basis_points()) {
            return Some("`rule.phases.share` adds up to more than 100 %".to_owned());
        }
        let sorted = self.phases.windows(2).all(|pair| pair[0].after <= pair[1].after);
        (!sorted)
            .then(|| "`rule.phases.after` must not go back from a phase to the next".to_owned())
    }
}

impl Checked for Edgehog {
    fn problem(&self) -> Option<String> {
        if self.in_progress_max == 0 {
            return Some("`rule.in_progress_max` is 0; it must be at least 1".to_owned());
        }
        (self.failed_max > Rate::WHOLE)
            .then(|| format!("`rule.failed_max` is {}; it must be at most 100 %", self.failed_max))
    }
}

impl Checked for NervesHub {
    fn problem(&self) -> Option<String> {
        if let Some(problem) = wrong_number("steps", self.steps.len()) {
            return Some(problem);
        }
        if self.steps.iter().any(|step| step.in_progress_max == 0) {
            return Some("`rule.steps.in_progress_max` is 0; it must be at least 1".to_owned());
        }
        let empty = self.steps.iter().any(|step| step.devices == Some(0));
        empty.then(|| "`rule.steps.devices` is 0; a step has at least one device".to_owned())
    }
}

impl Checked for Nebraska {
    fn problem(&self) -> Option<String> {
        if self.devices_max == 0 {
            return Some("`rule.devices_max` is 0; it must be at least 1".to_owned());
        }
        if self.period == Span::secs(0) {
            return Some("`rule.period` is 0; it must be above zero, e.g. `15m`".to_owned());
        }
        let far = self.office_hours.filter(|hours| hours.utc_offset_minutes.unsigned_abs() > 840);
        far.map(|hours| {
            let offset = hours.utc_offset_minutes;
            format!("`rule.office_hours.utc_offset_minutes` is {offset}; it must be -840 to 840")
        })
    }
}

impl Checked for NodeWright {
    fn problem(&self) -> Option<String> {
        let zero = |field: &str, least: u32| {
            Some(format!("`rule.{field}` is too small; it must be at least {least}"))
        };
        match self.growth {
            _ if self.first == 0 => zero("first", 1),
            BatchGrowth::Linear { delta: 0 } => zero("growth.delta", 1),
            BatchGrowth::Exponential { factor: 0 | 1 } => zero("growth.factor", 2),
            _ if self.failed_batches_max == Some(0) => zero("failed_batches_max", 1),
            _ if !is_share(self.success) => {
                Some("`rule.success` must be above 0 % and at most 100 %".to_owned())
            }
            _ if self.failed_batches_max.is_some_and(|batches| batches > ROWS_MAX) => {
                Some(format!("`rule.failed_batches_max` must be at most {ROWS_MAX}"))
            }
            _ => None,
        }
    }
}

impl Checked for CheckedSteps {
    fn problem(&self) -> Option<String> {
        if self.interval < Span::secs(10) {
            let interval = self.interval;
            return Some(format!("`rule.interval` is {interval}; it must be at least 10s"));
        }
        if let Some(problem) = wrong_number("weights", self.weights.len()) {
            return Some(problem);
        }
        let growing = self.weights.windows(2).all(|pair| pair[0] < pair[1]);
        if !growing || !self.weights.iter().copied().all(is_share) {
            return Some("`rule.weights` must grow, from above 0 % to at most 100 %".to_owned());
        }
        (self.failed_checks_max == 0)
            .then(|| "`rule.failed_checks_max` is 0; it must be at least 1".to_owned())
    }
}

fn is_share(share: Rate) -> bool {
    share > Rate::ZERO && share <= Rate::WHOLE
}

fn wrong_number(field: &str, rows: usize) -> Option<String> {
    let fits = (1..=ROWS_MAX as usize).contains(&rows);
    (!fits).then(|| format!("`rule.{field}` has {rows} entries; it must have 1 to {ROWS_MAX}"))
}

/// Rows of a rule, which are stored with every state of an operation.
const ROWS_MAX: u32 = 500;
