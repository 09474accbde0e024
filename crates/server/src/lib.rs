//! Sockets, HTTP, the driver of the loops, configuration.
//!
//! The I/O shell around the pure crates: it owns the UDP socket, the HTTP listener, the clock,
//! the store's thread and the random seed, and decides nothing. Everything that decides runs in
//! one [`engine::Engine`] on one task ([`driver`](Handle)); HTTP handlers ask it through a
//! [`Handle`] and read history from the store's second connection.
//!
//! Start from [`Server::start`] and [`Settings`].

mod clock;
mod driver;
mod http;
mod inbox;
mod journal;
mod knowledge;
mod manifest;
mod port;
mod settings;
mod slowdown;
mod start;

pub use driver::{Handle, Unavailable};
pub use manifest::lint;
pub use settings::{Settings, SettingsError};
pub use slowdown::{Slowdown, SlowdownStage};
pub use start::{Server, StartError};
