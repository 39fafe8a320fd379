//! `docket status`: how the station stands, in one screen.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, judge, look_into, output};
use crate::app::control::{self, Ask, Tell};
use crate::base::clock::{Clock, SystemClock, to_ms};
use crate::base::config::Config;
use crate::base::durable_fs::Dir;
use crate::base::text::{bytes, hex, show};
use crate::base::{Cancel, Result};
use crate::catalog::dockings::{self, Docking};
use crate::catalog::jobs::{self, Job};
use crate::catalog::volumes::{self, VolumeRow};
use crate::catalog::{Connection, alerts, deadlines, left, outbox, recordings};
use crate::custody::log;
use crate::ingest::progress::Snapshot;

/// Columns of the labels at the top.
const HEAD: usize = 9;
/// Files named one by one; more are counted.
const NAMED: usize = 20;

/// Show how the station stands: daemon, volumes, dockings, and what is not archived and why
///
/// Exit status 3: a volume, a docking, a recording or an alert needs a person.
#[derive(clap::Args)]
pub struct Args {
    /// How many of the newest dockings
    #[arg(long, default_value_t = 8)]
    dockings: u32,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    judge(&config);
    let db = look_into(&config)?;
    let mut stays = None;
    let asked = control::ask(&config.data, &Ask::Stays {}, &Cancel::new(), &mut |told| {
        if let Tell::Stays(list) = told {
            stays = Some(list);
        }
    });
    let mut volumes = volumes::all(&db)?;
    volumes.extend(never_opened(&config, &volumes));
    let dockings = dockings::newest(&db, options.dockings)?;
    let unfinished = jobs::all(&db)?;
    let (count, size, not_well) = recordings::totals(&db)?;
    let (entries, head) = log::head(&db)?;
    let (open, acknowledged, critical) = alerts::counts(&db)?;
    let (waiting, dead) = outbox::counts(&db)?;
    let well = not_well == 0
        && open == 0
        && dead == 0
        && volumes.iter().all(|v| v.state == "online" && v.not_well == 0)
        && !unfinished.iter().any(|j| matches!(j.state.as_str(), "retry" | "failed" | "quarantined"));
    let exit = if well { Exit::Good } else { Exit::Attention };
    if options.json {
        let free = |v: &VolumeRow| Dir::open(Path::new(&v.path)).and_then(|d| d.space()).ok();
        let volumes: Vec<Value> = volumes
            .iter()
            .map(|v| {
                let space = free(v);
                json!({ "id": v.id, "name": v.name, "path": v.path, "state": v.state, "reason": v.reason,
                    "owed": v.owed, "not_well": v.not_well, "free": space.map(|s| s.0), "size": space.map(|s| s.1) })
            })
            .collect();
        let unfinished: Vec<Value> = unfinished.iter().map(job_json).collect();
        let left: Vec<Value> = match newest_with_left(&dockings) {
            Some(d) => left::of_docking(&db, d.id, u32::MAX)?.iter().map(left_json).collect(),
            None => Vec::new(),
        };
        output::json(&json!({
            "data": config.data.display().to_string(), "daemon": stays.is_some(), "well": well,
            "stays": stays.unwrap_or_default(), "volumes": volumes, "dockings": dockings,
            "recordings": { "count": count, "bytes": size, "not_well": not_well },
            "unfinished": unfinished, "left": left,
            "alerts": { "open": open, "acknowledged": acknowledged, "critical": critical },
            "messages": { "waiting": waiting, "given_up": dead }, "custody": { "entries": entries, "head": hex(&head) },
        }))?;
        return Ok(exit);
    }
    let daemon = match (&stays, asked) {
        (Some(_), _) => t("running", "运行中").to_owned(),
        (None, Err(e)) => words::say(e.what()).into_owned(),
        (None, Ok(_)) => t("not running (start it: docket run)", "未运行（启动：docket run）").to_owned(),
    };
    let stands = format!("{count} recordings, {}; {not_well} damaged or missing", bytes(size));
    let custody = format!("{entries} entries, head {}", hex(&head));
    output::field(t("station", "工作站"), HEAD, &config.data.display().to_string())?;
    output::field(t("daemon", "采集服务"), HEAD, &daemon)?;
    output::field(t("archive", "归档"), HEAD, &words::say(&stands))?;
    output::field(t("custody", "保管日志"), HEAD, &words::say(&custody))?;
    let (running, overdue) = deadlines::counts(&db, to_ms(SystemClock.now()))?;
    if running > 0 {
        let stand = format!("{running} running, {overdue} of them overdue: docket deadlines");
        output::field(t("due", "时限"), HEAD, &words::say(&stand))?;
    }
    if open + acknowledged > 0 {
        let stand = format!(
            "{open} open, {acknowledged} acknowledged; {critical} of them critical: docket alerts list"
        );
        output::field(t("alerts", "告警"), HEAD, &words::say(&stand))?;
    }
    if dead > 0 {
        let what = format!("{dead} messages were given up: docket alerts outbox");
        output::line(&format!("  ! {}", words::say(&what)))?;
    }
    print_volumes(&volumes)?;
    for v in volumes.iter().filter(|v| v.not_well > 0) {
        let what = format!("volume {}: {} copies are damaged or missing", v.name, v.not_well);
        let next = "docket fsck --depth bytes --apply makes those again that are whole elsewhere";
        output::line(&format!("  ! {}", words::say(&what)))?;
        output::line(&format!("    {}{}", t("next: ", "处理："), words::say(next)))?;
    }
    print_stays(stays.as_deref().unwrap_or_default())?;
    print_dockings(&dockings)?;
    if let Some(d) = newest_with_left(&dockings) {
        let list = left::of_docking(&db, d.id, NAMED as u32)?;
        output::line("")?;
        output::tell(&format!("left on the card by rule, docking {}:", d.id))?;
        for (path, why) in &list {
            let path = show(OsStr::from_bytes(path));
            output::line(&format!("  {path}{}{}", t(": ", "："), words::say(why)))?;
        }
        more(d.counts.left as usize, list.len())?;
    }
    print_unfinished(&db, &config, &unfinished)?;
    Ok(exit)
}

