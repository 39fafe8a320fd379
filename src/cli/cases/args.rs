//! Times and clips as people write them.

use chrono::{DateTime, Utc};

use crate::base::clock::from_ms;
use crate::base::when;
use crate::cases::terms;

/// A time as everywhere, or a day: its beginning, station time.
pub fn time(text: &str) -> Result<DateTime<Utc>, String> {
    when::parse(text)
        .or_else(|| when::parse(&format!("{} 00:00", text.trim())))
        .map(from_ms)
        .ok_or_else(|| "a time is written like 2026-11-24 08:30".to_owned())
}

/// `00:01:30-00:04:00`, `1:30-4:00` or `90-240.5`: milliseconds from the recording's beginning.
pub fn clip(text: &str) -> Result<(i64, i64), String> {
    let wrong = || "a clip is written like 00:01:30-00:04:00".to_owned();
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let position = |text: &str| -> Option<i64> {
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
        let part = Some(part).filter(|p| p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()))?;
        let part: i64 = format!("{part:0<3}").parse().ok()?;
        let units: Vec<&str> = whole.split(':').collect();
        if units.len() > 3 || units.iter().any(|u| u.len() > 6 || !u.bytes().all(|b| b.is_ascii_digit())) {
            return None;
        }
        // 00:99:00 is a slip of the hand; 90 alone is a minute and a half.
        if units.iter().skip(1).any(|u| u.parse::<u32>().is_ok_and(|n| n > 59)) {
            return None;
        }
        let seconds = units.iter().try_fold(0_i64, |sum, unit| Some(sum * 60 + unit.parse::<i64>().ok()?))?;
        Some(seconds * 1000 + part)
    };
    match (position(from), position(to)) {
        (Some(from), Some(to)) => Ok((from, to)),
        _ => Err(wrong()),
    }
}

/// A ground of an exemption, in either language.
pub fn ground(text: &str) -> Result<String, String> {
    terms::ground(text).map(str::to_owned).ok_or_else(|| format!("a ground is one of: {}", terms::grounds()))
}

/// `KEY=TEXT`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| "it is written like reason=TEXT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Local, TimeZone};
    use proptest::prelude::*;

    #[test]
    fn clips() {
        for (text, expected) in [
            ("00:01:30-00:04:00", Some((90_000, 240_000))),
            ("1:30-4:00.5", Some((90_000, 240_500))),
            ("90-240.25", Some((90_000, 240_250))),
            ("90", None),
            ("00:00:00-99:99:99", None),
            ("0:60-2:00", None),
            ("a-b", None),
            ("1:2:3:4-5", None),
            ("1.2345-2", None),
            ("-1-2", None),
        ] {
            assert_eq!(clip(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times() {
        let utc = time("2026-11-24T08:30:00+08:00").unwrap();
        assert_eq!(utc.to_rfc3339(), "2026-11-24T00:30:00+00:00");
        let day = Local.with_ymd_and_hms(2026, 11, 24, 0, 0, 0).unwrap().to_utc();
        assert_eq!(time("2026-11-24"), Ok(day));
        let local = Local.with_ymd_and_hms(2026, 11, 24, 8, 30, 0).unwrap().to_utc();
        for text in ["2026-11-24 08:30", "2026-11-24T08:30", "2026-11-24 08:30:00"] {
            assert_eq!(time(text), Ok(local), "{text}");
        }
        assert!(time("24.11.2026").is_err() && time("2026-13-01").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, digits in "[0-9:.T -]{0,30}") {
            let _ = (time(&text), clip(&text), pair(&text), time(&digits), clip(&digits));
        }
    }
}
