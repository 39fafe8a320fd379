//! Which recordings are segments of one take. Pure; decided anew whenever more is known.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

/// What is known of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its id.
    pub id: String,
    /// The recorder it came from; takes never go across recorders.
    pub recorder: String,
    /// The officer's number, where known.
    pub officer: Option<String>,
    /// The folder of the card it lay in.
    pub folder: String,
    /// `video`, `audio`, …; only like continues like.
    pub kind: String,
    /// When it begins.
    pub start: DateTime<Utc>,
    /// How long it is, in milliseconds; unknown for one that was cut off.
    pub duration_ms: Option<u64>,
    /// The running number in its name.
    pub number: Option<u64>,
    /// The chapter in its name.
    pub chapter: Option<u32>,
}

/// How a recorder splits what it records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeRule {
    /// Every recording stands alone.
    None,
    /// Same number, chapters one after the other (GoPro).
    Chapter,
    /// The next begins within so many milliseconds of the end of the one before.
    Gap {
        /// The longest gap, and the longest overlap, in milliseconds.
        max_gap_ms: u64,
        /// What segments must have in common besides the recorder.
        by: By,
    },
}

/// What the segments of a take share besides their recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Nothing more.
    #[default]
    Recorder,
    /// The officer.
    Officer,
    /// The folder on the card.
    Folder,
}

/// A run of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Ids in the order of recording.
    pub segments: Vec<String>,
    /// Milliseconds between each two neighbours, below zero for an overlap; one fewer than
    /// segments. `None` where an end or an order of times is not known.
    pub gaps_ms: Vec<Option<i64>>,
}

/// Chapters further apart than this are of a counter that came round again.
const ONE_RECORDING: TimeDelta = TimeDelta::hours(24);

/// Groups segments into takes: each in exactly one, takes in the order of their beginning.
pub fn takes(segments: &[Segment], rule: &TakeRule) -> Vec<Take> {
    let mut groups: BTreeMap<_, Vec<&Segment>> = BTreeMap::new();
    for (i, s) in segments.iter().enumerate() {
        let alone = s.kind != "video" && s.kind != "audio";
        let shared = match rule {
            _ if alone => (i.to_string(), None),
            TakeRule::None => (i.to_string(), None),
            TakeRule::Chapter if s.chapter.is_none() || s.number.is_none() => (i.to_string(), None),
            TakeRule::Chapter => (String::new(), s.number),
            TakeRule::Gap { by: By::Recorder, .. } => (String::new(), None),
            TakeRule::Gap { by: By::Officer, .. } => (s.officer.clone().unwrap_or_default(), None),
            TakeRule::Gap { by: By::Folder, .. } => (s.folder.clone(), None),
        };
        groups.entry((&s.recorder, &s.kind, shared)).or_default().push(s);
    }
    let mut out = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by_key(|s| (s.start, s.chapter, &s.id));
        let mut begun: Option<(&Segment, Take)> = None;
        for next in group {
            if let Some((last, take)) = &mut begun {
                let gap = gap_ms(last, next);
                if continues(rule, last, next, gap) {
                    take.gaps_ms.push(gap);
                    take.segments.push(next.id.clone());
                    *last = next;
                    continue;
                }
            }
            let fresh = Take { segments: vec![next.id.clone()], gaps_ms: Vec::new() };
            out.extend(begun.replace((next, fresh)).map(|(_, take)| take));
        }
        out.extend(begun.map(|(_, take)| take));
    }
    let starts: BTreeMap<&str, DateTime<Utc>> = segments.iter().map(|s| (s.id.as_str(), s.start)).collect();
    let first = |take: &Take| take.segments.first().and_then(|id| starts.get(id.as_str()).copied());
    out.sort_by(|a, b| (first(a), &a.segments).cmp(&(first(b), &b.segments)));
    out
}

fn continues(rule: &TakeRule, last: &Segment, next: &Segment, gap: Option<i64>) -> bool {
    match rule {
        TakeRule::None => false,
        TakeRule::Chapter => {
            last.chapter.and_then(|c| c.checked_add(1)) == next.chapter
                && next.start.signed_duration_since(last.start) <= ONE_RECORDING
        }
        TakeRule::Gap { max_gap_ms, .. } => gap.is_some_and(|gap| gap.unsigned_abs() <= *max_gap_ms),
    }
}

