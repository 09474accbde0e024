//! One test for each claim of paper A, run with the production code in virtual time.
//!
//! The section of the claim stands above each test.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use model::{
    AttemptState, Decision, FaultKind, OperationId, OperationState, Origin, PerPhase, Phase,
    Phases, Policy, Rate, Reason, Retry, Span, Strategy, Verdict,
};
use sim::figure_5::{Curve, Figure5};
use sim::world::{OperationReport, Order, Plan, RunReport, ServerDelay, run_plan};
use sim::{Battery, Defect, DefectKind, Image, Leave, Profile};

const SECOND: Duration = Duration::from_secs(1);
/// When releases are published: everybody has told who it is.
const PUBLISHED: Duration = Duration::from_secs(10);

// The fleet, the releases and how they are run.

fn fleet(count: usize) -> Vec<Profile> {
    let device = |at: usize| Profile::new(&format!("ws200-{at:03}"), "1.0.0", at as u64 + 100);
    (0..count).map(device).collect()
}

fn plan(profiles: Vec<Profile>) -> Plan {
    let mut plan = Plan::calm(1, profiles);
    plan.operations.compliance_delay_s = 5;
    plan
}

/// A policy whose operations end soon when only waiting devices are left.
fn policy() -> Policy {
    Policy { linger: Span::secs(120), ..Policy::threshold() }
}

fn run(plan: Plan) -> RunReport {
    run_plan(plan).unwrap_or_else(|violation| {
        panic!("{}\n{violation}", violation.story.join("\n"));
    })
}

struct Release {
    name: &'static str,
    version: &'static str,
    class: &'static str,
    from: &'static str,
    rest: &'static str,
    image: Bytes,
}

impl Release {
    fn new(version: &'static str) -> Self {
        let image = Image::build(version, 2_000, 1);
        Self { name: "ws200-firmware", version, class: "major", from: "", rest: "", image }
    }

    fn defective(kind: DefectKind, percent: u32) -> Self {
        let defect = Defect { kind, share: Rate::percent(percent), hardware: None };
        let image = Image::build_with("1.1.0", &[], &[defect], 2_000, 1);
        Self { image, ..Self::new("1.1.0") }
    }

    fn order(&self, start: Option<Policy>) -> Order {
        let Self { name, version, class, from, rest, image } = self;
        let edge = if from.is_empty() {
            String::new()
        } else {
            format!("[[upgrade]]\nfrom = \"{from}\"\n")
        };
        let manifest = format!(
            "manifest = 1\n[release]\nname = \"{name}\"\nversion = \"{version}\"\n\
             class = \"{class}\"\n[[target]]\nmanufacturer = \"ACME\"\nmodel = \"WS-200\"\n\
             [[artifact]]\nsize = {}\nsha256 = \"{}\"\nfile = \"image\"\n{edge}[confirm]\n\
             within = \"40s\"\n{rest}",
            image.len(),
            sim::digest(image)
        );
        Order::Publish { manifest, image: Some(image.clone()), start: start.map(Box::new) }
    }

    fn run_on(&self, profiles: Vec<Profile>, policy: Policy) -> RunReport {
        let mut plan = plan(profiles);
        plan.orders.push((PUBLISHED, self.order(Some(policy))));
        run(plan)
    }
}

fn first(report: &RunReport) -> &OperationReport {
    &report.operations[0]
}

fn decisions(report: &RunReport) -> impl Iterator<Item = &Decision> {
    report.decisions.iter().filter(|decision| decision.operation == OperationId(1))
}

fn sizes(report: &RunReport) -> Vec<usize> {
    let elements = report.elements.iter().filter(|element| element.operation == OperationId(1));
    elements.map(|element| element.devices.len()).collect()
}

fn updated(report: &RunReport, version: &str) -> usize {
    report.versions.values().filter(|runs| *runs == version).count()
}

fn figure() -> &'static Figure5 {
    static FIGURE: OnceLock<Figure5> = OnceLock::new();
    FIGURE.get_or_init(|| Figure5::run(1).expect("the runs keep the invariants"))
}

