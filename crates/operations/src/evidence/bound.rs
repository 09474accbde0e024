//! How high the rate of faults may be, given what has shown itself by now.

use std::collections::BTreeMap;

use libm::exp;
use serde::{Deserialize, Serialize};

use super::numeric::{gamma_upper_inverse, number, wilson_hilferty};

/// How exposure matures and how the rate of faults is bounded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoundConfig {
    /// How long faults take to show themselves, as a mixture. More weight on long times keeps
    /// the budget for late faults too, and makes every operation slower.
    pub latencies: Vec<Latency>,
    /// Confidence of the upper bound.
    pub confidence: f64,
    /// How the events that would have happened anyway are taken off.
    pub baseline: Baseline,
    /// Width in which update times are kept, in seconds. Wider costs less memory and sees
    /// exposure up to that much younger than it is.
    pub bucket_s: u64,
    /// Age at which exposure counts as mature, in seconds; bounds the number of buckets.
    pub matured_s: u64,
}

/// One term of the mixture of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Mean time until the fault shows itself, in seconds.
    pub mean_s: u64,
    /// Share of the faults with this latency.
    pub weight: f64,
}

/// How the expected number of benign events is taken off the observed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Baseline {
    /// Off the count, then the bound: the bound of the excess as if the excess alone had been
    /// seen. Fast, and too low when the benign events are many.
    Count,
    /// Off the bound: the bound of all events less the expected ones, and never below the bound
    /// of none. Covers the noise of the benign events; slower where they are frequent.
    Bound,
}

impl Default for BoundConfig {
    fn default() -> Self {
        Self {
            latencies: vec![
                Latency { mean_s: 3_600, weight: 0.5 },
                Latency { mean_s: 21_600, weight: 0.3 },
                Latency { mean_s: 86_400, weight: 0.2 },
            ],
            confidence: 0.95,
            baseline: Baseline::Count,
            bucket_s: 300,
            matured_s: 604_800,
        }
    }
}

/// Share of the faults that show themselves by a given age:
/// F(a) = Σ_j w_j·(1 − exp(−(a − d)/τ_j)) for a > d, else 0.
///
/// d is the deadline of silence in seconds: before it, silence cannot be seen. The weights are
/// taken relative to their sum. In [0, 1], growing with the age.
#[must_use]
pub fn maturity(age_s: u64, deadline_s: u64, config: &BoundConfig) -> f64 {
    let since = number(age_s.saturating_sub(deadline_s));
    if since <= 0.0 {
        return 0.0;
    }
    let (mut shown, mut weights) = (0.0, 0.0);
    for latency in &config.latencies {
        let weight = latency.weight.max(0.0);
        shown += weight * (1.0 - exp(-since / number(latency.mean_s.max(1))));
        weights += weight;
    }
    if weights > 0.0 { shown / weights } else { 0.0 }
}

/// Updated devices of one stratum by the time of their update.
///
/// Times are rounded up to a bucket, so exposure is never counted as older than it is. Buckets
/// older than 288 widths (a day at the default) are joined by twelve, those older than
/// `matured_s` are counted as mature: at most 289 + `matured_s`/(12·`bucket_s`) of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exposure {
    buckets: BTreeMap<u64, u64>,
    mature: u64,
}

impl Exposure {
    /// Counts devices updated at `at_s`, in seconds of any origin.
    pub fn add(&mut self, at_s: u64, devices: u64, config: &BoundConfig) {
        if devices > 0 {
            *self.buckets.entry(bucket(at_s, config)).or_default() += devices;
        }
    }

    /// Takes out a device updated at `at_s` that is no longer exposed, such as one that was
    /// updated again or removed. Without such a device nothing changes.
    pub fn remove(&mut self, at_s: u64, config: &BoundConfig) {
        for key in [bucket(at_s, config), wide_bucket(at_s, config)] {
            if let Some(devices) = self.buckets.get_mut(&key) {
                *devices -= 1;
                if *devices == 0 {
                    self.buckets.remove(&key);
                }
                return;
            }
        }
        self.mature = self.mature.saturating_sub(1);
    }

