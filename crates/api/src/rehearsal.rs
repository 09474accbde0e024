//! What the server knows of its fleet that a rehearsal is made from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ReasonCount, Share};

/// What is known of the targets of an operation and of operations before it. Nothing in it is
/// assumed: what was never measured is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RehearsalFacts {
    /// Name and version of the release, e.g. `ws200-firmware 1.1.0`.
    pub release: String,
    /// Devices that would be targets.
    pub targets: u64,
    /// How the operation would be regulated, with every default filled in.
    #[schema(value_type = Object)]
    pub policy: model::Policy,
    /// Devices that may be harmed before a stop; none under rules without a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// The targets by what the policy tells apart, most devices first; at most 64.
    pub strata: Vec<StratumFacts>,
    /// Strata that were put together as the last one, `(others)`, because there are too many.
    pub joined: u64,
    /// Why devices would wait or be left out, most first.
    pub reasons: Vec<ReasonCount>,
    /// Earlier installations of releases of the same name, by hardware.
    pub installed: Vec<InstalledFacts>,
    /// Usual response time of the server, in milliseconds, in the last operation that measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
    /// Remarks on the release, such as that evidence stopped it before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// What is known of the targets in one stratum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StratumFacts {
    /// Who belongs to it, e.g. `hardware B, version 1.0.0`.
    pub name: String,
    /// Hardware revision; empty when it is not told apart.
    pub hardware: String,
    /// Version they run; empty when it is not told apart.
    pub version: String,
    /// Site; empty when it is not told apart.
    pub site: String,
    /// Targets.
    pub targets: u64,
    /// Targets that can be updated now.
    pub ready: u64,
    /// Targets that sleep and call by themselves.
    pub asleep: u64,
    /// Targets whose registration has ended or expired.
    pub offline: u64,
    /// Targets that wait for something else that can pass: charge, memory, another operation.
    pub blocked: u64,
    /// Targets that are held by an operator or in quarantine.
    pub held: u64,
    /// Most installations that one of them needs; 0 while none can be updated.
    pub hops: u32,
    /// Mean registration lifetime, in seconds.
    pub lifetime_s: u64,
    /// Mean silence after which a device counts as lost, in seconds.
    pub silence_after_s: u64,
    /// Times between contacts of devices of this hardware; absent while none was learned. After a
    /// restart of the server they begin with the longest one of each device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<TimesFacts>,
    /// Time of one installation, from the first order to the proof, on this hardware or, where there
    /// was none, on any; absent without an earlier one that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<TimesFacts>,
    /// Share of failed installations that would be tolerated; absent under rules without evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerated: Option<Share>,
    /// What targets did that were not told to install anything, in earlier operations.
    pub health: HealthFacts,
}

/// How long something took, each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimesFacts {
    /// Times measured.
    pub measured: u64,
    /// Half were at most this, in seconds.
    pub p50_s: u64,
    /// 90 % were at most this, in seconds.
    pub p90_s: u64,
    /// 99.9 % were at most this, in seconds.
    pub p999_s: u64,
}

/// What happened to devices although nothing was changed on them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HealthFacts {
    /// Time they were watched, in seconds, over all devices.
    pub watched_s: u64,
    /// Devices that fell silent.
    pub silences: u64,
    /// Devices that crashed or rebooted by themselves.
    pub crashes: u64,
}

/// Earlier installations on one hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstalledFacts {
    /// Hardware revision.
    pub hardware: String,
    /// Installations that ended, in operations that finished.
    pub attempts: u64,
    /// Of these, failed ones.
    pub failures: u64,
}

