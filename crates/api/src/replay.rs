//! Decisions made once more from what they were made from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{OperationRef, Timestamp};

/// What a replay of an operation came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayReport {
    /// The operation.
    pub operation: OperationRef,
    /// Whether every decision that can be recomputed came out the same to the last bit.
    pub all_equal: bool,
    /// Decisions that came out the same.
    pub equal: u64,
    /// Decisions that came out differently.
    pub different: u64,
    /// Of these, those that the same version of the code had made: a fault. The others were made
    /// by another version, which may have decided otherwise on purpose.
    pub different_same_version: u64,
    /// Orders: of operators, and of another operation's stop. They are made from nothing here and
    /// cannot be recomputed.
    pub orders: u64,
    /// Looks at the evidence that were folded; 0 under other rules.
    pub looks: u64,
    /// The first decisions that came out differently, oldest first; at most 100.
    pub differing: Vec<DifferingDecision>,
    /// Version of the code that recomputed them.
    pub code_version: String,
}

/// A decision that came out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferingDecision {
    /// Its number.
    pub seq: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Version of the code that made it.
    pub code_version: String,
    /// Whether the same version recomputed it.
    pub same_version: bool,
    /// What differs; at most 20.
    pub differences: Vec<DifferenceView>,
}

/// One part of a decision that came out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferenceView {
    /// Which: `looks`, `strata`, `evidence of …`, `verdict`, `reason`, `judgement`,
    /// `judgement of …`.
    #[schema(example = "verdict")]
    pub part: String,
    /// As it is stored, in the words of the code.
    pub stored: String,
    /// As it came out now.
    pub again: String,
}