    /// Forgets the exact times of exposure that is old at `now_s`. What is to count as mature has
    /// to be older by the `deadline_s` of silence, before which nothing can be seen.
    pub fn settle(&mut self, now_s: u64, deadline_s: u64, config: &BoundConfig) {
        let old_s = now_s.saturating_sub(config.bucket_s.saturating_mul(NARROW_BUCKETS));
        let mature_s = now_s.saturating_sub(config.matured_s.saturating_add(deadline_s));
        while let Some(oldest) = self.buckets.first_entry().filter(|it| *it.key() < mature_s) {
            self.mature += oldest.remove();
        }
        let is_narrow = |at_s: &u64| wide_bucket(*at_s, config) != *at_s;
        let narrow: Vec<u64> = self.buckets.range(..old_s).map(|(at_s, _)| *at_s).collect();
        for at_s in narrow.into_iter().filter(is_narrow) {
            let devices = self.buckets.remove(&at_s).unwrap_or(0);
            *self.buckets.entry(wide_bucket(at_s, config)).or_default() += devices;
        }
    }

    /// Devices exposed.
    #[must_use]
    pub fn devices(&self) -> u64 {
        self.mature + self.buckets.values().sum::<u64>()
    }

    /// Matured exposure in devices, n_eff = Σ_i F(age_i), oldest first.
    ///
    /// Cost: for each bucket a product for each latency. Neighbours are one or
    /// `JOINED_BUCKETS` widths apart, so that e^(−since/τ) of one follows from that of the one
    /// before; over all buckets that loses less than 10⁻¹² relative.
    #[must_use]
    pub fn matured(&self, now_s: u64, deadline_s: u64, config: &BoundConfig) -> f64 {
        let mut decays: Vec<Decay> =
            config.latencies.iter().map(|latency| Decay::new(*latency, config)).collect();
        let weights: f64 = decays.iter().map(|decay| decay.weight).sum();
        let mut matured = number(self.mature);
        if weights <= 0.0 {
            return matured;
        }
        for (at_s, devices) in &self.buckets {
            let since_s = now_s.saturating_sub(*at_s).saturating_sub(deadline_s);
            if since_s == 0 {
                break;
            }
            let shown: f64 = decays.iter_mut().map(|decay| decay.shown(since_s)).sum();
            matured += number(*devices) * (shown / weights);
        }
        matured
    }
}

/// What [`maturity`] is of one latency, for times that fall.
#[derive(Debug)]
struct Decay {
    weight: f64,
    mean_s: f64,
    // The time asked for last, and e^(−since/τ) of it.
    since_s: u64,
    left: f64,
    // Steps in seconds whose factors are known.
    steps: [(u64, f64); 2],
}

impl Decay {
    fn new(latency: Latency, config: &BoundConfig) -> Self {
        let mean_s = number(latency.mean_s.max(1));
        let narrow_s = config.bucket_s.max(1);
        let steps = [narrow_s, narrow_s.saturating_mul(JOINED_BUCKETS)];
        Self {
            weight: latency.weight.max(0.0),
            mean_s,
            since_s: u64::MAX,
            left: 0.0,
            steps: steps.map(|step_s| (step_s, exp(number(step_s) / mean_s))),
        }
    }

    /// The weight times the share that shows itself within a time, which is at most the last one.
    fn shown(&mut self, since_s: u64) -> f64 {
        let step_s = self.since_s.saturating_sub(since_s);
        let known = self.steps.iter().find(|(known_s, _)| *known_s == step_s);
        self.left = match known {
            // What is almost nothing has lost its digits.
            Some((_, factor)) if self.left > LEFT_MIN => self.left * factor,
            _ => exp(-number(since_s) / self.mean_s),
        };
        self.since_s = since_s;
        self.weight * (1.0 - self.left)
    }
}

fn bucket(at_s: u64, config: &BoundConfig) -> u64 {
    at_s.next_multiple_of(config.bucket_s.max(1))
}

