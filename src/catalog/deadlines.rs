//! Deadlines, and the facts that they are evaluated from.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::base::Result;
use crate::base::segment::number_key;

/// One promise with a due time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// `recording:<id>`, `recorder:<id>`, `case:<number>`.
    pub subject: String,
    /// `recording`, `recorder`, `case`.
    pub kind: String,
    /// Earliest bound of the due time, milliseconds.
    pub earliest: i64,
    /// Latest bound, milliseconds; equal where the facts are credible.
    pub latest: i64,
    /// The reasoning.
    pub reason: String,
    /// The recorder it is about.
    pub recorder: Option<String>,
    /// Who held it, by the ledger; for a case its first officer.
    pub officer: Option<i64>,
    /// The officer's unit, or the recorder's, or the case's.
    pub unit: Option<i64>,
    /// `running`, `met`, `late`, `void`.
    pub state: String,
    /// When it was kept, milliseconds.
    pub met_at: Option<i64>,
    /// Milliseconds past the latest bound, for `late`.
    pub late_by: Option<i64>,
    /// When it changes by time alone, for `running`.
    pub next_at: Option<i64>,
}

const COLUMNS: &str =
    "subject, kind, earliest, latest, reason, recorder, officer, unit, state, met_at, late_by, next_at";

fn deadline(r: &Row<'_>) -> rusqlite::Result<Deadline> {
    Ok(Deadline {
        subject: r.get(0)?,
        kind: r.get(1)?,
        earliest: r.get(2)?,
        latest: r.get(3)?,
        reason: r.get(4)?,
        recorder: r.get(5)?,
        officer: r.get(6)?,
        unit: r.get(7)?,
        state: r.get(8)?,
        met_at: r.get(9)?,
        late_by: r.get(10)?,
        next_at: r.get(11)?,
    })
}

/// The deadline of a subject.
pub fn get(db: &Connection, subject: &str) -> Result<Option<Deadline>> {
    let sql = format!("SELECT {COLUMNS} FROM deadline WHERE subject = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([subject], deadline).optional()?)
}

/// Writes a deadline as it stands now.
pub fn put(tx: &Connection, d: &Deadline) -> Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO deadline ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    tx.prepare_cached(&sql)?.execute(params![
        d.subject, d.kind, d.earliest, d.latest, d.reason, d.recorder, d.officer, d.unit, d.state, d.met_at,
        d.late_by, d.next_at
    ])?;
    Ok(())
}

/// Running deadlines that changed by time alone up to `now`, the longest waiting first.
pub fn due(db: &Connection, now: i64, limit: u32) -> Result<Vec<Deadline>> {
    let sql = format!("SELECT {COLUMNS} FROM deadline WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2");
    Ok(db.prepare_cached(&sql)?.query_map(params![now, limit], deadline)?.collect::<rusqlite::Result<_>>()?)
}

/// When the next running deadline changes by time alone.
pub fn next_at(db: &Connection) -> Result<Option<i64>> {
    let sql = "SELECT next_at FROM deadline WHERE next_at IS NOT NULL ORDER BY next_at LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], |r| r.get(0)).optional()?)
}

/// Running deadlines of a kind, the soonest due first.
pub fn running(db: &Connection, kind: &str) -> Result<Vec<Deadline>> {
    let sql =
        format!("SELECT {COLUMNS} FROM deadline WHERE state = 'running' AND kind = ?1 ORDER BY earliest");
    Ok(db.prepare_cached(&sql)?.query_map([kind], deadline)?.collect::<rusqlite::Result<_>>()?)
}

/// How many deadlines run, and how many of them are past their earliest bound at `now`.
pub fn counts(db: &Connection, now: i64) -> Result<(u64, u64)> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE earliest < ?1) FROM deadline WHERE state = 'running'";
    let count = |r: &Row<'_>, i| Ok::<_, rusqlite::Error>(r.get::<_, i64>(i)?.unsigned_abs());
    Ok(db.prepare_cached(sql)?.query_row([now], |r| Ok((count(r, 0)?, count(r, 1)?)))?)
}

/// Deadlines that were kept too late, the newest first, for as long as `each` wants more.
pub fn late(db: &Connection, each: &mut dyn FnMut(Deadline) -> Result<bool>) -> Result<()> {
    let sql = format!("SELECT {COLUMNS} FROM deadline WHERE state = 'late' ORDER BY met_at DESC");
    let mut query = db.prepare_cached(&sql)?;
    for row in query.query_map([], deadline)? {
        if !each(row?)? {
            break;
        }
    }
    Ok(())
}

/// What is known of a recording, archived or still to be.
#[derive(Debug, Clone)]
pub struct Footage {
    /// Whose card it is on or was on.
    pub recorder: String,
    /// The stay it was archived in, or last seen in.
    pub docking: Option<i64>,
    /// video, audio, photo, …
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// What name and card told, as JSON.
    pub facts: String,
    /// What the container told, as JSON.
    pub probed: Option<String>,
    /// When it was archived, milliseconds; `None` while it is not.
    pub archived_at: Option<i64>,
}

