//! The times a recording came with, and the written rule that chooses one (I9).

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// Every time known of a recording, each with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Times {
    /// From the file name, in the profile's zone.
    pub name: Option<DateTime<Utc>>,
    /// From the container (`creation_time`): often local time written as if it were UTC.
    pub container: Option<DateTime<Utc>>,
    /// The modification time on the card: on FAT in steps of 2 s, without a zone.
    pub filesystem: Option<DateTime<Utc>>,
    /// When the station first saw the file: the only time by a clock we know.
    pub first_seen: DateTime<Utc>,
}

/// The time a recording is filed under, and why that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The time.
    pub at: DateTime<Utc>,
    /// Which rule chose it.
    pub rule: &'static str,
}

/// 2010-01-01: no recorder in use was made before; reset clocks begin in 1970, 1980 or 2000.
pub const EARLIEST: DateTime<Utc> = DateTime::from_timestamp(1_262_304_000, 0).unwrap();
/// How far a recorder's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// The rule: the first of name, container and file system that is plausible, which is from
/// 2010-01-01 to a day after it was first seen; else when it was first seen.
pub fn choose(times: &Times) -> Chosen {
    let latest = times.first_seen.checked_add_signed(AHEAD).unwrap_or(times.first_seen);
    let sources = [
        (times.name, "name"),
        (times.container, "container (may be local time)"),
        (times.filesystem, "filesystem"),
    ];
    for (time, rule) in sources {
        if let Some(at) = time.filter(|t| (EARLIEST..=latest).contains(t)) {
            return Chosen { at, rule };
        }
    }
    Chosen { at: times.first_seen, rule: "first seen" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("{text}:00Z").parse().unwrap()
    }

    #[test]
    fn the_first_plausible_source_is_chosen() {
        let seen = "2026-11-23T12:00";
        let (ok, reset, future) = ("2026-11-22T08:00", "1980-01-01T00:00", "2026-11-24T12:01");
        let table = [
            ([Some(ok), None, None], ok, "name"),
            ([Some(reset), Some(ok), None], ok, "container (may be local time)"),
            ([None, Some(ok), Some(reset)], ok, "container (may be local time)"),
            ([Some(future), None, Some(ok)], ok, "filesystem"),
            ([Some("2000-01-01T00:00"), Some("1970-01-01T00:00"), Some(reset)], seen, "first seen"),
            ([None, None, None], seen, "first seen"),
            ([Some("2026-11-24T12:00"), Some(ok), Some(ok)], "2026-11-24T12:00", "name"),
            ([Some("2010-01-01T00:00"), None, None], "2010-01-01T00:00", "name"),
            ([Some("2009-12-31T23:59"), None, None], seen, "first seen"),
        ];
        for ([name, container, filesystem], expected, rule) in table {
            let times = Times {
                name: name.map(at),
                container: container.map(at),
                filesystem: filesystem.map(at),
                first_seen: at(seen),
            };
            assert_eq!(choose(&times), Chosen { at: at(expected), rule }, "{times:?}");
        }
    }

    proptest! {
        #[test]
        fn the_choice_is_one_of_the_sources_and_never_far_ahead(
            secs in proptest::array::uniform3(proptest::option::of(-9_000_000_000_000i64..9_000_000_000_000)),
            seen in -8_000_000_000_000i64..8_000_000_000_000,
        ) {
            let time = |s| DateTime::from_timestamp(s, 0);
            let [name, container, filesystem] = secs.map(|s| s.and_then(time));
            let first_seen = time(seen).unwrap_or_default();
            let times = Times { name, container, filesystem, first_seen };
            let at = choose(&times).at;
            prop_assert!([name, container, filesystem, Some(first_seen)].contains(&Some(at)));
            prop_assert!(at == first_seen || (at >= EARLIEST && at - first_seen <= AHEAD));
        }
    }
}
