//! The sample set-up: settings that suit a trial of a minute, and the sample release.

use std::fs;
use std::path::PathBuf;

use api::client::{Client, ClientError};
use api::{OperationRef, ProblemCode, StartRequest};
use model::{Evidence, Latency, Policy, Rate, Retry, Rule, Span, Strategy, Undo};
use server::{Settings, Slowdown, SlowdownStage};
use sim::{LateAnswers, SAMPLE_VERSION_BEFORE, Scenario};

use crate::arguments::Dev;
use crate::command::operator;
use crate::command::release::publish_file;
use crate::failure::Failure;

/// Settings for simulated devices, which do in seconds what real ones do in minutes.
pub(super) fn settings(arguments: &Dev) -> Settings {
    Settings {
        data: arguments.data.clone(),
        http: arguments.http,
        coap: arguments.coap,
        // Less than the two seconds for which the simulated devices listen: what is sent to one
        // that has just fallen asleep is repeated for a long time before it is given up.
        queue_awake: Span::millis(1_500),
        coap_ack_timeout: Span(arguments.scenario.ack_timeout()),
        transfer_look: Span::secs(1),
        install_look: Span::secs(2),
        probe: Span::secs(3),
        compliance_delay: COMPLIANCE_DELAY,
        policy: policy(arguments.scenario),
        slowdown: slowdown(arguments.scenario),
        ..Settings::default()
    }
}

fn policy(scenario: Scenario) -> Policy {
    let policy = Policy {
        // Long enough for a device that charges or returns, short enough for a trial.
        linger: Span::secs(8),
        retry: Retry { backoff: Span::secs(1), backoff_max: Span::secs(5), ..Retry::default() },
        ..Policy::default()
    };
    if scenario == Scenario::SlowServer {
        // Paper A's experiment is about paper A's rule, which answers response times by the size
        // of elements. It needs more and smaller ones, to be seen at work between 27 % and 90 %.
        return Policy {
            rule: Rule::Threshold,
            strategy: Strategy::Exponential { factor: Rate::percent(200) },
            speed_max: Rate::percent(10),
            ..policy
        };
    }
    Policy {
        rule: Rule::Evidence(evidence(scenario)),
        // Server and devices share this computer; that alone makes answers late.
        response_time_floor_us: 100_000,
        ..policy
    }
}

/// Regulation by evidence on the clock of the simulated devices, whose seconds are the hours of
/// real ones.
fn evidence(scenario: Scenario) -> Evidence {
    let late = scenario == Scenario::LateFault;
    Evidence {
        // A fifth or so of a trial's targets: with less the first devices would go one by one.
        budget: Some(30),
        look: Span::secs(1),
        silence_min: Span::secs(5),
        ages: vec![Span::secs(20), Span::secs(60)],
        latencies: vec![Latency { mean: Span::secs(1), share: Rate::WHOLE }],
        // Who wants to see a late fault has to wait for it, and needs a control that is more than
        // one device of each revision.
        watch: Span::secs(if late { 25 } else { 4 }),
        holdback: Rate::percent(if late { 10 } else { 1 }),
        undo: Undo::Automatic,
        ..Evidence::default()
    }
}

/// The policy of the release that rests on the sample release: what was installed yesterday is
/// built upon with care, so few devices are at risk, and faults may take their time. It is under
/// way when the fault of the sample release shows.
fn slow(scenario: Scenario) -> Policy {
    let evidence = Evidence {
        budget: Some(3),
        latencies: vec![Latency { mean: Span::secs(30), share: Rate::WHOLE }],
        ..evidence(scenario)
    };
    Policy { rule: Rule::Evidence(evidence), ..policy(scenario) }
}

/// The late answers of a scenario, in the form of the settings.
fn slowdown(scenario: Scenario) -> Slowdown {
    let mut slowdown = Slowdown::default();
    for LateAnswers { from, late, one_element } in scenario.late_answers() {
        let delay = Span(*late);
        if *from == Rate::ZERO {
            slowdown.delay = Some(delay);
        } else {
            slowdown.stages.push(SlowdownStage { from: *from, delay, one_element: *one_element });
        }
    }
    slowdown
}

/// The sample release.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    scenario: Scenario,
    folder: PathBuf,
}

/// The operation that brings the sample release.
#[derive(Debug)]
pub(super) struct Opened {
    /// The operation.
    pub(super) operation: OperationRef,
    /// Whether it was opened in an earlier trial.
    pub(super) goes_on: bool,
    /// What to say of it.
    pub(super) words: String,
}

impl Sample {
    /// Puts manifests and images into the data folder, where they can be looked at.
    pub(super) fn new(arguments: &Dev) -> Result<Self, Failure> {
        let sample = Self { scenario: arguments.scenario, folder: arguments.data.join("sample") };
        let write = |name: &str, bytes: &[u8]| {
            let path = sample.folder.join(name);
            fs::write(&path, bytes).map_err(|error| Failure::file(&path, &error))
        };
        fs::create_dir_all(&sample.folder)
            .map_err(|error| Failure::file(&sample.folder, &error))?;
        write(IMAGE_BEFORE, &Scenario::image_before())?;
        write(MANIFEST_BEFORE, Scenario::manifest_before(IMAGE_BEFORE).as_bytes())?;
        write(IMAGE, &sample.scenario.image())?;
        write(MANIFEST, sample.scenario.manifest(IMAGE).as_bytes())?;
        if let Some(image) = sample.scenario.image_later() {
            write(IMAGE_LATER, &image)?;
        }
        if let Some(manifest) = sample.scenario.manifest_later(IMAGE_LATER) {
            write(MANIFEST_LATER, manifest.as_bytes())?;
        }
        Ok(sample)
    }

