//! HTML pages and SVG charts made from the API's view types.
//!
//! Owns the look: layout, words, style sheet, chart, and a small script that keeps a page current.
//! Pure functions from a view to text; refuses to know the store, the loops, HTTP and the clock,
//! and holds no state. No template engine at run time, no script library: fragments arrive by
//! server-sent events and are merged by about a hundred lines of our own, so nothing has to be
//! fetched or built and everything is readable without JavaScript.
//!
//! Start from [`operation`] and [`View`]; [`chart::Chart`] also draws files of its own.

mod asset;
pub mod chart;
mod decision;
mod device;
mod devices;
mod evidence;
mod fleet;
mod frame;
mod operation;
mod operations;
mod part;
mod problem;
mod release;
mod url;

pub use asset::{Asset, CONTENT_SECURITY_POLICY, asset, assets};
pub use decision::decisions;
pub use device::device;
pub use devices::devices;
pub use fleet::fleet;
pub use frame::{Fragment, Frame, Theme, View, changed};
pub use operation::operation;
pub use operations::{operation_devices, operations};
pub use problem::problem;
pub use release::{release, releases};
