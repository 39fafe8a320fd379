//! Puts segments of a recorder's day together into takes, by its profile's rule.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::station::Station;
use crate::base::Result;
use crate::base::clock::from_ms;
use crate::base::text::show;
use crate::card::take::{Segment, takes};
use crate::catalog::recordings::{self, Filter, Recording};

/// Decides anew which recordings of a recorder's day belong together.
pub fn group(station: &Station, recorder: &str, day: &str) -> Result<()> {
    let settings = station.settings();
    let filter = Filter { recorder: Some(recorder.to_owned()), day: Some(day.to_owned()), state: None };
    let mut segments = Vec::new();
    let mut profile = None;
    station.core.catalog.read(|db| {
        recordings::list(db, &filter, &mut |r| {
            let facts: serde_json::Value = serde_json::from_str(&r.facts).unwrap_or_default();
            if let Some(id) = facts["profile"].as_str() {
                profile = settings.profiles.get(id);
            }
            segments.extend(segment(&r, &facts["name"]));
            Ok(())
        })
    })?;
    let Some(profile) = profile else { return Ok(()) };
    let mut rows = Vec::new();
    for take in takes(&segments, &profile.take_rule()) {
        let first = take.segments.first().filter(|_| take.segments.len() > 1).cloned();
        rows.extend(take.segments.into_iter().zip(1..).map(|(id, n)| (id, first.clone(), n)));
    }
    station.core.catalog.write(move |tx| recordings::set_takes(tx, &rows))
}

fn segment(r: &Recording, name: &serde_json::Value) -> Option<Segment> {
    if r.kind != "video" && r.kind != "audio" {
        return None;
    }
    let probed: serde_json::Value =
        r.probed.as_deref().and_then(|p| serde_json::from_str(p).ok()).unwrap_or_default();
    let folder = Path::new(OsStr::from_bytes(&r.source_path)).parent().map(|p| show(p.as_os_str()));
    Some(Segment {
        id: r.id.clone(),
        recorder: r.recorder.clone(),
        officer: name["officer"].as_str().map(str::to_owned),
        folder: folder.unwrap_or_default(),
        kind: r.kind.clone(),
        start: from_ms(r.taken_at),
        duration_ms: probed["facts"]["duration_ms"].as_u64(),
        number: name["number"].as_u64(),
        chapter: name["chapter"].as_u64().and_then(|c| u32::try_from(c).ok()),
    })
}
