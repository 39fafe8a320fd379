//! One stay of a recorder in a dock, from "what is on it?" to "safe to take". Read top to bottom:
//! this is the life of a file.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::copy::{Copied, Copier, mtime_ns};
use super::digests::Digests;
use super::finish::{Finisher, Outcome, Settled, Ticket};
use super::progress::{Phase, Progress};
use super::resume::find_start;
use super::station::{Claim, Settings, Station};
use crate::archive::layout;
use crate::base::clock::{from_ms, to_ms};
use crate::base::durable_fs::read_at;
use crate::base::text::show;
use crate::base::{Cancel, Error, Kind, Result};
use crate::card::naming::{NameFacts, safe};
use crate::card::plan::{Decision, Known, Seen, plan_file};
use crate::card::profile::Profile;
use crate::card::times::{Times, choose};
use crate::card::walk::{Card, Directory, walk};
use crate::catalog::dockings::{self, Begin, Counts};
use crate::catalog::jobs::{self, Job, NewJob};
use crate::catalog::{left, recordings};

/// Names looked at to tell the profile and the recorder.
const SAMPLE: usize = 4096;
/// Planned files written to the catalogue at once.
const PAGE: u32 = 256;
/// How often a volume without room is looked at again.
const ROOM_CHECK: Duration = Duration::from_secs(2);

/// What is to be docked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dock's name.
    pub dock: String,
    /// The card's folder.
    pub path: PathBuf,
    /// Whose it is, where somebody says so.
    pub recorder: Option<String>,
    /// Wait when no volume has room (a daemon does), or end with an error (a command does).
    pub wait_for_room: bool,
}

/// How a stay stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The docking's number.
    pub docking: i64,
    /// The recorder it is taken for.
    pub recorder: String,
    /// Counts of the whole stay.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes that were read from the card.
    pub bytes_read: u64,
    /// Time from the beginning of the stay.
    pub seconds: f64,
    /// What stands in the way of "safe to take".
    pub problems: Vec<String>,
}

