//! The two clocks of article 28 under a simulated clock: months in milliseconds, restarts, clock steps,
//! recorders that nobody has seen, cards carried away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use common::{content, put};
use docket::access::{Person, Role};
use docket::base::Cancel;
use docket::base::clock::{Clock, FixedClock, to_ms};
use docket::base::config::{Config, Source};
use docket::catalog::alerts::{self, Alert};
use docket::catalog::deadlines::{self, Deadline};
use docket::catalog::dockings::By;
use docket::catalog::ledger::{self, Issue};
use docket::catalog::officers::{self, Officer};
use docket::catalog::units::{self, Unit};
use docket::deadline::watch::Watch;
use docket::ingest::docking::{self, Request, Summary};
use docket::ingest::progress::Progress;
use docket::ingest::recover::recover;
use docket::ingest::station::Station;

/// A station whose clock the test sets.
struct World {
    station: common::Station,
    clock: Arc<FixedClock>,
    open: Station,
    watch: Watch,
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-{text}:00Z").parse().unwrap()
}

fn officer(badge: &str, unit: i64, role: Role) -> Officer {
    Officer {
        id: 0,
        badge: badge.into(),
        name: format!("警员{badge}"),
        unit,
        role,
        email: None,
        quiet: None,
        digest: None,
        left: false,
    }
}

impl World {
    fn new(now: &str) -> Self {
        Self::with(common::Station::new(), now)
    }

    fn with(station: common::Station, now: &str) -> Self {
        let clock = Arc::new(FixedClock(Mutex::new(at(now))));
        let (open, watch) = Self::start(&station, &clock);
        Self { station, clock, open, watch }
    }

    fn start(station: &common::Station, clock: &Arc<FixedClock>) -> (Station, Watch) {
        let config: Config = Source::Data(station.data()).load().unwrap();
        let watch = Watch::new(&config);
        let open = Station::open(config, Arc::clone(clock) as Arc<dyn Clock>, "daemon".into()).unwrap();
        recover(&open).unwrap();
        (open, watch)
    }

    /// The daemon ends and starts again.
    fn restart(self) -> Self {
        let Self { station, clock, open, watch } = self;
        drop((open, watch));
        let (open, watch) = Self::start(&station, &clock);
        let world = Self { station, clock, open, watch };
        world.watch.resume(&world.open.core.catalog, &|| world.open.core.by()).unwrap();
        world
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn set(&self, now: DateTime<Utc>) {
        *self.clock.0.lock().unwrap() = now;
    }

    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&docket::catalog::Connection, &By) -> docket::base::Result<T> + Send + 'static,
    ) -> T {
        let by = self.open.core.by();
        self.open.core.catalog.write(move |tx| change(tx, &by)).unwrap()
    }

    /// A unit with an officer; returns both numbers.
    fn people(&self, hours: Option<u32>) -> (i64, i64) {
        self.write(move |tx, by| {
            let unit =
                Unit {
                    code: "01".into(), name: "执法大队".into(), archive_hours: hours, ..Unit::default()
                };
            let unit = units::insert(tx, by, &unit)?;
            officers::insert(tx, by, &officer("0900", unit, Role::Head))?;
            Ok((unit, officers::insert(tx, by, &officer("0001", unit, Role::Officer))?))
        })
    }

    fn issue(&self, recorder: &str, officer: i64, at: DateTime<Utc>) -> i64 {
        let issue = Issue {
            id: 0,
            recorder: recorder.into(),
            officer,
            purpose: "现场检查".into(),
            issued_at: to_ms(at),
            issued: ledger::Condition::default(),
            returned_at: None,
            returned: ledger::Condition::default(),
            docking: None,
            note: String::new(),
            void: false,
        };
        self.write(move |tx, by| ledger::insert(tx, by, &issue))
    }

    /// Takes over what has changed and what time has done; returns when to look again.
    fn look(&self) -> Option<DateTime<Utc>> {
        let by = || self.open.core.by();
        self.watch.catch_up(&self.open.core.catalog, &by).unwrap();
        self.watch.pass_time(&self.open.core.catalog, &by).unwrap()
    }

    /// Lets time pass, waking only when there is something to do; returns how often that was.
    fn until(&self, end: DateTime<Utc>) -> u32 {
        let mut woken = 0;
        while let Some(next) = self.look().filter(|next| *next <= end) {
            assert!(next > self.now(), "it would wake at once, for ever");
            self.set(next);
            woken += 1;
        }
        self.set(end);
        self.look();
        woken
    }

    fn alerts(&self) -> Vec<Alert> {
        let mut list = self.open.core.catalog.read(|db| alerts::list(db, true)).unwrap();
        list.sort_by_key(|a| a.id);
        list
    }

    /// Kind, subject's kind, state and level of every alert, the oldest first.
    fn told(&self) -> Vec<(String, String, u32)> {
        self.alerts().into_iter().map(|a| (a.kind, a.state, a.level)).collect()
    }

    fn deadline(&self, subject: &str) -> Deadline {
        self.open.core.catalog.read(|db| deadlines::get(db, subject)).unwrap().unwrap()
    }

    fn request(card: &Path) -> Request {
        Request { dock: "test".into(), path: card.to_owned(), recorder: None, wait_for_room: false }
    }

    fn dock(&self, card: &Path) -> Summary {
        docking::run(&self.open, Self::request(card), Arc::new(Progress::default()), &Cancel::new()).unwrap()
    }

    /// Docks a card and takes it out as soon as reading has begun.
    fn dock_and_run_away(&self, card: &Path) {
        let cancel = Cancel::new();
        let progress = Arc::new(Progress::default());
        std::thread::scope(|scope| {
            let stay =
                scope.spawn(|| docking::run(&self.open, Self::request(card), Arc::clone(&progress), &cancel));
            while progress.snapshot().bytes_read == 0 && !stay.is_finished() {
                std::thread::yield_now();
            }
            cancel.cancel();
            stay.join().unwrap().unwrap_err();
        });
    }

    fn custody(&self, action: &str) -> usize {
        let db = self.station.db();
        let sql = "SELECT count(*) FROM custody WHERE json_extract(CAST(entry AS TEXT), '$.action') = ?1";
        db.query_row(sql, [action], |r| r.get::<_, i64>(0)).unwrap() as usize
    }
}

