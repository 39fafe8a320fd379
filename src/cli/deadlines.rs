//! `docket deadlines`: what is due, what is overdue, and what was kept too late.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, judge, look_into, output};
use crate::access::{self, Deed, Person};
use crate::base::Result;
use crate::base::clock::{Clock, SystemClock, from_ms, rfc3339};
use crate::base::config::Config;
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::{Connection, officers, rights};
use crate::deadline::stage::{Stage, stage};

/// Late ones that are shown where nothing else is asked for.
const NEWEST: u32 = 20;

/// Show what is due and why, what is overdue, and what was archived or completed too late
///
/// The soonest due first. Exit status 3: something is overdue.
#[derive(clap::Args)]
pub struct Args {
    /// Only what was kept too late, the newest first
    #[arg(long)]
    late: bool,
    /// Only deadlines of this kind
    #[arg(long, value_parser = ["recording", "recorder", "case"])]
    kind: Option<String>,
    /// At most so many of those that were kept too late
    #[arg(long, default_value_t = NEWEST)]
    limit: u32,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    judge(&config);
    let db = look_into(&config)?;
    let who = args.person(&db)?;
    let wanted = |d: &Deadline| -> Result<bool> {
        Ok(options.kind.as_ref().is_none_or(|k| *k == d.kind) && may_see(&db, &who, d)?)
    };
    let mut running = Vec::new();
    for kind in ["recording", "recorder", "case"].into_iter().filter(|_| !options.late) {
        for d in deadlines::running(&db, kind)? {
            if wanted(&d)? {
                running.push(d);
            }
        }
    }
    running.sort_by_key(|d| d.earliest);
    let mut late = deadlines::late(&db, options.limit)?;
    let seen: Vec<bool> = late.iter().map(wanted).collect::<Result<_>>()?;
    let mut seen = seen.into_iter();
    late.retain(|_| seen.next().unwrap_or(false));
    let overdue = running.iter().any(|d| matches!(stage_of(d, &config), Stage::Overdue { .. }));
    let exit = if overdue { Exit::Attention } else { Exit::Good };
    if options.json {
        let all = running.iter().chain(&late).map(|d| value(&db, &config, d)).collect::<Result<Vec<_>>>()?;
        output::json(&all)?;
        return Ok(exit);
    }
    if !options.late {
        print(&db, &config, &running, t("Nothing runs out.", "当前没有计时中的时限。"))?;
    }
    if options.late || !late.is_empty() {
        if !options.late {
            output::line("")?;
        }
        output::line(t("Kept too late:", "逾期完成："))?;
        print(&db, &config, &late, t("Nothing was late.", "没有逾期记录。"))?;
    }
    Ok(exit)
}

fn may_see(db: &Connection, who: &Person, d: &Deadline) -> Result<bool> {
    let about = rights::about(db, d.unit, d.officer.into_iter().collect(), false)?;
    Ok(access::is_allowed(who, Deed::ReadAlerts, &about))
}

fn stage_of(d: &Deadline, config: &Config) -> Stage {
    let soon = match d.kind.as_str() {
        "case" => TimeDelta::days(i64::from(config.deadlines.case_due_soon_days)),
        _ => TimeDelta::hours(i64::from(config.deadlines.due_soon_hours)),
    };
    stage(from_ms(d.earliest), from_ms(d.latest), soon, SystemClock.now())
}

/// How it stands: the word of `--json`.
fn word(d: &Deadline, config: &Config) -> &'static str {
    match d.state.as_str() {
        "late" => "late",
        "met" => "met",
        "void" => "void",
        _ => match stage_of(d, config) {
            Stage::Quiet => "running",
            Stage::Soon => "due-soon",
            Stage::Overdue { .. } => "overdue",
        },
    }
}

fn shown(word: &str) -> &'static str {
    match word {
        "late" => t("late", "逾期完成"),
        "met" => t("kept", "按期完成"),
        "void" => t("void", "已失效"),
        "due-soon" => t("due soon", "即将到期"),
        "overdue" => t("OVERDUE", "已逾期"),
        _ => t("running", "计时中"),
    }
}

fn value(db: &Connection, config: &Config, d: &Deadline) -> Result<Value> {
    let badge = Some(officers::badge_of(db, d.officer)?).filter(|b| !b.is_empty());
    Ok(json!({
        "subject": d.subject, "kind": d.kind, "state": word(d, config),
        "deadline": rfc3339(from_ms(d.latest)), "deadline_earliest": rfc3339(from_ms(d.earliest)),
        "estimated": d.earliest != d.latest, "reason": d.reason, "recorder": d.recorder, "officer": badge,
        "met_at": d.met_at.map(|ms| rfc3339(from_ms(ms))),
        "late_by_seconds": d.late_by.map(|ms| ms / 1000),
    }))
}

fn print(db: &Connection, config: &Config, list: &[Deadline], none: &str) -> Result<()> {
    if list.is_empty() {
        return output::line(none);
    }
    let head = [
        t("due", "到期时间"),
        t("state", "状态"),
        t("late by", "逾期"),
        t("what", "对象"),
        t("officer", "责任人"),
        t("why", "依据"),
    ];
    let mut table = output::table(&head);
    for d in list {
        let officer = match d.officer {
            Some(officer) => officers::get(db, officer)?.map(|o| format!("{} {}", o.name, o.badge)),
            None => None,
        };
        let due = output::time(d.earliest);
        let late = d.late_by.map_or_else(String::new, |ms| output::long_span(ms.unsigned_abs() / 1000));
        table.add_row([
            if d.earliest == d.latest { due } else { words::noted(&due, t("estimated", "估算")) },
            shown(word(d, config)).to_owned(),
            late,
            subject(db, d)?,
            officer.unwrap_or_default(),
            words::say(&d.reason).into_owned(),
        ]);
    }
    output::print_table(&table)
}

/// What it is about, as people know it: the file and recorder, the recorder, the case.
fn subject(db: &Connection, d: &Deadline) -> Result<String> {
    use std::os::unix::ffi::OsStrExt;
    let key = d.subject.split_once(':').map_or("", |(_, key)| key);
    Ok(match d.kind.as_str() {
        "recording" => {
            let path = deadlines::source_of(db, key)?.unwrap_or_default();
            let path = crate::base::text::show(std::ffi::OsStr::from_bytes(&path));
            format!("{} {path}", d.recorder.as_deref().unwrap_or_default())
        }
        "recorder" => format!("{} {key}", t("recorder", "记录仪")),
        _ => format!("{} {key}", t("case", "案卷")),
    })
}
