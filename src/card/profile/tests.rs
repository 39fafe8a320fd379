//! The shipped profiles against names from the field, and the station's own against mistakes.

use super::*;
use crate::card::take::By;
use proptest::prelude::*;
use std::path::PathBuf;

fn parsed(profile: &str, path: &str) -> NameFacts {
    Profiles::builtin().get(profile).unwrap().parse(Path::new(path))
}

/// Facts in one line: device officer time number chapter important kind.
fn line(facts: &NameFacts) -> String {
    let time = facts.local_time.map(|t| t.format("%Y-%m-%dT%H:%M:%S").to_string());
    let parts = [
        facts.device.clone(),
        facts.officer.clone(),
        time,
        facts.number.map(|n| format!("#{n}")),
        facts.chapter.map(|n| format!("c{n}")),
        facts.important.clone().map(|m| format!("!{m}")),
        Some(facts.kind.clone()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[test]
fn names_from_the_field_are_read() {
    let table = [
        ("dcam", "DCAM_A12_00317_20261123_101500.mp4", "A12 00317 2026-11-23T10:15:00 video"),
        ("dcam", "x/DCAM_A12_张三_20261123_101500_IMP.mp4", "A12 张三 2026-11-23T10:15:00 !IMP video"),
        ("dcam", "dcam_a12_1_20261123_101500_imp.MP4", "a12 1 2026-11-23T10:15:00 !imp video"),
        ("dcam", "DCAM_A12_1_20261123_101500_L3.jpg", "A12 1 2026-11-23T10:15:00 !3 photo"),
        ("dcam", "DCAM_A12_1_20261123_101500_002.wav", "A12 1 2026-11-23T10:15:00 #2 audio"),
        ("dcam", "DCAM_A12_1_20261123_101500.mp4.gps", "A12 1 2026-11-23T10:15:00 sidecar"),
        ("dcam", "DCAM_A12_1_20261345_101500.mp4", "A12 1 video"),
        ("dcam", "DCAM_A12_1_19700101_000000.mp4", "A12 1 1970-01-01T00:00:00 video"),
        ("dcam", "2017_holiday.mp4", "video"),
        ("dcim", "DCIM/100MEDIA/DSC_0042.JPG", "#42 photo"),
        ("dcim", "DCIM/Camera/VID_20261123_101500.mp4", "2026-11-23T10:15:00 video"),
        ("dcim", "DCIM/Camera/PXL_20261123_101500123.MP.jpg", "2026-11-23T10:15:00 photo"),
        ("datefolders", "2026-11-23/101500.mp4", "2026-11-23T10:15:00 video"),
        ("datefolders", "2026-11-23/10-15-00_1.mp4", "2026-11-23T10:15:00 video"),
        ("datefolders", "v/20261123/REC101500.avi", "2026-11-23T10:15:00 video"),
        ("datefolders", "20261123/20261123_101500.avi", "2026-11-23T10:15:00 video"),
        ("gopro", "GH010527.MP4", "#527 c1 video"),
        ("gopro", "gx020527.mp4", "#527 c2 video"),
        ("gopro", "GOPR1234.MP4", "#1234 c0 video"),
        ("gopro", "GP011234.MP4", "#1234 c1 video"),
        ("gopro", "GL010527.LRV", "#527 c1 sidecar"),
        ("yi", "YDXJ0001.mp4", "#1 video"),
        ("yi", "YDXJ0001_thm.mp4", "#1 sidecar"),
        ("dashcam", "2017_0101_060101_001A.MP4", "2017-01-01T06:01:01 #1 video"),
        ("generic", "REC-20261123101500-2.h264", "2026-11-23T10:15:00 video"),
        ("generic", "2026-11-23 10-15-00.enc", "2026-11-23T10:15:00 video"),
        ("generic", "noise.xyz", "other"),
        ("generic", ".mp4", "video"),
        ("generic", "", "other"),
    ];
    for (profile, path, expected) in table {
        assert_eq!(line(&parsed(profile, path)), expected, "{profile} {path}");
    }
}

#[test]
fn a_name_in_gbk_is_read() {
    let name = encoding_rs::GBK.encode("DCAM_A1_王五_20261123_101500.mp4").0.into_owned();
    let path = PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(name));
    let facts = Profiles::builtin().get("dcam").unwrap().parse(&path);
    assert_eq!(facts.officer.as_deref(), Some("王五"));
}

#[test]
fn a_value_that_could_lie_on_a_screen_is_not_taken() {
    let facts = parsed("dcam", "DCAM_A1_b\u{202e}d_20261123_101500.mp4");
    assert_eq!((facts.device.as_deref(), facts.officer), (Some("A1"), None));
}

#[test]
fn times_are_read_in_the_zone_of_the_profile() {
    let mut profile = Profiles::builtin().get("dcam").unwrap().clone();
    profile.zone = Zone::Fixed("+08:00".parse().unwrap());
    let time = |name: &str| profile.parse(Path::new(name)).time(&profile).map(|t| t.to_rfc3339());
    assert_eq!(time("DCAM_1_2_20261123_101500.mp4").unwrap(), "2026-11-23T02:15:00+00:00");
    assert_eq!(time("DCAM_1_2_19700101_000000.mp4"), None);
    assert_eq!(time("DCAM_1_2_99991231_235959.mp4"), None);
    assert_eq!(time("other.mp4"), None);
    assert!(Zone::Station.to_utc(chrono::NaiveDate::from_ymd_opt(2026, 6, 1).unwrap().into()).is_some());
}

#[test]
fn cards_are_told_by_most_of_their_media() {
    let profiles = Profiles::builtin();
    let detect = |groups: &[(usize, &str)]| {
        let names: Vec<PathBuf> = groups
            .iter()
            .flat_map(|(n, name)| (0..*n).map(move |i| PathBuf::from(name.replace('#', &format!("{i:04}")))))
            .collect();
        let found = profiles.detect(&mut names.iter().map(PathBuf::as_path));
        format!("{}: {}", found.profile.id, found.reason)
    };
    let dcam = "DCIM/100MEDIA/DCAM_A1_7_20261123_10#.mp4".replace('#', "1500_#");
    let table: [(&[(usize, &str)], &str); 11] = [
        (
            &[(412, &dcam), (18, "DCIM/100MEDIA/IMG_#.JPG")],
            "dcam: 412 of 430 names match dcam (next best: dcim, 18)",
        ),
        (&[(3, "DCIM/100MEDIA/IMG_#.JPG")], "dcim: 3 of 3 names match dcim (no other)"),
        (&[(3, "DCIM/100GOPRO/GH01#.MP4")], "gopro: 3 of 3 names match gopro (no other)"),
        (&[(2, "2026-11-23/a/#.mp4")], "datefolders: 2 of 2 names match datefolders (no other)"),
        (&[(2, "20261123/#.mp4")], "datefolders: 2 of 2 names match datefolders (no other)"),
        (&[(2, "files/data/#.mp4")], "filesdata: 2 of 2 names match filesdata (no other)"),
        (&[(2, "YDXJ#.mp4")], "yi: 2 of 2 names match yi (no other)"),
        (&[(2, "2017_0101_060101_#A.mp4")], "dashcam: 2 of 2 names match dashcam (no other)"),
        (
            &[(2, "a#.mp4"), (1, "YDXJ#.mp4")],
            "generic: 2 of 3 names are known to no other profile (next best: yi, 1)",
        ),
        (&[(1, &dcam), (9, "#.log"), (9, "#.exe")], "dcam: 1 of 1 names match dcam (no other)"),
        (&[(9, "#.exe")], "generic: no media, sidecar or log to tell the profile by"),
    ];
    for (groups, expected) in table {
        assert_eq!(detect(groups), expected);
    }
}

#[test]
fn the_shipped_profiles_are_complete_and_documented() {
    let profiles = Profiles::builtin();
    let ids: Vec<_> = profiles.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["dcam", "gopro", "yi", "dashcam", "datefolders", "filesdata", "dcim", "generic"]);
    for profile in profiles.iter() {
        assert!(!profile.name.is_empty() && !profile.name_zh.is_ascii(), "{}", profile.id);
        let file = format!("{}/config/profiles/{}.toml", env!("CARGO_MANIFEST_DIR"), profile.id);
        assert!(std::fs::read_to_string(&file).unwrap().starts_with("# "), "{file} begins with a comment");
    }
    assert!(profiles.get("dcam").unwrap().recorder_from_device());
    assert!(!profiles.get("generic").unwrap().recorder_from_device());
    assert_eq!(profiles.get("gopro").unwrap().take_rule(), TakeRule::Chapter);
    let gap = TakeRule::Gap { max_gap_ms: 3000, by: By::Officer };
    assert_eq!(profiles.get("dcam").unwrap().take_rule(), gap);
}

#[test]
fn every_key_is_explained_in_the_generic_profile() {
    let text = include_str!("../../../config/profiles/generic.toml");
    let set = [
        "id =",
        "name =",
        "name_zh =",
        "priority =",
        "detect =",
        "include =",
        "exclude =",
        "time_zone =",
        "recorder_from =",
        "[kinds]",
        "[[name_pattern]]",
        "[[sidecar]]",
        "[take]",
    ];
    for key in set {
        assert!(text.lines().any(|l| l.starts_with(key)), "{key} is not shown");
    }
    let said = [
        "`device`",
        "`officer`",
        "`date`",
        "`time`",
        "`seq`",
        "`number`",
        "`chapter`",
        "`mark`",
        "`level`",
        "folder ",
        "time_format ",
        "kind ",
        "chapter ",
        "`same-stem`",
        "`other-prefix`",
        "`prefix`",
        "`owner_prefixes`",
        "`max_gap_seconds`",
        "`by`",
        "`other`",
    ];
    for key in said {
        assert!(text.lines().any(|l| l.starts_with('#') && l.contains(key)), "{key} is not explained");
    }
}

fn load(files: &[(&str, &str)]) -> Result<Profiles, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    Profiles::load(dir.path())
}

