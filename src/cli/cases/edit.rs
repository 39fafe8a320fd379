//! `docket cases open`, `set`, `officers`, `step`, `end`, `close`, `reopen`.

use chrono::{DateTime, Utc};

use super::show::named;
use super::{args, json};
use crate::base::Result;
use crate::base::config::Config;
use crate::cases::case::{self, Changes, New, StepChanges};
use crate::cases::checklist::Checklists;
use crate::cases::suggest::link_certain_of_case;
use crate::cases::waive;
use crate::catalog::cases;
use crate::cli::{Exit, StationArgs, change, look_into, output};

/// Open a case with the steps of its checklist
#[derive(clap::Args)]
pub struct OpenArgs {
    /// The case number, such as 岳屈自然资罚〔2026〕12号
    number: String,
    /// The kind of case, by its key or name (docket checklists list)
    #[arg(long, value_name = "KIND")]
    kind: String,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// The parties
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    parties: String,
    /// Where; coordinates in it (29.0123,113.0456) are compared with the footage's
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    address: String,
    /// Code of the unit that handles it; that of the acting officer otherwise
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    /// An officer on the case; may be given several times; the acting officer otherwise
    #[arg(long = "officer", value_name = "BADGE")]
    officers: Vec<String>,
    /// Who may know of it: public, internal, privacy, commercial, secret
    #[arg(long, value_name = "CLASS")]
    classification: Option<String>,
    /// The checklist, where several are for this kind
    #[arg(long, value_name = "ID")]
    checklist: Option<String>,
    /// Days for the case file after the act's end, where a law sets others
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
    case_days: Option<u32>,
    /// When it was opened, such as 2026-11-24 08:30; now otherwise
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    opened: Option<DateTime<Utc>>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Change what a case is about, its parties, address, stage, classification or limit
#[derive(clap::Args)]
pub struct SetArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// What it is about
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The parties
    #[arg(long, value_name = "TEXT")]
    parties: Option<String>,
    /// Where; coordinates in it (29.0123,113.0456) are compared with the footage's
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// How far it has come, in your own words
    #[arg(long, value_name = "TEXT")]
    stage: Option<String>,
    /// Who may know of it: public, internal, privacy, commercial, secret
    #[arg(long, value_name = "CLASS")]
    classification: Option<String>,
    /// Days for the case file after the act's end; 0: the unit's or the settings'
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=3660))]
    case_days: Option<u32>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Put officers on a case, or take them off
#[derive(clap::Args)]
pub struct OfficersArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// An officer to put on the case; may be given several times
    #[arg(long, value_name = "BADGE", required_unless_present = "remove")]
    add: Vec<String>,
    /// An officer to take off the case; may be given several times
    #[arg(long, value_name = "BADGE")]
    remove: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Note when a step took place, that it does not, or what must be told of it
#[derive(clap::Args)]
pub struct StepArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// The step, by its key or name
    step: String,
    /// When it began, such as 2026-11-24 08:30 (station time)
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    from: Option<DateTime<Utc>>,
    /// When it ended, such as 2026-11-24 08:30 (station time)
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    to: Option<DateTime<Utc>>,
    /// Forget when it took place
    #[arg(long, conflicts_with_all = ["from", "to"])]
    no_time: bool,
    /// It does not take place in this case; say why
    #[arg(long, requires = "why", conflicts_with = "applies")]
    does_not_apply: bool,
    /// It does take place after all; say why
    #[arg(long, requires = "why")]
    applies: bool,
    /// Confirm, as a second person, that a required step does not take place (a reviewer or a head)
    #[arg(long, conflicts_with_all = ["from", "to", "no_time", "does_not_apply", "applies", "why", "tell"])]
    confirm: bool,
    /// Why it does or does not take place
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// What must be told of the step in words; may be given several times
    #[arg(long, value_name = "KEY=TEXT", value_parser = args::pair)]
    tell: Vec<(String, String)>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Note when the act ended: the case file is due so many days later
#[derive(clap::Args)]
pub struct EndArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// When it ended, such as 2026-11-24 17:00; now otherwise
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    at: Option<DateTime<Utc>>,
    /// It has not ended after all
    #[arg(long, conflicts_with = "at", requires = "why")]
    not_ended: bool,
    /// Why what was noted before is changed
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Close a case whose steps are all explained
#[derive(clap::Args)]
pub struct CloseArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Open a closed case again
#[derive(clap::Args)]
pub struct ReopenArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Says what was done, or prints the case as it is now.
fn tell(config: &Config, number: &str, as_json: bool, said: &str) -> Result<Exit> {
    if as_json {
        let db = look_into(config)?;
        output::json(&json::value(&db, config, &cases::find(&db, number)?)?)?;
    } else {
        output::tell(said)?;
    }
    Ok(Exit::Good)
}

fn told(config: &Config, number: &str, as_json: bool, changed: bool) -> Result<Exit> {
    let db = look_into(config)?;
    let number = cases::find(&db, number)?.number;
    let said = if changed { format!("case {number} changed") } else { "nothing to change".to_owned() };
    tell(config, &number, as_json, &said)
}

