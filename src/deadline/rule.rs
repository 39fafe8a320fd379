//! When a recording ended, and so when it is due, with the reasoning in words. Pure.
//!
//! A recorder's clock is evidence, not truth (I9). Where it is credible the due time is one moment;
//! where it is not, facts by the station's own clock give two bounds: people are warned from the
//! earliest, and lateness is held against somebody only past the latest.

use chrono::{DateTime, Local, NaiveDate, TimeDelta, TimeZone, Utc};

use crate::card::times::EARLIEST;

/// How far times of one event may lie apart: FAT keeps 2 s steps, recorders finish files late, and
/// clocks drift some minutes between two dockings.
const SLACK: TimeDelta = TimeDelta::minutes(10);
/// The least bits per second that footage is recorded with: a small H.265 picture, and AMR at 4.75 kbit/s.
const LEAST_VIDEO: u64 = 64_000;
const LEAST_AUDIO: u64 = 4_750;

/// What is known of when a recording was made.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When it began, by its file name.
    pub name: Option<DateTime<Utc>>,
    /// When it was last written to, by the card's file system.
    pub modified: Option<DateTime<Utc>>,
    /// How long it plays, by its container.
    pub length: Option<TimeDelta>,
    /// `video`, `audio`, `photo`.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// How far the recorder's clock was ahead of the station's, where it was measured.
    pub ahead: Option<TimeDelta>,
    /// When the station first saw it.
    pub first_seen: DateTime<Utc>,
    /// The last moment by the station's clock that is known of the recorder before.
    pub not_before: Option<NotBefore>,
}

/// What is known of a recorder before a recording was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBefore {
    /// The whole card was seen then, without it: it cannot be older, whatever its own times say.
    Docked(DateTime<Utc>),
    /// The recorder was issued then. Its card may have held footage already, so this bounds only what no
    /// credible time is known of.
    Issued(DateTime<Utc>),
}

impl NotBefore {
    /// The moment.
    pub fn at(self) -> DateTime<Utc> {
        match self {
            Self::Docked(at) | Self::Issued(at) => at,
        }
    }
}

/// Two bounds of a moment, equal where it is known, and the reasoning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Not earlier than this.
    pub earliest: DateTime<Utc>,
    /// Not later than this.
    pub latest: DateTime<Utc>,
    /// The reasoning.
    pub reason: String,
}

impl Bounds {
    fn exact(at: DateTime<Utc>, reason: String) -> Self {
        Self { earliest: at, latest: at, reason }
    }

    /// Whether the moment is only known between bounds.
    pub fn is_estimated(&self) -> bool {
        self.earliest < self.latest
    }
}

/// A time as reasons write it: station time with its offset.
fn shown(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// The longest that a file of this size can play; `None` for what plays no time.
fn longest(facts: &Facts) -> TimeDelta {
    let least = match facts.kind.as_str() {
        "photo" => return TimeDelta::zero(),
        "audio" => LEAST_AUDIO,
        _ => LEAST_VIDEO,
    };
    let seconds = facts.size.saturating_mul(8) / least;
    i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX)
}

fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Why a time of the recorder's clock is not credible; `None` where it is.
fn doubt(at: DateTime<Utc>, facts: &Facts) -> Option<&'static str> {
    if at < EARLIEST {
        return Some("it shows a time before 2010");
    }
    if at > later(facts.first_seen, SLACK) {
        return Some("it shows a time after the file was first seen");
    }
    match facts.not_before {
        Some(NotBefore::Docked(then)) if later(at, SLACK) < then => {
            Some("it shows a time before the last docking, when the file was not there")
        }
        _ => None,
    }
}

