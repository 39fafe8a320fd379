//! Copies of recordings on volumes: where they are, what became of them, and what is owed.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::dockings::By;
use super::recordings::{self, Recording};
use crate::base::Result;
use crate::base::clock::to_ms;
use crate::custody::log;

/// One copy of a recording.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Whose.
    pub recording: String,
    /// Volume id.
    pub volume: String,
    /// Path below the volume.
    pub path: String,
    /// `archived`, `owed`, `damaged`, `missing`.
    pub state: String,
    /// When it was last read back, milliseconds.
    pub verified_at: Option<i64>,
    /// How it was read back.
    pub how: Option<String>,
}

const COPY_COLUMNS: &str = "recording, volume, path, state, verified_at, how";

fn copy(r: &Row<'_>) -> rusqlite::Result<Copy> {
    Ok(Copy {
        recording: r.get(0)?,
        volume: r.get(1)?,
        path: r.get(2)?,
        state: r.get(3)?,
        verified_at: r.get(4)?,
        how: r.get(5)?,
    })
}

/// Inserts or replaces a copy row.
pub fn insert(tx: &Connection, c: &Copy, listed: bool) -> Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO copy (recording, volume, path, state, verified_at, how, listed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![c.recording, c.volume, c.path, c.state, c.verified_at, c.how, listed])?;
    Ok(())
}

/// Whether a copy of it is archived somewhere.
pub fn has_good(db: &Connection, id: &str) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT 1 FROM copy WHERE recording = ?1 AND state = 'archived'")?;
    Ok(query.exists([id])?)
}

/// The copies of a recording.
pub fn of(db: &Connection, id: &str) -> Result<Vec<Copy>> {
    let sql = format!("SELECT {COPY_COLUMNS} FROM copy WHERE recording = ?1 ORDER BY state = 'owed', volume");
    Ok(db.prepare_cached(&sql)?.query_map([id], copy)?.collect::<rusqlite::Result<_>>()?)
}

/// Copies that a volume's manifests do not name yet, with their recordings.
pub fn unlisted(db: &Connection, volume: &str, limit: u32) -> Result<Vec<(Recording, Copy)>> {
    pairs(db, "c.listed = 0 AND c.state = 'archived'", volume, "", limit)
}

/// Copies a volume is still owed, with their recordings, in id order after `after`.
pub fn owed(db: &Connection, volume: &str, after: &str, limit: u32) -> Result<Vec<(Recording, Copy)>> {
    pairs(db, "c.state = 'owed'", volume, after, limit)
}

