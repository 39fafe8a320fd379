//! The commands: one file each, over the rooms below.

mod alerts;
mod backup;
mod cases;
mod checklists;
mod custody;
mod deadlines;
mod demo;
mod demo_cards;
mod demo_sinks;
mod demo_story;
mod doctor;
mod fsck;
mod help;
mod ingest;
mod init;
mod interrupt;
mod ledger;
mod man;
mod officers;
mod output;
mod rebuild;
mod recorders;
mod recordings;
mod registers;
mod run;
mod search;
mod status;
mod units;
mod verify;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::access::{self, About, Deed, Person};
use crate::base::clock::{Clock, SystemClock};
use crate::base::config::{Config, Source};
use crate::base::{Error, Kind, Result};
use crate::catalog::dockings::By;
use crate::catalog::{self, Catalog, Connection};
use crate::deadline::watch::Watch;
use crate::ingest::station::CATALOG;

/// How a command ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as it should be.
    Good,
    /// It was done, and something it found needs a person.
    Attention,
    /// It was done, and the custody log is not as it was written.
    Altered,
}

/// Exit status of [`Exit::Attention`].
const ATTENTION: u8 = 3;
/// Exit status of [`Exit::Altered`].
const ALTERED: u8 = 4;

#[derive(Parser)]
#[command(
    name = "docket",
    version,
    about = "Body-camera ingestion station: footage docks, and lands on the docket",
    after_help = "Exit status: 0 done; 1 could not be done; 2 wrong usage; 3 done, but something needs a \
                  person; 4 the custody log is not as it was written; 130 stopped by Ctrl-C.\nEvery command has its own --help. Start with: docket demo",
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    station: StationArgs,
    /// Language of tables and messages; the locale decides otherwise
    #[arg(long, global = true, value_parser = ["en", "zh"])]
    lang: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// Which station a command is about.
#[derive(Args)]
struct StationArgs {
    /// The station's data directory
    #[arg(long, global = true, env = "DOCKET_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// A settings file elsewhere than DIR/docket.toml
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// Act in the name and with the rights of this officer; without it, as the station's administrator
    #[arg(long = "as", global = true, env = "DOCKET_AS", value_name = "BADGE")]
    acting: Option<String>,
}

impl StationArgs {
    fn source(&self) -> Result<Source> {
        match (&self.config, &self.data) {
            (Some(file), _) => Ok(Source::File(file.clone())),
            (None, Some(dir)) => Ok(Source::Data(dir.clone())),
            (None, None) => Err(Error::new(Kind::Invalid, "which station?")
                .next("name its data directory: --data DIR, or DOCKET_DATA=DIR in the environment")),
        }
    }

    fn config(&self) -> Result<Config> {
        self.source()?.load()
    }

    /// Who acts. Whoever can open the station's files could change them by hand as well, so without
    /// `--as` a command acts as its administrator.
    fn person(&self, db: &Connection) -> Result<Person> {
        match &self.acting {
            Some(badge) => {
                let person = catalog::officers::find(db, badge)?.acting()?;
                // Evidence: in whose name, and at whose keyboard.
                Ok(Person { actor: [person.actor, actor()].join(" via "), ..person })
            }
            None => Ok(Person::administrator(actor())),
        }
    }
}

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Run(run::Args),
    Ingest(ingest::Args),
    Status(status::Args),
    Recordings(recordings::Args),
    Verify(verify::Args),
    Fsck(fsck::Args),
    Rebuild(rebuild::Args),
    Backup(backup::Args),
    Doctor(doctor::Args),
    Custody(custody::Args),
    Deadlines(deadlines::Args),
    Alerts(alerts::Args),
    Cases(cases::Args),
    Checklists(checklists::Args),
    Search(search::Args),
    Units(units::Args),
    Officers(officers::Args),
    Recorders(recorders::Args),
    Ledger(ledger::Args),
    Demo(demo::Args),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    Man(man::Args),
    /// The child process that reads media; docket starts it by itself
    #[command(hide = true)]
    MediaWorker,
}

