//! The key that signs checkpoints: its file, and what the log says of it.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::log;
use super::note::{PrivateKey, PublicKey};
use crate::base::durable_fs::{self, Dir};
use crate::base::{Error, Kind, Result};

/// The private key in the data directory, mode 0600.
pub const FILE: &str = "custody.key";
/// The public key beside it.
pub const PUBLIC: &str = "custody.pub";
/// What the log calls it.
pub const OBJECT: &str = "custody:key";
/// A new key between its entry in the log and its place.
const NEXT: &str = "custody.key.next";

/// A key as the log names it.
#[derive(Debug, Clone)]
pub struct Logged {
    /// The entry that names it.
    pub seq: u64,
    /// The key.
    pub key: PublicKey,
    /// Whether the key before it signed the change; the first has none before it.
    pub endorsed: bool,
    /// Why it replaced the one before it.
    pub reason: Option<String>,
    /// Entries of the newest checkpoint that the catalogue then had: what the key before it signed beyond
    /// that is of a history that was given up.
    pub after: u64,
}

/// What the old key signs when a new one takes its place.
fn change(old: &PublicKey, new: &PublicKey) -> String {
    format!("docket-custody-key-change\n{old}\n{new}\n")
}

/// The details of the entry that names a key.
pub fn details(new: &PublicKey, old: Option<(&PublicKey, Option<&PrivateKey>)>) -> Value {
    let mut details = json!({ "key": new.to_string() });
    if let Some((public, private)) = old {
        details["replaces"] = public.to_string().into();
        if let Some(private) = private {
            details["signature"] = STANDARD.encode(private.signature(change(public, new).as_bytes())).into();
        }
    }
    details
}

/// What one `custody.key` entry says, given the key before it.
pub(super) fn logged(seq: u64, details: &Value, before: Option<&PublicKey>) -> Option<Logged> {
    let key = PublicKey::parse(details["key"].as_str()?)?;
    let endorsed = before.is_none_or(|old| {
        let signature = details["signature"].as_str().and_then(|s| STANDARD.decode(s).ok());
        signature.is_some_and(|s| old.verifies(change(old, &key).as_bytes(), &s))
    });
    let reason = details["reason"].as_str().map(str::to_owned);
    Some(Logged { seq, key, endorsed, reason, after: details["checkpoint"].as_u64().unwrap_or(u64::MAX) })
}

/// All keys that the log names, in its order.
pub fn all(db: &Connection) -> Result<Vec<Logged>> {
    let mut keys: Vec<Logged> = Vec::new();
    for stored in log::history(db, OBJECT)? {
        let entry: Value = serde_json::from_slice(&stored.entry).unwrap_or_default();
        if entry["action"] == "custody.key" {
            keys.extend(logged(stored.seq, &entry["details"], keys.last().map(|k| &k.key)));
        }
    }
    Ok(keys)
}

/// The key in force.
pub fn current(db: &Connection) -> Result<Option<Logged>> {
    Ok(all(db)?.pop())
}

/// Reads the key of a data directory; `None` where there is none.
///
/// # Errors
/// [`Kind::Invalid`] where others may read it, or it is no key.
pub fn load(data: &Path) -> Result<Option<PrivateKey>> {
    let dir = Dir::open(data)?;
    read(&dir, FILE)
}

fn read(dir: &Dir, name: &str) -> Result<Option<PrivateKey>> {
    let path = dir.join(name.as_ref());
    let Some(stat) = dir.stat(name.as_ref())? else { return Ok(None) };
    if stat.st_mode & 0o077 != 0 {
        let mode = stat.st_mode & 0o777;
        let what = format!("others may read the custody key {} (mode {mode:o})", path.display());
        return Err(Error::new(Kind::Invalid, what).next(
            "chmod 600 it; if somebody may have copied it, `docket custody new-key --reason …` replaces it",
        ));
    }
    let mut text = String::new();
    let file = dir.open_read(name.as_ref())?;
    file.take(4096).read_to_string(&mut text).map_err(|e| Error::io("read", &path, e))?;
    let key = PrivateKey::parse(&text).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("{} holds no custody key", path.display()))
            .next("put it back from where it is kept safe; `docket custody new-key` makes another")
    })?;
    Ok(Some(key))
}

/// Makes a key for a log and writes it down durably where no key is yet, with its public half beside it.
///
/// # Errors
/// [`Kind::Invalid`] where there is a key already: it is never overwritten.
pub fn create(data: &Path, name: &str) -> Result<PrivateKey> {
    let dir = Dir::open(data)?;
    let key = prepare(data, name)?;
    install(&dir, &key)?;
    Ok(key)
}