fn stamp(path: &Path, at: DateTime<Utc>) {
    std::fs::File::options().append(true).open(path).unwrap().set_modified(at.into()).unwrap();
}

fn told<const N: usize>(list: [(&str, &str, u32); N]) -> Vec<(String, String, u32)> {
    list.map(|(kind, state, level)| (kind.to_owned(), state.to_owned(), level)).to_vec()
}

#[test]
fn a_recorder_that_stays_out_is_told_of_day_by_day_for_months() {
    let world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    world.issue("REC01", officer, at("03-01T00:00"));
    world.until(at("03-01T19:59"));
    assert_eq!(world.told(), []);
    world.until(at("03-01T20:00"));
    assert_eq!(world.told(), told([("recorder-due-soon", "open", 0)]));
    world.until(at("03-02T00:01"));
    let both = [("recorder-due-soon", "resolved", 0), ("recorder-not-docked", "open", 1)];
    assert_eq!(world.told(), told(both));
    let woken = world.until(at("06-01T00:01"));
    assert_eq!(woken, 91, "once a day");
    let both = [("recorder-due-soon", "resolved", 0), ("recorder-not-docked", "open", 92)];
    assert_eq!(world.told(), told(both));
    let alert = &world.alerts()[1];
    assert_eq!((alert.subject.as_str(), alert.officer), ("recorder:REC01", Some(officer)));
    // It comes back empty: what was assumed is over.
    let card = world.station.card("REC01");
    world.dock(&card);
    world.look();
    assert_eq!(world.told()[1], ("recorder-not-docked".into(), "resolved".into(), 92));
    assert_eq!(world.deadline("recorder:REC01").state, "met");
    assert_eq!(world.custody("alert.opened"), 2);
    assert_eq!(world.custody("alert.resolved"), 2);
}

#[test]
fn a_recorder_returned_by_hand_is_not_believed_empty() {
    let world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    let id = world.issue("REC01", officer, at("03-01T00:00"));
    world.set(at("03-01T10:00"));
    world.write(move |tx, by| {
        let old = ledger::get(tx, id)?.unwrap();
        ledger::finish(tx, by, &Issue { returned_at: Some(to_ms(by.at)), ..old })
    });
    world.until(at("03-02T00:01"));
    assert_eq!(world.told()[1], ("recorder-not-docked".into(), "open".into(), 1));
    let reason = world.deadline("recorder:REC01").reason;
    assert!(reason.contains("by hand"), "{reason}");
}

