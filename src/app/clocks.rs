//! The daemon's clocks: deadlines kept as facts change, alerts raised as time passes.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use nix::time::{ClockId, clock_gettime};

use super::docks::Docks;
use crate::alert::system;
use crate::base::{Cancel, Result};
use crate::cases::by_itself;
use crate::catalog::dockings;
use crate::custody::log;
use crate::deadline::watch::Watch;
use crate::ingest::station::{Settings, Station};

/// How often two numbers are compared: the head of the custody log with where the watch has come to, and
/// the time with the next moment at which a deadline changes.
const BEAT: Duration = Duration::from_secs(2);
/// How often the station's own state is looked at, and how often at most while much is going on.
const CHECK: Duration = Duration::from_secs(60);
const BUSY_CHECK: Duration = Duration::from_secs(10);
/// A clock that is off by more than this against the time since the machine started was set.
const STEP: TimeDelta = TimeDelta::seconds(5);

/// Keeps all deadlines, and tells of what is wrong with the station, until it is cancelled. `bell` tells
/// the outbox that there may be something to deliver.
pub fn run(station: &Station, docks: &Docks, cancel: &Cancel, bell: &Sender<()>) {
    let mut clocks = Clocks::new(station);
    let mut checked: Option<Instant> = None;
    loop {
        let mut news = clocks.beat().unwrap_or_else(|e| {
            tracing::warn!("deadlines: {e}");
            false
        });
        let pause = if news { BUSY_CHECK } else { CHECK };
        if checked.is_none_or(|at| at.elapsed() >= pause) {
            checked = Some(Instant::now());
            match system::check(station, &troubles(docks)) {
                Ok(changed) => news |= changed > 0,
                Err(e) => tracing::warn!("the station's own alerts: {e}"),
            }
        }
        if news {
            let _ = bell.send(());
        }
        if cancel.sleep(BEAT) {
            return;
        }
    }
}

/// Card and trouble of what is docked now and could not begin.
fn troubles(docks: &Docks) -> Vec<(String, String)> {
    let stays = docks.stays().into_iter().map(|(card, stay)| (card, stay.trouble));
    stays.filter(|(_, trouble)| !trouble.is_empty()).collect()
}

struct Clocks<'a> {
    station: &'a Station,
    settings: Arc<Settings>,
    watch: Watch,
    /// Whether the work was taken up after the start.
    resumed: bool,
    /// The last custody entry that was taken over.
    head: Option<u64>,
    /// When the next deadline changes by time alone.
    next: Option<DateTime<Utc>>,
    /// The station's time, and the time since the machine started, at the last beat.
    last: (DateTime<Utc>, TimeDelta),
}

impl<'a> Clocks<'a> {
    fn new(station: &'a Station) -> Self {
        let settings = station.settings();
        Self {
            station,
            watch: Watch::new(&settings.config),
            settings,
            resumed: false,
            head: None,
            next: Some(DateTime::<Utc>::MIN_UTC),
            last: (station.core.clock.now(), since_boot()),
        }
    }

    /// Does what there is to do; whether there was anything.
    fn beat(&mut self) -> Result<bool> {
        let catalog = &self.station.core.catalog;
        let by = || self.station.core.by();
        let mut any = false;
        let settings = self.station.settings();
        if !Arc::ptr_eq(&settings, &self.settings) {
            let before = self.watch.limits().clone();
            self.watch = Watch::new(&settings.config);
            self.settings = settings;
            if *self.watch.limits() != before {
                self.watch.reconsider(catalog, &by)?;
                any = true;
            }
        }
        let now = (self.station.core.clock.now(), since_boot());
        let before = std::mem::replace(&mut self.last, now);
        if let Some(by_how_much) = stepped(before, now) {
            tracing::warn!("the station's clock was set by {} s", by_how_much.num_seconds());
            let entry = by();
            catalog.write(move |tx| dockings::note_clock_step(tx, &entry, by_how_much.num_seconds()))?;
            self.watch.after_clock_step(catalog, &by)?;
            any = true;
        }
        if !self.resumed {
            self.watch.resume(catalog, &by)?;
            self.resumed = true;
            any = true;
        }
        let head = catalog.read(log::head)?.0;
        if self.head != Some(head) {
            match self.watch.catch_up(catalog, &by) {
                Ok(read) => self.head = Some(read),
                // What is due is due, whatever cannot be read.
                Err(e) => tracing::warn!("deadlines: {e}"),
            }
            by_itself::catch_up(catalog, &self.settings.config.cases, &by)?;
            any = true;
        }
        if any || self.next.is_some_and(|next| next <= now.0) {
            self.next = self.watch.pass_time(catalog, &by)?;
            any = true;
        }
        Ok(any)
    }
}

/// Time since the machine started, suspends included.
fn since_boot() -> TimeDelta {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME);
    now.ok()
        .and_then(|t| TimeDelta::try_milliseconds(t.tv_sec().saturating_mul(1000) + t.tv_nsec() / 1_000_000))
        .unwrap_or_default()
}

/// By how much the clock was set between two looks: what it went on by, beyond the time that passed.
fn stepped(before: (DateTime<Utc>, TimeDelta), now: (DateTime<Utc>, TimeDelta)) -> Option<TimeDelta> {
    let by = now.0.signed_duration_since(before.0) - (now.1 - before.1);
    (by.abs() > STEP).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_noticed_and_a_suspend_is_none() {
        let at = |s: i64| DateTime::from_timestamp(1_764_000_000 + s, 0).unwrap();
        let up = TimeDelta::seconds;
        assert_eq!(stepped((at(0), up(100)), (at(2), up(102))), None);
        assert_eq!(stepped((at(0), up(100)), (at(90_000), up(90_100))), None);
        assert_eq!(stepped((at(0), up(100)), (at(90_002), up(102))), Some(up(90_000)));
        assert_eq!(stepped((at(0), up(100)), (at(-3598), up(102))), Some(up(-3600)));
    }
}
