//! `docket custody`: the append-only log of who did what to what.

use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::Subcommand;
use nix::errno::Errno;
use serde_json::{Value, json};

use super::interrupt::on_interrupt;
use super::words::{self, say, t};
use super::{Exit, StationArgs, look_into, output};
use crate::access::{self, About, Deed};
use crate::base::text::{hex, show};
use crate::base::{Error, Kind, Result};
use crate::catalog::{Catalog, Connection, cases, dockings, recordings};
use crate::custody::log::{self, Stored};
use crate::custody::note::{LONGEST, PublicKey};
use crate::custody::verify::{Against, Held, Report, verify};
use crate::custody::{key, prove};
use crate::ingest::checkpoints;
use crate::ingest::station::CATALOG;

/// Entries that are shown where nothing else is asked for.
const NEWEST: u64 = 50;

/// Show, check and prove the custody log
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the history of one object, or the newest entries
    Show {
        /// A recording's id (or its end), or an object such as case:NUMBER, volume:main, station
        ///
        /// Objects: recording:ID, case:NUMBER, docking:N, recorder:ID, issue:N (of the ledger), officer:BADGE,
        /// unit:CODE, alert:N, volume:NAME, station.
        object: Option<String>,
        /// At most so many of the newest entries; otherwise 50, of an object all
        #[arg(long, value_name = "N")]
        last: Option<u64>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the whole log: entries, chain, tree, signed checkpoints, recordings
    ///
    /// Every entry's hash, the chain and the Merkle tree are computed anew and held against every checkpoint
    /// that is found: in the catalogue, on every volume, in the witness folder. Each recording is held
    /// against its entries. Works beside a running daemon and changes nothing. Exit status 4: the log is not
    /// as it was written; 3: it is, but a place could not be looked at, or there is something to be known.
    Verify {
        /// The station's public key as it was kept elsewhere (docket custody key prints it), or a file with it
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A checkpoint that was kept elsewhere
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Prove that a recording's archiving is in the log, for whoever has neither docket nor the catalogue
    ///
    /// Prints the entry, its path through the Merkle tree and the signed checkpoint as JSON; docs/custody.md
    /// says how to check them. Signs a checkpoint where none covers the entry yet.
    Prove {
        /// A recording's id or its end
        #[arg(required_unless_present = "entry", conflicts_with = "entry")]
        recording: Option<String>,
        /// Any entry, by its number
        #[arg(long, value_name = "N")]
        entry: Option<u64>,
        /// Write the proof to a new file
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the public key that checkpoints are checked with; keep it elsewhere
    Key {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Replace the key that signs checkpoints
    ///
    /// The log names the new key with your reason, signed with the old key where that is still here; the old
    /// file is kept beside it. Give everybody who keeps the public key the new one.
    NewKey {
        /// Why; it stands in the log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: &StationArgs, options: &Args) -> Result<Exit> {
    let config = args.config()?;
    let db = look_into(&config)?;
    let who = args.person(&db)?;
    // Whatever is shown here is of the whole station.
    access::check(&who, Deed::ReadCustody, &About::default())?;
    match &options.command {
        Command::Show { object, last, json } => {
            let mut entries = match object {
                None => log::tail(&db, last.unwrap_or(NEWEST))?,
                Some(object) => history(&db, object)?,
            };
            let last = last.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
            entries.drain(..entries.len().saturating_sub(last));
            if *json {
                output::json(&entries.iter().map(value).collect::<Vec<_>>())?;
            } else {
                print(&db, &entries)?;
            }
        }
        Command::Verify { key, checkpoint, json } => {
            let checkpoints::Outside { mut held, looked_at, absent } = checkpoints::held(&config, &db)?;
            for file in checkpoint {
                let place = format!("file {}", show(file.as_os_str()));
                held.push(Held { place, path: show(file.as_os_str()), note: Ok(read(file)?) });
            }
            let key = key.as_deref().map(key_of).transpose()?;
            let begun = std::time::Instant::now();
            let report = verify(&db, &who, Against { held, looked_at, key }, &on_interrupt())?;
            if *json {
                let mut value = serde_json::to_value(&report).unwrap_or_default();
                value["not_reached"] = json!(absent);
                output::json(&value)?;
            } else {
                tell(&report, &absent, begun.elapsed().as_secs_f64())?;
            }
            let calm = report.findings.is_empty() && absent.is_empty();
            return Ok(match (report.good, calm) {
                (false, _) => Exit::Altered,
                (true, false) => Exit::Attention,
                (true, true) => Exit::Good,
            });
        }
        Command::Prove { recording, entry, output: file, json } => {
            let seq = match (recording, entry) {
                (Some(id), _) => prove::entry_of(&db, &recordings::find(&db, id)?.id)?,
                (None, entry) => entry.unwrap_or_default(),
            };
            let kept = match prove::covering(&db, seq)? {
                Some(kept) => Some(kept),
                None if seq <= log::head(&db)?.0 => checkpoints::sign_beside(
                    &Catalog::open(&config.data.join(CATALOG))?,
                    &config,
                    Utc::now(),
                )?,
                None => None,
            };
            let Some(kept) = kept else {
                return Err(Error::new(Kind::NotFound, format!("there is no custody entry {seq}"))
                    .next("`docket custody show` lists the newest"));
            };
            let proof = prove::prove(&db, &who, seq, &kept)?;
            let Some(file) = file else {
                output::json(&proof)?;
                return Ok(Exit::Good);
            };
            write_new(file, &proof)?;
            if *json {
                output::json(
                    &json!({ "file": show(file.as_os_str()), "seq": seq, "tree_size": proof.tree_size }),
                )?;
            } else {
                output::tell(&format!(
                    "{}: entry {seq} under the signed checkpoint of {} entries",
                    show(file.as_os_str()),
                    proof.tree_size
                ))?;
                output::tell("docs/custody.md says how to check it without docket")?;
            }
        }
        Command::Key { json } => {
            let Some(named) = key::current(&db)? else {
                return Err(Error::new(Kind::NotFound, "the station has no custody key yet")
                    .next("docket init makes it"));
            };
            if *json {
                output::json(&json!({ "key": named.key.to_string(), "entry": named.seq }))?;
            } else {
                output::line(&named.key.to_string())?;
            }
        }
        Command::NewKey { reason, json } => {
            let catalog = Catalog::open(&config.data.join(CATALOG))?;
            let station = dockings::known_station(&db)?.unwrap_or_default();
            let now = Utc::now();
            let public = checkpoints::new_key(&catalog, &config.data, &who, &station, now, reason)?;
            if *json {
                output::json(&json!({ "key": public.to_string() }))?;
            } else {
                output::line(&public.to_string())?;
                output::tell("this key signs from now on; give it to everybody who keeps the station's key")?;
            }
        }
    }
    Ok(Exit::Good)
}

/// The entries of an object: as it is named in the log, or a recording or case as people name it.
fn history(db: &Connection, object: &str) -> Result<Vec<Stored>> {
    let is_object = object == "station" || object.contains(':');
    // A copy that is not finished has a history too.
    let id = || recordings::find(db, object).map_or_else(|_| object.to_owned(), |r| r.id);
    let mut found =
        log::history(db, &if is_object { object.to_owned() } else { format!("recording:{}", id()) })?;
    if found.is_empty() {
        let number = object.strip_prefix("case:").unwrap_or(object);
        if let Some(case) = Some(number).filter(|n| !n.contains(':')).and_then(|n| cases::find(db, n).ok()) {
            found = log::history(db, &format!("case:{}", case.number))?;
        }
    }
    if found.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("the custody log has nothing of `{object}`")).next(
            "objects are written recording:ID, case:NUMBER, docking:N, recorder:ID, issue:N, officer:BADGE, unit:CODE, alert:N, volume:NAME, station",
        ));
    }
    Ok(found)
}

/// A key as it was typed, or in a file.
fn key_of(text: &str) -> Result<PublicKey> {
    let wrong = || {
        Error::new(Kind::Invalid, format!("`{text}` is no public key, and no file with one"))
            .next("`docket custody key` prints it: docket/…+…+…")
    };
    if let Some(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let bytes = read(Path::new(text)).map_err(|_| wrong())?;
    std::str::from_utf8(&bytes).ok().and_then(PublicKey::parse).ok_or_else(wrong)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let mut bytes = Vec::new();
    // A FIFO would be waited for without end.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(file)
        .and_then(|f| if f.metadata()?.is_file() { Ok(f) } else { Err(Errno::EINVAL.into()) })
        .and_then(|f| f.take(LONGEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| Error::io("read", file, e))?;
    Ok(bytes)
}

/// Writes a proof to a file that must not exist.
fn write_new(file: &Path, proof: &prove::Proof) -> Result<()> {
    use std::io::Write;
    let text = serde_json::to_string_pretty(proof)
        .map_err(|e| Error::new(Kind::Invalid, format!("cannot write JSON: {e}")))?;
    std::fs::File::create_new(file)
        .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.write_all(b"\n")))
        .map_err(|e| Error::io("create", file, e))
}

/// Prints how the log is.
fn tell(report: &Report, absent: &[String], seconds: f64) -> Result<()> {
    let gap = t(": ", "：");
    output::tell(&format!("{} custody entries, head {}", report.entries, report.head))?;
    match &report.newest {
        Some(newest) => output::tell(&format!(
            "newest checkpoint: {} entries, signed {}; {} entries since",
            newest.size,
            output::time_of(&newest.at),
            report.entries.saturating_sub(newest.size)
        ))?,
        None => output::tell("no checkpoint is signed yet; the daemon signs the first by itself")?,
    }
    for place in &report.places {
        output::tell(&format!("{}: {} checkpoints", place.name, place.checkpoints))?;
    }
    if let Some(key) = &report.key {
        output::line(&format!("{}{gap}{key}", t("key", "密钥")))?;
    }
    output::tell(&format!("{} recordings held against their entries", report.recordings))?;
    output::tell(
        "cases, links, exemptions, deadlines, officers and units are not held against theirs: of them the \
         entries themselves are what counts",
    )?;
    for finding in &report.findings {
        let mark = if finding.what.is_serious() { "✗" } else { "!" };
        output::line(&format!("{mark} {}", say(&finding.text)))?;
        output::line(&format!("    {}{gap}{}", t("meaning", "含义"), say(finding.meaning)))?;
    }
    if report.more > 0 {
        output::tell(&format!("{} more findings of these kinds", report.more))?;
    }
    for what in absent {
        output::line(&format!("! {}{gap}{}", t("not looked at", "未能查看"), say(what)))?;
    }
    let span = output::span(seconds);
    if report.good && report.given_up {
        output::tell(
            "What was signed under an earlier key was given up; under the key given the log is good.",
        )
    } else if report.good && !absent.is_empty() {
        output::tell(&format!(
            "As far as it could be looked at, the custody log is as it was written ({span})."
        ))
    } else if report.good {
        output::tell(&format!("The custody log is as it was written ({span})."))
    } else {
        output::line(t("The custody log is NOT as it was written.", "保管日志与写入时不一致！"))?;
        let next = "keep this catalogue as it is, and compare it with the last good `docket backup`";
        output::line(&format!("  {}{}", t("next: ", "处理："), say(next)))
    }
}

/// An entry as JSON: its canonical content with its hashes.
pub fn value(entry: &Stored) -> Value {
    let content: Value = serde_json::from_slice(&entry.entry).unwrap_or(Value::Null);
    json!({ "seq": entry.seq, "entry": content, "leaf": hex(&entry.leaf), "chain": hex(&entry.chain) })
}

/// Prints entries as lines for people.
pub fn print(db: &Connection, entries: &[Stored]) -> Result<()> {
    let mut table = output::table(&[
        "#",
        t("time", "时间"),
        t("by", "操作者"),
        t("what", "事项"),
        t("object", "对象"),
        t("details", "详情"),
    ]);
    for entry in entries {
        let content: Value = serde_json::from_slice(&entry.entry).unwrap_or(Value::Null);
        let text = |key: &str| content[key].as_str().unwrap_or_default().to_owned();
        let details = content["details"].as_object().map_or_else(String::new, |d| {
            d.iter()
                .filter(|(_, v)| !(v.is_null() && words::is_chinese()))
                .map(|(k, v)| words::detail(k, &v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
                .collect::<Vec<_>>()
                .join(" ")
        });
        table.add_row([
            entry.seq.to_string(),
            output::time_of(&text("at")),
            words::actor(db, &text("actor"))?,
            words::action(&text("action")).to_owned(),
            text("object"),
            details,
        ]);
    }
    output::print_table(&table)
}