/// The point whose decision was made at or first after that share, with the ones around it.
fn around(curve: &Curve, percent: u32) -> [u32; 3] {
    let reached = |progress: Rate| progress >= Rate::percent(percent);
    let at = curve.points.iter().position(|point| reached(point.progress));
    let at = at.expect("every curve goes to the end");
    [at - 1, at, at + 1].map(|at| curve.points.get(at).map_or(0, |point| point.speed))
}

/// Reference: Table II, "Operation Launching: Automatic", "Target Identification: Automatic".
#[test]
fn a_published_release_reaches_its_targets_without_an_operator() {
    let report = Release::new("1.1.0").run_on(fleet(12), policy());
    assert_eq!(first(&report).state, OperationState::Finished);
    assert_eq!(first(&report).origin, Origin::Release);
    assert_eq!(updated(&report, "1.1.0"), 12);
    assert_eq!(report.installations, 12, "each device was flashed once");
}

/// Reference: §III-B2, installation requirements; §III-D d) Identification, "only applied to
/// devices in the right current version".
#[test]
fn identification_looks_at_the_current_version() {
    let mut profiles = fleet(12);
    "0.9.0".clone_into(&mut profiles[0].version);
    "1.1.0".clone_into(&mut profiles[1].version);
    "1.2.0".clone_into(&mut profiles[2].version);
    "WS-100".clone_into(&mut profiles[3].model);
    let release = Release { from: ">=1.0.0, <1.1.0", ..Release::new("1.1.0") };
    let report = release.run_on(profiles, policy());
    let granted: BTreeSet<&str> =
        report.elements.iter().flat_map(|element| &element.devices).map(String::as_str).collect();
    assert_eq!(granted.len(), 8);
    for at in 0..4 {
        assert!(!granted.contains(format!("ws200-{at:03}").as_str()));
    }
}

/// Reference: §III-D d) Identification, "minimum battery requirement for patching".
#[test]
fn a_low_battery_waits_until_it_is_charged() {
    let mut profiles = fleet(8);
    profiles[0].battery = Some(Battery { percent: 20, step_percent: 5, every: 5 * SECOND });
    profiles[1].battery = Some(Battery { percent: 20, step_percent: 0, every: SECOND });
    let rest = "[requires]\nbattery = { percent = 40 }\n";
    let report = Release { rest, ..Release::new("1.1.0") }.run_on(profiles, policy());
    assert_eq!(updated(&report, "1.1.0"), 7);
    assert_eq!(report.versions["ws200-001"], "1.0.0", "it never charged");
    let granted = report
        .elements
        .iter()
        .find(|element| element.devices.iter().any(|device| device == "ws200-000"));
    assert!(granted.unwrap().at >= 4 * 5 * SECOND, "40 % after four steps");
}

/// Reference: §III-B2, the migration path of a release.
#[test]
fn a_migration_path_is_followed_hop_by_hop() {
    let mut plan = plan(fleet(6));
    let middle = Release { from: ">=1.0.0, <1.1.0", ..Release::new("1.1.0") };
    let goal = Release { from: ">=1.1.0, <2.0.0", ..Release::new("2.0.0") };
    plan.orders.push((PUBLISHED, middle.order(None)));
    plan.orders.push((PUBLISHED + SECOND, goal.order(Some(policy()))));
    let report = run(plan);
    assert_eq!(updated(&report, "2.0.0"), 6);
    assert_eq!(report.installations, 12);
}

/// Reference: §III-D a) Input, "manually sent DM operations … target manually defined".
#[test]
fn a_manual_operation_changes_the_picked_devices_only() {
    let mut plan = plan(fleet(10));
    plan.orders.push((PUBLISHED, Release::new("1.1.0").order(None)));
    let open = Order::Open { release: 1, devices: vec![2, 5, 7], policy: Box::new(policy()) };
    plan.orders.push((PUBLISHED + SECOND, open));
    let report = run(plan);
    let names: Vec<&String> = first(&report).attempts.keys().collect();
    assert_eq!(names, ["ws200-002", "ws200-005", "ws200-007"]);
    assert_eq!(updated(&report, "1.1.0"), 3);
}

