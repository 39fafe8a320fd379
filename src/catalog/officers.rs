//! The register of officers.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::dockings::By;
use super::units;
use crate::access::{Person, Role};
use crate::base::{Error, Kind, Result};
use crate::custody::log;

/// A registered officer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Officer {
    /// Number in the register.
    pub id: i64,
    /// 执法证号: the number of the certificate (article 8).
    pub badge: String,
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: i64,
    /// Role.
    pub role: Role,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// Local hours in which only what is overdue reaches them: `22:00-07:00`.
    pub quiet: Option<String>,
    /// Local time of the one message a day they want: `08:00`.
    pub digest: Option<String>,
    /// No longer with the unit.
    pub left: bool,
}

const COLUMNS: &str = "id, badge, name, unit, role, email, quiet, digest, left";

fn officer(r: &Row<'_>) -> rusqlite::Result<Officer> {
    Ok(Officer {
        id: r.get(0)?,
        badge: r.get(1)?,
        name: r.get(2)?,
        unit: r.get(3)?,
        role: Role::of(&r.get::<_, String>(4)?).unwrap_or(Role::Officer),
        email: r.get(5)?,
        quiet: r.get(6)?,
        digest: r.get(7)?,
        left: r.get(8)?,
    })
}

/// The officer with a number of the register.
pub fn get(db: &Connection, id: i64) -> Result<Option<Officer>> {
    let sql = format!("SELECT {COLUMNS} FROM officer WHERE id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], officer).optional()?)
}

/// The officer with a badge, where there is one.
pub fn by_badge(db: &Connection, badge: &str) -> Result<Option<Officer>> {
    let sql = format!("SELECT {COLUMNS} FROM officer WHERE badge = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([badge], officer).optional()?)
}

/// The officer with a badge.
///
/// # Errors
/// [`Kind::NotFound`] where nobody has it.
pub fn find(db: &Connection, badge: &str) -> Result<Officer> {
    by_badge(db, badge)?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("no officer has the badge `{badge}`"))
            .next("`docket officers list` shows who is registered")
    })
}

/// Every officer, by badge.
pub fn all(db: &Connection) -> Result<Vec<Officer>> {
    let sql = format!("SELECT {COLUMNS} FROM officer ORDER BY badge");
    Ok(db.prepare_cached(&sql)?.query_map([], officer)?.collect::<rusqlite::Result<_>>()?)
}

/// The badge of the officer with a number; empty where there is none.
pub fn badge_of(db: &Connection, id: Option<i64>) -> Result<String> {
    let Some(id) = id else { return Ok(String::new()) };
    Ok(get(db, id)?.map(|o| o.badge).unwrap_or_default())
}

fn facts(db: &Connection, o: &Officer) -> Result<[(&'static str, Value); 7]> {
    Ok([
        ("name", json!(o.name)),
        ("unit", json!(units::code_of(db, Some(o.unit))?)),
        ("role", json!(o.role.word())),
        ("email", json!(o.email)),
        ("quiet", json!(o.quiet)),
        ("digest", json!(o.digest)),
        ("left", json!(o.left)),
    ])
}

/// Enters an officer (the `id` is not looked at); returns the number in the register.
pub fn insert(tx: &Connection, by: &By, o: &Officer) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO officer (badge, name, unit, role, email, quiet, digest, left)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![o.badge, o.name, o.unit, o.role.word(), o.email, o.quiet, o.digest, o.left])?;
    let id = tx.last_insert_rowid();
    log::append(
        tx,
        &by.entry("officer.added", format!("officer:{}", o.badge), super::set_facts(facts(tx, o)?)),
    )?;
    Ok(id)
}

/// Changes an officer's entry. Nothing changed is nothing written.
///
/// # Errors
/// Those of the catalogue. Returns what was changed, as custody has it.
pub fn update(tx: &Connection, by: &By, old: &Officer, new: &Officer) -> Result<Option<Value>> {
    let Some(details) = super::differences(facts(tx, old)?, facts(tx, new)?) else { return Ok(None) };
    tx.prepare_cached(
        "UPDATE officer SET name = ?2, unit = ?3, role = ?4, email = ?5, quiet = ?6, digest = ?7, left = ?8
         WHERE id = ?1",
    )?
    .execute(params![
        old.id,
        new.name,
        new.unit,
        new.role.word(),
        new.email,
        new.quiet,
        new.digest,
        new.left
    ])?;
    if old.name != new.name {
        super::cases::index_of_officer(tx, old.id)?;
    }
    let action = match (old.left, new.left) {
        (false, true) => "officer.left",
        (true, false) => "officer.rejoined",
        _ => "officer.changed",
    };
    log::append(tx, &by.entry(action, format!("officer:{}", old.badge), details.clone()))?;
    Ok(Some(details))
}

impl Officer {
    /// This officer as the one who acts.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] for one who has left.
    pub fn acting(&self) -> Result<Person> {
        if self.left {
            let what = format!("{} has left; nobody acts in that name any more", self.name);
            return Err(Error::new(Kind::Forbidden, what));
        }
        Ok(Person {
            actor: format!("officer:{}", self.badge),
            officer: Some(self.id),
            unit: Some(self.unit),
            role: self.role,
        })
    }
}
