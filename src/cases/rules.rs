//! Which footage belongs to a case, and why: pure. Rules only propose; the one that may link by itself,
//! where the station's policy lets it, is [`certain`].

use crate::base::segment::{fold, number_key};
use crate::catalog::candidates::OpenStep;

/// A step with only one end of its time is taken to last this long at most, milliseconds.
const STEP_AT_MOST: i64 = 12 * 3_600_000;
/// Metres within which a place counts as the case's: a parcel of land, and what GPS is off under trees.
const NEAR: f64 = 500.0;

/// A case number of fewer letters and digits says nothing in a path.
const SHORTEST_NUMBER: usize = 5;

/// The rule that may link by itself: how custody names it.
pub const CERTAIN: &str = "rule:holder-in-step";

/// A case, as far as the rules ask.
#[derive(Debug, Clone, Default)]
pub struct CaseView {
    /// Its number.
    pub number: String,
    /// Its officers: number in the register, badge, name.
    pub officers: Vec<(i64, String, String)>,
    /// Milliseconds.
    pub opened_at: i64,
    /// When the act ended, else now; milliseconds.
    pub until: i64,
    /// Where it is: coordinates in it (`29.0123,113.0456`) are compared.
    pub address: String,
    /// Its steps that take place.
    pub steps: Vec<StepView>,
}

/// A step, as far as the rules ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// Its place in the catalogue.
    pub id: i64,
    /// When it began, milliseconds.
    pub from: Option<i64>,
    /// When it ended, milliseconds.
    pub to: Option<i64>,
}

/// A recording, as far as the rules ask.
#[derive(Debug, Clone, Default)]
pub struct Footage {
    /// Its id.
    pub id: String,
    /// Milliseconds.
    pub taken_at: i64,
    /// Milliseconds; `Some(0)` for a photo, `None` where it is not known.
    pub duration: Option<i64>,
    /// Whether the time is told by the file's name: other times may be those of another moment.
    pub time_by_name: bool,
    /// No time of its own is credible: it is filed under when it was first seen.
    pub time_unknown: bool,
    /// Who held the recorder then.
    pub holder: Option<i64>,
    /// Where the time is not credible: to whom the recorder was last issued before it was first seen.
    pub last_issued: Option<i64>,
    /// The officer's number in the file name.
    pub name_badge: Option<String>,
    /// Marked on the recorder as important.
    pub important: bool,
    /// Latitude and longitude in degrees.
    pub place: Option<(f64, f64)>,
    /// The path on the card.
    pub path: String,
}

/// Why a recording is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This officer of the case held the recorder.
    Held(String),
    /// The name of the file has the number of this officer of the case.
    Named(String),
    /// The whole of it lies within the step's time.
    InStep,
    /// Part of it lies within the step's time.
    PartlyInStep,
    /// Made while the case was open.
    WhileOpen,
    /// The case's number is in its path.
    Number,
    /// The last part of the case's number is in its path.
    NumberTail,
    /// Made near the case's address; metres.
    Near(u32),
    /// Marked on the recorder.
    Marked,
    /// Nobody is known to have held the recorder.
    HolderUnknown,
    /// This officer of the case was the last to take the recorder out before the file was first seen.
    LastIssued(String),
    /// When it was made is not known.
    TimeUnknown,
}

impl Reason {
    fn score(&self) -> u32 {
        match self {
            Reason::Number => 50,
            Reason::Held(_) => 40,
            Reason::Named(_) | Reason::InStep => 30,
            Reason::NumberTail => 25,
            Reason::Near(_) | Reason::LastIssued(_) => 20,
            Reason::PartlyInStep => 15,
            Reason::WhileOpen => 10,
            Reason::Marked => 5,
            Reason::HolderUnknown | Reason::TimeUnknown => 0,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Reason::Held(name) => format!("{name} held the recorder then"),
            Reason::Named(name) => format!("the file name has the number of {name}"),
            Reason::InStep => "made within the time of the step".into(),
            Reason::PartlyInStep => "made partly within the time of the step".into(),
            Reason::WhileOpen => "made while the case was open".into(),
            Reason::Number => "the file name has the case number".into(),
            Reason::NumberTail => "the file name has the end of the case number".into(),
            Reason::Near(metres) => format!("made {metres} m from the case's address"),
            Reason::Marked => "marked as important on the recorder".into(),
            Reason::HolderUnknown => "nobody is known to have held the recorder then".into(),
            Reason::LastIssued(name) => {
                format!("{name} was the last to take out the recorder before the file was first seen")
            }
            Reason::TimeUnknown => "the time is not credible".into(),
        }
    }

