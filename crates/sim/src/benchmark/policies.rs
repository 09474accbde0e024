//! The policies that compete: each system by its documented default, and over its knob.

use model::{
    AwsAbort, AwsCount, AwsFailure, AwsGrowth, AwsJobs, BatchGrowth, CheckedSteps, Edgehog,
    Evidence, HawkBit, HawkBitGroup, Mender, MenderPhase, Nebraska, NervesHub, NervesHubStep,
    NodeWright, PerPhase, Phases, Policy, Rate, Rule, Span, Stage, Strategy,
};

use super::grid::Grid;
use super::report::OWN;

/// A policy in the benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Contestant {
    /// Its name, such as `aws-jobs-5-0.8`.
    pub name: String,
    /// The system it comes from; its settings make one line of the picture.
    pub family: String,
    /// What is special about it, in a few words.
    pub about: String,
    /// The policy, as an operation would have it.
    pub policy: Policy,
    /// Whom a grant reaches.
    pub reach: Reach,
    /// How it was chosen.
    pub choice: Choice,
}

/// Whom a grant reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Devices that are in contact, which are told at once.
    Contact,
    /// Devices that are not offline; each is told when it comes into contact, and counts as in
    /// flight until then.
    Online,
    /// Any device; it is told when it comes into contact, and counts as in flight until then.
    Queue,
}

/// How a setting was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The default or the example of its documentation.
    Default,
    /// Among the best of the grid for some scenario, which one knows only afterwards.
    Tuned,
    /// Another point of the grid, for the picture.
    Grid,
    /// Given by the user.
    Own,
}

impl Contestant {
    /// A policy of the user.
    #[must_use]
    pub fn own(name: &str, policy: Policy) -> Self {
        let reach = reach_of(&policy.rule);
        Self {
            name: name.to_owned(),
            family: name.to_owned(),
            about: "given by a file".to_owned(),
            policy,
            reach,
            choice: Choice::Own,
        }
    }

    /// All that ship: defaults, tuned ones and the grids.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        let mut all = Vec::new();
        evidence(&mut all);
        paper_a(&mut all);
        legacy(&mut all);
        aws_jobs(&mut all);
        hawkbit(&mut all);
        mender(&mut all);
        edgehog(&mut all);
        nerves_hub(&mut all);
        nebraska(&mut all);
        nodewright(&mut all);
        flagger(&mut all);
        all
    }

    /// Those of a name: a policy, all of a system such as `aws-jobs*`, `defaults`, `tuned` or
    /// `all`, a setting of a grid such as `mender[3 200% 300m]`; none when there is none.
    #[must_use]
    pub fn named(name: &str) -> Vec<Self> {
        let fits = |it: &Self| match (name, name.strip_suffix('*')) {
            ("all", _) => true,
            ("defaults", _) => it.choice == Choice::Default,
            ("tuned", _) => it.choice == Choice::Tuned,
            (_, Some(family)) => it.family == family,
            (_, None) => it.name == name,
        };
        let shipped = Self::shipped().into_iter().filter(fits);
        shipped.chain(Grid::named(name)).collect()
    }

    /// Without any regulation: everyone at once. What a policy takes longer is its price.
    pub(super) fn ungated() -> Self {
        let phases = vec![MenderPhase { share: None, after: Span::secs(0) }];
        Self {
            name: "ungated".to_owned(),
            family: "ungated".to_owned(),
            about: "everyone at once".to_owned(),
            policy: policy(Rule::Mender(Mender { phases })),
            reach: Reach::Queue,
            choice: Choice::Grid,
        }
    }
}

/// Systems that queue work for devices wherever they are; rules that fill elements, which must
/// not shrink to the few that call in the same minute; and those that answer whoever calls.
pub(super) const fn reach_of(rule: &Rule) -> Reach {
    match rule {
        Rule::AwsJobs(_) | Rule::HawkBit(_) | Rule::Mender(_) | Rule::Edgehog(_) => Reach::Queue,
        Rule::Threshold | Rule::Plan { .. } | Rule::NodeWright(_) => Reach::Online,
        _ => Reach::Contact,
    }
}

/// A policy with that rule, and no other bound on how many devices are changed at a time.
pub(super) fn policy(rule: Rule) -> Policy {
    Policy { rule, parallel_max: u32::MAX, ..Policy::default() }
}

fn add(
    all: &mut Vec<Contestant>,
    family: &str,
    name: &str,
    about: &str,
    choice: Choice,
    rule: Rule,
) {
    let reach = reach_of(&rule);
    all.push(Contestant {
        name: name.to_owned(),
        family: family.to_owned(),
        about: about.to_owned(),
        policy: policy(rule),
        reach,
        choice,
    });
}

