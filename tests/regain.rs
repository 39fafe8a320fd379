//! A card may hold the last bytes of what the archive has lost, or more than it held when the copying
//! began: "safe to take" must not be said of either too early.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;

use common::crash::ONE_VOLUME;
use common::daemon::{Daemon, dock, wait_for_docking};
use common::tools::{expect_exit, flip, json_of, until};
use common::{Station, content, put};

fn archived(station: &Station) -> (PathBuf, PathBuf) {
    let card = station.card("REC01");
    put(card.join("DCIM/a.mp4"), &content(1, 300_000));
    put(card.join("DCIM/b.mp4"), &content(2, 5_000));
    station.ok(&["ingest", card.to_str().unwrap()]);
    let original = |name: &str| {
        let all = station.json(&["recordings", "--json"]);
        let one = all.as_array().unwrap().iter().find(|r| r["source_path"] == name).unwrap();
        PathBuf::from(one["path"].as_str().unwrap())
    };
    (card, original("DCIM/a.mp4"))
}

fn is_whole_again(station: &Station, card: &std::path::Path, original: &std::path::Path) {
    let summary = station.json(&["ingest", "--json", card.to_str().unwrap()]);
    assert_eq!((&summary["archived"], &summary["failed"]), (&1.into(), &0.into()), "{summary}");
    assert!(std::fs::read(original).unwrap() == content(1, 300_000), "not in its place again");
    assert_eq!(station.check().hashes.len(), 2, "one recording for each content");
    station.ok(&["verify", "--all"]);
    station.ok(&["fsck", "--depth", "bytes"]);
    station.ok(&["rebuild", "--help"]);
}

#[test]
fn a_missing_original_is_brought_back_by_its_card() {
    let station = Station::new();
    let (card, original) = archived(&station);
    std::fs::remove_file(&original).unwrap();
    expect_exit(&station.run(&["verify", "--all"]), 3, &[]);
    is_whole_again(&station, &card, &original);
}

#[test]
fn a_damaged_original_is_set_aside_and_brought_back_under_whatever_name() {
    let station = Station::new();
    let (card, original) = archived(&station);
    flip(&original, 1000);
    expect_exit(&station.run(&["verify", "--all"]), 3, &[]);
    std::fs::rename(card.join("DCIM/a.mp4"), card.join("DCIM/renamed.mp4")).unwrap();
    is_whole_again(&station, &card, &original);
    assert_eq!(station.check().quarantined, 1, "the damaged bytes are kept");
}

/// A file in doubt is planned anew though it is known; its job goes on, and holds nothing else up.
#[cfg(feature = "failpoints")]
#[test]
fn an_interrupted_copy_of_a_file_in_doubt_goes_on() {
    let station = Station::new();
    let card = station.card("REC01");
    let reset = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_451_606_400);
    let put_reset = |seed| {
        put(card.join("a.mp4"), &content(seed, 3_000_000));
        let file = std::fs::File::options().append(true).open(card.join("a.mp4")).unwrap();
        file.set_modified(reset).unwrap();
    };
    let ask = ["ingest", "--json", card.to_str().unwrap()];
    put_reset(1);
    station.ok(&ask);
    put_reset(2);
    put(card.join("z.mp4"), &content(3, 1000));
    let out = station.command(&ask).env("DOCKET_FAILPOINT", "copy.block:5").output().unwrap();
    assert!(!out.status.success());
    station.ok(&ask);
    assert_eq!(station.check().hashes.len(), 3);
}

/// What comes while the copying goes on is archived before the card is called safe.
#[test]
fn a_file_that_comes_during_the_copying_is_archived_before_safe_is_said() {
    let station = Station::with_config(ONE_VOLUME);
    let card = station.card("REC01");
    for i in 0..40 {
        put(card.join(format!("DCIM/{i}.mp4")), &content(i, 2_000_000));
    }
    let daemon = Daemon::start(&station);
    let card = dock(&station, &card);
    let under_way = "SELECT count(*) FROM recording WHERE source_path = CAST('DCIM/0.mp4' AS BLOB)";
    until("the first recording", || (station.number(under_way) == 1).then_some(()));
    put(card.join("DCIM/late.mp4"), &content(99, 1000));
    wait_for_docking(&station, "REC01", "safe");
    let late = "SELECT count(*) FROM recording r, docking d WHERE r.archived_at <= d.safe_at
        AND r.source_path = CAST('DCIM/late.mp4' AS BLOB)";
    assert_eq!(station.number(late), 1, "safe was said before it was archived");
    daemon.stop();
    station.check();
}

/// A copy that is lost on one volume is told, and made again from the other.
#[test]
fn a_lost_copy_is_made_again_from_the_other_volume() {
    let station = Station::with_config(common::crash::TWO_VOLUMES);
    let card = station.card("REC01");
    for (i, name) in ["a.mp4", "b.mp4"].iter().enumerate() {
        put(card.join(name), &content(i as u64, 70_000));
    }
    station.ok(&["ingest", card.to_str().unwrap()]);
    let second = common::files(&station.second());
    let file = |end: &str| second.iter().find(|p| p.to_str().unwrap().ends_with(end)).unwrap();
    std::fs::remove_file(file("_a.mp4")).unwrap();
    flip(file("_b.mp4"), 5);
    expect_exit(&station.run(&["verify", "--all"]), 3, &[]);
    let status = station.run(&["status"]);
    assert_eq!(status.status.code(), Some(3));
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("volume second: 2 copies are damaged or missing"), "{said}");
    let _ = station.run(&["fsck", "--depth", "bytes", "--apply"]);
    station.ok(&["verify", "--all"]);
    let bad = "SELECT count(*) FROM copy WHERE state <> 'archived'";
    assert_eq!((station.number(bad), station.number("SELECT count(*) FROM copy")), (0, 4));
    assert_eq!(station.check_all().quarantined, 1, "the damaged bytes are kept");
    station.ok(&["status"]);
}

