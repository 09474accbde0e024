//! Regulation by evidence and budget: the statistics, and nothing but the statistics.
//!
//! Two separate decisions. *When to stop* is a question of proof: sequential tests whose
//! probability of ever stopping a good operation is bounded, however often one looks and however
//! the sizes follow what was seen ([`Installs`], [`Logrank`], [`MeanDifference`], joined by
//! [`judge`]). *How many next* is a question of what may be lost: an upper bound on the rate of
//! faults, held against a budget ([`fault_bound`], [`next_element`]), what there is [`against`] the change ([`growth`]), and what the servers can
//! carry ([`next_limit`]).
//!
//! Pure functions and states that are updated by events. E-values are kept as natural
//! logarithms. Everything works in `f64` with the functions of `libm`, sums in a fixed order and
//! stores floats by their bits ([`Exact`]), so that a replay gives the same bits everywhere.
//! Configurations of a test must stay as they are while an operation runs.

mod bernoulli;
mod bound;
mod budget;
mod combine;
mod growth;
mod logrank;
mod means;
mod numeric;
mod panel;
mod silence;
mod state;
#[cfg(test)]
mod tests;

pub use bernoulli::{History, InstallConfig, Installs, tolerated};
pub use bound::{
    Baseline, BoundConfig, Exposure, FaultBound, Latency, expected_events, fault_bound, maturity,
    poisson_upper, poisson_upper_approximate,
};
pub use budget::{
    Adaptation, InfrastructureConfig, certainty, default_budget, next_element, next_limit, shares,
};
pub use combine::{
    CombineConfig, Combined, Judgement, Stratum, against, combine, judge, likeness, weigh,
};
pub use growth::{GrowthConfig, caution, growth};
pub use logrank::{EventCounts, HealthConfig, Logrank, WindowEvents};
pub use means::{IndicatorConfig, Interval, MeanDifference};
pub use model::{Arm, Exact, Tolerance};
pub(crate) use numeric::number;
pub use panel::{Panel, bound_config, combine_config, install_config, share, tests_config};
pub use silence::{Gaps, SilenceConfig, deadline_s, habit_deadline_s};
pub use state::{Evidence, TestsConfig};
