//! From a written part to an archived recording (protocol steps 5 to 8), beside the copying of
//! the next files.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use super::finisher::{Item, Outcome, Stage};
use super::place::{list_new, put_in_place, set_aside};
use super::station::Core;
use crate::archive::layout;
use crate::archive::read_back::{BLOCK, read_back};
use crate::archive::volume::{State, Volume};
use crate::base::direct_io::AlignedBuf;
use crate::base::durable_fs as fs;
use crate::base::failpoint;
use crate::base::meter::Step;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::jobs::{self, GivenUp, Job, SameBytes};

/// From so many small files on, one sync of the file system is cheaper than one for each file.
const SYNC_FS_FROM: usize = 4;
/// Reads at once in a batch, so that small files keep the disk busy.
const READERS: usize = 3;

/// What one finishing thread works with.
pub struct Work {
    /// The volume.
    pub volume: Arc<Volume>,
    /// The volume's root, opened for this thread alone: a failed write is told to each opening once.
    pub whole: fs::Dir,
    /// Shared by all threads of the station.
    pub core: Arc<Core>,
    /// Ends reading back at the next block.
    pub stop: Cancel,
}

impl Work {
    /// Takes a batch through all steps; each item leaves it settled.
    pub fn finish(&self, batch: Vec<Item>) {
        let (mut written, mut copied, mut verified) = (Vec::new(), Vec::new(), Vec::new());
        for mut item in batch {
            match std::mem::replace(&mut item.stage, Stage::Copied) {
                Stage::Written(file) => written.push((item, file)),
                Stage::Copied => copied.push(item),
                Stage::Verified => verified.push(item),
                Stage::Unwritten(e) => self.give_up(item, e),
            }
        }
        let meter = &self.core.meter;
        if !written.is_empty() {
            copied.extend(meter.timed(Step::Sync, || self.sync(written)));
        }
        verified.extend(self.verify(self.while_sound(copied)));
        let verified = self.while_sound(verified);
        if !verified.is_empty() {
            meter.timed(Step::Place, || self.place(verified));
        }
    }

    /// After a failed sync nothing that is said of the volume can be believed: a second sync may
    /// well succeed, without the bytes that the first one lost.
    fn while_sound(&self, items: Vec<Item>) -> Vec<Item> {
        let State::Failed(why) = self.volume.state() else { return items };
        for item in items {
            self.hold(item, Error::new(Kind::Invalid, format!("volume {}: {why}", self.volume.name)));
        }
        Vec::new()
    }

    /// On a volume that has failed, a copy drops out where others have it, or waits for the next start.
    fn hold(&self, item: Item, e: Error) {
        let (by, job, volume) = (self.core.by(), item.job.id, self.volume.id.clone());
        let reason = e.what().to_owned();
        let held = self.core.catalog.write(move |tx| jobs::drop_out(tx, &by, job, &volume, &reason));
        item.ticket.settle(match held {
            Ok(Some(GivenUp::Archived)) => Outcome::Archived,
            Ok(Some(_)) => Outcome::OthersGoOn,
            Ok(None) => Outcome::Failed(e),
            Err(e) => Outcome::Failed(e),
        });
    }

