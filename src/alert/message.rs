//! What a message says, in the language of its readers. Pure.

use chrono::{DateTime, TimeZone, Utc};
use serde_json::{Value, json};

use super::{Event, Kind, Severity};
use crate::base::clock::{from_ms, rfc3339};
use crate::base::zh;
use crate::catalog::alerts::Alert;

/// One alert of a message, and the last that happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What happened.
    pub event: Event,
    /// How the alert stands.
    pub alert: Alert,
}

/// A message before it has the form of its channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The same at every try: receivers may know by it that they have it already.
    pub key: String,
    /// The station's identity.
    pub station: String,
    /// In Chinese; else in English.
    pub chinese: bool,
    /// Only a trial of the channel.
    pub trial: bool,
    /// What it tells.
    pub items: Vec<Item>,
}

/// Each alert once, with the last that happened to it; the most severe first.
pub fn gather(told: Vec<Item>) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    for item in told {
        match out.iter_mut().find(|i| i.alert.id == item.alert.id) {
            Some(known) => *known = item,
            None => out.push(item),
        }
    }
    out.sort_by_key(|i| (i.event == Event::Resolved, std::cmp::Reverse(Severity::of(&i.alert.severity))));
    out
}

/// The name of a severity.
pub fn severity(word: &str, chinese: bool) -> &str {
    let (en, zh) = match word {
        "info" => ("notice", "提示"),
        "warning" => ("warning", "警告"),
        "critical" => ("critical", "严重"),
        other => (other, other),
    };
    if chinese { zh } else { en }
}

/// The name of an event.
pub fn event(event: Event, chinese: bool) -> &'static str {
    let (en, zh) = match event {
        Event::Opened => ("new", "新告警"),
        Event::Updated => ("changed", "有变化"),
        Event::Escalated => ("still so", "仍未处理"),
        Event::Acknowledged => ("acknowledged", "已确认"),
        Event::Resolved => ("resolved", "已解除"),
    };
    if chinese { zh } else { en }
}

/// What an alert is about, for a reader: `recorder:7` is 记录仪 7.
pub fn subject(text: &str, chinese: bool) -> String {
    let Some((noun, name)) = text.split_once(':') else {
        return if chinese && text == "station" { "本工作站".into() } else { text.to_owned() };
    };
    let zh = match noun {
        "recording" => "录音录像",
        "recorder" => "记录仪",
        "case" => "案卷",
        "volume" => "存储卷",
        "dock" => "采集口",
        "channel" => "告警通道",
        "docking" => "接入",
        "unit" => "单位",
        _ => noun,
    };
    format!("{} {name}", if chinese { zh } else { noun })
}

/// Characters of one sentence at most: what a card or a network said may be in it.
const LONGEST: usize = 300;
/// Characters of a subject line at most.
const SUBJECT: usize = 100;

