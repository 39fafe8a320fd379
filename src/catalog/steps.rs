//! The steps of cases.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::base::{Error, Kind, Result};

/// A step of a case, as its checklist had it when the case was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place in the catalogue.
    pub id: i64,
    /// The case.
    pub case: i64,
    /// Its key in the checklist.
    pub key: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// `required`, `recommended`, `optional`.
    pub av: String,
    /// What the footage must show.
    pub shows: String,
    /// How long its footage is kept, in the checklist's words.
    pub retention: String,
    /// The article it is drawn from.
    pub article: String,
    /// What must be told of it, JSON: a list of key, name, name_zh.
    pub asks: String,
    /// What was told, JSON: text by key.
    pub told: String,
    /// Whether it takes place in this case.
    pub applies: bool,
    /// When it began, milliseconds.
    pub from_at: Option<i64>,
    /// When it ended, milliseconds.
    pub to_at: Option<i64>,
    /// Why it does not take place, where it does not.
    pub why_not: String,
    /// Who said that it does not: an actor of the custody log.
    pub waived_by: Option<String>,
    /// Badge of the second person who confirmed that.
    pub waived_ok: Option<String>,
}

/// What is there for a step: links that stand, and the exemption that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Photos, sound and video linked to it whose bytes are archived.
    pub footage: u32,
    /// The same, but damaged or missing in the archive.
    pub not_well: u32,
    /// Other files linked to it.
    pub other: u32,
    /// Number and state of its newest exemption.
    pub exemption: Option<(i64, String)>,
}

const COLUMNS: &str = "id, case_file, key, name, name_zh, av, shows, retention, article, asks, told, applies, from_at, to_at, why_not,
    waived_by, waived_ok";

fn step(r: &Row<'_>) -> rusqlite::Result<Step> {
    Ok(Step {
        id: r.get(0)?,
        case: r.get(1)?,
        key: r.get(2)?,
        name: r.get(3)?,
        name_zh: r.get(4)?,
        av: r.get(5)?,
        shows: r.get(6)?,
        retention: r.get(7)?,
        article: r.get(8)?,
        asks: r.get(9)?,
        told: r.get(10)?,
        applies: r.get(11)?,
        from_at: r.get(12)?,
        to_at: r.get(13)?,
        why_not: r.get(14)?,
        waived_by: r.get(15)?,
        waived_ok: r.get(16)?,
    })
}

/// Inserts a step at a place (from 1) in its case; its `id` is ignored.
pub fn insert(tx: &Connection, s: &Step, place: u32) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO case_step (case_file, key, name, name_zh, place, av, shows, retention, article, asks, told,
           applies, from_at, to_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        s.case,
        s.key,
        s.name,
        s.name_zh,
        place,
        s.av,
        s.shows,
        s.retention,
        s.article,
        s.asks,
        s.told,
        s.applies,
        s.from_at,
        s.to_at
    ])?;
    Ok(tx.last_insert_rowid())
}

/// Writes back what changes of a step: whether it takes place, its time, what was told of it.
pub fn update(tx: &Connection, s: &Step) -> Result<()> {
    tx.prepare_cached(
        "UPDATE case_step SET applies = ?2, from_at = ?3, to_at = ?4, told = ?5, why_not = ?6, waived_by = ?7,
           waived_ok = ?8 WHERE id = ?1",
    )?
    .execute(params![s.id, s.applies, s.from_at, s.to_at, s.told, s.why_not, s.waived_by, s.waived_ok])?;
    Ok(())
}

/// The steps of a case, in order.
pub fn of_case(db: &Connection, case: i64) -> Result<Vec<Step>> {
    let sql = format!("SELECT {COLUMNS} FROM case_step WHERE case_file = ?1 ORDER BY place");
    Ok(db.prepare_cached(&sql)?.query_map([case], step)?.collect::<rusqlite::Result<_>>()?)
}

/// The step of a place in the catalogue.
///
/// # Errors
/// [`Kind::NotFound`].
pub fn get(db: &Connection, id: i64) -> Result<Step> {
    let sql = format!("SELECT {COLUMNS} FROM case_step WHERE id = ?1");
    db.prepare_cached(&sql)?
        .query_row([id], step)
        .optional()?
        .ok_or_else(|| Error::new(Kind::NotFound, format!("there is no case step {id}")))
}

/// A name as people say it: without what stands in brackets.
pub fn spoken(name: &str) -> &str {
    name[..name.find(['（', '(']).unwrap_or(name.len())].trim()
}

/// The step of a case by its key or its name in either language; what a name has in brackets may be left out
/// where that names one step.
///
/// # Errors
/// [`Kind::NotFound`], with the steps there are.
pub fn find(db: &Connection, case: i64, word: &str) -> Result<Step> {
    let steps = of_case(db, case)?;
    let known: Vec<String> = steps.iter().map(|s| format!("{} {}", s.key, s.name_zh)).collect();
    let none = Error::new(Kind::NotFound, format!("the case has no step `{word}`"))
        .next(format!("its steps: {}", known.join(", ")));
    let fits = |s: &&Step| s.key == word || s.name_zh == word || s.name.eq_ignore_ascii_case(word);
    let named = spoken(word);
    let fits_nearly = |s: &&Step| {
        !named.is_empty() && (spoken(&s.name_zh) == named || spoken(&s.name).eq_ignore_ascii_case(named))
    };
    let nearly: Vec<&Step> = steps.iter().filter(fits_nearly).collect();
    let found = steps.iter().find(fits).or_else(|| nearly.first().copied().filter(|_| nearly.len() == 1));
    found.cloned().ok_or(none)
}

/// What is there for a step.
pub fn standing(db: &Connection, step: i64) -> Result<Standing> {
    let mut out: Standing = db
        .prepare_cached(
            "SELECT coalesce(sum(r.kind IN ('video', 'audio', 'photo') AND r.state = 'archived'), 0),
               coalesce(sum(r.kind IN ('video', 'audio', 'photo') AND r.state <> 'archived'), 0),
               coalesce(sum(r.kind NOT IN ('video', 'audio', 'photo')), 0)
             FROM link l JOIN recording r ON r.id = l.recording WHERE l.step = ?1 AND l.unlinked_at IS NULL",
        )?
        .query_row([step], |r| {
            Ok(Standing { footage: r.get(0)?, not_well: r.get(1)?, other: r.get(2)?, exemption: None })
        })?;
    out.exemption = db
        .prepare_cached(
            "SELECT id, state FROM exemption WHERE step = ?1
             ORDER BY state IN ('rejected', 'withdrawn'), id DESC LIMIT 1",
        )?
        .query_row([step], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?;
    Ok(out)
}
