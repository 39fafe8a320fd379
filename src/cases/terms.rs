//! Words of the registers' files in both languages.

use crate::access::Role;
use crate::catalog::recorders::State;

/// A role's word.
pub fn role_word(role: Role, chinese: bool) -> &'static str {
    match role {
        _ if !chinese => role.word(),
        Role::Officer => "执法人员",
        Role::Reviewer => "审核人",
        Role::Head => "负责人",
        Role::Supervisor => "法规监督",
        Role::Storage => "存储管理员",
        Role::Admin => "系统管理员",
    }
}

/// The role of a word in either language.
pub fn role(word: &str) -> Option<Role> {
    let word = word.to_lowercase();
    match word.as_str() {
        "单位负责人" => Some(Role::Head),
        _ => Role::ALL.into_iter().find(|r| r.word() == word || role_word(*r, true) == word),
    }
}

/// The grounds of an exemption: their words and what the rule calls them (article 11).
const GROUNDS: [(&str, &str); 4] = [
    ("device_fault", "设备故障"),
    ("party_uncooperative", "当事人不配合"),
    ("severe_weather", "恶劣天气及其他自然灾害"),
    ("other", "其他"),
];

/// The ground of a word in either language; of a long name its beginning is enough.
pub fn ground(word: &str) -> Option<&'static str> {
    let (word, plain) = (word.trim(), word.trim().to_lowercase().replace([' ', '-'], "_"));
    let fits = |(key, name): &&(&str, &str)| {
        *key == plain || *name == word || word.chars().count() > 1 && name.starts_with(word)
    };
    GROUNDS.iter().find(fits).map(|(key, _)| *key)
}

/// All grounds, in one line.
pub fn grounds() -> String {
    GROUNDS.map(|(key, name)| format!("{key} {name}")).join(", ")
}

/// A recorder state's word.
pub fn state_word(state: State, chinese: bool) -> &'static str {
    match state {
        _ if !chinese => state.word(),
        State::InService => "在用",
        State::Lent => "借出",
        State::Broken => "故障",
        State::Retired => "报废",
    }
}

/// The recorder state of a word in either language.
pub fn state(word: &str) -> Option<State> {
    let word = word.to_lowercase().replace([' ', '-'], "_");
    State::ALL.into_iter().find(|s| s.word() == word || state_word(*s, true) == word)
}

/// Yes or no.
pub fn yes_no(value: bool, chinese: bool) -> &'static str {
    match (value, chinese) {
        (true, false) => "yes",
        (false, false) => "no",
        (true, true) => "是",
        (false, true) => "否",
    }
}

/// The meaning of a yes or no in either language.
pub fn boolean(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "是" => Some(true),
        "no" | "n" | "false" | "0" | "否" => Some(false),
        _ => None,
    }
}

/// Milliseconds of a number of seconds with at most three decimals.
pub fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > 3 || !number(whole) || !number(part) {
        return None;
    }
    let part = format!("{part:0<3}").parse::<i64>().ok()?;
    let ms = whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(part)?;
    Some(if negative { -ms } else { ms })
}

/// Milliseconds as a number of seconds; [`seconds`] reads it.
pub fn spell_seconds(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let text = format!("{sign}{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_of_both_languages_mean_the_same() {
        for chinese in [true, false] {
            for r in Role::ALL {
                assert_eq!(role(role_word(r, chinese)), Some(r));
            }
            for s in State::ALL {
                assert_eq!(state(state_word(s, chinese)), Some(s));
            }
            for b in [true, false] {
                assert_eq!(boolean(yes_no(b, chinese)), Some(b));
            }
        }
        assert_eq!(
            (state("In service"), role("Head"), role("boss")),
            (Some(State::InService), Some(Role::Head), None)
        );
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!((seconds("-5"), seconds("+1.5"), seconds("0.001")), (Some(-5000), Some(1500), Some(1)));
        for bad in ["", "-", "1.2345", "1e3", "x", ".5", "--1", "99999999999999999999"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn seconds_come_back(ms in -4_000_000_000_000_i64..4_000_000_000_000, any: String) {
            prop_assert_eq!(seconds(&spell_seconds(ms)), Some(ms));
            let _ = seconds(&any);
        }
    }
}