fn more(all: usize, shown: usize) -> Result<()> {
    match all.saturating_sub(shown) {
        0 => Ok(()),
        n => {
            output::line(&format!("  … {n} {}", t("more (--json lists all)", "个未列出（--json 列出全部）")))
        }
    }
}

/// Volumes that the settings name and no start has ever opened: the catalogue has no row for them.
fn never_opened(config: &Config, known: &[VolumeRow]) -> Vec<VolumeRow> {
    let new = config.volumes.iter().filter(|c| !known.iter().any(|v| v.name == c.name));
    let why = "never opened, so nothing is archived to it; `docket doctor` says what is wrong with it";
    new.map(|c| VolumeRow {
        id: String::new(),
        name: c.name.clone(),
        path: c.path.display().to_string(),
        state: "missing".into(),
        reason: Some(why.into()),
        owed: 0,
        not_well: 0,
    })
    .collect()
}

fn newest_with_left(dockings: &[Docking]) -> Option<&Docking> {
    dockings.iter().find(|d| d.counts.left > 0)
}

fn left_json((path, why): &(Vec<u8>, String)) -> Value {
    json!({ "path": show(OsStr::from_bytes(path)), "reason": why })
}

fn job_json(job: &Job) -> Value {
    json!({ "id": job.recording, "recorder": job.recorder, "state": job.state, "reason": job.reason,
        "source_path": show(OsStr::from_bytes(&job.source_path)), "size": job.size, "docking": job.docking })
}

