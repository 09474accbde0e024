//! What the tidy tests are made of: reading the workspace, its manifests and its sources.
//!
//! Owns the rules of the house that no lint can hold; they are ordinary tests in
//! `tests/tidy.rs`, so that `cargo test` runs them. Refuses to know what the product does: it
//! depends on no room of the house, so every room may use it in tests.
//!
//! Start from [`Workspace`] and [`Problems`]. A crate that makes a document, such as the
//! OpenAPI document or the command line's reference, keeps it current with
//! [`generated::check`].

pub mod generated;
mod problems;
mod source;
mod workspace;

pub use problems::Problems;
pub use source::code_only;
pub use workspace::{Crate, TextFile, Workspace};
