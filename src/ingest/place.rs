//! What stands where on a volume in the end: the original in its place (protocol step 7), bad bytes
//! in quarantine, and the names in the manifests (step 9).

use std::path::Path;
use std::sync::PoisonError;

use super::station::Core;
use crate::archive::read_back::{BLOCK, read_back};
use crate::archive::volume::Volume;
use crate::archive::{layout, manifest};
use crate::base::direct_io::AlignedBuf;
use crate::base::failpoint;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::{copies, jobs};

/// Moves a verified part to its place without replacing. What stands there is kept where it has the
/// right bytes (a process was killed after the move), and goes to quarantine where it has not. Syncing
/// both directories is still to do. Returns how the place was read back, if it was.
///
/// # Errors
/// [`Kind::Integrity`] where the place holds other bytes and there is no part to put there.
pub fn put_in_place(
    core: &Core,
    volume: &Volume,
    recording: &str,
    dest: &Path,
    sha256: &[u8],
    cancel: &Cancel,
) -> Result<Option<&'static str>> {
    let part = layout::part(recording);
    volume.ensure_dirs(dest.parent().unwrap_or(Path::new("")))?;
    let moved_before = volume.dir.stat(&part)?.is_none() && volume.dir.stat(dest)?.is_some();
    if !moved_before && volume.dir.rename_new(&part, dest)? {
        return Ok(None);
    }
    match read_back(&volume.dir, dest, &mut AlignedBuf::new(BLOCK), cancel, &|_| {}) {
        Ok(found) if found.sha256[..] == *sha256 => {
            volume.dir.remove(&part)?;
            return Ok(Some(found.how.word()));
        }
        Err(e) if !e.kind().is_medium() => return Err(e),
        _ => {}
    }
    let what = format!("other bytes stand at {}", volume.dir.join(dest).display());
    let e = Error::new(Kind::Integrity, what).next("they are kept in quarantine; check the disk");
    set_aside(core, volume, recording, dest, &e)?;
    if moved_before || !volume.dir.rename_new(&part, dest)? {
        return Err(e);
    }
    Ok(None)
}

/// Moves a file with the wrong bytes to quarantine, under a name that nothing there has yet.
pub fn set_aside(core: &Core, volume: &Volume, recording: &str, from: &Path, why: &Error) -> Result<()> {
    tracing::error!("{why}");
    core.meter.verification_failed(&volume.name);
    let mut attempt = 1;
    while !volume.dir.rename_new(from, &layout::quarantined(recording, attempt))? {
        attempt += 1;
    }
    volume.dir.sync_dir(Path::new(layout::QUARANTINE)).map_err(|e| volume.note_if_medium(e))?;
    let aside = layout::quarantined(recording, attempt).display().to_string();
    let (by, recording, reason) = (core.by(), recording.to_owned(), why.what().to_owned());
    let (id, name) = (volume.id.clone(), volume.name.clone());
    core.catalog.write(move |tx| jobs::note_quarantine(tx, &by, (&id, &name), &aside, &recording, &reason))
}

/// Names archived copies in the manifests that do not name them yet (protocol step 9).
pub fn list_new(core: &Core, volume: &Volume) -> Result<()> {
    let _held = volume.manifests.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let list = core.catalog.read(|db| copies::unlisted(db, &volume.id, 256))?;
        if list.is_empty() {
            return Ok(());
        }
        manifest::append(volume, &list).map_err(|e| volume.note_if_medium(e))?;
        failpoint::hit("manifest.written");
        let (id, ids) = (volume.id.clone(), list.into_iter().map(|(r, _)| r.id).collect::<Vec<_>>());
        core.catalog.write(move |tx| copies::set_listed(tx, &id, &ids))?;
    }
}
