//! What is known of an operation's targets before it is started.

use std::sync::Arc;

use ::operations::{ControlHealth, Planned};
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
use super::view::stopped_by;

/// The facts a rehearsal is made from; nothing is stored and nothing is simulated here.
pub(super) async fn rehearsal(
    State(site): State<Arc<Site>>,
    Content(request): Content<PlanRequest>,
) -> Answer<RehearsalFacts> {
    let policy = site.policy(request.policy.clone())?;
    let manifest = planned_manifest(&request)?;
    let Known { release, mut facts, newest, remarks } = site
        .handle
        .view(move |engine, now| facts_now(engine, &request, manifest.as_ref(), &policy, now))
        .await??;
    let health = site.control_health(newest).await?;
    for stratum in &mut facts.strata {
        stratum.health = health.of(&stratum.name.hardware);
    }
    Ok(Json(RehearsalFacts { remarks, ..RehearsalFacts::new(release, facts) }))
}

/// What is known without the looks that are stored.
struct Known {
    // Name and version.
    release: String,
    facts: FleetFacts,
    // The newest operations under evidence, the newest first.
    newest: Vec<OperationId>,
    remarks: Vec<String>,
}

fn facts_now(
    engine: &Engine,
    request: &PlanRequest,
    manifest: Option<&Manifest>,
    policy: &Policy,
    now: Time,
) -> Result<Known, Refusal> {
    let scope = scope(engine, &request.devices)?;
    let (planned, manifest) = planned(engine, request, manifest)?;
    let stopped = match &planned {
        Planned::Release(id) => engine.loops().stopped_by(*id),
        Planned::Manifest(_) => Vec::new(),
    };
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
    Ok(Known {
        release: format!("{} {}", release.name, release.version),
        facts,
        newest,
        remarks: stopped.iter().map(stopped_by).collect(),
    })
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
