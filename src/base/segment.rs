//! Text cut into the words that it can be found by. Chinese has no blanks between words: a run of it is
//! found by each character and each pair of neighbours, anything else by whole words and their beginnings.

/// Longer texts are cut: a name, an address and a list of parties are shorter by far.
const LONGEST: usize = 4096;

/// The text as it is compared: full-width forms as ASCII, all brackets alike, no upper case.
pub fn fold(text: &str) -> String {
    text.chars().flat_map(|c| plain(c).to_lowercase()).collect()
}

/// A case number as it is compared: folded, and without blanks. `岳资罚〔2026〕１２号` and
/// `岳资罚(2026) 12号` are one number.
pub fn number_key(number: &str) -> String {
    fold(number).chars().filter(|c| !c.is_whitespace()).collect()
}

fn plain(c: char) -> char {
    match c {
        '\u{3000}' | '\u{a0}' => ' ',
        '〔' | '【' | '［' | '（' | '(' | '{' | '｛' | '〈' | '《' | '「' | '『' | '〖' => '[',
        '〕' | '】' | '］' | '）' | ')' | '}' | '｝' | '〉' | '》' | '」' | '』' | '〗' => ']',
        '—' | '–' | '−' | '‐' | '‑' | '－' | '―' => '-',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    }
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Sort {
    Chinese,
    Word,
    Other,
}

fn sort(c: char) -> Sort {
    match c {
        // From the CJK radicals on; 〇 is a number there, not a letter.
        c if c >= '\u{2e80}' && c.is_alphanumeric() => Sort::Chinese,
        c if c.is_alphanumeric() => Sort::Word,
        _ => Sort::Other,
    }
}

/// Runs of one sort, in order.
fn runs(folded: &str) -> Vec<(Sort, &str)> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (i, c) in folded.char_indices() {
        let now = sort(c);
        if let Some(last) = last
            && last != now
        {
            out.push((last, &folded[start..i]));
            start = i;
        }
        last = Some(now);
    }
    out.extend(last.map(|last| (last, &folded[start..])));
    out.retain(|(sort, _)| *sort != Sort::Other);
    out
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// The words of a text, with blanks between, for an index that cuts at blanks.
pub fn words(text: &str) -> String {
    let folded = fold(cut(text));
    let mut out: Vec<&str> = Vec::new();
    for (sort, run) in runs(&folded) {
        if sort == Sort::Word {
            out.push(run);
            continue;
        }
        let ends: Vec<usize> = run.char_indices().map(|(i, c)| i + c.len_utf8()).collect();
        let mut start = 0;
        for (i, &end) in ends.iter().enumerate() {
            out.push(&run[start..end]);
            if let Some(&next) = ends.get(i + 1) {
                out.push(&run[start..next]);
            }
            start = end;
        }
    }
    out.join(" ")
}

/// What a person looks for, as an FTS5 expression; `None` where there is nothing to look for.
/// It may find too much (pairs of characters that do not follow each other), never too little:
/// hold what it finds against [`fits`].
pub fn expression(query: &str) -> Option<String> {
    let folded = fold(cut(query));
    let mut out: Vec<String> = Vec::new();
    for (sort, run) in runs(&folded) {
        let chars: Vec<char> = run.chars().collect();
        match (sort, chars.as_slice()) {
            (Sort::Word, _) => out.push(format!("\"{run}\"*")),
            (_, [only]) => out.push(format!("\"{only}\"")),
            (_, chars) => out.extend(chars.windows(2).map(|w| format!("\"{}{}\"", w[0], w[1]))),
        }
    }
    out.dedup();
    (!out.is_empty()).then(|| out.join(" AND "))
}

/// Whether a text has every blank-separated word of a query. What is neither letter nor digit does not
/// count: a person leaves out brackets.
pub fn fits(text: &str, query: &str) -> bool {
    let bare = |text: &str| -> String { text.chars().filter(|c| sort(*c) != Sort::Other).collect() };
    let text = bare(&fold(text));
    fold(cut(query)).split_whitespace().all(|word| text.contains(&bare(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_one_however_they_are_written() {
        let key = number_key("岳屈自然资罚〔2026〕12号");
        for other in ["岳屈自然资罚[2026]12号", "岳屈自然资罚（2026）１２号", " 岳屈自然资罚 (2026) 12 号"]
        {
            assert_eq!(number_key(other), key, "{other}");
        }
        assert_ne!(number_key("岳屈自然资罚〔2026〕13号"), key);
    }

    #[test]
    fn words_and_expressions() {
        for (text, expected) in [
            ("张三", "张 张三 三"),
            ("张", "张"),
            ("李 四", "李 四"),
            ("Lim Ｂ12", "lim b12"),
            ("罚〔2026〕12号", "罚 2026 12 号"),
            ("", ""),
            ("〔〕", ""),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        for (query, expected) in [
            ("欧阳小明", Some("\"欧阳\" AND \"阳小\" AND \"小明\"")),
            ("张", Some("\"张\"")),
            ("Lim", Some("\"lim\"*")),
            ("罚(2026)12", Some("\"罚\" AND \"2026\"* AND \"12\"*")),
            ("\" OR *", Some("\"or\"*")),
            ("〔", None),
        ] {
            assert_eq!(expression(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn what_is_looked_for_must_stand_there() {
        let text = "岳屈自然资罚〔2026〕12号\n张三 非法占地";
        for query in ["张三", "占地 张三", "罚 2026", "资罚(2026)12号", "2026〕12", "资罚202612号"]
        {
            assert!(fits(text, query), "{query}");
        }
        for query in ["三张", "罚 2025", "李四"] {
            assert!(!fits(text, query), "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_cut_and_found(text in "\\PC{0,60}", any: String) {
            let _ = (words(&any), expression(&any), fits(&any, &text));
            prop_assert!(fits(&text, &text));
            let all: Vec<String> = words(&text).split(' ').map(str::to_owned).collect();
            for term in expression(&text).unwrap_or_default().split(" AND ").filter(|t| !t.is_empty()) {
                let word = term.trim_end_matches('*').trim_matches('"');
                prop_assert!(all.iter().any(|w| w == word), "{} is not in {:?}", word, all);
            }
        }

        #[test]
        fn any_part_of_a_run_is_found(text in "[张李王占地用土]{4,12}", from in 0usize..4, len in 1usize..5) {
            let part: String = text.chars().skip(from).take(len).collect();
            prop_assume!(!part.is_empty());
            let all: Vec<String> = words(&text).split(' ').map(str::to_owned).collect();
            for term in expression(&part).unwrap_or_default().split(" AND ") {
                prop_assert!(all.contains(&term.trim_matches('"').to_owned()));
            }
            prop_assert!(fits(&text, &part));
        }
    }
}
