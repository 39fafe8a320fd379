//! The life of a case: opened, changed, its act ended, closed, opened again. Each change checks who makes it
//! and writes its custody entry on `case:<number>` in the same transaction.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::checklist::{Checklist, Checklists};
use super::holes::{Hole, holes};
pub use super::step::{StepChanges, set_step};
use super::{classify, text};
use crate::access::{Deed, Person};
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::base::when::spoken;
use crate::base::{Error, Kind, Result};
use crate::catalog::cases::{self, Case};
use crate::catalog::dockings::By;
use crate::catalog::{Connection, officers, rights, steps, units};
use crate::custody::log;

/// A number longer than this (bytes) is none.
const LONGEST_NUMBER: usize = 200;

/// What is known when a case is opened.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// Its number, unique whatever its brackets are.
    pub number: String,
    /// Key or name of its kind.
    pub kind: String,
    /// The checklist; the only one for the kind where none is named.
    pub checklist: Option<String>,
    /// What it is about.
    pub title: String,
    /// The parties.
    pub parties: String,
    /// Where.
    pub address: String,
    /// Code of the unit; the acting person's where none is named.
    pub unit: Option<String>,
    /// Badges of the officers; the acting officer where none is named.
    pub officers: Vec<String>,
    /// A class; `internal` where none is named.
    pub classification: Option<String>,
    /// A limit of its own in days.
    pub case_days: Option<u32>,
    /// When it was opened; now where that is not told.
    pub opened_at: Option<DateTime<Utc>>,
}

/// What is to be changed of a case; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// What it is about.
    pub title: Option<String>,
    /// The parties.
    pub parties: Option<String>,
    /// Where.
    pub address: Option<String>,
    /// How far it has come.
    pub stage: Option<String>,
    /// A class.
    pub classification: Option<String>,
    /// A limit of its own in days; 0 takes it away.
    pub case_days: Option<u32>,
}

pub(super) fn entry(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    action: &'static str,
    c: &Case,
    details: Value,
) -> Result<()> {
    let by = By { actor: who.actor.clone(), at };
    log::append(tx, &by.entry(action, format!("case:{}", c.number), details))?;
    Ok(())
}

/// A case of a number or a part of it, for somebody who may look at it.
///
/// # Errors
/// [`Kind::Forbidden`], and as [`cases::find`].
pub fn read(db: &Connection, who: &Person, number: &str) -> Result<Case> {
    find_for(db, who, Deed::ReadCase, number)
}

/// The case of a number for somebody who may do this with it.
pub(super) fn find_for(db: &Connection, who: &Person, deed: Deed, number: &str) -> Result<Case> {
    let case = cases::find(db, number)?;
    rights::check(db, who, deed, &cases::about(db, &case)?)?;
    Ok(case)
}

/// Refuses to change what is closed.
pub(super) fn still_open(case: &Case) -> Result<()> {
    match case.closed_at {
        None => Ok(()),
        Some(_) => Err(Error::new(Kind::Invalid, format!("case {} is closed", case.number))
            .next(format!("`docket cases reopen {} --why TEXT` opens it again", case.number))),
    }
}

/// An officer who may be put on a case.
fn officer(db: &Connection, badge: &str) -> Result<officers::Officer> {
    let officer = officers::find(db, badge)?;
    officer.acting()?;
    Ok(officer)
}

