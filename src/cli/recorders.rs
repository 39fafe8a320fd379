//! `docket recorders`: the register of recorders, with what the station has seen of them.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};

use super::ledger::value;
use super::registers::{self as shared, Export, Import};
use super::words::{self, t};
use super::{Exit, StationArgs, output};
use crate::base::clock::{from_ms, rfc3339};
use crate::base::text::show;
use crate::base::{Error, Kind, Result};
use crate::cases::columns::Register;
use crate::cases::registers::{Done, Must, RecorderChange, alike_recorders, may_read, put_recorder};
use crate::catalog::recorders::{self, Known, State};
use crate::catalog::{Connection, ledger, officers, units};
use crate::ingest::station::Settings;

/// Keep the register of recorders
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the recorders that are registered or were seen, and who has them
    List {
        /// Those that are retired too
        #[arg(long)]
        all: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Register a recorder
    Add(Fields),
    /// Change a recorder's entry
    Set(Fields),
    /// Register and change recorders as a CSV file says; all of it or nothing
    ///
    /// Columns in any order, in English or Chinese: id, model, profile, unit, officer, state, note. Exit
    /// status 3 with --dry-run: the file has problems.
    Import(Import),
    /// Write the recorders as CSV to standard output
    Export(Export),
}

#[derive(clap::Args)]
struct Fields {
    /// The recorder's identity, as its cards bear it
    id: String,
    /// Maker and model
    #[arg(long)]
    model: Option<String>,
    /// The card profile it uses; - for none
    #[arg(long)]
    profile: Option<String>,
    /// Code or name of the unit that has it; - for none
    #[arg(long)]
    unit: Option<String>,
    /// Badge of the officer it is assigned to; - for none
    #[arg(long, value_name = "BADGE")]
    officer: Option<String>,
    /// Whether it can be used: in-service, lent, broken, retired
    #[arg(long, value_parser = shared::state)]
    state: Option<State>,
    /// A note
    #[arg(long)]
    note: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    match &options.command {
        Command::List { all, json } => list(args, *all, *json),
        Command::Add(fields) => put(args, fields, Must::Add),
        Command::Set(fields) => put(args, fields, Must::Set),
        Command::Import(options) => shared::run_import(args, Register::Recorders, options),
        Command::Export(options) => shared::run_export(args, Register::Recorders, options),
    }
}

fn put(args: &StationArgs, fields: &Fields, must: Must) -> Result<Exit> {
    let change = RecorderChange {
        id: fields.id.clone(),
        model: fields.model.clone(),
        profile: shared::or_none(&fields.profile),
        unit: shared::or_none(&fields.unit),
        officer: shared::or_none(&fields.officer),
        state: fields.state,
        note: fields.note.clone(),
    };
    if let Some(Some(profile)) = &change.profile {
        known_profile(args, profile)?;
    }
    let (done, alike) = super::change(args, move |tx, who, at| {
        let done = put_recorder(tx, who, at, &change, must)?;
        let alike = if done == Done::Added { alike_recorders(tx, &change.id)? } else { Vec::new() };
        Ok((done, alike))
    })?;
    shared::tell_alike(&alike, fields.json)?;
    shared::tell(&done, "recorder", fields.id.trim(), fields.json)
}

/// Refuses a profile that the station does not have.
fn known_profile(args: &StationArgs, profile: &str) -> Result<()> {
    let loaded = Settings::load(args.config()?)?;
    if loaded.profiles.get(profile).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = loaded.profiles.iter().map(|p| p.id.as_str()).collect();
    Err(Error::new(Kind::NotFound, format!("there is no profile `{profile}`"))
        .next(format!("these are known: {}", known.join(", "))))
}

fn list(args: &StationArgs, retired: bool, as_json: bool) -> Result<Exit> {
    let (db, who) = shared::reading(args)?;
    may_read(&who)?;
    let out: BTreeMap<String, ledger::Issue> =
        ledger::open_issues(&db)?.into_iter().map(|i| (i.recorder.clone(), i)).collect();
    let is_retired = |k: &Known| k.entry.as_ref().is_some_and(|e| e.state == State::Retired);
    let all: Vec<Known> =
        recorders::all(&db)?.into_iter().filter(|k| as_json || retired || !is_retired(k)).collect();
    if as_json {
        let list = all.iter().map(|k| recorder(&db, k, out.get(&k.id))).collect::<Result<Vec<_>>>()?;
        output::json(&list)?;
        return Ok(Exit::Good);
    }
    let mut table = output::table(&[
        t("recorder", "记录仪"),
        t("model", "型号"),
        t("unit", "单位"),
        t("assigned to", "配发人"),
        t("state", "状态"),
        t("last seen", "最近接入"),
        t("taken by", "领用人"),
        t("since", "领用时间"),
    ]);
    for k in &all {
        let e = k.entry.as_ref();
        let issue = out.get(&k.id);
        let unit = e.and_then(|e| e.unit).map(|id| units::get(&db, id)).transpose()?.flatten();
        let state = e.map_or(t("not registered", "未登记"), |e| words::state(e.state.word()));
        table.add_row([
            show(k.id.as_ref()),
            e.map(|e| e.model.clone()).unwrap_or_default(),
            unit.map(|u| u.name).unwrap_or_default(),
            name(&db, e.and_then(|e| e.officer))?,
            state.to_owned(),
            k.seen.map_or_else(String::new, |(_, last)| output::time(last)),
            name(&db, issue.map(|i| i.officer))?,
            issue.map_or_else(String::new, |i| output::time(i.issued_at)),
        ]);
    }
    output::print_table(&table)?;
    let unknown = all.iter().filter(|k| k.entry.is_none()).count();
    output::tell(&format!("{} recorders, {} of them taken, {unknown} not registered", all.len(), out.len()))?;
    Ok(Exit::Good)
}

fn name(db: &Connection, officer: Option<i64>) -> Result<String> {
    let Some(id) = officer else { return Ok(String::new()) };
    Ok(officers::get(db, id)?.map(|o| o.name).unwrap_or_default())
}

fn recorder(db: &Connection, k: &Known, issue: Option<&ledger::Issue>) -> Result<Value> {
    let e = k.entry.as_ref();
    let time = |ms: Option<i64>| ms.map(|ms| rfc3339(from_ms(ms)));
    let unit = e.and_then(|e| e.unit).map(|id| units::code_of(db, Some(id))).transpose()?;
    let officer = e.and_then(|e| e.officer).map(|id| officers::badge_of(db, Some(id))).transpose()?;
    Ok(json!({
        "id": k.id, "registered": e.is_some(), "model": e.map(|e| &e.model),
        "profile": e.and_then(|e| e.profile.as_ref()), "unit": unit, "officer": officer,
        "state": e.map(|e| e.state.word()), "note": e.map(|e| &e.note),
        "first_seen_at": time(k.seen.map(|s| s.0)), "last_seen_at": time(k.seen.map(|s| s.1)),
        "last_docking": k.docking, "issued": issue.map(|i| value(db, i)).transpose()?,
    }))
}
