//! Names of our own: UUID version 7 (RFC 9562), sorted by time, unique across stations.

/// A new id.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Whether text has the form of an id.
pub fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// The short form for tables: the last eight digits, the random end.
pub fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}
