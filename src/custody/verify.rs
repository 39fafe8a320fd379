//! The whole log against itself, against every checkpoint that was found, and against the recordings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::checkpoint::{self, Checkpoint};
use super::entry::Hash;
use super::key::Logged;
use super::note::{PublicKey, Signed};
use super::walk::{Walk, walk};
use crate::access::{self, About, Deed, Person};
use crate::base::clock::rfc3339;
use crate::base::text::hex;
use crate::base::{Cancel, Result};

/// What is wrong, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An entry is not there.
    EntryMissing,
    /// An entry is not as it was written.
    EntryAltered,
    /// The chain does not lead to an entry.
    ChainCut,
    /// A kept hash over entries is not theirs.
    TileAltered,
    /// The log has another root than was signed.
    CheckpointMismatch,
    /// The log is shorter than one that was signed.
    LogTruncated,
    /// A checkpoint that the station's key did not sign.
    CheckpointForged,
    /// What lies among checkpoints and is none.
    CheckpointUnreadable,
    /// A checkpoint that others hold and the catalogue has no more.
    CheckpointRemoved,
    /// A checkpoint of a history that was given up with a change of keys, which nobody vouches for.
    CheckpointAbandoned,
    /// The same where the key after the change was given as the right one.
    HistoryGivenUp,
    /// Checkpoints that the catalogue has and a place has not.
    CheckpointLacking,
    /// A key took another's place without its word.
    KeyChanged,
    /// The log does not name the key it should.
    KeyUnknown,
    /// The catalogue bears another station's name than the log.
    StationChanged,
    /// A recording's row is not what was archived.
    RecordingAltered,
    /// A recording's row has no entry.
    RecordingUnlogged,
    /// An archived recording has no row.
    RecordingLost,
    /// A recording's state is not what its entries say.
    RecordingState,
}

impl What {
    /// What it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::EntryMissing => "entries were dropped",
            Self::EntryAltered => "the entry was changed after it was written",
            Self::ChainCut => "entries before it were changed, dropped or put in another order",
            Self::TileAltered => "these entries, or the hash, were changed after a checkpoint was signed",
            Self::CheckpointMismatch => {
                "entries were changed, dropped or put in another order, and the log was made to fit"
            }
            Self::LogTruncated => {
                "entries were cut off its end, or the catalogue was replaced by an older copy"
            }
            Self::CheckpointForged => "it was changed, or signed with another key than the station's",
            Self::CheckpointUnreadable => "it was changed, damaged, or put in a checkpoint's place",
            Self::CheckpointRemoved => {
                "it was removed from the catalogue, or the catalogue was replaced by another copy"
            }
            Self::CheckpointAbandoned => {
                "the catalogue was put back to an older state and the key replaced over it: entries may have \
                 been dropped that way; whoever restored a backup and knows the new key vouches for it with \
                 `--key`"
            }
            Self::HistoryGivenUp => {
                "the history after it was given up when the key was replaced, as after restoring a backup"
            }
            Self::CheckpointLacking => {
                "they were removed there, or not handed out yet; docket hands them out when it next starts"
            }
            Self::KeyChanged => {
                "the key was lost, or somebody put their own in its place; `--key` with the key that was \
                 kept elsewhere decides"
            }
            Self::KeyUnknown => {
                "the station's key was replaced, or this is not the log that the key belongs to"
            }
            Self::StationChanged => "the catalogue was changed, or put together from two",
            Self::RecordingAltered => "the catalogue was changed behind the log",
            Self::RecordingUnlogged => "it was put into the catalogue by hand, or its entry was removed",
            Self::RecordingLost => "its row was removed by hand; the original may still be on its volume",
            Self::RecordingState => "its state was changed behind the log",
        }
    }

    /// Whether the log is not as it was written; the rest is to be known.
    pub fn is_serious(self) -> bool {
        !matches!(self, Self::HistoryGivenUp | Self::CheckpointLacking)
    }
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What kind.
    pub what: What,
    /// What exactly, and where.
    pub text: String,
    /// What it means.
    pub meaning: &'static str,
}

