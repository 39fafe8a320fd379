//! The second half of the demo: who holds which recorder, a case that its footage is linked to, and the
//! clocks: one card that came late, one recorder that did not come at all, and the alerts about them.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::demo_sinks::Sink;
use super::words::{self, t};
use super::{cases as case_screens, demo_cards, output};
use crate::access::{Person, Role};
use crate::alert::outbox::Outbox;
use crate::base::clock::{from_ms, to_ms};
use crate::base::config::Config;
use crate::base::config::channels::{Address, Channel, Email, Format, Security, Severity, Via, Webhook};
use crate::base::{Cancel, Error, Kind, Result};
use crate::cases::checklist::Checklists;
use crate::cases::ledger::{Take, issue};
use crate::cases::link::{self, link};
use crate::cases::registers::{
    Must, OfficerChange, RecorderChange, UnitChange, put_officer, put_recorder, put_unit,
};
use crate::cases::{case, suggest::suggest};
use crate::catalog::ledger::Condition;
use crate::catalog::recorders::State;
use crate::catalog::recordings::Recording;
use crate::catalog::{alerts, cases, deadlines, ledger};
use crate::deadline::watch::Watch;
use crate::ingest::station::Station;

const UNIT: &str = "4306";
const CASE: &str = "岳屈自然资罚〔2026〕12号";
/// Badge, name, role, recorder.
const PEOPLE: [(&str, &str, Role, Option<&str>); 6] = [
    ("43069901", "李明", Role::Officer, Some(demo_cards::NAMES[0])),
    ("43069902", "张伟", Role::Officer, Some(demo_cards::NAMES[1])),
    ("43069903", "王强", Role::Officer, Some(demo_cards::NAMES[2])),
    ("43069904", "赵敏", Role::Officer, Some(MISSING)),
    ("43069910", "陈静", Role::Head, None),
    ("43069920", "刘芳", Role::Supervisor, None),
];
/// The recorder that nobody docks.
const MISSING: &str = "ZFY-0425";
/// How long an alert may take to arrive on this machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn demo() -> Person {
    Person::administrator("command:demo".into())
}

/// Channels to the demo's own receivers.
pub fn channels(web: &Sink, mail: &Sink) -> Result<Vec<Channel>> {
    let url = format!("http://{}/alerts", web.at);
    let url = reqwest::Url::parse(&url).map_err(|e| Error::new(Kind::Invalid, e.to_string()))?;
    let one = |name: &str, via| Channel {
        name: name.into(),
        severity: Severity::Warning,
        kinds: Vec::new(),
        timeout: 5,
        via,
    };
    let hook = Webhook { url: Address(url), format: Format::Docket, secret_file: None, ca_file: None };
    let post = Email {
        server: mail.at.ip().to_string(),
        port: mail.at.port(),
        security: Security::None,
        username: None,
        password_file: None,
        from: "docket@localhost".into(),
        to: Vec::new(),
        officers: true,
        ca_file: None,
    };
    Ok(vec![one("webhook", Via::Webhook(Box::new(hook))), one("mail", Via::Email(Box::new(post)))])
}

