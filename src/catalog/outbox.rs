//! Messages about alerts that wait to be delivered, and what became of them.
//!
//! A row is one change of one alert for one receiver. Rows for the same receiver go out together in a
//! message; while nobody knows whether it has arrived, the message keeps its rows and its key.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::dockings::By;
use crate::base::Result;
use crate::base::clock::to_ms;
use crate::custody::log;

/// Rows of one message at most.
const MOST: u32 = 100;
/// No row waits longer than this by rule (a daily message, quiet hours, a pause between two tries). What
/// seems to was entered by a clock that was ahead.
const LONGEST_WAIT_MS: i64 = 48 * 3_600_000;

/// How long rows are kept for a channel that the settings do not have any more: it may come back.
const KEPT_MS: i64 = 24 * 3_600_000;
/// What rows that wait for another say.
const WAITS: &str = "it waits for the message before it";
/// What rows of a channel say that the settings do not have any more.
const GONE: &str = "the settings have no such channel any more";

/// A row to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The same event for the same receiver has the same key.
    pub key: String,
    /// The channel's name.
    pub channel: String,
    /// Empty for a channel with one receiver, an address, or `officer:<badge>`.
    pub recipient: String,
    /// The alert.
    pub alert: i64,
    /// `opened`, `updated`, `escalated`, `acknowledged`, `resolved`.
    pub event: &'static str,
    /// Whether it breaks through quiet hours.
    pub urgent: bool,
    /// Not to be sent before, milliseconds UTC.
    pub next_at: i64,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// Its key.
    pub key: String,
    /// The channel's name.
    pub channel: String,
    /// For whom, as [`Entry::recipient`].
    pub recipient: String,
    /// The alert.
    pub alert: i64,
    /// What happened to it.
    pub event: String,
    /// `waiting`, `sent`, `dead`, `dropped`.
    pub state: String,
    /// The key of the message it went out in, or will.
    pub message: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was entered, milliseconds UTC.
    pub created_at: i64,
    /// When it is tried next, milliseconds UTC.
    pub next_at: i64,
    /// When it was sent, given up or dropped, milliseconds UTC.
    pub done_at: Option<i64>,
    /// What went wrong the last time.
    pub error: Option<String>,
}

/// Rows that go out together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its key: the same at every try that may have arrived before.
    pub key: String,
    /// For whom, as [`Entry::recipient`].
    pub recipient: String,
    /// What it tells, oldest first.
    pub rows: Vec<Letter>,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It failed; tried again at a time, in milliseconds UTC.
    Again {
        /// What went wrong.
        error: String,
        /// When to try again.
        next_at: i64,
        /// Whether it may have arrived all the same: then the message keeps its key and its rows.
        perhaps: bool,
    },
    /// It failed for the last time.
    Dead {
        /// What went wrong.
        error: String,
    },
    /// There is nobody to send it to.
    Dropped {
        /// Why not.
        error: String,
    },
}

const COLUMNS: &str =
    "id, key, channel, recipient, alert, event, state, message, attempts, created_at, next_at,
    done_at, error";

fn row(r: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        id: r.get(0)?,
        key: r.get(1)?,
        channel: r.get(2)?,
        recipient: r.get(3)?,
        alert: r.get(4)?,
        event: r.get(5)?,
        state: r.get(6)?,
        message: r.get(7)?,
        attempts: u32::try_from(r.get::<_, i64>(8)?).unwrap_or(u32::MAX),
        created_at: r.get(9)?,
        next_at: r.get(10)?,
        done_at: r.get(11)?,
        error: r.get(12)?,
    })
}

