//! Medians, ratios, and the tables of `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::time::Duration;

/// A table under way; printed as it grows.
#[derive(Default)]
pub struct Report {
    text: String,
}

impl Report {
    pub fn say(&mut self, line: &str) {
        println!("{line}");
        let _ = writeln!(self.text, "{line}");
    }

    pub fn section(&mut self, title: &str, about: &str, head: &[&str]) {
        self.say(&format!("\n### {title}\n\n{about}\n"));
        self.row(head);
        self.row(&vec!["---"; head.len()]);
    }

    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        self.say(&format!("| {} |", cells.join(" | ")));
    }

    /// Puts the tables between the marks of this name in `docs/benchmarks.md`; the text around them stays.
    pub fn keep(&self, name: &str) {
        const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md");
        let marks = ["begin", "end"].map(|which| format!("<!-- {name}: {which} -->\n"));
        let old = std::fs::read_to_string(PATH).expect("docs/benchmarks.md");
        let (before, rest) = old.split_once(&marks[0]).expect("the first mark");
        let (_, after) = rest.split_once(&marks[1]).expect("the second mark");
        let new = format!("{before}{}{}\n{}{after}", marks[0], self.text, marks[1]);
        std::fs::write(PATH, new).expect("docs/benchmarks.md");
    }
}

pub fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

pub fn seconds(d: Duration) -> String {
    format!("{:.2} s", d.as_secs_f64())
}

/// All measured times, so that their spread is seen.
pub fn spread(all: &[Duration]) -> String {
    let mut all: Vec<_> = all.iter().map(Duration::as_secs_f64).collect();
    all.sort_by(f64::total_cmp);
    format!("{:.2}–{:.2}", all[0], all[all.len() - 1])
}

pub fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}
