//! `docket checklists`: which steps a case of a kind has, and what footage they need.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::words::{self, t};
use super::{Exit, StationArgs, output};
use crate::base::Result;
use crate::cases::checklist::{self, Checklist, Checklists, Named};

/// List, show or check checklists: which steps need footage
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the checklists of the station
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one checklist with its steps
    Show {
        /// Its id
        id: String,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a checklist file, and name every mistake in it
    Check {
        /// The file
        file: PathBuf,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(station: &StationArgs, args: &Args) -> Result<Exit> {
    match &args.command {
        Command::List { json } => list(&Checklists::load(&station.config()?)?, *json)?,
        Command::Show { id, json } => show(Checklists::load(&station.config()?)?.get(id)?, *json)?,
        Command::Check { file, json } => {
            let list = checklist::read(file)?;
            if *json {
                output::json(&value(&list))?;
            } else {
                let file = file.display();
                output::tell(&format!(
                    "{file} is a good checklist: {}, {} steps",
                    list.id,
                    list.steps.len()
                ))?;
            }
        }
    }
    Ok(Exit::Good)
}

fn value(list: &Checklist) -> Value {
    serde_json::to_value(list).unwrap_or_else(|_| json!({}))
}

fn name(english: &str, chinese: &str) -> String {
    if words::is_chinese() { chinese.to_owned() } else { english.to_owned() }
}

fn kinds(kinds: &[Named]) -> String {
    let list: Vec<String> = kinds.iter().map(|k| words::noted(&name(&k.name, &k.name_zh), &k.key)).collect();
    list.join(t(", ", "、"))
}

fn list(lists: &Checklists, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(&lists.iter().map(value).collect::<Vec<_>>());
    }
    let mut table = output::table(&[
        t("checklist", "清单"),
        t("name", "名称"),
        t("for cases of the kind", "适用类别"),
        t("steps", "环节"),
        t("required", "必录"),
    ]);
    output::right(&mut table, &[3, 4]);
    for list in lists.iter() {
        let required = list.steps.iter().filter(|s| s.av == checklist::Av::Required).count();
        table.add_row([
            list.id.clone(),
            name(&list.name, &list.name_zh),
            kinds(&list.kinds),
            list.steps.len().to_string(),
            required.to_string(),
        ]);
    }
    output::print_table(&table)
}

fn show(list: &Checklist, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(&value(list));
    }
    const WIDTH: usize = 14;
    output::field(t("checklist", "清单"), WIDTH, &words::noted(&name(&list.name, &list.name_zh), &list.id))?;
    output::field(t("for", "适用"), WIDTH, &kinds(&list.kinds))?;
    if let Some(days) = list.case_days {
        let text = format!("{days} days after the act's end");
        output::field(t("file due", "归档时限"), WIDTH, &words::say(&text))?;
    }
    output::line("")?;
    let mut table = output::table(&[
        t("step", "环节"),
        t("key", "代码"),
        t("footage", "音像记录"),
        t("kept", "保存期限"),
        t("article", "条款"),
        t("told in words", "文字事项"),
        t("must show", "拍摄内容"),
    ]);
    for s in &list.steps {
        let asks: Vec<String> = s.asks.iter().map(|a| name(&a.name, &a.name_zh)).collect();
        table.add_row([
            name(&s.named.name, &s.named.name_zh),
            s.named.key.clone(),
            words::av(s.av.word()).to_owned(),
            words::retention(&s.retention),
            s.article.clone(),
            asks.join(t(", ", "、")),
            s.shows.clone(),
        ]);
    }
    output::print_table(&table)
}
