//! A profile's TOML: read with every problem named at once, then compiled.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{KINDS, NamePattern, Profile, Sidecar, Zone};
use crate::card::take::{By, TakeRule};

/// Compiled size of one pattern, in bytes: a slip must not eat the station's memory.
const PATTERN_SIZE: usize = 1 << 20;
/// The groups a pattern may name.
const GROUPS: [&str; 9] = ["device", "officer", "date", "time", "seq", "number", "chapter", "mark", "level"];

/// A file as written: nothing compiled, nothing taken from the generic profile yet.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// The file, for messages.
    pub source: String,
    pub id: String,
    name: String,
    name_zh: String,
    priority: i64,
    detect: Vec<String>,
    include: Option<Vec<String>>,
    exclude: Vec<Exclude>,
    kinds: BTreeMap<String, Vec<String>>,
    names: Vec<Name>,
    sidecars: Vec<RawSidecar>,
    time_zone: Option<String>,
    take: Option<Take>,
    recorder_from: Option<RecorderFrom>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclude {
    glob: String,
    why: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    pattern: String,
    folder: Option<String>,
    time_format: Option<String>,
    kind: Option<String>,
    chapter: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSidecar {
    extensions: Vec<String>,
    rule: SidecarRule,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    owner_prefixes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SidecarRule {
    SameStem,
    OtherPrefix,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    rule: TakeWord,
    max_gap_seconds: Option<u32>,
    by: Option<By>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TakeWord {
    None,
    Chapter,
    Gap,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RecorderFrom {
    Device,
    Folder,
}

/// The keys of one file; what is left at the end was not known.
struct Keys<'a> {
    source: &'a str,
    table: Table,
    problems: &'a mut Vec<String>,
}

impl Keys<'_> {
    fn read<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.remove(key)?;
        self.value(key, value)
    }

    fn value<T: DeserializeOwned>(&mut self, key: &str, value: Value) -> Option<T> {
        match value.try_into() {
            Ok(value) => Some(value),
            Err(e) => {
                let why = e.to_string();
                self.problems.push(format!("{}: {key}: {}", self.source, why.trim().replace('\n', " ")));
                None
            }
        }
    }

    /// A list read item by item, so that each bad one is named.
    fn list<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let items: Vec<Value> = self.read(key).unwrap_or_default();
        let items = items.into_iter().enumerate();
        items.filter_map(|(i, item)| self.value(&format!("{key}[{}]", i + 1), item)).collect()
    }

    fn text(&mut self, key: &str) -> String {
        if !self.table.contains_key(key) {
            self.problems.push(format!("{}: {key} is missing", self.source));
        }
        self.read(key).unwrap_or_default()
    }
}

