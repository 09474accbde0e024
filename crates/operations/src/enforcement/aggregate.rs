//! Step 5, aggregation: attempts become the rates that regulation looks at.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Assignment, AttemptState, FaultClass, ReportedRates};

use crate::message::Tracking;

/// Everything counted about the assignments of one operation. Kept up to date with each change,
/// and always equal to a recount (I7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    elements: BTreeMap<u64, Tally>,
    succeeded: u64,
    failed: u64,
    in_flight: u64,
    cancelled: u64,
    artifact_faults: u64,
}

/// The devices of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    in_flight: u64,
    succeeded: u64,
    failed: u64,
    deferred: u64,
    warned: u64,
}

impl Tally {
    /// Devices whose fate says something about the change.
    const fn judged(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Devices tried, heard of or not (I8).
    const fn attempted(&self) -> u64 {
        self.judged() + self.deferred + self.in_flight
    }

    const fn joined(self, other: Self) -> Self {
        Self {
            in_flight: self.in_flight + other.in_flight,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            deferred: self.deferred + other.deferred,
            warned: self.warned + other.warned,
        }
    }

    /// Without a judged device there is no evidence, and nothing was attempted.
    fn rates(&self, response_time_us: Option<u64>) -> ReportedRates {
        if self.judged() == 0 {
            return ReportedRates::new(0, 0, 0, response_time_us);
        }
        ReportedRates::new(self.attempted(), self.failed, self.warned, response_time_us)
    }
}

impl Ledger {
    /// Counts an assignment.
    pub(crate) fn add(&mut self, assignment: &Assignment) {
        self.count(assignment, |count| *count += 1);
    }

    /// Takes an assignment out again, before it changes.
    pub(crate) fn subtract(&mut self, assignment: &Assignment) {
        self.count(assignment, |count| *count = count.saturating_sub(1));
    }

    /// Proved updated.
    pub(crate) const fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Failed or silent.
    pub(crate) const fn failed(&self) -> u64 {
        self.failed
    }

    /// Granted and unresolved.
    pub(crate) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Whether every device of an element is settled.
    pub(crate) fn is_settled(&self, element: u64) -> bool {
        self.elements.get(&element).is_none_or(|tally| tally.in_flight == 0)
    }

    /// Taken back.
    pub(crate) const fn cancelled(&self) -> u64 {
        self.cancelled
    }

    fn count(&mut self, assignment: &Assignment, step: impl Fn(&mut u64)) {
        let tally = self.elements.entry(assignment.element).or_default();
        match &assignment.state {
            AttemptState::Succeeded => {
                step(&mut tally.succeeded);
                step(&mut self.succeeded);
            }
            AttemptState::Failed { fault } => {
                step(&mut tally.failed);
                step(&mut self.failed);
                if fault.kind.class() == FaultClass::PermanentForArtifact {
                    step(&mut self.artifact_faults);
                }
            }
            AttemptState::Silent => {
                step(&mut tally.failed);
                step(&mut self.failed);
            }
            AttemptState::Deferred { .. } => step(&mut tally.deferred),
            AttemptState::Cancelled => step(&mut self.cancelled),
            _ => {
                step(&mut tally.in_flight);
                step(&mut self.in_flight);
            }
        }
        if assignment.warnings > 0 && assignment.state != AttemptState::Cancelled {
            step(&mut tally.warned);
        }
        // An element whose devices were all tried again elsewhere leaves no trace, here as in a
        // recount.
        if *tally == Tally::default() {
            self.elements.remove(&assignment.element);
        }
    }
}

/// What enforcement tells regulation (paper A §III-C, Output) about an operation whose newest
/// element is `element`, if it is still to be decided on.
///
/// `window` joins the newest elements until they hold `window_devices_min` attempted devices or
/// there are no more; across phases too, since evidence about the same image does not lose its
/// worth when the phase advances. Devices in flight count as attempted and not as failed: bad
/// news in the middle of an element aborts only what no good news could save.
pub(crate) fn aggregate(
    ledger: &Ledger,
    element: Option<u64>,
    window_devices_min: u32,
    response_time_us: Option<u64>,
) -> Tracking {
    let ended = element
        .map(|number| ledger.elements.get(&number).copied().unwrap_or_default())
        .filter(|tally| tally.in_flight == 0);
    let mut joined = Tally::default();
    for tally in ledger.elements.values().rev() {
        if joined.attempted() >= u64::from(window_devices_min) {
            break;
        }
        joined = joined.joined(*tally);
    }
    Tracking {
        after: ended.map(|tally| tally.rates(response_time_us)),
        window: (joined.judged() > 0).then(|| joined.rates(response_time_us)),
        artifact_fault: ledger.artifact_faults > 0,
    }
}

/// Response times in buckets of at most 1/32 of their value, so that a median costs the same for
/// ten answers and for ten million, and no float takes part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Histogram {
    buckets: BTreeMap<u64, u64>,
    count: u64,
}

impl Histogram {
    /// Adds one answer.
    pub(crate) fn add(&mut self, round_trip: Duration) {
        let us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        let bits = u64::BITS - us.leading_zeros();
        let shift = bits.saturating_sub(SIGNIFICANT_BITS);
        *self.buckets.entry(us >> shift << shift).or_default() += 1;
        self.count += 1;
    }

    /// The median, rounded down to its bucket; none without an answer.
    pub(crate) fn median_us(&self) -> Option<u64> {
        let half = self.count.div_ceil(2);
        let mut seen = 0;
        for (us, count) in &self.buckets {
            seen += count;
            if seen >= half && self.count > 0 {
                return Some(*us);
            }
        }
        None
    }
}

/// The leading bits a bucket keeps: 6 make it at most 1/32 wide, well inside the dead band.
const SIGNIFICANT_BITS: u32 = 6;
