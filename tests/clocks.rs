//! Times that lie: of files, and of the station itself. Nothing is lost or doubled by them, and
//! each is kept with its source (I9).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use common::{Archive, content, put};
use docket::base::Cancel;
use docket::base::clock::{Clock, FixedClock};
use docket::base::config::{Config, Source};
use docket::ingest::docking::{self, Request, Summary};
use docket::ingest::progress::Progress;
use docket::ingest::recover::recover;
use docket::ingest::station::Station;
use serde_json::Value;

/// Sets a file's time; false where the file system cannot hold it.
fn stamp(path: &Path, seconds: i64) -> bool {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let at: Option<SystemTime> =
        if seconds < 0 { UNIX_EPOCH.checked_sub(by) } else { UNIX_EPOCH.checked_add(by) };
    let file = std::fs::File::options().append(true).open(path).unwrap();
    let held = |t| file.set_modified(t).is_ok() && file.metadata().unwrap().modified().unwrap() == t;
    at.is_some_and(held)
}

/// Seconds since 1970 that file systems, zones and 32-bit programs stumble over.
const STAMPS: [i64; 14] = [
    0,
    1,
    -1,
    -86_400 * 365 * 60,
    315_532_800,     // 1980, where FAT begins
    315_532_800 - 1, // and a second before
    946_684_800,     // 2000, where clocks are reset to
    1_262_304_000,   // 2010, from when on a time is plausible
    2_085_978_496,   // 2036, where NTP turns over
    2_147_483_647,   // 2038, where 32 bits end
    2_147_483_648,
    4_294_967_296,
    15_032_385_535, // 2446, where ext4 ends
    i64::MAX / 1_000_000_000,
];

