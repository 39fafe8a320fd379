//! Alerts from the condition to the person: one of a kind stands for a subject, everybody is told who must
//! be, nobody twice, and all of it is in the custody log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use chrono::{DateTime, TimeDelta, Utc};
use common::Station;
use common::daemon::Daemon;
use common::post::{Answer, Http, Mail, Post, settings, start, trouble};
use common::tools::{expect_exit, flip, json_of, until};
use docket::access::Role;
use docket::alert::{Condition, Kind, Severity, system};
use docket::base::clock::rfc3339;
use docket::catalog::dockings::By;
use docket::catalog::officers::{self, Officer};
use docket::catalog::units::{self, Unit};
use docket::catalog::{Connection, outbox};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Mail to people only; nothing takes it.
const MAIL: &str = "[[channel]]\nname = \"mail\"\ntype = \"email\"\nserver = \"localhost\"\nport = 1\n\
                    security = \"none\"\nfrom = \"docket@example.cn\"\nofficers = true\n";

fn unit(tx: &Connection, by: &By, code: &str, parent: Option<i64>) -> i64 {
    let unit = Unit { code: code.into(), name: code.into(), parent, ..Unit::default() };
    units::insert(tx, by, &unit).unwrap()
}

fn officer(tx: &Connection, by: &By, badge: &str, unit: i64, role: Role, quiet: &str, digest: &str) -> i64 {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let officer = Officer {
        id: 0,
        badge: badge.into(),
        name: format!("{badge} 号"),
        unit,
        role,
        email: Some(format!("{badge}@example.cn")),
        quiet: some(quiet),
        digest: some(digest),
        left: false,
    };
    officers::insert(tx, by, &officer).unwrap()
}

/// Two units, the second below the first, with people; the numbers of unit 2 and of its officer.
fn people(post: &Post) -> (i64, i64) {
    let by = post.open.core.by();
    post.open
        .core
        .catalog
        .write(move |tx| {
            let one = unit(tx, &by, "U1", None);
            let two = unit(tx, &by, "U2", Some(one));
            officer(tx, &by, "head", one, Role::Head, "", "");
            officer(tx, &by, "super", one, Role::Supervisor, "", "");
            officer(tx, &by, "store", one, Role::Storage, "22:00-09:00", "");
            officer(tx, &by, "admin", one, Role::Admin, "", "18:00");
            officer(tx, &by, "other", two, Role::Officer, "", "");
            let id = officer(tx, &by, "zhang", two, Role::Officer, "22:00-09:00", "08:00");
            Ok((two, id))
        })
        .unwrap()
}

fn recipients(post: &Post, alert: i64, event: &str) -> Vec<(String, DateTime<Utc>)> {
    let mut out: Vec<_> = post
        .letters(alert)
        .into_iter()
        .filter(|l| l.channel == "mail" && l.event == event)
        .map(|l| (l.recipient, DateTime::from_timestamp_millis(l.next_at).unwrap()))
        .collect();
    out.sort();
    out
}

fn names(list: &[(String, DateTime<Utc>)]) -> Vec<&str> {
    list.iter().map(|(r, _)| r.strip_prefix("officer:").unwrap_or(r)).collect()
}

fn overdue(unit: i64, officer: i64) -> Condition {
    Condition {
        officer: Some(officer),
        unit: Some(unit),
        ..Condition::new(Kind::RecordingOverdue, "recording:1", Severity::Critical, "x")
    }
}

#[test]
fn more_people_are_told_with_every_level_and_all_of_them_of_the_end() {
    let station = Station::with_config(&settings(MAIL));
    let post = Post::open(&station);
    let (unit, zhang) = people(&post);
    let late = overdue(unit, zhang);
    let id = post.raise(&late, 0);
    // Overdue breaks through quiet hours and daily messages.
    assert_eq!(recipients(&post, id, "opened"), [("officer:zhang".to_owned(), start())]);
    // The same again tells nobody anything.
    assert_eq!(post.raise(&late, 0), id);
    assert_eq!(post.letters(id).len(), 2, "{:?}", post.letters(id));
    // The unit has no head: the one above it has.
    post.raise(&late, 1);
    assert_eq!(names(&recipients(&post, id, "escalated")), ["head", "zhang"]);
    post.raise(&late, 1);
    post.raise(&late, 0);
    assert_eq!(recipients(&post, id, "escalated").len(), 2);
    post.raise(&late, 2);
    assert_eq!(names(&recipients(&post, id, "escalated")), ["head", "head", "super", "zhang", "zhang"]);
    // The end is for all who heard of it, and can wait: the daily message is at 08:00, the next one tomorrow.
    assert!(post.resolve(Kind::RecordingOverdue, "recording:1"));
    assert!(!post.resolve(Kind::RecordingOverdue, "recording:1"));
    let end = recipients(&post, id, "resolved");
    assert_eq!(names(&end), ["head", "super", "zhang"]);
    assert_eq!(end[2].1, start() + TimeDelta::minutes(24 * 60 - 30));
    assert_eq!(end[0].1, start());
    // What comes later is an alert of its own.
    assert_ne!(post.raise(&late, 0), id);
}

