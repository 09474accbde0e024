//! Regulation by evidence and budget: what the operator may choose.

use serde::{Deserialize, Serialize};

use super::peer::Checked;
use crate::{Criticality, Phase, Rate, Span};

/// Stop on statistical evidence, go as fast as a budget of harmed devices allows.
///
/// Two questions, answered apart: *when to stop* by tests that hold their error probability
/// however often one looks, *how many next* by the upper bound of the fault rate against the
/// budget. Times follow how fast the fleet talks: devices that report every few seconds can be
/// judged in minutes, meters that call once a day cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Probability of ever stopping an operation, or a stratum of it, that does no harm; 0.01 %
    /// to 50 %. Smaller needs more harmed devices for a stop.
    pub alpha: Rate,
    /// Devices that may be harmed before a stop; at least 1. Without it 0.05 % of the targets,
    /// and 5 at least. More is faster.
    pub budget: Option<u64>,
    /// Devices that may be granted, in the time in which silence is found, for each device that
    /// was updated before that time; at least 1. Half as many while less than 29 devices have
    /// matured, 2.4 times as many from 299 on, fewer on any hint of harm. More grows faster, and more are harmed by the
    /// time the first silent device is found.
    pub growth_max: u32,
    /// What devices are told apart by; a fault in one stratum stops that stratum alone.
    pub strata: Vec<StratumBy>,
    /// Share of each stratum that is left for last, as a control for faults that show late; at
    /// most 50 %. Strata with fewer than ten targets spare none.
    pub holdback: Rate,
    /// Time between two looks at the evidence; at least one second. Bad news is looked at
    /// sooner.
    pub look: Span,
    /// How long the holdback waits after everyone else was updated.
    pub watch: Span,
    /// Shortest silence that counts as an event, whatever the registration lifetime.
    pub silence_min: Span,
    /// Ages since the update at which one window of the health test ends and the next begins,
    /// growing; at most 8.
    pub ages: Vec<Span>,
    /// How long faults take to show themselves; at least one. More weight on long times keeps
    /// the budget for late faults too, and is slower.
    pub latencies: Vec<Latency>,
    /// Share of failed installations that is always tolerated.
    pub tolerated_min: Rate,
    /// How much worse than its own history a stratum may become, at least 100 %.
    pub tolerated_factor: Rate,
    /// Response time of the server relative to its own usual one that is still normal, at least
    /// 100 %; above it fewer devices are changed at a time.
    pub response_tolerated: Rate,
    /// What waits for an operator's word.
    pub approval: Approval,
    /// What follows a stop.
    pub undo: Undo,
}

/// What devices of an operation are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StratumBy {
    /// Hardware revision.
    Hardware,
    /// Version before the operation.
    Version,
    /// Where the device stands.
    Site,
}

/// A share of the faults and how long they take to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Mean time from the update to the fault.
    pub mean: Span,
    /// Weight among all.
    pub share: Rate,
}

/// Points at which an operation under evidence waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// Before one of these phases begins.
    pub phases: Vec<Phase>,
    /// Before an operation of one of these classes starts.
    pub classes: Vec<Criticality>,
    /// When the evidence reaches a tenth of what stops.
    pub warning: bool,
}

/// What follows when evidence stops an operation or a stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Nothing by itself.
    Off,
    /// An operation back to the version before is opened and waits for an operator.
    #[default]
    Propose,
    /// It starts by itself, under a regulation of its own.
    Automatic,
}

impl Default for Evidence {
    fn default() -> Self {
        let hours = |hours: u64| Span::secs(hours * 3_600);
        Self {
            alpha: Rate::percent(1),
            budget: None,
            growth_max: 7,
            strata: vec![StratumBy::Hardware, StratumBy::Version, StratumBy::Site],
            holdback: Rate::percent(1),
            look: Span::secs(300),
            watch: hours(24),
            silence_min: Span::secs(60),
            // The contact at the update itself is apart: what does not survive it is seen best there.
            ages: vec![Span::secs(300), hours(1), hours(24)],
            latencies: vec![
                Latency { mean: hours(1), share: Rate::percent(50) },
                Latency { mean: hours(6), share: Rate::percent(30) },
                Latency { mean: hours(24), share: Rate::percent(20) },
            ],
            tolerated_min: Rate::basis_points(75),
            tolerated_factor: Rate::percent(150),
            response_tolerated: Rate::percent(125),
            approval: Approval::default(),
            undo: Undo::default(),
        }
    }
}

impl Checked for Evidence {
    fn problem(&self) -> Option<String> {
        let alpha = self.alpha.as_basis_points();
        if !(1..=5_000).contains(&alpha) {
            return Some(format!(
                "`rule.alpha` is {}; it must lie between 0.01 % and 50 %",
                self.alpha
            ));
        }
        if self.budget == Some(0) {
            return Some("`rule.budget` is 0; at least one device is at risk".to_owned());
        }
        if self.growth_max == 0 {
            return Some("`rule.growth_max` is 0; it must be at least 1 to get on".to_owned());
        }
        if self.holdback > Rate::percent(50) {
            return Some(format!("`rule.holdback` is {}; at most 50 % is allowed", self.holdback));
        }
        if self.look.0.as_secs() == 0 {
            return Some("`rule.look` is below 1 s, the shortest time between looks".to_owned());
        }
        if self.ages.len() > AGES_MAX || !self.ages.is_sorted_by(|one, next| one.0 < next.0) {
            return Some(format!(
                "`rule.ages` must grow from one to the next, and be at most {AGES_MAX}"
            ));
        }
        if self.ages.first().is_some_and(|age| age.0.is_zero()) {
            return Some("`rule.ages` begins with 0s; no device is younger than that".to_owned());
        }
        let weight: u64 =
            self.latencies.iter().map(|one| u64::from(one.share.as_basis_points())).sum();
        if weight == 0 {
            return Some("`rule.latencies` needs at least one with a share above 0 %".to_owned());
        }
        if self.tolerated_min >= Rate::percent(50) {
            return Some(format!(
                "`rule.tolerated_min` is {}; it must lie below 50 %",
                self.tolerated_min
            ));
        }
        if self.tolerated_factor < Rate::WHOLE {
            return Some(format!(
                "`rule.tolerated_factor` is {}; it must be at least 100 %",
                self.tolerated_factor
            ));
        }
        (self.response_tolerated < Rate::WHOLE).then(|| {
            format!(
                "`rule.response_tolerated` is {}; it must be at least 100 %",
                self.response_tolerated
            )
        })
    }
}

/// Each window divides the power of the test.
const AGES_MAX: usize = 8;
