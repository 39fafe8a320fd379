//! Settings: `docket.toml` read with every problem named at once, unknown keys refused.

pub mod channels;
mod rules;
pub(crate) mod section;

use std::path::{Path, PathBuf};

use toml::Table;

pub use self::channels::{Alerts, Channel};
use self::channels::{Format, Via};
pub use self::rules::{Cases, Custody, Deadlines, Metrics};
use self::section::Section;
pub use self::section::parse_size;
use super::{Error, Kind, Result};

/// The commented file that `docket init` writes.
pub const TEMPLATE: &str = include_str!("../../../config/docket.toml");

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
    /// The clocks.
    pub deadlines: Deadlines,
    /// Checklists and linking.
    pub cases: Cases,
    /// Checkpoints of the custody log.
    pub custody: Custody,
    /// The door for Prometheus.
    pub metrics: Metrics,
    /// Alerts.
    pub alerts: Alerts,
    /// The ways by which alerts reach people; the daemon's log is always one.
    pub channels: Vec<Channel>,
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
            deadlines: Deadlines::default(),
            cases: Cases::default(),
            custody: Custody::default(),
            metrics: Metrics::default(),
            alerts: Alerts::default(),
            channels: vec![Channel::journal()],
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
        let mut top = Section::top(table);
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
        if let Some(mut s) = top.section("deadlines") {
            c.deadlines = rules::deadlines(&mut s);
            top.take_problems(s);
        }
        if let Some(mut s) = top.section("cases") {
            c.cases = rules::cases(&mut s, base);
            top.take_problems(s);
        }
        if let Some(mut s) = top.section("custody") {
            c.custody = rules::custody(&mut s, base);
            top.take_problems(s);
        }
        if let Some(mut s) = top.section("metrics") {
            c.metrics = rules::metrics(&mut s);
            top.take_problems(s);
        }
        if let Some(mut s) = top.section("alerts") {
            c.alerts = channels::alerts(&mut s);
            top.take_problems(s);
        }
        if let Some(list) = top.sections("channel") {
            c.channels.clear();
            for mut s in list {
                c.channels.extend(channels::channel(&mut s, base));
                top.take_problems(s);
            }
            if !c.channels.iter().any(|c| c.via == channels::Via::Journal) {
                c.channels.insert(0, Channel::journal());
            }
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
        twice(self.channels.iter().map(|c| &c.name), "channel name", problems);
        let is_hook = |name: &String| {
            let named = self.channels.iter().find(|c| c.name == *name);
            named.is_some_and(|c| matches!(&c.via, Via::Webhook(hook) if hook.format == Format::Docket))
        };
        if let Some(name) = self.custody.webhook.as_ref().filter(|name| !is_hook(name)) {
            problems.push(format!(
                "custody.webhook names `{name}`, but no [[channel]] of that name is a webhook of docket's format"
            ));
        }
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
        assert_eq!(section::parse_size("64 MiB"), Some(64 << 20));
        assert_eq!(section::parse_size("99999999 TiB"), None);
        assert_eq!(section::parse_size("-1"), None);
    }
}