/// What is known of a recording by its id.
pub fn footage(db: &Connection, id: &str) -> Result<Option<Footage>> {
    let one = |r: &Row<'_>| {
        Ok(Footage {
            recorder: r.get(0)?,
            docking: r.get(1)?,
            kind: r.get(2)?,
            size: r.get::<_, i64>(3)?.unsigned_abs(),
            facts: r.get(4)?,
            probed: r.get(5)?,
            archived_at: r.get(6)?,
        })
    };
    let archived =
        "SELECT recorder, docking, kind, size, facts, probed, archived_at FROM recording WHERE id = ?1";
    if let Some(found) = db.prepare_cached(archived)?.query_row([id], one).optional()? {
        return Ok(Some(found));
    }
    let waiting = "SELECT recorder, docking, kind, size, facts, NULL, NULL FROM job WHERE recording = ?1";
    Ok(db.prepare_cached(waiting)?.query_row([id], one).optional()?)
}

/// Keeps who held the recorder when a recording was made.
pub fn set_holder(tx: &Connection, id: &str, officer: Option<i64>) -> Result<()> {
    tx.prepare_cached("UPDATE recording SET officer = ?2 WHERE id = ?1 AND officer IS NOT ?2")?
        .execute(params![id, officer])?;
    Ok(())
}

/// The last moment before `seen` at which the whole card of a recorder was known to be archived, by the
/// stays up to `docking`: a stay that ended safely was safe until then, one that was cut off with the daemon
/// only as long as anybody looked.
pub fn emptied_before(db: &Connection, recorder: &str, docking: i64, seen: i64) -> Result<Option<i64>> {
    let sql = "SELECT id, safe_at, ended_at, state FROM docking
               WHERE recorder = ?1 AND id <= ?2 AND safe_at < ?3 ORDER BY id DESC LIMIT 1";
    let one = |r: &Row<'_>| {
        Ok((r.get::<_, i64>(0)?, r.get::<_, i64>(1)?, r.get::<_, Option<i64>>(2)?, r.get::<_, String>(3)?))
    };
    let found = db.prepare_cached(sql)?.query_row(params![recorder, docking, seen], one).optional()?;
    let Some((id, safe, ended, state)) = found else { return Ok(None) };
    Ok(Some(match ended.filter(|ended| *ended < seen && state == "safe") {
        Some(ended) if !was_interrupted(db, id)? => ended,
        _ => safe,
    }))
}

/// One stay, as far as clocks need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StayRow {
    /// Its number.
    pub id: i64,
    /// When it began, milliseconds.
    pub started_at: i64,
    /// When everything was archived.
    pub safe_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Its state.
    pub state: String,
    /// Files that could not be archived.
    pub failed: i64,
}

/// The stays of a recorder, the newest first; by number, since clocks are set.
pub fn stays(db: &Connection, recorder: &str, limit: u32) -> Result<Vec<StayRow>> {
    let sql = "SELECT id, started_at, safe_at, ended_at, state, failed FROM docking WHERE recorder = ?1
               ORDER BY id DESC LIMIT ?2";
    let one = |r: &Row<'_>| {
        Ok(StayRow {
            id: r.get(0)?,
            started_at: r.get(1)?,
            safe_at: r.get(2)?,
            ended_at: r.get(3)?,
            state: r.get(4)?,
            failed: r.get(5)?,
        })
    };
    Ok(db.prepare_cached(sql)?.query_map(params![recorder, limit], one)?.collect::<rusqlite::Result<_>>()?)
}

fn has_entry(db: &Connection, docking: i64, words: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM custody WHERE object = ?1 AND instr(CAST(entry AS TEXT), ?2) > 0";
    Ok(db.prepare_cached(sql)?.exists(params![format!("docking:{docking}"), words])?)
}

/// Whether a stay was cut off with the daemon: nobody looked any more until the next start.
pub fn was_interrupted(db: &Connection, docking: i64) -> Result<bool> {
    has_entry(db, docking, "\"action\":\"docking.interrupted\"")
}

/// Whether the whole card was looked through in a stay: only then the copying begins.
pub fn was_walked(db: &Connection, docking: i64) -> Result<bool> {
    has_entry(db, docking, "\"state\":\"copying\"")
}

/// Whether files of a stay wait to be archived, or were given up.
pub fn has_jobs(db: &Connection, docking: i64) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM job WHERE docking = ?1 LIMIT 1")?.exists([docking])?)
}

