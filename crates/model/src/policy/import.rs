//! Policies from the settings of other systems, in their own JSON.
//!
//! What has no meaning here is refused by the name of its field when leaving it out would change
//! how the operation is regulated, and skipped when it says what to install or whom to.

mod nebraska;
mod nerves_hub;
mod nodewright;

use serde_json::{Map, Value};

use super::{
    AwsAbort, AwsCount, AwsFailure, AwsGrowth, AwsJobs, CheckedSteps, Edgehog, HawkBit,
    HawkBitGroup, Mender, MenderPhase, Policy, Rule,
};
use crate::{Rate, Span, Time};

/// A setting of another system that cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The text is no JSON object.
    #[error("the text is no JSON object: {detail}; give the body of the other system's request")]
    NotJson {
        /// What the parser says, with line and column.
        detail: String,
    },
    /// A field is missing, of another type or out of range.
    #[error("`{field}` {problem}")]
    Field {
        /// Where it is, e.g. `abortConfig.criteriaList[0].failureType`.
        field: String,
        /// What is wrong, and what is accepted.
        problem: String,
    },
    /// A field asks for something that does not exist here.
    #[error("`{field}` has no counterpart here: {instead}")]
    Unsupported {
        /// Where it is.
        field: String,
        /// What to do instead.
        instead: String,
    },
    /// The fields are fine one by one and not together.
    #[error("{0}")]
    Policy(String),
}

impl Policy {
    /// Takes over `jobExecutionsRolloutConfig`, `abortConfig`, `timeoutConfig` and
    /// `jobExecutionsRetryConfig` of a `CreateJob` request of AWS IoT Jobs. All four are optional,
    /// as there.
    ///
    /// # Errors
    /// [`ImportError`] names the field.
    pub fn from_aws_job(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        body.is_of("AWS IoT Jobs", &AWS_FIELDS)?;
        let mut rule = AwsJobs::default();
        if let Some(rollout) = body.object("jobExecutionsRolloutConfig")? {
            rollout.only(&["maximumPerMinute", "exponentialRate"])?;
            if let Some(most) = rollout.count("maximumPerMinute")? {
                if !(1..=1_000).contains(&most) {
                    return Err(rollout.wrong("maximumPerMinute", "must be 1 to 1000"));
                }
                rule.per_minute_max = most;
            }
            rule.growth = rollout.object("exponentialRate")?.map(|o| aws_growth(&o)).transpose()?;
        }
        if let Some(abort) = body.object("abortConfig")? {
            abort.only(&["criteriaList"])?;
            rule.abort = abort
                .list("criteriaList")?
                .ok_or_else(|| abort.missing("criteriaList"))?
                .iter()
                .map(aws_abort)
                .collect::<Result<_, _>>()?;
        }
        let mut policy = Self { rule: Rule::AwsJobs(rule), ..Self::default() };
        policy.retry.attempts_max = 1;
        if let Some(timeout) = body.object("timeoutConfig")?
            && let Some(minutes) = timeout.count("inProgressTimeoutInMinutes")?
        {
            if !(1..=10_080).contains(&minutes) {
                return Err(timeout.wrong("inProgressTimeoutInMinutes", "must be 1 to 10080"));
            }
            policy.attempt_limit = Some(Span::secs(u64::from(minutes) * 60));
        }
        if let Some(retry) = body.object("jobExecutionsRetryConfig")? {
            for criterion in retry.list("criteriaList")?.unwrap_or_default() {
                let retries = criterion.count("numberOfRetries")?.unwrap_or(0);
                if retries > 10 {
                    return Err(criterion.wrong("numberOfRetries", "must be 0 to 10"));
                }
                policy.retry.attempts_max = policy.retry.attempts_max.max(1 + retries);
            }
        }
        policy.validated().map_err(ImportError::Policy)
    }

