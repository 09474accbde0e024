//! Identification (paper A §III-D): the verdict on one device, with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Check, Device, DeviceId, Eligibility, Exclusion, Hold, Manifest, Observed, OperationId,
    Presence, Release, ReleaseId, Requires, Scope, Target, Time, Unknown, Version,
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
/// hardware, picked, version, path, hold, busy, battery, memory, link, presence; the first that
/// fails gives the reason.
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
    busy(question, path)?;
    for id in path {
        // Each hop has requirements of its own; all must hold before the first is taken.
        let Some(manifest) = question.graph_manifest(*id) else { continue };
        battery(&manifest.requires, device)?;
        free_memory(&manifest.requires, device)?;
        link(&manifest.requires, device)?;
    }
    presence(device)?;
    Ok(path.to_vec())
}

/// The checks behind [`identify`] in their order, each with what was observed. After the first
/// that fails the others are not asked.
pub(crate) fn explain(question: &Question<'_>, device: &Device, now: Time) -> Vec<Check> {
    let standing = Memory::default().standing(question, device).clone();
    let requires: Vec<Requires> = match &standing {
        Standing::Path(path) => path
            .iter()
            .filter_map(|id| question.graph_manifest(*id))
            .map(|manifest| manifest.requires.clone())
            .collect(),
        _ => vec![question.release.manifest.requires.clone()],
    };
    let each = |check: fn(&Requires, &Device) -> Verdict| -> Verdict {
        requires.iter().try_for_each(|requires| check(requires, device))
    };
    let model = &device.datamodel;
    let all: [(&str, Verdict, String, Option<Time>); 12] = [
        ("kind", kind(question, device), observed_kind(device), None),
        ("hardware", hardware(question, device), shown(device.hardware.as_deref()), None),
        ("picked", picked(question.scope, device.id), "named, or everyone is".to_owned(), None),
        ("identity", known_version(question, device), "version is known".to_owned(), None),
        (
            "version",
            version(&standing, question, device),
            format!(
                "runs {}, goal {}",
                shown(version_of(question.release, device).map(Version::as_str)),
                question.release.manifest.release.version
            ),
            None,
        ),
        ("path", path(&standing, question, device).map(|_| ()), hops(&standing), None),
        ("hold", hold(device), "not held".to_owned(), None),
        ("busy", busy(question, steps(&standing)), "no other operation has it".to_owned(), None),
        ("battery", each(battery), battery_shown(device), at(model.battery_percent.as_ref())),
        (
            "memory",
            each(free_memory),
            value_shown(model.free_memory_kib.as_ref(), "KiB free"),
            at(model.free_memory_kib.as_ref()),
        ),
        (
            "link",
            each(link),
            value_shown(model.signal_dbm.as_ref(), "dBm"),
            at(model.signal_dbm.as_ref()),
        ),
        ("presence", presence(device), "in contact".to_owned(), Some(device.last_seen)),
    ];
    let mut failed = false;
    all.into_iter()
        .map(|(name, verdict, detail, at)| {
            let age = at.map(|at| now.since(at));
            step(name, verdict, detail, age, &mut failed)
        })
        .collect()
}

fn step(
    name: &str,
    verdict: Verdict,
    detail: String,
    age: Option<Duration>,
    failed: &mut bool,
) -> Check {
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
    match scope {
        Scope::Picked { devices } if devices.binary_search(&device).is_err() => {
            excluded(Exclusion::NotPicked)
        }
        Scope::Picked { .. } | Scope::Fleet => Ok(()),
    }
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

fn battery(requires: &Requires, device: &Device) -> Verdict {
    let Some(wanted) = requires.battery else { return Ok(()) };
    let model = &device.datamodel;
    let powered = model.external_power.is_some_and(|power| power.value);
    if wanted.or_external_power && powered {
        return Ok(());
    }
    at_least(
        model.battery_percent,
        i64::from(wanted.percent),
        requires.unknown,
        Exclusion::BatteryUnknown,
        |observed, required, at| Exclusion::BatteryLow { observed, required, at },
    )
}

fn free_memory(requires: &Requires, device: &Device) -> Verdict {
    let Some(wanted) = requires.free_memory else { return Ok(()) };
    at_least(
        device.datamodel.free_memory_kib,
        i64::try_from(wanted).unwrap_or(i64::MAX),
        requires.unknown,
        Exclusion::MemoryUnknown,
        |observed, required, at| Exclusion::MemoryLow { observed, required, at },
    )
}

fn link(requires: &Requires, device: &Device) -> Verdict {
    let Some(wanted) = requires.link else { return Ok(()) };
    at_least(
        device.datamodel.signal_dbm,
        wanted.min_rssi_dbm,
        requires.unknown,
        Exclusion::LinkUnknown,
        |observed, required, at| Exclusion::LinkWeak { observed, required, at },
    )
}

fn at_least(
    observed: Option<Observed<i64>>,
    required: i64,
    unknown: Unknown,
    never_reported: Exclusion,
    too_low: impl Fn(i64, i64, Time) -> Exclusion,
) -> Verdict {
    match (observed, unknown) {
        (Some(seen), _) if seen.value < required => waits(too_low(seen.value, required, seen.at)),
        (Some(_), _) | (None, Unknown::Allow) => Ok(()),
        (None, Unknown::Wait) => waits(never_reported),
        (None, Unknown::Skip) => excluded(never_reported),
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