    /// Step 5: everything durable, then `copied`. Bytes that are archived already end here.
    fn sync(&self, items: Vec<(Item, File)>) -> Vec<Item> {
        let mut synced = Vec::new();
        let at_once = self.volume.can_sync_fs && items.len() >= SYNC_FS_FROM;
        failpoint::hit("finish.before-sync");
        let read_only: Vec<_> = items.iter().map(|(_, file)| fs::make_read_only(file)).collect();
        let together = if at_once { self.whole.sync_fs() } else { Ok(()) };
        for ((item, file), read_only) in items.into_iter().zip(read_only) {
            let part = self.volume.dir.join(&layout::part(&item.job.recording));
            let alone = || if at_once { Ok(()) } else { fs::sync(&file) };
            let result = match &together {
                Ok(()) => read_only.and_then(|()| alone()).map_err(|e| Error::io("sync", &part, e)),
                Err(e) => Err(Error::new(e.kind(), e.what())),
            };
            fs::drop_cache(&file);
            match result {
                Ok(()) => synced.push(item),
                Err(e) => {
                    let e = self.volume.note_sync_failure(e);
                    self.give_up(item, e);
                }
            }
        }
        if synced.is_empty() {
            return synced;
        }
        let names = if at_once { Ok(()) } else { self.volume.dir.sync_dir(Path::new(layout::INCOMING)) };
        if let Err(e) = names {
            let e = self.volume.note_sync_failure(e);
            let what = e.what().to_owned();
            for item in synced {
                self.give_up(item, Error::new(e.kind(), what.clone()));
            }
            return Vec::new();
        }
        failpoint::hit("finish.synced");
        let by = self.core.by();
        let (id, name) = (self.volume.id.clone(), self.volume.name.clone());
        let rows: Vec<_> = synced.iter().map(|i| (i.job.clone(), i.values.clone())).collect();
        let done = self.core.catalog.write(move |tx| {
            let mut known = Vec::new();
            for (job, values) in &rows {
                // In one transaction: bytes that are archived between asking and claiming them
                // would be archived twice.
                known.push(jobs::same_bytes(tx, job, &values.sha256)?);
                if let Some(SameBytes::Lost(place)) = known.last() {
                    jobs::set_dest(tx, job.id, place)?;
                }
                if let Some(SameBytes::No | SameBytes::Lost(_)) = known.last() {
                    let sm3 = values.sm3.as_ref().map(|h| &h[..]);
                    jobs::copied(tx, &by, job, (&id, &name), &values.sha256, sm3)?;
                }
            }
            Ok(known)
        });
        failpoint::hit("finish.copied");
        match done {
            Ok(known) => {
                let mut go_on = Vec::new();
                for (mut item, known) in synced.into_iter().zip(known) {
                    match known {
                        SameBytes::No => go_on.push(item),
                        // The card brings back what the archive has lost.
                        SameBytes::Lost(place) => {
                            item.job.dest = place;
                            go_on.push(item);
                        }
                        SameBytes::Archived(of) => self.end_duplicate(item, of),
                        // A part that stays would be nobody's once another volume ends the job.
                        SameBytes::UnderWay => {
                            match self.volume.dir.remove(&layout::part(&item.job.recording)) {
                                // Once its twin is archived, a second look finds the duplicate.
                                Ok(()) => {
                                    let why = "the same bytes are being archived just now";
                                    self.give_up(item, Error::new(Kind::Busy, why));
                                }
                                Err(e) => item.ticket.settle(Outcome::Failed(e)),
                            }
                        }
                    }
                }
                go_on
            }
            Err(e) => fail_all(synced, &e),
        }
    }

    fn end_duplicate(&self, item: Item, of: String) {
        // The part goes first: a crash in between only means that it is copied again.
        let removed = self.volume.dir.remove(&layout::part(&item.job.recording));
        let (by, job, volume) = (self.core.by(), item.job.clone(), self.volume.id.clone());
        let ended = removed
            .and_then(|()| self.core.catalog.write(move |tx| jobs::duplicate(tx, &by, &job, &volume, &of)));
        item.ticket.settle(match ended {
            Ok(true) => Outcome::Duplicate,
            Ok(false) => Outcome::OthersGoOn,
            Err(e) => Outcome::Failed(e),
        });
    }

