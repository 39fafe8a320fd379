//! A profile: how one family of recorders names and keeps its files. Data in TOML, not code.

mod file;
mod set;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use chrono::{FixedOffset, Local, NaiveDateTime, TimeZone, Utc};
use globset::GlobSet;
use regex::Regex;

pub use self::set::{Detection, Profiles};
use super::naming::{NameFacts, is_harmful, split, text};
use super::take::TakeRule;
use super::walk::Directory;

/// The kinds a file can have; `other` stays on the card.
pub const KINDS: [&str; 7] = ["video", "audio", "photo", "sidecar", "log", "document", "other"];
/// A value longer than this (bytes) is no number of a device or an officer.
const LONGEST_VALUE: usize = 64;

/// One family of recorders. Made by [`Profiles`].
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its id in records: `dcam`.
    pub id: String,
    /// Its name in English.
    pub name: String,
    /// Its name in Chinese.
    pub name_zh: String,
    /// Which of two profiles that both know a file takes it: the higher.
    pub priority: i64,
    detect: GlobSet,
    include: GlobSet,
    /// Its own, then the generic profile's: globs and the reason of each.
    exclude: Vec<(GlobSet, Vec<String>)>,
    kinds: BTreeMap<String, &'static str>,
    names: Vec<NamePattern>,
    /// How many of `names` are its own and not of the generic profile.
    own_names: usize,
    sidecars: Vec<Sidecar>,
    zone: Zone,
    take: TakeRule,
    from_device: bool,
}

/// A grammar of file names without their extension.
#[derive(Debug, Clone)]
struct NamePattern {
    stem: Regex,
    /// For the name of the folder it lies in.
    folder: Option<Regex>,
    time_format: Option<String>,
    kind: Option<&'static str>,
    chapter: Option<u32>,
}

/// Which file a sidecar belongs to: the one with its stem, with one prefix put for another.
#[derive(Debug, Clone)]
struct Sidecar {
    extensions: Vec<String>,
    prefix: String,
    owner_prefixes: Vec<String>,
}

/// The zone a recorder's clock is read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// The station's own.
    Station,
    /// A fixed offset from UTC.
    Fixed(FixedOffset),
}

impl Zone {
    /// A local time in UTC; the earlier of two, `None` for one that the zone leaps over.
    pub fn to_utc(self, local: NaiveDateTime) -> Option<chrono::DateTime<Utc>> {
        match self {
            Zone::Station => Local.from_local_datetime(&local).earliest().map(|t| t.to_utc()),
            Zone::Fixed(offset) => offset.from_local_datetime(&local).earliest().map(|t| t.to_utc()),
        }
    }
}

impl Profile {
    /// What the name of a file claims; `path` is relative to the card. Only its last two names
    /// are looked at.
    pub fn parse(&self, path: &Path) -> NameFacts {
        let name = text(path.file_name().unwrap_or_default());
        let (stem, extension) = split(&name);
        let mut facts = NameFacts { kind: self.kind_of(&extension).to_owned(), ..NameFacts::default() };
        let sidecar = self.sidecars.iter().any(|s| s.extensions.contains(&extension));
        // A log may well stand for itself; only a file beside it says otherwise.
        if sidecar && facts.kind == "sidecar" {
            facts.sidecar_of = clean(stem, 255);
        }
        let folder = folder_of(path);
        for pattern in &self.names {
            let Some(groups) = pattern.groups(self.bare_stem(stem, sidecar), &folder) else { continue };
            let group = |name| groups.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
            let value = |name| group(name).and_then(|v| clean(v, LONGEST_VALUE));
            facts.device = value("device");
            facts.officer = value("officer");
            facts.number = group("number").or(group("seq")).and_then(|n| n.parse().ok());
            facts.chapter = group("chapter").and_then(|n| n.parse().ok()).or(pattern.chapter);
            facts.important = value("mark").or_else(|| value("level"));
            facts.local_time = pattern.time(group("date"), group("time"));
            // A sidecar bears the name of a video and yet is none.
            if let (Some(kind), false) = (pattern.kind, sidecar) {
                facts.kind = kind.to_owned();
            }
            break;
        }
        facts
    }

    /// Whether recorders of this family are known by the device number in their file names.
    pub fn recorder_from_device(&self) -> bool {
        self.from_device
    }

    /// The zone of its clock.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// How it splits what it records.
    pub fn take_rule(&self) -> TakeRule {
        self.take
    }

