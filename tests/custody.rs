//! The custody log against whoever can write to the station's files: each way to change the past is named
//! here, done to a real station's database, and found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Station, content, put, stderr};
use docket::custody::checkpoint::Checkpoint;
use docket::custody::entry::{chain, leaf};
use docket::custody::note::PrivateKey;
use rusqlite::{Connection, params};
use serde_json::Value;

const SETTINGS: &str = "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
     [ingest]\nsettle_seconds = 0\nprobe = false\n[custody]\ncheckpoint_every = 1\n";

/// A station with two dockings of some recordings, and a checkpoint after each.
fn station(more: &str) -> Station {
    let station = Station::with_config(&format!("{SETTINGS}{more}"));
    dock(&station, 1);
    dock(&station, 2);
    station
}

fn dock(station: &Station, seed: u64) {
    dock_many(station, seed, 3);
}

fn dock_many(station: &Station, seed: u64, files: u64) {
    let card = station.card(&format!("card-{seed}"));
    for n in 0..files {
        put(card.join(format!("F{seed}_{n}.MP4")), &content(seed * 1000 + n, 500));
    }
    station.ok(&["ingest", card.to_str().unwrap(), "--recorder", "REC1"]);
}

/// The attacker's hand on the database: no triggers, whatever SQL.
fn attack(station: &Station) -> Connection {
    let db = Connection::open(station.data().join("catalog.sqlite")).unwrap();
    db.execute_batch(
        "DROP TRIGGER IF EXISTS custody_is_never_changed; DROP TRIGGER IF EXISTS custody_is_never_removed;",
    )
    .unwrap();
    db
}

/// All entries, in order.
fn entries(db: &Connection) -> Vec<(String, String)> {
    let mut query = db.prepare("SELECT object, CAST(entry AS TEXT) FROM custody ORDER BY seq").unwrap();
    query.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(|r| r.unwrap()).collect()
}

/// Writes the log anew with numbers, hashes and chain that fit.
fn rewrite(db: &Connection, entries: &[(String, String)]) {
    db.execute_batch("DELETE FROM custody; DELETE FROM custody_tile").unwrap();
    let mut previous = [0; 32];
    for (i, (object, text)) in entries.iter().enumerate() {
        let mut entry: Value = serde_json::from_str(text).unwrap();
        entry["seq"] = (i + 1).into();
        let bytes = entry.to_string().into_bytes();
        let leaf = leaf(&bytes);
        previous = chain(&previous, &leaf);
        db.execute(
            "INSERT INTO custody VALUES (?1, ?2, ?3, ?4, ?5)",
            params![i as i64 + 1, object, bytes, leaf, previous],
        )
        .unwrap();
    }
}

/// Signs every checkpoint of the database anew over the log as it is now.
fn sign_anew(db: &Connection, key: &PrivateKey) {
    let sizes: Vec<i64> = {
        let mut query = db.prepare("SELECT size FROM checkpoint ORDER BY size").unwrap();
        query.query_map([], |r| r.get(0)).unwrap().map(|r| r.unwrap()).collect()
    };
    for size in sizes {
        let root = docket::custody::checkpoint::root(db, size as u64).unwrap();
        let said = Checkpoint { origin: key.public().name, size: size as u64, root };
        db.execute("UPDATE checkpoint SET note = ?2 WHERE size = ?1", params![size, key.sign(&said.text())])
            .unwrap();
    }
}

fn verify(station: &Station, args: &[&str]) -> (i32, Value) {
    let out = station.run(&[&["custody", "verify", "--json"], args].concat());
    let code = out.status.code().unwrap();
    (code, serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{code}: {}", stderr(&out))))
}

fn kinds(report: &Value) -> Vec<&str> {
    let mut kinds: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|f| f["what"].as_str().unwrap()).collect();
    kinds.dedup();
    kinds
}

