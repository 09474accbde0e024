//! How long a device is usually out of contact.

use serde::{Deserialize, Serialize};

/// The gaps between a device's contacts, in six bytes: enough for the one question that is asked of
/// them, which length 99.9 % of them do not exceed.
///
/// Of the newest 750 to 1,000 gaps that is the longest one, so that the longest of each of the last
/// four times 250 gaps is all that is kept. Lengths are kept in eight classes per doubling
/// ([`gap_class`]): the answer is at most 12.5 % too long and never too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Habit {
    /// Class of the longest gap of each period, the running one first; 0 without one.
    longest: [u8; PERIODS],
    /// Gaps of the running period.
    gaps: u8,
    /// Gaps in all, up to 255.
    seen: u8,
}

const PERIODS: usize = 4;
const GAPS_PER_PERIOD: u8 = 250;
/// Gaps that are taken as they are, before anything is known.
const GAPS_FIRST: u8 = 20;

impl Habit {
    /// Counts a gap, in seconds; none at all is part of the same contact. Returns whether the
    /// answer changed or came to rest on enough gaps, so that it is worth being stored.
    ///
    /// Once there are twenty, a gap counts for twice the longest one known at most: a device that
    /// was away for a season is not waited for that long again, and one that changes its habits is
    /// followed within a few contacts.
    pub fn learn(&mut self, gap_s: u64) -> bool {
        if gap_s == 0 {
            return false;
        }
        let known = self.class();
        let mut class = gap_class(gap_s);
        if self.seen >= GAPS_FIRST {
            class = class.min(known.saturating_add(CLASSES_PER_DOUBLING));
        }
        if self.gaps >= GAPS_PER_PERIOD {
            self.longest.rotate_right(1);
            self.longest[0] = 0;
            self.gaps = 0;
        }
        self.longest[0] = self.longest[0].max(class);
        self.gaps += 1;
        self.seen = self.seen.saturating_add(1);
        self.class() != known || self.seen == GAPS_FIRST
    }

    /// Gaps counted, up to 255.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.seen as u64
    }

    /// The length that 99.9 % of the newest gaps do not exceed, in seconds; none without a gap.
    #[must_use]
    pub fn longest_s(&self) -> Option<u64> {
        (self.seen > 0).then(|| class_longest_s(self.class()))
    }

    /// Whether nothing was learned yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.seen == 0
    }

    fn class(&self) -> u8 {
        self.longest.iter().copied().max().unwrap_or(0)
    }
}

const CLASSES_PER_DOUBLING: u8 = 8;

/// The class of a length in seconds: seven lengths of their own, then eight classes for every
/// doubling.
#[must_use]
pub fn gap_class(gap_s: u64) -> u8 {
    let gap_s = gap_s.clamp(1, LONGEST_S);
    let doubling = gap_s.ilog2();
    if doubling < 3 {
        return u8::try_from(gap_s).unwrap_or(u8::MAX);
    }
    let within = (gap_s >> (doubling - 3)) & 7;
    u8::try_from(u64::from(doubling - 2) * 8 + within).unwrap_or(u8::MAX)
}

/// The longest gap of a class, in seconds.
#[must_use]
pub fn class_longest_s(class: u8) -> u64 {
    if class < 8 {
        return u64::from(class);
    }
    let doubling = u32::from(class / 8) + 2;
    let within = u64::from(class % 8);
    ((8 + within + 1) << (doubling - 3)) - 1
}

const LONGEST_S: u64 = (1 << 32) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(gaps: impl IntoIterator<Item = u64>) -> Habit {
        let mut habit = Habit::default();
        gaps.into_iter().for_each(|gap_s| {
            habit.learn(gap_s);
        });
        habit
    }

    #[test]
    fn a_habit_takes_six_bytes() {
        assert_eq!(size_of::<Habit>(), 6);
    }

    #[test]
    fn the_longest_gap_is_kept_and_forgotten() {
        let check = |gaps: Vec<u64>, least_s: u64, most_s: u64| {
            let longest_s = of(gaps.clone()).longest_s().unwrap();
            assert!((least_s..=most_s).contains(&longest_s), "{longest_s} of {gaps:?}");
        };
        check(vec![60], 60, 67);
        check(vec![1, 60, 2], 60, 67);
        check([vec![900], vec![60; 749]].concat(), 900, 1_012);
        check([vec![900], vec![60; 1_000]].concat(), 60, 67);
        // A season away, before anything is known and afterwards.
        check([vec![60; 5], vec![8_000_000]].concat(), 8_000_000, 9_000_000);
        check([vec![60; 20], vec![8_000_000]].concat(), 120, 135);
        // New habits are followed within a few contacts.
        check([vec![60; 20], vec![3_600; 6]].concat(), 3_600, 4_050);
        check(vec![u64::MAX], LONGEST_S, LONGEST_S);
    }

    #[test]
    fn what_changes_the_answer_is_worth_storing() {
        let mut habit = Habit::default();
        assert!(!habit.learn(0) && habit.is_new(), "the same contact");
        assert!(habit.learn(60));
        let stored = (0..18).filter(|_| habit.learn(50)).count();
        assert_eq!(stored, 0);
        assert!(habit.learn(50), "it rests on enough now");
        assert!(!habit.learn(60));
        assert!(habit.learn(100));
    }

    #[test]
    fn classes_are_never_too_short() {
        for gap_s in (1..5_000).chain([1 << 20, (1 << 31) - 1]) {
            let longest_s = class_longest_s(gap_class(gap_s));
            assert!(longest_s >= gap_s && longest_s * 8 <= gap_s * 9, "{gap_s}: {longest_s}");
        }
    }
}
