//! Operations under the rules of other systems, with modelled devices: invariants, restarts, and
//! the course of each rule over a whole fleet.

use model::{
    AwsAbort, AwsCount, AwsFailure, AwsGrowth, AwsJobs, BatchGrowth, CheckedSteps, Decision,
    Edgehog, HawkBit, HawkBitGroup, Mender, MenderPhase, Nebraska, NervesHub, NervesHubStep,
    NodeWright, OfficeHours, OperationId, OperationState, Policy, Rate, Rule, Span, Verdict,
};

use super::world::{Nature, World};
use super::{config, firmware, fleet, invariants, policy, random, restarts};

/// One rule of each system, with limits that some of the runs reach.
fn rules() -> Vec<Rule> {
    let growth = AwsGrowth {
        base_per_minute: 2,
        factor: Rate::percent(200),
        count: AwsCount::Succeeded,
        devices: 4,
    };
    let abort =
        AwsAbort { failure: AwsFailure::All, threshold: Rate::percent(30), executed_min: 10 };
    let group = HawkBitGroup { errors: Rate::percent(20), ..HawkBitGroup::default() };
    let approved = HawkBitGroup { approval_after: true, ..group };
    let phase = |share, after| MenderPhase { share, after: Span::secs(after) };
    let step = |devices, approval| NervesHubStep {
        devices,
        in_progress_max: 3,
        failed_max: Some(2),
        approval,
    };
    let hours = OfficeHours { utc_offset_minutes: 60 };
    vec![
        Rule::AwsJobs(AwsJobs { per_minute_max: 10, growth: Some(growth), abort: vec![abort] }),
        Rule::HawkBit(HawkBit { groups: vec![group, approved, group] }),
        Rule::Mender(Mender {
            phases: vec![
                phase(Some(Rate::percent(10)), 30),
                phase(Some(Rate::percent(30)), 90),
                phase(None, 300),
            ],
        }),
        Rule::Edgehog(Edgehog { in_progress_max: 4, failed_max: Rate::percent(20) }),
        Rule::NervesHub(NervesHub { steps: vec![step(Some(5), false), step(None, true)] }),
        Rule::Nebraska(Nebraska {
            devices_max: 5,
            period: Span::secs(60),
            safe_mode: true,
            office_hours: Some(hours),
        }),
        Rule::NodeWright(NodeWright {
            growth: BatchGrowth::Linear { delta: 2 },
            failed_batches_max: Some(3),
            ..NodeWright::default()
        }),
        Rule::CheckedSteps(CheckedSteps {
            interval: Span::secs(20),
            weights: vec![Rate::percent(10), Rate::percent(50)],
            errors_max: Rate::percent(25),
            response_time_us_max: None,
            failed_checks_max: 2,
            missing_fails: false,
        }),
    ]
}

fn under(rule: Rule) -> Policy {
    Policy { rule, attempt_limit: Some(Span::secs(600)), ..policy() }
}

#[test]
fn invariants_hold_under_every_rule() {
    let mut ended = 0;
    for rule in rules() {
        for seed in 0..8 {
            let world = random::run(seed, &under(rule.clone()));
            for operation in world.loops.operations() {
                let state = operation.state;
                assert!(
                    state.is_final() || state == OperationState::Paused,
                    "seed {seed}: {operation:?}"
                );
                ended += u32::from(state.is_final());
            }
        }
    }
    assert!(ended > 40, "{ended}");
}

#[test]
fn a_restart_does_not_change_what_any_rule_decides() {
    let mut compared = 0;
    for rule in rules() {
        for seed in 0..6 {
            compared += restarts::compare(seed, under(rule.clone()));
        }
    }
    assert!(compared > 2_000, "{compared}");
}

/// Plays an operation on 100 devices; says the time of each grant in seconds and its size.
fn played(rule: Rule, natures: &[Nature], resumes: u32) -> (World, Vec<(u64, usize)>) {
    let mut world = World::new(3, config(), fleet(100, "1.0.0"), natures);
    let goal = firmware("sensor", "2.0.0", "[confirm]\nwithin = \"60s\"");
    let policy = Some(under(rule));
    world.loops.publish(goal, "test", policy, &world.fleet, 3, world.now).unwrap();
    let started = world.now;
    let mut left = resumes;
    world.turn(false);
    loop {
        while world.step(false) {
            invariants::check(&world);
        }
        let state = world.loops.operation(OperationId(1)).unwrap().state;
        if state != OperationState::Paused || left == 0 {
            break;
        }
        left -= 1;
        world.loops.resume(OperationId(1), "test", "", world.now).unwrap();
        world.turn(false);
    }
    let grants = world.durable.grants.values();
    let grants = grants.map(|grant| (grant.at.since(started).as_secs(), grant.devices.len()));
    let grants = grants.collect();
    (world, grants)
}

