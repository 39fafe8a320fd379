//! What is wrong with the station itself: facts of the catalogue and of the disks become conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::devices::{self, Devices};
use super::notify::{Desk, details, standing, steps};
use super::{Condition, Kind, Severity};
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::base::config::Config;
use crate::base::durable_fs::Dir;
use crate::base::{Error, Result};
use crate::catalog::dockings::By;
use crate::catalog::facts::{self, BadCopy, ClockOff, Trouble};
use crate::catalog::outbox::{self, Health};
use crate::catalog::volumes::{self, VolumeRow};
use crate::catalog::{Connection, officers};
use crate::ingest::station::Station;

/// Kinds that this room sees to by itself.
pub const KINDS: [Kind; 11] = [
    Kind::DeviceUnknown,
    Kind::VerificationFailed,
    Kind::VolumeFull,
    Kind::VolumeMissing,
    Kind::VolumeForeign,
    Kind::DockFault,
    Kind::CardDamaged,
    Kind::IdentityDuplicate,
    Kind::ClockOff,
    Kind::BackupOld,
    Kind::ChannelFailing,
];

/// More bad copies than this on a volume are one alert.
const FOLD: usize = 20;
/// Stays with trouble that are looked at.
const TROUBLES: u32 = 200;
/// Tries after which a channel does not get through.
const FAILING: u32 = 3;
const DAY_MS: i64 = 86_400_000;

/// A volume as it stands.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Its state's word; `missing` where it was never opened.
    pub state: String,
    /// Why it takes no files.
    pub reason: Option<String>,
    /// Whether recordings go to it.
    pub wanted: bool,
    /// Free bytes and size, where it is there.
    pub space: Space,
    /// Bytes that are left for others.
    pub reserve: u64,
    /// Copies on it that are not well; more than `FOLD` are not all here.
    pub bad: Vec<BadCopy>,
    /// How many they are.
    pub not_well: u64,
    /// Whether it was said already that it is nearly full.
    pub nearly: bool,
}

/// What the disk of a volume said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Free bytes and size.
    Is(u64, u64),
    /// Nothing: it is not there, or refused.
    Unknown,
    /// It does not answer.
    Hangs,
}

/// Volumes whose disks were asked and have not answered yet.
static ASKED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// How long a disk may take to answer: one that was asleep needs some seconds.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks a disk for its room, in a thread of its own: a dying disk may never answer, and must not hold up
/// whoever tells people so. It is not asked again before it has answered.
fn space(path: &Path) -> Space {
    let asked = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if !asked().insert(path.to_owned()) {
        return Space::Hangs;
    }
    let (mine, (tell, told)) = (path.to_owned(), channel());
    let ask = move || {
        let space = Dir::open(&mine).and_then(|dir| dir.space());
        asked().remove(&mine);
        let _ = tell.send(space.map_or(Space::Unknown, |(free, size)| Space::Is(free, size)));
    };
    match std::thread::Builder::new().name("space".into()).spawn(ask) {
        Ok(_) => told.recv_timeout(ANSWER).unwrap_or(Space::Hangs),
        Err(_) => {
            asked().remove(path);
            Space::Unknown
        }
    }
}

/// Asks the disks of all volumes.
pub fn spaces(config: &Config) -> BTreeMap<String, Space> {
    config.volumes.iter().map(|v| (v.name.clone(), space(&v.path))).collect()
}

/// All that conditions are made from.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Volumes of the settings.
    pub disks: Vec<Disk>,
    /// Stays with trouble.
    pub troubles: Vec<Trouble>,
    /// Recorder and reason of what could not be copied.
    pub hindered: Vec<(String, String)>,
    /// Card and trouble of what is docked now.
    pub docked: Vec<(String, String)>,
    /// Clocks that are off, with the unit of who had the recorder.
    pub clocks: Vec<(ClockOff, Option<i64>)>,
    /// Recorders that somebody should look at.
    pub devices: Devices,
    /// When the station was created, milliseconds UTC.
    pub created_at: Option<i64>,
    /// When its catalogue was last backed up, milliseconds UTC.
    pub backed_up: Option<i64>,
    /// Days after which a backup is old.
    pub backup_days: u32,
    /// Channels with trouble.
    pub channels: Vec<Health>,
}

