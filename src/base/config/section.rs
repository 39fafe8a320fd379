//! A table of the settings file, read key by key; every problem in it is kept.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// One table of the file; what is left in it at the end was not known.
pub(crate) struct Section {
    name: String,
    table: Table,
    problems: Vec<String>,
}

impl Section {
    /// The whole file.
    pub(crate) fn top(table: Table) -> Self {
        Self { name: String::new(), table, problems: Vec::new() }
    }

    pub(crate) fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(crate) fn wrong(&mut self, key: &str, wanted: &str, got: &Value) {
        let line = format!("{} wants {wanted}, not {got}", self.key(key));
        self.problems.push(line);
    }

    pub(super) fn problem(&mut self, line: String) {
        self.problems.push(line);
    }

    /// Notes a key that must be there and is not.
    pub(super) fn require(&mut self, key: &str) {
        if !self.table.contains_key(key) {
            self.problems.push(format!("{} is missing", self.key(key)));
        }
    }

    /// Passes over the keys that were not asked for.
    pub(super) fn forget(&mut self) {
        self.table.clear();
    }

    pub(super) fn one_of(&mut self, key: &str, words: &[&str]) -> Option<String> {
        match self.table.remove(key)? {
            Value::String(s) if words.contains(&s.as_str()) => Some(s),
            other => {
                self.wrong(key, &format!("one of {}", words.join(", ")), &other);
                None
            }
        }
    }

    pub(crate) fn section(&mut self, name: &str) -> Option<Section> {
        match self.table.remove(name)? {
            Value::Table(table) => Some(Section { name: name.into(), table, problems: Vec::new() }),
            other => {
                self.wrong(name, &format!("a table [{name}]"), &other);
                None
            }
        }
    }

    pub(crate) fn sections(&mut self, name: &str) -> Option<Vec<Section>> {
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

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn string(&mut self, key: &str) -> Option<String> {
        match self.table.remove(key)? {
            Value::String(s) if !s.is_empty() => Some(s),
            other => {
                self.wrong(key, "a text in quotes", &other);
                None
            }
        }
    }

    pub(crate) fn name_of(&mut self) -> Option<String> {
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

    pub(crate) fn path(&mut self, key: &str, base: &Path) -> Option<PathBuf> {
        if !self.table.contains_key(key) {
            self.problems.push(format!("{} is missing", self.key(key)));
        }
        self.path_optional(key, base)
    }

    pub(crate) fn path_optional(&mut self, key: &str, base: &Path) -> Option<PathBuf> {
        self.string(key).map(|p| base.join(p))
    }

    pub(crate) fn strings(&mut self, key: &str) -> Option<Vec<String>> {
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

    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.table.remove(key)? {
            Value::Boolean(b) => Some(b),
            other => {
                self.wrong(key, "true or false", &other);
                None
            }
        }
    }

    pub(crate) fn number(&mut self, key: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.table.remove(key)?;
        match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
            Some(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                self.wrong(key, &format!("a whole number from {min} to {max}"), &value);
                None
            }
        }
    }

    pub(crate) fn size(&mut self, key: &str) -> Option<u64> {
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

    pub(crate) fn take_problems(&mut self, section: Section) {
        self.problems.extend(section.finish());
    }

    pub(crate) fn finish(mut self) -> Vec<String> {
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
