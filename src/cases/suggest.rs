//! Proposals of footage for a case, and the links that a rule makes by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::case::find_for;
use super::link::{duration, enter};
use super::rules::{self, CaseView, Footage, Proposal, StepView};
use crate::access::{self, Deed, Person};
use crate::base::Result;
use crate::base::clock::to_ms;
use crate::base::text::show;
use crate::catalog::Connection;
use crate::catalog::candidates::{self, Candidate, First, Glimpse};
use crate::catalog::cases::{self, Case};
use crate::catalog::dockings::By;
use crate::catalog::ledger;
use crate::catalog::links::{self, Link};
use crate::catalog::recordings::{self, Recording};
use crate::catalog::steps::{self, Step};
use crate::catalog::told;

const DAY: i64 = 86_400_000;
/// Footage is often older than the case: an inspection leads to it.
const BEFORE: i64 = 14 * DAY;
/// A recording longer than this is cut by every recorder known: one that runs into a step begins later.
const LONGEST: i64 = 2 * 3_600_000;
/// Recordings looked at for each officer and recorder, and for each step.
const LOOKED_AT: u32 = 150;

/// A proposal with what a person needs to judge it.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// What the rules say.
    pub proposal: Proposal,
    /// The recording.
    pub recording: Recording,
    /// The step, where one fits.
    pub step: Option<Step>,
    /// Whether nothing else fits: a rule may link it by itself where the policy lets it.
    pub certain: bool,
}

/// Proposes footage that is not linked to the case yet, the likeliest first. What somebody may not see is
/// not proposed.
///
/// # Errors
/// [`crate::base::Kind::Forbidden`], an unknown case.
pub fn suggest(
    db: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    number: &str,
    limit: usize,
) -> Result<Vec<Suggestion>> {
    let case = find_for(db, who, Deed::Link, number)?;
    let found = propose(db, &case, at)?;
    let mut out = Vec::new();
    for (proposal, certain) in found {
        let recording = recordings::find(db, &proposal.recording)?;
        if !access::is_allowed(who, Deed::ReadRecordings, &links::about(db, &recording)?) {
            continue;
        }
        let step = proposal.step.map(|id| steps::get(db, id)).transpose()?;
        out.push(Suggestion { proposal, recording, step, certain });
        if out.len() >= limit {
            break;
        }
    }
    Ok(out)
}

/// Ranked proposals for a case, and whether each is certain.
fn propose(db: &Connection, case: &Case, at: DateTime<Utc>) -> Result<Vec<(Proposal, bool)>> {
    let view = view(db, case, at)?;
    let linked: BTreeSet<String> = links::recordings_of(db, case.id, u32::MAX)?.into_iter().collect();
    let mut holders = Holders::default();
    let mut footage = Vec::new();
    for candidate in gather(db, &view)?.into_values() {
        if !linked.contains(&candidate.id) {
            let holder = holders.of(db, &candidate)?;
            let mut one = footage_of(&candidate, holder);
            if one.time_unknown {
                let issue = ledger::last_issue_before(db, &candidate.recorder, candidate.taken_at)?;
                one.last_issued = issue.map(|i| i.officer);
            }
            footage.push(one);
        }
    }
    let mut open = HashMap::new();
    for (officer, ..) in &view.officers {
        open.insert(*officer, candidates::open_steps_of(db, *officer)?);
    }
    let by_id: HashMap<&str, &Footage> = footage.iter().map(|f| (f.id.as_str(), f)).collect();
    let is_certain = |p: &Proposal| {
        let f = by_id.get(p.recording.as_str())?;
        let only = rules::certain(f, open.get(&f.holder?)?)?;
        Some(only.case == case.id && Some(only.step) == p.step)
    };
    let ranked = rules::rank(&view, &footage);
    Ok(ranked
        .into_iter()
        .map(|p| {
            let certain = is_certain(&p).unwrap_or(false);
            (p, certain)
        })
        .collect())
}

fn view(db: &Connection, case: &Case, at: DateTime<Utc>) -> Result<CaseView> {
    let steps = steps::of_case(db, case.id)?
        .into_iter()
        .filter(|s| s.applies)
        .map(|s| StepView { id: s.id, from: s.from_at, to: s.to_at })
        .collect();
    Ok(CaseView {
        number: case.number.clone(),
        officers: cases::officers(db, case.id)?,
        opened_at: case.opened_at,
        until: case.act_ended_at.unwrap_or_else(|| to_ms(at)),
        address: case.address.clone(),
        steps,
    })
}

/// What may belong to a case: what its officers held around it, and what anybody made during its steps.
fn gather(db: &Connection, view: &CaseView) -> Result<BTreeMap<String, Candidate>> {
    let mut out = BTreeMap::new();
    let mut take = |list: Vec<Candidate>| {
        for c in list.into_iter().filter(|c| ["video", "audio", "photo"].contains(&c.kind.as_str())) {
            out.insert(c.id.clone(), c);
        }
    };
    let (mut from, mut to) = (view.opened_at, view.until);
    let windows: Vec<(i64, i64)> = view
        .steps
        .iter()
        .filter_map(|s| Some((s.from.or(s.to)?, s.to.or(s.from)?)))
        .inspect(|(begin, end)| (from, to) = (from.min(*begin), to.max(*end)))
        .collect();
    let (from, to) = (from.saturating_sub(BEFORE), to.saturating_add(DAY));
    for (officer, ..) in &view.officers {
        // What lies about the beginning of a case, and what came last; a case may be open for years.
        for first in [First::Oldest, First::Newest] {
            take(candidates::of_officer(db, *officer, (from, to), first, LOOKED_AT)?);
            for (recorder, _, begin, end) in candidates::held_by(db, *officer, from, to)? {
                take(candidates::of_recorder(db, &recorder, (begin, end), first, LOOKED_AT)?);
            }
        }
    }
    let ours: Vec<i64> = view.officers.iter().map(|o| o.0).collect();
    let by_place = rules::coordinates(&view.address).is_some();
    // Most of it is somebody else's: nothing of that is parsed.
    let wanted = |g: &Glimpse<'_>| {
        g.officer.is_none_or(|o| ours.contains(&o))
            || by_place && g.probed.is_some_and(|p| p.contains("\"location\":\""))
            || hints(view, g)
    };
    for (begin, end) in windows {
        take(candidates::taken_between(db, (begin, end), 2 * LOOKED_AT as usize, &wanted)?);
        let before = (begin.saturating_sub(LONGEST), begin.saturating_sub(1));
        take(candidates::taken_between(db, before, LOOKED_AT as usize / 2, &wanted)?);
    }
    Ok(out)
}

