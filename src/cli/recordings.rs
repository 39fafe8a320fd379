//! `docket recordings`: the archive's list, and one recording with all that is known of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, custody, look_into, output};
use crate::access::{self, About, Deed, Person, Reach};
use crate::base::clock::{Clock, SystemClock, from_ms, rfc3339, to_ms};
use crate::base::config::Config;
use crate::base::text::{bytes, hex, show};
use crate::base::{Error, Kind, Result};
use crate::catalog::copies::{self, Copy};
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::recordings::{self, Filter, Recording};
use crate::catalog::{Connection, cases, jobs, ledger, links, officers, rights, steps, told, volumes};
use crate::custody::log;
use crate::deadline::evaluate;

/// List recordings, or show one with its whole custody history
#[derive(clap::Args)]
pub struct Args {
    /// A recording's id, or the end of it: show that one
    id: Option<String>,
    /// Only of this recorder
    #[arg(long, value_name = "ID")]
    recorder: Option<String>,
    /// Only those filed under this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    day: Option<String>,
    /// Only those in this state; the states of unfinished work are possible too
    #[arg(long, value_parser = STATES)]
    state: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

const STATES: [&str; 10] = [
    "archived",
    "damaged",
    "missing",
    "planned",
    "copying",
    "copied",
    "verified",
    "retry",
    "failed",
    "quarantined",
];

/// A day as the catalogue writes it.
pub fn day(text: &str) -> Result<String, String> {
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map(|d| d.format("%Y-%m-%d").to_string())
        .map_err(|_| "a day is written like 2026-11-23".to_owned())
}

/// Where volumes lie: as configured now, else where they were last.
pub struct Places(BTreeMap<String, (String, PathBuf)>);

impl Places {
    /// Reads them.
    pub fn new(db: &Connection, config: &Config) -> Result<Self> {
        let place = |v: volumes::VolumeRow| {
            let configured = config.volumes.iter().find(|c| c.name == v.name).map(|c| c.path.clone());
            (v.id, (v.name, configured.unwrap_or_else(|| v.path.into())))
        };
        Ok(Self(volumes::all(db)?.into_iter().map(place).collect()))
    }

    /// A volume's name.
    pub fn name<'a>(&'a self, volume: &'a str) -> &'a str {
        self.0.get(volume).map_or(volume, |(name, _)| name)
    }

    /// The absolute path of a file on a volume.
    pub fn path(&self, volume: &str, path: &str) -> PathBuf {
        self.0.get(volume).map_or_else(|| PathBuf::from(path), |(_, root)| root.join(path))
    }

