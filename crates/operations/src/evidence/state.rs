//! The tests of one stratum together.

use model::{Exact, IndicatorEvidence, Tolerance};
use serde::{Deserialize, Serialize};

use super::bernoulli::{InstallConfig, Installs};
use super::combine::Stratum;
use super::logrank::{HealthConfig, Logrank};
use super::means::{IndicatorConfig, MeanDifference};

/// What the strata of an operation are tested by.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestsConfig {
    /// Outcomes of installations.
    pub install: InstallConfig,
    /// Health after the update.
    pub health: HealthConfig,
    /// Continuous indicators; each one more costs the other tests its share.
    pub indicators: Vec<IndicatorConfig>,
}

impl TestsConfig {
    /// Weights of the components of each test for [`CombineConfig::weights`]: installations,
    /// health and each indicator weigh the same.
    ///
    /// [`CombineConfig::weights`]: super::CombineConfig::weights
    #[must_use]
    pub fn weights(&self) -> Vec<Vec<f64>> {
        vec![self.install.weights(), self.health.weights()]
    }
}

/// The running evidence for and against a change in one stratum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rate of failed installations that is tolerated here.
    pub tolerance: Tolerance,
    /// Outcomes of installations.
    pub installs: Installs,
    /// Health of updated against control devices.
    pub health: Logrank,
    /// Indicators of updated against control devices, as in [`TestsConfig::indicators`].
    pub indicators: Vec<MeanDifference>,
}

impl Evidence {
    /// Starts without evidence.
    #[must_use]
    pub fn new(tolerance: Tolerance, config: &TestsConfig) -> Self {
        Self {
            tolerance,
            installs: Installs::default(),
            health: Logrank::new(&config.health),
            indicators: config.indicators.iter().map(MeanDifference::new).collect(),
        }
    }

    /// The evidence in the form [`judge`](super::judge) takes: tests in the order installations,
    /// health, indicators.
    #[must_use]
    pub fn stratum(&self, matured: f64, stopped: bool, config: &TestsConfig) -> Stratum {
        let mut tests = vec![
            self.installs.log_components(self.tolerance, &config.install),
            self.health.log_components(),
        ];
        tests.extend(self.indicators.iter().map(MeanDifference::log_components));
        Stratum { tests, matured, stopped }
    }

    /// What each indicator has come to; `names` are those of the guards, in their order.
    #[must_use]
    pub fn indicators(&self, names: &[String], config: &TestsConfig) -> Vec<IndicatorEvidence> {
        let each = self.indicators.iter().zip(&config.indicators).enumerate();
        each.map(|(at, (indicator, config))| {
            let interval = indicator.interval(config);
            IndicatorEvidence {
                name: names.get(at).cloned().unwrap_or_default(),
                pairs: indicator.pairs(),
                log_e: Exact::new(indicator.log_e()),
                difference: Exact::new(indicator.difference(config)),
                lower: Exact::new(interval.lower),
                upper: Exact::new(interval.upper),
            }
        })
        .collect()
    }
}
