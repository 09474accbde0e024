//! Late answers on purpose: what paper A's experiment does to its servers (§IV-B).

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use model::{OperationId, Rate, Span, Time};
use serde::{Deserialize, Serialize};

/// How late the server looks at what devices send, by progress of the operation under way.
///
/// The loops know nothing of it: they measure longer response times and react.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slowdown {
    /// Before any stage is reached; 0 s for no delay.
    pub delay: Option<Span>,
    /// Changes on the way.
    pub stages: Vec<SlowdownStage>,
}

/// A change of the delay when an operation reaches a share of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowdownStage {
    /// Share of the targets whose attempt is over.
    pub from: Rate,
    /// Delay from there.
    pub delay: Span,
    /// For the element that begins there only, then back to what it was before.
    #[serde(default)]
    pub one_element: bool,
}

/// Datagrams that are looked at late.
#[derive(Debug, Default)]
pub(crate) struct Late {
    plan: Slowdown,
    reached: BTreeSet<(OperationId, usize)>,
    lasting: Duration,
    passing: Option<(OperationId, u64, Duration)>,
    held: VecDeque<(Time, SocketAddr, Vec<u8>)>,
}

impl Late {
    pub(crate) fn new(plan: Slowdown) -> Self {
        let lasting = plan.delay.map_or(Duration::ZERO, |span| span.0);
        Self { plan, lasting, ..Self::default() }
    }

    /// Whether there is anything to do at all.
    pub(crate) const fn is_off(&self) -> bool {
        self.plan.delay.is_none() && self.plan.stages.is_empty()
    }

    /// Takes notice of an element that begins, and of how far its operation is.
    pub(crate) fn progressed(&mut self, operation: OperationId, progress: Rate, element: u64) {
        if self.passing.is_some_and(|(of, at, _)| of == operation && element > at) {
            self.passing = None;
        }
        for (number, stage) in self.plan.stages.iter().enumerate() {
            if progress < stage.from || !self.reached.insert((operation, number)) {
                continue;
            }
            if stage.one_element {
                self.passing = Some((operation, element, stage.delay.0));
            } else {
                self.lasting = stage.delay.0;
            }
        }
    }

    /// Holds a datagram back; it is due at the returned time.
    pub(crate) fn hold(&mut self, peer: SocketAddr, datagram: &[u8], now: Time) {
        let delay = self.delay();
        let earliest = self.held.back().map_or(now, |(at, _, _)| *at);
        self.held.push_back(((now + delay).max(earliest), peer, datagram.to_vec()));
    }

    /// The next datagram that is due.
    pub(crate) fn due(&mut self, now: Time) -> Option<(SocketAddr, Vec<u8>)> {
        if self.held.front().is_some_and(|(at, _, _)| *at <= now) {
            return self.held.pop_front().map(|(_, peer, datagram)| (peer, datagram));
        }
        None
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Time> {
        self.held.front().map(|(at, _, _)| *at)
    }

    fn delay(&self) -> Duration {
        self.passing.map_or(self.lasting, |(_, _, delay)| delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(percent: u32, millis: u64, one_element: bool) -> SlowdownStage {
        SlowdownStage { from: Rate::percent(percent), delay: Span::millis(millis), one_element }
    }

    #[test]
    fn stages_last_or_pass() {
        let plan = Slowdown {
            delay: Some(Span::millis(40)),
            stages: vec![stage(35, 120, true), stage(55, 10, false)],
        };
        let mut late = Late::new(plan);
        let operation = OperationId(1);
        for (element, percent, millis) in
            [(1, 0, 40), (2, 20, 40), (3, 36, 120), (4, 50, 40), (5, 56, 10), (6, 80, 10)]
        {
            late.progressed(operation, Rate::percent(percent), element);
            assert_eq!(late.delay(), Duration::from_millis(millis), "element {element}");
        }
    }

    #[test]
    fn datagrams_keep_their_order_when_the_delay_shrinks() {
        let mut late = Late::new(Slowdown { delay: Some(Span::millis(100)), stages: vec![] });
        let peer: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let start = Time::from_secs(1);
        late.hold(peer, b"first", start);
        late.lasting = Duration::ZERO;
        late.hold(peer, b"second", start + Duration::from_millis(10));
        assert_eq!(late.due(start + Duration::from_millis(99)), None);
        let due = start + Duration::from_millis(100);
        assert_eq!(late.next(), Some(due));
        let order: Vec<_> = std::iter::from_fn(|| late.due(due)).map(|(_, bytes)| bytes).collect();
        assert_eq!(order, [b"first".to_vec(), b"second".to_vec()]);
    }
}
