//! What the commands of the registers and the ledger share: files, arguments, words.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::{Value, json};

use super::words::{self, is_chinese, t};
use super::{Exit, StationArgs, change, look_into, output};
use crate::access::{Person, Role};
use crate::base::text::show;
use crate::base::{Error, Kind, Result, when};
use crate::cases::columns::Register;
use crate::cases::import::{Report, import};
use crate::cases::registers::Done;
use crate::cases::table::{Encoding, MOST_BYTES, Problem};
use crate::cases::{export, terms};
use crate::catalog::recorders::State;
use crate::catalog::{Connection, private};
use crate::ingest::station::CATALOG;

/// Problems and changes named one by one; more are counted.
const NAMED: usize = 100;

/// A file to read.
#[derive(clap::Args)]
pub struct Import {
    /// The CSV file; - reads standard input
    file: PathBuf,
    /// Show every problem and what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Take another name for a known badge as a change of name, not as a mistake
    #[arg(long)]
    allow_rename: bool,
    /// How the file is encoded
    #[arg(long, default_value = "auto", value_parser = ["auto", "utf8", "gbk"])]
    encoding: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A file to write.
#[derive(clap::Args)]
pub struct Export {
    /// In GBK (GB 18030), for programs that do not read UTF-8
    #[arg(long)]
    gbk: bool,
}

/// A value, or `-` to clear it.
#[derive(Debug, Clone, Copy)]
pub struct OrNone<T>(pub Option<T>);

impl OrNone<u32> {
    /// Reads a whole number or `-`.
    pub fn number(text: &str) -> Result<Self, String> {
        match text {
            "-" => Ok(Self(None)),
            _ => text.parse().map(|n| Self(Some(n))).map_err(|e: std::num::ParseIntError| e.to_string()),
        }
    }
}

impl OrNone<i64> {
    /// Reads a time or `-`.
    pub fn moment(text: &str) -> Result<Self, String> {
        if text == "-" { Ok(Self(None)) } else { moment(text).map(|at| Self(Some(at))) }
    }
}

/// A text, or `-` to clear it.
pub fn or_none(text: &Option<String>) -> Option<Option<String>> {
    text.clone().map(|t| Some(t).filter(|t| t != "-"))
}

/// Reads a time.
pub fn moment(text: &str) -> Result<i64, String> {
    when::parse(text).ok_or_else(|| "a time is written like 2026-11-24 08:30".to_owned())
}

/// Reads a number of seconds as milliseconds.
pub fn seconds(text: &str) -> Result<i64, String> {
    terms::seconds(text).ok_or_else(|| "a number of seconds is written like -5 or 0.5".to_owned())
}

/// Reads a number of percent.
pub fn percent(text: &str) -> Result<u8, String> {
    let read = text.trim_end_matches('%').parse().ok().filter(|n| *n <= 100);
    read.ok_or_else(|| "a number of percent lies between 0 and 100".to_owned())
}

/// Reads a number of bytes.
pub fn size(text: &str) -> Result<i64, String> {
    crate::base::config::parse_size(text)
        .and_then(|n| i64::try_from(n).ok())
        .ok_or_else(|| "a size is written like 12 GiB".to_owned())
}

/// Reads a role.
pub fn role(text: &str) -> Result<Role, String> {
    let roles = "a role is one of: officer, reviewer, head, supervisor, storage, admin";
    terms::role(text).ok_or_else(|| roles.to_owned())
}

/// Reads a recorder's state.
pub fn state(text: &str) -> Result<State, String> {
    let states = "a state is one of: in-service, lent, broken, retired";
    terms::state(text).ok_or_else(|| states.to_owned())
}

/// For looking: the catalogue, and who looks.
pub fn reading(args: &StationArgs) -> Result<(Connection, Person)> {
    let db = look_into(&args.config()?)?;
    let who = args.person(&db)?;
    Ok((db, who))
}

/// Says what became of an entry.
pub fn tell(done: &Done, noun: &'static str, key: &str, as_json: bool) -> Result<Exit> {
    if as_json {
        output::json(&json!({ noun: key, "done": done.word(), "changes": changes(done) }))?;
        return Ok(Exit::Good);
    }
    let key = show(key.as_ref());
    match done {
        Done::Added => output::tell(&format!("registered: {key}"))?,
        Done::Changed(facts) => {
            output::tell(&format!("changed: {key}"))?;
            output::line(&format!("  {}", details(facts, noun == "officer")))?;
        }
        Done::Unchanged => output::tell(&format!("so already, and not changed: {key}"))?,
    }
    Ok(Exit::Good)
}

/// Says which entries look like the new one: the same person or thing may stand there already.
pub fn tell_alike(alike: &[String], as_json: bool) -> Result<()> {
    if as_json || alike.is_empty() {
        return Ok(());
    }
    let list = show(alike.join(", ").as_ref());
    output::tell(&format!("look whether this is one of them under another number: {list}"))
}

fn changes(done: &Done) -> Value {
    if let Done::Changed(facts) = done { facts.clone() } else { json!({}) }
}

/// What changed, on one line: from what to what.
fn details(facts: &Value, of_person: bool) -> String {
    let none = t("none", "无");
    // As the custody log shows them: `name=value`.
    let shown = |name: &str, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let said = words::detail(name, &text);
        let (label, text) = said.split_once('=').unwrap_or((name, &said));
        let empty = value.is_null() || text.is_empty();
        let label = match name.trim_start_matches("old_") {
            "name" => t("name", if of_person { "姓名" } else { "名称" }),
            _ => label,
        };
        (label.to_owned(), if empty { none.to_owned() } else { text.to_owned() })
    };
    let mut parts = Vec::new();
    for (name, new) in facts.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with("old_")) {
        let ((label, new), (_, old)) = (shown(name, new), shown(name, &facts[format!("old_{name}")]));
        parts.push(format!("{label}{}{old} → {new}", t(": ", "：")));
    }
    parts.join(t("; ", "；"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than is taken: the reader of tables says that it is too much.
    let most = MOST_BYTES as u64 + 1;
    let done = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(most).read_to_end(&mut bytes))
    };
    done.map_err(|e| Error::io("read", file, e))?;
    Ok(bytes)
}