    /// Whether it tells that the recording is about this case, and not only made at that time.
    fn is_tie(&self) -> bool {
        matches!(
            self,
            Reason::Held(_) | Reason::Named(_) | Reason::Number | Reason::Near(_) | Reason::LastIssued(_)
        )
    }
}

/// A recording proposed for a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The recording.
    pub recording: String,
    /// The step whose time fits best; `None` where no step's does.
    pub step: Option<i64>,
    /// The higher, the likelier.
    pub score: u32,
    /// Why, the weightiest first.
    pub reasons: Vec<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Partly,
    Inside,
}

/// How a span lies in a step's time; `None` where they do not touch.
fn fit(taken_at: i64, duration: i64, from: Option<i64>, to: Option<i64>) -> Option<(Fit, i64)> {
    let (from, to) = match (from, to) {
        (Some(from), Some(to)) => (from, to),
        (Some(from), None) => (from, from.saturating_add(STEP_AT_MOST)),
        (None, Some(to)) => (to.saturating_sub(STEP_AT_MOST), to),
        (None, None) => return None,
    };
    let end = taken_at.saturating_add(duration.max(0));
    if taken_at > to || end < from {
        return None;
    }
    let inside = taken_at >= from && end <= to;
    Some((if inside { Fit::Inside } else { Fit::Partly }, to - from))
}

/// The step whose time fits best: one that holds it whole, of several the shortest.
fn best_step(case: &CaseView, f: &Footage) -> Option<(i64, Fit)> {
    let fits = case.steps.iter().filter_map(|s| {
        let (fit, length) = fit(f.taken_at, f.duration.unwrap_or(0), s.from, s.to)?;
        Some((s.id, fit, length))
    });
    fits.max_by_key(|(id, fit, length)| (*fit, -length, -id)).map(|(id, fit, _)| (id, fit))
}

/// What may be said of one recording; `None` where nothing ties it to the case.
pub fn judge(case: &CaseView, f: &Footage) -> Option<Proposal> {
    let mut reasons = Vec::new();
    let name_of = |id: i64| case.officers.iter().find(|o| o.0 == id).map(|o| o.2.clone());
    let held = f.holder.filter(|_| !f.time_unknown).and_then(name_of);
    let named = f.name_badge.as_ref().and_then(|b| case.officers.iter().find(|o| o.1 == *b));
    let step = best_step(case, f).filter(|_| !f.time_unknown);
    reasons.extend(held.map(Reason::Held));
    reasons.extend(f.last_issued.and_then(name_of).map(Reason::LastIssued));
    reasons.extend(named.map(|o| Reason::Named(o.2.clone())));
    match step {
        Some((_, Fit::Inside)) => reasons.push(Reason::InStep),
        Some((_, Fit::Partly)) => reasons.push(Reason::PartlyInStep),
        None => {}
    }
    reasons.extend(number_in(&case.number, &f.path));
    if let (Some(here), Some(there)) = (coordinates(&case.address), f.place) {
        let metres = distance(here, there);
        if metres <= NEAR {
            reasons.push(Reason::Near(metres as u32));
        }
    }
    let tied = reasons.iter().any(Reason::is_tie);
    if !tied {
        // Without a ledger, the time of a step is all there is; but another's recorder is another's.
        if f.holder.is_some() || step.is_none_or(|(_, fit)| fit != Fit::Inside) {
            return None;
        }
        reasons.push(Reason::HolderUnknown);
    }
    if f.time_unknown {
        reasons.push(Reason::TimeUnknown);
    } else if (case.opened_at..=case.until).contains(&f.taken_at) {
        reasons.push(Reason::WhileOpen);
    }
    if f.important {
        reasons.push(Reason::Marked);
    }
    reasons.sort_by_key(|r| std::cmp::Reverse(r.score()));
    let score = reasons.iter().map(Reason::score).sum();
    Some(Proposal { recording: f.id.clone(), step: step.map(|s| s.0), score, reasons })
}

