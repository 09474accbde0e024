//! The benchmark held against what can be worked out by hand, and against itself.

mod files;
mod physics;
mod repeats;
mod tuning;
mod undoing;
