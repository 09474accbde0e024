//! Decomposition, enforcement and tracking (paper A §III-C): the six steps of its figure 2, each
//! a function of its own name, and the assessment of attempts.

mod aggregate;
mod assess;
mod cohort;
mod execute;
mod extract;
mod filter;
mod indicator;
mod partners;
mod queue;
mod reorder;
#[cfg(test)]
mod tests;

pub use aggregate::Attempts;
pub(crate) use aggregate::{Histogram, Ledger, aggregate};
pub(crate) use assess::{Assessment, Attempt, Reading, assess};
pub(crate) use cohort::Cohort;
pub(crate) use execute::{change, execute, guards};
pub(crate) use extract::{extract, guarded_values};
pub(crate) use filter::{After, filter, retry};
pub(crate) use indicator::worsening;
pub(crate) use partners::Partners;
pub(crate) use queue::{Demand, queue};
pub(crate) use reorder::reorder;
