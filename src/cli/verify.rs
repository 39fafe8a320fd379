//! `docket verify`: reads originals again and compares them with what was archived.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::interrupt::on_interrupt;
use super::recordings::{Places, day};
use super::words::{self, say, t};
use super::{Exit, StationArgs, actor, output};
use crate::archive::fsck::examine;
use crate::archive::read_back::BLOCK;
use crate::archive::volume::Look;
use crate::base::clock::{rfc3339, to_ms};
use crate::base::direct_io::AlignedBuf;
use crate::base::text::bytes;
use crate::base::{Error, Kind, Result};
use crate::catalog::copies::{self, Copy};
use crate::catalog::dockings::By;
use crate::catalog::recordings::{self, Filter};
use crate::catalog::{Catalog, volumes};
use crate::ingest::station::CATALOG;

/// Read originals again from the medium and compare their hashes
///
/// Names recordings, a day, or a share of the archive: the copies that were read least recently come
/// first, so that repeated runs go through everything. A run that was stopped is continued with the
/// command it prints. Works beside a running daemon. Exit status 3: something is damaged or missing.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(false))]
pub struct Args {
    /// Recordings, by id or its end
    #[arg(group = "which")]
    ids: Vec<String>,
    /// Everything filed under a day
    #[arg(long, group = "which", value_name = "YYYY-MM-DD", value_parser = day)]
    day: Option<String>,
    /// A share of the archive's bytes, least recently read first: 10%
    #[arg(long, group = "which", value_name = "PERCENT", value_parser = percent)]
    share: Option<f64>,
    /// The whole archive
    #[arg(long, group = "which")]
    all: bool,
    /// Only what was last read before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<DateTime<Utc>>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let n: f64 = text.trim_end_matches('%').parse().map_err(|_| "a share is written like 10%".to_owned())?;
    if (0.0..=100.0).contains(&n) { Ok(n) } else { Err("a share lies between 0% and 100%".to_owned()) }
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    let catalog = Catalog::open(&config.data.join(CATALOG))?;
    let cancel = on_interrupt();
    let begun = Utc::now();
    let mut looks = BTreeMap::new();
    let mut absent = Vec::new();
    for volume in &config.volumes {
        let expected = catalog.read(|db| volumes::id_of(db, &volume.name))?;
        match Look::open(volume, expected.as_deref()) {
            Ok(look) => drop(looks.insert(look.id.clone(), look)),
            Err(e) => absent.push(e),
        }
    }
    let places = catalog.read(|db| Places::new(db, &config))?;
    let mut budget = match options.share {
        Some(share) => {
            let (_, all, _) = catalog.read(recordings::totals)?;
            (all as f64 * share / 100.0) as u64
        }
        None => u64::MAX,
    };
    let before = to_ms(options.before.unwrap_or(begun));
    let mut tally = Tally::default();
    let mut buf = AlignedBuf::new(BLOCK);
    let mut one = |copy: &Copy, tally: &mut Tally| -> Result<u64> {
        let Some(look) = looks.get(&copy.volume) else {
            tally.absent += 1;
            return Ok(0);
        };
        let verdict = catalog.read(|db| examine(db, look, copy, true, &mut buf, &cancel))?;
        tally.read += 1;
        tally.bytes += verdict.read;
        if verdict.state != "archived" {
            let path = places.path(&copy.volume, &copy.path).display().to_string();
            tally.bad.push((copy.recording.clone(), path, verdict.text.clone()));
            if !options.json {
                let (id, path, why) = &tally.bad[tally.bad.len() - 1];
                output::line(&format!("! {id} {path}{}{}", t(": ", "："), say(why)))?;
            }
        }
        let by = By { actor: actor(), at: Utc::now() };
        let copy = copy.clone();
        catalog.write(move |tx| {
            let reason = (verdict.state != "archived").then_some(verdict.text.as_str());
            copies::set_state(tx, &by, &copy, verdict.state, verdict.how, reason)
        })?;
        Ok(verdict.read)
    };
    let done = (|| -> Result<()> {
        if options.all {
            // Found bad before: it may have come back, and if not it has to be said again.
            for copy in catalog.read(copies::not_well)? {
                one(&copy, &mut tally)?;
            }
        }
        if options.share.is_some() || options.all {
            while budget > 0 {
                let page = catalog.read(|db| copies::least_recently_verified(db, before, 64))?;
                let read_before = tally.read;
                for copy in &page {
                    if budget == 0 {
                        break;
                    }
                    budget = budget.saturating_sub(one(copy, &mut tally)?.max(1));
                }
                // Only copies of absent volumes are left.
                if tally.read == read_before {
                    break;
                }
            }
            return Ok(());
        }
        let mut ids = Vec::new();
        for id in &options.ids {
            ids.push(catalog.read(|db| recordings::find(db, id))?.id);
        }
        if let Some(day) = &options.day {
            let filter = Filter { day: Some(day.clone()), ..Filter::default() };
            catalog.read(|db| {
                recordings::list(db, &filter, &mut |r| {
                    ids.push(r.id);
                    Ok(())
                })
            })?;
        }
        for id in ids {
            for copy in catalog.read(|db| copies::of(db, &id))? {
                let due = options.before.is_none() || copy.verified_at.is_none_or(|at| at < before);
                if copy.state != "owed" && due {
                    one(&copy, &mut tally)?;
                }
            }
        }
        Ok(())
    })();
    match done {
        Err(e) if e.kind() == Kind::Cancelled => {
            let what = format!("stopped after {} copies, {}", tally.read, bytes(tally.bytes));
            let next = format!(
                "go on with the same command and --before {}",
                rfc3339(options.before.unwrap_or(begun))
            );
            return Err(Error::new(Kind::Cancelled, what).next(next));
        }
        done => done?,
    }
    if options.json {
        let bad: Vec<_> = tally
            .bad
            .iter()
            .map(|(id, path, why)| json!({ "id": id, "path": path, "problem": why }))
            .collect();
        output::json(&json!({ "read": tally.read, "bytes": tally.bytes, "bad": bad,
            "absent_volumes": absent.iter().map(|e| e.what()).collect::<Vec<_>>() }))?;
    } else {
        for e in &absent {
            output::line(&format!("! {}", words::error(e)))?;
        }
        output::tell(&format!(
            "{} copies read back ({}), {} damaged or missing",
            tally.read,
            bytes(tally.bytes),
            tally.bad.len()
        ))?;
    }
    Ok(if tally.bad.is_empty() && tally.absent == 0 { Exit::Good } else { Exit::Attention })
}

#[derive(Default)]
struct Tally {
    read: u64,
    bytes: u64,
    absent: u64,
    bad: Vec<(String, String, String)>,
}
