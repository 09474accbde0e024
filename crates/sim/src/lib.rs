//! Virtual time, network and devices; a fleet of real UDP devices; the papers' experiments.

mod device;
mod image;
mod network;
mod random;
mod scenario;
#[cfg(test)]
mod scripted;

pub use device::{
    Action, Battery, Flash, Leave, LogEntry, LogEvent, Profile, SAMPLE_MANUFACTURER, SAMPLE_MODEL,
    Signal, SimulatedDevice, Sleep, Surroundings, Transfer,
};
pub use image::{Defect, DefectKind, Image, ImageError};
pub use network::{Delivery, Direction, Host, Network, Traffic};
pub use scenario::{Radio, SAMPLE_VERSION, SAMPLE_VERSION_BEFORE, Scenario, ServerDelay, Share};
