//! The one place that reads clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Time;

/// Anchored once to the wall clock, then driven by the monotonic one, so that a jump of the wall
/// clock moves no timer (invariant I17).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: Time,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: Time::from_since_origin(wall), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        self.wall + self.started.elapsed()
    }

    /// The instant at which `time` is reached.
    pub(crate) fn instant(&self, time: Time) -> tokio::time::Instant {
        (self.started + time.since(self.wall)).into()
    }

    pub(crate) const fn started(&self) -> Time {
        self.wall
    }
}
