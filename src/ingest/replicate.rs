//! Copies that a volume is still owed: it was full, missing or failing when the card was here.
//! They are made from an archived copy, and verified like any other.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::finisher::Finisher;
use super::place::{list_new, put_in_place};
use super::station::Station;
use crate::archive::layout;
use crate::archive::read_back::{BLOCK, read_back};
use crate::archive::volume::State;
use crate::base::direct_io::{AlignedBuf, Output};
use crate::base::durable_fs as fs;
use crate::base::failpoint;
use crate::base::{Cancel, Error, Kind, Result};
use crate::catalog::copies::{self, Copy};
use crate::catalog::recordings::Recording;

/// Makes owed copies until none is left that can be made now; returns how many were made.
///
/// # Errors
/// [`Kind::Cancelled`], or what the catalogue says. A copy that cannot be made is logged and
/// stays owed.
pub fn pay_owed(station: &Station, cancel: &Cancel) -> Result<u64> {
    let mut made = 0;
    for goal in station.open_finishers() {
        let volume = &goal.volume;
        let mut after = String::new();
        'volume: while !matches!(volume.state(), State::Failed(_)) {
            let list = station.core.catalog.read(|db| copies::owed(db, &volume.id, &after, 64))?;
            let Some((last, _)) = list.last() else { break };
            after.clone_from(&last.id);
            for (recording, owed) in list {
                cancel.check()?;
                if !volume.has_room(recording.size) {
                    break 'volume;
                }
                match pay(station, &goal, &recording, &owed, cancel) {
                    Ok(()) => made += 1,
                    Err(e) if e.kind() == Kind::Cancelled => return Err(e),
                    Err(e) => tracing::warn!("{} on volume {}: {e}", recording.id, volume.name),
                }
            }
        }
        list_new(&station.core, volume)?;
    }
    Ok(made)
}

fn pay(
    station: &Station,
    goal: &Finisher,
    recording: &Recording,
    owed: &Copy,
    cancel: &Cancel,
) -> Result<()> {
    let volume = &goal.volume;
    let part = layout::part(&recording.id);
    let sources = station.core.catalog.read(|db| copies::of(db, &recording.id))?;
    let mut why =
        Error::new(Kind::NotFound, "no volume that is here holds it").next("mount the volume that does");
    for source in sources.iter().filter(|c| c.state == "archived") {
        let Some(holder) = station.finisher_of(&source.volume) else { continue };
        match copy_between(&holder, Path::new(&source.path), goal, &part, recording, cancel) {
            Ok(()) => return place(station, goal, recording, owed, &part, cancel),
            Err(e) if e.kind() == Kind::Integrity => {
                station.core.meter.verification_failed(&holder.volume.name);
                let (by, source, reason) = (station.core.by(), source.clone(), e.what().to_owned());
                station
                    .core
                    .catalog
                    .write(move |tx| copies::set_state(tx, &by, &source, "damaged", "read", Some(&reason)))?;
                why = e;
            }
            Err(e) => why = e,
        }
    }
    volume.dir.remove(&part)?;
    Err(why)
}

fn copy_between(
    from: &Finisher,
    path: &Path,
    to: &Finisher,
    part: &Path,
    recording: &Recording,
    cancel: &Cancel,
) -> Result<()> {
    let source = from.volume.dir.open_read(path)?;
    let dir = &to.volume.dir;
    dir.remove(part)?;
    let mut output = Output::new(dir.create_new(part)?, 0);
    let (mut hash, mut offset, mut buf) = (Sha256::new(), 0, AlignedBuf::new(BLOCK));
    let full = |e: Error| {
        if e.kind() == Kind::NoSpace {
            to.volume.mark_full(recording.size);
        }
        e
    };
    loop {
        cancel.check()?;
        let n = fs::read_at(&source, buf.bytes_mut(), offset).map_err(|e| {
            let e = Error::io("read", &from.volume.dir.join(path), e);
            // The source's medium, not the goal's: what it does not give back is damaged.
            if e.kind().is_medium() { Error::new(Kind::Integrity, e.what()) } else { e }
        })?;
        let bytes = &buf.bytes()[..n];
        hash.update(bytes);
        output.write(&[bytes], offset).map_err(|e| full(Error::io("write", &dir.join(part), e)))?;
        offset += n as u64;
        if n < BLOCK {
            break;
        }
    }
    if hash.finalize()[..] != recording.sha256[..] || offset != recording.size {
        let what = format!("the copy on volume {} is not what was archived", from.volume.name);
        return Err(
            Error::new(Kind::Integrity, what).next("`docket fsck --depth bytes` checks the whole volume")
        );
    }
    let file = output.into_file();
    fs::make_read_only(&file)
        .and_then(|()| fs::sync(&file))
        .map_err(|e| to.sync_failed(Error::io("sync", &dir.join(part), e)))?;
    fs::drop_cache(&file);
    dir.sync_dir(layout::INCOMING.as_ref()).map_err(|e| to.sync_failed(e))
}

fn place(
    station: &Station,
    goal: &Finisher,
    recording: &Recording,
    owed: &Copy,
    part: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let (volume, dest) = (&goal.volume, Path::new(&owed.path));
    let found = read_back(&volume.dir, part, &mut AlignedBuf::new(BLOCK), cancel, &|_| {})?;
    if found.sha256[..] != recording.sha256[..] {
        let what = format!("other bytes stand at {}", volume.dir.join(part).display());
        let e = Error::new(Kind::Integrity, what).next("check the disk that holds it");
        station.core.meter.verification_failed(&volume.name);
        // Tried again it would be copied whole again, every minute.
        volume.mark_failed(e.what());
        return Err(e);
    }
    failpoint::hit("replicate.before-rename");
    let there = put_in_place(&station.core, volume, &recording.id, dest, &recording.sha256, cancel)?;
    let how = there.unwrap_or(found.how.word());
    let dir = dest.parent().unwrap_or(Path::new(""));
    volume
        .dir
        .sync_dir(dir)
        .and_then(|()| volume.dir.sync_dir(layout::INCOMING.as_ref()))
        .map_err(|e| goal.sync_failed(e))?;
    failpoint::hit("replicate.placed");
    let (by, owed) = (station.core.by(), owed.clone());
    station.core.catalog.write(move |tx| copies::set_state(tx, &by, &owed, "archived", how, None))
}
