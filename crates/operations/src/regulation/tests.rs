//! Regulation case by case. Reference: paper A §III-E and figure 5.

use model::{
    Counts, Inputs, Measure, OperationId, PerPhase, Phase, Policy, Rate, Reason, ReportedRates,
    Rule, Span, Stage, Strategy, Time, Variation, Verdict,
};

use super::{regulate, replay};

/// 150 devices of which 30 are done, in Generalization, at speed 10 after k = 2 (linear by 4).
fn inputs() -> Inputs {
    Inputs {
        counts: counts(30, 0, 0, 120),
        phase: Phase::Generalization,
        speed: 10,
        favourable: 2,
        before: Some(rates(10, 0, 0, 20_000)),
        after: Some(rates(10, 0, 0, 20_000)),
        window: Some(rates(10, 0, 0, 20_000)),
        artifact_fault: false,
        policy: Policy {
            strategy: Strategy::Linear { add: 4 },
            first_speed: 2,
            ..Policy::threshold()
        },
        standing: None,
        evidence: None,
    }
}

fn counts(succeeded: u64, failed: u64, in_flight: u64, waiting: u64) -> Counts {
    Counts { succeeded, failed, in_flight, waiting, eligible: waiting, ..Counts::default() }
}

fn rates(attempted: u64, failed: u64, warned: u64, us: u64) -> ReportedRates {
    ReportedRates::new(attempted, failed, warned, Some(us))
}

fn after(inputs: Inputs, rates: ReportedRates) -> Inputs {
    Inputs { after: Some(rates), window: Some(rates), ..inputs }
}

#[track_caller]
fn check(inputs: &Inputs, verdict: Verdict, code: &str) -> Reason {
    let (found, reason) = regulate(inputs).expect("there is something to decide");
    assert_eq!((found, reason.code()), (verdict, code), "{reason}");
    reason
}

fn on(phase: Phase, speed: u32, favourable: i32) -> Verdict {
    Verdict::Continue { phase, speed, favourable }
}

#[test]
fn a_pending_operation_starts_with_its_first_size() {
    let pending = Inputs {
        counts: counts(0, 0, 0, 150),
        phase: Phase::Test,
        speed: 0,
        favourable: 0,
        before: None,
        after: None,
        window: None,
        ..inputs()
    };
    check(&pending, Verdict::Start { speed: 2 }, "start.targets");
    let mut large = pending.clone();
    large.policy.first_speed = 1_000;
    check(&large, Verdict::Start { speed: 37 }, "start.targets");
    let none = Inputs { counts: Counts::default(), ..pending.clone() };
    check(&none, Verdict::Finish, "finish.complete");
    let mut asleep = pending;
    asleep.counts.eligible = 0;
    check(&asleep, Verdict::Finish, "finish.linger_over");
}

#[test]
fn variation_sets_the_speed() {
    // Scenario 2: improving metrics make the steeper slope.
    let improved = after(inputs(), rates(10, 0, 0, 5_000));
    let reason = check(&improved, on(Phase::Generalization, 18, 4), "speed.improved");
    let by = Variation { measure: Measure::ResponseTime, before: 20_000, after: 5_000 };
    assert_eq!(reason, Reason::Improved { by: vec![by] });
    // Little or no variation and all well: on at the usual slope.
    check(&inputs(), on(Phase::Generalization, 14, 3), "speed.healthy");
    // Inside the dead band, or below the floor under which the scheduler alone moves it.
    check(
        &after(inputs(), rates(10, 0, 0, 29_999)),
        on(Phase::Generalization, 14, 3),
        "speed.healthy",
    );
    // Scenario 1: a worse response time lowers the size slightly for one iteration...
    let worse = after(inputs(), rates(10, 0, 0, 200_000));
    check(&worse, on(Phase::Generalization, 6, 1), "speed.worsened");
    // ...and when it comes back the next one is larger again.
    let back = Inputs {
        speed: 6,
        favourable: 1,
        before: Some(rates(10, 0, 0, 200_000)),
        ..after(inputs(), rates(6, 0, 0, 20_000))
    };
    check(&back, on(Phase::Generalization, 14, 3), "speed.improved");
    // One better and one worse: worse wins.
    let mixed = after(inputs(), rates(10, 0, 1, 5_000));
    check(&mixed, on(Phase::Generalization, 6, 1), "speed.worsened");
    // Little variation, but warnings are there.
    let steady = Inputs {
        before: Some(rates(100, 0, 10, 20_000)),
        ..after(inputs(), rates(100, 0, 10, 20_000))
    };
    check(&steady, on(Phase::Generalization, 10, 2), "speed.steady");
    // Nothing judged: no evidence either way.
    let nothing = after(inputs(), ReportedRates::new(0, 0, 0, Some(900_000)));
    check(&nothing, on(Phase::Generalization, 10, 2), "speed.no_evidence");
}

