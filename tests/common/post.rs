//! Real receivers of alerts on loopback, and a station's outbox run in this process with a clock in hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{DateTime, Local, TimeDelta, TimeZone, Utc};
use docket::alert::notify::Desk;
use docket::alert::outbox::Outbox;
use docket::alert::{Condition, Kind, Severity};
use docket::base::Cancel;
use docket::base::clock::FixedClock;
use docket::base::config::Config;
use docket::catalog::outbox::{self, Letter};
use docket::ingest::station;
use serde_json::Value;

use super::Station;
use super::tools::{skipped, until};

/// A minimal settings file with channels.
pub fn settings(channels: &str) -> String {
    format!(
        "[[volume]]\nname = \"main\"\npath = \"archive\"\nreserve = \"1 MiB\"\n\
         [ingest]\nsettle_seconds = 0\nprobe = false\n{channels}"
    )
}

/// How a receiver answers one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With a status, a header line (or none), and a body.
    Is(u16, String, String),
    /// Never, until the receiver ends.
    Hang,
    /// With a status and half a body, and no more.
    Half(u16),
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Is(status, String::new(), String::new())
    }

    pub fn says(body: &str) -> Self {
        Self::Is(200, String::new(), body.into())
    }

    pub fn to(status: u16, place: &str) -> Self {
        Self::Is(status, format!("Location: {place}\r\n"), String::new())
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path.
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        let lines = self.head.lines().filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.to_lowercase() == wanted).map(|(_, v)| v.trim().to_owned()).next()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An HTTP receiver with answers in order; the last one is given ever after.
pub struct Http {
    pub at: SocketAddr,
    got: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    pub fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (got, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, ended) = (Arc::clone(&got), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut workers = Vec::new();
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let (list, ended, answers) = (Arc::clone(&list), Arc::clone(&ended), answers.clone());
                workers.push(std::thread::spawn(move || serve(stream.unwrap(), &list, &ended, &answers)));
            }
            workers.into_iter().for_each(|w| drop(w.join()));
        });
        Self { at, got, stop, thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    /// Waits for so many requests.
    pub fn wait(&self, n: usize) -> Vec<Request> {
        until(&format!("{n} requests"), || Some(self.got()).filter(|got| got.len() >= n))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.at));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn serve(stream: TcpStream, list: &Mutex<Vec<Request>>, ended: &AtomicBool, answers: &[Answer]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut one = String::new();
        if reader.read_line(&mut one).unwrap_or(0) == 0 || one == "\r\n" {
            break;
        }
        if let Some(n) = one.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        head.push_str(&one);
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let n = {
        let mut list = list.lock().unwrap();
        let body = String::from_utf8(body).unwrap();
        list.push(Request { line: line.trim().to_owned(), head, body });
        list.len() - 1
    };
    let hold = || {
        while !ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    match &answers[n.min(answers.len() - 1)] {
        Answer::Hang => hold(),
        Answer::Half(status) => {
            let _ = stream
                .write_all(format!("HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\n{{\"err").as_bytes());
            hold();
        }
        Answer::Is(status, header, body) => {
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} x\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(text.as_bytes());
        }
    }
}

/// A station whose outbox runs in this process.
pub struct Post {
    pub open: Arc<station::Station>,
    pub clock: Arc<FixedClock>,
    cancel: Cancel,
    outbox: Option<Outbox>,
}

/// When all tests of the outbox begin: 08:30 where this process runs, since quiet hours are local.
pub fn start() -> DateTime<Utc> {
    Local.with_ymd_and_hms(2026, 11, 24, 8, 30, 0).unwrap().to_utc()
}

impl Post {
    /// Opens a station, without delivering anything yet.
    pub fn open(of: &Station) -> Self {
        Self::of(&of.data())
    }

    /// The same, by its data directory.
    pub fn of(data: &Path) -> Self {
        let config = Config::load(&data.join("docket.toml")).unwrap();
        let clock = Arc::new(FixedClock(Mutex::new(start())));
        let open = station::Station::open(config, clock.clone(), "daemon".into()).unwrap();
        Self { open: Arc::new(open), clock, cancel: Cancel::new(), outbox: None }
    }

    /// Starts the delivery.
    pub fn run(&mut self) {
        self.outbox = Some(Outbox::start(Arc::clone(&self.open), self.cancel.clone()).unwrap());
    }

    pub fn ring(&self) {
        if let Some(outbox) = &self.outbox {
            let _ = outbox.bell().send(());
        }
    }

