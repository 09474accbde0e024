//! Knowledge: what must survive a crash, in one folder on disk.
//!
//! Owns the durable [`model::Record`]s in SQLite, the images of releases as files named by their
//! digest, and the lock that keeps a second process out of the folder. It is the only room that
//! knows SQL. Refuses to know what the records mean: it keeps them, refuses what contradicts a
//! key, and can be asked whether what it holds obeys the invariants ([`Knowledge::audit`]).
//!
//! Calls block and come from one thread; a second connection ([`SqliteStore::reader`]) answers
//! queries beside it. Start from [`DataDir`], [`SqliteStore`] and the trait [`Knowledge`];
//! [`Faulty`] breaks commits on purpose for tests.

mod artifacts;
mod data_dir;
mod error;
mod faulty;
mod knowledge;
mod sqlite;
#[cfg(test)]
mod tests;

pub use artifacts::{ArtifactError, Artifacts};
pub use data_dir::DataDir;
pub use error::StoreError;
pub use faulty::{Faulty, Injection};
pub use knowledge::{
    Archive, HistoryEntry, Invariant, Knowledge, Order, Page, PageRequest, Selection, Violation,
};
pub use sqlite::{Options, SqliteReader, SqliteStore};
