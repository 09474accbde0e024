//! The built binary, from outside: what people and scripts see.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod common;
mod dev;
mod help;
mod rehearse;
mod release;
mod usage;
