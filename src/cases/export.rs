//! Registers and ledger to files: what `import` reads again without changing anything.

use super::columns::Register;
use super::registers::may_read;
use super::table::{self, Encoding};
use super::terms;
use crate::access::Person;
use crate::base::{Result, when};
use crate::catalog::ledger::{self, Condition, Filter, Issue};
use crate::catalog::{Connection, officers, recorders, units};

/// A register or the ledger as a file, with words in Chinese or English.
///
/// # Errors
/// `Kind::Forbidden`.
pub fn export(
    db: &Connection,
    who: &Person,
    register: Register,
    chinese: bool,
    encoding: Encoding,
) -> Result<Vec<u8>> {
    may_read(who)?;
    let rows = match register {
        Register::Units => unit_rows(db, chinese)?,
        Register::Officers => officer_rows(db, chinese)?,
        Register::Recorders => recorder_rows(db, chinese)?,
        Register::Ledger => ledger_rows(db)?,
    };
    table::write(register.columns(), &rows, chinese, encoding)
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn unit_rows(db: &Connection, chinese: bool) -> Result<Vec<Vec<String>>> {
    let row = |u: units::Unit| {
        Ok(vec![
            u.code,
            u.name,
            units::code_of(db, u.parent)?,
            or_empty(u.archive_hours),
            or_empty(u.case_days),
            terms::yes_no(u.closed, chinese).to_owned(),
        ])
    };
    units::all(db)?.into_iter().map(row).collect()
}

fn officer_rows(db: &Connection, chinese: bool) -> Result<Vec<Vec<String>>> {
    let row = |o: officers::Officer| {
        Ok(vec![
            o.badge,
            o.name,
            units::code_of(db, Some(o.unit))?,
            terms::role_word(o.role, chinese).to_owned(),
            or_empty(o.email),
            or_empty(o.quiet),
            or_empty(o.digest),
            terms::yes_no(o.left, chinese).to_owned(),
        ])
    };
    officers::all(db)?.into_iter().map(row).collect()
}

fn recorder_rows(db: &Connection, chinese: bool) -> Result<Vec<Vec<String>>> {
    let row = |e: recorders::Entry| {
        Ok(vec![
            e.id,
            e.model,
            or_empty(e.profile),
            units::code_of(db, e.unit)?,
            officers::badge_of(db, e.officer)?,
            terms::state_word(e.state, chinese).to_owned(),
            e.note,
        ])
    };
    recorders::all(db)?.into_iter().filter_map(|k| k.entry).map(row).collect()
}

fn ledger_rows(db: &Connection) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    let condition =
        |c: Condition| [or_empty(c.battery), or_empty(c.free), or_empty(c.clock.map(terms::spell_seconds))];
    ledger::each(db, &Filter::default(), &mut |i: Issue| {
        let officer = officers::get(db, i.officer)?;
        let (badge, name) = officer.map(|o| (o.badge, o.name)).unwrap_or_default();
        let ([battery, free, clock], [battery_back, free_back, clock_back]) =
            (condition(i.issued), condition(i.returned));
        rows.push(vec![
            i.recorder,
            badge,
            name,
            i.purpose,
            when::exact(i.issued_at),
            battery,
            free,
            clock,
            or_empty(i.returned_at.map(when::exact)),
            battery_back,
            free_back,
            clock_back,
            i.note,
        ]);
        Ok(())
    })?;
    // Oldest first, as a ledger is read, and as it can be entered.
    rows.reverse();
    Ok(rows)
}