/// What `init` would make beside an archive that has lost its catalogue would look like a new station.
#[test]
fn init_makes_no_catalogue_beside_an_archive_that_had_one() {
    let station = Station::new();
    archived(&station);
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    expect_exit(&station.run(&["init"]), 1, &["catalogue is gone", "docket rebuild"]);
    assert!(!station.data().join("catalog.sqlite").exists());
    station.ok(&["rebuild"]);
    assert_eq!(station.check().hashes.len(), 2);
}

/// A volume can be moved in the settings as long as nothing lies on it.
#[test]
fn an_unused_volume_may_get_another_path_and_a_used_one_may_not() {
    let station = Station::new();
    let file = station.data().join("docket.toml");
    let move_to = |path: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        let line = text.lines().find(|l| l.starts_with("path")).unwrap().to_owned();
        std::fs::write(&file, text.replace(&line, &format!("path = \"{path}\""))).unwrap();
    };
    move_to("archive-2");
    station.ok(&["init"]);
    let card = station.card("REC01");
    put(card.join("a.mp4"), &content(1, 1000));
    station.ok(&["ingest", card.to_str().unwrap()]);
    move_to("archive-3");
    expect_exit(&station.run(&["init"]), 1, &["volume main holds recordings", "next:"]);
}

/// Whoever can write everywhere but in the custody log is found by it.
#[test]
fn a_row_forged_together_with_its_file_and_manifests_is_found() {
    let station = Station::new();
    let (_, original) = archived(&station);
    let old = common::sha256(&content(1, 300_000));
    flip(&original, 1000);
    let new = common::sha256(&std::fs::read(&original).unwrap());
    for name in ["SHA256SUMS", "recordings.jsonl"] {
        let path = original.with_file_name(name);
        let text = std::fs::read_to_string(&path).unwrap().replace(&old, &new);
        std::fs::write(&path, text).unwrap();
    }
    let forge = format!("UPDATE recording SET sha256 = x'{new}' WHERE hex(sha256) = upper('{old}')");
    assert_eq!(station.edit().execute(&forge, []).unwrap(), 1);
    let found = station.findings("manifests");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "contradiction");
}

/// One card shown at two places is one card.
#[test]
fn a_card_at_two_places_is_refused_at_the_second() {
    let station = Station::with_config(ONE_VOLUME);
    let card = station.card("REC01");
    put(card.join("a.mp4"), &content(1, 1000));
    let daemon = Daemon::start(&station);
    let docked = dock(&station, &card);
    wait_for_docking(&station, "REC01", "safe");
    let link = station.dir.path().join("OTHER");
    std::os::unix::fs::symlink(&docked, &link).unwrap();
    expect_exit(&station.run(&["ingest", link.to_str().unwrap()]), 1, &["docked already, at", "next:"]);
    assert_eq!(station.number("SELECT count(*) FROM recording"), 1);
    daemon.stop();
}

#[test]
fn names_that_no_recorder_has_are_refused() {
    let station = Station::new();
    let card = station.card("REC01");
    put(card.join("a.mp4"), &content(1, 1000));
    for name in ["", "  ", "a\nb", "\u{1b}[2J", &"x".repeat(65)] {
        let out = station.run(&["ingest", card.to_str().unwrap(), "--recorder", name]);
        expect_exit(&out, 1, &["is no name for a recorder", "next:"]);
    }
}

/// Two volumes whose manifests tell different stories of one recording are a matter for a person.
#[test]
fn rebuild_takes_no_other_bytes_for_a_recording_it_knows() {
    let two = common::crash::TWO_VOLUMES;
    let station = Station::with_config(two);
    let card = station.card("REC01");
    put(card.join("a.mp4"), &content(1, 1000));
    station.ok(&["ingest", card.to_str().unwrap()]);
    let second = common::files(&station.second());
    let original = second.iter().find(|p| p.to_str().unwrap().ends_with("_a.mp4")).unwrap();
    flip(original, 10);
    let (old, new) = (common::sha256(&content(1, 1000)), common::sha256(&std::fs::read(original).unwrap()));
    for name in ["SHA256SUMS", "recordings.jsonl"] {
        let path = original.with_file_name(name);
        let text = std::fs::read_to_string(&path).unwrap().replace(&old, &new);
        std::fs::write(&path, text).unwrap();
    }
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    let out = station.run(&["rebuild", "--json"]);
    expect_exit(&out, 3, &[]);
    let problems = json_of(&out)["problems"].to_string();
    assert!(problems.contains("names other bytes"), "{problems}");
    assert_eq!(station.number("SELECT count(*) FROM copy"), 1, "two contents under one id");
}
