//! Alerts in the daemon's log: English, as the log is.

use crate::alert::message::Letter;

/// Writes one line for each alert.
pub fn send(letter: &Letter) {
    if letter.trial {
        tracing::info!("alerts: a test message");
    }
    for item in &letter.items {
        let (a, event) = (&item.alert, item.event.word());
        let (id, kind, subject, message) = (a.id, &a.kind, &a.subject, &a.message);
        match (a.severity.as_str(), a.state.as_str()) {
            ("critical", "open") => tracing::error!("alert {id} {event}: {kind} {subject}: {message}"),
            ("warning", "open") => tracing::warn!("alert {id} {event}: {kind} {subject}: {message}"),
            _ => tracing::info!("alert {id} {event}: {kind} {subject}: {message}"),
        }
    }
}
