//! `docket run` as systemd, an officer and an administrator meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::daemon::{Daemon, dock, docking_of, wait_for_docking};
use common::tools::{expect_exit, json_of, until};
use common::{Station, content, put, sha256};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A card with files of 1 MiB, the names of which carry no device.
fn card(station: &Station, name: &str, files: u64) -> PathBuf {
    let card = station.card(name);
    for i in 0..files {
        put(card.join(format!("DCIM/v{i:03}.mp4")), &content(i + 1, 1 << 20));
    }
    card
}

/// A file that was written to just now: with `settle_seconds` it holds a stay open.
fn put_fresh(path: impl AsRef<Path>, bytes: &[u8]) {
    put(&path, bytes);
    std::fs::File::options().append(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
}

fn archived(station: &Station) -> i64 {
    station.db().query_row("SELECT count(*) FROM recording", [], |r| r.get(0)).unwrap()
}

fn jobs(station: &Station, state: &str) -> i64 {
    let sql = "SELECT count(*) FROM job WHERE state = ?1";
    station.db().query_row(sql, [state], |r| r.get(0)).unwrap()
}

#[test]
fn what_a_crash_left_is_finished_before_it_says_ready() {
    let station = Station::new();
    let source = card(&station, "REC01", 2);
    let path = source.to_str().unwrap();
    let out = station.command(&["ingest", path]).env("DOCKET_FAILPOINT", "finish.copied").output().unwrap();
    assert_eq!(out.status.code(), None, "the failpoint kills it");
    assert!(jobs(&station, "copied") > 0);
    let daemon = Daemon::start(&station);
    assert_eq!(jobs(&station, "copied") + jobs(&station, "verified"), 0, "READY came too early");
    assert_eq!(docking_of(&station, "REC01").unwrap().0, "interrupted");
    assert!(archived(&station) > 0);
    daemon.stop();
    station.check();
}

#[test]
fn a_card_that_appears_in_the_dock_is_archived_until_safe() {
    let station = Station::new();
    let source = card(&station, "REC01", 3);
    let daemon = Daemon::start(&station);
    dock(&station, &source);
    wait_for_docking(&station, "REC01", "safe");
    assert_eq!(archived(&station), 3);
    let status = station.json(&["status", "--json"]);
    assert_eq!(status["daemon"], true);
    assert_eq!(status["stays"][0][1]["phase"], "safe");
    daemon.stop();
    assert_eq!(station.check().hashes.len(), 3);
}

#[test]
fn a_card_that_stands_in_the_dock_at_the_start_is_archived() {
    let station = Station::new();
    dock(&station, &card(&station, "REC01", 1));
    let daemon = Daemon::start(&station);
    wait_for_docking(&station, "REC01", "safe");
    daemon.stop();
    assert_eq!(station.check().hashes.len(), 1);
}

#[test]
fn two_cards_are_archived_side_by_side() {
    let station = Station::new();
    let (one, two) = (card(&station, "REC01", 4), card(&station, "REC02", 3));
    let daemon = Daemon::start(&station);
    dock(&station, &one);
    dock(&station, &two);
    wait_for_docking(&station, "REC01", "safe");
    wait_for_docking(&station, "REC02", "safe");
    daemon.stop();
    assert_eq!(station.check().hashes.len(), 7);
}

#[test]
fn a_trouble_on_one_card_does_not_hold_up_another() {
    let station = settling(3600);
    let slow = card(&station, "REC01", 1);
    put_fresh(slow.join("fresh.mp4"), b"still being written");
    let daemon = Daemon::start(&station);
    dock(&station, &slow);
    until("the first file", || (archived(&station) == 1).then_some(()));
    dock(&station, &card(&station, "REC02", 2));
    wait_for_docking(&station, "REC02", "safe");
    assert_eq!(docking_of(&station, "REC01").unwrap().0, "copying");
    daemon.stop();
    station.check();
}

/// A station whose files need so long to come to rest.
fn settling(seconds: u64) -> Station {
    Station::with_config(&format!(
        "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
         [ingest]\nsettle_seconds = {seconds}\njournal_every = \"1 MiB\"\nprobe = false\nrescan_seconds = 1"
    ))
}

fn settle_at_once(station: &Station, daemon: &Daemon) {
    let file = station.data().join("docket.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("settle_seconds = 3600", "settle_seconds = 0")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("settings reloaded");
}

#[test]
fn a_card_that_is_filled_while_docked_is_archived_once_its_files_rest() {
    let station = settling(1);
    let daemon = Daemon::start(&station);
    let place = station.data().join("cards/REC01");
    std::fs::create_dir(&place).unwrap();
    let bytes = content(9, 3 << 20);
    let mut upload = std::fs::File::create(place.join("upload.mp4")).unwrap();
    for part in bytes.chunks(1 << 18) {
        std::io::Write::write_all(&mut upload, part).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(upload);
    until("the upload", || {
        let list = station.json(&["recordings", "--json"]);
        list.as_array().unwrap().iter().any(|r| r["sha256"] == sha256(&bytes)).then_some(())
    });
    // Another file, in a new folder of the same stay.
    put(place.join("later/b.mp4"), b"later");
    until("the later file", || (archived(&station) == 2).then_some(()));
    wait_for_docking(&station, "REC01", "safe");
    daemon.stop();
    assert_eq!(station.check().hashes.len(), 2);
}

#[test]
fn a_card_taken_too_early_goes_on_when_it_is_docked_again() {
    let station = settling(3600);
    let source = card(&station, "REC01", 2);
    put_fresh(source.join("zz.mp4"), b"not at rest yet");
    let daemon = Daemon::start(&station);
    let place = dock(&station, &source);
    until("two files", || (archived(&station) == 2).then_some(()));
    std::fs::rename(&place, &source).unwrap();
    wait_for_docking(&station, "REC01", "vanished");
    let status = json_of(&station.run(&["status", "--json"]));
    assert_eq!(status["unfinished"][0]["source_path"], "zz.mp4");
    let reason = docking_of(&station, "REC01").unwrap().1.unwrap();
    assert!(reason.contains("taken before everything was archived"), "{reason}");
    settle_at_once(&station, &daemon);
    dock(&station, &source);
    wait_for_docking(&station, "REC01", "safe");
    assert_eq!(archived(&station), 3);
    daemon.stop();
    assert_eq!(station.check().jobs, 0);
}

#[test]
fn ingest_beside_a_running_daemon_goes_through_it() {
    let station = Station::new();
    let source = card(&station, "REC01", 2);
    let daemon = Daemon::start(&station);
    let summary = station.json(&["ingest", source.to_str().unwrap(), "--json"]);
    assert_eq!((&summary["archived"], &summary["failed"]), (&2.into(), &0.into()));
    let id = station.json(&["recordings", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let history = station.json(&["custody", "show", &id, "--json"]);
    assert_eq!(history[0]["entry"]["actor"], "daemon");
    daemon.stop();
    station.check();
}

#[test]
fn hanging_up_on_the_daemon_leaves_a_stay_that_goes_on_later() {
    let station = settling(3600);
    let source = card(&station, "REC01", 2);
    put_fresh(source.join("zz.mp4"), b"not at rest yet");
    let daemon = Daemon::start(&station);
    let mut client = station.command(&["ingest", source.to_str().unwrap(), "--json"]).spawn().unwrap();
    until("two files", || (archived(&station) == 2).then_some(()));
    kill(Pid::from_raw(client.id().cast_signed()), Signal::SIGINT).unwrap();
    let status = until("the client's end", || client.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    wait_for_docking(&station, "REC01", "cancelled");
    settle_at_once(&station, &daemon);
    assert_eq!(station.json(&["ingest", source.to_str().unwrap(), "--json"])["archived"], 1);
    daemon.stop();
    assert_eq!((station.check().hashes.len(), station.check().jobs), (3, 0));
}

#[test]
fn sigterm_ends_it_well_and_keeps_what_was_copied() {
    let station = Station::new();
    let source = station.card("REC01");
    put(source.join("long.mp4"), &content(5, 192 << 20));
    let daemon = Daemon::start(&station);
    let place = dock(&station, &source);
    until("a journal entry", || {
        let n: i64 = station.db().query_row("SELECT count(*) FROM job_block", [], |r| r.get(0)).unwrap();
        (n > 0).then_some(())
    });
    daemon.stop();
    if archived(&station) == 0 {
        let kept: i64 =
            station.db().query_row("SELECT max(offset) FROM job_block", [], |r| r.get(0)).unwrap();
        let parts = common::files(&station.archive().join("incoming"));
        assert!(kept > 0 && parts.len() == 1 && parts[0].metadata().unwrap().len() >= kept.unsigned_abs());
        assert_eq!(docking_of(&station, "REC01").unwrap().0, "cancelled");
    }
    let out = station.run(&["ingest", place.to_str().unwrap()]);
    expect_exit(&out, 0, &[]);
    assert_eq!(station.check().hashes, [sha256(&content(5, 192 << 20))]);
}

#[test]
fn changed_settings_are_taken_over_and_bad_ones_refused() {
    let station = Station::new();
    let daemon = Daemon::start(&station);
    let file = station.data().join("docket.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    let dock_at = |name: &str| {
        let folder = station.card(name);
        format!("\n[[dock]]\nname = \"{name}\"\npath = \"{}\"\n", folder.display())
    };
    // SIGHUP.
    std::fs::write(&file, format!("{good}{}", dock_at("second"))).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("settings reloaded");
    std::fs::rename(card(&station, "REC01", 1), station.dir.path().join("second/REC01")).unwrap();
    wait_for_docking(&station, "REC01", "safe");
    // With mistakes: all are named, and what holds stays.
    std::fs::write(&file, format!("{good}\nattempts = 0\ncolour = 1\n{}", dock_at("third"))).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("the settings stay as they were");
    assert!(daemon.log().contains("ingest.colour is not a setting"), "{}", daemon.log());
    std::fs::rename(card(&station, "REC02", 1), station.dir.path().join("second/REC02")).unwrap();
    wait_for_docking(&station, "REC02", "safe");
    // By saving the file alone.
    std::fs::write(&file, format!("{good}{}{}", dock_at("second"), dock_at("third"))).unwrap();
    std::fs::rename(card(&station, "REC03", 1), station.dir.path().join("third/REC03")).unwrap();
    wait_for_docking(&station, "REC03", "safe");
    daemon.stop();
}

#[test]
fn a_second_daemon_and_other_writers_are_refused() {
    let station = Station::new();
    let daemon = Daemon::start(&station);
    let mut second = Daemon::spawn(&station);
    assert_eq!(second.ended().code(), Some(1));
    let said = second.log();
    assert!(said.contains("another docket works on the station") && said.contains("next:"), "{said}");
    expect_exit(&station.run(&["fsck", "--apply"]), 1, &["another docket", "next:"]);
    expect_exit(&station.run(&["rebuild", "--resume"]), 1, &["another docket", "next:"]);
    // Looking is allowed.
    for args in [&["status"][..], &["fsck"], &["verify", "--all"], &["recordings"]] {
        station.ok(args);
    }
    daemon.stop();
}

#[test]
fn one_recorder_on_two_docks_is_never_archived_twice() {
    let station = settling(0);
    let file = station.data().join("docket.toml");
    let other = station.card("other");
    let text = std::fs::read_to_string(&file).unwrap();
    let docks = format!(
        "\n[[dock]]\nname = \"a\"\npath = \"cards\"\n[[dock]]\nname = \"b\"\npath = \"{}\"",
        other.display()
    );
    std::fs::write(&file, text + &docks).unwrap();
    let daemon = Daemon::start(&station);
    let one = dock(&station, &card(&station, "REC01", 2));
    wait_for_docking(&station, "REC01", "safe");
    let twin = other.join("REC01");
    std::fs::rename(card(&station, "REC01", 3), &twin).unwrap();
    daemon.wait_for_log("recorder REC01 is docked already");
    let out = station.run(&["ingest", twin.to_str().unwrap()]);
    expect_exit(&out, 1, &["docked already", "next:", "--recorder"]);
    assert_eq!(archived(&station), 2);
    // Its turn comes when the other has left.
    std::fs::remove_dir_all(&one).unwrap();
    until("the third file", || (archived(&station) == 3).then_some(()));
    wait_for_docking(&station, "REC01", "safe");
    daemon.stop();
    assert_eq!(station.check().hashes.len(), 3);
}