    /// Takes over the conditions and groups of a request that creates a hawkBit rollout.
    ///
    /// # Errors
    /// [`ImportError`] names the field. Filters of single groups and dynamic rollouts are
    /// refused: an operation takes newcomers by itself.
    pub fn from_hawkbit_rollout(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        body.is_of("hawkBit", &HAWKBIT_FIELDS)?;
        let all = hawkbit_group(&body, HawkBitGroup::default())?;
        let groups = match body.list("groups")? {
            Some(groups) if !groups.is_empty() => groups
                .iter()
                .map(|group| {
                    if group.text("targetFilterQuery")?.is_some_and(|query| !query.is_empty()) {
                        let instead = "open an operation for picked devices";
                        return Err(group.unsupported("targetFilterQuery", instead));
                    }
                    let share = group.percentage("targetPercentage")?;
                    let group = hawkbit_group(group, all)?;
                    Ok(HawkBitGroup { share: share.or(Some(Rate::WHOLE)), ..group })
                })
                .collect::<Result<_, _>>()?,
            _ => {
                let groups = body.count("amountGroups")?.unwrap_or(1);
                if !(1..=500).contains(&groups) {
                    return Err(body.wrong("amountGroups", "must be 1 to 500"));
                }
                vec![all; usize::try_from(groups).unwrap_or(1)]
            }
        };
        let mut policy = Self { rule: Rule::HawkBit(HawkBit { groups }), ..Self::default() };
        policy.retry.attempts_max = 1;
        policy.validated().map_err(ImportError::Policy)
    }

    /// Takes over `phases` and `retries` of a request that creates a Mender deployment, for an
    /// operation that starts at `start`.
    ///
    /// # Errors
    /// [`ImportError`] names the field.
    pub fn from_mender_deployment(json: &str, start: Time) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        body.is_of("Mender", &MENDER_FIELDS)?;
        if body.value("max_devices").is_some() {
            let instead = "open an operation for picked devices";
            return Err(body.unsupported("max_devices", instead));
        }
        let mut phases = Vec::new();
        for phase in body.list("phases")?.unwrap_or_default() {
            let after = match phase.text("start_ts")? {
                Some(text) => {
                    let wrong =
                        || phase.wrong("start_ts", "is no time such as 2026-11-22T09:00:00Z");
                    Span(time(text).ok_or_else(wrong)?.since(start))
                }
                None => Span::secs(0),
            };
            phases.push(MenderPhase { share: phase.percentage("batch_size")?, after });
        }
        if phases.is_empty() {
            phases.push(MenderPhase { share: None, after: Span::secs(0) });
        }
        let mut policy = Self { rule: Rule::Mender(Mender { phases }), ..Self::default() };
        policy.retry.attempts_max = 1 + body.count("retries")?.unwrap_or(0);
        policy.validated().map_err(ImportError::Policy)
    }

    /// Takes over `rolloutMechanism.push` of the input that creates an Edgehog update campaign: the
    /// input itself, the variables of the GraphQL request, or the whole request.
    ///
    /// # Errors
    /// [`ImportError`] names the field.
    pub fn from_edgehog_campaign(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        let body = body.object("variables")?.unwrap_or(body);
        let body = body.object("input")?.unwrap_or(body);
        body.is_of("Edgehog", &EDGEHOG_FIELDS)?;
        let mechanism =
            body.object("rolloutMechanism")?.ok_or_else(|| body.missing("rolloutMechanism"))?;
        let push = mechanism.object("push")?.ok_or_else(|| mechanism.missing("push"))?;
        let needed = |name: &str| push.count(name)?.ok_or_else(|| push.missing(name));
        let failed_max = push.percentage("maxFailurePercentage")?;
        let rule = Edgehog {
            in_progress_max: needed("maxInProgressUpdates")?,
            failed_max: failed_max.ok_or_else(|| push.missing("maxFailurePercentage"))?,
        };
        let mut policy = Self { rule: Rule::Edgehog(rule), ..Self::default() };
        policy.retry.attempts_max = 1 + push.count("otaRequestRetries")?.unwrap_or(3);
        let timeout_s = push.count("otaRequestTimeoutSeconds")?;
        policy.attempt_limit = timeout_s.map(|seconds| Span::secs(u64::from(seconds)));
        policy.validated().map_err(ImportError::Policy)
    }

    /// Takes over `analysis` of a Flagger canary: interval, threshold, weights, and the limits of
    /// the metrics `request-success-rate` and `request-duration`.
    ///
    /// # Errors
    /// [`ImportError`] names the field. Other metrics and webhooks are refused.
    pub fn from_flagger_canary(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        let body = body.object("spec")?.unwrap_or(body);
        let analysis = body.object("analysis")?.ok_or_else(|| body.missing("analysis"))?;
        if analysis.list("webhooks")?.is_some_and(|hooks| !hooks.is_empty()) {
            let instead = "an operator pauses and resumes an operation";
            return Err(analysis.unsupported("webhooks", instead));
        }
        let wrong = || analysis.wrong("interval", "is no span of time such as `1m`");
        let interval = match analysis.text("interval")? {
            Some(text) => text.parse().map_err(|_| wrong())?,
            None => Span::secs(60),
        };
        let mut rule = CheckedSteps {
            interval,
            weights: flagger_weights(&analysis)?,
            errors_max: Rate::WHOLE,
            response_time_us_max: None,
            failed_checks_max: analysis.count("threshold")?.unwrap_or(1),
            missing_fails: true,
        };
        for metric in analysis.list("metrics")?.unwrap_or_default() {
            let range = metric.object("thresholdRange")?;
            let range = range.ok_or_else(|| metric.missing("thresholdRange"))?;
            match metric.text("name")?.unwrap_or_default() {
                "request-success-rate" => {
                    let least = range.percentage("min")?.ok_or_else(|| range.missing("min"))?;
                    let points = Rate::WHOLE.as_basis_points() - least.as_basis_points();
                    rule.errors_max = Rate::basis_points(points);
                }
                "request-duration" => {
                    let millis = range.count("max")?.ok_or_else(|| range.missing("max"))?;
                    rule.response_time_us_max = Some(u64::from(millis) * 1_000);
                }
                _ => {
                    let instead = "request-success-rate and request-duration are understood";
                    return Err(metric.unsupported("name", instead));
                }
            }
        }
        let policy = Self { rule: Rule::CheckedSteps(rule), ..Self::default() };
        policy.validated().map_err(ImportError::Policy)
    }
}