/// Recordings of a recorder that were archived from a moment on.
pub fn archived_since(db: &Connection, recorder: &str, from: i64) -> Result<Vec<String>> {
    let sql = "SELECT id FROM recording WHERE recorder = ?1 AND archived_at >= ?2
               AND kind IN ('video', 'audio', 'photo')";
    Ok(db
        .prepare_cached(sql)?
        .query_map(params![recorder, from], |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

/// Subjects of late deadlines that were kept after a moment: by a clock that was wrong, where it is to come.
pub fn late_after(db: &Connection, at: i64) -> Result<Vec<String>> {
    let sql = "SELECT subject FROM deadline WHERE state = 'late' AND met_at > ?1";
    Ok(db.prepare_cached(sql)?.query_map([at], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Until when a recorder that is being copied from is in hand: a stay that takes longer than `patience`
/// milliseconds is trouble, and none that anybody waits for.
pub fn in_hand_until(db: &Connection, recorder: &str, patience: i64) -> Result<Option<i64>> {
    let sql = "SELECT max(started_at) + ?2 FROM docking
               WHERE ended_at IS NULL AND recorder = ?1 AND state IN ('looking', 'copying')";
    Ok(db.prepare_cached(sql)?.query_row(params![recorder, patience], |r| r.get(0)).optional()?.flatten())
}

/// The subjects of the running deadlines of a recorder's footage.
pub fn running_of(db: &Connection, recorder: &str) -> Result<Vec<String>> {
    let sql = "SELECT subject FROM deadline WHERE recorder = ?1 AND state = 'running'";
    Ok(db.prepare_cached(sql)?.query_map([recorder], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// How many recordings of a recorder are past the earliest bound of their deadline at a moment.
pub fn overdue_of(db: &Connection, recorder: &str, now: i64) -> Result<u64> {
    let sql = "SELECT count(*) FROM deadline WHERE recorder = ?1 AND state = 'running' AND kind = 'recording'
               AND earliest < ?2";
    let count: i64 = db.prepare_cached(sql)?.query_row(params![recorder, now], |r| r.get(0))?;
    Ok(count.unsigned_abs())
}

/// Recorders whose clock was not credible in footage that is not archived, or was since a moment, and the
/// reasoning for one of them.
pub fn doubtful_clocks(db: &Connection, since: i64) -> Result<Vec<(String, String)>> {
    let sql = "SELECT recorder, max(reason) FROM deadline
               WHERE kind = 'recording' AND earliest < latest AND reason LIKE '%clock is not credible%'
                 AND (state = 'running' OR met_at >= ?1) AND recorder IS NOT NULL GROUP BY recorder";
    Ok(db
        .prepare_cached(sql)?
        .query_map([since], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?)
}

/// Raw bytes of the path that a recording had on its card.
pub fn source_of(db: &Connection, id: &str) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT source_path FROM recording WHERE id = ?1
               UNION ALL SELECT source_path FROM job WHERE recording = ?1";
    Ok(db.prepare_cached(sql)?.query_row([id], |r| r.get(0)).optional()?)
}

/// The recorder of a stay.
pub fn recorder_of_docking(db: &Connection, docking: i64) -> Result<Option<String>> {
    let sql = "SELECT recorder FROM docking WHERE id = ?1";
    Ok(db.prepare_cached(sql)?.query_row([docking], |r| r.get(0)).optional()?.flatten())
}

/// The limits of a unit, its own or those of the nearest unit above it: hours for archiving, days for
/// case files.
pub fn limits(db: &Connection, unit: i64) -> Result<(Option<u32>, Option<u32>)> {
    let sql = "SELECT archive_hours, case_days, parent FROM unit WHERE id = ?1";
    let mut query = db.prepare_cached(sql)?;
    let (mut hours, mut days, mut at) = (None, None, Some(unit));
    // A circle of parents ends here.
    for _ in 0..32 {
        let Some(unit) = at else { break };
        let one = |r: &Row<'_>| Ok((r.get::<_, Option<u32>>(0)?, r.get::<_, Option<u32>>(1)?, r.get(2)?));
        let Some((own_hours, own_days, parent)) = query.query_row([unit], one).optional()? else { break };
        hours = hours.or(own_hours);
        days = days.or(own_days);
        at = if hours.is_some() && days.is_some() { None } else { parent };
    }
    Ok((hours, days))
}

/// A case file, as far as its clock needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseClock {
    /// Its unit.
    pub unit: i64,
    /// Days of its own for the file.
    pub case_days: Option<u32>,
    /// When the act ended, milliseconds.
    pub act_ended_at: Option<i64>,
    /// When the file was closed.
    pub closed_at: Option<i64>,
    /// The first officer on it.
    pub officer: Option<i64>,
}

/// The clock of a case.
pub fn case_clock(db: &Connection, number: &str) -> Result<Option<CaseClock>> {
    let sql = "SELECT c.unit, c.case_days, c.act_ended_at, c.closed_at,
                 (SELECT min(o.officer) FROM case_officer o WHERE o.case_file = c.id)
               FROM case_file c WHERE c.number_key = ?1";
    let one = |r: &Row<'_>| {
        Ok(CaseClock {
            unit: r.get(0)?,
            case_days: r.get(1)?,
            act_ended_at: r.get(2)?,
            closed_at: r.get(3)?,
            officer: r.get(4)?,
        })
    };
    Ok(db.prepare_cached(sql)?.query_row([number_key(number)], one).optional()?)
}
