//! Images of releases as files named by their digest.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use model::Sha256;
use sha2::Digest;

use crate::data_dir::sync_folder;
use crate::{DataDir, StoreError};

/// The images in `DIR/artifacts`, each in a file named by its SHA-256 digest. The digest is
/// checked when an image is stored and when it is read (I22).
#[derive(Debug)]
pub struct Artifacts {
    folder: PathBuf,
    bytes_max: u64,
    // Keeps the folder locked as long as it is written to.
    _dir: DataDir,
    parts: AtomicU64,
}

impl Artifacts {
    /// Largest image accepted unless the operator says otherwise. An image is read into memory
    /// as a whole, so this is also what serving one costs.
    pub const BYTES_MAX_DEFAULT: u64 = 64 << 20;

    /// Opens the images of a data folder and removes what an interrupted upload left behind.
    ///
    /// # Errors
    /// What is wrong with the folder.
    pub fn open(dir: &DataDir, bytes_max: u64) -> Result<Self, StoreError> {
        let folder = dir.path().join("artifacts");
        fs::create_dir_all(&folder).map_err(|error| StoreError::from_io(&error, &folder))?;
        let failed = |error: io::Error| StoreError::from_io(&error, &folder);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == PART) {
                fs::remove_file(&path).map_err(|error| StoreError::from_io(&error, &path))?;
            }
        }
        Ok(Self { folder, bytes_max, _dir: dir.clone(), parts: AtomicU64::new(0) })
    }

    /// Stores an image durably; an image that is there already is left alone when it is whole and
    /// replaced when it is not.
    ///
    /// # Errors
    /// [`ArtifactError::WrongDigest`], [`ArtifactError::TooLarge`], or what is wrong with the
    /// folder. No file is left behind then.
    pub fn put(&self, bytes: &[u8], expected: Sha256) -> Result<(), ArtifactError> {
        let length = bytes.len() as u64;
        if length > self.bytes_max {
            return Err(ArtifactError::TooLarge { bytes: length, bytes_max: self.bytes_max });
        }
        let actual = digest(bytes);
        if actual != expected {
            return Err(ArtifactError::WrongDigest { expected, actual });
        }
        if self.read(expected).is_ok() {
            return Ok(());
        }
        // Uploads of the same image may run at the same time; each writes a file of its own.
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let part = self.folder.join(format!("{expected}.{number}.{PART}"));
        let written = write_durably(&part, bytes)
            .and_then(|()| fs::rename(&part, self.path(expected)))
            .map_err(|error| StoreError::from_io(&error, &part));
        if let Err(error) = written {
            // What matters is the first error; a leftover is removed at the next start.
            let _ = fs::remove_file(&part);
            return Err(error.into());
        }
        sync_folder(&self.folder)?;
        Ok(())
    }

    /// Reads an image as a whole and checks it.
    ///
    /// # Errors
    /// [`ArtifactError::Missing`], [`ArtifactError::Damaged`], or what is wrong with the folder.
    pub fn read(&self, sha256: Sha256) -> Result<Vec<u8>, ArtifactError> {
        let path = self.path(sha256);
        let bytes = match self.read_bounded(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ArtifactError::Missing { sha256 });
            }
            Err(error) => return Err(StoreError::from_io(&error, &path).into()),
        };
        let actual = digest(&bytes);
        if actual == sha256 {
            Ok(bytes)
        } else {
            Err(ArtifactError::Damaged { expected: sha256, actual, path })
        }
    }

    /// Whether a file of that digest is there; it is not read.
    #[must_use]
    pub fn exists(&self, sha256: Sha256) -> bool {
        self.path(sha256).is_file()
    }

    /// Length of an image in bytes; none when it is not there.
    #[must_use]
    pub fn length(&self, sha256: Sha256) -> Option<u64> {
        fs::metadata(self.path(sha256)).ok().filter(fs::Metadata::is_file).map(|found| found.len())
    }

    /// Largest image accepted, in bytes.
    #[must_use]
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn path(&self, sha256: Sha256) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    /// Reads at most one byte more than allowed: a file that grew is damaged, not a reason to
    /// fill the memory.
    fn read_bounded(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len().min(self.bytes_max);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(self.bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Why an image was not stored or not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// The bytes are not those that were announced.
    #[error(
        "the image has the digest {actual}, not {expected}; upload the file that the manifest describes, or correct the manifest"
    )]
    WrongDigest {
        /// What was announced.
        expected: Sha256,
        /// What the bytes have.
        actual: Sha256,
    },
    /// The image is larger than allowed.
    #[error(
        "the image has {bytes} bytes and at most {bytes_max} are allowed; raise the limit for images in the settings"
    )]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// No such image.
    #[error("the image {sha256} is not stored; upload it")]
    Missing {
        /// Its digest.
        sha256: Sha256,
    },
    /// The stored bytes changed since they were stored.
    #[error(
        "the stored image {} is damaged (its digest is {actual}); upload the image again", path.display()
    )]
    Damaged {
        /// The digest it was stored under.
        expected: Sha256,
        /// The digest it has.
        actual: Sha256,
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn digest(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Extension of files that are being written.
const PART: &str = "part";
