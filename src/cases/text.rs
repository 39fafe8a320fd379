//! What people write into a case, held to one line of a sensible length.

use crate::base::{Error, Kind, Result};

/// Bytes of a title, an address, a reason. Chinese has three to a character.
const LONGEST: usize = 1500;

/// A text that must be there, without blanks around it; `what` says which.
pub(super) fn needed(what: &str, text: &str) -> Result<String> {
    let text = optional(what, text)?;
    if text.is_empty() {
        return Err(Error::new(Kind::Invalid, format!("{what} is empty")));
    }
    Ok(text)
}

/// A text that may be empty.
pub(super) fn optional(what: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.len() > LONGEST {
        let long = format!("{what} is too long: {} bytes, at most {LONGEST}", text.len());
        return Err(Error::new(Kind::Invalid, long));
    }
    // Bidirectional overrides would let a name lie about itself on a screen.
    let harmful = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().any(harmful) {
        return Err(Error::new(Kind::Invalid, format!("{what} has line breaks or control characters")));
    }
    Ok(text.to_owned())
}
