//! Where things lie on a volume. All names here are made by us, none by a card.

use std::path::{Path, PathBuf};

/// The marker that makes a directory tree a volume.
pub const MARKER: &str = ".docket-volume";
/// Copies under way.
pub const INCOMING: &str = "incoming";
/// Originals, by day and recorder.
pub const MEDIA: &str = "media";
/// Files set aside until a person decides.
pub const QUARANTINE: &str = "quarantine";
/// Signed checkpoints of the custody log.
pub const CHECKPOINTS: &str = "checkpoints";
/// The manifest that `sha256sum -c` reads, in each directory with originals.
pub const SUMS: &str = "SHA256SUMS";
/// The manifest that the catalogue can be rebuilt from, beside it.
pub const RECORDS: &str = "recordings.jsonl";

/// The part of a recording that is being copied.
pub fn part(recording: &str) -> PathBuf {
    Path::new(INCOMING).join(format!("{recording}.part"))
}

/// The place of an original: `media/2026/11/23/<recorder>/<id>_<name>`. `recorder` and `name`
/// must have been made safe; `day` is `YYYY-MM-DD`.
pub fn original(day: &str, recorder: &str, recording: &str, name: &str) -> String {
    format!("{MEDIA}/{}/{recorder}/{recording}_{name}", day.replace('-', "/"))
}

/// A free-standing name in quarantine.
pub fn quarantined(recording: &str, attempt: u32) -> PathBuf {
    Path::new(QUARANTINE).join(format!("{recording}.{attempt}"))
}

/// The recording that an original's file name begins with.
pub fn recording_of(file_name: &str) -> Option<&str> {
    file_name
        .get(..36)
        .filter(|id| crate::base::ids::is_id(id) && file_name.as_bytes().get(36) == Some(&b'_'))
}

/// The recording that a part's file name names.
pub fn recording_of_part(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(".part").filter(|id| crate::base::ids::is_id(id))
}
