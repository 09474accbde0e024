//! Step 3, queuing: how much runs in parallel on this server.

use model::OperationId;

/// What an operation asks of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The operation.
    pub(crate) operation: OperationId,
    /// Granted devices that wait for their dispatch.
    pub(crate) queued: u64,
    /// Devices being changed.
    pub(crate) running: u64,
    /// Devices it may change at the same time.
    pub(crate) parallel_max: u32,
}

/// What an operation gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admission {
    /// The operation.
    pub(crate) operation: OperationId,
    /// Devices to start now.
    pub(crate) now: u64,
    /// Devices that stay queued.
    pub(crate) later: u64,
}

/// Shares the server's capacity among operations in the order given: the first takes what it
/// may, the next what is left. `others` are devices being changed for operations that ask for
/// nothing more.
pub(crate) fn queue(demands: &[Demand], others: u64, parallel_max: u32) -> Vec<Admission> {
    let running: u64 = demands.iter().map(|demand| demand.running).sum();
    let mut free = u64::from(parallel_max).saturating_sub(running + others);
    demands
        .iter()
        .map(|demand| {
            let own = u64::from(demand.parallel_max).saturating_sub(demand.running);
            let now = demand.queued.min(own).min(free);
            free -= now;
            Admission { operation: demand.operation, now, later: demand.queued - now }
        })
        .collect()
}
