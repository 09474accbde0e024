//! Replay of an operation: every stored decision made once more from what it was made from.

use std::fmt;
use std::iter::Peekable;

use model::{
    Decision, EvidenceInputs, Exact, Judged, Look, Operation, Reason, StratumInputs, Time, Verdict,
};

use crate::evidence::Panel;
use crate::regulation::{judged, regulate_judged};

/// What a replay of an operation came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replay {
    /// Decisions that came out the same to the last bit.
    pub equal: u64,
    /// Decisions that came out differently.
    pub different: u64,
    /// Of these, those that the version of this code had made: a fault of this code or of the
    /// store, where the others may be meant.
    pub different_same_version: u64,
    /// Orders of operators, which are made from nothing and cannot be recomputed.
    pub orders: u64,
    /// Looks that were folded.
    pub looks: u64,
    /// The first decisions that came out differently; at most [`Replay::DIFFERING_MAX`].
    pub differing: Vec<Differing>,
}

impl Replay {
    /// Decisions that are told one by one. The rest is counted.
    pub const DIFFERING_MAX: usize = 100;
    /// Differences that are told of one decision. The rest is left out.
    pub const DIFFERENCES_MAX: usize = 20;

    /// Whether every decision that can be recomputed came out the same.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.different == 0
    }

    /// Makes every decision of an operation once more.
    ///
    /// Under the rule `evidence` the looks are folded up to the one that a decision was made at,
    /// and give the evidence of each stratum; what a decision was made from must be the same to
    /// the last bit. Then [`crate::regulate`] and [`judged`] must come to the same verdict, reason and
    /// judgement from it. `looks` and `decisions` come in the order of their numbers.
    ///
    /// # Errors
    /// Whatever reading a look or a decision fails with.
    pub fn of<E>(
        operation: &Operation,
        looks: impl IntoIterator<Item = Result<Look, E>>,
        decisions: impl IntoIterator<Item = Result<Decision, E>>,
    ) -> Result<Self, E> {
        let mut looks = looks.into_iter().peekable();
        let rule = operation.policy.rule.evidence();
        let mut panel =
            rule.zip(operation.evidence.as_deref()).map(|(rule, plan)| Panel::new(rule, plan));
        let mut replay = Self::default();
        for decision in decisions {
            let decision = decision?;
            let evidence = decision.inputs.as_ref().and_then(|inputs| inputs.evidence.as_deref());
            if let (Some(panel), Some(evidence)) = (&mut panel, evidence) {
                replay.looks += fold(panel, &mut looks, evidence.look)?;
            }
            replay.add(&decision, panel.as_ref());
        }
        Ok(replay)
    }

    fn add(&mut self, decision: &Decision, panel: Option<&Panel>) {
        let Some(inputs) = &decision.inputs else {
            self.orders += 1;
            return;
        };
        let mut differences = Vec::new();
        if let Some(evidence) = inputs.evidence.as_deref() {
            compare_evidence(evidence, panel, &mut differences);
        }
        let judged = judged(inputs);
        let again = regulate_judged(inputs, judged.as_ref());
        compare_verdict(decision, again, &mut differences);
        compare_judgement(decision.judged.as_deref(), judged.as_ref(), &mut differences);
        if differences.is_empty() {
            self.equal += 1;
            return;
        }
        self.different += 1;
        let same_version = decision.code_version == CODE_VERSION;
        self.different_same_version += u64::from(same_version);
        if self.differing.len() < Self::DIFFERING_MAX {
            differences.truncate(Self::DIFFERENCES_MAX);
            self.differing.push(Differing {
                seq: decision.seq,
                at: decision.at,
                code_version: decision.code_version.clone(),
                same_version,
                differences,
            });
        }
    }
}

/// A decision that came out differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// Its number.
    pub seq: u64,
    /// When it was made.
    pub at: Time,
    /// Version of the code that made it.
    pub code_version: String,
    /// Whether that is the version of this code.
    pub same_version: bool,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// One thing that came out differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub part: Part,
    /// As it is stored.
    pub stored: String,
    /// As it came out now.
    pub again: String,
}

