//! Operation generation and target identification (paper A §III-D): who is a target, which
//! operation comes first, and which devices form the next element.

mod decompose;
mod graph;
mod identify;
mod reorder;
#[cfg(test)]
mod tests;

pub(crate) use decompose::{Place, Targets};
pub use decompose::{Seats, seats};
pub(crate) use graph::Graph;
pub(crate) use identify::{
    Claim, Memory, Question, changes_at, explain, identify, is_closed, version_of,
};
pub(crate) use reorder::{Urgency, Waiting, reorder};