    /// Publishes the release with an operation, like anyone; or finds the operation of an earlier
    /// run in the same folder.
    pub(super) fn publish(&self, client: &Client) -> Result<Opened, Failure> {
        self.publish_before(client)?;
        let manifest = self.scenario.manifest(IMAGE);
        self.bring(client, &manifest, MANIFEST, None)
    }

    /// Whether a release follows that rests on the sample release.
    pub(super) fn has_later(&self) -> bool {
        self.scenario.manifest_later(IMAGE_LATER).is_some()
    }

    /// Publishes the release that rests on the sample release, with an operation that goes slowly.
    pub(super) fn publish_later(&self, client: &Client) -> Result<Option<Opened>, Failure> {
        let Some(manifest) = self.scenario.manifest_later(IMAGE_LATER) else { return Ok(None) };
        self.bring(client, &manifest, MANIFEST_LATER, Some(slow(self.scenario))).map(Some)
    }

    /// Publishes what the devices come with, without an operation: what is stopped can then be
    /// undone.
    fn publish_before(&self, client: &Client) -> Result<(), Failure> {
        match client.release(&format!("{}@{SAMPLE_VERSION_BEFORE}", self.name()?)) {
            Ok(_) => Ok(()),
            Err(ClientError::Refused(problem)) if problem.code == ProblemCode::NotFound => {
                publish_file(&self.folder.join(MANIFEST_BEFORE), false, None, client)?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes a release of the folder with an operation, unless it is published there already.
    fn bring(
        &self,
        client: &Client,
        manifest: &str,
        file: &str,
        policy: Option<Policy>,
    ) -> Result<Opened, Failure> {
        let ours = model::Manifest::from_toml(manifest).map_err(Failure::of)?;
        let name = format!("{}@{}", ours.release.name, ours.release.version);
        match client.release(&name) {
            Ok(release) => go_on(client, &name, &release, &ours, policy),
            Err(ClientError::Refused(problem)) if problem.code == ProblemCode::NotFound => {
                let path = self.folder.join(file);
                let response = publish_file(&path, true, policy, client)?;
                let title = response.release.reference().title();
                let operation = response.operation.ok_or_else(|| {
                    Failure::of(format!("the server published {title} without an operation"))
                })?;
                let words = format!("published {title} from {}", path.display());
                Ok(Opened { operation: operation.reference(), goes_on: false, words })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn name(&self) -> Result<String, Failure> {
        let manifest =
            model::Manifest::from_toml(&self.scenario.manifest(IMAGE)).map_err(Failure::of)?;
        Ok(manifest.release.name.to_string())
    }
}

/// Goes on with a release that was published in the folder before.
fn go_on(
    client: &Client,
    name: &str,
    release: &api::ReleaseDetail,
    ours: &model::Manifest,
    policy: Option<Policy>,
) -> Result<Opened, Failure> {
    let title = release.summary.reference().title();
    let same = release.artifact.as_ref().map(|artifact| artifact.sha256.clone())
        == ours.artifact.first().map(|artifact| artifact.sha256.to_string());
    let note = if same {
        String::new()
    } else {
        "; its image is that of another scenario, give another --data for this one".to_owned()
    };
    if let Some(operation) = release.summary.operations.first() {
        let words = format!("going on with {title}, published here before{note}");
        return Ok(Opened { operation: operation.clone(), goes_on: true, words });
    }
    let request = StartRequest {
        release: name.to_owned(),
        policy,
        by: Some(operator()),
        ..StartRequest::default()
    };
    let operation = client.start(&request, None)?;
    let words = format!("started {title}, published here before{note}");
    Ok(Opened { operation: operation.reference(), goes_on: false, words })
}

const MANIFEST_BEFORE: &str = "ws200-1.0.0.toml";
const IMAGE_BEFORE: &str = "ws200-1.0.0.bin";
const MANIFEST: &str = "ws200-1.1.0.toml";
const IMAGE: &str = "ws200-1.1.0.bin";
const MANIFEST_LATER: &str = "ws200-1.2.0.toml";
const IMAGE_LATER: &str = "ws200-1.2.0.bin";
/// How long devices are collected for an operation that follows another.
pub(super) const COMPLIANCE_DELAY: Span = Span::secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_the_trial_is_allowed() {
        for scenario in Scenario::ALL {
            policy(scenario).validated().unwrap();
            slow(scenario).validated().unwrap();
        }
    }

    #[test]
    fn only_the_slow_server_is_slow() {
        for scenario in Scenario::ALL {
            let slow = slowdown(scenario) != Slowdown::default();
            assert_eq!(slow, scenario == Scenario::SlowServer, "{scenario}");
        }
    }
}