/// Proposals for a case, the likeliest first, among equals the newest.
pub fn rank(case: &CaseView, footage: &[Footage]) -> Vec<Proposal> {
    let mut out: Vec<(i64, Proposal)> =
        footage.iter().filter_map(|f| Some((f.taken_at, judge(case, f)?))).collect();
    out.sort_by(|(at, a), (bt, b)| (b.score, bt, &b.recording).cmp(&(a.score, at, &a.recording)));
    out.into_iter().map(|(_, p)| p).collect()
}

/// The only step of all open cases of the recorder's holder that a recording can belong to: it holds the
/// recording whole, and no other touches it. `None` on any doubt: an unknown holder or length, a time not told
/// by the name, a step with an open end.
pub fn certain<'a>(f: &Footage, steps: &'a [OpenStep]) -> Option<&'a OpenStep> {
    f.holder?;
    let duration = f.duration.filter(|_| f.time_by_name)?;
    let mut touching = steps.iter().filter(|s| fit(f.taken_at, duration, s.from, s.to).is_some());
    let (only, none) = (touching.next()?, touching.next());
    let whole = only.from.is_some_and(|from| from <= f.taken_at)
        && only.to.is_some_and(|to| f.taken_at.saturating_add(duration) <= to);
    (none.is_none() && whole).then_some(only)
}

/// Whether a path has a case number, or the end of one (`12号`).
pub fn number_in(number: &str, path: &str) -> Option<Reason> {
    let bare = |text: &str| -> String { number_key(text).chars().filter(|c| c.is_alphanumeric()).collect() };
    let (whole, path) = (bare(number), fold(path));
    if whole.chars().count() >= SHORTEST_NUMBER && stands_alone(&bare(&path), &whole) {
        return Some(Reason::Number);
    }
    // `12号` may be of any case, or a day of the month: it is a hint, no tie.
    let key = number_key(number);
    let tail = key.strip_suffix('号')?;
    let digits = tail.len() - tail.bytes().rev().take_while(u8::is_ascii_digit).count();
    let tail = &tail[digits..];
    (!tail.is_empty() && stands_alone(&path, &format!("{tail}号"))).then_some(Reason::NumberTail)
}

/// Whether a part stands in a text, not as the middle of a longer number.
fn stands_alone(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let before = text[..at].chars().next_back();
        let after = text[at + part.len()..].chars().next();
        let touches = |edge: Option<char>, beside| digit(edge) && digit(beside);
        !touches(part.chars().next(), before) && !touches(part.chars().next_back(), after)
    })
}

/// The first pair of degrees in a text: `29.0123,113.0456` or ISO 6709 (`+29.0123+113.0456/`).
pub fn coordinates(text: &str) -> Option<(f64, f64)> {
    let folded = fold(text);
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
    let mut numbers: Vec<(usize, usize, f64)> = Vec::new();
    let mut start = None;
    for (i, c) in folded.char_indices().chain([(folded.len(), ' ')]) {
        let sign = matches!(c, '+' | '-');
        if let Some(from) = start
            && (!is_number(c) || sign)
        {
            let number: &str = &folded[from..i];
            let value = number.parse().ok().filter(|v: &f64| v.is_finite() && number.contains('.'));
            numbers.extend(value.map(|v| (from, i, v)));
            start = None;
        }
        if start.is_none() && is_number(c) {
            start = Some(i);
        }
    }
    numbers.windows(2).find_map(|pair| {
        let (a, b) = (pair[0], pair[1]);
        let between = folded.get(a.1..b.0)?.trim();
        let fits = a.2.abs() <= 90.0 && b.2.abs() <= 180.0 && matches!(between, "" | "," | "、");
        fits.then_some((a.2, b.2))
    })
}

/// Metres between two places, on a sphere.
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (lat_a, lat_b) = (a.0.to_radians(), b.0.to_radians());
    let (dlat, dlon) = ((b.0 - a.0).to_radians(), (b.1 - a.1).to_radians());
    let h = (dlat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6_371_000.0 * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
