//! `docket man`: the manual pages, from the same definition as `--help`.

use std::path::PathBuf;

use clap::CommandFactory;

use super::{Cli, Exit};
use crate::base::{Error, Result};

/// Print the manual page, or write the pages of all commands to a folder
#[derive(clap::Args)]
pub struct Args {
    /// Write docket.1, docket-ingest.1, … here
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<Exit> {
    let fail = |e| Error::io("write", args.dir.as_deref().unwrap_or("-".as_ref()), e);
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(fail)?;
            clap_mangen::generate_to(Cli::command(), dir).map_err(fail)?;
        }
        None => clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()).map_err(fail)?,
    }
    Ok(Exit::Good)
}
