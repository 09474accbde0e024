//! The release that the scripted device is offered, and its operation.

use model::{Manifest, OperationId, Policy};

use super::Pair;

/// A firmware for the scripted device, with more lines in its manifest.
pub(super) fn firmware(extra: &str) -> Manifest {
    let text = format!(
        r#"
        manifest = 1
        [release]
        name = "ws"
        version = "1.1.0"
        class = "minor"
        [[target]]
        manufacturer = "ACME"
        model = "WS-200"
        [[artifact]]
        size = 4
        sha256 = "{}"
        file = "x"
        {extra}
        "#,
        "09".repeat(32)
    );
    Manifest::from_toml(&text).unwrap()
}

impl Pair {
    /// Publishes it with an operation, and lets both sides talk.
    pub(super) fn publish(&mut self, extra: &str, policy: Policy) -> OperationId {
        let release = firmware(extra);
        let published = self.engine.publish(release, "test", Some(policy), None, 1, self.now);
        self.settle();
        published.unwrap().1.unwrap()
    }
}
