//! What may stand in a field of a register or of the ledger, however it came: typed or from a file.

use chrono::NaiveTime;

use crate::base::text::show;
use crate::base::{Error, Kind, Result};

/// Longest code, badge or recorder identity, in bytes.
const CODE: usize = 64;

fn wrong(what: String) -> Error {
    Error::new(Kind::Invalid, what)
}

fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    show(short.as_ref())
}

/// Letters that a screen does not show, or that turn the order of others around.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One line of text without blanks around it, of at most `max` characters.
///
/// # Errors
/// Says what is wrong with it.
pub fn text(text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.contains('\n') || text.contains('\r') {
        return Err(wrong(format!("`{}` goes over several lines", quoted(text)))
            .next("write it on one line; in a file, look for a quotation mark that is missing"));
    }
    if text.contains(is_odd) {
        return Err(wrong(format!("`{}` holds a control character", quoted(text))));
    }
    let count = text.chars().count();
    if count > max {
        return Err(wrong(format!("`{}` is too long: {count} characters, at most {max}", quoted(text))));
    }
    Ok(text.to_owned())
}

/// The same, and not empty.
///
/// # Errors
/// Says what is wrong with it.
pub fn needed(value: &str, max: usize) -> Result<String> {
    let value = text(value, max)?;
    if value.is_empty() { Err(wrong("it is empty".into())) } else { Ok(value) }
}

/// A unit's code or an officer's badge: one identity must not have two forms that look alike.
///
/// # Errors
/// Says what is wrong with it.
pub fn code(value: &str) -> Result<String> {
    let value = needed(value, CODE)?;
    let shown = quoted(&value);
    if value.len() > CODE {
        return Err(wrong(format!("`{shown}` is too long: {} bytes, at most {CODE}", value.len())));
    }
    if value.contains(char::is_whitespace) {
        return Err(wrong(format!("`{shown}` holds a blank")));
    }
    if value.contains(|c| matches!(c, '\u{ff01}'..='\u{ff5e}')) {
        return Err(wrong(format!("`{shown}` holds full-width characters")).next("write it in half-width"));
    }
    let spoilt = |(whole, exponent): (&str, &str)| {
        let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        number(whole) && exponent.strip_prefix('+').is_some_and(number)
    };
    if value.split_once('E').is_some_and(spoilt) {
        return Err(wrong(format!("`{shown}` is a number that a spreadsheet has rounded"))
            .next("make the column a text column in the spreadsheet, and enter the numbers again"));
    }
    if value == "-" {
        return Err(wrong("`-` is no code".into()));
    }
    Ok(value)
}

/// A recorder's identity, as a docking may give it.
///
/// # Errors
/// Says what is wrong with it.
pub fn recorder(value: &str) -> Result<String> {
    let fits = !value.trim().is_empty() && value.trim().len() <= CODE && !value.trim().contains(is_odd);
    if fits && (value.contains(['/', '\\']) || matches!(value.trim(), "." | "..")) {
        return Err(wrong(format!("`{}` is a path, and no name for a recorder", quoted(value)))
            .next("write the identity that stands on the recorder, without slashes"));
    }
    if fits {
        return Ok(value.trim().to_owned());
    }
    Err(wrong(format!("`{}` is no name for a recorder", quoted(value)))
        .next("use 1 to 64 bytes without control characters"))
}

/// A mail address, as far as its form tells.
///
/// # Errors
/// Where it cannot be one.
pub fn email(value: &str) -> Result<String> {
    let value = text(value, 254)?;
    let fits = value.split_once('@').is_some_and(|(name, host)| {
        let host_fits = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
        !name.is_empty() && host_fits && !host.contains('@')
    });
    if fits && value.is_ascii() && !value.contains([' ', ',', ';', '<', '>', '"']) {
        return Ok(value);
    }
    Err(wrong(format!("`{}` is no mail address", quoted(&value))))
}

fn hour(text: &str) -> Option<String> {
    let time = NaiveTime::parse_from_str(text.trim(), "%H:%M").ok()?;
    Some(time.format("%H:%M").to_string())
}

/// A local time of day: `08:00`.
///
/// # Errors
/// Where it is none.
pub fn time_of_day(value: &str) -> Result<String> {
    hour(value).ok_or_else(|| {
        wrong(format!("`{}` is no time of day", quoted(value))).next("a time of day is written like 08:00")
    })
}

/// A span of the local day, over midnight too: `22:00-07:00`.
///
/// # Errors
/// Where it is none.
pub fn hours(value: &str) -> Result<String> {
    let ends = value.split_once('-').and_then(|(from, to)| hour(from).zip(hour(to)));
    match ends.filter(|(from, to)| from != to) {
        Some((from, to)) => Ok(format!("{from}-{to}")),
        None => Err(wrong(format!("`{}` is no span of hours", quoted(value)))
            .next("a span of hours is written like 22:00-07:00")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_identity_has_one_form() {
        assert_eq!(code(" 湘A-0017 ").unwrap(), "湘A-0017");
        for bad in ["", "  ", "-", "1 2", "１０１", "4.30602E+17", "a\u{202e}b", "a\tb", &"9".repeat(65)] {
            assert!(code(bad).is_err(), "{bad:?}");
        }
        assert!(code("E+1").is_ok() && code("12E3").is_ok());
        assert!(recorder("执法 7").is_ok() && recorder("a\nb").is_err());
        assert!(recorder("DC/10").is_err() && recorder("..").is_err() && recorder("DC-10.b").is_ok());
    }

    #[test]
    fn forms_of_fields() {
        assert!(email("zhang@example.gov.cn").is_ok());
        for bad in ["zhang", "a@b", "a@@b.c", "a b@c.d", "a@.b.", "张@b.cn"] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert_eq!(hours("22:00-7:00").unwrap(), "22:00-07:00");
        assert!(hours("8:00-8:00").is_err() && hours("25:00-07:00").is_err() && hours("x").is_err());
        assert_eq!(time_of_day("8:05").unwrap(), "08:05");
        assert!(text("a\nb", 9).is_err() && text("abc", 2).is_err());
    }

    proptest! {
        #[test]
        fn what_is_taken_can_be_shown(value: String) {
            for taken in [code(&value), text(&value, 40), recorder(&value)].into_iter().flatten() {
                prop_assert!(!taken.contains(is_odd));
            }
            let _ = (email(&value), hours(&value), time_of_day(&value));
        }
    }
}
