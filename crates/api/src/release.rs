//! Releases: what was published, and publishing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{OperationRef, OperationSummary, ReleaseRef, Timestamp, Value};

/// A release in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseSummary {
    /// Its number.
    pub id: u64,
    /// Its number as text, e.g. `rel-2`.
    #[schema(example = "rel-2")]
    pub name: String,
    /// The release's name in its manifest.
    pub release: String,
    /// The version it brings.
    pub version: String,
    /// What it changes.
    pub kind: ReleaseKind,
    /// Paper A's criticality: `critical`, `major`, `minor` or `hotfix`.
    pub class: String,
    /// Whether it fixes a vulnerability.
    pub security: bool,
    /// Lower goes first.
    pub priority: i32,
    /// One line for people.
    pub summary: String,
    /// Device kinds it is for, `manufacturer / model`.
    pub kinds: Vec<String>,
    /// Length of the image in bytes; 0 for a configuration.
    pub size: u64,
    /// When it was published.
    pub published: Timestamp,
    /// By whom.
    pub by: String,
    /// Operations that bring it, oldest first.
    pub operations: Vec<OperationRef>,
}

impl ReleaseSummary {
    /// A release with the operations that bring it.
    #[must_use]
    pub fn new(release: &model::Release, operations: Vec<OperationRef>) -> Self {
        let manifest = &release.manifest;
        let kinds = manifest
            .target
            .iter()
            .map(|target| format!("{} / {}", target.manufacturer, target.model))
            .collect();
        Self {
            id: release.id.0,
            name: release.id.to_string(),
            release: manifest.release.name.to_string(),
            version: manifest.release.version.to_string(),
            kind: if manifest.is_firmware() {
                ReleaseKind::Firmware
            } else {
                ReleaseKind::Configuration
            },
            class: manifest.release.class.to_string(),
            security: manifest.release.security,
            priority: manifest.priority(),
            summary: manifest.release.summary.clone(),
            kinds,
            size: manifest.artifact.first().map_or(0, |artifact| artifact.size),
            published: release.published.into(),
            by: release.by.clone(),
            operations,
        }
    }

    /// The release's names alone.
    #[must_use]
    pub fn reference(&self) -> ReleaseRef {
        ReleaseRef {
            id: self.id,
            name: self.name.clone(),
            release: self.release.clone(),
            version: self.version.clone(),
        }
    }
}

/// What a release changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseKind {
    /// It installs an image.
    Firmware,
    /// It writes values.
    Configuration,
}

impl ReleaseKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Configuration => "configuration",
        }
    }
}

/// Everything about a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseDetail {
    /// As in lists.
    #[serde(flatten)]
    pub summary: ReleaseSummary,
    /// Device kinds it is for.
    pub targets: Vec<TargetView>,
    /// The image of a firmware.
    pub artifact: Option<ArtifactView>,
    /// The values a configuration writes.
    pub writes: Vec<WriteView>,
    /// Steps that lead to it; none means from any lower version.
    pub upgrades: Vec<UpgradeView>,
    /// What a device must offer before it is touched, one sentence each.
    pub requirements: Vec<String>,
    /// What counts as success, in words.
    pub confirm: String,
    /// Values that are watched after the change.
    pub guards: Vec<GuardView>,
    /// Remarks on combinations that usually are a mistake.
    pub remarks: Vec<String>,
    /// The manifest as published, as JSON.
    #[schema(value_type = Object)]
    pub manifest: serde_json::Value,
}

impl ReleaseDetail {
    /// A release with the operations that bring it.
    #[must_use]
    pub fn new(release: &model::Release, operations: Vec<OperationRef>) -> Self {
        let manifest = release.manifest.as_ref();
        Self {
            summary: ReleaseSummary::new(release, operations),
            targets: manifest.target.iter().map(Into::into).collect(),
            artifact: manifest.artifact.first().map(Into::into),
            writes: manifest
                .write
                .iter()
                .map(|write| WriteView {
                    path: write.path.to_string(),
                    value: (&write.value).into(),
                })
                .collect(),
            upgrades: manifest.upgrade.iter().map(Into::into).collect(),
            requirements: requirements(&manifest.requires),
            confirm: confirm(manifest),
            guards: manifest.guard.iter().map(Into::into).collect(),
            remarks: manifest.lint(),
            manifest: serde_json::to_value(manifest).unwrap_or_default(),
        }
    }
}

/// A device kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetView {
    /// Manufacturer as devices report it.
    pub manufacturer: String,
    /// Model as devices report it.
    pub model: String,
    /// Hardware revisions; empty means any.
    pub hardware: Vec<String>,
}

impl From<&model::Target> for TargetView {
    fn from(target: &model::Target) -> Self {
        Self {
            manufacturer: target.manufacturer.clone(),
            model: target.model.clone(),
            hardware: target.hardware.clone(),
        }
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 in 64 hexadecimal digits.
    pub sha256: String,
    /// What the bytes are, e.g. `raw`.
    pub format: String,
    /// How devices receive it: `auto`, `pull` or `push`.
    pub delivery: String,
    /// Name of the publisher's copy.
    pub file: String,
}

impl From<&model::Artifact> for ArtifactView {
    fn from(artifact: &model::Artifact) -> Self {
        let format = match artifact.format {
            model::ArtifactFormat::Raw => "raw",
            model::ArtifactFormat::Mcuboot => "mcuboot",
            model::ArtifactFormat::EspIdf => "esp-idf",
            model::ArtifactFormat::Suit => "suit",
            model::ArtifactFormat::Rauc => "rauc",
            model::ArtifactFormat::Swupdate => "swupdate",
            model::ArtifactFormat::Mender => "mender",
        };
        let delivery = match artifact.delivery {
            model::Delivery::Auto => "auto",
            model::Delivery::Pull => "pull",
            model::Delivery::Push => "push",
        };
        Self {
            size: artifact.size,
            sha256: artifact.sha256.to_string(),
            format: format.to_owned(),
            delivery: delivery.to_owned(),
            file: artifact.file.clone(),
        }
    }
}

/// A value that a configuration writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WriteView {
    /// The resource's path.
    pub path: String,
    /// The value.
    pub value: Value,
}