    /// The absolute path of the best copy.
    pub fn best(&self, copies: &[Copy]) -> Option<String> {
        let good = copies.iter().find(|c| c.state == "archived").or(copies.first())?;
        Some(show(self.path(&good.volume, &good.path).as_os_str()))
    }
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    let db = look_into(&config)?;
    let places = Places::new(&db, &config)?;
    let who = args.person(&db)?;
    match &options.id {
        Some(id) => show_one(&db, &who, &config, &places, id, options.json),
        None => list(&db, &who, &config, &places, options),
    }
}

/// The archiving deadline of a recording, evaluated now where the daemon has not come to it yet.
pub fn deadline(db: &Connection, config: &Config, id: &str) -> Result<Option<Deadline>> {
    match deadlines::get(db, &format!("recording:{id}"))? {
        None => evaluate::recording(db, &config.deadlines, id, SystemClock.now()),
        known => Ok(known),
    }
}

/// What lists say of a deadline: its latest bound, and its earliest where the two differ.
fn add_deadline(to: &mut Value, deadline: Option<&Deadline>, now: i64) {
    let late = deadline.map(|d| d.late_by.unwrap_or(if d.state == "running" { now - d.latest } else { 0 }));
    to["deadline"] = deadline.map(|d| rfc3339(from_ms(d.latest))).into();
    to["deadline_earliest"] = deadline.map(|d| rfc3339(from_ms(d.earliest))).into();
    to["deadline_reason"] = deadline.map(|d| d.reason.as_str()).into();
    to["late_by_seconds"] = late.map(|ms| ms.max(0) / 1000).into();
}

/// A recording as JSON.
pub fn value(
    db: &Connection,
    config: &Config,
    r: &Recording,
    copies: &[Copy],
    places: &Places,
) -> Result<Value> {
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let copies_json: Vec<Value> = copies
        .iter()
        .map(|c| {
            json!({ "volume": places.name(&c.volume), "state": c.state, "how": c.how,
                "path": show(places.path(&c.volume, &c.path).as_os_str()),
                "verified_at": c.verified_at.map(|ms| rfc3339(from_ms(ms))) })
        })
        .collect();
    let deadline = deadline(db, config, &r.id)?;
    let officer =
        Some(officers::badge_of(db, deadline.as_ref().and_then(|d| d.officer))?).filter(|b| !b.is_empty());
    let mut all = json!({
        "id": r.id, "state": r.state, "recorder": r.recorder, "kind": r.kind, "size": r.size,
        "sha256": hex(&r.sha256), "sm3": r.sm3.as_deref().map(hex), "path": places.best(copies),
        "source_path": show(OsStr::from_bytes(&r.source_path)), "day": r.day,
        "taken_at": rfc3339(from_ms(r.taken_at)), "time_credible": told::is_time_credible(&r.facts), "archived_at": rfc3339(from_ms(r.archived_at)),
        "mtime_ns": r.mtime_ns.to_string(), "copies": copies_json, "facts": parsed(&r.facts),
        "media": r.probed.as_deref().map(parsed), "take": r.take, "segment": r.segment,
        "officer": officer, "classification": r.classification,
    });
    add_deadline(&mut all, deadline.as_ref(), to_ms(SystemClock.now()));
    Ok(all)
}

/// Whether somebody may look at a recording.
fn may_see(db: &Connection, who: &Person, r: &Recording) -> Result<bool> {
    // Who may see all need not be asked for each of a million.
    Ok(access::reach(who.role, Deed::ReadRecordings) == Reach::All
        || access::is_allowed(who, Deed::ReadRecordings, &links::about(db, r)?))
}

fn unfinished(db: &Connection, who: &Person, config: &Config, options: &Args) -> Result<Vec<Value>> {
    let Some(state) = &options.state else { return Ok(Vec::new()) };
    let fits = |j: &jobs::Job| {
        j.state == *state
            && options.recorder.as_ref().is_none_or(|r| *r == j.recorder)
            && options.day.as_ref().is_none_or(|d| *d == recordings::day_of(j.taken_at))
    };
    let one = |j: jobs::Job| {
        let mut all = json!({ "id": j.recording, "state": j.state, "recorder": j.recorder, "kind": j.kind,
            "size": j.size, "sha256": j.sha256.as_deref().map(hex), "path": Value::Null, "reason": j.reason,
            "source_path": show(OsStr::from_bytes(&j.source_path)) });
        let deadline = deadline(db, config, &j.recording)?;
        add_deadline(&mut all, deadline.as_ref(), to_ms(SystemClock.now()));
        let about = match deadline {
            Some(d) => rights::about(db, d.unit, d.officer.into_iter().collect(), false)?,
            None => About::default(),
        };
        Ok(access::is_allowed(who, Deed::ReadRecordings, &about).then_some(all))
    };
    jobs::all(db)?.into_iter().filter(fits).filter_map(|j| one(j).transpose()).collect()
}

fn list(db: &Connection, who: &Person, config: &Config, places: &Places, options: &Args) -> Result<Exit> {
    let filter =
        Filter { recorder: options.recorder.clone(), day: options.day.clone(), state: options.state.clone() };
    let unfinished = unfinished(db, who, config, options)?;
    if options.json {
        // One by one: an archive may hold a million.
        let mut first = true;
        let mut print = |value: &Value| {
            let text = serde_json::to_string(value).unwrap_or_default();
            let lead = if std::mem::take(&mut first) { "[" } else { "," };
            output::line(&format!("{lead}{text}"))
        };
        recordings::list(db, &filter, &mut |r| {
            if !may_see(db, who, &r)? {
                return Ok(());
            }
            print(&value(db, config, &r, &copies::of(db, &r.id)?, places)?)
        })?;
        unfinished.iter().try_for_each(&mut print)?;
        output::line(if first { "[]" } else { "]" })?;
        return Ok(Exit::Good);
    }
    let (mut count, mut size) = (0_u64, 0);
    let mut page = table();
    recordings::list(db, &filter, &mut |r| {
        if !may_see(db, who, &r)? {
            return Ok(());
        }
        count += 1;
        size += r.size;
        page.add_row([
            crate::base::ids::short(&r.id).to_owned(),
            taken(&r),
            r.recorder.clone(),
            words::state(&r.state).to_owned(),
            bytes(r.size),
            duration(&r),
            hex(&r.sha256[..6.min(r.sha256.len())]),
            show(OsStr::from_bytes(&r.source_path)),
        ]);
        if count.is_multiple_of(1000) {
            output::print_table(&std::mem::replace(&mut page, table()))?;
        }
        Ok(())
    })?;
    output::print_table(&page)?;
    for job in &unfinished {
        let text = |key: &str| job[key].as_str().unwrap_or_default();
        let why = words::say(text("reason"));
        output::line(&format!("{} {} {why}", text("recorder"), text("source_path")))?;
    }
    output::tell(&format!("{count} recordings, {}", bytes(size)))?;
    Ok(Exit::Good)
}

fn table() -> comfy_table::Table {
    let mut table = output::table(&[
        t("id", "编号"),
        t("taken", "摄录时间"),
        t("recorder", "记录仪"),
        t("state", "状态"),
        t("size", "大小"),
        t("plays", "时长"),
        "sha256",
        t("name on the card", "卡上文件名"),
    ]);
    output::right(&mut table, &[4, 5]);
    table
}

/// When it was made, as lists show it: marked where its own time is not credible.
pub fn taken(r: &Recording) -> String {
    let time = output::time(r.taken_at);
    if told::is_time_credible(&r.facts) { time } else { words::noted(&time, t("estimated", "估算")) }
}

/// How long it plays, as far as is known.
pub fn duration(r: &Recording) -> String {
    let media: Value = r.probed.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
    match (media["verdict"].as_str(), media["facts"]["duration_ms"].as_u64()) {
        (Some("unplayable"), _) => t("does not play", "无法播放").to_owned(),
        (_, Some(ms)) => output::span(ms as f64 / 1000.0),
        _ => String::new(),
    }
}

fn show_one(
    db: &Connection,
    who: &Person,
    config: &Config,
    places: &Places,
    id: &str,
    as_json: bool,
) -> Result<Exit> {
    let r = recordings::find(db, id)?;
    rights::check(db, who, Deed::ReadRecordings, &links::about(db, &r)?)?;
    let copies = copies::of(db, &r.id)?;
    let history = log::history(db, &format!("recording:{}", r.id))?;
    if history.is_empty() {
        return Err(Error::new(Kind::Integrity, format!("recording {} has no custody history", r.id))
            .next("`docket custody verify` checks the log"));
    }
    let mut all = value(db, config, &r, &copies, places)?;
    all["linked"] = linked(db, who, &r)?;
    if as_json {
        all["custody"] = history.iter().map(custody::value).collect();
        output::json(&all)?;
        return Ok(Exit::Good);
    }
    let rows = [
        (t("id", "编号"), r.id.clone()),
        (t("state", "状态"), words::state(&r.state).to_owned()),
        (t("recorder", "记录仪"), r.recorder.clone()),
        (t("name on the card", "卡上文件名"), show(OsStr::from_bytes(&r.source_path))),
        (t("kind", "类型"), words::kind(&r.kind).to_owned()),
        (t("size", "大小"), words::noted(&bytes(r.size), &format!("{} B", r.size))),
        ("SHA-256", hex(&r.sha256)),
        ("SM3", r.sm3.as_deref().map(hex).unwrap_or_default()),
        (t("taken", "摄录时间"), {
            let rule = words::time_rule(all["facts"]["time_rule"].as_str().unwrap_or("?"));
            words::noted(&output::time(r.taken_at), &rule)
        }),
        (t("archived", "归档时间"), output::time(r.archived_at)),
        (t("holder", "领用人"), holder(db, &r, &all["officer"])?),
        (t("classification", "类别标识"), words::class(&r.classification).to_owned()),
        (t("linked to", "关联案卷"), linked_line(&all["linked"])),
        (t("due", "归档时限"), due_line(&all)),
        (t("media", "媒体"), media_line(&all["media"])),
        (t("flags", "标注"), flags(&all["facts"]["flags"])),
        (
            t("take", "连续段"),
            r.take.as_ref().map_or_else(String::new, |take| {
                let n = r.segment.unwrap_or(1);
                if words::is_chinese() { format!("{take} 起第 {n} 段") } else { format!("{n} of {take}") }
            }),
        ),
    ];
    for (name, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        output::field(name, 18, text)?;
    }
    for c in &copies {
        let read = c.verified_at.map_or_else(String::new, |ms| {
            let how = words::how(c.how.as_deref().unwrap_or("?"));
            words::noted(
                "",
                &format!("{} {}{}{how}", t("read back", "回读"), output::time(ms), t(", ", "，")),
            )
        });
        let path: PathBuf = places.path(&c.volume, &c.path);
        let text = format!("{} {}{read}", words::state(&c.state), Path::display(&path));
        output::field(places.name(&c.volume), 18, &text)?;
    }
    output::line("")?;
    custody::print(db, &history)?;
    Ok(Exit::Good)
}

/// Name and badge of whoever answers for it, else of whoever held the recorder when it was made.
fn holder(db: &Connection, r: &Recording, badge: &Value) -> Result<String> {
    let found = match badge.as_str() {
        Some(badge) => officers::by_badge(db, badge)?,
        None if told::is_time_credible(&r.facts) => {
            let held = ledger::holder_at(db, &r.recorder, r.taken_at)?;
            held.map(|id| officers::get(db, id)).transpose()?.flatten()
        }
        None => None,
    };
    Ok(found.map_or_else(String::new, |o| words::noted(&o.name, &o.badge)))
}

/// The cases and steps that a recording is linked to, as JSON; without those of cases that somebody may not see.
fn linked(db: &Connection, who: &Person, r: &Recording) -> Result<Value> {
    let mut out = Vec::new();
    for link in links::of_recording(db, &r.id)? {
        let step = steps::get(db, link.step)?;
        let case = cases::get(db, step.case)?;
        if access::is_allowed(who, Deed::ReadCase, &cases::about(db, &case)?) {
            out.push(json!({ "link": link.id, "case": case.number, "step": step.key, "name": step.name,
                "name_zh": step.name_zh }));
        }
    }
    Ok(out.into())
}

fn linked_line(list: &Value) -> String {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |l: &Value| {
        let text = |key: &str| l[key].as_str().unwrap_or_default();
        let name = if words::is_chinese() { text("name_zh") } else { text("name") };
        words::noted(text("case"), name)
    };
    list.iter().map(one).collect::<Vec<_>>().join(t("; ", "；"))
}

/// When it was due and why, and by how much it was late.
fn due_line(all: &Value) -> String {
    let (Some(due), Some(why)) = (all["deadline"].as_str(), all["deadline_reason"].as_str()) else {
        return String::new();
    };
    let due = match all["deadline_earliest"].as_str() {
        Some(earliest) if earliest != due => {
            let range = format!("{} – {}", output::time_of(earliest), output::time_of(due));
            words::noted(&range, t("estimated", "估算"))
        }
        _ => output::time_of(due),
    };
    let text = words::noted(&due, &words::say(why));
    match all["late_by_seconds"].as_u64() {
        Some(late) if late > 0 => {
            format!("{text}{}{}", t("; LATE by ", "；逾期 "), output::long_span(late))
        }
        _ => text,
    }
}

fn flags(list: &Value) -> String {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(words::say).collect::<Vec<_>>().join(t("; ", "；"))
}

fn media_line(media: &Value) -> String {
    let facts = &media["facts"];
    let mut parts = Vec::new();
    match media["verdict"].as_str() {
        Some("playable") => parts.push(t("plays", "可播放").to_owned()),
        Some("cutoff") => parts.push(t("plays up to where it was cut off", "可播放至中断处").to_owned()),
        Some("unplayable") => parts.push(t("does not play", "无法播放").to_owned()),
        _ => {}
    }
    if let Some(ms) = facts["duration_ms"].as_u64() {
        parts.push(output::span(ms as f64 / 1000.0));
    }
    if let (Some(codec), Some(w), Some(h)) = (
        facts["video"]["codec"].as_str(),
        facts["video"]["width"].as_u64(),
        facts["video"]["height"].as_u64(),
    ) {
        parts.push(format!("{codec} {w}×{h}"));
    }
    if let Some(codec) = facts["audio"]["codec"].as_str() {
        parts.push(codec.to_owned());
    }
    if let Some(why) = media["reason"].as_str() {
        parts.push(words::say(why).into_owned());
    }
    parts.join(t(", ", "，"))
}