/// A part of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The looks that the evidence was made from.
    Looks,
    /// The strata there are.
    Strata,
    /// The evidence of one stratum.
    Evidence {
        /// Of which.
        stratum: String,
    },
    /// What was decided.
    Verdict,
    /// Why.
    Reason,
    /// The judgement behind it.
    Judgement,
    /// The judgement of one stratum.
    Ruling {
        /// Of which.
        stratum: String,
    },
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Looks => f.write_str("looks"),
            Self::Strata => f.write_str("strata"),
            Self::Evidence { stratum } => write!(f, "evidence of {stratum}"),
            Self::Verdict => f.write_str("verdict"),
            Self::Reason => f.write_str("reason"),
            Self::Judgement => f.write_str("judgement"),
            Self::Ruling { stratum } => write!(f, "judgement of {stratum}"),
        }
    }
}

/// Folds the looks up to a number; returns how many that were.
fn fold<E>(
    panel: &mut Panel,
    looks: &mut Peekable<impl Iterator<Item = Result<Look, E>>>,
    until: u64,
) -> Result<u64, E> {
    let mut folded = 0;
    while let Some(look) =
        looks.next_if(|look| look.as_ref().map_or(true, |look| look.number <= until))
    {
        panel.observe(&look?);
        folded += 1;
    }
    Ok(folded)
}

fn compare_evidence(
    evidence: &EvidenceInputs,
    panel: Option<&Panel>,
    differences: &mut Vec<Difference>,
) {
    let looks = panel.map_or(0, Panel::looks);
    if looks != evidence.look {
        let (stored, again) = (format!("look {}", evidence.look), format!("look {looks}"));
        differences.push(Difference { part: Part::Looks, stored, again });
        return;
    }
    let Some(panel) = panel else { return };
    let found = panel.strata();
    let names = |strata: &[StratumInputs]| {
        strata.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join("; ")
    };
    if !found.iter().map(|one| &one.name).eq(evidence.strata.iter().map(|one| &one.name)) {
        let (stored, again) = (names(&evidence.strata), names(&found));
        differences.push(Difference { part: Part::Strata, stored, again });
        return;
    }
    for (stored, found) in evidence.strata.iter().zip(found) {
        // Whether it was stopped, by its own evidence or by an alarm that settled, comes from the
        // decision before and not from the looks.
        let again = StratumInputs { stopped: stored.stopped, ..found };
        if again == *stored {
            continue;
        }
        let part = Part::Evidence { stratum: stored.name.to_string() };
        let (stored, again) = told(stored, &again);
        differences.push(Difference { part, stored, again });
    }
}

/// What of a stratum differs: the tests when they do, or else all of it.
fn told(stored: &StratumInputs, again: &StratumInputs) -> (String, String) {
    if stored.tests == again.tests {
        return (format!("{stored:?}"), format!("{again:?}"));
    }
    let tests = |tests: &[Vec<Exact>]| {
        let bits = |one: &Exact| format!("{:016x}", one.value().to_bits());
        let of = |test: &Vec<Exact>| test.iter().map(bits).collect::<Vec<_>>().join(" ");
        format!("tests {}", tests.iter().map(of).collect::<Vec<_>>().join(" | "))
    };
    (tests(&stored.tests), tests(&again.tests))
}

fn compare_verdict(
    decision: &Decision,
    again: Option<(Verdict, Reason)>,
    differences: &mut Vec<Difference>,
) {
    let Some((verdict, reason)) = again else {
        let (stored, again) = (format!("{:?}", decision.verdict), "none".to_owned());
        differences.push(Difference { part: Part::Verdict, stored, again });
        return;
    };
    if verdict != decision.verdict {
        let (stored, again) = (format!("{:?}", decision.verdict), format!("{verdict:?}"));
        differences.push(Difference { part: Part::Verdict, stored, again });
    }
    if reason != decision.reason {
        let (stored, again) = (format!("{:?}", decision.reason), format!("{reason:?}"));
        differences.push(Difference { part: Part::Reason, stored, again });
    }
}

fn compare_judgement(
    stored: Option<&Judged>,
    again: Option<&Judged>,
    differences: &mut Vec<Difference>,
) {
    // What holds for all strata together; the start is decided before there is any.
    let told = |judged: Option<&Judged>| {
        judged.map_or_else(
            || "none".to_owned(),
            |judged| format!("{:?}", Judged { strata: Vec::new(), ..judged.clone() }),
        )
    };
    let (one, other) = (told(stored), told(again));
    if one != other {
        differences.push(Difference { part: Part::Judgement, stored: one, again: other });
    }
    let strata = |judged: Option<&Judged>| judged.map_or_else(Vec::new, |one| one.strata.clone());
    for (one, other) in strata(stored).iter().zip(strata(again)) {
        if *one != other {
            let part = Part::Ruling { stratum: one.name.to_string() };
            let (stored, again) = (format!("{one:?}"), format!("{other:?}"));
            differences.push(Difference { part, stored, again });
        }
    }
}