/// One line without control characters, and not too long.
fn plain(text: &str) -> String {
    let mut out: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

impl Letter {
    fn t<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        if self.chinese { zh } else { en }
    }

    fn say(&self, english: &str) -> String {
        plain(&if self.chinese { zh::render(english) } else { english.into() })
    }

    /// The subject line.
    pub fn subject(&self) -> String {
        let whole = self.whole_subject();
        match whole.char_indices().nth(SUBJECT) {
            Some((at, _)) => format!("{}…", &whole[..at]),
            None => whole,
        }
    }

    fn whole_subject(&self) -> String {
        if self.trial {
            return self.t("docket: this is a test message", "docket：测试消息").to_owned();
        }
        let first = match self.items.as_slice() {
            [] => return "docket".to_owned(),
            [only] => {
                let mark = match only.event {
                    Event::Opened | Event::Updated => severity(&only.alert.severity, self.chinese),
                    other => event(other, self.chinese),
                };
                return ["docket", self.t(": ", "："), "[", mark, "] ", &self.say(&only.alert.message)]
                    .concat();
            }
            [first, ..] => self.say(&first.alert.message),
        };
        let n = self.items.len().to_string();
        self.t("docket: # alerts, first: ", "docket：# 条告警，首条：").replace('#', &n) + &first
    }

    /// The text of a message, in at most `most` bytes; what has no room is counted.
    pub fn text<Z: TimeZone>(&self, zone: &Z, most: usize) -> String
    where
        Z::Offset: std::fmt::Display,
    {
        if self.trial {
            let text = self.t(
                "This is a test message of docket. Alerts reach you this way.",
                "这是 docket 的测试消息。告警将经此通道送达。",
            );
            return format!("{text}\n");
        }
        let foot = format!("\n{} {}\n", self.t("Station", "工作站"), self.station);
        let mut out = String::new();
        for (i, item) in self.items.iter().enumerate() {
            let next = self.paragraph(item, zone);
            let left = self.items.len() - i;
            let rest = self
                .t(
                    "\n# more alerts: docket alerts list --all\n",
                    "\n另有 # 条告警：docket alerts list --all\n",
                )
                .replace('#', &left.to_string());
            // Room is kept for the line that counts the others.
            if out.len() + next.len() + rest.len() + foot.len() > most {
                out.push_str(&rest);
                break;
            }
            out.push_str(&next);
        }
        out + &foot
    }

    fn paragraph<Z: TimeZone>(&self, item: &Item, zone: &Z) -> String
    where
        Z::Offset: std::fmt::Display,
    {
        let a = &item.alert;
        let time = |ms: i64| from_ms(ms).with_timezone(zone).format("%Y-%m-%d %H:%M").to_string();
        let colon = self.t(": ", "：");
        let mut out = format!(
            "[{}] [{}] {}\n",
            severity(&a.severity, self.chinese),
            event(item.event, self.chinese),
            self.say(&a.message)
        );
        let mut line = |label: &str, text: &str| out.push_str(&format!("  {label}{colon}{text}\n"));
        line(self.t("about", "对象"), &plain(&subject(&a.subject, self.chinese)));
        line(self.t("since", "起始时间"), &time(a.opened_at));
        match item.event {
            Event::Resolved => {
                line(self.t("resolved", "解除时间"), &time(a.resolved_at.unwrap_or(a.updated_at)));
                if let Some(why) = &a.resolution {
                    line(self.t("because", "解除原因"), &self.say(why));
                }
            }
            Event::Acknowledged => {
                let by = a.acknowledged_by.as_deref().unwrap_or_default();
                let note = a.note.as_deref().unwrap_or_default();
                line(self.t("acknowledged by", "确认人"), &plain(by));
                line(self.t("note", "备注"), &plain(note));
            }
            _ => {
                if let Some(kind) = Kind::of(&a.kind) {
                    line(self.t("next", "处理"), &self.say(kind.advice()));
                }
                let ack = self.say(&format!("docket alerts ack {} --note …", a.id));
                line(self.t("once you know of it", "知悉后请确认"), &ack);
            }
        }
        out
    }

    /// docket's own JSON form, for webhooks and programs. Messages are in both languages.
    pub fn json(&self, now: DateTime<Utc>) -> Value {
        let time = |ms: i64| rfc3339(from_ms(ms));
        let alerts: Vec<Value> = self
            .items
            .iter()
            .map(|i| {
                let a = &i.alert;
                let kind = Kind::of(&a.kind);
                json!({
                    "id": a.id, "event": i.event.word(), "kind": a.kind, "subject": a.subject,
                    "severity": a.severity, "state": a.state, "level": a.level,
                    "message": a.message, "message_zh": zh::render(&a.message),
                    "next": kind.map(Kind::advice), "details": a.details,
                    "opened_at": time(a.opened_at), "updated_at": time(a.updated_at),
                    "acknowledged_at": a.acknowledged_at.map(time), "acknowledged_by": a.acknowledged_by,
                    "note": a.note, "resolved_at": a.resolved_at.map(time), "resolution": a.resolution,
                })
            })
            .collect();
        json!({ "key": self.key, "station": self.station, "sent_at": rfc3339(now), "test": self.trial,
            "subject": self.subject(), "alerts": alerts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;
    use proptest::prelude::*;

    fn alert(id: i64, severity: &str, message: &str) -> Alert {
        Alert {
            id,
            kind: "backup-old".into(),
            subject: "station".into(),
            severity: severity.into(),
            state: "open".into(),
            level: 0,
            message: message.into(),
            details: serde_json::Map::new(),
            officer: None,
            unit: None,
            opened_at: 1_795_000_000_000,
            updated_at: 1_795_000_000_000,
            acknowledged_at: None,
            acknowledged_by: None,
            note: None,
            resolved_at: None,
            resolution: None,
        }
    }

    fn letter(chinese: bool, items: Vec<Item>) -> Letter {
        Letter { key: "k".into(), station: "s".into(), chinese, trial: false, items }
    }

    fn zone() -> FixedOffset {
        FixedOffset::east_opt(8 * 3600).unwrap()
    }

    #[test]
    fn a_message_says_what_to_what_since_when_and_what_to_do() {
        let item = Item { event: Event::Opened, alert: alert(12, "warning", "no backup was ever made") };
        let en = letter(false, vec![item.clone()]);
        assert_eq!(en.subject(), "docket: [warning] no backup was ever made");
        let text = en.text(&zone(), 4096);
        for part in ["about: station", "since: 2026-11-18 19:06", "docket backup FILE", "alerts ack 12"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let zh = letter(true, vec![item]);
        assert_eq!(zh.subject(), "docket：[警告] 尚未做过备份");
        let text = zh.text(&zone(), 4096);
        for part in ["对象：本工作站", "起始时间：2026-11-18 19:06", "处理：", "docket alerts ack 12"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("make one"), "{text}");
    }

    #[test]
    fn an_alert_stands_once_in_a_message_with_its_last_event() {
        let item = |id, event, severity| Item { event, alert: alert(id, severity, "x") };
        let told = gather(vec![
            item(1, Event::Opened, "warning"),
            item(2, Event::Opened, "critical"),
            item(1, Event::Escalated, "warning"),
            item(3, Event::Opened, "critical"),
            item(3, Event::Resolved, "critical"),
        ]);
        let order: Vec<_> = told.iter().map(|i| (i.alert.id, i.event)).collect();
        assert_eq!(order, [(2, Event::Opened), (1, Event::Escalated), (3, Event::Resolved)]);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let many = (1..=50).map(|id| Item { event: Event::Opened, alert: alert(id, "info", "x") }).collect();
        let text = letter(true, many).text(&zone(), 2048);
        assert!(text.len() <= 2048 && text.contains("条告警：docket alerts list"), "{text}");
    }

    proptest! {
        #[test]
        fn any_message_is_clean_lines_within_its_limit(
            texts in prop::collection::vec(".{0,80}", 0..12), most in 300usize..3000, chinese: bool,
        ) {
            let items = texts.iter().zip(1..).map(|(t, id)| {
                Item { event: Event::Opened, alert: Alert { subject: t.clone(), ..alert(id, "info", t) } }
            });
            let letter = letter(chinese, items.collect());
            let text = letter.text(&zone(), most);
            prop_assert!(text.len() <= most);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(!letter.subject().chars().any(char::is_control));
        }
    }
}
