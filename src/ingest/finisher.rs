//! The hand-over from copying to the archive: a queue and a few threads for each volume. What is
//! done there stands in [`super::finish`]. Small files go through in batches, so that they share syncs
//! and commits.

use std::collections::HashSet;
use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::digests::Values;
use super::finish::Work;
use super::progress::Progress;
use super::station::Core;
use crate::archive::volume::Volume;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::jobs::Job;

/// Files and bytes that share syncs and commits.
const BATCH_FILES: usize = 128;
const BATCH_BYTES: u64 = 64 << 20;
/// Finished copies that may wait; beyond it the writers wait.
const WAITING: usize = 256;
/// Threads that finish per volume: one syncs while the other reads back.
const THREADS: usize = 2;

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
    in_hand: Option<InHand>,
    /// Counters of the stay.
    pub progress: Arc<Progress>,
}

impl Ticket {
    /// A receipt that goes to `tell`.
    pub fn new(tell: Sender<Settled>, job: i64, progress: Arc<Progress>) -> Self {
        Self { tell: Some(tell), job, in_hand: None, progress }
    }

    /// Tells how it ended.
    pub fn settle(mut self, outcome: Outcome) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Outcome) {
        // Before it is told: whoever hears it may hand the job over again.
        if let Some(in_hand) = self.in_hand.take() {
            in_hand.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.job);
        }
        if let Some(tell) = self.tell.take() {
            let _ = tell.send((self.job, outcome));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.tell.is_some() {
            let lost = Error::new(Kind::Cancelled, "finishing was cut short; the next start goes on with it");
            self.tell(Outcome::Failed(lost));
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
    in_hand: InHand,
}

/// Jobs that have been handed over and are not settled: a second hand-over would finish them twice.
type InHand = Arc<Mutex<HashSet<i64>>>;

impl Finisher {
    /// Starts the threads.
    pub fn start(volume: Arc<Volume>, core: Arc<Core>) -> Result<Self> {
        let (send, items) = sync_channel(WAITING);
        let items = Arc::new(Mutex::new(items));
        let (stop, in_hand) = (Cancel::new(), InHand::default());
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let work = Work {
                whole: volume.dir.reopen()?,
                volume: Arc::clone(&volume),
                core: Arc::clone(&core),
                stop: stop.clone(),
            };
            let items = Arc::clone(&items);
            let thread = std::thread::Builder::new()
                .name(format!("finish-{}", volume.name))
                .spawn(move || finish_loop(&work, &items))
                .map_err(|e| Error::new(Kind::Invalid, format!("cannot start a finishing thread: {e}")))?;
            threads.push(thread);
        }
        Ok(Self { volume, send: Mutex::new(Some(send)), threads: Mutex::new(threads), stop, in_hand })
    }

    /// Hands a copy over; waits while too many do already. One that is in hand already is left to
    /// whoever handed it over.
    pub fn submit(&self, mut item: Item) {
        if !self.in_hand.lock().unwrap_or_else(PoisonError::into_inner).insert(item.job.id) {
            return item.ticket.settle(Outcome::OthersGoOn);
        }
        item.ticket.in_hand = Some(Arc::clone(&self.in_hand));
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(send) = send {
            let _ = send.send(item);
        }
    }

    /// After a failed sync nothing on the volume is known to be durable: it takes no more.
    pub fn sync_failed(&self, e: Error) -> Error {
        self.volume.note_sync_failure(e)
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
