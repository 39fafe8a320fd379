//! Which deadlines a change of an object may touch.

use std::collections::BTreeSet;

use crate::base::Result;
use crate::catalog::{Connection, deadlines, ledger};

/// The subjects of the deadlines that changes of these objects may touch.
///
/// # Errors
/// What the catalogue says.
pub fn subjects(db: &Connection, objects: &[String]) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    let mut everybody = false;
    for object in objects {
        let (kind, key) = object.split_once(':').unwrap_or((object, ""));
        let number = key.parse::<i64>().ok();
        match (kind, number) {
            ("recording", _) => {
                out.insert(object.clone());
            }
            ("docking", Some(n)) => {
                if let Some(recorder) = deadlines::recorder_of_docking(db, n)? {
                    of_recorder(db, &recorder, &mut out)?;
                }
            }
            ("issue", Some(n)) => {
                if let Some(issue) = ledger::get(db, n)? {
                    of_recorder(db, &issue.recorder, &mut out)?;
                    // A ledger put right changes who held what is archived already, and what was late. An
                    // entry that began otherwise before lies after the one before it.
                    let before = ledger::last_issue_before(db, &issue.recorder, issue.issued_at - 1)?;
                    let from = before.map_or(issue.issued_at, |b| b.issued_at);
                    let archived = deadlines::archived_since(db, &issue.recorder, from)?;
                    out.extend(archived.into_iter().map(|id| format!("recording:{id}")));
                }
            }
            ("recorder", _) => of_recorder(db, key, &mut out)?,
            ("case", _) => {
                out.insert(object.clone());
            }
            // A unit's limits, an officer's unit.
            ("unit" | "officer", _) => everybody = true,
            _ => {}
        }
    }
    if everybody {
        for kind in ["recording", "recorder", "case"] {
            out.extend(deadlines::running(db, kind)?.into_iter().map(|d| d.subject));
        }
    }
    Ok(out)
}

/// What is assumed of a recorder, and all its footage that is not archived.
fn of_recorder(db: &Connection, recorder: &str, out: &mut BTreeSet<String>) -> Result<()> {
    out.insert(format!("recorder:{recorder}"));
    out.extend(deadlines::running_of(db, recorder)?);
    Ok(())
}
