//! Volumes that fill up, vanish, come back and refuse: nothing is lost, and each says how it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::daemon::{Daemon, dock, docking_of, wait_for_docking};
use common::disks::{Disk, check_on, station_on, volume, wait_for_volume};
use common::tools::{expect_exit, json_of, until};
use common::{Station, content, files, put, sha256};

const MIB: usize = 1 << 20;

/// A card with files of so many MiB each.
fn card(station: &Station, name: &str, files: u64, mib: usize) -> PathBuf {
    let card = station.card(name);
    let seed = u64::from(name.as_bytes()[name.len() - 1]) * 1000;
    for i in 0..files {
        put(card.join(format!("v{i:02}.mp4")), &content(seed + i, mib * MIB));
    }
    card
}

/// The hashes of everything on cards, as the archive lists them.
fn hashes(cards: &[&Path]) -> Vec<String> {
    let all = cards.iter().flat_map(|card| files(card));
    let mut hashes: Vec<_> = all.map(|f| sha256(&std::fs::read(f).unwrap())).collect();
    hashes.sort();
    hashes
}

fn fills_up_and_goes_on(disk: &Disk) {
    let volumes = [("main", &*disk.path())];
    let station = station_on(&volumes);
    let ballast = disk.fill_but(10 * MIB as u64);
    let source = card(&station, "REC01", 4, 4);
    let daemon = Daemon::start(&station);
    let place = dock(&station, &source);
    let full = wait_for_volume(&station, "main", "full");
    let reason = full["reason"].as_str().unwrap();
    assert!(reason.contains("4.0 MiB wanted") && reason.contains("1.0 MiB kept in reserve"), "{reason}");
    wait_for_docking(&station, "REC01", "attention");
    assert!(docking_of(&station, "REC01").unwrap().1.unwrap().contains("volume main is full"));
    // What fits is archived meanwhile, and nothing of the rest stands in for it.
    let archived = || {
        let count = "SELECT count(*) FROM recording";
        station.db().query_row(count, [], |r| r.get::<_, i64>(0)).unwrap()
    };
    until("what fits", || (archived() == 2).then_some(()));
    std::fs::remove_file(ballast).unwrap();
    wait_for_docking(&station, "REC01", "safe");
    assert_eq!(wait_for_volume(&station, "main", "online")["reason"], serde_json::Value::Null);
    daemon.stop();
    let archive = check_on(&station, &volumes);
    assert_eq!((archive.hashes, archive.jobs), (hashes(&[&place]), 0));
    station.fsck_is_clean("bytes");
}

#[test]
fn a_full_volume_pauses_the_docking_and_room_lets_it_go_on() {
    let Some(disk) = Disk::ext4(64) else { return };
    fills_up_and_goes_on(&disk);
}

#[test]
fn a_full_volume_of_xfs_does_too() {
    let Some(disk) = Disk::made(&["mkfs.xfs", "-q", "-f"], 512) else { return };
    fills_up_and_goes_on(&disk);
}

#[test]
fn a_command_on_a_full_volume_ends_with_advice_and_goes_on_later() {
    let Some(disk) = Disk::ext4(64) else { return };
    let volumes = [("main", &*disk.path())];
    let station = station_on(&volumes);
    let ballast = disk.fill_but(10 * MIB as u64);
    let source = card(&station, "REC01", 4, 4);
    let out = station.run(&["ingest", source.to_str().unwrap()]);
    expect_exit(&out, 1, &["volume main is full", "next:", "make room"]);
    std::fs::remove_file(ballast).unwrap();
    station.ingest_ends(&source, 0);
    assert_eq!(check_on(&station, &volumes).hashes, hashes(&[&source]));
}

/// There are blocks enough, but no inode for one more file.
#[test]
fn a_volume_without_room_for_one_more_file_is_full() {
    let Some(disk) = Disk::made(&["mkfs.ext4", "-q", "-F", "-m", "0", "-N", "128"], 64) else { return };
    let volumes = [("main", &*disk.path())];
    let station = station_on(&volumes);
    let ballast = disk.path().join("ballast");
    std::fs::create_dir(&ballast).unwrap();
    let created = (0..200).take_while(|i| std::fs::write(ballast.join(i.to_string()), b"").is_ok()).count();
    assert!(created < 200);
    let source = card(&station, "REC01", 3, 1);
    let daemon = Daemon::start(&station);
    let place = dock(&station, &source);
    let full = wait_for_volume(&station, "main", "full");
    assert!(full["reason"].as_str().unwrap().contains("no more files"), "{full}");
    wait_for_docking(&station, "REC01", "attention");
    std::fs::remove_dir_all(ballast).unwrap();
    wait_for_docking(&station, "REC01", "safe");
    daemon.stop();
    assert_eq!(check_on(&station, &volumes).hashes, hashes(&[&place]));
}