/// Verifies, and wants this kind of finding, exit status 4, and a person to be told the same.
#[track_caller]
fn found(station: &Station, args: &[&str], kind: &str, part: &str) {
    let (code, report) = verify(station, args);
    assert_eq!((code, &report["good"]), (4, &Value::Bool(false)), "{report:#}");
    assert!(kinds(&report).contains(&kind), "{kind} is not among {report:#}");
    assert!(report.to_string().contains(part), "{part} is not in {report:#}");
    let out = station.run(&[&["custody", "verify"], args].concat());
    assert_eq!(out.status.code(), Some(4));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("NOT as it was written") && text.contains(part), "{text}");
    let out = station.run(&[&["--lang", "zh", "custody", "verify"], args].concat());
    assert_eq!(out.status.code(), Some(4));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("与写入时不一致"), "{text}");
    let english = text.lines().find(|l| l.contains(" the ") || l.contains(" is ") || l.contains(" of "));
    assert_eq!(english, None, "{text}");
}

fn notes(folder: &Path) -> Vec<PathBuf> {
    common::files(folder)
}

fn checkpoints(station: &Station) -> PathBuf {
    station.archive().join("checkpoints")
}

fn vkey(station: &Station) -> String {
    station.ok(&["custody", "key"]).trim().to_owned()
}

fn own_key(station: &Station, seed: u8) -> PrivateKey {
    let vkey = vkey(station);
    PrivateKey::new(vkey.split('+').next().unwrap(), &[seed; 32])
}

#[test]
fn a_log_that_nobody_touched_is_as_it_was_written() {
    let witness = tempfile::tempdir().unwrap();
    let station = station(&format!("witness = {:?}\n", witness.path().to_str().unwrap()));
    let (code, report) = verify(&station, &["--key", &vkey(&station)]);
    assert_eq!(
        (code, &report["good"], &report["findings"]),
        (0, &true.into(), &serde_json::json!([])),
        "{report:#}"
    );
    assert_eq!(report["recordings"], 6);
    assert_eq!(report["newest"]["size"], report["entries"]);
    let places: Vec<_> =
        report["places"].as_array().unwrap().iter().map(|p| p["checkpoints"].as_u64()).collect();
    assert_eq!(places, [Some(2); 3], "{report:#}");
    assert_eq!((notes(&checkpoints(&station)).len(), notes(witness.path()).len()), (2, 2));
    assert!(station.ok(&["custody", "verify"]).contains("The custody log is as it was written"));
    assert!(station.ok(&["--lang", "zh", "custody", "verify"]).contains("保管日志与写入时一致"));
    station.ok(&["fsck", "--depth", "manifests"]);
    // Read only, and nothing that docket did not make.
    std::fs::write(checkpoints(&station).join("note.txt"), "x").unwrap();
    let out = station.run(&["fsck"]);
    assert_eq!(out.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&out.stdout).contains("checkpoints/note.txt"));
}

#[test]
fn an_altered_entry() {
    let station = station("");
    let db = attack(&station);
    db.execute_batch(
        "UPDATE custody SET entry = CAST(replace(CAST(entry AS TEXT), 'REC1', 'REC9') AS BLOB) WHERE seq =
           (SELECT min(seq) FROM custody WHERE entry LIKE '%docking.begun%')",
    )
    .unwrap();
    found(&station, &[], "entry-altered", "its text does not fit its hash");
}

#[test]
fn an_altered_entry_with_the_chain_made_to_fit() {
    let station = station("");
    let db = attack(&station);
    let altered: Vec<_> = entries(&db).into_iter().map(|(o, e)| (o, e.replace("REC1", "REC9"))).collect();
    rewrite(&db, &altered);
    found(&station, &[], "checkpoint-mismatch", "volume main");
    // The checkpoints beside the log removed as well: those on the volume stay.
    db.execute_batch("DELETE FROM checkpoint").unwrap();
    found(&station, &[], "checkpoint-mismatch", "volume main");
}

#[test]
fn the_place_of_a_change_is_narrowed_down() {
    let station = station("");
    let db = attack(&station);
    let sizes: Vec<i64> = {
        let mut query = db.prepare("SELECT size FROM checkpoint ORDER BY size").unwrap();
        query.query_map([], |r| r.get(0)).unwrap().map(|r| r.unwrap()).collect()
    };
    let mut list = entries(&db);
    let last = list.len() - 1;
    list[last].1 = list[last].1.replace("daemon", "nobody").replace("command:", "nobody:");
    rewrite(&db, &list);
    let part = format!("up to entry {}", sizes[0]);
    found(&station, &[], "checkpoint-mismatch", &part);
}

