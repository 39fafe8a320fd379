//! The custody log: a checkpoint, a proof, and the verification of everything.

use chrono::{DateTime, Utc};
use docket::catalog::{Connection, look};
use docket::custody::entry::Entry;
use docket::custody::{checkpoint, key, log, merkle, tiles};
use rusqlite::OpenFlags;

use super::Table;
use super::make::{Made, TODAY};
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
    let (size, _) = log::head(&db).expect("the log's head");
    let mut dice = Dice::new(7);
    table.ask("custody: an inclusion proof", "10 ms", |_| {
        let index = dice.below(size);
        let proof = merkle::inclusion(&mut |level, place| tiles::subtree(&db, level, place), index, size);
        assert!(!proof.expect("a proof").is_empty());
    });
    let begun = std::time::Instant::now();
    let (entries, _) = log::verify(&db).expect("an unbroken log");
    let rate = entries as f64 / begun.elapsed().as_secs_f64();
    table.put("custody: full verification", "200,000 entries/s", format!("{rate:.0}/s"));
}
