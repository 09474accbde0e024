//! Step 5, aggregation: attempts become the rates that regulation looks at.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Assignment, AttemptState, FaultClass, FaultKind, ReportedRates, Tally};

use crate::message::Tracking;

/// Attempts of an operation that stand at the same place, as far as its counts tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts<'a> {
    /// How many; each is on a device of its own.
    pub devices: u64,
    /// The element that granted their devices.
    pub element: u64,
    /// Where they stand. Times and words in it do not matter here, kinds of faults do.
    pub state: &'a AttemptState,
    /// Whether their devices showed a warning.
    pub warned: bool,
}

impl<'a> From<&'a Assignment> for Attempts<'a> {
    fn from(assignment: &'a Assignment) -> Self {
        Self {
            devices: 1,
            element: assignment.element,
            state: &assignment.state,
            warned: assignment.warnings > 0,
        }
    }
}

/// Everything counted about the attempts of one operation. Kept up to date with each change,
/// and always equal to a recount (I7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    elements: BTreeMap<u64, Tally>,
    succeeded: u64,
    failed: u64,
    in_flight: u64,
    cancelled: u64,
    deferred: u64,
    rejected: u64,
    timed_out: u64,
    artifact_faults: u64,
    // Elements joined to stages, by the first element of each.
    stages: Vec<(u64, Tally)>,
}

/// Without a judged device there is no evidence, and nothing was attempted.
fn rates(tally: &Tally, response_time_us: Option<u64>) -> ReportedRates {
    if tally.judged() == 0 {
        return ReportedRates::new(0, 0, 0, response_time_us);
    }
    ReportedRates::new(tally.attempted(), tally.failed, tally.warned, response_time_us)
}

impl Ledger {
    /// Counts attempts, one assignment or many.
    pub(crate) fn add<'a>(&mut self, attempts: impl Into<Attempts<'a>>) {
        let attempts = attempts.into();
        self.count(attempts, |count| *count += attempts.devices);
    }

    /// Takes attempts out again, before they change.
    pub(crate) fn subtract<'a>(&mut self, attempts: impl Into<Attempts<'a>>) {
        let attempts = attempts.into();
        self.count(attempts, |count| *count = count.saturating_sub(attempts.devices));
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

    /// Devices ever granted, those to be tried again included.
    pub(crate) const fn granted(&self) -> u64 {
        self.succeeded + self.failed + self.in_flight + self.cancelled + self.deferred
    }

    /// Failed, because they refused the order.
    pub(crate) const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Failed, because they fell silent or broke off for good.
    pub(crate) const fn timed_out(&self) -> u64 {
        self.timed_out
    }

    /// Joins the elements from that one on to a stage of their own.
    pub(crate) fn begin_stage(&mut self, first_element: u64) {
        self.stages.push((first_element, Tally::default()));
    }

    /// What the stages came to, in their order.
    pub(crate) fn stages(&self) -> impl Iterator<Item = &Tally> {
        self.stages.iter().map(|(_, tally)| tally)
    }

    /// What the newest elements came to, the newest last.
    pub(crate) fn newest(&self, elements: u32) -> Vec<Tally> {
        let mut newest: Vec<Tally> =
            self.elements.values().rev().take(elements as usize).copied().collect();
        newest.reverse();
        newest
    }

    fn count(&mut self, attempts: Attempts<'_>, step: impl Fn(&mut u64)) {
        let total = match attempts.state {
            AttemptState::Succeeded => &mut self.succeeded,
            AttemptState::Failed { .. } | AttemptState::Silent => &mut self.failed,
            AttemptState::Deferred { .. } => &mut self.deferred,
            AttemptState::Cancelled => &mut self.cancelled,
            _ => &mut self.in_flight,
        };
        step(total);
        match attempts.state {
            AttemptState::Failed { fault } => {
                match fault.kind {
                    FaultKind::Rejected => step(&mut self.rejected),
                    FaultKind::NoAnswer | FaultKind::ConnectionLost => step(&mut self.timed_out),
                    _ => {}
                }
                if fault.kind.class() == FaultClass::PermanentForArtifact {
                    step(&mut self.artifact_faults);
                }
            }
            AttemptState::Silent => step(&mut self.timed_out),
            _ => {}
        }
        let stage = self.stages.partition_point(|(first, _)| *first <= attempts.element);
        if let Some((_, tally)) = stage.checked_sub(1).and_then(|at| self.stages.get_mut(at)) {
            tell(tally, attempts, &step);
        }
        let tally = self.elements.entry(attempts.element).or_default();
        tell(tally, attempts, &step);
        // An element whose devices were all tried again elsewhere leaves no trace, here as in a
        // recount.
        if *tally == Tally::default() {
            self.elements.remove(&attempts.element);
        }
    }
}

fn tell(tally: &mut Tally, attempts: Attempts<'_>, step: impl Fn(&mut u64)) {
    match attempts.state {
        AttemptState::Succeeded => step(&mut tally.succeeded),
        AttemptState::Failed { .. } | AttemptState::Silent => step(&mut tally.failed),
        // A device that was not there was not attempted either.
        AttemptState::Deferred { fault, .. } if fault.kind == FaultKind::Away => return,
        AttemptState::Deferred { .. } => step(&mut tally.deferred),
        AttemptState::Cancelled => return,
        _ => step(&mut tally.in_flight),
    }
    if attempts.warned {
        step(&mut tally.warned);
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
        after: ended.map(|tally| rates(&tally, response_time_us)),
        window: (joined.judged() > 0).then(|| rates(&joined, response_time_us)),
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
