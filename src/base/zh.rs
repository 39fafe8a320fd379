//! Chinese for what docket says. English is the record: logs, catalogue, custody and JSON keep it, and
//! it becomes Chinese only where a person reads it. `zh.txt` pairs each English text, with holes, with
//! its Chinese; a text that no pair fits stays as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

const PAIRS: &str = include_str!("zh.txt");
/// Messages within messages; real ones have three.
const DEPTH: u32 = 8;
/// Ways of filling holes that are tried for one text, however odd it is.
const TRIES: u32 = 4000;
/// A longer text is data, not a message.
const LONGEST: usize = 64 << 10;

static BOOK: LazyLock<Book> = LazyLock::new(|| Book::read(PAIRS));

/// The Chinese of an English message; the message itself where it is not known. Lines of a longer text
/// are looked up one by one where the whole is not known.
pub fn render(text: &str) -> Cow<'_, str> {
    if text.len() > LONGEST {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Search { book: &BOOK, tries: TRIES, telling: false }.lines(text, DEPTH))
}

/// The Chinese of a message, where it is known.
pub fn known(text: &str) -> Option<String> {
    Search { book: &BOOK, tries: TRIES, telling: false }.known(text, DEPTH)
}

/// Every English text of the book with plain `{}` for holes: what tests hold the sources against.
pub fn texts() -> impl Iterator<Item = String> {
    BOOK.pairs.iter().map(|p| p.pieces.join("{}"))
}

/// What may stand in a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    /// `{}`: anything, carried over as it is.
    Any,
    /// `{#}`: a whole number.
    Number,
    /// `{?}`: a message, where it is known; else anything.
    Perhaps,
    /// `{!}`: a known message, or the pair does not fit.
    Known,
}

/// How a `{?}` is read: one after the other until the pair fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A message with words of its own.
    Telling,
    /// Also messages that are only put together from others.
    Known,
    /// Anything.
    Any,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Hole(usize),
}

#[derive(Debug)]
struct Pair {
    /// Around the holes: one more than there are holes.
    pieces: Vec<String>,
    holes: Vec<Hole>,
    chinese: Vec<Part>,
}

impl Pair {
    fn read(english: &str, chinese: &str) -> Self {
        let (mut pieces, mut holes) = (vec![String::new()], Vec::new());
        for part in split(&english.replace("\\n", "\n")) {
            match part {
                Ok("") => holes.push(Hole::Any),
                Ok("#") => holes.push(Hole::Number),
                Ok("?") => holes.push(Hole::Perhaps),
                Ok("!") => holes.push(Hole::Known),
                Ok(other) => push(&mut pieces, &format!("{{{other}}}")),
                Err(text) => push(&mut pieces, text),
            }
            if pieces.len() <= holes.len() {
                pieces.push(String::new());
            }
        }
        let mut next = 0;
        let chinese = split(&chinese.replace("\\n", "\n"))
            .into_iter()
            .map(|part| match part {
                Ok("") => {
                    next += 1;
                    Part::Hole(next - 1)
                }
                Ok(n) => match n.parse::<usize>() {
                    Ok(n) => Part::Hole(n.saturating_sub(1)),
                    Err(_) => Part::Text(format!("{{{n}}}")),
                },
                Err(text) => Part::Text(text.to_owned()),
            })
            .collect();
        Self { pieces, holes, chinese }
    }

    fn weight(&self) -> usize {
        self.pieces.iter().map(String::len).sum()
    }

    /// Whether it only joins other messages.
    fn is_glue(&self) -> bool {
        !self.pieces.iter().any(|p| p.contains(char::is_alphabetic))
    }

    fn fill(&self, values: &[String]) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Hole(n) => values.get(*n).cloned().unwrap_or_default(),
        };
        self.chinese.iter().map(part).collect()
    }
}

fn push(pieces: &mut [String], text: &str) {
    if let Some(last) = pieces.last_mut() {
        last.push_str(text);
    }
}

/// A text cut at its braces: what is in them is `Ok`, what is around them `Err`.
fn split(text: &str) -> Vec<Result<&str, &str>> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{')
        && let Some((within, after)) = after.split_once('}')
    {
        if !before.is_empty() {
            out.push(Err(before));
        }
        out.push(Ok(within));
        rest = after;
    }
    if !rest.is_empty() {
        out.push(Err(rest));
    }
    out
}