/// Findings kept of each kind; one change can have thousands.
const EACH: usize = 10;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    counts: HashMap<&'static str, usize>,
    more: u64,
}

impl Findings {
    /// Adds one, or counts it.
    pub fn add(&mut self, what: What, text: String) {
        let count = self.counts.entry(what.meaning()).or_default();
        *count += 1;
        if *count > EACH {
            self.more += 1;
        } else {
            self.list.push(Finding { what, text, meaning: what.meaning() });
        }
    }
}

/// A checkpoint as it was found.
#[derive(Debug, Clone)]
pub struct Held {
    /// Where, as people say it: `volume main`.
    pub place: String,
    /// Its file.
    pub path: String,
    /// Its bytes, or why they cannot be read.
    pub note: std::result::Result<Vec<u8>, String>,
}

/// What the log is held against.
#[derive(Debug, Default)]
pub struct Against {
    /// Checkpoints that were found outside the catalogue. Read before the log is, so that it is not older.
    pub held: Vec<Held>,
    /// The places that were looked at and should have all checkpoints.
    pub looked_at: Vec<String>,
    /// The key that was kept elsewhere; without it the first one that the log names is believed.
    pub key: Option<PublicKey>,
}

/// A place with checkpoints.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// Where.
    pub name: String,
    /// Checkpoints in it.
    pub checkpoints: u64,
}

/// The newest checkpoint of the catalogue.
#[derive(Debug, Clone, Serialize)]
pub struct Newest {
    /// Entries it covers.
    pub size: u64,
    /// When it was signed, RFC 3339.
    pub at: String,
}

/// How the log is.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether everything is as it was written.
    pub good: bool,
    /// Whether signed checkpoints are of a history that was given up with a change of keys.
    pub given_up: bool,
    /// Entries.
    pub entries: u64,
    /// The chain's last value, hexadecimal.
    pub head: String,
    /// The root of the tree over all entries, hexadecimal.
    pub root: String,
    /// The newest checkpoint of the catalogue.
    pub newest: Option<Newest>,
    /// Where checkpoints were looked for.
    pub places: Vec<Place>,
    /// Recordings that were held against their entries.
    pub recordings: u64,
    /// The key in force, as a vkey.
    pub key: Option<String>,
    /// What is wrong, and what is to be known.
    pub findings: Vec<Finding>,
    /// Findings that are not in the list.
    pub more: u64,
}

/// Checks everything.
///
/// # Errors
/// [`crate::base::Kind::Forbidden`] for whoever may not, and where the catalogue cannot be read. What is
/// wrong with the log is no error but in the report.
pub fn verify(db: &Connection, who: &Person, against: Against, cancel: &Cancel) -> Result<Report> {
    access::check(who, Deed::ReadCustody, &About::default())?;
    // One view of the log, its checkpoints and the recordings, whatever is written meanwhile.
    let tx = db.unchecked_transaction()?;
    let kept = checkpoint::since(&tx, 0)?;
    let newest = kept.last().map(|k| Newest { size: k.size, at: rfc3339(k.at) });
    let mut held = against.held;
    held.extend(kept.into_iter().map(|k| Held {
        place: CATALOGUE.into(),
        path: format!("checkpoint {}", k.size),
        note: Ok(k.note.into_bytes()),
    }));
    let notes = held.iter().filter_map(|h| h.note.as_ref().ok());
    let wanted = notes.filter_map(|note| Checkpoint::of(note)).map(|(_, c)| c.size).collect();
    let mut walk = walk(&tx, wanted, cancel)?;
    walk.leftovers();
    check_station(&tx, &mut walk)?;
    let places = check_held(&mut walk, &held, &against.looked_at, against.key.as_ref());
    let told = std::mem::take(&mut walk.told);
    let recordings = told.compare(&tx, &mut walk.findings, cancel)?;
    let Findings { list: findings, more, .. } = walk.findings;
    Ok(Report {
        good: findings.iter().all(|f| !f.what.is_serious()),
        given_up: findings.iter().any(|f| f.what == What::HistoryGivenUp),
        entries: walk.last,
        head: hex(&walk.head),
        root: hex(&walk.tree.root()),
        newest,
        places,
        recordings,
        key: walk.keys.last().map(|k| k.key.to_string()),
        findings,
        more,
    })
}

