//! One file of a stay: open, find where to begin, read once into every volume.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Docking, ROOM_CHECK};
use crate::archive::layout;
use crate::base::text::show;
use crate::base::{Error, Kind, Result};
use crate::catalog::jobs::{self, Job};
use crate::ingest::copy::{Copied, Start, mtime_ns};
use crate::ingest::finisher::{Finisher, Ticket};
use crate::ingest::progress::Phase;
use crate::ingest::resume::find_start;

impl Docking<'_> {
    /// One file: open, find where to begin, read once into every volume.
    pub(super) fn copy_one(&mut self, job: Job) -> Result<()> {
        self.cancel.check()?;
        if job.attempts >= self.settings.config.attempts {
            let reason = job.reason.clone().unwrap_or_else(|| "it was tried often enough".into());
            return self.set_aside(&job, "retry", &reason);
        }
        let path = PathBuf::from(OsStr::from_bytes(&job.source_path));
        self.progress.set_current(&show(path.as_os_str()));
        let opened = self.planner.card.open_file(&path).and_then(|file| {
            let meta = file.metadata().map_err(|e| Error::io("look at", &path, e))?;
            Ok((file, meta))
        });
        let (file, meta) = match opened {
            Ok(opened) => opened,
            Err(_) if !self.planner.card.present() => return Err(self.vanished()),
            Err(e) if e.kind() == Kind::Vanished => {
                return self.set_aside(&job, "failed", "the file is no longer on the card");
            }
            Err(e) => return self.set_aside(&job, "retry", e.what()),
        };
        let (size, mtime) = (meta.len(), mtime_ns(&meta));
        if size != job.size || mtime != job.mtime_ns {
            if job.state == "planned" {
                return self.station.core.catalog.write(move |tx| jobs::replan(tx, job.id, size, mtime));
            }
            return self.start_over(&job, size, mtime);
        }
        if let Some(why) = self.station.too_large(job.size) {
            return self.set_aside(&job, "retry", &why);
        }
        let (targets, owed) = self.wait_for_targets(job.size)?;
        let start = match self.resume(&job, &file, &targets)? {
            Some(start) => start,
            None => self.copier.fresh(),
        };
        self.progress.read(start.offset);
        let writing: Vec<String> = targets.iter().map(|f| f.volume.id.clone()).collect();
        let (id, kept) = (job.id, start.offset);
        let (by, recording) = (self.station.core.by(), job.recording.clone());
        self.station.core.catalog.post_idly(move |tx| {
            jobs::cut_journal(tx, id, kept)?;
            if kept > 0 {
                jobs::resumed(tx, &by, &recording, kept)?;
            }
            jobs::begin_copy(tx, id, &writing, &owed)
        });
        let (tell, progress) = (self.settled.0.clone(), Arc::clone(&self.progress));
        let ticket = move || Ticket::new(tell.clone(), id, Arc::clone(&progress));
        let before = self.progress.snapshot().bytes_read;
        match self.copier.copy(&file, &job, start, &targets, &ticket)? {
            Copied::Sent(n) => self.under_way += n,
            Copied::Changed { size, mtime_ns } => self.start_over(&job, size, mtime_ns)?,
            Copied::Unreadable(_) if !self.planner.card.present() => return Err(self.vanished()),
            Copied::Unreadable(e) => self.note_reason(&job, e.what())?,
            Copied::NoVolume => {
                self.progress.unread(before);
                let reason = "no volume took it";
                let (by, reason) = (self.station.core.by(), reason.to_owned());
                let (size, mtime) = (job.size, job.mtime_ns);
                self.station
                    .core
                    .catalog
                    .write(move |tx| jobs::restart(tx, &by, id, size, mtime, &reason))?;
                for target in &targets {
                    if let Err(e) = target.volume.dir.remove(&layout::part(&job.recording)) {
                        tracing::warn!("{e}");
                    }
                    // Says "full" where it is; a failed one has said so itself.
                    target.volume.has_room(job.size);
                }
            }
        }
        Ok(())
    }

    /// Where an interrupted copy goes on, if anything of it can be kept.
    fn resume(&self, job: &Job, file: &File, targets: &[Arc<Finisher>]) -> Result<Option<Start>> {
        if job.state != "copying" {
            return Ok(None);
        }
        let catalog = &self.station.core.catalog;
        let (journal, before) =
            catalog.read(|db| Ok((jobs::journal_of(db, job.id)?, jobs::targets(db, job.id)?)))?;
        // Only volumes that have been written to from the beginning hold what the journal says.
        let same = targets.iter().all(|t| before.iter().any(|(v, s)| *v == t.volume.id && s == "writing"));
        if !same {
            return Ok(None);
        }
        match find_start(job, &journal, file, targets, self.settings.config.sm3, &self.cancel) {
            // What cannot be compared is not built upon; copying names the trouble, if it is one.
            Err(e) if e.kind() != Kind::Cancelled => {
                tracing::warn!("copied anew: {e}");
                Ok(None)
            }
            start => start,
        }
    }

    /// The volumes to write to; waits for room where the request says so.
    fn wait_for_targets(&mut self, size: u64) -> Result<(Vec<Arc<Finisher>>, Vec<String>)> {
        let mut waited = false;
        loop {
            let (now, owed, why) = self.station.targets(size);
            self.station.note_volume_states()?;
            if !now.is_empty() {
                if waited {
                    self.progress.set_phase(Phase::Copying);
                    self.set_state("copying", None)?;
                }
                return Ok((now, owed));
            }
            let why = why.join("; ");
            if !self.request.wait_for_room {
                return Err(Error::new(Kind::NoSpace, format!("no volume takes the next file: {why}"))
                    .next("make room or mend the volume, then dock again: it goes on where it stopped"));
            }
            if !waited {
                self.progress.set_phase(Phase::Waiting);
                self.set_state("attention", Some(&why))?;
                waited = true;
            }
            self.cancel.sleep(ROOM_CHECK);
            self.cancel.check()?;
            if !self.planner.card.present() {
                return Err(self.vanished());
            }
        }
    }

    fn set_aside(&mut self, job: &Job, state: &'static str, reason: &str) -> Result<()> {
        let path = show(OsStr::from_bytes(&job.source_path));
        tracing::warn!("{path}: {reason}");
        self.problems.insert(path, reason.to_owned());
        self.progress.count(|c| c.failed += 1);
        let (by, id, reason) = (self.station.core.by(), job.id, reason.to_owned());
        self.station.core.catalog.write(move |tx| jobs::set_aside(tx, &by, id, state, &reason))
    }

    /// Keeps what was copied and journaled; the next pass goes on from there.
    fn note_reason(&self, job: &Job, reason: &str) -> Result<()> {
        let (id, reason) = (job.id, reason.to_owned());
        self.station.core.catalog.write(move |tx| jobs::note_reason(tx, id, &reason))
    }

    fn start_over(&self, job: &Job, size: u64, mtime_ns: i64) -> Result<()> {
        tracing::info!("{} changed while it was copied", show(OsStr::from_bytes(&job.source_path)));
        let (by, id) = (self.station.core.by(), job.id);
        let reason = format!("the source changed: {} bytes then, {size} now", job.size);
        self.station.core.catalog.write(move |tx| jobs::restart(tx, &by, id, size, mtime_ns, &reason))
    }
}
