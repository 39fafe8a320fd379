//! Where the log goes: the journal under systemd, standard error elsewhere.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the filter of a running daemon.
pub struct LogControl(reload::Handle<EnvFilter, Registry>);

impl LogControl {
    /// Takes a new filter; a bad one is refused and the old one stays.
    pub fn set(&self, filter: &str) {
        match EnvFilter::try_new(filter) {
            Ok(filter) => drop(self.0.reload(filter)),
            Err(e) => tracing::warn!("station.log `{filter}` is no log filter: {e}"),
        }
    }
}

/// Starts logging; to be called once.
pub fn start(filter: &str) -> LogControl {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some();
    let journal = under_systemd.then(|| tracing_journald::layer().ok()).flatten();
    let terminal = journal.is_none().then(|| {
        fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
    });
    let _ = tracing_subscriber::registry().with(filter).with(journal).with(terminal).try_init();
    LogControl(handle)
}
