//! Registers and ledger from files.
//!
//! An import is all or nothing: the lines are made one after the other in one transaction, and one problem
//! takes all of it back. A rehearsal does the same on a private copy of the tables, so that it finds exactly what
//! the import would refuse and keeps nobody waiting. A line that says what is so already changes nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::columns::Register;
use super::field;
use super::ledger::{self as keeping, Take};
use super::registers::{
    ARCHIVE_HOURS, CASE_DAYS, Done, Must, NAME, NOTE, OfficerChange, RecorderChange, UnitChange, put_officer,
    put_recorder, put_unit, unit_of,
};
use super::table::{self, Encoding, Problem, Row, Table};
use super::terms;
use crate::access::{About, Deed, Person, check};
use crate::base::config::parse_size;
use crate::base::{Error, Kind, Result, when};
use crate::catalog::dockings::By;
use crate::catalog::ledger::{self, Condition, Issue};
use crate::catalog::{Connection, officers};

/// How long an import may keep the daemon from writing: cards that are put in wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an import did, or would do.
#[derive(Debug)]
pub struct Report {
    /// How the file was encoded: `utf-8` or `gb18030`.
    pub encoding: &'static str,
    /// Lines below the head.
    pub rows: u64,
    /// New entries.
    pub added: u64,
    /// The same one by one: line and key.
    pub new: Vec<(u64, String)>,
    /// Entries that were there and changed: line, key, and the facts as custody has them.
    pub changed: Vec<(u64, String, serde_json::Value)>,
    /// Lines that say what is so already.
    pub unchanged: u64,
    /// Everything that is wrong, by line.
    pub problems: Vec<Problem>,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what)
}

/// One row on its way into the catalogue.
struct Line<'a> {
    row: &'a Row,
    table: &'a Table,
    problems: Vec<Problem>,
}

impl Line<'_> {
    fn text(&self, column: usize) -> Option<String> {
        self.row.cell(column).map(str::to_owned)
    }

    /// The cell, where the file has the column and something stands in it.
    fn filled(&self, column: usize) -> Option<String> {
        self.text(column).filter(|t| !t.is_empty())
    }

    /// What a filled cell means; one that means nothing is a problem.
    fn read<T>(&mut self, column: usize, meaning: impl FnOnce(&str) -> Option<T>, what: &str) -> Option<T> {
        let cell = self.filled(column)?;
        let read = meaning(&cell);
        if read.is_none() {
            let shown = crate::base::text::show(cell.chars().take(80).collect::<String>().as_ref());
            self.problem(Some(column), format!("`{shown}` is {what}"));
        }
        read
    }

    fn problem(&mut self, column: Option<usize>, what: String) {
        let column = column.and_then(|c| self.table.name(c));
        self.problems.push(Problem { line: self.row.line, column, what });
    }

    /// Leaves out a cell with which something is wrong, and says what.
    fn sound<T>(&mut self, column: usize, check: impl FnOnce(&str) -> Result<T>) -> Result<Option<String>> {
        let Some(cell) = self.filled(column) else { return Ok(self.text(column)) };
        match check(&cell) {
            Ok(_) => Ok(Some(cell)),
            Err(e) if is_fault(&e) => Err(e),
            Err(e) => {
                self.problem(Some(column), e.what().to_owned());
                Ok(None)
            }
        }
    }

    /// The same of a cell that may be cleared.
    fn sound_or_none<T>(
        &mut self,
        column: usize,
        check: impl FnOnce(&str) -> Result<T>,
    ) -> Result<Option<Option<String>>> {
        Ok(self.sound(column, check)?.map(|t| Some(t).filter(|t| !t.is_empty())))
    }

    fn condition(&mut self, first: usize) -> Condition {
        Condition {
            battery: self.read(first, percent, "no number of percent"),
            free: self.read(first + 1, size, "no size such as 12 GiB"),
            clock: self.read(first + 2, terms::seconds, "no number of seconds"),
        }
    }
}

