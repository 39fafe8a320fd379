//! The parent's side of the child process: starts it, asks it, and ends it when it hangs.

use std::io::{BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use nix::libc;

use super::child::{Answer, Question, line};
use super::facts::Probed;
use crate::base::{Cancel, Error, Kind, Result, text};

/// FFmpeg leaks a little; a child is replaced before that adds up.
const MOST_PROBES: u32 = 1000;
/// How long a request to stop may go unseen.
const GLANCE: Duration = Duration::from_millis(50);
/// Address space of a child: a forged header must not take the station's memory.
const MOST_MEMORY: libc::rlim_t = 2 << 30;
const MOST_FILES: libc::rlim_t = 64;

/// Asks a child process for media facts. The child is started on first use, replaced after a crash or
/// a hang, and ends with this value. It also ends with the *thread* that started it, so one thread
/// should ask; another that finds it gone starts its own.
pub struct Worker {
    exe: PathBuf,
    limit: Duration,
    running: Option<Running>,
}

struct Running {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
    probes: u32,
}

impl Worker {
    /// `exe` is the docket binary, `limit` the time that one file may take.
    pub fn new(exe: PathBuf, limit: Duration) -> Self {
        let exe = std::path::absolute(&exe).unwrap_or(exe);
        Self { exe, limit, running: None }
    }

    /// What a file says about itself.
    ///
    /// # Errors
    /// [`Kind::Media`] where the child cannot be started, crashed, hung, or could not read the file:
    /// the next call starts a new one. [`Kind::Cancelled`] on request.
    pub fn probe(&mut self, path: &Path, cancel: &Cancel) -> Result<Probed> {
        cancel.check()?;
        let path = std::path::absolute(path).map_err(|e| Error::io("resolve", path, e))?;
        let shown = text::show(path.as_os_str());
        // A child that died between two files says nothing about the next one.
        let mut running = match self.running.take().and_then(Running::if_fit) {
            Some(running) => running,
            None => Running::start(&self.exe)?,
        };
        let answer = running.ask(&shown, self.limit, cancel)?;
        self.running = Some(running);
        match answer {
            Answer::Facts(probed) => Ok(*probed),
            Answer::Error(e) => Err(Error::new(Kind::Media, format!("no media facts of {shown}: {e}"))),
        }
    }

    /// Ends the child, and with it its memory; the next call starts a new one.
    pub fn rest(&mut self) {
        self.running = None;
    }

    /// Whether a child is held ready.
    pub fn is_awake(&self) -> bool {
        self.running.is_some()
    }
}

impl Running {
    fn start(exe: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(Kind::Media, format!("cannot start {} media-worker: {e}", text::show(exe.as_os_str())))
                .next("media facts stay empty until it starts; check that the binary is still in place")
        };
        let mut command = Command::new(exe);
        command.arg("media-worker").env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // SAFETY: runs between fork and exec; `confine` makes plain system calls and allocates nothing.
        unsafe { command.pre_exec(confine) };
        let mut child = command.spawn().map_err(failed)?;
        let (Some(questions), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            end(&mut child);
            return Err(failed(std::io::Error::other("it has no pipes")));
        };
        let (send, answers) = sync_channel(1);
        let reader = move || read(stdout, |line| send.send(line).is_ok());
        if let Err(e) = std::thread::Builder::new().name("media-answers".into()).spawn(reader) {
            end(&mut child);
            return Err(failed(e));
        }
        Ok(Self { child, questions, answers, probes: 0 })
    }

    /// Itself, if it is alive, not worn out, and said nothing unasked.
    fn if_fit(mut self) -> Option<Self> {
        let fit = self.probes < MOST_PROBES
            && matches!(self.child.try_wait(), Ok(None))
            && matches!(self.answers.try_recv(), Err(TryRecvError::Empty));
        fit.then_some(self)
    }

    fn ask(&mut self, shown: &str, limit: Duration, cancel: &Cancel) -> Result<Answer> {
        self.probes += 1;
        let deadline = Instant::now() + limit;
        let question = serde_json::to_vec(&Question { path: shown.to_owned() });
        let mut question =
            question.map_err(|e| Error::new(Kind::Media, format!("cannot ask for {shown}: {e}")))?;
        question.push(b'\n');
        // A path is far shorter than a pipe holds, so this cannot block.
        if self.questions.write_all(&question).is_err() {
            return Err(self.crashed(shown));
        }
        let line = loop {
            cancel.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left.min(GLANCE)) {
                Ok(line) => break line,
                Err(RecvTimeoutError::Disconnected) => return Err(self.crashed(shown)),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    let what = format!(
                        "reading the media facts of {shown} took over {} s and was given up",
                        limit.as_secs_f32()
                    );
                    return Err(Error::new(Kind::Media, what).next(HARMLESS));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        serde_json::from_str(&line).map_err(|e| {
            let what = format!("the media worker answered nonsense about {shown}: {e}");
            Error::new(Kind::Media, what).next("check that the binary is docket's own")
        })
    }

    fn crashed(&mut self, shown: &str) -> Error {
        let status = end(&mut self.child);
        let how = match status.map(|s| (s.signal(), s.code())) {
            Some((Some(signal), _)) => format!("was killed by signal {signal}"),
            Some((_, Some(code))) => format!("ended with status {code}"),
            _ => "ended".into(),
        };
        Error::new(Kind::Media, format!("the media worker {how} at {shown}")).next(HARMLESS)
    }
}

const HARMLESS: &str = "the file itself is untouched; only its media facts are missing";

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills and reaps; a child that already ended keeps its status.
fn end(child: &mut Child) -> Option<std::process::ExitStatus> {
    // A crash closes the pipe a moment before the child can be waited for.
    for _ in 0..10 {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Ok(status) => return status,
            Err(_) => break,
        }
    }
    let _ = child.kill();
    child.wait().ok()
}

