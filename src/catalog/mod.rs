//! The station's SQLite database. The only SQL of the program lives here and in `custody::log`.
//!
//! One thread writes. It gathers the changes that wait, runs each in a savepoint of one
//! transaction, commits once (WAL, synchronous=FULL), and answers each caller after the commit.

pub mod alerts;
pub mod backup;
pub mod candidates;
pub mod cases;
pub mod copies;
pub mod deadlines;
pub mod dockings;
pub mod exemptions;
pub mod facts;
pub mod feed;
pub mod jobs;
pub mod ledger;
pub mod left;
pub mod links;
pub mod metrics;
pub mod officers;
pub mod outbox;
pub mod private;
pub mod recorders;
pub mod recordings;
pub mod rights;
pub mod search;
pub mod steps;
pub mod told;
pub mod units;
pub mod volumes;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite_migration::{Error as MigrationError, M, MigrationDefinitionError, Migrations};
use serde_json::Value;

use crate::base::failpoint;
use crate::base::{Error, Kind, Result};

const STEPS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001.sql")),
    M::up(include_str!("migrations/0002.sql")),
    M::up(include_str!("migrations/0003.sql")),
    M::up(include_str!("migrations/0004.sql")),
    M::up(include_str!("migrations/0005.sql")),
    M::up(include_str!("migrations/0006.sql")),
    M::up(include_str!("migrations/0007.sql")),
    M::up(include_str!("migrations/0008.sql")),
];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);

/// Changes gathered into one commit at most.
const GROUP: usize = 256;
/// How long an idle change may wait for another.
const LINGER: Duration = Duration::from_millis(50);

type Answer = Box<dyn FnOnce(Result<()>) + Send>;
type Make = Box<dyn FnOnce(Result<&Connection>) -> Answer + Send>;

struct Change {
    /// Makes the change, or hears why there is no transaction to make it in.
    make: Make,
    /// Commit as soon as nothing else is there to be made.
    prompt: bool,
}

/// The open catalogue; share it freely.
pub struct Catalog {
    path: PathBuf,
    writer: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
    readers: Mutex<Vec<Connection>>,
}

/// Nobody hears the answer of a posted change: its failure goes to the log.
fn told(change: impl FnOnce(&Connection) -> Result<()>) -> impl FnOnce(&Connection) -> Result<()> {
    |tx| change(tx).inspect_err(|e| tracing::warn!("the catalogue: {e}"))
}

fn stopped() -> Error {
    Error::new(Kind::Catalog, "the catalogue's writer has stopped")
        .next("see the log, then start docket again")
}

