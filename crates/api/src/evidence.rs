//! What regulation by evidence has come to, in numbers that people and programs can read.
//!
//! E-values are given as common logarithms: they span hundreds of powers of ten. All numbers are
//! decimal and rounded; the bits that a replay starts from stay in the store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Share, Timestamp};

/// The evidence for and against a change, as one look has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceView {
    /// Number of the look, from 1.
    pub look: u64,
    /// When it was taken; none when that is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Common logarithm of the e-value over all strata that are not stopped.
    pub e_log10: f64,
    /// Common logarithm of the limit that it, and `closed_log10` of each stratum, is held
    /// against.
    #[schema(example = 2.0)]
    pub limit_log10: f64,
    /// Whether the strata together have reached the limit: those that may have caused it pause.
    pub alarm: bool,
    /// Whether some e-value is beyond a tenth of the limit.
    pub warning: bool,
    /// Devices that may be harmed before a stop.
    pub budget: u64,
    /// Devices of the budget that are at risk now: in each stratum, devices that may still turn
    /// out to be harmed times the upper bound of the rate of faults.
    pub at_risk: f64,
    /// Failures and events above those expected, in devices: what has been harmed so far, as far
    /// as it is known.
    pub excess: f64,
    /// Devices that may be changed at the same time, as the server's response time has it.
    pub parallel_max: f64,
    /// Since when everyone but the holdback is updated, which then stays as a control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_from: Option<Timestamp>,
    /// Until when the holdback stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_until: Option<Timestamp>,
    /// Whether the holdback may be updated as well.
    pub released: bool,
    /// The gate that waits for an operator to resume the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<GateView>,
    /// Each stratum; in a decision at most 16, those with most evidence against them.
    pub strata: Vec<StratumView>,
    /// How many strata there are.
    pub strata_total: u64,
}

impl EvidenceView {
    /// Where an operation stands; none under other rules and before the first look.
    #[must_use]
    pub fn of_operation(operation: &model::Operation) -> Option<Self> {
        let rule = operation.policy.rule.evidence()?;
        let course = operation.course.as_deref()?.evidence.as_deref()?;
        let watch_until = course.watch_from.map(|from| from + rule.watch.0);
        (course.judged.look > 0).then(|| Self {
            parallel_max: rounded(course.limit.value()),
            watch_from: course.watch_from.map(Into::into),
            watch_until: watch_until.map(Into::into),
            released: course.released,
            awaits: course
                .awaits
                .filter(|_| operation.state == model::OperationState::Paused)
                .map(Into::into),
            ..Self::of_judgement(&course.judged, usize::MAX)
        })
    }

    /// What a decision was made from; none under other rules and for an operator's order.
    #[must_use]
    pub fn of_decision(decision: &model::Decision) -> Option<Self> {
        let judged = decision.judged.as_deref()?;
        let inputs = decision.inputs.as_ref()?;
        let (rule, evidence) = (inputs.policy.rule.evidence()?, inputs.evidence.as_deref()?);
        let gate = match decision.reason {
            model::Reason::Approval { gate } => Some(gate),
            _ => None,
        };
        Some(Self {
            at: Some(evidence.at.into()),
            parallel_max: rounded(evidence.limit.value()),
            watch_from: evidence.watch_from.map(Into::into),
            watch_until: evidence.watch_from.map(|from| (from + rule.watch.0).into()),
            released: evidence.released,
            awaits: gate.map(Into::into),
            ..Self::of_judgement(judged, DECISION_STRATA_MAX)
        })
    }

    fn of_judgement(judged: &model::Judged, strata_max: usize) -> Self {
        let at_risk = |stratum: &model::StratumRuling| {
            stratum.unresolved.value() * stratum.rate_upper.value()
        };
        let sum = |of: &dyn Fn(&model::StratumRuling) -> f64| {
            rounded(judged.strata.iter().map(of).sum::<f64>())
        };
        Self {
            look: judged.look,
            at: None,
            e_log10: log10(judged.log_global),
            limit_log10: log10(judged.log_limit),
            alarm: judged.alarm,
            warning: judged.warning,
            budget: judged.budget,
            at_risk: sum(&at_risk),
            excess: sum(&|stratum| stratum.excess.value()),
            parallel_max: 0.0,
            watch_from: None,
            watch_until: None,
            released: false,
            awaits: None,
            strata: most_evidence(&judged.strata, strata_max).map(Into::into).collect(),
            strata_total: judged.strata.len() as u64,
        }
    }

