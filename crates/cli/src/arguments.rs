//! What can be typed: every command, argument and flag, with the words of `--help`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use model::Span;
use serde::de::DeserializeOwned;
use sim::Scenario;
use sim::benchmark::Chosen;

use crate::parse;

/// Most runs, or drawn scenarios, of a simulation: their results are kept in memory.
const RUNS_MAX: u64 = 100_000;

/// Keeps fleets of connected devices up to date by itself
#[derive(Debug, Parser)]
#[command(
    name = "bellwether",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = AFTER_HELP
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Address of the server to talk to
    #[arg(
        long,
        global = true,
        env = "BELLWETHER_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) server: String,

    /// Form of what is printed to standard output
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value_t)]
    pub(crate) output: Form,

    /// When to use colours; NO_COLOR switches them off as well
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: Color,
}

/// Form of the output: for people, one JSON document, or one JSON object a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Form {
    #[default]
    Table,
    Json,
    Jsonl,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it out: a server, simulated devices and a sample release in one command
    Dev(Dev),
    /// Run the server
    Serve(Serve),
    /// Look at devices, read and write their values, hold them back
    #[command(subcommand)]
    Device(Device),
    /// Check, publish and list releases
    #[command(subcommand)]
    Release(Release),
    /// Plan, start, watch and stop operations, which bring a release to its devices
    #[command(subcommand, visible_alias = "rollout")]
    Operation(Operation),
    /// Say why a device is updated, or not, or not yet
    Why(Why),
    /// Print what happens in the server
    Events(Events),
    /// Simulate devices, the paper's experiments, and networks that fail
    #[command(subcommand)]
    Sim(Sim),
    /// Print the completion script of a shell
    Completion(Completion),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Number of simulated devices, at most 50000
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = parse::simulated)]
    pub(crate) sim: usize,

    /// What happens to them
    #[arg(long, value_name = "NAME", default_value = "calm", value_parser = scenario())]
    pub(crate) scenario: Scenario,

    /// Folder of everything durable; one that exists is continued
    #[arg(long, value_name = "DIR", default_value = "bellwether-data")]
    pub(crate) data: PathBuf,

    /// Address of the console and the HTTP interface
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse::address)]
    pub(crate) http: SocketAddr,

    /// Address for devices, CoAP over UDP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5683", value_parser = parse::address)]
    pub(crate) coap: SocketAddr,

    /// End when the sample operation ends: 0 finished, 3 aborted, 9 stopped for a part of the
    /// devices, 4 not ended within --timeout. What was stopped is undone before
    #[arg(long)]
    pub(crate) once: bool,

    /// Longest time for --once
    #[arg(long, value_name = "TIME", default_value = "300s", requires = "once")]
    pub(crate) timeout: Span,

    /// Print one JSON object a line for each event, as GET /api/v1/events sends them
    #[arg(long)]
    pub(crate) json: bool,

    /// Decides everything about the devices that chance has a part in
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse::whole::<u64>)]
    pub(crate) seed: u64,

    /// The devices' own log, JSON lines [default: devices.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Settings in TOML; flags and environment variables go before them
    #[arg(long, value_name = "FILE", env = "BELLWETHER_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Folder of everything durable; made when missing [default: bellwether-data]
    #[arg(long, value_name = "DIR", env = "BELLWETHER_DATA")]
    pub(crate) data: Option<PathBuf>,

    /// Address of the console and the HTTP interface [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "BELLWETHER_HTTP", value_parser = parse::address)]
    pub(crate) http: Option<SocketAddr>,

    /// Address for devices, CoAP over UDP [default: 127.0.0.1:5683]
    #[arg(long, value_name = "ADDR", env = "BELLWETHER_COAP", value_parser = parse::address)]
    pub(crate) coap: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// List devices
    List(DeviceList),
    /// Show everything known of a device
    Show {
        #[command(flatten)]
        device: DeviceName,
    },
    /// Read from a device now
    Read {
        #[command(flatten)]
        device: DeviceName,
        /// An object, an instance or a resource, e.g. /3/0/9
        path: String,
    },
    /// Write a value to a device now
    Write {
        #[command(flatten)]
        device: DeviceName,
        /// A resource, e.g. /1/0/1
        path: String,
        /// true, false, a number or a text
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Execute a resource of a device now
    Exec {
        #[command(flatten)]
        device: DeviceName,
        /// A resource, e.g. /3/0/4
        path: String,
        /// Arguments as LwM2M writes them, e.g. 0='now'
        #[arg(default_value = "", hide_default_value = true)]
        arguments: String,
    },
    /// Leave a device alone until it is released
    Hold {
        #[command(flatten)]
        device: DeviceName,
        #[command(flatten)]
        order: Order,
    },
    /// Let a held or quarantined device be updated again
    Release {
        #[command(flatten)]
        device: DeviceName,
        #[command(flatten)]
        order: Order,
    },
    /// Let an operation change a device that waits for its user's or owner's consent
    Consent {
        #[command(flatten)]
        device: DeviceName,
        /// The operation, e.g. op-1
        #[arg(long, value_name = "ID")]
        operation: String,
        /// Not before that time has passed, e.g. 2d
        #[arg(long, value_name = "SPAN", conflicts_with = "withdraw")]
        defer: Option<String>,
        /// Take back the consent that was given
        #[arg(long)]
        withdraw: bool,
        #[command(flatten)]
        order: Order,
    },
    /// Hand over a signal of the business about a device, such as a call to the hotline
    Signal {
        #[command(flatten)]
        device: DeviceName,
        /// What kind of signal, in one word
        #[arg(long, value_name = "WORD")]
        kind: String,
        /// More about it
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        text: String,
    },
}

