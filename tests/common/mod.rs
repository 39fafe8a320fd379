//! What the tests of the whole program share: a station in a temporary folder, cards to dock, and a
//! check of the archive that shares no code with the program.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod crash;
pub mod daemon;
pub mod disks;
pub mod office;
pub mod post;
pub mod seen;
pub mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A station in a folder of its own, removed at the end.
pub struct Station {
    pub dir: tempfile::TempDir,
}

impl Station {
    /// An initialised station with small reserves, no settling time and a tight journal.
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same, with more settings; `more` goes below `[ingest]`.
    pub fn with(more: &str) -> Self {
        Self::with_config(&format!(
            "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
             [ingest]\nsettle_seconds = 0\njournal_every = \"1 MiB\"\nprobe = false\n{more}"
        ))
    }

    /// A station with a settings file of the test's own.
    pub fn with_config(config: &str) -> Self {
        let station = Self::bare(config);
        station.ok(&["init"]);
        station
    }

    /// Nothing but a settings file.
    pub fn bare(config: &str) -> Self {
        let station = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(station.data()).unwrap();
        std::fs::write(station.data().join("docket.toml"), config).unwrap();
        station
    }

    /// The same once more, with the cards beside it, in a folder of its own.
    pub fn copy(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let done = Command::new("cp").arg("-a").arg(self.dir.path().join(".")).arg(dir.path()).status();
        assert!(done.unwrap().success());
        Self { dir }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("station")
    }

    pub fn archive(&self) -> PathBuf {
        self.data().join("archive")
    }

    /// A fresh folder for a card.
    pub fn card(&self, name: &str) -> PathBuf {
        let card = self.dir.path().join(name);
        std::fs::create_dir_all(&card).unwrap();
        card
    }

    /// The program, about this station, in English.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        command
            .args(args)
            .env("DOCKET_DATA", self.data())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "Asia/Shanghai");
        command.env_remove("DOCKET_FAILPOINT").env_remove("DOCKET_IOFAULT").stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it, and fails the test unless it ends well.
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "docket {args:?}: {}\n{text}{}", out.status, stderr(&out));
        text
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    pub fn db(&self) -> Connection {
        let path = self.data().join("catalog.sqlite");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// I1 to I6 by other means than the program's: every row against its file, every file against
    /// a row, the custody chain from its bytes, one recording for each content of a recorder.
    pub fn check(&self) -> Archive {
        check(&self.db(), &BTreeMap::from([("main".to_owned(), self.archive())]))
    }
}

pub fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Bytes that differ from file to file and are the same in every run.
pub fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Writes a file of a card, with a time in the past.
pub fn put(path: impl AsRef<Path>, bytes: &[u8]) {
    let path = path.as_ref();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000);
    std::fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What lies in an archive that passed the check.
#[derive(Debug, Default)]
pub struct Archive {
    /// SHA-256 of every archived recording, as often as there are recordings with it.
    pub hashes: Vec<String>,
    /// Jobs that are not finished.
    pub jobs: usize,
    /// Files in quarantine.
    pub quarantined: usize,
}

