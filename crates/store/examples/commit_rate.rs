//! Prints how many records a second the disk under a folder takes, by batch size, and how long a
//! large fleet takes to load: `cargo run --release -p store --example commit_rate [FOLDER]`.
//! The folder is created, must not exist before, and is removed at the end.
#![expect(clippy::print_stdout, reason = "a measurement to be read on the terminal")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::{Device, DeviceId, Observed, Record, Scalar, Time};
use store::{DataDir, Knowledge, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join(format!("bellwether-commit-rate-{}", std::process::id())),
        PathBuf::from,
    );
    if folder.exists() {
        return Err(format!("{} exists; give a new folder", folder.display()).into());
    }
    let result = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn measure(folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let dir = DataDir::open(folder)?;
    let mut store = dir.store(&Options::default())?;
    let sample = device()?;
    println!("{:>10} {:>14} {:>14}", "batch", "commits/s", "records/s");
    for size in [1, 10, 100, 1_000, 10_000] {
        let (began, mut commits, mut number) = (Instant::now(), 0_u32, 0);
        while began.elapsed() < WINDOW {
            // Updates in a scattered order, as devices call in.
            let batch: Vec<Record> = (0..size)
                .map(|_| {
                    number = (number + STRIDE) % DEVICES;
                    numbered(&sample, number + 1)
                })
                .collect();
            store.commit(&batch)?;
            commits += 1;
        }
        let rate = f64::from(commits) / began.elapsed().as_secs_f64();
        println!("{size:>10} {rate:>14.0} {:>14.0}", rate * f64::from(size));
    }
    let all: Vec<Record> = (1..=DEVICES).map(|number| numbered(&sample, number)).collect();
    for batch in all.chunks(10_000) {
        store.commit(batch)?;
    }
    drop(store);
    let began = Instant::now();
    let devices = dir.store(&Options::default())?.load()?.devices.len();
    println!("loaded {devices} devices in {:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// A device with ten values.
fn device() -> Result<Device, Box<dyn Error>> {
    let mut device: Device = serde_json::from_str(
        r#"{ "id": 1, "endpoint": "d", "manufacturer": "ACME", "model": "WS-200",
            "hardware": "B", "version": "1.2.0", "site": null, "presence": "online",
            "lifetime": { "secs": 300, "nanos": 0 }, "first_seen": 1, "last_seen": 1,
            "registrations": 1 }"#,
    )?;
    for number in 0..10 {
        let path = format!("/3/0/{number}").try_into()?;
        let at = Time::from_secs(1_795_338_000);
        device.datamodel.values.insert(path, Observed { value: Scalar::Integer(number), at });
    }
    Ok(device)
}

fn numbered(sample: &Device, number: u64) -> Record {
    let mut device = sample.clone();
    device.id = DeviceId(number);
    if let Ok(endpoint) = model::EndpointName::new(&format!("urn:dev:mac:{number:012x}")) {
        device.endpoint = endpoint;
    }
    Record::Device(Box::new(device))
}

/// Devices in the fleet.
const DEVICES: u64 = 100_000;

/// Shares no factor with the number of devices, so that every device comes once a round.
const STRIDE: u64 = 61_803;

/// Time spent on each batch size.
const WINDOW: Duration = Duration::from_secs(2);
