//! When a message may reach a person: quiet hours and the one message a day. Pure.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};

/// Local hours in which only what is urgent reaches somebody; over midnight where the end is before the
/// beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: NaiveTime,
    to: NaiveTime,
}

fn clock(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text.trim(), "%H:%M").ok()
}

impl Quiet {
    /// `22:00-07:00`; `None` where it is no such text, or says nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (clock(from)?, clock(to)?);
        (from != to).then_some(Self { from, to })
    }

    fn holds(self, at: NaiveTime) -> bool {
        if self.from < self.to { at >= self.from && at < self.to } else { at >= self.from || at < self.to }
    }
}

/// The local time of the one message a day: `08:00`.
pub fn parse_digest(text: &str) -> Option<NaiveTime> {
    clock(text)
}

/// A local time as an instant; one that a change of the clocks leaves out is the next there is.
fn instant<Z: TimeZone>(zone: &Z, day: NaiveDate, time: NaiveTime) -> Option<DateTime<Utc>> {
    let mut local = day.and_time(time);
    for _ in 0..4 {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return Some(at.with_timezone(&Utc)),
            LocalResult::None => local += TimeDelta::minutes(30),
        }
    }
    None
}

/// The next time that the clock on the wall shows `time`, now at the earliest.
fn next<Z: TimeZone>(now: &DateTime<Z>, time: NaiveTime) -> DateTime<Utc> {
    let today = now.date_naive();
    let utc = now.with_timezone(&Utc);
    let on = |day: Option<NaiveDate>| instant(&now.timezone(), day?, time).filter(|at| *at >= utc);
    on(Some(today))
        .or_else(|| on(today.checked_add_days(Days::new(1))))
        .or_else(|| on(today.checked_add_days(Days::new(2))))
        .unwrap_or(utc)
}

/// When something that is to be told `now` goes out to a person. What is urgent goes at once. Who wants one
/// message a day gets it then, quiet hours or not: it is the time they chose.
pub fn goes_at<Z: TimeZone>(
    now: &DateTime<Z>,
    urgent: bool,
    quiet: Option<Quiet>,
    digest: Option<NaiveTime>,
) -> DateTime<Utc> {
    match (urgent, digest, quiet) {
        (true, _, _) => now.with_timezone(&Utc),
        (false, Some(time), _) => next(now, time),
        (false, None, Some(quiet)) if quiet.holds(now.time()) => next(now, quiet.to),
        (false, None, _) => now.with_timezone(&Utc),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339(&format!("{text}+08:00")).unwrap()
    }

    #[test]
    fn quiet_hours_and_daily_messages() {
        let night = Quiet::parse("22:00-07:00");
        let noon = Quiet::parse("12:00-14:00");
        let eight = parse_digest("08:00");
        for (now, urgent, quiet, digest, then) in [
            ("2026-11-24T09:00:00", false, None, None, "2026-11-24T09:00:00"),
            ("2026-11-24T23:30:00", false, night, None, "2026-11-25T07:00:00"),
            ("2026-11-24T06:59:59", false, night, None, "2026-11-24T07:00:00"),
            ("2026-11-24T07:00:00", false, night, None, "2026-11-24T07:00:00"),
            ("2026-11-24T22:00:00", false, night, None, "2026-11-25T07:00:00"),
            ("2026-11-24T13:00:00", false, noon, None, "2026-11-24T14:00:00"),
            ("2026-11-24T14:00:00", false, noon, None, "2026-11-24T14:00:00"),
            ("2026-11-24T23:30:00", true, night, eight, "2026-11-24T23:30:00"),
            ("2026-11-24T07:59:00", false, None, eight, "2026-11-24T08:00:00"),
            ("2026-11-24T08:00:00", false, None, eight, "2026-11-24T08:00:00"),
            ("2026-11-24T08:00:01", false, night, eight, "2026-11-25T08:00:00"),
        ] {
            assert_eq!(goes_at(&at(now), urgent, quiet, digest), at(then), "{now}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "22:00", "22:00-", "25:00-07:00", "07:00-07:00", "a-b"] {
            assert_eq!(Quiet::parse(text), None, "{text}");
        }
        assert_eq!(parse_digest("8 o'clock"), None);
    }

    proptest! {
        #[test]
        fn nothing_goes_early_in_quiet_hours_or_more_than_a_day_late(
            seconds in 0i64..4_000_000_000, from in 0u32..1440, to in 0u32..1440, digest in prop::option::of(0u32..1440),
            urgent: bool,
        ) {
            let time = |m: u32| NaiveTime::from_hms_opt(m / 60, m % 60, 0).unwrap();
            let quiet = (from != to).then(|| Quiet { from: time(from), to: time(to) });
            let now = FixedOffset::east_opt(8 * 3600).unwrap().timestamp_opt(seconds, 0).unwrap();
            let then = goes_at(&now, urgent, quiet, digest.map(time));
            prop_assert!(then >= now && then - now.with_timezone(&Utc) <= TimeDelta::hours(24));
            if urgent {
                prop_assert_eq!(then, now);
            } else if digest.is_none() && let Some(quiet) = quiet {
                prop_assert!(!quiet.holds(then.with_timezone(&now.timezone()).time()));
            }
        }
    }
}
