//! The docks of a running daemon: a stay for each card that stands in one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::base::text::show;
use crate::base::{Cancel, Kind};
use crate::dock::folder::{self, Watch};
use crate::ingest::docking::{Docking, Request};
use crate::ingest::progress::{Progress, Snapshot};
use crate::ingest::station::Station;

/// Changes on a card are looked at once nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(500);
/// How often a stay looks whether its card is still there, or it shall stop.
const GLANCE: Duration = Duration::from_millis(250);

struct Stay {
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

/// All docks of the daemon.
pub struct Docks {
    station: Arc<Station>,
    cancel: Cancel,
    /// Wakes the daemon's loop: a card came, or a stay ended.
    pub news: Arc<Notify>,
    /// Wakes whoever looks after archived recordings.
    tidy: Sender<()>,
    stays: Mutex<BTreeMap<PathBuf, Stay>>,
    watches: Mutex<BTreeMap<PathBuf, Watch>>,
}

impl Docks {
    /// Docks without stays; [`Docks::tend`] begins them. `tidy` hears of each stay that ended.
    pub fn new(station: Arc<Station>, cancel: Cancel, tidy: Sender<()>) -> Self {
        Self {
            station,
            cancel,
            news: Arc::default(),
            tidy,
            stays: Mutex::default(),
            watches: Mutex::default(),
        }
    }

    /// Something was archived outside of a dock.
    pub fn tidy(&self) {
        let _ = self.tidy.send(());
    }

    /// The stays under way: card and progress.
    pub fn stays(&self) -> Vec<(String, Snapshot)> {
        let stays = self.stays.lock().unwrap_or_else(PoisonError::into_inner);
        stays.iter().map(|(card, stay)| (show(card.as_os_str()), stay.progress.snapshot())).collect()
    }

    /// Looks at every dock and begins a stay for each card that has none.
    pub fn tend(&self) {
        let settings = self.station.settings();
        // Listing may hang: nobody who asks for the stays waits for it.
        let mut seen = Vec::new();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|path, _| settings.config.docks.iter().any(|d| &d.path == path) && path.is_dir());
        for dock in &settings.config.docks {
            if !watches.contains_key(&dock.path) {
                let news = Arc::clone(&self.news);
                let watch = folder::watch(&dock.path, false, move || news.notify_one());
                watches.extend(watch.map(|w| (dock.path.clone(), w)));
            }
            // After watching began: a card that comes now is seen either way.
            match folder::cards(&dock.path) {
                Ok(cards) => seen.extend(cards.into_iter().map(|card| (dock.name.clone(), card))),
                Err(e) => tracing::warn!("dock {}: {e}", dock.name),
            }
        }
        drop(watches);
        let mut stays = self.stays.lock().unwrap_or_else(PoisonError::into_inner);
        stays.retain(|_, stay| {
            if stay.thread.as_ref().is_some_and(|t| !t.is_finished()) {
                return true;
            }
            if let Some(thread) = stay.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a stay ended by a fault in docket; please report it");
            }
            false
        });
        for (dock, card) in seen {
            if !stays.contains_key(&card) {
                let request = Request { dock, path: card.clone(), recorder: None, wait_for_room: true };
                stays.extend(self.begin(request).map(|stay| (card, stay)));
            }
        }
    }

    fn begin(&self, request: Request) -> Option<Stay> {
        let progress = Arc::new(Progress::default());
        let (station, cancel) = (Arc::clone(&self.station), self.cancel.child());
        let (shown, news, tidy) = (Arc::clone(&progress), Arc::clone(&self.news), self.tidy.clone());
        let name = format!("dock-{}", request.dock);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            stay(&station, &request, &shown, &cancel, &tidy);
            news.notify_one();
        });
        match thread {
            Ok(thread) => Some(Stay { progress, thread: Some(thread) }),
            Err(e) => {
                tracing::error!("cannot begin a stay: {e}");
                None
            }
        }
    }

    /// Waits for every stay to end; they must have been cancelled.
    pub fn join(&self) {
        let stays = std::mem::take(&mut *self.stays.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, stay) in stays {
            stay.thread.map(JoinHandle::join);
        }
    }
}

/// From a card's appearance to its removal.
fn stay(station: &Station, request: &Request, progress: &Arc<Progress>, cancel: &Cancel, tidy: &Sender<()>) {
    let (wake, woken) = channel();
    let _watch = folder::watch(&request.path, true, move || {
        let _ = wake.send(());
    });
    let rescan = Duration::from_secs(station.settings().config.rescan_seconds);
    let card = show(request.path.as_os_str());
    while !cancel.is_cancelled() && request.path.is_dir() {
        // A card that is just being mounted or filled: let it come to rest.
        settle(&woken, cancel);
        let mut docking = match Docking::begin(station, request.clone(), Arc::clone(progress), cancel) {
            Ok(docking) => docking,
            Err(e) => {
                if e.kind() != Kind::Vanished {
                    tracing::warn!("{card}: {e}");
                    progress.set_trouble(e.what());
                }
                idle(&woken, cancel, rescan, &|| request.path.is_dir());
                continue;
            }
        };
        tracing::info!("{card}: recorder {} is docked", docking.recorder());
        let mut again = false;
        let error = loop {
            match docking.look_and_copy() {
                Ok(new) if new => {
                    let _ = tidy.send(());
                }
                Ok(_) => {}
                Err(e) => break Some(e),
            }
            if !idle(&woken, cancel, rescan, &|| docking.card_is_here()) || cancel.is_cancelled() {
                break None;
            }
            settle(&woken, cancel);
            if docking.was_begun_too_early() {
                again = true;
                break None;
            }
        };
        match docking.close(error.as_ref()) {
            Ok(s) => {
                for problem in &s.problems {
                    tracing::warn!("{card}: {problem}");
                }
                tracing::info!(
                    "{card}: recorder {} left; {} archived, {} known, {} failed",
                    s.recorder,
                    s.counts.archived,
                    s.counts.known + s.counts.duplicates,
                    s.counts.failed
                );
            }
            Err(e) => tracing::error!("{card}: {e}"),
        }
        let _ = tidy.send(());
        // An error while the card is still here: not at once again.
        if error.is_some() && !again {
            idle(&woken, cancel, rescan, &|| request.path.is_dir());
        }
    }
}

/// Waits for a notice or the next look; false when the card has gone.
fn idle(woken: &Receiver<()>, cancel: &Cancel, rescan: Duration, here: &dyn Fn() -> bool) -> bool {
    let end = Instant::now() + rescan;
    loop {
        if cancel.is_cancelled() || Instant::now() >= end {
            return here();
        }
        match woken.recv_timeout(GLANCE) {
            Ok(()) => return here(),
            Err(RecvTimeoutError::Timeout) => {}
            // Without notices there is only the clock.
            Err(RecvTimeoutError::Disconnected) => drop(cancel.sleep(GLANCE)),
        }
        if !here() {
            return false;
        }
    }
}

/// Waits until notices have paused, but not for long: an upload may go on for hours.
fn settle(woken: &Receiver<()>, cancel: &Cancel) {
    let end = Instant::now() + 4 * QUIET;
    while Instant::now() < end && !cancel.is_cancelled() && woken.recv_timeout(QUIET).is_ok() {}
}
