//! The settings of deadlines, cases, custody and metrics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use super::section::Section;

/// The clocks of the rule, article 28, where no unit or checklist has limits of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Deadlines {
    /// Hours from a recording's end until it must be archived.
    pub archive_hours: u32,
    /// Days from an act's end until its case file must be complete.
    pub case_days: u32,
    /// Hours before an archiving deadline from which its officer is warned.
    pub due_soon_hours: u32,
    /// Days before a case deadline from which its officers are warned.
    pub case_due_soon_days: u32,
    /// Seconds that a recorder's clock may be off before somebody is told.
    pub clock_off_seconds: u64,
}

impl Deadlines {
    /// How long before a deadline of a kind (`recording`, `recorder`, `case`) somebody is warned.
    pub fn soon(&self, kind: &str) -> TimeDelta {
        match kind {
            "case" => TimeDelta::days(i64::from(self.case_due_soon_days)),
            _ => TimeDelta::hours(i64::from(self.due_soon_hours)),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            archive_hours: 24,
            case_days: 30,
            due_soon_hours: 4,
            case_due_soon_days: 5,
            clock_off_seconds: 300,
        }
    }
}

/// How footage finds its case.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cases {
    /// A folder with checklist templates of the station's own.
    pub checklists: Option<PathBuf>,
    /// Whether rules may link by themselves where they are certain.
    pub link_by_itself: bool,
}

/// Checkpoints of the custody log, and who keeps copies of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Custody {
    /// Entries after which a checkpoint is signed; one a day is signed in any case.
    pub checkpoint_every: u64,
    /// A folder elsewhere that gets every checkpoint.
    pub witness: Option<PathBuf>,
    /// The webhook channel that gets every checkpoint.
    pub webhook: Option<String>,
}

impl Default for Custody {
    fn default() -> Self {
        Self { checkpoint_every: 10_000, witness: None, webhook: None }
    }
}

/// Where the daemon answers Prometheus.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Address and port; `None` where nobody shall ask.
    pub listen: Option<SocketAddr>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9718))) }
    }
}

pub(super) fn deadlines(s: &mut Section) -> Deadlines {
    let d = Deadlines::default();
    let mut number = |key, most, old| s.number(key, 1, most).map_or(old, |n| u32::try_from(n).unwrap_or(old));
    Deadlines {
        archive_hours: number("archive_hours", 24 * 366, d.archive_hours),
        case_days: number("case_days", 3660, d.case_days),
        due_soon_hours: number("due_soon_hours", 24 * 366, d.due_soon_hours),
        case_due_soon_days: number("case_due_soon_days", 3660, d.case_due_soon_days),
        clock_off_seconds: s.number("clock_off_seconds", 1, 86_400 * 366).unwrap_or(d.clock_off_seconds),
    }
}

pub(super) fn cases(s: &mut Section, base: &Path) -> Cases {
    Cases {
        checklists: s.path_optional("checklists", base),
        link_by_itself: s.boolean("link_by_itself").unwrap_or(false),
    }
}

pub(super) fn custody(s: &mut Section, base: &Path) -> Custody {
    let old = Custody::default();
    Custody {
        checkpoint_every: s.number("checkpoint_every", 1, 1 << 40).unwrap_or(old.checkpoint_every),
        witness: s.path_optional("witness", base),
        webhook: s.string("webhook"),
    }
}

pub(super) fn metrics(s: &mut Section) -> Metrics {
    let Some(text) = s.string("listen") else { return Metrics::default() };
    match (text.as_str(), text.parse()) {
        ("off", _) => Metrics { listen: None },
        (_, Ok(listen)) => Metrics { listen: Some(listen) },
        (_, Err(_)) => {
            s.wrong("listen", "an address and port such as \"127.0.0.1:9718\", or \"off\"", &text.into());
            Metrics::default()
        }
    }
}
