//! Identification (paper A §III-D): the verdict on one device, with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Check, Consent, Device, DeviceId, Eligibility, Exclusion, Hold, Manifest, Observed, Opening,
    OperationId, Policy, Presence, Release, ReleaseId, Requires, Scope, Spread, SpreadBy, Target,
    Time, Unknown, Version, opening,
};

use super::graph::{Graph, Standing};

/// What is asked about a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// The release it would get.
    pub(crate) release: &'a Release,
    /// The releases that lead there.
    pub(crate) graph: &'a Graph,
    /// Whom the operation is for.
    pub(crate) scope: &'a Scope,
    /// Another operation that changes the device now (I1).
    pub(crate) busy: Option<Claim>,
    /// A more urgent operation that has the device next.
    pub(crate) reserved: Option<Claim>,
    /// The version that is taken back: the one downgrade that is permitted (I20).
    pub(crate) undoes: Option<&'a Version>,
    /// The operation with its policy, which may ask for consent, a window, and room at the site;
    /// none where only release and device are held against each other.
    pub(crate) operation: Option<(OperationId, &'a Policy)>,
    /// Devices of its site that are being changed.
    pub(crate) site_devices: u64,
    /// Now.
    pub(crate) now: Time,
}

/// Another operation's hold on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The operation.
    pub(crate) operation: OperationId,
    /// What it installs there, or would.
    pub(crate) release: ReleaseId,
}

/// Standings already looked up, by kind and version: a fleet has many devices and few of these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    key: String,
    standings: BTreeMap<Box<str>, Standing>,
}

/// Why a device is not eligible, and whether that can pass by itself.
struct Refusal {
    exclusion: Exclusion,
    waits: bool,
}

type Verdict = Result<(), Refusal>;

/// Says whether a device can be updated now, or why not. The checks come in a fixed order: kind,
/// hardware, picked, version, path, hold, consent, busy, battery, memory, link, window, presence,
/// spread; the first that fails gives the reason.
pub(crate) fn identify(
    question: &Question<'_>,
    device: &Device,
    memory: &mut Memory,
) -> Eligibility {
    match checked(question, device, memory) {
        Ok(path) => Eligibility::Eligible { path },
        Err(Refusal { exclusion, waits: true }) => Eligibility::Waiting { exclusion },
        Err(Refusal { exclusion, waits: false }) => Eligibility::Excluded { exclusion },
    }
}

/// The version that counts for a release: a firmware's is the device's own, a configuration's is
/// kept by the name of the release.
pub(crate) fn version_of<'a>(release: &Release, device: &'a Device) -> Option<&'a Version> {
    if release.manifest.is_firmware() {
        device.version.as_ref()
    } else {
        device.configurations.get(release.manifest.release.name.as_str())
    }
}

fn checked(
    question: &Question<'_>,
    device: &Device,
    memory: &mut Memory,
) -> Result<Vec<ReleaseId>, Refusal> {
    kind(question, device)?;
    hardware(question, device)?;
    picked(question.scope, device.id)?;
    known_version(question, device)?;
    let standing = memory.standing(question, device);
    version(standing, question, device)?;
    let path = path(standing, question, device)?;
    hold(device)?;
    consent(question, device)?;
    busy(question, path)?;
    for id in path {
        // Each hop has requirements of its own; all must hold before the first is taken.
        let Some(manifest) = question.graph_manifest(*id) else { continue };
        battery(&manifest.requires, device, question.now)?;
        free_memory(&manifest.requires, device, question.now)?;
        link(&manifest.requires, device, question.now)?;
    }
    window(question, device)?;
    presence(device)?;
    spread(question, device)?;
    Ok(path.to_vec())
}

/// When the verdict on a target may change by itself, without any word from the device: a window
/// opens or closes, a value gets too old, the time that was consented to has come.
pub(crate) fn changes_at(
    question: &Question<'_>,
    device: &Device,
    memory: &mut Memory,
) -> Option<Time> {
    let later = |at: &Time| *at > question.now;
    let window = opening_for(question, device).and_then(Opening::changes_at);
    let consent = question.operation.and_then(|(operation, policy)| {
        let given = device.consents.get(&operation)?;
        (policy.consent == Consent::Required).then_some(given.from)
    });
    let values = &device.datamodel;
    let read = [
        values.battery_percent.map(|seen| seen.at),
        values.external_power.map(|seen| seen.at),
        values.free_memory_kib.map(|seen| seen.at),
        values.signal_dbm.map(|seen| seen.at),
    ];
    let ages = steps(memory.standing(question, device))
        .iter()
        .filter_map(|id| question.graph_manifest(*id)?.requires.max_age);
    let old = ages.flat_map(|age| read.iter().flatten().map(move |at| *at + age.0 + TICK));
    old.chain(window).chain(consent).filter(later).min()
}

