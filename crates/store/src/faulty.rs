//! Faults on purpose.

use std::collections::BTreeMap;

use model::{Decision, DeviceId, Grant, Intent, Look, OperationId, Outcome, Record, Snapshot};

use crate::{
    Archive, HistoryEntry, Knowledge, Page, PageRequest, Selection, StoreError, Violation,
};

/// What happens at a commit instead of success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injection {
    /// It fails with this error and nothing is kept; later commits work.
    Fail(StoreError),
    /// The process dies before the commit took effect.
    CrashBefore,
    /// The process dies after the commit took effect and before anyone was told.
    CrashAfter,
}

/// A store that breaks chosen commits, for tests and the simulator. After a crash every call
/// answers [`StoreError::Crashed`] until [`Self::restart`].
#[derive(Debug)]
pub struct Faulty<K> {
    inner: K,
    commits: u64,
    planned: BTreeMap<u64, Injection>,
    crashed: bool,
}

impl<K: Knowledge> Faulty<K> {
    /// Wraps a store; without a plan it behaves like it.
    #[must_use]
    pub const fn new(inner: K) -> Self {
        Self { inner, commits: 0, planned: BTreeMap::new(), crashed: false }
    }

    /// Plans what happens at the `nth` commit, counted from 1 since the wrapper was made.
    pub fn plan(&mut self, nth: u64, injection: Injection) {
        self.planned.insert(nth, injection);
    }

    /// Commits asked for so far, the broken ones included.
    #[must_use]
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Whether a planned crash has happened.
    #[must_use]
    pub const fn is_crashed(&self) -> bool {
        self.crashed
    }

    /// Starts the process again on what was kept.
    pub const fn restart(&mut self) {
        self.crashed = false;
    }

    /// The wrapped store.
    #[must_use]
    pub fn into_inner(self) -> K {
        self.inner
    }

    fn alive(&mut self) -> Result<&mut K, StoreError> {
        if self.crashed { Err(StoreError::Crashed) } else { Ok(&mut self.inner) }
    }
}

impl<K: Knowledge> Knowledge for Faulty<K> {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        self.alive()?.load()
    }

    fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.alive()?;
        self.commits += 1;
        match self.planned.remove(&self.commits) {
            None => self.inner.commit(records),
            Some(Injection::Fail(error)) => Err(error),
            Some(Injection::CrashBefore) => {
                self.crashed = true;
                Err(StoreError::Crashed)
            }
            Some(Injection::CrashAfter) => {
                self.inner.commit(records)?;
                self.crashed = true;
                Err(StoreError::Crashed)
            }
        }
    }

    fn audit(&mut self) -> Result<Vec<Violation>, StoreError> {
        self.alive()?.audit()
    }
}

impl<K: Knowledge> Archive for Faulty<K> {
    fn decisions(
        &mut self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Decision>, StoreError> {
        self.alive()?.decisions(operation, page)
    }

    fn looks(
        &mut self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Look>, StoreError> {
        self.alive()?.looks(operation, page)
    }

    fn grants(
        &mut self,
        operation: OperationId,
        page: PageRequest,
    ) -> Result<Page<Grant>, StoreError> {
        self.alive()?.grants(operation, page)
    }

    fn outcomes(&mut self, of: Selection, page: PageRequest) -> Result<Page<Outcome>, StoreError> {
        self.alive()?.outcomes(of, page)
    }

    fn intents(&mut self, of: Selection, page: PageRequest) -> Result<Page<Intent>, StoreError> {
        self.alive()?.intents(of, page)
    }

    fn device_history(
        &mut self,
        device: DeviceId,
        page: PageRequest,
    ) -> Result<Page<HistoryEntry>, StoreError> {
        self.alive()?.device_history(device, page)
    }
}