    /// The kind that an extension (small letters, no dot) stands for; one of [`KINDS`].
    pub fn kind_of(&self, extension: &str) -> &'static str {
        self.kinds.get(extension).copied().unwrap_or("other")
    }

    /// Why a file of this kind stays on the card, if it does; `path` is relative to the card.
    pub fn leaves(&self, path: &Path, kind: &str) -> Option<String> {
        for (globs, reasons) in &self.exclude {
            if let Some(&first) = globs.matches(path).first() {
                return reasons.get(first).cloned();
            }
        }
        if !self.include.is_match(path) {
            return Some(format!("outside what profile {} takes (its `include`)", self.id));
        }
        if kind != "other" {
            return None;
        }
        let name = text(path.file_name().unwrap_or_default());
        let (_, extension) = split(&name);
        let shown = match clean(&extension, 16) {
            Some(extension) => format!(".{extension}"),
            None if extension.is_empty() => "no extension".into(),
            None => "a strange extension".into(),
        };
        Some(format!("no media, sidecar or log by its name ({shown})"))
    }

    /// The file in `dir` that the sidecar `name` belongs to.
    pub(super) fn owner(&self, dir: &Directory, name: &OsStr) -> Option<String> {
        let whole = text(name);
        let (stem, extension) = split(&whole);
        let rules = self.sidecars.iter().filter(|s| s.extensions.contains(&extension));
        for rule in rules {
            let Some(rest) = stem.strip_prefix(&rule.prefix) else { continue };
            for prefix in &rule.owner_prefixes {
                let wanted = format!("{prefix}{rest}");
                // Names are sorted: all that begin with the wanted stem stand together.
                let from = dir.files.partition_point(|f| f.name.as_os_str() < OsStr::new(&wanted));
                let candidates = dir.files[from..].iter().map(|f| text(&f.name));
                let mut beside = candidates.take_while(|n| n.starts_with(&wanted));
                let found = beside.find(|n| {
                    let (owner_stem, ext) = split(n);
                    (**n == wanted || owner_stem == wanted)
                        && matches!(self.kind_of(&ext), "video" | "audio" | "photo")
                });
                if let Some(found) = found {
                    return clean(&found, 255);
                }
            }
        }
        None
    }

    /// Whether this profile by itself knows such a file.
    fn knows(&self, path: &Path) -> bool {
        let name = text(path.file_name().unwrap_or_default());
        let folder = folder_of(path);
        let (stem, extension) = split(&name);
        let stem = self.bare_stem(stem, self.sidecars.iter().any(|s| s.extensions.contains(&extension)));
        self.detect.is_match(path)
            || self.names[..self.own_names].iter().any(|p| p.groups(stem, &folder).is_some())
    }

    /// The stem that patterns are for: of `x.mp4.gps`, `x`.
    fn bare_stem<'a>(&self, stem: &'a str, sidecar: bool) -> &'a str {
        match split(stem) {
            (bare, extension) if sidecar && self.kind_of(&extension) != "other" => bare,
            _ => stem,
        }
    }
}

impl NamePattern {
    fn groups<'t>(&'t self, stem: &'t str, folder: &'t str) -> Option<Vec<(&'t str, &'t str)>> {
        let mut groups = captures(&self.stem, stem)?;
        if let Some(pattern) = &self.folder {
            groups.extend(captures(pattern, folder)?);
        }
        Some(groups)
    }

    fn time(&self, date: Option<&str>, time: Option<&str>) -> Option<NaiveDateTime> {
        let joined: Vec<&str> = date.into_iter().chain(time).collect();
        NaiveDateTime::parse_from_str(&joined.join(" "), self.time_format.as_deref()?).ok()
    }
}

/// The named groups of a whole match. FAT shows the same name in capitals or small letters
/// depending on who mounts it, so both are tried; the values are always as written.
fn captures<'t>(pattern: &'t Regex, text: &'t str) -> Option<Vec<(&'t str, &'t str)>> {
    let found = pattern
        .captures(text)
        .map(|c| ranges(pattern, &c))
        .or_else(|| pattern.captures(&text.to_ascii_uppercase()).map(|c| ranges(pattern, &c)))
        .or_else(|| pattern.captures(&text.to_ascii_lowercase()).map(|c| ranges(pattern, &c)))?;
    Some(found.into_iter().filter_map(|(name, range)| Some((name, text.get(range)?))).collect())
}

fn ranges<'p>(pattern: &'p Regex, found: &regex::Captures<'_>) -> Vec<(&'p str, std::ops::Range<usize>)> {
    pattern.capture_names().flatten().filter_map(|name| Some((name, found.name(name)?.range()))).collect()
}

fn folder_of(path: &Path) -> String {
    path.parent().and_then(Path::file_name).map(|name| text(name).into_owned()).unwrap_or_default()
}

/// A value fit for records and screens, or none.
fn clean(value: &str, longest: usize) -> Option<String> {
    let value = value.trim();
    let fit = !value.is_empty() && value.len() <= longest && !value.chars().any(is_harmful);
    fit.then(|| value.to_owned())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
