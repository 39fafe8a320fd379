//! Archive volumes as the catalogue knows them.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::dockings::By;
use crate::base::Result;
use crate::base::clock::to_ms;
use crate::custody::log;

/// Registers a volume by its marker's id, or notes its new name and path.
pub fn register(tx: &Connection, by: &By, id: &str, name: &str, path: &str) -> Result<()> {
    let known: Option<(String, String)> = tx
        .query_row("SELECT name, path FROM volume WHERE id = ?1", [id], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    if known.as_ref().is_some_and(|(n, p)| n == name && p == path) {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO volume (id, name, path, state, state_at) VALUES (?1, ?2, ?3, 'online', ?4)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, path = excluded.path",
        params![id, name, path, to_ms(by.at)],
    )?;
    let details = json!({ "id": id, "path": path });
    log::append(tx, &by.entry("volume.registered", format!("volume:{name}"), details))?;
    Ok(())
}

/// Notes a change of state; the same state again writes nothing.
pub fn set_state(tx: &Connection, by: &By, name: &str, state: &str, reason: Option<&str>) -> Result<()> {
    let old: Option<String> =
        tx.query_row("SELECT state FROM volume WHERE name = ?1", [name], |r| r.get(0)).optional()?;
    if old.is_none_or(|old| old == state) {
        return Ok(());
    }
    tx.execute(
        "UPDATE volume SET state = ?2, reason = ?3, state_at = ?4 WHERE name = ?1",
        params![name, state, reason, to_ms(by.at)],
    )?;
    let details = json!({ "state": state, "reason": reason });
    log::append(tx, &by.entry("volume.state", format!("volume:{name}"), details))?;
    Ok(())
}

/// Forgets a volume that nothing was ever written to; false where something was.
pub fn forget_unused(tx: &Connection, by: &By, name: &str) -> Result<bool> {
    let Some(id) = id_of(tx, name)? else { return Ok(true) };
    for table in ["copy", "job_target", "quarantine"] {
        let used = format!("SELECT 1 FROM {table} WHERE volume = ?1");
        if tx.prepare(&used)?.exists([&id])? {
            return Ok(false);
        }
    }
    tx.execute("DELETE FROM volume WHERE id = ?1", [&id])?;
    log::append(tx, &by.entry("volume.forgotten", format!("volume:{name}"), json!({ "id": id })))?;
    Ok(true)
}

/// The id a volume of this name had when it was registered.
pub fn id_of(db: &Connection, name: &str) -> Result<Option<String>> {
    Ok(db.query_row("SELECT id FROM volume WHERE name = ?1", [name], |r| r.get(0)).optional()?)
}

/// A volume's row.
#[derive(Debug, Clone, serde::Serialize)]
pub struct VolumeRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it was last opened.
    pub path: String,
    /// `online`, `full`, `missing`, `foreign`, `failed`.
    pub state: String,
    /// Why it takes no files.
    pub reason: Option<String>,
    /// Copies it is owed.
    pub owed: u64,
    /// Copies on it that were found damaged or missing.
    pub not_well: u64,
}

/// All volumes, by name.
pub fn all(db: &Connection) -> Result<Vec<VolumeRow>> {
    let mut query = db.prepare(
        "SELECT id, name, path, state, reason, (SELECT count(*) FROM copy WHERE volume = id AND copy.state = 'owed'),
           (SELECT count(*) FROM copy WHERE volume = id AND copy.state IN ('damaged', 'missing')) FROM volume ORDER BY name",
    )?;
    let rows = query.query_map([], |r| {
        Ok(VolumeRow {
            id: r.get(0)?,
            name: r.get(1)?,
            path: r.get(2)?,
            state: r.get(3)?,
            reason: r.get(4)?,
            owed: r.get::<_, i64>(5)?.unsigned_abs(),
            not_well: r.get::<_, i64>(6)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
