//! What is known before a start: the facts that a rehearsal is made from.

use std::collections::BTreeMap;

use model::{
    AttemptState, Device, Eligibility, Exclusion, Fleet, FleetFacts, InstalledFacts, Policy,
    Presence, ReleaseName, Scope, Span, StratumFacts, StratumName, Time, TimesFacts,
};

use super::Loops;
use super::evidence::{Experience, habits, parts_under};
use super::plan::Proposal;
use crate::evidence::{Gaps, default_budget, install_config, tolerated};
use crate::generation::version_of;
use crate::{OpenError, Planned};

impl Loops {
    /// Says what is known of the targets of an operation and of operations before it, without
    /// changing anything. How healthy control devices were is in stored looks alone; fold them
    /// with [`crate::ControlHealth`].
    ///
    /// # Errors
    /// [`OpenError`] as for [`Loops::plan`].
    pub fn facts(
        &self,
        of: Planned<'_>,
        scope: &Scope,
        policy: &Policy,
        fleet: &Fleet,
        now: Time,
    ) -> Result<FleetFacts, OpenError> {
        let mut proposal = self.propose(of, scope, policy.clone(), fleet, now)?;
        // No operation has more on its way than the server lets through.
        let parallel_max = proposal.policy.parallel_max.min(self.config.parallel_max);
        proposal.policy.parallel_max = parallel_max;
        let mut census = Census::new(&self.experience, &proposal);
        self.survey(&proposal, fleet, now, |device, verdict| census.count(device, &verdict));
        let (mut facts, strata) = census.into_facts();
        (facts.strata, facts.joined) = joined(strata);
        let name = &proposal.release.manifest.release.name;
        let installs = self.install_times(name, fleet);
        for stratum in &mut facts.strata {
            self.describe(stratum, &proposal, &installs);
        }
        let installed = self.experience.installs(name).map(|(hardware, history)| InstalledFacts {
            hardware: hardware.to_owned(),
            attempts: history.attempts,
            failures: history.failures,
        });
        facts.installed = installed.collect();
        facts.response = self.usual_response();
        let rule = proposal.policy.rule.evidence();
        facts.budget =
            rule.map(|rule| rule.budget.unwrap_or_else(|| default_budget(facts.targets())));
        facts.policy = proposal.policy;
        Ok(facts)
    }

    /// Adds what is known of the hardware of a stratum.
    fn describe(
        &self,
        stratum: &mut StratumFacts,
        proposal: &Proposal,
        installs: &BTreeMap<&str, Gaps>,
    ) {
        let hardware = stratum.name.hardware.as_str();
        // Where hardware is not told apart, all that is known counts.
        let all = |known: &mut dyn Iterator<Item = &Gaps>| {
            let mut all = Gaps::default();
            known.for_each(|one| all.merge(one, &habits()));
            times(&all)
        };
        if hardware.is_empty() {
            stratum.gaps = all(&mut self.experience.all_gaps());
            stratum.install = all(&mut installs.values());
        } else {
            stratum.gaps = self.experience.gaps(hardware).and_then(times);
            // Devices of other hardware say more than an assumption does.
            let own = installs.get(hardware).and_then(times);
            stratum.install = own.or_else(|| all(&mut installs.values()));
        }
        let name = &proposal.release.manifest.release.name;
        stratum.tolerance =
            proposal.policy.rule.evidence().map(|rule| {
                tolerated(&self.experience.history(name, hardware), &install_config(rule))
            });
    }

    /// How long installations of a release took that succeeded, by hardware. They are measured
    /// hop by hop, from the first order of the last try to the proof.
    fn install_times<'f>(&self, name: &ReleaseName, fleet: &'f Fleet) -> BTreeMap<&'f str, Gaps> {
        let mut times: BTreeMap<&str, Gaps> = BTreeMap::new();
        let same = self.runs.values().filter(|run| run.release.manifest.release.name == *name);
        for assignment in same.flat_map(|run| run.assignments.values()) {
            let (AttemptState::Succeeded, Some(begun)) = (&assignment.state, assignment.begun)
            else {
                continue;
            };
            let hardware =
                fleet.device(assignment.device).and_then(|device| device.hardware.as_deref());
            let took = assignment.since.since(begun).as_secs();
            times.entry(hardware.unwrap_or("")).or_default().observe(took, &habits());
        }
        times
    }

    fn usual_response(&self) -> Option<Span> {
        let usual = self.runs.values().rev().find_map(|run| {
            run.conduct.evidence_course().and_then(|course| course.response_usual_us)
        });
        usual.map(|micros| Span(std::time::Duration::from_micros(micros)))
    }
}

/// Counts devices into strata.
struct Census<'a> {
    experience: &'a Experience,
    proposal: &'a Proposal,
    facts: FleetFacts,
    strata: BTreeMap<[&'a str; 3], Counted>,
}

#[derive(Default)]
struct Counted {
    facts: StratumFacts,
    lifetimes_s: u64,
    deadlines_s: u64,
}