/// Gathers the facts. `docked` is what the docks say of the cards in them: card and trouble; `spaces` what
/// the disks said.
///
/// # Errors
/// What the catalogue says.
pub fn gather(
    db: &Connection,
    config: &Config,
    docked: &[(String, String)],
    spaces: &BTreeMap<String, Space>,
) -> Result<Facts> {
    let mut out = Facts { docked: docked.to_vec(), ..Facts::default() };
    let rows = volumes::all(db)?;
    let standing = standing(db, &[Kind::VolumeFull])?;
    for volume in &config.volumes {
        let row = rows.iter().find(|r| r.name == volume.name);
        let here = row.is_some_and(|r| matches!(r.state.as_str(), "online" | "full"));
        // The room of a bare mount point is not the volume's.
        let space = spaces.get(&volume.name).copied().filter(|_| here).unwrap_or(Space::Unknown);
        let unknown = VolumeRow {
            id: String::new(),
            name: volume.name.clone(),
            path: String::new(),
            state: "missing".into(),
            reason: Some("it was never opened".into()),
            owed: 0,
            not_well: 0,
        };
        let row = row.unwrap_or(&unknown);
        let subject = format!("volume:{}", volume.name);
        out.disks.push(Disk {
            name: volume.name.clone(),
            state: row.state.clone(),
            reason: row.reason.clone(),
            wanted: config.archive_to.contains(&volume.name),
            space,
            reserve: volume.reserve,
            bad: if row.not_well > 0 { facts::bad_copies(db, &row.id, FOLD as u32 + 1)? } else { Vec::new() },
            not_well: row.not_well,
            nearly: standing.iter().any(|a| a.subject == subject),
        });
    }
    out.troubles = facts::troubles(db, TROUBLES)?;
    out.hindered = facts::hindered(db)?;
    let limit_ms = i64::try_from(config.deadlines.clock_off_seconds).unwrap_or(i64::MAX / 1000) * 1000;
    for off in facts::clocks_off(db, limit_ms)? {
        let unit = officers::get(db, off.officer)?.map(|o| o.unit);
        out.clocks.push((off, unit));
    }
    out.created_at = facts::station(db)?.map(|(_, at)| at);
    out.backed_up = facts::backed_up(db)?;
    out.backup_days = config.alerts.backup_days;
    out.channels = outbox::health(db)?;
    out.channels.retain(|h| config.channels.iter().any(|c| c.name == h.channel));
    Ok(out)
}

/// What is so, by the facts; pure.
pub fn evaluate(facts: &Facts, now_ms: i64) -> Vec<Condition> {
    let mut out: Vec<Condition> = facts.disks.iter().filter_map(disk).collect();
    out.extend(copies(&facts.disks));
    out.extend(cards(facts));
    out.extend(facts.docked.iter().filter_map(|(card, trouble)| twice(card, trouble)));
    out.extend(facts.clocks.iter().map(|(off, unit)| clock(off, *unit)));
    out.extend(devices::evaluate(&facts.devices));
    out.extend(backup(facts, now_ms));
    out.extend(facts.channels.iter().filter_map(failing));
    out
}

/// Looks at everything, and makes exactly what is so stand. To be called at the start, with each tidying,
/// and after changes; writes nothing where nothing has changed. Returns how many alerts changed.
///
/// # Errors
/// What the catalogue says.
pub fn check(station: &Station, docked: &[(String, String)]) -> Result<usize> {
    let settings = station.settings();
    let by = station.core.by();
    let now = to_ms(by.at);
    let spaces = spaces(&settings.config);
    let (present, is_same) = station.core.catalog.read(|db| {
        let mut facts = gather(db, &settings.config, docked, &spaces)?;
        facts.devices = devices::gather(db, now)?;
        let present = evaluate(&facts, now);
        let is_same = steps(&standing(db, &KINDS)?, &present).is_empty();
        Ok((present, is_same))
    })?;
    if is_same {
        return Ok(0);
    }
    let desk = Desk::new(&settings.config);
    station.core.catalog.write(move |tx| desk.reconcile(tx, &by, &KINDS, &present))
}

