//! The daemon's control socket: how `docket ingest` and `docket status` reach a running daemon.
//!
//! One JSON line asks, JSON lines answer. The socket lies in the data directory, belongs to the
//! daemon's user alone, and serves only that user and root. Hanging up cancels what was asked for.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader};
use tokio::net::{UnixListener, UnixStream as AsyncStream};

use super::docks::Docks;
use crate::base::text::{show, unshow};
use crate::base::{Cancel, Error, Kind, Result};
use crate::ingest::docking::{self, Request, Summary};
use crate::ingest::progress::{Progress, Snapshot};
use crate::ingest::station::Station;

const SOCKET: &str = "control.sock";
/// A question longer than this is none.
const LONGEST: u64 = 64 << 10;
/// How long a question that needs no work may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often progress is told.
const BEAT: Duration = Duration::from_millis(200);

/// A question to the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Dock a folder once.
    Ingest {
        /// The folder, as [`show`] writes it.
        path: String,
        /// Whose it is.
        recorder: Option<String>,
    },
    /// What is docked now?
    Stays {},
}

/// An answer of the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tell {
    /// How far it is.
    Progress(Snapshot),
    /// The stay ended.
    Done(Summary),
    /// It could not be done.
    Refused {
        /// What happened.
        what: String,
        /// What to do next.
        next: Option<String>,
    },
    /// The stays under way: card and progress.
    Stays(Vec<(String, Snapshot)>),
}

/// The socket's path through an open directory: a socket address holds no more than 108 bytes.
fn short_path(dir: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

fn open_data(data: &Path) -> Result<std::fs::File> {
    std::fs::File::open(data).map_err(|e| Error::io("open", data, e))
}

/// The listening end.
pub struct Control {
    listener: UnixListener,
    data: std::fs::File,
}

impl Control {
    /// Listens in the data directory. The caller holds the station's lock, so a socket that lies
    /// there is a leftover.
    pub fn listen(data: &Path) -> Result<Self> {
        let fail = |e| Error::io("listen at", &data.join(SOCKET), e);
        let data = open_data(data)?;
        let path = short_path(&data);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(fail)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
        Ok(Self { listener, data })
    }

    /// Answers until the task is dropped.
    pub async fn serve(self, station: Arc<Station>, docks: Arc<Docks>, cancel: Cancel) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (station, docks, cancel) = (Arc::clone(&station), Arc::clone(&docks), cancel.child());
                    tokio::spawn(async move {
                        if let Err(e) = answer(stream, station, docks, cancel).await {
                            tracing::debug!("control socket: {e}");
                        }
                    });
                }
                Err(e) => {
                    tracing::warn!("control socket: {e}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(short_path(&self.data));
    }
}

async fn tell(stream: &mut (impl AsyncWriteExt + Unpin), answer: &Tell) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

fn refused(e: &Error) -> Tell {
    Tell::Refused { what: e.what().to_owned(), next: e.advice().map(str::to_owned) }
}

async fn answer(
    mut stream: AsyncStream,
    station: Arc<Station>,
    docks: Arc<Docks>,
    cancel: Cancel,
) -> std::io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != nix::unistd::geteuid().as_raw() {
        let e = Error::new(Kind::Invalid, "only the daemon's own user and root may ask");
        return tell(&mut stream, &refused(&e)).await;
    }
    let (read, mut write) = stream.split();
    let mut read = AsyncBufReader::new(read);
    let mut line = String::new();
    // The buffered reader stays whole, so that hanging up is seen later.
    (&mut read).take(LONGEST).read_line(&mut line).await?;
    let ask: Ask = match serde_json::from_str(&line) {
        Ok(ask) => ask,
        Err(e) => {
            let e = Error::new(Kind::Invalid, format!("this is no question: {e}"));
            return tell(&mut write, &refused(&e)).await;
        }
    };
    let (path, recorder) = match ask {
        Ask::Stays {} => return tell(&mut write, &Tell::Stays(docks.stays())).await,
        Ask::Ingest { path, recorder } => match unshow(&path) {
            Some(path) => (PathBuf::from(path), recorder),
            None => {
                let e = Error::new(Kind::Invalid, format!("`{path}` is no path"));
                return tell(&mut write, &refused(&e)).await;
            }
        },
    };
    let progress = Arc::new(Progress::default());
    let request = Request { dock: "command".into(), path, recorder, wait_for_room: false };
    let mut stay = {
        let (progress, cancel) = (Arc::clone(&progress), cancel.clone());
        tokio::task::spawn_blocking(move || docking::run(&station, request, progress, &cancel))
    };
    let mut beat = tokio::time::interval(BEAT);
    let mut byte = [0];
    let summary = loop {
        tokio::select! {
            done = &mut stay => break done,
            _ = beat.tick() => {
                if tell(&mut write, &Tell::Progress(progress.snapshot())).await.is_err() {
                    cancel.cancel();
                }
            }
            n = read.read(&mut byte), if !cancel.is_cancelled() => {
                // Hung up: what was copied is journaled, and the next docking goes on.
                if !matches!(n, Ok(n) if n > 0) {
                    cancel.cancel();
                }
            }
        }
    };
    docks.tidy();
    let last = match summary {
        Ok(Ok(summary)) => Tell::Done(summary),
        Ok(Err(e)) => refused(&e),
        Err(e) => refused(&Error::new(Kind::Invalid, format!("the stay broke off: {e}"))),
    };
    tell(&mut write, &Tell::Progress(progress.snapshot())).await?;
    tell(&mut write, &last).await
}

