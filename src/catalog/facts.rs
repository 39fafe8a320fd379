//! What the catalogue knows of the station's own troubles: each a look by index, for every minute.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::base::Result;

/// A copy that is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCopy {
    /// The recording's id.
    pub recording: String,
    /// The volume's name.
    pub volume: String,
    /// `damaged`, `missing`.
    pub state: String,
}

/// Copies of one volume (by its id) that are not well, `limit` at most.
pub fn bad_copies(db: &Connection, volume: &str, limit: u32) -> Result<Vec<BadCopy>> {
    let mut query = db.prepare_cached(
        "SELECT c.recording, v.name, c.state FROM copy c JOIN volume v ON v.id = c.volume
         WHERE c.volume = ?1 AND c.state IN ('damaged', 'missing') ORDER BY c.recording LIMIT ?2",
    )?;
    let rows = query.query_map(params![volume, limit], |r| {
        Ok(BadCopy { recording: r.get(0)?, volume: r.get(1)?, state: r.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A stay that ended, or stands, with trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The docking's number.
    pub docking: i64,
    /// The dock's name.
    pub dock: String,
    /// Whose card it was, where that was found out.
    pub recorder: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

/// Stays in state `attention` that no later one of the same recorder (or, where none was found, of the
/// same dock) has followed; the newest first, `limit` at most.
pub fn troubles(db: &Connection, limit: u32) -> Result<Vec<Trouble>> {
    let mut query = db.prepare_cached(
        "SELECT d.id, d.dock, d.recorder, d.reason FROM docking d INDEXED BY docking_attention
         WHERE d.state = 'attention' AND CASE WHEN d.recorder IS NULL
           THEN NOT EXISTS (SELECT 1 FROM docking e WHERE e.id > d.id AND e.dock = d.dock)
           ELSE NOT EXISTS (SELECT 1 FROM docking e WHERE e.recorder = d.recorder AND e.started_at >= d.started_at
                            AND e.id > d.id) END
         ORDER BY d.id DESC LIMIT ?1",
    )?;
    let rows = query.query_map([limit], |r| {
        Ok(Trouble {
            docking: r.get(0)?,
            dock: r.get(1)?,
            recorder: r.get(2)?,
            reason: r.get::<_, Option<String>>(3)?.unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Unfinished jobs with what hinders them: recorder and reason.
pub fn hindered(db: &Connection) -> Result<Vec<(String, String)>> {
    let mut query = db.prepare_cached(
        "SELECT recorder, reason FROM job WHERE state IN ('retry', 'failed') AND reason IS NOT NULL ORDER BY id",
    )?;
    Ok(query.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// A recorder's clock as the ledger has it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockOff {
    /// The recorder.
    pub recorder: String,
    /// Milliseconds that its clock is ahead of the station's.
    pub ahead_ms: i64,
    /// Who has or had it: a number of the officers' register.
    pub officer: i64,
}

/// Recorders whose clock was off by more than so many milliseconds when it was last looked at, at issue or
/// return.
pub fn clocks_off(db: &Connection, limit_ms: i64) -> Result<Vec<ClockOff>> {
    // From recorder to recorder, and of each the last entry that knows its clock: the ledger grows for years.
    let mut query = db.prepare_cached(
        "WITH RECURSIVE each (recorder) AS (
           SELECT min(recorder) FROM issue
             WHERE void = 0 AND (returned_clock IS NOT NULL OR issued_clock IS NOT NULL)
           UNION ALL
           SELECT (SELECT min(i.recorder) FROM issue i WHERE i.recorder > each.recorder
             AND i.void = 0 AND (i.returned_clock IS NOT NULL OR i.issued_clock IS NOT NULL))
           FROM each WHERE each.recorder IS NOT NULL)
         SELECT i.recorder, coalesce(i.returned_clock, i.issued_clock) AS off, i.officer FROM each CROSS JOIN issue i
         ON i.id = (SELECT l.id FROM issue l WHERE l.recorder = each.recorder
           AND l.void = 0 AND (l.returned_clock IS NOT NULL OR l.issued_clock IS NOT NULL)
           ORDER BY l.issued_at DESC LIMIT 1)
         WHERE abs(off) > ?1 ORDER BY i.recorder",
    )?;
    let rows = query.query_map([limit_ms], |r| {
        Ok(ClockOff { recorder: r.get(0)?, ahead_ms: r.get(1)?, officer: r.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The station's identity, and when it was created, milliseconds UTC; `None` where it never was.
pub fn station(db: &Connection) -> Result<Option<(String, i64)>> {
    Ok(db
        .prepare_cached("SELECT uuid, created_at FROM station")?
        .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?)
}

/// When the catalogue was last backed up, milliseconds UTC.
pub fn backed_up(db: &Connection) -> Result<Option<i64>> {
    let mut query =
        db.prepare_cached("SELECT entry FROM custody WHERE object = 'station' ORDER BY seq DESC")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let entry: Value = serde_json::from_slice(&row.get::<_, Vec<u8>>(0)?).unwrap_or_default();
        if entry["action"] == "station.backed-up" {
            let at = entry["at"].as_str().and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok());
            return Ok(at.map(|at| at.timestamp_millis()));
        }
    }
    Ok(None)
}