/// The version that decisions made by this code carry.
const CODE_VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fmt::Write as _;

    use model::{
        Arm, AttemptState, Evidence, EvidencePlan, HealthEventKind, HealthEvents, OperationId,
        OperationState, Policy, ReleaseId, Rule, StratumLook, StratumName, StratumPlan, Tolerance,
    };

    use super::*;
    use crate::{Attempts, Conduct, Pool};

    fn operation(policy: Policy) -> Operation {
        Operation::new(OperationId(1), ReleaseId(1), policy, 1, Time::ZERO)
    }

    fn stratum(hardware: &str) -> StratumName {
        StratumName { hardware: hardware.to_owned(), ..StratumName::default() }
    }

    fn plan() -> EvidencePlan {
        let tolerance = Tolerance {
            rate: Exact::new(0.01),
            learned: Exact::new(0.005),
            learned_upper: Exact::new(0.007),
        };
        let strata = ["B", "C"].map(|one| StratumPlan { name: stratum(one), tolerance });
        EvidencePlan {
            budget: 50,
            strata: strata.into(),
            others: tolerance,
            ..EvidencePlan::default()
        }
    }

    /// Revision B falls silent after the update, revision C does not.
    fn look(number: u64) -> Look {
        let of = |name: &str, silent: u64| StratumLook {
            name: stratum(name),
            targets: 5_000,
            granted: 20 * number,
            pending: 5,
            ready: 4_000,
            deadline_s: 300,
            updated: 20,
            failures: number % 2,
            installing: 4,
            successes: 15,
            updated_contacts: vec![20 * number, 0, 0],
            control_contacts: 4_000,
            control: 4_500,
            returned: 15,
            away_s: 15 * 20,
            events: (silent > 0)
                .then_some(HealthEvents {
                    arm: Arm::Updated,
                    look: number,
                    window: 0,
                    kind: HealthEventKind::Silence,
                    devices: silent,
                })
                .into_iter()
                .collect(),
            indicators: Vec::new(),
        };
        let strata = vec![of("B", u64::from(number > 2) * 4), of("C", 0)];
        let at = Time::from_secs(300 * number);
        Look { operation: OperationId(1), number, at, strata, left: Vec::new() }
    }

    /// An operation under evidence: its looks, and its decisions with an operator's order.
    fn judged_operation() -> (Operation, Vec<Look>, Vec<Decision>) {
        let policy = Policy { rule: Rule::Evidence(Evidence::default()), ..Policy::default() };
        let mut conduct = Conduct::new(operation(policy));
        let pool = Pool { ready: 8_000, waiting: 0, excluded: 0, retries: false };
        let (mut looks, mut decisions) = (Vec::new(), Vec::new());
        conduct.hold_against(plan());
        decisions.extend(conduct.decide(pool, Time::ZERO));
        for number in 1..=12 {
            let look = look(number);
            conduct.look(&look);
            decisions.extend(conduct.decide(pool, look.at));
            looks.push(look);
        }
        let order = Reason::Operator { by: "test".to_owned(), words: String::new() };
        decisions.push(conduct.pause(order, Time::from_secs(9_000)).unwrap());
        (conduct.operation().clone(), looks, decisions)
    }

    fn replay(operation: &Operation, looks: &[Look], decisions: &[Decision]) -> Replay {
        let looks = looks.iter().cloned().map(Ok::<_, Infallible>);
        Replay::of(operation, looks, decisions.iter().cloned().map(Ok)).unwrap()
    }

    #[test]
    fn what_was_stored_comes_out_the_same() {
        let (operation, looks, decisions) = judged_operation();
        let found = replay(&operation, &looks, &decisions);
        assert!(found.is_equal(), "{found:?}");
        assert_eq!((found.orders, found.equal), (1, decisions.len() as u64 - 1));
        assert!(found.equal > 3 && found.looks > 3, "{found:?}");
        let stopped = decisions.iter().any(|one| one.reason.code() == "evidence.stratum");
        assert!(stopped, "the looks must come to something: {decisions:?}");
    }

    /// What one version decides from one course of events. When this differs, decisions have
    /// changed: raise the version of the workspace, or a replay of what the version before
    /// decided calls the differences a fault of this one. Then take the new snapshot.
    #[test]
    fn a_version_decides_the_same_for_good() {
        let (_, _, decisions) = judged_operation();
        let mut told = format!("version {CODE_VERSION}\n");
        for decision in &decisions {
            let verdict = serde_json::to_string(&decision.verdict).unwrap();
            writeln!(told, "{} {verdict} {}", decision.seq, decision.reason.code()).unwrap();
            for ruling in decision.judged.iter().flat_map(|judged| &judged.strata) {
                writeln!(told, "  {}", serde_json::to_string(ruling).unwrap()).unwrap();
            }
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn every_rule_is_replayed() {
        for policy in [
            "rule = { kind = \"threshold\" }",
            "rule = { kind = \"edgehog\", in_progress_max = 5, failed_max = \"9 %\" }",
        ] {
            let mut conduct = Conduct::new(operation(Policy::from_toml(policy).unwrap()));
            let mut pool = Pool { ready: 40, waiting: 0, excluded: 0, retries: false };
            let mut decisions = Vec::new();
            for second in 0..200 {
                let now = Time::from_secs(second);
                decisions.extend(conduct.decide(pool, now));
                let devices = conduct.room(pool, now).into();
                if devices == 0 {
                    continue;
                }
                pool.ready -= devices;
                let element = conduct.grant(now);
                let granted =
                    Attempts { devices, element, state: &AttemptState::Granted, warned: false };
                conduct.moved(None, granted, now);
                let done = Attempts { state: &AttemptState::Succeeded, ..granted };
                conduct.moved(Some(granted), done, now);
            }
            let found = replay(conduct.operation(), &[], &decisions);
            assert!(found.is_equal() && found.equal > 2, "{policy}: {found:?}");
            assert_eq!(conduct.operation().state, OperationState::Finished);
        }
    }

    #[test]
    fn what_was_changed_is_told() {
        let check = |change: &dyn Fn(&mut Vec<Look>, &mut Vec<Decision>), parts: &[&str]| {
            let (operation, mut looks, mut decisions) = judged_operation();
            change(&mut looks, &mut decisions);
            let found = replay(&operation, &looks, &decisions);
            assert!(!found.is_equal());
            let first = &found.differing[0];
            let told: Vec<String> =
                first.differences.iter().map(|one| one.part.to_string()).collect();
            assert_eq!(told, parts, "{first:?}");
            assert_eq!(found.different_same_version, found.different);
            assert!(first.differences.iter().all(|one| one.stored != one.again));
        };
        check(&|looks, _| looks[2].strata[0].updated += 1, &["evidence of hardware B"]);
        check(&|looks, _| looks.truncate(2), &["looks"]);
        check(&|looks, _| looks[0].strata[1].name = stratum("D"), &["strata"]);
        check(&|_, all| all[1].verdict = Verdict::Abort, &["verdict"]);
        check(&|_, all| all[0].reason = Reason::Complete, &["reason"]);
        let judgement = |all: &mut Vec<Decision>| all[1].judged.take();
        check(&|_, all| drop(judgement(all)), &["judgement"]);
        let ruling = |all: &mut Vec<Decision>| {
            all[1].judged.as_mut().unwrap().strata[1].log_e = Exact::new(0.1);
        };
        check(&|_, all| ruling(all), &["judgement of hardware C"]);
        // The least bit counts.
        let bit = |all: &mut Vec<Decision>| {
            let evidence = all[1].inputs.as_mut().unwrap().evidence.as_mut().unwrap();
            let test = &mut evidence.strata[1].tests[0][0];
            *test = Exact::new(f64::from_bits(test.value().to_bits() ^ 1));
        };
        let (operation, looks, mut decisions) = judged_operation();
        bit(&mut decisions);
        let found = replay(&operation, &looks, &decisions);
        let first = &found.differing[0].differences[0];
        assert_eq!(first.part, Part::Evidence { stratum: "hardware C".to_owned() });
        assert!(first.stored.starts_with("tests "), "{first:?}");
    }

    #[test]
    fn other_versions_are_told_apart() {
        let (operation, looks, mut decisions) = judged_operation();
        decisions[0].verdict = Verdict::Finish;
        decisions[0].code_version = "0.0.1".to_owned();
        let found = replay(&operation, &looks, &decisions);
        assert_eq!((found.different, found.different_same_version), (1, 0));
        assert!(!found.differing[0].same_version);
    }
}
