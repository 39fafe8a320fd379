//! `docket doctor`: what is wrong with a station's set-up, and how to mend it.

mod reach;

use std::path::Path;

use chrono::{Datelike, Utc};
use nix::unistd::AccessFlags;
use serde::Serialize;

use super::words::{say, subject, t};
use super::{Exit, StationArgs, look_into, output};
use crate::archive::layout;
use crate::archive::volume::{Look, Volume};
use crate::base::clock::to_ms;
use crate::base::config::Config;
use crate::base::text::bytes;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::backup::integrity;
use crate::catalog::volumes;
use crate::custody::{checkpoint, key, log};
use crate::dock::folder;
use crate::ingest::station::not_anothers;
use crate::ingest::station::{Settings, lock};
use crate::media::confine;
use crate::media::worker::Worker;

/// Check the station's set-up: settings, catalogue, volumes, docks, clock, FFmpeg, and whom alerts reach
///
/// Each line is good, to be noticed, or wrong, and what is wrong comes with what to do. Nothing is
/// changed. Exit status 3: something is wrong.
#[derive(clap::Args)]
pub struct Args {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Finding {
    /// `good`, `notice` or `wrong`.
    level: &'static str,
    about: String,
    text: String,
    next: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, about: &str, text: impl Into<String>) {
        self.0.push(Finding { level: "good", about: about.into(), text: text.into(), next: None });
    }

    fn notice(&mut self, about: &str, text: impl Into<String>, next: &str) {
        self.0.push(Finding {
            level: "notice",
            about: about.into(),
            text: text.into(),
            next: Some(next.into()),
        });
    }

    fn wrong(&mut self, about: &str, e: &Error) {
        let next = e.advice().map(str::to_owned);
        self.0.push(Finding { level: "wrong", about: about.into(), text: e.what().to_owned(), next });
    }

    fn take<T>(&mut self, about: &str, result: Result<T>) -> Option<T> {
        result.map_err(|e| self.wrong(about, &e)).ok()
    }
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let mut all = Findings::default();
    let source = args.source()?;
    let settings = "settings";
    if let Some(config) = all.take(settings, source.load()) {
        match source.file() {
            file if file.exists() => all.good(settings, file.display().to_string()),
            file => all.notice(
                settings,
                format!("no {}; the defaults hold", file.display()),
                "docket init writes one",
            ),
        }
        if let Some(loaded) = all.take("profiles", Settings::load(config.clone())) {
            all.good("profiles", loaded.profiles.iter().map(|p| p.id.as_str()).collect::<Vec<_>>().join(" "));
        }
        check_clock(&mut all);
        check_catalogue(&mut all, &config);
        check_custody(&mut all, &config);
        check_daemon(&mut all, &config);
        check_volumes(&mut all, &config);
        check_docks(&mut all, &config);
        check_ffmpeg(&mut all, &config);
        if let Ok(db) = look_into(&config) {
            reach::check(&mut all, &config, &db);
        }
    }
    let wrong = all.0.iter().filter(|f| f.level == "wrong").count();
    if options.json {
        output::json(&all.0)?;
    } else {
        for f in &all.0 {
            let mark = match f.level {
                "good" => "✓",
                "notice" => "·",
                _ => "✗",
            };
            output::line(&format!("{mark} {}{}{}", subject(&f.about), t(": ", "："), say(&f.text)))?;
            if let Some(next) = &f.next {
                output::line(&format!("    {}{}", t("next: ", "处理："), say(next)))?;
            }
        }
        match wrong {
            0 => output::line(t("The set-up is good.", "配置正常。"))?,
            n => output::tell(&format!("{n} things are wrong"))?,
        }
    }
    Ok(if wrong == 0 { Exit::Good } else { Exit::Attention })
}

fn check_clock(all: &mut Findings) {
    let (about, now) = ("clock", Utc::now());
    if (2025..2036).contains(&now.year()) {
        all.good(about, output::time(now.timestamp_millis()));
    } else {
        let what = format!("this machine believes it is {}", now.format("%F"));
        all.wrong(
            about,
            &Error::new(Kind::Invalid, what)
                .next("set the clock; run a time service (chrony, systemd-timesyncd)"),
        );
    }
}

fn check_catalogue(all: &mut Findings, config: &Config) {
    let about = "catalogue";
    let checked = look_into(config).and_then(|db| integrity(&db));
    if all.take(about, checked).is_some() {
        all.good(about, config.data.display().to_string());
    }
    if nix::unistd::access(&config.data, AccessFlags::W_OK).is_err() && config.data.exists() {
        let what = format!("{} cannot be written to by this user", config.data.display());
        all.wrong(
            about,
            &Error::new(Kind::Invalid, what).next("run as the station's user, or chown the directory to it"),
        );
    }
}

/// Days after which a log that has grown should have been signed again.
const CHECKPOINT_DAYS: i64 = 2;

