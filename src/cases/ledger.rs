//! The ledger: taking a recorder and bringing it back, by hand or from a file.
//!
//! A docking brings a recorder back by itself; `catalog::ledger::return_by_docking` does that.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::field;
use super::registers::{Done, NOTE, may_read};
use crate::access::{Deed, Person};
use crate::base::clock::to_ms;
use crate::base::when::spoken;
use crate::base::{Error, Kind, Result};
use crate::catalog::dockings::By;
use crate::catalog::ledger::{self, Condition, Filter, Issue};
use crate::catalog::officers::{self, Officer};
use crate::catalog::recorders::{self, State};
use crate::catalog::{Connection, rights};

/// Longest purpose, in characters.
pub const PURPOSE: usize = 200;
/// A clock further off than this many milliseconds (a century) is mistyped.
const CLOCK: u64 = 100 * 366 * 86_400_000;

/// A span of time from a moment on, up to but not including another; without end while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Milliseconds UTC.
    pub from: i64,
    /// Milliseconds UTC, not before `from`.
    pub to: Option<i64>,
}

impl Period {
    /// Whether two have a moment in common, or begin at the same one.
    pub fn overlaps(self, other: Period) -> bool {
        let before = |a: i64, end: Option<i64>| end.is_none_or(|end| a < end);
        self.from == other.from || before(self.from, other.to) && before(other.from, self.to)
    }
}

/// Somebody takes a recorder; from a file, perhaps long ago.
#[derive(Debug, Clone, Default)]
pub struct Take {
    /// The recorder.
    pub recorder: String,
    /// Badge of who takes it.
    pub badge: String,
    /// What for.
    pub purpose: String,
    /// When (milliseconds UTC).
    pub issued_at: i64,
    /// How it is then.
    pub issued: Condition,
    /// When it came back, and how it was then, where it did.
    pub returned: Option<(i64, Condition)>,
    /// Free text.
    pub note: String,
}

/// What an entry should have said. `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct Correction {
    /// Badge of who took it.
    pub badge: Option<String>,
    /// What for.
    pub purpose: Option<String>,
    /// When it was taken (milliseconds UTC).
    pub issued_at: Option<i64>,
    /// When it came back (milliseconds UTC); `Some(None)`: it is still out.
    pub returned_at: Option<Option<i64>>,
}

fn wrong(what: String) -> Error {
    Error::new(Kind::Invalid, what)
}

/// Whose entry it is: the recorder's unit, else the officer's.
fn unit_of(db: &Connection, recorder: &str, officer: Option<&Officer>) -> Result<Option<i64>> {
    let entry = recorders::get(db, recorder)?;
    Ok(entry.and_then(|e| e.unit).or(officer.map(|o| o.unit)))
}

fn fits(condition: &Condition) -> Result<()> {
    if let Some(battery) = condition.battery.filter(|b| *b > 100) {
        return Err(wrong(format!("a battery has at most 100 percent, not {battery}")));
    }
    if condition.free.is_some_and(|free| free < 0)
        || condition.clock.is_some_and(|ms| ms.unsigned_abs() > CLOCK)
    {
        return Err(wrong("the free space or the clock offset is out of range".into()));
    }
    Ok(())
}

/// Hands out the entries that a filter lets through, the newest first.
///
/// # Errors
/// [`Kind::Forbidden`], or what `look` says.
pub fn each(
    db: &Connection,
    who: &Person,
    filter: &Filter,
    look: &mut dyn FnMut(Issue) -> Result<()>,
) -> Result<()> {
    may_read(who)?;
    ledger::each(db, filter, look)
}

