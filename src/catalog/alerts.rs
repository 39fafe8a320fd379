//! Alerts: what somebody must know, from the moment it is so until it is no more.
//!
//! One alert of a kind stands for a subject at a time. Each change has its custody entry on `alert:<id>`;
//! its place in the log is given back, for it names the change.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value, json};

use super::dockings::By;
use crate::base::clock::to_ms;
use crate::base::segment::number_key;
use crate::base::{Error, Kind, Result};
use crate::custody::log;

/// An alert's row. Times are milliseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// The word of its kind.
    pub kind: String,
    /// What it is about: `recording:<id>`, `volume:<name>`.
    pub subject: String,
    /// `info`, `warning`, `critical`.
    pub severity: String,
    /// `open`, `acknowledged`, `resolved`.
    pub state: String,
    /// How often it was raised to more people.
    pub level: u32,
    /// What is so, in English.
    pub message: String,
    /// Facts beside it.
    pub details: Map<String, Value>,
    /// Whose footage, recorder or case it is: a number of the officers' register.
    pub officer: Option<i64>,
    /// Whose unit it is.
    pub unit: Option<i64>,
    /// Since when it stands.
    pub opened_at: i64,
    /// Its last change.
    pub updated_at: i64,
    /// When somebody took note of it.
    pub acknowledged_at: Option<i64>,
    /// Who did.
    pub acknowledged_by: Option<String>,
    /// What they wrote.
    pub note: Option<String>,
    /// When it was no more.
    pub resolved_at: Option<i64>,
    /// Why it is no more.
    pub resolution: Option<String>,
}

/// What an alert says; the rest is its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<'a> {
    /// The word of its kind.
    pub kind: &'a str,
    /// What it is about.
    pub subject: &'a str,
    /// `info`, `warning`, `critical`.
    pub severity: &'a str,
    /// What is so, in English.
    pub message: &'a str,
    /// Facts beside it.
    pub details: &'a Map<String, Value>,
    /// Whose it is.
    pub officer: Option<i64>,
    /// Whose unit it is.
    pub unit: Option<i64>,
}

const COLUMNS: &str = "id, kind, subject, severity, state, level, message, details, officer, unit, opened_at,
    updated_at, acknowledged_at, acknowledged_by, note, resolved_at, resolution";

fn alert(r: &Row<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        id: r.get(0)?,
        kind: r.get(1)?,
        subject: r.get(2)?,
        severity: r.get(3)?,
        state: r.get(4)?,
        level: u32::try_from(r.get::<_, i64>(5)?).unwrap_or(0),
        message: r.get(6)?,
        details: serde_json::from_str(&r.get::<_, String>(7)?).unwrap_or_default(),
        officer: r.get(8)?,
        unit: r.get(9)?,
        opened_at: r.get(10)?,
        updated_at: r.get(11)?,
        acknowledged_at: r.get(12)?,
        acknowledged_by: r.get(13)?,
        note: r.get(14)?,
        resolved_at: r.get(15)?,
        resolution: r.get(16)?,
    })
}

fn object(id: i64) -> String {
    format!("alert:{id}")
}

/// The alert with a number.
///
/// # Errors
/// [`Kind::NotFound`] where there is none.
pub fn get(db: &Connection, id: i64) -> Result<Alert> {
    let sql = format!("SELECT {COLUMNS} FROM alert WHERE id = ?1");
    db.prepare_cached(&sql)?.query_row([id], alert).optional()?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no alert {id}"))
            .next("`docket alerts list --all` shows every alert")
    })
}

/// The alert of a kind that stands for a subject.
pub fn standing_for(db: &Connection, kind: &str, subject: &str) -> Result<Option<Alert>> {
    let sql = format!("SELECT {COLUMNS} FROM alert WHERE kind = ?1 AND subject = ?2 AND state <> 'resolved'");
    Ok(db.prepare_cached(&sql)?.query_row([kind, subject], alert).optional()?)
}

/// All alerts of a kind that stand.
pub fn standing(db: &Connection, kind: &str) -> Result<Vec<Alert>> {
    let sql = format!("SELECT {COLUMNS} FROM alert WHERE kind = ?1 AND state <> 'resolved' ORDER BY id");
    Ok(db.prepare_cached(&sql)?.query_map([kind], alert)?.collect::<rusqlite::Result<_>>()?)
}

