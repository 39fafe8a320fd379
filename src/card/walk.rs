//! Everything on a card, folder by folder, in one order, with bounded memory and handles.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat};

pub use super::root::Card;
use super::root::{identity, is_folder, oddity, root_error, stat_at};
use crate::base::{Error, Result};

/// Files in one [`Directory`] at most; a larger folder comes in several.
pub const FILES_AT_ONCE: usize = 4096;
/// Folders within folders; a real card has five.
const MAX_DEPTH: usize = 512;
/// Names held while a folder is sorted. A larger one is read again for the next so many.
const NAMES: usize = 65_536;
/// Names of subfolders held per level.
const FOLDERS: usize = 1024;

/// One folder of a card, or the next part of a large one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Its path relative to the card; empty for the root.
    pub path: PathBuf,
    /// Its regular files, sorted by the bytes of their names; [`FILES_AT_ONCE`] at most.
    pub files: Vec<FileEntry>,
    /// What is not a file or cannot be looked at, and stays where it is.
    pub left: Vec<LeftEntry>,
}

/// One regular file, as the directory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its raw name.
    pub name: OsString,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, held at the limit where it does not fit.
    pub mtime_ns: i64,
}

/// One entry that stays on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftEntry {
    /// Its raw name.
    pub name: OsString,
    /// Why, for a person. Begins with `unreadable` where footage may be behind it.
    pub reason: String,
}

/// Shows every folder of the card to `each`, parents first, until it returns false. Every folder
/// comes at least once, even an empty one, so that a caller can stop between any two.
///
/// # Errors
/// [`crate::base::Kind::Vanished`] when the card is gone, and whatever `each` returns. A folder or file that
/// cannot be read is no error: it is in [`Directory::left`].
pub fn walk(card: &Card, each: &mut dyn FnMut(&Directory) -> Result<bool>) -> Result<()> {
    walk_with(card, NAMES, FOLDERS, each)
}

fn walk_with(
    card: &Card,
    names: usize,
    folders: usize,
    each: &mut dyn FnMut(&Directory) -> Result<bool>,
) -> Result<()> {
    let mut walk =
        Walk { card, names, folders, each, path: PathBuf::new(), levels: Vec::new(), stopped: false };
    walk.enter().map_err(|trouble| match trouble {
        Trouble::Unreadable(e) => root_error("list", card.path(), e),
        Trouble::Circle => root_error("list", card.path(), Errno::ELOOP),
        Trouble::Caller(e) => e,
    })?;
    while !walk.stopped
        && let Some(name) = walk.next_folder()?
    {
        let path = walk.path.clone();
        let reason = if walk.levels.len() > MAX_DEPTH {
            format!("unreadable: nested deeper than {MAX_DEPTH} folders")
        } else {
            walk.path.push(&name);
            match walk.enter() {
                Ok(()) => continue,
                Err(Trouble::Caller(e)) => return Err(e),
                // Taken away between listing and opening: nothing is there to be lost.
                Err(Trouble::Unreadable(Errno::ENOENT)) if card.present() => {
                    walk.path = path;
                    continue;
                }
                Err(Trouble::Unreadable(e)) => {
                    walk.check_card(e)?;
                    unreadable(e)
                }
                Err(Trouble::Circle) => "unreadable: the folder contains itself".into(),
            }
        };
        walk.path = path;
        walk.show(Vec::new(), vec![LeftEntry { name, reason }])?;
    }
    Ok(())
}

struct Walk<'a> {
    card: &'a Card,
    names: usize,
    folders: usize,
    each: &'a mut dyn FnMut(&Directory) -> Result<bool>,
    /// The folder looked at now.
    path: PathBuf,
    /// The folders on the way to it. They hold no handle: a folder is opened anew from the root.
    levels: Vec<Level>,
    stopped: bool,
}

/// A folder whose subfolders are being visited.
struct Level {
    id: (u64, u64),
    /// Subfolders to come, in reverse.
    folders: Vec<OsString>,
    /// Where to read on once these are done.
    more_after: Option<OsString>,
}

/// Why a folder was not entered.
enum Trouble {
    Unreadable(Errno),
    Circle,
    Caller(Error),
}

impl From<Errno> for Trouble {
    fn from(e: Errno) -> Self {
        Self::Unreadable(e)
    }
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Self::Caller(e)
    }
}

