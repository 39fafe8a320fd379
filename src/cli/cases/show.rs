//! `docket cases list` and `show`.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::json::{Detail, details, due, state, step_json, unit, value};
use crate::base::Result;
use crate::base::clock::from_ms;
use crate::base::config::Config;
use crate::base::text::show as shown;
use crate::cases::checklist::Checklists;
use crate::cases::holes;
use crate::cases::search::{Query, find_cases};
use crate::cases::{case, link::clock};
use crate::catalog::Connection;
use crate::catalog::cases::{self, Case};
use crate::catalog::recordings::Recording;
use crate::catalog::steps::Step;
use crate::cli::recordings::{duration, taken};
use crate::cli::words::{self, t};
use crate::cli::{Exit, StationArgs, look_into, output};

/// List cases, the newest first
#[derive(clap::Args)]
pub struct ListArgs {
    /// Only those that are not closed
    #[arg(long, conflicts_with = "closed")]
    open: bool,
    /// Only those that are closed
    #[arg(long)]
    closed: bool,
    /// Only of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only those with this officer on them
    #[arg(long, value_name = "BADGE")]
    officer: Option<String>,
    /// Only those whose file is overdue or due within so many days, the soonest due first
    #[arg(long, value_name = "DAYS", conflicts_with = "closed")]
    due_within: Option<u32>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Show a case in one screen: its deadline, each step with its footage or why there is none
#[derive(clap::Args)]
pub struct ShowArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn state_words(c: &Case) -> &'static str {
    match state(c) {
        "closed" => t("closed", "已结案"),
        "ended" => t("act ended", "行为终结"),
        _ => t("under way", "办理中"),
    }
}

fn table() -> comfy_table::Table {
    let mut table = output::table(&[
        t("number", "案号"),
        t("kind", "类别"),
        t("title", "案由"),
        t("officers", "承办人"),
        t("opened", "立案"),
        t("state", "状态"),
        t("due", "归档时限"),
        t("holes", "缺项"),
    ]);
    output::right(&mut table, &[7]);
    table
}

/// Prints cases as a table.
pub fn case_rows(db: &Connection, config: &Config, lists: &Checklists, found: &[Case]) -> Result<()> {
    let mut table = table();
    for c in found {
        let names: Vec<String> = cases::officers(db, c.id)?.into_iter().map(|(.., name)| name).collect();
        let due = due(db, config, c)?.at.filter(|_| c.closed_at.is_none());
        let holes = holes::holes(db, c)?.len();
        table.add_row([
            c.number.clone(),
            kind(lists, &c.kind),
            c.title.clone(),
            names.join(t(", ", "、")),
            day(from_ms(c.opened_at)),
            state_words(c).to_owned(),
            due.map(day).unwrap_or_default(),
            if holes == 0 || c.closed_at.is_some() { String::new() } else { holes.to_string() },
        ]);
    }
    output::print_table(&table)
}

fn day(at: DateTime<Utc>) -> String {
    at.with_timezone(&chrono::Local).format("%Y-%m-%d").to_string()
}

/// The name of a kind; its key where no checklist knows it any more.
fn kind(lists: &Checklists, key: &str) -> String {
    lists.kind(key).map_or_else(|| key.to_owned(), |k| named(&k.name, &k.name_zh).to_owned())
}

/// A name in the chosen language, where there are two.
pub fn named<'a>(english: &'a str, chinese: &'a str) -> &'a str {
    if words::is_chinese() && !chinese.is_empty() { chinese } else { english }
}

pub fn list(station: &StationArgs, args: &ListArgs) -> Result<Exit> {
    let config = station.config()?;
    let db = look_into(&config)?;
    let (who, lists) = (station.person(&db)?, Checklists::load(&config)?);
    let closed = (args.open || args.closed || args.due_within.is_some()).then_some(args.closed);
    let kind = args.kind.as_ref().map(|k| lists.kind(k).map_or_else(|| k.clone(), |k| k.key.clone()));
    let limit = if args.due_within.is_some() { usize::MAX } else { args.limit };
    let query = Query { officer: args.officer.clone(), kind, closed, limit, ..Query::default() };
    let (mut found, mut more) = find_cases(&db, &who, &query)?;
    if let Some(days) = args.due_within {
        found = due_first(&db, &config, found, days)?;
        more |= found.len() > args.limit;
        found.truncate(args.limit);
    }
    if args.json {
        output::json(&found.iter().map(|c| value(&db, &config, c)).collect::<Result<Vec<_>>>()?)?;
        return Ok(Exit::Good);
    }
    if let (true, Some(word)) = (found.is_empty(), args.kind.as_ref().filter(|k| lists.kind(k).is_none())) {
        return Err(lists.no_kind(word));
    }
    if found.is_empty() {
        output::tell("no case fits")?;
        return Ok(Exit::Good);
    }
    case_rows(&db, &config, &lists, &found)?;
    if more {
        output::tell("there are more; --limit shows more of them")?;
    }
    Ok(Exit::Good)
}

