//! The custody key of a station, and checkpoints signed with it and handed to their keepers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

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

/// Signs checkpoints when they are due and sees to it that every place has them.
#[derive(Default)]
pub struct Keeper {
    /// The size up to which a place has every checkpoint.
    kept: BTreeMap<String, u64>,
    /// What was said of a place, or of signing, and still holds.
    trouble: BTreeMap<String, String>,
}

impl Keeper {
    /// Signs what is due and hands out what a place does not have. What fails is said once in the log and
    /// tried again in the next round.
    pub fn keep(&mut self, station: &Station) {
        let config = station.settings().config.clone();
        let witness = config.custody.witness.as_ref().map(|path| (show(path.as_os_str()), Dir::open(path)));
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
                match look_at(station, name, place) {
                    Ok(()) => drop(self.kept.insert(name.clone(), 0)),
                    Err(e) if e.kind() == Kind::Integrity => signed = Err(e),
                    Err(e) => self.say(name, Some(&e)),
                }
            }
        }
        let signed = signed.and_then(|()| sign_if_due(station, &config));
        self.say("signing", signed.as_ref().err());
        for (name, place, volume) in &places {
            let Some(upto) = self.kept.get(name).copied() else { continue };
            let done = self.hand_out(station, name, place, upto);
            if let (Err(e), Some(volume)) = (&done, volume) {
                volume.note_trouble(e, 0);
            }
            self.say(name, done.as_ref().err());
        }
    }

    /// What stands in the way of signing or of keeping checkpoints.
    pub fn trouble(&self) -> impl Iterator<Item = &str> {
        self.trouble.values().map(String::as_str)
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

    fn hand_out(&mut self, station: &Station, name: &str, place: &Place<'_>, upto: u64) -> Result<()> {
        let list = station.core.catalog.read(|db| checkpoint::since(db, upto))?;
        let there = if upto == 0 { place.sizes()? } else { BTreeSet::new() };
        for kept in list {
            if !there.contains(&kept.size) {
                place.keep(&kept)?;
            }
            self.kept.insert(name.to_owned(), kept.size);
        }
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

/// Looks at a place for the first time: one that bears a checkpoint of this key that the catalogue does
/// not know says that the catalogue is an older copy, and nothing is signed on top of it.
fn look_at(station: &Station, name: &str, place: &Place<'_>) -> Result<()> {
    let there = place.sizes()?;
    let (known, named) = station.core.catalog.read(|db| Ok((sizes(db)?, key::current(db)?)))?;
    let strange: BTreeSet<u64> = there.difference(&known).copied().collect();
    for (_, bytes) in place.notes(Some(&strange))? {
        let Some((note, said)) = Checkpoint::of(&bytes) else { continue };
        if named.as_ref().is_some_and(|k| note.signed_by(&k.key) == Signed::Yes) {
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
    Ok(())
}

/// The checkpoints that lie outside the catalogue, and why a place could not be looked at. Looks without
/// the volumes' locks, beside a running daemon.
pub fn held(config: &Config, db: &Connection) -> Result<(Vec<Held>, Vec<Error>)> {
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    let mut take = |place: &str, notes: Result<Vec<(PathBuf, Vec<u8>)>>| match notes {
        Ok(notes) => found.extend(notes.into_iter().map(|(path, note)| Held {
            place: place.to_owned(),
            path: show(path.as_os_str()),
            note,
        })),
        Err(e) => absent.push(e),
    };
    for volume in &config.volumes {
        let expected = volumes::id_of(db, &volume.name)?;
        let look = Look::open(volume, expected.as_deref());
        take(&format!("volume {}", volume.name), look.and_then(|l| Place::on_volume(&l.dir).notes(None)));
    }
    if let (Some(path), Some(station)) = (&config.custody.witness, dockings::known_station(db)?) {
        let notes = Dir::open(path).and_then(|dir| Place::in_witness(&dir, &station).notes(None));
        take(&format!("witness {}", show(path.as_os_str())), notes);
    }
    Ok((found, absent))
}

fn sizes(db: &Connection) -> Result<BTreeSet<u64>> {
    Ok(checkpoint::since(db, 0)?.into_iter().map(|k| k.size).collect())
}
