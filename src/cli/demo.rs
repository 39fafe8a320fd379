//! `docket demo`: three made-up cards of real footage go through a whole station, to a case and its clocks.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::ingest::Screen;
use super::interrupt::on_interrupt;
use super::recordings::Places;
use super::words::{self, t};
use super::{Exit, StationArgs, demo_cards as cards, demo_sinks, demo_story, output};
use crate::app::docks::Docks;
use crate::base::clock::SystemClock;
use crate::base::config::Config;
use crate::base::text::{bytes, hex, show};
use crate::base::{Cancel, Error, Kind, Result, logging};
use crate::catalog::copies::{self, Copy};
use crate::catalog::dockings;
use crate::catalog::recordings::{self, Filter, Recording};
use crate::ingest::aftercare::Aftercare;
use crate::ingest::progress::Phase;
use crate::ingest::recover::recover;
use crate::ingest::station::{self, Station};

/// Where the demo keeps its station without --data.
const DIR: &str = "demo-station";
/// A card of the demo takes seconds; beyond this something is wrong.
const LIMIT: Duration = Duration::from_secs(300);

/// Show a whole station at work on three made-up cards
///
/// Makes a station in ./demo-station (or --data), encodes three cards of real footage, docks them one
/// after another in a folder dock, and prints what was archived.
///
/// Then links footage to a case, and shows the alerts about a card that came too late and a recorder that did
/// not come, as they arrive at a web server and a mail server of the demo's own.
///
/// A second run finds everything known. Exit status: 0 when every recording was archived and verified, 1 otherwise.
#[derive(clap::Args)]
pub struct Args {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What one card came to.
struct Stay {
    recorder: String,
    archived: u64,
    known: u64,
    left: u64,
    bytes: u64,
    seconds: f64,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    if args.config.is_some() {
        return Err(Error::new(Kind::Invalid, "the demo makes a station of its own")
            .next("leave --config out; --data DIR says where"));
    }
    let data = args.data.clone().unwrap_or_else(|| DIR.into());
    let data = std::path::absolute(&data).map_err(|e| Error::io("resolve", &data, e))?;
    let cancel = on_interrupt();
    logging::start("warn");
    let (web, mail) = (demo_sinks::web()?, demo_sinks::mail()?);
    let config = Config {
        // The demo's cards are small; it should run where little room is left.
        volumes: Config::defaults(&data)
            .volumes
            .into_iter()
            .map(|v| crate::base::config::VolumeConfig { reserve: 64 << 20, ..v })
            .collect(),
        settle_seconds: 0,
        channels: demo_story::channels(&web, &mail)?,
        ..Config::defaults(&data)
    };
    let say = |text: &str| if options.json { Ok(()) } else { output::line(text) };
    station::init(&config, &SystemClock, "command:demo")?;
    let drawer = data.join("made-cards");
    say(&format!("{} {}", t("station", "工作站"), data.display()))?;
    let begun = Instant::now();
    let (began_at, made_now) = cards::make(&drawer, &cancel)?;
    if made_now {
        let made = t("three cards of real footage were encoded in", "已编码三张演示卡，用时");
        say(&format!("{made} {}", output::span(begun.elapsed().as_secs_f64())))?;
    }
    let station = Arc::new(Station::open(config.clone(), Arc::new(SystemClock), "daemon".into())?);
    recover(&station)?;
    demo_story::register(&station, &began_at)?;
    let screen = Screen::new(options.json);
    let mut stays = Vec::new();
    for card in cards::NAMES {
        let stay = dock(&station, &config, &drawer.join(card), &screen, &cancel)?;
        screen.clear();
        say(&words::say(&format!(
            "  {:<24} {} archived, {} known already, {} left by rule  ({}, {})",
            stay.recorder,
            stay.archived,
            stay.known,
            stay.left,
            bytes(stay.bytes),
            output::span(stay.seconds)
        )))?;
        stays.push(stay);
    }
    let mut aftercare = Aftercare::new();
    aftercare.look_after(&station, &cancel)?;
    let sources = hashes_of(&drawer, &station)?;
    let list = archived(&station)?;
    let recordings: Vec<&Recording> = list.iter().map(|(r, ..)| r).collect();
    let story = demo_story::tell(&station, &config, &recordings, (&web, &mail), &cancel)?;
    show_result(&station, &config, &stays, sources, list, &story, options.json)
}

fn archived(station: &Station) -> Result<Vec<Listed>> {
    let mut list: Vec<Listed> = Vec::new();
    station.core.catalog.read(|db| {
        recordings::list(db, &Filter::default(), &mut |r| {
            let copies = copies::of(db, &r.id)?;
            let good = copies.iter().any(|c| c.state == "archived" && c.verified_at.is_some());
            list.push((r, copies, good));
            Ok(())
        })
    })?;
    Ok(list)
}

/// Puts a card into the dock, waits until it is safe to take, and takes it.
fn dock(
    station: &Arc<Station>,
    config: &Config,
    card: &Path,
    screen: &Screen,
    cancel: &Cancel,
) -> Result<Stay> {
    let slot = &config.docks[0].path;
    let docked = slot.join(card.file_name().unwrap_or_default());
    let (tidy, _told) = channel();
    let stop = cancel.child();
    let docks = Docks::new(Arc::clone(station), stop.clone(), tidy);
    std::fs::rename(card, &docked).map_err(|e| Error::io("dock", card, e))?;
    let begun = Instant::now();
    let mut safe = false;
    while !safe && begun.elapsed() < LIMIT && !cancel.is_cancelled() {
        docks.tend();
        cancel.sleep(Duration::from_millis(50));
        for (_, snapshot) in docks.stays() {
            screen.show(&snapshot);
            safe = matches!(snapshot.phase, Phase::Safe | Phase::Attention);
        }
    }
    std::fs::rename(&docked, card).map_err(|e| Error::io("take out", &docked, e))?;
    stop.cancel();
    docks.join();
    cancel.check()?;
    let last = station.core.catalog.read(|db| dockings::newest(db, 1))?.pop();
    let Some(last) = last.filter(|d| safe && d.safe_at.is_some()) else {
        return Err(Error::new(Kind::Integrity, format!("{} did not become safe to take", card.display()))
            .next("`docket status --data DIR` says why"));
    };
    let time = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>();
    let seconds = match (time(&last.started_at), time(last.safe_at.as_deref().unwrap_or_default())) {
        (Ok(from), Ok(to)) => (to - from).as_seconds_f64(),
        _ => begun.elapsed().as_secs_f64(),
    };
    Ok(Stay {
        recorder: last.recorder.unwrap_or_default(),
        archived: last.counts.archived,
        known: last.counts.known + last.counts.duplicates,
        left: last.counts.left,
        bytes: last.counts.bytes,
        seconds,
    })
}

/// SHA-256 of every file on the demo's cards that is to be archived, computed apart from the station.
fn hashes_of(drawer: &Path, station: &Station) -> Result<BTreeMap<String, PathBuf>> {
    let mut out = BTreeMap::new();
    let mut dirs: Vec<PathBuf> = cards::NAMES.iter().map(|n| drawer.join(n)).collect();
    let settings = station.settings();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|e| Error::io("list", &dir, e))? {
            let path = entry.map_err(|e| Error::io("list", &dir, e))?.path();
            let generic = settings.profiles.get("generic");
            if path.is_dir() {
                dirs.push(path);
            } else if generic.is_none_or(|p| p.parse(&path).kind != "other") {
                let content = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
                out.insert(hex(&Sha256::digest(&content)), path);
            }
        }
    }
    Ok(out)
}