impl Catalog {
    /// Opens the catalogue of a data directory, brings its schema up to date, starts the writer.
    ///
    /// # Errors
    /// A missing, corrupt or newer database is refused with what to do about it.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::new(Kind::NotFound, format!("there is no catalogue at {}", path.display()))
                .next("`docket init --data DIR` makes a station; `docket rebuild` makes a catalogue from manifests"));
        }
        // Looked at before a writer would make an empty file a catalogue without recordings.
        drop(known(path)?);
        Self::open_or_create(path)
    }

    /// Like [`Catalog::open`], for `docket init`: creates the database where there is none.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        MIGRATIONS.to_latest(&mut db).map_err(|e| match e {
            MigrationError::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => newer(path),
            e => refuse(path, &e),
        })?;
        forget_statistics(&db)?;
        // After migrating, which sorts whole tables: what a change may have to undo is small, and written to a
        // temporary file it costs a fifth of the writer's time.
        db.pragma_update(None, "temp_store", "MEMORY")?;
        let (writer, changes) = mpsc::sync_channel(4 * GROUP);
        let thread = std::thread::Builder::new()
            .name("catalogue".into())
            .spawn(move || write_loop(&db, &changes))
            .map_err(|e| Error::new(Kind::Catalog, format!("cannot start the catalogue's thread: {e}")))?;
        Ok(Self {
            path: path.to_owned(),
            writer: Some(writer),
            thread: Some(thread),
            readers: Mutex::new(Vec::new()),
        })
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn send<T, F>(&self, change: F, prompt: bool) -> Receiver<Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = mpsc::sync_channel(1);
        let make = Box::new(move |tx: Result<&Connection>| -> Answer {
            let result = tx.and_then(|tx| in_savepoint(tx, change));
            Box::new(move |committed| drop(reply.send(committed.and(result))))
        });
        if let Some(writer) = &self.writer {
            // A writer that is gone drops the change, and the waiter learns of it.
            drop(writer.send(Change { make, prompt }));
        }
        answer
    }

    /// Sends a change without waiting for it. Changes are made in the order they are sent.
    pub fn post<F>(&self, change: F)
    where
        F: FnOnce(&Connection) -> Result<()> + Send + 'static,
    {
        drop(self.send(told(change), true));
    }

    /// Sends a change that may wait a moment for one to be committed with. A crash before that
    /// undoes it.
    pub fn post_idly<F>(&self, change: F)
    where
        F: FnOnce(&Connection) -> Result<()> + Send + 'static,
    {
        drop(self.send(told(change), false));
    }

    /// Waits until everything that was posted so far can be read, and is durable.
    pub fn settle(&self) -> Result<()> {
        self.write(|_| Ok(()))
    }

    /// Makes a change and waits until it is durable.
    pub fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.send(change, true).recv().unwrap_or_else(|_| Err(stopped()))
    }

    /// Reads on a connection that cannot write.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let waiting = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = match waiting {
            Some(db) => db,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let result = look(&db);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        result
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Drops what an older version, or somebody's ANALYZE, counted. Tables that were nearly empty then are taken for
/// small ever after, and read whole where an index would do; every query is written for its index.
fn forget_statistics(db: &Connection) -> Result<()> {
    let counted = "SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')";
    let names =
        db.prepare(counted)?.query_map([], |r| r.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    names.iter().try_for_each(|name| Ok(db.execute_batch(&format!("DROP TABLE {name}"))?))
}

/// A connection for looking only, for commands beside a running daemon.
///
/// # Errors
/// As [`Catalog::open`].
pub fn look(path: &Path) -> Result<Connection> {
    let (db, version) = known(path)?;
    if version < STEPS.len() {
        let what = format!("the catalogue {} was made by an older docket", path.display());
        return Err(Error::new(Kind::Invalid, what)
            .next("start the daemon once, or run `docket init`: either brings it up to date"));
    }
    Ok(db)
}

/// A catalogue of this or an older version, for looking only.
fn known(path: &Path) -> Result<(Connection, usize)> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(|e| refuse(path, &e))?;
    match usize::try_from(version) {
        Ok(0) | Err(_) => Err(damaged(path, "it holds no catalogue")),
        Ok(version) if version > STEPS.len() => Err(newer(path)),
        Ok(version) => Ok((db, version)),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(30))?;
        db.set_prepared_statement_cache_capacity(64);
        db.pragma_update(None, "foreign_keys", true)?;
        // KiB. Readers are many, one for each stay, and find the rest in the page cache.
        db.pragma_update(None, "cache_size", -512)?;
        if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
            db.pragma_update(None, "cache_size", -4096)?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "FULL")?;
        }
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(db)
    };
    open().map_err(|e| refuse(path, &e))
}

fn newer(path: &Path) -> Error {
    Error::new(Kind::Invalid, format!("the catalogue {} was made by a newer docket", path.display()))
        .next("install that version again; an older one never opens it, so that nothing is lost")
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Kind::Integrity, format!("the catalogue {} is damaged: {why}", path.display())).next(
        "put it aside with its -wal and -shm (do not delete them) and restore the last `docket backup`, or make a new one with `docket rebuild`",
    )
}

fn refuse(path: &Path, e: &dyn std::error::Error) -> Error {
    let text = e.to_string();
    if text.contains("not a database") || text.contains("malformed") {
        return damaged(path, &text);
    }
    let path = path.display();
    Error::new(Kind::Catalog, format!("cannot open the catalogue {path}: {text}"))
        .next("`docket doctor` checks who owns it and its disk")
}

