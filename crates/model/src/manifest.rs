//! The release manifest: what developers say about a firmware or a configuration.
//!
//! One data model, written as TOML or JSON. Terms follow RFC 9124 where it has them; `class`
//! is paper A's criticality (§III-C), `security` and `priority` are separate on purpose.
//! Unknown keys are refused, so that a typing error fails loudly.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Criticality, Scalar, Span, Version, VersionRange};

/// What a release is, whom it is for and what success means. Immutable once published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format; only 1 exists.
    pub manifest: FormatVersion,
    /// Name, version and class.
    pub release: ReleaseSection,
    /// Device kinds it is for; a device must match one of them.
    pub target: Vec<Target>,
    /// The image of a firmware release; exactly one, or none for a configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifact: Vec<Artifact>,
    /// The resource writes of a configuration release; at least one, or none for a firmware.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<ResourceWrite>,
    /// Edges of the upgrade graph that lead to this release; none means from any lower version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrade: Vec<Upgrade>,
    /// What a device must offer before it is touched.
    #[serde(default)]
    pub requires: Requires,
    /// What counts as success.
    #[serde(default)]
    pub confirm: Confirm,
    /// Values that are watched after the change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<Guard>,
}

/// The only format version, 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct FormatVersion;

impl TryFrom<u64> for FormatVersion {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if number == 1 {
            Ok(Self)
        } else {
            Err(format!("manifest format {number} is not known; write `manifest = 1`"))
        }
    }
}

impl From<FormatVersion> for u64 {
    fn from(_: FormatVersion) -> Self {
        1
    }
}

/// `[release]`: identity and urgency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSection {
    /// Releases of the same name form one upgrade graph; lower case letters, digits and `-`.
    pub name: ReleaseName,
    /// The version a device reports once it runs this release.
    pub version: Version,
    /// Paper A's criticality: `critical`, `major`, `minor` or `hotfix`.
    pub class: Criticality,
    /// Whether it fixes a vulnerability.
    #[serde(default)]
    pub security: bool,
    /// Lower goes first; by default given by the class, and at most -1 when `security` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

/// A release name: 1 to 63 lower-case letters, digits and `-`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseName(String);

impl ReleaseName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ReleaseName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=63).contains(&text.len()) && text.bytes().all(ok) && !text.starts_with('-') {
            Ok(Self(text))
        } else {
            Err(format!(
                "`{text}` is not a release name; use 1 to 63 lower-case letters, digits and `-`, \
                 starting with a letter or digit"
            ))
        }
    }
}

impl From<ReleaseName> for String {
    fn from(name: ReleaseName) -> Self {
        name.0
    }
}

/// `[[target]]`: one device kind. Texts compare without regard to case and outer white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Manufacturer as the device reports it.
    pub manufacturer: String,
    /// Model as the device reports it.
    pub model: String,
    /// Hardware revisions; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<String>,
}

/// `[[artifact]]`: the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// What the bytes are; carried through, not interpreted.
    #[serde(default)]
    pub format: ArtifactFormat,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the bytes, 64 lower-case hexadecimal digits.
    pub sha256: Sha256,
    /// Where the publisher's copy lies: a path next to the manifest. It is uploaded on publishing
    /// and served to devices from the server's own store.
    pub file: String,
    /// How devices receive it.
    #[serde(default)]
    pub delivery: Delivery,
}

/// What kind of image an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactFormat {
    /// Bytes only the device understands.
    #[default]
    Raw,
    /// An MCUboot image.
    Mcuboot,
    /// An ESP-IDF application image.
    EspIdf,
    /// A SUIT envelope.
    Suit,
    /// A RAUC bundle.
    Rauc,
    /// A SWUpdate image.
    Swupdate,
    /// A Mender artifact.
    Mender,
}

