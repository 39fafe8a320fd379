//! File names from a card: what they claim, and how they are made safe. Claims are hints (I7, I9).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde::Serialize;

use super::profile::Profile;

/// What a file name says about itself; absent where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NameFacts {
    /// The recorder's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The officer's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub officer: Option<String>,
    /// Date and time as written, by the recorder's clock and without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_time: Option<NaiveDateTime>,
    /// The running number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Which part of a recording that was split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chapter: Option<u32>,
    /// The mark (`IMP`) or level (`0` to `5`) of importance, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub important: Option<String>,
    /// `video`, `audio`, `photo`, `sidecar`, `log`, `document` or `other`.
    pub kind: String,
    /// For a sidecar: the file name it belongs to, or its stem where that file is not beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar_of: Option<String>,
}

impl NameFacts {
    /// The time in the name, in the profile's zone. `None` outside the years 2000 to 2100: a
    /// clock that was never set. `local_time` keeps what was written.
    pub fn time(&self, profile: &Profile) -> Option<DateTime<Utc>> {
        let local = self.local_time.filter(|t| (2000..=2100).contains(&t.year()))?;
        profile.zone().to_utc(local)
    }
}

/// A name from a card as text to read: UTF-8, else GBK, else with replacement characters.
pub fn text(name: &OsStr) -> Cow<'_, str> {
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::GBK
            .decode_without_bom_handling_and_without_replacement(name.as_bytes())
            .unwrap_or_else(|| String::from_utf8_lossy(name.as_bytes())),
    }
}

/// Stem and extension of a name; the extension in ASCII small letters, empty where there is none.
pub fn split(name: &str) -> (&str, String) {
    match name.rsplit_once('.') {
        Some((stem, ext)) => (stem, ext.to_ascii_lowercase()),
        None => (name, String::new()),
    }
}

/// A readable file name of our own from any name: of at most `max` bytes (but never empty),
/// without anything that a shell, a screen, Windows or an archive tool could take amiss. Letters
/// of every script stay; a name in GBK is decoded; a long one is cut before its extension.
pub fn safe(name: &OsStr, max: usize) -> String {
    let text: String = text(name).chars().map(|c| if is_harmful(c) { '_' } else { c }).collect();
    let mut out = trim_edges(&text);
    if out.len() > max {
        let (stem, ext) = match out.rsplit_once('.') {
            Some((stem, ext)) if !stem.is_empty() && ext.len() <= 16 && ext.len() + 1 < max => {
                (stem, format!(".{ext}"))
            }
            _ => (out.as_str(), String::new()),
        };
        let cut = format!("{}{ext}", &stem[..stem.floor_char_boundary(max - ext.len())]);
        // A cut can bring a dot or space to the end.
        out = trim_edges(&cut);
    }
    if out.is_empty() { "_".into() } else { out }
}

/// Marks at either end that would hide a file, make it an option, or be dropped by Windows.
fn trim_edges(text: &str) -> String {
    let body = text.trim_start_matches(['.', '-', ' ', '~']);
    let core = body.trim_end_matches(['.', ' ']);
    format!("{}{core}{}", "_".repeat(text.len() - body.len()), "_".repeat(body.len() - core.len()))
}

/// Characters no name of ours has, and no fact is taken with.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | char::REPLACEMENT_CHARACTER)
        // Invisible, or changing the order of what stands beside it.
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn names_are_made_safe() {
        let gbk = encoding_rs::GBK.encode("现场检查.mp4").0.into_owned();
        let table: [(&[u8], usize, &str); 15] = [
            (b"DCAM_1.mp4", 120, "DCAM_1.mp4"),
            ("执法 记录.mp4".as_bytes(), 120, "执法 记录.mp4"),
            (&gbk, 120, "现场检查.mp4"),
            (b"\xff\xfe.mp4", 120, "__.mp4"),
            (b"../../etc/passwd", 120, "___.._etc_passwd"),
            (b"-rf", 120, "_rf"),
            (b".hidden", 120, "_hidden"),
            (b"a:b*c?.mp4. ", 120, "a_b_c_.mp4__"),
            (b"", 120, "_"),
            (b"..", 120, "__"),
            (b"nul\0tab\tnl\n", 120, "nul_tab_nl_"),
            ("a\u{202e}4pm.exe".as_bytes(), 120, "a_4pm.exe"),
            (b"a-very-long-name.mp4", 10, "a-very.mp4"),
            ("现场检查.mp4".as_bytes(), 8, "现.mp4"),
            (b"abc", 0, "_"),
        ];
        for (name, max, expected) in table {
            assert_eq!(safe(OsStr::from_bytes(name), max), expected, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn safe_names_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..300), max in 1usize..200) {
            let name = safe(&OsString::from_vec(bytes), max);
            prop_assert!(!name.is_empty() && name.len() <= max);
            prop_assert!(!name.chars().any(is_harmful));
            prop_assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']));
            prop_assert_eq!(safe(OsStr::new(&name), max), name);
        }

        #[test]
        fn safe_text_is_safe(text in "[a.\\- 执\u{202e}/]{0,40}", max in 1usize..20) {
            let name = safe(OsStr::new(&text), max);
            prop_assert!(!name.is_empty() && name.len() <= max && name != "." && name != "..");
            prop_assert_eq!(safe(OsStr::new(&name), max), name);
        }
    }
}
