//! Limits of the loops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits and waits of the three loops on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Operations that may be open at the same time; each costs about 32 bytes per device of
    /// the fleet in memory, and a look at each device that changes.
    pub operations_open_max: usize,
    /// Devices named in one hand-picked operation.
    pub devices_picked_max: usize,
    /// Devices changed at the same time over all operations of this server (paper A §III-C,
    /// Queuing). More devices need more memory and network; fewer make large elements slower.
    pub parallel_max: u32,
    /// Time without any progress before the installation after which a transfer is given up as
    /// a passing fault, in seconds. Too short gives up slow radios.
    pub transfer_stall_s: u64,
    /// Longest time from a device's return to the reading of its version, in seconds;
    /// `confirm.within` of the manifest bounds it too.
    pub verify_s: u64,
    /// Time a device has to answer the one probe that is sent before it counts as silent, and a
    /// control device to answer the reads of its guarded values, in seconds. Shorter than the retransmissions of the protocol makes false alarms.
    pub probe_s: u64,
    /// Devices probed at the same time before they count as silent, outside of attempts and over
    /// all operations, each for at most `probe_s`; the others wait for their turn. More burden a
    /// network that has just failed, with fewer a large outage is sorted out later: ten thousand
    /// silent devices take `10_000 / probes_max * probe_s`.
    pub probes_max: usize,
    /// Control devices whose guarded values are read at the same time over all operations, each
    /// for at most `probe_s`. One is read twice for each device that is updated; more at a time
    /// burden the network, with fewer some updated devices stay without a counterpart.
    pub control_reads_max: usize,
    /// Values of one guard that one look keeps for each arm of a stratum, about 8 bytes each in
    /// the store; further ones are left out.
    pub indicator_values_max: usize,
    /// Registrations during one attempt that are still normal; an installation takes one or two.
    pub registrations_max: u32,
    /// Finished operations in a row that failed on a device after which it is put into
    /// quarantine, where no operation grants it until an operator lets it out; 0 for never. Lower
    /// sets devices apart that had bad luck, higher flashes broken ones again and again.
    pub quarantine_after: u32,
    /// Whether devices that turn up out of date after an operation has finished are brought up
    /// to date by a follow-up operation.
    pub compliance: bool,
    /// Time such devices are collected before their operation is opened, in seconds. Each
    /// opening looks at the whole fleet once.
    pub compliance_delay_s: u64,
    /// Waiting time that outweighs one point of priority among pending operations, in seconds,
    /// so that none waits for ever.
    pub ageing_s: u64,
}

impl Config {
    pub(crate) const fn transfer_stall(&self) -> Duration {
        Duration::from_secs(self.transfer_stall_s)
    }

    pub(crate) const fn probe(&self) -> Duration {
        Duration::from_secs(self.probe_s)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            operations_open_max: 32,
            devices_picked_max: 100_000,
            parallel_max: 10_000,
            transfer_stall_s: 300,
            verify_s: 120,
            probe_s: 100,
            probes_max: 1_000,
            control_reads_max: 100,
            indicator_values_max: 10_000,
            registrations_max: 3,
            quarantine_after: 3,
            compliance: true,
            compliance_delay_s: 10,
            ageing_s: 3_600,
        }
    }
}