fn wide_bucket(at_s: u64, config: &BoundConfig) -> u64 {
    bucket(at_s, config).next_multiple_of(config.bucket_s.max(1).saturating_mul(JOINED_BUCKETS))
}

/// Events the updated devices would have had anyway: the rate of the control times the exposure
/// of the updated ones, both exposures in the same unit. Without control nothing is expected,
/// which takes every event for a fault.
#[must_use]
pub fn expected_events(control_events: u64, control_exposure: f64, treated_exposure: f64) -> f64 {
    if control_exposure > 0.0 {
        number(control_events) * (treated_exposure.max(0.0) / control_exposure)
    } else {
        0.0
    }
}

/// An upper bound on the rate of faults, with what it was made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultBound {
    /// Events above the expected ones, at least 0.
    pub excess: f64,
    /// Upper bound of the number of faults among the matured exposure.
    pub faults_upper: f64,
    /// Upper bound of the share of devices harmed, in (0, 1].
    pub rate_upper: f64,
}

/// Bounds the rate of faults from above: p_U = U(x)/(n_eff + 1), at most 1.
///
/// x = `events` − `expected`, U the exact Poisson bound ([`poisson_upper`]): 3.0 for no event
/// (the "rule of three"), 4.74 for one, 6.30 for two at 95 %. How `expected` comes off is
/// [`BoundConfig::baseline`]. It is a bound at one look, for the size of the next element; what
/// stops an operation is the e-values.
#[must_use]
pub fn fault_bound(events: u64, expected: f64, matured: f64, config: &BoundConfig) -> FaultBound {
    let expected = expected.max(0.0);
    let excess = (number(events) - expected).max(0.0);
    let faults_upper = match config.baseline {
        Baseline::Count => poisson_upper(excess, config.confidence),
        Baseline::Bound => {
            let all = poisson_upper(number(events), config.confidence) - expected;
            all.max(poisson_upper(0.0, config.confidence))
        }
    };
    let rate_upper = (faults_upper / (matured.max(0.0) + 1.0)).min(1.0);
    FaultBound { excess, faults_upper, rate_upper }
}

/// Upper confidence bound of the mean of a Poisson count after `events`, which may be fractional.
///
/// U solves Q(x + 1, U) = 1 − confidence, half the chi-square quantile with 2x + 2 degrees of
/// freedom (Garwood, Biometrika 28, 1936). Within 10⁻¹¹ relative up to 10,000 events; above,
/// Wilson and Hilferty's approximation is within 10⁻⁶ and takes its place, as the exact series
/// get long. `confidence` is taken within [10⁻⁹, 1 − 10⁻⁹].
#[must_use]
pub fn poisson_upper(events: f64, confidence: f64) -> f64 {
    let shape = events.max(0.0) + 1.0;
    let confidence = confidence.clamp(CONFIDENCE_MIN, 1.0 - CONFIDENCE_MIN);
    if shape <= 1.0 {
        // Q(1, U) = exp(−U): the most frequent case needs no search.
        return -libm::log(1.0 - confidence);
    }
    if shape > SHAPE_MAX {
        return poisson_upper_approximate(events, confidence);
    }
    gamma_upper_inverse(shape, 1.0 - confidence)
}

/// [`poisson_upper`] by Wilson and Hilferty's approximation (PNAS 17, 1931):
/// a(1 − 1/(9a) + z/(3√a))³ with a = x + 1. Within 2 % for no event, 0.1 % from two on, at 95 %.
#[must_use]
pub fn poisson_upper_approximate(events: f64, confidence: f64) -> f64 {
    let confidence = confidence.clamp(CONFIDENCE_MIN, 1.0 - CONFIDENCE_MIN);
    wilson_hilferty(events.max(0.0) + 1.0, super::numeric::normal_quantile(confidence))
}

const NARROW_BUCKETS: u64 = 288;
const JOINED_BUCKETS: u64 = 12;
/// Below it a share is calculated anew.
const LEFT_MIN: f64 = 1e-200;
const CONFIDENCE_MIN: f64 = 1e-9;
const SHAPE_MAX: f64 = 10_000.0;
