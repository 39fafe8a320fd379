//! What the catalogue answers, and how fast, with 10,000, 100,000 and 1,000,000 recordings.
//!
//! The functions are docket's own, called as the commands and the daemon call them. Each question is asked many
//! times with other words each time; caches are warm, as those of a running daemon are.

mod cases;
mod custody;
mod deadlines;
mod make;
mod names;
mod rows;
mod search;

use std::time::{Duration, Instant};

use docket::catalog::{self, Connection, metrics};

use crate::report::Report;
use make::{Made, TODAY, made};

/// How often a question is asked, each time with other words.
const TIMES: u64 = 300;

/// One row of the table: what was asked, the aim, and the times at each size.
struct Asked {
    what: &'static str,
    aim: &'static str,
    cells: Vec<String>,
}

/// The table under way.
#[derive(Default)]
struct Table {
    rows: Vec<Asked>,
}

impl Table {
    fn put(&mut self, what: &'static str, aim: &'static str, cell: String) {
        eprintln!("  {what}: {cell}");
        match self.rows.iter_mut().find(|row| row.what == what) {
            Some(row) => row.cells.push(cell),
            None => self.rows.push(Asked { what, aim, cells: vec![cell] }),
        }
    }

    /// Asks a question [`TIMES`] times.
    fn ask(&mut self, what: &'static str, aim: &'static str, mut question: impl FnMut(u64)) {
        // Once for the caches.
        question(TIMES);
        let times = (0..TIMES).map(|i| {
            let begun = Instant::now();
            question(i);
            begun.elapsed()
        });
        let times = times.collect();
        self.many(what, aim, times);
    }

    fn many(&mut self, what: &'static str, aim: &'static str, mut times: Vec<Duration>) {
        times.sort();
        let at = |per_cent: usize| shown(times[(times.len() - 1) * per_cent / 100]);
        self.put(what, aim, format!("{} / {}", at(50), at(99)));
    }

    /// Does something once.
    fn time<T>(&mut self, what: &'static str, aim: &'static str, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.put(what, aim, shown(begun.elapsed()));
        done
    }
}

fn shown(d: Duration) -> String {
    match d.as_micros() {
        0..10_000 => format!("{:.2} ms", d.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{:.0} ms", d.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", d.as_secs_f64()),
    }
}

/// The section `scale`; its table is kept once every size was measured.
pub fn scale(machine: &str) {
    let mut report = Report::default();
    report.say(machine);
    let sizes = [10_000, 100_000, 1_000_000];
    let most = crate::setting("BENCH_RECORDINGS", 1_000_000);
    let mut table = Table::default();
    let (mut head, mut about) = (vec!["asked".to_owned(), "aim".to_owned()], String::new());
    for size in sizes.into_iter().filter(|size| *size <= most) {
        let made = made(size);
        eprintln!("{size} recordings:");
        let db = catalog::look(&made.data.join("catalog.sqlite")).expect("the catalogue");
        head.push(format!("{size} recordings"));
        about = describe(&db, &made);
        search::ask(&mut table, &db, &made);
        told(&mut table, &db);
        drop(db);
        custody::ask(&mut table, &made);
        deadlines::ask(&mut table, &made);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    report.section("Questions to a large catalogue", &about, &head);
    for row in table.rows {
        let mut cells = vec![row.what.to_owned(), row.aim.to_owned()];
        cells.extend(row.cells);
        report.row(&cells);
    }
    if sizes.iter().all(|size| *size <= most) {
        report.keep("scale");
    }
}

fn describe(db: &Connection, made: &Made) -> String {
    let count = |table: &str| -> i64 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).expect("a count")
    };
    format!(
        "The largest has {} recordings of {} recorders, {} cases with {} steps and {} links, {} officers in {} units, {} \
         ledger periods, {} deadlines and {} custody entries: {:.1} GiB. Times are p50 / p99 of {TIMES} questions, or one \
         time where it is done once.",
        count("recording"),
        count("recorder"),
        count("case_file"),
        count("case_step"),
        count("link"),
        count("officer"),
        count("unit"),
        count("issue"),
        count("deadline"),
        count("custody"),
        made.bytes as f64 / f64::from(1 << 30)
    )
}

/// What a scrape of the metrics asks.
fn told(table: &mut Table, db: &Connection) {
    let aim = "as before";
    let totals = table.time("metrics: totals, the first time", "", || {
        metrics::totals(db, metrics::Totals::default()).expect("totals")
    });
    table.ask("metrics: a scrape", aim, |_| {
        metrics::totals(db, totals).expect("totals");
        let facts = metrics::facts(db, TODAY, 4 * make::HOUR, 5 * make::DAY).expect("facts");
        assert!(facts.entries > 0);
    });
}
