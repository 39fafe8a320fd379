//! A card that is taken at any moment, and docked again: everything is archived once.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::crash::{Card, Rng, Trying};
use common::daemon::{Daemon, dock, docking_of, wait_for_docking};
use common::tools::{expect_exit, until};
use common::{Station, files};

const MIB: usize = 1 << 20;

/// Large files, so that a moment of copying is a real one, and small ones around them.
fn card(station: &Station) -> Card {
    let mut card = Card::new(station.dir.path().join("REC01"));
    for i in 0..40 {
        card.add(&format!("a/p{i:02}.jpg"), 100 + i, 3000);
    }
    card.add("b/long.mp4", 1, 48 * MIB);
    card.add("c/longer.mp4", 2, 64 * MIB);
    card.add("d/last.mp4", 3, 5 * MIB);
    card
}

fn count(station: &Station, sql: &str) -> i64 {
    station.db().query_row(sql, [], |r| r.get(0)).unwrap()
}

/// Docks the card, takes it as soon as this statement counts something, docks it again.
fn take_and_dock_again(moment: &str, sql: &str) {
    let _trying = Trying(format!("taken at {moment}"));
    let station = Station::with("rescan_seconds = 1\n");
    let card = card(&station);
    let daemon = Daemon::start(&station);
    let place = dock(&station, &card.path);
    until(moment, || (count(&station, sql) > 0).then_some(()));
    std::fs::rename(place, &card.path).unwrap();
    until("the end of the stay", || (count(&station, OPEN) == 0).then_some(()));
    let (state, reason) = docking_of(&station, "REC01").unwrap();
    assert!(["vanished", "safe"].contains(&state.as_str()), "{state}: {reason:?}");
    if state == "vanished" {
        let reason = reason.unwrap();
        let wants_a_look = reason.contains("was taken before it was looked at to the end");
        assert!(wants_a_look || reason.contains("was taken before everything was archived"), "{reason}");
    }
    let place = dock(&station, &card.path);
    wait_for_docking(&station, "REC01", "safe");
    daemon.stop();
    assert!(place.is_dir());
    station.is_complete(&card);
}

const OPEN: &str = "SELECT count(*) FROM docking WHERE ended_at IS NULL";

#[test]
fn while_it_is_being_looked_at() {
    take_and_dock_again("the stay", "SELECT count(*) FROM docking");
}

#[test]
fn while_small_files_are_copied() {
    take_and_dock_again("a recording", "SELECT count(*) FROM recording");
}

#[test]
fn in_the_middle_of_a_long_file() {
    take_and_dock_again("a journal", "SELECT count(*) FROM job_block");
}

#[test]
fn while_the_last_files_are_read_back() {
    let copied = "SELECT count(*) FROM recording WHERE source_path = CAST('b/long.mp4' AS BLOB)";
    take_and_dock_again("the first long file", copied);
}

/// Its content goes file by file, as when somebody deletes on it; it is put back later.
#[test]
fn when_its_files_go_one_by_one() {
    let station = Station::with("rescan_seconds = 1\n");
    let card = card(&station);
    let daemon = Daemon::start(&station);
    let place = dock(&station, &card.path);
    let aside = station.card("aside");
    until("a journal", || (count(&station, "SELECT count(*) FROM job_block") > 0).then_some(()));
    for name in ["d", "c", "b"] {
        std::fs::rename(place.join(name), aside.join(name)).unwrap();
    }
    // What is gone is not waited for, and the rest is archived.
    until("an answer", || {
        let (state, _) = docking_of(&station, "REC01")?;
        (state == "safe" || state == "attention").then_some(())
    });
    for name in ["b", "c", "d"] {
        std::fs::rename(aside.join(name), place.join(name)).unwrap();
    }
    until("everything", || {
        (count(&station, "SELECT count(*) FROM recording") as usize == card.expected().len()).then_some(())
    });
    daemon.stop();
    let archive = station.check_all();
    assert_eq!(archive.hashes, card.expected());
    station.fsck_is_clean("bytes");
}

/// Taken and docked again and again, at moments that a seed chooses.
#[test]
fn at_random_moments_again_and_again() {
    let seed = std::env::var("DOCKET_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x0d0c_4e75);
    let _trying = Trying(format!("DOCKET_SEED={seed}"));
    let mut rng = Rng(seed);
    let station = Station::with("rescan_seconds = 1\n");
    let card = card(&station);
    let daemon = Daemon::start(&station);
    for _ in 0..12 {
        let place = dock(&station, &card.path);
        std::thread::sleep(Duration::from_millis(400 + rng.below(900)));
        std::fs::rename(&place, &card.path).unwrap();
    }
    dock(&station, &card.path);
    wait_for_docking(&station, "REC01", "safe");
    until("the other stays' end", || (count(&station, OPEN) == 1).then_some(()));
    daemon.stop();
    station.is_complete(&card);
}

/// Reading fails with EIO from some moment on, as it does when a card is pulled; the card's folder
/// is there all the same. Said with its reason, and whole the next time.
#[test]
fn when_reading_fails_from_some_moment_on() {
    for nth in [1, 2, 60, 120, 200] {
        let _trying = Trying(format!("read {nth}"));
        let station = Station::new();
        let card = card(&station);
        let out =
            station.ingest(&card.path).env("DOCKET_IOFAULT", format!("read:{nth}+:EIO")).output().unwrap();
        assert!(matches!(out.status.code(), Some(1 | 3)), "{}\n{}", out.status, common::crash::told(&out));
        let said = common::crash::told(&out);
        assert!(!said.contains("panicked") && said.contains("os error 5"), "{said}");
        station.check_all();
        station.complete(&card);
    }
}

/// Gone between two runs of a command: nothing is doubled, and what was on it stays.
#[test]
fn when_it_is_another_card_at_the_same_place() {
    let station = Station::new();
    let card = card(&station);
    let out = station.ingest(&card.path).env("DOCKET_FAILPOINT", "copy.before-journal:3").output().unwrap();
    assert_eq!(out.status.code(), None, "the failpoint kills it");
    let aside: PathBuf = station.dir.path().join("aside");
    std::fs::rename(&card.path, &aside).unwrap();
    // The same names, other content.
    let mut other = Card::new(card.path.clone());
    other.add("a/p00.jpg", 900, 3001);
    other.add("b/long.mp4", 901, 7 * MIB);
    let out = station.run(&["ingest", "--json", other.path.to_str().unwrap()]);
    expect_exit(&out, 0, &[]);
    std::fs::remove_dir_all(&other.path).unwrap();
    std::fs::rename(&aside, &card.path).unwrap();
    let out = station.run(&["ingest", "--json", card.path.to_str().unwrap()]);
    expect_exit(&out, 0, &[]);
    let mut expected = [card.expected(), other.expected()].concat();
    expected.sort();
    assert_eq!(station.check_all().hashes, expected);
    assert!(!files(&station.archive()).is_empty());
}
