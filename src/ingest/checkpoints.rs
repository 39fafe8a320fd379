//! The custody key of a station, and checkpoints signed with it and handed to their keepers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::errno::Errno;

use super::station::Station;
use crate::access::{self, About, Deed, Person};
use crate::archive::volume::{Look, State};
use crate::archive::witness::Place;
use crate::base::config::Config;
use crate::base::durable_fs::Dir;
use crate::base::text::show;
use crate::base::{Error, Kind, Result};
use crate::catalog::dockings::{self, By};
use crate::catalog::{Catalog, Connection, volumes};
use crate::custody::checkpoint::{self, Checkpoint, Kept};
use crate::custody::entry::Hash;
use crate::custody::key::{self, OBJECT};
use crate::custody::note::{PublicKey, Signed};
use crate::custody::verify::Held;
use crate::custody::{log, tiles};

/// Gives a station its key where its log names none: the file first, then the entry that names it. Returns
/// the key where the log names it from now on. Whether the file still holds a key that was named before is
/// looked at when it is to sign.
///
/// # Errors
/// Where the file cannot be made or read, or holds another station's key.
pub fn ensure_key(catalog: &Catalog, data: &Path, station: &str, by: &By) -> Result<Option<PublicKey>> {
    let origin = checkpoint::origin(station);
    let (named, signed) = catalog.read(|db| Ok((key::current(db)?, checkpoint::newest(db)?)))?;
    if named.is_some() || signed.is_some() {
        return Ok(None);
    }
    let public = match key::load(data)? {
        // Cut off before its entry, or the catalogue was made anew.
        Some(key) => key.public(),
        None => key::create(data, &origin)?.public(),
    };
    if public.name != origin {
        let what = format!("{} is the key of another station", data.join(key::FILE).display());
        return Err(
            Error::new(Kind::Invalid, what).next("put it back where it belongs; docket makes a new one")
        );
    }
    let (entry, told) = (by.clone(), public.clone());
    catalog.write(move |tx| {
        let entry = entry.entry("custody.key", OBJECT.into(), key::details(&told, None));
        log::append(tx, &entry).map(drop)
    })?;
    Ok(Some(public))
}

/// Replaces the key: the log names the new one, signed by the old where it is still here.
///
/// # Errors
/// [`Kind::Forbidden`] for whoever may not.
pub fn new_key(
    catalog: &Catalog,
    data: &Path,
    who: &Person,
    station: &str,
    now: DateTime<Utc>,
    reason: &str,
) -> Result<PublicKey> {
    access::check(who, Deed::ReplaceCustodyKey, &About::default())?;
    let by = By { actor: who.actor.clone(), at: now };
    let next = key::prepare(data, &checkpoint::origin(station))?;
    // A key that cannot be read cannot sign either.
    let old = key::load(data).ok().flatten();
    let (public, reason) = (next.public(), reason.to_owned());
    let told = public.clone();
    catalog.write(move |tx| {
        let named = key::current(tx)?.map(|k| k.key);
        let signer = old.as_ref().filter(|old| named.as_ref() == Some(&old.public()));
        let mut details = key::details(&told, named.as_ref().map(|n| (n, signer)));
        details["reason"] = reason.into();
        details["checkpoint"] = checkpoint::newest(tx)?.map_or(0, |k| k.size).into();
        log::append(tx, &by.entry("custody.key", OBJECT.into(), details)).map(drop)
    })?;
    key::replace(data, &next)?;
    Ok(public)
}

/// Signs a checkpoint over everything that is in the log now; `None` where the newest one covers it.
///
/// # Errors
/// As [`checkpoint::make`].
pub fn sign(catalog: &Catalog, data: &Path, now: DateTime<Utc>) -> Result<Option<Kept>> {
    // In pieces: nobody else waits for the tiles of a long log.
    while !catalog.write(|tx| tiles::fill(tx, log::head(tx)?.0))? {}
    let data = data.to_owned();
    let made = catalog.write(move |tx| {
        let signer = key::signer(&data, tx)?;
        checkpoint::make(tx, &signer, now)
    })?;
    if let Some(kept) = &made {
        // The journal is a keeper too: the note can be put together again from this line.
        tracing::info!("custody checkpoint of {} entries: {}", kept.size, kept.note.replace('\n', "\\n"));
    }
    Ok(made)
}

const SIGNING: &str = "signing";
/// How long a witness folder may take to open: a file server that is away lets wait without end.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A folder on a server that may never answer: opened aside, and no second time while that lasts.
struct Distant {
    path: PathBuf,
    opening: Option<Receiver<Result<Dir>>>,
}

impl Distant {
    fn at(path: PathBuf) -> Self {
        Self { path, opening: None }
    }

    fn open(&mut self, within: Duration) -> Result<Dir> {
        let path = self.path.clone();
        let opening = self.opening.take().unwrap_or_else(|| begin("witness", move || Dir::open(&path)));
        match opening.recv_timeout(within) {
            Ok(opened) => opened,
            Err(RecvTimeoutError::Timeout) => {
                self.opening = Some(opening);
                Err(Error::new(Kind::Busy, format!("{} does not answer", show(self.path.as_os_str()))))
            }
            Err(RecvTimeoutError::Disconnected) => Err(Error::io("open", &self.path, Errno::EAGAIN)),
        }
    }
}