/// The place of the checkpoints beside the log.
pub const CATALOGUE: &str = "catalogue";

fn check_station(db: &Connection, walk: &mut Walk) -> Result<()> {
    let row: Option<String> = db.query_row("SELECT uuid FROM station", [], |r| r.get(0)).optional()?;
    if row != walk.station {
        let name = |id: &Option<String>| id.clone().unwrap_or_else(|| "-".into());
        let text = format!("the catalogue calls the station {}, the log {}", name(&row), name(&walk.station));
        walk.findings.add(What::StationChanged, text);
    }
    Ok(())
}

/// The keys to believe, in order, and the place among them of the one that is believed without a word
/// from another.
fn check_keys(walk: &mut Walk, given: Option<&PublicKey>) -> Vec<Logged> {
    let base = match given {
        None => 0,
        Some(given) => match walk.keys.iter().position(|k| k.key == *given) {
            Some(at) => at,
            None => {
                let text = format!("the custody log does not name the key {given}");
                walk.findings.add(What::KeyUnknown, text);
                return vec![Logged {
                    seq: 0,
                    key: given.clone(),
                    endorsed: true,
                    reason: None,
                    after: u64::MAX,
                }];
            }
        },
    };
    for key in walk.keys.iter().skip(base + 1).filter(|k| !k.endorsed) {
        let text = format!(
            "custody entry {} names the key {}, and the key before it has not signed that (reason given: {})",
            key.seq,
            key.key,
            key.reason.as_deref().unwrap_or("-")
        );
        walk.findings.add(What::KeyChanged, text);
    }
    walk.keys.clone()
}

/// Every checkpoint against the keys, and then against the log.
fn check_held(walk: &mut Walk, held: &[Held], looked_at: &[String], given: Option<&PublicKey>) -> Vec<Place> {
    let keys = check_keys(walk, given);
    let origin = walk.station.as_deref().map(checkpoint::origin);
    let mut places: BTreeMap<&str, u64> = BTreeMap::from([(CATALOGUE, 0)]);
    places.extend(looked_at.iter().map(|name| (name.as_str(), 0)));
    let mut seen: HashMap<&[u8], Fate> = HashMap::new();
    let mut signed: BTreeMap<u64, Vec<(&str, Hash)>> = BTreeMap::new();
    for h in held {
        let note = match &h.note {
            Ok(note) => note,
            Err(why) => {
                let text = format!("{}: {} cannot be read as a checkpoint: {why}", h.place, h.path);
                walk.findings.add(What::CheckpointUnreadable, text);
                continue;
            }
        };
        *places.entry(&h.place).or_default() += 1;
        let fate = seen.entry(note).or_insert_with(|| fate(note, &keys, origin.as_deref(), given));
        match fate {
            Fate::Signed(c) => signed.entry(c.size).or_default().push((&h.place, c.root)),
            Fate::Abandoned(size, seq, accepted) => walk.findings.add(
                if *accepted { What::HistoryGivenUp } else { What::CheckpointAbandoned },
                format!(
                    "{}: the checkpoint of {size} entries is signed with a key that entry {seq} replaced",
                    h.place
                ),
            ),
            Fate::Forged(size) => walk.findings.add(
                What::CheckpointForged,
                format!(
                    "{}: the checkpoint of {size} entries is not signed by the station's key ({})",
                    h.place, h.path
                ),
            ),
            Fate::None => {
                walk.findings
                    .add(What::CheckpointUnreadable, format!("{}: {} is no checkpoint", h.place, h.path));
            }
        }
    }
    check_roots(walk, &signed);
    check_places(walk, &signed, looked_at);
    places.into_iter().map(|(name, checkpoints)| Place { name: name.to_owned(), checkpoints }).collect()
}

