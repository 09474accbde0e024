//! Durable first: records leave in batches, effects wait for the batch they depend on.

use std::collections::VecDeque;

use model::Record;

/// Records that become durable together, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its number, dense from 1 within one run.
    pub id: u64,
    /// What to commit.
    pub records: Vec<Record>,
}

/// Collects records and holds effects back (rule "intent before effect", I2).
///
/// While one batch is being committed the next fills up, which is group commit without a timer.
#[derive(Debug)]
pub(crate) struct Outbox<Effect> {
    open: Vec<Record>,
    next_id: u64,
    in_flight: bool,
    held: VecDeque<(u64, Effect)>,
}

impl<Effect> Default for Outbox<Effect> {
    fn default() -> Self {
        Self { open: Vec::new(), next_id: 1, in_flight: false, held: VecDeque::new() }
    }
}

impl<Effect> Outbox<Effect> {
    /// Adds a record to the open batch.
    pub(crate) fn record(&mut self, record: Record) {
        self.open.push(record);
    }

    /// Holds an effect until everything recorded so far is durable. Returns it when it already is.
    pub(crate) fn hold(&mut self, effect: Effect) -> Option<Effect> {
        let needed = self.receipt();
        if needed <= self.committed() && self.held.is_empty() {
            return Some(effect);
        }
        self.held.push_back((needed, effect));
        None
    }

    /// Number of the batch after which everything recorded so far is durable.
    pub(crate) const fn receipt(&self) -> u64 {
        if self.open.is_empty() { self.next_id - 1 } else { self.next_id }
    }

    /// Number of the last batch known to be durable.
    pub(crate) const fn committed(&self) -> u64 {
        if self.in_flight { self.next_id - 2 } else { self.next_id - 1 }
    }

    /// The next batch to commit, when none is being committed.
    pub(crate) fn take_batch(&mut self) -> Option<Batch> {
        if self.in_flight || self.open.is_empty() {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.in_flight = true;
        Some(Batch { id, records: std::mem::take(&mut self.open) })
    }

    /// The batch of that number is durable.
    pub(crate) fn commit(&mut self, id: u64) {
        if self.in_flight && id == self.next_id - 1 {
            self.in_flight = false;
        }
    }

    /// The next effect whose records are durable.
    pub(crate) fn release(&mut self) -> Option<Effect> {
        let (needed, _) = self.held.front()?;
        if *needed > self.committed() {
            return None;
        }
        self.held.pop_front().map(|(_, effect)| effect)
    }
}

#[cfg(test)]
mod tests {
    use model::{DeviceId, Record};

    use super::*;

    fn record() -> Record {
        Record::Deregistration { device: DeviceId(1) }
    }

    #[test]
    fn an_effect_waits_for_the_records_before_it() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.hold("free"), Some("free"), "nothing recorded, nothing to wait for");
        outbox.record(record());
        assert_eq!(outbox.hold("first"), None);
        let batch = outbox.take_batch().unwrap();
        assert_eq!((batch.id, outbox.release()), (1, None), "not durable yet");
        outbox.record(record());
        assert_eq!(outbox.hold("second"), None);
        assert_eq!(outbox.take_batch(), None, "one batch at a time");
        outbox.commit(1);
        assert_eq!(outbox.release(), Some("first"));
        assert_eq!(outbox.release(), None, "the second waits for its own batch");
        assert_eq!(outbox.take_batch().unwrap().id, 2);
        outbox.commit(2);
        assert_eq!(outbox.release(), Some("second"));
        assert_eq!((outbox.receipt(), outbox.committed()), (2, 2));
    }
}