pub fn open(station: &StationArgs, args: &OpenArgs) -> Result<Exit> {
    let config = station.config()?;
    let lists = Checklists::load(&config)?;
    let new = New {
        number: args.number.clone(),
        kind: args.kind.clone(),
        checklist: args.checklist.clone(),
        title: args.title.clone(),
        parties: args.parties.clone(),
        address: args.address.clone(),
        unit: args.unit.clone(),
        officers: args.officers.clone(),
        classification: args.classification.clone(),
        case_days: args.case_days,
        opened_at: args.opened,
    };
    let case = change(station, move |tx, who, at| case::open(tx, who, at, &lists, &new))?;
    tell(&config, &case.number, args.json, &format!("case {} opened", case.number))
}

pub fn set(station: &StationArgs, args: &SetArgs) -> Result<Exit> {
    let config = station.config()?;
    let number = args.number.clone();
    let changes = Changes {
        title: args.title.clone(),
        parties: args.parties.clone(),
        address: args.address.clone(),
        stage: args.stage.clone(),
        classification: args.classification.clone(),
        case_days: args.case_days,
    };
    let changed = change(station, move |tx, who, at| case::set(tx, who, at, &number, &changes))?;
    told(&config, &args.number, args.json, changed)
}

pub fn officers(station: &StationArgs, args: &OfficersArgs) -> Result<Exit> {
    let config = station.config()?;
    let (number, add, remove) = (args.number.clone(), args.add.clone(), args.remove.clone());
    let changed =
        change(station, move |tx, who, at| case::set_officers(tx, who, at, &number, &add, &remove))?;
    told(&config, &args.number, args.json, changed)
}

pub fn step(station: &StationArgs, args: &StepArgs) -> Result<Exit> {
    let config = station.config()?;
    let (number, which) = (args.number.clone(), args.step.clone());
    if args.confirm {
        let changed = change(station, move |tx, who, at| waive::confirm(tx, who, at, &number, &which))?;
        return told(&config, &args.number, args.json, changed);
    }
    let applies = (args.applies || args.does_not_apply).then_some(args.applies);
    let forget = args.no_time.then_some(None);
    let changes = StepChanges {
        from: args.from.map(Some).or(forget),
        to: args.to.map(Some).or(forget),
        applies: applies.map(|applies| (applies, args.why.clone().unwrap_or_default())),
        told: args.tell.clone(),
    };
    // What the rule is sure of is linked in the same transaction as the time it goes by.
    let by_itself = config.cases.link_by_itself && (args.from.is_some() || args.to.is_some());
    let (changed, linked) = change(station, move |tx, who, at| {
        let changed = case::set_step(tx, who, at, &number, &which, &changes)?;
        let linked = match by_itself {
            true => link_certain_of_case(tx, at, &cases::find(tx, &number)?)?,
            false => Vec::new(),
        };
        Ok((changed, linked))
    })?;
    let exit = told(&config, &args.number, args.json, changed)?;
    if !linked.is_empty() && !args.json {
        output::tell(&format!("{} recordings were linked by rule", linked.len()))?;
    }
    Ok(exit)
}

pub fn end(station: &StationArgs, args: &EndArgs) -> Result<Exit> {
    let config = station.config()?;
    let (number, at_time, not) = (args.number.clone(), args.at, args.not_ended);
    let why = args.why.clone().unwrap_or_default();
    let case = change(station, move |tx, who, at| {
        let ended = if not { None } else { Some(at_time.unwrap_or(at)) };
        case::end(tx, who, at, &number, ended, &why)
    })?;
    let said = match case.act_ended_at {
        Some(ms) => format!("the act of case {} ended at {}", case.number, output::time(ms)),
        None => format!("the act of case {} has not ended", case.number),
    };
    tell(&config, &case.number, args.json, &said)
}

pub fn close(station: &StationArgs, args: &CloseArgs) -> Result<Exit> {
    let config = station.config()?;
    let number = args.number.clone();
    let case = change(station, move |tx, who, at| case::close(tx, who, at, &number))?;
    let exit = tell(&config, &case.number, args.json, &format!("case {} closed", case.number))?;
    for d in json::details(&look_into(&config)?, &case)?.iter().filter(|_| !args.json) {
        let (bad, name) = (d.unplayable(), named(&d.step.name, &d.step.name_zh));
        if bad > 0 {
            output::tell(&format!("attention: {bad} recordings at the step {name} cannot be played"))?;
        }
    }
    Ok(exit)
}

pub fn reopen(station: &StationArgs, args: &ReopenArgs) -> Result<Exit> {
    let config = station.config()?;
    let (number, why) = (args.number.clone(), args.why.clone());
    let case = change(station, move |tx, who, at| case::reopen(tx, who, at, &number, &why))?;
    tell(&config, &case.number, args.json, &format!("case {} is open again", case.number))
}