/// Enters a row, in the transaction of the change it tells; a key that is there already enters nothing. It goes
/// out after what is tried again for the same receiver about the same alert.
pub fn enter(tx: &Connection, by: &By, entry: &Entry) -> Result<()> {
    let before: Option<i64> = tx
        .prepare_cached(
            "SELECT max(next_at) FROM outbox WHERE alert = ?1 AND channel = ?2 AND recipient = ?3
             AND state = 'waiting' AND (attempts > 0 OR error IS NOT NULL)",
        )?
        .query_row(params![entry.alert, entry.channel, entry.recipient], |r| r.get(0))?;
    let waits = before.filter(|at| *at > entry.next_at);
    tx.prepare_cached(
        "INSERT INTO outbox (key, channel, recipient, alert, event, urgent, state, created_at, next_at, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', ?7, ?8, ?9) ON CONFLICT (key) DO NOTHING",
    )?
    .execute(params![
        entry.key,
        entry.channel,
        entry.recipient,
        entry.alert,
        entry.event,
        entry.urgent,
        to_ms(by.at),
        waits.unwrap_or(entry.next_at),
        waits.map(|_| WAITS)
    ])?;
    Ok(())
}

/// Who was told of an alert, or will be: channel and recipient.
pub fn receivers(db: &Connection, alert: i64) -> Result<Vec<(String, String)>> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT channel, recipient FROM outbox WHERE alert = ?1 AND state <> 'dropped' ORDER BY 1, 2",
    )?;
    Ok(query.query_map([alert], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// Channels with something to send now.
pub fn due(db: &Connection, now_ms: i64) -> Result<Vec<String>> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT channel FROM outbox WHERE state = 'waiting' AND (next_at <= ?1 OR next_at > ?2)",
    )?;
    let rows = query.query_map([now_ms, now_ms.saturating_add(LONGEST_WAIT_MS)], |r| r.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// When the next row of any channel is due, milliseconds UTC.
pub fn next_at(db: &Connection) -> Result<Option<i64>> {
    let sql = "SELECT min(next_at) FROM outbox WHERE state = 'waiting'";
    Ok(db.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
}

/// Makes the next message of a channel from what is due for one receiver, under a key that outlives a crash.
pub fn take(tx: &Connection, channel: &str, station: &str, now_ms: i64) -> Result<Option<Message>> {
    let late = now_ms.saturating_add(LONGEST_WAIT_MS);
    let first = format!(
        "SELECT {COLUMNS} FROM outbox WHERE state = 'waiting' AND channel = ?1 AND (next_at <= ?2 OR next_at > ?3)
         ORDER BY next_at, id LIMIT 1"
    );
    let Some(first) = tx.prepare_cached(&first)?.query_row(params![channel, now_ms, late], row).optional()?
    else {
        return Ok(None);
    };
    let rows: Vec<Letter> = if let Some(message) = &first.message {
        let same =
            format!("SELECT {COLUMNS} FROM outbox WHERE state = 'waiting' AND message = ?1 ORDER BY id");
        tx.prepare_cached(&same)?.query_map([message], row)?.collect::<rusqlite::Result<_>>()?
    } else {
        let with = format!(
            "SELECT {COLUMNS} FROM outbox WHERE state = 'waiting' AND channel = ?1 AND recipient = ?2
             AND message IS NULL AND (next_at <= ?3 OR next_at > ?4) ORDER BY id LIMIT ?5"
        );
        tx.prepare_cached(&with)?
            .query_map(params![channel, first.recipient, now_ms, late, MOST], row)?
            .collect::<rusqlite::Result<_>>()?
    };
    let key = match (&first.message, rows.first()) {
        (Some(key), _) => key.clone(),
        (None, Some(row)) => format!("{station}.{}.{}", row.key, row.attempts),
        (None, None) => return Ok(None),
    };
    let mut note = tx.prepare_cached("UPDATE outbox SET message = ?2 WHERE id = ?1")?;
    for row in &rows {
        note.execute(params![row.id, key])?;
    }
    Ok(Some(Message { key, recipient: first.recipient, rows }))
}

/// Notes how a try of a message ended. That it was sent or given up is a fact of each alert's history. Where
/// one message got through, what failed before for the same receiver is tried at once.
pub fn settle(tx: &Connection, by: &By, channel: &str, message: &Message, outcome: &Outcome) -> Result<()> {
    let now = to_ms(by.at);
    if *outcome == Outcome::Sent {
        let sql = "UPDATE outbox SET next_at = ?3 WHERE channel = ?1 AND recipient = ?2 AND state = 'waiting'
            AND (attempts > 0 OR error = ?4) AND next_at > ?3";
        tx.prepare_cached(sql)?.execute(params![channel, message.recipient, now, WAITS])?;
    }
    if let Outcome::Again { next_at, .. } = outcome {
        // What came after it goes out after it.
        let sql =
            "UPDATE outbox SET next_at = ?5, error = ?6 WHERE alert = ?1 AND channel = ?2 AND recipient = ?3
            AND state = 'waiting' AND id > ?4 AND next_at < ?5";
        for row in &message.rows {
            tx.prepare_cached(sql)?.execute(params![
                row.alert,
                channel,
                message.recipient,
                row.id,
                next_at,
                WAITS
            ])?;
        }
    }
    for row in &message.rows {
        let (action, error) = match outcome {
            Outcome::Sent => {
                let sql =
                    "UPDATE outbox SET state = 'sent', done_at = ?2, attempts = attempts + 1, error = NULL
                    WHERE id = ?1";
                tx.prepare_cached(sql)?.execute(params![row.id, now])?;
                (Some("alert.told"), None)
            }
            Outcome::Again { error, next_at, perhaps } => {
                let sql = "UPDATE outbox SET attempts = attempts + 1, error = ?2, next_at = ?3,
                    message = CASE WHEN ?4 THEN message END WHERE id = ?1";
                tx.prepare_cached(sql)?.execute(params![row.id, error, next_at, perhaps])?;
                (None, None)
            }
            Outcome::Dead { error } => {
                let sql =
                    "UPDATE outbox SET state = 'dead', done_at = ?2, attempts = attempts + 1, error = ?3
                    WHERE id = ?1";
                tx.prepare_cached(sql)?.execute(params![row.id, now, error])?;
                (Some("alert.untold"), Some(error))
            }
            Outcome::Dropped { error } => {
                let sql = "UPDATE outbox SET state = 'dropped', done_at = ?2, error = ?3 WHERE id = ?1";
                tx.prepare_cached(sql)?.execute(params![row.id, now, error])?;
                (Some("alert.untold"), Some(error))
            }
        };
        if let Some(action) = action {
            let mut facts = json!({ "channel": channel, "event": row.event });
            if !row.recipient.is_empty() {
                facts["recipient"] = row.recipient.as_str().into();
            }
            if let Some(error) = error {
                facts["reason"] = error.as_str().into();
            }
            log::append(tx, &by.entry(action, format!("alert:{}", row.alert), facts))?;
        }
    }
    Ok(())
}

/// Deals with what is due on a channel that the settings do not have any more, so many rows at most: it is kept for
/// a day, then dropped. How many rows of each.
pub fn keep_without_channel(tx: &Connection, by: &By, channel: &str, most: u32) -> Result<(usize, usize)> {
    let now = to_ms(by.at);
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE state = 'waiting' AND channel = ?1 AND (next_at <= ?2 OR next_at > ?3)
         ORDER BY next_at, id LIMIT ?4"
    );
    let late = now.saturating_add(LONGEST_WAIT_MS);
    let rows: Vec<Letter> = tx
        .prepare_cached(&sql)?
        .query_map(params![channel, now, late, most], row)?
        .collect::<rusqlite::Result<_>>()?;
    let (drop, keep): (Vec<Letter>, Vec<Letter>) =
        rows.into_iter().partition(|row| row.error.as_deref() == Some(GONE));
    let mut note = tx.prepare_cached("UPDATE outbox SET next_at = ?2, error = ?3 WHERE id = ?1")?;
    for row in &keep {
        note.execute(params![row.id, now.saturating_add(KEPT_MS), GONE])?;
    }
    let counts = (keep.len(), drop.len());
    if !drop.is_empty() {
        let message = Message { key: String::new(), recipient: String::new(), rows: drop };
        settle(tx, by, channel, &message, &Outcome::Dropped { error: GONE.into() })?;
    }
    Ok(counts)
}

/// Lets what was kept for a channel go out: the settings have it again. How many rows.
pub fn channel_is_back(tx: &Connection, now_ms: i64, channel: &str) -> Result<usize> {
    let sql = "UPDATE outbox SET next_at = ?2, error = NULL WHERE channel = ?1 AND state = 'waiting' AND error = ?3";
    Ok(tx.prepare_cached(sql)?.execute(params![channel, now_ms, GONE])?)
}

/// Channels for which something is kept, though the settings had them no more.
pub fn kept(db: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT channel FROM outbox WHERE state = 'waiting' AND error = ?1";
    Ok(db.prepare_cached(sql)?.query_map([GONE], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Lets the dead messages of a channel be tried once more; how many.
pub fn revive(tx: &Connection, by: &By, channel: &str) -> Result<usize> {
    let sql = "UPDATE outbox SET state = 'waiting', done_at = NULL, attempts = 0, next_at = ?2
        WHERE channel = ?1 AND state = 'dead'";
    let n = tx.execute(sql, params![channel, to_ms(by.at)])?;
    if n > 0 {
        let entry = by.entry("channel.revived", format!("channel:{channel}"), json!({ "messages": n }));
        log::append(tx, &entry)?;
    }
    Ok(n)
}

/// Rows that wait, were given up, or were dropped last, oldest first.
pub fn undelivered(db: &Connection) -> Result<Vec<Letter>> {
    // In two halves, and sorted here: each has its index.
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE state = 'waiting'
         UNION ALL SELECT {COLUMNS} FROM outbox WHERE state = 'dead'
         UNION ALL SELECT * FROM
           (SELECT {COLUMNS} FROM outbox WHERE state = 'dropped' ORDER BY done_at DESC LIMIT {MOST})"
    );
    let mut rows = db.prepare(&sql)?.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.sort_by_key(|row| row.id);
    Ok(rows)
}

/// All rows about an alert, oldest first.
pub fn about(db: &Connection, alert: i64) -> Result<Vec<Letter>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE alert = ?1 ORDER BY id");
    Ok(db.prepare(&sql)?.query_map([alert], row)?.collect::<rusqlite::Result<_>>()?)
}

/// How many rows wait, and how many were given up.
pub fn counts(db: &Connection) -> Result<(u64, u64)> {
    let count = |state: &str| -> Result<u64> {
        let sql = format!("SELECT count(*) FROM outbox WHERE state = '{state}'");
        Ok(db.query_row(&sql, [], |r| r.get::<_, i64>(0))?.unsigned_abs())
    };
    Ok((count("waiting")?, count("dead")?))
}

/// How a channel fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The channel's name.
    pub channel: String,
    /// The most tries that a waiting row has behind it.
    pub attempts: u32,
    /// What went wrong there.
    pub error: Option<String>,
    /// Rows given up since the channel last delivered something.
    pub dead: u64,
}

/// Channels with tries that failed or rows that were given up.
pub fn health(db: &Connection) -> Result<Vec<Health>> {
    let mut query = db.prepare_cached(
        "SELECT channel FROM outbox WHERE state = 'dead'
         UNION SELECT channel FROM outbox WHERE state = 'waiting' AND attempts > 0 ORDER BY 1",
    )?;
    let names: Vec<String> = query.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<_>>()?;
    let one = |channel: String| -> Result<Health> {
        let waiting = db
            .prepare_cached(
                "SELECT attempts, error FROM outbox WHERE channel = ?1 AND state = 'waiting'
                 ORDER BY attempts DESC LIMIT 1",
            )?
            .query_row([&channel], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Option<String>>(1)?)))
            .optional()?;
        let (dead, last): (i64, Option<String>) = db
            .prepare_cached(
                "SELECT count(*), max(error) FROM outbox WHERE channel = ?1 AND state = 'dead' AND done_at >= coalesce(
                   (SELECT max(done_at) FROM outbox WHERE channel = ?1 AND state = 'sent'), 0)",
            )?
            .query_row([&channel], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let (attempts, error) = waiting.unwrap_or_default();
        Ok(Health {
            channel,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            error: error.or(last),
            dead: dead.unsigned_abs(),
        })
    };
    names.into_iter().map(one).collect()
}
