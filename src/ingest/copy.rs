//! One read of a source file, written to every volume at once (protocol steps 2 to 4).
//!
//! The reader hashes and hands blocks on; each volume has a writer thread of the stay, so that a
//! slow write or sync never stops the reading before the block pool is empty. A journal entry is
//! made when the last writer has synced the bytes before it; the reader does not wait for it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::blocks::{BLOCK, Block, Pool};
use super::digests::{Digests, Values};
use super::finisher::{Finisher, Item, Stage, Ticket};
use super::progress::Progress;
use super::station::Core;
use crate::archive::layout;
use crate::base::config::Config;
use crate::base::direct_io::Output;
use crate::base::durable_fs as fs;
use crate::base::failpoint;
use crate::base::meter::Step;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::jobs::{self, Job};

/// Blocks that a writer which has fallen behind writes in one go.
const GATHER: usize = 8;

/// A copy under way, shared by reader and writers.
struct Running {
    job: Job,
    /// Volumes still being written to; the reader stops at none.
    live: AtomicUsize,
}

enum Command {
    Begin(Arc<Running>, u64),
    Block(u64, Arc<Block>),
    Checkpoint(Arc<Checkpoint>),
    End(Values, Ticket),
    Abandon,
    /// The stay wants its writers back: what was told before is done first.
    Quit,
}

/// A journal entry that waits for every volume to be durable up to it.
struct Checkpoint {
    job: i64,
    offset: u64,
    state: Vec<u8>,
    /// Volumes that have not synced yet.
    left: AtomicUsize,
    /// A volume dropped out: journaled by the others, but not if nobody is left.
    synced: AtomicBool,
}

/// The writer threads of one stay.
pub struct Copier {
    core: Arc<Core>,
    pool: Arc<Pool>,
    writers: Vec<Writer>,
    journal_bytes: u64,
    sm3: bool,
    progress: Arc<Progress>,
    cancel: Cancel,
}

struct Writer {
    volume: String,
    send: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// How reading a source ended.
#[derive(Debug)]
pub enum Copied {
    /// Read whole; the volumes' finishers have it now. Holds how many there are.
    Sent(usize),
    /// Size or time changed while it was read: start over with these.
    Changed {
        /// Its size now.
        size: u64,
        /// Its time now.
        mtime_ns: i64,
    },
    /// Reading failed; what was copied so far is kept.
    Unreadable(Error),
    /// No volume took it; each has said why.
    NoVolume,
}

/// Where a copy begins: 0, or the journaled offset with the hash state there.
pub struct Start {
    /// Bytes kept.
    pub offset: u64,
    /// Digests of the bytes kept.
    pub digests: Digests,
}

impl Copier {
    /// A copier without threads; they start with the first file for a volume.
    pub fn new(core: Arc<Core>, config: &Config, progress: Arc<Progress>, cancel: Cancel) -> Self {
        let (journal_bytes, sm3) = (config.journal_bytes, config.sm3);
        progress.measure(&core.meter);
        let pool = Pool::new(Arc::clone(&core.budget));
        Self { core, pool, writers: Vec::new(), journal_bytes, sm3, progress, cancel }
    }

    /// Fresh digests as the settings ask for.
    pub fn fresh(&self) -> Start {
        Start { offset: 0, digests: Digests::new(self.sm3) }
    }

    fn writer(&mut self, finisher: &Arc<Finisher>) -> Result<Sender<Command>> {
        let id = &finisher.volume.id;
        if let Some(send) = self.writers.iter().find(|w| &w.volume == id).and_then(|w| w.send.clone()) {
            return Ok(send);
        }
        let (send, commands) = channel();
        let (finisher, core) = (Arc::clone(finisher), Arc::clone(&self.core));
        let volume = id.clone();
        let thread = std::thread::Builder::new()
            .name(format!("write-{}", finisher.volume.name))
            .spawn(move || write_loop(&finisher, &core, &commands))
            .map_err(|e| Error::new(Kind::Invalid, format!("cannot start a writer thread: {e}")))?;
        self.writers.push(Writer { volume, send: Some(send.clone()), thread: Some(thread) });
        Ok(send)
    }

