//! Cases as the commands keep them: steps, exemptions, links, checklists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::check_custody;
use common::office::{NUMBER, Office};
use common::tools::{expect_exit, json_of, texts};
use serde_json::Value;

#[test]
fn a_case_goes_from_its_opening_to_its_closing() {
    let office = Office::new();
    office.open(NUMBER, "非法占用耕地");
    let r = office.recording(0);
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
    office.ok("HN001", &["cases", "link", "12号", "现场检查", &r, "--why", "现场勘验"]);
    for step in ["hearing", "substituted-service"] {
        office.ok("HN001", &["cases", "step", NUMBER, step, "--does-not-apply", "--why", "本案未发生"]);
    }
    office.refuses("HN001", &["cases", "close", "12号"], &["has not ended", "docket cases end"]);
    for step in ["听证取证", "substituted-service"] {
        office.refuses("HN001", &["cases", "step", NUMBER, step, "--confirm"], &["may not do this"]);
        office.ok("HN002", &["cases", "step", NUMBER, step, "--confirm"]);
    }
    office.ok("HN001", &["cases", "end", "12号", "--at", "2026-11-21 17:00"]);
    office.refuses(
        "HN001",
        &["cases", "close", "12号"],
        &["1 step is not explained", "sampling 抽样调查: no footage is linked, and there is no exemption"],
    );
    let ground = ["--ground", "device_fault", "--reason", "取样时记录仪没电", "--note", "报修单 7"];
    let propose = [&["cases", "exempt", "propose", "12号", "sampling"], &ground[..]].concat();
    assert_eq!(office.json("HN001", &propose)["id"], 1);
    office.refuses("HN001", &["cases", "close", "12号"], &["exemption 1 is only proposed"]);
    office.ok("HN002", &["cases", "exempt", "review", "1"]);
    office.refuses("HN001", &["cases", "close", "12号"], &["exemption 1 is reviewed, not yet approved"]);
    office.ok("HN003", &["cases", "exempt", "approve", "1"]);
    assert_eq!(office.json("HN001", &["cases", "close", "12号"])["state"], "closed");
    let why = ["--why", "x"];
    for closed in [
        &["cases", "set", "12号", "--title", "x"][..],
        &["cases", "step", "12号", "sampling", "--from", "2026-11-20"],
        &["cases", "officers", "12号", "--add", "HN004"],
        &[&["cases", "link", "12号", "sampling", &r], &why[..]].concat(),
        &["cases", "unlink", "1", "--why", "x"],
        &["cases", "end", "12号"],
        &[&["cases", "exempt", "propose", "12号", "hearing"], &ground[..]].concat(),
    ] {
        office.refuses("HN001", closed, &["is closed", "docket cases reopen"]);
    }
    office.ok("HN001", &["cases", "reopen", "12号", "--why", "补充证据"]);
    let shown = office.json("HN001", &["cases", "show", "12号"]);
    assert_eq!((&shown["state"], &shown["closed_at"]), (&"ended".into(), &Value::Null));
    assert_eq!(shown["due_at"], "2026-12-21T15:59:59.999Z");
    let states: Vec<&str> =
        shown["steps"].as_array().unwrap()[..3].iter().map(|s| s["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["footage", "exempted", "does_not_apply"]);
    assert_eq!(
        office.actions(&format!("case:{NUMBER}")),
        [
            "case.opened",
            "case.step",
            "case.linked",
            "case.step",
            "case.step",
            "case.step_waived",
            "case.step_waived",
            "case.act_ended",
            "exemption.proposed",
            "exemption.reviewed",
            "exemption.approved",
            "case.closed",
            "case.reopened",
        ]
    );
    assert!(office.actions(&format!("recording:{r}")).contains(&"recording.linked".to_owned()));
    check_custody(&office.station.db());
}

#[test]
fn a_number_is_one_case_however_it_is_written() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    for same in [NUMBER, "岳屈自然资罚(2026)12号", "岳屈自然资罚【2026】 １２号"] {
        let args = ["cases", "open", same, "--kind", "penalty", "--title", "乙"];
        office.refuses("HN001", &args, &[&format!("there is a case {NUMBER} already")]);
    }
    assert_eq!((office.count("case_file"), office.count("case_step")), (1, 10));
    office.open("岳屈自然资罚〔2026〕13号", "丙");
    for (part, number) in
        [("12号", NUMBER), ("2026]12", NUMBER), ("岳屈自然资罚（2026）1３", "岳屈自然资罚〔2026〕13号")]
    {
        assert_eq!(office.json("HN001", &["cases", "show", part])["number"], number, "{part}");
    }
    office.refuses("HN001", &["cases", "show", "自然资罚"], &["several cases", "12号", "13号"]);
    office.refuses("HN001", &["cases", "show", "14号"], &["there is no case `14号`"]);
    for (args, words) in [
        (["cases", "open", " ", "--kind", "penalty", "--title", "x"], "the case number is empty"),
        (
            ["cases", "open", "a", "--kind", "hunting", "--title", "x"],
            "no checklist is for cases of the kind `hunting`",
        ),
        (["cases", "open", "a", "--kind", "penalty", "--title", "a\nb"], "the title has line breaks"),
    ] {
        office.refuses("HN001", &args, &[words]);
    }
    let later = ["cases", "open", "a", "--kind", "penalty", "--title", "x", "--opened", "2126-01-01"];
    office.refuses("HN001", &later, &["cannot be opened in the future"]);
    assert_eq!(office.count("case_file"), 2, "nothing of a refused case is left");
    check_custody(&office.station.db());
}

#[test]
fn three_persons_decide_on_an_exemption() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let propose = |step: &'static str| {
        ["cases", "exempt", "propose", "12号", step, "--ground", "severe_weather", "--reason", "暴雨"]
    };
    expect_exit(
        &office.station.run(&propose("sampling")),
        1,
        &["only somebody in the officers' register", "--as BADGE"],
    );
    office.refuses("HN004", &propose("sampling"), &["may not do this: propose an exemption"]);
    office.ok("HN001", &propose("sampling"));
    office.refuses("HN001", &propose("sampling"), &["exemption 1 stands for the step `sampling` already"]);
    office.refuses(
        "HN003",
        &["cases", "exempt", "approve", "1"],
        &["exemption 1 is proposed", "reviewed first"],
    );
    office.refuses("HN001", &["cases", "exempt", "review", "1"], &["may not do this: review an exemption"]);
    office.refuses("HN003", &["cases", "exempt", "withdraw", "1"], &["only HN001, who proposed exemption 1"]);
    office.ok("HN002", &["cases", "exempt", "reject", "1", "--remark", "理由不足"]);
    office.refuses("HN002", &["cases", "exempt", "review", "1"], &["exemption 1 is rejected"]);
    office.ok("HN001", &propose("sampling"));
    office.ok("HN002", &["cases", "exempt", "review", "2"]);
    office.ok("HN003", &["cases", "exempt", "reject", "2", "--remark", "可补录"]);
    office.ok("HN001", &propose("sampling"));
    office.ok("HN001", &["cases", "exempt", "withdraw", "3"]);
    // A head may propose for the unit, but then another approves.
    office.ok("HN003", &propose("sampling"));
    office.ok("HN002", &["cases", "exempt", "review", "4"]);
    office.refuses(
        "HN003",
        &["cases", "exempt", "approve", "4"],
        &["took part in this exemption already", "three persons"],
    );
    let shown = office.json("HN001", &["cases", "show", "12号"]);
    let step = shown["steps"].as_array().unwrap().iter().find(|s| s["key"] == "sampling").unwrap();
    assert_eq!(texts(&step["exemptions"], "state"), ["rejected", "rejected", "reviewed", "withdrawn"]);
    assert_eq!(step["holes"][0]["why"], "reviewed");
    office.refuses("HN003", &["cases", "exempt", "review", "99"], &["there is no exemption 99"]);
    check_custody(&office.station.db());
}

