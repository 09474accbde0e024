//! Paper A's classes of urgency.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Urgency of a release, in paper A's order (§III-C, Reordering): Critical first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Security patch, urgent fix.
    Critical,
    /// New feature release.
    Major,
    /// Non-critical bug fix.
    Minor,
    /// Bug fix for rare devices in specific environments.
    Hotfix,
}

impl Criticality {
    /// The SUIT update priority that stands for the class when a manifest gives none.
    #[must_use]
    pub const fn default_priority(self) -> i32 {
        match self {
            Self::Critical => -10,
            Self::Major => 10,
            Self::Minor => 20,
            Self::Hotfix => 30,
        }
    }

    /// The word used in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Hotfix => "hotfix",
        }
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
