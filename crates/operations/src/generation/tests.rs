//! Identification, paths, order and strata, case by case. Reference: paper A §III-D.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Agreement, Device, DeviceId, Eligibility, Hold, Manifest, OperationId, Presence, Release,
    ReleaseId, Scope, Time, Version,
};

use super::{
    Claim, Graph, Memory, Place, Question, Targets, Urgency, Waiting, explain, identify, reorder,
};
use crate::tests::{device, firmware, observed};

fn release(id: u64, manifest: Manifest) -> Release {
    Release {
        id: ReleaseId(id),
        manifest: Arc::new(manifest),
        published: Time::ZERO,
        by: String::new(),
    }
}

fn graph(releases: &[Release]) -> Graph {
    let mut graph = Graph::default();
    releases.iter().for_each(|r| graph.insert(r.id, Arc::clone(&r.manifest)));
    graph
}

/// A question that nothing but release and device decide.
fn asked<'a>(release: &'a Release, graph: &'a Graph, scope: &'a Scope) -> Question<'a> {
    Question {
        release,
        graph,
        scope,
        busy: None,
        reserved: None,
        undoes: None,
        operation: None,
        site_devices: 0,
        now: Time::from_secs(9),
    }
}

/// Identifies one device for one firmware release with these extra manifest lines.
fn verdict(extra: &str, change: impl FnOnce(&mut Device)) -> String {
    verdict_in(&Scope::Fleet, None, None, extra, change)
}

fn verdict_in(
    scope: &Scope,
    busy: Option<OperationId>,
    reserved: Option<OperationId>,
    extra: &str,
    change: impl FnOnce(&mut Device),
) -> String {
    let release = release(1, firmware("sensor", "2.0.0", extra));
    let graph = graph(std::slice::from_ref(&release));
    let mut device = device(1, "1.0.0");
    change(&mut device);
    let claim = |operation| Claim { operation, release: ReleaseId(9) };
    let (busy, reserved) = (busy.map(claim), reserved.map(claim));
    let question = Question { busy, reserved, ..asked(&release, &graph, scope) };
    let verdict = identify(&question, &device, &mut Memory::default());
    let text = match &verdict {
        Eligibility::Eligible { path } => format!("eligible in {}", path.len()),
        Eligibility::Waiting { exclusion } => format!("waiting {}", exclusion.code()),
        Eligibility::Excluded { exclusion } => format!("excluded {}", exclusion.code()),
    };
    // `why` must tell the same: every check holds, or the first that does not is the reason.
    let checks = explain(&question, &device);
    let all_hold = checks.iter().all(|check| check.holds == Some(true));
    assert_eq!(all_hold, matches!(verdict, Eligibility::Eligible { .. }), "{checks:#?}");
    text
}

