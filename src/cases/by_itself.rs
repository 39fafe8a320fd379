//! Links that rules make by themselves, where the policy lets them: as recordings are archived, and as the
//! steps of cases get their times.

use crate::base::Result;
use crate::base::config;
use crate::catalog::dockings::By;
use crate::catalog::{Catalog, Connection, cases, feed};
use crate::custody::log;

use super::suggest::{certain, certain_of_case, link_certain};

const READER: &str = "links";
/// Custody entries worked through before their end is noted.
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
        let (from, (last, objects)) = catalog.read(|db| {
            let from = feed::read_up_to(db, READER)?;
            Ok((from, feed::touched(db, from, BATCH)?))
        })?;
        if last <= from {
            return Ok(());
        }
        for object in &objects {
            // Found out beside the writer, who then has one look at each that is to be linked.
            let found = catalog.read(|db| match object.split_once(':') {
                Some(("recording", id)) if is_archived(db, id)? && certain(db, id)?.is_some() => {
                    Ok(vec![id.to_owned()])
                }
                Some(("case", number)) => match cases::find(db, number) {
                    Ok(case) => Ok(certain_of_case(db, at, &case)?.into_iter().map(|(id, _)| id).collect()),
                    Err(_) => Ok(Vec::new()),
                },
                _ => Ok(Vec::new()),
            })?;
            for id in found {
                catalog.write(move |tx| link_certain(tx, at, &id))?;
            }
        }
        catalog.write(move |tx| feed::set_read_up_to(tx, READER, last))?;
    }
}

fn is_archived(db: &Connection, id: &str) -> Result<bool> {
    Ok(crate::catalog::deadlines::footage(db, id)?.is_some_and(|f| f.archived_at.is_some()))
}
