//! SQL services through Qshell's `db2`.
//!
//! Why `db2`: it is there on every system with Qshell, needs no Java, no open port and no product of ours (`ibmi.md`
//! § 1.4); Mapepire needs a Java job. Its output is fixed-width text with a heading and a count, so each row is asked
//! for as one JSON text behind a mark: a line is a row or it is not, whatever the language and the widths. What `db2` does
//! with very long lines and its exit status have not been seen on a real system [I].

use crate::site::Row;
use crate::wire;

/// Heading of the one column that is asked for.
const HEADING: &str = "LINE";

/// Names of the columns of a `SELECT`, from its text: the alias, or the bare column name.
///
/// # Errors
/// What has no name: an expression without `AS`, or `*`.
pub fn select_columns(sql: &str) -> Result<Vec<String>, String> {
    let upper = sql.trim();
    if !upper
        .get(..7)
        .is_some_and(|p| p.eq_ignore_ascii_case("SELECT "))
    {
        return Err("only SELECT is sent to a system".to_owned());
    }
    let mut names = Vec::new();
    let mut item = String::new();
    let (mut depth, mut quoted) = (0_i32, false);
    let rest = &upper[7..];
    for (at, c) in rest.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                names.push(name_of(&item)?);
                item.clear();
                continue;
            }
            _ => {}
        }
        let word = rest
            .get(at..at + 6)
            .is_some_and(|w| w.eq_ignore_ascii_case(" FROM "));
        if word && !quoted && depth == 0 {
            names.push(name_of(&item)?);
            return Ok(names);
        }
        item.push(c);
    }
    Err("SELECT without FROM".to_owned())
}

fn name_of(item: &str) -> Result<String, String> {
    let item = item.trim();
    let upper = item.to_ascii_uppercase();
    let name = match upper.rfind(" AS ") {
        Some(at) if !upper[at..].contains(')') => upper[at + 4..].trim().to_owned(),
        Some(_) | None => upper.rsplit('.').next().unwrap_or_default().to_owned(),
    };
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain {
        Ok(name)
    } else {
        Err(format!("column {item} needs a name: write AS name"))
    }
}

/// The command line that runs a query, rows marked with `mark`.
pub(super) fn command(sql: &str, columns: &[String], mark: &str) -> String {
    let items: Vec<String> = columns
        .iter()
        .map(|c| format!("KEY '{c}' VALUE VARCHAR({c})"))
        .collect();
    let ordered = if sql.to_ascii_uppercase().contains(" ORDER BY ") {
        " ORDER BY ORDER OF Q"
    } else {
        ""
    };
    let whole = format!(
        "SELECT '{mark}' CONCAT JSON_OBJECT({} NULL ON NULL RETURNING VARCHAR(30000)) AS LINE FROM ({sql}) AS Q{ordered}",
        items.join(", ")
    );
    wire::ibmi::sql(&whole)
}

/// Reads the output line by line: a line behind the mark is a row, everything else is db2's own.
pub(super) struct RowReader<'m> {
    mark: &'m str,
    heading: bool,
    /// What db2 printed besides rows, its beginning.
    other: String,
    broken: Option<String>,
}

/// Longest text kept of what is no row.
const OTHER: usize = 8 << 10;

impl<'m> RowReader<'m> {
    pub(super) fn new(mark: &'m str) -> Self {
        Self {
            mark,
            heading: false,
            other: String::new(),
            broken: None,
        }
    }

    /// The row in this line, if it is one.
    pub(super) fn line(&mut self, line: &str) -> Option<Row> {
        let line = line.trim();
        let Some(text) = line.strip_prefix(self.mark) else {
            self.heading |= line == HEADING;
            if self.other.len() + line.len() < OTHER {
                self.other.push_str(line);
                self.other.push('\n');
            }
            return None;
        };
        match serde_json::from_str::<Row>(text.trim()) {
            Ok(row) => Some(row),
            Err(why) => {
                let text = format!("a row of the answer was cut or not JSON: {why}");
                self.broken.get_or_insert(text);
                None
            }
        }
    }

    /// What db2 printed besides rows.
    pub(super) fn other(&self) -> &str {
        &self.other
    }

    /// Whether all of it was an answer.
    ///
    /// # Errors
    /// A marked line that is no whole row: the output was cut. No heading: whether `db2` fails with a status is not known
    /// [I], and a statement that did not run must not look like one without rows.
    pub(super) fn end(self) -> Result<(), String> {
        if !self.heading {
            let words: Vec<&str> = self.other.split_whitespace().collect();
            return Err(format!("db2 printed no result: {}", words.join(" ")));
        }
        self.broken.map_or(Ok(()), Err)
    }
}

/// The rows of a whole output.
///
/// # Errors
/// As [`RowReader::end`].
pub(super) fn rows(stdout: &str, mark: &str) -> Result<Vec<Row>, String> {
    let mut reader = RowReader::new(mark);
    let rows = stdout.lines().filter_map(|line| reader.line(line));
    let rows = rows.collect();
    reader.end().map(|()| rows)
}

/// SQLSTATE of a failed statement: db2's own block, which is English on every system. A row never begins a line with it.
pub(super) fn sql_state(stdout: &str) -> Option<String> {
    let rest = stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("SQLSTATE"))?;
    rest.split(|c: char| !c.is_ascii_alphanumeric())
        .find(|w| w.len() == 5)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_alias_or_by_themselves() {
        let sql = "SELECT JOB_NAME, X.STATUS, COUNT(*) AS N, (SELECT A FROM B) AS INNER_ONE, 'a, b' AS T FROM Q WHERE A = ' FROM '";
        assert_eq!(
            select_columns(sql).unwrap(),
            ["JOB_NAME", "STATUS", "N", "INNER_ONE", "T"]
        );
        assert!(select_columns("SELECT COUNT(*) FROM X").is_err());
        assert!(select_columns("SELECT * FROM X").is_err());
        assert!(select_columns("DELETE FROM X").is_err());
    }

    #[test]
    fn only_marked_lines_are_rows() {
        let text = "\nLINE\n-----\nM{\"A\":\"1\",\"B\":null}   \n\n  1 RECORD(S) SELECTED.\n";
        let found = rows(text, "M").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["A"].as_deref(), Some("1"));
        assert_eq!(found[0]["B"], None);
        assert!(rows("LINE\n--\nM{\"A\":\"1", "M").is_err());
        assert_eq!(
            rows("LINE\n----\n\n  0 RECORD(S) SELECTED.\n", "M"),
            Ok(Vec::new())
        );
        assert!(rows("", "M").is_err());
    }

    #[test]
    fn the_state_of_an_error_is_found() {
        assert_eq!(
            sql_state("  **** CLI ERROR *****\n         SQLSTATE: 42704\nNATIVE ERROR CODE: -204")
                .as_deref(),
            Some("42704")
        );
    }
}