/// Begins work on a thread of its own, which nobody has to wait for.
pub fn begin<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (send, receive) = channel();
    // Without a thread the sender is gone, and the receiver hears of that.
    let _ = std::thread::Builder::new().name(name.to_owned()).spawn(move || drop(send.send(work())));
    receive
}

/// Signs checkpoints when they are due and sees to it that every place has them.
#[derive(Default)]
pub struct Keeper {
    /// The size up to which a place has every checkpoint, and those beyond that were found there.
    kept: BTreeMap<String, (u64, BTreeSet<u64>)>,
    /// What was said of a place, or of signing, and still holds.
    trouble: BTreeMap<String, String>,
    witness: Option<Distant>,
}

impl Keeper {
    /// Signs what is due and hands out what a place does not have. What fails is said once in the log and
    /// tried again in the next round.
    pub fn keep(&mut self, station: &Station) {
        let config = station.settings().config.clone();
        if self.witness.as_ref().map(|w| &w.path) != config.custody.witness.as_ref() {
            self.trouble.retain(|about, _| !about.starts_with("witness "));
            self.witness = config.custody.witness.clone().map(Distant::at);
        }
        let witness = self.witness.as_mut().map(|w| (show(w.path.as_os_str()), w.open(ANSWERS_WITHIN)));
        let volumes = station.open_finishers();
        let usable = volumes.iter().map(|f| &f.volume).filter(|v| !matches!(v.state(), State::Failed(_)));
        let mut places: Vec<_> =
            usable.map(|v| (format!("volume {}", v.name), Place::on_volume(&v.dir), Some(v))).collect();
        if let Some((path, dir)) = &witness {
            match dir {
                Ok(dir) => {
                    places.push((format!("witness {path}"), Place::in_witness(dir, station.id()), None))
                }
                Err(e) => self.say(&format!("witness {path}"), Some(e)),
            }
        }
        let mut signed = Ok(());
        for (name, place, _) in &places {
            if !self.kept.contains_key(name) {
                match station.core.catalog.read(|db| look_at(db, name, place)) {
                    Ok(there) => drop(self.kept.insert(name.clone(), (0, there))),
                    Err(e) => signed = Err(e),
                }
            }
        }
        let signed = signed.and_then(|()| sign_if_due(station, &config));
        self.say(SIGNING, signed.as_ref().err());
        for (name, place, volume) in &places {
            if !self.kept.contains_key(name) {
                continue;
            }
            let done = self.hand_out(station, name, place);
            if let (Err(e), Some(volume)) = (&done, volume) {
                volume.note_trouble(e, 0);
            }
            self.say(name, done.as_ref().err());
        }
    }

    /// What stands in the way of signing.
    pub fn unsigned(&self) -> Option<&str> {
        self.trouble.get(SIGNING).map(String::as_str)
    }

    /// Why a place does not get its checkpoints, where signing is not the reason.
    pub fn unreached(&self) -> Option<&str> {
        self.trouble.iter().find(|(about, _)| *about != SIGNING).map(|(_, why)| why.as_str())
    }

    fn say(&mut self, about: &str, e: Option<&Error>) {
        match e {
            Some(e) if self.trouble.get(about).map(String::as_str) != Some(e.what()) => {
                tracing::warn!("checkpoints: {e}");
                self.trouble.insert(about.to_owned(), e.what().to_owned());
            }
            Some(_) => {}
            None => drop(self.trouble.remove(about)),
        }
    }

    fn hand_out(&mut self, station: &Station, name: &str, place: &Place<'_>) -> Result<()> {
        let Some((upto, there)) = self.kept.get_mut(name) else { return Ok(()) };
        for kept in station.core.catalog.read(|db| checkpoint::since(db, *upto))? {
            if !there.contains(&kept.size) {
                place.keep(&kept)?;
            }
            *upto = kept.size;
        }
        there.clear();
        Ok(())
    }
}

fn sign_if_due(station: &Station, config: &Config) -> Result<()> {
    let now = station.core.clock.now();
    let (last, size) = station
        .core
        .catalog
        .read(|db| Ok((checkpoint::newest(db)?.map(|k| (k.size, k.at)), log::head(db)?.0)))?;
    if checkpoint::due(last, size, now, config.custody.checkpoint_every) {
        sign(&station.core.catalog, &config.data, now)?;
    }
    Ok(())
}

