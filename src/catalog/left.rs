//! What was seen on cards and not archived, each with its reason.

use rusqlite::{Connection, params};

use crate::base::Result;

/// Notes an entry of a card that stays where it is.
pub fn note(tx: &Connection, recorder: &str, docking: i64, path: &[u8], reason: &str) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO left_file (recorder, path, reason, first_docking, last_docking) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (recorder, path) DO UPDATE SET reason = excluded.reason, last_docking = excluded.last_docking",
    )?
    .execute(params![recorder, path, reason, docking])?;
    Ok(())
}

/// Entries left in one docking: path and reason.
pub fn of_docking(db: &Connection, docking: i64, limit: u32) -> Result<Vec<(Vec<u8>, String)>> {
    let mut query =
        db.prepare("SELECT path, reason FROM left_file WHERE last_docking = ?1 ORDER BY path LIMIT ?2")?;
    Ok(query
        .query_map(params![docking, limit], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?)
}