/// Registers unit, officers and recorders, and enters who took which; once. `began` tells when the cards'
/// footage begins.
pub fn register(station: &Station, began: &[DateTime<Utc>]) -> Result<()> {
    let (who, now) = (demo(), station.core.clock.now());
    let out_since: Vec<DateTime<Utc>> = began
        .iter()
        .map(|at| *at - TimeDelta::minutes(30))
        .chain(std::iter::once(now - TimeDelta::hours(26)))
        .collect();
    station.core.catalog.write(move |tx| {
        let unit =
            UnitChange {
                code: UNIT.into(), name: Some("自然资源执法大队".into()), ..UnitChange::default()
            };
        put_unit(tx, &who, now, &unit, Must::Put)?;
        for (badge, name, role, _) in PEOPLE {
            let officer = OfficerChange {
                badge: badge.into(),
                name: Some(name.into()),
                unit: Some(UNIT.into()),
                role: Some(role),
                email: Some(Some(format!("{badge}@example.org"))),
                ..OfficerChange::default()
            };
            put_officer(tx, &who, now, &officer, Must::Put)?;
        }
        let holders = PEOPLE.iter().filter_map(|(badge, _, _, recorder)| Some((*badge, (*recorder)?)));
        for ((badge, recorder), since) in holders.zip(out_since) {
            let entry = RecorderChange {
                id: recorder.into(),
                unit: Some(Some(UNIT.into())),
                state: Some(State::InService),
                ..RecorderChange::default()
            };
            put_recorder(tx, &who, now, &entry, Must::Put)?;
            if ledger::last_issue_before(tx, recorder, i64::MAX)?.is_some() {
                continue;
            }
            let take = Take {
                recorder: recorder.into(),
                badge: badge.into(),
                purpose: "现场检查".into(),
                issued_at: to_ms(since),
                issued: Condition { battery: Some(96), free: Some(60 << 30), clock: None },
                returned: None,
                note: String::new(),
            };
            issue(tx, &who, now, &take)?;
        }
        Ok(())
    })
}

