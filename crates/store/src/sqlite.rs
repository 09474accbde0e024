//! The store in SQLite.

mod audit;
mod read;
mod schema;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Decision, DeviceId, Grant, Intent, Look, OperationId, Outcome, Record, Snapshot};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::data_dir::sync_folder;
use crate::{
    Archive, DataDir, HistoryEntry, Knowledge, Page, PageRequest, Selection, StoreError, Violation,
};

/// Limits of the database. Every field has a safe default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Largest size of the database file in bytes; beyond it commits fail like on a full disk.
    /// None leaves it to the disk.
    pub bytes_max: Option<u64>,
    /// Longest wait for another program that has the database locked, in milliseconds. A writer
    /// that waits keeps everything else waiting.
    pub busy_ms_max: u32,
    /// Memory for pages of the database, in KiB; more makes large fleets faster.
    pub cache_kib: u32,
    /// Size to which the write-ahead file is cut back after use, in bytes.
    pub journal_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bytes_max: None,
            busy_ms_max: 5_000,
            cache_kib: 16 << 10,
            journal_bytes_max: 64 << 20,
        }
    }
}

/// Knowledge in a SQLite database, by default `DIR/bellwether.db`.
///
/// Every commit is one transaction in the write-ahead log, synchronised to the disk before it is
/// acknowledged. Commit many records at once: the price is per commit, not per record.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    busy: Duration,
    /// Number of the next row of the history.
    position: i64,
    /// Set by an error after which what reached the disk is unknown.
    failed: Option<StoreError>,
    // Keeps the folder locked; none in memory.
    _dir: Option<DataDir>,
}

impl SqliteStore {
    /// Opens the database of a folder, creates it when it is missing and brings an older one up
    /// to date.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::Foreign`], [`StoreError::Damaged`],
    /// [`StoreError::ReadOnly`], or what is wrong with the folder. The database is not changed
    /// then.
    pub fn open(dir: &DataDir, options: &Options) -> Result<Self, StoreError> {
        let path = dir.path().join(FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .map_err(|error| StoreError::from_sqlite(&error, &path))?;
        // A file that cannot be written is opened for reading without a word.
        let name = rusqlite::MAIN_DB;
        match connection.is_readonly(name) {
            Ok(false) => {}
            Ok(true) => return Err(StoreError::ReadOnly { path }),
            Err(error) => return Err(StoreError::from_sqlite(&error, &path)),
        }
        let store = Self::prepare(connection, path, options, Some(dir.clone()))?;
        sync_folder(dir.path())?;
        Ok(store)
    }

    /// Makes an empty store that ends with the process; for tests and the simulator.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|error| StoreError::from_sqlite(&error, &path))?;
        Self::prepare(connection, path, &Options::default(), None)
    }

    /// Opens a second connection that only reads and does not wait for the writer; it sees what
    /// is committed. It may move to another thread.
    ///
    /// # Errors
    /// [`StoreError::InMemory`] for a store that has no file.
    pub fn reader(&self) -> Result<SqliteReader, StoreError> {
        if self._dir.is_none() {
            return Err(StoreError::InMemory);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, &self.path);
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        connection.busy_timeout(self.busy).map_err(failed)?;
        Ok(SqliteReader { connection, path: self.path.clone() })
    }

    /// The database file, `:memory:` when there is none.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn prepare(
        connection: Connection,
        path: PathBuf,
        options: &Options,
        dir: Option<DataDir>,
    ) -> Result<Self, StoreError> {
        let busy = Duration::from_millis(u64::from(options.busy_ms_max));
        let mut connection = connection;
        connection.busy_timeout(busy).map_err(|error| StoreError::from_sqlite(&error, &path))?;
        schema::prepare(&mut connection, &path, options)?;
        let position = write::next_position(&connection)
            .map_err(|error| StoreError::from_sqlite(&error, &path))?;
        Ok(Self { connection, path, busy, position, failed: None, _dir: dir })
    }

    /// Applies records in one transaction and returns the next position.
    fn apply(&mut self, records: &[Record]) -> Result<i64, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, &self.path);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let mut position = self.position;
        for record in records {
            write::write(&transaction, record, &mut position)
                .map_err(|error| error.into_store_error(record, &self.path))?;
        }
        transaction.commit().map_err(|error| match failed(error) {
            // At the end of the batch only references are left to be checked.
            StoreError::Conflict { .. } => StoreError::Conflict {
                what: "a record names a device, release or operation that is not stored".to_owned(),
            },
            other => other,
        })?;
        Ok(position)
    }
}

impl Knowledge for SqliteStore {
    fn load(&mut self) -> Result<Snapshot, StoreError> {
        read::snapshot(&mut self.connection, &self.path)
    }

    fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if records.is_empty() {
            return Ok(());
        }
        match self.apply(records) {
            Ok(position) => {
                self.position = position;
                Ok(())
            }
            Err(error) => {
                if error.is_lasting() {
                    self.failed = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    fn audit(&mut self) -> Result<Vec<Violation>, StoreError> {
        audit::audit(&mut self.connection, &self.path)
    }
}

/// A second connection to the database of a [`SqliteStore`] that only reads.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
    path: PathBuf,
}

macro_rules! archive {
    ($name:ty) => {
        impl Archive for $name {
            fn decisions(
                &mut self,
                operation: OperationId,
                page: PageRequest,
            ) -> Result<Page<Decision>, StoreError> {
                read::decisions(&self.connection, &self.path, operation, page)
            }

            fn looks(
                &mut self,
                operation: OperationId,
                page: PageRequest,
            ) -> Result<Page<Look>, StoreError> {
                read::looks(&self.connection, &self.path, operation, page)
            }

            fn grants(
                &mut self,
                operation: OperationId,
                page: PageRequest,
            ) -> Result<Page<Grant>, StoreError> {
                read::grants(&self.connection, &self.path, operation, page)
            }

            fn outcomes(
                &mut self,
                of: Selection,
                page: PageRequest,
            ) -> Result<Page<Outcome>, StoreError> {
                read::outcomes(&self.connection, &self.path, of, page)
            }

            fn intents(
                &mut self,
                of: Selection,
                page: PageRequest,
            ) -> Result<Page<Intent>, StoreError> {
                read::intents(&self.connection, &self.path, of, page)
            }

            fn device_history(
                &mut self,
                device: DeviceId,
                page: PageRequest,
            ) -> Result<Page<HistoryEntry>, StoreError> {
                read::device_history(&self.connection, &self.path, device, page)
            }
        }
    };
}

archive!(SqliteStore);
archive!(SqliteReader);

/// Name of the database in the data folder.
const FILE: &str = "bellwether.db";