/// The checks behind [`identify`] in their order, each with what was observed. After the first
/// that fails the others are not asked.
pub(crate) fn explain(question: &Question<'_>, device: &Device) -> Vec<Check> {
    let standing = Memory::default().standing(question, device).clone();
    let version_shown = format!(
        "runs {}, goal {}",
        shown(version_of(question.release, device).map(Version::as_str)),
        question.release.manifest.release.version
    );
    let asked = |name, verdict, detail| Asked { name, verdict, detail, at: None };
    let mut all = vec![
        asked("kind", kind(question, device), observed_kind(device)),
        asked("hardware", hardware(question, device), shown(device.hardware.as_deref())),
        asked("picked", picked(question.scope, device.id), "named, or everyone is".to_owned()),
        asked("identity", known_version(question, device), "version is known".to_owned()),
        asked("version", version(&standing, question, device), version_shown),
        asked("path", path(&standing, question, device).map(|_| ()), hops(&standing)),
        asked("hold", hold(device), "not held".to_owned()),
        asked("consent", consent(question, device), consent_shown(question, device)),
        asked("busy", busy(question, steps(&standing)), "no other operation has it".to_owned()),
    ];
    all.extend(values_asked(question, device, &standing));
    all.push(asked("window", window(question, device), window_shown(question, device)));
    let last_seen = Some(device.last_seen);
    all.push(Asked {
        at: last_seen,
        ..asked("presence", presence(device), "in contact".to_owned())
    });
    all.push(asked("spread", spread(question, device), spread_shown(question, device)));
    let mut failed = false;
    all.into_iter().map(|asked| step(asked, question.now, &mut failed)).collect()
}

/// One check with its answer.
struct Asked {
    name: &'static str,
    verdict: Verdict,
    // What was observed, when it holds.
    detail: String,
    at: Option<Time>,
}

/// The checks of values that the steps of the path require.
fn values_asked(question: &Question<'_>, device: &Device, standing: &Standing) -> [Asked; 3] {
    let requires: Vec<Requires> = match standing {
        Standing::Path(path) => path
            .iter()
            .filter_map(|id| question.graph_manifest(*id))
            .map(|manifest| manifest.requires.clone())
            .collect(),
        _ => vec![question.release.manifest.requires.clone()],
    };
    let each = |check: fn(&Requires, &Device, Time) -> Verdict| -> Verdict {
        requires.iter().try_for_each(|requires| check(requires, device, question.now))
    };
    let model = &device.datamodel;
    [
        Asked {
            name: "battery",
            verdict: each(battery),
            detail: battery_shown(device),
            at: at(model.battery_percent.as_ref()),
        },
        Asked {
            name: "memory",
            verdict: each(free_memory),
            detail: value_shown(model.free_memory_kib.as_ref(), "KiB free"),
            at: at(model.free_memory_kib.as_ref()),
        },
        Asked {
            name: "link",
            verdict: each(link),
            detail: value_shown(model.signal_dbm.as_ref(), "dBm"),
            at: at(model.signal_dbm.as_ref()),
        },
    ]
}

fn step(asked: Asked, now: Time, failed: &mut bool) -> Check {
    let Asked { name, verdict, detail, at } = asked;
    let age = at.map(|at| now.since(at));
    let (holds, detail, age) = match verdict {
        _ if *failed => (None, "not asked, an earlier check decides".to_owned(), None),
        Ok(()) => (Some(true), detail, age),
        Err(Refusal { exclusion, .. }) => {
            *failed = true;
            let unknown = matches!(
                exclusion,
                Exclusion::IdentityUnknown
                    | Exclusion::BatteryUnknown
                    | Exclusion::MemoryUnknown
                    | Exclusion::LinkUnknown
                    | Exclusion::DataStale { .. }
            );
            ((!unknown).then_some(false), exclusion.to_string(), age)
        }
    };
    Check { name: name.to_owned(), holds, detail, age }
}

impl Question<'_> {
    fn graph_manifest(&self, id: ReleaseId) -> Option<&Manifest> {
        if id == self.release.id {
            return Some(&self.release.manifest);
        }
        self.graph.manifest(&self.release.manifest.release.name, id)
    }
}

