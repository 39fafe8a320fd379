//! Odd entries of a card: each has an answer that loses nothing and names what it did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use common::seen::sha256sum_agrees;
use common::tools::{Mount, expect_exit, is_root, json_of, skipped, texts};
use common::{Station, content, put, sha256};
use docket::base::text::unshow;
use nix::sys::stat::{Mode, SFlag, mknod};

const OLD: std::time::Duration = std::time::Duration::from_secs(1_795_000_000);

#[test]
fn what_is_no_regular_file_is_left_and_named() {
    let station = Station::new();
    let card = station.card("REC01");
    put(card.join("DCIM/a.mp4"), b"footage");
    let outside = station.dir.path().join("outside");
    put(outside.join("secret.mp4"), b"not on the card");
    for (name, goal) in [
        ("file.mp4", card.join("DCIM/a.mp4")),
        ("out.mp4", outside.join("secret.mp4")),
        ("out", outside),
        ("loop.mp4", "loop.mp4".into()),
        ("gone.mp4", "nowhere".into()),
    ] {
        symlink(goal, card.join(name)).unwrap();
    }
    nix::unistd::mkfifo(&card.join("pipe.mp4"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(card.join("socket.mp4")).unwrap();
    let mut expected = vec![
        ("file.mp4", "a symbolic link: not followed"),
        ("gone.mp4", "a symbolic link: not followed"),
        ("loop.mp4", "a symbolic link: not followed"),
        ("out", "a symbolic link: not followed"),
        ("out.mp4", "a symbolic link: not followed"),
        ("pipe.mp4", "a FIFO: not a file"),
        ("socket.mp4", "a socket: not a file"),
    ];
    let device = mknod(&card.join("zero.mp4"), SFlag::S_IFCHR, Mode::S_IRWXU, nix::sys::stat::makedev(1, 5));
    match device {
        Ok(()) => expected.push(("zero.mp4", "a device: not a file")),
        Err(e) => skipped(&format!("no device node may be made here: {e}")),
    }
    let summary = station.ingest_ends(&card, 0);
    assert_eq!((&summary["archived"], &summary["left"]), (&1.into(), &expected.len().into()));
    let left: Vec<_> = station.left().into_iter().collect();
    let left: Vec<(&str, &str)> = left.iter().map(|(p, why)| (p.to_str().unwrap(), why.as_str())).collect();
    assert_eq!(left, expected);
    let listed = &station.json(&["status", "--json"])["left"];
    assert_eq!(texts(listed, "path"), expected.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    station.has_archived(&card, &[Path::new("DCIM/a.mp4")]);
}

/// Names that somebody's code does not expect.
fn hostile_names() -> Vec<OsString> {
    let mut names: Vec<OsString> = [
        "..mp4",
        "...mp4",
        "-rf.mp4",
        "--help.mp4",
        " .mp4",
        "a .mp4",
        "new\nline.mp4",
        "tab\t.mp4",
        "bell\x07.mp4",
        "esc\x1b[2J.mp4",
        "del\x7f.mp4",
        "%s%n%00.mp4",
        "back\\slash.mp4",
        "back\\x41.mp4",
        "'q\"uote.mp4",
        "$(reboot).mp4",
        "`id`.mp4",
        "a;b&c|d.mp4",
        "*?[a].mp4",
        "CON.mp4",
        "a:b.mp4",
        "~.mp4",
        "#1.mp4",
        "Case.mp4",
        "case.mp4",
        "CASE.MP4",
        "\u{e9}.mp4",
        "e\u{301}.mp4",
        "\u{202e}4pm.mp4",
        "\u{feff}.mp4",
        "执法 记录.mp4",
        "𠮷.mp4",
        "SHA256SUMS.txt",
        "recordings.jsonl.log",
        ".docket-volume.mp4",
        "x.part.mp4",
    ]
    .map(OsString::from)
    .to_vec();
    names.push(OsString::from_vec(encoding_rs::GBK.encode("现场检查.mp4").0.into_owned()));
    names.push(OsString::from_vec(b"\xff\xfe\x80.mp4".to_vec()));
    names.push(OsString::from_vec(
        (1..=254).filter(|b| *b != b'/').chain(*b".mp4").take(249).chain(*b".mp4").collect(),
    ));
    names.push("n".repeat(251).into());
    names.last_mut().unwrap().push(".mp4");
    names.push("现".repeat(83).into());
    names.last_mut().unwrap().push(".mp4");
    names
}

#[test]
fn every_name_is_archived_listed_and_proved_by_coreutils() {
    let station = Station::new();
    let card = station.card("REC01");
    // The same names in two folders, and folders of such names: each file is its own.
    let mut paths = Vec::new();
    for (i, name) in hostile_names().into_iter().enumerate() {
        for path in
            [PathBuf::from(&name), Path::new("DCIM").join(&name), Path::new("d").join(&name).join("v.mp4")]
        {
            put(card.join(&path), &[path.as_os_str().as_bytes(), &i.to_le_bytes()].concat());
            paths.push(path);
        }
    }
    let summary = station.ingest_ends(&card, 0);
    assert_eq!((&summary["archived"], &summary["left"]), (&paths.len().into(), &0.into()));
    station.has_archived(&card, &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(sha256sum_agrees(&station.archive()), paths.len());
    // What is listed leads back to the raw names, in one printable line each.
    let list = station.json(&["recordings", "--json"]);
    let back: BTreeSet<_> =
        texts(&list, "source_path").iter().map(|shown| PathBuf::from(unshow(shown).unwrap())).collect();
    assert_eq!(back, paths.iter().cloned().collect());
    for text in [station.ok(&["recordings"]), station.ok(&["status"])] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "control characters on the screen");
    }
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 0);
    station.fsck_is_clean("bytes");
    // The manifests carry them too.
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    assert_eq!(station.json(&["rebuild", "--json"])["problems"], serde_json::json!([]));
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 0);
}

