//! What the facts kept with a recording say of it: whether its time is credible, whether it plays.

use serde_json::Value;

/// The rule that filed a recording under when it was first seen: no time of its own is credible.
const FIRST_SEEN: &str = "first seen";

/// Whether the time a recording is filed under is its own, by the JSON of what its name and card told.
pub fn is_time_credible(facts: &str) -> bool {
    let facts: Value = serde_json::from_str(facts).unwrap_or_default();
    facts["time_rule"] != FIRST_SEEN
}

/// The word for whether it plays (`playable`, `cutoff`, `unplayable`), by the JSON of what its container told;
/// `None` where that was not read yet.
pub fn verdict(probed: Option<&str>) -> Option<String> {
    let probed: Value = serde_json::from_str(probed?).ok()?;
    probed["verdict"].as_str().map(str::to_owned)
}

/// Whether it is known not to play. It is evidence all the same.
pub fn is_unplayable(probed: Option<&str>) -> bool {
    verdict(probed).is_some_and(|v| v == "unplayable")
}
