//! How fast an operation may grow: as fast as harm would be found, and slower on any hint of it.

use libm::exp;
use model::Phase;
use serde::{Deserialize, Serialize};

/// How the growth of a stratum follows what is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrowthConfig {
    /// Devices that may be granted, in the time in which silence is found, for each device that
    /// was updated before that time.
    pub growth_max: f64,
    /// The same once everything speaks against the change without being proof: with nothing at
    /// all granted, a hint at the update itself could never be settled.
    pub growth_min: f64,
    /// Part of the growth in paper A's phases Test, Cautious and Generalization, as labels of
    /// how certain the exposure makes one if nothing happened: slow while little can be seen and
    /// much would be lost, fast once many have shown that they are well.
    pub paces: [f64; 3],
    /// Power of the likelihood ratio by which growth falls. With 1 a change that looks three
    /// times likelier harmful than harmless grows by a third.
    pub steepness: f64,
}

impl Default for GrowthConfig {
    fn default() -> Self {
        Self { growth_max: 7.0, growth_min: 0.25, paces: [0.6, 1.0, 2.4], steepness: 1.0 }
    }
}

/// Devices that may be granted, in the time in which silence is found, for each device updated
/// before it, when `log_against` is what there is against the stratum ([`super::against`]) and
/// `phase` how certain its rate of faults is ([`super::certainty`]):
/// pace·max(`growth_min`, `growth_max`·min(1, Λ^−`steepness`)).
#[must_use]
pub fn growth(log_against: f64, phase: Phase, config: &GrowthConfig) -> f64 {
    let pace = match phase {
        Phase::Test => config.paces[0],
        Phase::Cautious => config.paces[1],
        Phase::Generalization => config.paces[2],
    };
    let highest = config.growth_max.max(0.0);
    let lowest = config.growth_min.clamp(0.0, highest);
    pace * (highest * caution(log_against, config.steepness)).max(lowest)
}

/// The part that is left of what may be risked, 1 when nothing speaks against the change.
#[must_use]
pub fn caution(log_against: f64, steepness: f64) -> f64 {
    exp(-steepness * log_against.max(0.0))
}
