//! A query in the form that Qshell's `db2` prints readably: one column, a mark followed by one JSON object per row.
//! NULL stays NULL, and line ends inside a value are escaped, so that one row is one line.

/// End of the JSON object and of its column; 30,000 bytes hold the longest row we ask for.
const TAIL: &str = " NULL ON NULL RETURNING VARCHAR(30000)) AS LINE FROM (";
/// Keeps the order of the inner query, which a nested table expression may lose.
const ORDER: &str = " ORDER BY ORDER OF Q";

/// Wraps a query whose result columns are known.
pub fn wrap(mark: &str, columns: &[String], inner: &str) -> String {
    let items: Vec<String> = columns
        .iter()
        .map(|c| format!("KEY '{c}' VALUE VARCHAR({c})"))
        .collect();
    let order = if inner.to_ascii_uppercase().contains("ORDER BY") {
        ORDER
    } else {
        ""
    };
    format!(
        "SELECT '{mark}' CONCAT JSON_OBJECT({}{TAIL}{inner}) AS Q{order}",
        items.join(", ")
    )
}

/// Inverse of [`wrap`]: mark, columns, inner query.
pub fn unwrap(text: &str) -> Option<(String, Vec<String>, String)> {
    let rest = text.strip_prefix("SELECT '")?;
    let (mark, rest) = rest.split_once("' CONCAT JSON_OBJECT(")?;
    let (items, rest) = rest.split_once(TAIL)?;
    let (inner, tail) = rest.rsplit_once(") AS Q")?;
    if !tail.is_empty() && tail != ORDER {
        return None;
    }
    let columns: Option<Vec<String>> = items
        .split(", ")
        .map(|item| {
            let (key, value) = item.strip_prefix("KEY '")?.split_once("' VALUE ")?;
            (value == format!("VARCHAR({key})")).then(|| key.to_owned())
        })
        .collect();
    Some((mark.to_owned(), columns?, inner.to_owned()))
}

/// Names of the result columns of a query: what follows `AS`, or the last part of a plain column name. `None` for
/// `SELECT *` and for expressions without a name, which cannot be wrapped.
pub fn columns(statement: &str) -> Option<Vec<String>> {
    let text = statement.trim();
    let list = text
        .get(..7)
        .filter(|s| s.eq_ignore_ascii_case("select "))
        .and_then(|_| text.get(7..))?;
    let mut names = Vec::new();
    for item in select_items(list)? {
        let words: Vec<&str> = item.split_whitespace().collect();
        let name = match words.as_slice() {
            [.., marker, name] if marker.eq_ignore_ascii_case("as") => *name,
            [name] => name.rsplit('.').next().unwrap_or(name),
            _ => return None,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_#@$".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        names.push(name.to_ascii_uppercase());
    }
    Some(names)
}

/// Splits at the commas that are in no parenthesis and no literal, up to the `FROM` that belongs to this select.
fn select_items(list: &str) -> Option<Vec<String>> {
    let mut items = vec![String::new()];
    let (mut depth, mut quoted) = (0_i32, false);
    for (at, c) in list.char_indices() {
        if !quoted && depth == 0 && from_here(list, at) {
            return Some(items);
        }
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        items.last_mut()?.push(c);
    }
    None
}

fn from_here(text: &str, at: usize) -> bool {
    let before = text[..at].ends_with(|c: char| c.is_whitespace() || c == ')');
    let after = text
        .get(at..at + 5)
        .is_some_and(|w| w[..4].eq_ignore_ascii_case("from") && w.ends_with(char::is_whitespace));
    before && after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_query_is_read_back() {
        let inner = "SELECT A, B AS C FROM QSYS2.X WHERE A = 'it''s' ORDER BY A";
        let names = columns(inner).expect("columns");
        assert_eq!(names, ["A", "C"]);
        let text = wrap("M1", &names, inner);
        assert!(text.ends_with(" AS Q ORDER BY ORDER OF Q"));
        assert_eq!(
            unwrap(&text),
            Some(("M1".to_owned(), names, inner.to_owned()))
        );
    }

    #[test]
    fn columns_of_expressions_are_their_names() {
        let text = "select COUNT(*) AS PENDING, (SELECT MAX(X) FROM Y) AS Z, S.HOST_NAME, VARCHAR('a, from b') as T from Q S";
        assert_eq!(
            columns(text).expect("columns"),
            ["PENDING", "Z", "HOST_NAME", "T"]
        );
    }

    #[test]
    fn what_has_no_names_cannot_be_wrapped() {
        for text in [
            "SELECT * FROM X",
            "SELECT COUNT(*) FROM X",
            "DELETE FROM X",
            "SELECT A",
            "",
        ] {
            assert_eq!(columns(text), None, "{text}");
        }
    }
}
