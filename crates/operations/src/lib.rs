//! Paper A's three loops, pure: generation, enforcement and regulation of operations.
//!
//! Owns who is a target and why, who is next, what becomes of each attempt, and how fast an
//! operation goes on. Refuses to know any protocol, database, clock, socket or random source:
//! time and seeds come in as arguments, durable facts and effects go out as values. The three
//! loops never import each other; they exchange the values of `message`, carried by [`Loops`].
//!
//! Start from [`Loops`] (state), [`Output`] (what it wants done) and [`model::Progress`] (what drivers
//! tell it). The algorithm of paper A §III-E is [`regulate`]; [`Conduct`] is an operation under it,
//! by counts alone.

mod conduct;
mod config;
mod control;
mod enforcement;
mod error;
pub mod evidence;
mod generation;
mod loops;
mod message;
mod mix;
mod regulation;
mod replay;
#[cfg(test)]
mod tests;

pub use conduct::{Conduct, Pool};
pub use config::Config;
pub use control::ControlHealth;
pub use enforcement::Attempts;
pub use error::{OpenError, OrderError, PublishError};
pub use generation::{Seats, seats};
pub use loops::Loops;
pub use message::{
    Dispatch, Event, OpenRequest, Output, Plan, Planned, PlannedConflict, PlannedPath, StoppedBy,
};
pub use regulation::{holdback, judged, regulate, replay};
pub use replay::{Difference, Differing, Part, Replay};
