//! `docket doctor`: a good set-up is called good, and each kind of trouble gets a line with advice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Station;
use common::daemon::Daemon;
use common::tools::{expect_exit, json_of};
use serde_json::Value;

/// The lines of a level.
fn lines(station: &Station, level: &str) -> (i32, Vec<Value>) {
    let out = station.run(&["doctor", "--json"]);
    let all = json_of(&out).as_array().unwrap().clone();
    (out.status.code().unwrap(), all.into_iter().filter(|f| f["level"] == level).collect())
}

/// Fails unless doctor finds exactly this one thing wrong, with advice, in JSON and in words.
fn finds(station: &Station, about: &str, text: &str, advice: &str) {
    let (code, wrong) = lines(station, "wrong");
    assert_eq!((code, wrong.len()), (3, 1), "{wrong:?}");
    assert!(wrong[0]["about"].as_str().unwrap().contains(about), "{wrong:?}");
    assert!(wrong[0]["text"].as_str().unwrap().contains(text), "{wrong:?}");
    assert!(wrong[0]["next"].as_str().unwrap_or("no advice").contains(advice), "{wrong:?}");
    let out = station.run(&["doctor"]);
    expect_exit(&out, 3, &[]);
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(printed.contains("✗") && printed.contains("next: "), "{printed}");
}

fn set_config(station: &Station, text: &str) {
    std::fs::write(station.data().join("docket.toml"), text).unwrap();
}

#[test]
fn a_good_set_up_is_called_good() {
    let station = Station::new();
    let (code, wrong) = lines(&station, "wrong");
    assert_eq!((code, wrong), (0, vec![]));
    let said = station.ok(&["doctor"]);
    assert!(said.contains("The set-up is good."));
    assert!(said.contains("the media worker is cut off from the network"), "{said}");
}

#[test]
fn looking_changes_nothing() {
    let station = Station::new();
    let stand = |s: &Station| {
        let mut files = common::files(&s.data());
        // SQLite's own, for as long as somebody looks.
        files.retain(|f| !f.to_str().unwrap().ends_with("-wal") && !f.to_str().unwrap().ends_with("-shm"));
        (files, s.json(&["custody", "verify", "--json"]))
    };
    let before = stand(&station);
    station.ok(&["doctor"]);
    assert_eq!(stand(&station), before);
}

#[test]
fn a_running_daemon_is_seen() {
    let station = Station::new();
    let daemon = Daemon::start(&station);
    let (code, good) = lines(&station, "good");
    assert_eq!(code, 0);
    assert!(good.iter().any(|f| f["about"] == "daemon"), "{good:?}");
    daemon.stop();
}

#[test]
fn mistakes_in_the_settings() {
    let station = Station::new();
    set_config(&station, "colour = 1\n[ingest]\nattempts = 0\n");
    finds(
        &station,
        "settings",
        "ingest.attempts wants a whole number from 1 to 100, not 0\n  - colour is not a setting",
        "mend the lines",
    );
}

#[test]
fn mistakes_in_a_profile() {
    let station = Station::new();
    let dir = station.card("profiles");
    std::fs::write(dir.join("own.toml"), "id = \"own\"\nflavour = 3\n").unwrap();
    set_config(&station, &format!("[ingest]\nprofiles = \"{}\"\n", dir.display()));
    let (code, wrong) = lines(&station, "wrong");
    assert_eq!(code, 3);
    let about = wrong.iter().find(|f| f["about"] == "profiles").unwrap();
    assert!(about["text"].as_str().unwrap().contains("flavour"), "{about}");
    assert!(about["next"].as_str().unwrap().contains("generic.toml"), "{about}");
}

#[test]
fn a_missing_catalogue() {
    let station = Station::new();
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = std::fs::remove_file(station.data().join(name));
    }
    finds(&station, "catalogue", "there is no station", "docket init");
}

#[test]
fn a_damaged_catalogue() {
    let station = Station::new();
    std::fs::write(station.data().join("catalog.sqlite"), [b'x'; 8192]).unwrap();
    finds(&station, "catalogue", "is damaged", "docket rebuild");
}

