//! Footage that may belong to a case, by the indexes on who held a recorder when.

use rusqlite::{Connection, Row, params};

use crate::base::Result;

/// A recording as far as the rules ask.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// Whose card it came from.
    pub recorder: String,
    /// video, audio, photo, …
    pub kind: String,
    /// `archived`, `damaged`, `missing`.
    pub state: String,
    /// Raw bytes of the path it had on the card.
    pub source_path: Vec<u8>,
    /// What name and directory told, JSON.
    pub facts: String,
    /// Container facts, JSON, once read.
    pub probed: Option<String>,
    /// Milliseconds.
    pub taken_at: i64,
    /// Who held the recorder, as it was noted.
    pub officer: Option<i64>,
}

/// The time of a step of an open case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStep {
    /// The case.
    pub case: i64,
    /// The step.
    pub step: i64,
    /// When it began, milliseconds.
    pub from: Option<i64>,
    /// When it ended, milliseconds.
    pub to: Option<i64>,
}

/// Recordings looked at between two times at most: as many as two thousand recorders make in a few hours.
const GLIMPSED: u32 = 8000;

/// A recorder in somebody's hands: recorder, officer, from, until (milliseconds).
pub type Hold = (String, i64, i64, i64);

const COLUMNS: &str = "id, recorder, kind, state, source_path, facts, probed, taken_at, officer";

fn candidate(r: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        id: r.get(0)?,
        recorder: r.get(1)?,
        kind: r.get(2)?,
        state: r.get(3)?,
        source_path: r.get(4)?,
        facts: r.get(5)?,
        probed: r.get(6)?,
        taken_at: r.get(7)?,
        officer: r.get(8)?,
    })
}

/// One recording.
pub fn one(db: &Connection, id: &str) -> Result<Candidate> {
    let sql = format!("SELECT {COLUMNS} FROM recording WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], candidate)?)
}

/// Which of several come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

impl First {
    fn order(self) -> &'static str {
        if self == First::Oldest { "ASC" } else { "DESC" }
    }
}

/// Recordings noted as an officer's, made between two times.
pub fn of_officer(
    db: &Connection,
    officer: i64,
    (from, to): (i64, i64),
    first: First,
    limit: u32,
) -> Result<Vec<Candidate>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recording INDEXED BY recording_officer
         WHERE officer = ?1 AND taken_at BETWEEN ?2 AND ?3 ORDER BY taken_at {} LIMIT ?4",
        first.order()
    );
    let mut query = db.prepare_cached(&sql)?;
    Ok(query.query_map(params![officer, from, to, limit], candidate)?.collect::<rusqlite::Result<_>>()?)
}

/// Recordings of a recorder, made between two times, that are not noted as anybody's.
pub fn of_recorder(
    db: &Connection,
    recorder: &str,
    (from, to): (i64, i64),
    first: First,
    limit: u32,
) -> Result<Vec<Candidate>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recording INDEXED BY recording_recorder
         WHERE recorder = ?1 AND taken_at BETWEEN ?2 AND ?3 AND officer IS NULL ORDER BY taken_at {} LIMIT ?4",
        first.order()
    );
    let mut query = db.prepare_cached(&sql)?;
    Ok(query.query_map(params![recorder, from, to, limit], candidate)?.collect::<rusqlite::Result<_>>()?)
}

/// What can be said of a recording without taking it out of the catalogue.
pub struct Glimpse<'a> {
    /// Who held the recorder, as it was noted.
    pub officer: Option<i64>,
    /// Raw bytes of the path it had on the card.
    pub source_path: &'a [u8],
    /// What name and directory told, JSON.
    pub facts: &'a str,
    /// Container facts, JSON, once read.
    pub probed: Option<&'a str>,
}

/// Those recordings of whatever recorder that `wanted` wants, from the newest on.
pub fn taken_between(
    db: &Connection,
    (from, to): (i64, i64),
    limit: usize,
    wanted: &dyn Fn(&Glimpse<'_>) -> bool,
) -> Result<Vec<Candidate>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recording INDEXED BY recording_taken
         WHERE taken_at BETWEEN ?1 AND ?2 ORDER BY taken_at DESC LIMIT ?3"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![from, to, GLIMPSED])?;
    let mut out = Vec::new();
    while let Some(r) = rows.next()? {
        let glimpse = Glimpse {
            officer: r.get(8)?,
            source_path: r.get_ref(4)?.as_blob().unwrap_or_default(),
            facts: r.get_ref(5)?.as_str().unwrap_or_default(),
            probed: r.get_ref(6)?.as_str_or_null().unwrap_or_default(),
        };
        if wanted(&glimpse) {
            out.push(candidate(r)?);
            if out.len() >= limit {
                break;
            }
        }
    }
    Ok(out)
}

/// What an officer held between two times: by the ledger, and the recorders that the register assigns to them.
pub fn held_by(db: &Connection, officer: i64, from: i64, to: i64) -> Result<Vec<Hold>> {
    let mut query = db.prepare_cached(
        "SELECT recorder, officer, max(issued_at, ?2), min(coalesce(returned_at, ?3), ?3) FROM issue
         WHERE officer = ?1 AND void = 0 AND issued_at <= ?3 AND (returned_at IS NULL OR returned_at > ?2)
         UNION ALL SELECT id, officer, ?2, ?3 FROM recorder_entry WHERE officer = ?1",
    )?;
    let hold = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?));
    Ok(query.query_map(params![officer, from, to], hold)?.collect::<rusqlite::Result<_>>()?)
}

/// The steps with a time in the open cases of an officer.
pub fn open_steps_of(db: &Connection, officer: i64) -> Result<Vec<OpenStep>> {
    let mut query = db.prepare_cached(
        "SELECT s.case_file, s.id, s.from_at, s.to_at
         FROM case_officer k JOIN case_file c ON c.id = k.case_file JOIN case_step s ON s.case_file = c.id
         WHERE k.officer = ?1 AND c.closed_at IS NULL AND s.applies = 1
           AND (s.from_at IS NOT NULL OR s.to_at IS NOT NULL)",
    )?;
    let step =
        |r: &Row<'_>| Ok(OpenStep { case: r.get(0)?, step: r.get(1)?, from: r.get(2)?, to: r.get(3)? });
    Ok(query.query_map([officer], step)?.collect::<rusqlite::Result<_>>()?)
}
