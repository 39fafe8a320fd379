//! What changes of a case's steps: when they took place, whether they do at all, what is told of them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::case::{entry, find_for, still_open};
use super::holes::{asks, told};
use super::text;
use crate::access::{Deed, Person};
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::base::{Error, Kind, Result};
use crate::catalog::{Connection, steps};

/// What is to be changed of a step; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct StepChanges {
    /// When it began; `Some(None)` forgets it.
    pub from: Option<Option<DateTime<Utc>>>,
    /// When it ended; `Some(None)` forgets it.
    pub to: Option<Option<DateTime<Utc>>>,
    /// Whether it takes place in this case; not without a reason.
    pub applies: Option<(bool, String)>,
    /// What is told of it in words: key and text.
    pub told: Vec<(String, String)>,
}

/// Changes a step: its time, whether it takes place, what is told of it; whether anything was other before.
///
/// # Errors
/// [`Kind::Forbidden`], a closed case, an unknown step; an end before its beginning; a step with footage, a
/// time, words or an exemption cannot be called not taking place.
pub fn set_step(
    tx: &Connection,
    who: &Person,
    at: DateTime<Utc>,
    number: &str,
    step: &str,
    changes: &StepChanges,
) -> Result<bool> {
    let case = find_for(tx, who, Deed::ChangeCase, number)?;
    still_open(&case)?;
    let old = steps::find(tx, case.id, step)?;
    let mut new = old.clone();
    let mut details = Map::new();
    if let Some((applies, why)) = &changes.applies
        && *applies != old.applies
    {
        let why = text::needed("the reason", why)?;
        if *applies {
            (new.applies, new.why_not, new.waived_by, new.waived_ok) = (true, String::new(), None, None);
        } else {
            super::waive::waive(tx, who, &case, &mut new, &why)?;
        }
        details.insert("applies".into(), (*applies).into());
        details.insert("why".into(), why.into());
    }
    for (name, change, was, is) in
        [("from", changes.from, old.from_at, &mut new.from_at), ("to", changes.to, old.to_at, &mut new.to_at)]
    {
        let Some(time) = change else { continue };
        *is = time.map(to_ms);
        if *is != was {
            let text = |ms: Option<i64>| ms.map(|ms| rfc3339(from_ms(ms)));
            details.insert(name.into(), json!({ "was": text(was), "is": text(*is) }));
        }
    }
    if let (Some(from), Some(to)) = (new.from_at, new.to_at)
        && to < from
    {
        return Err(Error::new(Kind::Invalid, format!("the step `{}` would end before it begins", old.key)));
    }
    let (asked, mut tell, mut new_words) = (asks(&old), told(&old), Map::new());
    for (key, text) in &changes.told {
        let Some(ask) =
            asked.iter().find(|a| a.key == *key || steps::spoken(&a.name_zh) == steps::spoken(key))
        else {
            let known: Vec<String> = asked.iter().map(|a| format!("{} {}", a.key, a.name_zh)).collect();
            let next = match known.as_slice() {
                [] => "nothing is asked in words of this step".to_owned(),
                known => format!("these are asked: {}", known.join(", ")),
            };
            return Err(Error::new(
                Kind::Invalid,
                format!("the step `{}` does not ask for `{key}`", old.key),
            )
            .next(next));
        };
        let text = text::needed("what is told of the step", text)?;
        if tell.get(&ask.key).and_then(Value::as_str) != Some(text.as_str()) {
            new_words.insert(ask.key.clone(), text.clone().into());
            tell.insert(ask.key.clone(), text.into());
        }
    }
    if !new_words.is_empty() {
        details.insert("told".into(), Value::Object(new_words));
    }
    if details.is_empty() {
        return Ok(false);
    }
    new.told = Value::Object(tell).to_string();
    if !new.applies {
        super::waive::took_no_place(&new)?;
    }
    steps::update(tx, &new)?;
    details.insert("step".into(), old.key.into());
    entry(tx, who, at, "case.step", &case, Value::Object(details))?;
    Ok(true)
}
