//! Checklists (音像记录清单): which steps a case of a kind may have, and which of them need footage. Data, not
//! code: `config/checklists/*.toml` ship with docket, a station adds its own.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::base::config::Config;
use crate::base::config::section::Section;
use crate::base::{Error, Kind, Result};

/// A checklist is a few pages of text; what is larger is none.
const LARGEST: u64 = 1 << 20;

const SHIPPED: [(&str, &str); 3] = [
    ("penalty.toml", include_str!("../../config/checklists/penalty.toml")),
    ("compulsion.toml", include_str!("../../config/checklists/compulsion.toml")),
    ("licence.toml", include_str!("../../config/checklists/licence.toml")),
];

/// Whether a step needs an audio-visual record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Av {
    /// Footage or an approved exemption, else the case cannot be closed.
    Required,
    /// As appropriate (以适当方式).
    Recommended,
    /// As needed (根据执法需要).
    Optional,
}

impl Av {
    /// All, the strictest first.
    pub const ALL: [Av; 3] = [Av::Required, Av::Recommended, Av::Optional];

    /// Its word in templates and in the catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Av::Required => "required",
            Av::Recommended => "recommended",
            Av::Optional => "optional",
        }
    }

    /// The one of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|av| av.word() == word)
    }
}

/// Something with a key and a name in both languages: a kind of case, or what must be told of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// How scripts and the catalogue name it.
    pub key: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
}

/// One step of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Key and names.
    #[serde(flatten)]
    pub named: Named,
    /// Whether it needs footage.
    pub av: Av,
    /// What the footage must show.
    pub shows: String,
    /// `case`, `permanent`, or a span such as `6 months`.
    pub retention: String,
    /// The article it is drawn from.
    pub article: String,
    /// What must be told of it in words, once it takes place.
    pub asks: Vec<Named>,
}

/// A checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checklist {
    /// Its id.
    pub id: String,
    /// English name.
    pub name: String,
    /// Chinese name.
    pub name_zh: String,
    /// Days for the case file after the act's end, where it sets a limit of its own.
    pub case_days: Option<u32>,
    /// The kinds of case it is for.
    pub kinds: Vec<Named>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// Reads one checklist.
///
/// # Errors
/// Every problem of the text, each naming its key.
pub fn parse(text: &str) -> Result<Checklist, Vec<String>> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(e) => return Err(vec![e.to_string().trim().replace('\n', "\n    ")]),
    };
    let mut top = Section::top(table);
    let mut problems = Vec::new();
    let id = key(&mut top, "id", &mut problems);
    let (name, name_zh) = names(&mut top, &mut problems);
    let case_days = top.number("case_days", 1, 3660).and_then(|n| u32::try_from(n).ok());
    let mut list = |key: &str, problems: &mut Vec<String>| {
        let there = top.sections(key).unwrap_or_default();
        if there.is_empty() && key != "ask" {
            problems.push(format!("no [[{key}]]: a checklist needs at least one"));
        }
        there
    };
    let (kinds, steps, asks) =
        (list("kind", &mut problems), list("step", &mut problems), list("ask", &mut problems));
    let kinds: Vec<Named> = kinds.into_iter().map(|s| finish(s, &mut problems, named)).collect();
    let mut steps: Vec<Step> = steps.into_iter().map(|s| finish(s, &mut problems, step)).collect();
    for (i, ask) in asks.into_iter().enumerate() {
        let (of, asked) = finish(ask, &mut problems, |s, p| (key(s, "step", p), named(s, p)));
        match steps.iter_mut().find(|step| step.named.key == of) {
            Some(step) => step.asks.push(asked),
            None if of.is_empty() => {}
            None => problems.push(format!("ask[{}].step names `{of}`, but there is no such [[step]]", i + 1)),
        }
    }
    once("kind", kinds.iter().map(|k| &k.key), &mut problems);
    once("step", steps.iter().map(|s| &s.named.key), &mut problems);
    for step in &steps {
        once("ask", step.asks.iter().map(|a| &a.key), &mut problems);
    }
    problems.extend(top.finish());
    if problems.is_empty() {
        Ok(Checklist { id, name, name_zh, case_days, kinds, steps })
    } else {
        Err(problems)
    }
}