/// All pairs, the most telling first, and where to find them.
struct Book {
    pairs: Vec<Pair>,
    /// Pairs without holes.
    whole: HashMap<String, usize>,
    /// Pairs with holes that may fit a text, by the text's first byte.
    by_first: Vec<Vec<usize>>,
}

impl Book {
    /// An English line, its Chinese on the next one, indented; `#` begins a comment.
    fn read(text: &str) -> Self {
        let mut pairs = Vec::new();
        let mut english = None;
        for line in text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
            match (line.strip_prefix("    "), english) {
                (Some(chinese), Some(english)) => pairs.push(Pair::read(english, chinese)),
                _ => english = Some(line),
            }
        }
        pairs.sort_by_key(|p| std::cmp::Reverse(p.weight()));
        let mut whole = HashMap::new();
        let mut by_first = vec![Vec::new(); 256];
        for (i, pair) in pairs.iter().enumerate() {
            match pair.pieces.as_slice() {
                [only] => drop(whole.insert(only.clone(), i)),
                [first, ..] => match first.bytes().next() {
                    Some(byte) => by_first[usize::from(byte)].push(i),
                    None => by_first.iter_mut().for_each(|list| list.push(i)),
                },
                [] => {}
            }
        }
        Self { pairs, whole, by_first }
    }
}

/// One look-up.
struct Search<'a> {
    book: &'a Book,
    tries: u32,
    /// Whether messages that only join others are passed over.
    telling: bool,
}

