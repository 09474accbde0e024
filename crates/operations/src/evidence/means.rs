//! Continuous indicators: change of updated devices against change of control devices.

use libm::{log, log1p, sqrt};
use model::{Arm, Exact};
use serde::{Deserialize, Serialize};

use super::numeric::{log_mean_exp, number};

/// How one indicator is compared. Everything is in the unit of the values observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndicatorConfig {
    /// Values beyond ± this are taken to be at it (winsorised). Narrow bounds notice small
    /// shifts of quiet indicators sooner; a shift made only of outliers beyond them is lost.
    pub bound: f64,
    /// Difference of the means that is still tolerated, at least 0.
    pub tolerated: f64,
    /// Shares of the largest bet that cannot go broke, each between 0 and 1. Small ones find
    /// small shifts, large ones find large shifts soon; each one more costs every bet its share.
    pub bets: Vec<f64>,
    /// Longest time between two values that are compared, in seconds. Longer uses more of a thin
    /// supply; what drifts within that time (day and night) no longer cancels.
    pub apart_max_s: u64,
    /// Groups of values kept while they wait for a partner. Fewer use less memory (24 bytes
    /// each), more waste less of an uneven supply.
    pub waiting_max: usize,
    /// Probability with which the interval may ever miss the true difference.
    pub interval_alpha: f64,
}

impl Default for IndicatorConfig {
    fn default() -> Self {
        Self {
            bound: 1.0,
            tolerated: 0.05,
            bets: vec![0.05, 0.1, 0.2, 0.4, 0.65, 0.9],
            apart_max_s: 3_600,
            waiting_max: 32,
            interval_alpha: 0.05,
        }
    }
}

/// An anytime-valid test that an indicator became worse by the update, in one stratum.
///
/// A value is the change of one device's indicator from before to after (its own baseline
/// subtracted), turned so that larger is worse. Values are paired in order of arrival: each with
/// the oldest waiting group of the other arm, giving Z = treated − control in [−2c, 2c], c the
/// bound. What drifts for both arms alike cancels in Z, as far as it is slow against
/// `apart_max_s`; values that waited longer are dropped. For bets λ_k = f_k/(2c + δ),
///
/// E = mean_k ∏ᵢ (1 + λ_k·(Zᵢ − δ)),
///
/// a mean of constant-bet capital processes (Waudby-Smith and Ramdas, *Estimating means of
/// bounded random variables by betting*, JRSS B 86, 2024, arXiv:2010.09686). While the
/// difference of the means, given the pairs before, is at most the tolerated δ, each factor is
/// positive with expectation at most 1; the means may drift. Constant bets keep E monotone: no
/// treated value can lower it by being larger.
///
/// [`MeanDifference::interval`] is the predictable plug-in empirical-Bernstein confidence
/// sequence (theorem 2 there).
///
/// *Validity* is over completed pairs. Which values meet depends on their order and time alone; a
/// value that still waits must not decide anything else. Absent values, and those that are no
/// number, are neutral.
///
/// *Numerics.* Sums in the order of arrival; 1 + λ(Z − δ) ≥ 1 − f > 0, so no logarithm diverges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeanDifference {
    log_wealth: Vec<Exact>,
    pairs: u64,
    waiting: Vec<Group>,
    waiting_arm: Arm,
    moments: Moments,
}

/// Neighbouring values of one arm that will meet one value of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    sum: Exact,
    values: u64,
    /// Time of the oldest, in seconds.
    since_s: u64,
}

/// Running sums of the confidence sequence, of X = (Z + 2c)/(4c) in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Moments {
    sum: Exact,
    squares: Exact,
    weights: Exact,
    weighted: Exact,
    penalty: Exact,
}

