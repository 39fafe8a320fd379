//! Makes a catalogue as large as a province's: rows as the station would have written them over 501 days, in
//! their order, with the custody log that goes with them. Deterministic, kept below `target/`, and made anew
//! only where the schema or this file has changed.
//!
//! A shift is the unit: an officer takes a recorder, makes ten recordings, docks it, and has opened a case.

use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::DateTime;
use docket::catalog::Catalog;
use docket::custody::Entry;
use docket::custody::entry::{Hash, chain, leaf};
use rusqlite::{Connection, Statement, params};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::names::{Dice, person, unit};
use super::{cases, custody, rows};
use crate::station::prepare;

/// Changed with whatever changes the rows.
const EDITION: u32 = 4;
/// Days that the catalogue covers; on the last one nothing is archived yet.
pub const DAYS: u64 = 501;
/// Recordings of a shift.
pub const SHIFT: u64 = 10;
/// 2026-11-24 00:00 in China: the day on which the catalogue is looked at.
pub const TODAY: i64 = 1_795_449_600_000;
/// Milliseconds.
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// A made station.
pub struct Made {
    pub data: PathBuf,
    pub size: Size,
    /// Bytes of the catalogue.
    pub bytes: u64,
}

/// How much of everything there is; all follows from the number of recordings.
#[derive(Clone, Copy)]
pub struct Size {
    pub recordings: u64,
    pub shifts_a_day: u64,
    pub recorders: u64,
    pub officers: u64,
    pub units: u64,
}

impl Size {
    pub fn of(recordings: u64) -> Self {
        Self {
            recordings,
            shifts_a_day: (recordings / (DAYS - 1) / SHIFT).max(1),
            recorders: (recordings / 500).max(20),
            officers: (recordings / 700).max(40),
            units: (recordings / 20_000).max(4),
        }
    }
}

/// One shift of one officer with one recorder.
#[derive(Clone, Copy)]
pub struct Shift {
    /// Its number, from 0; the case that was opened in it has the row `number + 1`.
    pub number: u64,
    /// Local midnight, milliseconds.
    pub day: i64,
    /// Row of the officer.
    pub officer: i64,
    /// Row of the second officer on the case, of the same unit.
    pub second: i64,
    /// Row of the unit.
    pub unit: i64,
    pub recorder: u64,
}

impl Shift {
    pub fn of(size: &Size, number: u64) -> Self {
        let (day, officer) = (number / size.shifts_a_day, number % size.officers);
        let second = (officer + size.units) % size.officers;
        Self {
            number,
            day: TODAY - i64::try_from(DAYS - 1 - day).expect("a day") * DAY,
            officer: row(officer + 1),
            second: row(second + 1),
            unit: row(officer % size.units + 1),
            recorder: number % size.recorders,
        }
    }

    pub fn recorder_id(&self) -> String {
        recorder_id(self.recorder)
    }
}

pub fn row(n: u64) -> i64 {
    i64::try_from(n).expect("a row number")
}

pub fn recorder_id(n: u64) -> String {
    format!("ZFY{n:06}")
}

pub fn badge(officer: i64) -> String {
    format!("4306{officer:07}")
}

/// The custody log under way; hashes are docket's own.
pub struct Log<'a> {
    insert: Statement<'a>,
    seq: u64,
    chain: Hash,
}

impl<'a> Log<'a> {
    fn go_on(db: &'a Connection) -> Self {
        let (seq, chain) = docket::custody::log::head(db).expect("the log's head");
        let sql = "INSERT INTO custody (seq, object, entry, leaf, chain) VALUES (?1, ?2, ?3, ?4, ?5)";
        Self { insert: db.prepare(sql).expect("a statement"), seq, chain }
    }

    pub fn add(&mut self, at: i64, actor: &str, action: &'static str, object: String, details: Value) {
        let Value::Object(details) = details else { panic!("details are an object") };
        let at = DateTime::from_timestamp_millis(at).expect("a time");
        let entry = Entry { at, actor: actor.into(), action, object, details };
        self.seq += 1;
        let bytes = entry.canonical(self.seq);
        let leaf = leaf(&bytes);
        self.chain = chain(&self.chain, &leaf);
        self.insert.execute(params![row(self.seq), entry.object, bytes, leaf, self.chain]).expect("an entry");
    }
}

/// The made catalogue of a size; made now where it is not there, or not of this edition.
pub fn made(recordings: u64) -> Made {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("scale-{recordings}"));
    let (data, mark) = (dir.join("station"), dir.join("edition"));
    let size = Size::of(recordings);
    let edition = format!("{EDITION} {}", schema());
    if std::fs::read_to_string(&mark).ok().as_deref() != Some(&edition) {
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("volume")).expect("a folder");
        prepare(&data, &dir.join("volume"), None);
        let begun = Instant::now();
        fill(&data.join("catalog.sqlite"), &size);
        custody::sign(&data);
        eprintln!("{recordings} recordings made in {:.0} s", begun.elapsed().as_secs_f64());
        std::fs::write(&mark, edition).expect("the edition");
    }
    let bytes = std::fs::metadata(data.join("catalog.sqlite")).expect("the catalogue").len();
    Made { data, size, bytes }
}

