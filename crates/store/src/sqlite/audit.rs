//! Invariants checked on what is stored.

use std::path::Path;

use model::{DeviceId, OperationId};
use rusqlite::Connection;

use crate::{Invariant, StoreError, Violation};

/// Runs every check on one state of the database.
pub(super) fn audit(
    connection: &mut Connection,
    path: &Path,
) -> Result<Vec<Violation>, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(&error, path);
    let transaction = connection.transaction().map_err(failed)?;
    let health: String =
        transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if health != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), detail: health });
    }
    let mut violations = Vec::new();
    for (invariant, sql) in CHECKS {
        let found = run(&transaction, invariant, sql).map_err(failed)?;
        violations.extend(found);
    }
    transaction.finish().map_err(failed)?;
    Ok(violations)
}

/// Every check answers rows of operation, device (either may be null) and what was found.
fn run(
    connection: &Connection,
    invariant: Invariant,
    sql: &str,
) -> rusqlite::Result<Vec<Violation>> {
    let mut statement = connection.prepare(sql)?;
    statement
        .query_map([], |row| {
            let operation: Option<i64> = row.get(0)?;
            let device: Option<i64> = row.get(1)?;
            Ok(Violation {
                invariant,
                operation: operation.map(|id| OperationId(id.unsigned_abs())),
                device: device.map(|id| DeviceId(id.unsigned_abs())),
                what: row.get(2)?,
            })
        })?
        .collect()
}

const CHECKS: [(Invariant, &str); 14] = [
    (
        Invariant::OneChangeInFlight,
        "SELECT NULL, device, 'is being changed by ' || count(*) || ' operations at once'
         FROM assignments WHERE in_flight = 1 GROUP BY device HAVING count(*) > 1",
    ),
    (
        Invariant::IntentBeforeEffect,
        "SELECT operation, device, 'was sent attempt ' || attempt || ' without an intent'
         FROM assignments AS a WHERE state = 'sent' AND NOT EXISTS (
            SELECT 1 FROM intents AS i WHERE i.operation = a.operation
                AND i.device = a.device AND i.attempt = a.attempt)",
    ),
    (
        Invariant::DenseDecisions,
        "SELECT operation, NULL, 'has ' || count(*) || ' decisions numbered ' || min(seq)
            || ' to ' || max(seq)
         FROM decisions GROUP BY operation HAVING min(seq) <> 1 OR max(seq) <> count(*)",
    ),
    (
        Invariant::DenseDecisions,
        "SELECT id, NULL, 'says its last decision is ' || last_decision || ', stored is '
            || (SELECT coalesce(max(seq), 0) FROM decisions WHERE operation = id)
         FROM operations WHERE last_decision <>
            (SELECT coalesce(max(seq), 0) FROM decisions WHERE operation = id)",
    ),
    (
        Invariant::DenseDecisions,
        "SELECT operation, NULL, 'decision ' || seq || ' was committed before decision ' || prior
         FROM (SELECT operation, seq, position,
                lag(seq) OVER numbered AS prior, lag(position) OVER numbered AS prior_position
            FROM decisions WINDOW numbered AS (PARTITION BY operation ORDER BY seq))
         WHERE position < prior_position",
    ),
    (
        Invariant::ExposureCap,
        "SELECT operation, NULL, 'element ' || element || ' has ' || size || ' devices, '
            || coalesce('the decision before allows ' || allowed, 'no decision allows any')
         FROM (SELECT g.operation, g.element, g.size, (
                SELECT d.speed FROM decisions AS d
                WHERE d.operation = g.operation AND d.position < g.position
                    AND d.speed IS NOT NULL
                ORDER BY d.seq DESC LIMIT 1) AS allowed
            FROM grants AS g)
         WHERE allowed IS NULL OR size > allowed",
    ),
    (
        Invariant::ExposureCap,
        "SELECT operation, NULL, exposed || ' devices are in flight, the last decision allows '
            || coalesce(allowed, 'none')
         FROM (SELECT a.operation, count(*) AS exposed, (
                SELECT d.speed FROM decisions AS d
                WHERE d.operation = a.operation AND d.speed IS NOT NULL
                ORDER BY d.seq DESC LIMIT 1) AS allowed
            FROM assignments AS a WHERE a.in_flight = 1 GROUP BY a.operation)
         WHERE exposed > coalesce(allowed, 0)",
    ),
    (
        Invariant::ExposureCap,
        "SELECT operation, device, 'is in element ' || element || ' without a grant'
         FROM (SELECT operation, element, device FROM assignments
            EXCEPT
            SELECT g.operation, g.element, granted.value
            FROM grants AS g, json_each(g.doc, '$.devices') AS granted)",
    ),
    (
        Invariant::AbortIsFinal,
        "SELECT d.operation, NULL, 'was aborted by decision ' || d.seq || ' and is ' || o.state
         FROM decisions AS d JOIN operations AS o ON o.id = d.operation
         WHERE d.verdict = 'abort' AND o.state <> 'aborted'",
    ),
    (
        Invariant::AbortIsFinal,
        "SELECT d.operation, NULL, 'decision ' || later.seq || ' (' || later.verdict
            || ') follows the abort'
         FROM decisions AS d JOIN decisions AS later
            ON later.operation = d.operation AND later.seq > d.seq
         WHERE d.verdict = 'abort'",
    ),
    (
        Invariant::AbortIsFinal,
        "SELECT d.operation, NULL, 'element ' || g.element || ' was granted after the abort'
         FROM decisions AS d JOIN grants AS g
            ON g.operation = d.operation AND g.position > d.position
         WHERE d.verdict = 'abort'",
    ),
    (
        Invariant::AbortIsFinal,
        "SELECT i.operation, i.device, 'attempt ' || i.attempt || ' began after the abort'
         FROM decisions AS d JOIN intents AS i
            ON i.operation = d.operation AND i.position > d.position
         WHERE d.verdict = 'abort' AND NOT EXISTS (
            SELECT 1 FROM intents AS earlier
            WHERE earlier.operation = i.operation AND earlier.device = i.device
                AND earlier.attempt = i.attempt AND earlier.position < d.position)
         GROUP BY i.operation, i.device, i.attempt",
    ),
    (
        Invariant::Conservation,
        "SELECT operation, device, 'was granted and is in no state'
         FROM (SELECT g.operation, granted.value AS device
            FROM grants AS g, json_each(g.doc, '$.devices') AS granted
            EXCEPT
            SELECT operation, device FROM assignments)",
    ),
    (
        Invariant::Conservation,
        "SELECT operation, device, 'is ' || state || ' by its assignment and '
            || coalesce(proved, 'nothing') || ' by its last outcome'
         FROM (SELECT a.operation, a.device, a.state, (
                SELECT o.state FROM outcomes AS o
                WHERE o.operation = a.operation AND o.device = a.device
                ORDER BY o.position DESC LIMIT 1) AS proved
            FROM assignments AS a WHERE a.state IN ('succeeded', 'failed', 'silent'))
         WHERE proved IS NOT state",
    ),
];
