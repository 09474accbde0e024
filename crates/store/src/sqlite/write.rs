//! From records to rows.

use std::path::Path;

use model::{
    Assignment, Decision, Device, Grant, Intent, Look, Operation, Outcome, Record, Registration,
    Release, Scalar, Signal, Time, Verdict,
};
use rusqlite::{Connection, Params};
use serde::Serialize;

use crate::StoreError;

/// Why a record was not written.
pub(super) enum WriteError {
    Sqlite(rusqlite::Error),
    Unstorable(String),
}

impl WriteError {
    pub(super) fn into_store_error(self, record: &Record, path: &Path) -> StoreError {
        match self {
            Self::Unstorable(why) => {
                StoreError::Unstorable { what: format!("{}: {why}", name(record)) }
            }
            Self::Sqlite(error) => match StoreError::from_sqlite(&error, path) {
                StoreError::Conflict { what } => {
                    StoreError::Conflict { what: format!("{}: {what}", name(record)) }
                }
                other => other,
            },
        }
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Writes one record; rows of the history take the next position.
pub(super) fn write(
    connection: &Connection,
    record: &Record,
    position: &mut i64,
) -> Result<(), WriteError> {
    match record {
        Record::Device(device) => write_device(connection, device),
        Record::Registration(registration) => write_registration(connection, registration),
        Record::Deregistration { device } => {
            run(connection, "DELETE FROM registrations WHERE device = ?1", [number(device.0)?])
        }
        Record::Release(release) => write_release(connection, release),
        Record::Operation(operation) => write_operation(connection, operation),
        Record::Assignment(assignment) => write_assignment(connection, assignment),
        Record::Grant(grant) => write_grant(connection, grant, take(position)),
        Record::Intent(intent) => write_intent(connection, intent, take(position)),
        Record::Outcome(outcome) => write_outcome(connection, outcome, take(position)),
        Record::Decision(decision) => write_decision(connection, decision, take(position)),
        Record::Look(look) => write_look(connection, look),
        Record::Signal(signal) => write_signal(connection, signal),
        Record::Accepted { key, operation, at } => run(
            connection,
            "INSERT INTO accepted (key, operation, at_us) VALUES (?1, ?2, ?3)",
            (key, number(operation.0)?, micros(*at)),
        ),
    }
}

/// The first position that no row of the history has.
pub(super) fn next_position(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT 1 + max(
            (SELECT coalesce(max(position), 0) FROM grants),
            (SELECT coalesce(max(position), 0) FROM intents),
            (SELECT coalesce(max(position), 0) FROM outcomes),
            (SELECT coalesce(max(position), 0) FROM decisions))",
        [],
        |row| row.get(0),
    )
}

/// An unsigned number as SQLite's signed one, for numbers counted from 1.
pub(super) fn number(value: u64) -> Result<i64, WriteError> {
    i64::try_from(value)
        .map_err(|_| WriteError::Unstorable(format!("the number {value} is larger than 2^63 - 1")))
}

fn write_device(connection: &Connection, device: &Device) -> Result<(), WriteError> {
    let finite = |value: &Scalar| !matches!(value, Scalar::Float(float) if !float.is_finite());
    // JSON has no form for infinities and not-a-number, and a row that cannot be read would keep
    // the server from starting: such a value is forgotten, like one that was never read (I18).
    let doc = if device.datamodel.values.values().all(|observed| finite(&observed.value)) {
        json(device)?
    } else {
        let mut device = device.clone();
        device.datamodel.values.retain(|_, observed| finite(&observed.value));
        json(&device)?
    };
    run(
        connection,
        "INSERT INTO devices (id, endpoint, doc) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET endpoint = excluded.endpoint, doc = excluded.doc",
        (number(device.id.0)?, device.endpoint.as_str(), doc),
    )
}

fn write_registration(connection: &Connection, row: &Registration) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO registrations (device, driver, address, location, details, at_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (device) DO UPDATE SET driver = excluded.driver, address = excluded.address,
            location = excluded.location, details = excluded.details, at_us = excluded.at_us",
        (
            number(row.device.0)?,
            &row.driver,
            &row.address,
            &row.location,
            &row.details,
            micros(row.at),
        ),
    )
}

fn write_release(connection: &Connection, release: &Release) -> Result<(), WriteError> {
    let unwritable = release
        .manifest
        .write
        .iter()
        .find(|write| matches!(write.value, Scalar::Float(float) if !float.is_finite()));
    if let Some(write) = unwritable {
        return Err(WriteError::Unstorable(format!(
            "the value for {} is not a finite number; give a finite one",
            write.path
        )));
    }
    run(
        connection,
        "INSERT INTO releases (id, doc) VALUES (?1, ?2)",
        (number(release.id.0)?, json(release)?),
    )
}