/// Names a device.
#[derive(Debug, Args)]
pub(crate) struct DeviceName {
    /// Endpoint name, number, or a name like dev-7
    pub(crate) device: String,
}

/// Why something is ordered.
#[derive(Debug, Args)]
pub(crate) struct Order {
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct DeviceList {
    /// Only endpoint names that contain this text
    #[arg(long = "match", value_name = "TEXT")]
    pub(crate) text: Option<String>,

    /// Only this model; `MANUFACTURER / MODEL` names both
    #[arg(long)]
    pub(crate) model: Option<String>,

    /// Only devices that run this version
    #[arg(long, value_name = "VERSION")]
    pub(crate) firmware: Option<String>,

    /// Only devices that can be reached like this
    #[arg(long, value_name = "STATE", value_parser = words::<api::Presence>(&PRESENCE))]
    pub(crate) presence: Option<api::Presence>,

    /// Only devices whose software is in this state
    #[arg(long, value_name = "STATE", value_parser = words::<api::Compliance>(&COMPLIANCE))]
    pub(crate) compliance: Option<api::Compliance>,

    #[command(flatten)]
    pub(crate) limit: Limit,
}

/// How much of a list is wanted.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// Most entries to print [default: all]
    #[arg(long, value_name = "N", value_parser = parse::entries)]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Check a manifest and its image without a server
    Lint {
        /// The manifest, TOML or JSON
        file: PathBuf,
    },
    /// Upload the image named by a manifest, and publish the release
    Publish(Publish),
    /// List releases, newest first
    List(Limit),
    /// Show everything about a release
    Show {
        #[command(flatten)]
        release: ReleaseRef,
    },
}

/// Names a release.
#[derive(Debug, Args)]
pub(crate) struct ReleaseRef {
    /// NAME@VERSION, NAME for its newest version, a number, or a name like rel-2
    pub(crate) release: String,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The manifest, TOML or JSON; the image lies where its `file` says, next to the manifest
    pub(crate) file: PathBuf,

    /// Start an operation that brings the release to every device it is for; see
    /// `operation rehearse --file` before
    #[arg(long)]
    pub(crate) start: bool,

    #[command(flatten)]
    pub(crate) policy: PolicyFile,

    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// How an operation is regulated.
#[derive(Debug, Args)]
pub(crate) struct PolicyFile {
    /// Policy in TOML; missing fields take the built-in defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Read the policy from the settings of another system, in its own JSON
    #[arg(
        long,
        value_name = "SYSTEM",
        requires = "policy",
        value_parser = words::<api::ImportFrom>(&IMPORT)
    )]
    pub(crate) import: Option<api::ImportFrom>,
}