#[test]
fn a_dropped_entry() {
    let station = station("");
    let db = attack(&station);
    let whole = entries(&db);
    db.execute_batch("DELETE FROM custody WHERE seq = 5").unwrap();
    found(&station, &[], "entry-missing", "custody entry 5");
    let mut fewer = whole;
    fewer.remove(4);
    rewrite(&db, &fewer);
    let (code, report) = verify(&station, &[]);
    assert_eq!((code, kinds(&report)), (4, vec!["checkpoint-mismatch", "log-truncated"]), "{report:#}");
}

#[test]
fn reordered_entries() {
    let station = station("");
    let db = attack(&station);
    let mut list = entries(&db);
    db.execute_batch(
        "UPDATE custody SET seq = -5 WHERE seq = 5; UPDATE custody SET seq = 5 WHERE seq = 6;
         UPDATE custody SET seq = 6 WHERE seq = -5",
    )
    .unwrap();
    found(&station, &[], "chain-cut", "custody entry 5");
    list.swap(4, 5);
    rewrite(&db, &list);
    found(&station, &[], "checkpoint-mismatch", "volume main");
}

#[test]
fn a_tail_that_was_cut_off() {
    let station = station("");
    let db = attack(&station);
    let list = entries(&db);
    rewrite(&db, &list[..list.len() - 2]);
    db.execute_batch("DELETE FROM checkpoint WHERE size > (SELECT max(seq) FROM custody)").unwrap();
    found(&station, &[], "log-truncated", "volume main");
    // Nothing at all left.
    rewrite(&db, &[]);
    let (code, report) = verify(&station, &[]);
    assert_eq!(code, 4, "{report:#}");
}

#[test]
fn a_database_swapped_for_an_older_copy() {
    let station = station("");
    let backup = station.dir.path().join("older.sqlite");
    station.ok(&["backup", backup.to_str().unwrap()]);
    dock(&station, 3);
    for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    std::fs::copy(&backup, station.data().join("catalog.sqlite")).unwrap();
    found(&station, &[], "log-truncated", "volume main");
    // Work goes on, and nothing is signed on top of the older copy: two histories are never both signed.
    let before = verify(&station, &[]).1["newest"].clone();
    dock(&station, 4);
    dock(&station, 5);
    let (code, report) = verify(&station, &[]);
    assert_eq!((code, &report["newest"]), (4, &before), "{report:#}");
    assert!(kinds(&report).contains(&"checkpoint-mismatch"), "{report:#}");
    // Whoever restored it says so, and the log goes on under another key.
    let old = vkey(&station);
    station.ok(&["custody", "new-key", "--reason", "backup restored"]);
    dock(&station, 6);
    // A rollback could be covered up like this, so it is good only for whoever vouches for the new key.
    found(&station, &[], "checkpoint-abandoned", "volume main");
    let new = vkey(&station);
    let (code, report) = verify(&station, &["--key", &new]);
    assert_eq!((code, kinds(&report)), (3, vec!["history-given-up"]), "{report:#}");
    assert_eq!(report["newest"]["size"], report["entries"]);
    let out = station.run(&["custody", "verify", "--key", &new]);
    assert!(!String::from_utf8_lossy(&out.stdout).contains("is as it was written"));
    // Not for somebody who knows the old key alone.
    found(&station, &["--key", &old], "checkpoint-mismatch", "volume main");
}

/// Puts the catalogue back to an older copy, and does something to the checkpoints on the volume.
fn rolled_back(hide: impl Fn(&Path)) -> Station {
    let station = station("");
    let backup = station.dir.path().join("older.sqlite");
    station.ok(&["backup", backup.to_str().unwrap()]);
    dock(&station, 3);
    for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    std::fs::copy(&backup, station.data().join("catalog.sqlite")).unwrap();
    hide(&checkpoints(&station));
    station
}