    /// Reads `source` from `start` to its end, hashing and writing; hands it to the finishers.
    /// `ticket` makes the receipt that each volume settles.
    ///
    /// # Errors
    /// [`Kind::Cancelled`] when asked to stop: what was copied is journaled for the next start.
    pub fn copy(
        &mut self,
        source: &File,
        job: &Job,
        start: Start,
        targets: &[Arc<Finisher>],
        ticket: &dyn Fn() -> Ticket,
    ) -> Result<Copied> {
        let running = Arc::new(Running { job: job.clone(), live: AtomicUsize::new(targets.len()) });
        let mut sends = Vec::new();
        for target in targets {
            sends.push(self.writer(target)?);
        }
        let tell = |make: &dyn Fn() -> Command| {
            for send in &sends {
                let _ = send.send(make());
            }
        };
        tell(&|| Command::Begin(Arc::clone(&running), start.offset));
        fs::read_once(source);
        let began_reading = Instant::now();
        // Who sets size and modification time back cannot set the time of that change.
        let changed_at = |m: &std::fs::Metadata| (m.ctime(), m.ctime_nsec());
        let began = source.metadata().map(|m| changed_at(&m)).ok();
        let Start { mut offset, mut digests } = start;
        let (mut journaled, mut goes_on) = (offset, false);
        let checkpoint = |offset, digests: &Digests| {
            let mark = Arc::new(Checkpoint {
                job: job.id,
                offset,
                state: digests.save(),
                left: AtomicUsize::new(sends.len()),
                synced: AtomicBool::new(false),
            });
            tell(&|| Command::Checkpoint(Arc::clone(&mark)));
        };
        let ended = loop {
            if running.live.load(SeqCst) == 0 {
                break Some(Copied::NoVolume);
            }
            if self.cancel.is_cancelled() {
                if offset > journaled {
                    checkpoint(offset, &digests);
                }
                tell(&|| Command::Abandon);
                self.drain();
                self.cancel.check()?;
            }
            let mut block = self.pool.take();
            let read = fs::read_at(source, block.whole(), offset);
            let n = match read {
                Ok(n) => n,
                Err(e) => {
                    let what = format!("reading stopped at byte {offset}: {e}");
                    break Some(Copied::Unreadable(Error::new(Kind::of_io(&e), what)));
                }
            };
            if offset + n as u64 > job.size {
                goes_on = true;
                break None;
            }
            block.set_filled(n);
            digests.update(block.filled());
            self.progress.read(n as u64);
            self.core.meter.bytes_read.inc_by(n as u64);
            let block = Arc::new(block);
            tell(&|| Command::Block(offset, Arc::clone(&block)));
            offset += n as u64;
            failpoint::hit("copy.block");
            if n < BLOCK {
                break None;
            }
            if offset - journaled >= self.journal_bytes {
                checkpoint(offset, &digests);
                journaled = offset;
            }
        };
        if let Some(ended) = ended {
            if offset > journaled && offset.is_multiple_of(BLOCK as u64) {
                checkpoint(offset, &digests);
            }
            tell(&|| Command::Abandon);
            self.drain();
            return Ok(ended);
        }
        // Step 4: a source that is not as it was planned must not be taken for whole.
        let meta =
            source.metadata().map_err(|e| Error::new(Kind::of_io(&e), format!("cannot look again: {e}")));
        let (size, mtime_ns, same) = match meta {
            Ok(meta) => (meta.size(), mtime_ns(&meta), began == Some(changed_at(&meta))),
            Err(e) => {
                tell(&|| Command::Abandon);
                self.drain();
                return Ok(Copied::Unreadable(e));
            }
        };
        if !same || size != job.size || mtime_ns != job.mtime_ns {
            tell(&|| Command::Abandon);
            self.drain();
            return Ok(Copied::Changed { size, mtime_ns });
        }
        if goes_on || offset != size {
            tell(&|| Command::Abandon);
            self.drain();
            let what = if goes_on {
                format!("it goes on after the {size} bytes it says it has")
            } else {
                format!("it ends after {offset} of the {size} bytes it says it has")
            };
            return Ok(Copied::Unreadable(Error::new(Kind::Integrity, what)));
        }
        self.core.meter.took(Step::Copy, began_reading.elapsed());
        let values = digests.finish();
        tell(&|| Command::End(values.clone(), ticket()));
        Ok(Copied::Sent(sends.len()))
    }

