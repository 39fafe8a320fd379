//! What the table of rights asks of the registers: which units stand above one, and who is refused.

use rusqlite::{Connection, params};

use super::{officers, units};
use crate::access::{self, About, Deed, Names, Person, Reach, Role};
use crate::base::Result;

/// The units above one, the nearest first. A circle of parents ends where it began.
pub fn above(db: &Connection, unit: i64) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached(
        "WITH RECURSIVE up (id) AS (
           SELECT parent FROM unit WHERE id = ?1 AND parent IS NOT NULL
           UNION SELECT u.parent FROM up JOIN unit u ON u.id = up.id WHERE u.parent IS NOT NULL)
         SELECT id FROM up WHERE id <> ?1",
    )?;
    Ok(query.query_map([unit], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// What the table asks about something of a unit that concerns these officers.
pub fn about(db: &Connection, unit: Option<i64>, officers: Vec<i64>, guarded: bool) -> Result<About> {
    let above = unit.map(|unit| above(db, unit)).transpose()?.unwrap_or_default();
    Ok(About { unit, above, officers, guarded })
}

/// Refuses what the table does not allow, and names the people and units that it is about.
///
/// # Errors
/// [`crate::base::Kind::Forbidden`], with the reason and who may.
pub fn check(db: &Connection, who: &Person, deed: Deed, about: &About) -> Result<()> {
    if access::is_allowed(who, deed, about) {
        return Ok(());
    }
    let name_of = |unit: Option<i64>| -> Result<String> {
        let unit = unit.map(|id| units::get(db, id)).transpose()?.flatten();
        Ok(unit.map(|u| u.name).unwrap_or_default())
    };
    let officer = who.officer.map(|id| officers::get(db, id)).transpose()?.flatten();
    let mut names = Names {
        person: officer.map(|o| format!("{} {}", o.name, o.badge)).unwrap_or_default(),
        own_unit: name_of(who.unit)?,
        unit: name_of(about.unit)?,
        vacant: Vec::new(),
    };
    for role in Role::ALL.into_iter().filter(|r| access::reach(*r, deed) == Reach::Unit) {
        if let Some(unit) = about.unit
            && nearest(db, unit, role)?.is_empty()
        {
            names.vacant.push(role);
        }
    }
    Err(access::refusal(who, deed, about, &names))
}

/// Those of a unit with a role who have not left.
fn with_role(db: &Connection, unit: i64, role: Role) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM officer WHERE unit = ?1 AND role = ?2 AND left = 0 ORDER BY id";
    let mut query = db.prepare_cached(sql)?;
    Ok(query.query_map(params![unit, role.word()], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Those with a role in a unit, or in the nearest unit above that has one.
pub fn nearest(db: &Connection, unit: i64, role: Role) -> Result<Vec<i64>> {
    let mut found = with_role(db, unit, role)?;
    if found.is_empty() {
        let mut above = above(db, unit)?.into_iter();
        while let (true, Some(unit)) = (found.is_empty(), above.next()) {
            found = with_role(db, unit, role)?;
        }
    }
    Ok(found)
}

/// A unit and all below it.
pub fn below(db: &Connection, unit: i64) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached(
        "WITH RECURSIVE below (id) AS (SELECT ?1 UNION
           SELECT u.id FROM unit u JOIN below b ON u.parent = b.id) SELECT id FROM below",
    )?;
    Ok(query.query_map([unit], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}
