//! The case that each shift opens: officers, steps by a checklist, links to the footage of the shift, and the
//! end of the act and of the case weeks later.

use docket::base::segment::{number_key, words};
use rusqlite::{Connection, Statement, params};
use serde_json::json;

use super::make::{DAY, HOUR, Log, MINUTE, Shift, badge, row};
use super::names::{Dice, address, kind, matter, party};
use super::rows::Recorded;

/// What happens to a case after it was opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event {
    ActEnded,
    Closed,
}

/// Of the shipped checklist: key, English, Chinese, whether footage is required.
const STEPS: [(&str, &str, &str, &str); 8] = [
    ("site-inspection", "Site inspection", "现场检查（勘验）", "required"),
    ("sampling", "Sampling", "抽样调查", "required"),
    ("hearing", "Hearing", "听证取证", "required"),
    ("inquiry", "Inquiry and other evidence-taking", "询问及其他调查取证", "optional"),
    ("preservation", "Preservation of evidence", "证据保全", "recommended"),
    ("left-service", "Service by leaving", "留置送达", "required"),
    ("public-service", "Service by notice", "公告送达", "recommended"),
    ("correction", "Check of a correction", "责令改正复查", "optional"),
];

pub struct Cases<'a> {
    case: Statement<'a>,
    words: Statement<'a>,
    officer: Statement<'a>,
    step: Statement<'a>,
    link: Statement<'a>,
    ended: Statement<'a>,
    closed: Statement<'a>,
    deadline: Statement<'a>,
    met: Statement<'a>,
    /// Names of the officers, by row.
    names: Vec<String>,
    links: i64,
    steps: i64,
}

/// The number of the case of a shift: numbered anew each year, as a unit does.
pub fn number(shift: &Shift, word: &str) -> String {
    let year = if shift.day < 1_767_196_800_000 { 2025 } else { 2026 };
    format!("岳屈自然资{word}〔{year}〕{}号", shift.number + 1)
}

/// Kind and number word are drawn from the shift alone, so that later events find the number again.
fn drawn(shift: &Shift) -> (&'static str, String) {
    let (kind, word) = kind(&mut Dice::new(shift.number));
    (kind, number(shift, word))
}

impl<'a> Cases<'a> {
    pub fn new(db: &'a Connection, names: Vec<String>) -> Self {
        let prepare = |sql: &str| db.prepare(sql).expect("a statement");
        Self {
            case: prepare(
                "INSERT INTO case_file (id, number, number_key, kind, checklist, title, parties, address, unit, stage,
                   opened_at) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, '调查取证', ?9)",
            ),
            words: prepare("INSERT INTO case_words (rowid, words) VALUES (?1, ?2)"),
            officer: prepare("INSERT OR IGNORE INTO case_officer VALUES (?1, ?2)"),
            step: prepare(
                "INSERT INTO case_step (id, case_file, key, name, name_zh, place, av, retention, article, applies, from_at, to_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'case', '11', ?8, ?9, ?10)",
            ),
            link: prepare(
                "INSERT INTO link (id, recording, step, reason, linked_by, linked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            ),
            ended: prepare("UPDATE case_file SET act_ended_at = ?2, stage = '审核' WHERE id = ?1"),
            closed: prepare("UPDATE case_file SET closed_at = ?2, stage = '归档' WHERE id = ?1"),
            deadline: prepare(
                "INSERT INTO deadline (subject, kind, earliest, latest, reason, officer, unit, state, next_at)
                 VALUES (?1, 'case', ?2, ?2, '30 days from the end of the act', ?3, ?4, 'running', ?5)",
            ),
            met: prepare("UPDATE deadline SET state = 'met', met_at = ?2, next_at = NULL WHERE subject = ?1"),
            names,
            links: 0,
            steps: 0,
        }
    }

    /// Opens the case of a shift; its inspection took place in that shift, and was filmed.
    pub fn open(&mut self, log: &mut Log<'_>, dice: &mut Dice, shift: &Shift, made: &[Recorded]) {
        let (id, (kind, number)) = (row(shift.number + 1), drawn(shift));
        let (party, at) = (party(dice), shift.day + 9 * HOUR);
        let (title, place) = (format!("{party}{}案", matter(dice)), address(dice));
        self.case
            .execute(params![id, number, number_key(&number), kind, title, party, place, shift.unit, at])
            .expect("a case");
        let mut text = [number.as_str(), title.as_str(), party.as_str(), place.as_str()].join(" ");
        for officer in [shift.officer, shift.second] {
            let name = &self.names[usize::try_from(officer - 1).expect("an index")];
            text = format!("{text} {} {name}", badge(officer));
            self.officer.execute(params![id, officer]).expect("an officer on a case");
        }
        self.words.execute(params![id, words(&text)]).expect("the words of a case");
        let actor = format!("officer:{}", badge(shift.officer));
        let object = format!("case:{number}");
        let details = json!({ "address": place, "kind": kind, "officers": [badge(shift.officer), badge(shift.second)],
            "parties": party, "title": title });
        log.add(at, &actor, "case.opened", object.clone(), details);
        let (from, to) = (shift.day + 9 * HOUR, shift.day + 11 * HOUR + 30 * MINUTE);
        let mut inspection = 0;
        for (place, (key, name, name_zh, av)) in STEPS.iter().enumerate() {
            self.steps += 1;
            let first = place == 0;
            let times = if first { (Some(from), Some(to)) } else { (None, None) };
            self.step
                .execute(params![
                    self.steps,
                    id,
                    key,
                    name,
                    name_zh,
                    row(place as u64 + 1),
                    av,
                    first,
                    times.0,
                    times.1
                ])
                .expect("a step");
            if first {
                inspection = self.steps;
            }
        }
        let details = json!({ "from": from, "step": "site-inspection", "to": to });
        log.add(at, &actor, "case.step", object.clone(), details);
        // One of what was filmed then is linked; the others are for suggestions.
        let Some(recorded) = made.iter().find(|r| r.from < to && r.to > from) else { return };
        self.links += 1;
        let (when, why) = (shift.day + 20 * HOUR, "现场检查全程录像");
        self.link.execute(params![self.links, recorded.id, inspection, why, actor, when]).expect("a link");
        let details =
            json!({ "link": self.links, "recording": recorded.id, "step": "site-inspection", "why": why });
        log.add(when, &actor, "case.linked", object, details);
        let details = json!({ "case": number, "link": self.links, "step": "site-inspection", "why": why });
        log.add(when, &actor, "recording.linked", format!("recording:{}", recorded.id), details);
    }

    /// The act ends, or the case is closed. One in forty is closed by nobody.
    pub fn event(&mut self, log: &mut Log<'_>, then: &Shift, at: i64, event: Event) {
        let (id, (_, number)) = (row(then.number + 1), drawn(then));
        let (object, subject) = (format!("case:{number}"), format!("case:{number}"));
        let actor = format!("officer:{}", badge(then.officer));
        match event {
            Event::ActEnded => {
                self.ended.execute(params![id, at]).expect("a case");
                let due = at + 30 * DAY;
                self.deadline
                    .execute(params![subject, due, then.officer, then.unit, due - 5 * DAY])
                    .expect("a deadline");
                log.add(at, &actor, "case.act_ended", object, json!({ "ended_at": at }));
            }
            Event::Closed if then.number % 40 == 7 => {}
            Event::Closed => {
                self.closed.execute(params![id, at]).expect("a case");
                self.met.execute(params![subject, at]).expect("a deadline");
                log.add(at, &actor, "case.closed", object, json!({}));
            }
        }
    }
}
