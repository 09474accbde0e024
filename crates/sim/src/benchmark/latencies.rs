//! Times to answer, as a histogram of their logarithm.

/// How often the server took how long, by its usual time; kept to two in a hundred.
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    all: u64,
}

impl Latencies {
    /// So many answers took e^`log_factor` times the usual time.
    pub(super) fn add(&mut self, log_factor: f64, answers: u64) {
        if answers == 0 {
            return;
        }
        let at = (log_factor * STEPS + MIDDLE).round().clamp(0.0, 2.0 * MIDDLE) as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += answers;
        self.all += answers;
    }

    /// The multiple of the usual time that such a share of the answers stays below; none without
    /// any.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.all as f64 * share).ceil();
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen > 0 && seen as f64 >= wanted
        })?;
        Some(((at as f64 - MIDDLE) / STEPS).exp())
    }
}

/// Steps for a factor of e.
const STEPS: f64 = 50.0;
/// Where the usual time has its place; times reach from a 20 000th to 20 000 times of it.
const MIDDLE: f64 = 500.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_two_in_a_hundred() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.99), None);
        for number in 1..=1_000 {
            latencies.add((f64::from(number) / 100.0).ln(), 3);
        }
        for (share, expected) in [(0.5, 5.0), (0.99, 9.9)] {
            let found = latencies.quantile(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.02, "{share}: {found}");
        }
    }
}