impl Draft {
    /// Reads the text of a profile; `source` names it in messages. `None` with at least one
    /// problem added.
    pub fn read(source: &str, text: &str, problems: &mut Vec<String>) -> Option<Self> {
        let before = problems.len();
        let table = match text.parse() {
            Ok(table) => table,
            Err(e) => {
                let e: toml::de::Error = e;
                problems.push(format!("{source}: {}", e.to_string().trim().replace('\n', "\n    ")));
                return None;
            }
        };
        let mut keys = Keys { source, table, problems };
        let draft = Self {
            source: source.to_owned(),
            id: keys.text("id"),
            name: keys.text("name"),
            name_zh: keys.text("name_zh"),
            priority: keys.read("priority").unwrap_or(0),
            detect: keys.list("detect"),
            include: keys.table.contains_key("include").then(|| keys.list("include")),
            exclude: keys.list("exclude"),
            kinds: keys.read("kinds").unwrap_or_default(),
            names: keys.list("name_pattern"),
            sidecars: keys.list("sidecar"),
            time_zone: keys.read("time_zone"),
            take: keys.read("take"),
            recorder_from: keys.read("recorder_from"),
        };
        for key in keys.table.keys() {
            keys.problems.push(format!("{source}: {key} is not a key of a profile"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if draft.id.len() > 64 || !draft.id.chars().all(plain) {
            problems.push(format!("{source}: id: letters, digits, `-` and `_` only, at most 64"));
        }
        (problems.len() == before).then_some(draft)
    }

    /// Compiles the draft on top of the generic profile, which holds where this one is silent.
    pub fn compile(&self, generic: Option<&Profile>, problems: &mut Vec<String>) -> Option<Profile> {
        let before = problems.len();
        let mut wrong = |key: String, why: String| problems.push(format!("{}: {key}: {why}", self.source));
        let everything = vec!["**".to_owned()];
        let detect = globs("detect", self.detect.iter().map(String::as_str), &mut wrong);
        let include = self.include.as_ref().unwrap_or(&everything);
        let include = globs("include", include.iter().map(String::as_str), &mut wrong);
        let own_exclude = globs("exclude", self.exclude.iter().map(|e| e.glob.as_str()), &mut wrong);
        let mut exclude = vec![(own_exclude, self.exclude.iter().map(|e| e.why.clone()).collect())];
        let mut names: Vec<NamePattern> = Vec::new();
        for (i, name) in self.names.iter().enumerate() {
            let mut wrong = |key: &str, why| wrong(format!("name_pattern[{}].{key}", i + 1), why);
            names.extend(name.compile(&mut wrong));
        }
        let mut sidecars = Vec::new();
        for (i, sidecar) in self.sidecars.iter().enumerate() {
            let (prefix, owners) = (&sidecar.prefix, &sidecar.owner_prefixes);
            let same = sidecar.rule == SidecarRule::SameStem;
            if same != (prefix.is_empty() && owners.is_empty()) || (!same && owners.is_empty()) {
                let why = "`other-prefix` wants `prefix` and `owner_prefixes`, `same-stem` has neither";
                wrong(format!("sidecar[{}].rule", i + 1), why.into());
            }
            sidecars.push(Sidecar {
                extensions: sidecar.extensions.iter().map(|e| plain_extension(e)).collect(),
                prefix: prefix.clone(),
                owner_prefixes: if same { vec![String::new()] } else { owners.clone() },
            });
        }
        let mut kinds = generic.map(|g| g.kinds.clone()).unwrap_or_default();
        let mut said: BTreeMap<String, &str> = BTreeMap::new();
        for (word, extensions) in &self.kinds {
            let Some(kind) = known_kind(word) else {
                wrong(format!("kinds.{word}"), format!("the kinds are {}", KINDS.join(", ")));
                continue;
            };
            for extension in extensions {
                let extension = plain_extension(extension);
                if let Some(other) = said.insert(extension.clone(), kind) {
                    wrong(format!("kinds.{word}"), format!("`{extension}` already stands in kinds.{other}"));
                }
                kinds.insert(extension, kind);
            }
        }
        let zone = match self.time_zone.as_deref() {
            None => generic.map_or(Zone::Station, |g| g.zone),
            Some("station") => Zone::Station,
            Some(offset) => offset.parse().map(Zone::Fixed).unwrap_or_else(|_| {
                wrong("time_zone".into(), format!("wants \"station\" or \"+08:00\", not \"{offset}\""));
                Zone::Station
            }),
        };
        let take = match &self.take {
            None => generic.map_or(TakeRule::None, |g| g.take),
            Some(take) => take.compile(&mut |key, why| wrong(format!("take.{key}"), why)),
        };
        let from_device = match self.recorder_from {
            None => generic.is_some_and(|g| g.from_device),
            Some(from) => from == RecorderFrom::Device,
        };
        let by_device = |n: &NamePattern| n.stem.capture_names().flatten().any(|g| g == "device");
        if self.recorder_from == Some(RecorderFrom::Device) && !names.iter().any(by_device) {
            wrong("recorder_from".into(), "no name_pattern has the group `device`".into());
        }
        let own_names = names.len();
        if let Some(generic) = generic {
            names.extend(generic.names.iter().cloned());
            sidecars.extend(generic.sidecars.iter().cloned());
            exclude.extend(generic.exclude.iter().cloned());
        }
        if problems.len() > before {
            return None;
        }
        Some(Profile {
            id: self.id.clone(),
            name: self.name.clone(),
            name_zh: self.name_zh.clone(),
            priority: self.priority,
            detect,
            include,
            exclude,
            kinds,
            names,
            own_names,
            sidecars,
            zone,
            take,
            from_device,
        })
    }
}

impl Name {
    fn compile(&self, wrong: &mut dyn FnMut(&str, String)) -> Option<NamePattern> {
        let stem = pattern("pattern", &self.pattern, wrong);
        let folder = match &self.folder {
            Some(folder) => Some(pattern("folder", folder, wrong)?),
            None => None,
        };
        let groups = |p: &Option<Regex>| -> Vec<String> {
            p.iter().flat_map(|p| p.capture_names().flatten().map(str::to_owned)).collect()
        };
        let timed = groups(&stem).iter().chain(&groups(&folder)).any(|g| g == "date" || g == "time");
        match (&self.time_format, timed) {
            (None, true) => wrong("time_format", "is missing: the pattern has `date` or `time`".into()),
            (Some(_), false) => wrong("time_format", "the pattern has neither `date` nor `time`".into()),
            (Some(format), true) if !is_time_format(format) => {
                let why = "must read a whole date and time, as \"%Y%m%d %H%M%S\" does";
                wrong("time_format", format!("`{format}` {why}"));
            }
            _ => {}
        }
        let kind = match self.kind.as_deref() {
            None => None,
            Some(word) => match known_kind(word) {
                Some(kind) => Some(kind),
                None => {
                    wrong("kind", format!("the kinds are {}", KINDS.join(", ")));
                    None
                }
            },
        };
        Some(NamePattern {
            stem: stem?,
            folder,
            time_format: self.time_format.clone(),
            kind,
            chapter: self.chapter,
        })
    }
}

impl Take {
    fn compile(&self, wrong: &mut dyn FnMut(&str, String)) -> TakeRule {
        if self.rule != TakeWord::Gap && (self.max_gap_seconds.is_some() || self.by.is_some()) {
            wrong("rule", "`max_gap_seconds` and `by` are for rule = \"gap\"".into());
        }
        match (self.rule, self.max_gap_seconds) {
            (TakeWord::None, _) => TakeRule::None,
            (TakeWord::Chapter, _) => TakeRule::Chapter,
            (TakeWord::Gap, Some(seconds)) => {
                TakeRule::Gap { max_gap_ms: u64::from(seconds) * 1000, by: self.by.unwrap_or_default() }
            }
            (TakeWord::Gap, None) => {
                wrong("max_gap_seconds", "is missing".into());
                TakeRule::None
            }
        }
    }
}

fn known_kind(word: &str) -> Option<&'static str> {
    KINDS.iter().find(|k| **k == word).copied()
}

fn plain_extension(extension: &str) -> String {
    extension.trim_start_matches('.').to_ascii_lowercase()
}

/// A pattern for a whole name.
fn pattern(key: &str, text: &str, wrong: &mut dyn FnMut(&str, String)) -> Option<Regex> {
    let whole = format!(r"\A(?:{text})\z");
    let compiled = RegexBuilder::new(&whole).size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE).build();
    let pattern = match compiled {
        Ok(pattern) => pattern,
        Err(e) => {
            wrong(key, e.to_string().replace('\n', "\n    "));
            return None;
        }
    };
    for group in pattern.capture_names().flatten().filter(|g| !GROUPS.contains(g)) {
        wrong(key, format!("has a group `{group}`; the groups are {}", GROUPS.join(", ")));
    }
    Some(pattern)
}

/// Whether a written time comes back by this format.
fn is_time_format(format: &str) -> bool {
    use std::fmt::Write;
    let sample = NaiveDate::from_ymd_opt(2026, 11, 23).and_then(|d| d.and_hms_opt(10, 15, 0));
    let mut written = String::new();
    // Formatting fails for a format that is none, or that wants a zone.
    sample.is_some_and(|t| write!(written, "{}", t.format(format)).is_ok())
        && NaiveDateTime::parse_from_str(&written, format).ok() == sample
}

fn globs<'a>(
    key: &str,
    list: impl Iterator<Item = &'a str>,
    wrong: &mut dyn FnMut(String, String),
) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for (i, glob) in list.enumerate() {
        match GlobBuilder::new(glob).literal_separator(true).case_insensitive(true).build() {
            Ok(glob) => drop(set.add(glob)),
            Err(e) => wrong(format!("{key}[{}]", i + 1), e.to_string()),
        }
    }
    set.build().unwrap_or_else(|e| {
        wrong(key.to_owned(), e.to_string());
        GlobSet::empty()
    })
}
