//! The fleet and its devices.

use std::sync::Arc;

use api::{
    DeviceDetail, DeviceQuery, DeviceSummary, FleetSummary, HistoryEntry, ListQuery, OrderRequest,
    Page, WhyQuery, WhyReport, page_limit,
};
use axum::Json;
use axum::extract::State;
use model::{DeviceId, EndpointName};
use store::PageRequest;

use super::Site;
use super::answer::{Answer, Asked, Content, Named, Refusal};
use super::scan::cursor;
use super::view::View;

/// The fleet in numbers.
pub(super) async fn fleet(State(site): State<Arc<Site>>) -> Answer<FleetSummary> {
    site.fleet().await.map(Json)
}

/// Devices in the order of their numbers.
pub(super) async fn devices(
    State(site): State<Arc<Site>>,
    Asked(query): Asked<DeviceQuery>,
) -> Answer<Page<DeviceSummary>> {
    site.find(query).await.map(Json)
}

/// Everything about a device.
pub(super) async fn device(
    State(site): State<Arc<Site>>,
    Named(name): Named,
) -> Answer<DeviceDetail> {
    site.device(&name).await.map(Json)
}

/// What happened to a device, newest first.
pub(super) async fn history(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Asked(query): Asked<ListQuery>,
) -> Answer<Page<HistoryEntry>> {
    let device = site.device_id(&name).await?;
    site.history(device, &query).await.map(Json)
}

/// Why a device is a target, or not, or not yet.
pub(super) async fn why(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Asked(query): Asked<WhyQuery>,
) -> Answer<Vec<WhyReport>> {
    let device = site.device_id(&name).await?;
    let operation = match &query.operation {
        Some(name) => Some(site.operation_id(name).await?),
        None => None,
    };
    let reports = site
        .handle
        .view(move |engine, now| {
            let view = View::new(engine, now);
            let Some(device) = engine.fleet().device(device) else { return Vec::new() };
            match operation.and_then(|operation| view.loops.operation(operation)) {
                Some(operation) => view.report(device, operation).into_iter().collect(),
                None => view.reports(device),
            }
        })
        .await?;
    Ok(Json(reports))
}

/// Leaves a device alone until it is released.
pub(super) async fn hold(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Content(order): Content<OrderRequest>,
) -> Answer<DeviceSummary> {
    site.hold(&name, order.reason).await.map(Json)
}

/// Lets a held or quarantined device be updated again.
pub(super) async fn release(
    State(site): State<Arc<Site>>,
    Named(name): Named,
    Content(_): Content<OrderRequest>,
) -> Answer<DeviceSummary> {
    site.release_hold(&name).await.map(Json)
}

impl Site {
    pub(super) async fn fleet(&self) -> Result<FleetSummary, Refusal> {
        let mut summary = self.tally().await?.summary();
        let (releases, operations) = self
            .handle
            .view(|engine, _| {
                let loops = engine.loops();
                let (mut open, mut ended) = (Vec::new(), Vec::new());
                for operation in loops.operations() {
                    let list = if operation.state.is_final() { &mut ended } else { &mut open };
                    list.push(operation.id);
                }
                let shown = open.into_iter().rev().chain(ended.into_iter().rev());
                (loops.releases().count() as u64, shown.take(OPERATIONS_MAX).collect())
            })
            .await?;
        summary.releases = releases;
        summary.operations = self.summaries(operations).await?;
        Ok(summary)
    }

    pub(super) async fn device(&self, name: &str) -> Result<DeviceDetail, Refusal> {
        let id = self.device_id(name).await?;
        let detail = self
            .handle
            .view(move |engine, now| {
                engine.fleet().device(id).map(|device| View::new(engine, now).device_detail(device))
            })
            .await?;
        let mut detail = detail.ok_or_else(|| unknown_device(name))?;
        detail.history = self.history(id, &ListQuery::default()).await?.items;
        Ok(detail)
    }

    async fn history(
        &self,
        device: DeviceId,
        query: &ListQuery,
    ) -> Result<Page<HistoryEntry>, Refusal> {
        let page = self.stored_history(device, newest_first(query)?).await?;
        let items = page.items;
        let items = self
            .handle
            .view(move |engine, now| {
                let view = View::new(engine, now);
                items.iter().map(|entry| view.history(entry)).collect()
            })
            .await?;
        Ok(Page { items, next: page.next.map(|next| next.to_string()), total: None })
    }

    pub(super) async fn hold(&self, name: &str, reason: String) -> Result<DeviceSummary, Refusal> {
        let id = self.device_id(name).await?;
        self.handle.order(move |engine, now| engine.hold(id, &reason, now)).await??;
        self.device_summary(id).await
    }

    pub(super) async fn release_hold(&self, name: &str) -> Result<DeviceSummary, Refusal> {
        let id = self.device_id(name).await?;
        self.handle.order(move |engine, now| engine.release_hold(id, now)).await??;
        self.device_summary(id).await
    }

    async fn device_summary(&self, id: DeviceId) -> Result<DeviceSummary, Refusal> {
        let summary = self
            .handle
            .view(move |engine, now| {
                engine.fleet().device(id).map(|device| View::new(engine, now).device(device))
            })
            .await?;
        summary.ok_or_else(|| unknown_device(&id.to_string()))
    }

    /// The device of a name: `dev-7`, `7` or its endpoint name. Numbers go first, so that no
    /// device can take the place of another by its name.
    pub(super) async fn device_id(&self, name: &str) -> Result<DeviceId, Refusal> {
        let owned = name.to_owned();
        let found = self.handle.view(move |engine, _| device_of(engine, &owned)).await?;
        found.ok_or_else(|| unknown_device(name))
    }
}

/// The device of a name, if there is one.
pub(super) fn device_of(engine: &engine::Engine, name: &str) -> Option<DeviceId> {
    let numbered = name.parse().ok().filter(|id| engine.fleet().device(*id).is_some());
    numbered.or_else(|| engine.device_named(&EndpointName::new(name).ok()?))
}

pub(super) fn unknown_device(name: &str) -> Refusal {
    let hint = "List the devices to see which are known.";
    Refusal::not_found("device", name, hint)
}

/// A page of the store from its newest rows on.
pub(super) fn newest_first(query: &ListQuery) -> Result<PageRequest, Refusal> {
    let limit = u32::try_from(page_limit(query.limit)).unwrap_or(api::LIMIT_MAX);
    let page = PageRequest::newest(limit);
    match &query.after {
        Some(after) => Ok(page.after(cursor(after)?)),
        None => Ok(page),
    }
}

/// Operations named in the summary of the fleet.
const OPERATIONS_MAX: usize = 20;
