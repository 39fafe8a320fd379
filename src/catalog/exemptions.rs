//! Exemptions: why a step has no footage, and who said so.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::base::{Error, Kind, Result};

/// An exemption in whatever state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Its number.
    pub id: i64,
    /// The step it is for.
    pub step: i64,
    /// `device_fault`, `party_uncooperative`, `severe_weather`, `other`.
    pub ground: String,
    /// The reason in words.
    pub reason: String,
    /// What supports it.
    pub note: String,
    /// `proposed`, `reviewed`, `approved`, `rejected`, `withdrawn`.
    pub state: String,
    /// Badge of who proposed it (承办人).
    pub proposer: String,
    /// Milliseconds.
    pub proposed_at: i64,
    /// Badge of who reviewed it (审核人).
    pub reviewer: Option<String>,
    /// Milliseconds.
    pub reviewed_at: Option<i64>,
    /// Badge of who approved it (批准人).
    pub approver: Option<String>,
    /// Milliseconds.
    pub approved_at: Option<i64>,
    /// Badge of who rejected or withdrew it.
    pub ended_by: Option<String>,
    /// Milliseconds.
    pub ended_at: Option<i64>,
    /// Why it was rejected or withdrawn.
    pub remark: String,
}

const COLUMNS: &str = "id, step, ground, reason, note, state, proposer, proposed_at, reviewer, reviewed_at,
    approver, approved_at, ended_by, ended_at, remark";

fn exemption(r: &Row<'_>) -> rusqlite::Result<Exemption> {
    Ok(Exemption {
        id: r.get(0)?,
        step: r.get(1)?,
        ground: r.get(2)?,
        reason: r.get(3)?,
        note: r.get(4)?,
        state: r.get(5)?,
        proposer: r.get(6)?,
        proposed_at: r.get(7)?,
        reviewer: r.get(8)?,
        reviewed_at: r.get(9)?,
        approver: r.get(10)?,
        approved_at: r.get(11)?,
        ended_by: r.get(12)?,
        ended_at: r.get(13)?,
        remark: r.get(14)?,
    })
}

/// Inserts a proposed exemption; its number.
pub fn insert(tx: &Connection, e: &Exemption) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO exemption (step, ground, reason, note, state, proposer, proposed_at)
         VALUES (?1, ?2, ?3, ?4, 'proposed', ?5, ?6)",
    )?
    .execute(params![e.step, e.ground, e.reason, e.note, e.proposer, e.proposed_at])?;
    Ok(tx.last_insert_rowid())
}

/// Writes back how far an exemption has come.
pub fn update(tx: &Connection, e: &Exemption) -> Result<()> {
    tx.prepare_cached(
        "UPDATE exemption SET state = ?2, reviewer = ?3, reviewed_at = ?4, approver = ?5, approved_at = ?6,
           ended_by = ?7, ended_at = ?8, remark = ?9 WHERE id = ?1",
    )?
    .execute(params![
        e.id,
        e.state,
        e.reviewer,
        e.reviewed_at,
        e.approver,
        e.approved_at,
        e.ended_by,
        e.ended_at,
        e.remark
    ])?;
    Ok(())
}

/// The exemption of a number.
///
/// # Errors
/// [`Kind::NotFound`].
pub fn get(db: &Connection, id: i64) -> Result<Exemption> {
    let sql = format!("SELECT {COLUMNS} FROM exemption WHERE id = ?1");
    db.prepare_cached(&sql)?.query_row([id], exemption).optional()?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no exemption {id}"))
            .next("`docket cases show NUMBER` shows those of a case")
    })
}

/// All exemptions of a step, oldest first.
pub fn of_step(db: &Connection, step: i64) -> Result<Vec<Exemption>> {
    let sql = format!("SELECT {COLUMNS} FROM exemption WHERE step = ?1 ORDER BY id");
    Ok(db.prepare_cached(&sql)?.query_map([step], exemption)?.collect::<rusqlite::Result<_>>()?)
}
