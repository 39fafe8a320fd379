//! Cases and the officers on them. Whatever changes the words of a case writes its index too.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rights;
use crate::access::About;
use crate::base::segment::{number_key, words};
use crate::base::{Error, Kind, Result};

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its place in the catalogue.
    pub id: i64,
    /// Its number, as it was given.
    pub number: String,
    /// Key of its kind.
    pub kind: String,
    /// The checklist it was opened with.
    pub checklist: String,
    /// What it is about.
    pub title: String,
    /// The parties.
    pub parties: String,
    /// Where.
    pub address: String,
    /// The unit that handles it.
    pub unit: i64,
    /// How far it has come, in the unit's own words.
    pub stage: String,
    /// Who may know of it: a word of `cases::classify`.
    pub classification: String,
    /// Days for the case file after the act's end, where the case has a limit of its own.
    pub case_days: Option<u32>,
    /// Milliseconds.
    pub opened_at: i64,
    /// When the act ended, milliseconds: the clock of article 28 runs from here.
    pub act_ended_at: Option<i64>,
    /// When it was closed, milliseconds.
    pub closed_at: Option<i64>,
}

const COLUMNS: &str = "id, number, kind, checklist, title, parties, address, unit, stage, classification,
    case_days, opened_at, act_ended_at, closed_at";

pub(super) fn case(r: &Row<'_>) -> rusqlite::Result<Case> {
    Ok(Case {
        id: r.get(0)?,
        number: r.get(1)?,
        kind: r.get(2)?,
        checklist: r.get(3)?,
        title: r.get(4)?,
        parties: r.get(5)?,
        address: r.get(6)?,
        unit: r.get(7)?,
        stage: r.get(8)?,
        classification: r.get(9)?,
        case_days: r.get(10)?,
        opened_at: r.get(11)?,
        act_ended_at: r.get(12)?,
        closed_at: r.get(13)?,
    })
}

/// The columns of [`Case`], of a table called `c`.
pub(super) fn columns() -> String {
    COLUMNS.split(',').map(|column| format!("c.{}", column.trim())).collect::<Vec<_>>().join(", ")
}

/// Inserts a case (its `id` is ignored) with its words; its place in the catalogue.
///
/// # Errors
/// [`Kind::Invalid`] where the number is taken, brackets and blanks aside.
pub fn insert(tx: &Connection, c: &Case) -> Result<i64> {
    let key = number_key(&c.number);
    let taken: Option<String> = tx
        .prepare_cached("SELECT number FROM case_file WHERE number_key = ?1")?
        .query_row([&key], |r| r.get(0))
        .optional()?;
    if let Some(number) = taken {
        return Err(Error::new(Kind::Invalid, format!("there is a case {number} already"))
            .next(format!("`docket cases show {number}` shows it; a new case needs a number of its own")));
    }
    tx.prepare_cached(
        "INSERT INTO case_file (number, number_key, kind, checklist, title, parties, address, unit, stage,
           classification, case_days, opened_at, act_ended_at, closed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        c.number,
        key,
        c.kind,
        c.checklist,
        c.title,
        c.parties,
        c.address,
        c.unit,
        c.stage,
        c.classification,
        c.case_days,
        c.opened_at,
        c.act_ended_at,
        c.closed_at
    ])?;
    let id = tx.last_insert_rowid();
    index(tx, id)?;
    Ok(id)
}

/// Writes a changed case back, with its words. Its number and kind stay.
pub fn update(tx: &Connection, c: &Case) -> Result<()> {
    tx.prepare_cached(
        "UPDATE case_file SET title = ?2, parties = ?3, address = ?4, stage = ?5, classification = ?6,
           case_days = ?7, act_ended_at = ?8, closed_at = ?9 WHERE id = ?1",
    )?
    .execute(params![
        c.id,
        c.title,
        c.parties,
        c.address,
        c.stage,
        c.classification,
        c.case_days,
        c.act_ended_at,
        c.closed_at
    ])?;
    index(tx, c.id)
}

/// What a case is found by: its number, title, parties, address, and the names and badges of its officers.
pub(super) fn text(db: &Connection, id: i64) -> Result<String> {
    let (number, title, parties, address): (String, String, String, String) = db
        .prepare_cached("SELECT number, title, parties, address FROM case_file WHERE id = ?1")?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
    let mut out = [number, title, parties, address].join("\n");
    for (_, badge, name) in officers(db, id)? {
        out = format!("{out}\n{badge} {name}");
    }
    Ok(out)
}

/// Writes the words of a case anew.
pub fn index(tx: &Connection, id: i64) -> Result<()> {
    tx.prepare_cached("DELETE FROM case_words WHERE rowid = ?1")?.execute([id])?;
    tx.prepare_cached("INSERT INTO case_words (rowid, words) VALUES (?1, ?2)")?
        .execute(params![id, words(&text(tx, id)?)])?;
    Ok(())
}

