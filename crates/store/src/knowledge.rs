//! What a store offers, free of any database.

use model::{
    Decision, DeviceId, Grant, Intent, Look, OperationId, Outcome, Record, Snapshot, Time,
};

use crate::StoreError;

/// Durable memory of the loops: the one place that says what was decided and done.
///
/// An implementation is driven by one thread. [`Self::load`] after any crash returns what the
/// acknowledged batches made, and nothing of the others.
pub trait Knowledge: Archive {
    /// Returns everything needed to go on after a restart.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a row cannot be read.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Applies the records in order, all or none. On `Ok` they survive a crash (I15).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a record exists that must be new, or names something that
    /// does not exist; [`StoreError::DiskFull`]; [`StoreError::Failed`], after which the store
    /// takes no more writes.
    fn commit(&mut self, records: &[Record]) -> Result<(), StoreError>;

    /// Looks for violations of the invariants in what is stored. Reads everything; minutes on a
    /// history of many millions of rows.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the database itself is broken.
    fn audit(&mut self) -> Result<Vec<Violation>, StoreError>;
}

/// The history, read in pages.
pub trait Archive {
    /// Returns decisions of an operation by their number; cursors are those numbers.
    ///
    /// # Errors
    /// See [`StoreError`]; also of the methods below.
    fn decisions(
        &mut self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Decision>, StoreError>;

    /// Returns looks at an operation by their number; cursors are those numbers.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn looks(
        &mut self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Look>, StoreError>;

    /// Returns grants of an operation by element; cursors are element numbers.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn grants(
        &mut self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Grant>, StoreError>;

    /// Returns outcomes in the order they were committed; cursors are opaque.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn outcomes(&mut self, of: Selection, page: PageRequest) -> Result<Page<Outcome>, StoreError>;

    /// Returns intents in the order they were committed; cursors are opaque.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn intents(&mut self, of: Selection, page: PageRequest) -> Result<Page<Intent>, StoreError>;

    /// Returns what was done to a device and what came of it; cursors are opaque.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn device_history(
        &mut self,
        device: DeviceId,
        page: PageRequest,
    ) -> Result<Page<HistoryEntry>, StoreError>;
}

/// Which rows of the history are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Those of an operation.
    Operation(OperationId),
    /// Those of a device.
    Device(DeviceId),
    /// Those of a device in an operation.
    Both(OperationId, DeviceId),
}

/// From which end the history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// First things first.
    #[default]
    OldestFirst,
    /// Last things first.
    NewestFirst,
}

/// Asks for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The `next` of the page before; none for the first page.
    pub after: Option<u64>,
    /// Most items wanted; held between 1 and [`Self::LIMIT_MAX`].
    pub limit: u32,
    /// From which end.
    pub order: Order,
}

impl PageRequest {
    /// Most items of one page, whatever is asked for; bounds the memory of one query.
    pub const LIMIT_MAX: u32 = 10_000;

    /// The first page from the oldest on.
    #[must_use]
    pub const fn oldest(limit: u32) -> Self {
        Self { after: None, limit, order: Order::OldestFirst }
    }

    /// The first page from the newest on.
    #[must_use]
    pub const fn newest(limit: u32) -> Self {
        Self { after: None, limit, order: Order::NewestFirst }
    }

    /// The same page after a cursor.
    #[must_use]
    pub const fn after(self, cursor: u64) -> Self {
        Self { after: Some(cursor), ..self }
    }
}

/// Some rows and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Cursor of the next page; none on the last.
    pub next: Option<u64>,
}

/// One line of a device's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEntry {
    /// Something was about to be sent to it.
    Intent(Intent),
    /// An attempt on it was settled.
    Outcome(Outcome),
}

impl HistoryEntry {
    /// When.
    #[must_use]
    pub const fn at(&self) -> Time {
        match self {
            Self::Intent(intent) => intent.at,
            Self::Outcome(outcome) => outcome.at,
        }
    }
}

/// A rule that stored rows can break; the numbers are those of the product's list of invariants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: one change in flight on a device.
    OneChangeInFlight,
    /// I2: nothing is sent without a committed intent.
    IntentBeforeEffect,
    /// I3: decisions are dense from 1, and the operation knows its last.
    DenseDecisions,
    /// I4: no more devices are exposed than the last decision allows.
    ExposureCap,
    /// I5: nothing starts after an abort.
    AbortIsFinal,
    /// I7: every granted device is in exactly one state, and settled ones have their outcome.
    Conservation,
}

impl Invariant {
    /// Its number, e.g. `I1`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OneChangeInFlight => "I1",
            Self::IntentBeforeEffect => "I2",
            Self::DenseDecisions => "I3",
            Self::ExposureCap => "I4",
            Self::AbortIsFinal => "I5",
            Self::Conservation => "I7",
        }
    }
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// In which operation, when it is one.
    pub operation: Option<OperationId>,
    /// On which device, when it is one.
    pub device: Option<DeviceId>,
    /// What was found, as a sentence.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.invariant.code())?;
        if let Some(operation) = self.operation {
            write!(f, "{operation}: ")?;
        }
        if let Some(device) = self.device {
            write!(f, "{device}: ")?;
        }
        f.write_str(&self.what)
    }
}
