//! The daemon: what is started and stopped, and in which order.

mod audit;
pub mod clocks;
pub mod control;
mod custody;
pub mod docks;
pub mod figures;
pub mod metrics;
mod witness;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::alert::outbox::Outbox;
use crate::base::clock::SystemClock;
use crate::base::config::{Config, Source};
use crate::base::logging::{self, LogControl};
use crate::base::{Cancel, Error, Kind, Result, process};
use crate::ingest::aftercare::Aftercare;
use crate::ingest::checkpoints::begin;
use crate::ingest::recover::{finish_on, recover};
use crate::ingest::replicate::pay_owed;
use crate::ingest::station::{Settings, Station};
use control::Control;
use docks::Docks;
use metrics::Metrics;

/// How often the daemon looks at its settings file, its volumes and its watchdog.
const TICK: Duration = Duration::from_secs(2);
/// How often what was archived is looked after where nothing happens.
const TIDY: Duration = Duration::from_secs(60);

/// Runs the daemon until it is asked to stop (SIGTERM, SIGINT).
///
/// # Errors
/// Whatever keeps it from starting; once it says that it is ready it ends without.
pub fn run(source: &Source) -> Result<()> {
    process::stay_small();
    let config = source.load()?;
    let log = logging::start(&config.log);
    let data = config.data.clone();
    let station = Arc::new(Station::open(config, Arc::new(SystemClock), "daemon".into())?);

    // Nothing is watched, and nobody is told that we are ready, before the last run's work is whole.
    let found = recover(&station)?;
    tracing::info!(
        "recovered: {} dockings closed, {} copies finished, {} wait for their card",
        found.dockings,
        found.finished,
        found.again
    );

    let cancel = Cancel::new();
    let (tidy, told) = channel();
    let docks = Arc::new(Docks::new(Arc::clone(&station), cancel.clone(), tidy));
    let (archived, heard) = channel();
    let custody = {
        let (station, cancel) = (Arc::clone(&station), cancel.clone());
        begin("custody", move || custody::run(&station, &heard, &cancel))
    };
    let aftercare = {
        let (station, cancel) = (Arc::clone(&station), cancel.clone());
        let look_after = move || look_after(&station, &told, &archived, &cancel);
        std::thread::Builder::new().name("aftercare".into()).spawn(look_after).map_err(|e| fail(&e))?
    };
    let outbox = Outbox::start(Arc::clone(&station), cancel.clone())?;
    let clocks = {
        let (station, docks, cancel) = (Arc::clone(&station), Arc::clone(&docks), cancel.clone());
        let bell = outbox.bell();
        let keep = move || clocks::run(&station, &docks, &cancel, &bell);
        std::thread::Builder::new().name("clocks".into()).spawn(keep).map_err(|e| fail(&e))?
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| fail(&e))?;
    let served = runtime.block_on(async {
        let control = Control::listen(&data)?;
        tokio::spawn(control.serve(Arc::clone(&station), Arc::clone(&docks), cancel.clone()));
        if let Some(listen) = station.settings().config.metrics.listen {
            tokio::spawn(Metrics::new(Arc::clone(&station), Arc::clone(&docks)).serve(listen));
        }
        serve(source, &station, &docks, &log).await
    });

    // Stop: no new work, then what is under way, then the volumes and the catalogue.
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    cancel.cancel();
    station.stop();
    docks.join();
    runtime.shutdown_timeout(Duration::from_secs(5));
    let _ = clocks.join();
    outbox.join();
    drop(docks);
    let _ = aftercare.join();
    custody::finish(&station, &custody);
    tracing::info!("stopped");
    served
}

fn fail(e: &std::io::Error) -> Error {
    Error::new(Kind::of_io(e), format!("cannot start: {e}"))
}

async fn serve(source: &Source, station: &Arc<Station>, docks: &Arc<Docks>, log: &LogControl) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).map_err(|e| fail(&e))?;
    let mut int = signal(SignalKind::interrupt()).map_err(|e| fail(&e))?;
    let mut hup = signal(SignalKind::hangup()).map_err(|e| fail(&e))?;
    let file = source.file();
    let mut stamp = stamp_of(&file);
    let (tending, looking) = (Arc::default(), Arc::default());
    tend(docks, &tending);
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    tracing::info!("ready: {} docks, station {}", station.settings().config.docks.len(), file.display());
    let mut tick = tokio::time::interval(TICK);
    let mut ticks: u64 = 0;
    loop {
        let reload_now = tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hup.recv() => true,
            () = docks.news.notified() => false,
            _ = tick.tick() => {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                ticks += 1;
                if ticks.is_multiple_of(5) {
                    look_at_volumes(station, &looking);
                }
                stamp_of(&file) != stamp
            }
        };
        if reload_now {
            stamp = stamp_of(&file);
            reload(source, station, log);
            look_at_volumes(station, &looking);
        }
        tend(docks, &tending);
    }
}