/// Makes a key and writes it down durably, not in force yet: its entry in the log comes first.
pub fn prepare(data: &Path, name: &str) -> Result<PrivateKey> {
    let dir = Dir::open(data)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|e| Error::new(Kind::Invalid, format!("the system gives no random numbers: {e}")))?;
    let key = PrivateKey::new(name, &seed);
    dir.remove(NEXT.as_ref())?;
    let path = dir.join(NEXT.as_ref());
    let mut file = dir.create_new(NEXT.as_ref())?;
    durable_fs::append(&mut file, key.line().as_bytes()).map_err(|e| Error::io("write", &path, e))?;
    durable_fs::sync(&file).map_err(|e| Error::io("sync", &path, e))?;
    dir.sync_dir("".as_ref())?;
    Ok(key)
}

fn install(dir: &Dir, key: &PrivateKey) -> Result<()> {
    if !dir.rename_new(NEXT.as_ref(), FILE.as_ref())? {
        let what = format!("there is a custody key at {}", dir.join(FILE.as_ref()).display());
        return Err(
            Error::new(Kind::Invalid, what).next("`docket custody new-key` replaces it, and keeps it")
        );
    }
    dir.sync_dir("".as_ref())?;
    dir.write_whole(PUBLIC.as_ref(), format!("{}\n", key.public()).as_bytes())
}

/// Puts a prepared key in force that the log names now; the old one is kept beside it under its key id.
pub fn replace(data: &Path, key: &PrivateKey) -> Result<()> {
    let dir = Dir::open(data)?;
    if dir.stat(FILE.as_ref())?.is_some() {
        let old = match read(&dir, FILE) {
            Ok(Some(old)) => crate::base::text::hex(&old.public().id()),
            _ => "unreadable".into(),
        };
        let mut aside = format!("{FILE}.{old}");
        while !dir.rename_new(FILE.as_ref(), aside.as_ref())? {
            aside.push('+');
        }
    }
    install(&dir, key)
}

/// The key to sign with: the one that the log names last.
///
/// # Errors
/// [`Kind::NotFound`] without a key, [`Kind::Integrity`] where the file holds another than the log names.
pub fn signer(data: &Path, db: &Connection) -> Result<PrivateKey> {
    let wanted = current(db)?.map(|k| k.key);
    let found = load(data)?;
    if let Some(key) = found {
        if wanted.as_ref() == Some(&key.public()) {
            return Ok(key);
        }
    } else if wanted.is_none() {
        return Err(
            Error::new(Kind::NotFound, "the station has no custody key yet").next("docket init makes it")
        );
    }
    // A change of keys that was cut off after its entry.
    if let Some(next) = read(&Dir::open(data)?, NEXT)?
        && wanted.as_ref() == Some(&next.public())
    {
        replace(data, &next)?;
        return Ok(next);
    }
    let what = match wanted {
        Some(wanted) => {
            format!("{} is not the key that the custody log names: {wanted}", data.join(FILE).display())
        }
        None => format!("the custody log names no key, and {} is there", data.join(FILE).display()),
    };
    Err(Error::new(Kind::Integrity, what).next(
        "put the right custody.key back from where it is kept safe; if it is lost, \
         `docket custody new-key --reason …` begins with another, and says so in the log",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_none());
        let key = create(dir.path(), "docket/x").unwrap();
        let file = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(dir.path()).unwrap().unwrap().public(), key.public());
        let public = std::fs::read_to_string(dir.path().join(PUBLIC)).unwrap();
        assert_eq!(PublicKey::parse(&public), Some(key.public()));
        assert_eq!(create(dir.path(), "docket/x").err().unwrap().kind(), Kind::Invalid);
        assert_eq!(load(dir.path()).unwrap().unwrap().public(), key.public());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let e = load(dir.path()).err().unwrap();
        assert!(e.to_string().contains("mode 640") && e.to_string().contains("chmod 600"), "{e}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "what is this").unwrap();
        assert_eq!(load(dir.path()).err().unwrap().kind(), Kind::Invalid);
    }

    #[test]
    fn a_change_of_keys_is_borne_out_by_the_old_one_alone() {
        let [old, new, other] = [1, 2, 3].map(|n| PrivateKey::new("docket/x", &[n; 32]));
        let before = old.public();
        let signed = |by: &PrivateKey| details(&new.public(), Some((&before, Some(by))));
        assert!(logged(9, &signed(&old), Some(&before)).unwrap().endorsed);
        assert!(!logged(9, &signed(&other), Some(&before)).unwrap().endorsed);
        assert!(!logged(9, &details(&new.public(), Some((&before, None))), Some(&before)).unwrap().endorsed);
        assert!(logged(1, &details(&before, None), None).unwrap().endorsed);
    }
}
