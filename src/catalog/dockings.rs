//! Dockings and the recorders that made them.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ledger;
use crate::base::Result;
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::custody::{Entry, log};

/// Who does something, and when: goes into every custody entry.
#[derive(Debug, Clone)]
pub struct By {
    /// `daemon` or `command:<user>`.
    pub actor: String,
    /// The station's time of the change.
    pub at: DateTime<Utc>,
}

impl By {
    /// A custody entry by this actor at this time.
    pub fn entry(&self, action: &'static str, object: String, details: Value) -> Entry {
        let details = if let Value::Object(map) = details { map } else { Map::new() };
        Entry { at: self.at, actor: self.actor.clone(), action, object, details }
    }
}

/// What is known when a stay begins.
#[derive(Debug, Clone)]
pub struct Begin {
    /// The dock's name.
    pub dock: String,
    /// Raw bytes of the card's path.
    pub card: Vec<u8>,
    /// Whose card it is taken to be, and why.
    pub recorder: (String, String),
    /// Which profile reads it, and why.
    pub profile: (String, String),
}

/// Counts of one stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// New recordings archived.
    pub archived: u64,
    /// Files whose bytes turned out to be archived already.
    pub duplicates: u64,
    /// Files recognised without copying.
    pub known: u64,
    /// Entries not archived by rule.
    pub left: u64,
    /// Files that could not be archived.
    pub failed: u64,
    /// Bytes archived.
    pub bytes: u64,
}

/// One stay of a recorder in a dock.
#[derive(Debug, Clone, Serialize)]
pub struct Docking {
    /// Its number.
    pub id: i64,
    /// The dock's name.
    pub dock: String,
    /// Where the card was.
    pub card: String,
    /// The recorder.
    pub recorder: Option<String>,
    /// Why this recorder.
    pub recorder_reason: Option<String>,
    /// The card profile.
    pub profile: Option<String>,
    /// Why this profile.
    pub profile_reason: Option<String>,
    /// `looking`, `copying`, `safe`, `attention`, `vanished`, `interrupted`, `cancelled`.
    pub state: String,
    /// What stands in the way.
    pub reason: Option<String>,
    /// RFC 3339.
    pub started_at: String,
    /// When the recorder could be taken.
    pub safe_at: Option<String>,
    /// When the stay ended.
    pub ended_at: Option<String>,
    /// Counts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Opens a docking; returns its number. Who took the recorder has brought it back with this.
pub fn begin(tx: &Connection, by: &By, begin: &Begin) -> Result<i64> {
    let at = to_ms(by.at);
    tx.prepare_cached(
        "INSERT INTO recorder (id, first_seen_at, last_seen_at) VALUES (?1, ?2, ?2)
         ON CONFLICT (id) DO UPDATE SET last_seen_at = max(last_seen_at, excluded.last_seen_at)",
    )?
    .execute(params![begin.recorder.0, at])?;
    tx.prepare_cached(
        "INSERT INTO docking (dock, card, recorder, recorder_reason, profile, profile_reason, state, started_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'looking', ?7)",
    )?
    .execute(params![
        begin.dock,
        begin.card,
        begin.recorder.0,
        begin.recorder.1,
        begin.profile.0,
        begin.profile.1,
        at
    ])?;
    let id = tx.last_insert_rowid();
    let details = json!({
        "dock": begin.dock, "card": shown(&begin.card), "recorder": begin.recorder.0,
        "recorder_reason": begin.recorder.1, "profile": begin.profile.0, "profile_reason": begin.profile.1,
    });
    log::append(tx, &by.entry("docking.begun", format!("docking:{id}"), details))?;
    ledger::return_by_docking(tx, by, &begin.recorder.0, id)?;
    Ok(id)
}

/// Moves a docking to a state; `ended` closes it. The same state again writes nothing.
pub fn set_state(
    tx: &Connection,
    by: &By,
    id: i64,
    state: &'static str,
    reason: Option<&str>,
    counts: Counts,
    ended: bool,
) -> Result<()> {
    let old: Option<(String, Option<String>, Option<i64>)> = tx
        .prepare_cached("SELECT state, reason, ended_at FROM docking WHERE id = ?1")?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .optional()?;
    let Some((old_state, old_reason, ended_at)) = old else { return Ok(()) };
    tx.prepare_cached(
        "UPDATE docking SET state = ?2, reason = ?3, archived = ?4, duplicates = ?5, known = ?6, left_out = ?7,
           failed = ?8, bytes = ?9, safe_at = CASE WHEN ?2 = 'safe' THEN coalesce(safe_at, ?10) ELSE safe_at END,
           ended_at = CASE WHEN ?11 THEN coalesce(ended_at, ?10) ELSE ended_at END
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        state,
        reason,
        counts.archived.cast_signed(),
        counts.duplicates.cast_signed(),
        counts.known.cast_signed(),
        counts.left.cast_signed(),
        counts.failed.cast_signed(),
        counts.bytes.cast_signed(),
        to_ms(by.at),
        ended
    ])?;
    let changed = old_state != state || old_reason.as_deref() != reason || (ended && ended_at.is_none());
    if changed {
        let mut details = json!({ "state": state, "archived": counts.archived, "duplicates": counts.duplicates,
            "known": counts.known, "left": counts.left, "failed": counts.failed, "ended": ended });
        if let Some(reason) = reason {
            details["reason"] = reason.into();
        }
        log::append(tx, &by.entry("docking.state", format!("docking:{id}"), details))?;
    }
    Ok(())
}

