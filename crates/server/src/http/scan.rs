//! Looks at many devices without keeping the driver from its work: a few thousand at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::{
    ComplianceCounts, Count, DeviceQuery, DeviceSummary, FleetSummary, Page, PresenceCounts,
    ProblemCode, VersionCount, page_limit,
};
use model::{Device, DeviceId, OperationId, Time};

use super::Site;
use super::answer::Refusal;
use super::view::{View, same};

/// What is counted over the whole fleet, and when it was.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    at: Time,
    tally: Tally,
}

/// The fleet in numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) devices: u64,
    pub(super) presence: PresenceCounts,
    compliance: ComplianceCounts,
    models: BTreeMap<String, u64>,
    hardware: BTreeMap<String, u64>,
    versions: BTreeMap<(String, String), u64>,
}

impl Site {
    /// Counts the fleet; what was counted a moment ago counts for everyone who asks.
    pub(super) async fn tally(&self) -> Result<Tally, Refusal> {
        let mut counted = self.counted.lock().await;
        let now = self.handle.now();
        if let Some(known) = counted.as_ref()
            && now.since(known.at) < COUNT_EVERY
        {
            return Ok(known.tally.clone());
        }
        let visit = |tally: &mut Tally, view: &View<'_>, device: &Device| {
            tally.add(view, device);
            true
        };
        let tally = self.scan(DeviceId(1), Tally::default(), visit).await?;
        *counted = Some(Counted { at: now, tally: tally.clone() });
        Ok(tally)
    }

    /// A page of the devices that a query asks for.
    pub(super) async fn find(&self, query: DeviceQuery) -> Result<Page<DeviceSummary>, Refusal> {
        let search = self.search(&query).await?;
        let from = match &query.after {
            Some(after) => DeviceId(cursor(after)?.saturating_add(1)),
            None => DeviceId(1),
        };
        let limit = page_limit(query.limit);
        let search = Arc::new(search);
        let everyone = search.is_everyone();
        let visit = move |found: &mut Vec<DeviceSummary>, view: &View<'_>, device: &Device| {
            if search.matches(view, device) {
                found.push(view.device(device));
            }
            // One more than the page holds tells whether another page follows.
            found.len() <= limit
        };
        let mut items = self.scan(from, Vec::new(), visit).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|device| device.name.clone());
        let total = if everyone {
            Some(self.handle.view(|engine, _| engine.fleet().len() as u64).await?)
        } else {
            None
        };
        Ok(Page { items, next, total })
    }

    async fn search(&self, query: &DeviceQuery) -> Result<Search, Refusal> {
        let operation = match (&query.operation, &query.reason) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Refusal::new(
                    ProblemCode::BadRequest,
                    "a reason is asked for without an operation",
                )
                .field("operation")
                .hint("Name the operation, e.g. `operation=op-1`."));
            }
            (Some(name), reason) => {
                if let Some(code) = reason.as_deref().filter(|code| api::explain(code).is_none()) {
                    let message = format!("there is no reason `{code}`");
                    return Err(Refusal::new(ProblemCode::BadRequest, message)
                        .field("reason")
                        .hint("`bellwether operation get` lists those of an operation, the reference all."));
                }
                Some((self.operation_id(name).await?, reason.clone()))
            }
        };
        Ok(Search {
            q: query.q.as_deref().map(str::to_lowercase),
            model: query.model.clone(),
            version: query.version.as_deref().map(model::Version::new),
            presence: query.presence,
            compliance: query.compliance,
            operation,
        })
    }

    /// Visits devices from a number on, in the order of their numbers, until `visit` says no.
    async fn scan<S: Send + 'static>(
        &self,
        from: DeviceId,
        state: S,
        visit: impl Fn(&mut S, &View<'_>, &Device) -> bool + Send + Sync + 'static,
    ) -> Result<S, Refusal> {
        let visit = Arc::new(visit);
        let (mut state, mut from) = (state, from);
        loop {
            let visit = Arc::clone(&visit);
            let (end, next);
            (state, end, next) = self
                .handle
                .view(move |engine, now| {
                    let view = View::new(engine, now);
                    let last = engine.fleet().next_id().0;
                    let stop = last.min(from.0.saturating_add(DEVICES_AT_ONCE));
                    let devices =
                        (from.0..stop).filter_map(|id| engine.fleet().device(DeviceId(id)));
                    let mut going = true;
                    for device in devices {
                        going = visit(&mut state, &view, device);
                        if !going {
                            break;
                        }
                    }
                    (state, !going || stop >= last, DeviceId(stop))
                })
                .await?;
            if end {
                return Ok(state);
            }
            from = next;
        }
    }
}

/// What devices must be to be found.
#[derive(Debug)]
struct Search {
    q: Option<String>,
    model: Option<String>,
    version: Option<model::Version>,
    presence: Option<api::Presence>,
    compliance: Option<api::Compliance>,
    operation: Option<(OperationId, Option<String>)>,
}

