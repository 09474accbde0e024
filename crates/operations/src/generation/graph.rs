//! The upgrade graph: which releases lead from a version to a goal (paper A §III-B2, migration
//! path).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Manifest, OperationId, Release, ReleaseId, ReleaseName, Upgrade, Version};

/// All releases, by name. Those of one name form one graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    names: BTreeMap<ReleaseName, Vec<(ReleaseId, Arc<Manifest>)>>,
    // Releases that evidence stopped, with the operation: no step on the way to another.
    stopped: BTreeMap<ReleaseId, OperationId>,
}

/// Where a version stands towards a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the goal.
    Current,
    /// It is above the goal.
    Newer,
    /// These releases lead to the goal, which is the last.
    Path(Vec<ReleaseId>),
    /// Nothing leads there.
    NoEdge,
    /// Only a blocked step leads there.
    Blocked {
        /// Why it is blocked.
        reason: String,
    },
}

/// A step into a release.
enum Edge<'a> {
    Open,
    Blocked(&'a Upgrade),
    None,
}

impl Graph {
    /// Adds a release to the graph of its name.
    pub(crate) fn insert(&mut self, id: ReleaseId, manifest: Arc<Manifest>) {
        self.names.entry(manifest.release.name.clone()).or_default().push((id, manifest));
    }

    /// Says which releases evidence stopped, and in which operations. Returns whether that is news.
    pub(crate) fn set_stopped(&mut self, stopped: BTreeMap<ReleaseId, OperationId>) -> bool {
        let news = self.stopped != stopped;
        self.stopped = stopped;
        news
    }

    /// The release of that name and version.
    pub(crate) fn find(&self, name: &ReleaseName, version: &Version) -> Option<ReleaseId> {
        let releases = self.names.get(name)?;
        releases.iter().find(|(_, other)| other.release.version == *version).map(|(id, _)| *id)
    }

    /// The manifest of a release of that name.
    pub(crate) fn manifest(&self, name: &ReleaseName, id: ReleaseId) -> Option<&Manifest> {
        let releases = self.names.get(name)?;
        releases.iter().find(|(other, _)| *other == id).map(|(_, manifest)| &**manifest)
    }

    /// Finds the shortest chain of releases from a version to the goal; among chains of equal
    /// length the one through the newest releases. Every step goes upwards (I20), and only
    /// releases that `fits` accepts and evidence did not stop are stepped on; the goal may be one
    /// that was stopped before, as whoever opened its operation knew. `from` is none for a device that never had a
    /// configuration of this name.
    pub(crate) fn standing(
        &self,
        goal: &Release,
        from: Option<&Version>,
        fits: &dyn Fn(&Manifest) -> bool,
    ) -> Standing {
        let wanted = &goal.manifest.release.version;
        match from.map(|version| version.cmp(wanted)) {
            Some(std::cmp::Ordering::Equal) => return Standing::Current,
            Some(std::cmp::Ordering::Greater) => return Standing::Newer,
            Some(std::cmp::Ordering::Less) | None => {}
        }
        if let Some((path, _)) = self.search(goal, from, fits, false) {
            return Standing::Path(path);
        }
        match self.search(goal, from, fits, true) {
            Some((_, Some(reason))) => Standing::Blocked { reason },
            _ => Standing::NoEdge,
        }
    }

    /// The best chain and, when blocked steps are crossed too, why the first of them is blocked.
    fn search(
        &self,
        goal: &Release,
        from: Option<&Version>,
        fits: &dyn Fn(&Manifest) -> bool,
        through_blocked: bool,
    ) -> Option<(Vec<ReleaseId>, Option<String>)> {
        let wanted = &goal.manifest.release.version;
        let all = self.names.get(&goal.manifest.release.name).map_or(&[][..], Vec::as_slice);
        let mut nodes: Vec<(ReleaseId, &Manifest)> = all
            .iter()
            .filter(|(id, other)| *id != goal.id && other.release.version < *wanted && fits(other))
            .map(|(id, other)| (*id, &**other))
            .collect();
        // Newest first, so that every step leads to a node that is already known, and the first
        // of equally short chains is the one through the newest releases.
        nodes.sort_by(|(_, a), (_, b)| b.release.version.cmp(&a.release.version));
        nodes.insert(0, (goal.id, &goal.manifest));
        let usable = |from: Option<&Version>, (id, to): &(ReleaseId, &Manifest)| {
            let stopped = self.stopped.get(id).filter(|_| *id != goal.id);
            let blocked = match (edge(from, to), stopped) {
                (Edge::None, _) => return None,
                (Edge::Open, None) => return Some(None),
                (Edge::Open, Some(by)) => {
                    format!("it leads over {}, which evidence stopped in {by}", to.release.version)
                }
                (Edge::Blocked(upgrade), _) => upgrade.reason.clone(),
            };
            through_blocked.then_some(Some(blocked))
        };
        // For each node the hops to the goal and the next node; none when it does not lead there.
        let mut onward: Vec<Option<(usize, usize, Option<String>)>> = vec![Some((0, 0, None))];
        for (_, node) in nodes.iter().skip(1) {
            let best = best_step(&nodes, &onward, |to| usable(Some(&node.release.version), to));
            onward.push(best);
        }
        let (_, mut at, mut reason) = best_step(&nodes, &onward, |to| usable(from, to))?;
        let mut path = vec![nodes[at].0];
        while at != 0 {
            let (_, next, crossed) = onward[at].clone()?;
            reason = reason.or(crossed);
            path.push(nodes[next].0);
            at = next;
        }
        Some((path, reason))
    }
}

/// The step with the fewest hops to the goal: hops, node and the reason of a blocked step.
fn best_step(
    nodes: &[(ReleaseId, &Manifest)],
    onward: &[Option<(usize, usize, Option<String>)>],
    usable: impl Fn(&(ReleaseId, &Manifest)) -> Option<Option<String>>,
) -> Option<(usize, usize, Option<String>)> {
    let mut best: Option<(usize, usize, Option<String>)> = None;
    for (at, onward) in onward.iter().enumerate() {
        let Some((hops, _, _)) = onward else { continue };
        if best.as_ref().is_some_and(|(fewest, _, _)| *fewest <= hops + 1) {
            continue;
        }
        if let Some(reason) = usable(&nodes[at]) {
            best = Some((hops + 1, at, reason));
        }
    }
    best
}

/// The step from a version into a release. Without an open edge in its manifest a release can be
/// reached from any lower version; a blocked edge wins over an open one.
fn edge<'a>(from: Option<&Version>, to: &'a Manifest) -> Edge<'a> {
    if from.is_some_and(|from| *from >= to.release.version) {
        return Edge::None;
    }
    // A device without any version is only in the range that holds everything.
    let holds = |upgrade: &Upgrade| {
        from.map_or_else(|| upgrade.from.as_str().trim() == "*", |from| upgrade.from.contains(from))
    };
    if let Some(blocked) = to.upgrade.iter().find(|upgrade| upgrade.blocked && holds(upgrade)) {
        return Edge::Blocked(blocked);
    }
    let mut open = to.upgrade.iter().filter(|upgrade| !upgrade.blocked).peekable();
    if open.peek().is_none() || open.any(holds) { Edge::Open } else { Edge::None }
}