#[test]
fn every_device_has_a_verdict_with_its_reason() {
    let battery = "[requires]\nbattery = { percent = 40, or_external_power = true }";
    let strict = "[requires]\nunknown = \"wait\"\nbattery = { percent = 40 }\nfree_memory = 100\nlink = { min_rssi_dbm = -100 }";
    let at = Time::from_secs(5);
    assert_eq!(verdict("", |_| {}), "eligible in 1");
    assert_eq!(verdict("", |d| d.manufacturer = Some(" ACME ".into())), "eligible in 1");
    assert_eq!(verdict("", |d| d.model = Some("Lamp".into())), "excluded not_target.model");
    assert_eq!(verdict("", |d| d.model = None), "excluded identity.unknown");
    assert_eq!(verdict("", |d| d.version = None), "waiting identity.unknown");
    let current = |d: &mut Device| d.version = Some(Version::new("v2.0"));
    assert_eq!(verdict("", current), "excluded already_current");
    let newer = |d: &mut Device| d.version = Some(Version::new("2.1"));
    assert_eq!(verdict("", newer), "excluded newer_version");
    let edge = "[[upgrade]]\nfrom = \"1.5.*\"";
    assert_eq!(verdict(edge, |_| {}), "excluded path.no_edge");
    let blocked = "[[upgrade]]\nfrom = \"*\"\n[[upgrade]]\nfrom = \"1.0.*\"\nblocked = true\nreason = \"bricks\"";
    assert_eq!(verdict(blocked, |_| {}), "excluded path.blocked_edge");
    let held = |d: &mut Device| d.hold = Some(Hold::Operator { reason: "lab".to_owned() });
    assert_eq!(verdict("", held), "waiting held.operator");
    let broken = |d: &mut Device| d.hold = Some(Hold::System { reason: "3 ×".to_owned() });
    assert_eq!(verdict("", broken), "waiting quarantined.system");
    let low = |d: &mut Device| d.datamodel.battery_percent = observed(39, at);
    assert_eq!(verdict(battery, low), "waiting battery.low");
    assert_eq!(verdict(battery, |_| {}), "eligible in 1");
    let powered = |d: &mut Device| {
        d.datamodel.battery_percent = observed(3, at);
        d.datamodel.external_power = observed(true, at);
    };
    assert_eq!(verdict(battery, powered), "eligible in 1");
    assert_eq!(verdict(strict, |_| {}), "waiting battery.unknown");
    assert_eq!(verdict(&strict.replace("wait", "skip"), |_| {}), "excluded battery.unknown");
    let charged = |d: &mut Device| d.datamodel.battery_percent = observed(90, at);
    assert_eq!(verdict(strict, charged), "waiting memory.unknown");
    let full = |d: &mut Device| {
        d.datamodel.battery_percent = observed(90, at);
        d.datamodel.free_memory_kib = observed(99, at);
    };
    assert_eq!(verdict(strict, full), "waiting memory.low");
    let weak = |d: &mut Device| {
        d.datamodel.battery_percent = observed(90, at);
        d.datamodel.free_memory_kib = observed(100, at);
        d.datamodel.signal_dbm = observed(-101, at);
    };
    assert_eq!(verdict(strict, weak), "waiting link.weak");
    assert_eq!(verdict("", |d| d.presence = Presence::Asleep), "waiting offline.waiting");
    let scope = Scope::Picked { devices: vec![DeviceId(2)] };
    assert_eq!(verdict_in(&scope, None, None, "", |_| {}), "excluded not_target.picked");
    let other = Some(OperationId(9));
    let busy = verdict_in(&Scope::Fleet, other, None, "", |_| {});
    assert_eq!(busy, "waiting busy.other_operation");
    let reserved = verdict_in(&Scope::Fleet, None, other, "", |_| {});
    assert_eq!(reserved, "waiting lower_priority");
}

#[test]
fn hardware_is_matched_when_the_manifest_names_it() {
    let mut manifest = firmware("sensor", "2.0.0", "");
    manifest.target[0].hardware = vec!["B".to_owned()];
    let release = release(1, manifest);
    let graph = graph(std::slice::from_ref(&release));
    let scope = Scope::Fleet;
    let question = asked(&release, &graph, &scope);
    for (hardware, expected) in
        [(Some("b"), "eligible"), (Some("A"), "not_target.hardware"), (None, "identity.unknown")]
    {
        let mut device = device(1, "1.0.0");
        device.hardware = hardware.map(Into::into);
        let found = match identify(&question, &device, &mut Memory::default()) {
            Eligibility::Eligible { .. } => "eligible",
            Eligibility::Waiting { exclusion } | Eligibility::Excluded { exclusion } => {
                exclusion.code()
            }
        };
        assert_eq!(found, expected);
    }
}

/// The path from a version to the last of these releases, given as `(version, upgrade lines)`.
fn path(releases: &[(&str, &str)], from: &str) -> Vec<String> {
    let releases: Vec<Release> = (1..)
        .zip(releases)
        .map(|(id, (version, extra))| release(id, firmware("sensor", version, extra)))
        .collect();
    let graph = graph(&releases);
    let from = Version::new(from);
    match graph.standing(releases.last().unwrap(), Some(&from), &|_| true) {
        super::graph::Standing::Path(path) => path
            .iter()
            .map(|id| releases[id.0 as usize - 1].manifest.release.version.to_string())
            .collect(),
        other => vec![format!("{other:?}")],
    }
}

