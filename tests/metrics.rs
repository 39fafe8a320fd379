//! What Prometheus gets from a running daemon, over plain TCP; and that the alert rules and the dashboard
//! of `config/` ask only for what is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use common::daemon::{Daemon, dock, wait_for_docking};
use common::tools::{PATIENCE, until};
use common::{Station, content, put};

fn station(metrics: &str) -> Station {
    Station::with(&format!("[metrics]\nlisten = \"{metrics}\"\n"))
}

fn address(daemon: &Daemon) -> String {
    until("the address of the metrics", || {
        let log = daemon.log();
        let (_, rest) = log.split_once("metrics at http://")?;
        rest.split_once("/metrics").map(|(address, _)| address.to_owned())
    })
}

/// Status line with headers, and body.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{request}\r\nHost: docket\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// A page of the older text format, held to its rules line by line: every sample has HELP and TYPE before it,
/// names and labels are well formed, values are numbers, no series stands twice.
struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut helped = String::new();
        let sample = regex::Regex::new(
            r#"^([a-z_]+)(\{[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*\})? (\S+)$"#,
        )
        .unwrap();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(help.len() > 10 && help.ends_with('.') && !help.ends_with(".."), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, helped, "TYPE without HELP");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            } else {
                let found = sample.captures(line).unwrap_or_else(|| panic!("no sample: {line}"));
                let name = found.get(1).unwrap().as_str();
                let known = types.contains_key(name)
                    || ["_bucket", "_sum", "_count"].iter().any(|end| {
                        name.strip_suffix(end).and_then(|n| types.get(n)).is_some_and(|t| t == "histogram")
                    });
                assert!(known && name.starts_with("docket_"), "{line} was not declared");
                let value: f64 = found.get(3).unwrap().as_str().parse().unwrap();
                let series = line.rsplit_once(' ').unwrap().0;
                assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
            }
        }
        Self { types, samples }
    }

    fn get(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples))
    }
}