/// A stay under way.
pub struct Docking<'a> {
    station: &'a Station,
    settings: Arc<Settings>,
    request: Request,
    card: Card,
    began_empty: bool,
    profile: Profile,
    recorder: String,
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
    /// Files in doubt that were read and found known: once in a stay is enough.
    rechecked: HashSet<(PathBuf, u64, i64)>,
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
        let card = Card::open(&request.path)?;
        let sample = sample(&card)?;
        let settings = station.settings();
        let found = settings.profiles.detect(&mut sample.iter().map(PathBuf::as_path));
        let profile = found.profile.clone();
        let recorder = match &request.recorder {
            Some(id) => (id.clone(), "named by the caller".to_owned()),
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
            card,
            profile,
            recorder: recorder.0,
            _claim: claim,
            id,
            begun: Instant::now(),
            progress,
            cancel: cancel.clone(),
            copier,
            settled: channel(),
            under_way: 0,
            problems: BTreeMap::new(),
            rechecked: HashSet::new(),
        })
    }

    /// The recorder it is taken for.
    pub fn recorder(&self) -> &str {
        &self.recorder
    }

    /// Whether profile and recorder were told from an empty card that has files now: the stay
    /// should be closed and begun anew.
    pub fn was_begun_too_early(&self) -> bool {
        self.began_empty && sample(&self.card).is_ok_and(|names| !names.is_empty())
    }

    /// Whether the card is still there.
    pub fn card_is_here(&self) -> bool {
        self.card.present()
    }

    /// One look and everything that follows from it. Returns whether anything was new.
    pub fn look_and_copy(&mut self) -> Result<bool> {
        self.problems.clear();
        self.progress.count(|c| c.failed = 0);
        let new = self.look()?;
        if new > 0 {
            self.set_state("copying", None)?;
            self.copy()?;
        }
        self.finish()?;
        Ok(new > 0)
    }

    /// Walks the card and plans what is new. What is known costs one look at the catalogue.
    fn look(&mut self) -> Result<u64> {
        self.progress.set_phase(Phase::Looking);
        let (mut known, mut left_out) = (0, 0);
        let card = self.card.try_clone()?;
        walk(&card, &mut |dir| {
            self.cancel.check()?;
            let (k, l) = self.plan_directory(dir)?;
            known += k;
            left_out += l;
            Ok(true)
        })?;
        // A card pulled out lists as empty on FAT: believe the listing only while it is here.
        if !self.card.present() {
            return Err(self.vanished());
        }
        self.progress.count(|c| (c.known, c.left) = (known, left_out));
        for (path, why) in self.station.core.catalog.read(|db| jobs::given_up(db, self.id))? {
            self.progress.count(|c| c.failed += 1);
            self.problems.insert(show(OsStr::from_bytes(&path)), why);
        }
        let (files, bytes) = self.station.core.catalog.read(|db| jobs::waiting_totals(db, self.id))?;
        let done = self.progress.counts();
        self.progress
            .set_totals(files + done.archived + done.duplicates, bytes + self.progress.snapshot().bytes_read);
        Ok(files)
    }

    /// Decides for each entry of a directory and writes the decisions down (protocol step 1).
    /// Returns how many files are known and how many entries stay where they are.
    fn plan_directory(&mut self, dir: &Directory) -> Result<(u64, u64)> {
        let now = self.station.core.clock.now();
        let recorder = self.recorder.clone();
        let decisions = self.station.core.catalog.read(|db| {
            let look = |path: &Path, size, mtime| -> Result<Known> {
                let raw = path.as_os_str().as_bytes();
                if let Some(recording) = recordings::known(db, &recorder, raw, size, mtime)? {
                    return Ok(Known::Archived { recording });
                }
                if let Some(job) = jobs::open_of(db, &recorder, raw)? {
                    let same = job.size == size && job.mtime_ns == mtime;
                    return Ok(if same {
                        Known::Unfinished { job: job.id }
                    } else {
                        Known::Replaced { job: job.id }
                    });
                }
                Ok(match recordings::same_name(db, &recorder, raw)? {
                    Some(recording) => Known::SameNameOtherContent { recording },
                    None => Known::New,
                })
            };
            dir.files
                .iter()
                .map(|f| {
                    let path = dir.path.join(&f.name);
                    let known = look(&path, f.size, f.mtime_ns)?;
                    let seen = Seen { size: f.size, mtime_ns: f.mtime_ns, known, now };
                    Ok((path.clone(), f.size, f.mtime_ns, plan_file(&self.profile, dir, &path, &seen)))
                })
                .collect::<Result<Vec<_>>>()
        })?;
        let (mut known, mut plans, mut adopted, mut replaced) = (0, Vec::new(), Vec::new(), Vec::new());
        let mut stays: Vec<(Vec<u8>, String)> = dir
            .left
            .iter()
            .map(|l| (dir.path.join(&l.name).as_os_str().as_bytes().to_vec(), l.reason.clone()))
            .collect();
        for entry in stays.iter().filter(|(_, why)| why.starts_with("unreadable")) {
            let path = show(OsStr::from_bytes(&entry.0));
            self.problems.insert(path, entry.1.clone());
        }
        for (path, size, mtime, decision) in decisions {
            match decision {
                Decision::Known { .. } => known += 1,
                Decision::Leave { why } => stays.push((path.as_os_str().as_bytes().to_vec(), why)),
                Decision::Resume { job } => adopted.push(job),
                Decision::Recheck { recording, facts } => {
                    let hint = (path, size, mtime);
                    if self.rechecked.contains(&hint) || self.same_content(&hint.0, size, &recording)? {
                        known += 1;
                        self.rechecked.insert(hint);
                    } else {
                        plans.push(self.new_job(
                            &hint.0,
                            size,
                            mtime,
                            &facts,
                            &["same name and time, other content"],
                        ));
                    }
                }
                Decision::Copy { facts, flags, replaces } => {
                    replaced.extend(replaces);
                    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                    plans.push(self.new_job(&path, size, mtime, &facts, &flags));
                }
            }
        }
        let (by, docking, recorder, left_out) =
            (self.station.core.by(), self.id, self.recorder.clone(), stays.len());
        if !(plans.is_empty() && stays.is_empty() && adopted.is_empty()) {
            self.station.core.catalog.write(move |tx| {
                for job in replaced {
                    let why = "the source was replaced before its copy was done; what was copied is kept";
                    jobs::set_aside(tx, &by, job, "quarantined", why)?;
                }
                for (path, why) in &stays {
                    left::note(tx, &recorder, docking, path, why)?;
                }
                for job in adopted {
                    jobs::adopt(tx, job, docking)?;
                }
                plans.iter().try_for_each(|new| jobs::plan(tx, &by, docking, &recorder, new))
            })?;
        }
        Ok((known, left_out as u64))
    }

    fn new_job(&self, path: &Path, size: u64, mtime: i64, facts: &NameFacts, flags: &[&str]) -> NewJob {
        let times = Times {
            name: facts.time(&self.profile),
            container: None,
            filesystem: chrono::DateTime::from_timestamp(mtime.div_euclid(1_000_000_000), 0),
            first_seen: self.station.core.clock.now(),
        };
        let chosen = choose(&times);
        let taken_at = to_ms(chosen.at);
        let id = crate::base::ids::new_id();
        let name = path.file_name().unwrap_or_default();
        let dest = layout::original(
            &recordings::day_of(taken_at),
            &safe(OsStr::new(&self.recorder), 64),
            &id,
            &safe(name, 120),
        );
        let told = json!({
            "profile": self.profile.id,
            "name": facts,
            "times": times,
            "time_rule": chosen.rule,
            "flags": flags,
        });
        NewJob {
            recording: id,
            source_path: path.as_os_str().as_bytes().to_vec(),
            size,
            mtime_ns: mtime,
            kind: facts.kind.clone(),
            facts: told.to_string(),
            taken_at,
            dest,
            shown: show(path.as_os_str()),
        }
    }

    /// Reads a source whole and compares it with a recording's hash: where the hint is in doubt.
    fn same_content(&self, path: &Path, size: u64, recording: &str) -> Result<bool> {
        let known = self.station.core.catalog.read(|db| recordings::find(db, recording))?;
        let Ok(file) = self.card.open_file(path) else { return Ok(false) };
        let mut digests = Digests::new(false);
        let mut buf = vec![0; super::copy::BLOCK];
        let mut offset = 0;
        loop {
            self.cancel.check()?;
            // An unreadable file is planned as new: copying it names the trouble.
            let Ok(n) = read_at(&file, &mut buf, offset) else { return Ok(false) };
            digests.update(&buf[..n]);
            offset += n as u64;
            if n < buf.len() {
                break;
            }
        }
        Ok(offset == size && digests.finish().sha256[..] == known.sha256[..])
    }

    /// Copies everything that waits, pass after pass, until nothing is left to try.
    fn copy(&mut self) -> Result<()> {
        self.progress.set_phase(Phase::Copying);
        let settle = i64::try_from(self.settings.config.settle_seconds).unwrap_or(0);
        loop {
            let (mut after, mut any, mut at_rest_in) = (0, false, None::<i64>);
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
            self.take_outcomes(true)?;
            match at_rest_in {
                Some(ms) if !any => {
                    self.cancel.sleep(Duration::from_millis(ms.unsigned_abs().min(1000)));
                    self.cancel.check()?;
                }
                None if !any => return Ok(()),
                _ => {}
            }
        }
    }

    /// One file: open, find where to begin, read once into every volume.
    fn copy_one(&mut self, job: Job) -> Result<()> {
        self.cancel.check()?;
        if job.attempts >= self.settings.config.attempts {
            let reason = job.reason.clone().unwrap_or_else(|| "it was tried often enough".into());
            return self.set_aside(&job, "retry", &reason);
        }
        let path = PathBuf::from(OsStr::from_bytes(&job.source_path));
        self.progress.set_current(&show(path.as_os_str()));
        let opened = self.card.open_file(&path).and_then(|file| {
            let meta = file.metadata().map_err(|e| Error::io("look at", &path, e))?;
            Ok((file, meta))
        });
        let (file, meta) = match opened {
            Ok(opened) => opened,
            Err(_) if !self.card.present() => return Err(self.vanished()),
            Err(e) if e.kind() == Kind::Vanished => {
                return self.set_aside(&job, "failed", "the file is no longer on the card");
            }
            Err(e) => return self.set_aside(&job, "retry", e.what()),
        };
        if meta.len() != job.size || mtime_ns(&meta) != job.mtime_ns {
            return self.start_over(&job, meta.len(), mtime_ns(&meta));
        }
        let (targets, owed) = self.wait_for_targets(job.size)?;
        let start = match self.resume(&job, &file, &targets)? {
            Some(start) => start,
            None => self.copier.fresh(),
        };
        self.progress.read(start.offset);
        let writing: Vec<String> = targets.iter().map(|f| f.volume.id.clone()).collect();
        let (id, kept) = (job.id, start.offset);
        drop(self.station.core.catalog.post(move |tx| {
            jobs::cut_journal(tx, id, kept)?;
            jobs::begin_copy(tx, id, &writing, &owed)
        }));
        let (tell, progress) = (self.settled.0.clone(), Arc::clone(&self.progress));
        let ticket = move || Ticket::new(tell.clone(), id, Arc::clone(&progress));
        let before = self.progress.snapshot().bytes_read;
        match self.copier.copy(&file, &job, start, &targets, &ticket)? {
            Copied::Sent(n) => self.under_way += n,
            Copied::Changed { size, mtime_ns } => self.start_over(&job, size, mtime_ns)?,
            Copied::Unreadable(_) if !self.card.present() => return Err(self.vanished()),
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
                    // Says "full" where it is; a failed one has said so itself.
                    target.volume.has_room(job.size);
                }
            }
        }
        Ok(())
    }

    /// Where an interrupted copy goes on, if anything of it can be kept.
    fn resume(
        &self,
        job: &Job,
        file: &File,
        targets: &[Arc<Finisher>],
    ) -> Result<Option<super::copy::Start>> {
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
        find_start(job, &journal, file, targets, self.settings.config.sm3, &self.cancel)
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
            if !self.request.wait_for_room || !self.station.can_wait_for_room() {
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
            if !self.card.present() {
                return Err(self.vanished());
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
            match outcome {
                Outcome::Archived => self.progress.count(|c| c.archived += 1),
                Outcome::Duplicate => self.progress.count(|c| c.duplicates += 1),
                Outcome::OthersGoOn => {}
                Outcome::Again(e) => tracing::warn!("job {job} is copied again: {e}"),
                Outcome::Failed(e) => {
                    self.progress.count(|c| c.failed += 1);
                    self.problems.insert(format!("job {job}"), e.what().to_owned());
                    // With a catalogue that refuses, going on would only repeat it.
                    if e.kind() == Kind::Catalog {
                        return Err(e);
                    }
                }
            }
        }
        Ok(())
    }

    /// Everything is read: waits for the archive, and says whether the recorder can be taken.
    fn finish(&mut self) -> Result<()> {
        if self.under_way > 0 {
            self.progress.set_phase(Phase::Verifying);
            self.take_outcomes(true)?;
        }
        self.progress.set_current("");
        if self.problems.is_empty() {
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
            recorder: self.recorder,
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

    fn vanished(&self) -> Error {
        Error::new(
            Kind::Vanished,
            format!("the card of {} was taken before everything was archived", self.recorder),
        )
        .next("dock it again: copying goes on where it stopped")
    }
}

/// The first names of a card, in walking order.
fn sample(card: &Card) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    walk(card, &mut |dir| {
        names.extend(dir.files.iter().take(SAMPLE - names.len()).map(|f| dir.path.join(&f.name)));
        Ok(names.len() < SAMPLE)
    })?;
    Ok(names)
}

/// Whose card it is: the device that most names carry where the profile reads one, else the
/// folder's name. A recorder that changes its mind would be archived twice.
fn identify(profile: &Profile, sample: &[PathBuf], path: &Path) -> Result<(String, String)> {
    let mut devices: BTreeMap<String, usize> = BTreeMap::new();
    if profile.recorder_from_device() {
        for name in sample {
            if let Some(device) = profile.parse(name).device {
                *devices.entry(device).or_default() += 1;
            }
        }
    }
    if let Some((device, n)) =
        devices.iter().max_by_key(|(name, n)| (**n, std::cmp::Reverse((*name).clone())))
    {
        return Ok((device.clone(), format!("{n} of {} file names carry it", sample.len())));
    }
    let path = std::path::absolute(path).map_err(|e| Error::io("resolve", path, e))?;
    match path.file_name() {
        Some(name) => Ok((show(name), "the name of the card's folder".into())),
        None => Err(Error::new(Kind::Invalid, "this folder has no name to know the recorder by")
            .next("say whose it is: --recorder ID")),
    }
}

/// A time of the catalogue for screens.
pub fn shown_time(ms: i64) -> String {
    from_ms(ms).with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string()
}
