//! Words and numbers as people read and type them.

use crate::api::options::Function;
use crate::controllers::text::duration;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// One line for standard error: line breaks of a library's message become `; `.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ")
}

/// Columns of the terminal everybody has.
pub const TERMINAL: usize = 80;

/// Lines of at most `width` characters, broken at blanks; a longer word keeps its line. Never no line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    broken(text, width, 0)
}

/// As [`wrapped`], further lines indented by two.
pub fn hanging(text: &str, width: usize) -> Vec<String> {
    broken(text, width, 2)
}

fn broken(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(indented(word, false, indent));
        }
    }
    lines
}

/// At most `width` characters; what is cut is shown by `…`.
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A line of a log in lines of at most `width` characters, further ones indented by four; blanks stay as they are. Broken
/// behind a blank where one is near, since message texts are sentences.
pub fn folded(text: &str, width: usize) -> Vec<String> {
    const INDENT: usize = 4;
    let mut rest: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    let mut room = width.max(2 * INDENT);
    while rest.len() > room {
        let blank = rest[..room].iter().rposition(|c| *c == ' ');
        let at = blank.map_or(room, |blank| blank + 1);
        let at = if at * 3 < room * 2 { room } else { at };
        let line: String = rest.drain(..at).collect();
        lines.push(indented(&line, lines.is_empty(), INDENT));
        room = width.max(2 * INDENT) - INDENT;
    }
    let line: String = rest.into_iter().collect();
    lines.push(indented(&line, lines.is_empty(), INDENT));
    lines
}

fn indented(line: &str, first: bool, by: usize) -> String {
    let by = if first { 0 } else { by };
    format!("{:by$}{}", "", line.trim_end())
}

/// Seconds as the history shows them: `0:07`, `1:37`, `7:52:35`.
pub fn clock(seconds: i64) -> String {
    duration(seconds.saturating_mul(1000))
}

/// Milliseconds of a freeze: `480 ms`, `12.3 s`.
pub fn freeze(milliseconds: i64) -> String {
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else {
        format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
    }
}

/// Whole seconds from one instant to another, never negative: clocks of machines differ a little.
pub fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
    (to - from).num_seconds().max(0)
}

/// A span of time as kubectl takes it: `90s`, `30m`, `1h30m`, `2h`; a bare number is seconds.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let refusal = || format!("`{text}` is no span of time: write 90s, 30m or 1h30m");
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(refusal()),
        };
        let number: u64 = digits.parse().map_err(|_| refusal())?;
        total = number
            .checked_mul(unit)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(refusal)?;
        digits.clear();
    }
    if digits.is_empty() && !text.is_empty() {
        Ok(Duration::from_secs(total))
    } else {
        Err(refusal())
    }
}

/// A function as YAML writes it or as the IBM i world does: `USER`, `*USER`, `*user`.
pub fn parse_function(text: &str) -> Result<Function, String> {
    let word = text.strip_prefix('*').unwrap_or(text).to_ascii_uppercase();
    Function::named(&word)
        .ok_or_else(|| format!("`{text}` is no function: write *HOLD, *BRMS, *SAVE21 or *USER"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_read_like_the_history_of_the_host() {
        for (seconds, text) in [(0, "0:00"), (97, "1:37"), (28_355, "7:52:35"), (-4, "0:00")] {
            assert_eq!(clock(seconds), text);
        }
        assert_eq!(freeze(480), "480 ms");
        assert_eq!(freeze(12_345), "12.3 s");
    }

    #[test]
    fn spans_are_read_as_kubectl_reads_them() {
        for (text, seconds) in [("45", 45), ("90s", 90), ("30m", 1800), ("1h30m", 5400)] {
            assert_eq!(parse_span(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "h", "5d", "1h30", "-5s", "99999999999999999999h"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn functions_are_taken_with_and_without_asterisk() {
        for text in ["HOLD", "*HOLD", "*hold"] {
            assert_eq!(parse_function(text), Ok(Function::Hold));
        }
        assert_eq!(parse_function("*USER"), Ok(Function::User));
        assert!(parse_function("*SAVE99").is_err());
    }

    #[test]
    fn what_does_not_fit_looks_cut_and_a_folded_line_loses_nothing() {
        assert_eq!(fit("write-parameters", 8), "write-p…");
        assert_eq!(fit("settle", 8), "settle");
        let text = "CPF3770 40 No objects saved or restored for library ORDERS on the tape";
        let lines = folded(text, 30);
        assert!(lines.iter().all(|l| l.chars().count() <= 30), "{lines:?}");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&lines.join(" ")), words(text));
        let long = "x".repeat(70);
        assert_eq!(folded(&long, 30).join("").replace(' ', ""), long);
        assert_eq!(folded("", 30), [""]);
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(one_line("a\n\n  b \n"), "a; b");
    }
}