const HEAD: &str = "name = \"Ours\"\nname_zh = \"我们的\"\n";

#[test]
fn the_stations_own_profiles_replace_and_add() {
    let ours = format!(
        "id = \"ours\"\npriority = 90\ndetect = [\"OURS/**\"]\n{HEAD}\n[kinds]\nother = [\"jpg\"]\nvideo = [\"xyz\"]\n"
    );
    let generic = format!(
        "id = \"generic\"\ntime_zone = \"-03:00\"\n{HEAD}\n[kinds]\nvideo = [\"mp4\"]\nphoto = [\"jpg\"]\n"
    );
    let profiles =
        load(&[("a.toml", &ours), ("b.toml", &generic), ("readme.md", "no"), (".c.toml", "no")]).unwrap();
    let ours = profiles.get("ours").unwrap();
    assert_eq!(profiles.iter().next().unwrap().id, "ours");
    assert_eq!(ours.zone(), Zone::Fixed("-03:00".parse().unwrap()));
    assert_eq!((ours.kind_of("xyz"), ours.kind_of("jpg"), ours.kind_of("mp4")), ("video", "other", "video"));
    assert_eq!(profiles.get("dcam").unwrap().kind_of("avi"), "other", "all stand on the station's generic");
    let names = [Path::new("OURS/1.mp4")];
    assert_eq!(profiles.detect(&mut names.into_iter()).profile.id, "ours");
}

