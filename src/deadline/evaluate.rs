//! From rows of the catalogue to a deadline, by the pure rules. Reads only.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::rule::{self, Bounds, Facts, NotBefore};
use super::shadow::{self, Assumed, Card, Issue, Stay};
use crate::base::Result;
use crate::base::clock::{from_ms, to_ms};
use crate::base::config;
use crate::catalog::deadlines::{self, Deadline, Footage};
use crate::catalog::{Connection, ledger, officers, recorders};

/// What the rule of article 28 is about; sidecars and logs follow their footage.
const FOOTAGE: [&str; 3] = ["video", "audio", "photo"];

/// An archiving time further in the future than this was written by a clock that was wrong.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// The deadline of a recording as the facts are now; `None` where there is none to keep.
pub fn recording(
    db: &Connection,
    limits: &config::Deadlines,
    id: &str,
    now: DateTime<Utc>,
) -> Result<Option<Deadline>> {
    let subject = format!("recording:{id}");
    let Some(footage) = deadlines::footage(db, id)? else {
        // Planned once, and then known to be the bytes of another.
        let old = deadlines::get(db, &subject)?;
        return Ok(old.map(|old| ended(old, "void", "its bytes are archived already under another id")));
    };
    if !FOOTAGE.contains(&footage.kind.as_str()) {
        return Ok(None);
    }
    let told: Value = serde_json::from_str(&footage.facts).unwrap_or_default();
    let time = |name: &str| told["times"][name].as_str().and_then(|t| t.parse::<DateTime<Utc>>().ok());
    let first_seen = time("first_seen").or(footage.archived_at.map(from_ms)).unwrap_or_default();
    let issued = ledger::last_issue_before(db, &footage.recorder, to_ms(first_seen))?;
    let facts = Facts {
        name: time("name"),
        modified: time("filesystem"),
        length: length(&footage),
        kind: footage.kind.clone(),
        size: footage.size,
        ahead: issued.as_ref().and_then(|i| ahead(i, footage.docking)),
        first_seen,
        not_before: not_before(db, &footage, issued.map(|i| i.issued_at), first_seen)?,
    };
    let end = rule::end(&facts);
    let assigned = assigned(db, &footage.recorder)?;
    let holder = holder(db, &footage.recorder, &end)?;
    let unit = unit(db, holder, assigned.1)?;
    let hours = match unit {
        Some(unit) => deadlines::limits(db, unit)?.0,
        None => None,
    };
    let due = rule::archive_by(&facts, hours.unwrap_or(limits.archive_hours));
    let row = Deadline {
        recorder: Some(footage.recorder),
        officer: holder,
        unit,
        ..running(subject, "recording", &due)
    };
    Ok(Some(match footage.archived_at {
        // By a clock of the station that was ahead: how late it was, nobody knows.
        Some(at) if from_ms(at).signed_duration_since(now) > AHEAD => Deadline {
            state: "met".into(),
            met_at: Some(at),
            next_at: None,
            reason: format!("{}; archived while the station's clock was ahead", row.reason),
            ..row
        },
        archived_at => settled(row, archived_at),
    }))
}

fn length(footage: &Footage) -> Option<TimeDelta> {
    let probed: Value = serde_json::from_str(footage.probed.as_deref()?).ok()?;
    let ms = probed["facts"]["duration_ms"].as_u64()?;
    i64::try_from(ms).ok().and_then(TimeDelta::try_milliseconds)
}

/// How far the recorder's clock was ahead: as measured when it came back with this footage, else when it
/// was issued.
fn ahead(issue: &ledger::Issue, docking: Option<i64>) -> Option<TimeDelta> {
    let back = issue.returned.clock.filter(|_| docking.is_some() && issue.docking == docking);
    back.or(issue.issued.clock).and_then(TimeDelta::try_milliseconds)
}

fn not_before(
    db: &Connection,
    footage: &Footage,
    issued: Option<i64>,
    first_seen: DateTime<Utc>,
) -> Result<Option<NotBefore>> {
    let emptied = match footage.docking {
        Some(docking) => deadlines::emptied_before(db, &footage.recorder, docking, to_ms(first_seen))?,
        None => None,
    };
    Ok(match (emptied, issued) {
        (Some(emptied), Some(issued)) if issued > emptied => Some(NotBefore::Issued(from_ms(issued))),
        (Some(emptied), _) => Some(NotBefore::Docked(from_ms(emptied))),
        (None, Some(issued)) => Some(NotBefore::Issued(from_ms(issued))),
        (None, None) => None,
    })
}

/// Who held the recorder when a recording ended, by the ledger: whoever took it last up to then, until a docking
/// has returned it. A return by hand leaves the footage on it, and the answer with whoever had it.
fn holder(db: &Connection, recorder: &str, end: &Bounds) -> Result<Option<i64>> {
    let issued = ledger::last_issue_before(db, recorder, to_ms(end.latest))?;
    let Some(issue) = issued else { return Ok(assigned(db, recorder)?.0) };
    let docked_since =
        issue.docking.is_some() && issue.returned_at.is_some_and(|at| at < to_ms(end.earliest));
    Ok((!docked_since).then_some(issue.officer))
}

/// To whom and to which unit the register assigns a recorder.
fn assigned(db: &Connection, recorder: &str) -> Result<(Option<i64>, Option<i64>)> {
    Ok(recorders::get(db, recorder)?.map_or((None, None), |e| (e.officer, e.unit)))
}

