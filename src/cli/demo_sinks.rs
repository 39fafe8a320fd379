//! Where the demo's alerts arrive: a web server and a mail server on loopback that keep what they hear.
//! For the demo only: they speak just enough of HTTP and SMTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::base::{Error, Kind, Result};

/// A message longer than this is none of the demo's.
const LONGEST: u64 = 1 << 20;
/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listening server, and what it has heard.
pub struct Sink {
    /// Where it listens.
    pub at: SocketAddr,
    /// The messages, one by one.
    pub heard: Receiver<String>,
}

type Talk = fn(TcpStream) -> std::io::Result<String>;

fn listen(talk: Talk) -> Result<Sink> {
    let fail = |e: std::io::Error| Error::new(Kind::of_io(&e), format!("cannot listen on loopback: {e}"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(fail)?;
    let at = listener.local_addr().map_err(fail)?;
    let (tell, heard) = channel();
    let serve = move || listener.incoming().flatten().for_each(|stream| hear(stream, talk, &tell));
    std::thread::Builder::new().name("demo-sink".into()).spawn(serve).map_err(fail)?;
    Ok(Sink { at, heard })
}

fn hear(stream: TcpStream, talk: Talk, tell: &Sender<String>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    if let Ok(message) = talk(stream) {
        let _ = tell.send(message);
    }
}

/// A web server that answers every request with 200 and keeps its body.
pub fn web() -> Result<Sink> {
    listen(|stream| {
        let mut read = BufReader::new(stream.try_clone()?).take(LONGEST);
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            if read.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = Vec::new();
        read.take(length).read_to_end(&mut body)?;
        (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    })
}

/// A mail server that takes every message and keeps its receiver and subject.
pub fn mail() -> Result<Sink> {
    listen(|stream| {
        let mut say = &stream;
        let mut read = BufReader::new(stream.try_clone()?).take(LONGEST);
        let (mut line, mut data, mut in_data) = (String::new(), String::new(), false);
        let mut receiver = String::new();
        say.write_all(b"220 demo\r\n")?;
        loop {
            line.clear();
            if read.read_line(&mut line)? == 0 {
                break;
            }
            let word = line.trim_end().to_ascii_uppercase();
            let answer: &[u8] = match (in_data, word.as_str()) {
                (true, ".") => {
                    in_data = false;
                    b"250 kept\r\n"
                }
                (true, _) => {
                    data.push_str(&line);
                    continue;
                }
                (false, rcpt) if rcpt.starts_with("RCPT TO:") => {
                    receiver = line[8..].trim().trim_matches(['<', '>']).to_owned();
                    b"250 demo\r\n"
                }
                (false, "DATA") => {
                    in_data = true;
                    b"354 go on\r\n"
                }
                (false, "QUIT") => {
                    say.write_all(b"221 bye\r\n")?;
                    break;
                }
                _ => b"250 demo\r\n",
            };
            say.write_all(answer)?;
        }
        Ok(format!("{receiver}: {}", subject(&data)))
    })
}

/// The subject of a message, its encoded words (RFC 2047, base64) read.
fn subject(message: &str) -> String {
    let mut lines = message.lines();
    let Some(first) = lines.by_ref().find_map(|l| l.strip_prefix("Subject:")) else { return String::new() };
    let folded = lines.take_while(|l| l.starts_with([' ', '\t']));
    let mut out = String::new();
    let mut last_coded = true;
    for word in std::iter::once(first).chain(folded).flat_map(str::split_whitespace) {
        let coded = word.strip_prefix("=?").and_then(|w| w.strip_suffix("?="));
        let bytes = coded.and_then(|w| STANDARD.decode(w.splitn(3, '?').nth(2)?).ok());
        // Only the blank between two encoded words is none.
        if !(out.is_empty() || last_coded && bytes.is_some()) {
            out.push(' ');
        }
        last_coded = bytes.is_some();
        match bytes {
            Some(bytes) => out.push_str(&String::from_utf8_lossy(&bytes)),
            None => out.push_str(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_a_person_sees_it() {
        let message =
            "From: a\r\nSubject: =?utf-8?b?6YC+5pyf?=\r\n =?utf-8?b?5pyq5b2S5qGj?=\r\nTo: b\r\n\r\nbody";
        assert_eq!(subject(message), "逾期未归档");
        assert_eq!(subject("Subject: REC01 =?utf-8?b?6YC+5pyf?= 3\r\n\r\n"), "REC01 逾期 3");
        assert_eq!(subject("Subject: plain words\r\n\r\n"), "plain words");
    }
}
