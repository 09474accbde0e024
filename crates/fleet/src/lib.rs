//! Devices as known: registrations to devices, values to datamodels, changes to LwM2M requests.
//!
//! The only room where the protocol and the fleet meet: it turns what LwM2M devices send into the
//! [`model`] nouns, and a [`model::Change`] into the requests that carry it out, one procedure a
//! device. It refuses to know operations, grants and speeds, sockets and clocks. Object numbers
//! stay in [`observe`](self) and in the crate `lwm2m`.
//!
//! Start from [`FirmwareUpdate`] (one hop of a firmware change on one device) and [`absorb`].

mod ask;
mod configuration;
mod datamodel;
mod firmware;
mod guards;
mod manifest;
mod procedure;

pub use ask::{Answer, Ask, firmware_path};
pub use configuration::ConfigurationWrite;
pub use datamodel::{
    absorb, forget_values, identity_reads, identity_resources, is_same, renews_required, scalar,
    standing_observations, value,
};
pub use firmware::FirmwareUpdate;
pub use manifest::{Unfit, check_manifest, manifest_remarks};
pub use procedure::{Output, Pace, Procedure, Standing};
