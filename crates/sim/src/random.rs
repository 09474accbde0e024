//! The only source of chance in the simulator: a number drawn from a seed (rule 1).

use std::time::Duration;

use model::Rate;

/// A sequence of numbers that a seed determines (SplitMix64: one addition and a bijective mix).
///
/// Good enough to spread faults and delays; not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Starts the sequence of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts a sequence of its own for `label`, so that a draw more in one part of a simulation
    /// changes nothing in the others.
    pub(crate) fn of(seed: u64, label: &str) -> Self {
        Self(mix(seed ^ hash(label.as_bytes())))
    }

    /// Draws any number.
    pub(crate) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is below the bound, with a bias nobody can measure here.
        let product = u128::from(self.number()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Draws a number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Draws a time from `low` to `high`.
    pub(crate) fn span(&mut self, low: Duration, high: Duration) -> Duration {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.between(micros(low), micros(high)))
    }

    /// Tells yes in that share of the draws.
    pub(crate) fn chance(&mut self, share: Rate) -> bool {
        self.below(u64::from(Rate::WHOLE.as_basis_points())) < u64::from(share.as_basis_points())
    }

    /// Draws one of the elements, which there must be.
    pub(crate) fn one<'a, T>(&mut self, elements: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(elements.len() as u64)).unwrap_or(0);
        &elements[index]
    }
}

/// Maps a number to another one such that neighbours end up far apart; no two meet.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Maps bytes to a number (FNV-1a).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_with_the_seed_and_stay_in_their_bounds() {
        let draw = |seed| {
            let mut random = Random::of(seed, "test");
            (0..100).map(|_| random.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(|number| (3..=9).contains(number)));
        assert_eq!(Random::new(1).below(0), 0);
    }

    #[test]
    fn a_chance_comes_true_about_as_often_as_its_share() {
        let mut random = Random::new(7);
        let hits = (0..10_000).filter(|_| random.chance(Rate::percent(20))).count();
        assert!((1_850..2_150).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| random.chance(Rate::ZERO)));
        assert!((0..1_000).all(|_| random.chance(Rate::WHOLE)));
    }
}
