//! Work under way: from a planned copy to an archived recording. Each function is one change of
//! state with its custody entry, to be called in one transaction.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::dockings::By;
use super::{copies, recordings};
use crate::base::clock::to_ms;
use crate::base::text::hex;
use crate::base::{Error, Kind, Result};
use crate::custody::log;

/// A source file to be archived.
#[derive(Debug, Clone)]
pub struct Job {
    /// Row number.
    pub id: i64,
    /// The id that the recording will have; names the part and the original.
    pub recording: String,
    /// The stay it was last seen in.
    pub docking: i64,
    /// Whose card it is on.
    pub recorder: String,
    /// Raw bytes of its path on the card.
    pub source_path: Vec<u8>,
    /// Its size when planned.
    pub size: u64,
    /// Its modification time when planned.
    pub mtime_ns: i64,
    /// video, audio, photo, sidecar, log, document, other.
    pub kind: String,
    /// What name and directory told, as JSON.
    pub facts: String,
    /// The chosen time of recording, milliseconds.
    pub taken_at: i64,
    /// Where on each volume the original will lie.
    pub dest: String,
    /// planned, copying, copied, verified, retry, failed, quarantined.
    pub state: String,
    /// Why it is in retry, failed or quarantined.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The hash of the whole source, once read.
    pub sha256: Option<Vec<u8>>,
    /// SM3 where asked for.
    pub sm3: Option<Vec<u8>>,
}

/// What a plan says about one new source file.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// See [`Job`].
    pub recording: String,
    /// See [`Job`].
    pub source_path: Vec<u8>,
    /// See [`Job`].
    pub size: u64,
    /// See [`Job`].
    pub mtime_ns: i64,
    /// See [`Job`].
    pub kind: String,
    /// See [`Job`].
    pub facts: String,
    /// See [`Job`].
    pub taken_at: i64,
    /// See [`Job`].
    pub dest: String,
    /// Printable source path for the custody entry.
    pub shown: String,
}

const COLUMNS: &str = "id, recording, docking, recorder, source_path, size, mtime_ns, kind, facts, taken_at,
    dest, state, reason, attempts, sha256, sm3";

fn job(r: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: r.get(0)?,
        recording: r.get(1)?,
        docking: r.get(2)?,
        recorder: r.get(3)?,
        source_path: r.get(4)?,
        size: r.get::<_, i64>(5)?.unsigned_abs(),
        mtime_ns: r.get(6)?,
        kind: r.get(7)?,
        facts: r.get(8)?,
        taken_at: r.get(9)?,
        dest: r.get(10)?,
        state: r.get(11)?,
        reason: r.get(12)?,
        attempts: r.get(13)?,
        sha256: r.get(14)?,
        sm3: r.get(15)?,
    })
}

fn object(recording: &str) -> String {
    format!("recording:{recording}")
}

/// Plans a copy (protocol step 1).
pub fn plan(tx: &Connection, by: &By, docking: i64, recorder: &str, new: &NewJob) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO job (recording, docking, recorder, source_path, size, mtime_ns, kind, facts, taken_at, dest,
           state, planned_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'planned', ?11)",
    )?
    .execute(params![
        new.recording,
        docking,
        recorder,
        new.source_path,
        new.size.cast_signed(),
        new.mtime_ns,
        new.kind,
        new.facts,
        new.taken_at,
        new.dest,
        to_ms(by.at)
    ])?;
    let details = json!({ "docking": docking, "recorder": recorder, "source": new.shown,
        "size": new.size, "mtime_ns": new.mtime_ns.to_string() });
    log::append(tx, &by.entry("recording.planned", object(&new.recording), details))?;
    Ok(())
}

/// Unfinished work on a source path of a recorder, if any.
pub fn open_of(db: &Connection, recorder: &str, path: &[u8]) -> Result<Option<Job>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job WHERE recorder = ?1 AND source_path = ?2 AND state NOT IN ('failed', 'quarantined')"
    );
    Ok(db.prepare_cached(&sql)?.query_row(params![recorder, path], job).optional()?)
}

