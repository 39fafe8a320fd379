//! An open station: catalogue, volumes, clock, and the finishers of each volume.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use nix::fcntl::Flock;

use super::blocks::Budget;
use super::checkpoints;
use super::finisher::Finisher;
use crate::archive::volume::Volume;
use crate::base::clock::{Clock, rfc3339};
use crate::base::config::{Config, VolumeConfig};
use crate::base::durable_fs::Dir;
use crate::base::meter::Meter;
use crate::base::text::{bytes, show};
use crate::base::{Error, Kind, Result, process};
use crate::card::profile::Profiles;
use crate::catalog::dockings::By;
use crate::catalog::{Catalog, Connection, dockings, volumes};
use crate::custody::key;

/// The catalogue's file in the data directory.
pub const CATALOG: &str = "catalog.sqlite";
/// Held by the one process that writes to the archive.
pub const LOCK: &str = "station.lock";

/// What every thread of the station shares.
pub struct Core {
    /// The database.
    pub catalog: Catalog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// In whose name changes are made.
    pub actor: String,
    /// Memory for copying, shared by all stays.
    pub budget: Arc<Budget>,
    /// What Prometheus asks for.
    pub meter: Arc<Meter>,
}

impl Core {
    /// The actor, now.
    pub fn by(&self) -> By {
        By { actor: self.actor.clone(), at: self.clock.now() }
    }
}

/// A volume with its finishers, or why it cannot be used.
pub struct Slot {
    /// Its settings.
    pub config: VolumeConfig,
    /// The finishers of the open volume.
    pub finisher: Result<Arc<Finisher>>,
}

/// What a reload can change; a stay keeps the settings it began with.
pub struct Settings {
    /// The settings file.
    pub config: Config,
    /// The card profiles.
    pub profiles: Profiles,
}

impl Settings {
    /// Settings with the profiles they name.
    pub fn load(config: Config) -> Result<Self> {
        let Some(dir) = &config.profiles else { return Ok(Self { config, profiles: Profiles::builtin() }) };
        let profiles = Profiles::load(dir).map_err(|problems| {
            let list: Vec<_> = problems.iter().map(|p| format!("\n  - {p}")).collect();
            Error::new(
                Kind::Invalid,
                format!("problems in the profiles of {}:{}", dir.display(), list.concat()),
            )
            .next("mend the lines named above; config/profiles/generic.toml explains every key")
        })?;
        Ok(Self { config, profiles })
    }
}

/// A card's folder, and its device and inode.
type Place = (PathBuf, Option<(u64, u64)>);

/// An open station.
pub struct Station {
    /// Shared by all threads.
    pub core: Arc<Core>,
    settings: RwLock<Arc<Settings>>,
    id: String,
    slots: Mutex<BTreeMap<String, Slot>>,
    /// Held while volumes are opened.
    opening: Mutex<()>,
    /// Recorders in a stay, with where and on which root: two stays of one recorder would write the same files.
    here: Mutex<BTreeMap<String, Place>>,
    /// Volume states as the catalogue has them: asked for with every file, changed once in a year.
    noted: Mutex<BTreeMap<String, &'static str>>,
    _lock: Flock<File>,
}

impl Station {
    /// Opens a station for writing: takes its lock, opens the catalogue and every volume that is there.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another docket writes to it; whatever opening the catalogue says.
    /// A volume that cannot be opened is no error here: it is noted, and its copies are owed.
    pub fn open(config: Config, clock: Arc<dyn Clock>, actor: String) -> Result<Self> {
        process::open_many_files();
        let lock = lock(&config.data)?;
        let catalog = Catalog::open(&config.data.join(CATALOG))?;
        let data = config.data.clone();
        let settings = RwLock::new(Arc::new(Settings::load(config)?));
        let core = Arc::new(Core { catalog, clock, actor, budget: Arc::default(), meter: Arc::default() });
        let by = core.by();
        let id = core.catalog.write(move |tx| dockings::station_id(tx, &by))?;
        // Archiving does not wait for a key: without one no checkpoint is signed, and that is said.
        if let Err(e) = checkpoints::ensure_key(&core.catalog, &data, &id, &core.by()) {
            tracing::warn!("{e}");
        }
        let station = Self {
            core,
            settings,
            id,
            slots: Mutex::default(),
            opening: Mutex::default(),
            here: Mutex::default(),
            noted: Mutex::default(),
            _lock: lock,
        };
        station.open_volumes()?;
        Ok(station)
    }