/// What the catalogue or its disk refuses is about no line.
fn is_fault(e: &Error) -> bool {
    matches!(e.kind(), Kind::Catalog | Kind::NoSpace | Kind::Integrity)
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn percent(text: &str) -> Option<u8> {
    text.trim_end_matches(['%', '％']).trim().parse().ok().filter(|n| *n <= 100)
}

fn size(text: &str) -> Option<i64> {
    parse_size(text).and_then(|n| i64::try_from(n).ok())
}

/// Reads a file and makes its lines. Where the report has problems, whoever calls must take the transaction
/// back. With `rehearsal` it takes the time that it needs: for a copy ([`crate::catalog::private`]). A badge
/// that comes with another name than before is a problem unless `rename` says that people changed their names.
///
/// # Errors
/// [`Kind::Forbidden`], or where nothing can be made of the file.
pub fn import(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    register: Register,
    (bytes, encoding): (&[u8], Encoding),
    rehearsal: bool,
    rename: bool,
) -> Result<Report> {
    let deed = if register == Register::Ledger { Deed::KeepLedger } else { Deed::ChangeRegisters };
    check(who, deed, &About::default())?;
    let table = table::read(bytes, encoding, register.columns())?;
    make(tx, who, at, register, &table, rename, (!rehearsal).then_some(PATIENCE))
}

fn make(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    register: Register,
    table: &Table,
    rename: bool,
    patience: Option<Duration>,
) -> Result<Report> {
    let mut report = Report {
        encoding: table.encoding,
        rows: (table.rows.len() + table.problems.iter().filter(|p| p.line > 1).count()) as u64,
        added: 0,
        new: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        problems: table.problems.clone(),
    };
    let begun = Instant::now();
    let by = By { actor: who.actor.clone(), at };
    let mut lines: HashMap<i64, u64> = HashMap::new();
    let mut keys: HashMap<String, u64> = HashMap::new();
    for (row, is_circle) in in_order(register, table) {
        if patience.is_some_and(|most| begun.elapsed() > most) {
            return Err(Error::new(Kind::Busy, "the file takes too long to write in one go")
                .next("cut it into several files, each with the line of column names"));
        }
        let mut line = Line { row, table, problems: Vec::new() };
        let key = key(register, row);
        if let Some(first) = keys.get(&key).filter(|_| !key.is_empty()) {
            let what = match register {
                Register::Units => format!("the code {key} stands in line {first} already"),
                Register::Officers => format!("the badge {key} stands in line {first} already"),
                Register::Recorders => format!("recorder {key} stands in line {first} already"),
                Register::Ledger => format!("line {first} has the same recorder at the same time"),
            };
            line.problem(None, what);
        } else {
            keys.insert(key.clone(), row.line);
        }
        for (column, _) in register.columns().iter().enumerate().filter(|(_, c)| c.needed) {
            if line.filled(column).is_none() {
                line.problem(Some(column), "it is empty".into());
            }
        }
        if is_circle {
            line.problem(None, format!("unit {key} would stand above itself"));
        }
        // A line with a problem is made as far as it can be: others may build on it.
        let done = match register {
            Register::Units => put_unit(tx, who, at, &unit(tx, &mut line, is_circle)?, Must::Put),
            Register::Officers => put_officer(tx, who, at, &officer(tx, &mut line, rename)?, Must::Put),
            Register::Recorders => put_recorder(tx, who, at, &recorder(tx, &mut line)?, Must::Put),
            Register::Ledger => match taking(tx, &mut line)? {
                Some(take) => entry(tx, &by, &mut line, &take, &mut lines),
                None => Ok(Done::Unchanged),
            },
        };
        match done {
            Ok(_) if !line.problems.is_empty() => {}
            Ok(Done::Added) => {
                report.added += 1;
                report.new.push((row.line, key));
            }
            Ok(Done::Changed(facts)) => report.changed.push((row.line, key, facts)),
            Ok(Done::Unchanged) => report.unchanged += 1,
            Err(e) if is_fault(&e) => return Err(e),
            Err(e) if line.problems.is_empty() => line.problem(None, e.what().to_owned()),
            Err(_) => {}
        }
        report.problems.append(&mut line.problems);
    }
    report.problems.sort_by_key(|p| p.line);
    report.changed.sort_by_key(|(line, ..)| *line);
    report.new.sort_by_key(|(line, _)| *line);
    Ok(report)
}

/// What a row is about: nothing stands twice in one file.
fn key(register: Register, row: &Row) -> String {
    let cell = |column| row.cell(column).unwrap_or_default();
    match register {
        Register::Ledger => match when::parse(cell(4)) {
            Some(at) => format!("{} {at}", cell(0)),
            None => String::new(),
        },
        _ => cell(0).to_owned(),
    }
}

/// The rows as they can be made one after the other: units below those that they belong to. With each,
/// whether its unit stands above itself.
fn in_order(register: Register, table: &Table) -> Vec<(&Row, bool)> {
    if register != Register::Units {
        return table.rows.iter().map(|row| (row, false)).collect();
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    // A code goes before a name.
    for column in [1, 0] {
        names.extend(table.rows.iter().enumerate().filter_map(|(i, row)| Some((row.cell(column)?, i))));
    }
    let (mut out, mut taken) = (Vec::new(), vec![false; table.rows.len()]);
    for start in 0..table.rows.len() {
        let (mut way, mut next) = (Vec::new(), Some(start));
        while let Some(i) = next.filter(|i| !taken[*i]) {
            taken[i] = true;
            way.push(i);
            let parent = table.rows[i].cell(2).filter(|parent| !parent.is_empty());
            next = parent.and_then(|parent| names.get(parent).copied());
        }
        // A way that comes back to itself goes round from there on.
        let circle = next.and_then(|next| way.iter().position(|i| *i == next)).unwrap_or(way.len());
        out.extend(way.iter().enumerate().rev().map(|(step, i)| (&table.rows[*i], step >= circle)));
    }
    out
}

/// A limit of a unit's own; one out of its range is told so, however large or small it is.
fn limit(line: &mut Line<'_>, column: usize, most: u32) -> Option<Option<u32>> {
    let cell = line.filled(column);
    let digits = cell.as_deref().map(|c| c.strip_prefix('-').unwrap_or(c)).unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let fits = cell.as_deref().and_then(number).filter(|n| (1..=most).contains(n));
    if is_number && fits.is_none() {
        let shown: String = cell.unwrap_or_default().chars().take(80).collect();
        line.problem(Some(column), format!("{shown} is no limit: it lies between 1 and {most}"));
        return None;
    }
    let read = line.read(column, number, "no whole number");
    line.text(column).map(|_| read)
}

fn unit(tx: &Connection, line: &mut Line<'_>, is_circle: bool) -> Result<UnitChange> {
    let (archive_hours, case_days) = (limit(line, 3, ARCHIVE_HOURS), limit(line, 4, CASE_DAYS));
    Ok(UnitChange {
        code: line.sound(0, field::code)?.unwrap_or_default(),
        name: line.sound(1, |name| field::needed(name, NAME))?,
        // One in a circle is not there yet: that it is in one is told already.
        parent: line
            .sound_or_none(2, |parent| if is_circle { Ok(()) } else { unit_of(tx, parent).map(drop) })?,
        archive_hours,
        case_days,
        closed: line.read(5, terms::boolean, "neither yes nor no"),
    })
}

fn officer(tx: &Connection, line: &mut Line<'_>, rename: bool) -> Result<OfficerChange> {
    let (badge, name) = (line.filled(0), line.filled(1));
    let old = badge.as_deref().map(|badge| officers::by_badge(tx, badge)).transpose()?.flatten();
    if let (Some(old), Some(name), false) = (old, name, rename)
        && old.name != name
    {
        let what =
            format!("the badge {} belongs to {}; a changed name wants --allow-rename", old.badge, old.name);
        line.problem(Some(1), what);
    }
    Ok(OfficerChange {
        badge: line.sound(0, field::code)?.unwrap_or_default(),
        name: line.sound(1, |name| field::needed(name, NAME))?,
        unit: line.sound(2, |unit| unit_of(tx, unit))?,
        role: line.read(3, terms::role, "no role"),
        email: line.sound_or_none(4, field::email)?,
        quiet: line.sound_or_none(5, field::hours)?,
        digest: line.sound_or_none(6, field::time_of_day)?,
        left: line.read(7, terms::boolean, "neither yes nor no"),
    })
}

fn recorder(tx: &Connection, line: &mut Line<'_>) -> Result<RecorderChange> {
    Ok(RecorderChange {
        id: line.sound(0, field::recorder)?.unwrap_or_default(),
        model: line.sound(1, |model| field::text(model, NAME))?,
        profile: line.sound_or_none(2, |profile| field::text(profile, NAME))?,
        unit: line.sound_or_none(3, |unit| unit_of(tx, unit))?,
        officer: line.sound_or_none(4, |badge| officers::find(tx, badge))?,
        state: line.read(5, terms::state, "no state of a recorder"),
        note: line.sound(6, |note| field::text(note, NOTE))?,
    })
}

fn taking(tx: &Connection, line: &mut Line<'_>) -> Result<Option<Take>> {
    let time = "no time such as 2026-11-24 08:30";
    let issued_at = line.read(4, when::parse, time);
    let returned_at = line.read(8, when::parse, time);
    let times_fit = line.filled(8).is_some() == returned_at.is_some();
    let (issued, returned) = (line.condition(5), line.condition(9));
    if line.filled(8).is_none() && returned != Condition::default() {
        line.problem(Some(8), "it is empty, and yet the line says how the recorder came back".into());
    }
    let recorder = line.sound(0, |id| field::recorder(id).and_then(|id| keeping::known(tx, &id)))?;
    let badge = line.sound(1, |badge| officers::find(tx, badge))?;
    let purpose = line.sound(3, |purpose| field::needed(purpose, keeping::PURPOSE))?;
    let note = line.sound(12, |note| field::text(note, NOTE))?.unwrap_or_default();
    Ok(match (recorder, badge, purpose, issued_at.filter(|_| times_fit)) {
        (Some(recorder), Some(badge), Some(purpose), Some(issued_at)) => {
            let returned = returned_at.map(|at| (at, returned));
            Some(Take { recorder, badge, purpose, issued_at, issued, returned, note })
        }
        _ => None,
    })
}

/// Enters a line of a ledger; one that is entered already must say the same, or how the recorder came back.
fn entry(
    tx: &Connection,
    by: &By,
    line: &mut Line<'_>,
    take: &Take,
    lines: &mut HashMap<i64, u64>,
) -> Result<Done> {
    let officer = officers::find(tx, &take.badge)?;
    if let Some(name) = line.filled(2).filter(|name| *name != officer.name) {
        let name = crate::base::text::show(name.as_ref());
        return Err(wrong(format!("the badge {} belongs to {}, not to {name}", officer.badge, officer.name)));
    }
    let near = ledger::last_issue_before(tx, &take.recorder, take.issued_at)?;
    let Some(old) = near.filter(|i| i.issued_at == take.issued_at) else {
        let made = keeping::enter(tx, by, take, &officer, lines)?;
        lines.insert(made.id, line.row.line);
        return Ok(Done::Added);
    };
    if lines.contains_key(&old.id) {
        // Said of this line already: it stands twice.
        return Ok(Done::Unchanged);
    }
    for column in differing(take, officer.id, &old) {
        line.problem(Some(column), format!("entry {} of the ledger says otherwise", old.id));
    }
    match take.returned {
        Some(returned) if old.returned_at.is_none() && line.problems.is_empty() => {
            let new = keeping::close(tx, by, old, returned, &take.note)?;
            Ok(Done::Changed(serde_json::json!({ "returned_at": new.returned_at.map(when::exact) })))
        }
        _ => Ok(Done::Unchanged),
    }
}

/// The columns in which a line says something else than the ledger. An empty cell says nothing, and of an
/// open entry the ledger does not say how it ends.
fn differing(take: &Take, officer: i64, old: &Issue) -> Vec<usize> {
    let (end, back) = take.returned.unzip();
    let back = back.unwrap_or_default();
    let is_open = old.returned_at.is_none();
    let same = |new: Option<i64>, old: Option<i64>| new.is_none() || new == old;
    let at_end = |new: Option<i64>, old: Option<i64>| is_open || same(new, old);
    let checks = [
        (1, officer == old.officer),
        (3, take.purpose == old.purpose),
        (5, same(take.issued.battery.map(i64::from), old.issued.battery.map(i64::from))),
        (6, same(take.issued.free, old.issued.free)),
        (7, same(take.issued.clock, old.issued.clock)),
        (8, at_end(end, old.returned_at)),
        (9, at_end(back.battery.map(i64::from), old.returned.battery.map(i64::from))),
        (10, at_end(back.free, old.returned.free)),
        (11, at_end(back.clock, old.returned.clock)),
        (12, take.note.is_empty() || take.note == old.note || is_open && end.is_some()),
    ];
    checks.into_iter().filter(|(_, same)| !same).map(|(column, _)| column).collect()
}
