//! What is known of an operation's targets before it is started.

use std::sync::Arc;

use ::operations::ControlHealth;
use api::{PlanRequest, RehearsalFacts};
use axum::Json;
use axum::extract::State;
use engine::Engine;
use model::{FleetFacts, Manifest, OperationId, Policy, Time};
use store::Archive;

use super::Site;
use super::answer::{Answer, Content, Refusal};
use super::operations::{planned, planned_manifest, scope};
use super::replay::Stored;

/// The facts a rehearsal is made from; nothing is stored and nothing is simulated here.
pub(super) async fn rehearsal(
    State(site): State<Arc<Site>>,
    Content(request): Content<PlanRequest>,
) -> Answer<RehearsalFacts> {
    let policy = site.policy(request.policy.clone())?;
    let manifest = planned_manifest(&request)?;
    let (release, mut facts, newest) = site
        .handle
        .view(move |engine, now| facts_now(engine, &request, manifest.as_ref(), &policy, now))
        .await??;
    let health = site.control_health(newest).await?;
    for stratum in &mut facts.strata {
        stratum.health = health.of(&stratum.name.hardware);
    }
    Ok(Json(RehearsalFacts::new(release, facts)))
}

/// Name and version of the release, what is known, and the newest operations.
fn facts_now(
    engine: &Engine,
    request: &PlanRequest,
    manifest: Option<&Manifest>,
    policy: &Policy,
    now: Time,
) -> Result<(String, FleetFacts, Vec<OperationId>), Refusal> {
    let scope = scope(engine, &request.devices)?;
    let (planned, manifest) = planned(engine, request, manifest)?;
    let facts = engine.loops().facts(planned, &scope, policy, engine.fleet(), now)?;
    let mut newest: Vec<OperationId> = engine
        .loops()
        .operations()
        .filter(|operation| operation.evidence.is_some())
        .map(|operation| operation.id)
        .collect();
    newest.reverse();
    newest.truncate(OPERATIONS_MAX);
    let release = &manifest.release;
    Ok((format!("{} {}", release.name, release.version), facts, newest))
}

impl Site {
    /// How healthy control devices were in some operations.
    async fn control_health(&self, operations: Vec<OperationId>) -> Result<ControlHealth, Refusal> {
        let reader = Arc::clone(&self.reader);
        self.block(move || {
            let mut health = ControlHealth::default();
            for id in operations {
                let looks = Stored::new(&reader, move |reader, page| reader.looks(id, page));
                for look in looks.take(LOOKS_MAX) {
                    health.observe(&look?);
                }
            }
            Ok(health)
        })
        .await
    }
}

/// Operations whose looks are read, the newest ones.
const OPERATIONS_MAX: usize = 5;
/// Looks read of one operation, the first ones: a week of five minutes, when most of the targets
/// are still control.
const LOOKS_MAX: usize = 2_016;
