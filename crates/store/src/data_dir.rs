//! The data folder and the lock on it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Artifacts, Options, SqliteStore, StoreError};

/// A data folder that this process holds. Clones share the lock; it is released when the last of
/// them, and of the stores opened from them, is dropped, or when the process ends in any way.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    // Held, not read: the operating system releases the lock when the last handle is closed.
    _lock: Arc<File>,
}

impl DataDir {
    /// Locks the folder, after creating it and its parents when they are missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] names the process that holds it; the other errors say what is wrong
    /// with the path. Nothing is changed then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(StoreError::NotAFolder { path: path.to_owned() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(StoreError::from_io(&error, path)),
        }
        let lock_path = path.join(LOCK);
        let failed = |error: &std::io::Error| StoreError::from_io(error, &lock_path);
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock_path)
            .map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: path.to_owned(), pid: holder(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        // The number only serves the message to others, so a full disk does not matter here.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) })
    }

    /// Tells whether another process holds the folder, without creating or changing anything.
    ///
    /// # Errors
    /// [`StoreError::InUse`]. A folder that is missing or cannot be looked at is held by nobody.
    pub fn check_free(path: &Path) -> Result<(), StoreError> {
        let Ok(mut lock) = File::open(path.join(LOCK)) else { return Ok(()) };
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse { path: path.to_owned(), pid: holder(&mut lock) })
            }
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the database of the folder; see [`SqliteStore::open`].
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub fn store(&self, options: &Options) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self, options)
    }

    /// Opens the images of the folder; see [`Artifacts::open`].
    ///
    /// # Errors
    /// Those of [`Artifacts::open`].
    pub fn artifacts(&self, bytes_max: u64) -> Result<Artifacts, StoreError> {
        Artifacts::open(self, bytes_max)
    }
}

/// Makes the names of new files in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| StoreError::from_io(&error, folder))
}

fn create(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|error| match StoreError::from_io(&error, path) {
        StoreError::Failed { path, cause } => StoreError::CannotCreate { path, cause },
        other => other,
    })
}

fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Name of the lock file.
const LOCK: &str = "lock";

/// More than any process number has digits.
const PID_BYTES_MAX: u64 = 32;
