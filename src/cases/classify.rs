//! Who may know of a recording or a case (article 31 of the founding rule), as data.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::text;
use crate::access::{Deed, Person};
use crate::base::{Error, Kind, Result};
use crate::catalog::dockings::By;
use crate::catalog::{Connection, links, recordings, rights};
use crate::custody::log;

/// The classes there are: 公开, 内部, 个人隐私, 商业秘密, 国家秘密.
pub const CLASSES: [&str; 5] = ["public", "internal", "privacy", "commercial", "secret"];

/// Refuses a word that is no class.
pub(super) fn class(word: &str) -> Result<String> {
    if CLASSES.contains(&word) {
        return Ok(word.to_owned());
    }
    Err(Error::new(Kind::Invalid, format!("there is no class `{word}`"))
        .next(format!("these are known: {}", CLASSES.join(", "))))
}

/// Gives a recording its class; whether it was another before.
///
/// # Errors
/// [`Kind::Forbidden`], an unknown recording or class, a missing reason.
pub fn recording(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    id: &str,
    word: &str,
    why: &str,
) -> Result<bool> {
    let found = recordings::find(tx, id)?;
    rights::check(tx, who, Deed::ClassifyRecording, &links::about(tx, &found)?)?;
    let (word, why) = (class(word)?, text::needed("the reason", why)?);
    let was = links::classification(tx, &found.id)?;
    if was == word {
        return Ok(false);
    }
    links::set_classification(tx, &found.id, &word)?;
    let by = By { actor: who.actor.clone(), at };
    let details = json!({ "classification": word, "was": was, "why": why });
    log::append(tx, &by.entry("recording.classified", format!("recording:{}", found.id), details))?;
    Ok(true)
}
