//! The catalogue against what lies on the volumes (I1, I2). Finding changes nothing; mending is
//! limited to the rows, is decided anew under the station's lock, and never removes a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;
use serde::Serialize;

use super::layout;
use super::manifest::Line;
use super::read_back::{BLOCK, read_back};
use super::volume::Look;
use super::witness;
use crate::base::direct_io::AlignedBuf;
use crate::base::text::{hex, show};
use crate::base::{Cancel, Result};
use crate::catalog::copies::{self, Copy};
use crate::catalog::dockings::By;
use crate::catalog::recordings;
use crate::catalog::{Connection, jobs};
use crate::custody::log;

/// How deep to look; each depth includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Depth {
    /// Names and sizes of all files against all rows.
    Names,
    /// Also the manifests beside the media.
    Manifests,
    /// Also the bytes of every original, read back from the medium.
    Bytes,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A row without its file.
    Missing,
    /// A file with other size or bytes than its row says.
    Damaged,
    /// A file that was missing or damaged is whole again.
    Back,
    /// A file that nothing promises. It is never removed.
    Unknown,
    /// A manifest does not name an original.
    Unlisted,
    /// A manifest says something else than the row.
    Contradiction,
    /// Work under way that lost its part; it has to be copied again.
    LostPart,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it is.
    pub what: What,
    /// The volume's name.
    pub volume: String,
    /// Path below the volume, printable.
    pub path: String,
    /// The recording, where there is one.
    pub recording: Option<String>,
    /// In words.
    pub text: String,
    /// What `--apply` would do, if anything.
    pub mend: Option<&'static str>,
}

/// Looks through one volume and tells of each finding.
pub struct Fsck<'a> {
    /// The catalogue.
    pub db: &'a Connection,
    /// The volume.
    pub volume: &'a Look,
    /// How deep.
    pub depth: Depth,
    /// A request to stop.
    pub cancel: &'a Cancel,
    /// Told of each finding.
    pub found: &'a mut dyn FnMut(Finding) -> Result<()>,
    /// Told of each file looked at, with the bytes read.
    pub progress: &'a mut dyn FnMut(u64),
}