    /// Lets time pass.
    pub fn pass(&self, time: TimeDelta) {
        let mut now = self.clock.0.lock().unwrap();
        *now += time;
        drop(now);
        self.ring();
    }

    pub fn desk(&self) -> Desk {
        Desk::new(&self.open.settings().config)
    }

    pub fn raise(&self, c: &Condition, level: u32) -> i64 {
        let (desk, by, c) = (self.desk(), self.open.core.by(), c.clone());
        let id = self.open.core.catalog.write(move |tx| desk.raise(tx, &by, &c, level)).unwrap();
        self.ring();
        id
    }

    pub fn resolve(&self, kind: Kind, subject: &str) -> bool {
        let (desk, by, subject) = (self.desk(), self.open.core.by(), subject.to_owned());
        let write = move |tx: &docket::catalog::Connection| {
            desk.resolve(tx, &by, kind, &subject, "it is no longer so")
        };
        let was = self.open.core.catalog.write(write).unwrap();
        self.ring();
        was
    }

    /// All rows about an alert.
    pub fn letters(&self, alert: i64) -> Vec<Letter> {
        self.open.core.catalog.read(|db| outbox::about(db, alert)).unwrap()
    }

    /// Waits until a row of the alert on a channel is so.
    pub fn letter(&self, alert: i64, channel: &str, what: &str, is: impl Fn(&Letter) -> bool) -> Letter {
        until(what, || self.letters(alert).into_iter().find(|l| l.channel == channel && is(l)))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(outbox) = self.outbox.take() {
            outbox.join();
        }
    }
}

/// Something of the station's own to tell.
pub fn trouble(subject: &str) -> Condition {
    let message = "no backup was ever made";
    Condition::new(Kind::BackupOld, subject, Severity::Warning, message)
}

/// Real mail servers in Python; `None` (with a note) where they are not to be had.
pub struct Mail {
    pub port: u16,
    child: Child,
    file: PathBuf,
}

/// Prints its port, then each mail as a line of JSON.
const SERVER: &str = r#"
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
mode, certificate, key, out = sys.argv[1:5]
context = None
if mode != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
class Handler:
    async def handle_DATA(self, server, session, envelope):
        m = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail = {"subject": m["subject"], "body": m.get_content(), "id": m["message-id"], "to": envelope.rcpt_tos, "from": envelope.mail_from, "tls": session.ssl is not None or mode == "tls",
                "user": (session.auth_data or b"").decode()}
        with open(out, "a") as file:
            file.write(json.dumps(mail) + "\n")
        return "250 taken"
def sign_in(server, session, envelope, mechanism, data):
    good = data.login == b"docket" and data.password == b"geheim"
    return AuthResult(success=good, handled=good, auth_data=data.login)
def make():
    auth = dict(authenticator=sign_in, auth_required=True, auth_require_tls=mode == "starttls") if mode != "none" else {}
    start = dict(tls_context=context, require_starttls=True) if mode == "starttls" else {}
    return SMTP(Handler(), hostname="localhost", **auth, **start)
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

impl Mail {
    pub fn new(dir: &Path, mode: &str) -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/aiosmtpd/bin/python");
        if !python.exists() {
            skipped("there is no aiosmtpd here: make target/aiosmtpd");
            return None;
        }
        let (certificate, key) = certificate(dir)?;
        let (script, file) = (dir.join("server.py"), dir.join("mails"));
        std::fs::write(&script, SERVER).unwrap();
        let mut child = Command::new(python)
            .arg("-Wignore")
            .arg(&script)
            .args([mode.as_ref(), certificate.as_os_str(), key.as_os_str(), file.as_os_str()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { port: line.trim().parse().unwrap(), child, file })
    }

    pub fn got(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    /// Waits for so many mails.
    pub fn wait(&self, n: usize) -> Vec<Value> {
        until(&format!("{n} mails"), || Some(self.got()).filter(|got| got.len() >= n))
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate authority in `dir/ca.pem`, and a certificate of it for localhost.
pub fn certificate(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    std::fs::write(dir.join("leaf.ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout ca.key -out ca.pem -days 30",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout leaf.key -out leaf.csr",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile leaf.ext -out leaf.pem -days 30",
    ] {
        let made = Command::new("openssl").args(line.split(' ')).current_dir(dir).output();
        if !made.as_ref().is_ok_and(|out| out.status.success()) {
            skipped(&format!("openssl is not to be had here, or failed: {made:?}"));
            return None;
        }
    }
    Some((dir.join("leaf.pem"), dir.join("leaf.key")))
}
