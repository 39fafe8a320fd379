//! A case, its steps, links and exemptions as JSON, and what the screens show of them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::base::clock::{from_ms, rfc3339};
use crate::base::config::Config;
use crate::base::{Error, Result};
use crate::cases::holes::{self, Hole};
use crate::cases::search::recording_json;
use crate::catalog::cases::{self, Case};
use crate::catalog::exemptions::{self, Exemption};
use crate::catalog::links::{self, Link};
use crate::catalog::recordings::{self, Recording};
use crate::catalog::steps::{self, Standing, Step};
use crate::catalog::{Connection, deadlines, told, units};
use crate::deadline::rule;

/// Days for the case file, and when it is due.
pub struct Due {
    /// Days after the act's end.
    pub days: u32,
    /// The last moment, once the act has ended.
    pub at: Option<DateTime<Utc>>,
}

/// When the file of a case is due.
pub fn due(db: &Connection, config: &Config, c: &Case) -> Result<Due> {
    let of_unit = || Ok::<_, Error>(deadlines::limits(db, c.unit)?.1.unwrap_or(config.deadlines.case_days));
    let days = c.case_days.map_or_else(of_unit, Ok)?;
    let at = c.act_ended_at.map(|ms| rule::case_by(from_ms(ms), days).latest);
    Ok(Due { days, at })
}

/// Code and name of the unit that handles a case.
pub fn unit(db: &Connection, c: &Case) -> Result<(String, String)> {
    Ok(units::get(db, c.unit)?.map(|u| (u.code, u.name)).unwrap_or_default())
}

/// How far a case has come.
pub fn state(c: &Case) -> &'static str {
    match (c.closed_at, c.act_ended_at) {
        (Some(_), _) => "closed",
        (None, Some(_)) => "ended",
        (None, None) => "open",
    }
}

/// A case as JSON, without its steps.
pub fn value(db: &Connection, config: &Config, c: &Case) -> Result<Value> {
    let (code, name) = unit(db, c)?;
    let due = due(db, config, c)?;
    let officers: Vec<Value> = cases::officers(db, c.id)?
        .into_iter()
        .map(|(_, badge, name)| json!({ "badge": badge, "name": name }))
        .collect();
    let time = |ms: Option<i64>| ms.map(|ms| rfc3339(from_ms(ms)));
    Ok(json!({
        "number": c.number, "kind": c.kind, "checklist": c.checklist, "title": c.title, "parties": c.parties,
        "address": c.address, "unit": code, "unit_name": name, "stage": c.stage, "state": state(c),
        "classification": c.classification, "officers": officers, "opened_at": time(Some(c.opened_at)),
        "act_ended_at": time(c.act_ended_at), "closed_at": time(c.closed_at), "case_days": due.days,
        "due_at": due.at.map(rfc3339), "holes": holes::holes(db, c)?,
    }))
}

/// A step with everything at it.
pub struct Detail {
    pub step: Step,
    pub standing: Standing,
    pub holes: Vec<holes::Why>,
    pub exemptions: Vec<Exemption>,
    pub links: Vec<(Link, Recording)>,
}

impl Detail {
    /// How many of the recordings that are linked now cannot be played.
    pub fn unplayable(&self) -> usize {
        let bad =
            |(l, r): &&(Link, Recording)| l.unlinked.is_none() && told::is_unplayable(r.probed.as_deref());
        self.links.iter().filter(bad).count()
    }
}

/// The steps of a case with everything at them.
pub fn details(db: &Connection, case: &Case) -> Result<Vec<Detail>> {
    let mut out = Vec::new();
    for step in steps::of_case(db, case.id)? {
        let standing = steps::standing(db, step.id)?;
        let links = links::of_step(db, step.id)?
            .into_iter()
            .map(|l| Ok((recordings::find(db, &l.recording)?, l)).map(|(r, l)| (l, r)))
            .collect::<Result<Vec<_>>>()?;
        out.push(Detail {
            holes: holes::of_step(&step, &standing),
            exemptions: exemptions::of_step(db, step.id)?,
            step,
            standing,
            links,
        });
    }
    Ok(out)
}

/// A step as JSON.
pub fn step_json(db: &Connection, d: &Detail) -> Result<Value> {
    let time = |ms: Option<i64>| ms.map(|ms| rfc3339(from_ms(ms)));
    let s = &d.step;
    let hole = |why: &holes::Why| Hole {
        step: s.key.clone(),
        name: s.name.clone(),
        name_zh: s.name_zh.clone(),
        why: why.clone(),
    };
    let exempted = d.standing.exemption.as_ref().is_some_and(|(_, state)| state == "approved");
    let state = match () {
        () if !d.holes.is_empty() => "hole",
        () if !s.applies => "does_not_apply",
        () if d.standing.footage > 0 => "footage",
        () if exempted => "exempted",
        () => "none",
    };
    let links = d.links.iter().map(|(l, r)| link_json(db, l, r)).collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "key": s.key, "name": s.name, "name_zh": s.name_zh, "av": s.av, "shows": s.shows,
        "retention": s.retention, "article": s.article, "applies": s.applies, "why_not": s.why_not,
        "waived_by": s.waived_by, "waiver_confirmed_by": s.waived_ok, "from": time(s.from_at),
        "to": time(s.to_at), "asks": holes::asks(s), "told": holes::told(s), "state": state,
        "unplayable": d.unplayable(), "holes": d.holes.iter().map(hole).collect::<Vec<_>>(), "links": links,
        "exemptions": d.exemptions.iter().map(exemption_json).collect::<Vec<_>>(),
    }))
}

fn link_json(db: &Connection, l: &Link, r: &Recording) -> Result<Value> {
    let unlinked = l.unlinked.as_ref();
    Ok(json!({
        "id": l.id, "recording": recording_json(db, r)?,
        "clip": l.span.map(|(from, to)| json!({ "from_ms": from, "to_ms": to })),
        "why": l.reason, "by": l.linked_by, "at": rfc3339(from_ms(l.linked_at)), "automatic": l.automatic,
        "unlinked": unlinked.map(|(by, at, why)| json!({ "by": by, "at": rfc3339(from_ms(*at)), "why": why })),
    }))
}

/// An exemption as JSON.
pub fn exemption_json(e: &Exemption) -> Value {
    let time = |ms: Option<i64>| ms.map(|ms| rfc3339(from_ms(ms)));
    json!({
        "id": e.id, "ground": e.ground, "reason": e.reason, "note": e.note, "state": e.state,
        "proposer": e.proposer, "proposed_at": time(Some(e.proposed_at)), "reviewer": e.reviewer,
        "reviewed_at": time(e.reviewed_at), "approver": e.approver, "approved_at": time(e.approved_at),
        "ended_by": e.ended_by, "ended_at": time(e.ended_at), "remark": e.remark,
    })
}