#[test]
fn a_volume_that_is_not_mounted() {
    let station = Station::new();
    std::fs::rename(station.archive(), station.data().join("elsewhere")).unwrap();
    std::fs::create_dir(station.archive()).unwrap();
    finds(&station, "volume main", "there is no .docket-volume", "mount the right file system");
}

#[test]
fn a_volume_of_somebody_else() {
    let (station, other) = (Station::new(), Station::new());
    std::fs::remove_dir_all(station.archive()).unwrap();
    std::fs::rename(other.archive(), station.archive()).unwrap();
    finds(&station, "volume main", "foreign", "mount the right one");
}

#[test]
fn a_marker_that_cannot_be_read() {
    let station = Station::new();
    std::fs::write(station.archive().join(".docket-volume"), "format = \"?\"").unwrap();
    finds(&station, "volume main", "cannot be read", "restore the marker");
}

#[test]
fn a_volume_without_room() {
    let station = Station::new();
    let config = std::fs::read_to_string(station.data().join("docket.toml")).unwrap();
    set_config(&station, &config.replace("1 MiB\"\n[ingest]", "900 TiB\"\n[ingest]"));
    finds(&station, "volume main", "full", "make room");
}

#[test]
fn a_dock_without_its_folder() {
    let station = Station::new();
    std::fs::remove_dir(station.data().join("cards")).unwrap();
    finds(&station, "dock cards", "cannot list the dock", "docket.toml");
}

#[test]
fn several_troubles_are_named_at_once() {
    let station = Station::new();
    std::fs::remove_dir(station.data().join("cards")).unwrap();
    std::fs::remove_dir_all(station.archive()).unwrap();
    std::fs::write(station.data().join("catalog.sqlite"), [b'x'; 8192]).unwrap();
    let (code, wrong) = lines(&station, "wrong");
    assert_eq!((code, wrong.len()), (3, 3), "{wrong:?}");
    assert!(wrong.iter().all(|f| f["next"].is_string()), "{wrong:?}");
}

#[test]
fn alerts_that_reach_nobody() {
    let station = Station::new();
    let db = rusqlite::Connection::open(station.data().join("catalog.sqlite")).unwrap();
    db.execute("INSERT INTO unit (id, code, name) VALUES (1, 'QY', '执法大队')", []).unwrap();
    let sql =
        "INSERT INTO officer (badge, name, unit, role, email) VALUES ('1', '张三', 1, 'officer', 'z@x.cn')";
    db.execute(sql, []).unwrap();
    let (_, notices) = lines(&station, "notice");
    let said = |about: &str| notices.iter().any(|f| f["about"] == about);
    assert!(said("units") && said("witness"), "{notices:?}");
    finds(&station, "alerts", "no channel but the log is set up", "[[channel]]");
    let mail = |officers| {
        format!(
            "[[channel]]\nname = \"mail\"\ntype = \"email\"\nserver = \"127.0.0.1\"\nsecurity = \"none\"\n\
             from = \"d@x.cn\"\nto = [\"a@x.cn\"]\nofficers = {officers}\n"
        )
    };
    set_config(&station, &mail(false));
    finds(&station, "alerts", "1 officers have an e-mail address, but no channel reaches", "officers = true");
    set_config(&station, &mail(true));
    assert_eq!(lines(&station, "wrong"), (0, vec![]));
    let sql = "INSERT INTO outbox (key, alert, event, channel, recipient, message, state, attempts,
        created_at, next_at, done_at, error) VALUES ('k', 1, 'opened', 'mail', 'a', 'm', 'dead', 9, 1, 1, 2, 'refused')";
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    db.execute(sql, []).unwrap();
    finds(&station, "channel mail", "1 messages were given up: refused", "outbox --again");
}

#[test]
fn metrics_that_do_not_answer() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let station = Station::new();
    let listen = taken.local_addr().unwrap();
    set_config(&station, &format!("[metrics]\nlisten = \"{listen}\"\n"));
    // Whoever has the port hangs up.
    std::thread::spawn(move || taken.incoming().for_each(drop));
    let daemon = Daemon::start(&station);
    let (code, wrong) = lines(&station, "wrong");
    assert_eq!((code, wrong.len()), (3, 1), "{wrong:?}");
    assert!(wrong[0]["text"].as_str().unwrap().contains("no metrics of docket"), "{wrong:?}");
    daemon.stop();
}
