//! LwM2M without I/O: the parts of OMA Lightweight M2M 1.0, 1.1 and 1.2 that a device management
//! server and a device share.
//!
//! The crate owns paths, values, content formats, object definitions, registration, the requests
//! of device management and the Firmware Update object; the `client` module adds the device side.
//! It refuses to know sockets, clocks, storage, and what a change to a fleet is: bytes, CoAP
//! messages and the time come in as arguments.
//!
//! Start from [`Path`], [`Leaf`] and [`decode`]; a server continues with
//! [`Registry`] and [`request`].

pub mod client;
mod codec;
mod definitions;
mod endpoint;
pub mod firmware;
mod format;
mod link;
mod path;
mod registration;
mod registry;
pub mod request;
mod response;
mod value;

pub use codec::{
    CodecError, CodecLimits, EncodeError, decode, decode_paths, decode_within, encode, encode_paths,
};
pub use definitions::{
    Definitions, ObjectDefinition, ObjectVersion, Operations, ResourceDefinition, VersionError,
};
pub use endpoint::{
    BindingMode, EndpointName, EndpointNameError, LwM2mVersion, UnsupportedVersion,
};
pub use format::ContentFormat;
pub use link::{CoreLink, LinkError, LinkLimits, parse_links, parse_links_within};
pub use path::{Path, PathError};
pub use registration::{
    ObjectLinks, RegisterRequest, RegisteredObject, RegistrationError, RegistrationLimits,
    UpdateRequest,
};
pub use registry::{
    NotARegistrationId, Registered, Registration, RegistrationId, Registry, RegistryConfig,
    RegistryEvent, RegistryRefusal, Updated,
};
pub use response::{ResponseError, check_response, decode_discovery, decode_response};
pub use value::{Leaf, Value, ValueKind};