#[test]
fn a_required_step_is_not_waived_by_one_person() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let step = |more: &[&'static str]| [&["cases", "step", "12号", "sampling"], more].concat();
    let waive = step(&["--does-not-apply", "--why", "x"]);
    office.ok("HN001", &step(&["--from", "2026-11-20 10:00"]));
    office.refuses("HN001", &waive, &["has a time or words"]);
    office.ok("HN001", &step(&["--no-time"]));
    office.ok("HN001", &waive);
    office.refuses("HN001", &step(&["--from", "2026-11-20 10:00"]), &["has a time or words"]);
    let holes = || office.json("HN001", &["cases", "show", "12号"])["holes"].to_string();
    assert!(holes().contains("not_confirmed"), "{}", holes());
    office.refuses("HN001", &step(&["--confirm"]), &["may not do this", "a reviewer of 执法大队"]);
    // The same person under a second badge is no second person.
    let db = office.write();
    let sql = "INSERT INTO officer (badge, name, unit, role) VALUES ('HN001b', '张三', 1, 'head')";
    db.execute(sql, []).unwrap();
    office.refuses("HN001b", &step(&["--confirm"]), &["are both 张三", "article 32"]);
    office.ok("HN003", &step(&["--confirm"]));
    assert!(!holes().contains("not_confirmed"), "{}", holes());
    let shown = office.ok("HN001", &["cases", "show", "12号"]);
    assert!(shown.contains("confirmed by 王五 (HN003)"), "{shown}");
    // Said again, it is to be confirmed again; what was to be exempted took place.
    office.ok("HN001", &step(&["--applies", "--why", "x"]));
    let propose = ["cases", "exempt", "propose", "12号", "sampling", "--ground", "设备故障", "--reason", "x"];
    office.ok("HN001", &propose);
    office.refuses("HN001b", &["cases", "exempt", "approve", "1"], &["is proposed"]);
    office.ok("HN002", &["cases", "exempt", "review", "1"]);
    office.refuses("HN001b", &["cases", "exempt", "approve", "1"], &["are both 张三"]);
    office.ok("HN003", &["cases", "exempt", "reject", "1", "--remark", "x"]);
    office.refuses("HN001", &waive, &["exemption 1 was proposed"]);
    let history = office.station.ok(&["custody", "show", &format!("case:{NUMBER}")]);
    assert!(history.contains("张三 (HN001), typed by "), "{history}");
    check_custody(&office.station.db());
}

