//! Times as people write and read them, in the station's time zone.

use chrono::{DateTime, Local, NaiveDateTime, SecondsFormat, TimeZone, Utc};

use super::clock::{from_ms, to_ms};

/// Without an offset: as the commands say it, as spreadsheets save it, as forms have it.
const LOCAL: [&str; 7] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y年%m月%d日 %H:%M",
];

/// A time (milliseconds UTC): RFC 3339, or a date with a time in the station's zone. Of an hour that comes
/// twice the first is meant; one that a clock change leaves out is no time.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let offset = || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z").ok();
    let at: DateTime<Utc> = match DateTime::parse_from_rfc3339(text).ok().or_else(offset) {
        Some(at) => at.with_timezone(&Utc),
        None => {
            let naive = LOCAL.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
            Local.from_local_datetime(&naive).earliest()?.with_timezone(&Utc)
        }
    };
    // The catalogue's times; whoever means another century has mistyped.
    let ms = to_ms(at);
    (0..253_370_764_800_000).contains(&ms).then_some(ms)
}

/// A time (milliseconds UTC) for a file that spreadsheets open: exact, with the station's offset. They would
/// round a plain date and time, and leave this alone.
pub fn exact(ms: i64) -> String {
    from_ms(ms).with_timezone(&Local).to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// A time (milliseconds UTC) in a sentence, in the station's zone.
pub fn spoken(ms: i64) -> String {
    from_ms(ms).with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_forms_of_a_time_are_one_time() {
        let at = parse("2026-11-24T08:30:00Z").unwrap();
        assert_eq!(parse("2026-11-24T16:30:00+08:00"), Some(at));
        assert_eq!(parse("2026-11-24T16:30+08:00"), Some(at));
        let local = parse("2026-11-24 08:30").unwrap();
        for text in ["2026-11-24 08:30:00", " 2026-11-24T08:30 ", "2026/11/24 8:30", "2026年11月24日 08:30"]
        {
            assert_eq!(parse(text), Some(local), "{text}");
        }
        assert_eq!(parse("2026-11-24 08:30:00.125"), Some(local + 125));
    }

    #[test]
    fn what_is_no_time() {
        for text in ["", "2026-11-24", "08:30", "2026-13-01 08:30", "24.11.2026 08:30", "1960-01-01 00:00"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn exact_times_come_back(ms in 0_i64..253_000_000_000_000) {
            prop_assert_eq!(parse(&exact(ms)), Some(ms));
        }

        #[test]
        fn any_text_is_taken(text: String) {
            let _ = parse(&text);
        }
    }
}
