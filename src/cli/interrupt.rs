//! Ctrl-C: the first asks to stop in good order, the second ends at once.

use nix::sys::signal::{SigSet, Signal};

use crate::base::Cancel;

/// A request to stop that SIGINT and SIGTERM make. To be called before other threads start:
/// they inherit that the signals are left to one waiting thread.
pub fn on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if signals.thread_block().is_ok() {
        let asked = cancel.clone();
        std::thread::spawn(move || {
            while signals.wait().is_ok() {
                if asked.is_cancelled() {
                    std::process::exit(130);
                }
                asked.cancel();
            }
        });
    }
    cancel
}
