use model::{Intent, Reason, Record, ReleaseId, Step, Verdict};

use super::*;

#[test]
fn a_drawn_run_repeats() {
    let (first, second) = (run(3).unwrap(), run(3).unwrap());
    assert!(first.installations > 0, "{first}");
    assert_eq!(first.to_string(), second.to_string());
    assert_eq!((first.elements, first.decisions), (second.elements, second.decisions));
}

#[test]
fn a_violation_says_how_to_replay_it() {
    let mut plan = Plan::drawn(3);
    plan.time_max = Duration::from_secs(15);
    let violation = run_plan(plan).unwrap_err();
    assert_eq!((violation.invariant, violation.seed), ("end", 3));
    assert!(violation.to_string().ends_with("replay: bellwether sim run --seed 3"), "{violation}");
    assert!(!violation.story.is_empty());
}

/// A checker that never objects proves nothing.
#[test]
fn the_ledger_objects_to_planted_violations() {
    let id = OperationId(1);
    let device = model::DeviceId(1);
    let at = Time::ZERO;
    let decision = |seq, speed| {
        Record::Decision(Box::new(Decision {
            operation: id,
            seq,
            at,
            verdict: Verdict::Start { speed },
            reason: Reason::Targets { eligible: 5 },
            inputs: None,
            judged: None,
            code_version: String::new(),
        }))
    };
    let grant = |element, count| {
        Record::Grant(Grant {
            operation: id,
            element,
            devices: (1..=count).map(model::DeviceId).collect(),
            at,
        })
    };
    let intent = Record::Intent(Intent {
        operation: id,
        device,
        attempt: 1,
        release: ReleaseId(1),
        step: Step::Install,
        at,
    });
    let check = |records: &[Record], invariant: &str| {
        let broken = Ledger::default().commit(records).unwrap_err();
        assert_eq!(broken.invariant, invariant, "{}", broken.what);
    };
    check(&[decision(1, 1), decision(3, 1)], "I3");
    check(&[decision(1, 1), decision(1, 1)], "I3");
    check(&[grant(1, 1)], "I4");
    check(&[decision(1, 2), grant(1, 3)], "I4");
    check(&[decision(1, 2), grant(2, 1)], "I3");
    check(&[decision(1, 2), grant(1, 2), intent], "I2");
    let entry = |event| crate::LogEntry { at_ms: 0, endpoint: "ws-1".to_owned(), event };
    let executed = entry(crate::LogEvent::Executed { path: "/5/0/2".to_owned() });
    assert_eq!(Ledger::default().testify(&executed).unwrap_err().invariant, "I2");
    let (version, sha256) = ("1.1.0".to_owned(), String::new());
    let installed = entry(crate::LogEvent::Installed { version, sha256 });
    assert_eq!(Ledger::default().testify(&installed).unwrap_err().invariant, "I2");
}
