//! From rows to records.

use std::path::Path;

use model::{
    Decision, DeviceId, Grant, Intent, Look, OperationId, Outcome, Registration, Snapshot, Time,
};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use serde::de::DeserializeOwned;

use crate::{HistoryEntry, Order, Page, PageRequest, Selection, StoreError};

/// Reads everything needed to go on, as of one moment.
pub(super) fn snapshot(connection: &mut Connection, path: &Path) -> Result<Snapshot, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, path);
    let transaction = connection.transaction().map_err(failed)?;
    let snapshot = Snapshot {
        devices: documents(&transaction, path, "SELECT doc FROM devices ORDER BY id")?,
        registrations: registrations(&transaction).map_err(failed)?,
        releases: documents(&transaction, path, "SELECT doc FROM releases ORDER BY id")?,
        operations: documents(&transaction, path, "SELECT doc FROM operations ORDER BY id")?,
        assignments: documents(
            &transaction,
            path,
            "SELECT doc FROM assignments ORDER BY operation, device",
        )?,
        intents: documents(&transaction, path, INTENTS_IN_FLIGHT)?,
        looks: documents(&transaction, path, LOOKS_OF_OPEN)?,
        signals: documents(&transaction, path, SIGNALS_OF_OPEN)?,
        accepted: accepted(&transaction).map_err(failed)?,
    };
    transaction.finish().map_err(failed)?;
    Ok(snapshot)
}

pub(super) fn decisions(
    connection: &Connection,
    path: &Path,
    operation: OperationId,
    page: PageRequest,
) -> Result<Page<Decision>, StoreError> {
    let rows = Rows { select: "seq, doc FROM decisions", filter: "operation = ?1", key: "seq" };
    rows.page(connection, path, &[operation.0], page)
}

pub(super) fn looks(
    connection: &Connection,
    path: &Path,
    operation: OperationId,
    page: PageRequest,
) -> Result<Page<Look>, StoreError> {
    let rows = Rows { select: "number, doc FROM looks", filter: "operation = ?1", key: "number" };
    rows.page(connection, path, &[operation.0], page)
}

pub(super) fn grants(
    connection: &Connection,
    path: &Path,
    operation: OperationId,
    page: PageRequest,
) -> Result<Page<Grant>, StoreError> {
    let rows =
        Rows { select: "element, doc FROM grants", filter: "operation = ?1", key: "element" };
    rows.page(connection, path, &[operation.0], page)
}

pub(super) fn outcomes(
    connection: &Connection,
    path: &Path,
    of: Selection,
    page: PageRequest,
) -> Result<Page<Outcome>, StoreError> {
    selected("position, doc FROM outcomes", connection, path, of, page)
}

pub(super) fn intents(
    connection: &Connection,
    path: &Path,
    of: Selection,
    page: PageRequest,
) -> Result<Page<Intent>, StoreError> {
    selected("position, doc FROM intents", connection, path, of, page)
}

/// Merges the two kinds by reading a page of each; what is left over of either comes again with
/// the next page, since both are cut at the same position.
pub(super) fn device_history(
    connection: &Connection,
    path: &Path,
    device: DeviceId,
    page: PageRequest,
) -> Result<Page<HistoryEntry>, StoreError> {
    let rows = |select| Rows { select, filter: "device = ?1", key: "position" };
    let parameters = [device.0];
    let intents: Vec<(u64, Intent)> =
        rows("position, doc FROM intents").read(connection, path, &parameters, page)?;
    let outcomes: Vec<(u64, Outcome)> =
        rows("position, doc FROM outcomes").read(connection, path, &parameters, page)?;
    let mut merged: Vec<(u64, HistoryEntry)> = intents
        .into_iter()
        .map(|(position, intent)| (position, HistoryEntry::Intent(intent)))
        .chain(outcomes.into_iter().map(|(at, outcome)| (at, HistoryEntry::Outcome(outcome))))
        .collect();
    merged.sort_by_key(|(position, _)| *position);
    if page.order == Order::NewestFirst {
        merged.reverse();
    }
    Ok(cut(merged, page))
}

fn selected<T: DeserializeOwned>(
    select: &'static str,
    connection: &Connection,
    path: &Path,
    of: Selection,
    page: PageRequest,
) -> Result<Page<T>, StoreError> {
    let (filter, parameters) = match of {
        Selection::Operation(operation) => ("operation = ?1", vec![operation.0]),
        Selection::Device(device) => ("device = ?1", vec![device.0]),
        Selection::Both(operation, device) => {
            ("operation = ?1 AND device = ?2", vec![operation.0, device.0])
        }
    };
    Rows { select, filter, key: "position" }.page(connection, path, &parameters, page)
}

