//! The simulated devices, in a process of their own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use crate::arguments::Dev;
use crate::failure::Failure;

/// A running `sim fleet`. It ends when its standard input closes, so it cannot outlive this
/// process, however that ends.
#[derive(Debug)]
pub(super) struct Fleet {
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Fleet {
    /// Starts the devices; they register with the server by themselves.
    pub(super) fn start(arguments: &Dev, server: SocketAddr) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::of(format!("the simulated devices cannot be started: {error}"))
        };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command
            .args(["sim", "fleet", "--until-stdin-closes"])
            .args(["--server", &format!("coap://{server}")])
            .args(["--devices", &arguments.sim.to_string()])
            .args(["--scenario", arguments.scenario.as_str()])
            .args(["--seed", &arguments.seed.to_string()])
            .args(["--lifetime", &format!("{}s", lifetime_s(arguments.sim))])
            .arg("--log")
            .arg(arguments.log.clone().unwrap_or_else(|| free_log(arguments)))
            .arg("--memory")
            .arg(arguments.data.join("devices-flash.jsonl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C in a terminal goes to the whole group; the devices are stopped after it by us.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let stderr = child.stderr.take().expect("invariant: standard error is piped above");
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, stderr: BufReader::new(stderr).lines(), said: Vec::new() })
    }

    /// Completes when the devices end by themselves, which they should not.
    pub(super) async fn broken(&mut self) -> Failure {
        while let Ok(Some(line)) = self.stderr.next_line().await {
            self.said.push(line);
            if self.said.len() > SAID_LINES_MAX {
                self.said.remove(0);
            }
        }
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let (hints, words): (Vec<&String>, Vec<&String>) =
            self.said.iter().partition(|line| line.starts_with("hint: "));
        let cause = words.last().map_or(status.as_str(), |line| line.trim_start_matches("error: "));
        let hint = hints.last().map_or("", |line| line.trim_start_matches("hint: "));
        Failure::of(format!("the simulated devices ended: {cause}")).hint(hint)
    }

    /// Stops the devices, and waits until their log and flash memory are on disk.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        if tokio::time::timeout(STOP_TIME, self.child.wait()).await.is_err() {
            // It has ended in the meantime when it cannot be killed.
            let _ = self.child.kill().await;
        }
    }
}

/// The file for the devices' log; those of earlier runs in the same folder stay.
fn free_log(arguments: &Dev) -> PathBuf {
    let numbered = |number: u32| match number {
        1 => arguments.data.join("devices.jsonl"),
        _ => arguments.data.join(format!("devices-{number}.jsonl")),
    };
    (1..).map(numbered).find(|path| fs::metadata(path).is_err()).unwrap_or_else(|| numbered(1))
}

/// Registration lifetime of the devices. Twice that is the silence after which one counts as lost,
/// and what is younger proves nothing yet, so it decides how long a trial takes. A large fleet
/// that renews as often would keep the server busy with nothing else.
const fn lifetime_s(devices: usize) -> usize {
    LIFETIME_S + devices / DEVICES_A_SECOND
}

/// Time for the devices to write what they have to.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Last lines kept of what the devices' process says.
const SAID_LINES_MAX: usize = 20;
/// Longer than a device of the sample is silent while it installs and restarts.
const LIFETIME_S: usize = 4;
const DEVICES_A_SECOND: usize = 500;