/// Reads a file into a register or the ledger.
pub fn run_import(args: &StationArgs, register: Register, options: &Import) -> Result<Exit> {
    let bytes = read(&options.file)?;
    let encoding = match options.encoding.as_str() {
        "utf8" => Encoding::Utf8,
        "gbk" => Encoding::Gbk,
        _ => Encoding::Auto,
    };
    let (rehearsal, rename) = (options.dry_run, options.allow_rename);
    let report = rehearse(args, register, (&bytes, encoding), rename)?;
    let report = if rehearsal || !report.problems.is_empty() {
        report
    } else {
        write(args, register, (bytes, encoding), rename)?
    };
    let file = show(options.file.as_os_str());
    if options.json {
        output::json(&value(&report, &file, rehearsal))?;
    } else if rehearsal {
        for problem in &report.problems {
            output::line(&format!("  ! {}", words::say(&problem.message())))?;
        }
        for (line, key) in report.new.iter().take(NAMED) {
            let what = format!("line {line}: {}", show(key.as_ref()));
            output::line(&format!("  + {} {}", words::say(&what), t("(new)", "（新增）")))?;
        }
        for (line, key, facts) in report.changed.iter().take(NAMED) {
            let what = format!("line {line}: {}", show(key.as_ref()));
            output::line(&format!(
                "  ~ {} {}",
                words::say(&what),
                details(facts, register == Register::Officers)
            ))?;
        }
        let more = report.changed.len().saturating_sub(NAMED) + report.new.len().saturating_sub(NAMED);
        if more > 0 {
            let what =
                t("more new or to change (--json lists all)", "行待新增或变更未列出（--json 列出全部）");
            output::line(&format!("  … {more} {what}"))?;
        }
    }
    if rehearsal {
        if !options.json {
            output::tell(&summary(&report, &file, "nothing was written"))?;
        }
        return Ok(if report.problems.is_empty() { Exit::Good } else { Exit::Attention });
    }
    if report.problems.is_empty() {
        if !options.json {
            output::tell(&summary(&report, &file, "all of it is written"))?;
        }
        return Ok(Exit::Good);
    }
    Err(refused(&report.problems, &file))
}