impl Walk<'_> {
    /// Shows the files of the folder at `path` and makes it the deepest level.
    fn enter(&mut self) -> Result<(), Trouble> {
        let dir = self.card.open_dir(&self.path)?;
        let id = identity(&fstat(&dir)?);
        // A damaged FAT can lead a folder back into itself.
        if self.levels.iter().any(|level| level.id == id) {
            return Err(Trouble::Circle);
        }
        let mut files = Smallest::new(self.names, None);
        let mut folders = Smallest::new(self.folders, None);
        let mut broken = list(dir.try_clone().map_err(errno)?, &mut files, &mut folders)?;
        if let Some(e) = broken {
            self.check_card(e)?;
        }
        let (folders, more_folders) = folders.finish();
        let mut shown = false;
        loop {
            let (names, more) = files.finish();
            shown |= self.show_files(&dir, names)?;
            let Some(after) = more else { break };
            if self.stopped {
                return Ok(());
            }
            files = Smallest::new(self.names, Some(after));
            let again = self.card.open_dir(&self.path)?;
            broken = broken.or(list(again, &mut files, &mut Smallest::new(0, None))?);
        }
        if let Some(e) = broken {
            // Named after itself: what is missing cannot be named.
            let left =
                LeftEntry { name: ".".into(), reason: format!("{}; its list is cut off", unreadable(e)) };
            self.show(Vec::new(), vec![left])?;
        } else if !shown {
            self.show(Vec::new(), Vec::new())?;
        }
        self.levels.push(Level { id, folders: reversed(folders), more_after: more_folders });
        Ok(())
    }

    /// Looks at each name; returns whether anything was shown.
    fn show_files(&mut self, dir: &OwnedFd, names: Vec<OsString>) -> Result<bool> {
        let (mut files, mut left, mut shown) = (Vec::new(), Vec::new(), false);
        for name in names {
            match stat_at(dir.as_fd(), &name) {
                Ok(stat) => match file_entry(name, &stat) {
                    Ok(file) => files.push(file),
                    Err(entry) => left.push(entry),
                },
                Err(Errno::ENOENT) => {}
                Err(e) => {
                    self.check_card(e)?;
                    left.push(LeftEntry { name, reason: unreadable(e) });
                }
            }
            if files.len().max(left.len()) == FILES_AT_ONCE {
                self.show(std::mem::take(&mut files), std::mem::take(&mut left))?;
                shown = true;
            }
        }
        if !(files.is_empty() && left.is_empty()) {
            self.show(files, left)?;
            shown = true;
        }
        Ok(shown)
    }

    fn show(&mut self, files: Vec<FileEntry>, left: Vec<LeftEntry>) -> Result<()> {
        if !self.stopped {
            self.stopped = !(self.each)(&Directory { path: self.path.clone(), files, left })?;
        }
        Ok(())
    }

    /// The next folder to enter, below `path`; leaves folders that are done.
    fn next_folder(&mut self) -> Result<Option<OsString>> {
        while let Some(level) = self.levels.last_mut() {
            if let Some(name) = level.folders.pop() {
                return Ok(Some(name));
            }
            let Some(after) = level.more_after.take() else {
                self.levels.pop();
                self.path.pop();
                continue;
            };
            let mut folders = Smallest::new(self.folders, Some(after));
            let read = self.card.open_dir(&self.path);
            match read.and_then(|dir| list(dir, &mut Smallest::new(0, None), &mut folders)) {
                Ok(None) => {}
                Ok(Some(e)) | Err(e) => {
                    self.check_card(e)?;
                    let reason = format!("{}; its list is cut off", unreadable(e));
                    self.show(Vec::new(), vec![LeftEntry { name: ".".into(), reason }])?;
                }
            }
            let (folders, more) = folders.finish();
            if let Some(level) = self.levels.last_mut() {
                (level.folders, level.more_after) = (reversed(folders), more);
            }
        }
        Ok(None)
    }

    /// One bad folder is a fact about the card; a card that is gone ends the walk.
    fn check_card(&self, e: Errno) -> Result<()> {
        if self.card.present() { Ok(()) } else { Err(root_error("list", self.card.path(), gone(e))) }
    }
}

/// Whatever the errno, a card that is not present has vanished.
fn gone(e: Errno) -> Errno {
    if matches!(e, Errno::ENOENT | Errno::EIO | Errno::ENODEV) { e } else { Errno::ENODEV }
}

fn reversed(mut names: Vec<OsString>) -> Vec<OsString> {
    names.reverse();
    names
}

fn errno(e: std::io::Error) -> Errno {
    e.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn unreadable(e: Errno) -> String {
    format!("unreadable: {}", e.desc())
}

fn file_entry(name: OsString, stat: &FileStat) -> Result<FileEntry, LeftEntry> {
    let reason = match (oddity(stat), u64::try_from(stat.st_size)) {
        (Some(what), _) => what,
        (None, _) if is_folder(stat) => "unreadable: it became a folder while it was looked at",
        (None, Err(_)) => "unreadable: its size is negative",
        (None, Ok(size)) => {
            let mtime_ns = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec);
            return Ok(FileEntry { name, size, mtime_ns });
        }
    };
    Err(LeftEntry { name, reason: reason.into() })
}

/// Reads a folder's names into the two sets. An error part way is returned as a value, for what
/// was read before it counts.
fn list(dir: OwnedFd, files: &mut Smallest, folders: &mut Smallest) -> nix::Result<Option<Errno>> {
    let stats = dir.try_clone().map_err(errno)?;
    for entry in Dir::from_fd(dir)?.iter() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => return Ok(Some(e)),
        };
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        // A damaged file system can show names that are paths.
        if name.is_empty() || name.as_bytes().contains(&b'/') {
            return Ok(Some(Errno::EUCLEAN));
        }
        let folder = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            None => stat_at(stats.as_fd(), name).is_ok_and(|stat| is_folder(&stat)),
        };
        if folder { folders.offer(name) } else { files.offer(name) }
    }
    Ok(None)
}

/// The smallest names after a given one: sorts a folder of any size in bounded memory.
struct Smallest {
    limit: usize,
    after: Option<OsString>,
    heap: BinaryHeap<OsString>,
    more: bool,
}

impl Smallest {
    fn new(limit: usize, after: Option<OsString>) -> Self {
        Self { limit, after, heap: BinaryHeap::new(), more: false }
    }

    fn offer(&mut self, name: &OsStr) {
        if self.after.as_deref().is_some_and(|after| name <= after) {
            return;
        }
        if self.heap.len() < self.limit {
            self.heap.push(name.to_owned());
        } else {
            self.more = true;
            if let Some(mut largest) = self.heap.peek_mut()
                && name < largest.as_os_str()
            {
                *largest = name.to_owned();
            }
        }
    }

    /// The names in order, and the last of them where more follow.
    fn finish(self) -> (Vec<OsString>, Option<OsString>) {
        let mut names = self.heap.into_sorted_vec();
        // A damaged folder can list a name twice.
        names.dedup();
        let last = if self.more { names.last().cloned() } else { None };
        (names, last)
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
