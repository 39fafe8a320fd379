//! `docket backup`: a checked copy of the catalogue.

use std::path::PathBuf;

use super::interrupt::on_interrupt;
use super::{Exit, StationArgs, look_into, output, words};
use crate::base::Result;
use crate::base::text::{bytes, show};
use crate::catalog::Catalog;
use crate::catalog::backup::{backup, note};
use crate::catalog::dockings::By;
use crate::ingest::station::CATALOG;

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
    let config = args.config()?;
    let db = look_into(&config)?;
    let actor = args.person(&db)?.actor;
    let cancel = on_interrupt();
    let copied = backup(&db, &options.file, &cancel)?;
    drop(db);
    // That it was made is what the alert about old backups goes by.
    let (by, told) = (By { actor, at: chrono::Utc::now() }, copied.clone());
    let to = show(std::path::absolute(&options.file).unwrap_or_else(|_| options.file.clone()).as_os_str());
    let noted = Catalog::open(&config.data.join(CATALOG))
        .and_then(|catalog| catalog.write(move |tx| note(tx, &by, &to, &told)));
    if let Err(e) = &noted {
        eprintln!("{}", words::say("the backup is whole, but it could not be noted in the catalogue"));
        eprintln!("{}", words::error(e));
    }
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
    Ok(if noted.is_ok() { Exit::Good } else { Exit::Attention })
}
