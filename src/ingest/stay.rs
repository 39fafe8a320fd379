//! What a stay is asked for, and what it tells in the end.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::catalog::dockings::Counts;

/// What is to be docked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dock's name.
    pub dock: String,
    /// The card's folder.
    pub path: PathBuf,
    /// Whose it is, where somebody says so.
    pub recorder: Option<String>,
    /// Wait when no volume has room (a daemon does), or end with an error (a command does).
    pub wait_for_room: bool,
}

/// How a stay stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The docking's number.
    pub docking: i64,
    /// The recorder it is taken for.
    pub recorder: String,
    /// Counts of the whole stay.
    #[serde(flatten)]
    pub counts: Counts,
    /// Bytes that were read from the card.
    pub bytes_read: u64,
    /// Time from the beginning of the stay.
    pub seconds: f64,
    /// What stands in the way of "safe to take".
    pub problems: Vec<String>,
}
