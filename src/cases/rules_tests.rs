use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;

fn case() -> CaseView {
    CaseView {
        number: "岳屈自然资罚〔2026〕12号".into(),
        officers: vec![(1, "HN001".into(), "张三".into()), (2, "HN002".into(), "李四".into())],
        opened_at: 10 * HOUR,
        until: 100 * HOUR,
        address: "屈原管理区某村 28.8512,112.9033".into(),
        steps: vec![
            StepView { id: 7, from: Some(20 * HOUR), to: Some(22 * HOUR) },
            StepView { id: 8, from: Some(30 * HOUR), to: Some(31 * HOUR) },
            StepView { id: 9, from: None, to: None },
        ],
    }
}

fn footage(taken_at: i64) -> Footage {
    Footage {
        id: "r".into(),
        taken_at,
        duration: Some(HOUR / 2),
        time_by_name: true,
        path: "DCIM/a.mp4".into(),
        ..Footage::default()
    }
}

#[test]
fn each_rule_has_its_say() {
    use Reason::{
        Held, HolderUnknown, InStep, LastIssued, Marked, Named, Near, Number, NumberTail, PartlyInStep,
        TimeUnknown, WhileOpen,
    };
    let (zhang, li) = (|| "张三".to_owned(), || "李四".to_owned());
    let held = |at| Footage { holder: Some(1), ..footage(at) };
    type Told = Option<(Option<i64>, Vec<Reason>)>;
    let table: Vec<(&str, Footage, Told)> = vec![
        ("nothing but the case's time", footage(50 * HOUR), None),
        ("held, in a step", held(20 * HOUR), Some((Some(7), vec![Held(zhang()), InStep, WhileOpen]))),
        (
            "held, over the step's end",
            held(22 * HOUR - 1),
            Some((Some(7), vec![Held(zhang()), PartlyInStep, WhileOpen])),
        ),
        ("held, in no step", held(50 * HOUR), Some((None, vec![Held(zhang()), WhileOpen]))),
        ("held, before the case was opened", held(9 * HOUR), Some((None, vec![Held(zhang())]))),
        ("a stranger's, in a step", Footage { holder: Some(5), ..footage(20 * HOUR) }, None),
        ("nobody's, in a step", footage(20 * HOUR), Some((Some(7), vec![InStep, WhileOpen, HolderUnknown]))),
        ("nobody's, partly in a step", footage(22 * HOUR - 1), None),
        (
            "a stranger's recorder with an officer's number",
            Footage { holder: Some(5), name_badge: Some("HN002".into()), ..footage(50 * HOUR) },
            Some((None, vec![Named(li()), WhileOpen])),
        ),
        (
            "a number of nobody on the case",
            Footage { holder: Some(5), name_badge: Some("HN009".into()), ..footage(50 * HOUR) },
            None,
        ),
        (
            "the case's number in the path",
            Footage {
                holder: Some(5), path: "岳屈自然资罚(2026)12号/1.mp4".into(), ..footage(500 * HOUR)
            },
            Some((None, vec![Number])),
        ),
        (
            "its end",
            Footage { holder: Some(1), path: "12号案/1.mp4".into(), ..footage(50 * HOUR) },
            Some((None, vec![Held(zhang()), NumberTail, WhileOpen])),
        ),
        (
            "a stranger's with no more than that end",
            Footage { holder: Some(5), path: "12号案/1.mp4".into(), ..footage(50 * HOUR) },
            None,
        ),
        (
            "near",
            Footage {
                holder: Some(5),
                place: Some((28.8520, 112.9040)),
                important: true,
                ..footage(50 * HOUR)
            },
            Some((None, vec![Near(112), WhileOpen, Marked])),
        ),
        (
            "of a reset clock: first seen in a step, while an officer held the recorder",
            Footage { time_unknown: true, holder: Some(1), last_issued: Some(2), ..footage(20 * HOUR) },
            Some((None, vec![LastIssued(li()), TimeUnknown])),
        ),
        (
            "of a reset clock, of a recorder nobody took out",
            Footage { time_unknown: true, ..footage(20 * HOUR) },
            None,
        ),
        ("far", Footage { holder: Some(5), place: Some((28.90, 112.90)), ..footage(50 * HOUR) }, None),
    ];
    for (what, f, expected) in table {
        let found = judge(&case(), &f).map(|p| (p.step, p.reasons));
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn numbers_are_read_as_numbers() {
    let number = "岳屈自然资罚〔2026〕12号";
    for (path, expected) in [
        ("岳屈自然资罚2026-12号/a.mp4", Some(Reason::Number)),
        ("岳屈自然资罚（2026）１２号.mp4", Some(Reason::Number)),
        ("x/12号/a.mp4", Some(Reason::NumberTail)),
        ("x/112号/a.mp4", None),
        ("20261201.mp4", None),
    ] {
        assert_eq!(number_in(number, path), expected, "{path}");
    }
    assert_eq!(number_in("1", "DCIM/1.mp4"), None);
    assert_eq!(number_in("A-2026-7", "A-2026-77.mp4"), None);
}

#[test]
fn the_likeliest_comes_first() {
    let at = |id: &str, f: Footage| Footage { id: id.into(), ..f };
    let all = [
        at("open", Footage { holder: Some(1), ..footage(60 * HOUR) }),
        at("unknown", footage(20 * HOUR)),
        at("step", Footage { holder: Some(2), ..footage(30 * HOUR) }),
        at("newer", Footage { holder: Some(1), ..footage(61 * HOUR) }),
    ];
    let order: Vec<_> = rank(&case(), &all).into_iter().map(|p| p.recording).collect();
    assert_eq!(order, ["step", "newer", "open", "unknown"]);
}

#[test]
fn only_what_leaves_no_doubt_is_certain() {
    let step = |case, step, from, to| OpenStep { case, step, from, to };
    let one =
        vec![step(1, 7, Some(20 * HOUR), Some(22 * HOUR)), step(2, 9, Some(40 * HOUR), Some(41 * HOUR))];
    let mine = Footage { holder: Some(1), ..footage(20 * HOUR) };
    assert_eq!(certain(&mine, &one).map(|s| s.step), Some(7));
    let photo = Footage { duration: Some(0), ..mine.clone() };
    assert_eq!(certain(&photo, &one).map(|s| s.step), Some(7));
    for (what, doubt) in [
        ("nobody's", Footage { holder: None, ..mine.clone() }),
        ("length unknown", Footage { duration: None, ..mine.clone() }),
        ("time from elsewhere", Footage { time_by_name: false, ..mine.clone() }),
        ("over the end", Footage { taken_at: 22 * HOUR - 1, ..mine.clone() }),
        ("outside", Footage { taken_at: 30 * HOUR, ..mine.clone() }),
    ] {
        assert_eq!(certain(&doubt, &one), None, "{what}");
    }
    for (what, other) in [
        ("another case at the same time", step(2, 8, Some(20 * HOUR), Some(21 * HOUR))),
        ("another step touches it", step(1, 8, Some(20 * HOUR + HOUR / 4), Some(30 * HOUR))),
        ("another without an end may hold it", step(2, 8, Some(19 * HOUR), None)),
    ] {
        let two = [one.clone(), vec![other]].concat();
        assert_eq!(certain(&mine, &two), None, "{what}");
    }
    assert_eq!(certain(&mine, &[step(1, 7, Some(20 * HOUR), None)]), None, "an open end");
}

#[test]
fn places_are_read() {
    for (text, expected) in [
        ("28.8512,112.9033", Some((28.8512, 112.9033))),
        ("某村（28.8512，112.9033）", Some((28.8512, 112.9033))),
        ("+28.8512+112.9033/", Some((28.8512, 112.9033))),
        ("-28.8512-112.9033+010.0/", Some((-28.8512, -112.9033))),
        ("村道 12.5 公里处", None),
        ("某村 3 组 12 号", None),
        ("128.85,112.9", None),
        ("", None),
    ] {
        assert_eq!(coordinates(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn nothing_in_a_name_or_address_is_too_odd(
        number: String, path: String, address: String,
        taken_at: i64, duration: Option<i64>, from: Option<i64>, to: Option<i64>,
    ) {
        let (from, to) = match (from, to) {
            (Some(a), Some(b)) if b < a => (Some(b / 2), Some(a / 2)),
            (a, b) => (a.map(|t| t / 2), b.map(|t| t / 2)),
        };
        let case = CaseView { number, address, steps: vec![StepView { id: 1, from, to }], ..case() };
        let f = Footage { path, duration, place: Some((1.0, 1.0)), holder: Some(1), ..footage(taken_at) };
        let told = judge(&case, &f);
        prop_assert!(told.is_some(), "its holder is on the case");
        let steps = [OpenStep { case: 1, step: 1, from, to }];
        if certain(&f, &steps).is_some() {
            prop_assert!(told.unwrap().reasons.contains(&Reason::InStep));
        }
    }
}
