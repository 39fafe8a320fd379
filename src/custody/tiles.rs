//! Hashes of full subtrees, kept so that a root or a proof reads few rows.
//!
//! A tile covers 256 hashes of the level below, as in C2SP tlog-tiles; level 0 are the log's own leaf
//! hashes. Tiles are filled when a checkpoint is made, never while entries are appended. They save
//! reading and are no evidence: what is not there is computed from the level below.

use rusqlite::{Connection, params};

use super::entry::Hash;
use super::log::broken;
use super::merkle::reduce;
use crate::base::Result;

/// Hashes in a tile.
const WIDTH: u64 = 256;
/// log2 of [`WIDTH`].
const BITS: u32 = 8;
/// Tiles filled in one transaction: others wait for the catalogue meanwhile.
const AT_ONCE: u64 = 256;

/// The hash of the full subtree at `place` of a binary `level`: what [`super::merkle`] asks for.
///
/// # Errors
/// An entry that should be there and is not.
pub fn subtree(db: &Connection, level: u32, place: u64) -> Result<Hash> {
    let count = 1 << (level % BITS);
    let hashes = hashes(db, level / BITS, place * count, count)?;
    reduce(hashes).ok_or_else(|| broken((place << level) + 1, "it is missing"))
}

/// `count` hashes of a tile level, from `start` on.
fn hashes(db: &Connection, level: u32, start: u64, count: u64) -> Result<Vec<Hash>> {
    let mut out = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let end = start + count;
    // LIMIT ends the reading, whatever the planner makes of an upper bound.
    let mut query = db.prepare_cached(match level {
        0 => "SELECT seq - 1, leaf FROM custody WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        _ => "SELECT place, hash FROM custody_tile WHERE level = ?3 AND place >= ?1 ORDER BY place LIMIT ?2",
    })?;
    let (from, most) = (start.cast_signed(), count.cast_signed());
    let mut rows = if level == 0 {
        query.query(params![from, most])?
    } else {
        query.query(params![from, most, level])?
    };
    let mut next = start;
    while let Some(row) = rows.next()? {
        let (place, hash) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, Hash>(1)?);
        if place >= end {
            break;
        }
        fill_up(db, level, &mut next, place, &mut out)?;
        out.push(hash);
        next += 1;
    }
    fill_up(db, level, &mut next, end, &mut out)?;
    Ok(out)
}

/// Computes the hashes of a level that are not kept, up to `end`.
fn fill_up(db: &Connection, level: u32, next: &mut u64, end: u64, out: &mut Vec<Hash>) -> Result<()> {
    while *next < end {
        if level == 0 {
            return Err(broken(*next + 1, "it is missing"));
        }
        out.push(tile(db, level, *next)?);
        *next += 1;
    }
    Ok(())
}

/// The hash of a tile, from the level below it.
fn tile(db: &Connection, level: u32, place: u64) -> Result<Hash> {
    let below = hashes(db, level - 1, place * WIDTH, WIDTH)?;
    reduce(below).ok_or_else(|| broken((place << (BITS * level)) + 1, "it is missing"))
}

/// Keeps the tiles that are full with `size` entries and not kept yet, a bounded number at a time; true
/// once nothing is left to do.
pub fn fill(tx: &Connection, size: u64) -> Result<bool> {
    for level in 1..(u64::BITS / BITS) {
        let want = size >> (BITS * level);
        if want == 0 {
            break;
        }
        let have: i64 = tx
            .prepare_cached("SELECT coalesce(max(place) + 1, 0) FROM custody_tile WHERE level = ?1")?
            .query_row([level], |r| r.get(0))?;
        let have = have.unsigned_abs();
        let upto = want.min(have.saturating_add(AT_ONCE));
        let mut insert =
            tx.prepare_cached("INSERT INTO custody_tile (level, place, hash) VALUES (?1, ?2, ?3)")?;
        for place in have..upto {
            insert.execute(params![level, place.cast_signed(), tile(tx, level, place)?])?;
        }
        if upto < want {
            return Ok(false);
        }
    }
    Ok(true)
}
