//! One stay of a recorder in a dock, from "what is on it?" to "safe to take". Read top to bottom:
//! this is the life of a file.

mod one_file;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::copy::Copier;
use super::finisher::{Outcome, Settled, Ticket};
use super::plan::{Planner, identify, sample};
use super::progress::{Phase, Progress};
use super::recover::finish_again;
use super::station::{Claim, Settings, Station};
pub use super::stay::{Request, Summary};
use crate::base::clock::to_ms;
use crate::base::text::show;
use crate::base::{Cancel, Error, Kind, Result};
use crate::card::walk::{Card, walk};
use crate::catalog::dockings::{self, Begin, Counts};
use crate::catalog::jobs;

/// Planned files written to the catalogue at once.
const PAGE: u32 = 256;
/// When files that were given up are first tried again while the card stays (a share never leaves);
/// the time doubles up to a day.
const TRY_AGAIN: Duration = Duration::from_secs(600);
const TRY_AGAIN_MOST: Duration = Duration::from_secs(86_400);
/// Files that may still be written to are looked at again after this at most.
const REST: Duration = Duration::from_secs(2);
/// How often a volume without room is looked at again.
const ROOM_CHECK: Duration = Duration::from_secs(2);

/// A stay under way.
pub struct Docking<'a> {
    station: &'a Station,
    settings: Arc<Settings>,
    request: Request,
    planner: Planner<'a>,
    began_empty: bool,
    _claim: Claim<'a>,
    id: i64,
    begun: Instant,
    progress: Arc<Progress>,
    cancel: Cancel,
    copier: Copier,
    settled: (Sender<Settled>, Receiver<Settled>),
    /// Copies handed to finishers and not settled yet.
    under_way: usize,
    problems: BTreeMap<String, String>,
    /// When files that were given up were last tried again, and how long until the next time.
    tried_again: (Instant, Duration),
    /// Everything that was seen on the card is archived: it may be taken.
    safe: bool,
}

/// A recorder's name as somebody gives it: it stands on screens and in paths.
fn named(id: &str) -> Result<String> {
    let fits = !id.trim().is_empty() && id.len() <= 64 && !id.contains(char::is_control);
    if fits {
        return Ok(id.to_owned());
    }
    Err(Error::new(Kind::Invalid, format!("`{}` is no name for a recorder", show(OsStr::new(id))))
        .next("use 1 to 64 bytes without control characters"))
}

/// A whole stay of a card that will not change meanwhile: look, copy, finish, close.
pub fn run(station: &Station, request: Request, progress: Arc<Progress>, cancel: &Cancel) -> Result<Summary> {
    let mut docking = Docking::begin(station, request, progress, cancel)?;
    let done = docking.look_and_copy();
    let summary = docking.close(done.as_ref().err());
    done.and(summary)
}

impl<'a> Docking<'a> {
    /// Opens the card, tells its profile and its recorder, and writes down that it is here.
    pub fn begin(
        station: &'a Station,
        request: Request,
        progress: Arc<Progress>,
        cancel: &Cancel,
    ) -> Result<Self> {
        progress.restart();
        let card = Card::open(&request.path)?;
        station.refuse_own(&request.path)?;
        let sample = sample(&card)?;
        let settings = station.settings();
        let found = settings.profiles.detect(&mut sample.iter().map(PathBuf::as_path));
        let profile = found.profile.clone();
        let recorder = match &request.recorder {
            Some(id) => (named(id)?, "named by the caller".to_owned()),
            None => identify(&profile, &sample, &request.path)?,
        };
        let claim = station.claim(&recorder.0, &request.path)?;
        let begin = Begin {
            dock: request.dock.clone(),
            card: request.path.as_os_str().as_bytes().to_vec(),
            recorder: recorder.clone(),
            profile: (profile.id.clone(), found.reason),
        };
        let by = station.core.by();
        let id = station.core.catalog.write(move |tx| dockings::begin(tx, &by, &begin))?;
        let copier =
            Copier::new(Arc::clone(&station.core), &settings.config, Arc::clone(&progress), cancel.clone());
        Ok(Self {
            station,
            settings: Arc::clone(&settings),
            began_empty: sample.is_empty(),
            request,
            planner: Planner {
                station,
                card,
                profile,
                recorder: recorder.0,
                docking: id,
                retake: true,
                cancel: cancel.clone(),
                rechecked: HashSet::new(),
            },
            _claim: claim,
            id,
            begun: Instant::now(),
            progress,
            cancel: cancel.clone(),
            copier,
            settled: channel(),
            under_way: 0,
            problems: BTreeMap::new(),
            tried_again: (Instant::now(), TRY_AGAIN),
            safe: false,
        })
    }

