//! Regulation by evidence and budget: when to stop by proof, how many next by what may be lost.
//!
//! Pure over [`Inputs`], which carry the evidence of each stratum as the looks have it
//! ([`crate::evidence::Panel`]). [`judged`] is the whole judgement; [`decide`] turns it into one
//! step and its reason.

use libm::round;
use model::{
    Evidence as Rule, EvidenceInputs, Exact, Gate, Inputs, Judged, Phase, Rate, Reason,
    StratumInputs, StratumRuling, StratumScope, Verdict,
};

use crate::evidence::{
    CombineConfig, FaultBound, Judgement, Stratum, against, bound_config, caution, certainty,
    combine_config, fault_bound, judge, likeness, next_element, number, share, shares,
};

/// Judges every stratum: what it may grant from now on, and what the evidence against it is;
/// none under another rule and before the first look.
///
/// - *Scope* by [`judge`] with the rule's α over the strata there were at the start.
/// - *Size* b = ⌊B_s/p_U − u⌋ ([`next_element`]), p_U the upper bound of the rate of faults after
///   the matured exposure, u what is granted or updated and not matured. In an alarm only strata
///   that are cleared go on: what is updated already settles it.
/// - The *holdback* stays out of reach until it is released.
#[must_use]
pub fn judged(inputs: &Inputs) -> Option<Judged> {
    let rule = inputs.policy.rule.evidence()?;
    let evidence = inputs.evidence.as_deref()?;
    let planned = usize::try_from(evidence.planned).unwrap_or(usize::MAX);
    let config = combine_config(rule, planned);
    let known = strata(evidence);
    let mut judgement = judge(&known, &config);
    // What was stopped leaves the e-value of all, and is still known to the others.
    let any_stopped = known.iter().any(|stratum| stratum.stopped);
    let hints = if any_stopped { against(&known, &config) } else { vec![0.0; known.len()] };
    if evidence.settled {
        settle(&mut judgement, evidence, &known, &config);
    }
    let targets: Vec<u64> = evidence.strata.iter().map(|stratum| stratum.targets).collect();
    let shares = shares(evidence.budget, &targets);
    let strata = evidence
        .strata
        .iter()
        .zip(shares.into_iter().zip(hints))
        .enumerate()
        .map(|(at, (stratum, of))| ruling(rule, evidence, &judgement, at, stratum, of))
        .collect();
    Some(Judged {
        look: evidence.look,
        log_global: Exact::new(judgement.evidence.global),
        log_limit: Exact::new(judgement.log_limit),
        alarm: judgement.alarm,
        warning: judgement.warning,
        budget: evidence.budget,
        strata,
    })
}

/// Decides by evidence; none when there is nothing to decide.
///
/// In this order: stop all; gates; the end, which is an abort where most were stopped; new sizes.
/// While the operation only waits for the next look, the verdict repeats the sizes.
pub(super) fn decide(inputs: &Inputs, judged: &Judged) -> Option<(Verdict, Reason)> {
    let rule = inputs.policy.rule.evidence()?;
    let evidence = inputs.evidence.as_deref()?;
    if let Some(reason) = against_all(judged, inputs.phase) {
        return Some((Verdict::Abort, reason));
    }
    if let Some(gate) = gate(rule, evidence, judged, inputs.phase) {
        return Some((Verdict::Pause, Reason::Approval { gate }));
    }
    match end(inputs, judged) {
        // What is left of an operation that does harm to most is not its success.
        Some(Reason::Partial { .. }) if harms_most(judged) => {
            return Some((Verdict::Abort, harm(judged, inputs.phase)));
        }
        Some(reason) => return Some((Verdict::Finish, reason)),
        None => {}
    }
    let granted_max: u64 = judged.strata.iter().map(|stratum| stratum.granted_max).sum();
    let verdict = Verdict::Allow {
        phase: phase(judged).unwrap_or(inputs.phase),
        speed: super::saturated(limit(evidence)),
        devices_max: Some(granted_max),
        look_at: Some(evidence.at + rule.look.0),
        stage: 1,
        strikes: 0,
    };
    Some((verdict, reason(inputs, evidence, judged)))
}

/// Devices that the first look will grant, of strata with so many targets of which so many can be
/// granted now.
pub(crate) fn first_grant(rule: &Rule, budget: u64, strata: &[(u64, u64)]) -> u64 {
    let targets: Vec<u64> = strata.iter().map(|(targets, _)| *targets).collect();
    let untouched = StratumInputs::default();
    let grant = |((targets, ready), share): (&(u64, u64), f64)| {
        let rate_upper = bound(rule, &untouched).rate_upper;
        let room = room(rule, &untouched, share, share, rate_upper, 0.0, 1.0);
        room.min(targets.saturating_sub(holdback(rule, *targets))).min(*ready)
    };
    strata.iter().zip(shares(budget, &targets)).map(grant).sum()
}

