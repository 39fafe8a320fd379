//! What follows archiving and hurries nobody (protocol step 9): container facts and takes.
//! Both can be made again from the originals; their failure never touches what is archived.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::station::Station;
use super::takes;
use crate::base::{Cancel, Kind, Result};
use crate::catalog::{copies, recordings};
use crate::media::facts::Probed;
use crate::media::worker::Worker;

/// A file that takes FFmpeg longer than this just to look at is called unplayable.
const LIMIT: Duration = Duration::from_secs(30);

/// Reads container facts through a child process, and groups segments into takes.
pub struct Aftercare {
    worker: Worker,
}

impl Default for Aftercare {
    fn default() -> Self {
        Self::new()
    }
}

impl Aftercare {
    /// Without a child; it starts with the first file.
    pub fn new() -> Self {
        // The running binary itself, even where an upgrade has replaced its file.
        Self { worker: Worker::new(PathBuf::from("/proc/self/exe"), LIMIT) }
    }

    /// Looks after every archived recording that nobody has looked after yet. Returns how many.
    ///
    /// # Errors
    /// [`Kind::Cancelled`], or what the catalogue says.
    pub fn look_after(&mut self, station: &Station, cancel: &Cancel) -> Result<u64> {
        let (mut after, mut done, mut touched) = (String::new(), 0, BTreeSet::new());
        while station.settings().config.probe {
            let list = station.core.catalog.read(|db| recordings::unprobed(db, &after, 64))?;
            let Some(last) = list.last() else { break };
            after.clone_from(&last.id);
            for recording in list {
                let Some(path) = path_of(station, &recording.id)? else { continue };
                let probed = match self.worker.probe(&path, cancel) {
                    Ok(probed) => probed,
                    Err(e) if e.kind() == Kind::Cancelled => return Err(e),
                    // A file that brings FFmpeg down would do so again.
                    Err(e) => Probed::unplayable(e.what()),
                };
                let facts = serde_json::to_string(&probed).unwrap_or_default();
                let (by, id) = (station.core.by(), recording.id.clone());
                station.core.catalog.post_idly(move |tx| recordings::set_probed(tx, &by, &id, &facts));
                touched.insert((recording.recorder, recording.day));
                done += 1;
            }
        }
        station.core.catalog.settle()?;
        for (recorder, day) in touched {
            takes::group(station, &recorder, &day)?;
        }
        Ok(done)
    }

    /// Ends the child until it is wanted again.
    pub fn rest(&mut self) {
        self.worker.rest();
    }
}

/// Where a good copy of a recording lies on a volume that is here.
pub fn path_of(station: &Station, id: &str) -> Result<Option<PathBuf>> {
    let copies = station.core.catalog.read(|db| copies::of(db, id))?;
    Ok(copies.iter().filter(|c| c.state == "archived").find_map(|copy| {
        let holder = station.finisher_of(&copy.volume)?;
        Some(holder.volume.dir.join(copy.path.as_ref()))
    }))
}
