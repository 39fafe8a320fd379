//! What is found and proposed of cases and footage, and who may see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::check_custody;
use common::office::{NUMBER, Office};
use common::tools::{expect_exit, texts};
use serde_json::Value;

#[test]
fn footage_is_proposed_with_its_reasons() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    office.ok(
        "HN001",
        &[
            "cases",
            "step",
            "12号",
            "site-inspection",
            "--from",
            "2026-11-20 09:00",
            "--to",
            "2026-11-20 11:00",
        ],
    );
    let list = office.json("HN001", &["cases", "suggest", "12号"]);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(list[2]["step"], Value::Null);
    for first in &list[..2] {
        assert_eq!((&first["step"], &first["certain"]), (&"site-inspection".into(), &true.into()), "{first}");
        let reasons = first["reasons"].as_array().unwrap();
        assert!(reasons.contains(&"张三 held the recorder then".into()), "{reasons:?}");
    }
    // What is linked is not proposed again; another case at that time leaves a doubt.
    office.ok("HN001", &["cases", "link", "12号", "site-inspection", &office.recording(0), "--why", "x"]);
    office.open("岳屈自然资罚〔2026〕13号", "乙");
    office.ok(
        "HN001",
        &[
            "cases",
            "step",
            "13号",
            "site-inspection",
            "--from",
            "2026-11-20 10:00",
            "--to",
            "2026-11-20 12:00",
        ],
    );
    let list = office.json("HN001", &["cases", "suggest", "12号"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(list.as_array().unwrap().iter().all(|s| s["certain"] == false), "{list}");
    // Nothing was linked by itself: the settings do not say so.
    assert_eq!(office.count("link"), 1);
}

#[test]
fn a_rule_links_by_itself_only_where_the_settings_let_it_and_nothing_is_in_doubt() {
    let office = Office::with("[cases]\nlink_by_itself = true\n");
    office.open(NUMBER, "甲");
    let step = [
        "cases",
        "step",
        "12号",
        "site-inspection",
        "--from",
        "2026-11-20 09:00",
        "--to",
        "2026-11-20 11:00",
    ];
    let said = office.ok("HN001", &step);
    assert!(said.contains("2 recordings were linked by rule"), "{said}");
    let shown = office.json("HN001", &["cases", "show", "12号"]);
    let links = shown["steps"][0]["links"].as_array().unwrap();
    assert!(links.iter().all(|l| l["automatic"] == true && l["by"] == "rule:holder-in-step"), "{links:?}");
    // What a person takes off stays off.
    let id = links[0]["id"].to_string();
    office.ok("HN001", &["cases", "unlink", &id, "--why", "与本案无关"]);
    office.ok("HN001", &["cases", "step", "12号", "site-inspection", "--to", "2026-11-20 11:30"]);
    assert_eq!(office.count("link WHERE unlinked_at IS NULL"), 1);
    check_custody(&office.station.db());
}

#[test]
fn a_new_recording_is_linked_once_its_length_is_known() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let window = ["--from", "2026-11-20 09:00", "--to", "2026-11-20 11:00"];
    office.ok("HN001", &[&["cases", "step", "12号", "site-inspection"], &window[..]].concat());
    let catalog = docket::catalog::Catalog::open(&office.station.data().join("catalog.sqlite")).unwrap();
    let at = "2026-11-24T08:00:00Z".parse().unwrap();
    let link = |n| {
        let id = office.recording(n);
        catalog.write(move |tx| docket::cases::suggest::link_certain(tx, at, &id)).unwrap()
    };
    assert_eq!(link(2), None, "it was made after the step");
    office
        .write()
        .execute("UPDATE recording SET probed = NULL WHERE id = ?1", [office.recording(1)])
        .unwrap();
    assert_eq!(link(1), None, "where it ends is not known");
    assert_eq!(link(0), Some(1));
    assert_eq!(link(0), None, "it is linked already");
    office.ok("HN001", &["cases", "unlink", "1", "--why", "与本案无关"]);
    assert_eq!(link(0), None, "a person has taken it off");
    check_custody(&office.station.db());
}

#[test]
fn what_has_become_certain_is_linked_once_and_the_rest_never() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let window = ["--from", "2026-11-20 09:00", "--to", "2026-11-20 11:00"];
    office.ok("HN001", &[&["cases", "step", "12号", "site-inspection"], &window[..]].concat());
    let catalog = docket::catalog::Catalog::open(&office.station.data().join("catalog.sqlite")).unwrap();
    let policy = docket::base::config::Cases { link_by_itself: true, ..Default::default() };
    let at = "2026-11-24T08:00:00Z".parse().unwrap();
    let by = || docket::catalog::dockings::By { actor: "test".into(), at };
    let catch_up = || {
        docket::cases::by_itself::catch_up(&catalog, &policy, &by).unwrap();
        office.count("link WHERE unlinked_at IS NULL AND automatic = 1")
    };
    assert_eq!((catch_up(), catch_up()), (2, 2));
    office.ok("HN001", &["cases", "unlink", "1", "--why", "与本案无关"]);
    assert_eq!(catch_up(), 1, "a person has taken it off");
    check_custody(&office.station.db());
}