#[test]
fn the_earlier_the_more_drastic() {
    // Reference: paper A §III-E, "the earlier errors are detected, the more drastic is the
    // regulation".
    for (phase, k, speed) in
        [(Phase::Test, 7, 30), (Phase::Cautious, 8, 34), (Phase::Generalization, 9, 37)]
    {
        let mut worse = after(
            Inputs { phase, favourable: 10, speed: 37, counts: counts(0, 0, 0, 150), ..inputs() },
            rates(10, 0, 0, 200_000),
        );
        worse.policy.strategy = Strategy::Linear { add: 4 };
        let (verdict, _) = regulate(&worse).unwrap();
        assert_eq!(verdict, on(phase, speed, k), "{phase}");
    }
    // Never below one device, nor k below zero.
    let low = Inputs { favourable: 1, speed: 2, phase: Phase::Test, ..inputs() };
    let low = after(Inputs { counts: counts(0, 0, 0, 150), ..low }, rates(2, 0, 0, 200_000));
    check(&low, on(Phase::Test, 2, 0), "speed.worsened");
}

#[test]
fn the_brake_has_no_play_at_the_largest_size() {
    // 37 is the most for 150 targets; k may have grown no further than that size needs.
    let mut fast = Inputs { favourable: 9, speed: 37, ..inputs() };
    for _ in 0..50 {
        let Some((Verdict::Continue { favourable, speed, .. }, _)) = regulate(&fast) else {
            panic!("it goes on")
        };
        fast = Inputs { favourable, speed, ..fast };
    }
    assert_eq!((fast.favourable, fast.speed), (9, 37));
    let worse = after(fast, rates(37, 0, 0, 200_000));
    check(&worse, on(Phase::Generalization, 34, 8), "speed.worsened");
}

#[test]
fn errors_above_the_tolerated_rate_abort_in_the_phase_that_made_them() {
    let tolerant = |phase, attempted, failed| {
        after(Inputs { phase, ..inputs() }, rates(attempted, failed, 0, 20_000))
    };
    let aborts = |inputs: &Inputs| matches!(regulate(inputs), Some((Verdict::Abort, _)));
    // Default limits: 1 %, 2 %, 5 %, and at least two devices.
    for (phase, attempted, failed, expected) in [
        (Phase::Test, 100, 2, true),
        (Phase::Test, 200, 2, false),
        (Phase::Test, 10, 1, false),
        (Phase::Test, 2, 2, true),
        (Phase::Cautious, 100, 2, false),
        (Phase::Cautious, 100, 3, true),
        (Phase::Generalization, 100, 5, false),
        (Phase::Generalization, 100, 6, true),
    ] {
        let inputs = tolerant(phase, attempted, failed);
        assert_eq!(aborts(&inputs), expected, "{phase} {failed} of {attempted}");
    }
    // The share processed would be Generalization, the errors were made in Test.
    let reason = check(&tolerant(Phase::Test, 50, 2), Verdict::Abort, "abort.errors");
    let Reason::ErrorsAboveTolerance { phase, tolerated, .. } = reason else { panic!() };
    assert_eq!((phase, tolerated), (Phase::Test, Rate::percent(1)));
    // Bad news in the middle of an element needs no end of it.
    let mut middle = tolerant(Phase::Test, 50, 2);
    middle.after = None;
    middle.counts.in_flight = 5;
    check(&middle, Verdict::Abort, "abort.errors");
    middle.window = Some(rates(50, 0, 0, 20_000));
    assert_eq!(regulate(&middle), None, "an element in flight only ever aborts");
}

#[test]
fn faults_of_the_image_and_unreachable_targets_abort() {
    let image = Inputs { artifact_fault: true, ..inputs() };
    assert!(matches!(regulate(&image), Some((Verdict::Continue { .. }, _))));
    let image = Inputs { phase: Phase::Test, ..image };
    check(&image, Verdict::Abort, "abort.artifact");
    let mut all = inputs();
    all.policy.must_reach_all = true;
    all.counts.failed = 1;
    check(&all, Verdict::Abort, "abort.must_reach_all");
}