fn aws_growth(growth: &Object<'_>) -> Result<AwsGrowth, ImportError> {
    growth.only(&["baseRatePerMinute", "incrementFactor", "rateIncreaseCriteria"])?;
    let needed = |name: &str| growth.count(name)?.ok_or_else(|| growth.missing(name));
    let criteria = growth.object("rateIncreaseCriteria")?;
    let criteria = criteria.ok_or_else(|| growth.missing("rateIncreaseCriteria"))?;
    let notified = criteria.count("numberOfNotifiedThings")?;
    let (count, devices) = match (notified, criteria.count("numberOfSucceededThings")?) {
        (Some(devices), None) => (AwsCount::Notified, devices),
        (None, Some(devices)) => (AwsCount::Succeeded, devices),
        _ => {
            let one = "needs one of `numberOfNotifiedThings` and `numberOfSucceededThings`";
            return Err(growth.wrong("rateIncreaseCriteria", one));
        }
    };
    let factor = growth.hundredths("incrementFactor", "1.1 to 5")?;
    let base_per_minute = needed("baseRatePerMinute")?;
    if !(1..=1_000).contains(&base_per_minute) {
        return Err(growth.wrong("baseRatePerMinute", "must be 1 to 1000"));
    }
    Ok(AwsGrowth {
        base_per_minute,
        factor: Rate::basis_points(
            factor.ok_or_else(|| growth.missing("incrementFactor"))?.saturating_mul(100),
        ),
        count,
        devices,
    })
}

fn aws_abort(criterion: &Object<'_>) -> Result<AwsAbort, ImportError> {
    criterion.only(&[
        "failureType",
        "action",
        "thresholdPercentage",
        "minNumberOfExecutedThings",
    ])?;
    let failure = match criterion.text("failureType")? {
        Some("FAILED") => AwsFailure::Failed,
        Some("REJECTED") => AwsFailure::Rejected,
        Some("TIMED_OUT") => AwsFailure::TimedOut,
        Some("ALL") => AwsFailure::All,
        _ => {
            let known = "must be FAILED, REJECTED, TIMED_OUT or ALL";
            return Err(criterion.wrong("failureType", known));
        }
    };
    if criterion.text("action")? != Some("CANCEL") {
        return Err(criterion.wrong("action", "must be CANCEL"));
    }
    let threshold = criterion.percentage("thresholdPercentage")?;
    let executed = criterion.count("minNumberOfExecutedThings")?;
    Ok(AwsAbort {
        failure,
        threshold: threshold.ok_or_else(|| criterion.missing("thresholdPercentage"))?,
        executed_min: executed.ok_or_else(|| criterion.missing("minNumberOfExecutedThings"))?,
    })
}

