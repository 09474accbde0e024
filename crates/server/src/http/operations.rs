//! Operations: planning, starting, ordering, looking.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::operations::{OpenRequest, Planned};
use api::{
    AssignmentQuery, AssignmentView, AttemptState, DecisionView, ListQuery, OperationDetail,
    OperationSummary, OrderRequest, Page, Plan, PlanRequest, ProblemCode, StartRequest, page_limit,
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use engine::Engine;
use model::{Decision, DeviceId, Manifest, Operation, OperationId, Origin, Scope, Time};
use store::PageRequest;

use super::Site;
use super::answer::{Answer, Asked, Content, Named, Refusal, idempotency_key};
use super::fleet::{device_of, newest_first, unknown_device};
use super::orders::{Order, by_or_api};
use super::releases::{release_of, unknown_release};
use super::scan::cursor;
use super::view::{self, View};
use crate::start::random_seed;

/// What an operation would do now; nothing is stored.
pub(super) async fn plan(
    State(site): State<Arc<Site>>,
    Content(request): Content<PlanRequest>,
) -> Answer<Plan> {
    let policy = site.policy(request.policy.clone())?;
    let manifest = planned_manifest(&request)?;
    let plan = site
        .handle
        .view(move |engine, now| plan_now(engine, &request, manifest.as_ref(), &policy, now))
        .await??;
    Ok(Json(plan))
}

/// Opens an operation.
pub(super) async fn start(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Content(request): Content<StartRequest>,
) -> Result<(StatusCode, Json<OperationSummary>), Refusal> {
    let key = idempotency_key(&headers)?;
    let policy = site.policy(request.policy.clone())?;
    let (operation, is_new) = site
        .handle
        .order(move |engine, now| start_now(engine, &request, key.as_deref(), policy, now))
        .await??;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(site.summary(operation).await?)))
}

/// Operations, newest first.
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Asked(query): Asked<ListQuery>,
) -> Answer<Page<OperationSummary>> {
    site.operations(&query).await.map(Json)
}

/// Everything about an operation.
pub(super) async fn detail(
    State(site): State<Arc<Site>>,
    Named(name): Named,
) -> Answer<OperationDetail> {
    site.operation(&name).await.map(Json)
}

/// Stops an operation until it is resumed.
pub(super) async fn pause(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Content(order): Content<OrderRequest>,
) -> Answer<OperationSummary> {
    site.ordered(&name, Order::Pause, order).await
}

/// Lets a paused operation go on.
pub(super) async fn resume(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Content(order): Content<OrderRequest>,
) -> Answer<OperationSummary> {
    site.ordered(&name, Order::Resume, order).await
}

/// Stops an operation for good.
pub(super) async fn abort(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Content(order): Content<OrderRequest>,
) -> Answer<OperationSummary> {
    site.ordered(&name, Order::Abort, order).await
}

/// The decisions of an operation, newest first.
pub(super) async fn decisions(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Asked(query): Asked<ListQuery>,
) -> Answer<Page<DecisionView>> {
    let operation = site.operation_id(&name).await?;
    site.decision_page(operation, &query).await.map(Json)
}

/// The granted devices of an operation, in the order of their numbers.
pub(super) async fn devices(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Asked(query): Asked<AssignmentQuery>,
) -> Answer<Page<AssignmentView>> {
    let operation = site.operation_id(&name).await?;
    site.assignments(operation, &query).await.map(Json)
}

/// The manifest of a request that is not for a release.
pub(super) fn planned_manifest(request: &PlanRequest) -> Result<Option<Manifest>, Refusal> {
    match (&request.release, &request.manifest) {
        (Some(_), None) => Ok(None),
        (None, Some(text)) => Ok(Some(Manifest::parse(text)?)),
        _ => {
            let message = "a plan is for a release or for a manifest";
            Err(Refusal::new(ProblemCode::BadRequest, message)
                .field("release")
                .hint("Give exactly one of `release` and `manifest`."))
        }
    }
}

