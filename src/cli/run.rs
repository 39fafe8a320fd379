//! `docket run`: the daemon.

use super::{Exit, StationArgs};
use crate::base::Result;

/// Run the station's daemon until SIGTERM
///
/// Watches the docks of the settings file and archives every card that appears. It finishes what an
/// earlier run left undone before it says that it is ready. SIGHUP, or saving the settings file,
/// reloads the settings. Run it under systemd (systemd/docket.service) or in a terminal.
#[derive(clap::Args)]
pub struct Args {}

pub fn run(station: &StationArgs, _: &Args) -> Result<Exit> {
    crate::app::run(&station.source()?)?;
    Ok(Exit::Good)
}