/// Tells what a check of the custody log, or signing it, found: for whoever ran it.
///
/// # Errors
/// What the catalogue says.
pub fn custody_checked(tx: &Connection, by: &By, config: &Config, found: Result<(), &Error>) -> Result<()> {
    let broken = |e: &Error| {
        let message = format!("the custody log failed its check: {}", e.what());
        Condition::new(Kind::CustodyFailed, "station", Severity::Critical, message)
    };
    let present: Vec<_> = found.err().map(broken).into_iter().collect();
    Desk::new(config).reconcile(tx, by, &[Kind::CustodyFailed], &present).map(drop)
}

/// Tells whether checkpoints of the custody log reach their keepers.
///
/// # Errors
/// What the catalogue says.
pub fn witnesses_reached(tx: &Connection, by: &By, config: &Config, found: Option<&str>) -> Result<()> {
    let failing = |why: &str| {
        let message = format!("checkpoints of the custody log do not reach their keeper: {why}");
        Condition::new(Kind::WitnessFailing, "station", Severity::Warning, message)
    };
    let present: Vec<_> = found.map(failing).into_iter().collect();
    Desk::new(config).reconcile(tx, by, &[Kind::WitnessFailing], &present).map(drop)
}

fn disk(d: &Disk) -> Option<Condition> {
    let reason = d.reason.as_deref().unwrap_or("no reason is known");
    let name = &d.name;
    let (kind, mut severity, message) = match d.state.as_str() {
        "full" => {
            (Kind::VolumeFull, Severity::Critical, format!("volume {name} takes no more files: {reason}"))
        }
        "missing" => {
            (Kind::VolumeMissing, Severity::Critical, format!("volume {name} is not there: {reason}"))
        }
        "failed" => (Kind::VolumeMissing, Severity::Critical, format!("volume {name} has failed: {reason}")),
        "foreign" => (
            Kind::VolumeForeign,
            Severity::Critical,
            format!("something else lies in the place of volume {name}: {reason}"),
        ),
        _ if d.space == Space::Hangs => {
            (Kind::VolumeMissing, Severity::Critical, format!("the disk of volume {name} does not answer"))
        }
        _ => {
            let Space::Is(free, size) = d.space else { return None };
            // Once said, it is taken back only with some room to spare.
            let percent = if d.nearly { 7 } else { 5 };
            if free.saturating_sub(d.reserve) >= size / 100 * percent {
                return None;
            }
            let message = format!("volume {name} is nearly full: less than a twentieth is free");
            (Kind::VolumeFull, Severity::Warning, message)
        }
    };
    if !d.wanted {
        severity = Severity::Warning;
    }
    let mut c = Condition::new(kind, format!("volume:{name}"), severity, message);
    if let Space::Is(free, size) = d.space {
        c.details = details([("free", free.to_string().into()), ("size", size.to_string().into())]);
    }
    Some(c)
}

fn copies(disks: &[Disk]) -> Vec<Condition> {
    let mut out: Vec<Condition> = Vec::new();
    for d in disks.iter().filter(|d| d.not_well > 0) {
        if d.bad.len() > FOLD {
            let message = format!("volume {}: {} copies are damaged or missing", d.name, d.not_well);
            out.push(Condition::new(
                Kind::VerificationFailed,
                format!("volume:{}", d.name),
                Severity::Critical,
                message,
            ));
            continue;
        }
        for copy in &d.bad {
            let message = match copy.state.as_str() {
                "missing" => format!("a recording's copy on volume {} is missing", copy.volume),
                _ => format!("a recording's copy on volume {} is damaged", copy.volume),
            };
            let subject = format!("recording:{}", copy.recording);
            match out.iter_mut().find(|c| c.subject == subject) {
                Some(known) => known.message = format!("{}; {message}", known.message),
                None => {
                    out.push(Condition::new(Kind::VerificationFailed, subject, Severity::Critical, message));
                }
            }
        }
    }
    out
}

/// Whether a reason tells of a medium that cannot be read; by the numbers of [`crate::base::Kind::is_medium`].
fn is_medium(reason: &str) -> bool {
    ["5", "61", "74", "84", "117", "121"].iter().any(|n| reason.contains(&format!("{} (os error {n})", "")))
}