/// Neither a return by hand nor a new issue takes footage off a card: an officer cannot silence the clock.
#[test]
fn an_issue_after_a_return_by_hand_starts_no_new_clock() {
    let world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    let id = world.issue("REC01", officer, at("03-01T00:00"));
    world.set(at("03-02T10:00"));
    world.write(move |tx, by| {
        let old = ledger::get(tx, id)?.unwrap();
        ledger::finish(tx, by, &Issue { returned_at: Some(to_ms(by.at)), ..old })
    });
    world.issue("REC01", officer, at("03-02T10:00"));
    world.look();
    assert_eq!(world.told(), told([("recorder-not-docked", "open", 1)]));
    assert_eq!(world.deadline("recorder:REC01").latest, to_ms(at("03-02T00:00")));
}

/// An issue empties no card: older footage keeps its own time, its lateness, and who had it then.
#[test]
fn footage_older_than_the_last_issue_keeps_its_time_and_its_officer() {
    let world = World::new("03-01T08:00");
    let (unit, first) = world.people(None);
    let second = world.write(move |tx, by| officers::insert(tx, by, &officer("0002", unit, Role::Officer)));
    let id = world.issue("REC01", first, at("03-01T08:00"));
    world.set(at("03-03T10:00"));
    world.write(move |tx, by| {
        let old = ledger::get(tx, id)?.unwrap();
        ledger::finish(tx, by, &Issue { returned_at: Some(to_ms(by.at)), ..old })
    });
    world.issue("REC01", second, at("03-03T10:00"));
    let card = world.station.card("REC01");
    put(card.join("v.mp4"), &content(1, 4000));
    stamp(&card.join("v.mp4"), at("03-01T15:00"));
    world.set(at("03-03T15:00"));
    world.dock(&card);
    world.look();
    let list = world.station.json(&["recordings", "--json"]);
    assert_eq!(list[0]["deadline"], "2026-03-02T15:00:00.000Z", "{list:#}");
    assert_eq!((&list[0]["late_by_seconds"], &list[0]["officer"]), (&86_400.into(), &"0001".into()));
}

/// The daemon was gone while the card was taken, used and brought back: what it shows is believed.
#[test]
fn a_stay_cut_off_with_the_daemon_is_safe_no_longer_than_it_looked() {
    let world = World::new("03-01T08:00");
    let card = world.station.card("REC01");
    put(card.join("v.mp4"), &content(1, 4000));
    stamp(&card.join("v.mp4"), at("03-01T07:00"));
    let progress = Arc::new(Progress::default());
    let mut docking =
        docking::Docking::begin(&world.open, World::request(&card), progress, &Cancel::new()).unwrap();
    docking.look_and_copy().unwrap();
    // Killed: nobody closes the stay.
    drop(docking);
    world.set(at("03-02T08:00"));
    let world = world.restart();
    put(card.join("w.mp4"), &content(2, 4000));
    stamp(&card.join("w.mp4"), at("03-01T20:00"));
    world.dock(&card);
    world.look();
    let list = world.station.json(&["recordings", "--json"]);
    let new = list.as_array().unwrap().iter().find(|r| r["source_path"] == "w.mp4").unwrap();
    assert_eq!(new["deadline"], "2026-03-02T20:00:00.000Z", "{new:#}");
}

/// Entering or mending the ledger afterwards reaches what is archived already, and the log keeps both.
#[test]
fn a_ledger_put_right_says_who_was_late() {
    let world = World::new("03-03T08:00");
    let (unit, first) = world.people(None);
    let second = world.write(move |tx, by| officers::insert(tx, by, &officer("0002", unit, Role::Officer)));
    let card = world.station.card("REC01");
    put(card.join("v.mp4"), &content(1, 4000));
    stamp(&card.join("v.mp4"), at("03-01T15:00"));
    world.dock(&card);
    world.look();
    let officer_of = || world.station.json(&["recordings", "--json"])[0]["officer"].clone();
    assert_eq!(officer_of(), serde_json::Value::Null);
    let id = world.issue("REC01", first, at("03-01T08:00"));
    world.look();
    assert_eq!(officer_of(), "0001");
    world.write(move |tx, by| {
        let old = ledger::get(tx, id)?.unwrap();
        ledger::correct(
            tx,
            by,
            &old,
            &Issue { officer: second, ..old.clone() },
            "entered for the wrong officer",
        )
    });
    world.look();
    assert_eq!(officer_of(), "0002");
    assert_eq!(world.custody("recording.late"), 3);
}

