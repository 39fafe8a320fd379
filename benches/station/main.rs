//! `make bench`: docket against the limits of the disk and against the tools a careful person would
//! use instead. Every comparison is made in turn in one run, from cold caches; ratios are what counts.
//!
//! Arguments choose sections (`full throttled eight small start scale`; all without any); BENCH_MIB is the size of
//! the card and BENCH_ROUNDS how often everything is measured. Needs root, but for `scale`, whose tables are kept apart.
#![allow(clippy::expect_used, clippy::panic)]

mod card;
mod lab;
mod peers;
mod report;
mod scale;
mod station;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::{Lab, cold, sh, timed};
use peers::peers;
use report::{Report, median, ratio, seconds, spread};
use station::{Daemon, million, prepare};

const DOCKET: &str = env!("CARGO_BIN_EXE_docket");
/// A USB 2 recorder, bytes a second.
const USB2: u64 = 40_000_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let (mib, rounds) = (setting("BENCH_MIB", 4096), setting("BENCH_ROUNDS", 3));
    let mut report = Report::default();
    report.say(&machine());
    if wants("full") || wants("throttled") {
        let mut lab = Lab::new();
        let (card, archive) = (lab.dir.join("card"), lab.dir.join("archive"));
        lab.disk("card", mib + mib / 8 + 64, &card);
        lab.disk("archive", 2 * mib + 256, &archive);
        let (files, bytes) = card::fill(&card, mib, 1);
        let about = format!(
            "One card of {files} files, {} MB; the archive on a file system of its own; rounds: {rounds}, all in turn.",
            bytes / 1_000_000
        );
        let names = (card.as_path(), archive.as_path());
        if wants("full") {
            compare(&mut report, &lab, "One card, as fast as the disk goes", &about, names, rounds, false);
        }
        if wants("throttled") {
            lab.throttle(&card, USB2);
            let about = format!("{about} Reading the card is held to 40 MB/s.");
            compare(
                &mut report,
                &lab,
                "One card at 40 MB/s, like a USB 2 recorder",
                &about,
                names,
                rounds,
                true,
            );
        }
    }
    if wants("eight") {
        eight(&mut report, mib / 4, rounds);
    }
    if wants("small") {
        small(&mut report, rounds);
    }
    if wants("start") {
        start(&mut report, rounds);
    }
    if wanted.is_empty() {
        report.keep("measured");
    }
    if wants("scale") {
        scale::scale(&machine());
    }
}

fn machine() -> String {
    let cpu = sh("grep -m1 'model name' /proc/cpuinfo | cut -d: -f2");
    let (cores, memory) = (sh("nproc"), sh("awk '/MemTotal/ {print int($2 / 1048576 + 0.5)}' /proc/meminfo"));
    let (kernel, day) = (sh("uname -r"), sh("date +%F"));
    format!(
        "Measured on {day}: {cpu}, {cores} cores, {memory} GiB, Linux {kernel}, ext4 on loop devices with direct I/O."
    )
}

/// Card to archive, by everybody.
fn compare(
    report: &mut Report,
    lab: &Lab,
    title: &str,
    about: &str,
    (card, archive): (&Path, &Path),
    rounds: u64,
    throttled: bool,
) {
    let data = lab.dir.join("station");
    let peers = peers(card, archive, Path::new(DOCKET), &data);
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); peers.len()];
    let mut write_back = Vec::new();
    for round in 1..=rounds {
        for (peer, times) in peers.iter().zip(&mut times) {
            sh(&format!("rm -rf {0}/*; mkdir -p {0}/volume", archive.display()));
            prepare(&data, &archive.join("volume"), None);
            let line = if throttled { lab.inside(&peer.line) } else { peer.line.clone() };
            let took = timed(&line);
            eprintln!("round {round}: {} {}", seconds(took), peer.name);
            times.push(took);
        }
        sh(&format!("rm -rf {}/*", archive.display()));
        write_back.push(writing_and_reading_back(card, archive));
        eprintln!("round {round}: {} writing and reading back", seconds(write_back[write_back.len() - 1]));
    }
    let read = median(times[0].clone());
    let bound = read.max(median(write_back.clone()));
    let docket = median(times[peers.len() - 1].clone());
    report.section(title, about, &["", "median", "all", "against the limit", "docket is faster"]);
    let mut row = |name: &str, all: &[Duration], contender: bool| {
        let took = median(all.to_vec());
        let faster = if contender { format!("{:.2}×", ratio(took, docket)) } else { String::new() };
        report.row(&[
            name.to_owned(),
            seconds(took),
            spread(all),
            format!("{:.2}×", ratio(took, bound)),
            faster,
        ]);
    };
    for (peer, times) in peers.iter().zip(&times) {
        row(peer.name, times, !peer.limit && !peer.name.contains("docket"));
        if peer.name.contains("cat") {
            row("writing the archive (card in memory) and reading it back", &write_back, false);
        }
    }
    report.say(&format!(
        "\nThe limit is the larger of reading the card once and writing and reading back the archive: {}.",
        seconds(bound)
    ));
}

