//! What can be wrong with the folder and the database: one sentence each, nothing changed.

use std::fs;

use model::Record;
use rusqlite::Connection;

use super::*;
use crate::{DataDir, Knowledge, Options, SqliteStore, StoreError};

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    DataDir::open(path)?.store(&Options::default())
}

#[test]
fn a_missing_folder_is_created_with_its_parents() {
    let folder = Folder::new();
    let deep = folder.path().join("a").join("b");
    let mut store = open(&deep).unwrap();
    store.commit(&[Record::Device(Box::new(device(1)))]).unwrap();
    assert!(deep.join("bellwether.db").is_file());
}

#[test]
fn a_second_opener_is_refused_by_name() {
    let folder = Folder::new();
    DataDir::check_free(folder.path()).unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let error = DataDir::open(folder.path()).unwrap_err();
    assert_eq!(DataDir::check_free(folder.path()).unwrap_err(), error);
    let pid = Some(std::process::id());
    assert_eq!(error, StoreError::InUse { path: folder.path().to_owned(), pid });
    let message = error.to_string();
    assert!(message.contains(&folder.path().display().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    // A store keeps the folder after the handle it was opened with is gone.
    let store = dir.store(&Options::default()).unwrap();
    drop(dir);
    assert!(DataDir::open(folder.path()).is_err());
    drop(store);
    DataDir::check_free(folder.path()).unwrap();
    DataDir::open(folder.path()).unwrap();
}

#[test]
fn a_file_is_no_folder() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = open(&path).unwrap_err();
        assert_eq!(error, StoreError::NotAFolder { path });
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
}

/// Makes a database, spoils it, and expects the error and the spoilt bytes to be there after.
fn check_refused(spoil: impl FnOnce(&Path), is_expected: impl FnOnce(&StoreError) -> bool) {
    let folder = Folder::new();
    open(folder.path()).unwrap().commit(&running()).unwrap();
    let database = folder.path().join("bellwether.db");
    spoil(&database);
    let before = fs::read(&database).unwrap();
    let error = open(folder.path()).and_then(|mut store| store.load()).unwrap_err();
    assert!(is_expected(&error), "{error}");
    let message = error.to_string();
    assert!(message.contains("bellwether.db") && message.contains(';') || message.contains('('));
    assert_eq!(fs::read(&database).unwrap(), before, "{error}");
}

#[test]
fn a_database_that_is_not_as_it_should_be_is_refused_untouched() {
    let sql = |text: &'static str| {
        move |database: &Path| {
            let connection = Connection::open(database).unwrap();
            connection.execute_batch(text).unwrap();
        }
    };
    check_refused(sql("PRAGMA user_version = 99"), |error| {
        matches!(error, StoreError::NewerSchema { found: 99, known: 3, .. })
    });
    check_refused(sql("PRAGMA application_id = 7"), |error| {
        matches!(error, StoreError::Foreign { .. })
    });
    check_refused(
        sql("UPDATE devices SET doc = '{\"id\": 1}' WHERE id = 1"),
        |error| matches!(error, StoreError::Damaged { detail, .. } if detail.contains("endpoint")),
    );
    check_refused(
        |database| fs::write(database, vec![0x5a; 8_192]).unwrap(),
        |error| matches!(error, StoreError::Damaged { .. }),
    );
    check_refused(
        |database| {
            // Keep the header, spoil every page behind it.
            let mut bytes = fs::read(database).unwrap();
            bytes[4_096..].fill(0xff);
            fs::write(database, bytes).unwrap();
        },
        |error| matches!(error, StoreError::Damaged { .. }),
    );
}

#[test]
fn a_database_that_cannot_be_written_is_refused_at_once() {
    let folder = Folder::new();
    open(folder.path()).unwrap().commit(&running()).unwrap();
    let database = folder.path().join("bellwether.db");
    let writable = fs::metadata(&database).unwrap().permissions();
    let mut read_only = writable.clone();
    read_only.set_readonly(true);
    fs::set_permissions(&database, read_only).unwrap();
    // A superuser may write all the same.
    let may_write = fs::OpenOptions::new().write(true).open(&database).is_ok();
    let opened = open(folder.path()).err();
    fs::set_permissions(&database, writable).unwrap();
    let refused = (!may_write).then_some(StoreError::ReadOnly { path: database });
    assert_eq!(opened, refused);
    open(folder.path()).unwrap();
}

#[test]
fn a_cut_database_is_noticed_by_the_audit() {
    let folder = Folder::new();
    open(folder.path()).unwrap().commit(&running()).unwrap();
    let database = folder.path().join("bellwether.db");
    let length = fs::metadata(&database).unwrap().len();
    fs::OpenOptions::new().write(true).open(&database).unwrap().set_len(length - 4_096).unwrap();
    let error = open(folder.path()).and_then(|mut store| store.audit()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}
