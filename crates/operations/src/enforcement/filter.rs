//! Step 1, filtering: what does not comply with the retry policy goes no further.

use model::{AttemptState, Fault, FaultClass, OperationState, Retry, Time};

/// Whether devices of an operation may still be processed: not once it has ended (expiry, abort)
/// nor while it is paused, and none whose tries are used up.
pub(crate) const fn filter(state: OperationState, tries: u32, retry: &Retry) -> bool {
    matches!(state, OperationState::Ongoing) && tries <= retry.attempts_max
}

/// What the retry policy looks at after a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After<'a> {
    /// The policy.
    pub(crate) retry: &'a Retry,
    /// The state of the operation: one that has ended tries nothing again.
    pub(crate) state: OperationState,
    /// The tries made, the one that failed included.
    pub(crate) tries: u32,
}

/// Decides what becomes of an attempt after a fault, by the class of the fault: a passing one is
/// tried again, each wait twice the last, until the tries are used up; the others will not pass.
pub(crate) fn retry(after: &After<'_>, fault: Fault, now: Time) -> AttemptState {
    let passes = fault.kind.class() == FaultClass::Transient;
    if !passes || after.state.is_final() || after.tries >= after.retry.attempts_max {
        return AttemptState::Failed { fault };
    }
    let doublings = after.tries.saturating_sub(1).min(31);
    let wait = after.retry.backoff.0.saturating_mul(1 << doublings).min(after.retry.backoff_max.0);
    AttemptState::Deferred { until: now + wait, fault }
}
