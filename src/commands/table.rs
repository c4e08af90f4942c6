//! Tables for a terminal: columns as wide as their content, headings of one or two lines.

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers and durations.
    Right,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    heading: (&'static str, &'static str),
    side: Side,
    most: usize,
    cells: Vec<String>,
}

impl Column {
    /// A column whose heading stands on the lower line.
    pub fn new(heading: &'static str, side: Side, cells: Vec<String>) -> Self {
        Self::two_lines("", heading, side, cells)
    }

    /// A column with a heading of two lines.
    pub fn two_lines(
        upper: &'static str,
        lower: &'static str,
        side: Side,
        cells: Vec<String>,
    ) -> Self {
        Self {
            heading: (upper, lower),
            side,
            most: usize::MAX,
            cells,
        }
    }

    /// Longer cells are cut, which is shown by `…`.
    pub fn at_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|c| length(c)).max().unwrap_or(0);
        cells
            .min(self.most)
            .max(length(self.heading.0))
            .max(length(self.heading.1))
    }

    fn place(&self, text: &str, width: usize) -> String {
        let text = cut(text, width);
        match self.side {
            Side::Left => format!("{text:<width$}"),
            Side::Right => format!("{text:>width$}"),
        }
    }
}

/// Characters, which is what a terminal counts; our texts have no wide ones.
fn length(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Width of the longest line.
pub fn width(columns: &[Column]) -> usize {
    let gaps = columns.len().saturating_sub(1);
    columns.iter().map(Column::width).sum::<usize>() + gaps
}

/// The table, one blank between columns, no blanks at the ends of lines, a line end after each.
pub fn render(columns: &[Column]) -> String {
    let mut lines: Vec<Vec<&str>> = Vec::new();
    if columns.iter().any(|c| !c.heading.0.is_empty()) {
        lines.push(columns.iter().map(|c| c.heading.0).collect());
    }
    lines.push(columns.iter().map(|c| c.heading.1).collect());
    let rows = columns.iter().map(|c| c.cells.len()).max().unwrap_or(0);
    for row in 0..rows {
        lines.push(
            columns
                .iter()
                .map(|c| c.cells.get(row).map_or("", String::as_str))
                .collect(),
        );
    }
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let mut text = String::new();
    for line in lines {
        let placed: Vec<String> = line
            .iter()
            .zip(columns)
            .zip(&widths)
            .map(|((cell, column), width)| column.place(cell, *width))
            .collect();
        text.push_str(placed.join(" ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content_and_no_line_ends_in_blanks() {
        let columns = [
            Column::new("NAME", Side::Left, vec!["a".into(), "nightly".into()]),
            Column::two_lines("PREP", "PROD", Side::Right, vec!["1:37".into(), "".into()]),
        ];
        assert_eq!(
            render(&columns),
            "        PREP\nNAME    PROD\na       1:37\nnightly\n"
        );
        assert_eq!(width(&columns), 12);
    }

    #[test]
    fn a_cell_that_does_not_fit_shows_that_it_was_cut() {
        let column = Column::new("STEP", Side::Left, vec!["write-parameters".into()]);
        assert_eq!(render(&[column.at_most(8)]), "STEP\nwrite-p…\n");
    }
}
