//! Opening, changing and closing alerts, and entering the messages about each change in the transaction
//! that makes it.

use chrono::Local;
use serde_json::Map;

use super::people::{Quiet, goes_at, parse_digest};
use super::{Condition, Event, Kind, Severity, audience};
use crate::access::{self, About, Deed, Person, Role};
use crate::base::clock::to_ms;
use crate::base::config::Config;
use crate::base::config::channels::{Channel, Via};
use crate::base::{Error, Kind as Fault, Result};
use crate::catalog::alerts::{self, Alert, Told};
use crate::catalog::dockings::By;
use crate::catalog::outbox::{self, Entry};
use crate::catalog::{Connection, officers, rights};

/// Who enters alerts and messages about them: knows the channels.
#[derive(Debug, Clone)]
pub struct Desk {
    channels: Vec<Channel>,
}

/// Who hears of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Everybody it concerns.
    Everybody,
    /// Programs, and people who have not heard of the alert yet.
    Newcomers,
}

/// What has to be done so that exactly the present conditions stand.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// Nothing stands for it yet, or it says something else now.
    Raise(&'a Condition),
    /// This is no more.
    Resolve(&'a Alert),
}

/// The difference between what stands and what is so; pure. A condition that is there twice counts once.
pub fn steps<'a>(standing: &'a [Alert], present: &'a [Condition]) -> Vec<Step<'a>> {
    let stands = |c: &Condition| standing.iter().find(|a| a.kind == c.kind.word() && a.subject == c.subject);
    let first =
        |i: usize, c: &Condition| !present[..i].iter().any(|o| o.kind == c.kind && o.subject == c.subject);
    let raise = present
        .iter()
        .enumerate()
        .filter(|(i, c)| first(*i, c) && stands(c).is_none_or(|a| says_else(a, c)))
        .map(|(_, c)| Step::Raise(c));
    let is_present = |a: &Alert| present.iter().any(|c| c.kind.word() == a.kind && c.subject == a.subject);
    raise.chain(standing.iter().filter(|a| !is_present(a)).map(Step::Resolve)).collect()
}

fn says_else(alert: &Alert, c: &Condition) -> bool {
    alert.message != c.message
        || alert.severity != c.severity.word()
        || alert.officer != c.officer
        || alert.unit != c.unit
}

fn told(c: &Condition) -> Told<'_> {
    Told {
        kind: c.kind.word(),
        subject: &c.subject,
        severity: c.severity.word(),
        message: &c.message,
        details: &c.details,
        officer: c.officer,
        unit: c.unit,
    }
}

/// What the table of rights asks about an alert.
///
/// # Errors
/// What the catalogue says.
pub fn about(db: &Connection, alert: &Alert) -> Result<About> {
    let mut officers = alerts::concerned(db, &alert.subject)?;
    officers.extend(alert.officer);
    rights::about(db, alert.unit, officers, false)
}

/// Alerts that a person may see, the newest first: those that stand, or all.
///
/// # Errors
/// What the catalogue says.
pub fn list(db: &Connection, who: &Person, all: bool) -> Result<Vec<Alert>> {
    let mut out = Vec::new();
    for alert in alerts::list(db, all)? {
        if access::is_allowed(who, Deed::ReadAlerts, &about(db, &alert)?) {
            out.push(alert);
        }
    }
    Ok(out)
}

/// One alert, for a person who may see it.
///
/// # Errors
/// Not found; not allowed.
pub fn get(db: &Connection, who: &Person, id: i64) -> Result<Alert> {
    let alert = alerts::get(db, id)?;
    rights::check(db, who, Deed::ReadAlerts, &about(db, &alert)?)?;
    Ok(alert)
}

impl Desk {
    /// With the channels of the settings.
    pub fn new(config: &Config) -> Self {
        Self { channels: config.channels.clone() }
    }

