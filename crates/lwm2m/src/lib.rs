//! LwM2M without I/O: the parts of OMA Lightweight M2M 1.0, 1.1 and 1.2 that a device management
//! server and a device share.
//!
//! The crate owns paths, values, content formats, object definitions, registration, the requests
//! of device management and the Firmware Update object; the `client` module adds the device side.
//! It refuses to know sockets, clocks, storage, and what a change to a fleet is: bytes, CoAP
//! messages and the time come in as arguments.
//!
//! Start from [`Path`], [`Leaf`] and [`decode`]; a server continues with `Registry` and `request`.

mod codec;
mod definitions;
pub mod firmware;
mod format;
mod path;
mod value;

pub use codec::{
    CodecError, CodecLimits, EncodeError, decode, decode_paths, decode_within, encode, encode_paths,
};
pub use definitions::{
    Definitions, ObjectDefinition, ObjectVersion, Operations, ResourceDefinition, VersionError,
};
pub use format::ContentFormat;
pub use path::{Path, PathError};
pub use value::{Leaf, Value, ValueKind};
