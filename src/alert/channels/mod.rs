//! The ways by which a message leaves the station.
//!
//! Each takes a letter, and either hands it over or says what went wrong. None keeps anything: what waits
//! is in the outbox.

mod email;
mod journal;
mod program;
mod robots;
mod secret;
mod webhook;

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::message::Letter;
use crate::base::config::channels::{Channel, Via};
use crate::base::{Cancel, Error, Kind, Result};

/// Why a message was not handed over.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// Whether the receiver may have it all the same.
    pub perhaps: bool,
}

impl Failure {
    /// The receiver cannot have it.
    fn surely(error: Error) -> Self {
        Self { error, perhaps: false }
    }

    /// The receiver may have it.
    fn perhaps(error: Error) -> Self {
        Self { error, perhaps: true }
    }
}

/// How often a delivery looks whether it shall stop.
const GLANCE: Duration = Duration::from_millis(50);

/// Hands a letter over, within the channel's time. `to` is an address for mail, and nothing elsewhere.
///
/// # Errors
/// What went wrong, and whether the letter may have arrived; [`Kind::Cancelled`] where stopping was asked for.
pub fn send(
    channel: &Channel,
    to: &str,
    letter: &Letter,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let time = Duration::from_secs(channel.timeout);
    match &channel.via {
        Via::Journal => {
            journal::send(letter);
            Ok(())
        }
        Via::Program { command } => program::send(command, letter, now, time, cancel),
        Via::Email(mail) => within(&channel.name, time, cancel, email::send(mail, to, letter, now, time)),
        Via::Webhook(hook) => within(&channel.name, time, cancel, webhook::send(hook, letter, now, time)),
    }
}

/// Hands JSON of another kind to a webhook; `key` is what its receiver knows it by when it comes again.
///
/// # Errors
/// What went wrong; a channel that is no webhook.
pub fn post(
    channel: &Channel,
    key: &str,
    body: &serde_json::Value,
    now: DateTime<Utc>,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let time = Duration::from_secs(channel.timeout);
    let Via::Webhook(hook) = &channel.via else {
        let what = format!("channel {} is no webhook", channel.name);
        return Err(Failure::surely(Error::new(Kind::Invalid, what)));
    };
    within(&channel.name, time, cancel, webhook::post(hook, key, &body.to_string(), now, time))
}

/// Runs one delivery on this thread until it ends, its time is over, or stopping is asked for.
fn within(
    name: &str,
    time: Duration,
    cancel: &Cancel,
    delivery: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::surely(Error::new(Kind::of_io(&e), format!("cannot start a delivery: {e}"))))?;
    let stopped = async {
        while !cancel.is_cancelled() {
            tokio::time::sleep(GLANCE).await;
        }
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = delivery => done,
            () = tokio::time::sleep(time) => Err(Failure::perhaps(slow(name, time))),
            () = stopped => Err(Failure::perhaps(Error::new(Kind::Cancelled, "stopped on request"))),
        }
    });
    // A name that is being looked up holds a thread of its own; nobody waits for it.
    runtime.shutdown_background();
    done
}

fn slow(name: &str, time: Duration) -> Error {
    Error::new(
        Kind::Io(nix::errno::Errno::ETIMEDOUT),
        format!("channel {name} gave no answer within {} s", time.as_secs()),
    )
    .next("look whether the receiver works; timeout_seconds gives it more time")
}

/// What the system said at the bottom of a failure, or the failure's text with those that caused it, on
/// one line: libraries tell the cause apart.
fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if let Some(system) = e.downcast_ref::<std::io::Error>().filter(|e| e.raw_os_error().is_some()) {
            return system.to_string();
        }
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text.replace(char::is_control, " ")
}

/// Certificates of a PEM file.
fn certificates(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|e| Failure::surely(Error::io("read", file, e)))
}