#[test]
fn every_problem_is_named_with_its_file_and_key() {
    let a = format!(
        "id = \"a b\"\n{HEAD}colour = 1\npriority = \"x\"\nexclude = [{{ glob = \"*\" }}]\n[take]\nrule = \"never\"\n[[name_pattern]]\npatern = \"x\"\n"
    );
    let b = format!(
        "id = \"b\"\n{HEAD}detect = [\"[\"]\ntime_zone = \"noon\"\nrecorder_from = \"device\"\n[kinds]\nmovie = [\"m\"]\nlog = [\"l\"]\nvideo = [\"l\"]\n[take]\nrule = \"gap\"\n\
         [[name_pattern]]\npattern = '('\n[[name_pattern]]\npattern = '(?<date>.)(?<x>.)'\nkind = \"k\"\n[[name_pattern]]\npattern = '(?<date>.)'\ntime_format = \"%Y\"\n[[name_pattern]]\npattern = '((((.{{1000}}){{1000}}){{1000}}){{9}})'\n[[sidecar]]\nextensions = [\"s\"]\nrule = \"other-prefix\"\n"
    );
    let twice = format!("id = \"b\"\n{HEAD}");
    let problems =
        load(&[("a.toml", &a), ("b.toml", &b), ("c.toml", &twice), ("d.toml", "= 1"), ("e.toml", "")]);
    let problems = problems.unwrap_err().join("\n");
    let wanted = [
        "a.toml: id: letters",
        "a.toml: colour is not a key",
        "a.toml: priority: ",
        "a.toml: exclude[1]: ",
        "a.toml: take: ",
        "a.toml: name_pattern[1]: ",
        "c.toml: id: `b` is already the id of b.toml",
        "d.toml: ",
        "e.toml: id is missing",
        "e.toml: name_zh is missing",
    ];
    for line in wanted {
        assert!(problems.contains(line), "{line}\nin\n{problems}");
    }
    let problems = load(&[("b.toml", &b)]).unwrap_err().join("\n");
    let wanted = [
        "b.toml: detect[1]: ",
        "b.toml: time_zone: ",
        "b.toml: recorder_from: no name_pattern",
        "b.toml: kinds.movie: the kinds are",
        "b.toml: kinds.video: `l` already stands in kinds.log",
        "b.toml: take.max_gap_seconds: is missing",
        "b.toml: name_pattern[1].pattern: ",
        "b.toml: name_pattern[2].pattern: has a group `x`",
        "b.toml: name_pattern[2].time_format: is missing",
        "b.toml: name_pattern[2].kind: ",
        "b.toml: name_pattern[3].time_format: `%Y` must read",
        "b.toml: name_pattern[4].pattern: ",
        "b.toml: sidecar[1].rule: ",
    ];
    for line in wanted {
        assert!(problems.contains(line), "{line}\nin\n{problems}");
    }
    assert!(
        Profiles::load(Path::new("/nonexistent")).unwrap_err()[0].starts_with("/nonexistent: cannot list")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_breaks_a_profile(bytes in proptest::collection::vec(any::<u8>(), 0..80), like in "DCAM_[^/]{0,9}_[0-9]{8}_[0-9]{6}(_IMP)?.mp4") {
        let name = <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes);
        thread_local!(static PROFILES: Profiles = Profiles::builtin());
        PROFILES.with(|profiles| {
            for path in [PathBuf::from(&name), PathBuf::from(&like)] {
                for profile in profiles.iter() {
                    let facts = profile.parse(&path);
                    assert!(KINDS.contains(&facts.kind.as_str()));
                    let values = [&facts.device, &facts.officer, &facts.important, &facts.sidecar_of];
                    assert!(values.into_iter().flatten().all(|v| !v.chars().any(is_harmful)));
                    let _ = (facts.time(profile), profile.leaves(&path, &facts.kind));
                }
                profiles.detect(&mut [path.as_path()].into_iter());
            }
        });
    }
}
