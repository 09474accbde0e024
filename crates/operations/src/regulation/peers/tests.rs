//! Each rule by its own documentation's example, and what must hold for all of them.

use model::{
    AwsJobs, BatchGrowth, CheckedSteps, Counts, Course, CourseStage, HawkBit, Inputs, Mender,
    Nebraska, NodeWright, OfficeHours, Phase, Policy, Rate, Reason, ReportedRates, Rule, Span,
    Standing, Tally, Time, Verdict,
};

use super::nebraska::{Office, office};
use super::{aws_jobs, decide, first_speed, hawkbit};
use crate::regulation::regulate;

/// 100 000 devices that all could be granted, under a rule that was just started.
fn started(rule: Rule) -> Inputs {
    let counts = Counts { waiting: 100_000, eligible: 100_000, ..Counts::default() };
    Inputs {
        counts,
        phase: Phase::Test,
        speed: first_speed(&rule, 100_000),
        favourable: 0,
        before: None,
        after: None,
        window: None,
        artifact_fault: false,
        policy: Policy { rule, ..Policy::threshold() },
        standing: Some(Box::new(Standing {
            at: AT,
            course: Course { started: AT, ..Course::default() },
            ..Standing::default()
        })),
        evidence: None,
    }
}

fn standing(inputs: &mut Inputs) -> &mut Standing {
    inputs.standing.as_deref_mut().unwrap()
}

/// Sets what became of the devices granted so far; those of the newest stage are `tally`.
fn became(inputs: &mut Inputs, counts: Counts, tally: Tally) {
    let waiting = 100_000 - counts.succeeded - counts.failed - counts.in_flight;
    inputs.counts = Counts { waiting, eligible: waiting, ..counts };
    let standing = standing(inputs);
    standing.granted = counts.succeeded + counts.failed + counts.in_flight;
    if let Some(newest) = standing.stages.last_mut() {
        *newest = tally;
    }
}

/// Follows a verdict as the loops do.
fn follow(inputs: &mut Inputs) -> (Verdict, Reason) {
    let (verdict, reason) = decide(inputs).expect("there is something to decide");
    let counts = inputs.counts;
    let engaged = counts.succeeded + counts.failed + counts.in_flight;
    match verdict {
        Verdict::Allow { speed, devices_max, look_at, stage, strikes, .. } => {
            inputs.speed = speed;
            let standing = standing(inputs);
            let course = &mut standing.course;
            (course.devices_max, course.look_at, course.strikes) = (devices_max, look_at, strikes);
            course.succeeded_before = counts.succeeded;
            course.failed_before = counts.failed;
            while course.stages.len() < stage as usize {
                let devices = devices_max.unwrap_or(100_000) - engaged;
                course.stages.push(CourseStage { devices, ..CourseStage::default() });
                standing.stages.push(Tally::default());
            }
        }
        Verdict::Hold { until } => standing(inputs).course.look_at = Some(until),
        _ => {}
    }
    (verdict, reason)
}

fn allowed(verdict: Verdict) -> Option<u64> {
    let Verdict::Allow { devices_max, .. } = verdict else { panic!("{verdict:?}") };
    devices_max
}

fn counts(succeeded: u64, failed: u64, in_flight: u64) -> Counts {
    Counts { succeeded, failed, in_flight, ..Counts::default() }
}

fn tally(succeeded: u64, failed: u64, in_flight: u64) -> Tally {
    Tally { succeeded, failed, in_flight, ..Tally::default() }
}

/// The rule of a policy taken over from another system.
fn imported(policy: Result<Policy, model::ImportError>) -> Rule {
    policy.unwrap().rule
}

