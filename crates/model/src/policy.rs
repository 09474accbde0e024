//! How an operation is regulated: what the operator wants, apart from what the release is.

mod evidence;
mod import;
mod peer;
mod window;

use serde::{Deserialize, Serialize};

pub use self::evidence::{Approval, Evidence, Latency, StratumBy, Undo};
pub use self::import::ImportError;
use self::peer::Checked;
pub use self::peer::{
    AwsAbort, AwsCount, AwsFailure, AwsGrowth, AwsJobs, BatchGrowth, CheckedSteps, Edgehog,
    HawkBit, HawkBitGroup, Mender, MenderPhase, Nebraska, NervesHub, NervesHubStep, NodeWright,
    OfficeHours,
};
pub use self::window::{Opening, TimeOfDay, Weekday, Window, opening};
use crate::{Phase, Rate, Span};

/// The regulation policy of an operation. Every field has a safe default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The rule that decides: `evidence` if nothing else is said; paper A's is `threshold`.
    pub rule: Rule,
    /// Where one phase ends and the next begins.
    pub phases: Phases,
    /// Error rate above which the operation is aborted, by phase (paper A §III-E, step 2).
    pub tolerated_errors: PerPhase,
    /// Warning rate above which the operation is slowed, by phase.
    pub tolerated_warnings: PerPhase,
    /// Fewest devices with an error before an abort: one device is an anecdote, not evidence.
    pub errors_min: u32,
    /// Fewest judged devices a rate is taken from; smaller elements are joined with those before.
    pub window_devices_min: u32,
    /// Size of the first element, in devices.
    pub first_speed: u32,
    /// Largest element as a share of the targets; at least one device.
    pub speed_max: Rate,
    /// How the size grows with favourable iterations.
    pub strategy: Strategy,
    /// Relative change of a rate or of the response time that counts as no change.
    pub dead_band: Rate,
    /// Response times that differ by less than this count as equal, in microseconds: on a fast
    /// network the scheduler alone moves them by more than the dead band.
    pub response_time_floor_us: u64,
    /// Tries on one device.
    pub retry: Retry,
    /// Whether the change must reach every target to count as done (paper A's example of a
    /// network configuration): a device that cannot be changed then aborts the operation.
    pub must_reach_all: bool,
    /// How long an operation with nothing left but waiting devices stays open for them.
    pub linger: Span,
    /// Devices of this operation changed at the same time, over all elements.
    pub parallel_max: u32,
    /// Longest time from the first order of a try to its proof; none for no limit beside those
    /// of the transfer and of the manifest's confirmation.
    pub attempt_limit: Option<Span>,
    /// When devices may be changed, by their own clock; none for at all times. What is under way
    /// when a window closes is not cut off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<Window>,
    /// Minutes by which the clock of a device is ahead of UTC that did not tell its own offset,
    /// -840 to 840.
    #[serde(skip_serializing_if = "is_utc")]
    pub utc_offset_minutes: i32,
    /// Most devices of one place changed at the same time; none for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Whether a device waits until its user or owner consents.
    #[serde(skip_serializing_if = "Consent::is_not_needed")]
    pub consent: Consent,
}

/// Devices that stand together and may not all be away at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// What they have in common.
    pub by: SpreadBy,
    /// Most of them changed at the same time, whichever operation changes them; at least 1.
    pub devices_max: u32,
}

/// What devices that stand together have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpreadBy {
    /// The site. Devices whose site is not known are not limited.
    Site,
}

/// Whether a device may be changed without asking anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consent {
    /// Nobody is asked.
    #[default]
    None,
    /// Its user or owner must consent, for each operation anew.
    Required,
}

impl Consent {
    const fn is_not_needed(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_utc(offset: &i32) -> bool {
    *offset == 0
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rule: Rule::default(),
            phases: Phases::default(),
            tolerated_errors: PerPhase {
                test: Rate::percent(1),
                cautious: Rate::percent(2),
                generalization: Rate::percent(5),
            },
            tolerated_warnings: PerPhase {
                test: Rate::percent(5),
                cautious: Rate::percent(10),
                generalization: Rate::percent(20),
            },
            errors_min: 2,
            window_devices_min: 10,
            first_speed: 1,
            speed_max: Rate::percent(25),
            strategy: Strategy::Exponential { factor: Rate::percent(200) },
            dead_band: Rate::percent(10),
            response_time_floor_us: 10_000,
            retry: Retry::default(),
            must_reach_all: false,
            linger: Span::secs(24 * 3_600),
            parallel_max: 10_000,
            attempt_limit: None,
            window: Vec::new(),
            utc_offset_minutes: 0,
            spread: None,
            consent: Consent::None,
        }
    }
}

impl Policy {
    /// Paper A's threshold rule with its own defaults.
    #[must_use]
    pub fn threshold() -> Self {
        Self { rule: Rule::Threshold, ..Self::default() }
    }

