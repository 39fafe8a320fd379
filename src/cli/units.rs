//! `docket units`: the register of units.

use clap::Subcommand;
use serde_json::{Value, json};

use super::registers::{self as shared, Export, Import, OrNone};
use super::words::t;
use super::{Exit, StationArgs, output};
use crate::base::Result;
use crate::cases::columns::Register;
use crate::cases::registers::{Must, UnitChange, may_read, put_unit};
use crate::catalog::units;

/// Keep the register of units
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the units
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Register a unit
    Add(Fields),
    /// Change a unit
    Set(Change),
    /// Register and change units as a CSV file says; all of it or nothing
    ///
    /// Columns in any order, in English or Chinese: code, name, parent, archive_hours, case_days, closed. Exit
    /// status 3 with --dry-run: the file has problems.
    Import(Import),
    /// Write the units as CSV to standard output
    Export(Export),
}

#[derive(clap::Args)]
struct Fields {
    /// The unit's code
    code: String,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Code or name of the unit above it; - for none
    #[arg(long, value_name = "UNIT")]
    parent: Option<String>,
    /// Hours until a recording must be archived; - for the limit of the unit above or of the settings
    #[arg(long, value_name = "HOURS", value_parser = OrNone::number)]
    archive_hours: Option<OrNone<u32>>,
    /// Days until a case file must be complete; - for the limit of the unit above or of the settings
    #[arg(long, value_name = "DAYS", value_parser = OrNone::number)]
    case_days: Option<OrNone<u32>>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Change {
    #[command(flatten)]
    fields: Fields,
    /// It is out of use
    #[arg(long, conflicts_with = "reopen")]
    close: bool,
    /// It is in use again
    #[arg(long)]
    reopen: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    match &options.command {
        Command::List { json } => list(args, *json),
        Command::Add(fields) => put(args, fields, None, Must::Add),
        Command::Set(change) => {
            let closed = (change.close || change.reopen).then_some(change.close);
            put(args, &change.fields, closed, Must::Set)
        }
        Command::Import(options) => shared::run_import(args, Register::Units, options),
        Command::Export(options) => shared::run_export(args, Register::Units, options),
    }
}

fn put(args: &StationArgs, fields: &Fields, closed: Option<bool>, must: Must) -> Result<Exit> {
    let change = UnitChange {
        code: fields.code.clone(),
        name: fields.name.clone(),
        parent: shared::or_none(&fields.parent),
        archive_hours: fields.archive_hours.map(|n| n.0),
        case_days: fields.case_days.map(|n| n.0),
        closed,
    };
    let done = super::change(args, move |tx, who, at| put_unit(tx, who, at, &change, must))?;
    shared::tell(&done, "unit", fields.code.trim(), fields.json)
}

fn list(args: &StationArgs, as_json: bool) -> Result<Exit> {
    let (db, who) = shared::reading(args)?;
    may_read(&who)?;
    let all = units::all(&db)?;
    let code = |id: Option<i64>| all.iter().find(|u| Some(u.id) == id).map(|u| u.code.clone());
    if as_json {
        let list: Vec<Value> = all
            .iter()
            .map(|u| {
                json!({ "code": u.code, "name": u.name, "parent": code(u.parent),
                    "archive_hours": u.archive_hours, "case_days": u.case_days, "closed": u.closed })
            })
            .collect();
        output::json(&list)?;
        return Ok(Exit::Good);
    }
    let mut table = output::table(&[
        t("code", "单位编码"),
        t("name", "名称"),
        t("above", "上级单位"),
        t("archive hours", "归档时限（小时）"),
        t("case days", "立卷归档时限（天）"),
        t("state", "状态"),
    ]);
    output::right(&mut table, &[3, 4]);
    let number = |n: Option<u32>| n.map_or_else(String::new, |n| n.to_string());
    for u in &all {
        table.add_row([
            u.code.clone(),
            u.name.clone(),
            code(u.parent).unwrap_or_default(),
            number(u.archive_hours),
            number(u.case_days),
            if u.closed { t("closed", "已撤销").to_owned() } else { String::new() },
        ]);
    }
    output::print_table(&table)?;
    output::tell(&format!("{} units", all.len()))?;
    Ok(Exit::Good)
}
