//! `docket cases`: cases, their steps, the footage linked to them, and exemptions.

mod args;
mod edit;
mod exempt;
mod footage;
mod json;
mod show;

use clap::Subcommand;

use super::{Exit, StationArgs};
use crate::base::Result;

pub use json::value;
pub use show::{case_rows, print_case};

/// Open, change and close cases; link footage to their steps
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(show::ListArgs),
    Show(show::ShowArgs),
    Open(edit::OpenArgs),
    Set(edit::SetArgs),
    Officers(edit::OfficersArgs),
    Step(edit::StepArgs),
    End(edit::EndArgs),
    Close(edit::CloseArgs),
    Reopen(edit::ReopenArgs),
    Link(footage::LinkArgs),
    Unlink(footage::UnlinkArgs),
    Suggest(footage::SuggestArgs),
    Classify(footage::ClassifyArgs),
    /// Propose, review and approve that a step needs no footage
    Exempt {
        #[command(subcommand)]
        command: exempt::Command,
    },
}

pub fn run(station: &StationArgs, args: &Args) -> Result<Exit> {
    match &args.command {
        Command::List(args) => show::list(station, args),
        Command::Show(args) => show::show(station, args),
        Command::Open(args) => edit::open(station, args),
        Command::Set(args) => edit::set(station, args),
        Command::Officers(args) => edit::officers(station, args),
        Command::Step(args) => edit::step(station, args),
        Command::End(args) => edit::end(station, args),
        Command::Close(args) => edit::close(station, args),
        Command::Reopen(args) => edit::reopen(station, args),
        Command::Link(args) => footage::link(station, args),
        Command::Unlink(args) => footage::unlink(station, args),
        Command::Suggest(args) => footage::suggest(station, args),
        Command::Classify(args) => footage::classify(station, args),
        Command::Exempt { command } => exempt::run(station, command),
    }
}
