//! Step 4, execution: a granted device becomes an order to its driver.

use std::sync::Arc;

use model::{Assignment, Change, FirmwareChange, Manifest, ReleaseId, ResourcePath};

use crate::message::Dispatch;

/// The change a release makes, free of any protocol.
pub(crate) fn change(manifest: &Manifest) -> Change {
    let version = manifest.release.version.clone();
    match manifest.artifact.first() {
        Some(artifact) => Change::Firmware(FirmwareChange {
            version,
            sha256: artifact.sha256,
            size: artifact.size,
            delivery: artifact.delivery,
        }),
        None => Change::Configuration {
            writes: manifest
                .write
                .iter()
                .map(|write| (write.path.clone(), write.value.clone()))
                .collect(),
            version,
        },
    }
}

/// The values that the guards of a release compare.
pub(crate) fn guards(manifest: &Manifest) -> Arc<[ResourcePath]> {
    manifest.guard.iter().map(|guard| guard.path.clone()).collect()
}

/// The order for the next hop of an assignment. A try that is not the first resumes: the tries
/// before it may have left something on the device (I2).
pub(crate) fn execute(
    assignment: &Assignment,
    release: ReleaseId,
    change: Arc<Change>,
    guards: Arc<[ResourcePath]>,
    sent_before: bool,
) -> Dispatch {
    Dispatch {
        operation: assignment.operation,
        device: assignment.device,
        attempt: assignment.attempt,
        release,
        change,
        guards,
        undoes: None,
        resume: sent_before || assignment.tries() > 1,
    }
}
