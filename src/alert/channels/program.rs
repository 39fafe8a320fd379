//! A program that takes a message as JSON on its standard input, and is killed with all it started where
//! it takes too long.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Failure, GLANCE, slow};
use crate::alert::message::Letter;
use crate::base::{Cancel, Error, Kind, Result};

/// The program in a process group of its own; however this ends, nothing of it stays.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Runs it once.
pub fn send(
    command: &[String],
    letter: &Letter,
    now: DateTime<Utc>,
    time: Duration,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let name = command.first().map_or("", String::as_str);
    let child = Command::new(name)
        .args(command.iter().skip(1))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| {
            Failure::surely(
                Error::new(Kind::of_io(&e), format!("cannot start {name}: {e}"))
                    .next("check `command` of the channel in the settings"),
            )
        })?;
    let mut group = Group(child);
    // Another thread writes: a program that does not read shall not hold up anybody past its time.
    let body = letter.json(now).to_string();
    if let Some(mut stdin) = group.0.stdin.take() {
        let write = move || drop(stdin.write_all(body.as_bytes()));
        let started = std::thread::Builder::new().name("alert-program".into()).spawn(write);
        started.map_err(|e| {
            Failure::perhaps(Error::new(Kind::of_io(&e), format!("cannot start a delivery: {e}")))
        })?;
    }
    let end = Instant::now() + time;
    loop {
        match group.0.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                let what = format!("{name} failed: {status}");
                return Err(Failure::perhaps(
                    Error::new(Kind::Invalid, what)
                        .next("run it by hand with a message on its standard input"),
                ));
            }
            Ok(None) => {}
            Err(e) => {
                return Err(Failure::perhaps(Error::new(Kind::of_io(&e), format!("cannot run {name}: {e}"))));
            }
        }
        if Instant::now() >= end {
            return Err(Failure::perhaps(slow(name, time)));
        }
        if cancel.sleep(GLANCE.min(end.saturating_duration_since(Instant::now()))) {
            return Err(Failure::perhaps(Error::new(Kind::Cancelled, "stopped on request")));
        }
    }
}
