//! Volumes that are not what they should be: each is refused by name, and nothing is made on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::daemon::{Daemon, dock, wait_for_docking};
use common::disks::{Disk, check_on, station_on, volume, wait_for_volume};
use common::tools::{Mount, expect_exit, until};
use common::{Station, content, files, put, sha256};
use nix::fcntl::{Flock, FlockArg};

const MARKER: &str = ".docket-volume";

/// Two volumes, the second of which is made odd before anything is archived; and a card.
struct Setting {
    second: tempfile::TempDir,
    first: tempfile::TempDir,
    station: Station,
}

impl Setting {
    fn new() -> Self {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let station = station_on(&[("main", first.path()), ("second", second.path())]);
        put(station.card("REC01").join("v.mp4"), &content(1, 3 << 20));
        Self { second, first, station }
    }

    fn card(&self) -> std::path::PathBuf {
        self.station.dir.path().join("REC01")
    }

    /// The first volume archives, the second is in this state with these words and is left alone;
    /// where it is alone, nothing is archived and the words come as an error with advice.
    fn second_is_refused(&self, state: &str, words: &str) {
        let before = files(self.second.path());
        assert_eq!(self.station.ingest_ends(&self.card(), 0)["archived"], 1);
        let row = volume(&self.station, "second");
        assert_eq!(row["state"], state, "{row}");
        assert!(row["reason"].as_str().unwrap().contains(words), "{row}");
        assert_eq!(row["owed"], 1);
        assert_eq!(files(self.second.path()), before);
        // Alone.
        let config = self.station.data().join("docket.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("[\"main\", \"second\"]", "[\"second\"]")).unwrap();
        put(self.card().join("w.mp4"), b"another");
        let out = self.station.run(&["ingest", self.card().to_str().unwrap()]);
        expect_exit(&out, 1, &[words, "next:"]);
        assert_eq!(files(self.second.path()), before);
        std::fs::write(&config, text).unwrap();
    }

    /// Once it is as it should be, it gets what it is owed.
    fn second_is_well_again(&self) {
        self.station.ingest_ends(&self.card(), 0);
        let row = volume(&self.station, "second");
        assert_eq!((&row["state"], &row["owed"], &row["reason"]), (&"online".into(), &0.into(), &().into()));
        let archive = check_on(&self.station, &[("main", self.first.path()), ("second", self.second.path())]);
        assert_eq!((archive.hashes.len(), archive.jobs), (2, 0));
        self.station.fsck_is_clean("bytes");
    }
}

#[test]
fn a_volume_without_its_marker() {
    let s = Setting::new();
    let (marker, aside) = (s.second.path().join(MARKER), s.station.dir.path().join("aside"));
    std::fs::rename(&marker, &aside).unwrap();
    s.second_is_refused("missing", "there is no .docket-volume in it");
    std::fs::rename(aside, marker).unwrap();
    s.second_is_well_again();
}

#[test]
fn a_folder_that_is_gone_is_not_made_anew() {
    let s = Setting::new();
    let aside = s.station.dir.path().join("aside");
    std::fs::rename(s.second.path(), &aside).unwrap();
    assert_eq!(s.station.ingest_ends(&s.card(), 0)["archived"], 1);
    assert_eq!(volume(&s.station, "second")["state"], "missing");
    assert!(!s.second.path().exists());
    std::fs::rename(aside, s.second.path()).unwrap();
    put(s.card().join("w.mp4"), b"another");
    s.second_is_well_again();
}

#[test]
fn a_marker_that_is_damaged() {
    let whole = |marker: &Path| std::fs::read(marker).unwrap();
    let s = Setting::new();
    let marker = s.second.path().join(MARKER);
    let good = whole(&marker);
    std::fs::write(&marker, &good[..good.len() / 2]).unwrap();
    s.second_is_refused("foreign", "cannot be read");
    for bad in [&b""[..], b"\0\xff", b"id = 3", &[b'#'; 100_000]] {
        std::fs::write(&marker, bad).unwrap();
        s.station.ingest_ends(&s.card(), 0);
        assert_eq!(volume(&s.station, "second")["state"], "foreign");
        assert_eq!(whole(&marker), bad);
    }
    std::fs::write(&marker, good).unwrap();
    s.second_is_well_again();
}

#[test]
fn the_marker_of_another_station() {
    let (s, other) = (Setting::new(), Setting::new());
    let marker = s.second.path().join(MARKER);
    let good = std::fs::read(&marker).unwrap();
    std::fs::copy(other.second.path().join(MARKER), &marker).unwrap();
    s.second_is_refused("foreign", "foreign volume");
    std::fs::write(&marker, good).unwrap();
    s.second_is_well_again();
}