/// Enters that somebody took a recorder. Where a docking of it has begun since, it is back already.
///
/// # Errors
/// [`Kind::Forbidden`]; or why it cannot be: the recorder is out, unknown, broken or retired, the officer has
/// left, the time is ahead or taken by another entry.
pub fn issue(tx: &Connection, who: &Person, at: DateTime<Utc>, take: &Take) -> Result<Issue> {
    let officer = officers::find(tx, &take.badge)?;
    let unit = unit_of(tx, &take.recorder, Some(&officer))?;
    let about = rights::about(tx, unit, vec![officer.id], false)?;
    rights::check(tx, who, Deed::KeepLedger, &about)?;
    enter(tx, &By { actor: who.actor.clone(), at }, take, &officer, &HashMap::new())
}

/// The entry that a taking makes, once nothing speaks against it. `lines` names entries by the line of the
/// file that they come from.
pub(super) fn enter(
    tx: &Connection,
    by: &By,
    take: &Take,
    officer: &Officer,
    lines: &HashMap<i64, u64>,
) -> Result<Issue> {
    let recorder = field::recorder(&take.recorder)?;
    let mut new = Issue {
        id: 0,
        recorder: recorder.clone(),
        officer: officer.id,
        purpose: field::needed(&take.purpose, PURPOSE).map_err(|e| {
            let what = format!("the purpose: {}", e.what());
            wrong(what).next("say in a few words what the recorder is taken for")
        })?,
        issued_at: take.issued_at,
        issued: take.issued,
        returned_at: take.returned.map(|(at, _)| at),
        returned: take.returned.map(|(_, condition)| condition).unwrap_or_default(),
        docking: None,
        note: field::text(&take.note, NOTE)?,
        void: false,
    };
    fits(&new.issued)?;
    fits(&new.returned)?;
    can_be(&new, to_ms(by.at))?;
    if new.returned_at.is_none() {
        brought_back(tx, &mut new)?;
    }
    let state = known(tx, &recorder)?;
    // Of what is over by now only the periods count: the register says what is so today.
    if new.returned_at.is_none() {
        if officer.left {
            return Err(wrong(format!("officer {} has left, and can be issued no recorder", officer.name))
                .next("issue it to somebody who is with the unit"));
        }
        let advice = format!("when it can be used again: docket recorders set {recorder} --state in-service");
        match state {
            Some(State::Broken) => {
                return Err(
                    wrong(format!("recorder {recorder} is broken, and cannot be issued")).next(advice)
                );
            }
            Some(State::Retired) => {
                return Err(
                    wrong(format!("recorder {recorder} is retired, and cannot be issued")).next(advice)
                );
            }
            _ => {}
        }
    }
    is_free(tx, &new, lines)?;
    new.id = ledger::insert(tx, by, &new)?;
    Ok(new)
}

/// What the register says of a recorder's state; nothing of one that was only seen.
///
/// # Errors
/// [`Kind::NotFound`] for one that is neither registered nor was ever seen.
pub(super) fn known(tx: &Connection, recorder: &str) -> Result<Option<State>> {
    let state = recorders::get(tx, recorder)?.map(|e| e.state);
    if state.is_none() && !recorders::was_seen(tx, recorder)? {
        return Err(Error::new(
            Kind::NotFound,
            format!("recorder {recorder} is not in the register, and was never docked here"),
        )
        .next(format!("check the number; a new one is registered with: docket recorders add {recorder}")));
    }
    Ok(state)
}

/// A docking that began since has brought the recorder back.
fn brought_back(tx: &Connection, new: &mut Issue) -> Result<()> {
    if let Some((docking, started)) = ledger::first_docking_since(tx, &new.recorder, new.issued_at)? {
        new.returned_at = Some(started);
        new.docking = Some(docking);
    }
    Ok(())
}

/// Times that are possible at all.
fn can_be(i: &Issue, now: i64) -> Result<()> {
    let late = [Some(i.issued_at), i.returned_at].into_iter().flatten().find(|at| *at > now);
    if let Some(at) = late {
        return Err(wrong(format!("the time {} has not come yet: it is {} now", spoken(at), spoken(now)))
            .next("enter what has happened, when it has"));
    }
    match i.returned_at {
        Some(end) if end < i.issued_at => Err(wrong(format!(
            "it cannot come back at {}: it was taken only at {}",
            spoken(end),
            spoken(i.issued_at)
        ))
        .next("check both times")),
        _ => Ok(()),
    }
}