    /// Whether `e_log10` is of a part of the strata only, as others are stopped.
    #[must_use]
    pub fn leaves_out_stopped(&self) -> bool {
        let stopped = |stratum: &&StratumView| stratum.scope == StratumScope::Stopped;
        let count = self.strata.iter().filter(stopped).count();
        count > 0 && count < self.strata.len()
    }

    /// Part of the budget that is at risk now, in percent; may exceed 100 in small operations,
    /// where every stratum needs a first device.
    #[must_use]
    pub fn budget_used_percent(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "budgets stay far below 2^52 devices")]
        let budget = self.budget.max(1) as f64;
        self.at_risk / budget * 100.0
    }
}

/// Devices that evidence is kept apart for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StratumView {
    /// What its devices have in common, in words, e.g. `hardware B, version 1.0.0`.
    pub name: String,
    /// Hardware revision; empty when the operation does not tell it apart or it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hardware: String,
    /// Version before the operation, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Site, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
    /// What follows from the evidence.
    pub scope: StratumScope,
    /// Common logarithm of the stratum's own e-value.
    pub e_log10: f64,
    /// Common logarithm of the smallest e-value of all sets of strata that contain it; it stops
    /// the stratum when it reaches `limit_log10`.
    pub closed_log10: f64,
    /// Its part of the budget, in devices.
    pub budget: f64,
    /// Upper bound (95 %) of its rate of faults.
    pub rate_upper: Share,
    /// Devices that may still turn out to be harmed.
    pub unresolved: f64,
    /// Devices whose faults would have shown themselves by now.
    pub matured: f64,
    /// Failures and events above those expected, in devices.
    pub excess: f64,
    /// Targets.
    pub targets: u64,
    /// Of these, ever granted.
    pub granted: u64,
    /// Of these, told to install.
    pub updated: u64,
    /// Failed installations.
    pub failures: u64,
    /// Updated devices that fell silent, crashed, violated a guard or caused a signal.
    pub events: u64,
    /// Devices not granted yet with such an event.
    pub control_events: u64,
    /// Devices that may be granted in all from now on.
    pub granted_max: u64,
    /// Guarded values, compared between updated and control devices, in the order of the guards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<IndicatorView>,
}

impl StratumView {
    /// What follows for the stratum's devices, while the operation goes on or once it has ended.
    #[must_use]
    pub const fn meaning(&self, ended: bool) -> &'static str {
        let waits = self.granted_max <= self.granted && self.granted < self.targets;
        match self.scope {
            scope if ended => scope.meaning_at_end(),
            StratumScope::Free if waits => "waits until more is known of those updated",
            scope => scope.meaning(),
        }
    }
}

/// How a guarded value changed at updated devices, against control devices over the same time.
///
/// Changes are relative to each device's own value before, and turned so that more is worse: a
/// `difference` of 0.1 says that the value became 10 % worse by the update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IndicatorView {
    /// Name of the guard.
    pub name: String,
    /// Pairs of an updated and a control device, or of groups of them, compared so far.
    pub pairs: u64,
    /// Common logarithm of its e-value.
    pub e_log10: f64,
    /// How much more the updated devices changed for the worse, in the mean.
    pub difference: f64,
    /// Lower end of the interval (95 %) of the difference, whenever one looks.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

impl IndicatorView {
    /// The difference and its interval in words, e.g. `12.0 % worse (4.1 % to 19.9 %)`; without a
    /// pair, that there is none yet.
    #[must_use]
    pub fn sentence(&self) -> String {
        if self.pairs == 0 {
            return "nothing to compare yet".to_owned();
        }
        // The interval begins with all that a change may be.
        if self.upper - self.lower >= TOO_WIDE {
            let pairs = if self.pairs == 1 { "pair" } else { "pairs" };
            return format!("too little to say yet ({} {pairs})", self.pairs);
        }
        let percent = |share: f64| format!("{:.1} %", share * 100.0 + 0.0);
        let way = if self.difference < 0.0 { "better" } else { "worse" };
        let (lower, upper) = (percent(self.lower), percent(self.upper));
        format!("{} {way} ({lower} to {upper})", percent(self.difference.abs()))
    }
}