/// What a request is for, with its manifest.
pub(super) fn planned<'a>(
    engine: &'a Engine,
    request: &PlanRequest,
    manifest: Option<&'a Manifest>,
) -> Result<(Planned<'a>, &'a Manifest), Refusal> {
    if let Some(manifest) = manifest {
        return Ok((Planned::Manifest(manifest), manifest));
    }
    let name = request.release.as_deref().unwrap_or_default();
    let release = release_of(engine, name).ok_or_else(|| unknown_release(name).field("release"))?;
    Ok((Planned::Release(release.id), release.manifest.as_ref()))
}

fn plan_now(
    engine: &Engine,
    request: &PlanRequest,
    manifest: Option<&Manifest>,
    policy: &model::Policy,
    now: Time,
) -> Result<Plan, Refusal> {
    let scope = scope(engine, &request.devices)?;
    let (planned, manifest) = planned(engine, request, manifest)?;
    let plan = engine.loops().plan(planned, &scope, policy, engine.fleet(), now)?;
    Ok(view::plan(&plan, manifest))
}

/// Opens an operation; returns it and whether it is new.
fn start_now(
    engine: &mut Engine,
    request: &StartRequest,
    key: Option<&str>,
    policy: model::Policy,
    now: Time,
) -> Result<(OperationId, bool), Refusal> {
    let release = release_of(engine, &request.release)
        .ok_or_else(|| unknown_release(&request.release).field("release"))?
        .id;
    let scope = scope(engine, &request.devices)?;
    let known = key.and_then(|key| engine.accepted(key));
    if let Some(operation) = known.and_then(|id| engine.loops().operation(id)) {
        let same = operation.release == release
            && operation.scope == scope
            && (request.policy.is_none() || operation.policy == policy);
        if same {
            return Ok((operation.id, false));
        }
        let message = format!("the idempotency key stands for another order, {}", operation.id);
        return Err(Refusal::new(ProblemCode::KeyReused, message)
            .field(api::route::IDEMPOTENCY_KEY)
            .hint("Draw a new key for each order."));
    }
    let origin = Origin::Manual { by: by_or_api(request.by.clone()) };
    let open = OpenRequest { release, scope, policy, origin, agreement: None };
    Ok((engine.open_operation(open, key, random_seed(), now)?, true))
}

/// Whom a request is for.
pub(super) fn scope(engine: &Engine, devices: &[String]) -> Result<Scope, Refusal> {
    if devices.is_empty() {
        return Ok(Scope::Fleet);
    }
    let picked: BTreeSet<DeviceId> = devices
        .iter()
        .map(|name| device_of(engine, name).ok_or_else(|| unknown_device(name).field("devices")))
        .collect::<Result<_, _>>()?;
    Ok(Scope::Picked { devices: picked.into_iter().collect() })
}

impl Site {
    async fn ordered(
        &self,
        name: &str,
        order: Order,
        request: OrderRequest,
    ) -> Answer<OperationSummary> {
        let operation = self.operation_id(name).await?;
        self.give(operation, order, request).await?;
        self.summary(operation).await.map(Json)
    }

    pub(super) async fn operations(
        &self,
        query: &ListQuery,
    ) -> Result<Page<OperationSummary>, Refusal> {
        let before = query.after.as_deref().map(cursor).transpose()?;
        let limit = page_limit(query.limit);
        let (mut ids, total) = self
            .handle
            .view(move |engine, _| {
                let all: Vec<OperationId> =
                    engine.loops().operations().map(|operation| operation.id).collect();
                let asked = all.iter().rev().filter(|id| before.is_none_or(|before| id.0 < before));
                (asked.take(limit + 1).copied().collect::<Vec<_>>(), all.len() as u64)
            })
            .await?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().filter(|_| more).map(ToString::to_string);
        Ok(Page { items: self.summaries(ids).await?, next, total: Some(total) })
    }