/// Whether to stay until an operation ends.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Stay and watch until the operation ends
    #[arg(short, long, visible_alias = "watch")]
    pub(crate) wait: bool,

    /// Longest time to stay
    #[arg(long, value_name = "TIME", requires = "wait")]
    pub(crate) timeout: Option<Span>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Say what an operation would do, without starting it; exit code 5 when nothing
    Plan(Plan),
    /// Run an operation in virtual time on this fleet, with and without faults, before it is started
    Rehearse(Rehearse),
    /// Start an operation; see `operation rehearse` before
    Start(Start),
    /// List operations, newest first
    List(Limit),
    /// Show an operation, or watch it with -w
    Get {
        #[command(flatten)]
        operation: OperationName,
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop an operation until it is resumed; devices in flight complete
    Pause {
        #[command(flatten)]
        operation: OperationName,
        #[command(flatten)]
        order: Order,
    },
    /// Let a paused operation go on
    Resume {
        #[command(flatten)]
        operation: OperationName,
        #[command(flatten)]
        order: Order,
    },
    /// Stop an operation for good
    Abort {
        #[command(flatten)]
        operation: OperationName,
        #[command(flatten)]
        order: Order,
    },
    /// List the decisions of an operation with their reasons, newest first
    Decisions {
        #[command(flatten)]
        operation: OperationName,
        #[command(flatten)]
        limit: Limit,
    },
    /// Make an operation's stored decisions once more; exit code 8 when one comes out differently
    Replay {
        #[command(flatten)]
        operation: OperationName,
    },
    /// List the devices of an operation
    Devices(OperationDevices),
}

/// Names an operation.
#[derive(Debug, Args)]
pub(crate) struct OperationName {
    /// Number, or a name like op-1
    pub(crate) operation: String,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// NAME@VERSION, NAME for its newest version, a number, or a name like rel-2
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) release: Option<String>,

    /// Manifest of a release that is not published yet
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) picked: Picked,

    #[command(flatten)]
    pub(crate) policy: PolicyFile,
}

#[derive(Debug, Args)]
#[command(
    after_help = FAULT_HELP,
    group = clap::ArgGroup::new("fleet").required(true).args(["release", "file", "scenario_file"])
)]
pub(crate) struct Rehearse {
    /// NAME@VERSION, NAME for its newest version, a number, or a name like rel-2
    pub(crate) release: Option<String>,

    /// Manifest of a release that is not published yet
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) picked: Picked,

    #[command(flatten)]
    pub(crate) policy: PolicyFile,

    /// Fault to rehearse, e.g. failure:3%; may be repeated [default: one of each kind]
    #[arg(long = "fault", value_name = "SPEC")]
    pub(crate) faults: Vec<Chosen>,

    /// Rehearse on the fleet of this scenario, such as one that --to wrote, and ask no server
    #[arg(long, value_name = "FILE", conflicts_with = "devices")]
    pub(crate) scenario_file: Option<PathBuf>,

    /// Runs for each fault [default: 50, fewer on large fleets]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX))]
    pub(crate) runs: Option<u64>,

    /// Decides everything chance has a part in
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse::whole::<u64>)]
    pub(crate) seed: u64,

    /// Threads, which change no result [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = parse::threads)]
    pub(crate) threads: Option<std::num::NonZeroUsize>,

    /// Folder for rehearsal.json, policy.toml and the scenario of each fault; made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) release: ReleaseRef,

    #[command(flatten)]
    pub(crate) picked: Picked,

    #[command(flatten)]
    pub(crate) policy: PolicyFile,

    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// Devices picked by hand.