impl From<&model::IndicatorEvidence> for IndicatorView {
    fn from(indicator: &model::IndicatorEvidence) -> Self {
        Self {
            name: indicator.name.clone(),
            pairs: indicator.pairs,
            e_log10: log10(indicator.log_e),
            difference: rounded(indicator.difference.value()),
            lower: rounded(indicator.lower.value()),
            upper: rounded(indicator.upper.value()),
        }
    }
}

impl From<&model::StratumRuling> for StratumView {
    fn from(ruling: &model::StratumRuling) -> Self {
        let upper = ruling.rate_upper.value().clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0 to 10 000 before; rounded up, so that a bound stays one"
        )]
        let points = (upper * 10_000.0 - 1e-9).ceil() as u32;
        Self {
            name: ruling.name.to_string(),
            hardware: ruling.name.hardware.clone(),
            version: ruling.name.version.clone(),
            site: ruling.name.site.clone(),
            scope: ruling.scope.into(),
            e_log10: log10(ruling.log_e),
            closed_log10: log10(ruling.log_closed),
            budget: rounded(ruling.share.value()),
            rate_upper: model::Rate::basis_points(points).into(),
            unresolved: rounded(ruling.unresolved.value()),
            matured: rounded(ruling.matured.value()),
            excess: rounded(ruling.excess.value()),
            targets: ruling.targets,
            granted: ruling.granted,
            updated: ruling.updated,
            failures: ruling.failures,
            events: ruling.events,
            control_events: ruling.control_events,
            granted_max: ruling.granted_max,
            indicators: ruling.indicators.iter().map(Into::into).collect(),
        }
    }
}

/// What the evidence says about a stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StratumScope {
    /// No evidence against it.
    Free,
    /// In an alarm, neither suspect nor cleared: it goes on without growing.
    Held,
    /// In an alarm, among those that may have caused it: no further device for now.
    Suspect,
    /// The change is harmful here: stopped for good.
    Stopped,
}

impl StratumScope {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held",
            Self::Suspect => "suspect",
            Self::Stopped => "stopped",
        }
    }

    /// What it means for the stratum's devices.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Free => "goes on",
            Self::Held => "goes on without growing, until the alarm is explained",
            Self::Suspect => "pauses, as it may have caused the alarm",
            Self::Stopped => "stopped for good, as the change does harm here",
        }
    }
}

impl StratumScope {
    /// What it meant for the stratum's devices, once the operation has ended.
    #[must_use]
    pub const fn meaning_at_end(self) -> &'static str {
        match self {
            Self::Free => "no harm shown",
            Self::Held => "was held until the alarm was explained",
            Self::Suspect => "was among those that may have caused the alarm",
            Self::Stopped => "stopped, as the change does harm here",
        }
    }
}

impl From<model::StratumScope> for StratumScope {
    fn from(scope: model::StratumScope) -> Self {
        match scope {
            model::StratumScope::Free => Self::Free,
            model::StratumScope::Held => Self::Held,
            model::StratumScope::Suspect => Self::Suspect,
            model::StratumScope::Stopped => Self::Stopped,
        }
    }
}

/// A point where an operation waits until an operator resumes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    /// Which: `class`, `phase.test`, `phase.cautious`, `phase.generalization`, `warning` or
    /// `undo`.
    #[schema(example = "phase.generalization")]
    pub gate: String,
    /// The same as a sentence.
    pub sentence: String,
}

impl From<model::Gate> for GateView {
    fn from(gate: model::Gate) -> Self {
        let code = match gate {
            model::Gate::Class => "class".to_owned(),
            model::Gate::Phase(phase) => format!("phase.{}", crate::Phase::from(phase).as_str()),
            model::Gate::Warning => "warning".to_owned(),
            model::Gate::Undo => "undo".to_owned(),
        };
        Self { gate: code, sentence: gate.to_string() }
    }
}

/// An e-value for people, from its common logarithm ([`model::EValue`]).
#[must_use]
pub fn e_value(log10: f64) -> String {
    model::EValue(log10).to_string()
}

/// The strata with most evidence against them, in their own order.
fn most_evidence(
    strata: &[model::StratumRuling],
    most: usize,
) -> impl Iterator<Item = &model::StratumRuling> {
    let mut order: Vec<usize> = (0..strata.len()).collect();
    if strata.len() > most {
        let weight = |at: &usize| (strata[*at].scope, strata[*at].log_closed.value());
        order.sort_by(|a, b| {
            let ((scope_a, e_a), (scope_b, e_b)) = (weight(a), weight(b));
            scope_b.cmp(&scope_a).then(e_b.total_cmp(&e_a))
        });
        order.truncate(most);
        order.sort_unstable();
    }
    order.into_iter().map(|at| &strata[at])
}

