//! Every message of docket has its Chinese: a text in the sources that reads like a message and is not in
//! `src/base/zh.txt` fails here by file and line; so does a pair in there that nothing says any more.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use docket::base::zh;

/// What stands in front of a text that only programmers, logs or SQLite read.
const NOT_SHOWN: [&str; 14] = [
    "tracing::trace!(",
    "tracing::debug!(",
    "tracing::info!(",
    "tracing::warn!(",
    "tracing::error!(",
    "unreachable!(",
    "prepare(",
    "prepare_cached(",
    "execute(",
    "query_row(",
    "reason =",
    "failpoint::hit(",
    "Help(",
    "HeaderValue::from_static(",
];

/// Texts with blanks that are no messages: SQL without a verb in front, file contents, screen forms.
const NO_MESSAGES: [&str; 20] = [
    "{} via {}",
    "cannot {} {}: {}",
    "c.state = 'owed'",
    "c.listed = 0 AND c.state = 'archived'",
    "{} status",
    "{} recordings {}",
    "{} verify --all",
    "{} deadlines",
    "{} alerts list --all",
    "{} custody verify",
    "{} fsck --depth bytes",
    "{} demo",
    "{} of {}",
    "WAVEfmt x10000x010x010",
    "# This directory is an archive volume of docket. Do not edit or copy this file.\n{}",
    "{} power on\n{} battery pulled\n",
    "left by a desktop",
    "injected {} into a {}",
    "\n  next: {}",
    "\n{}\n  export DOCKET_DATA={}",
];

/// Whatever makes an I/O error of a verb: `cannot VERB PATH: WHY`.
const VERBS: [&str; 4] = ["Error::io(", "self.fail(", "ff::error(", "root_error("];

/// Parts of `zh.txt` with what libraries say, and with what joins messages.
const NOT_OURS: [&str; 4] = [
    "how messages are put together",
    "the system's errors",
    "what SQLite and TOML say",
    "wrong usage, as clap says it",
];

struct Literal {
    file: PathBuf,
    line: usize,
    before: String,
    text: String,
    after: String,
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            sources(&path, out);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            out.push(path);
        }
    }
}

/// The string literals of a file outside comments and tests.
fn literals(file: &Path) -> Vec<Literal> {
    let source = std::fs::read_to_string(file).unwrap();
    let end = source.find("#[cfg(test)]\nmod").unwrap_or(source.len());
    let (bytes, mut i, mut out) = (&source.as_bytes()[..end], 0, Vec::new());
    while i < bytes.len() {
        let rest = &source[i..end];
        if rest.starts_with("//") {
            i += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            i += 3;
        } else if let Some(raw) = rest.strip_prefix("r\"").or(rest.strip_prefix("r#\"")) {
            let close = if rest.starts_with("r#") { "\"#" } else { "\"" };
            i += rest.len() - raw.len() + raw.find(close).unwrap() + close.len();
        } else if bytes[i] == b'"' {
            let start = i;
            i += 1;
            while bytes[i] != b'"' {
                i += if bytes[i] == b'\\' { 2 } else { 1 };
            }
            i += 1;
            out.push(Literal {
                file: file.to_owned(),
                line: source[..start].lines().count().max(1),
                before: source[..start].trim_end().to_owned(),
                text: unescape(&source[start + 1..i - 1]),
                after: source[i..end].trim_start_matches([',', ' ', '\n']).chars().take(80).collect(),
            });
        } else {
            i += rest.chars().next().unwrap().len_utf8();
        }
    }
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n')) => out.extend(chars.next().map(|_| '\n')),
            ('\\', Some(_)) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// The text with plain `{}` for every hole.
fn normal(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (two, tail) = (&rest[at..(at + 2).min(rest.len())], &rest[at..]);
        rest = match two {
            "{{" | "}}" => {
                out.push_str(&two[..1]);
                &tail[2..]
            }
            _ => {
                out.push_str("{}");
                tail.split_once('}').map_or("", |(_, rest)| rest)
            }
        };
    }
    out + rest
}

