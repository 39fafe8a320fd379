//! `docket officers`: the register of officers.

use clap::Subcommand;
use serde_json::{Value, json};

use super::registers::{self as shared, Export, Import};
use super::words::{self, t};
use super::{Exit, StationArgs, output};
use crate::access::Role;
use crate::base::Result;
use crate::cases::columns::Register;
use crate::cases::registers::{Done, Must, OfficerChange, alike_officers, may_read, put_officer};
use crate::catalog::{officers, units};

/// Keep the register of officers
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the officers
    List {
        /// Those who have left too
        #[arg(long)]
        all: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Register an officer
    Add(Fields),
    /// Change an officer's entry
    Set(Change),
    /// Register and change officers as a CSV file says; all of it or nothing
    ///
    /// Columns in any order, in English or Chinese: badge, name, unit, role, email, quiet, digest, left. Exit
    /// status 3 with --dry-run: the file has problems.
    Import(Import),
    /// Write the officers as CSV to standard output
    Export(Export),
}

#[derive(clap::Args)]
struct Fields {
    /// The officer's badge (number of the certificate)
    badge: String,
    /// The name
    #[arg(long)]
    name: Option<String>,
    /// Code or name of the unit
    #[arg(long)]
    unit: Option<String>,
    /// The role: officer, reviewer, head, supervisor, storage, admin
    #[arg(long, value_parser = shared::role)]
    role: Option<Role>,
    /// Mail address; - for none
    #[arg(long)]
    email: Option<String>,
    /// Hours in which only what is overdue is sent, such as 22:00-07:00; - for none
    #[arg(long, value_name = "HOURS")]
    quiet: Option<String>,
    /// Time of one message a day instead of many, such as 08:00; - for none
    #[arg(long, value_name = "TIME")]
    digest: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Change {
    #[command(flatten)]
    fields: Fields,
    /// The officer has left
    #[arg(long, conflicts_with = "rejoin")]
    leave: bool,
    /// The officer is back
    #[arg(long)]
    rejoin: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    match &options.command {
        Command::List { all, json } => list(args, *all, *json),
        Command::Add(fields) => put(args, fields, None, Must::Add),
        Command::Set(change) => {
            let left = (change.leave || change.rejoin).then_some(change.leave);
            put(args, &change.fields, left, Must::Set)
        }
        Command::Import(options) => shared::run_import(args, Register::Officers, options),
        Command::Export(options) => shared::run_export(args, Register::Officers, options),
    }
}

fn put(args: &StationArgs, fields: &Fields, left: Option<bool>, must: Must) -> Result<Exit> {
    let change = OfficerChange {
        badge: fields.badge.clone(),
        name: fields.name.clone(),
        unit: fields.unit.clone(),
        role: fields.role,
        email: shared::or_none(&fields.email),
        quiet: shared::or_none(&fields.quiet),
        digest: shared::or_none(&fields.digest),
        left,
    };
    let (done, alike) = super::change(args, move |tx, who, at| {
        let done = put_officer(tx, who, at, &change, must)?;
        let alike = if done == Done::Added { alike_officers(tx, &change.badge)? } else { Vec::new() };
        Ok((done, alike))
    })?;
    shared::tell_alike(&alike, fields.json)?;
    shared::tell(&done, "officer", fields.badge.trim(), fields.json)
}

fn list(args: &StationArgs, left: bool, as_json: bool) -> Result<Exit> {
    let (db, who) = shared::reading(args)?;
    may_read(&who)?;
    let all: Vec<_> = officers::all(&db)?.into_iter().filter(|o| as_json || left || !o.left).collect();
    if as_json {
        let mut list: Vec<Value> = Vec::new();
        for o in &all {
            let unit = units::code_of(&db, Some(o.unit))?;
            list.push(json!({ "badge": o.badge, "name": o.name, "unit": unit, "role": o.role.word(),
                "email": o.email, "quiet": o.quiet, "digest": o.digest, "left": o.left }));
        }
        output::json(&list)?;
        return Ok(Exit::Good);
    }
    let mut table = output::table(&[
        t("badge", "执法证号"),
        t("name", "姓名"),
        t("unit", "单位"),
        t("role", "角色"),
        t("mail", "邮箱"),
        t("quiet", "免打扰时段"),
        t("digest", "每日汇总"),
        t("state", "状态"),
    ]);
    for o in &all {
        let unit = units::get(&db, o.unit)?.map(|u| u.name).unwrap_or_default();
        table.add_row([
            o.badge.clone(),
            o.name.clone(),
            unit,
            words::role(o.role).to_owned(),
            o.email.clone().unwrap_or_default(),
            o.quiet.clone().unwrap_or_default(),
            o.digest.clone().unwrap_or_default(),
            if o.left { t("left", "已离岗").to_owned() } else { String::new() },
        ]);
    }
    output::print_table(&table)?;
    output::tell(&format!("{} officers", all.len()))?;
    Ok(Exit::Good)
}
