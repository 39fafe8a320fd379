//! What alerts say of a deadline.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use chrono::Local;
use serde_json::{Map, Value};

use crate::alert::{Condition, Kind, Severity};
use crate::base::Result;
use crate::base::clock::{from_ms, rfc3339};
use crate::base::text::show;
use crate::catalog::deadlines::{self, Deadline};
use crate::catalog::{Connection, officers};

/// A deadline with the names that people know its parts by.
pub struct Tidings<'a> {
    row: &'a Deadline,
    /// Name and badge of who is answerable, or that nobody is known.
    holder: String,
    /// The source file of a recording.
    file: Option<String>,
    badge: Option<String>,
}

fn time(ms: i64) -> String {
    from_ms(ms).with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string()
}

/// How a deadline that runs no more ended.
pub fn resolution(row: &Deadline) -> String {
    match (row.kind.as_str(), row.met_at) {
        (_, None) => row.reason.clone(),
        ("recording", Some(at)) => format!("archived at {}", time(at)),
        ("recorder", Some(at)) => format!("docked, and its card archived at {}", time(at)),
        (_, Some(at)) => format!("the case was closed at {}", time(at)),
    }
}

impl<'a> Tidings<'a> {
    /// Looks the names up.
    ///
    /// # Errors
    /// What the catalogue says.
    pub fn new(db: &Connection, row: &'a Deadline) -> Result<Self> {
        let officer = match row.officer {
            Some(officer) => officers::get(db, officer)?,
            None => None,
        };
        let file = match row.subject.strip_prefix("recording:") {
            Some(id) => deadlines::source_of(db, id)?.map(|path| show(OsStr::from_bytes(&path))),
            None => None,
        };
        let holder = officer.as_ref().map_or_else(
            || "nobody in the ledger".to_owned(),
            |o| format!("officer {} ({})", o.name, o.badge),
        );
        Ok(Self { row, holder, file, badge: officer.map(|o| o.badge) })
    }

    fn condition(&self, kind: Kind, severity: Severity, message: String) -> Condition {
        let row = self.row;
        let mut details = Map::new();
        let mut add = |key: &str, value: Value| drop(details.insert(key.to_owned(), value));
        add("deadline", rfc3339(from_ms(row.latest)).into());
        add("deadline_earliest", rfc3339(from_ms(row.earliest)).into());
        add("reason", row.reason.clone().into());
        add("recorder", row.recorder.clone().into());
        add("officer", self.badge.clone().into());
        add("source", self.file.clone().into());
        Condition {
            kind,
            subject: row.subject.clone(),
            severity,
            message,
            details,
            officer: row.officer,
            unit: row.unit,
        }
    }

    /// Many recordings of its recorder are overdue, of which this is one.
    pub fn many(&self, kind: Kind, certain: bool) -> Condition {
        let message = format!(
            "recordings of recorder {}, held by {}, are not archived and overdue: docket deadlines lists them",
            self.recorder(),
            self.holder
        );
        let severity = if certain { Severity::Critical } else { Severity::Warning };
        Condition {
            subject: format!("recorder:{}", self.recorder()),
            ..self.condition(kind, severity, message)
        }
    }

    /// Many recordings of its recorder were archived too late, of which this is the latest.
    pub fn many_late(&self, kind: Kind) -> Condition {
        let message = format!(
            "recordings of recorder {}, held by {}, were archived too late: docket deadlines --late lists them",
            self.recorder(),
            self.holder
        );
        let condition = self.condition(kind, Severity::Critical, message);
        Condition { subject: format!("recorder:{}", self.recorder()), ..condition }
    }

    /// It will be due soon.
    pub fn soon(&self, kind: Kind) -> Condition {
        let due = time(self.row.earliest);
        let message = match self.row.kind.as_str() {
            "recorder" => format!(
                "recorder {}, taken by {}, has not been docked; its footage is due at {due}",
                self.recorder(),
                self.holder
            ),
            "case" => format!("case {} is to be complete by {due}", self.key()),
            _ => format!(
                "{} of recorder {}, held by {}, is not archived; it is due at {due}",
                self.file(),
                self.recorder(),
                self.holder
            ),
        };
        self.condition(kind, Severity::Warning, message)
    }

    /// It is overdue: by its earliest bound only, or for certain.
    pub fn overdue(&self, kind: Kind, certain: bool) -> Condition {
        let row = self.row;
        let due = time(if certain { row.latest } else { row.earliest });
        let message = match row.kind.as_str() {
            "recorder" => format!(
                "recorder {}, taken by {}, has not been docked; its footage was due at {due}",
                self.recorder(),
                self.holder
            ),
            "case" => format!("case {} is not complete; it was due by {due}", self.key()),
            _ if row.met_at.is_some() => format!(
                "{} of recorder {}, held by {}, was archived too late; it was due at {due}",
                self.file(),
                self.recorder(),
                self.holder
            ),
            _ => format!(
                "{} of recorder {}, held by {}, is not archived; it was due at {due}",
                self.file(),
                self.recorder(),
                self.holder
            ),
        };
        let message = if certain { message } else { format!("{message} (estimated)") };
        let severity = if certain { Severity::Critical } else { Severity::Warning };
        self.condition(kind, severity, message)
    }

    fn key(&self) -> &str {
        self.row.subject.split_once(':').map_or("", |(_, key)| key)
    }

    fn file(&self) -> &str {
        self.file.as_deref().unwrap_or(self.key())
    }

    fn recorder(&self) -> &str {
        self.row.recorder.as_deref().unwrap_or("?")
    }
}
