//! What the lists and screens say: to whom, of what, how much of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::office::{NUMBER, Office};
use rusqlite::params;
use serde_json::Value;

const HOUR: i64 = 3_600_000;

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A deadline so many hours from now.
fn deadline(office: &Office, subject: &str, hours: i64, officer: Option<i64>, unit: i64, state: &str) {
    let kind = subject.split_once(':').unwrap().0;
    let (due, late) = (now() + hours * HOUR, state == "late");
    let sql = "INSERT OR REPLACE INTO deadline
        (subject, kind, earliest, latest, reason, recorder, officer, unit, state, met_at, late_by, next_at)
        VALUES (?1, ?2, ?3, ?3, 'because', 'A1B2C3', ?4, ?5, ?6, ?7, ?8, iif(?7 IS NULL, ?3, NULL))";
    let met = late.then_some(due);
    office
        .write()
        .execute(sql, params![subject, kind, due, officer, unit, state, met, met.map(|_| HOUR)])
        .unwrap();
}

fn subjects(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|d| d["subject"].as_str().unwrap()).collect()
}

#[test]
fn deadlines_are_for_all_whom_they_concern_and_told_as_asked() {
    let office = Office::new();
    office.open(NUMBER, "占地");
    office.ok("HN001", &["cases", "officers", NUMBER, "--add", "HN004"]);
    office.write().execute("DELETE FROM deadline", []).unwrap();
    let case = format!("case:{NUMBER}");
    deadline(&office, &case, 30 * 24, Some(1), 1, "running");
    deadline(&office, "recorder:A1B2C3", -30, Some(1), 1, "running");
    // Kept too late: many of another unit, the newest of all, and an older one of our own.
    for n in 0..25 {
        deadline(&office, &format!("recording:x{n}"), -n, Some(5), 2, "late");
    }
    deadline(&office, "recording:own", -100, Some(1), 1, "late");
    // Taken over already: what is shown is what stands here.
    office
        .write()
        .execute("INSERT OR REPLACE INTO reader (name, seq) SELECT 'deadlines', 1 << 40", [])
        .unwrap();

    let list = |badge: &str, more: &[&str]| {
        let out = office.run(badge, &[&["deadlines", "--json"], more].concat());
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    assert_eq!(subjects(&list("HN004", &[])), [case.as_str()], "the second officer of the case");
    assert_eq!(subjects(&list("HN001", &["--late"])), ["recording:own"], "behind 25 of others");
    assert_eq!(subjects(&list("HN006", &["--within", "7"])), ["recorder:A1B2C3"]);
    assert_eq!(subjects(&list("HN006", &["--officer", "HN004"])), [case.as_str()]);
    assert_eq!(list("HN006", &["--unit", "BY"]).as_array().unwrap().len(), 20);
    assert_eq!(list("HN006", &["--unit", "BY", "--limit", "3"]).as_array().unwrap().len(), 3);
    assert_eq!(list("HN006", &[])[0]["late_by_seconds"].as_i64().unwrap() / 3600, 30);

    let said = |badge: &str, more: &[&str]| {
        String::from_utf8(office.run(badge, &[&["deadlines"], more].concat()).stdout).unwrap()
    };
    assert!(said("HN006", &[]).contains("1 d 6 h"), "{}", said("HN006", &[]));
    assert!(said("HN006", &["--limit", "1"]).contains("1 more"), "{}", said("HN006", &["--limit", "1"]));
    let nothing = said("HN005", &["--kind", "case"]);
    assert!(nothing.contains("Nothing that you may see runs out."), "{nothing}");
}

#[test]
fn cases_are_listed_by_when_their_file_is_due() {
    let office = Office::new();
    for (number, ended) in [("1号案卷", 3), ("2号案卷", 9), ("3号案卷", 0), ("4号案卷", 1)] {
        office.open(number, "占地");
        if ended > 0 {
            let sql =
                "UPDATE case_file SET opened_at = 0, act_ended_at = ?2, case_days = 10 WHERE number = ?1";
            office.write().execute(sql, params![number, now() - ended * 24 * HOUR]).unwrap();
        }
    }
    let list = |days: &str| office.json("HN001", &["cases", "list", "--due-within", days]);
    let numbers = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|c| c["number"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(numbers(&list("8")), ["2号案卷", "1号案卷"]);
    assert_eq!(numbers(&list("365")), ["2号案卷", "1号案卷", "4号案卷"]);
}

#[test]
fn alerts_are_listed_as_asked_and_no_more_than_a_screen() {
    let office = Office::new();
    let db = office.write();
    let alert = |n: i64, kind: &str, subject: &str, officer: Option<i64>, unit: Option<i64>| {
        let sql = "INSERT INTO alert (kind, subject, severity, state, level, message, details, officer, unit,
            opened_at, updated_at) VALUES (?1, ?2, 'warning', 'open', 0, 'm', '{}', ?3, ?4, ?5, ?5)";
        db.execute(sql, params![kind, subject, officer, unit, n]).unwrap();
    };
    for n in 0..60 {
        alert(n, "recording-overdue", &format!("recording:{n}"), Some(1), Some(1));
    }
    let own = office.recording(0);
    alert(60, "recorder-not-docked", "recorder:A1B2C3", Some(1), Some(1));
    alert(61, "recording-overdue", &format!("recording:{own}"), Some(1), Some(1));
    alert(62, "recorder-not-docked", "recorder:B", Some(5), Some(2));
    let count =
        |more: &[&str]| office.json("HN006", &[&["alerts", "list"], more].concat()).as_array().unwrap().len();
    assert_eq!(count(&[]), 63);
    assert_eq!(count(&["--limit", "7"]), 7);
    assert_eq!(count(&["--kind", "recorder-not-docked"]), 2);
    assert_eq!(count(&["--recorder", "a1b2c3"]), 2, "the recorder, and a recording of it");
    assert_eq!(count(&["--subject", "recorder:B"]), 1);
    let said = office.ok("HN006", &["alerts", "list"]);
    assert!(said.lines().count() < 56 && said.contains("13 more"), "{said}");
    let none = office.ok("HN005", &["alerts", "list", "--kind", "recording-overdue"]);
    assert!(none.contains("No alert stands that you may see."), "{none}");
    assert!(office.ok("HN006", &["alerts", "list", "--kind", "clock-off"]).contains("No such alert stands."));
}

#[test]
fn footage_that_cannot_be_played_is_marked_wherever_it_counts() {
    let office = Office::new();
    office.open(NUMBER, "占地");
    let r = office.recording(0);
    let bad = r#"{"facts":{},"verdict":"unplayable","reason":"it is no media file"}"#;
    office.write().execute("UPDATE recording SET probed = ?2 WHERE id = ?1", params![r, bad]).unwrap();
    let link = |more: &[&str]| {
        office.ok("HN001", &[&["cases", "link", NUMBER, "site-inspection", &r, "--why", "x"], more].concat())
    };
    assert!(link(&[]).contains("cannot be played; it is linked all the same"));
    assert!(link(&["--clip", "00:00:01-00:10:00"]).contains("so the clip's end cannot be checked"));
    let shown = office.ok("HN001", &["cases", "show", NUMBER]);
    assert!(shown.contains("2 linked, 2 of them cannot be played"), "{shown}");
    assert!(shown.contains("does not play"), "{shown}");
    office.ok(
        "HN001",
        &[
            "cases",
            "step",
            NUMBER,
            "site-inspection",
            "--from",
            "2026-11-20 09:00",
            "--to",
            "2026-11-20 11:00",
        ],
    );
    office.write().execute("UPDATE case_step SET applies = 0, waived_by = 'HN001', waived_ok = 'HN003' WHERE key <> 'site-inspection'", []).unwrap();
    office.ok("HN001", &["cases", "end", NUMBER, "--at", "2026-11-20 17:00"]);
    let closed = office.ok("HN001", &["cases", "close", NUMBER]);
    assert!(closed.contains("attention: 2 recordings at the step"), "{closed}");

    let one = office.ok("HN001", &["recordings", &r]);
    for part in ["张三 (HN001)", "unclassified", NUMBER, "does not play, "] {
        assert!(one.contains(part), "{part}: {one}");
    }
    assert_eq!(office.json("HN001", &["recordings", &r])["linked"][0]["step"], "site-inspection");
}

#[test]
fn a_time_that_is_not_credible_is_marked_and_proves_nothing() {
    let office = Office::new();
    office.open(NUMBER, "占地");
    let r = office.recording(0);
    let reset = "UPDATE recording SET facts = json_set(facts, '$.time_rule', 'first seen') WHERE id = ?1";
    office.write().execute(reset, [&r]).unwrap();
    let found = office.json("HN001", &["cases", "suggest", NUMBER]);
    let found = found.as_array().unwrap().iter().find(|s| s["recording"]["id"] == r.as_str()).unwrap();
    assert_eq!(found["recording"]["time_credible"], false);
    let reasons: Vec<&str> = found["reasons"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(reasons.contains(&"the time is not credible"), "{reasons:?}");
    assert!(!reasons.iter().any(|r| r.contains("held the recorder then")), "{reasons:?}");
    office.ok("HN001", &["cases", "link", NUMBER, "site-inspection", &r, "--why", "x"]);
    for screen in [&["recordings"][..], &["search", "--recorder", "A1B2C3"], &["cases", "show", NUMBER]] {
        let said = office.ok("HN001", screen);
        assert_eq!(said.matches("(estimated)").count(), 1, "{said}");
    }
    let all = office.ok("HN001", &["recordings", &r]);
    assert!(all.contains("(first seen)"), "{all}");
}

#[test]
fn the_history_of_whatever_there_is_and_word_of_what_there_is_not() {
    let office = Office::new();
    office.open(NUMBER, "占地");
    let entries = |args: &[&str]| {
        let all = office.json("HN006", &[&["custody", "show"], args].concat());
        all.as_array().unwrap().len()
    };
    let all = entries(&[&format!("case:{NUMBER}")]);
    assert!(all > 0);
    assert_eq!(entries(&["12号"]), all, "a case as people name it");
    let recording = office.recording(0);
    assert!(entries(&[&recording]) > 2);
    assert_eq!(entries(&[&recording, "--last", "2"]), 2);
    for nothing in ["X", "case:77号", "recorder:NOPE", "docking:99"] {
        office.refuses("HN006", &["custody", "show", nothing], &["nothing of", "docking:N, recorder:ID"]);
    }
    let shown = office.ok("HN001", &["cases", "show", NUMBER]);
    assert!(shown.contains(&format!("docket custody show \"case:{NUMBER}\"")), "{shown}");
}
