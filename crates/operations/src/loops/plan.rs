//! The dry run: what an operation would meet if it were opened now.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Device, DeviceId, Eligibility, Exclusion, Fleet, OperationId, OperationState, Policy, Release,
    ReleaseId, Rule, Scope, Time, Version,
};

use super::evidence::parts_under;
use super::{Loops, Run};
use crate::evidence::default_budget;
use crate::generation::{Claim, Graph, Memory, Place, Question, Urgency, identify, version_of};
use crate::regulation;
use crate::{OpenError, Plan, Planned, PlannedConflict, PlannedPath};

impl Loops {
    /// Says what an operation would meet, without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] for an unknown release, an unusable policy or a bad list of devices; that
    /// operations are open already is no error here but a conflict in the plan.
    pub fn plan(
        &self,
        of: Planned<'_>,
        scope: &Scope,
        policy: &Policy,
        fleet: &Fleet,
        now: Time,
    ) -> Result<Plan, OpenError> {
        let policy = policy.clone();
        let proposal = self.propose(of, scope, policy, fleet, now)?;
        let mut survey = Survey::default();
        self.survey(&proposal, fleet, now, |device, verdict| {
            survey.count(&proposal, device, verdict);
        });
        let strata: Vec<(u64, u64)> = survey.strata.values().copied().collect();
        let mut plan = survey.into_plan(&proposal.release, &proposal.graph);
        plan.stopped_by = self.stopped_by(proposal.release.id);
        let (policy, targets) = (&proposal.policy, plan.targets());
        plan.first_speed = regulation::first_speed(policy, targets);
        plan.first_per_minute = matches!(policy.rule, Rule::AwsJobs(_));
        plan.speed_max = regulation::speed_max(policy, targets);
        if let Some(rule) = policy.rule.evidence() {
            let budget = rule.budget.unwrap_or_else(|| default_budget(targets));
            let first = regulation::first_grant(rule, budget, &strata);
            plan.first_speed = u32::try_from(first).unwrap_or(u32::MAX).min(plan.speed_max);
            plan.budget = Some(budget);
        }
        Ok(plan)
    }

    /// What would be opened, if it can be.
    pub(super) fn propose(
        &self,
        of: Planned<'_>,
        scope: &Scope,
        policy: Policy,
        fleet: &Fleet,
        now: Time,
    ) -> Result<Proposal, OpenError> {
        let mut scope = scope.clone();
        if let Scope::Picked { devices } = &mut scope {
            devices.sort_unstable();
            devices.dedup();
        }
        let policy = self.usable(policy, &scope, fleet)?;
        let mut graph = self.graph.clone();
        let release = match of {
            Planned::Release(id) => {
                let published = self.releases.get(&id).ok_or(OpenError::UnknownRelease(id))?;
                published.release.clone()
            }
            Planned::Manifest(manifest) => {
                let id = ReleaseId(self.releases.last_key_value().map_or(1, |(id, _)| id.0 + 1));
                let manifest = Arc::new(manifest.clone());
                graph.insert(id, Arc::clone(&manifest));
                Release { id, manifest, published: now, by: String::new() }
            }
        };
        Ok(Proposal { release, graph, scope, policy })
    }

    /// Hands every device with its verdict to `each`, in the order of their numbers.
    pub(super) fn survey<'f>(
        &self,
        proposal: &Proposal,
        fleet: &'f Fleet,
        now: Time,
        mut each: impl FnMut(&'f Device, Eligibility),
    ) {
        let mut memory = Memory::default();
        let urgency = Urgency::of(&proposal.release.manifest);
        let next = self.next_operation();
        for device in fleet.iter() {
            let question = Question {
                release: &proposal.release,
                graph: &proposal.graph,
                scope: &proposal.scope,
                busy: self.busy_with(device.id, None),
                reserved: self.reserved_by(device, urgency, None),
                undoes: None,
                operation: Some((next, &proposal.policy)),
                site_devices: self.sites.devices(device.site.as_deref()),
                now,
            };
            each(device, identify(&question, device, &mut memory));
        }
    }

