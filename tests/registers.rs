//! Registers, ledger and their files, as an administrator uses them: through the program itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::daemon::{Daemon, dock, wait_for_docking};
use common::tools::{expect_exit, json_of, texts};
use common::{Station, check_custody, content, put};
use serde_json::{Value, json};

/// A station with a unit, an officer 1001, a head 1002 and the recorder R1.
fn staffed() -> Station {
    let station = Station::new();
    station.ok(&["units", "add", "U", "--name", "执法一队"]);
    station.ok(&["units", "add", "V", "--name", "执法二队", "--parent", "U"]);
    station.ok(&["officers", "add", "1001", "--name", "张三", "--unit", "U"]);
    station.ok(&["officers", "add", "1002", "--name", "李四", "--unit", "执法一队", "--role", "head"]);
    station.ok(&["recorders", "add", "R1", "--model", "DSJ-V8", "--unit", "U"]);
    station
}

fn file(station: &Station, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = station.dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The custody log's length and head: a state that any change moves on.
fn head(station: &Station) -> Value {
    station.json(&["custody", "verify", "--json"])
}

fn list(station: &Station, register: &str) -> Value {
    station.json(&[register, "list", "--json"])
}

fn history(station: &Station, object: &str) -> Vec<Value> {
    let entries = station.json(&["custody", "show", object, "--json"]);
    entries.as_array().unwrap().iter().map(|e| e["entry"].clone()).collect()
}

fn actions(station: &Station, object: &str) -> Vec<String> {
    history(station, object).iter().map(|e| e["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_change_has_its_custody_entry_and_none_is_written_twice() {
    let station = staffed();
    station.ok(&["officers", "set", "1001", "--email", "z@example.cn", "--quiet", "22:00-7:00"]);
    let entry = history(&station, "officer:1001").pop().unwrap();
    assert_eq!(entry["action"], "officer.changed");
    assert_eq!(
        entry["details"],
        json!({ "email": "z@example.cn", "old_email": null, "quiet": "22:00-07:00", "old_quiet": null })
    );
    let before = head(&station);
    let again = station.json(&["officers", "set", "1001", "--quiet", "22:00-07:00", "--json"]);
    assert_eq!(again["done"], "unchanged");
    assert_eq!(head(&station), before);
    station.ok(&["officers", "set", "1001", "--leave"]);
    station.ok(&["recorders", "set", "R1", "--state", "retired"]);
    station.ok(&["units", "set", "V", "--close"]);
    assert_eq!(actions(&station, "officer:1001"), ["officer.added", "officer.changed", "officer.left"]);
    assert_eq!(actions(&station, "recorder:R1"), ["recorder.added", "recorder.retired"]);
    assert_eq!(actions(&station, "unit:V"), ["unit.added", "unit.closed"]);
    assert_eq!(list(&station, "officers")[0]["left"], true);
    check_custody(&station.db());
}

#[test]
fn what_cannot_be_is_refused_with_advice_and_changes_nothing() {
    let station = staffed();
    station.ok(&["ledger", "issue", "R1", "--officer", "1001", "--purpose", "检查"]);
    let before = head(&station);
    let cases: [(&[&str], &[&str]); 15] = [
        (&["units", "add", "U", "--name", "x"], &["registered already", "units set"]),
        (&["units", "set", "X", "--name", "x"], &["no unit has the code `X`", "next:"]),
        (&["units", "set", "U", "--parent", "V"], &["would stand above itself"]),
        (&["units", "set", "U", "--close"], &["2 officers, 1 recorders and 1 units", "next:"]),
        (&["officers", "add", "1001", "--name", "王五", "--unit", "U"], &["belongs to 张三", "next:"]),
        (&["officers", "add", "1003", "--name", "王五"], &["needs a name and a unit", "next:"]),
        (&["officers", "set", "1001", "--leave"], &["still holds recorder R1", "ledger return R1"]),
        (&["officers", "add", "１", "--name", "n", "--unit", "U"], &["full-width", "half-width"]),
        (&["recorders", "set", "R1", "--officer", "9"], &["no officer has the badge `9`", "next:"]),
        (&["recorders", "set", "R1", "--state", "retired"], &["张三 still holds it", "ledger return"]),
        (
            &["ledger", "issue", "R1", "--officer", "1002", "--purpose", "x"],
            &["R1 is out: 张三", "return R1"],
        ),
        (&["ledger", "issue", "R9", "--officer", "1002", "--purpose", "x"], &["never docked", "add R9"]),
        (
            &["ledger", "issue", "R1", "--officer", "1002", "--purpose", "x", "--at", "2999-01-01 00:00"],
            &["has not come yet", "next:"],
        ),
        (&["ledger", "return", "R1", "--at", "2020-01-01 00:00"], &["cannot come back", "taken only at"]),
        (&["ledger", "return", "R2"], &["not out", "list --open"]),
    ];
    for (args, words) in cases {
        expect_exit(&station.run(args), 1, words);
    }
    for badge in ["1001", "1002"] {
        let args = ["units", "add", "W", "--name", "w", "--as", badge];
        expect_exit(&station.run(&args), 1, &["may not do this: change the registers", "admin"]);
    }
    assert_eq!(head(&station), before);
    for state in ["broken", "retired"] {
        station.ok(&["recorders", "add", state, "--state", state]);
        let args = ["ledger", "issue", state, "--officer", "1001", "--purpose", "x"];
        expect_exit(&station.run(&args), 1, &[state, "cannot be issued", "--state in-service"]);
    }
    station.ok(&["ledger", "return", "R1"]);
    station.ok(&["officers", "set", "1001", "--leave"]);
    let args = ["ledger", "issue", "R1", "--officer", "1001", "--purpose", "x"];
    expect_exit(&station.run(&args), 1, &["has left"]);
    expect_exit(&station.run(&["units", "list", "--as", "1001"]), 1, &["has left"]);
}

#[test]
fn the_ledger_keeps_who_took_what_in_which_condition() {
    let station = staffed();
    let issued = station.json(&[
        "ledger",
        "issue",
        "R1",
        "--officer",
        "1001",
        "--purpose",
        "现场检查",
        "--at",
        "2026-01-05 08:30",
        "--battery",
        "98",
        "--free",
        "2 GiB",
        "--clock-offset",
        "-1.5",
        "--json",
        "--as",
        "1001",
    ]);
    assert_eq!(issued["issued_at"], "2026-01-05T00:30:00.000Z");
    assert_eq!(
        (&issued["issued_battery"], &issued["issued_free"], &issued["issued_clock_seconds"]),
        (&98.into(), &(2_i64 << 30).into(), &(-1.5).into())
    );
    let shown = &list(&station, "recorders")[0];
    assert_eq!((&shown["issued"]["officer"], &shown["first_seen_at"]), (&"1001".into(), &Value::Null));
    let entry = history(&station, "issue:1").pop().unwrap();
    assert_eq!(
        (&entry["action"], &entry["details"]["issued_clock_ms"]),
        (&"issue.made".into(), &(-1500).into())
    );
    assert!(entry["actor"].as_str().unwrap().starts_with("officer:1001 via command:"), "{entry}");
    station.ok(&["ledger", "return", "R1", "--at", "2026-01-05T18:00:00+08:00", "--battery", "12"]);
    station.ok(&["ledger", "correct", "1", "--officer", "1002", "--why", "登记错误"]);
    let fixed = history(&station, "issue:1").pop().unwrap();
    assert_eq!(fixed["details"], json!({ "officer": "1002", "old_officer": "1001", "why": "登记错误" }));
    let held = &station.json(&["ledger", "list", "--officer", "1002", "--json"])[0];
    assert_eq!(
        (&held["returned_battery"], &held["returned_at"]),
        (&12.into(), &"2026-01-05T10:00:00.000Z".into())
    );
    station.ok(&["ledger", "void", "1", "--why", "误登"]);
    assert_eq!(list(&station, "ledger"), json!([]));
    let kept = &station.json(&["ledger", "list", "--void", "--json"])[0];
    assert_eq!((&kept["id"], &kept["void"]), (&1.into(), &true.into()));
    assert_eq!(actions(&station, "issue:1").last().unwrap(), "issue.voided");
    check_custody(&station.db());
}

#[test]
fn docking_returns_what_was_out() {
    let station = staffed();
    let card = station.card("R1");
    put(card.join("a.mp4"), &content(1, 5000));
    station.ok(&["ledger", "issue", "R1", "--officer", "1001", "--purpose", "检查"]);
    station.ok(&["ingest", card.to_str().unwrap()]);
    let entry = &list(&station, "ledger")[0];
    let docking = &station.json(&["status", "--json"])["dockings"][0];
    assert_eq!(entry["docking"], docking["id"]);
    assert_eq!(entry["returned_at"], docking["started_at"]);
    // In one transaction: nothing lies between the two in the log.
    let log = station.json(&["custody", "show", "--last", "1000", "--json"]);
    let actions = texts_of(&log);
    let begun = actions.iter().position(|a| a == "docking.begun").unwrap();
    assert_eq!(actions[begun + 1], "issue.returned");
    // Docked again without having been issued: nothing to return.
    let before = actions.iter().filter(|a| a.starts_with("issue.")).count();
    put(card.join("b.mp4"), &content(2, 5000));
    station.ok(&["ingest", card.to_str().unwrap()]);
    let after = texts_of(&station.json(&["custody", "show", "--last", "1000", "--json"]));
    assert_eq!(after.iter().filter(|a| a.starts_with("issue.")).count(), before);
    // A recorder that was only seen can be issued; one that came back since is entered as back.
    put(station.card("R2").join("c.mp4"), &content(3, 5000));
    station.ok(&["ingest", station.card("R2").to_str().unwrap()]);
    let late = station.json(&[
        "ledger",
        "issue",
        "R2",
        "--officer",
        "1001",
        "--purpose",
        "补登",
        "--at",
        "2026-01-05 08:30",
        "--json",
    ]);
    assert_eq!(late["docking"], 3);
    assert_eq!(station.json(&["ledger", "list", "--open", "--json"]), json!([]));
    let seen = list(&station, "recorders");
    assert_eq!(
        (&seen[1]["id"], &seen[1]["registered"], &seen[1]["last_docking"]),
        (&"R2".into(), &false.into(), &3.into())
    );
    assert_eq!(station.check().hashes.len(), 3);
}

fn texts_of(log: &Value) -> Vec<String> {
    log.as_array().unwrap().iter().map(|e| e["entry"]["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_ledger_is_kept_beside_a_running_daemon() {
    let station = staffed();
    let daemon = Daemon::start(&station);
    station.ok(&["ledger", "issue", "R1", "--officer", "1001", "--purpose", "检查"]);
    let card = station.card("R1");
    put(card.join("a.mp4"), &content(1, 5000));
    dock(&station, &card);
    wait_for_docking(&station, "R1", "safe");
    assert_eq!(list(&station, "ledger")[0]["docking"], 1);
    daemon.stop();
    check_custody(&station.db());
}

#[test]
fn a_ledger_that_cannot_take_it_stops_no_docking() {
    let station = staffed();
    let card = station.card("R1");
    put(card.join("a.mp4"), &content(1, 5000));
    station.ok(&["ledger", "issue", "R1", "--officer", "1001", "--purpose", "检查"]);
    let db = rusqlite::Connection::open(station.data().join("catalog.sqlite")).unwrap();
    db.execute_batch("CREATE TRIGGER no BEFORE UPDATE ON issue BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    drop(db);
    let done = station.json(&["ingest", card.to_str().unwrap(), "--json"]);
    assert_eq!(done["archived"], 1);
    assert_eq!(station.json(&["ledger", "list", "--open", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(station.check().hashes.len(), 1);
}

#[test]
fn a_file_is_imported_whole_or_not_at_all() {
    let station = staffed();
    let bad = "姓名,执法证号,单位,角色,邮箱,颜色\n张三,1001,执法一队,执法人员,,\n赵六,1005,无此单位,老板,a@b,\n\
               孙七,1005,U,审核人,,\n周八,4.3E+17,U,,,\n\"吴\n九\",1008,U,,,\n郑十,1009\n";
    let before = head(&station);
    let wanted = [
        (1, "颜色", "no such column"),
        (3, "单位", "no unit has the code `无此单位`"),
        (3, "角色", "`老板` is no role"),
        (3, "邮箱", "`a@b` is no mail address"),
        (4, "", "the badge 1005 stands in line 3 already"),
        (5, "执法证号", "`4.3E+17` is a number that a spreadsheet has rounded"),
        (6, "姓名", "`吴\\x0a九` goes over several lines"),
        (8, "", "2 fields, where the first line names 6"),
    ];
    let gbk = encoding_rs::GB18030.encode(bad).0.into_owned();
    for (bytes, encoding) in [(bad.as_bytes().to_vec(), "utf-8"), (gbk, "gb18030")] {
        let path = file(&station, "officers.csv", bytes);
        let dry = station.run(&["officers", "import", &path, "--dry-run", "--json"]);
        expect_exit(&dry, 3, &[]);
        let report = json_of(&dry);
        let found: Vec<_> = report["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                (
                    p["line"].as_i64().unwrap(),
                    p["column"].as_str().unwrap_or(""),
                    p["problem"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(found, wanted);
        assert_eq!((&report["encoding"], &report["written"]), (&encoding.into(), &false.into()));
        let out = station.run(&["officers", "import", &path]);
        let said: Vec<&str> = wanted.iter().map(|(.., what)| *what).collect();
        expect_exit(&out, 1, &said);
        expect_exit(&out, 1, &["8 problems in", "nothing was written", "next:"]);
    }
    assert_eq!(head(&station), before);
    let good = "姓名,执法证号,单位,角色\n张三丰,1001,执法一队,\n吴九,1007,V,法规监督\n";
    let path = file(&station, "good.csv", good);
    // A known badge with another name is more often a mistake than a marriage.
    expect_exit(&station.run(&["officers", "import", &path]), 1, &["the badge 1001 belongs to 张三; "]);
    let dry = station.json(&["officers", "import", &path, "--dry-run", "--json", "--allow-rename"]);
    assert_eq!(dry["new"], json!([{ "line": 3, "key": "1007" }]));
    assert_eq!(dry["changes"][0]["changes"], json!({ "name": "张三丰", "old_name": "张三" }));
    assert_eq!(head(&station), before);
    let first = station.json(&["officers", "import", &path, "--json", "--allow-rename"]);
    assert_eq!((&first["added"], &first["changed"], &first["written"]), (&1.into(), &1.into(), &true.into()));
    let after = head(&station);
    let second = station.json(&["officers", "import", &path, "--json"]);
    assert_eq!(
        (&second["unchanged"], &second["added"], &second["changed"]),
        (&2.into(), &0.into(), &0.into())
    );
    assert_eq!(head(&station), after);
    assert_eq!(list(&station, "officers")[2]["role"], "supervisor");
    let refused = station.run(&["officers", "import", &path, "--as", "1007"]);
    expect_exit(&refused, 1, &["may not do this"]);
}

#[test]
fn a_file_that_is_no_table_is_refused() {
    let station = staffed();
    let files: [(&[u8], &str); 5] = [
        (b"", "the file is empty"),
        (b"PK\x03\x04\xff\xff\x80", "neither UTF-8 nor GBK"),
        (b"\xff\xfec\0o\0", "UTF-16"),
        (b"badge;name;unit\n1;2;3\n", "separated by commas"),
        (b"badge,name\n1,2\n", "no column `unit` (单位编码)"),
    ];
    for (bytes, words) in files {
        let path = file(&station, "x.csv", bytes);
        expect_exit(&station.run(&["officers", "import", &path]), 1, &[words]);
    }
    expect_exit(&station.run(&["units", "import", "/nowhere.csv"]), 1, &["cannot read /nowhere.csv"]);
}

#[test]
fn a_rehearsal_shows_every_problem_of_a_line() {
    let station = staffed();
    let path = file(
        &station,
        "u.csv",
        "code,name,parent,archive_hours,case_days\nA,a,,0,-5\nB,b,,999999999999,x\nB,c,nowhere,,\nC,c\n",
    );
    let dry = station.run(&["units", "import", &path, "--dry-run"]);
    expect_exit(&dry, 3, &[]);
    let said = String::from_utf8_lossy(&dry.stdout).into_owned();
    for part in [
        "line 2, column `archive_hours`: 0 is no limit: it lies between 1 and 8784",
        "line 2, column `case_days`: -5 is no limit: it lies between 1 and 3660",
        "line 3, column `archive_hours`: 999999999999 is no limit",
        "line 3, column `case_days`: `x` is no whole number",
        "line 4: the code B stands in line 3 already",
        "line 4, column `parent`: no unit has the code `nowhere`",
        "4 lines, ",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}

#[test]
fn a_recorder_has_a_sound_name_and_a_known_profile() {
    let station = staffed();
    for (id, more, words) in [
        ("DC/10", &[][..], "is a path"),
        ("..", &[], "is a path"),
        ("DC10", &["--profile", "nonsense"], "there is no profile `nonsense`"),
    ] {
        expect_exit(&station.run(&[&["recorders", "add", id], more].concat()), 1, &[words]);
    }
    station.ok(&["recorders", "add", "DC01", "--profile", "dcim"]);
    let out = station.ok(&["recorders", "add", "dc-O1"]);
    assert!(out.contains("under another number: DC01"), "{out}");
    expect_exit(&station.run(&["officers", "add", "x", "--leave"]), 2, &[]);
}

#[test]
fn units_come_in_any_order_and_in_no_circle() {
    let station = Station::new();
    let path = file(&station, "u.csv", "code,name,parent\nC,c,B\nB,b,甲\nA,甲,\n");
    assert_eq!(station.json(&["units", "import", &path, "--json"])["added"], 3);
    assert_eq!(list(&station, "units")[2]["parent"], "B");
    let path = file(&station, "circle.csv", "code,name,parent\nA,甲,C\n");
    expect_exit(&station.run(&["units", "import", &path]), 1, &["line 2: unit A would stand above itself"]);
    let path = file(&station, "round.csv", "code,name,parent\nE,e,F\nF,f,G\nG,g,F\nH,h,H\n");
    let out = station.run(&["units", "import", &path]);
    expect_exit(
        &out,
        1,
        &[
            "3: unit F would",
            "4: unit G would",
            "5: unit H would",
            "line 2, column `parent`: no unit has the code `F`",
        ],
    );
}

#[test]
fn periods_of_a_file_overlap_neither_each_other_nor_the_ledger() {
    let station = staffed();
    station.ok(&[
        "ledger",
        "issue",
        "R1",
        "--officer",
        "1001",
        "--purpose",
        "检查",
        "--at",
        "2026-01-09 08:00",
    ]);
    let head_line = "记录仪,执法证号,领用人,用途,领用时间,归还时间\n";
    let bad = format!(
        "{head_line}R1,1001,,检查,2026-01-01 08:00,2026-01-01 18:00\nR1,1002,,检查,2026/1/1 12:00,2026/1/1 13:00\n\
         R1,1002,李四,检查,2026-01-08 08:00,2026-01-09 09:00\nR1,1002,,检查,2026-01-10 08:00,\n\
         R1,1002,张三,检查,2026-01-02 08:00,2026-01-02 09:00\nR9,7,,,x,\nR1,1001,,别的,2026-01-09 08:00,\n"
    );
    let path = file(&station, "l.csv", bad);
    let out = station.run(&["ledger", "import", &path, "--dry-run"]);
    expect_exit(&out, 3, &[]);
    let said = String::from_utf8(out.stdout).unwrap();
    for part in [
        "line 3: the time overlaps line 2: 张三 had recorder R1",
        "line 4: the time overlaps entry 1 of the ledger: 张三 has recorder R1 since 2026-01-09 08:00:00",
        "line 5: recorder R1 is out: 张三 has it since 2026-01-09 08:00:00 (entry 1 of the ledger)",
        "line 6: the badge 1002 belongs to 李四, not to 张三",
        "line 7, column `记录仪`: recorder R9 is not in the register",
        "line 7, column `执法证号`: no officer has the badge `7`",
        "line 7, column `用途`: it is empty",
        "line 7, column `领用时间`: `x` is no time",
        "line 8, column `用途`: entry 1 of the ledger says otherwise",
        "9 problems; nothing was written",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    let good = format!(
        "{head_line}R1,1001,张三,检查,2026-01-09 08:00,2026-01-09 18:00\nR1,1002,,检查,2026-01-01 08:00,2026-01-01 18:00\n"
    );
    let path = file(&station, "good.csv", good);
    let done = station.json(&["ledger", "import", &path, "--json"]);
    assert_eq!((&done["added"], &done["changed"]), (&1.into(), &1.into()));
    assert_eq!(actions(&station, "issue:1"), ["issue.made", "issue.returned"]);
    let after = head(&station);
    assert_eq!(station.json(&["ledger", "import", &path, "--json"])["unchanged"], 2);
    assert_eq!(head(&station), after);
}

#[test]
fn what_is_exported_is_imported_without_any_change() {
    let station = staffed();
    station.ok(&["units", "set", "V", "--archive-hours", "12", "--case-days", "20"]);
    station.ok(&["officers", "set", "1001", "--name", "=HYPERLINK(\"http://x\")"]);
    station.ok(&[
        "recorders",
        "set",
        "R1",
        "--note",
        "@外借, \"说明\"",
        "--officer",
        "1002",
        "--state",
        "lent",
    ]);
    station.ok(&["ledger", "issue", "R1", "--officer", "1001", "--purpose=-1+1", "--clock-offset", "-3"]);
    station.ok(&["ledger", "return", "R1", "--free", "1 GiB"]);
    station.ok(&["ledger", "issue", "R1", "--officer", "1002", "--purpose", "巡查"]);
    let before = head(&station);
    for register in ["units", "officers", "recorders", "ledger"] {
        for (lang, gbk) in [("en", false), ("zh", false), ("zh", true)] {
            let mut args = vec!["--lang", lang, register, "export"];
            args.extend(gbk.then_some("--gbk"));
            let out = station.run(&args);
            assert!(out.status.success());
            assert_eq!(out.stdout.starts_with(b"\xef\xbb\xbf"), !gbk, "a mark for spreadsheets");
            let text = if gbk {
                encoding_rs::GB18030.decode(&out.stdout).0.into_owned()
            } else {
                String::from_utf8(out.stdout.clone()).unwrap()
            };
            for formula in [",=", ",@", ",-1+", "\n=", "\"="] {
                assert!(!text.contains(formula), "{text}");
            }
            let path = file(&station, "export.csv", &out.stdout);
            let done = station.json(&[register, "import", &path, "--json"]);
            let entries = list(&station, register).as_array().unwrap().len();
            assert_eq!(done["unchanged"], entries, "{register}: {done}\n{text}");
            assert_eq!(head(&station), before);
        }
    }
    assert_eq!(texts(&list(&station, "officers"), "badge"), ["1001", "1002"]);
}

#[test]
fn a_rehearsal_waits_for_no_writer_and_no_writer_for_it() {
    let station = Station::new();
    station.ok(&["units", "add", "u1", "--name", "一中队"]);
    let file = station.dir.path().join("officers.csv");
    std::fs::write(&file, "badge,name,unit\nb1,张伟,u1\nb2,李娜,nowhere\n").unwrap();
    let path = file.to_str().unwrap();
    let writer = rusqlite::Connection::open(station.data().join("catalog.sqlite")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let dry = station.run(&["officers", "import", path, "--dry-run", "--json"]);
    let told = json_of(&dry);
    assert_eq!((dry.status.code(), &told["added"]), (Some(3), &serde_json::json!(1)), "{told}");
    // What is wrong is found without the lock as well.
    expect_exit(&station.run(&["officers", "import", path]), 1, &["nowhere"]);
    writer.execute_batch("COMMIT").unwrap();
    std::fs::write(&file, "badge,name,unit\nb1,张伟,u1\n").unwrap();
    assert_eq!(station.json(&["officers", "import", path, "--json"])["written"], true);
    assert_eq!(station.json(&["officers", "import", path, "--json"])["unchanged"], 1);
}