fn unit(db: &Connection, officer: Option<i64>, otherwise: Option<i64>) -> Result<Option<i64>> {
    let of_officer = match officer {
        Some(officer) => officers::get(db, officer)?.map(|o| o.unit),
        None => None,
    };
    Ok(of_officer.or(otherwise))
}

/// Stays of a recorder that are looked at for the last that has settled what was on its card.
const STAYS: u32 = 50;

/// What must be assumed of a recorder, as the facts are now; `None` where nothing was ever assumed.
pub fn recorder(db: &Connection, limits: &config::Deadlines, id: &str) -> Result<Option<Deadline>> {
    let subject = format!("recorder:{id}");
    let stays =
        deadlines::stays(db, id, STAYS)?.into_iter().map(|s| stay(db, &s)).collect::<Result<Vec<_>>>()?;
    let (settled, unsettled) = shadow::settle(&stays);
    let since = settled.map_or(i64::MIN, |s| to_ms(s.started_at));
    let first = ledger::first_issue_after(db, id, since.saturating_sub(1))?;
    let newest = ledger::last_issue_before(db, id, i64::MAX)?;
    let assigned = assigned(db, id)?;
    let officer = first.as_ref().map(|i| i.officer).or(assigned.0);
    let unit = unit(db, officer, assigned.1)?;
    let hours = match unit {
        Some(unit) => deadlines::limits(db, unit)?.0,
        None => None,
    };
    let issue = first.map(|i| Issue {
        issued_at: from_ms(i.issued_at),
        returned_by_hand: newest.is_some_and(|n| n.returned_at.is_some() && n.docking.is_none()),
    });
    let old = || deadlines::get(db, &subject);
    Ok(match shadow::assume(issue, settled, unsettled, hours.unwrap_or(limits.archive_hours)) {
        Assumed::Footage(due) => Some(Deadline {
            recorder: Some(id.to_owned()),
            officer,
            unit,
            ..running(subject, "recorder", &due)
        }),
        Assumed::Known => {
            old()?.map(|old| ended(old, "void", "what is on its card is known, and has deadlines of its own"))
        }
        Assumed::Emptied(at) => old()?.map(|old| {
            if old.state != "running" {
                return old;
            }
            Deadline { state: "met".into(), met_at: Some(to_ms(at)), late_by: None, next_at: None, ..old }
        }),
        Assumed::Nothing => old()?.map(|old| ended(old, "void", "it is not out any more")),
    })
}

/// What a stay has shown of the card.
fn stay(db: &Connection, row: &deadlines::StayRow) -> Result<Stay> {
    let ended_at = row.ended_at.map(from_ms);
    let card = match row.safe_at {
        // Safe until it ended; but where the daemon was gone, only as long as it looked.
        Some(safe) => {
            let until = match row.ended_at.filter(|_| row.state == "safe") {
                Some(ended) if !deadlines::was_interrupted(db, row.id)? => ended,
                _ => safe,
            };
            Card::Emptied(from_ms(until))
        }
        None if !deadlines::was_walked(db, row.id)? => Card::Unknown,
        None if deadlines::has_jobs(db, row.id)? => Card::Known,
        // Looked through, nothing failed, nothing left to do: taken before the last look had confirmed it.
        None if row.failed == 0 && row.ended_at.is_some() && row.state != "attention" => {
            Card::Emptied(from_ms(row.started_at))
        }
        None => Card::Unknown,
    };
    // What was emptied is known to be so no longer than the station looked.
    let ended_at = match card {
        Card::Emptied(until) => ended_at.map(|_| until),
        _ => ended_at,
    };
    Ok(Stay { started_at: from_ms(row.started_at), ended_at, card })
}

/// The deadline of a case file as the facts are now; `None` while the act has not ended.
pub fn case(db: &Connection, limits: &config::Deadlines, number: &str) -> Result<Option<Deadline>> {
    let subject = format!("case:{number}");
    let clock = deadlines::case_clock(db, number)?;
    let Some((clock, ended_at)) = clock.and_then(|c| Some((c, c.act_ended_at?))) else {
        let old = deadlines::get(db, &subject)?;
        return Ok(old.map(|old| ended(old, "void", "the act has not ended")));
    };
    let days = match clock.case_days {
        Some(days) => days,
        None => deadlines::limits(db, clock.unit)?.1.unwrap_or(limits.case_days),
    };
    let due = rule::case_by(from_ms(ended_at), days);
    let row = Deadline { officer: clock.officer, unit: Some(clock.unit), ..running(subject, "case", &due) };
    Ok(Some(settled(row, clock.closed_at)))
}

fn running(subject: String, kind: &str, due: &Bounds) -> Deadline {
    Deadline {
        subject,
        kind: kind.into(),
        earliest: to_ms(due.earliest),
        latest: to_ms(due.latest),
        reason: due.reason.clone(),
        recorder: None,
        officer: None,
        unit: None,
        state: "running".into(),
        met_at: None,
        late_by: None,
        next_at: Some(to_ms(due.earliest)),
    }
}

/// A deadline kept at a moment, in time or late; one that is not kept yet stays as it is.
fn settled(row: Deadline, met_at: Option<i64>) -> Deadline {
    let Some(at) = met_at else { return row };
    let late_by = Some(at.saturating_sub(row.latest)).filter(|late| *late > 0);
    let state = if late_by.is_some() { "late" } else { "met" };
    Deadline { state: state.into(), met_at, late_by, next_at: None, ..row }
}

fn ended(old: Deadline, state: &str, reason: &str) -> Deadline {
    if old.state != "running" {
        return old;
    }
    Deadline { state: state.into(), reason: reason.into(), next_at: None, ..old }
}