/// A common logarithm from a natural one.
fn log10(log: model::Exact) -> f64 {
    rounded(log.value() * std::f64::consts::LOG10_E)
}

/// Six decimals, and finite: JSON has no infinity.
fn rounded(value: f64) -> f64 {
    let value = if value.is_nan() { 0.0 } else { value.clamp(-FINITE_MAX, FINITE_MAX) };
    // Adding zero turns −0 into 0.
    (value * 1e6).round() / 1e6 + 0.0
}

/// Strata shown with a decision; a page of a hundred decisions then stays below a megabyte.
const DECISION_STRATA_MAX: usize = 16;

/// Width from which the interval of an indicator says nothing: it could be twice as bad or gone.
const TOO_WIDE: f64 = 2.0;

/// What stands for infinity.
const FINITE_MAX: f64 = 1e9;

#[cfg(test)]
mod tests {
    use model::{Exact, Judged, StratumName, StratumRuling};

    use super::*;

    fn ruling(at: usize, log_closed: f64) -> StratumRuling {
        StratumRuling {
            name: StratumName { hardware: format!("H{at}"), ..StratumName::default() },
            log_closed: Exact::new(log_closed),
            rate_upper: Exact::new(0.012_34),
            unresolved: Exact::new(100.0),
            excess: Exact::new(0.5),
            ..StratumRuling::default()
        }
    }

    #[test]
    fn numbers_are_decimal_and_finite() {
        for (given, shown) in [
            (0.0, 0.0),
            (std::f64::consts::LN_10, 1.0),
            (-std::f64::consts::LN_10 * 2.0, -2.0),
            (f64::INFINITY, FINITE_MAX),
            (f64::NEG_INFINITY, -FINITE_MAX),
            (f64::NAN, 0.0),
        ] {
            let found = log10(Exact::new(given));
            assert!((found - shown).abs() < 1e-6, "{given}: {found}");
        }
        let view = StratumView::from(&ruling(1, 1.0));
        assert_eq!(view.rate_upper.text, "1.24 %", "a bound is rounded up");
        assert_eq!(view.name, "hardware H1");
        let json = serde_json::to_string(&view).unwrap();
        assert!(json.contains("\"closed_log10\":0.434294"), "{json}");
        assert_eq!(serde_json::from_str::<StratumView>(&json).unwrap(), view);
    }

    #[test]
    fn indicators_are_told_in_words() {
        let check = |pairs, [difference, lower, upper]: [f64; 3], words: &str| {
            let indicator = model::IndicatorEvidence {
                name: "heat".to_owned(),
                pairs,
                difference: Exact::new(difference),
                lower: Exact::new(lower),
                upper: Exact::new(upper),
                ..model::IndicatorEvidence::default()
            };
            assert_eq!(IndicatorView::from(&indicator).sentence(), words);
        };
        check(0, [0.0, -2.0, 2.0], "nothing to compare yet");
        check(1, [0.2, -2.0, 2.0], "too little to say yet (1 pair)");
        check(9, [0.12, 0.041, 0.199], "12.0 % worse (4.1 % to 19.9 %)");
        check(9, [-0.05, -0.2, 0.1], "5.0 % better (-20.0 % to 10.0 %)");
    }

    #[test]
    fn decisions_show_the_strata_with_most_evidence() {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let strata: Vec<StratumRuling> = (0..40).map(|at| ruling(at, (at % 7) as f64)).collect();
        let judged = Judged { strata, budget: 50, ..Judged::default() };
        let view = EvidenceView::of_judgement(&judged, DECISION_STRATA_MAX);
        assert_eq!((view.strata.len(), view.strata_total), (16, 40));
        let names: Vec<&str> = view.strata.iter().map(|one| one.hardware.as_str()).collect();
        assert_eq!(names[..4], ["H4", "H5", "H6", "H11"], "their own order");
        assert!((view.at_risk - 40.0 * 1.234).abs() < 1e-6, "all strata: {}", view.at_risk);
        assert!((view.excess - 20.0).abs() < 1e-6, "{}", view.excess);
        assert!((view.budget_used_percent() - 98.72).abs() < 1e-3);
        assert_eq!(EvidenceView::of_judgement(&judged, usize::MAX).strata.len(), 40);
    }
}