    /// Ends the writer threads; returns once they have done what they were told.
    fn drain(&mut self) {
        for writer in &mut self.writers {
            // Said, not shown by closing the channel: the copy that drains holds an end of it too.
            if let Some(send) = writer.send.take() {
                let _ = send.send(Command::Quit);
            }
        }
        for writer in self.writers.drain(..) {
            if let Some(thread) = writer.thread {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.drain();
    }
}

/// Modification time in nanoseconds; what does not fit is held at the limit.
pub fn mtime_ns(meta: &std::fs::Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

/// One file being written to one volume.
struct Writing {
    running: Arc<Running>,
    part: Result<Output>,
    part_is_durable: bool,
}

fn write_loop(finisher: &Arc<Finisher>, core: &Core, commands: &Receiver<Command>) {
    let mut now: Option<Writing> = None;
    let mut next = None;
    while let Some(command) = next.take().or_else(|| commands.recv().ok()) {
        match command {
            Command::Begin(running, offset) => {
                let part = open_part(finisher, &running.job, offset)
                    .inspect_err(|e| finisher.volume.note_trouble(e, running.job.size))
                    .map(|file| Output::new(file, offset));
                let mut writing = Writing { running, part, part_is_durable: false };
                writing.note_failure();
                now = Some(writing);
            }
            Command::Block(offset, block) => {
                let mut blocks = vec![block];
                while blocks.len() < GATHER && next.is_none() {
                    match commands.try_recv() {
                        Ok(Command::Block(_, block)) => blocks.push(block),
                        Ok(other) => next = Some(other),
                        Err(_) => break,
                    }
                }
                if let Some(w) = &mut now {
                    w.write(offset, &blocks);
                }
            }
            Command::Checkpoint(mark) => {
                if let Some(w) = &mut now
                    && w.sync(finisher)
                {
                    mark.synced.store(true, SeqCst);
                }
                if mark.left.fetch_sub(1, SeqCst) == 1 && mark.synced.load(SeqCst) {
                    let by = core.by();
                    failpoint::hit("copy.before-journal");
                    core.catalog.post(move |tx| jobs::journal(tx, &by, mark.job, mark.offset, &mark.state));
                }
            }
            Command::End(values, ticket) => {
                if let Some(w) = now.take() {
                    let stage = w.part.map_or_else(Stage::Unwritten, |part| Stage::Written(part.into_file()));
                    finisher.submit(Item { job: w.running.job.clone(), values, stage, ticket });
                }
            }
            Command::Abandon => now = None,
            Command::Quit => return,
        }
    }
}

impl Writing {
    fn note_failure(&mut self) {
        if self.part.is_err() {
            self.running.live.fetch_sub(1, SeqCst);
        }
    }

    fn fail(&mut self, e: Error) {
        self.part = Err(e);
        self.note_failure();
    }

    /// Writes blocks that follow each other, from `offset` on.
    fn write(&mut self, offset: u64, blocks: &[Arc<Block>]) {
        let Ok(part) = &mut self.part else { return };
        let bytes: Vec<&[u8]> = blocks.iter().map(|b| b.filled()).collect();
        if let Err(e) = part.write(&bytes, offset) {
            self.fail(Error::io("write", &layout::part(&self.running.job.recording), e));
        }
    }

    /// Makes everything so far durable, the part's name included.
    fn sync(&mut self, finisher: &Finisher) -> bool {
        let Ok(output) = &self.part else { return false };
        let part = layout::part(&self.running.job.recording);
        let mut result =
            fs::sync_data(output.file()).map_err(|e| finisher.sync_failed(Error::io("sync", &part, e)));
        if result.is_ok() && !self.part_is_durable {
            result =
                finisher.volume.dir.sync_dir(layout::INCOMING.as_ref()).map_err(|e| finisher.sync_failed(e));
            self.part_is_durable = result.is_ok();
        }
        if let Err(e) = result {
            self.fail(e);
            return false;
        }
        true
    }
}

/// Step 2: the part, created exclusively with room set aside; or cut back to what is kept of it.
fn open_part(finisher: &Finisher, job: &Job, offset: u64) -> Result<File> {
    let (dir, part) = (&finisher.volume.dir, layout::part(&job.recording));
    if offset > 0 {
        // The end of the last try may have come after it was made read-only.
        dir.make_writable(&part)?;
        let file = dir.open_write(&part)?;
        fs::set_len(&file, offset).map_err(|e| Error::io("cut", &part, e))?;
        return Ok(file);
    }
    // What an earlier try left: nothing of it is promised to anybody.
    dir.remove(&part)?;
    let file = dir.create_new(&part)?;
    failpoint::hit("copy.part-created");
    // Small files would only pay for the call.
    if job.size >= 4 * BLOCK as u64 {
        fs::reserve(&file, job.size).map_err(|e| Error::io("set room aside for", &part, e))?;
    }
    Ok(file)
}