impl Memory {
    fn standing(&mut self, question: &Question<'_>, device: &Device) -> &Standing {
        let version = version_of(question.release, device);
        self.key.clear();
        let kind = [&device.manufacturer, &device.model, &device.hardware];
        for part in kind {
            self.key.push_str(part.as_deref().unwrap_or(""));
            self.key.push('\u{0}');
        }
        self.key.push_str(version.map_or("\u{0}", Version::as_str));
        if !self.standings.contains_key(self.key.as_str()) {
            // Devices report free text; one that never repeats itself must not fill the memory.
            if self.standings.len() >= STANDINGS_MAX {
                self.standings.clear();
            }
            let fits = |manifest: &Manifest| {
                kind_of(manifest, device).any(|target| fits_hardware(target, device))
            };
            let standing = match question.graph.standing(question.release, version, &fits) {
                Standing::Newer if version.is_some() && version == question.undoes => {
                    Standing::Path(vec![question.release.id])
                }
                standing => standing,
            };
            self.standings.insert(self.key.as_str().into(), standing);
        }
        &self.standings[self.key.as_str()]
    }
}

fn excluded(exclusion: Exclusion) -> Verdict {
    Err(Refusal { exclusion, waits: false })
}

fn waits(exclusion: Exclusion) -> Verdict {
    Err(Refusal { exclusion, waits: true })
}

fn kind(question: &Question<'_>, device: &Device) -> Verdict {
    if device.manufacturer.is_none() || device.model.is_none() {
        // A device that never said what it is becomes a target when it does; a named one is a
        // target already.
        let waits = matches!(question.scope, Scope::Picked { .. });
        return Err(Refusal { exclusion: Exclusion::IdentityUnknown, waits });
    }
    if kind_of(&question.release.manifest, device).next().is_none() {
        return excluded(Exclusion::NotTargetModel { observed: observed_kind(device) });
    }
    Ok(())
}

fn hardware(question: &Question<'_>, device: &Device) -> Verdict {
    if kind_of(&question.release.manifest, device).any(|target| fits_hardware(target, device)) {
        return Ok(());
    }
    match device.hardware.as_deref() {
        Some(observed) => excluded(Exclusion::NotTargetHardware { observed: observed.to_owned() }),
        None => waits(Exclusion::IdentityUnknown),
    }
}

fn picked(scope: &Scope, device: DeviceId) -> Verdict {
    if scope.includes(device) { Ok(()) } else { excluded(Exclusion::NotPicked) }
}

fn known_version(question: &Question<'_>, device: &Device) -> Verdict {
    if question.release.manifest.is_firmware() && device.version.is_none() {
        return waits(Exclusion::IdentityUnknown);
    }
    Ok(())
}

fn version(standing: &Standing, question: &Question<'_>, device: &Device) -> Verdict {
    let version = version_of(question.release, device).cloned();
    match (standing, version) {
        (Standing::Current, Some(version)) => excluded(Exclusion::AlreadyCurrent { version }),
        (Standing::Newer, Some(version)) => excluded(Exclusion::NewerVersion { version }),
        _ => Ok(()),
    }
}

fn path<'a>(
    standing: &'a Standing,
    question: &Question<'_>,
    device: &Device,
) -> Result<&'a [ReleaseId], Refusal> {
    let from =
        || version_of(question.release, device).cloned().unwrap_or_else(|| Version::new("nothing"));
    let exclusion = match standing {
        Standing::Path(path) => return Ok(path),
        Standing::Current | Standing::Newer => return Ok(&[]),
        Standing::NoEdge => Exclusion::PathNoEdge { from: from() },
        Standing::Blocked { reason } => {
            Exclusion::PathBlockedEdge { from: from(), reason: reason.clone() }
        }
    };
    Err(Refusal { exclusion, waits: false })
}

fn hold(device: &Device) -> Verdict {
    match &device.hold {
        None => Ok(()),
        Some(Hold::Operator { reason }) => {
            waits(Exclusion::HeldOperator { reason: reason.clone() })
        }
        Some(Hold::System { reason }) => {
            waits(Exclusion::QuarantinedSystem { reason: reason.clone() })
        }
    }
}

fn busy(question: &Question<'_>, path: &[ReleaseId]) -> Verdict {
    let Some(claim) = question.busy.or(question.reserved) else { return Ok(()) };
    let Claim { operation, release } = claim;
    // What the other one brings is a step of the device's own way: floor first.
    let step = path.split_last().filter(|(_, before)| before.contains(&release));
    if let Some(step) = step.and_then(|_| question.graph_manifest(release)) {
        let step = step.release.version.clone();
        let goal = question.release.manifest.release.version.clone();
        return waits(Exclusion::PathStepPending { step, goal, operation });
    }
    waits(if question.busy.is_some() {
        Exclusion::BusyOtherOperation { operation }
    } else {
        Exclusion::LowerPriority { operation }
    })
}

