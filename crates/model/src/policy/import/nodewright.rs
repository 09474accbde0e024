//! Deployment policies of `NodeWright`.

use super::{ImportError, Object};
use crate::{BatchGrowth, NodeWright, Policy, Rate, Rule};

impl Policy {
    /// Takes over `default` of a `DeploymentPolicy` of `NodeWright`, the custom resource as JSON
    /// or its `spec`. A `budget` counts where there is no `strategy`, as there.
    ///
    /// # Errors
    /// [`ImportError`] names the field. Compartments are refused: there is one budget for the
    /// whole operation.
    pub fn from_nodewright_policy(json: &str) -> Result<Self, ImportError> {
        let body = Object::read(json)?;
        let body = body.object("spec")?.unwrap_or(body);
        if body.list("compartments")?.is_some_and(|compartments| !compartments.is_empty()) {
            let instead = "open an operation for the picked devices of each compartment";
            return Err(body.unsupported("compartments", instead));
        }
        let default = body.object("default")?.ok_or_else(|| body.missing("default"))?;
        let rule = match default.object("strategy")? {
            Some(strategy) => by_strategy(&strategy)?,
            None => by_budget(&default)?,
        };
        let mut policy = Self { rule: Rule::NodeWright(rule), ..Self::default() };
        policy.retry.attempts_max = 1;
        policy.validated().map_err(ImportError::Policy)
    }
}

fn by_strategy(strategy: &Object<'_>) -> Result<NodeWright, ImportError> {
    let mut found = None;
    for kind in ["fixed", "linear", "exponential"] {
        let Some(settings) = strategy.object(kind)? else { continue };
        if found.is_some() {
            return Err(strategy.wrong(kind, "is a second strategy; one is allowed"));
        }
        found = Some((kind, settings));
    }
    let (kind, settings) = found.ok_or_else(|| {
        strategy.wrong("fixed", "`linear` or `exponential` is needed, and none is there")
    })?;
    let at_least = |name: &str, least: u32, usual: u32| {
        let value = settings.count(name)?.unwrap_or(usual);
        let problem = format!("must be at least {least}");
        if value < least { Err(settings.wrong(name, &problem)) } else { Ok(value) }
    };
    let percent = |name: &str, usual: u32| match settings.count(name)?.unwrap_or(usual) {
        value @ 1..=100 => Ok(Rate::percent(value)),
        _ => Err(settings.wrong(name, "must be 1 to 100")),
    };
    let failed_batches_max = match settings.count("failureThreshold")? {
        Some(0) => return Err(settings.wrong("failureThreshold", "must be at least 1")),
        batches => batches,
    };
    Ok(NodeWright {
        first: at_least("initialBatch", 1, 1)?,
        growth: match kind {
            "linear" => BatchGrowth::Linear { delta: at_least("delta", 1, 1)? },
            "exponential" => BatchGrowth::Exponential { factor: at_least("growthFactor", 2, 2)? },
            _ => BatchGrowth::Fixed,
        },
        success: percent("batchThreshold", 100)?,
        safety_limit: percent("safetyLimit", 50)?,
        failed_batches_max,
    })
}

/// Without a strategy the budget is the size of every batch, and nothing stops.
fn by_budget(default: &Object<'_>) -> Result<NodeWright, ImportError> {
    let budget = default.object("budget")?.ok_or_else(|| default.missing("strategy"))?;
    if budget.value("percent").is_some() {
        let instead = "batches are counts of devices here; give a `count`, or a `strategy`";
        return Err(budget.unsupported("percent", instead));
    }
    let first = budget.count("count")?.ok_or_else(|| budget.missing("count"))?;
    Ok(NodeWright { first, ..NodeWright::default() })
}