/// Opens a case with all steps of its checklist.
///
/// # Errors
/// [`Kind::Forbidden`]; a number that is taken; an unknown kind, checklist, unit, officer, class; a time in
/// the future.
pub fn open(tx: &Connection, who: &Person, at: DateTime<Utc>, lists: &Checklists, new: &New) -> Result<Case> {
    let number = text::needed("the case number", &new.number)?;
    if number.len() > LONGEST_NUMBER {
        return Err(Error::new(
            Kind::Invalid,
            format!("the case number is longer than {LONGEST_NUMBER} bytes"),
        ));
    }
    let unit = match (&new.unit, who.unit) {
        (Some(code), _) => {
            let unit = units::find(tx, code)?;
            if unit.closed {
                return Err(Error::new(Kind::Invalid, format!("the unit `{code}` is closed")));
            }
            unit.id
        }
        (None, Some(own)) => own,
        (None, None) => {
            return Err(
                Error::new(Kind::Invalid, "which unit handles the case?").next("name it: --unit CODE")
            );
        }
    };
    let mut team = new.officers.iter().map(|badge| officer(tx, badge)).collect::<Result<Vec<_>>>()?;
    if let (true, Some(me)) = (team.is_empty(), who.officer) {
        team.extend(officers::get(tx, me)?);
    }
    // Whoever opens a case is on it; that gives no right to open one for a strange unit.
    rights::check(tx, who, Deed::OpenCase, &rights::about(tx, Some(unit), Vec::new(), false)?)?;
    let (kind, list) = lists.choose(&new.kind, new.checklist.as_deref())?;
    let opened = new.opened_at.unwrap_or(at);
    past("opened", opened, at)?;
    let mut case = Case {
        id: 0,
        number,
        kind: kind.key.clone(),
        checklist: list.id.clone(),
        title: text::needed("the title", &new.title)?,
        parties: text::optional("the parties", &new.parties)?,
        address: text::optional("the address", &new.address)?,
        unit,
        stage: String::new(),
        classification: classify::class(new.classification.as_deref().unwrap_or("internal"))?,
        case_days: new.case_days.filter(|d| *d > 0).or(list.case_days),
        opened_at: to_ms(opened),
        act_ended_at: None,
        closed_at: None,
    };
    case.id = cases::insert(tx, &case)?;
    insert_steps(tx, case.id, list)?;
    let mut badges = Vec::new();
    for o in &team {
        if cases::add_officer(tx, case.id, o.id)? {
            badges.push(o.badge.clone());
        }
    }
    let unit = units::code_of(tx, Some(unit))?;
    let details = json!({ "kind": case.kind, "checklist": case.checklist, "title": case.title, "parties": case.parties,
        "address": case.address, "unit": unit, "officers": badges, "classification": case.classification,
        "case_days": case.case_days, "opened_at": rfc3339(opened) });
    entry(tx, who, at, "case.opened", &case, details)?;
    Ok(case)
}

fn insert_steps(tx: &Connection, case: i64, list: &Checklist) -> Result<()> {
    for (place, step) in (1..).zip(&list.steps) {
        let asks = serde_json::to_string(&step.asks).unwrap_or_else(|_| "[]".into());
        let row = steps::Step {
            id: 0,
            case,
            key: step.named.key.clone(),
            name: step.named.name.clone(),
            name_zh: step.named.name_zh.clone(),
            av: step.av.word().into(),
            shows: step.shows.clone(),
            retention: step.retention.clone(),
            article: step.article.clone(),
            asks,
            told: "{}".into(),
            applies: true,
            from_at: None,
            to_at: None,
            why_not: String::new(),
            waived_by: None,
            waived_ok: None,
        };
        steps::insert(tx, &row, place)?;
    }
    Ok(())
}

fn past(what: &str, told: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    if told <= now {
        return Ok(());
    }
    let what = match what {
        "opened" => format!("a case cannot be opened in the future ({})", spoken(to_ms(told))),
        _ => format!("an act cannot have ended in the future ({})", spoken(to_ms(told))),
    };
    Err(Error::new(Kind::Invalid, what).next("check the date and the station's clock"))
}

/// Changes the words of a case; whether anything was other before.
///
/// # Errors
/// [`Kind::Forbidden`], a closed case, an unknown class.
pub fn set(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    number: &str,
    changes: &Changes,
) -> Result<bool> {
    let mut case = find_for(tx, who, Deed::ChangeCase, number)?;
    still_open(&case)?;
    let mut details = Map::new();
    let mut change = |key: &str, old: &mut String, new: Option<String>| {
        if let Some(new) = new.filter(|new| new != old) {
            details.insert(key.into(), json!({ "was": old, "is": new }));
            *old = new;
        }
    };
    let text_of = |what, new: &Option<String>| new.as_ref().map(|t| text::optional(what, t)).transpose();
    let title = changes.title.as_ref().map(|t| text::needed("the title", t)).transpose()?;
    change("title", &mut case.title, title);
    change("parties", &mut case.parties, text_of("the parties", &changes.parties)?);
    change("address", &mut case.address, text_of("the address", &changes.address)?);
    change("stage", &mut case.stage, text_of("the stage", &changes.stage)?);
    let class = changes.classification.as_deref().map(classify::class).transpose()?;
    change("classification", &mut case.classification, class);
    if let Some(days) = changes.case_days {
        let days = Some(days).filter(|d| *d > 0);
        if days != case.case_days {
            details.insert("case_days".into(), json!({ "was": case.case_days, "is": days }));
            case.case_days = days;
        }
    }
    if details.is_empty() {
        return Ok(false);
    }
    cases::update(tx, &case)?;
    entry(tx, who, at, "case.changed", &case, Value::Object(details))?;
    Ok(true)
}