fn pairs(
    db: &Connection,
    rule: &str,
    volume: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<(Recording, Copy)>> {
    let sql = format!(
        "SELECT {COPY_COLUMNS} FROM copy c WHERE c.volume = ?1 AND c.recording > ?2 AND {rule}
         ORDER BY recording LIMIT ?3"
    );
    let copies: Vec<Copy> = db
        .prepare_cached(&sql)?
        .query_map(params![volume, after, limit], copy)?
        .collect::<rusqlite::Result<_>>()?;
    copies.into_iter().map(|c| Ok((recordings::find(db, &c.recording)?, c))).collect()
}

/// Marks copies as named in their manifest.
pub fn set_listed(tx: &Connection, volume: &str, ids: &[String]) -> Result<()> {
    let mut update =
        tx.prepare_cached("UPDATE copy SET listed = 1 WHERE recording = ?1 AND volume = ?2 AND listed = 0")?;
    for id in ids {
        update.execute(params![id, volume])?;
    }
    Ok(())
}

/// Has a copy named in its manifest once more; a doubled line is harmless.
pub fn set_unlisted(tx: &Connection, volume: &str, id: &str) -> Result<()> {
    tx.execute("UPDATE copy SET listed = 0 WHERE recording = ?1 AND volume = ?2", params![id, volume])?;
    Ok(())
}

/// Notes the outcome of reading a copy again; a recording without a good copy is no longer `archived`.
pub fn set_state(
    tx: &Connection,
    by: &By,
    c: &Copy,
    state: &str,
    how: &str,
    reason: Option<&str>,
) -> Result<()> {
    let verified = (state == "archived").then(|| to_ms(by.at));
    tx.prepare_cached(
        "UPDATE copy SET state = ?3, how = ?4, verified_at = coalesce(?5, verified_at)
         WHERE recording = ?1 AND volume = ?2",
    )?
    .execute(params![c.recording, c.volume, state, how, verified])?;
    tx.prepare_cached(
        "UPDATE recording SET state = coalesce(
           (SELECT 'archived' FROM copy WHERE recording = ?1 AND state = 'archived' LIMIT 1),
           (SELECT state FROM copy WHERE recording = ?1 AND state IN ('damaged', 'missing') ORDER BY state LIMIT 1),
           state) WHERE id = ?1",
    )?
    .execute([&c.recording])?;
    let action = match state {
        "archived" if c.state == "owed" => "recording.replicated",
        "archived" => "recording.reverified",
        "damaged" => "recording.damaged",
        "missing" => "recording.missing",
        _ => "recording.copy",
    };
    let volume: String =
        tx.prepare_cached("SELECT name FROM volume WHERE id = ?1")?.query_row([&c.volume], |r| r.get(0))?;
    let details = json!({ "volume": volume, "how": how, "reason": reason });
    log::append(tx, &by.entry(action, format!("recording:{}", c.recording), details))?;
    Ok(())
}

/// Copies in order of their last read-back, oldest first: what a share of the archive is taken from.
pub fn least_recently_verified(db: &Connection, before: i64, limit: u32) -> Result<Vec<Copy>> {
    let sql = format!(
        "SELECT {COPY_COLUMNS} FROM copy WHERE state = 'archived' AND verified_at < ?1
         ORDER BY verified_at LIMIT ?2"
    );
    Ok(db.prepare(&sql)?.query_map(params![before, limit], copy)?.collect::<rusqlite::Result<_>>()?)
}

/// Owes again the copies of a volume that are damaged or missing where another copy is good; returns
/// how many.
pub fn owe_again(tx: &Connection, by: &By) -> Result<usize> {
    let mut made = 0;
    for c in not_well(tx)? {
        if has_good(tx, &c.recording)? {
            tx.execute(
                "UPDATE copy SET state = 'owed' WHERE recording = ?1 AND volume = ?2",
                params![c.recording, c.volume],
            )?;
            let details = json!({ "volume": c.volume, "was": c.state });
            log::append(tx, &by.entry("recording.owed", format!("recording:{}", c.recording), details))?;
            made += 1;
        }
    }
    Ok(made)
}

/// Copies that were found damaged or missing.
pub fn not_well(db: &Connection) -> Result<Vec<Copy>> {
    let sql = format!(
        "SELECT {COPY_COLUMNS} FROM copy WHERE state IN ('damaged', 'missing') ORDER BY volume, recording"
    );
    Ok(db.prepare(&sql)?.query_map([], copy)?.collect::<rusqlite::Result<_>>()?)
}

/// Copies on a volume after a recording id, in id order: the way through a whole volume.
pub fn on_volume(db: &Connection, volume: &str, after: &str, limit: u32) -> Result<Vec<Copy>> {
    let sql = format!(
        "SELECT {COPY_COLUMNS} FROM copy WHERE +volume = ?1 AND recording > ?2 ORDER BY recording LIMIT ?3"
    );
    Ok(db.prepare(&sql)?.query_map(params![volume, after, limit], copy)?.collect::<rusqlite::Result<_>>()?)
}

/// The copy that a volume path belongs to.
pub fn at(db: &Connection, volume: &str, path: &str) -> Result<Option<Copy>> {
    let sql = format!("SELECT {COPY_COLUMNS} FROM copy WHERE volume = ?1 AND path = ?2");
    Ok(db.prepare_cached(&sql)?.query_row(params![volume, path], copy).optional()?)
}