/// Facts of a new entry as details of custody; what is not set is left out.
fn set_facts<const N: usize>(facts: [(&'static str, Value); N]) -> Value {
    let set = |v: &Value| !v.is_null() && v.as_str() != Some("");
    Value::Object(facts.into_iter().filter(|(_, v)| set(v)).map(|(k, v)| (k.to_owned(), v)).collect())
}

/// What is new about an entry and, as `old_…`, what it was; `None` where nothing is.
fn differences<const N: usize>(
    old: [(&'static str, Value); N],
    new: [(&'static str, Value); N],
) -> Option<Value> {
    let mut details = serde_json::Map::new();
    for ((name, old), (_, new)) in old.into_iter().zip(new).filter(|(old, new)| old != new) {
        details.insert(name.to_owned(), new);
        details.insert(format!("old_{name}"), old);
    }
    (!details.is_empty()).then_some(Value::Object(details))
}

/// Makes a change inside a transaction that is taken back whole where it fails; what was made before stays.
///
/// # Errors
/// Those of the change.
pub fn in_savepoint<T>(tx: &Connection, change: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    tx.prepare_cached("SAVEPOINT change")?.execute([])?;
    let result = change(tx);
    if result.is_err() {
        tx.prepare_cached("ROLLBACK TO change")?.execute([])?;
    }
    tx.prepare_cached("RELEASE change")?.execute([])?;
    result
}

fn write_loop(db: &Connection, changes: &Receiver<Change>) {
    while let Ok(first) = changes.recv() {
        // Gathered before the lock is taken: commands beside the daemon write too.
        let end = Instant::now() + LINGER;
        let mut prompt = first.prompt;
        let mut group = vec![first];
        while group.len() < GROUP {
            let linger = if prompt { Duration::ZERO } else { end.saturating_duration_since(Instant::now()) };
            let Ok(next) = changes.recv_timeout(linger) else { break };
            prompt |= next.prompt;
            group.push(next);
        }
        if let Err(e) = db.execute_batch("BEGIN IMMEDIATE") {
            let e = Error::from(e);
            tracing::error!("{e}");
            for change in group {
                (change.make)(Err(Error::new(e.kind(), e.what())))(Ok(()));
            }
            continue;
        }
        let answers: Vec<Answer> = group.into_iter().map(|change| (change.make)(Ok(db))).collect();
        failpoint::hit("catalogue.before-commit");
        let committed = db.execute_batch("COMMIT");
        if let Err(e) = &committed {
            tracing::error!("the catalogue could not commit: {e}");
            let _ = db.execute_batch("ROLLBACK");
        }
        failpoint::hit("catalogue.after-commit");
        for answer in answers {
            answer(match &committed {
                Ok(()) => Ok(()),
                Err(e) => Err(Error::new(Kind::Catalog, format!("the catalogue could not commit: {e}"))
                    .next("check the disk that holds the data directory; `docket doctor` helps")),
            });
        }
    }
}

#[cfg(test)]
mod plans;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_valid() {
        MIGRATIONS.validate().unwrap();
    }

    #[test]
    fn a_failed_change_leaves_its_neighbours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open_or_create(&dir.path().join("c.sqlite")).unwrap();
        let insert = |id: &'static str| {
            move |tx: &Connection| {
                tx.execute("INSERT INTO recorder VALUES (?1, 0, 0)", [id])?;
                if id == "b" { Err(Error::new(Kind::Invalid, "no")) } else { Ok(()) }
            }
        };
        let [a, b, c] = ["a", "b", "c"].map(|id| catalog.send(insert(id), true));
        assert!(a.recv().unwrap().is_ok() && b.recv().unwrap().is_err() && c.recv().unwrap().is_ok());
        let n: i64 =
            catalog.read(|db| Ok(db.query_row("SELECT count(*) FROM recorder", [], |r| r.get(0))?)).unwrap();
        assert_eq!(n, 2);
    }

    #[test]
    fn corrupt_and_newer_catalogues_are_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.sqlite");
        std::fs::write(&path, b"this is not a database, it is a long enough text to be looked at").unwrap();
        let e = Catalog::open(&path).err().unwrap();
        assert_eq!(e.kind(), Kind::Integrity);
        assert!(e.to_string().contains("docket rebuild"));
        let path = dir.path().join("newer.sqlite");
        drop(Catalog::open_or_create(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let e = Catalog::open(&path).err().unwrap();
        assert!(e.to_string().contains("newer docket"), "{e}");
    }

    #[test]
    fn custody_refuses_change_and_removal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.sqlite");
        let catalog = Catalog::open_or_create(&path).unwrap();
        let entry = crate::custody::Entry {
            at: chrono::Utc::now(),
            actor: "test".into(),
            action: "station.created",
            object: "station".into(),
            details: serde_json::Map::new(),
        };
        catalog.write(move |tx| crate::custody::log::append(tx, &entry).map(drop)).unwrap();
        let raw = Connection::open(&path).unwrap();
        assert!(raw.execute("UPDATE custody SET object = 'x'", []).is_err());
        assert!(raw.execute("DELETE FROM custody", []).is_err());
        raw.execute_batch("DROP TRIGGER custody_is_never_changed; UPDATE custody SET entry = x'7b7d'")
            .unwrap();
        assert_eq!(catalog.read(crate::custody::log::verify).unwrap_err().kind(), Kind::Integrity);
    }
}