/// The cases whose file is due within so many days, the soonest first.
fn due_first(db: &Connection, config: &Config, cases: Vec<Case>, days: u32) -> Result<Vec<Case>> {
    let by =
        Utc::now().checked_add_signed(TimeDelta::days(i64::from(days))).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let mut due_by = Vec::new();
    for c in cases {
        if let Some(at) = due(db, config, &c)?.at.filter(|at| *at <= by) {
            due_by.push((at, c));
        }
    }
    due_by.sort_by_key(|(at, c)| (*at, c.id));
    Ok(due_by.into_iter().map(|(_, c)| c).collect())
}

pub fn show(station: &StationArgs, args: &ShowArgs) -> Result<Exit> {
    let config = station.config()?;
    let db = look_into(&config)?;
    let who = station.person(&db)?;
    let case = case::read(&db, &who, &args.number)?;
    let details = details(&db, &case)?;
    if args.json {
        let mut all = value(&db, &config, &case)?;
        all["steps"] = details.iter().map(|d| step_json(&db, d)).collect::<Result<Value>>()?;
        output::json(&all)?;
        return Ok(Exit::Good);
    }
    print(&db, &config, &case, &details)
}

fn print(db: &Connection, config: &Config, case: &Case, details: &[Detail]) -> Result<Exit> {
    head(db, config, case)?;
    output::line("")?;
    steps_table(db, details)?;
    links_table(db, details)?;
    exemptions_table(db, details)?;
    output::line("")?;
    output::tell(&format!(
        "history, with links that were taken off: docket custody show \"case:{}\"",
        case.number
    ))?;
    let holes = holes::holes(db, case)?;
    if case.closed_at.is_none() {
        output::line("")?;
        match holes.len() {
            0 if case.act_ended_at.is_some() => {
                output::tell("every step is explained; the case can be closed")?
            }
            0 => output::tell("every step is explained; the act has not ended")?,
            n => output::tell(&format!("{n} holes; a case with holes cannot be closed"))?,
        }
    }
    Ok(Exit::Good)
}

/// Prints a case as `docket cases show` does.
pub fn print_case(db: &Connection, config: &Config, number: &str) -> Result<()> {
    let case = cases::find(db, number)?;
    print(db, config, &case, &details(db, &case)?).map(drop)
}

fn head(db: &Connection, config: &Config, c: &Case) -> Result<()> {
    const WIDTH: usize = 16;
    let (code, unit) = unit(db, c)?;
    let officers: Vec<String> =
        cases::officers(db, c.id)?.into_iter().map(|(_, badge, name)| words::noted(&name, &badge)).collect();
    let due = due(db, config, c)?;
    let lists = Checklists::load(config)?;
    let ended = c.act_ended_at.map_or_else(String::new, output::time);
    let (rows, now) = (&mut Vec::new(), Utc::now());
    let mut row = |label: &'static str, text: String| rows.push((label, text));
    row(t("case", "案号"), words::noted(&c.number, state_words(c)));
    row(t("kind", "类别"), kind(&lists, &c.kind));
    row(t("title", "案由"), c.title.clone());
    row(t("parties", "当事人"), c.parties.clone());
    row(t("address", "地址"), c.address.clone());
    row(t("unit", "承办单位"), words::noted(&unit, &code));
    row(t("officers", "承办人"), officers.join(t(", ", "、")));
    row(t("stage", "办理阶段"), c.stage.clone());
    row(t("classification", "类别标识"), words::class(&c.classification).to_owned());
    row(t("opened", "立案时间"), output::time(c.opened_at));
    row(t("act ended", "行为终结时间"), ended);
    if let Some(at) = due.at.filter(|_| c.closed_at.is_none()) {
        let left = (at - now).num_days();
        let text = if at < now {
            format!("{} days after the act's end; overdue by {} days", due.days, (now - at).num_days())
        } else {
            format!("{} days after the act's end; {left} days left", due.days)
        };
        row(
            t("file due", "归档时限"),
            words::noted(&output::time(at.timestamp_millis()), &words::say(&text)),
        );
    }
    row(t("closed", "结案时间"), c.closed_at.map_or_else(String::new, output::time));
    for (label, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        output::field(label, WIDTH, text)?;
    }
    Ok(())
}

fn steps_table(db: &Connection, details: &[Detail]) -> Result<()> {
    let mut table = output::table(&[
        "",
        t("step", "环节"),
        t("key", "代码"),
        t("footage", "音像记录"),
        t("time", "时间"),
        t("stands", "情况"),
    ]);
    for d in details {
        let (mark, text) = stands(db, d)?;
        table.add_row([
            mark.to_owned(),
            named(&d.step.name, &d.step.name_zh).to_owned(),
            d.step.key.clone(),
            words::av(&d.step.av).to_owned(),
            window(&d.step),
            text,
        ]);
    }
    output::print_table(&table)
}

