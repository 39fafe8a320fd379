//! Keeps deadlines as the facts are, and raises alerts as time passes.
//!
//! What changes in the station has its custody entry (I4), so the log is what this reads: from where it
//! had come to, through every entry since, whoever wrote it. Restarts and commands beside the daemon need
//! no word of their own. Time by itself changes a deadline only at moments that are known beforehand.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::evaluate;
use super::stage::{Stage, next_change, stage};
use super::tidings::{self, Tidings};
use crate::alert::Kind as AlertKind;
use crate::alert::notify::Desk;
use crate::base::Result;
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::base::config::{self, Config};
use crate::catalog::alerts;
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::dockings::By;
use crate::catalog::{Catalog, Connection, feed, ledger, officers};
use crate::custody::log;

const READER: &str = "deadlines";
/// Custody entries or deadlines worked through in one transaction: the writer is not held up for long.
const BATCH: u32 = 500;
/// Lateness found out later than this is a fact on record, and no longer news.
const NEWS: TimeDelta = TimeDelta::days(7);
/// Every kind of alert that deadlines raise.
pub const KINDS: [AlertKind; 6] = [
    AlertKind::RecordingDueSoon,
    AlertKind::RecordingOverdue,
    AlertKind::RecorderDueSoon,
    AlertKind::RecorderNotDocked,
    AlertKind::CaseDueSoon,
    AlertKind::CaseOverdue,
];

/// Keeps deadlines under some settings.
#[derive(Clone)]
pub struct Watch {
    rules: Arc<Rules>,
}

struct Rules {
    limits: config::Deadlines,
    desk: Desk,
}

/// Alerts that stand, by kind and subject.
type Standing = HashSet<(String, String)>;

impl Watch {
    /// Under the limits and channels of the settings.
    pub fn new(config: &Config) -> Self {
        Self { rules: Arc::new(Rules { limits: config.deadlines.clone(), desk: Desk::new(config) }) }
    }

    /// The limits it works with.
    pub fn limits(&self) -> &config::Deadlines {
        &self.rules.limits
    }

    /// Takes over what has changed since it last looked. Returns the last custody entry it has read.
    ///
    /// # Errors
    /// What the catalogue says; what was done until then stays done.
    pub fn catch_up(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<u64> {
        loop {
            let (rules, by) = (Arc::clone(&self.rules), by());
            let (last, more) = catalog.write(move |tx| rules.read_on(tx, &by))?;
            if !more {
                return Ok(last);
            }
        }
    }

    /// Raises what has become due. Returns when the next deadline changes by time alone.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn pass_time(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<Option<DateTime<Utc>>> {
        loop {
            let now = by();
            if catalog.read(|db| deadlines::due(db, to_ms(now.at), 1))?.is_empty() {
                return Ok(catalog.read(deadlines::next_at)?.map(from_ms));
            }
            let rules = Arc::clone(&self.rules);
            catalog.write(move |tx| {
                let due = deadlines::due(tx, to_ms(now.at), BATCH)?;
                let stands = standing_about(tx, due.iter().map(|d| &d.subject))?;
                due.into_iter().try_for_each(|row| rules.settle(tx, &now, row, &stands))
            })?;
        }
    }

    /// Looks at every running deadline again: after the clock was set, when nothing else has changed.
    /// Returns how many there are.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn after_clock_step(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<usize> {
        let mut count = 0;
        for kind in ["recording", "recorder", "case"] {
            let rows = catalog.read(|db| deadlines::running(db, kind))?;
            count += rows.len();
            let stands = Arc::new(catalog.read(standing)?);
            let now = by();
            // Most stand as before; only those that do not are written.
            let changed: Vec<Deadline> =
                rows.into_iter().filter(|row| self.rules.changes(row, now.at, &stands)).collect();
            for batch in changed.chunks(BATCH as usize) {
                let (rules, now, stands) = (Arc::clone(&self.rules), now.clone(), Arc::clone(&stands));
                let batch = batch.to_vec();
                catalog.write(move |tx| {
                    batch.into_iter().try_for_each(|row| rules.settle(tx, &now, row, &stands))
                })?;
            }
        }
        Ok(count)
    }

    /// Evaluates every running deadline anew: when limits have changed.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn reconsider(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<()> {
        for kind in ["recording", "recorder", "case"] {
            let rows = catalog.read(|db| deadlines::running(db, kind))?;
            for batch in rows.chunks(BATCH as usize) {
                let subjects: Vec<String> = batch.iter().map(|d| d.subject.clone()).collect();
                let (rules, by) = (Arc::clone(&self.rules), by());
                catalog.write(move |tx| {
                    let stands = standing_about(tx, subjects.iter())?;
                    subjects.iter().try_for_each(|s| rules.evaluate(tx, &by, s, &stands))
                })?;
            }
        }
        Ok(())
    }
}

