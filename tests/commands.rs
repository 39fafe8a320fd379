//! The commands, as a person or a script uses them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::seen::sha256sum_agrees;
use common::tools::{expect_exit, flip, json_of, texts};
use common::{Station, content, files, put, sha256};
use serde_json::Value;

/// A station with one ingested card of four files, 1 MiB each but the last, on two days.
fn archived() -> (Station, PathBuf) {
    let station = Station::new();
    let card = station.card("REC01");
    for (i, name) in ["REC_20251103_101500.mp4", "REC_20251103_111500.mp4", "sub/REC_20251104_080000.mp4"]
        .iter()
        .enumerate()
    {
        put(card.join(name), &content(i as u64, 1 << 20));
    }
    put(card.join("REC_20251104_080000.gps"), b"$GPRMC");
    station.ok(&["ingest", card.to_str().unwrap()]);
    (station, card)
}

fn recordings(station: &Station) -> Vec<Value> {
    station.json(&["recordings", "--json"]).as_array().unwrap().clone()
}

fn path_of(recording: &Value) -> PathBuf {
    recording["path"].as_str().unwrap().into()
}

fn id_of(recording: &Value) -> String {
    recording["id"].as_str().unwrap().to_owned()
}

#[test]
fn init_makes_a_station_and_a_second_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let station = Station { dir };
    let made = station.json(&["init", "--json"]);
    assert!(made["made"].as_array().unwrap().len() >= 4, "{made}");
    let settings = std::fs::read(station.data().join("docket.toml")).unwrap();
    assert_eq!(settings, include_bytes!("../config/docket.toml"));
    let marker = std::fs::read(station.archive().join(".docket-volume")).unwrap();
    let head = station.json(&["custody", "verify", "--json"]);
    assert_eq!(station.json(&["init", "--json"])["made"], serde_json::json!([]));
    assert_eq!(std::fs::read(station.archive().join(".docket-volume")).unwrap(), marker);
    assert_eq!(station.json(&["custody", "verify", "--json"]), head);
}

