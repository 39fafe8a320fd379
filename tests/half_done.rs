//! Every half-done state of the copy protocol, made by a kill and by hand, and opened again: the
//! names say what must happen. The archive is checked before and after by other means than ours.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::crash::{Card, MIB, ONE_VOLUME, TWO_VOLUMES, Trying, told};
use common::daemon::Daemon;
use common::tools::{expect_exit, flip, json_of, until};
use common::{Station, content, files, put};

/// Long enough for journal entries.
const LONG: usize = 3 * MIB + 12_345;

fn station_and_card(config: &str) -> (Station, Card) {
    let station = Station::with_config(config);
    let mut card = Card::new(station.dir.path().join("recorder-7"));
    card.add("DCIM/long.mp4", 1, LONG);
    (station, card)
}

/// A station killed at a point, with one volume.
fn killed_at(point: &str) -> (Station, Card) {
    let (station, card) = station_and_card(ONE_VOLUME);
    station.kill_at(&card, point);
    (station, card)
}

/// A copy cut off with at least two journal entries.
fn interrupted(config: &str) -> (Station, Card) {
    // The entries are committed beside the copying: whether two are in at the kill is a matter of time.
    for _ in 0..50 {
        let (station, card) = station_and_card(config);
        station.kill_at(&card, "finish.before-sync");
        if station.number("SELECT count(*) FROM job_block") >= 2 {
            assert_eq!(station.job().state, "copying");
            return (station, card);
        }
    }
    panic!("no kill left two journal entries");
}

/// What was spoilt must be noticed before it is built upon: only then nothing is in quarantine.
fn complete_without_quarantine(station: &Station, card: &Card) {
    station.check_all();
    station.fsck_is_clean("names");
    station.complete(card);
    assert_eq!(station.check_all().quarantined, 0, "it went on from bad bytes");
}

fn set_len(path: &Path, len: u64) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[test]
fn planned_without_a_part_is_copied() {
    let (station, card) = killed_at("copy.part-created");
    let job = station.job();
    assert_eq!(job.state, "planned");
    std::fs::remove_file(station.part(&job.id)).unwrap();
    complete_without_quarantine(&station, &card);
}

#[test]
fn a_part_without_a_journal_is_copied_anew() {
    let (station, card) = interrupted(ONE_VOLUME);
    station.edit().execute("DELETE FROM job_block", []).unwrap();
    complete_without_quarantine(&station, &card);
}

#[test]
fn a_journal_without_a_part_is_copied_anew() {
    let (station, card) = interrupted(ONE_VOLUME);
    std::fs::remove_file(station.part(&station.job().id)).unwrap();
    complete_without_quarantine(&station, &card);
}

#[test]
fn a_part_longer_than_its_journal_is_cut() {
    let (station, card) = interrupted(ONE_VOLUME);
    let part = station.part(&station.job().id);
    let kept = std::fs::read(&part).unwrap();
    std::fs::write(&part, [&kept[..], &content(99, 5 * MIB)].concat()).unwrap();
    complete_without_quarantine(&station, &card);
}

#[test]
fn a_part_shorter_than_its_journal_goes_on_from_what_both_have() {
    for len in [0, 7, MIB as u64, MIB as u64 + 7] {
        let _trying = Trying(format!("a part of {len} bytes"));
        let (station, card) = interrupted(ONE_VOLUME);
        set_len(&station.part(&station.job().id), len);
        complete_without_quarantine(&station, &card);
    }
}

#[test]
fn a_flipped_byte_in_the_kept_blocks_is_noticed_before_going_on() {
    for at in [0, MIB - 1, MIB, MIB + MIB / 2] {
        let _trying = Trying(format!("byte {at} flipped"));
        let (station, card) = interrupted(ONE_VOLUME);
        flip(station.part(&station.job().id), at);
        complete_without_quarantine(&station, &card);
    }
}

#[test]
fn a_flipped_byte_on_one_of_two_volumes_is_noticed_before_going_on() {
    let (station, card) = interrupted(TWO_VOLUMES);
    flip(station.second().join(format!("incoming/{}.part", station.job().id)), MIB / 2);
    complete_without_quarantine(&station, &card);
}

