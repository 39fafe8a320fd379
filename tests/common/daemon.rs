//! A running `docket run`, told ready through a real notify socket.

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Station;
use super::tools::{PATIENCE, until};

/// The daemon of a station; killed where a test does not stop it.
pub struct Daemon {
    child: Child,
    log: std::path::PathBuf,
    notify: Receiver<String>,
}

impl Daemon {
    /// Starts it and waits until it says that it is ready.
    pub fn start(station: &Station) -> Self {
        let daemon = Self::spawn(station);
        daemon.wait_for("READY=1");
        daemon
    }

    /// Starts it without waiting for anything.
    pub fn spawn(station: &Station) -> Self {
        Self::spawn_with(station, &[])
    }

    /// The same, with more in its environment.
    pub fn spawn_with(station: &Station, env: &[(&str, &str)]) -> Self {
        let socket = station.dir.path().join(format!("notify-{}", next()));
        let log = station.dir.path().join(format!("log-{}", next()));
        let socket_end = UnixDatagram::bind(&socket).unwrap();
        let child = station
            .command(&["run"])
            .env("NOTIFY_SOCKET", &socket)
            .env_remove("JOURNAL_STREAM")
            .envs(env.iter().copied())
            .stdout(std::process::Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        // Read whether or not a test waits, as systemd does: a sender stands still once ten messages lie there.
        let (sender, notify) = channel();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n) = socket_end.recv(&mut buf) {
                if sender.send(String::from_utf8_lossy(&buf[..n]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, log, notify }
    }

    /// Waits for a message that begins so; those before it are passed over.
    pub fn wait_for(&self, start: &str) {
        loop {
            let told = self.notify.recv_timeout(PATIENCE);
            let told = told.unwrap_or_else(|e| panic!("no {start}: {e}\n{}", self.log()));
            if told.lines().any(|l| l.starts_with(start)) {
                return;
            }
        }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log has a text.
    pub fn wait_for_log(&self, text: &str) {
        until(text, || self.log().contains(text).then_some(()));
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        until("the daemon's end", || self.child.try_wait().unwrap())
    }

    /// Asks it to stop, and fails the test unless it ends well.
    pub fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "{status} (signal {:?})\n{}", status.signal(), self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.log());
        }
    }
}

fn next() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// State and reason of the newest docking of a recorder.
pub fn docking_of(station: &Station, recorder: &str) -> Option<(String, Option<String>)> {
    let sql = "SELECT state, reason FROM docking WHERE recorder = ?1 ORDER BY id DESC LIMIT 1";
    station.db().query_row(sql, [recorder], |r| Ok((r.get(0)?, r.get(1)?))).ok()
}

/// Waits until the newest docking of a recorder is in a state.
pub fn wait_for_docking(station: &Station, recorder: &str, state: &str) {
    let mut last = None;
    let end = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < end {
        last = docking_of(station, recorder);
        if last.as_ref().is_some_and(|(s, _)| s == state) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("docking of {recorder} never came to `{state}`; it is {last:?}");
}

/// Puts a filled card into the dock in one step, as a mount does.
pub fn dock(station: &Station, card: &std::path::Path) -> std::path::PathBuf {
    let place = station.data().join("cards").join(card.file_name().unwrap());
    std::fs::rename(card, &place).unwrap();
    place
}
