//! One pass over the whole log: every hash, the chain, the tree, and what the entries tell.
//!
//! One thread reads, another hashes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Hash, chain, leaf};
use super::key::{self, Logged};
use super::merkle::Frontier;
use super::told::Told;
use super::verify::{Findings, What};
use crate::base::{Cancel, Error, Kind, Result};

/// Entries handed from one thread to the other at a time.
const BATCH: usize = 2048;

/// Rows as they are, one after the other in one piece of memory.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Number, and the lengths of object, entry, leaf and chain.
    rows: Vec<(i64, [usize; 4])>,
}

/// What every entry has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    object: Cow<'a, str>,
    seq: i64,
}

#[derive(Deserialize)]
struct Details {
    details: Value,
}

/// What the pass has learnt.
#[derive(Default)]
pub(super) struct Walk {
    /// The last entry's number.
    pub last: u64,
    /// The chain's value there, by the entries themselves.
    pub head: Hash,
    /// The tree over all entries.
    pub tree: Frontier,
    /// The roots at the sizes that were asked for.
    pub roots: BTreeMap<u64, Hash>,
    /// The keys that the log names.
    pub keys: Vec<Logged>,
    /// The station's identity by its first entry.
    pub station: Option<String>,
    /// What the entries tell of recordings.
    pub told: Told,
    /// What is wrong.
    pub findings: Findings,
    wanted: BTreeSet<u64>,
    tiles: HashMap<(u32, u64), Hash>,
    /// Entries are missing: hashes over more than one entry tell nothing any more.
    gap: bool,
}

/// Reads the log and checks it; `wanted` are the sizes to know the root at.
pub(super) fn walk(db: &Connection, wanted: BTreeSet<u64>, cancel: &Cancel) -> Result<Walk> {
    let walk = Walk { wanted, tiles: tiles(db)?, ..Walk::default() };
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(4);
        let worker = std::thread::Builder::new()
            .name("custody".into())
            .spawn_scoped(scope, move || walk.run(&receive))
            .map_err(|e| Error::new(Kind::of_io(&e), format!("cannot start: {e}")))?;
        let read = read(db, &send, cancel);
        drop(send);
        let walk = worker.join();
        read?;
        walk.map_err(|_| Error::new(Kind::Integrity, "the check of the custody log ended early"))
    })
}

fn tiles(db: &Connection) -> Result<HashMap<(u32, u64), Hash>> {
    let mut query = db.prepare("SELECT level, place, hash FROM custody_tile")?;
    let rows = query.query_map([], |r| Ok(((r.get(0)?, r.get::<_, i64>(1)?.unsigned_abs()), r.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn read(db: &Connection, send: &SyncSender<Batch>, cancel: &Cancel) -> Result<()> {
    let mut query = db.prepare("SELECT seq, object, entry, leaf, chain FROM custody ORDER BY seq")?;
    let mut rows = query.query([])?;
    let mut batch = Batch::default();
    while let Some(row) = rows.next()? {
        let mut lengths = [0; 4];
        for (i, length) in lengths.iter_mut().enumerate() {
            // Whatever stands there: what is no text and no blob fits no hash.
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(i + 1)? {
                batch.bytes.extend_from_slice(bytes);
                *length = bytes.len();
            }
        }
        batch.rows.push((row.get(0)?, lengths));
        if batch.rows.len() == BATCH {
            cancel.check()?;
            if send.send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
        }
    }
    // A receiver that is gone has ended early, which joining it tells.
    let _ = send.send(batch);
    Ok(())
}

impl Walk {
    fn run(mut self, batches: &Receiver<Batch>) -> Self {
        while let Ok(batch) = batches.recv() {
            let mut rest = &batch.bytes[..];
            for (seq, lengths) in batch.rows {
                let [object, entry, leaf, chain] = lengths.map(|n| {
                    let (part, tail) = rest.split_at(n);
                    rest = tail;
                    part
                });
                self.row(seq, object, entry, leaf, chain);
            }
        }
        self
    }

    fn broken(&mut self, what: What, seq: i64, how: &str) {
        self.findings.add(what, format!("custody entry {seq} is not as it was written: {how}"));
    }

    fn row(&mut self, number: i64, object: &[u8], entry: &[u8], stored_leaf: &[u8], stored_chain: &[u8]) {
        let Some(seq) = u64::try_from(number).ok().filter(|n| *n > 0) else {
            return self.broken(What::EntryAltered, number, "its columns do not fit its text");
        };
        match seq - self.last - 1 {
            0 => {}
            1 => self.broken(What::EntryMissing, number - 1, "it is missing"),
            _ => {
                let text = format!("custody entries {} to {} are missing", self.last + 1, seq - 1);
                self.findings.add(What::EntryMissing, text);
            }
        }
        self.gap |= seq != self.last + 1;
        let leaf = leaf(entry);
        if stored_leaf != leaf {
            self.broken(What::EntryAltered, number, "its text does not fit its hash");
        }
        self.tell(seq, object, entry);
        // An altered entry is told of once, not also as a cut.
        let by_stored = || {
            stored_leaf != leaf
                && <Hash>::try_from(stored_leaf).is_ok_and(|l| stored_chain == chain(&self.head, &l))
        };
        let next = chain(&self.head, &leaf);
        if stored_chain != next && !by_stored() {
            self.broken(What::ChainCut, number, "the chain is cut before it");
        }
        self.head = stored_chain.try_into().unwrap_or(next);
        self.grow(seq, leaf);
        self.last = seq;
    }

    /// Adds the leaf to the tree, and holds the kept hashes against it.
    fn grow(&mut self, seq: u64, leaf: Hash) {
        let Self { tree, tiles, findings, gap, .. } = self;
        tree.push(leaf, |level, place, hash| {
            let kept = if level % 8 == 0 { tiles.remove(&(level / 8, place)) } else { None };
            if !*gap && kept.is_some_and(|kept| kept != *hash) {
                let (from, to) = ((place << level) + 1, (place + 1) << level);
                let text = format!("the kept hash over custody entries {from} to {to} is not theirs");
                findings.add(What::TileAltered, text);
            }
        });
        if self.wanted.contains(&seq) {
            self.roots.insert(seq, self.tree.root());
        }
    }

    /// Takes in what an entry says.
    fn tell(&mut self, seq: u64, object: &[u8], entry: &[u8]) {
        let head: Option<Head<'_>> = serde_json::from_slice(entry).ok();
        let fits = |h: &Head<'_>| h.seq == seq.cast_signed() && h.object.as_bytes() == object;
        let Some(head) = head.filter(fits) else {
            return self.broken(What::EntryAltered, seq.cast_signed(), "its columns do not fit its text");
        };
        let details = || serde_json::from_slice::<Details>(entry).map(|d| d.details).unwrap_or_default();
        if let Some(id) = head.object.strip_prefix("recording:") {
            if Told::wants(&head.action) {
                self.told.hear(id, &head.action, &details());
            }
        } else if head.action == "custody.key" {
            self.keys.extend(key::logged(seq, &details(), self.keys.last().map(|k| &k.key)));
        } else if head.action == "station.created" && self.station.is_none() {
            self.station = details()["id"].as_str().map(str::to_owned);
        }
    }

    /// Kept hashes over entries that are not there.
    pub(super) fn leftovers(&mut self) {
        if !self.gap && !self.tiles.is_empty() {
            let text = format!("{} kept hashes are over entries that are not there", self.tiles.len());
            self.findings.add(What::TileAltered, text);
        }
    }
}
