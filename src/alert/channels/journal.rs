//! Alerts in the daemon's log: English, as the log is.

use tracing::Level;

use crate::alert::Event;
use crate::alert::message::Letter;

/// Writes one line for each alert.
pub fn send(letter: &Letter) {
    if letter.trial {
        tracing::info!("alerts: a test message");
    }
    for item in &letter.items {
        let (a, event) = (&item.alert, item.event.word());
        let (id, kind, subject, message) = (a.id, &a.kind, &a.subject, &a.message);
        match level(&a.severity, &a.state, item.event) {
            Level::ERROR => tracing::error!("alert {id} {event}: {kind} {subject}: {message}"),
            Level::WARN => tracing::warn!("alert {id} {event}: {kind} {subject}: {message}"),
            _ => tracing::info!("alert {id} {event}: {kind} {subject}: {message}"),
        }
    }
}

/// As severe as the alert, unless the news is a good one. Somebody who has acknowledged it does not know of what
/// happens to it after.
fn level(severity: &str, state: &str, event: Event) -> Level {
    match (severity, event) {
        (_, Event::Acknowledged | Event::Resolved) => Level::INFO,
        _ if state == "resolved" => Level::INFO,
        ("critical", _) => Level::ERROR,
        ("warning", _) => Level::WARN,
        _ => Level::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_worse_is_as_loud_though_somebody_knows_of_it() {
        for (severity, state, event, expected) in [
            ("critical", "open", Event::Opened, Level::ERROR),
            ("critical", "acknowledged", Event::Escalated, Level::ERROR),
            ("warning", "acknowledged", Event::Updated, Level::WARN),
            ("critical", "acknowledged", Event::Acknowledged, Level::INFO),
            ("critical", "resolved", Event::Resolved, Level::INFO),
            ("critical", "resolved", Event::Opened, Level::INFO),
            ("info", "open", Event::Opened, Level::INFO),
        ] {
            assert_eq!(level(severity, state, event), expected, "{severity} {state} {event:?}");
        }
    }
}
