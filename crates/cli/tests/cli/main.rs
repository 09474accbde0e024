//! The built binary, from outside: what people and scripts see.

mod common;
mod dev;
mod help;
mod release;
mod usage;