#[test]
fn where_one_of_two_volumes_is_full_the_other_goes_on_and_the_copies_are_made_later() {
    let Some(disk) = Disk::ext4(64) else { return };
    let other = tempfile::tempdir().unwrap();
    let volumes = [("main", other.path()), ("small", &*disk.path())];
    let station = station_on(&volumes);
    let ballast = disk.fill_but(10 * MIB as u64);
    let daemon = Daemon::start(&station);
    let one = dock(&station, &card(&station, "REC01", 4, 4));
    wait_for_docking(&station, "REC01", "safe");
    let small = wait_for_volume(&station, "small", "full");
    assert!((1..=4).contains(&small["owed"].as_u64().unwrap()), "{small}");
    assert_eq!(volume(&station, "main")["state"], "online");
    std::fs::remove_file(ballast).unwrap();
    // The next card brings the looking after with it.
    let two = dock(&station, &card(&station, "REC02", 1, 1));
    wait_for_docking(&station, "REC02", "safe");
    until("the copies that were owed", || (volume(&station, "small")["owed"] == 0).then_some(()));
    daemon.stop();
    assert_eq!(check_on(&station, &volumes).hashes, hashes(&[&one, &two]));
    let how: i64 = station
        .db()
        .query_row("SELECT count(*) FROM copy WHERE state = 'archived' AND how IS NOT NULL", [], |r| r.get(0))
        .unwrap();
    assert_eq!(how, 10, "each recording is archived and read back on both volumes");
    station.fsck_is_clean("bytes");
}

#[test]
fn a_volume_that_is_not_mounted_stays_an_empty_folder_and_gets_its_copies_when_it_is() {
    let Some(mut disk) = Disk::ext4(64) else { return };
    let other = tempfile::tempdir().unwrap();
    let path = disk.path();
    let volumes = [("main", other.path()), ("away", &*path)];
    let station = station_on(&volumes);
    disk.unmount();
    let daemon = Daemon::start(&station);
    let missing = wait_for_volume(&station, "away", "missing");
    assert!(missing["reason"].as_str().unwrap().contains("there is no .docket-volume"), "{missing}");
    let one = dock(&station, &card(&station, "REC01", 2, 2));
    wait_for_docking(&station, "REC01", "safe");
    assert_eq!(volume(&station, "away")["owed"], 2);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "something was made in the mount point");
    disk.mount_again();
    wait_for_volume(&station, "away", "online");
    let two = dock(&station, &card(&station, "REC02", 1, 2));
    wait_for_docking(&station, "REC02", "safe");
    until("the copies that were owed", || (volume(&station, "away")["owed"] == 0).then_some(()));
    daemon.stop();
    assert_eq!(check_on(&station, &volumes).hashes, hashes(&[&one, &two]));
    station.fsck_is_clean("bytes");
}

/// The only volume, pulled from under the daemon by force: what it still writes goes to that very
/// file system, never to the folder below.
#[test]
fn a_volume_unmounted_under_the_daemon_is_never_mistaken_for_its_mount_point() {
    let Some(mut disk) = Disk::ext4(64) else { return };
    let path = disk.path();
    let volumes = [("main", &*path)];
    let station = station_on(&volumes);
    let daemon = Daemon::start(&station);
    let one = dock(&station, &card(&station, "REC01", 2, 2));
    wait_for_docking(&station, "REC01", "safe");
    let busy = Command::new("umount").arg(&path).output().unwrap();
    assert!(!busy.status.success(), "a volume in use can be unmounted as if it were not");
    disk.unmount();
    let two = dock(&station, &card(&station, "REC02", 2, 2));
    until("an answer for the second card", || {
        docking_of(&station, "REC02").filter(|(state, _)| state == "safe" || state == "attention")
    });
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0, "something was made in the mount point");
    disk.mount_again();
    daemon.stop();
    let daemon = Daemon::start(&station);
    wait_for_docking(&station, "REC02", "safe");
    daemon.stop();
    assert_eq!(check_on(&station, &volumes).hashes, hashes(&[&one, &two]));
    station.fsck_is_clean("bytes");
}

/// How many bytes a process has asked the system to read.
fn bytes_read(daemon: &Daemon) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", daemon.pid())).unwrap();
    io.lines().find_map(|l| l.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn the_card_is_read_once_whatever_the_number_of_volumes() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let volumes = [("a", dirs[0].path()), ("b", dirs[1].path()), ("c", dirs[2].path())];
    let station = station_on(&volumes);
    let source = card(&station, "REC01", 3, 16);
    let daemon = Daemon::start(&station);
    let before = bytes_read(&daemon);
    let place = dock(&station, &source);
    wait_for_docking(&station, "REC01", "safe");
    // Once from the card, and back from each of three volumes; the catalogue's pages are small.
    let (size, read) = (48 * MIB as u64, bytes_read(&daemon) - before);
    assert!(read >= 4 * size, "{read} bytes: not everything was read back");
    assert!(read < 5 * size, "{read} bytes: the card was read more than once");
    daemon.stop();
    assert_eq!(check_on(&station, &volumes).hashes, hashes(&[&place]));
    let counted = json_of(&station.run(&["status", "--json"]))["dockings"][0]["bytes"].as_u64().unwrap();
    assert_eq!(counted, size);
}
