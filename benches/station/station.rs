//! Stations to measure: freshly made, with a running daemon, or with a million recordings.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, params};
use sha2::{Digest, Sha256};

use crate::DOCKET;
use crate::lab::{Lab, sh};

/// How long a daemon may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(900);

/// A new station with one volume, and a dock where one is given.
pub fn prepare(data: &Path, volume: &Path, dock: Option<&Path>) {
    let _ = std::fs::remove_dir_all(data);
    std::fs::create_dir_all(data).expect("a data directory");
    let mut text = format!(
        "[[volume]]\nname = \"main\"\npath = \"{}\"\nreserve = \"16 MiB\"\n[ingest]\nprobe = false\n",
        volume.display()
    );
    if let Some(dock) = dock {
        text.push_str(&format!("[[dock]]\nname = \"dock\"\npath = \"{}\"\n", dock.display()));
    }
    std::fs::write(data.join("docket.toml"), text).expect("docket.toml");
    sh(&format!("{DOCKET} init --data {}", data.display()));
}

/// A running daemon; stopped when dropped.
pub struct Daemon {
    child: Child,
    data: PathBuf,
    begun: Instant,
    /// From the call to READY=1.
    pub ready_in: Duration,
}

impl Daemon {
    pub fn start(lab: &Lab, data: &Path, throttled: bool) -> Self {
        let socket = data.join("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).expect("a notify socket");
        notify.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let line = format!("exec {DOCKET} run --data {}", data.display());
        let line = if throttled { lab.inside(&line) } else { line };
        let begun = Instant::now();
        let child = Command::new("bash")
            .args(["-c", &line])
            .env("NOTIFY_SOCKET", &socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docket run");
        let mut buf = [0; 4096];
        loop {
            let n = notify.recv(&mut buf).expect("READY=1");
            if String::from_utf8_lossy(&buf[..n]).lines().any(|l| l == "READY=1") {
                break;
            }
        }
        Self { child, data: data.to_owned(), begun, ready_in: begun.elapsed() }
    }

    /// From the call until `n` cards may be taken.
    pub fn until_safe(&self, n: i64) -> Duration {
        let path = self.data.join("catalog.sqlite");
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the catalogue");
        loop {
            let count = |sql| db.query_row(sql, [], |r| r.get::<_, i64>(0)).expect("a count");
            let safe = count("SELECT count(*) FROM docking WHERE state = 'safe'");
            let bad = count("SELECT count(*) FROM docking WHERE state IN ('attention', 'vanished')");
            assert_eq!(bad, 0, "a card could not be archived");
            if safe == n {
                return self.begun.elapsed();
            }
            assert!(self.begun.elapsed() < PATIENCE, "not safe in time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The largest resident set so far, KiB.
    pub fn peak_kib(&self) -> u64 {
        sh(&format!("awk '/VmHWM/ {{print $2}}' /proc/{}/status", self.child.id())).parse().expect("VmHWM")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        sh(&format!("kill {}", self.child.id()));
        let _ = self.child.wait();
    }
}

/// Enters 1,000,000 recordings as ingest would have, four custody entries each. Returns GiB.
pub fn million(data: &Path) -> f64 {
    let path = data.join("catalog.sqlite");
    let mut db = Connection::open(&path).expect("the catalogue");
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000").expect("a pragma");
    let tx = db.transaction().expect("a transaction");
    let one = |sql: &str| tx.query_row(sql, [], |r| r.get::<_, String>(0)).expect("a row");
    let volume = one("SELECT id FROM volume");
    let last: (i64, Vec<u8>) = tx
        .query_row("SELECT seq, chain FROM custody ORDER BY seq DESC LIMIT 1", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .expect("a custody entry");
    let (mut seq, mut chain) = last;
    for i in 0..200 {
        tx.execute("INSERT INTO recorder VALUES (?1, 0, 0)", [format!("ZFY-{i:04}")]).expect("a recorder");
    }
    {
        let mut recording = tx
            .prepare(
                "INSERT INTO recording (id, recorder, state, source_path, size, mtime_ns, sha256, kind, facts, day,
                   taken_at, archived_at, probed) VALUES (?1, ?2, 'archived', ?3, 200000000, ?4, ?5, 'video', '{}', ?6, ?7, ?7, '{}')",
            )
            .expect("a statement");
        let mut copy = tx
            .prepare("INSERT INTO copy VALUES (?1, ?2, ?3, 'archived', ?4, 'direct', 1)")
            .expect("a statement");
        let mut source =
            tx.prepare("INSERT INTO source_file VALUES (?1, ?2, 200000000, ?3, ?4, 1)").expect("a statement");
        let mut entry = tx.prepare("INSERT INTO custody VALUES (?1, ?2, ?3, ?4, ?5)").expect("a statement");
        for i in 0..1_000_000_i64 {
            let at = 1_700_000_000_000 + i * 60_000;
            let id = format!("{:08x}-{:04x}-7000-8000-{i:012x}", at >> 16, at & 0xffff);
            let recorder = format!("ZFY-{:04}", i % 200);
            let name = format!("DCIM/100MEDIA/VIDE{i:07}.MP4");
            let hash = Sha256::digest(i.to_le_bytes()).to_vec();
            let day = format!("2024-{:02}-{:02}", i / 28 % 12 + 1, i % 28 + 1);
            let path = format!("media/{}/{recorder}/{id}_VIDE{i:07}.MP4", day.replace('-', "/"));
            recording
                .execute(params![id, recorder, name.as_bytes(), at * 1_000_000, hash, day, at])
                .expect("a recording");
            copy.execute(params![id, volume, path, at]).expect("a copy");
            source.execute(params![recorder, name.as_bytes(), at * 1_000_000, id]).expect("a source file");
            for action in ["planned", "copied", "verified", "archived"] {
                seq += 1;
                let object = format!("recording:{id}");
                let text = format!(
                    r#"{{"action":"recording.{action}","actor":"daemon","at":"2024-01-01T00:00:00.000Z","details":{{"path":"{path}"}},"object":"{object}","seq":{seq},"v":1}}"#
                );
                let leaf = Sha256::new().chain_update([0]).chain_update(&text).finalize();
                chain = Sha256::new()
                    .chain_update([2])
                    .chain_update(&chain)
                    .chain_update(leaf)
                    .finalize()
                    .to_vec();
                entry.execute(params![seq, object, text.as_bytes(), leaf.to_vec(), chain]).expect("an entry");
            }
        }
    }
    tx.commit().expect("a commit");
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    std::fs::metadata(&path).expect("the catalogue").len() as f64 / f64::from(1 << 30)
}