#[test]
fn aws_rates_grow_with_the_devices_told() {
    // Reference: developer guide of AWS IoT, "How job configurations work", exponential rate:
    // base 50, factor 2, 1 000 notified things.
    let rule = imported(Policy::from_aws_job(AWS_JOB));
    let Rule::AwsJobs(jobs) = &rule else { panic!() };
    for (told, rate) in [(0, 50), (999, 50), (1_000, 100), (2_000, 200), (3_000, 400), (4_000, 800)]
    {
        assert_eq!(aws_jobs::per_minute(jobs, told), rate, "{told}");
    }
    // Never above the maximum per minute.
    assert_eq!(aws_jobs::per_minute(jobs, 5_000), 1_000);
    assert_eq!(aws_jobs::per_minute(jobs, u64::MAX), 1_000);
    assert_eq!(aws_jobs::per_minute(&AwsJobs::default(), 7), 1_000);
    let mut inputs = started(rule);
    assert_eq!(allowed(follow(&mut inputs).0), Some(50));
    assert_eq!(decide(&inputs), None, "the minute is not over");
    became(&mut inputs, counts(0, 0, 50), Tally::default());
    standing(&mut inputs).at = AT + std::time::Duration::from_secs(60);
    let (verdict, reason) = follow(&mut inputs);
    assert_eq!((allowed(verdict), reason), (Some(100), Reason::PeerRate { per_minute: 50 }));
}

#[test]
fn aws_criteria_need_enough_devices_and_count_by_kind() {
    // Reference: as above, abort criteria: 20 % failed of at least 100, or 50 % timed out of at
    // least 200.
    let abort = |succeeded, failed, timed_out| {
        let mut inputs = started(imported(Policy::from_aws_job(AWS_JOB)));
        follow(&mut inputs);
        became(&mut inputs, counts(succeeded, failed, 0), Tally::default());
        standing(&mut inputs).timed_out = timed_out;
        matches!(decide(&inputs), Some((Verdict::Abort, _)))
    };
    for (succeeded, failed, timed_out, expected) in [
        (79, 20, 0, false),
        (80, 20, 0, true),
        (81, 20, 0, false),
        (0, 99, 0, false),
        (100, 100, 90, false),
        (100, 100, 100, true),
        (101, 100, 100, false),
    ] {
        let found = abort(succeeded, failed, timed_out);
        assert_eq!(found, expected, "{succeeded} {failed} {timed_out}");
    }
}

#[test]
fn hawkbit_groups_cascade_and_pause() {
    // Reference: management interface of hawkBit, creating a rollout: 10 groups, success 50 %,
    // errors 80 %.
    let rule = imported(Policy::from_hawkbit_rollout(HAWKBIT_ROLLOUT));
    let Rule::HawkBit(rollout) = &rule else { panic!() };
    let sizes: Vec<u64> =
        (0..10).map(|at| hawkbit::size(rollout, at, 100 - 10 * at as u64)).collect();
    assert_eq!(sizes, [10; 10]);
    let mut inputs = started(rule);
    assert_eq!(allowed(follow(&mut inputs).0), Some(10_000));
    became(&mut inputs, counts(4_999, 0, 5_001), tally(4_999, 0, 5_001));
    assert_eq!(decide(&inputs), None);
    became(&mut inputs, counts(5_000, 0, 5_000), tally(5_000, 0, 5_000));
    let second = inputs.clone();
    assert_eq!(allowed(follow(&mut inputs).0), Some(20_000));
    // All through, whatever came of them: the next group as well. Errors need more than 80 %.
    let mut bad = second.clone();
    became(&mut bad, counts(2_000, 8_000, 0), tally(2_000, 8_000, 0));
    assert_eq!(allowed(follow(&mut bad.clone()).0), Some(20_000));
    became(&mut bad, counts(1_999, 8_001, 0), tally(1_999, 8_001, 0));
    let (verdict, reason) = follow(&mut bad);
    assert_eq!((verdict, reason.code()), (Verdict::Pause, "peer.failures_share"));
    // An operator who resumes accepts them.
    standing(&mut bad).course.stages[0].failed_accepted = 8_001;
    assert_eq!(allowed(follow(&mut bad).0), Some(20_000));
    // Only the group's own size counts, however few of it were reached.
    let mut few = second;
    became(&mut few, counts(0, 8_000, 0), tally(0, 8_000, 0));
    assert_eq!(decide(&few), None);
}

