//! What the crash tests share: cards whose right archive is known beforehand, a program that is
//! killed or fails on purpose, and the proof that the next start makes everything whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use super::{Archive, Station, check, content, put, sha256, stderr};

/// The journal of the fixture: an entry for every so many bytes.
pub const MIB: usize = 1 << 20;
const SIGKILL: i32 = 9;

/// Two volumes, both wanted for every recording.
pub const TWO_VOLUMES: &str = "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
    [[volume]]\nname = \"second\"\npath = \"second\"\nreserve = \"1 MiB\"\n\
    [ingest]\narchive_to = [\"main\", \"second\"]\nsettle_seconds = 0\njournal_every = \"1 MiB\"\nprobe = false\n";

/// One volume, and the default dock.
pub const ONE_VOLUME: &str = "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
    [ingest]\nsettle_seconds = 0\njournal_every = \"1 MiB\"\nprobe = false\n";

/// Says on failure what was being tried; the checks do not know.
pub struct Trying(pub String);

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("── this was: {}", self.0);
        }
    }
}

/// Small and repeatable: a failed run is repeated by its seed.
pub struct Rng(pub u64);

impl Rng {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// A card, and what must be archived of it in the end.
pub struct Card {
    pub path: PathBuf,
    contents: BTreeSet<String>,
    empty: usize,
}

impl Card {
    pub fn new(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        Self { path, contents: BTreeSet::new(), empty: 0 }
    }

    /// Adds a file; the same seed and length are the same bytes.
    pub fn add(&mut self, name: &str, seed: u64, len: usize) -> PathBuf {
        let (path, bytes) = (self.path.join(name), content(seed, len));
        put(&path, &bytes);
        if len == 0 {
            self.empty += 1;
        } else {
            self.contents.insert(sha256(&bytes));
        }
        path
    }

    /// The same card in a copy of its station.
    pub fn of(&self, station: &Station) -> Self {
        let path = station.dir.path().join(self.path.file_name().unwrap());
        Self { path, contents: self.contents.clone(), empty: self.empty }
    }

    /// Clears the recorder; what was on it must still be in the archive.
    pub fn wipe(&self) {
        std::fs::remove_dir_all(&self.path).unwrap();
        std::fs::create_dir_all(&self.path).unwrap();
    }

    /// SHA-256 of everything to be archived: one recording for the same bytes of a recorder, but
    /// one for each empty file.
    pub fn expected(&self) -> Vec<String> {
        let mut all: Vec<_> = self.contents.iter().cloned().collect();
        all.extend((0..self.empty).map(|_| sha256(b"")));
        all.sort();
        all
    }
}

impl Station {
    pub fn second(&self) -> PathBuf {
        self.data().join("second")
    }

    /// Every volume that the settings file names, by name.
    pub fn volumes(&self) -> BTreeMap<String, PathBuf> {
        let mut all = BTreeMap::from([("main".to_owned(), self.archive())]);
        if self.second().is_dir() {
            all.insert("second".to_owned(), self.second());
        }
        all
    }

    pub fn check_all(&self) -> Archive {
        check(&self.db(), &self.volumes())
    }

    pub fn ingest(&self, card: &Path) -> Command {
        self.command(&["ingest", "--json", card.to_str().unwrap()])
    }

    /// Ingests up to the n-th pass of a failpoint and checks what is left; false where the run
    /// ended before.
    pub fn killed_at(&self, card: &Card, point: &str) -> bool {
        let out = self.ingest(&card.path).env("DOCKET_FAILPOINT", point).output().unwrap();
        if out.status.signal() == Some(SIGKILL) {
            self.check_all();
            return true;
        }
        assert!(out.status.success(), "an ingest that did not reach {point}: {}\n{}", out.status, told(&out));
        false
    }

    /// The same, where the point must be reached.
    pub fn kill_at(&self, card: &Card, point: &str) {
        assert!(self.killed_at(card, point), "the run ended before {point}");
    }

    /// Ingests while the second volume is away; it is owed its copies then.
    pub fn ingest_without_second(&self, card: &Card) {
        let away = self.dir.path().join("away");
        std::fs::rename(self.second(), &away).unwrap();
        let out = self.ingest(&card.path).output().unwrap();
        assert!(out.status.success(), "{}", told(&out));
        std::fs::rename(&away, self.second()).unwrap();
    }

