//! The flash memory of a whole fleet in one file, so that versions survive a stop of the process.
//!
//! The file is a journal of JSON lines, the last line of a device counts. It is rewritten without
//! the outdated lines when it is opened.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::FleetError;
use crate::device::Flash;

/// The journal, open.
pub(super) struct FlashMemory {
    kept: BTreeMap<String, Flash>,
    sender: FlashSender,
    thread: Option<JoinHandle<()>>,
}

/// Stores the flash of devices.
#[derive(Clone)]
pub(super) struct FlashSender(Option<mpsc::Sender<Entry>>);

struct Entry {
    line: String,
    done: oneshot::Sender<()>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    endpoint: String,
    #[serde(flatten)]
    flash: Flash,
}

impl FlashSender {
    /// Stores what a device has in its flash, and waits until it is on disk.
    pub(super) async fn store(&self, endpoint: String, flash: Flash) {
        let Some(writes) = &self.0 else { return };
        let line = serde_json::to_string(&Line { endpoint, flash })
            .expect("invariant: a flash has text keys only");
        let (done, stored) = oneshot::channel();
        if writes.send(Entry { line, done }).await.is_ok() {
            // The writer is gone when the disk failed: the fleet lives on, forgetful.
            let _stored = stored.await;
        }
    }
}

impl FlashMemory {
    /// Opens the journal, or keeps nothing when there is none.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, FleetError> {
        let Some(path) = path else {
            let sender = FlashSender(None);
            return Ok(Self { kept: BTreeMap::new(), sender, thread: None });
        };
        let unusable = |cause| FleetError::File { path: path.to_owned(), cause };
        let kept = read(path).map_err(unusable)?;
        let file = rewrite(path, &kept).map_err(unusable)?;
        let (sender, writes) = mpsc::channel(WRITES_MAX);
        let thread = thread::spawn(move || write_all(file, writes));
        Ok(Self { kept, sender: FlashSender(Some(sender)), thread: Some(thread) })
    }

    /// What an earlier run left in the flash of a device.
    pub(super) fn take(&mut self, endpoint: &str) -> Option<Flash> {
        self.kept.remove(endpoint)
    }

    /// A way to store from a task.
    pub(super) fn sender(&self) -> FlashSender {
        self.sender.clone()
    }

    /// Waits until everything is stored; all other senders must be gone.
    pub(super) async fn finish(self) {
        drop(self.sender);
        if let Some(thread) = self.thread {
            let _joined = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<String, Flash>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut kept = BTreeMap::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_str::<Line>(line) {
            Ok(Line { endpoint, flash }) => {
                kept.insert(endpoint, flash);
            }
            // The process was killed while it wrote its last line: that write never happened.
            Err(_) if lines.peek().is_none() && !line.ends_with('\n') => {}
            Err(error) => {
                let cause = format!("it is not a fleet's flash memory ({error})");
                return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
            }
        }
    }
    Ok(kept)
}

fn rewrite(path: &Path, kept: &BTreeMap<String, Flash>) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    for (endpoint, flash) in kept {
        let line = Line { endpoint: endpoint.clone(), flash: flash.clone() };
        writeln!(file, "{}", serde_json::to_string(&line)?)?;
    }
    file.sync_data()?;
    fs::rename(&new, path)?;
    Ok(file)
}

fn write_all(mut file: File, mut writes: mpsc::Receiver<Entry>) {
    let mut waiting = Vec::new();
    let mut lines = String::new();
    // One flush to disk for all devices that changed in the meantime.
    while writes.blocking_recv_many(&mut waiting, WRITES_MAX) > 0 {
        lines.clear();
        for write in &waiting {
            lines.push_str(&write.line);
            lines.push('\n');
        }
        if file.write_all(lines.as_bytes()).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        for write in waiting.drain(..) {
            // A device that was stopped in the meantime does not wait any more.
            let _told = write.done.send(());
        }
    }
}

/// Devices whose flash waits for the disk.
const WRITES_MAX: usize = 1_024;