impl RehearsalFacts {
    /// The facts of an operation for a release of that name and version.
    #[must_use]
    pub fn new(release: String, facts: model::FleetFacts) -> Self {
        let reasons = [(true, &facts.waiting), (false, &facts.excluded)];
        let mut reasons: Vec<ReasonCount> = reasons
            .into_iter()
            .flat_map(|(waiting, by)| {
                by.iter().map(move |(code, devices)| (code, waiting, devices))
            })
            .map(|(code, waiting, devices)| ReasonCount::new(code, waiting, *devices))
            .collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.devices));
        Self {
            release,
            targets: facts.targets(),
            budget: facts.budget,
            strata: facts.strata.into_iter().map(Into::into).collect(),
            joined: facts.joined,
            reasons,
            installed: facts.installed.into_iter().map(Into::into).collect(),
            response_ms: facts.response.map(|it| it.0.as_secs_f64() * 1_000.0),
            remarks: Vec::new(),
            policy: facts.policy,
        }
    }

    /// The same in the product's own words, for a rehearsal; reasons stay behind.
    #[must_use]
    pub fn into_model(self) -> model::FleetFacts {
        model::FleetFacts {
            policy: self.policy,
            budget: self.budget,
            strata: self.strata.into_iter().map(Into::into).collect(),
            joined: self.joined,
            installed: self.installed.into_iter().map(Into::into).collect(),
            response: self.response_ms.map(|ms| {
                model::Span(std::time::Duration::from_secs_f64(ms.clamp(0.0, LONG_MS) / 1_000.0))
            }),
            ..model::FleetFacts::default()
        }
    }
}

/// Longest response time that is taken over: an hour.
const LONG_MS: f64 = 3_600_000.0;

impl From<model::StratumFacts> for StratumFacts {
    fn from(facts: model::StratumFacts) -> Self {
        let points = |it: model::Tolerance| it.rate.value() * 1e4;
        Self {
            name: facts.name.to_string(),
            targets: facts.targets(),
            hardware: facts.name.hardware,
            version: facts.name.version,
            site: facts.name.site,
            ready: facts.ready,
            asleep: facts.asleep,
            offline: facts.offline,
            blocked: facts.blocked,
            held: facts.held,
            hops: facts.hops,
            lifetime_s: facts.lifetime.0.as_secs(),
            silence_after_s: facts.silence_after.0.as_secs(),
            gaps: facts.gaps.map(Into::into),
            install: facts.install.map(Into::into),
            tolerated: facts.tolerance.map(points).map(|points| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share is between 0 and 1"
                )]
                let points = points.round() as u32;
                model::Rate::basis_points(points).into()
            }),
            health: HealthFacts {
                watched_s: facts.health.watched_s,
                silences: facts.health.silences,
                crashes: facts.health.crashes,
            },
        }
    }
}

impl From<StratumFacts> for model::StratumFacts {
    /// The tolerance stays behind: a rehearsal learns it again from the installations.
    fn from(facts: StratumFacts) -> Self {
        let StratumFacts { hardware, version, site, health, .. } = facts;
        Self {
            name: model::StratumName { hardware, version, site },
            ready: facts.ready,
            asleep: facts.asleep,
            offline: facts.offline,
            blocked: facts.blocked,
            held: facts.held,
            hops: facts.hops,
            lifetime: model::Span::secs(facts.lifetime_s),
            silence_after: model::Span::secs(facts.silence_after_s),
            gaps: facts.gaps.map(Into::into),
            install: facts.install.map(Into::into),
            tolerance: None,
            health: model::HealthFacts {
                watched_s: health.watched_s,
                silences: health.silences,
                crashes: health.crashes,
            },
        }
    }
}

impl From<model::TimesFacts> for TimesFacts {
    fn from(facts: model::TimesFacts) -> Self {
        let seconds = |span: model::Span| span.0.as_secs();
        Self {
            measured: facts.count,
            p50_s: seconds(facts.median),
            p90_s: seconds(facts.p90),
            p999_s: seconds(facts.p999),
        }
    }
}

impl From<TimesFacts> for model::TimesFacts {
    fn from(facts: TimesFacts) -> Self {
        Self {
            count: facts.measured,
            median: model::Span::secs(facts.p50_s),
            p90: model::Span::secs(facts.p90_s),
            p999: model::Span::secs(facts.p999_s),
        }
    }
}

impl From<model::InstalledFacts> for InstalledFacts {
    fn from(facts: model::InstalledFacts) -> Self {
        let model::InstalledFacts { hardware, attempts, failures } = facts;
        Self { hardware, attempts, failures }
    }
}

impl From<InstalledFacts> for model::InstalledFacts {
    fn from(facts: InstalledFacts) -> Self {
        let InstalledFacts { hardware, attempts, failures } = facts;
        Self { hardware, attempts, failures }
    }
}
