//! What the next start finishes by itself, before the station says it is ready.

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::digests::Values;
use super::finisher::{Finisher, Item, Outcome, Stage, Ticket};
use super::place::list_new;
use super::progress::Progress;
use super::station::Station;
use crate::archive::layout;
use crate::base::Result;
use crate::catalog::jobs::Job;
use crate::catalog::{dockings, jobs};

/// What a start found and did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Dockings that a stopped process left open.
    pub dockings: usize,
    /// Copies that were finished without their card.
    pub finished: usize,
    /// Copies that could not be; they are copied again when the card is docked.
    pub again: usize,
    /// Recordings whose manifests were brought up to date.
    pub volumes: usize,
}

/// Finishes whatever no longer needs a card, and lists what manifests lack.
pub fn recover(station: &Station) -> Result<Recovered> {
    let core = &station.core;
    let by = core.by();
    let mut out = Recovered {
        dockings: core.catalog.write(move |tx| dockings::interrupt_open(tx, &by))?,
        ..Recovered::default()
    };
    let (tell, told) = channel();
    let mut waiting = 0;
    for job in core.catalog.read(jobs::finishable)? {
        let ticket = || Ticket::new(tell.clone(), job.id, Arc::new(Progress::default()));
        waiting += finish_again(station, &job, false, &ticket)?;
    }
    drop(tell);
    for (job, outcome) in told.iter().take(waiting) {
        match outcome {
            Outcome::Archived | Outcome::Duplicate | Outcome::OthersGoOn => out.finished += 1,
            Outcome::Again(e) | Outcome::Failed(e) => {
                tracing::warn!("job {job} could not be finished without its card: {e}");
                out.again += 1;
            }
        }
    }
    for finisher in station.open_finishers() {
        list_new(core, &finisher.volume)?;
        out.volumes += 1;
    }
    Ok(out)
}

/// Hands a copy that no longer needs its card to the volumes that have it; the others drop out.
/// Returns how many volumes will settle a ticket. Where no volume that has it is here, it waits for
/// one, unless `copy_anew` says that the card is here and can be copied elsewhere.
pub fn finish_again(
    station: &Station,
    job: &Job,
    copy_anew: bool,
    ticket: &dyn Fn() -> Ticket,
) -> Result<usize> {
    let mut sent = 0;
    let values = values(job);
    let targets = station.core.catalog.read(|db| jobs::targets(db, job.id))?;
    // A disk that is not mounted yet may hold the only copy: `finish_on` goes on when it is opened.
    let whole = |state: &str| matches!(state, "copied" | "verified");
    let here = |(volume, state): &(String, String)| {
        state == "placed" || (whole(state) && station.finisher_of(volume).is_some())
    };
    if !copy_anew && targets.iter().any(|(_, state)| whole(state)) && !targets.iter().any(here) {
        return Ok(0);
    }
    if targets.is_empty() {
        let (by, id, size, mtime) = (station.core.by(), job.id, job.size, job.mtime_ns);
        let reason = "no volume is known to hold it";
        station.core.catalog.write(move |tx| jobs::restart(tx, &by, id, size, mtime, reason))?;
    }
    for (volume, state) in targets {
        let finisher = station.finisher_of(&volume);
        let stage = match (state.as_str(), &finisher) {
            ("placed" | "owed", _) => continue,
            ("copied", Some(_)) => Stage::Copied,
            ("verified", Some(_)) => Stage::Verified,
            // Not whole there, or not reachable: the volume gets its copy from the archive later.
            (_, finisher) => {
                drop_out(station, job, &volume, finisher.as_deref())?;
                continue;
            }
        };
        if let Some(finisher) = finisher {
            finisher.submit(Item { job: job.clone(), values: values.clone(), stage, ticket: ticket() });
            sent += 1;
        }
    }
    Ok(sent)
}

/// Goes on with what a volume holds whole and has not brought to its place: it was away at the start.
pub fn finish_on(station: &Station, finisher: &Finisher) -> Result<()> {
    let (tell, told) = channel();
    for job in station.core.catalog.read(jobs::finishable)? {
        let targets = station.core.catalog.read(|db| jobs::targets(db, job.id))?;
        let stage = targets.iter().find(|(id, _)| *id == finisher.volume.id).map(|(_, state)| state.as_str());
        let stage = match stage {
            Some("copied") => Stage::Copied,
            Some("verified") => Stage::Verified,
            _ => continue,
        };
        let (ticket, values) =
            (Ticket::new(tell.clone(), job.id, Arc::new(Progress::default())), values(&job));
        finisher.submit(Item { job, values, stage, ticket });
    }
    drop(tell);
    for (job, outcome) in told {
        if let Outcome::Failed(e) | Outcome::Again(e) = outcome {
            tracing::warn!("job {job}: {e}");
        }
    }
    Ok(())
}

fn values(job: &Job) -> Values {
    Values {
        sha256: job.sha256.as_deref().and_then(|h| h.try_into().ok()).unwrap_or_default(),
        sm3: job.sm3.as_deref().and_then(|h| h.try_into().ok()),
    }
}

fn drop_out(station: &Station, job: &Job, volume: &str, finisher: Option<&Finisher>) -> Result<()> {
    if let Some(finisher) = finisher {
        finisher.volume.dir.remove(&layout::part(&job.recording))?;
    }
    let (by, id, volume) = (station.core.by(), job.id, volume.to_owned());
    station
        .core
        .catalog
        .write(move |tx| {
            jobs::give_up(tx, &by, id, &volume, "not whole on this volume when the station stopped")
        })
        .map(drop)
}
