//! `--help` and wrong usage in the chosen language.

use clap::{Command, CommandFactory, FromArgMatches};

use super::{Cli, words};
use crate::base::zh;

/// What clap writes by itself, in its help.
const BUILT_IN: [(&str, &str); 15] = [
    ("Print this message or the help of the given subcommand(s)", "显示本帮助，或指定命令的帮助"),
    ("Print help (see a summary with '-h')", "显示帮助（-h 显示摘要）"),
    ("Print help (see more with '--help')", "显示帮助（--help 显示详情）"),
    ("Print help", "显示帮助"),
    ("Print version", "显示版本"),
    ("Usage: ", "用法："),
    ("[OPTIONS]", "[选项]"),
    ("<COMMAND>", "<命令>"),
    ("Commands:", "命令："),
    ("Arguments:", "参数："),
    ("Options:", "选项："),
    ("Possible values:", "可选值："),
    ("[default: ", "[默认值："),
    ("[env: ", "[环境变量："),
    ("[aliases: ", "[别名："),
];

/// The command line, parsed; help and wrong usage end the process here.
pub fn parse() -> Cli {
    words::choose(lang(std::env::args_os()).as_deref());
    let command = if words::is_chinese() { chinese(Cli::command()) } else { Cli::command() };
    match command.try_get_matches().and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(e) if words::is_chinese() => {
            let text = rendered(&e);
            if e.use_stderr() {
                eprint!("{text}")
            } else {
                print!("{text}")
            }
            std::process::exit(e.exit_code())
        }
        Err(e) => e.exit(),
    }
}

/// `--lang` before anything is parsed: what parsing says depends on it.
fn lang(args: impl Iterator<Item = std::ffi::OsString>) -> Option<String> {
    let mut args = args.skip(1).map(|a| a.to_string_lossy().into_owned()).take_while(|a| a != "--");
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--lang") {
            Some("") => return args.next(),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    None
}

fn rendered(e: &clap::Error) -> String {
    let text = e.render().to_string();
    if e.use_stderr() && e.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return built_in(&zh::render(&text));
    }
    // The values of an option say what they mean on lines of their own.
    let line = |line: &str| {
        let value = line.trim_start().strip_prefix("- ").and_then(|l| l.split_once(':'));
        match value.and_then(|(_, help)| Some((help.trim(), zh::known(help.trim())?))) {
            Some((english, chinese)) => line.replace(english, &chinese),
            None => line.to_owned(),
        }
    };
    built_in(&text.split('\n').map(line).collect::<Vec<_>>().join("\n"))
}

fn built_in(text: &str) -> String {
    BUILT_IN.iter().fold(text.to_owned(), |text, (english, chinese)| text.replace(english, chinese))
}

/// The Chinese of a help text; its paragraphs are looked up one by one.
fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|p| zh::render(p).into_owned()).collect::<Vec<_>>().join("\n\n")
}

/// A command with its texts in Chinese, and so all below it.
fn chinese(mut command: Command) -> Command {
    if let Some(text) = command.get_about().map(|s| paragraphs(&s.to_string())) {
        command = command.about(text);
    }
    if let Some(text) = command.get_long_about().map(|s| paragraphs(&s.to_string())) {
        command = command.long_about(text);
    }
    if let Some(text) = command.get_after_help().map(|s| paragraphs(&s.to_string())) {
        command = command.after_help(text);
    }
    command
        .mut_args(|mut arg| {
            let values = arg.get_possible_values();
            if let Some(text) = arg.get_help().map(|s| paragraphs(&s.to_string())) {
                arg = arg.help(text);
            }
            if arg.get_action().takes_values()
                && values.iter().all(|v| v.get_help().is_none())
                && !values.is_empty()
            {
                let names: Vec<_> = values.iter().map(|v| v.get_name()).collect();
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                arg = arg.help(format!("{help} [可选值：{}]", names.join(", "))).hide_possible_values(true);
            }
            if let Some(text) = arg.get_long_help().map(|s| paragraphs(&s.to_string())) {
                arg = arg.long_help(text);
            }
            arg
        })
        .mut_subcommands(chinese)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(command: &Command, out: &mut Vec<String>) {
        let own = [command.get_about(), command.get_long_about(), command.get_after_help()];
        let args = command.get_arguments().flat_map(|a| [a.get_help(), a.get_long_help()]);
        let values = command.get_arguments().flat_map(clap::Arg::get_possible_values);
        out.extend(own.into_iter().chain(args).flatten().map(ToString::to_string));
        out.extend(values.filter_map(|v| v.get_help().map(ToString::to_string)));
        command.get_subcommands().filter(|c| !c.is_hide_set()).for_each(|c| texts(c, out));
    }

    #[test]
    fn every_help_text_has_its_chinese() {
        let mut all = Vec::new();
        texts(&Cli::command(), &mut all);
        let missing: std::collections::BTreeSet<_> = all
            .iter()
            .flat_map(|text| text.split("\n\n"))
            .filter(|p| zh::known(p).is_none())
            .map(|p| p.replace('\n', "\\n"))
            .collect();
        let list: Vec<_> = missing.into_iter().collect();
        assert!(list.is_empty(), "add to src/base/zh.txt:\n{}", list.join("\n"));
    }

    #[test]
    fn the_language_is_seen_before_parsing() {
        let of = |line: &str| lang(line.split(' ').map(Into::into));
        assert_eq!(of("docket --lang zh status"), Some("zh".into()));
        assert_eq!(of("docket status --lang=en"), Some("en".into()));
        assert_eq!(of("docket status"), None);
        assert_eq!(of("docket ingest -- --lang zh"), None);
    }

    #[test]
    fn help_and_wrong_usage_are_chinese() {
        for line in ["docket --help", "docket fsck --help", "docket custody --help", "docket"] {
            let e = chinese(Cli::command()).try_get_matches_from(line.split(' ')).unwrap_err();
            let text = rendered(&e);
            for english in ["Print", "Usage", "Options", "Check", "Names", "Exit"] {
                assert!(!text.contains(english), "{line}: {english}: {text}");
            }
        }
        for line in ["docket stats", "docket status --jsn", "docket backup", "docket status --dockings x"] {
            let e = chinese(Cli::command()).try_get_matches_from(line.split(' ')).unwrap_err();
            let text = rendered(&e);
            assert!(!text.contains("error") && !text.contains("For more"), "{line}: {text}");
        }
    }
}
