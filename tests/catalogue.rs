//! A catalogue that is damaged, newer, cut short, read-only or held: refused with advice, never
//! changed, and never a panic. The archive is not touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::crash::{Rng, Trying};
use common::daemon::Daemon;
use common::tools::{Mount, expect_exit, until};
use common::{Station, content, files, put, sha256, stderr};

/// A station with an archived card, whose catalogue is one file.
fn archived() -> (Station, PathBuf) {
    let station = Station::new();
    let card = station.card("REC01");
    for i in 0..20 {
        put(card.join(format!("v{i:02}.mp4")), &content(i, 2000));
    }
    station.ingest_ends(&card, 0);
    let db = station.edit();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(db);
    put(card.join("new.mp4"), b"not archived yet");
    (station, card)
}

fn catalogue(station: &Station) -> PathBuf {
    station.data().join("catalog.sqlite")
}

/// Every command that reads or writes the catalogue.
fn commands(card: &Path) -> Vec<Vec<String>> {
    let commands: [&[&str]; 9] = [
        &["status", "--json"],
        &["recordings", "--json"],
        &["fsck"],
        &["fsck", "--apply"],
        &["verify", "--all"],
        &["custody", "verify"],
        &["custody", "show"],
        &["ingest", "--json", card.to_str().unwrap()],
        &["run"],
    ];
    commands.iter().map(|c| c.iter().map(|a| (*a).to_owned()).collect()).collect()
}

fn run(station: &Station, args: &[String]) -> Output {
    station.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Every command refuses with these words; catalogue and archive stay as they are.
fn all_refuse(station: &Station, card: &Path, words: &[&str]) {
    let before = (std::fs::read(catalogue(station)).unwrap(), files(&station.archive()));
    for args in commands(card) {
        let _trying = Trying(args.join(" "));
        expect_exit(&run(station, &args), 1, words);
        assert!(std::fs::read(catalogue(station)).unwrap() == before.0, "the catalogue was changed");
        assert_eq!(files(&station.archive()), before.1);
    }
}

#[test]
fn one_that_is_no_database() {
    let (station, card) = archived();
    for bytes in [vec![b'x'; 8192], content(7, 100_000)] {
        std::fs::write(catalogue(&station), bytes).unwrap();
        all_refuse(&station, &card, &["is damaged", "next:", "docket rebuild"]);
    }
}

#[test]
fn one_that_is_empty_is_not_taken_for_a_new_one() {
    let (station, card) = archived();
    std::fs::write(catalogue(&station), b"").unwrap();
    all_refuse(&station, &card, &["catalogue", "next:", "docket rebuild"]);
}

#[test]
fn one_that_is_cut_short() {
    let (station, card) = archived();
    let whole = std::fs::read(catalogue(&station)).unwrap();
    for len in [10, 99, 100, 4000, 4096, 5000, whole.len() / 3, whole.len() / 2, whole.len() - 4096] {
        std::fs::write(catalogue(&station), &whole[..len]).unwrap();
        for args in commands(&card) {
            let _trying = Trying(format!("{len} bytes, {args:?}"));
            // Looking may not reach what is gone; writing must not go on.
            let out = run(&station, &args);
            let writes = ["ingest", "run"].contains(&args[0].as_str());
            if writes {
                expect_exit(&out, 1, &["next:"]);
            }
            is_an_answer(&out);
        }
    }
}

#[test]
fn one_that_a_newer_docket_made() {
    let (station, card) = archived();
    let db = station.edit();
    db.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    all_refuse(&station, &card, &["was made by a newer docket", "next:", "install that version"]);
}

#[test]
fn one_that_somebody_else_writes_to_is_waited_for() {
    let (station, card) = archived();
    let db = station.edit();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Looking is always possible.
    station.ok(&["recordings", "--json"]);
    let mut ingest = station.command(&["ingest", card.to_str().unwrap()]).spawn().unwrap();
    let open = PathBuf::from(format!("/proc/{}/fd", ingest.id()));
    until("it to open the catalogue", || {
        let fds = std::fs::read_dir(&open).ok()?.filter_map(Result::ok);
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).find(|to| *to == catalogue(&station))
    });
    assert!(ingest.try_wait().unwrap().is_none(), "it did not wait");
    db.execute_batch("COMMIT").unwrap();
    assert!(ingest.wait().unwrap().success());
    assert_eq!(station.check().hashes.len(), 21);
}