/// When a recording ended, by the most credible time.
pub fn end(facts: &Facts) -> Bounds {
    let ahead = facts.ahead.unwrap_or_default();
    let true_time = |at: DateTime<Utc>| at.checked_sub_signed(ahead).unwrap_or(at);
    let (name, modified) = (facts.name.map(true_time), facts.modified.map(true_time));
    let mut bounds = by_clock(name, modified, facts);
    if facts.ahead.is_some_and(|a| a.num_seconds() != 0) && !bounds.is_estimated() {
        let seconds = ahead.num_seconds().abs();
        let word = if ahead > TimeDelta::zero() { "ahead" } else { "behind" };
        bounds.reason = match word {
            "ahead" => {
                format!("{}; the recorder's clock was {seconds} s ahead, which is taken off", bounds.reason)
            }
            _ => format!("{}; the recorder's clock was {seconds} s behind, which is added", bounds.reason),
        };
    }
    // Nothing ends after it was seen, nor while the card was known to be without it.
    let not_before = match facts.not_before {
        Some(NotBefore::Docked(then)) => then.min(facts.first_seen),
        _ => DateTime::<Utc>::MIN_UTC,
    };
    bounds.latest = bounds.latest.clamp(not_before, facts.first_seen);
    bounds.earliest = bounds.earliest.clamp(not_before, bounds.latest);
    bounds
}

fn by_clock(name: Option<DateTime<Utc>>, modified: Option<DateTime<Utc>>, facts: &Facts) -> Bounds {
    let longest = longest(facts);
    let why = match name {
        Some(began) => match doubt(began, facts) {
            None => return from_name(began, modified, longest, facts),
            why => why,
        },
        None => match modified.map(|ended| (ended, doubt(ended, facts))) {
            Some((ended, None)) => {
                let reason = format!("it ended at {} by its modification time on the card", shown(ended));
                return Bounds::exact(ended, reason);
            }
            Some((_, why)) => why,
            None => Some("it shows no time"),
        },
    };
    by_facts(why.unwrap_or("it shows no time"), facts)
}

fn from_name(
    began: DateTime<Utc>,
    modified: Option<DateTime<Utc>>,
    longest: TimeDelta,
    facts: &Facts,
) -> Bounds {
    if let Some(length) = facts.length.filter(|l| *l >= TimeDelta::zero() && *l <= later_by(longest)) {
        let ended = later(began, length);
        let reason = format!("it ended at {} by its file name and its length", shown(ended));
        return Bounds::exact(ended, reason);
    }
    let last = later(began, longest);
    if let Some(ended) = modified.filter(|m| later(*m, SLACK) >= began && *m <= later(last, SLACK)) {
        let ended = ended.max(began);
        let reason = format!(
            "it ended at {} by its modification time on the card, which fits its file name",
            shown(ended)
        );
        return Bounds::exact(ended, reason);
    }
    let reason = format!(
        "it began at {} by its file name, and at its size it ended by {} at the latest",
        shown(began),
        shown(last.min(facts.first_seen))
    );
    Bounds { earliest: began, latest: last, reason }
}

fn later_by(longest: TimeDelta) -> TimeDelta {
    longest.checked_add(&SLACK).unwrap_or(longest)
}

fn by_facts(why: &str, facts: &Facts) -> Bounds {
    let seen = shown(facts.first_seen);
    let (earliest, reason) = match facts.not_before {
        Some(NotBefore::Docked(at)) => (
            at,
            format!(
                "the recorder's clock is not credible ({why}); it ended between the last docking at {} and {seen}, when it was first seen",
                shown(at)
            ),
        ),
        Some(NotBefore::Issued(at)) => (
            at.min(facts.first_seen),
            format!(
                "the recorder's clock is not credible ({why}); it ended between the recorder's issue at {} and {seen}, when it was first seen",
                shown(at)
            ),
        ),
        None => (
            facts.first_seen,
            format!(
                "the recorder's clock is not credible ({why}), and nothing is known of the recorder before; counted from {seen}, when it was first seen"
            ),
        ),
    };
    Bounds { earliest, latest: facts.first_seen, reason }
}

