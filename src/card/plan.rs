//! What is to be done with one file of a card. Pure: the answers of the catalogue come with it.

use std::path::Path;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use super::naming::NameFacts;
use super::profile::Profile;
use super::walk::Directory;

/// What the catalogue knows of a file's path, size and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    New,
    /// The same path, size and time are archived.
    Archived {
        /// The recording's id.
        recording: String,
    },
    /// The same path, size and time are being copied.
    Unfinished {
        /// The job.
        job: i64,
    },
    /// The path is being copied, but with another size or time.
    Replaced {
        /// The job.
        job: i64,
    },
    /// The path is archived, but with another size or time.
    SameNameOtherContent {
        /// The recording's id.
        recording: String,
    },
}

/// What is seen of a file now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Bytes.
    pub size: u64,
    /// Modification time, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// What the catalogue says.
    pub known: Known,
    /// The station's time.
    pub now: DateTime<Utc>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is archived.
    Known {
        /// As this recording.
        recording: String,
    },
    /// Nothing: it stays on the card.
    Leave {
        /// Why, for a person.
        why: String,
    },
    /// Go on with this job.
    Resume {
        /// The job.
        job: i64,
    },
    /// Compare it with the archived recording: its time is no proof that it is the same.
    Recheck {
        /// The recording's id.
        recording: String,
        /// For the copy, where it differs.
        facts: NameFacts,
    },
    /// Copy it.
    Copy {
        /// What its name says.
        facts: NameFacts,
        /// What a person should know of it, in words.
        flags: Vec<String>,
        /// The job whose source is no longer there.
        replaces: Option<i64>,
    },
}

const DAY: TimeDelta = TimeDelta::days(1);
/// The first FAT date.
const FAT_BEGIN: DateTime<Utc> = DateTime::from_timestamp(315_532_800, 0).unwrap();

/// Decides for one file; `dir` is the folder (or part of one) it was seen in, `path` is relative
/// to the card.
pub fn plan_file(profile: &Profile, dir: &Directory, path: &Path, seen: &Seen) -> Decision {
    let doubt = doubtful(seen.mtime_ns, seen.now);
    let replaces = match &seen.known {
        Known::Archived { recording } if doubt.is_none() => {
            return Decision::Known { recording: recording.clone() };
        }
        Known::Archived { recording } => {
            return Decision::Recheck { recording: recording.clone(), facts: facts(profile, dir, path) };
        }
        Known::Unfinished { job } => return Decision::Resume { job: *job },
        Known::Replaced { job } => Some(*job),
        Known::New | Known::SameNameOtherContent { .. } => None,
    };
    let facts = facts(profile, dir, path);
    // What was planned once is wanted, whatever the profile says by now.
    if let (None, Some(why)) = (replaces, profile.leaves(path, &facts.kind)) {
        return Decision::Leave { why };
    }
    let mut flags = Vec::new();
    if let Known::SameNameOtherContent { recording } = &seen.known {
        flags.push(format!("same name as recording {recording}, other content"));
    }
    if seen.size == 0 {
        flags.push("empty file".into());
    }
    flags.extend(doubt.map(str::to_owned));
    Decision::Copy { facts, flags, replaces }
}

fn facts(profile: &Profile, dir: &Directory, path: &Path) -> NameFacts {
    let mut facts = profile.parse(path);
    if let Some(owner) = path.file_name().and_then(|name| profile.owner(dir, name)) {
        facts.sidecar_of = Some(owner);
    }
    facts
}