/// Reference: §III-D c) Pace, "detecting new devices that are not compliant (new or out-of-date
/// device)".
#[test]
fn newcomers_and_returners_are_brought_to_compliance() {
    let mut profiles = fleet(10);
    profiles[8].arrives_after = 200 * SECOND;
    let leave = Leave { after: 5 * SECOND, away: 220 * SECOND, says_goodbye: true };
    profiles[9].leaves = Some(leave);
    let quick = Policy { linger: Span::secs(20), ..Policy::threshold() };
    let mut plan = plan(profiles);
    plan.orders.push((PUBLISHED, Release::new("1.1.0").order(Some(quick))));
    // The run goes on until both are back.
    plan.power_cuts.push((240 * SECOND, 0, SECOND));
    let report = run(plan);
    assert_eq!(updated(&report, "1.1.0"), 10);
    let late: Vec<&OperationReport> = report.operations[1..].iter().collect();
    let of_first = Origin::Compliance { after: OperationId(1) };
    assert!(!late.is_empty() && late[0].origin == of_first, "{late:?}");
}

/// Reference: §III-D d) Decomposing, "increasing or decreasing its batch size"; an element ends
/// before the next begins.
#[test]
fn elements_follow_one_another_at_the_decided_size() {
    let report = Release::new("1.1.0").run_on(fleet(30), policy());
    let sizes = sizes(&report);
    assert_eq!(sizes[..3], [1, 2, 4], "{sizes:?}");
    assert!(report.elements.windows(2).all(|pair| pair[0].at < pair[1].at));
    assert!(report.changed_at_once_max <= *sizes.iter().max().unwrap());
}

/// Reference: §III-C Filtering, "filters out DM Operations that do not comply with retry policy".
#[test]
fn a_passing_fault_is_retried_as_often_as_the_policy_allows() {
    use lwm2m::firmware::UpdateResult::ConnectionLost;
    let mut profiles = fleet(8);
    profiles[0].download_faults = vec![ConnectionLost; 2];
    profiles[1].download_faults = vec![ConnectionLost; 9];
    let retry = Retry { attempts_max: 3, backoff: Span::secs(5), backoff_max: Span::secs(20) };
    let report = Release::new("1.1.0").run_on(profiles, Policy { retry, ..policy() });
    let attempts = &first(&report).attempts;
    assert_eq!(attempts["ws200-000"], AttemptState::Succeeded, "at the third try");
    let AttemptState::Failed { fault } = &attempts["ws200-001"] else {
        panic!("{:?}", attempts["ws200-001"]);
    };
    assert_eq!(fault.kind, FaultKind::ConnectionLost);
    assert_eq!(updated(&report, "1.1.0"), 7);
}

/// Reference: §III-C Filtering, "a network configuration patch may be considered failed if not
/// applied on 100 % of the fleet".
#[test]
fn a_change_that_must_reach_everybody_aborts_at_the_first_that_cannot_have_it() {
    let mut profiles = fleet(10);
    profiles[4].defect = Some(DefectKind::UpdateFails);
    let lax = PerPhase {
        test: Rate::percent(90),
        cautious: Rate::percent(90),
        generalization: Rate::percent(90),
    };
    let policy = Policy { must_reach_all: true, tolerated_errors: lax, ..policy() };
    let report = Release::new("1.1.0").run_on(profiles, policy);
    assert_eq!(first(&report).state, OperationState::Aborted);
    let last = decisions(&report).last().unwrap();
    assert_eq!(last.reason, Reason::MustReachAll { failed: 1 });
}

