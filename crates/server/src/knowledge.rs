//! The store on a thread of its own: commits block, the driver must not.

use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use engine::Batch;
use store::{Knowledge, StoreError};
use tokio::sync::mpsc;

/// What the store's thread says.
#[derive(Debug)]
pub(crate) enum Report {
    /// A batch is durable.
    Committed(u64),
    /// A batch cannot be written for now; it is tried again.
    Delayed(StoreError),
    /// Nothing can be written any more: only a restart tells what is really there.
    Broken(StoreError),
}

/// Wait between two tries of a batch that met a full disk or a locked database.
const RETRY: Duration = Duration::from_millis(500);

/// Starts the thread. It ends when the sender of batches is dropped, after the last one.
pub(crate) fn spawn(
    mut store: impl Knowledge + Send + 'static,
) -> (blocking::Sender<Batch>, mpsc::UnboundedReceiver<Report>, thread::JoinHandle<()>) {
    let (batches, incoming) = blocking::channel::<Batch>();
    let (reports, outgoing) = mpsc::unbounded_channel();
    let thread = thread::spawn(move || {
        for batch in incoming {
            if !commit(&mut store, &batch, &reports) {
                return;
            }
        }
    });
    (batches, outgoing, thread)
}

/// Commits one batch, however long it takes. Returns whether the store still works.
fn commit(
    store: &mut impl Knowledge,
    batch: &Batch,
    reports: &mpsc::UnboundedSender<Report>,
) -> bool {
    loop {
        match store.commit(&batch.records) {
            Ok(()) => return reports.send(Report::Committed(batch.id)).is_ok(),
            Err(error @ (StoreError::DiskFull { .. } | StoreError::Busy { .. })) => {
                // When nobody listens any more the server is stopping: give the batch up, it was
                // never acknowledged.
                if reports.send(Report::Delayed(error)).is_err() {
                    return false;
                }
                thread::sleep(RETRY);
            }
            Err(error) => {
                // The driver stops on it; a closed channel means that it stops already.
                drop(reports.send(Report::Broken(error)));
                return false;
            }
        }
    }
}
