//! Images: kept whole or not at all.

use std::fs;

use model::Sha256;

use super::*;
use crate::{ArtifactError, Artifacts, DataDir};

fn digest_of_test() -> Sha256 {
    // SHA-256 of the four bytes `test`.
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        .to_owned()
        .try_into()
        .unwrap()
}

fn files(folder: &Folder) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    fs::read_dir(folder.path().join("artifacts"))
        .unwrap()
        .map(|entry| name(entry.unwrap()))
        .collect()
}

fn open(folder: &Folder) -> Artifacts {
    DataDir::open(folder.path()).unwrap().artifacts(100).unwrap()
}

#[test]
fn an_image_comes_back_after_a_restart() {
    let folder = Folder::new();
    let sha256 = digest_of_test();
    {
        let artifacts = open(&folder);
        assert!(!artifacts.exists(sha256));
        assert_eq!(artifacts.read(sha256), Err(ArtifactError::Missing { sha256 }));
        artifacts.put(b"test", sha256).unwrap();
        artifacts.put(b"test", sha256).unwrap();
    }
    let artifacts = open(&folder);
    assert_eq!(artifacts.read(sha256).unwrap(), b"test");
    assert!(artifacts.exists(sha256));
    assert_eq!(artifacts.length(sha256), Some(4));
    assert_eq!(files(&folder), [sha256.to_string()]);
}

#[test]
fn what_is_refused_leaves_nothing() {
    let folder = Folder::new();
    let artifacts = open(&folder);
    let expected = digest_of_test();
    let error = artifacts.put(b"toast", expected).unwrap_err();
    assert!(
        matches!(error, ArtifactError::WrongDigest { expected: e, actual } if e == expected && actual != e)
    );
    let error = artifacts.put(&[0; 101], expected).unwrap_err();
    assert_eq!(error, ArtifactError::TooLarge { bytes: 101, bytes_max: 100 });
    assert!(files(&folder).is_empty());
}

/// I22: bytes served are bytes signed.
#[test]
fn a_damaged_image_is_not_served_and_can_be_replaced() {
    let folder = Folder::new();
    let sha256 = digest_of_test();
    let artifacts = open(&folder);
    for damage in [b"tent".to_vec(), Vec::new(), vec![7; 1_000]] {
        artifacts.put(b"test", sha256).unwrap();
        fs::write(folder.path().join("artifacts").join(sha256.to_string()), damage).unwrap();
        let error = artifacts.read(sha256).unwrap_err();
        assert!(matches!(error, ArtifactError::Damaged { .. }), "{error}");
        artifacts.put(b"test", sha256).unwrap();
        assert_eq!(artifacts.read(sha256).unwrap(), b"test");
    }
}

#[test]
fn interrupted_uploads_are_removed_at_the_start() {
    let folder = Folder::new();
    drop(open(&folder));
    fs::write(folder.path().join("artifacts").join("abc.0.part"), "half").unwrap();
    drop(open(&folder));
    assert!(files(&folder).is_empty());
}

#[test]
fn uploads_of_the_same_image_at_once_all_succeed() {
    let folder = Folder::new();
    let artifacts = open(&folder);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| artifacts.put(b"test", digest_of_test()).unwrap());
        }
    });
    assert_eq!(files(&folder), [digest_of_test().to_string()]);
}