/// The archive's own limit: the card is in memory, the copy is flushed and read back cold.
fn writing_and_reading_back(card: &Path, archive: &Path) -> Duration {
    cold();
    let (card, archive) = (card.display(), archive.display());
    sh(&format!("find {card} -type f -exec cat {{}} + > /dev/null"));
    let begun = std::time::Instant::now();
    sh(&format!("cp -r {card} {archive}/copy; find {archive}/copy -type f -exec sync {{}} +"));
    let written = begun.elapsed();
    written + timed(&format!("find {archive}/copy -type f -exec cat {{}} + > /dev/null"))
}

/// Eight cards at once, in the docks of a daemon; and what its memory comes to.
fn eight(report: &mut Report, mib: u64, rounds: u64) {
    let mut lab = Lab::new();
    let (archive, one, all) = (lab.dir.join("archive"), lab.dir.join("one"), lab.dir.join("all"));
    lab.disk("archive", 10 * mib + 256, &archive);
    let cards: Vec<PathBuf> =
        (0..8).map(|i| if i == 0 { one.join("card-0") } else { all.join(format!("card-{i}")) }).collect();
    for (i, card) in cards.iter().enumerate() {
        lab.disk(&format!("card-{i}"), mib + mib / 8 + 64, card);
        card::fill(card, mib, 10 + i as u64);
    }
    sh(&format!("mkdir -p {0}/card-0; mount --bind {1} {0}/card-0", all.display(), cards[0].display()));
    let stay = |dock: &Path, n: i64, throttled: bool| {
        sh(&format!("rm -rf {0}/*; mkdir -p {0}/volume", archive.display()));
        let data = lab.dir.join("station");
        prepare(&data, &archive.join("volume"), Some(dock));
        cold();
        let daemon = Daemon::start(&lab, &data, throttled);
        let took = daemon.until_safe(n);
        (took, daemon.peak_kib())
    };
    let (mut limit, mut fast) = (Vec::new(), Vec::new());
    let (mut single, mut eight) = (Vec::new(), Vec::new());
    let (mut peak_one, mut peak_eight) = (0, 0);
    for _ in 0..rounds {
        sh(&format!("rm -rf {}/*", archive.display()));
        limit.push(writing_and_reading_back(&all, &archive));
        let (took, peak) = stay(&all, 8, false);
        fast.push(took);
        peak_eight = peak_eight.max(peak);
    }
    for card in &cards {
        lab.throttle(card, USB2);
    }
    for _ in 0..rounds {
        let (took, peak) = stay(&one, 1, true);
        single.push(took);
        peak_one = peak_one.max(peak);
        let (took, peak) = stay(&all, 8, true);
        eight.push(took);
        peak_eight = peak_eight.max(peak);
    }
    let about =
        format!("Cards of {mib} MiB each in the docks of one daemon, from its start until all may be taken.");
    report.section("Eight cards at once", &about, &["", "median", "all", "ratio"]);
    let (a, b) = (median(single.clone()), median(eight.clone()));
    report.row(&["one card at 40 MB/s".into(), seconds(a), spread(&single), String::new()]);
    let cell = format!("{:.2}× one card", ratio(b, a));
    report.row(&["eight cards at 40 MB/s each".into(), seconds(b), spread(&eight), cell]);
    let (a, b) = (median(limit.clone()), median(fast.clone()));
    report.row(&["writing and reading back as many bytes".into(), seconds(a), spread(&limit), String::new()]);
    let cell = format!("{:.0} % of the disk", 100.0 * ratio(a, b));
    report.row(&["eight cards, as fast as the disk goes".into(), seconds(b), spread(&fast), cell]);
    report.section(
        "Memory of the daemon",
        "Largest resident set (VmHWM), FFmpeg's libraries included; the aim is 64 MiB.",
        &["", "peak"],
    );
    report.row(&["one card".into(), format!("{:.1} MiB", peak_one as f64 / 1024.0)]);
    report.row(&["eight cards at once".into(), format!("{:.1} MiB", peak_eight as f64 / 1024.0)]);
    sh(&format!("umount {}/card-0", all.display()));
}