fn finish<T>(
    mut section: Section,
    problems: &mut Vec<String>,
    read: impl Fn(&mut Section, &mut Vec<String>) -> T,
) -> T {
    let value = read(&mut section, problems);
    problems.extend(section.finish());
    value
}

fn text(s: &mut Section, key: &str, problems: &mut Vec<String>) -> String {
    if !s.has(key) {
        problems.push(format!("{} is missing", s.key(key)));
        return String::new();
    }
    let text = s.string(key).unwrap_or_default();
    // They stand on one line of a table.
    if text.chars().any(char::is_control) || text.len() > 2000 {
        problems.push(format!("{} wants one line of at most 2000 bytes", s.key(key)));
    }
    text
}

fn key(s: &mut Section, name: &str, problems: &mut Vec<String>) -> String {
    let value = text(s, name, problems);
    if value.len() > 64 || !value.chars().all(|c| c.is_alphanumeric() || "-_".contains(c)) {
        problems.push(format!("{} `{value}`: letters, digits, `-`, `_`; at most 64 bytes", s.key(name)));
    }
    value
}

fn names(s: &mut Section, problems: &mut Vec<String>) -> (String, String) {
    let name = text(s, "name", problems);
    (name, text(s, "name_zh", problems))
}

fn named(s: &mut Section, problems: &mut Vec<String>) -> Named {
    let key = key(s, "key", problems);
    let (name, name_zh) = names(s, problems);
    Named { key, name, name_zh }
}

fn step(s: &mut Section, problems: &mut Vec<String>) -> Step {
    let named = named(s, problems);
    let word = text(s, "av", problems);
    let av = Av::of(&word).unwrap_or_else(|| {
        if !word.is_empty() {
            problems.push(format!("{} wants required, recommended or optional, not `{word}`", s.key("av")));
        }
        Av::Required
    });
    let retention = text(s, "retention", problems);
    if !retention.is_empty() && !is_retention(&retention) {
        let at = s.key("retention");
        problems.push(format!(
            "{at} wants \"case\", \"permanent\" or a span such as \"6 months\", not `{retention}`"
        ));
    }
    let mut optional = |key: &str| if s.has(key) { text(s, key, problems) } else { String::new() };
    let (shows, article) = (optional("shows"), optional("article"));
    Step { named, av, shows, retention, article, asks: Vec::new() }
}

/// `case`, `permanent`, or a number of days, months or years.
fn is_retention(text: &str) -> bool {
    let span = |(n, unit): (&str, &str)| {
        n.parse::<u16>().is_ok_and(|n| n > 0) && ["days", "months", "years"].contains(&unit)
    };
    ["case", "permanent"].contains(&text) || text.split_once(' ').is_some_and(span)
}

fn once<'a>(what: &str, keys: impl Iterator<Item = &'a String>, problems: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for key in keys.filter(|k| !k.is_empty()) {
        if !seen.insert(key) {
            problems.push(format!("{what} `{key}` stands twice"));
        }
    }
}

/// The checklists of a station.
#[derive(Debug, Clone)]
pub struct Checklists(BTreeMap<String, Checklist>);

