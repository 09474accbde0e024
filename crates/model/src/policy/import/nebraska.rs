//! Groups of Nebraska.

use super::{ImportError, Object};
use crate::{Nebraska, OfficeHours, Policy, Rule, Span};

impl Policy {
    /// Takes over the `policy_…` fields of a Nebraska group, as its interface takes and gives
    /// them. Spans are those of its database, such as `15 minutes`.
    ///
    /// # Errors
    /// [`ImportError`] names the field. Office hours need a time zone at a fixed distance from
    /// UTC, since rules here know no summer time.
    pub fn from_nebraska_group(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        if body.flag("policy_updates_enabled")? == Some(false) {
            return Err(body.wrong("policy_updates_enabled", "is false: the group updates nobody"));
        }
        let devices_max = body.count("policy_max_updates_per_period")?;
        let office_hours = match body.flag("policy_office_hours")? {
            Some(true) => Some(office_hours(&body)?),
            _ => None,
        };
        let rule = Nebraska {
            devices_max: devices_max
                .ok_or_else(|| body.missing("policy_max_updates_per_period"))?,
            period: interval(&body, "policy_period_interval")?
                .ok_or_else(|| body.missing("policy_period_interval"))?,
            safe_mode: body.flag("policy_safe_mode")?.unwrap_or(false),
            office_hours,
        };
        let mut policy = Self { rule: Rule::Nebraska(rule), ..Self::default() };
        policy.attempt_limit = interval(&body, "policy_update_timeout")?;
        policy.validated().map_err(ImportError::Policy)
    }
}

/// A number and a unit, such as `15 minutes`.
fn interval(body: &Object<'_>, name: &str) -> Result<Option<Span>, ImportError> {
    let Some(text) = body.text(name)? else { return Ok(None) };
    let wrong = || body.wrong(name, "must be a number and a unit, such as `15 minutes`");
    let (number, unit) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let seconds: u64 = match unit.trim().trim_end_matches('s') {
        "second" | "sec" => 1,
        "minute" | "min" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(|seconds| Some(Span::secs(seconds))).ok_or_else(wrong)
}

/// Only zones without summer time have an offset of their own. In `Etc/GMT+N` the sign is turned
/// round: they are behind UTC.
fn office_hours(body: &Object<'_>) -> Result<OfficeHours, ImportError> {
    let name = "policy_timezone";
    let zone = body.text(name)?.ok_or_else(|| body.missing(name))?;
    let hours = |digits: &str| digits.parse().ok().filter(|hours: &i32| (0..=14).contains(hours));
    let behind = match (zone, zone.strip_prefix("Etc/GMT")) {
        ("UTC" | "GMT" | "Etc/UTC" | "Etc/GMT" | "Zulu", _) => Some(0),
        (_, Some(offset)) => match offset.split_at_checked(1) {
            Some(("+", digits)) => hours(digits),
            Some(("-", digits)) => hours(digits).map(|hours| -hours),
            _ => None,
        },
        _ => None,
    };
    let instead = "only UTC and zones such as Etc/GMT-1 are at a fixed distance from UTC; take the \
                   policy without office hours and set `rule.office_hours.utc_offset_minutes`";
    let behind = behind.ok_or_else(|| body.unsupported(name, instead))?;
    Ok(OfficeHours { utc_offset_minutes: -behind * 60 })
}