/// A range that covers a value with a stated confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl MeanDifference {
    /// Starts without evidence.
    #[must_use]
    pub fn new(config: &IndicatorConfig) -> Self {
        Self {
            log_wealth: vec![Exact::new(0.0); config.bets.len()],
            pairs: 0,
            waiting: Vec::new(),
            waiting_arm: Arm::Control,
            moments: Moments::default(),
        }
    }

    /// Takes in the change of one device, measured at `at_s` in seconds of any origin; `None` and
    /// values that are no number are neutral. `config` must be the one the test was started with.
    pub fn observe(&mut self, arm: Arm, at_s: u64, change: Option<f64>, config: &IndicatorConfig) {
        let Some(change) = change.filter(|change| !change.is_nan()) else { return };
        let bound = config.bound.abs().max(BOUND_MIN);
        let value = change.clamp(-bound, bound);
        self.waiting.retain(|group| at_s.saturating_sub(group.since_s) <= config.apart_max_s);
        if self.waiting.is_empty() || self.waiting_arm == arm {
            self.wait(arm, at_s, value, config.waiting_max);
            return;
        }
        let group = self.waiting.remove(0);
        let other = group.sum.value() / number(group.values);
        let difference = match arm {
            Arm::Updated => value - other,
            Arm::Control => other - value,
        };
        self.bet(difference.clamp(-2.0 * bound, 2.0 * bound), bound, config);
    }

    /// Number of pairs compared so far.
    #[must_use]
    pub const fn pairs(&self) -> u64 {
        self.pairs
    }

    /// ln of the e-value of each bet.
    #[must_use]
    pub fn log_components(&self) -> Vec<f64> {
        self.log_wealth.iter().map(|wealth| wealth.value()).collect()
    }

    /// ln E, the mean over the bets.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        log_mean_exp(&self.log_components())
    }

    /// The difference of the means, treated − control: with probability `1 − interval_alpha` it
    /// lies in all of these intervals, whenever one looks. Everything possible before the first
    /// pair.
    #[must_use]
    pub fn interval(&self, config: &IndicatorConfig) -> Interval {
        let range = 4.0 * config.bound.abs().max(BOUND_MIN);
        let weights = self.moments.weights.value();
        if self.pairs == 0 || weights <= 0.0 {
            return Interval { lower: -range / 2.0, upper: range / 2.0 };
        }
        let centre = self.moments.weighted.value() / weights;
        let radius = (log(2.0 / config.interval_alpha) + self.moments.penalty.value()) / weights;
        let unscaled = |share: f64| (share.clamp(0.0, 1.0) - 0.5) * range;
        Interval { lower: unscaled(centre - radius), upper: unscaled(centre + radius) }
    }

    /// The middle of [`MeanDifference::interval`] before it is cut to what is possible: the mean
    /// of the differences, weighted as there. 0 before the first pair.
    #[must_use]
    pub fn difference(&self, config: &IndicatorConfig) -> f64 {
        let weights = self.moments.weights.value();
        if self.pairs == 0 || weights <= 0.0 {
            return 0.0;
        }
        let range = 4.0 * config.bound.abs().max(BOUND_MIN);
        (self.moments.weighted.value() / weights - 0.5) * range
    }

    fn wait(&mut self, arm: Arm, at_s: u64, value: f64, waiting_max: usize) {
        self.waiting_arm = arm;
        if self.waiting.len() >= waiting_max.max(2) {
            // By position alone, never by value: which values meet must not depend on them.
            self.waiting = self.waiting.chunks(2).map(Group::joined).collect();
        }
        self.waiting.push(Group { sum: Exact::new(value), values: 1, since_s: at_s });
    }

    fn bet(&mut self, difference: f64, bound: f64, config: &IndicatorConfig) {
        let tolerated = config.tolerated.max(0.0);
        let largest = 1.0 / (2.0 * bound + tolerated);
        for (wealth, share) in self.log_wealth.iter_mut().zip(&config.bets) {
            let stake = share.clamp(0.0, BET_MAX) * largest;
            let gain = log1p(stake * (difference - tolerated));
            *wealth = Exact::new(wealth.value() + gain);
        }
        self.moments.add(difference / (4.0 * bound) + 0.5, self.pairs, config.interval_alpha);
        self.pairs += 1;
    }
}

impl Group {
    /// At most two neighbours, the older first.
    fn joined(groups: &[Self]) -> Self {
        let mut all = groups[0];
        for group in &groups[1..] {
            all.sum = Exact::new(all.sum.value() + group.sum.value());
            all.values += group.values;
            all.since_s = all.since_s.min(group.since_s);
        }
        all
    }
}

impl Moments {
    /// Waudby-Smith and Ramdas, (13)–(15): weight from the mean and variance of the values
    /// before, then the value itself.
    fn add(&mut self, value: f64, before: u64, alpha: f64) {
        let seen = number(before);
        let mean_before = (0.5 + self.sum.value()) / (seen + 1.0);
        let variance_before = (0.25 + self.squares.value()) / (seen + 1.0);
        let index = seen + 1.0;
        let spread = variance_before * index * log1p(index);
        let weight = sqrt(2.0 * log(2.0 / alpha) / spread).min(0.5);
        let surprise = 4.0 * (value - mean_before) * (value - mean_before);
        self.weights = Exact::new(self.weights.value() + weight);
        self.weighted = Exact::new(self.weighted.value() + weight * value);
        let exponent = (-log1p(-weight) - weight) / 4.0;
        self.penalty = Exact::new(self.penalty.value() + surprise * exponent);
        self.sum = Exact::new(self.sum.value() + value);
        let mean = (0.5 + self.sum.value()) / (index + 1.0);
        let square = (value - mean) * (value - mean);
        self.squares = Exact::new(self.squares.value() + square);
    }
}

/// Keeps the bets finite for an indicator whose bound was set to nothing.
const BOUND_MIN: f64 = 1e-9;
const BET_MAX: f64 = 0.999;