#[test]
fn files_without_content_are_recordings_of_their_own() {
    let station = Station::new();
    let card = station.card("REC01");
    for name in ["a.mp4", "b.mp4", "sub/a.mp4"] {
        put(card.join(name), b"");
    }
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 3);
    station.has_archived(&card, &["a.mp4", "b.mp4", "sub/a.mp4"].map(Path::new));
    assert_eq!(station.check().hashes, vec![sha256(b""); 3]);
    // One that gets its content after all is a new recording.
    put(card.join("a.mp4"), b"late");
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 1);
    assert_eq!(station.check().hashes.len(), 4);
}

#[test]
fn the_same_name_with_other_content_is_a_new_recording_and_flagged() {
    let station = Station::new();
    let card = station.card("REC01");
    // The same name in the same second, in two folders.
    put(card.join("100/v.mp4"), b"first");
    put(card.join("101/v.mp4"), b"other");
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 2);
    put(card.join("100/v.mp4"), b"second content");
    let again = station.ingest_ends(&card, 0);
    assert_eq!((&again["archived"], &again["duplicates"]), (&1.into(), &1.into()));
    let list = station.json(&["recordings", "--json"]);
    let new = list.as_array().unwrap().iter().find(|r| r["sha256"] == sha256(b"second content")).unwrap();
    let flag = new["facts"]["flags"][0].as_str().unwrap();
    assert!(flag.starts_with("same name as recording") && flag.ends_with("other content"), "{flag}");
    assert_eq!(station.check().hashes.len(), 3);
    // A recorder that was reset writes the same name, time and size: only the hash can tell.
    let reset = std::time::SystemTime::UNIX_EPOCH;
    let write = |bytes: &[u8]| {
        put(card.join("reset.mp4"), bytes);
        std::fs::File::options()
            .append(true)
            .open(card.join("reset.mp4"))
            .unwrap()
            .set_modified(reset)
            .unwrap();
    };
    write(b"one");
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 1);
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 0);
    write(b"two");
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 1);
    assert_eq!(station.check().hashes.len(), 5);
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_is_archived() {
    let station = Station::new();
    // Root reads everything; the ingest runs as somebody else then.
    let nobody = is_root().then_some(65_534);
    let card = station.card("REC01");
    put(card.join("a.mp4"), b"readable");
    put(card.join("b.mp4"), b"closed file");
    put(card.join("closed/c.mp4"), b"closed folder");
    put(card.join("listed/d.mp4"), b"names only");
    let mode = |path: &str, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(card.join(path), mode).unwrap();
    };
    if let Some(uid) = nobody {
        // The program lies where only root may look; the station is given away.
        let program = station.dir.path().join("docket");
        std::fs::copy(env!("CARGO_BIN_EXE_docket"), &program).unwrap();
        let out = std::process::Command::new("chown")
            .arg("-R")
            .arg(uid.to_string())
            .arg(station.dir.path())
            .output();
        assert!(out.unwrap().status.success());
    }
    for (path, bits) in [("b.mp4", 0), ("closed", 0), ("listed", 0o444)] {
        mode(path, bits);
    }
    let run = |station: &Station| {
        let mut ask = std::process::Command::new(match nobody {
            Some(_) => station.dir.path().join("docket"),
            None => env!("CARGO_BIN_EXE_docket").into(),
        });
        ask.args(["ingest", "--json"]).arg(&card).env("DOCKET_DATA", station.data()).env("LC_ALL", "C.UTF-8");
        if let Some(uid) = nobody {
            ask.uid(uid).gid(uid);
        }
        ask.output().unwrap()
    };
    let out = run(&station);
    expect_exit(&out, 3, &[]);
    let summary = json_of(&out);
    assert_eq!(summary["archived"], 1, "{summary}");
    let problems = summary["problems"].to_string();
    for part in
        ["b.mp4: cannot open b.mp4: Permission denied", "closed: unreadable", "listed/d.mp4: unreadable"]
    {
        assert!(problems.contains(part), "`{part}` is not in {problems}");
    }
    assert_eq!(station.check().hashes, [sha256(b"readable")]);
    for (path, bits) in [("b.mp4", 0o644), ("closed", 0o755), ("listed", 0o755)] {
        mode(path, bits);
    }
    let out = run(&station);
    expect_exit(&out, 0, &[]);
    assert_eq!(json_of(&out)["archived"], 3);
    station.has_archived(&card, &["a.mp4", "b.mp4", "closed/c.mp4", "listed/d.mp4"].map(Path::new));
}