/// Everything that is wrong, and what would change: on a copy, while others write.
fn rehearse(args: &StationArgs, register: Register, file: (&[u8], Encoding), rename: bool) -> Result<Report> {
    let (db, who) = reading(args)?;
    drop(db);
    let copy = private::of_registers(&args.config()?.data.join(CATALOG))?;
    import(&copy, &who, Utc::now(), register, file, true, rename)
}

/// Makes the lines; a problem that came up since the rehearsal takes all of them back.
fn write(
    args: &StationArgs,
    register: Register,
    (bytes, encoding): (Vec<u8>, Encoding),
    rename: bool,
) -> Result<Report> {
    // The report comes back beside the error that takes everything back.
    let (tell, told) = std::sync::mpsc::channel();
    let done = change(args, move |tx, who, at| {
        let report = import(tx, who, at, register, (&bytes, encoding), false, rename)?;
        let stop = !report.problems.is_empty();
        drop(tell.send(report));
        if stop { Err(Error::new(Kind::Invalid, "")) } else { Ok(()) }
    });
    match (told.try_recv(), done) {
        (Ok(report), done) if done.is_ok() || !report.problems.is_empty() => Ok(report),
        (_, Err(e)) => Err(e),
        (_, Ok(())) => Err(Error::new(Kind::Catalog, "the catalogue's writer has stopped")),
    }
}

fn summary(report: &Report, file: &str, ending: &str) -> String {
    let (added, changed, unchanged) = (report.added, report.changed.len(), report.unchanged);
    format!(
        "{file} ({}): {} lines, {added} new, {changed} changed, {unchanged} as they were, {} problems; {ending}",
        report.encoding,
        report.rows,
        report.problems.len()
    )
}

fn refused(problems: &[Problem], file: &str) -> Error {
    let count = problems.len();
    let mut list: Vec<String> = problems.iter().take(NAMED).map(Problem::message).collect();
    if count > NAMED {
        list.push(format!("and {} more; --dry-run shows all of them", count - NAMED));
    }
    let list: String = list.iter().map(|what| format!("\n  - {what}")).collect();
    let what = match count {
        1 => format!("1 problem in {file}, so nothing was written:{list}"),
        _ => format!("{count} problems in {file}, so nothing was written:{list}"),
    };
    Error::new(Kind::Invalid, what).next("mend these lines, and import the file again")
}

fn value(report: &Report, file: &str, dry_run: bool) -> Value {
    let problems: Vec<_> = report
        .problems
        .iter()
        .map(|p| json!({ "line": p.line, "column": p.column, "problem": p.what }))
        .collect();
    let new: Vec<_> = report.new.iter().map(|(line, key)| json!({ "line": line, "key": key })).collect();
    let changed: Vec<_> = report
        .changed
        .iter()
        .map(|(line, key, facts)| json!({ "line": line, "key": key, "changes": facts }))
        .collect();
    json!({
        "file": file, "encoding": report.encoding, "dry_run": dry_run, "lines": report.rows,
        "written": !dry_run && problems.is_empty(), "added": report.added, "changed": changed.len(),
        "unchanged": report.unchanged, "changes": changed, "new": new, "problems": problems,
    })
}

/// Writes a register or the ledger to standard output.
pub fn run_export(args: &StationArgs, register: Register, options: &Export) -> Result<Exit> {
    let (db, who) = reading(args)?;
    let encoding = if options.gbk { Encoding::Gbk } else { Encoding::Utf8 };
    let bytes = export::export(&db, &who, register, is_chinese(), encoding)?;
    match std::io::stdout().lock().write_all(&bytes) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::of_io(&e), format!("cannot print: {e}")))
        }
        _ => Ok(Exit::Good),
    }
}
