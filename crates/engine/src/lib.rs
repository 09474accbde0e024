//! The manager without I/O: joins the LwM2M front, the fleet and the three loops.
//!
//! Owns the one place where everything meets: datagrams and orders come in, datagrams, durable
//! records and events go out. Records leave before the effects that depend on them (I2): the
//! shell commits a [`Batch`], says so, and only then do the requests of its intents leave. So a
//! crash is dropping the [`Engine`] and building it again from what was committed, which is how
//! the simulation crashes it at every step.
//!
//! Refuses to know sockets, clocks, threads, files and databases. Start from [`Engine`].

mod config;
mod devices;
mod event;
mod execution;
mod front;
mod machine;
mod orders;
mod outbox;
mod registrations;
#[cfg(test)]
mod tests;
mod views;

pub use config::Config;
pub use event::{AskError, AskToken, Event};
pub use machine::{Engine, Statistics};
pub use orders::{ConsentAnswer, ConsentError, HoldError};
pub use outbox::Batch;