/// Whether the name of a stranger's recording may point to the case.
fn hints(view: &CaseView, g: &Glimpse<'_>) -> bool {
    let path = show(OsStr::from_bytes(g.source_path));
    view.officers.iter().any(|(_, badge, _)| g.facts.contains(badge.as_str()))
        || rules::number_in(&view.number, &path) == Some(rules::Reason::Number)
}

/// Who held which recorder when; asked once.
#[derive(Default)]
struct Holders(HashMap<(String, i64), Option<i64>>);

impl Holders {
    fn of(&mut self, db: &Connection, c: &Candidate) -> Result<Option<i64>> {
        // Whoever held it when the file was first seen need not be who held it when the file was made.
        if !told::is_time_credible(&c.facts) {
            return Ok(None);
        }
        if c.officer.is_some() {
            return Ok(c.officer);
        }
        let key = (c.recorder.clone(), c.taken_at);
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let holder = ledger::holder_at(db, &c.recorder, c.taken_at)?;
        self.0.insert(key, holder);
        Ok(holder)
    }
}

fn footage_of(c: &Candidate, holder: Option<i64>) -> Footage {
    let facts: Value = serde_json::from_str(&c.facts).unwrap_or_default();
    let probed: Value = c.probed.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
    let duration = if c.kind == "photo" { Some(0) } else { duration(c.probed.as_deref()) };
    Footage {
        id: c.id.clone(),
        taken_at: c.taken_at,
        duration,
        time_by_name: facts["time_rule"] == "name",
        time_unknown: !told::is_time_credible(&c.facts),
        holder,
        last_issued: None,
        name_badge: facts["name"]["officer"].as_str().map(str::to_owned),
        important: facts["name"]["important"].as_str().is_some_and(|mark| mark != "0"),
        place: probed["facts"]["location"].as_str().and_then(rules::coordinates),
        path: show(OsStr::from_bytes(&c.source_path)),
    }
}

/// Links one new recording where the rule [`rules::certain`] leaves no doubt; the link's number. To be called
/// for each recording whose container facts were read, where the settings have `link_by_itself`. What a person
/// has unlinked stays so.
///
/// # Errors
/// What the catalogue says.
pub fn link_certain(tx: &Connection, at: DateTime<Utc>, recording: &str) -> Result<Option<i64>> {
    match certain(tx, recording)? {
        Some((case, step)) => by_rule(tx, at, recording, case, step),
        None => Ok(None),
    }
}

/// The case and step that one archived recording certainly belongs to.
///
/// # Errors
/// What the catalogue says.
pub fn certain(db: &Connection, recording: &str) -> Result<Option<(i64, i64)>> {
    let c = candidates::one(db, recording)?;
    let Some(holder) = Holders::default().of(db, &c)? else { return Ok(None) };
    if c.state != "archived" || !["video", "audio", "photo"].contains(&c.kind.as_str()) {
        return Ok(None);
    }
    let open = candidates::open_steps_of(db, holder)?;
    Ok(rules::certain(&footage_of(&c, Some(holder)), &open).map(|only| (only.case, only.step)))
}

/// What certainly belongs to a case and is not linked to it: recording and step.
///
/// # Errors
/// What the catalogue says.
pub fn certain_of_case(db: &Connection, at: DateTime<Utc>, case: &Case) -> Result<Vec<(String, i64)>> {
    if case.closed_at.is_some() {
        return Ok(Vec::new());
    }
    let sure = propose(db, case, at)?.into_iter().filter(|(_, certain)| *certain);
    Ok(sure.filter_map(|(p, _)| Some((p.recording, p.step?))).collect())
}

/// The same for what is archived already, when a case's steps have got their times; the links' numbers.
///
/// # Errors
/// What the catalogue says.
pub fn link_certain_of_case(tx: &Connection, at: DateTime<Utc>, case: &Case) -> Result<Vec<i64>> {
    let mut out = Vec::new();
    for (recording, step) in certain_of_case(tx, at, case)? {
        out.extend(by_rule(tx, at, &recording, case.id, step)?);
    }
    Ok(out)
}

fn by_rule(tx: &Connection, at: DateTime<Utc>, recording: &str, case: i64, step: i64) -> Result<Option<i64>> {
    let (case, step) = (cases::get(tx, case)?, steps::get(tx, step)?);
    if case.closed_at.is_some() || links::ever(tx, recording, step.id)? {
        return Ok(None);
    }
    let row = Link {
        id: 0,
        recording: recording.to_owned(),
        step: step.id,
        span: None,
        reason: "an officer of the case held the recorder, and only this step's time fits".into(),
        linked_by: rules::CERTAIN.into(),
        linked_at: to_ms(at),
        automatic: true,
        unlinked: None,
    };
    let by = By { actor: rules::CERTAIN.into(), at };
    enter(tx, &by, &case, &step, row).map(Some)
}