    /// The recorder it is taken for.
    pub fn recorder(&self) -> &str {
        &self.planner.recorder
    }

    /// Whether profile and recorder were told from an empty card that has files now: the stay
    /// should be closed and begun anew.
    pub fn was_begun_too_early(&self) -> bool {
        self.began_empty && sample(&self.planner.card).is_ok_and(|names| !names.is_empty())
    }

    /// Whether the card is still there.
    pub fn card_is_here(&self) -> bool {
        self.planner.card.present()
    }

    /// One look and everything that follows from it. Returns whether anything was new.
    pub fn look_and_copy(&mut self) -> Result<bool> {
        self.problems.clear();
        self.progress.count(|c| c.failed = 0);
        let mut new = false;
        self.planner.retake = true;
        // Until a look finds nothing to do: what came or changed during the copying is not safe yet.
        while self.look()? > 0 {
            self.planner.retake = false;
            (new, self.safe) = (true, false);
            self.set_state("copying", None)?;
            if let Some(rest) = self.copy()? {
                self.cancel.sleep(rest);
                self.cancel.check()?;
            }
        }
        self.finish()?;
        Ok(new)
    }

    /// Walks the card and plans what is new. What is known costs one look at the catalogue.
    fn look(&mut self) -> Result<u64> {
        self.progress.set_phase(Phase::Looking);
        let (last, wait) = self.tried_again;
        if last.elapsed() >= wait {
            self.tried_again = (Instant::now(), (2 * wait).min(TRY_AGAIN_MOST));
            let (by, id) = (self.station.core.by(), self.id);
            self.station.core.catalog.write(move |tx| jobs::try_again_all(tx, &by, id))?;
        }
        let (mut known, mut left_out) = (0, 0);
        let card = self.planner.card.try_clone()?;
        walk(&card, &mut |dir| {
            self.cancel.check()?;
            let planned = self.planner.directory(dir)?;
            known += planned.known;
            left_out += planned.left;
            self.problems.extend(planned.unreadable);
            Ok(true)
        })?;
        // A card pulled out lists as empty on FAT: believe the listing only while it is here.
        if !self.planner.card.present() {
            return Err(self.vanished());
        }
        // What this stay has archived is known by now, and is no second file.
        self.progress.count(|c| {
            c.known = known.saturating_sub(c.archived + c.duplicates);
            c.left = left_out;
        });
        self.finish_left_over()?;
        for (path, why) in self.station.core.catalog.read(|db| jobs::given_up(db, self.id))? {
            if self.problems.insert(show(OsStr::from_bytes(&path)), why).is_none() {
                self.progress.count(|c| c.failed += 1);
            }
        }
        let (files, bytes) = self.station.core.catalog.read(|db| jobs::waiting_totals(db, self.id))?;
        let done = self.progress.counts();
        self.progress
            .set_totals(files + done.archived + done.duplicates, bytes + self.progress.snapshot().bytes_read);
        Ok(files)
    }

    /// Copies that were read whole and could not be brought to their place, by this stay or an
    /// earlier one: they need no reading, but "safe" has to wait for them.
    fn finish_left_over(&mut self) -> Result<()> {
        for job in self.station.core.catalog.read(|db| jobs::finishable_of(db, self.id))? {
            let (tell, progress) = (self.settled.0.clone(), Arc::clone(&self.progress));
            let ticket = move || Ticket::new(tell.clone(), job.id, Arc::clone(&progress));
            let (now, _, why) = self.station.targets(job.size);
            let sent = finish_again(self.station, &job, !now.is_empty(), &ticket)?;
            if sent == 0 && now.is_empty() {
                let path = show(OsStr::from_bytes(&job.source_path));
                self.problems.insert(path, format!("it waits for its volume: {}", why.join("; ")));
            }
            self.under_way += sent;
        }
        self.take_outcomes(true)
    }

