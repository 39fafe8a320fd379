//! Cards of unusual shape: very deep, very many files, and roots that are no card.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::daemon::Daemon;
use common::tools::{Mount, expect_exit};
use common::{Station, content, files, put, sha256};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// A folder path longer than any system call takes, made level by level; a file in each tenth.
fn dig(card: &Path, levels: usize) -> Vec<PathBuf> {
    let folder = OFlag::O_DIRECTORY | OFlag::O_RDONLY;
    let mut at = nix::fcntl::open(card, folder, Mode::empty()).unwrap();
    let (mut path, mut files) = (PathBuf::new(), Vec::new());
    for level in 1..=levels {
        let name = format!("folder-number-{level:05}");
        nix::sys::stat::mkdirat(&at, name.as_str(), Mode::S_IRWXU).unwrap();
        at = openat(&at, name.as_str(), folder, Mode::empty()).unwrap();
        path.push(name);
        if level % 10 == 0 {
            let flags = OFlag::O_CREAT | OFlag::O_WRONLY;
            let file = openat(&at, "v.mp4", flags, Mode::S_IRWXU).unwrap();
            std::fs::File::from(file).write_all(format!("level {level}").as_bytes()).unwrap();
            files.push(path.join("v.mp4"));
        }
    }
    files
}

#[test]
fn paths_longer_than_the_system_takes_are_archived() {
    let station = Station::new();
    let card = station.card("REC01");
    let deep = dig(&card, 500);
    assert!(deep.last().unwrap().as_os_str().len() > 2 * 4096);
    assert_eq!(station.ingest_ends(&card, 0)["archived"], deep.len());
    let paths: Vec<_> = station.archived_paths().into_iter().map(|(path, _)| path).collect();
    let mut expected = deep;
    expected.sort();
    assert_eq!(paths, expected);
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 0);
    station.check();
}

#[test]
fn folders_nested_without_end_are_named_and_what_is_above_is_archived() {
    let station = Station::new();
    let card = station.card("REC01");
    dig(&card, 700);
    let summary = station.ingest_ends(&card, 3);
    assert_eq!(summary["archived"], 51);
    let problems = summary["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].as_str().unwrap().ends_with("unreadable: nested deeper than 512 folders"),
        "{problems:?}"
    );
    station.check();
}

/// Tiny files as a recorder of photos or logs leaves them, in one folder and in many.
#[test]
fn fifty_thousand_files_are_archived_once() {
    let station = Station::new();
    let card = station.card("REC01");
    let total = 50_000;
    for i in 0..total {
        let folder = if i % 2 == 0 { "all".to_owned() } else { format!("{:03}", i % 200) };
        let path = card.join(folder).join(format!("p{i:05}.jpg"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("photo {i}")).unwrap();
    }
    let first = station.ingest_ends(&card, 0);
    assert_eq!((&first["archived"], &first["failed"]), (&total.into(), &0.into()));
    let again = station.ingest_ends(&card, 0);
    assert_eq!(
        (&again["archived"], &again["duplicates"], &again["bytes"]),
        (&0.into(), &total.into(), &0.into())
    );
    let archive = station.check();
    let mut expected: Vec<_> = (0..total).map(|i| sha256(format!("photo {i}").as_bytes())).collect();
    expected.sort();
    assert_eq!(archive.hashes, expected);
    station.fsck_is_clean("manifests");
}

#[test]
fn a_root_that_is_no_folder_or_has_no_name_is_refused() {
    let station = Station::new();
    let file = station.dir.path().join("file");
    put(&file, b"not a card");
    station.ingest_refuses(&file, &["is no folder", "next:"]);
    station.ingest_refuses(&station.dir.path().join("nowhere"), &["is no folder", "next:"]);
    let inner = station.card("REC01/inner");
    station.ingest_refuses(&inner.join(".."), &["has no name", "--recorder"]);
}

#[test]
fn an_empty_root_and_a_link_to_a_card_are_cards() {
    let station = Station::new();
    let empty = station.ingest_ends(&station.card("EMPTY"), 0);
    assert_eq!((&empty["archived"], &empty["recorder"]), (&0.into(), &"EMPTY".into()));
    let card = station.card("REC01");
    put(card.join("a.mp4"), b"footage");
    let link = station.dir.path().join("LINK");
    symlink(&card, &link).unwrap();
    assert_eq!(station.ingest_ends(&link, 0)["recorder"], "LINK");
    station.has_archived(&card, &[Path::new("a.mp4")]);
}

/// What docket itself keeps is no card, by whatever way one gets there.
#[test]
fn the_archive_is_never_ingested_into_itself() {
    let station = Station::new();
    let card = station.card("REC01");
    put(card.join("a.mp4"), &content(1, 1000));
    station.ingest_ends(&card, 0);
    let link = station.dir.path().join("link");
    symlink(station.archive(), &link).unwrap();
    let mut roots = vec![
        station.archive(),
        station.archive().join("media"),
        station.archive().join("incoming"),
        station.data(),
        station.dir.path().to_owned(),
        PathBuf::from("/"),
        link.clone(),
        link.join("media"),
        card.join("../station/archive"),
    ];
    let bound = station.card("BOUND");
    let mount = Mount::bind(&station.archive(), &bound);
    if mount.is_some() {
        roots.extend([bound.clone(), bound.join("media")]);
    }
    for recorder in [&[][..], &["--recorder", "X"]] {
        for root in &roots {
            let before = files(&station.archive());
            let out = station.command(&["ingest"]).arg(root).args(recorder).output().unwrap();
            expect_exit(&out, 1, &["docket keeps it", "next:"]);
            assert_eq!(files(&station.archive()), before, "{}", root.display());
        }
    }
    // The daemon is asked the same, and finds the same in its docks.
    let daemon = Daemon::start(&station);
    station.ingest_refuses(&station.archive(), &["volume main", "next:"]);
    let docked = station.data().join("cards/DOCKED");
    std::fs::create_dir(&docked).unwrap();
    if let Some(_mount) = Mount::bind(&station.archive(), &docked) {
        daemon.wait_for_log("cards/DOCKED is, holds or lies in volume main");
    }
    daemon.stop();
    assert_eq!(station.check().hashes.len(), 1);
    // A card beside the archive is one.
    let beside = station.data().join("cards/REC02");
    put(beside.join("b.mp4"), b"beside");
    assert_eq!(station.ingest_ends(&beside, 0)["archived"], 1);
}