#[test]
fn somebody_is_always_told() {
    let station = Station::with_config(&settings(MAIL));
    let post = Post::open(&station);
    let (unit, _) = people(&post);
    let nobody_s = |subject: &str, unit| Condition {
        unit,
        ..Condition::new(Kind::RecorderNotDocked, subject, Severity::Critical, "x")
    };
    let told =
        |id| names(&recipients(&post, id, "opened")).into_iter().map(str::to_owned).collect::<Vec<_>>();
    // No officer is known: the head; no unit either: those who keep the station.
    assert_eq!(told(post.raise(&nobody_s("recorder:1", Some(unit)), 0)), ["head"]);
    assert_eq!(told(post.raise(&nobody_s("recorder:2", None), 0)), ["admin", "store"]);
    // The station's own troubles: those who keep it, in their hours.
    let id = post.raise(&trouble("station"), 0);
    let keepers = recipients(&post, id, "opened");
    assert_eq!(names(&keepers), ["admin", "store"]);
    assert_eq!(keepers[0].1, start() + TimeDelta::minutes(9 * 60 + 30));
    assert_eq!(keepers[1].1, start() + TimeDelta::minutes(30));
}

#[test]
fn other_words_go_to_programs_and_worse_goes_to_everybody() {
    let station = Station::with_config(&settings(MAIL));
    let post = Post::open(&station);
    people(&post);
    let id = post.raise(&trouble("station"), 0);
    post.raise(&Condition { message: "it was never opened".into(), ..trouble("station") }, 0);
    assert_eq!(recipients(&post, id, "updated"), []);
    assert_eq!(post.letters(id).iter().filter(|l| l.event == "updated" && l.channel == "journal").count(), 1);
    post.raise(&Condition { severity: Severity::Critical, ..trouble("station") }, 0);
    assert_eq!(names(&recipients(&post, id, "updated")), ["admin", "store"]);
}

#[test]
fn whoever_comes_to_answer_for_an_alert_hears_of_it_and_the_others_not_again() {
    let station = Station::with_config(&settings(MAIL));
    let post = Post::open(&station);
    let (unit, zhang) = people(&post);
    let find = |db: &Connection| officers::find(db, "other").map(|o| o.id);
    let other = post.open.core.catalog.read(find).unwrap();
    let id = post.raise(&overdue(unit, zhang), 0);
    assert_eq!(names(&recipients(&post, id, "opened")), ["zhang"]);
    post.raise(&overdue(unit, other), 0);
    assert_eq!(names(&recipients(&post, id, "updated")), ["other"]);
    post.raise(&overdue(unit, zhang), 0);
    assert_eq!(names(&recipients(&post, id, "updated")), ["other"]);
}

#[test]
fn filters_of_a_channel_hold() {
    let hook = "[[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\n\
                severity = \"critical\"\nkinds = [\"volume-full\"]\n";
    let station = Station::with_config(&settings(hook));
    let post = Post::open(&station);
    let c = |kind, severity| Condition::new(kind, "volume:x", severity, "x");
    let carried = |id| post.letters(id).iter().any(|l| l.channel == "hook");
    assert!(!carried(post.raise(&c(Kind::VolumeMissing, Severity::Critical), 0)));
    assert!(!carried(post.raise(&c(Kind::VolumeFull, Severity::Warning), 0)));
    assert!(carried(post.raise(&c(Kind::VolumeFull, Severity::Critical), 0)));
}

