//! Programs that others wrote, as child processes.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::place::eventually;

/// Where the peers are installed, or none after a word on why the test is skipped.
pub(crate) fn installed(test: &str) -> Option<Peers> {
    match std::env::var_os("BELLWETHER_INTEROP") {
        Some(folder) => Some(Peers(folder.into())),
        None => {
            println!("skipped {test}: needs programs of others; run tests/interop/run");
            None
        }
    }
}

/// The folder that `tests/interop/install` filled.
pub(crate) struct Peers(PathBuf);

impl Peers {
    /// Wakaama's example client or server, made to print line by line.
    pub(crate) fn wakaama(&self, role: &str) -> Command {
        let mut command = Command::new("stdbuf");
        command.arg("-oL").arg(self.0.join("wakaama").join(role));
        command
    }

    /// A script of this repository over a library of the npm registry.
    pub(crate) fn node(&self, script: &str) -> Command {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/peers/");
        let mut command = Command::new("node");
        command.arg("--no-warnings").arg(format!("{scripts}{script}"));
        command.env("NODE_PATH", self.0.join("node").join("node_modules"));
        command
    }

    /// One of aiocoap's tools.
    pub(crate) fn aiocoap(&self, tool: &str) -> Command {
        Command::new(self.0.join("python").join("bin").join(format!("aiocoap-{tool}")))
    }
}

/// libcoap's client. It exits with status 0 whatever the answer, and prints errors to the error
/// stream.
pub(crate) fn libcoap(method: &str, uri: &str) -> Command {
    let mut command = Command::new("coap-client-notls");
    command.args(["-m", method, "-B", "20", uri]);
    command
}

/// The binary of this repository with the simulated fleet.
pub(crate) fn bellwether() -> Option<Command> {
    std::env::var_os("BELLWETHER_BIN").map(Command::new)
}

/// Runs a program to its end.
pub(crate) fn run(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// A program that runs until it is dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: ChildStdin,
    /// What it has printed so far.
    printed: Arc<Mutex<String>>,
    name: String,
}

impl Peer {
    pub(crate) fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let printed = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&printed);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                kept.lock().expect("no panic").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { child, stdin, printed, name }
    }

    /// Types a line, in one piece: a program that reads what is there may act on half a line and,
    /// where that was its order to leave, be gone before the rest.
    pub(crate) fn type_line(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    /// Waits until it has printed a text; returns everything printed after `from` bytes.
    pub(crate) fn says(&self, text: &str, from: usize) -> String {
        eventually(&format!("`{text}` from {}", self.name), || {
            let printed = self.printed();
            let new = printed.get(from..)?;
            new.contains(text).then(|| new.to_owned())
        })
    }

    /// Everything printed so far.
    pub(crate) fn printed(&self) -> String {
        self.printed.lock().expect("no panic").clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = self.child.try_wait();
            println!("{} ({ended:?}) printed:\n{}", self.name, self.printed());
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
