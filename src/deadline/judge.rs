//! Brings one deadline after the other to what the facts and the time are now, with the alerts about it.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::evaluate;
use super::stage::{Stage, next_change, stage};
use super::tidings::{self, Tidings};
use crate::alert::Kind as AlertKind;
use crate::alert::notify::Desk;
use crate::base::Result;
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::base::config;
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::dockings::By;
use crate::catalog::{Connection, alerts, in_savepoint, officers};
use crate::custody::log;

/// Lateness found out later than this is a fact on record, and no longer news.
const NEWS: TimeDelta = TimeDelta::days(7);
/// More overdue recordings of one recorder than this are told in one alert.
const FOLD: u64 = 10;
/// How often the same recorder's late footage is told.
const AGAIN: TimeDelta = TimeDelta::hours(1);
/// How long nobody is told of footage that is just being copied.
const PATIENCE: TimeDelta = TimeDelta::hours(6);
/// Alerts that stand, by kind and subject.
pub type Standing = HashSet<(String, String)>;

/// All that stand.
pub fn standing(db: &Connection) -> Result<Standing> {
    let mut out = Standing::new();
    for kind in AlertKind::ALL.into_iter().filter(|kind| kind.is_deadline()) {
        let subjects = alerts::subjects_of(db, kind.word())?;
        out.extend(subjects.into_iter().map(|subject| (kind.word().to_owned(), subject)));
    }
    Ok(out)
}