    /// Reads a policy in TOML; missing fields take their defaults.
    ///
    /// # Errors
    /// A text that points at the line and the field.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let policy: Self = toml::from_str(text).map_err(|error| {
            let is_kind_missing = error.message().contains("missing field `kind`");
            format!("{error}{}", if is_kind_missing { KIND_MISSING } else { "" })
        })?;
        policy.validated()
    }

    /// Writes it as a file that [`Policy::from_toml`] reads, with every default filled in.
    ///
    /// # Errors
    /// A value that TOML has no form for; none is known.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    /// What is wrong with when and where devices may be changed, if anything.
    fn placing_problem(&self) -> Option<String> {
        if self.window.len() > WINDOWS_MAX {
            let count = self.window.len();
            return Some(format!("{count} windows are given; at most {WINDOWS_MAX} are allowed"));
        }
        let offset = self.utc_offset_minutes;
        if offset.unsigned_abs() > OFFSET_MINUTES_MAX {
            return Some(format!(
                "`utc_offset_minutes` is {offset}; allowed is -{OFFSET_MINUTES_MAX} to {OFFSET_MINUTES_MAX}"
            ));
        }
        if self.spread.is_some_and(|spread| spread.devices_max == 0) {
            return Some(
                "`spread.devices_max` is 0; at least one device must be allowed, or leave \
                 `spread` out"
                    .to_owned(),
            );
        }
        self.window.iter().find_map(Window::problem)
    }

    /// Checks the rules that span several fields.
    ///
    /// # Errors
    /// A sentence that names the field and the allowed values.
    pub fn validated(self) -> Result<Self, String> {
        if self.first_speed == 0 {
            return Err("`first_speed` is 0; an element has at least one device".to_owned());
        }
        if self.phases.cautious_from > self.phases.generalization_from {
            return Err(format!(
                "`phases.cautious_from` ({}) is above `phases.generalization_from` ({})",
                self.phases.cautious_from, self.phases.generalization_from
            ));
        }
        if self.retry.attempts_max == 0 {
            return Err("`retry.attempts_max` is 0; at least one try is needed".to_owned());
        }
        if let Strategy::Exponential { factor } = self.strategy
            && factor < Rate::WHOLE
        {
            return Err(format!("`strategy.factor` is {factor}; it must be at least 100 %"));
        }
        if let Rule::Plan { stages } = &self.rule
            && (stages.is_empty() || stages.iter().any(|stage| stage.share == Rate::ZERO))
        {
            return Err(
                "`rule.stages` needs at least one stage, each with a share above 0 %".to_owned()
            );
        }
        if self.attempt_limit.is_some_and(|limit| limit.0.is_zero()) {
            return Err("`attempt_limit` is 0; leave it out for no limit".to_owned());
        }
        if let Some(problem) = self.placing_problem() {
            return Err(problem);
        }
        match self.rule.checked().and_then(Checked::problem) {
            Some(problem) => Err(problem),
            None => Ok(self),
        }
    }
}

/// What decides on the next element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table with a `kind`, such as [rule] with kind = \"evidence\""
)]
pub enum Rule {
    /// Paper A §III-E: tolerated error rates by phase, speed by the variation of the metrics.
    Threshold,
    /// A fixed plan that looks at nothing but errors: the legacy schedule of paper A §IV-A.
    Plan {
        /// Shares of the targets with the time before the next; the last one repeats.
        stages: Vec<Stage>,
    },
    /// Tests that stop on evidence, sizes by a budget of harmed devices.
    Evidence(Evidence),
    /// AWS IoT Jobs: a rate per minute and criteria that abort.
    AwsJobs(AwsJobs),
    /// Eclipse hawkBit: groups, each started by the success of the one before.
    #[serde(rename = "hawkbit")]
    HawkBit(HawkBit),
    /// Mender: phases by the clock.
    Mender(Mender),
    /// Edgehog: a number of devices at a time until too many of all failed.
    Edgehog(Edgehog),
    /// `NervesHub`: a number of devices at a time, in steps.
    NervesHub(NervesHub),
    /// Nebraska: a number of devices in a period.
    Nebraska(Nebraska),
    /// `NodeWright`: batches that grow and shrink.
    #[serde(rename = "nodewright")]
    NodeWright(NodeWright),
    /// Flagger's canary analysis: a share that grows after each good check.
    CheckedSteps(CheckedSteps),
}

impl Default for Rule {
    fn default() -> Self {
        Self::Evidence(Evidence::default())
    }
}

impl Rule {
    /// Whether it is the rule of another system.
    #[must_use]
    pub const fn is_peer(&self) -> bool {
        !matches!(self, Self::Threshold | Self::Plan { .. } | Self::Evidence(_))
    }