fn write_operation(connection: &Connection, operation: &Operation) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO operations (id, release, state, last_decision, doc)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET release = excluded.release, state = excluded.state,
            last_decision = excluded.last_decision, doc = excluded.doc",
        (
            number(operation.id.0)?,
            number(operation.release.0)?,
            operation.state.to_string(),
            number(operation.last_decision)?,
            json(operation)?,
        ),
    )
}

fn write_assignment(connection: &Connection, assignment: &Assignment) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO assignments (operation, device, element, attempt, state, in_flight, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (operation, device) DO UPDATE SET element = excluded.element,
            attempt = excluded.attempt, state = excluded.state, in_flight = excluded.in_flight,
            doc = excluded.doc",
        (
            number(assignment.operation.0)?,
            number(assignment.device.0)?,
            number(assignment.element)?,
            assignment.attempt,
            assignment.state.as_str(),
            assignment.state.is_in_flight(),
            json(assignment)?,
        ),
    )
}

fn write_grant(connection: &Connection, grant: &Grant, position: i64) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO grants (position, operation, element, size, at_us, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            position,
            number(grant.operation.0)?,
            number(grant.element)?,
            number(grant.devices.len() as u64)?,
            micros(grant.at),
            json(grant)?,
        ),
    )
}

fn write_intent(connection: &Connection, intent: &Intent, position: i64) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO intents (position, operation, device, attempt, at_us, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            position,
            number(intent.operation.0)?,
            number(intent.device.0)?,
            intent.attempt,
            micros(intent.at),
            json(intent)?,
        ),
    )
}

fn write_outcome(
    connection: &Connection,
    outcome: &Outcome,
    position: i64,
) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO outcomes (position, operation, device, attempt, state, at_us, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            position,
            number(outcome.operation.0)?,
            number(outcome.device.0)?,
            outcome.attempt,
            outcome.state.as_str(),
            micros(outcome.at),
            json(outcome)?,
        ),
    )
}

fn write_look(connection: &Connection, look: &Look) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO looks (operation, number, at_us, doc) VALUES (?1, ?2, ?3, ?4)",
        (number(look.operation.0)?, number(look.number)?, micros(look.at), json(look)?),
    )
}

fn write_signal(connection: &Connection, signal: &Signal) -> Result<(), WriteError> {
    run(
        connection,
        "INSERT INTO signals (operation, device, at_us, doc) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (operation, device) DO NOTHING",
        (number(signal.operation.0)?, number(signal.device.0)?, micros(signal.at), json(signal)?),
    )
}

fn write_decision(
    connection: &Connection,
    decision: &Decision,
    position: i64,
) -> Result<(), WriteError> {
    let speed = match decision.verdict {
        Verdict::Start { speed }
        | Verdict::Continue { speed, .. }
        | Verdict::Allow { speed, .. } => Some(speed),
        _ => None,
    };
    run(
        connection,
        "INSERT INTO decisions (position, operation, seq, verdict, speed, at_us, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            position,
            number(decision.operation.0)?,
            number(decision.seq)?,
            decision.verdict.as_str(),
            speed,
            micros(decision.at),
            json(decision)?,
        ),
    )
}

fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<(), WriteError> {
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

fn json(record: &impl Serialize) -> Result<String, WriteError> {
    serde_json::to_string(record).map_err(|error| WriteError::Unstorable(error.to_string()))
}

/// Times beyond 2^63 microseconds mean "never" and only order rows here; the exact value is in
/// the document.
fn micros(time: Time) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn take(position: &mut i64) -> i64 {
    let taken = *position;
    *position += 1;
    taken
}

fn name(record: &Record) -> String {
    match record {
        Record::Device(device) => format!("{} ({})", device.id, device.endpoint),
        Record::Registration(row) => format!("registration of {}", row.device),
        Record::Deregistration { device } => format!("deregistration of {device}"),
        Record::Release(release) => release.id.to_string(),
        Record::Operation(operation) => operation.id.to_string(),
        Record::Grant(grant) => format!("element {} of {}", grant.element, grant.operation),
        Record::Assignment(row) => format!("{} in {}", row.device, row.operation),
        Record::Intent(row) => format!("intent on {} in {}", row.device, row.operation),
        Record::Outcome(row) => format!("outcome of {} in {}", row.device, row.operation),
        Record::Decision(row) => format!("decision {} of {}", row.seq, row.operation),
        Record::Signal(row) => format!("signal on {} in {}", row.device, row.operation),
        Record::Look(row) => format!("look {} of {}", row.number, row.operation),
        Record::Accepted { key, .. } => format!("idempotency key `{key}`"),
    }
}
