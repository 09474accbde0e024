//! Shares in whole basis points: no float takes part in a decision (rule 11).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share in basis points: 1 = 0.01 %, 10 000 = 100 %.
///
/// Paper A's 0.01 %, 3 % and 6.25 % are 1, 300 and 625. Written `6.25 %`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u32);

impl Rate {
    /// None.
    pub const ZERO: Self = Self(0);
    /// All.
    pub const WHOLE: Self = Self(10_000);

    /// From basis points; values over 10 000 are possible for ratios.
    #[must_use]
    pub const fn basis_points(points: u32) -> Self {
        Self(points)
    }

    /// From whole percent.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent * 100)
    }

    /// The share of `part` in `whole`, rounded down; zero when `whole` is zero.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        let points = u128::from(part) * 10_000 / u128::from(whole);
        Self(u32::try_from(points).unwrap_or(u32::MAX))
    }

    /// The value in basis points.
    #[must_use]
    pub const fn as_basis_points(self) -> u32 {
        self.0
    }

    /// This share of `count`, rounded down.
    #[must_use]
    pub fn apply(self, count: u64) -> u64 {
        u64::try_from(u128::from(count) * u128::from(self.0) / 10_000).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match (part, part % 10) {
            (0, _) => write!(f, "{whole} %"),
            (_, 0) => write!(f, "{whole}.{} %", part / 10),
            _ => write!(f, "{whole}.{part:02} %"),
        }
    }
}

impl std::str::FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let bad = || BadRate { text: text.to_owned() };
        let number = text.trim().strip_suffix('%').ok_or_else(bad)?.trim();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 {
            return Err(bad());
        }
        let whole: u32 = whole.parse().map_err(|_| bad())?;
        let mut hundredths: u32 = part.parse().map_err(|_| bad())?;
        if part.len() == 1 {
            hundredths *= 10;
        }
        whole
            .checked_mul(100)
            .and_then(|points| points.checked_add(hundredths))
            .map(Self)
            .ok_or_else(bad)
    }
}

impl TryFrom<String> for Rate {
    type Error = BadRate;

    fn try_from(text: String) -> Result<Self, BadRate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// A text that is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a share; write a percentage with at most two decimals, e.g. `6.25 %`")]
pub struct BadRate {
    /// What was given.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_and_print() {
        for (text, points, printed) in [
            ("6.25 %", 625, "6.25 %"),
            ("3%", 300, "3 %"),
            ("0.01 %", 1, "0.01 %"),
            ("0.5 %", 50, "0.5 %"),
            ("100 %", 10_000, "100 %"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate, Rate::basis_points(points));
            assert_eq!(rate.to_string(), printed);
        }
        for text in ["", "%", "3", "0.001 %", "-1 %", "1e3 %", "9999999999 %"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_rounds_down_and_never_divides_by_zero() {
        assert_eq!(Rate::of(1, 3), Rate::basis_points(3_333));
        assert_eq!(Rate::of(5, 0), Rate::ZERO);
        assert_eq!(Rate::percent(6).apply(150), 9);
    }
}
