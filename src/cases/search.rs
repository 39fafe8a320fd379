//! Looking for cases and recordings; somebody finds only what they may look at.

use serde_json::Value;

use crate::access::{self, Deed, Person, Reach};
use crate::base::segment::{fits, number_key};
use crate::base::text::show;
use crate::base::{Error, Kind, Result};
use crate::catalog::cases::{self, Case};
use crate::catalog::recordings::Recording;
use crate::catalog::search::{self, CaseQuery, RecordingQuery};
use crate::catalog::{Connection, links, officers, told};

/// Rows looked at before a search gives up: a person waits, and narrows it down.
const LOOKED_AT: usize = 20_000;

/// What is looked for; everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Words, with blanks between.
    pub words: String,
    /// Badge of an officer: on the case, or holding the recorder.
    pub officer: Option<String>,
    /// `YYYY-MM-DD`, station time: of a recording, of a case's opening, of a step.
    pub day: Option<String>,
    /// A recorder.
    pub recorder: Option<String>,
    /// A case number or a part of it: recordings linked to that case.
    pub case: Option<String>,
    /// Kind of case, by its key.
    pub kind: Option<String>,
    /// Only cases that are closed, or that are not.
    pub closed: Option<bool>,
    /// Cases and recordings at most.
    pub limit: usize,
}

/// What was found, newest first.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Cases.
    pub cases: Vec<Case>,
    /// Recordings.
    pub recordings: Vec<Recording>,
    /// Whether there may be more.
    pub more: bool,
}

/// The first and last millisecond of a day, station time.
fn day_of(text: &str) -> Result<(i64, i64)> {
    use chrono::{Days, Local, NaiveDate, NaiveTime, TimeZone};
    let wrong = || Error::new(Kind::Invalid, format!("`{text}` is no day")).next("write it like 2026-11-23");
    let day: NaiveDate = text.parse().map_err(|_| wrong())?;
    let begins = |day: NaiveDate| Local.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
    let next = day.checked_add_days(Days::new(1)).ok_or_else(wrong)?;
    match (begins(day), begins(next)) {
        (Some(from), Some(to)) => Ok((from.timestamp_millis(), to.timestamp_millis() - 1)),
        _ => Err(wrong()),
    }
}

/// Looks for cases and recordings.
///
/// # Errors
/// [`Kind::Forbidden`] for a role that may look at neither; an unknown officer or case, a day that is none.
pub fn search(db: &Connection, who: &Person, q: &Query) -> Result<Found> {
    let mut out = Found::default();
    if access::reach(who.role, Deed::ReadCase) != Reach::None && q.case.is_none() {
        (out.cases, out.more) = find_cases(db, who, q)?;
    } else if access::reach(who.role, Deed::ReadRecordings) == Reach::None {
        access::check(who, Deed::ReadRecordings, &access::About::default())?;
    }
    let more = find_recordings(db, who, q, &mut out)?;
    out.more |= more;
    Ok(out)
}

/// Looks for cases only; whether there may be more.
///
/// # Errors
/// As [`search()`].
pub fn find_cases(db: &Connection, who: &Person, q: &Query) -> Result<(Vec<Case>, bool)> {
    let reach = access::reach(who.role, Deed::ReadCase);
    let mut officer = q.officer.as_ref().map(|badge| officers::find(db, badge)).transpose()?.map(|o| o.id);
    let mut within = None;
    match (reach, who.officer) {
        (Reach::All, _) => {}
        (Reach::Own, Some(me)) if officer.is_none() => officer = Some(me),
        (Reach::Own | Reach::Unit, me) => within = Some((who.unit.filter(|_| reach == Reach::Unit), me)),
        (Reach::None, _) => access::check(who, Deed::ReadCase, &access::About::default())?,
    }
    let words = Some(q.words.trim()).filter(|w| !w.is_empty());
    let query = CaseQuery {
        words: words.map(str::to_owned),
        officer,
        between: q.day.as_deref().map(day_of).transpose()?,
        recorder: q.recorder.clone(),
        within,
        kind: q.kind.clone(),
        closed: q.closed,
    };
    let only_words =
        query.between.is_none() && query.recorder.is_none() && query.kind.is_none() && query.closed.is_none();
    if let (Some(words), true, Reach::All, None) = (words, only_words, reach, officer)
        && let Some(found) = by_number(db, words, q.limit)?
    {
        return Ok((found, false));
    }
    let (mut found, mut looked, mut more) = (Vec::new(), 0, false);
    search::cases(db, &query, &mut |case| {
        looked += 1;
        if found.len() >= q.limit || looked > LOOKED_AT {
            more = true;
            return Ok(false);
        }
        if access::is_allowed(who, Deed::ReadCase, &cases::about(db, &case)?) {
            found.push(case);
        }
        Ok(true)
    })?;
    Ok((found, more))
}