#[test]
fn mender_phases_follow_the_clock_only() {
    // Reference: Mender documentation, phased rollout: 10 %, then 20 %, then the rest.
    let json = r#"{"artifact_name": "a", "phases": [{"batch_size": 10},
        {"batch_size": 20, "start_ts": "2026-11-23T09:00:00Z"},
        {"start_ts": "2026-11-24T09:00:00+00:00"}]}"#;
    let mut inputs = started(imported(Policy::from_mender_deployment(json, AT)));
    assert_eq!(allowed(follow(&mut inputs).0), Some(10_000));
    became(&mut inputs, counts(0, 10_000, 0), Tally::default());
    assert_eq!(decide(&inputs), None, "no failure stops it, and no success hastens it");
    standing(&mut inputs).at = Time::from_secs(1_795_424_400);
    assert_eq!(allowed(follow(&mut inputs).0), Some(30_000));
    standing(&mut inputs).at = Time::from_secs(1_795_510_800);
    assert_eq!(allowed(follow(&mut inputs).0), None);
    assert_eq!(decide(&inputs), None);
}

#[test]
fn edgehog_divides_by_all_targets() {
    // Reference: Edgehog, lazy batch mechanism: failed ÷ targets · 100 above the percentage.
    let json = r#"{"rolloutMechanism": {"push": {"maxInProgressUpdates": 100,
        "maxFailurePercentage": 5.0, "otaRequestRetries": 3, "otaRequestTimeoutSeconds": 300}}}"#;
    let mut inputs = started(imported(Policy::from_edgehog_campaign(json)));
    let (verdict, _) = follow(&mut inputs);
    assert!(matches!(verdict, Verdict::Allow { speed: 100, devices_max: None, .. }), "{verdict:?}");
    became(&mut inputs, counts(0, 5_000, 100), Tally::default());
    assert_eq!(decide(&inputs), None, "every device failed, and it goes on");
    became(&mut inputs, counts(0, 5_001, 100), Tally::default());
    assert_eq!(decide(&inputs).unwrap().0, Verdict::Abort);
}

#[test]
fn nerves_hub_steps_wait_for_their_devices_and_for_operators() {
    // Reference: NervesHub, schema of workflow definitions: twenty canaries, then an approval.
    // A step fails when so many of its devices failed.
    let json = r#"{"version": 1, "steps": [
        {"name": "canaries", "matching_conditions": {"match_limit": 20},
         "failure_tolerance": {"devices": 2}},
        {"name": "look", "type": "approval_required"},
        {"name": "rest", "type": "catch_all", "concurrent_updates": 50}]}"#;
    let mut inputs = started(imported(Policy::from_nerves_hub(json)));
    let (verdict, _) = follow(&mut inputs);
    assert!(matches!(verdict, Verdict::Allow { speed: 10, devices_max: Some(20), .. }));
    became(&mut inputs, counts(12, 0, 8), tally(12, 0, 8));
    assert_eq!(decide(&inputs), None);
    became(&mut inputs, counts(18, 2, 0), tally(18, 2, 0));
    assert_eq!(
        decide(&inputs).unwrap(),
        (Verdict::Pause, Reason::PeerFailures { failed: 2, tolerated: 1 })
    );
    became(&mut inputs, counts(19, 1, 0), tally(19, 1, 0));
    assert_eq!(decide(&inputs).unwrap(), (Verdict::Pause, Reason::PeerApproval { stage: 2 }));
    standing(&mut inputs).course.approved = 2;
    let (verdict, _) = follow(&mut inputs);
    assert!(matches!(verdict, Verdict::Allow { speed: 50, devices_max: None, .. }));
}