#[test]
fn one_odd_thing_among_the_checkpoints_hides_no_rollback() {
    let first = |folder: &Path| folder.join(format!("{:020}.txt", 1));
    let hides: [&dyn Fn(&Path); 4] = [
        &|folder| std::os::unix::fs::symlink("/nowhere", first(folder)).unwrap(),
        &|folder| nix::unistd::mkfifo(&first(folder), nix::sys::stat::Mode::S_IRWXU).unwrap(),
        &|folder| std::fs::create_dir(first(folder)).unwrap(),
        // The newest under a name that the catalogue knows.
        &|folder| std::fs::rename(notes(folder).last().unwrap(), &notes(folder)[0]).unwrap(),
    ];
    for (n, hide) in hides.iter().enumerate() {
        let station = rolled_back(hide);
        found(&station, &[], "log-truncated", "volume main");
        if n < 3 {
            found(&station, &[], "checkpoint-unreadable", "volume main");
        }
        let before = verify(&station, &[]).1["newest"].clone();
        dock(&station, 4);
        assert_eq!(verify(&station, &[]).1["newest"], before, "{n}: nothing is signed on top");
        let entry = verify(&station, &[]).1["entries"].to_string();
        let out = station.run(&["custody", "prove", "--entry", &entry]);
        assert_eq!(out.status.code(), Some(1), "{n}: not for a proof either");
    }
}

#[test]
fn a_folder_of_checkpoints_that_cannot_be_looked_into_stops_signing_and_is_told() {
    let station = rolled_back(|folder| {
        std::fs::rename(folder, folder.with_extension("away")).unwrap();
        std::os::unix::fs::symlink(folder.with_extension("away"), folder).unwrap();
    });
    found(&station, &[], "checkpoint-unreadable", "volume main");
    let before = verify(&station, &[]).1["newest"].clone();
    dock(&station, 4);
    assert_eq!(verify(&station, &[]).1["newest"], before);
}

#[test]
fn checkpoints_removed_from_a_volume_are_missed_there_and_handed_out_again() {
    let station = station("");
    std::fs::remove_dir_all(checkpoints(&station)).unwrap();
    let (code, report) = verify(&station, &[]);
    assert_eq!((code, kinds(&report)), (3, vec!["checkpoint-lacking"]), "{report:#}");
    let places = report["places"].as_array().unwrap();
    assert!(places.contains(&serde_json::json!({ "name": "volume main", "checkpoints": 0 })), "{report:#}");
    dock(&station, 3);
    assert_eq!(verify(&station, &[]).0, 0);
}

