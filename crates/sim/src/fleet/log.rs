//! Writes the devices' log from one thread.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use super::{FleetError, LogTarget};
use crate::device::LogEntry;

/// Takes lines from any number of devices.
#[derive(Clone)]
pub(super) struct LogSender(Option<mpsc::Sender<String>>);

impl LogSender {
    /// Hands a line to the writer; waits while the writer is behind.
    pub(super) async fn write(&self, entry: &LogEntry) {
        let Some(lines) = &self.0 else { return };
        let line = serde_json::to_string(entry).expect("invariant: a log entry has text keys only");
        // A writer that ended, for instance on a closed pipe, ends the log and not the fleet.
        let _taken = lines.send(line).await;
    }
}

/// The writing thread.
pub(super) struct LogWriter(Option<JoinHandle<()>>);

impl LogWriter {
    /// Waits until everything is written; all senders must be gone.
    pub(super) async fn finish(self) {
        if let Some(thread) = self.0 {
            // A panic of the thread has been reported by itself.
            let _joined = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

/// Starts the thread.
pub(super) fn start(target: &LogTarget) -> Result<(LogSender, LogWriter), FleetError> {
    let output: Box<dyn Write + Send> = match target {
        LogTarget::Nowhere => return Ok((LogSender(None), LogWriter(None))),
        LogTarget::Stdout => Box::new(io::stdout()),
        LogTarget::File(path) => match File::create(path) {
            Ok(file) => Box::new(file),
            Err(cause) => return Err(FleetError::File { path: path.clone(), cause }),
        },
    };
    let (sender, lines) = mpsc::channel(LINES_MAX);
    let thread = thread::spawn(move || write_all(output, lines));
    Ok((LogSender(Some(sender)), LogWriter(Some(thread))))
}

fn write_all(output: Box<dyn Write + Send>, mut lines: mpsc::Receiver<String>) {
    let mut output = BufWriter::new(output);
    while let Some(line) = lines.blocking_recv() {
        let mut written = writeln!(output, "{line}");
        // Whoever follows the log sees lines at once when there are few, in blocks when many.
        if lines.is_empty() {
            written = written.and_then(|()| output.flush());
        }
        if written.is_err() {
            return;
        }
    }
    let _flushed = output.flush();
}

/// Lines that wait for the writer, at about 200 bytes each.
const LINES_MAX: usize = 10_000;