fn scrape(address: &str) -> Page {
    let (head, body) = ask(address, "GET /metrics HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    Page::parse(&body)
}

fn card(station: &Station, name: &str, files: u64) -> u64 {
    let card = station.card(name);
    (1..=files).for_each(|i| {
        let name = format!("DCAM_{name}_000123_20261123_1530{i:02}.mp4");
        put(card.join("DCIM").join(name), &content(i, 10_000 + i as usize));
    });
    dock(station, &card);
    (1..=files).map(|i| 10_000 + i).sum()
}

#[test]
fn a_scrape_tells_what_is_archived_and_how_it_went() {
    let station = station("127.0.0.1:0");
    let daemon = Daemon::start(&station);
    let address = address(&daemon);
    let before = scrape(&address);
    assert_eq!(before.get("docket_archived_files_total"), 0.0);
    assert_eq!(before.get(r#"docket_verification_failures_total{volume="main"}"#), 0.0);
    assert_eq!(before.get(r#"docket_volume_state{volume="main",state="online"}"#), 1.0);
    assert!(before.get(r#"docket_volume_free_bytes{volume="main"}"#) > 0.0);
    assert_eq!(before.get(r#"docket_volume_reserve_bytes{volume="main"}"#), f64::from(1 << 20));

    let bytes = card(&station, "007", 5);
    wait_for_docking(&station, "007", "safe");
    let after = scrape(&address);
    assert_eq!(after.get("docket_archived_files_total"), 5.0);
    assert_eq!(after.get("docket_archived_bytes_total"), bytes as f64);
    assert_eq!(after.get("docket_card_read_bytes_total"), bytes as f64);
    assert_eq!(after.get("docket_read_back_bytes_total"), bytes as f64);
    for (step, files) in
        [("copy", Some(5.0)), ("read_back", Some(5.0)), ("sync", None), ("place", None), ("look", None)]
    {
        let n = after.get(&format!(r#"docket_step_duration_seconds_count{{step="{step}"}}"#));
        assert!(files.map_or(n >= 1.0, |files| n == files), "{step}: {n}");
    }
    assert_eq!(after.get(r#"docket_jobs{state="planned"}"#), 0.0);
    let entries: i64 = station.db().query_row("SELECT max(seq) FROM custody", [], |r| r.get(0)).unwrap();
    assert!(after.get("docket_custody_entries_total") > before.get("docket_custody_entries_total"));
    assert!(after.get("docket_custody_entries_total") <= entries as f64);
    let stays: f64 =
        after.samples.iter().filter(|(s, _)| s.starts_with("docket_stays{")).map(|(_, n)| n).sum();
    assert_eq!(stays, 1.0);
    // A new process goes on from the archive, not from nought.
    daemon.stop();
    let daemon = Daemon::start(&station);
    assert_eq!(scrape(&self::address(&daemon)).get("docket_archived_bytes_total"), bytes as f64);
    daemon.stop();
}

#[test]
fn what_is_not_archived_is_told_by_recorder_and_no_name_breaks_the_page() {
    let station = station("127.0.0.1:0");
    // Copies end as jobs that wait for their volume: the daemon starts where another could not go on.
    station.ok(&["ingest", station.card("odd").to_str().unwrap()]);
    let db = rusqlite::Connection::open(station.data().join("catalog.sqlite")).unwrap();
    let odd = "a\"b\\c";
    db.execute("INSERT INTO recorder VALUES (?1, 0, 0)", [odd]).unwrap();
    db.execute(
        "INSERT INTO job (recording, docking, recorder, source_path, size, mtime_ns, kind, facts, taken_at, dest,
           state, planned_at)
         SELECT 'x', max(id), ?1, x'61', 77, 0, 'video', '{}', 1000, 'd', 'retry', 0 FROM docking",
        [odd],
    )
    .unwrap();
    drop(db);
    let daemon = Daemon::start(&station);
    let page = scrape(&address(&daemon));
    assert_eq!(page.get(r#"docket_recorder_unarchived_files{recorder="a\"b\\c"}"#), 1.0);
    assert_eq!(page.get(r#"docket_recorder_unarchived_bytes{recorder="a\"b\\c"}"#), 77.0);
    assert!(page.get(r#"docket_recorder_oldest_unarchived_age_seconds{recorder="a\"b\\c"}"#) > 1e9);
    assert_eq!(page.get(r#"docket_jobs{state="retry"}"#), 1.0);
    daemon.stop();
}

#[test]
fn only_metrics_are_served_and_only_read() {
    let station = station("127.0.0.1:0");
    let daemon = Daemon::start(&station);
    let address = address(&daemon);
    for (request, status) in [
        ("GET / HTTP/1.1", "404"),
        ("GET /metrics/../control.sock HTTP/1.1", "404"),
        ("POST /metrics HTTP/1.1", "405"),
        ("DELETE /metrics HTTP/1.1", "405"),
        ("rubbish", "400"),
    ] {
        let (head, _) = ask(&address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {head}");
    }
    let open = "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (head, body) = ask(&address, open);
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n") && body.contains("# TYPE docket_archived_bytes counter\n"), "{body}");
    daemon.stop();
}

/// Whether the other end hung up, after whatever it still said.
fn is_hung_up(mut client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    match client.read(&mut [0; 4096]) {
        Ok(n) => n == 0,
        Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn clients_that_never_finish_asking_keep_no_card_waiting() {
    let station = station("127.0.0.1:0");
    let daemon = Daemon::start(&station);
    let address = address(&daemon);
    let pid = daemon.pid().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--nofile=96:96"]).status().unwrap();
    assert!(limited.success());
    let clients: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut client = TcpStream::connect(&address).unwrap();
            // Who is hung up on already cannot send.
            let _ = client.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
            client
        })
        .collect();
    let gone = || clients.iter().filter(|client| is_hung_up(client)).count();
    until("the clients above the limit to be hung up on", || (gone() >= 200 - 32).then_some(()));
    card(&station, "007", 3);
    wait_for_docking(&station, "007", "safe");
    until("every silent client to be hung up on", || (gone() == 200).then_some(()));
    assert_eq!(scrape(&address).get("docket_archived_files_total"), 3.0);
    let log = daemon.log();
    assert!(!log.contains("open files"), "{log}");
    daemon.stop();
}

#[test]
fn a_port_in_use_and_a_closed_door_keep_nothing_from_working() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = station(&taken.local_addr().unwrap().to_string());
    let daemon = Daemon::start(&in_use);
    daemon.wait_for_log("no metrics: cannot listen at");
    card(&in_use, "008", 1);
    wait_for_docking(&in_use, "008", "safe");
    daemon.stop();

    let off = station("off");
    let daemon = Daemon::start(&off);
    card(&off, "009", 1);
    wait_for_docking(&off, "009", "safe");
    let log = daemon.log();
    assert!(!log.contains("metrics"), "{log}");
    daemon.stop();
}

#[test]
fn rules_and_dashboard_ask_for_what_is_there() {
    let station = station("127.0.0.1:0");
    let daemon = Daemon::start(&station);
    let page = scrape(&address(&daemon));
    daemon.stop();
    let name = regex::Regex::new(r"docket_[a-z_]+").unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut asked = std::collections::BTreeSet::new();
    for file in ["prometheus/docket.rules.yml", "grafana/docket.json"] {
        let text = std::fs::read_to_string(config.join(file)).unwrap();
        let found: Vec<&str> = name.find_iter(&text).map(|m| m.as_str()).collect();
        assert!(found.len() > 10, "{file}");
        for name in found {
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let known = page.types.get(name).is_some_and(|t| t != "histogram")
                || histogram.and_then(|n| page.types.get(n)).is_some_and(|t| t == "histogram");
            assert!(known, "{file} asks for {name}, which the daemon does not tell");
            asked.insert(histogram.unwrap_or(name).to_owned());
        }
    }
    let unused: Vec<_> = page.types.keys().filter(|name| !asked.contains(*name)).collect();
    assert!(unused.is_empty(), "nobody is shown {unused:?}");
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(config.join("grafana/docket.json")).unwrap()).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(title.chars().any(|c| c > '\u{2e80}') && title.is_char_boundary(0), "{title} has no Chinese");
    }
}
