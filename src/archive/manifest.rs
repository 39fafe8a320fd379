//! The papers beside the media: `SHA256SUMS` for `sha256sum -c`, and `recordings.jsonl`, from
//! which the catalogue can be rebuilt. Both only ever grow; a line cut off by a crash is dropped
//! and written again, and a doubled line is harmless.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout;
use super::volume::Volume;
use crate::base::clock::{from_ms, rfc3339};
use crate::base::durable_fs;
use crate::base::text::{hex, show, unhex, unshow};
use crate::base::{Error, Result};
use crate::catalog::copies::Copy;
use crate::catalog::recordings::Recording;

/// One line of `recordings.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Form of the line; 1.
    pub v: u32,
    /// Recording id.
    pub id: String,
    /// File name in this directory.
    pub file: String,
    /// Recorder.
    pub recorder: String,
    /// Path on the card, escaped as on screens.
    pub source_path: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// Hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm3: Option<String>,
    /// Nanoseconds since 1970, as text: beyond what JSON numbers carry.
    pub mtime_ns: String,
    /// Media kind.
    pub kind: String,
    /// Name facts.
    pub facts: serde_json::Value,
    /// RFC 3339.
    pub taken_at: String,
    /// RFC 3339.
    pub archived_at: String,
}

impl Line {
    fn of(r: &Recording, file: &str) -> Self {
        Self {
            v: 1,
            id: r.id.clone(),
            file: file.to_owned(),
            recorder: r.recorder.clone(),
            source_path: show(OsStr::from_bytes(&r.source_path)),
            size: r.size,
            sha256: hex(&r.sha256),
            sm3: r.sm3.as_deref().map(hex),
            mtime_ns: r.mtime_ns.to_string(),
            kind: r.kind.clone(),
            facts: serde_json::from_str(&r.facts).unwrap_or_default(),
            taken_at: rfc3339(from_ms(r.taken_at)),
            archived_at: rfc3339(from_ms(r.archived_at)),
        }
    }

    /// The recording that the line tells of; `None` where a field makes no sense.
    pub fn recording(&self) -> Option<Recording> {
        let time = |t: &str| chrono::DateTime::parse_from_rfc3339(t).ok().map(|t| t.timestamp_millis());
        let sha256 = unhex(&self.sha256).filter(|h| h.len() == 32)?;
        let taken_at = time(&self.taken_at)?;
        let fits = crate::base::ids::is_id(&self.id) && layout::recording_of(&self.file) == Some(&self.id);
        fits.then_some(())?;
        Some(Recording {
            id: self.id.clone(),
            recorder: self.recorder.clone(),
            state: "archived".into(),
            source_path: unshow(&self.source_path)?.as_bytes().to_vec(),
            size: self.size,
            mtime_ns: self.mtime_ns.parse().ok()?,
            sha256,
            sm3: self.sm3.as_deref().and_then(unhex),
            kind: self.kind.clone(),
            facts: self.facts.to_string(),
            day: crate::catalog::recordings::day_of(taken_at),
            taken_at,
            archived_at: time(&self.archived_at)?,
            probed: None,
            take: None,
            segment: None,
            classification: crate::catalog::recordings::UNCLASSIFIED.into(),
        })
    }
}

/// Adds recordings to the manifests of their directories, durably.
pub fn append(volume: &Volume, list: &[(Recording, Copy)]) -> Result<()> {
    let mut dirs: BTreeMap<PathBuf, (String, String)> = BTreeMap::new();
    for (recording, copy) in list {
        let path = Path::new(&copy.path);
        let (Some(dir), Some(file)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
            continue;
        };
        let (sums, records) = dirs.entry(dir.to_owned()).or_default();
        sums.push_str(&format!("{}  {file}\n", hex(&recording.sha256)));
        let line = Line::of(recording, file);
        records.push_str(&serde_json::to_string(&line).unwrap_or_default());
        records.push('\n');
    }
    for (dir, (sums, records)) in dirs {
        // The records first: the catalogue is rebuilt from them.
        append_lines(volume, &dir.join(layout::RECORDS), &records)?;
        append_lines(volume, &dir.join(layout::SUMS), &sums)?;
        // Always: who made the files may have been killed before it synced their names.
        volume.dir.sync_dir(&dir)?;
    }
    Ok(())
}

fn append_lines(volume: &Volume, rel: &Path, lines: &str) -> Result<()> {
    let (mut file, created) = volume.dir.open_append(rel)?;
    let path = volume.dir.join(rel);
    if !created {
        drop_torn_line(&file).map_err(|e| Error::io("mend", &path, e))?;
    }
    durable_fs::append(&mut file, lines.as_bytes()).map_err(|e| Error::io("write", &path, e))?;
    durable_fs::sync(&file).map_err(|e| Error::io("sync", &path, e))
}

/// Cuts a file back to the end of its last whole line.
fn drop_torn_line(file: &File) -> std::io::Result<()> {
    let mut end = file.metadata()?.len();
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        if durable_fs::read_at(file, part, start)? < part.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(i) = part.iter().rposition(|&b| b == b'\n') {
            end = start + i as u64 + 1;
            break;
        }
        end = start;
    }
    if end < file.metadata()?.len() { durable_fs::set_len(file, end) } else { Ok(()) }
}
