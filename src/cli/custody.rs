//! `docket custody`: the append-only log of who did what to what.

use clap::Subcommand;
use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, look_into, output};
use crate::base::Result;
use crate::base::text::hex;
use crate::catalog::recordings;
use crate::custody::log::{self, Stored};

/// Show or check the custody log
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the history of one object, or the newest entries
    Show {
        /// A recording's id (or its end), or an object such as docking:3, volume:main, station
        object: Option<String>,
        /// How many of the newest entries
        #[arg(long, default_value_t = 50)]
        last: u64,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every entry's hash and the chain over all of them
    Verify {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let db = look_into(&args.config()?)?;
    match &options.command {
        Command::Show { object, last, json } => {
            let entries = match object {
                None => log::tail(&db, *last)?,
                Some(object) if object == "station" || object.contains(':') => log::history(&db, object)?,
                Some(id) => {
                    // A copy that is not finished has a history too.
                    let id = recordings::find(&db, id).map_or_else(|_| id.clone(), |r| r.id);
                    log::history(&db, &format!("recording:{id}"))?
                }
            };
            if *json {
                output::json(&entries.iter().map(value).collect::<Vec<_>>())?;
            } else {
                print(&entries)?;
            }
        }
        Command::Verify { json } => {
            let (entries, head) = log::verify(&db)?;
            if *json {
                output::json(&json!({ "entries": entries, "head": hex(&head), "good": true }))?;
            } else {
                output::tell(&format!("{entries} entries, unbroken; head {}", hex(&head)))?;
            }
        }
    }
    Ok(Exit::Good)
}

/// An entry as JSON: its canonical content with its hashes.
pub fn value(entry: &Stored) -> Value {
    let content: Value = serde_json::from_slice(&entry.entry).unwrap_or(Value::Null);
    json!({ "seq": entry.seq, "entry": content, "leaf": hex(&entry.leaf), "chain": hex(&entry.chain) })
}

/// Prints entries as lines for people.
pub fn print(entries: &[Stored]) -> Result<()> {
    let mut table = output::table(&[
        "#",
        t("time", "时间"),
        t("by", "操作者"),
        t("what", "事项"),
        t("object", "对象"),
        t("details", "详情"),
    ]);
    for entry in entries {
        let content: Value = serde_json::from_slice(&entry.entry).unwrap_or(Value::Null);
        let text = |key: &str| content[key].as_str().unwrap_or_default().to_owned();
        let details = content["details"].as_object().map_or_else(String::new, |d| {
            d.iter()
                .filter(|(_, v)| !(v.is_null() && words::is_chinese()))
                .map(|(k, v)| words::detail(k, &v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
                .collect::<Vec<_>>()
                .join(" ")
        });
        table.add_row([
            entry.seq.to_string(),
            output::time_of(&text("at")),
            text("actor"),
            words::action(&text("action")).to_owned(),
            text("object"),
            details,
        ]);
    }
    output::print_table(&table)
}