#[test]
fn a_corrupt_journal_is_not_believed() {
    let edits = [
        "UPDATE job_block SET state = x''",
        "UPDATE job_block SET state = x'00'",
        "UPDATE job_block SET state = randomblob(length(state))",
        "UPDATE job_block SET state = (SELECT state FROM job_block ORDER BY offset LIMIT 1)",
        "UPDATE job_block SET offset = offset + 1",
        "UPDATE job_block SET offset = offset - 262144",
        "INSERT INTO job_block SELECT job, offset + 1048576000, state FROM job_block",
        "UPDATE job_block SET offset = -offset",
    ];
    for edit in edits {
        let _trying = Trying(edit.to_owned());
        let (station, card) = interrupted(ONE_VOLUME);
        assert!(station.edit().execute(edit, []).unwrap() > 0);
        complete_without_quarantine(&station, &card);
    }
}

#[test]
fn a_source_that_changed_since_is_archived_and_what_was_copied_is_kept() {
    let (station, mut card) = interrupted(ONE_VOLUME);
    let before = station.job();
    card.wipe();
    card = Card::new(card.path);
    card.add("DCIM/long.mp4", 2, LONG + 1);
    let out = station.ingest(&card.path).output().unwrap();
    expect_exit(&out, 0, &[]);
    let archive = station.check_all();
    assert_eq!((archive.hashes, archive.jobs), (card.expected(), 1));
    assert_eq!((station.job().id, station.job().state.as_str()), (before.id.clone(), "quarantined"));
    assert!(station.part(&before.id).exists(), "what was copied of the old file is all there is of it");
    station.fsck_is_clean("bytes");
}

#[test]
fn a_source_gone_from_the_card_waits_until_it_is_back() {
    let (station, card) = interrupted(ONE_VOLUME);
    let id = station.job().id;
    card.wipe();
    expect_exit(&station.ingest(&card.path).output().unwrap(), 0, &[]);
    assert_eq!(station.check_all().jobs, 1);
    assert!(station.part(&id).exists());
    put(card.path.join("DCIM/long.mp4"), &content(1, LONG));
    complete_without_quarantine(&station, &card);
    assert_eq!(station.number("SELECT count(*) FROM recording"), 1);
}

#[test]
fn a_source_that_cannot_be_read_at_the_seam_holds_nothing_else_up() {
    let (station, mut card) = interrupted(ONE_VOLUME);
    card.add("DCIM/short.mp4", 5, 10_000);
    let mut at_the_seam = 0;
    for n in 1..40 {
        let _trying = Trying(format!("DOCKET_IOFAULT=read:{n}:EIO"));
        let station = station.copy();
        let card = card.of(&station);
        let fault = format!("read:{n}:EIO");
        let out = station.ingest(&card.path).env("DOCKET_IOFAULT", &fault).output().unwrap();
        let said = told(&out);
        if ["cannot check incoming", "cannot compare", "cannot open incoming"]
            .iter()
            .any(|s| said.contains(s))
        {
            at_the_seam += 1;
            expect_exit(&out, 0, &[]);
            station.is_complete(&card);
        }
    }
    assert!(at_the_seam > 4, "only {at_the_seam} reads were those of the seam");
}

#[test]
fn copied_with_its_part_missing_is_copied_again() {
    let (station, card) = killed_at("finish.copied");
    let job = station.job();
    assert_eq!(job.state, "copied");
    std::fs::remove_file(station.part(&job.id)).unwrap();
    assert_eq!(station.findings("names"), [("lost-part".to_owned(), format!("incoming/{}.part", job.id))]);
    station.complete(&card);
    assert_eq!(station.check_all().quarantined, 0);
}

#[test]
fn copied_with_a_flipped_byte_is_kept_in_quarantine_and_copied_again() {
    let (station, card) = killed_at("finish.copied");
    flip(station.part(&station.job().id), LONG / 2);
    station.fsck_is_clean("names");
    station.complete(&card);
    let kept = files(&station.archive().join("quarantine"));
    assert_eq!((station.check_all().quarantined, kept.len()), (1, 1));
    assert_eq!(std::fs::metadata(&kept[0]).unwrap().len(), LONG as u64);
}

#[test]
fn every_bad_copy_of_a_file_is_kept_in_quarantine() {
    let (station, card) = killed_at("finish.copied");
    for n in 1..=3 {
        flip(station.part(&station.job().id), n * MIB / 2);
        // The start sets the bad copy aside, and is killed when the file is copied once more.
        station.kill_at(&card, "finish.copied");
        assert_eq!(station.check_all().quarantined, n);
    }
    station.complete(&card);
    assert_eq!(station.check_all().quarantined, 3);
}

#[test]
fn copied_without_any_volume_is_copied_again() {
    let (station, card) = killed_at("finish.copied");
    station.edit().execute("DELETE FROM job_target", []).unwrap();
    station.complete(&card);
}

