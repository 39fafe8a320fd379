//! What the catalogue says of a card's entries, by their raw paths.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::Station;
use super::tools::{expect_exit, json_of};
use super::{files, sha256};

fn path(raw: Vec<u8>) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&raw))
}

impl Station {
    /// Ingests a card, and fails the test unless it ended with this exit status. The summary.
    pub fn ingest_ends(&self, card: &Path, code: i32) -> Value {
        let out = self.run(&["ingest", "--json", card.to_str().unwrap()]);
        expect_exit(&out, code, &[]);
        json_of(&out)
    }

    /// Ingests a card that must be refused with these words, and leave the archive as it is.
    pub fn ingest_refuses(&self, card: &Path, words: &[&str]) -> Output {
        let before = files(&self.archive());
        let out = self.command(&["ingest"]).arg(card).output().unwrap();
        expect_exit(&out, 1, words);
        assert_eq!(files(&self.archive()), before);
        out
    }

    /// Archived paths with the hashes they are archived as, duplicates included.
    pub fn archived_paths(&self) -> BTreeSet<(PathBuf, String)> {
        let sql =
            "SELECT s.path, lower(hex(r.sha256)) FROM source_file s JOIN recording r ON r.id = s.recording";
        let db = self.db();
        let mut query = db.prepare(sql).unwrap();
        query.query_map([], |r| Ok((path(r.get(0)?), r.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// Fails the test unless exactly these files are archived, each as it is on the card.
    pub fn has_archived(&self, card: &Path, expected: &[&Path]) {
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|p| (p.to_path_buf(), sha256(&std::fs::read(card.join(p)).unwrap())))
            .collect();
        assert_eq!(self.archived_paths(), expected);
        self.check();
    }

    /// Entries that stay on cards, with the reasons.
    pub fn left(&self) -> BTreeMap<PathBuf, String> {
        let db = self.db();
        let mut query = db.prepare("SELECT path, reason FROM left_file").unwrap();
        query.query_map([], |r| Ok((path(r.get(0)?), r.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// Reasons of work that is not finished, by path.
    pub fn unfinished(&self) -> BTreeMap<PathBuf, (String, String)> {
        let db = self.db();
        let mut query = db.prepare("SELECT source_path, state, coalesce(reason, '') FROM job").unwrap();
        let rows = query.query_map([], |r| Ok((path(r.get(0)?), (r.get(1)?, r.get(2)?)))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// `sha256sum -c` in every folder with originals; how many it called good.
pub fn sha256sum_agrees(archive: &Path) -> usize {
    let mut good = 0;
    for sums in files(&archive.join("media")).iter().filter(|p| p.ends_with("SHA256SUMS")) {
        let out = Command::new("sha256sum")
            .args(["-c", "--strict", "SHA256SUMS"])
            .current_dir(sums.parent().unwrap())
            .output()
            .unwrap();
        expect_exit(&out, 0, &[]);
        good += String::from_utf8_lossy(&out.stdout).lines().filter(|l| l.ends_with(": OK")).count();
    }
    good
}