    /// Operations in the order given.
    pub(super) async fn summaries(
        &self,
        operations: Vec<OperationId>,
    ) -> Result<Vec<OperationSummary>, Refusal> {
        let mut tries = 0;
        loop {
            let last = self.last_decisions(operations.clone()).await?;
            let ids = operations.clone();
            let (summaries, behind) = self
                .handle
                .view(move |engine, now| {
                    let view = View::new(engine, now);
                    let (mut summaries, mut behind) = (Vec::new(), false);
                    for operation in ids.iter().filter_map(|id| view.loops.operation(*id)) {
                        let last = last.get(&operation.id);
                        behind |= is_behind(last, operation);
                        summaries.extend(view.operation(operation, last));
                    }
                    (summaries, behind)
                })
                .await?;
            tries += 1;
            if !behind || tries >= TRIES_MAX {
                return Ok(summaries);
            }
            self.catch_up().await;
        }
    }

    pub(super) async fn summary(
        &self,
        operation: OperationId,
    ) -> Result<OperationSummary, Refusal> {
        let mut summaries = self.summaries(vec![operation]).await?;
        summaries.pop().ok_or_else(|| unknown_operation(&operation.to_string()))
    }

    pub(super) async fn operation(&self, name: &str) -> Result<OperationDetail, Refusal> {
        let id = self.operation_id(name).await?;
        let mut tries = 0;
        loop {
            let points = self.points(id).await?;
            let decisions = self.decisions(id, PageRequest::newest(DECISIONS_SHOWN)).await?.items;
            let found = self
                .handle
                .view(move |engine, now| {
                    let view = View::new(engine, now);
                    let operation = view.loops.operation(id)?;
                    let behind = is_behind(decisions.first(), operation);
                    Some((view.operation_detail(operation, &decisions, points)?, behind))
                })
                .await?;
            let (detail, behind) = found.ok_or_else(|| unknown_operation(name))?;
            tries += 1;
            if !behind || tries >= TRIES_MAX {
                return Ok(detail);
            }
            self.catch_up().await;
        }
    }

    pub(super) async fn decision_page(
        &self,
        operation: OperationId,
        query: &ListQuery,
    ) -> Result<Page<DecisionView>, Refusal> {
        let page = self.decisions(operation, newest_first(query)?).await?;
        Ok(Page {
            items: page.items.iter().map(DecisionView::from).collect(),
            next: page.next.map(|next| next.to_string()),
            total: None,
        })
    }

    pub(super) async fn assignments(
        &self,
        operation: OperationId,
        query: &AssignmentQuery,
    ) -> Result<Page<AssignmentView>, Refusal> {
        let after = query.after.as_deref().map(cursor).transpose()?;
        let limit = page_limit(query.limit);
        let state = query.state;
        let page = self
            .handle
            .view(move |engine, now| {
                let view = View::new(engine, now);
                let mut items: Vec<AssignmentView> = view
                    .loops
                    .assignments(operation)
                    .filter(|assignment| after.is_none_or(|after| assignment.device.0 > after))
                    .filter(|assignment| {
                        state.is_none_or(|state| AttemptState::from(&assignment.state) == state)
                    })
                    .take(limit + 1)
                    .map(|assignment| view.assignment(assignment))
                    .collect();
                let more = items.len() > limit;
                items.truncate(limit);
                let next = items.last().filter(|_| more).map(|item| item.device.name.clone());
                Page { items, next, total: None }
            })
            .await?;
        Ok(page)
    }

    /// The operation of a name, `op-1` or `1`.
    pub(super) async fn operation_id(&self, name: &str) -> Result<OperationId, Refusal> {
        let id: OperationId = name.parse().map_err(|_| unknown_operation(name))?;
        let known =
            self.handle.view(move |engine, _| engine.loops().operation(id).is_some()).await?;
        known.then_some(id).ok_or_else(|| unknown_operation(name))
    }
}

/// Whether an operation took a decision that the store did not show yet.
fn is_behind(stored: Option<&Decision>, operation: &Operation) -> bool {
    stored.map_or(0, |decision| decision.seq) < operation.last_decision
}

pub(super) fn unknown_operation(name: &str) -> Refusal {
    let hint = "List the operations to see which there are; name one as `op-1`.";
    Refusal::not_found("operation", name, hint)
}

/// Looks at an operation that decides faster than the store writes.
const TRIES_MAX: u32 = 3;

/// Decisions shown with an operation.
const DECISIONS_SHOWN: u32 = 100;