fn show_result(
    station: &Station,
    config: &Config,
    stays: &[Stay],
    mut sources: BTreeMap<String, PathBuf>,
    mut list: Vec<Listed>,
    story: &demo_story::Story,
    as_json: bool,
) -> Result<Exit> {
    let catalog = &station.core.catalog;
    let places = catalog.read(|db| Places::new(db, config))?;
    for (r, _, good) in &list {
        if *good && r.state == "archived" {
            sources.remove(&hex(&r.sha256));
        }
    }
    let good = sources.is_empty() && list.iter().all(|(r, _, good)| *good && r.state == "archived");
    let (archived, known): (u64, u64) =
        (stays.iter().map(|s| s.archived).sum(), stays.iter().map(|s| s.known).sum());
    let (read, seconds): (u64, f64) =
        (stays.iter().map(|s| s.bytes).sum(), stays.iter().map(|s| s.seconds).sum());
    if as_json {
        let all = catalog.read(|db| {
            let one = |(r, copies, _): &Listed| super::recordings::value(db, config, r, copies, &places);
            list.iter().map(one).collect::<Result<Vec<_>>>()
        })?;
        output::json(&json!({ "verified": good, "archived": archived, "duplicates": known, "bytes": read,
            "seconds": seconds, "recordings": all, "story": demo_story::value(station, story)? }))?;
    } else {
        output::line("")?;
        print_list(&mut list, &places)?;
        let rate = bytes((read as f64 / seconds.max(0.001)) as u64);
        let total: u64 = list.iter().map(|(r, ..)| r.size).sum();
        let word =
            if good { "each read back from the disk and equal to its card" } else { "NOT all verified" };
        output::line("")?;
        output::tell(&format!("{} recordings in the archive ({}), {word}", list.len(), bytes(total)))?;
        output::tell(&match archived {
            0 => "Nothing was copied: every file was known.".to_owned(),
            n => format!("archived now: {n}, {}, {}, {rate}/s", bytes(read), output::span(seconds)),
        })?;
        demo_story::print(station, config, story)?;
        if good {
            let me = std::env::args().next().unwrap_or_else(|| "docket".into());
            let shown = config.data.display();
            let first = list.iter().find(|(r, ..)| r.kind == "video");
            let id = first.map_or("", |(r, ..)| crate::base::ids::short(&r.id));
            output::line(&format!("\n{}\n  export DOCKET_DATA={shown}", t("Try next:", "接下来可以试试：")))?;
            for (command, what) in [
                (format!("{me} status"), t("how the station stands", "查看工作站状态")),
                (
                    format!("{me} recordings {id}"),
                    t("one recording and its custody history", "查看一个录音录像及其保管记录"),
                ),
                (format!("{me} deadlines"), t("what was due when, and why", "查看各项时限及其依据")),
                (format!("{me} alerts list --all"), t("every alert there was", "查看全部告警")),
                (format!("{me} custody verify"), t("the custody log, entry by entry", "逐条校验保管日志")),
                (format!("{me} verify --all"), t("read everything back again", "重新回读校验全部原件")),
                (
                    format!("{me} fsck --depth bytes"),
                    t("the catalogue against the disk", "核对编目数据库与磁盘"),
                ),
                (format!("{me} demo"), t("again: nothing is copied twice", "再次运行：不会重复复制")),
            ] {
                output::line(&format!("  {command:<46} {what}"))?;
            }
        }
    }
    if good {
        return Ok(Exit::Good);
    }
    let lost: Vec<_> = sources.values().map(|p| format!("\n  - {}", p.display())).collect();
    Err(Error::new(Kind::Integrity, format!("not archived and verified:{}", lost.concat()))
        .next("`docket status --data DIR` says why"))
}