/// The conditions and actions of a hawkBit rollout or group, over those given.
fn hawkbit_group(object: &Object<'_>, over: HawkBitGroup) -> Result<HawkBitGroup, ImportError> {
    let mut group = over;
    for (name, share) in
        [("successCondition", &mut group.success), ("errorCondition", &mut group.errors)]
    {
        let Some(condition) = object.object(name)? else { continue };
        if !matches!(condition.text("condition")?, None | Some("THRESHOLD")) {
            return Err(condition.wrong("condition", "must be THRESHOLD"));
        }
        let text = condition.text("expression")?.ok_or_else(|| condition.missing("expression"))?;
        let wrong = || condition.wrong("expression", "must be a whole percentage, 0 to 100");
        let percent: u32 = text.parse().map_err(|_| wrong())?;
        *share = Rate::percent(Some(percent).filter(|p| *p <= 100).ok_or_else(wrong)?);
    }
    if let Some(action) = object.object("successAction")? {
        group.approval_after = match action.text("action")? {
            Some("NEXTGROUP") => false,
            Some("PAUSE") => true,
            _ => return Err(action.wrong("action", "must be NEXTGROUP or PAUSE")),
        };
    }
    if let Some(action) = object.object("errorAction")?
        && action.text("action")? != Some("PAUSE")
    {
        return Err(action.wrong("action", "must be PAUSE"));
    }
    if object.value("dynamic").is_some_and(|dynamic| *dynamic == Value::Bool(true)) {
        return Err(object.unsupported("dynamic", "newcomers join the last group by themselves"));
    }
    Ok(group)
}

/// `stepWeights` as they are, or all multiples of `stepWeight` up to `maxWeight`.
fn flagger_weights(analysis: &Object<'_>) -> Result<Vec<Rate>, ImportError> {
    let percent = |value: &Value| value.as_u64().and_then(|v| u32::try_from(v).ok());
    if let Some(Value::Array(weights)) = analysis.value("stepWeights") {
        let wrong = || analysis.wrong("stepWeights", "must be a list of whole percentages");
        let rates = weights.iter().map(|w| percent(w).filter(|p| *p <= 100).map(Rate::percent));
        return rates.collect::<Option<_>>().ok_or_else(wrong);
    }
    let step = analysis.count("stepWeight")?.ok_or_else(|| analysis.missing("stepWeight"))?;
    let most = analysis.count("maxWeight")?.unwrap_or(100);
    if step == 0 || most > 100 || step > most {
        return Err(analysis.wrong("stepWeight", "must be 1 to `maxWeight`, which is at most 100"));
    }
    Ok((1..=most / step).map(|k| Rate::percent(k * step)).collect())
}

/// An object with the way to it, for errors.
struct Object<'a> {
    path: String,
    fields: std::borrow::Cow<'a, Map<String, Value>>,
}

