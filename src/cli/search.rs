//! `docket search`: cases and recordings by what one remembers of them.

use serde_json::json;

use super::cases::{case_rows, value};
use super::words::{self, t};
use super::{Exit, StationArgs, look_into, output, recordings};
use crate::base::ids::short;
use crate::base::text::{bytes, show};
use crate::base::{Error, Kind, Result};
use crate::cases::checklist::Checklists;
use crate::cases::search::{Query, recording_json, search};
use crate::catalog::recordings::Recording;

/// Look for cases and recordings by words, officer, day, recorder or case
///
/// Words are looked for in the number, title, parties, address and officers of cases: one Chinese character is
/// enough, of other words the beginning. With --officer, --day, --recorder or --case they are also looked for in
/// the recordings' file names. Everything given must hold; the newest comes first.
#[derive(clap::Args)]
pub struct Args {
    /// Words, a case number or a part of one
    words: Vec<String>,
    /// Of this officer: on the case, or holding the recorder
    #[arg(long, value_name = "BADGE")]
    officer: Option<String>,
    /// Recordings of this day; cases opened on it, or with a step on it
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = recordings::day)]
    day: Option<String>,
    /// Of this recorder
    #[arg(long, value_name = "ID")]
    recorder: Option<String>,
    /// Only recordings linked to this case
    #[arg(long, value_name = "NUMBER")]
    case: Option<String>,
    /// At most so many cases, and as many recordings
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(station: &StationArgs, args: &Args) -> Result<Exit> {
    let query = Query {
        words: args.words.join(" "),
        officer: args.officer.clone(),
        day: args.day.clone(),
        recorder: args.recorder.clone(),
        case: args.case.clone(),
        limit: args.limit,
        ..Query::default()
    };
    let anything =
        query.officer.is_some() || query.day.is_some() || query.recorder.is_some() || query.case.is_some();
    if !anything && query.words.trim().is_empty() {
        return Err(Error::new(Kind::Invalid, "nothing to look for")
            .next("give words, --officer, --day, --recorder or --case"));
    }
    let config = station.config()?;
    let db = look_into(&config)?;
    let who = station.person(&db)?;
    let found = search(&db, &who, &query)?;
    if args.json {
        let cases = found.cases.iter().map(|c| value(&db, &config, c)).collect::<Result<Vec<_>>>()?;
        let list = found.recordings.iter().map(|r| recording_json(&db, r)).collect::<Result<Vec<_>>>()?;
        output::json(&json!({ "cases": cases, "recordings": list, "more": found.more }))?;
        return Ok(Exit::Good);
    }
    if found.cases.is_empty() && found.recordings.is_empty() {
        output::tell("nothing found")?;
        return Ok(Exit::Good);
    }
    if !found.cases.is_empty() {
        case_rows(&db, &config, &Checklists::load(&config)?, &found.cases)?;
    }
    if !found.recordings.is_empty() {
        if !found.cases.is_empty() {
            output::line("")?;
        }
        print(&found.recordings)?;
    }
    if found.more {
        output::tell("there are more; --limit shows more of them")?;
    }
    Ok(Exit::Good)
}

fn print(list: &[Recording]) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let mut table = output::table(&[
        t("recording", "录音录像"),
        t("taken", "摄录时间"),
        t("recorder", "记录仪"),
        t("state", "状态"),
        t("size", "大小"),
        t("plays", "时长"),
        t("name on the card", "卡上文件名"),
    ]);
    output::right(&mut table, &[4, 5]);
    for r in list {
        table.add_row([
            short(&r.id).to_owned(),
            recordings::taken(r),
            r.recorder.clone(),
            words::state(&r.state).to_owned(),
            bytes(r.size),
            recordings::duration(r),
            show(std::ffi::OsStr::from_bytes(&r.source_path)),
        ]);
    }
    output::print_table(&table)
}
