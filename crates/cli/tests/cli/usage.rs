//! Exit codes, errors and the habits of a good command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Stdio;

use crate::common::{Folder, Ran, command, finish, run};

/// Checks exit code and a part of what is said on standard error; data stays silent.
fn check(arguments: &[&str], code: i32, says: &[&str]) {
    let ran = run(arguments);
    assert_eq!(ran.code, code, "{arguments:?} {ran:?}");
    for part in says {
        assert!(ran.stderr.contains(part), "{arguments:?}: `{part}` is missing in {ran:?}");
    }
    assert_eq!(ran.stdout, "", "{arguments:?}");
}

#[test]
fn wrong_usage_is_code_2_and_says_what_is_right() {
    check(&[], 2, &["Usage: bellwether"]);
    check(&["operaton", "list"], 2, &["unrecognized subcommand 'operaton'", "'operation'"]);
    check(&["operation", "sart", "x"], 2, &["'start'"]);
    check(&["device", "list", "--presence", "gone"], 2, &["online", "asleep", "offline"]);
    check(&["dev", "--scenario", "stormy"], 2, &["slow-server", "bad-firmware", "flaky-radio"]);
    check(&["dev", "--timeout", "5"], 2, &["`5` is not a span of time", "90s"]);
    check(&["dev", "--timeout", "5s"], 2, &["--once"]);
    check(&["operation", "plan"], 2, &["RELEASE"]);
    check(&["operation", "rehearse"], 2, &["RELEASE", "--file <FILE>", "--scenario-file <FILE>"]);
    let two_fleets = ["operation", "rehearse", "x", "--scenario-file", "mine.toml"];
    check(&two_fleets, 2, &["cannot be used with", "--scenario-file"]);
    let rehearse = |fault| ["operation", "rehearse", "x", "--fault", fault];
    check(&rehearse("fire:3%"), 2, &["`fire` is no kind of fault", "write KIND:SHARE"]);
    check(&rehearse("latent:3%"), 2, &["does not say how late", "`latent:5%:12h`"]);
    check(&["operation", "rehearse", "x", "--runs", "0"], 2, &["--runs"]);
    check(&["sim", "fleet"], 2, &["--server"]);
    check(&["sim", "fleet", "--server", "coaps://h"], 1, &["coaps:// is not supported"]);
    check(&["device", "list", "--server", "h:1"], 2, &["`h:1` is no address", "http://"]);
    check(&["serve", "--http", "here"], 2, &["`here` is not an address", "127.0.0.1:8080"]);
    check(&["dev", "--sim", "many"], 2, &["`many` is not a whole number", "digits only"]);
    check(&["dev", "--sim", "99999999"], 2, &["give at most 50000"]);
    check(&["sim", "fleet", "--devices", "50001"], 2, &["give at most 50000"]);
    check(&["device", "list", "--limit", "0"], 2, &["0 entries are none", "at least 1"]);
    check(&["device", "list", "--limit", "-"], 2, &["`-` is not a whole number"]);
}

#[test]
fn a_missing_server_is_one_sentence_and_a_hint() {
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("http://127.0.0.1:{port}");
    for arguments in [
        &["device", "list"][..],
        &["release", "list", "-o", "json"],
        &["operation", "get", "op-1", "-w"],
        &["why", "ws-1"],
        &["events"],
    ] {
        let ran = run(arguments.iter().chain(&["--server", &server]));
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{arguments:?} {ran:?}");
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{ran:?}");
        assert!(lines[0].starts_with(&format!("error: no server answers at {server} (")));
        assert!(lines[1].starts_with("hint: start one with `bellwether serve`"), "{ran:?}");
    }
    let mut command = command(["device", "list"]);
    let ran = finish(command.env("BELLWETHER_SERVER", &server));
    assert!(ran.stderr.contains(&server), "{ran:?}");
}