    /// The settings of regulation by evidence, if that is the rule.
    #[must_use]
    pub const fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Evidence(rule) => Some(rule),
            _ => None,
        }
    }

    /// Whether it allows a number of devices and looks again when something happens or at a
    /// time of its own ([`crate::Verdict::Allow`]), instead of deciding on one element after the
    /// other.
    #[must_use]
    pub const fn is_allowing(&self) -> bool {
        !matches!(self, Self::Threshold | Self::Plan { .. } | Self::NodeWright(_))
    }

    /// How many of the newest elements it looks at one by one.
    #[must_use]
    pub const fn batches_seen(&self) -> u32 {
        match self {
            Self::NodeWright(rule) => match rule.failed_batches_max {
                Some(batches) => batches,
                None => 1,
            },
            _ => 0,
        }
    }

    fn checked(&self) -> Option<&dyn Checked> {
        Some(match self {
            Self::Threshold | Self::Plan { .. } => return None,
            Self::Evidence(rule) => rule,
            Self::AwsJobs(rule) => rule,
            Self::HawkBit(rule) => rule,
            Self::Mender(rule) => rule,
            Self::Edgehog(rule) => rule,
            Self::NervesHub(rule) => rule,
            Self::Nebraska(rule) => rule,
            Self::NodeWright(rule) => rule,
            Self::CheckedSteps(rule) => rule,
        })
    }
}

/// One stage of a fixed plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Share of the targets in the stage's element.
    pub share: Rate,
    /// Time from its start to the start of the next.
    pub wait: Span,
}

/// Bounds of the phases by share of the targets processed (paper A §III-E).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// Test ends here.
    pub cautious_from: Rate,
    /// Cautious ends here.
    pub generalization_from: Rate,
}

impl Default for Phases {
    fn default() -> Self {
        Self { cautious_from: Rate::percent(1), generalization_from: Rate::percent(10) }
    }
}

impl Phases {
    /// The phase at that share of the targets processed.
    #[must_use]
    pub fn at(&self, progress: Rate) -> Phase {
        if progress < self.cautious_from {
            Phase::Test
        } else if progress < self.generalization_from {
            Phase::Cautious
        } else {
            Phase::Generalization
        }
    }
}

/// A share for each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerPhase {
    /// In Test.
    pub test: Rate,
    /// In Cautious.
    pub cautious: Rate,
    /// In Generalization.
    pub generalization: Rate,
}

impl PerPhase {
    /// The share of that phase.
    #[must_use]
    pub const fn of(&self, phase: Phase) -> Rate {
        match phase {
            Phase::Test => self.test,
            Phase::Cautious => self.cautious,
            Phase::Generalization => self.generalization,
        }
    }
}

/// Paper A's four strategies (§III-E): the size of the next element over k, the net number of
/// favourable iterations, with b₀ the size of the first. All are clamped to 1 and the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table with a `kind`, such as [strategy] with kind = \"linear\" and add = 10"
)]
pub enum Strategy {
    /// b₀ + add·k.
    Linear {
        /// Devices added in each favourable iteration.
        add: u32,
    },
    /// b₀·(k+1)^exponent.
    Power {
        /// The exponent.
        exponent: u32,
    },
    /// b₀ + linear·k + square·k².
    Polynomial {
        /// Factor of k.
        linear: u32,
        /// Factor of k².
        square: u32,
    },
    /// b₀·factor^k, rounded to the nearest in each step.
    Exponential {
        /// Growth in one favourable iteration, e.g. `200 %` doubles.
        factor: Rate,
    },
}

/// Tries on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries in all.
    pub attempts_max: u32,
    /// Wait after the first failed try; doubled after each further one.
    pub backoff: Span,
    /// Longest wait.
    pub backoff_max: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 3, backoff: Span::secs(60), backoff_max: Span::secs(6 * 3_600) }
    }
}

/// Follows an error about a rule or a strategy that does not say which it is.
const KIND_MISSING: &str = "a rule and a strategy need their `kind` beside their keys, e.g. \
                            `kind = \"evidence\"` under `[rule]`\n";
/// Most maintenance windows of one policy; each is looked at for each device.
const WINDOWS_MAX: usize = 32;
/// Clocks on earth are at most 14 hours ahead of UTC.
const OFFSET_MINUTES_MAX: u32 = 840;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_its_kind_is_refused_with_what_would_be_right() {
        for (text, said) in [
            ("rule = \"evidence\"", "such as [rule] with kind = \"evidence\""),
            ("rule = { kind = \"evidense\" }", "unknown variant `evidense`"),
            ("[rule.evidence]\nbudget = 5", "`kind = \"evidence\"` under `[rule]`"),
            ("strategy = \"linear\"", "such as [strategy] with kind = \"linear\""),
        ] {
            let error = Policy::from_toml(text).unwrap_err();
            assert!(error.contains(said), "`{said}` is missing: {error}");
        }
    }
}
