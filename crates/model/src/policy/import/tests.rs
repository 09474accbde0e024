use super::*;
use crate::{BatchGrowth, Nebraska, NervesHub, NervesHubStep, NodeWright, OfficeHours};

#[track_caller]
fn check(found: Result<Policy, ImportError>, expected: &str) {
    let error = found.map(|policy| policy.rule).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_job_of_aws_is_taken_over_whole() {
    let json = r#"{
        "jobId": "j", "targets": ["arn"], "document": "{}",
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 500, "exponentialRate": {
            "baseRatePerMinute": 10, "incrementFactor": 1.3,
            "rateIncreaseCriteria": {"numberOfSucceededThings": 40}}},
        "abortConfig": {"criteriaList": [{"failureType": "ALL", "action": "CANCEL",
            "thresholdPercentage": 10.99, "minNumberOfExecutedThings": 30}]},
        "timeoutConfig": {"inProgressTimeoutInMinutes": 90},
        "jobExecutionsRetryConfig": {"criteriaList": [
            {"failureType": "FAILED", "numberOfRetries": 2},
            {"failureType": "TIMED_OUT", "numberOfRetries": 4}]}}"#;
    let policy = Policy::from_aws_job(json).unwrap();
    let growth = AwsGrowth {
        base_per_minute: 10,
        factor: Rate::percent(130),
        count: AwsCount::Succeeded,
        devices: 40,
    };
    let abort = AwsAbort {
        failure: AwsFailure::All,
        threshold: Rate::basis_points(1_099),
        executed_min: 30,
    };
    let rule = AwsJobs { per_minute_max: 500, growth: Some(growth), abort: vec![abort] };
    assert_eq!(policy.rule, Rule::AwsJobs(rule));
    assert_eq!(policy.attempt_limit, Some(Span::secs(5_400)));
    assert_eq!(policy.retry.attempts_max, 5);
    assert_eq!(Policy::from_aws_job("{}").unwrap().rule, Rule::AwsJobs(AwsJobs::default()));
}

