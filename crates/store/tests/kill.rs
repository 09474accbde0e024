//! A process killed in the middle of its commits loses no acknowledged batch and keeps no half
//! of one (I15).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use model::{Device, DeviceId, Record, Registration, Time};
use store::{DataDir, Knowledge, Options, SqliteStore, StoreError};

#[test]
fn a_killed_process_loses_no_acknowledged_batch() {
    let folder = std::env::temp_dir().join(format!("bellwether-kill-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut acknowledged = 0;
    for lines in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut child = spawn(&folder);
        let output = BufReader::new(child.stdout.take().expect("the child's output is piped"));
        let numbers = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix(ACKNOWLEDGED)?.parse::<u64>().ok());
        let mut seen = 0;
        for number in numbers {
            acknowledged = number;
            seen += 1;
            if seen == lines {
                let holder = Some(child.id());
                let refused = DataDir::open(&folder).expect_err("the child holds the folder");
                assert_eq!(refused, StoreError::InUse { path: folder.clone(), pid: holder });
                // Lines that are on their way still count: the loop goes on to the end of them.
                child.kill().expect("the child can be killed");
            }
        }
        child.wait().expect("the child has ended");
        let mut store = open(&folder);
        let snapshot = store.load().expect("the database is whole");
        let batches = snapshot.devices.len() as u64 / BATCH;
        assert_eq!(snapshot.devices.len() as u64 % BATCH, 0, "half a batch was kept");
        assert_eq!(snapshot.registrations.len(), snapshot.devices.len());
        assert!(batches >= acknowledged, "{batches} kept, {acknowledged} acknowledged");
        assert!(batches <= acknowledged + 1, "at most one batch was on its way");
        assert_eq!(store.audit().expect("the database is whole"), []);
        acknowledged = batches;
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// The other process: does nothing unless it was started as one.
#[test]
fn child_that_commits_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut store = open(Path::new(&folder));
    let mut batch = store.load().expect("the database is whole").devices.len() as u64 / BATCH;
    let mut output = std::io::stdout();
    loop {
        let numbers = batch * BATCH + 1..=batch * BATCH + BATCH;
        let records: Vec<Record> =
            numbers.flat_map(|number| [device(number), registration(number)]).collect();
        store.commit(&records).expect("the disk works");
        batch += 1;
        // On a line of its own: the test harness writes to the same stream.
        writeln!(output, "\n{ACKNOWLEDGED}{batch}").expect("the parent listens");
        output.flush().expect("the parent listens");
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("the test has a file"))
        .args(["--exact", "child_that_commits_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test can be started again")
}

fn open(folder: &Path) -> SqliteStore {
    let dir = DataDir::open(folder).expect("the folder is free");
    dir.store(&Options::default()).expect("the database is whole")
}

fn device(number: u64) -> Record {
    let text = format!(
        r#"{{ "id": {number}, "endpoint": "d{number}", "manufacturer": null, "model": null,
            "hardware": null, "version": null, "site": null, "presence": "online",
            "lifetime": {{ "secs": 60, "nanos": 0 }}, "first_seen": 1, "last_seen": 1,
            "registrations": 1 }}"#
    );
    let device: Device = serde_json::from_str(&text).expect("a device");
    Record::Device(Box::new(device))
}

fn registration(number: u64) -> Record {
    Record::Registration(Registration {
        device: DeviceId(number),
        driver: "lwm2m".to_owned(),
        address: "127.0.0.1:5683".to_owned(),
        location: format!("/rd/{number}"),
        details: String::new(),
        at: Time::from_secs(1),
    })
}

/// Says that a process is the one to be killed, and where it works.
const FOLDER: &str = "BELLWETHER_TEST_KILL_FOLDER";

/// Starts the line that acknowledges a batch.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Devices in a batch.
const BATCH: u64 = 20;
