//! How commands print: tables for people, JSON for scripts.

use std::io::{IsTerminal, Write};

use chrono::{DateTime, Local};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::words::{is_chinese, say, t};
use crate::base::clock::from_ms;
use crate::base::{Error, Kind, Result};

/// Prints one JSON value, indented.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Kind::Invalid, format!("cannot write JSON: {e}")))?;
    line(&text)
}

/// Prints a line; a reader that has gone away (`| head`) ends the command quietly.
pub fn line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(e) => Err(Error::new(Kind::of_io(&e), format!("cannot print: {e}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints a message in the chosen language.
pub fn tell(english: &str) -> Result<()> {
    line(&say(english))
}

/// A label and what it names, in columns also where characters are two columns wide.
pub fn field(label: &str, columns: usize, text: &str) -> Result<()> {
    let wide: usize = label.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum();
    line(&format!("{label}{:blank$}{text}", "", blank = columns.saturating_sub(wide)))
}

/// A table without lines but under its head, as wide as the terminal.
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|h| h.to_owned()));
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    } else {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    }
    table
}

/// Aligns columns of numbers to the right.
pub fn right(table: &mut Table, columns: &[usize]) {
    for &i in columns {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Prints a table without the blanks at its lines' ends.
pub fn print_table(table: &Table) -> Result<()> {
    for row in table.to_string().lines() {
        line(row.trim_end())?;
    }
    Ok(())
}

/// A time of the catalogue, station time.
pub fn time(ms: i64) -> String {
    from_ms(ms).with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time of an RFC 3339 text, station time.
pub fn time_of(text: &str) -> String {
    DateTime::parse_from_rfc3339(text)
        .map_or_else(|_| text.to_owned(), |t| t.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string())
}

/// A span of hours and days, in seconds, as people read it.
pub fn long_span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let (d, h, m) = (t(" d", " 天"), t(" h", " 小时"), t(" min", " 分钟"));
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}{}", t(" s", " 秒")),
        (0, 0, _) => format!("{minutes}{m}"),
        (0, ..) => format!("{hours}{h} {minutes}{m}"),
        _ => format!("{days}{d} {hours}{h}"),
    }
}

/// A time span in seconds as people read it.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let two = |large: u64, small: u64, en: &str, zh: [&str; 2]| match is_chinese() {
        true => format!("{large} {} {small:02} {}", zh[0], zh[1]),
        false => format!("{large}:{small:02} {en}"),
    };
    match whole {
        0..60 => format!("{:.1} {}", seconds.max(0.0), t("s", "秒")),
        60..3600 => two(whole / 60, whole % 60, "min", ["分", "秒"]),
        _ => two(whole / 3600, whole % 3600 / 60, "h", ["小时", "分"]),
    }
}