fn cards(facts: &Facts) -> Vec<Condition> {
    let mut out: Vec<Condition> = Vec::new();
    let mut add = |c: Condition| {
        if !out.iter().any(|o| o.kind == c.kind && o.subject == c.subject) {
            out.push(c);
        }
    };
    for t in &facts.troubles {
        let subject =
            t.recorder.as_ref().map_or_else(|| format!("dock:{}", t.dock), |r| format!("recorder:{r}"));
        let (kind, severity) = match is_medium(&t.reason) {
            true => (Kind::CardDamaged, Severity::Critical),
            false => (Kind::DockFault, Severity::Warning),
        };
        let message = match kind {
            Kind::CardDamaged => format!("the card at dock {} cannot be read whole: {}", t.dock, t.reason),
            _ => format!("the card at dock {} was not archived whole: {}", t.dock, t.reason),
        };
        let mut c = Condition::new(kind, subject, severity, message);
        c.details = details([("docking", t.docking.into())]);
        add(c);
    }
    for (recorder, reason) in facts.hindered.iter().filter(|(_, reason)| is_medium(reason)) {
        let message = format!("the card of recorder {recorder} cannot be read whole: {reason}");
        add(Condition::new(Kind::CardDamaged, format!("recorder:{recorder}"), Severity::Critical, message));
    }
    out
}

fn twice(card: &str, trouble: &str) -> Option<Condition> {
    let words = format!("recorder {} is docked already, at {}", '\0', '\0');
    let mut words = words.split('\0');
    let recorder = trouble.strip_prefix(words.next()?)?.split_once(words.next()?)?.0;
    let message = format!("two docked cards say that they are recorder {recorder}");
    let mut c =
        Condition::new(Kind::IdentityDuplicate, format!("recorder:{recorder}"), Severity::Critical, message);
    c.details = details([("card", card.into())]);
    Some(c)
}

fn clock(off: &ClockOff, unit: Option<i64>) -> Condition {
    let seconds = off.ahead_ms.unsigned_abs() / 1000;
    let (recorder, way) = (&off.recorder, if off.ahead_ms > 0 { "fast" } else { "slow" });
    let message = match way {
        "fast" => format!("the clock of recorder {recorder} is {seconds} s fast"),
        _ => format!("the clock of recorder {recorder} is {seconds} s slow"),
    };
    Condition {
        details: details([("ahead_ms", off.ahead_ms.into())]),
        officer: Some(off.officer),
        unit,
        ..Condition::new(Kind::ClockOff, format!("recorder:{recorder}"), Severity::Warning, message)
    }
}

fn backup(facts: &Facts, now_ms: i64) -> Option<Condition> {
    let since = facts.backed_up.or(facts.created_at)?;
    let days = i64::from(facts.backup_days);
    if now_ms.saturating_sub(since) < days.saturating_mul(DAY_MS) {
        return None;
    }
    let message = match facts.backed_up {
        Some(_) => format!("the last backup of the catalogue is more than {days} days old"),
        None => "no backup was ever made".to_owned(),
    };
    let mut c = Condition::new(Kind::BackupOld, "station", Severity::Warning, message);
    c.details = details([("last_at", json!(facts.backed_up.map(|ms| rfc3339(from_ms(ms)))))]);
    Some(c)
}

