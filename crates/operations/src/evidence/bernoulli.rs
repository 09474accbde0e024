//! Outcomes of installations against a tolerated rate of failures.

use libm::{log, log1p};
use model::{Exact, Tolerance};
use serde::{Deserialize, Serialize};

use super::bound::poisson_upper;
use super::numeric::{log_sum_exp, number};

/// How failures of installations are judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstallConfig {
    /// Share of failures that is always tolerated. Higher lets weak faults through for longer,
    /// lower tests a good fleet against less than its ordinary noise.
    pub tolerated_min: f64,
    /// Largest share that is ever tolerated, however bad the history: above it an operation
    /// should not run by itself.
    pub tolerated_max: f64,
    /// How much worse than its history a stratum may become. 1 would test for any change.
    pub factor: f64,
    /// Probability with which the tolerated rate may lie below the true rate before the change.
    /// It adds to the probability of a false stop; smaller tolerates more while the history is
    /// short.
    pub shortfall: f64,
    /// Rate of failures assumed before anything is known.
    pub assumed_rate: f64,
    /// Attempts that assumption is worth; own history outweighs it as it grows beyond.
    pub assumed_attempts: f64,
    /// Most attempts that the history of a broader group (the fleet) is worth to a narrower one
    /// (the stratum).
    pub carried_attempts_max: f64,
    /// Alternatives, as multiples of the tolerated rate, each above 1. A fault between two of
    /// them is noticed a little later; each one more costs every alternative its share.
    pub multiples: Vec<f64>,
    /// The largest alternative, for changes that fail nearly everywhere.
    pub extreme: f64,
    /// Weight of each alternative, that of `extreme` last; those not given weigh nothing. Strong
    /// faults are proved by few failures whatever their weight; middling ones need it.
    pub weights: Vec<f64>,
}

impl InstallConfig {
    /// Weight of each component of [`Installs::log_components`], in its order; they add up to 1.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let weight =
            |at: usize| -> f64 { self.weights.get(at).copied().unwrap_or(0.0_f64).max(0.0) };
        let weights: Vec<f64> = (0..=self.multiples.len()).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }
}

impl Default for InstallConfig {
    fn default() -> Self {
        Self {
            tolerated_min: 0.0075,
            tolerated_max: 0.5,
            factor: 1.5,
            shortfall: 0.001,
            assumed_rate: 0.005,
            assumed_attempts: 200.0,
            carried_attempts_max: 1000.0,
            multiples: vec![1.5, 2.5, 5.0, 10.0, 25.0, 60.0],
            extreme: 0.8,
            weights: vec![0.03, 0.15, 0.35, 0.25, 0.12, 0.07, 0.03],
        }
    }
}

/// Installations of the past, of a stratum or of a broader group that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// Installations that failed for reasons of the device or of the way to it.
    pub failures: u64,
    /// Installations that ended at all. Those withdrawn for a faulty image do not belong here:
    /// they would teach the fleet to tolerate faults.
    pub attempts: u64,
}

/// Learns the tolerated rate from the past, broadest group first (fleet, then stratum).
///
/// Each level takes over the rate of the one before as `m` made-up attempts, `m` being at most
/// `carried_attempts_max` and never more than the broader group really had:
/// p̂ = (x + m·p̂′)/(n + m), the mean of a beta prior. With p̂ and its upper bound U at
/// `1 − shortfall` (Poisson, Garwood 1936, which is above the binomial one of Clopper and
/// Pearson 1934):
///
/// p_tol = min(`tolerated_max`, max(`tolerated_min`, `factor`·p̂, U)).
///
/// With a long history U comes down to p̂ and the factor rules. With a short one U rules, so that
/// p_tol is below the true rate with probability at most `shortfall`, as far as the attempts
/// are the stratum's own or those of a group that behaves like it; the made-up ones are a
/// belief, not a guarantee.
#[must_use]
pub fn tolerated(levels: &[History], config: &InstallConfig) -> Tolerance {
    let mut failures = config.assumed_rate * config.assumed_attempts;
    let mut attempts = config.assumed_attempts;
    for level in levels {
        let carried = attempts.min(config.carried_attempts_max);
        failures = number(level.failures) + failures * (carried / attempts.max(1e-9));
        attempts = number(level.attempts.max(level.failures)) + carried;
    }
    let attempts = attempts.max(1.0);
    let learned = (failures / attempts).min(1.0);
    let upper = (poisson_upper(failures, 1.0 - config.shortfall) / attempts).min(1.0);
    let rate = config.tolerated_min.max(config.factor * learned).max(upper);
    Tolerance {
        rate: Exact::new(rate.min(config.tolerated_max)),
        learned: Exact::new(learned),
        learned_upper: Exact::new(upper),
    }
}