/// No other entry of the recorder covers any of the time.
fn is_free(tx: &Connection, new: &Issue, lines: &HashMap<i64, u64>) -> Result<()> {
    let period = |i: &Issue| Period { from: i.issued_at, to: i.returned_at };
    let near = ledger::neighbours(tx, &new.recorder, new.issued_at, new.id)?;
    let Some(other) = near.into_iter().find(|other| period(other).overlaps(period(new))) else {
        return Ok(());
    };
    let holder = officers::get(tx, other.officer)?.map(|o| o.name).unwrap_or_default();
    let (recorder, since) = (&new.recorder, spoken(other.issued_at));
    let whose = match lines.get(&other.id) {
        Some(line) => format!("line {line}"),
        None => format!("entry {} of the ledger", other.id),
    };
    Err(match other.returned_at {
        None if new.issued_at >= other.issued_at => {
            wrong(format!("recorder {recorder} is out: {holder} has it since {since} ({whose})"))
                .next(format!("take it back first: docket ledger return {recorder}"))
        }
        None => wrong(format!("the time overlaps {whose}: {holder} has recorder {recorder} since {since}"))
            .next("one recorder is with one person at a time; check the times"),
        Some(end) => wrong(format!(
            "the time overlaps {whose}: {holder} had recorder {recorder} from {since} to {}",
            spoken(end)
        ))
        .next("one recorder is with one person at a time; check the times"),
    })
}

/// Enters that a recorder came back without being docked.
///
/// # Errors
/// [`Kind::Forbidden`]; or why it cannot be: it is not out, or the time does not fit.
pub fn give_back(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    recorder: &str,
    returned: (i64, Condition),
    note: &str,
) -> Result<Issue> {
    let open = ledger::open_of(tx, recorder)?;
    let holder = open.as_ref().map(|i| officers::get(tx, i.officer)).transpose()?.flatten();
    let unit = unit_of(tx, recorder, holder.as_ref())?;
    let about = rights::about(tx, unit, holder.iter().map(|o| o.id).collect(), false)?;
    rights::check(tx, who, Deed::KeepLedger, &about)?;
    let Some(open) = open else {
        let what = match ledger::last_issue_before(tx, recorder, to_ms(at))?.and_then(|i| i.returned_at) {
            Some(back) => format!("recorder {recorder} is not out: it came back at {}", spoken(back)),
            None => format!("recorder {recorder} is not out: the ledger has no entry of it"),
        };
        return Err(wrong(what).next("`docket ledger list --open` shows which are out"));
    };
    close(tx, &By { actor: who.actor.clone(), at }, open, returned, note)
}

/// Ends an open entry.
pub(super) fn close(
    tx: &Connection,
    by: &By,
    open: Issue,
    (returned_at, returned): (i64, Condition),
    note: &str,
) -> Result<Issue> {
    let note = field::text(note, NOTE)?;
    let note = if note.is_empty() { open.note.clone() } else { note };
    let new = Issue { returned_at: Some(returned_at), returned, note, ..open };
    fits(&returned)?;
    can_be(&new, to_ms(by.at))?;
    ledger::finish(tx, by, &new)?;
    Ok(new)
}

/// The entry with a number, for somebody who keeps the ledger: not for whom it is about alone.
fn to_mend(tx: &Connection, who: &Person, id: i64) -> Result<Issue> {
    let old = ledger::get(tx, id)?;
    let holder = old.as_ref().map(|i| officers::get(tx, i.officer)).transpose()?.flatten();
    let unit = old.as_ref().map(|i| unit_of(tx, &i.recorder, holder.as_ref())).transpose()?.flatten();
    rights::check(tx, who, Deed::KeepLedger, &rights::about(tx, unit, Vec::new(), false)?)?;
    let old = old.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("the ledger has no entry {id}"))
            .next("`docket ledger list` shows the numbers")
    })?;
    if old.void {
        return Err(wrong(format!("entry {id} of the ledger is void; it is left as it is"))
            .next("enter anew what has happened: docket ledger issue"));
    }
    Ok(old)
}

