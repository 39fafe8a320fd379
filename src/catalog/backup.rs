//! An online copy of the catalogue, checked by opening it again.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use serde_json::json;

use super::dockings::By;
use super::look;
use crate::base::{Cancel, Error, Kind, Result};
use crate::custody::log;

/// Pages copied between two looks at the request to stop.
const PAGES: i32 = 4096;

/// What was copied.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Copied {
    /// Bytes of the copy.
    pub bytes: u64,
    /// Recordings in it.
    pub recordings: u64,
    /// Custody entries in it, all checked.
    pub entries: u64,
    /// The custody chain's value at its end, hexadecimal: keep it apart from the copy.
    pub head: String,
}

/// Copies `from` to a new file while others write to it, makes it durable, and checks the copy:
/// SQLite's integrity check and the whole custody chain.
///
/// # Errors
/// [`Kind::Invalid`] where the file exists; nothing is left behind on failure.
pub fn backup(from: &Connection, to: &Path, cancel: &Cancel) -> Result<Copied> {
    if to.exists() {
        return Err(Error::new(Kind::Invalid, format!("{} exists already", to.display()))
            .next("name a new file; docket replaces no backup"));
    }
    let result = copy(from, to, cancel).and_then(|()| check(to));
    if result.is_err() {
        let _ = std::fs::remove_file(to);
    }
    result
}

/// Writes down that a copy was made and checked, where it went, and the head of the log in it.
pub fn note(tx: &Connection, by: &By, to: &str, copied: &Copied) -> Result<()> {
    let details = json!({ "path": to, "entries": copied.entries, "head": copied.head });
    log::append(tx, &by.entry("station.backed-up", "station".into(), details))?;
    Ok(())
}

fn copy(from: &Connection, to: &Path, cancel: &Cancel) -> Result<()> {
    let mut target = Connection::open(to)?;
    {
        let backup = Backup::new(from, &mut target)?;
        while backup.step(PAGES)? != StepResult::Done {
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // A copy is one file: no log beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    drop(target);
    let fail = |e| Error::io("sync", to, e);
    let file = std::fs::File::open(to).map_err(fail)?;
    crate::base::durable_fs::sync(&file).map_err(fail)?;
    let dir = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    crate::base::durable_fs::Dir::open(dir)?.sync_dir(Path::new(""))
}

fn check(copy: &Path) -> Result<Copied> {
    let db = look(copy)?;
    integrity(&db)?;
    let (entries, head) = log::verify(&db)?;
    let recordings = db.query_row("SELECT count(*) FROM recording", [], |r| r.get::<_, i64>(0))?;
    let bytes = std::fs::metadata(copy).map_err(|e| Error::io("look at", copy, e))?.len();
    Ok(Copied { bytes, recordings: recordings.unsigned_abs(), entries, head: crate::base::text::hex(&head) })
}

/// SQLite's own check of the whole file.
pub fn integrity(db: &Connection) -> Result<()> {
    let said: String = db.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0))?;
    if said == "ok" {
        return Ok(());
    }
    Err(Error::new(Kind::Integrity, format!("the catalogue is damaged: {said}"))
        .next("put it aside with its -wal and -shm (do not delete them) and restore the last `docket backup`, or make a new one with `docket rebuild`"))
}