impl Checklists {
    /// Those that ship, and the station's own on top of them; the same id replaces one.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn load(config: &Config) -> Result<Self> {
        Self::with(config.cases.checklists.as_deref())
    }

    /// The same for a folder.
    ///
    /// # Errors
    /// As [`Checklists::load`].
    pub fn with(folder: Option<&Path>) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (file, text) in SHIPPED {
            let list = parse(text).map_err(|problems| refused(Path::new(file), &problems))?;
            all.insert(list.id.clone(), list);
        }
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        let mut problems = Vec::new();
        for (file, text) in folder.map(read_folder).transpose()?.unwrap_or_default() {
            match parse(&text) {
                Ok(list) => {
                    if let Some(other) = own.insert(list.id.clone(), file.clone()) {
                        problems.push(format!("{file}: id: `{}` is already the id of {other}", list.id));
                    }
                    all.insert(list.id.clone(), list);
                }
                Err(list) => problems.extend(list.iter().map(|p| format!("{file}: {p}"))),
            }
        }
        if problems.is_empty() {
            Ok(Self(all))
        } else {
            Err(refused(folder.unwrap_or(Path::new("")), &problems))
        }
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Checklist> {
        self.0.values()
    }

    /// The one with an id.
    ///
    /// # Errors
    /// [`Kind::NotFound`], with those there are.
    pub fn get(&self, id: &str) -> Result<&Checklist> {
        self.0.get(id).ok_or_else(|| {
            let ids: Vec<&str> = self.0.keys().map(String::as_str).collect();
            Error::new(Kind::NotFound, format!("there is no checklist `{id}`"))
                .next(format!("these are known: {}", ids.join(", ")))
        })
    }

    /// The kind of a word: its key, its name in either language, or a part of the Chinese name that no other has.
    pub fn kind(&self, word: &str) -> Option<&Named> {
        let kinds = || self.iter().flat_map(|c| &c.kinds);
        let whole = kinds().find(|k| k.key == word || k.name_zh == word || k.name.eq_ignore_ascii_case(word));
        let part = || {
            let mut some = kinds().filter(|k| word.chars().count() > 1 && k.name_zh.contains(word));
            let first = some.next()?;
            some.all(|k| k.key == first.key).then_some(first)
        };
        whole.or_else(part)
    }

    /// The error for a word that names no kind.
    pub fn no_kind(&self, word: &str) -> Error {
        let known: Vec<String> =
            self.iter().flat_map(|c| &c.kinds).map(|k| format!("{} {}", k.key, k.name_zh)).collect();
        Error::new(Kind::NotFound, format!("no checklist is for cases of the kind `{word}`"))
            .next(format!("these are known: {}", known.join(", ")))
    }

    /// The kind of a word and the checklist for it: the one named, else the only one for that kind.
    ///
    /// # Errors
    /// An unknown kind or checklist, one for other kinds, several to choose from.
    pub fn choose(&self, kind: &str, id: Option<&str>) -> Result<(&Named, &Checklist)> {
        let Some(kind) = self.kind(kind) else {
            return Err(self.no_kind(kind));
        };
        let fits = |c: &&Checklist| c.kinds.iter().any(|k| k.key == kind.key);
        if let Some(id) = id {
            let list = self.get(id)?;
            return if fits(&list) {
                Ok((kind, list))
            } else {
                Err(Error::new(
                    Kind::Invalid,
                    format!("the checklist `{id}` is not for cases of the kind `{}`", kind.key),
                )
                .next("`docket checklists list` shows which is for what"))
            };
        }
        let all: Vec<&Checklist> = self.iter().filter(fits).collect();
        match all.as_slice() {
            [only] => Ok((kind, only)),
            several => {
                let ids: Vec<&str> = several.iter().map(|c| c.id.as_str()).collect();
                Err(Error::new(
                    Kind::Invalid,
                    format!("several checklists are for cases of the kind `{}`", kind.key),
                )
                .next(format!("name one with --checklist: {}", ids.join(", "))))
            }
        }
    }
}

/// Reads one checklist file.
///
/// # Errors
/// Every problem of the file.
pub fn read(file: &Path) -> Result<Checklist> {
    parse(&read_file(file)?).map_err(|problems| refused(file, &problems))
}

fn read_file(file: &Path) -> Result<String> {
    let io = |e| Error::io("read", file, e);
    if std::fs::metadata(file).map_err(io)?.len() > LARGEST {
        return Err(Error::new(Kind::Invalid, format!("{} is too large for a checklist", file.display())));
    }
    std::fs::read_to_string(file).map_err(io)
}