impl<'a> Census<'a> {
    fn new(experience: &'a Experience, proposal: &'a Proposal) -> Self {
        Self { experience, proposal, facts: FleetFacts::default(), strata: BTreeMap::new() }
    }

    fn count(&mut self, device: &'a Device, verdict: &Eligibility) {
        let (place, hops): (fn(&mut StratumFacts) -> &mut u64, usize) = match verdict {
            Eligibility::Excluded { exclusion } => {
                *self.facts.excluded.entry(exclusion.code()).or_default() += 1;
                return;
            }
            Eligibility::Waiting { exclusion } => {
                *self.facts.waiting.entry(exclusion.code()).or_default() += 1;
                (place_of(exclusion), 0)
            }
            Eligibility::Eligible { path } => (|facts| &mut facts.ready, path.len()),
        };
        let policy = &self.proposal.policy;
        let mut parts = parts_under(policy, version_of(&self.proposal.release, device), device);
        if self.strata.len() >= KEYS_MAX && !self.strata.contains_key(&parts) {
            parts = [OTHERS, "", ""];
        }
        let silence_min =
            policy.rule.evidence().map_or(std::time::Duration::ZERO, |rule| rule.silence_min.0);
        let lifetime_s = device.lifetime.as_secs();
        let deadline_s = self.experience.deadline(device, silence_min).as_secs();
        let counted = self.strata.entry(parts).or_default();
        *place(&mut counted.facts) += 1;
        counted.facts.hops = counted.facts.hops.max(u32::try_from(hops).unwrap_or(u32::MAX));
        counted.lifetimes_s += lifetime_s;
        counted.deadlines_s += deadline_s;
    }

    fn into_facts(self) -> (FleetFacts, Vec<StratumFacts>) {
        let strata = self.strata.into_iter().map(|([hardware, version, site], counted)| {
            let mut facts = counted.facts;
            let mean = |sum: u64| Span::secs(sum.checked_div(facts.targets()).unwrap_or(0));
            (facts.lifetime, facts.silence_after) =
                (mean(counted.lifetimes_s), mean(counted.deadlines_s));
            facts.name = StratumName {
                hardware: hardware.to_owned(),
                version: version.to_owned(),
                site: site.to_owned(),
            };
            facts
        });
        (self.facts, strata.collect())
    }
}

/// Which count a device belongs to that waits for this.
fn place_of(exclusion: &Exclusion) -> fn(&mut StratumFacts) -> &mut u64 {
    match exclusion {
        Exclusion::OfflineWaiting { presence: Presence::Asleep, .. } => |facts| &mut facts.asleep,
        Exclusion::OfflineWaiting { .. } => |facts| &mut facts.offline,
        Exclusion::HeldOperator { .. } | Exclusion::QuarantinedSystem { .. } => {
            |facts| &mut facts.held
        }
        _ => |facts| &mut facts.blocked,
    }
}

/// The largest strata; the others together when there are too many, with their number.
fn joined(mut strata: Vec<StratumFacts>) -> (Vec<StratumFacts>, u64) {
    // A stable sort: strata of the same size stay in the order of their names.
    strata.sort_by_key(|stratum| std::cmp::Reverse(stratum.targets()));
    if strata.len() <= FleetFacts::STRATA_MAX {
        return (strata, 0);
    }
    let rest = strata.split_off(FleetFacts::STRATA_MAX - 1);
    let count = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    let devices: u64 = rest.iter().map(StratumFacts::targets).sum();
    let mean = |of: fn(&StratumFacts) -> Span| {
        let sum: u64 = rest.iter().map(|one| of(one).0.as_secs() * one.targets()).sum();
        Span::secs(sum.checked_div(devices).unwrap_or(0))
    };
    let sum = |of: fn(&StratumFacts) -> u64| rest.iter().map(of).sum();
    strata.push(StratumFacts {
        name: StratumName { hardware: OTHERS.to_owned(), ..StratumName::default() },
        ready: sum(|one| one.ready),
        asleep: sum(|one| one.asleep),
        offline: sum(|one| one.offline),
        blocked: sum(|one| one.blocked),
        held: sum(|one| one.held),
        hops: rest.iter().map(|one| one.hops).max().unwrap_or(0),
        lifetime: mean(|one| one.lifetime),
        silence_after: mean(|one| one.silence_after),
        ..StratumFacts::default()
    });
    (strata, count)
}

fn times(measured: &Gaps) -> Option<TimesFacts> {
    let quantile = |share_ppm| measured.quantile_s(share_ppm).map(Span::secs);
    Some(TimesFacts {
        count: measured.count(),
        median: quantile(500_000)?,
        p90: quantile(900_000)?,
        p999: quantile(999_000)?,
    })
}

/// Hardware name of devices that are no longer told apart.
const OTHERS: &str = "(others)";
/// Strata counted by name before the small ones are put together: devices report free text.
const KEYS_MAX: usize = 10_000;
