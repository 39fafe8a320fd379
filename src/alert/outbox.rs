//! The delivery loop: takes what is due from the outbox, hands it to its channel, and notes what became
//! of it. At least once: a message is noted as sent after it was, so a crash between the two sends it
//! again under the same key.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Event;
use super::channels::{self, Failure};
use super::message::{Item, Letter, gather};
use crate::base::clock::to_ms;
use crate::base::config::Config;
use crate::base::config::channels::{Channel, Via};
use crate::base::{Cancel, Error, Kind, Result, failpoint};
use crate::catalog::dockings::By;
use crate::catalog::outbox::{self, Message, Outcome};
use crate::catalog::{Connection, alerts, facts, officers};
use crate::ingest::station::{Core, Settings, Station};

/// How long nothing is looked at where nobody rings: commands enter messages beside the daemon.
const IDLE: Duration = Duration::from_secs(5);
/// The first pause after a failure; each further one is twice as long.
const PAUSE_MS: i64 = 60_000;
/// The longest pause.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// Rows of a channel that is gone dealt with in one transaction.
const KEPT: u32 = 200;
/// Tries before a message is given up: about a day.
pub const TRIES: u32 = 30;

/// The pause after so many tries, in milliseconds: a minute, doubled up to an hour.
pub fn pause_ms(tries: u32) -> i64 {
    PAUSE_MS.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE_MS)
}

/// The running delivery.
pub struct Outbox {
    bell: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Outbox {
    /// Starts the delivery in a thread of its own; it ends with `cancel`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(station: Arc<Station>, cancel: Cancel) -> Result<Self> {
        let (bell, rung) = channel();
        let (ring, core) = (bell.clone(), Arc::clone(&station.core));
        let id = core.catalog.read(facts::station)?.map_or_else(String::new, |(id, _)| id);
        let post = Arc::new(Post { core, station, id, cancel, ring, busy: Mutex::default() });
        let thread = std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || post.run(&rung))
            .map_err(|e| Error::new(Kind::of_io(&e), format!("cannot start a delivery: {e}")))?;
        Ok(Self { bell, thread: Some(thread) })
    }

    /// Tells the delivery that something was entered. Ring it after each change; without, it looks by
    /// itself every few seconds.
    pub fn bell(&self) -> Sender<()> {
        self.bell.clone()
    }

    /// Waits for its end; cancel it before.
    pub fn join(mut self) {
        let _ = self.bell.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Post {
    core: Arc<Core>,
    station: Arc<Station>,
    id: String,
    cancel: Cancel,
    ring: Sender<()>,
    /// Channels with a delivery under way: each has one at a time, and none waits for another.
    busy: Mutex<BTreeSet<String>>,
}

impl Post {
    fn run(self: &Arc<Self>, rung: &Receiver<()>) {
        let mut workers: Vec<JoinHandle<()>> = Vec::new();
        let mut known: Option<Arc<Settings>> = None;
        while !self.cancel.is_cancelled() {
            let settings = self.station.settings();
            if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &settings)) {
                match self.welcome_back(&settings.config) {
                    Ok(()) => known = Some(settings),
                    Err(e) => tracing::warn!("the outbox: {e}"),
                }
            }
            if let Err(e) = self.send_out(&mut workers) {
                tracing::warn!("the outbox: {e}");
            }
            workers.retain(|w| !w.is_finished());
            match rung.recv_timeout(self.pause()) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while rung.try_recv().is_ok() {}
        }
        for worker in workers {
            let _ = worker.join();
        }
    }

    /// What was kept for channels that the settings have again goes out.
    fn welcome_back(&self, config: &Config) -> Result<()> {
        for name in self.core.catalog.read(outbox::kept)? {
            if config.channels.iter().any(|c| c.name == name) {
                let (channel, now) = (name.clone(), self.now_ms());
                let n = self.core.catalog.write(move |tx| outbox::channel_is_back(tx, now, &channel))?;
                tracing::info!("channel {name} is in the settings again: {n} messages that were kept go out");
            }
        }
        Ok(())
    }

    /// Keeps, or after a day drops, what is due on a channel that the settings have no more.
    fn without_channel(&self, name: &str) -> Result<()> {
        let (mut kept, mut dropped) = (0, 0);
        while !self.cancel.is_cancelled() {
            let (by, channel) = (self.core.by(), name.to_owned());
            let (k, d) =
                self.core.catalog.write(move |tx| outbox::keep_without_channel(tx, &by, &channel, KEPT))?;
            if k + d == 0 {
                break;
            }
            (kept, dropped) = (kept + k, dropped + d);
        }
        if kept > 0 {
            tracing::warn!(
                "channel {name} is not in the settings any more: {kept} messages are kept for a day"
            );
        }
        if dropped > 0 {
            tracing::warn!("channel {name} did not come back within a day: {dropped} messages are dropped");
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        to_ms(self.core.clock.now())
    }

    /// Until the next message is due, but no longer than [`IDLE`].
    fn pause(&self) -> Duration {
        let next = self.core.catalog.read(outbox::next_at).ok().flatten();
        let left = next.map_or(IDLE, |at| {
            Duration::from_millis(u64::try_from(at.saturating_sub(self.now_ms())).unwrap_or(0))
        });
        // What is due already is under way, or failed to start: its end rings.
        left.clamp(Duration::from_millis(200), IDLE)
    }

    fn send_out(self: &Arc<Self>, workers: &mut Vec<JoinHandle<()>>) -> Result<()> {
        let now = self.now_ms();
        for name in self.core.catalog.read(|db| outbox::due(db, now))? {
            if !self.busy().insert(name.clone()) {
                continue;
            }
            let until_done = Busy { post: Arc::clone(self), name };
            let work = move || {
                if let Err(e) = until_done.post.channel(&until_done.name) {
                    tracing::warn!("channel {}: {e}", until_done.name);
                    // Its end rings; a catalogue in trouble is not asked over and over.
                    until_done.post.cancel.sleep(IDLE);
                }
            };
            let worker = std::thread::Builder::new().name("channel".into()).spawn(work);
            workers.push(
                worker.map_err(|e| Error::new(Kind::of_io(&e), format!("cannot start a delivery: {e}")))?,
            );
        }
        Ok(())
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is due on one channel, message by message.
    fn channel(&self, name: &str) -> Result<()> {
        while !self.cancel.is_cancelled() {
            let settings = self.station.settings();
            if !settings.config.channels.iter().any(|c| c.name == name) {
                return self.without_channel(name);
            }
            let (channel, station, now) = (name.to_owned(), self.id.clone(), self.now_ms());
            let Some(message) =
                self.core.catalog.write(move |tx| outbox::take(tx, &channel, &station, now))?
            else {
                return Ok(());
            };
            failpoint::hit("outbox.taken");
            let outcome = match self.deliver(&settings.config, name, &message) {
                Err(failure) if failure.error.kind() == Kind::Cancelled => return Ok(()),
                Ok(outcome) => outcome,
                Err(failure) => self.again(name, &message, &failure),
            };
            failpoint::hit("outbox.sent");
            let (by, channel) = (self.core.by(), name.to_owned());
            self.core.catalog.write(move |tx| outbox::settle(tx, &by, &channel, &message, &outcome))?;
        }
        Ok(())
    }

    fn deliver(&self, config: &Config, name: &str, message: &Message) -> Result<Outcome, Failure> {
        let Some(channel) = config.channels.iter().find(|c| c.name == name) else {
            let what = format!("channel {name} is not in the settings any more");
            return Err(Failure { error: Error::new(Kind::Cancelled, what), perhaps: false });
        };
        let failed = |error| Failure { error, perhaps: true };
        let prepared = self.core.catalog.read(|db| {
            let to = address(db, channel, &message.recipient)?;
            Ok((to, letter(db, config, &self.id, message)?))
        });
        let (to, letter) = prepared.map_err(failed)?;
        let Some(to) = to else {
            let error = "nobody of that badge is to be reached by mail any more".into();
            return Ok(Outcome::Dropped { error });
        };
        channels::send(channel, &to, &letter, self.core.clock.now(), &self.cancel)?;
        Ok(Outcome::Sent)
    }

    fn again(&self, name: &str, message: &Message, failure: &Failure) -> Outcome {
        let tries = message.rows.iter().map(|r| r.attempts).max().unwrap_or(0).saturating_add(1);
        let error = failure.error.what().to_owned();
        tracing::warn!("channel {name}, try {tries}: {}", failure.error);
        if tries >= TRIES {
            return Outcome::Dead { error };
        }
        let next_at = self.now_ms().saturating_add(pause_ms(tries));
        Outcome::Again { error, next_at, perhaps: failure.perhaps }
    }
}

/// However a delivery ends, the next one of its channel may begin.
struct Busy {
    post: Arc<Post>,
    name: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.post.busy().remove(&self.name);
        let _ = self.post.ring.send(());
    }
}

