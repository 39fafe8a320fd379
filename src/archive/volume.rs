//! An archive volume: a marked and locked directory tree with room kept free.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::Flock;
use serde::{Deserialize, Serialize};

use super::layout;
use crate::base::config::VolumeConfig;
use crate::base::durable_fs::Dir;
use crate::base::text::bytes;
use crate::base::{Error, Kind, Result};

/// What a volume says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// Layout version; 1.
    pub format: u32,
    /// Its identity.
    pub id: String,
    /// The name it was given.
    pub name: String,
    /// The station it belongs to.
    pub station: String,
    /// RFC 3339.
    pub created_at: String,
}

/// Whether a volume takes files now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does.
    Online,
    /// Paused until there is room; says how much is wanted.
    Full(String),
    /// A sync or a write failed: nothing more is written before a person has looked.
    Failed(String),
}

impl State {
    /// The word in the catalogue.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Full(_) => "full",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it does not take files.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Online => None,
            Self::Full(why) | Self::Failed(why) => Some(why),
        }
    }
}

/// A volume to be looked at, without its lock.
pub struct Look {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its root.
    pub dir: Dir,
}

impl Look {
    /// Opens a volume for reading, if its marker says that it is the one.
    ///
    /// # Errors
    /// As [`Volume::open`], without taking the lock.
    pub fn open(config: &VolumeConfig, expected: Option<&str>) -> Result<Self> {
        let marker = Volume::marker(&config.path)?;
        if expected.is_some_and(|id| id != marker.id) {
            return Err(foreign(config, &marker));
        }
        Ok(Self { id: marker.id, name: config.name.clone(), dir: Dir::open(&config.path)? })
    }
}

fn foreign(config: &VolumeConfig, marker: &Marker) -> Error {
    Error::new(
        Kind::Invalid,
        format!(
            "{} holds a foreign volume: `{}` ({}), not the `{}` that this station knows",
            config.path.display(),
            marker.name,
            marker.id,
            config.name
        ),
    )
    .next("mount the right one, or give this one another name and run `docket init`")
}