#[test]
fn a_checkpoint_that_is_no_file_is_not_waited_for() {
    let station = station("");
    let fifo = station.dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let out = station.run(&["custody", "verify", "--checkpoint", fifo.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("fifo"), "{}", stderr(&out));
}

#[test]
fn a_replaced_key_with_every_checkpoint_of_the_database_signed_anew() {
    let station = station("");
    let kept = vkey(&station);
    let db = attack(&station);
    let key = own_key(&station, 7);
    std::fs::write(station.data().join("custody.key"), key.line()).unwrap();
    sign_anew(&db, &key);
    found(&station, &[], "checkpoint-forged", "catalogue");
    // The name in the log forged as well.
    let named = key.public().to_string();
    let list: Vec<_> = entries(&db).into_iter().map(|(o, e)| (o, e.replace(&kept, &named))).collect();
    rewrite(&db, &list);
    sign_anew(&db, &key);
    found(&station, &[], "checkpoint-forged", "volume main");
    // And every checkpoint that the attacker reaches: whoever kept the key still knows.
    std::fs::remove_dir_all(checkpoints(&station)).unwrap();
    let (code, report) = verify(&station, &[]);
    assert_eq!((code, kinds(&report)), (3, vec!["checkpoint-lacking"]), "nothing else is left to tell");
    found(&station, &["--key", &kept], "key-unknown", "does not name the key");
}

#[test]
fn a_forged_checkpoint_beside_good_ones() {
    let station = station("");
    let note = notes(&checkpoints(&station)).remove(0);
    let text = std::fs::read_to_string(&note).unwrap();
    let elsewhere = station.dir.path().join("elsewhere.txt");
    std::fs::write(&elsewhere, &text).unwrap();
    assert_eq!(verify(&station, &["--checkpoint", elsewhere.to_str().unwrap()]).0, 0);
    std::fs::set_permissions(&note, std::fs::Permissions::from_mode(0o600)).unwrap();
    let size = text.lines().nth(1).unwrap();
    std::fs::write(&note, text.replace(&format!("\n{size}\n"), "\n3\n")).unwrap();
    found(&station, &[], "checkpoint-forged", "volume main");
    std::fs::write(&note, "\u{0}\u{1}").unwrap();
    found(&station, &[], "checkpoint-unreadable", "volume main");
    std::fs::write(&note, &text).unwrap();
    attack(&station).execute_batch("DELETE FROM checkpoint").unwrap();
    found(&station, &[], "checkpoint-removed", "volume main");
}

#[test]
fn an_altered_tile() {
    let station = station("");
    dock_many(&station, 9, 80);
    let db = attack(&station);
    let tiles: i64 = db.query_row("SELECT count(*) FROM custody_tile", [], |r| r.get(0)).unwrap();
    assert!(tiles > 0, "256 entries make a tile");
    db.execute_batch("UPDATE custody_tile SET hash = zeroblob(32) WHERE level = 1 AND place = 0").unwrap();
    found(&station, &[], "tile-altered", "entries 1 to 256");
    // A root over it is not signed.
    dock(&station, 10);
    let (_, report) = verify(&station, &[]);
    assert_ne!(report["newest"]["size"], report["entries"], "{report:#}");
    assert!(!kinds(&report).contains(&"checkpoint-mismatch"), "{report:#}");
}

#[test]
fn an_altered_recording() {
    let station = station("");
    let db = attack(&station);
    let id: String = db.query_row("SELECT min(id) FROM recording", [], |r| r.get(0)).unwrap();
    let good = verify(&station, &[]).1;
    let change = |sql: &str| db.execute_batch(sql).unwrap();
    for (sql, back, kind) in [
        ("sha256 = zeroblob(32)", "", "recording-altered"),
        ("size = size + 1", "size = size - 1", "recording-altered"),
        ("state = 'damaged'", "state = 'archived'", "recording-state"),
    ] {
        let hash: Vec<u8> =
            db.query_row("SELECT sha256 FROM recording WHERE id = ?1", [&id], |r| r.get(0)).unwrap();
        change(&format!("UPDATE recording SET {sql} WHERE id = '{id}'"));
        found(&station, &[], kind, &id);
        if back.is_empty() {
            db.execute("UPDATE recording SET sha256 = ?2 WHERE id = ?1", params![id, hash]).unwrap();
        } else {
            change(&format!("UPDATE recording SET {back} WHERE id = '{id}'"));
        }
    }
    assert_eq!(verify(&station, &[]).1, good);
    change(&format!("UPDATE copy SET state = 'missing' WHERE recording = '{id}'"));
    found(&station, &[], "recording-state", &id);
    change(&format!("UPDATE copy SET state = 'archived' WHERE recording = '{id}'"));
    change(
        "CREATE TEMP TABLE one AS SELECT * FROM recording LIMIT 1;
         UPDATE one SET id = 'planted', sha256 = zeroblob(32); INSERT INTO recording SELECT * FROM one",
    );
    found(&station, &[], "recording-unlogged", "planted");
    change("PRAGMA foreign_keys = off; DELETE FROM recording WHERE id = 'planted'");
    change(&format!("DELETE FROM recording WHERE id = '{id}'"));
    found(&station, &[], "recording-lost", &id);
}

#[test]
fn states_that_the_log_tells_of_are_borne_out() {
    let station = station("");
    let original = common::files(&station.archive().join("media"))
        .into_iter()
        .find(|f| f.extension().is_some_and(|e| e == "MP4"))
        .unwrap();
    let aside = station.dir.path().join("aside");
    std::fs::rename(&original, &aside).unwrap();
    assert_eq!(station.run(&["verify", "--all"]).status.code(), Some(3));
    assert_eq!(verify(&station, &[]).0, 0, "a loss that the log tells of is no forgery");
    // Hushed up in the catalogue.
    attack(&station)
        .execute_batch("UPDATE recording SET state = 'archived'; UPDATE copy SET state = 'archived'")
        .unwrap();
    found(&station, &[], "recording-state", "archived");
    attack(&station).execute_batch("UPDATE copy SET state = 'missing' WHERE recording IN (SELECT recording FROM copy) AND path LIKE '%'").unwrap();
    std::fs::rename(&aside, &original).unwrap();
    station.ok(&["verify", "--all"]);
    assert_eq!(verify(&station, &[]).0, 0);
}

#[test]
fn another_station_s_name() {
    let station = station("");
    attack(&station)
        .execute_batch("UPDATE station SET uuid = '00000000-0000-7000-8000-000000000000'")
        .unwrap();
    found(&station, &[], "station-changed", "00000000-0000-7000-8000-000000000000");
}

#[test]
fn a_key_that_others_may_read_signs_nothing_and_keeps_nothing_from_being_archived() {
    let station = Station::with_config(SETTINGS);
    let key = station.data().join("custody.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    dock(&station, 1);
    let (code, report) = verify(&station, &[]);
    assert_eq!((code, &report["newest"], &report["recordings"]), (0, &Value::Null, &3.into()));
    let doctor = station.run(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(3));
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains("custody key: others may read") && text.contains("chmod 600"), "{text}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    dock(&station, 2);
    assert_ne!(verify(&station, &[]).1["newest"], Value::Null);
    station.ok(&["doctor"]);
}

#[test]
fn a_lost_key_is_never_replaced_silently() {
    let station = station("");
    let old = vkey(&station);
    let newest = verify(&station, &[]).1["newest"].clone();
    std::fs::rename(station.data().join("custody.key"), station.dir.path().join("safe")).unwrap();
    let init = station.run(&["init"]);
    assert_eq!(init.status.code(), Some(1));
    assert!(stderr(&init).contains("docket custody new-key"), "{}", stderr(&init));
    dock(&station, 3);
    assert!(!station.data().join("custody.key").exists());
    assert_eq!(verify(&station, &[]).1["newest"], newest);
    let (code, _) = verify(&station, &[]);
    assert_eq!(code, 0);
    // Replaced without the old key's word: that has to be said until somebody vouches for the new one.
    let new = station.json(&["custody", "new-key", "--reason", "disk lost", "--json"])["key"]
        .as_str()
        .unwrap()
        .to_owned();
    dock(&station, 4);
    found(&station, &[], "key-changed", "disk lost");
    found(&station, &["--key", &old], "key-changed", "disk lost");
    assert_eq!(verify(&station, &["--key", &new]).0, 0);
    // With the old key's word nobody has to.
    station.ok(&["custody", "new-key", "--reason", "every year"]);
    dock(&station, 5);
    assert_eq!(verify(&station, &["--key", &new]).0, 0);
    assert_eq!(vkey(&station), std::fs::read_to_string(station.data().join("custody.pub")).unwrap().trim());
}

#[test]
fn a_station_without_a_key_gets_one() {
    let station = Station::with_config(SETTINGS);
    // As an older docket left it.
    let db = attack(&station);
    let list: Vec<_> = entries(&db).into_iter().filter(|(o, _)| o != "custody:key").collect();
    rewrite(&db, &list);
    std::fs::remove_file(station.data().join("custody.key")).unwrap();
    std::fs::remove_file(station.data().join("custody.pub")).unwrap();
    assert_eq!(station.run(&["custody", "key"]).status.code(), Some(1));
    dock(&station, 1);
    assert!(vkey(&station).starts_with("docket/"));
    assert_eq!(verify(&station, &[]).1["newest"]["size"], verify(&station, &[]).1["entries"]);
}

#[test]
fn a_volume_that_was_away_gets_its_checkpoints_later() {
    let settings = "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
        [[volume]]\nname = \"second\"\npath = \"second\"\nreserve = \"1 MiB\"\n\
        [ingest]\nsettle_seconds = 0\nprobe = false\n[custody]\ncheckpoint_every = 1\n";
    let station = Station::with_config(settings);
    let (second, away) = (station.data().join("second"), station.data().join("away"));
    dock(&station, 1);
    std::fs::rename(&second, &away).unwrap();
    dock(&station, 2);
    let (code, report) = verify(&station, &[]);
    assert_eq!((code, report["not_reached"].as_array().unwrap().len()), (3, 1), "{report:#}");
    std::fs::rename(&away, &second).unwrap();
    dock(&station, 3);
    let there = |folder: &Path| {
        notes(&folder.join("checkpoints")).iter().map(|f| std::fs::read(f).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(there(&second), there(&station.archive()));
    assert_eq!(there(&second).len(), 3);
    assert_eq!(verify(&station, &[]).0, 0);
}

#[test]
fn the_daemon_signs_when_it_stops() {
    let station = Station::with_config(SETTINGS);
    let daemon = common::daemon::Daemon::start(&station);
    daemon.stop();
    let (code, report) = verify(&station, &[]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(notes(&checkpoints(&station)).len(), 1);
}

#[test]
fn a_witness_folder_that_is_away_is_no_broken_log() {
    let witness = tempfile::tempdir().unwrap();
    let folder = witness.path().join("mounted");
    let station = Station::with_config(&format!("{SETTINGS}witness = {:?}\n", folder.to_str().unwrap()));
    let daemon = common::daemon::Daemon::start(&station);
    let card = |n: u64| {
        let card = station.card(&format!("card-{n}"));
        put(card.join("A.MP4"), &content(n, 500));
        std::fs::create_dir_all(station.data().join("cards")).unwrap();
        common::daemon::dock(&station, &card);
    };
    let alerts = || {
        let list = station.json(&["alerts", "list", "--json"]);
        let ours = |a: &&Value| {
            let kind = a["kind"].as_str().unwrap();
            kind == "witness-failing" || kind == "custody-failed"
        };
        list.as_array().unwrap().iter().filter(ours).cloned().collect::<Vec<_>>()
    };
    card(1);
    let told = common::tools::until("the alert", || Some(alerts()).filter(|a| !a.is_empty()));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["kind"], &told[0]["severity"]), (&"witness-failing".into(), &"warning".into()));
    assert!(told[0]["message"].as_str().unwrap().contains("mounted"), "{told:?}");
    std::fs::create_dir(&folder).unwrap();
    card(2);
    common::tools::until("its end", || alerts().is_empty().then_some(()));
    assert!(!notes(&folder).is_empty());
    daemon.stop();
    assert_eq!(verify(&station, &[]).0, 0);
}

#[test]
fn only_whoever_may_reads_and_checks_the_log() {
    let station = station("");
    attack(&station)
        .execute_batch(
            "INSERT INTO unit (id, code, name) VALUES (1, 'U', 'U');
             INSERT INTO officer (id, badge, name, unit, role) VALUES (1, 'OFF', 'A', 1, 'officer'), (2, 'SUP', 'B', 1, 'supervisor')",
        )
        .unwrap();
    for args in
        [&["verify"][..], &["show"], &["prove", "--entry", "1"], &["key"], &["new-key", "--reason", "x"]]
    {
        let out = station.run(&[&["--as", "OFF", "custody"], args].concat());
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(stderr(&out).contains("may not do this"), "{}", stderr(&out));
    }
    assert_eq!(station.run(&["--as", "SUP", "custody", "verify"]).status.code(), Some(0));
    let out = station.run(&["--as", "SUP", "custody", "new-key", "--reason", "x"]);
    assert!(stderr(&out).contains("replace the custody key"), "{}", stderr(&out));
}

/// The script as the document has it.
fn script(dir: &Path) -> PathBuf {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/custody.md")).unwrap();
    let script = text.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let file = dir.join("check.py");
    std::fs::write(&file, script).unwrap();
    file
}

fn check(script: &Path, proof: &Path, key: &str, more: &[&Path]) -> Output {
    Command::new("python3").arg(script).arg(proof).arg(key).args(more).output().unwrap()
}

#[test]
fn a_proof_is_checked_by_the_documented_script_alone() {
    let station = station("");
    dock_many(&station, 9, 80);
    let script = script(station.dir.path());
    let key = vkey(&station);
    let id = station.json(&["recordings", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let original = common::files(&station.archive().join("media"))
        .into_iter()
        .find(|f| f.file_name().unwrap().to_str().unwrap().starts_with(&id))
        .unwrap();
    let proof = station.dir.path().join("proof.json");
    let said = station.ok(&["custody", "prove", &id, "--output", proof.to_str().unwrap()]);
    assert!(said.contains("docs/custody.md"), "{said}");
    let out = check(&script, &proof, &key, &[&original]);
    assert!(out.status.success(), "{}{}", stderr(&out), String::from_utf8_lossy(&out.stdout));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.starts_with("good:") && text.contains("recording.archived") && text.contains(&id), "{text}");

    // Everything that is not quite it.
    let other = own_key(&station, 5).public().to_string();
    assert!(!check(&script, &proof, &other, &[]).status.success(), "another key");
    assert!(!check(&script, &proof, &key, &[&script]).status.success(), "another file");
    let whole: Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    let forged = station.dir.path().join("forged.json");
    let mut path = whole["path"].clone();
    path.as_array_mut().unwrap().pop();
    let signed = whole["checkpoint"].as_str().unwrap().to_owned();
    let resigned =
        own_key(&station, 5).sign(signed.split_once("\n\n").map(|(t, _)| format!("{t}\n")).unwrap().as_str());
    for (field, value) in [
        ("entry_base64", "e30=".into()),
        ("seq", 1.into()),
        ("leaf_index", 0.into()),
        ("tree_size", 1.into()),
        ("path", path),
        ("checkpoint", resigned.into()),
        ("checkpoint", signed.replace("docket/", "docket/x").into()),
    ] {
        let mut changed = whole.clone();
        changed[field] = value;
        std::fs::write(&forged, changed.to_string()).unwrap();
        assert!(!check(&script, &forged, &key, &[]).status.success(), "{field}");
    }
    // Any entry, over all shapes of the tree.
    let entries = verify(&station, &[]).1["entries"].as_u64().unwrap();
    for seq in [1, 2, 255, 256, 257, entries - 1, entries] {
        let text = station.ok(&["custody", "prove", "--entry", &seq.to_string()]);
        std::fs::write(&forged, text).unwrap();
        let out = check(&script, &forged, &key, &[]);
        assert!(out.status.success(), "{seq}: {}", stderr(&out));
    }
}

#[test]
fn a_proof_signs_a_checkpoint_where_none_covers_its_entry() {
    let station =
        Station::with_config(&SETTINGS.replace("checkpoint_every = 1", "checkpoint_every = 100000"));
    dock(&station, 1);
    dock(&station, 2);
    let (_, before) = verify(&station, &[]);
    assert!(before["newest"]["size"].as_u64() < before["entries"].as_u64(), "{before:#}");
    let last = before["entries"].as_u64().unwrap();
    let proof = station.json(&["custody", "prove", "--entry", &last.to_string(), "--json"]);
    assert_eq!((&proof["tree_size"], &proof["seq"]), (&last.into(), &last.into()));
    assert_eq!(verify(&station, &[]).1["newest"]["size"], last);
    let none = station.run(&["custody", "prove", "--entry", "99999"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("there is no custody entry 99999"), "{}", stderr(&none));
    // An entry that is not what was signed is not proven.
    attack(&station).execute_batch("UPDATE custody SET entry = x'7b7d' WHERE seq = 2").unwrap();
    let forged = station.run(&["custody", "prove", "--entry", "2"]);
    assert_eq!(forged.status.code(), Some(1));
    assert!(stderr(&forged).contains("not under the root"), "{}", stderr(&forged));
}