#[test]
fn a_size_that_lies_is_never_taken_for_whole() {
    let station = Station::new();
    let card = station.card("REC01");
    put(card.join("good.mp4"), b"good");
    // The kernel's own: nothing in it though there is something, and a page where there is less.
    let lies =
        [("longer.mp4", "/proc/version"), ("shorter.mp4", "/sys/kernel/mm/transparent_hugepage/enabled")];
    let mut mounts = Vec::new();
    for (name, source) in lies {
        put(card.join(name), b"");
        let Some(mount) = Mount::bind(Path::new(source), &card.join(name)) else { return };
        mounts.push(mount);
    }
    for _ in 0..2 {
        let summary = station.ingest_ends(&card, 3);
        assert_eq!(summary["failed"], 2, "{summary}");
        let problems = summary["problems"].to_string();
        assert!(problems.contains("longer.mp4: it goes on after the 0 bytes it says it has"), "{problems}");
        assert!(
            problems.contains("bytes it says it has") && problems.contains("shorter.mp4: it ends"),
            "{problems}"
        );
        assert_eq!(station.check().hashes, [sha256(b"good")]);
    }
    drop(mounts);
    assert_eq!(station.ingest_ends(&card, 0)["failed"], 0);
    assert_eq!(station.check().jobs, 0);
}

#[test]
fn a_file_larger_than_every_volume_stops_only_itself() {
    let station = Station::new();
    let card = station.card("REC01");
    put(card.join("a.mp4"), b"before");
    put(card.join("z.mp4"), b"after");
    let huge = std::fs::File::create(card.join("huge.mp4")).unwrap();
    // ext4 holds 16 TiB in a file; some file systems less.
    if huge.set_len(1 << 43).is_err() {
        eprintln!("left out: this file system holds no sparse file of 8 TiB");
        return;
    }
    huge.set_modified(std::time::SystemTime::UNIX_EPOCH + OLD).unwrap();
    let summary = station.ingest_ends(&card, 3);
    assert_eq!((&summary["archived"], &summary["failed"]), (&2.into(), &1.into()), "{summary}");
    let problems = summary["problems"].to_string();
    assert!(problems.contains("huge.mp4: ") && problems.contains("8.0 TiB"), "{problems}");
    let status = json_of(&station.run(&["status", "--json"]));
    assert_eq!(status["volumes"][0]["state"], "online");
    assert_eq!(texts(&status["unfinished"], "source_path"), ["huge.mp4"]);
    station.check();
}

#[test]
fn a_file_that_changes_while_it_is_read_is_archived_in_its_last_state_only() {
    let station = Station::new();
    let card = station.card("REC01");
    let path = card.join("growing.mp4");
    put(&path, &content(1, 4 << 20));
    put(card.join("still.mp4"), b"still");
    let done = AtomicBool::new(false);
    let first = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::File::options().append(true).open(&path).unwrap();
            while !done.load(SeqCst) {
                file.write_all(&content(2, 4096)).unwrap();
            }
        });
        let out = station.run(&["ingest", "--json", card.to_str().unwrap()]);
        done.store(true, SeqCst);
        out
    });
    expect_exit(&first, 3, &[]);
    let problems = json_of(&first)["problems"].to_string();
    assert!(problems.contains("growing.mp4: the source changed"), "{problems}");
    assert_eq!(station.check().hashes, [sha256(b"still")]);
    assert_eq!(station.ingest_ends(&card, 0)["archived"], 1);
    station.has_archived(&card, &["growing.mp4", "still.mp4"].map(Path::new));
    assert_eq!(station.unfinished(), Default::default());
    assert_eq!(station.json(&["status", "--json"])["well"], true);
}

#[test]
fn names_that_are_no_text_are_listed_and_stay_findable() {
    let station = Station::new();
    let gbk = encoding_rs::GBK.encode("执法记录").0.into_owned();
    // A recorder whose folder is named so as well.
    let card = station.dir.path().join(OsStr::from_bytes(&gbk));
    put(card.join("v.mp4"), b"footage");
    let out = station.command(&["ingest", "--json"]).arg(&card).output().unwrap();
    expect_exit(&out, 0, &[]);
    let recorder = json_of(&out)["recorder"].as_str().unwrap().to_owned();
    assert_eq!(unshow(&recorder).unwrap().as_bytes(), gbk);
    let list = station.json(&["recordings", "--json", "--recorder", &recorder]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    station.check();
}