fn print_volumes(volumes: &[VolumeRow]) -> Result<()> {
    output::line("")?;
    let mut table = output::table(&[
        t("volume", "存储卷"),
        t("state", "状态"),
        t("free", "可用"),
        t("size", "容量"),
        t("copies owed", "待补副本"),
        t("where", "位置"),
    ]);
    output::right(&mut table, &[2, 3, 4]);
    for v in volumes {
        // What is not there has no room; the bare mount point's would be shown.
        let here = v.state != "missing" && v.state != "foreign";
        let space = here.then(|| Dir::open(Path::new(&v.path)).and_then(|d| d.space()).ok()).flatten();
        let amount = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), bytes);
        table.add_row([
            v.name.clone(),
            words::volume(&v.state).to_owned(),
            amount(space.map(|s| s.0)),
            amount(space.map(|s| s.1)),
            v.owed.to_string(),
            v.path.clone(),
        ]);
    }
    output::print_table(&table)?;
    for v in volumes {
        if let Some(reason) = &v.reason {
            output::line(&format!("  ! {}{}{}", v.name, t(": ", "："), words::say(reason)))?;
        }
    }
    Ok(())
}

fn print_stays(stays: &[(String, Snapshot)]) -> Result<()> {
    for (card, s) in stays {
        if !s.trouble.is_empty() {
            output::line(&format!("  ! {card}{}{}", t(": ", "："), words::say(&s.trouble)))?;
            continue;
        }
        let (en, zh) = s.phase.words();
        output::line(&format!(
            "  {card}{}{}{} {}/{} {} {}/{}",
            t(": ", "："),
            t(en, zh),
            t(",", "，"),
            s.files_done,
            s.files_total,
            t("files,", "个文件，"),
            bytes(s.bytes_read),
            bytes(s.bytes_total)
        ))?;
    }
    Ok(())
}

fn print_dockings(dockings: &[Docking]) -> Result<()> {
    if dockings.is_empty() {
        return output::line(&format!("\n{}", t("No recorder was docked yet.", "尚无记录仪接入。")));
    }
    output::line("")?;
    let mut table = output::table(&[
        t("docking", "接入"),
        t("recorder", "记录仪"),
        t("since", "开始时间"),
        t("state", "状态"),
        t("archived", "已归档"),
        t("known", "此前已归档"),
        t("left", "未采集"),
        t("failed", "失败"),
        t("profile", "机型"),
    ]);
    output::right(&mut table, &[0, 4, 5, 6, 7]);
    for d in dockings {
        table.add_row([
            d.id.to_string(),
            d.recorder.clone().unwrap_or_default(),
            output::time_of(&d.started_at),
            words::state(&d.state).to_owned(),
            d.counts.archived.to_string(),
            (d.counts.known + d.counts.duplicates).to_string(),
            d.counts.left.to_string(),
            d.counts.failed.to_string(),
            d.profile.clone().unwrap_or_default(),
        ]);
    }
    output::print_table(&table)?;
    for d in dockings {
        if let Some(reason) = &d.reason {
            let (docking, colon) = (t("docking", "接入"), t(": ", "："));
            output::line(&format!("  ! {docking} {}{colon}{}", d.id, words::say(reason)))?;
        }
    }
    Ok(())
}

/// When an unfinished copy is due, where it is footage.
fn due(db: &Connection, config: &Config, job: &Job) -> Result<String> {
    let deadline = super::recordings::deadline(db, config, &job.recording)?;
    Ok(deadline.filter(|d| d.state == "running").map_or_else(String::new, |d| {
        let late = to_ms(SystemClock.now()) - d.latest;
        let word = if late > 0 { t("OVERDUE since", "已逾期，时限为") } else { t("due", "时限") };
        format!("{}{word} {}", t("; ", "；"), output::time(d.latest))
    }))
}

fn print_unfinished(db: &Connection, config: &Config, jobs: &[Job]) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    output::line(&format!("\n{}", t("Not archived yet, and why:", "尚未归档及原因：")))?;
    for job in jobs.iter().take(NAMED) {
        output::line(&format!(
            "  {} {}{}{}{}{}",
            job.recorder,
            words::noted(&show(OsStr::from_bytes(&job.source_path)), &bytes(job.size)),
            t(": ", "："),
            words::state(&job.state),
            job.reason.as_ref().map_or_else(String::new, |r| format!("{}{}", t(": ", "："), words::say(r))),
            due(db, config, job)?,
        ))?;
    }
    more(jobs.len(), NAMED.min(jobs.len()))
}
