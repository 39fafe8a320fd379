//! From a written part to an archived recording (protocol steps 5 to 8), beside the copying of
//! the next files. Small files go through in batches, so that they share syncs and commits.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::errno::Errno;

use super::digests::Values;
use super::progress::Progress;
use super::station::Core;
use crate::archive::read_back::{BLOCK, read_back};
use crate::archive::volume::Volume;
use crate::archive::{layout, manifest};
use crate::base::direct_io::AlignedBuf;
use crate::base::durable_fs as fs;
use crate::base::failpoint;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::jobs::{self, GivenUp, Job, SameBytes};
use crate::catalog::recordings;

/// Files and bytes that share syncs and commits.
const BATCH_FILES: usize = 128;
const BATCH_BYTES: u64 = 64 << 20;
/// From so many small files on, one sync of the file system is cheaper than one for each file.
const SYNC_FS_FROM: usize = 4;
/// Finished copies that may wait; beyond it the writers wait.
const WAITING: usize = 256;
/// Threads that finish per volume: one syncs while the other reads back.
const THREADS: usize = 2;
/// Reads at once in a batch, so that small files keep the disk busy.
const READERS: usize = 3;

/// Where a copy stands when it is handed over.
pub enum Stage {
    /// Everything is written, nothing synced.
    Written(File),
    /// Synced and committed; read back next (after a restart).
    Copied,
    /// Read back and committed; the rename may have happened (after a restart).
    Verified,
    /// Writing failed; the volume drops out.
    Unwritten(Error),
}

/// One copy of one file on its way to its place.
pub struct Item {
    /// The job.
    pub job: Job,
    /// The digests of the source.
    pub values: Values,
    /// How far it is.
    pub stage: Stage,
    /// Whom to tell.
    pub ticket: Ticket,
}

/// How a copy on one volume ended.
#[derive(Debug)]
pub enum Outcome {
    /// The recording is archived.
    Archived,
    /// Its bytes were archived before.
    Duplicate,
    /// This volume is done or has dropped out; others are under way.
    OthersGoOn,
    /// It has to be copied again, while the card is here.
    Again(Error),
    /// It could not be archived.
    Failed(Error),
}

/// A job and how one of its copies ended.
pub type Settled = (i64, Outcome);

/// The receipt for one item: tells the stay, once, how it ended.
pub struct Ticket {
    tell: Option<Sender<Settled>>,
    job: i64,
    /// Counters of the stay.
    pub progress: Arc<Progress>,
}

impl Ticket {
    /// A receipt that goes to `tell`.
    pub fn new(tell: Sender<Settled>, job: i64, progress: Arc<Progress>) -> Self {
        Self { tell: Some(tell), job, progress }
    }

    fn settle(mut self, outcome: Outcome) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send((self.job, outcome));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            let lost = Error::new(Kind::Cancelled, "finishing was cut short; the next start goes on with it");
            let _ = tell.send((self.job, Outcome::Failed(lost)));
        }
    }
}

/// The finishing threads of one volume.
pub struct Finisher {
    /// The volume.
    pub volume: Arc<Volume>,
    send: Mutex<Option<SyncSender<Item>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: Cancel,
}

impl Finisher {
    /// Starts the threads.
    pub fn start(volume: Arc<Volume>, core: Arc<Core>) -> Result<Self> {
        let (send, items) = sync_channel(WAITING);
        let items = Arc::new(Mutex::new(items));
        let stop = Cancel::new();
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let work = Work { volume: Arc::clone(&volume), core: Arc::clone(&core), stop: stop.clone() };
            let items = Arc::clone(&items);
            let thread = std::thread::Builder::new()
                .name(format!("finish-{}", volume.name))
                .spawn(move || finish_loop(&work, &items))
                .map_err(|e| Error::new(Kind::Invalid, format!("cannot start a finishing thread: {e}")))?;
            threads.push(thread);
        }
        Ok(Self { volume, send: Mutex::new(Some(send)), threads: Mutex::new(threads), stop })
    }

    /// Hands a copy over; waits while too many do already.
    pub fn submit(&self, item: Item) {
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(send) = send {
            let _ = send.send(item);
        }
    }

    /// After a failed sync nothing on the volume is known to be durable: it takes no more.
    pub fn sync_failed(&self, e: Error) -> Error {
        note_sync_failure(&self.volume, e)
    }

    /// Stops reading back at the next block; copies that are not done are left for the next start.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        *self.send.lock().unwrap_or_else(PoisonError::into_inner) = None;
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

fn note_sync_failure(volume: &Volume, e: Error) -> Error {
    if e.kind() == Kind::NoSpace {
        volume.mark_full(0);
    } else {
        volume.mark_failed(e.what());
    }
    e
}

fn finish_loop(work: &Work, items: &Mutex<Receiver<Item>>) {
    loop {
        let mut batch = Vec::new();
        {
            let items = items.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(first) = items.recv() else { return };
            let mut bytes = first.job.size;
            batch.push(first);
            while batch.len() < BATCH_FILES && bytes < BATCH_BYTES {
                let Ok(next) = items.try_recv() else { break };
                bytes += next.job.size;
                batch.push(next);
            }
        }
        // Asked to stop: the next start, or the next docking, goes on with them.
        if !work.stop.is_cancelled() {
            work.finish(batch);
        }
    }
}

