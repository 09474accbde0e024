use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::{ExchangeId, RequestId};

/// Says what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// A confirmable message was not acknowledged.
    Retransmit { peer: SocketAddr, message_id: u16 },
    /// An acknowledged request has no response.
    Response(RequestId),
    /// The application has not answered a request.
    Exchange(ExchangeId),
    /// A body being received has not grown.
    Upload { peer: SocketAddr, serial: u64 },
}

/// Names an armed timer. The serial keeps timers of the same moment in the order they were armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey {
    at: Duration,
    serial: u64,
}

/// Holds all timers of an endpoint by time; every operation takes logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: BTreeMap<TimerKey, Timer>,
    serial: u64,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Duration, timer: Timer) -> TimerKey {
        self.serial += 1;
        let key = TimerKey { at, serial: self.serial };
        self.armed.insert(key, timer);
        key
    }

    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.armed.remove(&key);
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.armed.first_key_value().map(|(key, _)| key.at)
    }

    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        let entry = self.armed.first_entry()?;
        (entry.key().at <= now).then(|| entry.remove())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }
}
