//! What the strata of a scenario are like, with what the product learns of them.

use model::{Policy, Rule};
use operations::evidence::{Gaps, SilenceConfig, deadline_s};

use super::chance::Chance;
use super::fleet::Kind;
use super::scenario::Scenario;

/// Each stratum with what it takes from the scenario. Where the scenario names no deadline, it is
/// learned from gaps by the product's own rule.
pub(super) fn kinds(scenario: &Scenario, policy: &Policy, chance: &mut Chance) -> Vec<Kind> {
    let strata = scenario.strata.iter().map(|stratum| {
        let contact = stratum.contact.unwrap_or(scenario.contact);
        let silence_s = scenario.silence_after.map(|after| after.0.as_secs_f64());
        let install = stratum.install.unwrap_or(scenario.install);
        // Twice the usual time: a device that still installs is not silent.
        let least_s = install.mean_s() * 2.0;
        let deadline_s = silence_s.unwrap_or_else(|| learned_s(&contact, policy, chance));
        Kind {
            contact,
            offline: stratum.offline.unwrap_or(scenario.offline),
            install,
            benign: stratum.benign.unwrap_or(scenario.benign),
            deadline_s: deadline_s.max(least_s),
        }
    });
    strata.collect()
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
