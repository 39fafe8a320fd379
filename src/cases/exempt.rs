//! Exemptions (免录): why a step has no footage. 承办人 proposes, 审核人 reviews, 批准人 approves: three persons
//! (article 32), on the grounds of article 11.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::case::still_open;
use super::{terms, text};
use crate::access::{Deed, Person};
use crate::base::clock::to_ms;
use crate::base::{Error, Kind, Result};
use crate::catalog::cases::{self, Case};
use crate::catalog::dockings::By;
use crate::catalog::exemptions::{self, Exemption};
use crate::catalog::steps::{self, Step};
use crate::catalog::{Connection, officers, rights};
use crate::custody::log;

/// What is proposed.
#[derive(Debug, Clone)]
pub struct New {
    /// The case, by its number or a part of it.
    pub number: String,
    /// The step, by key or name.
    pub step: String,
    /// A ground, in either language: [`terms::ground`].
    pub ground: String,
    /// The reason in words.
    pub reason: String,
    /// What supports it: a repair slip, a weather warning, a witness.
    pub note: String,
}

/// Whoever takes part is a person of the register: an approval by nobody is none.
pub(super) fn badge(db: &Connection, who: &Person) -> Result<String> {
    let me = who.officer.map(|id| officers::get(db, id)).transpose()?.flatten();
    me.map(|o| o.badge).ok_or_else(|| {
        Error::new(Kind::Forbidden, "only somebody in the officers' register takes part in an exemption")
            .next("say who acts: --as BADGE")
    })
}

fn entry(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    action: &'static str,
    (case, step, e): (&Case, &Step, &Exemption),
    more: Value,
) -> Result<()> {
    let mut details = json!({ "exemption": e.id, "step": step.key });
    if let (Some(details), Value::Object(more)) = (details.as_object_mut(), more) {
        details.extend(more);
    }
    let by = By { actor: who.actor.clone(), at };
    log::append(tx, &by.entry(action, format!("case:{}", case.number), details))?;
    Ok(())
}

/// Proposes that a step needs no footage; the exemption's number.
///
/// # Errors
/// [`Kind::Forbidden`]; a closed case; an unknown step or ground; one that stands already.
pub fn propose(tx: &Connection, who: &Person, at: DateTime<Utc>, new: &New) -> Result<i64> {
    let case = super::case::find_for(tx, who, Deed::ProposeExemption, &new.number)?;
    let proposer = badge(tx, who)?;
    still_open(&case)?;
    let step = steps::find(tx, case.id, &new.step)?;
    if !step.applies {
        return Err(Error::new(
            Kind::Invalid,
            format!("the step `{}` does not take place in this case", step.key),
        )
        .next("what does not take place needs no exemption"));
    }
    let Some(ground) = terms::ground(&new.ground) else {
        return Err(Error::new(Kind::Invalid, format!("`{}` is no ground for an exemption", new.ground))
            .next(format!("these are known: {}", terms::grounds())));
    };
    if let Some((other, state)) = steps::standing(tx, step.id)?.exemption
        && !["rejected", "withdrawn"].contains(&state.as_str())
    {
        return Err(Error::new(
            Kind::Invalid,
            format!("exemption {other} stands for the step `{}` already", step.key),
        )
        .next("it is to be withdrawn or rejected before another is proposed"));
    }
    let mut e = Exemption {
        id: 0,
        step: step.id,
        ground: ground.into(),
        reason: text::needed("the reason", &new.reason)?,
        note: text::optional("the note", &new.note)?,
        state: "proposed".into(),
        proposer,
        proposed_at: to_ms(at),
        reviewer: None,
        reviewed_at: None,
        approver: None,
        approved_at: None,
        ended_by: None,
        ended_at: None,
        remark: String::new(),
    };
    e.id = exemptions::insert(tx, &e)?;
    let more = json!({ "ground": e.ground, "reason": e.reason, "note": e.note, "by": e.proposer });
    entry(tx, who, at, "exemption.proposed", (&case, &step, &e), more)?;
    Ok(e.id)
}

/// An exemption with its step and case, for somebody who may do this with it.
fn find_for(tx: &Connection, who: &Person, deed: Deed, id: i64) -> Result<(Case, Step, Exemption, String)> {
    let e = exemptions::get(tx, id)?;
    let step = steps::get(tx, e.step)?;
    let case = cases::get(tx, step.case)?;
    rights::check(tx, who, deed, &cases::about(tx, &case)?)?;
    let me = badge(tx, who)?;
    still_open(&case)?;
    Ok((case, step, e, me))
}

fn in_state(e: &Exemption, state: &str) -> Result<()> {
    if e.state == state {
        return Ok(());
    }
    let next = match e.state.as_str() {
        "proposed" => "it is to be reviewed first: docket cases exempt review",
        "reviewed" => "it waits for approval: docket cases exempt approve",
        "approved" => "nothing more is to be done",
        _ => "another can be proposed: docket cases exempt propose",
    };
    Err(Error::new(Kind::Invalid, format!("exemption {} is {}", e.id, e.state)).next(next))
}

