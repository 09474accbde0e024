//! Firmware versions as devices report them, and ranges of them as manifests write them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A version as text, compared by its numbers.
///
/// Devices report free text (`/3/0/3`), so nothing is refused: runs of digits compare as
/// numbers, other runs as text, and a pre-release tail (`-rc1`) sorts before its release.
/// `1.0`, `1.0.0` and `v1.0` are the same version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(Arc<str>);

impl Version {
    /// Takes the text as it is, with surrounding white space removed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The text as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (Vec<Part<'_>>, Option<Vec<Part<'_>>>) {
        let text = self.0.strip_prefix(['v', 'V']).unwrap_or(&self.0);
        // Build metadata after `+` says nothing about order.
        let text = text.split('+').next().unwrap_or(text);
        let (core, tail) = match text.split_once('-') {
            Some((core, tail)) => (core, Some(split(tail))),
            None => (text, None),
        };
        let mut core = split(core);
        while core.last() == Some(&Part::Number(0)) {
            core.pop();
        }
        (core, tail)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Text(&'a str),
    Number(u64),
}

fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for piece in text.split(['.', '_', '-', ' ']).filter(|piece| !piece.is_empty()) {
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            let numeric = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != numeric).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(end);
            parts.push(match run.parse() {
                Ok(number) if numeric => Part::Number(number),
                _ => Part::Text(run),
            });
            rest = tail;
        }
    }
    parts
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (core, tail) = self.parts();
        let (other_core, other_tail) = other.parts();
        core.cmp(&other_core).then_with(|| match (tail, other_tail) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(tail), Some(other_tail)) => tail.cmp(&other_tail),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of versions: comma-separated conditions that must all hold.
///
/// `>=1.2.0, <2.0.0` · `1.2.3` (exactly) · `1.2.*` (that prefix) · `*` (any).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Any,
    Prefix(Vec<u64>),
    Compare(Comparison, Version),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl VersionRange {
    /// The range that holds every version.
    #[must_use]
    pub fn any() -> Self {
        Self { text: "*".to_owned(), conditions: vec![Condition::Any] }
    }

    /// Whether `version` satisfies every condition.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        self.conditions.iter().all(|condition| condition.holds(version))
    }

    /// The range as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Condition {
    fn holds(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => {
                let text = version.0.strip_prefix(['v', 'V']).unwrap_or(&version.0);
                let numbers: Vec<Part<'_>> = split(text);
                // A missing number reads as zero, as in the comparison of versions.
                prefix.iter().enumerate().all(|(at, wanted)| match numbers.get(at) {
                    Some(Part::Number(number)) => number == wanted,
                    Some(Part::Text(_)) => false,
                    None => *wanted == 0,
                })
            }
            Self::Compare(comparison, bound) => match comparison {
                Comparison::Less => version < bound,
                Comparison::LessOrEqual => version <= bound,
                Comparison::Equal => version == bound,
                Comparison::NotEqual => version != bound,
                Comparison::GreaterOrEqual => version >= bound,
                Comparison::Greater => version > bound,
            },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Some(prefix) = text.strip_suffix(".*") {
            return prefix
                .split('.')
                .map(|n| n.parse().ok())
                .collect::<Option<_>>()
                .map(Self::Prefix);
        }
        let (comparison, bound) = [
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            ("!=", Comparison::NotEqual),
            ("==", Comparison::Equal),
            ("=", Comparison::Equal),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))
        .unwrap_or((Comparison::Equal, text));
        let bound = bound.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
        (!bound.is_empty() && bound.chars().all(plain))
            .then(|| Self::Compare(comparison, Version::new(bound)))
    }
}

impl std::str::FromStr for VersionRange {
    type Err = BadVersionRange;

    fn from_str(text: &str) -> Result<Self, BadVersionRange> {
        let conditions = text
            .split(',')
            .map(|part| Condition::parse(part.trim()))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| BadVersionRange { text: text.to_owned() })?;
        Ok(Self { text: text.to_owned(), conditions })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for VersionRange {
    type Error = BadVersionRange;

    fn try_from(text: String) -> Result<Self, BadVersionRange> {
        text.parse()
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> Self {
        range.text
    }
}

/// A text that is no range of versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a range of versions; write e.g. `1.2.3`, `1.2.*`, `>=1.2.0, <2.0.0` or `*`"
)]
pub struct BadVersionRange {
    /// What was given.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_their_numbers() {
        let ascending =
            ["0.9", "1.0-alpha", "1.0-rc1", "1.0-rc2", "1.0", "1.0.1", "1.9", "1.10", "2"];
        for pair in ascending.windows(2) {
            assert!(Version::new(pair[0]) < Version::new(pair[1]), "{pair:?}");
        }
        for (a, b) in [("1.0", "1.0.0"), ("v2.1", "2.1"), ("1.0+build7", "1.0"), (" 1.0 ", "1.0")] {
            assert_eq!(Version::new(a), Version::new(b));
        }
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, version, expected) in [
            (">=1.2.0, <2.0.0", "1.2", true),
            (">=1.2.0, <2.0.0", "1.10.3", true),
            (">=1.2.0, <2.0.0", "2.0.0", false),
            (">=1.2.0, <2.0.0", "1.1.9", false),
            ("1.2.*", "1.2.7", true),
            ("1.2.*", "1.20.7", false),
            ("1.0.*", "1", true),
            ("1.2.3", "1.2.3", true),
            ("!=1.2.3", "1.2.3", false),
            ("*", "anything", true),
        ] {
            let range: VersionRange = range.parse().unwrap();
            assert_eq!(range.contains(&Version::new(version)), expected, "{range} {version}");
        }
        for text in ["", ">=", ">=1.0,,", "1.x.*", "~1.0 beta"] {
            assert!(text.parse::<VersionRange>().is_err(), "{text}");
        }
    }
}
