//! Releases: publishing, looking at manifests, lists.

use std::sync::Arc;

use ::operations::OpenRequest;
use api::{
    LintReport, LintRequest, ListQuery, Page, ProblemCode, PublishRequest, PublishResponse,
    ReleaseDetail, ReleaseSummary, page_limit,
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use engine::Engine;
use model::{Manifest, OperationId, Origin, Policy, Release, ReleaseId, Scope, Sha256, Time};

use super::Site;
use super::answer::{Answer, Asked, Content, Named, Refusal, idempotency_key};
use super::orders::by_or_api;
use super::scan::cursor;
use super::view::View;
use crate::start::random_seed;

/// Looks at a manifest without publishing it.
pub(super) async fn lint(Content(request): Content<LintRequest>) -> Json<LintReport> {
    Json(crate::lint(&request))
}

/// Publishes a release. The same manifest again changes nothing and gives the same answer, with
/// or without an idempotency key.
pub(super) async fn publish(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Content(request): Content<PublishRequest>,
) -> Result<(StatusCode, Json<PublishResponse>), Refusal> {
    let key = idempotency_key(&headers)?;
    let manifest = crate::manifest::read(request.format, &request.manifest)?;
    let policy = site.policy(request.policy)?;
    let by = by_or_api(request.by);
    let mut remarks = manifest.lint();
    remarks.extend(fleet::manifest_remarks(&manifest));
    let image = site.image(&manifest).await?;
    let start = request.start.then_some(policy);
    let (release, operation, is_new) = site
        .handle
        .order(move |engine, now| {
            let start = start.map(|policy| (policy, key));
            publish_now(engine, manifest, image, &by, start, now)
        })
        .await??;
    let operation = match operation {
        Some(operation) => Some(site.summary(operation).await?),
        None => None,
    };
    let release = site
        .handle
        .view(move |engine, now| {
            let view = View::new(engine, now);
            view.loops.release(release).map(|release| view.release(release))
        })
        .await?
        .ok_or_else(|| unknown_release(&release.to_string()))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(PublishResponse { release, operation, remarks })))
}

/// Releases, newest first.
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Asked(query): Asked<ListQuery>,
) -> Answer<Page<ReleaseSummary>> {
    site.releases(&query).await.map(Json)
}

/// Everything about a release.
pub(super) async fn detail(
    State(site): State<Arc<Site>>,
    Named(name): Named,
) -> Answer<ReleaseDetail> {
    site.release(&name).await.map(Json)
}

/// Publishes; returns the release, its operation, and whether the release is new.
fn publish_now(
    engine: &mut Engine,
    manifest: Manifest,
    image: Option<(Sha256, Bytes)>,
    by: &str,
    start: Option<(Policy, Option<String>)>,
    now: Time,
) -> Result<(ReleaseId, Option<OperationId>, bool), Refusal> {
    let (start, key) = start.map_or((None, None), |(policy, key)| (Some(policy), key));
    let key = key.as_deref();
    let section = &manifest.release;
    let known = engine.loops().releases().find(|release| {
        let published = &release.manifest.release;
        published.name == section.name && published.version == section.version
    });
    let same = known.filter(|known| *known.manifest == manifest).map(|known| known.id);
    let accepted = key.and_then(|key| engine.accepted(key));
    if let Some(operation) = accepted.and_then(|id| engine.loops().operation(id))
        && same != Some(operation.release)
    {
        let message = format!("the idempotency key stands for another order, {}", operation.id);
        return Err(Refusal::new(ProblemCode::KeyReused, message)
            .field(api::route::IDEMPOTENCY_KEY)
            .hint("Draw a new key for each order."));
    }
    if let Some(id) = same {
        return publish_again(engine, id, by, start, key, now)
            .map(|operation| (id, operation, false));
    }
    let digest = image.as_ref().map(|(sha256, _)| *sha256);
    if let Some((sha256, bytes)) = image {
        engine.add_image(sha256, bytes);
    }
    let published = engine.publish(manifest, by, start, key, random_seed(), now);
    match published {
        Ok((release, operation)) => Ok((release, operation, true)),
        Err(error) => {
            if let Some(sha256) = digest {
                engine.remove_image(sha256);
            }
            Err(error.into())
        }
    }
}

