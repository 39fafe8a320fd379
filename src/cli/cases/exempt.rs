//! `docket cases exempt`: three persons say that a step needs no footage.

use clap::Subcommand;

use super::{args, json};
use crate::base::Result;
use crate::cases::exempt::{self, New};
use crate::catalog::exemptions::{self, Exemption};
use crate::cli::{Exit, StationArgs, change, output};

#[derive(Subcommand)]
pub enum Command {
    /// Propose that a step needs no footage (the handling officer)
    Propose {
        /// The case number, or a part of it that no other case has
        number: String,
        /// The step, by its key or name
        step: String,
        /// On what ground: device_fault 设备故障, party_uncooperative 当事人不配合, severe_weather 恶劣天气, other 其他
        #[arg(long, value_parser = args::ground)]
        ground: String,
        /// The reason, in words
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// What supports it: a repair slip, a weather warning, a witness
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Review a proposed exemption (another person)
    Review {
        /// The exemption's number
        id: i64,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve a reviewed exemption (a third person)
    Approve {
        /// The exemption's number
        id: i64,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Reject a proposed or reviewed exemption
    Reject {
        /// The exemption's number
        id: i64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        remark: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Withdraw an exemption that you proposed
    Withdraw {
        /// The exemption's number
        id: i64,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        remark: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(station: &StationArgs, command: &Command) -> Result<Exit> {
    let (json, e): (bool, Exemption) = match command {
        Command::Propose { number, step, ground, reason, note, json } => {
            let new = New {
                number: number.clone(),
                step: step.clone(),
                ground: ground.clone(),
                reason: reason.clone(),
                note: note.clone(),
            };
            let made =
                change(station, move |tx, who, at| exemptions::get(tx, exempt::propose(tx, who, at, &new)?))?;
            (*json, made)
        }
        Command::Review { id, json } => {
            let id = *id;
            (
                *json,
                change(station, move |tx, who, at| {
                    exempt::review(tx, who, at, id)?;
                    exemptions::get(tx, id)
                })?,
            )
        }
        Command::Approve { id, json } => {
            let id = *id;
            (
                *json,
                change(station, move |tx, who, at| {
                    exempt::approve(tx, who, at, id)?;
                    exemptions::get(tx, id)
                })?,
            )
        }
        Command::Reject { id, remark, json } => {
            let (id, remark) = (*id, remark.clone());
            (
                *json,
                change(station, move |tx, who, at| {
                    exempt::reject(tx, who, at, id, &remark)?;
                    exemptions::get(tx, id)
                })?,
            )
        }
        Command::Withdraw { id, remark, json } => {
            let (id, remark) = (*id, remark.clone());
            (
                *json,
                change(station, move |tx, who, at| {
                    exempt::withdraw(tx, who, at, id, &remark)?;
                    exemptions::get(tx, id)
                })?,
            )
        }
    };
    if json {
        output::json(&json::exemption_json(&e))?;
    } else {
        output::tell(&format!("exemption {} is {}", e.id, e.state))?;
    }
    Ok(Exit::Good)
}
