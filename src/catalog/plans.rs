//! That what is asked every minute, or for each file, is found by index; tests only.
#![allow(clippy::unwrap_used)]

use super::{Catalog, Connection};
use crate::base::Result;

/// What stays small: rows of the query itself, the open work, what people registered or must decide.
const SHORT: [&str; 8] = ["each", "above", "CONSTANT ROW", "station", "job", "q", "officer", "volume"];

/// Query texts of a source file: its literals that read tables.
fn queries(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let texts = code.split('"').filter(|t| t.starts_with("SELECT ") || t.starts_with("WITH "));
    // Those with a list of columns to be filled in, and halves of a text, are no queries.
    texts.map(|t| t.replace("{COLUMNS}", "*")).filter(|t| !t.contains('{') && t.contains(" FROM ")).collect()
}

fn plan(db: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let unbound = vec![rusqlite::types::Value::Integer(1); query.parameter_count()];
    let steps = query.query_map(rusqlite::params_from_iter(unbound), |r| r.get(3))?;
    Ok(steps.collect::<rusqlite::Result<_>>()?)
}

/// Steps that read a table from end to end. An index over only what is open is short.
fn scans(db: &Connection, sql: &str) -> Vec<String> {
    let mut partial = db
        .prepare("SELECT 'INDEX ' || name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'")
        .unwrap();
    let partial: Vec<String> =
        partial.query_map([], |r| r.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    let mut steps = plan(db, sql).unwrap();
    steps.retain(|s| s.starts_with("SCAN ") && !partial.iter().any(|index| s.ends_with(index)));
    let is_short = |s: &String| SHORT.contains(&s.trim_start_matches("SCAN "));
    steps.retain(|s| !is_short(s));
    steps
}

#[test]
fn what_is_asked_again_and_again_is_found_by_index() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.sqlite");
    drop(Catalog::open_or_create(&path).unwrap());
    // Statistics of tables with a row or two, as a station has them on its first day.
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "INSERT INTO unit (id, code, name) VALUES (1, 'u', 'u');
         INSERT INTO officer (id, badge, name, unit, role) VALUES (1, 'b', 'n', 1, 'officer');
         INSERT INTO recorder VALUES ('r', 0, 0);
         INSERT INTO issue (recorder, officer, purpose, issued_at) VALUES ('r', 1, 'p', 0);
         INSERT INTO alert (id, kind, subject, severity, state, message, opened_at, updated_at)
           VALUES (1, 'k', 's', 'warning', 'open', '', 0, 0);
         INSERT INTO outbox (key, channel, alert, event, state, created_at, next_at)
           VALUES ('k', 'c', 1, 'opened', 'waiting', 0, 0);
         ANALYZE;",
    )
    .unwrap();
    drop(db);
    let catalog = Catalog::open(&path).unwrap();
    let (mut found, mut asked) = (Vec::new(), 0);
    catalog
        .read(|db| {
            for (file, source) in [
                ("alerts.rs", include_str!("alerts.rs")),
                ("deadlines.rs", include_str!("deadlines.rs")),
                ("facts.rs", include_str!("facts.rs")),
                ("outbox.rs", include_str!("outbox.rs")),
                ("jobs.rs", include_str!("jobs.rs")),
                ("ledger.rs", include_str!("ledger.rs")),
            ] {
                for sql in queries(source) {
                    asked += 1;
                    for step in scans(db, &sql) {
                        found.push(format!("{file}: {step}\n    {sql}"));
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(asked > 30, "{asked}");
    assert!(found.is_empty(), "{}", found.join("\n"));
    drop(catalog);
    // And closing counts nothing anew.
    let db = Connection::open(&path).unwrap();
    let counted: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(counted, 0);
}
