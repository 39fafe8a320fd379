//! The house keeps its order: rooms use only rooms below them, and certain calls have one home.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

/// From the ground up.
const ROOMS: [&str; 14] = [
    "base", "access", "custody", "catalog", "dock", "card", "archive", "media", "ingest", "cases", "alert",
    "deadline", "app", "cli",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out
}

/// The room of a file, and its text without comments.
fn files() -> Vec<(PathBuf, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&src)
        .into_iter()
        .map(|path| {
            let rel = path.strip_prefix(&src).unwrap().to_owned();
            let first = rel.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code: String = text
                .lines()
                .filter(|l| !l.trim_start().starts_with("//"))
                .map(|l| format!("{l}\n"))
                .collect();
            (rel, room, code)
        })
        .collect()
}

#[test]
fn rooms_use_only_rooms_below_them() {
    for (path, room, code) in files() {
        let Some(own) = ROOMS.iter().position(|r| *r == room) else { continue };
        for (i, other) in ROOMS.iter().enumerate() {
            let uses =
                code.contains(&format!("crate::{other}::")) || code.contains(&format!("crate::{other};"));
            assert!(!uses || i <= own, "{} uses `{other}`, which stands above `{room}`", path.display());
        }
    }
}

#[test]
fn certain_calls_have_one_home() {
    let homes: [(&str, &[&str]); 7] = [
        ("rusqlite", &["catalog", "custody", "base/error.rs"]),
        ("ffmpeg_next", &["media"]),
        ("renameat", &["base/durable_fs.rs"]),
        ("fsync", &["base/durable_fs.rs"]),
        ("sync_all", &["base/durable_fs.rs"]),
        ("syncfs", &["base/durable_fs.rs"]),
        (".metadata(\"", &[]),
    ];
    for (path, _, code) in files() {
        for (call, homes) in homes {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            assert!(at_home || !code.contains(call), "{} calls {call}", path.display());
        }
    }
}

#[test]
fn only_the_catalogue_speaks_sql() {
    for (path, room, code) in files() {
        if room == "catalog" || room == "custody" {
            continue;
        }
        for word in ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "PRAGMA "] {
            assert!(!code.contains(word), "{} speaks SQL: {word}", path.display());
        }
    }
}

#[test]
fn files_stay_short() {
    for (path, _, code) in files() {
        let lines = code.lines().count();
        assert!(lines <= 520, "{} has {lines} lines of code; give it one job", path.display());
    }
}
