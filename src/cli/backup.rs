//! `docket backup`: a checked copy of the catalogue.

use std::path::PathBuf;

use super::interrupt::on_interrupt;
use super::{Exit, StationArgs, look_into, output};
use crate::base::Result;
use crate::base::text::bytes;
use crate::catalog::backup::backup;

/// Copy the catalogue to a new file while the station works, and check the copy
///
/// The copy is opened again, its integrity and the whole custody chain are checked. Keep it on another
/// machine, with the head that is printed. To restore: stop the daemon, move catalog.sqlite,
/// catalog.sqlite-wal and catalog.sqlite-shm aside (a log that stays would be played onto the backup),
/// put the file in the data directory as catalog.sqlite, run `docket fsck`.
#[derive(clap::Args)]
pub struct Args {
    /// The file to write; it must not exist
    file: PathBuf,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let db = look_into(&args.config()?)?;
    let cancel = on_interrupt();
    let copied = backup(&db, &options.file, &cancel)?;
    if options.json {
        output::json(&copied)?;
    } else {
        output::tell(&format!(
            "{}: {}, {} recordings, {} custody entries, checked",
            options.file.display(),
            bytes(copied.bytes),
            copied.recordings,
            copied.entries
        ))?;
        output::tell(&format!("head {}", copied.head))?;
    }
    Ok(Exit::Good)
}
