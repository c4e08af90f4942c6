//! Text that is longer than the screen: which lines are seen, and how one moves. Lines are folded for the width only
//! where they are seen, so that a log of any length costs nothing.

use crate::commands::text::folded;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// As any other.
    #[default]
    Plain,
    /// Begins something.
    Title,
    /// As wanted.
    Good,
    /// To be read.
    Warning,
    /// Went wrong.
    Bad,
    /// Of less weight.
    Dim,
}

/// A line before it is folded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// What it says.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

impl Shown {
    /// An ordinary line.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// A line that is meant somehow.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

/// Columns and lines that text may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
}

fn height(line: &Shown, area: Area) -> usize {
    folded(&line.text, area.width).len()
}

/// The lines from `top` on that are seen, folded.
pub fn seen(lines: &[Shown], top: usize, area: Area) -> Vec<Shown> {
    let rest = lines.get(top..).unwrap_or_default();
    let folded = rest.iter().flat_map(|line| {
        let parts = folded(&line.text, area.width);
        parts.into_iter().map(|text| Shown::toned(text, line.tone))
    });
    folded.take(area.height).collect()
}

/// The last `top` from which the end is seen.
pub fn bottom(lines: &[Shown], area: Area) -> usize {
    back(lines, lines.len(), area)
}

/// The first line not wholly seen from `top`, at least one further, and not beyond [`bottom`].
pub fn next_page(lines: &[Shown], top: usize, area: Area) -> usize {
    let mut at = top;
    let mut used = 0;
    while let Some(line) = lines.get(at) {
        used += height(line, area);
        if used > area.height {
            break;
        }
        at += 1;
    }
    at.max(top + 1).min(bottom(lines, area))
}

/// One screen back.
pub fn page_before(lines: &[Shown], top: usize, area: Area) -> usize {
    back(lines, top, area).min(top.saturating_sub(1))
}

/// From how far back the lines before `end` fit.
fn back(lines: &[Shown], end: usize, area: Area) -> usize {
    let mut at = end.min(lines.len());
    let mut used = 0;
    while at > 0 {
        used += height(&lines[at - 1], area);
        if used > area.height {
            break;
        }
        at -= 1;
    }
    at
}

/// The next line after `top` with this text, from the beginning again when there is none below. Upper and lower case are
/// one.
pub fn find(lines: &[Shown], top: usize, text: &str) -> Option<usize> {
    let wanted = text.to_lowercase();
    let has = |at: &usize| lines[*at].text.to_lowercase().contains(&wanted);
    let below = (top + 1).min(lines.len())..lines.len();
    below
        .chain(0..(top + 1).min(lines.len()))
        .find(|at| has(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area {
        width: 20,
        height: 5,
    };

    fn lines(count: usize) -> Vec<Shown> {
        (0..count)
            .map(|n| Shown::plain(format!("line {n}")))
            .collect()
    }

    #[test]
    fn pages_follow_on_each_other_and_stop_at_both_ends() {
        let lines = lines(12);
        assert_eq!(seen(&lines, 0, AREA).len(), 5);
        assert_eq!(next_page(&lines, 0, AREA), 5);
        assert_eq!(next_page(&lines, 5, AREA), 7);
        assert_eq!(next_page(&lines, 7, AREA), 7);
        assert_eq!(page_before(&lines, 7, AREA), 2);
        assert_eq!(page_before(&lines, 2, AREA), 0);
        assert_eq!(page_before(&lines, 0, AREA), 0);
        assert_eq!(bottom(&lines[..3], AREA), 0);
    }

    #[test]
    fn a_line_longer_than_the_screen_does_not_hold_one_up() {
        let mut lines = lines(12);
        lines[3].text = "word ".repeat(60);
        let mut top = 0;
        let mut tops = vec![top];
        while next_page(&lines, top, AREA) > top {
            top = next_page(&lines, top, AREA);
            tops.push(top);
        }
        assert_eq!(tops, [0, 3, 4, 7]);
    }

    #[test]
    fn finding_goes_on_from_the_top_and_case_does_not_matter() {
        let lines = lines(12);
        assert_eq!(find(&lines, 0, "LINE 1"), Some(1));
        assert_eq!(find(&lines, 1, "line 1"), Some(10));
        assert_eq!(find(&lines, 11, "line 1"), Some(1));
        assert_eq!(find(&lines, 3, "no such"), None);
        assert_eq!(find(&[], 0, "x"), None);
    }
}
