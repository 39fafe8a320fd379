//! The register of recorders, joined with what the station has seen of them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::dockings::By;
use super::{officers, units};
use crate::base::Result;
use crate::custody::log;

/// Whether a recorder can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// 在用.
    InService,
    /// 借出: lent to another unit.
    Lent,
    /// 故障.
    Broken,
    /// 报废.
    Retired,
}

impl State {
    /// All states.
    pub const ALL: [State; 4] = [State::InService, State::Lent, State::Broken, State::Retired];

    /// Its word in the catalogue and in CSV.
    pub fn word(self) -> &'static str {
        match self {
            State::InService => "in_service",
            State::Lent => "lent",
            State::Broken => "broken",
            State::Retired => "retired",
        }
    }

    /// The state of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }
}

/// What the unit says of a recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its identity, as cards bear it.
    pub id: String,
    /// Maker and model.
    pub model: String,
    /// The card profile it is known to use.
    pub profile: Option<String>,
    /// The unit that has it.
    pub unit: Option<i64>,
    /// The officer it is assigned to.
    pub officer: Option<i64>,
    /// Whether it can be used.
    pub state: State,
    /// Free text.
    pub note: String,
}

/// A recorder of the register, or one that was only seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its identity.
    pub id: String,
    /// What the register says, where it is registered.
    pub entry: Option<Entry>,
    /// First and last time that the station saw it, where it did.
    pub seen: Option<(i64, i64)>,
    /// Its last docking.
    pub docking: Option<i64>,
}

const COLUMNS: &str = "id, model, profile, unit, officer, state, note";

fn entry(r: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: r.get(0)?,
        model: r.get(1)?,
        profile: r.get(2)?,
        unit: r.get(3)?,
        officer: r.get(4)?,
        state: State::of(&r.get::<_, String>(5)?).unwrap_or(State::InService),
        note: r.get(6)?,
    })
}

/// The register's entry of a recorder.
pub fn get(db: &Connection, id: &str) -> Result<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM recorder_entry WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], entry).optional()?)
}

/// Recorders that the station has seen and the register does not know, where a register is kept.
pub fn strangers(db: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT r.id FROM recorder r
               WHERE EXISTS (SELECT 1 FROM recorder_entry)
                 AND NOT EXISTS (SELECT 1 FROM recorder_entry e WHERE e.id = r.id) ORDER BY r.id";
    Ok(db.prepare_cached(sql)?.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Whether the station has ever seen a recorder.
pub fn was_seen(db: &Connection, id: &str) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM recorder WHERE id = ?1")?.exists([id])?)
}

/// Recorders assigned to an officer that are not retired.
pub fn assigned_to(db: &Connection, officer: i64) -> Result<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT id FROM recorder_entry WHERE officer = ?1 AND state <> 'retired' ORDER BY id",
    )?;
    Ok(query.query_map([officer], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Every recorder that is registered or was seen, by identity.
pub fn all(db: &Connection) -> Result<Vec<Known>> {
    let mut query = db.prepare(
        "SELECT e.id, e.model, e.profile, e.unit, e.officer, e.state, e.note,
           r.id, r.first_seen_at, r.last_seen_at,
           (SELECT d.id FROM docking d WHERE d.recorder = r.id ORDER BY d.started_at DESC LIMIT 1)
         FROM recorder_entry e FULL JOIN recorder r ON r.id = e.id ORDER BY coalesce(e.id, r.id)",
    )?;
    let known = |r: &Row<'_>| {
        let registered: Option<String> = r.get(0)?;
        let seen: Option<String> = r.get(7)?;
        let first: Option<i64> = r.get(8)?;
        Ok(Known {
            entry: registered.is_some().then(|| entry(r)).transpose()?,
            id: registered.or(seen).unwrap_or_default(),
            seen: first.zip(r.get(9)?),
            docking: r.get(10)?,
        })
    };
    Ok(query.query_map([], known)?.collect::<rusqlite::Result<_>>()?)
}

fn facts(db: &Connection, e: &Entry) -> Result<[(&'static str, Value); 6]> {
    let unit = e.unit.map(|_| units::code_of(db, e.unit)).transpose()?;
    let officer = e.officer.map(|_| officers::badge_of(db, e.officer)).transpose()?;
    Ok([
        ("model", json!(e.model)),
        ("profile", json!(e.profile)),
        ("unit", json!(unit)),
        ("officer", json!(officer)),
        ("state", json!(e.state.word())),
        ("note", json!(e.note)),
    ])
}

/// Enters a recorder.
pub fn insert(tx: &Connection, by: &By, e: &Entry) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO recorder_entry (id, model, profile, unit, officer, state, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![e.id, e.model, e.profile, e.unit, e.officer, e.state.word(), e.note])?;
    log::append(
        tx,
        &by.entry("recorder.added", format!("recorder:{}", e.id), super::set_facts(facts(tx, e)?)),
    )?;
    Ok(())
}

/// Changes a recorder's entry. Nothing changed is nothing written.
///
/// # Errors
/// Those of the catalogue. Returns what was changed, as custody has it.
pub fn update(tx: &Connection, by: &By, old: &Entry, new: &Entry) -> Result<Option<Value>> {
    let Some(details) = super::differences(facts(tx, old)?, facts(tx, new)?) else { return Ok(None) };
    tx.prepare_cached(
        "UPDATE recorder_entry SET model = ?2, profile = ?3, unit = ?4, officer = ?5, state = ?6, note = ?7
         WHERE id = ?1",
    )?
    .execute(params![
        old.id,
        new.model,
        new.profile,
        new.unit,
        new.officer,
        new.state.word(),
        new.note
    ])?;
    let retires = old.state != State::Retired && new.state == State::Retired;
    let action = if retires { "recorder.retired" } else { "recorder.changed" };
    log::append(tx, &by.entry(action, format!("recorder:{}", old.id), details.clone()))?;
    Ok(Some(details))
}
