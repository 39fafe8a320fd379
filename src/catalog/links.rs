//! Footage attached to the steps of cases. A link that was taken off keeps its row.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{ledger, recordings, rights};
use crate::access::About;
use crate::base::{Error, Kind, Result};

/// A recording, or the span [from, to) of one, at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub id: i64,
    /// The recording.
    pub recording: String,
    /// The step.
    pub step: i64,
    /// Milliseconds from the recording's beginning; `None` for the whole of it.
    pub span: Option<(i64, i64)>,
    /// Why it was linked.
    pub reason: String,
    /// By whom.
    pub linked_by: String,
    /// Milliseconds.
    pub linked_at: i64,
    /// Whether a rule made it.
    pub automatic: bool,
    /// Who took it off, when (milliseconds), why.
    pub unlinked: Option<(String, i64, String)>,
}

const COLUMNS: &str =
    "id, recording, step, from_ms, to_ms, reason, linked_by, linked_at, automatic, unlinked_by,
    unlinked_at, unlinked_why";

fn link(r: &Row<'_>) -> rusqlite::Result<Link> {
    let span: (Option<i64>, Option<i64>) = (r.get(3)?, r.get(4)?);
    let (by, at, why): (Option<String>, Option<i64>, Option<String>) = (r.get(9)?, r.get(10)?, r.get(11)?);
    Ok(Link {
        id: r.get(0)?,
        recording: r.get(1)?,
        step: r.get(2)?,
        span: span.0.zip(span.1),
        reason: r.get(5)?,
        linked_by: r.get(6)?,
        linked_at: r.get(7)?,
        automatic: r.get(8)?,
        unlinked: by.zip(at).map(|(by, at)| (by, at, why.unwrap_or_default())),
    })
}

/// Inserts a link; its number.
pub fn insert(tx: &Connection, l: &Link) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO link (recording, step, from_ms, to_ms, reason, linked_by, linked_at, automatic)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        l.recording,
        l.step,
        l.span.map(|s| s.0),
        l.span.map(|s| s.1),
        l.reason,
        l.linked_by,
        l.linked_at,
        l.automatic
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Takes a link off; the row stays.
pub fn unlink(tx: &Connection, id: i64, by: &str, at: i64, why: &str) -> Result<()> {
    tx.prepare_cached(
        "UPDATE link SET unlinked_by = ?2, unlinked_at = ?3, unlinked_why = ?4
         WHERE id = ?1 AND unlinked_at IS NULL",
    )?
    .execute(params![id, by, at, why])?;
    Ok(())
}

/// The link of a number.
///
/// # Errors
/// [`Kind::NotFound`].
pub fn get(db: &Connection, id: i64) -> Result<Link> {
    let sql = format!("SELECT {COLUMNS} FROM link WHERE id = ?1");
    db.prepare_cached(&sql)?.query_row([id], link).optional()?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no link {id}"))
            .next("`docket cases show NUMBER` shows the links of a case")
    })
}

/// The standing link of exactly this footage to a step.
pub fn standing(
    db: &Connection,
    recording: &str,
    step: i64,
    span: Option<(i64, i64)>,
) -> Result<Option<i64>> {
    Ok(db
        .prepare_cached(
            "SELECT id FROM link WHERE recording = ?1 AND step = ?2 AND coalesce(from_ms, -1) = ?3
               AND coalesce(to_ms, -1) = ?4 AND unlinked_at IS NULL",
        )?
        .query_row(params![recording, step, span.map_or(-1, |s| s.0), span.map_or(-1, |s| s.1)], |r| r.get(0))
        .optional()?)
}

/// Whether a recording is, or ever was, linked to a step: a rule does not undo a person's decision.
pub fn ever(db: &Connection, recording: &str, step: i64) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT 1 FROM link WHERE step = ?2 AND recording = ?1")?;
    Ok(query.exists(params![recording, step])?)
}

/// The links of a step, those taken off too, in the order they were made.
pub fn of_step(db: &Connection, step: i64) -> Result<Vec<Link>> {
    let sql = format!("SELECT {COLUMNS} FROM link WHERE step = ?1 ORDER BY id");
    Ok(db.prepare_cached(&sql)?.query_map([step], link)?.collect::<rusqlite::Result<_>>()?)
}

/// The standing links of a recording.
pub fn of_recording(db: &Connection, recording: &str) -> Result<Vec<Link>> {
    let sql = format!("SELECT {COLUMNS} FROM link WHERE recording = ?1 AND unlinked_at IS NULL ORDER BY id");
    Ok(db.prepare_cached(&sql)?.query_map([recording], link)?.collect::<rusqlite::Result<_>>()?)
}

/// Recordings with standing links to a case, newest first.
pub fn recordings_of(db: &Connection, case: i64, limit: u32) -> Result<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT r.id FROM case_step s JOIN link l ON l.step = s.id JOIN recording r ON r.id = l.recording
         WHERE s.case_file = ?1 AND l.unlinked_at IS NULL ORDER BY r.taken_at DESC LIMIT ?2",
    )?;
    Ok(query.query_map(params![case, limit], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The classification of a recording.
pub fn classification(db: &Connection, recording: &str) -> Result<String> {
    Ok(db
        .prepare_cached("SELECT classification FROM recording WHERE id = ?1")?
        .query_row([recording], |r| r.get(0))?)
}

/// Sets the classification of a recording.
pub fn set_classification(tx: &Connection, recording: &str, word: &str) -> Result<()> {
    tx.prepare_cached("UPDATE recording SET classification = ?2 WHERE id = ?1")?
        .execute([recording, word])?;
    Ok(())
}

/// Whether a class is one of those that article 31 has kept by permission.
pub fn is_guarded(class: &str) -> bool {
    matches!(class, "secret" | "commercial" | "privacy")
}

/// What the table of rights asks about a recording: who held the recorder, their unit (else the recorder's),
/// and the officers on the cases it is linked to.
pub fn about(db: &Connection, r: &recordings::Recording) -> Result<About> {
    let noted: Option<i64> = db
        .prepare_cached("SELECT officer FROM recording WHERE id = ?1")?
        .query_row([&r.id], |row| row.get(0))
        .optional()?
        .flatten();
    let holder = match noted {
        Some(officer) => Some(officer),
        None => ledger::holder_at(db, &r.recorder, r.taken_at)?,
    };
    let unit: Option<i64> = db
        .prepare_cached(
            "SELECT coalesce((SELECT unit FROM officer WHERE id = ?1),
               (SELECT unit FROM recorder_entry WHERE id = ?2))",
        )?
        .query_row(params![holder, r.recorder], |row| row.get(0))?;
    let mut query = db.prepare_cached(
        "SELECT DISTINCT k.officer FROM link l JOIN case_step s ON s.id = l.step
           JOIN case_officer k ON k.case_file = s.case_file
         WHERE l.recording = ?1 AND l.unlinked_at IS NULL",
    )?;
    let mut officers: Vec<i64> =
        query.query_map([&r.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    officers.extend(holder);
    rights::about(db, unit, officers, is_guarded(&r.classification))
}
