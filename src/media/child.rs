//! The child process: `docket media-worker` answers questions about files, line by line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::confine;
use super::facts::Probed;
use super::probe::probe;
use crate::base::{Error, Kind, Result, text};

/// No question or answer is longer.
pub(super) const LONGEST_LINE: u64 = 64 << 10;

/// A question; the path in the form of [`text::show`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub path: String,
}

/// The answer to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Facts(Box<Probed>),
    Error(String),
}

/// Answers what stands on standard input, one JSON line each on standard output, until it ends.
///
/// # Errors
/// Where the parent talks nonsense or is gone.
pub fn serve() -> Result<()> {
    // A kernel without seccomp reads footage all the same; the unit's other walls stand.
    let _ = confine::no_network();
    serve_on(io::stdin().lock(), io::stdout().lock())
}

fn serve_on(questions: impl Read, mut answers: impl Write) -> Result<()> {
    let broken = |e: io::Error| Error::new(Kind::Media, format!("the media worker lost its parent: {e}"));
    let mut questions = BufReader::new(questions);
    while let Some(line) = line(&mut questions).map_err(broken)? {
        let answer = match serde_json::from_str::<Question>(&line) {
            Ok(question) => answer(&question.path),
            Err(e) => Answer::Error(format!("the media worker was asked nonsense: {e}")),
        };
        let mut out = serde_json::to_vec(&answer).map_err(|e| broken(e.into()))?;
        out.push(b'\n');
        answers.write_all(&out).and_then(|()| answers.flush()).map_err(broken)?;
    }
    Ok(())
}

fn answer(path: &str) -> Answer {
    match text::unshow(path).map(|path| probe(Path::new(&path))) {
        Some(Ok(probed)) => Answer::Facts(Box::new(probed)),
        Some(Err(e)) => Answer::Error(e.what().to_owned()),
        None => Answer::Error(format!("the media worker was asked for `{path}`, which is no path")),
    }
}

/// The next line; `None` at the end.
pub(super) fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    from.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
    match line.pop() {
        None => Ok(None),
        Some('\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line has no end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_each_line_and_ends_with_its_input() {
        let asked = b"{\"path\":\"/nowhere\"}\nrubbish\n{\"path\":\"\\\\q\"}\n{\"path\":\"/\"}\n";
        let mut said = Vec::new();
        serve_on(&asked[..], &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("cannot open /nowhere"), "{}", lines[0]);
        assert!(lines[1].contains("nonsense") && lines[2].contains("no path"));
        assert!(lines[3].contains("\"verdict\":\"unplayable\""), "{}", lines[3]);
    }

    #[test]
    fn a_question_without_an_end_is_an_error() {
        assert!(serve_on(&b"{\"path\":\"/\"}"[..], Vec::new()).is_err());
        assert!(serve_on(&vec![b'x'; 1 << 20][..], Vec::new()).is_err());
    }
}