/// Many small files: the first docking, and what a second one costs.
fn small(report: &mut Report, rounds: u64) {
    const FILES: u64 = 10_000;
    let mut lab = Lab::new();
    let (dock, archive, data) = (lab.dir.join("dock"), lab.dir.join("archive"), lab.dir.join("station"));
    let card = dock.join("card");
    lab.disk("card", 256, &card);
    lab.disk("archive", 512, &archive);
    card::fill_small(&card, FILES);
    let ingest = format!("{DOCKET} ingest --data {} --json {} > /dev/null", data.display(), card.display());
    let copy = format!(
        "cp -r {0} {1}/copy; find {1}/copy -type f -exec sync {{}} +",
        card.display(),
        archive.display()
    );
    let (mut cp, mut first, mut again, mut warm) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        sh(&format!("rm -rf {0}/*; mkdir -p {0}/volume", archive.display()));
        cp.push(timed(&copy));
        sh(&format!("rm -rf {}/copy", archive.display()));
        prepare(&data, &archive.join("volume"), None);
        first.push(timed(&ingest));
        again.push(timed(&ingest));
        let begun = std::time::Instant::now();
        sh(&ingest);
        warm.push(begun.elapsed());
    }
    sh(&format!("rm -rf {0}/*; mkdir -p {0}/volume", archive.display()));
    prepare(&data, &archive.join("volume"), Some(&dock));
    let daemon = Daemon::start(&lab, &data, false);
    daemon.until_safe(1);
    let peak = daemon.peak_kib() as f64 / 1024.0;
    let about =
        format!("{FILES} files of 4 KiB. A second docking finds everything archived; the aim is 1 s.");
    report.section("A card of small files", &about, &["", "median", "all"]);
    for (name, all) in [
        ("`cp -r` + flush (nothing verified)", &cp),
        ("docket, first docking", &first),
        ("docket, docked again, cold", &again),
        ("docket, docked again, warm", &warm),
    ] {
        report.row(&[name.to_owned(), seconds(median(all.clone())), spread(all)]);
    }
    report.say(&format!("\nResident memory of a daemon at most, such a card in its dock: {peak:.1} MiB."));
}

/// From the call to READY=1, with a big catalogue.
fn start(report: &mut Report, rounds: u64) {
    let lab = Lab::new();
    let (data, archive) = (lab.dir.join("station"), lab.dir.join("archive"));
    std::fs::create_dir_all(&archive).expect("a folder");
    prepare(&data, &archive, Some(&lab.dir.join("dock")));
    let mut empty = Vec::new();
    let mut full = Vec::new();
    for _ in 0..rounds {
        cold();
        empty.push(Daemon::start(&lab, &data, false).ready_in);
    }
    let gib = million(&data);
    let mut peak = 0;
    for _ in 0..rounds {
        cold();
        let daemon = Daemon::start(&lab, &data, false);
        full.push(daemon.ready_in);
        peak = peak.max(daemon.peak_kib());
    }
    let about = format!(
        "1,000,000 recordings with their copies and 4,000,000 custody entries ({gib:.1} GiB of catalogue), cold; the aim is 2 s."
    );
    report.section("Start until ready", &about, &["", "median", "all"]);
    report.row(&["an empty catalogue".into(), seconds(median(empty.clone())), spread(&empty)]);
    report.row(&["1,000,000 recordings".into(), seconds(median(full.clone())), spread(&full)]);
    report.say(&format!("\nResident memory then: {:.1} MiB.", peak as f64 / 1024.0));
}
