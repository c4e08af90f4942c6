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
            cells,
        }
    }

    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|c| length(c)).max().unwrap_or(0);
        cells
            .max(length(self.heading.0))
            .max(length(self.heading.1))
    }

    fn place(&self, text: &str, width: usize) -> String {
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

/// Width of the longest line.
pub fn width(columns: &[Column]) -> usize {
    let gaps = columns.len().saturating_sub(1);
    columns.iter().map(Column::width).sum::<usize>() + gaps
}

/// The lines of the headings and those of the rows, one blank between columns, no blanks at the ends of lines.
pub fn lines(columns: &[Column]) -> (Vec<String>, Vec<String>) {
    let mut headings: Vec<Vec<&str>> = Vec::new();
    if columns.iter().any(|c| !c.heading.0.is_empty()) {
        headings.push(columns.iter().map(|c| c.heading.0).collect());
    }
    headings.push(columns.iter().map(|c| c.heading.1).collect());
    let count = columns.iter().map(|c| c.cells.len()).max().unwrap_or(0);
    let row = |at: usize| -> Vec<&str> {
        let cells = columns.iter().map(|c| c.cells.get(at));
        cells.map(|cell| cell.map_or("", String::as_str)).collect()
    };
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let line = |cells: Vec<&str>| {
        let placed: Vec<String> = cells
            .iter()
            .zip(columns)
            .zip(&widths)
            .map(|((cell, column), width)| column.place(cell, *width))
            .collect();
        placed.join(" ").trim_end().to_owned()
    };
    let headings = headings.into_iter().map(line).collect();
    (headings, (0..count).map(row).map(line).collect())
}

/// The table, one blank between columns, no blanks at the ends of lines, a line end after each.
pub fn render(columns: &[Column]) -> String {
    let (headings, rows) = lines(columns);
    let lines = headings.into_iter().chain(rows);
    lines.map(|line| line + "\n").collect()
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
}
