//! The ledger (领用台账): who took which recorder when, and what for.
//!
//! The periods of one recorder never overlap: `cases::ledger` sees to it, and the indexes of `issue` refuse
//! a second open entry and a second one that begins at the same time. A void entry covers no time.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde_json::{Map, Value, json};

use super::dockings::By;
use super::in_savepoint;
use super::officers;
use crate::base::Result;
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::custody::log;

/// How a recorder was when it was handed over, as far as somebody looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Condition {
    /// Percent.
    pub battery: Option<u8>,
    /// Bytes free.
    pub free: Option<i64>,
    /// Milliseconds that its clock is ahead of the station's.
    pub clock: Option<i64>,
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub id: i64,
    /// The recorder.
    pub recorder: String,
    /// Who took it, by number in the register.
    pub officer: i64,
    /// What for.
    pub purpose: String,
    /// When it was taken (milliseconds UTC).
    pub issued_at: i64,
    /// How it was then.
    pub issued: Condition,
    /// When it came back; `None` while it is out.
    pub returned_at: Option<i64>,
    /// How it was then.
    pub returned: Condition,
    /// The docking that returned it by itself.
    pub docking: Option<i64>,
    /// Free text.
    pub note: String,
    /// Entered by mistake.
    pub void: bool,
}

/// Which entries of the ledger.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this recorder.
    pub recorder: Option<String>,
    /// Only of this officer.
    pub officer: Option<i64>,
    /// Only those that are out.
    pub open: bool,
    /// Void ones too.
    pub void: bool,
}

const COLUMNS: &str = "id, recorder, officer, purpose, issued_at, issued_battery, issued_free, issued_clock,
    returned_at, returned_battery, returned_free, returned_clock, returned_docking, note, void";

fn issue(r: &Row<'_>) -> rusqlite::Result<Issue> {
    Ok(Issue {
        id: r.get(0)?,
        recorder: r.get(1)?,
        officer: r.get(2)?,
        purpose: r.get(3)?,
        issued_at: r.get(4)?,
        issued: Condition { battery: r.get(5)?, free: r.get(6)?, clock: r.get(7)? },
        returned_at: r.get(8)?,
        returned: Condition { battery: r.get(9)?, free: r.get(10)?, clock: r.get(11)? },
        docking: r.get(12)?,
        note: r.get(13)?,
        void: r.get(14)?,
    })
}

fn one(db: &Connection, rule: &str, params: &[&dyn ToSql]) -> Result<Option<Issue>> {
    let sql = format!("SELECT {COLUMNS} FROM issue {rule} LIMIT 1");
    Ok(db.prepare_cached(&sql)?.query_row(params, issue).optional()?)
}

/// The entry with a number.
pub fn get(db: &Connection, id: i64) -> Result<Option<Issue>> {
    one(db, "WHERE id = ?1", &[&id])
}

/// The entry by which a recorder is out.
pub fn open_of(db: &Connection, recorder: &str) -> Result<Option<Issue>> {
    one(db, "WHERE recorder = ?1 AND returned_at IS NULL", &[&recorder])
}

/// Every entry by which a recorder is out, the longest first.
pub fn open_issues(db: &Connection) -> Result<Vec<Issue>> {
    let sql = format!("SELECT {COLUMNS} FROM issue WHERE returned_at IS NULL ORDER BY issued_at, id");
    Ok(db.prepare_cached(&sql)?.query_map([], issue)?.collect::<rusqlite::Result<_>>()?)
}

/// The last entry of a recorder that began at or before a time (milliseconds UTC), out or returned.
pub fn last_issue_before(db: &Connection, recorder: &str, at: i64) -> Result<Option<Issue>> {
    one(db, "WHERE recorder = ?1 AND issued_at <= ?2 AND void = 0 ORDER BY issued_at DESC", &[&recorder, &at])
}