/// The check behind [`Station::check`], for any volumes: name to folder.
pub fn check(db: &Connection, volumes: &BTreeMap<String, PathBuf>) -> Archive {
    let mut out = Archive::default();
    let text = |r: &rusqlite::Row<'_>, i| r.get::<_, String>(i);
    let ids: BTreeMap<String, PathBuf> = db
        .prepare("SELECT id, name FROM volume")
        .unwrap()
        .query_map([], |r| Ok((text(r, 0)?, text(r, 1)?)))
        .unwrap()
        .map(|row| row.unwrap())
        .map(|(id, name)| (id, volumes[&name].clone()))
        .collect();
    // Rows against files (I1, I5).
    let mut promised: BTreeSet<PathBuf> = BTreeSet::new();
    let mut query = db
        .prepare(
            "SELECT c.volume, c.path, c.state, r.size, lower(hex(r.sha256)), c.how, r.id, r.state
             FROM copy c JOIN recording r ON r.id = c.recording",
        )
        .unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(r) = rows.next().unwrap() {
        let file = ids[&text(r, 0).unwrap()].join(text(r, 1).unwrap());
        promised.insert(file.clone());
        if text(r, 2).unwrap() != "archived" {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(bytes.len() as i64, r.get::<_, i64>(3).unwrap(), "{}", file.display());
        assert_eq!(sha256(&bytes), text(r, 4).unwrap(), "{}", file.display());
        assert!(std::fs::metadata(&file).unwrap().permissions().readonly(), "{}", file.display());
        assert!(r.get::<_, Option<String>>(5).unwrap().is_some(), "how {} was read back", file.display());
    }
    let mut query = db.prepare("SELECT id, recorder, size, lower(hex(sha256)) FROM recording").unwrap();
    let mut rows = query.query([]).unwrap();
    let mut contents = BTreeSet::new();
    while let Some(r) = rows.next().unwrap() {
        let (id, recorder, size, hash) =
            (text(r, 0).unwrap(), text(r, 1).unwrap(), r.get::<_, i64>(2).unwrap(), text(r, 3).unwrap());
        assert!(size == 0 || contents.insert((recorder, size, hash.clone())), "{id} is doubled");
        let entries = custody_actions(db, &id);
        let told = entries.iter().any(|a| a == "recording.archived" || a == "recording.rebuilt");
        assert!(told, "{id} has no custody entry of its archiving: {entries:?}");
        let copies: i64 = db
            .query_row("SELECT count(*) FROM copy WHERE recording = ?1 AND state = 'archived'", [&id], |r| {
                r.get(0)
            })
            .unwrap();
        let state: String =
            db.query_row("SELECT state FROM recording WHERE id = ?1", [&id], |r| r.get(0)).unwrap();
        assert!(copies > 0 || state != "archived", "{id} is archived nowhere");
        out.hashes.push(hash);
    }
    out.hashes.sort();
    // Files against rows (I2).
    let mut parts = BTreeSet::new();
    let mut dests = BTreeSet::new();
    let mut query = db.prepare("SELECT recording, dest FROM job").unwrap();
    let mut rows = query.query([]).unwrap();
    while let Some(r) = rows.next().unwrap() {
        out.jobs += 1;
        parts.insert(format!("{}.part", text(r, 0).unwrap()));
        dests.insert(text(r, 1).unwrap());
    }
    let mut owed = db.prepare("SELECT recording FROM copy WHERE state = 'owed'").unwrap();
    parts.extend(owed.query_map([], |r| Ok(format!("{}.part", text(r, 0)?))).unwrap().map(|r| r.unwrap()));
    for root in ids.values() {
        for file in files(root) {
            let rel = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let name = file.file_name().unwrap().to_str().unwrap();
            let known = rel == ".docket-volume"
                || name == "SHA256SUMS"
                || name == "recordings.jsonl"
                || rel.starts_with("checkpoints/")
                || promised.contains(&file)
                || dests.contains(&rel)
                || (rel.starts_with("incoming/") && parts.contains(name));
            if rel.starts_with("quarantine/") {
                out.quarantined += 1;
                let noted: i64 = db
                    .query_row("SELECT count(*) FROM quarantine WHERE path = ?1", [&rel], |r| r.get(0))
                    .unwrap();
                assert_eq!(noted, 1, "{rel} in quarantine without a row");
            } else {
                assert!(known, "{} is promised by nothing", file.display());
            }
        }
    }
    check_custody(db);
    out
}

/// Every regular file below a folder.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { out.push(path) }
        }
    }
    out.sort();
    out
}

pub fn custody_actions(db: &Connection, recording: &str) -> Vec<String> {
    db.prepare("SELECT entry FROM custody WHERE object = ?1 ORDER BY seq")
        .unwrap()
        .query_map([format!("recording:{recording}")], |r| r.get::<_, Vec<u8>>(0))
        .unwrap()
        .map(|e| serde_json::from_slice::<Value>(&e.unwrap()).unwrap()["action"].as_str().unwrap().to_owned())
        .collect()
}

/// Leaf and chain from the stored bytes: leaf = SHA-256(0x00 ‖ entry), chain = SHA-256(0x02 ‖ previous ‖ leaf).
pub fn check_custody(db: &Connection) {
    let mut query = db.prepare("SELECT seq, entry, leaf, chain FROM custody ORDER BY seq").unwrap();
    let mut rows = query.query([]).unwrap();
    let (mut last, mut previous) = (0, vec![0; 32]);
    while let Some(r) = rows.next().unwrap() {
        let (seq, entry): (i64, Vec<u8>) = (r.get(0).unwrap(), r.get(1).unwrap());
        assert_eq!(seq, last + 1, "a custody entry is missing");
        let leaf = Sha256::new().chain_update([0]).chain_update(&entry).finalize().to_vec();
        let chain =
            Sha256::new().chain_update([2]).chain_update(&previous).chain_update(&leaf).finalize().to_vec();
        assert_eq!(leaf, r.get::<_, Vec<u8>>(2).unwrap(), "leaf {seq}");
        assert_eq!(chain, r.get::<_, Vec<u8>>(3).unwrap(), "chain {seq}");
        (last, previous) = (seq, chain);
    }
}