/// The operation of a release that was published before; started when it was asked for and there
/// never was one.
fn publish_again(
    engine: &mut Engine,
    release: ReleaseId,
    by: &str,
    start: Option<Policy>,
    key: Option<&str>,
    now: Time,
) -> Result<Option<OperationId>, Refusal> {
    let Some(policy) = start else { return Ok(None) };
    let started = engine
        .loops()
        .operations()
        .find(|operation| operation.release == release && operation.scope == Scope::Fleet)
        .map(|operation| operation.id);
    if started.is_some() {
        return Ok(started);
    }
    let request = OpenRequest {
        release,
        scope: Scope::Fleet,
        policy,
        origin: Origin::Manual { by: by.to_owned() },
        agreement: None,
    };
    Ok(Some(engine.open_operation(request, key, random_seed(), now)?))
}

impl Site {
    pub(super) async fn releases(
        &self,
        query: &ListQuery,
    ) -> Result<Page<ReleaseSummary>, Refusal> {
        let before = query.after.as_deref().map(cursor).transpose()?;
        let limit = page_limit(query.limit);
        let page = self
            .handle
            .view(move |engine, now| {
                let view = View::new(engine, now);
                let all: Vec<&Release> = view.loops.releases().collect();
                let mut items: Vec<ReleaseSummary> = all
                    .iter()
                    .rev()
                    .filter(|release| before.is_none_or(|before| release.id.0 < before))
                    .take(limit + 1)
                    .map(|release| view.release(release))
                    .collect();
                let more = items.len() > limit;
                items.truncate(limit);
                let next = items.last().filter(|_| more).map(|release| release.name.clone());
                Page { items, next, total: Some(all.len() as u64) }
            })
            .await?;
        Ok(page)
    }

    pub(super) async fn release(&self, name: &str) -> Result<ReleaseDetail, Refusal> {
        let owned = name.to_owned();
        let detail = self
            .handle
            .view(move |engine, now| {
                let view = View::new(engine, now);
                release_of(engine, &owned).map(|release| view.release_detail(release))
            })
            .await?;
        detail.ok_or_else(|| unknown_release(name))
    }

    /// The policy of a request, or the server's own.
    pub(super) fn policy(&self, given: Option<Policy>) -> Result<Policy, Refusal> {
        let policy = given.unwrap_or_else(|| self.settings.policy.clone());
        policy
            .validated()
            .map_err(|error| Refusal::told(ProblemCode::PolicyInvalid, &error).field("policy"))
    }
}

/// The release of a name: `rel-2`, `2`, `NAME@VERSION`, or `NAME` for its newest version.
pub(super) fn release_of<'a>(engine: &'a Engine, name: &str) -> Option<&'a Release> {
    let loops = engine.loops();
    if let Some(release) = name.parse().ok().and_then(|id| loops.release(id)) {
        return Some(release);
    }
    let (name, version) = match name.split_once('@') {
        Some((name, version)) => (name, Some(model::Version::new(version))),
        None => (name, None),
    };
    loops
        .releases()
        .filter(|release| release.manifest.release.name.as_str() == name)
        .filter(|release| {
            version.as_ref().is_none_or(|wanted| release.manifest.release.version == *wanted)
        })
        .max_by(|a, b| a.manifest.release.version.cmp(&b.manifest.release.version))
}

pub(super) fn unknown_release(name: &str) -> Refusal {
    let hint = "List the releases; name one as `rel-2`, `NAME@VERSION` or `NAME`.";
    Refusal::not_found("release", name, hint)
}