#[test]
fn what_changed_while_the_daemon_was_stopped_holds_from_its_start() {
    let world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    world.issue("REC01", officer, at("03-01T00:00"));
    world.set(at("03-01T10:00"));
    world.look();
    assert_eq!(world.told(), []);
    // A limit of the settings.
    let file = world.station.data().join("docket.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[deadlines]\narchive_hours = 5\n")).unwrap();
    let world = world.restart();
    world.look();
    assert_eq!(world.told(), told([("recorder-not-docked", "open", 1)]));
    // The clock, which was ahead.
    world.set(at("03-01T02:00"));
    let world = world.restart();
    assert_eq!(
        world.told(),
        told([("recorder-not-docked", "resolved", 1), ("recorder-due-soon", "open", 0)])
    );
}

#[test]
fn a_card_of_many_late_files_is_told_of_once() {
    let world = World::new("03-03T08:00");
    world.people(None);
    let card = world.station.card("REC01");
    for i in 0..40 {
        let path = card.join(format!("v{i:02}.mp4"));
        put(&path, &content(i, 4000));
        stamp(&path, at("03-01T15:00"));
    }
    world.dock(&card);
    world.look();
    assert_eq!(world.custody("recording.late"), 40);
    let list = world.alerts();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!((list[0].subject.as_str(), list[0].state.as_str()), ("recorder:REC01", "resolved"));
}

/// A station whose clock was a year ahead for a moment calls nobody late for it.
#[test]
fn lateness_by_a_clock_that_was_wrong_is_taken_back() {
    let world = World::new("03-01T08:00");
    let card = world.station.card("REC01");
    put(card.join("v.mp4"), &content(1, 4000));
    stamp(&card.join("v.mp4"), at("03-01T07:00"));
    world.set(at("03-01T08:00") + TimeDelta::days(400));
    world.dock(&card);
    world.look();
    assert_eq!(world.custody("recording.late"), 1);
    world.set(at("03-01T08:01"));
    world.watch.after_clock_step(&world.open.core.catalog, &|| world.open.core.by()).unwrap();
    assert_eq!(world.custody("recording.not-late"), 1);
    assert_eq!(world.station.json(&["recordings", "--json"])[0]["late_by_seconds"], 0);
}

#[test]
fn a_restart_forgets_and_doubles_nothing() {
    let mut world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    world.issue("REC01", officer, at("03-01T00:00"));
    for hour in 1..60 {
        world.set(at("03-01T00:00") + TimeDelta::hours(hour));
        world = world.restart();
        world.look();
        world.look();
    }
    let both = [("recorder-due-soon", "resolved", 0), ("recorder-not-docked", "open", 2)];
    assert_eq!(world.told(), told(both));
    assert_eq!(world.custody("alert.escalated"), 1);
}

#[test]
fn a_clock_that_was_set_ahead_and_back_leaves_no_false_alarm_standing() {
    let world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    world.issue("REC01", officer, at("03-01T00:00"));
    world.look();
    let by = || world.open.core.by();
    let step = |hours| {
        world.set(world.now() + TimeDelta::hours(hours));
        world.watch.after_clock_step(&world.open.core.catalog, &by).unwrap();
    };
    step(25);
    assert_eq!(world.told(), told([("recorder-not-docked", "open", 1)]));
    step(-25);
    assert_eq!(world.told(), told([("recorder-not-docked", "resolved", 1)]));
    assert_eq!(world.alerts()[0].resolution.as_deref(), Some("there is time again"));
    // And it is told of again when the time has really come.
    world.until(at("03-02T00:01"));
    assert_eq!(world.told()[2], ("recorder-not-docked".into(), "open".into(), 1));
}