    /// The station's identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts new settings in force, for stays that begin from now on.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Opens the volumes that are configured and not open yet, and notes those that cannot be.
    /// Returns those that are open now: they may hold copies that nobody has finished.
    pub fn open_volumes(&self) -> Result<Vec<Arc<Finisher>>> {
        let _alone = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let mut opened = Vec::new();
        for config in &self.settings().config.volumes {
            if self.slots().get(&config.name).is_some_and(|s| s.finisher.is_ok()) {
                continue;
            }
            // A disk may hang while it is opened: nobody else waits for it.
            let finisher = self.open_volume(config);
            match &finisher {
                Ok(finisher) => opened.push(Arc::clone(finisher)),
                Err(e) => {
                    self.note_volume(&config.name, word_of(e), Some(e.what()))?;
                    tracing::warn!("volume {}: {e}", config.name);
                }
            }
            self.slots().insert(config.name.clone(), Slot { config: config.clone(), finisher });
        }
        Ok(opened)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_volume(&self, config: &VolumeConfig) -> Result<Arc<Finisher>> {
        let name = config.name.clone();
        let expected = self.core.catalog.read(|db| volumes::id_of(db, &name))?;
        let volume = Volume::open(config, &self.id, expected.as_deref())?;
        self.core.catalog.read(|db| not_anothers(&volume.id, config, &self.settings().config, db))?;
        let (id, path, by) = (volume.id.clone(), config.path.display().to_string(), self.core.by());
        self.core.catalog.write(move |tx| volumes::register(tx, &by, &id, &name, &path))?;
        self.note_volume(&config.name, "online", None)?;
        Ok(Arc::new(Finisher::start(Arc::new(volume), Arc::clone(&self.core))?))
    }

    fn note_volume(&self, name: &str, state: &'static str, reason: Option<&str>) -> Result<()> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(name) == Some(&state) {
            return Ok(());
        }
        let (by, volume, reason) = (self.core.by(), name.to_owned(), reason.map(str::to_owned));
        self.core.catalog.write(move |tx| volumes::set_state(tx, &by, &volume, state, reason.as_deref()))?;
        noted.insert(name.to_owned(), state);
        Ok(())
    }

    /// Writes the present state of every open volume to the catalogue.
    pub fn note_volume_states(&self) -> Result<()> {
        for finisher in self.open_finishers() {
            let state = finisher.volume.state();
            self.note_volume(&finisher.volume.name, state.word(), state.reason())?;
        }
        Ok(())
    }

    /// The finishers of all open volumes.
    pub fn open_finishers(&self) -> Vec<Arc<Finisher>> {
        self.slots().values().filter_map(|s| s.finisher.as_ref().ok().cloned()).collect()
    }

    /// The finishers of an open volume by its id.
    pub fn finisher_of(&self, volume_id: &str) -> Option<Arc<Finisher>> {
        self.open_finishers().into_iter().find(|f| f.volume.id == volume_id)
    }

    /// Where a new recording of `size` bytes goes now: the volumes to write to, the ids of those
    /// that get their copy later, and what keeps the others from taking it.
    pub fn targets(&self, size: u64) -> (Vec<Arc<Finisher>>, Vec<String>, Vec<String>) {
        let (mut now, mut later, mut why) = (Vec::new(), Vec::new(), Vec::new());
        for name in &self.settings().config.archive_to {
            let slot =
                self.slots().get(name).map(|s| s.finisher.as_ref().map_err(|e| e.what().to_owned()).cloned());
            match slot {
                Some(Ok(f)) if f.volume.has_room(size) => now.push(f),
                Some(Ok(f)) => {
                    later.push(f.volume.id.clone());
                    why.push(format!(
                        "volume {name} is {}",
                        f.volume.state().reason().unwrap_or("not ready")
                    ));
                }
                Some(Err(e)) => {
                    let known = self.core.catalog.read(|db| volumes::id_of(db, name));
                    later.extend(known.ok().flatten());
                    why.push(e);
                }
                None => why.push(format!("volume {name} is not configured")),
            }
        }
        (now, later, why)
    }