fn standing(db: &Connection) -> Result<Standing> {
    let mut out = Standing::new();
    for kind in KINDS {
        let subjects = alerts::subjects_of(db, kind.word())?;
        out.extend(subjects.into_iter().map(|subject| (kind.word().to_owned(), subject)));
    }
    Ok(out)
}

/// Only what stands about these: thousands of other alerts cost nothing.
fn standing_about<'a>(db: &Connection, subjects: impl Iterator<Item = &'a String>) -> Result<Standing> {
    let mut out = Standing::new();
    for subject in subjects {
        let kinds = alerts::kinds_about(db, subject)?;
        out.extend(kinds.into_iter().map(|kind| (kind, subject.clone())));
    }
    Ok(out)
}

fn kinds_of(kind: &str) -> (AlertKind, AlertKind) {
    match kind {
        "recorder" => (AlertKind::RecorderDueSoon, AlertKind::RecorderNotDocked),
        "case" => (AlertKind::CaseDueSoon, AlertKind::CaseOverdue),
        _ => (AlertKind::RecordingDueSoon, AlertKind::RecordingOverdue),
    }
}

impl Rules {
    fn soon(&self, kind: &str) -> TimeDelta {
        match kind {
            "case" => TimeDelta::days(i64::from(self.limits.case_due_soon_days)),
            _ => TimeDelta::hours(i64::from(self.limits.due_soon_hours)),
        }
    }

    /// Works through a batch of custody entries; returns the last of them, and whether there may be more.
    fn read_on(&self, tx: &Connection, by: &By) -> Result<(u64, bool)> {
        let from = feed::read_up_to(tx, READER)?;
        let (last, objects) = feed::touched(tx, from, BATCH)?;
        if last == from {
            return Ok((last.unsigned_abs(), false));
        }
        let mut subjects = BTreeSet::new();
        for object in &objects {
            self.subjects_of(tx, object, &mut subjects)?;
        }
        let stands = standing_about(tx, subjects.iter())?;
        for subject in &subjects {
            self.evaluate(tx, by, subject, &stands)?;
        }
        feed::set_read_up_to(tx, READER, last)?;
        Ok((last.unsigned_abs(), true))
    }

    /// The deadlines that a change of an object may touch.
    fn subjects_of(&self, tx: &Connection, object: &str, out: &mut BTreeSet<String>) -> Result<()> {
        let (kind, key) = object.split_once(':').unwrap_or((object, ""));
        let recorder = match kind {
            "recording" => {
                out.insert(object.to_owned());
                deadlines::footage(tx, key)?.map(|f| f.recorder)
            }
            "docking" => {
                key.parse().ok().map(|n| deadlines::recorder_of_docking(tx, n)).transpose()?.flatten()
            }
            "issue" => match key.parse() {
                Ok(n) => ledger::get(tx, n)?.map(|i| i.recorder),
                Err(_) => None,
            },
            "recorder" => Some(key.to_owned()),
            "case" => {
                out.insert(object.to_owned());
                None
            }
            // A unit's limits, an officer's unit.
            "unit" | "officer" => {
                for kind in ["recording", "recorder", "case"] {
                    out.extend(deadlines::running(tx, kind)?.into_iter().map(|d| d.subject));
                }
                None
            }
            _ => None,
        };
        if let Some(recorder) = recorder {
            // A ledger put right, or a card carried away, changes what is known of all its footage.
            if kind != "recording" {
                out.extend(deadlines::running_of(tx, &recorder)?);
            }
            out.insert(format!("recorder:{recorder}"));
        }
        Ok(())
    }

