//! The registers of units, officers and recorders: who may change them, and what must hold.
//!
//! Rows are never removed: a unit is closed, an officer leaves, a recorder is retired.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::field;
use crate::access::{About, Deed, Person, Role, check};
use crate::base::{Error, Kind, Result};
use crate::catalog::Connection;
use crate::catalog::dockings::By;
use crate::catalog::ledger::{self, Filter};
use crate::catalog::officers::{self, Officer};
use crate::catalog::recorders::{self, Entry, State};
use crate::catalog::units::{self, Unit};

/// Longest name, in characters.
pub const NAME: usize = 100;
/// Longest limit of a unit for archiving, in hours.
pub const ARCHIVE_HOURS: u32 = 24 * 366;
/// Longest limit of a unit for a case file, in days.
pub const CASE_DAYS: u32 = 3660;
/// Longest note, in characters.
pub const NOTE: usize = 500;

/// Whether an entry is expected to be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// It is new.
    Add,
    /// It is registered.
    Set,
    /// Either.
    Put,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// A new entry.
    Added,
    /// These facts changed, as custody has them: `name` and `old_name`.
    Changed(Value),
    /// It was so already.
    Unchanged,
}

impl Done {
    /// Its word in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Done::Added => "added",
            Done::Changed(_) => "changed",
            Done::Unchanged => "unchanged",
        }
    }

    pub(super) fn of(changes: Option<Value>) -> Self {
        changes.map_or(Done::Unchanged, Done::Changed)
    }
}

/// A change of a unit. `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct UnitChange {
    /// Which unit.
    pub code: String,
    /// Its name; a new one needs it.
    pub name: Option<String>,
    /// Code (or name) of the unit above.
    pub parent: Option<Option<String>>,
    /// Hours until a recording must be archived.
    pub archive_hours: Option<Option<u32>>,
    /// Days until a case file must be complete.
    pub case_days: Option<Option<u32>>,
    /// Whether it is out of use.
    pub closed: Option<bool>,
}

/// A change of an officer's entry. `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct OfficerChange {
    /// Which officer.
    pub badge: String,
    /// The name; a new one needs it.
    pub name: Option<String>,
    /// Code (or name) of the unit; a new one needs it.
    pub unit: Option<String>,
    /// The role; a new one is an officer.
    pub role: Option<Role>,
    /// Mail address.
    pub email: Option<Option<String>>,
    /// Quiet hours: `22:00-07:00`.
    pub quiet: Option<Option<String>>,
    /// Time of the daily message: `08:00`.
    pub digest: Option<Option<String>>,
    /// Whether the officer is no longer with the unit.
    pub left: Option<bool>,
}

/// A change of a recorder's entry. `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub struct RecorderChange {
    /// Which recorder.
    pub id: String,
    /// Maker and model.
    pub model: Option<String>,
    /// Card profile.
    pub profile: Option<Option<String>>,
    /// Code (or name) of the unit.
    pub unit: Option<Option<String>>,
    /// Badge of the officer it is assigned to.
    pub officer: Option<Option<String>>,
    /// Whether it can be used.
    pub state: Option<State>,
    /// Free text.
    pub note: Option<String>,
}

fn wrong(what: String) -> Error {
    Error::new(Kind::Invalid, what)
}

fn may_change(who: &Person, at: DateTime<Utc>) -> Result<By> {
    check(who, Deed::ChangeRegisters, &About::default())?;
    Ok(By { actor: who.actor.clone(), at })
}

/// Refuses one who may not look at the registers.
///
/// # Errors
/// [`Kind::Forbidden`].
pub fn may_read(who: &Person) -> Result<()> {
    check(who, Deed::ReadRegisters, &About::default())
}

/// The unit with a code, or the only one with a name.
///
/// # Errors
/// [`Kind::NotFound`] where there is none.
pub fn unit_of(db: &Connection, text: &str) -> Result<Unit> {
    let text = text.trim();
    match units::by_code(db, text)? {
        Some(unit) => Ok(unit),
        None => match units::only_named(db, text)? {
            Some(unit) => Ok(unit),
            None => units::find(db, text),
        },
    }
}

/// An open unit, for something that comes to belong to it.
fn open_unit(db: &Connection, text: &str) -> Result<i64> {
    let unit = unit_of(db, text)?;
    if unit.closed {
        return Err(wrong(format!("unit {} is closed; nothing new can belong to it", unit.code))
            .next("name another unit, or open it again: `docket units set CODE --reopen`"));
    }
    Ok(unit.id)
}