/// Where a recipient is reached now: people move, and leave. `None` where nobody is to be told any more.
fn address(db: &Connection, channel: &Channel, recipient: &str) -> Result<Option<String>> {
    let Some(badge) = recipient.strip_prefix("officer:") else { return Ok(Some(recipient.to_owned())) };
    let Via::Email(mail) = &channel.via else { return Ok(None) };
    match officers::find(db, badge) {
        Ok(officer) => {
            let address = officer.email.filter(|a| mail.officers && !officer.left && !a.is_empty());
            Ok(address)
        }
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn letter(db: &Connection, config: &Config, station: &str, message: &Message) -> Result<Letter> {
    let mut items = Vec::new();
    for row in &message.rows {
        let Some(event) = Event::of(&row.event) else { continue };
        items.push(Item { event, alert: alerts::get(db, row.alert)? });
    }
    Ok(Letter {
        key: message.key.clone(),
        station: station.to_owned(),
        chinese: config.alerts.chinese,
        trial: false,
        items: gather(items),
    })
}

/// Sends a test message on one channel, past the outbox: for a person who waits for the answer.
///
/// # Errors
/// What the channel says.
pub fn trial(
    config: &Config,
    channel: &Channel,
    to: &str,
    station: &str,
    by: &By,
    cancel: &Cancel,
) -> Result<()> {
    let letter = Letter {
        key: format!("{station}.test.{}", to_ms(by.at)),
        station: station.to_owned(),
        chinese: config.alerts.chinese,
        trial: true,
        items: Vec::new(),
    };
    channels::send(channel, to, &letter, by.at, cancel).map_err(|failure| failure.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_end_after_a_day() {
        assert_eq!(
            [1, 2, 3, 6, 7, 99].map(pause_ms),
            [60_000, 120_000, 240_000, 1_920_000, 3_600_000, 3_600_000]
        );
        let all: i64 = (1..TRIES).map(pause_ms).sum();
        assert!((23 * 3_600_000..26 * 3_600_000).contains(&all), "{all}");
    }
}