/// Only what stands about these: thousands of other alerts cost nothing.
pub fn standing_about<'a>(db: &Connection, subjects: impl Iterator<Item = &'a String>) -> Result<Standing> {
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

/// The limits, and who enters alerts.
pub struct Judge {
    /// The settings' limits.
    pub limits: config::Deadlines,
    /// Enters alerts and the messages about them.
    pub desk: Desk,
}

impl Judge {
    fn stage(&self, row: &Deadline, now: DateTime<Utc>) -> (Stage, DateTime<Utc>) {
        let (earliest, latest, soon) =
            (from_ms(row.earliest), from_ms(row.latest), self.limits.soon(&row.kind));
        (stage(earliest, latest, soon, now), next_change(earliest, latest, soon, now))
    }

    /// Whether a running deadline stands otherwise than is noted of it.
    pub fn changes(&self, row: &Deadline, now: DateTime<Utc>, stands: &Standing) -> bool {
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

    fn row(&self, db: &Connection, subject: &str, now: DateTime<Utc>) -> Result<Option<Deadline>> {
        let (kind, key) = subject.split_once(':').unwrap_or((subject, ""));
        match kind {
            "recording" => evaluate::recording(db, &self.limits, key, now),
            "recorder" => evaluate::recorder(db, &self.limits, key),
            "case" => evaluate::case(db, &self.limits, key),
            _ => Ok(None),
        }
    }

    /// Whether evaluating a subject would write anything. What cannot be told would.
    pub fn would_change(
        &self,
        db: &Connection,
        subject: &str,
        now: DateTime<Utc>,
        stands: &Standing,
    ) -> bool {
        let (Ok(new), Ok(old)) = (self.row(db, subject, now), deadlines::get(db, subject)) else {
            return true;
        };
        let Some(new) = new else { return false };
        if new.state != "running" {
            return old != Some(new);
        }
        let next = old.as_ref().and_then(|o| o.next_at);
        let new = Deadline { next_at: next, ..new };
        old.as_ref() != Some(&new) || self.changes(&new, now, stands)
    }
}

/// One transaction's work.
pub struct Round<'a> {
    judge: &'a Judge,
    tx: &'a Connection,
    by: &'a By,
    stands: Standing,
    /// How many recordings of a recorder are overdue now.
    overdue: HashMap<String, u64>,
    /// Footage that was late before anybody looked, by recorder.
    late: BTreeMap<String, Vec<Deadline>>,
}

impl<'a> Round<'a> {
    /// Nothing done yet; `stands` are the alerts about what will be.
    pub fn new(judge: &'a Judge, tx: &'a Connection, by: &'a By, stands: Standing) -> Self {
        Self { judge, tx, by, stands, overdue: HashMap::new(), late: BTreeMap::new() }
    }

    /// Evaluates a deadline from the facts. One that cannot be evaluated keeps no other from it.
    pub fn evaluate(&mut self, subject: &str) {
        let tx = self.tx;
        if let Err(e) = in_savepoint(tx, |_| self.try_evaluate(subject)) {
            tracing::warn!("the deadline of {subject}: {e}");
        }
    }

    /// Writes a running deadline as the time is now.
    pub fn settle(&mut self, row: Deadline) {
        let (tx, subject) = (self.tx, row.subject.clone());
        if let Err(e) = in_savepoint(tx, |_| self.try_settle(row)) {
            tracing::warn!("the deadline of {subject}: {e}");
        }
    }

    /// Tells what is told of many at once.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn finish(mut self) -> Result<()> {
        for (recorder, rows) in std::mem::take(&mut self.late) {
            self.tell_late(&recorder, &rows)?;
        }
        for (recorder, count) in std::mem::take(&mut self.overdue) {
            let subject = format!("recorder:{recorder}");
            if count == 0 {
                self.resolve(AlertKind::RecordingOverdue, &subject, "all that was seen is archived")?;
            }
        }
        Ok(())
    }

    fn try_evaluate(&mut self, subject: &str) -> Result<()> {
        let (tx, by) = (self.tx, self.by);
        let Some(new) = self.judge.row(tx, subject, by.at)? else { return Ok(()) };
        let old = deadlines::get(tx, subject)?;
        if let (Some(id), Some(_)) = (subject.strip_prefix("recording:"), new.met_at) {
            deadlines::set_holder(tx, id, new.officer)?;
        }
        if new.state == "running" {
            return self.try_settle(new);
        }
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        deadlines::put(tx, &new)?;
        self.keep_lateness(&new, old.as_ref())?;
        let news = new.met_at.is_some_and(|at| by.at.signed_duration_since(from_ms(at)) < NEWS);
        let (soon, overdue) = kinds_of(&new.kind);
        let told = self.stands.contains(&(overdue.word().to_owned(), subject.to_owned()));
        if new.state == "late"
            && new.kind == "recording"
            && news
            && !told
            && old.is_none_or(|o| o.state != "late")
        {
            // It was over before anybody was told; that it was late must be known all the same.
            self.late.entry(new.recorder.clone().unwrap_or_default()).or_default().push(new.clone());
        }
        for kind in [soon, overdue] {
            self.judge.desk.resolve(tx, by, kind, subject, &tidings::resolution(&new))?;
        }
        if let ("recording", Some(recorder)) = (new.kind.as_str(), &new.recorder) {
            self.count_overdue(recorder)?;
        }
        Ok(())
    }

    /// Late archiving is a fact with recorder, officer and length (article 33); where a ledger is put right or
    /// a clock turns out wrong, the log says what is no longer held, too.
    fn keep_lateness(&self, new: &Deadline, old: Option<&Deadline>) -> Result<()> {
        let fact = |d: &Deadline| d.late_by.map(|late| (late, d.officer));
        let (was, is) = (old.and_then(fact), fact(new));
        if was == is {
            return Ok(());
        }
        let badge = |officer| {
            Ok::<_, crate::base::Error>(Some(officers::badge_of(self.tx, officer)?).filter(|b| !b.is_empty()))
        };
        let mut details = json!({ "deadline": rfc3339(from_ms(new.latest)), "recorder": new.recorder,
            "reason": new.reason });
        if let Some((late, officer)) = is {
            details["late_by_seconds"] = (late / 1000).into();
            details["officer"] = badge(officer)?.into();
        }
        if let Some((late, officer)) = was {
            details["old_late_by_seconds"] = (late / 1000).into();
            details["old_officer"] = badge(officer)?.into();
        }
        let action = match (new.kind.as_str(), is) {
            ("case", Some(_)) => "case.late",
            ("case", None) => "case.not-late",
            (_, Some(_)) => "recording.late",
            (_, None) => "recording.not-late",
        };
        log::append(self.tx, &self.by.entry(action, new.subject.clone(), details))?;
        Ok(())
    }

    fn resolve(&self, kind: AlertKind, subject: &str, why: &str) -> Result<()> {
        self.judge.desk.resolve(self.tx, self.by, kind, subject, why).map(drop)
    }

    fn resolve_standing(&self, kind: AlertKind, subject: &str, why: &str) -> Result<()> {
        if self.stands.contains(&(kind.word().to_owned(), subject.to_owned())) {
            self.resolve(kind, subject, why)?;
        }
        Ok(())
    }

    fn count_overdue(&mut self, recorder: &str) -> Result<u64> {
        if let Some(known) = self.overdue.get(recorder) {
            return Ok(*known);
        }
        let count = deadlines::overdue_of(self.tx, recorder, to_ms(self.by.at))?;
        self.overdue.insert(recorder.to_owned(), count);
        Ok(count)
    }

    fn try_settle(&mut self, row: Deadline) -> Result<()> {
        let (tx, by) = (self.tx, self.by);
        let (stage, mut next) = self.judge.stage(&row, by.at);
        // While its card is being archived nobody needs to be told.
        let in_hand = match (&row.recorder, row.kind.as_str()) {
            (Some(recorder), "recording") if stage != Stage::Quiet => {
                deadlines::in_hand_until(tx, recorder, PATIENCE.num_milliseconds())?
                    .filter(|t| *t > to_ms(by.at))
            }
            _ => None,
        };
        if let Some(until) = in_hand {
            next = next.min(from_ms(until));
        }
        let row = Deadline { next_at: Some(to_ms(next)), ..row };
        deadlines::put(tx, &row)?;
        if in_hand.is_some() {
            return Ok(());
        }
        let (soon, overdue) = kinds_of(&row.kind);
        match stage {
            Stage::Quiet => {
                self.resolve_standing(soon, &row.subject, "there is time again")?;
                self.resolve_standing(overdue, &row.subject, "there is time again")
            }
            Stage::Soon => {
                self.resolve_standing(overdue, &row.subject, "there is time again")?;
                self.judge.desk.raise(tx, by, &Tidings::new(tx, &row)?.soon(soon), 0).map(drop)
            }
            Stage::Overdue { days, certain } => {
                self.resolve_standing(soon, &row.subject, "it is overdue now")?;
                let level = days.saturating_add(1);
                let many = match (&row.recorder, row.kind.as_str()) {
                    (Some(recorder), "recording") => self.count_overdue(recorder)? > FOLD,
                    _ => false,
                };
                let tidings = Tidings::new(tx, &row)?;
                let condition =
                    if many { tidings.many(overdue, certain) } else { tidings.overdue(overdue, certain) };
                self.judge.desk.raise(tx, by, &condition, level).map(drop)
            }
        }
    }

    /// One alert for each of a few, one for all of many; over at once, since it is archived.
    fn tell_late(&self, recorder: &str, rows: &[Deadline]) -> Result<()> {
        let (tx, by, kind) = (self.tx, self.by, AlertKind::RecordingOverdue);
        let fold = format!("recorder:{recorder}");
        let since = to_ms(by.at) - AGAIN.num_milliseconds();
        if alerts::was_opened_since(tx, kind.word(), &fold, since)? {
            return Ok(());
        }
        if let (Some(worst), true) = (rows.iter().max_by_key(|d| d.late_by), rows.len() as u64 > FOLD) {
            self.judge.desk.raise(tx, by, &Tidings::new(tx, worst)?.many_late(kind), 1)?;
            return self.resolve(kind, &fold, "all that was seen is archived");
        }
        for row in rows {
            self.judge.desk.raise(tx, by, &Tidings::new(tx, row)?.overdue(kind, true), 1)?;
            self.resolve(kind, &row.subject, &tidings::resolution(row))?;
        }
        Ok(())
    }
}