type Listed = (Recording, Vec<Copy>, bool);

/// Every recording with its hash, under the folder of the archive that it lies in.
fn print_list(list: &mut [Listed], places: &Places) -> Result<()> {
    let place = |copies: &[Copy]| places.best(copies).unwrap_or_default();
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned());
    list.sort_by_key(|(r, copies, _)| (folder(&place(copies)), r.taken_at, r.id.clone()));
    let names = [
        t("name on the card", "卡上文件名"),
        t("size", "大小"),
        t("plays", "时长"),
        t("state", "状态"),
        "SHA-256",
    ];
    let mut table = output::table(&names);
    output::right(&mut table, &[1, 2]);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    let mut folders: Vec<(usize, String)> = Vec::new();
    for (n, (r, copies, _)) in list.iter().enumerate() {
        let dir = folder(&place(copies));
        if folders.last().is_none_or(|(_, last)| *last != dir) {
            folders.push((n, dir));
        }
        let name = Path::new(OsStr::from_bytes(&r.source_path));
        table.add_row([
            show(name.file_name().unwrap_or_default()),
            bytes(r.size),
            super::recordings::duration(r),
            super::words::state(&r.state).to_owned(),
            hex(&r.sha256),
        ]);
    }
    for (n, row) in table.to_string().lines().enumerate() {
        // The first line is the head.
        if let Some((_, dir)) = folders.iter().find(|(first, _)| first + 1 == n) {
            output::line(&format!("\n{dir}/"))?;
        }
        output::line(row.trim_end())?;
    }
    Ok(())
}
