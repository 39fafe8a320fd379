//! The daemon's thread for the custody log: checkpoints to their keepers, and the daily check. Apart from
//! everything else, for a witness may hang as only a file server can.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::audit::Audit;
use super::{is_told, witness};
use crate::base::{Cancel, Kind};
use crate::ingest::checkpoints::{Keeper, begin};
use crate::ingest::station::Station;

/// How long the daemon waits at its end for the thread, and then for the last checkpoint.
const LAST: Duration = Duration::from_secs(8);

/// Looks after the log whenever it is told that something was archived, and from time to time; until nobody
/// is left to tell it.
pub fn run(station: &Station, told: &Receiver<()>, cancel: &Cancel) {
    let (mut keeper, mut audit) = (Keeper::default(), Audit::default());
    while is_told(told, cancel) {
        keeper.keep(station);
        let posted = witness::post(station, cancel).err().filter(|e| e.kind() != Kind::Cancelled);
        if let Some(e) = &posted {
            tracing::warn!("a checkpoint for the witness: {e}");
        }
        match audit.look(station, &keeper, posted.as_ref(), cancel) {
            Err(e) if e.kind() != Kind::Cancelled => tracing::warn!("the custody log: {e}"),
            _ => {}
        }
    }
}

/// Signs what the last stays left in the log, as far as that takes no undue time. `ended` hears when
/// [`run`] has returned.
pub fn finish(station: &Arc<Station>, ended: &Receiver<()>) {
    let done = ended.recv_timeout(LAST) != Err(RecvTimeoutError::Timeout) && {
        let station = Arc::clone(station);
        begin("checkpoint", move || Keeper::default().keep(&station)).recv_timeout(LAST).is_ok()
    };
    if !done {
        tracing::warn!("a keeper of checkpoints does not answer; what is left is signed at the next start");
    }
}