/// The entries of a recorder next to a time, but for the one with a number: the last that began at or
/// before it, and the first that began after it.
pub fn neighbours(db: &Connection, recorder: &str, at: i64, except: i64) -> Result<Vec<Issue>> {
    let before = "WHERE recorder = ?1 AND issued_at <= ?2 AND void = 0 AND id <> ?3 ORDER BY issued_at DESC";
    let after = "WHERE recorder = ?1 AND issued_at > ?2 AND void = 0 AND id <> ?3 ORDER BY issued_at";
    let params: [&dyn ToSql; 3] = [&recorder, &at, &except];
    Ok([one(db, before, &params)?, one(db, after, &params)?].into_iter().flatten().collect())
}

/// The first entry of a recorder that began after a time (milliseconds UTC).
pub fn first_issue_after(db: &Connection, recorder: &str, at: i64) -> Result<Option<Issue>> {
    one(db, "WHERE recorder = ?1 AND issued_at > ?2 AND void = 0 ORDER BY issued_at", &[&recorder, &at])
}

/// Who held a recorder at a time (milliseconds UTC), by number in the officers' register: who had taken it
/// by the ledger, else the officer whom the register assigns it to.
pub fn holder_at(db: &Connection, recorder: &str, at: i64) -> Result<Option<i64>> {
    // Periods do not overlap, so only the last that began can cover the time.
    let last = last_issue_before(db, recorder, at)?;
    if let Some(i) = last.filter(|i| i.returned_at.is_none_or(|end| at < end)) {
        return Ok(Some(i.officer));
    }
    let assigned = db
        .prepare_cached("SELECT officer FROM recorder_entry WHERE id = ?1")?
        .query_row([recorder], |r| r.get(0))
        .optional()?;
    Ok(assigned.flatten())
}

/// The number and start of the first docking of a recorder that began at or after a time.
pub fn first_docking_since(db: &Connection, recorder: &str, at: i64) -> Result<Option<(i64, i64)>> {
    let mut query = db.prepare_cached(
        "SELECT id, started_at FROM docking WHERE recorder = ?1 AND started_at >= ?2
         ORDER BY started_at, id LIMIT 1",
    )?;
    Ok(query.query_row(params![recorder, at], |r| Ok((r.get(0)?, r.get(1)?))).optional()?)
}

/// Hands out the entries that a filter lets through, the newest first.
pub fn each(db: &Connection, filter: &Filter, look: &mut dyn FnMut(Issue) -> Result<()>) -> Result<()> {
    // One rule for each index that can be used; void entries are asked for seldom.
    let rule = match (&filter.recorder, filter.officer) {
        _ if filter.void => "WHERE (?1 IS NULL OR recorder = ?1) AND (?2 IS NULL OR officer = ?2)",
        (Some(_), _) => "WHERE recorder = ?1 AND void = 0 AND (?2 IS NULL OR officer = ?2)",
        (None, Some(_)) => "WHERE ?1 IS NULL AND officer = ?2 AND void = 0",
        (None, None) => "WHERE ?1 IS NULL AND ?2 IS NULL AND void = 0",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM issue {rule} AND (?3 = 0 OR returned_at IS NULL)
         ORDER BY issued_at DESC, id DESC"
    );
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![filter.recorder, filter.officer, filter.open], issue)?;
    for row in rows {
        look(row?)?;
    }
    Ok(())
}

fn time(ms: Option<i64>) -> Value {
    json!(ms.map(|ms| rfc3339(from_ms(ms))))
}

fn facts(db: &Connection, i: &Issue) -> Result<[(&'static str, Value); 13]> {
    Ok([
        ("recorder", json!(i.recorder)),
        ("officer", json!(officers::badge_of(db, Some(i.officer))?)),
        ("purpose", json!(i.purpose)),
        ("issued_at", time(Some(i.issued_at))),
        ("issued_battery", json!(i.issued.battery)),
        ("issued_free", json!(i.issued.free)),
        ("issued_clock_ms", json!(i.issued.clock)),
        ("returned_at", time(i.returned_at)),
        ("returned_battery", json!(i.returned.battery)),
        ("returned_free", json!(i.returned.free)),
        ("returned_clock_ms", json!(i.returned.clock)),
        ("docking", json!(i.docking)),
        ("note", json!(i.note)),
    ])
}

/// Enters an issue (its `id` is not looked at); returns its number. Who calls has made sure that it overlaps
/// no other.
pub fn insert(tx: &Connection, by: &By, i: &Issue) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO issue (recorder, officer, purpose, issued_at, issued_battery, issued_free, issued_clock,
           returned_at, returned_battery, returned_free, returned_clock, returned_docking, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        i.recorder,
        i.officer,
        i.purpose,
        i.issued_at,
        i.issued.battery,
        i.issued.free,
        i.issued.clock,
        i.returned_at,
        i.returned.battery,
        i.returned.free,
        i.returned.clock,
        i.docking,
        i.note
    ])?;
    let id = tx.last_insert_rowid();
    log::append(tx, &by.entry("issue.made", format!("issue:{id}"), super::set_facts(facts(tx, i)?)))?;
    Ok(id)
}