/// Why a modification time says little, where it does: two files written after a reset of the
/// clock can bear the same one.
fn doubtful(mtime_ns: i64, now: DateTime<Utc>) -> Option<&'static str> {
    let at = DateTime::from_timestamp_nanos(mtime_ns);
    // Firmware begins at some new year (2000, 2016, 2020…); a zone's width on either side, for FAT times
    // are local. Who works on New Year's Day pays with one reading of the card.
    let reset = [at - DAY, at, at + DAY].iter().any(|t| t.ordinal() == 1);
    if at <= FAT_BEGIN + DAY || reset {
        Some("file time is that of a reset clock")
    } else if at.signed_duration_since(now) > DAY {
        Some("file time is in the future")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::profile::Profiles;
    use crate::card::walk::FileEntry;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn ns(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_nanos_opt().unwrap()
    }

    fn plan(path: &str, size: u64, mtime_ns: i64, known: Known) -> Decision {
        let profiles = Profiles::builtin();
        let seen = Seen { size, mtime_ns, known, now: NOW.parse().unwrap() };
        plan_file(profiles.get("dcam").unwrap(), &Directory::default(), Path::new(path), &seen)
    }

    /// The decision in a few words.
    fn word(decision: Decision) -> String {
        match decision {
            Decision::Known { recording } => format!("known {recording}"),
            Decision::Leave { why } => format!("leave: {why}"),
            Decision::Resume { job } => format!("resume {job}"),
            Decision::Recheck { recording, .. } => format!("recheck {recording}"),
            Decision::Copy { facts, flags, replaces } => {
                format!("copy {} [{}] {replaces:?}", facts.kind, flags.join("; "))
            }
        }
    }

    #[test]
    fn each_state_has_its_decision() {
        let archived = || Known::Archived { recording: "r1".into() };
        let same_name = || Known::SameNameOtherContent { recording: "r1".into() };
        let (good, v) = (ns("2026-11-22T08:00:00Z"), "DCIM/a.mp4");
        let table = [
            (v, 9, good, Known::New, "copy video [] None"),
            (v, 9, good, archived(), "known r1"),
            (v, 9, good, Known::Unfinished { job: 7 }, "resume 7"),
            (v, 9, good, Known::Replaced { job: 7 }, "copy video [] Some(7)"),
            (v, 9, good, same_name(), "copy video [same name as recording r1, other content] None"),
            (v, 0, good, Known::New, "copy video [empty file] None"),
            (v, 9, 0, archived(), "recheck r1"),
            (v, 9, ns("1980-01-02T00:00:00Z"), archived(), "recheck r1"),
            (v, 9, ns("1980-01-03T00:00:01Z"), archived(), "known r1"),
            (v, 9, ns("2020-01-01T00:00:10Z"), archived(), "recheck r1"),
            (v, 9, ns("2019-12-31T16:00:10Z"), archived(), "recheck r1"),
            (v, 9, ns("2026-01-03T00:00:00Z"), archived(), "known r1"),
            (v, 9, ns("2000-01-01T00:00:02Z"), archived(), "recheck r1"),
            (v, 9, ns("2016-01-01T08:00:00Z"), archived(), "recheck r1"),
            (v, 9, ns("2026-11-24T12:00:00Z"), archived(), "known r1"),
            (v, 9, ns("2026-11-24T12:00:01Z"), archived(), "recheck r1"),
            (v, 9, i64::MIN, Known::New, "copy video [file time is that of a reset clock] None"),
            (v, 9, i64::MAX, Known::New, "copy video [file time is in the future] None"),
            ("a.gps", 9, good, Known::New, "copy sidecar [] None"),
            ("a.log", 9, good, Known::New, "copy log [] None"),
            ("a.exe", 9, good, Known::New, "leave: no media, sidecar or log by its name (.exe)"),
            ("noext", 9, good, Known::New, "leave: no media, sidecar or log by its name (no extension)"),
            ("a.exe", 9, good, archived(), "known r1"),
            ("a.exe", 9, good, Known::Replaced { job: 7 }, "copy other [] Some(7)"),
        ];
        for (path, size, mtime, known, expected) in table {
            assert_eq!(word(plan(path, size, mtime, known.clone())), expected, "{path} {mtime} {known:?}");
        }
    }

    #[test]
    fn what_systems_leave_on_cards_is_left_with_a_reason() {
        let junk = ["Thumbs.db", "DCIM/._a.mp4", ".Trashes/501/a.mp4", "System Volume Information/a.log"];
        for path in junk {
            let said = word(plan(path, 9, ns("2026-11-22T08:00:00Z"), Known::New));
            assert!(said.starts_with("leave: ") && !said.contains("by its name"), "{path}: {said}");
        }
    }

    #[test]
    fn a_sidecar_names_the_file_it_belongs_to() {
        let entry = |name: &str| FileEntry { name: name.into(), size: 1, mtime_ns: 0 };
        let mut names =
            ["a.gps", "a.MP4", "b.mp4.gps", "b.mp4", "c.gps", "GL010527.LRV", "GH010527.MP4", "GX010527.txt"];
        names.sort_unstable();
        let dir = Directory { path: "D".into(), files: names.map(entry).to_vec(), left: Vec::new() };
        let profiles = Profiles::builtin();
        let table =
            [("a.gps", "a.MP4"), ("b.mp4.gps", "b.mp4"), ("c.gps", "c"), ("GL010527.LRV", "GH010527.MP4")];
        for (name, owner) in table {
            let told = facts(profiles.get("gopro").unwrap(), &dir, &Path::new("D").join(name));
            assert_eq!(told.sidecar_of.as_deref(), Some(owner), "{name}");
            assert_eq!(told.kind, "sidecar");
        }
    }
}
