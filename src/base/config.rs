//! Settings: `docket.toml` read with every problem named at once, unknown keys refused.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Error, Kind, Result};

/// The commented file that `docket init` writes.
pub const TEMPLATE: &str = include_str!("../../config/docket.toml");

/// All settings of a station.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The data directory: catalogue, locks, control socket.
    pub data: PathBuf,
    /// Archive volumes, in the order of the file.
    pub volumes: Vec<VolumeConfig>,
    /// Folder docks.
    pub docks: Vec<DockConfig>,
    /// Names of the volumes every recording is archived to.
    pub archive_to: Vec<String>,
    /// Also compute SM3 (GB/T 32905) in the same read.
    pub sm3: bool,
    /// A file written to within this many seconds is given time to come to rest.
    pub settle_seconds: u64,
    /// How often one file is tried during one stay.
    pub attempts: u32,
    /// Bytes between two journal entries of a running copy.
    pub journal_bytes: u64,
    /// Seconds between two looks at a docked card where no notice arrived.
    pub rescan_seconds: u64,
    /// A folder with profiles of the station's own.
    pub profiles: Option<PathBuf>,
    /// Read durations and codecs of archived media.
    pub probe: bool,
    /// What goes into the log: `error`, `warn`, `info`, `debug`, `trace`, or a filter.
    pub log: String,
}

/// One archive volume.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeConfig {
    /// Its name in this file and on screens.
    pub name: String,
    /// Where it is mounted.
    pub path: PathBuf,
    /// Bytes left free for others; below that the volume counts as full.
    pub reserve: u64,
}

/// One folder dock.
#[derive(Debug, Clone, PartialEq)]
pub struct DockConfig {
    /// Its name on screens.
    pub name: String,
    /// The watched folder; every subfolder is a docked card.
    pub path: PathBuf,
}

/// Which station: by its data directory, or by a settings file elsewhere.
#[derive(Debug, Clone)]
pub enum Source {
    /// A data directory; its `docket.toml` is read where there is one.
    Data(PathBuf),
    /// A settings file.
    File(PathBuf),
}

impl Source {
    /// The settings file, whether it is there or not.
    pub fn file(&self) -> PathBuf {
        match self {
            Self::Data(dir) => dir.join("docket.toml"),
            Self::File(file) => file.clone(),
        }
    }

    /// Reads the settings; a data directory without a file has the defaults.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config> {
        match self {
            Self::Data(dir) if !self.file().exists() => {
                let dir = std::path::absolute(dir).map_err(|e| Error::io("resolve", dir, e))?;
                Ok(Config::defaults(&dir))
            }
            _ => Config::load(&self.file()),
        }
    }
}