    /// Step 6: read back past the page cache and compare, then `verified`.
    fn verify(&self, items: Vec<Item>) -> Vec<Item> {
        if items.is_empty() {
            return items;
        }
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<Result<&'static str>>>> =
            Mutex::new(items.iter().map(|_| None).collect());
        let readers = READERS.min(items.len());
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| {
                    let largest = items.iter().map(|i| i.job.size).max().unwrap_or(0);
                    let room = usize::try_from(largest).unwrap_or(BLOCK).clamp(1, BLOCK);
                    let mut buf = AlignedBuf::new(room.next_multiple_of(AlignedBuf::ALIGN));
                    loop {
                        let i = next.fetch_add(1, SeqCst);
                        let Some(item) = items.get(i) else { return };
                        let meter = &self.core.meter;
                        let result = meter.timed(Step::ReadBack, || self.read_back(item, &mut buf));
                        results.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(result);
                    }
                });
            }
        });
        failpoint::hit("finish.read-back");
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (mut good, mut how) = (Vec::new(), Vec::new());
        for (item, result) in items.into_iter().zip(results) {
            match result {
                Some(Ok(word)) => {
                    how.push(word);
                    good.push(item);
                }
                // What the medium does not give back is as bad as other bytes.
                Some(Err(e)) if e.kind().is_medium() => self.quarantine(item, e),
                Some(Err(e)) if self.is_lost(&item.job) => self.give_up(item, e),
                Some(Err(e)) => item.ticket.settle(Outcome::Failed(e)),
                None => item.ticket.settle(Outcome::Failed(Error::new(Kind::Cancelled, "not read back"))),
            }
        }
        let by = self.core.by();
        let (id, name) = (self.volume.id.clone(), self.volume.name.clone());
        let rows: Vec<_> = good.iter().map(|i| i.job.clone()).zip(how).collect();
        let done = self.core.catalog.write(move |tx| {
            rows.iter().try_for_each(|(job, how)| jobs::verified(tx, &by, job, (&id, &name), how))
        });
        failpoint::hit("finish.verified");
        match done {
            Ok(()) => good,
            Err(e) => fail_all(good, &e),
        }
    }

    fn read_back(&self, item: &Item, buf: &mut AlignedBuf) -> Result<&'static str> {
        let part = layout::part(&item.job.recording);
        let told = |n| {
            item.ticket.progress.verified(n);
            self.core.meter.bytes_read_back.inc_by(n);
        };
        let found = read_back(&self.volume.dir, &part, buf, &self.stop, &told)?;
        if found.sha256 == item.values.sha256 && found.size == item.job.size {
            return Ok(found.how.word());
        }
        Err(Error::new(
            Kind::Integrity,
            format!(
                "volume {} gave back other bytes than were written for {}",
                self.volume.name,
                part.display()
            ),
        )
        .next("the part is kept in quarantine; check the disk and the memory of this machine"))
    }

    /// Steps 7 and 8: into place without replacing, both directories durable, then the rows.
    fn place(&self, items: Vec<Item>) {
        let mut dirs: BTreeSet<PathBuf> = BTreeSet::new();
        let mut placed = Vec::new();
        for item in items {
            match self.move_into_place(&item) {
                Ok(dir) => {
                    dirs.insert(dir);
                    placed.push(item);
                }
                Err(e) if e.kind() == Kind::Integrity || self.is_lost(&item.job) => self.give_up(item, e),
                Err(e) => item.ticket.settle(Outcome::Failed(e)),
            }
        }
        if placed.is_empty() {
            return;
        }
        failpoint::hit("finish.renamed");
        dirs.insert(layout::INCOMING.into());
        if let Err(e) = dirs.iter().try_for_each(|dir| self.volume.dir.sync_dir(dir)) {
            let e = self.volume.note_sync_failure(e);
            for item in placed {
                self.hold(item, Error::new(e.kind(), e.what()));
            }
            return;
        }
        failpoint::hit("finish.placed");
        let (by, volume) = (self.core.by(), self.volume.id.clone());
        let ids: Vec<i64> = placed.iter().map(|i| i.job.id).collect();
        let done = self.core.catalog.write(move |tx| {
            ids.iter().map(|&id| jobs::placed(tx, &by, id, &volume)).collect::<Result<Vec<bool>>>()
        });
        failpoint::hit("finish.archived");
        match done {
            Ok(archived) => {
                for (item, archived) in placed.into_iter().zip(archived) {
                    item.ticket.settle(if archived { Outcome::Archived } else { Outcome::OthersGoOn });
                }
            }
            Err(e) => drop(fail_all(placed, &e)),
        }
        if let Err(e) = list_new(&self.core, &self.volume) {
            tracing::warn!("manifests of volume {}: {e}", self.volume.name);
        }
    }

    /// Neither its part nor its original is on the volume.
    fn is_lost(&self, job: &Job) -> bool {
        let gone = |rel: &Path| matches!(self.volume.dir.stat(rel), Ok(None));
        gone(&layout::part(&job.recording)) && gone(Path::new(&job.dest))
    }

    /// Moves the part; after a restart it may be in place already. Returns its directory.
    fn move_into_place(&self, item: &Item) -> Result<PathBuf> {
        failpoint::hit("finish.before-rename");
        let dest = Path::new(&item.job.dest);
        // Not the job's hash: it was planned before there was one.
        put_in_place(&self.core, &self.volume, &item.job.recording, dest, &item.values.sha256, &self.stop)?;
        Ok(dest.parent().unwrap_or(Path::new("")).to_owned())
    }

    /// Keeps a bad copy aside and has the file copied again.
    fn quarantine(&self, item: Item, e: Error) {
        match set_aside(&self.core, &self.volume, &item.job.recording, &layout::part(&item.job.recording), &e)
        {
            Ok(()) => self.give_up(item, e),
            Err(e) => item.ticket.settle(Outcome::Failed(e)),
        }
    }

    /// This volume drops out of the copy; the others go on, or the file is copied again.
    fn give_up(&self, item: Item, e: Error) {
        self.volume.note_trouble(&e, item.job.size);
        // Nobody reads it any more, and a job that ends as a duplicate would leave it behind.
        if let Err(e) = self.volume.dir.remove(&layout::part(&item.job.recording)) {
            tracing::warn!("{e}");
        }
        let (by, job, volume) = (self.core.by(), item.job.id, self.volume.id.clone());
        let reason = e.what().to_owned();
        let given = self.core.catalog.write(move |tx| jobs::give_up(tx, &by, job, &volume, &reason));
        item.ticket.settle(match given {
            Ok(GivenUp::Archived) => Outcome::Archived,
            Ok(GivenUp::OthersGoOn) => Outcome::OthersGoOn,
            Ok(GivenUp::Restarted) => Outcome::Again(e),
            Err(e) => Outcome::Failed(e),
        });
    }
}

fn fail_all(items: Vec<Item>, e: &Error) -> Vec<Item> {
    for item in items {
        let copy = Error::new(e.kind(), e.what());
        item.ticket.settle(Outcome::Failed(match e.advice() {
            Some(next) => copy.next(next),
            None => copy,
        }));
    }
    Vec::new()
}