fn window(step: &Step) -> String {
    let short = |ms: i64| output::time(ms).get(..16).unwrap_or_default().to_owned();
    match (step.from_at, step.to_at) {
        (None, None) => String::new(),
        (from, to) => format!(
            "{} – {}",
            from.map(short).unwrap_or_default(),
            to.map(short).map_or_else(String::new, |end| {
                let same = from.is_some_and(|from| output::time(from).get(..10) == end.get(..10));
                if same { end.get(11..).unwrap_or_default().to_owned() } else { end }
            })
        ),
    }
}

/// How a step stands: a mark, and words.
fn stands(db: &Connection, d: &Detail) -> Result<(&'static str, String)> {
    if !d.step.applies && d.holes.is_empty() {
        let words = t("does not take place", "本案未发生");
        let why = if d.step.why_not.is_empty() { "" } else { t(": ", "：") };
        let said = format!("{words}{why}{}", d.step.why_not);
        let by = d.step.waived_ok.as_ref().map(|badge| words::badge(db, badge)).transpose()?;
        return Ok((
            "–",
            by.map_or(said.clone(), |by| {
                format!("{said}{}{}{by}", t("; confirmed by ", "；确认人"), t("", "："))
            }),
        ));
    }
    if !d.holes.is_empty() {
        let all: Vec<String> = d.holes.iter().map(|h| words::say(&h.words()).into_owned()).collect();
        return Ok(("✗", all.join(t("; ", "；"))));
    }
    Ok(match (d.standing.footage, &d.standing.exemption) {
        (n, _) if n > 0 => match d.unplayable() {
            0 => ("✓", words::say(&format!("{n} linked")).into_owned()),
            bad => ("!", words::say(&format!("{n} linked, {bad} of them cannot be played")).into_owned()),
        },
        (_, Some((id, state))) if state == "approved" => {
            ("✓", words::say(&format!("exempted, number {id}")).into_owned())
        }
        _ => ("·", t("none, and none required", "无，非必录").to_owned()),
    })
}

fn links_table(db: &Connection, details: &[Detail]) -> Result<()> {
    let mut table = output::table(&[
        t("link", "关联"),
        t("step", "环节"),
        t("recording", "录音录像"),
        t("taken", "摄录时间"),
        t("plays", "时长"),
        t("clip", "片段"),
        t("recorder", "记录仪"),
        t("by", "办理人"),
        t("why", "理由"),
    ]);
    let mut any = false;
    for (d, (link, r)) in details.iter().flat_map(|d| d.links.iter().map(move |l| (d, l))) {
        if link.unlinked.is_some() {
            continue;
        }
        any = true;
        let reason = words::say(&link.reason);
        let why = if link.automatic {
            words::noted(&reason, t("automatic", "自动关联"))
        } else {
            reason.into()
        };
        table.add_row([
            link.id.to_string(),
            named(&d.step.name, &d.step.name_zh).to_owned(),
            crate::base::ids::short(&r.id).to_owned(),
            taken(r),
            duration(r),
            link.span.map_or_else(String::new, |(from, to)| format!("{}–{}", clip_time(from), clip_time(to))),
            r.recorder.clone(),
            words::actor(db, &link.linked_by)?,
            why,
        ]);
    }
    if any {
        output::line("")?;
        output::print_table(&table)?;
    }
    Ok(())
}

fn clip_time(ms: i64) -> String {
    clock(ms).trim_end_matches(".000").to_owned()
}

fn exemptions_table(db: &Connection, details: &[Detail]) -> Result<()> {
    let mut table = output::table(&[
        t("exemption", "免录"),
        t("step", "环节"),
        t("state", "状态"),
        t("ground", "事由"),
        t("reason", "理由"),
        t("proposed by", "承办人"),
        t("reviewed by", "审核人"),
        t("approved by", "批准人"),
        t("remark", "意见"),
    ]);
    let mut any = false;
    for (d, e) in details.iter().flat_map(|d| d.exemptions.iter().map(move |e| (d, e))) {
        any = true;
        let by =
            |badge: Option<&String>| badge.map_or_else(|| Ok(String::new()), |badge| words::badge(db, badge));
        let ended = match by(e.ended_by.as_ref())? {
            who if who.is_empty() => who,
            who => format!("{who}{}", t(": ", "：")),
        };
        table.add_row([
            e.id.to_string(),
            named(&d.step.name, &d.step.name_zh).to_owned(),
            words::say(&e.state).into_owned(),
            words::ground(&e.ground).to_owned(),
            if e.note.is_empty() { e.reason.clone() } else { words::noted(&e.reason, &e.note) },
            words::badge(db, &e.proposer)?,
            by(e.reviewer.as_ref())?,
            by(e.approver.as_ref())?,
            format!("{ended}{}", e.remark),
        ]);
    }
    if any {
        output::line("")?;
        output::print_table(&table)?;
    }
    Ok(())
}

/// The path of a recording on its card, printable.
pub fn path_of(r: &Recording) -> String {
    use std::os::unix::ffi::OsStrExt;
    shown(std::ffi::OsStr::from_bytes(&r.source_path))
}
