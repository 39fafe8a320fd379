//! Readers of the custody log: what has changed since they last looked, whoever changed it.

use rusqlite::{Connection, OptionalExtension, params};

use crate::base::Result;

/// How far a reader of the custody log has come.
pub fn read_up_to(db: &Connection, reader: &str) -> Result<i64> {
    let sql = "SELECT seq FROM reader WHERE name = ?1";
    Ok(db.prepare_cached(sql)?.query_row([reader], |r| r.get(0)).optional()?.unwrap_or(0))
}

/// Notes how far a reader has come.
pub fn set_read_up_to(tx: &Connection, reader: &str, seq: i64) -> Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO reader (name, seq) VALUES (?1, ?2)")?
        .execute(params![reader, seq])?;
    Ok(())
}

/// The objects of the entries after `seq`, at most `limit` of them, each once, and the last entry read.
pub fn touched(db: &Connection, seq: i64, limit: u32) -> Result<(i64, Vec<String>)> {
    let sql = "SELECT seq, object FROM custody WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query(params![seq, limit])?;
    let (mut last, mut objects, mut seen) = (seq, Vec::new(), std::collections::HashSet::new());
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let object: String = row.get(1)?;
        if seen.insert(object.clone()) {
            objects.push(object);
        }
    }
    Ok((last, objects))
}
