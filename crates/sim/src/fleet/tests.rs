use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::device::Outage;
use crate::image::Image;
use crate::scripted::{Known, ScriptedServer};

/// Serves on a loopback socket until the task is aborted or `done` holds.
async fn serve(
    socket: UdpSocket,
    server: ScriptedServer,
    done: impl Fn(&ScriptedServer) -> bool,
) -> ScriptedServer {
    serve_until(&socket, server, done).await
}

async fn serve_until(
    socket: &UdpSocket,
    mut server: ScriptedServer,
    done: impl Fn(&ScriptedServer) -> bool,
) -> ScriptedServer {
    let started = Instant::now();
    let mut buffer = vec![0; 4_096];
    loop {
        while let Some(transmit) = server.poll_transmit() {
            socket.send_to(&transmit.datagram, transmit.peer).await.unwrap();
        }
        if done(&server) {
            return server;
        }
        let wake_at = server.poll_timeout().map(|at| started + at);
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let (length, peer) = received.unwrap();
                server.handle_datagram(peer, &buffer[..length], started.elapsed());
            }
            () = until(wake_at) => server.handle_timeout(started.elapsed()),
        }
    }
}

async fn server(image: Bytes) -> (UdpSocket, ScriptedServer) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let public = socket.local_addr().unwrap();
    (socket, ScriptedServer::new(public, image))
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sim-fleet-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn versions(server: &ScriptedServer, version: &str) -> usize {
    let last = |known: &&Known| known.versions.last().is_some_and(|last| last == version);
    server.known.values().filter(last).count()
}

/// Runs a fleet of `devices` until `done`, at most 60 s.
async fn run_fleet(
    options: FleetOptions,
    socket: UdpSocket,
    server: ScriptedServer,
    done: impl Fn(&ScriptedServer) -> bool,
) -> (FleetSummary, ScriptedServer) {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let fleet = tokio::spawn(run(options, async move {
        let _told = stopped.await;
    }));
    let server = tokio::time::timeout(Duration::from_secs(60), serve(socket, server, done));
    let server = server.await.expect("the fleet was not served within 60 s");
    stop.send(()).unwrap();
    (fleet.await.unwrap().unwrap(), server)
}