#[derive(Debug, Args)]
pub(crate) struct Picked {
    /// Only this device; may be repeated [default: every device the release is for]
    #[arg(long = "device", value_name = "DEVICE")]
    pub(crate) devices: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OperationDevices {
    #[command(flatten)]
    pub(crate) operation: OperationName,

    /// Only devices whose attempt is in this state
    #[arg(long, value_name = "STATE", value_parser = words::<api::AttemptState>(&ATTEMPT))]
    pub(crate) state: Option<api::AttemptState>,

    /// Instead: devices that wait or are left out for this reason, e.g. battery.low
    #[arg(long, value_name = "CODE", conflicts_with = "state")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) limit: Limit,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    #[command(flatten)]
    pub(crate) device: DeviceName,

    /// An operation, e.g. op-1 [default: every open one, and the newest release for the device]
    pub(crate) operation: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Stay and print events as they happen
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Begin after the event of this id [default: what the server still remembers]
    #[arg(long, value_name = "ID", value_parser = parse::whole::<u64>)]
    pub(crate) since: Option<u64>,

    /// Only events of this type, e.g. decided; may be repeated
    #[arg(
        long = "type",
        value_name = "TYPE",
        hide_possible_values = true,
        value_parser = clap::builder::PossibleValuesParser::new(api::EventKind::NAMES)
    )]
    pub(crate) types: Vec<String>,

    /// Only events of this operation, e.g. op-1
    #[arg(long, value_name = "OPERATION")]
    pub(crate) operation: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sim {
    /// Run simulated devices against any LwM2M server
    Fleet(SimFleet),
    /// Draw figure 5 of paper A from runs of the production code in virtual time
    #[command(name = "figure-5")]
    Figure5 {
        /// Folder for the SVG and CSV files; made when missing
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Compare rollout rules on fleets and faults in virtual time
    Benchmark(SimBenchmark),
    /// Run the whole system in virtual time with faults drawn from a seed, checking it at each step
    Run {
        /// The seed
        #[arg(long, value_name = "N", value_parser = parse::whole::<u64>)]
        seed: u64,
        /// How many seeds to run, counting up from the first
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse::whole::<u64>)]
        seeds: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SimBenchmark {
    /// Shipped scenario, e.g. B4; may be repeated [default: all]
    #[arg(long = "scenario", value_name = "NAME")]
    pub(crate) scenarios: Vec<String>,

    /// Scenario of your own in TOML; may be repeated
    #[arg(long = "scenario-file", value_name = "FILE")]
    pub(crate) scenario_files: Vec<PathBuf>,

    /// Policy: a name, all of a system such as aws-jobs*, defaults, tuned, all, or a file in TOML;
    /// may be repeated [default: defaults and tuned]
    #[arg(long = "policy", value_name = "NAME|FILE")]
    pub(crate) policies: Vec<String>,

    /// Runs of each policy in each scenario
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX),
    )]
    pub(crate) runs: u64,

    /// Decides everything chance has a part in
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Threads, which change no result [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = parse::threads)]
    pub(crate) threads: Option<std::num::NonZeroUsize>,

    /// Folder for results.csv, results.json, table.md and the pictures; made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Draw this many scenarios from documented ranges instead
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX),
        conflicts_with_all = ["scenarios", "scenario_files"]
    )]
    pub(crate) sweep: Option<u64>,

    /// Seed of the first drawn scenario; each further one has the next number
    #[arg(long, value_name = "N", default_value_t = 1, requires = "sweep")]
    pub(crate) sweep_seed: u64,

    /// Search the settings of other systems for the best with hindsight, among those as fast as
    /// the policies of Bellwether given with --policy [default: evidence-200] in the scenarios
    /// given [default: B1 to B5 and B7]
    #[arg(long, conflicts_with = "sweep")]
    pub(crate) tune: bool,

    /// System to tune, e.g. aws-jobs; may be repeated [default: all]
    #[arg(long = "family", value_name = "NAME", requires = "tune")]
    pub(crate) families: Vec<String>,

    /// Runs of each setting while it searches; --runs holds for the best ones
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX),
        requires = "tune",
    )]
    pub(crate) grid_runs: u64,

    /// List the scenarios and policies, or print a scenario's file with --scenario, and end
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SimFleet {
    /// The server the devices register with
    #[arg(
        id = FLEET_SERVER,
        long = "server",
        value_name = "URL",
        required_unless_present = "describe"
    )]
    pub(crate) server: Option<String>,

    /// Number of devices, at most 50000
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = parse::simulated)]
    pub(crate) devices: usize,

    /// What happens to them
    #[arg(long, value_name = "NAME", default_value = "calm", value_parser = scenario())]
    pub(crate) scenario: Scenario,

    /// Where the devices say what they saw and did, JSON lines [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// File that keeps the devices' flash memory from one run to the next
    #[arg(long, value_name = "FILE")]
    pub(crate) memory: Option<PathBuf>,

    /// Decides everything chance has a part in
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse::whole::<u64>)]
    pub(crate) seed: u64,

    /// Local address of the devices' sockets
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", value_parser = parse::ip)]
    pub(crate) bind: std::net::IpAddr,

    /// Registration lifetime
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) lifetime: Span,

    /// Print who the devices are and what happens to them, and end
    #[arg(long)]
    pub(crate) describe: bool,

    /// End when standard input closes, as it does when the process that started this one ends
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