fn check_custody(all: &mut Findings, config: &Config) {
    // What is wrong with the catalogue has a line of its own.
    let Ok(db) = look_into(config) else { return };
    let about = "custody key";
    let fits = key::load(&config.data).and_then(|own| Ok((own.map(|k| k.public()), key::current(&db)?)));
    match all.take(about, fits) {
        Some((Some(own), Some(named))) if own == named.key => {
            all.good(about, config.data.join(key::FILE).display().to_string());
        }
        Some((None, None)) => {
            all.notice(about, "the station has no custody key yet", "docket init makes it");
        }
        Some(_) => {
            let what = "the custody key is not the one that the custody log names";
            all.wrong(
                about,
                &Error::new(Kind::Integrity, what)
                    .next("put it back from where it is kept safe; `docket custody new-key` makes another"),
            );
        }
        None => {}
    }
    let about = "checkpoint";
    let signed = checkpoint::newest(&db).and_then(|newest| Ok((newest, log::head(&db)?.0)));
    match all.take(about, signed) {
        Some((Some(newest), entries)) => {
            let (size, days) = (newest.size, (Utc::now() - newest.at).num_days());
            let since = entries.saturating_sub(size);
            if since > 0 && days >= CHECKPOINT_DAYS {
                let what = format!("the newest is {days} days old, and {since} entries were made since");
                all.wrong(
                    about,
                    &Error::new(Kind::Integrity, what)
                        .next("the daemon's log says why none is signed: journalctl -u docket"),
                );
            } else {
                all.good(about, format!("{size} entries, signed {}", output::time(to_ms(newest.at))));
            }
        }
        Some((None, _)) => all.notice(
            about,
            "none is signed yet",
            "the daemon signs the first within a minute, docket ingest at its end",
        ),
        None => {}
    }
}

fn check_daemon(all: &mut Findings, config: &Config) {
    let about = "daemon";
    match lock(&config.data) {
        Err(e) if e.kind() == Kind::Busy => all.good(about, "a docket holds the station"),
        Err(_) => {}
        Ok(_) => all.notice(about, "not running", "systemctl start docket, or docket run"),
    }
}

fn check_volumes(all: &mut Findings, config: &Config) {
    for volume in &config.volumes {
        let about = format!("volume {}", volume.name);
        let expected = look_into(config).and_then(|db| volumes::id_of(&db, &volume.name)).ok().flatten();
        let looked = Look::open(volume, expected.as_deref()).and_then(|look| {
            // What is wrong with the catalogue has a line of its own.
            look_into(config).map_or(Ok(()), |db| not_anothers(&look.id, volume, config, &db)).map(|()| look)
        });
        let Some(look) = all.take(&about, looked) else { continue };
        if nix::unistd::access(&volume.path.join(layout::INCOMING), AccessFlags::W_OK).is_err() {
            let what = format!("{} cannot be written to by this user", volume.path.display());
            all.wrong(
                &about,
                &Error::new(Kind::Invalid, what)
                    .next("chown it to the station's user; is it mounted read-only?"),
            );
            continue;
        }
        let Some((free, size)) = all.take(&about, look.dir.space()) else { continue };
        if free < volume.reserve {
            let what = format!(
                "full: {} free of {}, {} kept in reserve",
                bytes(free),
                bytes(size),
                bytes(volume.reserve)
            );
            all.wrong(
                &about,
                &Error::new(Kind::NoSpace, what)
                    .next("make room, or add a [[volume]] and name it in archive_to"),
            );
        } else {
            all.good(&about, format!("{}, {} free of {}", volume.path.display(), bytes(free), bytes(size)));
        }
        if let (Ok(this), Ok(up)) =
            (std::fs::metadata(&volume.path), std::fs::metadata(volume.path.join("..")))
            && std::os::unix::fs::MetadataExt::dev(&this) == std::os::unix::fs::MetadataExt::dev(&up)
        {
            all.notice(
                &about,
                "shares its file system with others",
                "a file system of its own keeps other programs from filling it",
            );
        }
        if Volume::marker(&volume.path).is_ok_and(|m| m.name != volume.name) {
            all.notice(
                &about,
                "its marker bears another name",
                "that is fine after renaming it in docket.toml",
            );
        }
    }
}

fn check_docks(all: &mut Findings, config: &Config) {
    for dock in &config.docks {
        let about = format!("dock {}", dock.name);
        if let Some(cards) = all.take(&about, folder::cards(&dock.path)) {
            all.good(&about, format!("{}, {} cards now", dock.path.display(), cards.len()));
        }
        let watch = folder::watch(&dock.path, false, || {});
        if watch.is_none() && dock.path.is_dir() {
            all.notice(
                &about,
                "the kernel gives no notices for it",
                "cards are found by looking every rescan_seconds; raise fs.inotify.max_user_watches",
            );
        }
    }
}

fn check_ffmpeg(all: &mut Findings, config: &Config) {
    let about = "FFmpeg";
    let mut worker = Worker::new("/proc/self/exe".into(), std::time::Duration::from_secs(20));
    // Any file does: the child has to answer, not to like it.
    let file = config.data.join(crate::ingest::station::CATALOG);
    let path: &Path = if file.exists() { &file } else { Path::new("/proc/self/exe") };
    if all.take(about, worker.probe(path, &Cancel::new())).is_some() {
        all.good(about, "the media worker answers");
    }
    match confine::try_out() {
        Ok(()) => all.good(about, "the media worker is cut off from the network"),
        Err(e) => all.notice(about, e.what(), e.advice().unwrap_or_default()),
    }
}
