//! Where an interrupted copy goes on (protocol step 3 after a crash).

use std::fs::File;
use std::path::Path;

use super::blocks::BLOCK;
use super::copy::Start;
use super::digests::Digests;
use super::finisher::Finisher;
use crate::archive::layout;
use crate::base::durable_fs::read_at;
use crate::base::{Cancel, Error, Result};
use crate::catalog::jobs::Job;

/// Bytes of source and copy compared at both ends of what is kept.
const SEAM: u64 = 1 << 20;

/// One journal entry whose state was readable.
pub struct Mark {
    /// Bytes before it.
    pub offset: u64,
    /// The state there.
    pub digests: Digests,
}

/// The marks worth checking: readable states with ascending offsets inside the file and inside
/// the shortest part. Pure.
pub fn marks(journal: &[(u64, Vec<u8>)], shortest_part: u64, size: u64, sm3: bool) -> Vec<Mark> {
    let mut out: Vec<Mark> = Vec::new();
    for (offset, state) in journal {
        let fits = *offset <= shortest_part && *offset <= size && offset.is_multiple_of(BLOCK as u64);
        if !fits || out.last().is_some_and(|m| m.offset >= *offset) {
            break;
        }
        match Digests::restore(state, sm3) {
            Ok(digests) => out.push(Mark { offset: *offset, digests }),
            Err(_) => break,
        }
    }
    out
}

/// How much of an interrupted copy can be kept: every kept block of every part is read again and
/// must lead from one journaled hash state to the next, and the seams must equal the source.
///
/// Returns `None` where the copy has to start over.
pub fn find_start(
    job: &Job,
    journal: &[(u64, Vec<u8>)],
    source: &File,
    targets: &[std::sync::Arc<Finisher>],
    sm3: bool,
    cancel: &Cancel,
) -> Result<Option<Start>> {
    let part = layout::part(&job.recording);
    let mut files = Vec::new();
    for target in targets {
        let Some(stat) = target.volume.dir.stat(&part)? else { return Ok(None) };
        files.push((target.volume.dir.open_read(&part)?, u64::try_from(stat.st_size).unwrap_or(0)));
    }
    let shortest = files.iter().map(|f| f.1).min().unwrap_or(0);
    let marks = marks(journal, shortest, job.size, sm3);
    let mut kept = marks.len();
    for (file, _) in &files {
        kept = good_marks(file, &part, &marks[..kept], sm3, cancel)?;
    }
    let Some(mark) = marks.into_iter().take(kept).next_back() else { return Ok(None) };
    let (file, _) = &files[0];
    for at in [0, mark.offset.saturating_sub(SEAM)] {
        let len = SEAM.min(mark.offset);
        if !same_bytes(source, file, &part, at, len)? {
            return Ok(None);
        }
    }
    Ok(Some(Start { offset: mark.offset, digests: mark.digests }))
}

/// How many of the marks the bytes of a part lead to.
fn good_marks(file: &File, part: &Path, marks: &[Mark], sm3: bool, cancel: &Cancel) -> Result<usize> {
    let mut buf = vec![0; BLOCK];
    let (mut offset, mut digests) = (0, Digests::new(sm3));
    for (i, mark) in marks.iter().enumerate() {
        while offset < mark.offset {
            cancel.check()?;
            let n = read_at(file, &mut buf, offset).map_err(|e| Error::io("check", part, e))?;
            if n < BLOCK {
                return Ok(i);
            }
            digests.update(&buf);
            offset += n as u64;
        }
        if digests.save() != mark.digests.save() {
            return Ok(i);
        }
    }
    Ok(marks.len())
}

fn same_bytes(source: &File, copy: &File, part: &Path, at: u64, len: u64) -> Result<bool> {
    let mut a = vec![0; usize::try_from(len).unwrap_or(0)];
    let mut b = a.clone();
    let n = read_at(source, &mut a, at).map_err(|e| Error::io("compare the source of", part, e))?;
    let m = read_at(copy, &mut b, at).map_err(|e| Error::io("compare", part, e))?;
    Ok(n == m && a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_journal_leads_outside_the_file_or_the_part(
            offsets in prop::collection::vec(0u64..40, 0..12), part in 0u64..40, size in 0u64..40,
        ) {
            let block = BLOCK as u64;
            let state = Digests::new(false).save();
            let journal: Vec<_> = offsets.iter().map(|o| (o * block, state.clone())).collect();
            let marks = marks(&journal, part * block, size * block, false);
            prop_assert!(marks.iter().all(|m| m.offset <= part * block && m.offset <= size * block));
            prop_assert!(marks.windows(2).all(|w| w[0].offset < w[1].offset));
        }
    }
}
