//! What the strata of a scenario are like, with what the product learns of them.

use std::collections::BTreeMap;

use model::{EvidencePlan, Policy, Rule, StratumPlan};
use operations::evidence::{
    Gaps, History, SilenceConfig, deadline_s, default_budget, install_config, tolerated,
};

use super::chance::Chance;
use super::fleet::{Kind, share_of};
use super::scenario::Scenario;

/// Each stratum with what it takes from the scenario. Where the scenario names no deadline, it is
/// learned from gaps by the product's own rule.
pub(super) fn kinds(scenario: &Scenario, policy: &Policy, chance: &mut Chance) -> Vec<Kind> {
    let strata = scenario.strata.iter().map(|stratum| {
        let contact = stratum.contact.unwrap_or(scenario.contact);
        let silence = stratum.silence_after.or(scenario.silence_after);
        let silence_s = silence.map(|after| after.0.as_secs_f64());
        let install = stratum.install.unwrap_or(scenario.install);
        // Twice the usual time: a device that still installs is not silent.
        let least_s = install.mean_s() * 2.0;
        let deadline_s = silence_s.unwrap_or_else(|| learned_s(&contact, policy, chance));
        Kind {
            contact,
            offline: stratum.offline.unwrap_or(scenario.offline),
            install,
            failing: scenario.failing.unwrap_or(install),
            benign: stratum.benign.unwrap_or(scenario.benign),
            deadline_s: deadline_s.max(least_s),
        }
    });
    strata.collect()
}

/// What an operation under evidence is held against: tolerances learned from earlier
/// installations, by hardware as the product learns them. None under other rules.
pub(super) fn plan(scenario: &Scenario, policy: &Policy, seed: u64) -> Option<EvidencePlan> {
    let rule = policy.rule.evidence()?;
    let (fleet, by_hardware) = history(scenario, seed);
    let config = install_config(rule);
    let strata = scenario.strata.iter().map(|stratum| StratumPlan {
        name: stratum.name(),
        tolerance: tolerated(
            &[fleet, by_hardware.get(stratum.hardware.as_str()).copied().unwrap_or_default()],
            &config,
        ),
    });
    Some(EvidencePlan {
        budget: rule.budget.unwrap_or_else(|| default_budget(scenario.devices)),
        strata: strata.collect(),
        others: tolerated(&[fleet], &config),
        indicators: u32::from(scenario.indicator.is_some()),
        indicator_names: Vec::new(),
    })
}

/// Earlier installations, on all devices and by hardware: as they were if the scenario says so,
/// otherwise drawn from what is benign.
fn history(scenario: &Scenario, seed: u64) -> (History, BTreeMap<&str, History>) {
    let mut fleet = History::default();
    let mut by_hardware: BTreeMap<&str, History> = BTreeMap::new();
    let mut add = |hardware, attempts: u64, failures: u64| {
        for history in [&mut fleet, by_hardware.entry(hardware).or_default()] {
            history.attempts += attempts;
            history.failures += failures;
        }
    };
    for known in &scenario.installed {
        add(known.hardware.as_str(), known.attempts, known.failures);
    }
    if scenario.installed.is_empty() {
        let mut chance = Chance::of(seed, "history");
        let installs = scenario.history.unwrap_or(scenario.devices) as f64;
        let targets = scenario.targets();
        for (stratum, devices) in scenario.strata.iter().zip(targets) {
            let share = match stratum.devices {
                Some(_) => devices as f64 / scenario.devices as f64,
                None => share_of(stratum.share),
            };
            let benign = stratum.benign.unwrap_or(scenario.benign);
            let attempts = (installs * share).round() as u64;
            let failures = chance.binomial(attempts, share_of(benign.failures));
            add(stratum.hardware.as_str(), attempts, failures);
        }
    }
    (fleet, by_hardware)
}

fn learned_s(contact: &super::times::Times, policy: &Policy, chance: &mut Chance) -> f64 {
    let config = SilenceConfig {
        deadline_min_s: match &policy.rule {
            Rule::Evidence(rule) => rule.silence_min.0.as_secs().max(1),
            _ => SilenceConfig::default().deadline_min_s,
        },
        ..SilenceConfig::default()
    };
    let mut gaps = Gaps::default();
    for _ in 0..GAPS {
        gaps.observe(contact.draw_s(chance) as u64, &config);
    }
    deadline_s(0, &gaps, None, &config) as f64
}

/// Gaps that the fleet has shown before.
const GAPS: usize = 4_000;