/// Takes unfinished work over into a stay, to be tried again. What was given up in this very stay
/// stays given up until the next, or until the source, which is as in `now`, has another size or time
/// than it had then.
pub fn adopt(tx: &Connection, by: &By, id: i64, docking: i64, now: Option<(u64, i64)>) -> Result<()> {
    if let Some((size, mtime_ns)) = now {
        let changed = tx
            .prepare_cached(
                "SELECT 1 FROM job WHERE id = ?1 AND state = 'retry' AND (size <> ?2 OR mtime_ns <> ?3)",
            )?
            .exists(params![id, size.cast_signed(), mtime_ns])?;
        if changed {
            restart(tx, by, id, size, mtime_ns, "the source has changed since it was given up")?;
        }
    }
    let other: Option<i64> = tx
        .prepare_cached("SELECT docking FROM job WHERE id = ?1 AND docking <> ?2")?
        .query_row(params![id, docking], |r| r.get(0))
        .optional()?;
    if other.is_some() {
        try_again(tx, by, id)?;
    }
    tx.prepare_cached(
        "UPDATE job SET docking = ?2, attempts = 0, reason = NULL WHERE id = ?1 AND state <> 'retry'",
    )?
    .execute(params![id, docking])?;
    Ok(())
}

/// Tries again, from what is kept of them, the files that were given up in a stay. Not those with a bad
/// copy in quarantine: each try would put one more there.
pub fn try_again_all(tx: &Connection, by: &By, docking: i64) -> Result<()> {
    let mut given_up = tx.prepare_cached(
        "SELECT id FROM job WHERE docking = ?1 AND state = 'retry'
          AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE q.recording = job.recording)",
    )?;
    let ids = given_up.query_map([docking], |r| r.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.into_iter().try_for_each(|id| try_again(tx, by, id))
}

fn try_again(tx: &Connection, by: &By, id: i64) -> Result<()> {
    let recording: Option<String> = tx
        .prepare_cached(
            "UPDATE job SET attempts = 0, reason = NULL,
               state = CASE WHEN EXISTS (SELECT 1 FROM job_block WHERE job = job.id) THEN 'copying' ELSE 'planned' END
             WHERE id = ?1 AND state = 'retry' RETURNING recording",
        )?
        .query_row([id], |r| r.get(0))
        .optional()?;
    if let Some(recording) = recording {
        let details = json!({ "reason": "it is tried again" });
        log::append(tx, &by.entry("recording.restarted", object(&recording), details))?;
    }
    Ok(())
}

/// Takes over the size and time that a source has now, where nothing of it is copied yet. An upload
/// that goes on for hours does this again and again: no entry is made of it.
pub fn replan(tx: &Connection, id: i64, size: u64, mtime_ns: i64) -> Result<()> {
    tx.prepare_cached("UPDATE job SET size = ?2, mtime_ns = ?3 WHERE id = ?1 AND state = 'planned'")?
        .execute(params![id, size.cast_signed(), mtime_ns])?;
    Ok(())
}

/// Jobs of a stay that want the card, after row `after`.
pub fn waiting(db: &Connection, docking: i64, after: i64, limit: u32) -> Result<Vec<Job>> {
    // Two runs of the index, merged: one run over both states would be sorted for every page.
    let sql = format!(
        "SELECT {COLUMNS} FROM job WHERE docking = ?1 AND state = 'planned' AND id > ?2 UNION ALL
         SELECT {COLUMNS} FROM job WHERE docking = ?1 AND state = 'copying' AND id > ?2 ORDER BY id LIMIT ?3"
    );
    Ok(db
        .prepare_cached(&sql)?
        .query_map(params![docking, after, limit], job)?
        .collect::<rusqlite::Result<_>>()?)
}

/// Files and bytes that still want the card in a stay. No file counts for more than a pebibyte: sizes
/// that lie must not overflow the sum.
pub fn waiting_totals(db: &Connection, docking: i64) -> Result<(u64, u64)> {
    Ok(db.query_row(
        "SELECT count(*), coalesce(sum(min(size, 1 << 50)), 0) FROM job WHERE docking = ?1 AND state IN ('planned', 'copying')",
        [docking],
        |r| Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get::<_, i64>(1)?.unsigned_abs())),
    )?)
}

/// Source paths given up in a stay, with the reasons.
pub fn given_up(db: &Connection, docking: i64) -> Result<Vec<(Vec<u8>, String)>> {
    let mut query = db.prepare_cached(
        "SELECT source_path, coalesce(reason, '') FROM job WHERE docking = ?1 AND state = 'retry'",
    )?;
    Ok(query.query_map([docking], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// Jobs that no longer need the card: the next start finishes them.
pub fn finishable(db: &Connection) -> Result<Vec<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE state IN ('copied', 'verified') ORDER BY id");
    Ok(db.prepare(&sql)?.query_map([], job)?.collect::<rusqlite::Result<_>>()?)
}

/// Jobs of a stay that no longer need the card.
pub fn finishable_of(db: &Connection, docking: i64) -> Result<Vec<Job>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job WHERE docking = ?1 AND state IN ('copied', 'verified') ORDER BY id"
    );
    Ok(db.prepare_cached(&sql)?.query_map([docking], job)?.collect::<rusqlite::Result<_>>()?)
}