/// Whether it reads like words to a person: two of them, with a blank between.
fn is_prose(text: &str) -> bool {
    let words = text.replace("{}", "").split_whitespace().count();
    let has_word = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .any(|w| w.len() > 1 && w.chars().any(|c| c.is_ascii_lowercase()));
    let sql = [
        "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ", "CREATE ", "VACUUM ", "FROM ", "WHERE ",
        "AND ", "INDEXED ",
    ];
    let columns = ["id, ", "recording, volume, ", "subject, "];
    has_word
        && !columns.iter().any(|list| text.starts_with(list))
        && text.trim().contains(' ')
        && (words > 1 || text.contains("{}"))
        && !sql.iter().any(|verb| text.trim_start().starts_with(verb))
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

fn missing(literal: &Literal, known: &HashSet<String>) -> Option<String> {
    let verb = VERBS.iter().any(|v| literal.before.ends_with(v));
    let text = if verb { format!("cannot {} {{}}: {{}}", literal.text) } else { normal(&literal.text) };
    let exempt = is_chinese(&text)
        || !is_prose(&text)
        // Bytes are for machines.
        || literal.before.ends_with("(b") || literal.before.ends_with(" b")
        || NO_MESSAGES.contains(&text.as_str())
        || NOT_SHOWN.iter().any(|before| literal.before.ends_with(before))
        // `t(english, chinese)`.
        || literal.after.starts_with('"') && is_chinese(literal.after.split('"').nth(1).unwrap_or_default());
    (!exempt && !known.contains(&text)).then_some(text)
}

/// The paragraphs of a file's doc comments: clap shows some as help.
fn documented(file: &Path) -> Vec<String> {
    let (mut out, mut paragraph) = (Vec::new(), String::new());
    for line in std::fs::read_to_string(file).unwrap().lines() {
        match line.trim_start().strip_prefix("///").map(str::trim) {
            Some(more) if !more.is_empty() => paragraph = format!("{paragraph} {more}"),
            _ => out.push(std::mem::take(&mut paragraph).trim().trim_end_matches('.').to_owned()),
        }
    }
    out
}

/// Everything the sources may say: each literal as it is and as the verb of an I/O error, and help.
fn sayings(files: &[PathBuf]) -> HashSet<String> {
    let mut out: HashSet<_> = files.iter().flat_map(|file| documented(file)).collect();
    for text in files.iter().flat_map(|file| literals(file)).map(|l| l.text) {
        out.insert(format!("cannot {text} {{}}: {{}}"));
        out.insert(normal(&text));
    }
    out
}

/// Whether a source says this, or says it with a hole that a word of this fills.
fn is_said(english: &str, sayings: &HashSet<String>) -> bool {
    let text = normal(english).replace("\\n", "\n");
    let filled = |saying: &String| {
        let (before, after) = saying.split_once("{}").unwrap_or_default();
        let word = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        !before.is_empty() && !after.is_empty() && word.is_some_and(|w| !w.contains(' '))
    };
    sayings.contains(&text) || sayings.contains(text.trim_end_matches('.')) || sayings.iter().any(filled)
}

#[test]
fn every_pair_is_still_said() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let sayings = sayings(&files);
    assert!(is_said("it is planned, not archived yet", &sayings));
    assert!(!is_said("nobody has said this", &sayings));
    let profiles: Vec<String> = std::fs::read_dir(root.join("config/profiles"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let (mut part, mut dead) = (String::new(), Vec::new());
    for line in std::fs::read_to_string(root.join("src/base/zh.txt")).unwrap().lines() {
        if let Some(heading) = line.strip_prefix("# ---- ") {
            part = heading.to_owned();
        }
        let why = format!("why = \"{line}\"");
        let is_english = !line.is_empty() && !line.starts_with('#') && !line.starts_with("    ");
        if is_english
            && !NOT_OURS.contains(&part.as_str())
            && !is_said(line, &sayings)
            && !profiles.iter().any(|p| p.contains(&why))
        {
            dead.push(line.to_owned());
        }
    }
    assert!(dead.is_empty(), "nothing says these; remove them from src/base/zh.txt:\n{}", dead.join("\n"));
}

#[test]
fn every_message_has_its_chinese() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known: HashSet<String> = zh::texts().collect();
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let mut out: Vec<String> = Vec::new();
    for literal in files.iter().flat_map(|file| literals(file)) {
        if let Some(text) = missing(&literal, &known) {
            let file = literal.file.strip_prefix(root).unwrap().display();
            out.push(format!(
                "{file}:{}: add to src/base/zh.txt:\n{}",
                literal.line,
                text.replace('\n', "\\n")
            ));
        }
    }
    assert!(out.is_empty(), "{} messages have no Chinese:\n{}", out.len(), out.join("\n"));
}

#[test]
fn every_reason_of_a_shipped_profile_has_its_chinese() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        for part in std::fs::read_to_string(&path).unwrap().split("why = \"").skip(1) {
            let why = part.split('"').next().unwrap();
            assert!(zh::known(why).is_some(), "{}: add to src/base/zh.txt:\n{why}", path.display());
        }
    }
}

#[test]
fn a_new_message_would_be_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new.rs");
    let source = "// \"not this one\"\nfn a() {\n    Error::new(Kind::Invalid, format!(\"the {what} is \\\n        new here\"))\n        .next(\"do \
                  something\");\n    Error::io(\"twist\", p, e);\n    t(\"shown already\", \"已有\");\n}\n";
    std::fs::write(&file, source).unwrap();
    let found: Vec<_> =
        literals(&file).iter().filter_map(|l| missing(l, &HashSet::new()).map(|t| (l.line, t))).collect();
    let wanted = [(3, "the {} is new here"), (5, "do something"), (6, "cannot twist {}: {}")];
    assert_eq!(found, wanted.map(|(n, t)| (n, t.to_owned())));
}
