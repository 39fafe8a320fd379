//! A program that takes a message as JSON on its standard input, and is killed with all it started where
//! it takes too long.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::{Failure, GLANCE, slow};
use crate::alert::message::Letter;
use crate::base::{Cancel, Error, Kind, Result};

/// Set in the environment of a program, and so of all that it starts: a process that leaves the group is known by it.
const MARK: &str = "DOCKET_DELIVERY";
/// Looks for what the program started; what is started between two looks is found by the next.
const LOOKS: usize = 5;

/// The program in a process group of its own; however this ends, nothing of it stays.
struct Group {
    child: Child,
    mark: String,
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
        for _ in 0..LOOKS {
            let left = marked(&self.mark);
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }
}

/// Processes with a mark in their environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let bears = |pid: &Pid| {
        let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        bytes.split(|b| *b == 0).any(|var| var == wanted.as_bytes())
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    pids.filter(bears).collect()
}

/// A file in memory with the message: whoever does not read it holds nobody up.
fn letter_file(body: &str) -> std::io::Result<File> {
    let mut file = File::from(memfd_create(c"message", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(body.as_bytes())?;
    file.rewind()?;
    Ok(file)
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
    let message = letter_file(&letter.json(now).to_string())
        .map_err(|e| Failure::surely(Error::new(Kind::of_io(&e), format!("cannot start a delivery: {e}"))))?;
    let mark = uuid::Uuid::now_v7().to_string();
    let child = Command::new(name)
        .args(command.iter().skip(1))
        .stdin(Stdio::from(message))
        .stdout(Stdio::null())
        .env(MARK, &mark)
        .process_group(0)
        .spawn()
        .map_err(|e| {
            Failure::surely(
                Error::new(Kind::of_io(&e), format!("cannot start {name}: {e}"))
                    .next("check `command` of the channel in the settings"),
            )
        })?;
    let mut group = Group { child, mark };
    let end = Instant::now() + time;
    loop {
        match group.child.try_wait() {
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
