//! What Prometheus is told of the catalogue. Asked every few seconds for years: each query reads an index
//! as long as what is open, not as long as what was ever done.

use rusqlite::{Connection, params};

use crate::base::Result;

/// Recordings archived so far. Kept between two looks, so that the next one reads only what came since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The last row counted.
    row: i64,
    /// Recordings.
    pub files: u64,
    /// Bytes of their originals.
    pub bytes: u64,
}

/// Counts what came to the archive since `before`; from [`Totals::default`] on it reads an index of all
/// recordings once.
pub fn totals(db: &Connection, before: Totals) -> Result<Totals> {
    // One statement, so that rows and their last number are of one moment. No row is ever removed.
    let sql = if before.row == 0 {
        "SELECT coalesce((SELECT max(rowid) FROM recording), 0), count(*), coalesce(sum(size), 0)
         FROM recording WHERE ?1 = 0"
    } else {
        "SELECT coalesce(max(rowid), ?1), count(*), coalesce(sum(size), 0) FROM recording WHERE rowid > ?1"
    };
    Ok(db.prepare_cached(sql)?.query_row([before.row], |r| {
        Ok(Totals {
            row: r.get(0)?,
            files: before.files + r.get::<_, i64>(1)?.unsigned_abs(),
            bytes: before.bytes.saturating_add(r.get::<_, i64>(2)?.unsigned_abs()),
        })
    })?)
}

/// What a recorder has brought and the archive does not have yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unarchived {
    /// Whose.
    pub recorder: String,
    /// Files.
    pub files: u64,
    /// Bytes, by what the card says.
    pub bytes: u64,
    /// The chosen time of the oldest recording, milliseconds.
    pub oldest: i64,
}

/// Deadlines of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// `recording`, `recorder`, `case`.
    pub kind: &'static str,
    /// Running, and nobody needs to be warned yet.
    pub running: u64,
    /// Running, with little time left.
    pub due_soon: u64,
    /// Past the earliest bound, not past the latest: late if the recorder's clock was right.
    pub overdue_estimated: u64,
    /// Past the latest bound.
    pub overdue: u64,
    /// Kept too late, ever.
    pub late: u64,
    /// The earliest of the running ones, milliseconds.
    pub next: Option<i64>,
}

/// The kinds of [`Deadlines`].
pub const DEADLINES: [&str; 3] = ["recording", "recorder", "case"];

/// Messages to one channel that were not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbox {
    /// The channel's name.
    pub channel: String,
    /// Messages that wait to be delivered, or to be tried again.
    pub waiting: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// When the oldest of those that should have been delivered was written, milliseconds. What waits for a
    /// daily message or the end of quiet hours is not among them.
    pub oldest: Option<i64>,
}

/// One look at everything that is open.
#[derive(Debug, Default)]
pub struct Facts {
    /// Work under way: state, jobs, bytes.
    pub jobs: Vec<(String, u64, u64)>,
    /// Recorders with something that is not archived.
    pub unarchived: Vec<Unarchived>,
    /// Volumes: name and state.
    pub volumes: Vec<(String, String)>,
    /// Copies that volumes are owed: name and how many.
    pub owed: Vec<(String, u64)>,
    /// Recordings without a good copy: `damaged`, `missing`.
    pub not_well: Vec<(String, u64)>,
    /// Deadlines, one for each kind.
    pub deadlines: Vec<Deadlines>,
    /// Alerts that stand: kind, severity, state, how many.
    pub alerts: Vec<(String, String, String, u64)>,
    /// Messages not delivered, by channel.
    pub outbox: Vec<Outbox>,
    /// Entries of the custody log.
    pub entries: u64,
    /// The newest checkpoint: how many entries it covers, when it was signed.
    pub checkpoint: Option<(u64, i64)>,
    /// Recorders that are issued and not returned.
    pub issued: u64,
}