#[test]
fn the_migration_path_is_the_shortest_then_the_newest() {
    // Reference: paper A §III-B2, "migration path: v1.1 to v1.2 to v2.0".
    let only = |from: &str| format!("[[upgrade]]\nfrom = \"{from}\"");
    let one_two = [("1.1", String::new()), ("1.2", only("1.1.*")), ("2.0", only(">=1.2, <2.0"))];
    let chain: Vec<(&str, &str)> = one_two.iter().map(|(v, e)| (*v, e.as_str())).collect();
    assert_eq!(path(&chain, "1.0"), ["1.1", "1.2", "2.0"]);
    assert_eq!(path(&chain, "1.1"), ["1.2", "2.0"]);
    assert_eq!(path(&chain, "1.2.5"), ["2.0"]);
    assert_eq!(path(&chain, "0.1"), ["1.1", "1.2", "2.0"]);
    assert_eq!(path(&chain, "2.0"), ["Current"]);
    assert_eq!(path(&chain, "3.0"), ["Newer"]);
    let edge = only(">=1.1, <2.0");
    let choice = [("1.1", ""), ("1.3", ""), ("1.2", ""), ("2.0", edge.as_str())];
    assert_eq!(path(&choice, "1.0"), ["1.3", "2.0"], "the newest of equally short ones");
    let block = "[[upgrade]]\nfrom = \"1.3.*\"\nblocked = true\n[[upgrade]]\nfrom = \">=1.1\"";
    let around = [("1.1", ""), ("1.3", ""), ("1.2", ""), ("2.0", block)];
    assert_eq!(path(&around, "1.0"), ["1.2", "2.0"], "around the blocked step");
    assert_eq!(path(&around, "1.3"), ["Blocked { reason: \"\" }"]);
    let nowhere = [("2.0", "[[upgrade]]\nfrom = \"1.5.*\"")];
    assert_eq!(path(&nowhere, "1.0"), ["NoEdge"]);
}

#[test]
fn no_path_leads_over_a_release_that_evidence_stopped() {
    let only = |from: &str| format!("[[upgrade]]\nfrom = \"{from}\"");
    let releases: Vec<Release> =
        [("1.1", only(">=1.0")), ("1.2", only(">=1.0")), ("2.0", only(">=1.1"))]
            .iter()
            .zip(1..)
            .map(|((version, extra), id)| release(id, firmware("sensor", version, extra)))
            .collect();
    let mut graph = graph(&releases);
    let mut check = |stopped: &[u64], goal: usize, expected: &str| {
        let by = OperationId(7);
        graph.set_stopped(stopped.iter().map(|id| (ReleaseId(*id), by)).collect());
        let found = graph.standing(&releases[goal], Some(&Version::new("1.0")), &|_| true);
        assert_eq!(format!("{found:?}"), expected, "{stopped:?}");
    };
    check(&[], 2, "Path([ReleaseId(2), ReleaseId(3)])");
    check(&[2], 2, "Path([ReleaseId(1), ReleaseId(3)])");
    let blocked = |version| {
        format!("Blocked {{ reason: \"it leads over {version}, which evidence stopped in op-7\" }}")
    };
    check(&[1, 2], 2, &blocked("1.2"));
    // Whoever brings it again knows.
    check(&[1], 0, "Path([ReleaseId(1)])");
}

#[test]
fn a_configuration_goes_by_its_own_version() {
    let text = r#"
manifest = 1
[release]
name = "report-rate"
version = "3"
class = "hotfix"
[[target]]
manufacturer = "Acme"
model = "Sensor"
[[write]]
path = "/1/0/1"
value = 60
"#;
    let release = release(1, Manifest::from_toml(text).unwrap());
    let graph = graph(std::slice::from_ref(&release));
    let scope = Scope::Fleet;
    let question = asked(&release, &graph, &scope);
    for (had, eligible) in [(None, true), (Some("2"), true), (Some("3"), false)] {
        let mut device = device(1, "9.9.9");
        if let Some(version) = had {
            device.configurations.insert("report-rate".to_owned(), Version::new(version));
        }
        let verdict = identify(&question, &device, &mut Memory::default());
        assert_eq!(matches!(verdict, Eligibility::Eligible { .. }), eligible, "{had:?}");
    }
}

#[test]
fn operations_are_ordered_by_class_deadline_weight_and_age() {
    let manifests: Vec<Manifest> = ["critical", "major", "minor", "hotfix"]
        .iter()
        .map(|class| {
            let text = toml_with_class(class);
            Manifest::from_toml(&text).unwrap()
        })
        .collect();
    let agreement = |weight, deadline: Option<u64>| Agreement {
        tenant: "t".to_owned(),
        weight,
        deadline: deadline.map(Time::from_secs),
    };
    let (soon, late, heavy) =
        (agreement(1, Some(100)), agreement(1, Some(900)), agreement(9, None));
    let waiting = |id, class: usize, opened, agreement| Waiting {
        id: OperationId(id),
        urgency: Urgency::of(&manifests[class]),
        opened: Time::from_secs(opened),
        agreement,
    };
    let order = |list: Vec<Waiting<'_>>, now| -> Vec<u64> {
        let ids = reorder(list, Duration::from_secs(3_600), Time::from_secs(now));
        ids.into_iter().map(|id| id.0).collect()
    };
    let list = vec![
        waiting(1, 3, 0, None),
        waiting(2, 2, 0, None),
        waiting(3, 2, 0, Some(&heavy)),
        waiting(4, 2, 0, Some(&late)),
        waiting(5, 2, 0, Some(&soon)),
        waiting(6, 1, 0, None),
        waiting(7, 0, 0, None),
    ];
    assert_eq!(order(list, 10), [7, 6, 5, 4, 3, 2, 1]);
    // What waits long enough overtakes what just came.
    let day = 86_400;
    assert_eq!(order(vec![waiting(1, 3, 0, None), waiting(2, 1, day, None)], day), [1, 2]);
    assert_eq!(order(vec![waiting(1, 3, 0, None), waiting(2, 0, day, None)], day), [2, 1]);
}