#[test]
fn nebraska_keeps_periods_hours_and_safe_mode() {
    // Reference: Nebraska, group policy: updates per period, safe mode, office hours.
    let json = r#"{"policy_updates_enabled": true, "policy_safe_mode": true,
        "policy_office_hours": true, "policy_timezone": "UTC",
        "policy_period_interval": "15 minutes", "policy_max_updates_per_period": 60,
        "policy_update_timeout": "60 minutes"}"#;
    let mut inputs = started(imported(Policy::from_nebraska_group(json)));
    // 2026-11-22 is a Sunday.
    let monday = Time::from_secs(1_795_424_400);
    assert_eq!(follow(&mut inputs), (Verdict::Hold { until: monday }, Reason::PeerHours));
    assert_eq!(decide(&inputs), None);
    standing(&mut inputs).at = monday;
    assert_eq!(allowed(follow(&mut inputs).0), Some(1));
    became(&mut inputs, counts(0, 0, 1), tally(0, 0, 1));
    assert_eq!(decide(&inputs), None, "the first device goes alone");
    became(&mut inputs, counts(1, 0, 0), tally(1, 0, 0));
    let (verdict, _) = follow(&mut inputs);
    assert!(matches!(verdict, Verdict::Allow { speed: 60, devices_max: Some(61), .. }));
    became(&mut inputs, counts(61, 0, 0), tally(60, 0, 0));
    assert_eq!(decide(&inputs), None, "the period is not over");
    standing(&mut inputs).at = monday + std::time::Duration::from_secs(900);
    assert_eq!(allowed(follow(&mut inputs).0), Some(121));
    standing(&mut inputs).timed_out = 60;
    assert_eq!(decide(&inputs).unwrap().0, Verdict::Pause);
    // Friday evening opens on Monday; a clock ahead opens earlier in UTC.
    for (offset, at, expected) in [
        (0, 1_795_194_000, Office::Closed { opens: monday }),
        (0, 1_795_193_999, Office::Open { closes: Time::from_secs(1_795_194_000) }),
        (120, 1_795_186_800, Office::Closed { opens: Time::from_secs(1_795_417_200) }),
        (-60, 1_795_197_599, Office::Open { closes: Time::from_secs(1_795_197_600) }),
    ] {
        let hours = OfficeHours { utc_offset_minutes: offset };
        assert_eq!(office(hours, Time::from_secs(at)), expected, "{offset} {at}");
    }
}

#[test]
fn nodewright_batches_follow_its_formulas() {
    // Reference: NodeWright, deployment policies: initial batch 1, threshold 100 %, limit 50 %.
    let sizes = |growth, succeeded: &[u64]| {
        let rule = NodeWright { growth, first: 4, ..NodeWright::default() };
        let mut inputs = started(Rule::NodeWright(rule));
        let mut sizes = vec![inputs.speed];
        for good in succeeded {
            let batch = u64::from(inputs.speed);
            inputs.after = Some(ReportedRates::new(batch, batch - good.min(&batch), 0, None));
            standing(&mut inputs).batches =
                vec![tally(*good.min(&batch), batch - good.min(&batch), 0)];
            let (verdict, _) = decide(&inputs).unwrap();
            let Verdict::Continue { speed, .. } = verdict else { panic!("{verdict:?}") };
            inputs.speed = speed;
            sizes.push(speed);
        }
        sizes
    };
    let (all, none) = (u64::MAX, 0);
    assert_eq!(sizes(BatchGrowth::Fixed, &[all, none, all]), [4, 4, 4, 4]);
    assert_eq!(
        sizes(BatchGrowth::Linear { delta: 3 }, &[all, all, none, none, none, none]),
        [4, 7, 10, 7, 4, 1, 1]
    );
    assert_eq!(
        sizes(BatchGrowth::Exponential { factor: 2 }, &[all, none, none, none, none]),
        [4, 8, 4, 2, 1, 1]
    );
}

