//! A request to stop that any thread can see or sleep against.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Error, Kind, Result};

/// Cloned freely; once cancelled, always cancelled. A child is cancelled with its parent.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stopped: Mutex<bool>,
    wake: Condvar,
    parent: Option<Cancel>,
}

/// How long a sleeper goes without looking at its parent.
const GLANCE: Duration = Duration::from_millis(100);

impl Cancel {
    /// Not yet cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request of its own that also ends with this one.
    pub fn child(&self) -> Self {
        Self(Arc::new(Inner { parent: Some(self.clone()), ..Inner::default() }))
    }

    /// Asks everybody who holds a clone to stop.
    pub fn cancel(&self) {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.wake.notify_all();
    }

    /// Whether stopping was asked for.
    pub fn is_cancelled(&self) -> bool {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner)
            || self.0.parent.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// An error once stopping was asked for.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::new(Kind::Cancelled, "stopped on request")) } else { Ok(()) }
    }

    /// Sleeps, but not past a request to stop; true if it was asked for.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut stopped = self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped && !self.0.parent.as_ref().is_some_and(Cancel::is_cancelled) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let nap = if self.0.parent.is_some() { left.min(GLANCE) } else { left };
            stopped = self.0.wake.wait_timeout(stopped, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