    /// Makes sure that an alert stands for a condition, says what it says, and has reached this level. A
    /// level once reached stays. To be called in the transaction that notes the condition's cause, where
    /// there is one. Returns the alert's number.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn raise(&self, tx: &Connection, by: &By, c: &Condition, level: u32) -> Result<i64> {
        let Some(old) = alerts::standing_for(tx, c.kind.word(), &c.subject)? else {
            let (id, seq) = alerts::open(tx, by, &told(c), level)?;
            self.tell(tx, by, &alerts::get(tx, id)?, Event::Opened, seq)?;
            return Ok(id);
        };
        let worse = Severity::of(&old.severity).is_none_or(|s| c.severity > s);
        if level > old.level {
            let seq = alerts::change(tx, by, old.id, &told(c), level, "alert.escalated")?;
            self.tell(tx, by, &alerts::get(tx, old.id)?, Event::Escalated, seq)?;
        } else if says_else(&old, c) {
            let seq = alerts::change(tx, by, old.id, &told(c), old.level, "alert.updated")?;
            let now = alerts::get(tx, old.id)?;
            // Worse than before is news to everybody; other words are news to programs, and the alert itself is
            // to whoever has come to answer for it.
            let whom = if worse { Whom::Everybody } else { Whom::Newcomers };
            self.tell_some(tx, by, &now, Event::Updated, seq, whom)?;
        }
        Ok(old.id)
    }

    /// Notes that a condition is no more; whether an alert stood for it.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn resolve(
        &self,
        tx: &Connection,
        by: &By,
        kind: Kind,
        subject: &str,
        resolution: &str,
    ) -> Result<bool> {
        let Some(old) = alerts::standing_for(tx, kind.word(), subject)? else { return Ok(false) };
        self.close(tx, by, &old, resolution)?;
        Ok(true)
    }

    fn close(&self, tx: &Connection, by: &By, alert: &Alert, resolution: &str) -> Result<()> {
        let seq = alerts::resolve(tx, by, alert.id, resolution)?;
        self.tell(tx, by, &alerts::get(tx, alert.id)?, Event::Resolved, seq)
    }

    /// Makes exactly the present conditions of these kinds stand; how many alerts changed.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn reconcile(
        &self,
        tx: &Connection,
        by: &By,
        kinds: &[Kind],
        present: &[Condition],
    ) -> Result<usize> {
        let standing = standing(tx, kinds)?;
        let steps = steps(&standing, present);
        for step in &steps {
            match step {
                Step::Raise(c) => drop(self.raise(tx, by, c, 0)?),
                Step::Resolve(alert) => self.close(tx, by, alert, "it is no longer so")?,
            }
        }
        Ok(steps.len())
    }

    /// Notes that a person knows of an alert.
    ///
    /// # Errors
    /// Not found, not allowed, no longer standing, or without a note.
    pub fn acknowledge(&self, tx: &Connection, by: &By, who: &Person, id: i64, note: &str) -> Result<Alert> {
        let alert = alerts::get(tx, id)?;
        rights::check(tx, who, Deed::AcknowledgeAlert, &about(tx, &alert)?)?;
        if alert.state == "resolved" {
            return Err(Error::new(
                Fault::Invalid,
                format!("alert {id} is resolved; there is nothing to acknowledge"),
            )
            .next("`docket alerts show` tells how it ended"));
        }
        if note.trim().is_empty() {
            return Err(Error::new(Fault::Invalid, "the note is empty")
                .next("say in a few words what is being done about it"));
        }
        let seq = alerts::acknowledge(tx, by, id, note)?;
        let alert = alerts::get(tx, id)?;
        self.tell(tx, by, &alert, Event::Acknowledged, seq)?;
        Ok(alert)
    }

    fn tell(&self, tx: &Connection, by: &By, alert: &Alert, event: Event, seq: u64) -> Result<()> {
        self.tell_some(tx, by, alert, event, seq, Whom::Everybody)
    }

    /// Enters a change for everybody it concerns, or for fewer.
    fn tell_some(
        &self,
        tx: &Connection,
        by: &By,
        alert: &Alert,
        event: Event,
        seq: u64,
        whom_to: Whom,
    ) -> Result<()> {
        let urgent = matches!(event, Event::Opened | Event::Escalated | Event::Updated)
            && Kind::of(&alert.kind).is_some_and(Kind::is_overdue);
        let enter = |channel: &str, recipient: &str, next_at: i64| {
            let entry = Entry {
                key: format!("{}.{}.{seq}.{channel}.{recipient}", alert.id, event.word()),
                channel: channel.to_owned(),
                recipient: recipient.to_owned(),
                alert: alert.id,
                event: event.word(),
                urgent,
                next_at,
            };
            outbox::enter(tx, by, &entry)
        };
        let carried = |name: &str| {
            // That a channel fails is told on the others.
            let about_itself =
                alert.kind == Kind::ChannelFailing.word() && alert.subject == format!("channel:{name}");
            self.channels.iter().find(|c| c.name == name).filter(|_| !about_itself)
        };
        if matches!(event, Event::Acknowledged | Event::Resolved) {
            // The end of it is for those who heard of its beginning.
            for (name, recipient) in outbox::receivers(tx, alert.id)? {
                if carried(&name).is_some() {
                    enter(&name, &recipient, goes(tx, by, &recipient, false)?)?;
                }
            }
            return Ok(());
        }
        let heard = match whom_to {
            Whom::Everybody => Vec::new(),
            Whom::Newcomers => outbox::receivers(tx, alert.id)?,
        };
        let severity = Severity::of(&alert.severity).unwrap_or(Severity::Critical);
        for channel in self.channels.iter().filter(|c| c.carries(&alert.kind, severity)) {
            if carried(&channel.name).is_none() {
                continue;
            }
            let is_new = |recipient: &str| {
                channel.is_for_programs() || !heard.iter().any(|(c, r)| *c == channel.name && r == recipient)
            };
            let Via::Email(mail) = &channel.via else {
                if !is_new("") {
                    continue;
                }
                enter(&channel.name, "", to_ms(by.at))?;
                continue;
            };
            for address in mail.to.iter().filter(|address| is_new(address)) {
                enter(&channel.name, address, to_ms(by.at))?;
            }
            for id in if mail.officers { whom(tx, alert)? } else { Vec::new() } {
                let Some(officer) = officers::get(tx, id)? else { continue };
                if officer.email.as_ref().is_some_and(|a| !a.is_empty() && !mail.to.contains(a)) {
                    let recipient = format!("officer:{}", officer.badge);
                    if !is_new(&recipient) {
                        continue;
                    }
                    enter(&channel.name, &recipient, goes(tx, by, &recipient, urgent)?)?;
                }
            }
        }
        Ok(())
    }
}

