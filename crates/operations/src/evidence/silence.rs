//! When silence is a sign: a deadline learned from the gaps between contacts.

use model::{Habit, class_longest_s, gap_class};
use serde::{Deserialize, Serialize};

/// How deadlines are learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceConfig {
    /// Share of the gaps, in parts per million, that the deadline lies above.
    pub quantile_ppm: u64,
    /// Gaps a device must have had before its own quantile is taken; with fewer, those of its
    /// kind are taken too.
    pub gaps_min: u64,
    /// Gaps after which all counts are halved, so that a device's newer habits outweigh the
    /// older. At most 65,535.
    pub gaps_max: u64,
    /// Different lengths kept per device, 4 bytes each; the shortest ones are put together when
    /// there are more.
    pub lengths_max: usize,
    /// Shortest deadline, in seconds.
    pub deadline_min_s: u64,
    /// Longest deadline, in seconds: a device that was once away for a season must not be
    /// waited for that long again.
    pub deadline_max_s: u64,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        Self {
            quantile_ppm: 999_000,
            gaps_min: 20,
            gaps_max: 16_384,
            lengths_max: 16,
            deadline_min_s: 60,
            deadline_max_s: 1_209_600,
        }
    }
}

/// Lengths of the gaps between contacts, of one device or of a kind of devices.
///
/// A histogram with eight classes per doubling, in whole numbers only: quantiles are at most
/// 12.5 % too long and never too short (for one second to 2^31 seconds). Only classes that
/// occurred are kept, and when there are too many the shortest join, since a high quantile does
/// not need them (as in DDSketch: Masson, Rim, Lee, VLDB 12, 2019, arXiv:1908.10693).
///
/// Gaps that an update itself caused, and gaps that were counted as silence, do not belong here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gaps {
    /// Class and count, by growing class.
    classes: Vec<(u8, u16)>,
}

impl Gaps {
    /// Counts a gap.
    pub fn observe(&mut self, gap_s: u64, config: &SilenceConfig) {
        self.add(gap_class(gap_s), 1);
        self.limit(config);
    }

    /// Takes in the gaps of another, such as those of a device into those of its kind.
    pub fn merge(&mut self, other: &Self, config: &SilenceConfig) {
        for (class, gaps) in &other.classes {
            self.add(*class, *gaps);
        }
        self.limit(config);
    }

    /// Gaps counted, after halvings.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classes.iter().map(|(_, gaps)| u64::from(*gaps)).sum()
    }

    /// A length that at least this share of the gaps does not exceed, in seconds; none without
    /// a gap. With fewer than 1/(1 − share) gaps it is the longest one.
    #[must_use]
    pub fn quantile_s(&self, share_ppm: u64) -> Option<u64> {
        let needed = (u128::from(self.count()) * u128::from(share_ppm)).div_ceil(1_000_000);
        let mut below = 0;
        for (class, gaps) in &self.classes {
            below += u128::from(*gaps);
            if below >= needed {
                return Some(class_longest_s(*class));
            }
        }
        None
    }

    fn add(&mut self, class: u8, gaps: u16) {
        match self.classes.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => self.classes[at].1 = self.classes[at].1.saturating_add(gaps),
            Err(at) => self.classes.insert(at, (class, gaps)),
        }
    }

    fn limit(&mut self, config: &SilenceConfig) {
        let gaps_max = config.gaps_max.clamp(1, u64::from(u16::MAX));
        while self.count() > gaps_max {
            // Rounded up, so that the longest gap is not forgotten by being rare.
            for (_, gaps) in &mut self.classes {
                *gaps = gaps.div_ceil(2);
            }
            if self.classes.iter().all(|(_, gaps)| *gaps == 1) {
                break;
            }
        }
        while self.classes.len() > config.lengths_max.max(1) {
            let (_, gaps) = self.classes.remove(0);
            self.classes[0].1 = self.classes[0].1.saturating_add(gaps);
        }
    }
}

/// Time without contact after which a device counts as silent once an active probe has failed:
/// max(2 × lifetime, quantile of its own gaps), within the limits of `config`.
///
/// `kin` are the gaps of devices of its kind: they join in while it has fewer than `gaps_min` of
/// its own. The same rule for updated and for control devices, with the gaps from before the
/// operation, so that a change of habits by the update is seen and not learned.
#[must_use]
pub fn deadline_s(lifetime_s: u64, own: &Gaps, kin: Option<&Gaps>, config: &SilenceConfig) -> u64 {
    let kin = kin.filter(|_| own.count() < config.gaps_min);
    let kin_s = kin.and_then(|kin| kin.quantile_s(config.quantile_ppm));
    longest_of(lifetime_s, own.quantile_s(config.quantile_ppm), kin_s, config)
}

/// The same for a device of which only the compact habit is kept ([`Habit`], whose quantile is
/// the 99.9 % of `config`'s default).
#[must_use]
pub fn habit_deadline_s(
    lifetime_s: u64,
    own: &Habit,
    kin: Option<&Gaps>,
    config: &SilenceConfig,
) -> u64 {
    let kin = kin.filter(|_| own.seen() < config.gaps_min);
    let kin_s = kin.and_then(|kin| kin.quantile_s(config.quantile_ppm));
    longest_of(lifetime_s, own.longest_s(), kin_s, config)
}

fn longest_of(
    lifetime_s: u64,
    own_s: Option<u64>,
    kin_s: Option<u64>,
    config: &SilenceConfig,
) -> u64 {
    let habit_s = own_s.max(kin_s).unwrap_or(0);
    let deadline_s = lifetime_s.saturating_mul(2).max(habit_s);
    deadline_s.max(config.deadline_min_s).min(config.deadline_max_s)
}
