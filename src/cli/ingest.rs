//! `docket ingest`: docks a folder once.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::interrupt::on_interrupt;
use super::words::{self, t};
use super::{Exit, StationArgs, actor, output};
use crate::app::control::{self, Tell};
use crate::base::clock::SystemClock;
use crate::base::config::Config;
use crate::base::text::{bytes, show};
use crate::base::{Cancel, Error, Kind, Result, logging};
use crate::cases::by_itself;
use crate::deadline::watch::Watch;
use crate::ingest::aftercare::Aftercare;
use crate::ingest::checkpoints::Keeper;
use crate::ingest::docking::{self, Request, Summary};
use crate::ingest::progress::{Phase, Progress, Snapshot};
use crate::ingest::recover::recover;
use crate::ingest::replicate::pay_owed;
use crate::ingest::station::Station;

/// Archive a folder once, as if it had been docked
///
/// Works beside a running daemon (which then does the work) or without one. Ctrl-C stops it; what was
/// copied is kept, and the same command goes on there. Exit status 3: something could not be archived.
#[derive(clap::Args)]
pub struct Args {
    /// The card's folder
    path: PathBuf,
    /// Whose card it is; told from file names or the folder's name otherwise
    #[arg(long, value_name = "ID")]
    recorder: Option<String>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    let path = std::path::absolute(&options.path).map_err(|e| Error::io("resolve", &options.path, e))?;
    if !path.is_dir() {
        let what = format!("{} is no folder", show(path.as_os_str()));
        return Err(Error::new(Kind::NotFound, what).next("name the folder that the card is mounted at"));
    }
    let cancel = on_interrupt();
    let screen = Screen::new(options.json);
    let result = ingest(&config, &path, options.recorder.clone(), &screen, &cancel);
    screen.bar.finish_and_clear();
    match result {
        Ok(summary) => report(&summary, options.json),
        Err(e) if e.kind() == Kind::Cancelled => Err(Error::new(Kind::Cancelled, "stopped on request")
            .next("what was copied is kept; the same command goes on from there")),
        Err(e) => Err(e),
    }
}

/// Docks a folder: through the daemon where one runs, in this process otherwise.
fn ingest(
    config: &Config,
    path: &Path,
    recorder: Option<String>,
    screen: &Screen,
    cancel: &Cancel,
) -> Result<Summary> {
    let mut summary = None;
    let heard =
        control::ask(
            &config.data,
            &control::ingest(path, recorder.clone()),
            cancel,
            &mut |told| match told {
                Tell::Progress(snapshot) => screen.show(&snapshot),
                Tell::Done(done) => summary = Some(done),
                _ => {}
            },
        );
    match (heard, summary) {
        (Ok(Some(())), Some(summary)) => return Ok(summary),
        (Ok(Some(())), None) => return Err(Error::new(Kind::Invalid, "the daemon gave no summary")),
        (Ok(None), _) => {}
        // No data directory: opening the station says so better.
        (Err(e), _) if matches!(e.kind(), Kind::Io(_)) && !config.data.is_dir() => {}
        (Err(e), _) => return Err(e),
    }
    logging::start("warn");
    let station = Station::open(config.clone(), Arc::new(SystemClock), actor())?;
    recover(&station)?;
    let request = Request { dock: "command".into(), path: path.to_owned(), recorder, wait_for_room: false };
    let summary = watched(screen, |progress| docking::run(&station, request, progress, cancel))?;
    screen.say(t("reading container facts", "读取媒体信息"));
    let mut aftercare = Aftercare::new();
    let after = pay_owed(&station, cancel).and_then(|_| aftercare.look_after(&station, cancel));
    let watch = Watch::new(config);
    let by = || station.core.by();
    let after = after
        .and_then(|_| watch.catch_up(&station.core.catalog, &by))
        .and_then(|_| watch.pass_time(&station.core.catalog, &by))
        .and_then(|_| by_itself::catch_up(&station.core.catalog, &config.cases, &by));
    match after {
        // The card is archived; what is left of this the next run does.
        Err(e) if e.kind() != Kind::Cancelled => tracing::warn!("{e}"),
        _ => {}
    }
    Keeper::default().keep(&station);
    Ok(summary)
}

/// Runs `work` and shows its progress meanwhile.
fn watched<T>(screen: &Screen, work: impl FnOnce(Arc<Progress>) -> T) -> T {
    let progress = Arc::new(Progress::default());
    let done = Cancel::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.sleep(std::time::Duration::from_millis(100)) {
                screen.show(&progress.snapshot());
            }
        });
        let result = work(Arc::clone(&progress));
        done.cancel();
        result
    })
}

/// The progress bar; silent where standard error is no terminal.
pub struct Screen {
    bar: ProgressBar,
}

impl Screen {
    /// A bar on standard error.
    pub fn new(quiet: bool) -> Self {
        let shown = std::io::stderr().is_terminal() && !quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let form =
            "{prefix:>10} {bar:28} {percent:>3}%  {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar }
    }

    /// Shows a look at a stay. Copying and reading back are one bar: both have to be done.
    pub fn show(&self, s: &Snapshot) {
        let (en, zh) = s.phase.words();
        self.bar.set_prefix(t(en, zh));
        let verifying = s.phase == Phase::Verifying;
        self.bar.set_length(s.bytes_total.max(1));
        self.bar.set_position(if verifying { s.bytes_verified } else { s.bytes_read });
        let files = format!("{}/{} {}", s.files_done, s.files_total, t("files", "个文件"));
        self.bar.set_message(match eta(s) {
            Some(left) if !verifying => format!("{files}  {} {}", t("about", "约剩"), output::span(left)),
            _ => files,
        });
    }

    /// Shows what is done after the copying.
    pub fn say(&self, what: &'static str) {
        self.bar.set_prefix(what);
        self.bar.set_message("");
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Seconds left at the pace so far.
fn eta(s: &Snapshot) -> Option<f64> {
    let pace = s.bytes_read as f64 / s.seconds.max(0.1);
    (s.bytes_read > 0 && s.bytes_total >= s.bytes_read).then(|| (s.bytes_total - s.bytes_read) as f64 / pace)
}

/// Prints how a stay ended.
pub fn report(summary: &Summary, as_json: bool) -> Result<Exit> {
    let counts = &summary.counts;
    let known = counts.known + counts.duplicates;
    if as_json {
        output::json(&json!({
            "docking": summary.docking, "recorder": summary.recorder,
            "archived": counts.archived, "duplicates": known, "failed": counts.failed, "left": counts.left,
            "bytes": counts.bytes, "seconds": summary.seconds, "problems": summary.problems,
        }))?;
    } else {
        let rate = counts.bytes as f64 / summary.seconds.max(0.001);
        output::tell(&format!(
            "recorder {}: {} archived and verified ({}, {}, {}/s), {known} known already, {} left by rule, {} failed",
            summary.recorder,
            counts.archived,
            bytes(counts.bytes),
            output::span(summary.seconds),
            bytes(rate as u64),
            counts.left,
            counts.failed,
        ))?;
        for problem in summary.problems.iter().take(20) {
            output::line(&format!("  ! {}", words::say(problem)))?;
        }
        if summary.problems.len() > 20 {
            output::tell(&format!("  … {} more: docket status", summary.problems.len() - 20))?;
        }
        if counts.archived + known + counts.left + counts.failed == 0 {
            output::tell("no file was found there: is the card mounted?")?;
        } else {
            let word = if summary.problems.is_empty() { "safe" } else { "attention" };
            output::line(words::state(word))?;
        }
    }
    Ok(if summary.problems.is_empty() { Exit::Good } else { Exit::Attention })
}