/// How the image reaches a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// Pull when the device can, else push.
    #[default]
    Auto,
    /// The device fetches it from a URI.
    Pull,
    /// The server writes it to the device.
    Push,
}

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{text}` is not a SHA-256 digest; give 64 lower-case hexadecimal digits, as `sha256sum FILE` prints"
            )
        };
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(digit) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

/// `[[write]]`: one resource write of a configuration release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceWrite {
    /// Path of the resource in the device's data model, e.g. `/1/0/1`.
    pub path: ResourcePath,
    /// The value to write: a whole number, a decimal number, `true`/`false` or a text.
    pub value: Scalar,
}

/// A path of three numbers, `/object/instance/resource`. What the numbers mean is the driver's
/// business; here it is only a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourcePath(std::sync::Arc<str>);

impl ResourcePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ResourcePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |part: &str| {
            !part.is_empty()
                && part.len() <= 5
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse::<u16>().is_ok_and(|n| n < u16::MAX)
        };
        let ok = text.strip_prefix('/').is_some_and(|rest| {
            let parts: Vec<&str> = rest.split('/').collect();
            parts.len() == 3 && parts.into_iter().all(number)
        });
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(format!(
                "`{text}` is not a resource path; write `/object/instance/resource`, e.g. `/3/0/9`"
            ))
        }
    }
}

impl From<ResourcePath> for String {
    fn from(path: ResourcePath) -> Self {
        path.0.as_ref().to_owned()
    }
}

/// `[[upgrade]]`: an edge of the upgrade graph into this release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// Versions the step may start from.
    pub from: VersionRange,
    /// Whether the step is forbidden; a blocked edge wins over an open one.
    #[serde(default)]
    pub blocked: bool,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// `[requires]`: installation requirements (paper A §III-B2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// Charge needed before the device is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<BatteryRequirement>,
    /// Free storage needed, in KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_memory: Option<u64>,
    /// Radio quality needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkRequirement>,
    /// Age beyond which a value is not believed any more; none for values of any age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// What to do when a required value has never been reported, or is too old.
    #[serde(default)]
    pub unknown: Unknown,
}

impl Requires {
    /// What is wrong with the greatest age of values, if anything.
    fn age_problem(&self) -> Option<&'static str> {
        let age = self.max_age?;
        if age == Span::secs(0) {
            return Some("`max_age` is 0; no value is ever that young");
        }
        let asked = self.battery.is_some() || self.free_memory.is_some() || self.link.is_some();
        (!asked).then_some(
            "`max_age` is given and no value is required; add requires.battery, \
             requires.free_memory or requires.link, or leave it out",
        )
    }
}

/// `requires.battery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatteryRequirement {
    /// Least charge in percent, 0 to 100.
    #[serde(deserialize_with = "charge_percent")]
    pub percent: u8,
    /// Whether a device on external power may skip the charge.
    #[serde(default)]
    pub or_external_power: bool,
}

/// `requires.link`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRequirement {
    /// Least received signal strength in dBm, e.g. -105.
    pub min_rssi_dbm: i64,
}

/// What an unknown value means for a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// The device waits until the value is known.
    Wait,
    /// The device is left out.
    Skip,
    /// The requirement counts as met. The default: a mains-powered device reports no battery.
    #[default]
    Allow,
}

/// `[confirm]`: what success means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Longest time from the start of the installation to the device's own proof of it.
    #[serde(default = "Confirm::default_within")]
    pub within: Span,
    /// Time the new version must run before the device counts as updated.
    #[serde(default = "Confirm::default_soak")]
    pub soak: Span,
}

impl Confirm {
    fn default_within() -> Span {
        Span::secs(15 * 60)
    }

    fn default_soak() -> Span {
        Span::secs(0)
    }
}

impl Default for Confirm {
    fn default() -> Self {
        Self { within: Self::default_within(), soak: Self::default_soak() }
    }
}

/// `[[guard]]`: a quality-of-service value that is compared before and after the change
/// (paper A §III-C, Aggregation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Name shown in warnings.
    pub name: String,
    /// The value's path in the device's data model.
    pub path: ResourcePath,
    /// Limits of the value.
    pub expect: Expectation,
    /// What a violation makes.
    #[serde(default)]
    pub level: GuardLevel,
}

/// Limits of a guarded value; all given ones must hold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Least value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// Greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// Least share of the device's own value before the change, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_percent_of_baseline: Option<u32>,
    /// Greatest share of the device's own value before the change, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_percent_of_baseline: Option<u32>,
}

/// What a violated guard makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardLevel {
    /// A warning.
    #[default]
    Warning,
    /// An error.
    Error,
}