/// The product's own rule over its budget. The budget of the bars, 200 on 100 000 devices, is
/// named; the default of the product is 0.05 % of the targets.
fn evidence(all: &mut Vec<Contestant>) {
    for (name, budget, choice) in [
        ("evidence", None, Choice::Default),
        ("evidence-10", Some(10), Choice::Grid),
        ("evidence-20", Some(20), Choice::Grid),
        ("evidence-200", Some(200), Choice::Tuned),
        ("evidence-1000", Some(1_000), Choice::Grid),
    ] {
        let about = budget.map_or_else(
            || "stops on evidence, as fast as 0.05 % harmed allow".to_owned(),
            |budget| format!("stops on evidence, as fast as {budget} harmed devices allow"),
        );
        let rule = Evidence { budget, ..Evidence::default() };
        add(all, OWN, name, &about, choice, Rule::Evidence(rule));
    }
}

/// Paper A's rule. The paper gives no constants; these are the product's defaults, and a knob
/// that scales all tolerances.
fn paper_a(all: &mut Vec<Contestant>) {
    let family = "paper-a";
    for (name, factor, choice) in [
        ("paper-a", 100, Choice::Default),
        ("paper-a-x2", 200, Choice::Tuned),
        ("paper-a-x4", 400, Choice::Grid),
        ("paper-a-x0.5", 50, Choice::Grid),
    ] {
        let scaled = |points: u32| Rate::basis_points(points * factor / 100);
        let about = format!("tolerates {}/{}/{}", scaled(100), scaled(200), scaled(500));
        add(all, family, name, &about, choice, Rule::Threshold);
        if let Some(last) = all.last_mut() {
            last.policy.tolerated_errors =
                PerPhase { test: scaled(100), cautious: scaled(200), generalization: scaled(500) };
            last.policy.strategy = Strategy::Exponential { factor: Rate::percent(200) };
            last.policy.phases = Phases::default();
        }
    }
}

/// The legacy schedule of paper A §IV-A, and the same in less time.
fn legacy(all: &mut Vec<Contestant>) {
    for (name, divisor, choice) in [
        ("legacy", 1, Choice::Default),
        ("legacy-x4", 4, Choice::Grid),
        ("legacy-x24", 24, Choice::Grid),
    ] {
        let stage = |points, hours: u64| Stage {
            share: Rate::basis_points(points),
            wait: Span::secs(hours * 3_600 / divisor),
        };
        let stages = vec![stage(1, 48), stage(300, 240), stage(625, 24)];
        let about = "under 0.01 % for 48 h, 3 % for 10 days, then 6.25 % a day";
        let about = if divisor == 1 {
            about.to_owned()
        } else {
            format!("{about}, {divisor} times as fast")
        };
        add(all, "legacy", name, &about, choice, Rule::Plan { stages });
        if let Some(last) = all.last_mut() {
            // Its operators stop by hand at five percent.
            last.policy.tolerated_errors =
                PerPhase { test: FIVE, cautious: FIVE, generalization: FIVE };
        }
    }
}

/// AWS IoT Jobs: the exponential rate of its documentation, and job settings as one would choose
/// them who knows the faults beforehand.
fn aws_jobs(all: &mut Vec<Contestant>) {
    let family = "aws-jobs";
    let job = |base: u32, devices: u32, failed: u32, timed_out: u32, executed_min: u32| {
        let criterion = |failure, points| AwsAbort {
            failure,
            threshold: Rate::basis_points(points),
            executed_min,
        };
        Rule::AwsJobs(AwsJobs {
            per_minute_max: 1_000,
            growth: Some(AwsGrowth {
                base_per_minute: base,
                factor: Rate::percent(200),
                count: if devices == NOTIFIED { AwsCount::Notified } else { AwsCount::Succeeded },
                devices: 1_000,
            }),
            abort: vec![
                criterion(AwsFailure::Failed, failed),
                criterion(AwsFailure::TimedOut, timed_out),
            ],
        })
    };
    let example = "50 a minute, doubled every 1000 told, stops at 20 % failed";
    add(all, family, "aws-jobs", example, Choice::Default, job(50, NOTIFIED, 2_000, 2_000, 100));
    for base in [1, 2, 5, 10, 20, 50] {
        for timed_out in [40, 80] {
            let limit = f64::from(timed_out) / 100.0;
            let name = format!("aws-jobs-{base}-{limit}");
            let about = format!(
                "{base} a minute, doubled every 1000 succeeded, stops at 2 % failed or {limit} % \
                 timed out"
            );
            let choice = if base <= 5 { Choice::Tuned } else { Choice::Grid };
            add(all, family, &name, &about, choice, job(base, 0, 200, timed_out, 200));
        }
    }
}

