//! Settings with mistakes: all are named at once, nothing panics, and nothing is made or changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::tools::expect_exit;
use common::{Station, files};
use docket::base::config::Config;
use proptest::prelude::*;

const TEMPLATE: &str = include_str!("../config/docket.toml");

/// A settings file and every problem that has to be named.
const TABLE: &[(&str, &[&str])] = &[
    ("colour = 1\nsize = 2", &["colour is not a setting", "size is not a setting"]),
    ("volume = 1\ndock = \"x\"", &["volume wants tables [[volume]]", "dock wants tables [[dock]]"]),
    ("volume = []", &["there is nowhere to archive to"]),
    (
        "volume = [1, {}]",
        &["volume[1] wants a table", "volume[2].name is missing", "volume[2].path is missing"],
    ),
    ("station = []\ningest = 7", &["station wants a table [station]", "ingest wants a table [ingest]"]),
    ("[station]\ndata = 1\nlog = false", &["station.data wants a text", "station.log wants a text"]),
    ("[station]\ndata = \"\"", &["station.data wants a text"]),
    (
        "[[volume]]\nname = \"../x\"\npath = \"a\"\n[[volume]]\nname = \"\"\npath = \"b\"\n[[volume]]\nname = \"a\\nb\"\npath = \"c\"",
        &["volume[1].name `../x`", "volume[2].name wants a text", "volume[3].name"],
    ),
    (
        "[[volume]]\nname = \"a\"\npath = \"x\"\n[[volume]]\nname = \"a\"\npath = \"x\"",
        &["volume name `a` stands twice", "volume path"],
    ),
    (
        "[[volume]]\nname = \"a\"\npath = \"x\"\n[[volume]]\nname = \"b\"\npath = \"x/y\"",
        &["volume `b` lies in volume `a`"],
    ),
    ("[[dock]]\nname = \"d\"\npath = \".\"", &["dock `d` holds the station's data directory"]),
    (
        "[[dock]]\nname = \"d\"\npath = \"archive/x\"\n[[dock]]\nname = \"d\"\npath = \"archive/x\"",
        &["dock name `d` stands twice", "dock path", "dock `d` and volume `main` overlap"],
    ),
    (
        "[[volume]]\nname = \"a\"\npath = \"x\"\nreserve = -1\n[[volume]]\nname = \"b\"\npath = \"y\"\nreserve = \"99999999 TiB\"",
        &["volume[1].reserve wants a size", "volume[2].reserve wants a size"],
    ),
    (
        "[ingest]\nsettle_seconds = -1\nattempts = 0\njournal_every = \"lots\"\nrescan_seconds = 9223372036854775807\n\
         sm3 = 1\nprobe = \"no\"\narchive_to = [1]\nprofiles = 3",
        &[
            "ingest.settle_seconds wants a whole number from 0",
            "ingest.attempts wants a whole number from 1",
            "ingest.journal_every wants a size",
            "ingest.rescan_seconds wants a whole number",
            "ingest.sm3 wants true or false",
            "ingest.probe wants true or false",
            "ingest.archive_to wants a list of texts",
            "ingest.profiles wants a text",
        ],
    ),
    ("[ingest]\narchive_to = []", &["ingest.archive_to is empty"]),
    (
        "[ingest]\narchive_to = [\"main\", \"main\", \"gone\"]",
        &["ingest.archive_to names `main` twice", "ingest.archive_to names `gone`"],
    ),
    ("[ingest]\n[ingest]", &["duplicate key"]),
    ("[[volume]\nname =", &["TOML parse error"]),
    ("\u{feff}\u{202e}= 1", &["TOML parse error"]),
];

#[test]
fn every_mistake_is_named_and_nothing_is_done() {
    let station = Station::new();
    let (file, card) = (station.data().join("docket.toml"), station.card("REC01"));
    let before = files(station.dir.path());
    for (text, problems) in TABLE {
        std::fs::write(&file, text).unwrap();
        let _trying = common::crash::Trying((*text).to_owned());
        for args in
            [&["status"][..], &["ingest", card.to_str().unwrap()], &["init"], &["run"], &["fsck", "--apply"]]
        {
            let words = [*problems, &["docket.toml", "next:"]].concat();
            expect_exit(&station.run(args), 1, &words);
        }
        expect_exit(&station.run(&["doctor"]), 3, &[]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), *text);
        assert_eq!(files(station.dir.path()), before);
    }
}

#[test]
fn a_file_that_is_no_text_or_no_file_is_refused() {
    let station = Station::new();
    let file = station.data().join("docket.toml");
    for bytes in [&b"\xff\xfe"[..], b"\0\0\0", b"log = \"\xc3\"", &[b'['; 200_000]] {
        std::fs::write(&file, bytes).unwrap();
        expect_exit(&station.run(&["status"]), 1, &["docket.toml", "next:"]);
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    expect_exit(&station.run(&["status"]), 1, &["docket.toml", "next:"]);
}

/// What is never a panic: the shipped file with anything done to it.
fn mangled() -> impl Strategy<Value = String> {
    let lines: Vec<String> = TEMPLATE.lines().map(|l| l.trim_start_matches("# ").to_owned()).collect();
    let values = [
        "-1",
        "0",
        "9223372036854775807",
        "1e999",
        "nan",
        "true",
        "\"\"",
        "[]",
        "{}",
        "\"\\u0000\"",
        "1979-05-27",
    ];
    prop::collection::vec((0..lines.len(), 0..4u8, prop::sample::select(values.to_vec()), ".{0,20}"), 1..12)
        .prop_map(move |changes| {
            let mut lines = lines.clone();
            for (at, how, value, text) in changes {
                lines[at] = match (how, lines[at].split_once('=')) {
                    (0, Some((key, _))) => format!("{key}= {value}"),
                    (1, _) => text,
                    (2, _) => format!("{}{text}", lines[at]),
                    _ => String::new(),
                };
            }
            lines.join("\n")
        })
}

proptest! {
    #[test]
    fn any_text_is_settings_or_named_problems(text in prop_oneof![mangled(), ".{0,200}"]) {
        match Config::parse(&text, Path::new("/srv/docket")) {
            Ok(config) => {
                prop_assert!(!config.volumes.is_empty() && !config.archive_to.is_empty());
                let known = |name: &String| config.volumes.iter().any(|v| v.name == *name);
                prop_assert!(config.archive_to.iter().all(known));
                prop_assert!(config.attempts >= 1 && config.rescan_seconds >= 1);
                prop_assert!(config.journal_bytes >= 1 << 20);
            }
            Err(problems) => prop_assert!(problems.iter().all(|p| !p.is_empty()) && !problems.is_empty()),
        }
    }
}
