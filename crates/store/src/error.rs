//! What can go wrong with the folder and the database, in one sentence each.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store could not do what it was asked. Nothing of a failed call has taken effect,
/// except after [`StoreError::Failed`], where only a restart tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The path of the data folder names something else.
    #[error("{} is not a folder; give the path of a folder, or of one to be created", path.display())]
    NotAFolder {
        /// That path.
        path: PathBuf,
    },
    /// The data folder does not exist and cannot be made.
    #[error("the data folder {} cannot be created: {cause}; give a folder you may write to", path.display())]
    CannotCreate {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// This user may not read or write there.
    #[error("{} is not accessible to this user: {cause}; change its owner or permissions, or give another data folder", path.display())]
    NoPermission {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The file system takes no writes.
    #[error("{} cannot be written because it is read-only; make it writable or give another data folder", path.display())]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another process works on the folder.
    #[error("the data folder {} is in use by {}; stop it or give another data folder", path.display(), holder_words(*pid))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// That process, when the lock file says so.
        pid: Option<u32>,
    },
    /// No room for the write; what was committed before is safe, reads go on.
    #[error("no space is left for {}; free some space, nothing of this change was kept", path.display())]
    DiskFull {
        /// The file or folder.
        path: PathBuf,
    },
    /// The database was written by a later version of the product.
    #[error("the database {} has format {found}, this program knows up to {known}; start the newer program that wrote it", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one known here.
        known: u32,
    },
    /// The file is a database of some other program.
    #[error("{} is not a database of this product; give another data folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The database cannot be read as what it should be.
    #[error("the database {} is damaged ({detail}); put back a copy of it made before", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was met.
        detail: String,
    },
    /// A record contradicts what is stored; none of its batch was kept (I3).
    #[error("refused, nothing of the batch was kept: {what}; load again and decide afresh")]
    Conflict {
        /// The record and what it contradicts.
        what: String,
    },
    /// A record holds something the database has no form for; none of its batch was kept.
    #[error("refused, nothing of the batch was kept: {what}")]
    Unstorable {
        /// The record and what is wrong with it.
        what: String,
    },
    /// Another connection held the database for too long.
    #[error("the database {} stayed locked by another connection; end other programs that have it open", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The system failed in the middle of a write, so what reached the disk is unknown. The store
    /// refuses all further writes: only a restart reads what is really there (I15).
    #[error("{} failed: {cause}; check the disk and start again", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// An in-memory store was asked for something only a folder has.
    #[error("a store in memory has no second connection; keep it in a folder")]
    InMemory,
    /// A planned crash of a test; see [`crate::Faulty`].
    #[error("the simulated process has crashed; take the inner store out and load again")]
    Crashed,
}

impl StoreError {
    /// Whether later writes are refused too.
    pub(crate) const fn is_lasting(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Damaged { .. })
    }

    pub(crate) fn from_io(error: &io::Error, path: &Path) -> Self {
        let path = path.to_owned();
        let cause = error.to_string();
        match error.kind() {
            io::ErrorKind::NotADirectory => Self::NotAFolder { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { path, cause },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull { path },
            _ => Self::Failed { path, cause },
        }
    }

    pub(crate) fn from_sqlite(error: &rusqlite::Error, path: &Path) -> Self {
        let cause = error.to_string();
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Conflict { what: cause },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::NoPermission { path, cause }
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, detail: cause }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(_) => Self::Failed { path, cause },
            // Without a code it is a row of an unexpected form: a wrong type or a missing column.
            None => Self::Damaged { path, detail: cause },
        }
    }
}

fn holder_words(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_become_sentences() {
        let check = |kind: io::ErrorKind, expected: &str| {
            let message = StoreError::from_io(&kind.into(), Path::new("data")).to_string();
            assert!(message.contains(expected), "{kind:?}: {message}");
            assert!(message.contains("data") && message.contains(';'), "{message}");
        };
        check(io::ErrorKind::NotADirectory, "is not a folder");
        check(io::ErrorKind::PermissionDenied, "not accessible");
        check(io::ErrorKind::ReadOnlyFilesystem, "read-only");
        check(io::ErrorKind::StorageFull, "no space is left");
        check(io::ErrorKind::QuotaExceeded, "no space is left");
        check(io::ErrorKind::Other, "failed");
    }
}