#[test]
fn cases_and_recordings_are_found() {
    let office = Office::new();
    office.open(NUMBER, "张家村非法占用耕地");
    office.ok(
        "HN001",
        &["cases", "set", "12号", "--parties", "湖南Limited公司", "--address", "屈原管理区营田镇"],
    );
    office.open("岳屈自然资许〔2026〕3号", "采砂许可");
    office.ok("HN001", &["cases", "officers", "许〔2026〕3号", "--add", "HN004"]);
    let find = |badge: &str, args: &[&str]| {
        let found = office.json(badge, &[&["search"], args].concat());
        (texts(&found["cases"], "number"), found["recordings"].as_array().unwrap().len())
    };
    let (first, second) = (NUMBER.to_owned(), "岳屈自然资许〔2026〕3号".to_owned());
    for (words, expected) in [
        (&["占"][..], vec![&first]),
        (&["占用"], vec![&first]),
        (&["用占"], vec![]),
        (&["营田镇"], vec![&first]),
        (&["非法占用"], vec![&first]),
        (&["欧阳小明"], vec![&second]),
        (&["lim"], vec![&first]),
        (&["ｌｉｍ", "张家"], vec![&first]),
        (&["张家", "采砂"], vec![]),
        (&["岳屈自然资罚(2026)"], vec![&first]),
        (&["2026"], vec![&first, &second]),
        (&["\" OR *"], vec![]),
        (&["--officer", "HN004"], vec![&second]),
        (&["--officer", "HN001", "采砂"], vec![&second]),
        (&["--day", "2026-11-18"], vec![&first, &second]),
    ] {
        assert_eq!(find("HN001", words).0.iter().collect::<Vec<_>>(), expected, "{words:?}");
    }
    assert_eq!(find("HN003", &["imited"]).0, [""; 0], "of other words the beginning counts");
    // A changed text is found by its new words only.
    office.ok("HN001", &["cases", "set", "12号", "--title", "李家村违法建设"]);
    assert_eq!(find("HN001", &["张家村"]).0, [""; 0]);
    assert_eq!(find("HN001", &["李家村"]).0, std::slice::from_ref(&first));
    // So is a changed name of an officer.
    office.station.ok(&["officers", "set", "HN004", "--name", "欧阳晓明"]);
    assert_eq!(find("HN003", &["欧阳小明"]).0, [""; 0]);
    assert_eq!(find("HN003", &["阳晓明"]).0, std::slice::from_ref(&second));
    // Recordings by day, recorder, case, file name.
    assert_eq!(find("HN005", &["--day", "2026-11-20"]), (vec![], 0), "they are another unit's");
    office.write().execute("UPDATE recording SET officer = 1", []).unwrap();
    assert_eq!(find("HN003", &["--day", "2026-11-20"]).1, 3);
    assert_eq!(find("HN003", &["--recorder", "A1B2C3", "150000"]).1, 1);
    assert_eq!(find("HN003", &["--officer", "HN001", "--day", "2026-11-20"]).1, 3);
    assert_eq!(find("HN003", &["--day", "2026-11-21"]).1, 0);
    office.ok("HN001", &["cases", "link", "12号", "inquiry", &office.recording(0), "--why", "x"]);
    assert_eq!(find("HN001", &["--case", "12号"]), (vec![], 1));
    assert_eq!(find("HN001", &["李家村"]), (vec![first.clone()], 1));
    assert_eq!(find("HN001", &["--recorder", "A1B2C3"]).0, std::slice::from_ref(&first));
    expect_exit(&office.station.run(&["search"]), 1, &["nothing to look for"]);
    expect_exit(
        &office.station.run(&["search", "x", "--officer", "HN999"]),
        1,
        &["no officer has the badge"],
    );
    expect_exit(&office.station.run(&["search", "--day", "2026-13-01"]), 2, &["a day is written like"]);
}

