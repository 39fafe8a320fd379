//! A recorder that nobody has seen must be assumed to hold footage. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::rule::Bounds;

/// One stay of a recorder in a dock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None` while the recorder is docked.
    pub ended_at: Option<DateTime<Utc>>,
    /// What became of what was on the card.
    pub card: Card,
}

/// What a stay has shown of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// Everything was archived, last known so at this moment.
    Emptied(DateTime<Utc>),
    /// It was looked through; what is not archived is known, and has deadlines of its own.
    Known,
    /// Nobody knows what was left on it.
    Unknown,
}

/// An entry of the ledger that stands since the card was last emptied or known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue {
    /// When somebody took it.
    pub issued_at: DateTime<Utc>,
    /// Whether the newest entry says that it came back by hand, without a docking.
    pub returned_by_hand: bool,
}

/// What must be assumed of a recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumed {
    /// Nothing: it was never out since it was last emptied.
    Nothing,
    /// It was emptied then.
    Emptied(DateTime<Utc>),
    /// What is on it is known, and has deadlines of its own.
    Known,
    /// It may hold footage, to be archived by then.
    Footage(Bounds),
}

/// The newest stay that has settled what was on the card, and the first after it that has not.
/// `stays` are the newest first.
pub fn settle(stays: &[Stay]) -> (Option<Stay>, Option<Stay>) {
    let settled = stays.iter().position(|s| s.card != Card::Unknown);
    let after = &stays[..settled.unwrap_or(stays.len())];
    (settled.map(|i| stays[i]), after.last().copied())
}

/// What must be assumed of a recorder, `hours` being the archiving limit. `issue` is the first entry of the
/// ledger since the stay that settled it began: footage may have been made from then on, and neither a return
/// by hand nor another issue takes it off the card.
pub fn assume(issue: Option<Issue>, settled: Option<Stay>, unsettled: Option<Stay>, hours: u32) -> Assumed {
    let docked = settled.is_some_and(|s| s.ended_at.is_none());
    // Out since it was issued; or, issued while it stood in the dock, since it left.
    let out = issue.filter(|_| !docked).map(|i| {
        let left = settled.and_then(|s| s.ended_at).unwrap_or(i.issued_at);
        let why = match (i.returned_by_hand, unsettled.is_some_and(|s| s.ended_at.is_some())) {
            (_, true) => "it was taken from the dock before its card was archived",
            (true, _) => "it was issued, and was returned by hand without being docked",
            (false, _) => "it was issued and has not been docked since",
        };
        (i.issued_at.max(left), why)
    });
    let left_behind = unsettled
        .filter(|s| s.ended_at.is_some())
        .map(|s| (s.started_at, "it was taken from the dock before its card was archived"));
    match (out.or(left_behind), settled.map(|s| (s, s.card))) {
        (Some((from, why)), _) => footage(from, hours, why),
        (None, Some((_, Card::Emptied(at)))) => Assumed::Emptied(at),
        (None, Some((_, Card::Known))) => Assumed::Known,
        (None, _) => Assumed::Nothing,
    }
}

fn footage(from: DateTime<Utc>, hours: u32, why: &str) -> Assumed {
    let due = from.checked_add_signed(TimeDelta::hours(i64::from(hours))).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let reason = format!("{why}; footage must be assumed, due {hours} h after that");
    Assumed::Footage(Bounds { earliest: due, latest: due, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_764_000_000 + hour * 3600, 0).unwrap()
    }

    #[test]
    fn what_is_out_of_sight_is_assumed_to_hold_footage() {
        let issue = |h| Some(Issue { issued_at: at(h), returned_by_hand: false });
        let by_hand = Some(Issue { issued_at: at(8), returned_by_hand: true });
        let stay = |from, card, to: Option<i64>| Stay { started_at: at(from), card, ended_at: to.map(at) };
        let safe = |h| Card::Emptied(at(h));
        let unknown = Card::Unknown;
        // (first issue since, stays with the newest first, hour from which it runs; None: it does not)
        let table = [
            (None, vec![], None),
            (None, vec![stay(1, safe(2), Some(3))], None),
            (None, vec![stay(1, unknown, None)], None),
            (None, vec![stay(1, unknown, Some(2))], Some(1)),
            // several stays that came to nothing: from the first
            (
                None,
                vec![stay(5, unknown, Some(6)), stay(3, unknown, Some(4)), stay(1, safe(1), Some(2))],
                Some(3),
            ),
            (issue(8), vec![], Some(8)),
            (by_hand, vec![], Some(8)),
            (by_hand, vec![stay(1, safe(2), Some(3))], Some(8)),
            (issue(8), vec![stay(1, safe(2), Some(3))], Some(8)),
            // docked, not yet archived: the time runs on
            (issue(8), vec![stay(9, unknown, None)], Some(8)),
            (issue(8), vec![stay(9, unknown, Some(10)), stay(1, safe(2), Some(3))], Some(8)),
            // entered in the ledger while it stood in the dock
            (issue(8), vec![stay(1, safe(2), None)], None),
            (issue(8), vec![stay(1, safe(2), Some(9))], Some(9)),
            // looked through, and what is left is known
            (None, vec![stay(9, Card::Known, Some(10))], None),
            (issue(12), vec![stay(9, Card::Known, Some(10))], Some(12)),
        ];
        for (issue, stays, from) in table {
            let (settled, unsettled) = settle(&stays);
            let due = match assume(issue, settled, unsettled, 24) {
                Assumed::Footage(due) => Some(due.latest),
                _ => None,
            };
            assert_eq!(due, from.map(|h| at(h + 24)), "{issue:?} {stays:?}");
        }
    }
}