#[tokio::test]
async fn a_fleet_is_updated_over_real_sockets_and_remembers_it() {
    let folder = folder("update");
    let log = folder.join("log.jsonl");
    let memory = folder.join("flash.jsonl");
    let image = Image::build("1.1.0", 3_000, 1);
    let (socket, scripted) = server(image.clone()).await;
    let mut options = FleetOptions::new(scripted_address(&socket), 40);
    options.scenario = Scenario::FlakyRadio;
    options.log = LogTarget::File(log.clone());
    options.memory = Some(memory.clone());
    // The scripted server knows no conditions: all devices but those it must not reach twice.
    let done = |server: &ScriptedServer| versions(server, "1.1.0") >= 36;
    let (summary, _) = run_fleet(options.clone(), socket, scripted, done).await;
    assert!(summary.updated >= 30, "{summary:?}");
    assert!(summary.lost > 0, "{summary:?}");
    check_log(&log, summary);

    let (socket, scripted) = server(image).await;
    options.server = scripted_address(&socket);
    options.log = LogTarget::Nowhere;
    options.scenario = Scenario::Calm;
    let done = |server: &ScriptedServer| {
        server.known.len() >= 36 && server.known.values().all(|known| !known.versions.is_empty())
    };
    let (_, second) = run_fleet(options, socket, scripted, done).await;
    let kept = second.known.values().filter(|known| known.versions[0] == "1.1.0").count();
    assert!(kept >= 30, "{kept} devices remember their version");
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn an_outage_keeps_everything_from_passing_until_it_is_over() {
    let (socket, scripted) = server(Bytes::from_static(b"no image")).await;
    let mut options = FleetOptions::new(scripted_address(&socket), 2);
    options.lifetime_s = 1;
    let lucky = Profile::new("lucky", "1.0.0", 1);
    let outage = Outage { after: Duration::from_millis(300), lasts: Duration::from_secs(3) };
    let unlucky = Profile { outage: Some(outage), ..Profile::new("unlucky", "1.0.0", 2) };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let fleet = tokio::spawn(run_profiles(options, vec![lucky, unlucky], async move {
        let _told = stopped.await;
    }));
    let started = Instant::now();
    let contacts = |server: &ScriptedServer, name: &str| {
        server.known.get(name).map_or(0, |known| known.updates + known.registrations)
    };
    // Before the outage, and again when one has gone on renewing for two seconds.
    let early = |server: &ScriptedServer| contacts(server, "unlucky") > 0;
    let serving = tokio::time::timeout(Duration::from_secs(20), async {
        let known = serve_until(&socket, scripted, early).await;
        let before = contacts(&known, "unlucky");
        let (lucky, known) = (contacts(&known, "lucky"), known);
        let later = |server: &ScriptedServer| contacts(server, "lucky") >= lucky + 4;
        let known = serve_until(&socket, known, later).await;
        let during = contacts(&known, "unlucky");
        let back = |server: &ScriptedServer| contacts(server, "unlucky") > during;
        serve_until(&socket, known, back).await;
        (before, during)
    });
    let (before, during) = serving.await.expect("both are heard within 20 s");
    assert!(during <= before + 1, "{before} {during}");
    assert!(started.elapsed() >= outage.after + outage.lasts);
    stop.send(()).unwrap();
    let summary = fleet.await.unwrap().unwrap();
    assert!(summary.lost > 0, "{summary:?}");
}

fn scripted_address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

/// The log is JSON lines that agree with the summary.
fn check_log(log: &Path, summary: FleetSummary) {
    let text = fs::read_to_string(log).unwrap();
    let count = |event: &str| {
        let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
        lines.filter(|line| line.as_ref().unwrap()["event"] == event).count() as u64
    };
    assert_eq!(count("registered"), summary.registrations);
    assert_eq!(count("version"), summary.updated);
    assert_eq!(count("downloaded"), summary.downloads);
    assert_eq!(
        count("rebooted"),
        summary.updated + summary.failed + summary.bricked + booting(&text)
    );
}

/// Devices that had restarted but not booted when the fleet was stopped.
fn booting(text: &str) -> u64 {
    let mut down = std::collections::BTreeSet::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let endpoint = line["endpoint"].as_str().unwrap().to_owned();
        match line["event"].as_str().unwrap() {
            "rebooted" => {
                down.insert(endpoint);
            }
            "version" | "update_failed" | "bricked" => {
                down.remove(&endpoint);
            }
            _ => {}
        }
    }
    down.len() as u64
}

#[tokio::test]
async fn what_cannot_work_is_said_in_one_sentence() {
    let mut options = FleetOptions::new(SocketAddr::from(([127, 0, 0, 1], 5683)), 1);
    options.log = LogTarget::File("/nowhere/log.jsonl".into());
    let error = run(options.clone(), async {}).await.unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/log.jsonl cannot be used: "), "{error}");
    let cause = io::ErrorKind::StorageFull.into();
    let error = FleetError::File { path: "flash.jsonl".into(), cause }.to_string();
    let words = "flash.jsonl cannot be used: no space is left there; free some space";
    assert_eq!(error, words);
    options.log = LogTarget::Nowhere;
    options.bind = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let error = run(options.clone(), async {}).await.unwrap_err().to_string();
    assert!(error.contains("0 of 1 devices") && error.contains("--bind"), "{error}");
    let cause = io::Error::from_raw_os_error(24);
    let error = FleetError::Sockets { opened: 9, needed: 5_000, bind: options.bind, cause };
    assert!(error.to_string().contains("`ulimit -n 5100`"), "{error}");
    let folder = folder("bad");
    let memory = folder.join("flash.jsonl");
    fs::write(&memory, "[1]\n").unwrap();
    options.memory = Some(memory);
    let error = run(options, async {}).await.unwrap_err().to_string();
    assert!(error.contains("not a fleet's flash memory"), "{error}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn server_addresses_are_resolved() {
    let check = |uri: &str, expected: Option<&str>| {
        let address = resolve(uri).ok().map(|address| address.to_string());
        assert_eq!(address.as_deref(), expected, "{uri}");
    };
    check("coap://127.0.0.1:5700", Some("127.0.0.1:5700"));
    check("coap://127.0.0.1", Some("127.0.0.1:5683"));
    check("127.0.0.1:99/", Some("127.0.0.1:99"));
    check("coap://[::1]", Some("[::1]:5683"));
    check("coap://[::1]:7", Some("[::1]:7"));
    check("coap://localhost:7", Some("127.0.0.1:7"));
    check("coaps://127.0.0.1", None);
    check("coap://127.0.0.1:port", None);
    check("", None);
}