/// A volume copied with its marker, or shown at two places, is one volume: two copies on it would
/// be one.
#[test]
fn one_volume_at_two_places_is_opened_once() {
    let s = Setting::new();
    let config = s.station.data().join("docket.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let third = tempfile::tempdir().unwrap();
    let with_third = format!(
        "[[volume]]\nname = \"a-third\"\npath = \"{}\"\nreserve = \"1 MiB\"\n{}",
        third.path().display(),
        text.replace("[\"main\", \"second\"]", "[\"a-third\", \"main\", \"second\"]")
    );
    std::fs::write(&config, with_third).unwrap();
    std::fs::copy(s.second.path().join(MARKER), third.path().join(MARKER)).unwrap();
    for refused in ["is not archived to", "is not archived to again"] {
        assert_eq!(s.station.ingest_ends(&s.card(), 0)["failed"], 0);
        assert_eq!(files(third.path()), [third.path().join(MARKER)], "a copy of a volume {refused}");
        assert_eq!(volume(&s.station, "second")["path"], s.second.path().to_str().unwrap());
    }
    // What the policy names and was never opened is not passed over in silence.
    let never = volume(&s.station, "a-third");
    assert_eq!((&never["state"], &never["owed"]), (&"missing".into(), &0.into()));
    assert!(never["reason"].as_str().unwrap().contains("docket doctor"), "{never}");
    let out = s.station.run(&["doctor"]);
    expect_exit(&out, 3, &[]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.contains("a-third") && said.contains("belongs to volume second"), "{said}");
    // The same, shown twice.
    std::fs::remove_file(third.path().join(MARKER)).unwrap();
    if let Some(_mount) = Mount::bind(s.second.path(), third.path()) {
        put(s.card().join("w.mp4"), b"another");
        assert_eq!(s.station.ingest_ends(&s.card(), 0)["failed"], 0);
        assert_eq!(volume(&s.station, "second")["path"], s.second.path().to_str().unwrap());
    }
    std::fs::write(&config, text).unwrap();
    put(s.card().join("w.mp4"), b"another");
    s.second_is_well_again();
}

#[test]
fn a_volume_that_another_process_holds() {
    let s = Setting::new();
    let marker = std::fs::File::open(s.second.path().join(MARKER)).unwrap();
    let held = Flock::lock(marker, FlockArg::LockExclusiveNonblock).unwrap();
    s.second_is_refused("failed", "is locked by another docket");
    drop(held);
    s.second_is_well_again();
}

#[test]
fn a_volume_that_is_read_only_from_the_start() {
    let s = Setting::new();
    let Some(mount) = Mount::read_only(s.second.path()) else { return };
    s.second_is_refused("failed", "Read-only file system");
    drop(mount);
    s.second_is_well_again();
}

/// As ext4 turns itself when its disk fails.
#[test]
fn a_volume_that_becomes_read_only_under_the_daemon() {
    let Some(mut disk) = Disk::made(&["mkfs.ext4", "-q", "-F", "-m", "0", "-e", "remount-ro"], 64) else {
        return;
    };
    let other = tempfile::tempdir().unwrap();
    let path = disk.path();
    let volumes = [("main", other.path()), ("failing", &*path)];
    let station = station_on(&volumes);
    let daemon = Daemon::start(&station);
    let card = |name: &str, byte: u8| {
        let card = station.card(name);
        put(card.join("v.mp4"), &vec![byte; 2 << 20]);
        dock(&station, &card);
        wait_for_docking(&station, name, "safe");
    };
    card("REC01", 1);
    if !disk.fail() {
        return;
    }
    card("REC02", 2);
    let failed = wait_for_volume(&station, "failing", "failed");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("Read-only file system") && reason.contains("dmesg"), "{reason}");
    assert_eq!(failed["owed"], 1);
    assert_eq!(volume(&station, "main")["state"], "online");
    daemon.stop();
    disk.unmount();
    disk.mount_again();
    let daemon = Daemon::start(&station);
    card("REC03", 3);
    until("the copy that was owed", || (volume(&station, "failing")["owed"] == 0).then_some(()));
    daemon.stop();
    let mut expected: Vec<_> = (1..=3).map(|b| sha256(&vec![b; 2 << 20])).collect();
    expected.sort();
    assert_eq!(check_on(&station, &volumes).hashes, expected);
    station.fsck_is_clean("bytes");
}
