//! Tests of the statistics: reference values, properties, operations simulated under the null.

mod examples;
mod null;
mod properties;
mod reference;

use crate::evidence::numeric::log_mean_exp;
use crate::evidence::{HealthConfig, Logrank};

/// The window of an age besides the last one, which holds all ages. A limit belongs to the window
/// above it.
fn window_of(config: &HealthConfig, age_s: u64) -> usize {
    config.age_limits_s.iter().take_while(|limit| age_s >= **limit).count()
}

/// ln of the mean e-value of some components of a health test: those of one window, or all.
fn log_e_of(health: &Logrank, window: Option<usize>) -> f64 {
    let components = health.log_components();
    let alternatives = components.len() / health.events().len().max(1);
    match window {
        Some(window) => log_mean_exp(&components[window * alternatives..][..alternatives]),
        None => log_mean_exp(&components),
    }
}

/// A small deterministic source of numbers for simulations (a Weyl sequence, mixed).
struct Source(u64);

impl Source {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let mut word = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for _ in 0..3 {
            word ^= word >> 31;
            word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
            word ^= word >> 29;
        }
        word
    }

    /// In (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.word() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.word() % limit.max(1)
    }

    /// Successes in `trials` of probability `chance`.
    fn binomial(&mut self, trials: u64, chance: f64) -> u64 {
        let expected = trials as f64 * chance;
        if expected <= 0.0 {
            0
        } else if chance > 0.5 {
            trials - self.binomial(trials, (1.0 - chance).max(0.0))
        } else if expected < 30.0 {
            self.by_gaps(trials, chance)
        } else {
            self.around_the_mode(trials, chance)
        }
    }

    fn by_gaps(&mut self, trials: u64, chance: f64) -> u64 {
        let per_gap = libm::log1p(-chance);
        let (mut at, mut successes) = (0.0, 0);
        loop {
            at += (libm::log(self.unit()) / per_gap).floor() + 1.0;
            if at > trials as f64 {
                return successes;
            }
            successes += 1;
        }
    }

    /// Inversion, adding up probabilities from the most likely number to both sides.
    fn around_the_mode(&mut self, trials: u64, chance: f64) -> u64 {
        let n = trials as f64;
        let mode = ((n + 1.0) * chance).floor();
        let ways = libm::lgamma(n + 1.0) - libm::lgamma(mode + 1.0) - libm::lgamma(n - mode + 1.0);
        let likelihood = mode * libm::log(chance) + (n - mode) * libm::log1p(-chance);
        let odds = chance / (1.0 - chance);
        let (mut low, mut high) = (mode, mode);
        let (mut at_low, mut at_high) =
            (libm::exp(ways + likelihood), libm::exp(ways + likelihood));
        let mut left = self.unit() - at_low;
        while left > 0.0 && (low > 0.0 || high < n) && at_low + at_high > 1e-18 {
            if high < n {
                at_high *= odds * (n - high) / (high + 1.0);
                high += 1.0;
                left -= at_high;
                if left <= 0.0 {
                    return high as u64;
                }
            }
            if low > 0.0 {
                at_low *= low / ((n - low + 1.0) * odds);
                low -= 1.0;
                left -= at_low;
                if left <= 0.0 {
                    return low as u64;
                }
            }
        }
        mode as u64
    }
}