/// Looks at a place for the first time: one that bears a checkpoint of this key that the catalogue does not
/// know says that the catalogue is an older copy, and nothing is signed on top of it; nor is it where the
/// place cannot tell. Returns the sizes of the catalogue's checkpoints that the place has.
fn look_at(db: &Connection, name: &str, place: &Place<'_>) -> Result<BTreeSet<u64>> {
    let known: BTreeMap<u64, Hash> = checkpoint::since(db, 0)?
        .iter()
        .filter_map(|kept| Checkpoint::of(kept.note.as_bytes()))
        .map(|(_, said)| (said.size, said.root))
        .collect();
    let named = key::current(db)?;
    let unread = |e: &Error| {
        let what = format!("the checkpoints of {name} cannot be read, and nothing is signed: {}", e.what());
        Error::new(Kind::Integrity, what).next("`docket custody verify` says more")
    };
    let mut there = BTreeSet::new();
    // What cannot be read may be the one checkpoint that matters; yet the others are looked at first.
    let mut first_unread = None;
    for (_, bytes) in place.notes().map_err(|e| unread(&e))? {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(e) => {
                first_unread.get_or_insert(unread(&e));
                continue;
            }
        };
        let Some((note, said)) = Checkpoint::of(&bytes) else { continue };
        if known.get(&said.size) == Some(&said.root) {
            there.insert(said.size);
        } else if named.as_ref().is_some_and(|k| note.signed_by(&k.key) == Signed::Yes) {
            let what = format!(
                "{name} bears a checkpoint of {} entries that the catalogue does not know: \
                 the catalogue is an older copy, and nothing is signed",
                said.size
            );
            return Err(Error::new(Kind::Integrity, what).next(
                "`docket custody verify` says more; after restoring a backup, \
                 `docket custody new-key --reason …` begins anew, and says so in the log",
            ));
        }
    }
    first_unread.map_or(Ok(there), Err)
}

/// Signs for a command beside the daemon, as [`sign`], where no place that can be reached speaks against it.
///
/// # Errors
/// As [`sign`]; [`Kind::Integrity`] where a place bears a checkpoint that the catalogue does not know.
pub fn sign_beside(catalog: &Catalog, config: &Config, now: DateTime<Utc>) -> Result<Option<Kept>> {
    catalog.read(|db| {
        each_place(config, db, |name, place| match place {
            Ok(place) => look_at(db, name, &place).map(drop),
            // One that is not there tells when it is back.
            Err(_) => Ok(()),
        })
    })?;
    sign(catalog, &config.data, now)
}

/// Goes through all places with checkpoints, without the volumes' locks: beside a running daemon.
fn each_place(
    config: &Config,
    db: &Connection,
    mut with: impl FnMut(&str, Result<Place<'_>, &Error>) -> Result<()>,
) -> Result<()> {
    for volume in &config.volumes {
        let expected = volumes::id_of(db, &volume.name)?;
        let look = Look::open(volume, expected.as_deref());
        let name = format!("volume {}", volume.name);
        match &look {
            Ok(look) => with(&name, Ok(Place::on_volume(&look.dir)))?,
            Err(e) => with(&name, Err(e))?,
        }
    }
    if let (Some(path), Some(station)) = (&config.custody.witness, dockings::known_station(db)?) {
        let name = format!("witness {}", show(path.as_os_str()));
        match &Distant::at(path.clone()).open(ANSWERS_WITHIN) {
            Ok(dir) => with(&name, Ok(Place::in_witness(dir, &station)))?,
            Err(e) => with(&name, Err(e))?,
        }
    }
    Ok(())
}

/// What lies outside the catalogue.
#[derive(Default)]
pub struct Outside {
    /// The checkpoints.
    pub held: Vec<Held>,
    /// Where they were looked for.
    pub looked_at: Vec<String>,
    /// Why a place could not be looked at.
    pub absent: Vec<String>,
}

/// The checkpoints that lie outside the catalogue. Looks without the volumes' locks, beside a running daemon.
///
/// # Errors
/// What the catalogue says.
pub fn held(config: &Config, db: &Connection) -> Result<Outside> {
    let mut outside = Outside::default();
    each_place(config, db, |name, place| {
        let place = match place {
            Ok(place) => place,
            Err(e) => {
                outside.absent.push(e.what().to_owned());
                return Ok(());
            }
        };
        let (mut take, place_name) = (Vec::new(), name.to_owned());
        match place.notes() {
            Ok(notes) => take.extend(notes.into_iter().map(|(path, note)| (show(path.as_os_str()), note))),
            // The place is there and its folder is none, or hidden.
            Err(e) => take.push((place.path(), Err(e))),
        }
        outside.looked_at.push(place_name.clone());
        for (path, note) in take {
            match note {
                // Nothing is said of the file: this process has too much open.
                Err(e) if matches!(e.kind(), Kind::Io(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => {
                    outside.absent.push(e.what().to_owned());
                }
                note => outside.held.push(Held {
                    place: place_name.clone(),
                    path,
                    note: note.map_err(|e| e.what().to_owned()),
                }),
            }
        }
        Ok(())
    })?;
    Ok(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_does_not_answer_is_waited_for_once() {
        let temp = tempfile::tempdir().unwrap();
        let mut distant = Distant::at(temp.path().to_owned());
        let (answer, hangs) = channel();
        distant.opening = Some(hangs);
        for _ in 0..2 {
            let e = distant.open(Duration::ZERO).err().unwrap();
            assert!(e.what().ends_with("does not answer"), "{e}");
        }
        answer.send(Dir::open(temp.path())).unwrap();
        assert!(distant.open(Duration::ZERO).is_ok());
        assert!(distant.open(Duration::from_secs(60)).is_ok(), "opened anew");
    }
}
