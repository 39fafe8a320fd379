//! The clocks: a look at every running deadline after the station's clock was set, and the passing of time.
//! On a copy of the catalogue, because alerts are raised.

use std::cell::Cell;
use std::time::Instant;

use docket::base::clock::from_ms;
use docket::base::config::Source;
use docket::catalog::dockings::By;
use docket::catalog::{Catalog, deadlines};
use docket::deadline::watch::Watch;

use super::Table;
use super::make::{DAY, HOUR, Made, TODAY};
use crate::lab::sh;

pub fn ask(table: &mut Table, made: &Made) {
    let copy = made.data.with_file_name("copy.sqlite");
    sh(&format!(
        "rm -f {0} {0}-wal {0}-shm; cp {1}/catalog.sqlite {0}; sync {0}",
        copy.display(),
        made.data.display()
    ));
    let catalog = Catalog::open(&copy).expect("the catalogue");
    let config = Source::Data(made.data.clone()).load().expect("settings");
    let watch = Watch::new(&config);
    let now = Cell::new(TODAY + 10 * HOUR);
    let by = || By { actor: "daemon".into(), at: from_ms(now.get()) };
    // The first look raises what a running daemon has raised long ago.
    watch.catch_up(&catalog, &by).expect("caught up");
    watch.pass_time(&catalog, &by).expect("time passed");
    let aim = "1 s";
    let look = || {
        let begun = Instant::now();
        watch.after_clock_step(&catalog, &by).expect("a look at all");
        begun.elapsed()
    };
    let times = (0..20).map(|_| look()).collect();
    table.many("deadlines: all after a clock step, none changes", aim, times);
    now.set(now.get() + DAY);
    let forth = look();
    now.set(now.get() - DAY);
    let back = look();
    table.put(
        "deadlines: all after a step of a day, forth / back",
        aim,
        format!("{} / {}", super::shown(forth), super::shown(back)),
    );
    let running_now = catalog.read(|db| deadlines::counts(db, now.get())).expect("a count").0;
    table.put("deadlines: how many run", "", running_now.to_string());
    table.ask("deadlines: time passes, nothing is due", "what is due", |_| {
        watch.pass_time(&catalog, &by).expect("time passed");
    });
    for (what, hours) in [("deadlines: an hour passes", 1), ("deadlines: a day passes", 24)] {
        now.set(now.get() + hours * HOUR);
        let due = due(&catalog, now.get());
        let begun = Instant::now();
        watch.pass_time(&catalog, &by).expect("time passed");
        let took = begun.elapsed();
        let each = took / u32::try_from(due.max(1)).expect("a number");
        table.put(
            what,
            "what is due",
            format!("{} for {due}: {} each", super::shown(took), super::shown(each)),
        );
    }
    let sql = "SELECT 'recording:' || id FROM recording ORDER BY rowid DESC LIMIT 1";
    let recording: String = catalog.read(|db| Ok(db.query_row(sql, [], |r| r.get(0))?)).expect("a recording");
    let entry = || {
        let by = by();
        let note = by.entry("recording.classified", recording.clone(), serde_json::json!({}));
        catalog.write(move |tx| docket::custody::log::append(tx, &note).map(drop)).expect("an entry");
    };
    let times = (0..super::TIMES).map(|_| {
        entry();
        let begun = Instant::now();
        watch.catch_up(&catalog, &by).expect("caught up");
        begun.elapsed()
    });
    table.many("deadlines: one change of a recording, its commit included", "what is due", times.collect());
    let begun = Instant::now();
    watch.reconsider(&catalog, &by).expect("all evaluated");
    table.put(
        "deadlines: all evaluated from the facts, after a setting has changed",
        "",
        super::shown(begun.elapsed()),
    );
    drop(catalog);
    sh(&format!("rm -f {0} {0}-wal {0}-shm", copy.display()));
}

fn due(catalog: &Catalog, now: i64) -> i64 {
    let sql = "SELECT count(*) FROM deadline WHERE next_at <= ?1";
    catalog.read(|db| Ok(db.query_row(sql, [now], |r| r.get(0))?)).expect("a count")
}