#[test]
fn nodewright_batches_grow_as_its_guide_says() {
    // Reference: NodeWright, deployment policies, linear with delta 1: 1, 2, 3, 4, 5, and
    // exponential with factor 2: 1, 2, 4, 8, 16.
    let sizes = |strategy: &str| {
        let json = format!(r#"{{"spec": {{"default": {{"strategy": {strategy}}}}}}}"#);
        let mut inputs = started(imported(Policy::from_nodewright_policy(&json)));
        let mut sizes = vec![inputs.speed];
        for _ in 0..4 {
            let batch = u64::from(inputs.speed);
            inputs.after = Some(ReportedRates::new(batch, 0, 0, None));
            standing(&mut inputs).batches = vec![tally(batch, 0, 0)];
            let Some((Verdict::Continue { speed, .. }, _)) = decide(&inputs) else { panic!() };
            inputs.speed = speed;
            sizes.push(speed);
        }
        sizes
    };
    let linear = r#"{"linear": {"initialBatch": 1, "delta": 1, "batchThreshold": 100,
        "failureThreshold": 3, "safetyLimit": 50}}"#;
    assert_eq!(sizes(linear), [1, 2, 3, 4, 5]);
    let exponential = r#"{"exponential": {"initialBatch": 1, "growthFactor": 2,
        "batchThreshold": 100, "failureThreshold": 2, "safetyLimit": 50}}"#;
    assert_eq!(sizes(exponential), [1, 2, 4, 8, 16]);
}

#[test]
fn nodewright_stops_after_failed_batches_in_a_row_before_its_safety_limit() {
    let rule = NodeWright { failed_batches_max: Some(2), ..NodeWright::default() };
    let mut inputs = started(Rule::NodeWright(rule));
    inputs.after = Some(ReportedRates::new(10, 1, 0, None));
    let (good, bad) = (tally(10, 0, 0), tally(9, 1, 0));
    for (batches, aborts) in [(vec![bad], false), (vec![good, bad], false), (vec![bad, bad], true)]
    {
        standing(&mut inputs).batches = batches;
        assert_eq!(matches!(decide(&inputs), Some((Verdict::Abort, _))), aborts);
    }
    became(&mut inputs, counts(49_000, 1_000, 0), Tally::default());
    assert_eq!(
        decide(&inputs).unwrap().1,
        Reason::PeerBatchSucceeded,
        "past half, nothing slows it"
    );
}

#[test]
fn checked_steps_take_as_long_as_flagger_says() {
    // Reference: Flagger, canary analysis: interval 1 min, step weight 2, maximum 50, threshold
    // 10: 25 minutes to promotion, 10 to a rollback.
    let json = r#"{"analysis": {"interval": "1m", "threshold": 10, "maxWeight": 50,
        "stepWeight": 2, "metrics": [
            {"name": "request-success-rate", "thresholdRange": {"min": 99}, "interval": "1m"},
            {"name": "request-duration", "thresholdRange": {"max": 500}, "interval": "30s"}]}}"#;
    let minutes = |good: u64, bad: u64, us: u64| {
        let mut inputs = started(imported(Policy::from_flagger_canary(json)));
        let mut minutes = 0;
        loop {
            let (verdict, _) = follow(&mut inputs);
            if verdict == Verdict::Abort || allowed(verdict).is_none() {
                return (minutes, verdict == Verdict::Abort);
            }
            minutes += 1;
            let now = inputs.counts;
            became(
                &mut inputs,
                counts(now.succeeded + good, now.failed + bad, 0),
                Tally::default(),
            );
            standing(&mut inputs).at = AT + std::time::Duration::from_secs(60 * minutes);
            standing(&mut inputs).response_time_us = Some(us);
        }
    };
    assert_eq!(minutes(99, 1, 500_000), (25, false));
    assert_eq!(minutes(98, 2, 0), (10, true));
    assert_eq!(minutes(99, 0, 500_001), (10, true));
    assert_eq!(minutes(0, 0, 0), (10, true), "no value is a failed check");
}

