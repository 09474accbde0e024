//! Regulation by evidence: looks come in, sizes of strata go out.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Course, EvidenceCourse, EvidenceInputs, EvidencePlan, Exact, Gate, Inputs, Judged, Look,
    OperationState, Origin, Rule, StratumName, StratumScope, Time, Undo, Verdict,
};

use super::course::course_of;
use super::{Conduct, Pool};
use crate::evidence::{Adaptation, InfrastructureConfig, Panel, next_limit, number, share};
use crate::regulation;

impl Conduct {
    /// Fixes what an operation under evidence is held against, before its first look; changes
    /// nothing under other rules and when it was fixed before.
    pub fn hold_against(&mut self, plan: EvidencePlan) {
        let Rule::Evidence(rule) = &self.operation.policy.rule else { return };
        if self.operation.evidence.is_none() {
            self.panel = Some(Panel::new(rule, &plan));
            self.operation.evidence = Some(Box::new(plan));
        }
    }

    /// Takes in the next look; one that was taken in before changes nothing.
    pub fn look(&mut self, look: &Look) {
        if let Some(panel) = &mut self.panel {
            panel.observe(look);
        }
    }

    /// Number of the last look taken in.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.panel.as_ref().map_or(0, Panel::looks)
    }

    /// Whether the operation waits for its next look, which comes before [`Conduct::decide`].
    #[must_use]
    pub fn wants_look(&self, pool: Pool, now: Time) -> bool {
        self.panel.is_some()
            && self.operation.state == OperationState::Ongoing
            && self.is_evidence_occasion(pool, now)
    }

    /// Devices of each stratum that may be granted in all; none under other rules. A stratum that
    /// is not in it turned up since the last look, and has to wait for the next.
    #[must_use]
    pub fn granted_max(&self) -> Option<BTreeMap<&StratumName, u64>> {
        self.operation.policy.rule.evidence()?;
        let course = self.evidence_course();
        let strata = course.into_iter().flat_map(|course| &course.judged.strata);
        Some(strata.map(|known| (&known.name, known.granted_max)).collect())
    }

    /// Where the operation stands under regulation by evidence; none under other rules and
    /// before its first look.
    #[must_use]
    pub fn evidence_course(&self) -> Option<&EvidenceCourse> {
        self.operation.course.as_deref()?.evidence.as_deref()
    }

    /// Whether a look is due: its time has come, sooner after bad news and when nobody is under way
    /// any more, or nobody is left.
    pub(super) fn is_evidence_occasion(&self, pool: Pool, now: Time) -> bool {
        let left = pool.ready + pool.waiting + self.ledger.in_flight();
        let due = self.evidence_look_at().is_none_or(|at| at <= now);
        due || left == 0 || self.is_linger_over(pool, now)
    }

    /// When the next look is due.
    pub(super) fn evidence_look_at(&self) -> Option<Time> {
        let rule = self.operation.policy.rule.evidence()?;
        let look_at = self.operation.course.as_deref()?.look_at?;
        let panel = self.panel.as_ref()?;
        let part = match (self.drained, self.bad_news) {
            (true, _) => DRAINED,
            (false, true) => SOONER,
            (false, false) => return Some(look_at),
        };
        Some(look_at.min(panel.at() + (rule.look.0 / part).max(Duration::from_secs(1))))
    }

    /// Whether an operation under evidence has nothing to do but wait for devices that do not
    /// turn up.
    pub(super) fn is_evidence_idle(&self) -> bool {
        let released = self.evidence_course().is_some_and(|course| course.released);
        released && self.ledger.in_flight() == 0 && self.places() == 0
    }

    /// What regulation by evidence looks at beside the counts.
    pub(super) fn evidence_inputs(&self, pool: Pool) -> Option<Box<EvidenceInputs>> {
        let rule = self.operation.policy.rule.evidence()?;
        let panel = self.panel.as_ref().filter(|panel| panel.looks() > 0)?;
        let course = self.evidence_course();
        let mut strata = panel.strata();
        for (at, stratum) in strata.iter_mut().enumerate() {
            let before = course.and_then(|course| {
                // Almost always where it was; looking for it costs the square of their number.
                let known = &course.judged.strata;
                let same = known.get(at).filter(|known| known.name == stratum.name);
                same.or_else(|| known.iter().find(|known| known.name == stratum.name))
            });
            if let Some(before) = before {
                stratum.stopped = before.scope == StratumScope::Stopped;
            }
        }
        let ratio = self.response_ratio();
        let reachable: u64 = strata
            .iter()
            .filter(|stratum| !stratum.stopped)
            .map(|stratum| {
                let spared = regulation::holdback(rule, stratum.targets);
                let most = stratum.targets.saturating_sub(spared);
                stratum.ready.min(most.saturating_sub(stratum.granted))
            })
            .sum();
        let updated = strata.iter().any(|stratum| stratum.updated > 0);
        let done = reachable == 0 && self.ledger.in_flight() == 0 && updated && !pool.retries;
        let calm = course.is_none_or(|course| !course.judged.alarm);
        let watch_from = course.and_then(|course| course.watch_from);
        let watch_from = watch_from.or_else(|| (done && calm).then(|| panel.at()));
        let alarm_since = course.and_then(|course| course.alarm_since);
        let settle = panel.deadline() + rule.look.0;
        let over = watch_from.is_some_and(|from| from + rule.watch.0 <= panel.at());
        Some(Box::new(EvidenceInputs {
            look: panel.looks(),
            at: panel.at(),
            budget: panel.plan().budget,
            planned: u32::try_from(panel.plan().strata.len()).unwrap_or(u32::MAX),
            limit: Exact::new(self.next_limit(ratio)),
            response_ratio: ratio.map(Exact::new),
            watch_from,
            released: course.is_some_and(|course| course.released) || (over && calm),
            settled: alarm_since.is_some_and(|since| since + settle <= panel.at()),
            approved: course.map_or_else(Vec::new, |course| course.approved.clone()),
            gates: self.gates(),
            strata,
        }))
    }

    /// Takes over what a decision was made from, and what it came to.
    pub(super) fn keep_judged(&mut self, judged: Judged, inputs: &Inputs, now: Time) {
        let Some(evidence) = inputs.evidence.as_deref() else { return };
        let usual = self.usual_response_us();
        let course = evidence_course_of(course_of(&mut self.operation, now));
        let stopped = |judged: &Judged| {
            let strata = judged.strata.iter();
            strata.filter(|stratum| stratum.scope == StratumScope::Stopped).count()
        };
        // What stopped takes its part of the alarm with it; the rest is heard out anew.
        let goes_on = stopped(&judged) == stopped(&course.judged);
        let since = course.alarm_since.filter(|_| goes_on).or(Some(evidence.at));
        course.alarm_since = since.filter(|_| judged.alarm);
        course.judged = judged;
        course.limit = evidence.limit;
        course.response_usual_us = usual;
        course.watch_from = evidence.watch_from;
        course.released = evidence.released;
    }

    /// Whether a decision says nothing that the last one did not say.
    pub(super) fn is_old_news(&self, verdict: Verdict, judged: &Judged, inputs: &Inputs) -> bool {
        let Verdict::Allow { phase, speed, .. } = verdict else { return false };
        let (Some(course), Some(evidence)) = (self.evidence_course(), inputs.evidence.as_deref())
        else {
            return false;
        };
        let shape = |judged: &Judged| -> Vec<(StratumScope, u64)> {
            judged.strata.iter().map(|stratum| (stratum.scope, stratum.granted_max)).collect()
        };
        let standing = (course.watch_from.is_some(), course.released, course.judged.alarm);
        phase == self.operation.phase
            && speed == self.operation.speed
            && standing == (evidence.watch_from.is_some(), evidence.released, judged.alarm)
            && shape(&course.judged) == shape(judged)
    }

    /// Waits for an operator at a gate.
    pub(super) fn await_gate(&mut self, gate: Gate, now: Time) {
        evidence_course_of(course_of(&mut self.operation, now)).awaits = Some(gate);
    }

    /// An operator's word opens the gate that waits.
    pub(super) fn open_gate(&mut self) {
        let course = self.operation.course.as_deref_mut();
        let Some(course) = course.and_then(|course| course.evidence.as_deref_mut()) else { return };
        if let Some(gate) = course.awaits.take() {
            course.approved.push(gate);
        }
    }

    /// Gates before the start.
    fn gates(&self) -> Vec<Gate> {
        let Some(rule) = self.operation.policy.rule.evidence() else { return Vec::new() };
        let undo = matches!(self.operation.origin, Origin::Undo { .. });
        let proposed = undo && rule.undo == Undo::Propose;
        let classed = self.class.is_some_and(|class| rule.approval.classes.contains(&class));
        let gates = [(proposed, Gate::Undo), (classed, Gate::Class)];
        gates.into_iter().filter(|(closed, _)| *closed).map(|(_, gate)| gate).collect()
    }

    /// Response time since the last look relative to the usual one.
    fn response_ratio(&self) -> Option<f64> {
        let usual = self.evidence_course()?.response_usual_us?;
        let measured = self.response_times.median_us()?;
        // Fast networks differ by more than their own speed; that is no sign of load.
        if measured.abs_diff(usual) < self.operation.policy.response_time_floor_us {
            return Some(1.0);
        }
        Some(number(measured) / number(usual.max(1)))
    }

    /// The usual response time follows the measured one slowly, and not at all while it is late.
    fn usual_response_us(&self) -> Option<u64> {
        let known = self.evidence_course().and_then(|course| course.response_usual_us);
        let Some(measured) = self.response_times.median_us() else { return known };
        let tolerated = self
            .operation
            .policy
            .rule
            .evidence()
            .map_or(1.0, |rule| share(rule.response_tolerated));
        match known {
            None => Some(measured),
            Some(usual) if self.response_ratio().is_some_and(|ratio| ratio > tolerated) => {
                Some(usual)
            }
            Some(usual) => Some(usual - usual / SMOOTHING + measured / SMOOTHING),
        }
    }

    /// Devices at a time that the server can carry: from what it carries now, not from what it
    /// was never asked to.
    fn next_limit(&self, ratio: Option<f64>) -> f64 {
        let most = f64::from(self.operation.policy.parallel_max.max(1));
        let rule = self.operation.policy.rule.evidence();
        let config = InfrastructureConfig {
            rule: Adaptation::Gradient,
            ratio_tolerated: rule.map_or(1.0, |rule| share(rule.response_tolerated)),
            limit_max: most,
            ..InfrastructureConfig::default()
        };
        let Some(course) = self.evidence_course() else { return most };
        let late = ratio.is_some_and(|ratio| ratio > config.ratio_tolerated);
        let limit = course.limit.value();
        let carried = number(self.ledger.in_flight().max(1));
        next_limit(if late { limit.min(carried) } else { limit }, ratio, &config)
    }
}

fn evidence_course_of(course: &mut Course) -> &mut EvidenceCourse {
    course.evidence.get_or_insert_with(Box::default)
}

/// Bad news is looked at after this part of the time between two looks.
const SOONER: u32 = 5;
/// The same when everyone granted is through: a few devices should not take longer than their
/// installations do.
const DRAINED: u32 = 20;
/// The part of a new measurement in the usual response time.
const SMOOTHING: u64 = 8;
