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
/// that changes with every poll would be written with every poll. Words that only led to what is taken out go with it,
/// and a mark that ended the sentence stays: `busy at 2026-…Z: try later` reads `busy: try later`.
pub fn stable(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut kept: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let noise = noise(&words[at..]);
        if noise == 0 {
            kept.push((*word).to_owned());
            at += 1;
            continue;
        }
        at += noise;
        let last = words.get(at - 1).copied().unwrap_or_default();
        take_out(&mut kept, word, last);
        if at == words.len()
            && let Some(end) = kept.last_mut()
        {
            end.truncate(end.trim_end_matches([',', ';', ':']).len());
        }
    }
    cut(&kept.join(" "), limit)
}

/// How many of the next words change from look to look: a time stamp, a request's name with its id.
fn noise(words: &[&str]) -> usize {
    let bare = |at: usize| words.get(at).map(|w| trimmed(w)).unwrap_or_default();
    let lower = |at: usize| bare(at).to_ascii_lowercase();
    if is_timestamp(bare(0)) {
        return 1;
    }
    if is_date(bare(0)) && is_time(bare(1)) {
        return 2;
    }
    let first = lower(0);
    if first.starts_with("requestid=") || first.starts_with("requestid:") {
        return 1;
    }
    let named = match first.as_str() {
        "requestid" | "request-id" | "x-request-id" | "correlationid" => 1,
        "request" if lower(1) == "id" => 2,
        _ => return 0,
    };
    if looks_like_id(bare(named)) {
        named + 1
    } else {
        0
    }
}

/// Words before a time or an id that mean nothing without it.
const LEADS: [&str; 5] = ["at", "on", "since", "with", "from"];

/// Takes out what stood between `first` and `last`: the word that led to it goes, an opened bracket is closed with it,
/// and the mark at its end moves to the word before.
fn take_out(kept: &mut Vec<String>, first: &str, last: &str) {
    let mut opens = first.starts_with(['(', '[']);
    let leads = |word: &&String| {
        LEADS.contains(
            &word
                .trim_start_matches(['(', '['])
                .to_ascii_lowercase()
                .as_str(),
        )
    };
    if let Some(lead) = kept.last().filter(leads) {
        opens |= lead.starts_with(['(', '[']);
        kept.pop();
    }
    let mut end: &str = &last[last.trim_end_matches(|c: char| !c.is_alphanumeric()).len()..];
    if opens {
        end = end.trim_start_matches([')', ']']);
    }
    let Some(before) = kept.last_mut() else {
        return;
    };
    if end.is_empty() {
        return;
    }
    // One mark is enough: `busy, 2026-…Z.` ends with the later one.
    before.truncate(before.trim_end_matches([',', ';', ':', '.']).len());
    before.push_str(end);
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
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

fn is_date(word: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit() || c == '-';
    word.len() == 10 && word.as_bytes().get(4) == Some(&b'-') && word.chars().all(digits)
}

fn is_time(word: &str) -> bool {
    let clock = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ',' | 'Z');
    word.len() >= 8 && word.as_bytes().get(2) == Some(&b':') && word.chars().all(clock)
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
        assert_eq!(shown[0], "HSCL3680: partition busy");
        for (said, shown) in [
            ("2026-11-23T04:12:33Z HSCL3680 busy", "HSCL3680 busy"),
            (
                "busy since 2026-11-23 04:12:33, try later",
                "busy, try later",
            ),
            (
                "busy (at 2026-11-23-04.12.33.000000), try later",
                "busy, try later",
            ),
            ("busy (request id 7f3a9c12). Wait", "busy. Wait"),
            ("busy, x-request-id: 7f3a9c12", "busy"),
            ("busy; requestid=1234 at 2026-11-23T04:12:33Z.", "busy."),
            (
                "request identity 2026-11-23 at noon",
                "request identity 2026-11-23 at noon",
            ),
            (
                "look at the request id field",
                "look at the request id field",
            ),
        ] {
            assert_eq!(stable(said, 200), shown, "{said}");
        }
        let uid = "volume 600507680CF780BA6000000000000013 is offline";
        assert_eq!(stable(uid, 200), uid, "identities are not noise");
    }
}
