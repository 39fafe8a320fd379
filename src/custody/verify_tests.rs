//! A log in memory, signed, and changed in every byte.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rusqlite::{Connection, params};
use serde_json::json;

use super::*;
use crate::custody::note::PrivateKey;
use crate::custody::{Entry, key, log, merkle, prove, tiles};

const STATION: &str = "01a20e08-de27-7739-8d9c-f60e4e5e3a89";

fn append(db: &Connection, action: &'static str, object: &str, details: serde_json::Value) {
    let serde_json::Value::Object(details) = details else { return };
    let at = chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let entry = Entry { at, actor: "daemon".into(), action, object: object.into(), details };
    log::append(db, &entry).unwrap();
}

/// A log of `n` entries without its triggers, and its key.
fn signed(n: u64) -> (Connection, PrivateKey) {
    let db = Connection::open_in_memory().unwrap();
    for step in
        [include_str!("../catalog/migrations/0001.sql"), include_str!("../catalog/migrations/0007.sql")]
    {
        db.execute_batch(step).unwrap();
    }
    db.execute_batch("DROP TRIGGER custody_is_never_changed; DROP TRIGGER custody_is_never_removed").unwrap();
    db.execute("INSERT INTO station VALUES (1, ?1, 0)", [STATION]).unwrap();
    let signer = PrivateKey::new(&checkpoint::origin(STATION), &[4; 32]);
    db.execute_batch("BEGIN").unwrap();
    append(&db, "station.created", "station", json!({ "id": STATION }));
    append(&db, "custody.key", key::OBJECT, key::details(&signer.public(), None));
    for i in 2..n {
        append(&db, "docking.begun", &format!("docking:{i}"), json!({ "dock": "1", "reason": "记录" }));
    }
    db.execute_batch("COMMIT").unwrap();
    while !tiles::fill(&db, n).unwrap() {}
    checkpoint::make(&db, &signer, chrono::DateTime::default()).unwrap().unwrap();
    (db, signer)
}

fn who() -> Person {
    Person::administrator("test".into())
}

fn report(db: &Connection) -> Report {
    verify(db, &who(), Against::default(), &Cancel::new()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_of_the_log_is_found(
        seq in 1i64..=12, column in 0usize..4, at: prop::sample::Index, flip in 1u8..
    ) {
        let (db, _) = signed(12);
        prop_assert!(report(&db).good);
        let name = ["entry", "leaf", "chain", "object"][column];
        let sql = format!("SELECT CAST({name} AS BLOB) FROM custody WHERE seq = ?1");
        let mut bytes: Vec<u8> = db.query_row(&sql, [seq], |r| r.get(0)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let cast = if name == "object" { "CAST(?2 AS TEXT)" } else { "?2" };
        db.execute(&format!("UPDATE custody SET {name} = {cast} WHERE seq = ?1"), params![seq, bytes]).unwrap();
        let report = report(&db);
        prop_assert!(!report.good, "{name} of {seq}");
        let told = format!("custody entry {seq}");
        prop_assert!(report.findings.iter().any(|f| f.text.contains(&told)), "{:?}", report.findings);
    }

    #[test]
    fn any_changed_byte_of_a_checkpoint_is_found(at: prop::sample::Index, flip in 1u8..) {
        let (db, _) = signed(12);
        let mut note = checkpoint::newest(&db).unwrap().unwrap().note.into_bytes();
        let at = at.index(note.len());
        note[at] ^= flip;
        let held = vec![Held { place: "volume main".into(), path: "x".into(), note: Ok(note) }];
        let report = verify(&db, &who(), Against { held, ..Against::default() }, &Cancel::new()).unwrap();
        prop_assert!(!report.good);
    }
}

#[test]
fn roots_and_proofs_are_the_same_with_tiles_without_them_and_with_holes() {
    let n = 256 * 256 + 700;
    let (db, signer) = signed(n);
    let (_, said) = Checkpoint::of(checkpoint::newest(&db).unwrap().unwrap().note.as_bytes()).unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM custody_tile", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 256 + 2 + 1);
    let kept = checkpoint::newest(&db).unwrap().unwrap();
    for change in ["DELETE FROM custody_tile WHERE place % 3 = 1", "DELETE FROM custody_tile"] {
        for seq in [1, 2, 256, 257, 65_536, 65_537, n] {
            let proof = prove::prove(&db, &who(), seq, &kept).unwrap();
            let path: Vec<Hash> =
                proof.path.iter().map(|h| crate::base::text::unhex(h).unwrap().try_into().unwrap()).collect();
            let leaf = crate::custody::entry::leaf(proof.entry.as_bytes());
            assert_eq!(merkle::root_of_inclusion(&leaf, seq - 1, n, &path), Some(said.root), "{seq}");
        }
        db.execute_batch(change).unwrap();
        assert_eq!(checkpoint::root(&db, n).unwrap(), said.root, "after {change}");
    }
    // A log that is taken up late is filled in pieces.
    let mut rounds = 1;
    while !tiles::fill(&db, n).unwrap() {
        rounds += 1;
    }
    assert!(rounds > 1, "a bounded number of tiles in one transaction");
    assert!(report(&db).good);
    // Nothing new to sign, then one entry more.
    assert!(checkpoint::make(&db, &signer, chrono::DateTime::default()).unwrap().is_none());
    append(&db, "docking.begun", "docking:1", json!({}));
    assert_eq!(checkpoint::make(&db, &signer, chrono::DateTime::default()).unwrap().unwrap().size, n + 1);
    // Another key than the log's signs nothing.
    let other = PrivateKey::new(&checkpoint::origin(STATION), &[5; 32]);
    append(&db, "docking.begun", "docking:1", json!({}));
    assert!(checkpoint::make(&db, &other, chrono::DateTime::default()).is_err());
}

#[test]
fn many_findings_of_a_kind_are_counted_not_listed() {
    let (db, _) = signed(200);
    db.execute_batch("UPDATE custody SET object = object || 'x' WHERE seq > 2").unwrap();
    let report = report(&db);
    assert_eq!((report.findings.len(), report.more), (EACH, 198 - EACH as u64));
}