/// Puts officers on a case and takes others off; whether anything was other before.
///
/// # Errors
/// [`Kind::Forbidden`], a closed case, an unknown officer, one who has left; nobody would be left.
pub fn set_officers(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    number: &str,
    add: &[String],
    remove: &[String],
) -> Result<bool> {
    let case = find_for(tx, who, Deed::ChangeCase, number)?;
    still_open(&case)?;
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for badge in add {
        if cases::add_officer(tx, case.id, officer(tx, badge)?.id)? {
            added.push(badge);
        }
    }
    for badge in remove {
        if cases::remove_officer(tx, case.id, officers::find(tx, badge)?.id)? {
            removed.push(badge);
        }
    }
    if added.is_empty() && removed.is_empty() {
        return Ok(false);
    }
    if cases::officers(tx, case.id)?.is_empty() {
        return Err(Error::new(Kind::Invalid, format!("nobody would be left on case {}", case.number))
            .next("add whoever takes it over in the same command: --add BADGE"));
    }
    entry(tx, who, at, "case.officers", &case, json!({ "added": added, "removed": removed }))?;
    Ok(true)
}

/// Notes when the act ended, or (`None`, with a reason) that it has not: the clock of article 28 runs from there.
///
/// # Errors
/// [`Kind::Forbidden`], a closed case, a time before the case was opened or in the future.
pub fn end(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    number: &str,
    ended: Option<DateTime<Utc>>,
    why: &str,
) -> Result<Case> {
    let mut case = find_for(tx, who, Deed::ChangeCase, number)?;
    still_open(&case)?;
    let was = case.act_ended_at.map(|ms| rfc3339(from_ms(ms)));
    // What shortens or lengthens a promise that runs already is explained.
    let why =
        if was.is_some() { text::needed("the reason", why)? } else { text::optional("the reason", why)? };
    if let Some(ended) = ended {
        past("ended", ended, at)?;
        if to_ms(ended) < case.opened_at {
            let opened = spoken(case.opened_at);
            return Err(Error::new(
                Kind::Invalid,
                format!("the act would end before its case was opened ({opened})"),
            ));
        }
    }
    case.act_ended_at = ended.map(to_ms);
    cases::update(tx, &case)?;
    let mut details = json!({ "ended_at": ended.map(rfc3339), "was": was });
    if !why.is_empty() {
        details["why"] = why.into();
    }
    entry(tx, who, at, "case.act_ended", &case, details)?;
    Ok(case)
}

/// Closes a case whose act has ended and whose steps are all explained.
///
/// # Errors
/// [`Kind::Forbidden`], a closed case, an act under way, holes: each named with why.
pub fn close(tx: &Connection, who: &Person, at: DateTime<Utc>, number: &str) -> Result<Case> {
    let mut case = find_for(tx, who, Deed::CloseCase, number)?;
    still_open(&case)?;
    if case.act_ended_at.is_none() {
        return Err(Error::new(Kind::Invalid, format!("the act of case {} has not ended", case.number))
            .next(format!("`docket cases end {} --at TIME` notes when it did", case.number)));
    }
    let holes = holes(tx, &case)?;
    if !holes.is_empty() {
        return Err(unexplained(&case, &holes));
    }
    case.closed_at = Some(to_ms(at));
    cases::update(tx, &case)?;
    entry(tx, who, at, "case.closed", &case, json!({}))?;
    Ok(case)
}

fn unexplained(case: &Case, holes: &[Hole]) -> Error {
    let list: String =
        holes.iter().map(|h| format!("\n  - {} {}: {}", h.step, h.name_zh, h.why.words())).collect();
    let what = match holes.len() {
        1 => format!("case {} cannot be closed; 1 step is not explained:{list}", case.number),
        n => format!("case {} cannot be closed; {n} steps are not explained:{list}", case.number),
    };
    Error::new(Kind::Invalid, what).next(
        "link footage (docket cases link), propose an exemption (docket cases exempt propose), or note that a step \
         does not take place (docket cases step)",
    )
}

/// Opens a closed case again.
///
/// # Errors
/// [`Kind::Forbidden`], a case that is not closed, a missing reason.
pub fn reopen(tx: &Connection, who: &Person, at: DateTime<Utc>, number: &str, why: &str) -> Result<Case> {
    let mut case = find_for(tx, who, Deed::CloseCase, number)?;
    let Some(closed) = case.closed_at.take() else {
        return Err(Error::new(Kind::Invalid, format!("case {} is not closed", case.number)));
    };
    let why = text::needed("the reason", why)?;
    cases::update(tx, &case)?;
    entry(
        tx,
        who,
        at,
        "case.reopened",
        &case,
        json!({ "why": why, "was_closed_at": rfc3339(from_ms(closed)) }),
    )?;
    Ok(case)
}
