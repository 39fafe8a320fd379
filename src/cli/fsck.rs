//! `docket fsck`: the catalogue against the files; a plan first, changes only when asked for.

use std::sync::Arc;

use serde_json::json;

use super::interrupt::on_interrupt;
use super::words::{self, say, t};
use super::{Exit, StationArgs, actor, look_into, output};
use crate::archive::fsck::{Depth, Finding, Fsck, mend};
use crate::archive::volume::Look;
use crate::base::clock::SystemClock;
use crate::base::config::Config;
use crate::base::text::bytes;
use crate::base::{Cancel, Error, Kind, Result, logging};
use crate::catalog::backup::integrity;
use crate::catalog::{Connection, copies, dockings, volumes};
use crate::custody::log;
use crate::ingest::place::list_new;
use crate::ingest::recover::recover;
use crate::ingest::replicate::pay_owed;
use crate::ingest::station::Station;

/// Check the catalogue against the files on every volume
///
/// Shows a plan and changes nothing. With --apply it mends rows and manifests (never a file), under the
/// station's lock, looking again at each thing first; more changes than --limit are refused as a
/// whole, because that many at once usually mean a disk that is not there. Exit status 3: it found something.
#[derive(clap::Args)]
pub struct Args {
    /// How deep: names and sizes; the manifests too; or the bytes of every original too
    #[arg(long, value_enum, default_value = "names")]
    depth: Depth,
    /// Carry the plan out
    #[arg(long)]
    apply: bool,
    /// The most changes that --apply makes
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Findings kept and printed; more are counted.
const KEPT: usize = 10_000;

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    let cancel = on_interrupt();
    logging::start("warn");
    let station = if options.apply {
        let station = Station::open(config.clone(), Arc::new(SystemClock), actor())?;
        recover(&station)?;
        Some(station)
    } else {
        None
    };
    let (findings, problems, looked) = look(&config, options.depth, &cancel)?;
    if !options.json {
        for f in findings.iter() {
            let mend = f.mend.map_or_else(String::new, |m| format!(" → {}", say(m)));
            output::line(&format!("{} {}{}{}{mend}", f.volume, f.path, t(": ", "："), say(&f.text)))?;
        }
        for e in &problems {
            output::line(&format!("! {}", words::error(e)))?;
        }
    }
    let plan: Vec<&Finding> = findings.iter().filter(|f| f.mend.is_some()).collect();
    let mut mended = 0;
    if let Some(station) = &station {
        if plan.len() > options.limit {
            let what = format!(
                "{} changes are more than the limit of {}; nothing was changed",
                plan.len(),
                options.limit
            );
            return Err(Error::new(Kind::Invalid, what)
                .next("look at the plan; is every volume mounted? then raise --limit"));
        }
        mended = apply(station, &plan, &cancel)?;
    }
    if options.json {
        output::json(&json!({ "files": looked.0, "bytes": looked.1, "findings": findings,
            "problems": problems.iter().map(|e| e.what()).collect::<Vec<_>>(), "mended": mended }))?;
    } else {
        let (files, read, found) = (looked.0, bytes(looked.1), findings.len());
        let sum = format!("{files} copies checked, {read} read; {found} findings");
        output::tell(&if options.apply { format!("{sum}, {mended} mended") } else { sum })?;
        if !options.apply && !plan.is_empty() {
            output::line(t(
                "Nothing was changed. `--apply` carries the plan out.",
                "未作任何更改；加 --apply 执行以上事项。",
            ))?;
        }
    }
    Ok(if findings.is_empty() && problems.is_empty() { Exit::Good } else { Exit::Attention })
}

type Looked = (Vec<Finding>, Vec<Error>, (u64, u64));

fn look(config: &Config, depth: Depth, cancel: &Cancel) -> Result<Looked> {
    let db = look_into(config)?;
    let (mut findings, mut problems, mut files, mut read) = (Vec::new(), Vec::new(), 0, 0);
    let checks: [fn(&Connection) -> Result<()>; 2] = [integrity, |db| log::verify(db).map(drop)];
    if depth >= Depth::Manifests {
        problems.extend(checks.iter().filter_map(|check| check(&db).err()));
    }
    for known in volumes::all(&db)? {
        if !config.volumes.iter().any(|v| v.name == known.name) {
            let what = format!("volume {} is in the catalogue and not in docket.toml", known.name);
            let next = "name it there again; what only it holds is not looked at";
            problems.push(Error::new(Kind::NotFound, what).next(next));
        }
    }
    for volume in &config.volumes {
        let expected = volumes::id_of(&db, &volume.name)?;
        // A volume that is not there says nothing about its copies.
        match Look::open(volume, expected.as_deref()) {
            Ok(look) => Fsck {
                db: &db,
                volume: &look,
                depth,
                cancel,
                found: &mut |finding| {
                    if findings.len() < KEPT {
                        findings.push(finding);
                    }
                    Ok(())
                },
                progress: &mut |bytes| (files, read) = (files + 1, read + bytes),
            }
            .run()?,
            Err(e) => problems.push(e),
        }
    }
    Ok((findings, problems, (files, read)))
}

fn apply(station: &Station, plan: &[&Finding], cancel: &Cancel) -> Result<u64> {
    let mut mended = 0;
    for finding in plan {
        cancel.check()?;
        let finding = (*finding).clone();
        let settings = station.settings();
        let Some(volume) = settings.config.volumes.iter().find(|v| v.name == finding.volume) else {
            continue;
        };
        let expected = station.core.catalog.read(|db| volumes::id_of(db, &finding.volume))?;
        let look = Look::open(volume, expected.as_deref())?;
        let by = station.core.by();
        mended += u64::from(station.core.catalog.write(move |tx| mend(tx, &by, &look, &finding))?);
    }
    for finisher in station.open_finishers() {
        list_new(&station.core, &finisher.volume)?;
    }
    let by = station.core.by();
    // What another volume still has whole is made again from there.
    station.core.catalog.write(move |tx| copies::owe_again(tx, &by))?;
    pay_owed(station, cancel)?;
    let by = station.core.by();
    station.core.catalog.write(move |tx| dockings::note_check(tx, &by, mended))?;
    Ok(mended)
}
