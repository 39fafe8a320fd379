//! `docket ledger`: who took which recorder when, and what for.

use clap::Subcommand;
use serde_json::{Value, json};

use super::registers::{self as shared, Export, Import, OrNone};
use super::words::t;
use super::{Exit, StationArgs, change, output};
use crate::base::Result;
use crate::base::clock::{from_ms, rfc3339, to_ms};
use crate::base::text::{bytes, show};
use crate::base::when::spoken;
use crate::cases::columns::Register;
use crate::cases::ledger::{self as keeping, Correction, Take};
use crate::cases::registers::Done;
use crate::cases::terms::spell_seconds;
use crate::catalog::ledger::{Condition, Filter, Issue};
use crate::catalog::{Connection, officers};

/// Keep the ledger of recorders: who took which, when, and what for
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the entries, the newest first
    List(List),
    /// Enter that an officer takes a recorder
    ///
    /// Docking the recorder returns it by itself.
    Issue {
        /// The recorder
        recorder: String,
        /// Badge of who takes it
        #[arg(long, value_name = "BADGE")]
        officer: String,
        /// What for
        #[arg(long, value_name = "TEXT")]
        purpose: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// Enter that a recorder came back without being docked
    Return {
        /// The recorder
        recorder: String,
        #[command(flatten)]
        moment: Moment,
    },
    /// Correct an entry; the custody log keeps what it said before
    Correct {
        /// The entry's number
        entry: i64,
        /// Badge of who took it
        #[arg(long, value_name = "BADGE")]
        officer: Option<String>,
        /// What for
        #[arg(long, value_name = "TEXT")]
        purpose: Option<String>,
        /// When it was taken
        #[arg(long, value_name = "TIME", value_parser = shared::moment)]
        issued_at: Option<i64>,
        /// When it came back; - where it is still out
        #[arg(long, value_name = "TIME", value_parser = OrNone::moment)]
        returned_at: Option<OrNone<i64>>,
        /// Why the entry was wrong
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Mark an entry as made by mistake; it stays in the ledger, and covers no time any more
    Void {
        /// The entry's number
        entry: i64,
        /// Why the entry was wrong
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Enter what a CSV file says; all of it or nothing
    ///
    /// Columns in any order, in English or Chinese: recorder, officer (badge), name, purpose, issued_at,
    /// issued_battery, issued_free, issued_clock, returned_at, returned_battery, returned_free, returned_clock,
    /// note. An entry that is there already must say the same, or how the recorder came back. Exit status 3
    /// with --dry-run: the file has problems.
    Import(Import),
    /// Write the ledger as CSV to standard output, without void entries
    Export(Export),
}

#[derive(clap::Args)]
struct List {
    /// Only entries of this recorder
    #[arg(long, value_name = "ID")]
    recorder: Option<String>,
    /// Only entries of this officer
    #[arg(long, value_name = "BADGE")]
    officer: Option<String>,
    /// Only recorders that are out
    #[arg(long)]
    open: bool,
    /// Void entries too
    #[arg(long)]
    void: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Moment {
    /// When, such as 2026-11-24 08:30; now where it is left out
    #[arg(long, value_name = "TIME", value_parser = shared::moment)]
    at: Option<i64>,
    /// Charge of the battery in percent
    #[arg(long, value_name = "PERCENT", value_parser = shared::percent)]
    battery: Option<u8>,
    /// Free space, such as 12 GiB
    #[arg(long, value_name = "SIZE", value_parser = shared::size)]
    free: Option<i64>,
    /// Seconds that its clock is ahead of the station's
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = shared::seconds)]
    clock_offset: Option<i64>,
    /// A note
    #[arg(long)]
    note: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Moment {
    fn condition(&self) -> Condition {
        Condition { battery: self.battery, free: self.free, clock: self.clock_offset }
    }
}

/// An entry as JSON.
pub fn value(db: &Connection, i: &Issue) -> Result<Value> {
    let time = |ms: Option<i64>| ms.map(|ms| rfc3339(from_ms(ms)));
    let seconds = |ms: Option<i64>| ms.map(|ms| ms as f64 / 1000.0);
    let officer = officers::get(db, i.officer)?;
    Ok(json!({
        "id": i.id, "recorder": i.recorder, "officer": officer.as_ref().map(|o| &o.badge),
        "name": officer.as_ref().map(|o| &o.name), "purpose": i.purpose, "issued_at": time(Some(i.issued_at)),
        "issued_battery": i.issued.battery, "issued_free": i.issued.free,
        "issued_clock_seconds": seconds(i.issued.clock), "returned_at": time(i.returned_at),
        "returned_battery": i.returned.battery, "returned_free": i.returned.free,
        "returned_clock_seconds": seconds(i.returned.clock), "docking": i.docking, "note": i.note,
        "void": i.void,
    }))
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    match &options.command {
        Command::List(options) => list(args, options),
        Command::Issue { recorder, officer, purpose, moment } => {
            let mut take = Take {
                recorder: recorder.clone(),
                badge: officer.clone(),
                purpose: purpose.clone(),
                issued: moment.condition(),
                note: moment.note.clone().unwrap_or_default(),
                ..Take::default()
            };
            let when = moment.at;
            let made = change(args, move |tx, who, at| {
                take.issued_at = when.unwrap_or(to_ms(at));
                keeping::issue(tx, who, at, &take)
            })?;
            tell(args, &made, moment.json)
        }
        Command::Return { recorder, moment } => {
            let (recorder, condition) = (recorder.clone(), moment.condition());
            let (note, when) = (moment.note.clone().unwrap_or_default(), moment.at);
            let made = change(args, move |tx, who, at| {
                let returned = (when.unwrap_or(to_ms(at)), condition);
                keeping::give_back(tx, who, at, recorder.trim(), returned, &note)
            })?;
            tell(args, &made, moment.json)
        }
        Command::Correct { entry, officer, purpose, issued_at, returned_at, why, json } => {
            let correction = Correction {
                badge: officer.clone(),
                purpose: purpose.clone(),
                issued_at: *issued_at,
                returned_at: returned_at.map(|at| at.0),
            };
            let (id, why) = (*entry, why.clone());
            let (done, made) =
                change(args, move |tx, who, at| keeping::correct(tx, who, at, id, &correction, &why))?;
            if !json {
                output::tell(&match done {
                    Done::Unchanged => format!("entry {id} is so already"),
                    _ => format!("entry {id} is corrected"),
                })?;
            }
            tell(args, &made, *json)
        }
        Command::Void { entry, why, json } => {
            let (id, why) = (*entry, why.clone());
            change(args, move |tx, who, at| keeping::void(tx, who, at, id, &why))?;
            if *json {
                output::json(&json!({ "id": id, "void": true }))?;
            } else {
                output::tell(&format!("entry {id} is void"))?;
            }
            Ok(Exit::Good)
        }
        Command::Import(options) => shared::run_import(args, Register::Ledger, options),
        Command::Export(options) => shared::run_export(args, Register::Ledger, options),
    }
}

fn tell(args: &StationArgs, i: &Issue, as_json: bool) -> Result<Exit> {
    let (db, _) = shared::reading(args)?;
    if as_json {
        output::json(&value(&db, i)?)?;
        return Ok(Exit::Good);
    }
    let holder = officers::get(&db, i.officer)?.map(|o| o.name).unwrap_or_default();
    let (id, recorder, since) = (i.id, show(i.recorder.as_ref()), spoken(i.issued_at));
    output::tell(&match (i.returned_at.map(spoken), i.docking) {
        (None, _) => format!("entry {id}: {holder} has recorder {recorder} since {since}"),
        (Some(end), None) => {
            format!("entry {id}: {holder} had recorder {recorder} from {since} to {end}")
        }
        (Some(end), Some(docking)) => format!(
            "entry {id}: {holder} had recorder {recorder} from {since} to {end}, when docking {docking} began"
        ),
    })?;
    Ok(Exit::Good)
}

fn list(args: &StationArgs, options: &List) -> Result<Exit> {
    let (db, who) = shared::reading(args)?;
    let officer = options.officer.as_deref().map(|badge| officers::find(&db, badge)).transpose()?;
    let filter = Filter {
        recorder: options.recorder.clone(),
        officer: officer.map(|o| o.id),
        open: options.open,
        void: options.void,
    };
    if options.json {
        // One by one: a ledger of years is long.
        let mut first = true;
        keeping::each(&db, &who, &filter, &mut |i| {
            let text = serde_json::to_string(&value(&db, &i)?).unwrap_or_default();
            let lead = if std::mem::take(&mut first) { "[" } else { "," };
            output::line(&format!("{lead}{text}"))
        })?;
        output::line(if first { "[]" } else { "]" })?;
        return Ok(Exit::Good);
    }
    let mut table = table();
    let (mut count, mut out) = (0_u64, 0_u64);
    keeping::each(&db, &who, &filter, &mut |i| {
        count += 1;
        out += u64::from(i.returned_at.is_none());
        let holder = officers::get(&db, i.officer)?.map(|o| format!("{} {}", o.name, o.badge));
        let end = match (i.returned_at, i.docking) {
            _ if i.void => t("void", "作废").to_owned(),
            (None, _) => t("still out", "未归还").to_owned(),
            (Some(end), None) => output::time(end),
            (Some(end), Some(_)) => {
                super::words::noted(&output::time(end), t("by docking", "接入时自动归还"))
            }
        };
        table.add_row([
            i.id.to_string(),
            show(i.recorder.as_ref()),
            holder.unwrap_or_default(),
            i.purpose.clone(),
            output::time(i.issued_at),
            condition(&i.issued),
            end,
            condition(&i.returned),
            i.note.clone(),
        ]);
        if count.is_multiple_of(1000) {
            output::print_table(&std::mem::replace(&mut table, self::table()))?;
        }
        Ok(())
    })?;
    output::print_table(&table)?;
    output::tell(&format!("{count} entries, {out} recorders are out"))?;
    Ok(Exit::Good)
}

fn table() -> comfy_table::Table {
    let mut table = output::table(&[
        "#",
        t("recorder", "记录仪"),
        t("taken by", "领用人"),
        t("purpose", "用途"),
        t("taken", "领用时间"),
        t("condition", "领用时状况"),
        t("came back", "归还时间"),
        t("condition", "归还时状况"),
        t("note", "备注"),
    ]);
    output::right(&mut table, &[0]);
    table
}

/// Battery, space and clock, as far as somebody looked.
fn condition(c: &Condition) -> String {
    let parts = [
        c.battery.map(|n| format!("{n}%")),
        c.free.map(|n| format!("{} {}", t("free", "剩余"), bytes(n.unsigned_abs()))),
        c.clock.map(|ms| {
            let sign = if ms > 0 { "+" } else { "" };
            format!("{} {sign}{} {}", t("clock", "时钟"), spell_seconds(ms), t("s", "秒"))
        }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(t(", ", "，"))
}