fn decisions(world: &World) -> &[Decision] {
    &world.durable.decisions[&OperationId(1)]
}

#[test]
fn a_rate_grants_by_the_minute_whatever_is_in_flight() {
    let rule = AwsJobs { per_minute_max: 30, ..AwsJobs::default() };
    let (world, grants) = played(Rule::AwsJobs(rule), &[Nature::Good], 0);
    assert_eq!(grants, [(0, 30), (60, 30), (120, 30), (180, 10)]);
    assert_eq!(decisions(&world).last().unwrap().verdict, Verdict::Finish);
}

#[test]
fn phases_open_by_the_clock() {
    let phase = |share, after| MenderPhase { share, after: Span::secs(after) };
    let percent = |share| Some(Rate::percent(share));
    let phases = vec![phase(percent(10), 60), phase(percent(20), 600), phase(None, 3_000)];
    // Half of the devices fall silent, which stops nothing.
    let natures = [Nature::Good, Nature::Bricks];
    let (world, grants) = played(Rule::Mender(Mender { phases }), &natures, 0);
    assert_eq!(grants, [(60, 10), (600, 20), (3_000, 70)]);
    assert_eq!(decisions(&world).last().unwrap().verdict, Verdict::Finish);
}

#[test]
fn slots_are_filled_again_without_a_decision_each() {
    let rule = Edgehog { in_progress_max: 7, failed_max: Rate::percent(10) };
    let (world, grants) = played(Rule::Edgehog(rule), &[Nature::Good], 0);
    assert_eq!(grants.iter().map(|(_, devices)| devices).sum::<usize>(), 100);
    let verdicts: Vec<_> = decisions(&world).iter().map(|d| d.verdict.as_str()).collect();
    assert_eq!(verdicts, ["start", "allow", "finish"]);
}

#[test]
fn a_group_starts_when_the_one_before_succeeded_and_errors_pause() {
    let group = HawkBitGroup { errors: Rate::percent(20), ..HawkBitGroup::default() };
    let share = |percent| HawkBitGroup { share: Some(Rate::percent(percent)), ..group };
    let rule = Rule::HawkBit(HawkBit { groups: vec![share(10), share(50), share(100)] });
    let (world, grants) = played(rule.clone(), &[Nature::Good], 0);
    let sizes: Vec<usize> = grants.iter().map(|(_, devices)| *devices).collect();
    assert_eq!(sizes, [10, 45, 45]);
    assert_eq!(decisions(&world).last().unwrap().verdict, Verdict::Finish);
    // All fail: each pause needs an operator, who accepts what happened so far.
    let (world, grants) = played(rule, &[Nature::Refuses], 1);
    assert_eq!(world.loops.operation(OperationId(1)).unwrap().state, OperationState::Paused);
    let codes: Vec<_> = decisions(&world).iter().map(|d| d.reason.code()).collect();
    assert_eq!(codes[..3], ["start.targets", "peer.stage", "peer.failures_share"]);
    assert!(grants.iter().map(|(_, devices)| devices).sum::<usize>() <= 55, "{grants:?}");
}

#[test]
fn a_limit_on_a_try_ends_it() {
    let rule = Edgehog { in_progress_max: 100, failed_max: Rate::percent(100) };
    let goal = firmware("sensor", "2.0.0", "[confirm]\nwithin = \"2h\"");
    let mut world = World::new(3, config(), fleet(5, "1.0.0"), &[Nature::Bricks]);
    let policy = Some(under(Rule::Edgehog(rule)));
    world.loops.publish(goal, "test", policy, &world.fleet, 3, world.now).unwrap();
    let started = world.now;
    world.turn(false);
    while world.step(false) {}
    for assignment in world.loops.assignments(OperationId(1)) {
        assert_eq!(assignment.state, model::AttemptState::Silent);
        assert_eq!(assignment.since.since(started).as_secs(), 600);
    }
}
