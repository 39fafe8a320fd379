//! Links that rules make by themselves, where the policy lets them: as recordings are archived, and as the
//! steps of cases get their times.

use crate::base::Result;
use crate::base::config;
use crate::catalog::dockings::By;
use crate::catalog::{Catalog, Connection, cases, feed};
use crate::custody::log;

use super::suggest::{link_certain, link_certain_of_case};

const READER: &str = "links";
/// Custody entries worked through in one transaction.
const BATCH: u32 = 500;

/// Links what has become certain since it last looked. Where the policy says no, what was archived until
/// then is left to people for good.
///
/// # Errors
/// What the catalogue says; what was linked until then stays linked.
pub fn catch_up(catalog: &Catalog, policy: &config::Cases, by: &dyn Fn() -> By) -> Result<()> {
    if !policy.link_by_itself {
        let behind = |db: &Connection| {
            let head = log::head(db)?.0.cast_signed();
            Ok((feed::read_up_to(db, READER)? < head).then_some(head))
        };
        if let Some(head) = catalog.read(behind)? {
            catalog.write(move |tx| feed::set_read_up_to(tx, READER, head))?;
        }
        return Ok(());
    }
    loop {
        let at = by().at;
        let more = catalog.write(move |tx| {
            let from = feed::read_up_to(tx, READER)?;
            let (last, objects) = feed::touched(tx, from, BATCH)?;
            for object in &objects {
                match object.split_once(':') {
                    Some(("recording", id)) if is_archived(tx, id)? => drop(link_certain(tx, at, id)?),
                    Some(("case", number)) => {
                        if let Ok(case) = cases::find(tx, number) {
                            link_certain_of_case(tx, at, &case)?;
                        }
                    }
                    _ => {}
                }
            }
            feed::set_read_up_to(tx, READER, last)?;
            Ok(last > from)
        })?;
        if !more {
            return Ok(());
        }
    }
}

fn is_archived(db: &Connection, id: &str) -> Result<bool> {
    Ok(crate::catalog::deadlines::footage(db, id)?.is_some_and(|f| f.archived_at.is_some()))
}