/// Refuses whoever took part already: by the badge, and by the name, for one person may have two badges.
pub(super) fn another(db: &Connection, me: &str, others: &[Option<&String>]) -> Result<()> {
    let name_of = |badge: &str| Ok::<_, Error>(officers::by_badge(db, badge)?.map(|o| o.name));
    let name = name_of(me)?;
    for other in others.iter().flatten().filter(|other| **other != me) {
        if name.is_some() && name_of(other)? == name {
            let name = name.as_deref().unwrap_or_default();
            return Err(Error::new(
                Kind::Forbidden,
                format!("{me} and {other} are both {name}; article 32 asks for different persons"),
            )
            .next("where they are two persons of one name, somebody of another name is to do this step"));
        }
    }
    if others.iter().flatten().any(|other| *other == me) {
        return Err(Error::new(
            Kind::Forbidden,
            format!("{me} took part in this exemption already; article 32 asks for three persons"),
        )
        .next("somebody else is to do this step"));
    }
    Ok(())
}

/// Reviews a proposed exemption (审核人).
///
/// # Errors
/// [`Kind::Forbidden`], also for who proposed it; another state; a closed case.
pub fn review(tx: &Connection, who: &Person, at: DateTime<Utc>, id: i64) -> Result<()> {
    let (case, step, mut e, me) = find_for(tx, who, Deed::ReviewExemption, id)?;
    in_state(&e, "proposed")?;
    another(tx, &me, &[Some(&e.proposer)])?;
    (e.state, e.reviewer, e.reviewed_at) = ("reviewed".into(), Some(me.clone()), Some(to_ms(at)));
    exemptions::update(tx, &e)?;
    entry(tx, who, at, "exemption.reviewed", (&case, &step, &e), json!({ "by": me }))
}

/// Approves a reviewed exemption (批准人).
///
/// # Errors
/// [`Kind::Forbidden`], also for who proposed or reviewed it; another state; a closed case.
pub fn approve(tx: &Connection, who: &Person, at: DateTime<Utc>, id: i64) -> Result<()> {
    let (case, step, mut e, me) = find_for(tx, who, Deed::ApproveExemption, id)?;
    in_state(&e, "reviewed")?;
    another(tx, &me, &[Some(&e.proposer), e.reviewer.as_ref()])?;
    (e.state, e.approver, e.approved_at) = ("approved".into(), Some(me.clone()), Some(to_ms(at)));
    exemptions::update(tx, &e)?;
    entry(tx, who, at, "exemption.approved", (&case, &step, &e), json!({ "by": me }))
}

/// Rejects an exemption: who may review it while it is proposed, who may approve it once it is reviewed.
///
/// # Errors
/// [`Kind::Forbidden`], also for who took part before; one that is decided; a missing remark; a closed case.
pub fn reject(tx: &Connection, who: &Person, at: DateTime<Utc>, id: i64, remark: &str) -> Result<()> {
    let reviewed = exemptions::get(tx, id)?.state == "reviewed";
    let deed = if reviewed { Deed::ApproveExemption } else { Deed::ReviewExemption };
    let (case, step, mut e, me) = find_for(tx, who, deed, id)?;
    in_state(&e, if reviewed { "reviewed" } else { "proposed" })?;
    another(tx, &me, &[Some(&e.proposer), e.reviewer.as_ref()])?;
    e.remark = text::needed("the remark", remark)?;
    (e.state, e.ended_by, e.ended_at) = ("rejected".into(), Some(me.clone()), Some(to_ms(at)));
    exemptions::update(tx, &e)?;
    entry(tx, who, at, "exemption.rejected", (&case, &step, &e), json!({ "by": me, "remark": e.remark }))
}

/// Withdraws one's own exemption before it is approved.
///
/// # Errors
/// [`Kind::Forbidden`] for anybody else; one that is decided; a closed case.
pub fn withdraw(tx: &Connection, who: &Person, at: DateTime<Utc>, id: i64, remark: &str) -> Result<()> {
    let (case, step, mut e, me) = find_for(tx, who, Deed::ProposeExemption, id)?;
    if e.state != "reviewed" {
        in_state(&e, "proposed")?;
    }
    if me != e.proposer {
        return Err(Error::new(
            Kind::Forbidden,
            format!("only {}, who proposed exemption {id}, can withdraw it", e.proposer),
        )
        .next("others reject it: docket cases exempt reject"));
    }
    e.remark = text::optional("the remark", remark)?;
    (e.state, e.ended_by, e.ended_at) = ("withdrawn".into(), Some(me.clone()), Some(to_ms(at)));
    exemptions::update(tx, &e)?;
    entry(tx, who, at, "exemption.withdrawn", (&case, &step, &e), json!({ "by": me, "remark": e.remark }))
}