#[test]
fn a_copy_whose_beginning_the_catalogue_refused_is_copied_again() {
    let (station, card) = station_and_card(ONE_VOLUME);
    let full = "CREATE TRIGGER full BEFORE INSERT ON job_target BEGIN SELECT RAISE(ABORT, 'full'); END";
    station.edit().execute_batch(full).unwrap();
    let out = station.ingest(&card.path).output().unwrap();
    assert_ne!(out.status.code(), Some(0), "{}", told(&out));
    station.check_all();
    station.edit().execute_batch("DROP TRIGGER full").unwrap();
    complete_without_quarantine(&station, &card);
}

#[test]
fn verified_with_the_rename_done_is_archived_without_its_card() {
    let (station, card) = killed_at("finish.renamed");
    assert_eq!(station.job().state, "verified");
    let other = Card::new(station.dir.path().join("recorder-8"));
    expect_exit(&station.ingest(&other.path).output().unwrap(), 0, &[]);
    station.is_complete(&card);
}

#[test]
fn verified_with_both_part_and_original_loses_the_part() {
    let (station, card) = killed_at("finish.renamed");
    let job = station.job();
    std::fs::copy(station.archive().join(&job.dest), station.part(&job.id)).unwrap();
    complete_without_quarantine(&station, &card);
}

#[test]
fn other_bytes_in_the_place_of_an_original_go_to_quarantine() {
    let (station, card) = killed_at("finish.before-rename");
    let dest = station.archive().join(&station.job().dest);
    put(&dest, b"something else");
    station.complete(&card);
    let kept = files(&station.archive().join("quarantine"));
    assert_eq!(kept.iter().map(|k| std::fs::read(k).unwrap()).collect::<Vec<_>>(), [b"something else"]);
    assert_eq!(station.check_all().quarantined, 1);
}

#[test]
fn verified_and_spoilt_in_its_place_is_kept_in_quarantine_and_copied_again() {
    let (station, card) = killed_at("finish.renamed");
    flip(station.archive().join(&station.job().dest), LONG / 2);
    station.complete(&card);
    assert_eq!(station.check_all().quarantined, 1);
}

#[test]
fn verified_with_neither_part_nor_original_is_copied_again() {
    let (station, card) = killed_at("finish.renamed");
    std::fs::remove_file(station.archive().join(&station.job().dest)).unwrap();
    station.complete(&card);
}

#[test]
fn a_copy_given_up_while_its_volume_was_away_finds_its_original_in_place() {
    let (station, card) = killed_at("finish.renamed");
    let away = station.dir.path().join("away");
    std::fs::rename(station.archive(), &away).unwrap();
    let out = station.ingest(&card.path).output().unwrap();
    expect_exit(&out, 3, &["no archive volume"]);
    assert_eq!(station.job().state, "verified", "what is whole is kept for its volume");
    std::fs::rename(&away, station.archive()).unwrap();
    complete_without_quarantine(&station, &card);
}

/// A disk that is mounted late: what it holds whole is archived without the card.
#[test]
fn a_volume_that_comes_after_the_start_is_finished_without_the_card() {
    for point in ["finish.copied", "finish.renamed"] {
        let _trying = Trying(point.to_owned());
        let (station, card) = killed_at(point);
        let (away, taken) = (station.dir.path().join("away"), station.dir.path().join("taken"));
        std::fs::rename(station.archive(), &away).unwrap();
        std::fs::rename(&card.path, &taken).unwrap();
        let daemon = Daemon::start(&station);
        std::fs::rename(&away, station.archive()).unwrap();
        until("the recording", || (station.number("SELECT count(*) FROM recording") == 1).then_some(()));
        daemon.stop();
        station.is_complete(&card);
    }
}

#[test]
fn a_copy_goes_on_though_its_volumes_were_changed_meanwhile() {
    for kept in ["main", "second"] {
        let _trying = Trying(format!("only {kept} is left in archive_to"));
        let (station, card) = interrupted(TWO_VOLUMES);
        let file = station.data().join("docket.toml");
        let settings = TWO_VOLUMES.replace("[\"main\", \"second\"]", &format!("[\"{kept}\"]"));
        std::fs::write(&file, settings).unwrap();
        station.complete(&card);
    }
}

#[test]
fn work_of_a_docking_that_is_not_known_is_taken_over_by_the_next() {
    for point in ["copy.before-journal:3", "finish.copied", "finish.renamed"] {
        let _trying = Trying(point.to_owned());
        let (station, card) = killed_at(point);
        let db = station.edit();
        db.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM docking").unwrap();
        drop(db);
        station.complete(&card);
        assert_eq!(json_of(&station.ingest(&card.path).output().unwrap())["duplicates"], 1);
    }
}