#[test]
fn a_card_carried_away_too_early_is_overdue_until_it_comes_back() {
    let world = World::new("03-02T08:00");
    let (_, officer) = world.people(None);
    world.issue("REC01", officer, at("03-01T23:00"));
    let card = world.station.card("REC01");
    put(card.join("long.mp4"), &content(1, 24 << 20));
    stamp(&card.join("long.mp4"), at("03-02T07:00"));
    world.dock_and_run_away(&card);
    world.until(at("03-03T07:01"));
    let list = world.alerts();
    let overdue = list.iter().find(|a| a.kind == "recording-overdue").expect("it is overdue");
    assert_eq!((overdue.state.as_str(), overdue.officer), ("open", Some(officer)));
    assert!(
        overdue.message.contains("long.mp4") && overdue.message.contains("警员0001"),
        "{}",
        overdue.message
    );
    // One alarm for one card: what is known of it is told, not assumed beside it.
    assert!(!list.iter().any(|a| a.kind == "recorder-not-docked"), "{list:?}");
    world.set(at("03-03T09:00"));
    assert_eq!(world.dock(&card).counts.archived, 1);
    world.look();
    assert!(world.alerts().iter().all(|a| a.state == "resolved"), "{:?}", world.alerts());
    let id = overdue.subject.strip_prefix("recording:").unwrap();
    let kept = world.deadline(&overdue.subject);
    assert_eq!((kept.state.as_str(), kept.late_by), ("late", Some(2 * 3_600_000)));
    assert_eq!(world.custody("recording.late"), 1);
    let list = world.station.json(&["recordings", "--json"]);
    assert_eq!((&list[0]["id"], &list[0]["late_by_seconds"]), (&id.into(), &7200.into()));
    assert_eq!(
        (&list[0]["officer"], &list[0]["deadline"]),
        (&"0001".into(), &"2026-03-03T07:00:00.000Z".into())
    );
}

#[test]
fn nobody_is_called_late_for_a_clock_that_was_reset() {
    let world = World::new("03-02T08:00");
    let (_, officer) = world.people(None);
    let card = world.station.card("REC01");
    world.dock(&card);
    world.issue("REC01", officer, at("03-02T09:00"));
    put(card.join("v.mp4"), &content(1, 4000));
    stamp(&card.join("v.mp4"), "1980-01-01T00:00:00Z".parse().unwrap());
    // Docked 30 hours later: by its earliest bound it is overdue, by its latest it is not.
    world.set(at("03-03T15:00"));
    world.dock(&card);
    world.look();
    let list = world.station.json(&["recordings", "--json"]);
    assert_eq!(list[0]["deadline_earliest"], "2026-03-03T09:00:00.000Z");
    assert_eq!(list[0]["deadline"], "2026-03-04T15:00:00.000Z");
    assert_eq!(list[0]["late_by_seconds"], 0);
    let reason = list[0]["deadline_reason"].as_str().unwrap();
    assert!(reason.contains("not credible") && reason.contains("issue"), "{reason}");
    assert_eq!(world.custody("recording.late"), 0);
}

#[test]
fn a_unit_has_limits_of_its_own() {
    let world = World::new("03-01T00:00");
    let (unit, officer) = world.people(Some(48));
    world.issue("REC01", officer, at("03-01T00:00"));
    world.until(at("03-02T12:00"));
    assert_eq!(world.told(), []);
    // A limit made shorter holds at once.
    world.write(move |tx, by| {
        let old = units::get(tx, unit)?.unwrap();
        units::update(tx, by, &old, &Unit { archive_hours: Some(24), ..old.clone() })
    });
    world.look();
    assert_eq!(world.told(), told([("recorder-not-docked", "open", 1)]));
}

#[test]
fn a_case_is_due_30_days_after_its_act() {
    let world = World::new("03-01T00:00");
    let (_, officer) = world.people(None);
    let checklists = docket::cases::checklist::Checklists::with(None).unwrap();
    let who = Person::administrator("command:test".into());
    let now = world.now();
    let number = world.write(move |tx, _| {
        let new = docket::cases::case::New {
            number: "岳屈自然资罚〔2026〕12号".into(),
            kind: "penalty".into(),
            title: "非法占地".into(),
            unit: Some("01".into()),
            officers: vec!["0001".into()],
            ..Default::default()
        };
        let case = docket::cases::case::open(tx, &who, now, &checklists, &new)?;
        docket::cases::case::end(tx, &who, now, &case.number, Some(now), "")?;
        Ok(case.number)
    });
    world.until(at("03-25T00:00"));
    assert_eq!(world.told(), []);
    world.until(at("03-28T00:00"));
    assert_eq!(world.told(), told([("case-due-soon", "open", 0)]));
    assert_eq!(world.alerts()[0].officer, Some(officer));
    world.until(at("04-02T00:00"));
    assert_eq!(world.told()[1].0, "case-overdue");
    let deadline = world.deadline(&format!("case:{number}"));
    assert!(deadline.reason.contains("day 30"), "{}", deadline.reason);
}