/// What keeps a directory from being marked: anything but what a cut-off try to mark it left.
fn first_foreign(dir: &Dir) -> Result<Option<OsString>> {
    for name in dir.list(Path::new(""))? {
        let ours = [layout::INCOMING, layout::MEDIA, layout::QUARANTINE].iter().any(|n| name == *n);
        let left = name == "lost+found"
            || name.as_bytes().strip_suffix(b".new") == Some(layout::MARKER.as_bytes())
            || (ours && dir.list(Path::new(&name))?.is_empty());
        if !left {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// An open, locked volume.
pub struct Volume {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its root.
    pub dir: Dir,
    /// Whether one sync of the whole file system may stand for those of many files.
    pub can_sync_fs: bool,
    /// Held while manifests are written: their lines must not mix.
    pub manifests: Mutex<()>,
    reserve: u64,
    state: Mutex<State>,
    durable_dirs: Mutex<HashSet<PathBuf>>,
    _lock: Flock<File>,
}

/// Inodes kept in reserve.
const FILES_KEPT: u64 = 32;
const OPEN_NEXT: &str = "mount the right file system there; if this is a new volume, run `docket init`";

impl Volume {
    /// Marks an empty directory as a volume. Creates the directory itself if need be.
    ///
    /// # Errors
    /// A directory that holds anything of others is refused, and so is one that has a marker.
    pub fn create(config: &VolumeConfig, station: &str, created_at: String) -> Result<Marker> {
        std::fs::create_dir_all(&config.path).map_err(|e| Error::io("create", &config.path, e))?;
        let dir = Dir::open(&config.path)?;
        if let Some(other) = first_foreign(&dir)? {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "{} is not empty (it holds {})",
                    config.path.display(),
                    crate::base::text::show(&other)
                ),
            )
            .next("give the volume an empty directory, best the root of a file system of its own"));
        }
        let marker = Marker {
            format: 1,
            id: crate::base::ids::new_id(),
            name: config.name.clone(),
            station: station.to_owned(),
            created_at,
        };
        for name in [layout::INCOMING, layout::MEDIA, layout::QUARANTINE] {
            dir.create_dirs(Path::new(name))?;
        }
        let text = toml::to_string(&marker)
            .map_err(|e| Error::new(Kind::Invalid, format!("cannot write the marker: {e}")))?;
        let text = format!(
            "# This directory is an archive volume of docket. Do not edit or copy this file.\n{text}"
        );
        dir.write_whole(Path::new(layout::MARKER), text.as_bytes())?;
        Ok(marker)
    }

    /// Reads the marker of a volume.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none: an unmounted mount point looks like that.
    pub fn marker(path: &Path) -> Result<Marker> {
        let missing = |why: String| {
            Error::new(Kind::NotFound, format!("no archive volume at {}: {why}", path.display()))
                .next(OPEN_NEXT)
        };
        let dir = Dir::open(path).map_err(|e| missing(e.what().to_owned()))?;
        if dir.stat(Path::new(layout::MARKER))?.is_none() {
            return Err(missing(format!("there is no {} in it", layout::MARKER)));
        }
        let mut bytes = Vec::new();
        let file = dir.open_read(Path::new(layout::MARKER))?;
        file.take(64 << 10).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
        toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|e| {
            Error::new(Kind::Invalid, format!("the marker of {} cannot be read: {e}", path.display()))
                .next("keep the volume as it is; restore the marker from a backup of the volume")
        })
    }

    /// Opens and locks a volume of a station. `expected` is the id the catalogue knows for this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without a marker, [`Kind::Invalid`] where it is another's ("foreign"),
    /// [`Kind::Busy`] where another docket holds it.
    pub fn open(config: &VolumeConfig, station: &str, expected: Option<&str>) -> Result<Self> {
        let marker = Self::marker(&config.path)?;
        if expected.map_or(marker.station != station, |id| id != marker.id) {
            return Err(foreign(config, &marker));
        }
        let dir = Dir::open(&config.path)?;
        let lock = dir.lock(Path::new(layout::MARKER), false)?;
        for name in [layout::INCOMING, layout::MEDIA, layout::QUARANTINE] {
            dir.create_dirs(Path::new(name))?;
        }
        Ok(Self {
            id: marker.id,
            name: config.name.clone(),
            can_sync_fs: dir.can_sync_fs(),
            dir,
            manifests: Mutex::default(),
            reserve: config.reserve,
            state: Mutex::new(State::Online),
            durable_dirs: Mutex::default(),
            _lock: lock,
        })
    }

    /// Whether it takes files now.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_state(&self, new: State) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A failed volume stays failed until it is opened anew.
        if *state == new || matches!(*state, State::Failed(_)) {
            return;
        }
        match &new {
            State::Online => tracing::info!("volume {} takes files again", self.name),
            State::Full(why) | State::Failed(why) => tracing::warn!("volume {}: {why}", self.name),
        }
        *state = new;
    }

    /// Notes that there was no room for `wanted` bytes.
    pub fn mark_full(&self, wanted: u64) {
        let free = bytes(self.dir.space().map_or(0, |s| s.0));
        self.set_state(State::Full(if self.takes_files() {
            format!("full: {free} free, {} wanted and {} kept in reserve", bytes(wanted), bytes(self.reserve))
        } else {
            format!("full: its file system takes no more files (no inodes left), with {free} free")
        }));
    }

    /// Notes what an error of writing says of the whole volume: full, or read-only, which a file
    /// system makes itself when its disk fails.
    pub fn note_trouble(&self, e: &Error, wanted: u64) {
        match e.kind() {
            Kind::NoSpace => self.mark_full(wanted),
            Kind::Io(Errno::EROFS) => self.mark_failed(e.what()),
            _ => {}
        }
    }

    /// Notes a failed sync, after which the volume takes no more: the kernel may have dropped what it
    /// could not write, and a later sync would not say so again.
    pub fn note_sync_failure(&self, e: Error) -> Error {
        match e.kind() {
            Kind::NoSpace => self.mark_full(0),
            // Nothing was synced, and nothing failed to be: this process has too much open.
            Kind::Io(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => {}
            _ => self.mark_failed(e.what()),
        }
        e
    }

    /// The same for an error of something that also syncs, where it speaks of the medium.
    pub fn note_if_medium(&self, e: Error) -> Error {
        if e.kind().is_medium() { self.note_sync_failure(e) } else { e }
    }

    /// Notes a failure after which nothing on this volume can be trusted to be durable.
    pub fn mark_failed(&self, why: &str) {
        self.set_state(State::Failed(format!(
            "writing stopped: {why}; look at the disk (dmesg, SMART), then start docket again"
        )));
    }

    /// Whether there are inodes for an original with its folders and manifests.
    fn takes_files(&self) -> bool {
        self.dir.files_left().is_none_or(|left| left >= FILES_KEPT)
    }

    /// Whether `wanted` bytes fit above the reserve; moves between online and full accordingly.
    pub fn has_room(&self, wanted: u64) -> bool {
        if matches!(self.state(), State::Failed(_)) {
            return false;
        }
        let fits = self.takes_files()
            && self.dir.space().is_ok_and(|(free, _)| free >= wanted.saturating_add(self.reserve));
        if fits {
            self.set_state(State::Online);
        } else {
            self.mark_full(wanted);
        }
        fits
    }

    /// Creates a directory path once, durably.
    pub fn ensure_dirs(&self, rel: &Path) -> Result<()> {
        // Held while syncing: nobody may build on a level that is not durable yet.
        let mut known = self.durable_dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(rel) {
            self.dir.create_dirs(rel).map_err(|e| self.note_if_medium(e))?;
            if known.len() > 4096 {
                known.clear();
            }
            known.insert(rel.to_owned());
        }
        Ok(())
    }
}