fn read(from: ChildStdout, mut take: impl FnMut(String) -> bool) {
    let mut from = BufReader::new(from);
    while let Ok(Some(line)) = line(&mut from) {
        if !take(line) {
            return;
        }
    }
}

/// Makes the child harmless: it ends with its parent, yields to others, and cannot grow or write files.
fn confine() -> std::io::Result<()> {
    let limit = |what, most| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: a plain system call that reads `limit`.
        if unsafe { libc::setrlimit(what, &limit) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    limit(libc::RLIMIT_AS, MOST_MEMORY)?;
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_NOFILE, MOST_FILES)?;
    // SAFETY: plain system calls on the calling process. A niceness that cannot be set is no reason
    // to stay without facts.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0
        {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for the docket binary: a shell script that ignores its argument. A shell writes it,
    /// so that no other test's child can inherit it open for writing, which exec refuses.
    fn stand_in(script: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let exe = dir.path().join("stand-in");
        let make = format!("printf '%s\\n' '#!/bin/sh' \"$1\" > '{0}' && chmod 755 '{0}'", exe.display());
        assert!(Command::new("sh").args(["-c", &make, "sh", script]).status().unwrap().success());
        (dir, exe)
    }

    fn ask(worker: &mut Worker) -> Result<Probed> {
        worker.probe(Path::new("/evidence/a.mp4"), &Cancel::new())
    }

    const GOOD: &str = r#"{"facts":{"facts":{},"verdict":"playable","reason":null}}"#;

    #[test]
    fn a_stand_in_that_hangs_is_given_up_and_replaced() {
        let (dir, exe) =
            stand_in(&format!("cd $0.d 2>/dev/null && while read q; do echo '{GOOD}'; done; sleep 100"));
        let mut worker = Worker::new(exe.clone(), Duration::from_millis(300));
        let begun = Instant::now();
        let e = ask(&mut worker).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(e.kind(), Kind::Media);
        assert!(e.what().contains("/evidence/a.mp4 took over 0.3 s"), "{e}");
        assert!(!worker.is_awake());
        std::fs::create_dir(dir.path().join("stand-in.d")).unwrap();
        worker.limit = Duration::from_secs(10);
        assert!(ask(&mut worker).is_ok());
    }

    #[test]
    fn a_stand_in_that_crashes_costs_one_answer() {
        let (_dir, exe) = stand_in("read q; kill -SEGV $$");
        let mut worker = Worker::new(exe, Duration::from_secs(10));
        for _ in 0..2 {
            let e = ask(&mut worker).unwrap_err();
            assert!(e.what().contains("killed by signal 11 at /evidence/a.mp4"), "{e}");
        }
    }

    #[test]
    fn a_stand_in_that_talks_nonsense_or_is_not_there() {
        let e = ask(&mut Worker::new("/usr/bin/yes".into(), Duration::from_secs(10))).unwrap_err();
        assert!(e.what().contains("nonsense"), "{e}");
        let e = ask(&mut Worker::new("/nowhere/docket".into(), Duration::from_secs(10))).unwrap_err();
        assert!(e.kind() == Kind::Media && e.what().contains("cannot start /nowhere/docket"), "{e}");
    }

    #[test]
    fn one_child_answers_many_and_a_dead_one_is_replaced_unseen() {
        let (_dir, exe) = stand_in(&format!("while read q; do echo '{GOOD}'; done"));
        let mut worker = Worker::new(exe, Duration::from_secs(10));
        let pid = |w: &Worker| w.running.as_ref().unwrap().child.id();
        ask(&mut worker).unwrap();
        let first = pid(&worker);
        ask(&mut worker).unwrap();
        assert_eq!(pid(&worker), first);
        worker.running.as_mut().unwrap().child.kill().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        ask(&mut worker).unwrap();
        assert_ne!(pid(&worker), first);
        worker.running.as_mut().unwrap().probes = MOST_PROBES;
        let second = pid(&worker);
        ask(&mut worker).unwrap();
        assert_ne!(pid(&worker), second);
        let last = pid(&worker);
        worker.rest();
        assert!(!worker.is_awake() && !Path::new(&format!("/proc/{last}")).exists());
    }

    #[test]
    fn a_request_to_stop_is_seen_while_waiting() {
        let (_dir, exe) = stand_in("exec sleep 100");
        let cancel = Cancel::new();
        let soon = cancel.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            soon.cancel();
        });
        let begun = Instant::now();
        let mut worker = Worker::new(exe, Duration::from_secs(60));
        let e = worker.probe(Path::new("/evidence/a.mp4"), &cancel).unwrap_err();
        assert!(e.kind() == Kind::Cancelled && begun.elapsed() < Duration::from_secs(5));
        stopper.join().unwrap();
    }

    #[test]
    fn the_child_is_confined() {
        let (_dir, exe) = stand_in(
            r#"read q; echo "{\"error\":\"$(ulimit -v) $(ulimit -c) $(ulimit -n) $(env | grep -c DOCKET)\"}""#,
        );
        let e = ask(&mut Worker::new(exe, Duration::from_secs(10))).unwrap_err();
        assert!(e.what().ends_with("2097152 0 64 0"), "{e}");
    }
}
