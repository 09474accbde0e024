//! Rehearsals, on a running server and on a scenario of one's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use api::{Event, EventKind};
use serde_json::Value;

use crate::common::{Folder, Ran, command, run};

/// A trial that goes on until it is dropped.
struct Trial(Child);

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a trial; its address once its sample operation has ended.
fn trial(folder: &Folder) -> (Trial, String) {
    let data = folder.path().to_str().unwrap();
    let any_port = ["--http", "127.0.0.1:0", "--coap", "127.0.0.1:0"];
    let arguments = [&["dev", "--sim", "20", "--json", "--data", data][..], &any_port].concat();
    let mut command = command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let trial = Trial(child);
    let mut address = None;
    for line in lines.by_ref().map_while(Result::ok) {
        match serde_json::from_str::<Event>(&line).unwrap().kind {
            EventKind::ServerReady { http, .. } => address = Some(http),
            EventKind::OperationEnded { .. } => break,
            _ => {}
        }
    }
    // A trial that nobody listens to ends.
    std::thread::spawn(move || lines.for_each(drop));
    (trial, address.unwrap())
}

fn rehearse(more: &[&str]) -> Ran {
    run([&["operation", "rehearse"][..], more].concat())
}

#[test]
fn a_release_is_rehearsed_on_the_fleet_of_a_running_server() {
    let folder = Folder::new("rehearse-dev");
    let (_trial, server) = trial(&folder);
    let manifest = "manifest = 1\n[release]\nname = \"period\"\nversion = \"2\"\n\
                    class = \"minor\"\n[[target]]\nmanufacturer = \"ACME\"\nmodel = \"WS-200\"\n\
                    [[write]]\npath = \"/1/0/1\"\nvalue = 60\n";
    let draft = folder.file("period.toml", manifest.as_bytes());
    let draft = draft.to_str().unwrap();

    let to = folder.path().join("out");
    let to = to.to_str().unwrap();
    let common = ["--file", draft, "--server", &server, "--runs", "3", "--fault", "failure:40%"];
    let ran = rehearse(&[&common[..], &["--to", to, "-o", "json"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["facts"]["release"], "period 2");
    assert!(found["devices"].as_u64().unwrap() > 0, "{found}");
    assert_eq!(
        (&found["rows"][0]["fault"], &found["rows"][1]["fault"]),
        (&"good".into(), &"failure:40%".into())
    );
    assert_eq!(found["budget"], 30, "the server's own policy");
    assert!(found["figures"].as_array().unwrap().iter().any(|it| it["measured"].is_null()));
    let written = std::fs::read_to_string(folder.path().join("out/rehearsal.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), found);

    // The benchmark repeats it from what was written: the same fleets under the same policy.
    let in_out = |name: &str| folder.path().join("out").join(name).to_str().unwrap().to_owned();
    let (scenario, policy) = (in_out("failure-40.toml"), in_out("policy.toml"));
    let benchmark = ["sim", "benchmark", "--scenario-file", &scenario, "--policy", &policy];
    let ran = run([&benchmark[..], &["--runs", "3", "-o", "json"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let repeated: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(repeated["cells"][0]["harmed"], found["rows"][1]["harmed"], "{repeated}");

    // The same again for people, and on what was written, without any server.
    let ran = rehearse(&common);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in ["period 2", "CONTACTS", "OVER BUDGET", "failure:40%", "? never measured"] {
        assert!(ran.stdout.contains(part), "`{part}` is missing: {ran:?}");
    }
    let good = folder.path().join("out/good.toml");
    let good = good.to_str().unwrap();
    let nowhere = ["--server", "http://127.0.0.1:1", "--runs", "2", "-o", "json"];
    let ran = rehearse(&[&["--scenario-file", good][..], &nowhere].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let again: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(again["devices"], found["devices"]);
    assert!(again["rows"].as_array().unwrap().len() >= 5, "one fault of each kind");

    let unknown = rehearse(&["nothing", "--server", &server]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""), "{unknown:?}");
    assert!(unknown.stderr.contains("hint: "), "{unknown:?}");
    let nobody = rehearse(&[&common[..6], &["--fault", "failure:3%@hardware=Z"]].concat());
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(nobody.stderr.contains("can hit no target"), "{nobody:?}");
}

#[test]
fn a_scenario_with_faults_is_rehearsed_as_it_is() {
    let folder = Folder::new("rehearse-file");
    let text = "name = \"mine\"\ntitle = \"of my own\"\ndevices = 300\n\
                contact = { exponential = \"5m\" }\n\
                [[fault]]\nkind = \"failure\"\nrate = \"50 %\"\n";
    let path = folder.file("mine.toml", text.as_bytes());
    let ran = rehearse(&["--scenario-file", path.to_str().unwrap(), "--runs", "3", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| &row["fault"]).collect::<Vec<_>>(), ["good", "mine"]);
    assert_eq!(rows[1]["stopped_all"]["hits"], 3, "{}", rows[1]);

    let path = folder.file("bad.toml", b"name = 1\n");
    let ran = rehearse(&["--scenario-file", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    let ran = rehearse(&["--scenario-file", "missing.toml"]);
    assert!(ran.code == 1 && ran.stderr.contains("there is no such file"), "{ran:?}");
}