/// When a message may go out to a receiver, milliseconds UTC.
fn goes(db: &Connection, by: &By, recipient: &str, urgent: bool) -> Result<i64> {
    let Some(badge) = recipient.strip_prefix("officer:") else { return Ok(to_ms(by.at)) };
    // Somebody who is no longer registered is found out when the message is sent.
    let Ok(officer) = officers::find(db, badge) else { return Ok(to_ms(by.at)) };
    let quiet = officer.quiet.as_deref().and_then(Quiet::parse);
    let digest = officer.digest.as_deref().and_then(parse_digest);
    Ok(to_ms(goes_at(&by.at.with_timezone(&Local), urgent, quiet, digest)))
}

/// The alerts of some kinds that stand.
pub fn standing(db: &Connection, kinds: &[Kind]) -> Result<Vec<Alert>> {
    let mut out = Vec::new();
    for kind in kinds {
        out.extend(alerts::standing(db, kind.word())?);
    }
    Ok(out)
}

/// The people whom an alert concerns at its level, each once. Where the rule names nobody (no officer, no
/// head), the next above are told, and in the end those who keep the station: somebody always is.
pub fn whom(db: &Connection, alert: &Alert) -> Result<Vec<i64>> {
    let Some(kind) = Kind::of(&alert.kind) else { return Ok(Vec::new()) };
    let mut told = audience(kind, alert.level);
    let mut out: Vec<i64> = Vec::new();
    if told.officer {
        out.extend(alert.officer);
        out.extend(alerts::concerned(db, &alert.subject)?);
        told.head |= out.is_empty();
    }
    if told.head {
        let heads = match alert.unit {
            Some(unit) => rights::nearest(db, unit, Role::Head)?,
            None => Vec::new(),
        };
        told.supervisors |= heads.is_empty() && alert.level >= 1;
        out.extend(heads);
    }
    if told.supervisors {
        out.extend(alerts::with_role(db, Role::Supervisor.word())?);
    }
    if told.keepers || out.is_empty() {
        for role in [Role::Storage, Role::Admin] {
            out.extend(alerts::with_role(db, role.word())?);
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|id| seen.insert(*id));
    Ok(out)
}

/// A condition's details from pairs.
pub fn details<const N: usize>(pairs: [(&str, serde_json::Value); N]) -> Map<String, serde_json::Value> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}
