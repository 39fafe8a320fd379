//! The daemon's own check of the custody log, once a day: whoever alters it must not have to wait until a
//! person thinks of looking.

use std::time::{Duration, Instant};

use crate::access::Person;
use crate::alert::system;
use crate::base::{Cancel, Error, Kind, Result};
use crate::custody::verify::{Against, What, verify};
use crate::ingest::checkpoints::{self, Keeper};
use crate::ingest::station::Station;

const DAY: Duration = Duration::from_secs(86_400);

/// When the log was last checked by this process, and what was wrong with it.
#[derive(Default)]
pub struct Audit {
    last: Option<Instant>,
    /// What the last check found.
    found: Option<String>,
    /// What was told last of the log, and of its witnesses.
    told: Option<Told>,
}

type Told = (Option<String>, Option<String>);

impl Audit {
    /// Checks the log where a day has passed. An alert stands while it, or the signing of its checkpoints,
    /// is not well, and another while a checkpoint does not get where it should; `posted` says whether the
    /// webhook has them all.
    ///
    /// # Errors
    /// [`Kind::Cancelled`], or what the catalogue says.
    pub fn look(
        &mut self,
        station: &Station,
        keeper: &Keeper,
        posted: Option<&Error>,
        cancel: &Cancel,
    ) -> Result<()> {
        if self.last.is_none_or(|at| at.elapsed() >= DAY) {
            self.found = check(station, cancel)?;
            self.last = Some(Instant::now());
        }
        let wrong = self.found.clone().or_else(|| keeper.unsigned().map(str::to_owned));
        let failing = keeper.unreached().or(posted.map(Error::what)).map(str::to_owned);
        let now = (wrong, failing);
        if self.told.as_ref() == Some(&now) {
            return Ok(());
        }
        let (by, config, said) = (station.core.by(), station.settings().config.clone(), now.clone());
        station.core.catalog.write(move |tx| {
            let error = said.0.map(|what| Error::new(Kind::Integrity, what));
            system::custody_checked(tx, &by, &config, error.as_ref().map_or(Ok(()), Err))?;
            system::witnesses_reached(tx, &by, &config, said.1.as_deref())
        })?;
        self.told = Some(now);
        Ok(())
    }
}

/// The first serious finding, where there is one.
fn check(station: &Station, cancel: &Cancel) -> Result<Option<String>> {
    let config = station.settings().config.clone();
    let who = Person::administrator(station.core.actor.clone());
    let report = station.core.catalog.read(|db| {
        let outside = checkpoints::held(&config, db)?;
        let against = Against { held: outside.held, looked_at: outside.looked_at, key: None };
        verify(db, &who, against, cancel)
    })?;
    if report.good {
        tracing::info!("custody log checked: {} entries, head {}", report.entries, report.head);
        return Ok(None);
    }
    // One that stays for good hides no other.
    let serious = || report.findings.iter().filter(|f| f.what.is_serious());
    let worst = serious().find(|f| f.what != What::CheckpointAbandoned).or_else(|| serious().next());
    Ok(worst.map(|f| f.text.clone()).or(Some(report.head)))
}
