//! Paper A's four strategies (§III-E): the size of the next element over k.

use model::{Rate, Strategy};

/// The size of an element after `favourable` net favourable iterations (k), in whole devices,
/// from the first size b₀ on and never above `speed_max`.
///
/// Linear b₀ + a·k; Power b₀·(k+1)^p; Polynomial b₀ + a·k + c·k²; Exponential b₀·g^k, rounded to
/// the nearest in each step. Saturating integers: no formula overflows or rounds differently on
/// another machine (rule 11).
#[must_use]
pub(crate) fn size(strategy: &Strategy, first: u32, favourable: i32, speed_max: u32) -> u32 {
    let first = u64::from(first);
    let limit = u64::from(speed_max.max(1));
    let k = u64::try_from(favourable).unwrap_or(0);
    let size = match *strategy {
        Strategy::Linear { add } => first.saturating_add(u64::from(add).saturating_mul(k)),
        Strategy::Power { exponent } => first.saturating_mul((k + 1).saturating_pow(exponent)),
        Strategy::Polynomial { linear, square } => first
            .saturating_add(u64::from(linear).saturating_mul(k))
            .saturating_add(u64::from(square).saturating_mul(k.saturating_mul(k))),
        Strategy::Exponential { factor } => exponential(first, factor, k, limit),
    };
    u32::try_from(size.clamp(1, limit)).unwrap_or(u32::MAX)
}

/// b₀·g^k, stopping as soon as the limit is reached or a step changes nothing.
fn exponential(first: u64, factor: Rate, k: u64, limit: u64) -> u64 {
    let whole = u64::from(Rate::WHOLE.as_basis_points());
    let mut size = first;
    for _ in 0..k {
        let next =
            size.saturating_mul(u64::from(factor.as_basis_points())).saturating_add(whole / 2)
                / whole;
        if next == size || size >= limit {
            break;
        }
        size = next;
    }
    size
}

/// The largest k that still matters: the smallest one that reaches `speed_max`, or `k` itself
/// below that.
///
/// Without this bound k would grow on while the size is at its limit, and the first bad element
/// would lower k without lowering the size: the brake would have play.
#[must_use]
pub(crate) fn bounded(strategy: &Strategy, first: u32, k: i32, speed_max: u32) -> i32 {
    let reaches = |k: i32| size(strategy, first, k, speed_max) >= speed_max.max(1);
    if k <= 0 || !reaches(k) {
        return k.max(0);
    }
    // The size never falls with k, so the smallest k that reaches the limit is found by halving.
    let (mut below, mut at) = (-1, k);
    while at - below > 1 {
        let middle = below + (at - below) / 2;
        if reaches(middle) {
            at = middle;
        } else {
            below = middle;
        }
    }
    at.max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(strategy: Strategy, first: u32, speed_max: u32, expected: [u32; 6]) {
        let sizes: Vec<u32> = (0..6).map(|k| size(&strategy, first, k, speed_max)).collect();
        assert_eq!(sizes, expected, "{strategy:?}");
    }

    #[test]
    fn each_strategy_follows_its_formula() {
        // Reference: paper A §III-E d), "variation can be Linear, Power, Polynomial, Exponential".
        let free = u32::MAX;
        check(Strategy::Linear { add: 3 }, 2, free, [2, 5, 8, 11, 14, 17]);
        check(Strategy::Linear { add: 0 }, 2, free, [2; 6]);
        check(Strategy::Power { exponent: 2 }, 1, free, [1, 4, 9, 16, 25, 36]);
        check(Strategy::Power { exponent: 0 }, 5, free, [5; 6]);
        check(Strategy::Polynomial { linear: 1, square: 2 }, 1, free, [1, 4, 11, 22, 37, 56]);
        check(Strategy::Exponential { factor: Rate::percent(200) }, 1, free, [1, 2, 4, 8, 16, 32]);
        check(Strategy::Exponential { factor: Rate::percent(150) }, 1, free, [1, 2, 3, 5, 8, 12]);
        check(Strategy::Exponential { factor: Rate::percent(200) }, 1, 9, [1, 2, 4, 8, 9, 9]);
        check(Strategy::Linear { add: 3 }, 10, 4, [4; 6]);
    }

    #[test]
    fn sizes_stay_in_bounds_for_any_k() {
        for strategy in [
            Strategy::Linear { add: u32::MAX },
            Strategy::Power { exponent: u32::MAX },
            Strategy::Polynomial { linear: u32::MAX, square: u32::MAX },
            Strategy::Exponential { factor: Rate::basis_points(u32::MAX) },
            Strategy::Exponential { factor: Rate::WHOLE },
        ] {
            for k in [-5, 0, 1, 1_000, i32::MAX] {
                let size = size(&strategy, 1, k, 100);
                assert!((1..=100).contains(&size), "{strategy:?} {k} {size}");
            }
        }
    }

    #[test]
    fn k_stops_where_the_size_does() {
        let doubling = Strategy::Exponential { factor: Rate::percent(200) };
        for (k, speed_max, expected) in [(3, 37, 3), (6, 37, 6), (12, 37, 6), (0, 1, 0), (9, 1, 0)]
        {
            assert_eq!(bounded(&doubling, 1, k, speed_max), expected, "{k} {speed_max}");
        }
    }
}