#[test]
fn a_link_is_held_against_the_recording_and_keeps_its_history() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let r = office.recording(0);
    let link = |clip: &'static str| {
        ["cases", "link", "12号", "inquiry", "", "--clip", clip, "--why", "询问"].map(str::to_owned)
    };
    let with = |clip| {
        let mut args = link(clip);
        args[4].clone_from(&r);
        args
    };
    let refused = |args: [String; 9], parts: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        office.refuses("HN001", &args, parts);
    };
    refused(
        with("00:09:00-00:10:01"),
        &["the clip would end at 00:10:01.000, but the recording ends at 00:10:00.000"],
    );
    refused(with("00:02:00-00:01:00"), &["a clip ends after it begins"]);
    let args = with("00:09:00-00:10:00");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    office.ok("HN001", &args);
    office.refuses("HN001", &args, &["link 1 says the same already"]);
    office.refuses(
        "HN001",
        &["cases", "link", "12号", "inquiry", "ffffffff", "--why", "x"],
        &["no recording `ffffffff`"],
    );
    office.refuses(
        "HN001",
        &["cases", "link", "12号", "feast", &r, "--why", "x"],
        &["no step `feast`", "site-inspection"],
    );
    // The whole, another step, another case: many to many.
    office.ok("HN001", &["cases", "link", "12号", "inquiry", &r[28..], "--why", "全程"]);
    office.ok("HN001", &["cases", "link", "12号", "sampling", &r, "--why", "全程"]);
    office.refuses("HN001", &["cases", "unlink", "2", "--why", " "], &["the reason is empty"]);
    office.ok("HN001", &["cases", "unlink", "2", "--why", "误关联"]);
    office.refuses("HN001", &["cases", "unlink", "2", "--why", "x"], &["link 2 was taken off already"]);
    office.ok("HN001", &["cases", "link", "12号", "inquiry", &r, "--why", "再次关联"]);
    let shown = office.json("HN001", &["cases", "show", "12号"]);
    let inquiry = shown["steps"].as_array().unwrap().iter().find(|s| s["key"] == "inquiry").unwrap();
    let links = inquiry["links"].as_array().unwrap();
    assert_eq!(links.len(), 3);
    assert_eq!(links[0]["clip"]["to_ms"], 600_000);
    assert_eq!(links[1]["unlinked"]["why"], "误关联");
    // A length that is not known yet is no reason to refuse.
    office
        .write()
        .execute("UPDATE recording SET probed = NULL WHERE id = ?1", [&office.recording(1)])
        .unwrap();
    let out = office.json(
        "HN001",
        &["cases", "link", "12号", "inquiry", &office.recording(1), "--clip", "0-99999", "--why", "x"],
    );
    assert!(out["note"].as_str().unwrap().contains("not known yet"), "{out}");
    // A step with footage cannot be argued away.
    let step = ["cases", "step", "12号", "sampling", "--does-not-apply", "--why", "x"];
    office.refuses("HN001", &step, &["footage is linked to the step `sampling`"]);
    office.station.check();
}

