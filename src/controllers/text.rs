//! Text for people: durations as the history shows them, device words made stable and short.

use crate::engine::time::Timestamp;

/// `1:37`, `31:37`, `7:52:35`; never negative: a wall clock that stepped back shows `0:00`.
pub fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    }
}

/// `since 07:37Z`.
pub fn since(at: Timestamp) -> String {
    at.utc().format("since %H:%MZ").to_string()
}

/// At most `limit` bytes, cut on a character boundary and marked.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// Makes text of a device comparable from one look to the next: one line, without time stamps and request ids. A status
/// that changes with every poll would be written with every poll.
pub fn stable(text: &str, limit: usize) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut after_request = false;
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = bare.to_ascii_lowercase();
        if is_timestamp(bare) || lower.starts_with("requestid=") || lower.starts_with("requestid:")
        {
            continue;
        }
        let names_request = matches!(
            lower.as_str(),
            "requestid" | "request-id" | "x-request-id" | "correlationid"
        ) || (lower == "id"
            && words
                .last()
                .is_some_and(|w| w.eq_ignore_ascii_case("request")));
        if after_request && looks_like_id(bare) {
            after_request = false;
            continue;
        }
        after_request = names_request;
        words.push(word);
    }
    cut(&words.join(" "), limit)
}

/// `2026-11-23T04:12:33.065Z`, `2026-11-23-04.12.33.000000`.
fn is_timestamp(word: &str) -> bool {
    let bytes = word.as_bytes();
    word.len() >= 16
        && bytes.get(4) == Some(&b'-')
        && bytes.get(7) == Some(&b'-')
        && matches!(bytes.get(10), Some(b'T' | b'-' | b' '))
        && word
            .chars()
            .take(10)
            .all(|c| c.is_ascii_digit() || c == '-')
}

fn looks_like_id(word: &str) -> bool {
    word.len() >= 6 && word.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_the_history_display() {
        for (ms, text) in [
            (97_000, "1:37"),
            (1_897_999, "31:37"),
            (28_355_000, "7:52:35"),
            (0, "0:00"),
            (-5, "0:00"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn text_is_cut_on_a_character_boundary_and_marked() {
        assert_eq!(cut("kürzer", 6), "kü…");
        assert_eq!(cut("kurz", 4), "kurz");
        for limit in 3..20 {
            assert!(cut("äöüäöüäöüäöü", limit).len() <= limit);
        }
    }

    #[test]
    fn the_same_refusal_reads_the_same_on_every_poll() {
        let polls = [
            "HSCL3680 at 2026-11-23T04:12:33.065Z:\n partition busy, request id 7f3a9c12",
            "HSCL3680 at 2026-11-23T04:12:38.911Z:\n partition busy, request id 88ffe021",
        ];
        let shown: Vec<String> = polls.iter().map(|p| stable(p, 200)).collect();
        assert_eq!(shown[0], shown[1]);
        assert_eq!(shown[0], "HSCL3680 at partition busy, request id");
        let uid = "volume 600507680CF780BA6000000000000013 is offline";
        assert_eq!(stable(uid, 200), uid, "identities are not noise");
    }
}
