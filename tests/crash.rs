//! The process is killed at every named point of its code, again and again: nothing archived is
//! lost or doubled, and the next start makes everything whole (I5, I6).
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::Station;
use common::crash::{Card, MIB, TWO_VOLUMES, Trying};

/// A test for each point, and the list of all.
macro_rules! points {
    ($($test:ident $point:literal $scenario:ident;)*) => {
        const POINTS: &[&str] = &[$($point),*];
        $(#[test] fn $test() { $scenario($point) })*
    };
}

points! {
    catalogue_before_commit "catalogue.before-commit" ingest;
    catalogue_after_commit "catalogue.after-commit" ingest;
    copy_part_created "copy.part-created" ingest;
    copy_block "copy.block" ingest;
    copy_before_journal "copy.before-journal" ingest;
    finish_before_sync "finish.before-sync" ingest;
    finish_synced "finish.synced" ingest;
    finish_copied "finish.copied" ingest;
    finish_read_back "finish.read-back" ingest;
    finish_verified "finish.verified" ingest;
    finish_before_rename "finish.before-rename" ingest;
    finish_renamed "finish.renamed" ingest;
    finish_placed "finish.placed" ingest;
    finish_archived "finish.archived" ingest;
    manifest_written "manifest.written" ingest;
    replicate_before_rename "replicate.before-rename" replicate;
    replicate_placed "replicate.placed" replicate;
}

/// A point that nobody kills at proves nothing.
#[test]
fn every_point_in_the_source_is_tried() {
    fn collect(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let calls = text.split("failpoint::hit(").skip(1);
                found.extend(calls.map(|c| c.split('"').nth(1).unwrap_or("(not a literal)").to_owned()));
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    // Those of the outbox are killed at in tests/channels.rs.
    found.retain(|point| !point.starts_with("outbox."));
    let listed: BTreeSet<String> = POINTS.iter().map(|p| (*p).to_owned()).collect();
    assert_eq!(found, listed, "failpoints of src on the left, those that are killed at on the right");
}

/// Every kind of file the protocol treats differently: one that is journaled, small ones that
/// share a batch, an empty one, and the same bytes twice.
fn card(station: &Station) -> Card {
    let mut card = Card::new(station.dir.path().join("recorder-7"));
    card.add("DCIM/long.mp4", 1, 5 * MIB + 12_345);
    for i in 0..3 {
        card.add(&format!("DCIM/short-{i}.mp4"), 10 + i, 40_000 + i as usize);
    }
    card.add("DCIM/once.jpg", 20, 300_000);
    card.add("COPY/again.jpg", 20, 300_000);
    card.add("DCIM/empty.log", 0, 0);
    card
}

/// The passes worth trying: all of the first, then ever rarer ones.
fn passes() -> impl Iterator<Item = u32> {
    (1..=4).chain([6, 9, 13, 18, 24])
}

fn ingest(point: &str) {
    for pass in passes() {
        let _trying = Trying(format!("DOCKET_FAILPOINT={point}:{pass} on one volume"));
        let station = Station::new();
        if !kill_and_mend(&station, &card(&station), point, pass) {
            break;
        }
    }
    for pass in 1..=2 {
        let _trying = Trying(format!("DOCKET_FAILPOINT={point}:{pass} on two volumes"));
        let station = Station::with_config(TWO_VOLUMES);
        kill_and_mend(&station, &card(&station), point, pass);
    }
}

/// Kills a first ingest, looks, and finishes with a second. False where the point was not reached.
fn kill_and_mend(station: &Station, card: &Card, point: &str, pass: u32) -> bool {
    let killed = station.killed_at(card, &format!("{point}:{pass}"));
    assert!(killed || pass > 1, "the point is never reached");
    station.fsck_is_clean("names");
    station.complete(card);
    killed
}

/// A volume that was away gets its copies when it is back; killed under way, it gets them once.
fn replicate(point: &str) {
    for pass in passes() {
        let _trying = Trying(format!("DOCKET_FAILPOINT={point}:{pass} while paying owed copies"));
        let station = Station::with_config(TWO_VOLUMES);
        let card = card(&station);
        station.ingest_without_second(&card);
        if !kill_and_mend(&station, &card, point, pass) {
            break;
        }
    }
}
