//! Proof that an entry is in the log: what somebody needs to check it without docket and without the
//! catalogue (docs/custody.md has the procedure).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::checkpoint::{Checkpoint, Kept};
use super::entry::leaf;
use super::{key, log, merkle, tiles};
use crate::access::{self, About, Deed, Person};
use crate::base::text::hex;
use crate::base::{Error, Kind, Result};

/// The form of a proof, for whoever reads it years from now.
pub const FORMAT: &str = "docket-custody-proof/1";

/// An entry and its way to a signed root.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The entry's number, from 1.
    pub seq: u64,
    /// Its leaf's place in the tree, from 0.
    pub leaf_index: u64,
    /// Leaves of the tree that the checkpoint is of.
    pub tree_size: u64,
    /// The entry's bytes as text.
    pub entry: String,
    /// The same bytes; what the hash is of.
    pub entry_base64: String,
    /// SHA-256(0x00 ‖ entry), hexadecimal.
    pub leaf_hash: String,
    /// The siblings from the leaf up to the root, hexadecimal.
    pub path: Vec<String>,
    /// The signed note.
    pub checkpoint: String,
    /// The key that signed it, as a vkey. To be compared with one that was kept elsewhere.
    pub key: String,
}

/// The entry that tells what a recording's bytes were when they were archived.
///
/// # Errors
/// [`Kind::NotFound`] where no entry does.
pub fn entry_of(db: &Connection, recording: &str) -> Result<u64> {
    let history = log::history(db, &format!("recording:{recording}"))?;
    let action = |stored: &log::Stored| {
        let entry: serde_json::Value = serde_json::from_slice(&stored.entry).unwrap_or_default();
        entry["action"].as_str().unwrap_or_default().to_owned()
    };
    let last = |wanted: &str| history.iter().rev().find(|s| action(s) == wanted).map(|s| s.seq);
    ["recording.archived", "recording.rebuilt", "recording.restored"].into_iter().find_map(last).ok_or_else(
        || {
            Error::new(Kind::NotFound, format!("recording {recording} has no entry of its archiving"))
                .next("`docket custody show ID` lists its entries; --entry N proves any of them")
        },
    )
}

/// The newest checkpoint, where it covers an entry.
pub fn covering(db: &Connection, seq: u64) -> Result<Option<Kept>> {
    Ok(super::checkpoint::newest(db)?.filter(|k| k.size >= seq))
}

/// Proves that entry `seq` is under a checkpoint.
///
/// # Errors
/// [`Kind::Forbidden`] for whoever may not; [`Kind::Integrity`] where the log does not have the root that
/// was signed.
pub fn prove(db: &Connection, who: &Person, seq: u64, kept: &Kept) -> Result<Proof> {
    access::check(who, Deed::ReadCustody, &About::default())?;
    let index = seq.checked_sub(1);
    let entry: Option<Vec<u8>> = db
        .prepare_cached("SELECT entry FROM custody WHERE seq = ?1")?
        .query_row([seq.cast_signed()], |r| r.get(0))
        .optional()?;
    let (Some(index), Some(entry)) = (index, entry) else {
        return Err(Error::new(Kind::NotFound, format!("there is no custody entry {seq}"))
            .next("`docket custody show` lists the newest"));
    };
    let altered = || {
        Error::new(
            Kind::Integrity,
            format!("custody entry {seq} is not under the root that was signed at {} entries", kept.size),
        )
        .next("keep the catalogue as it is and run `docket custody verify`")
    };
    let (note, said) = Checkpoint::of(kept.note.as_bytes()).ok_or_else(altered)?;
    let leaf = leaf(&entry);
    let path = merkle::inclusion(&mut |level, place| tiles::subtree(db, level, place), index, said.size)?;
    if merkle::root_of_inclusion(&leaf, index, said.size, &path) != Some(said.root) {
        return Err(altered());
    }
    let keys = key::all(db)?;
    let signer =
        keys.iter().find(|k| note.signed_by(&k.key) == super::note::Signed::Yes).ok_or_else(altered)?;
    Ok(Proof {
        format: FORMAT,
        seq,
        leaf_index: index,
        tree_size: said.size,
        entry: String::from_utf8_lossy(&entry).into_owned(),
        entry_base64: STANDARD.encode(&entry),
        leaf_hash: hex(&leaf),
        path: path.iter().map(|h| hex(h)).collect(),
        checkpoint: kept.note.clone(),
        key: signer.key.to_string(),
    })
}