fn failing(health: &Health) -> Option<Condition> {
    if health.attempts < FAILING && health.dead == 0 {
        return None;
    }
    let name = &health.channel;
    let message = format!("messages on channel {name} do not get through");
    let mut c = Condition::new(Kind::ChannelFailing, format!("channel:{name}"), Severity::Critical, message);
    c.details = details([("error", health.error.clone().into()), ("dead", health.dead.into())]);
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(state: &str, space: Space) -> Disk {
        Disk {
            name: "main".into(),
            state: state.into(),
            reason: None,
            wanted: true,
            space,
            reserve: 10,
            bad: Vec::new(),
            not_well: 0,
            nearly: false,
        }
    }

    fn kinds(facts: &Facts) -> Vec<(Kind, String, Severity)> {
        evaluate(facts, 100 * DAY_MS).into_iter().map(|c| (c.kind, c.subject, c.severity)).collect()
    }

    #[test]
    fn volumes_are_told_by_their_state_and_room() {
        for (state, space, nearly, kind) in [
            ("online", Space::Is(100, 1000), false, None),
            ("online", Space::Is(59, 1000), false, Some(Kind::VolumeFull)),
            ("online", Space::Is(70, 1000), true, Some(Kind::VolumeFull)),
            ("online", Space::Is(80, 1000), true, None),
            ("online", Space::Unknown, false, None),
            ("online", Space::Hangs, false, Some(Kind::VolumeMissing)),
            ("full", Space::Is(5, 1000), false, Some(Kind::VolumeFull)),
            ("missing", Space::Unknown, false, Some(Kind::VolumeMissing)),
            ("failed", Space::Unknown, false, Some(Kind::VolumeMissing)),
            ("foreign", Space::Unknown, false, Some(Kind::VolumeForeign)),
        ] {
            let facts = Facts { disks: vec![Disk { nearly, ..disk(state, space) }], ..Facts::default() };
            let found = kinds(&facts);
            assert_eq!(found.first().map(|f| f.0), kind, "{state} {space:?}");
        }
    }

    #[test]
    fn many_bad_copies_are_one_alert() {
        let bad = |n: usize| {
            (0..n)
                .map(|i| BadCopy { recording: i.to_string(), volume: "main".into(), state: "damaged".into() })
                .collect::<Vec<_>>()
        };
        let some = Disk { bad: bad(20), not_well: 20, ..disk("online", Space::Unknown) };
        let many = Disk { bad: bad(21), not_well: 500, ..disk("online", Space::Unknown) };
        assert_eq!(kinds(&Facts { disks: vec![some.clone(), some], ..Facts::default() }).len(), 20);
        let told = evaluate(&Facts { disks: vec![many], ..Facts::default() }, 0);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].message, "volume main: 500 copies are damaged or missing");
    }

    #[test]
    fn a_medium_s_fault_is_the_card_s_and_no_other() {
        let trouble = |recorder: Option<&str>, reason: &str| Trouble {
            docking: 1,
            dock: "d1".into(),
            recorder: recorder.map(str::to_owned),
            reason: reason.into(),
        };
        let facts = Facts {
            troubles: vec![
                trouble(Some("7"), "a.mp4: reading stopped at byte 0: Input/output error (os error 5)"),
                trouble(Some("8"), "no volume takes the next file: volume main: full"),
                trouble(None, "cannot open x: Permission denied (os error 13)"),
            ],
            hindered: vec![("7".into(), "x (os error 5)".into()), ("9".into(), "y (os error 61)".into())],
            docked: vec![("b".into(), "recorder 4 is docked already, at /a".into())],
            ..Facts::default()
        };
        use Kind::{CardDamaged, DockFault, IdentityDuplicate};
        let found: Vec<_> = kinds(&facts).into_iter().map(|(k, s, _)| (k, s)).collect();
        assert_eq!(
            found,
            [
                (CardDamaged, "recorder:7".into()),
                (DockFault, "recorder:8".into()),
                (DockFault, "dock:d1".into()),
                (CardDamaged, "recorder:9".into()),
                (IdentityDuplicate, "recorder:4".into()),
            ]
        );
    }

    #[test]
    fn a_backup_is_old_from_its_day_on() {
        let facts = |created: i64, made: Option<i64>| Facts {
            created_at: Some(created * DAY_MS),
            backed_up: made.map(|d| d * DAY_MS),
            backup_days: 7,
            ..Facts::default()
        };
        for (created, made, old) in [
            (94, None, false),
            (93, None, true),
            (0, Some(94), false),
            (0, Some(93), true),
            (0, Some(101), false),
        ] {
            assert_eq!(!kinds(&facts(created, made)).is_empty(), old, "{created} {made:?}");
        }
    }

    #[test]
    fn a_channel_fails_after_three_tries_or_with_a_dead_message() {
        let health = |attempts, dead| {
            let h = Health { channel: "mail".into(), attempts, error: None, dead };
            kinds(&Facts { channels: vec![h], ..Facts::default() }).len()
        };
        assert_eq!([health(2, 0), health(3, 0), health(0, 1)], [0, 1, 1]);
    }
}