#[test]
fn one_on_a_read_only_file_system() {
    let (station, card) = archived();
    let Some(_mount) = Mount::read_only(&station.data()) else { return };
    for args in [&["ingest", card.to_str().unwrap()][..], &["run"], &["fsck", "--apply"]] {
        expect_exit(&station.run(args), 1, &["Read-only file system", "next:"]);
    }
    // Looking wants SQLite's own files beside it, and says so; `docket backup` copies are whole.
    for args in [&["recordings"][..], &["status"], &["custody", "verify"]] {
        expect_exit(&station.run(args), 1, &["cannot open the catalogue", "next:", "docket doctor"]);
    }
}

/// Ended by itself: not by a signal, not by a panic, and with a word where it is an error.
fn is_an_answer(out: &Output) {
    let said = stderr(out);
    let code = out.status.code().unwrap_or_else(|| panic!("{}: {said}", out.status));
    assert!([0, 1, 3, 4].contains(&code) && !said.contains("panicked"), "{code}: {said}");
    assert!(code != 1 || said.starts_with("docket: ") || said.contains("\ndocket: "), "{said}");
}

#[test]
fn flipped_bytes_anywhere_are_never_a_panic_and_never_cost_an_original() {
    let seed = std::env::var("DOCKET_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x0bad_5eed);
    let mut rng = Rng(seed);
    let (station, card) = archived();
    let whole = std::fs::read(catalogue(&station)).unwrap();
    let originals = |station: &Station| -> Vec<String> {
        let media = files(&station.archive().join("media"));
        let originals = media.iter().filter(|p| p.extension().is_some_and(|e| e == "mp4"));
        originals.map(|p| sha256(&std::fs::read(p).unwrap())).collect()
    };
    let before = originals(&station);
    assert_eq!(before.len(), 20);
    for round in 0..150 {
        let mut bytes = whole.clone();
        let flips: Vec<usize> =
            (0..=rng.below(4)).map(|_| usize::try_from(rng.below(whole.len() as u64)).unwrap()).collect();
        for at in &flips {
            bytes[*at] ^= u8::try_from(1 + rng.below(255)).unwrap();
        }
        for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = std::fs::remove_file(station.data().join(name));
        }
        std::fs::write(catalogue(&station), &bytes).unwrap();
        let _trying = Trying(format!("DOCKET_SEED={seed}, round {round}, bytes at {flips:?}"));
        // Looking at all of it, and then one that writes.
        for args in commands(&card).iter().filter(|c| !["run", "verify"].contains(&c[0].as_str())) {
            is_an_answer(&run(&station, args));
        }
        let after = originals(&station);
        assert!(before.iter().all(|hash| after.contains(hash)), "an original was lost");
    }
    // Whole again, the station finds everything, whatever was archived meanwhile.
    for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    std::fs::write(catalogue(&station), &whole).unwrap();
    assert_eq!(station.json(&["verify", "--all", "--json"])["read"], 20);
}

#[test]
fn a_daemon_does_not_start_on_one_and_starts_again_once_it_is_mended() {
    let (station, _) = archived();
    let whole = std::fs::read(catalogue(&station)).unwrap();
    std::fs::write(catalogue(&station), [b'x'; 4096]).unwrap();
    let mut refused = Daemon::spawn(&station);
    assert_eq!(refused.ended().code(), Some(1));
    let said = refused.log();
    assert!(said.contains("is damaged") && said.contains("next:"), "{said}");
    std::fs::write(catalogue(&station), whole).unwrap();
    Daemon::start(&station).stop();
    station.check();
}