#[test]
fn errors_name_the_field() {
    let rate = |exponential: &str| {
        let json =
            format!(r#"{{"jobExecutionsRolloutConfig": {{"exponentialRate": {exponential}}}}}"#);
        Policy::from_aws_job(&json)
    };
    let path = "`jobExecutionsRolloutConfig.exponentialRate";
    check(Policy::from_aws_job("[]"), "no JSON object");
    check(rate("3"), &format!("{path}` must be an object"));
    check(rate("{}"), &format!("{path}.rateIncreaseCriteria` is missing"));
    check(
        rate(r#"{"rateIncreaseCriteria": {}}"#),
        &format!("{path}.rateIncreaseCriteria` needs one of"),
    );
    let criteria = r#""rateIncreaseCriteria": {"numberOfNotifiedThings": 10}"#;
    let with = |fields: &str| rate(&format!("{{{fields}, {criteria}}}"));
    check(with(r#""baseRatePerMinute": 1"#), &format!("{path}.incrementFactor` is missing"));
    check(
        with(r#""incrementFactor": 1.2345, "baseRatePerMinute": 1"#),
        &format!("{path}.incrementFactor` must be a number"),
    );
    check(
        with(r#""incrementFactor": 9, "baseRatePerMinute": 1"#),
        "`rule.growth.factor` is 900 %; it must be 110 % to 500 %",
    );
    check(
        Policy::from_aws_job(
            r#"{"abortConfig": {"criteriaList": [{"failureType": "X", "action": "CANCEL"}]}}"#,
        ),
        "`abortConfig.criteriaList[0].failureType` must be FAILED",
    );
    check(
        Policy::from_aws_job(r#"{"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}"#),
        "`timeoutConfig.inProgressTimeoutInMinutes` must be 1 to 10080",
    );
}

#[test]
fn errors_name_the_field_of_every_system() {
    check(
        Policy::from_hawkbit_rollout(r#"{"dynamic": true}"#),
        "`dynamic` has no counterpart here",
    );
    check(
        Policy::from_hawkbit_rollout(
            r#"{"groups": [{"targetPercentage": 20}, {"targetFilterQuery": "name==a"}]}"#,
        ),
        "`groups[1].targetFilterQuery` has no counterpart",
    );
    check(
        Policy::from_hawkbit_rollout(
            r#"{"errorCondition": {"condition": "THRESHOLD", "expression": "x"}}"#,
        ),
        "`errorCondition.expression` must be a whole percentage",
    );
    check(
        Policy::from_hawkbit_rollout(r#"{"amountGroups": 0}"#),
        "`amountGroups` must be 1 to 500",
    );
    let mender = |json| Policy::from_mender_deployment(json, Time::ZERO);
    check(mender(r#"{"phases": [{"start_ts": "soon"}]}"#), "`phases[0].start_ts` is no time");
    check(mender(r#"{"phases": [{}, {"batch_size": 5}]}"#), "`rule.phases.share` must be above");
    check(mender(r#"{"phases": [{"batch_size": 101}]}"#), "`phases[0].batch_size` must be at most");
    check(mender(r#"{"max_devices": 5}"#), "`max_devices` has no counterpart");
    check(
        Policy::from_edgehog_campaign(r#"{"rolloutMechanism": {"push": {}}}"#),
        "`rolloutMechanism.push.maxInProgressUpdates` is missing",
    );
    check(
        Policy::from_edgehog_campaign(r#"{"input": {"rolloutMechanism": {"push": {}}}}"#),
        "`input.rolloutMechanism.push.maxInProgressUpdates` is missing",
    );
    check(
        Policy::from_edgehog_campaign(r#"{"input": {"phases": []}}"#),
        "this is no request of Edgehog; it would have one of rolloutMechanism",
    );
    check(Policy::from_flagger_canary(r#"{"analysis": {}}"#), "`analysis.stepWeight` is missing");
    check(
        Policy::from_flagger_canary(
            r#"{"spec": {"analysis": {"stepWeights": [5, 50], "metrics": [
                {"name": "x", "thresholdRange": {}}]}}}"#,
        ),
        "`spec.analysis.metrics[0].name` has no counterpart",
    );
}

#[test]
fn hawkbit_groups_inherit_their_conditions() {
    let json = r#"{
        "successCondition": {"condition": "THRESHOLD", "expression": "70"},
        "groups": [
            {"name": "a", "targetPercentage": 12.5, "targetFilterQuery": ""},
            {"name": "b", "errorCondition": {"condition": "THRESHOLD", "expression": "3"},
             "successAction": {"action": "PAUSE"}}]}"#;
    let success = Rate::percent(70);
    let first =
        HawkBitGroup { share: Some(Rate::basis_points(1_250)), success, ..HawkBitGroup::default() };
    let second = HawkBitGroup {
        share: Some(Rate::WHOLE),
        success,
        errors: Rate::percent(3),
        approval_after: true,
    };
    let found = Policy::from_hawkbit_rollout(json).unwrap();
    assert_eq!(found.rule, Rule::HawkBit(HawkBit { groups: vec![first, second] }));
}

#[test]
fn edgehog_campaigns_and_mender_phases_are_taken_over() {
    let json = r#"{"rolloutMechanism": {"push": {"maxInProgressUpdates": 100,
        "maxFailurePercentage": 10.0, "otaRequestRetries": 2, "otaRequestTimeoutSeconds": 300}}}"#;
    let policy = Policy::from_edgehog_campaign(json).unwrap();
    let rule = Edgehog { in_progress_max: 100, failed_max: Rate::percent(10) };
    assert_eq!(policy.rule, Rule::Edgehog(rule));
    // As the variables of a request, and as the whole request.
    for wrapped in [
        format!(r#"{{"input": {json}}}"#),
        format!(r#"{{"query": "mutation", "variables": {{"input": {json}}}}}"#),
    ] {
        assert_eq!(Policy::from_edgehog_campaign(&wrapped).as_ref(), Ok(&policy), "{wrapped}");
    }
    assert_eq!((policy.retry.attempts_max, policy.attempt_limit), (3, Some(Span::secs(300))));
    let json = r#"{"retries": 1, "phases": [{"batch_size": 10, "start_ts": "2026-11-22T08:00:00Z"},
        {"start_ts": "2026-11-22T12:30:00.5+02:00"}]}"#;
    let start = Time::from_secs(1_795_338_000);
    let policy = Policy::from_mender_deployment(json, start).unwrap();
    let phases = vec![
        MenderPhase { share: Some(Rate::percent(10)), after: Span::secs(0) },
        MenderPhase { share: None, after: Span::secs(5_400) },
    ];
    assert_eq!(policy.rule, Rule::Mender(Mender { phases }));
    assert_eq!(policy.retry.attempts_max, 2);
}

#[test]
fn groups_of_nebraska_are_taken_over() {
    // The fields of a group as its interface gives them.
    let group = |more: &str| {
        format!(
            r#"{{"id": "g", "name": "Stable", "policy_updates_enabled": true,
            "policy_max_updates_per_period": 60, "policy_period_interval": "15 minutes",
            "policy_update_timeout": "60 minutes", {more} "track": "stable"}}"#
        )
    };
    let rule =
        Nebraska { devices_max: 60, period: Span::secs(900), safe_mode: false, office_hours: None };
    let policy = Policy::from_nebraska_group(&group("")).unwrap();
    assert_eq!(policy.rule, Rule::Nebraska(rule));
    assert_eq!(policy.attempt_limit, Some(Span::secs(3_600)));
    for (zone, minutes) in [("UTC", 0), ("Etc/GMT-2", 120), ("Etc/GMT+5", -300)] {
        let text = group(&format!(
            r#""policy_safe_mode": true, "policy_office_hours": true, "policy_timezone": "{zone}","#
        ));
        let office_hours = Some(OfficeHours { utc_offset_minutes: minutes });
        let expected = Nebraska { safe_mode: true, office_hours, ..rule };
        assert_eq!(Policy::from_nebraska_group(&text).unwrap().rule, Rule::Nebraska(expected));
    }
    // A zone that nobody keeps hours by may have summer time.
    assert!(Policy::from_nebraska_group(&group(r#""policy_timezone": "Europe/Berlin","#)).is_ok());
    check(
        Policy::from_nebraska_group(&group(
            r#""policy_office_hours": true, "policy_timezone": "Europe/Berlin","#,
        )),
        "`policy_timezone` has no counterpart here: only UTC",
    );
    for (json, expected) in [
        (r#"{"policy_updates_enabled": false}"#, "`policy_updates_enabled` is false"),
        ("{}", "`policy_max_updates_per_period` is missing"),
        (
            r#"{"policy_max_updates_per_period": 1, "policy_period_interval": "soon"}"#,
            "`policy_period_interval` must be a number and a unit",
        ),
        (r#"{"policy_office_hours": 1}"#, "`policy_office_hours` must be true or false"),
        (
            r#"{"policy_max_updates_per_period": 0, "policy_period_interval": "1 hours"}"#,
            "`rule.devices_max` is 0",
        ),
    ] {
        check(Policy::from_nebraska_group(json), expected);
    }
}

#[test]
fn groups_and_workflows_of_nerves_hub_are_taken_over() {
    let group = r#"{"deployment": {"name": "production", "state": "on",
        "concurrent_updates": 25, "inflight_update_expiration_minutes": 60,
        "device_failure_threshold": 4, "device_failure_rate_amount": 5,
        "device_failure_rate_seconds": 180, "failure_threshold": 50}}"#;
    let policy = Policy::from_nerves_hub(group).unwrap();
    let step = NervesHubStep { in_progress_max: 25, ..NervesHubStep::default() };
    assert_eq!(policy.rule, Rule::NervesHub(NervesHub { steps: vec![step] }));
    assert_eq!((policy.retry.attempts_max, policy.attempt_limit), (4, Some(Span::secs(3_600))));
    // A workflow by its published schema: canaries, an approval, a tenth of a hundred, the rest.
    let workflow = r#"{"version": 1, "steps": [
        {"name": "canaries", "matching_conditions": {"match_limit": 20}, "concurrent_updates": 5},
        {"name": "look", "type": "approval_required"},
        {"name": "more", "type": "update_devices", "matching_conditions": {"match_limit": 95},
         "failure_tolerance": {"percent": 10}},
        {"name": "rest", "type": "catch_all", "concurrent_updates": 50}]}"#;
    let policy = Policy::from_nerves_hub(workflow).unwrap();
    let step = |devices, slots, failed_max, approval| NervesHubStep {
        devices,
        in_progress_max: slots,
        failed_max,
        approval,
    };
    let steps = vec![
        step(Some(20), 5, Some(0), false),
        step(Some(95), 10, Some(9), true),
        step(None, 50, None, false),
    ];
    assert_eq!(policy.rule, Rule::NervesHub(NervesHub { steps }));
    // Who is left over is updated in the end, as there.
    let policy = Policy::from_nerves_hub(
        r#"{"steps": [{"matching_conditions": {"match_limit": 3},
            "failure_tolerance": {"devices": 2}}, {"type": "approval_required"}]}"#,
    );
    let steps = vec![step(Some(3), 10, Some(1), false), step(None, 10, None, true)];
    assert_eq!(policy.unwrap().rule, Rule::NervesHub(NervesHub { steps }));
    for (json, expected) in [
        (r#"{"concurrent_updates": 0}"#, "`concurrent_updates` must be at least 1"),
        (
            r#"{"deployment": {"inflight_update_expiration_minutes": 5}}"#,
            "`deployment.inflight_update_expiration_minutes` must be at least 30",
        ),
        (r#"{"priority_queue_enabled": true}"#, "`priority_queue_enabled` has no counterpart"),
        (r#"{"steps": [{"type": "x"}]}"#, "`steps[0].type` must be update_devices"),
        (
            r#"{"steps": [{"matching_conditions": {"tags": ["canary"]}}]}"#,
            "`steps[0].matching_conditions.tags` has no counterpart",
        ),
        (
            r#"{"steps": [{"failure_tolerance": {"percent": 5}}]}"#,
            "`steps[0].failure_tolerance.percent` has no counterpart here: give a count",
        ),
        (
            r#"{"steps": [{"failure_tolerance": {}}]}"#,
            "`steps[0].failure_tolerance.devices` or `percent` is needed",
        ),
    ] {
        check(Policy::from_nerves_hub(json), expected);
    }
}

#[test]
fn deployment_policies_of_nodewright_are_taken_over() {
    let with = |default: &str| {
        let json = format!(
            r#"{{"apiVersion": "nodewright.nvidia.com/v1alpha1", "kind": "DeploymentPolicy",
            "metadata": {{"name": "p"}}, "spec": {{"resetBatchStateOnCompletion": true,
            "default": {default}}}}}"#
        );
        Policy::from_nodewright_policy(&json)
    };
    let batches = |growth| NodeWright { growth, ..NodeWright::default() };
    let linear = BatchGrowth::Linear { delta: 5 };
    let cases = [
        (r#"{"strategy": {"fixed": {}}}"#, batches(BatchGrowth::Fixed)),
        (
            r#"{"budget": {"percent": 20}, "strategy": {"linear": {"initialBatch": 5, "delta": 5,
                "batchThreshold": 90, "safetyLimit": 100}}}"#,
            NodeWright {
                first: 5,
                success: Rate::percent(90),
                safety_limit: Rate::WHOLE,
                ..batches(linear)
            },
        ),
        (
            r#"{"strategy": {"exponential": {"initialBatch": 1, "growthFactor": 2,
                "batchThreshold": 100, "failureThreshold": 2, "safetyLimit": 50}}}"#,
            NodeWright {
                failed_batches_max: Some(2),
                ..batches(BatchGrowth::Exponential { factor: 2 })
            },
        ),
        (r#"{"budget": {"count": 3}}"#, NodeWright { first: 3, ..batches(BatchGrowth::Fixed) }),
    ];
    for (default, expected) in cases {
        assert_eq!(with(default).unwrap().rule, Rule::NodeWright(expected), "{default}");
    }
    for (default, expected) in [
        (r#"{"budget": {"percent": 25}}"#, "`spec.default.budget.percent` has no counterpart"),
        ("{}", "`spec.default.strategy` is missing"),
        (r#"{"strategy": {}}"#, "`spec.default.strategy.fixed` `linear` or `exponential`"),
        (
            r#"{"strategy": {"fixed": {}, "linear": {}}}"#,
            "`spec.default.strategy.linear` is a second strategy",
        ),
        (
            r#"{"strategy": {"fixed": {"failureThreshold": 0}}}"#,
            "`spec.default.strategy.fixed.failureThreshold` must be at least 1",
        ),
        (
            r#"{"strategy": {"exponential": {"growthFactor": 1}}}"#,
            "`spec.default.strategy.exponential.growthFactor` must be at least 2",
        ),
        (
            r#"{"strategy": {"linear": {"safetyLimit": 0}}}"#,
            "`spec.default.strategy.linear.safetyLimit` must be 1 to 100",
        ),
    ] {
        check(with(default), expected);
    }
    check(
        Policy::from_nodewright_policy(r#"{"default": {}, "compartments": [{"name": "a"}]}"#),
        "`compartments` has no counterpart",
    );
}

#[test]
fn times_are_read() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-02-29T00:00:00Z", Some(951_782_400)),
        ("2026-11-22T09:00:00Z", Some(1_795_338_000)),
        ("2026-11-22T10:00:00+01:00", Some(1_795_338_000)),
        ("2026-11-22T09:00:00", None),
        ("2026-13-22T09:00:00Z", None),
        ("2026-11-22", None),
        ("-1-11-22T09:00:00Z", None),
    ] {
        assert_eq!(time(text), seconds.map(Time::from_secs), "{text}");
    }
}

#[test]
fn stored_policies_stay_readable() {
    // As written before there were rules of other systems.
    let mut json: Value = serde_json::to_value(Policy::default()).unwrap();
    json.as_object_mut().unwrap().remove("attempt_limit");
    assert_eq!(serde_json::from_value::<Policy>(json).unwrap(), Policy::default());
    for text in [
        r#"rule = { kind = "threshold" }"#,
        r#"rule = { kind = "aws_jobs" }"#,
        r#"rule = { kind = "hawkbit", groups = [{}, { share = "50 %", errors = "5 %" }] }"#,
        r#"rule = { kind = "mender", phases = [{ after = "0s" }] }"#,
        r#"rule = { kind = "edgehog", in_progress_max = 5, failed_max = "5 %" }"#,
        r#"rule = { kind = "nerves_hub", steps = [{ devices = 5 }, { approval = true }] }"#,
        r#"rule = { kind = "nebraska", devices_max = 5, period = "15m" }"#,
        r#"rule = { kind = "nodewright", growth = { kind = "linear", delta = 2 } }"#,
        r#"rule = { kind = "checked_steps", interval = "1m", weights = ["5 %"], errors_max = "1 %", failed_checks_max = 2 }"#,
    ] {
        let policy = Policy::from_toml(text).unwrap();
        let stored = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&stored).unwrap(), policy, "{text}");
    }
    for (text, expected) in [
        (r#"rule = { kind = "aws_jobs", per_minute_max = 0 }"#, "`rule.per_minute_max`"),
        (r#"rule = { kind = "hawkbit", groups = [] }"#, "`rule.groups` has 0"),
        (r#"rule = { kind = "hawkbit", groups = [{ share = "0 %" }] }"#, "`rule.groups.share`"),
        (r#"rule = { kind = "nebraska", devices_max = 5, period = "0s" }"#, "`rule.period`"),
        (r#"rule = { kind = "nodewright", first = 0 }"#, "`rule.first`"),
        (r#"rule = { kind = "nodewright", frist = 1 }"#, "frist"),
        (r#"attempt_limit = "0s""#, "`attempt_limit`"),
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_is_of_another_system_or_misspelt_is_refused() {
    let start = Time::ZERO;
    let check = |read: Result<Policy, ImportError>, says: &str| {
        let error = read.expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    };
    check(Policy::from_aws_job(r#"{"foo":1}"#), "no request of AWS IoT Jobs");
    check(Policy::from_hawkbit_rollout(r#"{"abortConfig":{}}"#), "no request of hawkBit");
    check(Policy::from_mender_deployment(r#"{"foo":1}"#, start), "no request of Mender");
    let misspelt = r#"{"jobExecutionsRolloutConfig":{"maximumPerMinutes":3}}"#;
    check(
        Policy::from_aws_job(misspelt),
        "`jobExecutionsRolloutConfig.maximumPerMinutes` is not known",
    );
    let fast = r#"{"jobExecutionsRolloutConfig":{"maximumPerMinute":2000}}"#;
    check(
        Policy::from_aws_job(fast),
        "`jobExecutionsRolloutConfig.maximumPerMinute` must be 1 to 1000",
    );
}
