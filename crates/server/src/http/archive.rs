//! History from the store, read on threads that may block.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use api::{DecisionView, ElementPoint, Share};
use model::{Decision, DeviceId, Grant, OperationId, Time};
use store::{Archive, HistoryEntry, Page, PageRequest, SqliteReader, StoreError};

use super::Site;
use super::answer::Refusal;

/// Charts drawn so far, so that each grant and decision is read once.
#[derive(Debug, Default)]
pub(super) struct Charts(BTreeMap<OperationId, Chart>);

/// The elements of one operation.
#[derive(Debug, Default)]
struct Chart {
    steps: Vec<Step>,
    points: Vec<ElementPoint>,
    last_decision: Option<u64>,
    last_element: Option<u64>,
}

/// A decision on the size of an element.
#[derive(Debug)]
struct Step {
    at: Time,
    progress_percent: f64,
    view: DecisionView,
}

impl Site {
    /// Reads from the store on a thread that may block.
    pub(super) async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteReader) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, Refusal> {
        let reader = Arc::clone(&self.reader);
        self.block(move || {
            // A reader has no state that a panic could leave half changed.
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            read(&mut reader).map_err(Into::into)
        })
        .await
    }

    /// Runs what blocks on a thread for that.
    pub(super) async fn block<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, Refusal> + Send + 'static,
    ) -> Result<R, Refusal> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(Refusal::new(api::ProblemCode::Internal, error.to_string())),
        }
    }

    /// Waits a moment for the store to show what the engine already knows.
    pub(super) async fn catch_up(&self) {
        let written = self.handle.order(|_, _| ());
        // When the store takes no writes, what it has is what there is.
        drop(tokio::time::timeout(CATCH_UP_WITHIN, written).await);
    }

    /// The last decision on each of some operations.
    pub(super) async fn last_decisions(
        &self,
        operations: Vec<OperationId>,
    ) -> Result<BTreeMap<OperationId, Decision>, Refusal> {
        self.read(move |reader| {
            let mut last = BTreeMap::new();
            for operation in operations {
                let page = reader.decisions(operation, PageRequest::newest(1))?;
                last.extend(page.items.into_iter().map(|decision| (operation, decision)));
            }
            Ok(last)
        })
        .await
    }

    /// A page of an operation's decisions, newest first.
    pub(super) async fn decisions(
        &self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Decision>, Refusal> {
        self.read(move |reader| reader.decisions(operation, page)).await
    }

    /// A page of a device's history, newest first.
    pub(super) async fn stored_history(
        &self,
        device: DeviceId,
        page: PageRequest,
    ) -> Result<Page<HistoryEntry>, Refusal> {
        self.catch_up().await;
        self.read(move |reader| reader.device_history(device, page)).await
    }

    /// The elements of an operation.
    pub(super) async fn points(
        &self,
        operation: OperationId,
    ) -> Result<Vec<ElementPoint>, Refusal> {
        let charts = Arc::clone(&self.charts);
        self.read(move |reader| {
            let mut charts = lock(&charts);
            charts.make_room(operation);
            let chart = charts.0.entry(operation).or_default();
            chart.read_on(reader, operation)?;
            Ok(chart.points.clone())
        })
        .await
    }
}

fn lock(charts: &Mutex<Charts>) -> std::sync::MutexGuard<'_, Charts> {
    // A chart is read on from the last row that it holds, so a half-read one is whole again then.
    charts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Charts {
    /// Forgets the chart of the oldest operation when there are too many.
    fn make_room(&mut self, wanted: OperationId) {
        let known: BTreeSet<OperationId> = self.0.keys().copied().collect();
        if known.len() >= CHARTS_MAX && !known.contains(&wanted) {
            self.0.pop_first();
        }
    }
}

impl Chart {
    fn read_on(
        &mut self,
        reader: &mut SqliteReader,
        operation: OperationId,
    ) -> Result<(), StoreError> {
        // Grants first: the decision behind a grant is never younger than the grant.
        let mut grants: Vec<Grant> = Vec::new();
        let mut last = self.last_element;
        loop {
            let page = reader.grants(operation, PageRequest { after: last, ..OLDEST })?;
            last = page.items.last().map(|grant| grant.element).or(last);
            let end = page.next.is_none();
            grants.extend(page.items);
            if end {
                break;
            }
        }
        loop {
            let request = PageRequest { after: self.last_decision, ..OLDEST };
            let page = reader.decisions(operation, request)?;
            for decision in &page.items {
                self.last_decision = Some(decision.seq);
                self.steps.extend(Step::of(decision));
            }
            if page.next.is_none() {
                break;
            }
        }
        for grant in &grants {
            self.points.push(self.point(grant));
            self.last_element = Some(grant.element);
        }
        Ok(())
    }

    fn point(&self, grant: &Grant) -> ElementPoint {
        let at = self.steps.partition_point(|step| step.at <= grant.at);
        let step = at.checked_sub(1).and_then(|last| self.steps.get(last));
        ElementPoint {
            element: grant.element,
            progress_percent: step.map_or(0.0, |step| step.progress_percent),
            devices: grant.devices.len() as u64,
            phase: step.and_then(|step| step.view.phase).unwrap_or(api::Phase::Test),
            at: grant.at.into(),
            decision: step.map(|step| step.view.seq),
            verdict: step.map(|step| step.view.verdict.clone()).unwrap_or_default(),
            sentence: step.map(|step| step.view.sentence.clone()).unwrap_or_default(),
        }
    }
}

impl Step {
    /// None for a decision that sets no size.
    fn of(decision: &Decision) -> Option<Self> {
        let view = DecisionView::from(decision);
        if !matches!(view.verdict.as_str(), "start" | "continue" | "allow") {
            return None;
        }
        let progress = decision.inputs.as_ref().map(|inputs| inputs.counts.progress());
        let progress_percent = progress.map_or(0.0, |rate| Share::from(rate).percent);
        Some(Self { at: decision.at, progress_percent, view })
    }
}

/// Rows read at a time; a grant of a large element is large.
const OLDEST: PageRequest = PageRequest::oldest(500);

/// Longest wait for the store to catch up with the engine; a commit takes milliseconds.
const CATCH_UP_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Charts kept; a few hundred bytes an element.
const CHARTS_MAX: usize = 64;