/// The `*.toml` of a folder, by name.
fn read_folder(dir: &Path) -> Result<Vec<(String, String)>> {
    let io = |e| Error::io("read the checklists in", dir, e);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let name = |path: &Path| crate::base::text::show(path.file_name().unwrap_or_default());
    paths.iter().map(|path| Ok((name(path), read_file(path)?))).collect()
}

fn refused(file: &Path, problems: &[String]) -> Error {
    let list: String = problems.iter().map(|p| format!("\n  - {p}")).collect();
    let what = match problems.len() {
        1 => format!("1 problem in {}:{list}", file.display()),
        n => format!("{n} problems in {}:{list}", file.display()),
    };
    Error::new(Kind::Invalid, what)
        .next("mend the lines named above; config/checklists/penalty.toml explains every key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shipped_checklists_are_valid() {
        let all = Checklists::with(None).unwrap();
        assert_eq!(all.iter().count(), SHIPPED.len());
        let (kind, list) = all.choose("行政处罚", None).unwrap();
        assert_eq!((kind.key.as_str(), list.id.as_str()), ("penalty", "penalty"));
        let required: Vec<&str> =
            list.steps.iter().filter(|s| s.av == Av::Required).map(|s| s.named.key.as_str()).collect();
        // Articles 11 and 22.
        assert_eq!(required, ["site-inspection", "sampling", "hearing", "substituted-service"]);
        let preservation = list.steps.iter().find(|s| s.named.key == "evidence-preservation").unwrap();
        assert_eq!(preservation.asks.len(), 3, "article 12");
        assert_eq!(all.choose("hunting", None).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(all.choose("licence", Some("penalty")).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let text = r#"
            id = "a b"
            name = "x"
            colour = "red"
            case_days = 0
            [[kind]]
            key = "k"
            name = "K"
            [[step]]
            key = "s"
            name = "S"
            name_zh = "步"
            av = "maybe"
            retention = "a while"
            [[step]]
            key = "s"
            name = "S"
            name_zh = "步"
            av = "required"
            retention = "6 months"
            shows = "a\nb"
            [[ask]]
            step = "t"
            key = "r"
            name = "R"
            name_zh = "由"
        "#;
        let problems = parse(text).unwrap_err().join("\n");
        for part in [
            "id `a b`",
            "name_zh is missing",
            "colour is not a setting",
            "case_days wants",
            "kind[1].name_zh is missing",
            "step[1].av wants required",
            "step[1].retention wants",
            "step[2].shows wants one line",
            "ask[1].step names `t`",
            "step `s` stands twice",
        ] {
            assert!(problems.contains(part), "{part} is not named in:\n{problems}");
        }
    }

    #[test]
    fn a_station_s_own_replaces_a_shipped_one() {
        let dir = tempfile::tempdir().unwrap();
        let own = SHIPPED[0].1.replace("name = \"Administrative penalty\"", "name = \"Ours\"");
        std::fs::write(dir.path().join("ours.toml"), own).unwrap();
        assert_eq!(Checklists::with(Some(dir.path())).unwrap().get("penalty").unwrap().name, "Ours");
        std::fs::write(dir.path().join("bad.toml"), "id = 3").unwrap();
        let e = Checklists::with(Some(dir.path())).unwrap_err().to_string();
        assert!(e.contains("bad.toml: id wants") && e.contains("bad.toml: no [[step]]"), "{e}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        /// A shipped file with a line dropped or doubled is read, or refused with words.
        #[test]
        fn a_damaged_checklist_is_no_panic(drop in 0usize..130, double in 0usize..130) {
            let lines: Vec<&str> = SHIPPED[0].1.lines().collect();
            let mut out = String::new();
            for (i, line) in lines.iter().enumerate().filter(|(i, _)| *i != drop) {
                out += line;
                out.push('\n');
                if i == double {
                    out += line;
                    out.push('\n');
                }
            }
            if let Err(problems) = parse(&out) {
                prop_assert!(!problems.is_empty() && problems.iter().all(|p| !p.is_empty()));
            }
        }
    }
}
