//! Checkpoints: size and root of the log at a moment, signed (C2SP tlog-checkpoint), and when one is due.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::entry::Hash;
use super::note::{Note, PrivateKey};
use super::{key, log, merkle, tiles};
use crate::base::clock::{from_ms, to_ms};
use crate::base::{Error, Kind, Result};

/// The name of a station's log, and of its key.
pub fn origin(station: &str) -> String {
    format!("docket/{station}")
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log.
    pub origin: String,
    /// Entries it covers.
    pub size: u64,
    /// The Merkle tree's root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// What a note's text says; lines after the third are extensions that others may add.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let fits = !origin.is_empty() && number.to_string() == size && lines.all(|l| !l.is_empty());
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        fits.then(|| Self { origin: origin.to_owned(), size: number, root })
    }

    /// The note and what it says; `None` where these bytes are no checkpoint.
    pub fn of(bytes: &[u8]) -> Option<(Note, Self)> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse(&note.text)?;
        Some((note, checkpoint))
    }
}

/// A checkpoint as the catalogue keeps it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Entries it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// When it was signed, by the station's clock.
    pub at: DateTime<Utc>,
}

/// Whether a checkpoint is to be signed: the log has grown, by `every` entries or for a day. A clock that
/// was set back counts like one that ran on.
pub fn due(last: Option<(u64, DateTime<Utc>)>, size: u64, now: DateTime<Utc>, every: u64) -> bool {
    match last {
        None => size > 0,
        Some((last_size, last_at)) => {
            let grown = size.saturating_sub(last_size);
            grown > 0 && (grown >= every || (now - last_at).abs() >= TimeDelta::days(1))
        }
    }
}

fn kept(r: &rusqlite::Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept { size: r.get::<_, i64>(0)?.unsigned_abs(), note: r.get(1)?, at: from_ms(r.get(2)?) })
}

/// The newest checkpoint.
pub fn newest(db: &Connection) -> Result<Option<Kept>> {
    let sql = "SELECT size, note, at FROM checkpoint ORDER BY size DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([], kept).optional()?)
}

/// Checkpoints that cover more than `after` entries, by size.
pub fn since(db: &Connection, after: u64) -> Result<Vec<Kept>> {
    let sql = "SELECT size, note, at FROM checkpoint WHERE size > ?1 ORDER BY size";
    let mut query = db.prepare_cached(sql)?;
    Ok(query.query_map([after.cast_signed()], kept)?.collect::<rusqlite::Result<_>>()?)
}

/// The root of the first `size` entries.
pub fn root(db: &Connection, size: u64) -> Result<Hash> {
    merkle::root(&mut |level, place| tiles::subtree(db, level, place), size)
}

fn refuse(what: String) -> Error {
    Error::new(Kind::Integrity, what).next(
        "keep the catalogue as it is and run `docket custody verify`; after restoring a backup, \
         `docket custody new-key` begins anew, and says so in the log",
    )
}

/// Signs a checkpoint over the whole log, in the transaction it is handed; `None` where the newest one
/// covers it already. The tiles are best filled before ([`tiles::fill`]).
///
/// # Errors
/// [`Kind::Integrity`] where the log does not continue the one that the newest checkpoint is of (a log
/// never signs two histories: C2SP tlog-checkpoint), or names another key.
pub fn make(tx: &Connection, signer: &PrivateKey, now: DateTime<Utc>) -> Result<Option<Kept>> {
    let (size, _) = log::head(tx)?;
    let public = signer.public();
    if key::current(tx)?.is_none_or(|k| k.key != public) {
        return Err(refuse("the custody key is not the one that the custody log names".into()));
    }
    if let Some(last) = newest(tx)? {
        if last.size > size {
            return Err(refuse(format!(
                "the custody log ends at entry {size}, before its newest checkpoint of {} entries",
                last.size
            )));
        }
        let said = Checkpoint::of(last.note.as_bytes()).map(|(_, c)| (c.size, c.root));
        if said != Some((last.size, root(tx, last.size)?)) {
            return Err(refuse(format!(
                "the custody log is not the one that was signed at {} entries",
                last.size
            )));
        }
        if last.size == size {
            return Ok(None);
        }
    }
    if size == 0 {
        return Ok(None);
    }
    let checkpoint = Checkpoint { origin: public.name, size, root: root(tx, size)? };
    let kept = Kept { size, note: signer.sign(&checkpoint.text()), at: now };
    tx.prepare_cached("INSERT INTO checkpoint (size, note, at) VALUES (?1, ?2, ?3)")?.execute(params![
        size.cast_signed(),
        kept.note,
        to_ms(now)
    ])?;
    Ok(Some(kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_checkpoint_is_due_by_number_and_by_day() {
        let at = |hours: i64| DateTime::from_timestamp(1_795_000_000 + hours * 3600, 0).unwrap();
        let last = Some((100, at(0)));
        for (last, size, now, wanted) in [
            (None, 0, at(0), false),
            (None, 1, at(0), true),
            (last, 100, at(999), false),
            (last, 109, at(0), false),
            (last, 110, at(0), true),
            (last, 101, at(23), false),
            (last, 101, at(24), true),
            // Set back by a day: better one too many than none until it has caught up.
            (last, 101, at(-24), true),
            // Shorter than it was: nothing to sign, and `make` would refuse.
            (last, 99, at(999), false),
        ] {
            assert_eq!(due(last, size, now, 10), wanted, "{last:?} {size} {now}");
        }
    }

    #[test]
    fn the_example_of_c2sp_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.text(), text);
        assert_eq!(Checkpoint::parse(&format!("{text}extension\n")), Some(checkpoint));
        for wrong in [
            "x\n07\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "x\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jx\n",
            "x\n7\n",
            "\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "x\n+7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        ] {
            assert_eq!(Checkpoint::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text: String, size: u64, root: [u8; 32]) {
            let _ = Checkpoint::parse(&text);
            let checkpoint = Checkpoint { origin: "docket/x".into(), size, root };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Some(checkpoint));
        }
    }
}
