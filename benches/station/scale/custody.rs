//! The custody log: a checkpoint, a proof, and the verification of everything.

use chrono::{DateTime, Utc};
use docket::access::Person;
use docket::base::Cancel;
use docket::catalog::{Connection, look};
use docket::custody::entry::Entry;
use docket::custody::verify::{Against, verify};
use docket::custody::{checkpoint, key, log, prove, tiles};
use rusqlite::OpenFlags;

use super::Table;
use super::make::{Made, TODAY, row};
use super::names::Dice;

/// Entries between two checkpoints, by default.
const EVERY: u64 = 10_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(TODAY).expect("a time")
}

/// Everything of the log is covered by a checkpoint, as at a station that has run all the time.
pub fn sign(data: &std::path::Path) {
    let db = writable(data);
    let signer = key::signer(data, &db).expect("the station's key");
    let (size, _) = log::head(&db).expect("the log's head");
    db.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    while !tiles::fill(&db, size).expect("tiles") {}
    checkpoint::make(&db, &signer, now()).expect("a checkpoint");
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").expect("a commit");
}

/// As the daemon opens it.
fn writable(data: &std::path::Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(data.join("catalog.sqlite"), flags).expect("the catalogue");
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096; PRAGMA busy_timeout = 30000")
        .expect("a pragma");
    db
}

pub fn ask(table: &mut Table, made: &Made) {
    let db = writable(&made.data);
    let signer = key::signer(&made.data, &db).expect("the station's key");
    let mut times = Vec::new();
    for _ in 0..20 {
        // Undone each time: the made catalogue stays as it is.
        db.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
        for i in 0..EVERY {
            let entry = Entry {
                at: now(),
                actor: "daemon".into(),
                action: "recording.verified",
                object: format!("recording:{i}"),
                details: serde_json::Map::new(),
            };
            log::append(&db, &entry).expect("an entry");
        }
        let begun = std::time::Instant::now();
        let (size, _) = log::head(&db).expect("the log's head");
        while !tiles::fill(&db, size).expect("tiles") {}
        assert!(checkpoint::make(&db, &signer, now()).expect("a checkpoint").is_some());
        times.push(begun.elapsed());
        db.execute_batch("ROLLBACK").expect("a rollback");
    }
    table.many("custody: a checkpoint after 10,000 entries", "100 ms", times);
    drop(db);
    let db = look(&made.data.join("catalog.sqlite")).expect("the catalogue");
    let who = Person::administrator("command:bench".into());
    let mut dice = Dice::new(7);
    let recordings: Vec<String> = (0..=super::TIMES)
        .map(|_| {
            let sql = "SELECT id FROM recording WHERE rowid = ?1";
            db.query_row(sql, [row(dice.below(made.size.recordings) + 1)], |r| r.get(0)).expect("a recording")
        })
        .collect();
    table.ask("custody: proof that a recording's entry is in the log", "10 ms", |i| {
        let seq = prove::entry_of(&db, &recordings[i as usize]).expect("an entry");
        let kept = prove::covering(&db, seq).expect("a look").expect("a checkpoint");
        prove::prove(&db, &who, seq, &kept).expect("a proof");
    });
    let begun = std::time::Instant::now();
    let report = verify(&db, &who, Against::default(), &Cancel::new()).expect("a report");
    let took = begun.elapsed();
    assert!(report.good && report.recordings == made.size.recordings, "{:?}", report.findings);
    let rate = report.entries as f64 / took.as_secs_f64() / 1000.0;
    let cell = format!("{rate:.0} thousand/s ({})", super::shown(took));
    table.put("custody: entries verified, with tree, checkpoints and recordings", "200 thousand/s", cell);
}