#[test]
fn late_archiving_by_a_command_is_on_record_at_once() {
    let station = common::Station::new();
    let card = station.card("REC01");
    put(card.join("v.mp4"), &content(1, 4000));
    stamp(&card.join("v.mp4"), Utc::now() - TimeDelta::hours(30));
    put(card.join("w.mp4"), &content(2, 4000));
    stamp(&card.join("w.mp4"), Utc::now() - TimeDelta::hours(2));
    station.ok(&["ingest", card.to_str().unwrap()]);
    let list = station.json(&["recordings", "--json"]);
    let late = |name: &str| {
        let r = list.as_array().unwrap().iter().find(|r| r["source_path"] == name).unwrap();
        r["late_by_seconds"].as_u64().unwrap()
    };
    assert!((6 * 3600..6 * 3600 + 120).contains(&late("v.mp4")), "{list}");
    assert_eq!(late("w.mp4"), 0);
    let alerts = station.json(&["alerts", "list", "--all", "--json"]);
    let overdue: Vec<_> =
        alerts.as_array().unwrap().iter().filter(|a| a["kind"] == "recording-overdue").collect();
    assert_eq!(overdue.len(), 1, "{alerts}");
    assert_eq!(overdue[0]["state"], "resolved");
    let deadlines = station.json(&["deadlines", "--json"]);
    assert_eq!(deadlines.as_array().unwrap().len(), 1, "{deadlines}");
    assert_eq!(deadlines[0]["state"], "late");
    // Another zone changes what is shown, not what is so.
    let out = station.command(&["recordings", "--json"]).env("TZ", "America/New_York").output().unwrap();
    let again: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(again[0]["deadline"], list[0]["deadline"]);
}

/// With the policy on, footage of an officer of the case within a step's time is linked by a rule, and
/// marked so; with it off nothing is.
#[test]
fn rules_link_by_themselves_only_where_the_policy_says_so() {
    for on in [false, true] {
        let station = common::Station::with(&format!("[cases]\nlink_by_itself = {on}\n"));
        let hours_ago = |h| (Utc::now() - TimeDelta::hours(h)).to_rfc3339();
        for args in [
            &["units", "add", "01", "--name", "执法大队"][..],
            &["officers", "add", "0001", "--name", "李明", "--unit", "01"],
            &["recorders", "add", "REC01", "--unit", "01"],
            &[
                "cases",
                "open",
                "罚1号",
                "--kind",
                "penalty",
                "--title",
                "占地",
                "--unit",
                "01",
                "--officer",
                "0001",
            ],
        ] {
            station.ok(args);
        }
        let taken = hours_ago(5);
        station.ok(&["ledger", "issue", "REC01", "--officer", "0001", "--purpose", "检查", "--at", &taken]);
        let (from, to) = (hours_ago(4), hours_ago(2));
        station.ok(&["cases", "step", "罚1号", "site-inspection", "--from", &from, "--to", &to]);
        let card = station.card("REC01");
        // A picture takes no time, and its name tells when it was taken: nothing is left in doubt.
        let taken = Utc::now() - TimeDelta::hours(3);
        let local = taken + TimeDelta::hours(8);
        let name = format!("DCAM_REC01_000001_{}.jpg", local.format("%Y%m%d_%H%M%S"));
        put(card.join("DCIM").join(&name), &content(1, 4000));
        stamp(&card.join("DCIM").join(&name), taken);
        station.ok(&["ingest", card.to_str().unwrap()]);
        let case = station.json(&["cases", "show", "罚1号", "--json"]);
        let links: Vec<_> = case["steps"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|s| s["links"].as_array().unwrap().clone())
            .collect();
        assert_eq!(links.len(), usize::from(on), "{case:#}");
        assert!(links.iter().all(|l| l["automatic"] == true), "{case:#}");
    }
}
