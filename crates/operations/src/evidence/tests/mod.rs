//! Tests of the statistics: reference values, properties, operations simulated under the null.

mod examples;
mod null;
mod properties;
mod reference;

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

    /// Successes in `trials` of probability `chance`, by the gaps between them.
    fn binomial(&mut self, trials: u64, chance: f64) -> u64 {
        if chance <= 0.0 || trials == 0 {
            return 0;
        }
        if chance >= 1.0 {
            return trials;
        }
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
}