impl Config {
    /// What a station in `data` gets without a file.
    pub fn defaults(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            volumes: vec![VolumeConfig { name: "main".into(), path: data.join("archive"), reserve: 1 << 30 }],
            docks: vec![DockConfig { name: "cards".into(), path: data.join("cards") }],
            archive_to: vec!["main".into()],
            sm3: false,
            settle_seconds: 2,
            attempts: 3,
            journal_bytes: 64 << 20,
            rescan_seconds: 30,
            profiles: None,
            probe: true,
            log: "info".into(),
        }
    }

    /// Reads a settings file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// One error that lists every problem: unknown keys, wrong types, missing or doubled names.
    pub fn load(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|e| {
            Error::io("read", file, e).next("`docket init --data DIR` makes a station with a commented file")
        })?;
        let base = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = std::path::absolute(base).map_err(|e| Error::io("resolve", base, e))?;
        Self::parse(&text, &base).map_err(|problems| {
            let list: Vec<_> = problems.iter().map(|p| format!("\n  - {p}")).collect();
            let (file, list) = (file.display(), list.concat());
            let what = match problems.len() {
                1 => format!("1 problem in {file}:{list}"),
                n => format!("{n} problems in {file}:{list}"),
            };
            Error::new(Kind::Invalid, what)
                .next("mend the lines named above; config/docket.toml explains every key")
        })
    }

    /// Reads settings from text; paths are relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<String>> {
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(e) => return Err(vec![e.to_string().trim().replace('\n', "\n    ")]),
        };
        let mut top = Section { name: String::new(), table, problems: Vec::new() };
        let mut c = Self::defaults(base);
        if let Some(mut s) = top.section("station") {
            c.data = s.string("data").map_or(c.data, |p| base.join(p));
            c.log = s.string("log").unwrap_or(c.log);
            top.take_problems(s);
        }
        c.volumes[0].path = c.data.join("archive");
        c.docks[0].path = c.data.join("cards");
        let volumes = top.sections("volume").map(|list| {
            let mut out = Vec::new();
            for mut s in list {
                let (name, path) = (s.name_of(), s.path("path", base));
                let reserve = s.size("reserve").unwrap_or(1 << 30);
                if let (Some(name), Some(path)) = (name, path) {
                    out.push(VolumeConfig { name, path, reserve });
                }
                top.take_problems(s);
            }
            out
        });
        if let Some(volumes) = volumes {
            c.archive_to = volumes.first().map(|v| v.name.clone()).into_iter().collect();
            c.volumes = volumes;
        }
        if let Some(list) = top.sections("dock") {
            c.docks.clear();
            for mut s in list {
                if let (Some(name), Some(path)) = (s.name_of(), s.path("path", base)) {
                    c.docks.push(DockConfig { name, path });
                }
                top.take_problems(s);
            }
        }
        if let Some(mut s) = top.section("ingest") {
            c.archive_to = s.strings("archive_to").unwrap_or(c.archive_to);
            c.sm3 = s.boolean("sm3").unwrap_or(c.sm3);
            c.settle_seconds = s.number("settle_seconds", 0, 3600).unwrap_or(c.settle_seconds);
            c.attempts = s.number("attempts", 1, 100).map_or(c.attempts, |n| u32::try_from(n).unwrap_or(3));
            c.journal_bytes = s.size("journal_every").unwrap_or(c.journal_bytes).max(1 << 20);
            c.rescan_seconds = s.number("rescan_seconds", 1, 86_400).unwrap_or(c.rescan_seconds);
            c.profiles = s.path_optional("profiles", base);
            c.probe = s.boolean("probe").unwrap_or(c.probe);
            top.take_problems(s);
        }
        let mut problems = top.finish();
        c.cross_check(&mut problems);
        if problems.is_empty() { Ok(c) } else { Err(problems) }
    }

    fn cross_check(&self, problems: &mut Vec<String>) {
        if self.volumes.is_empty() {
            problems.push("no [[volume]]: there is nowhere to archive to".into());
        }
        twice(self.volumes.iter().map(|v| &v.name), "volume name", problems);
        twice(self.volumes.iter().map(|v| v.path.display().to_string()), "volume path", problems);
        twice(self.docks.iter().map(|d| &d.name), "dock name", problems);
        twice(self.docks.iter().map(|d| d.path.display().to_string()), "dock path", problems);
        if self.archive_to.is_empty() && !self.volumes.is_empty() {
            problems.push("ingest.archive_to is empty: nothing would be archived".into());
        }
        for (i, name) in self.archive_to.iter().enumerate() {
            if self.archive_to[..i].contains(name) {
                problems.push(format!("ingest.archive_to names `{name}` twice"));
            }
            if !self.volumes.iter().any(|v| &v.name == name) {
                problems.push(format!("ingest.archive_to names `{name}`, but there is no such [[volume]]"));
            }
        }
        for (a, b) in self.volumes.iter().flat_map(|a| self.volumes.iter().map(move |b| (a, b))) {
            if a.path != b.path && b.path.starts_with(&a.path) {
                problems.push(format!("volume `{}` lies in volume `{}`", b.name, a.name));
            }
        }
        for dock in &self.docks {
            if self.data.starts_with(&dock.path) {
                problems.push(format!("dock `{}` holds the station's data directory", dock.name));
            }
            for volume in &self.volumes {
                if dock.path.starts_with(&volume.path) || volume.path.starts_with(&dock.path) {
                    problems.push(format!("dock `{}` and volume `{}` overlap", dock.name, volume.name));
                }
            }
        }
    }
}

fn twice<T: std::fmt::Display>(values: impl Iterator<Item = T>, what: &str, problems: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for value in values.map(|v| v.to_string()) {
        if !seen.insert(value.clone()) {
            problems.push(format!("{what} `{value}` stands twice"));
        }
    }
}

/// One table of the file; what is left in it at the end was not known.
struct Section {
    name: String,
    table: Table,
    problems: Vec<String>,
}

impl Section {
    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn wrong(&mut self, key: &str, wanted: &str, got: &Value) {
        let line = format!("{} wants {wanted}, not {got}", self.key(key));
        self.problems.push(line);
    }