/// Reference: §III-C Reordering, "a security patch must be pushed before applying a minor hotfix".
#[test]
fn the_more_urgent_class_goes_first() {
    let mut plan = plan(fleet(10));
    let hotfix = configuration("ws200-hotfix", "hotfix");
    let critical = configuration("ws200-critical", "critical");
    plan.orders.push((PUBLISHED, hotfix));
    plan.orders.push((PUBLISHED, critical));
    let report = run(plan);
    let when = |operation: u64, device: &str| {
        let of = |element: &&sim::world::ElementReport| {
            element.operation == OperationId(operation)
                && element.devices.iter().any(|name| name == device)
        };
        report.elements.iter().find(of).unwrap().at
    };
    let earlier = (0..10).filter(|at| {
        let device = format!("ws200-{at:03}");
        when(2, &device) < when(1, &device)
    });
    // The first element of the hotfix was under way when the critical one arrived.
    assert!(earlier.count() >= 9);
}

fn configuration(name: &str, class: &str) -> Order {
    let manifest = format!(
        "manifest = 1\n[release]\nname = \"{name}\"\nversion = \"1.0\"\nclass = \"{class}\"\n\
         [[target]]\nmanufacturer = \"ACME\"\nmodel = \"WS-200\"\n[[write]]\npath = \"/3/0/15\"\n\
         value = \"{name}\"\n"
    );
    Order::Publish { manifest, image: None, start: Some(Box::new(policy())) }
}

/// Reference: §III-C Queuing, "computes how much parallel operations can be executed".
#[test]
fn no_more_devices_are_changed_at_once_than_the_server_can_carry() {
    let policy = Policy { parallel_max: 3, speed_max: Rate::percent(50), ..policy() };
    let report = Release::new("1.1.0").run_on(fleet(30), policy);
    assert!(sizes(&report).iter().any(|size| *size > 3));
    assert_eq!(report.changed_at_once_max, 3);
    assert_eq!(updated(&report, "1.1.0"), 30);
}

/// Reference: §III-C Aggregation, "errors represent devices that do not respond after updates".
#[test]
fn devices_that_do_not_come_back_are_errors() {
    let report = Release::defective(DefectKind::Silent, 40).run_on(fleet(30), policy());
    assert_eq!(first(&report).state, OperationState::Aborted);
    let silent =
        first(&report).attempts.values().filter(|state| **state == AttemptState::Silent).count();
    assert!(silent >= 2, "{silent}");
    let Reason::ErrorsAboveTolerance { failed, .. } = decisions(&report).last().unwrap().reason
    else {
        panic!("{:?}", decisions(&report).last());
    };
    assert!(failed >= 2);
}

/// Reference: §III-C Aggregation, "warnings incorporate … abnormal device behavior (e.g., wrong
/// values, high memory usage …)".
#[test]
fn abnormal_values_are_warnings_and_slow_the_operation() {
    let guard = "[[guard]]\nname = \"free memory\"\npath = \"/3/0/10\"\n\
                 expect = { min_percent_of_baseline = 80 }\n";
    let leaky = Release { rest: guard, ..Release::defective(DefectKind::LeaksMemory, 50) };
    let report = leaky.run_on(fleet(30), policy());
    assert_eq!(first(&report).state, OperationState::Finished, "no warning stops it");
    let warned = decisions(&report)
        .filter(|decision| matches!(decision.reason, Reason::WarningsAboveTolerance { .. }));
    assert!(warned.count() > 0);
    let healthy = Release::new("1.1.0").run_on(fleet(30), policy());
    assert!(sizes(&report).len() > sizes(&healthy).len(), "it took more iterations");
}

/// Reference: §III-E d) 1) "If pending: Start Operation".
#[test]
fn a_pending_operation_starts_with_the_first_size() {
    let policy = Policy { first_speed: 2, ..policy() };
    let report = Release::new("1.1.0").run_on(fleet(20), policy);
    let start = decisions(&report).next().unwrap();
    assert_eq!(start.verdict, Verdict::Start { speed: 2 });
    assert_eq!(start.seq, 1);
}