/// Devices that are left out of reach as a control: strata with fewer than ten targets spare none.
#[must_use]
pub fn holdback(rule: &Rule, targets: u64) -> u64 {
    if targets < HOLDBACK_TARGETS_MIN {
        return 0;
    }
    // Rounded up: a stratum's only control must not be rounded away.
    let points = u128::from(rule.holdback.as_basis_points());
    u64::try_from((u128::from(targets) * points).div_ceil(10_000)).unwrap_or(u64::MAX)
}

/// An alarm has lasted for as long as silence takes to be found, so that everything that was
/// updated before it has shown what it has to show. Who is suspect is stopped for good, and with
/// them the held ones, but for those whose devices speak clearly against the same fault
/// ([`likeness`]): the operation is proved to do harm, and whoever is not known to be well would
/// have to be harmed to be proved to be so. Without a suspect all held ones are. An alarm comes to
/// a harmless operation with probability α at most; without an end to it, the operation would
/// wait for ever.
fn settle(
    judgement: &mut Judgement,
    evidence: &EvidenceInputs,
    strata: &[Stratum],
    config: &CombineConfig,
) {
    if !judgement.alarm {
        return;
    }
    let guilty: Vec<bool> =
        judgement.scopes.iter().map(|scope| *scope == StratumScope::Suspect).collect();
    let found = guilty.contains(&true);
    let likeness = likeness(strata, &guilty, config);
    let all = judgement.scopes.iter_mut().zip(&evidence.strata).zip(likeness);
    for ((scope, stratum), likeness) in all {
        let held = *scope == StratumScope::Held && (!found || likeness > config.spared);
        if stratum.updated > 0 && (held || *scope >= StratumScope::Suspect) {
            *scope = StratumScope::Stopped;
        }
    }
}

fn strata(evidence: &EvidenceInputs) -> Vec<Stratum> {
    let values = |test: &Vec<Exact>| test.iter().map(|one| one.value()).collect();
    evidence
        .strata
        .iter()
        .map(|stratum| Stratum {
            tests: stratum.tests.iter().map(values).collect(),
            matured: stratum.matured.value(),
            stopped: stratum.stopped,
        })
        .collect()
}

fn ruling(
    rule: &Rule,
    evidence: &EvidenceInputs,
    judgement: &Judgement,
    at: usize,
    stratum: &StratumInputs,
    (share, hint): (f64, f64),
) -> StratumRuling {
    let scope = judgement.scopes.get(at).copied().unwrap_or_default();
    let bound = bound(rule, stratum);
    let matured = stratum.matured.value();
    let unresolved = (number(stratum.updated) - matured).max(0.0) + number(stratum.pending);
    let room = match scope {
        StratumScope::Free => {
            let reach = share + stratum.reach.value();
            let own = judgement.evidence.strata.get(at).copied().unwrap_or(0.0);
            let against = own.max(judgement.evidence.global).max(hint);
            let caution = caution(against, 1.0);
            room(rule, stratum, share, reach, bound.rate_upper, unresolved, caution)
        }
        StratumScope::Held | StratumScope::Suspect | StratumScope::Stopped => 0,
    };
    let spared = if evidence.released { 0 } else { holdback(rule, stratum.targets) };
    let most = stratum.targets.saturating_sub(spared).max(stratum.granted);
    let log_of = |values: &[f64]| Exact::new(values.get(at).copied().unwrap_or(0.0));
    StratumRuling {
        name: stratum.name.clone(),
        scope,
        log_e: log_of(&judgement.evidence.strata),
        log_closed: log_of(&judgement.evidence.closed),
        share: Exact::new(share),
        rate_upper: Exact::new(bound.rate_upper),
        unresolved: Exact::new(unresolved),
        matured: stratum.matured,
        excess: Exact::new(bound.excess),
        targets: stratum.targets,
        granted: stratum.granted,
        updated: stratum.updated,
        failures: stratum.failures,
        events: stratum.events,
        control_events: stratum.control_events,
        granted_max: stratum.granted.saturating_add(room).min(most),
        indicators: stratum.indicators.clone(),
    }
}