fn toml_with_class(class: &str) -> String {
    format!(
        "manifest = 1\n[release]\nname = \"c\"\nversion = \"1\"\nclass = \"{class}\"\n\
         [[target]]\nmanufacturer = \"Acme\"\nmodel = \"Sensor\"\n\
         [[write]]\npath = \"/1/0/1\"\nvalue = 1\n"
    )
}

#[test]
fn each_element_mirrors_the_targets() {
    let mut targets = Targets::new(7);
    for id in 1..=1_000 {
        // 60 %, 30 % and 10 % of the targets.
        let (hardware, version) = match id % 10 {
            0..6 => ("A", "1.0"),
            6..9 => ("A", "1.1"),
            _ => ("B", "1.0"),
        };
        targets.put(DeviceId(id), Place::Ready, [hardware, version, ""]);
    }
    let stratum = |id: DeviceId| usize::from(id.0 % 10 >= 6) + usize::from(id.0 % 10 == 9);
    let mut granted = [0; 3];
    for size in [1, 1, 2, 4, 8, 16, 32, 64, 100] {
        let element = targets.decompose(size, None, &mut |_| true);
        assert_eq!(element, targets.decompose(size, None, &mut |_| true), "asking takes nothing");
        assert_eq!(element.len(), size as usize);
        for device in element {
            granted[stratum(device)] += 1;
            let (hardware, version) = [("A", "1.0"), ("A", "1.1"), ("B", "1.0")][stratum(device)];
            targets.put(device, Place::Granted, [hardware, version, ""]);
        }
        // Over all elements so far no stratum is more than one seat off its share.
        let total: i64 = granted.iter().sum();
        for (count, share) in granted.iter().zip([6, 3, 1]) {
            assert!((count * 10 - total * share).abs() <= 20, "{granted:?}");
        }
    }
    assert_eq!(targets.ready(), 1_000 - 228);
}

#[test]
fn offline_devices_take_no_place_and_newcomers_slot_in() {
    let mut targets = Targets::new(1);
    for id in 1..=100 {
        let place = if id <= 90 { Place::Waiting("offline.waiting") } else { Place::Ready };
        targets.put(DeviceId(id), place, ["A", "1.0", ""]);
    }
    assert!(targets.decompose(50, None, &mut |_| true).iter().all(|id| id.0 > 90));
    assert_eq!((targets.ready(), targets.waiting()), (10, 90));
    // The order is a matter of seed and device alone, whoever came first.
    let mut other = Targets::new(1);
    (1..=200).rev().for_each(|id| other.put(DeviceId(id), Place::Ready, ["A", "1.0", ""]));
    (1..=200).for_each(|id| targets.put(DeviceId(id), Place::Ready, ["A", "1.0", ""]));
    assert_eq!(
        targets.decompose(200, None, &mut |_| true),
        other.decompose(200, None, &mut |_| true)
    );
    targets.put(DeviceId(3), Place::Excluded("already_current"), ["A", "2.0", ""]);
    assert_eq!(targets.codes(), &BTreeMap::from([("already_current", 1)]));
    assert_eq!(targets.excluded(), 1);
}

/// I18, I19: versions are free text, and an element looks at every stratum for each device.
#[test]
fn devices_cannot_make_strata_without_bound() {
    let mut targets = Targets::new(1);
    for id in 1..=2_000 {
        targets.put(
            DeviceId(id),
            Place::Excluded("not_target_model"),
            ["A", &format!("0.{id}"), ""],
        );
    }
    assert_eq!(targets.strata().count(), 0, "who is no target takes no stratum");
    for id in 1..=2_000 {
        targets.put(DeviceId(id), Place::Ready, ["A", &format!("1.{id}"), ""]);
    }
    assert!(targets.strata().count() <= 257, "{}", targets.strata().count());
    assert_eq!((targets.ready(), targets.excluded()), (2_000, 0));
    assert_eq!(
        targets.decompose(5_000, None, &mut |_| true).len(),
        2_000,
        "every device is reached"
    );
}
