//! What can be looked at beside the fleet and the loops.

use lwm2m::Definitions;
use model::{DeviceId, OperationId, Sha256};

use crate::Engine;

impl Engine {
    /// Names and kinds of the values that devices expose.
    #[must_use]
    pub const fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// How many devices are registered.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.lives.len()
    }

    /// The operation whose procedure runs on a device.
    #[must_use]
    pub fn operation_on(&self, device: DeviceId) -> Option<OperationId> {
        self.running.get(&device).map(|run| run.operation)
    }

    /// The operation that an idempotency key stands for (I15).
    #[must_use]
    pub fn accepted(&self, key: &str) -> Option<OperationId> {
        self.accepted.get(key).copied()
    }

    /// Takes back an image that was added for a release which was then refused. Does nothing when
    /// a release needs it.
    pub fn remove_image(&mut self, sha256: Sha256) {
        let needed = self
            .loops
            .releases()
            .any(|release| release.manifest.artifact.iter().any(|image| image.sha256 == sha256));
        if !needed {
            self.images.remove(&fleet::firmware_path(&sha256));
        }
    }
}