fn list(station: &Station, args: &[&str]) -> Vec<Value> {
    let args = [&["alerts", "list", "--json"], args].concat();
    station.json(&args).as_array().unwrap().clone()
}

#[test]
fn an_alert_is_acknowledged_by_whom_it_concerns_and_stands_until_it_is_over() {
    let station = Station::with_config(&settings(MAIL));
    let post = Post::open(&station);
    let (unit, zhang) = people(&post);
    let late = overdue(unit, zhang);
    let id = post.raise(&late, 0).to_string();
    // Rules: the officer and the head see it, a colleague does not; a supervisor reads and changes nothing.
    assert_eq!(list(&station, &["--as", "zhang"]).len(), 1);
    assert_eq!(list(&station, &["--as", "super"]).len(), 1);
    assert_eq!(list(&station, &["--as", "other"]).len(), 0);
    expect_exit(&station.run(&["alerts", "show", &id, "--as", "other"]), 1, &["may not"]);
    for badge in ["other", "super"] {
        let out = station.run(&["alerts", "ack", &id, "--note", "I see", "--as", badge]);
        expect_exit(&out, 1, &["acknowledge this alert", "next:"]);
    }
    expect_exit(&station.run(&["alerts", "ack", &id, "--note", " "]), 1, &["the note is empty"]);
    expect_exit(&station.run(&["alerts", "ack", "99", "--note", "x"]), 1, &["no alert 99"]);
    expect_exit(&station.run(&["alerts", "test-channel", "mail", "--as", "zhang"]), 1, &["may not"]);
    expect_exit(&station.run(&["alerts", "outbox", "--as", "zhang"]), 1, &["may not"]);

    let told = station.ok(&["alerts", "ack", &id, "--note", "今天下午接入", "--as", "zhang"]);
    assert!(told.contains("stands until"), "{told}");
    let one = list(&station, &[]).remove(0);
    assert_eq!((&one["kind"], &one["state"]), (&"recording-overdue".into(), &"acknowledged".into()));
    assert_eq!((&one["officer"], &one["unit"]), (&"zhang".into(), &"U2".into()));
    assert!(one["acknowledged_by"].as_str().unwrap().starts_with("officer:zhang via command:"), "{one}");
    assert_eq!(one["opened_at"], rfc3339(start()));
    // Another day too late is news again.
    post.raise(&late, 1);
    assert_eq!(list(&station, &[])[0]["level"], 1);
    post.resolve(Kind::RecordingOverdue, "recording:1");
    assert_eq!(list(&station, &[]).len(), 0);
    assert_eq!(list(&station, &["--all"])[0]["state"], "resolved");
    expect_exit(&station.run(&["alerts", "ack", &id, "--note", "x"]), 1, &["is resolved"]);

    let show = station.json(&["alerts", "show", &id, "--json"]);
    let actions: Vec<_> =
        show["custody"].as_array().unwrap().iter().map(|e| e["entry"]["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["alert.opened", "alert.acknowledged", "alert.escalated", "alert.resolved"]);
    common::check_custody(&station.db());
    for (lang, words) in [("en", ["what is overdue", "given up"]), ("zh", ["录音录像逾期未归档", "已解除"])]
    {
        let text = station.ok(&["alerts", "list", "--all", "--lang", lang])
            + &station.ok(&["alerts", "show", &id, "--lang", lang]);
        assert!(lang == "en" || words.iter().all(|w| text.contains(w)), "{text}");
        assert!(lang == "zh" || text.contains("recording overdue"), "{text}");
    }
}

#[test]
fn the_station_s_own_troubles_are_told_once_and_taken_back() {
    let config = settings("").replace("[ingest]", "[[volume]]\nname = \"second\"\npath = \"b\"\nreserve = \"1 MiB\"\n[ingest]\narchive_to = [\"main\", \"second\"]");
    let station = Station::with_config(&config);
    let card = station.card("7000001");
    common::put(card.join("DCIM/a.mp4"), b"some footage");
    station.ok(&["ingest", card.to_str().unwrap()]);
    let path = station.json(&["recordings", "--json"])[0]["path"].as_str().unwrap().to_owned();
    flip(&path, 3);
    assert_eq!(station.run(&["verify", "--all"]).status.code(), Some(3));
    std::fs::rename(station.data().join("b"), station.data().join("c")).unwrap();

    let open = |days: i64| {
        let post = Post::open(&station);
        *post.clock.0.lock().unwrap() = Utc::now() + TimeDelta::days(days);
        post
    };
    let kinds = || {
        let mut all: Vec<_> = list(&station, &[])
            .iter()
            .map(|a| format!("{} {}", a["kind"].as_str().unwrap(), a["subject"].as_str().unwrap()))
            .collect();
        all.sort();
        all
    };
    let post = open(0);
    assert_eq!(system::check(&post.open, &[]).unwrap(), 2);
    let entries = |station: &Station| {
        station.db().query_row("SELECT count(*) FROM custody", [], |r| r.get::<_, i64>(0)).unwrap()
    };
    let before = entries(&station);
    assert_eq!(system::check(&post.open, &[]).unwrap(), 0);
    drop(post);
    // Nothing new after a restart, and nothing written.
    let post = open(0);
    assert_eq!(system::check(&post.open, &[]).unwrap(), 0);
    assert_eq!(entries(&station), before);
    assert!(kinds()[0].starts_with("verification-failed recording:"), "{:?}", kinds());
    assert_eq!(kinds()[1..], ["volume-missing volume:second"]);
    drop(post);

    // A week later a backup is missing as well; then everything is mended.
    let post = open(8);
    assert_eq!(system::check(&post.open, &[]).unwrap(), 1);
    assert_eq!(kinds()[0], "backup-old station");
    drop(post);
    station.ok(&["backup", station.dir.path().join("backup").to_str().unwrap()]);
    std::fs::rename(station.data().join("c"), station.data().join("b")).unwrap();
    flip(&path, 3);
    station.ok(&["verify", "--all"]);
    let post = open(0);
    assert_eq!(system::check(&post.open, &[]).unwrap(), 3);
    assert_eq!(kinds(), [""; 0]);
    // Each was one alert all the time.
    let mut all: Vec<_> = list(&station, &["--all"]).iter().map(|a| a["kind"].to_string()).collect();
    all.retain(|kind| !kind.starts_with("\"rec"));
    all.sort();
    assert_eq!(all, ["\"backup-old\"", "\"verification-failed\"", "\"volume-missing\""]);
    drop(post);
    let text = station.ok(&["custody", "show", "station"]);
    assert!(text.contains("station.backed-up"), "{text}");
    station.ok(&["custody", "verify"]);
}

#[test]
fn two_cards_of_one_recorder_and_a_failing_channel_are_told() {
    let http = Http::new(vec![Answer::status(500)]);
    let hook = format!(
        "[[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n[[channel]]\nname = \"quiet\"\ntype = \"webhook\"\n\
         url = \"http://127.0.0.1:1/\"\nkinds = [\"channel-failing\"]\n",
        http.url("/")
    );
    let station = Station::with_config(&settings(&hook));
    let mut post = Post::open(&station);
    let docked = [("b".to_owned(), "recorder 7 is docked already, at /x/a".to_owned())];
    system::check(&post.open, &docked).unwrap();
    let one = list(&station, &[]).remove(0);
    assert_eq!((&one["kind"], &one["subject"]), (&"identity-duplicate".into(), &"recorder:7".into()));
    system::check(&post.open, &[]).unwrap();
    let id = one["id"].as_i64().unwrap();

    // A channel that fails is told on the others, and not on itself; given up after a day, it is shown.
    post.run();
    for n in 1..=docket::alert::outbox::TRIES {
        post.letter(id, "hook", "another try", |l| l.attempts >= n);
        system::check(&post.open, &[]).unwrap();
        post.pass(TimeDelta::minutes(61));
    }
    let dead = post.letter(id, "hook", "the end", |l| l.state == "dead");
    assert!(dead.error.unwrap().contains("status 500"));
    let failing = list(&station, &[]);
    let about: Vec<_> = failing.iter().map(|a| a["subject"].as_str().unwrap()).collect();
    assert!(about.contains(&"channel:hook"), "{failing:?}");
    let hook = failing.iter().find(|a| a["subject"] == "channel:hook").unwrap()["id"].as_i64().unwrap();
    let channels: Vec<_> = post.letters(hook).into_iter().map(|l| l.channel).collect();
    assert!(channels.contains(&"quiet".into()) && !channels.contains(&"hook".into()), "{channels:?}");
    let out = station.run(&["alerts", "outbox", "--json"]);
    assert_eq!(out.status.code(), Some(3));
    assert!(json_of(&out).as_array().unwrap().iter().any(|l| l["state"] == "dead"));
    let text = station.ok(&["alerts", "list", "--lang", "zh"]);
    assert!(text.contains("已放弃发送"), "{text}");
    // What was given up is in the alert's history.
    let show = station.ok(&["custody", "show", &format!("alert:{id}")]);
    assert!(show.contains("alert.untold"), "{show}");
    // By hand it is tried once more.
    drop(http);
    station.run(&["alerts", "outbox", "--again", "hook"]);
    let again = post.open.core.catalog.read(outbox::undelivered).unwrap();
    assert!(again.iter().all(|l| l.channel != "hook" || l.state == "waiting"), "{again:?}");
}

#[test]
fn a_person_gets_one_mail_for_what_waited() {
    let station = Station::bare("");
    let Some(server) = Mail::new(&station.data(), "none") else { return };
    let text = settings(&MAIL.replace("port = 1", &format!("port = {}", server.port)));
    std::fs::write(station.data().join("docket.toml"), text).unwrap();
    station.ok(&["init"]);
    let mut post = Post::open(&station);
    people(&post);
    // Before 09:00 the storage administrator is not disturbed, and the administrator wants 18:00.
    post.run();
    let ids = ["a", "b", "c"].map(|s| post.raise(&trouble(s), 0));
    post.resolve(Kind::BackupOld, "b");
    post.letter(ids[0], "journal", "the log has it", |l| l.state == "sent");
    assert_eq!(server.got(), Vec::<Value>::new());
    post.pass(TimeDelta::minutes(31));
    let mail = server.wait(1).remove(0);
    assert_eq!(mail["to"][0], "store@example.cn");
    assert_eq!(mail["subject"], "docket：3 条告警，首条：尚未做过备份");
    let body = mail["body"].as_str().unwrap();
    assert_eq!(body.matches("起始时间").count(), 3, "{body}");
    assert!(body.contains("[已解除]"), "{body}");
    // Somebody who left in between gets nothing.
    let by = post.open.core.by();
    let leave = move |tx: &Connection| {
        let old = officers::find(tx, "admin")?;
        officers::update(tx, &by, &old, &Officer { left: true, ..old.clone() }).map(drop)
    };
    post.open.core.catalog.write(leave).unwrap();
    post.pass(TimeDelta::hours(10));
    let dropped = |l: &outbox::Letter| l.recipient == "officer:admin" && l.state == "dropped";
    until("nobody to send to", || post.letters(ids[0]).iter().any(dropped).then_some(()));
    assert_eq!(server.got().len(), 1);
}

#[test]
fn a_daemon_tells_of_a_missing_volume_once_however_often_it_is_killed() {
    let http = Http::new(vec![Answer::status(200)]);
    let hook = format!("[[channel]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n", http.url("/"));
    let station = Station::with_config(&settings(&hook));
    std::fs::rename(station.archive(), station.data().join("away")).unwrap();
    let mut daemon = Daemon::start(&station);
    let first = http.wait(1).remove(0).json();
    let alert = &first["alerts"][0];
    assert_eq!((&alert["kind"], &alert["subject"]), (&"volume-missing".into(), &"volume:main".into()));
    until("it is sent", || {
        station.json(&["alerts", "outbox", "--json"]).as_array().unwrap().is_empty().then_some(())
    });
    expect_exit(&station.run(&["status"]), 3, &[]);
    daemon.signal(Signal::SIGKILL);
    daemon.ended();
    // The next one looks at everything once before it stops, and finds nothing new.
    Daemon::start(&station).stop();
    // With the volume back, the one thing left to tell is the end.
    std::fs::rename(station.data().join("away"), station.archive()).unwrap();
    let daemon = Daemon::start(&station);
    let told = http.wait(2);
    daemon.stop();
    let events: Vec<_> = told.iter().map(|r| r.json()["alerts"][0]["event"].to_string()).collect();
    assert_eq!(events, ["\"opened\"", "\"resolved\""]);
    assert_eq!(told[1].json()["alerts"][0]["id"], alert["id"]);
    assert_eq!(http.got().len(), 2);
}
