//! What is known about a recording as media.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

/// What the container says about itself. Claims of the recorder, kept as evidence; none is checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaFacts {
    /// FFmpeg's name of the format, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: Option<String>,
    /// How long it plays; `None` for pictures and where it is not known.
    pub duration_ms: Option<u64>,
    /// When the recorder says that it was made.
    pub created: Option<DateTime<Utc>>,
    /// The title in the container.
    pub title: Option<String>,
    /// Maker and model of the recorder.
    pub device: Option<String>,
    /// Where it was made, as the recorder wrote it (ISO 6709 as a rule).
    pub location: Option<String>,
    /// The main picture stream.
    pub video: Option<Video>,
    /// The main sound stream.
    pub audio: Option<Audio>,
    /// What is odd about the file, in words for a person.
    pub warnings: Vec<String>,
}

/// A picture stream; also a photo.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// FFmpeg's name of the codec, such as `h264`.
    pub codec: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Pictures per second, where the sources agree.
    pub frame_rate: Option<f64>,
}

/// A sound stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// FFmpeg's name of the codec, such as `aac`.
    pub codec: String,
    /// In hertz.
    pub sample_rate: u32,
    /// How many channels.
    pub channels: u32,
}

/// Whether a person will be able to play it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It opens, and nothing says that a part is missing.
    Playable,
    /// It opens, but the file ends before what its header promises.
    CutOff,
    /// FFmpeg cannot open it. It is evidence all the same.
    Unplayable,
}

/// The answer of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// What was found.
    pub facts: MediaFacts,
    /// Whether it plays.
    pub verdict: Verdict,
    /// Why it does not play, or not to the end.
    pub reason: Option<String>,
}

impl Probed {
    /// A file that does not play.
    pub fn unplayable(reason: impl Into<String>) -> Self {
        Self { facts: MediaFacts::default(), verdict: Verdict::Unplayable, reason: Some(reason.into()) }
    }
}

/// Text of a tag: UTF-8, else GBK, which Chinese recorders write; printable and bounded.
pub(super) fn tag_text(bytes: &[u8]) -> Option<String> {
    const LONGEST: usize = 256;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => encoding_rs::GBK.decode_without_bom_handling(bytes).0,
    };
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String =
        text.trim().chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

/// A time as containers write it; true where it names no zone and was taken as UTC.
pub(super) fn tag_time(text: &str) -> Option<(DateTime<Utc>, bool)> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some((at.to_utc(), false));
    }
    // Without a colon in the zone: how QuickTime's own key writes it.
    if let Ok(at) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return Some((at.to_utc(), false));
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y:%m:%d %H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|at| (at.and_utc(), true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_in_the_forms_that_containers_use() {
        for (text, zoneless) in [
            ("2026-11-23T01:14:07.000000Z", false),
            ("2026-11-23T09:14:07+0800", false),
            ("2026-11-23 01:14:07", true),
            ("2026:11:23 01:14:07", true),
        ] {
            let (at, guessed) = tag_time(text).unwrap();
            assert_eq!(
                (at.to_rfc3339().as_str(), guessed),
                ("2026-11-23T01:14:07+00:00", zoneless),
                "{text}"
            );
        }
        assert_eq!(tag_time("yesterday"), None);
    }

    #[test]
    fn tags_in_gbk_and_utf8_read_the_same() {
        let (gbk, _, _) = encoding_rs::GBK.encode("执法记录 张三");
        assert_eq!(tag_text(&gbk).unwrap(), "执法记录 张三");
        assert_eq!(tag_text("执法记录 张三".as_bytes()).unwrap(), "执法记录 张三");
        assert_eq!(tag_text(b" \0 "), Some("\u{fffd}".into()));
        assert_eq!(tag_text(b"  "), None);
    }

    proptest! {
        #[test]
        fn any_bytes_become_printable_text(bytes: Vec<u8>) {
            let text = tag_text(&bytes).unwrap_or_default();
            prop_assert!(!text.chars().any(char::is_control));
            let _ = tag_time(&text);
        }
    }
}
