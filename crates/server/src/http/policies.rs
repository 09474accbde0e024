//! Policies from the settings of other systems.

use std::sync::Arc;

use api::{ImportRequest, ImportedPolicy, ProblemCode};
use axum::Json;
use axum::extract::State;
use model::ImportError;

use super::Site;
use super::answer::{Answer, Content, Refusal};

/// Takes over the settings of another system as a policy; nothing is stored.
pub(super) async fn import(
    State(site): State<Arc<Site>>,
    Content(request): Content<ImportRequest>,
) -> Answer<ImportedPolicy> {
    // Phases of some systems open at a time of the day, which is held against that of the start.
    let now = site.handle.view(|_, now| now).await?;
    let from = request.from;
    match from.policy(&request.settings.to_string(), now) {
        Ok(policy) => Ok(Json(ImportedPolicy { from, policy })),
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &ImportError) -> Refusal {
    let refusal = Refusal::told(ProblemCode::PolicyInvalid, error);
    match error {
        ImportError::Field { field, .. } | ImportError::Unsupported { field, .. } => {
            refusal.field(format!("settings.{field}"))
        }
        ImportError::NotJson { .. } | ImportError::Policy(_) => refusal.field("settings"),
    }
}
