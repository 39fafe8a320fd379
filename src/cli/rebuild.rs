//! `docket rebuild`: a lost catalogue from the manifests beside the media.

use chrono::Utc;

use super::interrupt::on_interrupt;
use super::words::{say, t};
use super::{Exit, StationArgs, actor, output};
use crate::archive::rebuild::{self, Rebuilt};
use crate::archive::volume::{Look, Volume};
use crate::base::text::bytes;
use crate::base::{Error, Kind, Result};
use crate::catalog::dockings::{self, By};
use crate::catalog::{Catalog, volumes};
use crate::ingest::station::{self, CATALOG};

/// Make a new catalogue from the manifests on the volumes
///
/// For a station whose catalogue is lost or damaged; restoring the last `docket backup` is better where
/// there is one, because the custody history before the loss is only in the catalogue. Put the damaged
/// file aside first: nothing is overwritten. Every original is read back before it is entered. A run that
/// was stopped goes on with --resume. Exit status 3: something could not be entered.
#[derive(clap::Args)]
pub struct Args {
    /// Add to a catalogue that an earlier rebuild began
    #[arg(long)]
    resume: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    let cancel = on_interrupt();
    let _lock = station::lock(&config.data)?;
    let path = config.data.join(CATALOG);
    if path.exists() && !options.resume {
        return Err(Error::new(Kind::Invalid, format!("there is a catalogue at {}", path.display())).next(
            "move it (with its -wal and -shm files) to another folder first; --resume goes on with a rebuild",
        ));
    }
    let mut looks = Vec::new();
    for volume in &config.volumes {
        looks.push((Look::open(volume, None)?, Volume::marker(&volume.path)?, volume.path.clone()));
    }
    let catalog = Catalog::open_or_create(&path)?;
    let by = By { actor: actor(), at: Utc::now() };
    let station = looks.first().map(|(_, marker, _)| marker.station.clone());
    {
        let by = by.clone();
        catalog.write(move |tx| dockings::adopt_station(tx, &by, station.as_deref()))?;
    }
    let mut all = Rebuilt::default();
    for (look, _, path) in &looks {
        let (by2, id, name, path) =
            (by.clone(), look.id.clone(), look.name.clone(), path.display().to_string());
        catalog.write(move |tx| volumes::register(tx, &by2, &id, &name, &path))?;
        let one = rebuild::volume(&catalog, &by, look, &cancel, &mut |_| {})?;
        all.copies += one.copies;
        all.bytes += one.bytes;
        all.problems.extend(one.problems);
    }
    if options.json {
        output::json(&all)?;
    } else {
        for problem in &all.problems {
            output::line(&format!("! {}", say(problem)))?;
        }
        output::tell(&format!(
            "{} copies read back and entered ({}), {} problems",
            all.copies,
            bytes(all.bytes),
            all.problems.len()
        ))?;
        output::line(t("next: docket fsck", "下一步：docket fsck"))?;
    }
    Ok(if all.problems.is_empty() { Exit::Good } else { Exit::Attention })
}