/// Adds or changes a unit.
///
/// # Errors
/// [`Kind::Forbidden`], or what is wrong with the change.
pub fn put_unit(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    change: &UnitChange,
    must: Must,
) -> Result<Done> {
    let by = may_change(who, at)?;
    let code = field::code(&change.code)?;
    let old = units::by_code(tx, &code)?;
    match (must, &old) {
        (Must::Add, Some(_)) => {
            return Err(
                wrong(format!("unit {code} is registered already")).next("`docket units set` changes it")
            );
        }
        (Must::Set, None) => return units::find(tx, &code).map(|_| Done::Unchanged),
        _ => {}
    }
    let mut new = old.clone().unwrap_or_else(|| Unit { code: code.clone(), ..Unit::default() });
    if let Some(name) = &change.name {
        new.name = field::needed(name, NAME)?;
    }
    if new.name.is_empty() {
        return Err(wrong(format!("the new unit {code} has no name")).next("give it one: --name NAME"));
    }
    if let Some(parent) = &change.parent {
        new.parent = match parent {
            Some(text) => {
                let parent = unit_of(tx, text)?.id;
                if new.parent == Some(parent) { new.parent } else { Some(open_unit(tx, text)?) }
            }
            None => None,
        };
        let mut above = new.parent;
        // As many steps as there can be units between: a longer way is a circle.
        for _ in 0..1000 {
            match above {
                Some(id) if old.as_ref().is_some_and(|u| u.id == id) => {
                    return Err(wrong(format!("unit {code} would stand above itself")));
                }
                Some(id) => above = units::get(tx, id)?.and_then(|u| u.parent),
                None => break,
            }
        }
        if above.is_some() {
            return Err(wrong(format!("unit {code} would stand more than 1000 steps deep")));
        }
    }
    if let Some(hours) = change.archive_hours {
        new.archive_hours = limit(hours, ARCHIVE_HOURS)?;
    }
    if let Some(days) = change.case_days {
        new.case_days = limit(days, CASE_DAYS)?;
    }
    new.closed = change.closed.unwrap_or(new.closed);
    let Some(old) = old else {
        units::insert(tx, &by, &new)?;
        return Ok(Done::Added);
    };
    if new.closed && !old.closed {
        let has = units::belongings(tx, old.id)?;
        if has != units::Belongings::default() {
            return Err(wrong(format!(
                "unit {code} cannot be closed: {} officers, {} recorders and {} units still belong to it",
                has.officers, has.recorders, has.units
            ))
            .next("move them to another unit first"));
        }
    }
    Ok(Done::of(units::update(tx, &by, &old, &new)?))
}

/// A limit of a unit's own, from 1 on.
fn limit(value: Option<u32>, most: u32) -> Result<Option<u32>> {
    match value {
        Some(n) if n == 0 || n > most => Err(wrong(format!("{n} is no limit: it lies between 1 and {most}"))),
        fits => Ok(fits),
    }
}

/// Adds or changes an officer's entry.
///
/// # Errors
/// [`Kind::Forbidden`], or what is wrong with the change.
pub fn put_officer(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    change: &OfficerChange,
    must: Must,
) -> Result<Done> {
    let by = may_change(who, at)?;
    let badge = field::code(&change.badge)?;
    let old = officers::by_badge(tx, &badge)?;
    match (must, &old) {
        (Must::Add, Some(old)) => {
            return Err(wrong(format!("the badge {badge} belongs to {} already", old.name))
                .next("a badge names one person; `docket officers set` changes the entry"));
        }
        (Must::Set, None) => return officers::find(tx, &badge).map(|_| Done::Unchanged),
        _ => {}
    }
    let mut new = match &old {
        Some(old) => old.clone(),
        None => Officer {
            id: 0,
            badge: badge.clone(),
            name: String::new(),
            unit: 0,
            role: Role::Officer,
            email: None,
            quiet: None,
            digest: None,
            left: false,
        },
    };
    if let Some(name) = &change.name {
        new.name = field::needed(name, NAME)?;
    }
    if let Some(unit) = &change.unit {
        new.unit = unit_of(tx, unit)?.id;
    }
    if new.name.is_empty() || new.unit == 0 {
        return Err(wrong(format!("a new officer needs a name and a unit: {badge}"))
            .next("name both: --name NAME --unit UNIT"));
    }
    let optional =
        |value: &Option<String>, check: fn(&str) -> Result<String>| value.as_deref().map(check).transpose();
    if let Some(email) = &change.email {
        new.email = optional(email, field::email)?;
    }
    if let Some(quiet) = &change.quiet {
        new.quiet = optional(quiet, field::hours)?;
    }
    if let Some(digest) = &change.digest {
        new.digest = optional(digest, field::time_of_day)?;
    }
    new.role = change.role.unwrap_or(new.role);
    new.left = change.left.unwrap_or(new.left);
    let moves = old.as_ref().is_none_or(|old| old.unit != new.unit || old.left);
    if moves && !new.left {
        open_unit(tx, &units::code_of(tx, Some(new.unit))?)?;
    }
    let Some(old) = old else {
        officers::insert(tx, &by, &new)?;
        return Ok(Done::Added);
    };
    if new.left && !old.left {
        may_leave(tx, &old)?;
    }
    Ok(Done::of(officers::update(tx, &by, &old, &new)?))
}

