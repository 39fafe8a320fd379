//! Half-done states around the archived file: manifests, owed copies, files that nothing promises,
//! rows without their file. The names say what must happen.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::crash::{Card, MIB, ONE_VOLUME, TWO_VOLUMES, Trying, told};
use common::tools::{expect_exit, flip, json_of};
use common::{Station, content, files, put};

fn station_and_card(config: &str) -> (Station, Card) {
    let station = Station::with_config(config);
    let mut card = Card::new(station.dir.path().join("recorder-7"));
    card.add("DCIM/long.mp4", 1, MIB + 12_345);
    card.add("DCIM/short.mp4", 2, 5000);
    (station, card)
}

fn archived(config: &str) -> (Station, Card) {
    let (station, card) = station_and_card(config);
    station.complete(&card);
    (station, card)
}

/// Everything is on one volume, the other is owed its copies.
fn owed() -> (Station, Card) {
    let (station, card) = station_and_card(TWO_VOLUMES);
    station.ingest_without_second(&card);
    assert_eq!(station.number("SELECT count(*) FROM copy WHERE state = 'owed'"), 2);
    (station, card)
}

/// The archived file of the long recording on a volume.
fn original(station: &Station, volume: &Path) -> PathBuf {
    let sql = "SELECT path FROM copy JOIN recording r ON r.id = recording ORDER BY size DESC";
    volume.join(station.db().query_row(sql, [], |r| r.get::<_, String>(0)).unwrap())
}

fn long_id(station: &Station) -> String {
    let sql = "SELECT id FROM recording ORDER BY size DESC";
    station.db().query_row(sql, [], |r| r.get(0)).unwrap()
}

fn manifests(station: &Station) -> [PathBuf; 2] {
    let dir = original(station, &station.archive()).parent().unwrap().to_owned();
    [dir.join("recordings.jsonl"), dir.join("SHA256SUMS")]
}

/// The manifests as their readers outside take them: no line is torn, every sum is right.
fn manifests_are_good(station: &Station) {
    let [records, sums] = manifests(station);
    for line in std::fs::read_to_string(records).unwrap().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    let args = ["--check", "--strict", "--quiet", "SHA256SUMS"];
    let out = Command::new("sha256sum").args(args).current_dir(sums.parent().unwrap()).output().unwrap();
    assert!(out.status.success(), "{}", told(&out));
}

fn cut(path: &Path, by: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - by).unwrap();
}

#[test]
fn archived_and_not_listed_is_listed_by_the_next_start() {
    let (station, card) = station_and_card(ONE_VOLUME);
    station.kill_at(&card, "finish.archived");
    assert!(station.findings("manifests").iter().all(|(what, _)| what == "unlisted"));
    assert!(!station.findings("manifests").is_empty());
    station.complete(&card);
    manifests_are_good(&station);
}

#[test]
fn listed_without_being_noted_is_listed_twice_at_most() {
    let (station, card) = archived(ONE_VOLUME);
    station.edit().execute("UPDATE copy SET listed = 0", []).unwrap();
    station.complete(&card);
    manifests_are_good(&station);
    let lines = std::fs::read_to_string(&manifests(&station)[0]).unwrap().lines().count();
    assert_eq!(lines, 4);
}

#[test]
fn a_torn_last_line_is_dropped_and_written_again() {
    for by in [1, 10, 60] {
        for which in 0..2 {
            let _trying = Trying(format!("{by} bytes off manifest {which}"));
            let (station, card) = archived(ONE_VOLUME);
            cut(&manifests(&station)[which], by);
            station.edit().execute("UPDATE copy SET listed = 0", []).unwrap();
            station.complete(&card);
            manifests_are_good(&station);
        }
    }
}

#[test]
fn a_manifest_that_lost_lines_is_mended_by_fsck() {
    for all in [false, true] {
        let (station, card) = archived(ONE_VOLUME);
        for path in manifests(&station) {
            let whole = std::fs::metadata(&path).unwrap().len();
            cut(&path, if all { whole } else { 20 });
        }
        let found = station.findings("manifests");
        assert_eq!(found.len(), if all { 2 } else { 1 }, "{found:?}");
        assert!(found.iter().all(|(what, _)| what == "unlisted"));
        station.run(&["fsck", "--depth", "manifests", "--apply"]);
        station.is_complete(&card);
        manifests_are_good(&station);
    }
}

#[test]
fn an_owed_copy_with_a_stale_part_is_made_anew() {
    let (station, card) = owed();
    put(station.second().join(format!("incoming/{}.part", long_id(&station))), &content(9, 2 * MIB));
    station.check_all();
    station.fsck_is_clean("names");
    station.complete(&card);
}

#[test]
fn an_owed_copy_that_stands_in_its_place_is_taken_over() {
    let (station, card) = owed();
    let goal = original(&station, &station.second());
    std::fs::create_dir_all(goal.parent().unwrap()).unwrap();
    Command::new("cp").arg("-a").arg(original(&station, &station.archive())).arg(&goal).status().unwrap();
    station.complete(&card);
}

#[test]
fn other_bytes_in_the_place_of_an_owed_copy_go_to_quarantine() {
    let (station, card) = owed();
    put(original(&station, &station.second()), b"something else");
    station.complete(&card);
    let kept = files(&station.second().join("quarantine"));
    assert_eq!(kept.iter().map(|k| std::fs::read(k).unwrap()).collect::<Vec<_>>(), [b"something else"]);
}