/// From the end of one to the start of the next. Chapters that all bear the time of the first
/// say nothing about gaps.
fn gap_ms(last: &Segment, next: &Segment) -> Option<i64> {
    let apart = next.start.signed_duration_since(last.start).num_milliseconds();
    let length = i64::try_from(last.duration_ms?).ok()?;
    if apart > 0 { apart.checked_sub(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(id: &str, start_s: i64, length_s: Option<u64>) -> Segment {
        Segment {
            id: id.into(),
            recorder: "R1".into(),
            officer: None,
            folder: "DCIM".into(),
            kind: "video".into(),
            start: DateTime::from_timestamp(1_800_000_000 + start_s, 0).unwrap(),
            duration_ms: length_s.map(|s| s * 1000),
            number: None,
            chapter: None,
        }
    }

    fn chapter(id: &str, start_s: i64, number: u64, chapter: u32) -> Segment {
        Segment { number: Some(number), chapter: Some(chapter), ..segment(id, start_s, Some(600)) }
    }

    fn ids(takes: &[Take]) -> Vec<String> {
        takes.iter().map(|t| t.segments.join("+")).collect()
    }

    const GAP: TakeRule = TakeRule::Gap { max_gap_ms: 2000, by: By::Recorder };

    #[test]
    fn chapters_of_one_number_are_one_take() {
        let other = |s: Segment| Segment { recorder: "R2".into(), ..s };
        let table: [(&[Segment], &[&str]); 6] = [
            (&[chapter("b", 600, 527, 2), chapter("a", 0, 527, 1), chapter("c", 1201, 527, 3)], &["a+b+c"]),
            (&[chapter("a", 0, 527, 1), chapter("b", 0, 527, 2)], &["a+b"]),
            (&[chapter("a", 0, 527, 1), chapter("c", 1200, 527, 3)], &["a", "c"]),
            (&[chapter("a", 0, 527, 1), chapter("b", 600, 528, 2)], &["a", "b"]),
            (&[chapter("a", 0, 527, 1), other(chapter("b", 600, 527, 2))], &["a", "b"]),
            (
                &[chapter("a", 0, 527, 1), chapter("z", 90_000_000, 527, 2), segment("s", 5, None)],
                &["a", "s", "z"],
            ),
        ];
        for (segments, expected) in table {
            assert_eq!(ids(&takes(segments, &TakeRule::Chapter)), expected);
        }
        let told = takes(
            &[chapter("a", 0, 7, 1), chapter("b", 600, 7, 2), chapter("c", 1203, 7, 3)],
            &TakeRule::Chapter,
        );
        assert_eq!(told[0].gaps_ms, [Some(0), Some(3000)]);
        let same_time = takes(&[chapter("a", 0, 7, 1), chapter("b", 0, 7, 2)], &TakeRule::Chapter);
        assert_eq!(same_time[0].gaps_ms, [None]);
    }

    #[test]
    fn neighbours_within_the_gap_are_one_take() {
        let photo = |s: Segment| Segment { kind: "photo".into(), ..s };
        let of = |o: &str, s: Segment| Segment { officer: Some(o.into()), ..s };
        let table: [(TakeRule, &[Segment], &[&str]); 7] = [
            (
                GAP,
                &[segment("a", 0, Some(300)), segment("b", 302, Some(300)), segment("c", 605, None)],
                &["a+b", "c"],
            ),
            (GAP, &[segment("a", 0, Some(300)), segment("b", 298, None)], &["a+b"]),
            (GAP, &[segment("a", 0, Some(300)), segment("b", 100, None)], &["a", "b"]),
            (GAP, &[segment("a", 0, None), segment("b", 1, None)], &["a", "b"]),
            (GAP, &[photo(segment("a", 0, Some(1))), photo(segment("b", 1, None))], &["a", "b"]),
            (TakeRule::None, &[segment("a", 0, Some(300)), segment("b", 300, None)], &["a", "b"]),
            (
                TakeRule::Gap { max_gap_ms: 2000, by: By::Officer },
                &[of("1", segment("a", 0, Some(9))), of("2", segment("b", 9, None))],
                &["a", "b"],
            ),
        ];
        for (rule, segments, expected) in table {
            assert_eq!(ids(&takes(segments, &rule)), expected);
        }
    }

    proptest! {
        #[test]
        fn every_segment_is_in_exactly_one_take(
            list in proptest::collection::vec((0i64..50, proptest::option::of(0u64..20), 0u64..3, 0u32..4), 0..30),
            rule in 0..3,
        ) {
            let segments: Vec<Segment> = list
                .iter()
                .enumerate()
                .map(|(i, (start, length, number, chapter))| Segment {
                    number: Some(*number),
                    chapter: Some(*chapter),
                    ..segment(&format!("{i:02}"), *start, *length)
                })
                .collect();
            let rule = [TakeRule::None, TakeRule::Chapter, GAP][rule as usize];
            let found = takes(&segments, &rule);
            prop_assert!(found.iter().all(|t| t.gaps_ms.len() + 1 == t.segments.len()));
            let mut all: Vec<_> = found.into_iter().flat_map(|t| t.segments).collect();
            all.sort();
            let ids: Vec<_> = segments.into_iter().map(|s| s.id).collect();
            prop_assert_eq!(all, ids);
        }
    }
}
