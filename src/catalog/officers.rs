//! The register of officers.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::access::{Person, Role};
use crate::base::{Error, Kind, Result};

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

/// The officer with a badge.
///
/// # Errors
/// [`Kind::NotFound`] where nobody has it.
pub fn find(db: &Connection, badge: &str) -> Result<Officer> {
    let sql = format!("SELECT {COLUMNS} FROM officer WHERE badge = ?1");
    db.prepare_cached(&sql)?.query_row([badge], officer).optional()?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("no officer has the badge `{badge}`"))
            .next("`docket officers list` shows who is registered")
    })
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