/// An identity without what the eye does not tell apart: letter case, O and 0, I, l and 1, dashes.
fn outline(text: &str) -> String {
    let plain = |c: char| match c {
        'o' => '0',
        'i' | 'l' => '1',
        c => c,
    };
    text.to_lowercase().chars().filter(|c| !matches!(c, '-' | '_' | '.')).map(plain).collect()
}

/// Officers who may be the same person as this one: of the same name in the same unit, or with a badge that
/// looks alike.
///
/// # Errors
/// What the catalogue says.
pub fn alike_officers(db: &Connection, badge: &str) -> Result<Vec<String>> {
    let Some(new) = officers::by_badge(db, badge.trim())? else { return Ok(Vec::new()) };
    let alike = |o: &Officer| {
        o.id != new.id
            && (outline(&o.badge) == outline(&new.badge) || o.name == new.name && o.unit == new.unit)
    };
    Ok(officers::all(db)?.into_iter().filter(alike).map(|o| format!("{} {}", o.badge, o.name)).collect())
}

/// Recorders whose identity looks like this one's.
///
/// # Errors
/// What the catalogue says.
pub fn alike_recorders(db: &Connection, id: &str) -> Result<Vec<String>> {
    let id = id.trim();
    let known = recorders::all(db)?.into_iter().map(|k| k.id);
    Ok(known.filter(|other| other != id && outline(other) == outline(id)).collect())
}

/// Nobody leaves with a recorder: its footage would have no holder to answer for it.
fn may_leave(tx: &Connection, officer: &Officer) -> Result<()> {
    let mut out = Vec::new();
    let filter = Filter { officer: Some(officer.id), open: true, ..Filter::default() };
    ledger::each(tx, &filter, &mut |i| {
        out.push(i.recorder);
        Ok(())
    })?;
    if let Some(first) = out.first() {
        return Err(wrong(format!("officer {} still holds recorder {}", officer.name, out.join(", ")))
            .next(format!("take it back first: docket ledger return {first}")));
    }
    let assigned = recorders::assigned_to(tx, officer.id)?;
    if let Some(first) = assigned.first() {
        return Err(wrong(format!(
            "officer {} still has recorder {} assigned",
            officer.name,
            assigned.join(", ")
        ))
        .next(format!("assign it to somebody else first: docket recorders set {first} --officer BADGE")));
    }
    Ok(())
}

/// Adds or changes a recorder's entry.
///
/// # Errors
/// [`Kind::Forbidden`], or what is wrong with the change.
pub fn put_recorder(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    change: &RecorderChange,
    must: Must,
) -> Result<Done> {
    let by = may_change(who, at)?;
    let id = field::recorder(&change.id)?;
    let old = recorders::get(tx, &id)?;
    match (must, &old) {
        (Must::Add, Some(_)) => {
            return Err(wrong(format!("recorder {id} is registered already"))
                .next("`docket recorders set` changes it"));
        }
        (Must::Set, None) => {
            return Err(Error::new(Kind::NotFound, format!("recorder {id} is not registered"))
                .next("check the number; `docket recorders add` registers it"));
        }
        _ => {}
    }
    let mut new = old.clone().unwrap_or_else(|| Entry {
        id: id.clone(),
        model: String::new(),
        profile: None,
        unit: None,
        officer: None,
        state: State::InService,
        note: String::new(),
    });
    if let Some(model) = &change.model {
        new.model = field::text(model, NAME)?;
    }
    if let Some(profile) = &change.profile {
        new.profile = profile.as_deref().map(|p| field::needed(p, NAME)).transpose()?;
    }
    if let Some(unit) = &change.unit {
        let unit = unit.as_deref().map(|text| unit_of(tx, text)).transpose()?;
        if let Some(unit) = unit.as_ref().filter(|u| Some(u.id) != new.unit) {
            open_unit(tx, &unit.code)?;
        }
        new.unit = unit.map(|u| u.id);
    }
    if let Some(badge) = &change.officer {
        let officer = badge.as_deref().map(|badge| officers::find(tx, badge)).transpose()?;
        if let Some(gone) = officer.as_ref().filter(|o| o.left && Some(o.id) != new.officer) {
            return Err(wrong(format!("officer {} has left, and can be assigned no recorder", gone.name)));
        }
        new.officer = officer.map(|o| o.id);
    }
    if let Some(note) = &change.note {
        new.note = field::text(note, NOTE)?;
    }
    new.state = change.state.unwrap_or(new.state);
    let Some(old) = old else {
        recorders::insert(tx, &by, &new)?;
        return Ok(Done::Added);
    };
    let retires = new.state == State::Retired && old.state != State::Retired;
    if let Some(open) = ledger::open_of(tx, &id)?.filter(|_| retires) {
        let holder = officers::get(tx, open.officer)?.map(|o| o.name).unwrap_or_default();
        return Err(wrong(format!("recorder {id} cannot be retired: {holder} still holds it"))
            .next(format!("take it back first: docket ledger return {id}")));
    }
    Ok(Done::of(recorders::update(tx, &by, &old, &new)?))
}