enum Fate {
    /// By the key in force at its size.
    Signed(Checkpoint),
    /// By a key, beyond what the log had when another replaced it; and whether whoever checks vouches for
    /// that other, or for one after it.
    Abandoned(u64, u64, bool),
    /// By no key of the station.
    Forged(u64),
    /// No checkpoint.
    None,
}

fn fate(bytes: &[u8], keys: &[Logged], origin: Option<&str>, given: Option<&PublicKey>) -> Fate {
    let Some((note, said)) = Checkpoint::of(bytes) else { return Fate::None };
    let by = keys.iter().position(|k| note.signed_by(&k.key) == Signed::Yes);
    match by {
        Some(at) if said.size >= keys[at].seq && origin.is_none_or(|o| o == said.origin) => {
            match keys.get(at + 1) {
                // Whoever names the old key does not take the change for granted.
                Some(next) if said.size > next.after && given != Some(&keys[at].key) => {
                    let accepted = given.is_some_and(|g| keys[at + 1..].iter().any(|k| k.key == *g));
                    Fate::Abandoned(said.size, next.seq, accepted)
                }
                _ => Fate::Signed(said),
            }
        }
        _ => Fate::Forged(said.size),
    }
}

/// Well-signed checkpoints against the log: the first that it does not fit says where to look.
fn check_roots(walk: &mut Walk, signed: &BTreeMap<u64, Vec<(&str, Hash)>>) {
    let mut agreed = 0;
    let mut wrong = Vec::new();
    let mut longer = Vec::new();
    for (&size, held) in signed {
        let kept: BTreeSet<&str> = held.iter().map(|(place, _)| *place).collect();
        if size > walk.last {
            longer.push((size, kept));
            continue;
        }
        let root = walk.roots.get(&size).copied();
        let odd: BTreeSet<&str> = held.iter().filter(|(_, r)| Some(*r) != root).map(|(p, _)| *p).collect();
        if !odd.is_empty() {
            wrong.push((size, odd));
        } else {
            agreed = if wrong.is_empty() { size } else { agreed };
            if !kept.contains(CATALOGUE) {
                let text = format!(
                    "the catalogue has no checkpoint of {size} entries any more; it is kept by {}",
                    names(&kept)
                );
                walk.findings.add(What::CheckpointRemoved, text);
            }
        }
    }
    if let Some((size, places)) = wrong.first() {
        let text = format!(
            "the first {size} entries do not have the root that was signed and is kept by {}; up to entry {agreed} \
             they have; {} checkpoints do not fit in all",
            names(places),
            wrong.len()
        );
        walk.findings.add(What::CheckpointMismatch, text);
    }
    if let Some((size, places)) = longer.last() {
        let text = format!(
            "the custody log ends at entry {}, and a signed checkpoint of {size} entries is kept by {}",
            walk.last,
            names(places)
        );
        walk.findings.add(What::LogTruncated, text);
    }
}

/// What a place lacks of the catalogue's checkpoints. The newest may be on its way there just now.
fn check_places(walk: &mut Walk, signed: &BTreeMap<u64, Vec<(&str, Hash)>>, looked_at: &[String]) {
    let newest = signed.iter().rfind(|(_, held)| held.iter().any(|(p, _)| *p == CATALOGUE)).map(|(s, _)| *s);
    for name in looked_at {
        let lacks = |(size, held): &(&u64, &Vec<(&str, Hash)>)| {
            let root = held.iter().find(|(p, _)| *p == CATALOGUE).map(|(_, root)| root);
            Some(**size) != newest
                && root.is_some_and(|root| !held.iter().any(|(p, r)| p == name && r == root))
        };
        let count = signed.iter().filter(lacks).count();
        if count > 0 {
            let text = format!("{name} lacks {count} checkpoints that the catalogue has");
            walk.findings.add(What::CheckpointLacking, text);
        }
    }
}

fn names(places: &BTreeSet<&str>) -> String {
    places.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
