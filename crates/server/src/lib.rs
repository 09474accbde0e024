//! Sockets, HTTP, the driver of the loops, configuration.
