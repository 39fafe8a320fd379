//! What is looked for, by the index that holds the fewest of it; newest first.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::cases::{self, Case};
use super::recordings::{self, Recording};
use crate::base::Result;
use crate::base::segment;

/// Which cases; everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct CaseQuery {
    /// Words that stand in the case, as [`segment::expression`] and [`segment::fits`] take them.
    pub words: Option<String>,
    /// An officer on the case, by the number in the register.
    pub officer: Option<i64>,
    /// Opened, or with a step that began, between two times (milliseconds).
    pub between: Option<(i64, i64)>,
    /// With footage of this recorder.
    pub recorder: Option<String>,
    /// Of this unit or one below it, or with this officer on it: how far somebody's rights reach.
    pub within: Option<(Option<i64>, Option<i64>)>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only those that are closed, or that are not.
    pub closed: Option<bool>,
}

const FOOTAGE: &str = "SELECT 1 FROM case_step s JOIN link l ON l.step = s.id AND l.unlinked_at IS NULL
    JOIN recording r ON r.id = l.recording WHERE s.case_file = c.id AND r.recorder = ?";
const RECORDED: &str = "AND c.id IN (SELECT s.case_file FROM recording r
    JOIN link l ON l.recording = r.id AND l.unlinked_at IS NULL JOIN case_step s ON s.id = l.step
    WHERE r.recorder = ?)";

/// Looks for cases; `each` says whether to go on.
pub fn cases(db: &Connection, q: &CaseQuery, each: &mut dyn FnMut(Case) -> Result<bool>) -> Result<()> {
    let (mut rules, mut values): (Vec<&str>, Vec<Value>) = (Vec::new(), Vec::new());
    let expression = q.words.as_deref().and_then(segment::expression);
    let (mut between, mut recorder) = (q.between, q.recorder.clone());
    let (from, order);
    if let Some(officer) = q.officer {
        (from, order) = ("FROM case_officer k JOIN case_file c ON c.id = k.case_file", "k.case_file");
        rules.push("AND k.officer = ?");
        values.push(officer.into());
    } else if let Some(expression) = &expression {
        (from, order) = ("FROM case_words w JOIN case_file c ON c.id = w.rowid", "w.rowid");
        rules.push("AND w.case_words MATCH ?");
        values.push(expression.clone().into());
    } else if let Some((begin, end)) = between.take() {
        (from, order) = ("FROM case_file c", "c.id");
        rules.push(
            "AND c.id IN (SELECT id FROM case_file WHERE opened_at BETWEEN ? AND ?
             UNION SELECT case_file FROM case_step WHERE from_at BETWEEN ? AND ?)",
        );
        values.extend([begin, end, begin, end].map(Value::from));
    } else if let Some(recorder) = recorder.take() {
        (from, order) = ("FROM case_file c", "c.id");
        rules.push(RECORDED);
        values.push(recorder.into());
    } else {
        (from, order) = ("FROM case_file c", "c.id");
    }
    if let Some((begin, end)) = between {
        rules.push(
            "AND (c.opened_at BETWEEN ? AND ?
             OR EXISTS (SELECT 1 FROM case_step s WHERE s.case_file = c.id AND s.from_at BETWEEN ? AND ?))",
        );
        values.extend([begin, end, begin, end].map(Value::from));
    }
    let footage = format!("AND EXISTS ({FOOTAGE})");
    if let Some(recorder) = recorder {
        rules.push(&footage);
        values.push(recorder.into());
    }
    if let Some((unit, me)) = q.within {
        rules.push(
            "AND (c.unit IN (WITH RECURSIVE below (id) AS (SELECT ? UNION
               SELECT u.id FROM unit u JOIN below b ON u.parent = b.id) SELECT id FROM below)
             OR EXISTS (SELECT 1 FROM case_officer o WHERE o.case_file = c.id AND o.officer = ?))",
        );
        values.extend([unit.into(), me.into()]);
    }
    if let Some(kind) = &q.kind {
        rules.push("AND c.kind = ?");
        values.push(kind.clone().into());
    }
    match q.closed {
        Some(true) => rules.push("AND c.closed_at IS NOT NULL"),
        Some(false) => rules.push("AND c.closed_at IS NULL"),
        None => {}
    }
    let rules = rules.join(" ");
    let sql = format!("SELECT {} {from} WHERE 1 {rules} ORDER BY {order} DESC", cases::columns());
    let mut query = db.prepare_cached(&sql)?;
    for row in query.query_map(params_from_iter(values), cases::case)? {
        let case = row?;
        if let Some(words) = &q.words
            && !segment::fits(&cases::text(db, case.id)?, words)
        {
            continue;
        }
        if !each(case)? {
            break;
        }
    }
    Ok(())
}

/// Which recordings; everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct RecordingQuery {
    /// Who held the recorder, by the number in the register.
    pub officer: Option<i64>,
    /// Made between two times (milliseconds).
    pub between: Option<(i64, i64)>,
    /// Of a recorder.
    pub recorder: Option<String>,
    /// Linked to a case, by its place in the catalogue.
    pub case: Option<i64>,
}

/// Looks for recordings; `each` says whether to go on.
pub fn recordings(
    db: &Connection,
    q: &RecordingQuery,
    each: &mut dyn FnMut(Recording) -> Result<bool>,
) -> Result<()> {
    let (mut rules, mut values): (Vec<&str>, Vec<Value>) = (Vec::new(), Vec::new());
    // Statistics are not there to choose by, so the index is named; each of them gives the newest first.
    let index = match (q.case, q.officer, &q.recorder) {
        (Some(_), ..) => "",
        (_, Some(_), _) => "INDEXED BY recording_officer",
        (_, None, Some(_)) => "INDEXED BY recording_recorder",
        (_, None, None) => "INDEXED BY recording_taken",
    };
    if let Some(case) = q.case {
        rules.push(
            "AND id IN (SELECT l.recording FROM case_step s JOIN link l ON l.step = s.id
             WHERE s.case_file = ? AND l.unlinked_at IS NULL)",
        );
        values.push(case.into());
    }
    if let Some(officer) = q.officer {
        rules.push("AND officer = ?");
        values.push(officer.into());
    }
    if let Some((begin, end)) = q.between {
        rules.push("AND taken_at BETWEEN ? AND ?");
        values.extend([begin, end].map(Value::from));
    }
    if let Some(recorder) = &q.recorder {
        rules.push("AND recorder = ?");
        values.push(recorder.clone().into());
    }
    let rules = rules.join(" ");
    let columns = recordings::COLUMNS;
    let sql =
        format!("SELECT {columns} FROM recording {index} WHERE 1 {rules} ORDER BY taken_at DESC, id DESC");
    let mut query = db.prepare_cached(&sql)?;
    for row in query.query_map(params_from_iter(values), recordings::recording)? {
        if !each(row?)? {
            break;
        }
    }
    Ok(())
}