#[test]
fn ingest_counts_what_it_did_and_copies_nothing_twice() {
    let station = Station::new();
    let card = station.card("REC01");
    put(card.join("a.mp4"), &content(1, 300_000));
    put(card.join("b.mp4"), &content(2, 5));
    put(card.join("twin.mp4"), &content(2, 5));
    let ask = ["ingest", card.to_str().unwrap(), "--json"];
    let first = station.json(&ask);
    assert_eq!(
        (&first["archived"], &first["duplicates"], &first["failed"]),
        (&2.into(), &1.into(), &0.into())
    );
    // A twin that comes while its first is not archived yet is read again.
    assert!((300_010..=300_015).contains(&first["bytes"].as_i64().unwrap()), "{first}");
    assert!(first["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(first["recorder"], "REC01");
    let second = station.json(&ask);
    assert_eq!(
        (&second["archived"], &second["duplicates"], &second["bytes"]),
        (&0.into(), &3.into(), &0.into())
    );
    assert_eq!(station.check().hashes.len(), 2);
}

#[test]
fn ingest_takes_the_recorder_it_is_told() {
    let station = Station::new();
    let card = station.card("mnt");
    put(card.join("a.mp4"), b"x");
    let path = card.to_str().unwrap();
    let told = station.json(&["ingest", path, "--recorder", "../../执法 7", "--json"]);
    assert_eq!(told["recorder"], "../../执法 7");
    let file = path_of(&recordings(&station)[0]);
    assert!(file.starts_with(station.archive().join("media")), "{}", file.display());
    let depth = file.strip_prefix(station.archive()).unwrap().components().count();
    assert!(
        file.components().all(|c| c != std::path::Component::ParentDir) && depth == 6,
        "{}",
        file.display()
    );
    // The same bytes of another recorder are another recording.
    station.ok(&["ingest", path, "--recorder", "B2"]);
    assert_eq!(station.check().hashes.len(), 2);
}

#[test]
fn recordings_prints_an_array_with_where_each_original_lies() {
    let (station, card) = archived();
    let list = recordings(&station);
    assert_eq!(list.len(), 4);
    for r in &list {
        let path = path_of(r);
        assert!(path.is_absolute() && path.is_file(), "{r}");
        let source = card.join(r["source_path"].as_str().unwrap());
        let bytes = std::fs::read(&source).unwrap();
        assert_eq!(r["sha256"], sha256(&bytes), "{r}");
        assert_eq!(r["size"], bytes.len(), "{r}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!((&r["state"], &r["recorder"]), (&"archived".into(), &"REC01".into()));
        assert!(!id_of(r).is_empty());
    }
    assert_eq!(Station::new().json(&["recordings", "--json"]), serde_json::json!([]));
}

#[test]
fn recordings_are_filtered_by_recorder_day_and_state() {
    let (station, _) = archived();
    let other = station.card("REC02");
    put(other.join("REC_20251103_235959.mp4"), b"other");
    station.ok(&["ingest", other.to_str().unwrap()]);
    let count = |args: &[&str]| {
        let args: Vec<&str> = ["recordings", "--json"].iter().chain(args).copied().collect();
        station.json(&args).as_array().unwrap().len()
    };
    assert_eq!(count(&["--recorder", "REC01"]), 4);
    assert_eq!(count(&["--day", "2025-11-03"]), 3);
    assert_eq!(count(&["--day", "2025-11-03", "--recorder", "REC02"]), 1);
    assert_eq!(count(&["--day", "2025-11-05"]), 0);
    assert_eq!(count(&["--state", "archived"]), 5);
    assert_eq!(count(&["--state", "damaged"]), 0);
    expect_exit(&station.run(&["recordings", "--day", "03.11.2025"]), 2, &["2026-11-23"]);
    expect_exit(&station.run(&["recordings", "--state", "fine"]), 2, &["archived"]);
}

#[test]
fn one_recording_is_shown_with_its_whole_custody_history() {
    let (station, _) = archived();
    let id = id_of(&recordings(&station)[0]);
    let one = station.json(&["recordings", &id, "--json"]);
    let actions: Vec<&str> =
        one["custody"].as_array().unwrap().iter().map(|e| e["entry"]["action"].as_str().unwrap()).collect();
    assert_eq!(actions.first(), Some(&"recording.planned"));
    assert!(actions.contains(&"recording.copied") && actions.contains(&"recording.verified"), "{actions:?}");
    // Footage of last year comes too late, and that is on record.
    assert_eq!(actions[actions.len() - 2..], ["recording.archived", "recording.late"]);
    let text = station.ok(&["recordings", &id[24..]]);
    assert!(text.contains(one["sha256"].as_str().unwrap()) && text.contains("recording.archived"), "{text}");
    expect_exit(&station.run(&["recordings", "ffffffff"]), 1, &["ffffffff", "next:"]);
}

#[test]
fn status_tells_how_the_station_stands() {
    let (station, _) = archived();
    let s = station.json(&["status", "--json"]);
    assert_eq!((&s["daemon"], &s["well"]), (&false.into(), &true.into()));
    assert_eq!(s["recordings"]["count"], 4);
    assert_eq!(s["volumes"][0]["state"], "online");
    assert_eq!(s["dockings"][0]["state"], "safe");
    assert_eq!(s["unfinished"], serde_json::json!([]));
    assert!(station.ok(&["status"]).contains("REC01"));
    std::fs::remove_file(path_of(&recordings(&station)[0])).unwrap();
    station.run(&["verify", "--all"]);
    expect_exit(&station.run(&["status"]), 3, &[]);
}

#[test]
fn verify_finds_a_flipped_byte_and_fsck_brings_it_back_once_it_is_whole() {
    let (station, _) = archived();
    let bad = recordings(&station).remove(0);
    let id = id_of(&bad);
    flip(path_of(&bad), 1000);
    let out = station.run(&["verify", &id, "--json"]);
    expect_exit(&out, 3, &[]);
    assert_eq!(json_of(&out)["bad"][0]["id"], Value::from(id.clone()));
    let damaged = station.json(&["recordings", "--state", "damaged", "--json"]);
    assert_eq!(texts(&damaged, "id"), std::slice::from_ref(&id));
    flip(path_of(&bad), 1000);
    let found = json_of(&station.run(&["fsck", "--json"]));
    assert_eq!((&found["findings"][0]["what"], &found["mended"]), (&"back".into(), &0.into()));
    assert_eq!(json_of(&station.run(&["fsck", "--apply", "--json"]))["mended"], 1);
    assert_eq!(station.json(&["recordings", &id, "--json"])["state"], "archived");
    station.ok(&["fsck", "--depth", "bytes"]);
    station.check();
}

#[test]
fn verify_keeps_saying_so_while_something_is_damaged() {
    let (station, _) = archived();
    flip(path_of(&recordings(&station)[0]), 0);
    for _ in 0..2 {
        expect_exit(&station.run(&["verify", "--all"]), 3, &[]);
    }
}

#[test]
fn verify_reads_what_it_is_asked_to() {
    let (station, _) = archived();
    let read = |args: &[&str]| {
        let args: Vec<&str> = ["verify", "--json"].iter().chain(args).copied().collect();
        station.json(&args)
    };
    assert_eq!(read(&["--day", "2025-11-03"])["read"], 2);
    assert_eq!(read(&["--all"])["bytes"], (3 << 20) + 6);
    assert_eq!(read(&["--share", "0"])["read"], 0);
    let list = recordings(&station);
    assert_eq!(read(&[&id_of(&list[0]), &id_of(&list[1])])["read"], 2);
    expect_exit(&station.run(&["verify"]), 2, &[]);
    expect_exit(&station.run(&["verify", "--share", "101%"]), 2, &["100%"]);
}

#[test]
fn shares_of_the_archive_go_through_all_of_it() {
    let (station, _) = archived();
    let at = || -> BTreeSet<(String, i64)> {
        let db = station.db();
        let mut query = db.prepare("SELECT recording, verified_at FROM copy").unwrap();
        query.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let before = at();
    for _ in 0..4 {
        station.ok(&["verify", "--share", "30%"]);
    }
    assert_eq!(before.intersection(&at()).count(), 0, "some copy was never read");
}

#[test]
fn fsck_finds_at_each_depth_what_can_be_seen_there() {
    let (station, _) = archived();
    let list = recordings(&station);
    let video: Vec<&Value> = list.iter().filter(|r| r["kind"] == "video").collect();
    let found = |depth: &str| {
        let out = station.run(&["fsck", "--json", "--depth", depth]);
        texts(&json_of(&out)["findings"], "what")
    };
    std::fs::remove_file(path_of(video[0])).unwrap();
    put(station.archive().join("media/2025/stray.mp4"), b"whose?");
    flip(path_of(video[1]), 77);
    let sums = path_of(video[2]).with_file_name("SHA256SUMS");
    std::fs::write(&sums, b"").unwrap();
    let unlisted = list.iter().filter(|r| path_of(r).parent() == sums.parent()).count();
    assert_eq!(found("names"), ["missing", "unknown"]);
    let with_manifests: Vec<&str> =
        ["missing", "unknown"].into_iter().chain(std::iter::repeat_n("unlisted", unlisted)).collect();
    assert_eq!(found("manifests"), with_manifests);
    assert_eq!(found("bytes"), [&["damaged"], &with_manifests[..]].concat());
    // What can be mended is; the stray file stays, and stays reported.
    station.run(&["fsck", "--depth", "bytes", "--apply"]);
    assert_eq!(found("bytes"), ["unknown"]);
    assert_eq!(std::fs::read(station.archive().join("media/2025/stray.mp4")).unwrap(), b"whose?");
    assert_eq!(
        texts(&station.json(&["recordings", "--json", "--state", "missing"]), "id"),
        [id_of(video[0])]
    );
    assert_eq!(
        texts(&station.json(&["recordings", "--json", "--state", "damaged"]), "id"),
        [id_of(video[1])]
    );
}

#[test]
fn fsck_refuses_more_changes_than_its_limit() {
    let (station, _) = archived();
    for r in &recordings(&station)[..3] {
        std::fs::remove_file(path_of(r)).unwrap();
    }
    let out = station.run(&["fsck", "--apply", "--limit", "2"]);
    expect_exit(&out, 1, &["limit of 2", "nothing was changed", "next:"]);
    assert_eq!(station.json(&["recordings", "--json", "--state", "archived"]).as_array().unwrap().len(), 4);
    expect_exit(&station.run(&["fsck", "--apply", "--limit", "3"]), 3, &[]);
    assert_eq!(station.json(&["recordings", "--json", "--state", "missing"]).as_array().unwrap().len(), 3);
}

#[test]
fn rebuild_makes_the_catalogue_from_the_manifests() {
    let (station, card) = archived();
    put(card.join("twin.mp4"), &content(0, 1 << 20));
    put(card.join("empty.mp4"), b"");
    let ask = ["ingest", card.to_str().unwrap(), "--json"];
    station.json(&ask);
    let shape = |list: Vec<Value>| -> BTreeSet<String> {
        let keys = ["id", "state", "sha256", "size", "path", "recorder", "source_path", "day", "taken_at"];
        list.iter().map(|r| keys.map(|k| r[k].to_string()).join(" ")).collect()
    };
    let before = shape(recordings(&station));
    expect_exit(&station.run(&["rebuild"]), 1, &["next:", "-wal"]);
    let aside = station.card("aside");
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::rename(station.data().join(name), aside.join(name));
    }
    let told = station.json(&["rebuild", "--json"]);
    assert_eq!((&told["copies"], &told["problems"]), (&5.into(), &serde_json::json!([])));
    assert_eq!(shape(recordings(&station)), before);
    station.ok(&["fsck", "--depth", "bytes"]);
    assert_eq!(station.json(&ask)["archived"], 0);
    assert_eq!(station.check().hashes.len(), 5);
}

#[test]
fn a_backup_is_a_whole_catalogue() {
    let (station, _) = archived();
    let (file, before) = (station.dir.path().join("backup.sqlite"), recordings(&station));
    let ask = ["backup", file.to_str().unwrap(), "--json"];
    let head = station.json(&["custody", "verify", "--json"])["head"].clone();
    let told = station.json(&ask);
    assert_eq!(told["recordings"], 4);
    assert_eq!(told["head"], head);
    // That it was made stands in the log of the station, after what the copy has.
    let last = station.json(&["custody", "show", "--last", "1", "--json"]);
    assert_eq!(last[0]["entry"]["action"], "station.backed-up");
    assert_eq!(last[0]["entry"]["details"]["head"], head);
    expect_exit(&station.run(&ask), 1, &["exists", "next:"]);
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    std::fs::copy(&file, station.data().join("catalog.sqlite")).unwrap();
    assert_eq!(recordings(&station), before);
    station.ok(&["fsck", "--depth", "bytes"]);
    station.check();
}

#[test]
fn custody_is_shown_and_a_changed_row_is_found() {
    let (station, _) = archived();
    let shown = station.json(&["custody", "show", "station", "--json"]);
    assert_eq!(shown[0]["entry"]["action"], "station.created");
    assert_eq!(station.json(&["custody", "show", "--last", "3", "--json"]).as_array().unwrap().len(), 3);
    assert!(station.ok(&["custody", "show", "docking:1"]).contains("docking.begun"));
    assert_eq!(station.json(&["custody", "verify", "--json"])["good"], true);
    let db = rusqlite::Connection::open(station.data().join("catalog.sqlite")).unwrap();
    db.execute_batch(
        "DROP TRIGGER custody_is_never_changed;
         UPDATE custody SET entry = CAST(replace(CAST(entry AS TEXT), 'REC01', 'REC99') AS BLOB) WHERE seq = 4",
    )
    .unwrap();
    drop(db);
    let out = station.run(&["custody", "verify"]);
    expect_exit(&out, 4, &[]);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("custody entry 4") && text.contains("next:"), "{text}");
    expect_exit(&station.run(&["fsck", "--depth", "manifests"]), 3, &[]);
}

#[test]
fn sha256sum_agrees_in_every_folder_with_originals() {
    let (station, card) = archived();
    for name in ["sp ace.mp4", "back\\slash.mp4", "new\nline.mp4", "-dash.mp4", "'q\"uote.mp4", "执法.mp4"]
    {
        put(card.join(name), name.as_bytes());
    }
    station.ok(&["ingest", card.to_str().unwrap()]);
    assert_eq!(sha256sum_agrees(&station.archive()), 10);
    // Nothing else lies there: each folder has a list of its own and the sums beside its originals.
    let all = files(&station.archive().join("media"));
    let folders: BTreeSet<_> = all.iter().map(|p| p.parent().unwrap()).collect();
    assert_eq!(all.len() - 2 * folders.len(), 10);
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let station = Station::new();
    let script = station.ok(&["completions", "bash"]);
    for shell in ["zsh", "fish"] {
        assert!(station.ok(&["completions", shell]).contains("ingest"));
    }
    let dir = station.dir.path().join("man");
    station.ok(&["man", "--dir", dir.to_str().unwrap()]);
    for command in
        "init run ingest status recordings verify fsck rebuild backup doctor custody demo".split(' ')
    {
        assert!(script.contains(command), "{command}");
        let page = std::fs::read_to_string(dir.join(format!("docket-{command}.1"))).unwrap();
        assert!(page.contains(".TH"), "{command}");
        station.ok(&[command, "--help"]);
    }
    assert!(station.ok(&["man"]).contains(".TH docket 1"));
}

#[test]
fn wrong_usage_ends_with_2() {
    let station = Station::new();
    let (data, config) = (station.data(), station.data().join("docket.toml"));
    let both: Vec<&str> =
        vec!["--data", data.to_str().unwrap(), "--config", config.to_str().unwrap(), "status"];
    for args in [vec!["frobnicate"], vec!["ingest"], vec!["status", "--colour"], vec!["backup"], both] {
        expect_exit(&station.run(&args), 2, &["Usage"]);
    }
}

#[test]
fn an_unknown_station_is_refused_with_advice_and_not_made() {
    let station = Station::new();
    let (card, nowhere) = (station.card("REC01"), station.dir.path().join("nowhere"));
    let backup = station.dir.path().join("b.sqlite");
    let commands: [&[&str]; 9] = [
        &["status"],
        &["recordings"],
        &["verify", "--all"],
        &["fsck"],
        &["fsck", "--apply"],
        &["rebuild"],
        &["custody", "verify"],
        &["backup", backup.to_str().unwrap()],
        &["ingest", card.to_str().unwrap()],
    ];
    for args in commands.iter().chain(&[&["run"][..]]) {
        let out = station.command(args).env("DOCKET_DATA", &nowhere).output().unwrap();
        expect_exit(&out, 1, &["next:", "docket init"]);
    }
    let out = station.command(&["status"]).env_remove("DOCKET_DATA").output().unwrap();
    expect_exit(&out, 1, &["which station?", "--data"]);
    assert!(!Path::exists(&nowhere) && !backup.exists());
}