/// What alerts of a kind stand about.
pub fn subjects_of(db: &Connection, kind: &str) -> Result<Vec<String>> {
    let sql = "SELECT subject FROM alert WHERE kind = ?1 AND state <> 'resolved'";
    Ok(db.prepare_cached(sql)?.query_map([kind], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Kinds of the alerts that stand about a subject.
pub fn kinds_about(db: &Connection, subject: &str) -> Result<Vec<String>> {
    let sql = "SELECT kind FROM alert WHERE subject = ?1 AND state <> 'resolved'";
    Ok(db.prepare_cached(sql)?.query_map([subject], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Whether an alert of a kind was opened for a subject since a moment.
pub fn was_opened_since(db: &Connection, kind: &str, subject: &str, since: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM alert WHERE subject = ?2 AND kind = ?1 AND opened_at >= ?3";
    Ok(db.prepare_cached(sql)?.exists(params![kind, subject, since])?)
}

/// Alerts, the newest first: those that stand, or all.
pub fn list(db: &Connection, all: bool) -> Result<Vec<Alert>> {
    let rule = if all { "" } else { "WHERE state <> 'resolved'" };
    let sql = format!("SELECT {COLUMNS} FROM alert {rule} ORDER BY id DESC");
    Ok(db.prepare(&sql)?.query_map([], alert)?.collect::<rusqlite::Result<_>>()?)
}

/// How many alerts are open and acknowledged, and how many of both are critical.
pub fn counts(db: &Connection) -> Result<(u64, u64, u64)> {
    let sql = "SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'acknowledged'),
        count(*) FILTER (WHERE severity = 'critical') FROM alert WHERE state <> 'resolved'";
    let count = |r: &Row<'_>, i| Ok::<_, rusqlite::Error>(r.get::<_, i64>(i)?.unsigned_abs());
    Ok(db.query_row(sql, [], |r| Ok((count(r, 0)?, count(r, 1)?, count(r, 2)?)))?)
}

fn facts(told: &Told<'_>) -> Value {
    json!({ "kind": told.kind, "about": told.subject, "severity": told.severity, "message": told.message })
}

fn text_of(details: &Map<String, Value>) -> String {
    Value::Object(details.clone()).to_string()
}

/// Opens an alert; its number, and the place of its custody entry.
pub fn open(tx: &Connection, by: &By, told: &Told<'_>, level: u32) -> Result<(i64, u64)> {
    tx.prepare_cached(
        "INSERT INTO alert (kind, subject, severity, state, level, message, details, officer, unit, opened_at, updated_at)
         VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?
    .execute(params![
        told.kind,
        told.subject,
        told.severity,
        level,
        told.message,
        text_of(told.details),
        told.officer,
        told.unit,
        to_ms(by.at)
    ])?;
    let id = tx.last_insert_rowid();
    Ok((id, log::append(tx, &by.entry("alert.opened", object(id), facts(told)))?))
}

/// Gives a standing alert what it says now, and its level.
pub fn change(
    tx: &Connection,
    by: &By,
    id: i64,
    told: &Told<'_>,
    level: u32,
    action: &'static str,
) -> Result<u64> {
    tx.prepare_cached(
        "UPDATE alert SET severity = ?2, level = ?3, message = ?4, details = ?5, officer = ?6, unit = ?7, updated_at = ?8
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        told.severity,
        level,
        told.message,
        text_of(told.details),
        told.officer,
        told.unit,
        to_ms(by.at)
    ])?;
    let mut facts = facts(told);
    if action == "alert.escalated" {
        facts["level"] = level.into();
    }
    log::append(tx, &by.entry(action, object(id), facts))
}

/// Notes that somebody knows of it.
pub fn acknowledge(tx: &Connection, by: &By, id: i64, note: &str) -> Result<u64> {
    tx.prepare_cached(
        "UPDATE alert SET state = 'acknowledged', acknowledged_at = ?2, acknowledged_by = ?3, note = ?4,
         updated_at = ?2 WHERE id = ?1 AND state <> 'resolved'",
    )?
    .execute(params![id, to_ms(by.at), by.actor, note])?;
    log::append(tx, &by.entry("alert.acknowledged", object(id), json!({ "note": note })))
}

/// Notes that it is no more.
pub fn resolve(tx: &Connection, by: &By, id: i64, resolution: &str) -> Result<u64> {
    tx.prepare_cached(
        "UPDATE alert SET state = 'resolved', resolved_at = ?2, resolution = ?3, updated_at = ?2 WHERE id = ?1",
    )?
    .execute(params![id, to_ms(by.at), resolution])?;
    log::append(tx, &by.entry("alert.resolved", object(id), json!({ "resolution": resolution })))
}

/// The officers that a subject concerns besides the one its alert names: those on a case.
pub fn concerned(db: &Connection, subject: &str) -> Result<Vec<i64>> {
    let Some(number) = subject.strip_prefix("case:") else { return Ok(Vec::new()) };
    let mut query = db.prepare_cached(
        "SELECT o.officer FROM case_officer o JOIN case_file c ON c.id = o.case_file WHERE c.number_key = ?1",
    )?;
    Ok(query.query_map([number_key(number)], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Those with a role in the whole station.
pub fn with_role(db: &Connection, role: &str) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached("SELECT id FROM officer WHERE role = ?1 AND left = 0 ORDER BY id")?;
    Ok(query.query_map([role], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}
