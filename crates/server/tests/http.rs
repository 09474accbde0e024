//! The HTTP interface and the console of a real server on free ports.

#[path = "http/console.rs"]
mod console;
#[path = "http/device.rs"]
mod device;
#[path = "http/fleet.rs"]
mod fleet;
#[path = "http/place.rs"]
mod place;
#[path = "http/releases.rs"]
mod releases;
#[path = "http/service.rs"]
mod service;