impl Command {
    /// Whether it works on the station as a whole: who acts in an officer's name needs the right to.
    fn is_of_station(&self) -> bool {
        use Command::{Backup, Doctor, Fsck, Ingest, Init, Rebuild, Run, Status, Verify};
        matches!(
            self,
            Init(_)
                | Run(_)
                | Ingest(_)
                | Status(_)
                | Verify(_)
                | Fsck(_)
                | Rebuild(_)
                | Backup(_)
                | Doctor(_)
        )
    }
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = help::parse();
    let done = may_begin(&cli).and_then(|()| run(cli));
    match done {
        Ok(Exit::Good) => ExitCode::SUCCESS,
        Ok(Exit::Attention) => ExitCode::from(ATTENTION),
        Ok(Exit::Altered) => ExitCode::from(ALTERED),
        Err(e) => {
            eprintln!("docket{}{}", words::t(": ", "："), words::error(&e));
            ExitCode::from(if e.kind() == Kind::Cancelled { 130 } else { 1 })
        }
    }
}

fn may_begin(cli: &Cli) -> Result<()> {
    if cli.station.acting.is_none() || !cli.command.is_of_station() {
        return Ok(());
    }
    let who = cli.station.person(&look_into(&cli.station.config()?)?)?;
    access::check(&who, Deed::RunStation, &About::default())
}

fn run(cli: Cli) -> Result<Exit> {
    let station = &cli.station;
    match cli.command {
        Command::Init(args) => init::run(station, &args),
        Command::Run(args) => run::run(station, &args),
        Command::Ingest(args) => ingest::run(station, &args),
        Command::Status(args) => status::run(station, &args),
        Command::Recordings(args) => recordings::run(station, &args),
        Command::Verify(args) => verify::run(station, &args),
        Command::Fsck(args) => fsck::run(station, &args),
        Command::Rebuild(args) => rebuild::run(station, &args),
        Command::Backup(args) => backup::run(station, &args),
        Command::Doctor(args) => doctor::run(station, &args),
        Command::Custody(args) => custody::run(station, &args),
        Command::Deadlines(args) => deadlines::run(station, &args),
        Command::Alerts(args) => alerts::run(station, &args),
        Command::Cases(args) => cases::run(station, &args),
        Command::Checklists(args) => checklists::run(station, &args),
        Command::Search(args) => search::run(station, &args),
        Command::Units(args) => units::run(station, &args),
        Command::Officers(args) => officers::run(station, &args),
        Command::Recorders(args) => recorders::run(station, &args),
        Command::Ledger(args) => ledger::run(station, &args),
        Command::Demo(args) => demo::run(station, &args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "docket", &mut std::io::stdout());
            Ok(Exit::Good)
        }
        Command::Man(args) => man::run(&args),
        Command::MediaWorker => crate::media::child::serve().map(|()| Exit::Good),
    }
}

/// The catalogue for looking only, beside a running daemon or without one.
fn look_into(config: &Config) -> Result<Connection> {
    let path = config.data.join(CATALOG);
    if !path.exists() {
        return Err(Error::new(Kind::NotFound, format!("there is no station in {}", config.data.display()))
            .next("`docket init --data DIR` makes one; --data or DOCKET_DATA names another"));
    }
    catalog::look(&path)
}

/// Brings deadlines and alerts up to date before they are shown: no daemon may be running, and one that is
/// may not have come to it yet. Where the catalogue cannot be written, what is known is shown.
fn judge(config: &Config) {
    let path = config.data.join(CATALOG);
    // What cannot be looked at says so when it is shown.
    let behind = catalog::look(&path).and_then(|db| Watch::is_behind(&db, SystemClock.now()));
    if !behind.unwrap_or(false) {
        return;
    }
    let judged = Catalog::open(&path).and_then(|catalog| {
        let watch = Watch::new(config);
        let by = || By { actor: actor(), at: SystemClock.now() };
        watch.catch_up(&catalog, &by)?;
        watch.pass_time(&catalog, &by)
    });
    if let Err(e) = judged {
        let what = format!("deadlines may not be up to date: {}", e.what());
        eprintln!("docket{}{}", words::t(": ", "："), words::say(&what));
    }
}

/// Makes a change beside a running daemon or without one, in the name of whoever acts.
fn change<T: Send + 'static>(
    args: &StationArgs,
    make: impl FnOnce(&Connection, &Person, DateTime<Utc>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let catalog = Catalog::open(&args.config()?.data.join(CATALOG))?;
    let (who, at) = (catalog.read(|db| args.person(db))?, SystemClock.now());
    catalog.write(move |tx| make(tx, &who, at))
}

/// In whose name a command makes changes.
fn actor() -> String {
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |u| u.name);
    format!("command:{name}")
}