/// Answers one request with that status and body.
fn answer(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        for line in reader.by_ref().lines().map_while(Result::ok) {
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    format!("http://{address}")
}

#[test]
fn refusals_have_the_documented_codes() {
    let check = |arguments: &[&str], status: u16, problem: &str, code: i32| {
        let body = format!(
            r#"{{"type":"urn:bellwether:problem:{problem}","title":"t","status":{status},"detail":"it is so","code":"{problem}","hint":"Do that."}}"#
        );
        let server = answer(&format!("{status} no"), &body);
        let ran = run(arguments.iter().chain(&["--server", &server]));
        let Ran { stderr, .. } = &ran;
        assert_eq!((ran.code, stderr.as_str()), (code, "error: it is so\nhint: Do that.\n"));
    };
    check(&["device", "show", "ws-1"], 404, "not_found", 1);
    check(&["device", "read", "ws-1", "/3/0/9"], 504, "device_timeout", 4);
    check(&["device", "read", "ws-1", "/3/0/9"], 409, "device_unreachable", 1);
    check(&["operation", "pause", "op-1", "--reason", "lunch"], 409, "conflict", 6);
    check(&["operation", "abort", "op-1"], 401, "from_the_future", 7);
    check(&["operation", "resume", "op-1"], 503, "unavailable", 1);
}

#[test]
fn nothing_eligible_is_code_5() {
    let plan = r#"{"release":"ws200-firmware 1.1.0","targets":3,"eligible":0,"waiting":3,"excluded":2,"reasons":[{"code":"battery.low","sentence":"Have less charge than required.","remedy":"They join by themselves.","waiting":true,"devices":3}],"paths":[],"first_speed":1,"speed_max":1,"conflicts":[],"remarks":[]}"#;
    let server = answer("200 OK", plan);
    let ran = run(["operation", "plan", "ws200-firmware", "--server", &server]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.contains("0 can be updated now, 3 wait; 2 are left out"), "{ran:?}");
    assert!(ran.stderr.contains("hint: most of them (battery.low): They join"), "{ran:?}");
}

#[test]
fn nothing_to_rehearse_is_code_5() {
    let facts = |policy: &str| {
        format!(
            r#"{{"release":"ws200-firmware 1.1.0","targets":0,"policy":{policy},"strata":[],"joined":0,"reasons":[{{"code":"already_current","sentence":"Already run it.","remedy":"Nothing to do.","waiting":false,"devices":9}}],"installed":[]}}"#
        )
    };
    let server = answer("200 OK", &facts("{}"));
    let ran = run(["operation", "rehearse", "ws200-firmware", "--server", &server]);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{ran:?}");
    assert!(ran.stderr.contains("error: ws200-firmware 1.1.0 has no target"), "{ran:?}");
    assert!(ran.stderr.contains("hint: most devices (already_current): Nothing to do."), "{ran:?}");
}

#[test]
fn a_replay_that_differs_is_code_8() {
    let report = |all_equal: bool, differing: &str| {
        format!(
            r#"{{"operation":{{"id":1,"name":"op-1"}},"all_equal":{all_equal},"equal":4,"different":{},"different_same_version":0,"orders":1,"looks":9,"differing":[{differing}],"code_version":"0.1.0"}}"#,
            u8::from(!all_equal)
        )
    };
    let check = |body: &str, code: i32, says: &[&str]| {
        let server = answer("200 OK", body);
        let ran = run(["operation", "replay", "op-1", "--server", &server]);
        assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{ran:?}");
        for part in says {
            assert!(ran.stdout.contains(part), "`{part}` is missing: {ran:?}");
        }
    };
    check(&report(true, ""), 0, &["every decision comes out the same", "9 folded"]);
    let differing = r#"{"seq":3,"at":"2026-11-22T09:00:00.000Z","code_version":"0.0.9","same_version":false,"differences":[{"part":"verdict","stored":"Abort","again":"Finish"}]}"#;
    check(
        &report(false, differing),
        8,
        &["1 decision comes out differently", "#3 09:00:00", "version 0.0.9", "stored Abort"],
    );
}

#[test]
fn settings_of_other_systems_are_read_as_policies() {
    let folder = Folder::new("import");
    let job =
        folder.file("job.json", b"{\"jobExecutionsRolloutConfig\": {\"maximumPerMinute\": 9}}");
    let plan = |more: &[&str]| {
        let policy = ["operation", "plan", "x", "--policy", job.to_str().unwrap()];
        run(policy.iter().chain(more))
    };
    let ran = plan(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("hint: a policy is TOML; --import SYSTEM reads"), "{ran:?}");
    let ran = plan(&["--import", "aws", "--server", "http://127.0.0.1:1"]);
    assert!(ran.stderr.contains("no server answers"), "it is understood: {ran:?}");
    let ran = plan(&["--import", "hawkbit"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("job.json: this is no request of hawkBit"), "{ran:?}");
    let ran = plan(&["--import", "edgehog"]);
    assert!(ran.stderr.contains("job.json: this is no request of Edgehog"), "{ran:?}");
    let ran = run(["operation", "plan", "x", "--import", "aws"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn versions_and_completions_are_printed() {
    let ran = run(["version"]);
    assert_eq!((ran.code, ran.stdout), (0, format!("bellwether {}\n", env!("CARGO_PKG_VERSION"))));
    let ran = run(["version", "-o", "jsonl"]);
    assert!(ran.stdout.starts_with(r#"{"product":"bellwether""#), "{ran:?}");
    let ran = run(["sim", "fleet", "--describe", "-o", "jsonl"]);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, said["scenario"].as_str()), (0, Some("calm")));
    assert!(said["shares"][0]["who"].is_string() && said["shares"][0]["share"].is_string());
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef bellwether"),
        ("fish", "complete -c bellwether"),
    ] {
        let ran = run(["completion", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains(part), "{shell}");
        assert!(ran.stdout.contains("decisions") && ran.stdout.contains("flaky-radio"), "{shell}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = command(["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn colours_come_only_when_asked_for() {
    let of = |arguments: &[&str]| run(arguments).stderr.contains('\x1b');
    let nowhere = ["version", "--bad"];
    assert!(!of(&nowhere));
    let lost = ["device", "list", "--server", "http://127.0.0.1:1"];
    assert!(!of(&lost));
    assert!(of(&[&lost[..], &["--color", "always"]].concat()));
    assert!(!of(&[&lost[..], &["--color", "never"]].concat()));
}

#[test]
fn settings_that_cannot_be_used_are_refused_in_one_sentence() {
    let folder = Folder::new("settings");
    let file = folder.file("b.toml", b"data = \"x\"\nhtpp = \"127.0.0.1:0\"\n");
    let serve = |arguments: &[&str]| {
        let ran = run([&["serve"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        ran.stderr
    };
    let said = serve(&["--config", file.to_str().unwrap()]);
    assert!(said.contains("line 2") && said.contains("unknown field `htpp`"), "{said}");
    let said = serve(&["--config", "/nowhere/b.toml"]);
    assert!(said.contains("/nowhere/b.toml: there is no such file; correct its name"), "{said}");
    let said = serve(&["--config", folder.path().to_str().unwrap()]);
    assert!(said.contains("this is a folder; name a file in it"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _holder = TcpListener::bind(taken).unwrap();
    let data = folder.path().join("data");
    let ports = ["--http", &taken.to_string(), "--coap", "127.0.0.1:0"];
    let said = serve(&[&["--data", data.to_str().unwrap()][..], &ports].concat());
    assert!(said.contains(&format!("{taken}: the port is used")), "{said}");
    assert!(said.contains("--http"), "{said}");
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let ports = ["--http", "127.0.0.1:0", "--coap", &taken.to_string()];
    let said = serve(&[&["--data", data.to_str().unwrap()][..], &ports].concat());
    assert!(said.contains(&format!("{taken}: the port is used")), "{said}");
    assert!(said.contains("--coap"), "{said}");
    assert!(!data.exists(), "a server without its ports leaves nothing behind");
    let free = ["--http", "127.0.0.1:0", "--coap", "127.0.0.1:0"];
    let said = serve(&[&["--data", file.to_str().unwrap()][..], &free].concat());
    assert!(said.contains("b.toml"), "{said}");
}
