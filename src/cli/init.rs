//! `docket init`: makes a station.

use serde_json::json;

use super::words::t;
use super::{Exit, StationArgs, actor, output};
use crate::base::clock::SystemClock;
use crate::base::config::{Source, TEMPLATE};
use crate::base::{Error, Result};
use crate::ingest::station;

/// Make a station, or what a changed settings file asks for
///
/// Writes a commented docket.toml where there is none, creates the catalogue, marks each archive volume
/// that was never used, and creates the folders of the docks. What is there already is left alone.
#[derive(clap::Args)]
pub struct Args {
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let source = args.source()?;
    let mut made = Vec::new();
    if let Source::Data(dir) = &source {
        std::fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        let file = source.file();
        if !file.exists() {
            std::fs::write(&file, TEMPLATE).map_err(|e| Error::io("write", &file, e))?;
            made.push(format!("settings {}", file.display()));
        }
    }
    let config = source.load()?;
    made.extend(station::init(&config, &SystemClock, &actor())?);
    if options.json {
        output::json(&json!({ "data": config.data.display().to_string(), "made": made }))?;
        return Ok(Exit::Good);
    }
    if made.is_empty() {
        output::line(t("Everything was there already.", "本站已初始化，无需更改。"))?;
    }
    for line in &made {
        output::tell(&format!("made {line}"))?;
    }
    if made.iter().any(|line| line.starts_with("custody key")) {
        output::tell(
            "keep this public key elsewhere, with whoever may have to check the log: `docket custody key` prints it again",
        )?;
    }
    let data = config.data.display();
    output::tell(&format!("next: docket run --data {data}"))?;
    Ok(Exit::Good)
}
