//! Deployment groups and workflows of `NervesHub`.

use super::{ImportError, Object};
use crate::{NervesHub, NervesHubStep, Policy, Rule, Span};

impl Policy {
    /// Takes over a workflow definition of `NervesHub`, known by its `steps`, or the settings of
    /// a deployment group, as they are or under `deployment`.
    ///
    /// Of a group: `concurrent_updates`, `inflight_update_expiration_minutes`, and as tries on
    /// one device the smaller of `device_failure_threshold` and `device_failure_rate_amount`.
    /// Its `failure_threshold` and `healthy` are skipped, since `NervesHub` stores them and
    /// decides nothing by them.
    ///
    /// # Errors
    /// [`ImportError`] names the field. Priority queues, and steps for devices with tags or at
    /// network interfaces, are refused.
    pub fn from_nerves_hub(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        match body.list("steps")? {
            Some(steps) => workflow(&steps),
            None => match body.object("deployment")? {
                Some(group) => deployment_group(&group),
                None => deployment_group(&body),
            },
        }
    }
}

fn deployment_group(group: &Object<'_>) -> Result<Policy, ImportError> {
    if group.flag("priority_queue_enabled")? == Some(true) {
        let instead = "a release of a more urgent class goes first";
        return Err(group.unsupported("priority_queue_enabled", instead));
    }
    let slots = group.count("concurrent_updates")?.unwrap_or(SLOTS);
    if slots == 0 {
        return Err(group.wrong("concurrent_updates", "must be at least 1"));
    }
    let step = NervesHubStep { in_progress_max: slots, ..NervesHubStep::default() };
    let mut policy = policy(vec![step]);
    let tries = group.count("device_failure_threshold")?.unwrap_or(TRIES);
    let in_a_row = group.count("device_failure_rate_amount")?.unwrap_or(u32::MAX);
    for (name, value) in
        [("device_failure_threshold", tries), ("device_failure_rate_amount", in_a_row)]
    {
        if value == 0 {
            return Err(group.wrong(name, "must be at least 1"));
        }
    }
    policy.retry.attempts_max = tries.min(in_a_row);
    if let Some(minutes) = group.count("inflight_update_expiration_minutes")? {
        if minutes < EXPIRATION_MIN {
            let problem = format!("must be at least {EXPIRATION_MIN}");
            return Err(group.wrong("inflight_update_expiration_minutes", &problem));
        }
        policy.attempt_limit = Some(Span::secs(u64::from(minutes) * 60));
    }
    policy.validated().map_err(ImportError::Policy)
}

/// Steps in their order. An approval is a step of its own there, and a property of the step that
/// follows here; whoever no step takes comes last.
fn workflow(steps: &[Object<'_>]) -> Result<Policy, ImportError> {
    let (mut all, mut approval, mut ends) = (Vec::new(), false, false);
    for step in steps {
        match step.text("type")? {
            Some("approval_required") => approval = true,
            kind @ (None | Some("update_devices" | "catch_all")) => {
                ends = kind == Some("catch_all");
                all.push(NervesHubStep { approval, ..workflow_step(step, ends)? });
                approval = false;
            }
            Some(_) => {
                let known = "must be update_devices, approval_required or catch_all";
                return Err(step.wrong("type", known));
            }
        }
    }
    if !ends {
        let rest = NervesHubStep { failed_max: None, approval, ..NervesHubStep::default() };
        all.push(NervesHubStep { in_progress_max: SLOTS, ..rest });
    }
    policy(all).validated().map_err(ImportError::Policy)
}

fn workflow_step(step: &Object<'_>, takes_all: bool) -> Result<NervesHubStep, ImportError> {
    let mut devices = None;
    if let Some(conditions) = step.object("matching_conditions")? {
        for name in ["tags", "network_interfaces"] {
            let is_empty =
                conditions.value(name).and_then(|it| it.as_array()).is_none_or(Vec::is_empty);
            if !is_empty {
                let instead = "open an operation for picked devices";
                return Err(conditions.unsupported(name, instead));
            }
        }
        devices = conditions.count("match_limit")?;
    }
    let slots = step.count("concurrent_updates")?.unwrap_or(SLOTS);
    let limit = match step.object("failure_tolerance")? {
        _ if takes_all => None,
        None => Some(1),
        Some(tolerance) => Some(failures(&tolerance, devices)?),
    };
    Ok(NervesHubStep {
        devices,
        in_progress_max: slots,
        // The step fails when so many devices failed; ours when more than tolerated did.
        failed_max: limit.map(|limit| limit - 1),
        approval: false,
    })
}

/// Failures that fail a step: a count, or a part of its devices, rounded up; at least one.
fn failures(tolerance: &Object<'_>, devices: Option<u32>) -> Result<u32, ImportError> {
    match (tolerance.count("devices")?, tolerance.count("percent")?, devices) {
        (Some(count), None, _) => Ok(count.max(1)),
        (None, Some(percent), Some(devices)) if (1..=100).contains(&percent) => {
            let share = u64::from(devices) * u64::from(percent);
            Ok(u32::try_from(share.div_ceil(100)).unwrap_or(u32::MAX).max(1))
        }
        (None, Some(1..=100), None) => {
            let instead = "give a count of `devices`, or the step a `match_limit`";
            Err(tolerance.unsupported("percent", instead))
        }
        (None, Some(_), _) => Err(tolerance.wrong("percent", "must be 1 to 100")),
        _ => Err(tolerance.wrong("devices", "or `percent` is needed, and not both")),
    }
}

fn policy(steps: Vec<NervesHubStep>) -> Policy {
    let mut policy = Policy { rule: Rule::NervesHub(NervesHub { steps }), ..Policy::default() };
    policy.retry.attempts_max = TRIES;
    policy
}

/// Devices at a time when a group or a step does not say.
const SLOTS: u32 = 10;
/// Tries on one device when a group does not say.
const TRIES: u32 = 3;
/// Shortest time after which an update in flight may expire, in minutes.
const EXPIRATION_MIN: u32 = 30;
