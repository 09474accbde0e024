//! Draws from the distributions that a fleet is made of.

use crate::random::{Random, mix};

/// A sequence of draws that a seed determines.
#[derive(Debug, Clone)]
pub(super) struct Chance(Random);

impl Chance {
    /// Starts the sequence of a part of a run.
    pub(super) fn of(seed: u64, label: &str) -> Self {
        Self(Random::of(seed, label))
    }

    /// Between 0 and 1, neither of them included.
    pub(super) fn unit(&mut self) -> f64 {
        // 53 bits fill a double; the half keeps both ends out.
        ((self.0.number() >> 11) as f64 + 0.5) * UNIT
    }

    /// Yes with that probability.
    pub(super) fn yes(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Below `bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// Exponential with that mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -self.unit().ln() * mean
    }

    /// Standard normal (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Successes in `trials` independent trials.
    ///
    /// Small means by counting the gaps between successes, larger ones by transformed rejection
    /// (Hörmann, *The generation of binomial random variates*, J. Stat. Comput. Simul. 46, 1993,
    /// algorithm BTRS). Both are exact.
    pub(super) fn binomial(&mut self, trials: u64, probability: f64) -> u64 {
        if trials == 0 || probability <= 0.0 {
            return 0;
        }
        if probability >= 1.0 {
            return trials;
        }
        if probability > 0.5 {
            return trials - self.binomial(trials, 1.0 - probability);
        }
        if (trials as f64) * probability < SMALL_MEAN {
            self.binomial_by_gaps(trials, probability)
        } else {
            self.binomial_by_rejection(trials, probability)
        }
    }

    /// Poisson with that mean, as the limit of a binomial with very many trials.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        self.binomial(MANY, mean / MANY as f64)
    }

    fn binomial_by_gaps(&mut self, trials: u64, probability: f64) -> u64 {
        let log_miss = (-probability).ln_1p();
        let (mut seen, mut hits) = (0.0, 0);
        loop {
            seen += (self.unit().ln() / log_miss).floor() + 1.0;
            if seen > trials as f64 {
                return hits;
            }
            hits += 1;
        }
    }

    fn binomial_by_rejection(&mut self, trials: u64, p: f64) -> u64 {
        let (n, q) = (trials as f64, 1.0 - p);
        let spread = (n * p * q).sqrt();
        let b = 1.15 + 2.53 * spread;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let centre = n * p + 0.5;
        let inner = 0.92 - 4.2 / b;
        let alpha = (2.83 + 5.1 / b) * spread;
        let log_odds = (p / q).ln();
        let mode = ((n + 1.0) * p).floor();
        let height = log_factorial(mode) + log_factorial(n - mode);
        loop {
            let v = self.unit();
            let u = self.unit() - 0.5;
            let edge = 0.5 - u.abs();
            let k = ((2.0 * a / edge + b) * u + centre).floor();
            if k < 0.0 || k > n {
                continue;
            }
            if edge >= 0.07 && v <= inner {
                return k as u64;
            }
            let bound = height - log_factorial(k) - log_factorial(n - k) + (k - mode) * log_odds;
            if (v * alpha / (a / (edge * edge) + b)).ln() <= bound {
                return k as u64;
            }
        }
    }
}

/// The seed of one run: the same for every policy, so that all meet the same fleets.
pub(super) fn seed_of(seed: u64, scenario: &str, run: u64) -> u64 {
    mix(mix(seed ^ crate::random::hash(scenario.as_bytes())).wrapping_add(run))
}

/// ln k! for whole k (Stirling's series, better than 1e-12 from 10 on).
fn log_factorial(k: f64) -> f64 {
    if k < 10.0 {
        let mut product = 1.0;
        let mut factor = 2.0;
        while factor <= k {
            product *= factor;
            factor += 1.0;
        }
        return f64::ln(product);
    }
    let inverse = 1.0 / k;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1_260.0));
    (k + 0.5) * k.ln() - k + HALF_LOG_TAU + series
}

const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
const SMALL_MEAN: f64 = 10.0;
const MANY: u64 = 1 << 40;
const HALF_LOG_TAU: f64 = 0.918_938_533_204_672_8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws agree with the mean and variance of their distribution within four standard errors.
    fn check(mean: f64, variance: f64, mut draw: impl FnMut(&mut Chance) -> f64) {
        let mut chance = Chance::of(7, "moments");
        let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut chance)).collect();
        let n = draws.len() as f64;
        let found = draws.iter().sum::<f64>() / n;
        let spread = draws.iter().map(|x| (x - found).powi(2)).sum::<f64>() / n;
        assert!((found - mean).abs() < 4.0 * (variance / n).sqrt(), "mean {found} for {mean}");
        assert!((spread / variance - 1.0).abs() < 0.2, "variance {spread} for {variance}");
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        for (trials, p) in
            [(5, 0.3), (40, 0.02), (100, 0.5), (1_000, 0.9), (95_000, 0.033), (1_000_000, 0.2)]
        {
            let n = trials as f64;
            check(n * p, n * p * (1.0 - p), |chance| chance.binomial(trials, p) as f64);
        }
        for mean in [0.2, 3.0, 40.0, 900.0] {
            check(mean, mean, |chance| chance.poisson(mean) as f64);
        }
        check(3.0, 9.0, |chance| chance.exponential(3.0));
        check(0.0, 1.0, |chance| chance.normal());
        check(0.5, 1.0 / 12.0, |chance| chance.unit());
    }

    #[test]
    fn sure_things_are_sure() {
        let mut chance = Chance::of(1, "sure");
        assert_eq!(chance.binomial(0, 0.5), 0);
        assert_eq!(chance.binomial(9, 0.0), 0);
        assert_eq!(chance.binomial(9, 1.0), 9);
        assert!((0..1_000).all(|_| chance.binomial(3, 0.5) <= 3));
        assert!((log_factorial(20.0) - 42.335_616_460_753_485).abs() < 1e-9);
    }
}
