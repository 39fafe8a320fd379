//! Every read, write, sync and rename of the program fails in turn, with an error of the device
//! and with a full disk: the run may fail, but nothing archived is lost or doubled, a run that says
//! that all is well has archived everything, and the next run makes the archive whole (I1 to I6).
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::process::Output;

use common::crash::{Card, MIB, ONE_VOLUME, TWO_VOLUMES, Trying, told};
use common::daemon::{Daemon, docking_of, wait_for_docking};
use common::tools::until;
use common::{Station, stderr};

/// Both kinds of error; a failed sync means something else in each, other calls have them by turns.
const BOTH: &[&str] = &["EIO", "ENOSPC"];
/// A test that goes on for longer would not be over soon, and its card is too large.
const MOST: usize = 200;

/// A test for each: the operation, a name for where, how the station is brought there.
macro_rules! faults {
    ($($test:ident $op:literal $prepare:ident step $step:literal;)*) => {
        $(#[test] fn $test() { fail_each($op, $prepare, $step) })*
    };
}

faults! {
    reads_of_an_ingest "read" fresh step 1;
    writes_of_an_ingest "write" fresh step 1;
    syncs_of_an_ingest "sync" fresh step 1;
    renames_of_an_ingest "rename" fresh step 1;
    reads_with_two_volumes "read" fresh_to_two step 4;
    writes_with_two_volumes "write" fresh_to_two step 4;
    syncs_with_two_volumes "sync" fresh_to_two step 3;
    renames_with_two_volumes "rename" fresh_to_two step 1;
    reads_while_a_copy_goes_on "read" interrupted step 2;
    writes_while_a_copy_goes_on "write" interrupted step 4;
    reads_while_a_start_finishes_work "read" copied step 2;
    writes_while_a_start_finishes_work "write" verified step 4;
    syncs_while_a_start_finishes_work "sync" verified step 2;
    renames_while_a_start_finishes_work "rename" verified step 1;
    reads_while_owed_copies_are_made "read" owed step 3;
    writes_while_owed_copies_are_made "write" owed step 3;
    syncs_while_owed_copies_are_made "sync" owed step 2;
    renames_while_owed_copies_are_made "rename" owed step 1;
}

/// A journaled file, small ones that share a batch, an empty one, and the same bytes twice.
fn card(station: &Station) -> Card {
    let mut card = Card::new(station.dir.path().join("recorder-7"));
    card.add("DCIM/long.mp4", 1, MIB + 300_000);
    card.add("DCIM/once.jpg", 20, 30_000);
    card.add("COPY/again.jpg", 20, 30_000);
    card.add("DCIM/empty.log", 0, 0);
    card
}

fn fresh() -> (Station, Card) {
    let station = Station::with_config(ONE_VOLUME);
    let card = card(&station);
    (station, card)
}

fn fresh_to_two() -> (Station, Card) {
    let station = Station::with_config(TWO_VOLUMES);
    let card = card(&station);
    (station, card)
}

fn killed_at(point: &str) -> (Station, Card) {
    let (station, card) = fresh();
    station.kill_at(&card, point);
    (station, card)
}

fn interrupted() -> (Station, Card) {
    let (station, card) = fresh();
    // The journal entry after the first MiB is in the catalogue when the second file begins.
    station.kill_at(&card, "finish.before-sync");
    (station, card)
}

fn copied() -> (Station, Card) {
    killed_at("finish.copied")
}

fn verified() -> (Station, Card) {
    killed_at("finish.verified")
}

/// Everything is archived on one volume; the other was away.
fn owed() -> (Station, Card) {
    let (station, card) = fresh_to_two();
    station.ingest_without_second(&card);
    (station, card)
}

/// Fails the n-th call, for n = 1, 1 + step, … until a run has no n-th call.
fn fail_each(op: &str, prepare: fn() -> (Station, Card), step: usize) {
    let before = prepare();
    for n in (1..MOST).step_by(step) {
        let sync = op == "sync" && step == 1;
        let errnos = if sync { BOTH } else { &BOTH[n / step % 2..][..1] };
        let mut injected = false;
        for errno in errnos {
            injected = fail(&before, &format!("{op}:{n}:{errno}"));
        }
        if !injected {
            assert!(n > 1, "there is no {op} to fail");
            return;
        }
        // From here on every call fails, now and then.
        if n % 7 == 1 {
            fail(&before, &format!("{op}:{n}+:{}", errnos[0]));
        }
    }
    panic!("{MOST} calls of {op} are too many for a test");
}

/// One run with a fault, and the run after it. False where the fault was not reached.
fn fail((station, card): &(Station, Card), fault: &str) -> bool {
    let _trying = Trying(format!("DOCKET_IOFAULT={fault}"));
    let station = station.copy();
    let card = card.of(&station);
    let out = station.ingest(&card.path).env("DOCKET_IOFAULT", fault).output().unwrap();
    ended_as_documented(&out);
    let archive = station.check_all();
    station.fsck_is_clean("names");
    if out.status.success() {
        assert_eq!(archive.hashes, card.expected(), "it said that all is well\n{}", told(&out));
        assert_eq!(archive.jobs, 0, "it said that all is well\n{}", told(&out));
    }
    station.complete(&card);
    stderr(&out).contains("injected")
}

/// No panic, no death by a signal: an exit status that `docket --help` names.
fn ended_as_documented(out: &Output) {
    assert!(!stderr(out).contains("panicked"), "{}", told(out));
    assert!(matches!(out.status.code(), Some(0 | 1 | 3)), "{}\n{}", out.status, told(out));
}

#[test]
fn a_daemon_says_safe_only_when_what_failed_is_archived() {
    for fault in ["rename:1:EIO", "rename:1:ENOSPC", "rename:1+:EIO"] {
        let _trying = Trying(format!("DOCKET_IOFAULT={fault}"));
        let station = Station::with_config(ONE_VOLUME);
        let mut card = Card::new(station.data().join("cards/recorder-7"));
        card.add("DCIM/first.mp4", 1, 30_000);
        let mut daemon = Daemon::spawn_with(&station, &[("DOCKET_IOFAULT", fault)]);
        if fault.contains('+') {
            wait_for_docking(&station, "recorder-7", "attention");
            // A second look, for another file.
            card.add("DCIM/second.mp4", 2, 40_000);
            until("the second file", || (station.number("SELECT count(*) FROM job") == 2).then_some(()));
            let safe = "SELECT count(*) FROM docking WHERE safe_at IS NOT NULL";
            assert_eq!(station.number(safe), 0, "safe, with nothing archived");
            daemon.stop();
            daemon = Daemon::start(&station);
        }
        wait_for_docking(&station, "recorder-7", "safe");
        assert_eq!(station.number("SELECT count(*) FROM job"), 0, "safe, with work left over");
        daemon.stop();
        station.is_complete(&card);
    }
}

/// The kernel tells of a failed sync once; a second one may succeed without the bytes.
#[test]
fn after_a_failed_sync_nothing_more_is_believed_of_a_volume() {
    let mut failed = 0;
    for n in 1..=12 {
        let fault = format!("sync:{n}:EIO");
        let _trying = Trying(format!("DOCKET_IOFAULT={fault}"));
        let station = Station::with_config(ONE_VOLUME);
        let mut card = Card::new(station.data().join("cards/recorder-7"));
        card.add("DCIM/first.mp4", 1, 30_000);
        let daemon = Daemon::spawn_with(&station, &[("DOCKET_IOFAULT", &fault)]);
        let looked = |state: &str| state == "safe" || state == "attention";
        until("the end of the first look", || docking_of(&station, "recorder-7").filter(|d| looked(&d.0)));
        let archived = || station.number("SELECT count(*) FROM recording");
        let before = archived();
        if station.number("SELECT count(*) FROM volume WHERE reason LIKE 'writing stopped%'") == 1 {
            failed += 1;
            card.add("DCIM/second.mp4", 2, 40_000);
            let says = |text: &str| {
                docking_of(&station, "recorder-7").and_then(|d| d.1).filter(|why| why.contains(text))
            };
            until("what the second look says", || says("writing stopped"));
            assert_eq!(archived(), before, "archived by a sync that came after a failed one");
        }
        daemon.stop();
        let daemon = Daemon::start(&station);
        until("a safe card", || (archived() == card.expected().len() as i64).then_some(()));
        daemon.stop();
        station.is_complete(&card);
    }
    assert!(failed >= 3, "only {failed} syncs failed the volume");
}

#[test]
fn init_begun_on_a_failing_disk_is_finished_by_the_next() {
    for op in ["read", "write", "sync", "rename"] {
        for n in 1.. {
            let _trying = Trying(format!("DOCKET_IOFAULT={op}:{n}:EIO"));
            let station = Station::bare(ONE_VOLUME);
            let fault = format!("{op}:{n}:EIO");
            let out = station.command(&["init"]).env("DOCKET_IOFAULT", fault).output().unwrap();
            ended_as_documented(&out);
            station.ok(&["init"]);
            if !stderr(&out).contains("injected") {
                break;
            }
            let card = card(&station);
            station.complete(&card);
        }
    }
}

#[test]
fn verify_takes_back_what_it_said_of_a_copy_it_could_not_read() {
    let (station, card) = fresh_to_two();
    station.complete(&card);
    for n in 1..MOST {
        let fault = format!("read:{n}:EIO");
        let _trying = Trying(format!("DOCKET_IOFAULT={fault}"));
        let out = station.command(&["verify", "--all"]).env("DOCKET_IOFAULT", &fault).output().unwrap();
        ended_as_documented(&out);
        station.check_all();
        station.ok(&["verify", "--all"]);
        station.is_complete(&card);
        if !stderr(&out).contains("injected") {
            assert!(n > 10, "few reads for a whole archive");
            return;
        }
    }
}

#[test]
fn fsck_on_a_failing_disk_changes_nothing() {
    let (station, card) = fresh();
    station.complete(&card);
    let rows = || {
        let sql = "SELECT (SELECT count(*) FROM custody), (SELECT group_concat(state) FROM copy)";
        station.db().query_row(sql, [], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?))).unwrap()
    };
    let before = rows();
    for n in 1..MOST {
        let fault = format!("read:{n}:EIO");
        let _trying = Trying(format!("DOCKET_IOFAULT={fault}"));
        let args = ["fsck", "--depth", "bytes"];
        let out = station.command(&args).env("DOCKET_IOFAULT", &fault).output().unwrap();
        ended_as_documented(&out);
        assert_eq!(rows(), before);
        if !stderr(&out).contains("injected") {
            assert!(n > 10, "few reads for a whole archive");
            station.is_complete(&card);
            return;
        }
        assert!(!out.status.success(), "an error went unnoticed: {}", told(&out));
    }
}