struct Work {
    volume: Arc<Volume>,
    core: Arc<Core>,
    stop: Cancel,
}

impl Work {
    /// Takes a batch through all steps; each item leaves it settled.
    fn finish(&self, batch: Vec<Item>) {
        let (mut written, mut copied, mut verified) = (Vec::new(), Vec::new(), Vec::new());
        for mut item in batch {
            match std::mem::replace(&mut item.stage, Stage::Copied) {
                Stage::Written(file) => written.push((item, file)),
                Stage::Copied => copied.push(item),
                Stage::Verified => verified.push(item),
                Stage::Unwritten(e) => self.give_up(item, e),
            }
        }
        copied.extend(self.sync(written));
        verified.extend(self.verify(copied));
        self.place(verified);
    }

    /// Step 5: everything durable, then `copied`. Bytes that are archived already end here.
    fn sync(&self, items: Vec<(Item, File)>) -> Vec<Item> {
        let mut synced = Vec::new();
        let at_once = self.volume.can_sync_fs && items.len() >= SYNC_FS_FROM;
        failpoint::hit("finish.before-sync");
        let read_only: Vec<_> = items.iter().map(|(_, file)| fs::make_read_only(file)).collect();
        let together = if at_once { self.volume.dir.sync_fs() } else { Ok(()) };
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
                    let e = note_sync_failure(&self.volume, e);
                    self.give_up(item, e);
                }
            }
        }
        if synced.is_empty() {
            return synced;
        }
        let names = if at_once { Ok(()) } else { self.volume.dir.sync_dir(Path::new(layout::INCOMING)) };
        if let Err(e) = names {
            let e = note_sync_failure(&self.volume, e);
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
                if let Some(SameBytes::No) = known.last() {
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
                for (item, known) in synced.into_iter().zip(known) {
                    match known {
                        SameBytes::No => go_on.push(item),
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
                        let result = self.read_back(item, &mut buf);
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
                Some(Err(e)) if matches!(e.kind(), Kind::Integrity | Kind::Io(Errno::EIO)) => {
                    self.quarantine(item, e);
                }
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
        let progress = &item.ticket.progress;
        let found = read_back(&self.volume.dir, &part, buf, &self.stop, &|n| progress.verified(n))?;
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
            fail_all(placed, &note_sync_failure(&self.volume, e));
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
        let (job, dest) = (&item.job, Path::new(&item.job.dest));
        let dir = dest.parent().unwrap_or(Path::new("")).to_owned();
        self.volume.ensure_dirs(&dir)?;
        failpoint::hit("finish.before-rename");
        let part = layout::part(&job.recording);
        let moved_before = self.volume.dir.stat(&part)?.is_none() && self.volume.dir.stat(dest)?.is_some();
        if moved_before || !self.volume.dir.rename_new(&part, dest)? {
            let mut buf = AlignedBuf::new(BLOCK);
            let found = read_back(&self.volume.dir, dest, &mut buf, &self.stop, &|_| {})?;
            // Not the job's hash: it was planned before there was one.
            if item.values.sha256 == found.sha256 {
                self.volume.dir.remove(&part)?;
            } else {
                let what = format!("other bytes stand at {}", self.volume.dir.join(dest).display());
                let e = Error::new(Kind::Integrity, what).next("they are kept in quarantine; check the disk");
                set_aside(&self.core, &self.volume, &job.recording, dest, &e)?;
                if moved_before || !self.volume.dir.rename_new(&part, dest)? {
                    return Err(e);
                }
            }
        }
        Ok(dir)
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

/// Moves a file with the wrong bytes to quarantine, under a name that nothing there has yet.
pub fn set_aside(core: &Core, volume: &Volume, recording: &str, from: &Path, why: &Error) -> Result<()> {
    tracing::error!("{why}");
    let mut attempt = 1;
    while !volume.dir.rename_new(from, &layout::quarantined(recording, attempt))? {
        attempt += 1;
    }
    volume.dir.sync_dir(Path::new(layout::QUARANTINE))?;
    let aside = layout::quarantined(recording, attempt).display().to_string();
    let (by, recording, reason) = (core.by(), recording.to_owned(), why.what().to_owned());
    let (id, name) = (volume.id.clone(), volume.name.clone());
    core.catalog.write(move |tx| jobs::note_quarantine(tx, &by, (&id, &name), &aside, &recording, &reason))
}

/// Names archived copies in the manifests that do not name them yet (protocol step 9).
pub fn list_new(core: &Core, volume: &Volume) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let list = core.catalog.read(|db| recordings::unlisted(db, &volume.id, 256))?;
        if list.is_empty() {
            return Ok(());
        }
        manifest::append(volume, &list)?;
        failpoint::hit("manifest.written");
        let (id, ids) = (volume.id.clone(), list.into_iter().map(|(r, _)| r.id).collect::<Vec<_>>());
        core.catalog.write(move |tx| recordings::set_listed(tx, &id, &ids))?;
    }
}