/// Eclipse hawkBit: five groups, its default conditions and stricter ones.
fn hawkbit(all: &mut Vec<Contestant>) {
    let family = "hawkbit";
    let groups = |success: u32, errors: u32| {
        // 1, 4, 15, 30 and 50 % of all, each as a share of those left.
        let shares = [100, 404, 1_579, 3_750, 10_000];
        Rule::HawkBit(HawkBit {
            groups: shares
                .map(|points| HawkBitGroup {
                    share: Some(Rate::basis_points(points)),
                    success: Rate::percent(success),
                    errors: Rate::basis_points(errors),
                    approval_after: false,
                })
                .to_vec(),
        })
    };
    let about = "groups of 1/4/15/30/50 %, success 50 %, error 50 %";
    add(all, family, "hawkbit", about, Choice::Default, groups(50, 5_000));
    for (success, errors, choice) in [
        (90, 500, Choice::Tuned),
        (90, 200, Choice::Tuned),
        (94, 500, Choice::Grid),
        (80, 500, Choice::Grid),
        (90, 100, Choice::Grid),
    ] {
        let limit = f64::from(errors) / 100.0;
        let name = format!("hawkbit-{success}-{limit}");
        let about = format!("the same groups, success {success} %, error {limit} %");
        add(all, family, &name, &about, choice, groups(success, errors));
    }
}

/// Mender: phases by the clock.
fn mender(all: &mut Vec<Contestant>) {
    for (name, hours, choice) in [
        ("mender", 24, Choice::Default),
        ("mender-4h", 4, Choice::Tuned),
        ("mender-12h", 12, Choice::Grid),
        ("mender-72h", 72, Choice::Grid),
    ] {
        let phase = |share: Option<u32>, number: u64| MenderPhase {
            share: share.map(Rate::percent),
            after: Span::secs(number * hours * 3_600),
        };
        let phases = vec![phase(Some(1), 0), phase(Some(9), 1), phase(None, 2)];
        let about = format!("phases to 1, 10 and 100 %, one every {hours} h");
        add(all, "mender", name, &about, choice, Rule::Mender(Mender { phases }));
    }
}

/// Edgehog: so many at a time, until a share of all failed.
fn edgehog(all: &mut Vec<Contestant>) {
    for (name, slots, points, choice) in [
        ("edgehog", 100, 500, Choice::Default),
        ("edgehog-100-0.1", 100, 10, Choice::Tuned),
        ("edgehog-1000-0.5", 1_000, 50, Choice::Tuned),
        ("edgehog-1000-1", 1_000, 100, Choice::Grid),
        ("edgehog-5000-1", 5_000, 100, Choice::Grid),
    ] {
        let failed_max = Rate::basis_points(points);
        let about = format!("{slots} at a time, stops at {failed_max} of all failed");
        let rule = Edgehog { in_progress_max: slots, failed_max };
        add(all, "edgehog", name, &about, choice, Rule::Edgehog(rule));
    }
}

/// `NervesHub`: slots, and steps that tolerate some failures.
fn nerves_hub(all: &mut Vec<Contestant>) {
    let step = |devices: Option<u32>, slots: u32, failed: Option<u32>| NervesHubStep {
        devices,
        in_progress_max: slots,
        failed_max: failed,
        approval: false,
    };
    let family = "nerves-hub";
    let one = vec![step(None, 10, None)];
    let about = "10 at a time, nothing stops it";
    add(all, family, "nerves-hub", about, Choice::Default, rule_of(one));
    for (name, slots, failed, choice) in [
        ("nerves-hub-500-1", 500, 1, Choice::Tuned),
        ("nerves-hub-500-2", 500, 2, Choice::Tuned),
        ("nerves-hub-2000-2", 2_000, 2, Choice::Grid),
        ("nerves-hub-5000-3", 5_000, 3, Choice::Grid),
    ] {
        // The tolerance of a step grows with its size from a failure in a hundred devices.
        let steps = vec![
            step(Some(50), 10, Some(failed)),
            step(Some(1_000), 100, Some(failed * 10)),
            step(Some(10_000), slots, Some(failed * 100)),
            step(None, slots, Some(failed * 1_000)),
        ];
        let about = format!(
            "steps of 50, 1000, 10000 and the rest, up to {slots} at a time; {failed} failures \
             per 100 tolerated"
        );
        add(all, family, name, &about, choice, rule_of(steps));
    }
}