/// Closes dockings that a stopped process left open; returns how many.
pub fn interrupt_open(tx: &Connection, by: &By) -> Result<usize> {
    let open: Vec<i64> = tx
        .prepare("SELECT id FROM docking WHERE ended_at IS NULL")?
        .query_map([], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for &id in &open {
        tx.execute(
            "UPDATE docking SET ended_at = ?2, state = CASE state WHEN 'safe' THEN 'safe' ELSE 'interrupted' END
             WHERE id = ?1",
            params![id, to_ms(by.at)],
        )?;
        log::append(tx, &by.entry("docking.interrupted", format!("docking:{id}"), json!({})))?;
    }
    Ok(open.len())
}

fn shown(path: &[u8]) -> String {
    use std::os::unix::ffi::OsStrExt;
    crate::base::text::show(std::ffi::OsStr::from_bytes(path))
}

fn docking(r: &Row<'_>) -> rusqlite::Result<Docking> {
    let time = |i| Ok::<_, rusqlite::Error>(r.get::<_, Option<i64>>(i)?.map(|ms| rfc3339(from_ms(ms))));
    let count = |i| Ok::<_, rusqlite::Error>(r.get::<_, i64>(i)?.unsigned_abs());
    Ok(Docking {
        id: r.get(0)?,
        dock: r.get(1)?,
        card: shown(&r.get::<_, Vec<u8>>(2)?),
        recorder: r.get(3)?,
        recorder_reason: r.get(4)?,
        profile: r.get(5)?,
        profile_reason: r.get(6)?,
        state: r.get(7)?,
        reason: r.get(8)?,
        started_at: rfc3339(from_ms(r.get(9)?)),
        safe_at: time(10)?,
        ended_at: time(11)?,
        counts: Counts {
            archived: count(12)?,
            duplicates: count(13)?,
            known: count(14)?,
            left: count(15)?,
            failed: count(16)?,
            bytes: count(17)?,
        },
    })
}

const COLUMNS: &str = "id, dock, card, recorder, recorder_reason, profile, profile_reason, state, reason,
    started_at, safe_at, ended_at, archived, duplicates, known, left_out, failed, bytes";

/// The stays under way, then the newest ended ones, `limit` in all.
pub fn newest(db: &Connection, limit: u32) -> Result<Vec<Docking>> {
    let some =
        |rule| format!("SELECT * FROM (SELECT {COLUMNS} FROM docking {rule} ORDER BY id DESC LIMIT ?1)");
    let sql = format!(
        "{} UNION ALL {} LIMIT ?1",
        some("WHERE ended_at IS NULL"),
        some("WHERE ended_at IS NOT NULL")
    );
    Ok(db.prepare(&sql)?.query_map([limit], docking)?.collect::<rusqlite::Result<_>>()?)
}

/// The identity of the station; created at the first call.
pub fn station_id(tx: &Connection, by: &By) -> Result<String> {
    adopt_station(tx, by, None)
}

/// The identity of the station, once it has one.
pub fn known_station(db: &Connection) -> Result<Option<String>> {
    Ok(db.query_row("SELECT uuid FROM station", [], |r| r.get(0)).optional()?)
}

/// The identity of the station; a rebuilt catalogue takes over the one its volumes bear.
pub fn adopt_station(tx: &Connection, by: &By, id: Option<&str>) -> Result<String> {
    if let Some(id) = known_station(tx)? {
        return Ok(id);
    }
    let id = id.map_or_else(crate::base::ids::new_id, str::to_owned);
    tx.execute("INSERT INTO station VALUES (1, ?1, ?2)", params![id, to_ms(by.at)])?;
    log::append(tx, &by.entry("station.created", "station".into(), json!({ "id": id })))?;
    Ok(id)
}

/// Writes down that the archive was checked and how many rows were mended.
pub fn note_check(tx: &Connection, by: &By, mended: u64) -> Result<()> {
    log::append(tx, &by.entry("station.checked", "station".into(), json!({ "mended": mended })))?;
    Ok(())
}

/// Writes down that the station's clock was set.
pub fn note_clock_step(tx: &Connection, by: &By, seconds: i64) -> Result<()> {
    log::append(tx, &by.entry("station.clock-set", "station".into(), json!({ "seconds": seconds })))?;
    Ok(())
}
