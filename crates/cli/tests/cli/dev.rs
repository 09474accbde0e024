//! The main command, from nothing to an operation that has finished.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use api::{AttemptState, Event, EventKind, OperationState};

use crate::common::{Folder, Ran, command, finish};

const ANY_PORT: [&str; 4] = ["--http", "127.0.0.1:0", "--coap", "127.0.0.1:0"];

fn dev(folder: &Folder, devices: &str, more: &[&str]) -> Command {
    let data = folder.path().to_str().unwrap();
    let always = ["dev", "--sim", devices, "--once", "--timeout", "180s", "--json", "--data", data];
    command([&always[..], &ANY_PORT, more].concat())
}

fn events(ran: &Ran) -> Vec<Event> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How often each device says that it installed the sample image, over all runs in the folder.
fn installed(folder: &Folder) -> BTreeMap<String, u32> {
    let mut installed = BTreeMap::new();
    for name in ["devices.jsonl", "devices-2.jsonl", "devices-3.jsonl"] {
        let Ok(text) = std::fs::read_to_string(folder.path().join(name)) else { break };
        for line in text.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            if entry["event"] == "installed" {
                *installed.entry(entry["endpoint"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    installed
}

#[test]
fn a_calm_trial_finishes_and_a_second_run_goes_on() {
    let folder = Folder::new("dev-calm");
    let ran = finish(&mut dev(&folder, "20", &[]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("console http://127.0.0.1:"), "{}", ran.stderr);
    let events = events(&ran);
    let ids: BTreeSet<u64> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len(), "ids are unique");
    let told: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    for kind in ["server_ready", "release_published", "operation_opened", "element_granted"] {
        assert!(told.contains(&kind), "{kind} is missing in {told:?}");
    }
    let updated: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| match &event.kind {
            // A sleeper may doze off between its contact and the order, and is asked again.
            EventKind::DeviceSettled {
                state: AttemptState::Deferred, fault: Some(fault), ..
            } if fault.kind == "away" => None,
            EventKind::DeviceSettled { device, version_after, .. } => {
                assert_eq!(version_after.as_deref(), Some("1.1.0"), "{event:?}");
                Some(device.endpoint.as_str())
            }
            _ => None,
        })
        .collect();
    let Some(EventKind::OperationEnded { state, counts, .. }) = events
        .iter()
        .rev()
        .map(|event| &event.kind)
        .find(|kind| kind.as_str() == "operation_ended")
    else {
        panic!("no end in {told:?}");
    };
    assert_eq!(*state, OperationState::Finished);
    assert_eq!(counts.succeeded, updated.len() as u64);

    // The devices' own testimony.
    let testimony = installed(&folder);
    assert_eq!(testimony.keys().map(String::as_str).collect::<BTreeSet<_>>(), updated);
    assert!(testimony.values().all(|times| *times == 1), "{testimony:?}");

    let again = finish(&mut dev(&folder, "20", &[]));
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("going on with ws200-firmware 1.1.0"), "{}", again.stderr);
    assert!(!again.stdout.contains("release_published"), "{}", again.stdout);
    let testimony = installed(&folder);
    assert!(testimony.values().all(|times| *times == 1), "{testimony:?}");
}

#[test]
fn a_bad_firmware_is_stopped() {
    let folder = Folder::new("dev-bad");
    let ran = finish(&mut dev(&folder, "40", &["--scenario", "bad-firmware"]));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("\nstopped  op-1 ws200-firmware 1.1.0: Abort: "), "{}", ran.stderr);
    let sentence = events(&ran)
        .into_iter()
        .find_map(|event| match event.kind {
            EventKind::OperationEnded { state: OperationState::Aborted, sentence, .. } => {
                Some(sentence)
            }
            _ => None,
        })
        .unwrap();
    for part in ["does harm", "in phase", "(E = ", "the limit is"] {
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = Folder::new("dev-two");
    let mut first =
        dev(&folder, "20", &[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // The first event says that the server runs.
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(first.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let second = finish(&mut dev(&folder, "20", &[]));
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!((second.code, second.stdout.as_str()), (1, ""), "{second:?}");
    assert!(second.stderr.contains(&first.id().to_string()), "{second:?}");
}
