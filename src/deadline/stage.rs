//! How a deadline stands at a moment, and when that changes by time alone. Pure.

use chrono::{DateTime, TimeDelta, Utc};

/// How a running deadline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// There is time.
    Quiet,
    /// It is due soon.
    Soon,
    /// Past its earliest bound, by so many whole days; `certain` past its latest as well.
    Overdue {
        /// Whole days past the earliest bound.
        days: u32,
        /// Whether even the latest bound is past.
        certain: bool,
    },
}

/// How a deadline with these bounds stands at `now`; somebody is warned `soon` before it.
pub fn stage(earliest: DateTime<Utc>, latest: DateTime<Utc>, soon: TimeDelta, now: DateTime<Utc>) -> Stage {
    let past = now.signed_duration_since(earliest);
    if past > TimeDelta::zero() {
        let days = u32::try_from(past.num_days()).unwrap_or(u32::MAX);
        return Stage::Overdue { days, certain: now > latest };
    }
    if past >= -soon { Stage::Soon } else { Stage::Quiet }
}

/// The next moment after `now` at which [`stage`] changes by time alone.
pub fn next_change(
    earliest: DateTime<Utc>,
    latest: DateTime<Utc>,
    soon: TimeDelta,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let tick = TimeDelta::milliseconds(1);
    let past = now.signed_duration_since(earliest);
    let days = if past > TimeDelta::zero() { past.num_days() + 1 } else { 1 };
    let candidates = [
        earliest.checked_sub_signed(soon),
        earliest.checked_add_signed(tick),
        latest.checked_add_signed(tick),
        TimeDelta::try_days(days).and_then(|d| earliest.checked_add_signed(d)),
    ];
    candidates.into_iter().flatten().filter(|t| *t > now).min().unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(ms).unwrap()
    }

    #[test]
    fn stages_follow_each_other() {
        let (due, latest, soon) = (at(0), at(3_600_000), TimeDelta::hours(4));
        let hour = 3_600_000;
        let table = [
            (-5 * hour, Stage::Quiet),
            (-4 * hour, Stage::Soon),
            (0, Stage::Soon),
            (1, Stage::Overdue { days: 0, certain: false }),
            (hour, Stage::Overdue { days: 0, certain: false }),
            (hour + 1, Stage::Overdue { days: 0, certain: true }),
            (24 * hour, Stage::Overdue { days: 1, certain: true }),
            (50 * hour, Stage::Overdue { days: 2, certain: true }),
        ];
        for (now, expected) in table {
            assert_eq!(stage(due, latest, soon, at(now)), expected, "{now}");
        }
    }

    proptest! {
        /// Nobody who wakes only at the moments that `next_change` names misses a change.
        #[test]
        fn between_two_changes_nothing_changes(
            span in 0i64..200_000_000, soon in 0i64..200_000_000, now in -400_000_000i64..400_000_000, share in 0.0f64..1.0,
        ) {
            let (due, latest, soon) = (at(0), at(span), TimeDelta::milliseconds(soon));
            let next = next_change(due, latest, soon, at(now));
            prop_assert!(next > at(now));
            let between = now + ((next.timestamp_millis() - 1 - now) as f64 * share) as i64;
            prop_assert_eq!(stage(due, latest, soon, at(now)), stage(due, latest, soon, at(between)));
            prop_assert_ne!(stage(due, latest, soon, at(now)), stage(due, latest, soon, next));
        }
    }
}