/// Source paths of a stay that are on their way to the archive, with how far they are.
pub fn unfinished(db: &Connection, docking: i64) -> Result<Vec<(Vec<u8>, String)>> {
    let mut query = db.prepare_cached(
        "SELECT source_path, state FROM job
         WHERE docking = ?1 AND state IN ('planned', 'copying', 'copied', 'verified')",
    )?;
    Ok(query.query_map([docking], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// Every job, oldest first: unfinished, failed and quarantined.
pub fn all(db: &Connection) -> Result<Vec<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job ORDER BY id");
    Ok(db.prepare(&sql)?.query_map([], job)?.collect::<rusqlite::Result<_>>()?)
}

/// One job by the id of its recording.
pub fn get(db: &Connection, recording: &str) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE recording = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([recording], job).optional()?)
}

/// The volumes a job is written to: (volume id, state).
pub fn targets(db: &Connection, id: i64) -> Result<Vec<(String, String)>> {
    let mut query =
        db.prepare_cached("SELECT volume, state FROM job_target WHERE job = ?1 ORDER BY volume")?;
    Ok(query.query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// Sends a job to another place.
pub fn set_dest(tx: &Connection, id: i64, dest: &str) -> Result<()> {
    tx.prepare_cached("UPDATE job SET dest = ?2 WHERE id = ?1")?.execute(params![id, dest])?;
    Ok(())
}

/// Writes down that an interrupted copy goes on behind the first `offset` bytes, which were read then.
pub fn resumed(tx: &Connection, by: &By, recording: &str, offset: u64) -> Result<()> {
    let details = json!({ "offset": offset });
    log::append(tx, &by.entry("recording.resumed", object(recording), details))?;
    Ok(())
}

/// Begins copying: names the volumes written to now and those that get their copy later. Those of
/// an earlier try that are neither get it later too: nobody would ever finish theirs.
pub fn begin_copy(tx: &Connection, id: i64, writing: &[String], owed: &[String]) -> Result<()> {
    tx.prepare_cached("UPDATE job_target SET state = 'owed' WHERE job = ?1")?.execute([id])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO job_target (job, volume, state) VALUES (?1, ?2, ?3)
         ON CONFLICT (job, volume) DO UPDATE SET state = excluded.state",
    )?;
    for volume in writing {
        insert.execute(params![id, volume, "writing"])?;
    }
    for volume in owed {
        insert.execute(params![id, volume, "owed"])?;
    }
    tx.prepare_cached("UPDATE job SET attempts = attempts + 1 WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// A volume drops out of a running copy and gets its own later, from the archive.
pub fn owe(tx: &Connection, id: i64, volume: &str) -> Result<()> {
    tx.prepare_cached("UPDATE job_target SET state = 'owed' WHERE job = ?1 AND volume = ?2")?
        .execute(params![id, volume])?;
    Ok(())
}

/// Journals a running copy (protocol step 3): `offset` bytes are durable on every volume written to.
pub fn journal(tx: &Connection, by: &By, id: i64, offset: u64, state: &[u8]) -> Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO job_block (job, offset, state) VALUES (?1, ?2, ?3)")?
        .execute(params![id, offset.cast_signed(), state])?;
    let recording: Option<String> = tx
        .prepare_cached(
            "UPDATE job SET state = 'copying' WHERE id = ?1 AND state = 'planned' RETURNING recording",
        )?
        .query_row([id], |r| r.get(0))
        .optional()?;
    if let Some(recording) = recording {
        log::append(tx, &by.entry("recording.copying", object(&recording), json!({ "offset": offset })))?;
    }
    Ok(())
}

/// The journal of a copy: (offset, hash state), ascending.
pub fn journal_of(db: &Connection, id: i64) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut query =
        db.prepare_cached("SELECT offset, state FROM job_block WHERE job = ?1 ORDER BY offset")?;
    let rows = query.query_map([id], |r| Ok((r.get::<_, i64>(0)?.unsigned_abs(), r.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets the journal beyond an offset.
pub fn cut_journal(tx: &Connection, id: i64, offset: u64) -> Result<()> {
    tx.prepare_cached("DELETE FROM job_block WHERE job = ?1 AND offset > ?2")?
        .execute(params![id, offset.cast_signed()])?;
    Ok(())
}

/// The part is whole and durable on a volume (protocol step 5).
pub fn copied(
    tx: &Connection,
    by: &By,
    job: &Job,
    volume: (&str, &str),
    sha256: &[u8],
    sm3: Option<&[u8]>,
) -> Result<()> {
    let begun = tx
        .prepare_cached("UPDATE job_target SET state = 'copied' WHERE job = ?1 AND volume = ?2")?
        .execute(params![job.id, volume.0])?;
    // The beginning is written down without waiting; where that failed, nobody could end it.
    if begun == 0 {
        return Err(Error::new(Kind::Catalog, "the catalogue has not taken down that a copy was begun")
            .next("run `docket doctor`; it checks the catalogue and its disk"));
    }
    tx.prepare_cached(
        "UPDATE job SET state = 'copied', sha256 = ?2, sm3 = ?3 WHERE id = ?1 AND state <> 'verified'",
    )?
    .execute(params![job.id, sha256, sm3])?;
    let mut details = json!({ "volume": volume.1, "sha256": hex(sha256), "size": job.size });
    if let Some(sm3) = sm3 {
        details["sm3"] = hex(sm3).into();
    }
    log::append(tx, &by.entry("recording.copied", object(&job.recording), details))?;
    Ok(())
}

/// The bytes on a volume were read back from the medium with the same hash (protocol step 6).
pub fn verified(tx: &Connection, by: &By, job: &Job, volume: (&str, &str), how: &str) -> Result<()> {
    tx.prepare_cached("UPDATE job_target SET state = 'verified', how = ?3 WHERE job = ?1 AND volume = ?2")?
        .execute(params![job.id, volume.0, how])?;
    tx.prepare_cached("UPDATE job SET state = 'verified' WHERE id = ?1")?.execute([job.id])?;
    let details = json!({ "volume": volume.1, "how": how });
    log::append(tx, &by.entry("recording.verified", object(&job.recording), details))?;
    Ok(())
}

/// The original lies in its place on a volume. Once no volume is under way, the recording is
/// archived (protocol step 8); returns whether it is now.
pub fn placed(tx: &Connection, by: &By, id: i64, volume: &str) -> Result<bool> {
    tx.prepare_cached("UPDATE job_target SET state = 'placed' WHERE job = ?1 AND volume = ?2")?
        .execute(params![id, volume])?;
    archive_if_done(tx, by, id)
}

/// Archives a job once at least one volume holds it and none is under way.
pub fn archive_if_done(tx: &Connection, by: &By, id: i64) -> Result<bool> {
    let targets = targets(tx, id)?;
    let under_way = targets.iter().any(|(_, s)| s != "placed" && s != "owed");
    if under_way || !targets.iter().any(|(_, s)| s == "placed") {
        return Ok(false);
    }
    let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ?1");
    let job = tx.prepare_cached(&sql)?.query_row([id], job)?;
    recordings::insert_from_job(tx, by, &job)?;
    remove(tx, id)?;
    Ok(true)
}

/// The bytes are archived already: a volume drops out, and with the last one the source file is
/// noted as known and the job ends. Returns whether it has ended.
pub fn duplicate(tx: &Connection, by: &By, job: &Job, volume: &str, of: &str) -> Result<bool> {
    owe(tx, job.id, volume)?;
    if targets(tx, job.id)?.iter().any(|(_, state)| state != "owed") {
        return Ok(false);
    }
    recordings::note_source(tx, &job.recorder, &job.source_path, job.size, job.mtime_ns, of, job.docking)?;
    remove(tx, job.id)?;
    log::append(tx, &by.entry("recording.duplicate", object(&job.recording), json!({ "of": of })))?;
    Ok(true)
}

/// Sets a job back or aside: `retry`, `failed`, `quarantined`, or `planned` to start over.
pub fn set_aside(tx: &Connection, by: &By, id: i64, state: &str, reason: &str) -> Result<()> {
    let recording: Option<String> = tx
        .prepare_cached(
            "UPDATE job SET state = ?2, reason = ?3, sha256 = NULL, sm3 = NULL WHERE id = ?1 RETURNING recording",
        )?
        .query_row(params![id, state, reason], |r| r.get(0))
        .optional()?;
    let action = match state {
        "failed" => "recording.failed",
        "quarantined" => "recording.quarantined",
        "retry" => "recording.retry",
        _ => "recording.restarted",
    };
    if let Some(recording) = recording {
        log::append(tx, &by.entry(action, object(&recording), json!({ "reason": reason })))?;
    }
    Ok(())
}

/// Starts a copy over: forgets journal and volumes; takes the source's new size and time.
pub fn restart(tx: &Connection, by: &By, id: i64, size: u64, mtime_ns: i64, reason: &str) -> Result<()> {
    tx.prepare_cached("UPDATE job SET size = ?2, mtime_ns = ?3 WHERE id = ?1")?.execute(params![
        id,
        size.cast_signed(),
        mtime_ns
    ])?;
    tx.prepare_cached("DELETE FROM job_block WHERE job = ?1")?.execute([id])?;
    tx.prepare_cached("DELETE FROM job_target WHERE job = ?1")?.execute([id])?;
    set_aside(tx, by, id, "planned", reason)
}

/// Notes a file that was moved to a volume's quarantine.
pub fn note_quarantine(
    tx: &Connection,
    by: &By,
    volume: (&str, &str),
    path: &str,
    recording: &str,
    reason: &str,
) -> Result<()> {
    tx.execute(
        "INSERT OR IGNORE INTO quarantine (volume, path, recording, reason, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![volume.0, path, recording, reason, to_ms(by.at)],
    )?;
    let details = json!({ "volume": volume.1, "path": path, "reason": reason });
    log::append(tx, &by.entry("file.quarantined", object(recording), details))?;
    Ok(())
}

/// Whether the bytes of a job are somebody else's already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SameBytes {
    /// They are new.
    No,
    /// Another job of the same recorder archives them just now.
    UnderWay,
    /// They are archived, as this recording.
    Archived(String),
    /// A recording has them, but no good copy of it is left; its originals lie here.
    Lost(String),
}

/// Looks for the bytes of a job among what its recorder has brought already. Empty files have none.
pub fn same_bytes(db: &Connection, job: &Job, sha256: &[u8]) -> Result<SameBytes> {
    if job.size == 0 {
        return Ok(SameBytes::No);
    }
    let of = recordings::by_content(db, &job.recorder, sha256, job.size)?;
    if let Some(of) = &of
        && copies::has_good(db, of)?
    {
        return Ok(SameBytes::Archived(of.clone()));
    }
    let mut query = db.prepare_cached(
        "SELECT 1 FROM job WHERE recorder = ?1 AND sha256 = ?2 AND size = ?3 AND id <> ?4
           AND state IN ('copied', 'verified')",
    )?;
    let twin = query.exists(params![job.recorder, sha256, job.size.cast_signed(), job.id])?;
    if twin {
        return Ok(SameBytes::UnderWay);
    }
    let Some(of) = of else { return Ok(SameBytes::No) };
    let place = copies::of(db, &of)?.into_iter().next().map(|c| c.path);
    Ok(SameBytes::Lost(place.unwrap_or_else(|| job.dest.clone())))
}

fn remove(tx: &Connection, id: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM job_block WHERE job = ?1")?.execute([id])?;
    tx.prepare_cached("DELETE FROM job_target WHERE job = ?1")?.execute([id])?;
    tx.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Whether the catalogue knows of a file in a volume's quarantine.
pub fn is_quarantined(db: &Connection, volume: &str, path: &str) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT 1 FROM quarantine WHERE volume = ?1 AND path = ?2")?;
    Ok(query.exists(params![volume, path])?)
}

/// What became of a job when a volume dropped out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// The other volumes hold it: the recording is archived, this volume is owed its copy.
    Archived,
    /// Others are still writing or reading back.
    OthersGoOn,
    /// Nobody holds it: it starts over.
    Restarted,
}

/// A volume drops out of a job for `reason`.
pub fn give_up(tx: &Connection, by: &By, id: i64, volume: &str, reason: &str) -> Result<GivenUp> {
    owe(tx, id, volume)?;
    if archive_if_done(tx, by, id)? {
        return Ok(GivenUp::Archived);
    }
    if targets(tx, id)?.iter().any(|(_, state)| state != "owed") {
        return Ok(GivenUp::OthersGoOn);
    }
    tx.prepare_cached("DELETE FROM job_block WHERE job = ?1")?.execute([id])?;
    tx.prepare_cached("DELETE FROM job_target WHERE job = ?1")?.execute([id])?;
    set_aside(tx, by, id, "planned", reason)?;
    Ok(GivenUp::Restarted)
}

/// A volume that has failed drops out of a job where another has the bytes or is getting them; `None`
/// where it is the only one: the job stays as it is, for the next start.
pub fn drop_out(tx: &Connection, by: &By, id: i64, volume: &str, reason: &str) -> Result<Option<GivenUp>> {
    let others = targets(tx, id)?.iter().any(|(v, state)| v != volume && state != "owed");
    others.then(|| give_up(tx, by, id, volume, reason)).transpose()
}

/// Notes what went wrong at the last try; the job stays where it is.
pub fn note_reason(tx: &Connection, id: i64, reason: &str) -> Result<()> {
    tx.prepare_cached("UPDATE job SET reason = ?2 WHERE id = ?1")?.execute(params![id, reason])?;
    Ok(())
}
