//! Keeps deadlines as the facts are, and raises alerts as time passes.
//!
//! What changes in the station has its custody entry (I4), so the log is what this reads: from where it
//! had come to, through every entry since, whoever wrote it. Restarts and commands beside the daemon need
//! no word of their own. Time by itself changes a deadline only at moments that are known beforehand.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::judge::{Judge, Round, standing, standing_about};
use super::touched;
use crate::alert::notify::Desk;
use crate::base::Result;
use crate::base::clock::{from_ms, to_ms};
use crate::base::config::{self, Config};
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::dockings::By;
use crate::catalog::{Catalog, Connection, feed};
use crate::custody::log;

const READER: &str = "deadlines";
/// The limits that all running deadlines were evaluated with, as a number.
const LIMITS: &str = "deadline-limits";
/// Custody entries read at once.
const BATCH: u32 = 500;
/// Deadlines worked through in one transaction: a docking waits no longer for the writer than that takes.
const CHUNK: usize = 100;
const KINDS: [&str; 3] = ["recording", "recorder", "case"];

/// Keeps deadlines under some settings.
#[derive(Clone)]
pub struct Watch {
    judge: Arc<Judge>,
}

impl Watch {
    /// Under the limits and channels of the settings.
    pub fn new(config: &Config) -> Self {
        Self { judge: Arc::new(Judge { limits: config.deadlines.clone(), desk: Desk::new(config) }) }
    }

    /// The limits it works with.
    pub fn limits(&self) -> &config::Deadlines {
        &self.judge.limits
    }

    /// Takes up the work after a stop: limits may have been changed meanwhile, and the clock set.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn resume(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.judge.limits).hash(&mut hasher);
        let limits = hasher.finish().cast_signed();
        if catalog.read(|db| feed::read_up_to(db, LIMITS))? != limits {
            self.reconsider(catalog, by)?;
            catalog.write(move |tx| feed::set_read_up_to(tx, LIMITS, limits))?;
        }
        self.after_clock_step(catalog, by)
    }

    /// Whether there is anything to take over, or to raise at `now`.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn is_behind(db: &Connection, now: DateTime<Utc>) -> Result<bool> {
        let read = feed::read_up_to(db, READER)?;
        Ok(read < log::head(db)?.0.cast_signed()
            || deadlines::next_at(db)?.is_some_and(|at| at <= to_ms(now)))
    }

    /// Takes over what has changed since it last looked. Returns the last custody entry it has read.
    ///
    /// # Errors
    /// What the catalogue says; what was done until then stays done.
    pub fn catch_up(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<u64> {
        loop {
            let (from, last, subjects) = catalog.read(|db| {
                let from = feed::read_up_to(db, READER)?;
                let (last, objects) = feed::touched(db, from, BATCH)?;
                Ok((from, last, touched::subjects(db, &objects)?))
            })?;
            if last == from {
                return Ok(last.unsigned_abs());
            }
            self.evaluate(catalog, by, &subjects.into_iter().collect::<Vec<_>>())?;
            catalog.write(move |tx| {
                // A command beside the daemon may have come further.
                let now = feed::read_up_to(tx, READER)?;
                if now < last { feed::set_read_up_to(tx, READER, last) } else { Ok(()) }
            })?;
        }
    }

    /// Brings deadlines to what the facts are now. Most stand as before: only what changes is written.
    fn evaluate(&self, catalog: &Catalog, by: &dyn Fn() -> By, subjects: &[String]) -> Result<()> {
        for chunk in subjects.chunks(CHUNK) {
            let now = by();
            let judge = &self.judge;
            let changed: Vec<String> = catalog.read(|db| {
                let stands = standing_about(db, chunk.iter())?;
                Ok(chunk.iter().filter(|s| judge.would_change(db, s, now.at, &stands)).cloned().collect())
            })?;
            if changed.is_empty() {
                continue;
            }
            let judge = Arc::clone(judge);
            catalog.write(move |tx| {
                let mut round = Round::new(&judge, tx, &now, standing_about(tx, changed.iter())?);
                changed.iter().for_each(|subject| round.evaluate(subject));
                round.finish()
            })?;
        }
        Ok(())
    }

    fn settle(&self, catalog: &Catalog, by: &By, rows: Vec<Deadline>) -> Result<()> {
        let (judge, by) = (Arc::clone(&self.judge), by.clone());
        catalog.write(move |tx| {
            let stands = standing_about(tx, rows.iter().map(|d| &d.subject))?;
            let mut round = Round::new(&judge, tx, &by, stands);
            rows.into_iter().for_each(|row| round.settle(row));
            round.finish()
        })
    }

    /// Raises what has become due. Returns when the next deadline changes by time alone.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn pass_time(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<Option<DateTime<Utc>>> {
        loop {
            let now = by();
            let due = catalog.read(|db| deadlines::due(db, to_ms(now.at), CHUNK as u32))?;
            if due.is_empty() {
                return Ok(catalog.read(deadlines::next_at)?.map(from_ms));
            }
            self.settle(catalog, &now, due)?;
        }
    }

    /// Looks at every running deadline again: after the clock was set, when nothing else has changed.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn after_clock_step(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<()> {
        for kind in KINDS {
            let now = by();
            let rows = catalog.read(|db| deadlines::running(db, kind))?;
            let stands = catalog.read(standing)?;
            // Most stand as before; only those that do not are written.
            let changed: Vec<Deadline> =
                rows.into_iter().filter(|row| self.judge.changes(row, now.at, &stands)).collect();
            for chunk in changed.chunks(CHUNK) {
                self.settle(catalog, &now, chunk.to_vec())?;
            }
        }
        // What was archived in a time that is still to come was archived under a wrong clock.
        let wrong = catalog.read(|db| deadlines::late_after(db, to_ms(by().at)))?;
        self.evaluate(catalog, by, &wrong)
    }

    /// Evaluates every running deadline anew: when limits have changed.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn reconsider(&self, catalog: &Catalog, by: &dyn Fn() -> By) -> Result<()> {
        for kind in KINDS {
            let rows = catalog.read(|db| deadlines::running(db, kind))?;
            let subjects: Vec<String> = rows.into_iter().map(|d| d.subject).collect();
            self.evaluate(catalog, by, &subjects)?;
        }
        Ok(())
    }
}