/// Looks at everything that is open at `now`; deadlines are due soon from `soon_recording` or `soon_case`
/// milliseconds before their earliest bound on.
pub fn facts(db: &Connection, now: i64, soon_recording: i64, soon_case: i64) -> Result<Facts> {
    // One moment for all figures.
    let tx = db.unchecked_transaction()?;
    let soon = |kind| if kind == "case" { soon_case } else { soon_recording };
    let mut open = Vec::new();
    for kind in DEADLINES {
        open.push(deadlines(&tx, kind, now, soon(kind))?);
    }
    // In the order of DEADLINES.
    let late = tx.prepare_cached(LATE)?.query_row([], |r| Ok([count(r, 0)?, count(r, 1)?, count(r, 2)?]))?;
    open.iter_mut().zip(late).for_each(|(d, late)| d.late = late);
    Ok(Facts {
        jobs: rows(&tx, "SELECT state, count(*), sum(min(size, 1 << 50)) FROM job GROUP BY state", |r| {
            Ok((r.get(0)?, count(r, 1)?, count(r, 2)?))
        })?,
        // What is gone from its card will never be archived: it counts as a failed job.
        unarchived: rows(
            &tx,
            "SELECT recorder, count(*), sum(min(size, 1 << 50)), min(taken_at) FROM job
             WHERE state <> 'failed' GROUP BY recorder",
            |r| {
                Ok(Unarchived {
                    recorder: r.get(0)?,
                    files: count(r, 1)?,
                    bytes: count(r, 2)?,
                    oldest: r.get(3)?,
                })
            },
        )?,
        volumes: rows(&tx, "SELECT name, state FROM volume ORDER BY name", |r| Ok((r.get(0)?, r.get(1)?)))?,
        owed: rows(
            &tx,
            "SELECT name, (SELECT count(*) FROM copy WHERE volume = volume.id AND state = 'owed')
             FROM volume ORDER BY name",
            |r| Ok((r.get(0)?, count(r, 1)?)),
        )?,
        not_well: rows(
            &tx,
            "SELECT state, count(*) FROM recording WHERE state <> 'archived' GROUP BY state",
            |r| Ok((r.get(0)?, count(r, 1)?)),
        )?,
        deadlines: open,
        alerts: rows(
            &tx,
            "SELECT kind, severity, state, count(*) FROM alert WHERE state <> 'resolved'
             GROUP BY kind, severity, state",
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, count(r, 3)?)),
        )?,
        outbox: outbox(&tx, now)?,
        entries: one(&tx, "SELECT coalesce(max(seq), 0) FROM custody")?,
        checkpoint: rows(&tx, "SELECT size, at FROM checkpoint ORDER BY size DESC LIMIT 1", |r| {
            Ok((count(r, 0)?, r.get(1)?))
        })?
        .pop(),
        issued: one(&tx, "SELECT count(*) FROM issue WHERE returned_at IS NULL")?,
    })
}

fn count(r: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(r.get::<_, i64>(column)?.unsigned_abs())
}

fn rows<T>(
    db: &Connection,
    sql: &str,
    row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    Ok(db.prepare_cached(sql)?.query_map([], row)?.collect::<rusqlite::Result<_>>()?)
}

fn one(db: &Connection, sql: &str) -> Result<u64> {
    Ok(db.prepare_cached(sql)?.query_row([], |r| count(r, 0))?)
}

/// The kind is told from the subject, which the index of the late ones has: no row is looked up, and nothing
/// is sorted.
const LATE: &str = "SELECT count(*) FILTER (WHERE subject >= 'recording:' AND subject < 'recording;'),
     count(*) FILTER (WHERE subject >= 'recorder:' AND subject < 'recorder;'),
     count(*) FILTER (WHERE subject >= 'case:' AND subject < 'case;')
     FROM deadline WHERE state = 'late'";

