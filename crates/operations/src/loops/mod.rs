//! The post office: owns the states of the three loops and carries their messages.

mod activation;
mod book;
mod evidence;
mod indicators;
mod orders;
mod plan;
mod quarantine;
mod questions;
mod rehearsal;
mod reports;
mod restoration;
mod silence;
mod spread;
mod undo;
mod views;
mod watch;

use self::evidence::{Comparison, Experience};
use self::questions::Questions;
use self::spread::{Alarms, Parked, Sites};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::{
    Assignment, Change, DeviceId, Operation, OperationId, Release, ReleaseId, ReleaseName,
    ResourcePath, StratumName, Time, Version,
};

use crate::generation::{Graph, Memory, Targets, Urgency};
use crate::{Conduct, Config, Output, Pool};

/// The three loops of one server with all their operations.
///
/// One mutation, then drain: after any call that takes `&mut self`, call [`Loops::activate`],
/// then [`Loops::poll_output`] until it returns none, then wait until [`Loops::poll_timeout`].
/// Everything durable leaves as a record; [`Loops::restore`] builds the same state from them.
///
/// Response times are the one thing that is measured and not kept: after a restart the median of
/// the element in progress is that of the answers since.
#[derive(Debug)]
pub struct Loops {
    config: Config,
    graph: Graph,
    // Evidence stopped a release, or let one go, since the paths were looked at.
    paths_changed: bool,
    releases: BTreeMap<ReleaseId, Published>,
    // Whether some release believes values of a limited age only.
    minds_age: bool,
    runs: BTreeMap<OperationId, Run>,
    // Open operations, the most urgent first.
    by_urgency: Vec<OperationId>,
    // The operation that changes a device now: at most one (I1).
    busy: BTreeMap<DeviceId, OperationId>,
    // Where the devices that are being changed stand.
    sites: Sites,
    deadlines: BTreeSet<(Time, OperationId, DeviceId)>,
    // Devices whose place in some operation must be looked at again.
    dirty: BTreeSet<DeviceId>,
    compliance: Compliance,
    experience: Experience,
    // Control devices that are being read.
    readings: Questions,
    // Devices that are probed before they count as silent.
    probes: Questions,
    // Operations with updated devices in what evidence stopped, and when to open their undoing.
    undo_due: BTreeMap<OperationId, Time>,
    outputs: VecDeque<Output>,
}

/// A release, the change its drivers carry out, and the values they read for its guards.
#[derive(Debug)]
struct Published {
    release: Release,
    change: Arc<Change>,
    guards: Arc<[ResourcePath]>,
}

/// One operation with what the loops know about it.
#[derive(Debug)]
struct Run {
    conduct: Conduct,
    release: Release,
    urgency: Urgency,
    assignments: BTreeMap<DeviceId, Assignment>,
    // Attempts in flight.
    watches: BTreeMap<DeviceId, Watch>,
    targets: Targets,
    memory: Memory,
    // Granted devices that wait for the server's capacity, in the order of their dispatch.
    queued: BTreeSet<(u64, DeviceId)>,
    // Deferred devices whose wait is not over.
    retries: BTreeSet<(Time, DeviceId)>,
    // Targets whose verdict changes by the clock.
    alarms: Alarms,
    // Targets whose site has no room.
    parked: Parked,
    // Under evidence, the devices that are compared.
    comparison: Option<Comparison>,
    // Under an operation that undoes another, the version it takes back.
    undoes: Option<Version>,
}

/// What is known of an attempt in flight and need not survive a restart.
#[derive(Debug, Clone, Copy)]
struct Watch {
    // Last sign of progress before the installation.
    heard: Time,
    // Since when it sleeps, which does not count as a standstill.
    asleep: Option<Time>,
    bytes: u64,
    probed: Option<Time>,
    // An intent to install was durable before the restart: it may be installing.
    told: bool,
    due: Option<Time>,
}

/// Finished operations whose release every device should run.
#[derive(Debug, Default)]
struct Compliance {
    standards: BTreeMap<ReleaseName, Standard>,
    // Devices failed for good, by the release; they are not tried again by themselves.
    failed: BTreeSet<(ReleaseId, DeviceId)>,
    due: BTreeMap<ReleaseName, Time>,
    // Every device is to be held against the standards once.
    sweep: bool,
}

#[derive(Debug)]
struct Standard {
    release: ReleaseId,
    operation: OperationId,
    memory: Memory,
    // What evidence stopped: its devices are not brought to compliance by themselves.
    stopped: BTreeSet<StratumName>,
}

impl Loops {
    /// Starts without any release or operation.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            graph: Graph::default(),
            paths_changed: false,
            releases: BTreeMap::new(),
            minds_age: false,
            runs: BTreeMap::new(),
            by_urgency: Vec::new(),
            busy: BTreeMap::new(),
            sites: Sites::default(),
            deadlines: BTreeSet::new(),
            dirty: BTreeSet::new(),
            compliance: Compliance::default(),
            experience: Experience::default(),
            readings: Questions::default(),
            probes: Questions::default(),
            undo_due: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A request of the server was answered after `round_trip`: paper A's infrastructure metric
    /// (§III-B2). It counts for every operation with an element in progress.
    pub fn response_time(&mut self, round_trip: Duration, _now: Time) {
        for id in &self.by_urgency {
            if let Some(run) = self.runs.get_mut(id) {
                run.conduct.response_time(round_trip);
            }
        }
    }

    /// The next thing to be done, in order; none when everything is drained.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

impl Run {
    fn new(conduct: Conduct, release: Release) -> Self {
        Self {
            urgency: Urgency::of(&release.manifest),
            targets: Targets::new(conduct.operation().seed),
            conduct: conduct.of_class(release.manifest.release.class),
            release,
            assignments: BTreeMap::new(),
            watches: BTreeMap::new(),
            memory: Memory::default(),
            queued: BTreeSet::new(),
            retries: BTreeSet::new(),
            alarms: Alarms::default(),
            parked: Parked::default(),
            comparison: None,
            undoes: None,
        }
    }

    const fn operation(&self) -> &Operation {
        self.conduct.operation()
    }

    /// Whether it has targets that will be granted at a time, by people's word or in their turn
    /// at their site, which says nothing about how long that takes.
    fn waits_for_its_time(&self) -> bool {
        let codes = self.targets.codes();
        WORTH_WAITING_FOR.iter().any(|code| codes.contains_key(code))
    }

    /// Its devices that are not granted.
    fn pool(&self) -> Pool {
        Pool {
            ready: self.targets.ready(),
            waiting: self.targets.waiting(),
            excluded: self.targets.excluded(),
            retries: !self.retries.is_empty() || self.waits_for_its_time(),
        }
    }
}

/// Codes of waits that no linger time cuts short: a window that opens at the weekend is worth
/// staying open for, and so are people who have not answered.
const WORTH_WAITING_FOR: [&str; 4] =
    ["window.closed", "consent.pending", "consent.deferred_until", "spread.limit"];