    /// The operation that changes a device now, and what it installs.
    pub(super) fn busy_with(&self, device: DeviceId, except: Option<OperationId>) -> Option<Claim> {
        let operation = self.busy.get(&device).copied().filter(|id| Some(*id) != except)?;
        let run = self.runs.get(&operation)?;
        let hop = run.assignments.get(&device).and_then(|known| known.path.first().copied());
        Some(Claim { operation, release: hop.unwrap_or_else(|| run.operation().release) })
    }

    /// The open operation that has a device next and is more urgent.
    pub(super) fn reserved_by(
        &self,
        device: &Device,
        urgency: Urgency,
        except: Option<OperationId>,
    ) -> Option<Claim> {
        self.by_urgency
            .iter()
            .filter(|id| Some(**id) != except)
            .filter_map(|id| self.runs.get(id))
            .take_while(|run| run.urgency < urgency)
            .find(|run| {
                let state = run.operation().state;
                matches!(state, OperationState::Pending | OperationState::Ongoing)
                    && run.place_of(device.id) == Place::Ready
            })
            .map(Run::claim)
    }
}

impl Run {
    /// Its hold on a device that it has next.
    pub(super) const fn claim(&self) -> Claim {
        Claim { operation: self.operation().id, release: self.operation().release }
    }
}

/// An operation that is not opened.
pub(super) struct Proposal {
    pub(super) release: Release,
    pub(super) graph: Graph,
    pub(super) scope: Scope,
    pub(super) policy: Policy,
}

/// Devices by source version and path.
type Paths = BTreeMap<(Option<Version>, Vec<ReleaseId>), u64>;

#[derive(Default)]
struct Survey<'f> {
    plan: Plan,
    paths: Paths,
    // By stratum, targets and those that could be granted now.
    strata: BTreeMap<[&'f str; 3], (u64, u64)>,
    conflicts: BTreeMap<OperationId, u64>,
}

impl<'f> Survey<'f> {
    fn count(&mut self, proposal: &Proposal, device: &'f Device, verdict: Eligibility) {
        let release = &proposal.release;
        if !matches!(verdict, Eligibility::Excluded { .. }) {
            let parts = parts_under(&proposal.policy, version_of(release, device), device);
            let (targets, ready) = self.strata.entry(parts).or_default();
            *targets += 1;
            *ready += u64::from(matches!(verdict, Eligibility::Eligible { .. }));
        }
        match verdict {
            Eligibility::Eligible { path } => {
                self.plan.eligible += 1;
                let from = version_of(release, device).cloned();
                *self.paths.entry((from, path)).or_default() += 1;
            }
            Eligibility::Waiting { exclusion } => {
                self.plan.waiting += 1;
                *self.plan.waiting_by.entry(exclusion.code()).or_default() += 1;
                if let Exclusion::BusyOtherOperation { operation }
                | Exclusion::LowerPriority { operation }
                | Exclusion::PathStepPending { operation, .. } = exclusion
                {
                    *self.conflicts.entry(operation).or_default() += 1;
                }
            }
            Eligibility::Excluded { exclusion } => {
                self.plan.excluded += 1;
                *self.plan.excluded_by.entry(exclusion.code()).or_default() += 1;
            }
        }
    }

    fn into_plan(self, release: &Release, graph: &Graph) -> Plan {
        let name = &release.manifest.release.name;
        let version = |id: &ReleaseId| {
            graph.manifest(name, *id).map(|manifest| manifest.release.version.clone())
        };
        let paths = self.paths.into_iter().map(|((from, path), devices)| PlannedPath {
            from,
            through: path.iter().filter_map(version).collect(),
            devices,
        });
        let conflicts = self
            .conflicts
            .into_iter()
            .map(|(operation, devices)| PlannedConflict { operation, devices });
        Plan { paths: paths.collect(), conflicts: conflicts.collect(), ..self.plan }
    }
}