/// What the second half came to, for `--json`.
pub struct Story {
    /// Links of the case: number, whether a rule proposed it.
    pub links: Vec<(i64, bool)>,
    /// What the webhook and the mail server received.
    pub heard: Vec<(&'static str, String)>,
}

/// Links footage to a case, lets the clocks judge, and waits for the alerts to arrive.
pub fn tell(
    station: &Arc<Station>,
    config: &Config,
    list: &[&Recording],
    sinks: (&Sink, &Sink),
    cancel: &Cancel,
) -> Result<Story> {
    let links = link_case(station, config, list)?;
    let catalog = &station.core.catalog;
    let (watch, by) = (Watch::new(config), || station.core.by());
    watch.catch_up(catalog, &by)?;
    watch.pass_time(catalog, &by)?;
    let stop = cancel.child();
    let outbox = Outbox::start(Arc::clone(station), stop.clone())?;
    let _ = outbox.bell().send(());
    let heard = hear(station, sinks, cancel);
    stop.cancel();
    outbox.join();
    Ok(Story { links, heard: heard? })
}

/// Waits until nothing is left to be delivered; what arrived by then.
fn hear(station: &Station, sinks: (&Sink, &Sink), cancel: &Cancel) -> Result<Vec<(&'static str, String)>> {
    let end = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    let take = |from: &Receiver<String>, name, heard: &mut Vec<_>| {
        heard.extend(from.try_iter().map(|message| (name, message)));
    };
    loop {
        let waiting = station.core.catalog.read(crate::catalog::outbox::counts)?.0;
        take(&sinks.0.heard, "webhook", &mut heard);
        take(&sinks.1.heard, "mail", &mut heard);
        if waiting == 0 || Instant::now() >= end {
            return Ok(heard);
        }
        cancel.sleep(Duration::from_millis(50));
        cancel.check()?;
    }
}

fn link_case(station: &Station, config: &Config, list: &[&Recording]) -> Result<Vec<(i64, bool)>> {
    let (who, now) = (demo(), station.core.clock.now());
    let known = station.core.catalog.read(|db| Ok(cases::find(db, CASE).ok()))?;
    if known.is_some() {
        return Ok(Vec::new());
    }
    let of = |recorder: &str, kind: &str| {
        list.iter().filter(|r| r.recorder == recorder && r.kind == kind).min_by_key(|r| r.taken_at)
    };
    let (Some(first), Some(by_hand)) = (of(demo_cards::NAMES[0], "video"), of(demo_cards::NAMES[1], "video"))
    else {
        return Ok(Vec::new());
    };
    let (from, to) = (from_ms(first.taken_at) - TimeDelta::minutes(5), from_ms(first.taken_at));
    let window = (from, to + TimeDelta::minutes(45));
    let by_hand = by_hand.id.clone();
    let checklists = Checklists::load(config)?;
    station.core.catalog.write(move |tx| {
        let new = case::New {
            number: CASE.into(),
            kind: "penalty".into(),
            title: "涉嫌非法占用耕地".into(),
            parties: "某建材有限公司".into(),
            address: "屈原管理区营田镇".into(),
            unit: Some(UNIT.into()),
            officers: vec![PEOPLE[0].0.into(), PEOPLE[1].0.into()],
            opened_at: Some(window.0 - TimeDelta::days(1)),
            ..case::New::default()
        };
        case::open(tx, &who, now, &checklists, &new)?;
        let step =
            case::StepChanges { from: Some(Some(window.0)), to: Some(Some(window.1)), ..Default::default() };
        case::set_step(tx, &who, now, CASE, "site-inspection", &step)?;
        let mut made = Vec::new();
        // The rules propose, a person decides: the three likeliest go to their step.
        for s in suggest(tx, &who, now, CASE, 3)? {
            let Some(step) = s.step else { continue };
            let reasons: Vec<String> = s.proposal.reasons.iter().map(|r| r.words()).collect();
            let new = link::New {
                number: CASE.into(),
                step: step.key,
                recording: s.recording.id,
                span: None,
                reason: reasons.join("; "),
            };
            made.push((link(tx, &who, now, &new)?.id, true));
        }
        let new = link::New {
            number: CASE.into(),
            step: "sampling".into(),
            recording: by_hand,
            span: Some((1000, 5000)),
            reason: "抽样封存过程".into(),
        };
        made.push((link(tx, &who, now, &new)?.id, false));
        Ok(made)
    })
}

/// Prints the second half.
pub fn print(station: &Station, config: &Config, story: &Story) -> Result<()> {
    let catalog = &station.core.catalog;
    output::line(&format!("\n{}", t("The case:", "案卷：")))?;
    catalog.read(|db| case_screens::print_case(db, config, CASE))?;
    output::line(&format!("\n{}", t("The clocks:", "时限：")))?;
    let mut all = Vec::new();
    catalog.read(|db| {
        deadlines::late(db, &mut |d| {
            all.push(d);
            Ok(all.len() < 20)
        })
    })?;
    for late in all {
        let by = output::long_span(late.late_by.unwrap_or(0).unsigned_abs() / 1000);
        let recorder = late.recorder.unwrap_or_default();
        output::tell(&format!("  footage of recorder {recorder} was archived {by} too late"))?;
    }
    for alert in catalog.read(|db| alerts::list(db, false))? {
        output::line(&format!("  ! {}", words::say(&alert.message)))?;
    }
    output::line(&format!("\n{}", t("What arrived:", "已送达：")))?;
    if story.heard.is_empty() {
        output::line(t("  nothing new: the alerts had been sent before", "  无新消息：告警此前已发送"))?;
    }
    for (way, message) in &story.heard {
        output::line(&format!("  {way:<8} {}", headline(message)))?;
    }
    Ok(())
}

/// The subject of a mail as it is; of docket's JSON its subject.
fn headline(message: &str) -> String {
    let told: Option<Value> = serde_json::from_str(message).ok();
    let subject = told.as_ref().and_then(|t| t["subject"].as_str());
    subject.unwrap_or(message).to_owned()
}

/// The second half as JSON.
pub fn value(station: &Station, story: &Story) -> Result<Value> {
    let standing = station.core.catalog.read(|db| alerts::list(db, false))?;
    let alerts: Vec<Value> =
        standing.iter().map(|a| json!({ "kind": a.kind, "subject": a.subject, "state": a.state })).collect();
    let heard: Vec<Value> =
        story.heard.iter().map(|(way, m)| json!({ "channel": way, "subject": headline(m) })).collect();
    let links: Vec<Value> =
        story.links.iter().map(|(id, rule)| json!({ "link": id, "suggested": rule })).collect();
    Ok(json!({ "case": CASE, "links": links, "alerts": alerts, "arrived": heard }))
}
