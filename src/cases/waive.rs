//! Steps that do not take place in a case. What the checklist requires is not waived by one person: somebody
//! else, a reviewer or a head, confirms it, as article 32 has it for exemptions.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::case::{entry, find_for, still_open};
use super::exempt::{another, badge};
use super::holes::told;
use crate::access::{Deed, Person, Role};
use crate::base::{Error, Kind, Result};
use crate::catalog::cases::{self, Case};
use crate::catalog::steps::{self, Step};
use crate::catalog::{Connection, exemptions, officers};

/// Marks a step as not taking place. A head who is not on the case is the second person at once.
///
/// # Errors
/// A step with footage, or with an exemption that was ever proposed.
pub(super) fn waive(tx: &Connection, who: &Person, case: &Case, step: &mut Step, why: &str) -> Result<()> {
    let standing = steps::standing(tx, step.id)?;
    if standing.footage + standing.not_well + standing.other > 0 {
        return Err(Error::new(Kind::Invalid, format!("footage is linked to the step `{}`", step.key))
            .next("a step with footage took place; unlink what does not belong to it first"));
    }
    if let Some(e) = exemptions::of_step(tx, step.id)?.last() {
        return Err(Error::new(
            Kind::Invalid,
            format!("exemption {} was proposed for the step `{}`, so it took place", e.id, step.key),
        )
        .next("have an exemption approved: docket cases exempt propose"));
    }
    let on_case = cases::officers(tx, case.id)?.iter().any(|(id, ..)| Some(*id) == who.officer);
    let head = who.officer.filter(|_| who.role == Role::Head && !on_case);
    let head = head.map(|id| officers::get(tx, id)).transpose()?.flatten();
    (step.applies, step.why_not) = (false, why.to_owned());
    (step.waived_by, step.waived_ok) = (Some(who.actor.clone()), head.map(|o| o.badge));
    Ok(())
}

/// Refuses to have a step both not take place and have a time or words.
pub(super) fn took_no_place(step: &Step) -> Result<()> {
    if step.from_at.is_none() && step.to_at.is_none() && told(step).is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Invalid,
        format!("the step `{}` has a time or words, so it takes place in this case", step.key),
    )
    .next(
        "a step that does not take place has neither; --no-time forgets a time, --applies says that it does",
    ))
}

/// The badge in an actor's name: `officer:<badge> via …`.
fn badge_of(actor: &str) -> Option<String> {
    let badge = actor.split(" via ").next()?.strip_prefix("officer:")?;
    Some(badge.to_owned())
}

/// Confirms that a required step does not take place; whether that was still open.
///
/// # Errors
/// [`Kind::Forbidden`], also for who said so or is on the case; a closed case; a step that takes place.
pub fn confirm(tx: &Connection, who: &Person, at: DateTime<Utc>, number: &str, step: &str) -> Result<bool> {
    let case = find_for(tx, who, Deed::ConfirmWaiver, number)?;
    let me = badge(tx, who)?;
    still_open(&case)?;
    let mut step = steps::find(tx, case.id, step)?;
    if step.applies {
        return Err(Error::new(
            Kind::Invalid,
            format!("nobody has said that the step `{}` does not take place", step.key),
        )
        .next("`docket cases step … --does-not-apply --why TEXT` says so"));
    }
    if step.waived_ok.is_some() {
        return Ok(false);
    }
    let said = step.waived_by.as_deref().and_then(badge_of);
    if said.as_ref() == Some(&me) || cases::officers(tx, case.id)?.iter().any(|(_, badge, _)| *badge == me) {
        return Err(Error::new(
            Kind::Forbidden,
            format!("{me} is on the case or said so; somebody else is to confirm it"),
        )
        .next("a reviewer or a head who is not on the case confirms it"));
    }
    another(tx, &me, &[said.as_ref()])?;
    step.waived_ok = Some(me.clone());
    steps::update(tx, &step)?;
    entry(
        tx,
        who,
        at,
        "case.step_waived",
        &case,
        json!({ "step": step.key, "why": step.why_not, "by": me }),
    )?;
    Ok(true)
}