fn store(tx: &Connection, i: &Issue) -> Result<()> {
    tx.prepare_cached(
        "UPDATE issue SET officer = ?2, purpose = ?3, issued_at = ?4, returned_at = ?5, returned_battery = ?6,
           returned_free = ?7, returned_clock = ?8, returned_docking = ?9, note = ?10, void = ?11 WHERE id = ?1",
    )?
    .execute(params![
        i.id,
        i.officer,
        i.purpose,
        i.issued_at,
        i.returned_at,
        i.returned.battery,
        i.returned.free,
        i.returned.clock,
        i.docking,
        i.note,
        i.void
    ])?;
    Ok(())
}

/// Writes down that an entry's recorder came back: `new` is the entry with what is known of that.
pub fn finish(tx: &Connection, by: &By, new: &Issue) -> Result<()> {
    store(tx, new)?;
    let all = facts(tx, new)?;
    let shown = ["recorder", "officer", "returned_at", "docking"];
    let condition = |name: &str| name.starts_with("returned_") || (name == "note" && !new.note.is_empty());
    let details: Map<String, Value> = all
        .into_iter()
        .filter(|(name, v)| !v.is_null() && (shown.contains(name) || condition(name)))
        .map(|(name, v)| (name.to_owned(), v))
        .collect();
    log::append(tx, &by.entry("issue.returned", format!("issue:{}", new.id), Value::Object(details)))?;
    Ok(())
}

/// Corrects an entry; custody keeps what it was, and why. Nothing changed is nothing written.
///
/// # Errors
/// Those of the catalogue. Returns what was changed, as custody has it.
pub fn correct(tx: &Connection, by: &By, old: &Issue, new: &Issue, why: &str) -> Result<Option<Value>> {
    let changes = super::differences(facts(tx, old)?, facts(tx, new)?);
    let Some(mut details) = changes else { return Ok(None) };
    store(tx, new)?;
    details["why"] = why.into();
    log::append(tx, &by.entry("issue.corrected", format!("issue:{}", old.id), details.clone()))?;
    Ok(Some(details))
}

/// Marks an entry as made by mistake; the row stays, and covers no time any more.
pub fn void(tx: &Connection, by: &By, old: &Issue, why: &str) -> Result<()> {
    let mut details = super::set_facts(facts(tx, old)?);
    details["why"] = why.into();
    store(tx, &Issue { returned_at: Some(old.issued_at), docking: None, void: true, ..old.clone() })?;
    log::append(tx, &by.entry("issue.voided", format!("issue:{}", old.id), details))?;
    Ok(())
}

/// Returns a recorder that is out, because a docking of it begins now. The footage comes first: what the
/// ledger cannot take is logged, and the docking goes on.
///
/// # Errors
/// Only where the whole transaction is gone.
pub fn return_by_docking(tx: &Connection, by: &By, recorder: &str, docking: i64) -> Result<()> {
    let at = to_ms(by.at);
    let done = in_savepoint(tx, |tx| match open_of(tx, recorder)? {
        Some(open) if open.issued_at <= at => {
            finish(tx, by, &Issue { returned_at: Some(at), docking: Some(docking), ..open })
        }
        _ => Ok(()),
    });
    match done {
        // SQLite takes a whole transaction back where the disk is full or fails.
        Err(e) if tx.is_autocommit() => Err(e),
        Err(e) => {
            tracing::warn!("the ledger could not take back recorder {recorder}: {e}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