/// A step that leads to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpgradeView {
    /// Versions it may start from.
    pub from: String,
    /// Whether it is forbidden.
    pub blocked: bool,
    /// Why it is forbidden.
    pub reason: String,
}

impl From<&model::Upgrade> for UpgradeView {
    fn from(upgrade: &model::Upgrade) -> Self {
        Self {
            from: upgrade.from.to_string(),
            blocked: upgrade.blocked,
            reason: upgrade.reason.clone(),
        }
    }
}

/// A watched value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuardView {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its limits, in words.
    pub expects: String,
    /// What a violation makes: `warning` or `error`.
    pub level: String,
}

impl From<&model::Guard> for GuardView {
    fn from(guard: &model::Guard) -> Self {
        let expect = &guard.expect;
        let limits: Vec<String> = [
            expect.min.map(|min| format!("at least {min}")),
            expect.max.map(|max| format!("at most {max}")),
            expect.min_percent_of_baseline.map(|p| format!("at least {p} % of the value before")),
            expect.max_percent_of_baseline.map(|p| format!("at most {p} % of the value before")),
        ]
        .into_iter()
        .flatten()
        .collect();
        let level = match guard.level {
            model::GuardLevel::Warning => "warning",
            model::GuardLevel::Error => "error",
        };
        Self {
            name: guard.name.clone(),
            path: guard.path.to_string(),
            expects: limits.join(", "),
            level: level.to_owned(),
        }
    }
}

/// A manifest to publish. Its image is uploaded before, by `PUT /api/v1/artifacts/{sha256}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// The manifest's text.
    pub manifest: String,
    /// What the text is written in.
    #[serde(default)]
    pub format: ManifestFormat,
    /// Whether an operation starts at once.
    #[serde(default)]
    pub start: bool,
    /// How that operation is regulated; missing fields take their defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub policy: Option<model::Policy>,
    /// Who publishes; `api` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a manifest is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManifestFormat {
    /// JSON when its first character is `{`, TOML otherwise.
    #[default]
    Auto,
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl ManifestFormat {
    /// Reads a manifest in this format.
    ///
    /// # Errors
    /// [`model::ManifestError`] points at line and column.
    pub fn read(self, text: &str) -> Result<model::Manifest, model::ManifestError> {
        match self {
            Self::Auto => model::Manifest::parse(text),
            Self::Toml => model::Manifest::from_toml(text),
            Self::Json => model::Manifest::from_json(text),
        }
    }
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PublishResponse {
    /// The release.
    pub release: ReleaseSummary,
    /// The operation that started, when one was asked for.
    pub operation: Option<OperationSummary>,
    /// Remarks on combinations that usually are a mistake.
    pub remarks: Vec<String>,
}

/// A manifest to look at without publishing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LintRequest {
    /// The manifest's text.
    pub manifest: String,
    /// What the text is written in.
    #[serde(default)]
    pub format: ManifestFormat,
}

/// What is wrong or odd about a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LintReport {
    /// Whether it could be published, its image aside.
    pub valid: bool,
    /// Errors first, then remarks.
    pub findings: Vec<Finding>,
}

impl LintReport {
    /// Looks at a manifest.
    #[must_use]
    pub fn of(request: &LintRequest) -> Self {
        match request.format.read(&request.manifest) {
            Ok(manifest) => Self {
                valid: true,
                findings: manifest
                    .lint()
                    .into_iter()
                    .map(|message| Finding { error: false, message, line: None, column: None })
                    .collect(),
            },
            Err(error) => Self {
                valid: false,
                findings: vec![Finding {
                    error: true,
                    message: error.message,
                    line: Some(error.line as u64),
                    column: Some(error.column as u64),
                }],
            },
        }
    }
}

/// One thing wrong or odd about a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Whether it forbids publishing; otherwise it is a remark.
    pub error: bool,
    /// What it is and what is allowed.
    pub message: String,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
}

/// An image that was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactReceipt {
    /// Its digest.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it was here already.
    pub existed: bool,
}

fn requirements(requires: &model::Requires) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(battery) = requires.battery {
        let or = if battery.or_external_power { ", or external power" } else { "" };
        sentences.push(format!("Battery at {} % or more{or}.", battery.percent));
    }
    if let Some(free_memory) = requires.free_memory {
        sentences.push(format!("{free_memory} KiB of free memory or more."));
    }
    if let Some(link) = requires.link {
        sentences.push(format!("Signal of {} dBm or more.", link.min_rssi_dbm));
    }
    if !sentences.is_empty() {
        sentences.push(
            match requires.unknown {
                model::Unknown::Wait => "A device that never reported a value waits until it does.",
                model::Unknown::Skip => "A device that never reported a value is left out.",
                model::Unknown::Allow => "A value that was never reported counts as met.",
            }
            .to_owned(),
        );
    }
    sentences
}

fn confirm(manifest: &model::Manifest) -> String {
    let version = &manifest.release.version;
    let model::Confirm { within, soak } = manifest.confirm;
    if manifest.is_firmware() {
        let after = if soak.0.is_zero() {
            String::new()
        } else {
            format!(", and it has run without a fault for {soak}")
        };
        format!(
            "The device itself reports {version} within {within} of starting to install{after}."
        )
    } else {
        format!("The device confirms every written value within {within}.")
    }
}
