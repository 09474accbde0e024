//! How many devices next: what may be lost, and what the servers can carry.

use libm::{floor, sqrt};
use model::Phase;
use serde::{Deserialize, Serialize};

use super::numeric::{number, sum_sorted, whole};

/// Devices that may be lost before a stop if the operator says nothing: 0.05 % of the targets,
/// at least 5.
#[must_use]
pub const fn default_budget(targets: u64) -> u64 {
    let share = targets / 2_000;
    if share > 5 { share } else { 5 }
}

/// Divides the budget over strata: B_s = B·√n_s/Σ√n, n_s targets in each.
///
/// The square root gives small strata more than their share of devices: each needs its own
/// canaries. A stratum with targets gets at least one device, because with less it could never
/// begin; the sum may exceed B by as much, at most by one per stratum. The same bits under any
/// relabelling.
#[must_use]
pub fn shares(budget: u64, targets: &[u64]) -> Vec<f64> {
    let roots: Vec<f64> = targets.iter().map(|targets| sqrt(number(*targets))).collect();
    let sum = sum_sorted(roots.clone());
    let share = |root: &f64| {
        if *root > 0.0 { (number(budget) * root / sum).max(1.0) } else { 0.0 }
    };
    roots.iter().map(share).collect()
}

/// Size of the next element of a stratum: b_s = max(0, ⌊B_s/p_U − u_s⌋), where a hundredth of a
/// device is none: exposure never matures to the last bit.
///
/// `share` is B_s, `rate_upper` the bound p_U of the rate of faults, `unresolved` u_s the
/// devices that may still turn out harmed: updated ones less the matured exposure, and granted
/// ones not settled yet. If the rate is p_U, no more than B_s devices are then at risk without
/// being known. Ends in whole devices; infrastructure, sites and windows may lower it further.
#[must_use]
pub fn next_element(share: f64, rate_upper: f64, unresolved: f64) -> u64 {
    let rate_upper = rate_upper.clamp(RATE_MIN, 1.0);
    whole(floor(share.max(0.0) / rate_upper - unresolved.max(0.0) + ROUNDING))
}

/// The label of certainty that a bound of the rate of faults stands for (paper A's phases):
/// Test above 10 %, Cautious from 1 % to 10 %, Generalization below 1 %.
#[must_use]
pub fn certainty(rate_upper: f64) -> Phase {
    if rate_upper > 0.1 {
        Phase::Test
    } else if rate_upper >= 0.01 {
        Phase::Cautious
    } else {
        Phase::Generalization
    }
}

/// How the size of an element follows the response time of the servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfrastructureConfig {
    /// How the limit moves.
    pub rule: Adaptation,
    /// Response time relative to its own baseline that is still normal. Lower reacts to noise,
    /// higher lets queues build up.
    pub ratio_tolerated: f64,
    /// Smallest limit, in devices. 0 would never find out that the servers are well again.
    pub limit_min: f64,
    /// Largest limit, in devices.
    pub limit_max: f64,
}

/// How a limit follows the response time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Adaptation {
    /// In proportion to the response time, at most by half in one step; back by the square root
    /// of the limit.
    Gradient,
    /// By a factor, whatever the response time; back by a constant (additive increase,
    /// multiplicative decrease: Chiu and Jain 1989).
    Aimd {
        /// Devices added in a step.
        add: f64,
        /// Factor of a step down, between 0 and 1.
        keep: f64,
    },
}

impl Default for InfrastructureConfig {
    fn default() -> Self {
        Self {
            rule: Adaptation::Gradient,
            ratio_tolerated: 1.25,
            limit_min: 1.0,
            limit_max: 1_000_000.0,
        }
    }
}

/// The limit of the next step from the present one and the response time relative to its
/// baseline.
///
/// Gradient: limit·max(½, tolerated/ratio) above the tolerated ratio, limit + √limit at or below
/// it. Without a measurement the limit stays: no answer from the meter is neither good nor bad.
#[must_use]
pub fn next_limit(limit: f64, ratio: Option<f64>, config: &InfrastructureConfig) -> f64 {
    let lowest = config.limit_min.max(0.0);
    let highest = config.limit_max.max(lowest);
    let limit = limit.max(lowest).min(highest);
    let Some(ratio) = ratio.filter(|ratio| ratio.is_finite() && *ratio >= 0.0) else {
        return limit;
    };
    let calm = ratio <= config.ratio_tolerated;
    let next = match config.rule {
        Adaptation::Gradient if calm => limit + sqrt(limit),
        Adaptation::Gradient => limit * (config.ratio_tolerated / ratio).max(0.5),
        Adaptation::Aimd { add, .. } if calm => limit + add.max(0.0),
        Adaptation::Aimd { keep, .. } => limit * keep.clamp(0.0, 1.0),
    };
    next.max(lowest).min(highest)
}

/// Exposure below which a device counts as resolved.
const ROUNDING: f64 = 0.01;
/// Keeps the size finite when nothing at all is left to fear.
const RATE_MIN: f64 = 1e-9;
