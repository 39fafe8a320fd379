//! A copy in memory of some tables, to try a change on: whoever writes does not wait for it.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::look;
use crate::base::Result;

/// What registers and ledger write to.
const TABLES: [&str; 4] = ["unit", "officer", "recorder_entry", "issue"];

/// A catalogue whose registers and ledger can be changed without anybody ever knowing. Custody goes on from the last
/// entry; everything else is read where it lies, as it was when the copy was made, and cannot be changed.
///
/// # Errors
/// As [`look`].
pub fn of_registers(path: &Path) -> Result<Connection> {
    drop(look(path)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_in_memory_with_flags(flags)?;
    db.busy_timeout(Duration::from_secs(30))?;
    // What rows refer to stays behind; the change itself looks whether it is there.
    db.pragma_update(None, "foreign_keys", false)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute("ATTACH DATABASE ?1 AS station", [uri(path)])?;
    // One view of the station until the end: a name that is not here is looked for there.
    db.execute_batch("BEGIN")?;
    for table in TABLES.into_iter().chain(["custody"]) {
        let mut made = db.prepare(
            "SELECT sql FROM station.sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type <> 'table'",
        )?;
        let made = made.query_map([table], |r| r.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        made.iter().try_for_each(|sql| db.execute_batch(sql))?;
        if table != "custody" {
            db.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM station.{table}"))?;
        }
    }
    db.execute_batch("INSERT INTO main.custody SELECT * FROM station.custody ORDER BY seq DESC LIMIT 1")?;
    Ok(db)
}

/// The file as SQLite's URI, for reading only; whatever bytes its name has.
fn uri(path: &Path) -> String {
    let mut out = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out + "?mode=ro"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn a_copy_is_changed_and_its_station_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b%20?#.sqlite");
        let catalog = Catalog::open_or_create(&path).unwrap();
        let add = |tx: &Connection| {
            tx.execute_batch(
                "INSERT INTO unit (code, name) VALUES ('u' || (SELECT count(*) FROM unit), 'n')",
            )?;
            Ok(())
        };
        let units =
            |db: &Connection| Ok(db.query_row("SELECT count(*) FROM unit", [], |r| r.get::<_, i64>(0))?);
        catalog.write(add).unwrap();
        let copy = of_registers(&path).unwrap();
        add(&copy).unwrap();
        // Neither waits for the other.
        catalog.write(add).unwrap();
        catalog.write(add).unwrap();
        assert_eq!((units(&copy).unwrap(), catalog.read(units).unwrap()), (2, 3));
        let kept = copy.execute("INSERT INTO recorder VALUES ('r', 0, 0)", []);
        assert!(kept.unwrap_err().to_string().contains("readonly"));
    }
}