    /// Brings one deadline to what the facts are now.
    fn evaluate(&self, tx: &Connection, by: &By, subject: &str, stands: &Standing) -> Result<()> {
        let (kind, key) = subject.split_once(':').unwrap_or((subject, ""));
        let new = match kind {
            "recording" => evaluate::recording(tx, &self.limits, key)?,
            "recorder" => evaluate::recorder(tx, &self.limits, key)?,
            "case" => evaluate::case(tx, &self.limits, key)?,
            _ => None,
        };
        let Some(new) = new else { return Ok(()) };
        let old = deadlines::get(tx, subject)?;
        if kind == "recording" && new.met_at.is_some() {
            deadlines::set_holder(tx, key, new.officer)?;
        }
        if new.state == "running" {
            return self.settle(tx, by, new, stands);
        }
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        deadlines::put(tx, &new)?;
        self.keep_lateness(tx, by, &new, old.as_ref())?;
        let tidings = Tidings::new(tx, &new)?;
        let (soon, overdue) = kinds_of(&new.kind);
        let news = new.met_at.is_some_and(|at| by.at.signed_duration_since(from_ms(at)) < NEWS);
        let was_late = old.is_some_and(|o| o.state == "late");
        if new.state == "late" && news && !was_late {
            // It was over before anybody looked; that it was late must be known all the same.
            self.desk.raise(tx, by, &tidings.overdue(overdue, true), 1)?;
        }
        for kind in [soon, overdue] {
            self.desk.resolve(tx, by, kind, subject, &tidings::resolution(&new))?;
        }
        Ok(())
    }

    /// Late archiving is a fact with recorder, officer and length (article 33).
    fn keep_lateness(&self, tx: &Connection, by: &By, new: &Deadline, old: Option<&Deadline>) -> Result<()> {
        let Some(late_by) = new.late_by.filter(|late| old.and_then(|o| o.late_by) != Some(*late)) else {
            return Ok(());
        };
        let officer = Some(officers::badge_of(tx, new.officer)?).filter(|b| !b.is_empty());
        let details = json!({ "deadline": rfc3339(from_ms(new.latest)), "late_by_seconds": late_by / 1000,
            "recorder": new.recorder, "officer": officer, "reason": new.reason });
        let action = if new.kind == "case" { "case.late" } else { "recording.late" };
        log::append(tx, &by.entry(action, new.subject.clone(), details))?;
        Ok(())
    }

    fn stage(&self, row: &Deadline, now: DateTime<Utc>) -> (Stage, DateTime<Utc>) {
        let (earliest, latest, soon) = (from_ms(row.earliest), from_ms(row.latest), self.soon(&row.kind));
        (stage(earliest, latest, soon, now), next_change(earliest, latest, soon, now))
    }

    /// Whether a running deadline stands otherwise than is noted of it.
    fn changes(&self, row: &Deadline, now: DateTime<Utc>, stands: &Standing) -> bool {
        let (stage, next) = self.stage(row, now);
        let (soon, overdue) = kinds_of(&row.kind);
        let is = |kind: AlertKind| stands.contains(&(kind.word().to_owned(), row.subject.clone()));
        let as_noted = match stage {
            Stage::Quiet => !is(soon) && !is(overdue),
            Stage::Soon => !is(overdue),
            Stage::Overdue { .. } => is(overdue),
        };
        row.next_at != Some(to_ms(next)) || !as_noted
    }

    /// Writes a running deadline, and has the alerts about it say how it stands.
    fn settle(&self, tx: &Connection, by: &By, row: Deadline, stands: &Standing) -> Result<()> {
        let (stage, next) = self.stage(&row, by.at);
        let row = Deadline { next_at: Some(to_ms(next)), ..row };
        deadlines::put(tx, &row)?;
        let (soon, overdue) = kinds_of(&row.kind);
        let resolve = |kind: AlertKind, why: &str| -> Result<()> {
            if stands.contains(&(kind.word().to_owned(), row.subject.clone())) {
                self.desk.resolve(tx, by, kind, &row.subject, why)?;
            }
            Ok(())
        };
        match stage {
            Stage::Quiet => {
                resolve(soon, "there is time again")?;
                resolve(overdue, "there is time again")
            }
            Stage::Soon => {
                resolve(overdue, "there is time again")?;
                // While its card is being archived nobody needs a reminder.
                let in_hand = match &row.recorder {
                    Some(recorder) => deadlines::is_docked(tx, recorder)?,
                    None => false,
                };
                if in_hand {
                    return Ok(());
                }
                self.desk.raise(tx, by, &Tidings::new(tx, &row)?.soon(soon), 0).map(drop)
            }
            Stage::Overdue { days, certain } => {
                resolve(soon, "it is overdue now")?;
                let condition = Tidings::new(tx, &row)?.overdue(overdue, certain);
                self.desk.raise(tx, by, &condition, days.saturating_add(1)).map(drop)
            }
        }
    }
}
