//! `docket alerts`: what somebody must know, who was told of it, and how.

use clap::Subcommand;
use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, custody, judge, look_into, output};
use crate::access::{self, About, Deed, Person, Reach};
use crate::alert::notify::{self, Desk};
use crate::alert::{Kind as AlertKind, message, outbox as delivery};
use crate::base::clock::{from_ms, rfc3339};
use crate::base::config::Config;
use crate::base::config::channels::Via;
use crate::base::{Cancel, Error, Kind, Result, logging};
use crate::catalog::alerts::Alert;
use crate::catalog::dockings::By;
use crate::catalog::outbox::{self, Letter};
use crate::catalog::{Catalog, Connection, deadlines, facts, officers, units};
use crate::custody::log;
use crate::ingest::station::CATALOG;

/// Alerts that are listed where nothing else is asked for.
const NEWEST: usize = 50;
/// Columns of the labels of one alert.
const LABELS: usize = 16;

/// List alerts, take note of one, look after the channels that carry them
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the alerts that stand, the newest first
    List(ListArgs),
    /// Show one alert: its history, and who was told
    Show {
        /// The alert's number
        id: i64,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take note of an alert: the others learn that somebody sees to it
    Ack {
        /// The alert's number
        id: i64,
        /// What is being done about it
        #[arg(long, value_name = "TEXT")]
        note: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message on a channel, and wait for the answer
    TestChannel {
        /// The channel's name in the settings
        name: String,
        /// Mail: to this address instead of the channel's own
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the messages that wait, were given up or were dropped last
    Outbox {
        /// Try again what was given up on this channel
        #[arg(long, value_name = "CHANNEL")]
        again: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
struct ListArgs {
    /// Those that are resolved too
    #[arg(long)]
    all: bool,
    /// Only alerts of this kind
    #[arg(long, value_parser = AlertKind::ALL.map(AlertKind::word))]
    kind: Option<String>,
    /// Only about this recorder and its recordings
    #[arg(long, value_name = "ID", conflicts_with = "subject")]
    recorder: Option<String>,
    /// Only about this object, such as volume:main, case:NUMBER
    #[arg(long, value_name = "OBJECT")]
    subject: Option<String>,
    /// At most so many; otherwise 50 (all with --json)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    judge(&config);
    let db = look_into(&config)?;
    match &options.command {
        Command::List(options) => list(args, &db, options),
        Command::Show { id, json } => show(args, &db, *id, *json),
        Command::Ack { id, note, json } => ack(args, &config, &db, *id, note, *json),
        Command::TestChannel { name, to, json } => test(args, &config, &db, name, to.as_deref(), *json),
        Command::Outbox { again, json } => outbox_of(args, &config, &db, again.as_deref(), *json),
    }
}

/// An alert as JSON.
fn value(db: &Connection, a: &Alert) -> Result<Value> {
    let time = |ms: i64| rfc3339(from_ms(ms));
    let officer = a.officer.map(|id| officers::get(db, id)).transpose()?.flatten();
    Ok(json!({
        "id": a.id, "kind": a.kind, "subject": a.subject, "severity": a.severity, "state": a.state,
        "level": a.level, "message": a.message, "details": a.details,
        "officer": officer.map(|o| o.badge), "unit": a.unit.map(|id| units::get(db, id)).transpose()?.flatten().map(|u| u.code),
        "opened_at": time(a.opened_at), "updated_at": time(a.updated_at),
        "acknowledged_at": a.acknowledged_at.map(time), "acknowledged_by": a.acknowledged_by, "note": a.note,
        "resolved_at": a.resolved_at.map(time), "resolution": a.resolution,
    }))
}

fn kind(word: &str) -> &str {
    AlertKind::of(word).map_or(word, |k| {
        let (en, zh) = k.name();
        t(en, zh)
    })
}

fn state(word: &str) -> &str {
    match word {
        "open" => t("open", "未处理"),
        "acknowledged" => t("acknowledged", "已确认"),
        "resolved" => t("resolved", "已解除"),
        other => other,
    }
}

/// Whether an alert is about a recorder, or a recording of it.
fn is_of_recorder(db: &Connection, a: &Alert, recorder: &str) -> Result<bool> {
    let same = |other: &str| other.eq_ignore_ascii_case(recorder);
    if a.details.get("recorder").and_then(Value::as_str).is_some_and(same) {
        return Ok(true);
    }
    Ok(match a.subject.split_once(':') {
        Some(("recorder", id)) => same(id),
        Some(("recording", id)) => deadlines::footage(db, id)?.is_some_and(|f| same(&f.recorder)),
        _ => false,
    })
}

/// What is said where the list is empty: that nothing stands, or only nothing of what was asked for.
fn nothing(who: &Person, options: &ListArgs) -> &'static str {
    let asked = options.kind.is_some() || options.recorder.is_some() || options.subject.is_some();
    if access::reach(who.role, Deed::ReadAlerts) != Reach::All {
        t("No alert stands that you may see.", "在您可查看的范围内，当前没有告警。")
    } else if asked {
        t("No such alert stands.", "当前没有符合条件的告警。")
    } else {
        t("No alert stands.", "当前没有告警。")
    }
}

fn list(args: &StationArgs, db: &Connection, options: &ListArgs) -> Result<Exit> {
    let who = args.person(db)?;
    let mut alerts = Vec::new();
    for a in notify::list(db, &who, options.all)? {
        let fits = options.kind.as_ref().is_none_or(|k| *k == a.kind)
            && options.subject.as_ref().is_none_or(|s| *s == a.subject);
        if fits && options.recorder.as_ref().map_or(Ok(true), |r| is_of_recorder(db, &a, r))? {
            alerts.push(a);
        }
    }
    let shown = options.limit.unwrap_or(if options.json { usize::MAX } else { NEWEST });
    let more = alerts.len().saturating_sub(shown);
    alerts.truncate(shown);
    if options.json {
        output::json(&alerts.iter().map(|a| value(db, a)).collect::<Result<Vec<_>>>()?)?;
        return Ok(Exit::Good);
    }
    if alerts.is_empty() && more == 0 {
        output::line(nothing(&who, options))?;
    } else {
        let mut table = output::table(&[
            t("id", "编号"),
            t("severity", "级别"),
            t("state", "状态"),
            t("since", "起始时间"),
            t("kind", "类型"),
            t("about", "对象"),
            t("what", "内容"),
        ]);
        output::right(&mut table, &[0]);
        for a in &alerts {
            table.add_row([
                a.id.to_string(),
                message::severity(&a.severity, words::is_chinese()).to_owned(),
                state(&a.state).to_owned(),
                output::time(a.opened_at),
                kind(&a.kind).to_owned(),
                message::subject(&a.subject, words::is_chinese()),
                words::say(&a.message).into_owned(),
            ]);
        }
        output::print_table(&table)?;
        if more > 0 {
            output::tell(&format!("{more} more; --limit shows more of them, --kind or --recorder fewer"))?;
        }
    }
    undelivered(db)?;
    Ok(Exit::Good)
}

/// A line where messages were given up: whoever looks at alerts must know that others do not hear of them.
fn undelivered(db: &Connection) -> Result<()> {
    let (_, dead) = outbox::counts(db)?;
    if dead > 0 {
        let what = format!("{dead} messages were given up: docket alerts outbox");
        output::line(&format!("  ! {}", words::say(&what)))?;
    }
    Ok(())
}

fn show(args: &StationArgs, db: &Connection, id: i64, as_json: bool) -> Result<Exit> {
    let a = notify::get(db, &args.person(db)?, id)?;
    let letters = outbox::about(db, id)?;
    let history = log::history(db, &format!("alert:{id}"))?;
    if as_json {
        let mut all = value(db, &a)?;
        all["messages"] = letters.iter().map(letter_json).collect();
        all["custody"] = history.iter().map(custody::value).collect();
        output::json(&all)?;
        return Ok(Exit::Good);
    }
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let mut details = Vec::new();
    for (name, detail) in a.details.iter().filter(|(_, v)| !v.is_null()) {
        details.push(words::detail(name, &detail.as_str().map_or_else(|| detail.to_string(), str::to_owned)));
    }
    let officer = match a.officer.map(|id| officers::get(db, id)).transpose()?.flatten() {
        Some(o) => words::noted(&o.name, &o.badge),
        None => String::new(),
    };
    let standing = a.state != "resolved";
    let rows = [
        (t("alert", "告警"), a.id.to_string()),
        (t("what", "内容"), words::say(&a.message).into_owned()),
        (t("kind", "类型"), kind(&a.kind).to_owned()),
        (t("about", "对象"), message::subject(&a.subject, words::is_chinese())),
        (t("severity", "级别"), message::severity(&a.severity, words::is_chinese()).to_owned()),
        (t("state", "状态"), state(&a.state).to_owned()),
        (t("since", "起始时间"), output::time(a.opened_at)),
        (t("raised to level", "升级层级"), if a.level > 0 { a.level.to_string() } else { String::new() }),
        (t("officer", "责任人员"), officer),
        (t("details", "详情"), details.join(" ")),
        (t("acknowledged", "确认时间"), a.acknowledged_at.map(output::time).unwrap_or_default()),
        (
            t("by", "确认人"),
            a.acknowledged_by.as_ref().map(|by| words::actor(db, by)).transpose()?.unwrap_or_default(),
        ),
        (t("note", "备注"), text(a.note.as_ref())),
        (t("resolved", "解除时间"), a.resolved_at.map(output::time).unwrap_or_default()),
        (t("because", "解除原因"), words::say(&text(a.resolution.as_ref())).into_owned()),
        (
            t("next", "处理"),
            match AlertKind::of(&a.kind).filter(|_| standing) {
                Some(kind) => words::say(kind.advice()).into_owned(),
                None => String::new(),
            },
        ),
    ];
    for (name, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        output::field(name, LABELS, text)?;
    }
    output::line("")?;
    print_letters(&letters)?;
    output::line("")?;
    custody::print(db, &history)?;
    Ok(Exit::Good)
}

fn ack(
    args: &StationArgs,
    config: &Config,
    db: &Connection,
    id: i64,
    note: &str,
    as_json: bool,
) -> Result<Exit> {
    let who = args.person(db)?;
    let by = By { actor: who.actor.clone(), at: chrono::Utc::now() };
    let (desk, note) = (Desk::new(config), note.to_owned());
    let catalog = Catalog::open(&config.data.join(CATALOG))?;
    let alert = catalog.write(move |tx| desk.acknowledge(tx, &by, &who, id, &note))?;
    if as_json {
        output::json(&value(db, &alert)?)?;
    } else {
        output::tell(&format!("alert {id} is acknowledged; it stands until its cause is gone"))?;
    }
    Ok(Exit::Good)
}

fn test(
    args: &StationArgs,
    config: &Config,
    db: &Connection,
    name: &str,
    to: Option<&str>,
    as_json: bool,
) -> Result<Exit> {
    let who = args.person(db)?;
    access::check(&who, Deed::TestChannel, &About::default())?;
    let Some(channel) = config.channels.iter().find(|c| c.name == name) else {
        let names: Vec<_> = config.channels.iter().map(|c| c.name.as_str()).collect();
        return Err(Error::new(Kind::NotFound, format!("the settings have no channel `{name}`"))
            .next(format!("one of these: {}", names.join(", "))));
    };
    let receivers: Vec<String> = match (&channel.via, to) {
        (Via::Email(_), Some(to)) => vec![to.to_owned()],
        (Via::Email(mail), None) if mail.to.is_empty() => {
            return Err(Error::new(Kind::Invalid, format!("channel {name} has no address of its own"))
                .next("name one for this test: --to ADDRESS"));
        }
        (Via::Email(mail), None) => mail.to.clone(),
        _ => vec![String::new()],
    };
    if channel.via == Via::Journal {
        drop(logging::start(&config.log));
    }
    let station = facts::station(db)?.map_or_else(String::new, |(id, _)| id);
    let by = By { actor: who.actor, at: chrono::Utc::now() };
    for to in &receivers {
        delivery::trial(config, channel, to, &station, &by, &Cancel::new())?;
    }
    if as_json {
        output::json(&json!({ "channel": name, "sent": true, "to": receivers }))?;
    } else {
        output::tell(&format!("the test message was taken on channel {name}"))?;
    }
    Ok(Exit::Good)
}

fn letter_json(l: &Letter) -> Value {
    let time = |ms: i64| rfc3339(from_ms(ms));
    json!({
        "key": l.key, "channel": l.channel, "recipient": l.recipient, "alert": l.alert, "event": l.event,
        "state": l.state, "message": l.message, "attempts": l.attempts, "created_at": time(l.created_at),
        "next_at": (l.state == "waiting").then(|| time(l.next_at)), "done_at": l.done_at.map(time), "error": l.error,
    })
}

fn outbox_of(
    args: &StationArgs,
    config: &Config,
    db: &Connection,
    again: Option<&str>,
    as_json: bool,
) -> Result<Exit> {
    let who = args.person(db)?;
    access::check(&who, Deed::TestChannel, &About::default())?;
    if let Some(channel) = again {
        let (by, channel) = (By { actor: who.actor, at: chrono::Utc::now() }, channel.to_owned());
        Catalog::open(&config.data.join(CATALOG))?.write(move |tx| outbox::revive(tx, &by, &channel))?;
    }
    let letters = outbox::undelivered(db)?;
    if as_json {
        output::json(&letters.iter().map(letter_json).collect::<Vec<_>>())?;
    } else {
        print_letters(&letters)?;
    }
    Ok(if letters.iter().any(|l| l.state == "dead") { Exit::Attention } else { Exit::Good })
}

fn print_letters(letters: &[Letter]) -> Result<()> {
    if letters.is_empty() {
        return output::line(t("No message waits.", "没有待发送的消息。"));
    }
    let mut table = output::table(&[
        t("alert", "告警"),
        t("event", "事件"),
        t("channel", "通道"),
        t("to", "接收人"),
        t("message", "消息状态"),
        t("tries", "尝试次数"),
        t("next or done", "下次发送/完成时间"),
        t("error", "错误"),
    ]);
    output::right(&mut table, &[0, 5]);
    for l in letters {
        let event = crate::alert::Event::of(&l.event);
        table.add_row([
            l.alert.to_string(),
            event.map_or(l.event.as_str(), |e| message::event(e, words::is_chinese())).to_owned(),
            l.channel.clone(),
            l.recipient.clone(),
            match l.state.as_str() {
                "waiting" => t("waits", "待发送"),
                "sent" => t("sent", "已发送"),
                "dead" => t("given up", "已放弃"),
                _ => t("nobody to send to", "无接收人"),
            }
            .to_owned(),
            l.attempts.to_string(),
            output::time(l.done_at.unwrap_or(l.next_at)),
            l.error.as_deref().map(|e| words::say(e).into_owned()).unwrap_or_default(),
        ]);
    }
    output::print_table(&table)
}