/// Corrects an entry; custody keeps what it said before, and why it was wrong.
///
/// # Errors
/// [`Kind::Forbidden`]; or why the entry cannot be so.
pub fn correct(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    id: i64,
    correction: &Correction,
    why: &str,
) -> Result<(Done, Issue)> {
    let old = to_mend(tx, who, id)?;
    let why = field::needed(why, NOTE)?;
    let mut new = old.clone();
    if let Some(badge) = &correction.badge {
        new.officer = officers::find(tx, badge)?.id;
    }
    if let Some(purpose) = &correction.purpose {
        new.purpose = field::needed(purpose, PURPOSE)?;
    }
    new.issued_at = correction.issued_at.unwrap_or(new.issued_at);
    if let Some(returned_at) = correction.returned_at.filter(|back| *back != old.returned_at) {
        (new.returned_at, new.docking) = (returned_at, None);
    }
    can_be(&new, to_ms(at))?;
    if new.returned_at.is_none() {
        brought_back(tx, &mut new)?;
        new.returned = if new.returned_at.is_none() { Condition::default() } else { new.returned };
    }
    is_free(tx, &new, &HashMap::new())?;
    let by = By { actor: who.actor.clone(), at };
    Ok((Done::of(ledger::correct(tx, &by, &old, &new, &why)?), new))
}