#[test]
fn warnings_above_the_tolerated_rate_slow_down() {
    let warned = after(inputs(), rates(10, 0, 3, 20_000));
    let warned = Inputs { before: Some(rates(10, 0, 3, 20_000)), ..warned };
    check(&warned, on(Phase::Generalization, 6, 1), "speed.warnings");
}

#[test]
fn phases_follow_progress_and_never_go_back() {
    for (phase, done, expected) in [
        (Phase::Test, 0, Phase::Test),
        (Phase::Test, 2, Phase::Cautious),
        (Phase::Test, 15, Phase::Generalization),
        (Phase::Generalization, 2, Phase::Generalization),
    ] {
        let inputs = Inputs { phase, counts: counts(done, 0, 0, 150 - done), ..inputs() };
        let Some((Verdict::Continue { phase, .. }, _)) = regulate(&inputs) else { panic!() };
        assert_eq!(phase, expected, "{done} of 150");
    }
}

#[test]
fn an_operation_finishes_when_nothing_is_left() {
    let done = Inputs { counts: counts(150, 0, 0, 0), ..inputs() };
    check(&done, Verdict::Finish, "finish.complete");
    let mut waiting = Inputs { after: None, ..inputs() };
    waiting.counts.eligible = 0;
    check(&waiting, Verdict::Finish, "finish.linger_over");
}

#[test]
fn a_fixed_plan_looks_at_nothing_but_errors() {
    // Reference: paper A §IV-A, under 0.01 %, then 3 %, then 6.25 % of the fleet a slot.
    let stage = |points, wait| Stage { share: Rate::basis_points(points), wait: Span::secs(wait) };
    let stages = vec![stage(1, 172_800), stage(300, 864_000), stage(625, 86_400)];
    let policy = Policy { rule: Rule::Plan { stages }, ..Policy::threshold() };
    let mut plan = Inputs { favourable: 0, speed: 0, policy, phase: Phase::Test, ..inputs() };
    plan.counts = counts(0, 0, 0, 10_000);
    check(&plan, Verdict::Start { speed: 1 }, "start.targets");
    let sizes = [300, 625, 625];
    plan.speed = 1;
    for (size, k) in sizes.into_iter().zip(1..) {
        plan.after = Some(rates(10, 0, 0, 900_000 * u64::from(size)));
        check(&plan, on(Phase::Test, size, k), "speed.plan");
        plan.favourable = k;
    }
    plan.window = Some(rates(100, 9, 0, 20_000));
    check(&plan, Verdict::Abort, "abort.errors");
}

#[test]
fn a_stored_decision_replays_to_the_same_bits() {
    let worse = after(inputs(), rates(10, 0, 1, 200_000));
    let (verdict, reason) = regulate(&worse).unwrap();
    let decision = model::Decision {
        operation: OperationId(1),
        seq: 1,
        at: Time::ZERO,
        verdict,
        reason: reason.clone(),
        inputs: Some(worse),
        judged: None,
        code_version: String::new(),
    };
    assert_eq!(replay(&decision), Some((verdict, reason)));
    assert_eq!(replay(&model::Decision { inputs: None, ..decision }), None);
}

proptest::proptest! {
    #[test]
    fn any_inputs_give_a_size_in_bounds(
        done in 0u64..200, failed in 0u64..50, waiting in 1u64..500, speed in 1u32..200,
        k in -3i32..40, judged in 0u64..100, bad in 0u64..100, us in 0u64..1_000_000,
        phase in 0usize..3,
    ) {
        let mut any = after(inputs(), rates(judged, bad.min(judged), bad / 3, us));
        any.counts = counts(done, failed, 0, waiting);
        any.speed = speed;
        any.favourable = k;
        any.phase = [Phase::Test, Phase::Cautious, Phase::Generalization][phase];
        any.policy.tolerated_errors = PerPhase {
            test: Rate::percent(200), cautious: Rate::percent(200), generalization: Rate::percent(200),
        };
        let targets = any.counts.targets();
        let Some((Verdict::Continue { speed, favourable, .. }, reason)) = regulate(&any) else {
            panic!("it goes on")
        };
        proptest::prop_assert!(speed >= 1 && u64::from(speed) <= (targets / 4).max(1));
        proptest::prop_assert!(favourable >= 0);
        let slowed = matches!(
            reason,
            Reason::Worsened { .. } | Reason::WarningsAboveTolerance { .. } | Reason::Steady
        );
        proptest::prop_assert!(!slowed || speed <= any.speed);
    }
}