    /// An undisturbed ingest must leave everything archived once, and nothing else.
    pub fn complete(&self, card: &Card) {
        let out = self.ingest(&card.path).output().unwrap();
        assert!(out.status.success(), "the ingest after it: {}\n{}", out.status, told(&out));
        self.is_complete(card);
    }

    /// Everything is archived once on every volume, no work is left, and fsck agrees to the byte.
    pub fn is_complete(&self, card: &Card) -> Archive {
        self.holds_exactly(card.expected())
    }

    /// The same for what several cards have brought; `expected` is sorted.
    pub fn holds_exactly(&self, expected: Vec<String>) -> Archive {
        let archive = self.check_all();
        assert_eq!(archive.hashes, expected, "not exactly what was on the cards is archived");
        assert_eq!(archive.jobs, 0, "work is left over:\n{}", jobs(&self.db()));
        let bad = "SELECT count(*) FROM recording r, volume v LEFT JOIN copy c
             ON c.recording = r.id AND c.volume = v.id WHERE c.state IS NOT 'archived'";
        let bad: i64 = self.db().query_row(bad, [], |r| r.get(0)).unwrap();
        assert_eq!(bad, 0, "copies are not archived");
        self.fsck_is_clean("bytes");
        archive
    }

    pub fn fsck_is_clean(&self, depth: &str) {
        let out = self.run(&["fsck", "--depth", depth]);
        assert!(out.status.success(), "fsck --depth {depth}: {}\n{}", out.status, told(&out));
    }

    /// What fsck finds: (what, path).
    pub fn findings(&self, depth: &str) -> Vec<(String, String)> {
        let out = self.run(&["fsck", "--json", "--depth", depth]);
        let told: Value =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", told(&out)));
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let findings = told["findings"].as_array().unwrap();
        findings.iter().map(|f| (text(&f["what"]), text(&f["path"]))).collect()
    }

    /// The one job that is not done.
    pub fn job(&self) -> Job {
        let sql = "SELECT recording, dest, state FROM job ORDER BY size DESC";
        let row = |r: &rusqlite::Row<'_>| Ok(Job { id: r.get(0)?, dest: r.get(1)?, state: r.get(2)? });
        self.db().query_row(sql, [], row).unwrap()
    }

    /// The part of a recording on the first volume.
    pub fn part(&self, recording: &str) -> PathBuf {
        self.archive().join(format!("incoming/{recording}.part"))
    }

    /// The first number of a query.
    pub fn number(&self, sql: &str) -> i64 {
        self.db().query_row(sql, [], |r| r.get(0)).unwrap()
    }

    /// The catalogue, to be changed behind the program's back.
    pub fn edit(&self) -> Connection {
        Connection::open(self.data().join("catalog.sqlite")).unwrap()
    }
}

/// Work under way.
pub struct Job {
    /// Of the recording it will be.
    pub id: String,
    /// Below the volume.
    pub dest: String,
    pub state: String,
}

/// Runs a command and kills it after a while; false where it had ended by then, as it should.
pub fn killed_after(mut command: Command, delay: Duration) -> bool {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    let out = child.wait_with_output().unwrap();
    if out.status.signal() == Some(SIGKILL) {
        return true;
    }
    assert!(out.status.success(), "a run that ended by itself: {}\n{}", out.status, told(&out));
    false
}

/// Everything a run said.
pub fn told(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), stderr(out))
}

/// Work under way, for failure messages.
pub fn jobs(db: &Connection) -> String {
    let mut query = db.prepare("SELECT CAST(source_path AS TEXT), state, reason FROM job").unwrap();
    let mut rows = query.query([]).unwrap();
    let mut out = String::new();
    while let Some(r) = rows.next().unwrap() {
        let (path, state, why): (String, String, Option<String>) =
            (r.get(0).unwrap(), r.get(1).unwrap(), r.get(2).unwrap());
        let _ = writeln!(out, "  {path}: {state} {}", why.unwrap_or_default());
    }
    out
}
