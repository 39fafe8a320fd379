//! `docket cases link`, `unlink`, `suggest`, `classify`.

use chrono::Utc;
use serde_json::{Value, json};

use super::{args, show};
use crate::base::Result;
use crate::base::ids::short;
use crate::cases::classify::{self, CLASSES};
use crate::cases::search::recording_json;
use crate::cases::{link, suggest};
use crate::catalog::recordings;
use crate::cli::recordings::{duration, taken};
use crate::cli::words::{self, t};
use crate::cli::{Exit, StationArgs, change, look_into, output};

/// Link a recording, or a clip of one, to a step of a case
#[derive(clap::Args)]
pub struct LinkArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// The step, by its key or name
    step: String,
    /// The recording's id, or the end of it
    recording: String,
    /// Only this part of it, such as 00:01:30-00:04:00 from its beginning
    #[arg(long, value_name = "FROM-TO", value_parser = args::clip)]
    clip: Option<(i64, i64)>,
    /// Why it belongs there
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Take a link off; it stays in the history
#[derive(clap::Args)]
pub struct UnlinkArgs {
    /// The link's number (docket cases show)
    id: i64,
    /// Why it does not belong there
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Propose footage for a case, the likeliest first, with the reasons
#[derive(clap::Args)]
pub struct SuggestArgs {
    /// The case number, or a part of it that no other case has
    number: String,
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Say who may know of a recording
#[derive(clap::Args)]
pub struct ClassifyArgs {
    /// The recording's id, or the end of it
    recording: String,
    /// Its class
    #[arg(value_parser = CLASSES)]
    class: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub fn link(station: &StationArgs, args: &LinkArgs) -> Result<Exit> {
    let new = link::New {
        number: args.number.clone(),
        step: args.step.clone(),
        recording: args.recording.clone(),
        span: args.clip,
        reason: args.why.clone(),
    };
    let made = change(station, move |tx, who, at| link::link(tx, who, at, &new))?;
    if args.json {
        output::json(&json!({ "id": made.id, "recording": made.recording, "note": made.note }))?;
        return Ok(Exit::Good);
    }
    output::tell(&format!("recording {} linked, link {}", short(&made.recording), made.id))?;
    made.note.map_or(Ok(()), output::tell)?;
    Ok(Exit::Good)
}

pub fn unlink(station: &StationArgs, args: &UnlinkArgs) -> Result<Exit> {
    let (id, why) = (args.id, args.why.clone());
    let gone = change(station, move |tx, who, at| link::unlink(tx, who, at, id, &why))?;
    if args.json {
        output::json(&json!({ "id": gone.id, "recording": gone.recording, "unlinked": true }))?;
    } else {
        output::tell(&format!("link {id} taken off"))?;
    }
    Ok(Exit::Good)
}

pub fn suggest(station: &StationArgs, args: &SuggestArgs) -> Result<Exit> {
    let config = station.config()?;
    let db = look_into(&config)?;
    let who = station.person(&db)?;
    let list = suggest::suggest(&db, &who, Utc::now(), &args.number, args.limit)?;
    if args.json {
        let one = |s: &suggest::Suggestion| -> Result<Value> {
            let reasons: Vec<String> = s.proposal.reasons.iter().map(|r| r.words()).collect();
            Ok(json!({ "recording": recording_json(&db, &s.recording)?, "score": s.proposal.score,
                "step": s.step.as_ref().map(|s| &s.key), "certain": s.certain, "reasons": reasons }))
        };
        output::json(&list.iter().map(one).collect::<Result<Vec<_>>>()?)?;
        return Ok(Exit::Good);
    }
    if list.is_empty() {
        output::tell(
            "nothing is proposed; the time of a step and the ledger of recorders help: docket cases step",
        )?;
        return Ok(Exit::Good);
    }
    let mut table = output::table(&[
        t("score", "分值"),
        t("step", "环节"),
        t("recording", "录音录像"),
        t("taken", "摄录时间"),
        t("plays", "时长"),
        t("recorder", "记录仪"),
        t("name on the card", "卡上文件名"),
        t("why", "依据"),
    ]);
    output::right(&mut table, &[0, 4]);
    for s in &list {
        let reasons: Vec<String> =
            s.proposal.reasons.iter().map(|r| words::say(&r.words()).into_owned()).collect();
        let step = s.step.as_ref().map_or(t("to be chosen", "待定"), |s| show::named(&s.name, &s.name_zh));
        table.add_row([
            s.proposal.score.to_string(),
            if s.certain { words::noted(step, t("certain", "确定")) } else { step.to_owned() },
            short(&s.recording.id).to_owned(),
            taken(&s.recording),
            duration(&s.recording),
            s.recording.recorder.clone(),
            show::path_of(&s.recording),
            reasons.join(t("; ", "；")),
        ]);
    }
    output::print_table(&table)?;
    output::tell("link what belongs there: docket cases link NUMBER STEP RECORDING --why TEXT")?;
    Ok(Exit::Good)
}

pub fn classify(station: &StationArgs, args: &ClassifyArgs) -> Result<Exit> {
    let (id, class, why) = (args.recording.clone(), args.class.clone(), args.why.clone());
    let (changed, id) = change(station, move |tx, who, at| {
        let changed = classify::recording(tx, who, at, &id, &class, &why)?;
        Ok((changed, recordings::find(tx, &id)?.id))
    })?;
    if args.json {
        output::json(&json!({ "id": id, "classification": args.class, "changed": changed }))?;
    } else if changed {
        output::tell(&format!("recording {} classified", short(&id)))?;
    } else {
        output::tell("nothing to change")?;
    }
    Ok(Exit::Good)
}
