//! A recorder that nobody has seen must be assumed to hold footage. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::rule::Bounds;

/// The newest entry of the ledger for a recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue {
    /// When somebody took it.
    pub issued_at: DateTime<Utc>,
    /// Whether the ledger says that it came back by hand, without a docking.
    pub returned_by_hand: bool,
}

/// The newest stay of a recorder in a dock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When everything on the card was archived.
    pub safe_at: Option<DateTime<Utc>>,
    /// When it ended; `None` while the recorder is docked.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What must be assumed of a recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumed {
    /// Nothing: it was not issued since it was last emptied.
    Nothing,
    /// It was emptied then.
    Emptied(DateTime<Utc>),
    /// It may hold footage, to be archived by then.
    Footage(Bounds),
}

/// What must be assumed of a recorder, `hours` being the archiving limit. Footage may have been made from
/// the first moment on, so that is where the time begins to run.
pub fn assume(issue: Option<Issue>, newest: Option<Stay>, hours: u32) -> Assumed {
    let Some(issue) = issue else {
        return match newest {
            Some(Stay { safe_at: None, ended_at: Some(_), started_at }) => {
                footage(started_at, hours, "it was taken from the dock before its card was archived".into())
            }
            _ => Assumed::Nothing,
        };
    };
    let since = |at: DateTime<Utc>| {
        let how = if issue.returned_by_hand {
            "it was issued, and was returned by hand without being docked"
        } else {
            "it was issued and has not been docked since"
        };
        footage(at, hours, how.to_owned())
    };
    let Some(stay) = newest else { return since(issue.issued_at) };
    match (stay.safe_at, stay.ended_at) {
        // It stands in the dock, and is emptied as it fills.
        (Some(safe), None) => Assumed::Emptied(safe.max(stay.started_at)),
        // Emptied after it was issued.
        (Some(safe), Some(_)) if stay.started_at >= issue.issued_at => Assumed::Emptied(safe),
        // Issued while it stood in the dock: out since then.
        (Some(_), Some(ended)) if ended > issue.issued_at => since(ended),
        (Some(_), Some(_)) => since(issue.issued_at),
        // Docked, and taken too early: the issue still stands for what was on it.
        (None, Some(_)) if stay.started_at >= issue.issued_at => {
            footage(issue.issued_at, hours, "it was taken from the dock before its card was archived".into())
        }
        (None, _) => since(issue.issued_at),
    }
}

fn footage(from: DateTime<Utc>, hours: u32, why: String) -> Assumed {
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
        let stay = |from, safe: Option<i64>, to: Option<i64>| {
            Some(Stay { started_at: at(from), safe_at: safe.map(at), ended_at: to.map(at) })
        };
        // (issue, newest stay, hour from which it runs; None: it does not)
        let table = [
            (None, None, None),
            (None, stay(1, Some(2), Some(3)), None),
            (None, stay(1, None, None), None),
            (None, stay(1, None, Some(2)), Some(1)),
            (issue(8), None, Some(8)),
            (by_hand, None, Some(8)),
            (by_hand, stay(1, Some(2), Some(3)), Some(8)),
            (issue(8), stay(1, Some(2), Some(3)), Some(8)),
            (issue(8), stay(9, Some(10), None), None),
            (issue(8), stay(9, Some(10), Some(11)), None),
            // docked, not yet archived: the time runs on
            (issue(8), stay(9, None, None), Some(8)),
            (issue(8), stay(9, None, Some(10)), Some(8)),
            // entered in the ledger while it stood in the dock
            (issue(8), stay(1, Some(2), None), None),
            (issue(8), stay(1, Some(2), Some(9)), Some(9)),
        ];
        for (issue, newest, from) in table {
            let due = match assume(issue, newest, 24) {
                Assumed::Footage(due) => Some(due.latest),
                _ => None,
            };
            assert_eq!(due, from.map(|h| at(h + 24)), "{issue:?} {newest:?}");
        }
    }
}
