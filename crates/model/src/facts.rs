//! What a server's own records say of a change before it is started.

use std::collections::BTreeMap;

use crate::{Policy, Span, StratumName, Tolerance};

/// A fleet as a rehearsal needs it: whom a change would be for, how its devices behave, and how
/// earlier installations went. Everything here was counted or measured; what never was is left
/// out, and whoever needs a value then has to assume one and say so.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FleetFacts {
    /// How the operation would be regulated.
    pub policy: Policy,
    /// Devices that may be harmed before a stop; none under rules without a budget.
    pub budget: Option<u64>,
    /// The targets by what the policy tells apart, most devices first; at most
    /// [`FleetFacts::STRATA_MAX`].
    pub strata: Vec<StratumFacts>,
    /// Strata that were put together as the last one, because there are too many.
    pub joined: u64,
    /// Targets that cannot be updated now, by reason code.
    pub waiting: BTreeMap<&'static str, u64>,
    /// Devices that are no target, by reason code.
    pub excluded: BTreeMap<&'static str, u64>,
    /// Earlier installations of releases of the same name, in the order of their hardware.
    pub installed: Vec<InstalledFacts>,
    /// Usual response time of the server in the last operation that measured it.
    pub response: Option<Span>,
}

/// What is known of one stratum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StratumFacts {
    /// Who belongs to it.
    pub name: StratumName,
    /// Targets that can be updated now.
    pub ready: u64,
    /// Targets that sleep and call by themselves.
    pub asleep: u64,
    /// Targets whose registration has ended or expired.
    pub offline: u64,
    /// Targets that wait for something else that can pass: charge, memory, another operation.
    pub blocked: u64,
    /// Targets that are held by an operator or in quarantine.
    pub held: u64,
    /// Most installations that one of its devices needs, one after the other; 0 while none can
    /// be updated.
    pub hops: u32,
    /// Mean registration lifetime.
    pub lifetime: Span,
    /// Mean silence after which a device counts as lost.
    pub silence_after: Span,
    /// Times between contacts of devices of this hardware; none while none was learned.
    pub gaps: Option<TimesFacts>,
    /// From the first order to the proof, of one installation on this hardware; none without an
    /// earlier one that succeeded.
    pub install: Option<TimesFacts>,
    /// Failures the operation would tolerate; none under rules without evidence.
    pub tolerance: Option<Tolerance>,
    /// What targets did that were not told to install anything, in earlier operations.
    pub health: HealthFacts,
}

/// How long something took, each time; with eight classes for every doubling, so at most one
/// eighth too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimesFacts {
    /// Times measured.
    pub count: u64,
    /// Half were at most this.
    pub median: Span,
    /// Nine tenths were at most this.
    pub p90: Span,
    /// 999 of 1,000 were at most this.
    pub p999: Span,
}

/// What happened to devices although nothing was changed on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthFacts {
    /// Time they were watched, in seconds, over all devices.
    pub watched_s: u64,
    /// Devices that fell silent.
    pub silences: u64,
    /// Devices that crashed or rebooted by themselves.
    pub crashes: u64,
}

/// Installations of the past on one hardware.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct InstalledFacts {
    /// Hardware revision.
    pub hardware: String,
    /// Installations that ended, in operations that finished.
    pub attempts: u64,
    /// Of these, failed ones.
    pub failures: u64,
}

impl FleetFacts {
    /// Strata told apart; each costs time in every step of a rehearsal.
    pub const STRATA_MAX: usize = 64;

    /// All devices the operation would be for.
    #[must_use]
    pub fn targets(&self) -> u64 {
        self.strata.iter().map(StratumFacts::targets).sum()
    }
}

impl StratumFacts {
    /// All devices the operation would be for.
    #[must_use]
    pub const fn targets(&self) -> u64 {
        self.ready + self.asleep + self.offline + self.blocked + self.held
    }
}