    /// Why no volume that is here could take `size` bytes even if it were empty: such a size is a lie
    /// more often than a long recording, and waiting for room would hold up the rest of the card.
    pub fn too_large(&self, size: u64) -> Option<String> {
        let largest =
            self.open_finishers().iter().filter_map(|f| f.volume.dir.space().ok()).map(|s| s.1).max()?;
        (size > largest).then(|| {
            format!(
                "it says it has {}, more than the largest volume holds ({}); check the card's file system, \
                 or add a larger volume and dock it again",
                bytes(size),
                bytes(largest)
            )
        })
    }

    /// Refuses a card that is, holds or lies in what docket itself keeps: the archive would be
    /// archived into itself. Compared by what the paths lead to, links and bind mounts included.
    pub fn refuse_own(&self, card: &Path) -> Result<()> {
        let config = &self.settings().config;
        let refuse = |what: String| {
            Err(Error::new(
                Kind::Invalid,
                format!("{} {what}: docket keeps it, it is no card", show(card.as_os_str())),
            )
            .next("name the folder that the card is mounted at"))
        };
        if leads_through(&config.data, card) {
            return refuse("is or holds the data directory of this station".into());
        }
        for volume in &config.volumes {
            if leads_through(&volume.path, card) || leads_through(card, &volume.path) {
                return refuse(format!("is, holds or lies in volume {}", volume.name));
            }
        }
        Ok(())
    }

    /// Takes a recorder and its card for one stay.
    ///
    /// # Errors
    /// [`Kind::Busy`] while either is in another: a card shown at two places is one card.
    pub fn claim(&self, recorder: &str, card: &Path) -> Result<Claim<'_>> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((other, _)) = here.get(recorder) {
            let what = format!("recorder {recorder} is docked already, at {}", show(other.as_os_str()));
            return Err(Error::new(Kind::Busy, what).next(
                "wait until that stay has ended; if these are two devices, give one its own name with --recorder",
            ));
        }
        let root = identity(card);
        if let Some((other, _)) = here.values().find(|(_, id)| id.is_some() && *id == root) {
            let what = format!("this card is docked already, at {}", show(other.as_os_str()));
            return Err(Error::new(Kind::Busy, what).next("wait until that stay has ended"));
        }
        here.insert(recorder.to_owned(), (card.to_owned(), root));
        Ok(Claim { station: self, recorder: recorder.to_owned() })
    }

    /// Ends reading back at the next block; what is not done is left for the next start.
    pub fn stop(&self) {
        for finisher in self.open_finishers() {
            finisher.stop();
        }
    }
}

/// A recorder held by one stay; dropping it lets the next begin.
pub struct Claim<'a> {
    station: &'a Station,
    recorder: String,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.station.here.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.recorder);
    }
}

/// Refuses a marker that belongs to another volume of the settings: a copied volume, or one that is
/// shown at two places. Two copies of a recording on it could be one.
///
/// # Errors
/// [`Kind::Invalid`], with whose it is.
pub fn not_anothers(id: &str, config: &VolumeConfig, all: &Config, db: &Connection) -> Result<()> {
    let owner = volumes::all(db)?.into_iter().find(|v| v.id == id && v.name != config.name).map(|v| v.name);
    // A name that the settings have no more is a volume that was renamed.
    match owner.filter(|name| all.volumes.iter().any(|v| v.name == *name)) {
        None => Ok(()),
        Some(owner) => Err(Error::new(
            Kind::Invalid,
            format!(
                "the marker at {} belongs to volume {owner}, not to {}: a copy, or the same shown twice",
                config.path.display(),
                config.name
            ),
        )
        .next("mount the right file system there; one volume counts once, wherever it is copied to")),
    }
}

