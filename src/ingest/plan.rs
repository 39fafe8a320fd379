//! What is to be done with each entry of a card, written down before anything is done (protocol
//! step 1). The decision itself is pure: [`plan_file`].

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::blocks::BLOCK;
use super::digests::Digests;
use super::station::Station;
use crate::archive::layout;
use crate::base::clock::to_ms;
use crate::base::durable_fs::read_at;
use crate::base::text::show;
use crate::base::{Cancel, Error, Kind, Result};
use crate::card::naming::{NameFacts, safe};
use crate::card::plan::{Decision, Known, Seen, plan_file};
use crate::card::profile::Profile;
use crate::card::times::{Times, choose};
use crate::card::walk::{Card, Directory, walk};
use crate::catalog::jobs::{self, NewJob};
use crate::catalog::{Connection, left, recordings};

/// Names looked at to tell the profile and the recorder.
const SAMPLE: usize = 4096;

/// Plans one stay.
pub struct Planner<'a> {
    /// The station.
    pub station: &'a Station,
    /// The card.
    pub card: Card,
    /// How its names are read.
    pub profile: Profile,
    /// Whose it is.
    pub recorder: String,
    /// The stay.
    pub docking: i64,
    /// Whether files that were given up in this stay are taken up again where they have changed since:
    /// once in each look-and-copy, or one that always changes would never be let go.
    pub retake: bool,
    /// A request to stop.
    pub cancel: Cancel,
    /// Files in doubt that were read and found known: once in a stay is enough.
    pub rechecked: HashSet<(PathBuf, u64, i64)>,
}

/// What became of the entries of a directory.
#[derive(Debug, Default)]
pub struct Planned {
    /// Files that are archived already.
    pub known: u64,
    /// Entries that stay where they are.
    pub left: u64,
    /// Entries that could not be looked at: printable path and reason.
    pub unreadable: Vec<(String, String)>,
}

impl Planner<'_> {
    /// Decides for each entry of a directory and writes the decisions down (protocol step 1).
    pub fn directory(&mut self, dir: &Directory) -> Result<Planned> {
        let now = self.station.core.clock.now();
        let decisions = self.station.core.catalog.read(|db| {
            dir.files
                .iter()
                .map(|f| {
                    let path = dir.path.join(&f.name);
                    let known = known(db, &self.recorder, &path, f.size, f.mtime_ns)?;
                    let seen = Seen { size: f.size, mtime_ns: f.mtime_ns, known, now };
                    Ok((path.clone(), f.size, f.mtime_ns, plan_file(&self.profile, dir, &path, &seen)))
                })
                .collect::<Result<Vec<_>>>()
        })?;
        let mut planned = Planned::default();
        let (mut plans, mut adopted, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
        let mut stays: Vec<(Vec<u8>, String)> = dir
            .left
            .iter()
            .map(|l| (dir.path.join(&l.name).as_os_str().as_bytes().to_vec(), l.reason.clone()))
            .collect();
        planned.unreadable.extend(
            stays
                .iter()
                .filter(|(_, why)| why.starts_with("unreadable"))
                .map(|(path, why)| (show(OsStr::from_bytes(path)), why.clone())),
        );
        for (path, size, mtime, decision) in decisions {
            match decision {
                Decision::Known { .. } => planned.known += 1,
                Decision::Leave { why } => stays.push((path.as_os_str().as_bytes().to_vec(), why)),
                Decision::Resume { job } => adopted.push((job, size, mtime)),
                Decision::Recheck { recording, facts } => {
                    let hint = (path, size, mtime);
                    if self.rechecked.contains(&hint) || self.same_content(&hint.0, size, &recording)? {
                        planned.known += 1;
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
            (self.station.core.by(), self.docking, self.recorder.clone(), stays.len());
        let retake = self.retake;
        if !(plans.is_empty() && stays.is_empty() && adopted.is_empty()) {
            self.station.core.catalog.write(move |tx| {
                for job in replaced {
                    let why = "the source was replaced before its copy was done; what was copied is kept";
                    jobs::set_aside(tx, &by, job, "quarantined", why)?;
                }
                for (path, why) in &stays {
                    left::note(tx, &recorder, docking, path, why)?;
                }
                for (job, size, mtime) in adopted {
                    jobs::adopt(tx, &by, job, docking, retake.then_some((size, mtime)))?;
                }
                plans.iter().try_for_each(|new| jobs::plan(tx, &by, docking, &recorder, new))
            })?;
        }
        planned.left = left_out as u64;
        Ok(planned)
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
        let mut buf = vec![0; BLOCK];
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
}

/// What the catalogue knows of a file on a card.
fn known(db: &Connection, recorder: &str, path: &Path, size: u64, mtime_ns: i64) -> Result<Known> {
    let raw = path.as_os_str().as_bytes();
    // Work under way first: a file in doubt can be known and be copied anew.
    if let Some(job) = jobs::open_of(db, recorder, raw)? {
        // Where nothing of it is kept, copying takes the file as it is then.
        let kept =
            matches!(job.state.as_str(), "copied" | "verified") || !jobs::journal_of(db, job.id)?.is_empty();
        let same = !kept || (job.size == size && job.mtime_ns == mtime_ns);
        return Ok(if same { Known::Unfinished { job: job.id } } else { Known::Replaced { job: job.id } });
    }
    if let Some(recording) = recordings::known(db, recorder, raw, size, mtime_ns)? {
        return Ok(Known::Archived { recording });
    }
    Ok(match recordings::same_name(db, recorder, raw)? {
        Some(recording) => Known::SameNameOtherContent { recording },
        None => Known::New,
    })
}

/// The first names of a card, in walking order.
pub fn sample(card: &Card) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    walk(card, &mut |dir| {
        names.extend(dir.files.iter().take(SAMPLE - names.len()).map(|f| dir.path.join(&f.name)));
        Ok(names.len() < SAMPLE)
    })?;
    Ok(names)
}

/// Whose card it is: the device that most names carry where the profile reads one, else the
/// folder's name. A recorder that changes its mind would be archived twice.
pub fn identify(profile: &Profile, sample: &[PathBuf], path: &Path) -> Result<(String, String)> {
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
