//! Recordings, and the source files they are known by.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::copies::{self, Copy};
use super::dockings::By;
use super::jobs::Job;
use crate::base::clock::{from_ms, to_ms};
use crate::base::text::hex;
use crate::base::{Error, Kind, Result};
use crate::custody::log;

/// An archived recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its id.
    pub id: String,
    /// Whose card it came from.
    pub recorder: String,
    /// `archived`, `damaged`, `missing`.
    pub state: String,
    /// Raw bytes of the path it had on the card.
    pub source_path: Vec<u8>,
    /// Bytes.
    pub size: u64,
    /// Modification time on the card.
    pub mtime_ns: i64,
    /// SHA-256.
    pub sha256: Vec<u8>,
    /// SM3 where asked for.
    pub sm3: Option<Vec<u8>>,
    /// video, audio, photo, sidecar, log, document, other.
    pub kind: String,
    /// What name and directory told, as JSON.
    pub facts: String,
    /// The day it is filed under, station time.
    pub day: String,
    /// Chosen time of recording, milliseconds.
    pub taken_at: i64,
    /// When it was archived, milliseconds.
    pub archived_at: i64,
    /// Container facts as JSON, once read.
    pub probed: Option<String>,
    /// The recording that begins the take.
    pub take: Option<String>,
    /// Its place in the take, from 1.
    pub segment: Option<u32>,
    /// `unclassified`, or what a person has said. An unclassified recording is never destroyed.
    pub classification: String,
}

/// The classification of whatever nobody has classified.
pub const UNCLASSIFIED: &str = "unclassified";

/// Which recordings a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of one recorder.
    pub recorder: Option<String>,
    /// Filed under a day, `YYYY-MM-DD`.
    pub day: Option<String>,
    /// In a state.
    pub state: Option<String>,
}

pub(super) const COLUMNS: &str =
    "id, recorder, state, source_path, size, mtime_ns, sha256, sm3, kind, facts, day, taken_at,
    archived_at, probed, take, segment, classification";

pub(super) fn recording(r: &Row<'_>) -> rusqlite::Result<Recording> {
    Ok(Recording {
        id: r.get(0)?,
        recorder: r.get(1)?,
        state: r.get(2)?,
        source_path: r.get(3)?,
        size: r.get::<_, i64>(4)?.unsigned_abs(),
        mtime_ns: r.get(5)?,
        sha256: r.get(6)?,
        sm3: r.get(7)?,
        kind: r.get(8)?,
        facts: r.get(9)?,
        day: r.get(10)?,
        taken_at: r.get(11)?,
        archived_at: r.get(12)?,
        probed: r.get(13)?,
        take: r.get(14)?,
        segment: r.get(15)?,
        classification: r.get(16)?,
    })
}

/// The day a time is filed under, in the station's time zone.
pub fn day_of(ms: i64) -> String {
    from_ms(ms).with_timezone(&chrono::Local).format("%Y-%m-%d").to_string()
}

/// Inserts a recording row as it stands (also used when rebuilding from manifests).
pub fn insert(tx: &Connection, r: &Recording, docking: Option<i64>) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO recording (id, recorder, docking, state, source_path, size, mtime_ns, sha256, sm3, kind, facts,
           day, taken_at, archived_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        r.id,
        r.recorder,
        docking,
        r.state,
        r.source_path,
        r.size.cast_signed(),
        r.mtime_ns,
        r.sha256,
        r.sm3,
        r.kind,
        r.facts,
        r.day,
        r.taken_at,
        r.archived_at
    ])?;
    Ok(())
}

