//! The log of a server that runs in this process.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Writes what the server has to say to `writer`, a way to standard error. `BELLWETHER_LOG`
/// chooses what, in the form `warn,server=debug`; `level` holds without it.
pub(crate) fn to<W>(writer: W, level: &str)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter =
        EnvFilter::try_from_env("BELLWETHER_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false);
    // A second subscriber would be one too many; the first one stays.
    let _ = subscriber.try_init();
}