impl Manifest {
    /// Reads a manifest in TOML.
    ///
    /// # Errors
    /// [`ManifestError`] points at line, column and field.
    pub fn from_toml(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            let (line, column) = error.span().map_or((0, 0), |span| position(text, span.start));
            ManifestError { line, column, message: error.message().to_owned() }
        })?;
        manifest.validated(text)
    }

    /// Reads a manifest in JSON.
    ///
    /// # Errors
    /// [`ManifestError`] points at line, column and field.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| {
            let full = error.to_string();
            let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(head, _)| head);
            ManifestError {
                line: error.line(),
                column: error.column(),
                message: message.to_owned(),
            }
        })?;
        manifest.validated(text)
    }

    /// Reads a manifest, JSON when its first character is `{`, TOML otherwise.
    ///
    /// # Errors
    /// [`ManifestError`] points at line, column and field.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.trim_start().starts_with('{') {
            Self::from_json(text)
        } else {
            Self::from_toml(text)
        }
    }

    /// Whether the release carries an image; otherwise it carries resource writes.
    #[must_use]
    pub fn is_firmware(&self) -> bool {
        !self.artifact.is_empty()
    }

    /// The effective priority: lower goes first (SUIT `update-priority`).
    #[must_use]
    pub fn priority(&self) -> i32 {
        let by_class =
            self.release.priority.unwrap_or_else(|| self.release.class.default_priority());
        if self.release.security && self.release.priority.is_none() {
            by_class.min(-1)
        } else {
            by_class
        }
    }

    /// Remarks that are no errors: combinations that usually are a mistake.
    #[must_use]
    pub fn lint(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.release.security && self.release.class == Criticality::Major {
            remarks.push("security = true with class = \"major\": fixes are best published apart from features".to_owned());
        }
        if self.is_firmware() && self.upgrade.is_empty() {
            remarks.push(
                "no [[upgrade]]: devices step to this release from any lower version".to_owned(),
            );
        }
        if self.requires.max_age.is_some() && self.requires.unknown == Unknown::Allow {
            remarks.push(
                "requires.max_age with requires.unknown = \"allow\": a value that is too old \
                 counts as met; \"wait\" has it read anew"
                    .to_owned(),
            );
        }
        if self.is_firmware() && self.requires.battery.is_none() {
            remarks
                .push("no requires.battery: a device may run empty while it installs".to_owned());
        }
        remarks
    }

    /// Rules that span several fields.
    fn validated(self, text: &str) -> Result<Self, ManifestError> {
        let at = |key: &str, message: String| {
            let (line, column) = text.find(key).map_or((1, 1), |offset| position(text, offset));
            Err(ManifestError { line, column, message })
        };
        if self.target.is_empty() {
            return at(
                "target",
                "`target` is empty; name at least one manufacturer and model".to_owned(),
            );
        }
        match (self.artifact.len(), self.write.len()) {
            (0, 0) => return at("release", "the release changes nothing; add one [[artifact]] (firmware) or at least one [[write]] (configuration)".to_owned()),
            (1, 0) | (0, _) => {}
            (1, _) => return at("write", "a release is a firmware ([[artifact]]) or a configuration ([[write]]), not both; publish two releases".to_owned()),
            (n, _) => return at("artifact", format!("{n} artifacts; exactly one is allowed")),
        }
        if let Some(artifact) = self.artifact.first()
            && artifact.size == 0
        {
            return at("size", "`size` is 0; an image has at least one byte".to_owned());
        }
        let finite =
            |value: &Scalar| !matches!(value, Scalar::Float(number) if !number.is_finite());
        if let Some(write) = self.write.iter().find(|write| !finite(&write.value)) {
            return at("value", format!("the value of {} is not a finite number", write.path));
        }
        if let Some(path) = self.written_twice() {
            let message = format!("{path} is written twice; a device can keep one value only");
            let again = text.rfind(&path).unwrap_or_default();
            let (line, column) = position(text, again);
            return Err(ManifestError { line, column, message });
        }
        if self.confirm.within == Span::secs(0) {
            return at(
                "within",
                "`within` is 0; give the time that a healthy device needs to install and restart"
                    .to_owned(),
            );
        }
        if let Some(battery) = self.requires.battery
            && battery.percent > 100
        {
            return at("percent", charge_refused(battery.percent.into()));
        }
        if let Some(problem) = self.requires.age_problem() {
            return at("max_age", problem.to_owned());
        }
        if let Some(guard) = self.guard.iter().find(|guard| guard.expect == Expectation::default())
        {
            return at(
                "expect",
                format!(
                    "guard `{}` expects nothing; give min, max, min_percent_of_baseline or max_percent_of_baseline",
                    guard.name
                ),
            );
        }
        if let Some(guard) = self.guard.iter().find(|guard| guard.name.trim().is_empty()) {
            return at(
                "[guard]",
                format!("the guard of {} has no name; warnings are told by it", guard.path),
            );
        }
        Ok(self)
    }

    /// A resource with two values: one of them would never be read back.
    fn written_twice(&self) -> Option<String> {
        let mut paths = BTreeSet::new();
        self.write
            .iter()
            .map(|write| write.path.to_string())
            .find(|path| !paths.insert(path.clone()))
    }
}

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("line {line}, column {column}: {message}")]
pub struct ManifestError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// Refuses numbers that no `u8` holds with the same words as those above 100.
fn charge_percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let whole = |_| D::Error::custom("`percent` is not a whole number; allowed is 0 to 100");
    let percent = i64::deserialize(deserializer).map_err(whole)?;
    u8::try_from(percent).map_err(|_| D::Error::custom(charge_refused(percent)))
}

fn charge_refused(percent: i64) -> String {
    format!("`percent` is {percent}; allowed is 0 to 100")
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
