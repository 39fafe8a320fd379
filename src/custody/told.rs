//! What the log tells of recordings, held against their rows.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::entry::Hash;
use super::verify::{Findings, What};
use crate::base::text::{hex, unhex};
use crate::base::{Cancel, Result};

/// Rows between two looks at the request to stop.
const PAGE: u64 = 4096;

/// What the entries say of every recording.
#[derive(Default)]
pub(super) struct Told {
    /// The SHA-256 and size that an archived recording was last given.
    bytes: HashMap<u128, (Hash, u64)>,
    /// Recordings of which a copy was found bad: by volume, the last word on it.
    bad: HashMap<u128, BTreeMap<String, bool>>,
}

/// A recording's id as a number: ids are UUIDs, and a million of them have to be kept in mind.
fn number(id: &str) -> u128 {
    match uuid::Uuid::try_parse(id) {
        Ok(uuid) if id.len() == 36 => uuid.as_u128(),
        _ => {
            let mut first = [0; 16];
            first.copy_from_slice(&Sha256::digest(id)[..16]);
            u128::from_be_bytes(first)
        }
    }
}

impl Told {
    /// Whether an action of a recording changes what is known of its bytes or copies.
    pub(super) fn wants(action: &str) -> bool {
        matches!(
            action.strip_prefix("recording."),
            Some(
                "archived"
                    | "rebuilt"
                    | "restored"
                    | "damaged"
                    | "missing"
                    | "reverified"
                    | "replicated"
                    | "owed"
            )
        )
    }

    /// Takes in an entry.
    pub(super) fn hear(&mut self, id: &str, action: &str, details: &Value) {
        let id = number(id);
        let volume = || details["volume"].as_str().unwrap_or_default().to_owned();
        match action {
            "recording.archived" | "recording.rebuilt" | "recording.restored" => {
                let size = &details["size"];
                let size = size.as_u64().or_else(|| size.as_str()?.parse().ok());
                let hash = details["sha256"].as_str().and_then(unhex).and_then(|h| h.try_into().ok());
                if let (Some(size), Some(hash)) = (size, hash) {
                    self.bytes.insert(id, (hash, size));
                }
                // Which volume got its bytes back is not said.
                if action == "recording.restored" {
                    self.bad.entry(id).and_modify(BTreeMap::clear);
                }
            }
            "recording.damaged" | "recording.missing" => {
                self.bad.entry(id).or_default().insert(volume(), true);
            }
            "recording.owed" => drop(self.bad.entry(id).and_modify(BTreeMap::clear)),
            _ => {
                if let Some(volumes) = self.bad.get_mut(&id) {
                    volumes.insert(volume(), false);
                }
            }
        }
    }

    /// Holds every recording's row against its entries; returns how many rows there are.
    pub(super) fn compare(
        mut self,
        db: &Connection,
        findings: &mut Findings,
        cancel: &Cancel,
    ) -> Result<u64> {
        let mut query = db.prepare("SELECT id, sha256, size, state FROM recording")?;
        let mut rows = query.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            if count % PAGE == 0 {
                cancel.check()?;
            }
            let (id, size) = (row.get_ref(0)?.as_str().unwrap_or_default(), row.get::<_, i64>(2)?);
            let hash = row.get_ref(1)?.as_blob().unwrap_or_default();
            match self.bytes.remove(&number(id)) {
                None => findings.add(
                    What::RecordingUnlogged,
                    format!("recording {id} stands in the catalogue without an entry of its archiving"),
                ),
                Some((told, bytes)) if told != hash || bytes != size.unsigned_abs() => findings.add(
                    What::RecordingAltered,
                    format!(
                        "recording {id} stands in the catalogue with SHA-256 {} and {size} bytes; \
                         archived were {} and {bytes} bytes",
                        hex(hash),
                        hex(&told)
                    ),
                ),
                Some(_) => {}
            }
            let state = row.get_ref(3)?.as_str().unwrap_or_default();
            if state != "archived" && !self.bad.contains_key(&number(id)) {
                self.contradicts(findings, id, state);
            }
        }
        for id in self.bytes.keys() {
            let id = uuid::Uuid::from_u128(*id);
            let text = format!("recording {id} was archived, and the catalogue has it no more");
            findings.add(What::RecordingLost, text);
        }
        self.copies(db, findings)?;
        Ok(count)
    }

    fn contradicts(&self, findings: &mut Findings, id: &str, state: &str) {
        let text =
            format!("recording {id} stands in the catalogue as {state}, and its last entries say otherwise");
        findings.add(What::RecordingState, text);
    }

    /// Copies whose state is not what was last said of them.
    fn copies(&self, db: &Connection, findings: &mut Findings) -> Result<()> {
        let sql = "SELECT c.recording, v.name, c.state FROM copy c JOIN volume v ON v.id = c.volume
             WHERE c.state IN ('damaged', 'missing')";
        let mut query = db.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (id, volume) =
                (row.get_ref(0)?.as_str().unwrap_or_default(), row.get_ref(1)?.as_str().unwrap_or_default());
            let said = self.bad.get(&number(id)).and_then(|volumes| volumes.get(volume));
            // A volume that was renamed since is not found by its name.
            if said == Some(&false) || !self.bad.contains_key(&number(id)) {
                self.contradicts(findings, id, row.get_ref(2)?.as_str().unwrap_or_default());
            }
        }
        let mut good = db.prepare(
            "SELECT 1 FROM copy c JOIN volume v ON v.id = c.volume
             WHERE c.recording = ?1 AND v.name = ?2 AND c.state = 'archived'",
        )?;
        for (id, volumes) in &self.bad {
            let id = uuid::Uuid::from_u128(*id).to_string();
            for (volume, _) in volumes.iter().filter(|(_, bad)| **bad) {
                if good.exists(params![id, volume])? {
                    self.contradicts(findings, &id, "archived");
                }
            }
        }
        Ok(())
    }
}