impl Search {
    const fn is_everyone(&self) -> bool {
        self.q.is_none()
            && self.model.is_none()
            && self.version.is_none()
            && self.presence.is_none()
            && self.compliance.is_none()
            && self.operation.is_none()
    }

    fn matches(&self, view: &View<'_>, device: &Device) -> bool {
        let named = |q: &String| device.endpoint.as_str().to_lowercase().contains(q);
        self.q.as_ref().is_none_or(named)
            && self.model.as_ref().is_none_or(|wanted| is_model(device, wanted))
            && self.version.as_ref().is_none_or(|wanted| device.version.as_ref() == Some(wanted))
            && self.presence.is_none_or(|wanted| wanted == device.presence.into())
            && self.compliance.is_none_or(|wanted| wanted == view.compliance(device))
            && self.operation.as_ref().is_none_or(|(operation, reason)| {
                concerns(view, device, *operation, reason.as_deref())
            })
    }
}

/// Whether an operation has granted a device; with a reason, whether it leaves it out or lets it
/// wait for that reason.
fn concerns(
    view: &View<'_>,
    device: &Device,
    operation: OperationId,
    reason: Option<&str>,
) -> bool {
    use model::Eligibility::{Eligible, Excluded, Waiting};
    let Some(reason) = reason else {
        return view.loops.assignment(operation, device.id).is_some();
    };
    match view.loops.identify(operation, device, view.now) {
        Eligible { .. } => false,
        Waiting { exclusion } | Excluded { exclusion } => exclusion.code() == reason,
    }
}

fn is_model(device: &Device, wanted: &str) -> bool {
    let (manufacturer, model) = match wanted.split_once(" / ") {
        Some((manufacturer, model)) => (Some(manufacturer), model),
        None => (None, wanted),
    };
    device.model.as_deref().is_some_and(|observed| same(observed, model))
        && manufacturer.is_none_or(|wanted| {
            device.manufacturer.as_deref().is_some_and(|observed| same(observed, wanted))
        })
}

impl Tally {
    fn add(&mut self, view: &View<'_>, device: &Device) {
        let presence = match device.presence {
            model::Presence::Online => &mut self.presence.online,
            model::Presence::Asleep => &mut self.presence.asleep,
            model::Presence::Offline => &mut self.presence.offline,
        };
        *presence += 1;
        self.devices += 1;
        self.compliance.add(view.compliance(device));
        let model = kind(device);
        let hardware = device.hardware.as_deref().unwrap_or_default();
        let version = device.version.as_ref().map(ToString::to_string).unwrap_or_default();
        count(&mut self.models, model.clone());
        count(&mut self.hardware, hardware.to_owned());
        count(&mut self.versions, (model, version));
    }

    pub(super) fn summary(self) -> FleetSummary {
        let counts = |counted: BTreeMap<String, u64>| {
            counted.into_iter().map(|(key, devices)| Count { key, devices }).collect()
        };
        FleetSummary {
            devices: self.devices,
            presence: self.presence,
            compliance: self.compliance,
            models: counts(self.models),
            hardware: counts(self.hardware),
            versions: self
                .versions
                .into_iter()
                .map(|((model, version), devices)| VersionCount { model, version, devices })
                .collect(),
            releases: 0,
            operations: Vec::new(),
        }
    }
}

fn kind(device: &Device) -> String {
    match (&device.manufacturer, &device.model) {
        (Some(manufacturer), Some(model)) => format!("{manufacturer} / {model}"),
        (Some(one), None) | (None, Some(one)) => one.as_ref().to_owned(),
        (None, None) => String::new(),
    }
}

/// Counts one more. Devices say what they are themselves, so the number of kinds is bounded here:
/// what comes later is counted under one name.
fn count<K: Ord + From<Other>>(counted: &mut BTreeMap<K, u64>, key: K) {
    let key =
        if counted.len() >= KEYS_MAX && !counted.contains_key(&key) { K::from(Other) } else { key };
    *counted.entry(key).or_default() += 1;
}

/// Everything beyond what is counted by name.
struct Other;

impl From<Other> for String {
    fn from(_: Other) -> Self {
        "(others)".to_owned()
    }
}

impl From<Other> for (String, String) {
    fn from(_: Other) -> Self {
        ("(others)".to_owned(), String::new())
    }
}

/// The number in a cursor, `dev-7` or `7`.
pub(super) fn cursor(text: &str) -> Result<u64, Refusal> {
    let digits = text.rsplit_once('-').map_or(text, |(_, digits)| digits);
    digits.parse().map_err(|_| {
        Refusal::new(ProblemCode::BadRequest, format!("`{text}` is no place to go on from"))
            .field("after")
            .hint("Send the `next` of the page before.")
    })
}

/// Devices looked at in one turn of the driver; a few milliseconds.
const DEVICES_AT_ONCE: u64 = 4_096;

/// How long a count of the fleet is good for.
const COUNT_EVERY: Duration = Duration::from_millis(500);

/// Kinds counted by name.
const KEYS_MAX: usize = 500;