    /// Copies everything that waits, pass after pass, until nothing is left to try but files that may
    /// still be written to; returns how long to leave those alone.
    fn copy(&mut self) -> Result<Option<Duration>> {
        let settle = i64::try_from(self.settings.config.settle_seconds).unwrap_or(0);
        loop {
            let (mut after, mut any, mut at_rest_in) = (0, false, None::<i64>);
            self.progress.set_phase(Phase::Copying);
            loop {
                let page = self.station.core.catalog.read(|db| jobs::waiting(db, self.id, after, PAGE))?;
                let Some(last) = page.last() else { break };
                after = last.id;
                for job in page {
                    let age = to_ms(self.station.core.clock.now()) - job.mtime_ns / 1_000_000;
                    if (0..settle * 1000).contains(&age) {
                        // Perhaps still being written: everything else first.
                        let wait = settle * 1000 - age;
                        at_rest_in = Some(at_rest_in.map_or(wait, |w| w.min(wait)));
                        continue;
                    }
                    any = true;
                    self.copy_one(job)?;
                    self.take_outcomes(false)?;
                }
            }
            self.wait_for_archive()?;
            if !any {
                return Ok(at_rest_in.map(|ms| Duration::from_millis(ms.unsigned_abs()).min(REST)));
            }
        }
    }