/// The asking end. `None` where no daemon listens.
///
/// # Errors
/// What the daemon refused, with its advice; [`Kind::Cancelled`] when asked to stop.
pub fn ask(data: &Path, ask: &Ask, cancel: &Cancel, heard: &mut dyn FnMut(Tell)) -> Result<Option<()>> {
    let dir = open_data(data)?;
    let Ok(mut stream) = UnixStream::connect(short_path(&dir)) else { return Ok(None) };
    let fail = |e: std::io::Error| {
        Error::new(Kind::of_io(&e), format!("the daemon hung up: {e}"))
            .next("see its log: journalctl -u docket")
    };
    let mut line = serde_json::to_vec(ask).map_err(|e| Error::new(Kind::Invalid, e.to_string()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(fail)?;
    stream.set_read_timeout(Some(BEAT)).map_err(fail)?;
    let mut read = BufReader::new(stream);
    let mut line = Vec::new();
    let asked = std::time::Instant::now();
    loop {
        cancel.check()?;
        if matches!(ask, Ask::Stays {}) && asked.elapsed() > PATIENCE {
            return Err(Error::new(Kind::Busy, "running, but it does not answer")
                .next("see its log: journalctl -u docket"));
        }
        match read.read_until(b'\n', &mut line) {
            Ok(0) => return Err(fail(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(_) if line.ends_with(b"\n") => {
                let told = serde_json::from_slice(&line).map_err(|e| {
                    Error::new(Kind::Invalid, format!("the daemon's answer makes no sense: {e}"))
                })?;
                line.clear();
                match told {
                    Tell::Refused { what, next } => {
                        let e = Error::new(Kind::Invalid, what);
                        return Err(match next {
                            Some(next) => e.next(next),
                            None => e,
                        });
                    }
                    told => {
                        let last = !matches!(told, Tell::Progress(_));
                        heard(told);
                        if last {
                            return Ok(Some(()));
                        }
                    }
                }
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(e) => return Err(fail(e)),
        }
    }
}

/// The question to dock a folder once.
pub fn ingest(path: &Path, recorder: Option<String>) -> Ask {
    Ask::Ingest { path: show(OsStr::new(path)), recorder }
}
