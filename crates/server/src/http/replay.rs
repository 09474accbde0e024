//! Replays from the store, page by page, so that other readers are not kept waiting.

use std::sync::{Arc, PoisonError};

use ::operations::{Difference, Differing, Replay};
use api::{DifferenceView, DifferingDecision, ReplayReport};
use axum::Json;
use axum::extract::State;
use store::{Archive, Page, PageRequest, SqliteReader, StoreError};

use super::Site;
use super::answer::{Answer, Named};
use super::operations::unknown_operation;
use crate::start::SharedReader;

/// Makes an operation's stored decisions once more.
pub(super) async fn replay(
    State(site): State<Arc<Site>>,
    Named(name): Named,
) -> Answer<ReplayReport> {
    let id = site.operation_id(&name).await?;
    let known = site.handle.view(move |engine, _| engine.loops().operation(id).cloned()).await?;
    let operation = known.ok_or_else(|| unknown_operation(&name))?;
    site.catch_up().await;
    let reader = Arc::clone(&site.reader);
    let replay = site
        .block(move || {
            // What is decided meanwhile may rest on looks that were not there a page ago.
            let last = operation.last_decision;
            let decisions = Stored::new(&reader, move |reader, page| reader.decisions(id, page))
                .take_while(|one| one.as_ref().map_or(true, |one| one.seq <= last));
            let looks = Stored::new(&reader, move |reader, page| reader.looks(id, page));
            Ok(Replay::of(&operation, looks, decisions)?)
        })
        .await?;
    Ok(Json(report(id, replay)))
}

fn report(operation: model::OperationId, replay: Replay) -> ReplayReport {
    ReplayReport {
        operation: operation.into(),
        all_equal: replay.is_equal(),
        equal: replay.equal,
        different: replay.different,
        different_same_version: replay.different_same_version,
        orders: replay.orders,
        looks: replay.looks,
        differing: replay.differing.into_iter().map(differing).collect(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn differing(decision: Differing) -> DifferingDecision {
    let view = |one: Difference| DifferenceView {
        part: one.part.to_string(),
        stored: one.stored,
        again: one.again,
    };
    DifferingDecision {
        seq: decision.seq,
        at: decision.at.into(),
        code_version: decision.code_version,
        same_version: decision.same_version,
        differences: decision.differences.into_iter().map(view).collect(),
    }
}

/// Rows of the store, oldest first; the reader is taken for one page at a time.
pub(super) struct Stored<T, F> {
    reader: SharedReader,
    fetch: F,
    items: std::vec::IntoIter<T>,
    next: Option<PageRequest>,
}

impl<T, F> Stored<T, F>
where
    F: FnMut(&mut SqliteReader, PageRequest) -> Result<Page<T>, StoreError>,
{
    pub(super) fn new(reader: &SharedReader, fetch: F) -> Self {
        let next = Some(PageRequest::oldest(ROWS_AT_ONCE));
        Self { reader: Arc::clone(reader), fetch, items: Vec::new().into_iter(), next }
    }
}

impl<T, F> Iterator for Stored<T, F>
where
    F: FnMut(&mut SqliteReader, PageRequest) -> Result<Page<T>, StoreError>,
{
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(Ok(item));
            }
            let request = self.next.take()?;
            // A reader has no state that a panic could leave half changed.
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            match (self.fetch)(&mut reader, request) {
                Ok(page) => {
                    self.next = page.next.map(|next| request.after(next));
                    self.items = page.items.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Rows read at a time; a look or a decision with many strata has a hundred kilobytes.
const ROWS_AT_ONCE: u32 = 100;