/// Device and inode of what a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// Whether `path` is `folder` or lies below it. What is not there leads nowhere.
fn leads_through(path: &Path, folder: &Path) -> bool {
    let Some(wanted) = identity(folder) else { return false };
    let real = std::fs::canonicalize(path).unwrap_or_default();
    real.ancestors().any(|above| identity(above) == Some(wanted))
}

fn word_of(e: &Error) -> &'static str {
    match e.kind() {
        Kind::NotFound => "missing",
        Kind::Invalid => "foreign",
        _ => "failed",
    }
}

/// Takes the lock that lets one process write to the archive.
pub fn lock(data: &Path) -> Result<Flock<File>> {
    let owner = std::fs::metadata(data).map(|m| m.uid()).unwrap_or(0);
    if owner != 0 && nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_uid(owner.into()).ok().flatten();
        let user = user.map_or_else(|| owner.to_string(), |u| u.name);
        let what = format!("the station {} belongs to user {user}, and this is root", data.display());
        return Err(Error::new(Kind::Invalid, what)
            .next(format!("sudo -u {user} docket …: what root writes, {user} could not go on with")));
    }
    let dir = Dir::open(data)
        .map_err(|e| e.next("`docket init --data DIR` makes a station; --data or DOCKET_DATA names it"))?;
    dir.lock(Path::new(LOCK), true).map_err(|e| match e.kind() {
        Kind::Busy => {
            Error::new(Kind::Busy, format!("another docket works on the station {}", data.display()))
                .next("a running daemon takes `docket ingest` by itself; for other changes stop it first")
        }
        _ => e.next("docket writes to its data directory; `docket doctor` checks who owns it and its disk"),
    })
}

/// Makes a station: the directory, its catalogue, and a marker on every volume that was never seen.
/// Returns what was made, in words.
pub fn init(config: &Config, clock: &dyn Clock, actor: &str) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let data = &config.data;
    std::fs::create_dir_all(data).map_err(|e| Error::io("create", data, e))?;
    let _lock = lock(data)?;
    let path: PathBuf = data.join(CATALOG);
    let fresh = !path.exists();
    let marked = |v: &&VolumeConfig| Volume::marker(&v.path).is_ok();
    if let Some(volume) = config.volumes.iter().find(marked).filter(|_| fresh) {
        let what = format!("volume {} is marked, but its station's catalogue is gone", volume.name);
        return Err(Error::new(Kind::Invalid, what).next(
            "put the newest `docket backup` back as catalog.sqlite; without one, `docket rebuild` makes it anew",
        ));
    }
    let catalog = Catalog::open_or_create(&path)?;
    if fresh {
        made.push(format!("catalogue {}", path.display()));
    }
    let by = By { actor: actor.to_owned(), at: clock.now() };
    let station = {
        let by = by.clone();
        catalog.write(move |tx| dockings::station_id(tx, &by))?
    };
    if let Some(key) = checkpoints::ensure_key(&catalog, data, &station, &by)? {
        made.push(format!("custody key; its public half is {key}"));
    }
    let key = catalog.read(|db| key::signer(data, db));
    for config in &config.volumes {
        let (name, path) = (config.name.clone(), config.path.display().to_string());
        if Volume::marker(&config.path).is_ok() {
            continue;
        }
        let (by_name, forget) = (name.clone(), by.clone());
        if !catalog.write(move |tx| volumes::forget_unused(tx, &forget, &by_name))? {
            let what = format!("volume {name} holds recordings, and it is not at {path}");
            return Err(Error::new(Kind::NotFound, what)
                .next("mount it there, or name its old path again; a new volume wants a new name"));
        }
        let marker = Volume::create(config, &station, rfc3339(clock.now()))?;
        let by = by.clone();
        catalog.write(move |tx| volumes::register(tx, &by, &marker.id, &name, &path))?;
        made.push(format!("volume {} at {}", config.name, config.path.display()));
    }
    for dock in &config.docks {
        if !dock.path.exists() {
            std::fs::create_dir_all(&dock.path).map_err(|e| Error::io("create", &dock.path, e))?;
            made.push(format!("dock {} at {}", dock.name, dock.path.display()));
        }
    }
    // Last, so that everything else is made all the same.
    key.map(|_| made)
}