#[test]
fn what_must_be_told_in_words_is_a_hole_until_it_is() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let step = |more: &[&'static str]| [&["cases", "step", "12号", "evidence-preservation"], more].concat();
    office.ok("HN001", &step(&["--tell", "reason=证据可能灭失"]));
    let out = office.run("HN001", &step(&["--tell", "colour=x"]));
    expect_exit(&out, 1, &["does not ask for `colour`", "reason "]);
    let holes = |office: &Office| {
        let shown = office.json("HN001", &["cases", "show", "12号"]);
        shown["holes"].as_array().unwrap().iter().filter(|h| h["why"] == "not_told").count()
    };
    assert_eq!(holes(&office), 1);
    office.ok("HN001", &step(&["--tell", "object=涉案机械", "--tell", "form=先行登记保存"]));
    assert_eq!(holes(&office), 0);
    office.refuses(
        "HN001",
        &step(&["--from", "2026-11-20 10:00", "--to", "2026-11-20 09:00"]),
        &["would end before it begins"],
    );
}

#[test]
fn a_checklist_with_mistakes_is_refused_whole() {
    let office = Office::with("[cases]\nchecklists = \"lists\"\n");
    let dir = office.station.data().join("lists");
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("hunt.toml");
    let good = "id = \"hunt\"\nname = \"Hunt\"\nname_zh = \"狩猎\"\ncase_days = 15\n\
        [[kind]]\nkey = \"hunt\"\nname = \"Hunt\"\nname_zh = \"狩猎检查\"\n\
        [[step]]\nkey = \"look\"\nname = \"Look\"\nname_zh = \"巡查\"\nav = \"required\"\nretention = \"6 months\"\n";
    std::fs::write(&file, good).unwrap();
    office.station.ok(&["checklists", "check", file.to_str().unwrap()]);
    office.ok("HN001", &["cases", "open", "狩1", "--kind", "狩猎检查", "--title", "x"]);
    let shown = office.json("HN001", &["cases", "show", "狩1"]);
    assert_eq!((&shown["case_days"], &shown["steps"][0]["retention"]), (&15.into(), &"6 months".into()));
    std::fs::write(&file, good.replace("\"required\"", "\"must\"") + "colour = 1\n").unwrap();
    let parts = ["step[1].av wants required", "step[1].colour is not a setting", "2 problems"];
    expect_exit(&office.station.run(&["checklists", "check", file.to_str().unwrap()]), 1, &parts);
    expect_exit(&office.station.run(&["checklists", "list"]), 1, &["hunt.toml: step[1].av"]);
    office.refuses(
        "HN001",
        &["cases", "open", "狩2", "--kind", "hunt", "--title", "x"],
        &["hunt.toml: step[1].av"],
    );
    assert_eq!(office.count("case_file"), 1);
    std::fs::write(&file, good).unwrap();
    let out = office.station.run(&["checklists", "list", "--json"]);
    assert_eq!(json_of(&out).as_array().unwrap().len(), 4);
}

#[test]
fn an_act_ends_after_its_case_was_opened_and_a_changed_end_is_explained() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let end = |more: &[&'static str]| [&["cases", "end", "12号"], more].concat();
    office.refuses("HN001", &end(&["--at", "2026-11-17"]), &["before its case was opened"]);
    office.refuses("HN001", &end(&["--at", "2126-11-17"]), &["cannot have ended in the future"]);
    office.ok("HN001", &end(&["--at", "2026-11-20"]));
    office.refuses("HN001", &end(&["--at", "2026-11-21"]), &["the reason is empty"]);
    office.ok("HN001", &end(&["--at", "2026-11-21", "--why", "日期误填"]));
    office.ok("HN001", &end(&["--not-ended", "--why", "尚未执行完毕"]));
    assert_eq!(office.json("HN001", &["cases", "show", "12号"])["act_ended_at"], Value::Null);
    office.ok("HN001", &["cases", "set", "12号", "--case-days", "60", "--stage", "审理"]);
    assert_eq!(office.json("HN001", &["cases", "show", "12号"])["case_days"], 60);
}

#[test]
fn the_screens_speak_chinese() {
    let office = Office::new();
    office.open(NUMBER, "甲");
    let zh = |args: &[&str]| office.ok("HN001", &[&["--lang", "zh"], args].concat());
    let shown = zh(&["cases", "show", "12号"]);
    for word in ["案号", "行政处罚", "现场检查（勘验）", "必录", "未关联录音录像，也无免录审批", "缺项"]
    {
        assert!(shown.contains(word), "{word} is not in:\n{shown}");
    }
    for english in ["required", "Site", "hole", "footage"] {
        assert!(!shown.contains(english), "{english} is in:\n{shown}");
    }
    let out = office.run("HN001", &["--lang", "zh", "cases", "close", "12号"]);
    expect_exit(&out, 1, &["执法行为尚未终结"]);
    assert!(zh(&["checklists", "show", "penalty"]).contains("同案卷保留期限"));
    let history = office.station.ok(&["--lang", "zh", "custody", "show", &format!("case:{NUMBER}")]);
    assert!(history.contains("立案建卷"), "{history}");
}