#[test]
fn nobody_sees_or_changes_what_is_not_theirs() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let r = office.recording(0);
    // On no case, in another unit.
    for badge in ["HN004", "HN005"] {
        office.refuses(badge, &["cases", "show", "12号"], &["may not do this: look at this case"]);
        office.refuses(
            badge,
            &["cases", "set", "12号", "--title", "x"],
            &["may not do this: change this case"],
        );
        let found = office.json(badge, &["search", "甲"]);
        assert_eq!(found["cases"], serde_json::json!([]));
        assert_eq!(office.json(badge, &["cases", "list"]), serde_json::json!([]));
    }
    let foreign =
        ["cases", "open", "x", "--kind", "penalty", "--title", "x", "--unit", "QY", "--officer", "HN001"];
    office.refuses("HN005", &foreign, &["may not do this: open a case for this unit"]);
    // A supervisor reads, and changes nothing.
    office.ok("HN006", &["cases", "show", "12号"]);
    office.refuses(
        "HN006",
        &["cases", "link", "12号", "inquiry", &r, "--why", "x"],
        &["may not do this: link footage"],
    );
    // Another unit's officer does not get at a recording by linking it to a case of theirs.
    let own = ["cases", "open", "外1", "--kind", "penalty", "--title", "x"];
    office.ok("HN005", &own);
    office.refuses(
        "HN005",
        &["cases", "link", "外1", "inquiry", &r, "--why", "x"],
        &["may not do this: look at this recording"],
    );
    let list = office.json("HN005", &["cases", "suggest", "外1"]);
    assert_eq!(list, serde_json::json!([]));
    // Who is on a case is on it.
    office.ok("HN001", &["cases", "officers", "12号", "--add", "HN005"]);
    office.ok("HN005", &["cases", "show", "12号"]);
    office.refuses(
        "HN001",
        &["cases", "officers", "12号", "--remove", "HN001", "--remove", "HN005"],
        &["nobody would be left"],
    );
    office.write().execute("UPDATE officer SET left = 1 WHERE badge = 'HN004'", []).unwrap();
    office.refuses("HN001", &["cases", "officers", "12号", "--add", "HN004"], &["has left"]);
}

#[test]
fn a_unit_is_answered_for_by_those_above_it() {
    let office = Office::new();
    let db = office.write();
    db.execute(
        "INSERT INTO unit (id, code, name, parent) VALUES (3, 'ZD', '一中队', 1), (4, 'ZZ', '一组', 3)",
        [],
    )
    .unwrap();
    db.execute("INSERT INTO officer (badge, name, unit, role) VALUES ('HN007', '吴九', 4, 'officer'), ('HN008', '郑十', 2, 'reviewer')", [])
        .unwrap();
    office.ok("HN007", &["cases", "open", "组1", "--kind", "penalty", "--title", "乙"]);
    for badge in ["HN002", "HN003"] {
        assert_eq!(office.json(badge, &["cases", "show", "组1"])["unit"], "ZZ");
        assert_eq!(office.json(badge, &["cases", "list"]).as_array().unwrap().len(), 1, "{badge}");
        assert_eq!(office.json(badge, &["search", "乙"])["cases"][0]["number"], "组1");
    }
    let propose = ["cases", "exempt", "propose", "组1", "sampling", "--ground", "other", "--reason", "暴雨"];
    office.ok("HN007", &propose);
    office.refuses(
        "HN008",
        &["cases", "exempt", "review", "1"],
        &[
            "郑十 HN008, as reviewer, ",
            "their unit is 外单位, and it belongs to 一组",
            "a reviewer of 一组 or a unit above",
        ],
    );
    office.ok("HN002", &["cases", "exempt", "review", "1"]);
    office.ok("HN003", &["cases", "exempt", "approve", "1"]);
    // Who opens a case for a strange unit is on it, and still may not; a circle of units ends.
    db.execute("UPDATE unit SET parent = 4 WHERE id = 1", []).unwrap();
    let strange = ["cases", "open", "x", "--kind", "penalty", "--title", "x", "--unit", "ZZ"];
    office.refuses("HN005", &strange, &["may not do this: open a case for this unit", "it belongs to 一组"]);
    office.ok("HN003", &strange);
}

#[test]
fn a_recording_is_unclassified_until_somebody_says_what_it_is() {
    let office = Office::new();
    let r = office.recording(0);
    let found = office.json("HN001", &["search", "--recorder", "A1B2C3"]);
    assert_eq!(found["recordings"][0]["classification"], "unclassified");
    office.refuses(
        "HN004",
        &["cases", "classify", &r, "public", "--why", "x"],
        &["may not do this: classify"],
    );
    let said = office.json("HN001", &["cases", "classify", &r, "privacy", "--why", "当事人住宅内"]);
    assert_eq!((&said["classification"], &said["changed"]), (&"privacy".into(), &true.into()));
    assert_eq!(office.json("HN001", &["cases", "classify", &r, "privacy", "--why", "x"])["changed"], false);
    expect_exit(&office.run("HN001", &["cases", "classify", &r, "unclassified", "--why", "x"]), 2, &[]);
    let told = office.actions(&format!("recording:{r}"));
    assert_eq!(told.iter().filter(|a| *a == "recording.classified").count(), 1);
}