    /// Takes what finishers report; with `wait`, until all have.
    fn take_outcomes(&mut self, wait: bool) -> Result<()> {
        while self.under_way > 0 {
            let (job, outcome) = match self.settled.1.try_recv() {
                Ok(told) => told,
                Err(_) if !wait => return Ok(()),
                Err(_) => match self.settled.1.recv_timeout(Duration::from_millis(200)) {
                    Ok(told) => told,
                    Err(_) if self.cancel.is_cancelled() => return self.cancel.check(),
                    Err(_) => continue,
                },
            };
            self.under_way -= 1;
            if matches!(outcome, Outcome::Archived | Outcome::Duplicate)
                && self.problems.remove(&format!("job {job}")).is_some()
            {
                self.progress.count(|c| c.failed -= 1);
            }
            match outcome {
                Outcome::Archived => self.progress.count(|c| c.archived += 1),
                Outcome::Duplicate => self.progress.count(|c| c.duplicates += 1),
                Outcome::OthersGoOn => {}
                Outcome::Again(e) => tracing::warn!("job {job} is copied again: {e}"),
                Outcome::Failed(e) => {
                    if self.problems.insert(format!("job {job}"), e.what().to_owned()).is_none() {
                        self.progress.count(|c| c.failed += 1);
                    }
                    // With a catalogue that refuses, going on would only repeat it.
                    if e.kind() == Kind::Catalog {
                        return Err(e);
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing is being read: waits until everything that was is archived.
    fn wait_for_archive(&mut self) -> Result<()> {
        if self.under_way > 0 {
            self.progress.set_phase(Phase::Verifying);
        }
        self.take_outcomes(true)
    }

    /// Everything is read: waits for the archive, and says whether the recorder can be taken.
    fn finish(&mut self) -> Result<()> {
        self.wait_for_archive()?;
        self.progress.set_current("");
        self.station.note_volume_states()?;
        // The catalogue has the last word: nothing is safe by having been forgotten.
        for (path, state) in self.station.core.catalog.read(|db| jobs::unfinished(db, self.id))? {
            let path = show(OsStr::from_bytes(&path));
            self.problems.entry(path).or_insert_with(|| format!("it is {state}, not archived yet"));
        }
        self.safe = self.problems.is_empty();
        if self.safe {
            self.progress.set_phase(Phase::Safe);
            self.set_state("safe", None)
        } else {
            self.progress.set_phase(Phase::Attention);
            let why = self.what_is_wrong();
            self.set_state("attention", Some(&why))
        }
    }

    fn what_is_wrong(&self) -> String {
        let first =
            self.problems.iter().next().map(|(path, why)| format!("{path}: {why}")).unwrap_or_default();
        match self.problems.len() {
            0 | 1 => first,
            n => format!("{first} (and {} more)", n - 1),
        }
    }

    /// Ends the stay and writes down how.
    pub fn close(mut self, error: Option<&Error>) -> Result<Summary> {
        // A stay that breaks off leaves copies with the finishers: the next one would hand them in again.
        while self.under_way > 0 {
            match self.settled.1.recv() {
                Ok((_, Outcome::Archived)) => self.progress.count(|c| c.archived += 1),
                Ok((_, Outcome::Duplicate)) => self.progress.count(|c| c.duplicates += 1),
                _ => {}
            }
            self.under_way -= 1;
        }
        // Taken while we looked again, after everything was archived: that is how stays should end.
        let waits = || self.station.core.catalog.read(|db| jobs::unfinished(db, self.id));
        let all_done = self.safe && waits().is_ok_and(|list| list.is_empty());
        let error = error.filter(|e| !(e.kind() == Kind::Vanished && all_done));
        let looked_at = error.filter(|e| e.kind() == Kind::Vanished).and_then(|_| self.taken_while_looking());
        let error = looked_at.as_ref().or(error);
        let (state, reason) = match error {
            None if self.problems.is_empty() => ("safe", None),
            None => ("attention", Some(self.what_is_wrong())),
            Some(e) => match e.kind() {
                Kind::Vanished => ("vanished", Some(e.what().to_owned())),
                Kind::Cancelled => ("cancelled", Some(e.what().to_owned())),
                _ => ("attention", Some(e.what().to_owned())),
            },
        };
        self.problems.extend(error.map(|e| (String::new(), e.what().to_owned())));
        self.set_state_ended(state, reason.as_deref(), true)?;
        let counts = self.counts();
        Ok(Summary {
            docking: self.id,
            recorder: self.planner.recorder,
            counts,
            bytes_read: self.progress.snapshot().bytes_read,
            seconds: self.begun.elapsed().as_secs_f64(),
            problems: self
                .problems
                .into_iter()
                .map(|(path, why)| if path.is_empty() { why } else { format!("{path}: {why}") })
                .collect(),
        })
    }

    fn counts(&self) -> Counts {
        Counts { bytes: self.progress.snapshot().bytes_read, ..self.progress.counts() }
    }

    fn set_state(&self, state: &'static str, reason: Option<&str>) -> Result<()> {
        self.set_state_ended(state, reason, false)
    }

    fn set_state_ended(&self, state: &'static str, reason: Option<&str>, ended: bool) -> Result<()> {
        let (by, id, counts, reason) =
            (self.station.core.by(), self.id, self.counts(), reason.map(str::to_owned));
        let change = move |tx: &_| dockings::set_state(tx, &by, id, state, reason.as_deref(), counts, ended);
        self.station.core.catalog.write(change)
    }

    /// What is to be said of a card that was taken when all that was seen on it is archived, and only a last look
    /// was wanting; `None` where more was.
    fn taken_while_looking(&self) -> Option<Error> {
        let counts = self.progress.counts();
        let (files, id) = (counts.archived + counts.duplicates, self.id);
        let open = self.station.core.catalog.read(|db| {
            Ok(jobs::unfinished(db, id)?.len()
                + jobs::given_up(db, id)?.len()
                + usize::try_from(jobs::waiting_totals(db, id)?.0).unwrap_or(usize::MAX))
        });
        let all = files > 0 && counts.failed == 0 && self.problems.is_empty() && open.is_ok_and(|n| n == 0);
        all.then(|| {
            let recorder = &self.planner.recorder;
            let what =
                format!("all {files} files seen on the card of {recorder} are archived, but it was taken before it was looked at to the end");
            Error::new(Kind::Vanished, what).next("dock it again: copying goes on where it stopped")
        })
    }

    fn vanished(&self) -> Error {
        Error::new(
            Kind::Vanished,
            format!("the card of {} was taken before everything was archived", self.planner.recorder),
        )
        .next("dock it again: copying goes on where it stopped")
    }
}
