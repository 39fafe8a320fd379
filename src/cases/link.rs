//! Footage attached to the steps of cases: whole recordings or clips, many to many. A link never touches the
//! original; taking it off keeps it in the history.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::case::{find_for, still_open};
use super::text;
use crate::access::{Deed, Person};
use crate::base::clock::to_ms;
use crate::base::{Error, Kind, Result};
use crate::catalog::cases::{self, Case};
use crate::catalog::dockings::By;
use crate::catalog::links::{self, Link};
use crate::catalog::recordings::{self, Recording};
use crate::catalog::steps::{self, Step};
use crate::catalog::{Connection, rights, told};
use crate::custody::log;

/// What is to be linked.
#[derive(Debug, Clone)]
pub struct New {
    /// The case, by its number or a part of it.
    pub number: String,
    /// The step, by key or name.
    pub step: String,
    /// The recording, by its id or the end of it.
    pub recording: String,
    /// From when to when, milliseconds from its beginning; `None` for the whole of it.
    pub span: Option<(i64, i64)>,
    /// Why.
    pub reason: String,
}

/// A link that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Its number.
    pub id: i64,
    /// The recording's whole id.
    pub recording: String,
    /// What could not be checked.
    pub note: Option<&'static str>,
}

/// How long a recording plays, milliseconds, where its container facts were read.
pub(super) fn duration(probed: Option<&str>) -> Option<i64> {
    let probed: Value = serde_json::from_str(probed?).ok()?;
    probed["facts"]["duration_ms"].as_i64()
}

/// Holds a span against a recording; a note where its length is not known, or it cannot be played.
fn check_span(r: &Recording, span: Option<(i64, i64)>) -> Result<Option<&'static str>> {
    let unplayable = told::is_unplayable(r.probed.as_deref());
    let Some((from, to)) = span else {
        return Ok(
            unplayable.then_some("attention: the recording cannot be played; it is linked all the same")
        );
    };
    if from < 0 || to <= from {
        return Err(Error::new(Kind::Invalid, "a clip ends after it begins")
            .next("write it like 00:01:30-00:04:00, from the recording's beginning"));
    }
    if r.kind != "video" && r.kind != "audio" {
        return Err(Error::new(Kind::Invalid, "only video and sound have a length to take a clip of")
            .next("link it as a whole"));
    }
    match duration(r.probed.as_deref()) {
        Some(length) if to > length => Err(Error::new(
            Kind::Invalid,
            format!("the clip would end at {}, but the recording ends at {}", clock(to), clock(length)),
        )
        .next("give an end within the recording")),
        Some(_) => Ok(None),
        None if unplayable => {
            Ok(Some("attention: the recording cannot be played, so the clip's end cannot be checked"))
        }
        None => Ok(Some("how long the recording plays is not known yet, so the clip's end was not checked")),
    }
}

/// A position in a recording: `00:01:30.500`.
pub fn clock(ms: i64) -> String {
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

fn span_words(span: Option<(i64, i64)>) -> Option<String> {
    span.map(|(from, to)| format!("{}-{}", clock(from), clock(to)))
}

/// Links footage to a step.
///
/// # Errors
/// [`Kind::Forbidden`] where somebody may not change the case or not see the recording; a closed case; an
/// unknown recording or step; a step that does not take place; a clip beyond the end; the same twice.
pub fn link(tx: &Connection, who: &Person, at: DateTime<Utc>, new: &New) -> Result<Linked> {
    let case = find_for(tx, who, Deed::Link, &new.number)?;
    still_open(&case)?;
    let step = steps::find(tx, case.id, &new.step)?;
    let recording = recordings::find(tx, &new.recording)?;
    // What is linked is seen by all who see the case.
    rights::check(tx, who, Deed::ReadRecordings, &links::about(tx, &recording)?)?;
    if !step.applies {
        return Err(Error::new(
            Kind::Invalid,
            format!("the step `{}` does not take place in this case", step.key),
        )
        .next("`docket cases step … --applies --why TEXT` says that it does"));
    }
    let note = check_span(&recording, new.span)?;
    if let Some(other) = links::standing(tx, &recording.id, step.id, new.span)? {
        return Err(Error::new(Kind::Invalid, format!("link {other} says the same already")));
    }
    let row = Link {
        id: 0,
        recording: recording.id.clone(),
        step: step.id,
        span: new.span,
        reason: text::needed("the reason", &new.reason)?,
        linked_by: who.actor.clone(),
        linked_at: to_ms(at),
        automatic: false,
        unlinked: None,
    };
    let by = By { actor: who.actor.clone(), at };
    Ok(Linked { id: enter(tx, &by, &case, &step, row)?, recording: recording.id, note })
}

/// Inserts a link, with an entry on the case and one on the recording.
pub(super) fn enter(tx: &Connection, by: &By, case: &Case, step: &Step, row: Link) -> Result<i64> {
    let id = links::insert(tx, &row)?;
    let mut details = json!({ "link": id, "step": step.key, "why": row.reason, "automatic": row.automatic });
    if let Some(span) = span_words(row.span) {
        details["clip"] = span.into();
    }
    both(tx, by, ["case.linked", "recording.linked"], case, &row.recording, details)?;
    Ok(id)
}

fn both(
    tx: &Connection,
    by: &By,
    actions: [&'static str; 2],
    case: &Case,
    recording: &str,
    details: Value,
) -> Result<()> {
    let (mut here, mut there) = (details.clone(), details);
    here["recording"] = recording.into();
    there["case"] = case.number.clone().into();
    log::append(tx, &by.entry(actions[0], format!("case:{}", case.number), here))?;
    log::append(tx, &by.entry(actions[1], format!("recording:{recording}"), there))?;
    Ok(())
}

/// Takes a link off its step; it stays in the history.
///
/// # Errors
/// [`Kind::Forbidden`], an unknown link or one that is off, a closed case, a missing reason.
pub fn unlink(tx: &Connection, who: &Person, at: DateTime<Utc>, id: i64, why: &str) -> Result<Link> {
    let row = links::get(tx, id)?;
    let step = steps::get(tx, row.step)?;
    let case = cases::get(tx, step.case)?;
    rights::check(tx, who, Deed::Unlink, &cases::about(tx, &case)?)?;
    still_open(&case)?;
    if row.unlinked.is_some() {
        return Err(Error::new(Kind::Invalid, format!("link {id} was taken off already")));
    }
    let why = text::needed("the reason", why)?;
    links::unlink(tx, id, &who.actor, to_ms(at), &why)?;
    let by = By { actor: who.actor.clone(), at };
    let mut details = json!({ "link": id, "step": step.key, "why": why });
    if let Some(span) = span_words(row.span) {
        details["clip"] = span.into();
    }
    both(tx, &by, ["case.unlinked", "recording.unlinked"], &case, &row.recording, details)?;
    Ok(row)
}