/// When a recording is due: `hours` after its end (article 28).
pub fn archive_by(facts: &Facts, hours: u32) -> Bounds {
    let end = end(facts);
    let limit = TimeDelta::hours(i64::from(hours));
    Bounds {
        earliest: later(end.earliest, limit),
        latest: later(end.latest, limit),
        reason: format!("{}; due {hours} h after its end", end.reason),
    }
}

/// When a case file is due: at the end of the day `days` days after the day the act ended, which itself
/// is not counted (article 28; periods by days as in articles 201 and 203 of 民法典).
pub fn case_by(act_ended: DateTime<Utc>, days: u32) -> Bounds {
    let day = act_ended.with_timezone(&Local).date_naive();
    let last = day.checked_add_days(chrono::Days::new(u64::from(days))).unwrap_or(NaiveDate::MAX);
    let at = last
        .and_hms_milli_opt(23, 59, 59, 999)
        .and_then(|end| Local.from_local_datetime(&end).latest())
        .map_or_else(|| later(act_ended, TimeDelta::days(i64::from(days) + 1)), |t| t.to_utc());
    let reason = format!("the act ended on {day}; due at the end of day {days} after it");
    Bounds::exact(at, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    fn facts() -> Facts {
        Facts {
            name: None,
            modified: None,
            length: None,
            kind: "video".into(),
            // An hour at the least rate.
            size: LEAST_VIDEO / 8 * 3600,
            ahead: None,
            first_seen: at("11-23T18:00"),
            not_before: None,
        }
    }

    #[test]
    fn the_end_is_told_by_the_most_credible_time() {
        let (docked, issued) = (NotBefore::Docked(at("11-22T20:00")), NotBefore::Issued(at("11-23T07:30")));
        let minutes = |n| Some(TimeDelta::minutes(n));
        let name = |t| Some(at(t));
        let table = [
            // name and length
            (
                Facts { name: name("11-23T08:00"), length: minutes(12), ..facts() },
                "11-23T08:12",
                "11-23T08:12",
                "its length",
            ),
            // a length that its size cannot hold is a lie
            (
                Facts {
                    name: name("11-23T08:00"),
                    length: minutes(600),
                    modified: name("11-23T08:20"),
                    ..facts()
                },
                "11-23T08:20",
                "11-23T08:20",
                "fits its file name",
            ),
            // an upload set the modification time: only the size bounds it
            (
                Facts { name: name("11-23T08:00"), modified: name("11-23T17:00"), ..facts() },
                "11-23T08:00",
                "11-23T09:00",
                "at its size",
            ),
            (
                Facts { modified: name("11-23T09:30"), ..facts() },
                "11-23T09:30",
                "11-23T09:30",
                "by its modification time",
            ),
            // a photo takes no time
            (
                Facts { kind: "photo".into(), name: name("11-23T08:00"), ..facts() },
                "11-23T08:00",
                "11-23T08:00",
                "at its size",
            ),
            // a clock five minutes ahead, measured
            (
                Facts { modified: name("11-23T09:30"), ahead: minutes(5), ..facts() },
                "11-23T09:25",
                "11-23T09:25",
                "300 s ahead",
            ),
            (
                Facts { modified: name("11-23T09:30"), ahead: minutes(-5), ..facts() },
                "11-23T09:35",
                "11-23T09:35",
                "300 s behind",
            ),
            // a clock some minutes ahead, not measured: nothing ends after it was seen
            (
                Facts { modified: name("11-23T18:05"), ..facts() },
                "11-23T18:00",
                "11-23T18:00",
                "by its modification time",
            ),
            // reset clocks: bounds by facts
            (
                Facts { name: Some(DateTime::UNIX_EPOCH), not_before: Some(docked), ..facts() },
                "11-22T20:00",
                "11-23T18:00",
                "before 2010",
            ),
            (
                Facts { modified: Some(DateTime::UNIX_EPOCH), not_before: Some(issued), ..facts() },
                "11-23T07:30",
                "11-23T18:00",
                "recorder's issue",
            ),
            (
                Facts { name: name("11-25T08:00"), ..facts() },
                "11-23T18:00",
                "11-23T18:00",
                "nothing is known",
            ),
            (
                Facts { modified: Some(DateTime::UNIX_EPOCH), not_before: Some(issued), ..facts() },
                "11-23T07:30",
                "11-23T18:00",
                "recorder's issue",
            ),
            // an issue empties no card: what it held before has its own time
            (
                Facts { modified: name("11-22T15:00"), not_before: Some(issued), ..facts() },
                "11-22T15:00",
                "11-22T15:00",
                "by its modification time",
            ),
            // a time at which the card was seen without it
            (
                Facts { name: name("11-22T08:00"), not_before: Some(docked), ..facts() },
                "11-22T20:00",
                "11-23T18:00",
                "was not there",
            ),
            (Facts { ..facts() }, "11-23T18:00", "11-23T18:00", "shows no time"),
        ];
        for (facts, earliest, latest, why) in table {
            let end = end(&facts);
            assert_eq!((end.earliest, end.latest), (at(earliest), at(latest)), "{facts:?}: {}", end.reason);
            assert!(end.reason.contains(why), "{} lacks {why}", end.reason);
        }
    }

    #[test]
    fn a_recording_is_due_24_hours_after_its_end() {
        let due = archive_by(&Facts { modified: Some(at("11-22T18:00")), ..facts() }, 24);
        assert_eq!((due.earliest, due.latest), (at("11-23T18:00"), at("11-23T18:00")));
        assert!(due.reason.ends_with("due 24 h after its end"), "{}", due.reason);
    }

    #[test]
    fn a_case_is_due_at_the_end_of_a_day() {
        let due = case_by(at("10-01T03:00"), 30);
        let local = due.latest.with_timezone(&Local);
        assert_eq!(local.format("%m-%d %H:%M:%S").to_string(), "10-31 23:59:59");
        assert!(!due.is_estimated());
    }

    proptest! {
        #[test]
        fn bounds_hold_whatever_is_told(
            name in proptest::option::of(-9_000_000_000_000i64..9_000_000_000_000),
            modified in proptest::option::of(-9_000_000_000_000i64..9_000_000_000_000),
            length in proptest::option::of(i64::MIN / 1000..i64::MAX / 1000),
            ahead in proptest::option::of(i64::MIN / 1000..i64::MAX / 1000),
            size: u64,
            before in proptest::option::of(0i64..4_000_000_000),
            seen in 0i64..4_000_000_000,
            hours in 1u32..9000,
            kind in "video|audio|photo|other",
        ) {
            let time = |s: i64| DateTime::from_timestamp(s, 0);
            let facts = Facts {
                name: name.and_then(time),
                modified: modified.and_then(time),
                length: length.and_then(TimeDelta::try_milliseconds),
                kind,
                size,
                ahead: ahead.and_then(TimeDelta::try_milliseconds),
                first_seen: time(seen).unwrap(),
                not_before: before.and_then(time).map(NotBefore::Docked),
            };
            let end = end(&facts);
            prop_assert!(end.earliest <= end.latest);
            prop_assert!(end.latest <= facts.first_seen);
            if let Some(before) = facts.not_before.map(NotBefore::at).filter(|b| *b <= facts.first_seen) {
                prop_assert!(end.earliest >= before);
            }
            let due = archive_by(&facts, hours);
            prop_assert_eq!(due.latest - end.latest, TimeDelta::hours(i64::from(hours)));
            prop_assert!(due.earliest <= due.latest);
        }

        #[test]
        fn any_act_end_gives_a_case_its_day(seconds in -9_000_000_000_000i64..9_000_000_000_000, days in 1u32..3660) {
            let ended = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
            let due = case_by(ended, days);
            prop_assert!(due.latest > ended);
        }
    }
}