fn rule_of(steps: Vec<NervesHubStep>) -> Rule {
    Rule::NervesHub(NervesHub { steps })
}

/// Nebraska: so many in a period, in safe mode.
fn nebraska(all: &mut Vec<Contestant>) {
    for (name, devices, minutes, safe_mode, choice) in [
        ("nebraska", 1, 15, true, Choice::Default),
        ("nebraska-200", 200, 15, true, Choice::Tuned),
        ("nebraska-1000", 1_000, 15, true, Choice::Tuned),
        ("nebraska-50", 50, 15, true, Choice::Grid),
        ("nebraska-5000", 5_000, 15, true, Choice::Grid),
    ] {
        let about = format!("{devices} every {minutes} minutes, safe mode");
        let period = Span::secs(minutes * 60);
        let rule = Nebraska { devices_max: devices, period, safe_mode, office_hours: None };
        add(all, "nebraska", name, &about, choice, Rule::Nebraska(rule));
    }
}

/// `NodeWright`: batches that grow.
fn nodewright(all: &mut Vec<Contestant>) {
    for (name, growth, success, failed, choice) in [
        ("nodewright", BatchGrowth::Fixed, 100, None, Choice::Default),
        ("nodewright-x2-90", BatchGrowth::Exponential { factor: 2 }, 90, Some(1), Choice::Tuned),
        ("nodewright-x2-95", BatchGrowth::Exponential { factor: 2 }, 95, Some(2), Choice::Tuned),
        ("nodewright-x2-98", BatchGrowth::Exponential { factor: 2 }, 98, Some(3), Choice::Grid),
        ("nodewright-x4-90", BatchGrowth::Exponential { factor: 4 }, 90, Some(1), Choice::Grid),
        ("nodewright-50-90", BatchGrowth::Linear { delta: 50 }, 90, Some(1), Choice::Grid),
    ] {
        let about = match growth {
            BatchGrowth::Fixed => "batches of one".to_owned(),
            BatchGrowth::Linear { delta } => {
                format!("batches grow by {delta}, {success} % must succeed")
            }
            BatchGrowth::Exponential { factor } => {
                format!("batches grow by {factor} times, {success} % must succeed")
            }
        };
        let rule = NodeWright {
            first: if matches!(growth, BatchGrowth::Fixed) { 1 } else { 10 },
            growth,
            success: Rate::percent(success),
            failed_batches_max: failed,
            ..NodeWright::default()
        };
        add(all, "nodewright", name, &about, choice, Rule::NodeWright(rule));
    }
}

/// Flagger's canary analysis: shares that grow after each good check.
fn flagger(all: &mut Vec<Contestant>) {
    let family = "flagger";
    let coarse = [500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000];
    let fine = [10, 50, 100, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000];
    for (name, minutes, weights, errors, strikes, choice) in [
        ("flagger", 1, coarse, 100, 10, Choice::Default),
        ("flagger-30m-2", 30, fine, 200, 1, Choice::Tuned),
        ("flagger-60m-2", 60, fine, 200, 1, Choice::Tuned),
        ("flagger-60m-1.5", 60, fine, 150, 1, Choice::Grid),
        ("flagger-150m-2", 150, fine, 200, 1, Choice::Grid),
    ] {
        let errors_max = Rate::basis_points(errors);
        let about = format!(
            "a check every {minutes} min, {errors_max} errors tolerated, {strikes} failed check(s) \
             abort"
        );
        let rule = CheckedSteps {
            interval: Span::secs(minutes * 60),
            weights: weights.map(Rate::basis_points).to_vec(),
            errors_max,
            response_time_us_max: None,
            failed_checks_max: strikes,
            missing_fails: false,
        };
        add(all, family, name, &about, choice, Rule::CheckedSteps(rule));
    }
}

const FIVE: Rate = Rate::percent(5);
/// Stands for a rate that grows with the devices told, every 1000 of them.
const NOTIFIED: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shipped_policies_are_usable_and_have_names_of_their_own() {
        let mut names = BTreeSet::new();
        for contestant in Contestant::shipped() {
            let name = contestant.name.clone();
            assert!(contestant.policy.validated().is_ok(), "{name}");
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
        for name in &names {
            assert_eq!(Contestant::named(name).len(), 1, "{name}");
        }
        assert!(Contestant::named("all").len() > 40);
        let families: BTreeSet<_> = Contestant::shipped().into_iter().map(|it| it.family).collect();
        let defaults = Contestant::named("defaults");
        assert_eq!(defaults.len(), families.len(), "each system has one default");
        assert!(Contestant::named("nothing").is_empty());
    }
}