/// The id of the flag `--server` of `sim fleet`. It is that of the global flag, so that this one
/// takes its place there: a CoAP server is meant, not an HTTP one.
const FLEET_SERVER: &str = "server";

const IMPORT: [&str; 8] =
    ["aws", "hawkbit", "mender", "edgehog", "flagger", "nebraska", "nerves_hub", "nodewright"];
const PRESENCE: [&str; 3] = ["online", "asleep", "offline"];
const COMPLIANCE: [&str; 7] =
    ["updating", "held", "quarantined", "unknown", "untargeted", "current", "outdated"];
const ATTEMPT: [&str; 12] = [
    "granted",
    "sent",
    "accepted",
    "transferred",
    "claimed",
    "verifying",
    "soaking",
    "succeeded",
    "failed",
    "silent",
    "deferred",
    "cancelled",
];

const FAULT_HELP: &str = "\
Faults are KIND:SHARE[:TIME][@PART=VALUE,...]. TIME is the mean time from the update to the fault,
PART is hardware, version or site:
  failure:3%                    installations fail, and say so
  silence:1%                    devices never come back
  latent:5%:12h                 devices come back and fall silent later
  crash:5%:2h                   devices come back and crash later
  latent:20%:6h@hardware=C      the same, in one hardware revision alone";

const AFTER_HELP: &str = "\
Start with `bellwether dev`: a server, 150 simulated devices and a sample release, with nothing to
install.

Exit codes: 0 done or finished, 1 failed, 2 wrong usage, 3 operation aborted, 4 timed out, or
paused while waiting, 5 nothing to update, 6 conflict, 7 not authorised, 8 a replay differs,
9 finished without a part that was stopped";

fn scenario() -> impl TypedValueParser<Value = Scenario> {
    PossibleValuesParser::new(Scenario::ALL.map(Scenario::as_str))
        .try_map(|word| word.parse::<Scenario>())
}

/// Reads one of the words that the HTTP interface uses for `T`.
fn words<T>(allowed: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(allowed).try_map(|word| serde_json::from_value(word.into()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn words_are_those_of_the_http_interface() {
        let parse = |arguments: &[&str]| {
            Arguments::try_parse_from([&["bellwether"], arguments].concat()).map(drop)
        };
        for word in PRESENCE {
            parse(&["device", "list", "--presence", word]).unwrap();
        }
        for word in COMPLIANCE {
            parse(&["device", "list", "--compliance", word]).unwrap();
        }
        for word in api::EventKind::NAMES {
            parse(&["events", "--type", word]).unwrap();
        }
        parse(&["events", "--type", "decide"]).unwrap_err();
        for word in ATTEMPT {
            parse(&["operation", "devices", "op-1", "--state", word]).unwrap();
        }
        assert_eq!(ATTEMPT, api::AttemptState::ALL.map(api::AttemptState::as_str));
        for word in IMPORT {
            parse(&["operation", "plan", "r", "--policy", "f", "--import", word]).unwrap();
        }
        assert_eq!(IMPORT, api::ImportFrom::ALL.map(api::ImportFrom::as_str));
    }

    #[test]
    fn a_fleet_has_a_server_of_its_own() {
        let fleet = |arguments: &[&str]| {
            let arguments = Arguments::try_parse_from([&["bellwether"], arguments].concat())?;
            match arguments.command {
                Command::Sim(Sim::Fleet(fleet)) => Ok::<_, clap::Error>(fleet.server),
                other => panic!("{other:?}"),
            }
        };
        let server = "coap://127.0.0.1";
        let given = fleet(&["sim", "fleet", "--server", server]).unwrap();
        assert_eq!(given.as_deref(), Some(server));
        let missing = fleet(&["sim", "fleet"]).unwrap_err();
        assert_eq!(missing.kind(), clap::error::ErrorKind::MissingRequiredArgument);
        fleet(&["sim", "fleet", "--describe"]).unwrap();
    }
}