impl Search<'_> {
    fn known(&mut self, text: &str, depth: u32) -> Option<String> {
        let (depth, first) = (depth.checked_sub(1)?, text.bytes().next()?);
        let book = self.book;
        if let Some(&i) = book.whole.get(text) {
            return Some(book.pairs[i].fill(&[]));
        }
        for &i in &book.by_first[usize::from(first)] {
            let pair = &book.pairs[i];
            let Some(rest) = text.strip_prefix(pair.pieces[0].as_str()) else { continue };
            if (self.telling || text.contains('\n')) && pair.is_glue() {
                continue;
            }
            // A path may hold what parts two holes: the reading with the most telling message is right.
            for reading in [Reading::Telling, Reading::Known, Reading::Any] {
                let mut values = Vec::new();
                if self.holes(pair, rest, reading, depth, &mut values) {
                    return Some(pair.fill(&values));
                }
                if !pair.holes.contains(&Hole::Perhaps) {
                    break;
                }
            }
        }
        if text.contains('\n') {
            let lines: Option<Vec<_>> = text.split('\n').map(|l| self.line(l, depth)).collect();
            return lines.map(|l| l.join("\n"));
        }
        None
    }

    /// A message, or as many of its lines as are known.
    fn lines(&mut self, text: &str, depth: u32) -> String {
        if let Some(known) = self.known(text, depth) {
            return known;
        }
        if !text.contains('\n') {
            return text.to_owned();
        }
        let line = |l| {
            // One odd line leaves the others their tries; lists are not nested.
            self.tries = self.tries.max(TRIES / 8);
            self.line(l, depth).unwrap_or_else(|| l.to_owned())
        };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }

    /// One line of several: its indent and bullet stay.
    fn line(&mut self, line: &str, depth: u32) -> Option<String> {
        let text = line.trim_start();
        let text = text.strip_prefix("- ").unwrap_or(text);
        if text.is_empty() {
            return Some(line.to_owned());
        }
        Some(format!("{}{}", &line[..line.len() - text.len()], self.known(text, depth)?))
    }

    /// Fills the holes from the one that `values` has next.
    fn holes(
        &mut self,
        pair: &Pair,
        rest: &str,
        reading: Reading,
        depth: u32,
        values: &mut Vec<String>,
    ) -> bool {
        let n = values.len();
        let (Some(hole), Some(after)) = (pair.holes.get(n), pair.pieces.get(n + 1)) else { return false };
        if n + 1 == pair.holes.len() {
            let value = rest.strip_suffix(after.as_str()).and_then(|v| self.value(*hole, v, reading, depth));
            values.extend(value);
            return values.len() > n;
        }
        // Only the last hole may hold a list.
        let first_line = rest.split_inclusive('\n').next().unwrap_or(rest);
        for (at, _) in first_line.match_indices(after.as_str()) {
            let Some(tries) = self.tries.checked_sub(1) else { return false };
            self.tries = tries;
            let Some(value) = self.value(*hole, &rest[..at], reading, depth) else { continue };
            values.push(value);
            if self.holes(pair, &rest[at + after.len()..], reading, depth, values) {
                return true;
            }
            values.truncate(n);
        }
        false
    }

    fn value(&mut self, hole: Hole, text: &str, reading: Reading, depth: u32) -> Option<String> {
        match hole {
            Hole::Any => (!text.contains('\n')).then(|| text.to_owned()),
            Hole::Number => text.bytes().all(|b| b.is_ascii_digit()).then(|| text.to_owned()),
            Hole::Known => self.known(text, depth),
            Hole::Perhaps => match reading {
                Reading::Telling => {
                    let before = std::mem::replace(&mut self.telling, true);
                    let known = self.known(text, depth);
                    self.telling = before;
                    known
                }
                Reading::Known => self.known(text, depth),
                Reading::Any => Some(self.lines(text, depth)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_within_messages_are_rendered() {
        for (english, chinese) in [
            (
                "cannot open /mnt/a: b/c.mp4: No space left on device (os error 28)",
                "无法打开 /mnt/a: b/c.mp4：磁盘空间不足（错误码 28）",
            ),
            (
                "DCIM/a.mp4: reading stopped at byte 4096: Input/output error (os error 5) (and 3 more)",
                "DCIM/a.mp4：读至第 4096 字节处中断：输入/输出错误（错误码 5）（另有 3 项）",
            ),
            ("cannot open /x: something new", "无法打开 /x：something new"),
            ("nobody has said this", "nobody has said this"),
            ("", ""),
        ] {
            assert_eq!(render(english), chinese);
        }
    }

    #[test]
    fn lists_keep_their_form() {
        let text = "2 problems in /s/docket.toml:\n  - volumes is not a setting\n  - unheard of\n  - dock[1].path is missing";
        let rendered = render(text);
        let lines: Vec<_> = rendered.lines().collect();
        assert_eq!(lines.len(), 4, "{rendered}");
        assert!(lines[0].contains("2 处") && lines[1].starts_with("  - volumes "), "{rendered}");
        assert_eq!(lines[2..], ["  - unheard of", "  - 缺少 dock[1].path"]);
    }

    #[test]
    fn a_long_list_is_rendered_whole() {
        let list: String =
            (1..200).map(|n| format!("\n  - dock[{n}].path wants a text in quotes, not {n}")).collect();
        let rendered =
            render(&format!("199 problems in /a: b.toml:{list}\n  - no [[volume]]: what: is: this"))
                .into_owned();
        assert!(rendered.starts_with("/a"), "{rendered}");
        assert!(!rendered.contains("wants") && !rendered.contains("problems"), "{rendered}");
    }

    #[test]
    fn odd_texts_end_and_lose_no_line() {
        let head = "cannot open x: ".repeat(60);
        for text in ["a: ".repeat(20_000), head.repeat(50), format!("{head}{}", "\na: b: c".repeat(5000))] {
            assert_eq!(render(&text).lines().count(), text.lines().count());
        }
    }

    #[test]
    fn the_book_is_sound() {
        let mut english = None;
        let mut seen = std::collections::HashSet::new();
        for line in PAIRS.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()) {
            assert_eq!(line.trim_end(), line, "a blank at the end");
            if let Some(chinese) = line.strip_prefix("    ") {
                let english: &str = english.take().unwrap_or_else(|| panic!("no English for {chinese}"));
                let pair = Pair::read(english, chinese);
                let used = pair.chinese.iter().filter(|p| matches!(p, Part::Hole(_))).count();
                assert_eq!(used, pair.holes.len(), "holes of: {english}");
                let inner = &pair.pieces[1..pair.pieces.len().max(2) - 1];
                assert!(inner.iter().all(|p| !p.is_empty()), "two holes without a text between: {english}");
                assert!(seen.insert(pair.pieces.join("{}")), "twice: {english}");
            } else {
                assert!(english.replace(line).is_none(), "no Chinese before: {line}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[a:; {}\\n—中(]{0,60}|.{0,40}") {
            let _ = render(&text);
            let _ = render(&format!("cannot open {text}: {text}: {text}"));
            let _ = Book::read(&text);
        }
    }
}