/// A number is found by its own index: many cases share most of its words. `None` where it is no beginning of
/// a number, or of more than a screen's worth.
fn by_number(db: &Connection, words: &str, limit: usize) -> Result<Option<Vec<Case>>> {
    let key = number_key(words);
    let few = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
    let mut found = cases::by_beginning(db, &key, few)?;
    if found.is_empty() || found.len() > limit || key.chars().count() < 3 {
        return Ok(None);
    }
    found.sort_by_key(|c| (number_key(&c.number) != key, std::cmp::Reverse(c.id)));
    Ok(Some(found))
}

/// Recordings by what is known of them; where only words are given, those of the cases found.
fn find_recordings(db: &Connection, who: &Person, q: &Query, out: &mut Found) -> Result<bool> {
    let officer = q.officer.as_ref().map(|badge| officers::find(db, badge)).transpose()?.map(|o| o.id);
    let case = match &q.case {
        Some(number) => Some(super::case::read(db, who, number)?.id),
        None => None,
    };
    let bounded = officer.is_some() || q.day.is_some() || q.recorder.is_some() || case.is_some();
    let mut more = false;
    if !bounded {
        for case in &out.cases {
            let query = RecordingQuery { case: Some(case.id), ..RecordingQuery::default() };
            more |= take(db, who, &query, "", q.limit, &mut out.recordings)?;
            if out.recordings.len() >= q.limit {
                break;
            }
        }
        return Ok(more);
    }
    let query = RecordingQuery {
        officer,
        between: q.day.as_deref().map(day_of).transpose()?,
        recorder: q.recorder.clone(),
        case,
    };
    take(db, who, &query, q.words.trim(), q.limit, &mut out.recordings)
}

fn take(
    db: &Connection,
    who: &Person,
    query: &RecordingQuery,
    words: &str,
    limit: usize,
    out: &mut Vec<Recording>,
) -> Result<bool> {
    use std::os::unix::ffi::OsStrExt;
    let (mut looked, mut more) = (0, false);
    let all = access::reach(who.role, Deed::ReadRecordings) == Reach::All;
    search::recordings(db, query, &mut |r| {
        looked += 1;
        if out.len() >= limit || looked > LOOKED_AT {
            more = true;
            return Ok(false);
        }
        let named = words.is_empty() || fits(&show(std::ffi::OsStr::from_bytes(&r.source_path)), words);
        let new = !out.iter().any(|other| other.id == r.id);
        if named && new && (all || access::is_allowed(who, Deed::ReadRecordings, &links::about(db, &r)?)) {
            out.push(r);
        }
        Ok(true)
    })?;
    Ok(more)
}

/// What a person recognises a recording by, as JSON: for lists of search and cases.
pub fn recording_json(db: &Connection, r: &Recording) -> Result<Value> {
    use std::os::unix::ffi::OsStrExt;
    let time = |ms| crate::base::clock::rfc3339(crate::base::clock::from_ms(ms));
    Ok(serde_json::json!({
        "id": r.id, "recorder": r.recorder, "kind": r.kind, "state": r.state, "day": r.day,
        "taken_at": time(r.taken_at), "time_credible": told::is_time_credible(&r.facts),
        "plays": told::verdict(r.probed.as_deref()), "duration_ms": super::link::duration(r.probed.as_deref()),
        "source_path": show(std::ffi::OsStr::from_bytes(&r.source_path)), "size": r.size,
        "classification": links::classification(db, &r.id)?,
    }))
}
