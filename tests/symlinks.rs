//! A folder of a volume that was swapped for a symbolic link: nothing is written, replaced or removed where
//! it leads, and what was held up goes on once the folder is back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;

use common::tools::expect_exit;
use common::{Station, content, files, put, stderr};

const SETTINGS: &str = "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
     [ingest]\nsettle_seconds = 0\nprobe = false\n[custody]\ncheckpoint_every = 1\n";

fn card(station: &Station, n: u64) -> String {
    let card = station.card(&format!("card-{n}"));
    put(card.join(format!("v{n}.mp4")), &content(n, 300_000));
    card.to_str().unwrap().to_owned()
}

/// The folder, moved elsewhere as it is, with a link in its place to another that bears the same names.
fn swapped(station: &Station, folder: &str) -> (tempfile::TempDir, impl Fn()) {
    let temp = tempfile::tempdir_in(station.dir.path()).unwrap();
    let (real, victim) = (temp.path().join("real"), temp.path().join("victim"));
    let place = station.archive().join(folder);
    std::fs::rename(&place, &real).unwrap();
    std::fs::create_dir(&victim).unwrap();
    for file in files(&real) {
        put(victim.join(file.strip_prefix(&real).unwrap()), b"of somebody else");
    }
    symlink(&victim, &place).unwrap();
    (temp, move || {
        std::fs::remove_file(&place).unwrap();
        std::fs::rename(&real, &place).unwrap();
    })
}

fn untouched(victim: &Path, before: &[std::path::PathBuf], folder: &str) {
    assert_eq!(files(victim), before, "{folder}");
    for file in before {
        assert_eq!(std::fs::read(file).unwrap(), b"of somebody else", "{folder}");
    }
}

#[test]
fn nothing_leaves_a_volume_through_a_link() {
    let station = Station::with_config(SETTINGS);
    station.ok(&["ingest", &card(&station, 1), "--recorder", "REC1"]);
    // The newest folder of originals: its day and recorder are what the next card of REC1 needs.
    let originals = files(&station.archive().join("media"));
    let recorder = originals[0].parent().unwrap().strip_prefix(station.archive()).unwrap().to_owned();
    let recorder = recorder.to_str().unwrap();
    let year = recorder.get(..10).unwrap();
    for (n, folder) in (2..).zip(["incoming", "media", year, recorder, "checkpoints"]) {
        let (temp, put_back) = swapped(&station, folder);
        let victim = temp.path().join("victim");
        let before = files(&victim);
        let out = station.run(&["ingest", &card(&station, n), "--recorder", "REC1"]);
        untouched(&victim, &before, folder);
        if folder != "checkpoints" {
            assert_ne!(out.status.code(), Some(0), "{folder}: {}", stderr(&out));
        }
        for command in ["verify", "fsck"] {
            station.run(&[command]);
            untouched(&victim, &before, folder);
        }
        put_back();
        station.ok(&["ingest", &card(&station, n), "--recorder", "REC1"]);
        untouched(&victim, &before, folder);
    }
    station.check();
    expect_exit(&station.run(&["fsck"]), 0, &[]);
    expect_exit(&station.run(&["custody", "verify"]), 0, &[]);
}

#[test]
fn a_volume_that_is_itself_reached_through_a_link_works() {
    let station = Station::bare(SETTINGS);
    let elsewhere = station.dir.path().join("disk");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, station.archive()).unwrap();
    station.ok(&["init"]);
    station.ok(&["ingest", &card(&station, 1), "--recorder", "REC1"]);
    assert_eq!(files(&elsewhere).iter().filter(|p| p.to_str().unwrap().contains("v1.mp4")).count(), 1);
    expect_exit(&station.run(&["fsck"]), 0, &[]);
    expect_exit(&station.run(&["custody", "verify"]), 0, &[]);
}