/// Reference: §III-E d) 2) "If errors > tolerated error rates, Abort".
#[test]
fn too_many_errors_abort_with_phase_rate_and_limit() {
    let report = Release::defective(DefectKind::UpdateFails, 50).run_on(fleet(40), policy());
    assert_eq!(first(&report).state, OperationState::Aborted);
    let last = decisions(&report).last().unwrap();
    assert_eq!(last.verdict, Verdict::Abort);
    let Reason::ErrorsAboveTolerance { measured, tolerated, phase, .. } = last.reason else {
        panic!("{last:?}");
    };
    assert!(measured > tolerated && tolerated == policy().tolerated_errors.of(phase));
    assert!(updated(&report, "1.1.0") < 20, "most of the fleet was spared");
}

/// Reference: §III-E, "error and warning tolerance are lower in Test phase".
#[test]
fn tolerance_is_lower_in_the_test_phase() {
    let policy = policy();
    for rates in [policy.tolerated_errors, policy.tolerated_warnings] {
        assert!(rates.test < rates.cautious && rates.cautious < rates.generalization);
    }
    let run = |phases| {
        let mut profiles = fleet(40);
        for profile in &mut profiles[..6] {
            profile.defect = Some(DefectKind::UpdateFails);
        }
        let tolerated_errors = PerPhase {
            test: Rate::percent(1),
            cautious: Rate::percent(90),
            generalization: Rate::percent(90),
        };
        let policy = Policy { phases, tolerated_errors, ..policy.clone() };
        first(&Release::new("1.1.0").run_on(profiles, policy)).state
    };
    let whole = Rate::WHOLE;
    let all_test = Phases { cautious_from: whole, generalization_from: whole };
    let no_test = Phases { cautious_from: Rate::ZERO, generalization_from: whole };
    assert_eq!(run(all_test), OperationState::Aborted);
    assert_eq!(run(no_test), OperationState::Finished, "the same faults are tolerated later");
}

/// Reference: §III-E d) 3) "Update Phase (depending on progression)"; "phases are determined by
/// processed device percentage".
#[test]
fn phases_follow_the_share_processed() {
    let report = Release::new("1.1.0").run_on(fleet(40), policy());
    let mut seen = BTreeSet::new();
    for decision in decisions(&report) {
        if let Verdict::Continue { phase, .. } = decision.verdict {
            let progress = decision.inputs.as_ref().unwrap().counts.progress();
            assert_eq!(phase, Phases::default().at(progress), "at {progress}");
            seen.insert(phase);
        }
    }
    assert_eq!(seen, [Phase::Cautious, Phase::Generalization].into());
    assert_eq!(decisions(&report).next().unwrap().inputs.as_ref().unwrap().phase, Phase::Test);
}

/// Reference: §III-E, "the earlier errors are detected, the more drastic is the regulation".
#[test]
fn regulation_is_more_drastic_in_an_earlier_phase() {
    let lost = |phases| {
        let mut plan = plan(fleet(60));
        let strategy = Strategy::Linear { add: 1 };
        let policy = Policy { phases, strategy, ..policy() };
        plan.orders.push((PUBLISHED, Release::new("1.1.0").order(Some(policy))));
        let (from, delay) = (Rate::percent(50), Duration::from_millis(200));
        plan.server_delays = vec![ServerDelay { from, delay, one_element: true }];
        let report = run(plan);
        let worse = decisions(&report)
            .find(|decision| matches!(decision.reason, Reason::Worsened { .. }))
            .unwrap();
        let Verdict::Continue { speed, .. } = worse.verdict else { panic!("{worse:?}") };
        worse.inputs.as_ref().unwrap().speed - speed
    };
    let (none, whole) = (Rate::ZERO, Rate::WHOLE);
    let test = lost(Phases { cautious_from: whole, generalization_from: whole });
    let cautious = lost(Phases { cautious_from: none, generalization_from: whole });
    let generalization = lost(Phases { cautious_from: none, generalization_from: none });
    assert_eq!([test, cautious, generalization], [3, 2, 1]);
}

