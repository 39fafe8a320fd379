//! Appending to the log inside the transaction that makes the change (I4), reading and checking it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::entry::{Entry, Hash, chain, leaf};
use crate::base::{Error, Kind, Result};

/// One stored line of the log.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// What it is about.
    pub object: String,
    /// The canonical bytes.
    pub entry: Vec<u8>,
    /// RFC 6962 leaf hash.
    pub leaf: Vec<u8>,
    /// Chain value up to here.
    pub chain: Vec<u8>,
}

const HEAD: &str = "SELECT seq, chain FROM custody ORDER BY seq DESC LIMIT 1";

/// The last place and chain value; (0, zeros) while the log is empty.
pub fn head(db: &Connection) -> Result<(u64, Hash)> {
    let row = db
        .prepare_cached(HEAD)?
        .query_row([], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    let Some((seq, bytes)) = row else { return Ok((0, [0; 32])) };
    let chain =
        bytes.try_into().map_err(|_| broken(seq.unsigned_abs(), "its chain value is not 32 bytes"))?;
    Ok((seq.unsigned_abs(), chain))
}

/// Appends an entry; to be called inside the transaction that makes the change it tells of.
pub fn append(tx: &Connection, entry: &Entry) -> Result<u64> {
    let (last, previous) = head(tx)?;
    let seq = last + 1;
    let bytes = entry.canonical(seq);
    let leaf = leaf(&bytes);
    let chain = chain(&previous, &leaf);
    tx.prepare_cached("INSERT INTO custody (seq, object, entry, leaf, chain) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![seq.cast_signed(), entry.object, bytes, leaf, chain])?;
    Ok(seq)
}

fn stored(r: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        seq: r.get::<_, i64>(0)?.unsigned_abs(),
        object: r.get(1)?,
        entry: r.get(2)?,
        leaf: r.get(3)?,
        chain: r.get(4)?,
    })
}

/// The history of one object, oldest first.
pub fn history(db: &Connection, object: &str) -> Result<Vec<Stored>> {
    let mut query = db.prepare_cached(
        "SELECT seq, object, entry, leaf, chain FROM custody WHERE object = ?1 ORDER BY seq",
    )?;
    Ok(query.query_map([object], stored)?.collect::<rusqlite::Result<_>>()?)
}

/// The last SHA-256 (hexadecimal) and size that the log gives an archived recording: a witness against
/// whoever changes its row and its files together.
pub fn witness(db: &Connection, recording: &str) -> Result<Option<(String, u64)>> {
    let told = |stored: &Stored| -> Option<(String, u64)> {
        let entry: serde_json::Value = serde_json::from_slice(&stored.entry).ok()?;
        let bytes = ["recording.archived", "recording.rebuilt", "recording.restored"];
        let details = entry["details"].as_object().filter(|_| bytes.iter().any(|a| entry["action"] == *a))?;
        let size = &details["size"];
        let size = size.as_u64().or_else(|| size.as_str()?.parse().ok())?;
        Some((details["sha256"].as_str()?.to_owned(), size))
    };
    Ok(history(db, &format!("recording:{recording}"))?.iter().rev().find_map(told))
}

/// The newest `limit` entries, oldest of them first.
pub fn tail(db: &Connection, limit: u64) -> Result<Vec<Stored>> {
    let mut query =
        db.prepare_cached("SELECT seq, object, entry, leaf, chain FROM custody ORDER BY seq DESC LIMIT ?1")?;
    let mut list = query.query_map([limit.cast_signed()], stored)?.collect::<rusqlite::Result<Vec<_>>>()?;
    list.reverse();
    Ok(list)
}

/// An entry that is not as it was written.
pub(super) fn broken(seq: u64, how: &str) -> Error {
    Error::new(Kind::Integrity, format!("custody entry {seq} is not as it was written: {how}"))
        .next("keep this catalogue as it is, and compare it with the last good `docket backup`")
}

/// Recomputes every leaf and the whole chain; returns how many entries stand and the last chain value.
///
/// # Errors
/// [`Kind::Integrity`] with the first entry that is missing or altered.
pub fn verify(db: &Connection) -> Result<(u64, Hash)> {
    let mut query = db.prepare("SELECT seq, object, entry, leaf, chain FROM custody ORDER BY seq")?;
    let (mut last, mut previous) = (0, [0; 32]);
    for row in query.query_map([], stored)? {
        let row = row?;
        if row.seq != last + 1 {
            return Err(broken(last + 1, "it is missing"));
        }
        let leaf = leaf(&row.entry);
        if row.leaf != leaf {
            return Err(broken(row.seq, "its text does not fit its hash"));
        }
        let told: Option<serde_json::Value> = serde_json::from_slice(&row.entry).ok();
        let fits = told.as_ref().is_some_and(|t| t["seq"] == row.seq && t["object"] == row.object);
        if !fits {
            return Err(broken(row.seq, "its columns do not fit its text"));
        }
        previous = chain(&previous, &leaf);
        if row.chain != previous {
            return Err(broken(row.seq, "the chain is cut before it"));
        }
        last = row.seq;
    }
    Ok((last, previous))
}