/// What an empty catalogue looks like, as a hash.
fn schema() -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("c.sqlite");
    drop(Catalog::open_or_create(&path).expect("a catalogue"));
    let db = Connection::open(&path).expect("the catalogue");
    let sql = "SELECT coalesce(group_concat(sql, ';'), '') FROM sqlite_schema";
    let text: String = db.query_row(sql, [], |r| r.get(0)).expect("the schema");
    docket::base::text::hex(&Sha256::digest(text))
}

fn fill(path: &Path, size: &Size) {
    let db = Connection::open(path).expect("the catalogue");
    // Nobody else reads it, and a broken one is made anew.
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA foreign_keys = OFF")
        .expect("a pragma");
    let indices = without_indices(&db);
    db.execute_batch("BEGIN").expect("a transaction");
    {
        let mut log = Log::go_on(&db);
        let mut dice = Dice::new(20_261_124);
        let names = registers(&db, size, &mut dice);
        let mut rows = rows::Rows::new(&db);
        let mut cases = cases::Cases::new(&db, names);
        let shifts = DAYS * size.shifts_a_day;
        for number in 0..shifts {
            let shift = Shift::of(size, number);
            // The last day's recorders are still out, with what was made since.
            let today = number >= shifts - size.shifts_a_day;
            let made = rows.shift(&mut log, &mut dice, &shift, today);
            cases.open(&mut log, &mut dice, &shift, &made);
            for (event, days) in [(cases::Event::ActEnded, 12), (cases::Event::Closed, 25)] {
                let before = number.checked_sub(days * size.shifts_a_day);
                if let Some(then) = before {
                    cases.event(&mut log, &Shift::of(size, then), shift.day + 15 * HOUR, event);
                }
            }
            if number % (50 * size.shifts_a_day) == 0 {
                eprintln!("{} recordings", number * SHIFT);
            }
        }
        rows.waiting(&mut log, &mut dice, size);
        let read = db.execute(
            "INSERT OR REPLACE INTO reader (name, seq) SELECT 'deadlines', max(seq) FROM custody",
            [],
        );
        read.expect("the reader");
    }
    for index in indices {
        db.execute_batch(&index).expect("an index");
    }
    db.execute_batch("COMMIT; ANALYZE; PRAGMA journal_mode = WAL").expect("a commit");
    let astray = db.prepare("PRAGMA foreign_key_check").and_then(|mut q| q.exists([])).expect("a check");
    assert!(!astray, "a row points nowhere");
}

/// Takes the indices off: built at the end, over sorted rows, they cost a fraction.
fn without_indices(db: &Connection) -> Vec<String> {
    let mut query = db
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        .expect("a query");
    let all: Vec<(String, String)> = query
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .expect("the indices")
        .collect::<rusqlite::Result<_>>()
        .expect("the indices");
    for (name, _) in &all {
        db.execute_batch(&format!("DROP INDEX {name}")).expect("an index");
    }
    all.into_iter().map(|(_, sql)| sql).collect()
}

fn registers(db: &Connection, size: &Size, dice: &mut Dice) -> Vec<String> {
    let mut units =
        db.prepare("INSERT INTO unit (id, code, name, parent) VALUES (?1, ?2, ?3, ?4)").expect("a statement");
    for i in 0..size.units {
        let parent = (i > 0).then_some(1);
        units.execute(params![row(i + 1), format!("430602{i:03}"), unit(i), parent]).expect("a unit");
    }
    let mut officers = db
        .prepare("INSERT INTO officer (id, badge, name, unit, role) VALUES (?1, ?2, ?3, ?4, ?5)")
        .expect("a statement");
    let mut names = Vec::new();
    for i in 0..size.officers {
        let role = match i / size.units {
            0 => "head",
            1 => "reviewer",
            2 => "storage",
            _ => "officer",
        };
        let name = person(dice);
        let (id, at) = (row(i + 1), row(i % size.units + 1));
        officers.execute(params![id, badge(id), name, at, role]).expect("an officer");
        names.push(name);
    }
    let mut seen = db.prepare("INSERT INTO recorder VALUES (?1, ?2, ?3)").expect("a statement");
    let mut entered = db
        .prepare("INSERT INTO recorder_entry (id, model, profile, unit, state) VALUES (?1, 'DSJ-V8', 'dcam', ?2, 'in_service')")
        .expect("a statement");
    for i in 0..size.recorders {
        let first = TODAY - row(DAYS) * DAY;
        seen.execute(params![recorder_id(i), first, TODAY]).expect("a recorder");
        entered.execute(params![recorder_id(i), row(i % size.units + 1)]).expect("a recorder");
    }
    names
}
