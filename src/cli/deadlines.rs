//! `docket deadlines`: what is due, what is overdue, and what was kept too late.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, judge, look_into, output};
use crate::access::{self, Deed, Person, Reach};
use crate::base::Result;
use crate::base::clock::{Clock, SystemClock, from_ms, rfc3339, to_ms};
use crate::base::config::Config;
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::{Connection, alerts, officers, rights, units};
use crate::deadline::stage::{Stage, stage};

/// Lines that are shown of what runs where nothing else is asked for.
const SOONEST: usize = 100;
/// Lines that are shown of what was kept too late where nothing else is asked for.
const NEWEST: usize = 20;

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
    /// Only what is overdue or due within so many days
    #[arg(long, value_name = "DAYS", conflicts_with = "late")]
    within: Option<u32>,
    /// Only what this officer answers for: footage, recorders held, cases
    #[arg(long, value_name = "BADGE")]
    officer: Option<String>,
    /// Only of this unit and those below it
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    /// At most so many that run and so many that were kept too late; otherwise 100 (all with --json) and 20
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    judge(&config);
    let db = look_into(&config)?;
    let who = args.person(&db)?;
    let wanted = Wanted::new(&db, &who, options)?;
    let mut running = Vec::new();
    for kind in ["recording", "recorder", "case"].into_iter().filter(|_| !options.late) {
        for d in deadlines::running(&db, kind)? {
            if wanted.takes(&d)? && wanted.by.is_none_or(|by| d.earliest <= by) {
                running.push(d);
            }
        }
    }
    running.sort_by_key(|d| d.earliest);
    let overdue = running.iter().any(|d| matches!(stage_of(d, &config), Stage::Overdue { .. }));
    let shown = options.limit.unwrap_or(if options.json { usize::MAX } else { SOONEST });
    let more = running.len().saturating_sub(shown);
    running.truncate(shown);
    let (mut late, limit, mut more_late) = (Vec::new(), options.limit.unwrap_or(NEWEST), false);
    if options.within.is_none() {
        deadlines::late(&db, &mut |d| {
            if wanted.takes(&d)? {
                more_late = late.len() >= limit;
                late.extend(Some(d).filter(|_| !more_late));
            }
            Ok(!more_late)
        })?;
    }
    let exit = if overdue { Exit::Attention } else { Exit::Good };
    if options.json {
        let all = running.iter().chain(&late).map(|d| value(&db, &config, d)).collect::<Result<Vec<_>>>()?;
        output::json(&all)?;
        return Ok(exit);
    }
    let all = access::reach(who.role, Deed::ReadAlerts) == Reach::All;
    if !options.late {
        let none = match all {
            true => t("Nothing runs out.", "当前没有计时中的时限。"),
            false => t("Nothing that you may see runs out.", "在您可查看的范围内，当前没有计时中的时限。"),
        };
        print(&db, &config, &running, none)?;
        if more > 0 {
            output::tell(&format!("{more} more; --limit shows more of them, --within fewer"))?;
        }
    }
    if options.late || !late.is_empty() {
        if !options.late {
            output::line("")?;
        }
        output::line(t("Kept too late:", "逾期完成："))?;
        let none = match all {
            true => t("Nothing was late.", "没有逾期记录。"),
            false => t("Nothing that you may see was late.", "在您可查看的范围内，没有逾期记录。"),
        };
        print(&db, &config, &late, none)?;
        if more_late {
            output::tell("there are more; --limit shows more of them")?;
        }
    }
    Ok(exit)
}

/// Which deadlines are asked for, by a person who may see them.
struct Wanted<'a> {
    db: &'a Connection,
    who: &'a Person,
    kind: Option<&'a str>,
    officer: Option<i64>,
    units: Option<Vec<i64>>,
    /// Due by this moment, milliseconds.
    by: Option<i64>,
}

impl<'a> Wanted<'a> {
    fn new(db: &'a Connection, who: &'a Person, options: &'a Args) -> Result<Self> {
        let officer = options.officer.as_ref().map(|badge| officers::find(db, badge)).transpose()?;
        let by = options.within.map(|days| {
            let span = TimeDelta::try_days(i64::from(days)).unwrap_or(TimeDelta::MAX);
            SystemClock.now().checked_add_signed(span).map_or(i64::MAX, to_ms)
        });
        let units =
            options.unit.as_ref().map(|code| rights::below(db, units::find(db, code)?.id)).transpose()?;
        let (kind, officer) = (options.kind.as_deref(), officer.map(|o| o.id));
        Ok(Self { db, who, kind, officer, units, by })
    }

    fn takes(&self, d: &Deadline) -> Result<bool> {
        if self.kind.is_some_and(|k| k != d.kind)
            || self.units.as_ref().is_some_and(|units| d.unit.is_none_or(|u| !units.contains(&u)))
        {
            return Ok(false);
        }
        // A case concerns all officers on it, not only the one that its deadline names.
        let mut officers = alerts::concerned(self.db, &d.subject)?;
        officers.extend(d.officer);
        if self.officer.is_some_and(|o| !officers.contains(&o)) {
            return Ok(false);
        }
        let about = rights::about(self.db, d.unit, officers, false)?;
        Ok(access::is_allowed(self.who, Deed::ReadAlerts, &about))
    }
}

fn stage_of(d: &Deadline, config: &Config) -> Stage {
    let soon = config.deadlines.soon(&d.kind);
    stage(from_ms(d.earliest), from_ms(d.latest), soon, SystemClock.now())
}

/// By how much it was late, or is so far: milliseconds past what is certain.
fn late_by(d: &Deadline) -> Option<i64> {
    let past = to_ms(SystemClock.now()) - d.latest;
    d.late_by.or((d.state == "running" && past > 0).then_some(past))
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
        "late_by_seconds": late_by(d).map(|ms| ms / 1000),
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
        let now = to_ms(SystemClock.now());
        let late = match late_by(d) {
            Some(ms) => output::long_span(ms.unsigned_abs() / 1000),
            None if d.state == "running" && now > d.earliest => {
                words::noted(&output::long_span(now.abs_diff(d.earliest) / 1000), t("at most", "至多"))
            }
            None => String::new(),
        };
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