/// A value that a release requires.
struct Wanted {
    name: &'static str,
    least: i64,
    // The refusal when it was never reported.
    never_reported: Exclusion,
}

fn battery(requires: &Requires, device: &Device, now: Time) -> Verdict {
    let Some(wanted) = requires.battery else { return Ok(()) };
    let model = &device.datamodel;
    let powered =
        model.external_power.is_some_and(|power| power.value && !is_old(requires, power.at, now));
    if wanted.or_external_power && powered {
        return Ok(());
    }
    let never_reported = Exclusion::BatteryUnknown;
    at_least(
        Wanted { name: "battery", least: i64::from(wanted.percent), never_reported },
        model.battery_percent,
        requires,
        now,
        |observed, required, at| Exclusion::BatteryLow { observed, required, at },
    )
}

fn free_memory(requires: &Requires, device: &Device, now: Time) -> Verdict {
    let Some(wanted) = requires.free_memory else { return Ok(()) };
    let least = i64::try_from(wanted).unwrap_or(i64::MAX);
    at_least(
        Wanted { name: "memory", least, never_reported: Exclusion::MemoryUnknown },
        device.datamodel.free_memory_kib,
        requires,
        now,
        |observed, required, at| Exclusion::MemoryLow { observed, required, at },
    )
}

fn link(requires: &Requires, device: &Device, now: Time) -> Verdict {
    let Some(wanted) = requires.link else { return Ok(()) };
    let (least, never_reported) = (wanted.min_rssi_dbm, Exclusion::LinkUnknown);
    at_least(
        Wanted { name: "link", least, never_reported },
        device.datamodel.signal_dbm,
        requires,
        now,
        |observed, required, at| Exclusion::LinkWeak { observed, required, at },
    )
}

fn at_least(
    wanted: Wanted,
    observed: Option<Observed<i64>>,
    requires: &Requires,
    now: Time,
    too_low: impl Fn(i64, i64, Time) -> Exclusion,
) -> Verdict {
    let Wanted { name, least, never_reported } = wanted;
    let not_known = match (observed, requires.max_age) {
        (None, _) => never_reported,
        (Some(seen), Some(max_age)) if is_old(requires, seen.at, now) => {
            Exclusion::DataStale { value: name.to_owned(), at: seen.at, max_age }
        }
        (Some(seen), _) if seen.value < least => return waits(too_low(seen.value, least, seen.at)),
        (Some(_), _) => return Ok(()),
    };
    match requires.unknown {
        Unknown::Allow => Ok(()),
        Unknown::Wait => waits(not_known),
        Unknown::Skip => excluded(not_known),
    }
}

/// Whether a value read then is too old to be believed.
fn is_old(requires: &Requires, at: Time, now: Time) -> bool {
    requires.max_age.is_some_and(|max_age| now.since(at) > max_age.0)
}

fn consent(question: &Question<'_>, device: &Device) -> Verdict {
    let Some((operation, policy)) = question.operation else { return Ok(()) };
    if policy.consent == Consent::None {
        return Ok(());
    }
    match device.consents.get(&operation) {
        None => waits(Exclusion::ConsentPending),
        Some(given) if given.from > question.now => {
            waits(Exclusion::ConsentDeferredUntil { until: given.from, by: given.by.clone() })
        }
        Some(_) => Ok(()),
    }
}

/// Whether a window of the policy is open by the device's clock; none without a policy.
fn opening_for(question: &Question<'_>, device: &Device) -> Option<Opening> {
    let (_, policy) = question.operation?;
    Some(opening(&policy.window, clock(policy, device), question.now))
}

/// Minutes by which the device's clock is ahead of UTC.
fn clock(policy: &Policy, device: &Device) -> i32 {
    device.datamodel.utc_offset_minutes.map_or(policy.utc_offset_minutes, |seen| seen.value)
}

/// Whether no window of the policy is open by the device's clock.
pub(crate) fn is_closed(policy: &Policy, device: &Device, now: Time) -> bool {
    matches!(opening(&policy.window, clock(policy, device), now), Opening::Closed(_))
}

