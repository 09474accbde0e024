//! Times that chance draws: gaps between contacts, installations, the way to a fault.

use model::Span;
use serde::{Deserialize, Serialize};

use super::chance::Chance;

/// How a time is spread. In a file: `{ fixed = "10m" }`, `{ exponential = "30m" }` (its mean) or
/// `{ lognormal = { median = "10m", sigma = 0.3 } }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Times {
    /// Always the same.
    Fixed(Span),
    /// Without memory; its mean.
    Exponential(Span),
    /// Many short ones, few long ones.
    Lognormal {
        /// Half are shorter.
        median: Span,
        /// Standard deviation of the logarithm, 0 to 3.
        sigma: f64,
    },
}

impl Times {
    /// Says what is wrong with it, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Fixed(span) | Self::Exponential(span) | Self::Lognormal { median: span, .. }
                if span.0.is_zero() =>
            {
                Some("is 0; write a time above zero, e.g. `10m`".to_owned())
            }
            Self::Lognormal { sigma, .. } if !(0.0..=3.0).contains(sigma) => {
                Some(format!("has sigma {sigma}; it must be 0 to 3"))
            }
            _ => None,
        }
    }

    /// Mean, in seconds.
    pub(super) fn mean_s(&self) -> f64 {
        match self {
            Self::Fixed(span) | Self::Exponential(span) => span.0.as_secs_f64(),
            Self::Lognormal { median, sigma } => {
                median.0.as_secs_f64() * (sigma * sigma / 2.0).exp()
            }
        }
    }

    /// Draws one, in seconds.
    pub(super) fn draw_s(&self, chance: &mut Chance) -> f64 {
        match self {
            Self::Fixed(span) => span.0.as_secs_f64(),
            Self::Exponential(mean) => chance.exponential(mean.0.as_secs_f64()),
            Self::Lognormal { median, sigma } => {
                median.0.as_secs_f64() * (sigma * chance.normal()).exp()
            }
        }
    }

    /// Draws the time from any moment to the next end of such a gap, in seconds; looking back it
    /// is the time since the last one (the stationary residual of a renewal process).
    pub(super) fn residual_s(&self, chance: &mut Chance) -> f64 {
        match self {
            Self::Fixed(span) => chance.unit() * span.0.as_secs_f64(),
            Self::Exponential(mean) => chance.exponential(mean.0.as_secs_f64()),
            Self::Lognormal { median, sigma } => {
                // The gap that a moment falls into is drawn in proportion to its length.
                let shifted = sigma * sigma + sigma * chance.normal();
                chance.unit() * median.0.as_secs_f64() * shifted.exp()
            }
        }
    }

    /// Probability that at least one such gap ends within `span_s`: ∫₀ˢ P(gap > u) du ÷ mean.
    pub(super) fn within(&self, span_s: f64) -> f64 {
        let mean_s = self.mean_s();
        match self {
            Self::Fixed(_) => (span_s / mean_s).min(1.0),
            Self::Exponential(_) => -(-span_s / mean_s).exp_m1(),
            Self::Lognormal { median, sigma } if *sigma > 0.0 => {
                let log_ratio = (span_s / median.0.as_secs_f64()).ln();
                let shorter = mean_s * normal_below(log_ratio / sigma - sigma);
                let longer = span_s * (1.0 - normal_below(log_ratio / sigma));
                ((shorter + longer) / mean_s).min(1.0)
            }
            Self::Lognormal { .. } => (span_s / mean_s).min(1.0),
        }
    }
}

/// Standard normal distribution function (Abramowitz and Stegun 26.2.17, error below 8e-8).
fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt() * poly;
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_contacts_agree_with_draws() {
        let mut chance = Chance::of(3, "times");
        for times in [
            Times::Fixed(Span::secs(600)),
            Times::Exponential(Span::secs(1_800)),
            Times::Lognormal { median: Span::secs(900), sigma: 0.8 },
        ] {
            let n = 40_000;
            let mean = (0..n).map(|_| times.draw_s(&mut chance)).sum::<f64>() / f64::from(n);
            assert!((mean / times.mean_s() - 1.0).abs() < 0.03, "{times:?}: {mean}");
            for span_s in [60.0, 300.0, 3_600.0] {
                let hits = (0..n).filter(|_| times.residual_s(&mut chance) <= span_s).count();
                let share = hits as f64 / f64::from(n);
                let within = times.within(span_s);
                let error = (within * (1.0 - within) / f64::from(n)).sqrt();
                assert!((share - within).abs() < 4.0 * error + 1e-6, "{times:?} {span_s}: {share}");
            }
        }
    }
}
