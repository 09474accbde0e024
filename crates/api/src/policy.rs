//! Policies from the settings of other systems.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A system whose settings can be taken over as a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportFrom {
    /// AWS `IoT` Jobs: the body of a `CreateJob` request.
    Aws,
    /// Eclipse hawkBit: the body of a request that creates a rollout.
    Hawkbit,
    /// Mender: the body of a request that creates a deployment.
    Mender,
    /// Edgehog: the input that creates an update campaign.
    Edgehog,
    /// Flagger: a canary, or its `spec`.
    Flagger,
    /// Nebraska: a group.
    Nebraska,
    /// `NervesHub`: a workflow definition, or the settings of a deployment group.
    NervesHub,
    /// `NodeWright`: a `DeploymentPolicy`, or its `spec`.
    Nodewright,
}

impl ImportFrom {
    /// All systems.
    pub const ALL: [Self; 8] = [
        Self::Aws,
        Self::Hawkbit,
        Self::Mender,
        Self::Edgehog,
        Self::Flagger,
        Self::Nebraska,
        Self::NervesHub,
        Self::Nodewright,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Hawkbit => "hawkbit",
            Self::Mender => "mender",
            Self::Edgehog => "edgehog",
            Self::Flagger => "flagger",
            Self::Nebraska => "nebraska",
            Self::NervesHub => "nerves_hub",
            Self::Nodewright => "nodewright",
        }
    }

    /// Takes over settings in the system's own JSON, for an operation that starts at `now`.
    ///
    /// # Errors
    /// Names the field that cannot be taken over.
    pub fn policy(self, json: &str, now: model::Time) -> Result<model::Policy, model::ImportError> {
        match self {
            Self::Aws => model::Policy::from_aws_job(json),
            Self::Hawkbit => model::Policy::from_hawkbit_rollout(json),
            Self::Mender => model::Policy::from_mender_deployment(json, now),
            Self::Edgehog => model::Policy::from_edgehog_campaign(json),
            Self::Flagger => model::Policy::from_flagger_canary(json),
            Self::Nebraska => model::Policy::from_nebraska_group(json),
            Self::NervesHub => model::Policy::from_nerves_hub(json),
            Self::Nodewright => model::Policy::from_nodewright_policy(json),
        }
    }
}

impl fmt::Display for ImportFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ImportFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is no system whose settings are understood; these are: {known}")
        })
    }
}

/// Settings of another system to be taken over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Which system.
    pub from: ImportFrom,
    /// Its own request, as it is.
    #[schema(value_type = Object)]
    pub settings: serde_json::Value,
}

/// The policy that settings of another system stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportedPolicy {
    /// Which system.
    pub from: ImportFrom,
    /// The policy as a whole; it can be sent as `policy` when an operation is planned or
    /// started.
    #[schema(value_type = Object)]
    pub policy: model::Policy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_understood() {
        let check = |from: &str, json: &str, kind: &str| {
            let from: ImportFrom = from.parse().unwrap();
            let policy = from.policy(json, model::Time::ZERO).unwrap();
            let rule = serde_json::to_value(&policy).unwrap()["rule"]["kind"].clone();
            assert_eq!(rule, kind, "{from}");
        };
        check("aws", "{}", "aws_jobs");
        check("hawkbit", "{\"amountGroups\": 3}", "hawkbit");
        check("mender", "{\"phases\": [{\"batch_size\": 10}, {}]}", "mender");
        check(
            "edgehog",
            "{\"rolloutMechanism\": {\"push\": {\"maxInProgressUpdates\": 5, \"maxFailurePercentage\": 10}}}",
            "edgehog",
        );
        check("flagger", "{\"analysis\": {\"stepWeight\": 20}}", "checked_steps");
        check(
            "nebraska",
            "{\"policy_max_updates_per_period\": 2, \"policy_period_interval\": \"15 minutes\"}",
            "nebraska",
        );
        check("nerves_hub", "{\"steps\": [{\"type\": \"catch_all\"}]}", "nerves_hub");
        check("nodewright", "{\"default\": {\"budget\": {\"count\": 2}}}", "nodewright");
        assert!("balena".parse::<ImportFrom>().unwrap_err().contains("aws, hawkbit"));
        for from in ImportFrom::ALL {
            let json = serde_json::to_value(from).unwrap();
            assert_eq!(json, from.as_str());
        }
    }
}