/// Devices of a stratum that may be granted now: the least of three.
///
/// - What the budget leaves for faults of any latency ([`next_element`]).
/// - What had time to show ([`crate::evidence::Panel`]), beside what may be lost in any case. The
///   budget alone lets an operation grow by B/3 each time something has matured, which is further
///   than silence can be seen.
/// - What a tenth of the budget leaves for installations that fail, half of it before the first is
///   through, and less the more speaks against the change: these show at once, so that few need to
///   be under way before the first ones are through.
fn room(
    rule: &Rule,
    stratum: &StratumInputs,
    share: f64,
    reach: f64,
    rate_upper: f64,
    unresolved: f64,
    caution: f64,
) -> u64 {
    let by_budget = next_element(share, rate_upper, unresolved);
    let by_growth = whole(libm::floor((reach - number(stratum.granted)).max(0.0)));
    let through = stratum.failures + stratum.successes;
    let under_way = stratum.granted.saturating_sub(through + stratum.events);
    let failing = fault_bound(
        stratum.failures,
        stratum.tolerated.value() * number(through),
        number(through),
        &bound_config(rule),
    );
    let part = if through == 0 { INSTALLING_FIRST } else { INSTALLING };
    let clear = (share * part).max(share.min(INSTALLING_CLEAR));
    let installing = (clear * caution).max(share.min(INSTALLING_MIN));
    let by_installations = next_element(installing, failing.rate_upper, number(under_way));
    // One can always be under way.
    let by_installations = by_installations.max(u64::from(under_way == 0));
    by_budget.min(by_growth).min(by_installations)
}

/// Failures and events beyond the tolerated ones, over the matured exposure.
fn bound(rule: &Rule, stratum: &StratumInputs) -> FaultBound {
    let attempts = stratum.failures + stratum.successes;
    let usual = stratum.tolerated.value() * number(attempts) + stratum.expected.value();
    let matured = stratum.matured.value();
    fault_bound(stratum.failures + stratum.events, usual, matured, &bound_config(rule))
}

/// Everything is stopped or suspect: the operation ends.
fn against_all(judged: &Judged, phase: Phase) -> Option<Reason> {
    let stopping =
        |stratum: &StratumRuling| stratum.scope >= StratumScope::Suspect || stratum.targets == 0;
    let any = judged.strata.iter().any(|stratum| stratum.scope >= StratumScope::Suspect);
    let all = any && judged.strata.iter().all(stopping);
    all.then(|| harm(judged, phase))
}

/// Whether at least half of the targets belong to stopped strata.
fn harms_most(judged: &Judged) -> bool {
    let targets = |stopped: bool| -> u64 {
        let strata = judged.strata.iter();
        let counted = strata.filter(|one| !stopped || one.scope == StratumScope::Stopped);
        counted.map(|stratum| stratum.targets).sum()
    };
    targets(true) >= targets(false).div_ceil(2)
}

fn harm(judged: &Judged, phase: Phase) -> Reason {
    let closed = judged.strata.iter().map(|stratum| stratum.log_closed.value());
    let highest = closed.fold(judged.log_global.value(), f64::max);
    Reason::EvidenceAgainstAll {
        phase,
        log_e: Exact::new(highest),
        log_limit: judged.log_limit,
        excess: sum(judged.strata.iter().map(|stratum| stratum.excess)),
        updated: judged.strata.iter().map(|stratum| stratum.updated).sum(),
        budget: judged.budget,
    }
}

/// The first gate that is closed.
fn gate(rule: &Rule, evidence: &EvidenceInputs, judged: &Judged, phase_now: Phase) -> Option<Gate> {
    let next = phase(judged).unwrap_or(phase_now);
    let approval = &rule.approval;
    let begins = (next > phase_now || next == Phase::Test) && approval.phases.contains(&next);
    let later = [(begins, Gate::Phase(next)), (approval.warning && judged.warning, Gate::Warning)];
    let later = later.into_iter().filter(|(closed, _)| *closed).map(|(_, gate)| gate);
    let gates = evidence.gates.iter().copied().chain(later);
    gates.into_iter().find(|gate| !evidence.approved.contains(gate))
}

/// Why the operation is done, if it is: nobody is left but in stopped strata, or nobody comes.
fn end(inputs: &Inputs, judged: &Judged) -> Option<Reason> {
    let counts = &inputs.counts;
    // An alarm is settled first: whoever caused it is not among the successes.
    if counts.in_flight > 0 || judged.alarm {
        return None;
    }
    let stopped = |stratum: &&StratumRuling| stratum.scope == StratumScope::Stopped;
    let ungranted = |stratum: &StratumRuling| stratum.targets.saturating_sub(stratum.granted);
    let left: u64 = judged.strata.iter().filter(stopped).map(ungranted).sum();
    let names: Vec<String> =
        judged.strata.iter().filter(stopped).map(|stratum| stratum.name.to_string()).collect();
    let linger_over = inputs.standing.as_deref().is_some_and(|standing| standing.linger_over);
    match counts.waiting.saturating_sub(left) {
        0 if names.is_empty() => Some(Reason::Complete),
        0 => Some(Reason::Partial { strata: names, left }),
        waiting if linger_over && names.is_empty() => Some(Reason::LingerOver { waiting }),
        waiting if linger_over => Some(Reason::Partial { strata: names, left: left + waiting }),
        _ => None,
    }
}

