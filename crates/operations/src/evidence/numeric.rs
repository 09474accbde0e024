//! Sums of exponentials and the gamma distribution, from `libm` only.
//!
//! `libm` is plain arithmetic compiled from source, so every machine gets the same bits; the
//! functions of the standard library may call the platform's own. Sums run in the order given;
//! where the order must not matter, the values are sorted first.

use libm::{erfc, exp, lgamma, log, log1p, sqrt};

/// ln Σ exp(vᵢ), in the order given; −∞ for no values.
///
/// The largest value is taken out before the exponentials, so that nothing overflows.
pub(super) fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let mut sum = 0.0;
    for value in values {
        sum += exp(value - largest);
    }
    largest + log(sum)
}

/// ln of the mean of exp(vᵢ); 0, the neutral e-value, for no values.
pub(super) fn log_mean_exp(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    log_sum_exp(values) - log(count(values.len()))
}

/// ln(exp(a) + exp(b)); the same bits with the arguments exchanged.
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    let (large, small) = if a >= b { (a, b) } else { (b, a) };
    if !large.is_finite() {
        return large;
    }
    large + log1p(exp(small - large))
}

/// Sum of the values from the smallest to the largest: the same bits in whatever order they come.
pub(super) fn sum_sorted(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let mut sum = 0.0;
    for value in values {
        sum += value;
    }
    sum
}

/// A length as a float; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, far above any fleet")]
pub(super) const fn count(number: usize) -> f64 {
    number as f64
}

/// A count of devices or events as a float; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, far above any fleet")]
pub(crate) const fn number(count: u64) -> f64 {
    count as f64
}

/// The whole part of a float as a count: 0 for negative values and for none, saturating above.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and negative values were cut off"
)]
pub(super) const fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// z with Φ(z) = `probability`, the quantile of the standard normal distribution.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    let distance = |z: f64| 0.5 * erfc(-z / SQRT_2) - probability;
    let slope = |z: f64| exp(-0.5 * z * z) / SQRT_2_PI;
    solve(distance, slope, -38.0, 38.0, 0.0)
}

/// Q(a, x) = Γ(a, x)/Γ(a), the upper regularised incomplete gamma function, for a > 0, x ≥ 0.
///
/// Q(k + 1, x) is the probability of at most k events when x are expected (Poisson). Series
/// below x = a + 1, continued fraction above (NIST Digital Library of Mathematical Functions
/// 8.11.4 and 8.9.2). About √a·10⁻¹⁵ relative; the number of terms grows with √a.
pub(super) fn gamma_upper(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < a + 1.0 {
        return 1.0 - gamma_term(a, x) * lower_series(a, x);
    }
    gamma_term(a, x) * a * upper_fraction(a, x)
}

/// x with Q(a, x) = `upper`: the quantile of the gamma distribution, for a > 0, 0 < upper < 1.
pub(super) fn gamma_upper_inverse(a: f64, upper: f64) -> f64 {
    let start = wilson_hilferty(a, normal_quantile(1.0 - upper)).max(1e-300);
    let mut highest = start + 1.0;
    for _ in 0..ITERATIONS_MAX {
        if gamma_upper(a, highest) <= upper {
            break;
        }
        highest *= 2.0;
    }
    let distance = |x: f64| upper - gamma_upper(a, x);
    let slope = |x: f64| gamma_term(a, x) * a / x;
    solve(distance, slope, 0.0, highest, start)
}

/// a(1 − 1/(9a) + z/(3√a))³: Wilson and Hilferty's approximation of the quantile of the gamma
/// distribution of shape a (PNAS 17, 1931), z being the standard normal quantile.
pub(super) fn wilson_hilferty(a: f64, z: f64) -> f64 {
    let root = (1.0 - 1.0 / (9.0 * a) + z / (3.0 * sqrt(a))).max(0.0);
    a * root * root * root
}

/// x^a·e^(−x)/Γ(a + 1).
///
/// From 10 on by Stirling's series, because a·ln x − x − lnΓ(a + 1) loses digits as it grows.
fn gamma_term(a: f64, x: f64) -> f64 {
    if a < 10.0 {
        return exp(a * log(x) - x - lgamma(a + 1.0));
    }
    let apart = (x - a) / a;
    let inverse = 1.0 / (a * a);
    let stirling = STIRLING.iter().rev().fold(0.0, |sum, term| sum * inverse + term) / a;
    exp(-a * (apart - log1p(apart)) - stirling) / (SQRT_2_PI * sqrt(a))
}

/// Σ x^n/((a+1)…(a+n)).
fn lower_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut divisor) = (1.0, 1.0, a);
    for _ in 0..TERMS_MAX {
        divisor += 1.0;
        term *= x / divisor;
        sum += term;
        if term < sum * PRECISION {
            break;
        }
    }
    sum
}

/// The continued fraction of Γ(a, x)·e^x/x^a, by Lentz's method as modified by Thompson and
/// Barnett (1986).
fn upper_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    let mut index = 0.0;
    for _ in 0..TERMS_MAX {
        index += 1.0;
        let numerator = -index * (index - a);
        b += 2.0;
        d = 1.0 / away_from_zero(numerator * d + b);
        c = away_from_zero(b + numerator / c);
        let factor = d * c;
        fraction *= factor;
        if (factor - 1.0).abs() < FRACTION_PRECISION {
            break;
        }
    }
    fraction
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// The zero of a growing function between two bounds: Newton's method, halving the interval
/// where a step would leave it.
fn solve(
    distance: impl Fn(f64) -> f64,
    slope: impl Fn(f64) -> f64,
    mut lowest: f64,
    mut highest: f64,
    start: f64,
) -> f64 {
    let mut x = start;
    for _ in 0..ITERATIONS_MAX {
        let away = distance(x);
        if away > 0.0 {
            highest = x;
        } else {
            lowest = x;
        }
        let step = away / slope(x);
        let newton = x - step;
        if step.abs() <= ROOT_PRECISION * x.abs() {
            return newton;
        }
        let inside = newton > lowest && newton < highest;
        x = if inside { newton } else { lowest + (highest - lowest) / 2.0 };
    }
    x
}

/// 1/12, −1/360, 1/1260, …: B₂ₙ/(2n(2n−1)).
const STIRLING: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
];
const SQRT_2: f64 = core::f64::consts::SQRT_2;
const SQRT_2_PI: f64 = 2.506_628_274_631_000_7;
const PRECISION: f64 = 1e-15;
/// Below this the factors are rounding, and it may never end.
const FRACTION_PRECISION: f64 = 1e-14;
/// Finer steps only wander in the rounding of the distribution function.
const ROOT_PRECISION: f64 = 1e-12;
const TINY: f64 = 1e-300;
const TERMS_MAX: u32 = 20_000;
const ITERATIONS_MAX: u32 = 200;