impl Fsck<'_> {
    /// Rows against files, then files against rows.
    pub fn run(&mut self) -> Result<()> {
        self.rows()?;
        self.work()?;
        self.files()
    }

    fn tell(&mut self, what: What, path: &Path, recording: Option<&str>, text: String) -> Result<()> {
        let mend = match what {
            What::Missing => Some("mark the copy as missing"),
            What::Damaged => Some("mark the copy as damaged"),
            What::Back => Some("mark the copy as archived again"),
            What::Unlisted => Some("name it in the manifests"),
            What::LostPart => Some("copy it again when its card is docked"),
            What::Unknown | What::Contradiction => None,
        };
        (self.found)(Finding {
            what,
            volume: self.volume.name.clone(),
            path: show(path.as_os_str()),
            recording: recording.map(str::to_owned),
            text,
            mend,
        })
    }

    fn rows(&mut self) -> Result<()> {
        let mut after = String::new();
        let mut buf = AlignedBuf::new(BLOCK);
        loop {
            let page = copies::on_volume(self.db, &self.volume.id, &after, 1024)?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.recording);
            for copy in page {
                self.cancel.check()?;
                self.row(&copy, &mut buf)?;
            }
        }
    }

    fn row(&mut self, copy: &Copy, buf: &mut AlignedBuf) -> Result<()> {
        if copy.state == "owed" {
            return Ok(());
        }
        let path = Path::new(&copy.path);
        let well = copy.state == "archived";
        // A copy that is not well is hashed whatever the depth: it may have come back.
        let verdict =
            examine(self.db, self.volume, copy, self.depth == Depth::Bytes || !well, buf, self.cancel)?;
        (self.progress)(verdict.read);
        match (verdict.state, well) {
            ("archived", true) => Ok(()),
            ("archived", false) => self.tell(What::Back, path, Some(&copy.recording), verdict.text),
            (state, _) if state == copy.state => Ok(()),
            ("missing", _) => self.tell(What::Missing, path, Some(&copy.recording), verdict.text),
            _ => self.tell(What::Damaged, path, Some(&copy.recording), verdict.text),
        }
    }

    /// Copies that need no card any more must have their part, or be in place.
    fn work(&mut self) -> Result<()> {
        for job in jobs::finishable(self.db)? {
            for (volume, state) in jobs::targets(self.db, job.id)? {
                let part = layout::part(&job.recording);
                let there = |p: &Path| self.volume.dir.stat(p).map(|s| s.is_some());
                let wanted = volume == self.volume.id && matches!(state.as_str(), "copied" | "verified");
                if wanted && !there(&part)? && !there(job.dest.as_ref())? {
                    let text =
                        format!("{} has neither its part nor its original", show(OsStr::new(&job.dest)));
                    self.tell(What::LostPart, &part, Some(&job.recording), text)?;
                }
            }
        }
        Ok(())
    }

    fn files(&mut self) -> Result<()> {
        let mut dirs = vec![PathBuf::new()];
        while let Some(dir) = dirs.pop() {
            let mut originals = Vec::new();
            for name in self.volume.dir.list(&dir)? {
                self.cancel.check()?;
                let path = dir.join(&name);
                let Some(stat) = self.volume.dir.stat(&path)? else { continue };
                let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
                if kind == SFlag::S_IFDIR {
                    if self.is_our_dir(&path) {
                        dirs.push(path);
                    } else if name != "lost+found" {
                        self.unknown(&path, "a folder that docket did not make")?;
                    }
                } else if kind != SFlag::S_IFREG {
                    self.unknown(&path, "not a regular file")?;
                } else if let Some(recording) = self.file(&path)? {
                    originals.push((path, recording));
                }
            }
            if self.depth >= Depth::Manifests && !originals.is_empty() {
                self.manifests(&dir, &originals)?;
            }
        }
        Ok(())
    }

    fn is_our_dir(&self, path: &Path) -> bool {
        let first = path.components().next().map(|c| c.as_os_str().to_owned()).unwrap_or_default();
        let depth = path.components().count();
        (first == layout::MEDIA && depth <= 5)
            || (depth == 1
                && [layout::INCOMING, layout::QUARANTINE, layout::CHECKPOINTS].iter().any(|n| first == *n))
    }

    /// One regular file: the recording whose original it is, or nothing.
    fn file(&mut self, path: &Path) -> Result<Option<String>> {
        let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        let Some(text) = path.to_str() else {
            self.unknown(path, "no name that docket gives")?;
            return Ok(None);
        };
        let id = &self.volume.id;
        let known = if dir == Path::new("") {
            name == layout::MARKER
        } else if dir == Path::new(layout::INCOMING) {
            match name.to_str().and_then(layout::recording_of_part) {
                Some(recording) => self.is_promised(recording)?,
                None => false,
            }
        } else if dir == Path::new(layout::QUARANTINE) {
            jobs::is_quarantined(self.db, id, text)?
        } else if dir == Path::new(layout::CHECKPOINTS) {
            name.to_str().is_some_and(witness::is_ours)
        } else if name == layout::SUMS || name == layout::RECORDS {
            true
        } else if let Some(copy) = copies::at(self.db, id, text)? {
            return Ok(Some(copy.recording));
        } else {
            // Moved into place, rows not committed yet: the next start does that.
            match name.to_str().and_then(layout::recording_of) {
                Some(recording) => jobs::get(self.db, recording)?.is_some_and(|j| j.dest == text),
                None => false,
            }
        };
        // What was under way may have been finished while we looked.
        let gone = || Ok::<_, crate::base::Error>(self.volume.dir.stat(path)?.is_none());
        if !known && !gone()? && copies::at(self.db, id, text)?.is_none() {
            self.unknown(path, "nothing in the catalogue promises this file")?;
        }
        Ok(None)
    }

    fn is_promised(&self, recording: &str) -> Result<bool> {
        if let Some(job) = jobs::get(self.db, recording)? {
            return Ok(jobs::targets(self.db, job.id)?.iter().any(|(v, _)| *v == self.volume.id)
                || job.state != "failed");
        }
        let copies = copies::of(self.db, recording)?;
        Ok(copies.iter().any(|c| c.volume == self.volume.id && c.state == "owed"))
    }

    fn unknown(&mut self, path: &Path, why: &str) -> Result<()> {
        self.tell(What::Unknown, path, None, format!("unknown: {why}; docket leaves it alone"))
    }

    fn manifests(&mut self, dir: &Path, originals: &[(PathBuf, String)]) -> Result<()> {
        let records = self.text_of(&dir.join(layout::RECORDS))?;
        let sums = self.text_of(&dir.join(layout::SUMS))?;
        let mut hashes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (hash, name) in sums.lines().filter_map(|l| l.split_once("  ")) {
            hashes.entry(name).or_default().insert(hash);
        }
        let mut named = BTreeSet::new();
        for line in records.lines().filter_map(|l| serde_json::from_str::<Line>(l).ok()) {
            let Ok(recording) = recordings::find(self.db, &line.id) else {
                let text = format!("{} names a recording that the catalogue does not know", layout::RECORDS);
                self.tell(What::Contradiction, &dir.join(&line.file), Some(&line.id), text)?;
                continue;
            };
            if hex(&recording.sha256) != line.sha256 || recording.size != line.size {
                let path = dir.join(&line.file);
                let text = format!("{} says another hash or size than the catalogue", layout::RECORDS);
                self.tell(What::Contradiction, &path, Some(&line.id), text)?;
            }
            named.insert(line.id);
        }
        for (path, recording) in originals {
            let row = recordings::find(self.db, recording)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let hash = hex(&row.sha256);
            let listed = hashes.get(&*name);
            let witness = log::witness(self.db, recording)?;
            if witness != Some((hash.clone(), row.size)) {
                let text = "the custody log does not bear out its hash and size".to_owned();
                self.tell(What::Contradiction, path, Some(recording), text)?;
            }
            if listed.is_some_and(|all| all.iter().any(|other| *other != hash)) {
                let text = format!("{} gives it another hash as well", layout::SUMS);
                self.tell(What::Contradiction, path, Some(recording), text)?;
            }
            if !named.contains(recording) || !listed.is_some_and(|all| all.contains(&*hash)) {
                let text = "the manifests beside it do not name it".to_owned();
                self.tell(What::Unlisted, path, Some(recording), text)?;
            }
        }
        Ok(())
    }

    fn text_of(&self, path: &Path) -> Result<String> {
        if self.volume.dir.stat(path)?.is_none() {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        let fail = |e| crate::base::Error::io("read", &self.volume.dir.join(path), e);
        self.volume.dir.open_read(path)?.read_to_end(&mut bytes).map_err(fail)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// How one copy is.
pub struct Verdict {
    /// `archived`, `damaged` or `missing`.
    pub state: &'static str,
    /// How it was looked at: `size`, or how the bytes were read.
    pub how: &'static str,
    /// In words.
    pub text: String,
    /// Bytes read.
    pub read: u64,
}

/// Looks at one copy: its size, and with `bytes` its content from the medium.
pub fn examine(
    db: &Connection,
    volume: &Look,
    copy: &Copy,
    bytes: bool,
    buf: &mut AlignedBuf,
    cancel: &Cancel,
) -> Result<Verdict> {
    let path = Path::new(&copy.path);
    let recording = recordings::find(db, &copy.recording)?;
    let verdict = |state, how, text: String, read| Ok(Verdict { state, how, text, read });
    let Some(stat) = volume.dir.stat(path)? else {
        return verdict("missing", "size", "the file is not there".into(), 0);
    };
    let size = stat.st_size.unsigned_abs();
    if size != recording.size {
        let text = format!("it has {size} bytes, not {}", recording.size);
        return verdict("damaged", "size", text, 0);
    }
    if !bytes {
        return verdict("archived", "size", String::new(), 0);
    }
    match read_back(&volume.dir, path, buf, cancel, &|_| {}) {
        Ok(found) if found.sha256[..] == recording.sha256[..] => {
            verdict("archived", found.how.word(), "its bytes are as archived".into(), found.size)
        }
        Ok(found) => verdict(
            "damaged",
            found.how.word(),
            format!("its SHA-256 is {}, not {}", hex(&found.sha256), hex(&recording.sha256)),
            found.size,
        ),
        Err(e) if e.kind() == crate::base::Kind::Cancelled => Err(e),
        Err(e) => verdict("damaged", "unreadable", e.what().to_owned(), 0),
    }
}

/// Mends one finding, after looking again; to be called in a transaction under the station's
/// lock. Returns whether anything was changed.
pub fn mend(tx: &Connection, by: &By, volume: &Look, finding: &Finding) -> Result<bool> {
    let Some(recording) = &finding.recording else { return Ok(false) };
    match finding.what {
        What::Missing | What::Damaged | What::Back => {
            let copies = copies::of(tx, recording)?;
            let Some(copy) = copies.iter().find(|c| c.volume == volume.id) else { return Ok(false) };
            let mut buf = AlignedBuf::new(BLOCK);
            let now = examine(tx, volume, copy, true, &mut buf, &Cancel::new())?;
            if now.state == copy.state {
                return Ok(false);
            }
            copies::set_state(tx, by, copy, now.state, now.how, Some(&now.text))?;
            Ok(true)
        }
        What::Unlisted => copies::set_unlisted(tx, &volume.id, recording).map(|()| true),
        What::LostPart => {
            let Some(job) = jobs::get(tx, recording)? else { return Ok(false) };
            let given = jobs::give_up(tx, by, job.id, &volume.id, "fsck found neither part nor original")?;
            tracing::debug!("{recording}: {given:?}");
            Ok(true)
        }
        What::Unknown | What::Contradiction => Ok(false),
    }
}