impl Object<'_> {
    fn read(json: &str) -> Result<Object<'static>, ImportError> {
        let bad = |error: serde_json::Error| ImportError::NotJson { detail: error.to_string() };
        let fields: Map<String, Value> = serde_json::from_str(json).map_err(bad)?;
        Ok(Object { path: String::new(), fields: std::borrow::Cow::Owned(fields) })
    }

    /// Refuses fields that the other system does not have here: a misspelt limit would be none.
    fn only(&self, known: &[&str]) -> Result<(), ImportError> {
        match self.fields.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                Err(self.wrong(name, &format!("is not known; there are {}", known.join(", "))))
            }
        }
    }

    /// Refuses a text that has fields, and none of what a request of that system has.
    fn is_of(&self, system: &str, known: &[&str]) -> Result<(), ImportError> {
        let is_known = known.iter().any(|name| self.fields.contains_key(*name));
        if is_known || self.fields.is_empty() {
            return Ok(());
        }
        Err(ImportError::Policy(format!(
            "this is no request of {system}; it would have one of {}",
            known.join(", ")
        )))
    }

    /// A field that is there and not null.
    fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn object(&self, name: &str) -> Result<Option<Object<'static>>, ImportError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(self.below(name, fields))),
            Some(_) => Err(self.wrong(name, "must be an object")),
        }
    }

    fn list(&self, name: &str) -> Result<Option<Vec<Object<'static>>>, ImportError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let wrong = || self.wrong(name, "must be a list of objects");
        let entries = value.as_array().ok_or_else(wrong)?.iter().enumerate();
        let object = |(at, entry): (usize, &Value)| {
            let fields = entry.as_object().ok_or_else(wrong)?;
            Ok(self.below(&format!("{name}[{at}]"), fields))
        };
        entries.map(object).collect::<Result<_, _>>().map(Some)
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ImportError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "must be a text"))
    }

    fn count(&self, name: &str) -> Result<Option<u32>, ImportError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        count.map(Some).ok_or_else(|| self.wrong(name, "must be a whole number, at least 0"))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, ImportError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(name, "must be true or false"))
    }

    fn percentage(&self, name: &str) -> Result<Option<Rate>, ImportError> {
        let points = self.hundredths(name, "0 to 100, with at most two decimals")?;
        match points {
            Some(points) if points > 10_000 => Err(self.wrong(name, "must be at most 100")),
            points => Ok(points.map(Rate::basis_points)),
        }
    }

    /// A number in hundredths, taken from its digits: no float takes part.
    fn hundredths(&self, name: &str, expected: &str) -> Result<Option<u32>, ImportError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.as_number().map(ToString::to_string).unwrap_or_default();
        let rate: Result<Rate, _> = match text.split_once('.') {
            Some((whole, part)) => {
                let part = part.trim_end_matches('0');
                format!("{whole}.{}%", if part.is_empty() { "0" } else { part }).parse()
            }
            None => format!("{text}%").parse(),
        };
        let wrong = |_| self.wrong(name, &format!("must be a number, {expected}"));
        rate.map(|rate| Some(rate.as_basis_points())).map_err(wrong)
    }

    fn below(&self, name: &str, fields: &Map<String, Value>) -> Object<'static> {
        Object { path: self.at(name), fields: std::borrow::Cow::Owned(fields.clone()) }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn missing(&self, name: &str) -> ImportError {
        self.wrong(name, "is missing")
    }

    fn wrong(&self, name: &str, problem: &str) -> ImportError {
        ImportError::Field { field: self.at(name), problem: problem.to_owned() }
    }

    fn unsupported(&self, name: &str, instead: &str) -> ImportError {
        ImportError::Unsupported { field: self.at(name), instead: instead.to_owned() }
    }
}

/// A time in RFC 3339, to the second; an offset from UTC is taken into account.
fn time(text: &str) -> Option<Time> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = match rest.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (hours, minutes) = rest[at + 1..].split_once(':')?;
            let minutes = number(hours, 23)? * 60 + number(minutes, 59)?;
            (&rest[..at], if rest[at..].starts_with('-') { -minutes } else { minutes })
        }
    };
    let clock = clock.split_once('.').map_or(clock, |(seconds, _)| seconds);
    let mut parts = date.splitn(3, '-');
    let (year, month) = (number(parts.next()?, 9_999)?, number(parts.next()?, 12)?);
    let day = number(parts.next()?, 31)?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 23)?, number(parts.next()?, 59)?);
    let second = number(parts.next()?, 60)?;
    if year < 1_970 || month == 0 || day == 0 {
        return None;
    }
    // Days since 0000-03-01 in the Gregorian calendar, so that the leap day ends a year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60;
    u64::try_from(seconds).ok().map(Time::from_secs)
}

fn number(digits: &str, most: i64) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number <= most)
}

/// Of a `CreateJob` request; one of them must be there.
const AWS_FIELDS: [&str; 7] = [
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
    "jobId",
    "targets",
    "document",
];
/// Of a request that creates a rollout; one of them must be there.
const HAWKBIT_FIELDS: [&str; 9] = [
    "errorAction",
    "dynamic",
    "groups",
    "amountGroups",
    "successCondition",
    "errorCondition",
    "successAction",
    "distributionSetId",
    "targetFilterQuery",
];
/// Of the input that creates an update campaign; one of them must be there.
const EDGEHOG_FIELDS: [&str; 4] = ["rolloutMechanism", "name", "baseImageId", "updateChannelId"];
/// Of a request that creates a deployment; one of them must be there.
const MENDER_FIELDS: [&str; 6] =
    ["max_devices", "phases", "retries", "artifact_name", "devices", "filter_id"];

#[cfg(test)]
mod tests;