#[test]
fn an_owed_copy_is_not_made_from_a_damaged_one() {
    let (station, card) = owed();
    let holder = original(&station, &station.archive());
    flip(&holder, 77);
    expect_exit(&station.ingest(&card.path).output().unwrap(), 0, &["is not what was archived"]);
    assert!(!original(&station, &station.second()).exists());
    let states = "SELECT count(*) FROM copy WHERE state = 'damaged'";
    assert_eq!((station.number(states), station.check_all().jobs), (1, 0));
    flip(&holder, 77);
    station.ok(&["verify", "--all"]);
    station.complete(&card);
}

#[test]
fn whole_on_one_volume_and_not_on_the_other_is_archived_and_owed() {
    let (station, card) = station_and_card(TWO_VOLUMES);
    station.kill_at(&card, "finish.copied");
    let other = "UPDATE job_target SET state = 'writing'
        WHERE state <> 'copied' OR volume = (SELECT id FROM volume WHERE name = 'second')";
    station.edit().execute(other, []).unwrap();
    station.complete(&card);
}

#[test]
fn a_volume_lost_after_the_copying_is_owed_until_it_is_back() {
    for point in ["finish.copied:2", "finish.verified:2", "finish.renamed:2", "finish.archived:2"] {
        let _trying = Trying(point.to_owned());
        let (station, card) = station_and_card(TWO_VOLUMES);
        station.kill_at(&card, point);
        station.ingest_without_second(&card);
        station.check_all();
        assert_eq!(station.number("SELECT count(*) FROM recording WHERE state = 'archived'"), 2);
        station.complete(&card);
    }
}

#[test]
fn a_start_that_is_killed_at_each_step_in_turn_still_gets_there() {
    let (station, mut card) = station_and_card(TWO_VOLUMES);
    let steps = ["copied", "read-back", "verified", "before-rename", "renamed", "placed", "archived"];
    for (n, step) in steps.iter().enumerate() {
        let _trying = Trying((*step).to_owned());
        station.kill_at(&card, &format!("finish.{step}"));
        station.fsck_is_clean("names");
        // Where everything was archived before the kill there must be something to do.
        card.add(&format!("DCIM/more-{n}.mp4"), 100 + n as u64, 40_000 + n);
    }
    station.complete(&card);
}

#[test]
fn what_nothing_promises_is_reported_and_left_alone() {
    let id = "01a20d58-14c9-72da-8c99-02ce5df22e04";
    let stray = [
        format!("incoming/{id}.part"),
        "incoming/notes.txt".to_owned(),
        format!("media/2026/11/18/recorder-7/{id}_other.mp4"),
        "media/holiday.jpg".to_owned(),
        format!("quarantine/{id}.1"),
        "readme.txt".to_owned(),
    ];
    let (station, card) = archived(ONE_VOLUME);
    for path in &stray {
        put(station.archive().join(path), path.as_bytes());
    }
    let mut expected: Vec<_> = stray.iter().map(|p| ("unknown".to_owned(), p.clone())).collect();
    expected.sort();
    let is_reported = || {
        let mut found = station.findings("bytes");
        found.sort();
        assert_eq!(found, expected);
    };
    is_reported();
    expect_exit(&station.ingest(&card.path).output().unwrap(), 0, &[]);
    expect_exit(&station.run(&["fsck", "--apply"]), 3, &[]);
    is_reported();
    for path in &stray {
        let file = station.archive().join(path);
        assert_eq!(std::fs::read(&file).unwrap(), path.as_bytes());
        std::fs::remove_file(file).unwrap();
    }
    station.complete(&card);
}

#[test]
fn a_row_whose_file_is_missing_is_reported_and_nothing_is_done_again_in_silence() {
    let (station, card) = archived(ONE_VOLUME);
    let file = original(&station, &station.archive());
    let aside = station.dir.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    let rel = file.strip_prefix(station.archive()).unwrap().to_str().unwrap().to_owned();
    assert_eq!(station.findings("names"), [("missing".to_owned(), rel.clone())]);
    let out = station.ingest(&card.path).output().unwrap();
    expect_exit(&out, 0, &[]);
    assert_eq!(json_of(&out)["archived"], 0);
    assert!(!file.exists() && station.number("SELECT count(*) FROM recording") == 2);
    assert_eq!(station.findings("names"), [("missing".to_owned(), rel)]);
    std::fs::rename(&aside, &file).unwrap();
    station.complete(&card);
}

#[test]
fn a_row_whose_file_has_other_bytes_is_reported_and_the_file_left_as_it_is() {
    let (station, card) = archived(ONE_VOLUME);
    let file = original(&station, &station.archive());
    flip(&file, 1000);
    let spoilt = std::fs::read(&file).unwrap();
    let found = station.findings("bytes");
    assert_eq!((found.len(), found[0].0.as_str()), (1, "damaged"));
    expect_exit(&station.ingest(&card.path).output().unwrap(), 0, &[]);
    expect_exit(&station.run(&["fsck", "--depth", "bytes", "--apply"]), 3, &[]);
    assert!(std::fs::read(&file).unwrap() == spoilt);
    assert_eq!(station.number("SELECT count(*) FROM recording WHERE state = 'damaged'"), 1);
    flip(&file, 1000);
    expect_exit(&station.run(&["fsck", "--apply"]), 3, &[]);
    station.complete(&card);
}