/// Reference: §III-E d), "variation can be Linear, Power, Polynomial, Exponential".
#[test]
fn each_strategy_grows_by_its_own_law() {
    let check = |strategy, expected: [usize; 4]| {
        let policy = Policy { strategy, speed_max: Rate::WHOLE, ..policy() };
        let report = Release::new("1.1.0").run_on(fleet(60), policy);
        assert_eq!(sizes(&report)[..4], expected, "{strategy:?}");
    };
    check(Strategy::Linear { add: 3 }, [1, 4, 7, 10]);
    check(Strategy::Power { exponent: 2 }, [1, 4, 9, 16]);
    check(Strategy::Polynomial { linear: 1, square: 1 }, [1, 3, 7, 13]);
    check(Strategy::Exponential { factor: Rate::percent(200) }, [1, 2, 4, 8]);
}

/// Reference: §IV-B, Test Protocol: 150 clients, each processed once.
#[test]
fn the_papers_fleet_is_updated_in_full() {
    for curve in &figure().curves {
        let devices: u64 = curve.points.iter().map(|point| point.devices).sum();
        assert_eq!(devices, 150, "{}", curve.name);
    }
}

/// Reference: §IV-B, figure 5, scenario 1: "it slightly lowers execution speed for one iteration
/// (as seen approx. at 35 % 65 %) … increases batch size again in next iteration".
#[test]
fn a_worse_response_time_lowers_the_speed_for_one_iteration() {
    let curve = &figure().curves[0];
    for percent in [35, 65] {
        let [before, during, after] = around(curve, percent);
        assert!(during < before && during + 2 >= before, "{before} {during} {after}");
        assert!(after > during, "{before} {during} {after}");
    }
    let lowered = curve.points.windows(2).filter(|pair| pair[1].speed < pair[0].speed).count();
    assert_eq!(lowered, 2, "nothing else slows it");
}

/// Reference: §IV-B, figure 5, scenario 2: "slopes between these points and next ones is higher".
#[test]
fn a_better_response_time_makes_the_slope_steeper() {
    let curve = &figure().curves[1];
    let slope = |at: usize| curve.points[at + 1].speed - curve.points[at].speed;
    let steep: Vec<usize> = (0..curve.points.len() - 1).filter(|at| slope(*at) > 1).collect();
    assert_eq!(steep.len(), 3, "at 27 %, 55 % and 90 %");
    for (at, percent) in steep.iter().zip([27, 55, 90]) {
        let (from, to) = (curve.points[*at].progress, curve.points[at + 1].progress);
        assert!(from <= Rate::percent(percent) && Rate::percent(percent) <= to);
        let point = &curve.points[at + 1];
        assert!(point.decision.contains("improved response time"), "{}", point.decision);
    }
}

/// Reference: §IV-A, "less than 0.01 % … 48 hours", "3 % … 10 days", "6.25 % of the fleet per 24
/// hour slot".
#[test]
fn the_legacy_schedule_is_the_papers() {
    let curve = &figure().curves[2];
    let sizes: Vec<u64> = curve.points.iter().map(|point| point.devices).collect();
    assert_eq!(sizes[..4], [1, 4, 9, 9]);
    let days = curve.time.as_secs() / 86_400;
    assert_eq!(days, 2 + 10 + 16, "19 elements, the third after 12 days, then one a day");
}

/// Reference: §IV-B, figure 5: the legacy peak in purple, and Table II "Execution Speed: Static"
/// against "Dynamic".
#[test]
fn the_autonomic_runs_are_faster_than_the_legacy_schedule() {
    let figure = figure();
    let [first, second, legacy] = &figure.curves[..] else { panic!("three curves") };
    for curve in [first, second] {
        assert!(curve.time * 100 < legacy.time, "{:?}", curve.time);
        assert!(curve.points.len() < legacy.points.len(), "fewer iterations as well");
        let peak = curve.points.iter().map(|point| point.devices).max().unwrap();
        assert!(peak > figure.reference_devices());
    }
    assert!(legacy.points.iter().all(|point| point.devices <= figure.reference_devices()));
}