/// Marks an entry as made by mistake. It stays in the ledger, and covers no time any more.
///
/// # Errors
/// [`Kind::Forbidden`]; no such entry, or void already.
pub fn void(tx: &Connection, who: &Person, at: DateTime<Utc>, id: i64, why: &str) -> Result<Issue> {
    let old = to_mend(tx, who, id)?;
    let why = field::needed(why, NOTE)?;
    ledger::void(tx, &By { actor: who.actor.clone(), at }, &old, &why)?;
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::from_ms;
    use crate::cases::registers::{Must, OfficerChange, RecorderChange, UnitChange};
    use crate::cases::registers::{put_officer, put_recorder, put_unit};
    use crate::catalog::Catalog;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_000_000_000;

    /// A catalogue with two officers and a recorder.
    fn kept() -> (tempfile::TempDir, Catalog) {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open_or_create(&dir.path().join("c.sqlite")).unwrap();
        catalog
            .write(|tx| {
                let (who, at) = (Person::administrator("test".into()), from_ms(NOW));
                let unit = UnitChange { code: "u".into(), name: Some("U".into()), ..UnitChange::default() };
                put_unit(tx, &who, at, &unit, Must::Add)?;
                for badge in ["1", "2"] {
                    let officer = OfficerChange {
                        badge: badge.into(),
                        name: Some(format!("N{badge}")),
                        unit: Some("u".into()),
                        ..OfficerChange::default()
                    };
                    put_officer(tx, &who, at, &officer, Must::Add)?;
                }
                let recorder = RecorderChange { id: "R".into(), ..RecorderChange::default() };
                put_recorder(tx, &who, at, &recorder, Must::Add).map(drop)
            })
            .unwrap();
        (dir, catalog)
    }

    fn take(badge: &str, from: i64, to: Option<i64>) -> Take {
        Take {
            recorder: "R".into(),
            badge: badge.into(),
            purpose: "p".into(),
            issued_at: from,
            returned: to.map(|to| (to, Condition::default())),
            ..Take::default()
        }
    }

    fn enter(catalog: &Catalog, take: Take) -> Result<Issue> {
        let who = Person::administrator("test".into());
        catalog.write(move |tx| issue(tx, &who, from_ms(NOW), &take))
    }

    #[test]
    fn periods_overlap_where_they_share_a_moment() {
        let period = |from, to| Period { from, to };
        for (a, b, overlap) in [
            (period(0, Some(5)), period(5, Some(9)), false),
            (period(0, Some(6)), period(5, Some(9)), true),
            (period(0, None), period(5, Some(9)), true),
            (period(9, None), period(5, Some(9)), false),
            (period(5, Some(5)), period(5, Some(5)), true),
            (period(6, Some(6)), period(5, Some(9)), true),
        ] {
            assert_eq!((a.overlaps(b), b.overlaps(a)), (overlap, overlap), "{a:?} {b:?}");
        }
    }

    #[test]
    fn who_held_it_is_told_by_the_ledger_and_then_by_the_register() {
        let (_dir, catalog) = kept();
        let holder = |at| catalog.read(|db| ledger::holder_at(db, "R", at)).unwrap();
        assert_eq!(holder(50), None);
        enter(&catalog, take("1", 100, Some(200))).unwrap();
        let open = enter(&catalog, take("2", 300, None)).unwrap();
        let [one, two] = ["1", "2"].map(|b| catalog.read(|db| officers::find(db, b)).unwrap().id);
        let held = [99, 100, 199, 200, 299, 300, NOW].map(holder);
        assert_eq!(held, [None, Some(one), Some(one), None, None, Some(two), Some(two)]);
        let who = Person::administrator("test".into());
        catalog
            .write(move |tx| {
                let assigned =
                    RecorderChange { id: "R".into(), officer: Some(Some("1".into())), ..Default::default() };
                put_recorder(tx, &who, from_ms(NOW), &assigned, Must::Set)?;
                void(tx, &who, from_ms(NOW), open.id, "mistyped").map(drop)
            })
            .unwrap();
        assert_eq!([50, 250, 300].map(holder), [Some(one); 3]);
        assert_eq!(catalog.read(ledger::open_issues).unwrap(), []);
        // What was void is no obstacle, and leaves its number behind.
        assert!(enter(&catalog, take("1", 300, None)).unwrap().id > open.id);
    }

    #[test]
    fn whoever_is_not_concerned_keeps_no_ledger() {
        let (_dir, catalog) = kept();
        let person = |badge: &str| catalog.read(|db| officers::find(db, badge)?.acting()).unwrap();
        let (one, two) = (person("1"), person("2"));
        let as_one = one.clone();
        let made = catalog.write(move |tx| issue(tx, &as_one, from_ms(NOW), &take("1", 100, None))).unwrap();
        let now = (NOW, Condition::default());
        let refused = catalog.write(move |tx| give_back(tx, &two, from_ms(NOW), "R", now, "")).unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden);
        // Taking and bringing back is one's own; what the ledger said is not.
        let id = made.id;
        let as_one = one.clone();
        let refused = catalog.write(move |tx| void(tx, &as_one, from_ms(NOW), id, "x")).unwrap_err();
        assert_eq!(refused.kind(), Kind::Forbidden);
        catalog.write(move |tx| give_back(tx, &one, from_ms(NOW), "R", now, "").map(drop)).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_two_entries_of_a_recorder_ever_overlap(
            tries in prop::collection::vec((0_i64..40, prop::option::weighted(0.9, 0_i64..12)), 1..14),
        ) {
            let (_dir, catalog) = kept();
            let mut kept: Vec<Period> = Vec::new();
            for (from, length) in tries {
                let period = Period { from, to: length.map(|n| from + n) };
                let free = !kept.iter().any(|other| other.overlaps(period));
                let made = enter(&catalog, take("1", period.from, period.to));
                prop_assert_eq!(made.is_ok(), free, "{:?} {:?} {:?}", kept, period, made);
                if free {
                    kept.push(period);
                }
            }
        }
    }
}