/// Outcomes of installations in one stratum, and the evidence in them.
///
/// The e-process is a mixture of likelihood ratios over a fixed grid of rates p_j > p_tol,
///
/// E = Σ_j w_j · (p_j/p_tol)^x · ((1 − p_j)/(1 − p_tol))^y,
///
/// after x failures and y devices that have not failed: successes, and those under way. Each
/// factor has an expectation of at most 1 whenever the device's own probability of failing, given
/// the past, is at most p_tol; the devices need not be alike. So E is a test supermartingale for every rate up to p_tol: the probability that it
/// ever reaches 1/α is at most α (Ville 1939), at whatever times and sizes one looks (Wald 1945;
/// Ramdas, Grünwald, Vovk, Shafer, Statistical Science 38, 2023, arXiv:2210.01948). E grows with
/// every failure and falls with every success.
///
/// *Under way.* A failure is often told within minutes, and a success proved after a soak of hours:
/// of the outcomes known at a moment, more are failures than in the end. So a device counts as a
/// success from its begin on, until it fails. What it then stands for is never above the
/// expectation of what it comes to, whenever one looks, and the bound holds.
///
/// The state is counts, so that it does not depend on the order of outcomes. Devices that
/// were deferred or never contacted are no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Installs {
    /// Installations that failed.
    pub failures: u64,
    /// Installations that succeeded.
    pub successes: u64,
    /// Installations under way now.
    pub under_way: u64,
}

impl Installs {
    /// Counts further outcomes, after which so many installations are under way.
    pub const fn observe(&mut self, failures: u64, successes: u64, under_way: u64) {
        self.failures = self.failures.saturating_add(failures);
        self.successes = self.successes.saturating_add(successes);
        self.under_way = under_way;
    }

    /// ln of the e-value of each alternative, `multiples` first, then `extreme`.
    ///
    /// Alternatives at or below the tolerated rate are neutral (0), those above `extreme` are
    /// taken there, so that every stratum has the same number of components.
    #[must_use]
    pub fn log_components(&self, tolerated: Tolerance, config: &InstallConfig) -> Vec<f64> {
        let tolerated = tolerated.rate.value().clamp(RATE_MIN, RATE_MAX);
        let extreme = config.extreme.min(RATE_MAX);
        let unfailed = self.successes.saturating_add(self.under_way);
        let alternatives = config.multiples.iter().map(|multiple| multiple * tolerated);
        alternatives
            .chain([extreme])
            .map(|rate| {
                let rate = rate.min(extreme).max(tolerated);
                let failed = log(rate / tolerated);
                let succeeded = log1p((tolerated - rate) / (1.0 - tolerated));
                number(self.failures) * failed + number(unfailed) * succeeded
            })
            .collect()
    }

    /// ln E.
    #[must_use]
    pub fn log_e(&self, tolerated: Tolerance, config: &InstallConfig) -> f64 {
        let weighted = self.log_components(tolerated, config).into_iter().zip(config.weights());
        log_sum_exp(&weighted.map(|(log_e, weight)| log_e + log(weight)).collect::<Vec<_>>())
    }
}

/// Keeps the logarithms finite.
const RATE_MIN: f64 = 1e-9;
const RATE_MAX: f64 = 1.0 - 1e-9;