/// A question for rows in the order of a key.
struct Rows {
    /// Key and document, and the table.
    select: &'static str,
    filter: &'static str,
    key: &'static str,
}

impl Rows {
    fn page<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        path: &Path,
        parameters: &[u64],
        page: PageRequest,
    ) -> Result<Page<T>, StoreError> {
        self.read(connection, path, parameters, page).map(|rows| cut(rows, page))
    }

    /// Reads one row more than the page holds, which tells whether another page follows.
    fn read<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        path: &Path,
        parameters: &[u64],
        page: PageRequest,
    ) -> Result<Vec<(u64, T)>, StoreError> {
        let Self { select, filter, key } = self;
        let (comparison, direction, first) = match page.order {
            Order::OldestFirst => (">", "ASC", 0),
            Order::NewestFirst => ("<", "DESC", u64::MAX),
        };
        let (after, limit) = (parameters.len() + 1, parameters.len() + 2);
        let sql = format!(
            "SELECT {select} WHERE {filter} AND {key} {comparison} ?{after}
             ORDER BY {key} {direction} LIMIT ?{limit}"
        );
        let bound = page.after.unwrap_or(first);
        let values = parameters
            .iter()
            .copied()
            .chain([bound, items_max(page) as u64 + 1])
            .map(|value| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
        let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, path);
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let key: i64 = row.get(0).map_err(failed)?;
            found.push((key.unsigned_abs(), document(row, 1, path)?));
        }
        Ok(found)
    }
}

fn cut<T>(mut rows: Vec<(u64, T)>, page: PageRequest) -> Page<T> {
    let limit = items_max(page);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(key, _)| *key);
    Page { items: rows.into_iter().map(|(_, item)| item).collect(), next }
}

fn items_max(page: PageRequest) -> usize {
    page.limit.clamp(1, PageRequest::LIMIT_MAX) as usize
}

fn documents<T: DeserializeOwned>(
    connection: &Connection,
    path: &Path,
    sql: &str,
) -> Result<Vec<T>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, path);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(document(row, 0, path)?);
    }
    Ok(found)
}

fn document<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    path: &Path,
) -> Result<T, StoreError> {
    let damaged = |detail: String| StoreError::Damaged { path: path.to_owned(), detail };
    let text = row
        .get_ref(column)
        .map_err(|error| StoreError::from_sqlite(&error, path))?
        .as_str()
        .map_err(|error| damaged(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| damaged(format!("{error} in `{}`", start_of(text))))
}

/// Enough of a document to find it by.
fn start_of(text: &str) -> &str {
    text.char_indices().nth(EXCERPT_CHARS).map_or(text, |(end, _)| &text[..end])
}

fn registrations(connection: &Connection) -> rusqlite::Result<Vec<Registration>> {
    let mut statement = connection.prepare_cached(
        "SELECT device, driver, address, location, details, at_us FROM registrations
         ORDER BY device",
    )?;
    statement
        .query_map([], |row| {
            Ok(Registration {
                device: DeviceId(unsigned(row, 0)?),
                driver: row.get(1)?,
                address: row.get(2)?,
                location: row.get(3)?,
                details: row.get(4)?,
                at: Time::from_micros(unsigned(row, 5)?),
            })
        })?
        .collect()
}

fn accepted(connection: &Connection) -> rusqlite::Result<Vec<(String, OperationId)>> {
    let mut statement =
        connection.prepare_cached("SELECT key, operation FROM accepted ORDER BY key")?;
    statement.query_map([], |row| Ok((row.get(0)?, OperationId(unsigned(row, 1)?))))?.collect()
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

const INTENTS_IN_FLIGHT: &str = "SELECT intents.doc FROM assignments
    JOIN intents ON intents.operation = assignments.operation
        AND intents.device = assignments.device AND intents.attempt = assignments.attempt
    WHERE assignments.in_flight = 1 ORDER BY intents.position";

/// Looks at operations that go on; those of ended ones are read when they are asked for.
const LOOKS_OF_OPEN: &str = "SELECT looks.doc FROM looks
     JOIN operations ON operations.id = looks.operation
     WHERE operations.state NOT IN ('aborted', 'finished')
     ORDER BY looks.operation, looks.number";

/// Signals that operations count which go on.
const SIGNALS_OF_OPEN: &str = "SELECT signals.doc FROM signals
     JOIN operations ON operations.id = signals.operation
     WHERE operations.state NOT IN ('aborted', 'finished')
     ORDER BY signals.operation, signals.device";

/// Characters of a damaged document that are shown.
const EXCERPT_CHARS: usize = 60;