fn deadlines(db: &Connection, kind: &'static str, now: i64, soon: i64) -> Result<Deadlines> {
    let running = "SELECT count(*), count(*) FILTER (WHERE latest < ?2),
         count(*) FILTER (WHERE latest >= ?2 AND earliest < ?2),
         count(*) FILTER (WHERE earliest >= ?2 AND earliest - ?3 <= ?2), min(earliest)
         FROM deadline WHERE state = 'running' AND kind = ?1";
    Ok(db.prepare_cached(running)?.query_row(params![kind, now, soon], |r| {
        let (overdue, overdue_estimated, due_soon) = (count(r, 1)?, count(r, 2)?, count(r, 3)?);
        let running = count(r, 0)?.saturating_sub(overdue + overdue_estimated + due_soon);
        Ok(Deadlines { kind, running, due_soon, overdue_estimated, overdue, late: 0, next: r.get(4)? })
    })?)
}

fn outbox(db: &Connection, now: i64) -> Result<Vec<Outbox>> {
    let waiting = "SELECT channel, count(*), min(created_at) FILTER (WHERE attempts > 0 OR next_at <= ?1)
         FROM outbox WHERE state = 'waiting' GROUP BY channel";
    let mut found = db
        .prepare_cached(waiting)?
        .query_map([now], |r| {
            Ok(Outbox { channel: r.get(0)?, waiting: count(r, 1)?, dead: 0, oldest: r.get(2)? })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let dead = "SELECT channel, count(*) FROM outbox WHERE state = 'dead' GROUP BY channel";
    for (channel, dead) in rows(db, dead, |r| Ok((r.get::<_, String>(0)?, count(r, 1)?)))? {
        match found.iter_mut().find(|o| o.channel == channel) {
            Some(known) => known.dead = dead,
            None => found.push(Outbox { channel, waiting: 0, dead, oldest: None }),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open_or_create(&dir.path().join("c.sqlite")).unwrap();
        (dir, catalog)
    }

    fn add(catalog: &Catalog, from: i64, to: i64) {
        catalog
            .write(move |tx| {
                tx.execute("INSERT OR IGNORE INTO recorder VALUES ('r', 0, 0)", [])?;
                for i in from..to {
                    tx.execute(
                        "INSERT INTO recording (id, recorder, state, source_path, size, mtime_ns, sha256, kind, facts,
                           day, taken_at, archived_at)
                         VALUES (?1, 'r', 'archived', x'', ?2, 0, ?3, 'video', '{}', '2026-11-24', 0, 0)",
                        params![format!("id-{i}"), i, format!("{i:032}").as_bytes()],
                    )?;
                }
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn totals_go_on_from_where_they_stood() {
        let (_dir, catalog) = catalog();
        let look = |before| catalog.read(|db| totals(db, before)).unwrap();
        let none = look(Totals::default());
        assert_eq!(none, Totals::default());
        add(&catalog, 1, 5);
        let some = look(none);
        assert_eq!((some.files, some.bytes), (4, 10));
        assert_eq!(look(some), some);
        add(&catalog, 5, 7);
        let more = look(some);
        assert_eq!((more.files, more.bytes), (6, 21));
        assert_eq!(more, look(Totals::default()));
    }

    #[test]
    fn deadlines_are_told_by_what_is_left_of_them() {
        let (_dir, catalog) = catalog();
        // subject, kind, earliest, latest, state: now is 1000, soon are 100.
        let rows = [
            ("recording:a", "recording", 900, 950, "running"),
            ("recording:b", "recording", 900, 1500, "running"),
            ("recording:c", "recording", 1100, 1100, "running"),
            ("recording:d", "recording", 1101, 1101, "running"),
            ("recording:e", "recording", 500, 500, "late"),
            ("recorder:a", "recorder", 1101, 1101, "running"),
            ("case:a", "case", 500, 500, "met"),
            ("case:b", "case", 500, 500, "late"),
        ];
        catalog
            .write(move |tx| {
                for (subject, kind, earliest, latest, state) in rows {
                    let (late, next) = (state == "late", state == "running");
                    tx.execute(
                        "INSERT INTO deadline (subject, kind, earliest, latest, reason, state, late_by, next_at)
                         VALUES (?1, ?2, ?3, ?4, '', ?5, ?6, ?7)",
                        params![subject, kind, earliest, latest, state, late.then_some(1), next.then_some(1)],
                    )?;
                }
                Ok(())
            })
            .unwrap();
        let found = catalog.read(|db| facts(db, 1000, 100, 100)).unwrap().deadlines;
        let flat: Vec<_> = found
            .iter()
            .map(|d| (d.kind, d.running, d.due_soon, d.overdue_estimated, d.overdue, d.late, d.next))
            .collect();
        assert_eq!(
            flat,
            [
                ("recording", 1, 1, 1, 1, 1, Some(900)),
                ("recorder", 1, 0, 0, 0, 0, Some(1101)),
                ("case", 0, 0, 0, 0, 1, None)
            ]
        );
    }

    #[test]
    fn messages_are_told_by_channel() {
        let (_dir, catalog) = catalog();
        // Channel, state, written at, tried, next try: now is 1000.
        let rows = [
            ("mail", "waiting", 3, 0, 2000),
            ("mail", "waiting", 7, 0, 999),
            ("mail", "waiting", 5, 1, 2000),
            ("hook", "dead", 1, 9, 0),
            ("hook", "sent", 1, 1, 0),
            ("quiet", "waiting", 1, 0, 2000),
        ];
        catalog
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO alert (id, kind, subject, severity, state, message, opened_at, updated_at)
                     VALUES (1, 'k', 's', 'warning', 'open', '', 0, 0)",
                    [],
                )?;
                for (i, (channel, state, at, attempts, next)) in rows.iter().enumerate() {
                    let done = (*state != "waiting").then_some(1);
                    tx.execute(
                        "INSERT INTO outbox (key, channel, alert, event, state, message, attempts, created_at, next_at, done_at)
                         VALUES (?1, ?2, 1, 'opened', ?3, 'm', ?4, ?5, ?6, ?7)",
                        params![i.to_string(), channel, state, attempts, at, next, done],
                    )?;
                }
                Ok(())
            })
            .unwrap();
        let facts = catalog.read(|db| facts(db, 1000, 0, 0)).unwrap();
        let expected = [
            Outbox { channel: "mail".into(), waiting: 3, dead: 0, oldest: Some(5) },
            Outbox { channel: "quiet".into(), waiting: 1, dead: 0, oldest: None },
            Outbox { channel: "hook".into(), waiting: 0, dead: 1, oldest: None },
        ];
        assert_eq!(facts.outbox, expected);
        assert_eq!(facts.alerts, [("k".into(), "warning".into(), "open".into(), 1)]);
    }

    /// What grows with the years is read through an index of what is open, or not at all.
    #[test]
    fn no_query_reads_a_table_that_grows() {
        let (_dir, catalog) = catalog();
        let source = include_str!("metrics.rs");
        let code = source.split("#[cfg(test)]").next().unwrap();
        let texts = code.split('"').filter(|t| t.starts_with("SELECT ") && !t.contains("WHERE ?1 = 0"));
        let queries: Vec<String> = texts.map(|t| t.replace('\n', " ")).collect();
        assert!(queries.len() > 10, "{queries:?}");
        let grow = ["recording", "copy", "deadline", "alert", "outbox", "custody", "checkpoint", "issue"];
        let partial =
            "SELECT 'INDEX ' || name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'";
        let partial: Vec<String> = catalog.read(|db| rows(db, partial, |r| r.get(0))).unwrap();
        for sql in queries {
            let plan: Vec<String> = catalog
                .read(|db| {
                    let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                    let unbound = vec![rusqlite::types::Value::Integer(1); query.parameter_count()];
                    let rows = query.query_map(rusqlite::params_from_iter(unbound), |r| r.get(3))?;
                    Ok(rows.collect::<rusqlite::Result<_>>()?)
                })
                .unwrap();
            for step in &plan {
                let whole = grow.iter().any(|table| {
                    let rest = step.strip_prefix(&format!("SCAN {table}"));
                    // One end of the table, or an index that holds only what is open.
                    let short = sql.contains("LIMIT 1") || sql.contains("max(seq)");
                    rest.is_some_and(|rest| !short && !partial.iter().any(|index| rest.ends_with(index)))
                });
                assert!(!whole, "{sql}\n{plan:?}");
            }
        }
    }
}
