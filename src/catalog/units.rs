//! The register of units.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::dockings::By;
use crate::base::{Error, Kind, Result};
use crate::custody::log;

/// A unit of the organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Number in the register.
    pub id: i64,
    /// 单位编码: its code, as the organisation has it.
    pub code: String,
    /// Name.
    pub name: String,
    /// The unit above it.
    pub parent: Option<i64>,
    /// Hours until a recording must be archived, where it has a limit of its own.
    pub archive_hours: Option<u32>,
    /// Days until a case file must be complete, where it has a limit of its own.
    pub case_days: Option<u32>,
    /// No longer in use.
    pub closed: bool,
}

/// What still belongs to a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Officers who have not left.
    pub officers: u64,
    /// Recorders that are not retired.
    pub recorders: u64,
    /// Units below it that are not closed.
    pub units: u64,
}

const COLUMNS: &str = "id, code, name, parent, archive_hours, case_days, closed";

fn unit(r: &Row<'_>) -> rusqlite::Result<Unit> {
    Ok(Unit {
        id: r.get(0)?,
        code: r.get(1)?,
        name: r.get(2)?,
        parent: r.get(3)?,
        archive_hours: r.get(4)?,
        case_days: r.get(5)?,
        closed: r.get(6)?,
    })
}

/// The unit with a number of the register.
pub fn get(db: &Connection, id: i64) -> Result<Option<Unit>> {
    let sql = format!("SELECT {COLUMNS} FROM unit WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], unit).optional()?)
}

/// The unit with a code, where there is one.
pub fn by_code(db: &Connection, code: &str) -> Result<Option<Unit>> {
    let sql = format!("SELECT {COLUMNS} FROM unit WHERE code = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([code], unit).optional()?)
}

/// The unit with a code.
///
/// # Errors
/// [`Kind::NotFound`] where no unit has it.
pub fn find(db: &Connection, code: &str) -> Result<Unit> {
    by_code(db, code)?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("no unit has the code `{code}`"))
            .next("`docket units list` shows which are registered; `docket units add` registers one")
    })
}

/// The unit with a name, where only one has it.
pub fn only_named(db: &Connection, name: &str) -> Result<Option<Unit>> {
    let sql = format!("SELECT {COLUMNS} FROM unit WHERE name = ?1 LIMIT 2");
    let mut named: Vec<_> =
        db.prepare_cached(&sql)?.query_map([name], unit)?.collect::<rusqlite::Result<_>>()?;
    Ok(if named.len() == 1 { named.pop() } else { None })
}

/// Every unit, by code.
pub fn all(db: &Connection) -> Result<Vec<Unit>> {
    let sql = format!("SELECT {COLUMNS} FROM unit ORDER BY code");
    Ok(db.prepare_cached(&sql)?.query_map([], unit)?.collect::<rusqlite::Result<_>>()?)
}

/// What still belongs to a unit.
pub fn belongings(db: &Connection, id: i64) -> Result<Belongings> {
    let count = |sql: &str| -> Result<u64> {
        Ok(db.prepare_cached(sql)?.query_row([id], |r| r.get::<_, i64>(0))?.unsigned_abs())
    };
    Ok(Belongings {
        officers: count("SELECT count(*) FROM officer WHERE unit = ?1 AND left = 0")?,
        recorders: count("SELECT count(*) FROM recorder_entry WHERE unit = ?1 AND state <> 'retired'")?,
        units: count("SELECT count(*) FROM unit WHERE parent = ?1 AND closed = 0")?,
    })
}

/// The code of the unit with a number; empty where there is none.
pub fn code_of(db: &Connection, id: Option<i64>) -> Result<String> {
    let Some(id) = id else { return Ok(String::new()) };
    Ok(get(db, id)?.map(|u| u.code).unwrap_or_default())
}

fn facts(db: &Connection, u: &Unit) -> Result<[(&'static str, Value); 5]> {
    let parent = u.parent.map(|_| code_of(db, u.parent)).transpose()?;
    Ok([
        ("name", json!(u.name)),
        ("parent", json!(parent)),
        ("archive_hours", json!(u.archive_hours)),
        ("case_days", json!(u.case_days)),
        ("closed", json!(u.closed)),
    ])
}

/// Enters a unit (its `id` is not looked at); returns its number.
pub fn insert(tx: &Connection, by: &By, u: &Unit) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO unit (code, name, parent, archive_hours, case_days, closed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![u.code, u.name, u.parent, u.archive_hours, u.case_days, u.closed])?;
    let id = tx.last_insert_rowid();
    log::append(tx, &by.entry("unit.added", format!("unit:{}", u.code), super::set_facts(facts(tx, u)?)))?;
    Ok(id)
}

/// Changes a unit. Nothing changed is nothing written.
///
/// # Errors
/// Those of the catalogue. Returns what was changed, as custody has it.
pub fn update(tx: &Connection, by: &By, old: &Unit, new: &Unit) -> Result<Option<Value>> {
    let Some(details) = super::differences(facts(tx, old)?, facts(tx, new)?) else { return Ok(None) };
    tx.prepare_cached(
        "UPDATE unit SET name = ?2, parent = ?3, archive_hours = ?4, case_days = ?5, closed = ?6 WHERE id = ?1",
    )?
    .execute(params![old.id, new.name, new.parent, new.archive_hours, new.case_days, new.closed])?;
    let action = match (old.closed, new.closed) {
        (false, true) => "unit.closed",
        (true, false) => "unit.reopened",
        _ => "unit.changed",
    };
    log::append(tx, &by.entry(action, format!("unit:{}", old.code), details.clone()))?;
    Ok(Some(details))
}