#[test]
fn files_of_any_time_are_archived_once_and_keep_it() {
    let station = common::Station::new();
    let card = station.card("REC01");
    let mut set = Vec::new();
    for (i, seconds) in STAMPS.into_iter().enumerate() {
        let path = card.join(format!("v{i:02}.mp4"));
        put(&path, &content(i as u64, 3000));
        if stamp(&path, seconds) {
            set.push((format!("v{i:02}.mp4"), seconds));
        } else {
            eprintln!("left out: this file system holds no time {seconds}");
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(set.len() >= 10);
    let ask = ["ingest", "--json", card.to_str().unwrap()];
    assert_eq!(station.json(&ask)["archived"], set.len());
    let again = station.json(&ask);
    assert_eq!((&again["archived"], &again["duplicates"]), (&0.into(), &set.len().into()));
    let list = station.json(&["recordings", "--json"]);
    for (name, seconds) in &set {
        let r = list.as_array().unwrap().iter().find(|r| r["source_path"] == name.as_str()).unwrap();
        // What does not fit into nanoseconds since 1970 is held at the limit.
        let kept = i64::try_from(i128::from(*seconds) * 1_000_000_000).unwrap_or(i64::MAX);
        assert_eq!(r["mtime_ns"], kept.to_string(), "{name}");
        let facts = &r["facts"];
        let told: DateTime<Utc> = facts["times"]["filesystem"].as_str().unwrap().parse().unwrap();
        assert_eq!(told.timestamp(), kept.div_euclid(1_000_000_000), "{name}");
        // What no recorder can have meant is kept, but it is not what the recording is filed by.
        let rule = facts["time_rule"].as_str().unwrap();
        let seen: DateTime<Utc> = facts["times"]["first_seen"].as_str().unwrap().parse().unwrap();
        let plausible = (1_262_304_000..=seen.timestamp() + 86_400).contains(seconds);
        assert_eq!(rule, if plausible { "filesystem" } else { "first seen" }, "{name} {seconds}");
    }
    assert_eq!(station.check().hashes.len(), set.len());
    station.fsck_is_clean("bytes");
}

/// The station, opened as the program does it, but with a clock of the test's own.
fn ingest_at(station: &common::Station, card: &Path, now: &str) -> Summary {
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(Mutex::new(now.parse().unwrap())));
    let config: Config = Source::Data(station.data()).load().unwrap();
    let open = Station::open(config, clock, "test".into()).unwrap();
    recover(&open).unwrap();
    let request =
        Request { dock: "test".into(), path: card.to_owned(), recorder: None, wait_for_room: false };
    docking::run(&open, request, Arc::new(Progress::default()), &Cancel::new()).unwrap()
}

/// The archive, once it has passed every check there is.
fn whole(station: &common::Station) -> Archive {
    station.fsck_is_clean("bytes");
    assert_eq!(station.json(&["custody", "verify", "--json"])["good"], true);
    station.check()
}

const CLOCKS: [&str; 9] = [
    "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "1980-01-01T00:00:00Z",
    "2000-01-01T00:00:00Z",
    "2026-11-23T12:00:00Z",
    "2036-02-07T06:28:16Z",
    "2038-01-19T03:14:08Z",
    "2106-02-07T06:28:16Z",
    "9999-12-31T23:59:59Z",
];

#[test]
fn a_station_whose_clock_is_wrong_archives_all_the_same() {
    for now in CLOCKS {
        let _trying = common::crash::Trying(now.to_owned());
        let station = common::Station::with("sm3 = true\n");
        let card = station.card("REC01");
        for (i, seconds) in [0, 1_795_000_000, 2_147_483_648].into_iter().enumerate() {
            let path = card.join(format!("v{i}.mp4"));
            put(&path, &content(i as u64, 300_000));
            assert!(stamp(&path, seconds));
        }
        let first = ingest_at(&station, &card, now);
        assert_eq!((first.counts.archived, &first.problems), (3, &vec![]));
        let again = ingest_at(&station, &card, now);
        assert_eq!((again.counts.archived, again.counts.known), (0, 3));
        assert_eq!(whole(&station).hashes.len(), 3);
        // The entries bear the time that the clock showed.
        let list = station.json(&["recordings", "--json"]);
        let at: DateTime<Utc> = list[0]["archived_at"].as_str().unwrap().parse().unwrap();
        assert_eq!(at, now.parse::<DateTime<Utc>>().unwrap());
    }
}

/// The clock leaps, both ways, between stays of the same card: what is archived stays known, what
/// is new is archived, and the log stays one chain.
#[test]
fn a_clock_that_leaps_neither_loses_nor_doubles() {
    let station = common::Station::new();
    let card = station.card("REC01");
    for (i, now) in CLOCKS.iter().chain(CLOCKS.iter().rev()).enumerate() {
        put(card.join(format!("v{i:02}.mp4")), &content(i as u64, 5000));
        let summary = ingest_at(&station, &card, now);
        assert_eq!((summary.counts.archived, summary.counts.known), (1, i as u64), "{now}");
        assert_eq!(summary.problems, Vec::<String>::new());
    }
    assert_eq!(whole(&station).hashes.len(), 2 * CLOCKS.len());
}

/// Files from a moment that is yet to come by the station's clock are not waited for.
#[test]
fn a_file_from_the_future_does_not_hold_up_a_stay() {
    let station = common::Station::with_config(
        "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
         [ingest]\nsettle_seconds = 3600\nprobe = false\n",
    );
    let card = station.card("REC01");
    put(card.join("v.mp4"), b"from 2026");
    for now in ["1970-01-01T00:00:00Z", "2036-02-07T06:28:16Z"] {
        ingest_at(&station, &card, now);
    }
    let list: Value = station.json(&["recordings", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["facts"]["flags"][0], "file time is in the future");
    whole(&station);
}

#[test]
fn a_copy_cut_short_under_one_clock_goes_on_under_another() {
    let station = common::Station::new();
    let card = station.card("REC01");
    put(card.join("v.mp4"), &content(1, 8 << 20));
    let cancel = Cancel::new();
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(Mutex::new("2036-02-07T06:28:16Z".parse().unwrap())));
    {
        let open = Station::open(Source::Data(station.data()).load().unwrap(), clock, "test".into()).unwrap();
        let request =
            Request { dock: "test".into(), path: card.clone(), recorder: None, wait_for_room: false };
        let progress = Arc::new(Progress::default());
        std::thread::scope(|scope| {
            let stay = scope.spawn(|| docking::run(&open, request, Arc::clone(&progress), &cancel));
            while progress.snapshot().bytes_read == 0 && !stay.is_finished() {
                std::thread::yield_now();
            }
            cancel.cancel();
            let _ = stay.join().unwrap();
        });
    }
    ingest_at(&station, &card, "1970-01-01T00:00:00Z");
    let archive = whole(&station);
    assert_eq!((archive.hashes.len(), archive.jobs), (1, 0));
}
