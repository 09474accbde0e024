//! Clients and servers that others wrote, against the production server and the simulated fleet.
//!
//! They are installed by `tests/interop/install` and named by `BELLWETHER_INTEROP`; without it
//! every test here says that it is skipped. `tests/interop/run` does both.

#![expect(clippy::print_stdout, reason = "says what is skipped, and what failing peers printed")]

#[path = "interop/devices.rs"]
mod devices;
#[path = "interop/messages.rs"]
mod messages;
#[path = "interop/peer.rs"]
mod peer;
#[path = "interop/place.rs"]
mod place;
#[path = "interop/servers.rs"]
mod servers;