/// Enters a recording and one copy of it from a manifest; false where that copy is known already.
pub fn rebuild(tx: &Connection, by: &By, r: &Recording, c: &Copy) -> Result<bool> {
    if tx
        .prepare_cached("SELECT 1 FROM copy WHERE recording = ?1 AND volume = ?2")?
        .exists(params![c.recording, c.volume])?
    {
        return Ok(false);
    }
    let known: Option<(String, Vec<u8>, i64)> = tx
        .prepare_cached("SELECT recorder, sha256, size FROM recording WHERE id = ?1")?
        .query_row([&r.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some(known) = &known
        && *known != (r.recorder.clone(), r.sha256.clone(), r.size.cast_signed())
    {
        return Err(Error::new(Kind::Integrity, "another manifest names other bytes for this recording")
            .next("keep both volumes as they are; look at both files, and at who could write to them"));
    }
    if known.is_none() {
        tx.execute(
            "INSERT OR IGNORE INTO recorder (id, first_seen_at, last_seen_at) VALUES (?1, ?2, ?2)",
            params![r.recorder, r.archived_at],
        )?;
        insert(tx, r, None)?;
        note_source(tx, &r.recorder, &r.source_path, r.size, r.mtime_ns, &r.id, 0)?;
    }
    copies::insert(tx, c, true)?;
    let details = json!({ "volume": c.volume, "path": c.path, "size": r.size, "sha256": hex(&r.sha256),
        "how": c.how });
    log::append(tx, &by.entry("recording.rebuilt", format!("recording:{}", r.id), details))?;
    Ok(true)
}

/// Turns a finished job into an archived recording with its copies and its custody entry.
pub(super) fn insert_from_job(tx: &Connection, by: &By, job: &Job) -> Result<()> {
    let at = to_ms(by.at);
    let sha256 = job.sha256.clone().unwrap_or_default();
    if let Some(of) = by_content(tx, &job.recorder, &sha256, job.size)?
        && !copies::has_good(tx, &of)?
    {
        return restore_from_job(tx, by, job, &of);
    }
    let row = Recording {
        id: job.recording.clone(),
        recorder: job.recorder.clone(),
        state: "archived".into(),
        source_path: job.source_path.clone(),
        size: job.size,
        mtime_ns: job.mtime_ns,
        sha256,
        sm3: job.sm3.clone(),
        kind: job.kind.clone(),
        facts: job.facts.clone(),
        day: day_of(job.taken_at),
        taken_at: job.taken_at,
        archived_at: at,
        probed: None,
        take: None,
        segment: None,
        classification: UNCLASSIFIED.into(),
    };
    insert(tx, &row, Some(job.docking))?;
    let copied = tx
        .prepare_cached(
            "INSERT INTO copy (recording, volume, path, state, verified_at, how)
             SELECT ?1, volume, ?2, CASE state WHEN 'placed' THEN 'archived' ELSE 'owed' END,
               CASE state WHEN 'placed' THEN ?3 END, how FROM job_target WHERE job = ?4",
        )?
        .execute(params![job.recording, job.dest, at, job.id])?;
    note_source(tx, &job.recorder, &job.source_path, job.size, job.mtime_ns, &job.recording, job.docking)?;
    let details =
        json!({ "path": job.dest, "size": job.size, "sha256": hex(&row.sha256), "volumes": copied });
    log::append(tx, &by.entry("recording.archived", format!("recording:{}", job.recording), details))?;
    Ok(())
}

/// Gives a recording that has no good copy left the bytes that its card still had.
fn restore_from_job(tx: &Connection, by: &By, job: &Job, of: &str) -> Result<()> {
    let at = to_ms(by.at);
    tx.prepare_cached(
        "INSERT INTO copy (recording, volume, path, state, verified_at, how)
         SELECT ?1, volume, ?2, 'archived', ?3, how FROM job_target WHERE job = ?4 AND state = 'placed'
         ON CONFLICT (recording, volume) DO UPDATE SET path = excluded.path, state = 'archived',
           verified_at = excluded.verified_at, how = excluded.how, listed = 0",
    )?
    .execute(params![of, job.dest, at, job.id])?;
    tx.prepare_cached(
        "INSERT OR IGNORE INTO copy (recording, volume, path, state)
         SELECT ?1, volume, ?2, 'owed' FROM job_target WHERE job = ?3 AND state = 'owed'",
    )?
    .execute(params![of, job.dest, job.id])?;
    tx.prepare_cached("UPDATE recording SET state = 'archived' WHERE id = ?1")?.execute([of])?;
    note_source(tx, &job.recorder, &job.source_path, job.size, job.mtime_ns, of, job.docking)?;
    let details = json!({ "path": job.dest, "size": job.size, "job": job.recording,
        "sha256": hex(job.sha256.as_deref().unwrap_or_default()) });
    log::append(tx, &by.entry("recording.restored", format!("recording:{of}"), details))?;
    Ok(())
}

/// Notes a source file by which a recording will be recognised.
pub fn note_source(
    tx: &Connection,
    recorder: &str,
    path: &[u8],
    size: u64,
    mtime_ns: i64,
    recording: &str,
    docking: i64,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO source_file (recorder, path, size, mtime_ns, recording, docking)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![recorder, path, size.cast_signed(), mtime_ns, recording, docking])?;
    Ok(())
}

/// The recording a source file is known by: same recorder, path, size and time. One that has no good
/// copy left is not known: the card may hold its last bytes.
pub fn known(
    db: &Connection,
    recorder: &str,
    path: &[u8],
    size: u64,
    mtime_ns: i64,
) -> Result<Option<String>> {
    Ok(db
        .prepare_cached(
            "SELECT recording FROM source_file s
             WHERE recorder = ?1 AND path = ?2 AND size = ?3 AND mtime_ns = ?4
               AND EXISTS (SELECT 1 FROM copy c WHERE c.recording = s.recording AND c.state = 'archived')",
        )?
        .query_row(params![recorder, path, size.cast_signed(), mtime_ns], |r| r.get(0))
        .optional()?)
}

/// A recording made from the same path with other size or time.
pub fn same_name(db: &Connection, recorder: &str, path: &[u8]) -> Result<Option<String>> {
    Ok(db
        .prepare_cached("SELECT recording FROM source_file WHERE recorder = ?1 AND path = ?2 LIMIT 1")?
        .query_row(params![recorder, path], |r| r.get(0))
        .optional()?)
}

/// The archived recording with these bytes from this recorder. Empty files are known by name only.
pub fn by_content(db: &Connection, recorder: &str, sha256: &[u8], size: u64) -> Result<Option<String>> {
    if size == 0 {
        return Ok(None);
    }
    // `size > 0` is what lets SQLite use the index on content; without it every recording of the
    // recorder is read.
    let sql = "SELECT id FROM recording WHERE recorder = ?1 AND sha256 = ?2 AND size = ?3 AND size > 0";
    Ok(db
        .prepare_cached(sql)?
        .query_row(params![recorder, sha256, size.cast_signed()], |r| r.get(0))
        .optional()?)
}

/// One recording by id, or by the unambiguous end of one (at least six characters).
pub fn find(db: &Connection, id: &str) -> Result<Recording> {
    let sql = format!("SELECT {COLUMNS} FROM recording WHERE id = ?1");
    if let Some(r) = db.prepare_cached(&sql)?.query_row([id], recording).optional()? {
        return Ok(r);
    }
    let none = || {
        Error::new(Kind::NotFound, format!("no recording `{id}`"))
            .next("`docket recordings` lists them; the last eight characters of an id are enough")
    };
    if id.len() < 6 || !id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        return Err(none());
    }
    let ends = "SELECT id FROM recording WHERE id LIKE '%' || ?1 LIMIT 2";
    let found = db
        .prepare(ends)?
        .query_map([id], |r| r.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if found.len() > 1 {
        return Err(Error::new(Kind::Invalid, format!("`{id}` is the end of several ids"))
            .next("give more of the id, from its end"));
    }
    let whole = found.first().ok_or_else(none)?;
    db.prepare_cached(&sql)?.query_row([whole], recording).optional()?.ok_or_else(none)
}

/// Recordings that fit a filter, by time of recording.
pub fn list(db: &Connection, filter: &Filter, each: &mut dyn FnMut(Recording) -> Result<()>) -> Result<()> {
    // Only what is asked for stands in the text: a condition that may be void fits no index.
    let rule = match (&filter.recorder, &filter.day) {
        (Some(_), Some(_)) => "INDEXED BY recording_day WHERE recorder = ?1 AND day = ?2",
        (Some(_), None) => "WHERE recorder = ?1 AND ?2 IS NULL",
        (None, Some(_)) => "INDEXED BY recording_day WHERE ?1 IS NULL AND day = ?2",
        (None, None) => "WHERE ?1 IS NULL AND ?2 IS NULL",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM recording {rule} AND (?3 IS NULL OR state = ?3) ORDER BY taken_at, id"
    );
    let mut query = db.prepare(&sql)?;
    let rows = query.query_map(params![filter.recorder, filter.day, filter.state], recording)?;
    for row in rows {
        each(row?)?;
    }
    Ok(())
}

/// Totals for a status line: recordings, bytes, recordings not well.
pub fn totals(db: &Connection) -> Result<(u64, u64, u64)> {
    Ok(db.query_row(
        "SELECT count(*), coalesce(sum(size), 0), (SELECT count(*) FROM recording WHERE state <> 'archived') FROM recording",
        [],
        |r| {
            Ok((
                r.get::<_, i64>(0)?.unsigned_abs(),
                r.get::<_, i64>(1)?.unsigned_abs(),
                r.get::<_, i64>(2)?.unsigned_abs(),
            ))
        },
    )?)
}

/// Recordings whose container facts were not read yet, in id order after `after`.
pub fn unprobed(db: &Connection, after: &str, limit: u32) -> Result<Vec<Recording>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recording WHERE probed IS NULL AND kind IN ('video', 'audio', 'photo')
         AND id > ?1 ORDER BY id LIMIT ?2"
    );
    Ok(db
        .prepare_cached(&sql)?
        .query_map(params![after, limit], recording)?
        .collect::<rusqlite::Result<_>>()?)
}

/// Keeps the container facts of a recording.
pub fn set_probed(tx: &Connection, by: &By, id: &str, facts: &str) -> Result<()> {
    tx.prepare_cached("UPDATE recording SET probed = ?2 WHERE id = ?1")?.execute(params![id, facts])?;
    let facts = serde_json::from_str(facts).unwrap_or(serde_json::Value::Null);
    log::append(tx, &by.entry("recording.probed", format!("recording:{id}"), json!({ "facts": facts })))?;
    Ok(())
}

/// Puts recordings into takes: (recording, the one that begins its take, its place from 1).
pub fn set_takes(tx: &Connection, takes: &[(String, Option<String>, u32)]) -> Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE recording SET take = ?2, segment = ?3 WHERE id = ?1 AND (take IS NOT ?2 OR segment IS NOT ?3)",
    )?;
    for (id, take, segment) in takes {
        update.execute(params![id, take, take.as_ref().map(|_| segment)])?;
    }
    Ok(())
}
