//! The tables and their versions.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::Options;
use crate::StoreError;

/// Checks that the database is ours and of a known version, sets it up and brings it up to date.
/// Whatever is refused is refused before the first write.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    options: &Options,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, path);
    let found = version(connection, path)?;
    configure(connection, options).map_err(failed)?;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > found {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            transaction.execute_batch(migration).map_err(failed)?;
            transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
            transaction.pragma_update(None, "user_version", number).map_err(failed)?;
            transaction.commit().map_err(failed)?;
        }
    }
    Ok(())
}

/// The version of the schema, 0 for an empty file.
fn version(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, path);
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get(0));
    let application: u32 = number("application_id").map_err(failed)?;
    let found: u32 = number("user_version").map_err(failed)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let is_new = tables == 0 && application == 0 && found == 0;
    if !is_new && application != APPLICATION {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if found > KNOWN {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: KNOWN });
    }
    Ok(found)
}

fn configure(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    // A database in memory answers `memory`, which is fine; a file answers `wal`.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    let journal = i64::try_from(options.journal_bytes_max).unwrap_or(i64::MAX);
    connection.pragma_update_and_check(None, "journal_size_limit", journal, |_| Ok(()))?;
    if let Some(bytes) = options.bytes_max {
        let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = bytes / u64::from(page.max(1));
        let pages = i64::try_from(pages.max(1)).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// Marks the file as ours: "Bell" in ASCII.
const APPLICATION: u32 = 0x4265_6c6c;

/// Every change of the schema since the first, oldest first. Released ones are never edited.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/0001_knowledge.sql"),
    include_str!("../../migrations/0002_looks.sql"),
    include_str!("../../migrations/0003_signals.sql"),
];

/// The newest version.
#[expect(clippy::cast_possible_truncation, reason = "a handful of migrations")]
const KNOWN: u32 = MIGRATIONS.len() as u32;

/// More than there are different statements, so that each is parsed once.
const STATEMENTS_MAX: usize = 64;
