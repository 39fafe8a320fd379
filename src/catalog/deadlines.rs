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

/// Whether footage of a recorder is known that is not archived yet.
pub fn has_running_recordings(db: &Connection, recorder: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM job WHERE recorder = ?1 AND kind IN ('video', 'audio', 'photo') LIMIT 1";
    Ok(db.prepare_cached(sql)?.exists([recorder])?)
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
/// stays up to `docking`: a stay that ended safely was safe until then.
pub fn emptied_before(db: &Connection, recorder: &str, docking: i64, seen: i64) -> Result<Option<i64>> {
    let sql = "SELECT CASE WHEN ended_at < ?3 AND state = 'safe' THEN ended_at ELSE safe_at END FROM docking
               WHERE recorder = ?1 AND id <= ?2 AND safe_at < ?3 ORDER BY started_at DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row(params![recorder, docking, seen], |r| r.get(0)).optional()?)
}

/// When a stay began, was safe, and ended, milliseconds.
pub type StayTimes = (i64, Option<i64>, Option<i64>);

/// The newest stay of a recorder.
pub fn newest_stay(db: &Connection, recorder: &str) -> Result<Option<StayTimes>> {
    let sql = "SELECT started_at, safe_at, ended_at FROM docking WHERE recorder = ?1
               ORDER BY started_at DESC, id DESC LIMIT 1";
    let one = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
    Ok(db.prepare_cached(sql)?.query_row([recorder], one).optional()?)
}

/// The subjects of the running deadlines of a recorder's footage.
pub fn running_of(db: &Connection, recorder: &str) -> Result<Vec<String>> {
    let sql = "SELECT subject FROM deadline WHERE recorder = ?1 AND state = 'running'";
    Ok(db.prepare_cached(sql)?.query_map([recorder], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Raw bytes of the path that a recording had on its card.
pub fn source_of(db: &Connection, id: &str) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT source_path FROM recording WHERE id = ?1
               UNION ALL SELECT source_path FROM job WHERE recording = ?1";
    Ok(db.prepare_cached(sql)?.query_row([id], |r| r.get(0)).optional()?)
}

/// Whether a recorder is being copied from now.
pub fn is_docked(db: &Connection, recorder: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM docking WHERE ended_at IS NULL AND recorder = ?1";
    Ok(db.prepare_cached(sql)?.exists([recorder])?)
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
