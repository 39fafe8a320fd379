//! Checkpoints of the custody log to a witness over HTTP: whoever receives them elsewhere can tell later
//! that the log was another.

use serde_json::json;

use crate::alert::channels;
use crate::base::{Cancel, Result};
use crate::catalog::feed;
use crate::custody::checkpoint;
use crate::ingest::station::Station;

const READER: &str = "checkpoint-webhook";

/// Posts the checkpoints that the webhook of the settings does not have yet, the oldest first.
///
/// # Errors
/// The first that could not be posted; it is tried again in the next round.
pub fn post(station: &Station, cancel: &Cancel) -> Result<()> {
    let settings = station.settings();
    let config = &settings.config;
    let Some(channel) =
        config.custody.webhook.as_ref().and_then(|name| config.channels.iter().find(|c| c.name == *name))
    else {
        return Ok(());
    };
    let catalog = &station.core.catalog;
    let new = catalog.read(|db| checkpoint::since(db, feed::read_up_to(db, READER)?.unsigned_abs()))?;
    for kept in new {
        let size = kept.size;
        let body = json!({ "station": station.id(), "size": size, "checkpoint": kept.note });
        let key = format!("checkpoint.{}.{size}", station.id());
        channels::post(channel, &key, &body, station.core.clock.now(), cancel).map_err(|f| f.error)?;
        catalog.write(move |tx| feed::set_read_up_to(tx, READER, size.cast_signed()))?;
    }
    Ok(())
}