fn window(question: &Question<'_>, device: &Device) -> Verdict {
    let Some((_, policy)) = question.operation else { return Ok(()) };
    match opening_for(question, device) {
        Some(Opening::Closed(opens)) => waits(Exclusion::WindowClosed {
            opens,
            windows: windows_shown(policy),
            utc_offset_minutes: clock(policy, device),
            told: device.datamodel.utc_offset_minutes.is_some(),
        }),
        _ => Ok(()),
    }
}

fn spread(question: &Question<'_>, device: &Device) -> Verdict {
    let Some(Spread { by: SpreadBy::Site, devices_max }) =
        question.operation.and_then(|(_, policy)| policy.spread)
    else {
        return Ok(());
    };
    let devices = question.site_devices;
    match device.site.as_deref() {
        Some(site) if devices >= u64::from(devices_max) => {
            let site = site.to_owned();
            waits(Exclusion::SpreadLimit { site, devices, devices_max })
        }
        _ => Ok(()),
    }
}

fn presence(device: &Device) -> Verdict {
    match device.presence {
        Presence::Online => Ok(()),
        presence @ (Presence::Asleep | Presence::Offline) => {
            waits(Exclusion::OfflineWaiting { presence, last_seen: device.last_seen })
        }
    }
}

/// The targets of a manifest that name the device's manufacturer and model.
fn kind_of<'a>(manifest: &'a Manifest, device: &'a Device) -> impl Iterator<Item = &'a Target> {
    manifest.target.iter().filter(|target| {
        device.manufacturer.as_deref().is_some_and(|text| same(text, &target.manufacturer))
            && device.model.as_deref().is_some_and(|text| same(text, &target.model))
    })
}

fn fits_hardware(target: &Target, device: &Device) -> bool {
    target.hardware.is_empty()
        || device
            .hardware
            .as_deref()
            .is_some_and(|observed| target.hardware.iter().any(|wanted| same(observed, wanted)))
}

/// Texts compare without regard to case and outer white space.
fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    a.eq_ignore_ascii_case(b)
        || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

fn shown(text: Option<&str>) -> String {
    text.unwrap_or("never reported").to_owned()
}

fn observed_kind(device: &Device) -> String {
    format!("{} / {}", shown(device.manufacturer.as_deref()), shown(device.model.as_deref()))
}

fn steps(standing: &Standing) -> &[ReleaseId] {
    match standing {
        Standing::Path(path) => path,
        _ => &[],
    }
}

fn hops(standing: &Standing) -> String {
    match standing {
        Standing::Path(path) if path.len() == 1 => "1 step leads to the goal".to_owned(),
        Standing::Path(path) => format!("{} steps lead to the goal", path.len()),
        _ => "no step is needed".to_owned(),
    }
}

fn consent_shown(question: &Question<'_>, device: &Device) -> String {
    let given = question.operation.and_then(|(operation, _)| device.consents.get(&operation));
    given.map_or_else(
        || "not asked for".to_owned(),
        |given| format!("given by {} at {}", given.by, given.at),
    )
}

fn windows_shown(policy: &Policy) -> String {
    let windows: Vec<String> = policy.window.iter().map(ToString::to_string).collect();
    windows.join(", ")
}

fn window_shown(question: &Question<'_>, device: &Device) -> String {
    match opening_for(question, device) {
        Some(Opening::Open(Some(until))) => format!("open until {until}"),
        _ => "open at all times".to_owned(),
    }
}

fn spread_shown(question: &Question<'_>, device: &Device) -> String {
    match (device.site.as_deref(), question.operation.and_then(|(_, policy)| policy.spread)) {
        (_, None) => "not limited".to_owned(),
        (None, Some(_)) => "its site is not known, so it is not limited".to_owned(),
        (Some(site), Some(limit)) => format!(
            "{} devices of site {site} are being changed, at most {} may be",
            question.site_devices, limit.devices_max
        ),
    }
}

fn battery_shown(device: &Device) -> String {
    let charge = value_shown(device.datamodel.battery_percent.as_ref(), "%");
    match device.datamodel.external_power {
        Some(Observed { value: true, .. }) => format!("{charge}, on external power"),
        _ => charge,
    }
}

fn value_shown(observed: Option<&Observed<i64>>, unit: &str) -> String {
    observed.map_or_else(
        || "never reported, and not required".to_owned(),
        |seen| format!("{} {unit}", seen.value),
    )
}

fn at(observed: Option<&Observed<i64>>) -> Option<Time> {
    observed.map(|seen| seen.at)
}

/// Standings remembered; further ones push all others out and are looked up again.
const STANDINGS_MAX: usize = 4_096;
/// A value is believed up to its greatest age; it is too old right after.
const TICK: Duration = Duration::from_micros(1);