/// Paper A's phases as labels of certainty: that of the least certain stratum which is not
/// stopped.
fn phase(judged: &Judged) -> Option<Phase> {
    let going = judged.strata.iter().filter(|stratum| stratum.scope != StratumScope::Stopped);
    going
        .filter(|stratum| stratum.targets > 0)
        .map(|stratum| certainty(stratum.rate_upper.value()))
        .min()
}

/// Why the sizes are as they are.
fn reason(inputs: &Inputs, evidence: &EvidenceInputs, judged: &Judged) -> Reason {
    let newly: Vec<&StratumRuling> = judged
        .strata
        .iter()
        .zip(&evidence.strata)
        .filter(|(ruling, before)| ruling.scope == StratumScope::Stopped && !before.stopped)
        .map(|(ruling, _)| ruling)
        .collect();
    if !newly.is_empty() {
        return Reason::StrataStopped {
            strata: newly.iter().map(|stratum| stratum.name.to_string()).collect(),
            excess: sum(newly.iter().map(|stratum| stratum.excess)),
            updated: newly.iter().map(|stratum| stratum.updated).sum(),
        };
    }
    if judged.alarm {
        let suspects =
            judged.strata.iter().filter(|stratum| stratum.scope == StratumScope::Suspect);
        return Reason::Alarm {
            log_e: judged.log_global,
            suspects: suspects.map(|stratum| stratum.name.to_string()).collect(),
        };
    }
    let course =
        inputs.standing.as_deref().and_then(|standing| standing.course.evidence.as_deref());
    if course.is_some_and(|course| course.judged.alarm) {
        return Reason::Cleared;
    }
    let rule = inputs.policy.rule.evidence();
    let spared: u64 = rule.map_or(0, |rule| {
        let going = judged.strata.iter().filter(|it| it.scope != StratumScope::Stopped);
        going.map(|stratum| holdback(rule, stratum.targets)).sum()
    });
    match (evidence.released, evidence.watch_from, rule) {
        (true, _, _) => return Reason::Released { holdback: spared },
        (false, Some(from), Some(rule)) => {
            return Reason::Watching { holdback: spared, until: from + rule.watch.0 };
        }
        _ => {}
    }
    let ratio = evidence.response_ratio.map_or(0.0, Exact::value);
    let late = rule.is_some_and(|rule| ratio > share(rule.response_tolerated));
    if late {
        return Reason::Servers { ratio: rate(ratio), limit: limit(evidence) };
    }
    let least_known = judged
        .strata
        .iter()
        .filter(|stratum| stratum.scope != StratumScope::Stopped && stratum.targets > 0)
        .reduce(
            |one, other| {
                if other.rate_upper.value() > one.rate_upper.value() { other } else { one }
            },
        );
    Reason::Budget {
        budget: evidence.budget,
        stratum: least_known
            .filter(|_| judged.strata.len() > 1)
            .map_or_else(String::new, |stratum| stratum.name.to_string()),
        rate_upper: rate(least_known.map_or(0.0, |stratum| stratum.rate_upper.value())),
        excess: sum(least_known.iter().map(|stratum| stratum.excess)),
        updated: least_known.map_or(0, |stratum| stratum.updated),
        unresolved: sum(judged.strata.iter().map(|stratum| stratum.unresolved)),
    }
}

fn limit(evidence: &EvidenceInputs) -> u64 {
    whole(evidence.limit.value()).max(1)
}

fn sum(values: impl Iterator<Item = Exact>) -> u64 {
    whole(values.map(Exact::value).sum())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and nothing here is negative"
)]
fn whole(value: f64) -> u64 {
    round(value.max(0.0)) as u64
}

/// A ratio in basis points, rounded up so that a bound stays one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and nothing here is negative"
)]
fn rate(ratio: f64) -> Rate {
    Rate::basis_points(libm::ceil((ratio.max(0.0) * 10_000.0) - 1e-9) as u32)
}

/// Part of the budget that installations under way may cost, before the first is through and after.
const INSTALLING_FIRST: f64 = 0.05;
const INSTALLING: f64 = 0.1;
/// Devices that installations under way may cost a stratum in any case, as far as its budget goes,
/// while nothing speaks against the change: one at a time would take a small fleet for ever.
const INSTALLING_CLEAR: f64 = 3.0;
/// The same whatever speaks against it: one at a time would take for ever to find out that a hint
/// was none.
const INSTALLING_MIN: f64 = 0.3;
/// Fewer targets than that spare no holdback.
const HOLDBACK_TARGETS_MIN: u64 = 10;