/// Writes the words of an officer's cases anew: they are found by the officer's name too.
pub fn index_of_officer(tx: &Connection, officer: i64) -> Result<()> {
    let mut query = tx.prepare_cached("SELECT case_file FROM case_officer WHERE officer = ?1")?;
    let cases: Vec<i64> = query.query_map([officer], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    cases.into_iter().try_for_each(|case| index(tx, case))
}

/// The case of a place in the catalogue.
///
/// # Errors
/// [`Kind::NotFound`].
pub fn get(db: &Connection, id: i64) -> Result<Case> {
    let sql = format!("SELECT {COLUMNS} FROM case_file WHERE id = ?1");
    let found = db.prepare_cached(&sql)?.query_row([id], case).optional()?;
    found.ok_or_else(|| unknown(&id.to_string()))
}

fn unknown(number: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no case `{number}`"))
        .next("`docket cases list` and `docket search` show the cases there are")
}

/// The case of a number, given whole, by its beginning, or by a part that no other case has.
///
/// # Errors
/// [`Kind::NotFound`]; [`Kind::Invalid`] where several cases have that part, with the newest of them.
pub fn find(db: &Connection, number: &str) -> Result<Case> {
    let key = number_key(number);
    let sql = format!("SELECT {COLUMNS} FROM case_file WHERE number_key = ?1");
    if let Some(found) = db.prepare_cached(&sql)?.query_row([&key], case).optional()? {
        return Ok(found);
    }
    if key.is_empty() {
        return Err(unknown(number));
    }
    let mut found = by_part(db, &key, 4)?;
    if found.len() > 1 {
        let mut some: Vec<&str> = found.iter().take(3).map(|c| c.number.as_str()).collect();
        if found.len() > 3 {
            some.push("…");
        }
        return Err(Error::new(Kind::Invalid, format!("several cases have `{number}` in their number"))
            .next(format!("give more of the number: {}", some.join(", "))));
    }
    found.pop().ok_or_else(|| unknown(number))
}

/// Cases whose number has a part, beginnings first by the index of numbers, then by words.
fn by_part(db: &Connection, key: &str, limit: u32) -> Result<Vec<Case>> {
    let mut out = by_beginning(db, key, limit)?;
    if out.is_empty()
        && let Some(expression) = crate::base::segment::expression(key)
    {
        let sql = format!(
            "SELECT {} FROM case_words w JOIN case_file c ON c.id = w.rowid
             WHERE w.case_words MATCH ?1 AND instr(c.number_key, ?2) > 0 ORDER BY w.rowid DESC LIMIT ?3",
            columns()
        );
        let mut query = db.prepare_cached(&sql)?;
        out = query.query_map(params![expression, key, limit], case)?.collect::<rusqlite::Result<_>>()?;
    }
    Ok(out)
}

/// Cases whose number begins like this (as [`number_key`] writes it), newest first.
pub fn by_beginning(db: &Connection, key: &str, limit: u32) -> Result<Vec<Case>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM case_file WHERE number_key >= ?1 AND number_key < ?1 || char(1114111)
         ORDER BY number_key DESC LIMIT ?2"
    );
    let mut query = db.prepare_cached(&sql)?;
    Ok(query.query_map(params![key, limit], case)?.collect::<rusqlite::Result<_>>()?)
}

/// The officers on a case: number in the register, badge, name; by badge.
pub fn officers(db: &Connection, case: i64) -> Result<Vec<(i64, String, String)>> {
    let mut query = db.prepare_cached(
        "SELECT o.id, o.badge, o.name FROM case_officer k JOIN officer o ON o.id = k.officer
         WHERE k.case_file = ?1 ORDER BY o.badge",
    )?;
    Ok(query
        .query_map([case], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?)
}

/// Puts an officer on a case; false where that is so already.
pub fn add_officer(tx: &Connection, case: i64, officer: i64) -> Result<bool> {
    let new = tx
        .prepare_cached("INSERT OR IGNORE INTO case_officer (case_file, officer) VALUES (?1, ?2)")?
        .execute([case, officer])?;
    index(tx, case)?;
    Ok(new > 0)
}

/// Takes an officer off a case; false where they were not on it.
pub fn remove_officer(tx: &Connection, case: i64, officer: i64) -> Result<bool> {
    let gone = tx
        .prepare_cached("DELETE FROM case_officer WHERE case_file = ?1 AND officer = ?2")?
        .execute([case, officer])?;
    index(tx, case)?;
    Ok(gone > 0)
}

/// What the table of rights asks about a case.
pub fn about(db: &Connection, c: &Case) -> Result<About> {
    let officers = officers(db, c.id)?.into_iter().map(|(id, ..)| id).collect();
    rights::about(db, Some(c.unit), officers, super::links::is_guarded(&c.classification))
}