#[test]
fn the_end_comes_before_pauses_and_after_aborts() {
    let group = model::HawkBitGroup { errors: Rate::ZERO, ..model::HawkBitGroup::default() };
    let mut inputs = started(Rule::HawkBit(HawkBit { groups: vec![group] }));
    follow(&mut inputs);
    became(&mut inputs, counts(99_999, 1, 0), tally(99_999, 1, 0));
    assert_eq!(decide(&inputs), Some((Verdict::Finish, Reason::Complete)));
    inputs.policy.must_reach_all = true;
    assert_eq!(regulate(&inputs).unwrap().0, Verdict::Abort);
}

proptest::proptest! {
    /// What is asked at its own time gets an answer, and a later time for the next question:
    /// otherwise a server would ask for ever.
    #[test]
    fn a_due_rule_answers_and_moves_on(
        rule in 0usize..4, succeeded in 0u64..40_000, failed in 0u64..10_000,
        in_flight in 0u64..20_000, late in 0u64..2_000_000, begun in 0usize..3,
    ) {
        let rule = match rule {
            0 => imported(Policy::from_aws_job(AWS_JOB)),
            1 => Rule::Mender(Mender { phases: vec![
                model::MenderPhase { share: Some(Rate::percent(5)), after: Span::secs(1_000) },
                model::MenderPhase { share: Some(Rate::percent(5)), after: Span::secs(90_000) },
                model::MenderPhase { share: None, after: Span::secs(900_000) },
            ] }),
            2 => Rule::Nebraska(Nebraska {
                devices_max: 50, period: Span::secs(600), safe_mode: false,
                office_hours: Some(OfficeHours { utc_offset_minutes: 60 }),
            }),
            _ => Rule::CheckedSteps(CheckedSteps {
                interval: Span::secs(60), weights: vec![Rate::percent(1), Rate::percent(9)],
                errors_max: Rate::percent(10), response_time_us_max: None,
                failed_checks_max: 3, missing_fails: false,
            }),
        };
        let mut inputs = started(rule);
        for _ in 0..begun {
            if decide(&inputs).is_some() { follow(&mut inputs); }
            if let Some(at) = standing(&mut inputs).course.look_at { standing(&mut inputs).at = at; }
        }
        became(&mut inputs, counts(succeeded, failed, in_flight), tally(succeeded, failed, in_flight));
        let course = standing(&mut inputs).course.clone();
        let Some(look_at) = course.look_at else { return Ok(()) };
        let at = look_at + std::time::Duration::from_secs(late);
        standing(&mut inputs).at = at;
        match decide(&inputs).expect("it is due").0 {
            Verdict::Allow { look_at, speed, .. } => {
                proptest::prop_assert!(look_at.is_none_or(|next| next > at) && speed > 0);
            }
            Verdict::Hold { until } => proptest::prop_assert!(until > at),
            Verdict::Abort | Verdict::Pause => {}
            verdict => panic!("{verdict:?}"),
        }
    }
}

/// 2026-11-22T09:00:00Z, a Sunday.
const AT: Time = Time::from_secs(1_795_338_000);

const AWS_JOB: &str = r#"{
    "jobExecutionsRolloutConfig": {
        "exponentialRate": {
            "baseRatePerMinute": 50, "incrementFactor": 2,
            "rateIncreaseCriteria": {"numberOfNotifiedThings": 1000}
        },
        "maximumPerMinute": 1000
    },
    "abortConfig": {"criteriaList": [
        {"action": "CANCEL", "failureType": "FAILED", "minNumberOfExecutedThings": 100, "thresholdPercentage": 20},
        {"action": "CANCEL", "failureType": "TIMED_OUT", "minNumberOfExecutedThings": 200, "thresholdPercentage": 50}
    ]}
}"#;

const HAWKBIT_ROLLOUT: &str = r#"{
    "name": "r", "distributionSetId": 6, "targetFilterQuery": "id==targets-*", "amountGroups": 10,
    "successCondition": {"condition": "THRESHOLD", "expression": "50"},
    "errorCondition": {"condition": "THRESHOLD", "expression": "80"},
    "errorAction": {"action": "PAUSE", "expression": ""}
}"#;
