//! A device's own testimony: what it saw and did, to be held against a server's records.

use serde::Serialize;

/// One line of the log, written as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// Milliseconds since the fleet was started.
    pub at_ms: u64,
    /// Name of the device.
    pub endpoint: String,
    /// What happened.
    #[serde(flatten)]
    pub event: LogEvent,
}

/// What a device saw or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogEvent {
    /// The server accepted its registration.
    Registered {
        /// Path of the registration at the server.
        location: String,
        /// Version it runs.
        version: String,
    },
    /// The server accepted an Update of the registration.
    Updated,
    /// The server refused the registration, forgot it or did not answer.
    RegistrationLost {
        /// What happened, in words.
        cause: String,
    },
    /// The server read.
    Read {
        /// What.
        path: String,
    },
    /// The server wrote.
    Written {
        /// What.
        path: String,
    },
    /// The server began to observe.
    Observed {
        /// What.
        path: String,
    },
    /// An image arrived.
    Downloaded {
        /// Length in bytes.
        bytes: usize,
        /// Whether the device fetched it or the server sent it.
        how: Transfer,
        /// Whether its digest is right.
        digest_ok: bool,
    },
    /// State and result of the Firmware Update object changed.
    Firmware {
        /// `/5/0/3`.
        state: i64,
        /// `/5/0/5`.
        result: i64,
    },
    /// The server executed a resource.
    Executed {
        /// Which.
        path: String,
    },
    /// The image was written to flash; a restart follows. This is the moment the device changes.
    Installed {
        /// Version of the image.
        version: String,
        /// Digest of the image's body.
        sha256: String,
    },
    /// Its firmware crashed; a restart follows.
    Crashed,
    /// It restarts: the socket is closed.
    Rebooted,
    /// It runs another version than before the restart.
    Version {
        /// Version before.
        before: String,
        /// Version after.
        after: String,
    },
    /// It runs the same version as before although it installed an image.
    UpdateFailed {
        /// Version it runs.
        version: String,
        /// What it reports in `/5/0/5`.
        result: i64,
    },
    /// It will never boot again.
    Bricked,
    /// It goes away.
    Left {
        /// Whether it deregistered.
        goodbye: bool,
    },
    /// It is back.
    Returned,
    /// It stopped listening until its next wake-up.
    Asleep,
    /// It listens again.
    Awake,
}

/// How an image reached a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// The device fetched it.
    Pull,
    /// The server sent it.
    Push,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_flat_objects() {
        let event = LogEvent::Downloaded { bytes: 9, how: Transfer::Pull, digest_ok: true };
        let line = LogEntry { at_ms: 1_500, endpoint: "ws-1".to_owned(), event };
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            "{\"at_ms\":1500,\"endpoint\":\"ws-1\",\"event\":\"downloaded\",\"bytes\":9,\
             \"how\":\"pull\",\"digest_ok\":true}"
        );
    }
}
