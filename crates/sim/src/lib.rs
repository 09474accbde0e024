//! Simulated devices, in virtual time and on real sockets.
//!
//! Owns the devices that Bellwether is tried out and tested with: their images, flash, battery,
//! radio and habits; the sample fleets; a network in virtual time; and a fleet on real UDP
//! sockets that works against any LwM2M server. A device is the LwM2M client of the crate `lwm2m`
//! with hardware around it, so what it says of itself can be held against a server's records.
//!
//! Only [`fleet`] does I/O; everything else takes time and seeds as arguments and repeats itself
//! with the same ones.
//!
//! Start from [`SimulatedDevice`] and [`Scenario`].

pub mod benchmark;
mod device;
pub mod figure_5;
pub mod fleet;
mod image;
mod network;
mod random;
mod scenario;
#[cfg(test)]
mod scripted;
pub mod world;

pub use device::{
    Action, Battery, Flash, Leave, LogEntry, LogEvent, Outage, Profile, SAMPLE_MANUFACTURER,
    SAMPLE_MODEL, Signal, SimulatedDevice, Sleep, Surroundings, Transfer,
};
pub use image::{Defect, DefectKind, Image, ImageError, digest};
pub use network::{Delivery, Direction, Host, Network, Traffic};
pub use scenario::{
    LateAnswers, Radio, SAMPLE_VERSION, SAMPLE_VERSION_BEFORE, SAMPLE_VERSION_LATER, Scenario,
    Share,
};