    fn section(&mut self, name: &str) -> Option<Section> {
        match self.table.remove(name)? {
            Value::Table(table) => Some(Section { name: name.into(), table, problems: Vec::new() }),
            other => {
                self.wrong(name, &format!("a table [{name}]"), &other);
                None
            }
        }
    }

    fn sections(&mut self, name: &str) -> Option<Vec<Section>> {
        let value = self.table.remove(name)?;
        let Value::Array(list) = value else {
            self.wrong(name, &format!("tables [[{name}]]"), &value);
            return None;
        };
        let mut out = Vec::new();
        for (i, item) in list.into_iter().enumerate() {
            let name = format!("{name}[{}]", i + 1);
            match item {
                Value::Table(table) => out.push(Section { name, table, problems: Vec::new() }),
                other => self.wrong(&name, "a table", &other),
            }
        }
        Some(out)
    }

    fn string(&mut self, key: &str) -> Option<String> {
        match self.table.remove(key)? {
            Value::String(s) if !s.is_empty() => Some(s),
            other => {
                self.wrong(key, "a text in quotes", &other);
                None
            }
        }
    }

    fn name_of(&mut self) -> Option<String> {
        if !self.table.contains_key("name") {
            self.problems.push(format!("{} is missing", self.key("name")));
            return None;
        }
        let name = self.string("name")?;
        let fine = name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) && name.len() <= 64;
        if !fine {
            let key = self.key("name");
            self.problems.push(format!("{key} `{name}`: letters, digits, `-`, `_`, `.`; at most 64 bytes"));
        }
        fine.then_some(name)
    }

    fn path(&mut self, key: &str, base: &Path) -> Option<PathBuf> {
        if !self.table.contains_key(key) {
            self.problems.push(format!("{} is missing", self.key(key)));
        }
        self.path_optional(key, base)
    }

    fn path_optional(&mut self, key: &str, base: &Path) -> Option<PathBuf> {
        self.string(key).map(|p| base.join(p))
    }

    fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.table.remove(key)?;
        let list = value.as_array().map(|a| a.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        match list {
            Some(Some(list)) => Some(list),
            _ => {
                self.wrong(key, "a list of texts", &value);
                None
            }
        }
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.table.remove(key)? {
            Value::Boolean(b) => Some(b),
            other => {
                self.wrong(key, "true or false", &other);
                None
            }
        }
    }

    fn number(&mut self, key: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.table.remove(key)?;
        match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
            Some(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                self.wrong(key, &format!("a whole number from {min} to {max}"), &value);
                None
            }
        }
    }

    fn size(&mut self, key: &str) -> Option<u64> {
        let value = self.table.remove(key)?;
        let size = match &value {
            Value::Integer(n) => u64::try_from(*n).ok(),
            Value::String(s) => parse_size(s),
            _ => None,
        };
        if size.is_none() {
            self.wrong(key, "a size such as \"512 MiB\"", &value);
        }
        size
    }

    fn take_problems(&mut self, section: Section) {
        self.problems.extend(section.finish());
    }

    fn finish(mut self) -> Vec<String> {
        let unknown: Vec<_> =
            self.table.keys().map(|k| format!("{} is not a setting", self.key(k))).collect();
        self.problems.extend(unknown);
        self.problems
    }
}

/// `512 MiB`, `2GB`, `4096`: bytes. Binary and decimal units.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "TiB" | "T" => 1 << 40,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_valid_and_says_the_defaults() {
        let base = Path::new("/srv/docket");
        assert_eq!(Config::parse(TEMPLATE, base).unwrap(), Config::defaults(base));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let text = r#"
            colour = "red"
            [station]
            log = 3
            [[volume]]
            name = "a b/c"
            path = "x"
            [[volume]]
            path = "y"
            reserve = "lots"
            [ingest]
            archive_to = ["main"]
            attempts = 0
            sm3 = "yes"
        "#;
        let problems = Config::parse(text, Path::new("/d")).unwrap_err().join("\n");
        for part in [
            "colour is not a setting",
            "station.log",
            "volume[1].name",
            "volume[2].name is missing",
            "volume[2].reserve",
            "archive_to names `main`",
            "ingest.attempts",
            "ingest.sm3",
        ] {
            assert!(problems.contains(part), "{part} not named in:\n{problems}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64 MiB"), Some(64 << 20));
        assert_eq!(parse_size("99999999 TiB"), None);
        assert_eq!(parse_size("-1"), None);
    }
}