fn stamp_of(file: &PathBuf) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Runs what may hang on a dying card reader or disk beside the daemon's own loop, once at a time;
/// where it is still at it, the next tick comes back to it.
fn aside(busy: &Arc<AtomicBool>, work: impl FnOnce() + Send + 'static) {
    if !busy.swap(true, SeqCst) {
        let until_done = Busy(Arc::clone(busy));
        tokio::task::spawn_blocking(move || {
            let _until_done = until_done;
            work();
        });
    }
}

/// However the work ends, the next may begin: a fault in one look must not blind the daemon for good.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

fn tend(docks: &Arc<Docks>, busy: &Arc<AtomicBool>) {
    let docks = Arc::clone(docks);
    aside(busy, move || docks.tend());
}

/// A volume that was missing may be mounted now, a full one may have room.
fn look_at_volumes(station: &Arc<Station>, busy: &Arc<AtomicBool>) {
    let station = Arc::clone(station);
    aside(busy, move || {
        for finisher in station.open_finishers() {
            finisher.volume.has_room(0);
        }
        let finished = station.open_volumes().and_then(|opened| {
            station.note_volume_states()?;
            opened.iter().try_for_each(|volume| finish_on(&station, volume))
        });
        if let Err(e) = finished {
            tracing::warn!("{e}");
        }
    });
}

/// Takes over what can be taken over in a running daemon, and says what needs a restart.
fn reload(source: &Source, station: &Station, log: &LogControl) {
    let now = station.settings();
    let new = source.load().and_then(|mut config| {
        for what in needs_restart(&now.config, &mut config) {
            tracing::warn!("{what} has changed; that needs a restart of docket");
        }
        Settings::load(config)
    });
    match new {
        Ok(new) if new.config == now.config && new.config.profiles.is_none() => {}
        Ok(new) => {
            log.set(&new.config.log);
            station.set_settings(new);
            tracing::info!("settings reloaded from {}", source.file().display());
        }
        Err(e) => tracing::warn!("the settings stay as they were: {e}"),
    }
}

/// Puts back what cannot change while the daemon runs; names it.
fn needs_restart(now: &Config, new: &mut Config) -> Vec<String> {
    let mut names = Vec::new();
    if new.data != now.data {
        new.data.clone_from(&now.data);
        names.push("station.data".to_owned());
    }
    if new.metrics != now.metrics {
        new.metrics.clone_from(&now.metrics);
        names.push("metrics.listen".to_owned());
    }
    for volume in &mut new.volumes {
        if let Some(old) = now.volumes.iter().find(|v| v.name == volume.name && *v != volume) {
            names.push(format!("volume {}", volume.name));
            volume.clone_from(old);
        }
    }
    names
}

/// Waits until a thread that tidies up is told of something, or until it is time anyway; false at the end.
fn is_told(told: &Receiver<()>, cancel: &Cancel) -> bool {
    let goes_on = told.recv_timeout(TIDY) != Err(RecvTimeoutError::Disconnected);
    while told.try_recv().is_ok() {}
    goes_on && !cancel.is_cancelled()
}

/// What follows archiving and hurries nobody: owed copies, container facts, takes. The custody log is told
/// at once, and again of what was added.
fn look_after(station: &Station, told: &Receiver<()>, archived: &Sender<()>, cancel: &Cancel) {
    let mut aftercare = Aftercare::new();
    while is_told(told, cancel) {
        let _ = archived.send(());
        let done = pay_owed(station, cancel).and_then(|_| aftercare.look_after(station, cancel));
        match done {
            Err(e) if e.kind() != Kind::Cancelled => tracing::warn!("{e}"),
            _ => {}
        }
        let _ = archived.send(());
        aftercare.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_keeps_what_needs_a_restart() {
        let now = Config::defaults("/a".as_ref());
        let mut new = Config { settle_seconds: 9, ..Config::defaults("/b".as_ref()) };
        let names = needs_restart(&now, &mut new);
        assert_eq!(names, ["station.data", "volume main"]);
        assert_eq!((new.data, new.settle_seconds), ("/a".into(), 9));
        assert_eq!(new.volumes, now.volumes);
    }
}
